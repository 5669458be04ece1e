/* expr_test_rig.h - for tests and fuzzers: evaluates the text of an expression on a row given as JSON, names resolved as a
 * planner does: every name is a path into the row. */
#pragma once

#include "expr/expr.h"
#include "expr/json.h"

enum { RIG_PATHS = 80, RIG_SCRATCH = 4 * 1024 * 1024 };

struct rig {
    struct arena arena;   /* the tree       */
    struct arena scratch; /* of evaluations */
    struct json_path paths[RIG_PATHS];
    uint32_t count;
    struct expr *expr;
    struct json_plan *plan;
    struct json_reader *reader;
    struct fault why;
    struct eval eval;
};

static inline bool rig_resolve(struct rig *r, struct ast *a)
{
    if (a->kind == AST_NAME) {
        if (r->count == RIG_PATHS)
            return false;
        r->paths[r->count] = (struct json_path){a->parts, a->part_count > 2 ? 2 : a->part_count};
        a->parts += r->paths[r->count].count; /* deeper ones are left to the expression */
        a->part_count -= r->paths[r->count].count;
        a->kind = AST_SLOT;
        a->slot = r->count++;
    }
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!rig_resolve(r, a->args[i]))
            return false;
    return true;
}

static inline enum code rig_open(struct rig *r, struct bytes text)
{
    struct parser p;
    struct ast *a;
    *r = (struct rig){0};
    arena_init(&r->arena, NULL, 0, RIG_SCRATCH);
    arena_init(&r->scratch, NULL, 0, RIG_SCRATCH);
    enum code code = parser_begin(&p, text, &r->arena, &r->why);
    if (!code)
        code = parse_expr(&p, &a);
    if (!code && p.now.kind != TOKEN_END)
        code = parser_refuse(&p, "the end");
    if (!code && !rig_resolve(r, a))
        code = FAIL(&r->why, CODE_LIMIT, 0, "more names than the test has slots");
    if (!code)
        code = expr_compile(&r->expr, a, r->count, &r->why);
    if (code)
        return code;
    r->plan = json_plan_new(r->paths, r->count);
    r->reader = json_reader_new(NULL);
    r->eval = (struct eval){.time = DATETIME_UNIX, .scratch = &r->scratch};
    return r->plan && r->reader ? CODE_OK : CODE_NOMEM;
}

/* The next row's value; CODE_END behind the last. Rows come from rig_rows. */
static inline enum code rig_next(struct rig *r, struct value *out)
{
    enum code code = json_next(r->reader, &r->eval.slots);
    if (code)
        return code;
    arena_reset(&r->scratch);
    return expr_eval(r->expr, &r->eval, out);
}

static inline void rig_close(struct rig *r)
{
    expr_free(r->expr);
    json_plan_free(r->plan);
    json_reader_free(r->reader);
    arena_clear(&r->arena);
    arena_clear(&r->scratch);
}

/* The value as JSON, or what is said instead. */
static inline const char *rig_says(const char *expression, const char *row)
{
    static char out[8192];
    struct rig r;
    struct buf b = {0};
    struct value v;
    enum code code = rig_open(&r, bytes_str(expression));
    if (code) {
        buf_printf(&b, "%u:%u: %s", (unsigned)(r.why.at / 65536), (unsigned)(r.why.at % 65536), r.why.text);
    } else {
        code = json_read(r.reader, r.plan, bytes_str(row), false, &r.why);
        if (code)
            buf_printf(&b, "%s", r.why.text);
        else if (rig_next(&r, &v))
            buf_printf(&b, "%s", r.eval.why.text);
        else
            value_write_json(&b, v);
    }
    FG_ASSERT(!b.bad && b.len < sizeof out);
    memcpy(out, b.at, b.len);
    out[b.len] = 0;
    buf_clear(&b);
    rig_close(&r);
    return out;
}
