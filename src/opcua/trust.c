#include "opcua/trust_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

const char *const ua_trust_place_names[UA_PLACES] = {"trusted", "issuers", "rejected"};

static const struct {
    const char *path;
    bool crl;
} layout[FOLDERS] = {
    [FOLDER_TRUSTED] = {"trusted/certs", false},   [FOLDER_ISSUERS] = {"issuers/certs", false},
    [FOLDER_REJECTED] = {"rejected/certs", false}, [FOLDER_TRUSTED_CRL] = {"trusted/crl", true},
    [FOLDER_ISSUERS_CRL] = {"issuers/crl", true},
};

static enum code no_memory(struct fault *why)
{
    return FAIL(why, CODE_NOMEM, 0, "no memory for the trusted certificates");
}

char *trust_path(const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name);
    char *path = mem_alloc(a + b + 2);
    if (path) {
        memcpy(path, folder, a);
        path[a] = '/';
        memcpy(path + a + 1, name, b + 1);
    }
    return path;
}

/* ---- life ---- */

static void file_clear(struct trust_file *f)
{
    ua_certificate_drop(f->certificate);
    X509_CRL_free(f->crl);
    mem_free(f->name);
    *f = (struct trust_file){0};
}

void ua_trust_close(struct ua_trust *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < FOLDERS; i++) {
        struct trust_folder *f = &t->folders[i];
        for (size_t k = 0; k < f->count; k++)
            file_clear(&f->files[k]);
        mem_free(f->files);
        mem_free(f->path);
    }
    (void)pthread_mutex_destroy(&t->lock);
    ua_certificate_drop(t->own);
    mem_free(t->dir);
    mem_free(t);
}

void ua_trust_own(struct ua_trust *t, struct ua_certificate *own)
{
    struct ua_certificate *before = t->own;
    t->own = own ? ua_certificate_hold(own) : NULL;
    ua_certificate_drop(before);
}

const char *ua_trust_dir(const struct ua_trust *t)
{
    return t->dir;
}

static enum code make_dir(const struct io *io, const char *path, struct fault *why)
{
    int r = io->mkdir(io->self, path);
    if (r == 0 || r == -EEXIST)
        return CODE_OK;
    return FAIL_SYS(why, CODE_IO, -r, "the folder %s cannot be made", path);
}

/* "trusted", then "trusted/certs". */
static enum code make_folder(struct ua_trust *t, const char *below, struct fault *why)
{
    char first[32];
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(below, "/"), below);
    char *outer = trust_path(t->dir, first), *inner = trust_path(t->dir, below);
    enum code code = outer && inner ? make_dir(t->io, outer, why) : no_memory(why);
    if (code == CODE_OK)
        code = make_dir(t->io, inner, why);
    mem_free(outer);
    mem_free(inner);
    return code;
}

static enum code fill(struct ua_trust *t, const char *dir, struct fault *why)
{
    t->dir = mem_strdup(dir);
    if (!t->dir)
        return no_memory(why);
    enum code code = make_dir(t->io, dir, why);
    for (size_t i = 0; code == CODE_OK && i < FOLDERS; i++) {
        t->folders[i].crl = layout[i].crl;
        t->folders[i].path = trust_path(dir, layout[i].path);
        code = t->folders[i].path ? make_folder(t, layout[i].path, why) : no_memory(why);
    }
    if (code == CODE_OK)
        code = make_folder(t, "own/certs", why);
    if (code == CODE_OK)
        code = make_folder(t, "own/private", why);
    return code;
}

enum code ua_trust_open(struct ua_trust **out, const struct io *io, const char *dir, struct fault *why)
{
    struct ua_trust *t = mem_zalloc(1, sizeof *t);
    *out = NULL;
    if (!t)
        return no_memory(why);
    t->io = io;
    FG_ASSERT(pthread_mutex_init(&t->lock, NULL) == 0);
    enum code code = fill(t, dir, why);
    if (code == CODE_OK)
        *out = t;
    else
        ua_trust_close(t);
    return code;
}

/* ---- reading ---- */

X509_CRL *trust_read_crl(struct bytes file)
{
    const uint8_t *at = file.at;
    X509_CRL *crl = NULL;
    if (file.len && file.at[0] == 0x30) {
        crl = d2i_X509_CRL(NULL, &at, (long)file.len);
    } else if (file.len) {
        BIO *bio = BIO_new_mem_buf(file.at, (int)file.len);
        crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
    }
    ERR_clear_error();
    return crl;
}

/* What cannot be read is no reason to stop: it is said once, and it stands for nobody. */
static enum code read_file(struct ua_trust *t, const struct trust_folder *folder, struct trust_file *f,
                           struct fault *why)
{
    char *text = NULL, *path = trust_path(folder->path, f->name);
    size_t len;
    char name[120];
    enum code code = path ? io_load(t->io, path, folder->crl ? UA_TRUST_CRL_BYTES : UA_TRUST_FILE_BYTES,
                                    &text, &len, &f->why)
                          : no_memory(&f->why);
    if (code == CODE_OK && folder->crl) {
        f->crl = trust_read_crl(bytes_of(text, len));
        if (!f->crl)
            code = FAIL(&f->why, CODE_MALFORMED, 0, "it is no list of revoked certificates");
    } else if (code == CODE_OK) {
        code = ua_certificate_read_file(&f->certificate, bytes_of(text, len), &f->why);
    }
    mem_free(text);
    mem_free(path);
    if (code == CODE_NOMEM) {
        f->why = (struct fault){0}; /* it is read again at the next look */
        return no_memory(why);
    }
    if (code != CODE_OK)
        log_warn("opcua", "FG%04d %s/%s is not used: %s. Replace or remove it", UA_TRUST_FILE, folder->path,
                 bytes_escape(bytes_str(f->name), name, sizeof name), f->why.text);
    return CODE_OK;
}

/* ---- looking ---- */

struct look {
    struct ua_trust *trust;
    struct trust_folder *folder;
    enum code code;
    struct fault *why;
};

static struct trust_file *find(struct trust_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->count; i++)
        if (strcmp(folder->files[i].name, name) == 0)
            return &folder->files[i];
    return NULL;
}

static struct trust_file *add(struct trust_folder *folder, const char *name)
{
    if (folder->count == folder->cap) {
        size_t cap = folder->cap ? 2 * folder->cap : 8;
        struct trust_file *more = mem_realloc(folder->files, cap * sizeof *more);
        if (!more)
            return NULL;
        folder->files = more;
        folder->cap = cap;
    }
    struct trust_file *f = &folder->files[folder->count];
    *f = (struct trust_file){.name = mem_strdup(name)};
    if (!f->name)
        return NULL;
    folder->count++;
    return f;
}

static bool changed(const struct io_stat *a, const struct io_stat *b)
{
    return a->size != b->size || a->mtime_ns != b->mtime_ns || a->inode != b->inode;
}

static void look_at(struct look *l, struct trust_file *f, const struct io_stat *st)
{
    if (f->seen)
        return;
    f->seen = true;
    bool fresh = !f->certificate && !f->crl && !f->why.text[0];
    if (!fresh && !changed(&f->stat, st))
        return;
    ua_certificate_drop(f->certificate);
    X509_CRL_free(f->crl);
    f->certificate = NULL;
    f->crl = NULL;
    f->why = (struct fault){0};
    f->stat = *st;
    l->code = read_file(l->trust, l->folder, f, l->why);
}

static void full(struct trust_folder *folder)
{
    if (!folder->full_told)
        log_warn("opcua", "FG%04d %s holds more than %d files; the rest is not used. Remove some",
                 UA_TRUST_FILE, folder->path, UA_TRUST_FILES_MAX);
    folder->full_told = true;
}

static void on_name(void *ctx, const char *name)
{
    struct look *l = ctx;
    struct io_stat st;
    size_t n = strlen(name);
    if (l->code != CODE_OK || name[0] == '.' || (n > 4 && strcmp(name + n - 4, ".tmp") == 0))
        return; /* what is being written */
    char *path = trust_path(l->folder->path, name);
    if (!path) {
        l->code = no_memory(l->why);
        return;
    }
    bool there = l->trust->io->stat(l->trust->io->self, path, &st) == 0 && !st.is_dir;
    mem_free(path);
    struct trust_file *f = there ? find(l->folder, name) : NULL;
    if (!there)
        return;
    if (!f && l->folder->count >= UA_TRUST_FILES_MAX) {
        full(l->folder);
        return;
    }
    f = f ? f : add(l->folder, name);
    if (f)
        look_at(l, f, &st);
    else
        l->code = no_memory(l->why);
}

enum code trust_look(struct ua_trust *t, enum trust_folder_id id, struct fault *why)
{
    struct trust_folder *folder = &t->folders[id];
    struct look l = {t, folder, CODE_OK, why};
    for (size_t i = 0; i < folder->count; i++)
        folder->files[i].seen = false;
    int r = t->io->list(t->io->self, folder->path, on_name, &l);
    if (r < 0 && r != -ENOENT)
        return FAIL_SYS(why, CODE_IO, -r, "the folder %s cannot be read", folder->path);
    if (l.code != CODE_OK)
        return l.code;
    for (size_t i = folder->count; i-- > 0;) /* the ones that are gone */
        if (!folder->files[i].seen) {
            file_clear(&folder->files[i]);
            folder->files[i] = folder->files[--folder->count];
        }
    return CODE_OK;
}

bool trust_knows(const struct trust_folder *folder, const struct ua_certificate *c)
{
    for (size_t i = 0; i < folder->count; i++)
        if (folder->files[i].certificate && ua_certificate_equal(folder->files[i].certificate, c))
            return true;
    return false;
}
