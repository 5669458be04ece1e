/* LAG, LAST, ISFIRST and the anomaly functions while a query is planned: they see each row of one source, before WHERE and JOIN. */
#include "stream/anomaly.h"
#include "stream/planner.h"

#include <math.h>

static const struct {
    const char        *name;
    enum analytic_kind kind;
    uint32_t           least, most; /* arguments */
    bool               limit;       /* needs LIMIT DURATION */
} functions[] = {
    { "LAG", ANALYTIC_LAG, 1, 3, true },
    { "LAST", ANALYTIC_LAST, 1, 2, true },
    { "ISFIRST", ANALYTIC_ISFIRST, 2, 2, false },
    { "AnomalyDetection_SpikeAndDip", ANALYTIC_ANOMALY, 4, 4, true },
    { "AnomalyDetection_ChangePoint", ANALYTIC_ANOMALY, 3, 3, true },
};

static int find(struct bytes name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (word_is(name, functions[i].name))
            return (int)i;
    return -1;
}

bool analytic_is(struct bytes name)
{
    return find(name) >= 0;
}

void analytic_offer(struct suggest *s, struct bytes name)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        suggest_offer(s, name, functions[i].name);
}

enum code duration_ticks(struct planner *p, const struct ast *unit, const struct ast *count, struct place at, int64_t *out)
{
    int64_t n, ticks = unit_ticks(tree_unit(unit));
    const int64_t most = 7 * unit_ticks(UNIT_DAY);
    if (tree_unit(unit) == UNIT_NONE || !ticks)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, unit->at,
                      "%.*s is no unit of a duration: day, hour, minute, second, millisecond or microsecond",
                      BYTES_FMT(unit->kind == AST_NAME ? unit->name : unit->kind == AST_CONSTANT && unit->is_unit
                                                                          ? value_bytes(unit->constant)
                                                                          : BYTES_LIT("this")));
    if (!tree_bigint(count, &n))
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, count->at, "expected a constant whole number");
    if (n <= 0)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, count->at, "a duration is longer than 0, got %lld", (long long)n);
    if (n > most / ticks)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, count->at, "a duration is at most 7 days");
    (void)at;
    *out = n * ticks;
    return CODE_OK;
}

/* The one side that all slots of the tree belong to; -1 yet unknown, -2 several. */
static void find_side(const struct ast *a, int *side)
{
    if (a->kind == AST_SLOT && CODED_IS(a->slot)) {
        int s = (int)CODED_SPACE(a->slot) & 63;
        *side = *side == -1 || *side == s ? s : -2;
    }
    for (uint32_t i = 0; i < a->arg_count; i++)
        find_side(a->args[i], side);
}

static enum code check_over(struct arm *arm, const struct ast *call, int f)
{
    struct fault *why = arm->planner->why;
    const struct ast_over *over = call->over;
    const char *name = functions[f].name;
    if (functions[f].limit && (!over || !over->limit_unit))
        return refuse(why, CODE_USAGE, FG_RULE, call->at,
                      "%s needs OVER ([PARTITION BY ...] LIMIT DURATION(unit, n))", name);
    if (!functions[f].limit && over && over->limit_unit)
        return refuse(why, CODE_USAGE, FG_RULE, over->at, "%s takes no LIMIT DURATION: its interval is its argument", name);
    if (over && over->orders)
        return refuse(why, CODE_USAGE, FG_RULE, over->order[0].by->at, "%s takes no ORDER BY: events come in the order of their time", name);
    return CODE_OK;
}

static enum code take_value(struct arm *arm, struct pending_analytic *a)
{
    struct ast *x = a->call->args[0];
    if (x->kind == AST_STAR && !x->part_count) {
        a->whole = true;
        return names_all(arm, x->at, &a->x);
    }
    if (x->kind == AST_STAR) {
        a->whole = true;
        return names_star(arm, x, &a->x);
    }
    a->x = x;
    return names_resolve(arm, &a->x, IN_ANALYTIC, false);
}

/* ---- anomaly functions ---- */

static enum code take_confidence(struct planner *p, const struct ast *a, double *out)
{
    const struct value v = a->kind == AST_CONSTANT ? a->constant : value_null();
    if (v.type != VALUE_BIGINT && v.type != VALUE_FLOAT)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at, "confidence is a constant percentage from 1 to 100, such as 95");
    *out = v.type == VALUE_BIGINT ? (double)v.i : v.f;
    if (*out >= 1 && *out <= 100)
        return CODE_OK;
    if (*out >= 0.01 && *out < 1)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at, "confidence is a percentage from 1 to 100, got %g. Did you mean %g?", *out,
                      round(*out * 1e6) / 1e4);
    return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at, "confidence is a percentage from 1 to 100, got %g", *out);
}

static enum code take_mode(struct planner *p, const struct ast *a, enum detect_mode *out)
{
    static const struct {
        const char      *name;
        enum detect_mode mode;
    } modes[] = { { "spikes", DETECT_SPIKES }, { "dips", DETECT_DIPS }, { "spikesanddips", DETECT_SPIKES_AND_DIPS } };
    const struct bytes text = a->kind == AST_CONSTANT && a->constant.type == VALUE_TEXT ? value_bytes(a->constant) : BYTES_NONE;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (word_is(text, modes[i].name)) {
            *out = modes[i].mode;
            return CODE_OK;
        }
    return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at, "the mode is 'spikes', 'dips' or 'spikesanddips'%s%.*s%s",
                  text.len ? ", got '" : "", (int)(text.len < 40 ? text.len : 40), (const char *)text.at, text.len ? "'" : "");
}

static enum code take_anomaly(struct planner *p, struct pending_analytic *a)
{
    const struct query_options *o = &p->query->options;
    struct ast **args = a->call->args;
    int64_t history;
    if (!(a->plan.anomaly = planner_take(p, 1, sizeof *a->plan.anomaly)))
        return planner_no_memory(p);
    struct detect_config *c = &a->plan.anomaly->config;
    *c = (struct detect_config){ .algorithm = o->model == STREAM_KDE ? DETECT_KDE : DETECT_FIELDGATE,
                                 .kind = a->call->arg_count == 4 ? DETECT_SPIKE_AND_DIP : DETECT_CHANGE_POINT,
                                 .mode = DETECT_SPIKES_AND_DIPS,
                                 .duration = a->plan.duration,
                                 .warm_up_report = o->warm_up_report };
    TRY(take_confidence(p, args[1], &c->confidence));
    if (!tree_bigint(args[2], &history) || history < 1 || history > DETECT_HISTORY_MAX)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, args[2]->at,
                      "the history is a constant whole number of events from 1 to %u, such as 120", DETECT_HISTORY_MAX);
    c->history_size = o->history ? o->history : (uint32_t)history;
    c->confidence = o->confidence != 0 ? o->confidence : c->confidence;
    if (a->call->arg_count == 4)
        TRY(take_mode(p, args[3], &c->mode));
    struct fault why;
    if (detect_prepare(c, &why) != CODE_OK)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->plan.at, "%s", why.text);
    return CODE_OK;
}

static enum code take_arguments(struct arm *arm, struct pending_analytic *a)
{
    struct planner *p = arm->planner;
    struct ast **args = a->call->args;
    uint32_t count = a->call->arg_count;
    int64_t offset = 1;
    if (a->plan.kind == ANALYTIC_ISFIRST)
        return duration_ticks(p, args[0], args[1], a->plan.at, &a->plan.duration);
    if (a->plan.kind == ANALYTIC_ANOMALY && args[0]->kind == AST_STAR)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, args[0]->at, "%.*s takes one number, not `*`", BYTES_FMT(a->call->name));
    TRY(take_value(arm, a));
    TRY(duration_ticks(p, a->call->over->limit_unit, a->call->over->limit_count, a->plan.at, &a->plan.duration));
    if (a->plan.kind == ANALYTIC_ANOMALY)
        return take_anomaly(p, a);
    if (a->plan.kind == ANALYTIC_LAG && count > 1 && (!tree_bigint(args[1], &offset) || offset < 1 || offset > 100000))
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, args[1]->at, "LAG's offset is a constant whole number from 1 to 100000");
    a->plan.offset = (uint32_t)offset;
    uint32_t otherwise = a->plan.kind == ANALYTIC_LAG ? 2 : 1;
    if (count <= otherwise)
        return CODE_OK;
    a->otherwise = args[otherwise];
    return names_resolve(arm, &a->otherwise, IN_ANALYTIC, false);
}

static enum code take_over(struct arm *arm, struct pending_analytic *a, uint32_t implicit)
{
    struct planner *p = arm->planner;
    const struct ast_over *over = a->call->over;
    uint32_t count = over ? over->partitions : 0;
    const struct source *s = arm->select->sources;
    if (count + implicit == 0 && (!over || !over->when))
        return CODE_OK;
    if (!(a->keys = planner_take(p, count + implicit, sizeof *a->keys)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < count; i++)
        a->keys[i] = over->partition[i];
    for (uint32_t i = 0; i < implicit; i++)
        TRY(tree_copy(p, s->partition[i], &a->keys[count + i]));
    a->plan.key_count = count + implicit;
    for (uint32_t i = 0; i < a->plan.key_count; i++)
        TRY(names_resolve(arm, &a->keys[i], IN_ANALYTIC, false));
    if (!over || !over->when)
        return CODE_OK;
    a->when = over->when;
    return names_resolve(arm, &a->when, IN_ANALYTIC, false);
}

static enum code choose_side(struct arm *arm, const struct pending_analytic *a, uint32_t *out)
{
    int side = -1;
    if (a->x)
        find_side(a->x, &side);
    if (a->otherwise)
        find_side(a->otherwise, &side);
    if (a->when)
        find_side(a->when, &side);
    for (uint32_t i = 0; i < a->plan.key_count; i++)
        find_side(a->keys[i], &side);
    if (side == -2 || (side >= 0 && arm->sides[side].relation != RELATION_INPUT && arm->sides[side].relation != RELATION_STEP))
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, a->plan.at,
                      "%.*s looks at the events of one input before they are joined; compute it in a WITH step, or use columns of one "
                      "input only",
                      BYTES_FMT(a->call->name));
    *out = side < 0 ? 0 : (uint32_t)side;
    return CODE_OK;
}

static bool same(const struct pending_analytic *a, const struct pending_analytic *b)
{
    return tree_equal(a->call, b->call);
}

enum code analytic_take(struct arm *arm, struct ast **node)
{
    struct planner *p = arm->planner;
    struct ast *call = *node;
    int f = find(call->name);
    if (call->arg_count < functions[f].least || call->arg_count > functions[f].most || call->distinct)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, call->at, functions[f].least == functions[f].most ? "%s takes %u arguments, got %u" : "%s takes %u to %u arguments, got %u",
                      functions[f].name, functions[f].least, functions[f].least == functions[f].most ? call->arg_count : functions[f].most,
                      call->arg_count);
    TRY(check_over(arm, call, f));
    struct pending_analytic *a = planner_take(p, 1, sizeof *a);
    if (!a)
        return planner_no_memory(p);
    a->plan = (struct analytic){ .kind = functions[f].kind, .at = call->at };
    TRY(tree_copy(p, call, &a->call));
    TRY(take_arguments(arm, a));
    TRY(take_over(arm, a, arm->side_count == 1 ? arm->select->sources[0].partitions : 0));
    uint32_t side = 0, index = 0;
    TRY(choose_side(arm, a, &side));
    struct pending_analytic **tail = &arm->sides[side].analytics;
    while (*tail && !same(*tail, a)) {
        tail = &(*tail)->next;
        index++;
    }
    if (!*tail) {
        *tail = a;
        arm->sides[side].analytic_count++;
    }
    struct ast *slot = tree_slot(p, call, CODED(SPACE_ANALYTIC + side, index));
    if (!slot)
        return planner_no_memory(p);
    slot->name = call->name;
    slot->parts = call->parts;
    slot->part_count = call->part_count;
    *node = slot;
    return CODE_OK;
}
