#include "stream/run.h"

#include <stdio.h>

enum { SCRATCH_LENT = 256 << 10, SCRATCH_MAX = 256 << 20 };

/* ---- birth and death ---- */

static enum code make_inputs(struct stream *s)
{
    const struct query *q = s->query;
    s->partitions = mem_zalloc(q->input_count + 1, sizeof *s->partitions);
    s->partition_counts = mem_zalloc(q->input_count + 1, sizeof *s->partition_counts);
    s->references = mem_zalloc(q->reference_count + 1, sizeof *s->references);
    s->lookups = mem_zalloc(q->lookup_count + 1, sizeof *s->lookups);
    if (!s->partitions || !s->partition_counts || !s->references || !s->lookups)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < q->input_count; i++) {
        s->partition_counts[i] = 1;
        if (!(s->partitions[i] = mem_alloc(sizeof **s->partitions)))
            return CODE_NOMEM;
        s->partitions[i][0].arrival = TIME_NONE;
    }
    return CODE_OK;
}

static enum code make_parts(struct stream *s)
{
    if (make_inputs(s) != CODE_OK || !(s->scratch_block = mem_alloc(SCRATCH_LENT)) || !(s->json = json_reader_new(NULL)))
        return CODE_NOMEM;
    arena_init(&s->scratch, s->scratch_block, SCRATCH_LENT, SCRATCH_MAX);
    s->eval.scratch = &s->scratch;
    s->lanes.fold = s->query->options.ignore_case;
    s->clock = s->reached = TIME_NONE;
    if (s->query->lanes)
        return CODE_OK;
    return (s->only = lane_make(s)) ? CODE_OK : CODE_NOMEM;
}

enum code stream_new(struct stream **out, const struct query *q, const struct stream_sink *sink, struct fault *why)
{
    *out = NULL;
    struct stream *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a run of the query");
    s->query = q;
    s->sink = *sink;
    if (make_parts(s) != CODE_OK) {
        stream_free(s);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a run of the query");
    }
    *out = s;
    return CODE_OK;
}

static void free_lanes(struct stream *s)
{
    lane_free(s, s->only);
    s->only = NULL;
    for (struct keyed_entry *e = s->lanes.first, *next; e; e = next) {
        next = e->after;
        lane_free(s, (struct lane *)e);
    }
    keyed_clear(&s->lanes);
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    free_lanes(s);
    if (s->lookups)
        lookups_free(s);
    for (uint32_t i = 0; s->references && i < s->query->reference_count; i++)
        reference_free(&s->references[i]);
    for (uint32_t i = 0; s->partitions && i < s->query->input_count; i++)
        mem_free(s->partitions[i]);
    mem_free(s->references);
    mem_free(s->lookups);
    mem_free(s->partitions);
    mem_free(s->partition_counts);
    if (s->json)
        json_reader_free(s->json);
    buf_clear(&s->line);
    if (s->scratch_block)
        arena_clear(&s->scratch);
    mem_free(s->scratch_block);
    mem_free(s);
}

enum code stream_partitions(struct stream *s, uint32_t input, uint32_t count)
{
    FG_ASSERT(input < s->query->input_count && count >= 1 && count <= STREAM_PARTITIONS && !s->stats.messages);
    struct partition *more = mem_alloc(count * sizeof *more);
    if (!more)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        more[i].arrival = TIME_NONE;
    mem_free(s->partitions[input]);
    s->partitions[input] = more;
    s->partition_counts[input] = count;
    if (!s->only)
        return CODE_OK;
    struct lane *fresh = lane_make(s); /* readers have as many marks as there are partitions */
    if (!fresh)
        return CODE_NOMEM;
    lane_free(s, s->only);
    s->only = fresh;
    return CODE_OK;
}

/* ---- lanes ---- */

enum code lane_find(struct stream *s, const struct value *keys, uint32_t count, struct lane **out)
{
    uint64_t hash = keyed_hash(&s->lanes, keys, count);
    struct keyed_entry *e = keyed_find(&s->lanes, hash, keys, count);
    *out = (struct lane *)e;
    if (e)
        return CODE_OK;
    struct lane *l = lane_make(s);
    struct kept *k = l ? kept_make(s, keys, count, 0) : NULL;
    if (k) {
        l->entry.hash = hash;
        l->entry.keys = k->values;
        l->kept = k;
        if (keyed_put(&s->lanes, &l->entry) == CODE_OK) {
            s->groups++;
            s->state_bytes += sizeof *l;
            *out = l;
            return CODE_OK;
        }
    }
    if (l)
        l->kept = k;
    lane_free(s, l);
    return run_no_memory(s);
}

static enum code each_reader(struct stream *s, struct lane *l, enum code (*call)(struct stream *, struct lane *, const struct op *, int64_t),
                             int64_t now)
{
    for (uint32_t i = 0; i < s->query->op_count; i++)
        if (s->query->ops[i]->kind == OP_READER)
            TRY(call(s, l, s->query->ops[i], now));
    return CODE_OK;
}

static enum code each_lane(struct stream *s, enum code (*call)(struct stream *, struct lane *, const struct op *, int64_t), int64_t now)
{
    if (s->only)
        return each_reader(s, s->only, call, now);
    for (struct keyed_entry *e = s->lanes.first; e; e = e->after) {
        TRY(each_reader(s, (struct lane *)e, call, now));
        arena_reset(&s->scratch);
    }
    return CODE_OK;
}

/* ---- messages ---- */

static enum code finish(struct stream *s, enum code code, struct fault *why)
{
    s->message = NULL;
    if (code != CODE_OK && why)
        *why = s->eval.why;
    return code;
}

static enum code check_room(const struct stream *s, struct fault *why)
{
    const struct query_options *o = &s->query->options;
    uint64_t bytes = o->state_bytes ? o->state_bytes : UINT64_C(256) << 20, groups = o->groups ? o->groups : 1000000;
    if (s->state_bytes >= bytes)
        return FAIL_FG(why, CODE_LIMIT, FG_TOO_MUCH,
                       "%s holds %llu bytes of state, the limit is %llu: use shorter windows or fewer keys, or raise the job's state-bytes",
                       o->file ? o->file : "the query", (unsigned long long)s->state_bytes, (unsigned long long)bytes);
    if (s->groups >= groups)
        return FAIL_FG(why, CODE_LIMIT, FG_TOO_MUCH,
                       "%s holds %llu groups, the limit is %llu: group by fewer keys, or use a shorter window", o->file ? o->file : "the query",
                       (unsigned long long)s->groups, (unsigned long long)groups);
    return CODE_OK;
}

/* A declared column: its type, or absent; a bigint stands for a float and a text for the datetime it spells. */
static bool fit(struct value *v, uint8_t want)
{
    int64_t ticks;
    if (v->type == VALUE_NULL || v->type == want)
        return true;
    if (want == VALUE_FLOAT && v->type == VALUE_BIGINT) {
        *v = value_float((double)v->i);
        return true;
    }
    if (want != VALUE_DATETIME || v->type != VALUE_TEXT || !datetime_parse(value_bytes(*v), &ticks))
        return false;
    *v = value_datetime(ticks);
    return true;
}

/* CREATE TABLE. *slots becomes NULL when the event does not fit. */
static enum code fit_table(struct stream *s, const struct input *in, const struct value **slots)
{
    const struct table_statement *t = in->table;
    struct value *copy = run_take(s, in->fields.count, sizeof *copy);
    if (!copy)
        return run_no_memory(s);
    memcpy(copy, *slots, in->fields.count * sizeof *copy);
    *slots = copy;
    for (uint32_t i = 0; i < t->column_count; i++) {
        struct value *v = &copy[in->typed[i]];
        uint8_t had = v->type;
        if (fit(v, t->columns[i].type))
            continue;
        s->stats.malformed++;
        run_trouble(s, "InputDeserializationError", "column %.*s of %.*s is declared %s, the event has a %s", BYTES_FMT(t->columns[i].name),
                    BYTES_FMT(in->name), value_type_name(t->columns[i].type), value_type_name(had));
        *slots = NULL;
        return CODE_OK;
    }
    return CODE_OK;
}

static enum code take_events(struct stream *s, const struct input *in)
{
    const struct value *slots;
    while (json_next(s->json, &slots) == CODE_OK) {
        s->stats.events++;
        arena_reset(&s->scratch);
        if (in->table)
            TRY(fit_table(s, in, &slots));
        for (uint32_t i = 0; slots && i < in->reader_count; i++)
            TRY(reader_event(s, in->readers[i], slots));
    }
    return CODE_OK;
}

static enum code settle(struct stream *s, const struct input *in)
{
    for (uint32_t i = 0; s->only && i < in->reader_count; i++)
        TRY(reader_settle(s, s->only, in->readers[i]));
    return CODE_OK;
}

static const struct input *input_at(const struct query *q, uint32_t index)
{
    const struct input *in = q->inputs;
    while (index--)
        in = in->next;
    return in;
}

/* By how much a watermark is behind the clock at least; INT64_MAX: none follows it. */
static int64_t behind_clock(const struct query *q)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < q->op_count; i++) {
        if (q->ops[i]->kind != OP_READER)
            continue;
        int64_t behind = !q->ops[i]->reader.timestamp ? 0 : q->options.late; /* STREAM_LATE_UNLIMITED is INT64_MAX */
        least = behind < least ? behind : least;
    }
    return least;
}

static void forget_times(struct stream *s)
{
    for (uint32_t i = 0; i < s->query->input_count; i++)
        for (uint32_t k = 0; k < s->partition_counts[i]; k++)
            s->partitions[i][k].arrival = TIME_NONE;
    s->clock = s->reached = TIME_NONE;
}

/* The clock was set back from `was`. Nothing would end before it is there again, which may take years: what is open ends, and the
 * stream begins anew. */
static enum code begin_anew(struct stream *s, int64_t was, int64_t now)
{
    run_trouble(s, "ClockSetBack", "the clock was set back by %.0f s: what was open has ended, and the job begins with nothing learned",
                ((double)was - (double)now) / 1e7);
    arena_reset(&s->scratch);
    TRY(each_lane(s, reader_clock, INT64_MAX));
    struct lane *fresh = s->only ? lane_make(s) : NULL;
    if (s->only && !fresh)
        return run_no_memory(s);
    free_lanes(s);
    s->only = fresh;
    s->state_bytes = s->groups = s->waiting = s->models = 0;
    forget_times(s);
    return CODE_OK;
}

static bool far_before(const struct stream *s, int64_t now, int64_t was)
{
    return was != TIME_NONE && now < was - STREAM_SET_BACK && behind_clock(s->query) != INT64_MAX;
}

/* An input's own events come in the order of their arrival, and none before what the clock was told. */
static enum code look_at_clock(struct stream *s, const struct stream_message *m)
{
    const struct partition *p = &s->partitions[m->input][m->partition];
    int64_t was = p->arrival > s->clock ? p->arrival : s->clock;
    return !m->punctual && far_before(s, m->arrival, was) ? begin_anew(s, was, m->arrival) : CODE_OK;
}

/* What arrives after the clock was told does not arrive before it. */
static void raise_arrival(struct stream *s, struct stream_message *m)
{
    struct partition *p = &s->partitions[m->input][m->partition];
    if (m->arrival < s->clock && !m->punctual)
        m->arrival = s->clock;
    p->arrival = m->arrival > p->arrival ? m->arrival : p->arrival;
}

enum code stream_feed(struct stream *s, const struct stream_message *given, struct fault *why)
{
    const struct input *in = input_at(s->query, given->input);
    struct stream_message m = *given;
    FG_ASSERT(given->input < s->query->input_count && given->partition < s->partition_counts[given->input]);
    if (s->ended)
        return FAIL(why, CODE_CLOSED, 0, "the input has ended");
    TRY(check_room(s, why));
    enum code code = look_at_clock(s, &m);
    if (code != CODE_OK)
        return finish(s, code, why);
    code = json_read(s->json, in->json, m.body, m.padded, &s->eval.why);
    if (code == CODE_NOMEM)
        return finish(s, code, why);
    s->stats.messages++;
    raise_arrival(s, &m);
    s->message = &m;
    if (code != CODE_OK) {
        s->stats.malformed++;
        run_trouble(s, "InputDeserializationError", "a message of %.*s is dropped: %s", BYTES_FMT(in->name), s->eval.why.text);
        return finish(s, CODE_OK, why);
    }
    code = take_events(s, in);
    if (code == CODE_OK)
        code = settle(s, in);
    return finish(s, code, why);
}

static int64_t latest(const struct stream *s)
{
    int64_t t = s->clock;
    for (uint32_t i = 0; i < s->query->input_count; i++)
        for (uint32_t k = 0; k < s->partition_counts[i]; k++)
            t = s->partitions[i][k].arrival > t ? s->partitions[i][k].arrival : t;
    return t;
}

bool stream_set_back(const struct stream *s, int64_t now)
{
    return far_before(s, now, latest(s)) && stream_due(s) != INT64_MAX;
}

enum code stream_clock(struct stream *s, int64_t now, struct fault *why)
{
    if (!s->ended && stream_set_back(s, now)) {
        enum code code = begin_anew(s, latest(s), now);
        if (code != CODE_OK)
            return finish(s, code, why);
    }
    if (s->ended || now <= s->clock)
        return CODE_OK;
    s->clock = now;
    arena_reset(&s->scratch);
    return finish(s, each_lane(s, reader_clock, now), why);
}

static int64_t lane_due(const struct query *q, const struct lane *l)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < q->op_count; i++) {
        const struct operator_kind *kind = run_kind(q->ops[i]);
        int64_t t = kind && kind->due ? kind->due(l->states[q->ops[i]->id]) : INT64_MAX;
        due = t < due ? t : due;
    }
    return due;
}

int64_t stream_due(const struct stream *s)
{
    int64_t due = INT64_MAX, behind = behind_clock(s->query);
    if (behind == INT64_MAX)
        return INT64_MAX;
    if (s->only)
        due = lane_due(s->query, s->only);
    for (const struct keyed_entry *e = s->only ? NULL : s->lanes.first; e; e = e->after) {
        int64_t t = lane_due(s->query, (const struct lane *)e);
        due = t < due ? t : due;
    }
    return due < INT64_MAX - behind - 1 ? due + behind + 1 : INT64_MAX;
}

enum code stream_end(struct stream *s, struct fault *why)
{
    if (s->ended)
        return CODE_OK;
    s->ended = true;
    arena_reset(&s->scratch);
    return finish(s, each_lane(s, reader_clock, INT64_MAX), why);
}

void stream_stats(const struct stream *s, struct stream_stats *out)
{
    *out = s->stats;
    out->state_bytes = s->state_bytes;
    out->waiting = s->waiting;
    out->groups = s->groups;
    out->models = s->models;
    out->not_finite += s->eval.not_finite;
    out->watermark = s->reached;
}

int64_t stream_reached(const struct stream *s, uint32_t input)
{
    const struct input *in = input_at(s->query, input);
    int64_t least = INT64_MAX;
    if (!s->only)
        return s->partitions[input][0].arrival;
    for (uint32_t i = 0; i < in->reader_count; i++) {
        int64_t mark = reader_mark(s, s->only, in->readers[i]);
        least = mark < least ? mark : least;
    }
    return least;
}
