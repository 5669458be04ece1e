/* history.h - the last values with their times: a ring that grows as it fills. One owner.
 *
 * Row 0 is the oldest. Beside time and value a row may carry one more number (`extra`), when asked for at init. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/fault.h"

struct buf;
struct wire;

struct event {
    int64_t at; /* ticks, never falls */
    double value;
};

struct history {
    struct event *events; /* one block: `cap` events, then `cap` extras */
    double *extra;
    uint32_t cap, first, count;
    uint32_t max;
    bool with_extra;
};

void history_init(struct history *, uint32_t max, bool with_extra);
void history_clear(struct history *);
/* Room for one more row (at most `max` are kept at all); false without memory. */
bool history_reserve(struct history *);
/* There must be room, and fewer than `max` rows. */
void history_push(struct history *, int64_t at, double value, double extra);
void history_drop_oldest(struct history *);
size_t history_bytes(const struct history *);
size_t history_bytes_max(uint32_t max, bool with_extra);

static inline uint32_t history_slot(const struct history *h, uint32_t row)
{
    uint32_t i = h->first + row;
    return i < h->cap ? i : i - h->cap;
}

static inline const struct event *history_row(const struct history *h, uint32_t row)
{
    return &h->events[history_slot(h, row)];
}

/* The rows in at most two straight pieces, for loops that should be fast. Returns how many. */
static inline int history_pieces(const struct history *h, const struct event *at[2], uint32_t len[2])
{
    uint32_t straight = h->cap - h->first;
    at[0] = h->events ? h->events + h->first : NULL;
    len[0] = h->count < straight ? h->count : straight;
    at[1] = h->events;
    len[1] = h->count - len[0];
    return len[1] ? 2 : len[0] ? 1 : 0;
}

void history_save(const struct history *, struct buf *out);
/* Checks that times do not fall, that they lie within `span` ticks and that values are finite and below `value_max`. */
enum code history_load(struct history *, struct wire *, int64_t span, double value_max, struct fault *why);
