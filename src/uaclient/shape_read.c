/* shape_read.c - structures by their description [Part 6, 5.2.6 to 5.2.8]. */
#include "uaclient/shape_private.h"

struct reading {
    const struct ua_shapes *shapes;
    struct ua_reader r;
    uint32_t values; /* so far */
    bool unknown, full;
};

static void read_shape(struct reading *, const struct shape *, struct ua_thing *);

static bool good(const struct reading *g)
{
    return ua_read_good(&g->r) && !g->unknown && !g->full;
}

static struct ua_thing *things(struct reading *g, uint32_t n)
{
    g->values += n;
    if (g->values > SHAPE_VALUES_MAX) {
        g->full = true;
        return NULL;
    }
    struct ua_thing *t = arena_zero(g->r.arena, (n ? n : 1) * sizeof *t);
    if (!t)
        ua_read_fail(&g->r, UA_BAD_OUT_OF_MEMORY);
    return t;
}

/* ---- built-in types ---- */

static void read_object(struct reading *g, const struct ua_extension_object *o, struct ua_thing *t);

static void read_scalar(struct reading *g, unsigned type, struct ua_thing *t)
{
    struct ua_variant *v = &t->value;
    v->type = (uint8_t)type;
    if (type == UA_VARIANT) {
        ua_read_variant(&g->r, v);
        return;
    }
    void *at = ua_inline(type) ? (void *)&v->text : arena_zero(g->r.arena, ua_size(type));
    if (!at) {
        ua_read_fail(&g->r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    ua_read_builtin(&g->r, type, at);
    if (ua_inline(type))
        return;
    v->at = at;
    if (type == UA_EXTENSION_OBJECT && good(g))
        read_object(g, at, t);
}

static void read_builtins(struct reading *g, unsigned type, struct ua_thing *t)
{
    struct ua_variant *v = &t->value;
    v->type = (uint8_t)type;
    v->array = true;
    ua_read_array(&g->r, type, &v->at, &v->count);
    if (type != UA_EXTENSION_OBJECT || !good(g) || !v->count)
        return;
    const struct ua_extension_object *objects = v->at;
    struct ua_thing *list = things(g, v->count);
    for (uint32_t i = 0; list && i < v->count && good(g); i++) {
        list[i].value = (struct ua_variant){.type = UA_EXTENSION_OBJECT, .at = &objects[i]};
        read_object(g, &objects[i], &list[i]);
    }
    *t = (struct ua_thing){
        .kind = UA_THING_LIST, .name = t->name, .fields = list, .count = list ? v->count : 0};
}

/* An object in the object: decoded if its type is known, kept as it is if not. */
static void read_object(struct reading *g, const struct ua_extension_object *o, struct ua_thing *t)
{
    const struct shape_encoding *e = shapes_encoding(g->shapes, &o->type);
    t->kind = UA_THING_RAW;
    if (o->kind != UA_BODY_BINARY || !e || !e->shape || e->shape->kind != SHAPE_STRUCT)
        return;
    struct reading inner = {
        .shapes = g->shapes, .r = ua_reader_of(o->body, g->r.arena, g->r.limits), .values = g->values};
    struct ua_thing found = {.name = t->name};
    inner.r.depth = g->r.depth;
    read_shape(&inner, e->shape, &found);
    if (inner.full || inner.r.status == UA_BAD_OUT_OF_MEMORY ||
        inner.r.status == UA_BAD_ENCODING_LIMITS_EXCEEDED) {
        g->full = true;
        return;
    }
    g->values = inner.values;
    if (good(&inner))
        *t = found;
}

/* ---- enumerations, structures ---- */

static void read_enum(struct reading *g, const struct shape *s, struct ua_thing *t)
{
    t->kind = UA_THING_ENUM;
    t->value.type = UA_INT32;
    t->value.i32 = (int32_t)wire_le32(&g->r.wire);
    for (uint32_t i = 0; i < s->count; i++)
        if (s->names[i].value == t->value.i32)
            t->text = s->names[i].name;
}

/* Any subtype is allowed, so that the value says itself what it is. */
static bool subtyped(const struct shape *in, const struct shape_field *f)
{
    return (in->structure == UA_STRUCTURE_SUBTYPED || in->structure == UA_UNION_SUBTYPED) && f->optional;
}

static void read_one(struct reading *g, const struct shape *s, bool any, struct ua_thing *t)
{
    if (any)
        read_scalar(g, s->kind == SHAPE_STRUCT ? UA_EXTENSION_OBJECT : UA_VARIANT, t);
    else if (s->kind == SHAPE_BUILTIN)
        read_scalar(g, s->builtin, t);
    else
        read_shape(g, s, t);
}

/* How many elements: of one dimension, or the product of what stands in front. */
static uint32_t read_size(struct reading *g, int32_t rank)
{
    bool null;
    if (rank == 1)
        return ua_read_count(&g->r, 1, &null);
    uint32_t n = ua_read_count(&g->r, 4, &null);
    uint64_t product = n ? 1 : 0;
    for (uint32_t i = 0; i < n; i++) {
        product *= wire_le32(&g->r.wire);
        if (product > SHAPE_VALUES_MAX) {
            g->full = true;
            return 0;
        }
    }
    return (uint32_t)product;
}

static void read_list(struct reading *g, const struct shape *s, const struct shape_field *f, bool any,
                      struct ua_thing *t)
{
    if (!any && s->kind == SHAPE_BUILTIN && f->rank == 1) {
        read_builtins(g, s->builtin, t);
        return;
    }
    uint32_t n = read_size(g, f->rank);
    struct ua_thing *list = good(g) ? things(g, n) : NULL;
    for (uint32_t i = 0; list && i < n && good(g); i++)
        read_one(g, s, any, &list[i]);
    t->kind = UA_THING_LIST;
    t->fields = list;
    t->count = list ? n : 0;
}

static void read_field(struct reading *g, const struct shape *in, const struct shape_field *f,
                       struct ua_thing *t)
{
    const struct shape *s = shape_of(f->type);
    t->name = f->name;
    if (!s)
        g->unknown = true;
    else if (f->rank == -1)
        read_one(g, s, subtyped(in, f), t);
    else if (f->rank >= 1)
        read_list(g, s, f, subtyped(in, f), t);
    else
        ua_read_fail(&g->r, UA_BAD_DECODING_ERROR); /* "any rank" has no encoding here */
}

static void read_union(struct reading *g, const struct shape *s, struct ua_thing *t)
{
    uint32_t which = wire_le32(&g->r.wire);
    if (which > s->count)
        ua_read_fail(&g->r, UA_BAD_DECODING_ERROR);
    struct ua_thing *one = which && good(g) ? things(g, 1) : NULL;
    if (one)
        read_field(g, s, &s->fields[which - 1], one);
    t->fields = one;
    t->count = one ? 1 : 0;
}

static void read_fields(struct reading *g, const struct shape *s, struct ua_thing *t)
{
    uint32_t mask = s->structure == UA_STRUCTURE_OPTIONAL ? wire_le32(&g->r.wire) : 0, bit = 0;
    struct ua_thing *fields = things(g, s->count);
    t->fields = fields;
    for (uint32_t i = 0; fields && i < s->count && good(g); i++) {
        bool optional = s->structure == UA_STRUCTURE_OPTIONAL && s->fields[i].optional;
        if (optional && (bit >= 32 || !(mask >> bit++ & 1)))
            continue;
        read_field(g, s, &s->fields[i], &fields[t->count++]);
    }
}

static void read_shape(struct reading *g, const struct shape *s, struct ua_thing *t)
{
    if (s->kind == SHAPE_ENUM) {
        read_enum(g, s, t);
        return;
    }
    if (g->r.depth >= g->r.limits->depth) {
        ua_read_fail(&g->r, UA_BAD_ENCODING_LIMITS_EXCEEDED);
        return;
    }
    g->r.depth++;
    t->kind = UA_THING_STRUCT;
    t->text = s->name;
    if (s->structure == UA_UNION || s->structure == UA_UNION_SUBTYPED)
        read_union(g, s, t);
    else
        read_fields(g, s, t);
    g->r.depth--;
}

enum code ua_shapes_read(const struct ua_shapes *s, const struct ua_extension_object *o, struct arena *arena,
                         struct ua_thing *out, struct fault *why)
{
    const struct shape_encoding *e = shapes_encoding(s, &o->type);
    *out = (struct ua_thing){.kind = UA_THING_RAW, .value = {.type = UA_EXTENSION_OBJECT, .at = o}};
    if (o->kind != UA_BODY_BINARY || !ua_shapes_know(s, &o->type))
        return FAIL(why, CODE_NOTFOUND, 0, "the type of a structure is not known");
    struct reading g = {.shapes = s, .r = ua_reader_of(o->body, arena, s->client->set.limits)};
    struct ua_thing found = {0};
    read_shape(&g, e->shape, &found);
    if (g.unknown)
        return FAIL(why, CODE_NOTFOUND, 0, "the type of a field in %.*s is not known",
                    BYTES_FMT(e->shape->name));
    if (g.r.status == UA_BAD_OUT_OF_MEMORY)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a structure");
    if (g.full || g.r.status == UA_BAD_ENCODING_LIMITS_EXCEEDED)
        return FAIL(why, CODE_LIMIT, 0, "a structure has more than %d values, or is nested too deep",
                    SHAPE_VALUES_MAX);
    if (!ua_read_good(&g.r))
        return FAIL(why, CODE_MALFORMED, wire_pos(&g.r.wire), "a structure is not what its description says");
    *out = found;
    return CODE_OK;
}
