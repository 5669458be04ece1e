/* One SELECT while a query is planned: its sources, the names of its columns, and every name in it resolved. */
#include "stream/planner.h"

#include "base/suggest.h"

#include <stdio.h>

/* ---- sources ---- */

static struct step_plan *find_step(struct planner *p, struct bytes name)
{
    for (struct step_plan *s = p->steps; s; s = s->next)
        if (bytes_equal(s->name, name))
            return s;
    for (struct step_plan *s = p->steps; s; s = s->next)
        if (name_is(s->name, name))
            return s;
    return NULL;
}

static enum code refuse_input(struct planner *p, const struct source *s)
{
    struct suggest near = { 0 };
    for (const char *const *n = p->query->options.inputs; n && *n; n++)
        suggest_offer(&near, s->name, *n);
    for (const struct step_plan *t = p->steps; t; t = t->next) {
        const char *name = arena_text(p->memory, t->name);
        if (name)
            suggest_offer(&near, s->name, name);
    }
    return refuse(p->why, CODE_USAGE, FG_NAME, s->at, "\"%.*s\" is no input and no WITH step before this one%s%s%s", BYTES_FMT(s->name),
                  near.best ? ". Did you mean " : "", near.best ? near.best : "", near.best ? "?" : "");
}

/* The name as it is listed; inputs that are not listed are as they were first written. */
static enum code input_name(struct planner *p, const struct source *s, struct bytes *out)
{
    const char *const *names = p->query->options.inputs;
    *out = s->name;
    for (const char *const *n = names; n && *n; n++)
        if (bytes_equal(s->name, bytes_str(*n)))
            return CODE_OK;
    for (const char *const *n = names; n && *n; n++)
        if (name_is(s->name, bytes_str(*n))) {
            *out = bytes_str(*n);
            return CODE_OK;
        }
    return names ? refuse_input(p, s) : CODE_OK;
}

static enum code warn_input(struct planner *p, struct bytes name)
{
    for (const struct step_plan *t = p->steps; t; t = t->next)
        if (suggest_distance(name, t->name, 2) <= 1)
            TRY(planner_warn(p, "input %.*s: did you mean the step %.*s?", (int)(name.len < 60 ? name.len : 60), (const char *)name.at,
                             (int)(t->name.len < 60 ? t->name.len : 60), (const char *)t->name.at));
    return CODE_OK;
}

static enum code find_input(struct planner *p, const struct source *s, struct input **out)
{
    struct bytes name;
    TRY(input_name(p, s, &name));
    for (struct input *i = p->query->inputs; i; i = i->next)
        if (name_is(i->name, name)) {
            *out = i;
            return CODE_OK;
        }
    struct input *i = planner_take(p, 1, sizeof *i);
    if (!i)
        return planner_no_memory(p);
    i->name = name;
    i->index = p->query->input_count++;
    *p->input_tail = i;
    p->input_tail = &i->next;
    for (const struct table_statement *t = p->query->statements.tables; t; t = t->next)
        if (name_is(t->name, name))
            i->table = t;
    *out = i;
    return warn_input(p, name);
}

static enum code find_reference(struct planner *p, const struct source *s, struct reference **out)
{
    for (struct reference *r = p->query->references; r; r = r->next)
        if (name_is(r->name, s->name)) {
            *out = r;
            return CODE_OK;
        }
    struct reference *r = planner_take(p, 1, sizeof *r);
    if (!r)
        return planner_no_memory(p);
    r->name = s->name;
    r->index = p->query->reference_count++;
    *p->reference_tail = r;
    p->reference_tail = &r->next;
    *out = r;
    return CODE_OK;
}

static enum code check_alias(struct arm *arm, const struct source *s, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++)
        if (name_is(arm->select->sources[i].alias, s->alias))
            return refuse(arm->planner->why, CODE_USAGE, FG_NAME, s->at, "two sources are called %.*s; give one an alias: %.*s AS x",
                          BYTES_FMT(s->alias), BYTES_FMT(s->name));
    return CODE_OK;
}

static enum code refuse_clauses(struct arm *arm, const struct source *s, const char *what)
{
    if (s->timestamp)
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, s->timestamp_at,
                      "TIMESTAMP BY is for inputs; the rows of %s %.*s have their time already", what, BYTES_FMT(s->name));
    return CODE_OK;
}

/* What an alias stands for; its names are not resolved yet. */
static enum code open_side(struct arm *arm, uint32_t i)
{
    struct planner *p = arm->planner;
    struct source *s = &arm->select->sources[i];
    struct side *side = &arm->sides[i];
    side->source = s;
    TRY(check_alias(arm, s, i));
    if (s->kind == SOURCE_CROSS_APPLY || s->kind == SOURCE_OUTER_APPLY) {
        side->relation = RELATION_APPLY;
        return CODE_OK;
    }
    side->step = find_step(p, s->name);
    const struct query_options *o = &p->query->options;
    if (!side->step && o->is_reference && o->is_reference(o->ctx, s->name)) {
        side->relation = RELATION_REFERENCE;
        if (i == 0)
            return refuse(p->why, CODE_USAGE, FG_RULE, s->at, "%.*s is reference data: it can be joined to a stream, not read alone",
                          BYTES_FMT(s->name));
        TRY(refuse_clauses(arm, s, "reference data"));
        return find_reference(p, s, &side->reference);
    }
    arm->stream_sides++;
    if (side->step) {
        side->relation = RELATION_STEP;
        side->step->read = true;
        return refuse_clauses(arm, s, "step");
    }
    side->relation = RELATION_INPUT;
    return find_input(p, s, &side->input);
}

/* ---- readers ---- */

static bool same_clause(const struct op *reader, const struct ast *timestamp, struct ast **over, uint32_t overs,
                        const struct source *have)
{
    if (!timestamp != !have->timestamp || overs != have->overs || (timestamp && !tree_equal(timestamp, have->timestamp)))
        return false;
    (void)reader;
    for (uint32_t i = 0; i < overs; i++)
        if (!tree_equal(over[i], have->over[i]))
            return false;
    return true;
}

/* SELECTs that read one input with the same TIMESTAMP BY share a reader. Names in the clauses are resolved. */
static enum code share_reader(struct arm *arm, struct side *side)
{
    struct planner *p = arm->planner;
    struct source *s = side->source;
    struct input *in = side->input;
    for (uint32_t i = 0; i < in->reader_count; i++)
        if (same_clause(in->readers[i], s->timestamp, s->over, s->overs, in->reader_sources[i])) {
            side->op = in->readers[i];
            return CODE_OK;
        }
    if (in->reader_count == 64)
        return refuse(p->why, CODE_LIMIT, FG_TOO_MUCH, s->at, "more than 64 different TIMESTAMP BY of one input");
    if (!in->readers) {
        in->readers = planner_take(p, 64, sizeof *in->readers);
        in->reader_sources = planner_take(p, 64, sizeof *in->reader_sources);
        if (!in->readers || !in->reader_sources)
            return planner_no_memory(p);
    }
    if (!(side->op = plan_op(p, OP_READER, s->at)))
        return planner_no_memory(p);
    side->op->reader.input = in;
    side->op->reader.index = p->query->reader_count++;
    in->reader_sources[in->reader_count] = s;
    in->readers[in->reader_count++] = side->op;
    return CODE_OK;
}

static enum code resolve_clauses(struct arm *arm, struct side *side)
{
    struct source *s = side->source;
    struct arm alone = { .planner = arm->planner, .select = arm->select, .side_count = 1, .stream_sides = 1 };
    alone.sides[0] = *side;
    if (s->timestamp)
        TRY(names_resolve(&alone, &s->timestamp, IN_ANALYTIC, false));
    for (uint32_t i = 0; i < s->overs; i++)
        TRY(names_resolve(&alone, &s->over[i], IN_ANALYTIC, false));
    return share_reader(arm, side);
}

/* ---- names of columns ---- */

static struct bytes own_name(const struct ast *e)
{
    if (e->kind == AST_TIMESTAMP)
        return BYTES_LIT("Timestamp");
    bool window = e->kind == AST_CALL && word_is(e->name, "System.Window");
    return (e->kind == AST_NAME || window) && e->part_count ? e->parts[e->part_count - 1] : BYTES_NONE;
}

static enum code name_items(struct arm *arm)
{
    struct planner *p = arm->planner;
    const struct select *s = arm->select;
    if (!(arm->names = planner_take(p, s->item_count, sizeof *arm->names)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < s->item_count; i++) {
        const struct item *it = &s->items[i];
        if (it->e->kind == AST_STAR)
            continue;
        arm->names[i] = it->name;
        if (!it->name.len)
            arm->names[i] = own_name(it->e);
        if (!arm->names[i].len) {
            char *text = planner_take(p, 1, 16);
            if (!text)
                return planner_no_memory(p);
            (void)snprintf(text, 16, "Col%u", i + 1);
            arm->names[i] = bytes_str(text);
        }
        for (uint32_t k = 0; k < i; k++)
            if (bytes_equal(arm->names[k], arm->names[i]))
                return refuse(p->why, CODE_USAGE, FG_NAME, it->name.len ? it->name_at : it->e->at,
                              "two columns are called %.*s; give one another name: AS x", BYTES_FMT(arm->names[i]));
    }
    return CODE_OK;
}

/* ---- the whole ---- */

/* HAVING sees names of SELECT's columns first. */
static enum code place_aliases(struct arm *arm, struct ast **node)
{
    struct ast *a = *node;
    for (uint32_t pass = 0; pass < 2 && a->kind == AST_NAME && a->part_count == 1; pass++)
        for (uint32_t i = 0; i < arm->select->item_count; i++) {
            const struct item *it = &arm->select->items[i];
            bool same = pass ? name_is(arm->names[i], a->parts[0]) : bytes_equal(arm->names[i], a->parts[0]);
            if (it->e->kind != AST_STAR && same)
                return tree_copy(arm->planner, it->e, node);
        }
    for (uint32_t i = 0; i < a->arg_count && !(a->kind == AST_CALL && aggregate_is(a->name)); i++)
        TRY(place_aliases(arm, &a->args[i]));
    return CODE_OK;
}

static enum code resolve_item(struct arm *arm, struct item *it)
{
    if (it->e->kind != AST_STAR)
        return arm->grouped ? grouped_resolve(arm, &it->e) : names_resolve(arm, &it->e, IN_ROW, false);
    if (arm->grouped)
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, it->e->at, "`*` does not go with GROUP BY; name the columns");
    for (uint32_t i = 1; !it->e->part_count && i < arm->side_count; i++)
        if (arm->sides[i].relation != RELATION_APPLY)
            return refuse(arm->planner->why, CODE_USAGE, FG_RULE, it->e->at, "SELECT * is not allowed in a JOIN; write %.*s.*",
                          BYTES_FMT(arm->sides[0].source->alias));
    return CODE_OK; /* in place_stars */
}

/* `*` as a record to spread; with APPLY also the element under its alias. */
static enum code place_stars(struct arm *arm)
{
    struct planner *p = arm->planner;
    struct select *s = arm->select;
    uint32_t applies = 0, n = 0;
    for (uint32_t i = 1; i < arm->side_count; i++)
        applies += arm->sides[i].relation == RELATION_APPLY;
    struct item *items = planner_take(p, (size_t)s->item_count * (1 + applies), sizeof *items);
    struct bytes *names = planner_take(p, (size_t)s->item_count * (1 + applies), sizeof *names);
    if (!items || !names)
        return planner_no_memory(p);
    for (uint32_t i = 0; i < s->item_count; i++) {
        struct item it = s->items[i];
        bool all = it.e->kind == AST_STAR && !it.e->part_count;
        if (it.e->kind == AST_STAR)
            TRY(names_star(arm, it.e, &it.e));
        names[n] = arm->names[i];
        items[n++] = it;
        for (uint32_t k = 1; all && k < arm->side_count; k++) {
            uint32_t slot, rest;
            TRY(names_ask(arm, k, NULL, 0, it.e->at, &slot, &rest));
            names[n] = arm->sides[k].source->alias;
            items[n].e = tree_slot(p, it.e, slot);
            if (!items[n++].e)
                return planner_no_memory(p);
        }
    }
    s->items = items;
    s->item_count = n;
    arm->names = names;
    return CODE_OK;
}

/* A JOIN of partitioned sources equates their keys. */
static enum code partition_join(struct arm *arm, struct source *s)
{
    struct planner *p = arm->planner;
    const struct source *left = &arm->select->sources[0];
    uint32_t n = left->partitions < s->partitions ? left->partitions : s->partitions;
    for (uint32_t i = 0; i < n; i++) {
        struct ast *eq = planner_take(p, 1, sizeof *eq), *both = planner_take(p, 1, sizeof *both);
        struct ast **args = planner_take(p, 4, sizeof *args);
        if (!eq || !both || !args)
            return planner_no_memory(p);
        *eq = (struct ast){ .kind = AST_BINARY, .op = AST_EQ, .at = s->at, .args = args, .arg_count = 2, .height = 2 };
        TRY(tree_copy(p, left->partition[i], &args[0]));
        TRY(tree_copy(p, s->partition[i], &args[1]));
        for (uint32_t k = 0; k < 2; k++) { /* a bare name belongs to its own source */
            struct ast *a = args[k];
            const struct source *of = k ? s : left;
            if (a->kind != AST_NAME || a->part_count != 1)
                continue;
            struct bytes *parts = planner_take(p, 2, sizeof *parts);
            if (!parts)
                return planner_no_memory(p);
            parts[0] = of->alias;
            parts[1] = a->parts[0];
            a->parts = parts;
            a->part_count = 2;
        }
        *both = (struct ast){ .kind = AST_BINARY, .op = AST_AND, .at = s->on->at, .args = args + 2, .arg_count = 2, .height = 3 };
        args[2] = s->on;
        args[3] = eq;
        s->on = both;
    }
    return CODE_OK;
}

static enum code resolve_sources(struct arm *arm)
{
    struct select *s = arm->select;
    if (s->source_count > SIDES_MAX)
        return refuse(arm->planner->why, CODE_LIMIT, FG_TOO_MUCH, s->at, "more than %d sources in one SELECT", SIDES_MAX);
    for (uint32_t i = 0; i < s->source_count; i++) {
        TRY(open_side(arm, i));
    }
    for (uint32_t i = 0; i < s->source_count; i++) {
        arm->side_count = i + 1; /* ON and APPLY see what stands before them, and their own */
        struct source *from = &s->sources[i];
        if (arm->sides[i].relation == RELATION_INPUT)
            TRY(resolve_clauses(arm, &arm->sides[i]));
        if (from->on) {
            TRY(partition_join(arm, from));
            TRY(names_resolve(arm, &from->on, IN_ROW, false));
        }
        if (from->applied) {
            arm->side_count = i;
            TRY(names_resolve(arm, &from->applied, IN_ROW, false));
            arm->side_count = i + 1;
        }
    }
    return CODE_OK;
}

enum code select_resolve(struct arm *arm)
{
    struct select *s = arm->select;
    arm->aggregate_tail = &arm->aggregates;
    TRY(resolve_sources(arm));
    TRY(name_items(arm));
    if (s->having)
        TRY(place_aliases(arm, &s->having));
    if (s->where)
        TRY(names_resolve(arm, &s->where, IN_ROW, false));
    if (s->group_count)
        TRY(grouped_begin(arm));
    else if (s->having)
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, s->having_at, "HAVING needs GROUP BY; WHERE filters rows");
    for (uint32_t i = 0; i < s->item_count; i++)
        TRY(resolve_item(arm, &s->items[i]));
    TRY(place_stars(arm));
    if (s->having)
        TRY(grouped_resolve(arm, &s->having));
    arm->having = s->having;
    return CODE_OK;
}

/* ---- columns of a step ---- */

static int find_item(const struct arm *arm, struct bytes name)
{
    for (uint32_t i = 0; i < arm->select->item_count; i++)
        if (arm->names[i].len && bytes_equal(arm->names[i], name))
            return (int)i;
    for (uint32_t i = arm->select->item_count; i-- > 0;)
        if (arm->names[i].len && name_is(arm->names[i], name))
            return (int)i;
    return -1;
}

static bool has_star(const struct arm *arm, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++)
        if (!arm->names[i].len)
            return true;
    return false;
}

/* A field of what a star spreads. */
static enum code below_star(struct arm *arm, const struct ast *star, const struct bytes *parts, uint32_t count, struct ast **out)
{
    struct planner *p = arm->planner;
    uint32_t side = CODED_SPACE(star->slot), index = CODED_INDEX(star->slot), slot = star->slot, rest = count;
    struct bytes *path = planner_take(p, (size_t)star->part_count + count + EXPR_DEPTH, sizeof *path);
    struct ast *a = tree_slot(p, star, star->slot);
    if (!path || !a)
        return planner_no_memory(p);
    uint32_t n = 0;
    const struct demand *d = NULL;
    if (CODED_IS(star->slot) && side < arm->side_count) {
        if (arm->sides[side].relation == RELATION_INPUT)
            d = &arm->sides[side].input->fields.at[index];
        else if (arm->sides[side].relation == RELATION_STEP)
            d = &arm->sides[side].step->wants.at[index];
        else if (arm->sides[side].relation == RELATION_REFERENCE)
            d = &arm->sides[side].reference->fields.at[index];
    }
    for (uint32_t i = 0; d && i < d->count && i < EXPR_DEPTH; i++)
        path[n++] = d->parts[i];
    for (uint32_t i = 0; i < star->part_count; i++)
        path[n++] = star->parts[i];
    for (uint32_t i = 0; i < count; i++)
        path[n++] = parts[i];
    if (d && n <= EXPR_DEPTH)
        TRY(names_ask(arm, side, path, n, star->at, &slot, &rest));
    else
        rest = star->part_count + count;
    a->slot = slot;
    a->name = parts[0];
    a->parts = path + n - rest;
    a->part_count = rest;
    *out = a;
    return CODE_OK;
}

/* COALESCE of what the stars before an item have, and of *out, if there is one: the first that has it wins. */
static enum code below_stars(struct arm *arm, uint32_t before, const struct bytes *parts, uint32_t count, struct ast **out)
{
    struct planner *p = arm->planner;
    struct ast **list = planner_take(p, (size_t)before + 1, sizeof *list), *call;
    uint32_t n = 0;
    if (!list)
        return planner_no_memory(p);
    for (uint32_t i = 0; i < before; i++)
        if (!arm->names[i].len)
            TRY(below_star(arm, arm->select->items[i].e, parts, count, &list[n++]));
    if (*out)
        list[n++] = *out;
    *out = list[0];
    if (n == 1)
        return CODE_OK;
    if (!(call = planner_take(p, 1, sizeof *call)))
        return planner_no_memory(p);
    *call = (struct ast){ .kind = AST_CALL, .name = BYTES_LIT("COALESCE"), .args = list, .arg_count = n, .at = list[0]->at,
                          .end = list[0]->end, .height = 2 };
    *out = call;
    return CODE_OK;
}

static enum code want_of_arm(struct arm *arm, const struct bytes *parts, uint32_t count, struct ast **out)
{
    struct planner *p = arm->planner;
    int item = count ? find_item(arm, parts[0]) : -1;
    *out = NULL;
    if (!count)
        return CODE_OK;
    if (item >= 0) { /* a `*` further left comes first */
        *out = arm->select->items[item].e;
        return has_star(arm, (uint32_t)item) ? below_stars(arm, (uint32_t)item, parts, count, out) : CODE_OK;
    }
    if (has_star(arm, arm->select->item_count))
        return below_stars(arm, arm->select->item_count, parts, count, out);
    if (!(*out = planner_take(p, 1, sizeof **out)))
        return planner_no_memory(p);
    **out = (struct ast){ .kind = AST_CONSTANT, .height = 1 }; /* another arm has it */
    return CODE_OK;
}

bool step_has(const struct step_plan *s, struct bytes column)
{
    for (const struct arm *arm = s->arms; arm; arm = arm->next)
        if (find_item(arm, column) >= 0 || has_star(arm, arm->select->item_count))
            return true;
    return false;
}

/* Whole paths are asked for only where all arms find them below a star; else the column, and the rest is read from its value. */
static enum code cut_path(struct planner *p, struct step_plan *s, const struct bytes *parts, uint32_t count, struct place at,
                          uint32_t *cut)
{
    bool star = false, named = false;
    *cut = count;
    if (!count)
        return CODE_OK;
    for (const struct arm *arm = s->arms; arm; arm = arm->next) {
        bool has = find_item(arm, parts[0]) >= 0;
        named |= has;
        star |= !has && has_star(arm, arm->select->item_count);
    }
    if (named)
        *cut = 1;
    if (named || star)
        return CODE_OK;
    const char *near = nearest_column(p, s, parts[0]);
    return refuse(p->why, CODE_USAGE, FG_NAME, at, "%.*s has no column %.*s%s%s%s", BYTES_FMT(s->name), BYTES_FMT(parts[0]),
                  near ? ". Did you mean " : "", near ? near : "", near ? "?" : "");
}

enum code step_want(struct planner *p, struct step_plan *s, const struct bytes *parts, uint32_t count, struct place at,
                    uint32_t *slot, uint32_t *rest)
{
    uint32_t cut;
    TRY(cut_path(p, s, parts, count, at, &cut));
    *rest = count - cut;
    struct demands *d = &s->wants;
    for (uint32_t i = 0; i < d->count; i++) {
        bool same = d->at[i].count == cut;
        for (uint32_t k = 0; same && k < cut; k++)
            same = bytes_equal(d->at[i].parts[k], parts[k]);
        *slot = i;
        if (same)
            return CODE_OK;
    }
    if (d->count >= DEMANDS_MAX)
        return refuse(p->why, CODE_LIMIT, FG_TOO_MUCH, at, "more than %d columns of %.*s", DEMANDS_MAX, BYTES_FMT(s->name));
    if (d->count == s->room) {
        uint32_t room = s->room ? 2 * s->room : 8;
        struct demand *more = planner_take(p, room, sizeof *more);
        if (!more)
            return planner_no_memory(p);
        if (d->count)
            memcpy(more, d->at, d->count * sizeof *more);
        for (struct arm *arm = s->arms; arm; arm = arm->next) {
            struct ast **wanted = planner_take(p, room, sizeof *wanted);
            if (!wanted)
                return planner_no_memory(p);
            if (d->count)
                memcpy(wanted, arm->wanted, d->count * sizeof *wanted);
            arm->wanted = wanted;
        }
        d->at = more;
        s->room = room;
    }
    struct bytes *copy = planner_take(p, cut, sizeof *copy);
    if (!copy)
        return planner_no_memory(p);
    if (cut)
        memcpy(copy, parts, cut * sizeof *copy);
    uint32_t index = d->count;
    for (struct arm *arm = s->arms; arm; arm = arm->next)
        TRY(want_of_arm(arm, parts, cut, &arm->wanted[index]));
    d->at[index] = (struct demand){ .parts = copy, .count = cut };
    d->count = index + 1;
    *slot = index;
    return CODE_OK;
}
