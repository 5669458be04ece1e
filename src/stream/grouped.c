/* GROUP BY while a query is planned: its keys and windows, and what SELECT and HAVING make of them. */
#include "stream/planner.h"

#include <stdio.h>

/* ---- aggregates ---- */

static const struct {
    const char         *name;
    enum aggregate_kind kind;
    bool                ordered; /* needs OVER (ORDER BY ...) */
    uint32_t            least, most;
} functions[] = {
    { "COUNT", AGGREGATE_COUNT, false, 1, 1 },
    { "SUM", AGGREGATE_SUM, false, 1, 1 },
    { "AVG", AGGREGATE_AVG, false, 1, 1 },
    { "MIN", AGGREGATE_MIN, false, 1, 1 },
    { "MAX", AGGREGATE_MAX, false, 1, 1 },
    { "VAR", AGGREGATE_VAR, false, 1, 1 },
    { "VARP", AGGREGATE_VARP, false, 1, 1 },
    { "STDEV", AGGREGATE_STDEV, false, 1, 1 },
    { "STDEVP", AGGREGATE_STDEVP, false, 1, 1 },
    { "COLLECT", AGGREGATE_COLLECT, false, 0, 1 },
    { "CollectTop", AGGREGATE_TOP, true, 1, 1 },
    { "TopOne", AGGREGATE_TOP_ONE, true, 0, 0 },
    { "PERCENTILE_CONT", AGGREGATE_PERCENTILE_CONT, true, 1, 1 },
    { "PERCENTILE_DISC", AGGREGATE_PERCENTILE_DISC, true, 1, 1 },
};

static int find(struct bytes name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (word_is(name, functions[i].name))
            return (int)i;
    return -1;
}

bool aggregate_is(struct bytes name)
{
    return find(name) >= 0;
}

void aggregate_offer(struct suggest *s, struct bytes name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        suggest_offer(s, name, functions[i].name);
}

static enum code check_call(struct arm *arm, const struct ast *call, int f)
{
    struct fault *why = arm->planner->why;
    const struct ast_over *over = call->over;
    if (call->arg_count < functions[f].least || call->arg_count > functions[f].most)
        return refuse(why, CODE_USAGE, FG_ARGUMENT, call->at, "%s takes %s%u argument%s, got %u", functions[f].name,
                      functions[f].least < functions[f].most ? "at most " : "", functions[f].most,
                      functions[f].most == 1 ? "" : "s", call->arg_count);
    if (call->distinct && functions[f].kind != AGGREGATE_COUNT)
        return refuse(why, CODE_USAGE, FG_ABSENT, call->at, "DISTINCT is for COUNT only, not for %s", functions[f].name);
    if (functions[f].ordered != (over && over->orders))
        return refuse(why, CODE_USAGE, FG_RULE, over ? over->at : call->at,
                      functions[f].ordered ? "%s needs OVER (ORDER BY ...)" : "%s takes no OVER clause", functions[f].name);
    if (over && (over->partitions || over->limit_unit || over->when))
        return refuse(why, CODE_USAGE, FG_RULE, over->at, "%s takes ORDER BY only in its OVER clause", functions[f].name);
    if (over && over->orders > ORDERS_MAX)
        return refuse(why, CODE_LIMIT, FG_TOO_MUCH, over->at, "ORDER BY more than %d values", ORDERS_MAX);
    return CODE_OK;
}

static enum code take_order(struct arm *arm, struct pending_aggregate *g, const struct ast *call)
{
    struct planner *p = arm->planner;
    const struct ast_over *over = call->over;
    g->plan.orders = over->orders;
    g->order = planner_take(p, over->orders, sizeof *g->order);
    g->plan.descending = planner_take(p, over->orders, sizeof *g->plan.descending);
    if (!g->order || !g->plan.descending)
        return planner_no_memory(p);
    for (uint32_t i = 0; i < over->orders; i++) {
        g->order[i] = over->order[i].by;
        g->plan.descending[i] = over->order[i].descending;
    }
    return CODE_OK;
}

static enum code take_percentile(struct arm *arm, struct pending_aggregate *g, const struct ast *call)
{
    const struct value v = call->args[0]->kind == AST_CONSTANT ? call->args[0]->constant : value_null();
    double share = v.type == VALUE_BIGINT ? (double)v.i : v.type == VALUE_FLOAT ? v.f : -1;
    if (!(share >= 0 && share <= 1))
        return refuse(arm->planner->why, CODE_USAGE, FG_ARGUMENT, call->args[0]->at, "%s takes a constant from 0 to 1", g->plan.name);
    if (g->plan.orders != 1)
        return refuse(arm->planner->why, CODE_USAGE, FG_ARGUMENT, call->over->at, "%s orders by one value", g->plan.name);
    g->plan.share = share;
    g->x = g->order[0];
    return CODE_OK;
}

static enum code take_arguments(struct arm *arm, struct pending_aggregate *g, struct ast *call)
{
    struct fault *why = arm->planner->why;
    int64_t n;
    if (g->plan.kind == AGGREGATE_COUNT && call->args[0]->kind == AST_STAR && !call->args[0]->part_count) {
        if (call->distinct)
            return refuse(why, CODE_USAGE, FG_RULE, call->args[0]->at, "COUNT(DISTINCT ...) takes a value, not `*`");
        g->plan.kind = AGGREGATE_COUNT_ALL;
        return CODE_OK;
    }
    if (call->arg_count && call->args[0]->kind == AST_STAR && (g->plan.kind != AGGREGATE_COLLECT || call->args[0]->part_count))
        return refuse(why, CODE_USAGE, FG_RULE, call->args[0]->at, "%s takes a value, not `*`", g->plan.name);
    if (call->distinct)
        g->plan.kind = AGGREGATE_COUNT_DISTINCT;
    if (g->plan.kind == AGGREGATE_TOP) {
        if (!tree_bigint(call->args[0], &n) || n < 1 || n > 100000)
            return refuse(why, CODE_USAGE, FG_ARGUMENT, call->args[0]->at, "CollectTop takes a constant whole number from 1 to 100000");
        g->plan.top = (uint32_t)n;
    }
    if (g->plan.kind == AGGREGATE_PERCENTILE_CONT || g->plan.kind == AGGREGATE_PERCENTILE_DISC)
        return take_percentile(arm, g, call);
    bool whole = g->plan.kind == AGGREGATE_TOP || g->plan.kind == AGGREGATE_TOP_ONE ||
                 (g->plan.kind == AGGREGATE_COLLECT && (!call->arg_count || call->args[0]->kind == AST_STAR));
    if (whole)
        return names_all(arm, call->at, &g->x);
    g->x = call->args[0];
    return CODE_OK;
}

/* Names inside are resolved. */
static enum code take_aggregate(struct arm *arm, struct ast **node)
{
    struct planner *p = arm->planner;
    struct ast *call = *node;
    int f = find(call->name);
    uint32_t index = 0;
    struct pending_aggregate *g;
    TRY(check_call(arm, call, f));
    for (g = arm->aggregates; g && !tree_equal(g->call, call); g = g->next)
        index++;
    if (!g) {
        if (!(g = planner_take(p, 1, sizeof *g)))
            return planner_no_memory(p);
        g->plan = (struct aggregate){ .kind = functions[f].kind, .name = functions[f].name, .at = call->at };
        g->call = call;
        if (functions[f].ordered)
            TRY(take_order(arm, g, call));
        TRY(take_arguments(arm, g, call));
        *arm->aggregate_tail = g;
        arm->aggregate_tail = &g->next;
        arm->aggregate_count++;
    }
    struct ast *slot = tree_slot(p, call, CODED(SPACE_GROUP, arm->key_count + index));
    if (!slot)
        return planner_no_memory(p);
    slot->parts = call->parts;
    slot->part_count = call->part_count;
    *node = slot;
    return CODE_OK;
}

/* ---- windows ---- */

static bool call_is(const struct ast *a, const char *name)
{
    return a->kind == AST_CALL && word_is(a->name, name);
}

static const struct {
    const char      *name;
    enum window_kind kind;
} windows[] = {
    { "TumblingWindow", WINDOW_TUMBLING }, { "Tumbling", WINDOW_TUMBLING }, { "HoppingWindow", WINDOW_HOPPING },
    { "Hopping", WINDOW_HOPPING },         { "SlidingWindow", WINDOW_SLIDING }, { "Sliding", WINDOW_SLIDING },
    { "SessionWindow", WINDOW_SESSION },   { "Session", WINDOW_SESSION },
};

static bool window_find(const struct ast *a, enum window_kind *kind)
{
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        if (call_is(a, windows[i].name)) {
            *kind = windows[i].kind;
            return true;
        }
    return false;
}

/* A call that no function answers to may be a window gone wrong. */
static enum code refuse_near_window(struct arm *arm, const struct ast *a)
{
    struct suggest s = { 0 };
    if (a->kind != AST_CALL || function_is_scalar(a->name) || aggregate_is(a->name) || analytic_is(a->name))
        return CODE_OK;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
        suggest_offer(&s, a->name, windows[i].name);
    if (!s.best)
        return CODE_OK;
    return refuse(arm->planner->why, CODE_USAGE, FG_SYNTAX, a->at, "unknown function %.*s; did you mean %s?", BYTES_FMT(a->name), s.best);
}

/* TumblingWindow(10, second) */
static enum code refuse_unit_behind(struct arm *arm, const struct ast *call)
{
    char numbers[96] = "";
    size_t len = 0;
    const struct ast *unit = NULL;
    for (uint32_t i = 0; i < call->arg_count; i++) {
        int64_t n;
        if (!unit && i > 0 && tree_unit(call->args[i]) != UNIT_NONE)
            unit = call->args[i];
        else if (tree_bigint(call->args[i], &n) && len < sizeof numbers)
            len += (size_t)snprintf(numbers + len, sizeof numbers - len, ", %lld", (long long)n);
        else
            return CODE_OK; /* something else is wrong */
    }
    if (!unit)
        return CODE_OK;
    return refuse(arm->planner->why, CODE_USAGE, FG_ARGUMENT, call->args[0]->at, "%.*s takes the unit first. Did you mean %.*s(%.*s%s)?",
                  BYTES_FMT(call->name), BYTES_FMT(call->name), BYTES_FMT(unit->name), numbers);
}

struct cursor { /* arguments of a window, one after the other */
    struct arm       *arm;
    const struct ast *call;
    uint32_t          at;
};

/* n of the unit named before, or Duration(unit, n), Hop(unit, n), Timeout(...), MaxDuration(...) */
static enum code take_length(struct cursor *c, const struct ast *unit, int64_t *out)
{
    struct planner *p = c->arm->planner;
    if (c->at >= c->call->arg_count)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, c->call->at, "%.*s needs more arguments, such as %.*s(second, 10%s)",
                      BYTES_FMT(c->call->name), BYTES_FMT(c->call->name), c->call->arg_count > 1 ? ", 5" : "");
    const struct ast *a = c->call->args[c->at++];
    if (unit)
        return duration_ticks(p, unit, a, a->at, out);
    static const char *const words[] = { "Duration", "Hop", "Timeout", "MaxDuration" };
    bool known = false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        known |= call_is(a, words[i]);
    if (!known || a->arg_count != 2)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at, "expected Duration(unit, n)");
    return duration_ticks(p, a->args[0], a->args[1], a->at, out);
}

static enum code take_offset(struct cursor *c, const struct ast *unit, int64_t *out)
{
    struct planner *p = c->arm->planner;
    if (c->at >= c->call->arg_count)
        return CODE_OK;
    const struct ast *a = c->call->args[c->at++], *n = a;
    if (call_is(a, "Offset") && a->arg_count == 2) {
        unit = a->args[0];
        n = a->args[1];
    }
    int64_t count, ticks = unit ? unit_ticks(tree_unit(unit)) : 0;
    if (!ticks || !tree_bigint(n, &count) || count > INT64_C(1000000000) || count < INT64_C(-1000000000))
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, n->at, "expected Offset(unit, n) with a constant whole number");
    if (__builtin_mul_overflow(count, ticks, out) || *out > INT64_MAX / 4 || *out < INT64_MIN / 4)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, n->at, "an offset of this length is out of the range of time");
    return CODE_OK;
}

static enum code take_session_keys(struct arm *arm, struct pending_window *w, const struct ast *call)
{
    const struct ast_over *over = call->over;
    if (!over)
        return CODE_OK;
    if (w->plan.kind != WINDOW_SESSION || over->orders || over->limit_unit || over->when || !over->partitions)
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, over->at,
                      "only SessionWindow takes OVER, and in it PARTITION BY alone");
    w->keys = over->partition;
    w->plan.key_count = over->partitions;
    for (uint32_t i = 0; i < w->plan.key_count; i++)
        TRY(names_resolve(arm, &w->keys[i], IN_ROW, false));
    return CODE_OK;
}

static enum code take_window(struct arm *arm, const struct ast *call, struct pending_window *w)
{
    struct planner *p = arm->planner;
    struct cursor c = { arm, call, 0 };
    if (!window_find(call, &w->plan.kind))
        return refuse(p->why, CODE_USAGE, FG_RULE, call->at,
                      "expected TumblingWindow, HoppingWindow, SlidingWindow or SessionWindow");
    w->at = call->at;
    const struct ast *unit = call->arg_count && tree_unit(call->args[0]) != UNIT_NONE ? call->args[0] : NULL;
    if (!unit && call->arg_count && call->args[0]->kind == AST_NAME) {
        static const char *const units[] = { "day", "hour", "minute", "second", "millisecond", "microsecond" };
        const char *near = suggest_word(call->args[0]->name, units, sizeof units / sizeof units[0]);
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, call->args[0]->at,
                      "%.*s is no unit of time; a window has day, hour, minute, second, millisecond or microsecond%s%s%s",
                      BYTES_FMT(call->args[0]->name), near ? ". Did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (!unit)
        TRY(refuse_unit_behind(arm, call));
    c.at = unit ? 1 : 0;
    TRY(take_length(&c, unit, &w->plan.size));
    w->plan.hop = w->plan.size;
    if (w->plan.kind == WINDOW_HOPPING || w->plan.kind == WINDOW_SESSION)
        TRY(take_length(&c, unit, &w->plan.hop));
    if (w->plan.kind == WINDOW_TUMBLING || w->plan.kind == WINDOW_HOPPING)
        TRY(take_offset(&c, unit, &w->plan.offset));
    if (c.at < call->arg_count)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, call->args[c.at]->at, "%.*s takes no further argument", BYTES_FMT(call->name));
    return take_session_keys(arm, w, call);
}

static enum code name_window(struct arm *arm, struct pending_window *w, const struct ast *id, uint32_t before)
{
    struct planner *p = arm->planner;
    if (id->kind != AST_CONSTANT || id->constant.type != VALUE_TEXT)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, id->at, "a window's id is a text: Window('5s', TumblingWindow(second, 5))");
    w->plan.id = value_bytes(id->constant);
    w->plan.named = true;
    for (uint32_t i = 0; i < before; i++)
        if (name_is(arm->windows[i].plan.id, w->plan.id))
            return refuse(p->why, CODE_USAGE, FG_ARGUMENT, id->at, "two windows have the id '%.*s'", BYTES_FMT(w->plan.id));
    return CODE_OK;
}

/* Windows(Window('id', definition), ...) or Windows(definition, ...) */
static enum code take_windows(struct arm *arm, const struct ast *call)
{
    struct planner *p = arm->planner;
    if (!call->arg_count || call->over)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, call->at, "Windows() holds the definitions of windows");
    if (!(arm->windows = planner_take(p, call->arg_count, sizeof *arm->windows)))
        return planner_no_memory(p);
    bool named = call_is(call->args[0], "Window");
    for (uint32_t i = 0; i < call->arg_count; i++) {
        const struct ast *a = call->args[i];
        if (call_is(a, "Windows"))
            return refuse(p->why, CODE_USAGE, FG_RULE, a->at, "Windows() inside of Windows()");
        if (call_is(a, "Window") != named)
            return refuse(p->why, CODE_USAGE, FG_RULE, a->at, "either all windows have an id or none");
        if (named && a->arg_count != 2)
            return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at, "expected Window('id', TumblingWindow(second, 5))");
        TRY(take_window(arm, named ? a->args[1] : a, &arm->windows[i]));
        if (named)
            TRY(name_window(arm, &arm->windows[i], a->args[0], i));
        arm->window_count++;
    }
    return CODE_OK;
}

static enum code take_one_window(struct arm *arm, const struct ast *a)
{
    struct planner *p = arm->planner;
    if (arm->window_count)
        return refuse(p->why, CODE_USAGE, FG_RULE, a->at, "GROUP BY has one window; several stand in Windows(...)");
    if (call_is(a, "Windows"))
        return take_windows(arm, a);
    if (!(arm->windows = planner_take(p, 1, sizeof *arm->windows)))
        return planner_no_memory(p);
    arm->window_count = 1;
    if (a->kind != AST_TIMESTAMP)
        return take_window(arm, a, &arm->windows[0]);
    arm->windows[0] = (struct pending_window){ .plan = { .kind = WINDOW_SNAPSHOT }, .at = a->at };
    return CODE_OK;
}

/* TIMESTAMP BY ... OVER keeps each key by itself, and GROUP BY has to say so. Trees of clauses may be written with or without alias. */
static enum code check_over(struct arm *arm)
{
    const struct side *s = &arm->sides[0];
    for (uint32_t i = 0; s->relation == RELATION_INPUT && i < s->source->overs; i++) {
        bool found = false;
        for (uint32_t k = 0; k < arm->key_count; k++)
            found |= tree_equal(arm->keys[k], s->source->over[i]);
        if (!found)
            return refuse(arm->planner->why, CODE_USAGE, FG_RULE, arm->select->group_at,
                          "TIMESTAMP BY ... OVER keeps each key by itself: its key must stand in GROUP BY");
    }
    return CODE_OK;
}

enum code grouped_begin(struct arm *arm)
{
    struct planner *p = arm->planner;
    const struct select *s = arm->select;
    enum window_kind kind;
    arm->grouped = true;
    uint32_t implicit = arm->side_count == 1 ? s->sources[0].partitions : 0;
    if (!(arm->keys = planner_take(p, s->group_count + implicit, sizeof *arm->keys)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < s->group_count; i++) {
        struct ast *a = s->group[i];
        if (a->kind == AST_TIMESTAMP || call_is(a, "Windows") || window_find(a, &kind)) {
            TRY(take_one_window(arm, a));
            continue;
        }
        TRY(refuse_near_window(arm, a));
        TRY(names_resolve(arm, &s->group[i], IN_ROW, false));
        arm->keys[arm->key_count++] = s->group[i];
    }
    /* PARTITION BY: each partition is computed by itself. */
    for (uint32_t i = 0; i < implicit; i++) {
        struct ast *key;
        TRY(tree_copy(p, s->sources[0].partition[i], &key));
        TRY(names_resolve(arm, &key, IN_ROW, false));
        arm->keys[arm->key_count++] = key;
    }
    if (!arm->window_count)
        return refuse(p->why, CODE_USAGE, FG_RULE, s->group_at,
                      "GROUP BY needs a window, such as TumblingWindow(second, 10), or System.Timestamp(): a stream has no end");
    return check_over(arm);
}

/* ---- SELECT and HAVING of a grouped query ---- */

/* The whole path of a slot: its column's and what follows. */
static uint32_t path_of(const struct arm *arm, const struct ast *a, struct bytes *out, uint32_t room)
{
    uint32_t side = CODED_SPACE(a->slot), n = 0;
    const struct demand *d = NULL;
    if (side < arm->side_count && arm->sides[side].relation == RELATION_INPUT)
        d = &arm->sides[side].input->fields.at[CODED_INDEX(a->slot)];
    else if (side < arm->side_count && arm->sides[side].relation == RELATION_STEP)
        d = &arm->sides[side].step->wants.at[CODED_INDEX(a->slot)];
    if (!d || d->count + a->part_count > room || d->meta)
        return 0;
    for (uint32_t i = 0; i < d->count; i++)
        out[n++] = d->parts[i];
    for (uint32_t i = 0; i < a->part_count; i++)
        out[n++] = a->parts[i];
    return n;
}

/* `a` is the key or lies inside of the record that the key is: *rest trailing parts. */
static bool is_key(const struct arm *arm, const struct ast *key, const struct ast *a, struct bytes **rest, uint32_t *rest_count)
{
    *rest_count = 0;
    if (tree_equal(key, a))
        return true;
    struct bytes of_key[EXPR_DEPTH * 2], of_a[EXPR_DEPTH * 2];
    if (key->kind != AST_SLOT || a->kind != AST_SLOT || !CODED_IS(a->slot) || !CODED_IS(key->slot) ||
        CODED_SPACE(key->slot) != CODED_SPACE(a->slot))
        return false;
    uint32_t n = path_of(arm, key, of_key, EXPR_DEPTH * 2), m = path_of(arm, a, of_a, EXPR_DEPTH * 2);
    if (!n || m <= n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!bytes_equal(of_key[i], of_a[i]))
            return false;
    struct bytes *parts = planner_take(arm->planner, m - n, sizeof *parts);
    if (!parts)
        return false;
    memcpy(parts, of_a + n, (m - n) * sizeof *parts);
    *rest = parts;
    *rest_count = m - n;
    return true;
}

static enum code take_window_id(struct arm *arm, struct ast **node)
{
    const struct ast *a = *node;
    if (a->arg_count || a->part_count != 1 || !word_is(a->parts[0], "Id"))
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, a->at, "expected System.Window().Id");
    struct ast *slot = tree_slot(arm->planner, a, CODED(SPACE_GROUP + 1, 0));
    if (!slot)
        return planner_no_memory(arm->planner);
    *node = slot;
    return CODE_OK;
}

static enum code refuse_ungrouped(struct arm *arm, const struct ast *a)
{
    const char *what = CODED_SPACE(a->slot) >= SPACE_ANALYTIC ? "the analytic function" : "column";
    return refuse(arm->planner->why, CODE_USAGE, FG_RULE, a->at,
                  "%s %.*s is neither in GROUP BY nor inside of an aggregate such as MAX(%.*s)", what, BYTES_FMT(a->name),
                  BYTES_FMT(a->name));
}

static enum code regroup(struct arm *arm, struct ast **node)
{
    struct ast *a = *node;
    struct bytes *rest = NULL;
    uint32_t rest_count;
    for (uint32_t i = 0; i < arm->key_count; i++) {
        if (!is_key(arm, arm->keys[i], a, &rest, &rest_count))
            continue;
        struct ast *slot = tree_slot(arm->planner, a, CODED(SPACE_GROUP, i));
        if (!slot)
            return planner_no_memory(arm->planner);
        slot->parts = rest;
        slot->part_count = rest_count;
        *node = slot;
        return CODE_OK;
    }
    if (a->kind == AST_CALL && aggregate_is(a->name))
        return take_aggregate(arm, node);
    if (a->kind == AST_CALL && word_is(a->name, "System.Window"))
        return take_window_id(arm, node);
    if (a->kind == AST_SLOT && CODED_IS(a->slot) && CODED_SPACE(a->slot) < SPACE_GROUP)
        return refuse_ungrouped(arm, a);
    for (uint32_t i = 0; i < a->arg_count; i++)
        TRY(regroup(arm, &a->args[i]));
    return CODE_OK;
}

enum code grouped_resolve(struct arm *arm, struct ast **node)
{
    TRY(names_resolve(arm, node, IN_ROW, true));
    return regroup(arm, node);
}
