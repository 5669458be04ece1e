/* json_plan.h - the wanted paths as a tree, for the reader. */
#pragma once

#include "expr/json.h"

/* A name at its place in the tree. Node 0 is the event itself and has no name. The children of a node stand one behind the
 * other. */
struct plan_node {
    struct bytes name;
    uint64_t begin; /* its first eight bytes with bit 0x20 set, zeros behind                        */
    uint64_t mask;  /* which of those eight count                                                   */
    int32_t slot;   /* -1: only something below it is wanted                                        */
    uint32_t child, children, end; /* all that is below it: the nodes from child up to before end        */
    bool
        ambiguous; /* children whose names differ in case only: fields are then looked up in the whole record */
};
struct json_plan {
    uint32_t nodes, slots;
    struct plan_node *node;
    uint32_t *same_as; /* per slot: the slot of the same path that is filled, itself if it is that one */
    bool copies;       /* there are such                                                              */
};
static inline uint64_t plan_word(const uint8_t *at, uint64_t mask) /* 8 readable bytes */
{
    uint64_t w;
    memcpy(&w, at, 8);
    return (w | 0x2020202020202020u) & mask;
}
static inline uint64_t plan_mask(size_t len)
{
    return len >= 8 ? UINT64_MAX : ((UINT64_C(1) << (8 * len)) - 1);
}
/* Equal but for the case of ASCII letters. */
bool plan_near(struct bytes a, struct bytes b);
