/* TranslateBrowsePathsToNodeIds, RegisterNodes and UnregisterNodes (Part 4, 5.8.4 to 5.8.6). */
#include "uaserver/view.h"

enum { ELEMENTS_MAX = 64, MATCHES_MAX = 1000 };

/* Nodes that the path leads to so far, without repeats. */
struct matches {
    struct ua_node **at;
    uint32_t count;
};

static bool has(const struct matches *m, const struct ua_node *n)
{
    for (uint32_t i = 0; i < m->count; i++)
        if (m->at[i] == n)
            return true;
    return false;
}

static bool type_fits(struct ua_space *space, const struct ua_relative_path_element *e, uint32_t type)
{
    if (ua_node_id_is_null(&e->reference_type_id))
        return true;
    if (ua_node_id_equal(&UA_NS0(type), &e->reference_type_id))
        return true;
    return e->include_subtypes && ua_is_subtype(space, &UA_NS0(type), &e->reference_type_id);
}

/* One step from every node of `from`. False: more matches than there is room for. */
static bool step(struct ua_space *space, const struct ua_relative_path_element *e, const struct matches *from, struct matches *to)
{
    to->count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        const struct ua_node *n = from->at[i];
        for (uint32_t k = 0; k < n->ref_count; k++) {
            const struct ua_ref *r = &n->refs[k];
            if (r->inverse != e->is_inverse || r->to->browse_ns != e->target_name.ns ||
                !bytes_equal(r->to->browse_name, e->target_name.name) || !type_fits(space, e, r->type) || has(to, r->to))
                continue;
            if (to->count == MATCHES_MAX)
                return false;
            to->at[to->count++] = r->to;
        }
    }
    return true;
}

static ua_status check_path(const struct ua_relative_path *p)
{
    if (!p->elements_count)
        return UA_BAD_NOTHING_TO_DO;
    if (p->elements_count > ELEMENTS_MAX)
        return UA_BAD_QUERY_TOO_COMPLEX;
    for (uint32_t i = 0; i < p->elements_count; i++)
        if (!p->elements[i].target_name.name.len)
            return UA_BAD_BROWSE_NAME_INVALID;
    return UA_GOOD;
}

static ua_status walk(struct ua_space *space, const struct ua_browse_path *path, struct matches *here, struct matches *there)
{
    struct ua_node *start = ua_find(space, &path->starting_node);
    if (!start)
        return UA_BAD_NODE_ID_UNKNOWN;
    ua_status status = check_path(&path->relative_path);
    if (status)
        return status;
    here->at[0] = start;
    here->count = 1;
    for (uint32_t i = 0; i < path->relative_path.elements_count; i++) {
        if (!step(space, &path->relative_path.elements[i], here, there))
            return UA_BAD_TOO_MANY_MATCHES;
        struct matches was = *here;
        *here = *there;
        *there = was;
    }
    return here->count ? UA_GOOD : UA_BAD_NO_MATCH;
}

static void write_path_result(struct buf *out, ua_status status, const struct matches *found)
{
    buf_le32(out, status);
    if (status) {
        buf_le32(out, UINT32_MAX);
        return;
    }
    buf_le32(out, found->count);
    for (uint32_t i = 0; i < found->count; i++) {
        ua_write_node_id(out, &found->at[i]->id);
        buf_le32(out, UINT32_MAX); /* the whole path was followed */
    }
}

void uas_translate(struct uas_request *r)
{
    struct ua_translate_request ask;
    if (!uas_read(r, &ua_translate_request_type, &ask) || !uas_count(r, ask.browse_paths_count))
        return;
    struct matches here = { arena_take(r->arena, MATCHES_MAX * sizeof *here.at), 0 };
    struct matches there = { arena_take(r->arena, MATCHES_MAX * sizeof *there.at), 0 };
    if (!here.at || !there.at) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    struct buf *out = uas_begin(r, UA_ENCODING_translate_response);
    buf_le32(out, ask.browse_paths_count);
    for (uint32_t i = 0; i < ask.browse_paths_count; i++) {
        ua_status status = walk(r->server->space, &ask.browse_paths[i], &here, &there);
        write_path_result(out, status, &here);
    }
    buf_le32(out, UINT32_MAX); /* no diagnostics */
    uas_end(r);
}

/* Nodes are found by a hash of their id: a registered one could not be faster, so it keeps its name. */
void uas_register_nodes(struct uas_request *r)
{
    struct ua_register_nodes_request ask;
    if (!uas_read(r, &ua_register_nodes_request_type, &ask) || !uas_count(r, ask.nodes_to_register_count))
        return;
    struct ua_register_nodes_response answer = { .registered_node_ids = ask.nodes_to_register,
                                                 .registered_node_ids_count = ask.nodes_to_register_count };
    uas_answer(r, &ua_register_nodes_response_type, &answer);
}

void uas_unregister_nodes(struct uas_request *r)
{
    struct ua_unregister_nodes_request ask;
    if (!uas_read(r, &ua_unregister_nodes_request_type, &ask) || !uas_count(r, ask.nodes_to_unregister_count))
        return;
    struct ua_unregister_nodes_response answer = { 0 };
    uas_answer(r, &ua_unregister_nodes_response_type, &answer);
}
