/* What a name in a SELECT means: a column of a source, found where rows come from and asked for on the way. */
#include "stream/planner.h"

#include "base/suggest.h"

#include <stdio.h>

int names_side(const struct arm *arm, struct bytes alias)
{
    for (uint32_t i = 0; i < arm->side_count; i++)
        if (bytes_equal(arm->sides[i].source->alias, alias))
            return (int)i;
    for (uint32_t i = 0; i < arm->side_count; i++)
        if (name_is(arm->sides[i].source->alias, alias))
            return (int)i;
    return -1;
}

/* ---- columns of what is read ---- */

static enum meta_kind meta_of(const struct bytes *parts, uint32_t count)
{
    if (count == 1 && word_is(parts[0], "EventEnqueuedUtcTime"))
        return META_ENQUEUED;
    if (count == 1 && word_is(parts[0], "EventProcessedUtcTime"))
        return META_PROCESSED;
    if (count == 1 && word_is(parts[0], "PartitionId"))
        return META_PARTITION;
    if (count == 2 && word_is(parts[0], "IoTHub")) {
        if (word_is(parts[1], "EnqueuedTime"))
            return META_ENQUEUED;
        if (word_is(parts[1], "ConnectionDeviceId"))
            return META_DEVICE;
    }
    return META_NONE;
}

static enum code add_demand(struct planner *p, struct demands *d, const struct bytes *parts, uint32_t count,
                            enum meta_kind meta, struct bytes property, uint32_t *slot)
{
    for (uint32_t i = 0; i < d->count; i++) {
        const struct demand *have = &d->at[i];
        bool same = have->count == count && have->meta == meta && bytes_equal(have->property, property);
        for (uint32_t k = 0; same && k < count; k++)
            same = bytes_equal(have->parts[k], parts[k]);
        *slot = i;
        if (same)
            return CODE_OK;
    }
    if (d->count >= DEMANDS_MAX)
        return FAIL_FG(p->why, CODE_LIMIT, FG_TOO_MUCH, "the query uses more than %d fields of one input", DEMANDS_MAX);
    if ((d->count & (d->count - 1)) == 0) {
        struct demand *more = planner_take(p, d->count ? 2 * (size_t)d->count : 1, sizeof *more);
        if (!more)
            return planner_no_memory(p);
        if (d->count)
            memcpy(more, d->at, d->count * sizeof *more);
        d->at = more;
    }
    struct demand *out = &d->at[d->count];
    *out = (struct demand){ .count = count, .meta = meta, .property = property };
    if (count && !(out->parts = planner_take(p, count, sizeof *parts)))
        return planner_no_memory(p);
    if (count)
        memcpy(out->parts, parts, count * sizeof *parts);
    *slot = d->count++;
    return CODE_OK;
}

static enum code ask_apply(struct arm *arm, const struct side *s, const struct bytes *parts, uint32_t count, struct place at,
                           uint32_t *slot, uint32_t *rest)
{
    const char *first = s->source->applied_record ? "PropertyName" : "ArrayIndex";
    const char *second = s->source->applied_record ? "PropertyValue" : "ArrayValue";
    *rest = count ? count - 1 : 0;
    *slot = 2;
    if (count && word_is(parts[0], first))
        *slot = 0;
    else if (count && word_is(parts[0], second))
        *slot = 1;
    else if (count)
        return refuse(arm->planner->why, CODE_USAGE, FG_NAME, at, "%.*s has no column %.*s; it has %s and %s",
                      BYTES_FMT(s->source->alias), BYTES_FMT(parts[0]), first, second);
    return CODE_OK;
}

enum code names_ask(struct arm *arm, uint32_t side, const struct bytes *parts, uint32_t count, struct place at, uint32_t *slot,
                    uint32_t *rest)
{
    struct side *s = &arm->sides[side];
    uint32_t index = 0;
    *rest = 0;
    switch (s->relation) {
    case RELATION_INPUT: {
        enum meta_kind meta = meta_of(parts, count);
        TRY(add_demand(arm->planner, &s->input->fields, parts, count, meta, BYTES_NONE, &index));
        s->input->has_meta |= meta != META_NONE;
        break;
    }
    case RELATION_REFERENCE:
        TRY(add_demand(arm->planner, &s->reference->fields, parts, count, META_NONE, BYTES_NONE, &index));
        break;
    case RELATION_STEP: TRY(step_want(arm->planner, s->step, parts, count, at, &index, rest)); break;
    case RELATION_APPLY: TRY(ask_apply(arm, s, parts, count, at, &index, rest)); break;
    }
    *slot = CODED(SPACE_SIDE + side, index);
    return CODE_OK;
}

/* ---- names ---- */

static enum code refuse_bare(struct arm *arm, const struct ast *a)
{
    return refuse(arm->planner->why, CODE_USAGE, FG_NAME, a->at,
                  "%.*s could be a column of %.*s or of %.*s; write %.*s.%.*s or %.*s.%.*s", BYTES_FMT(a->name),
                  BYTES_FMT(arm->sides[0].source->alias), BYTES_FMT(arm->sides[1].source->alias),
                  BYTES_FMT(arm->sides[0].source->alias), BYTES_FMT(a->name), BYTES_FMT(arm->sides[1].source->alias),
                  BYTES_FMT(a->name));
}

/* Which side, and how many leading parts were its alias. */
static enum code find_side(struct arm *arm, const struct ast *a, uint32_t *side, uint32_t *skip)
{
    int found = a->part_count ? names_side(arm, a->parts[0]) : -1;
    bool apply = found >= 0 && arm->sides[found].relation == RELATION_APPLY;
    *skip = 1;
    *side = found >= 0 ? (uint32_t)found : 0;
    if (found >= 0 && (apply || a->part_count > 1 || a->kind == AST_STAR))
        return CODE_OK;
    *skip = 0;
    *side = 0;
    for (uint32_t i = 1; i < arm->side_count; i++)
        if (arm->sides[i].relation != RELATION_APPLY)
            return refuse_bare(arm, a);
    return CODE_OK;
}

static enum code ask_parts(struct arm *arm, const struct ast *a, struct ast **out)
{
    uint32_t side, skip, slot, rest;
    TRY(find_side(arm, a, &side, &skip));
    TRY(names_ask(arm, side, skip ? a->parts + skip : a->parts, a->part_count - skip, a->at, &slot, &rest));
    struct ast *s = tree_slot(arm->planner, a, slot);
    if (!s)
        return planner_no_memory(arm->planner);
    s->name = a->name;
    s->parts = rest ? a->parts + a->part_count - rest : NULL;
    s->part_count = rest;
    *out = s;
    return CODE_OK;
}

enum code names_star(struct arm *arm, const struct ast *star, struct ast **out)
{
    return ask_parts(arm, star, out);
}

enum code names_all(struct arm *arm, struct place at, struct ast **out)
{
    struct ast star = { .kind = AST_STAR, .at = at };
    for (uint32_t i = 1; i < arm->side_count; i++)
        if (arm->sides[i].relation != RELATION_APPLY)
            return refuse(arm->planner->why, CODE_USAGE, FG_RULE, at,
                          "the whole event is not defined in a JOIN; name the columns, or join in a WITH step before");
    return ask_parts(arm, &star, out);
}

/* Properties that every message has, written IoTHub.EnqueuedTime or [IoTHub].[EnqueuedTime]. */
static enum meta_kind property_kind(struct bytes name)
{
    static const struct {
        const char    *name;
        enum meta_kind meta;
    } known[] = {
        { "EventEnqueuedUtcTime", META_ENQUEUED },        { "EventHub.EventEnqueuedUtcTime", META_ENQUEUED },
        { "IoTHub.EnqueuedTime", META_ENQUEUED },         { "IoTHub.ConnectionDeviceId", META_DEVICE },
        { "EventProcessedUtcTime", META_PROCESSED },      { "PartitionId", META_PARTITION },
        { "MQTT.Topic", META_TOPIC },
    };
    char plain[64];
    size_t n = 0;
    for (size_t i = 0; i < name.len && n < sizeof plain; i++)
        if (name.at[i] != '[' && name.at[i] != ']')
            plain[n++] = (char)name.at[i];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (word_is(bytes_of(plain, n), known[i].name))
            return known[i].meta;
    return META_PROPERTY;
}

/* GetMetadataPropertyValue(input, 'name') */
enum code names_meta(struct arm *arm, struct ast **call)
{
    struct planner *p = arm->planner;
    const struct ast *a = *call;
    int side = a->arg_count == 2 && a->args[0]->kind == AST_NAME && a->args[0]->part_count == 1
                   ? names_side(arm, a->args[0]->parts[0])
                   : -1;
    if (side < 0 || arm->sides[side].relation != RELATION_INPUT || a->args[1]->kind != AST_CONSTANT ||
        a->args[1]->constant.type != VALUE_TEXT)
        return refuse(p->why, CODE_USAGE, FG_ARGUMENT, a->at,
                      "GetMetadataPropertyValue takes an input of this SELECT and the property's name as a text: "
                      "GetMetadataPropertyValue(%.*s, '[User].[line]')",
                      BYTES_FMT(arm->sides[0].source->alias));
    uint32_t index;
    struct input *input = arm->sides[side].input;
    const struct bytes name = value_bytes(a->args[1]->constant);
    TRY(add_demand(p, &input->fields, NULL, 0, property_kind(name), name, &index));
    input->has_meta = true;
    struct ast *slot = tree_slot(p, a, CODED(SPACE_SIDE + side, index));
    if (!slot)
        return planner_no_memory(p);
    slot->parts = a->parts;
    slot->part_count = a->part_count;
    *call = slot;
    return CODE_OK;
}

/* In a JOIN, DATEDIFF(unit, a, b) with aliases counts between the times of their rows. */
static enum code take_times(struct arm *arm, struct ast *call)
{
    bool datediff = word_is(call->name, "DATEDIFF") && call->arg_count == 3;
    for (uint32_t i = 1; datediff && arm->stream_sides > 1 && i < 3; i++) {
        const struct ast *a = call->args[i];
        int side = a->kind == AST_NAME && a->part_count == 1 ? names_side(arm, a->parts[0]) : -1;
        if (side < 0)
            continue;
        if (arm->sides[side].relation != RELATION_INPUT && arm->sides[side].relation != RELATION_STEP)
            return refuse(arm->planner->why, CODE_USAGE, FG_RULE, a->at, "rows of %.*s have no time of their own", BYTES_FMT(a->name));
        call->args[i] = tree_slot(arm->planner, a, CODED(SPACE_TIME + side, 0));
        if (!call->args[i])
            return planner_no_memory(arm->planner);
    }
    return CODE_OK;
}

/* Scalar functions have their own "did you mean" when they are compiled; the functions of streams are known here only. */
static enum code refuse_near_function(struct arm *arm, const struct ast *call)
{
    struct suggest s = { 0 };
    if (function_is_scalar(call->name) || aggregate_is(call->name) || analytic_is(call->name))
        return CODE_OK;
    const char *scalar = function_nearest(call->name);
    aggregate_offer(&s, call->name);
    analytic_offer(&s, call->name);
    const char *stream = s.best;
    if (scalar)
        suggest_offer(&s, call->name, scalar);
    if (!stream || s.best != stream)
        return CODE_OK;
    return refuse(arm->planner->why, CODE_USAGE, FG_SYNTAX, call->at, "unknown function %.*s; did you mean %s?", BYTES_FMT(call->name), stream);
}

static enum code resolve_call(struct arm *arm, struct ast **node, enum name_context in, bool aggregates)
{
    struct ast *a = *node;
    struct fault *why = arm->planner->why;
    if (analytic_is(a->name)) {
        if (in == IN_ANALYTIC)
            return refuse(why, CODE_USAGE, FG_RULE, a->at,
                          "%.*s inside of another analytic function; compute it in a WITH step before", BYTES_FMT(a->name));
        return analytic_take(arm, node);
    }
    if (word_is(a->name, "GetArrayElements") || word_is(a->name, "GetRecordProperties"))
        return refuse(why, CODE_USAGE, FG_RULE, a->at, "%.*s stands behind CROSS APPLY or OUTER APPLY only", BYTES_FMT(a->name));
    if (word_is(a->name, "FIRST"))
        return refuse(why, CODE_USAGE, FG_ABSENT, a->at,
                      "FIRST is not in the language; use TopOne() OVER (ORDER BY ...) in a window, or LAST() OVER (...)");
    TRY(refuse_near_function(arm, a));
    if (aggregate_is(a->name)) {
        if (a->over && a->over->limit_unit)
            return refuse(why, CODE_USAGE, FG_ABSENT, a->at,
                          "%.*s with OVER (LIMIT DURATION ...) is not in the language; GROUP BY SlidingWindow(...) does it",
                          BYTES_FMT(a->name));
        if (!aggregates)
            return refuse(why, CODE_USAGE, FG_RULE, a->at,
                          in == IN_AGGREGATE ? "%.*s inside of another aggregate"
                                             : "%.*s is an aggregate: it needs a window or System.Timestamp() in GROUP BY, and stands in "
                                               "SELECT or HAVING",
                          BYTES_FMT(a->name));
        in = IN_AGGREGATE;
        aggregates = false;
    } else if (a->over) {
        return refuse(why, CODE_USAGE, FG_RULE, a->over->at, "%.*s takes no OVER clause", BYTES_FMT(a->name));
    }
    if (word_is(a->name, "GetMetadataPropertyValue"))
        return names_meta(arm, node);
    if (word_is(a->name, "System.Window") && !arm->grouped) { /* NULL outside of a window */
        a->kind = AST_CONSTANT;
        a->constant = value_null();
        return CODE_OK;
    }
    TRY(take_times(arm, a));
    for (uint32_t i = 0; a->over && i < a->over->partitions; i++)
        TRY(names_resolve(arm, &a->over->partition[i], in, false));
    for (uint32_t i = 0; a->over && i < a->over->orders; i++)
        TRY(names_resolve(arm, &a->over->order[i].by, in, false));
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (a->args[i]->kind != AST_STAR || in != IN_AGGREGATE)
            TRY(names_resolve(arm, &a->args[i], in, aggregates));
    return CODE_OK;
}

/* "x" is a name; where the columns are known and none is called so, it was meant as a text. */
static bool is_text(const struct arm *arm, const struct ast *a)
{
    if (!a->double_quoted)
        return false;
    for (uint32_t i = 0; i < arm->side_count; i++)
        if (arm->sides[i].relation != RELATION_STEP || step_has(arm->sides[i].step, a->parts[0]))
            return false;
    return true;
}

static enum code take_text(struct arm *arm, struct ast *a)
{
    a->kind = AST_CONSTANT;
    a->constant = value_text(a->parts[0]);
    a->part_count = 0;
    return planner_warn(arm->planner, "line %u, column %u: \"%.*s\" is taken as a text; texts stand in '...'", a->at.line, a->at.column,
                        (int)(a->constant.len < 60 ? a->constant.len : 60), (const char *)a->constant.text);
}

enum code names_resolve(struct arm *arm, struct ast **node, enum name_context in, bool aggregates)
{
    struct ast *a = *node;
    switch (a->kind) {
    case AST_NAME: return is_text(arm, a) ? take_text(arm, a) : ask_parts(arm, a, node);
    case AST_STAR:
        return refuse(arm->planner->why, CODE_USAGE, FG_RULE, a->at, "`*` stands here for a single value; name a column");
    case AST_CALL: return resolve_call(arm, node, in, aggregates);
    default:
        for (uint32_t i = 0; i < a->arg_count; i++)
            TRY(names_resolve(arm, &a->args[i], in, aggregates));
        return CODE_OK;
    }
}

const char *nearest_column(struct planner *p, const struct step_plan *step, struct bytes typed)
{
    struct suggest near = { 0 };
    for (const struct arm *arm = step->arms; arm; arm = arm->next)
        for (uint32_t i = 0; i < arm->select->item_count; i++) {
            const char *name = arm->names[i].len ? arena_text(p->memory, arm->names[i]) : NULL;
            if (name)
                suggest_offer(&near, typed, name);
        }
    return near.best;
}
