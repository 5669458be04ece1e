#include "support/pages.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct page {
    uint32_t refs;
    uint8_t at[PAGE_BYTES];
};

/* Reserved and never written. It belongs to nobody and is never changed, so it is not counted. */
static struct page zero_page;

static void *must_alloc(size_t n)
{
    void *p = malloc(n);
    if (!p)
        abort();
    return p;
}

static bool is_last(uint32_t *refs)
{
    return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static bool is_shared(const uint32_t *refs)
{
    return __atomic_load_n(refs, __ATOMIC_ACQUIRE) > 1;
}

static struct page *page_hold(struct page *g)
{
    if (g && g != &zero_page)
        __atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
    return g;
}

static void page_drop(struct page *g)
{
    if (g && g != &zero_page && is_last(&g->refs))
        free(g);
}

struct pages *pages_new(void)
{
    struct pages *p = must_alloc(sizeof *p);
    *p = (struct pages){.refs = 1};
    return p;
}

struct pages *pages_hold(struct pages *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void pages_drop(struct pages *p)
{
    if (!p || !is_last(&p->refs))
        return;
    for (uint32_t i = 0; i < p->count; i++)
        page_drop(p->page[i]);
    free(p->page);
    free(p);
}

/* After this the table is ours alone and has at least `count` slots. */
static struct pages *own(struct pages **at, uint64_t count)
{
    struct pages *p = *at;
    if (is_shared(&p->refs)) {
        struct pages *copy = must_alloc(sizeof *copy);
        *copy = (struct pages){.refs = 1, .count = p->count, .held = p->held};
        copy->page = must_alloc(sizeof *copy->page * (p->count + 1));
        for (uint32_t i = 0; i < p->count; i++)
            copy->page[i] = page_hold(p->page[i]);
        pages_drop(p);
        *at = p = copy;
    }
    if (count > p->count) {
        p->page = realloc(p->page, sizeof *p->page * count);
        if (!p->page)
            abort();
        memset(p->page + p->count, 0, sizeof *p->page * (count - p->count));
        p->count = (uint32_t)count;
    }
    return p;
}

static uint64_t pages_for(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

static uint8_t *writable(struct pages *p, uint64_t index)
{
    struct page *old = p->page[index];
    if (!old || old == &zero_page) {
        struct page *g = calloc(1, sizeof *g);
        if (!g)
            abort();
        g->refs = 1;
        p->held += !old;
        p->page[index] = g;
    } else if (is_shared(&old->refs)) {
        struct page *g = must_alloc(sizeof *g);
        g->refs = 1;
        memcpy(g->at, old->at, PAGE_BYTES);
        p->page[index] = g;
        page_drop(old);
    }
    return p->page[index]->at;
}

void pages_write(struct pages **at_p, const void *from, size_t n, uint64_t at)
{
    if (n == 0)
        return;
    struct pages *p = own(at_p, pages_for(at + n));
    const uint8_t *src = from;
    while (n > 0) {
        size_t in = at % PAGE_BYTES, part = PAGE_BYTES - in < n ? PAGE_BYTES - in : n;
        memcpy(writable(p, at / PAGE_BYTES) + in, src, part);
        src += part;
        at += part;
        n -= part;
    }
}

void pages_reserve(struct pages **at_p, uint64_t size)
{
    struct pages *p = own(at_p, pages_for(size));
    for (uint64_t i = 0; i < pages_for(size); i++)
        if (!p->page[i]) {
            p->page[i] = &zero_page;
            p->held++;
        }
}

void pages_cut(struct pages **at_p, uint64_t size)
{
    uint64_t keep = pages_for(size);
    size_t in = size % PAGE_BYTES;
    if (keep > (*at_p)->count || (keep == (*at_p)->count && in == 0))
        return;
    struct pages *p = own(at_p, 0);
    for (uint64_t i = keep; i < p->count; i++)
        if (p->page[i]) {
            p->held--;
            page_drop(p->page[i]);
        }
    p->count = (uint32_t)keep;
    if (in > 0 && p->page[keep - 1] && p->page[keep - 1] != &zero_page)
        memset(writable(p, keep - 1) + in, 0, PAGE_BYTES - in);
}

void pages_read(const struct pages *p, void *to, size_t n, uint64_t at)
{
    uint8_t *dst = to;
    while (n > 0) {
        size_t in = at % PAGE_BYTES, part = PAGE_BYTES - in < n ? PAGE_BYTES - in : n;
        uint64_t i = at / PAGE_BYTES;
        if (i < p->count && p->page[i])
            memcpy(dst, p->page[i]->at + in, part);
        else
            memset(dst, 0, part);
        dst += part;
        at += part;
        n -= part;
    }
}

uint64_t pages_data_end(const struct pages *p)
{
    uint64_t i = p->count;
    while (i > 0 && (!p->page[i - 1] || p->page[i - 1] == &zero_page))
        i--;
    return i * PAGE_BYTES;
}

uint64_t pages_missing(const struct pages *p, size_t n, uint64_t at)
{
    uint64_t missing = 0;
    for (uint64_t i = at / PAGE_BYTES; n > 0 && i < pages_for(at + n); i++)
        missing += i >= p->count || !p->page[i];
    return missing;
}
