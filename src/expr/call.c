#include "expr/function.h"
#include "expr/program.h"

#include <stdarg.h>
#include <stdio.h>

bool call_fail(struct call *c, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return eval_fail(c->eval, c->node, "%s", text);
}

void *call_take(struct call *c, size_t size)
{
    void *at = arena_take(c->scratch, size);
    if (!at)
        (void)eval_no_memory(c->eval, c->node);
    return at;
}

static const char *lower_name(const struct function *f, char out[32])
{
    size_t i = 0;
    for (; f->name[i] && i < 31; i++)
        out[i] = f->name[i] >= 'A' && f->name[i] <= 'Z' ? (char)(f->name[i] + 32) : f->name[i];
    out[i] = 0;
    return out;
}

static const char *ordinal(uint32_t n)
{
    if (n % 100 / 10 == 1)
        return "th";
    return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

static bool wrong_type(struct call *c, uint32_t i, struct value v, uint16_t types)
{
    char allowed[120], name[32];
    size_t n = 0;
    for (unsigned t = VALUE_BIT; t <= VALUE_ARRAY; t++)
        if (types & 1 << t)
            n += (size_t)snprintf(allowed + n, sizeof allowed - n, "%s'%s'", n ? ", " : "",
                                  value_type_name((enum value_type)t));
    return call_fail(c, "The %u%s argument of function %s has invalid type '%s'. Only %s is allowed.", i + 1,
                     ordinal(i + 1), lower_name(c->node->function, name),
                     value_type_name((enum value_type)v.type), allowed);
}

/* What the language converts by itself: a text to datetime, and scalars to text. */
static bool convert(struct call *c, uint32_t i, struct value *v, uint16_t types)
{
    bool no_memory = false;
    char shown[48], name[32];
    if (v->type == VALUE_TEXT && (types & TYPE_DATETIME)) {
        struct value text = *v;
        return value_cast(text, VALUE_DATETIME, v, c->scratch, &no_memory) ||
               call_fail(c, "The %u%s argument of function %s, '%s', is no datetime.", i + 1, ordinal(i + 1),
                         lower_name(c->node->function, name),
                         bytes_escape(value_bytes(text), shown, sizeof shown));
    }
    if ((types & TYPE_AS_TEXT) == TYPE_AS_TEXT && v->type < VALUE_RECORD) {
        if (value_cast(*v, VALUE_TEXT, v, c->scratch, &no_memory))
            return true;
        return eval_no_memory(c->eval, c->node);
    }
    return wrong_type(c, i, *v, types);
}

bool eval_call(const struct node *n, struct eval *e, struct value *out)
{
    struct value args[ARGS_MAX];
    struct call c = {n, e, n->count, e->scratch};
    const struct function *f = n->function;
    bool null = false;
    for (uint32_t i = 0; i < n->count; i++) {
        if (i == 0 && (f->flags & FUNCTION_UNIT))
            continue;
        if (!n->args[i]->eval(n->args[i], e, &args[i]))
            return false;
        uint16_t types = function_type(f, i);
        if (args[i].type == VALUE_NULL)
            null = true;
        else if (!(types & 1 << args[i].type) && !convert(&c, i, &args[i], types))
            return false;
    }
    if (null && !(f->flags & FUNCTION_NULLS)) {
        *out = value_null();
        return true;
    }
    return f->run(&c, args, out);
}
