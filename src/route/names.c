/* names.c - what a route names, against what there is on this node. */
#include "route/table.h"

#include "base/suggest.h"
#include "mqtt/topic.h"

#include <stdio.h>

enum { TOPIC_BYTES = 1024, TOPIC_LEVELS = 32 };

static bool near_enough(struct bytes name, const char *known)
{
    return name.len == strlen(known) && suggest_distance(name, bytes_str(known), 0) == 0;
}

/* As IoT Edge finds modules: whatever the case, if the name as written is not there. */
static const struct route_job *find_job(const struct route_known *k, struct bytes name)
{
    const struct route_job *near = NULL;
    for (size_t i = 0; i < k->job_count; i++) {
        if (bytes_is(name, k->jobs[i].name))
            return &k->jobs[i];
        if (near_enough(name, k->jobs[i].name))
            near = &k->jobs[i];
    }
    return near;
}

static const struct route_output *find_output(const struct route_job *j, struct bytes name)
{
    const struct route_output *near = NULL;
    for (size_t i = 0; i < j->output_count; i++) {
        if (bytes_is(name, j->outputs[i].name))
            return &j->outputs[i];
        if (near_enough(name, j->outputs[i].name))
            near = &j->outputs[i];
    }
    return near;
}

static const struct route_input *find_input(const struct route_job *j, struct bytes name)
{
    for (size_t i = 0; i < j->input_count; i++)
        if (bytes_is(name, j->inputs[i].name))
            return &j->inputs[i];
    for (size_t i = 0; i < j->input_count; i++)
        if (near_enough(name, j->inputs[i].name))
            return &j->inputs[i];
    return NULL;
}

/* ---- what is not there ---- */

static enum code no_job(const struct route_reading *r, const struct route_known *k, int number,
                        const char *clause, struct bytes name, size_t at)
{
    struct suggest s = {0};
    char shown[80];
    for (size_t i = 0; i < k->job_count; i++)
        suggest_offer(&s, name, k->jobs[i].name);
    bytes_escape(name, shown, sizeof shown);
    return route_refuse(r, CODE_USAGE, number, at, "%s names module '%s', there is none.%s%s%s", clause,
                        shown, s.best ? " Did you mean '" : " Modules of this node are its jobs",
                        s.best ? s.best : "",
                        s.best         ? "'?"
                        : k->job_count ? ""
                                       : ", and it has none");
}

static enum code no_output(const struct route_reading *r, const struct route_job *j, struct bytes name,
                           size_t at)
{
    struct suggest s = {0};
    char shown[80];
    for (size_t i = 0; i < j->output_count; i++)
        suggest_offer(&s, name, j->outputs[i].name);
    bytes_escape(name, shown, sizeof shown);
    return route_refuse(r, CODE_USAGE, 4101, at, "FROM names output '%s' of %s, there is none.%s%s%s", shown,
                        j->name, s.best ? " Did you mean '" : "", s.best ? s.best : "", s.best ? "'?" : "");
}

static enum code no_input(const struct route_reading *r, const struct route_job *j, struct bytes name,
                          size_t at)
{
    struct suggest s = {0};
    char shown[80];
    for (size_t i = 0; i < j->input_count; i++)
        if (j->inputs[i].number)
            suggest_offer(&s, name, j->inputs[i].name);
    bytes_escape(name, shown, sizeof shown);
    return route_refuse(r, CODE_USAGE, 4102, at, "INTO names input '%s' of %s, there is none.%s%s%s", shown,
                        j->name, s.best ? " Did you mean '" : "", s.best ? s.best : "", s.best ? "'?" : "");
}

/* ---- sources ---- */

static enum code set_filters(struct route *route, const struct route_reading *r, const struct bytes *filters,
                             size_t n)
{
    route->filters = arena_take(r->arena, (n + 1) * sizeof *route->filters);
    for (size_t i = 0; route->filters && i < n; i++) {
        char *copy = arena_text(r->arena, filters[i]);
        if (!copy)
            route->filters = NULL;
        else
            route->filters[i] = bytes_of(copy, filters[i].len);
    }
    route->filter_count = n;
    return route->filters ? CODE_OK : route_refuse(r, CODE_NOMEM, 0, 0, "no memory");
}

static enum code resolve_module(struct route *route, const struct route_reading *r,
                                const struct route_known *k)
{
    const struct route_parts *p = &route->parts;
    const struct route_job *j = find_job(k, p->from_module);
    if (!j && near_enough(p->from_module, "opcpublisher")) { /* as its module is called in deployments; its outputs have no names */
        struct bytes values = BYTES_LIT("opcua/#");
        return set_filters(route, r, &values, 1);
    }
    if (!j)
        return no_job(r, k, 4101, "FROM", p->from_module, p->module_at);
    char text[TOPIC_BYTES];
    if (!p->from_output.len || j->unread) {
        int n = snprintf(text, sizeof text, "$jobs/%s/#", j->name);
        return set_filters(route, r, &(struct bytes){(const uint8_t *)text, (size_t)n}, 1);
    }
    const struct route_output *o = find_output(j, p->from_output);
    if (!o)
        return no_output(r, j, p->from_output, p->output_at);
    struct bytes topic = bytes_str(o->topic);
    if (!bytes_starts(topic, "$jobs/"))
        return route_refuse(r, CODE_USAGE, 4101, p->output_at,
                            "output %s of %s goes to a topic of its own: write FROM topic(\"%.80s\")",
                            o->name, j->name, o->topic);
    return set_filters(route, r, &topic, 1);
}

static enum code resolve_topic(struct route *route, const struct route_reading *r)
{
    const struct route_parts *p = &route->parts;
    char shown[80];
    struct bytes f = p->from_topic;
    bytes_escape(f, shown, sizeof shown);
    if (topic_filter_shared(f))
        return route_refuse(r, CODE_USAGE, 4105, p->topic_at,
                            "topic(\"%s\"): a route shares its messages with nobody; write the filter behind"
                            " $share/NAME/",
                            shown);
    enum topic_flaw flaw = topic_filter_check(f, TOPIC_BYTES, TOPIC_LEVELS);
    if (flaw != TOPIC_FINE)
        return route_refuse(r, CODE_USAGE, 4105, p->topic_at, "topic(\"%s\") %s", shown,
                            topic_flaw_text(flaw));
    if (bytes_starts(f, "$") && !bytes_starts(f, "$jobs/"))
        return route_refuse(
            r, CODE_USAGE, 4105, p->topic_at,
            "topic(\"%s\"): what this node says of itself below $ is not routed, but for $jobs/", shown);
    return set_filters(route, r, &f, 1);
}

static enum code resolve_events(struct route *route, const struct route_reading *r,
                                const struct route_known *k)
{
    if (!k->event_count)
        return route_refuse(r, CODE_USAGE, 4101, route->parts.topic_at,
                            "FROM events reads what goes into the partitions, and hub.topics is empty: name "
                            "the topics there");
    struct bytes *filters = arena_take(r->arena, k->event_count * sizeof *filters);
    if (!filters)
        return route_refuse(r, CODE_NOMEM, 0, 0, "no memory");
    for (size_t i = 0; i < k->event_count; i++)
        filters[i] = bytes_str(k->events[i]);
    return set_filters(route, r, filters, k->event_count);
}

enum code route_resolve_source(struct route *route, const struct route_reading *r,
                               const struct route_known *k)
{
    switch (route->parts.source) {
    case SOURCE_MODULE: return resolve_module(route, r, k);
    case SOURCE_TOPIC: return resolve_topic(route, r);
    case SOURCE_EVENTS: return resolve_events(route, r, k);
    default: return set_filters(route, r, (const struct bytes[]){BYTES_LIT("$jobs/#"), BYTES_LIT("opcua/#")}, 2);
    }
}

/* ---- sinks ---- */

static const struct route_input *only_input(const struct route_job *j)
{
    const struct route_input *only = NULL;
    for (size_t i = 0; i < j->input_count; i++) {
        if (j->inputs[i].number && only)
            return NULL;
        if (j->inputs[i].number)
            only = &j->inputs[i];
    }
    return only;
}

enum code route_resolve_input(const struct route_parts *p, const struct route_reading *r,
                              const struct route_known *k, const struct route_job **job,
                              const struct route_input **input)
{
    const struct route_job *j = find_job(k, p->to_module);
    if (!j)
        return no_job(r, k, 4102, "INTO", p->to_module, p->to_at);
    if (j->unread) {
        static const struct route_input any = {"", 1};
        *job = j;
        *input = &any;
        return CODE_OK;
    }
    const struct route_input *in = p->to_input.len ? find_input(j, p->to_input) : only_input(j);
    if (!in && p->to_input.len)
        return no_input(r, j, p->to_input, p->to_input_at);
    if (!in)
        return route_refuse(r, CODE_USAGE, 4102, p->to_at,
                            "INTO job(\"%s\"): it has none or several inputs for routes: write"
                            " job(\"%s/INPUT\")",
                            j->name, j->name);
    if (!in->number)
        return route_refuse(r, CODE_USAGE, 4102, p->to_input_at,
                            "input %s of %s reads topics by itself: a route can only feed one whose"
                            " name is no topic",
                            in->name, j->name);
    *job = j;
    *input = in;
    return CODE_OK;
}

/* ---- conditions ---- */

static const char *const system_names[] = {
    "messageId",
    "correlationId",
    "userId",
    "contentType",
    "contentEncoding",
    "connectionDeviceId",
    "connectionModuleId",
    "inputName",
    "outputName",
    "enqueuedTime",
    "to",
    "messageSchema",
    "creationTime",
    "interfaceId",
    "componentName",
    "topic",
};
enum { SYSTEM_NAMES = sizeof system_names / sizeof system_names[0] };

enum code route_check_condition(const struct route_parts *p, const struct route_reading *r)
{
    if (!p->condition)
        return CODE_OK;
    for (uint32_t i = 0; i < p->condition->name_count; i++) {
        const struct condition_name *n = &p->condition->names[i];
        bool known = n->kind == CONDITION_PROPERTY || n->kind == CONDITION_BODY;
        for (size_t k = 0; !known && k < SYSTEM_NAMES; k++)
            known = near_enough(n->name, system_names[k]);
        if (known)
            continue;
        char shown[48];
        const char *near = suggest_word(n->name, system_names, SYSTEM_NAMES);
        bytes_escape(n->name, shown, sizeof shown);
        return route_refuse(r, CODE_USAGE, 4104, (size_t)(n->text.at - p->text.at),
                            "WHERE: there is no system property $%s.%s%s%s", shown,
                            near ? " Did you mean $" : " The body is $body.NAME, a property NAME",
                            near ? near : "", near ? "?" : "");
    }
    return CODE_OK;
}
