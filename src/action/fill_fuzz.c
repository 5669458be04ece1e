/* fill_fuzz.c - any template, any event: what an event says stays a value where it is put. The template ends at a zero byte, behind
 * which the event begins. */
#include "action/fill.h"

#include "action/guard.h"
#include "base/mem.h"
#include "expr/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 20 };

typedef void (*fill_fn)(struct buf *, const char *, struct value);

static struct buf filled(fill_fn f, const char *template, struct value event)
{
    struct buf out = {.max = OUT_MAX};
    f(&out, template, event);
    return out;
}

static size_t count(struct bytes b, const char *which)
{
    size_t n = 0;
    for (size_t i = 0; i < b.len; i++)
        n += b.at[i] && strchr(which, b.at[i]);
    return n;
}

/* The event adds none of these. */
static void check_adds_none(fill_fn f, const char *template, struct value event, const char *which)
{
    struct buf with = filled(f, template, event), without = filled(f, template, value_null());
    if (!with.bad && !without.bad)
        FG_ASSERT(count(buf_bytes(&with), which) == count(buf_bytes(&without), which));
    buf_clear(&with);
    buf_clear(&without);
}

static void check_url(const char *template, struct value event)
{
    struct buf out = filled(fill_url, template, event);
    struct bytes b = buf_bytes(&out);
    for (size_t i = 0; i < b.len; i++)
        FG_ASSERT(b.at[i] > ' ' && b.at[i] < 127);
    buf_clear(&out);
}

static enum code read_as_json(const struct buf *b)
{
    struct arena arena;
    struct value v;
    struct fault why;
    arena_init(&arena, NULL, 0, 64 << 20);
    enum code c = b->bad ? CODE_NOMEM : json_value(buf_bytes(b), &arena, &v, &why);
    arena_clear(&arena);
    return c;
}

/* JSON without the event is JSON with it. */
static void check_json(const char *template, struct value event)
{
    struct buf with = filled(fill_json, template, event), without = filled(fill_json, template, value_null());
    if (read_as_json(&without) == CODE_OK)
        FG_ASSERT(read_as_json(&with) != CODE_MALFORMED);
    buf_clear(&with);
    buf_clear(&without);
}

static void check_plain(const char *template, struct value event)
{
    struct buf with = filled(fill, template, event);
    struct bytes b = buf_bytes(&with);
    if (!fill_needs_event(template) && !strstr(template, "$${"))
        FG_ASSERT(with.bad || (b.len == strlen(template) && (!b.len || memcmp(b.at, template, b.len) == 0)));
    buf_clear(&with);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct value event;
    struct fault why;
    struct guard_rule rule;
    size_t n = strnlen((const char *)data, size), at;
    char *template = malloc(n + 1);
    FG_ASSERT(template);
    memcpy(template, data, n);
    template[n] = 0;
    arena_init(&arena, NULL, 0, 16 << 20);
    struct bytes json = n < size ? bytes_of(data + n + 1, size - n - 1) : BYTES_NONE;
    if (json_value(json, &arena, &event, &why) != CODE_OK)
        event = value_null();
    if (fill_valid(template, &at)) {
        check_plain(template, event);
        check_adds_none(fill_topic, template, event, "/+#");
        check_adds_none(fill_url, template, event, "/?&#=;:@ ");
        check_url(template, event);
        check_json(template, event);
    } else {
        FG_ASSERT(at < n && template[at] == '$');
    }
    if (guard_parse(template, "in", &rule, NULL) == CODE_OK)
        FG_ASSERT(rule.count <= GUARD_COUNT_MAX && (!rule.count || rule.span_ms > 0));
    arena_clear(&arena);
    free(template);
    return 0;
}
