/* packet_props_test.c - property lists against a second copy of the standard's table (2.2.2.2), written down
 * here as the standard prints it, so that a slip in one of the two shows. */
#include "mqtt/packet.h"

#include "base/mem.h"
#include "mqtt/mqtt_test_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct row {
    uint8_t id;
    const char *value;   /* one that is allowed */
    const char *packets; /* names of 2.1.2, and "Will" */
};

/* clang-format off */
static const struct row rows[] = {
    { 0x01, "01", "PUBLISH Will" },
    { 0x02, "00000001", "PUBLISH Will" },
    { 0x03, "'text/plain'", "PUBLISH Will" },
    { 0x08, "'a/b'", "PUBLISH Will" },
    { 0x09, "0002 00ff", "PUBLISH Will" },
    { 0x0b, "01", "PUBLISH SUBSCRIBE" },
    { 0x11, "00000001", "CONNECT CONNACK DISCONNECT" },
    { 0x12, "'id'", "CONNACK" },
    { 0x13, "0001", "CONNACK" },
    { 0x15, "'method'", "CONNECT CONNACK AUTH" },
    { 0x16, "0002 00ff", "CONNECT CONNACK AUTH" },
    { 0x17, "01", "CONNECT" },
    { 0x18, "00000001", "Will" },
    { 0x19, "01", "CONNECT" },
    { 0x1a, "'info'", "CONNACK" },
    { 0x1c, "'server'", "CONNACK DISCONNECT" },
    { 0x1f, "'why'", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH" },
    { 0x21, "0001", "CONNECT CONNACK" },
    { 0x22, "0000", "CONNECT CONNACK" },
    { 0x23, "0001", "PUBLISH" },
    { 0x24, "01", "CONNACK" },
    { 0x25, "01", "CONNACK" },
    { 0x26, "'name' 'value'", "CONNECT CONNACK PUBLISH Will PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK "
                              "UNSUBSCRIBE UNSUBACK DISCONNECT AUTH" },
    { 0x27, "00000001", "CONNECT CONNACK" },
    { 0x28, "01", "CONNACK" },
    { 0x29, "01", "CONNACK" },
    { 0x2a, "01", "CONNACK" },
};
/* clang-format on */

static bool listed(const struct row *r, unsigned packet)
{
    const char *name = packet == MQTT_WILL ? "Will" : mqtt_type_name((uint8_t)packet);
    size_t n = strlen(name);
    for (const char *p = r->packets; (p = strstr(p, name)); p += n)
        if ((p == r->packets || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
            return true;
    return false;
}

static const struct row *row_of(unsigned id)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

/* The list in its text form, with what its packet demands besides. */
static enum code decode(unsigned packet, const char *text, struct mqtt_props *out, struct fault *why)
{
    struct test_bytes b = test_bytes_of(text);
    enum code code = mqtt_decode_props(packet, test_view(&b), &mqtt_limits_default, out, why);
    free(b.at);
    return code;
}

static void list_text(char *to, size_t cap, unsigned packet, unsigned id, const char *value, unsigned times)
{
    const char *method = packet == MQTT_AUTH && id != 0x15      ? "15 'M'"
                         : packet == MQTT_CONNECT && id == 0x16 ? "15 'M'"
                                                                : "";
    int n = snprintf(to, cap, "%s", method);
    for (unsigned i = 0; i < times; i++)
        n += snprintf(to + n, cap - (size_t)n, " %02x %s", id, value);
}

static void a_property_stands_only_in_the_packets_of_the_standard(void **state)
{
    (void)state;
    for (unsigned id = 0; id < 256; id++)
        for (unsigned packet = 0; packet <= MQTT_AUTH; packet++) {
            const struct row *r = row_of(id);
            char text[200];
            struct mqtt_props props;
            struct fault why = {0};
            list_text(text, sizeof text, packet, id, r ? r->value : "00", 1);
            enum code code = decode(packet, text, &props, &why);
            bool allowed = r && listed(r, packet);
            if (code != (allowed ? CODE_OK : CODE_MALFORMED))
                fail_msg("property 0x%02x in %s: %s: %s", id, mqtt_type_name((uint8_t)packet),
                         code_name(code), why.text);
            if (allowed)
                assert_true(mqtt_props_has(&props, id));
            else
                assert_int_equal(why.mqtt_reason, MQTT_MALFORMED);
        }
}

static void a_property_stands_there_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned packet = 0; packet <= MQTT_AUTH; packet++) {
            if (!listed(&rows[i], packet))
                continue;
            char text[400];
            struct mqtt_props props;
            struct fault why = {0};
            list_text(text, sizeof text, packet, rows[i].id, rows[i].value, 2);
            enum code code = decode(packet, text, &props, &why);
            bool may = rows[i].id == 0x26 || (rows[i].id == 0x0b && packet == MQTT_PUBLISH);
            if (code != (may ? CODE_OK : CODE_PROTOCOL))
                fail_msg("property 0x%02x twice in %u: %s", rows[i].id, packet, code_name(code));
            if (!may) {
                assert_int_equal(why.mqtt_reason, MQTT_PROTOCOL_ERROR);
                assert_non_null(strstr(why.text, "twice"));
            }
        }
}

static void a_property_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned packet = 0; packet < MQTT_AUTH; packet++) {
            if (!listed(&rows[i], packet) || (packet == MQTT_CONNECT && rows[i].id == 0x16))
                continue;
            char text[200];
            list_text(text, sizeof text, packet, rows[i].id, rows[i].value, 1);
            struct test_bytes b = test_bytes_of(text);
            for (size_t n = 1; n < b.len; n++) {
                uint8_t *copy = malloc(n);
                struct mqtt_props props;
                struct fault why = {0};
                memcpy(copy, b.at, n);
                assert_int_equal(
                    mqtt_decode_props(packet, bytes_of(copy, n), &mqtt_limits_default, &props, &why),
                    CODE_MALFORMED);
                assert_int_equal(why.mqtt_reason, MQTT_MALFORMED);
                free(copy);
            }
            free(b.at);
        }
}

static void values_out_of_their_range_are_refused(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        unsigned    packet;
        const char *list;
        uint8_t     reason; /* 0: allowed */
    } cases[] = {
        { MQTT_PUBLISH, "01 00", 0 }, { MQTT_PUBLISH, "01 02", 0x82 }, { MQTT_PUBLISH, "01 ff", 0x82 },
        { MQTT_WILL, "01 02", 0x82 },
        { MQTT_CONNECT, "17 00", 0 }, { MQTT_CONNECT, "17 02", 0x82 },
        { MQTT_CONNECT, "19 00", 0 }, { MQTT_CONNECT, "19 80", 0x82 },
        { MQTT_CONNACK, "24 00", 0 }, { MQTT_CONNACK, "24 02", 0x82 },
        { MQTT_CONNACK, "25 02", 0x82 }, { MQTT_CONNACK, "28 02", 0x82 },
        { MQTT_CONNACK, "29 02", 0x82 }, { MQTT_CONNACK, "2a 02", 0x82 },
        { MQTT_CONNECT, "21 0000", 0x82 }, { MQTT_CONNECT, "21 ffff", 0 }, { MQTT_CONNACK, "21 0000", 0x82 },
        { MQTT_CONNECT, "27 00000000", 0x82 }, { MQTT_CONNECT, "27 ffffffff", 0 },
        { MQTT_PUBLISH, "23 0000", 0x94 }, { MQTT_PUBLISH, "23 ffff", 0 },
        { MQTT_SUBSCRIBE, "0b 00", 0x82 }, { MQTT_SUBSCRIBE, "0b ffffff7f", 0 },
        { MQTT_SUBSCRIBE, "0b 8000", 0x81 }, { MQTT_SUBSCRIBE, "0b ff00", 0x81 },
        { MQTT_SUBSCRIBE, "0b 80808080", 0x81 }, { MQTT_SUBSCRIBE, "0b ffffffff01", 0x81 },
        { MQTT_PUBLISH, "0b 00", 0x82 },
        { MQTT_PUBLISH, "08 'a/+/b'", 0x82 }, { MQTT_PUBLISH, "08 '#'", 0x82 },
        { MQTT_PUBLISH, "08 ''", 0x82 },
        { MQTT_WILL, "08 'a/#'", 0x82 }, { MQTT_PUBLISH, "08 '$SYS/a'", 0 },
        { MQTT_PUBLISH, "08 'a\xff'", 0x81 }, { MQTT_PUBLISH, "03 0001 00", 0x81 },
        { MQTT_PUBLISH, "03 ''", 0 },
        { MQTT_PUBLISH, "26 '' ''", 0 }, { MQTT_PUBLISH, "26 'a\xff' ''", 0x81 },
        { MQTT_PUBLISH, "26 '' 0001 00", 0x81 },
        { MQTT_PUBLISH, "09 0004 00ff00fe", 0 }, { MQTT_PUBLISH, "09 ''", 0 },
        { MQTT_CONNECT, "15 'm' 16 'd'", 0 }, { MQTT_CONNECT, "16 'd' 15 'm'", 0 },
        { MQTT_CONNECT, "16 'd'", 0x82 },
        { MQTT_CONNACK, "16 'd'", 0 }, { MQTT_AUTH, "16 'd'", 0x82 }, { MQTT_AUTH, "15 'm'", 0 },
        { MQTT_PUBLISH, "8100", 0x81 }, { MQTT_PUBLISH, "2b 00", 0x81 }, { MQTT_PUBLISH, "ff", 0x81 },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct mqtt_props props;
        struct fault why = {0};
        enum code code = decode(cases[i].packet, cases[i].list, &props, &why);
        if ((code == CODE_OK) != (cases[i].reason == 0) || why.mqtt_reason != cases[i].reason)
            fail_msg("%u: %s: %s 0x%02x %s", cases[i].packet, cases[i].list, code_name(code), why.mqtt_reason,
                     why.text);
    }
}

static void what_is_absent_has_the_defaults_of_the_standard(void **state)
{
    (void)state;
    struct mqtt_props p;
    memset(&p, 0xa5, sizeof p);
    assert_int_equal(mqtt_decode_props(MQTT_CONNACK, BYTES_NONE, &mqtt_limits_default, &p, NULL), CODE_OK);
    assert_true(p.seen == 0);
    assert_int_equal(p.raw.len, 0);
    assert_int_equal(p.receive_max, 65535);
    assert_int_equal(p.request_problem, 1);
    assert_int_equal(p.request_response, 0);
    assert_int_equal(p.max_qos, 2);
    assert_int_equal(p.retain_available, 1);
    assert_int_equal(p.wildcard_available, 1);
    assert_int_equal(p.sub_id_available, 1);
    assert_int_equal(p.shared_available, 1);
    assert_int_equal(p.session_expiry_s, 0);
    assert_int_equal(p.topic_alias_max, 0);
    assert_int_equal(p.max_packet, 0);
    assert_int_equal(p.content_type.len + p.response_topic.len + p.correlation.len + p.reason_string.len, 0);
}

static void every_value_goes_where_it_belongs(void **state)
{
    (void)state;
    struct mqtt_props p;
    struct test_bytes b = test_bytes_of(
        "11 01020304 12 'id' 13 0506 15 'm' 16 'd' 1a 'info' 1c 'ref' 1f 'why' 21 0708"
        " 22 090a 24 00 25 00 27 0b0c0d0e 28 00 29 00 2a 00");
    assert_int_equal(mqtt_decode_props(MQTT_CONNACK, test_view(&b), &mqtt_limits_default, &p, NULL), CODE_OK);
    assert_int_equal(p.session_expiry_s, 0x01020304);
    assert_int_equal(p.server_keep_alive, 0x0506);
    assert_int_equal(p.receive_max, 0x0708);
    assert_int_equal(p.topic_alias_max, 0x090a);
    assert_int_equal(p.max_packet, 0x0b0c0d0e);
    assert_int_equal(
        p.max_qos + p.retain_available + p.wildcard_available + p.sub_id_available + p.shared_available, 0);
    assert_true(bytes_is(p.assigned_client_id, "id"));
    assert_true(bytes_is(p.auth_method, "m"));
    assert_true(bytes_is(p.auth_data, "d"));
    assert_true(bytes_is(p.response_info, "info"));
    assert_true(bytes_is(p.server_reference, "ref"));
    assert_true(bytes_is(p.reason_string, "why"));
    assert_true(bytes_equal(p.raw, test_view(&b)));
    free(b.at);

    b = test_bytes_of("01 01 02 11121314 03 'ct' 08 're' 09 'co' 23 1516 0b 05 0b 8001");
    assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, test_view(&b), &mqtt_limits_default, &p, NULL), CODE_OK);
    assert_int_equal(p.payload_format, 1);
    assert_int_equal(p.message_expiry_s, 0x11121314);
    assert_int_equal(p.topic_alias, 0x1516);
    assert_int_equal(p.sub_id, 128);
    assert_int_equal(p.sub_id_count, 2);
    assert_true(bytes_is(p.content_type, "ct"));
    assert_true(bytes_is(p.response_topic, "re"));
    assert_true(bytes_is(p.correlation, "co"));
    free(b.at);
}

static void user_properties_keep_their_order(void **state)
{
    (void)state;
    static const char *const want[][2] = {{"a", "1"}, {"b", ""}, {"a", "2"}};
    struct mqtt_props p;
    struct test_bytes b = test_bytes_of("26 'a' '1' 0b 07 26 'b' '' 02 00000001 26 'a' '2' 0b 8001");
    assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, test_view(&b), &mqtt_limits_default, &p, NULL), CODE_OK);
    assert_int_equal(p.user_count, 3);
    size_t cursor = 0, n = 0;
    struct bytes name, value;
    while (mqtt_user_prop(&p, &cursor, &name, &value)) {
        assert_true(n < COUNT(want));
        assert_true(bytes_is(name, want[n][0]) && bytes_is(value, want[n][1]));
        n++;
    }
    assert_int_equal(n, 3);
    assert_false(mqtt_user_prop(&p, &cursor, &name, &value));
    uint32_t id;
    cursor = 0;
    assert_true(mqtt_sub_id(&p, &cursor, &id) && id == 7);
    assert_true(mqtt_sub_id(&p, &cursor, &id) && id == 128);
    assert_false(mqtt_sub_id(&p, &cursor, &id));
    free(b.at);

    p = (struct mqtt_props){0};
    cursor = 0;
    assert_false(mqtt_user_prop(&p, &cursor, &name, &value));
}

static void what_differs_per_delivery_is_not_forwarded(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *list, *forwarded;
        bool        all;
    } cases[] = {
        { "", "", true },
        { "01 01 26 'a' 'b' 03 'c' 08 'd' 09 'e' 26 'f' ''",
          "01 01 26 'a' 'b' 03 'c' 08 'd' 09 'e' 26 'f' ''",
          true },
        { "23 0001", "", false },
        { "23 0001 01 01", "01 01", false },
        { "01 01 02 00000001", "01 01", false },
        { "26 'a' 'b' 0b 8001 26 'c' 'd' 02 00000001 0b 02 03 'e'", "26 'a' 'b' 26 'c' 'd' 03 'e'", false },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct test_bytes b = test_bytes_of(cases[i].list), want = test_bytes_of(cases[i].forwarded);
        struct mqtt_props p;
        struct buf out = {0};
        assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, test_view(&b), &mqtt_limits_default, &p, NULL),
                         CODE_OK);
        assert_int_equal(mqtt_props_all_forwardable(&p), cases[i].all);
        mqtt_props_forwardable(p.raw, &out);
        assert_int_equal(out.len, want.len);
        assert_true(want.len == 0 || memcmp(out.at, want.at, want.len) == 0);
        buf_clear(&out);
        free(b.at);
        free(want.at);
    }
}

static void a_list_over_the_limits_is_refused_before_it_is_read(void **state)
{
    (void)state;
    struct mqtt_props props;
    struct fault why = {0};
    assert_int_equal(decode(MQTT_PUBLISH, "64*[26 'a' 'b']", &props, &why), CODE_OK);
    assert_int_equal(props.user_count, 64);
    assert_int_equal(decode(MQTT_PUBLISH, "65*[26 'a' 'b']", &props, &why), CODE_LIMIT);
    assert_int_equal(why.mqtt_reason, MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(MQTT_PUBLISH, "09 3ffd 16381*[00]", &props, &why), CODE_OK);
    assert_int_equal(decode(MQTT_PUBLISH, "09 3ffe 16382*[00]", &props, &why), CODE_LIMIT);
    assert_int_equal(why.mqtt_reason, MQTT_PACKET_TOO_LARGE);

    /* In a packet the length alone suffices. */
    struct mqtt_publish m;
    assert_int_equal(
        mqtt_decode_publish(MQTT_5, 0x30, BYTES_LIT("\0\1t\x81\x80\1"), &mqtt_limits_default, &m, &why),
        CODE_LIMIT);
    assert_int_equal(why.mqtt_reason, MQTT_PACKET_TOO_LARGE);
    assert_int_equal(
        mqtt_decode_publish(MQTT_5, 0x30, BYTES_LIT("\0\1t\x80\x80\1"), &mqtt_limits_default, &m, &why),
        CODE_MALFORMED);
}

/* With the limits lifted the counters of a list of any length do not wrap. */
static void counters_do_not_wrap(void **state)
{
    (void)state;
    struct mqtt_limits lifted = mqtt_limits_default;
    lifted.prop_bytes = lifted.user_props = UINT32_MAX;
    struct mqtt_props props;
    struct test_bytes b = test_bytes_of("65536*[26 '' '']");
    assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, test_view(&b), &lifted, &props, NULL), CODE_LIMIT);
    free(b.at);
    b = test_bytes_of("70000*[0b 01]");
    assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, test_view(&b), &lifted, &props, NULL), CODE_OK);
    assert_int_equal(props.sub_id_count, 65535);
    free(b.at);
}

extern uint64_t mqtt_values_read;

/* One broker took quadratic time for many user properties. Whatever is done with a list looks at each of its values once, and
 * so costs what its bytes cost: here lists of the smallest ones, 64 KiB of them and a tenth of that. */
static void many_user_properties_are_read_in_one_pass(void **state)
{
    (void)state;
    struct mqtt_limits limits = mqtt_limits_default;
    limits.user_props = UINT16_MAX;
    limits.prop_bytes = 1 << 20;
    for (unsigned n = 1310; n <= 13100; n *= 10) {
        struct buf list = { 0 }, copy = { 0 };
        for (unsigned i = 0; i < n; i++)
            buf_add(&list, "\x26\0\0\0\0", 5);
        struct mqtt_props p;
        struct bytes raw = buf_bytes(&list);
        uint64_t before = mqtt_values_read;
        assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, raw, &limits, &p, NULL), CODE_OK);
        assert_int_equal(p.user_count, n);
        assert_int_equal(mqtt_values_read - before, n);
        mqtt_props_forwardable(p.raw, &copy);
        assert_int_equal(mqtt_values_read - before, 2 * n);
        assert_true(bytes_equal(buf_bytes(&copy), raw));
        /* One too many ends the reading there, not behind the end of the list. */
        limits.user_props = 64;
        before = mqtt_values_read;
        assert_int_equal(mqtt_decode_props(MQTT_PUBLISH, raw, &limits, &p, NULL), CODE_LIMIT);
        assert_int_equal(mqtt_values_read - before, 65);
        limits.user_props = UINT16_MAX;
        buf_clear(&list);
        buf_clear(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_property_stands_only_in_the_packets_of_the_standard),
        cmocka_unit_test(a_property_stands_there_once),
        cmocka_unit_test(a_property_cut_anywhere_is_malformed),
        cmocka_unit_test(values_out_of_their_range_are_refused),
        cmocka_unit_test(what_is_absent_has_the_defaults_of_the_standard),
        cmocka_unit_test(every_value_goes_where_it_belongs),
        cmocka_unit_test(user_properties_keep_their_order),
        cmocka_unit_test(what_differs_per_delivery_is_not_forwarded),
        cmocka_unit_test(a_list_over_the_limits_is_refused_before_it_is_read),
        cmocka_unit_test(many_user_properties_are_read_in_one_pass),
        cmocka_unit_test(counters_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
