#include "expr/regex.h"

#include "expr/expr_test_rig.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* "from-to" of the whole and of the groups that took part, "none", or the refusal. */
static const char *found(const char *pattern, const char *text)
{
    static char out[400];
    struct regex *r;
    struct regex_match m;
    struct arena arena;
    const char *wrong;
    if (regex_new(&r, bytes_str(pattern), &wrong))
        return wrong;
    arena_init(&arena, NULL, 0, 4 * 1024 * 1024);
    enum code code = regex_find(r, bytes_str(text), 0, &arena, &m);
    int n = snprintf(out, sizeof out, "none");
    for (unsigned g = 0; code == CODE_OK && g < REGEX_GROUPS; g++) {
        n = g ? n : 0;
        if (m.from[g] != SIZE_MAX && m.to[g] != SIZE_MAX)
            n += snprintf(out + n, sizeof out - (size_t)n, "%s%zu-%zu", g ? " " : "", m.from[g], m.to[g]);
    }
    arena_clear(&arena);
    regex_free(r);
    return out;
}

#define FINDS(pattern, text, want) assert_string_equal(found(pattern, text), want)

static void characters_and_sets(void **state)
{
    (void)state;
    FINDS("b", "abc", "1-2");
    FINDS("B", "abc", "1-2");
    FINDS("x", "abc", "none");
    FINDS("", "abc", "0-0");
    FINDS("b.", "ab\nc", "1-3");
    FINDS("[0-9][0-9]", "a12b", "1-3");
    FINDS("[^a-c]", "abcd", "3-4");
    FINDS("[A-C]+", "xabcx", "1-4");
    FINDS("[]", "a", "none");
    FINDS("[^]", "a", "0-1");
    FINDS("[a-]+", "-a-", "0-3");
    FINDS("[\\]\\\\]+", "]\\", "0-2");
    FINDS("\\d+", "ab123", "2-5");
    FINDS("\\D+", "ab123", "0-2");
    FINDS("\\w+", "  a_1-", "2-5");
    FINDS("\\W", "a-", "1-2");
    FINDS("\\s\\S", "a b", "1-3");
    FINDS("[\\d.]+", "v1.25", "1-5");
    FINDS("\\.", "a.b", "1-2");
    FINDS("\\x41\\u0042", "ab", "0-2");
    FINDS("\xc3\x84", "x\xc3\xa4", "1-3");
    FINDS("^.$", "\xf0\x9f\x98\x80", "0-4");
    FINDS("a{", "a{", "0-2");
}

static void repetition_takes_most_or_least(void **state)
{
    (void)state;
    FINDS("a*", "aaa", "0-3");
    FINDS("a*?", "aaa", "0-0");
    FINDS("a+?", "aaa", "0-1");
    FINDS("a?", "aaa", "0-1");
    FINDS("a{2}", "aaa", "0-2");
    FINDS("a{2,}", "aaaa", "0-4");
    FINDS("a{1,2}", "aaaa", "0-2");
    FINDS("a{1,2}?", "aaaa", "0-1");
    FINDS("<.+>", "<a><b>", "0-6");
    FINDS("<.+?>", "<a><b>", "0-3");
    FINDS("(a*)*", "aa", "0-2 0-2");
    FINDS("(?:a|b)*c", "ababc", "0-5");
    /* Where engines that go back give up a repetition of nothing, this one goes on. */
    FINDS("(|a)+", "aaa", "0-3 2-3");
    FINDS("(a|ab)(c|bcd)", "abcd", "0-4 0-1 1-4");
    FINDS("x*", "aaa", "0-0");
}

static void groups_and_places(void **state)
{
    (void)state;
    FINDS("(\\d+)-(\\d+)", "a12-345b", "1-7 1-3 4-7");
    FINDS("(a)|(b)", "b", "0-1 0-1");
    FINDS("(?:a)(b)", "ab", "0-2 1-2");
    FINDS("a|ab", "ab", "0-1");
    FINDS("ab|a", "ab", "0-2");
    FINDS("^b", "ab", "none");
    FINDS("b$", "ab", "1-2");
    FINDS("^$", "", "0-0");
    FINDS("\\bb\\b", "ab b", "3-4");
    FINDS("\\Bb", "ab b", "1-2");
    FINDS("(a(b(c)))", "abc", "0-3 0-3 1-3 2-3");
}

static void what_is_refused(void **state)
{
    (void)state;
    FINDS("(a", "", "a ( has no )");
    FINDS("a)", "", "a ) has no (");
    FINDS("[a", "", "a [ has no ]");
    FINDS("*a", "", "there is nothing before a repetition");
    FINDS("a**", "", "a repetition follows a repetition");
    FINDS("a{2,1}", "", "a repetition's numbers run backwards");
    FINDS("[b-a]", "", "a range in a set runs backwards");
    FINDS("[a-\\d]", "", "a range in a set ends in a class");
    FINDS("(a)\\1", "", "back references such as \\1 are not offered");
    FINDS("(?=a)", "", "of the groups that begin with (? only (?: is offered");
    FINDS("\\q", "", "a backslash stands before a letter that it gives no meaning");
    FINDS("a\\", "", "a backslash stands at its end");
    FINDS("\\x4", "", "\\x has two and \\u four hexadecimal digits");
    FINDS("((a{50}){50}){50}", "", "with its repetitions written out it has more than 2000 steps");
    FINDS("(?:(?:(?:){2000}){2000}){2000}", "", "0-0");
    char deep[200];
    memset(deep, '(', 100);
    memset(deep + 100, ')', 99);
    deep[199] = 0;
    FINDS(deep, "", "groups are nested more than 50 deep");
    char longer[REGEX_BYTES + 2];
    memset(longer, 'a', sizeof longer);
    longer[REGEX_BYTES + 1] = 0;
    FINDS(longer, "", "it is longer than 1000 bytes");
}

/* The classic trap of engines that go back. */
static void it_never_explodes(void **state)
{
    (void)state;
    char text[30001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    FINDS("(a*)*b", text, "none");
    FINDS("(?:a?){30}a{30}b", text, "none");
}

/* Against the C library, which prefers the longest match: begins, and whether there is one, agree. */
static void begins_where_the_library_finds_it(void **state)
{
    (void)state;
    static const char *const parts[] = {"a",  "b",  ".",     "[ab]", "[^a]", "(a|b)", "(ab|a)",
                                        "a*", "b+", "(ab)?", "c",    "a{2}", "(a|b)*"};
    uint64_t seed = 3;
    for (int i = 0; i < 4000; i++) {
        char pattern[80] = "", text[16], want[32] = "none";
        for (unsigned k = 0; k < 4; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            strcat(pattern, parts[(seed >> 33) % (sizeof parts / sizeof parts[0])]);
        }
        unsigned len = (unsigned)(seed >> 40) % 10;
        for (unsigned k = 0; k < len; k++)
            text[k] = (char)('a' + (seed >> (41 + k)) % 3);
        text[len] = 0;
        regex_t re;
        regmatch_t m[1];
        assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_ICASE), 0);
        if (regexec(&re, text, 1, m, 0) == 0)
            (void)snprintf(want, sizeof want, "%d-", (int)m[0].rm_so);
        regfree(&re);
        if (strncmp(found(pattern, text), want, strlen(want)) != 0)
            fail_msg("/%s/ in %s: %s, not %s", pattern, text, found(pattern, text), want);
    }
}

static void functions_of_the_language(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *want;
    } rows[] = {
        {"REGEXMATCH(s, '[0-9]+')", "4"},
        {"REGEXMATCH(s, 'ABC')", "1"},
        {"REGEXMATCH(s, 'x')", "0"},
        {"REGEXMATCH(s, p)", "4"},
        {"REGEXMATCH(s, bad)", "0"},
        {"REGEXMATCH(n, 'x')", "null"},
        {"REGEXMATCH(s, n)", "null"},
        {"REGEXMATCH(i, '1')", "The 1st argument of function regexmatch has invalid type 'bigint'. Only 'nvarchar(max)' is "
                               "allowed. At line '1' and column '1'."},
        {"REGEXMATCH(u, 'z')", "2"},
        {"REGEXMATCH(s, '(')", "0"},
        {"REGEXMATCH(s, 5)", "1:1: The 2nd argument of function regexmatch has invalid type 'bigint'. Only "
                             "'nvarchar(max)' is allowed."},
        {"REGEXREPLACE(s, '[0-9]+', '#')", "\"abc#def#\""},
        {"REGEXREPLACE(s, '([a-z]+)([0-9])', '$2$1-$0-$&-$$-$9')",
         "\"1abc-abc1-abc1-$-234def-def4-def4-$-56\""},
        {"REGEXREPLACE('abc', '', '.')", "\".a.b.c.\""},
        {"REGEXREPLACE('\xc3\xa4\xc3\xb6', 'x*', '-')", "\"-\xc3\xa4-\xc3\xb6-\""},
        {"REGEXREPLACE(s, 'x', '#')", "\"abc123def456\""},
        {"REGEXREPLACE(s, bad, '#')", "\"abc123def456\""},
        {"REGEXREPLACE(s, p, '')", "\"abcdef\""},
        {"REGEXREPLACE(s, p, n)", "null"},
        {"REGEXREPLACE('a', 'a', '$')", "\"$\""},
    };
    const char *row =
        "{\"s\":\"abc123def456\",\"p\":\"\\\\d+\",\"bad\":\"(\",\"n\":null,\"i\":12,\"u\":\"\xe2\x82\xacz\"}";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rig_says(rows[i].expression, row), rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].expression, rig_says(rows[i].expression, row));
}

static void a_replacement_has_a_budget(void **state)
{
    (void)state;
    struct buf row = {0};
    buf_printf(&row, "{\"s\":\"");
    for (int i = 0; i < 100000; i++)
        buf_u8(&row, 'a');
    buf_printf(&row, "\"}");
    buf_u8(&row, 0);
    assert_string_equal(
        rig_says("REGEXREPLACE(s, 'a.*b|a', 'x')", (const char *)row.at),
        "This regular expression costs too much on a text of 100000 bytes. At line '1' and column '1'.");
    assert_string_equal(rig_says("LEN(REGEXREPLACE(s, 'a', 'xy'))", (const char *)row.at), "200000");
    assert_string_equal(
        rig_says("REGEXREPLACE(s, 'a', 'xyxyxyxyxyxyxyxy')", (const char *)row.at),
        "The result of function REGEXREPLACE is longer than 1048576 bytes. At line '1' and column '1'.");
    buf_clear(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_and_sets),       cmocka_unit_test(repetition_takes_most_or_least),
        cmocka_unit_test(groups_and_places),         cmocka_unit_test(what_is_refused),
        cmocka_unit_test(it_never_explodes),         cmocka_unit_test(begins_where_the_library_finds_it),
        cmocka_unit_test(functions_of_the_language), cmocka_unit_test(a_replacement_has_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
