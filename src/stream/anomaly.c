#include "stream/anomaly.h"

#include <math.h>

struct model {
    struct keyed_entry   entry;
    struct detect_model *detect;
    size_t               size, learned; /* bytes of this, and of the model */
};
struct anomalies {
    const struct detect_config *config;
    struct keyed                table;
    uint32_t                    key_count;
};

struct anomalies *anomalies_make(struct stream *s, const struct analytic *a)
{
    struct anomalies *x = mem_zalloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->config = &a->anomaly->config;
    x->key_count = a->key_count;
    x->table.fold = s->query->options.ignore_case;
    return x;
}

static void model_free(struct stream *s, struct model *m)
{
    detect_destroy(m->detect);
    s->state_bytes -= m->size + m->learned;
    s->models--;
    mem_free(m);
}

void anomalies_free(struct stream *s, struct anomalies *x)
{
    if (!x)
        return;
    for (struct keyed_entry *e = x->table.first, *next; e; e = next) {
        next = e->after;
        model_free(s, (struct model *)e);
    }
    keyed_clear(&x->table);
    mem_free(x);
}

static void count_bytes(struct stream *s, struct model *m)
{
    size_t now = m->detect ? detect_bytes(m->detect) : 0;
    s->state_bytes += now - m->learned;
    m->learned = now;
}

/* A model without its detector; the caller gives it one. */
static enum code add_model(struct stream *s, struct anomalies *x, const struct value *keys, uint64_t hash, struct model **out)
{
    uint32_t n = x->key_count;
    size_t size = sizeof(struct model) + n * sizeof *keys + keep_size(keys, n);
    struct model *m = mem_zalloc(1, size);
    if (!m)
        return run_no_memory(s);
    struct value *copy = (struct value *)(m + 1);
    keep_copy(copy, keys, n, (uint8_t *)(copy + n));
    m->entry = (struct keyed_entry){ .hash = hash, .keys = copy };
    m->size = size;
    if (keyed_put(&x->table, &m->entry) != CODE_OK) {
        mem_free(m);
        return run_no_memory(s);
    }
    s->state_bytes += size;
    s->models++;
    *out = m;
    return CODE_OK;
}

static void drop_model(struct stream *s, struct anomalies *x, struct model *m)
{
    keyed_remove(&x->table, &m->entry);
    model_free(s, m);
}

static enum code find(struct stream *s, struct anomalies *x, const struct value *keys, struct model **out)
{
    uint64_t hash = keyed_hash(&x->table, keys, x->key_count);
    *out = (struct model *)keyed_find(&x->table, hash, keys, x->key_count);
    if (*out)
        return CODE_OK;
    TRY(add_model(s, x, keys, hash, out));
    if (detect_create(x->config, &(*out)->detect) == CODE_OK) {
        count_bytes(s, *out);
        return CODE_OK;
    }
    (*out)->detect = NULL;
    drop_model(s, x, *out);
    return run_no_memory(s);
}

static enum code record_of(struct stream *s, struct record_field *fields, uint32_t count, struct value *out)
{
    struct record_value *r = run_take(s, 1, sizeof *r);
    struct record_field *f = run_take(s, count, sizeof *f);
    if (!r || !f)
        return run_no_memory(s);
    memcpy(f, fields, count * sizeof *f);
    *r = (struct record_value){ .count = count, .fields = f };
    *out = (struct value){ .type = VALUE_RECORD, .record = r };
    return CODE_OK;
}

static enum code verdict(struct stream *s, const struct detect_result *d, struct value *out)
{
    struct value expected = value_null();
    if (d->has_expected) {
        struct record_field range[] = { { BYTES_LIT("low"), value_float(d->expected_low) },
                                        { BYTES_LIT("high"), value_float(d->expected_high) } };
        TRY(record_of(s, range, 2, &expected));
    }
    struct record_field fields[] = {
        { BYTES_LIT("IsAnomaly"), value_bigint(d->is_anomaly) },
        { BYTES_LIT("Score"), d->has_score ? value_float(d->score) : value_null() },
        { BYTES_LIT("Expected"), expected },
        { BYTES_LIT("State"), value_text(d->state == DETECT_READY ? BYTES_LIT("ready") : BYTES_LIT("learning")) },
    };
    return record_of(s, fields, 4, out);
}

enum code anomalies_row(struct stream *s, const struct analytic *a, struct anomalies *x, const struct row *r, const struct value *keys,
                        bool when, struct value *out)
{
    struct detect_result d = { .state = DETECT_LEARNING };
    struct value v = value_null();
    struct model *m;
    if (!when)
        return verdict(s, &d, out);
    enum code code = run_value(s, a->x, -1, r, &v);
    if (code != CODE_OK)
        return code;
    if (v.type != VALUE_NULL && v.type != VALUE_BIGINT && v.type != VALUE_FLOAT)
        return FAIL(&s->eval.why, CODE_MALFORMED, 0,
                    "The 1st argument of function AnomalyDetection has invalid type '%s'. Only 'bigint', 'float' is allowed. At line '%u' "
                    "and column '%u'.",
                    value_type_name(v.type), a->at.line, a->at.column);
    TRY(find(s, x, keys, &m));
    double number = v.type == VALUE_BIGINT ? (double)v.i : v.type == VALUE_FLOAT ? v.f : 0;
    if (detect_observe(m->detect, r->time, number, v.type == VALUE_NULL, &d) != CODE_OK)
        return run_no_memory(s);
    count_bytes(s, m);
    return verdict(s, &d, out);
}

/* ---- for people ---- */

static void write_key(const struct anomalies *x, const struct model *m, struct buf *out)
{
    buf_reset(out);
    if (x->key_count != 1)
        buf_u8(out, '[');
    for (uint32_t i = 0; i < x->key_count; i++) {
        if (i)
            buf_u8(out, ',');
        value_write_json(out, m->entry.keys[i]);
    }
    if (x->key_count != 1)
        buf_u8(out, ']');
}

bool anomalies_each(const struct anomalies *x, bool (*each)(void *ctx, const struct stream_model_info *), void *ctx)
{
    struct buf key = { 0 };
    bool go_on = true;
    for (const struct keyed_entry *e = x->table.first; e && go_on; e = e->after) {
        const struct model *m = (const struct model *)e;
        struct detect_info d;
        detect_inspect(m->detect, &d);
        write_key(x, m, &key);
        struct stream_model_info info = {
            .key = buf_bytes(&key), .ready = d.state == DETECT_READY, .seen = d.seen, .anomalies = d.anomalies, .learned = d.learned,
            .of = d.need, .last = d.has_last ? d.last_value : NAN, .low = d.has_expected ? d.expected_low : NAN,
            .high = d.has_expected ? d.expected_high : NAN, .score = d.has_last ? d.last_score : NAN,
        };
        go_on = each(ctx, &info);
    }
    buf_clear(&key);
    return go_on;
}

bool anomalies_forget(struct stream *s, struct anomalies *x, struct bytes key)
{
    struct buf text = { 0 };
    bool found = false;
    for (struct keyed_entry *e = x->table.first, *next; e; e = next) {
        next = e->after;
        write_key(x, (struct model *)e, &text);
        if (key.len && !bytes_equal(buf_bytes(&text), key))
            continue;
        drop_model(s, x, (struct model *)e);
        found = true;
    }
    buf_clear(&text);
    return found;
}

/* ---- state ---- */

void anomalies_save(const struct anomalies *x, struct buf *out)
{
    struct buf model = { 0 };
    buf_varint(out, x->table.count);
    for (const struct keyed_entry *e = x->table.first; e; e = e->after) {
        buf_reset(&model);
        save_values(out, e->keys, x->key_count);
        detect_save(((const struct model *)e)->detect, &model);
        buf_varint(out, buf_size(&model));
        buf_add_bytes(out, buf_bytes(&model));
        out->bad |= model.bad;
    }
    buf_clear(&model);
}

static enum code load_model(struct loader *l, struct anomalies *x, struct value *keys)
{
    struct model *m;
    TRY(load_values(l, keys, x->key_count));
    uint64_t hash = keyed_hash(&x->table, keys, x->key_count), n = load_count(l, l->left.len);
    if (l->bad || n > l->left.len || keyed_find(&x->table, hash, keys, x->key_count))
        return load_bad(l, "a model's key");
    if (add_model(l->stream, x, keys, hash, &m) != CODE_OK)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    enum code code = detect_load(x->config, bytes_of(l->left.at, (size_t)n), &m->detect, l->why);
    if (code != CODE_OK) {
        m->detect = NULL;
        drop_model(l->stream, x, m);
        return code == CODE_NOMEM ? code : load_bad(l, "a model");
    }
    count_bytes(l->stream, m);
    l->left = bytes_from(l->left, (size_t)n);
    return CODE_OK;
}

enum code anomalies_load(struct loader *l, const struct analytic *a, struct anomalies *x)
{
    uint64_t n = load_count(l, UINT32_MAX);
    struct value *keys = arena_take(&l->memory, (a->key_count + 1) * sizeof *keys);
    if (!keys)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    for (; n && !l->bad; n--)
        TRY(load_model(l, x, keys));
    return l->bad ? load_bad(l, "models") : CODE_OK;
}

/* ---- of a stream ---- */

struct asking {
    struct stream *s;
    bool (*each)(void *ctx, const struct stream_model_info *);
    void        *ctx;
    struct bytes key;
    bool         go_on, found;
};

static void show(struct anomalies *x, void *ctx)
{
    struct asking *a = ctx;
    if (a->go_on)
        a->go_on = anomalies_each(x, a->each, a->ctx);
}

static void forget(struct anomalies *x, void *ctx)
{
    struct asking *a = ctx;
    a->found |= anomalies_forget(a->s, x, a->key);
}

static void each_model(const struct stream *s, void (*call)(struct anomalies *, void *), struct asking *a)
{
    const struct lane *l = s->only ? s->only : (const struct lane *)s->lanes.first;
    for (; l; l = (const struct lane *)l->entry.after)
        for (uint32_t i = 0; i < s->query->op_count; i++)
            if (s->query->ops[i]->kind == OP_EXTEND)
                extend_models(s->query->ops[i], l->states[i], call, a);
}

void stream_models(const struct stream *s, bool (*each)(void *ctx, const struct stream_model_info *), void *ctx)
{
    struct asking a = { .each = each, .ctx = ctx, .go_on = true };
    each_model(s, show, &a);
}

bool stream_forget(struct stream *s, struct bytes key)
{
    struct asking a = { .s = s, .key = key };
    each_model(s, forget, &a);
    return a.found;
}
