/* trust_files.c - what is written into the store: the inbox, and what people decide. */
#include "opcua/trust_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>

enum { NAME_CHARS = 64, FILE_CHARS = NAME_CHARS + 2 + 2 * UA_THUMBPRINT_BYTES + 6, WHICH_LEAST = 4 };

/* ---- names ---- */

/* What any file system takes, and no shell trips over: letters, digits, space . _ - ; others become _. */
static void file_name(const char *common_name, const char *hex, const char *ending, char out[FILE_CHARS])
{
    char name[NAME_CHARS];
    size_t n = 0;
    for (const char *p = common_name; *p && n + 1 < sizeof name; p++) {
        bool plain = isalnum((unsigned char)*p) || *p == '_' || (n && strchr(" .-", *p));
        name[n++] = (char)(plain && (unsigned char)*p < 0x80 ? *p : '_');
    }
    name[n] = 0;
    (void)snprintf(out, FILE_CHARS, "%s [%s].%s", n ? name : "unnamed", hex, ending);
}

static enum code put(struct ua_trust *t, enum trust_folder_id id, const char *name, struct bytes content,
                     struct fault *why)
{
    return io_replace(t->io, t->folders[id].path, name, content, why);
}

static enum code erase(struct ua_trust *t, enum trust_folder_id id, const char *name, struct fault *why)
{
    char *path = trust_path(t->folders[id].path, name);
    int r = path ? t->io->unlink(t->io->self, path) : -ENOMEM;
    mem_free(path);
    if (r == 0)
        r = t->io->sync_dir(t->io->self, t->folders[id].path);
    if (r == 0 || r == -ENOENT)
        return CODE_OK;
    return FAIL_SYS(why, r == -ENOMEM ? CODE_NOMEM : CODE_IO, -r, "%s in %s cannot be removed", name,
                    t->folders[id].path);
}

/* Its own file, and one for each issuer that is written behind it. */
static enum code put_certificate(struct ua_trust *t, enum trust_folder_id id, const struct ua_certificate *c,
                                 bool split, struct fault *why)
{
    char name[FILE_CHARS];
    file_name(c->name, c->hex, "der", name);
    enum code code = put(t, id, name, split ? c->leaf : c->der, why);
    struct bytes rest = bytes_from(c->der, c->leaf.len);
    if (!split || rest.len == 0 || code != CODE_OK)
        return code;
    struct ua_certificate *above;
    code = ua_certificate_read(&above, rest, why);
    if (code == CODE_OK) {
        code = put_certificate(t, FOLDER_ISSUERS, above, true, why);
        ua_certificate_drop(above);
    }
    return code;
}

/* ---- the inbox ---- */

static struct trust_file *oldest(struct trust_folder *f, uint64_t *bytes)
{
    struct trust_file *found = NULL;
    *bytes = 0;
    for (size_t i = 0; i < f->count; i++) {
        *bytes += f->files[i].stat.size;
        if (!found || f->files[i].stat.mtime_ns < found->stat.mtime_ns)
            found = &f->files[i];
    }
    return found;
}

static enum code make_room(struct ua_trust *t, size_t more, struct fault *why)
{
    struct trust_folder *f = &t->folders[FOLDER_REJECTED];
    enum code code = trust_look(t, FOLDER_REJECTED, why);
    uint64_t bytes;
    struct trust_file *old = oldest(f, &bytes);
    while (code == CODE_OK && old && (f->count >= UA_INBOX_FILES || bytes + more > UA_INBOX_BYTES)) {
        code = erase(t, FOLDER_REJECTED, old->name, why);
        if (code == CODE_OK)
            code = trust_look(t, FOLDER_REJECTED, why);
        old = oldest(f, &bytes);
    }
    return code;
}

void trust_to_inbox(struct ua_trust *t, const struct ua_certificate *c)
{
    struct fault why;
    enum code code = trust_look(t, FOLDER_REJECTED, &why);
    if (code == CODE_OK && trust_knows(&t->folders[FOLDER_REJECTED], c))
        return;
    if (code == CODE_OK)
        code = make_room(t, c->der.len, &why);
    if (code == CODE_OK)
        code = put_certificate(t, FOLDER_REJECTED, c, false, &why);
    if (code != CODE_OK)
        log_warn("opcua",
                 "FG%04d the certificate \"%s\" was refused, and could not be kept for a decision: %s",
                 UA_TRUST_FILE, c->name, why.text);
}

/* ---- finding ---- */

/* "77:AB 01" of what was asked becomes 77AB01; 0: it is no thumbprint. */
static size_t hex_of(struct bytes which, char out[2 * UA_THUMBPRINT_BYTES + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < which.len; i++) {
        uint8_t ch = which.at[i];
        if (ch == ':' || ch == ' ')
            continue;
        if (!isxdigit(ch) || n == 2 * UA_THUMBPRINT_BYTES)
            return 0;
        out[n++] = (char)toupper(ch);
    }
    out[n] = 0;
    return n >= WHICH_LEAST ? n : 0;
}

static bool matches(const struct trust_file *f, struct bytes which, const char *hex, size_t hex_len)
{
    if (bytes_is(which, f->name))
        return true;
    if (!f->certificate)
        return false;
    return bytes_is(which, f->certificate->name) ||
           (hex_len && strncmp(f->certificate->hex, hex, hex_len) == 0);
}

struct found {
    enum trust_folder_id id;
    size_t at;
    unsigned count;
};

static enum code find(struct ua_trust *t, const enum trust_folder_id *where, size_t places,
                      struct bytes which, struct found *out, struct fault *why)
{
    char hex[2 * UA_THUMBPRINT_BYTES + 1], text[80];
    size_t hex_len = hex_of(which, hex);
    *out = (struct found){0};
    for (size_t p = 0; p < places; p++) {
        enum code code = trust_look(t, where[p], why);
        if (code != CODE_OK)
            return code;
        const struct trust_folder *f = &t->folders[where[p]];
        for (size_t i = 0; i < f->count; i++)
            if (matches(&f->files[i], which, hex, hex_len)) {
                out->id = where[p];
                out->at = i;
                out->count++;
            }
    }
    (void)bytes_escape(which, text, sizeof text);
    if (out->count == 0)
        return FAIL(why, CODE_NOTFOUND, 0,
                    "no certificate \"%s\" is %s. fieldgate opcua trust list shows them", text,
                    places > 1                    ? "here"
                    : where[0] == FOLDER_REJECTED ? "waiting"
                                                  : "trusted");
    if (out->count > 1)
        return FAIL(why, CODE_USAGE, 0, "\"%s\" means %u certificates; name one by its SHA1", text,
                    out->count);
    return CODE_OK;
}

static void tell(char *name, const struct trust_file *f)
{
    if (name)
        (void)snprintf(name, UA_SUBJECT_CHARS, "%s", f->certificate ? f->certificate->name : f->name);
}

/* Written at the new place before it goes at the old one: whatever happens between, it is not lost. */
static enum code move(struct ua_trust *t, enum trust_folder_id from, enum trust_folder_id to,
                      struct bytes which, char *name, struct fault *why)
{
    struct found f;
    (void)pthread_mutex_lock(&t->lock);
    enum code code = find(t, &from, 1, which, &f, why);
    if (code == CODE_OK) {
        struct trust_file *file = &t->folders[from].files[f.at];
        tell(name, file);
        if (file->certificate)
            code = put_certificate(t, to, file->certificate, to == FOLDER_TRUSTED, why);
        else
            code = FAIL(why, CODE_MALFORMED, 0, "%s cannot be read: %s", file->name, file->why.text);
        if (code == CODE_OK)
            code = erase(t, from, file->name, why);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return code;
}

enum code ua_trust_accept(struct ua_trust *t, struct bytes which, char *name, struct fault *why)
{
    return move(t, FOLDER_REJECTED, FOLDER_TRUSTED, which, name, why);
}

enum code ua_trust_reject(struct ua_trust *t, struct bytes which, char *name, struct fault *why)
{
    return move(t, FOLDER_TRUSTED, FOLDER_REJECTED, which, name, why);
}

enum code ua_trust_remove(struct ua_trust *t, struct bytes which, char *name, struct fault *why)
{
    static const enum trust_folder_id all[] = {FOLDER_TRUSTED, FOLDER_ISSUERS, FOLDER_REJECTED};
    struct found f;
    (void)pthread_mutex_lock(&t->lock);
    enum code code = find(t, all, 3, which, &f, why);
    if (code == CODE_OK) {
        tell(name, &t->folders[f.id].files[f.at]);
        code = erase(t, f.id, t->folders[f.id].files[f.at].name, why);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return code;
}

enum code ua_trust_add(struct ua_trust *t, enum ua_trust_place place, struct bytes file, char *name,
                       struct fault *why)
{
    struct ua_certificate *c;
    enum code code = ua_certificate_read_file(&c, file, why);
    if (code != CODE_OK)
        return code;
    if (name)
        (void)snprintf(name, UA_SUBJECT_CHARS, "%s", c->name);
    (void)pthread_mutex_lock(&t->lock);
    code = put_certificate(t, (enum trust_folder_id)place, c, place != UA_PLACE_REJECTED, why);
    (void)pthread_mutex_unlock(&t->lock);
    ua_certificate_drop(c);
    return code;
}

/* A new list of the same CA takes the place of the one before. */
static bool crl_name(X509_CRL *crl, char out[FILE_CHARS], char *name)
{
    char text[UA_SUBJECT_CHARS], hex[2 * UA_THUMBPRINT_BYTES + 1];
    uint8_t sha1[EVP_MAX_MD_SIZE];
    unsigned n;
    X509_NAME *issuer = X509_CRL_get_issuer(crl);
    int len = X509_NAME_get_text_by_NID(issuer, NID_commonName, text, sizeof text);
    if (X509_NAME_digest(issuer, EVP_sha1(), sha1, &n) != 1)
        return false;
    for (size_t i = 0; i < UA_THUMBPRINT_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02X", sha1[i]);
    file_name(len > 0 ? text : "", hex, "crl", out);
    if (name)
        (void)bytes_escape(len > 0 ? bytes_str(text) : bytes_str("unnamed"), name, UA_SUBJECT_CHARS);
    return true;
}

enum code ua_trust_add_crl(struct ua_trust *t, enum ua_trust_place place, struct bytes file, char *name,
                           struct fault *why)
{
    char as[FILE_CHARS];
    uint8_t *der = NULL;
    if (file.len > UA_TRUST_CRL_BYTES)
        return FAIL(why, CODE_LIMIT, 0, "%zu bytes are too many for a list of revoked certificates",
                    file.len);
    X509_CRL *crl = trust_read_crl(file);
    if (!crl)
        return FAIL(why, CODE_MALFORMED, 0, "this is no list of revoked certificates (CRL) in DER or PEM");
    int n = i2d_X509_CRL(crl, &der);
    enum code code = n > 0 && crl_name(crl, as, name) ? CODE_OK
                                                      : FAIL(why, CODE_NOMEM, 0, "no memory for a CRL");
    (void)pthread_mutex_lock(&t->lock);
    if (code == CODE_OK)
        code = put(t, place == UA_PLACE_TRUSTED ? FOLDER_TRUSTED_CRL : FOLDER_ISSUERS_CRL, as,
                   bytes_of(der, (size_t)n), why);
    (void)pthread_mutex_unlock(&t->lock);
    OPENSSL_free(der);
    X509_CRL_free(crl);
    ERR_clear_error();
    return code;
}

enum code ua_trust_list(struct ua_trust *t, void (*each)(void *ctx, const struct ua_trust_entry *), void *ctx,
                        struct fault *why)
{
    enum code code = CODE_OK;
    (void)pthread_mutex_lock(&t->lock);
    for (int p = 0; code == CODE_OK && p < UA_PLACES; p++) {
        code = trust_look(t, (enum trust_folder_id)p, why);
        for (size_t i = 0; code == CODE_OK && i < t->folders[p].count; i++) {
            const struct trust_file *f = &t->folders[p].files[i];
            each(ctx, &(struct ua_trust_entry){(enum ua_trust_place)p, f->name, f->stat.mtime_ns,
                                               f->certificate, &f->why});
        }
    }
    (void)pthread_mutex_unlock(&t->lock);
    return code;
}
