#include "stream/aggregate.h"

#include <math.h>
#include <stdlib.h>

struct distinct {
    struct keyed_entry entry;
    struct value       key;
    size_t             size;
};

/* ---- what a row brings ---- */

static bool is_number(struct value v)
{
    return v.type == VALUE_BIGINT || v.type == VALUE_FLOAT;
}

static bool has_order(struct value v)
{
    return is_number(v) || v.type == VALUE_TEXT || v.type == VALUE_DATETIME;
}

static uint8_t kind_of(struct value v)
{
    return v.type == VALUE_NULL ? 0 : v.type == VALUE_TEXT ? 1 : v.type == VALUE_DATETIME ? 2 : 4;
}

static enum code wrong_type(struct stream *s, const struct aggregate *g, struct value v, bool numbers)
{
    return FAIL(&s->eval.why, CODE_MALFORMED, 0,
                "The 1st argument of function %s has invalid type '%s'. Only %s is allowed. At line '%u' and column '%u'.", g->name,
                value_type_name(v.type), numbers ? "'bigint', 'float'" : "'bigint', 'float', 'nvarchar(max)', 'datetime'", g->at.line,
                g->at.column);
}

static enum code check(struct stream *s, const struct aggregate *g, struct value v)
{
    if (v.type == VALUE_NULL || g->kind <= AGGREGATE_COUNT_DISTINCT || g->kind == AGGREGATE_COLLECT || g->kind == AGGREGATE_TOP ||
        g->kind == AGGREGATE_TOP_ONE)
        return CODE_OK;
    if (g->kind == AGGREGATE_MIN || g->kind == AGGREGATE_MAX)
        return has_order(v) ? CODE_OK : wrong_type(s, g, v, false);
    return is_number(v) ? CODE_OK : wrong_type(s, g, v, true);
}

static enum code take_order(struct stream *s, const struct aggregate *g, const struct row *r, struct contribution *out)
{
    if (!(out->order = run_take(s, g->orders, sizeof *out->order)))
        return run_no_memory(s);
    for (uint32_t i = 0; i < g->orders; i++) {
        enum code code = run_value(s, g->order[i], -1, r, &out->order[i]);
        if (code != CODE_OK)
            return code;
        if (out->order[i].type != VALUE_NULL && !has_order(out->order[i]))
            return wrong_type(s, g, out->order[i], false);
    }
    return CODE_OK;
}

enum code aggregates_take(struct stream *s, const struct op *op, const struct row *r, struct contribution *out)
{
    for (uint32_t i = 0; i < op->group.aggregate_count; i++) {
        const struct aggregate *g = &op->group.aggregates[i];
        out[i] = (struct contribution){ .v = value_null() };
        if (g->x) {
            enum code code = run_value(s, g->x, g->slot, r, &out[i].v);
            if (code != CODE_OK)
                return code;
            TRY(check(s, g, out[i].v));
        }
        if (g->orders && (g->kind == AGGREGATE_TOP || g->kind == AGGREGATE_TOP_ONE))
            TRY(take_order(s, g, r, &out[i]));
    }
    return CODE_OK;
}

/* ---- order ---- */

static int order_values(const struct stream *s, struct value a, struct value b)
{
    bool fold = s->query->options.ignore_case && a.type == VALUE_TEXT && b.type == VALUE_TEXT;
    return fold ? keyed_order_folded(a, b) : value_order(a, b);
}

/* Negative: a comes first. Equal ones: the earlier. */
static int order_items(const struct stream *s, const struct aggregate *g, const struct kept *a, const struct kept *b)
{
    for (uint32_t i = 0; i < g->orders; i++) {
        int sign = order_values(s, a->values[1 + i], b->values[1 + i]);
        if (sign)
            return g->descending[i] ? -sign : sign;
    }
    return a->sequence < b->sequence ? -1 : 1;
}

static bool better(const struct stream *s, const struct aggregate *g, const struct kept *fresh, const struct kept *have)
{
    if (!have)
        return true;
    if (g->kind == AGGREGATE_TOP_ONE)
        return order_items(s, g, fresh, have) < 0;
    int sign = order_values(s, fresh->values[0], have->values[0]);
    return g->kind == AGGREGATE_MIN ? sign < 0 : sign > 0;
}

static uint64_t kinds_of(const struct aggregate *g, const struct contribution *c)
{
    uint64_t kinds = 0;
    for (uint32_t i = 0; i < g->orders; i++)
        kinds |= (uint64_t)kind_of(c->order[i]) << 3 * i;
    return kinds;
}

static bool mixed(uint64_t kinds)
{
    for (; kinds; kinds >>= 3)
        if ((kinds & 7) & ((kinds & 7) - 1))
            return true;
    return false;
}

/* ---- adding ---- */

static __int128 whole_of(const struct acc *a)
{
    return (__int128)((unsigned __int128)(uint64_t)a->high << 64 | a->low);
}

static void set_whole(struct acc *a, __int128 n)
{
    a->low = (uint64_t)n;
    a->high = (int64_t)(n >> 64);
}

static void add_number(struct acc *a, struct value v)
{
    if (v.type == VALUE_BIGINT) {
        set_whole(a, whole_of(a) + v.i);
        return;
    }
    a->floats = true;
    double t = a->sum + v.f; /* Neumaier */
    a->rest += fabs(a->sum) >= fabs(v.f) ? (a->sum - t) + v.f : (v.f - t) + a->sum;
    a->sum = t;
}

static void add_variance(struct acc *a, double x)
{
    double d = x - a->mean;
    a->mean += d / (double)a->count;
    a->squares += d * (x - a->mean);
}

static struct kept *keep_item(struct stream *s, const struct aggregate *g, const struct contribution *c, uint64_t sequence)
{
    uint32_t orders = c->order ? g->orders : 0;
    struct value *v = run_take(s, 1 + (size_t)orders, sizeof *v);
    if (!v)
        return NULL;
    v[0] = c->v;
    for (uint32_t i = 0; i < orders; i++)
        v[1 + i] = c->order[i];
    struct kept *k = kept_make(s, v, 1 + orders, 0);
    if (k)
        k->sequence = sequence;
    return k;
}

/* Cheap: does the row beat what is there? Only then it is copied. */
static bool may_win(const struct stream *s, const struct aggregate *g, const struct contribution *c, const struct kept *have)
{
    if (!have)
        return true;
    if (g->kind != AGGREGATE_TOP_ONE) {
        int sign = order_values(s, c->v, have->values[0]);
        return g->kind == AGGREGATE_MIN ? sign < 0 : sign > 0;
    }
    for (uint32_t i = 0; i < g->orders; i++) {
        int sign = order_values(s, c->order[i], have->values[1 + i]);
        if (sign)
            return g->descending[i] ? sign > 0 : sign < 0;
    }
    return false;
}

static enum code add_best(struct stream *s, const struct aggregate *g, struct acc *a, struct acc *also, const struct contribution *c,
                          uint64_t sequence)
{
    uint64_t kinds = g->kind == AGGREGATE_TOP_ONE ? kinds_of(g, c) : kind_of(c->v);
    a->kinds |= kinds;
    if (also)
        also->kinds |= kinds;
    if (!may_win(s, g, c, a->first))
        return CODE_OK;
    struct kept *k = keep_item(s, g, c, sequence);
    if (!k)
        return run_no_memory(s);
    /* What also borrows may be what is freed here: then the new one is better than it, too. */
    if (also && better(s, g, k, also->first))
        also->first = k;
    kept_free(s, a->first);
    a->first = k;
    return CODE_OK;
}

static enum code add_item(struct stream *s, const struct aggregate *g, struct acc *a, const struct contribution *c, uint64_t sequence)
{
    struct kept *k = keep_item(s, g, c, sequence);
    if (!k)
        return run_no_memory(s);
    *(a->last ? &a->last->next : &a->first) = k;
    a->last = k;
    if (g->kind == AGGREGATE_TOP)
        a->kinds |= kinds_of(g, c);
    return CODE_OK;
}

static enum code add_distinct(struct stream *s, struct acc *a, struct value v)
{
    if (!a->set) {
        if (!(a->set = mem_zalloc(1, sizeof *a->set)))
            return run_no_memory(s);
        a->set->fold = s->query->options.ignore_case;
    }
    uint64_t hash = keyed_hash(a->set, &v, 1);
    if (keyed_find(a->set, hash, &v, 1))
        return CODE_OK;
    size_t size = sizeof(struct distinct) + keep_size(&v, 1);
    struct distinct *d = mem_alloc(size);
    if (!d)
        return run_no_memory(s);
    *d = (struct distinct){ .entry = { .hash = hash, .keys = &d->key }, .size = size };
    keep_copy(&d->key, &v, 1, (uint8_t *)(d + 1));
    if (keyed_put(a->set, &d->entry) != CODE_OK) {
        mem_free(d);
        return run_no_memory(s);
    }
    s->state_bytes += size;
    return CODE_OK;
}

enum code acc_add(struct stream *s, const struct aggregate *g, struct acc *a, struct acc *also, const struct contribution *c,
                  uint64_t sequence)
{
    if (c->v.type == VALUE_NULL && g->kind != AGGREGATE_COUNT_ALL && g->kind != AGGREGATE_COLLECT && g->kind != AGGREGATE_TOP &&
        g->kind != AGGREGATE_TOP_ONE)
        return CODE_OK;
    a->count++;
    if (also)
        also->count++;
    switch (g->kind) {
    case AGGREGATE_COUNT_ALL:
    case AGGREGATE_COUNT: return CODE_OK;
    case AGGREGATE_COUNT_DISTINCT: return add_distinct(s, a, c->v);
    case AGGREGATE_SUM:
    case AGGREGATE_AVG:
        add_number(a, c->v);
        if (also)
            add_number(also, c->v);
        return CODE_OK;
    case AGGREGATE_VAR:
    case AGGREGATE_VARP:
    case AGGREGATE_STDEV:
    case AGGREGATE_STDEVP: {
        double x = c->v.type == VALUE_BIGINT ? (double)c->v.i : c->v.f;
        add_variance(a, x);
        if (also)
            add_variance(also, x);
        return CODE_OK;
    }
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_TOP_ONE: return add_best(s, g, a, also, c, sequence);
    default: return add_item(s, g, a, c, sequence);
    }
}

/* ---- merging ---- */

bool acc_is_scalar(const struct aggregate *g)
{
    return g->kind != AGGREGATE_COUNT_DISTINCT && g->kind != AGGREGATE_COLLECT && g->kind != AGGREGATE_TOP &&
           g->kind != AGGREGATE_PERCENTILE_CONT && g->kind != AGGREGATE_PERCENTILE_DISC;
}

static void merge_variance(struct acc *into, const struct acc *from, uint64_t count)
{
    double n = (double)count, m = (double)from->count, d = from->mean - into->mean, all = n + m;
    if (!from->count)
        return;
    into->mean += d * m / all;
    into->squares += from->squares + d * d * n * m / all;
}

void acc_merge(const struct stream *s, const struct aggregate *g, struct acc *into, const struct acc *from)
{
    uint64_t count = into->count;
    into->count += from->count;
    into->kinds |= from->kinds;
    switch (g->kind) {
    case AGGREGATE_SUM:
    case AGGREGATE_AVG:
        set_whole(into, whole_of(into) + whole_of(from));
        if (from->floats) {
            add_number(into, value_float(from->sum));
            into->rest += from->rest;
        }
        return;
    case AGGREGATE_VAR:
    case AGGREGATE_VARP:
    case AGGREGATE_STDEV:
    case AGGREGATE_STDEVP: merge_variance(into, from, count); return;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_TOP_ONE:
        if (from->first && better(s, g, from->first, into->first))
            into->first = from->first;
        return;
    default: return;
    }
}

/* ---- results ---- */

static double total(const struct acc *a)
{
    return (a->sum + a->rest) + (double)whole_of(a);
}

static enum code result_sum(struct stream *s, const struct aggregate *g, const struct acc *a, struct value *out)
{
    if (!a->count)
        return CODE_OK;
    if (a->floats) {
        *out = value_float(isfinite(a->sum) ? total(a) : a->sum);
        return CODE_OK;
    }
    if (whole_of(a) < INT64_MIN || whole_of(a) > INT64_MAX)
        return FAIL(&s->eval.why, CODE_MALFORMED, 0, "SUM: the result is outside of the range of bigint. At line '%u' and column '%u'.",
                    g->at.line, g->at.column);
    *out = value_bigint((int64_t)a->low);
    return CODE_OK;
}

static void result_variance(const struct aggregate *g, const struct acc *a, struct value *out)
{
    bool sample = g->kind == AGGREGATE_VAR || g->kind == AGGREGATE_STDEV;
    if (a->count <= (sample ? 1u : 0u))
        return;
    double v = a->squares / (double)(a->count - sample);
    *out = value_float(g->kind == AGGREGATE_STDEV || g->kind == AGGREGATE_STDEVP ? sqrt(v) : v);
}

static enum code no_order(struct stream *s, const struct aggregate *g)
{
    return FAIL(&s->eval.why, CODE_MALFORMED, 0, "%s: the values are of types that cannot be compared. At line '%u' and column '%u'.",
                g->name, g->at.line, g->at.column);
}

static enum code all_items(struct stream *s, struct acc *const *list, size_t count, struct kept ***out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < count; i++)
        for (const struct kept *k = list[i]->first; k; k = k->next)
            ++*n;
    if (!(*out = run_take(s, *n + 1, sizeof **out)))
        return run_no_memory(s);
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        for (struct kept *k = list[i]->first; k; k = k->next)
            (*out)[at++] = k;
    return CODE_OK;
}

static enum code make_array(struct stream *s, size_t n, struct value **items, struct value *out)
{
    struct array_value *a = run_take(s, 1, sizeof *a);
    *items = run_take(s, n + 1, sizeof **items);
    if (!a || !*items)
        return run_no_memory(s);
    *a = (struct array_value){ .count = (uint32_t)n, .items = *items };
    *out = (struct value){ .type = VALUE_ARRAY, .array = a };
    return CODE_OK;
}

struct ordering {
    const struct stream    *s;
    const struct aggregate *g;
};

static int compare_items(const void *a, const void *b, void *ctx)
{
    const struct ordering *o = ctx;
    const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;
    return x == y ? 0 : order_items(o->s, o->g, x, y);
}

static int compare_values(const void *a, const void *b, void *ctx)
{
    const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;
    (void)ctx;
    int sign = value_order(x->values[0], y->values[0]);
    return sign ? sign : x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static enum code result_top(struct stream *s, const struct aggregate *g, struct kept **items, size_t n, struct value *out)
{
    struct ordering o = { s, g };
    struct value *to;
    qsort_r(items, n, sizeof *items, compare_items, &o);
    n = n < g->top ? n : g->top;
    TRY(make_array(s, n, &to, out));
    for (size_t i = 0; i < n; i++) {
        struct record_value *r = run_take(s, 1, sizeof *r);
        struct record_field *f = run_take(s, 2, sizeof *f);
        if (!r || !f)
            return run_no_memory(s);
        f[0] = (struct record_field){ BYTES_LIT("rank"), value_bigint((int64_t)i + 1) };
        f[1] = (struct record_field){ BYTES_LIT("value"), items[i]->values[0] };
        *r = (struct record_value){ .count = 2, .fields = f };
        to[i] = (struct value){ .type = VALUE_RECORD, .record = r };
    }
    return CODE_OK;
}

static double number_of(struct value v)
{
    return v.type == VALUE_BIGINT ? (double)v.i : v.f;
}

static void result_percentile(const struct aggregate *g, struct kept **items, size_t n, struct value *out)
{
    if (!n)
        return;
    qsort_r(items, n, sizeof *items, compare_values, NULL);
    bool down = g->descending[0];
    if (g->kind == AGGREGATE_PERCENTILE_DISC) {
        double rank = ceil(g->share * (double)n);
        size_t i = rank < 1 ? 0 : (size_t)rank - 1;
        *out = items[down ? n - 1 - i : i]->values[0];
        return;
    }
    double at = (double)(n - 1) * g->share, low = floor(at);
    size_t i = (size_t)low, k = i + 1 < n ? i + 1 : i;
    double a = number_of(items[down ? n - 1 - i : i]->values[0]), b = number_of(items[down ? n - 1 - k : k]->values[0]);
    *out = value_float(a + (b - a) * (at - low));
}

static enum code result_list(struct stream *s, const struct aggregate *g, struct acc *const *list, size_t count, struct value *out)
{
    struct kept **items;
    struct value *to;
    size_t n;
    uint64_t kinds = 0;
    for (size_t i = 0; i < count; i++)
        kinds |= list[i]->kinds;
    if (mixed(kinds))
        return no_order(s, g);
    TRY(all_items(s, list, count, &items, &n));
    if (g->kind == AGGREGATE_TOP)
        return result_top(s, g, items, n, out);
    if (g->kind != AGGREGATE_COLLECT) {
        result_percentile(g, items, n, out);
        return CODE_OK;
    }
    TRY(make_array(s, n, &to, out));
    for (size_t i = 0; i < n; i++)
        to[i] = items[i]->values[0];
    return CODE_OK;
}

/* Several sets: those of the later ones that no earlier one has. */
static void result_distinct(struct acc *const *list, size_t count, struct value *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (struct keyed_entry *e = list[i]->set ? list[i]->set->first : NULL; e; e = e->after) {
            bool seen = false;
            for (size_t k = 0; k < i && !seen; k++)
                seen = list[k]->set && keyed_find(list[k]->set, e->hash, e->keys, 1);
            n += !seen;
        }
    *out = value_bigint((int64_t)n);
}

enum code acc_result(struct stream *s, const struct aggregate *g, struct acc *const *list, size_t count, struct value *out)
{
    const struct acc *a = list[0];
    *out = value_null();
    switch (g->kind) {
    case AGGREGATE_COUNT_ALL:
    case AGGREGATE_COUNT: *out = value_bigint((int64_t)a->count); return CODE_OK;
    case AGGREGATE_COUNT_DISTINCT: result_distinct(list, count, out); return CODE_OK;
    case AGGREGATE_SUM: return result_sum(s, g, a, out);
    case AGGREGATE_AVG:
        if (a->count)
            *out = value_float((isfinite(a->sum) ? total(a) : a->sum) / (double)a->count);
        return CODE_OK;
    case AGGREGATE_VAR:
    case AGGREGATE_VARP:
    case AGGREGATE_STDEV:
    case AGGREGATE_STDEVP: result_variance(g, a, out); return CODE_OK;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_TOP_ONE:
        if (mixed(a->kinds))
            return no_order(s, g);
        if (a->first)
            *out = a->first->values[0];
        return CODE_OK;
    default: return result_list(s, g, list, count, out);
    }
}

/* ---- giving back ---- */

static bool has_items(const struct aggregate *g)
{
    return g->kind == AGGREGATE_MIN || g->kind == AGGREGATE_MAX || g->kind >= AGGREGATE_COLLECT;
}

static void set_free(struct stream *s, struct keyed *set)
{
    for (struct keyed_entry *e = set->first, *next; e; e = next) {
        next = e->after;
        s->state_bytes -= ((struct distinct *)e)->size;
        mem_free(e);
    }
    keyed_clear(set);
    mem_free(set);
}

void acc_free(struct stream *s, const struct aggregate *g, struct acc *a)
{
    if (has_items(g)) {
        for (struct kept *k = a->first, *next; k; k = next) {
            next = k->next;
            kept_free(s, k);
        }
    } else if (g->kind == AGGREGATE_COUNT_DISTINCT && a->set) {
        set_free(s, a->set);
    }
    *a = (struct acc){ 0 };
}

/* ---- state ---- */

static void save_double(struct buf *out, double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    buf_le64(out, u);
}

static double load_double(struct loader *l)
{
    uint64_t u = load_u64(l);
    double d;
    memcpy(&d, &u, 8);
    return d;
}

static void save_items(const struct acc *a, struct buf *out)
{
    uint64_t n = 0;
    for (const struct kept *k = a->first; k; k = k->next)
        n++;
    buf_varint(out, n);
    for (const struct kept *k = a->first; k; k = k->next)
        save_kept(out, k);
}

void acc_save_sums(const struct aggregate *g, const struct acc *a, struct buf *out)
{
    buf_varint(out, a->count);
    buf_varint(out, a->kinds);
    if (g->kind == AGGREGATE_SUM || g->kind == AGGREGATE_AVG) {
        buf_u8(out, a->floats);
        buf_le64(out, a->low);
        buf_le64(out, (uint64_t)a->high);
        save_double(out, a->sum);
        save_double(out, a->rest);
    } else if (g->kind >= AGGREGATE_VAR && g->kind <= AGGREGATE_STDEVP) {
        save_double(out, a->mean);
        save_double(out, a->squares);
    }
}

void acc_save(const struct aggregate *g, const struct acc *a, struct buf *out)
{
    acc_save_sums(g, a, out);
    if (has_items(g)) {
        save_items(a, out);
    } else if (g->kind == AGGREGATE_COUNT_DISTINCT) {
        buf_varint(out, a->set ? a->set->count : 0);
        for (struct keyed_entry *e = a->set ? a->set->first : NULL; e; e = e->after)
            save_values(out, e->keys, 1);
    }
}

static enum code load_items(struct loader *l, const struct aggregate *g, struct acc *a)
{
    bool one = g->kind == AGGREGATE_MIN || g->kind == AGGREGATE_MAX || g->kind == AGGREGATE_TOP_ONE;
    bool ordered = g->kind == AGGREGATE_TOP || g->kind == AGGREGATE_TOP_ONE;
    uint64_t n = load_count(l, one ? 1 : UINT32_MAX);
    for (; n && !l->bad; n--) {
        struct kept *k;
        TRY(load_kept(l, 1 + (ordered ? g->orders : 0), &k));
        *(a->last ? &a->last->next : &a->first) = k;
        a->last = k;
        if (g->kind != AGGREGATE_COLLECT && g->kind != AGGREGATE_TOP && g->kind != AGGREGATE_TOP_ONE && !has_order(k->values[0]))
            return load_bad(l, "a value of an aggregate");
        if ((g->kind == AGGREGATE_PERCENTILE_CONT || g->kind == AGGREGATE_PERCENTILE_DISC) && !is_number(k->values[0]))
            return load_bad(l, "a value of a percentile");
    }
    if (one)
        a->last = NULL;
    return CODE_OK;
}

static enum code load_distinct(struct loader *l, struct acc *a)
{
    uint64_t n = load_count(l, UINT32_MAX);
    for (; n && !l->bad; n--) {
        struct value v;
        TRY(load_values(l, &v, 1));
        if (add_distinct(l->stream, a, v) != CODE_OK)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    }
    return CODE_OK;
}

enum code acc_load_sums(struct loader *l, const struct aggregate *g, struct acc *a)
{
    *a = (struct acc){ .count = load_count(l, UINT64_MAX >> 1) };
    a->kinds = load_count(l, (UINT64_C(1) << 3 * ORDERS_MAX) - 1);
    if (g->kind == AGGREGATE_SUM || g->kind == AGGREGATE_AVG) {
        a->floats = load_count(l, 1) != 0;
        a->low = load_u64(l);
        a->high = (int64_t)load_u64(l);
        if (a->high > (int64_t)1 << 56 || a->high < -((int64_t)1 << 56))
            return load_bad(l, "a sum");
        a->sum = load_double(l);
        a->rest = load_double(l);
    } else if (g->kind >= AGGREGATE_VAR && g->kind <= AGGREGATE_STDEVP) {
        a->mean = load_double(l);
        a->squares = load_double(l);
    }
    return l->bad ? load_bad(l, "an aggregate") : CODE_OK;
}

enum code acc_load(struct loader *l, const struct aggregate *g, struct acc *a)
{
    TRY(acc_load_sums(l, g, a));
    if (has_items(g))
        TRY(load_items(l, g, a));
    else if (g->kind == AGGREGATE_COUNT_DISTINCT)
        TRY(load_distinct(l, a));
    return l->bad ? load_bad(l, "an aggregate") : CODE_OK;
}
