/* json_plan.h - the wanted paths as a tree, for the reader. */
#pragma once

#include "expr/json.h"

/* A name at its place in the tree. Node 0 is the event itself and has no name. The children of a node stand one behind the
 * other. */
struct plan_node {
    struct bytes name;
    uint64_t     first;   /* its first eight bytes, zeros behind                    */
    uint64_t     begin;   /* the same with bit 0x20 set in each that counts         */
    uint64_t     mask;    /* which of those eight count                             */
    uint64_t     lengths; /* of its children's names, modulo 64: one bit each     */
    uint32_t     letters; /* the low five bits of their first bytes               */
    int32_t      slot;    /* -1: only something below it is wanted                  */
    uint32_t     child, children;
    uint32_t     end;       /* all that is below it: the nodes from child up to before end */
    bool         ambiguous; /* children whose names differ in case only: they are looked up in the whole record */
};
struct json_plan {
    uint32_t          nodes, slots;
    struct plan_node *node;
    uint32_t         *same_as; /* per slot: the slot of the same path that is filled, itself if it is that one */
    bool              copies;  /* there are such */
};
#define PLAN_FOLD UINT64_C(0x2020202020202020)
/* Equal but for the case of ASCII letters. */
bool plan_near(struct bytes a, struct bytes b);
