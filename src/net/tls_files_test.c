/* tls_files_test.c - what can be wrong with files of certificates, said by file name and reason; and files that change. */
#include "net/sim.h"
#include "net/tls.h"
#include "net/tls_watch.h"
#include "support/certs.h"

#include "base/log.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct cert root, one, two, old, weak;
static const char *root_pem, *one_pem, *one_key, *two_key;
static struct fault why;
static char         logged[1024];

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)snprintf(logged, sizeof logged, "%s", line);
}

static int begin(void **state)
{
    (void)state;
    (void)certs_begin();
    log_set_sink(keep_line, NULL);
    root = cert_make(&(struct cert_wish){ .name = "Root", .ca = true });
    one = cert_make(&(struct cert_wish){ .issuer = &root, .name = "one", .to_s = 2000000000 });
    two = cert_make(&(struct cert_wish){ .issuer = &root, .name = "two" });
    old = cert_make(&(struct cert_wish){ .issuer = &root, .name = "old", .to_s = 1600000000 });
    weak = cert_make(&(struct cert_wish){ .issuer = &root, .name = "weak", .rsa_bits = 1024 });
    root_pem = certs_chain("root.pem", (const struct cert *[]){ &root }, 1);
    one_pem = certs_chain("one.pem", (const struct cert *[]){ &one, &root }, 2);
    one_key = certs_key("one.key", &one);
    two_key = certs_key("two.key", &two);
    return 0;
}

static int end(void **state)
{
    (void)state;
    struct cert *const all[] = { &root, &one, &two, &old, &weak };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cert_free(all[i]);
    log_set_sink(NULL, NULL);
    certs_end();
    return 0;
}

static enum code load(const char *chain, const char *key, const char *ca)
{
    struct tls_server *s;
    const struct tls_server_options o = { chain, key, ca, ca ? TLS_ASK_REQUIRED : TLS_ASK_NONE, "mqtt" };
    logged[0] = 0;
    enum code c = tls_server_load(&s, &io_system, &o, &why);
    if (c == CODE_OK)
        assert_true(tls_server_not_after_s(s) > 0);
    tls_server_drop(s);
    return c;
}

static void a_good_set_is_taken_silently(void **state)
{
    struct tls_server *s;
    const struct tls_server_options o = { one_pem, one_key, root_pem, TLS_ASK_OPTIONAL, "http/1.1" };
    (void)state;
    logged[0] = 0;
    assert_int_equal(tls_server_load(&s, &io_system, &o, &why), CODE_OK);
    assert_int_equal(tls_server_not_after_s(s), 2000000000); /* the leaf ends before the root */
    assert_string_equal(logged, "");
    tls_server_drop(tls_server_hold(s));
    tls_server_drop(s);
}

static void what_is_wrong_is_said_by_file(void **state)
{
    (void)state;
    const struct cert *many[12];
    for (size_t i = 0; i < 12; i++)
        many[i] = &one;
    const char *pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    const char *damaged = certs_text("damaged.pem", pem, strlen(pem));
    const char *empty = certs_text("empty.pem", "", 0);
    const char *text = certs_text("text.pem", "not a certificate\n", 18);
    const char *long_chain = certs_chain("long.pem", many, 12);
    const char *weak_pem = certs_chain("weak.pem", (const struct cert *[]){ &weak }, 1);
    const char *weak_key = certs_key("weak.key", &weak);
    const struct {
        const char *chain, *key, *ca, *file, *said;
        int         number;
    } table[] = {
        { "/nonexistent/c.pem", one_key, NULL, "/nonexistent/c.pem", "the certificate chain cannot be read", 2120 },
        { one_pem, "/nonexistent/k.pem", NULL, "/nonexistent/k.pem", "the private key cannot be read", 2120 },
        { one_pem, one_key, "/nonexistent/r.pem", "/nonexistent/r.pem", "the CA certificates cannot be read", 2120 },
        { "/tmp", one_key, NULL, "/tmp", "cannot be read", 2120 },
        { empty, one_key, NULL, empty, "is empty", 2121 },
        { one_pem, empty, NULL, empty, "is empty", 2121 },
        { one_pem, one_key, empty, empty, "is empty", 2121 },
        { text, one_key, NULL, text, "holds no certificate", 2121 },
        { one_pem, text, NULL, text, "holds no private key", 2121 },
        { one_pem, one_key, text, text, "holds no certificate", 2121 },
        { one_pem, one_key, one_key, one_key, "holds no certificate", 2121 },
        { one_pem, one_pem, NULL, one_pem, "holds no private key", 2121 },
        { damaged, one_key, NULL, damaged, "certificate 1 in it is damaged", 2121 },
        { long_chain, one_key, NULL, long_chain, "more than 10 certificates", 2121 },
        { weak_pem, weak_key, NULL, weak_pem, "too weak", 2121 },
        { one_pem, two_key, NULL, two_key, "does not belong to the first certificate", 2122 },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum code c = load(table[i].chain, table[i].key, table[i].ca);
        if (c != CODE_USAGE || why.number != table[i].number || !strstr(why.text, table[i].file) ||
            !strstr(why.text, table[i].said))
            fail_msg("%zu: wanted FG%d ..%s.., got %s FG%d %s", i, table[i].number, table[i].said, code_name(c), why.number,
                     why.text);
    }
}

static void a_key_with_a_passphrase_is_refused_without_asking(void **state)
{
    char path[300];
    (void)state;
    (void)snprintf(path, sizeof path, "%s.locked", one_key);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, one.key, EVP_aes_128_cbc(), (const uint8_t *)"secret", 6, NULL, NULL), 1);
    (void)fclose(f);
    assert_int_equal(load(one_pem, path, NULL), CODE_USAGE);
    assert_non_null(strstr(why.text, "is encrypted"));
    (void)unlink(path);
}

static void what_is_odd_is_a_warning(void **state)
{
    (void)state;
    const char *old_pem = certs_chain("old.pem", (const struct cert *[]){ &old }, 1);
    const char *old_key = certs_key("old.key", &old);
    assert_int_equal(load(old_pem, old_key, NULL), CODE_OK);
    assert_non_null(strstr(logged, "FG2124"));
    assert_non_null(strstr(logged, "days ago"));
    assert_int_equal(chmod(one_key, 0644), 0);
    assert_int_equal(load(one_pem, one_key, NULL), CODE_OK);
    assert_non_null(strstr(logged, "FG2123 every user of this machine can read the key"));
    assert_int_equal(chmod(one_key, 0600), 0);
}

static void clients_say_what_is_wrong_too(void **state)
{
    struct tls_client *c;
    (void)state;
    const struct tls_client_options no_key = { .ca_file = root_pem, .chain = one_pem };
    assert_int_equal(tls_client_load(&c, &io_system, &no_key, &why), CODE_USAGE);
    assert_null(c);
    const struct tls_client_options no_folder = { .ca_path = "/nonexistent" };
    assert_int_equal(tls_client_load(&c, &io_system, &no_folder, &why), CODE_USAGE);
    assert_non_null(strstr(why.text, "/nonexistent"));
    const struct tls_client_options no_match = { .ca_file = root_pem, .chain = one_pem, .key = two_key };
    assert_int_equal(tls_client_load(&c, &io_system, &no_match, &why), CODE_USAGE);
    assert_int_equal(why.number, 2122);
    const struct tls_client_options folder = { .ca_path = "/tmp" };
    assert_int_equal(tls_client_load(&c, &io_system, &folder, &why), CODE_OK);
    tls_client_drop(c);
}

/* ---- files that change ---- */

static unsigned changes;

static void changed(void *ctx)
{
    (void)ctx;
    changes++;
}

static void replace(const char *path, const char *text)
{
    char fresh[300];
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    (void)fclose(f);
    assert_int_equal(rename(fresh, path), 0);
}

static void a_changed_file_is_told_once_within_10_s(void **state)
{
    struct sim *sim;
    struct loop *loop;
    struct tls_watch *w;
    (void)state;
    const char *paths[] = { certs_text("a", "1", 1), certs_text("b", "1", 1), "/nonexistent/c" };
    changes = 0;
    assert_int_equal(sim_open(&sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&loop, sim, &why), CODE_OK);
    assert_int_equal(tls_watch_open(&w, loop, &io_system, paths, 3, changed, NULL, &why), CODE_OK);
    sim_advance(sim, 60000000);
    assert_int_equal(changes, 0);
    replace(paths[0], "2"); /* of the same size */
    sim_advance(sim, 10000000);
    assert_int_equal(changes, 1);
    sim_advance(sim, 60000000);
    assert_int_equal(changes, 1);
    /* A pair that is written slowly is told once, when both are there. */
    replace(paths[0], "3");
    sim_advance(sim, 2000000);
    replace(paths[1], "3");
    sim_advance(sim, 2000000);
    assert_int_equal(changes, 1);
    sim_advance(sim, 10000000);
    assert_int_equal(changes, 2);
    assert_int_equal(unlink(paths[1]), 0);
    sim_advance(sim, 10000000);
    assert_int_equal(changes, 3);
    tls_watch_close(w);
    loop_close(loop);
    sim_close(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_set_is_taken_silently),
        cmocka_unit_test(what_is_wrong_is_said_by_file),
        cmocka_unit_test(a_key_with_a_passphrase_is_refused_without_asking),
        cmocka_unit_test(what_is_odd_is_a_warning),
        cmocka_unit_test(clients_say_what_is_wrong_too),
        cmocka_unit_test(a_changed_file_is_told_once_within_10_s),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
