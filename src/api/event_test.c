#include "api/event.h"

#include "base/mem.h"
#include "message/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* 2026-11-22T11:01:13.204117Z */
#define WALL_US INT64_C(1795345273204117)

#define HEAD \
    "{\"partition\":2,\"offset\":4403,\"sequence\":4403,\"enqueued\":\"2026-11-22T11:01:13.204117Z\","

/* The line of one message, NUL-terminated; the caller frees it. */
static char *line_of(const struct message_parts *parts)
{
    struct message *m = message_new(parts);
    assert_non_null(m);
    /* Exactly as long as on disk, so that reading past its end is seen. */
    uint8_t *exact = malloc(m->encoded.len);
    memcpy(exact, m->encoded.at, m->encoded.len);
    struct record r = { .type = RECORD_MESSAGE, .wall_us = WALL_US, .partition = 2, .partition_seq = 4403,
                        .payload = bytes_of(exact, m->encoded.len) };
    struct buf out = { 0 };
    event_line(&out, 2, &r);
    buf_u8(&out, 0);
    assert_false(out.bad);
    free(exact);
    message_drop(m);
    return (char *)out.at;
}

static void expect(const struct message_parts *parts, const char *want)
{
    char *line = line_of(parts);
    assert_string_equal(line, want);
    mem_free(line);
}

static void a_message_with_everything_gives_a_whole_line(void **state)
{
    (void)state;
    static const uint8_t props[] = "\x03\x00\x10"
                                   "application/json"
                                   "\x26\x00\x04unit\x00\x07"
                                   "celsius"
                                   "\x08\x00\x01r"
                                   "\x09\x00\x03\xff\x00\x01"
                                   "\x01\x01"
                                   "\x26\x00\x04unit\x00\x01K";
    struct message_parts parts = {
        .qos = 1,
        .retain = true,
        .expires = true,
        .expiry_s = 60,
        .topic = BYTES_LIT("factory/line1/press-7"),
        .principal = BYTES_LIT("anna"),
        .source = BYTES_LIT("press-7"),
        .props = bytes_of(props, sizeof props - 1),
        .payload = BYTES_LIT("{ \"temperature\": 21.90 }"),
    };
    expect(&parts,
           HEAD "\"principal\":\"anna\",\"source\":\"press-7\",\"topic\":\"factory/line1/press-7\",\"qos\":1,"
                "\"retain\":true,\"expiry\":60,\"properties\":{\"content-type\":\"application/json\","
                "\"response-topic\":\"r\",\"correlation-base64\":\"/wAB\",\"payload-format\":1,"
                "\"user\":[[\"unit\",\"celsius\"],[\"unit\",\"K\"]]},\"body\":{\"temperature\":21.90}}\n");
}

static void the_body_is_json_or_text_or_base64(void **state)
{
    (void)state;
    static const struct {
        struct bytes payload;
        const char  *want;
    } table[] = {
        { BYTES_LIT("21.40"), "\"body\":21.40" },
        { BYTES_LIT("[1, 2]"), "\"body\":[1,2]" },
        { BYTES_LIT("null"), "\"body\":null" },
        { BYTES_LIT(""), "\"body\":\"\"" },
        { BYTES_LIT("running"), "\"body\":\"running\"" },
        { BYTES_LIT("21,4"), "\"body\":\"21,4\"" },
        { BYTES_LIT("two\nlines"), "\"body\":\"two\\u000alines\"" },
        /* A JSON string stays what the publisher wrote, quotes and all. */
        { BYTES_LIT("\"running\""), "\"body\":\"\\\"running\\\"\"" },
        { BYTES_LIT(" \"a\""), "\"body\":\" \\\"a\\\"\"" },
        { BYTES_LIT("\xff\x00"), "\"body-base64\":\"/wA=\"" },
        { BYTES_LIT("a\0b"), "\"body-base64\":\"YQBi\"" },
        { BYTES_LIT("{\"a\":\"\xff\"}"), "\"body-base64\":\"eyJhIjoi/yJ9\"" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char want[512];
        struct message_parts parts = { .topic = BYTES_LIT("t"),
                                       .source = BYTES_LIT("s"),
                                       .payload = table[i].payload };
        (void)snprintf(want, sizeof want,
                       HEAD "\"principal\":\"\",\"source\":\"s\",\"topic\":\"t\",\"qos\":0,\"retain\":false,"
                            "\"properties\":{},%s}\n",
                       table[i].want);
        expect(&parts, want);
    }
}

static void an_expiry_of_nothing_is_told(void **state)
{
    (void)state;
    struct message_parts parts = { .topic = BYTES_LIT("t"), .expires = true, .payload = BYTES_LIT("1") };
    expect(&parts,
           HEAD "\"principal\":\"\",\"source\":\"\",\"topic\":\"t\",\"qos\":0,\"retain\":false,\"expiry\":0,"
                "\"properties\":{},\"body\":1}\n");
}

static void what_cannot_be_read_is_told_in_its_place(void **state)
{
    (void)state;
    struct record damaged = {
        .type = 0, .partition = 1, .partition_seq = 9, .segment = 0x1f, .segment_offset = 4096
    };
    struct record odd = {
        .type = RECORD_MESSAGE, .partition = 1, .partition_seq = 10, .payload = BYTES_LIT("\x07")
    };
    struct buf out = { 0 };
    event_line(&out, 1, &damaged);
    assert_true(bytes_is(buf_bytes(&out),
                         "{\"partition\":1,\"offset\":9,\"sequence\":9,\"error\":{\"code\":\"FG7004\","
                         "\"message\":\"from here to the next one shown, what was stored is damaged on"
                         " disk; stop the node and run `fieldgate check DIR` to see what else is\"}}\n"));
    buf_reset(&out);
    event_line(&out, 1, &odd);
    assert_true(bytes_starts(buf_bytes(&out), "{\"partition\":1,\"offset\":10,\"sequence\":10,\"error\":"));
    assert_int_equal(out.at[out.len - 1], '\n');
    buf_clear(&out);
}

static void times_before_1970_and_far_away_are_printed(void **state)
{
    (void)state;
    char out[EVENT_TIME_MAX];
    assert_string_equal(event_time(0, out), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(event_time(-1, out), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(event_time(WALL_US, out), "2026-11-22T11:01:13.204117Z");
    assert_int_equal(strlen(event_time(INT64_MAX, out)), 27);
    assert_int_equal(strlen(event_time(INT64_MIN, out)), 27);
}

static void a_failed_allocation_is_told_by_the_buffer(void **state)
{
    (void)state;
    struct message_parts parts = { .topic = BYTES_LIT("t"), .payload = BYTES_LIT("{\"a\": \"\xc3\xa9\"}") };
    struct message *m = message_new(&parts);
    struct record r = { .type = RECORD_MESSAGE, .payload = m->encoded, .wall_us = WALL_US };
    for (uint64_t n = 1;; n++) {
        struct buf out = { 0 };
        mem_fail_at(n);
        event_line(&out, 0, &r);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(out.bad, fired);
        buf_clear(&out);
        if (!fired)
            break;
    }
    message_drop(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_with_everything_gives_a_whole_line),
        cmocka_unit_test(the_body_is_json_or_text_or_base64),
        cmocka_unit_test(an_expiry_of_nothing_is_told),
        cmocka_unit_test(what_cannot_be_read_is_told_in_its_place),
        cmocka_unit_test(times_before_1970_and_far_away_are_printed),
        cmocka_unit_test(a_failed_allocation_is_told_by_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
