/* Conditions in IoT Hub's query language: every operator, function, kind of name and error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "expr/condition.h"
#include "expr/json.h"

#include <stdio.h>

/* What the names of a condition are worth here: this body, and the properties alert, level, empty; $contentType. */
static const char body[] = "{\"t\":21.5,\"n\":3,\"big\":9007199254740993,\"s\":\"Press "
                           "\\u00e4\",\"yes\":true,\"no\":false,\"nil\":null,\"o\":{\"x\":1,\"y z\":2},"
                           "\"list\":[1,{\"c\":\"deep\",\"l\":[7]},null],\"NaMe\":\"case\"}";

static struct value body_value(const struct condition_name *n, struct arena *arena)
{
    static uint8_t padded[512];
    struct json_path path = {n->parts, n->part_count};
    struct json_plan *plan = json_plan_new(&path, 1);
    struct json_reader *r = json_reader_new(&(struct json_limits){0});
    const struct value *slots;
    struct value copy = value_null();
    memcpy(padded, body, sizeof body - 1);
    assert_int_equal(json_read(r, plan, bytes_of(padded, sizeof body - 1), true, NULL), CODE_OK);
    assert_int_equal(json_next(r, &slots), CODE_OK);
    if (slots[0].type == VALUE_NULL)
        copy = slots[0];
    else
        assert_int_equal(value_copy(&copy, slots[0], arena), CODE_OK);
    json_reader_free(r);
    json_plan_free(plan);
    return copy;
}

static struct value known(const struct condition_name *n, struct arena *arena)
{
    static const struct {
        uint8_t kind;
        const char *name, *value;
    } all[] = {{CONDITION_PROPERTY, "alert", "true"},
               {CONDITION_PROPERTY, "level", "7"},
               {CONDITION_PROPERTY, "a.b", "dotted"},
               {CONDITION_PROPERTY, "odd name", "odd"},
               {CONDITION_PROPERTY, "empty", ""},
               {CONDITION_EITHER, "contentType", "application/json"},
               {CONDITION_SYSTEM, "contentType", "application/json"}};
    if (n->kind == CONDITION_BODY)
        return body_value(n, arena);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (n->kind == all[i].kind && bytes_is(n->name, all[i].name))
            return value_text(bytes_str(all[i].value));
    return value_null();
}

static struct condition *parsed(const char *text, struct arena *arena)
{
    struct condition *c = NULL;
    struct fault why;
    size_t offset = 0;
    if (condition_parse(&c, bytes_str(text), &offset, (struct place){1, 1}, arena, &why) != CODE_OK)
        fail_msg("%s: %s", text, why.text);
    assert_int_equal(offset, strlen(text));
    return c;
}

static const char *outcome(const char *text)
{
    struct arena arena, scratch;
    struct value slots[CONDITION_NAMES_MAX], out;
    arena_init(&arena, NULL, 0, 1 << 20);
    arena_init(&scratch, NULL, 0, 1 << 20);
    const struct condition *c = parsed(text, &arena);
    for (uint32_t i = 0; i < c->name_count; i++)
        slots[i] = known(&c->names[i], &scratch);
    assert_int_equal(condition_eval(c, slots, &scratch, &out), CODE_OK);
    const char *word = out.type == VALUE_BIT    ? (out.i ? "true" : "false")
                       : out.type != VALUE_NULL ? "a value"
                       : out.len                ? "null"
                                                : "undefined";
    arena_clear(&arena);
    arena_clear(&scratch);
    return word;
}

static void is(const char *text, const char *expected)
{
    const char *word = outcome(text);
    if (strcmp(word, expected) != 0)
        fail_msg("%s is %s, and should be %s", text, word, expected);
}

/* All of a list, which ends with NULL. */
static void all_are(const char *const *texts, const char *expected)
{
    for (; *texts; texts++)
        is(*texts, expected);
}

static void values_and_names(void **state)
{
    (void)state;
    static const char *const yes[] = {"true",
                                      "$body.t = 21.5",
                                      "$body.n = 3",
                                      "$body.n=3.0",
                                      "$body.s = 'Press \\u00e4'",
                                      "$body.s = \"Press \xc3\xa4\"",
                                      "$body.yes",
                                      "NOT $body.no",
                                      "alert = 'true'",
                                      "level = '7'",
                                      "a.b = 'dotted'",
                                      "{odd name} = 'odd'",
                                      "$contentType = 'application/json'",
                                      "{$contentType} = 'application/json'",
                                      "$body.o.x = 1",
                                      "$body['o']['y z'] = 2",
                                      "$body.list[0] = 1",
                                      "$body.list[1].c = 'deep'",
                                      "$body.list[1].l[0] = 7",
                                      "$body.name = 'case'",
                                      "$BODY.n = 3",
                                      "0x1F = 31",
                                      "1.5e3 = 1500",
                                      ".5 = 0.5",
                                      "'it\\'s' = \"it's\"",
                                      "'a\\\\b' = 'a\\\\b'",
                                      "'\\ud83d\\ude00' = '\xf0\x9f\x98\x80'",
                                      "$body.big = 9007199254740993",
                                      "$body.big != 9007199254740992",
                                      "/* why */ true",
                                      "alert = /* here */ 'true'",
                                      "empty = ''",
                                      "TRUE",
                                      "$body.nil = null",
                                      NULL};
    static const char *const undefined[] = {
        "undefined",          "missing = 'x'",     "$body.missing = 1",
        "$body.n.deeper = 1", "$body.list[3] = 1", "$body.list[99999999999] = 1",
        "$body.n[0] = 1",     "$body.o = 1",       "$body.list = 1",
        "$messageId = 'x'",   "{$alert} = 'true'", "$body.nil = 1",
        "NOT $body.nil",      "NOT $body.s",       NULL};
    all_are(yes, "true");
    all_are(undefined, "undefined");
    is("$body.nil", "null");
    is("$body.s", "a value");
    is("null = null", "true");
    is("null != null", "false");
    is("$body.n != 3", "false");
}

static void operators(void **state)
{
    (void)state;
    static const char *const yes[] = {"1 < 2",
                                      "2 <= 2",
                                      "3 > 2",
                                      "3 >= 3",
                                      "1 <> 2",
                                      "1 != 2",
                                      "'a' < 'b'",
                                      "'B' < 'a'",
                                      "1 + 2 * 3 = 7",
                                      "(1 + 2) * 3 = 9",
                                      "7 / 2 = 3.5",
                                      "7 % 4 = 3",
                                      "-7 % 4 = -3",
                                      "10 - 2 - 3 = 5",
                                      "- - 2 = 2",
                                      "'a' || 'b' || 'c' = 'abc'",
                                      "$body.s || '!' = 'Press \xc3\xa4!'",
                                      "$body.t * 2 > 42",
                                      "false < true",
                                      "1 < 2 = true",
                                      "1 = 1 AND 2 = 2 OR false",
                                      "false AND false OR true",
                                      "true OR false AND false",
                                      "NOT false AND true",
                                      "$body.missing = 1 OR true",
                                      "true OR $body.missing",
                                      "$body.missing ?? 5 = 5 ?? false",
                                      "missing ?? 'x' = 'x'",
                                      "$body.n IN [1, 2, 3]",
                                      "$body.n in (3)",
                                      "$body.n NOT IN [4, 5]",
                                      "$body.n NIN [4]",
                                      "alert IN ['true', 'yes']",
                                      "3 in [$body.missing, 3]",
                                      "1 not in [2]",
                                      NULL};
    static const char *const no[] = {"1 > 2",
                                     "false AND undefined",
                                     "undefined AND false",
                                     "$body.missing = 1 AND false",
                                     "NOT true",
                                     "$body.n IN [1, 2]",
                                     "$body.n NOT IN [3]",
                                     "1 = 1 AND 2 = 3",
                                     "2 < 1",
                                     "'a' > 'b'",
                                     NULL};
    static const char *const undefined[] = {"true AND undefined",
                                            "undefined OR false",
                                            "NOT undefined",
                                            "$body.missing > 1",
                                            "$body.missing + 1 = 1",
                                            "$body.s + 1 = 1",
                                            "$body.nil + 1 = 1",
                                            "$body.nil < $body.nil",
                                            "-$body.s = 1",
                                            "1 / 0 = 1",
                                            "0 / 0 = 1",
                                            "1e308 * 10 > 1",
                                            "$body.n IN [1, $body.missing]",
                                            "$body.missing IN [1]",
                                            "$body.n NOT IN [$body.missing]",
                                            "$body.n || 'x' = 'x'",
                                            "$body.o < 1",
                                            "$body.yes > 1",
                                            "1 % 0 = 1",
                                            NULL};
    all_are(yes, "true");
    all_are(no, "false");
    all_are(undefined, "undefined");
    is("missing ?? 'x' = 'y' ?? true", "false"); /* ?? is loosest: missing ?? (x = y) ?? true */
}

static void functions(void **state)
{
    (void)state;
    static const char *const yes[] = {"is_defined(alert)",
                                      "IS_DEFINED($body.nil)",
                                      "is_defined($body.o)",
                                      "is_defined($body.list)",
                                      "NOT is_defined(missing)",
                                      "is_null($body.nil)",
                                      "NOT is_null($body.n)",
                                      "NOT is_null($body.missing)",
                                      "is_number($body.t)",
                                      "is_number(1)",
                                      "NOT is_number(level)",
                                      "is_string(level)",
                                      "is_string($body.s)",
                                      "is_bool($body.no)",
                                      "NOT is_bool($body.missing)",
                                      "is_array($body.list)",
                                      "NOT is_array($body.o)",
                                      "is_object($body.o)",
                                      "NOT is_object($body.list)",
                                      "as_number(level) > 5",
                                      "as_number(' 12 ') = 12",
                                      "as_number('1e2') = 100",
                                      "as_number($body.t) = 21.5",
                                      "as_number('9007199254740993') = 9007199254740993",
                                      "concat('a', level, 'b') = 'a7b'",
                                      "length($body.s) = 7",
                                      "length('') = 0",
                                      "lower('ABC\xc3\x84') = 'abc\xc3\x84'",
                                      "upper('abc1') = 'ABC1'",
                                      "substring($body.s, 6) = '\xc3\xa4'",
                                      "substring('abcdef', 1, 3) = 'bcd'",
                                      "substring('abc', 3) = ''",
                                      "substring('abc', 1, 99) = 'bc'",
                                      "index_of($body.s, '\xc3\xa4') = 6",
                                      "index_of('abc', 'x') = -1",
                                      "index_of('abc', '') = 0",
                                      "starts_with($body.s, 'Pr')",
                                      "NOT starts_with('a', 'ab')",
                                      "ends_with('abc', 'bc')",
                                      "NOT ends_with('c', 'bc')",
                                      "ends_with('abc', '')",
                                      "contains('abc', 'b')",
                                      "NOT contains('abc', 'x')",
                                      "contains('', '')",
                                      "abs(-3) = 3",
                                      "exp(0) = 1",
                                      "power(2, 10) = 1024",
                                      "square(-3) = 9",
                                      "ceiling(1.2) = 2",
                                      "floor(-1.2) = -2",
                                      "sign(-5) = -1",
                                      "sign(0) = 0",
                                      "sqrt(16) = 4",
                                      "length(lower(upper(level))) = 1",
                                      NULL};
    static const char *const undefined[] = {"as_number('x') = 1",
                                            "as_number('') = 1",
                                            "as_number($body.yes) = 1",
                                            "as_number(missing) = 1",
                                            "length($body.n) = 1",
                                            "length(missing) = 1",
                                            "lower($body.n) = 'a'",
                                            "substring('abc', 4) = ''",
                                            "substring('abc', -1) = ''",
                                            "substring('abc', 0, -1) = ''",
                                            "starts_with($body.n, 'a')",
                                            "contains(missing, 'a')",
                                            "index_of('a', missing) = 1",
                                            "abs($body.s) = 1",
                                            "sqrt(-1) = 1",
                                            "power(10, 400) = 1",
                                            "exp(1000) = 1",
                                            "power(2, $body.s) = 1",
                                            "concat('a', $body.n) = 'a'",
                                            NULL};
    all_are(yes, "true");
    all_are(undefined, "undefined");
}

/* "COLUMN the sentence" */
static void refused(const char *text, const char *expected)
{
    struct arena arena;
    struct condition *c;
    struct fault why;
    size_t offset = 0;
    char said[300];
    arena_init(&arena, NULL, 0, 1 << 20);
    if (condition_parse(&c, bytes_str(text), &offset, (struct place){1, 1}, &arena, &why) == CODE_OK)
        fail_msg("%s was taken", text);
    assert_int_equal(why.code, CODE_USAGE);
    (void)snprintf(said, sizeof said, "%u %s", (unsigned)(why.at & 0xffff), why.text);
    if (strcmp(said, expected) != 0)
        fail_msg("%s\n  said:     %s\n  expected: %s", text, said, expected);
    arena_clear(&arena);
}

static void refusals(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "1 expected a value, found the end"},
        {"1 +", "4 expected a value, found the end"},
        {"true AND AND true", "10 expected a value, found AND"},
        {"(true", "6 expected ')', found the end"},
        {"$body", "1 $body alone is no value: name a field, as in $body.temperature"},
        {"$body. = 1", "8 expected the name of a field, found ="},
        {"$body[x] = 1", "7 expected a number or the 'name' of a field, found x"},
        {"a. = 'x'", "4 expected the rest of a name, found ="},
        {"lenght(a) = 1", "1 there is no function 'lenght'. Did you mean 'length'?"},
        {"true AND frobnicate(a)", "10 there is no function 'frobnicate'"},
        {"twin_change_includes(a)",
         "1 twin_change_includes asks for changes of twins, which this version does not have"},
        {"length() = 1", "1 length takes 1 argument, and here are 0"},
        {"length(a, b) = 1", "1 length takes 1 argument, and here are 2"},
        {"power(1) = 1", "1 power takes 2 arguments, and here are 1"},
        {"substring('a') = 'a'", "1 substring takes 2 to 3 arguments, and here are 1"},
        {"concat('a') = 'a'", "1 concat takes at least 2 arguments, and here are 1"},
        {"length(a b) = 1", "10 expected ',' or ')', found b"},
        {"temperature > 5", "1 > compares a text with a number, which is never true: properties are texts. "
                            "Did you mean as_number(temperature)?"},
        {"5 < temperature", "1 < compares a number with a text, which is never true: properties are texts. "
                            "Did you mean as_number(temperature)?"},
        {"alert = true", "1 = compares a text with true or false, which is never true: properties are texts. "
                         "Did you mean alert = 'true'?"},
        {"temperature + 1 > 5", "1 + takes a number, and here stands a text: properties are texts. Did you "
                                "mean as_number(temperature)?"},
        {"abs(temperature) > 5", "5 abs takes a number, and here stands a text: properties are texts. Did "
                                 "you mean as_number(temperature)?"},
        {"alert", "1 a condition is true or false, and this is a text: properties are texts. Did you mean "
                  "alert = 'true'?"},
        {"alert AND true", "1 AND takes true or false, and here stands a text: properties are texts. Did you "
                           "mean alert = 'true'?"},
        {"5", "1 a condition is true or false, and this is a number"},
        {"null", "1 a condition is true or false, and this is null"},
        {"NOT $body.x = 5", "1 = compares true or false with a number, which is never true: NOT binds "
                            "tighter than =. Did you mean NOT (... = ...)?"},
        {"a IN [1]", "1 IN compares a text with a number, which is never true: properties are texts. Did you "
                     "mean as_number(a)?"},
        {"a IN 'x'", "6 expected '[' and a list, found 'x'"},
        {"a IN []", "7 expected a value, found ]"},
        {"a IN ['x')", "10 expected ']', found )"},
        {"a NOT 'x'", "7 expected IN behind NOT, found 'x'"},
        {"a = 'x", "5 a text begins here and has no closing '"},
        {"a = 'x\\n'", "7 \\ begins no escape here: \\' \\\" \\\\ and \\uXXXX do"},
        {"a = '\\ud83d'", "6 \\ begins no escape here: \\' \\\" \\\\ and \\uXXXX do"},
        {"{a = 'x'", "1 a name begins here with { and has no }"},
        {"{} = 'x'", "1 between { and } stands no name"},
        {"/* a", "1 a comment begins here with /* and has no */"},
        {"1.2.3 = 1", "1 this is no number"},
        {"12a = 1", "3 a number ends where a letter begins"},
        {"0x = 1", "1 0x has no digits behind it"},
        {"0x10000000000000000 = 1", "1 this number is outside of 64 bits"},
        {"\xc3\xa4 = 1", "1 the character \xc3\xa4 begins no word"},
        {"(\xc3\xa4)", "2 the character \xc3\xa4 begins no word"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)

        refused(cases[i][0], cases[i][1]);
}

static void it_ends_where_something_else_begins(void **state)
{
    struct arena arena;
    struct condition *c;
    struct fault why;
    const char text[] = "WHERE a = 'b' INTO $upstream";
    size_t offset = 6;
    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    assert_int_equal(condition_parse(&c, bytes_str(text), &offset, (struct place){1, 7}, &arena, &why),
                     CODE_OK);
    assert_int_equal(offset, strlen("WHERE a = 'b'"));
    assert_int_equal(c->name_count, 1);
    assert_int_equal(c->names[0].at.column, 7);
    arena_clear(&arena);
}

static void depth_and_size_are_limited(void **state)
{
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 70; i++)
        strcat(text, "(");
    refused(text, "65 this condition is nested more than 64 deep");
    text[0] = 0;
    for (int i = 0; i < 70; i++)
        strcat(text, "NOT ");
    refused(text, "253 this condition is nested more than 64 deep");
    strcpy(text, "true");
    for (int i = 0; i < 450; i++)
        strcat(text, " OR true");
    refused(text, "1 this condition is nested more than 400 deep");
    text[0] = 0;
    for (int i = 0; i < 65; i++)
        (void)snprintf(text + strlen(text), 32, "%sp%d = 'x'", i ? " OR " : "", i);
    refused(text, "823 more than 64 names in one condition");
}

static void equal_names_are_one_slot(void **state)
{
    struct arena arena;
    struct buf out = {0};
    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    const struct condition *c = parsed(
        "$body.a.b > 1 AND $body.a.b < 5 AND x = 'y' AND $body.a > 0 AND x != {x}", &arena);
    assert_int_equal(c->name_count, 3);
    struct value slots[] = {value_bigint(3), value_text(bytes_str("y")), value_null()};
    condition_values(&out, c, slots);
    assert_true(bytes_is(buf_bytes(&out), "$body.a.b = 3, x = \"y\", $body.a = undefined"));
    buf_clear(&out);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_names),
        cmocka_unit_test(operators),
        cmocka_unit_test(functions),
        cmocka_unit_test(refusals),
        cmocka_unit_test(it_ends_where_something_else_begins),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(equal_names_are_one_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
