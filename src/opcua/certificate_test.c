/* What is read of a certificate, and what is not. timeout: 300 */
#include "opcua/opcua_test_certs.h"
#include "opcua/rsa.h"
#include "support/oom.h"

#include "base/mem.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct fault why;

static struct bytes der_of(const struct made *m)
{
    struct cert c = {m->x, m->key};
    return peers_der(&c);
}

static void give(struct bytes b)
{
    free((void *)(uintptr_t)b.at);
}

static void what_it_says(void **state)
{
    struct made m = make((struct made_wish){.name = "press-1"});
    struct ua_certificate *c = made_read(&m);
    char text[100];
    uint8_t sha1[20];
    unsigned n;
    (void)state;
    assert_string_equal(c->name, "press-1");
    assert_string_equal(c->subject, "CN=press-1");
    assert_string_equal(c->uri, "urn:peer");
    assert_int_equal(c->uri_count, 1);
    assert_int_equal(c->bits, 2048);
    assert_true(c->rsa && c->hash_strong && c->self_issued && !c->ca);
    assert_string_equal(c->hash, "SHA256");
    assert_int_equal(c->from_s, NOW_S - 86400);
    assert_int_equal(c->to_s, NOW_S + 86400);
    assert_int_equal(X509_digest(m.x, EVP_sha1(), sha1, &n), 1);
    assert_memory_equal(c->thumbprint, sha1, 20);
    for (int i = 0; i < 20; i++)
        (void)snprintf(text + 2 * i, 3, "%02X", sha1[i]);
    assert_string_equal(c->hex, text);
    assert_string_equal(ua_certificate_hosts(c, text, sizeof text), "peer.lan, 10.0.4.20");
    assert_true(bytes_equal(c->leaf, c->der));
    ua_certificate_drop(c);
    made_free(&m);
}

static void names_of_hosts(void **state)
{
    static const struct {
        const char *sans, *host;
        bool named;
    } cases[] = {
        {"DNS:gw1.lan", "gw1.lan", true},
        {"DNS:gw1.lan", "GW1.LAN", true},
        {"DNS:gw1.lan", "gw1", false},
        {"DNS:gw1.lan", "gw1.lan.evil", false},
        {"DNS:*.plant.lan", "gw1.plant.lan", true},
        {"DNS:*.plant.lan", "a.gw1.plant.lan", false},
        {"DNS:*.lan", "gw1.lan", false},
        {"DNS:*", "gw1", false},
        {"IP:10.0.4.2", "10.0.4.2", true},
        {"IP:10.0.4.2", "10.0.4.20", false},
        {"DNS:10.0.4.2", "10.0.4.3", false},
        {"IP:fe80::1", "[fe80::1]", true},
        {"IP:fe80::1", "fe80:0::1", true},
        {"URI:urn:gw1", "gw1", false},
        {"email:gw1@lan", "gw1", false},
        {"DNS:gw1", "", false},
        {"DNS:gw1", "[]", false},
        {"DNS:gw1", "peer", false}, /* the common name is no host */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m = make((struct made_wish){.sans = cases[i].sans});
        struct ua_certificate *c = made_read(&m);
        if (ua_certificate_names(c, bytes_str(cases[i].host)) != cases[i].named)
            fail_msg("%s and %s", cases[i].sans, cases[i].host);
        ua_certificate_drop(c);
        made_free(&m);
    }
    struct made m = make((struct made_wish){.sans = "DNS:gw1"});
    struct ua_certificate *c = made_read(&m);
    assert_false(ua_certificate_names(c, BYTES_LIT("gw1\0.evil")));
    static char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    assert_false(ua_certificate_names(c, bytes_str(longest)));
    ua_certificate_drop(c);
    made_free(&m);
}

static void subjects_are_fit_for_a_line(void **state)
{
    static const char *const names[] = {"a\nb", "a\x1b[31mb", "\"a\", b", "\xc3\xa4"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct made m = make((struct made_wish){.name = names[i]});
        struct ua_certificate *c = made_read(&m);
        for (const char *p = c->name; *p; p++)
            assert_true((unsigned char)*p >= 0x20);
        for (const char *p = c->subject; *p; p++)
            assert_true((unsigned char)*p >= 0x20);
        assert_true(strlen(c->name) > 0);
        ua_certificate_drop(c);
        made_free(&m);
    }
}

static void cut_anywhere_it_is_none(void **state)
{
    struct made m = make((struct made_wish){0});
    struct bytes der = der_of(&m);
    struct ua_certificate *c;
    (void)state;
    for (size_t n = 0; n < der.len; n++) {
        uint8_t *copy = malloc(n ? n : 1); /* exactly so long */
        peers_must(copy != NULL);
        memcpy(copy, der.at, n);
        assert_int_equal(ua_certificate_read(&c, bytes_of(copy, n), &why), CODE_MALFORMED);
        assert_null(c);
        free(copy);
    }
    give(der);
    made_free(&m);
}

static void chains_have_their_limits(void **state)
{
    struct made m = make((struct made_wish){0});
    struct bytes der = der_of(&m);
    struct buf all = {0};
    struct ua_certificate *c;
    (void)state;
    for (int n = 1; n <= 100; n++) {
        buf_add_bytes(&all, der);
        enum code code = ua_certificate_read(&c, buf_bytes(&all), &why);
        assert_int_equal(code, n <= UA_CHAIN_MAX ? CODE_OK : CODE_LIMIT);
        if (c) {
            assert_int_equal(c->count, n);
            assert_true(bytes_equal(c->leaf, der));
        }
        ua_certificate_drop(c);
    }
    buf_reset(&all);
    buf_add_bytes(&all, der);
    buf_u8(&all, 0); /* something behind it */
    assert_int_equal(ua_certificate_read(&c, buf_bytes(&all), &why), CODE_MALFORMED);
    buf_reset(&all);
    while (buf_size(&all) <= UA_CHAIN_BYTES_MAX)
        buf_u8(&all, 0x30);
    assert_int_equal(ua_certificate_read(&c, buf_bytes(&all), &why), CODE_LIMIT);
    buf_clear(&all);
    give(der);
    made_free(&m);
}

static void many_names_are_refused(void **state)
{
    (void)state;
    for (int n = UA_SAN_MAX; n <= UA_SAN_MAX + 1; n++) {
        struct buf sans = {0};
        struct ua_certificate *c;
        for (int i = 0; i < n; i++)
            buf_printf(&sans, "%sDNS:h%d", i ? "," : "", i);
        buf_u8(&sans, 0);
        struct made m = make((struct made_wish){.sans = (const char *)buf_bytes(&sans).at});
        struct bytes der = der_of(&m);
        assert_int_equal(ua_certificate_read(&c, der, &why), n <= UA_SAN_MAX ? CODE_OK : CODE_LIMIT);
        ua_certificate_drop(c);
        give(der);
        made_free(&m);
        buf_clear(&sans);
    }
}

static void files_may_be_pem(void **state)
{
    struct made m = make((struct made_wish){0}), other = make((struct made_wish){.name = "other"});
    struct ua_certificate *c;
    BIO *bio = BIO_new(BIO_s_mem());
    (void)state;
    peers_must(BIO_puts(bio, "what people write above it\n") > 0);
    peers_must(PEM_write_bio_X509(bio, m.x) == 1 && PEM_write_bio_X509(bio, other.x) == 1);
    struct bytes pem = peers_copy(bio);
    assert_int_equal(ua_certificate_read_file(&c, pem, &why), CODE_OK);
    assert_int_equal(c->count, 2);
    assert_string_equal(c->name, "peer");
    ua_certificate_drop(c);
    assert_int_equal(ua_certificate_read_file(&c, bytes_of(pem.at, pem.len - 100), &why), CODE_MALFORMED);
    assert_int_equal(ua_certificate_read_file(&c, BYTES_LIT("nothing"), &why), CODE_MALFORMED);
    assert_int_equal(ua_certificate_read_file(&c, BYTES_NONE, &why), CODE_MALFORMED);
    give(pem);
    made_free(&m);
    made_free(&other);
}

/* A public exponent as long as the key makes each check as dear as a signature. */
static void keys_that_cost_too_much(void **state)
{
    (void)state;
    assert_true(ua_rsa_fits(made_key(KEY_LEAF)));
    assert_false(ua_rsa_fits(made_key(KEY_SMALL)));
    assert_false(ua_rsa_fits(made_key(KEY_CURVE)));
    BIGNUM *n = NULL, *e = BN_new();
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    peers_must(e && b && ctx && EVP_PKEY_get_bn_param(made_key(KEY_LEAF), OSSL_PKEY_PARAM_RSA_N, &n) == 1);
    peers_must(BN_set_bit(e, 33) && BN_set_bit(e, 0));
    peers_must(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) &&
               OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e));
    OSSL_PARAM *p = OSSL_PARAM_BLD_to_param(b);
    peers_must(p && EVP_PKEY_fromdata_init(ctx) == 1 &&
               EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, p) == 1);
    assert_false(ua_rsa_fits(key));
    EVP_PKEY_free(key);
    OSSL_PARAM_free(p);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_BLD_free(b);
    BN_free(e);
    BN_free(n);
}

static const char *read_without_memory(void *ctx)
{
    const struct bytes *der = ctx;
    struct ua_certificate *c;
    oom_arm();
    enum code code = ua_certificate_read(&c, *der, &why);
    oom_disarm();
    const char *broken = (code == CODE_OK) != (c != NULL)               ? "a code that does not fit"
                         : code != CODE_OK && code != CODE_NOMEM        ? "an error that is none of memory"
                         : c && (!c->uri || strcmp(c->uri, "urn:peer")) ? "read by half"
                                                                        : NULL;
    ua_certificate_drop(c);
    return broken;
}

static void without_memory(void **state)
{
    struct oom_result r;
    struct made m = make((struct made_wish){0});
    struct bytes der = der_of(&m);
    (void)state;
    if (!oom_each("certificate", read_without_memory, &der, &r))
        fail_msg("%s", r.first);
    assert_true(r.refused >= 3);
    give(der);
    made_free(&m);
}

static int free_keys(void **state)
{
    (void)state;
    made_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(names_of_hosts),
        cmocka_unit_test(subjects_are_fit_for_a_line),
        cmocka_unit_test(cut_anywhere_it_is_none),
        cmocka_unit_test(chains_have_their_limits),
        cmocka_unit_test(many_names_are_refused),
        cmocka_unit_test(files_may_be_pem),
        cmocka_unit_test(keys_that_cost_too_much),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, free_keys);
}
