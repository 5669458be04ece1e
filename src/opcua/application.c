#include "opcua/application.h"

#include "base/mem.h"
#include "opcua/rsa.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>

enum { FILE_BYTES_MAX = 256 << 10 }; /* a certificate with all its issuers is a tenth of it */

struct counted {
    struct ua_application a; /* first */
    _Atomic unsigned refs;
};

struct ua_application *ua_application_hold(struct ua_application *a)
{
    atomic_fetch_add_explicit(&((struct counted *)a)->refs, 1, memory_order_relaxed);
    return a;
}

void ua_application_drop(struct ua_application *a)
{
    if (!a || atomic_fetch_sub_explicit(&((struct counted *)a)->refs, 1, memory_order_acq_rel) != 1)
        return;
    ua_certificate_drop(a->certificate);
    EVP_PKEY_free(a->key);
    mem_free(a);
}

/* Secrets that need a person are not for a program that starts by itself. */
static int no_passphrase(char *to, int n, int writing, void *asked)
{
    (void)to;
    (void)n;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static EVP_PKEY *read_key(struct bytes text, bool *asked)
{
    if (text.len && text.at[0] == 0x30) { /* SEQUENCE */
        const uint8_t *at = text.at;
        return d2i_AutoPrivateKey(NULL, &at, (long)text.len);
    }
    BIO *bio = text.len ? BIO_new_mem_buf(text.at, (int)text.len) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, asked) : NULL;
    BIO_free(bio);
    return key;
}

static enum code fill(struct ua_application *a, struct bytes certificate, struct bytes key, struct fault *why)
{
    bool asked = false;
    char words[64];
    struct fault inner;
    enum code code = ua_certificate_read_file(&a->certificate, certificate, &inner);
    if (code == CODE_NOMEM)
        return FAIL(why, CODE_NOMEM, 0, "%s", inner.text);
    if (code != CODE_OK)
        return FAIL(why, CODE_USAGE, 0, "our certificate cannot be read: %s", inner.text);
    a->key = read_key(key, &asked);
    ERR_clear_error();
    if (!a->key)
        return FAIL(why, CODE_USAGE, 0, "%s",
                    asked ? "our key is encrypted, and nobody is there to give its passphrase: openssl pkey "
                            "-in KEY -out KEY"
                          : "our key is neither PEM (-----BEGIN PRIVATE KEY-----) nor DER");
    if (!ua_rsa_fits(a->key))
        return FAIL(why, CODE_USAGE, 0, "ours is %s; OPC UA needs RSA of %d to %d",
                    ua_rsa_words(a->key, words), UA_RSA_BITS_MIN, UA_RSA_BITS_MAX);
    if (X509_check_private_key(a->certificate->x[0], a->key) != 1) {
        ERR_clear_error();
        return FAIL(why, CODE_USAGE, 0, "our key does not belong to our certificate \"%s\"",
                    a->certificate->name);
    }
    return CODE_OK;
}

enum code ua_application_new(struct ua_application **out, struct bytes certificate, struct bytes key,
                             struct fault *why)
{
    struct counted *k = mem_zalloc(1, sizeof *k);
    *out = NULL;
    if (!k)
        return FAIL(why, CODE_NOMEM, 0, "no memory for our certificate");
    atomic_init(&k->refs, 1);
    enum code code = fill(&k->a, certificate, key, why);
    if (code == CODE_OK)
        *out = &k->a;
    else
        ua_application_drop(&k->a);
    return code;
}

enum code ua_application_load(struct ua_application **out, const struct io *io, const char *certificate, const char *key,
                              struct fault *why)
{
    char *cert_text = NULL, *key_text = NULL;
    size_t cert_len = 0, key_len = 0;
    *out = NULL;
    enum code c = io_load(io, certificate, FILE_BYTES_MAX, &cert_text, &cert_len, why);
    if (c == CODE_OK)
        c = io_load(io, key, FILE_BYTES_MAX, &key_text, &key_len, why);
    if (c == CODE_OK)
        c = ua_application_new(out, bytes_of(cert_text, cert_len), bytes_of(key_text, key_len), why);
    if (key_text)
        OPENSSL_cleanse(key_text, key_len);
    mem_free(key_text);
    mem_free(cert_text);
    return c;
}
