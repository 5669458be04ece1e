/* Our own certificate: made, kept, renewed. timeout: 300 */
#include "opcua/opcua_test_store.h"
#include "opcua/own.h"

#include <errno.h>

static const char *const hosts[] = {"gw1", "gw1.plant-a.lan", "10.0.4.2", "::1"};

static struct ua_own_wish own_wish(void)
{
    return (struct ua_own_wish){.uri = "urn:gw1:fieldgate",
                                .name = "Fieldgate gw1",
                                .hosts = hosts,
                                .host_count = 4,
                                .wall_us = NOW_S * INT64_C(1000000)};
}

static struct ua_application *own_open(struct ua_own_wish w, bool made, bool renewed)
{
    struct ua_application *a;
    struct ua_own_result r;
    if (ua_own_open(&a, memfs_io(fs), "/pki", &w, &r, &why) != CODE_OK)
        fail_msg("%s", why.text);
    assert_int_equal(r.made, made);
    assert_int_equal(r.renewed, renewed);
    return a;
}

static void our_certificate_is_made_once_and_is_believed_by_ourselves(void **state)
{
    struct ua_own_wish w = own_wish();
    struct io_stat st;
    (void)state;
    struct ua_application *a = own_open(w, true, false), *b = own_open(w, false, false);
    assert_true(ua_certificate_equal(a->certificate, b->certificate));
    assert_int_equal(a->certificate->bits, 2048);
    assert_string_equal(a->certificate->uri, w.uri);
    assert_string_equal(a->certificate->name, w.name);
    for (size_t i = 0; i < 4; i++)
        assert_true(ua_certificate_names(a->certificate, bytes_str(hosts[i])));
    assert_true(ua_certificate_names(a->certificate, BYTES_LIT("[::1]")));
    assert_false(ua_certificate_names(a->certificate, BYTES_LIT("gw2")));
    assert_int_equal(memfs_io(fs)->stat(memfs_io(fs)->self, "/pki/own/private/fieldgate.pem", &st), 0);
    assert_int_equal(ua_trust_add(trust, UA_PLACE_TRUSTED, a->certificate->der, NULL, &why), CODE_OK);
    struct ua_trust_question q = {
        .who = "gw1", .host = BYTES_LIT("gw1"), .uri = bytes_str(w.uri), .wall_us = w.wall_us};
    for (int kind = UA_PEER_SERVER; kind <= UA_PEER_USER; kind++) {
        q.kind = (enum ua_peer_kind)kind;
        judged_as(ua_certificate_hold(a->certificate), q, UA_GOOD, 0);
    }
    ua_application_drop(a);
    ua_application_drop(b);
}

static void our_certificate_is_renewed_before_it_ends_and_keeps_its_key(void **state)
{
    struct ua_own_wish w = own_wish();
    (void)state;
    struct ua_application *a = own_open(w, true, false);
    w.wall_us += (int64_t)(UA_OWN_DAYS - UA_OWN_DAYS_LEFT) * 86400 * 1000000;
    struct ua_application *same = own_open(w, false, false);
    w.wall_us += INT64_C(1000000);
    struct ua_application *b = own_open(w, false, true);
    assert_false(ua_certificate_equal(a->certificate, b->certificate));
    assert_int_equal(EVP_PKEY_eq(a->key, b->key), 1);
    assert_true(b->certificate->to_s > a->certificate->to_s);
    w.uri = "urn:gw2:fieldgate";
    struct ua_application *c = own_open(w, false, true);
    assert_string_equal(c->certificate->uri, w.uri);
    ua_application_drop(a);
    ua_application_drop(same);
    ua_application_drop(b);
    ua_application_drop(c);
}

/* On a real disk: nobody else reads the key. */
static void our_key_is_for_us_alone(void **state)
{
    static const char *const below[] = {"/own/certs/fieldgate.der",
                                        "/own/private/fieldgate.pem",
                                        "/own/certs",
                                        "/own/private",
                                        "/own",
                                        "/trusted/certs",
                                        "/trusted/crl",
                                        "/trusted",
                                        "/issuers/certs",
                                        "/issuers/crl",
                                        "/issuers",
                                        "/rejected/certs",
                                        "/rejected",
                                        ""};
    char dir[] = "/tmp/fieldgate-pki-XXXXXX", path[200];
    struct ua_own_wish w = own_wish();
    struct ua_own_result r;
    struct ua_application *a;
    struct ua_trust *t;
    struct io_stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ua_trust_open(&t, &io_system, dir, &why), CODE_OK);
    assert_int_equal(ua_own_open(&a, &io_system, dir, &w, &r, &why), CODE_OK);
    (void)snprintf(path, sizeof path, "%s/own/private/fieldgate.pem", dir);
    assert_int_equal(io_system.stat(io_system.self, path, &st), 0);
    assert_int_equal(st.mode & 077, 0);
    (void)snprintf(path, sizeof path, "%s/own/private", dir);
    assert_int_equal(io_system.stat(io_system.self, path, &st), 0);
    assert_int_equal(st.mode & 077, 0);
    ua_application_drop(a);
    ua_trust_close(t);
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        (void)snprintf(path, sizeof path, "%s%s", dir, below[i]);
        assert_int_equal(remove(path), 0); /* and there is nothing else */
    }
}

/* Somebody's own certificate is used as it is, and never written over. */
static void a_certificate_of_others_stays(void **state)
{
    struct made root = make((struct made_wish){.key = KEY_ROOT, .ca = true, .name = "root"});
    struct made own = make((struct made_wish){.issuer = &root, .sans = "URI:urn:other", .to_s = 100});
    struct cert pair = {own.x, own.key};
    struct bytes der = peers_der(&pair), key = peers_key(&pair);
    (void)state;
    assert_int_equal(io_replace(&io, "/pki/own/certs", "fieldgate.der", der, &why), CODE_OK);
    struct ua_application *a;
    struct ua_own_result r;
    struct ua_own_wish w = own_wish();
    assert_int_equal(ua_own_open(&a, &io, "/pki", &w, &r, &why), CODE_USAGE);
    assert_non_null(strstr(why.text, "fieldgate.pem"));
    assert_int_equal(io_replace(&io, "/pki/own/private", "fieldgate.pem", key, &why), CODE_OK);
    a = own_open(own_wish(), false, false);
    assert_int_equal(lines, 1); /* its URI is not ours */
    assert_true(bytes_equal(a->certificate->der, der));
    ua_application_drop(a);
    w.uri = "urn:other";
    a = own_open(w, false, false);
    assert_int_equal(lines, 2); /* it ends */
    ua_application_drop(a);
    free((void *)(uintptr_t)der.at);
    free((void *)(uintptr_t)key.at);
    made_free(&own);
    made_free(&root);
}

static void a_start_between_key_and_certificate_goes_on(void **state)
{
    struct ua_own_wish w = own_wish();
    struct ua_application *a;
    struct ua_own_result r;
    (void)state;
    memfs_fail(fs, FS_RENAME, 2, EIO, false);
    assert_int_not_equal(ua_own_open(&a, memfs_io(fs), "/pki", &w, &r, &why), CODE_OK);
    assert_null(a);
    a = own_open(w, true, false);
    ua_application_drop(a);
}

static void keys_that_do_not_fit_are_said_so(void **state)
{
    static const struct {
        enum made_key cert, key;
        const char *text;
    } cases[] = {{KEY_LEAF, KEY_OTHER, "does not belong"},
                 {KEY_SMALL, KEY_SMALL, "1024"},
                 {KEY_CURVE, KEY_CURVE, "not RSA"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m = make((struct made_wish){.key = cases[i].cert});
        struct cert c = {m.x, made_key(cases[i].key)};
        struct bytes der = peers_der(&c), key = peers_key(&c);
        struct ua_application *a;
        assert_int_equal(ua_application_new(&a, der, key, &why), CODE_USAGE);
        assert_non_null(strstr(why.text, cases[i].text));
        assert_int_equal(ua_application_new(&a, der, BYTES_LIT("no key"), &why), CODE_USAGE);
        assert_int_equal(ua_application_new(&a, der, BYTES_NONE, &why), CODE_USAGE);
        assert_int_equal(ua_application_new(&a, key, key, &why), CODE_USAGE);
        free((void *)(uintptr_t)der.at);
        free((void *)(uintptr_t)key.at);
        made_free(&m);
    }
}

static void a_person_is_loaded_from_two_files(void **state)
{
    struct made m = make((struct made_wish){.key = KEY_LEAF});
    struct cert c = {m.x, made_key(KEY_LEAF)};
    struct bytes der = peers_der(&c), key = peers_key(&c);
    struct ua_application *a;
    (void)state;
    assert_int_equal(io_replace(&io, "/", "cert", der, &why), CODE_OK);
    assert_int_not_equal(ua_application_load(&a, &io, "/cert", "/key", &why), CODE_OK);
    assert_non_null(strstr(why.text, "/key"));
    assert_null(a);
    assert_int_equal(io_replace(&io, "/", "key", key, &why), CODE_OK);
    assert_int_equal(ua_application_load(&a, &io, "/cert", "/key", &why), CODE_OK);
    assert_string_equal(a->certificate->name, "peer");
    ua_application_drop(a);
    assert_int_equal(ua_application_load(&a, &io, "/key", "/cert", &why), CODE_USAGE);
    free((void *)(uintptr_t)der.at);
    free((void *)(uintptr_t)key.at);
    made_free(&m);
}

static int free_keys(void **state)
{
    (void)state;
    made_keys_free();
    return 0;
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(our_certificate_is_made_once_and_is_believed_by_ourselves),
        WITH_STORE(our_certificate_is_renewed_before_it_ends_and_keeps_its_key),
        WITH_STORE(our_key_is_for_us_alone),
        WITH_STORE(a_certificate_of_others_stays),
        WITH_STORE(a_start_between_key_and_certificate_goes_on),
        WITH_STORE(keys_that_do_not_fit_are_said_so),
        WITH_STORE(a_person_is_loaded_from_two_files),
    };
    return cmocka_run_group_tests(tests, NULL, free_keys);
}
