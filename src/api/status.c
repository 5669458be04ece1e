/* status.c - GET /api/v1/status: one JSON object (docs/api.md), from counters that cost nothing to keep. */
#include "api/api_private.h"

#include "api/embed.h"
#include "api/event.h"
#include "base/mem.h"
#include "flow/flow.h"
#include "message/message.h"

#include <inttypes.h>
#include <unistd.h>

/* ---- rates: once a second the counters are put into a ring ---- */

static void take_sample(struct api *a)
{
    struct broker_stats b;
    broker_stats(a->config.broker, &b);
    a->samples[a->sample_next++ % SAMPLES] = (struct sample){
        .at_us = a->config.io->monotonic_us(a->config.io->self),
        .in = b.received[0] + b.received[1] + b.received[2],
        .out = b.sent[0] + b.sent[1] + b.sent[2],
        .cpu_us = process_cpu_us(),
    };
}

static void on_tick(struct timer *t)
{
    struct api *a = (struct api *)(void *)((char *)t - offsetof(struct api, tick));
    take_sample(a);
    timer_start(a->config.loop, t, SAMPLE_MS, on_tick);
}

void status_begin(struct api *a)
{
    timer_start(a->config.loop, &a->tick, 0, on_tick); /* when the loop runs, and the broker with it */
}

struct rates {
    double in, out, cpu_percent;
};

static struct rates rates_now(struct api *a)
{
    if (a->sample_next == 0)
        return (struct rates){ 0 };
    const struct sample *newest = &a->samples[(a->sample_next - 1) % SAMPLES];
    const struct sample *oldest = a->sample_next < SAMPLES ? &a->samples[0]
                                                           : &a->samples[a->sample_next % SAMPLES];
    double us = (double)(newest->at_us - oldest->at_us);
    if (us <= 0)
        return (struct rates){ 0 };
    return (struct rates){
        .in = (double)(newest->in - oldest->in) * 1e6 / us,
        .out = (double)(newest->out - oldest->out) * 1e6 / us,
        .cpu_percent = (double)(newest->cpu_us - oldest->cpu_us) * 100 / us,
    };
}

/* ---- partitions ---- */

static bool see_oldest(void *ctx, const struct record *r)
{
    struct oldest *o = ctx;
    o->wall_us = r->type ? r->wall_us : 0;
    return false;
}

/* The disk is asked only when retention has moved on since the last time. */
static int64_t oldest_of(struct api *a, uint32_t partition, uint64_t first)
{
    uint64_t go_on;
    struct fault why;
    if (!a->oldest)
        a->oldest = mem_zalloc(journal_partitions(a->config.journal), sizeof *a->oldest);
    if (!a->oldest)
        return 0;
    struct oldest *o = &a->oldest[partition];
    if (o->known && o->first == first)
        return o->wall_us;
    *o = (struct oldest){ .known = true, .first = first };
    /* What cannot be read is found by `check` and by readers; status goes on. */
    if (journal_partition_read(a->config.journal, partition, first, 1, see_oldest, o, &go_on, &why) !=
        CODE_OK)
        o->known = false;
    return o->wall_us;
}

void status_end(struct api *a)
{
    mem_free(a->oldest);
}

static void put_hub(struct api *a, struct buf *out)
{
    struct journal *j = a->config.journal;
    uint64_t kept = 0, ever = 0;
    int64_t oldest_us = 0;
    uint32_t count = journal_partitions(j);
    buf_printf(out, "\"hub\":{\"partitions\":[");
    for (uint32_t p = 0; p < count; p++) {
        uint64_t first, next;
        journal_partition_range(j, p, &first, &next);
        kept += next - first;
        ever += next;
        buf_printf(out, "%s{\"partition\":%" PRIu32 ",\"first\":%" PRIu64 ",\"next\":%" PRIu64 "}",
                   p ? "," : "", p, first, next);
        int64_t wall_us = first < next ? oldest_of(a, p, first) : 0;
        if (wall_us && (!oldest_us || wall_us < oldest_us))
            oldest_us = wall_us;
    }
    buf_printf(out, "],\"stored\":%" PRIu64 ",\"stored-ever\":%" PRIu64 ",\"keep-seconds\":", kept, ever);
    if (a->config.view.settings->hub.keep_s)
        buf_printf(out, "%" PRIu64, a->config.view.settings->hub.keep_s);
    else
        buf_printf(out, "null");
    buf_printf(out, ",\"oldest\":");
    if (oldest_us) {
        char time[EVENT_TIME_MAX];
        buf_printf(out, "\"%s\",\"oldest-seconds\":%.3f", event_time(oldest_us, time),
                   (double)(a->config.io->wall_us(a->config.io->self) - oldest_us) / 1e6);
    } else {
        buf_printf(out, "null,\"oldest-seconds\":null");
    }
    buf_printf(out, "},");
}

/* ---- the rest ---- */

static void put_head(struct api *a, struct buf *out)
{
    const struct api_config *c = &a->config;
    char time[EVENT_TIME_MAX];
    struct fault why;
    enum code trouble = api_trouble(a, &why);
    buf_printf(out,
               "{\"version\":1,\"state\":\"%s\",\"trouble\":", trouble == CODE_OK ? "active" : "refusing");
    if (trouble == CODE_OK) {
        buf_printf(out, "null");
    } else {
        buf_printf(out, "{\"code\":\"FG%04d\",\"message\":", why.number);
        embed_text(out, bytes_str(why.text));
        buf_u8(out, '}');
    }
    buf_printf(out, ",\"program\":\"%s\",\"pid\":%ld,\"site\":", c->version, (long)getpid());
    embed_text(out, bytes_str(c->view.settings->site));
    buf_printf(out, ",\"data\":");
    embed_text(out, bytes_str(c->data_dir));
    buf_printf(out, ",\"since\":\"%s\",\"uptime-seconds\":%.3f,\"durability\":\"%s\",",
               event_time(a->since_wall_us, time),
               (double)(c->io->monotonic_us(c->io->self) - a->since_us) / 1e6,
               c->view.settings->durability == DURABILITY_MEMORY ? "memory" : "disk");
}

static void put_process(struct api *a, struct buf *out, double cpu_percent)
{
    struct process_usage p;
    process_look(&io_system, &p);
    (void)a;
    buf_printf(out,
               "\"process\":{\"rss-bytes\":%" PRIu64
               ",\"cpu-percent\":%.1f,\"cpu-seconds\":%.3f,\"files\":%" PRIu64 ",\"files-max\":%" PRIu64
               ",\"heap-bytes\":%" PRIu64 ",\"message-bytes\":%" PRIu64 "},",
               p.rss_bytes, cpu_percent, (double)p.cpu_us / 1e6, p.files, p.files_max, mem_in_use(),
               message_bytes_in_use());
}

static void put_listeners(struct api *a, struct buf *out)
{
    buf_printf(out, "\"listeners\":[");
    for (size_t i = 0; i < a->config.view.listener_count; i++) {
        buf_printf(out, "%s{\"type\":\"%s\",\"address\":", i ? "," : "", a->config.view.listeners[i].type);
        embed_text(out, bytes_str(a->config.view.listeners[i].address));
        if (a->config.view.listeners[i].certificate_ends_s) {
            char time[EVENT_TIME_MAX];
            buf_printf(out, ",\"certificate-ends\":\"%s\"",
                       event_time(a->config.view.listeners[i].certificate_ends_s * 1000000, time));
        }
        buf_u8(out, '}');
    }
    buf_printf(out, "],");
}

static void put_mqtt(struct buf *out, const struct broker_stats *b, const struct rates *rates)
{
    buf_printf(out,
               "\"mqtt\":{\"clients\":%" PRIu64
               ",\"in-per-second\":%.1f,\"out-per-second\":%.1f,\"sessions\":%" PRIu64
               ",\"subscriptions\":%" PRIu64 ",\"retained\":%" PRIu64 ",\"queued\":%" PRIu64 "},",
               b->clients, rates->in, rates->out, b->sessions, b->subscriptions, b->retained,
               b->queued_messages);
}

static void put_accounts(struct buf *out, const struct broker_stats *b, const struct journal_stats *j)
{
    buf_printf(out,
               "\"accounts\":{\"in\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"acknowledged\":%" PRIu64
               ",\"waiting\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"lost\":%" PRIu64
               "},",
               b->received[1] + b->received[2], b->stored, b->acknowledged, b->waiting_acks, b->refused_full,
               b->dropped_queue, j->damaged_frames);
}

static void put_job(void *ctx, const struct job_glance *g)
{
    static const char *const states[] = { "running", "blocked", "paused", "stopped" };
    struct buf *out = ctx;
    buf_printf(out, "%s{\"name\":\"%s\",\"state\":\"%s\",\"lag\":%" PRIu64 ",\"events\":%" PRIu64 ",\"rows\":%" PRIu64
                    ",\"dropped\":%" PRIu64 "}",
               out->at[out->len - 1] == '[' ? "" : ",", g->name, states[g->state], g->lag, g->events, g->rows, g->dropped);
}

static void put_action(void *ctx, const struct action_glance *g)
{
    struct buf *out = ctx;
    buf_printf(out, "%s{\"name\":\"%s\",\"waiting\":%" PRIu64 ",\"good\":%" PRIu64 ",\"failed\":%" PRIu64
                    ",\"held-back\":%" PRIu64 ",\"dry-run\":%" PRIu64 ",\"retries\":%" PRIu64 ",\"last-ms\":%.3f}",
               out->at[out->len - 1] == '[' ? "" : ",", g->name, g->waiting, g->done, g->failed, g->held_back, g->dry,
               g->retries, (double)g->last_us / 1000);
}

/* null: they are just being changed. */
static void put_list(struct buf *out, const char *name, bool known, struct buf *list)
{
    buf_printf(list, "]");
    buf_printf(out, "\"%s\":", name);
    if (known && !list->bad)
        buf_add_bytes(out, buf_bytes(list));
    else
        buf_printf(out, "null");
    buf_printf(out, ",");
    buf_clear(list);
}

static void put_flow(struct api *a, struct buf *out)
{
    struct buf jobs = { 0 }, actions = { 0 };
    struct flow *flow = a->config.flow;
    buf_printf(&jobs, "[");
    buf_printf(&actions, "[");
    bool know_jobs = flow && !jobs.bad && flow_glance(flow, put_job, &jobs);
    bool know_actions = flow && !actions.bad && flow_glance_actions(flow, put_action, &actions);
    put_list(out, "jobs", know_jobs, &jobs);
    put_list(out, "actions", know_actions, &actions);
}

static void put_journal(struct buf *out, const struct journal_stats *j)
{
    buf_printf(out,
               "\"journal\":{\"appended\":%" PRIu64 ",\"durable\":%" PRIu64 ",\"segments\":%" PRIu64
               ",\"disk-bytes\":%" PRIu64 ",\"free-bytes\":%" PRIu64 ",\"sync-us-p50\":%" PRIu64
               ",\"sync-us-max\":%" PRIu64 ",\"verifying\":%s}}\n",
               j->appended_seq, j->durable_seq, j->segments, j->disk_bytes, j->free_bytes, j->sync_us_p50,
               j->sync_us_max, j->verifying ? "true" : "false");
}

void status_reply(struct api *a, struct http_exchange *x)
{
    struct broker_stats b;
    struct journal_stats j;
    struct buf out = { 0 };
    struct rates rates = rates_now(a);
    broker_stats(a->config.broker, &b);
    journal_stats(a->config.journal, &j);
    put_head(a, &out);
    put_process(a, &out, rates.cpu_percent);
    put_listeners(a, &out);
    put_mqtt(&out, &b, &rates);
    put_hub(a, &out);
    put_flow(a, &out);
    opcua_put_status(a, &out);
    routes_put(a, &out);
    buf_u8(&out, ',');
    put_accounts(&out, &b, &j);
    put_journal(&out, &j);
    api_answer(x, "application/json", &out);
}
