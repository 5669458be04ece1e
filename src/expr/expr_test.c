/* Operators, conditions and conversions; the functions have tests of their own. */
#include "expr/expr_test_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROW                                                                                                  \
    "{\"i\":7,\"f\":2.5,\"s\":\"abc\",\"t\":true,\"no\":false,\"n\":null,\"big\":9223372036854775807,"       \
    "\"small\":-9223372036854775808,\"d\":\"2024-01-01T00:00:10Z\",\"r\":{\"a\":{\"b\":{\"c\":5}},\"A\":1}," \
    "\"l\":[1,\"x\"],\"zero\":0,\"fzero\":0.0,\"pct\":\"50%\",\"p53\":9007199254740993}"
#define SAYS(expression, want) assert_string_equal(rig_says(expression, ROW), want)

static void arithmetic(void **state)
{
    (void)state;
    SAYS("i + 1", "8");
    SAYS("i - 10", "-3");
    SAYS("i * f", "17.5");
    SAYS("i / 2", "3");
    SAYS("-i / 2", "-3");
    SAYS("i / 2.0", "3.5");
    SAYS("i % 4", "3");
    SAYS("-i % 4", "-3");
    SAYS("small % -1", "0");
    SAYS("f % 2", "0.5");
    SAYS("7 % 3 + 2 * 3", "7");
    SAYS("- f", "-2.5");
    SAYS("+ i", "7");
    SAYS("i + n", "null");
    SAYS("-n", "null");
    SAYS("s + 'd' + s", "\"abcdabc\"");
    SAYS("s + n", "null");
    SAYS("1 + 2 * 3", "7");
}

static void arithmetic_that_fails(void **state)
{
    (void)state;
    SAYS("big + 1", "The result of operator '+' is outside of the range of bigint. At line '1' and column '1'.");
    SAYS("small - 1", "The result of operator '-' is outside of the range of bigint. At line '1' and column '1'.");
    SAYS("i + big * 2", "The result of operator '*' is outside of the range of bigint. At line '1' and column '5'.");
    SAYS("small / -1", "The result of operator '/' is outside of the range of bigint. At line '1' and column '1'.");
    SAYS("- small", "The result of operator '-' is outside of the range of bigint. At line '1' and column '1'.");
    SAYS("i\n/ zero", "Division by zero. At line '1' and column '1'.");
    SAYS("i % zero", "Division by zero. At line '1' and column '1'.");
    SAYS("f / fzero", "null"); /* infinite; counted */
    SAYS("fzero / fzero", "null");
    SAYS("f * 1e308 * 10", "null");
    SAYS("s - 1", "Operator '-' cannot be applied to values of type 'nvarchar(max)' and 'bigint'. At line "
                  "'1' and column '1'.");
    SAYS("s + i", "Operator '+' cannot be applied to values of type 'nvarchar(max)' and 'bigint'. CONCAT "
                  "joins values of any type. "
                  "At line '1' and column '1'.");
    SAYS("System.Timestamp() + 1",
         "Operator '+' cannot be applied to values of type 'datetime' and 'bigint'. DATEADD and DATEDIFF "
         "calculate with datetime. At line '1' and column '1'.");
    SAYS("-s", "Operator '-' has invalid type 'nvarchar(max)'. Only 'bigint', 'float' is allowed. At line "
               "'1' and column '1'.");
    /* Constants fail where a row reaches them. */
    SAYS("1 / 0", "Division by zero. At line '1' and column '1'.");
    SAYS("CASE WHEN i = i THEN 1 ELSE 1 / 0 END", "1");
    SAYS("i +\n  (1 + 9223372036854775807)",
         "The result of operator '+' is outside of the range of bigint. At line '2' and column '4'.");
}

static void comparisons(void **state)
{
    (void)state;
    SAYS("i = 7", "true");
    SAYS("i <> 7", "false");
    SAYS("i < 7", "false");
    SAYS("i <= 7", "true");
    SAYS("i > 6.9", "true");
    SAYS("i >= 7.1", "false");
    SAYS("7 < i", "false");
    SAYS("6 < i", "true");
    SAYS("8 >= i", "true");
    SAYS("7 <> i", "false");
    SAYS("f = 2.5", "true");
    SAYS("f < i", "true");
    SAYS("f > 2", "true");
    SAYS("s = 'abc'", "true");
    SAYS("s = 'ABC'", "false");
    SAYS("s <> 'abd'", "true");
    SAYS("s < 'abd'", "true");
    SAYS("'ab' < s", "true");
    SAYS("t = 1", "true");
    SAYS("no = 0", "true");
    SAYS("t = no", "false");
    SAYS("p53 > 9007199254740992.0", "true");
    SAYS("p53 = 9007199254740992.0", "false");
    SAYS("n = 1", "null");
    SAYS("i = n", "null");
    SAYS("n = n", "null");
    SAYS("i <> NULL", "null");
    SAYS("missing = 1", "null");
    SAYS("CAST(d AS datetime) = '2024-01-01T01:00:10+01:00'", "true");
    SAYS("CAST(d AS datetime) < '2024-01-02'", "true");
    SAYS("System.Timestamp() = '1970-01-01'", "true");
    SAYS("s = 1", "Cannot compare values of type 'nvarchar(max)' and 'bigint'. At line '1' and column '1'.");
    SAYS("i = 'x'",
         "Cannot compare values of type 'bigint' and 'nvarchar(max)'. At line '1' and column '1'.");
    SAYS("r > 1", "Cannot compare values of type 'record' and 'bigint'. At line '1' and column '1'.");
    SAYS("System.Timestamp() < s",
         "The text 'abc' is compared with a datetime and is no date. At line '1' and column '1'.");
    SAYS("i < f OR s > 5",
         "Cannot compare values of type 'nvarchar(max)' and 'bigint'. At line '1' and column '10'.");
}

static void logic_has_three_values(void **state)
{
    (void)state;
    static const char *const words[] = {"t", "no", "n"};
    static const char *const and[3][3] = {
        {"true", "false", "null"}, {"false", "false", "false"}, {"null", "false", "null"}};
    static const char *const or [3][3] = {
        {"true", "true", "true"}, {"true", "false", "null"}, {"true", "null", "null"}};
    char text[100];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            (void)snprintf(text, sizeof text, "%s AND %s", words[i], words[k]);
            SAYS(text, and[i][k]);
            (void)snprintf(text, sizeof text, "%s = 1 OR %s = 1", words[i], words[k]);
            SAYS(text, or [i][k]);
            (void)snprintf(text, sizeof text, "NOT (%s AND %s) AND t", words[i], words[k]);
            SAYS(text, and[i][k][0] == 't' ? "false" : and[i][k][0] == 'f' ? "true" : "null");
        }
    SAYS("NOT n", "null");
    SAYS("NOT (i = 7)", "false");
    SAYS("t AND t AND t AND n AND no", "false");
    SAYS("no OR no OR n OR t", "true");
    /* What decides ends it. */
    SAYS("no AND i / zero = 1", "false");
    SAYS("t OR i / zero = 1", "true");
    SAYS("n AND i / zero = 1", "Division by zero. At line '1' and column '7'.");
    SAYS("true AND false", "false");
    SAYS("i AND t", "A value of type 'bigint' is used as a condition. Only 'bit' is allowed; compare it with "
                    "something. At line "
                    "'1' and column '1'.");
}

static void only_true_passes_a_test(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } table[] = {{"i = 7", true}, {"i = 8", false}, {"i = n", false}, {"t", true},
                 {"no", false},   {"n", false},     {"NOT n", false}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rig r;
        bool yes;
        assert_int_equal(rig_open(&r, bytes_str(table[i].text)), CODE_OK);
        assert_int_equal(json_read(r.reader, r.plan, bytes_str(ROW), false, NULL), CODE_OK);
        assert_int_equal(json_next(r.reader, &r.eval.slots), CODE_OK);
        assert_int_equal(expr_test(r.expr, &r.eval, &yes), CODE_OK);
        assert_int_equal(yes, table[i].want);
        rig_close(&r);
    }
}

static void predicates(void **state)
{
    (void)state;
    SAYS("i BETWEEN 7 AND 8", "true");
    SAYS("i BETWEEN 1 AND 7", "true");
    SAYS("i BETWEEN 8 AND 9", "false");
    SAYS("i NOT BETWEEN 8 AND 9", "true");
    SAYS("i BETWEEN n AND 9", "null");
    SAYS("i BETWEEN n AND 6", "false");
    SAYS("i BETWEEN 8 AND n", "false");
    SAYS("i NOT BETWEEN n AND 6", "true");
    SAYS("n BETWEEN 1 AND 2", "null");
    SAYS("i BETWEEN 'a' AND 'b'",
         "Cannot compare values of type 'bigint' and 'nvarchar(max)'. At line '1' and column '1'.");
    SAYS("i IS NULL", "false");
    SAYS("n IS NULL", "true");
    SAYS("r.x.y IS NULL", "true");
    SAYS("n IS NOT NULL", "false");
    SAYS("i IN (1, 7)", "true");
    SAYS("i IN (1, 2)", "false");
    SAYS("i NOT IN (1, 2)", "true");
    SAYS("i IN (1, n)", "null");
    SAYS("i IN (7, n)", "true");
    SAYS("i NOT IN (1, NULL)", "null");
    SAYS("n IN (1)", "null");
    SAYS("i IN (9, 8, 7.0, 6, 5, 4, 3)", "true");
    SAYS("i IN (9, 8, 6, 5, 4, 3)", "false");
    SAYS("f IN (9, 8, 2.5, 5, 4, 3, NULL)", "true");
    SAYS("f IN (9, 8, 5, 4, 3, NULL)", "null");
    SAYS("f NOT IN (9, 8, 5, 4, 3)", "true");
    SAYS("n IN (1, 2, 3, 4, 5)", "null");
    SAYS("s IN ('z', 'y', 'abc', 'x', 'w')", "true");
    SAYS("s IN ('z', 'y', 'ABC', 'x', 'w')", "false");
    SAYS("s IN (1, 2, 3, 4, 5)",
         "Cannot compare values of type 'nvarchar(max)' and 'bigint'. At line '1' and column '1'.");
    SAYS("t IN (5, 4, 3, 2, 1)", "true");
    SAYS("System.Timestamp() IN ('2024-01-01', '1970-01-01', '1980-01-01', '1990-01-01')", "true");
    SAYS("3 IN (1, 2, 3)", "true");
}

static void like(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pattern;
        bool want;
    } table[] = {
        {"", "", true},
        {"", "%", true},
        {"", "_", false},
        {"a", "", false},
        {"abc", "abc", true},
        {"abc", "ABC", false},
        {"abc", "a%", true},
        {"abc", "%c", true},
        {"abc", "%b%", true},
        {"abc", "a%c", true},
        {"abc", "b%", false},
        {"abc", "%b", false},
        {"abc", "a_c", true},
        {"abc", "__", false},
        {"abc", "___", true},
        {"abc", "_%_", true},
        {"abcabc", "%abc", true},
        {"aXbYc", "a%b%c", true},
        {"ab", "a%b%b", false},
        {"abb", "a%b%b", true},
        {"aab", "%ab", true},
        {"a", "%a%a%", false},
        {"b5", "[a-c][0-9]", true},
        {"d5", "[a-c]_", false},
        {"d", "[^a-c]", true},
        {"b", "[^a-c]", false},
        {"-", "[a-]", true},
        {"-", "[-a]", true},
        {"b", "[a-]", false},
        {"50%", "50[%]", true},
        {"50x", "50[%]", false},
        {"[x]", "[[]x]", true},
        {"a", "[]", false},
        {"x^", "x[x^]", true},
        {"\xc3\xa4\xe2\x82\xac", "__", true},
        {"\xc3\xa4", "_", true},
        {"\xc3\xa4", "[\xc3\xa0-\xc3\xbf]", true},
        {"x\xc3\xa4y", "%\xc3\xa4%", true},
        {"ABC-369", "A%9", true},
        {"ABC-123", "A%9", false},
        {"aaaa", "%aa", true},
        {"\xc3\xa4\xc3\xa4", "%_\xc3\xa4", true},
        {"a%b", "a%%b", true},
    };
    char expression[100], row[100];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *want = table[i].want ? "true" : "false";
        (void)snprintf(row, sizeof row, "{\"s\":\"%s\",\"p\":\"%s\"}", table[i].text, table[i].pattern);
        (void)snprintf(expression, sizeof expression, "s LIKE '%s'", table[i].pattern);
        if (strcmp(rig_says(expression, row), want) != 0)
            fail_msg("'%s' LIKE '%s': %s", table[i].text, table[i].pattern, rig_says(expression, row));
        assert_string_equal(rig_says("s LIKE p", row), want);
        assert_string_equal(rig_says("s NOT LIKE p", row), table[i].want ? "false" : "true");
    }
    SAYS("pct LIKE '50!%' ESCAPE '!'", "true");
    SAYS("pct LIKE '5!%' ESCAPE '!'", "false");
    SAYS("'a!b' LIKE 'a!!b' ESCAPE '!'", "true");
    SAYS("'a]b' LIKE 'a[x!]]b' ESCAPE '!'", "true");
    SAYS("s LIKE n", "null");
    SAYS("n LIKE 'a'", "null");
    SAYS("i LIKE 'a'",
         "LIKE has invalid type 'bigint'. Only 'nvarchar(max)' is allowed. At line '1' and column '1'.");
    SAYS("s LIKE 'a[b'", "1:8: the pattern of LIKE is wrong: a [ has no ]");
    SAYS("s LIKE 'a!' ESCAPE '!'",
         "1:8: the pattern of LIKE is wrong: the escape character stands at its end");
    SAYS("s LIKE 'a' ESCAPE '!!'", "1:8: the pattern of LIKE is wrong: ESCAPE needs a text of one character");
    SAYS("s LIKE '[' + s", "The pattern of LIKE is wrong: a [ has no ]. At line '1' and column '1'.");
}

static void like_takes_no_endless_time(void **state)
{
    (void)state;
    struct buf row = {0}, expression = {0};
    buf_printf(&row, "{\"s\":\"");
    for (int i = 0; i < 20000; i++)
        buf_u8(&row, 'a');
    buf_printf(&row, "\"}");
    buf_u8(&row, 0);
    buf_printf(&expression, "s LIKE '");
    for (int i = 0; i < 100; i++)
        buf_printf(&expression, "%%a_");
    buf_printf(&expression, "%%b'");
    buf_u8(&expression, 0);
    assert_string_equal(rig_says((const char *)expression.at, (const char *)row.at), "false");
    buf_clear(&row);
    buf_clear(&expression);
}

static void cases(void **state)
{
    (void)state;
    SAYS("CASE WHEN i > 5 THEN 'big' WHEN i > 3 THEN 'mid' ELSE 'small' END", "\"big\"");
    SAYS("CASE WHEN n THEN 1 WHEN no THEN 2 END", "null");
    SAYS("CASE WHEN n THEN 1 ELSE 3 END", "3");
    SAYS("CASE i WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END", "\"seven\"");
    SAYS("CASE i WHEN n THEN 1 WHEN 7.0 THEN 2 END", "2");
    SAYS("CASE n WHEN n THEN 1 ELSE 2 END", "2");
    SAYS("CASE i WHEN 'x' THEN 1 END",
         "CASE cannot compare values of type 'bigint' and 'nvarchar(max)'. At line '1' and column '1'.");
    SAYS("CASE WHEN zero <> 0 THEN i / zero ELSE 0 END", "0");
    SAYS("CASE WHEN i THEN 1 END",
         "A value of type 'bigint' is used as a condition. Only 'bit' is allowed; compare it with "
         "something. At line '1' and column '11'.");
}

static void casts(void **state)
{
    (void)state;
    SAYS("CAST('12' AS bigint) + i", "19");
    SAYS("CAST(f AS bigint)", "2");
    SAYS("CAST(i AS nvarchar(max))", "\"7\"");
    SAYS("CAST(n AS record)", "null");
    SAYS("CAST(r AS record).A", "1:18: expected the end, found '.'");
    SAYS("TRY_CAST(s AS bigint)", "null");
    SAYS("TRY_CAST(r AS array)", "null");
    SAYS("TRY_CAST(l AS array)", "[1,\"x\"]");
    SAYS("CAST(d AS datetime)", "\"2024-01-01T00:00:10.0000000Z\"");
    SAYS("1 + CAST(r.a AS array)",
         "Cannot cast value of type 'record' to type 'array' in expression 'r.a'. At line '1' and "
         "column '5'. TRY_CAST function can be used to handle values with unexpected type.");
    SAYS("CAST(s AS bigint)",
         "Cannot cast value of type 'nvarchar(max)' to type 'bigint' in expression 's'. At line '1' and "
         "column '1'. TRY_CAST function can be used to handle values with unexpected type.");
    SAYS("CAST('x' AS bigint)",
         "Cannot cast value of type 'nvarchar(max)' to type 'bigint' in expression ''x''. At line '1' and "
         "column '1'. TRY_CAST function can be used to handle values with unexpected type.");
    SAYS("TRY_CAST('x' AS bigint)", "null");
}

static void nested_fields(void **state)
{
    (void)state;
    SAYS("r.a.b.c", "5");
    SAYS("r.a.b.c.d", "null");
    SAYS("r.A", "1");
    SAYS("r.a.b", "{\"c\":5}");
    SAYS("R.a.B.c", "5");
    SAYS("l.x", "null");
    SAYS("s.x", "null");
    SAYS("GetRecordPropertyValue(r.a, 'b').c", "5");
    SAYS("GetArrayElement(l, 1).x", "null");
}

static void refusals(void **state)
{
    (void)state;
    SAYS("SUBSTRNG(s, 1, 2)", "1:1: unknown function SUBSTRNG; did you mean SUBSTRING?");
    SAYS("1 + qqq(i)", "1:5: unknown function qqq");
    SAYS("SUM(i)", "1:1: unknown function SUM");
    SAYS("LEN()", "1:1: function LEN has 1 argument, found 0");
    SAYS("LEN(s, s)", "1:1: function LEN has 1 argument, found 2");
    SAYS("ROUND(i, 1, 2)", "1:1: function ROUND has 1 to 2 arguments, found 3");
    SAYS("LEN(DISTINCT s)", "1:1: function LEN has no DISTINCT");
    SAYS("LEN(s) OVER ()", "1:1: function LEN has no OVER clause");
    SAYS("LEN(*)", "1:5: * is no value here");
    SAYS("DATEADD(fortnight, 1, d)", "1:9: fortnight is no unit of time; there are year, quarter, month, "
                                     "dayofyear, day, week, weekday, hour, minute, second, "
                                     "millisecond, microsecond and their short forms");
    SAYS("DATEADD('minute', 1, d)", "1:9: minute is no unit of time; there are year, quarter, month, "
                                    "dayofyear, day, week, weekday, hour, minute, second, "
                                    "millisecond, microsecond and their short forms");
    SAYS("ROUND(s, 'x')", "1:1: The 2nd argument of function round has invalid type 'nvarchar(max)'. Only "
                          "'bigint' is allowed.");
    SAYS("ROUND(s, 1)", "The 1st argument of function round has invalid type 'nvarchar(max)'. Only 'bigint', "
                        "'float' is allowed. "
                        "At line '1' and column '1'.");
}

static void constants_are_known_before(void **state)
{
    (void)state;
    struct rig r;
    struct value v;
    assert_int_equal(rig_open(&r, bytes_str("CONCAT('a', UPPER('b')) + 'c'")), CODE_OK);
    assert_true(expr_constant(r.expr, &v));
    assert_true(bytes_is(value_bytes(v), "aBc"));
    rig_close(&r);
    assert_int_equal(rig_open(&r, bytes_str("i + 1")), CODE_OK);
    assert_false(expr_constant(r.expr, &v));
    rig_close(&r);
    assert_int_equal(rig_open(&r, bytes_str("System.Timestamp()")), CODE_OK);
    assert_false(expr_constant(r.expr, &v));
    rig_close(&r);
}

static void a_full_scratch_says_so(void **state)
{
    (void)state;
    struct rig r;
    struct value v;
    assert_int_equal(rig_open(&r, bytes_str("s + s")), CODE_OK);
    assert_int_equal(json_read(r.reader, r.plan, bytes_str(ROW), false, NULL), CODE_OK);
    struct arena none;
    arena_init(&none, NULL, 0, 0);
    r.eval.scratch = &none;
    assert_int_equal(rig_next(&r, &v), CODE_NOMEM);
    assert_int_equal(r.eval.why.code, CODE_NOMEM);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(arithmetic_that_fails),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(logic_has_three_values),
        cmocka_unit_test(only_true_passes_a_test),
        cmocka_unit_test(predicates),
        cmocka_unit_test(like),
        cmocka_unit_test(like_takes_no_endless_time),
        cmocka_unit_test(cases),
        cmocka_unit_test(casts),
        cmocka_unit_test(nested_fields),
        cmocka_unit_test(refusals),
        cmocka_unit_test(constants_are_known_before),
        cmocka_unit_test(a_full_scratch_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
