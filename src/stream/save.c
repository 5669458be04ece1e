/* The whole state as bytes, and back. What is read is not trusted: counts, lengths, orders and widths are checked, and a state that does
 * not hold is refused as a whole.
 *
 *   "FGSTATE1" | mark of query and options | counters | arrivals | lanes: key, then each operator's state | reference data */
#include "stream/run.h"

#include "base/wire.h"

#include <stdio.h>

static const char magic[8] = { 'F', 'G', 'S', 'T', 'A', 'T', 'E', '1' };

/* ---- pieces ---- */

void save_values(struct buf *out, const struct value *v, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        value_write(out, v[i]);
}

void save_kept(struct buf *out, const struct kept *k)
{
    buf_le64(out, (uint64_t)k->time);
    buf_le64(out, k->sequence);
    buf_u8(out, k->flag);
    save_values(out, k->values, k->width);
}

enum code load_bad(struct loader *l, const char *what)
{
    l->bad = true;
    return FAIL(l->why, CODE_DAMAGED, 0, "the saved state of the query does not hold: %s", what);
}

uint64_t load_u64(struct loader *l)
{
    struct wire w = wire_of(l->left);
    uint64_t v = wire_le64(&w);
    if (w.bad || l->bad) {
        l->bad = true;
        return 0;
    }
    l->left = bytes_from(l->left, 8);
    return v;
}

int64_t load_time(struct loader *l)
{
    return (int64_t)load_u64(l);
}

/* Of a row: within what can be computed with. */
static int64_t load_row_time(struct loader *l)
{
    int64_t t = load_time(l);
    l->bad |= t > INT64_MAX / 2 || t < INT64_MIN / 2;
    return t;
}

uint64_t load_count(struct loader *l, uint64_t most)
{
    struct wire w = wire_of(l->left);
    uint64_t v = wire_varint(&w);
    if (w.bad || l->bad || v > most) {
        l->bad = true;
        return 0;
    }
    l->left = bytes_from(l->left, (size_t)wire_pos(&w));
    return v;
}

enum code load_values(struct loader *l, struct value *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (l->bad)
            return load_bad(l, "it is cut off");
        enum code code = value_read(&out[i], &l->left, &l->memory, l->why);
        if (code == CODE_NOMEM)
            return code;
        if (code != CODE_OK)
            return load_bad(l, "a value");
    }
    return CODE_OK;
}

enum code load_kept(struct loader *l, uint32_t width, struct kept **out)
{
    int64_t time = load_row_time(l);
    uint64_t sequence = load_u64(l);
    bool flag = load_count(l, 1) != 0;
    struct arena_mark mark = arena_mark(&l->memory);
    struct value *v = arena_take(&l->memory, (width ? width : 1) * sizeof *v);
    *out = NULL;
    if (!v)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    TRY(load_values(l, v, width));
    struct kept *k = kept_make(l->stream, v, width, time);
    arena_release(&l->memory, mark);
    if (!k)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    k->sequence = sequence;
    k->flag = flag;
    *out = k;
    return CODE_OK;
}

/* ---- the whole ---- */

static void save_counters(const struct stream *s, struct buf *out)
{
    const struct stream_stats *t = &s->stats;
    const uint64_t list[] = { t->messages, t->events, t->rows, t->malformed, t->no_timestamp, t->no_over_value, t->late, t->early,
                              t->out_of_order, t->wrong_type, t->not_finite + s->eval.not_finite, s->sequence };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        buf_le64(out, list[i]);
    buf_le64(out, (uint64_t)s->clock);
    buf_le64(out, (uint64_t)s->reached);
}

static void load_counters(struct loader *l)
{
    struct stream *s = l->stream;
    struct stream_stats *t = &s->stats;
    uint64_t *const list[] = { &t->messages, &t->events, &t->rows, &t->malformed, &t->no_timestamp, &t->no_over_value, &t->late, &t->early,
                               &t->out_of_order, &t->wrong_type, &t->not_finite, &s->sequence };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        *list[i] = load_u64(l);
    s->clock = load_time(l);
    s->reached = load_time(l);
    l->bad |= s->clock > INT64_MAX / 2;
}

static void save_lane(const struct stream *s, const struct lane *lane, struct buf *out)
{
    for (uint32_t i = 0; i < s->query->op_count; i++) {
        const struct op *op = s->query->ops[i];
        const struct operator_kind *kind = run_kind(op);
        if (!kind)
            continue;
        size_t at = buf_size(out);
        buf_le32(out, 0);
        kind->save(s, op, lane->states[i], out);
        if (out->bad)
            return;
        uint32_t n = (uint32_t)(buf_size(out) - at - 4);
        for (uint32_t k = 0; k < 4; k++)
            out->at[out->from + at + k] = (uint8_t)(n >> 8 * k);
    }
}

static enum code load_lane(struct loader *l, struct lane *lane)
{
    struct stream *s = l->stream;
    for (uint32_t i = 0; i < s->query->op_count; i++) {
        const struct op *op = s->query->ops[i];
        const struct operator_kind *kind = run_kind(op);
        if (!kind)
            continue;
        struct wire w = wire_of(l->left);
        struct bytes part = wire_le_blob(&w);
        if (w.bad)
            return load_bad(l, "it is cut off");
        struct bytes rest = bytes_from(l->left, part.len + 4);
        l->left = part;
        TRY(kind->load(l, op, lane->states[i]));
        if (l->bad || l->left.len)
            return load_bad(l, "an operator's state");
        l->left = rest;
    }
    return CODE_OK;
}

static void save_arrivals(const struct stream *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->query->input_count; i++) {
        buf_varint(out, s->partition_counts[i]);
        for (uint32_t k = 0; k < s->partition_counts[i]; k++)
            buf_le64(out, (uint64_t)s->partitions[i][k].arrival);
    }
}

static enum code load_arrivals(struct loader *l)
{
    struct stream *s = l->stream;
    for (uint32_t i = 0; i < s->query->input_count; i++) {
        uint32_t count = (uint32_t)load_count(l, STREAM_PARTITIONS);
        if (l->bad || !count)
            return load_bad(l, "partitions");
        uint64_t messages = s->stats.messages;
        s->stats.messages = 0;
        enum code code = count == s->partition_counts[i] ? CODE_OK : stream_partitions(s, i, count);
        s->stats.messages = messages;
        if (code != CODE_OK)
            return FAIL(l->why, code, 0, "no memory for the saved state");
        for (uint32_t k = 0; k < count; k++)
            s->partitions[i][k].arrival = load_time(l);
    }
    return CODE_OK;
}

static void save_references(const struct stream *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->query->reference_count; i++) {
        const struct reference_data *d = &s->references[i];
        buf_varint(out, d->count);
        save_values(out, d->whole, d->count);
    }
}

static enum code load_references(struct loader *l)
{
    struct stream *s = l->stream;
    for (uint32_t i = 0; i < s->query->reference_count; i++) {
        struct reference_data fresh;
        uint64_t count = load_count(l, l->left.len);
        if (l->bad)
            return load_bad(l, "reference data");
        TRY(reference_begin(s, &fresh, (uint32_t)count, l->why));
        enum code code = CODE_OK;
        for (uint64_t k = 0; k < count && code == CODE_OK; k++) {
            struct value v;
            code = load_values(l, &v, 1);
            if (code == CODE_OK && v.type != VALUE_RECORD)
                code = load_bad(l, "reference data");
            if (code == CODE_OK)
                code = value_copy(&fresh.whole[k], v, &fresh.memory);
        }
        if (code == CODE_OK)
            code = reference_layout(s, i, &fresh, l->why);
        if (code != CODE_OK) {
            reference_free(&fresh);
            return code;
        }
        reference_swap(s, i, &fresh);
    }
    return CODE_OK;
}

enum code stream_save(const struct stream *s, struct buf *out)
{
    buf_add(out, magic, sizeof magic);
    buf_le64(out, s->query->mark);
    save_counters(s, out);
    buf_u8(out, s->ended);
    save_arrivals(s, out);
    if (s->only)
        save_lane(s, s->only, out);
    buf_varint(out, s->lanes.count);
    for (struct keyed_entry *e = s->lanes.first; e; e = e->after) {
        const struct lane *lane = (const struct lane *)e;
        save_kept(out, lane->kept);
        save_lane(s, lane, out);
    }
    save_references(s, out);
    return out->bad ? CODE_NOMEM : CODE_OK;
}

static enum code load_lanes(struct loader *l, uint32_t keys)
{
    struct stream *s = l->stream;
    if (s->only)
        TRY(load_lane(l, s->only));
    uint64_t count = load_count(l, s->only ? 0 : UINT32_MAX);
    for (uint64_t i = 0; i < count && !l->bad; i++) {
        struct kept *k;
        struct lane *lane;
        TRY(load_kept(l, keys, &k));
        uint64_t lanes = s->lanes.count;
        enum code code = lane_find(s, k->values, keys, &lane);
        kept_free(s, k);
        if (code != CODE_OK)
            return FAIL(l->why, code, 0, "no memory for the saved state");
        if (s->lanes.count == lanes)
            return load_bad(l, "a key of OVER stands in it twice");
        TRY(load_lane(l, lane));
    }
    return l->bad ? load_bad(l, "keys of OVER") : CODE_OK;
}

static uint32_t over_keys(const struct query *q)
{
    for (uint32_t i = 0; i < q->op_count; i++)
        if (q->ops[i]->kind == OP_READER)
            return q->ops[i]->reader.overs;
    return 0;
}

static enum code load(struct loader *l)
{
    struct stream *s = l->stream;
    struct wire w = wire_of(l->left);
    const uint8_t *head = wire_skip(&w, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return load_bad(l, "it is no state of a query of this version");
    l->left = bytes_from(l->left, sizeof magic);
    if (load_u64(l) != s->query->mark)
        return FAIL(l->why, CODE_UNSUPPORTED, 0, "the saved state belongs to another query or other settings");
    load_counters(l);
    s->ended = load_count(l, 1) != 0;
    TRY(load_arrivals(l));
    TRY(load_lanes(l, over_keys(s->query)));
    TRY(load_references(l));
    return l->bad || l->left.len ? load_bad(l, "it has bytes too many") : CODE_OK;
}

enum code stream_load(struct stream *s, struct bytes saved, struct fault *why)
{
    struct fault local;
    struct loader l = { .stream = s, .left = saved, .why = why ? why : &local };
    arena_init(&l.memory, NULL, 0, SIZE_MAX / 4);
    enum code code = load(&l);
    arena_clear(&l.memory);
    return code;
}
