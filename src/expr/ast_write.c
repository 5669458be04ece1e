#include "expr/expr.h"

#include "base/number.h"

/* Written with a pair of brackets around every operation, so that what belongs together can be seen. */

static const char *const op_words[] = {
    [AST_NEGATE] = "-", [AST_PLUS] = "+", [AST_NOT] = "NOT ", [AST_ADD] = "+",
    [AST_SUB] = "-",    [AST_MUL] = "*",  [AST_DIV] = "/",    [AST_MOD] = "%",
    [AST_EQ] = "=",     [AST_NE] = "<>",  [AST_LT] = "<",     [AST_LE] = "<=",
    [AST_GT] = ">",     [AST_GE] = ">=",  [AST_AND] = "AND",  [AST_OR] = "OR",
};

static void put(struct buf *out, const char *text)
{
    buf_add(out, text, strlen(text));
}

static void quoted(struct buf *out, struct bytes b, char open, char close)
{
    buf_u8(out, (uint8_t)open);
    for (size_t i = 0; i < b.len; i++) {
        buf_u8(out, b.at[i]);
        if (b.at[i] == (uint8_t)close)
            buf_u8(out, b.at[i]);
    }
    buf_u8(out, (uint8_t)close);
}

static bool is_plain(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.at[i] != '_' && ((b.at[i] | 0x20) < 'a' || (b.at[i] | 0x20) > 'z') &&
            (i == 0 || b.at[i] < '0' || b.at[i] > '9'))
            return false;
    struct token t = {.kind = TOKEN_NAME, .text = b};
    return b.len > 0 && !token_is_reserved(&t) && !token_is(&t, "TRUE") && !token_is(&t, "FALSE");
}

static void fields(struct buf *out, const struct ast *a, bool first)
{
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (i || !first)
            buf_u8(out, '.');
        if (a->double_quoted || a->parts[i].len == 0)
            quoted(out, a->parts[i], '"', '"');
        else if (is_plain(a->parts[i]))
            buf_add_bytes(out, a->parts[i]);
        else
            quoted(out, a->parts[i], '[', ']');
    }
}

static void constant(struct buf *out, const struct ast *a)
{
    if (a->is_unit)
        buf_add_bytes(out, value_bytes(a->constant));
    else if (a->constant.type == VALUE_TEXT)
        quoted(out, value_bytes(a->constant), '\'', '\'');
    else
        value_write_json(out, a->constant);
}

static void list(struct buf *out, struct ast *const *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            put(out, ", ");
        ast_write(out, items[i]);
    }
}

static void over(struct buf *out, const struct ast_over *o)
{
    put(out, " OVER (");
    const char *gap = "";
    if (o->partitions) {
        put(out, "PARTITION BY ");
        list(out, o->partition, o->partitions);
        gap = " ";
    }
    for (uint32_t i = 0; i < o->orders; i++) {
        put(out, i ? ", " : gap);
        put(out, i ? "" : "ORDER BY ");
        ast_write(out, o->order[i].by);
        put(out, o->order[i].descending ? " DESC" : "");
        gap = " ";
    }
    if (o->limit_unit) {
        put(out, gap);
        put(out, "LIMIT DURATION(");
        ast_write(out, o->limit_unit);
        put(out, ", ");
        ast_write(out, o->limit_count);
        put(out, ")");
        gap = " ";
    }
    if (o->when) {
        put(out, gap);
        put(out, "WHEN ");
        ast_write(out, o->when);
    }
    buf_u8(out, ')');
}

static void call(struct buf *out, const struct ast *a)
{
    buf_add_bytes(out, a->name);
    put(out, a->distinct ? "(DISTINCT " : "(");
    list(out, a->args, a->arg_count);
    buf_u8(out, ')');
    if (a->over)
        over(out, a->over);
    fields(out, a, false);
}

static void worded(struct buf *out, const struct ast *a, const char *word)
{
    buf_u8(out, '(');
    ast_write(out, a->args[0]);
    put(out, a->negated ? " NOT " : " ");
    put(out, word);
}

static void cases(struct buf *out, const struct ast *a)
{
    uint32_t i = 0;
    put(out, "CASE");
    if (a->has_operand) {
        buf_u8(out, ' ');
        ast_write(out, a->args[i++]);
    }
    for (; i + 1 < a->arg_count; i += 2) {
        put(out, " WHEN ");
        ast_write(out, a->args[i]);
        put(out, " THEN ");
        ast_write(out, a->args[i + 1]);
    }
    if (a->has_else) {
        put(out, " ELSE ");
        ast_write(out, a->args[i]);
    }
    put(out, " END");
}

static void binary(struct buf *out, const struct ast *a)
{
    buf_u8(out, '(');
    ast_write(out, a->args[0]);
    buf_u8(out, ' ');
    put(out, op_words[a->op]);
    buf_u8(out, ' ');
    ast_write(out, a->args[1]);
    buf_u8(out, ')');
}

static void slot(struct buf *out, const struct ast *a)
{
    if (a->name.len) {
        buf_add_bytes(out, a->name);
        return;
    }
    buf_printf(out, "#%u", (unsigned)a->slot);
    fields(out, a, false);
}

void ast_write(struct buf *out, const struct ast *a)
{
    switch ((enum ast_kind)a->kind) {
    case AST_CONSTANT: constant(out, a); break;
    case AST_NAME: fields(out, a, true); break;
    case AST_STAR:
        fields(out, a, true);
        put(out, a->part_count ? ".*" : "*");
        break;
    case AST_UNARY:
        buf_u8(out, '(');
        put(out, op_words[a->op]);
        /* Two minuses would be a comment, and a sign before a number belongs to the number. */
        put(out, a->args[0]->kind == AST_CONSTANT ? "(" : "");
        ast_write(out, a->args[0]);
        put(out, a->args[0]->kind == AST_CONSTANT ? "))" : ")");
        break;
    case AST_BINARY: binary(out, a); break;
    case AST_IS_NULL:
        buf_u8(out, '(');
        ast_write(out, a->args[0]);
        put(out, a->negated ? " IS NOT NULL)" : " IS NULL)");
        break;
    case AST_BETWEEN:
        worded(out, a, "BETWEEN ");
        ast_write(out, a->args[1]);
        put(out, " AND ");
        ast_write(out, a->args[2]);
        buf_u8(out, ')');
        break;
    case AST_IN:
        worded(out, a, "IN (");
        list(out, a->args + 1, a->arg_count - 1);
        put(out, "))");
        break;
    case AST_LIKE:
        worded(out, a, "LIKE ");
        ast_write(out, a->args[1]);
        if (a->arg_count == 3) {
            put(out, " ESCAPE ");
            ast_write(out, a->args[2]);
        }
        buf_u8(out, ')');
        break;
    case AST_CASE: cases(out, a); break;
    case AST_CAST:
        put(out, a->try_cast ? "TRY_CAST(" : "CAST(");
        ast_write(out, a->args[0]);
        put(out, " AS ");
        put(out, value_type_name((enum value_type)a->cast_to));
        buf_u8(out, ')');
        break;
    case AST_CALL: call(out, a); break;
    case AST_SLOT: slot(out, a); break;
    case AST_TIMESTAMP: put(out, "System.Timestamp()"); break;
    }
}
