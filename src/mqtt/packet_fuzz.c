/* packet_fuzz.c - the first byte chooses version and limits, the rest is a stream of packets. Whatever is
 * understood is encoded, read again and encoded again: both encodings must be the same, and the same as the
 * input where the standard leaves only one form. */
#include "mqtt/packet.h"

#include "mqtt/packet_again.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct mqtt_limits small = {
    .packet_bytes = 4096,
    .user_props = 3,
    .prop_bytes = 64,
    .topic_bytes = 20,
    .topic_levels = 3,
    .filters = 2,
};

/* 3.4.2.1, 3.14.2.1: reason and properties may be written out or left away. */
static bool may_be_shorter(uint8_t first)
{
    uint8_t type = first >> 4;
    return (type >= MQTT_PUBACK && type <= MQTT_PUBCOMP) || type == MQTT_DISCONNECT;
}

/* The first byte of a 3.1 CONNACK is reserved and not looked at. */
static bool has_free_bits(enum mqtt_version version, uint8_t first)
{
    return version == MQTT_3_1 && first >> 4 == MQTT_CONNACK;
}

static void check_fault(const struct fault *why, enum code code, size_t size)
{
    FG_ASSERT(why->code == code && why->at <= size && why->text[0]);
    FG_ASSERT(why->mqtt_reason >= 0x80);
    FG_ASSERT(code == CODE_MALFORMED || code == CODE_PROTOCOL || code == CODE_LIMIT ||
              code == CODE_UNSUPPORTED || code == CODE_NOMEM);
}

/* A user property or subscription identifier that is counted can be walked to. */
static void walk(const struct mqtt_frame *f, enum mqtt_version version, const struct mqtt_limits *limits)
{
    struct mqtt_publish m;
    if (f->first >> 4 != MQTT_PUBLISH || mqtt_decode_publish(version, f->first, f->body, limits, &m, NULL))
        return;
    size_t cursor = 0, n = 0;
    struct bytes name, value;
    while (mqtt_user_prop(&m.props, &cursor, &name, &value))
        n++;
    FG_ASSERT(n == m.props.user_count);
    uint32_t id;
    for (cursor = 0, n = 0; mqtt_sub_id(&m.props, &cursor, &id); n++)
        FG_ASSERT(id > 0);
    FG_ASSERT(n == m.props.sub_id_count);
}

static void check_packet(enum mqtt_version version, const struct mqtt_limits *limits,
                         const struct mqtt_frame *f, struct bytes packet)
{
    struct buf once = {0}, twice = {0};
    struct mqtt_frame again;
    struct fault why = {0};
    enum code code = packet_again(version, f->first, f->body, limits, &once, &why);
    if (code) {
        check_fault(&why, code, f->body.len);
    } else {
        FG_ASSERT(!once.bad && buf_size(&once) <= packet.len);
        FG_ASSERT(may_be_shorter(f->first) || buf_size(&once) == packet.len);
        FG_ASSERT(buf_size(&once) < packet.len || has_free_bits(version, f->first) ||
                  bytes_equal(buf_bytes(&once), packet));
        FG_ASSERT(mqtt_frame(buf_bytes(&once), UINT32_MAX, &again, NULL) == CODE_OK);
        FG_ASSERT(packet_again(version, again.first, again.body, limits, &twice, NULL) == CODE_OK);
        FG_ASSERT(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
        walk(f, version, limits);
    }
    buf_clear(&once);
    buf_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum mqtt_version version = MQTT_5 - data[0] % 3;
    const struct mqtt_limits *limits = data[0] & 0x80 ? &small : &mqtt_limits_default;
    struct bytes in = bytes_of(data + 1, size - 1);
    for (;;) {
        struct mqtt_frame f;
        struct fault why = {0};
        enum code code = mqtt_frame(in, limits->packet_bytes, &f, &why);
        if (code == CODE_MORE) {
            FG_ASSERT(f.size == 0 || f.size > in.len);
            return 0;
        }
        if (code) {
            check_fault(&why, code, in.len);
            return 0;
        }
        check_packet(version, limits, &f, bytes_of(in.at, f.size));
        in = bytes_from(in, f.size);
    }
}
