/* bench_run.c - the phases of a run: connect, warm up, measure, drain, clean up; and what was counted. */
#include "cli/bench_parts.h"

#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    TICK_MS = 10,
    DIALS_AT_ONCE = 100,
    CONNECT_S = 15,
    DRAIN_QUIET_US = 2000000,
    STALL_US = 1000000,
    PING_MS = 20000
};
enum { SAID_EVERY_US = 100000, PLAIN_EVERY_US = 10000000, CALM_US = 100000 };

int64_t bench_now(const struct bench *b)
{
    return b->plan.io->monotonic_us(b->plan.io->self);
}

void bench_fail(struct bench *b, const struct fault *why)
{
    if (b->phase == PHASE_DONE)
        return;
    b->why = *why;
    b->failed_in = b->phase;
    b->phase = PHASE_DONE;
    loop_stop(b->loop);
}

/* ---- processes ---- */

static uint64_t kib_field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

/* proc(5): the 14th and 15th field of stat, behind the name in brackets. */
static void look_at(const struct bench *b, struct bench_usage *out)
{
    char path[64], text[4096];
    unsigned long user, sys;
    *out = (struct bench_usage){0};
    if (!b->plan.pid)
        return;
    (void)snprintf(path, sizeof path, "/proc/%u/stat", b->plan.pid);
    const char *at = io_read_text(b->plan.io, path, text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        return;
    out->known = true;
    out->cpu_us = (uint64_t)((double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK));
    (void)snprintf(path, sizeof path, "/proc/%u/status", b->plan.pid);
    if (io_read_text(b->plan.io, path, text, sizeof text)) {
        out->rss_bytes = kib_field(text, "\nVmRSS:");
        out->peak_bytes = kib_field(text, "\nVmHWM:");
    }
}

static uint64_t own_cpu_us(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_THREAD, &u) < 0)
        return 0;
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- what was acknowledged ---- */

static void write_acked(struct bench *b)
{
    if (b->acked_file < 0 || (!buf_size(&b->acked_text) && !b->acked_text.bad) || b->phase == PHASE_DONE)
        return;
    int err = b->acked_text.bad
                  ? -ENOMEM
                  : io_write_all(b->plan.io, b->acked_file, b->acked_text.at + b->acked_text.from,
                                 buf_size(&b->acked_text), b->acked_at);
    struct fault why;
    if (err < 0) {
        (void)FAIL_SYS(&why, CODE_IO, -err, "cannot write %s", b->plan.acked_file);
        bench_fail(b, &why);
        return;
    }
    b->acked_at += buf_size(&b->acked_text);
    buf_reset(&b->acked_text);
}

/* ---- progress ---- */

static void say_progress(struct bench *b, int64_t now)
{
    static const char *const names[] = {"connecting",           "warming up",  "measuring",
                                        "waiting for the rest", "cleaning up", ""};
    if (!b->plan.progress)
        return;
    bool terminal = isatty(fileno(b->plan.progress));
    if (now - b->progress_us < (terminal ? SAID_EVERY_US : PLAIN_EVERY_US))
        return;
    b->progress_us = now;
    double s = (double)(now - b->phase_us) / 1e6;
    uint64_t n = b->audience_count ? b->delivered : b->published;
    if (b->phase == PHASE_CONNECT)
        (void)fprintf(b->plan.progress, "%s%u of %u connections", terminal ? "\r\033[K" : "", b->ready,
                      bench_peer_count(b));
    else
        (void)fprintf(b->plan.progress, "%s%s: %.1f s, %" PRIu64 " messages so far",
                      terminal ? "\r\033[K" : "", names[b->phase], s, n);
    (void)fputs(terminal ? "" : "\n", b->plan.progress);
    (void)fflush(b->plan.progress);
}

static void end_progress(const struct bench *b)
{
    if (b->plan.progress && b->progress_us && isatty(fileno(b->plan.progress)))
        (void)fputs("\r\033[K", b->plan.progress);
}

/* ---- phases ---- */

static void enter(struct bench *b, enum bench_phase phase, int64_t now)
{
    b->phase = phase;
    b->phase_us = now;
}

static void connect_more(struct bench *b, int64_t now)
{
    uint32_t all = bench_peer_count(b);
    struct fault why;
    if (now - b->heard_us > CONNECT_S * INT64_C(1000000)) {
        (void)FAIL(&why, CODE_IO, 0,
                   "%u of %u connections were made, then the broker did not answer for %d s", b->ready, all,
                   CONNECT_S);
        bench_fail(b, &why);
        return;
    }
    /* Publishers only when everybody listens. */
    uint32_t may = b->ready < b->plan.subscribers ? b->plan.subscribers : all;
    while (b->dialled < may && b->dialled - b->ready < DIALS_AT_ONCE && b->phase == PHASE_CONNECT)
        bench_dial(bench_peer(b, b->dialled++));
    if (b->ready < all || b->phase != PHASE_CONNECT)
        return;
    b->start_us = now;
    enter(b, PHASE_WARM_UP, now);
    if (b->plan.rate > 0 && pacer_start(&b->pacer, b->loop, b->plan.io, &why) != CODE_OK)
        bench_fail(b, &why);
}

static void begin_measuring(struct bench *b, int64_t now)
{
    histogram_reset(&b->out->latency);
    histogram_reset(&b->out->ack);
    b->published0 = b->published;
    b->delivered0 = b->delivered;
    b->acked0 = b->acked;
    look_at(b, &b->broker0);
    b->generator0 = own_cpu_us();
    b->out->stalls = 0;
    b->from_us = now;
    b->to_us = INT64_MAX;
    enter(b, PHASE_MEASURE, now);
}

static void end_measuring(struct bench *b, int64_t now)
{
    struct bench_result *r = b->out;
    if (b->phase != PHASE_MEASURE)
        return;
    r->seconds = (double)(now - b->phase_us) / 1e6;
    r->published = b->published - b->published0;
    r->delivered = b->delivered - b->delivered0;
    r->acked = b->acked - b->acked0;
    r->generator_us = own_cpu_us() - b->generator0;
    look_at(b, &r->broker);
    r->broker.known &= b->broker0.known;
    r->broker.cpu_us -= r->broker.known ? b->broker0.cpu_us : 0;
    for (uint32_t i = 0; i < b->plan.publishers; i++)
        r->behind += b->publishers[i].due > b->publishers[i].sent
                         ? b->publishers[i].due - b->publishers[i].sent
                         : 0;
    atomic_store(&b->pacer.due_us, INT64_MAX);
    b->to_us = now;
    enter(b, PHASE_DRAIN, now);
    b->heard_us = now;
}

static void count_end(struct bench *b)
{
    struct bench_result *r = b->out;
    r->sent = b->published;
    r->acked_all = b->acked;
    r->unacked = b->flying;
    r->expected = r->lost = r->again = r->late = 0;
    for (uint32_t i = 0; i < b->audience_count; i++) {
        const struct audience *a = &b->audiences[i];
        for (uint32_t k = 0; k < a->count; k++) {
            uint64_t sent = b->publishers[a->first + k].sent;
            r->expected += sent;
            r->lost += sequence_missing(&a->streams[k], sent);
            r->again += a->streams[k].again;
            r->late += a->streams[k].late;
        }
    }
}

static void clean_up(struct bench *b, int64_t now)
{
    count_end(b);
    b->left = b->dialled = 0;
    for (uint32_t i = 0; i < bench_peer_count(b); i++)
        bench_leave(bench_peer(b, i));
    enter(b, PHASE_CLEAN, now);
    b->heard_us = now;
}

/* All are gone; sessions that outlive their connection are thrown away by one more, clean start. */
static void clean_more(struct bench *b, int64_t now)
{
    uint32_t all = bench_peer_count(b), kept = b->plan.persistent ? b->plan.subscribers : 0;
    struct fault why;
    if (now - b->heard_us > CONNECT_S * INT64_C(1000000)) {
        (void)FAIL(&why, CODE_IO, 0, "the broker did not answer for %d s while the connections were closed",
                   CONNECT_S);
        bench_fail(b, &why);
    }
    while (b->left >= all && b->dialled < kept && b->dialled < b->left - all + DIALS_AT_ONCE &&
           b->phase == PHASE_CLEAN)
        bench_dial(bench_peer(b, b->dialled++));
    if (b->left == all + kept && b->phase == PHASE_CLEAN) {
        b->phase = PHASE_DONE;
        loop_stop(b->loop);
    }
}

static bool all_there(struct bench *b)
{
    if (b->flying)
        return false;
    count_end(b);
    return b->out->lost == 0;
}

static void check_stall(struct bench *b, int64_t now)
{
    if (now - b->heard_us < STALL_US || b->plan.rate > 0 || !bench_nothing_came(b))
        return;
    b->out->stalls++;
    b->heard_us = now;
}

static void on_tick(struct timer *t)
{
    struct bench *b = (struct bench *)(void *)((char *)t - offsetof(struct bench, tick));
    int64_t now = bench_now(b);
    bool stop = b->plan.interrupted && *b->plan.interrupted;
    if (stop)
        b->out->interrupted = true;
    switch (b->phase) {
    case PHASE_CONNECT: connect_more(b, now); break;
    case PHASE_WARM_UP:
        check_stall(b, now);
        if (stop || now - b->phase_us >= (int64_t)b->plan.warm_up_us)
            begin_measuring(b, now);
        break;
    case PHASE_MEASURE:
        check_stall(b, now);
        if (stop || now - b->phase_us >= (int64_t)b->plan.duration_us)
            end_measuring(b, now);
        break;
    case PHASE_DRAIN:
        if (now - b->heard_us >= DRAIN_QUIET_US || (now - b->phase_us >= CALM_US && all_there(b)))
            clean_up(b, now);
        break;
    case PHASE_CLEAN: clean_more(b, now); break;
    case PHASE_DONE: return;
    }
    if (b->phase == PHASE_CONNECT && stop) {
        struct fault why;
        (void)FAIL(&why, CODE_IO, 0, "interrupted before all connections were made");
        bench_fail(b, &why);
    }
    write_acked(b);
    say_progress(b, now);
    timer_start(b->loop, &b->tick, TICK_MS, on_tick);
}

static void on_ping(struct timer *t)
{
    struct bench *b = (struct bench *)(void *)((char *)t - offsetof(struct bench, ping));
    for (uint32_t i = 0; i < bench_peer_count(b); i++)
        if (bench_peer(b, i)->state == PEER_READY)
            mqtt_encode_empty(conn_out(bench_peer(b, i)->conn), MQTT_PINGREQ);
    timer_start(b->loop, &b->ping, PING_MS, on_ping);
}

/* ---- making and unmaking ---- */

static enum code make_audiences(struct bench *b)
{
    const struct bench_plan *p = &b->plan;
    b->audience_count = p->share && p->subscribers ? 1 : p->subscribers;
    b->audiences = mem_zalloc(b->audience_count ? b->audience_count : 1, sizeof *b->audiences);
    if (!b->audiences)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < b->audience_count; i++) {
        struct audience *a = &b->audiences[i];
        a->first = p->pairs ? i : 0;
        a->count = p->pairs ? 1 : p->publishers;
        a->streams = mem_zalloc(a->count, sizeof *a->streams);
        if (!a->streams)
            return CODE_NOMEM;
    }
    return CODE_OK;
}

static enum code make_peers(struct bench *b)
{
    const struct bench_plan *p = &b->plan;
    b->subscribers = mem_zalloc(p->subscribers ? p->subscribers : 1, sizeof *b->subscribers);
    b->publishers = mem_zalloc(p->publishers, sizeof *b->publishers);
    if (!b->subscribers || !b->publishers || make_audiences(b) != CODE_OK)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < p->subscribers; i++)
        b->subscribers[i] = (struct peer){
            .bench = b, .number = i, .subscriber = true, .audience = &b->audiences[p->share ? 0 : i]};
    for (uint32_t i = 0; i < p->publishers; i++)
        b->publishers[i] = (struct peer){.bench = b, .number = i};
    return CODE_OK;
}

static enum code open_all(struct bench *b, struct fault *why)
{
    const struct io *io = b->plan.io;
    uint32_t draw;
    io->random(io->self, &draw, sizeof draw);
    (void)snprintf(b->out->run, sizeof b->out->run, "%06x", draw & 0xffffff);
    (void)snprintf(b->topic, sizeof b->topic, "%s/%s", b->plan.prefix, b->out->run);
    b->acked_file = -1;
    if (b->plan.acked_file) {
        b->acked_file = io->open(io->self, b->plan.acked_file, IO_WRITE | IO_CREATE);
        if (b->acked_file < 0 || io->truncate(io->self, b->acked_file, 0) < 0)
            return FAIL_SYS(why, CODE_IO, b->acked_file < 0 ? -b->acked_file : EIO, "cannot write %s",
                            b->plan.acked_file);
    }
    if (make_peers(b) != CODE_OK)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %u publishers and %u subscribers", b->plan.publishers,
                    b->plan.subscribers);
    enum code c = bench_templates(b, why);
    return c == CODE_OK ? loop_open_uv(&b->loop, why) : c;
}

static void close_all(struct bench *b)
{
    pacer_stop(&b->pacer);
    if (b->loop) {
        timer_stop(b->loop, &b->tick);
        timer_stop(b->loop, &b->ping);
        loop_close(b->loop);
    }
    if (b->acked_file >= 0)
        b->plan.io->close(b->plan.io->self, b->acked_file);
    for (uint32_t i = 0; b->publishers && i < b->plan.publishers; i++) {
        mem_free(b->publishers[i].flights);
        mem_free(b->publishers[i].free_ids);
    }
    for (uint32_t i = 0; b->audiences && i < b->audience_count; i++) {
        for (uint32_t k = 0; b->audiences[i].streams && k < b->audiences[i].count; k++)
            sequence_clear(&b->audiences[i].streams[k]);
        mem_free(b->audiences[i].streams);
    }
    for (uint32_t i = 0; b->templates && i < b->plan.topics; i++)
        mem_free(b->templates[i].at);
    mem_free(b->templates);
    mem_free(b->audiences);
    mem_free(b->publishers);
    mem_free(b->subscribers);
    buf_clear(&b->acked_text);
}

/* Many connections are many descriptors; the system's default is 1,024. */
static void raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

enum code bench_run(const struct bench_plan *plan, struct bench_result *out, struct fault *why)
{
    struct bench b = {.plan = *plan, .out = out};
    memset(out, 0, sizeof *out);
    raise_files();
    enum code c = open_all(&b, why);
    if (c == CODE_OK) {
        loop_set_turn(b.loop, bench_send, &b);
        b.phase_us = b.heard_us = bench_now(&b);
        b.progress_us = b.phase_us;
        timer_start(b.loop, &b.tick, 0, on_tick);
        timer_start(b.loop, &b.ping, PING_MS, on_ping);
        loop_run(b.loop);
        end_progress(&b);
        if (b.why.code) {
            b.phase = b.failed_in;
            end_measuring(&b, bench_now(&b));
            write_acked(&b);
            count_end(&b);
            *why = b.why;
            c = b.why.code;
            b.phase = PHASE_DONE;
        }
    }
    close_all(&b);
    return c;
}
