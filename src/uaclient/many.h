/* many.h - services that take a list: cut into requests as small as the server's limits want them, halved when it says that a
 * list or its answer is too large; browsing with continuation points, browse paths, history.
 *
 * Lists that are given must live until `done`. Callbacks as in client.h; `done` is called once unless the client is closed before.
 * A connection that ends in between ends the work with BadConnectionClosed.
 */
#pragma once

#include "uaclient/client.h"

/* The results of operations first .. first + count - 1: structs of the response's list, valid during the call. `status` bad: they
 * have none, this is why; the others are still asked unless the connection is gone. */
typedef void (*ua_part_fn)(void *ctx, size_t first, size_t count, const void *results, ua_status status);
/* Good, or the first bad status of a whole part. */
typedef void (*ua_done_fn)(void *ctx, ua_status);

enum ua_list_service {
    UA_LIST_READ,      /* ua_read_request         -> struct ua_data_value        */
    UA_LIST_WRITE,     /* ua_write_request        -> ua_status                   */
    UA_LIST_CALL,      /* ua_call_request         -> struct ua_call_method_result */
    UA_LIST_BROWSE,    /* ua_browse_request       -> struct ua_browse_result     */
    UA_LIST_TRANSLATE, /* ua_translate_request    -> struct ua_browse_path_result */
    UA_LIST_REGISTER,  /* ua_register_nodes_request -> struct ua_node_id         */
    UA_LIST_HISTORY,   /* ua_history_read_request -> struct ua_history_read_result */
    UA_LIST_MONITOR,   /* ua_create_monitored_items_request -> struct ua_monitored_item_create_result */
    UA_LIST_MODIFY,    /* ua_modify_monitored_items_request -> struct ua_monitored_item_modify_result */
    UA_LIST_UNMONITOR, /* ua_delete_monitored_items_request -> ua_status */
    UA_LIST_COUNT
};
/* `request` with the whole list; it is copied, the list is not. */
FG_CHECK enum code ua_ask_list(struct ua_client *, enum ua_list_service, const void *request, ua_part_fn, ua_done_fn, void *ctx,
                               struct fault *why);

/* ---- browsing ---- */
struct ua_browse_options {
    struct ua_node_id reference; /* null: hierarchical references (i=33) and below */
    enum ua_browse_direction direction;
    uint32_t classes;   /* bits of enum ua_node_class; 0: all */
    unsigned depth;     /* 0 = 1: what is right below */
    uint32_t nodes_max; /* 0 = 100,000; reached: BadTooManyOperations at the end */
};
/* A reference of `parent`, `level` 1 right below the start. True: go on below it (within depth; each node is entered once, whatever
 * circles there are). Only nodes of this server are entered. */
typedef bool (*ua_reference_fn)(void *ctx, const struct ua_node_id *parent, unsigned level, const struct ua_reference_description *);
FG_CHECK enum code ua_browse(struct ua_client *, const struct ua_node_id *start, const struct ua_browse_options *, ua_reference_fn,
                             ua_done_fn, void *ctx, struct fault *why);

/* ---- history ---- */
/* Raw values of one node from `from` to `to`, oldest first, in parts. False: enough, the rest is not wanted. */
typedef bool (*ua_history_fn)(void *ctx, const struct ua_data_value *, uint32_t count);
FG_CHECK enum code ua_history_raw(struct ua_client *, const struct ua_node_id *, ua_time from, ua_time to, uint32_t per_request,
                                  ua_history_fn, ua_done_fn, void *ctx, struct fault *why);
