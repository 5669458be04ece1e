#include "net/out.h"

#include "base/mem.h"

/* What a pool keeps at most for later: per class 64 KiB of blocks but no fewer than 4 small ones or a large one
 * (the heap would give a large one back to the system and get it again with empty pages, every turn), and this
 * many structs. */
enum { KEEP_BYTES = 64 * 1024, KEEP_LEAST = 4, KEEP_OUTS = 64, REFS_FIRST = 8, REFS_KEEP = 256 };

enum { LENT_LEAST = 1024 }; /* a shorter piece is rather copied than sent as a vector of its own */

static uint32_t keep_blocks(size_t bytes)
{
    size_t keep = KEEP_BYTES / bytes;
    return bytes > KEEP_BYTES ? 1 : keep > KEEP_LEAST ? (uint32_t)keep : KEEP_LEAST;
}

static size_t class_bytes(unsigned size_class)
{
    return (size_t)OUT_SMALLEST << size_class;
}

unsigned out_class_of(size_t bytes)
{
    unsigned c = 0;
    while (c < OUT_CLASSES - 1 && class_bytes(c) < bytes)
        c++;
    return c;
}

static void block_take(struct out_pool *p, struct buf *b, unsigned c)
{
    struct out_block *block = p->blocks[c];
    if (block) {
        p->blocks[c] = block->next;
        p->count[c]--;
        b->at = (uint8_t *)block;
    } else {
        b->at = mem_alloc(class_bytes(c));
    }
    b->cap = b->at ? class_bytes(c) : 0;
}

static void block_give(struct out_pool *p, struct buf *b)
{
    unsigned c = out_class_of(b->cap);
    if (b->cap == class_bytes(c) && p->count[c] < keep_blocks(b->cap)) {
        struct out_block *block = (struct out_block *)(void *)b->at;
        block->next = p->blocks[c];
        p->blocks[c] = block;
        p->count[c]++;
    } else {
        mem_free(b->at);
    }
    *b = (struct buf){ 0 };
}

struct out *out_take(struct out_pool *p, unsigned size_class)
{
    struct out *o = p->outs;
    if (o) {
        p->outs = o->next;
        p->outs_count--;
    } else {
        o = mem_zalloc(1, sizeof *o);
        if (!o)
            return NULL;
    }
    block_take(p, &o->copy, size_class);
    if (!o->copy.at) {
        out_give(p, o);
        return NULL;
    }
    out_count(p, o);
    return o;
}

void out_give(struct out_pool *p, struct out *o)
{
    out_uncount(p, o);
    for (; o->count; o->count--, o->first++) {
        struct out_ref *r = &o->refs[o->first & (o->cap - 1)];
        if (r->release)
            r->release(r->arg);
    }
    block_give(p, &o->copy);
    if (o->cap > REFS_KEEP || p->outs_count >= KEEP_OUTS) {
        mem_free(o->refs);
        o->refs = NULL;
        o->cap = 0;
    }
    if (p->outs_count >= KEEP_OUTS) {
        mem_free(o);
        return;
    }
    o->first = 0;
    o->passed = 0;
    o->ref_bytes = o->kept_bytes = 0;
    o->bad = false;
    o->next = p->outs;
    p->outs = o;
    p->outs_count++;
}

void out_pool_clear(struct out_pool *p)
{
    while (p->outs) {
        struct out *o = p->outs;
        p->outs = o->next;
        mem_free(o->refs);
        mem_free(o);
    }
    for (unsigned c = 0; c < OUT_CLASSES; c++)
        while (p->blocks[c]) {
            struct out_block *b = p->blocks[c];
            p->blocks[c] = b->next;
            mem_free(b);
        }
    *p = (struct out_pool){ 0 };
}

static bool refs_room(struct out *o)
{
    if (o->count < o->cap)
        return true;
    uint32_t cap = o->cap ? o->cap * 2 : REFS_FIRST;
    struct out_ref *fresh = cap > o->cap ? mem_alloc(cap * sizeof *fresh) : NULL;
    if (!fresh)
        return false;
    for (uint32_t i = 0; i < o->count; i++)
        fresh[i] = o->refs[(o->first + i) & (o->cap - 1)];
    mem_free(o->refs);
    o->refs = fresh;
    o->cap = cap;
    o->first = 0;
    return true;
}

void out_ref(struct out *o, struct bytes b, void (*release)(void *), void *arg)
{
    if (b.len == 0 || !refs_room(o)) {
        o->bad |= b.len != 0;
        if (release)
            release(arg);
        return;
    }
    struct out_ref *r = &o->refs[(o->first + o->count++) & (o->cap - 1)];
    *r = (struct out_ref){ o->passed + buf_size(&o->copy), b, release, arg };
    o->ref_bytes += b.len;
}

/* ---- lent bytes ---- */

/* Marks a reference as lent. */
static void lent(void *arg)
{
    (void)arg;
}

/* Marks one that was lent and is now kept. */
static void kept(void *own)
{
    mem_free(own);
}

/* The lent piece at the very end, or NULL. */
static struct out_ref *lent_end(const struct out *o)
{
    struct out_ref *r = o->count ? &o->refs[(o->first + o->count - 1) & (o->cap - 1)] : NULL;
    return r && r->release == lent && r->mark == o->passed + buf_size(&o->copy) ? r : NULL;
}

void out_settle(struct out *o)
{
    const struct out_ref *r = lent_end(o);
    if (!r || r->b.len >= LENT_LEAST)
        return;
    struct bytes b = r->b;
    o->count--;
    o->ref_bytes -= b.len;
    buf_add_bytes(&o->copy, b);
}

void out_lend(struct out *o, struct bytes b)
{
    struct out_ref *r = lent_end(o);
    if (r && r->b.at + r->b.len == b.at) {
        r->b.len += b.len;
        o->ref_bytes += b.len;
        return;
    }
    out_settle(o);
    out_ref(o, b, lent, NULL);
}

bool out_keep(struct out *o)
{
    out_settle(o);
    for (uint32_t i = 0; i < o->count; i++) {
        struct out_ref *r = &o->refs[(o->first + i) & (o->cap - 1)];
        if (r->release != lent)
            continue;
        uint8_t *own = mem_alloc(r->b.len);
        if (!own) {
            o->bad = true; /* so nothing of it is ever looked at */
            return false;
        }
        memcpy(own, r->b.at, r->b.len);
        r->b.at = own;
        r->release = kept;
        r->arg = own;
        o->kept_bytes += r->b.len;
    }
    return !o->copy.bad;
}

/* ---- heads ---- */

void out_headroom(struct out *o, size_t n)
{
    if (out_unsent(o) == 0 && o->copy.cap > n)
        o->copy.from = o->copy.len = n;
}

bool out_prepend(struct out *o, const void *at, size_t n)
{
    if (o->copy.from >= n && o->copy.at) {
        o->copy.from -= n;
        o->passed -= n; /* marks are only ever compared with it */
        memcpy(o->copy.at + o->copy.from, at, n);
        return true;
    }
    uint8_t *own = refs_room(o) ? mem_alloc(n) : NULL;
    if (!own)
        return false;
    memcpy(own, at, n);
    o->refs[--o->first & (o->cap - 1)] = (struct out_ref){ o->passed, bytes_of(own, n), mem_free, own };
    o->count++;
    o->ref_bytes += n;
    return true;
}

/* What moves of the first reference of `from`, at most `n` bytes. */
static size_t move_ref(struct out *to, struct out *from, size_t n)
{
    struct out_ref *r = &from->refs[from->first & (from->cap - 1)];
    bool whole = n >= r->b.len;
    n = whole ? r->b.len : n;
    if (r->release == kept) {
        from->kept_bytes -= n;
        to->kept_bytes += whole ? n : 0; /* the block counts where it is released */
    }
    out_ref(to, bytes_of(r->b.at, n), whole || r->release == lent ? r->release : NULL, whole ? r->arg : NULL);
    from->ref_bytes -= n;
    r->b = bytes_from(r->b, n);
    from->first += whole;
    from->count -= whole;
    return n;
}

void out_move(struct out *to, struct out *from, size_t n)
{
    while (n) {
        struct bytes copied = buf_bytes(&from->copy);
        size_t before = from->count ? (size_t)(from->refs[from->first & (from->cap - 1)].mark - from->passed) : copied.len;
        size_t part = n < before ? n : before;
        buf_add(&to->copy, copied.at, part);
        buf_take(&from->copy, part);
        from->passed += part;
        n -= part;
        if (n) {
            FG_ASSERT(from->count);
            n -= move_ref(to, from, n);
        }
    }
    to->bad |= from->bad;
}

void out_append(struct out *to, struct out *from)
{
    out_move(to, from, out_unsent(from));
}

size_t out_peek(const struct out *o, uint8_t *at, size_t max)
{
    struct iovec v[8];
    size_t bytes, have = 0;
    int n = out_vectors(o, v, (int)(sizeof v / sizeof v[0]), &bytes);
    for (int i = 0; i < n && have < max; i++) {
        size_t part = v[i].iov_len < max - have ? v[i].iov_len : max - have;
        memcpy(at + have, v[i].iov_base, part);
        have += part;
    }
    return have;
}

int out_vectors(const struct out *o, struct iovec *v, int max, size_t *bytes)
{
    struct bytes copied = buf_bytes(&o->copy);
    const uint8_t *at = copied.at;
    size_t left = copied.len, total = 0;
    uint64_t mark = o->passed;
    int n = 0;
    for (uint32_t i = 0; i < o->count && n < max; i++) {
        const struct out_ref *r = &o->refs[(o->first + i) & (o->cap - 1)];
        size_t before = (size_t)(r->mark - mark);
        if (before) {
            v[n++] = (struct iovec){ (void *)(uintptr_t)at, before };
            at += before;
            left -= before;
            mark += before;
            total += before;
        }
        if (n < max) {
            v[n++] = (struct iovec){ (void *)(uintptr_t)r->b.at, r->b.len };
            total += r->b.len;
        }
    }
    if (left && n < max) {
        v[n++] = (struct iovec){ (void *)(uintptr_t)at, left };
        total += left;
    }
    *bytes = total;
    return n;
}

void out_sent(struct out *o, size_t n)
{
    while (n) {
        if (o->count == 0) {
            FG_ASSERT(n <= buf_size(&o->copy));
            o->passed += n;
            buf_take(&o->copy, n);
            return;
        }
        struct out_ref *r = &o->refs[o->first & (o->cap - 1)];
        size_t before = (size_t)(r->mark - o->passed);
        size_t copied = n < before ? n : before;
        if (copied) {
            o->passed += copied;
            buf_take(&o->copy, copied);
            n -= copied;
        }
        if (copied < before)
            return;
        size_t by_ref = n < r->b.len ? n : r->b.len;
        r->b.at += by_ref;
        r->b.len -= by_ref;
        o->ref_bytes -= by_ref;
        o->kept_bytes -= r->release == kept ? by_ref : 0;
        n -= by_ref;
        if (r->b.len)
            return;
        void (*release)(void *) = r->release;
        void *arg = r->arg;
        o->first++;
        o->count--;
        if (release)
            release(arg);
    }
}
