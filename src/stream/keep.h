/* keep.h - rows that outlive their message: one block of memory with all that their values point to. */
#pragma once

#include "expr/value.h"

struct stream;

struct kept {
    struct kept *next;      /* for lists of the owner's */
    int64_t      time;
    uint64_t     sequence;  /* order among equal times */
    uint32_t     size, width; /* of the block in bytes; of values */
    uint32_t     port;
    bool         flag;
    struct value values[];
};

/* Bytes that a copy of the values takes beyond themselves, and that copy: `at` has room for them, 8-byte aligned. */
size_t keep_size(const struct value *, uint32_t count);
void   keep_copy(struct value *to, const struct value *from, uint32_t count, uint8_t *at);

/* NULL: no memory. Counted in the stream's state until kept_free. */
struct kept *kept_make(struct stream *, const struct value *, uint32_t width, int64_t time);
void         kept_free(struct stream *, struct kept *);
