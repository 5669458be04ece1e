#include "publisher/person.h"

#include "base/mem.h"
#include "opcua/opcua_test_store.h"

#include <openssl/pem.h>
#include <openssl/pkcs12.h>

static void put(const char *path, BIO *bio)
{
    char *at;
    long n = BIO_get_mem_data(bio, &at);
    int f = io.open(io.self, path, IO_WRITE | IO_CREATE);
    assert_true(f >= 0);
    assert_int_equal(io_write_all(&io, f, at, (size_t)n, 0), 0);
    io.close(io.self, f);
    BIO_free(bio);
}

static void put_certificate(const char *path, const struct made *m)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, m->x), 1);
    put(path, bio);
}

static void put_key(const char *path, const struct made *m, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, m->key, password ? EVP_aes_256_cbc() : NULL, password,
                                                   password ? (int)strlen(password) : 0, NULL, NULL),
                     1);
    put(path, bio);
}

static void put_container(const char *path, const struct made *m, const char *password)
{
    PKCS12 *both = PKCS12_create(password, "x", m->key, m->x, NULL, 0, 0, 1, 1, 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(both && i2d_PKCS12_bio(bio, both) == 1);
    PKCS12_free(both);
    put(path, bio);
}

static void found(const char *name, const char *password, const char *common_name)
{
    struct ua_application *a = NULL;
    if (person_find(&a, &io, "/pki/users", name, password, &why) != CODE_OK)
        fail_msg("'%s': %s", name, why.text);
    assert_string_equal(a->certificate->name, common_name);
    assert_int_equal(X509_check_private_key(a->certificate->x[0], a->key), 1);
    ua_application_drop(a);
}

static void not_found(const char *name, const char *password, enum code code, const char *said)
{
    struct ua_application *a = NULL;
    assert_int_equal(person_find(&a, &io, "/pki/users", name, password, &why), code);
    assert_null(a);
    if (!strstr(why.text, said))
        fail_msg("'%s' is not in '%s'", said, why.text);
}

static void folders(void)
{
    (void)io.mkdir(io.self, "/pki/users");
    (void)io.mkdir(io.self, "/pki/users/certs");
    (void)io.mkdir(io.self, "/pki/users/private");
}

static void by_all_its_names(void **state)
{
    (void)state;
    struct made ann = make((struct made_wish){.name = "ann", .key = KEY_LEAF});
    struct made bob = make((struct made_wish){.name = "bob", .key = KEY_OTHER});
    struct ua_certificate *c = made_read(&ann);
    char spaced[64];
    not_found("ann", "", CODE_NOTFOUND, "no user certificate 'ann' in /pki/users");
    folders();
    put_certificate("/pki/users/certs/a.pem", &ann);
    not_found("ann", "", CODE_USAGE, "no key in /pki/users/private belongs to the user certificate \"ann\"");
    put_key("/pki/users/private/b.pem", &bob, NULL);
    not_found("", "", CODE_USAGE, "no key");
    put_key("/pki/users/private/a.pem", &ann, NULL);
    found("", "", "ann");
    put_certificate("/pki/users/certs/b.pem", &bob);
    found("CN=bob", "", "bob");
    found("cn = ANN", "", "ann");
    found("ann", "", "ann");
    found("b.pem", "", "bob");
    found("a", "", "ann");
    found(c->hex, "", "ann");
    (void)snprintf(spaced, sizeof spaced, "%.2s:%.2s %s", c->hex, c->hex + 2, c->hex + 4);
    found(spaced, "", "ann");
    not_found("", "", CODE_USAGE, "2 user certificates");
    not_found("an", "", CODE_NOTFOUND, "'an'");
    ua_certificate_drop(c);
    X509_free(ann.x);
    X509_free(bob.x);
}

static void keys_with_passwords(void **state)
{
    (void)state;
    struct made ann = make((struct made_wish){.name = "ann", .key = KEY_LEAF});
    struct made bob = make((struct made_wish){.name = "bob", .key = KEY_OTHER});
    folders();
    put_certificate("/pki/users/certs/a.pem", &ann);
    put_key("/pki/users/private/a.key", &ann, "one two");
    put_container("/pki/users/private/bob.PFX", &bob, "three");
    found("ann", "one two", "ann");
    found("bob", "three", "bob");
    not_found("ann", "", CODE_USAGE, "OpcAuthenticationPassword does not open it");
    not_found("bob", "thre", CODE_NOTFOUND, "OpcAuthenticationPassword does not open its .pfx");
    assert_null(strstr(why.text, "'thre'"));
    X509_free(ann.x);
    X509_free(bob.x);
}

/* After a renewal both are there for a while. */
static void the_one_that_ends_last(void **state)
{
    (void)state;
    struct made old = make((struct made_wish){.name = "ann", .key = KEY_LEAF, .to_s = 100});
    struct made young = make((struct made_wish){.name = "ann", .key = KEY_LEAF, .to_s = 86400 * 90});
    struct ua_certificate *c = made_read(&young);
    struct ua_application *a = NULL;
    folders();
    put_certificate("/pki/users/certs/1.pem", &young);
    put_certificate("/pki/users/certs/2.pem", &old);
    put_key("/pki/users/private/k.pem", &young, NULL);
    assert_int_equal(person_find(&a, &io, "/pki/users", "ann", "", &why), CODE_OK);
    assert_true(ua_certificate_equal(a->certificate, c));
    ua_application_drop(a);
    ua_certificate_drop(c);
    X509_free(old.x);
    X509_free(young.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_all_its_names, begin, end),
        cmocka_unit_test_setup_teardown(keys_with_passwords, begin, end),
        cmocka_unit_test_setup_teardown(the_one_that_ends_last, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
