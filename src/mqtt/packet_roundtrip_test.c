/* packet_roundtrip_test.c - encoders: random packets come back as they went in, and what cannot be encoded
 * marks the buffer and leaves it as it was. */
#include "mqtt/packet.h"

#include "base/mem.h"
#include "mqtt/mqtt_test_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define NO_PROPS BYTES_NONE

static uint64_t seed;

#define SAME(x)                                                         \
    do {                                                                \
        if (!(x))                                                       \
            fail_msg("FG_SEED=%llu: %s", (unsigned long long)seed, #x); \
    } while (0)

/* ---- random parts; the room they lie in belongs to the caller ---- */

enum { ROOM = 4096 };
struct room {
    uint8_t at[ROOM];
    size_t used;
};

static struct bytes random_bytes(struct test_random *r, struct room *room, uint32_t max)
{
    uint32_t n = test_below(r, max + 1);
    FG_ASSERT(room->used + n <= ROOM);
    uint8_t *to = room->at + room->used;
    for (uint32_t i = 0; i < n; i++)
        to[i] = (uint8_t)test_next(r);
    room->used += n;
    return bytes_of(to, n);
}

static struct bytes random_text(struct test_random *r, struct room *room, uint32_t pieces)
{
    static const char *const some[] = {
        "a", "Z", "7", " ", "/", "-", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "x"};
    uint8_t *to = room->at + room->used;
    size_t n = 0;
    for (uint32_t i = test_below(r, pieces + 1); i > 0; i--) {
        const char *s = some[test_below(r, COUNT(some))];
        memcpy(to + n, s, strlen(s));
        n += strlen(s);
    }
    room->used += n;
    FG_ASSERT(room->used <= ROOM);
    return bytes_of(to, n);
}

static struct bytes random_topic(struct test_random *r, struct room *room)
{
    uint8_t *to = room->at + room->used;
    *to = 't';
    room->used++;
    struct bytes rest = random_text(r, room, 10);
    return bytes_of(to, rest.len + 1);
}

static uint16_t random_id(struct test_random *r)
{
    return (uint16_t)(1 + test_below(r, 65535));
}

static enum mqtt_version random_version(struct test_random *r)
{
    return MQTT_3_1 + test_below(r, 3);
}

static void random_users(struct test_random *r, struct room *room, struct buf *to)
{
    for (uint32_t n = test_below(r, 3); n > 0; n--) {
        struct bytes name = random_text(r, room, 5);
        mqtt_put_user(to, name, random_text(r, room, 5));
    }
}

static void random_message_props(struct test_random *r, struct room *room, struct buf *to)
{
    if (test_below(r, 2))
        mqtt_put_u8(to, MQTT_PROP_PAYLOAD_FORMAT, (uint8_t)test_below(r, 2));
    if (test_below(r, 2))
        mqtt_put_u32(to, MQTT_PROP_MESSAGE_EXPIRY, (uint32_t)test_next(r));
    if (test_below(r, 2))
        mqtt_put_bytes(to, MQTT_PROP_CONTENT_TYPE, random_text(r, room, 8));
    random_users(r, room, to);
    if (test_below(r, 2))
        mqtt_put_bytes(to, MQTT_PROP_RESPONSE_TOPIC, random_topic(r, room));
    if (test_below(r, 2))
        mqtt_put_bytes(to, MQTT_PROP_CORRELATION, random_bytes(r, room, 20));
    random_users(r, room, to);
}

/* Reads the packet from a block of exactly its size. */
static struct mqtt_frame take(const struct buf *out, uint8_t **copy)
{
    struct mqtt_frame f;
    struct fault why = {0};
    SAME(!out->bad);
    *copy = malloc(buf_size(out));
    assert_non_null(*copy);
    memcpy(*copy, out->at, buf_size(out));
    SAME(mqtt_frame(bytes_of(*copy, buf_size(out)), UINT32_MAX, &f, &why) == CODE_OK);
    SAME(f.size == buf_size(out));
    return f;
}

static struct bytes list_of(const struct buf *b)
{
    return b->len ? buf_bytes(b) : BYTES_NONE;
}

/* ---- one packet of each kind ---- */

static void round_connect(struct test_random *r, struct room *room, struct buf *out)
{
    struct buf props = {0}, will_props = {0};
    struct mqtt_connect_out o = {.version = random_version(r),
                                 .clean_start = test_below(r, 2),
                                 .has_will = test_below(r, 2),
                                 .has_user = test_below(r, 2),
                                 .keep_alive_s = (uint16_t)test_next(r)};
    o.has_password = (o.has_user || o.version == MQTT_5) && test_below(r, 2);
    o.client_id = random_topic(r, room);
    if (o.has_will) {
        o.will_qos = (uint8_t)test_below(r, 3);
        o.will_retain = test_below(r, 2);
        o.will_topic = random_topic(r, room);
        o.will_payload = random_bytes(r, room, 50);
        random_message_props(r, room, &will_props);
        mqtt_put_u32(&will_props, MQTT_PROP_WILL_DELAY, (uint32_t)test_next(r));
    }
    if (o.has_user)
        o.user = random_text(r, room, 10);
    if (o.has_password)
        o.password = random_bytes(r, room, 20);
    mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, (uint32_t)test_next(r));
    mqtt_put_u16(&props, MQTT_PROP_RECEIVE_MAX, random_id(r));
    random_users(r, room, &props);
    o.props = list_of(&props);
    o.will_props = list_of(&will_props);
    mqtt_encode_connect(out, &o);

    uint8_t *copy;
    struct mqtt_frame f = take(out, &copy);
    struct mqtt_connect c;
    struct fault why = {0};
    if (mqtt_decode_connect(f.body, &mqtt_limits_default, &c, &why))
        fail_msg("FG_SEED=%llu: %s", (unsigned long long)seed, why.text);
    SAME(c.version == o.version && c.clean_start == o.clean_start && c.has_will == o.has_will);
    SAME(c.has_user == o.has_user && c.has_password == o.has_password && c.keep_alive_s == o.keep_alive_s);
    SAME(c.will_qos == o.will_qos && c.will_retain == o.will_retain);
    SAME(bytes_equal(c.client_id, o.client_id) && bytes_equal(c.user, o.user) &&
         bytes_equal(c.password, o.password));
    SAME(bytes_equal(c.will_topic, o.will_topic) && bytes_equal(c.will_payload, o.will_payload));
    SAME(bytes_equal(c.props.raw, o.version == MQTT_5 ? o.props : BYTES_NONE));
    SAME(bytes_equal(c.will_props.raw, o.version == MQTT_5 && o.has_will ? o.will_props : BYTES_NONE));
    free(copy);
    buf_clear(&props);
    buf_clear(&will_props);
}

static void round_publish(struct test_random *r, struct room *room, struct buf *out)
{
    struct buf a = {0}, b = {0};
    enum mqtt_version version = random_version(r);
    uint8_t qos = (uint8_t)test_below(r, 3);
    bool dup = test_below(r, 2), retain = test_below(r, 2);
    uint16_t id = random_id(r);
    struct bytes topic = random_topic(r, room), payload = random_bytes(r, room, 300);
    random_message_props(r, room, &a);
    for (uint32_t n = test_below(r, 3); n > 0; n--)
        mqtt_put_varint(&b, MQTT_PROP_SUB_ID, 1 + test_below(r, 268435455));
    mqtt_encode_publish_head(out, version, qos, dup, retain, topic, id, list_of(&a), list_of(&b),
                             payload.len);
    buf_add_bytes(out, payload);
    SAME(mqtt_publish_size(version, qos, topic.len, a.len + b.len, payload.len) == buf_size(out));

    uint8_t *copy;
    struct mqtt_frame f = take(out, &copy);
    struct mqtt_publish m;
    struct fault why = {0};
    if (mqtt_decode_publish(version, f.first, f.body, &mqtt_limits_default, &m, &why))
        fail_msg("FG_SEED=%llu: %s", (unsigned long long)seed, why.text);
    SAME(m.qos == qos && m.dup == (dup && qos) && m.retain == retain && m.packet_id == (qos ? id : 0));
    SAME(bytes_equal(m.topic, topic) && bytes_equal(m.payload, payload));
    SAME(m.props.raw.len == (version == MQTT_5 ? a.len + b.len : 0));
    if (version == MQTT_5) {
        SAME(a.len == 0 || memcmp(m.props.raw.at, a.at, a.len) == 0);
        SAME(b.len == 0 || memcmp(m.props.raw.at + a.len, b.at, b.len) == 0);
        struct buf forward = {0};
        mqtt_props_forwardable(m.props.raw, &forward);
        SAME(mqtt_props_all_forwardable(&m.props) == (forward.len == m.props.raw.len));
        buf_clear(&forward);
    }
    free(copy);
    buf_clear(&a);
    buf_clear(&b);
}

static void round_ack(struct test_random *r, struct room *room, struct buf *out)
{
    struct buf props = {0};
    enum mqtt_version version = random_version(r);
    enum mqtt_type type = MQTT_PUBACK + test_below(r, 4);
    uint16_t id = random_id(r);
    uint8_t reason;
    do
        reason = (uint8_t)test_next(r);
    while (!mqtt_reason_allowed(type, reason));
    random_users(r, room, &props);
    mqtt_encode_ack(out, version, type, id, reason, list_of(&props));
    uint8_t *copy;
    struct mqtt_frame f = take(out, &copy);
    struct mqtt_ack a;
    SAME(f.first >> 4 == type);
    SAME(mqtt_decode_ack(version, f.first, f.body, &mqtt_limits_default, &a, NULL) == CODE_OK);
    SAME(a.packet_id == id && a.reason == (version == MQTT_5 ? reason : 0));
    SAME(a.props.raw.len == (version == MQTT_5 ? props.len : 0));
    free(copy);
    buf_clear(&props);
}

static void round_subscribe(struct test_random *r, struct room *room, struct buf *out)
{
    struct buf props = {0};
    enum mqtt_version version = random_version(r);
    enum mqtt_type type = test_below(r, 2) ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE;
    struct mqtt_filter filters[5] = {0};
    uint32_t count = 1 + test_below(r, COUNT(filters));
    uint16_t id = random_id(r);
    for (uint32_t i = 0; i < count; i++) {
        filters[i].next = i + 1 < count ? &filters[i + 1] : NULL;
        filters[i].filter = random_topic(r, room);
        if (type == MQTT_UNSUBSCRIBE)
            continue;
        filters[i].qos = (uint8_t)test_below(r, 3);
        if (version == MQTT_5) {
            filters[i].no_local = test_below(r, 2);
            filters[i].retain_as_published = test_below(r, 2);
            filters[i].retain_handling = (uint8_t)test_below(r, 3);
        }
    }
    random_users(r, room, &props);
    if (type == MQTT_SUBSCRIBE)
        mqtt_encode_subscribe(out, version, id, filters, list_of(&props));
    else
        mqtt_encode_unsubscribe(out, version, id, filters, list_of(&props));
    uint8_t *copy;
    struct mqtt_frame f = take(out, &copy);
    struct mqtt_subscribe s;
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    SAME((type == MQTT_SUBSCRIBE ? mqtt_decode_subscribe : mqtt_decode_unsubscribe)(
             version, f.body, &mqtt_limits_default, &arena, &s, NULL) == CODE_OK);
    SAME(s.packet_id == id && s.count == count);
    const struct mqtt_filter *got = s.filters;
    for (uint32_t i = 0; i < count; i++, got = got->next) {
        SAME(bytes_equal(got->filter, filters[i].filter) && got->qos == filters[i].qos);
        SAME(got->no_local == filters[i].no_local && got->retain_handling == filters[i].retain_handling);
        SAME(got->retain_as_published == filters[i].retain_as_published && got->refused == 0);
    }
    arena_clear(&arena);
    free(copy);
    buf_clear(&props);
}

static void round_suback(struct test_random *r, struct room *room, struct buf *out)
{
    struct buf props = {0};
    enum mqtt_version version = random_version(r);
    enum mqtt_type type = test_below(r, 2) ? MQTT_SUBACK : MQTT_UNSUBACK;
    uint8_t reasons[6];
    size_t count = 1 + test_below(r, sizeof reasons);
    uint16_t id = random_id(r);
    for (size_t i = 0; i < count;) {
        reasons[i] = (uint8_t)test_next(r);
        i += mqtt_reason_allowed(type, reasons[i]);
    }
    random_users(r, room, &props);
    mqtt_encode_suback(out, version, type, id, reasons, count, list_of(&props));
    uint8_t *copy;
    struct mqtt_frame f = take(out, &copy);
    struct mqtt_suback s;
    SAME(mqtt_decode_suback(version, f.first, f.body, &mqtt_limits_default, &s, NULL) == CODE_OK);
    SAME(s.packet_id == id && s.reasons.len == (version < MQTT_5 && type == MQTT_UNSUBACK ? 0 : count));
    for (size_t i = 0; i < s.reasons.len; i++)
        SAME(s.reasons.at[i] == (version < MQTT_5 && reasons[i] >= 0x80 ? 0x80 : reasons[i]));
    free(copy);
    buf_clear(&props);
}

static void round_end(struct test_random *r, struct room *room, struct buf *out)
{
    struct buf props = {0};
    enum mqtt_version version = random_version(r);
    uint8_t reason;
    do
        reason = (uint8_t)test_next(r);
    while (!mqtt_reason_allowed(MQTT_DISCONNECT, reason));
    random_users(r, room, &props);
    mqtt_encode_disconnect(out, version, reason, list_of(&props));
    uint8_t *copy;
    struct mqtt_frame f = take(out, &copy);
    struct mqtt_disconnect d;
    SAME(mqtt_decode_disconnect(version, f.body, &mqtt_limits_default, &d, NULL) == CODE_OK);
    SAME(d.reason == (version == MQTT_5 ? reason : 0) &&
         d.props.raw.len == (version == MQTT_5 ? props.len : 0));
    free(copy);
    buf_clear(&props);
}

static void random_packets_come_back_as_they_went_in(void **state)
{
    (void)state;
    static void (*const rounds[])(struct test_random *, struct room *, struct buf *) = {
        round_connect, round_publish, round_ack, round_subscribe, round_suback, round_end,
    };
    seed = test_seed();
    struct test_random r = test_random_of(seed);
    for (unsigned i = 0; i < 30000; i++) {
        struct room room;
        struct buf out = {0};
        room.used = 0;
        rounds[test_below(&r, COUNT(rounds))](&r, &room, &out);
        buf_clear(&out);
    }
}

/* ---- the exact bytes of what has no way back, or more than one form ---- */

static void expect(struct buf *out, const char *want)
{
    struct test_bytes b = test_bytes_of(want);
    assert_false(out->bad);
    if (!bytes_equal(buf_bytes(out), test_view(&b)))
        fail_msg("is not %s", want);
    free(b.at);
    buf_clear(out);
}

static void acknowledgements_take_the_shortest_form(void **state)
{
    (void)state;
    struct buf out = {0}, props = {0};
    mqtt_put_user(&props, BYTES_LIT("a"), BYTES_LIT("b"));
    mqtt_encode_ack(&out, MQTT_5, MQTT_PUBACK, 10, 0, NO_PROPS);
    expect(&out, "40 02 000a");
    mqtt_encode_ack(&out, MQTT_5, MQTT_PUBREC, 10, 0x97, NO_PROPS);
    expect(&out, "50 03 000a 97");
    mqtt_encode_ack(&out, MQTT_5, MQTT_PUBREL, 10, 0, buf_bytes(&props));
    expect(&out, "62(000a 00 (26 'a' 'b'))");
    mqtt_encode_ack(&out, MQTT_3_1_1, MQTT_PUBCOMP, 10, 0x92, buf_bytes(&props));
    expect(&out, "70 02 000a");
    mqtt_encode_disconnect(&out, MQTT_5, 0, NO_PROPS);
    expect(&out, "e0 00");
    mqtt_encode_disconnect(&out, MQTT_5, 0x8e, NO_PROPS);
    expect(&out, "e0 01 8e");
    mqtt_encode_disconnect(&out, MQTT_3_1_1, 0x8e, buf_bytes(&props));
    expect(&out, "e0 00");
    mqtt_encode_empty(&out, MQTT_PINGREQ);
    expect(&out, "c0 00");
    mqtt_encode_empty(&out, MQTT_PINGRESP);
    expect(&out, "d0 00");
    buf_clear(&props);
}

static void a_3x_connack_has_the_nearest_return_code(void **state)
{
    (void)state;
    /* clang-format off */
    static const uint8_t cases[][2] = { { 0, 0 },    { 0x80, 3 }, { 0x81, 3 }, { 0x84, 1 }, { 0x85, 2 },
    { 0x86, 4 },
                                        { 0x87, 5 }, { 0x88, 3 }, { 0x89, 3 }, { 0x8a, 5 }, { 0x8c, 5 },
                                        { 0x97, 3 },
                                        { 0x9f, 3 } };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = {0};
        mqtt_encode_connack(&out, MQTT_3_1_1, true, cases[i][0], BYTES_LIT("ignored"));
        assert_int_equal(buf_size(&out), 4);
        assert_int_equal(out.at[2], cases[i][0] == 0);
        assert_int_equal(out.at[3], cases[i][1]);
        buf_clear(&out);
    }
    struct buf out = {0};
    mqtt_encode_connack(&out, MQTT_3_1, true, 0, NO_PROPS);
    expect(&out, "20 02 00 00");
    mqtt_encode_connack(&out, MQTT_5, true, 0x87, NO_PROPS);
    expect(&out, "20 03 00 87 00");
    mqtt_encode_connack(&out, MQTT_5, true, 0, BYTES_LIT("\x13\0\1"));
    expect(&out, "20(01 00 (13 0001))");
}

static void a_3x_suback_knows_one_failure(void **state)
{
    (void)state;
    static const uint8_t reasons[] = {0, 1, 2, 0x87, 0x8f};
    struct buf out = {0};
    mqtt_encode_suback(&out, MQTT_3_1_1, MQTT_SUBACK, 1, reasons, 5, NO_PROPS);
    expect(&out, "90(0001 00 01 02 80 80)");
    mqtt_encode_suback(&out, MQTT_3_1_1, MQTT_UNSUBACK, 1, reasons, 5, NO_PROPS);
    expect(&out, "b0(0001)");
}

static void what_cannot_be_encoded_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    static uint8_t much[65536 + 1];
    struct bytes long_text = bytes_of(much, 65536);
    for (unsigned i = 0; i < 9; i++) {
        struct buf out = {0};
        struct mqtt_filter filter = {.filter = long_text};
        struct mqtt_connect_out c = {.version = MQTT_5, .client_id = long_text};
        buf_add(&out, "kept", 4);
        switch (i) {
        case 0: mqtt_put_bytes(&out, MQTT_PROP_CORRELATION, long_text); break;
        case 1: mqtt_put_user(&out, BYTES_LIT("a"), long_text); break;
        case 2: mqtt_put_user(&out, long_text, BYTES_LIT("a")); break;
        case 3: mqtt_put_varint(&out, MQTT_PROP_SUB_ID, 268435456); break;
        case 4: mqtt_encode_connect(&out, &c); break;
        case 5: mqtt_encode_subscribe(&out, MQTT_5, 1, &filter, NO_PROPS); break;
        case 6: mqtt_encode_unsubscribe(&out, MQTT_3_1_1, 1, &filter, NO_PROPS); break;
        case 7: mqtt_encode_publish_head(&out, MQTT_5, 0, 0, 0, long_text, 0, NO_PROPS, NO_PROPS, 0); break;
        case 8:
            mqtt_encode_publish_head(&out, MQTT_5, 0, 0, 0, BYTES_LIT("t"), 0, NO_PROPS, NO_PROPS,
                                     268435455 - 3);
            break;
        }
        if (!out.bad || out.len != 4 || memcmp(out.at, "kept", 4) != 0)
            fail_msg("case %u", i);
        buf_clear(&out);
    }
}

static void sizes_are_known_before_encoding(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        enum mqtt_version version;
        uint8_t           qos;
        size_t            topic, props, payload, size;
    } cases[] = {
        { MQTT_5, 0, 1, 0, 0, 6 },
        { MQTT_5, 1, 1, 0, 0, 8 },
        { MQTT_3_1_1, 0, 1, 77, 0, 5 },
        { MQTT_5, 0, 1, 127, 0, 2 + 3 + 1 + 127 + 1 },
        { MQTT_5, 0, 1, 128, 0, 3 + 3 + 2 + 128 },
        { MQTT_3_1_1, 0, 1, 0, 124, 2 + 127 },
        { MQTT_3_1_1, 0, 1, 0, 125, 3 + 128 },
        { MQTT_3_1_1, 0, 1, 0, 16380, 3 + 16383 },
        { MQTT_3_1_1, 0, 1, 0, 16381, 4 + 16384 },
        { MQTT_3_1_1, 0, 1, 0, 2097148, 4 + 2097151 },
        { MQTT_3_1_1, 0, 1, 0, 2097149, 5 + 2097152 },
        { MQTT_3_1_1, 0, 1, 0, 268435452, 5 + 268435455 },
        { MQTT_3_1_1, 0, 1, 0, 268435453, 0 },
        { MQTT_3_1_1, 0, 65535, 0, 0, 4 + 65537 },
        { MQTT_3_1_1, 0, 65536, 0, 0, 0 },
        { MQTT_5, 0, 1, 268435455, 0, 0 },
        { MQTT_5, 0, 1, SIZE_MAX, 0, 0 },
        { MQTT_5, 0, SIZE_MAX, 0, 0, 0 },
        { MQTT_5, 0, 1, 0, SIZE_MAX, 0 },
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t size = mqtt_publish_size(cases[i].version, cases[i].qos, cases[i].topic, cases[i].props,
                                        cases[i].payload);
        if (size != cases[i].size)
            fail_msg("case %zu: %zu, not %zu", i, size, cases[i].size);
    }
}

static void without_memory_nothing_is_half_there(void **state)
{
    (void)state;
    struct mqtt_connect_out c = {
        .version = MQTT_5, .client_id = BYTES_LIT("press-1"), .has_user = true, .user = BYTES_LIT("me")};
    struct buf out = {.max = 10};
    mqtt_encode_connect(&out, &c);
    assert_true(out.bad);
    assert_int_equal(out.len, 0);
    buf_clear(&out);

    out = (struct buf){0};
    mem_fail_at(1);
    mqtt_encode_connect(&out, &c);
    mem_fail_at(0);
    assert_true(out.bad);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_packets_come_back_as_they_went_in),
        cmocka_unit_test(acknowledgements_take_the_shortest_form),
        cmocka_unit_test(a_3x_connack_has_the_nearest_return_code),
        cmocka_unit_test(a_3x_suback_knows_one_failure),
        cmocka_unit_test(what_cannot_be_encoded_leaves_the_buffer_as_it_was),
        cmocka_unit_test(sizes_are_known_before_encoding),
        cmocka_unit_test(without_memory_nothing_is_half_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
