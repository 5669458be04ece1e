#include "mqtt/topic.h"

#include "mqtt/mqtt_test_bytes.h"
#include "mqtt/topic_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* In a block of its own, so that a sanitizer sees one byte too far. */
static struct bytes own(struct bytes b)
{
    uint8_t *copy = malloc(b.len ? b.len : 1);
    assert_non_null(copy);
    if (b.len)
        memcpy(copy, b.at, b.len);
    return bytes_of(copy, b.len);
}

static void drop(struct bytes b)
{
    free((void *)(uintptr_t)b.at);
}

static void names_are_checked(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        struct bytes    name;
        enum topic_flaw flaw;
    } cases[] = {
        { { (const uint8_t *)"", 0 }, TOPIC_EMPTY },
        { { (const uint8_t *)"a", 1 }, TOPIC_FINE },
        { { (const uint8_t *)"/", 1 }, TOPIC_FINE },
        { { (const uint8_t *)"a b/ c", 6 }, TOPIC_FINE },
        { { (const uint8_t *)"$SYS/x", 6 }, TOPIC_FINE },
        { { (const uint8_t *)"factory/press-1/temperature", 27 }, TOPIC_FINE },
        { { (const uint8_t *)"a/#", 3 }, TOPIC_WILDCARD },
        { { (const uint8_t *)"a/long/topic/+/x", 16 }, TOPIC_WILDCARD },
        { { (const uint8_t *)"abcdefgh#", 9 }, TOPIC_WILDCARD },
        { { (const uint8_t *)"abcdefg+h", 9 }, TOPIC_WILDCARD },
        { { (const uint8_t *)"a\0b", 3 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"abcdefg\0i", 9 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"gr\xc3\xbc\xc3\x9f""e", 7 }, TOPIC_FINE },
        { { (const uint8_t *)"gr\xc3", 3 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"\xf4\x8f\xbf\xbf", 4 }, TOPIC_FINE },
        { { (const uint8_t *)"\xf4\x90\x80\x80", 4 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"\xed\xa0\x80", 3 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"\xc0\xaf", 2 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"+\xff", 2 }, TOPIC_NOT_UTF8 },
        { { (const uint8_t *)"1/2/3/4", 7 }, TOPIC_FINE },
        { { (const uint8_t *)"1/2/3/4/", 8 }, TOPIC_TOO_DEEP },
        { { (const uint8_t *)"////", 4 }, TOPIC_TOO_DEEP },
        { { (const uint8_t *)"1234567890123456789012345678", 28 }, TOPIC_FINE },
        { { (const uint8_t *)"12345678901234567890123456789", 29 }, TOPIC_TOO_LONG },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes name = own(cases[i].name);
        enum topic_flaw flaw = topic_name_check(name, 28, 4);
        if (flaw != cases[i].flaw)
            fail_msg("case %zu \"%.*s\": %s", i, BYTES_FMT(name), topic_flaw_text(flaw));
        assert_int_equal(topic_name_valid(name, 28, 4), flaw == TOPIC_FINE);
        drop(name);
    }
}

static void filters_are_checked(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char     *filter;
        enum topic_flaw flaw;
    } cases[] = {
        { "", TOPIC_EMPTY },           { "a", TOPIC_FINE },
        { "#", TOPIC_FINE },           { "+", TOPIC_FINE },
        { "a/#", TOPIC_FINE },         { "+/+/#", TOPIC_FINE },
        { "/+", TOPIC_FINE },          { "+/", TOPIC_FINE },
        { "a/+/b", TOPIC_FINE },       { "/#", TOPIC_FINE },
        { "a#", TOPIC_WILDCARD },      { "a/b#", TOPIC_WILDCARD },
        { "a/#/b", TOPIC_WILDCARD },   { "#/", TOPIC_WILDCARD },
        { "a+", TOPIC_WILDCARD },      { "+a", TOPIC_WILDCARD },
        { "a/+b/c", TOPIC_WILDCARD },  { "++", TOPIC_WILDCARD },
        { "##", TOPIC_WILDCARD },      { "+#", TOPIC_WILDCARD },
        { "$share", TOPIC_FINE },      { "$shared/g/x", TOPIC_FINE },
        { "$share/", TOPIC_SHARE },    { "$share/g", TOPIC_SHARE },
        { "$share/g/", TOPIC_SHARE },  { "$share//a", TOPIC_SHARE },
        { "$share/g/a", TOPIC_FINE },  { "$share/g/#", TOPIC_FINE },
        { "$share/g//", TOPIC_FINE },  { "$share/+/a", TOPIC_SHARE },
        { "$share/g#/a", TOPIC_SHARE }, { "$share/g/a#", TOPIC_WILDCARD },
        { "a\xff", TOPIC_NOT_UTF8 },   { "$share/g\xff/a", TOPIC_NOT_UTF8 },
        { "1/2/3/4", TOPIC_FINE },     { "1/2/3/4/#", TOPIC_TOO_DEEP },
        { "$share/g/1/2/3/4", TOPIC_FINE }, { "$share/g/1/2/3/4/5", TOPIC_TOO_DEEP },
        { "12345678901234567890123456789", TOPIC_TOO_LONG },
        { "$share/g/12345678901234567890", TOPIC_TOO_LONG },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes filter = own(bytes_str(cases[i].filter));
        enum topic_flaw flaw = topic_filter_check(filter, 28, 4);
        if (flaw != cases[i].flaw)
            fail_msg("\"%s\": %s", cases[i].filter, topic_flaw_text(flaw));
        assert_int_equal(topic_filter_valid(filter, 28, 4), flaw == TOPIC_FINE);
        drop(filter);
    }
    assert_int_equal(topic_filter_check(BYTES_LIT("a\0b"), 28, 4), TOPIC_NOT_UTF8);
}

static void filters_match_as_the_standard_says(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *filter, *name;
        bool        match;
    } cases[] = {
        { "a", "a", true },
        { "a", "b", false },
        { "a", "a/b", false },
        { "a/b", "a", false },
        { "a/b", "a/b", true },
        { "a/b", "a/bc", false },
        { "a/bc", "a/b", false },
        { "a/", "a", false },
        { "a", "a/", false },
        { "a", "A", false },
        /* 4.7.1.2 */
        { "sport/tennis/player1/#", "sport/tennis/player1", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
        { "sport/#", "sport", true },
        { "sport/#", "sports", false },
        { "sport/#", "sport/", true },
        { "#", "a", true },
        { "#", "/", true },
        /* 4.7.1.3 */
        { "sport/tennis/+", "sport/tennis/player1", true },
        { "sport/tennis/+", "sport/tennis/player1/ranking", false },
        { "sport/+", "sport", false },
        { "sport/+", "sport/", true },
        { "+/+", "/finance", true },
        { "/+", "/finance", true },
        { "+", "/finance", false },
        { "+", "finance", true },
        { "+/b/#", "a/b", true },
        { "+/b/#", "/b/c/d", true },
        { "+/#", "a", true },
        { "+/+/#", "a", false },
        { "a/+/c", "a//c", true },
        { "a//c", "a/b/c", false },
        /* 4.7.2 */
        { "#", "$SYS/x", false },
        { "+/x", "$SYS/x", false },
        { "+", "$SYS", false },
        { "$SYS/#", "$SYS/x", true },
        { "$SYS/#", "$SYS", true },
        { "$SYS/+", "$SYS/x", true },
        { "$SYS/monitor/+", "$SYS/monitor/Clients", true },
        { "a/#", "a/$SYS", true },
        { "a/+", "a/$x", true },
        /* 4.8.2 */
        { "$share/g/a/+", "a/b", true },
        { "$share/g/#", "$SYS/x", false },
        { "$share/g//a", "/a", true },
        { "$share/g/a", "$share/g/a", false },
        { "$share", "$share", true },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes filter = own(bytes_str(cases[i].filter)), name = own(bytes_str(cases[i].name));
        if (topic_matches(filter, name) != cases[i].match)
            fail_msg("\"%s\" and \"%s\"", cases[i].filter, cases[i].name);
        if (naive_matches(filter, name) != cases[i].match)
            fail_msg("the naive matcher: \"%s\" and \"%s\"", cases[i].filter, cases[i].name);
        drop(filter);
        drop(name);
    }
}

static void a_topic_falls_into_its_levels(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *topic, *levels; /* one line each */
    } cases[] = {
        { "a//b", "a\n\nb\n" }, { "/", "\n\n" }, { "a", "a\n" }, { "", "\n" }, { "/a", "\na\n" },
        { "ab/cd/", "ab\ncd\n\n" },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes topic = own(bytes_str(cases[i].topic)), level;
        char got[64] = "";
        size_t cursor = 0;
        while (topic_level(topic, &cursor, &level)) {
            strncat(got, level.len ? (const char *)level.at : "", level.len);
            strcat(got, "\n");
        }
        assert_string_equal(got, cases[i].levels);
        assert_false(topic_level(topic, &cursor, &level));
        drop(topic);
    }
}

static void a_shared_filter_is_split(void **state)
{
    (void)state;
    struct bytes share, inner;
    topic_filter_split(BYTES_LIT("$share/group/a/#"), &share, &inner);
    assert_true(bytes_is(share, "group") && bytes_is(inner, "a/#"));
    topic_filter_split(BYTES_LIT("$SYS/a"), &share, &inner);
    assert_true(share.len == 0 && bytes_is(inner, "$SYS/a"));
    assert_true(topic_filter_shared(BYTES_LIT("$share/g/a")));
    assert_false(topic_filter_shared(BYTES_LIT("$share")));
    assert_false(topic_filter_shared(BYTES_LIT("$sharex/g/a")));
}

/* Few characters, so that matches and near misses are frequent. */
static struct bytes random_topic(struct test_random *r, uint8_t *to, bool filter)
{
    static const char *const pieces[] = {
        "a",        "b", "/", "/",  "/",  "ab",   "$",        "$share/",         "longer-level",
        "\xc3\xbc", "+", "#", "+/", "/#", "\xff", "\xe2\x82", "\xf0\x9f\x8c\xa1"};
    size_t len = 0;
    for (uint32_t n = test_below(r, 9); n > 0; n--) {
        uint32_t pick = test_below(r, filter || test_below(r, 20) == 0 ? COUNT(pieces) : 10);
        if (pick >= 14 && test_below(r, 4))
            pick = 2;
        memcpy(to + len, pieces[pick], strlen(pieces[pick]));
        len += strlen(pieces[pick]);
    }
    return bytes_of(to, len);
}

static void the_naive_rules_agree_on_random_topics(void **state)
{
    (void)state;
    uint64_t seed = test_seed();
    struct test_random r = test_random_of(seed);
    unsigned matches = 0;
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t f_room[128], n_room[128];
        struct bytes filter = random_topic(&r, f_room, true), name = random_topic(&r, n_room, false);
        uint32_t max_bytes = 5 + test_below(&r, 30), max_levels = 1 + test_below(&r, 6);
        bool f_valid = topic_filter_valid(filter, max_bytes, max_levels);
        bool n_valid = topic_name_valid(name, max_bytes, max_levels);
        char one[256], two[256];
        if (f_valid != naive_filter(filter, max_bytes, max_levels))
            fail_msg("FG_SEED=%llu: filter \"%s\" %u %u", (unsigned long long)seed,
                     bytes_escape(filter, one, sizeof one), max_bytes, max_levels);
        if (n_valid != naive_name(name, max_bytes, max_levels))
            fail_msg("FG_SEED=%llu: name \"%s\" %u %u", (unsigned long long)seed,
                     bytes_escape(name, one, sizeof one), max_bytes, max_levels);
        if (!f_valid || !n_valid)
            continue;
        bool match = topic_matches(filter, name);
        if (match != naive_matches(filter, name))
            fail_msg("FG_SEED=%llu: \"%s\" and \"%s\"", (unsigned long long)seed,
                     bytes_escape(filter, one, sizeof one), bytes_escape(name, two, sizeof two));
        matches += match;
    }
    /* A generator that never hits would prove nothing. */
    assert_true(matches > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(filters_are_checked),
        cmocka_unit_test(filters_match_as_the_standard_says),
        cmocka_unit_test(a_topic_falls_into_its_levels),
        cmocka_unit_test(a_shared_filter_is_split),
        cmocka_unit_test(the_naive_rules_agree_on_random_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
