/* SCRAM-SHA-256, the client's side: RFC 7677's example, our own server, and servers that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"
#include "identity/scram.h"
#include "identity/scram_client.h"

/* RFC 7677 section 3. */
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define SERVER_FIRST "r=" SERVER_NONCE ",s=" SALT ",i=4096"
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct scram_client *begin(const char *user, const char *password)
{
    struct scram_client *c;
    struct fault why;
    assert_int_equal(scram_client_new(&c, bytes_str(user), bytes_str(password), bytes_str(NONCE), &why), CODE_OK);
    return c;
}

static void the_example_of_rfc_7677(void **state)
{
    (void)state;
    struct scram_client *c = begin("user", "pencil");
    struct buf out = { 0 };
    struct fault why;
    assert_true(bytes_is(scram_client_first(c), "n,,n=user,r=" NONCE));
    assert_int_equal(scram_client_proven(c, BYTES_LIT(SERVER_FINAL), &why), CODE_REFUSED); /* before it was asked for */
    assert_int_equal(scram_client_answer(c, BYTES_LIT(SERVER_FIRST), &out, &why), CODE_OK);
    assert_true(bytes_is(buf_bytes(&out), "c=biws,r=" SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    assert_int_equal(scram_client_proven(c, BYTES_LIT(SERVER_FINAL), &why), CODE_OK);
    assert_int_equal(scram_client_answer(c, BYTES_LIT(SERVER_FIRST), &out, &why), CODE_PROTOCOL); /* once */
    buf_clear(&out);
    scram_client_free(c);
}

static void a_server_that_does_not_know_the_user_proves_nothing(void **state)
{
    (void)state;
    static const char *const finals[] = { "", "v=", "e=other-error", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
                                          "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9",
                                          "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" };
    struct scram_client *c = begin("user", "pencil");
    struct buf out = { 0 };
    struct fault why;
    assert_int_equal(scram_client_answer(c, BYTES_LIT(SERVER_FIRST), &out, &why), CODE_OK);
    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++)
        assert_int_equal(scram_client_proven(c, bytes_str(finals[i]), &why), CODE_REFUSED);
    buf_clear(&out);
    scram_client_free(c);
}

static void what_is_no_challenge_to_us_is_not_answered(void **state)
{
    (void)state;
    static const char *const firsts[] = {
        "", "r=", "m=ext," SERVER_FIRST, "r=" NONCE ",s=" SALT ",i=4096" /* nothing of theirs */,
        "r=x" SERVER_NONCE ",s=" SALT ",i=4096" /* not ours in front */, "r=" SERVER_NONCE ",s=,i=4096",
        "r=" SERVER_NONCE ",s=" SALT, "r=" SERVER_NONCE ",s=" SALT ",i=", "r=" SERVER_NONCE ",s=" SALT ",i=4095",
        "r=" SERVER_NONCE ",s=" SALT ",i=1000001", "r=" SERVER_NONCE ",s=" SALT ",i=4096x", "r=" SERVER_NONCE ",i=4096,s=" SALT,
        "r=" SERVER_NONCE "\x7f,s=" SALT ",i=4096", "e=unknown-user"
    };
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct scram_client *c = begin("user", "pencil");
        struct buf out = { 0 };
        struct fault why;
        if (scram_client_answer(c, bytes_str(firsts[i]), &out, &why) != CODE_PROTOCOL || buf_size(&out))
            fail_msg("%s", firsts[i]);
        scram_client_free(c);
    }
    struct scram_client *none;
    struct fault why;
    assert_int_equal(scram_client_new(&none, BYTES_NONE, BYTES_LIT("p"), BYTES_LIT(NONCE), &why), CODE_USAGE);
    assert_int_equal(scram_client_new(&none, BYTES_LIT("\xff"), BYTES_LIT("p"), BYTES_LIT(NONCE), &why), CODE_USAGE);
    assert_int_equal(scram_client_new(&none, BYTES_LIT("u"), BYTES_LIT("p"), BYTES_LIT("a,b"), &why), CODE_USAGE);
}

/* Names with what SCRAM itself uses, and extensions that need not be understood; our server's code is not shared. */
static void our_server_and_it_know_each_other(void **state)
{
    (void)state;
    static const char *const passwords[] = { "right", "wrong" };
    for (size_t i = 0; i < 2; i++) {
        struct scram_record record = { .iterations = 4096, .salt_len = 16 };
        struct scram_client *c = begin("a=b,c", passwords[i]);
        struct scram_first first;
        struct scram *server;
        struct buf challenge = { 0 }, answer = { 0 }, final = { 0 };
        struct fault why;
        assert_true(scram_record_make(&record, BYTES_LIT("right")));
        assert_int_equal(scram_read_first(scram_client_first(c), &first, &why), CODE_OK);
        assert_true(bytes_is(first.name, "a=b,c"));
        assert_int_equal(scram_answer_first(&server, &first, &record, "abcdefghijklmnopqrstuvwx", &challenge, &why), CODE_OK);
        assert_int_equal(scram_client_answer(c, buf_bytes(&challenge), &answer, &why), CODE_OK);
        assert_int_equal(scram_check_final(server, buf_bytes(&answer), &final, &why), i ? CODE_REFUSED : CODE_OK);
        assert_int_equal(scram_client_proven(c, buf_bytes(&final), &why), i ? CODE_REFUSED : CODE_OK);
        buf_clear(&challenge);
        buf_clear(&answer);
        buf_clear(&final);
        scram_free(server);
        scram_client_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_7677),
        cmocka_unit_test(a_server_that_does_not_know_the_user_proves_nothing),
        cmocka_unit_test(what_is_no_challenge_to_us_is_not_answered),
        cmocka_unit_test(our_server_and_it_know_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
