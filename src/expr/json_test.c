#include "expr/json.h"

#include "base/mem.h"
#include "expr/json_index.h"
#include "expr/json_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PATHS = 8 };

/* "a.b c": the paths a.b and c; "*" is the whole event. */
static struct json_plan *plan_of(const char *text)
{
    static struct bytes parts[PATHS][PATHS];
    struct json_path paths[PATHS];
    uint32_t n = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        uint32_t k = 0;
        for (size_t from = 0; from < len && strncmp(text, "*", len); k++) {
            size_t part = strcspn(text + from, ". ");
            parts[n][k] = bytes_of(text + from, part);
            from += part + 1;
        }
        paths[n] = (struct json_path){parts[n], k};
        n++;
        text += len + (text[len] == ' ');
    }
    return json_plan_new(paths, n);
}

/* The slots of every event, or the refusal. */
static const char *read_as(const char *paths, struct bytes body, const struct json_limits *limits)
{
    static char out[4096];
    struct json_plan *plan = plan_of(paths);
    struct json_reader *r = json_reader_new(limits);
    struct fault why;
    struct buf b = {0};
    unsigned slots_count = 0;
    for (const char *p = paths; *p; p += strcspn(p, " "), p += *p == ' ')
        slots_count++;
    enum code code = json_read(r, plan, body, false, &why);
    const struct value *slots;
    if (code) {
        buf_printf(&b, "%s %s", code_name(code), why.text);
        assert_int_equal(json_next(r, &slots), CODE_END);
    } else {
        while ((code = json_next(r, &slots)) == CODE_OK) {
            buf_add(&b, ";", b.len > 0);
            for (unsigned i = 0; i < slots_count; i++) {
                buf_add(&b, " ", i > 0);
                value_write_json(&b, slots[i]);
            }
        }
        assert_int_equal(code, CODE_END);
    }
    assert_true(b.len < sizeof out);
    memcpy(out, b.at ? (char *)b.at : "", b.len);
    out[b.len] = 0;
    buf_clear(&b);
    json_reader_free(r);
    json_plan_free(plan);
    return out;
}

#define READS(paths, body, want) assert_string_equal(read_as(paths, bytes_str(body), NULL), want)

static void fields_are_picked(void **state)
{
    (void)state;
    READS("a b", "{\"a\":1,\"x\":[1,{\"b\":5}],\"b\":\"t\"}", "1 \"t\"");
    READS("a", "{}", "null");
    READS("a", "{\"b\":1}", "null");
    READS("a.b a.c.d e", "{\"a\":{\"b\":true,\"c\":{\"d\":null,\"x\":1}},\"e\":{\"f\":[1.5,[],{}]}}",
          "true null {\"f\":[1.5,[],{}]}");
    READS("a a.b", "{\"a\":{\"b\":2}}", "{\"b\":2} 2");
    READS("* a", "{\"a\":2,\"c\":\"x\"}", "{\"a\":2,\"c\":\"x\"} 2");
    READS("a.b", "{\"a\":7}", "null");
    READS("a.b", "{\"a\":[{\"b\":7}]}", "null");
    READS("a a", "{\"a\":3}", "3 3");
    READS("temperature temperaturf", "{\"temperaturf\":1,\"temperature\":2}", "2 1");
}

static void the_last_of_equal_names_wins(void **state)
{
    (void)state;
    READS("a", "{\"a\":1,\"a\":2}", "2");
    READS("*", "{\"a\":1,\"b\":0,\"a\":2}", "{\"a\":2,\"b\":0}");
    READS("a.b", "{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "null");
    READS("a.b", "{\"a\":{\"b\":1},\"a\":5}", "null");
    READS("a.b", "{\"a\":{\"b\":1,\"b\":2}}", "2");
    READS("a.b", "{\"a\":5,\"\\u0061\":{\"b\":3}}", "3");
}

static void names_are_found_in_any_case_exact_first(void **state)
{
    (void)state;
    READS("temp", "{\"TEMP\":1}", "1");
    READS("temp", "{\"TEMP\":1,\"temp\":2}", "2");
    READS("temp", "{\"temp\":2,\"TEMP\":1}", "2");
    READS("temp", "{\"Temp\":1,\"TEMP\":2,\"Temp\":3}", "3");
    READS("Temp temp", "{\"temp\":1,\"Temp\":2}", "2 1");
    READS("Temp temp", "{\"TEMP\":1}", "1 1");
    READS("a.B a.b", "{\"A\":{\"B\":1,\"b\":2}}", "1 2");
    READS("a.b", "{\"A\":{\"b\":1},\"a\":{}}", "null");
    READS("@x `x", "{\"`x\":1,\"@x\":2}", "2 1"); /* differ in the bit of the case, and are no letters */
    READS("\xc3\xa4", "{\"\xc3\x84\":1}", "null");
}

static void every_object_of_a_body_is_an_event(void **state)
{
    (void)state;
    READS("v", "[{\"v\":1},{\"v\":2}]", "1;2");
    READS("v", "{\"v\":3}\n{\"v\":4}\n", "3;4");
    READS("v", "{\"v\":3}{\"v\":4} [{\"v\":5}]\r\n\t{}", "3;4;5;null");
    READS("v", "[]", "");
    READS("v", " [ ] {\"v\":1}", "1");
    READS("v", "\xef\xbb\xbf{\"v\":1}", "1");
}

static void numbers_keep_their_kind(void **state)
{
    (void)state;
    READS("a", "{\"a\":9223372036854775807}", "9223372036854775807");
    READS("a", "{\"a\":-9223372036854775808}", "-9223372036854775808");
    READS("a", "{\"a\":-0}", "0");
    READS("a", "{\"a\":-0.0}", "-0.0");
    READS("a", "{\"a\":1.0}", "1.0");
    READS("a", "{\"a\":1e2}", "100.0");
    READS("a", "{\"a\":0.1}", "0.1");
    READS("a", "{\"a\":123456789012345678.5}", "123456789012345680.0");
    READS("a", "{\"a\":21.400000000000002}", "21.400000000000002");
    READS("a", "{\"a\":1E-7}", "1.0e-7");
    READS("a", "{\"b\":9223372036854775808}",
          "MALFORMED no JSON objects: an integer outside of 64 bits at byte 5");
    READS("a", "{\"a\":1e400}", "MALFORMED no JSON objects: a number outside of double precision at byte 5");
}

static void texts_lose_their_escapes(void **state)
{
    (void)state;
    READS("a", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00x\"}",
          "\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009\xc3\xa4\xf0\x9f\x98\x80x\"");
    READS("a", "{\"\\u0061\":\"\\u0000\"}", "\"\\u0000\"");
    READS("*", "{\"\\u0061\":1,\"a\":2}", "{\"a\":2}");
}

static void what_is_not_json_is_refused_whole(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1}}",
        "{\"a\":1},{\"a\":2}",
        "[{\"a\":1}",
        "[{},]",
        "[{}{}]",
        "[,{}]",
        "{,}",
        "[1]",
        "[[{}]]",
        "1",
        "\"a\"",
        "null",
        "true {}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":0x1}",
        "{\"a\":1a}",
        "{\"a\":truex}",
        "{\"a\":tru}",
        "{\"a\":nul}",
        "{\"a\":NaN}",
        "{\"a\":True}",
        "{\"a\":'x'}",
        "{\"a\":\"x}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":1 2}",
        "{\"a\":1\"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[}",
        "{\"a\":{]}",
        "{\"a\"::1}",
        "{\"a\":1}\f",
        "{\"a\":1}x",
        "{\"a\":1 \\\"}",
        "{\"x\":\"\\",
        "{1:2}",
        "{\"a\":1}\x01",
        "[{\"a\":1}]]",
        "{\"\\q\":1}", "{\"a\":1:2}", "{\"a\":1.5:2}", "{\"a\":-:1}", "{\"b\":1:2}", "{\"b\":1.:2}", "{\"b\":1;}", "{\"b\":1/2}", "{\"b\":1.2/3}",
    };
    struct buf lines = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *got = read_as("a", bytes_str(bad[i]), NULL);
        if (strncmp(got, "MALFORMED ", 10) != 0)
            fail_msg("%s: %s", bad[i], got);
        assert_int_equal(naive_read(bytes_str(bad[i]), &lines), NAIVE_BAD);
    }
    buf_clear(&lines);
    READS("a", "{\"a\":1,\"b\":tru}", "MALFORMED no JSON objects: not a value at byte 11");
    READS("a", "{\"a\":\"\t\"}", "MALFORMED no JSON objects: a control character in a text at byte 6");
    READS("a", "{\"a\":1}\n[1]", "MALFORMED no JSON objects: not an object in an array of objects at byte 9");
    READS("a", "\xef\xbb\xbf{\"a\" 1}",
          "MALFORMED no JSON objects: not the colon behind a field's name at byte 8");
    READS("a", "{\"a\":1}5",
          "MALFORMED no JSON objects: neither an object nor an array of objects at byte 7");
    READS("a", "", "MALFORMED no JSON objects: it is empty at byte 0");
}

static void limits_hold(void **state)
{
    (void)state;
    char text[3 * VALUE_DEPTH + 64];
    for (int more = 0; more < 2; more++) {
        strcpy(text, "{\"a\":");
        memset(text + 5, '[', VALUE_DEPTH);
        size_t n = 5 + VALUE_DEPTH - 1 + (size_t)more;
        for (int i = 0; i < VALUE_DEPTH - 1 + more; i++)
            text[n++] = ']';
        text[n++] = '}';
        for (int whole = 0; whole < 2; whole++) {
            const char *got = read_as(whole ? "*" : "b", bytes_of(text, n), NULL);
            if (more)
                assert_string_equal(got, "LIMIT cannot be read: nested too deeply at byte 68");
            else
                assert_null(strstr(got, "LIMIT"));
        }
    }
    struct json_limits few = {.keys = 3};
    assert_string_equal(read_as("a", bytes_str("{\"a\":{\"b\":1,\"c\":2}}{\"a\":1}"), &few),
                        "{\"b\":1,\"c\":2};1");
    assert_string_equal(read_as("a", bytes_str("{\"a\":1}{\"x\":{\"b\":1,\"c\":2,\"d\":3}}"), &few),
                        "LIMIT cannot be read: too many fields in one event at byte 25");
}

static void many_events_are_made_as_they_are_asked_for(void **state)
{
    (void)state;
    enum { EVENTS = 20000 };
    struct buf b = {0};
    for (int i = 0; i < EVENTS; i++)
        buf_printf(&b, i % 3 ? "{\"v\":%d,\"t\":\"%d\"}" : "[{\"v\":%d,\"t\":\"\\u0030%d\"}]\n", i, i);
    struct json_plan *plan = plan_of("v t");
    struct json_reader *r = json_reader_new(NULL);
    const struct value *slots;
    struct fault why;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(json_read(r, plan, buf_bytes(&b), false, &why), CODE_OK);
        struct value first = value_null();
        for (int i = 0; i < EVENTS; i++) {
            assert_int_equal(json_next(r, &slots), CODE_OK);
            assert_int_equal(slots[0].i, i);
            first = i ? first : slots[1];
        }
        assert_int_equal(json_next(r, &slots), CODE_END);
        assert_int_equal(json_next(r, &slots), CODE_END);
        assert_true(bytes_is(value_bytes(first), "00"));
    }
    /* One that is wrong, and there is none. */
    buf_add(&b, "{\"v\":}", 6);
    assert_int_equal(json_read(r, plan, buf_bytes(&b), false, &why), CODE_MALFORMED);
    assert_int_equal(json_next(r, &slots), CODE_END);
    json_reader_free(r);
    json_plan_free(plan);
    buf_clear(&b);
}

static void many_fields_of_one_name_merge(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_u8(&b, '{');
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "%s\"f%d\":%d", i ? "," : "", i % 1000, i);
    buf_u8(&b, '}');
    struct json_plan *plan = plan_of("*");
    struct json_reader *r = json_reader_new(NULL);
    const struct value *slots;
    assert_int_equal(json_read(r, plan, buf_bytes(&b), false, NULL), CODE_OK);
    assert_int_equal(json_next(r, &slots), CODE_OK);
    assert_int_equal(slots[0].record->count, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(slots[0].record->fields[i].value.i, 4000 + i);
    json_reader_free(r);
    json_plan_free(plan);
    buf_clear(&b);
}

static void one_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } table[] = {
        {"12", "12"},     {" \"x\\n\" ", "\"x\\u000a\""},
        {"null", "null"}, {"[1,{\"a\":[]}]", "[1,{\"a\":[]}]"},
        {"-1.5", "-1.5"}, {"", NULL},
        {"1 2", NULL},    {"1,2", NULL},
        {"1],[2", NULL},  {"{\"a\":}", NULL},
        {"tru", NULL},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct value v;
        struct fault why;
        struct buf b = {0};
        enum code code = json_value(bytes_str(table[i].text), &arena, &v, &why);
        assert_int_equal(code, table[i].want ? CODE_OK : CODE_MALFORMED);
        if (!code) {
            value_write_json(&b, v);
            assert_true(bytes_is(buf_bytes(&b), table[i].want));
        }
        buf_clear(&b);
    }
    arena_clear(&arena);
}

/* ---- at random, against jansson ---- */

static uint64_t seed = 7;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

static void random_value(struct buf *b, int depth)
{
    static const char *const plain[] = {"1",
                                        "-5",
                                        "0.25",
                                        "1e3",
                                        "true",
                                        "false",
                                        "null",
                                        "\"\"",
                                        "\"x\"",
                                        "\"\\\\\"",
                                        "\"\\\"\\\\\"",
                                        "\"\\u00e4 \xc3\xa4\"",
                                        "9223372036854775807",
                                        "123456789.123456789",
                                        "\"a long text, [{:,}]\""};
    static const char *const names[] = {
        "\"a\"", "\"b\"", "\"A\"", "\"temperature\"", "\"Temp\xc3\xa4\"", "\"\\u0061\"", "\"\"", "\"B\""};
    uint32_t kind = depth > 4 ? 0 : below(5), n = below(5);
    if (kind < 3 && depth > 0) {
        const char *s = plain[below(sizeof plain / sizeof plain[0])];
        buf_add(b, s, strlen(s));
    } else if (kind == 3 && depth > 0) {
        buf_u8(b, '[');
        for (uint32_t i = 0; i < n; i++) {
            buf_add(b, ", ", i ? 1 + below(2) : 0);
            random_value(b, depth + 1);
        }
        buf_u8(b, ']');
    } else {
        buf_u8(b, '{');
        for (uint32_t i = 0; i < n; i++) {
            const char *name = names[below(sizeof names / sizeof names[0])];
            buf_add(b, ",\n", i ? 1 + below(2) : 0);
            buf_add(b, name, strlen(name));
            buf_add(b, " : ", 0);
            buf_u8(b, ':');
            random_value(b, depth + 1);
        }
        buf_u8(b, '}');
    }
}

static void random_bodies_agree_with_jansson(void **state)
{
    (void)state;
    static const struct bytes names[] = {{(const uint8_t *)"a", 1},
                                         {(const uint8_t *)"b", 1},
                                         {(const uint8_t *)"temperature", 11},
                                         {(const uint8_t *)"TEMP\xc3\xa4", 6}};
    static const struct json_path paths[] = {{names, 1},     {names, 2},     {names + 1, 1},
                                             {names + 2, 1}, {names + 3, 1}, {names + 1, 2}};
    uint32_t accepted = 0, refused = 0;
    for (int i = 0; i < 20000; i++) {
        struct buf b = {0};
        for (uint32_t n = 1 + below(3); n; n--)
            random_value(&b, 0);
        static const uint8_t marks[] = "{}[]:,\"\\ 0-e.tn\x01\xc3u";
        for (uint32_t n = below(3); n && b.len; n--) /* a third of them whole */
            b.at[below((uint32_t)b.len)] = marks[below(sizeof marks - 1)];
        bool read = naive_check(buf_bytes(&b), paths, sizeof paths / sizeof paths[0], false);
        accepted += read;
        refused += !read;
        buf_clear(&b);
    }
    assert_true(accepted > 5000 && refused > 5000);
}

static void all_ways_of_indexing_agree(void **state)
{
    (void)state;
    struct json_index a = {0}, b = {0};
    static const uint8_t marks[] = "{}[]:,\"\"\\\\\\ \t\n0x\x1f\x80\xff\x1a\x0c\x5a";
    for (int i = 0; i < 20000; i++) {
        uint8_t text[300 + 64];
        uint32_t len = below(300);
        for (size_t k = 0; k < sizeof text; k++)
            text[k] = below(4) ? 'a' : marks[below(sizeof marks - 1)];
        enum code code = json_index_build_as(&a, bytes_of(text, len), JSON_INDEX_BEST);
        assert_int_equal(json_index_build_as(&b, bytes_of(text, len), JSON_INDEX_PORTABLE), code);
        if (code)
            assert_true(a.wrong_at == b.wrong_at && a.wrong == b.wrong);
        else
            assert_true(a.count == b.count && a.high == b.high && a.escapes == b.escapes &&
                        (a.count == 0 || memcmp(a.at, b.at, a.count * 4) == 0));
    }
    json_index_clear(&a);
    json_index_clear(&b);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 300; i++)
        buf_printf(&b, "{\"a\":{\"b\":[%d,\"\\n\"],\"long%d\":1},\"c\":\"%d\"}", i, i, i);
    unsigned refused = 0;
    for (uint64_t n = 1; n < 40; n++) {
        mem_fail_at(n);
        struct json_plan *plan = plan_of("a a.b c");
        struct json_reader *r = plan ? json_reader_new(NULL) : NULL;
        if (r) {
            struct fault why;
            const struct value *slots;
            enum code code = json_read(r, plan, buf_bytes(&b), false, &why);
            unsigned events = 0;
            while (code == CODE_OK && (code = json_next(r, &slots)) == CODE_OK)
                events++;
            assert_true(code == CODE_NOMEM || (code == CODE_END && events == 300));
            refused += code == CODE_NOMEM;
            mem_fail_at(0);
            assert_int_equal(json_read(r, plan, bytes_str("{\"c\":5}"), false, &why), CODE_OK);
            assert_int_equal(json_next(r, &slots), CODE_OK);
            assert_int_equal(slots[2].i, 5);
        } else {
            refused++;
        }
        mem_fail_at(0);
        json_reader_free(r);
        json_plan_free(plan);
    }
    assert_true(refused > 10);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_picked),
        cmocka_unit_test(the_last_of_equal_names_wins),
        cmocka_unit_test(names_are_found_in_any_case_exact_first),
        cmocka_unit_test(every_object_of_a_body_is_an_event),
        cmocka_unit_test(numbers_keep_their_kind),
        cmocka_unit_test(texts_lose_their_escapes),
        cmocka_unit_test(what_is_not_json_is_refused_whole),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(many_events_are_made_as_they_are_asked_for),
        cmocka_unit_test(many_fields_of_one_name_merge),
        cmocka_unit_test(one_value),
        cmocka_unit_test(random_bodies_agree_with_jansson),
        cmocka_unit_test(all_ways_of_indexing_agree),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
