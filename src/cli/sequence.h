/* sequence.h - one stream of numbered messages (0, 1, 2, ...), and what became of it on the way: which are missing, which
 * came twice, which came late. Exact, in room for the gaps only. Thread: one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers [from, to) that have not come though a later one has. */
struct sequence_gap {
    uint64_t from, to;
};

enum { SEQUENCE_GAPS_MAX = 1 << 18 };

struct sequence { /* all zero: a new one */
    uint64_t             next;  /* one above the highest number so far                  */
    uint64_t             again; /* came more than once                                  */
    uint64_t             late;  /* came after a higher number: out of order             */
    uint64_t             given_up; /* missing, and not looked for any more: too many gaps */
    struct sequence_gap *gaps;  /* ascending, owned */
    size_t               gap_count, gap_cap;
};

/* `n` has come. Returns by how much `next` rose. */
uint64_t sequence_note(struct sequence *, uint64_t n);
/* Of `sent` messages, how many have not come. */
uint64_t sequence_missing(const struct sequence *, uint64_t sent);
void     sequence_clear(struct sequence *);
