#include "action/guard.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/values.h"
#include "base/wire.h"

#include <stdlib.h>

enum { NOTE_FORMAT = 1, VARINT_MAX = 10, PART_MAX = (GUARD_NOTE - 1) / 2 };

enum code guard_parse(const char *text, const char *word, struct guard_rule *out, struct fault *why)
{
    char *end;
    uint64_t us = 0;
    *out = (struct guard_rule){0};
    if (!text[0])
        return CODE_OK;
    unsigned long count = strtoul(text, &end, 10);
    size_t n = strlen(word);
    bool ok = text[0] >= '0' && text[0] <= '9' && count >= 1 && count <= GUARD_COUNT_MAX && *end == ' ' &&
              strncmp(end + 1, word, n) == 0 && end[1 + n] == ' ' &&
              value_parse_duration(bytes_str(end + 2 + n), &us, NULL) == CODE_OK && us >= 1000 &&
              us / 1000 <= (uint64_t)INT64_MAX / 4;
    if (!ok)
        return FAIL(why, CODE_USAGE, 0, "a number (1 to %d), `%s` and a time, such as `%s`, got '%.60s'",
                    GUARD_COUNT_MAX, word, word[0] == 'i' ? "2 in 10s" : "1 per 5m", text);
    *out = (struct guard_rule){(uint32_t)count, (int64_t)(us / 1000)};
    return CODE_OK;
}

enum code guard_init(struct guard_times *t, const struct guard_rule *rule)
{
    *t = (struct guard_times){0};
    if (!rule->count)
        return CODE_OK;
    t->at = mem_zalloc(rule->count, sizeof *t->at);
    return t->at ? CODE_OK : CODE_NOMEM;
}

void guard_clear(struct guard_times *t)
{
    mem_free(t->at);
    *t = (struct guard_times){0};
}

static void add(const struct guard_rule *rule, struct guard_times *t, int64_t ms)
{
    if (t->used == rule->count) {
        bool first = ms - t->at[0] >= t->at[t->used - 1] - ms; /* they ascend: it is one of the two ends */
        t->used--;
        if (first)
            memmove(t->at, t->at + 1, t->used * sizeof *t->at);
    }
    uint32_t i = t->used;
    for (; i && t->at[i - 1] > ms; i--)
        t->at[i] = t->at[i - 1];
    t->at[i] = ms;
    t->used++;
}

static uint32_t within(const struct guard_rule *rule, const struct guard_times *t, int64_t ms)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->used; i++)
        n += ms - t->at[i] < rule->span_ms && t->at[i] - ms < rule->span_ms;
    return n;
}

enum guard_verdict guard_ask(const struct guard_rule *at_least, struct guard_times *seen,
                             const struct guard_rule *at_most, struct guard_times *done, int64_t ms)
{
    if (at_least->count) {
        add(at_least, seen, ms);
        if (within(at_least, seen, ms) < at_least->count)
            return GUARD_TOO_FEW;
    }
    if (at_most->count && within(at_most, done, ms) >= at_most->count)
        return GUARD_TOO_OFTEN;
    if (at_most->count)
        add(at_most, done, ms);
    return GUARD_GO;
}

/* ---- the note: how many, the newest, and from each to the one before it ---- */

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

/* Of the newest, what fits into `room` bytes. */
static uint32_t fitting(const struct guard_times *t, size_t room)
{
    size_t used = VARINT_MAX; /* the newest */
    for (uint32_t n = 1; n < t->used; n++) {
        used += varint_size((uint64_t)(t->at[t->used - n] - t->at[t->used - n - 1]));
        if (used > room)
            return n;
    }
    return t->used;
}

static void put(struct buf *out, const struct guard_times *t, size_t room)
{
    uint32_t n = fitting(t, room);
    buf_varint(out, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = t->at[t->used - 1 - i];
        buf_varint(out, (uint64_t)(i ? t->at[t->used - i] - at : at));
    }
}

size_t guard_write(const struct guard_times *seen, const struct guard_times *done, uint8_t out[GUARD_NOTE])
{
    struct buf b = {0};
    size_t room = seen->used && done->used ? PART_MAX - 2 : GUARD_NOTE - 6; /* but for the counts */
    if (!seen->used && !done->used)
        return 0;
    buf_u8(&b, NOTE_FORMAT);
    put(&b, seen, room);
    put(&b, done, room);
    struct bytes note = buf_bytes(&b);
    size_t n = b.bad || note.len > GUARD_NOTE ? 0 : note.len;
    if (n)
        memcpy(out, note.at, n);
    buf_clear(&b);
    return n;
}

static bool get(struct wire *w, const struct guard_rule *rule, struct guard_times *t)
{
    uint64_t n = wire_varint(w);
    int64_t at = 0;
    if (n > GUARD_COUNT_MAX)
        return false;
    for (uint64_t i = 0; i < n && !w->bad; i++) {
        uint64_t v = wire_varint(w);
        if (v > (uint64_t)INT64_MAX / 4)
            return false;
        at = i ? at - (int64_t)v : (int64_t)v;
        if (at < 0)
            return false;
        if (t->used < rule->count)
            t->at[t->used++] = at;
    }
    for (uint32_t i = 0; i < t->used / 2; i++) { /* they were written newest first */
        int64_t last = t->at[t->used - 1 - i];
        t->at[t->used - 1 - i] = t->at[i];
        t->at[i] = last;
    }
    return !w->bad;
}

bool guard_read(struct bytes note, const struct guard_rule *at_least, struct guard_times *seen,
                const struct guard_rule *at_most, struct guard_times *done)
{
    struct wire w = wire_of(note);
    if (!note.len)
        return true;
    if (wire_u8(&w) == NOTE_FORMAT && get(&w, at_least, seen) && get(&w, at_most, done) && !wire_left(&w))
        return true;
    seen->used = done->used = 0;
    return false;
}
