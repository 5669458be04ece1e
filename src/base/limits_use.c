#include "base/limits_use.h"

#define LIMITS_NAME(id, name) [LIMIT_##id] = name,
const char *const limit_names[LIMIT_NAMES] = { LIMITS_EACH(LIMITS_NAME) };
#undef LIMITS_NAME

struct limits_use limits_uses[LIMIT_NAMES];

void limits_record(enum limit_name name, uint64_t used)
{
    _Atomic uint64_t *most = &limits_uses[name].most;
    uint64_t now = atomic_load_explicit(most, memory_order_relaxed);
    while (used > now && !atomic_compare_exchange_weak_explicit(most, &now, used, memory_order_relaxed, memory_order_relaxed))
        ;
}
