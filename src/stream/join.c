/* Joins of two streams. Rows of both sides are taken in one order (merge.h); each looks for partners among the rows of the other side that
 * came before it, so that every pair is found once, with the time of its later row. A row is forgotten when no partner can come any
 * more; a left row of a LEFT JOIN that found none is given out then. */
#include "stream/merge.h"

#include "stream/window.h"

struct entry { /* rows of one side with the same keys, in their order */
    struct keyed_entry entry;
    struct kept       *first, *last;
    size_t             size;
};
struct half {
    struct keyed   table;
    struct kept  **rows; /* ring of all rows in the order of their coming */
    struct entry **owners;
    size_t         head, count, room;
};
struct waiting { /* left rows without a partner, by the time they give up */
    struct kept *row;
    int64_t      until;
};
struct joining {
    struct merge   merge;
    struct half    left, right;
    struct waiting *heap; /* LEFT JOIN */
    size_t         count, room;
    uint64_t       sequence;
    int64_t        told;
    struct value  *keys;
};

static void join_keys(struct value *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t ticks;
        if (keys[i].type == VALUE_BIT)
            keys[i] = value_bigint(keys[i].i);
        else if (keys[i].type == VALUE_TEXT && keys[i].len >= 10 && keys[i].text[4] == '-' && datetime_parse(value_bytes(keys[i]), &ticks))
            keys[i] = value_datetime(ticks);
    }
}

enum code join_eval(struct stream *s, struct expr **list, uint32_t count, const struct row *r, struct value *out, bool *found)
{
    *found = false;
    for (uint32_t i = 0; i < count; i++) {
        enum code code = run_value(s, list[i], -1, r, &out[i]);
        if (code == CODE_NOMEM)
            return code;
        if (code != CODE_OK || out[i].type == VALUE_NULL)
            return CODE_OK;
    }
    join_keys(out, count);
    *found = true;
    return CODE_OK;
}

enum code join_matches(struct stream *s, const struct expr *on, const struct row *r, bool *match)
{
    run_at(s, r);
    enum code code = expr_test(on, &s->eval, match);
    *match = code == CODE_OK && *match;
    return code == CODE_NOMEM ? code : CODE_OK;
}

/* ---- bounds ---- */

static int64_t unit_begin(const struct op *op, int64_t t)
{
    int64_t ticks = unit_ticks(op->join.unit);
    return floor_time(t, ticks);
}

static int64_t bound(const struct op *op, int64_t left, int64_t units)
{
    return unit_begin(op, left) + units * unit_ticks(op->join.unit);
}

/* The last moment at which a right row could match this left row. */
static int64_t last_chance(const struct op *op, const struct kept *k)
{
    struct value t = k->values[op->join.left_time];
    if (t.type != VALUE_DATETIME)
        return k->time;
    int64_t last = bound(op, t.i, op->join.high + 1) - 1;
    return last > k->time ? last : k->time;
}

/* No left row that is still to come reaches back to a right row of this time. */
static bool right_is_over(const struct op *op, const struct kept *k, int64_t mark)
{
    return bound(op, mark - op->join.lag, op->join.low) > k->time;
}

/* ---- halves ---- */

static enum code half_put(struct stream *s, struct half *h, const struct value *keys, uint32_t n, struct kept *k)
{
    if (h->count == h->room) {
        size_t room = h->room ? 2 * h->room : 64;
        struct kept **rows = mem_alloc(room * sizeof *rows);
        struct entry **owners = mem_alloc(room * sizeof *owners);
        if (!rows || !owners) {
            mem_free(rows);
            mem_free(owners);
            return run_no_memory(s);
        }
        for (size_t i = 0; i < h->count; i++) {
            rows[i] = h->rows[(h->head + i) & (h->room - 1)];
            owners[i] = h->owners[(h->head + i) & (h->room - 1)];
        }
        mem_free(h->rows);
        mem_free(h->owners);
        h->rows = rows;
        h->owners = owners;
        h->head = 0;
        h->room = room;
    }
    uint64_t hash = keyed_hash(&h->table, keys, n);
    struct entry *e = (struct entry *)keyed_find(&h->table, hash, keys, n);
    if (!e) {
        size_t size = sizeof *e + n * sizeof *keys + keep_size(keys, n);
        if (!(e = mem_alloc(size)))
            return run_no_memory(s);
        struct value *copy = (struct value *)(e + 1);
        keep_copy(copy, keys, n, (uint8_t *)(copy + n));
        *e = (struct entry){ .entry = { .hash = hash, .keys = copy }, .size = size };
        if (keyed_put(&h->table, &e->entry) != CODE_OK) {
            mem_free(e);
            return run_no_memory(s);
        }
        s->state_bytes += size;
        s->groups++;
    }
    k->next = NULL;
    *(e->last ? &e->last->next : &e->first) = k;
    e->last = k;
    size_t at = (h->head + h->count++) & (h->room - 1);
    h->rows[at] = k;
    h->owners[at] = e;
    return CODE_OK;
}

/* The oldest row leaves its half; it is the oldest of its keys, too. */
static struct kept *half_take(struct stream *s, struct half *h)
{
    struct kept *k = h->rows[h->head];
    struct entry *e = h->owners[h->head];
    h->head = (h->head + 1) & (h->room - 1);
    h->count--;
    FG_ASSERT(e->first == k);
    e->first = k->next;
    if (!e->first) {
        keyed_remove(&h->table, &e->entry);
        s->state_bytes -= e->size;
        s->groups--;
        mem_free(e);
    }
    return k;
}

static struct kept *half_oldest(const struct half *h)
{
    return h->count ? h->rows[h->head] : NULL;
}

static void half_free(struct stream *s, struct half *h)
{
    while (h->count)
        kept_free(s, half_take(s, h));
    keyed_clear(&h->table);
    mem_free(h->rows);
    mem_free(h->owners);
}

/* ---- life ---- */

static void give_back(struct stream *s, const struct op *op, void *state)
{
    struct joining *j = state;
    (void)op;
    if (j->merge.ports)
        merge_free(s, &j->merge);
    half_free(s, &j->left);
    half_free(s, &j->right);
    mem_free(j->heap);
    mem_free(j->keys);
    mem_free(j);
}

static void *make(struct stream *s, const struct op *op)
{
    struct joining *j = mem_zalloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->left.table.fold = j->right.table.fold = s->query->options.ignore_case;
    j->told = TIME_NONE;
    j->keys = mem_zalloc(op->join.keys + 1, sizeof *j->keys);
    if (j->keys && merge_make(&j->merge, 2) == CODE_OK)
        return j;
    mem_free(j->keys);
    mem_free(j);
    return NULL;
}

/* ---- rows without a partner ---- */

static bool sooner(struct waiting a, struct waiting b)
{
    return a.until != b.until ? a.until < b.until : a.row->sequence < b.row->sequence;
}

static enum code wait_for(struct stream *s, const struct op *op, struct joining *j, struct kept *k)
{
    if (j->count == j->room) {
        size_t room = j->room ? 2 * j->room : 16;
        struct waiting *more = mem_realloc(j->heap, room * sizeof *more);
        if (!more)
            return run_no_memory(s);
        j->heap = more;
        j->room = room;
    }
    struct waiting w = { k, last_chance(op, k) };
    size_t i = j->count++;
    for (; i && sooner(w, j->heap[(i - 1) / 2]); i = (i - 1) / 2)
        j->heap[i] = j->heap[(i - 1) / 2];
    j->heap[i] = w;
    return CODE_OK;
}

static struct waiting next_waiting(struct joining *j)
{
    struct waiting top = j->heap[0], last = j->heap[--j->count];
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= j->count)
            break;
        if (c + 1 < j->count && sooner(j->heap[c + 1], j->heap[c]))
            c++;
        if (!sooner(j->heap[c], last))
            break;
        j->heap[i] = j->heap[c];
        i = c;
    }
    if (j->count)
        j->heap[i] = last;
    return top;
}

static enum code emit_alone(struct stream *s, struct lane *l, const struct op *op, const struct kept *k, int64_t time)
{
    struct arena_mark mark = arena_mark(&s->scratch);
    struct value *slots = run_take(s, op->width, sizeof *slots);
    if (!slots)
        return run_no_memory(s);
    memcpy(slots, k->values, op->join.left_width * sizeof *slots);
    for (uint32_t i = 0; i < op->join.right_width; i++)
        slots[op->join.left_width + i] = value_null();
    struct row row = { slots, time };
    enum code code = run_emit(s, l, op, &row);
    arena_release(&s->scratch, mark);
    return code;
}

/* Rows that gave up before `mark`; then rows nobody can need. */
static enum code expire(struct stream *s, struct lane *l, const struct op *op, struct joining *j, int64_t mark)
{
    while (j->count && j->heap[0].until < mark) {
        struct waiting w = next_waiting(j);
        enum code code = w.row->flag ? CODE_OK : emit_alone(s, l, op, w.row, w.until);
        w.row->port = 0; /* no longer in the heap */
        if (code != CODE_OK)
            return code;
    }
    for (struct kept *k; (k = half_oldest(&j->left)) && last_chance(op, k) < mark && k->port == 0;)
        kept_free(s, half_take(s, &j->left));
    for (struct kept *k; (k = half_oldest(&j->right)) && (mark == INT64_MAX || right_is_over(op, k, mark));)
        kept_free(s, half_take(s, &j->right));
    return CODE_OK;
}

/* ---- pairs ---- */

static enum code pair(struct stream *s, struct lane *l, const struct op *op, struct kept *left, struct kept *right, int64_t time)
{
    struct arena_mark mark = arena_mark(&s->scratch);
    uint32_t n = op->join.left_width;
    struct value *slots = run_take(s, op->width, sizeof *slots);
    bool match = false;
    if (!slots)
        return run_no_memory(s);
    memcpy(slots, left->values, n * sizeof *slots);
    memcpy(slots + n, right->values, op->join.right_width * sizeof *slots);
    struct row row = { slots, time };
    enum code code = join_matches(s, op->join.on, &row, &match);
    left->flag |= match;
    if (match)
        code = run_emit(s, l, op, &row);
    arena_release(&s->scratch, mark);
    return code;
}

static bool within(const struct op *op, const struct kept *left, const struct kept *right)
{
    struct value t = left->values[op->join.left_time];
    if (t.type != VALUE_DATETIME)
        return false;
    return right->time >= bound(op, t.i, op->join.low) && right->time < bound(op, t.i, op->join.high + 1);
}

/* Takes over the row. */
static enum code meet(struct stream *s, struct lane *l, const struct op *op, struct joining *j, struct kept *k)
{
    bool is_left = k->port == 0;
    struct half *own = is_left ? &j->left : &j->right, *other = is_left ? &j->right : &j->left;
    struct row row = { k->values, k->time };
    struct arena_mark mark = arena_mark(&s->scratch);
    bool keyed = false;
    struct entry *e = NULL;
    enum code code = join_eval(s, is_left ? op->join.left_keys : op->join.right_keys, op->join.keys, &row, j->keys, &keyed);
    k->sequence = j->sequence++;
    k->flag = false;
    if (keyed)
        e = (struct entry *)keyed_find(&other->table, keyed_hash(&other->table, j->keys, op->join.keys), j->keys, op->join.keys);
    for (struct kept *m = e ? e->first : NULL; m && code == CODE_OK; m = m->next)
        if (within(op, is_left ? k : m, is_left ? m : k))
            code = pair(s, l, op, is_left ? k : m, is_left ? m : k, k->time);
    /* Nobody finds a row without keys; a left one may still have to be given out. */
    k->port = 0;
    if (code == CODE_OK && is_left && op->join.outer && !k->flag) {
        code = wait_for(s, op, j, k);
        k->port = code == CODE_OK; /* in the heap */
    }
    if (code == CODE_OK && (keyed || k->port)) {
        if (!keyed)
            for (uint32_t i = 0; i < op->join.keys; i++)
                j->keys[i] = value_null();
        code = half_put(s, own, j->keys, op->join.keys, k);
        if (code != CODE_OK && k->port)
            j->count = 0; /* the stream is lost: nothing may point to the row */
        if (code != CODE_OK)
            kept_free(s, k);
    } else {
        kept_free(s, k);
    }
    arena_release(&s->scratch, mark);
    return code;
}

static enum code take(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, const struct row *r)
{
    struct joining *j = state;
    (void)l;
    return merge_put(s, &j->merge, port, r, port ? op->join.right_width : op->join.left_width);
}

static enum code advance(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, int64_t mark)
{
    struct joining *j = state;
    int64_t all = merge_mark(&j->merge, port, mark);
    for (struct kept *k; (k = merge_next(s, &j->merge, all));) {
        enum code code = expire(s, l, op, j, k->time);
        if (code != CODE_OK) {
            kept_free(s, k);
            return code;
        }
        TRY(meet(s, l, op, j, k));
    }
    TRY(expire(s, l, op, j, all));
    if (all <= j->told)
        return CODE_OK;
    j->told = all;
    return run_advance_outs(s, l, op, all);
}

/* Who only may find a partner waits for no time. */
static int64_t due(const void *state)
{
    const struct joining *j = state;
    int64_t row = merge_due(&j->merge);
    return j->count && j->heap[0].until < row ? j->heap[0].until : row;
}

/* ---- state ---- */

static void save_half(const struct half *h, struct buf *out)
{
    buf_varint(out, h->count);
    for (size_t i = 0; i < h->count; i++) {
        const struct kept *k = h->rows[(h->head + i) & (h->room - 1)];
        save_kept(out, k);
        buf_u8(out, k->port == 1);
    }
}

static void save(const struct stream *s, const struct op *op, const void *state, struct buf *out)
{
    const struct joining *j = state;
    (void)s;
    (void)op;
    buf_le64(out, j->sequence);
    buf_le64(out, (uint64_t)j->told);
    merge_save(&j->merge, out);
    save_half(&j->left, out);
    save_half(&j->right, out);
}

static enum code load_half(struct loader *l, const struct op *op, struct joining *j, bool left)
{
    struct stream *s = l->stream;
    struct half *h = left ? &j->left : &j->right;
    uint64_t n = load_count(l, UINT32_MAX);
    for (; n && !l->bad; n--) {
        struct kept *k;
        TRY(load_kept(l, left ? op->join.left_width : op->join.right_width, &k));
        bool waits = load_count(l, left && op->join.outer ? 1 : 0) != 0;
        struct row row = { k->values, k->time };
        enum code code = l->bad || k->time > INT64_MAX / 2 || k->time < INT64_MIN / 2 ? load_bad(l, "a row of a join") : CODE_OK;
        bool keyed = false;
        if (code == CODE_OK)
            code = join_eval(s, left ? op->join.left_keys : op->join.right_keys, op->join.keys, &row, j->keys, &keyed);
        for (uint32_t i = 0; !keyed && i < op->join.keys; i++)
            j->keys[i] = value_null();
        if (code == CODE_OK)
            code = half_put(s, h, j->keys, op->join.keys, k);
        arena_reset(&s->scratch);
        if (code != CODE_OK) {
            kept_free(s, k);
            return code == CODE_DAMAGED ? code : FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        }
        if (waits && wait_for(s, op, j, k) != CODE_OK)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        k->port = waits;
    }
    return l->bad ? load_bad(l, "rows of a join") : CODE_OK;
}

static enum code load(struct loader *l, const struct op *op, void *state)
{
    struct joining *j = state;
    const uint32_t widths[2] = { op->join.left_width, op->join.right_width };
    j->sequence = load_u64(l);
    j->told = load_time(l);
    TRY(merge_load(l, &j->merge, widths));
    TRY(load_half(l, op, j, true));
    return load_half(l, op, j, false);
}

const struct operator_kind operator_join = { make, give_back, take, advance, due, save, load };
