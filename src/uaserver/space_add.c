/* Nodes are made. */
#include "uaserver/history.h"
#include "uaserver/space_private.h"

#include "base/mem.h"

enum { ARGUMENTS_BYTES = 64 * 1024, DIMS_MAX = 8 };

/* ---- the node itself ---- */

static uint8_t class_of(const struct ua_new *p)
{
    if (p->node_class)
        return p->node_class;
    return ua_node_id_is_null(&p->data_type) ? UA_CLASS_OBJECT : UA_CLASS_VARIABLE;
}

static size_t size_of(uint8_t node_class)
{
    switch (node_class) {
    case UA_CLASS_VARIABLE:
    case UA_CLASS_VARIABLE_TYPE: return sizeof(struct ua_variable);
    case UA_CLASS_METHOD: return sizeof(struct ua_method);
    default: return sizeof(struct ua_node);
    }
}

static struct bytes keep(uint8_t **to, struct bytes text)
{
    if (!text.at)
        return BYTES_NONE;
    uint8_t *at = *to;
    if (text.len)
        memcpy(at, text.at, text.len);
    *to += text.len;
    return bytes_of(at, text.len);
}

static bool has_text(const struct ua_node_id *id)
{
    return id->kind == UA_ID_STRING || id->kind == UA_ID_BYTES;
}

/* Copies the texts, also that of a variable's data type, into one block. */
static bool keep_texts(struct ua_node *n, const struct ua_new *p)
{
    struct bytes id_text = has_text(&n->id) ? n->id.text : BYTES_NONE;
    struct bytes type_text = has_text(&p->data_type) ? p->data_type.text : BYTES_NONE;
    struct ua_variable *v = ua_as_variable(n);
    size_t size = id_text.len + type_text.len + p->browse_name.name.len + p->display_name.len + p->description.len +
                  p->inverse_name.len;
    uint8_t *at = mem_alloc(size ? size : 1);
    if (!at)
        return false;
    n->texts = at;
    if (has_text(&n->id))
        n->id.text = keep(&at, id_text);
    if (v) {
        v->data_type = ua_node_id_is_null(&p->data_type) ? UA_NS0(UA_ID_BASE_DATA_TYPE) : p->data_type;
        if (type_text.at)
            v->data_type.text = keep(&at, type_text);
    }
    n->browse_ns = p->browse_name.ns;
    n->browse_name = keep(&at, p->browse_name.name);
    n->display_name = p->display_name.at ? keep(&at, p->display_name) : n->browse_name;
    n->description = keep(&at, p->description);
    n->inverse_name = keep(&at, p->inverse_name);
    return true;
}

static enum code check_names(const struct ua_space *s, const struct ua_new *p, struct fault *why)
{
    const struct bytes all[] = { has_text(&p->id) ? p->id.text : BYTES_NONE, p->browse_name.name, p->display_name,
                                 p->description, p->inverse_name };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].len > s->limits.name_bytes)
            return FAIL(why, CODE_LIMIT, 0, "an identifier, name or description of a node has %zu bytes; at most %u", all[i].len,
                        s->limits.name_bytes);
    return CODE_OK;
}

/* A free number of namespace 1. */
static struct ua_node_id free_id(struct ua_space *s)
{
    struct ua_node_id id = { .ns = 1, .kind = UA_ID_NUMBER };
    do
        id.number = ++s->last_number ? s->last_number : ++s->last_number;
    while (ua_find(s, &id));
    return id;
}

/* ---- variables ---- */

static bool fill_variable(struct ua_space *s, struct ua_variable *v, const struct ua_new *p)
{
    v->builtin = (uint8_t)ua_builtin_of(s, &v->data_type);
    v->rank = p->rank == UA_RANK_ONE_OR_MORE ? 0 : p->rank ? p->rank : -1;
    v->access = p->access ? p->access : UA_ACCESS_READ;
    v->sampling_ms = p->sampling_ms;
    v->ops = p->ops;
    v->ctx = p->ctx;
    v->value.status = UA_BAD_WAITING_FOR_INITIAL_DATA;
    if (p->dims_count && p->dims_count <= DIMS_MAX) {
        v->dims = mem_alloc(p->dims_count * sizeof *v->dims);
        if (!v->dims)
            return false;
        memcpy(v->dims, p->dims, p->dims_count * sizeof *v->dims);
        v->dims_count = p->dims_count;
    }
    if (p->history) {
        v->history = ua_history_new(p->history);
        if (!v->history)
            return false;
        v->historizing = true;
        v->access |= UA_ACCESS_HISTORY_READ;
    }
    struct ua_data_value first = { .has = UA_HAS_VALUE };
    if (p->value)
        first.value = *p->value;
    return !p->value || ua_set_value(s, v, &first);
}

/* ---- methods ---- */

/* Written and read back: the copy's texts lie in the arena. */
static const struct ua_argument *keep_arguments(struct arena *a, const struct ua_argument *from, uint32_t count)
{
    struct buf b = { 0 };
    struct ua_argument *copy = arena_zero(a, count * sizeof *copy);
    for (uint32_t i = 0; i < count; i++)
        ua_write_struct(&b, &ua_argument_type, &from[i]);
    uint8_t *bytes = b.bad ? NULL : arena_take(a, buf_size(&b));
    if (copy && bytes) {
        memcpy(bytes, b.at + b.from, buf_size(&b));
        struct ua_reader r = ua_reader_of(bytes_of(bytes, buf_size(&b)), a, NULL);
        for (uint32_t i = 0; i < count; i++)
            ua_read_struct(&r, &ua_argument_type, &copy[i]);
        if (!ua_read_good(&r))
            copy = NULL;
    }
    buf_clear(&b);
    return bytes ? copy : NULL;
}

static bool fill_method(struct ua_method *m, const struct ua_new *p)
{
    arena_init(&m->memory, NULL, 0, ARGUMENTS_BYTES);
    m->executable = true;
    m->call = p->call;
    m->ctx = p->ctx;
    if (p->input_count && !(m->inputs = keep_arguments(&m->memory, p->inputs, p->input_count)))
        return false;
    if (p->output_count && !(m->outputs = keep_arguments(&m->memory, p->outputs, p->output_count)))
        return false;
    m->input_count = p->input_count;
    m->output_count = p->output_count;
    return true;
}

static enum code add_arguments(struct ua_space *s, struct ua_node *method, const char *name, const struct ua_argument *list,
                               uint32_t count, struct fault *why)
{
    if (!count)
        return CODE_OK;
    struct arena a;
    arena_init(&a, NULL, 0, ARGUMENTS_BYTES);
    struct ua_extension_object *objects = arena_zero(&a, count * sizeof *objects);
    bool good = objects != NULL;
    for (uint32_t i = 0; good && i < count; i++)
        good = ua_object_of(&a, &ua_argument_type, &list[i], &objects[i]);
    struct ua_variant value = { .type = UA_EXTENSION_OBJECT, .array = true, .count = count, .at = objects };
    enum code c = good ? ua_add_property(s, method, name, UA_ENCODING_argument - 2, &value, NULL, why)
                       : FAIL(why, CODE_NOMEM, 0, "no memory for a method's arguments");
    arena_clear(&a);
    return c;
}

/* ---- its place ---- */

static bool is_type(uint8_t node_class)
{
    return node_class & (UA_CLASS_OBJECT_TYPE | UA_CLASS_VARIABLE_TYPE | UA_CLASS_REFERENCE_TYPE | UA_CLASS_DATA_TYPE);
}

static uint32_t reference_of(const struct ua_new *p, uint8_t node_class)
{
    if (p->reference)
        return p->reference;
    if (is_type(node_class))
        return UA_ID_HAS_SUBTYPE;
    if (p->type == UA_ID_PROPERTY_TYPE)
        return UA_ID_HAS_PROPERTY;
    const struct ua_node *type = ua_follow(p->parent, UA_ID_HAS_TYPE_DEFINITION, false);
    return type && ua_node_id_equal(&type->id, &UA_NS0(UA_ID_FOLDER_TYPE)) ? UA_ID_ORGANIZES : UA_ID_HAS_COMPONENT;
}

static enum code give_type(struct ua_space *s, struct ua_node *n, const struct ua_new *p, struct fault *why)
{
    if (n->node_class != UA_CLASS_OBJECT && n->node_class != UA_CLASS_VARIABLE)
        return CODE_OK;
    uint32_t number = p->type                             ? p->type
                      : n->node_class == UA_CLASS_OBJECT ? (uint32_t)UA_ID_BASE_OBJECT_TYPE
                                                          : (uint32_t)UA_ID_BASE_DATA_VARIABLE_TYPE;
    struct ua_node *type = p->type_node ? p->type_node : ua_find0(s, number);
    if (!type)
        return FAIL(why, CODE_NOTFOUND, 0, "the address space has no type i=%u", number);
    return ua_refer(s, n, UA_ID_HAS_TYPE_DEFINITION, type, why);
}

static enum code settle(struct ua_space *s, struct ua_node *n, const struct ua_new *p, struct fault *why)
{
    enum code c = give_type(s, n, p, why);
    if (!c && p->parent)
        c = ua_refer(s, p->parent, reference_of(p, n->node_class), n, why);
    if (!c && n->node_class == UA_CLASS_METHOD) {
        c = add_arguments(s, n, "InputArguments", p->inputs, p->input_count, why);
        if (!c)
            c = add_arguments(s, n, "OutputArguments", p->outputs, p->output_count, why);
    }
    return c;
}

/* ---- from outside ---- */

static enum code check_new(const struct ua_space *s, const struct ua_new *p, struct fault *why)
{
    if (s->count >= s->limits.nodes)
        return FAIL(why, CODE_LIMIT, 0, "the address space has %u nodes, that is all it may have", s->count);
    if (!ua_node_id_is_null(&p->id) && ua_find(s, &p->id))
        return FAIL(why, CODE_EXISTS, 0, "there is a node with this id already");
    return check_names(s, p, why);
}

enum code ua_add(struct ua_space *s, const struct ua_new *p, struct ua_node **out, struct fault *why)
{
    enum code c = check_new(s, p, why);
    if (c)
        return c;
    uint8_t node_class = class_of(p);
    struct ua_node *n = mem_zalloc(1, size_of(node_class));
    if (!n)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a node");
    n->node_class = node_class;
    n->id = ua_node_id_is_null(&p->id) ? free_id(s) : p->id;
    n->notifier = p->notifier;
    n->is_abstract = p->is_abstract;
    n->symmetric = p->symmetric;
    struct ua_variable *v = ua_as_variable(n);
    struct ua_method *m = ua_as_method(n);
    bool good = keep_texts(n, p) && (!v || fill_variable(s, v, p)) && (!m || fill_method(m, p)) && space_put(s, n);
    if (!good) {
        space_free_node(n);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a node");
    }
    c = settle(s, n, p, why);
    if (c) {
        ua_remove(s, n);
        return c;
    }
    if (out)
        *out = n;
    return CODE_OK;
}

enum code ua_add_property(struct ua_space *s, struct ua_node *of, const char *name, uint32_t data_type,
                          const struct ua_variant *value, struct ua_node **out, struct fault *why)
{
    const struct ua_new p = {
        .parent = of,
        .node_class = UA_CLASS_VARIABLE,
        .type = UA_ID_PROPERTY_TYPE,
        .browse_name = { 0, bytes_str(name) },
        .data_type = UA_NS0(data_type),
        .rank = value && value->array ? 1 : -1,
        .value = value,
    };
    return ua_add(s, &p, out, why);
}

/* A structure as a property's value; its data type is two below its encoding in namespace 0's numbering. */
static enum code add_structure(struct ua_space *s, struct ua_node *of, const char *name, const struct ua_struct *type,
                               const void *value, struct fault *why)
{
    struct arena a;
    arena_init(&a, NULL, 0, ARGUMENTS_BYTES);
    struct ua_extension_object object;
    struct ua_variant v = { .type = UA_EXTENSION_OBJECT, .at = &object };
    enum code c = ua_object_of(&a, type, value, &object) ? ua_add_property(s, of, name, type->encoding - 2u, &v, NULL, why)
                                                          : FAIL(why, CODE_NOMEM, 0, "no memory for a property");
    arena_clear(&a);
    return c;
}

enum code ua_add_units(struct ua_space *s, struct ua_node *of, const struct ua_range *range,
                       const struct ua_eu_information *units, struct fault *why)
{
    enum code c = range ? add_structure(s, of, "EURange", &ua_range_type, range, why) : CODE_OK;
    if (!c && units)
        c = add_structure(s, of, "EngineeringUnits", &ua_eu_information_type, units, why);
    return c;
}

void space_free_node(struct ua_node *n)
{
    struct ua_variable *v = ua_as_variable(n);
    struct ua_method *m = ua_as_method(n);
    for (struct ua_watcher *w; (w = v && v->fed ? v->fed : n->watchers) != NULL;) {
        ua_unwatch(w);
        w->gone(w);
    }
    if (v) {
        ua_value_drop(&v->value);
        ua_history_free(v->history);
        mem_free(v->dims);
    }
    if (m)
        arena_clear(&m->memory);
    mem_free(n->refs);
    mem_free(n->texts);
    mem_free(n);
}
