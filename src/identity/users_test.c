#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"
#include "identity/identity_test_users.h"

#define SALT "AAAAAAAAAAAAAAAAAAAAAA=="
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct buf text = { 0 }, again = { 0 };
    struct users *u;
    struct fault why;
    test_user(&text, "alice", "secret", "admin", true);
    test_user(&text, "bob b", "other", NULL, false);
    test_user(&text, "carol", NULL, "monitor", false);
    assert_int_equal(users_parse(&u, "f", buf_bytes(&text), &why), CODE_OK);
    assert_int_equal(u->count, 3);
    const struct user *alice = users_find(u, BYTES_LIT("alice"));
    assert_true(alice->has_password && alice->has_scram);
    assert_int_equal(alice->role_count, 1);
    assert_true(bytes_is(alice->roles[0], "admin"));
    assert_false(users_find(u, BYTES_LIT("carol"))->has_password);
    assert_null(users_find(u, BYTES_LIT("Alice")));
    assert_null(users_find(u, BYTES_NONE));
    for (size_t i = 0; i < u->count; i++)
        users_put(&again, &u->at[i]);
    assert_true(bytes_equal(buf_bytes(&text), buf_bytes(&again)));
    bool matches;
    assert_true(password_matches(&alice->password, BYTES_LIT("secret"), &matches) && matches);
    static const char *const wrong[] = { "", "secre", "secret ", "Secret", "secretsecret" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_true(password_matches(&alice->password, bytes_str(wrong[i]), &matches) && !matches);
    users_free(u);
    buf_clear(&text);
    buf_clear(&again);
}

/* CVE-2018-12550: an empty file is in order and has nobody; it does not mean "no users needed". */
static void cve_2018_12550_an_empty_file_has_nobody(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "\n", "# nothing\n\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct users *u;
        struct fault why;
        assert_int_equal(users_parse(&u, "f", bytes_str(texts[i]), &why), CODE_OK);
        assert_int_equal(u->count, 0);
        assert_null(users_find(u, BYTES_LIT("alice")));
        users_free(u);
    }
}

/* CVE-2018-12551: a damaged file is refused as a whole, with its line. */
static void cve_2018_12551_a_damaged_line_refuses_the_file(void **state)
{
    (void)state;
    static const struct { const char *text, *said; } table[] = {
        { "user:a::none\nuser:b", "f:2: the last line has no end" },
        { "user:a::none", "f:1: the last line has no end" },
        { "x\n", "f:1: a line begins with" },
        { ":\n", "f:1: a line begins with" },
        { " user:a::none\n", "f:1: a line begins with" },
        { "user:a\n", "f:1: not user:NAME" },
        { "user:a:none\n", "f:1: not user:NAME" },
        { "user:a::nothing\n", "f:1: not user:NAME" },
        { "user:a::none:\n", "f:1: not user:NAME" },
        { "user:a::scrypt:15,8,1:" SALT "\n", "f:1: not user:NAME" },
        { "user:a::scrypt:15,8,1:" SALT ":" HASH ":\n", "f:1: not user:NAME" },
        { "user:::none\n", "f:1: the user's name is empty" },
        { "user:a+b::none\n", "f:1: the user's name has one of" },
        { "user:a\xff::none\n", "f:1: the user's name is not UTF-8" },
        { "user:a:r,:none\n", "f:1: a role is not" },
        { "user:a:r x:none\n", "f:1: a role is not" },
        { "user:a:,:none\n", "f:1: a role is not" },
        { "user:a::none\nuser:a::none\n", "f:2: this user is there twice" },
        { "user:a::scrypt:9,8,1:" SALT ":" HASH "\n", "f:1: the cost of scrypt" },
        { "user:a::scrypt:15,8:" SALT ":" HASH "\n", "f:1: the cost of scrypt" },
        { "user:a::scrypt:15,8,1,1:" SALT ":" HASH "\n", "f:1: the cost of scrypt" },
        { "user:a::scrypt:20,8,1:" SALT ":" HASH "\n", "f:1: the cost of scrypt" },
        { "user:a::scrypt:15,8,-1:" SALT ":" HASH "\n", "f:1: the cost of scrypt" },
        { "user:a::scrypt:15,8,1::" HASH "\n", "f:1: salt or hash" },
        { "user:a::scrypt:15,8,1:AAAA:" HASH "\n", "f:1: salt or hash" },
        { "user:a::scrypt:15,8,1:" SALT ":" SALT "\n", "f:1: salt or hash" },
        { "user:a::scrypt:15,8,1:" SALT ":" HASH "AAAA\n", "f:1: salt or hash" },
        { "user:a::scrypt:15,8,1:" SALT ":\r" HASH "\n", "f:1: salt or hash" },
        { "scram-sha-256:a:4096:" SALT ":" HASH ":" HASH "\n", "f:1: a scram-sha-256 line stands behind" },
        { "user:a::none\nscram-sha-256:a:4096:" SALT ":" HASH "\n", "f:2: not scram-sha-256" },
        { "user:a::none\nscram-sha-256:a:4095:" SALT ":" HASH ":" HASH "\n", "f:2: the iterations" },
        { "user:a::none\nscram-sha-256:a:4096:" SALT ":" HASH ":" SALT "\n", "f:2: salt or key" },
        { "user:a::none\nscram-sha-256:a:4096:" SALT ":" HASH ":" HASH "\nscram-sha-256:a:4096:" SALT ":" HASH ":" HASH "\n",
          "f:3: this user has two" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct users *u = NULL;
        struct fault why;
        enum code c = users_parse(&u, "f", bytes_str(table[i].text), &why);
        if (c != CODE_DAMAGED || strncmp(why.text, table[i].said, strlen(table[i].said)) != 0)
            fail_msg("'%s' gave %s: %s", table[i].text, code_name(c), c ? why.text : "");
    }
    static const char nul[] = "user:a\0b::none\n";
    struct users *u;
    assert_int_equal(users_parse(&u, "f", bytes_of(nul, sizeof nul - 1), NULL), CODE_DAMAGED);
}

static void names_are_no_patterns_and_no_topics(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "a:b", "+", "#", "a/b", "a\nb", "a\tb", " a", "a ", "$SYS", "\x7f", "\xc2\x85" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(users_name_flaw(bytes_str(bad[i])));
    static const char *const good[] = { "a", "press-1", "anna@plant.example", "M\xc3\xbcller", "a b", "user", "%u", "*" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(users_name_flaw(bytes_str(good[i])));
    char longest[USER_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    assert_null(users_name_flaw(bytes_of(longest, USER_NAME_MAX)));
    assert_non_null(users_name_flaw(bytes_of(longest, USER_NAME_MAX + 1)));
}

static void others_and_comments_stay(void **state)
{
    (void)state;
    struct buf out = { 0 };
    users_put_others(&out, BYTES_LIT("# user:a:\nuser:a::none\nscram-sha-256:a:x\n\nuser:aa::none\nscram-sha-256:aa:x\n"), BYTES_LIT("a"));
    assert_true(bytes_is(buf_bytes(&out), "# user:a:\n\nuser:aa::none\nscram-sha-256:aa:x\n"));
    buf_clear(&out);
}

/* RFC 7677 section 3: user "user", password "pencil". */
static void scram_keys_are_those_of_rfc_7677(void **state)
{
    (void)state;
    struct scram_record r = { .iterations = 4096 };
    size_t n;
    uint8_t proof_of_server_key[SHA256_BYTES];
    assert_true(base64_read(BYTES_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), r.salt, sizeof r.salt, &n));
    r.salt_len = (uint8_t)n;
    assert_true(scram_record_make(&r, BYTES_LIT("pencil")));
    static const char message[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ=="
                                  ",i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    assert_true(crypto_hmac_sha256(bytes_of(r.server_key, SHA256_BYTES), bytes_of(message, sizeof message - 1), proof_of_server_key));
    struct buf v = { 0 };
    base64_put(&v, bytes_of(proof_of_server_key, SHA256_BYTES));
    assert_true(bytes_is(buf_bytes(&v), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    buf_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(cve_2018_12550_an_empty_file_has_nobody),
        cmocka_unit_test(cve_2018_12551_a_damaged_line_refuses_the_file),
        cmocka_unit_test(names_are_no_patterns_and_no_topics),
        cmocka_unit_test(others_and_comments_stay),
        cmocka_unit_test(scram_keys_are_those_of_rfc_7677),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
