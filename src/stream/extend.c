/* Analytic functions over each row of a source: LAG, LAST, ISFIRST, and the anomaly functions (anomaly.c). They see every row, before WHERE
 * and JOIN, and remember by PARTITION BY what fits WHEN. Partitions stand in the order of their last event, so that those that
 * LIMIT DURATION has passed are found at the front. */
#include "stream/anomaly.h"

struct memory { /* of one function for one partition */
    struct keyed_entry entry;
    int64_t            last; /* time of the last row that was remembered; ISFIRST: the interval's end */
    size_t             size;
    struct kept       *first, *newest; /* LAG: at most `offset` rows, oldest first; LAST: one */
    uint32_t           count;
};
struct function {
    struct keyed  table;
    struct anomalies *anomalies;
};
struct extending {
    struct function  *functions;
    struct value     *keys; /* of one row */
};

static void memory_free(struct stream *s, struct memory *m)
{
    for (struct kept *k = m->first, *next; k; k = next) {
        next = k->next;
        kept_free(s, k);
    }
    s->groups--;
    s->state_bytes -= m->size;
    mem_free(m);
}

static void give_back(struct stream *s, const struct op *op, void *state)
{
    struct extending *x = state;
    for (uint32_t i = 0; x->functions && i < op->extend.count; i++) {
        for (struct keyed_entry *e = x->functions[i].table.first, *next; e; e = next) {
            next = e->after;
            memory_free(s, (struct memory *)e);
        }
        keyed_clear(&x->functions[i].table);
        anomalies_free(s, x->functions[i].anomalies);
    }
    mem_free(x->functions);
    mem_free(x->keys);
    mem_free(x);
}

static void *make(struct stream *s, const struct op *op)
{
    struct extending *x = mem_zalloc(1, sizeof *x);
    uint32_t keys = 0;
    if (!x)
        return NULL;
    x->functions = mem_zalloc(op->extend.count + 1, sizeof *x->functions);
    for (uint32_t i = 0; i < op->extend.count; i++)
        keys = op->extend.at[i].key_count > keys ? op->extend.at[i].key_count : keys;
    x->keys = mem_zalloc(keys + 1, sizeof *x->keys);
    bool ok = x->functions && x->keys;
    for (uint32_t i = 0; ok && i < op->extend.count; i++) {
        x->functions[i].table.fold = s->query->options.ignore_case;
        if (op->extend.at[i].kind == ANALYTIC_ANOMALY)
            ok = (x->functions[i].anomalies = anomalies_make(s, &op->extend.at[i])) != NULL;
    }
    if (ok)
        return x;
    give_back(s, op, x);
    return NULL;
}

/* ---- memories ---- */

static enum code find(struct stream *s, struct function *f, const struct value *keys, uint32_t count, bool add, struct memory **out)
{
    uint64_t hash = keyed_hash(&f->table, keys, count);
    struct memory *m = (struct memory *)keyed_find(&f->table, hash, keys, count);
    *out = m;
    if (m || !add)
        return CODE_OK;
    size_t size = sizeof *m + count * sizeof *keys + keep_size(keys, count);
    if (!(m = mem_alloc(size)))
        return run_no_memory(s);
    struct value *copy = (struct value *)(m + 1);
    keep_copy(copy, keys, count, (uint8_t *)(copy + count));
    *m = (struct memory){ .entry = { .hash = hash, .keys = copy }, .size = size, .last = TIME_NONE };
    if (keyed_put(&f->table, &m->entry) != CODE_OK) {
        mem_free(m);
        return run_no_memory(s);
    }
    s->groups++;
    s->state_bytes += size;
    *out = m;
    return CODE_OK;
}

/* A few of the oldest that can no longer matter. */
static void forget(struct stream *s, const struct analytic *a, struct function *f, int64_t now)
{
    for (int i = 0; i < 2 && f->table.first; i++) {
        struct memory *m = (struct memory *)f->table.first;
        bool over = a->kind == ANALYTIC_ISFIRST ? m->last < now : m->last < now - a->duration;
        if (!over)
            return;
        keyed_remove(&f->table, &m->entry);
        memory_free(s, m);
    }
}

static enum code remember(struct stream *s, const struct analytic *a, struct function *f, const struct row *r, const struct value *keys,
                          struct memory *m, struct value x, bool failed)
{
    if (!m)
        TRY(find(s, f, keys, a->key_count, true, &m));
    struct kept *k = kept_make(s, &x, 1, r->time);
    if (!k)
        return run_no_memory(s);
    k->flag = failed;
    *(m->newest ? &m->newest->next : &m->first) = k;
    m->newest = k;
    m->last = r->time;
    if (++m->count > a->offset) {
        struct kept *old = m->first;
        m->first = old->next;
        m->count--;
        kept_free(s, old);
    }
    keyed_touch(&f->table, &m->entry);
    return CODE_OK;
}

/* ---- functions ---- */

static enum code is_first(struct stream *s, const struct analytic *a, struct function *f, const struct row *r, const struct value *keys,
                          bool when, struct value *out)
{
    int64_t end = -floor_time(-r->time, a->duration);
    struct memory *m;
    *out = value_bigint(0);
    if (!when)
        return CODE_OK;
    TRY(find(s, f, keys, a->key_count, true, &m));
    if (m->last == end)
        return CODE_OK;
    m->last = end;
    keyed_touch(&f->table, &m->entry);
    *out = value_bigint(1);
    return CODE_OK;
}

/* What LAG and LAST give out may be freed before the row has been used. */
static enum code give(struct stream *s, struct value v, struct value *out)
{
    if (v.type < VALUE_TEXT) {
        *out = v;
        return CODE_OK;
    }
    uint8_t *at = run_take(s, keep_size(&v, 1) + 8, 1);
    if (!at)
        return run_no_memory(s);
    keep_copy(out, &v, 1, at);
    return CODE_OK;
}

static enum code look_back(struct stream *s, const struct analytic *a, const struct memory *m, const struct row *r, struct value *out)
{
    const struct kept *k = m && m->count == a->offset ? m->first : NULL;
    if (k && k->time >= r->time - a->duration && k->flag) /* x failed on that row: it fails where it is used */
        return FAIL(&s->eval.why, CODE_MALFORMED, 0, "%.*s", BYTES_FMT(value_bytes(k->values[0])));
    if (k && k->time >= r->time - a->duration)
        return give(s, k->values[0], out);
    *out = value_null();
    return a->otherwise ? run_value(s, a->otherwise, -1, r, out) : CODE_OK;
}

static enum code lag(struct stream *s, const struct analytic *a, struct function *f, const struct row *r, const struct value *keys, bool when,
                     struct value *out)
{
    struct memory *m;
    struct value x = value_null();
    enum code code = CODE_OK, own = CODE_OK;
    char said[sizeof s->eval.why.text];
    TRY(find(s, f, keys, a->key_count, false, &m));
    if (when && (own = run_value(s, a->x, -1, r, &x)) != CODE_OK) {
        if (own != CODE_MALFORMED)
            return own;
        memcpy(said, s->eval.why.text, sizeof said);
        x = value_text(bytes_str(said));
    }
    if (a->kind == ANALYTIC_LAST && when) {
        *out = x;
        code = own;
    } else {
        code = look_back(s, a, m, r, out);
    }
    struct fault why = s->eval.why;
    if (when && (code == CODE_OK || code == CODE_MALFORMED))
        TRY(remember(s, a, f, r, keys, m, x, own != CODE_OK));
    s->eval.why = why;
    return code;
}

static enum code call(struct stream *s, const struct analytic *a, struct extending *x, struct function *f, const struct row *r,
                      struct value *out)
{
    bool when = true;
    for (uint32_t i = 0; i < a->key_count; i++) {
        enum code code = run_value(s, a->keys[i], -1, r, &x->keys[i]);
        if (code != CODE_OK)
            return code;
    }
    if (a->when) {
        run_at(s, r);
        enum code code = expr_test(a->when, &s->eval, &when);
        if (code != CODE_OK)
            return code;
    }
    forget(s, a, f, r->time);
    switch (a->kind) {
    case ANALYTIC_ISFIRST: return is_first(s, a, f, r, x->keys, when, out);
    case ANALYTIC_ANOMALY: return anomalies_row(s, a, f->anomalies, r, x->keys, when, out);
    default: return lag(s, a, f, r, x->keys, when, out);
    }
}

static enum code take(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, const struct row *r)
{
    struct extending *x = state;
    struct value *slots = run_take(s, op->width, sizeof *slots);
    uint32_t from = op->extend.from;
    (void)port;
    if (!slots)
        return run_no_memory(s);
    if (from)
        memcpy(slots, r->slots, from * sizeof *slots);
    /* All functions see the row, also when one of them fails on it. */
    enum code failed = CODE_OK;
    struct fault first = { 0 };
    for (uint32_t i = 0; i < op->extend.count; i++) {
        enum code code = call(s, &op->extend.at[i], x, &x->functions[i], r, &slots[from + i]);
        if (code == CODE_NOMEM)
            return code;
        if (code != CODE_OK && failed == CODE_OK) {
            failed = code;
            first = s->eval.why;
        }
    }
    if (failed != CODE_OK) {
        s->eval.why = first;
        return run_failed(s, failed);
    }
    if (op->extend.stamp)
        slots[from + op->extend.count] = value_datetime(r->time);
    struct row out = { slots, r->time };
    return run_emit(s, l, op, &out);
}

/* ---- state ---- */

static void save(const struct stream *s, const struct op *op, const void *state, struct buf *out)
{
    const struct extending *x = state;
    (void)s;
    for (uint32_t i = 0; i < op->extend.count; i++) {
        const struct function *f = &x->functions[i];
        if (f->anomalies) {
            anomalies_save(f->anomalies, out);
            continue;
        }
        buf_varint(out, f->table.count);
        for (struct keyed_entry *e = f->table.first; e; e = e->after) {
            const struct memory *m = (const struct memory *)e;
            save_values(out, e->keys, op->extend.at[i].key_count);
            buf_le64(out, (uint64_t)m->last);
            buf_varint(out, m->count);
            for (const struct kept *k = m->first; k; k = k->next)
                save_kept(out, k);
        }
    }
}

static enum code load_memory(struct loader *l, const struct analytic *a, struct extending *x, struct function *f)
{
    struct memory *m;
    size_t before = f->table.count;
    TRY(load_values(l, x->keys, a->key_count));
    if (find(l->stream, f, x->keys, a->key_count, true, &m) != CODE_OK)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    if (f->table.count == before)
        return load_bad(l, "a partition stands in it twice");
    m->last = load_time(l);
    uint64_t n = load_count(l, a->kind == ANALYTIC_ISFIRST ? 0 : a->offset);
    for (; n && !l->bad; n--) {
        struct kept *k;
        TRY(load_kept(l, 1, &k));
        *(m->newest ? &m->newest->next : &m->first) = k;
        m->newest = k;
        m->count++;
        if (k->flag && k->values[0].type != VALUE_TEXT)
            return load_bad(l, "a row of an analytic function");
    }
    return l->bad ? load_bad(l, "rows of an analytic function") : CODE_OK;
}

static enum code load(struct loader *l, const struct op *op, void *state)
{
    struct extending *x = state;
    for (uint32_t i = 0; i < op->extend.count; i++) {
        if (x->functions[i].anomalies) {
            TRY(anomalies_load(l, &op->extend.at[i], x->functions[i].anomalies));
            continue;
        }
        uint64_t n = load_count(l, UINT32_MAX);
        for (; n && !l->bad; n--)
            TRY(load_memory(l, &op->extend.at[i], x, &x->functions[i]));
        if (l->bad)
            return load_bad(l, "an analytic function");
    }
    return CODE_OK;
}

const struct operator_kind operator_extend = { make, give_back, take, NULL, NULL, save, load };

void extend_models(const struct op *op, const void *state, void (*each)(struct anomalies *, void *ctx), void *ctx)
{
    const struct extending *x = state;
    for (uint32_t i = 0; i < op->extend.count; i++)
        if (x->functions[i].anomalies)
            each(x->functions[i].anomalies, ctx);
}
