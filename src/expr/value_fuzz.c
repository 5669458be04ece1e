/* value_fuzz.c - bytes as the binary form of a value, as texts that are cast, and as a regular expression with a text. */
#include "expr/value.h"

#include "base/number.h"
#include "expr/regex.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_wire(struct bytes b, struct arena *arena)
{
    struct value v, again;
    struct fault why;
    struct buf wire = {0};
    struct bytes left = b;
    if (value_read(&v, &left, arena, &why) == CODE_OK) {
        value_write(&wire, v);
        struct bytes from = buf_bytes(&wire);
        enum code code = value_read(&again, &from, arena, &why);
        FG_ASSERT(code == CODE_NOMEM ||
                  (code == CODE_OK && value_order(v, again) == 0 && value_hash(v) == value_hash(again)));
    }
    buf_clear(&wire);
}

static void check_casts(struct bytes b, struct arena *arena)
{
    if (!utf8_valid(b, true))
        return;
    for (int to = VALUE_BIT; to <= VALUE_ARRAY; to++) {
        struct value v, text;
        bool no_memory;
        if (!value_cast(value_text(b), (enum value_type)to, &v, arena, &no_memory))
            continue;
        FG_ASSERT(v.type == to && (to != VALUE_FLOAT || isfinite(v.f)));
        FG_ASSERT(to != VALUE_DATETIME || (v.i >= 0 && v.i <= DATETIME_MAX));
        if (value_cast(v, VALUE_TEXT, &text, arena, &no_memory)) {
            struct value back;
            FG_ASSERT(value_cast(text, (enum value_type)to, &back, arena, &no_memory) || no_memory);
            FG_ASSERT(no_memory || value_order(v, back) == 0);
        }
    }
}

/* Up to the first line feed the pattern, the text behind. */
static void check_regex(struct bytes b, struct arena *arena)
{
    const uint8_t *cut = b.len ? memchr(b.at, '\n', b.len) : NULL;
    struct regex *r;
    const char *wrong;
    if (!cut || b.len > 4096 || !utf8_valid(b, true))
        return;
    struct bytes text = bytes_from(b, (size_t)(cut - b.at) + 1);
    enum code code = regex_new(&r, bytes_of(b.at, (size_t)(cut - b.at)), &wrong);
    FG_ASSERT(code == CODE_OK || code == CODE_NOMEM || (code == CODE_USAGE && wrong));
    if (code)
        return;
    struct regex_match m;
    code = regex_find(r, text, 0, arena, &m);
    for (unsigned g = 0; !code && g < REGEX_GROUPS; g++) {
        bool took_part = m.from[g] != SIZE_MAX && m.to[g] != SIZE_MAX;
        FG_ASSERT(g ? !took_part || (m.from[g] >= m.from[0] && m.from[g] <= m.to[g] && m.to[g] <= m.to[0])
                    : took_part);
        FG_ASSERT(!took_part || (m.to[g] <= text.len &&
                                 utf8_valid(bytes_of(text.at + m.from[g], m.to[g] - m.from[g]), true)));
    }
    regex_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 8 * 1024 * 1024);
    check_wire(bytes_of(data, size), &arena);
    check_casts(bytes_of(data, size), &arena);
    check_regex(bytes_of(data, size), &arena);
    arena_clear(&arena);
    return 0;
}
