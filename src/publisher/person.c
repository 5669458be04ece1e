/* person.c - see person.h. */
#include "publisher/person.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <strings.h>

struct looking {
    const struct io *io;
    const char *dir, *name, *password;
    struct buf files; /* names, each with its NUL */
    uint32_t count;
    struct ua_certificate *best; /* of those that fit */
    EVP_PKEY *key;               /* of `best`, when it came with it */
    uint32_t fitting, locked;    /* certificates; key files that the password does not open */
};

/* ---- files ---- */

static void on_file(void *ctx, const char *name)
{
    struct looking *l = ctx;
    if (name[0] == '.' || l->count >= PERSON_FILES_MAX)
        return;
    buf_add(&l->files, name, strlen(name) + 1);
    l->count++;
}

static bool is_container(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot && (strcasecmp(dot, ".pfx") == 0 || strcasecmp(dot, ".p12") == 0);
}

/* Each file of a folder: its name and what is in it, which may be a key and so leaves no trace. */
static void each_file(struct looking *l, const char *folder,
                      void (*take)(struct looking *, const char *file, struct bytes text))
{
    char path[1024];
    buf_reset(&l->files);
    l->count = 0;
    (void)snprintf(path, sizeof path, "%s/%s", l->dir, folder);
    if (l->io->list(l->io->self, path, on_file, l) < 0 || l->files.bad)
        return;
    const char *file = (const char *)l->files.at + l->files.from;
    for (uint32_t i = 0; i < l->count; i++, file += strlen(file) + 1) {
        char *text;
        size_t len;
        struct fault why;
        (void)snprintf(path, sizeof path, "%s/%s/%s", l->dir, folder, file);
        if (io_load(l->io, path, PERSON_FILE_BYTES, &text, &len, &why) != CODE_OK)
            continue;
        take(l, file, bytes_of(text, len));
        OPENSSL_cleanse(text, len);
        mem_free(text);
    }
}

/* ---- which one ---- */

/* Without regard to case, blanks and colons: thumbprints and subjects are written in several ways. */
static bool alike(const char *a, const char *b)
{
    static const char blank[] = " :";
    for (;; a++, b++) {
        a += strspn(a, blank);
        b += strspn(b, blank);
        if (strncasecmp(a, b, 1) != 0)
            return false;
        if (!*a)
            return true;
    }
}

static bool is_meant(const struct looking *l, const struct ua_certificate *c, const char *file)
{
    const char *dot = strrchr(file, '.');
    size_t stem = dot ? (size_t)(dot - file) : strlen(file);
    return !l->name[0] || alike(l->name, c->hex) || alike(l->name, c->subject) || alike(l->name, c->name) ||
           strcmp(l->name, file) == 0 || (strlen(l->name) == stem && memcmp(l->name, file, stem) == 0);
}

/* Takes both. */
static void consider(struct looking *l, struct ua_certificate *c, EVP_PKEY *key, const char *file)
{
    if (c && is_meant(l, c, file)) {
        bool same = l->best && ua_certificate_equal(l->best, c);
        l->fitting += !same;
        if (!l->best || c->to_s > l->best->to_s || (same && key)) {
            ua_certificate_drop(l->best);
            EVP_PKEY_free(l->key);
            l->best = c;
            l->key = key;
            return;
        }
    }
    ua_certificate_drop(c);
    EVP_PKEY_free(key);
}

static void take_certificate(struct looking *l, const char *file, struct bytes text)
{
    struct ua_certificate *c = NULL;
    struct fault why;
    if (ua_certificate_read_file(&c, text, &why) == CODE_OK)
        consider(l, c, NULL, file);
}

static void take_container(struct looking *l, const char *file, struct bytes text)
{
    const uint8_t *at = text.at;
    struct ua_certificate *c = NULL;
    EVP_PKEY *key = NULL;
    X509 *x = NULL;
    uint8_t *der = NULL;
    struct fault why;
    if (!is_container(file))
        return;
    PKCS12 *both = d2i_PKCS12(NULL, &at, (long)text.len);
    if (both && PKCS12_parse(both, l->password, &key, &x, NULL) != 1)
        l->locked++;
    int n = x ? i2d_X509(x, &der) : 0;
    if (n > 0 && ua_certificate_read(&c, bytes_of(der, (size_t)n), &why) != CODE_OK)
        c = NULL;
    consider(l, c, key, file);
    OPENSSL_free(der);
    X509_free(x);
    PKCS12_free(both);
    ERR_clear_error();
}

/* ---- its key ---- */

static void take_key(struct looking *l, const char *file, struct bytes text)
{
    const uint8_t *at = text.at;
    EVP_PKEY *key = NULL;
    if (l->key || is_container(file) || !text.len)
        return;
    if (text.at[0] == 0x30) {
        key = d2i_AutoPrivateKey(NULL, &at, (long)text.len);
    } else {
        BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);
        key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t)l->password) : NULL;
        BIO_free(bio);
        l->locked += !key;
    }
    if (key && X509_check_private_key(l->best->x[0], key) == 1)
        l->key = key;
    else
        EVP_PKEY_free(key);
    ERR_clear_error();
}

static enum code make(struct looking *l, struct ua_application **out, struct fault *why)
{
    uint8_t *der = NULL;
    int n = i2d_PrivateKey(l->key, &der);
    if (n <= 0)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a user's key");
    enum code c = ua_application_new(out, l->best->der, bytes_of(der, (size_t)n), why);
    OPENSSL_clear_free(der, (size_t)n);
    return c;
}

static enum code choose(struct looking *l, struct ua_application **out, struct fault *why)
{
    char said[128];
    (void)bytes_escape(bytes_str(l->name), said, sizeof said);
    each_file(l, "certs", take_certificate);
    each_file(l, "private", take_container);
    if (!l->best)
        return FAIL(why, CODE_NOTFOUND, 0,
                    "there is no user certificate '%s' in %s%s. Put it into certs there, and its key into "
                    "private, or both as NAME.pfx into private",
                    said, l->dir, l->locked ? ", or OpcAuthenticationPassword does not open its .pfx" : "");
    if (!l->name[0] && l->fitting > 1)
        return FAIL(why, CODE_USAGE, 0,
                    "there are %u user certificates in %s: OpcAuthenticationUsername must say the subject or "
                    "the thumbprint of one",
                    l->fitting, l->dir);
    if (!l->key)
        each_file(l, "private", take_key);
    if (!l->key)
        return FAIL(why, CODE_USAGE, 0, "no key in %s/private belongs to the user certificate \"%s\"%s", l->dir,
                    l->best->name,
                    l->locked ? ", or OpcAuthenticationPassword does not open it" : "");
    return make(l, out, why);
}

enum code person_find(struct ua_application **out, const struct io *io, const char *dir, const char *name,
                      const char *password, struct fault *why)
{
    struct looking l = {.io = io, .dir = dir, .name = name, .password = password};
    enum code c = choose(&l, out, why);
    ua_certificate_drop(l.best);
    EVP_PKEY_free(l.key);
    buf_clear(&l.files);
    return c;
}
