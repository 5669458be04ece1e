/* The where clause of an event filter: a tree of operators over fields of the event and literals (Part 4, 7.7).
 *
 * Elements are numbered, the first is the root; an operand that is an element must come later in the list, so there are no
 * loops. What has no answer (a field that is null, things that cannot be compared) is unknown, and an event passes only when the
 * root is true. */
#include "uaserver/event_filter.h"

enum { ELEMENTS_MAX = 64, OPERANDS_MAX = 64, SCRATCH = 2048, ELEMENT_OPERAND = 594 };

enum operator {
    EQUALS, IS_NULL, GREATER, LESS, GREATER_EQUAL, LESS_EQUAL, LIKE, NOT, BETWEEN, IN_LIST, AND, OR, CAST, IN_VIEW, OF_TYPE,
    RELATED_TO, BITWISE_AND, BITWISE_OR, OPERATORS
};
enum truth { FALSE, TRUE, UNKNOWN };

/* How many operands: 0, 0: an operator that is not there. */
static const struct {
    uint8_t least, most;
} operators[OPERATORS] = {
    [EQUALS] = { 2, 2 },       [IS_NULL] = { 1, 1 },    [GREATER] = { 2, 2 }, [LESS] = { 2, 2 }, [GREATER_EQUAL] = { 2, 2 },
    [LESS_EQUAL] = { 2, 2 },   [NOT] = { 1, 1 },        [BETWEEN] = { 3, 3 }, [IN_LIST] = { 2, OPERANDS_MAX },
    [AND] = { 2, 2 },          [OR] = { 2, 2 },         [OF_TYPE] = { 1, 1 },
};

static bool is_object(const struct ua_extension_object *o, uint32_t encoding)
{
    return o->kind == UA_BODY_BINARY && ua_node_id_equal(&o->type, &UA_NS0(encoding));
}

/* ElementOperand: its number. */
static bool element_of(const struct ua_extension_object *o, uint32_t *index)
{
    struct wire w = wire_of(o->body);
    *index = wire_le32(&w);
    return is_object(o, ELEMENT_OPERAND) && !w.bad;
}

static bool is_logical(unsigned op)
{
    return op == AND || op == OR || op == NOT;
}

/* ---- checked once ---- */

static ua_status check_operand(struct ua_space *space, const struct ua_content_filter *f, uint32_t at, unsigned op,
                               const struct ua_extension_object *o, struct arena *a)
{
    struct ua_reader like = ua_reader_of(BYTES_NONE, a, NULL);
    struct ua_literal_operand literal;
    struct ua_simple_attribute_operand attribute;
    uint32_t index;
    uint8_t field;
    if (element_of(o, &index))
        return is_logical(op) && index > at && index < f->elements_count ? UA_GOOD : UA_BAD_FILTER_OPERAND_INVALID;
    if (is_logical(op))
        return UA_BAD_FILTER_OPERAND_INVALID;
    if (is_object(o, UA_ENCODING_literal_operand)) {
        if (!ua_object_read(&like, o, &ua_literal_operand_type, &literal))
            return UA_BAD_FILTER_LITERAL_INVALID;
        return op == OF_TYPE && literal.value.type != UA_NODE_ID ? UA_BAD_FILTER_OPERAND_INVALID : UA_GOOD;
    }
    if (op == OF_TYPE || !ua_object_read(&like, o, &ua_simple_attribute_operand_type, &attribute))
        return UA_BAD_FILTER_OPERAND_INVALID;
    return uas_event_operand(space, &attribute, &field) ? UA_BAD_FILTER_OPERAND_INVALID : UA_GOOD;
}

static ua_status check_element(struct ua_space *space, const struct ua_content_filter *f, uint32_t at, struct arena *a,
                               struct ua_content_filter_element_result *out)
{
    const struct ua_content_filter_element *e = &f->elements[at];
    unsigned op = (unsigned)e->filter_operator;
    if (op >= OPERATORS)
        return UA_BAD_FILTER_OPERATOR_INVALID;
    if (!operators[op].most)
        return UA_BAD_FILTER_OPERATOR_UNSUPPORTED;
    if (e->filter_operands_count < operators[op].least || e->filter_operands_count > operators[op].most)
        return UA_BAD_FILTER_OPERAND_COUNT_MISMATCH;
    ua_status *statuses = arena_zero(a, e->filter_operands_count * sizeof *statuses);
    if (!statuses)
        return UA_BAD_OUT_OF_MEMORY;
    out->operand_status_codes = statuses;
    out->operand_status_codes_count = e->filter_operands_count;
    ua_status status = UA_GOOD;
    for (uint32_t i = 0; i < e->filter_operands_count; i++) {
        statuses[i] = check_operand(space, f, at, op, &e->filter_operands[i], a);
        if (statuses[i])
            status = statuses[i];
    }
    return status;
}

ua_status uas_where_check(struct ua_space *space, const struct ua_content_filter *f, struct arena *a,
                          struct ua_content_filter_result *out)
{
    *out = (struct ua_content_filter_result){ 0 };
    if (!f->elements_count)
        return UA_GOOD;
    struct ua_content_filter_element_result *results =
        f->elements_count <= ELEMENTS_MAX ? arena_zero(a, f->elements_count * sizeof *results) : NULL;
    if (!results)
        return f->elements_count <= ELEMENTS_MAX ? UA_BAD_OUT_OF_MEMORY : UA_BAD_EVENT_FILTER_INVALID;
    ua_status status = UA_GOOD;
    for (uint32_t i = 0; i < f->elements_count; i++) {
        results[i].status_code = check_element(space, f, i, a, &results[i]);
        if (results[i].status_code)
            status = UA_BAD_EVENT_FILTER_INVALID;
    }
    out->element_results = results;
    out->element_results_count = f->elements_count;
    return status;
}

/* ---- evaluated for each event ---- */

struct run {
    struct ua_space *space;
    const struct ua_content_filter *filter;
    const struct uas_event *event;
    struct arena *arena;
};

static bool value_of(const struct run *r, const struct ua_extension_object *o, struct ua_variant *out)
{
    struct ua_reader like = ua_reader_of(BYTES_NONE, r->arena, NULL);
    struct ua_literal_operand literal;
    struct ua_simple_attribute_operand attribute;
    uint8_t field;
    if (is_object(o, UA_ENCODING_literal_operand)) {
        if (!ua_object_read(&like, o, &ua_literal_operand_type, &literal))
            return false;
        *out = literal.value;
        return true;
    }
    if (!ua_object_read(&like, o, &ua_simple_attribute_operand_type, &attribute) ||
        uas_event_operand(r->space, &attribute, &field))
        return false;
    uas_event_variant(r->event, field, out);
    return true;
}

/* The text of a LocalizedText compares as a text does. */
static void plain(struct ua_variant *v)
{
    if (v->type == UA_LOCALIZED_TEXT && !v->array)
        *v = (struct ua_variant){ .type = UA_STRING, .text = ((const struct ua_localized_text *)v->at)->text };
}

/* -1, 0, 1; 2: not the same, and no order; 3: they cannot be compared. */
static int compare(struct ua_variant a, struct ua_variant b)
{
    double x, y;
    plain(&a);
    plain(&b);
    if (a.type == UA_NULL || b.type == UA_NULL)
        return 3;
    bool dates = (a.type == UA_DATE_TIME) != (b.type == UA_DATE_TIME);
    if (!dates && ua_number(&a, &x) && ua_number(&b, &y))
        return x < y ? -1 : x > y ? 1 : x == y ? 0 : 3;
    if (a.type != b.type)
        return 3;
    if (a.type != UA_STRING || a.array || b.array)
        return ua_variant_equal(&a, &b) ? 0 : 2;
    size_t n = a.text.len < b.text.len ? a.text.len : b.text.len;
    int c = n ? memcmp(a.text.at, b.text.at, n) : 0;
    if (!c)
        return a.text.len < b.text.len ? -1 : a.text.len > b.text.len;
    return c < 0 ? -1 : 1;
}

static enum truth holds(unsigned op, int order)
{
    if (order == 3 || (order == 2 && op != EQUALS))
        return UNKNOWN;
    switch (op) {
    case EQUALS: return order == 0;
    case GREATER: return order == 1;
    case LESS: return order == -1;
    case GREATER_EQUAL: return order >= 0;
    default: return order <= 0;
    }
}

static enum truth both(enum truth a, enum truth b)
{
    if (a == FALSE || b == FALSE)
        return FALSE;
    return a == TRUE && b == TRUE ? TRUE : UNKNOWN;
}

static enum truth evaluate_values(const struct run *r, const struct ua_content_filter_element *e)
{
    unsigned op = (unsigned)e->filter_operator;
    struct ua_variant first, other;
    if (!value_of(r, &e->filter_operands[0], &first))
        return UNKNOWN;
    if (op == IS_NULL)
        return first.type == UA_NULL ? TRUE : FALSE;
    if (op == OF_TYPE)
        return ua_is_subtype(r->space, &r->event->type, first.at) ? TRUE : FALSE;
    if (op == BETWEEN) {
        struct ua_variant low, high;
        if (!value_of(r, &e->filter_operands[1], &low) || !value_of(r, &e->filter_operands[2], &high))
            return UNKNOWN;
        return both(holds(GREATER_EQUAL, compare(first, low)), holds(LESS_EQUAL, compare(first, high)));
    }
    enum truth any = FALSE;
    for (uint32_t i = 1; i < e->filter_operands_count; i++) {
        enum truth t = value_of(r, &e->filter_operands[i], &other) ? holds(op == IN_LIST ? EQUALS : op, compare(first, other))
                                                                   : UNKNOWN;
        if (t == TRUE)
            return TRUE;
        any = t == UNKNOWN ? UNKNOWN : any;
    }
    return any;
}

static enum truth negate(enum truth t)
{
    return t == UNKNOWN ? UNKNOWN : t == TRUE ? FALSE : TRUE;
}

/* From the last element to the first: an operand that is an element has been evaluated already. */
bool uas_where_passes(struct ua_space *space, const struct ua_content_filter *f, const struct uas_event *event)
{
    enum truth known[ELEMENTS_MAX];
    _Alignas(16) uint8_t lent[SCRATCH];
    struct arena a;
    arena_init(&a, lent, sizeof lent, 64 * 1024);
    const struct run r = { space, f, event, &a };
    for (uint32_t at = f->elements_count; at-- > 0;) {
        const struct ua_content_filter_element *e = &f->elements[at];
        unsigned op = (unsigned)e->filter_operator;
        if (!is_logical(op)) {
            known[at] = evaluate_values(&r, e);
            continue;
        }
        uint32_t left = 0, right = 0;
        bool read = element_of(&e->filter_operands[0], &left);
        if (op == NOT) {
            known[at] = read ? negate(known[left]) : UNKNOWN;
            continue;
        }
        read = element_of(&e->filter_operands[1], &right) && read;
        known[at] = !read       ? UNKNOWN
                    : op == AND ? both(known[left], known[right])
                                : negate(both(negate(known[left]), negate(known[right])));
    }
    arena_clear(&a);
    return known[0] == TRUE;
}
