/* Readers: the time of an event, the policies for late and disordered ones, and their order.
 *
 * Per partition (with OVER per key) the watermark is the highest time so far less the tolerance for disorder; while nothing comes, the
 * clock less the tolerance for lateness. Rows wait in a heap until the watermark of every partition has reached their time; where nothing can be waited for (one partition, no
 * tolerance) a row passes straight through. */
#include "stream/run.h"

#include <string.h>
#include <strings.h>

#define SECOND INT64_C(10000000)
#define EARLY_MAX (300 * SECOND)

struct reader {
    uint32_t      partitions;
    int64_t      *marks;    /* of each partition */
    int64_t       told;     /* the watermark that was passed on */
    struct kept **heap;     /* by time, then order of arrival */
    size_t        count, room;
};

static uint32_t partition_count(const struct stream *s, const struct op *op)
{
    return s->query->lanes ? 1 : s->partition_counts[op->reader.input->index];
}

static void *reader_make(struct stream *s, const struct op *op)
{
    struct reader *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->partitions = partition_count(s, op);
    r->told = TIME_NONE;
    if (!(r->marks = mem_alloc(r->partitions * sizeof *r->marks))) {
        mem_free(r);
        return NULL;
    }
    for (uint32_t i = 0; i < r->partitions; i++)
        r->marks[i] = TIME_NONE;
    return r;
}

static void reader_free(struct stream *s, const struct op *op, void *state)
{
    struct reader *r = state;
    (void)op;
    for (size_t i = 0; i < r->count; i++)
        kept_free(s, r->heap[i]);
    mem_free(r->heap);
    mem_free(r->marks);
    mem_free(r);
}

/* ---- the heap ---- */

static bool earlier(const struct kept *a, const struct kept *b)
{
    return a->time != b->time ? a->time < b->time : a->sequence < b->sequence;
}

static enum code heap_put(struct reader *r, struct kept *k)
{
    if (r->count == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        struct kept **more = mem_realloc(r->heap, room * sizeof *more);
        if (!more)
            return CODE_NOMEM;
        r->heap = more;
        r->room = room;
    }
    size_t i = r->count++;
    for (; i && earlier(k, r->heap[(i - 1) / 2]); i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = k;
    return CODE_OK;
}

static struct kept *heap_take(struct reader *r)
{
    struct kept *top = r->heap[0], *last = r->heap[--r->count];
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= r->count)
            break;
        if (c + 1 < r->count && earlier(r->heap[c + 1], r->heap[c]))
            c++;
        if (!earlier(r->heap[c], last))
            break;
        r->heap[i] = r->heap[c];
        i = c;
    }
    if (r->count)
        r->heap[i] = last;
    return top;
}

/* ---- watermarks ---- */

static int64_t lowest(const struct reader *r)
{
    int64_t w = r->marks[0];
    for (uint32_t i = 1; i < r->partitions; i++)
        w = r->marks[i] < w ? r->marks[i] : w;
    return w;
}

static enum code release(struct stream *s, struct lane *l, const struct op *op, struct reader *r, int64_t mark)
{
    while (r->count && r->heap[0]->time <= mark) {
        struct kept *k = heap_take(r);
        struct row row = { k->values, k->time };
        s->waiting--;
        struct arena_mark before = arena_mark(&s->scratch);
        enum code code = run_emit(s, l, op, &row);
        arena_release(&s->scratch, before);
        kept_free(s, k);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

enum code reader_settle(struct stream *s, struct lane *l, const struct op *op)
{
    struct reader *r = l->states[op->id];
    int64_t mark = lowest(r);
    if (mark == TIME_NONE)
        return CODE_OK;
    TRY(release(s, l, op, r, mark));
    if (mark <= r->told)
        return CODE_OK;
    r->told = mark;
    s->reached = mark > s->reached ? mark : s->reached;
    return run_advance_outs(s, l, op, mark);
}

static int64_t minus(int64_t a, int64_t b)
{
    return a < INT64_MIN + b ? INT64_MIN + 1 : a - b;
}

enum code reader_clock(struct stream *s, struct lane *l, const struct op *op, int64_t now)
{
    struct reader *r = l->states[op->id];
    if (op->reader.timestamp && s->query->options.late == STREAM_LATE_UNLIMITED && now != INT64_MAX)
        return CODE_OK;
    int64_t mark = op->reader.timestamp && now != INT64_MAX ? minus(now, s->query->options.late) : now;
    for (uint32_t i = 0; i < r->partitions; i++)
        r->marks[i] = r->marks[i] < mark ? mark : r->marks[i];
    return reader_settle(s, l, op);
}

int64_t reader_mark(const struct stream *s, const struct lane *l, const struct op *op)
{
    (void)s;
    return lowest(l->states[op->id]);
}

/* ---- one event ---- */

/* Values that the message itself does not hold. */
static enum code fill_meta(struct stream *s, const struct op *op, int64_t arrival, const struct value **slots)
{
    const struct input *in = op->reader.input;
    const struct stream_message *m = s->message;
    struct value *copy = run_take(s, in->fields.count, sizeof *copy);
    if (!copy)
        return run_no_memory(s);
    memcpy(copy, *slots, in->fields.count * sizeof *copy);
    for (uint32_t i = 0; i < in->fields.count; i++) {
        const struct demand *d = &in->fields.at[i];
        if (d->meta == META_NONE || copy[i].type != VALUE_NULL)
            continue;
        struct bytes b;
        switch (d->meta) {
        case META_DEVICE: copy[i] = m->source.len ? value_text(m->source) : value_null(); break;
        case META_PARTITION: copy[i] = value_bigint(m->partition); break;
        case META_TOPIC: copy[i] = m->topic.len ? value_text(m->topic) : value_null(); break;
        case META_PROPERTY:
            if (m->property && m->property(m->ctx, d->property, &b))
                copy[i] = value_text(b);
            break;
        default: copy[i] = value_datetime(arrival); break;
        }
    }
    *slots = copy;
    return CODE_OK;
}

static bool time_of(struct stream *s, const struct op *op, const struct value *slots, int64_t *out)
{
    struct value v;
    struct row r = { slots, s->message->arrival };
    if (run_value(s, op->reader.timestamp, op->reader.slot, &r, &v) != CODE_OK)
        return false;
    if (v.type == VALUE_DATETIME) {
        *out = v.i;
        return true;
    }
    return v.type == VALUE_TEXT && datetime_parse(value_bytes(v), out);
}

static enum code find_lane(struct stream *s, const struct op *op, const struct value *slots, struct lane **out)
{
    *out = s->only;
    if (!op->reader.overs)
        return CODE_OK;
    struct value *keys = run_take(s, op->reader.overs, sizeof *keys);
    struct row r = { slots, s->message->arrival };
    if (!keys)
        return run_no_memory(s);
    for (uint32_t i = 0; i < op->reader.overs; i++) {
        enum code code = run_value(s, op->reader.over[i], -1, &r, &keys[i]);
        if (code == CODE_NOMEM)
            return code;
        if (code != CODE_OK || keys[i].type == VALUE_NULL) {
            s->stats.no_over_value++;
            run_trouble(s, "InputEventTimestampByOverValueNotFound", "an event of %.*s has no value for TIMESTAMP BY ... OVER",
                        BYTES_FMT(op->reader.input->name));
            *out = NULL;
            return CODE_OK;
        }
    }
    return lane_find(s, keys, op->reader.overs, out);
}

static double seconds(int64_t ticks)
{
    return (double)ticks / SECOND;
}

/* Early and late, against the time of arrival. False: dropped. */
static bool check_arrival(struct stream *s, const struct op *op, int64_t *t)
{
    const struct stream_message *m = s->message;
    const struct query_options *o = &s->query->options;
    if (m->punctual)
        return true;
    if (*t > m->arrival && *t - m->arrival > EARLY_MAX) {
        s->stats.early++;
        run_trouble(s, "InputEventEarlyBeyondThreshold", "an event of %.*s is %.1f s ahead of its arrival; more than 300 s is dropped",
                    BYTES_FMT(op->reader.input->name), seconds(*t - m->arrival));
        return false;
    }
    if (*t >= minus(m->arrival, o->late))
        return true;
    s->stats.late++;
    run_trouble(s, "InputEventLateBeyondThreshold", "an event of %.*s is %.1f s late; more than %.1f s is %s",
                BYTES_FMT(op->reader.input->name), seconds(m->arrival - *t), seconds(o->late),
                o->policy == STREAM_DROP ? "dropped" : "set to that");
    *t = minus(m->arrival, o->late);
    return o->policy != STREAM_DROP;
}

static bool check_order(struct stream *s, const struct op *op, int64_t mark, int64_t *t)
{
    if (*t >= mark)
        return true;
    const struct query_options *o = &s->query->options;
    s->stats.out_of_order++;
    run_trouble(s, "OutOfOrderEvent", "an event of %.*s is %.1f s behind the watermark; it is %s", BYTES_FMT(op->reader.input->name),
                seconds(mark - *t), o->policy == STREAM_DROP ? "dropped" : "set to that");
    *t = mark;
    return o->policy != STREAM_DROP;
}

static enum code keep_event(struct stream *s, const struct op *op, struct reader *r, const struct row *row)
{
    struct kept *k = kept_make(s, row->slots, op->width, row->time);
    if (!k)
        return run_no_memory(s);
    k->sequence = s->sequence++;
    if (heap_put(r, k) == CODE_OK) {
        s->waiting++;
        return CODE_OK;
    }
    kept_free(s, k);
    return run_no_memory(s);
}

enum code reader_event(struct stream *s, const struct op *op, const struct value *slots)
{
    struct lane *l;
    int64_t t = s->message->arrival;
    const struct query_options *o = &s->query->options;
    const struct value *own = slots;
    if (op->reader.input->has_meta)
        TRY(fill_meta(s, op, t, &slots));
    TRY(find_lane(s, op, slots, &l));
    if (!l)
        return CODE_OK;
    if (op->reader.timestamp && !time_of(s, op, slots, &t)) {
        s->stats.no_timestamp++;
        run_trouble(s, "InputEventTimestampNotFound", "an event of %.*s has no time that can be read for TIMESTAMP BY",
                    BYTES_FMT(op->reader.input->name));
        return CODE_OK;
    }
    if (op->reader.input->has_meta && op->reader.timestamp && s->message->punctual) {
        slots = own;
        TRY(fill_meta(s, op, t, &slots));
    }
    struct reader *r = l->states[op->id];
    int64_t *mark = &r->marks[s->query->lanes ? 0 : s->message->partition];
    if (op->reader.timestamp && (!check_arrival(s, op, &t) || !check_order(s, op, *mark, &t)))
        return CODE_OK;
    if (!op->reader.timestamp && t < *mark)
        t = *mark;
    int64_t next = op->reader.timestamp ? minus(t, o->out_of_order) : t;
    *mark = *mark < next ? next : *mark;
    struct row row = { slots, t };
    if (r->partitions == 1 && t <= *mark && !r->count)
        TRY(run_emit(s, l, op, &row));
    else
        TRY(keep_event(s, op, r, &row));
    return l == s->only ? CODE_OK : reader_settle(s, l, op);
}

/* ---- state ---- */

static void reader_save(const struct stream *s, const struct op *op, const void *state, struct buf *out)
{
    const struct reader *r = state;
    (void)s;
    (void)op;
    buf_varint(out, r->partitions);
    for (uint32_t i = 0; i < r->partitions; i++)
        buf_le64(out, (uint64_t)r->marks[i]);
    buf_le64(out, (uint64_t)r->told);
    buf_varint(out, r->count);
    for (size_t i = 0; i < r->count; i++)
        save_kept(out, r->heap[i]);
}

static enum code reader_load(struct loader *l, const struct op *op, void *state)
{
    struct reader *r = state;
    if (load_count(l, STREAM_PARTITIONS) != r->partitions)
        return load_bad(l, "another number of partitions");
    for (uint32_t i = 0; i < r->partitions; i++)
        if ((r->marks[i] = load_time(l)) > INT64_MAX / 2 && !l->stream->ended)
            return load_bad(l, "a watermark");
    r->told = load_time(l);
    uint64_t count = load_count(l, UINT32_MAX);
    for (uint64_t i = 0; i < count && !l->bad; i++) {
        struct kept *k;
        TRY(load_kept(l, op->width, &k));
        if (heap_put(r, k) != CODE_OK) {
            kept_free(l->stream, k);
            return CODE_NOMEM;
        }
        l->stream->waiting++;
    }
    return l->bad ? load_bad(l, "a reader's rows") : CODE_OK;
}

static int64_t reader_due(const void *state)
{
    const struct reader *r = state;
    return r->count ? r->heap[0]->time - 1 : INT64_MAX; /* a watermark that has reached it lets it out */
}

const struct operator_kind operator_reader = {
    .make = reader_make, .free = reader_free, .due = reader_due, .save = reader_save, .load = reader_load,
};

struct bytes stream_user_property(struct bytes name)
{
    static const char *const heads[] = { "[User].", "User." };
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(heads[i]);
        if (name.len <= n || strncasecmp((const char *)name.at, heads[i], n) != 0)
            continue;
        name = bytes_from(name, n);
        bool quoted = name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']';
        return quoted ? bytes_of(name.at + 1, name.len - 2) : name;
    }
    return BYTES_NONE;
}
