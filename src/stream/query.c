#include "stream/planner.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/suggest.h"

#include <inttypes.h>
#include <stdio.h>

enum { QUERY_BYTES_MAX = 64 << 20 };

#define SECOND INT64_C(10000000)

void query_options_default(struct query_options *o)
{
    *o = (struct query_options){ .file = "query", .late = 5 * SECOND };
}

/* ---- statements to arms ---- */

static struct arm *new_arm(struct planner *p, struct select *s, struct step_plan *step)
{
    struct arm *arm = planner_take(p, 1, sizeof *arm);
    if (arm) {
        arm->planner = p;
        arm->select = s;
        arm->step = step;
    }
    return arm;
}

static enum code check_step_name(struct planner *p, const struct step *s)
{
    for (const struct step_plan *t = p->steps; t; t = t->next)
        if (name_is(t->name, s->name))
            return refuse(p->why, CODE_USAGE, FG_NAME, s->at, "two steps are called %.*s", BYTES_FMT(s->name));
    return CODE_OK;
}

static enum code take_step(struct planner *p, struct step *s)
{
    TRY(check_step_name(p, s));
    struct step_plan *step = planner_take(p, 1, sizeof *step);
    if (!step)
        return planner_no_memory(p);
    step->name = s->name;
    step->at = s->at;
    struct arm **tail = &step->arms;
    for (struct select *sel = s->select; sel; sel = sel->next) {
        struct arm *arm = new_arm(p, sel, step);
        if (!arm)
            return planner_no_memory(p);
        TRY(select_resolve(arm));
        *tail = arm;
        tail = &arm->next;
    }
    *p->step_tail = step; /* only now: a step does not see itself */
    p->step_tail = &step->next;
    return CODE_OK;
}

static enum code find_output(struct planner *p, const struct select *s, uint32_t *out)
{
    struct query *q = p->query;
    struct bytes name = s->has_into ? s->into : BYTES_LIT("output");
    for (*out = 0; *out < q->output_count; ++*out)
        if (bytes_equal(q->outputs[*out].name, name))
            return CODE_OK;
    if (q->output_count == 256)
        return refuse(p->why, CODE_LIMIT, FG_TOO_MUCH, s->at, "more than 256 outputs");
    if (!q->outputs && !(q->outputs = planner_take(p, 256, sizeof *q->outputs)))
        return planner_no_memory(p);
    q->outputs[q->output_count++] = (struct output){ name, s->has_into ? s->into_at : s->at };
    return CODE_OK;
}

static enum code take_select(struct planner *p, struct select *first)
{
    uint32_t output;
    TRY(find_output(p, first, &output));
    for (struct select *s = first; s; s = s->next) {
        if (s != first && s->has_into && !bytes_equal(s->into, first->into))
            return refuse(p->why, CODE_USAGE, FG_RULE, s->into_at, "a UNION has one output: INTO stands in its first SELECT");
        struct arm *arm = new_arm(p, s, NULL);
        if (!arm)
            return planner_no_memory(p);
        arm->output = output;
        TRY(select_resolve(arm));
        *p->writer_tail = arm;
        p->writer_tail = &arm->next;
    }
    return CODE_OK;
}

static enum code check_tables(struct planner *p)
{
    for (const struct table_statement *t = p->query->statements.tables; t; t = t->next) {
        const struct input *found = NULL;
        struct suggest near = { 0 };
        for (const struct input *i = p->query->inputs; i; i = i->next) {
            const char *name = arena_text(p->memory, i->name);
            if (name)
                suggest_offer(&near, t->name, name);
            found = i->table == t ? i : found;
        }
        if (!found)
            return refuse(p->why, CODE_USAGE, FG_NAME, t->at, "CREATE TABLE %.*s: no SELECT reads an input of this name%s%s%s",
                          BYTES_FMT(t->name), near.best ? ". Did you mean " : "", near.best ? near.best : "", near.best ? "?" : "");
    }
    return CODE_OK;
}

/* TIMESTAMP BY ... OVER: all inputs or none, and its key in every GROUP BY. */
static enum code check_lanes(struct planner *p)
{
    const struct source *with = NULL, *without = NULL;
    for (const struct input *in = p->query->inputs; in; in = in->next)
        for (uint32_t i = 0; i < in->reader_count; i++)
            *(in->reader_sources[i]->overs ? &with : &without) = in->reader_sources[i];
    p->query->lanes = with != NULL;
    if (with && without)
        return refuse(p->why, CODE_USAGE, FG_RULE, without->at,
                      "TIMESTAMP BY ... OVER stands at all inputs of a query or at none; %.*s has it, %.*s has not", BYTES_FMT(with->name),
                      BYTES_FMT(without->name));
    return CODE_OK;
}

/* ---- the whole ---- */

static enum code compile(struct query *q, struct fault *why)
{
    struct planner p = { .query = q, .memory = &q->memory, .why = why };
    p.step_tail = &p.steps;
    p.writer_tail = &p.writers;
    p.input_tail = &q->inputs;
    p.reference_tail = &q->references;
    TRY(statements_parse(&q->statements, q->text, &q->memory, why));
    for (struct step *s = q->statements.steps; s; s = s->next)
        TRY(take_step(&p, s));
    for (struct select_statement *s = q->statements.selects; s; s = s->next)
        TRY(take_select(&p, s->select));
    TRY(check_tables(&p));
    TRY(check_lanes(&p));
    return plan_operators(&p);
}

/* "humidity.sql:3:62 confidence is ..." */
static void word_fault(const struct query_options *o, struct fault *why)
{
    char text[sizeof why->text + 128];
    if (why->code == CODE_NOMEM)
        return;
    uint32_t line = (uint32_t)(why->at >> 16), column = (uint32_t)(why->at & 65535);
    if (line)
        (void)snprintf(text, sizeof text, "%.80s:%u:%u %s", o->file ? o->file : "query", line, column, why->text);
    else
        (void)snprintf(text, sizeof text, "%.80s %s", o->file ? o->file : "query", why->text);
    text[sizeof why->text - 1] = 0;
    memcpy(why->text, text, sizeof why->text);
    if (!why->number)
        why->number = FG_SYNTAX;
}

static uint64_t mark_of(struct bytes text, const struct query_options *o)
{
    struct buf b = { 0 };
    buf_add_bytes(&b, text);
    buf_le64(&b, (uint64_t)o->late);
    buf_le64(&b, (uint64_t)o->out_of_order);
    buf_u8(&b, (uint8_t)o->policy);
    buf_u8(&b, (uint8_t)o->model);
    buf_u8(&b, o->ignore_case);
    if (o->confidence != 0 || o->history)
        buf_printf(&b, "%.17g %" PRIu32, o->confidence, o->history);
    uint64_t mark = b.bad ? 0 : hash_partition(buf_bytes(&b));
    buf_clear(&b);
    return mark;
}

enum code query_compile(struct query **out, struct bytes text, const struct query_options *options, struct fault *why)
{
    struct fault local;
    why = why ? why : &local;
    *out = NULL;
    struct query *q = mem_zalloc(1, sizeof *q);
    if (!q)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the query");
    arena_init(&q->memory, NULL, 0, QUERY_BYTES_MAX);
    if (options)
        q->options = *options;
    else
        query_options_default(&q->options);
    char *copy = text.len <= STATEMENT_BYTES_MAX ? arena_text(&q->memory, text) : NULL;
    q->text = copy ? bytes_of(copy, text.len) : text;
    q->mark = mark_of(text, &q->options);
    *why = (struct fault){ 0 };
    enum code code = !copy && text.len <= STATEMENT_BYTES_MAX ? FAIL(why, CODE_NOMEM, 0, "no memory for the query") : compile(q, why);
    if (code != CODE_OK) {
        word_fault(&q->options, why);
        query_free(q);
        return code;
    }
    *out = q;
    return CODE_OK;
}

void query_free(struct query *q)
{
    if (!q)
        return;
    for (uint32_t i = 0; i < q->expr_count; i++)
        expr_free(q->exprs[i]);
    for (struct input *in = q->inputs; in; in = in->next)
        if (in->json)
            json_plan_free(in->json);
    arena_clear(&q->memory);
    mem_free(q);
}

uint32_t query_inputs(const struct query *q)
{
    return q->input_count;
}

struct bytes query_input(const struct query *q, uint32_t i)
{
    const struct input *in = q->inputs;
    while (i-- && in)
        in = in->next;
    return in ? in->name : BYTES_NONE;
}

uint32_t query_references(const struct query *q)
{
    return q->reference_count;
}

struct bytes query_reference(const struct query *q, uint32_t i)
{
    const struct reference *r = q->references;
    while (i-- && r)
        r = r->next;
    return r ? r->name : BYTES_NONE;
}

uint32_t query_outputs(const struct query *q)
{
    return q->output_count;
}

struct bytes query_output(const struct query *q, uint32_t i)
{
    return i < q->output_count ? q->outputs[i].name : BYTES_NONE;
}

bool stream_times_events(const struct query *q)
{
    for (uint32_t i = 0; i < q->op_count; i++)
        if (q->ops[i]->kind == OP_READER && q->ops[i]->reader.timestamp)
            return true;
    return false;
}

uint32_t query_warnings(const struct query *q)
{
    return q->warning_count;
}

const char *query_warning(const struct query *q, uint32_t i)
{
    return i < q->warning_count ? q->warnings[i] : NULL;
}
