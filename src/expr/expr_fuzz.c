/* expr_fuzz.c - an expression's text, a line feed, and rows: parsed, written out and parsed again to the same, compiled,
 * evaluated on every row; what it yields is JSON and survives the binary form. */
#include "expr/expr_test_rig.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written of a tree reads back as a tree that is written the same. */
static void check_written(struct bytes text)
{
    struct arena arena;
    struct parser p;
    struct ast *a;
    struct fault why;
    struct buf once = {0}, twice = {0};
    arena_init(&arena, NULL, 0, RIG_SCRATCH);
    if (parser_begin(&p, text, &arena, &why) == CODE_OK && parse_expr(&p, &a) == CODE_OK) {
        ast_write(&once, a);
        enum code code = parser_begin(&p, buf_bytes(&once), &arena, &why);
        code = code ? code : parse_expr(&p, &a);
        /* Brackets around every operation may nest deeper than what was written without them. */
        FG_ASSERT(code == CODE_OK || strstr(why.text, "nested") || code == CODE_NOMEM);
        if (code == CODE_OK) {
            ast_write(&twice, a);
            FG_ASSERT(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
        }
    }
    buf_clear(&once);
    buf_clear(&twice);
    arena_clear(&arena);
}

static void check_value(struct value v, struct arena *arena)
{
    struct buf wire = {0}, json = {0};
    struct value back, parsed;
    struct fault why;
    FG_ASSERT(v.type <= VALUE_ARRAY && (v.type != VALUE_FLOAT || isfinite(v.f)));
    value_write_json(&json, v);
    FG_ASSERT(json_value(buf_bytes(&json), arena, &parsed, &why) != CODE_MALFORMED);
    value_write(&wire, v);
    struct bytes from = buf_bytes(&wire);
    enum code code = value_read(&back, &from, arena, &why);
    FG_ASSERT(code == CODE_NOMEM || (code == CODE_OK && from.len == 0 && value_order(v, back) == 0));
    buf_clear(&wire);
    buf_clear(&json);
}

static void check_rows(struct rig *r, struct bytes rows)
{
    struct value v;
    enum code code = json_read(r->reader, r->plan, rows, false, &r->why);
    while (!code && (code = rig_next(r, &v)) != CODE_END) {
        FG_ASSERT(code == CODE_OK || code == CODE_MALFORMED || code == CODE_NOMEM);
        FG_ASSERT(code == CODE_OK || (r->eval.why.code == code && r->eval.why.text[0]));
        if (!code) {
            bool yes;
            check_value(v, &r->scratch);
            enum code test = expr_test(r->expr, &r->eval, &yes);
            FG_ASSERT(test == CODE_NOMEM || (v.type == VALUE_BIT ? yes == (v.i != 0) : !yes));
        }
        code = CODE_OK;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, '\n', size) : NULL;
    size_t len = cut ? (size_t)(cut - data) : size;
    struct rig r;
    check_written(bytes_of(data, len));
    enum code code = rig_open(&r, bytes_of(data, len));
    FG_ASSERT(code == CODE_OK || code == CODE_USAGE || code == CODE_NOMEM || code == CODE_LIMIT);
    FG_ASSERT(code == CODE_OK || r.why.text[0]);
    if (!code)
        check_rows(&r, cut ? bytes_of(cut + 1, size - len - 1) : BYTES_LIT("{}"));
    rig_close(&r);
    return 0;
}
