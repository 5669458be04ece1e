#include "base/arena.h"

#include "base/mem.h"

struct arena_block {
    struct arena_block *next;
    size_t              size; /* of the whole block */
};

enum { ALIGN = 16, BLOCK_MIN = 4096 };

static size_t up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static void start_lent(struct arena *a)
{
    uintptr_t skew = a->lent ? up((uintptr_t)a->lent) - (uintptr_t)a->lent : 0;
    bool fits = a->lent && a->lent_size > skew;
    a->at = fits ? a->lent + skew : NULL;
    a->end = fits ? a->lent + a->lent_size : NULL;
}

void arena_init(struct arena *a, void *lent, size_t lent_size, size_t max)
{
    *a = (struct arena){ .lent = lent, .lent_size = lent_size, .max = max };
    start_lent(a);
}

static bool grow(struct arena *a, size_t need)
{
    size_t head = up(sizeof(struct arena_block));
    size_t left = a->max - a->used;
    if (need > left || left - need < head)
        return false;
    size_t size = head + need;
    if (size < BLOCK_MIN)
        size = left < BLOCK_MIN ? left : BLOCK_MIN;
    struct arena_block *b = mem_alloc(size);
    if (!b)
        return false;
    b->next = a->blocks;
    b->size = size;
    a->blocks = b;
    a->used += size;
    a->at = (uint8_t *)b + head;
    a->end = (uint8_t *)b + size;
    return true;
}

void *arena_take(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t need = up(size ? size : 1);
    if ((size_t)(a->end - a->at) < need && !grow(a, need))
        return NULL;
    void *p = a->at;
    a->at += need;
    return p;
}

void *arena_zero(struct arena *a, size_t size)
{
    void *p = arena_take(a, size);
    if (p)
        memset(p, 0, size);
    return p;
}

void *arena_one_more(struct arena *a, void *list, size_t count, size_t size)
{
    if (count && (count & (count - 1)) != 0)
        return list;
    void *more = arena_zero(a, (count ? 2 * count : 1) * size);
    if (more && count)
        memcpy(more, list, count * size);
    return more;
}

char *arena_text(struct arena *a, struct bytes b)
{
    char *p = arena_take(a, b.len + 1);
    if (p) {
        if (b.len)
            memcpy(p, b.at, b.len);
        p[b.len] = 0;
    }
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->at, a->end, a->blocks };
}

void arena_release(struct arena *a, struct arena_mark mark)
{
    while (a->blocks != mark.blocks) {
        struct arena_block *next = a->blocks->next;
        a->used -= a->blocks->size;
        mem_free(a->blocks);
        a->blocks = next;
    }
    a->at = mark.at;
    a->end = mark.end;
}

void arena_clear(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        mem_free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
    a->at = a->end = NULL;
}

void arena_reset(struct arena *a)
{
    arena_clear(a);
    start_lent(a);
}
