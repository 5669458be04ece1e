#include "detect/history.h"

#include <math.h>

#include "base/buf.h"
#include "base/mem.h"
#include "detect/state.h"

enum { CAP_MIN = 8 };

void history_init(struct history *h, uint32_t max, bool with_extra)
{
    *h = (struct history){.max = max, .with_extra = with_extra};
}

void history_clear(struct history *h)
{
    mem_free(h->events);
    history_init(h, h->max, h->with_extra);
}

static size_t row_bytes(bool with_extra)
{
    return sizeof(struct event) + (with_extra ? sizeof(double) : 0);
}

/* A half more each time: a ring of 60 is reached without a spare row, others waste a third at most. */
static uint32_t next_cap(uint32_t cap, uint32_t max)
{
    uint32_t more = cap < CAP_MIN ? CAP_MIN : cap + cap / 2;
    return more < max ? more : max;
}

static bool set_cap(struct history *h, uint32_t cap)
{
    struct event *events = mem_alloc(cap * row_bytes(h->with_extra));
    if (!events)
        return false;
    double *extra = h->with_extra ? (double *)(void *)(events + cap) : NULL;
    for (uint32_t i = 0; i < h->count; i++) {
        uint32_t from = history_slot(h, i);
        events[i] = h->events[from];
        if (extra)
            extra[i] = h->extra[from];
    }
    mem_free(h->events);
    h->events = events;
    h->extra = extra;
    h->cap = cap;
    h->first = 0;
    return true;
}

bool history_reserve(struct history *h)
{
    return h->count < h->cap || h->cap >= h->max || set_cap(h, next_cap(h->cap, h->max));
}

void history_push(struct history *h, int64_t at, double value, double extra)
{
    FG_ASSERT(h->count < h->cap);
    uint32_t i = history_slot(h, h->count++);
    h->events[i] = (struct event){at, value};
    if (h->extra)
        h->extra[i] = extra;
}

void history_drop_oldest(struct history *h)
{
    h->first = history_slot(h, 1);
    h->count--;
}

size_t history_bytes(const struct history *h)
{
    return h->cap * row_bytes(h->with_extra);
}

size_t history_bytes_max(uint32_t max, bool with_extra)
{
    return max * row_bytes(with_extra);
}

void history_save(const struct history *h, struct buf *out)
{
    buf_le32(out, h->count);
    for (uint32_t i = 0; i < h->count; i++) {
        uint32_t slot = history_slot(h, i);
        state_put_i64(out, h->events[slot].at);
        state_put_double(out, h->events[slot].value);
        if (h->extra)
            state_put_double(out, h->extra[slot]);
    }
}

enum code history_load(struct history *h, struct wire *w, int64_t span, double value_max, struct fault *why)
{
    uint32_t n = wire_le32(w);
    if (w->bad || n > h->max || wire_left(w) < n * row_bytes(h->with_extra))
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "a history of %u events, at most %u fit", n, h->max);
    if (n == 0)
        return CODE_OK;
    /* The capacity that growing event by event leads to. */
    uint32_t cap = 0;
    while (cap < n)
        cap = next_cap(cap, h->max);
    if (!set_cap(h, cap))
        return FAIL(why, CODE_NOMEM, 0, "no memory for a history of %u events", n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = state_take_i64(w);
        double value = state_take_double(w);
        double extra = h->with_extra ? state_take_double(w) : 0;
        const struct event *oldest = i ? history_row(h, 0) : NULL, *newest = i ? history_row(h, i - 1) : NULL;
        if (!isfinite(value) || fabs(value) > value_max || !isfinite(extra) || fabs(extra) > STATE_LOG_MAX)
            return FAIL(why, CODE_MALFORMED, wire_pos(w), "event %u of a history is not a number to learn",
                        i);
        if (newest && (at < newest->at || state_since(at, oldest->at) > (uint64_t)span))
            return FAIL(why, CODE_MALFORMED, wire_pos(w), "event %u of a history is out of order or too old",
                        i);
        history_push(h, at, value, extra);
    }
    return CODE_OK;
}
