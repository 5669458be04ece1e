/* SCRAM-SHA-256, the server's side: RFC 7677's example, and everything that is not quite it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "identity/scram.h"
#include "identity/scram_test_client.h"

/* RFC 7677 section 3. */
#define CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define OUR_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static struct scram_record pencil(void)
{
    struct scram_record r = { .iterations = 4096 };
    size_t n;
    assert_true(base64_read(BYTES_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), r.salt, sizeof r.salt, &n));
    r.salt_len = (uint8_t)n;
    assert_true(scram_record_make(&r, BYTES_LIT("pencil")));
    return r;
}

static enum code read_first(const char *text, struct scram_first *f)
{
    struct fault why;
    return scram_read_first(bytes_str(text), f, &why);
}

static void the_example_of_rfc_7677(void **state)
{
    (void)state;
    /* Our part of the nonce has a fixed length, the example's is longer: the head of it belongs to the client's here. */
    static const char first_text[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO%hvYDp", ours[] = "WUa2RaTCAfuxFIlj)hNlF$k0";
    assert_int_equal(sizeof ours - 1, SCRAM_OUR_NONCE);
    struct scram_record record = pencil();
    struct scram_first first;
    struct scram *s;
    struct buf reply = { 0 };
    struct fault why;
    assert_int_equal(read_first(first_text, &first), CODE_OK);
    assert_true(bytes_is(first.name, "user"));
    assert_int_equal(scram_answer_first(&s, &first, &record, ours, &reply, &why), CODE_OK);
    assert_true(bytes_is(buf_bytes(&reply),
                         "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    scram_free(s);
    /* With the client's own nonce the rest of the example is exact. */
    assert_int_equal(read_first(CLIENT_FIRST, &first), CODE_OK);
    struct buf expect = { 0 };
    client_final(&expect, "pencil", "n,,", "n=user,r=rOprNGfwEbeRWgbNEkqO",
                 BYTES_LIT("r=rOprNGfwEbeRWgbNEkqO" OUR_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), "");
    assert_true(bytes_is(buf_bytes(&expect), "c=biws,r=rOprNGfwEbeRWgbNEkqO" OUR_NONCE
                                             ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    buf_clear(&expect);
    buf_clear(&reply);
}

static struct scram *begin(const char *first_text, struct scram_record *record, struct buf *reply)
{
    struct scram_first first;
    struct scram *s;
    struct fault why;
    assert_int_equal(read_first(first_text, &first), CODE_OK);
    assert_int_equal(scram_answer_first(&s, &first, record, "abcdefghijklmnopqrstuvwx", reply, &why), CODE_OK);
    return s;
}

static void a_right_proof_is_answered_with_ours(void **state)
{
    (void)state;
    static const struct { const char *gs2, *bare, *extension; } ways[] = {
        { "n,,", "n=user,r=abc", "" }, { "y,,", "n=user,r=abc", "" }, { "n,a=user,", "n=user,r=abc", "" },
        { "n,,", "n=user,r=abc,x=later", ",y=more,z=still" } };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct scram_record record = pencil();
        struct buf first = { 0 }, reply = { 0 }, last = { 0 }, done = { 0 };
        struct fault why;
        buf_printf(&first, "%s%s", ways[i].gs2, ways[i].bare);
        buf_u8(&first, 0);
        struct scram *s = begin((const char *)first.at, &record, &reply);
        client_final(&last, "pencil", ways[i].gs2, ways[i].bare, buf_bytes(&reply), ways[i].extension);
        assert_int_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_OK);
        assert_true(buf_size(&done) == 46 && memcmp(done.at, "v=", 2) == 0);
        buf_reset(&last);
        buf_reset(&done);
        client_final(&last, "Pencil", ways[i].gs2, ways[i].bare, buf_bytes(&reply), ways[i].extension);
        assert_int_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_REFUSED);
        assert_int_equal(buf_size(&done), 0);
        scram_free(s);
        buf_clear(&first);
        buf_clear(&reply);
        buf_clear(&last);
        buf_clear(&done);
    }
}

static void a_proof_with_any_bit_changed_is_wrong(void **state)
{
    (void)state;
    struct scram_record record = pencil();
    struct buf reply = { 0 }, last = { 0 }, done = { 0 };
    struct fault why;
    struct scram *s = begin("n,,n=user,r=abc", &record, &reply);
    client_final(&last, "pencil", "n,,", "n=user,r=abc", buf_bytes(&reply), "");
    for (size_t i = 0; i < last.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            last.at[i] ^= (uint8_t)(1 << bit);
            assert_int_not_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_OK);
            last.at[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t n = 0; n < last.len; n++) /* cut anywhere; in memory of exactly that size, so that a byte too far is seen */
    {
        uint8_t *exact = mem_alloc(n ? n : 1);
        memcpy(exact, last.at, n);
        assert_int_not_equal(scram_check_final(s, bytes_of(exact, n), &done, &why), CODE_OK);
        mem_free(exact);
    }
    assert_int_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_OK);
    scram_free(s);
    /* Listened to and sent again: another exchange has another nonce. */
    struct scram_first first;
    assert_int_equal(read_first("n,,n=user,r=abc", &first), CODE_OK);
    assert_int_equal(scram_answer_first(&s, &first, &record, "ABCDEFGHIJKLMNOPQRSTUVWX", &reply, &why), CODE_OK);
    assert_int_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_REFUSED);
    scram_free(s);
    buf_clear(&reply);
    buf_clear(&last);
    buf_clear(&done);
}

static void the_channel_flag_cannot_be_changed_on_the_way(void **state)
{
    (void)state;
    struct scram_record record = pencil();
    struct buf reply = { 0 }, last = { 0 }, done = { 0 };
    struct fault why;
    struct scram *s = begin("n,,n=user,r=abc", &record, &reply);
    client_final(&last, "pencil", "y,,", "n=user,r=abc", buf_bytes(&reply), ""); /* the client said y, somebody made it n */
    assert_int_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_REFUSED);
    scram_free(s);
    buf_clear(&reply);
    buf_clear(&last);
    buf_clear(&done);
}

/* A client that answers with a nonce of its own, and proves exactly that: right proof, wrong exchange. */
static void the_nonce_is_the_exchanges(void **state)
{
    (void)state;
    struct scram_record record = pencil();
    struct buf reply = { 0 }, message = { 0 }, last = { 0 }, done = { 0 };
    uint8_t salted[32], key[32], stored[32], signature[32];
    struct fault why;
    struct scram *s = begin("n,,n=user,r=abc", &record, &reply);
    buf_printf(&last, "c=biws,r=abcXXXXXXXXXXXXXXXXXXXXXXXX");
    buf_printf(&message, "n=user,r=abc,%.*s,", BYTES_FMT(buf_bytes(&reply)));
    buf_add_bytes(&message, buf_bytes(&last));
    assert_true(crypto_pbkdf2_sha256(BYTES_LIT("pencil"), bytes_of(record.salt, record.salt_len), record.iterations, salted));
    assert_true(crypto_hmac_sha256(bytes_of(salted, 32), BYTES_LIT("Client Key"), key));
    assert_true(crypto_sha256(bytes_of(key, 32), stored));
    assert_true(crypto_hmac_sha256(bytes_of(stored, 32), buf_bytes(&message), signature));
    for (int i = 0; i < 32; i++)
        key[i] ^= signature[i];
    buf_printf(&last, ",p=");
    base64_put(&last, bytes_of(key, 32));
    assert_int_equal(scram_check_final(s, buf_bytes(&last), &done, &why), CODE_REFUSED);
    scram_free(s);
    buf_clear(&reply);
    buf_clear(&message);
    buf_clear(&last);
    buf_clear(&done);
}

static void first_messages_that_are_none(void **state)
{
    (void)state;
    static const struct { const char *text; enum code want; } table[] = {
        { "", CODE_MALFORMED }, { "n", CODE_MALFORMED }, { "n,", CODE_MALFORMED }, { "n,,", CODE_MALFORMED },
        { "x,,n=u,r=a", CODE_MALFORMED }, { ",,n=u,r=a", CODE_MALFORMED }, { "n,b=x,n=u,r=a", CODE_MALFORMED },
        { "p=tls-unique,,n=u,r=a", CODE_UNSUPPORTED }, { "p=,,n=u,r=a", CODE_UNSUPPORTED }, { "n,,m=x,n=u,r=a", CODE_UNSUPPORTED },
        { "n,,n=u", CODE_MALFORMED }, { "n,,n=u,", CODE_MALFORMED }, { "n,,n=u,r=", CODE_MALFORMED }, { "n,,r=a,n=u", CODE_MALFORMED },
        { "n,,n=u,r=a b", CODE_MALFORMED }, { "n,,n=u,x=1,r=a", CODE_MALFORMED }, { "n,,n=u,r=\xc3\xa9", CODE_MALFORMED },
        { "n,,n=,r=a", CODE_REFUSED }, { "n,,n=a=b,r=a", CODE_REFUSED }, { "n,,n=a=,r=a", CODE_REFUSED },
        { "n,,n=a=2,r=a", CODE_REFUSED }, { "n,,n=a=2c,r=a", CODE_REFUSED }, { "n,,n=\xff,r=a", CODE_MALFORMED },
        { "n,a=v,n=u,r=a", CODE_REFUSED }, { "n,a=,n=u,r=a", CODE_REFUSED },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct scram_first f;
        enum code c = read_first(table[i].text, &f);
        if (c != table[i].want)
            fail_msg("'%s' gave %s", table[i].text, code_name(c));
    }
    struct scram_first f;
    assert_int_equal(read_first("n,,n=a=2Cb=3Dc,r=a", &f), CODE_OK);
    assert_true(bytes_is(f.name, "a,b=c"));
    char longest[USER_NAME_MAX + 32] = "n,,n=";
    memset(longest + 5, 'x', USER_NAME_MAX + 1);
    strcat(longest, ",r=a");
    assert_int_equal(read_first(longest, &f), CODE_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_7677),
        cmocka_unit_test(a_right_proof_is_answered_with_ours),
        cmocka_unit_test(a_proof_with_any_bit_changed_is_wrong),
        cmocka_unit_test(the_channel_flag_cannot_be_changed_on_the_way),
        cmocka_unit_test(the_nonce_is_the_exchanges),
        cmocka_unit_test(first_messages_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
