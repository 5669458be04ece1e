#include "expr/letter.h"

/* Upper and lower case that lie a fixed distance apart. */
static const struct {
    uint16_t first, last; /* upper case */
    uint16_t distance;
} blocks[] = {
    {'A', 'Z', 32},       {0x00c0, 0x00d6, 32}, {0x00d8, 0x00de, 32},
    {0x0388, 0x038a, 37}, {0x0391, 0x03a1, 32}, {0x03a3, 0x03ab, 32},
    {0x0400, 0x040f, 80}, {0x0410, 0x042f, 32}, {0x0531, 0x0556, 48},
};
/* Neighbours: upper case first, from an even (or odd) number on. */
static const struct {
    uint16_t first, last;
} pairs[] = {
    {0x0100, 0x012f}, {0x0132, 0x0137}, {0x0139, 0x0148}, {0x014a, 0x0177},
    {0x0179, 0x017e}, {0x0460, 0x0481}, {0x048a, 0x04bf}, {0x04c1, 0x04ce},
    {0x04d0, 0x052f}, {0x1e00, 0x1e95}, {0x1ea0, 0x1eff},
};
static const struct {
    uint16_t upper, lower;
} singles[] = {{0x0178, 0x00ff}, {0x0386, 0x03ac}, {0x038c, 0x03cc},
               {0x038e, 0x03cd}, {0x038f, 0x03ce}, {0x04c0, 0x04cf}};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

uint32_t letter_lower(uint32_t c)
{
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    for (unsigned i = 0; i < COUNT(blocks); i++)
        if (c >= blocks[i].first && c <= blocks[i].last)
            return c + blocks[i].distance;
    for (unsigned i = 0; i < COUNT(pairs); i++)
        if (c >= pairs[i].first && c <= pairs[i].last)
            return (c - pairs[i].first) % 2 == 0 ? c + 1 : c;
    for (unsigned i = 0; i < COUNT(singles); i++)
        if (c == singles[i].upper)
            return singles[i].lower;
    return c;
}

uint32_t letter_upper(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    if (c == 0x03c2) /* the sigma at the end of a word */
        return 0x03a3;
    for (unsigned i = 0; i < COUNT(blocks); i++)
        if (c >= blocks[i].first + (uint32_t)blocks[i].distance &&
            c <= blocks[i].last + (uint32_t)blocks[i].distance)
            return c - blocks[i].distance;
    for (unsigned i = 0; i < COUNT(pairs); i++)
        if (c >= pairs[i].first && c <= pairs[i].last)
            return (c - pairs[i].first) % 2 ? c - 1 : c;
    for (unsigned i = 0; i < COUNT(singles); i++)
        if (c == singles[i].lower)
            return singles[i].upper;
    return c;
}
