/* opcua_tree.h - the nodes of a server as a tree, each once, in the order they were found. Thread: main. */
#pragma once

#include "base/table.h"
#include "cli/opcua_session.h"

struct opcua_item {
    struct ua_node_id node;
    struct bytes key;         /* the node as text, of the table */
    struct ua_qualified_name name;
    struct bytes display;
    uint32_t node_class, level;
    uint32_t above, first, last, next; /* parent, children, next sister: number + 1, 0: none */
    struct ua_data_value value;        /* not read by opcua_tree_grow */
};

struct opcua_tree {
    struct opcua_session *s;
    uint32_t depth, max;
    bool     all;             /* below the Server object and below variables, too */
    struct opcua_item *items; /* [0] is where it began */
    uint32_t count, room;
    struct table known;       /* node -> its item's number + 1 */
    bool     done, no_memory;
    ua_status status;
};

/* Browses from `start`. STATUS_DONE, with a warning when not all of it is there; else it is said on stderr. */
int  opcua_tree_grow(struct opcua_tree *, struct opcua_session *, const struct ua_node_id *start, uint32_t depth, uint32_t max, bool all);
void opcua_tree_clear(struct opcua_tree *);
/* "press-1/Temperature": the names from below the start on. */
void opcua_tree_path(const struct opcua_tree *, const struct opcua_item *, struct buf *out);
