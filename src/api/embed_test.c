#include "api/embed.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *text, *want; /* NULL: not embedded */
} values[] = {
    { "1", "1" },
    { "-0", "-0" },
    { "21.40", "21.40" },
    { "1e-7", "1e-7" },
    { "123456789012345678901234567890", "123456789012345678901234567890" },
    { "true", "true" },
    { " null\n", "null" },
    { "\"a b\"", "\"a b\"" },
    { "{}", "{}" },
    { "[ ]", "[]" },
    { "{ \"b\" : 1 ,\n\t\"a\" : [ 1 , 2 , { } ] , \"b\" : \"x y\" }",
      "{\"b\":1,\"a\":[1,2,{}],\"b\":\"x y\"}" },
    { "[[],{},[{}]]", "[[],{},[{}]]" },
    { "\"\\u00e9\\ud83d\\ude00\\n\\/\"", "\"\\u00e9\\ud83d\\ude00\\n\\/\"" },
    { "\"\xc3\xa9\"", "\"\xc3\xa9\"" },
    { "", NULL },
    { " ", NULL },
    { "01", NULL },
    { "1.", NULL },
    { ".5", NULL },
    { "+1", NULL },
    { "1e", NULL },
    { "-", NULL },
    { "0x10", NULL },
    { "NaN", NULL },
    { "tru", NULL },
    { "truex", NULL },
    { "1 2", NULL },
    { "{", NULL },
    { "{]", NULL },
    { "[}", NULL },
    { "[1,]", NULL },
    { "[,1]", NULL },
    { "[1 2]", NULL },
    { "{\"a\"}", NULL },
    { "{\"a\":}", NULL },
    { "{\"a\":1,}", NULL },
    { "{a:1}", NULL },
    { "{\"a\":1}}", NULL },
    { "{\"a\":[1}]", NULL },
    { "\"a", NULL },
    { "\"a\\", NULL },
    { "\"\\x\"", NULL },
    { "\"\\u12g4\"", NULL },
    { "\"\\u12\"", NULL },
    { "\"\\ud83d\"", NULL },
    { "\"\\ud83dx\"", NULL },
    { "\"\\ud83d\\u0041\"", NULL },
    { "\"\\ude00\"", NULL },
    { "\"a\nb\"", NULL },
    { "\"\xff\"", NULL },
    { "\"\xc0\x80\"", NULL },
};

/* The bytes lie in a block of exactly their length, so that reading one too far is seen. */
static bool embed(struct buf *out, const char *text, size_t len, unsigned depth)
{
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    bool done = embed_json(out, bytes_of(exact, len), depth);
    free(exact);
    return done;
}

static void a_json_payload_loses_only_its_blanks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct buf out = { 0 };
        buf_add(&out, "x", 1);
        bool done = embed(&out, values[i].text, strlen(values[i].text), EMBED_DEPTH_MAX);
        if (done != (values[i].want != NULL))
            fail_msg("%s: %s", values[i].text, done ? "was taken" : "was refused");
        char want[128];
        (void)snprintf(want, sizeof want, "x%s", values[i].want ? values[i].want : "");
        if (!bytes_is(buf_bytes(&out), want))
            fail_msg("%s gave %.*s", values[i].text, BYTES_FMT(buf_bytes(&out)));
        buf_clear(&out);
    }
}

static void a_value_cut_anywhere_is_no_value(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1.5e3,true,null,\"\\ud83d\\ude00 \xc3\xa9\"],\"b\":{\"c\":{}}}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct buf out = { 0 };
        assert_false(embed(&out, text, len, EMBED_DEPTH_MAX));
        assert_int_equal(buf_size(&out), 0);
        buf_clear(&out);
    }
    struct buf out = { 0 };
    assert_true(embed(&out, text, sizeof text - 1, EMBED_DEPTH_MAX));
    buf_clear(&out);
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct buf out = { 0 };
    assert_true(embed(&out, "[[[1]]]", 7, 3));
    assert_false(embed(&out, "[[[1]]]", 7, 2));
    assert_false(embed(&out, "[]", 2, 0));
    assert_true(embed(&out, "1", 1, 0));
    buf_clear(&out);
    char deep[2 * EMBED_DEPTH_MAX + 2];
    memset(deep, '[', EMBED_DEPTH_MAX + 1);
    memset(deep + EMBED_DEPTH_MAX + 1, ']', EMBED_DEPTH_MAX + 1);
    assert_true(embed(&out, deep + 1, 2 * EMBED_DEPTH_MAX, EMBED_DEPTH_MAX));
    assert_false(embed(&out, deep, 2 * EMBED_DEPTH_MAX + 2, EMBED_DEPTH_MAX));
    buf_clear(&out);
}

static void text_is_quoted(void **state)
{
    (void)state;
    struct buf out = { 0 };
    embed_text(&out, BYTES_LIT("factory/line1"));
    embed_text(&out, BYTES_LIT("a\"b\n\xc3\xa9"));
    assert_true(bytes_is(buf_bytes(&out), "\"factory/line1\"\"a\\\"b\\u000a\xc3\xa9\""));
    buf_clear(&out);
}

static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    struct buf out = { 0 };
    mem_fail_at(1);
    assert_false(embed(&out, "[1]", 3, 3));
    assert_true(out.bad);
    mem_fail_at(0);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_payload_loses_only_its_blanks),
        cmocka_unit_test(a_value_cut_anywhere_is_no_value),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(text_is_quoted),
        cmocka_unit_test(without_memory_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
