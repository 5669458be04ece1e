/* condition_parse.c - a condition's text as a tree, with its names collected and what is known of types checked. */
#include "expr/condition_parts.h"

#include "expr/function.h"

#include <stdio.h>

struct cond_parser {
    struct lexer lex;
    struct cond_word now;
    size_t behind; /* offset behind the last word that was taken */
    struct arena *arena;
    struct condition *made;
    uint32_t depth;
    struct fault *why;
};
/* A part of the tree, and the types its value may have. */
struct part {
    struct ast *a;
    uint8_t type;
};

#define TRY(call)                  \
    do {                           \
        enum code try_code = call; \
        if (try_code != CODE_OK)   \
            return try_code;       \
    } while (0)

static enum code parse(struct cond_parser *p, struct part *out);

static enum code take(struct cond_parser *p)
{
    p->behind = p->now.to;
    return cond_next(&p->lex, &p->now, p->why);
}

static enum code no_memory(struct cond_parser *p)
{
    return FAIL(p->why, CODE_NOMEM, place_at(p->now.at), "no memory for this condition");
}

static enum code refuse(struct cond_parser *p, const char *expected)
{
    char shown[48];
    if (p->now.kind == COND_END)
        return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "expected %s, found the end", expected);
    bytes_escape(bytes_of(p->lex.source.at + p->now.from, p->now.to - p->now.from), shown, sizeof shown);
    return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "expected %s, found %s", expected, shown);
}

static enum code mark(struct cond_parser *p, const char *m)
{
    char expected[8];
    if (cond_mark(&p->now, m))
        return take(p);
    (void)snprintf(expected, sizeof expected, "'%s'", m);
    return refuse(p, expected);
}

static enum code make(struct cond_parser *p, enum ast_kind kind, struct place at, struct part *out)
{
    struct ast *a = arena_zero(p->arena, sizeof *a);
    if (!a)
        return no_memory(p);
    a->kind = (uint8_t)kind;
    a->at = at;
    a->height = 1;
    *out = (struct part){a, COND_ANY};
    return CODE_OK;
}

static enum code adopt(struct cond_parser *p, struct ast *a, struct ast *child)
{
    struct ast **args = arena_one_more(p->arena, a->args, a->arg_count, sizeof *args);
    if (!args)
        return no_memory(p);
    a->args = args;
    a->args[a->arg_count++] = child;
    if (child->height >= AST_HEIGHT)
        return FAIL(p->why, CODE_USAGE, place_at(a->at), "this condition is nested more than %d deep", AST_HEIGHT);
    if (a->height <= child->height)
        a->height = (uint16_t)(child->height + 1);
    return CODE_OK;
}

static enum code deeper(struct cond_parser *p)
{
    if (++p->depth > CONDITION_DEPTH)
        return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "this condition is nested more than %d deep",
                    CONDITION_DEPTH);
    return CODE_OK;
}

/* ---- types ---- */

static const char *type_name(uint8_t type)
{
    switch (type) {
    case COND_BOOL: return "true or false";
    case COND_NUM: return "a number";
    case COND_STR: return "a text";
    case COND_NIL: return "null";
    case COND_NUM | COND_STR: return "a number or a text";
    default: return "a value";
    }
}

/* What the person may have meant. */
static const char *hint(const struct part *x, uint8_t wanted, char *out, size_t cap)
{
    out[0] = 0;
    if (x->type != COND_STR || x->a->kind != AST_SLOT)
        return out;
    if (wanted == COND_NUM)
        (void)snprintf(out, cap, ": properties are texts. Did you mean as_number(%.*s)?",
                       BYTES_FMT(x->a->name));
    else if (wanted == COND_BOOL)
        (void)snprintf(out, cap, ": properties are texts. Did you mean %.*s = 'true'?",
                       BYTES_FMT(x->a->name));
    return out;
}

static enum code wants(struct cond_parser *p, const char *who, const struct part *x, uint8_t type)
{
    char more[160];
    if (x->type & type)
        return CODE_OK;
    return FAIL(p->why, CODE_USAGE, place_at(x->a->at), "%.24s takes %s, and here stands %s%s", who,
                type_name(type), type_name(x->type), hint(x, type, more, sizeof more));
}

/* Both sides of a comparison: of types that can be equal. */
static enum code alike(struct cond_parser *p, const char *op, const struct part *x, const struct part *y)
{
    char more[160] = "";
    if (x->type & y->type)
        return CODE_OK;
    (void)hint(x, y->type, more, sizeof more);
    if (!more[0])
        (void)hint(y, x->type, more, sizeof more);
    if (!more[0] && x->type == COND_BOOL && x->a->kind == AST_UNARY)
        (void)snprintf(more, sizeof more, ": NOT binds tighter than %s. Did you mean NOT (... %s ...)?", op,
                       op);
    return FAIL(p->why, CODE_USAGE, place_at(x->a->at), "%s compares %s with %s, which is never true%s", op,
                type_name(x->type), type_name(y->type), more);
}

/* ---- names ---- */

static bool same_name(const struct condition_name *a, const struct condition_name *b)
{
    if (a->kind != b->kind || !bytes_equal(a->name, b->name) || a->part_count != b->part_count)
        return false;
    for (uint32_t i = 0; i < a->part_count; i++)
        if (!bytes_equal(a->parts[i], b->parts[i]))
            return false;
    return true;
}

static enum code add_name(struct cond_parser *p, const struct condition_name *n, uint32_t *slot)
{
    struct condition *c = p->made;
    for (*slot = 0; *slot < c->name_count; ++*slot)
        if (same_name(&c->names[*slot], n))
            return CODE_OK;
    if (c->name_count == CONDITION_NAMES_MAX)
        return FAIL(p->why, CODE_USAGE, place_at(n->at), "more than %d names in one condition",
                    CONDITION_NAMES_MAX);
    c->names[c->name_count++] = *n;
    return CODE_OK;
}

static enum code add_part(struct cond_parser *p, struct bytes **parts, uint32_t *count, struct bytes part)
{
    if (*count == CONDITION_DEPTH)
        return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "a name has more than %d parts", CONDITION_DEPTH);
    if ((*count & (*count - 1)) == 0) {
        struct bytes *more = arena_take(p->arena, (*count ? 2 * (size_t)*count : 1) * sizeof *more);
        if (!more)
            return no_memory(p);
        if (*count)
            memcpy(more, *parts, *count * sizeof *more);
        *parts = more;
    }
    (*parts)[(*count)++] = part;
    return CODE_OK;
}

static bool is_word(const struct cond_word *w)
{
    return w->kind == COND_NAME || w->kind == COND_SYSTEM;
}

/* .name [n] ['name'] behind $body: records first, which the reader of the body walks; from the first [n] on they are the tree's. */
static enum code body_path(struct cond_parser *p, struct condition_name *n, struct ast *a)
{
    bool indexed = false;
    while (cond_mark(&p->now, ".") || cond_mark(&p->now, "[")) {
        bool bracket = cond_mark(&p->now, "[");
        struct bytes part;
        TRY(take(p));
        if (bracket ? p->now.kind == COND_TEXT && !bytes_starts(p->now.text, "[") : is_word(&p->now)) {
            part = p->now.text;
        } else if (bracket && p->now.kind == COND_NUMBER && p->now.number.type == VALUE_BIGINT &&
                   p->now.number.i >= 0) {
            char *text = arena_take(p->arena, 24);
            if (!text)
                return no_memory(p);
            part = bytes_of(text, (size_t)snprintf(text, 24, "[%lld", (long long)p->now.number.i));
            indexed = true;
        } else {
            return refuse(p, bracket ? "a number or the 'name' of a field" : "the name of a field");
        }
        TRY(take(p));
        if (bracket)
            TRY(mark(p, "]"));
        TRY(indexed ? add_part(p, &a->parts, &a->part_count, part)
                    : add_part(p, &n->parts, &n->part_count, part));
    }
    if (!n->part_count)
        return FAIL(p->why, CODE_USAGE, place_at(n->at),
                    "$body alone is no value: name a field, as in $body.temperature");
    return CODE_OK;
}

static enum code parse_slot(struct cond_parser *p, struct condition_name *n, uint8_t type, struct part *out)
{
    TRY(make(p, AST_SLOT, n->at, out));
    out->type = type;
    size_t from = p->now.from;
    TRY(take(p));
    if (n->kind == CONDITION_BODY) {
        TRY(body_path(p, n, out->a));
    } else {
        while (n->kind == CONDITION_PROPERTY && p->lex.source.at[from] != '{' && cond_mark(&p->now, ".")) {
            TRY(take(p)); /* a.b.c is one name */
            if (p->now.kind != COND_NAME)
                return refuse(p, "the rest of a name");
            n->name = bytes_of(p->lex.source.at + from, p->now.to - from);
            TRY(take(p));
        }
    }
    n->text = bytes_of(p->lex.source.at + from, p->behind - from);
    out->a->name = n->text;
    return add_name(p, n, &out->a->slot);
}

static enum code parse_name(struct cond_parser *p, struct part *out)
{
    struct condition_name n = {.kind = CONDITION_PROPERTY, .at = p->now.at, .name = p->now.text};
    if (p->now.kind == COND_BRACED && n.name.at[0] == '$') {
        n.kind = CONDITION_SYSTEM;
        n.name = bytes_from(n.name, 1);
    }
    if (p->now.kind == COND_SYSTEM)
        n.kind = function_name_is(n.name, "body") ? CONDITION_BODY : CONDITION_EITHER;
    return parse_slot(p, &n, n.kind == CONDITION_BODY ? COND_ANY : COND_STR, out);
}

/* ---- functions ---- */

static enum code unknown_function(struct cond_parser *p, const struct cond_word *w)
{
    char shown[48];
    bytes_escape(w->text, shown, sizeof shown);
    if (cond_is(w, "twin_change_includes"))
        return FAIL(p->why, CODE_USAGE, place_at(w->at),
                    "%s asks for changes of twins, which this version does not have", shown);
    const char *near = cond_function_nearest(w->text);
    return FAIL(p->why, CODE_USAGE, place_at(w->at), "there is no function '%s'%s%s%s", shown,
                near ? ". Did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum code check_count(struct cond_parser *p, const struct cond_function *f, const struct ast *a)
{
    if (a->arg_count >= f->least && (!f->most || a->arg_count <= f->most))
        return CODE_OK;
    char wants_text[32];
    if (f->least == f->most)
        (void)snprintf(wants_text, sizeof wants_text, "%u", f->least);
    else if (f->most)
        (void)snprintf(wants_text, sizeof wants_text, "%u to %u", f->least, f->most);
    else
        (void)snprintf(wants_text, sizeof wants_text, "at least %u", f->least);
    return FAIL(p->why, CODE_USAGE, place_at(a->at), "%s takes %s argument%s, and here are %u", f->name, wants_text,
                f->least == 1 && f->most == 1 ? "" : "s", a->arg_count);
}

static enum code give_argument(struct cond_parser *p, const struct cond_function *f, struct ast *a,
                               const struct part *x)
{
    uint32_t i = a->arg_count < 2 ? a->arg_count : 2;
    if (f->takes[i] && f->takes[i] != COND_ANY)
        TRY(wants(p, f->name, x, f->takes[i]));
    return adopt(p, a, x->a);
}

/* The name has been read, '(' is at hand. */
static enum code parse_call(struct cond_parser *p, const struct cond_word *name, struct part *out)
{
    int number = cond_function_find(name->text);
    if (number < 0)
        return unknown_function(p, name);
    const struct cond_function *f = &cond_functions[number];
    TRY(make(p, AST_CALL, name->at, out));
    out->type = f->gives;
    out->a->name = bytes_str(f->name);
    out->a->slot = (uint32_t)number;
    TRY(take(p));
    while (out->a->arg_count || !cond_mark(&p->now, ")")) {
        struct part x;
        TRY(parse(p, &x));
        TRY(give_argument(p, f, out->a, &x));
        if (!cond_mark(&p->now, ","))
            break;
        TRY(take(p));
    }
    if (!cond_mark(&p->now, ")"))
        return refuse(p, "',' or ')'");
    TRY(take(p));
    return check_count(p, f, out->a);
}

static enum code sign_call(struct cond_parser *p, int number, struct place at, const struct part *x,
                           const struct part *y, struct part *out)
{
    TRY(make(p, AST_CALL, at, out));
    out->type = number == COND_COALESCE ? x->type | y->type : cond_functions[number].gives;
    out->a->name = bytes_str(cond_functions[number].name);
    out->a->slot = (uint32_t)number;
    TRY(give_argument(p, &cond_functions[number], out->a, x));
    return give_argument(p, &cond_functions[number], out->a, y);
}

/* ---- levels ---- */

static enum code constant(struct cond_parser *p, struct value v, uint8_t type, struct part *out)
{
    TRY(make(p, AST_CONSTANT, p->now.at, out));
    out->a->constant = v;
    out->type = type;
    return take(p);
}

static enum code parse_word(struct cond_parser *p, struct part *out)
{
    if (cond_is(&p->now, "true") || cond_is(&p->now, "false"))
        return constant(p, value_bit(cond_is(&p->now, "true")), COND_BOOL, out);
    if (cond_is(&p->now, "null"))
        return constant(p, value_said_null(), COND_NIL, out);
    if (cond_is(&p->now, "undefined"))
        return constant(p, value_null(), COND_ANY, out);
    static const char *const reserved[] = {"AND", "OR", "IN", "NIN", "INTO", "WHERE", "FROM", "SELECT"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (cond_is(&p->now, reserved[i]))
            return refuse(p, "a value");
    struct lexer ahead = p->lex;
    struct cond_word behind;
    struct fault ignored;
    bool call = cond_next(&ahead, &behind, &ignored) == CODE_OK && cond_mark(&behind, "(");
    if (!call)
        return parse_name(p, out);
    struct cond_word name = p->now;
    TRY(take(p));
    return parse_call(p, &name, out);
}

static enum code parse_primary(struct cond_parser *p, struct part *out)
{
    switch (p->now.kind) {
    case COND_TEXT: return constant(p, value_text(p->now.text), COND_STR, out);
    case COND_NUMBER: return constant(p, p->now.number, COND_NUM, out);
    case COND_NAME: return parse_word(p, out);
    case COND_SYSTEM:
    case COND_BRACED: return parse_name(p, out);
    default: break;
    }
    if (!cond_mark(&p->now, "("))
        return refuse(p, "a value");
    TRY(take(p));
    TRY(parse(p, out));
    return mark(p, ")");
}

static enum code parse_unary(struct cond_parser *p, struct part *out)
{
    bool negate = cond_mark(&p->now, "-"), not = cond_is(&p->now, "NOT");
    if (!negate && !not )
        return parse_primary(p, out);
    struct part x;
    struct place at = p->now.at;
    TRY(deeper(p));
    TRY(take(p));
    TRY(parse_unary(p, &x));
    p->depth--;
    TRY(wants(p, negate ? "-" : "NOT", &x, negate ? COND_NUM : COND_BOOL));
    TRY(make(p, AST_UNARY, at, out));
    out->type = negate ? COND_NUM : COND_BOOL;
    out->a->op = negate ? AST_NEGATE : AST_NOT;
    return adopt(p, out->a, x.a);
}

struct sign {
    const char *word;
    uint8_t op, takes, gives; /* takes 0: two of the same type */
    int8_t call;              /* a function instead of an operator, else -1 */
};
static const struct sign product_signs[] = {{"*", AST_MUL, COND_NUM, COND_NUM, -1},
                                            {"/", AST_DIV, COND_NUM, COND_NUM, -1},
                                            {"%", AST_MOD, COND_NUM, COND_NUM, -1},
                                            {NULL, 0, 0, 0, 0}};
static const struct sign sum_signs[] = {{"+", AST_ADD, COND_NUM, COND_NUM, -1},
                                        {"-", AST_SUB, COND_NUM, COND_NUM, -1},
                                        {"||", 0, COND_STR, COND_STR, COND_CONCAT},
                                        {NULL, 0, 0, 0, 0}};
static const struct sign order_signs[] = {{"<", AST_LT, 0, COND_BOOL, -1},
                                          {"<=", AST_LE, 0, COND_BOOL, -1},
                                          {">", AST_GT, 0, COND_BOOL, -1},
                                          {">=", AST_GE, 0, COND_BOOL, -1},
                                          {NULL, 0, 0, 0, 0}};
static const struct sign equal_signs[] = {{"=", AST_EQ, 0, COND_BOOL, -1},
                                          {"!=", AST_NE, 0, COND_BOOL, -1},
                                          {"<>", AST_NE, 0, COND_BOOL, -1},
                                          {NULL, 0, 0, 0, 0}};
static const struct sign and_signs[] = {{"AND", AST_AND, COND_BOOL, COND_BOOL, -1}, {NULL, 0, 0, 0, 0}};
static const struct sign or_signs[] = {{"OR", AST_OR, COND_BOOL, COND_BOOL, -1}, {NULL, 0, 0, 0, 0}};
static const struct sign else_signs[] = {{"??", 0, COND_ANY, COND_ANY, COND_COALESCE}, {NULL, 0, 0, 0, 0}};

static const struct sign *sign_at(const struct cond_parser *p, const struct sign *s)
{
    for (; s->word; s++)
        if (cond_mark(&p->now, s->word) || cond_is(&p->now, s->word))
            return s;
    return NULL;
}

static enum code join(struct cond_parser *p, const struct sign *s, struct part *left,
                      const struct part *right, struct place at)
{
    struct part whole;
    if (s->call >= 0) {
        TRY(sign_call(p, s->call, at, left, right, &whole));
        *left = whole;
        return CODE_OK;
    }
    if (s->takes) {
        TRY(wants(p, s->word, left, s->takes));
        TRY(wants(p, s->word, right, s->takes));
    } else {
        TRY(alike(p, s->word, left, right));
    }
    TRY(make(p, AST_BINARY, left->a->at, &whole));
    whole.type = s->gives;
    whole.a->op = s->op;
    TRY(adopt(p, whole.a, left->a));
    TRY(adopt(p, whole.a, right->a));
    *left = whole;
    return CODE_OK;
}

static enum code level(struct cond_parser *p, const struct sign *signs,
                       enum code (*tighter)(struct cond_parser *, struct part *), struct part *out)
{
    const struct sign *s;
    TRY(tighter(p, out));
    while ((s = sign_at(p, signs))) {
        struct part right;
        struct place at = p->now.at;
        TRY(take(p));
        TRY(tighter(p, &right));
        TRY(join(p, s, out, &right, at));
    }
    return CODE_OK;
}

static enum code parse_product(struct cond_parser *p, struct part *out)
{
    return level(p, product_signs, parse_unary, out);
}

static enum code parse_sum(struct cond_parser *p, struct part *out)
{
    return level(p, sum_signs, parse_product, out);
}

static enum code parse_order(struct cond_parser *p, struct part *out)
{
    return level(p, order_signs, parse_sum, out);
}

/* [NOT] IN or NIN is at hand: x IN [a, b], x IN (a, b). */
static enum code parse_in(struct cond_parser *p, struct part *x, bool negated)
{
    struct part whole;
    TRY(make(p, AST_IN, x->a->at, &whole));
    whole.type = COND_BOOL;
    whole.a->negated = negated;
    TRY(adopt(p, whole.a, x->a));
    TRY(take(p));
    bool square = cond_mark(&p->now, "[");
    if (!square && !cond_mark(&p->now, "("))
        return refuse(p, "'[' and a list");
    do {
        struct part one;
        TRY(take(p));
        TRY(parse(p, &one));
        TRY(alike(p, "IN", x, &one));
        TRY(adopt(p, whole.a, one.a));
    } while (cond_mark(&p->now, ","));
    TRY(mark(p, square ? "]" : ")"));
    *x = whole;
    return CODE_OK;
}

static enum code parse_equal(struct cond_parser *p, struct part *out)
{
    TRY(level(p, equal_signs, parse_order, out));
    if (cond_is(&p->now, "IN") || cond_is(&p->now, "NIN"))
        return parse_in(p, out, cond_is(&p->now, "NIN"));
    if (!cond_is(&p->now, "NOT"))
        return CODE_OK;
    TRY(take(p));
    if (!cond_is(&p->now, "IN"))
        return refuse(p, "IN behind NOT");
    return parse_in(p, out, true);
}

static enum code parse_and(struct cond_parser *p, struct part *out)
{
    return level(p, and_signs, parse_equal, out);
}

static enum code parse_or(struct cond_parser *p, struct part *out)
{
    return level(p, or_signs, parse_and, out);
}

static enum code parse(struct cond_parser *p, struct part *out)
{
    TRY(deeper(p));
    TRY(level(p, else_signs, parse_or, out));
    p->depth--;
    return CODE_OK;
}

enum code condition_parse(struct condition **out, struct bytes text, size_t *offset, struct place at,
                          struct arena *arena, struct fault *why)
{
    struct cond_parser p = {
        .lex = {.source = text, .offset = *offset, .place = at, .arena = arena}, .arena = arena, .why = why};
    struct part whole;
    p.made = arena_zero(arena, sizeof *p.made);
    if (p.made)
        p.made->names = arena_zero(arena, CONDITION_NAMES_MAX * sizeof *p.made->names);
    if (!p.made || !p.made->names)
        return FAIL(why, CODE_NOMEM, place_at(at), "no memory for this condition");
    TRY(take(&p));
    TRY(parse(&p, &whole));
    if (!(whole.type & COND_BOOL)) {
        char more[160];
        return FAIL(why, CODE_USAGE, place_at(whole.a->at), "a condition is true or false, and this is %s%s",
                    type_name(whole.type), hint(&whole, COND_BOOL, more, sizeof more));
    }
    p.made->root = whole.a;
    *offset = p.behind;
    *out = p.made;
    return CODE_OK;
}
