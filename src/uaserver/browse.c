/* Browse and BrowseNext (Part 4, 5.8.2 and 5.8.3). References are written straight into the answer; when it, or the number that
 * was asked for, is reached, the rest waits behind a continuation point. */
#include "uaserver/serve.h"
#include "uaserver/view.h"

#include "base/mem.h"

enum {
    ANSWER_BYTES = 512 * 1024, /* of references in one answer, if the client takes that much: the rest waits */
    REFERENCES_MAX = 10000     /* of one node in one answer */
};

/* What is looked for, and how far it has come. */
struct look {
    uint32_t types;     /* number of the reference type; 0: any */
    bool     subtypes;
    uint8_t  direction; /* enum ua_browse_direction */
    uint32_t classes, fields;
    uint32_t most;      /* references of one answer; 0: no limit but ours */
    uint32_t at;        /* the next one of the node's references */
};

struct uas_point {
    struct uas_point *next;
    struct ua_watcher watch; /* of the node; loose when it is gone */
    struct look       look;
    uint32_t          number;
};

struct uas_views {
    struct uas_point *points; /* newest first */
    uint32_t          count, last_number;
};

/* ---- continuation points ---- */

static void free_point(struct uas_point *p)
{
    ua_unwatch(&p->watch);
    mem_free(p);
}

static void node_gone(struct ua_watcher *w)
{
    (void)w; /* it is loose: BrowseNext notices */
}

/* NULL: none left, or no memory. */
static struct uas_point *keep_point(struct uas_session *s, struct ua_node *n, const struct look *look)
{
    struct uas_views *v = s->views;
    if (!v)
        v = s->views = mem_zalloc(1, sizeof *v);
    if (!v || v->count >= s->server->limits.continuation_points)
        return NULL;
    struct uas_point *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->number = ++v->last_number;
    p->look = *look;
    p->watch.gone = node_gone;
    ua_watch_node(&p->watch, n);
    p->next = v->points;
    v->points = p;
    v->count++;
    return p;
}

/* Takes it out of the session. NULL: it has none of that name. */
static struct uas_point *take_point(struct uas_session *s, struct bytes name)
{
    struct uas_views *v = s->views;
    uint32_t number;
    if (!v || name.len != sizeof number)
        return NULL;
    memcpy(&number, name.at, sizeof number);
    for (struct uas_point **at = &v->points; *at; at = &(*at)->next)
        if ((*at)->number == number) {
            struct uas_point *p = *at;
            *at = p->next;
            v->count--;
            return p;
        }
    return NULL;
}

static void session_closing(struct uas_session *s, bool delete_subscriptions)
{
    (void)delete_subscriptions;
    struct uas_views *v = s->views;
    for (struct uas_point *p; v && (p = v->points) != NULL;) {
        v->points = p->next;
        free_point(p);
    }
    mem_free(v);
    s->views = NULL;
}

const struct uas_hooks uas_view_hooks = { .session_closing = session_closing };

/* ---- references ---- */

static bool type_fits(struct ua_space *space, const struct look *look, uint32_t type)
{
    if (!look->types || look->types == type)
        return true;
    return look->subtypes && ua_is_subtype(space, &UA_NS0(type), &UA_NS0(look->types));
}

/* The next reference that fits, and the place behind it. NULL: no more. */
static const struct ua_ref *next_ref(struct ua_space *space, struct look *look, const struct ua_node *n)
{
    while (look->at < n->ref_count) {
        const struct ua_ref *r = &n->refs[look->at++];
        if ((look->direction == UA_BROWSE_FORWARD && r->inverse) || (look->direction == UA_BROWSE_INVERSE && !r->inverse))
            continue;
        if (look->classes && !(look->classes & r->to->node_class))
            continue;
        if (type_fits(space, look, r->type))
            return r;
    }
    return NULL;
}

static void write_expanded_null(struct buf *out)
{
    buf_le16(out, 0); /* a two-byte NodeId of 0 */
}

static void write_text(struct buf *out, struct bytes text)
{
    buf_u8(out, text.at ? 2 : 0);
    if (text.at)
        ua_write_string(out, text);
}

static void write_type_definition(struct buf *out, const struct ua_node *n)
{
    const struct ua_node *type = NULL;
    if (n->node_class & (UA_CLASS_OBJECT | UA_CLASS_VARIABLE))
        type = ua_follow(n, UA_ID_HAS_TYPE_DEFINITION, false);
    if (type)
        ua_write_node_id(out, &type->id);
    else
        write_expanded_null(out);
}

/* A ReferenceDescription; what was not asked for is null. */
static void write_reference(struct buf *out, uint32_t fields, const struct ua_ref *r)
{
    const struct ua_node *n = r->to;
    ua_write_node_id(out, &UA_NS0(fields & UA_BROWSE_REFERENCE_TYPE ? r->type : 0));
    buf_u8(out, fields & UA_BROWSE_IS_FORWARD && !r->inverse);
    ua_write_node_id(out, &n->id); /* one of this server: the same as an ExpandedNodeId */
    buf_le16(out, fields & UA_BROWSE_BROWSE_NAME ? n->browse_ns : 0);
    ua_write_string(out, fields & UA_BROWSE_BROWSE_NAME ? n->browse_name : BYTES_NONE);
    write_text(out, fields & UA_BROWSE_DISPLAY_NAME ? n->display_name : BYTES_NONE);
    buf_le32(out, fields & UA_BROWSE_NODE_CLASS ? n->node_class : 0);
    if (fields & UA_BROWSE_TYPE_DEFINITION)
        write_type_definition(out, n);
    else
        write_expanded_null(out);
}

static void patch32(struct buf *out, size_t place, uint32_t v)
{
    for (int i = 0; i < 4 && !out->bad; i++)
        out->at[out->from + place + (size_t)i] = (uint8_t)(v >> (8 * i));
}

static void write_failed(struct buf *out, ua_status status)
{
    buf_le32(out, status);
    buf_le32(out, UINT32_MAX); /* no continuation point */
    buf_le32(out, UINT32_MAX); /* no references */
}

static void write_head(struct buf *out, uint32_t point)
{
    buf_le32(out, UA_GOOD);
    if (point) {
        buf_le32(out, sizeof point);
        buf_add(out, &point, sizeof point);
    } else {
        buf_le32(out, UINT32_MAX);
    }
}

/* One BrowseResult. The continuation point stands in front of the references, so whether there is one is found out first, by
 * writing the references behind the room that it takes. */
static void write_result(struct uas_request *r, struct buf *out, struct ua_node *n, struct look *look, size_t budget)
{
    struct ua_space *space = r->server->space;
    size_t start = buf_size(out);
    uint32_t most = look->most && look->most < REFERENCES_MAX ? look->most : REFERENCES_MAX, count = 0;
    struct look before = *look;
    const struct ua_ref *ref = NULL;
    write_head(out, 0);
    size_t place = buf_size(out);
    buf_le32(out, 0);
    while (count < most && (count == 0 || buf_size(out) < budget) && (ref = next_ref(space, look, n)) != NULL) {
        write_reference(out, look->fields, ref);
        count++;
    }
    struct look rest = *look;
    if (!ref || out->bad || !next_ref(space, look, n)) {
        patch32(out, place, count);
        return;
    }
    struct uas_point *p = keep_point(r->session, n, &rest);
    out->len = out->from + start;
    if (!p) {
        write_failed(out, UA_BAD_NO_CONTINUATION_POINTS);
        return;
    }
    write_head(out, p->number);
    buf_le32(out, count);
    for (uint32_t i = 0; i < count && (ref = next_ref(space, &before, n)) != NULL; i++)
        write_reference(out, before.fields, ref);
}

static size_t budget_of(const struct uas_request *r)
{
    uint64_t most = uas_body_max(r) / 2;
    return most < ANSWER_BYTES ? (size_t)most : ANSWER_BYTES;
}

/* ---- Browse ---- */

static ua_status prepare(struct ua_space *space, const struct ua_browse_description *d, uint32_t most, struct look *look,
                         struct ua_node **n)
{
    *n = ua_find(space, &d->node_id);
    if (!*n)
        return UA_BAD_NODE_ID_UNKNOWN;
    if (d->browse_direction < UA_BROWSE_FORWARD || d->browse_direction > UA_BROWSE_BOTH)
        return UA_BAD_BROWSE_DIRECTION_INVALID;
    *look = (struct look){ .subtypes = d->include_subtypes, .direction = (uint8_t)d->browse_direction,
                           .classes = d->node_class_mask, .fields = d->result_mask, .most = most };
    if (ua_node_id_is_null(&d->reference_type_id))
        return UA_GOOD;
    const struct ua_node *type = ua_find(space, &d->reference_type_id);
    if (!type || type->node_class != UA_CLASS_REFERENCE_TYPE)
        return UA_BAD_REFERENCE_TYPE_ID_INVALID;
    look->types = d->reference_type_id.number; /* reference types are of namespace 0 (space.h) */
    return UA_GOOD;
}

void uas_browse(struct uas_request *r)
{
    struct ua_browse_request ask;
    if (!uas_read(r, &ua_browse_request_type, &ask) || !uas_count(r, ask.nodes_to_browse_count))
        return;
    if (!ua_node_id_is_null(&ask.view.view_id)) { /* we have no views */
        uas_fault(r, UA_BAD_VIEW_ID_UNKNOWN);
        return;
    }
    struct buf *out = uas_begin(r, UA_ENCODING_browse_response);
    size_t budget = buf_size(out) + budget_of(r);
    buf_le32(out, ask.nodes_to_browse_count);
    for (uint32_t i = 0; i < ask.nodes_to_browse_count; i++) {
        struct look look;
        struct ua_node *n;
        ua_status status = prepare(r->server->space, &ask.nodes_to_browse[i], ask.requested_max_references_per_node, &look, &n);
        if (status)
            write_failed(out, status);
        else
            write_result(r, out, n, &look, budget);
    }
    buf_le32(out, UINT32_MAX); /* no diagnostics */
    uas_end(r);
}

/* ---- BrowseNext ---- */

static void go_on(struct uas_request *r, struct buf *out, struct bytes name, bool release, size_t budget)
{
    struct uas_point *p = take_point(r->session, name);
    if (!p) {
        write_failed(out, UA_BAD_CONTINUATION_POINT_INVALID);
        return;
    }
    struct ua_node *n = p->watch.node;
    struct look look = p->look;
    free_point(p);
    if (release) {
        write_head(out, 0);
        buf_le32(out, UINT32_MAX);
    } else if (!n) {
        write_failed(out, UA_BAD_NODE_ID_UNKNOWN);
    } else {
        write_result(r, out, n, &look, budget);
    }
}

void uas_browse_next(struct uas_request *r)
{
    struct ua_browse_next_request ask;
    if (!uas_read(r, &ua_browse_next_request_type, &ask) || !uas_count(r, ask.continuation_points_count))
        return;
    struct buf *out = uas_begin(r, UA_ENCODING_browse_next_response);
    size_t budget = buf_size(out) + budget_of(r);
    buf_le32(out, ask.continuation_points_count);
    for (uint32_t i = 0; i < ask.continuation_points_count; i++)
        go_on(r, out, ask.continuation_points[i], ask.release_continuation_points, budget);
    buf_le32(out, UINT32_MAX);
    uas_end(r);
}
