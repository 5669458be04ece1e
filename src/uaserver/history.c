#include "uaserver/history.h"

#include "base/mem.h"

struct ua_history *ua_history_new(uint32_t room)
{
    struct ua_history *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->room = room < UA_HISTORY_MAX ? room : UA_HISTORY_MAX;
    h->values = mem_zalloc(h->room, sizeof *h->values);
    if (h->values)
        return h;
    mem_free(h);
    return NULL;
}

void ua_history_free(struct ua_history *h)
{
    if (!h)
        return;
    for (uint32_t i = 0; i < h->room; i++)
        ua_value_drop(&h->values[i]);
    mem_free(h->values);
    mem_free(h);
}

void ua_history_add(struct ua_history *h, const struct ua_value *v)
{
    struct ua_value *place = &h->values[(h->first + h->count) % h->room];
    if (h->count == h->room)
        h->first++;
    else
        h->count++;
    ua_value_drop(place);
    ua_value_copy(place, v);
}

const struct ua_value *ua_history_at(const struct ua_history *h, uint64_t k)
{
    return k >= h->first && k - h->first < h->count ? &h->values[k % h->room] : NULL;
}
