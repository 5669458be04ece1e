#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "action/fill.h"
#include "expr/json.h"

static const char event[] = "{\"id\":\"press-1\",\"t\":21.5,\"n\":3,\"on\":true,\"none\":null,\"deep\":{\"a\":{\"b\":\"c\"},\"l\":[10,"
                            "{\"x\":\"y\"}]},\"a.b\":\"whole\",\"a\":{\"b\":\"parts\"},\"q\":\"a\\\"b\\\\c\\nd\",\"w\":\"a/+#\\u0000b\","
                            "\"u\":\"\xc3\xa4 &?%\",\"\":\"nameless\",\"empty\":\"\"}";

typedef void (*fill_fn)(struct buf *, const char *, struct value);

static void is(fill_fn f, const char *template, const char *want)
{
    struct arena arena;
    struct value v;
    struct fault why;
    struct buf out = {0};
    arena_init(&arena, NULL, 0, 1 << 20);
    if (json_value(bytes_str(event), &arena, &v, &why) != CODE_OK)
        fail_msg("%s", why.text);
    f(&out, template, v);
    struct bytes got = buf_bytes(&out);
    if (got.len != strlen(want) || memcmp(got.at ? got.at : (const uint8_t *)"", want, got.len) != 0)
        fail_msg("%s: '%.*s' instead of '%s'", template, BYTES_FMT(got), want);
    buf_clear(&out);
    arena_clear(&arena);
}

static void plain(void **state)
{
    (void)state;
    is(fill, "", "");
    is(fill, "nothing in it: $ } { $x $", "nothing in it: $ } { $x $");
    is(fill, "${id}", "press-1");
    is(fill, "<${id}|${t}|${n}|${on}>", "<press-1|21.5|3|true>");
    is(fill, "${ID}", "press-1"); /* as in SQL */
    is(fill, "[${none}${gone}${empty}]", "[]");
    is(fill, "${deep.a.b} ${deep.a} ${deep.l}", "c {\"b\":\"c\"} [10,{\"x\":\"y\"}]");
    is(fill, "${deep.l.0} ${deep.l.1.x}", "10 y");
    is(fill, "[${deep.l.2}${deep.l.-1}${deep.l.x}${deep.l.}${deep.l.99999999999}${id.x}${id.0}]", "[]");
    is(fill, "${a.b}", "whole");
    is(fill, "${.}${a.}${.a}", "");
    is(fill, "${q}", "a\"b\\c\nd");
    is(fill, "a $${id} b", "a ${id} b");
    is(fill, "$$${id}", "$${id}");
    is(fill, "$$ $$x $$", "$$ $$x $$");
    is(fill, "$${${id}", "${press-1");
}

static void topics(void **state)
{
    (void)state;
    is(fill_topic, "factory/${id}/command", "factory/press-1/command");
    is(fill_topic, "${w}/x", "a____b/x");
    is(fill_topic, "a/${gone}/b", "a//b");
    is(fill_topic, "a/${deep.l.0}", "a/10");
}

static void addresses(void **state)
{
    (void)state;
    is(fill_url, "/a?b=${u}&c=${w}", "/a?b=%C3%A4%20%26%3F%25&c=a%2F%2B%23%00b");
    is(fill_url, "/\xc3\xa4/${id}", "/%C3%A4/press-1");
    is(fill_url, "/${deep.a}", "/%7B%22b%22%3A%22c%22%7D");
}

static void json(void **state)
{
    (void)state;
    is(fill_json, "{\"q\": \"${q}\"}", "{\"q\": \"a\\\"b\\\\c\\u000ad\"}");
    is(fill_json, "[\"\\${id}\"]", "[\"\\\\press-1\"]");
    is(fill_json, "{\"q\": ${q}, \"t\": ${t}, \"on\": ${on}}", "{\"q\": \"a\\\"b\\\\c\\u000ad\", \"t\": 21.5, \"on\": true}");
    is(fill_json, "[${gone}, \"${gone}\", ${none}]", "[null, \"\", null]");
    is(fill_json, "[\"x\\\"${id}\\\\\", ${n}]", "[\"x\\\"press-1\\\\\", 3]");
    is(fill_json, "[\"${deep.a}\"]", "[\"{\\\"b\\\":\\\"c\\\"}\"]");
    is(fill_json, "[${deep}]", "[{\"a\":{\"b\":\"c\"},\"l\":[10,{\"x\":\"y\"}]}]");
    is(fill_json, "{\"${id}\": 1}", "{\"press-1\": 1}");
}

static void without_an_event(void **state)
{
    struct buf out = {0};
    (void)state;
    fill(&out, "<${a.b}${0}>", value_null());
    assert_true(bytes_is(buf_bytes(&out), "<>"));
    buf_clear(&out);
}

static void which_are_valid(void **state)
{
    size_t at;
    (void)state;
    assert_true(fill_valid("", &at) && fill_valid("a${b}c", &at) && fill_valid("$${", &at) && fill_valid("${a}}", &at));
    assert_false(fill_valid("ab${c", &at));
    assert_int_equal(at, 2);
    assert_false(fill_valid("${a}${}", &at));
    assert_int_equal(at, 4);
    assert_true(fill_valid("$$${", &at)); /* `$` and `$${` */
    assert_true(fill_needs_event("x${y}") && !fill_needs_event("x$${y}") && !fill_needs_event("x"));
}

static void there_is_a_ceiling(void **state)
{
    struct arena arena;
    struct value v;
    struct fault why;
    struct buf out = {.max = 100};
    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    assert_int_equal(json_value(bytes_str(event), &arena, &v, &why), CODE_OK);
    fill(&out, "${deep}${deep}${deep}${deep}${deep}", v);
    assert_true(out.bad);
    buf_clear(&out);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),           cmocka_unit_test(topics),         cmocka_unit_test(addresses),
        cmocka_unit_test(json),            cmocka_unit_test(without_an_event), cmocka_unit_test(which_are_valid),
        cmocka_unit_test(there_is_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
