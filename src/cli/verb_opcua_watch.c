/* verb_opcua_watch.c - `fieldgate opcua watch`: values as they change. */
#include "base/values.h"
#include "cli/interrupt.h"
#include "cli/opcua_session.h"
#include "cli/opcua_verbs.h"

#include "opcua/text.h"
#include "uaclient/subscription.h"

#include <inttypes.h>

enum { NODES_MAX = 1000 };

struct given {
    struct opcua_target target;
    enum output_format format;
    uint64_t interval_us, sampling_us, count, for_us;
    double   deadband;
    uint32_t queue;
};

struct watching {
    struct opcua_session   *s;
    const struct given     *given;
    struct ua_subscription *sub;
    struct output           out;
    uint64_t                seen;
    bool                    done, bad;
};

static const struct column columns[] = {
    { "TIME", "time", COLUMN_TEXT },     { "NODE", "node", COLUMN_TEXT }, { "VALUE", "value", COLUMN_TEXT },
    { "STATUS", "status", COLUMN_TEXT }, { "TYPE", "type", COLUMN_TEXT },
};

static const char *node_text(const struct watching *w, uint32_t handle)
{
    return w->s->call->options->args.at[handle + 1];
}

static void print_change(struct watching *w, const struct ua_change *c)
{
    struct buf time = { 0 }, text = { 0 }, json = { 0 }, type = { 0 };
    char scratch[16];
    ua_time_format(&time, c->value.source_time ? c->value.source_time : c->value.server_time);
    opcua_print_value(w->s, &c->value.value, false, &text);
    opcua_print_value(w->s, &c->value.value, true, &json);
    opcua_print_type(&c->value.value, &type);
    output_text(&w->out, buf_bytes(&time));
    output_text(&w->out, bytes_str(node_text(w, c->handle)));
    output_either(&w->out, buf_bytes(&text), buf_bytes(&json));
    output_text(&w->out, bytes_str(ua_status_text(c->value.status, scratch)));
    if (w->out.column_count > 4)
        output_text(&w->out, buf_bytes(&type));
    buf_clear(&time);
    buf_clear(&text);
    buf_clear(&json);
    buf_clear(&type);
}

static void on_changes(void *ctx, struct ua_subscription *sub, const struct ua_changes *changes)
{
    struct watching *w = ctx;
    (void)sub;
    for (size_t i = 0; i < changes->count && !w->done; i++) {
        print_change(w, &changes->at[i]);
        w->seen++;
        w->done = w->given->count && w->seen >= w->given->count;
    }
    (void)fflush(w->s->call->out);
    if (w->done || ferror(w->s->call->out)) {
        w->done = true;
        loop_stop(w->s->loop);
    }
}

static void on_item(void *ctx, struct ua_subscription *sub, uint32_t handle, ua_status status, double sampling_ms, uint32_t queue)
{
    struct watching *w = ctx;
    char scratch[16];
    (void)sub;
    (void)sampling_ms;
    (void)queue;
    if (!ua_is_bad(status))
        return;
    w->bad = true;
    verb_warn(w->s->call, "%s: %s; it is tried again", node_text(w, handle), ua_status_text(status, scratch));
}

static void on_gap(void *ctx, struct ua_subscription *sub, const struct ua_gap *gap)
{
    struct watching *w = ctx;
    (void)sub;
    verb_warn(w->s->call, "%s", gap->why.text);
}

/* The first value of each node comes by itself: that none did is no silence of the plant. */
static int none_came(const struct watching *w)
{
    struct ua_subscription_look look;
    ua_subscription_look(w->sub, &look);
    verb_warn(w->s->call, "no value came: %s", look.id ? "the server has the subscription and sends nothing for it"
                                                     : "the server has not made the subscription");
    return STATUS_FAILED;
}

static int watch(struct watching *w)
{
    static const struct ua_subscription_events events = { .on_changes = on_changes, .on_item = on_item, .on_gap = on_gap };
    struct opcua_session *s = w->s;
    const struct given *g = w->given;
    struct ua_subscription_options options = { .publishing_ms = (double)g->interval_us / 1000, .times = UA_TIMES_BOTH };
    size_t n = s->call->options->args.count - 1;
    struct ua_watch *items = arena_zero(&s->arena, n * sizeof *items);
    struct fault why;
    if (!items)
        return opcua_failed(s, "watch", UA_BAD_OUT_OF_MEMORY);
    for (size_t i = 0; i < n; i++) {
        struct ua_node_id node;
        if (!opcua_node(s, node_text(w, (uint32_t)i), &node))
            return STATUS_USAGE;
        items[i] = (struct ua_watch){ .handle = (uint32_t)i, .node = { .id = node }, .queue = g->queue, .mode = UA_MONITOR_REPORTING,
                                      .sampling_ms = options_given(s->call->options, "sampling") ? (double)g->sampling_us / 1000 : -1,
                                      .deadband = g->deadband > 0 ? UA_DEADBAND_ABSOLUTE : UA_DEADBAND_NONE,
                                      .deadband_value = g->deadband };
    }
    enum code c = ua_subscription_open(&w->sub, s->client, &options, &events, w, &why);
    if (c == CODE_OK)
        c = ua_subscription_add(w->sub, items, n, NULL, &why);
    if (c != CODE_OK)
        return verb_fail(s->call, &why);
    output_open(&w->out, s->call->out, g->format, "changes", columns, g->format == OUTPUT_TABLE ? 4 : 5);
    w->out.aligned = false;
    bool done = opcua_wait(s, &w->done, g->for_us ? (int64_t)(g->for_us / 1000) : -1);
    int status = output_close(&w->out) ? STATUS_FAILED : STATUS_DONE;
    if (s->ended)
        return opcua_failed(s, "watch", UA_BAD_CONNECTION_CLOSED);
    if (g->count && !done && !interrupts)
        return STATUS_FAILED; /* fewer than were waited for */
    if (status == STATUS_DONE && w->bad)
        return STATUS_WARNINGS;
    return status == STATUS_DONE && !w->seen && !interrupts ? none_came(w) : status;
}

static int run(struct verb_call *call)
{
    struct given *g = call->values;
    struct opcua_session s;
    struct watching w = { .s = &s, .given = g };
    g->target.reconnect = true;
    int status = opcua_begin(&s, call, &g->target, call->options->args.at[0]);
    if (status != STATUS_DONE)
        return status;
    status = watch(&w);
    if (w.sub)
        ua_subscription_close(w.sub);
    opcua_end(&s);
    return status;
}

static const struct flag flags[] = {
    { 'i', "interval", FLAG_DURATION, FLAG_FIELD(struct given, interval_us), .value = "TIME", .min = 1000, .max = UINT64_C(3600000000),
      .def = "1s", .help = "how often the server sends what has changed" },
    { 0, "sampling", FLAG_DURATION, FLAG_FIELD(struct given, sampling_us), .value = "TIME", .max = UINT64_C(3600000000),
      .help = "how often it looks (default: --interval; 0: as fast as it can)" },
    { 0, "queue", FLAG_COUNT, FLAG_FIELD(struct given, queue), .value = "N", .max = 100000, .def = "0",
      .help = "values that it keeps between two sendings (0: enough for --sampling)" },
    { 0, "deadband", FLAG_DECIMAL, FLAG_FIELD(struct given, deadband), .value = "X", .def = "0", .help = "only changes larger than X" },
    { 'C', "count", FLAG_COUNT, FLAG_FIELD(struct given, count), .value = "COUNT", .help = "end after so many values" },
    { 'W', "for", FLAG_SECONDS, FLAG_FIELD(struct given, for_us), .value = "SECONDS", .help = "end after so long" },
    FLAG_OUTPUT(struct given, format),
    OPCUA_TARGET_FLAGS(struct given, target),
    FLAGS_END,
};

const struct verb opcua_watch = {
    .name = "watch",
    .group = "field",
    .summary = "print values of nodes as they change",
    .detail = "A lost connection is made again, and what was missed is fetched if the server still has it. Ends on Ctrl-C, after --count values, or after --for. Exit status: 1 fewer values than --count came, or none at all, 4 a node was refused.",
    .examples = { "fieldgate opcua watch opc.tcp://10.0.4.20:4840 'ns=2;s=Temperature'",
                  "fieldgate opcua watch opc.tcp://10.0.4.20:4840 Press1/Temperature Press1/Humidity -o jsonl",
                  "fieldgate opcua watch opc.tcp://10.0.4.20:4840 i=2258 -C 5 --interval 100ms" },
    .args = "URL NODE...",
    .args_min = 2,
    .args_max = NODES_MAX + 1,
    .flags = flags,
    .values_size = sizeof(struct given),
    .run = run,
};
