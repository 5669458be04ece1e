/* explain.c - what would become of a message: `route test`. */
#include "route/table.h"

#include "message/message.h"
#include "mqtt/topic.h"

#include <stdio.h>

struct explaining {
    const struct route_table *table;
    const struct message *message;
    struct bytes topic;
    struct route_matcher matcher;
    struct buf text;
};

/* A path as a topic: of an output that a job has. */
static enum code topic_of(const struct route_table *t, struct bytes from, struct bytes *out,
                          struct fault *why)
{
    struct route_parts p = {0};
    struct fault inner;
    struct route_text said = {.name = "test", .text = "", .file = "--from"};
    *out = from;
    if (!bytes_starts(from, "/messages") && !bytes_starts(from, "/twin")) {
        if (topic_name_valid(from, 1024, 32))
            return CODE_OK;
        return FAIL_FG(
            why, CODE_USAGE, 4101,
            "--from takes a path such as /messages/modules/M/outputs/O, or a topic without wildcards");
    }
    enum code c = route_parse_path(&p, &(struct route_reading){&said, NULL, &inner}, from, 0);
    if (c != CODE_OK)
        return FAIL_FG(why, c, inner.number, "--from: %s",
                       strstr(inner.text, ": ") ? strstr(inner.text, ": ") + 2 : inner.text);
    if (p.source != SOURCE_MODULE || !p.from_output.len)
        return FAIL_FG(why, CODE_USAGE, 4101, "--from takes one output: /messages/modules/M/outputs/O");
    for (size_t i = 0; i < t->place_count; i++)
        if (bytes_is(p.from_module, t->places[i].module) && bytes_is(p.from_output, t->places[i].output)) {
            *out = t->places[i].topic;
            return CODE_OK;
        }
    char shown[120];
    return FAIL_FG(why, CODE_USAGE, 4101, "--from %s: there is no such output",
                   bytes_escape(from, shown, sizeof shown));
}

static void say_condition(struct explaining *e, const struct route *r, enum route_outcome o,
                          const struct value *slots)
{
    buf_printf(&e->text, "its condition is %s: ", o == OUTCOME_NO ? "false" : "undefined");
    condition_values(&e->text, r->parts.condition, slots);
    if (e->matcher.body_read && e->matcher.body_why.text[0])
        buf_printf(&e->text, " (the body: %s)", e->matcher.body_why.text);
}

/* The routes of one sink, the best first. */
static enum code explain_target(struct explaining *e, const struct route_target *t,
                                struct route_verdict *verdicts, size_t *ends)
{
    const struct route *winner = NULL;
    e->matcher.body_why.text[0] = 0;
    route_matcher_begin(&e->matcher);
    for (size_t i = 0; i < t->count; i++) {
        const struct route *r = t->routes[i];
        struct value slots[CONDITION_NAMES_MAX];
        enum route_outcome o;
        enum code c = route_match(&e->matcher, r, e->message, e->topic, &o, slots);
        if (c != CODE_OK)
            return c;
        verdicts[r->order] = (struct route_verdict){
            .name = r->name, .goes = o == OUTCOME_YES && !winner, .sink = r->parts.sink_text};
        if (o == OUTCOME_ELSEWHERE)
            buf_printf(&e->text, "it does not come FROM %.*s", BYTES_FMT(r->parts.source_text));
        else if (o != OUTCOME_YES)
            say_condition(e, r, o, slots);
        else if (winner)
            buf_printf(&e->text, "route %s brings it there already", winner->name);
        else
            buf_printf(&e->text, "%s", r->parts.condition ? "its condition is true" : "it takes all of them");
        winner = o == OUTCOME_YES && !winner ? r : winner;
        ends[r->order] = e->text.len;
    }
    return CODE_OK;
}

static enum code explain_all(struct explaining *e, void (*each)(void *ctx, const struct route_verdict *),
                             void *ctx, struct fault *why)
{
    struct route_verdict verdicts[ROUTES_MAX_COUNT];
    size_t ends[ROUTES_MAX_COUNT], from[ROUTES_MAX_COUNT];
    for (size_t i = 0; i < e->table->target_count; i++) {
        const struct route_target *t = &e->table->targets[i];
        size_t begin = e->text.len;
        enum code c = explain_target(e, t, verdicts, ends);
        if (c != CODE_OK)
            return FAIL(why, c, 0, "no memory to test the routes");
        for (size_t k = 0; k < t->count; begin = ends[t->routes[k++]->order])
            from[t->routes[k]->order] = begin;
    }
    if (e->text.bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory to test the routes");
    for (size_t i = 0; i < e->table->count; i++) {
        verdicts[i].why = bytes_of(e->text.at + from[i], ends[i] - from[i]);
        each(ctx, &verdicts[i]);
    }
    return CODE_OK;
}

enum code route_table_test(const struct route_table *t, struct bytes from, const struct message *m,
                           void (*each)(void *ctx, const struct route_verdict *), void *ctx,
                           struct fault *why)
{
    struct explaining e = {.table = t, .message = m};
    enum code c = topic_of(t, from, &e.topic, why);
    if (c == CODE_OK)
        c = route_matcher_init(&e.matcher, why);
    if (c == CODE_OK)
        c = explain_all(&e, each, ctx, why);
    route_matcher_clear(&e.matcher);
    buf_clear(&e.text);
    return c;
}
