/* verb_demo.c - `fieldgate demo`: a job running on a throw-away node. Status 0 means that it really happened. */
#include "cli/demo_anomaly.h"
#include "cli/demo_m2m.h"
#include "cli/verbs.h"

#include <stdio.h>

struct demo_flags {
    uint64_t    for_us, interval_us, seed;
    double      fan_at, spike, confidence;
    uint64_t    pause_us;
    const char *keep, *store;
};

static const struct flag flags[] = {
    { 0, "for", FLAG_DURATION, FLAG_FIELD(struct demo_flags, for_us), .value = "TIME", .help = "end after so long (default: Ctrl-C)" },
    { 0, "keep", FLAG_TEXT, FLAG_FIELD(struct demo_flags, keep), .value = "DIR", .help = "use this folder and keep it" },
    { 0, "interval", FLAG_DURATION, FLAG_FIELD(struct demo_flags, interval_us), .value = "TIME", .min = 1000,
      .max = 60000000, .def = "150ms", .help = "time between readings" },
    { 0, "fan-at", FLAG_DECIMAL, FLAG_FIELD(struct demo_flags, fan_at), .value = "DEGREES", .def = "60",
      .help = "cooler-1 switches the fan on from here" },
    { 0, "spike", FLAG_DECIMAL, FLAG_FIELD(struct demo_flags, spike), .value = "PERCENT", .def = "25",
      .help = "anomaly: what the humidity jumps to" },
    { 0, "confidence", FLAG_DECIMAL, FLAG_FIELD(struct demo_flags, confidence), .value = "PERCENT", .def = "80",
      .help = "anomaly: of the query" },
    { 0, "pause", FLAG_DURATION, FLAG_FIELD(struct demo_flags, pause_us), .value = "TIME", .min = 1000000, .max = 86400000000,
      .def = "131s", .help = "anomaly: machine time for which the node is away" },
    { 0, "store", FLAG_TEXT, FLAG_FIELD(struct demo_flags, store), .value = "FILTER", .def = "factory/#",
      .help = "topics the hub stores" },
    { 0, "seed", FLAG_COUNT, FLAG_FIELD(struct demo_flags, seed), .value = "N", .def = "1", .help = "same seed, same readings" },
    FLAGS_END,
};

static int run_m2m(struct verb_call *call, const struct demo_flags *f)
{
    struct demo_node node;
    struct fault why;
    (void)fprintf(call->out, "Fieldgate %s demo m2m: all on this machine, %s, Ctrl-C ends\n", FG_VERSION,
                  f->keep ? "the folder is kept" : "nothing is kept");
    int status;
    enum code code = demo_node_make(&node, f->keep, &why);
    if (code == CODE_OK)
        code = demo_node_start(&node, call->io, f->store, "", &why);
    if (code != CODE_OK) {
        status = verb_fail(call, &why);
    } else {
        if (node.other_ports)
            (void)fprintf(call->out, "  1883 or 8080 is taken, free ports were chosen\n");
        (void)fprintf(call->out, "  mqtt 127.0.0.1:%u   metrics http://127.0.0.1:%u/metrics\n", node.mqtt_port, node.http_port);
        (void)fflush(call->out);
        status = demo_m2m_run(call, &node, &(struct demo_m2m){ .for_us = f->for_us, .interval_us = f->interval_us,
                                                               .fan_at = f->fan_at, .seed = f->seed });
    }
    if (demo_node_stop(&node, f->keep != NULL, &why) != CODE_OK && status == STATUS_DONE)
        status = verb_fail(call, &why);
    return status;
}

static int run_anomaly(struct verb_call *call, const struct demo_flags *f)
{
    (void)fprintf(call->out, "Fieldgate %s demo anomaly: all on this machine, %s, Ctrl-C ends\n", FG_VERSION,
                  f->keep ? "the folder is kept" : "nothing is kept");
    return demo_anomaly_run(call, &(struct demo_anomaly){ .keep = f->keep, .spike = f->spike, .pause_s = f->pause_us / 1000000,
                                                          .confidence = f->confidence });
}

static int run(struct verb_call *call)
{
    const struct texts *args = &call->options->args;
    const char *name = args->count ? args->at[0] : "m2m";
    if (strcmp(name, "m2m") == 0)
        return run_m2m(call, call->values);
    if (strcmp(name, "anomaly") == 0)
        return run_anomaly(call, call->values);
    return verb_usage(call, "there is no demo '%s'; there are: m2m, anomaly", name);
}

const struct verb verb_demo = {
    .name = "demo",
    .group = "run",
    .summary = "a job running on a throw-away node: machine to machine, or anomaly detection",
    .detail = "m2m: press-1 publishes temperature and humidity, cooler-1 switches its fan on when it gets hot, and the hub stores\n"
              "every reading. Ends with a verdict; the exit status is 0 only if every reading was delivered and stored and every\n"
              "hot one got its reaction.\n"
              "anomaly: press-1 is an OPC UA server. The node reads it, a streaming SQL job learns from 120 readings of its humidity and finds\n"
              "the planted jumps, and an action stops the machine by a write to it; then the node is away for longer than the job's window, starts again, and must not call anything an\n"
              "anomaly before it has learned again. The exit status is 0 only if all of that happened.",
    .examples = { "fieldgate demo", "fieldgate demo anomaly", "fieldgate demo m2m --keep ./demo --fan-at 40" },
    .args = "[m2m|anomaly]",
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct demo_flags),
    .run = run,
};
