/* Parts of arrays (Part 4, 7.27). */
#include "opcua/status.h"
#include "opcua/text.h"

static bool digits(struct bytes *t, uint32_t *out)
{
    uint64_t v = 0;
    size_t n = 0;
    while (n < t->len && n < 10 && t->at[n] >= '0' && t->at[n] <= '9')
        v = v * 10 + (t->at[n++] - '0');
    *t = bytes_from(*t, n);
    *out = (uint32_t)v;
    return n > 0 && v < UINT32_MAX;
}

bool ua_range_parse(struct ua_index_range *r, struct bytes t)
{
    *r = (struct ua_index_range){ 0 };
    while (t.len) {
        if (r->dims == UA_RANGE_DIMS || !digits(&t, &r->of[r->dims].first))
            return false;
        r->of[r->dims].last = r->of[r->dims].first;
        if (t.len && t.at[0] == ':') {
            t = bytes_from(t, 1);
            if (!digits(&t, &r->of[r->dims].last) || r->of[r->dims].last <= r->of[r->dims].first)
                return false;
        }
        r->dims++;
        if (t.len == 0)
            return true;
        if (t.at[0] != ',' || t.len == 1)
            return false;
        t = bytes_from(t, 1);
    }
    return true;
}

/* The range held to what is there; false: nothing of it is. */
static bool hold(const struct ua_index_range *r, unsigned dim, uint32_t size, uint32_t *first, uint32_t *count)
{
    if (r->of[dim].first >= size)
        return false;
    uint32_t last = r->of[dim].last < size ? r->of[dim].last : size - 1;
    *first = r->of[dim].first;
    *count = last - *first + 1;
    return true;
}

static bool is_text(const struct ua_variant *v)
{
    return !v->array && (v->type == UA_STRING || v->type == UA_BYTE_STRING);
}

/* Where the elements of a range stand in a matrix: steps through them in their order. */
struct walk {
    unsigned dims;
    uint32_t size[UA_RANGE_DIMS], first[UA_RANGE_DIMS], count[UA_RANGE_DIMS], at[UA_RANGE_DIMS];
    uint32_t total;
};

static ua_status walk_begin(struct walk *w, const struct ua_index_range *r, const struct ua_variant *v)
{
    *w = (struct walk){ .dims = v->dims_count ? v->dims_count : 1, .total = 1 };
    if (w->dims != r->dims)
        return UA_BAD_INDEX_RANGE_INVALID;
    for (unsigned i = 0; i < w->dims; i++) {
        w->size[i] = v->dims_count ? v->dims[i] : v->count;
        if (!hold(r, i, w->size[i], &w->first[i], &w->count[i]))
            return UA_BAD_INDEX_RANGE_NO_DATA;
        w->total *= w->count[i]; /* at most the value's count */
    }
    return UA_GOOD;
}

static uint32_t walk_next(struct walk *w)
{
    uint32_t place = 0;
    for (unsigned i = 0; i < w->dims; i++)
        place = place * w->size[i] + w->first[i] + w->at[i];
    for (unsigned i = w->dims; i-- > 0;) {
        if (++w->at[i] < w->count[i])
            break;
        w->at[i] = 0;
    }
    return place;
}

ua_status ua_range_take(const struct ua_index_range *r, const struct ua_variant *v, struct arena *arena, struct ua_variant *out)
{
    *out = *v;
    if (r->dims == 0)
        return UA_GOOD;
    if (is_text(v)) {
        uint32_t first, count;
        if (r->dims != 1)
            return UA_BAD_INDEX_RANGE_INVALID;
        if (!hold(r, 0, (uint32_t)v->text.len, &first, &count))
            return UA_BAD_INDEX_RANGE_NO_DATA;
        out->text = bytes_of(v->text.at + first, count);
        return UA_GOOD;
    }
    if (!v->array)
        return UA_BAD_INDEX_RANGE_NO_DATA;
    struct walk w;
    ua_status s = walk_begin(&w, r, v);
    if (s != UA_GOOD)
        return s;
    size_t size = ua_size(v->type);
    uint8_t *items = arena_take(arena, w.total * size);
    uint32_t *dims = v->dims_count ? arena_take(arena, w.dims * sizeof *dims) : NULL;
    if (!items || (v->dims_count && !dims))
        return UA_BAD_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < w.total; i++)
        memcpy(items + i * size, ua_item(v, walk_next(&w)), size);
    for (unsigned i = 0; dims && i < w.dims; i++)
        dims[i] = w.count[i];
    out->at = items;
    out->count = w.total;
    out->dims = dims;
    return UA_GOOD;
}

ua_status ua_range_put(const struct ua_index_range *r, const struct ua_variant *whole, const struct ua_variant *part,
                       struct arena *arena, struct ua_variant *out)
{
    *out = *part;
    if (r->dims == 0)
        return UA_GOOD;
    if (whole->type != part->type)
        return UA_BAD_TYPE_MISMATCH;
    *out = *whole;
    if (is_text(whole)) {
        uint32_t first, count;
        if (r->dims != 1 || !is_text(part))
            return UA_BAD_INDEX_RANGE_INVALID;
        if (!hold(r, 0, (uint32_t)whole->text.len, &first, &count))
            return UA_BAD_INDEX_RANGE_NO_DATA;
        if (count != part->text.len)
            return UA_BAD_INDEX_RANGE_INVALID;
        uint8_t *copy = arena_take(arena, whole->text.len);
        if (!copy)
            return UA_BAD_OUT_OF_MEMORY;
        memcpy(copy, whole->text.at, whole->text.len);
        memcpy(copy + first, part->text.at, count);
        out->text.at = copy;
        return UA_GOOD;
    }
    if (!whole->array || !part->array)
        return UA_BAD_INDEX_RANGE_INVALID;
    struct walk w;
    ua_status s = walk_begin(&w, r, whole);
    if (s != UA_GOOD)
        return s;
    if (w.total != part->count || w.count[0] != r->of[0].last - r->of[0].first + 1)
        return UA_BAD_INDEX_RANGE_INVALID;
    size_t size = ua_size(whole->type);
    uint8_t *items = arena_take(arena, whole->count * size);
    if (!items)
        return UA_BAD_OUT_OF_MEMORY;
    memcpy(items, whole->at, whole->count * size);
    for (uint32_t i = 0; i < w.total; i++)
        memcpy(items + walk_next(&w) * size, ua_item(part, i), size);
    out->at = items;
    return UA_GOOD;
}
