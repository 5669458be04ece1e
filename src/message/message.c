#include "message/message.h"

#include "base/mem.h"
#include "base/wire.h"

/* One shared counter: it moves twice per message, not per delivery. */
static _Atomic uint64_t in_use;

/* MQTT 5 section 2.2.2.2: the properties a server forwards unchanged, the only ones kept in `props`. */
enum {
    PAYLOAD_FORMAT = 0x01,
    CONTENT_TYPE = 0x03,
    RESPONSE_TOPIC = 0x08,
    CORRELATION = 0x09,
    USER_PROPERTY = 0x26
};

static size_t block_bytes(size_t encoded_len)
{
    return sizeof(struct message) + encoded_len + MESSAGE_PAD;
}

/* The struct with room for the encoded form behind it, which is still to be filled; the pad is zero. */
static struct message *block_new(size_t encoded_len, uint8_t **encoded)
{
    struct message *m = mem_alloc(block_bytes(encoded_len));
    if (!m)
        return NULL;
    memset(m, 0, sizeof *m);
    atomic_init(&m->refs, 1);
    *encoded = (uint8_t *)(m + 1);
    memset(*encoded + encoded_len, 0, MESSAGE_PAD);
    m->encoded = bytes_of(*encoded, encoded_len);
    atomic_fetch_add_explicit(&in_use, block_bytes(encoded_len), memory_order_relaxed);
    return m;
}

static void put_le(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* 0 means never, so a moment that has passed is 1 at the least. An expiry interval of 0 is over at once. */
static int64_t expires_at(int64_t now_us, uint32_t expiry_s, int64_t age_us)
{
    int64_t at = now_us + (int64_t)expiry_s * 1000000 - (age_us > 0 ? age_us : 0);
    return at > 0 ? at : 1;
}

static void encode_head(uint8_t *at, const struct message_parts *p)
{
    at[0] = 1;
    at[1] = (uint8_t)((p->qos & MESSAGE_QOS) | (p->retain ? MESSAGE_RETAIN : 0) |
                      (p->expires ? MESSAGE_EXPIRES : 0) | (p->text ? MESSAGE_TEXT : 0));
    put_le(at + 2, p->topic.len, 2);
    put_le(at + 4, p->principal.len, 2);
    put_le(at + 6, p->source.len, 2);
    put_le(at + 8, p->props.len, 4);
    put_le(at + 12, p->expires ? p->expiry_s : 0, 4);
}

static uint8_t *put(uint8_t *at, struct bytes *view, struct bytes from)
{
    if (from.len)
        memcpy(at, from.at, from.len);
    *view = bytes_of(at, from.len);
    return at + from.len;
}

struct message *message_new(const struct message_parts *p)
{
    FG_ASSERT(p->qos <= 2);
    if (p->topic.len > UINT16_MAX || p->principal.len > UINT16_MAX || p->source.len > UINT16_MAX ||
        p->props.len > UINT32_MAX || p->payload.len > UINT32_MAX)
        return NULL;
    size_t len = MESSAGE_HEAD + p->topic.len + p->principal.len + p->source.len + p->props.len +
                 p->payload.len;
    if (len > UINT32_MAX) /* a frame's length field, too, has 32 bits */
        return NULL;
    uint8_t *at;
    struct message *m = block_new(len, &at);
    if (!m)
        return NULL;
    encode_head(at, p);
    at = put(at + MESSAGE_HEAD, &m->topic, p->topic);
    at = put(at, &m->principal, p->principal);
    at = put(at, &m->source, p->source);
    at = put(at, &m->props, p->props);
    at = put(at, &m->payload, p->payload);
    FG_ASSERT(at == m->encoded.at + len);
    m->qos = p->qos;
    m->retain = p->retain;
    m->expiry_s = p->expires ? p->expiry_s : 0;
    m->expires_us = p->expires ? expires_at(p->now_us, p->expiry_s, 0) : 0;
    m->wall_us = p->wall_us;
    return m;
}

enum code message_view(struct message *out, struct bytes encoded, int64_t wall_us, struct fault *why)
{
    struct wire w = wire_of(encoded);
    uint8_t format = wire_u8(&w), flags = wire_u8(&w);
    size_t topic = wire_le16(&w), principal = wire_le16(&w), source = wire_le16(&w), props = wire_le32(&w);
    uint32_t expiry_s = wire_le32(&w);
    if (w.bad)
        return FAIL(why, CODE_DAMAGED, encoded.len, "a stored message of %zu bytes is shorter than its head",
                    encoded.len);
    if (format != 1)
        return FAIL(why, CODE_DAMAGED, 0, "a stored message has format %u, known is 1", format);
    if ((flags & MESSAGE_QOS) == 3 || flags >> 5)
        return FAIL(why, CODE_DAMAGED, 1, "a stored message has flags 0x%02x, which nothing writes", flags);
    memset(out, 0, sizeof *out);
    out->encoded = encoded;
    out->topic = wire_bytes(&w, topic);
    out->principal = wire_bytes(&w, principal);
    out->source = wire_bytes(&w, source);
    out->props = wire_bytes(&w, props);
    if (w.bad)
        return FAIL(why, CODE_DAMAGED, wire_pos(&w),
                    "the parts of a stored message are longer than its %zu bytes", encoded.len);
    out->payload = wire_bytes(&w, wire_left(&w));
    out->qos = flags & MESSAGE_QOS;
    out->retain = flags & MESSAGE_RETAIN;
    out->expiry_s = flags & MESSAGE_EXPIRES ? expiry_s : 0;
    out->wall_us = wall_us;
    return CODE_OK;
}

/* A view into `from` becomes the same view into `to`. */
static void move_view(struct bytes *v, struct bytes from, const uint8_t *to)
{
    v->at = v->len ? to + (v->at - from.at) : to;
}

enum code message_decode(struct message **out, struct bytes encoded, int64_t wall_us, int64_t now_us,
                         int64_t age_us, struct fault *why)
{
    struct message view;
    enum code code = message_view(&view, encoded, wall_us, why);
    if (code != CODE_OK)
        return code;
    uint8_t *at;
    struct message *m = block_new(encoded.len, &at);
    if (!m)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a message of %zu bytes", encoded.len);
    memcpy(at, encoded.at, encoded.len);
    m->topic = view.topic;
    m->principal = view.principal;
    m->source = view.source;
    m->props = view.props;
    m->payload = view.payload;
    move_view(&m->topic, encoded, at);
    move_view(&m->principal, encoded, at);
    move_view(&m->source, encoded, at);
    move_view(&m->props, encoded, at);
    move_view(&m->payload, encoded, at);
    m->qos = view.qos;
    m->retain = view.retain;
    m->expiry_s = view.expiry_s;
    m->expires_us = encoded.at[1] & MESSAGE_EXPIRES ? expires_at(now_us, view.expiry_s, age_us) : 0;
    m->wall_us = wall_us;
    *out = m;
    return CODE_OK;
}

void message_drop(struct message *m)
{
    /* Release, so that this holder's reads are over before another one frees; acquire, to see that they are.
     * */
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
        return;
    atomic_fetch_sub_explicit(&in_use, block_bytes(m->encoded.len), memory_order_relaxed);
    mem_free(m);
}

static struct bytes wire_be_blob(struct wire *w)
{
    size_t n = wire_be16(w);
    return wire_bytes(w, n);
}

/* The value of the first user property of that name, or an empty view with at == NULL. */
static struct bytes user_property(struct bytes props, struct bytes name)
{
    struct wire w = wire_of(props);
    while (!w.bad && wire_left(&w)) {
        switch (wire_u8(&w)) {
        case PAYLOAD_FORMAT: (void)wire_u8(&w); break;
        case CONTENT_TYPE:
        case RESPONSE_TOPIC:
        case CORRELATION: (void)wire_be_blob(&w); break;
        case USER_PROPERTY: {
            struct bytes have = wire_be_blob(&w), value = wire_be_blob(&w);
            if (!w.bad && bytes_equal(have, name))
                return value;
            break;
        }
        default: /* not one of those a server forwards: whoever built the message is wrong, not we */
            return BYTES_NONE;
        }
    }
    return BYTES_NONE;
}

struct bytes message_partition_key(const struct message *m, uint8_t *scratch, size_t cap)
{
    (void)scratch;
    (void)cap;
    struct bytes key = user_property(m->props, BYTES_LIT("partition-key"));
    if (key.at)
        return key;
    /* Principal and source stand side by side in the encoded form. */
    return bytes_of(m->principal.at, m->principal.len + m->source.len);
}

uint64_t message_bytes_in_use(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}
