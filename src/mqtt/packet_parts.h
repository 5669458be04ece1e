/* packet_parts.h - the fields packets are made of (section 1.5), for the decoders of this folder only.
 *
 * As in base/wire.h the first flaw sticks: a decoder reads its fields one after the other and looks at `code`
 * once. What is read behind a flaw is 0 or empty. Offsets in faults count from the begin of the body.
 */
#pragma once

#include "base/wire.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

struct parts {
    struct wire w;
    enum code code;     /* CODE_OK until the first flaw      */
    const char *packet; /* "PUBLISH", begins every sentence  */
    struct fault *why;  /* may be NULL                       */
};

static inline struct parts parts_of(struct bytes body, const char *packet, struct fault *why)
{
    return (struct parts){.w = {body.at, body.len ? body.at + body.len : body.at, body.at, false},
                          .packet = packet,
                          .why = why};
}

/* Notes the flaw, if it is the first: where we stand, the code, the reason and "PACKET: sentence". */
void part_flaw(struct parts *p, enum code code, uint8_t reason, const char *where, const char *fmt, ...)
    FG_PRINTF(5, 6);
#define PART_FLAW(p, code, reason, ...) part_flaw((p), (code), (reason), FG_HERE, __VA_ARGS__)
/* The packet ends inside `field`: 0x81. */
void part_short(struct parts *p, const char *field);
/* CODE_OK, or the flaw; bytes left over are one (0x81). */
FG_CHECK enum code part_end(struct parts *p);

static inline size_t part_left(const struct parts *p)
{
    return p->code ? 0 : wire_left(&p->w);
}

static inline uint8_t part_u8(struct parts *p, const char *field)
{
    uint8_t v = wire_u8(&p->w);
    if (p->w.bad)
        part_short(p, field);
    return v;
}

static inline uint16_t part_u16(struct parts *p, const char *field)
{
    uint16_t v = wire_be16(&p->w);
    if (p->w.bad)
        part_short(p, field);
    return v;
}

static inline uint32_t part_u32(struct parts *p, const char *field)
{
    uint32_t v = wire_be32(&p->w);
    if (p->w.bad)
        part_short(p, field);
    return v;
}

/* 1.5.6: two bytes of length, then that many. */
static inline struct bytes part_binary(struct parts *p, const char *field)
{
    struct bytes v = wire_bytes(&p->w, wire_be16(&p->w));
    if (p->w.bad)
        part_short(p, field);
    return v;
}

/* 1.5.4, checked. */
struct bytes part_text(struct parts *p, const char *field);
/* 1.5.5: up to four bytes, the shortest form only [MQTT-1.5.5-1]. */
uint32_t part_varint(struct parts *p, const char *field);
/* Not 0: 0x82 [MQTT-2.2.1-3]. */
uint16_t part_packet_id(struct parts *p);
/* A topic name within the limits, or the flaw: 0x81, or 0x90. */
/* For the limits' counters. */
void part_tell_flaw(enum topic_flaw);
void part_check_topic(struct parts *p, const char *field, struct bytes topic,
                      const struct mqtt_limits *limits);
/* The property list of `packet` with its length (2.2.2); for 3.x nothing is read and *out is
 * mqtt_props_none. */
void part_props(struct parts *p, enum mqtt_version version, enum mqtt_type packet,
                const struct mqtt_limits *limits, struct mqtt_props *out);
/* 2.4: is `reason` one that this packet may carry? 0x82 if not. */
void part_check_reason(struct parts *p, enum mqtt_type packet, uint8_t reason);

/* Nothing seen, defaults where the standard has them. */
extern const struct mqtt_props mqtt_props_none;
