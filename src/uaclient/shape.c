/* shape.c - asking a server for the descriptions of its types, one after the other until all that is needed is known. */
#include "uaclient/shape_private.h"

#include "base/mem.h"

enum { ARENA_MAX = 8 << 20 };

/* ---- what is known ---- */

struct shape_encoding *shapes_encoding(const struct ua_shapes *s, const struct ua_node_id *id)
{
    uint32_t at = (uint32_t)ua_node_id_hash(id) & (SHAPE_SLOTS - 1);
    while (s->encodings[at] && !ua_node_id_equal(&s->encodings[at]->id, id))
        at = (at + 1) & (SHAPE_SLOTS - 1);
    return s->encodings[at];
}

static struct shape_encoding *add_encoding(struct ua_shapes *s, const struct ua_node_id *id)
{
    struct shape_encoding *e = shapes_encoding(s, id);
    if (e || s->encoding_count >= SHAPES_MAX)
        return e;
    e = arena_zero(&s->arena, sizeof *e);
    if (!e || !ua_node_id_copy(&s->arena, id, &e->id))
        return NULL;
    uint32_t at = (uint32_t)ua_node_id_hash(id) & (SHAPE_SLOTS - 1);
    while (s->encodings[at])
        at = (at + 1) & (SHAPE_SLOTS - 1);
    s->encodings[at] = e;
    s->encoding_count++;
    return e;
}

/* The abstract types whose values say themselves what they are, and what the built-in ones are encoded as. */
static unsigned builtin_of(const struct ua_node_id *id)
{
    if (id->ns || id->kind != UA_ID_NUMBER)
        return UA_NULL;
    switch (id->number) {
    case UA_ID_STRUCTURE: return UA_EXTENSION_OBJECT;
    case UA_ID_BASE_DATA_TYPE:
    case UA_ID_NUMBER_TYPE:
    case UA_ID_INTEGER:
    case UA_ID_U_INTEGER: return UA_VARIANT;
    case UA_ID_ENUMERATION: return UA_INT32;
    case UA_ID_DURATION: return UA_DOUBLE;
    case UA_ID_UTC_TIME: return UA_DATE_TIME;
    case UA_ID_LOCALE_ID: return UA_STRING;
    default: return id->number < UA_BUILTIN_COUNT ? id->number : UA_NULL;
    }
}

static struct shape *add_shape(struct ua_shapes *s, const struct ua_node_id *type)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (ua_node_id_equal(&s->shapes[i]->type, type))
            return s->shapes[i];
    struct shape *shape = s->count < SHAPES_MAX ? arena_zero(&s->arena, sizeof *shape) : NULL;
    if (!shape || !ua_node_id_copy(&s->arena, type, &shape->type))
        return NULL;
    shape->builtin = (uint8_t)builtin_of(type);
    shape->kind = shape->builtin ? SHAPE_BUILTIN : SHAPE_ASKED;
    return s->shapes[s->count++] = shape;
}

static struct bytes keep_text(struct ua_shapes *s, struct bytes text)
{
    const char *copy = arena_text(&s->arena, text);
    return copy ? bytes_of(copy, text.len) : BYTES_NONE;
}

/* ---- wants ---- */

static void free_shapes(struct ua_shapes *s)
{
    while (s->wants) {
        struct shape_want *w = s->wants;
        s->wants = w->next;
        mem_free(w);
    }
    arena_clear(&s->arena);
    mem_free(s);
}

static void client_closed(struct ua_work *work)
{
    struct ua_shapes *s = (struct ua_shapes *)(void *)work;
    work_end(work);
    s->client = NULL;
    s->asking = false;
    if (s->closed)
        free_shapes(s);
}

static void reset(struct ua_shapes *s)
{
    arena_reset(&s->arena);
    memset(s->encodings, 0, sizeof s->encodings);
    s->count = s->encoding_count = 0;
    s->now = NULL;
    s->shape_now = NULL;
    s->generation = s->client->namespace_generation;
}

enum code ua_shapes_open(struct ua_shapes **out, struct ua_client *c, struct fault *why)
{
    struct ua_shapes *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for descriptions of types");
    arena_init(&s->arena, NULL, 0, ARENA_MAX);
    work_begin(c, &s->work, client_closed);
    s->client = c;
    reset(s);
    *out = s;
    return CODE_OK;
}

void ua_shapes_close(struct ua_shapes *s)
{
    if (!s)
        return;
    s->closed = true;
    if (!s)
        return;
    if (s->client && s->asking)
        return; /* the answer frees it */
    if (s->client)
        work_end(&s->work);
    free_shapes(s);
}

/* An answer has come. False: nobody wants it any more. */
static bool answered(struct ua_shapes *s)
{
    s->asking = false;
    if (!s->closed)
        return true;
    work_end(&s->work);
    free_shapes(s);
    return false;
}

/* ---- is everything below it known ---- */

/* Each type is looked at once, whatever circles they make. */
static bool reached(struct shape *shape, uint32_t mark)
{
    if (shape->complete || shape->mark == mark)
        return true;
    shape->mark = mark;
    if (shape->kind == SHAPE_ALIAS)
        return reached(shape->parent, mark);
    bool known = shape->kind != SHAPE_ASKED;
    for (uint32_t i = 0; known && shape->kind == SHAPE_STRUCT && i < shape->count; i++)
        known = reached(shape->fields[i].type, mark);
    return known;
}

static bool settled(struct ua_shapes *s, struct shape *shape)
{
    shape->complete = shape->complete || reached(shape, ++s->mark);
    return shape->complete;
}

bool ua_shapes_know(const struct ua_shapes *s, const struct ua_node_id *encoding)
{
    const struct shape_encoding *e = shapes_encoding(s, encoding);
    return e && e->shape && e->shape->kind == SHAPE_STRUCT && e->shape->complete && s->client &&
           s->generation == s->client->namespace_generation;
}

/* ---- asking ---- */

static void next(struct ua_shapes *);

/* Tells all whose type is settled. They may ask again, or close. */
static void tell(struct ua_shapes *s, ua_status status)
{
    for (bool told = false;; told = true) {
        struct shape_want **at = &s->wants;
        while (*at && !status && !(*at)->encoding->unknown &&
               !((*at)->encoding->shape && settled(s, (*at)->encoding->shape)))
            at = &(*at)->next;
        struct shape_want *w = *at;
        if (!w && told && s->wants)
            next(s); /* asked by those who were told */
        if (!w)
            return;
        *at = w->next;
        bool good = w->encoding->shape && w->encoding->shape->kind == SHAPE_STRUCT;
        void (*done)(void *, ua_status) = w->done;
        void *ctx = w->ctx;
        mem_free(w);
        if (!status && !good)
            client_lacks(s->client, UA_LACK_TYPES);
        s->asking = true; /* closing waits */
        done(ctx, status ? status : good ? UA_GOOD : UA_BAD_DATA_TYPE_ID_UNKNOWN);
        if (!s->client) /* closed with everything */
            return;
        if (!answered(s))
            return;
    }
}

static void give_up(struct ua_shapes *s, ua_status status)
{
    s->now = NULL;
    s->shape_now = NULL;
    tell(s, status);
}

static void lost(struct shape *shape)
{
    shape->kind = SHAPE_UNKNOWN;
}

static const struct ua_reference_description *first_reference(const struct ua_browse_response *r, uint32_t i)
{
    if (i >= r->results_count || ua_is_bad(r->results[i].status_code) || r->results[i].references_count == 0)
        return NULL;
    return &r->results[i].references[0];
}

/* The type of an encoding. */
static void on_type(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_shapes *s = ctx;
    struct ua_node_id id;
    (void)arena;
    if (!answered(s))
        return;
    if (status == UA_BAD_CONNECTION_CLOSED || !s->now) {
        give_up(s, UA_BAD_CONNECTION_CLOSED);
        return;
    }
    const struct ua_reference_description *ref = status ? NULL : first_reference(response, 0);
    if (ref && ua_client_resolve(s->client, &ref->node_id, &id))
        s->now->shape = add_shape(s, &id);
    s->now->unknown = s->now->shape == NULL;
    s->now = NULL;
    next(s);
}

/* The base type of one without a definition, or of an enumeration. */
static void on_parent(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_shapes *s = ctx;
    struct shape *shape = s->shape_now;
    struct ua_node_id id;
    (void)arena;
    if (!answered(s))
        return;
    if (status == UA_BAD_CONNECTION_CLOSED || !shape) {
        give_up(s, UA_BAD_CONNECTION_CLOSED);
        return;
    }
    const struct ua_reference_description *ref = status ? NULL : first_reference(response, 0);
    if (!ref || !ua_client_resolve(s->client, &ref->node_id, &id)) {
        lost(shape);
    } else if (ua_node_id_equal(&id, &UA_NS0(UA_ID_ENUMERATION))) {
        shape->kind = SHAPE_ENUM;
    } else if (ua_node_id_equal(&id, &UA_NS0(UA_ID_STRUCTURE))) {
        lost(shape); /* a structure that does not say what is in it */
    } else {
        shape->parent = add_shape(s, &id);
        shape->kind = shape->parent ? SHAPE_ALIAS : SHAPE_UNKNOWN;
    }
    s->shape_now = NULL;
    next(s);
}

static bool browse_up(struct ua_shapes *s, const struct ua_node_id *from, uint32_t reference,
                      ua_answer_fn answer)
{
    struct ua_browse_description d = {.node_id = *from,
                                      .browse_direction = UA_BROWSE_INVERSE,
                                      .reference_type_id = UA_NS0(reference),
                                      .include_subtypes = true,
                                      .result_mask = UA_BROWSE_ALL};
    struct ua_browse_request r = {.nodes_to_browse = &d, .nodes_to_browse_count = 1};
    s->asking = client_ask(s->client, &ua_browse_request_type, &r, &ua_browse_response_type, 0, answer, s,
                           NULL) == CODE_OK;
    return s->asking;
}

static void take_structure(struct ua_shapes *s, struct shape *shape, const struct ua_structure_definition *d)
{
    bool fits = d->fields_count <= SHAPE_FIELDS_MAX && d->structure_type >= UA_STRUCTURE &&
                d->structure_type <= UA_UNION_SUBTYPED;
    shape->fields = fits ? arena_zero(&s->arena,
                                      (d->fields_count ? d->fields_count : 1) * sizeof *shape->fields)
                         : NULL;
    if (!shape->fields) {
        lost(shape);
        return;
    }
    for (uint32_t i = 0; i < d->fields_count; i++) {
        struct shape_field *f = &shape->fields[i];
        *f = (struct shape_field){keep_text(s, d->fields[i].name), add_shape(s, &d->fields[i].data_type),
                                  d->fields[i].value_rank, d->fields[i].is_optional};
        if (!f->type || !f->name.at) {
            lost(shape);
            return;
        }
    }
    shape->count = d->fields_count;
    shape->structure = (uint8_t)d->structure_type;
    shape->kind = SHAPE_STRUCT;
}

static void take_names(struct ua_shapes *s, struct shape *shape, const struct ua_enum_definition *d)
{
    uint32_t n = d->fields_count < SHAPE_NAMES_MAX ? d->fields_count : SHAPE_NAMES_MAX;
    shape->names = arena_zero(&s->arena, (n ? n : 1) * sizeof *shape->names);
    shape->named = true;
    for (uint32_t i = 0; shape->names && i < n; i++) {
        shape->names[i] = (struct shape_name){d->fields[i].value, keep_text(s, d->fields[i].name)};
        shape->count = shape->names[i].name.at ? i + 1 : shape->count;
    }
}

static void take_definition(struct ua_shapes *s, struct shape *shape, const struct ua_data_value *v,
                            struct arena *arena)
{
    struct ua_reader like = ua_reader_of(BYTES_NONE, arena, s->client->set.limits);
    struct ua_structure_definition structure = {0};
    struct ua_enum_definition names = {0};
    if (ua_is_bad(v->status) || v->value.type != UA_EXTENSION_OBJECT || v->value.array)
        return;
    const struct ua_extension_object *o = v->value.at;
    if (ua_object_read(&like, o, &ua_structure_definition_type, &structure))
        take_structure(s, shape, &structure);
    else if (ua_object_read(&like, o, &ua_enum_definition_type, &names))
        take_names(s, shape, &names);
}

static void on_definition(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_shapes *s = ctx;
    const struct ua_read_response *r = response;
    struct shape *shape = s->shape_now;
    if (!answered(s))
        return;
    if (status == UA_BAD_CONNECTION_CLOSED || !shape) {
        give_up(s, UA_BAD_CONNECTION_CLOSED);
        return;
    }
    if (!status && r->results_count == 2) {
        const struct ua_data_value *name = &r->results[1];
        if (name->value.type == UA_QUALIFIED_NAME && !name->value.array)
            shape->name = keep_text(s, ((const struct ua_qualified_name *)name->value.at)->name);
        take_definition(s, shape, &r->results[0], arena);
    }
    if (shape->kind != SHAPE_ASKED) {
        s->shape_now = NULL;
        next(s);
    } else if (!browse_up(s, &shape->type, UA_ID_HAS_SUBTYPE, on_parent)) {
        give_up(s, UA_BAD_CONNECTION_CLOSED);
    }
}

static bool ask_definition(struct ua_shapes *s)
{
    struct ua_read_value_id nodes[2] = {
        {.node_id = s->shape_now->type, .attribute_id = UA_ATTR_DATA_TYPE_DEFINITION},
        {.node_id = s->shape_now->type, .attribute_id = UA_ATTR_BROWSE_NAME}};
    struct ua_read_request r = {
        .timestamps_to_return = UA_TIMES_NEITHER, .nodes_to_read = nodes, .nodes_to_read_count = 2};
    s->asking = client_ask(s->client, &ua_read_request_type, &r, &ua_read_response_type, 0, on_definition, s,
                           NULL) == CODE_OK;
    return s->asking;
}

static void next(struct ua_shapes *s)
{
    bool ok = true;
    if (s->asking)
        return;
    for (uint32_t i = 0; i < s->count && !s->shape_now; i++)
        if (s->shapes[i]->kind == SHAPE_ASKED)
            s->shape_now = s->shapes[i];
    if (s->shape_now) {
        ok = ask_definition(s);
    } else {
        for (struct shape_want *w = s->wants; w && !s->now; w = w->next)
            if (!w->encoding->shape && !w->encoding->unknown)
                s->now = w->encoding;
        if (!s->now)
            tell(s, UA_GOOD);
        else
            ok = browse_up(s, &s->now->id, UA_ID_HAS_ENCODING, on_type);
    }
    if (!ok)
        give_up(s, UA_BAD_CONNECTION_CLOSED);
}

enum code ua_shapes_ask(struct ua_shapes *s, const struct ua_node_id *encoding,
                        void (*done)(void *ctx, ua_status), void *ctx, struct fault *why)
{
    if (!s->client || s->client->state != UA_CLIENT_UP)
        return FAIL(why, CODE_CLOSED, 0, "there is no connection to ask for a type");
    if (s->generation != s->client->namespace_generation && !s->wants)
        reset(s);
    struct shape_want *w = mem_zalloc(1, sizeof *w);
    struct shape_encoding *e = w ? add_encoding(s, encoding) : NULL;
    if (!e) {
        mem_free(w);
        return FAIL(why, s->encoding_count >= SHAPES_MAX ? CODE_LIMIT : CODE_NOMEM, 0,
                    "no room for the description of another type");
    }
    *w = (struct shape_want){.encoding = e, .done = done, .ctx = ctx};
    struct shape_want **at = &s->wants;
    while (*at)
        at = &(*at)->next;
    *at = w;
    if (s->asking)
        return CODE_OK;
    /* Something is always asked, also for what is known: nobody is called before this returns. */
    s->now = e;
    if (browse_up(s, &e->id, UA_ID_HAS_ENCODING, on_type))
        return CODE_OK;
    s->now = NULL;
    *at = NULL;
    mem_free(w);
    return FAIL(why, CODE_CLOSED, 0, "the server cannot be asked for a type at the moment");
}
