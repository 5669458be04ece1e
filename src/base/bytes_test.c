#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])

static void views_compare_by_their_bytes(void **state)
{
    (void)state;
    assert_true(bytes_equal(BYTES_NONE, BYTES_LIT("")));
    assert_true(bytes_equal(BYTES_LIT("a\0b"), bytes_of("a\0b", 3)));
    assert_false(bytes_equal(BYTES_LIT("a\0b"), BYTES_LIT("a\0c")));
    assert_false(bytes_equal(BYTES_LIT("a"), BYTES_LIT("ab")));
    assert_true(bytes_is(BYTES_LIT("ab"), "ab"));
    assert_false(bytes_is(BYTES_LIT("ab"), "a"));
    assert_true(bytes_starts(BYTES_LIT("ab"), "a"));
    assert_true(bytes_starts(BYTES_LIT("ab"), ""));
    assert_false(bytes_starts(BYTES_LIT("a"), "ab"));
    assert_true(bytes_is(bytes_from(BYTES_LIT("abc"), 1), "bc"));
    assert_int_equal(bytes_from(BYTES_LIT("abc"), 3).len, 0);
    assert_null(bytes_from(BYTES_NONE, 0).at);
    assert_int_equal(bytes_str(NULL).len, 0);
}

/* In a block of exactly its length, at every alignment, with eight letters before and after. */
static bool valid_everywhere(const char *text, size_t n, bool allow_nul)
{
    bool first = utf8_valid(bytes_of(text, n), allow_nul);
    for (size_t before = 0; before <= 8; before++) {
        size_t len = before + n;
        char *exact = malloc(len ? len : 1);
        memset(exact, 'x', before);
        memcpy(exact + before, text, n);
        assert_int_equal(utf8_valid(bytes_of(exact, len), allow_nul), first);
        free(exact);
    }
    return first;
}

static void utf8_is_that_of_unicode(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool        valid;
    } table[] = {
        { "", true },
        { "factory/line1/press-1", true },
        { "\xc2\x80", true },
        { "\xdf\xbf", true },
        { "\xe0\xa0\x80", true },
        { "\xed\x9f\xbf", true },
        { "\xee\x80\x80", true },
        { "\xef\xbf\xbf", true },
        { "\xf0\x90\x80\x80", true },
        { "\xf4\x8f\xbf\xbf", true },
        { "\x80", false },             /* a continuation alone    */
        { "\xbf", false },
        { "\xc0\x80", false },         /* overlong U+0000         */
        { "\xc1\xbf", false },
        { "\xe0\x9f\xbf", false },     /* overlong                */
        { "\xf0\x8f\xbf\xbf", false },
        { "\xed\xa0\x80", false },     /* a surrogate             */
        { "\xed\xbf\xbf", false },
        { "\xf4\x90\x80\x80", false }, /* above U+10FFFF          */
        { "\xf5\x80\x80\x80", false },
        { "\xff", false },
        { "\xc3", false },             /* cut                     */
        { "\xe2\x82", false },
        { "\xf0\x9f\x98", false },
        { "\xc3(", false },            /* the second is none      */
        { "\xe2\x82(", false },
        { "\xf0\x9f(\x80", false },
        { "abcdefgh\xff", false },
        { "abcdefg\xc3\xa4", true },   /* across an eight         */
        { "abcdefgh\xc3\xa4hgfedcba", true },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(valid_everywhere(table[i].text, strlen(table[i].text), false), table[i].valid);
}

/* MQTT 1.5.4: U+0000 must not be there; elsewhere it may. */
static void a_nul_is_refused_where_it_must_be(void **state)
{
    (void)state;
    for (size_t at = 0; at < 20; at++) {
        char text[20];
        memset(text, 'a', sizeof text);
        text[at] = 0;
        assert_false(valid_everywhere(text, sizeof text, false));
        assert_true(valid_everywhere(text, sizeof text, true));
    }
}

/* All two-byte sequences against the rule written down plainly. */
static void every_pair_of_bytes_is_judged_right(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            uint8_t pair[2] = { (uint8_t)a, (uint8_t)b };
            bool want = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);
            assert_int_equal(utf8_valid(bytes_of(pair, 2), true), want);
        }
}

static void what_a_peer_said_fits_a_log_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } table[] = {
        { "", "" },
        { "press-1", "press-1" },
        { "a b\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "a b\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
        { "\x1b[31m\x7f", "\\x1b[31m\\x7f" },
        { "\xc2\x9b" "31m", "\\xc2\\x9b31m" }, /* CSI in eight bits */
        { "'\"\\", "'\\x22\\x5c" },
        /* What turns the rest of a line round, or ends it for some. */
        { "a\xe2\x80\xae" "b", "a\\xe2\\x80\\xae" "b" },
        { "\xe2\x80\x8f\xe2\x81\xa6\xe2\x80\xa8", "\\xe2\\x80\\x8f\\xe2\\x81\\xa6\\xe2\\x80\\xa8" },
        { "\xe2\x80\xb0\xe2\x80\x93", "\xe2\x80\xb0\xe2\x80\x93" }, /* per mille, a dash */
        { "\xff\xc3", "\\xff\\xc3" },
    };
    char out[128];
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_string_equal(bytes_escape(bytes_str(table[i].text), out, sizeof out), table[i].want);
    assert_string_equal(bytes_escape(BYTES_LIT("a\0b"), out, sizeof out), "a\\x00b");
    assert_string_equal(bytes_plain(BYTES_LIT("[\"a\\\"b\",'c']\x1b\n\xff\xc2\x9b\0"), out, sizeof out),
                        "[\"a\\\"b\",'c']\\x1b\\x0a\\xff\\xc2\\x9b\\x00");
}

static void long_text_is_cut_with_two_dots(void **state)
{
    (void)state;
    char out[16];
    assert_string_equal(bytes_escape(BYTES_LIT("abcdef"), out, 7), "abcdef");
    assert_string_equal(bytes_escape(BYTES_LIT("abcdefg"), out, 7), "abcd..");
    assert_string_equal(bytes_escape(BYTES_LIT("\xc3\xa4\xc3\xa4\xc3\xa4"), out, 7),
                        "\xc3\xa4\xc3\xa4\xc3\xa4");
    /* Never half a character. */
    assert_string_equal(bytes_escape(BYTES_LIT("\xc3\xa4\xc3\xa4\xc3\xa4x"), out, 7), "\xc3\xa4\xc3\xa4..");
    assert_string_equal(bytes_escape(BYTES_LIT("ab\n"), out, 7), "ab\\x0a");
    assert_string_equal(bytes_escape(BYTES_LIT("abc\n"), out, 7), "abc..");
    assert_string_equal(bytes_escape(BYTES_LIT("abc"), out, 3), "..");
    assert_string_equal(bytes_escape(BYTES_LIT("abc"), out, 2), "");
    assert_string_equal(bytes_escape(BYTES_LIT("abc"), out, 1), "");
    out[0] = 'z';
    bytes_escape(BYTES_LIT("abc"), out, 0);
    assert_int_equal(out[0], 'z');
}

static void no_room_is_ever_overrun(void **state)
{
    (void)state;
    static const char hostile[] = "a\n\xc3\xa4\xff\"\xf0\x9f\x98\x80\xc2\x9b";
    for (size_t cap = 1; cap < 48; cap++)
        for (size_t n = 0; n < sizeof hostile; n++) {
            char *exact = malloc(cap);
            bytes_escape(bytes_of(hostile, n), exact, cap);
            assert_true(strlen(exact) < cap);
            assert_true(utf8_valid(bytes_str(exact), false));
            free(exact);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare_by_their_bytes),
        cmocka_unit_test(utf8_is_that_of_unicode),
        cmocka_unit_test(a_nul_is_refused_where_it_must_be),
        cmocka_unit_test(every_pair_of_bytes_is_judged_right),
        cmocka_unit_test(what_a_peer_said_fits_a_log_line),
        cmocka_unit_test(long_text_is_cut_with_two_dots),
        cmocka_unit_test(no_room_is_ever_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
