#include "expr/expr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the parser makes of a text, written out again; or "line:column: message". */
static const char *parsed(const char *text)
{
    static char out[8192];
    struct arena arena;
    struct fault why = {0};
    struct parser p;
    struct ast *a = NULL;
    struct buf b = {0};
    arena_init(&arena, NULL, 0, 1 << 20);
    enum code code = parser_begin(&p, bytes_str(text), &arena, &why);
    if (!code)
        code = parse_expr(&p, &a);
    if (!code && p.now.kind != TOKEN_END)
        code = parser_refuse(&p, "the end");
    if (code) {
        assert_int_equal(code, CODE_USAGE);
        buf_printf(&b, "%u:%u: %s", (unsigned)(why.at / 65536), (unsigned)(why.at % 65536), why.text);
    } else {
        ast_write(&b, a);
    }
    assert_true(buf_size(&b) < sizeof out);
    memcpy(out, b.at, b.len);
    out[b.len] = 0;
    buf_clear(&b);
    arena_clear(&arena);
    return out;
}

#define SAYS(text, want) assert_string_equal(parsed(text), want)

static void operators_bind_as_in_t_sql(void **state)
{
    (void)state;
    SAYS("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)");
    SAYS("(1 + 2) * 3 % 2", "(((1 + 2) * 3) % 2)");
    SAYS("a - b - c", "((a - b) - c)");
    SAYS("-a * +b", "((-a) * (+b))");
    SAYS("- -1", "(-(-1))");
    SAYS("NOT +1", "(NOT (1))");
    SAYS("-+1", "(-(1))");
    SAYS("a OR b AND NOT c = 1", "(a OR (b AND (NOT (c = 1))))");
    SAYS("not a and b", "((NOT a) AND b)");
    SAYS("a = 1 and b <> 2 or c != 3", "(((a = 1) AND (b <> 2)) OR (c <> 3))");
    SAYS("a < 1 and b <= 2 and c > 3 and d >= 4", "((((a < 1) AND (b <= 2)) AND (c > 3)) AND (d >= 4))");
    SAYS("a + 1 BETWEEN 2 AND 3 + 4 AND b", "(((a + 1) BETWEEN 2 AND (3 + 4)) AND b)");
    SAYS("a not between 1 and 2 or b", "((a NOT BETWEEN 1 AND 2) OR b)");
    SAYS("a IN (1, 2+3, 'x') AND b NOT IN (1)", "((a IN (1, (2 + 3), 'x')) AND (b NOT IN (1)))");
    SAYS("a LIKE 'x%' ESCAPE '!' OR a NOT LIKE b", "((a LIKE 'x%' ESCAPE '!') OR (a NOT LIKE b))");
    SAYS("a IS NULL AND b.c IS NOT NULL", "((a IS NULL) AND (b.c IS NOT NULL))");
    SAYS("NOT a IS NULL", "(NOT (a IS NULL))");
}

static void names_are_plain_bracketed_or_quoted(void **state)
{
    (void)state;
    SAYS("a.b.c", "a.b.c");
    SAYS("[a b].\"c d\".[e]]f]", "[a b].[c d].[e]]f]");
    SAYS("[select].[true]", "[select].[true]");
    SAYS("[true]", "[true]");
    SAYS("\"x\" + \"\"", "(\"x\" + \"\")");
    SAYS("a.select.[1]", "a.[select].[1]");
    SAYS("_x1", "_x1");
    SAYS("$body.x > 1", "([$body].x > 1)");
    SAYS("timestamp", "timestamp");
    SAYS("user.count.limit", "user.count.limit");
    SAYS("*", "*");
    SAYS("a.b.*", "a.b.*");
}

static void constants(void **state)
{
    (void)state;
    SAYS("'it''s'", "'it''s'");
    SAYS("N'x'", "'x'");
    SAYS("''", "''");
    SAYS("NULL", "null");
    SAYS("true", "true");
    SAYS("FALSE", "false");
    SAYS("true.x", "[true].x");
    SAYS("12", "12");
    SAYS("1.5", "1.5");
    SAYS(".5", "0.5");
    SAYS("2.", "2.0");
    SAYS("1e3", "1000.0");
    SAYS("1E-3", "0.001");
    SAYS("-5", "-5");
    SAYS("+5", "5");
    SAYS("- 1.5", "-1.5");
    SAYS("9223372036854775807", "9223372036854775807");
    SAYS("-9223372036854775808", "-9223372036854775808");
}

static void calls(void **state)
{
    (void)state;
    SAYS("PI()", "PI()");
    SAYS("Concat(a, 'b', 1+2)", "Concat(a, 'b', (1 + 2))");
    SAYS("COUNT(*)", "COUNT(*)");
    SAYS("COUNT(DISTINCT a.b)", "COUNT(DISTINCT a.b)");
    SAYS("udf.f(x)", "udf.f(x)");
    SAYS("LAG(*, 1)", "LAG(*, 1)");
    SAYS("TopOne() OVER (ORDER BY t DESC, v).a.b", "TopOne() OVER (ORDER BY t DESC, v).a.b");
    SAYS("LAST(x) OVER (PARTITION BY a, b.c LIMIT DURATION(minute, 5) WHEN e = 'x') + 1",
         "(LAST(x) OVER (PARTITION BY a, b.c LIMIT DURATION(minute, 5) WHEN (e = 'x')) + 1)");
    SAYS("L(x) OVER (LIMIT DURATION(ss,1) PARTITION BY a)",
         "L(x) OVER (PARTITION BY a LIMIT DURATION(ss, 1))");
    SAYS("System.Window().Id", "System.Window().Id");
    SAYS("system.timestamp", "System.Timestamp()");
    SAYS("System.Timestamp ( )", "System.Timestamp()");
    SAYS("CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END", "CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END");
    SAYS("case x when 1 then 'a' end", "CASE x WHEN 1 THEN 'a' END");
    SAYS("CAST(a AS NVARCHAR(MAX))", "CAST(a AS nvarchar(max))");
    SAYS("try_cast(a.b AS float)", "TRY_CAST(a.b AS float)");
    SAYS("CAST(a AS nvarchar)", "CAST(a AS nvarchar(max))");
}

static void a_unit_is_a_word_and_no_column(void **state)
{
    (void)state;
    struct arena arena;
    struct fault why;
    struct parser p;
    struct ast *a;
    arena_init(&arena, NULL, 0, 1 << 20);
    assert_int_equal(parser_begin(&p, bytes_str("DateDiff(mi, a, b)"), &arena, &why), CODE_OK);
    assert_int_equal(parse_expr(&p, &a), CODE_OK);
    assert_int_equal(a->args[0]->kind, AST_CONSTANT);
    assert_true(a->args[0]->is_unit);
    assert_int_equal(unit_find(value_bytes(a->args[0]->constant)), UNIT_MINUTE);
    assert_int_equal(a->args[1]->kind, AST_NAME);
    arena_clear(&arena);
    SAYS("DATEADD(second, 1, second)", "DATEADD(second, 1, second)");
    SAYS("LEN(second)", "LEN(second)");
}

static void blanks_and_comments(void **state)
{
    (void)state;
    SAYS("a -- to the end\n + /* in\n between */ b", "(a + b)");
    SAYS("\xef\xbb\xbf"
         "a",
         "a");
    SAYS("a /* x", "1:3: a comment begins here with /* and is not closed: there is no */");
}

static void refusals_name_the_place(void **state)
{
    (void)state;
    SAYS("", "1:1: expected an expression, found the end of the text");
    SAYS("a +", "1:4: expected an expression, found the end of the text");
    SAYS("a\n  + FROM", "2:5: expected an expression, found FROM");
    SAYS("f(a", "1:4: expected ',' or ')', found the end of the text");
    SAYS("f(a,)", "1:5: expected an expression, found ')'");
    SAYS("a.", "1:3: expected the name of a field, found the end of the text");
    SAYS("'abc", "1:1: a text begins here and is not closed: there is no '");
    SAYS("x = [abc", "1:5: a name begins here and is not closed: there is no ]");
    SAYS("[]", "1:1: a name is empty");
    SAYS("'\xc3\xa4' + ?", "1:7: the character ? begins no word; names with it are written in [brackets]");
    SAYS("1 + 9223372036854775808",
         "1:5: this number is outside of the range of bigint (-9223372036854775808 to 9223372036854775807)");
    SAYS("99999999999999999999",
         "1:1: this number is outside of the range of bigint (-9223372036854775808 to 9223372036854775807)");
    SAYS("1e999", "1:1: this number is outside of float");
    SAYS(
        "12abc",
        "1:3: a number ends where a letter begins; a name that begins with a digit is written in [brackets]");
    SAYS("a BETWEEN 1 OR 2", "1:13: expected AND, found OR");
    SAYS("CASE WHEN a THEN 1 ELSE 2", "1:26: expected END, found the end of the text");
    SAYS("CASE END", "1:6: expected an expression, found END");
    SAYS("CAST(a AS int)",
         "1:11: expected a type: bigint, float, nvarchar(max), bit, datetime, record or array, found int");
    SAYS("CAST(a AS flot)", "1:11: expected a type: bigint, float, nvarchar(max), bit, datetime, record or array, "
                            "found flot. Did you mean float?");
    SAYS("a IS NUL", "1:6: expected NULL, found NUL. Did you mean NULL?");
    SAYS("CASE WHEN a THEN 1 ELS 2 END", "1:20: expected WHEN, ELSE or END, found ELS. Did you mean ELSE?");
    SAYS("CASE WHEN a THEN 1 AND", "1:23: expected an expression, found the end of the text");
    SAYS("CASE WHEN a THEN 1 ELSE 2 AND)", "1:30: expected an expression, found ')'");
    SAYS("CAST(a AS nvarchar(50))", "1:20: expected MAX, found 50");
    SAYS("f(x) OVER (ORDER BY a ORDER BY b)",
         "1:23: expected PARTITION BY, ORDER BY, LIMIT DURATION(), WHEN (each once) or ')', found ORDER");
    SAYS("f(x) OVER (LIMIT DURATION(sec OR b, 1))", "1:31: expected ',', found OR");
    SAYS("f(x) OVER (LIMIT DURATION(a.b, 1))", "1:27: expected a unit of time such as second, found a");
    SAYS("f(x) OVER (LIMIT DURATION(1, 1))", "1:27: expected a unit of time such as second, found 1");
    SAYS("a IN ()", "1:7: expected an expression, found ')'");
    SAYS("a b", "1:3: expected the end, found b");
    SAYS("[a b](c)", "1:6: expected the end, found '('");
    SAYS("[aS].b(c)", "1:7: expected the end, found '('"); /* no brackets would be written around it */
    SAYS("[left].b(c)", "1:9: expected the end, found '('");
    SAYS("LEFT(c, 1)", "LEFT(c, 1)");
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '(', 100);
    strcpy(text + 100, "1");
    SAYS(text, "1:65: this expression is nested more than 64 deep");
    memset(text, '-', 200);
    for (int i = 0; i < 100; i++)
        text[2 * i + 1] = ' ';
    strcpy(text + 200, "a");
    SAYS(text, "1:127: this expression is nested more than 64 deep");
    strcpy(text, "a");
    for (int i = 0; i < 390; i++)
        strcat(text, "+a");
    assert_int_equal(parsed(text)[0], '(');
    for (int i = 0; i < 20; i++)
        strcat(text, "+a");
    SAYS(text, "1:1: this expression is nested more than 400 deep");
    /* What stands in an OVER clause counts, too. */
    strcpy(text, "f(x) OVER (WHEN f(x) OVER (ORDER BY b");
    for (int i = 0; i < 300; i++)
        strcat(text, "+b");
    strcat(text, ")");
    for (int i = 0; i < 300; i++)
        strcat(text, "+a");
    strcat(text, ")");
    assert_string_equal(parsed(text) + strcspn(parsed(text), " "), " this expression is nested more than 400 deep");
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    for (size_t max = 64; max < 3000; max += 64) {
        struct arena arena;
        uint8_t lent[4096];
        struct fault why = {0};
        struct parser p;
        struct ast *a;
        arena_init(&arena, lent, max, 0);
        enum code code = parser_begin(
            &p, bytes_str("f('a''b', [x]]y].z) OVER (PARTITION BY a, b ORDER BY c, d, e)"), &arena, &why);
        if (!code)
            code = parse_expr(&p, &a);
        assert_true(code == CODE_NOMEM || (code == CODE_OK && max > 1000));
        assert_true(code == CODE_OK || why.code == CODE_NOMEM);
    }
}

static void functions_are_known(void **state)
{
    (void)state;
    assert_true(function_is_scalar(bytes_str("charindex")));
    assert_true(function_is_scalar(bytes_str("GETTYPE")));
    assert_false(function_is_scalar(bytes_str("SUM")));
    assert_false(function_is_scalar(bytes_str("")));
    assert_string_equal(function_nearest(bytes_str("substirng")), "SUBSTRING");
    assert_null(function_nearest(bytes_str("qqqqqqq")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_bind_as_in_t_sql),
        cmocka_unit_test(names_are_plain_bracketed_or_quoted),
        cmocka_unit_test(constants),
        cmocka_unit_test(calls),
        cmocka_unit_test(a_unit_is_a_word_and_no_column),
        cmocka_unit_test(blanks_and_comments),
        cmocka_unit_test(refusals_name_the_place),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(without_memory_it_says_so),
        cmocka_unit_test(functions_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
