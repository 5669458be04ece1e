#include "cli/message_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static struct buf props, out;

/* 2026-11-22T06:00:04.123456Z, in UTC. */
static const int64_t at_us = INT64_C(1795327204123456);

static struct mqtt_publish plain(const char *payload)
{
    return (struct mqtt_publish){.qos = 1,
                                 .retain = true,
                                 .packet_id = 7,
                                 .topic = BYTES_LIT("f/\xc3\xa9"),
                                 .payload = bytes_str(payload)};
}

static struct mqtt_publish full(void)
{
    struct mqtt_publish p = plain("{\"a\": 1}");
    buf_reset(&props);
    mqtt_put_bytes(&props, MQTT_PROP_CONTENT_TYPE, BYTES_LIT("ct"));
    mqtt_put_bytes(&props, MQTT_PROP_CORRELATION, BYTES_LIT("c\"d"));
    mqtt_put_bytes(&props, MQTT_PROP_RESPONSE_TOPIC, BYTES_LIT("rt"));
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, 9);
    mqtt_put_u8(&props, MQTT_PROP_PAYLOAD_FORMAT, 1);
    mqtt_put_varint(&props, MQTT_PROP_SUB_ID, 5);
    mqtt_put_varint(&props, MQTT_PROP_SUB_ID, 300);
    mqtt_put_user(&props, BYTES_LIT("k"), BYTES_LIT("v"));
    mqtt_put_user(&props, BYTES_LIT("k"), BYTES_LIT("w"));
    if (mqtt_decode_props(MQTT_PUBLISH, buf_bytes(&props), &mqtt_limits_default, &p.props, NULL))
        fail_msg("the list of this test is wrong");
    return p;
}

static void prints(const char *pattern, const struct mqtt_publish *p, const char *want)
{
    struct fault why;
    buf_reset(&out);
    if (message_format_check(pattern, &why))
        fail_msg("%s: %s", pattern, why.text);
    assert_true(message_format(&out, pattern, p, at_us, false));
    buf_u8(&out, 0);
    assert_string_equal((const char *)out.at + out.from, want);
}

static void each_code_prints_its_part(void **state)
{
    (void)state;
    struct mqtt_publish p = full();
    prints("%t|%p|%x|%X|%l|%q|%r|%m", &p, "f/\xc3\xa9|{\"a\": 1}|7b2261223a20317d|7B2261223A20317D|8|1|1|7");
    prints("%C|%D|%R|%E|%F|%S|%P|%A", &p, "ct|c\"d|rt|9|1|5,300|k:v k:w|");
    prints("%I %U", &p, "2026-11-22T06:00:04+0000 1795327204.123456000");
    prints("@Y-@m-@d @H:@M:@S.@N @@", &p, "2026-11-22 06:00:04.123456000 @");
    prints("%%\\n\\t\\\\", &p, "%\n\t\\");
    prints("%8t|%-8t|%05l|%-5l|%2t|%3q|%.1p", &p,
           "    f/\xc3\xa9|f/\xc3\xa9    |00008|8    |f/\xc3\xa9|1|{\"a\": 1}");
    prints("", &p, "");
    prints("%j", &p,
           "{\"tst\":\"2026-11-22T06:00:04.123456Z+0000\",\"topic\":\"f/"
           "\xc3\xa9\",\"qos\":1,\"retain\":1,\"payloadlen\":8,\"mid\":7,"
           "\"properties\":{\"user-properties\":{\"k\":\"v\",\"k\":\"w\"},\"content-type\":\"ct\","
           "\"correlation-data\":\"c\\\"d\","
           "\"response-topic\":\"rt\",\"payload-format-indicator\":1,\"message-expiry-interval\":9,"
           "\"subscription-identifier\":5,300},\"payload\":\"{\\\"a\\\": 1}\"}");
}

static void without_properties_codes_are_empty(void **state)
{
    (void)state;
    struct mqtt_publish p = plain("");
    prints("[%C%D%R%E%F%S%P%A%p%x]%3C", &p, "[]   ");
    p.qos = 0;
    prints("%J", &p,
           "{\"tst\":\"2026-11-22T06:00:04.123456Z+0000\",\"topic\":\"f/"
           "\xc3\xa9\",\"qos\":0,\"retain\":1,\"payloadlen\":0,\"payload\":null}");
}

static void json_payloads_are_embedded_or_refused(void **state)
{
    (void)state;
    struct mqtt_publish p = plain("[1, 2.5 ,\"x\"]");
    p.qos = 0;
    buf_reset(&out);
    assert_true(message_format(&out, "%J", &p, at_us, false));
    buf_u8(&out, 0);
    assert_non_null(strstr((const char *)out.at, "\"payload\":[1,2.5,\"x\"]}"));
    p.payload = BYTES_LIT("no json");
    buf_reset(&out);
    assert_false(message_format(&out, "before %J", &p, at_us, false));
    assert_int_equal(buf_size(&out), 0);
    p.payload = BYTES_LIT("7");
    assert_true(message_format(&out, "%J", &p, at_us, true));
    buf_u8(&out, 0);
    assert_non_null(strstr((const char *)out.at, "\n  \"payload\": 7\n"));
}

static void wrong_patterns_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"%", "%z", "%05", "\\", "\\z", "@", "a%-", "%.3"};
    struct fault why;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (message_format_check(wrong[i], &why) != CODE_USAGE)
            fail_msg("'%s' was taken", wrong[i]);
}

static void our_json_has_every_property(void **state)
{
    (void)state;
    struct mqtt_publish p = full();
    buf_reset(&out);
    message_json(&out, &p, at_us);
    buf_u8(&out, 0);
    assert_string_equal(
        (const char *)out.at,
        "{\"time\":\"2026-11-22T06:00:04.123Z\",\"topic\":\"f/"
        "\xc3\xa9\",\"qos\":1,\"retain\":true,\"contentType\":\"ct\","
        "\"responseTopic\":\"rt\",\"correlation\":\"c\\\"d\",\"expirySeconds\":9,\"payloadFormat\":1,"
        "\"subscriptionIds\":[5,300],\"properties\":[[\"k\",\"v\"],[\"k\",\"w\"]],\"payload\":\"{\\\"a\\\": "
        "1}\"}");
    p = plain("\xff");
    p.retain = false;
    p.dup = true;
    buf_reset(&out);
    message_json(&out, &p, at_us);
    buf_u8(&out, 0);
    assert_string_equal(
        (const char *)out.at,
        "{\"time\":\"2026-11-22T06:00:04.123Z\",\"topic\":\"f/\xc3\xa9\",\"qos\":1,\"retain\":false,"
        "\"dup\":true,\"payloadHex\":\"ff\"}");
}

static int clear(void **state)
{
    (void)state;
    buf_clear(&out);
    buf_clear(&props);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_prints_its_part),
        cmocka_unit_test(without_properties_codes_are_empty),
        cmocka_unit_test(json_payloads_are_embedded_or_refused),
        cmocka_unit_test(wrong_patterns_are_refused),
        cmocka_unit_test(our_json_has_every_property),
    };
    (void)setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, clear);
}
