/* space_private.h - what the files of the address space share. Not for others.
 *
 *   space.c       the table of nodes, namespaces       space_add.c   nodes are made
 *   space_refs.c  references, types, removal           attribute.c   reading
 *   watch.c       setting values, watchers
 */
#pragma once

#include "uaserver/space.h"

struct ua_space_slot {
    uint64_t        hash;
    struct ua_node *node; /* NULL: empty */
};
struct ua_space {
    struct loop *loop;
    struct ua_space_limits limits;
    struct ua_space_slot  *slots; /* open addressing, by the hash's upper bits; at most half full */
    unsigned     bits;
    uint32_t     count;
    uint32_t     last_number; /* given out in namespace 1 */
    char       **uris;
    uint16_t     uri_count;
};

/* False: no memory. */
FG_CHECK bool space_put(struct ua_space *, struct ua_node *);
void          space_take(struct ua_space *, struct ua_node *);
/* Tells the watchers; frees it. Its references must be gone, or nobody looks at them any more. */
void          space_free_node(struct ua_node *);
FG_CHECK bool space_ref(struct ua_node *from, uint32_t type, struct ua_node *to, bool inverse);
