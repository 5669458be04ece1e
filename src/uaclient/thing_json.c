/* thing_json.c - see thing_json.h. Things are no deeper than their decoder lets them be. */
#include "uaclient/thing_json.h"

static void put_parts(const struct ua_json *j, const struct ua_thing *t, bool list)
{
    buf_u8(j->out, list ? '[' : '{');
    for (uint32_t i = 0; i < t->count; i++) {
        if (i)
            buf_u8(j->out, ',');
        if (!list) {
            buf_json(j->out, t->fields[i].name);
            buf_u8(j->out, ':');
        }
        thing_json(j, &t->fields[i]);
    }
    buf_u8(j->out, list ? ']' : '}');
}

static void put_enum(const struct ua_json *j, const struct ua_thing *t)
{
    if (j->plain && t->text.len) {
        buf_json(j->out, t->text);
        return;
    }
    if (j->plain || j->reversible || !t->text.len || t->value.array || t->value.type != UA_INT32) {
        ua_json_variant(j, &t->value);
        return;
    }
    size_t from = j->out->len;
    buf_json(j->out, t->text);
    if (j->out->bad || j->out->len == from)
        return;
    j->out->len--; /* the closing quote */
    buf_printf(j->out, "_%d\"", t->value.i32);
}

/* Nobody who is asked again would know more. */
static void put_raw(const struct ua_json *j, const struct ua_thing *t)
{
    struct ua_json own = *j;
    own.object = NULL;
    ua_json_variant(&own, &t->value);
}

void thing_json(const struct ua_json *j, const struct ua_thing *t)
{
    switch (t->kind) {
    case UA_THING_STRUCT: put_parts(j, t, false); break;
    case UA_THING_LIST: put_parts(j, t, true); break;
    case UA_THING_ENUM: put_enum(j, t); break;
    case UA_THING_VALUE: ua_json_variant(j, &t->value); break;
    case UA_THING_RAW: put_raw(j, t); break;
    }
}
