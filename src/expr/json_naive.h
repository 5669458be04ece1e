/* json_naive.h - for tests: what json_read should make of a body, by jansson and without haste. */
#pragma once

#include "expr/json.h"

#include <jansson.h>

static inline void naive_value(struct buf *out, const json_t *v)
{
    const char *key;
    const json_t *item;
    size_t i;
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        buf_u8(out, '{');
        i = 0;
        json_object_foreach((json_t *)(uintptr_t)v, key, item)
        {
            if (i++)
                buf_u8(out, ',');
            value_write_json(out, value_text(bytes_str(key)));
            buf_u8(out, ':');
            naive_value(out, item);
        }
        buf_u8(out, '}');
        break;
    case JSON_ARRAY:
        buf_u8(out, '[');
        json_array_foreach(v, i, item)
        {
            if (i)
                buf_u8(out, ',');
            naive_value(out, item);
        }
        buf_u8(out, ']');
        break;
    case JSON_STRING:
        value_write_json(out, value_text(bytes_of(json_string_value(v), json_string_length(v))));
        break;
    case JSON_INTEGER: value_write_json(out, value_bigint(json_integer_value(v))); break;
    case JSON_REAL: value_write_json(out, value_float(json_real_value(v))); break;
    case JSON_TRUE: value_write_json(out, value_bit(true)); break;
    case JSON_FALSE: value_write_json(out, value_bit(false)); break;
    default: value_write_json(out, value_null()); break;
    }
}

enum naive { NAIVE_BAD, NAIVE_GOOD, NAIVE_UNSURE /* jansson has a limit of its own */ };

/* Every event as JSON on a line of its own. */
static inline enum naive naive_read(struct bytes body, struct buf *lines)
{
    size_t at = 0;
    bool any = false;
    if (body.len >= 3 && memcmp(body.at, "\xef\xbb\xbf", 3) == 0)
        at = 3;
    for (;;) {
        while (at < body.len && body.at[at] && strchr(" \t\r\n", body.at[at]))
            at++;
        if (at == body.len)
            return any ? NAIVE_GOOD : NAIVE_BAD;
        json_error_t why;
        json_t *v = json_loadb((const char *)body.at + at, body.len - at,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &why);
        if (!v)
            return strstr(why.text, "NUL byte in object key") ? NAIVE_UNSURE : NAIVE_BAD;
        enum naive result = json_is_object(v) || json_is_array(v) ? NAIVE_GOOD : NAIVE_BAD;
        size_t i;
        json_t *item;
        if (json_is_object(v)) {
            naive_value(lines, v);
            buf_u8(lines, '\n');
        }
        json_array_foreach(v, i, item)
        {
            result = json_is_object(item) ? result : NAIVE_BAD;
            naive_value(lines, item);
            buf_u8(lines, '\n');
        }
        json_decref(v);
        any = true;
        if (result != NAIVE_GOOD)
            return result;
        at += (size_t)why.position;
    }
}

static inline struct value naive_path(struct value v, const struct json_path *path)
{
    for (uint32_t i = 0; i < path->count; i++)
        v = value_field(v, path->parts[i]);
    return v;
}

/* Reads the body as whole events and, in a second pass, by `paths`; all three ways have to agree. Yields whether it was read. */
static inline bool naive_check(struct bytes body, const struct json_path *paths, uint32_t count, bool padded)
{
    static const struct json_path whole = {NULL, 0};
    struct json_plan *all = json_plan_new(&whole, 1), *some = json_plan_new(paths, count);
    struct json_reader *a = json_reader_new(NULL), *b = json_reader_new(NULL);
    FG_ASSERT(all && some && a && b);
    struct buf want = {0}, got = {0};
    struct fault why = {0};
    enum naive naive = naive_read(body, &want);
    enum code code = json_read(a, all, body, padded, &why);
    enum code code_b = json_read(b, some, body, padded, &why);
    FG_ASSERT(code == code_b);
    FG_ASSERT(code == CODE_OK || code == CODE_MALFORMED || code == CODE_LIMIT);
    FG_ASSERT(naive == NAIVE_UNSURE || code == CODE_LIMIT || (naive == NAIVE_GOOD) == (code == CODE_OK));
    const struct value *event, *slots;
    while (!code && json_next(a, &event) == CODE_OK) {
        value_write_json(&got, event[0]);
        buf_u8(&got, '\n');
        FG_ASSERT(json_next(b, &slots) == CODE_OK);
        for (uint32_t i = 0; i < count; i++)
            FG_ASSERT(value_order(slots[i], naive_path(event[0], &paths[i])) == 0);
    }
    FG_ASSERT(json_next(b, &slots) == CODE_END);
    FG_ASSERT(code || naive == NAIVE_UNSURE || bytes_equal(buf_bytes(&got), buf_bytes(&want)));
    buf_clear(&want);
    buf_clear(&got);
    json_plan_free(all);
    json_plan_free(some);
    json_reader_free(a);
    json_reader_free(b);
    return code == CODE_OK;
}
