/* props_fuzz.c - the first byte chooses the packet, the rest is its property list. What is accepted must say
 * the same when its user properties are written out again, and its forwardable part must be a list of its
 * own. */
#include "mqtt/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_users(const struct mqtt_props *p)
{
    struct buf out = {0};
    struct bytes name, value;
    size_t cursor = 0, n = 0;
    for (; mqtt_user_prop(p, &cursor, &name, &value); n++) {
        FG_ASSERT(utf8_valid(name, false) && utf8_valid(value, false));
        mqtt_put_user(&out, name, value);
    }
    FG_ASSERT(n == p->user_count && mqtt_props_has(p, MQTT_PROP_USER) == (n > 0));
    /* Taken out and put together again they are a list with the same properties in the same order. */
    struct mqtt_props again;
    FG_ASSERT(mqtt_decode_props(MQTT_PUBLISH, out.at ? buf_bytes(&out) : BYTES_NONE, &mqtt_limits_default,
                                &again, NULL) == CODE_OK);
    FG_ASSERT(again.user_count == n);
    size_t a = 0, b = 0;
    struct bytes name_b, value_b;
    while (mqtt_user_prop(p, &a, &name, &value))
        FG_ASSERT(mqtt_user_prop(&again, &b, &name_b, &value_b) && bytes_equal(name, name_b) &&
                  bytes_equal(value, value_b));
    buf_clear(&out);
}

static void check_forward(const struct mqtt_props *p)
{
    struct buf out = {0};
    struct mqtt_props f;
    mqtt_props_forwardable(p->raw, &out);
    FG_ASSERT(mqtt_decode_props(MQTT_PUBLISH, out.at ? buf_bytes(&out) : BYTES_NONE, &mqtt_limits_default, &f,
                                NULL) == CODE_OK);
    FG_ASSERT(mqtt_props_all_forwardable(&f));
    FG_ASSERT(mqtt_props_all_forwardable(p) == (out.len == p->raw.len));
    FG_ASSERT(f.user_count == p->user_count && f.payload_format == p->payload_format);
    FG_ASSERT(bytes_equal(f.content_type, p->content_type) &&
              bytes_equal(f.response_topic, p->response_topic) && bytes_equal(f.correlation, p->correlation));
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum mqtt_type packet = data[0] & 15;
    struct bytes raw = bytes_of(data + 1, size - 1);
    struct mqtt_props p;
    struct fault why = {0};
    enum code code = mqtt_decode_props(packet, raw, &mqtt_limits_default, &p, &why);
    if (code) {
        FG_ASSERT(why.code == code && why.at <= raw.len && why.text[0] && why.mqtt_reason >= 0x80);
        return 0;
    }
    FG_ASSERT(bytes_equal(p.raw, raw));
    check_users(&p);
    if (packet == MQTT_PUBLISH || packet == MQTT_WILL)
        check_forward(&p);
    return 0;
}
