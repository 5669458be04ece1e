/* packet_test.c - every decoder by tables: what is accepted and comes back byte for byte, what is refused,
 * with which reason and where, and every accepted packet cut at every byte.
 *
 * With `--corpus FOLDER` it writes its packets there, as inputs for packet_fuzz. */
#include "mqtt/packet.h"

#include "base/mem.h"
#include "mqtt/mqtt_test_bytes.h"
#include "mqtt/packet_again.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- accepted ---- */

struct good {
    const char *name;
    enum mqtt_version version;
    const char *packet;     /* with its fixed header */
    unsigned ends[3], open; /* the body may also end there, or anywhere from `open` on; 0 = none */
    bool shorter;           /* our encoder says the same in fewer bytes */
};

/* clang-format off */
static const struct good goods[] = {
    { "connect_5", 5, "10('MQTT' 05 02 003c () 'press-1')", {0}, 0, 0 },
    { "connect_311", 4, "10('MQTT' 04 02 003c 'press-1')", {0}, 0, 0 },
    { "connect_31", 3, "10('MQIsdp' 03 02 003c 'press-1')", {0}, 0, 0 },
    { "connect_311_empty_id", 4, "10('MQTT' 04 02 0000 '')", {0}, 0, 0 },
    { "connect_5_empty_id_no_clean_start", 5, "10('MQTT' 05 00 0000 () '')", {0}, 0, 0 },
    { "connect_5_everything", 5,
      "10('MQTT' 05 f6 ffff (11 00000e10 21 000a 27 00010000 22 0010 19 01 17 00 26 'a' 'b' 15 'SCRAM'"
      " 16 0002 00ff)"
      " 'press-1' (18 00000005 01 01 02 0000003c 03 'text/plain' 08 're/ply' 09 'id' 26 'k' 'v')"
      " 'press/1/gone' 'bye' 'user' 0003 0001ff)", {0}, 0, 0 },
    { "connect_5_password_alone", 5, "10('MQTT' 05 42 000a () 'c' 'secret')", {0}, 0, 0 },
    { "connect_311_will_retained_qos_2", 4, "10('MQTT' 04 f4 000a 'c' 'gone' 'x' 'user' 'secret')",
      {0}, 0, 0 },
    { "connect_311_empty_will", 4, "10('MQTT' 04 06 000a 'c' 'gone' '')", {0}, 0, 0 },
    { "connack_5", 5, "20(00 00 ())", {0}, 0, 0 },
    { "connack_5_everything", 5,
      "20(00 00 (11 0000000a 21 000a 24 01 25 00 27 00100000 12 'given' 22 0040 1f 'why' 26 'a' 'b' 28"
      " 01 29 00 2a 00"
      " 13 0258 1a 'info' 1c 'other:1883' 15 'M' 16 'd'))", {0}, 0, 0 },
    { "connack_5_session", 5, "20(01 00 ())", {0}, 0, 0 },
    { "connack_5_refused", 5, "20(00 87 (1f 'no'))", {0}, 0, 0 },
    { "connack_311_session", 4, "20(01 00)", {0}, 0, 0 },
    { "connack_311_refused", 4, "20(00 05)", {0}, 0, 0 },
    { "connack_31", 3, "20(00 02)", {0}, 0, 0 },
    { "publish_5_qos_0", 5, "30('factory/press-1/temperature' () \"21.5\")", {0}, 30, 0 },
    { "publish_5_qos_1", 5, "32('a/b' 000a () \"21.5\")", {0}, 8, 0 },
    { "publish_5_qos_2_dup_retain", 5, "3d('a/b' ffff () \"21.5\")", {0}, 8, 0 },
    { "publish_5_everything", 5,
      "32('a/b' 0001 (01 01 02 0000003c 23 0001 08 're/ply' 09 0003 00ff00 26 'k' 'v' 0b 01 26 'k' 'w'"
      " 0b ffffff7f"
      " 03 'text/plain') \"x\")", {0}, 67, 0 },
    { "publish_5_alias_without_topic", 5, "30('' (23 0040) \"x\")", {0}, 6, 0 },
    { "publish_5_empty_payload", 5, "31('a/b' ())", {0}, 0, 0 },
    { "publish_5_long_properties", 5, "30('t' (09 00c8 200*[61]) 300*[62])", {0}, 208, 0 },
    { "publish_311", 4, "32('a/b' 0001 \"21.5\")", {0}, 7, 0 },
    { "publish_311_qos_0", 4, "30('\xc3\xbc/\xf0\x9f\x8c\xa1' \"21.5\")", {0}, 9, 0 },
    { "puback_5", 5, "40(000a)", {0}, 0, 0 },
    { "puback_5_reason", 5, "40(000a 10)", {2}, 0, 0 },
    { "puback_5_everything", 5, "40(000a 97 (1f 'full' 26 'a' 'b'))", {2, 3}, 0, 0 },
    { "puback_5_reason_0_written_out", 5, "40(000a 00)", {2}, 0, 1 },
    { "puback_5_no_properties_written_out", 5, "40(000a 10 ())", {2, 3}, 0, 1 },
    { "puback_311", 4, "40(000a)", {0}, 0, 0 },
    { "pubrec_5", 5, "50(ffff 80)", {2}, 0, 0 },
    { "pubrel_5", 5, "62(0001 92)", {2}, 0, 0 },
    { "pubrel_5_properties_without_reason", 5, "62(0001 00 (26 'a' 'b'))", {2, 3}, 0, 0 },
    { "pubrel_311", 4, "62(0001)", {0}, 0, 0 },
    { "pubcomp_5", 5, "70(0001)", {0}, 0, 0 },
    { "pubcomp_311", 4, "70(0001)", {0}, 0, 0 },
    { "subscribe_5", 5, "82(0001 () 'a/+' 01)", {0}, 0, 0 },
    { "subscribe_5_options", 5, "82(0001 (0b 80808001 26 'a' 'b') 'a/#' 2e 'b' 19)", {21}, 0, 0 },
    { "subscribe_5_shared", 5, "82(0001 () '$share/g/a/#' 02)", {0}, 0, 0 },
    { "subscribe_5_one_bad_filter", 5, "82(0001 () 'a#' 01 'b' 01)", {8}, 0, 0 },
    { "subscribe_311", 4, "82(0001 '#' 02 '$SYS/#' 00)", {6}, 0, 0 },
    { "suback_5", 5, "90(0001 () 00 01 02 87 8f)", {0}, 4, 0 },
    { "suback_5_everything", 5, "90(0001 (1f 'x' 26 'a' 'b') a2)", {0}, 0, 0 },
    { "suback_311", 4, "90(0001 00 01 02 80)", {0}, 3, 0 },
    { "unsubscribe_5", 5, "a2(0001 (26 'a' 'b') 'a/+' 'b')", {0x0f}, 0, 0 },
    { "unsubscribe_311", 4, "a2(0001 'a/+' 'b')", {7}, 0, 0 },
    { "unsuback_5", 5, "b0(0001 () 00 11 8f)", {0}, 4, 0 },
    { "unsuback_311", 4, "b0(0001)", {0}, 0, 0 },
    { "pingreq", 4, "c0()", {0}, 0, 0 },
    { "pingresp", 5, "d0()", {0}, 0, 0 },
    { "disconnect_5", 5, "e0()", {0}, 0, 0 },
    { "disconnect_5_reason", 5, "e0(04)", {0}, 0, 0 },
    { "disconnect_5_everything", 5, "e0(00 (11 00000000 1f 'x' 26 'a' 'b' 1c 'y'))", {1}, 0, 0 },
    { "disconnect_5_reason_0_written_out", 5, "e0(00 ())", {1}, 0, 1 },
    { "disconnect_311", 4, "e0()", {0}, 0, 0 },
    { "auth_5", 5, "f0()", {0}, 0, 0 },
    { "auth_5_everything", 5, "f0(18 (15 'SCRAM' 16 0001 00 1f 'x' 26 'a' 'b'))", {0}, 0, 0 },
};

/* ---- refused ---- */

struct bad {
    const char       *name;
    enum mqtt_version version;
    const char       *packet;
    enum code         code;
    uint8_t           reason;
    int               at;   /* byte of the body behind what was found wrong; -1: not looked at */
    const char       *says; /* a part of the sentence */
};

static const struct bad bads[] = {
    { "connect_other_protocol", 5, "10('HTTP' 05 02 0000 () 'c')",
      CODE_UNSUPPORTED, 0x84, 7, "\"HTTP\" level 5" },
    { "connect_level_6", 5, "10('MQTT' 06 02 0000 () 'c')", CODE_UNSUPPORTED, 0x84, 7, "level 6" },
    { "connect_level_3_as_mqtt", 4, "10('MQTT' 03 02 0000 'c')", CODE_UNSUPPORTED, 0x84, 7, "level 3" },
    { "connect_level_4_as_mqisdp", 4, "10('MQIsdp' 04 02 0000 'c')", CODE_UNSUPPORTED, 0x84, 9, "MQIsdp" },
    { "connect_bridge_bit", 5, "10('MQTT' 84 02 0000 'c')", CODE_UNSUPPORTED, 0x84, 7, "level 132" },
    { "connect_reserved_flag", 5, "10('MQTT' 05 03 0000 () 'c')", CODE_MALFORMED, 0x81, 8, "reserved" },
    { "connect_reserved_flag_311", 4, "10('MQTT' 04 03 0000 'c')", CODE_MALFORMED, 0x81, 8, "reserved" },
    { "connect_will_qos_3", 5, "10('MQTT' 05 1e 0000 () 'c' () 'w' 'x')",
      CODE_MALFORMED, 0x81, 8, "QoS is 3" },
    { "connect_will_qos_without_will", 5, "10('MQTT' 05 0a 0000 () 'c')",
      CODE_MALFORMED, 0x81, 8, "no will" },
    { "connect_will_retain_without_will", 4, "10('MQTT' 04 22 0000 'c')",
      CODE_MALFORMED, 0x81, 8, "no will" },
    { "connect_311_password_alone", 4, "10('MQTT' 04 42 0000 'c' 'p')",
      CODE_MALFORMED, 0x81, 8, "user name" },
    { "connect_311_empty_id_kept_session", 4, "10('MQTT' 04 00 0000 '')",
      CODE_PROTOCOL, 0x85, 12, "empty client" },
    { "connect_31_empty_id", 3, "10('MQIsdp' 03 02 0000 '')", CODE_PROTOCOL, 0x85, 14, "empty client" },
    { "connect_id_not_utf8", 5, "10('MQTT' 05 02 0000 () 'a\xff')",
      CODE_MALFORMED, 0x81, 15, "client identifier" },
    { "connect_id_surrogate", 4, "10('MQTT' 04 02 0000 '\xed\xa0\x80')",
      CODE_MALFORMED, 0x81, 15, "client id" },
    { "connect_id_zero", 4, "10('MQTT' 04 02 0000 0002 6100)", CODE_MALFORMED, 0x81, 14, "zero character" },
    { "connect_user_not_utf8", 5, "10('MQTT' 05 82 0000 () 'c' '\xc0\x80')",
      CODE_MALFORMED, 0x81, 18, "user name" },
    { "connect_trailing", 5, "10('MQTT' 05 02 0000 () 'c' 00)",
      CODE_MALFORMED, 0x81, 14, "1 bytes too many" },
    { "connect_will_topic_empty", 5, "10('MQTT' 05 06 0000 () 'c' () '' 'x')",
      CODE_PROTOCOL, 0x90, 17, "will topic" },
    { "connect_will_topic_wild", 4, "10('MQTT' 04 06 0000 'c' 'a/+' 'x')",
      CODE_PROTOCOL, 0x90, 18, "wildcard" },
    { "connect_will_topic_not_utf8", 4, "10('MQTT' 04 06 0000 'c' 'a\x80' 'x')",
      CODE_MALFORMED, 0x81, 17, "UTF-8" },
    { "connect_will_topic_long", 4, "10('MQTT' 04 06 0000 'c' 0401 1025*[61] 'x')",
      CODE_LIMIT, 0x90, -1, "longer" },
    { "connect_will_topic_deep", 4, "10('MQTT' 04 06 0000 'c' 0020 32*[2f] 'x')",
      CODE_LIMIT, 0x90, -1, "levels" },
    { "connect_auth_data_without_method", 5, "10('MQTT' 05 02 0000 (16 'd') 'c')",
      CODE_PROTOCOL, 0x82, 15, "method" },
    { "connect_props_beyond_packet", 5, "10('MQTT' 05 02 0000 05 11 0000)",
      CODE_MALFORMED, 0x81, 11, "properties" },
    { "connect_props_length_padded", 5, "10('MQTT' 05 02 0000 8000 'c')",
      CODE_MALFORMED, 0x81, 12, "shortest" },
    { "connect_props_length_5_bytes", 5, "10('MQTT' 05 02 0000 8080808000 'c')",
      CODE_MALFORMED, 0x81, 14, "variable" },
    { "connect_user_props_in_both_lists", 5,
      "10('MQTT' 05 06 0000 (60*[26 'a' 'b']) 'c' (5*[26 'a' 'b']) 'w' 'x')", CODE_LIMIT, 0x82, -1,
      "user prop" },
    { "connect_prop_bytes_in_both_lists", 5,
      "10('MQTT' 05 06 0000 (26 2710 10000*[61] '') 'c' (26 1b58 7000*[61] '') 'w' 'x')", CODE_LIMIT,
      0x95, -1,
      "limit is 6379" },
    { "connack_reserved_flags", 4, "20(02 00)", CODE_MALFORMED, 0x81, 2, "flags" },
    { "connack_refused_with_session", 5, "20(01 87 ())", CODE_PROTOCOL, 0x82, 2, "session" },
    { "connack_5_reason_of_311", 5, "20(00 05 ())", CODE_PROTOCOL, 0x82, 2, "0x05" },
    { "connack_311_code_6", 4, "20(00 06)", CODE_PROTOCOL, 0x82, 2, "return code 6" },
    { "connack_trailing", 4, "20(00 00 00)", CODE_MALFORMED, 0x81, 2, "too many" },
    { "publish_dup_qos_0", 5, "38('a' () 'x')", CODE_MALFORMED, 0x81, 0, "duplicate" },
    { "publish_id_0", 5, "32('a' 0000 () \"x\")", CODE_PROTOCOL, 0x82, 5, "identifier is 0" },
    { "publish_id_0_311", 4, "34('a' 0000 \"x\")", CODE_PROTOCOL, 0x82, 5, "identifier is 0" },
    { "publish_empty_topic", 5, "30('' () \"x\")", CODE_PROTOCOL, 0x82, 3, "no topic alias" },
    { "publish_empty_topic_311", 4, "30('' \"x\")", CODE_PROTOCOL, 0x82, 2, "empty" },
    { "publish_topic_plus", 5, "30('a/+/b' () \"x\")", CODE_PROTOCOL, 0x90, 8, "wildcard" },
    { "publish_topic_hash", 4, "30('a/longer/than/eight#' \"x\")", CODE_PROTOCOL, 0x90, 22, "wildcard" },
    { "publish_topic_zero", 5, "30(0003 610062 () \"x\")", CODE_MALFORMED, 0x81, 6, "zero" },
    { "publish_topic_zero_deep", 5, "30(000c \"factory/\" 006162 00 ())", CODE_MALFORMED, 0x81, 15, "zero" },
    { "publish_topic_not_utf8", 4, "30('a\xf5')", CODE_MALFORMED, 0x81, 4, "UTF-8" },
    { "publish_topic_wild_and_not_utf8", 4, "30('+\xf5')", CODE_MALFORMED, 0x81, 4, "UTF-8" },
    { "publish_topic_1025", 5, "30(0401 1025*[61] ())", CODE_LIMIT, 0x90, -1, "longer" },
    { "publish_topic_33_levels", 4, "30(0020 32*[2f])", CODE_LIMIT, 0x90, -1, "levels" },
    { "puback_id_0", 5, "40(0000)", CODE_PROTOCOL, 0x82, 2, "identifier is 0" },
    { "puback_311_trailing", 4, "40(0001 00)", CODE_MALFORMED, 0x81, 2, "too many" },
    { "puback_foreign_reason", 5, "40(0001 92)", CODE_PROTOCOL, 0x82, 3, "0x92" },
    { "puback_no_such_reason", 5, "40(0001 7f)", CODE_PROTOCOL, 0x82, 3, "0x7f" },
    { "puback_trailing", 5, "40(0001 00 () 00)", CODE_MALFORMED, 0x81, 4, "too many" },
    { "pubrel_foreign_reason", 5, "62(0001 10)", CODE_PROTOCOL, 0x82, 3, "0x10" },
    { "pubrel_id_0", 4, "62(0000)", CODE_PROTOCOL, 0x82, 2, "identifier is 0" },
    { "subscribe_id_0", 5, "82(0000 () 'a' 00)", CODE_PROTOCOL, 0x82, 2, "identifier is 0" },
    { "subscribe_nothing", 5, "82(0001 ())", CODE_PROTOCOL, 0x82, 3, "no topic filter" },
    { "subscribe_nothing_311", 4, "82(0001)", CODE_PROTOCOL, 0x82, 2, "no topic filter" },
    { "subscribe_reserved_bit_6", 5, "82(0001 () 'a' 40)", CODE_MALFORMED, 0x81, 7, "reserved" },
    { "subscribe_reserved_bit_7", 5, "82(0001 () 'a' 80)", CODE_MALFORMED, 0x81, 7, "reserved" },
    { "subscribe_qos_3", 5, "82(0001 () 'a' 03)", CODE_PROTOCOL, 0x82, 7, "QoS" },
    { "subscribe_qos_3_311", 4, "82(0001 'a' 03)", CODE_MALFORMED, 0x81, 6, "QoS" },
    { "subscribe_options_311", 4, "82(0001 'a' 04)", CODE_MALFORMED, 0x81, 6, "0x04" },
    { "subscribe_retain_handling_3", 5, "82(0001 () 'a' 30)", CODE_PROTOCOL, 0x82, 7, "retain handling" },
    { "subscribe_no_local_shared", 5, "82(0001 () '$share/g/a' 05)", CODE_PROTOCOL, 0x82, 16, "no local" },
    { "subscribe_filter_not_utf8", 5, "82(0001 () '\xff' 01)", CODE_MALFORMED, 0x81, 6, "UTF-8" },
    { "subscribe_filter_zero", 4, "82(0001 0001 00 01)", CODE_MALFORMED, 0x81, 5, "UTF-8" },
    { "subscribe_sub_id_0", 5, "82(0001 (0b 00) 'a' 00)",
      CODE_PROTOCOL, 0x82, 5, "subscription identifier is 0" },
    { "subscribe_two_sub_ids", 5, "82(0001 (0b 01 0b 02) 'a' 00)", CODE_PROTOCOL, 0x82, 6, "twice" },
    { "suback_nothing", 5, "90(0001 ())", CODE_PROTOCOL, 0x82, 3, "no reason code" },
    { "suback_nothing_311", 4, "90(0001)", CODE_PROTOCOL, 0x82, 2, "no reason code" },
    { "suback_reason_3", 5, "90(0001 () 03)", CODE_PROTOCOL, 0x82, 4, "0x03" },
    { "suback_reason_311", 4, "90(0001 87)", CODE_PROTOCOL, 0x82, 3, "0x87" },
    { "unsubscribe_nothing", 5, "a2(0001 ())", CODE_PROTOCOL, 0x82, 3, "no topic filter" },
    { "unsubscribe_with_options", 4, "a2(0001 'a' 00)", CODE_MALFORMED, 0x81, -1, "ends inside" },
    { "unsubscribe_sub_id", 5, "a2(0001 (0b 01) 'a')", CODE_MALFORMED, 0x81, 4, "does not belong" },
    { "unsuback_311_reasons", 4, "b0(0001 00)", CODE_MALFORMED, 0x81, 2, "too many" },
    { "unsuback_granted_qos", 5, "b0(0001 () 01)", CODE_PROTOCOL, 0x82, 4, "0x01" },
    { "disconnect_311_with_reason", 4, "e0(00)", CODE_MALFORMED, 0x81, 0, "too many" },
    { "disconnect_reason_of_connack", 5, "e0(84)", CODE_PROTOCOL, 0x82, 1, "0x84" },
    { "disconnect_no_such_reason", 5, "e0(a3)", CODE_PROTOCOL, 0x82, 1, "0xa3" },
    { "disconnect_trailing", 5, "e0(00 () 00)", CODE_MALFORMED, 0x81, 2, "too many" },
    { "auth_reason_alone", 5, "f0(18)", CODE_MALFORMED, 0x81, 1, "property length" },
    { "auth_without_method", 5, "f0(18 ())", CODE_PROTOCOL, 0x82, 2, "method" },
    { "auth_foreign_reason", 5, "f0(87 (15 'M'))", CODE_PROTOCOL, 0x82, 1, "0x87" },
};
/* clang-format on */

static struct mqtt_frame frame_of(const struct test_bytes *packet)
{
    struct mqtt_frame f;
    struct fault why = {0};
    enum code code = mqtt_frame(test_view(packet), 1 << 20, &f, &why);
    if (code)
        fail_msg("mqtt_frame: %s: %s", code_name(code), why.text);
    assert_int_equal(f.size, packet->len);
    return f;
}

/* The body in a block of its own, cut to n bytes. */
static enum code again_cut(enum mqtt_version version, const struct mqtt_frame *f, size_t n, struct buf *out,
                           struct fault *why)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, f->body.at, n);
    enum code code = packet_again(version, f->first, bytes_of(copy, n), &mqtt_limits_default, out, why);
    free(copy);
    return code;
}

static void what_is_well_formed_comes_back_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++) {
        const struct good *g = &goods[i];
        struct test_bytes packet = test_bytes_of(g->packet);
        struct mqtt_frame f = frame_of(&packet);
        struct fault why = {0};
        struct buf out = {0};
        enum code code = again_cut(g->version, &f, f.body.len, &out, &why);
        if (code)
            fail_msg("%s: %s: %s", g->name, code_name(code), why.text);
        assert_false(out.bad);
        bool same = bytes_equal(buf_bytes(&out), test_view(&packet));
        if (same == g->shorter)
            fail_msg("%s: %s", g->name, same ? "was not shortened" : "came back changed");
        if (g->shorter) {
            /* What is shorter must mean the same. */
            struct buf second = {0};
            struct mqtt_frame s;
            assert_true(buf_size(&out) < packet.len);
            assert_int_equal(mqtt_frame(buf_bytes(&out), 1 << 20, &s, &why), CODE_OK);
            assert_int_equal(again_cut(g->version, &s, s.body.len, &second, &why), CODE_OK);
            assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&second)));
            buf_clear(&second);
        }
        buf_clear(&out);
        free(packet.at);
    }
}

static bool may_end_at(const struct good *g, size_t n)
{
    if (n == 0) /* the whole body of these may be missing */
        return (g->packet[0] == 'e' || g->packet[0] == 'f') && g->version == MQTT_5;
    for (size_t i = 0; i < COUNT(g->ends); i++)
        if (g->ends[i] == n)
            return true;
    return g->open && n >= g->open;
}

static void a_packet_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(goods); i++) {
        const struct good *g = &goods[i];
        struct test_bytes packet = test_bytes_of(g->packet);
        struct mqtt_frame f = frame_of(&packet);
        for (size_t n = 0; n < f.body.len; n++) {
            struct buf out = {0};
            struct fault why = {0};
            enum code code = again_cut(g->version, &f, n, &out, &why);
            if ((code == CODE_OK) != may_end_at(g, n))
                fail_msg("%s cut to %zu bytes: %s: %s", g->name, n, code_name(code), why.text);
            /* An empty list of filters or reasons is the one that is not cut inside anything. */
            if (code && why.mqtt_reason != MQTT_MALFORMED && !strstr(why.text, "no topic filter") &&
                !strstr(why.text, "no reason code"))
                fail_msg("%s cut to %zu bytes: 0x%02x %s", g->name, n, why.mqtt_reason, why.text);
            if (code)
                assert_true(why.at <= n);
            buf_clear(&out);
        }
        free(packet.at);
    }
}

static void what_is_wrong_gets_the_reason_of_the_standard(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bads); i++) {
        const struct bad *b = &bads[i];
        struct test_bytes packet = test_bytes_of(b->packet);
        struct mqtt_frame f = frame_of(&packet);
        struct fault why = {0};
        struct buf out = {0};
        enum code code = again_cut(b->version, &f, f.body.len, &out, &why);
        if (code != b->code || why.code != b->code || why.mqtt_reason != b->reason)
            fail_msg("%s: %s 0x%02x: %s", b->name, code_name(code), why.mqtt_reason, why.text);
        if (b->at >= 0 && why.at != (uint64_t)b->at)
            fail_msg("%s: at %d, not %d: %s", b->name, (int)why.at, b->at, why.text);
        if (!strstr(why.text, b->says) || strncmp(why.text, mqtt_type_name(f.first >> 4), 3) != 0)
            fail_msg("%s: says: %s", b->name, why.text);
        assert_int_equal(buf_size(&out), 0);
        /* The sentence is optional. */
        assert_int_equal(again_cut(b->version, &f, f.body.len, &out, NULL), b->code);
        free(packet.at);
    }
}

static void an_unknown_protocol_tells_in_which_format_to_refuse_it(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char       *body;
        enum mqtt_version answer;
    } cases[] = {
        { "'MQTT' 05 01", 5 }, { "'MQTT' 06", 5 }, { "'MQTT' ff", 5 }, { "'MQTT' 02", 4 }, { "'XMPP' 04", 4 },
        { "'XMPP' 05", 5 },    { "'MQIsdp' 02", 4 }, { "'MQ", 4 },
    };
    /* clang-format on */
    for (size_t i = 0; i + 1 < COUNT(cases); i++) {
        struct test_bytes body = test_bytes_of(cases[i].body);
        struct mqtt_connect c;
        assert_int_not_equal(mqtt_decode_connect(test_view(&body), &mqtt_limits_default, &c, NULL), CODE_OK);
        assert_int_equal(c.version, cases[i].answer);
        free(body.at);
    }
    struct mqtt_connect c;
    assert_int_equal(mqtt_decode_connect(BYTES_LIT("\0\4MQ"), &mqtt_limits_default, &c, NULL),
                     CODE_MALFORMED);
    assert_int_equal(c.version, MQTT_3_1_1);
}

static void every_field_of_a_connect_arrives(void **state)
{
    (void)state;
    struct test_bytes body = test_bytes_of(
        "'MQTT' 05 ee 003c (11 00000e10 21 000a 27 00010000 22 0010 19 01 17 00)"
        " 'press-1' (18 00000005 01 01 02 0000003c 03 'ct' 08 're' 09 'co') 'gone' 'bye' 'user' 'pass'");
    struct mqtt_connect c;
    struct fault why = {0};
    assert_int_equal(mqtt_decode_connect(test_view(&body), &mqtt_limits_default, &c, &why), CODE_OK);
    assert_int_equal(c.version, MQTT_5);
    assert_true(c.clean_start && c.has_will && c.has_user && c.has_password && c.will_retain);
    assert_int_equal(c.will_qos, 1);
    assert_int_equal(c.keep_alive_s, 60);
    assert_true(bytes_is(c.client_id, "press-1"));
    assert_true(bytes_is(c.will_topic, "gone"));
    assert_true(bytes_is(c.will_payload, "bye"));
    assert_true(bytes_is(c.user, "user"));
    assert_true(bytes_is(c.password, "pass"));
    assert_int_equal(c.props.session_expiry_s, 3600);
    assert_int_equal(c.props.receive_max, 10);
    assert_int_equal(c.props.max_packet, 65536);
    assert_int_equal(c.props.topic_alias_max, 16);
    assert_int_equal(c.props.request_response, 1);
    assert_int_equal(c.props.request_problem, 0);
    assert_int_equal(c.will_props.will_delay_s, 5);
    assert_int_equal(c.will_props.payload_format, 1);
    assert_int_equal(c.will_props.message_expiry_s, 60);
    assert_true(bytes_is(c.will_props.content_type, "ct"));
    assert_true(bytes_is(c.will_props.response_topic, "re"));
    assert_true(bytes_is(c.will_props.correlation, "co"));
    free(body.at);
}

static void a_refused_publish_still_tells_which_one_it_was(void **state)
{
    (void)state;
    struct test_bytes body = test_bytes_of("'a/+' 0203 () \"x\"");
    struct mqtt_publish m;
    assert_int_equal(mqtt_decode_publish(MQTT_5, 0x34, test_view(&body), &mqtt_limits_default, &m, NULL),
                     CODE_PROTOCOL);
    assert_int_equal(m.qos, 2);
    assert_int_equal(m.packet_id, 0x203);
    free(body.at);
}

/* mqtt_frame sees it first; whoever comes by another way is told as well. */
static void a_publish_of_qos_3_is_malformed(void **state)
{
    (void)state;
    struct mqtt_publish m;
    struct fault why = {0};
    assert_int_equal(
        mqtt_decode_publish(MQTT_5, 0x36, BYTES_LIT("\0\1t\0\1\0"), &mqtt_limits_default, &m, &why),
        CODE_MALFORMED);
    assert_int_equal(why.mqtt_reason, MQTT_MALFORMED);
}

static struct mqtt_subscribe subscribe(enum mqtt_version version, const char *text, struct arena *arena,
                                       struct test_bytes *body)
{
    struct mqtt_subscribe s;
    struct fault why = {0};
    *body = test_bytes_of(text);
    enum code code = mqtt_decode_subscribe(version, test_view(body), &mqtt_limits_default, arena, &s, &why);
    if (code)
        fail_msg("%s: %s", text, why.text);
    return s;
}

static void one_bad_filter_is_refused_and_the_others_are_not(void **state)
{
    (void)state;
    struct arena arena;
    struct test_bytes body;
    arena_init(&arena, NULL, 0, 1 << 20);
    struct mqtt_subscribe s = subscribe(
        MQTT_5,
        "0001 () 'a' 2e 'a#' 01 '' 01 '$share//a' 01 '$share/g' 01 0401 1025*[61] 01 0020 32*[2f] 00 '#' 11",
        &arena, &body);
    static const uint8_t refused[] = {0, 0x8f, 0x8f, 0x8f, 0x8f, 0x8f, 0x8f, 0};
    assert_int_equal(s.count, COUNT(refused));
    const struct mqtt_filter *f = s.filters;
    assert_true(f->qos == 2 && f->no_local && f->retain_as_published && f->retain_handling == 2);
    for (size_t i = 0; i < COUNT(refused); i++, f = f->next)
        assert_int_equal(f->refused, refused[i]);
    assert_null(f);
    arena_clear(&arena);
    free(body.at);
}

static void filters_above_the_limit_are_refused_one_by_one(void **state)
{
    (void)state;
    struct arena arena;
    struct test_bytes body;
    arena_init(&arena, NULL, 0, 1 << 20);
    struct mqtt_subscribe s = subscribe(MQTT_3_1_1, "0001 102*['a' 00]", &arena, &body);
    assert_int_equal(s.count, 102);
    uint32_t n = 0, refused = 0;
    for (const struct mqtt_filter *f = s.filters; f; f = f->next, n++)
        if (f->refused) {
            assert_int_equal(f->refused, MQTT_QUOTA_EXCEEDED);
            assert_true(n >= 100);
            refused++;
        }
    assert_int_equal(n, 102);
    assert_int_equal(refused, 2);
    arena_clear(&arena);
    free(body.at);
}

static void filters_without_memory_refuse_the_packet(void **state)
{
    (void)state;
    struct test_bytes body = test_bytes_of("0001 100*['a' 00]");
    uint8_t lent[256];
    struct arena arena;
    struct mqtt_subscribe s;
    struct fault why = {0};
    arena_init(&arena, lent, sizeof lent, 0);
    assert_int_equal(
        mqtt_decode_subscribe(MQTT_3_1_1, test_view(&body), &mqtt_limits_default, &arena, &s, &why),
        CODE_NOMEM);
    assert_int_equal(why.mqtt_reason, MQTT_QUOTA_EXCEEDED);
    arena_clear(&arena);
    free(body.at);
}

/* ---- the fixed header ---- */

static void a_frame_says_how_much_it_needs(void **state)
{
    (void)state;
    struct test_bytes packet = test_bytes_of("30('t' 300*[61])");
    for (size_t n = 0; n <= packet.len; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        struct mqtt_frame f;
        memcpy(copy, packet.at, n);
        enum code code = mqtt_frame(bytes_of(copy, n), 1 << 20, &f, NULL);
        assert_int_equal(code, n < packet.len ? CODE_MORE : CODE_OK);
        assert_int_equal(f.size, n < 3 ? 0 : packet.len);
        free(copy);
    }
    free(packet.at);
}

static void only_one_packet_is_taken(void **state)
{
    (void)state;
    struct test_bytes two = test_bytes_of("c0() e0(81) 00");
    struct mqtt_frame f;
    assert_int_equal(mqtt_frame(test_view(&two), 1 << 20, &f, NULL), CODE_OK);
    assert_int_equal(f.size, 2);
    assert_int_equal(f.body.len, 0);
    assert_int_equal(mqtt_frame(bytes_from(test_view(&two), 2), 1 << 20, &f, NULL), CODE_OK);
    assert_int_equal(f.first, 0xe0);
    assert_int_equal(f.size, 3);
    assert_int_equal(f.body.at[0], 0x81);
    free(two.at);
}

static void reserved_flags_are_malformed_at_the_first_byte(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t type = (uint8_t)(first >> 4), flags = first & 15;
        bool good = type == 3                              ? (flags & 6) != 6
                    : type == 6 || type == 8 || type == 10 ? flags == 2
                                                           : type != 0 && flags == 0;
        uint8_t byte = (uint8_t)first;
        struct mqtt_frame f;
        struct fault why = {0};
        enum code code = mqtt_frame(bytes_of(&byte, 1), 1 << 20, &f, &why);
        assert_int_equal(code, good ? CODE_MORE : CODE_MALFORMED);
        assert_int_equal(why.mqtt_reason, good ? 0 : 0x81);
    }
}

static void the_remaining_length_has_its_shortest_form(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *bytes;
        enum code   code;
        size_t      size;
    } cases[] = {
        { "30 7f", CODE_MORE, 129 },
        { "30 80", CODE_MORE, 0 },
        { "30 8001", CODE_MORE, 131 },
        { "30 ff7f", CODE_MORE, 16386 },
        { "30 808001", CODE_MORE, 16388 },
        { "30 ffff7f", CODE_LIMIT, 2097155 },
        { "30 80808001", CODE_LIMIT, 2097157 },
        { "30 ffffff7f", CODE_LIMIT, 268435460 },
        { "30 ffffff", CODE_MORE, 0 },
        { "30 ffffffff", CODE_MALFORMED, 0 },
        { "30 80808080", CODE_MALFORMED, 0 },
        { "30 8000", CODE_MALFORMED, 0 },
        { "c0 8000", CODE_MALFORMED, 0 },
        { "30 ff8000", CODE_MALFORMED, 0 },
        { "30 ffff8000", CODE_MALFORMED, 0 },
        { "c0 01", CODE_MALFORMED, 0 },
        { "d0 05 00", CODE_MALFORMED, 0 },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct test_bytes b = test_bytes_of(cases[i].bytes);
        struct mqtt_frame f;
        struct fault why = {0};
        enum code code = mqtt_frame(test_view(&b), 1 << 20, &f, &why);
        if (code != cases[i].code || f.size != cases[i].size)
            fail_msg("%s: %s, %zu", cases[i].bytes, code_name(code), f.size);
        if (code == CODE_MALFORMED)
            assert_int_equal(why.mqtt_reason, 0x81);
        if (code == CODE_LIMIT)
            assert_int_equal(why.mqtt_reason, 0x95);
        free(b.at);
    }
}

static void the_packet_limit_counts_the_whole_packet(void **state)
{
    (void)state;
    struct test_bytes b = test_bytes_of("30('t' 100*[61])");
    struct mqtt_frame f;
    assert_int_equal(mqtt_frame(test_view(&b), (uint32_t)b.len, &f, NULL), CODE_OK);
    assert_int_equal(mqtt_frame(test_view(&b), (uint32_t)b.len - 1, &f, NULL), CODE_LIMIT);
    /* Told as soon as the length is known, not when the bytes are there. */
    assert_int_equal(mqtt_frame(bytes_of(b.at, 2), (uint32_t)b.len - 1, &f, NULL), CODE_LIMIT);
    free(b.at);
}

/* ---- names ---- */

static void types_and_reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(mqtt_type_name(MQTT_PUBLISH), "PUBLISH");
    assert_string_equal(mqtt_type_name(MQTT_AUTH), "AUTH");
    assert_string_equal(mqtt_type_name(0), "reserved");
    assert_string_equal(mqtt_type_name(200), "reserved");
    assert_string_equal(mqtt_reason_name(0), "Success");
    assert_string_equal(mqtt_reason_name(0x90), "Topic Name invalid");
    assert_string_equal(mqtt_reason_name(0xa2), "Wildcard Subscriptions not supported");
    assert_string_equal(mqtt_reason_name(0xa3), "unknown reason");
    assert_string_equal(mqtt_reason_name(0x7f), "unknown reason");
    assert_string_equal(mqtt_reason_name(0xff), "unknown reason");
}

/* ---- corpus ---- */

static void write_input(const char *folder, const char *name, enum mqtt_version version, const char *text)
{
    char path[4096];
    struct test_bytes packet = test_bytes_of(text);
    uint8_t choice = version == MQTT_5 ? 0 : version == MQTT_3_1_1 ? 1 : 2;
    if (packet.len > 1024)
        goto done; /* the limits are for the tables; the corpus stays small */
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(&choice, 1, 1, f) != 1 || fwrite(packet.at, 1, packet.len, f) != packet.len ||
        fclose(f)) {
        perror(path);
        exit(1);
    }
done:
    free(packet.at);
}

static void write_corpus(const char *folder)
{
    for (size_t i = 0; i < COUNT(goods); i++)
        write_input(folder, goods[i].name, goods[i].version, goods[i].packet);
    for (size_t i = 0; i < COUNT(bads); i++)
        write_input(folder, bads[i].name, bads[i].version, bads[i].packet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_well_formed_comes_back_byte_for_byte),
        cmocka_unit_test(a_packet_cut_anywhere_is_malformed),
        cmocka_unit_test(what_is_wrong_gets_the_reason_of_the_standard),
        cmocka_unit_test(an_unknown_protocol_tells_in_which_format_to_refuse_it),
        cmocka_unit_test(every_field_of_a_connect_arrives),
        cmocka_unit_test(a_refused_publish_still_tells_which_one_it_was),
        cmocka_unit_test(a_publish_of_qos_3_is_malformed),
        cmocka_unit_test(one_bad_filter_is_refused_and_the_others_are_not),
        cmocka_unit_test(filters_above_the_limit_are_refused_one_by_one),
        cmocka_unit_test(filters_without_memory_refuse_the_packet),
        cmocka_unit_test(a_frame_says_how_much_it_needs),
        cmocka_unit_test(only_one_packet_is_taken),
        cmocka_unit_test(reserved_flags_are_malformed_at_the_first_byte),
        cmocka_unit_test(the_remaining_length_has_its_shortest_form),
        cmocka_unit_test(the_packet_limit_counts_the_whole_packet),
        cmocka_unit_test(types_and_reasons_have_names),
    };
    if (argc == 3 && strcmp(argv[1], "--corpus") == 0) {
        write_corpus(argv[2]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
