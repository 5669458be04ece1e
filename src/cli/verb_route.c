/* route list, test: what the running node's routes have done; what routes would do with a message. */
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/mqtt_target.h"
#include "cli/verbs.h"
#include "flow/flow.h"
#include "message/message.h"
#include "mqtt/packet.h"

#include <inttypes.h>
#include <stdio.h>

struct route_flags {
    struct config_flags config;
    enum output_format format;
    const char *from, *message, *file, *content_type;
    struct texts properties;
};

enum { BODY_BYTES_MAX = 1 << 20 };

/* ---- list ---- */

static int print_list(const struct verb_call *call, const json_t *tree)
{
    static const struct column columns[] = {
        {"ROUTE", "route", COLUMN_TEXT},       {"TEXT", "text", COLUMN_TEXT},
        {"PRIORITY", "priority", COLUMN_TEXT}, {"MATCHED", "matched", COLUMN_NUMBER},
        {"NOT", "not-matched", COLUMN_NUMBER}, {"ERRORS", "errors", COLUMN_NUMBER},
        {"WAITING", "waiting", COLUMN_NUMBER}, {"STATE", "state", COLUMN_TEXT},
        {"WHY", "why", COLUMN_TEXT}};
    const struct route_flags *given = call->values;
    struct output o;
    size_t i;
    const json_t *r;
    output_open(&o, call->out, given->format, "routes", columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(json_object_get(tree, "routes"), i, r)
    {
        const json_t *priority = json_object_get(r, "priority");
        output_text(&o, bytes_str(member_text(r, "name")));
        output_text(&o, bytes_str(member_text(r, "route")));
        if (json_is_integer(priority))
            output_printf(&o, "%" PRIu64, member_count(r, "priority"));
        else
            output_text(&o, BYTES_LIT(""));
        output_count(&o, member_count(r, "matched"));
        output_count(&o, member_count(r, "not-matched"));
        output_count(&o, member_count(r, "errors"));
        output_count(&o, member_count(r, "waiting"));
        output_text(&o, bytes_str(member_text(r, "state")));
        output_text(&o, bytes_str(member_text(r, "why")));
    }
    return output_close(&o);
}

static int run_list(struct verb_call *call)
{
    const struct route_flags *given = call->values;
    struct answer answer;
    int status = ask_node(call, &given->config, "/api/v1/routes", NULL, &answer);
    if (status != STATUS_DONE)
        return status;
    status = print_list(call, answer.tree);
    answer_clear(&answer);
    return status;
}

/* ---- test ---- */

struct printing {
    struct output o;
    bool goes;
};

static void print_verdict(void *ctx, const struct route_verdict *v)
{
    struct printing *p = ctx;
    output_text(&p->o, bytes_str(v->name));
    output_text(&p->o, bytes_str(v->goes ? "goes" : "no"));
    output_text(&p->o, v->sink);
    output_text(&p->o, v->why);
    p->goes = p->goes || v->goes;
}

static void ignore_verdict(void *ctx, const struct route_verdict *v)
{
    (void)ctx, (void)v;
}

static enum code make_message(const struct verb_call *call, struct message **out, struct fault *why)
{
    const struct route_flags *given = call->values;
    struct buf props = {0};
    char *text = NULL;
    size_t len = 0;
    enum code c = given->file ? io_load(call->io, given->file, BODY_BYTES_MAX, &text, &len, why) : CODE_OK;
    struct bytes body = given->file ? bytes_of(text, len) : bytes_str(given->message ? given->message : "");
    if (given->content_type)
        mqtt_put_bytes(&props, MQTT_PROP_CONTENT_TYPE, bytes_str(given->content_type));
    if (c == CODE_OK)
        c = mqtt_target_user_props(&given->properties, &props, why);
    if (c == CODE_OK && !(*out = message_new(&(struct message_parts){
                              .qos = 1,
                              .wall_us = call->io->wall_us(call->io->self),
                              .source = BYTES_LIT("route-test"),
                              .props = buf_bytes(&props),
                              .payload = body})))
        c = FAIL(why, CODE_NOMEM, 0, "no memory for the message");
    buf_clear(&props);
    mem_free(text);
    return c;
}

static int print_test(struct verb_call *call, const struct settings *s, const struct flow_plan *plan,
                      const struct message *m)
{
    static const struct column columns[] = {{"ROUTE", "route", COLUMN_TEXT},
                                            {"GOES", "goes", COLUMN_TEXT},
                                            {"INTO", "sink", COLUMN_TEXT},
                                            {"WHY", "why", COLUMN_TEXT}};
    const struct route_flags *given = call->values;
    struct printing p = {.goes = false};
    struct fault why;
    const char *const *texts = call->options->args.at;
    size_t n = call->options->args.count;
    struct bytes from = bytes_str(given->from);
    if (flow_test_routes(plan, s, texts, n, from, m, ignore_verdict, NULL, &why) != CODE_OK) {
        (void)verb_fail(call, &why);
        return STATUS_FAILED;
    }
    output_open(&p.o, call->out, given->format, "routes", columns, sizeof columns / sizeof columns[0]);
    if (flow_test_routes(plan, s, texts, n, from, m, print_verdict, &p, &why) != CODE_OK)
        (void)verb_fail(call, &why); /* memory: it went well a moment ago */
    int status = output_close(&p.o);
    return status == STATUS_DONE && !p.goes ? STATUS_WARNINGS : status;
}

static int run_test(struct verb_call *call)
{
    const struct route_flags *given = call->values;
    const struct settings *s;
    struct flow_plan *plan = NULL;
    struct message *m = NULL;
    struct fault why;
    if (!given->from)
        return verb_usage(call, "--from is missing: /messages/modules/M/outputs/O, or a topic");
    if (given->message && given->file)
        return verb_usage(call, "-m and -f both say what the body is");
    int status = config_load(call, &given->config, &s);
    if (status != STATUS_DONE)
        return status;
    enum code c = flow_plan_new(&plan, s, call->io, s->data, &why);
    if (c == CODE_OK)
        c = make_message(call, &m, &why);
    if (c == CODE_OK) {
        status = print_test(call, s, plan, m);
    } else {
        (void)verb_fail(call, &why);
        status = STATUS_FAILED;
    }
    message_drop(m);
    flow_plan_free(plan);
    settings_free(s);
    return status;
}

/* ---- the verbs ---- */

static const struct flag list_flags[] = {CONFIG_FLAGS(struct route_flags, config),
                                         FLAG_OUTPUT(struct route_flags, format), FLAGS_END};
static const struct flag test_flags[] = {
    {0, "from", FLAG_TEXT, FLAG_FIELD(struct route_flags, from), .value = "SOURCE",
     .help = "where it comes from: /messages/modules/M/outputs/O, or a topic"},
    {'m', "message", FLAG_TEXT, FLAG_FIELD(struct route_flags, message), .value = "TEXT", .help = "its body"},
    {'f', "file", FLAG_TEXT, FLAG_FIELD(struct route_flags, file), .value = "FILE",
     .help = "its body is this file"},
    {'p', "property", FLAG_TEXTS, FLAG_FIELD(struct route_flags, properties), .value = "NAME=VALUE",
     .help = "an application property; may be repeated"},
    {0, "content-type", FLAG_TEXT, FLAG_FIELD(struct route_flags, content_type), .value = "TYPE",
     .help = "such as application/json"},
    CONFIG_FLAGS(struct route_flags, config),
    FLAG_OUTPUT(struct route_flags, format),
    FLAGS_END};

static const struct verb route_list = {
    .name = "list",
    .group = "modules",
    .summary = "all routes of the running node: what they took, what waits, what is wrong",
    .detail =
        "NOT: messages from the route's source for which its condition was false or undefined. ERRORS: it was undefined.\n"
        "WAITING: messages for the route's sink that wait to be routed. What waits in $upstream: fieldgate status.",
    .examples = {"fieldgate route list", "fieldgate route list -o json",
                 "fieldgate route list --data ./data"},
    .flags = list_flags,
    .values_size = sizeof(struct route_flags),
    .run = run_list,
};
static const struct verb route_test = {
    .name = "test",
    .group = "modules",
    .summary = "which routes take a message, and why the others do not",
    .detail = "Asks the routes of the settings file, or the texts behind it. Needs no node. Exit status: 0 a route takes it,\n"
              "4 none does, 1 something is wrong.",
    .examples = {"fieldgate route test --from /messages/modules/a/outputs/x -m '{\"t\":21}'",
                 "fieldgate route test --from factory/1/t -f body.json -p level=3",
                 "fieldgate route test --from a/b -m '{}' 'FROM topic(\"a/#\") INTO events'"},
    .args = "[ROUTE...]",
    .args_max = ROUTES_MAX_COUNT,
    .flags = test_flags,
    .values_size = sizeof(struct route_flags),
    .run = run_test,
};

static const struct verb *const children[] = {&route_list, &route_test, NULL};

const struct verb verb_route = {
    .name = "route",
    .group = "modules",
    .summary = "where messages go: list, test",
    .children = children,
};
