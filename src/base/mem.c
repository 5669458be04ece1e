#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The countdown is only touched when a test armed it, so that the hot path pays one relaxed load. */
static _Atomic int64_t countdown;
static _Atomic int     armed, fired;

static int refused(void)
{
    if (!atomic_load_explicit(&armed, memory_order_relaxed))
        return 0;
    if (atomic_fetch_sub(&countdown, 1) != 1)
        return 0;
    atomic_store(&fired, 1);
    return 1;
}

void *mem_alloc(size_t size)
{
    return refused() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t count, size_t size)
{
    return refused() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *mem_realloc(void *old, size_t size)
{
    return refused() ? NULL : realloc(old, size ? size : 1);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strndup(const void *at, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (copy) {
        if (len)
            memcpy(copy, at, len);
        copy[len] = 0;
    }
    return copy;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

void mem_fail_at(uint64_t n)
{
    atomic_store(&armed, 0);
    atomic_store(&fired, 0);
    atomic_store(&countdown, (int64_t)n);
    atomic_store(&armed, n > 0);
}

int mem_fail_fired(void)
{
    return atomic_load(&fired);
}

uint64_t mem_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}

uint64_t mem_idle(void)
{
    return (uint64_t)mallinfo2().fordblks;
}

void mem_give_back(void)
{
    (void)malloc_trim(0);
}
