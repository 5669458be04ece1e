/* json_fuzz.c - any bytes as a message's body: accepted when jansson accepts them, with the same contents, and the same
 * fields whether they are picked out of the bytes or out of the whole event. The first byte says where the body lies. */
#include "expr/json.h"

#include "expr/json_index.h"
#include "expr/json_naive.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ways(struct bytes text)
{
    struct json_index a = {0}, b = {0};
    enum code code = json_index_build_as(&a, text, JSON_INDEX_BEST);
    FG_ASSERT(code == json_index_build_as(&b, text, JSON_INDEX_PORTABLE));
    FG_ASSERT(code || (a.count == b.count && a.escapes == b.escapes && a.high == b.high &&
                       (a.count == 0 || memcmp(a.at, b.at, a.count * sizeof *a.at) == 0)));
    FG_ASSERT(!code || a.wrong_at == b.wrong_at);
    json_index_clear(&a);
    json_index_clear(&b);
}

static const struct bytes names[] = {{(const uint8_t *)"a", 1},
                                     {(const uint8_t *)"b", 1},
                                     {(const uint8_t *)"temperature", 11},
                                     {(const uint8_t *)"Temp\xc3\xa4", 6}};
static const struct json_path paths[] = {
    {&names[0], 1}, {&names[0], 2}, {&names[1], 1}, {&names[2], 1},
    {&names[1], 3}, {&names[0], 1}, {&names[3], 1},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t skew = data[0] & 63; /* where in a block of 64 it begins */
    bool padded = data[0] & 64;
    uint8_t *copy = aligned_alloc(64, (skew + size + 64 + 63) & ~(size_t)63);
    FG_ASSERT(copy);
    memset(copy + skew + size - 1, data[0], 64); /* what lies behind must not matter */
    memcpy(copy + skew, data + 1, size - 1);
    struct bytes body = bytes_of(copy + skew, size - 1);
    check_ways(body);
    (void)naive_check(body, paths, sizeof paths / sizeof paths[0], padded);
    free(copy);
    return 0;
}
