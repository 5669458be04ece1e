/* verb_bench.c - `fieldgate bench`: what a broker can do, and what it loses. The load is bench.h's; this file is its flags and
 * its words. */
#include "base/mem.h"
#include "base/values.h"
#include "cli/bench.h"
#include "cli/interrupt.h"
#include "cli/mqtt_target.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

struct bench_flags {
    struct mqtt_target target;
    uint32_t publishers, subscribers, topics, pairs;
    const char *share, *prefix, *acked_file;
    uint32_t qos, window, pid;
    uint64_t size, warm_up_us, duration_us;
    double rate;
    bool persistent, quiet;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

static const struct flag flags[] = {
    {0, "publishers", FLAG_COUNT, FLAG_FIELD(struct bench_flags, publishers), .value = "COUNT", .min = 1,
     .max = BENCH_PEERS_MAX, .def = "1", .help = "connections that publish"},
    {0, "subscribers", FLAG_COUNT, FLAG_FIELD(struct bench_flags, subscribers), .value = "COUNT",
     .max = BENCH_PEERS_MAX, .def = "1", .help = "connections that receive, each all of it"},
    {0, "topics", FLAG_COUNT, FLAG_FIELD(struct bench_flags, topics), .value = "COUNT", .min = 1,
     .max = 1000000, .def = "1",
     .help = "topics that the publishers share out; with more than one, subscribers use a wildcard"},
    {0, "pairs", FLAG_COUNT, FLAG_FIELD(struct bench_flags, pairs), .value = "COUNT", .min = 1,
     .max = BENCH_PEERS_MAX, .help = "publisher i to topic i to subscriber i, in place of the three above"},
    {0, "share", FLAG_TEXT, FLAG_FIELD(struct bench_flags, share), .value = "GROUP",
     .help = "the subscribers are one shared subscription: each message goes to one of them"},
    {'q', "qos", FLAG_COUNT, FLAG_FIELD(struct bench_flags, qos), .value = "QOS", .max = 2,
     .help = "0, 1 or 2"},
    {'s', "size", FLAG_SIZE, FLAG_FIELD(struct bench_flags, size), .value = "BYTES", .min = BENCH_HEAD,
     .max = 64 << 20, .def = "256", .help = "of a payload, at least 16"},
    {0, "window", FLAG_COUNT, FLAG_FIELD(struct bench_flags, window), .value = "COUNT", .min = 1,
     .max = 65535, .def = "500", .help = "closed loop: messages of each publisher on their way at once"},
    {0, "rate", FLAG_DECIMAL, FLAG_FIELD(struct bench_flags, rate), .value = "PER-SECOND",
     .help = "open loop: so many messages a second by the clock, latency from the scheduled time"},
    {0, "duration", FLAG_SECONDS, FLAG_FIELD(struct bench_flags, duration_us), .value = "TIME", .min = 100000,
     .def = "10", .help = "how long to measure"},
    {0, "warm-up", FLAG_SECONDS, FLAG_FIELD(struct bench_flags, warm_up_us), .value = "TIME", .def = "5",
     .help = "load before that, not measured"},
    {0, "pid", FLAG_COUNT, FLAG_FIELD(struct bench_flags, pid), .value = "PID", .min = 1,
     .help = "the broker's process on this machine: its CPU and memory"},
    {0, "persistent", FLAG_SWITCH, FLAG_FIELD(struct bench_flags, persistent),
     .help = "subscribers with sessions that the broker has to keep"},
    {0, "acked-file", FLAG_TEXT, FLAG_FIELD(struct bench_flags, acked_file), .value = "FILE",
     .help = "a line PUBLISHER NUMBER for each message that was acknowledged"},
    {'t', "topic", FLAG_TEXT, FLAG_FIELD(struct bench_flags, prefix), .value = "PREFIX", .def = "bench",
     .help = "topics are PREFIX/RUN/0, 1, ..."},
    {0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct bench_flags, quiet), .help = "no progress on stderr"},
    {'o', "output", FLAG_CHOICE, FLAG_FIELD(struct bench_flags, format), .value = "FORMAT", .words = formats,
     .def = "text", .help = "text or json"},
    MQTT_PLACE_FLAGS(struct bench_flags, target),
    FLAGS_END,
};

/* ---- words ---- */

struct report {
    struct verb_call *call;
    const struct bench_plan *plan;
    const struct bench_result *r;
    char place[MQTT_HOST_MAX + 8], cpu[80];
    struct utsname system;
    int generator_percent, broker_percent; /* of one core */
    bool saturated;
};

static const char *version_name(enum mqtt_version v)
{
    return v == MQTT_5 ? "5.0" : v == MQTT_3_1_1 ? "3.1.1" : "3.1";
}

static void name_cpu(const struct io *io, char out[80])
{
    char text[2048] = "";
    int file = io->open(io->self, "/proc/cpuinfo", IO_READ);
    int64_t n = file < 0 ? 0 : io_read_all(io, file, text, sizeof text - 1, 0);
    if (file >= 0)
        io->close(io->self, file);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, "model name"), *colon = at ? strchr(at, ':') : NULL;
    (void)snprintf(out, 80, "%.*s", colon ? (int)strcspn(colon + 2, "\n") : 11,
                   colon ? colon + 2 : "unknown CPU");
}

static int percent(uint64_t cpu_us, double seconds)
{
    return seconds > 0 ? (int)((double)cpu_us / seconds / 1e4 + 0.5) : 0;
}

/* Messages that the broker had to handle: what it delivered, or what it took when nobody listens. */
static uint64_t handled(const struct report *p)
{
    return p->plan->subscribers ? p->r->delivered : p->r->published;
}

static void make_report(struct report *p)
{
    enum { FULL = 95 };
    (void)mqtt_target_place(&p->plan->target, p->place);
    name_cpu(p->call->io, p->cpu);
    if (uname(&p->system) < 0)
        p->system = (struct utsname){0};
    p->generator_percent = percent(p->r->generator_us, p->r->seconds);
    p->broker_percent = p->r->broker.known ? percent(p->r->broker.cpu_us, p->r->seconds) : -1;
    p->saturated = p->generator_percent >= FULL && p->broker_percent < FULL;
}

static void describe_layout(const struct bench_plan *p, char *out, size_t cap)
{
    if (p->pairs)
        (void)snprintf(out, cap, "%u pairs", p->publishers);
    else
        (void)snprintf(out, cap, "%u publisher%s, %u topic%s, %u subscriber%s%s%s", p->publishers,
                       p->publishers == 1 ? "" : "s", p->topics, p->topics == 1 ? "" : "s", p->subscribers,
                       p->subscribers == 1 ? "" : "s", p->share ? " sharing as " : "",
                       p->share ? p->share : "");
}

static void describe_loop(const struct bench_plan *p, char *out, size_t cap)
{
    if (p->rate > 0)
        (void)snprintf(out, cap, "open loop %.12g/s", p->rate);
    else
        (void)snprintf(out, cap, "closed loop, window %u", p->window);
}

static void print_head(const struct report *p)
{
    const struct bench_plan *plan = p->plan;
    char layout[200], loop[80];
    describe_layout(plan, layout, sizeof layout);
    describe_loop(plan, loop, sizeof loop);
    (void)fprintf(p->call->out, "fieldgate bench %s\n", p->place);
    (void)fprintf(p->call->out, "  load       %s, QoS %u, %u B, MQTT %s%s%s, %s%s\n", layout, plan->qos,
                  plan->size, version_name(plan->target.version), plan->target.scheme ? " over " : "",
                  plan->target.scheme ? mqtt_scheme_name(plan->target.scheme) : "", loop,
                  plan->persistent ? ", persistent sessions" : "");
    (void)fprintf(p->call->out, "  machine    %s, %ld cores, %s %s; the generator uses one\n", p->cpu,
                  sysconf(_SC_NPROCESSORS_ONLN), p->system.sysname, p->system.release);
    (void)fprintf(p->call->out, "  time       %.1f s measured after %.1f s of warm-up%s\n\n", p->r->seconds,
                  (double)plan->warm_up_us / 1e6, p->r->interrupted ? ", interrupted" : "");
}

static void print_rate(const struct report *p, const char *name, uint64_t n, uint64_t bytes)
{
    char count[VALUE_TEXT_MAX], rate[VALUE_TEXT_MAX], size[VALUE_TEXT_MAX];
    double s = p->r->seconds > 0 ? p->r->seconds : 1;
    (void)fprintf(p->call->out, "%-13s %14s/s %16s %12s/s\n", name,
                  value_print_count((uint64_t)((double)n / s), rate), value_print_count(n, count),
                  value_print_size_about((uint64_t)((double)(n * bytes) / s), size));
}

static void print_latency(const struct report *p, const char *name, const struct histogram *h)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999};
    char text[VALUE_TEXT_MAX];
    if (!h->count)
        return;
    (void)fprintf(p->call->out, "%-13s", name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        (void)fprintf(p->call->out, " %10s", value_print_duration_about(histogram_at(h, parts[i]), text));
    (void)fprintf(p->call->out, " %10s\n", value_print_duration_about(h->max, text));
}

static void print_cost(const struct report *p)
{
    const struct bench_result *r = p->r;
    char rss[VALUE_TEXT_MAX], peak[VALUE_TEXT_MAX];
    double n = handled(p) ? (double)handled(p) : 1;
    if (r->broker.known)
        (void)fprintf(p->call->out, "broker        %d %% of a core, %.3f us a message, %s (at most %s)\n",
                      p->broker_percent, (double)r->broker.cpu_us / n,
                      value_print_size_about(r->broker.rss_bytes, rss),
                      value_print_size_about(r->broker.peak_bytes, peak));
    else
        (void)fprintf(p->call->out, "broker        %s\n",
                      p->plan->pid ? "its process could not be read"
                                   : "unknown: --pid PID shows its CPU and memory");
    (void)fprintf(p->call->out, "generator     %d %% of a core, %.3f us a message\n", p->generator_percent,
                  (double)r->generator_us / n);
}

static void print_verdict(const struct report *p)
{
    const struct bench_result *r = p->r;
    char a[VALUE_TEXT_MAX], b[VALUE_TEXT_MAX], c[VALUE_TEXT_MAX], late[VALUE_TEXT_MAX];
    (void)fprintf(p->call->out, "whole run     %s expected, lost %s, duplicates %s, out of order %s\n",
                  value_print_count(r->expected, a), value_print_count(r->lost, b),
                  value_print_count(r->again, c), p->plan->share ? "-" : value_print_count(r->late, late));
    if (p->plan->qos)
        (void)fprintf(p->call->out, "              %s acknowledged, refused %s, without an answer %s\n",
                      value_print_count(r->acked_all, a), value_print_count(r->refused, b),
                      value_print_count(r->unacked, c));
    if (r->foreign)
        (void)fprintf(p->call->out, "              %s messages that were not of this run\n",
                      value_print_count(r->foreign, a));
    if (r->behind)
        (void)fprintf(p->call->out,
                      "              %s were due and not sent: the broker did not take them in time\n",
                      value_print_count(r->behind, a));
    if (r->stalls)
        (void)fprintf(p->call->out, "              %s times nothing came for a second\n",
                      value_print_count(r->stalls, a));
}

static void print_paste(const struct report *p)
{
    const struct bench_result *r = p->r;
    const struct bench_plan *plan = p->plan;
    char layout[200], loop[80], p50[VALUE_TEXT_MAX], p99[VALUE_TEXT_MAX];
    const struct histogram *h = r->latency.count ? &r->latency : &r->ack;
    double s = r->seconds > 0 ? r->seconds : 1;
    if (p->saturated) {
        (void)fprintf(p->call->out,
                      "\nNo result of the broker: the generator used %d %% of its core; the broker may be "
                      "faster than this.\n"
                      "Give the generator a core of its own, or run several at once.\n",
                      p->generator_percent);
        return;
    }
    describe_layout(plan, layout, sizeof layout);
    describe_loop(plan, loop, sizeof loop);
    (void)fprintf(p->call->out,
                  "\npaste: %s: %s, QoS %u, %u B, MQTT %s, %s: %.0f published/s, %.0f delivered/s, p50 %s, "
                  "p99 %s, lost %" PRIu64,
                  p->place, layout, plan->qos, plan->size, version_name(plan->target.version), loop,
                  (double)r->published / s, (double)r->delivered / s,
                  value_print_duration_about(histogram_at(h, 0.5), p50),
                  value_print_duration_about(histogram_at(h, 0.99), p99), r->lost);
    if (r->broker.known)
        (void)fprintf(p->call->out, ", broker %.3f us/message",
                      handled(p) ? (double)r->broker.cpu_us / (double)handled(p) : 0);
    (void)fprintf(p->call->out, "\n");
}

static void print_text(const struct report *p)
{
    const struct bench_result *r = p->r;
    print_head(p);
    (void)fprintf(p->call->out, "%-13s %16s %16s %14s\n", "RATE", "MESSAGES", "TOTAL", "PAYLOAD");
    print_rate(p, "published", r->published, p->plan->size);
    if (p->plan->qos)
        print_rate(p, "acknowledged", r->acked, p->plan->size);
    if (p->plan->subscribers)
        print_rate(p, "delivered", r->delivered, p->plan->size);
    if (r->latency.count || r->ack.count) {
        (void)fprintf(p->call->out, "\n%-13s %10s %10s %10s %10s %10s\n", "LATENCY", "P50", "P90", "P99",
                      "P99.9", "MAX");
        print_latency(p, "end to end", &r->latency);
        print_latency(p, "acknowledged", &r->ack);
    }
    (void)fputc('\n', p->call->out);
    print_cost(p);
    print_verdict(p);
    print_paste(p);
}

/* ---- json ---- */

static void put_latency(struct buf *out, const char *name, const struct histogram *h)
{
    buf_printf(out, ",\"%s\":", name);
    if (!h->count) {
        buf_printf(out, "null");
        return;
    }
    buf_printf(out,
               "{\"count\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
               ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 "}",
               h->count, histogram_at(h, 0.5), histogram_at(h, 0.9), histogram_at(h, 0.99),
               histogram_at(h, 0.999), h->max);
}

static void put_settings(struct buf *out, const struct report *p)
{
    const struct bench_plan *plan = p->plan;
    buf_printf(out, "{\"version\":1,\"broker\":");
    buf_json(out, bytes_str(p->place));
    buf_printf(out,
               ",\"settings\":{\"publishers\":%u,\"subscribers\":%u,\"topics\":%u,\"pairs\":%s,\"share\":",
               plan->publishers, plan->subscribers, plan->topics, plan->pairs ? "true" : "false");
    if (plan->share)
        buf_json(out, bytes_str(plan->share));
    else
        buf_printf(out, "null");
    buf_printf(
        out,
        ",\"qos\":%u,\"size\":%u,\"protocol\":\"%s\",\"transport\":\"%s\",\"window\":%u,\"rate\":%.12g,"
        "\"persistent\":%s,\"warmUpSeconds\":%.3f,\"run\":\"%s\"}",
        plan->qos, plan->size, version_name(plan->target.version), mqtt_scheme_name(plan->target.scheme),
        plan->window, plan->rate, plan->persistent ? "true" : "false", (double)plan->warm_up_us / 1e6,
        p->r->run);
    buf_printf(out, ",\"machine\":{\"cpu\":");
    buf_json(out, bytes_str(p->cpu));
    buf_printf(out, ",\"cores\":%ld,\"system\":\"%s %s\"}", sysconf(_SC_NPROCESSORS_ONLN), p->system.sysname,
               p->system.release);
}

static void print_json(const struct report *p, const struct fault *failed)
{
    const struct bench_result *r = p->r;
    double s = r->seconds > 0 ? r->seconds : 1, n = handled(p) ? (double)handled(p) : 1;
    struct buf out = {0};
    put_settings(&out, p);
    buf_printf(&out,
               ",\"seconds\":%.3f,\"published\":%" PRIu64 ",\"acknowledged\":%" PRIu64
               ",\"delivered\":%" PRIu64,
               r->seconds, r->published, r->acked, r->delivered);
    buf_printf(&out, ",\"publishedPerSecond\":%.1f,\"deliveredPerSecond\":%.1f", (double)r->published / s,
               (double)r->delivered / s);
    put_latency(&out, "latencyUs", &r->latency);
    put_latency(&out, "acknowledgeUs", &r->ack);
    buf_printf(&out,
               ",\"sent\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64
               ",\"outOfOrder\":",
               r->sent, r->expected, r->lost, r->again);
    if (p->plan->share)
        buf_printf(&out, "null");
    else
        buf_printf(&out, "%" PRIu64, r->late);
    buf_printf(&out,
               ",\"acknowledgedInAll\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unanswered\":%" PRIu64
               ",\"foreign\":%" PRIu64 ",\"behind\":%" PRIu64 ",\"stalls\":%" PRIu64,
               r->acked_all, r->refused, r->unacked, r->foreign, r->behind, r->stalls);
    if (r->broker.known)
        buf_printf(&out,
                   ",\"brokerCpuPercent\":%d,\"brokerCpuUsPerMessage\":%.4f,\"brokerRssBytes\":%" PRIu64
                   ",\"brokerPeakBytes\":%" PRIu64,
                   p->broker_percent, (double)r->broker.cpu_us / n, r->broker.rss_bytes,
                   r->broker.peak_bytes);
    buf_printf(
        &out,
        ",\"generatorCpuPercent\":%d,\"generatorCpuUsPerMessage\":%.4f,\"generatorSaturated\":%s,\"failed\":",
        p->generator_percent, (double)r->generator_us / n, p->saturated ? "true" : "false");
    if (failed)
        buf_json(&out, bytes_str(failed->text));
    else
        buf_printf(&out, "null");
    buf_printf(&out, "}\n");
    (void)fwrite(out.at + out.from, 1, buf_size(&out), p->call->out);
    buf_clear(&out);
}

/* ---- the verb ---- */

static int check_flags(struct verb_call *call, struct bench_flags *f)
{
    const struct options *o = call->options;
    if (f->pairs &&
        (options_given(o, "publishers") || options_given(o, "subscribers") || options_given(o, "topics")))
        return verb_usage(
            call, "--pairs says how many publishers, topics and subscribers there are; leave those out");
    if (f->pairs && f->share)
        return verb_usage(call, "--share needs several subscribers on one topic, --pairs has one");
    if (f->share && !f->subscribers)
        return verb_usage(call, "--share needs --subscribers");
    if (f->share && (!f->share[0] || strpbrk(f->share, "/+#")))
        return verb_usage(call, "--share: the name of a group has no /, + or #");
    if (strlen(f->prefix) > 80 || !f->prefix[0] || strpbrk(f->prefix, "+#"))
        return verb_usage(call, "-t PREFIX: 1 to 80 bytes without + and #");
    if (options_given(o, "rate") && !(f->rate >= 0.001 && f->rate <= 1e8))
        return verb_usage(call, "--rate: from 0.001 to 100000000 a second");
    if (f->acked_file && !f->qos)
        return verb_usage(call, "--acked-file: only QoS 1 and 2 are acknowledged; add -q 1");
    if (f->persistent && !f->subscribers && !f->pairs)
        return verb_usage(call, "--persistent: the sessions are the subscribers'; add --subscribers");
    if (!f->pairs && (uint64_t)f->publishers * (f->share ? 1 : f->subscribers) > 4000000)
        return verb_usage(
            call,
            "that is %u publishers to each of %u subscribers, more streams than can be checked (4000000); "
            "--pairs has one each",
            f->publishers, f->subscribers);
    return STATUS_DONE;
}

static void fill_plan(struct verb_call *call, const struct bench_flags *f, struct bench_plan *p)
{
    p->io = call->io;
    p->pairs = f->pairs > 0;
    p->publishers = f->pairs ? f->pairs : f->publishers;
    p->subscribers = f->pairs ? f->pairs : f->subscribers;
    p->topics = f->pairs ? f->pairs : f->topics;
    p->share = f->share;
    p->prefix = f->prefix;
    p->persistent = f->persistent;
    p->qos = (uint8_t)f->qos;
    p->size = (uint32_t)f->size;
    p->window = f->window;
    p->rate = f->rate;
    p->warm_up_us = f->warm_up_us;
    p->duration_us = f->duration_us;
    p->pid = f->pid;
    p->acked_file = f->acked_file;
    p->progress = f->quiet ? NULL : call->err;
    p->interrupted = &interrupts;
}

static int go(struct verb_call *call, const struct bench_plan *plan, struct bench_result *result)
{
    const struct bench_flags *f = call->values;
    struct report report = {.call = call, .plan = plan, .r = result};
    struct fault why;
    enum code c = bench_run(plan, result, &why);
    if (c != CODE_OK && result->seconds <= 0)
        return mqtt_target_fail(call, &why);
    make_report(&report);
    if (f->format)
        print_json(&report, c != CODE_OK ? &why : NULL);
    else
        print_text(&report);
    if (c != CODE_OK)
        return verb_fail(call, &why);
    if (result->lost || result->again || (result->late && !plan->share) || result->refused || result->unacked)
        return STATUS_FAILED;
    return report.saturated ? STATUS_WARNINGS : STATUS_DONE;
}

static int run(struct verb_call *call)
{
    struct bench_flags *f = call->values;
    struct bench_plan plan = {0};
    struct mqtt_target_memory memory = {0};
    int status = check_flags(call, f);
    if (status == STATUS_DONE)
        status = mqtt_target_settings(call, &f->target, &plan.target, &memory);
    struct bench_result *result = status == STATUS_DONE ? mem_alloc(sizeof *result) : NULL;
    if (status == STATUS_DONE && !result) {
        verb_warn(call, "no memory");
        status = STATUS_FAILED;
    }
    if (status == STATUS_DONE) {
        interrupt_watch();
        fill_plan(call, f, &plan);
        status = go(call, &plan, result);
    }
    mem_free(result);
    mqtt_target_clear(&memory);
    return status;
}

const struct verb verb_bench = {
    .name = "bench",
    .group = "messages",
    .summary = "load a broker, and measure how fast it is and what it loses",
    .examples = {"fieldgate bench -q 1 --pid $(pidof fieldgate)",
                 "fieldgate bench --publishers 50 --subscribers 1 -q 1 --rate 20000",
                 "fieldgate bench -h broker.lan --pairs 500 --window 10 -o json"},
    .detail = "Works against any broker. Without --rate the loop is closed: --window messages of each "
              "publisher are on their way, the\n"
              "next leaves when one has arrived. With --rate the schedule is fixed, and a message that "
              "leaves late counts from the time\n"
              "it should have left. Latency is from publisher to subscriber, both in this process.\n"
              "Exit status: 0 nothing lost, doubled, out of order or refused; 1 something was, or the broker "
              "was lost; 2 wrong usage;\n"
              "3 no broker there; 4 the generator was the bottleneck.",
    .flags = flags,
    .values_size = sizeof(struct bench_flags),
    .run = run,
};
