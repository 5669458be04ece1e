/* state.h - how numbers of a saved model are written: little-endian, doubles as their bits. */
#pragma once

#include "base/buf.h"
#include "base/wire.h"

/* Magnitudes from here on count as infinite: their squares could not be summed. */
#define STATE_VALUE_MAX 1e150
/* No difference of two of them, nor a mean of such, is larger. */
#define STATE_DIFFERENCE_MAX 1e151
/* No logarithm of a probability or a bet that a model keeps is larger. */
#define STATE_LOG_MAX 1e300

/* The same bits as a number and as they are written. */
union state_double {
    double   v;
    uint64_t bits;
};
union state_float {
    float    v;
    uint32_t bits;
};

static inline void state_put_double(struct buf *b, double v)
{
    buf_le64(b, (union state_double){ .v = v }.bits);
}

static inline double state_take_double(struct wire *w)
{
    return (union state_double){ .bits = wire_le64(w) }.v;
}

static inline void state_put_float(struct buf *b, float v)
{
    buf_le32(b, (union state_float){ .v = v }.bits);
}

static inline float state_take_float(struct wire *w)
{
    return (union state_float){ .bits = wire_le32(w) }.v;
}

static inline void state_put_i64(struct buf *b, int64_t v)
{
    buf_le64(b, (uint64_t)v);
}

static inline int64_t state_take_i64(struct wire *w)
{
    return (int64_t)wire_le64(w);
}

/* Ticks from `then` to `now`, now >= then; never overflows. */
static inline uint64_t state_since(int64_t now, int64_t then)
{
    return (uint64_t)now - (uint64_t)then;
}
