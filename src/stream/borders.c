#include "stream/window.h"

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && a < 0);
}

int64_t border_begin(int64_t t, int64_t hop, int64_t offset)
{
    return floor_div(t - offset, hop) * hop + offset;
}

int64_t border_end(int64_t t, int64_t hop, int64_t offset)
{
    return -floor_div(-(t - offset), hop) * hop + offset;
}
