#include "support/broker_judge.h"

#include "base/log.h"
#include "broker/private.h"
#include "support/broker_state.h"
#include "support/traffic.h"

#include <stdlib.h>

enum { ACTS = 110, MARK_FIRST_LIFE = 0, MARK_RECOVERY = 1 };

struct broker_judge {
    enum judge_break   breaks;
    uint64_t           seed;
    struct ledger_cast cast;
    struct traffic    *life;      /* the recorded run, and its recorded recovery */
    struct traffic    *recovery;
    struct ledger     *base;      /* after the first `base_count` events of the run */
    size_t             base_count;
    uint64_t           states;
    char               what[320];
    /* JUDGE_BREAK_SYNC */
    uint64_t           sync_at, syncs;
    bool               ignoring;
    void (*look)(void *, struct rig *);
};

const char *judge_break_name(enum judge_break b)
{
    static const char *const names[] = { "nothing", "sync", "all-syncs", "ack", "pid" };
    return names[b];
}

struct broker_judge *broker_judge_new(enum judge_break breaks)
{
    struct broker_judge *b = calloc(1, sizeof *b);
    struct ledger *base = calloc(1, sizeof *base);
    if (!b || !base)
        abort();
    b->breaks = breaks;
    b->base = base;
    return b;
}

void broker_judge_free(struct broker_judge *b)
{
    if (!b)
        return;
    traffic_free(b->life);
    traffic_free(b->recovery);
    free(b->base);
    free(b);
}

static struct rig_config config_of(uint64_t seed, struct memfs *fs)
{
    struct random r = { random_mix(seed, 5) };
    struct rig_config c;
    rig_defaults(&c);
    c.seed = random_u64(&r);
    c.fs = fs;
    c.shards = 1 + (unsigned)random_below(&r, 3);
    c.lazy_percent = (unsigned)random_below(&r, 80);
    c.split = random_chance(&r, 15);
    c.keep_bytes = random_chance(&r, 60) ? 40000 : 0;
    c.limits.unsent_s = LIMIT_NONE_32 / 1000; /* clients that stall may stall for long */
    return c;
}

/* ---- breaking ---- */

/* The step of the journal that follows syncs nothing, once. */
static void look_and_ignore(void *ctx, struct rig *rig)
{
    struct broker_judge *b = ctx;
    b->look(b->life, rig);
    uint64_t syncs = memfs_calls(rig->fs, FS_FDATASYNC);
    if (b->ignoring && syncs > b->syncs) {
        memfs_ignore_sync(rig->fs, false, false);
        b->ignoring = false;
        b->sync_at = UINT64_MAX;
    } else if (!b->ignoring && syncs >= b->sync_at) {
        memfs_ignore_sync(rig->fs, true, false);
        b->ignoring = true;
        b->syncs = syncs;
    }
}

static void begin_breaking(struct broker_judge *b, struct rig *rig)
{
    struct random r = { random_mix(b->seed, 8) };
    b->sync_at = memfs_calls(rig->fs, FS_FDATASYNC) + random_below(&r, 60);
    b->ignoring = false;
    switch (b->breaks) {
    case JUDGE_BREAK_SYNC:
        b->look = rig->config.look;
        rig->config.look = look_and_ignore;
        rig->config.ctx = b;
        break;
    case JUDGE_BREAK_ALL_SYNCS:
        memfs_ignore_sync(rig->fs, true, false);
        break;
    case JUDGE_BREAK_ACK:
        broker_break(BREAK_EARLY_ACK, 1 + (unsigned)random_below(&r, 40));
        break;
    case JUDGE_BREAK_PID:
        broker_break(BREAK_FORGET_PID, 1 + (unsigned)random_below(&r, 20));
        break;
    default:
        break;
    }
}

static void end_breaking(struct rig *rig)
{
    memfs_ignore_sync(rig->fs, false, false);
    broker_break(BREAK_NOTHING, 0);
}

/* ---- the workload ---- */

static bool start(struct rig *rig, struct traffic *t, struct fault *why)
{
    if (rig_open(rig, why) != CODE_OK)
        return false;
    traffic_attach(t, rig);
    return true;
}

/* Once in a while the node is stopped in order and started again while it is recorded. */
static void restart(struct rig *rig, struct traffic *t)
{
    struct fault why;
    traffic_restarting(t);
    traffic_detach(t);
    rig_close(rig);
    if (!start(rig, t, &why))
        abort();
}

static void workload(void *ctx, uint64_t seed, struct memfs *fs, struct crash *rec)
{
    struct broker_judge *b = ctx;
    struct fault why;
    log_set_level(LOG_ERROR);
    b->seed = seed;
    traffic_cast(&b->cast, seed);
    traffic_free(b->life);
    b->life = traffic_new(seed, &b->cast, rec);
    b->life->keep_events = true;
    b->life->trace = getenv("CRASH_TRACE") ? stderr : NULL;
    ledger_init(b->base, &b->cast);
    b->base_count = 0;
    struct rig_config config = config_of(seed, fs);
    struct rig *rig = rig_new(&config);
    if (!start(rig, b->life, &why)) {
        (void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, why.text);
        abort();
    }
    static const unsigned payloads[] = { 200, 400, 1200, 2500 }; /* large ones make segments come and go */
    b->life->payload_max = payloads[seed % 4];
    traffic_begin(b->life);
    begin_breaking(b, rig);
    traffic_run(b->life, seed % 8 == 7 ? 3 * ACTS : ACTS);
    if (seed % 5 == 0 && !b->life->ledger.broken[0] && b->breaks == JUDGE_BREAK_NOTHING) {
        restart(rig, b->life);
        traffic_run(b->life, ACTS / 2);
    }
    traffic_detach(b->life);
    end_breaking(rig);
    rig_free(rig);
}

/* ---- the verdict on one state ---- */

static void bring_base_to(struct broker_judge *b, size_t count)
{
    if (count < b->base_count) {
        ledger_init(b->base, &b->cast);
        b->base_count = 0;
    }
    while (b->base_count < count)
        ledger_apply(b->base, &b->life->events[b->base_count++]);
}

/* What was known when the power went, the second time, if there was one. */
static void recall(struct broker_judge *b, struct traffic *t, struct crash_marks marks)
{
    size_t first = marks.count;
    while (first > 0 && marks.mark[first - 1].kind == MARK_RECOVERY)
        first--;
    bring_base_to(b, first);
    ledger_copy(&t->ledger, b->base);
    traffic_crashed(t);
    for (size_t i = first; i < marks.count; i++)
        ledger_apply(&t->ledger, &b->recovery->events[marks.mark[i].value]);
    if (marks.count > first)
        traffic_crashed(t);
}

static const char *examine(struct broker_judge *b, struct traffic *t, struct memfs *disk, size_t marks)
{
    struct rig_config config = config_of(random_mix(b->seed, marks), disk);
    config.keep_bytes = config_of(b->seed, disk).keep_bytes;
    struct rig *rig = rig_new(&config);
    struct fault why;
    const char *what = NULL;
    if (!start(rig, t, &why)) {
        (void)snprintf(b->what, sizeof b->what, "it does not start: %s", why.text);
        rig_free(rig);
        return b->what;
    }
    if (b->states % 64 == 0 && (what = state_compare(rig)))
        (void)snprintf(t->ledger.broken, sizeof t->ledger.broken, "memory and replay differ: %s", what);
    if (!t->ledger.broken[0])
        traffic_recover(t);
    traffic_detach(t);
    rig_free(rig);
    if (!t->ledger.broken[0])
        return NULL;
    (void)snprintf(b->what, sizeof b->what, "%s", t->ledger.broken);
    return b->what;
}

/* How it came to that, for a person (CRASH_STORY=1): all packets, also of what --at does not show again. */
static void tell_story(const struct broker_judge *b, const struct traffic *t, struct crash_marks marks)
{
    for (size_t i = 0; i < marks.count; i++) {
        const struct traffic *of = marks.mark[i].kind == MARK_RECOVERY ? b->recovery : b->life;
        (void)fprintf(stderr, "%s %5zu ", marks.mark[i].kind == MARK_RECOVERY ? "recovery" : "life", i);
        ledger_print_event(&b->cast, &of->events[marks.mark[i].value], stderr);
    }
    for (size_t i = 0; i < t->event_count; i++) {
        (void)fprintf(stderr, "last %5zu ", i);
        ledger_print_event(&b->cast, &t->events[i], stderr);
    }
}

static const char *verify(void *ctx, struct memfs *disk, struct crash_marks marks, struct crash *rec)
{
    struct broker_judge *b = ctx;
    if (b->life->ledger.broken[0]) { /* no crash was needed */
        (void)snprintf(b->what, sizeof b->what, "%s", b->life->ledger.broken);
        return b->what;
    }
    struct traffic *t = traffic_new(b->seed, &b->cast, rec);
    t->dice.state = random_mix(random_mix(b->seed, marks.count), 1);
    t->mark_kind = MARK_RECOVERY;
    t->payload_max = b->life->payload_max;
    t->keep_events = rec || getenv("CRASH_STORY");
    t->trace = getenv("CRASH_TRACE") ? stderr : NULL;
    b->states++;
    recall(b, t, marks);
    const char *what = examine(b, t, disk, marks.count);
    if (what && getenv("CRASH_STORY"))
        tell_story(b, t, marks);
    if (rec) { /* the crashes of this recovery come next */
        traffic_free(b->recovery);
        b->recovery = t;
    } else {
        traffic_free(t);
    }
    return what;
}

struct judge broker_judge_on(struct broker_judge *b)
{
    return (struct judge){ .name = "broker", .seed = 1, .states = 1000, .states_per_log = 500, .again_percent = 3,
                           .again_states = 4, .violations_max = 1, .ctx = b, .workload = workload, .verify = verify };
}
