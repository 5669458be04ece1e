#include "cli/sequence.h"

#include "base/mem.h"

#include <string.h>

static bool room_for_gap(struct sequence *s)
{
    if (s->gap_count < s->gap_cap)
        return true;
    size_t cap = s->gap_cap ? s->gap_cap * 2 : 16;
    struct sequence_gap *more = cap <= SEQUENCE_GAPS_MAX ? mem_realloc(s->gaps, cap * sizeof *more) : NULL;
    if (!more)
        return false;
    s->gaps = more;
    s->gap_cap = cap;
    return true;
}

static void jump(struct sequence *s, uint64_t n)
{
    if (room_for_gap(s))
        s->gaps[s->gap_count++] = (struct sequence_gap){s->next, n};
    else
        s->given_up += n - s->next;
}

/* The gap that n lies in, or gap_count. */
static size_t find_gap(const struct sequence *s, uint64_t n)
{
    size_t low = 0, high = s->gap_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (s->gaps[mid].to <= n)
            low = mid + 1;
        else
            high = mid;
    }
    return low < s->gap_count && s->gaps[low].from <= n ? low : s->gap_count;
}

static void remove_gap(struct sequence *s, size_t i)
{
    s->gap_count--;
    memmove(&s->gaps[i], &s->gaps[i + 1], (s->gap_count - i) * sizeof s->gaps[0]);
}

/* n fills a part of gap i: it shrinks, vanishes, or becomes two. */
static void fill_gap(struct sequence *s, size_t i, uint64_t n)
{
    struct sequence_gap *g = &s->gaps[i];
    if (g->from + 1 == g->to) {
        remove_gap(s, i);
    } else if (g->from == n) {
        g->from++;
    } else if (g->to == n + 1) {
        g->to--;
    } else if (room_for_gap(s)) {
        g = &s->gaps[i];
        memmove(g + 1, g, (s->gap_count - i) * sizeof *g);
        s->gap_count++;
        g[0].to = n;
        g[1].from = n + 1;
    } else {
        s->given_up += g->to - (n + 1);
        g->to = n;
    }
}

uint64_t sequence_note(struct sequence *s, uint64_t n)
{
    if (n >= s->next) {
        uint64_t rise = n + 1 - s->next;
        if (n > s->next)
            jump(s, n);
        s->next = n + 1;
        return rise;
    }
    size_t i = find_gap(s, n);
    if (i == s->gap_count) {
        s->again++;
    } else {
        s->late++;
        fill_gap(s, i, n);
    }
    return 0;
}

uint64_t sequence_missing(const struct sequence *s, uint64_t sent)
{
    uint64_t missing = s->given_up + (sent > s->next ? sent - s->next : 0);
    for (size_t i = 0; i < s->gap_count; i++)
        missing += s->gaps[i].to - s->gaps[i].from;
    return missing;
}

void sequence_clear(struct sequence *s)
{
    mem_free(s->gaps);
    *s = (struct sequence){0};
}
