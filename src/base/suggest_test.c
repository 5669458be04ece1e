#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned distance(const char *a, const char *b, unsigned max)
{
    return suggest_distance(bytes_str(a), bytes_str(b), max);
}

static void edits_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned    want;
    } table[] = {
        { "", "", 0 },          { "", "abc", 3 },           { "abc", "", 3 },
        { "topic", "topic", 0 }, { "topic", "Topic", 0 },   { "topic", "topics", 1 },
        { "topic", "tpoic", 1 }, { "topic", "tocip", 2 },   { "topic", "opic", 1 },
        { "topic", "toxic", 1 }, { "ab", "ba", 1 },         { "kitten", "sitting", 3 },
        { "ca", "abc", 3 },     { "packet_bytes", "packet-bytes", 1 },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(distance(table[i].a, table[i].b, 10), table[i].want);
        assert_int_equal(distance(table[i].b, table[i].a, 10), table[i].want);
    }
}

static void more_edits_than_asked_for_is_one_more(void **state)
{
    (void)state;
    assert_int_equal(distance("kitten", "sitting", 2), 3);
    assert_int_equal(distance("kitten", "sitting", 3), 3);
    assert_int_equal(distance("abc", "xyz", 0), 1);
}

static void very_long_words_are_near_nothing(void **state)
{
    (void)state;
    char longest[SUGGEST_BYTES_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[SUGGEST_BYTES_MAX + 1] = 0;
    assert_int_equal(distance(longest, longest, 5), 6);
    longest[SUGGEST_BYTES_MAX] = 0;
    assert_int_equal(distance(longest, longest, 5), 0);
    char *exact = malloc(SUGGEST_BYTES_MAX);
    memset(exact, 'b', SUGGEST_BYTES_MAX);
    assert_int_equal(suggest_distance(bytes_of(exact, SUGGEST_BYTES_MAX), bytes_str(longest), 100), 64);
    free(exact);
}

static void the_nearest_word_wins(void **state)
{
    (void)state;
    static const char *const words[] = { "packet-bytes", "property-bytes", "hub", "journal",
                                         "log",          "site",           "at" };
    static const struct {
        const char *typed, *want;
    } table[] = {
        { "packet-byte", "packet-bytes" },
        { "proprety-bytes", "property-bytes" },
        { "Hub", "hub" },
        { "jurnal", "journal" },
        { "lgo", "log" },
        { "packet", "packet-bytes" },
        { "journaling", "journal" },
        { "jobs", NULL },
        { "enroll", NULL },
        { "", NULL },
        { "x", NULL },
        { "ta", NULL },
        { "stie", "site" },
        { "mqtt", NULL },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *got = suggest_word(bytes_str(table[i].typed), words, sizeof words / sizeof words[0]);
        if (table[i].want)
            assert_string_equal(got, table[i].want);
        else
            assert_null(got);
    }
}

static void the_first_of_equals_is_kept(void **state)
{
    (void)state;
    static const char *const words[] = { "cat", "car", "can" };
    assert_string_equal(suggest_word(bytes_str("caz"), words, 3), "cat");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(more_edits_than_asked_for_is_one_more),
        cmocka_unit_test(very_long_words_are_near_nothing),
        cmocka_unit_test(the_nearest_word_wins),
        cmocka_unit_test(the_first_of_equals_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
