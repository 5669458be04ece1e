/* Access rules: filters against filters, names, first rule counts, and files that are not in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "identity/rules_private.h"
#include "mqtt/topic.h"

static struct rules *parsed(const char *text)
{
    struct rules *r;
    struct fault why;
    if (rules_parse(&r, "r", bytes_str(text), &why) != CODE_OK)
        fail_msg("%s", why.text);
    return r;
}

static const struct bytes admin_role[1] = { { (const uint8_t *)"admin", 5 } };

static struct subject user(const char *name, const char *client)
{
    return (struct subject){ .user = bytes_str(name), .client = bytes_str(client) };
}

static struct subject nobody(const char *client)
{
    return (struct subject){ .anonymous = true, .client = bytes_str(client) };
}

static bool may_topic(const struct rules *r, struct subject s, enum right right, const char *topic)
{
    return rules_topic(r, &s, right, bytes_str(topic)) == RULING_ALLOWED;
}

static bool may_filter(const struct rules *r, struct subject s, const char *filter)
{
    return rules_filter(r, &s, RIGHT_SUBSCRIBE, bytes_str(filter)) == RULING_ALLOWED;
}

static void a_filter_covers_what_it_is_at_least_as_wide_as(void **state)
{
    (void)state;
    static const struct { const char *by, *filter; bool covers, overlap; } table[] = {
        { "#", "#", true, true },         { "#", "a/b", true, true },      { "#", "+/+", true, true },
        { "#", "$SYS/#", false, false },  { "+/#", "$SYS/#", false, false },{ "+", "$SYS", false, false },
        { "$SYS/#", "$SYS/#", true, true },{ "$SYS/#", "#", false, false }, { "$SYS/#", "$SYS", true, true },
        { "a/#", "a", true, true },       { "a/#", "a/b", true, true },    { "a/#", "a/b/#", true, true },
        { "a/#", "a/+/c", true, true },   { "a/#", "#", false, true },     { "a/#", "+", false, true },
        { "a/#", "b/#", false, false },   { "a/#", "ab", false, false },   { "a/+", "a/b", true, true },
        { "a/+", "a/+", true, true },     { "a/+", "a/#", false, true },   { "a/+", "a", false, false },
        { "a/+", "a/b/c", false, false }, { "a/+", "a/", true, true },     { "+/b", "a/+", false, true },
        { "+/b", "a/c", false, false },   { "a", "a", true, true },        { "a", "+", false, true },
        { "a", "#", false, true },        { "a", "a/#", false, true },     { "a", "a/", false, false },
        { "a/b", "a/+/#", false, true },  { "+/+/c", "a/b/c", true, true },{ "+/+/c", "a/#", false, true },
        { "", "a", false, false },        { "a", "", false, false },       { "/", "/", true, true },
        { "+/+", "/", true, true },       { "/#", "/", true, true },       { "#", "/", true, true },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bytes by = bytes_str(table[i].by), f = bytes_str(table[i].filter);
        if (rules_covers(by, f) != table[i].covers)
            fail_msg("'%s' covers '%s': %d", table[i].by, table[i].filter, !table[i].covers);
        if (rules_overlap(by, f) != table[i].overlap || rules_overlap(f, by) != table[i].overlap)
            fail_msg("'%s' and '%s' overlap: %d", table[i].by, table[i].filter, !table[i].overlap);
    }
}

/* The model: all topics of up to three levels over a small alphabet. Covering may be missed, never invented; overlapping is
 * exact there. */
static void covers_and_overlap_agree_with_all_small_topics(void **state)
{
    (void)state;
    static const char *const levels[] = { "a", "b", "$a", "", "+", "#" };
    enum { LEVELS = 6, NAMES_MAX = 4 + 16 + 64 + 256 };
    static char names[NAMES_MAX][16], filters[6 + 36 + 216][16];
    size_t names_n = 0, filters_n = 0;
    for (int depth = 1; depth <= 4; depth++) {
        int combinations = 1;
        for (int i = 0; i < depth; i++)
            combinations *= LEVELS;
        for (int c = 0; c < combinations; c++) {
            char text[16] = "";
            size_t n = 0;
            for (int i = 0, left = c; i < depth; i++, left /= LEVELS) {
                if (i)
                    text[n++] = '/';
                const char *l = levels[left % LEVELS];
                memcpy(text + n, l, strlen(l) + 1);
                n += strlen(l);
            }
            if (topic_name_valid(bytes_of(text, n), 100, 10))
                memcpy(names[names_n++], text, 16);
            if (depth < 4 && topic_filter_valid(bytes_of(text, n), 100, 10))
                memcpy(filters[filters_n++], text, 16);
        }
    }
    assert_true(names_n > 300 && filters_n > 100);
    for (size_t x = 0; x < filters_n; x++)
        for (size_t y = 0; y < filters_n; y++) {
            struct bytes a = bytes_str(filters[x]), b = bytes_str(filters[y]);
            bool all = true, some = false;
            for (size_t i = 0; i < names_n; i++) {
                bool in_b = topic_matches(b, bytes_str(names[i])), in_a = in_b && topic_matches(a, bytes_str(names[i]));
                all &= in_a || !in_b;
                some |= in_a;
            }
            if (rules_covers(a, b) && !all)
                fail_msg("'%s' does not cover '%s'", filters[x], filters[y]);
            /* "+" and "/#" share the empty name, which is no topic. */
            bool only_empty = !some && (strcmp(filters[x], "/#") == 0 || strcmp(filters[y], "/#") == 0);
            if (rules_overlap(a, b) != some && !only_empty)
                fail_msg("'%s' and '%s' overlap: %d", filters[x], filters[y], some);
        }
}

static void the_first_rule_that_decides_counts(void **state)
{
    (void)state;
    struct rules *r = parsed("version: 1\n"
                             "rules:\n"
                             "  - { user: anna, subscribe: \"factory/secret/ours\" }\n"
                             "  - { deny: true, publish: \"factory/secret/#\", subscribe: [\"factory/secret/#\"] }\n"
                             "  - { user: [anna, bob], publish: \"factory/#\", subscribe: \"factory/#\" }\n"
                             "  - { user: bob, deny: true, publish: \"factory/#\" }\n");
    assert_int_equal(rules_count(r), 4);
    struct subject anna = user("anna", "c"), bob = user("bob", "c"), eve = user("eve", "c");
    assert_true(may_topic(r, anna, RIGHT_PUBLISH, "factory/x"));
    assert_true(may_topic(r, bob, RIGHT_PUBLISH, "factory/x")); /* the denial comes too late */
    assert_false(may_topic(r, anna, RIGHT_PUBLISH, "factory/secret/x"));
    assert_false(may_topic(r, eve, RIGHT_PUBLISH, "factory/x")); /* nothing decides: no */
    assert_false(may_topic(r, anna, RIGHT_PUBLISH, "other"));
    assert_true(may_filter(r, anna, "factory/secret/ours"));
    assert_false(may_filter(r, bob, "factory/secret/ours"));
    assert_false(may_filter(r, anna, "factory/secret/#"));
    assert_true(may_filter(r, anna, "factory/line1/#"));
    /* Wider than the right, or in part denied: refused, not narrowed. */
    assert_false(may_filter(r, anna, "factory/#"));
    assert_false(may_filter(r, anna, "#"));
    assert_false(may_filter(r, anna, "+/line1"));
    assert_false(may_filter(r, anna, "factory/+/ours"));
    rules_free(r);
}

static void retained_reads_are_as_subscriptions_unless_written(void **state)
{
    (void)state;
    struct rules *r = parsed("rules:\n"
                             "  - { user: a, subscribe: \"t/#\" }\n"
                             "  - { user: b, subscribe: \"t/#\", read: \"t/state\" }\n"
                             "  - { user: c, subscribe: \"t/#\", read: [] }\n");
    assert_true(may_topic(r, user("a", "c"), RIGHT_READ, "t/x"));
    assert_true(may_topic(r, user("b", "c"), RIGHT_READ, "t/state"));
    assert_false(may_topic(r, user("b", "c"), RIGHT_READ, "t/x"));
    assert_false(may_topic(r, user("c", "c"), RIGHT_READ, "t/state"));
    assert_true(may_topic(r, user("c", "c"), RIGHT_SUBSCRIBE, "t/state"));
    rules_free(r);
}

static void a_rule_is_for_whom_it_says(void **state)
{
    (void)state;
    struct rules *r = parsed("rules:\n"
                             "  - { role: admin, publish: \"admin\" }\n"
                             "  - { client: \"press-*\", publish: \"press\" }\n"
                             "  - { user: \"line*-a\", client: [x, y], publish: \"both\" }\n"
                             "  - { anonymous: true, publish: \"nobody\" }\n"
                             "  - { anonymous: false, publish: \"somebody\" }\n"
                             "  - { publish: \"all\" }\n");
    struct subject admin = { .user = BYTES_LIT("u"), .client = BYTES_LIT("c"), .roles = admin_role, .role_count = 1 };
    assert_true(may_topic(r, admin, RIGHT_PUBLISH, "admin"));
    assert_false(may_topic(r, user("admin", "admin"), RIGHT_PUBLISH, "admin")); /* a name is no role */
    assert_true(may_topic(r, user("u", "press-1"), RIGHT_PUBLISH, "press"));
    assert_true(may_topic(r, user("u", "press-"), RIGHT_PUBLISH, "press"));
    assert_false(may_topic(r, user("press-1", "c"), RIGHT_PUBLISH, "press"));
    assert_true(may_topic(r, user("line1-a", "y"), RIGHT_PUBLISH, "both"));
    assert_true(may_topic(r, user("line-a-a", "x"), RIGHT_PUBLISH, "both"));
    assert_false(may_topic(r, user("line1-a", "z"), RIGHT_PUBLISH, "both"));
    assert_false(may_topic(r, user("line1-b", "x"), RIGHT_PUBLISH, "both"));
    assert_true(may_topic(r, nobody("c"), RIGHT_PUBLISH, "nobody"));
    assert_false(may_topic(r, user("anonymous", "c"), RIGHT_PUBLISH, "nobody"));
    assert_true(may_topic(r, user("u", "c"), RIGHT_PUBLISH, "somebody"));
    assert_false(may_topic(r, nobody("c"), RIGHT_PUBLISH, "somebody"));
    assert_true(may_topic(r, nobody("c"), RIGHT_PUBLISH, "all"));
    rules_free(r);
    r = parsed("rules: [ { user: \"*\", publish: \"x\" } ]");
    assert_true(may_topic(r, user("u", "c"), RIGHT_PUBLISH, "x"));
    assert_false(may_topic(r, nobody("c"), RIGHT_PUBLISH, "x")); /* no name is not any name */
    rules_free(r);
}

/* CVE-2017-7650: a client called "#" or "+/x" must not widen what %c and %u give. */
static void cve_2017_7650_names_are_no_patterns(void **state)
{
    (void)state;
    struct rules *r = parsed("rules:\n"
                             "  - { publish: \"d/%c/out\", subscribe: [\"d/%c/#\", \"u/%u\", \"%c/top\"] }\n");
    assert_true(may_topic(r, user("u", "press-1"), RIGHT_PUBLISH, "d/press-1/out"));
    assert_false(may_topic(r, user("u", "press-1"), RIGHT_PUBLISH, "d/press-2/out"));
    assert_true(may_filter(r, user("u", "press-1"), "d/press-1/#"));
    assert_true(may_filter(r, user("anna", "c"), "u/anna"));
    assert_false(may_filter(r, user("anna", "c"), "u/%u"));
    static const char *const tricks[] = { "#", "+", "a/b", "+/x", "/", "a#", "$SYS", "$share", "" };
    static const char *const targets[] = { "#", "+", "d/#", "d/+/out", "d/press-1/out", "d/a/b/out", "d//out", "d/$SYS/out", "u/#",
                                           "u/+", "u/a/b", "$SYS/top", "d/+/#" };
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++)
        for (size_t k = 0; k < sizeof targets / sizeof targets[0]; k++)
            if (may_filter(r, user(tricks[i], tricks[i]), targets[k]) ||
                may_topic(r, user(tricks[i], tricks[i]), RIGHT_PUBLISH, targets[k]))
                fail_msg("'%s' gets '%s'", tricks[i], targets[k]);
    assert_false(may_filter(r, nobody("c"), "u/")); /* nobody has no %u */
    rules_free(r);
    /* And a denial is not escaped by such a name. */
    r = parsed("rules:\n"
               "  - { deny: true, publish: \"d/%c/locked\" }\n"
               "  - { publish: \"d/#\" }\n");
    assert_false(may_topic(r, user("u", "press-1"), RIGHT_PUBLISH, "d/press-1/locked"));
    assert_true(may_topic(r, user("u", "press-1"), RIGHT_PUBLISH, "d/press-2/locked"));
    assert_false(may_topic(r, user("u", "a/b"), RIGHT_PUBLISH, "d/a/b/locked"));
    assert_false(may_topic(r, user("u", "+"), RIGHT_PUBLISH, "d/x"));
    rules_free(r);
}

static void a_percent_sign_can_be_written(void **state)
{
    (void)state;
    struct rules *r = parsed("rules: [ { publish: [\"load/100%%\", \"a%%u/%u%c\"] } ]");
    assert_true(may_topic(r, user("x", "y"), RIGHT_PUBLISH, "load/100%"));
    assert_true(may_topic(r, user("x", "y"), RIGHT_PUBLISH, "a%u/xy"));
    assert_false(may_topic(r, user("x", "y"), RIGHT_PUBLISH, "ax/xy"));
    rules_free(r);
}

static void a_long_name_does_not_fit_and_does_no_harm(void **state)
{
    (void)state;
    static uint8_t name[65535];
    memset(name, 'a', sizeof name);
    struct rules *r = parsed("rules: [ { publish: \"%c/%c\" } ]");
    struct subject s = { .user = BYTES_LIT("u"), .client = bytes_of(name, EXPANDED_MAX / 2) };
    assert_int_equal(rules_topic(r, &s, RIGHT_PUBLISH, BYTES_LIT("x")), RULING_NONE);
    s.client = bytes_of(name, sizeof name);
    assert_int_equal(rules_topic(r, &s, RIGHT_PUBLISH, BYTES_LIT("x")), RULING_NONE);
    rules_free(r);
}

static void a_file_without_rules_allows_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "# nothing\n", "version: 1\n", "rules:\n", "rules: []\n", "version: 1\nrules: ~\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct rules *r = parsed(texts[i]);
        assert_false(may_topic(r, user("a", "b"), RIGHT_PUBLISH, "x"));
        assert_false(may_filter(r, user("a", "b"), "x"));
        assert_false(may_topic(r, user("a", "b"), RIGHT_READ, "x"));
        rules_free(r);
    }
}

static void a_damaged_file_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct { const char *text, *said; } table[] = {
        { "rules: [", "r:2:1: this is not YAML" },
        { "- a\n", "r:1:1: a rules file has the keys" },
        { "version: 2\n", "r:1:1: version must be 1" },
        { "versoin: 1\n", "r:1:1: unknown key 'versoin'" },
        { "rules: x\n", "r:1:1: rules must be a list" },
        { "rules: { a: b }\n", "r:1:1: rules must be a list" },
        { "rules:\n  - anna\n", "r:2:5: a rule is a map" },
        { "rules:\n  - { user: anna }\n", "r:2:5: this rule says nothing" },
        { "rules:\n  - { usr: anna, publish: x }\n", "r:2:7: unknown key 'usr'. Did you mean 'user'?" },
        { "rules:\n  - { user: [], publish: x }\n", "r:2:7: user must be a text or a list of texts" },
        { "rules:\n  - { user: , publish: x }\n", "r:2:7: user must be" },
        { "rules:\n  - { user: { a: b }, publish: x }\n", "r:2:7: user must be" },
        { "rules:\n  - { user: [[a]], publish: x }\n", "r:2:" },
        { "rules:\n  - { publish: \"a/#/b\" }\n", "r:2:16: the filter 'a/#/b' has a wildcard where none may be" },
        { "rules:\n  - { publish: \"\" }\n", "r:2:" },
        { "rules:\n  - { publish: \"a%\" }\n", "r:2:16: 'a%': behind a %" },
        { "rules:\n  - { publish: \"%d\" }\n", "r:2:16: '%d': behind a %" },
        { "rules:\n  - { subscribe: \"$share/g/a\" }\n", "r:2:18: '$share/g/a' is a shared filter" },
        { "rules:\n  - { publish: x, deny: maybe }\n", "r:2:19: deny must be true or false" },
        { "rules:\n  - { publish: x, anonymous: [true] }\n", "r:2:19: anonymous must be true or false" },
        { "rules:\n  - { publish: x, publish: y }\n", "r:2:" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rules *r = NULL;
        struct fault why;
        enum code c = rules_parse(&r, "r", bytes_str(table[i].text), &why);
        if (c != CODE_DAMAGED || strncmp(why.text, table[i].said, strlen(table[i].said)) != 0)
            fail_msg("'%s' gave %s: %s", table[i].text, code_name(c), c ? why.text : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_covers_what_it_is_at_least_as_wide_as),
        cmocka_unit_test(covers_and_overlap_agree_with_all_small_topics),
        cmocka_unit_test(the_first_rule_that_decides_counts),
        cmocka_unit_test(retained_reads_are_as_subscriptions_unless_written),
        cmocka_unit_test(a_rule_is_for_whom_it_says),
        cmocka_unit_test(cve_2017_7650_names_are_no_patterns),
        cmocka_unit_test(a_percent_sign_can_be_written),
        cmocka_unit_test(a_long_name_does_not_fit_and_does_no_harm),
        cmocka_unit_test(a_file_without_rules_allows_nothing),
        cmocka_unit_test(a_damaged_file_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
