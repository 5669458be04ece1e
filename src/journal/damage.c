/* damage.c - a damaged frame is counted and logged once, whoever meets it and however often. */
#include "journal/journal_private.h"

enum { REMEMBERED = 16384 }; /* places; beyond that each meeting counts */

bool damage_note(struct journal *j, uint64_t segment, uint64_t offset)
{
    /* Frames begin at multiples of 8, below 1 GiB; no place is 0, since offset 0 is a header's. */
    uint64_t place = segment << 27 | (offset >> 3 & ((1u << 27) - 1));
    journal_lock(j);
    bool fresh = !idmap_get(&j->damaged, place);
    if (fresh && j->damaged.count < REMEMBERED)
        (void)!idmap_put(&j->damaged, place);
    journal_unlock(j);
    if (fresh)
        atomic_fetch_add_explicit(&j->damaged_frames, 1, memory_order_relaxed);
    return fresh;
}
