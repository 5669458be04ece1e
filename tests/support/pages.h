/* pages.h - the content of a simulated file: pages of 4 KiB that copies share until one of them writes.
 *
 * A page is data, zero (room is reserved, nothing was written) or missing (a hole). Copying a file is one
 * reference; the first write to a copy copies the table and then the pages it touches.
 *
 * Thread: a `struct pages` has one user at a time; what it shares with copies is counted atomically.
 * Memory is libc's, not mem.h's: refusing an allocation must hit the program under test, not its disk. No
 * memory ends the test.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, SECTOR_BYTES = 512 };

struct page;
struct pages {
    uint32_t      refs;
    uint32_t      count; /* slots in `page`                */
    uint32_t      held;  /* slots that are not holes: room */
    struct page **page;
};

struct pages *pages_new(void);
struct pages *pages_hold(struct pages *);
void          pages_drop(struct pages *); /* NULL is fine */

/* All of these may replace *p by a copy of its own. */
void pages_write(struct pages **p, const void *from, size_t n, uint64_t at);
void pages_reserve(struct pages **p, uint64_t size); /* holes in [0, size) become zero pages    */
void pages_cut(struct pages **p, uint64_t size);     /* from `size` on: gone, and reads as zero */

/* Holes and what lies behind the last page read as zero. */
void     pages_read(const struct pages *p, void *to, size_t n, uint64_t at);
/* Where the last page of data ends. */
uint64_t pages_data_end(const struct pages *p);
/* How many holes a write of [at, at + n) would fill. */
uint64_t pages_missing(const struct pages *p, size_t n, uint64_t at);
