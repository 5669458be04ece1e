/* out.h - bytes on their way to one socket: copied ones in a growing buffer, and others by reference among
 * them.
 *
 *   copy   [ aaaa | bbbbbb | cc ]          sent in this order:  aaaa REF0 bbbbbb REF1 cc
 *                 ^        ^
 *   refs     REF0.mark  REF1.mark          a mark counts copied bytes since the struct was taken
 *
 * A connection holds one only while it has something unsent. Structs and blocks come from a pool of its
 * loop. Private to src/net. Thread: the loop's.
 */
#pragma once

#include "base/buf.h"

#include <sys/uio.h>

struct out_ref {
    uint64_t     mark;
    struct bytes b;
    void (*release)(void *arg);
    void *arg;
};

struct out {
    struct buf      copy;
    uint64_t        passed;              /* copied bytes sent: the mark of copy.at[copy.from] */
    struct out_ref *refs;                /* ring, `cap` is a power of two, owned              */
    uint32_t        first, count, cap;
    size_t          ref_bytes;           /* unsent                                            */
    size_t          kept_bytes;          /* of them: copies that out_keep made                */
    size_t          counted;             /* of its memory, in the pool's `bytes`              */
    bool            bad;                 /* a reference could not be noted                    */
    struct out     *next;                /* in the pool                                       */
};

enum { OUT_CLASSES = 11, OUT_SMALLEST = 512 }; /* 512 bytes .. 512 KiB: what a busy connection gets in a turn */

struct out_pool {
    struct out *outs;
    uint32_t    outs_count;
    struct out_block {
        struct out_block *next;
    }       *blocks[OUT_CLASSES];
    uint32_t count[OUT_CLASSES];
    size_t   bytes; /* memory of the structs that are in use: what each had when it was last counted */
};

/* A struct with a block of about the class's size; NULL when memory is out. */
struct out *out_take(struct out_pool *p, unsigned size_class);
/* Releases what it still refers to. Returns the class that would have held what went through it. */
void     out_give(struct out_pool *p, struct out *o);
unsigned out_class_of(size_t bytes);
void     out_pool_clear(struct out_pool *p);

static inline size_t out_unsent(const struct out *o)
{
    return buf_size(&o->copy) + o->ref_bytes;
}

/* Memory of its own that waits: all but what it only refers to. */
static inline size_t out_owned(const struct out *o)
{
    return buf_size(&o->copy) + o->kept_bytes;
}

/* Memory of its own, used or not. */
static inline size_t out_weight(const struct out *o)
{
    return o->copy.cap + o->kept_bytes + o->cap * sizeof *o->refs;
}
/* Whoever made it grow tells the pool. */
static inline void out_count(struct out_pool *p, struct out *o)
{
    size_t weight = out_weight(o);
    if (weight == o->counted)
        return;
    p->bytes += weight - o->counted;
    o->counted = weight;
}
/* It goes to another loop, and came from one. */
static inline void out_uncount(struct out_pool *p, struct out *o)
{
    p->bytes -= o->counted;
    o->counted = 0;
}

/* Always takes responsibility for release: when it cannot note the reference it calls release and sets
 * bad. */
void out_ref(struct out *o, struct bytes b, void (*release)(void *arg), void *arg);
/* Like out_ref, for bytes that stay where they are only until the end of the turn. What lies directly behind
 * the piece before it makes that one longer. */
void out_lend(struct out *o, struct bytes b);
/* Before bytes are copied behind: a short lent piece is copied, too, because a vector would cost more. */
void out_settle(struct out *o);
/* The turn ends: what is still lent becomes the output's own. False: memory is out, and `bad` is set. */
bool out_keep(struct out *o);
/* Puts `n` bytes in front of everything. In place when the copied bytes have room before them (out_headroom), else as a
 * small reference of its own; false: memory is out. */
bool out_prepend(struct out *o, const void *at, size_t n);
/* Leaves room for `n` bytes in front of what will be added; only while nothing was. */
void out_headroom(struct out *o, size_t n);
/* The next `n` bytes of `from`, in their order, behind `to`. A reference of which only a part moves is released with its
 * last part. */
void out_move(struct out *to, struct out *from, size_t n);
/* Copies up to `max` of the bytes that come next; returns how many. */
size_t out_peek(const struct out *o, uint8_t *at, size_t max);
/* All of `from`, in its order, behind `to`. `from` is then empty. */
void out_append(struct out *to, struct out *from);
/* Fills up to `max` vectors with what comes next; returns how many, *bytes what they hold. */
int  out_vectors(const struct out *o, struct iovec *v, int max, size_t *bytes);
/* The first `n` bytes are sent. */
void out_sent(struct out *o, size_t n);
