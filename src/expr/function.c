#include "expr/function.h"

#include "base/suggest.h"
#include "expr/expr.h"

static const struct functions *const groups[] = {&functions_date, &functions_geo, &functions_math,
                                                 &functions_nested, &functions_text};
enum { GROUPS = sizeof groups / sizeof groups[0] };

bool function_name_is(struct bytes written, const char *name)
{
    size_t len = strlen(name);
    if (written.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t a = written.at[i], b = (uint8_t)name[i];
        if (a != b && ((a ^ b) != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
            return false;
    }
    return true;
}

const struct function *function_find(struct bytes name)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            if (function_name_is(name, groups[g]->list[i].name))
                return &groups[g]->list[i];
    return NULL;
}

uint16_t function_type(const struct function *f, uint32_t i)
{
    uint32_t last = 3;
    while (last && !f->types[last])
        last--;
    return f->types[i < last ? i : last];
}

bool function_takes_unit(struct bytes name)
{
    const struct function *f = function_find(name);
    return f && (f->flags & FUNCTION_UNIT);
}

bool function_is_scalar(struct bytes name)
{
    return function_find(name) != NULL;
}

const char *function_nearest(struct bytes name)
{
    struct suggest s = {0};
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t i = 0; i < groups[g]->count; i++)
            suggest_offer(&s, name, groups[g]->list[i].name);
    return s.best;
}
