#include "stream/statement.h"

#include "base/suggest.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define TRY(call)                  \
    do {                           \
        enum code try_code = call; \
        if (try_code)              \
            return try_code;       \
    } while (0)

enum code refuse(struct fault *why, enum code code, int number, struct place at, const char *fmt, ...)
{
    char text[sizeof why->text];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fault_set(why, code, number, place_at(at), FG_HERE, "%s", text);
}

bool name_is(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp((const char *)a.at, (const char *)b.at, a.len) == 0);
}

bool word_is(struct bytes a, const char *word)
{
    return name_is(a, bytes_str(word));
}

static enum code no_memory(struct parser *p)
{
    return FAIL(p->why, CODE_NOMEM, 0, "no memory for the query");
}

static enum code list_room(struct parser *p, void **at, uint32_t count, size_t size)
{
    if (count >= STATEMENT_ITEMS_MAX)
        return refuse(p->why, CODE_LIMIT, FG_TOO_MUCH, p->now.at, "a list of more than %d", STATEMENT_ITEMS_MAX);
    void *list = arena_one_more(p->arena, *at, count, size);
    if (!list)
        return no_memory(p);
    *at = list;
    return CODE_OK;
}

static bool is_name(const struct token *t)
{
    return t->kind == TOKEN_NAME || t->kind == TOKEN_QUOTED;
}

/* Words that go on with the statement where an alias could stand. */
static bool ends_clause(const struct token *t)
{
    static const char *const words[] = { "SELECT", "INTO",  "FROM",  "WHERE",     "GROUP",     "HAVING", "UNION",  "JOIN", "INNER",
                                         "LEFT",   "CROSS", "OUTER", "TIMESTAMP", "PARTITION", "ON",     "CREATE", "ORDER",
                                         "RIGHT",  "FULL",  "WITH",  "LIMIT",     "OVER",      "AS",     "WHEN",   "GO" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (token_is(t, words[i]))
            return true;
    return false;
}

static enum code parse_plain_name(struct parser *p, const char *what, struct bytes *out)
{
    if (!is_name(&p->now) || (p->now.kind == TOKEN_NAME && ends_clause(&p->now)))
        return parser_refuse(p, what);
    *out = p->now.text;
    return parser_step(p);
}

static enum code parse_list(struct parser *p, struct ast ***list, uint32_t *count)
{
    for (;;) {
        struct ast *e;
        TRY(parse_expr(p, &e));
        TRY(list_room(p, (void **)list, *count, sizeof **list));
        (*list)[(*count)++] = e;
        if (!token_mark(&p->now, ","))
            return CODE_OK;
        TRY(parser_step(p));
    }
}

/* ---- SELECT ---- */

/* NULL = e is a comparison. */
static bool is_value_word(const struct token *t)
{
    return token_is(t, "NULL") || token_is(t, "TRUE") || token_is(t, "FALSE");
}

/* e [[AS] name], or name = e */
static enum code parse_item(struct parser *p, struct item *out)
{
    if (is_name(&p->now) && token_mark(&p->next, "=") && !is_value_word(&p->now)) {
        *out = (struct item){ .name = p->now.text, .name_at = p->now.at };
        TRY(parser_step(p));
        TRY(parser_step(p));
        return parse_expr(p, &out->e);
    }
    TRY(parse_expr(p, &out->e));
    bool as = token_is(&p->now, "AS");
    if (as)
        TRY(parser_step(p));
    if (!as && (!is_name(&p->now) || (p->now.kind == TOKEN_NAME && ends_clause(&p->now))))
        return CODE_OK;
    if (out->e->kind == AST_STAR)
        return refuse(p->why, CODE_USAGE, FG_SYNTAX, p->now.at, "`*` stands for several columns and takes no name");
    if (!is_name(&p->now))
        return parser_refuse(p, "the name of the column");
    out->name = p->now.text;
    out->name_at = p->now.at;
    return as ? parser_step(p) : parser_step_loose(p);
}

static enum code parse_items(struct parser *p, struct select *s)
{
    for (;;) {
        TRY(list_room(p, (void **)&s->items, s->item_count, sizeof *s->items));
        TRY(parse_item(p, &s->items[s->item_count++]));
        if (!token_mark(&p->now, ","))
            return CODE_OK;
        TRY(parser_step(p));
    }
}

static enum code parse_timestamp(struct parser *p, struct source *s)
{
    s->timestamp_at = p->now.at;
    TRY(parser_step(p));
    TRY(parser_keyword(p, "BY"));
    TRY(parse_expr(p, &s->timestamp));
    if (!token_is(&p->now, "OVER"))
        return CODE_OK;
    TRY(parser_step(p));
    return parse_list(p, &s->over, &s->overs);
}

static enum code parse_partition(struct parser *p, struct source *s)
{
    TRY(parser_step(p));
    TRY(parser_keyword(p, "BY"));
    TRY(parse_list(p, &s->partition, &s->partitions));
    if (!token_is(&p->now, "INTO") || p->next.kind != TOKEN_BIGINT)
        return CODE_OK;
    TRY(parser_step(p)); /* INTO n: how many machines share the work; here one does all of it */
    return parser_step(p);
}

/* input [[AS] alias] [TIMESTAMP BY ...] [PARTITION BY ...] */
static enum code parse_input(struct parser *p, struct source *s)
{
    s->at = p->now.at;
    if (token_mark(&p->now, "("))
        return refuse(p->why, CODE_USAGE, FG_RULE, p->now.at,
                      "a query inside of FROM is not in the language; give it a name in front: WITH name AS ( ... )");
    TRY(parse_plain_name(p, "the name of an input or of a WITH step", &s->name));
    s->alias = s->name;
    bool as = token_is(&p->now, "AS");
    if (as)
        TRY(parser_step(p));
    if (as) {
        TRY(parse_plain_name(p, "an alias", &s->alias));
    } else if (is_name(&p->now) && (p->now.kind == TOKEN_QUOTED || !ends_clause(&p->now))) {
        s->alias = p->now.text;
        TRY(parser_step_loose(p));
    }
    for (;;) {
        if (!s->timestamp && token_is(&p->now, "TIMESTAMP"))
            TRY(parse_timestamp(p, s));
        else if (!s->partitions && token_is(&p->now, "PARTITION"))
            TRY(parse_partition(p, s));
        else
            return CODE_OK;
    }
}

static enum code parse_apply(struct parser *p, struct source *s)
{
    struct ast *e;
    s->at = p->now.at;
    TRY(parse_expr(p, &e));
    bool array = e->kind == AST_CALL && word_is(e->name, "GetArrayElements");
    bool record = e->kind == AST_CALL && word_is(e->name, "GetRecordProperties");
    if ((!array && !record) || e->arg_count != 1 || e->part_count)
        return refuse(p->why, CODE_USAGE, FG_RULE, s->at,
                      "APPLY takes GetArrayElements(array) or GetRecordProperties(record)");
    s->applied = e->args[0];
    s->applied_record = record;
    s->name = e->name;
    if (token_is(&p->now, "AS"))
        TRY(parser_step(p));
    s->at = p->now.at;
    return parse_plain_name(p, "an alias for the elements", &s->alias);
}

static enum code refuse_join(struct parser *p, const char *kind)
{
    return refuse(p->why, CODE_USAGE, FG_RULE, p->now.at, "%s JOIN is not in the language; INNER and LEFT JOIN are", kind);
}

/* Takes the words that begin a join or an APPLY. *found false: there are none. */
static enum code parse_joiner(struct parser *p, struct source *s, bool *found)
{
    bool inner = token_is(&p->now, "INNER"), left = token_is(&p->now, "LEFT"), cross = token_is(&p->now, "CROSS"),
         outer = token_is(&p->now, "OUTER");
    *found = inner || left || cross || outer || token_is(&p->now, "JOIN");
    if (token_is(&p->now, "RIGHT") || token_is(&p->now, "FULL"))
        return refuse_join(p, token_is(&p->now, "RIGHT") ? "RIGHT" : "FULL");
    if (cross && token_is(&p->next, "JOIN"))
        return refuse_join(p, "CROSS");
    if (!*found)
        return CODE_OK;
    s->kind = left ? SOURCE_LEFT_JOIN : cross ? SOURCE_CROSS_APPLY : outer ? SOURCE_OUTER_APPLY : SOURCE_JOIN;
    if (inner || left || cross || outer)
        TRY(parser_step(p));
    if (left && token_is(&p->now, "OUTER"))
        TRY(parser_step(p));
    return parser_keyword(p, cross || outer ? "APPLY" : "JOIN");
}

static enum code parse_sources(struct parser *p, struct select *s)
{
    uint32_t joins = 0;
    TRY(list_room(p, (void **)&s->sources, 0, sizeof *s->sources));
    TRY(parse_input(p, &s->sources[s->source_count++]));
    for (;;) {
        struct source next = { 0 };
        bool found;
        struct place at = p->now.at;
        TRY(parse_joiner(p, &next, &found));
        if (!found)
            return CODE_OK;
        if (++joins > STATEMENT_JOINS_MAX)
            return refuse(p->why, CODE_LIMIT, FG_TOO_MUCH, at, "more than %d joins in one SELECT", STATEMENT_JOINS_MAX);
        if (next.kind == SOURCE_CROSS_APPLY || next.kind == SOURCE_OUTER_APPLY) {
            TRY(parse_apply(p, &next));
        } else {
            TRY(parse_input(p, &next));
            next.on_at = p->now.at;
            TRY(parser_keyword(p, "ON"));
            TRY(parse_expr(p, &next.on));
        }
        TRY(list_room(p, (void **)&s->sources, s->source_count, sizeof *s->sources));
        s->sources[s->source_count++] = next;
    }
}

static enum code parse_select(struct parser *p, struct select **out, bool nested);

static enum code refuse_rest(struct parser *p)
{
    if (token_is(&p->now, "ORDER"))
        return refuse(p->why, CODE_USAGE, FG_RULE, p->now.at,
                      "ORDER BY is not in the language: rows leave in the order of their time; TopOne() and CollectTop() order "
                      "within a window");
    if (token_is(&p->now, "LIMIT"))
        return refuse(p->why, CODE_USAGE, FG_RULE, p->now.at,
                      "LIMIT is not in the language; CollectTop(n) takes the first n of a window");
    return CODE_OK;
}

static enum code parse_into(struct parser *p, struct select *s)
{
    if (!token_is(&p->now, "INTO"))
        return CODE_OK;
    s->has_into = true;
    s->into_at = p->now.at;
    TRY(parser_step(p));
    return parse_plain_name(p, "the name of an output", &s->into);
}

static enum code parse_body(struct parser *p, struct select *s)
{
    if (token_is(&p->now, "TOP") && p->next.kind == TOKEN_BIGINT)
        return refuse(p->why, CODE_USAGE, FG_RULE, p->now.at,
                      "TOP is not in the language; TopOne() and CollectTop(n) take the first of a window");
    if (token_is(&p->now, "DISTINCT"))
        return refuse(p->why, CODE_USAGE, FG_RULE, p->now.at,
                      "SELECT DISTINCT is not in the language; GROUP BY the columns and a window");
    TRY(parse_items(p, s));
    TRY(parse_into(p, s));
    TRY(parser_keyword(p, "FROM"));
    TRY(parse_sources(p, s));
    if (token_is(&p->now, "WHERE")) {
        TRY(parser_step(p));
        TRY(parse_expr(p, &s->where));
    }
    s->group_at = p->now.at;
    if (token_is(&p->now, "GROUP")) {
        TRY(parser_step(p));
        TRY(parser_keyword(p, "BY"));
        TRY(parse_list(p, &s->group, &s->group_count));
    }
    s->having_at = p->now.at;
    if (token_is(&p->now, "HAVING")) {
        TRY(parser_step(p));
        TRY(parse_expr(p, &s->having));
    }
    return refuse_rest(p);
}

static enum code parse_select(struct parser *p, struct select **out, bool nested)
{
    struct select **tail = out;
    for (uint32_t arms = 0;; arms++) {
        struct select *s = arena_zero(p->arena, sizeof *s);
        if (!s)
            return no_memory(p);
        s->at = p->now.at;
        TRY(parser_keyword(p, "SELECT"));
        TRY(parse_body(p, s));
        if (nested && s->has_into)
            return refuse(p->why, CODE_USAGE, FG_RULE, s->into_at, "a WITH step has no output of its own; INTO goes behind WITH");
        *tail = s;
        tail = &s->next;
        if (!token_is(&p->now, "UNION"))
            return CODE_OK;
        if (arms >= 63)
            return refuse(p->why, CODE_LIMIT, FG_TOO_MUCH, p->now.at, "more than 64 SELECTs in one UNION");
        TRY(parser_step(p));
        if (token_is(&p->now, "ALL")) /* UNION keeps all rows as it is */
            TRY(parser_step(p));
    }
}

/* ---- WITH, CREATE TABLE ---- */

static enum code parse_steps(struct parser *p, struct statements *all)
{
    struct step **tail = &all->steps;
    do {
        TRY(parser_step(p)); /* WITH, then commas */
        struct step *s = arena_zero(p->arena, sizeof *s);
        if (!s)
            return no_memory(p);
        s->at = p->now.at;
        TRY(parse_plain_name(p, "the name of a step", &s->name));
        TRY(parser_keyword(p, "AS"));
        TRY(parser_mark(p, "("));
        TRY(parse_select(p, &s->select, true));
        TRY(parser_mark(p, ")"));
        *tail = s;
        tail = &s->next;
    } while (token_mark(&p->now, ","));
    return CODE_OK;
}

static enum code parse_table(struct parser *p, struct table_statement **out)
{
    struct table_statement *t = arena_zero(p->arena, sizeof *t);
    if (!t)
        return no_memory(p);
    TRY(parser_step(p));
    TRY(parser_keyword(p, "TABLE"));
    t->at = p->now.at;
    TRY(parse_plain_name(p, "the name of an input", &t->name));
    TRY(parser_mark(p, "("));
    for (;;) {
        TRY(list_room(p, (void **)&t->columns, t->column_count, sizeof *t->columns));
        struct column_type *c = &t->columns[t->column_count++];
        TRY(parse_plain_name(p, "the name of a column", &c->name));
        TRY(parser_type(p, &c->type));
        if (!token_mark(&p->now, ","))
            break;
        TRY(parser_step(p));
    }
    TRY(parser_mark(p, ")"));
    *out = t;
    return CODE_OK;
}

enum code statements_parse(struct statements *out, struct bytes text, struct arena *arena, struct fault *why)
{
    struct parser p;
    struct select_statement **tail = &out->selects;
    struct table_statement **tables = &out->tables;
    *out = (struct statements){ 0 };
    if (text.len > STATEMENT_BYTES_MAX)
        return refuse(why, CODE_LIMIT, FG_TOO_MUCH, (struct place){ 1, 1 }, "the query is %zu bytes long, the limit is %d", text.len,
                      STATEMENT_BYTES_MAX);
    TRY(parser_begin(&p, text, arena, why));
    while (p.now.kind != TOKEN_END) {
        if (token_mark(&p.now, ";")) {
            TRY(parser_step(&p));
        } else if (token_is(&p.now, "WITH") && !out->steps && !out->selects) {
            TRY(parse_steps(&p, out));
        } else if (token_is(&p.now, "CREATE")) {
            TRY(parse_table(&p, tables));
            tables = &(*tables)->next;
        } else if (token_is(&p.now, "SELECT")) {
            struct select_statement *s = arena_zero(arena, sizeof *s);
            if (!s)
                return no_memory(&p);
            TRY(parse_select(&p, &s->select, false));
            *tail = s;
            tail = &s->next;
        } else {
            return parser_refuse(&p, out->selects ? "SELECT or the end" : "WITH, CREATE TABLE or SELECT");
        }
    }
    return out->selects ? CODE_OK : parser_refuse(&p, "SELECT");
}
