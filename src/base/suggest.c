#include "base/suggest.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: three rows of the matrix are enough, because a swap looks two back. */
unsigned suggest_distance(struct bytes a, struct bytes b, unsigned max)
{
    if (a.len > SUGGEST_BYTES_MAX || b.len > SUGGEST_BYTES_MAX)
        return max + 1;
    unsigned rows[3][SUGGEST_BYTES_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t k = 0; k <= b.len; k++)
        row[k] = (unsigned)k;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= b.len; k++) {
            uint8_t x = lower(a.at[i - 1]), y = lower(b.at[k - 1]);
            row[k] = least(least(above[k] + 1, row[k - 1] + 1), above[k - 1] + (x != y));
            if (i > 1 && k > 1 && x == lower(b.at[k - 2]) && y == lower(a.at[i - 2]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
    }
    return row[b.len] > max ? max + 1 : row[b.len];
}

static bool starts_alike(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    return n >= 3 && suggest_distance(bytes_of(a.at, n), bytes_of(b.at, n), 0) == 0;
}

void suggest_offer(struct suggest *s, struct bytes typed, const char *candidate)
{
    struct bytes word = bytes_str(candidate);
    unsigned near = (unsigned)(typed.len > word.len ? typed.len : word.len) / 3;
    unsigned d = suggest_distance(typed, word, near);
    /* `packet` for `packet-bytes` is many edits away and still what was meant, if nothing is nearer. */
    if (d > near && starts_alike(typed, word))
        d = SUGGEST_BYTES_MAX;
    else if (d > near)
        return;
    if (!s->best || d < s->distance) {
        s->best = candidate;
        s->distance = d;
    }
}

const char *suggest_word(struct bytes typed, const char *const *words, size_t count)
{
    struct suggest s = { 0 };
    for (size_t i = 0; i < count; i++)
        suggest_offer(&s, typed, words[i]);
    return s.best;
}
