#include "support/judge.h"

#include "support/random.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

struct run {
    const struct judge *judge;
    struct verdict *verdict;
    uint64_t seed;
    struct crash *rec;
    struct memfs *disk, *disk_again;
    struct crash_mark *marks; /* of the run and of its recovery, one behind the other */
    size_t mark_cap;
};
/* Where a crash is. */
struct place {
    uint64_t prefix, variant;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void judge_from_environment(struct judge *j)
{
    const char *states = getenv("CRASH_STATES"), *seed = getenv("CRASH_SEED");
    if (states && *states)
        j->states = strtoull(states, NULL, 10);
    if (seed && *seed)
        j->seed = strtoull(seed, NULL, 10);
    j->at = getenv("CRASH_AT");
}

static void violation(struct run *r, struct place at, const struct place *again, const char *what,
                      struct crash *inner)
{
    char where[160];
    int n = snprintf(where, sizeof where, "CRASH_AT=%" PRIu64 ":%" PRIu64 ":%" PRIu64, r->seed, at.prefix,
                     at.variant);
    if (again)
        snprintf(where + n, sizeof where - (size_t)n, ":%" PRIu64 ":%" PRIu64, again->prefix, again->variant);
    if (r->verdict->violations++ == 0)
        snprintf(r->verdict->first, sizeof r->verdict->first, "%s: %s", where, what);
    if (r->judge->quiet)
        return;
    fprintf(stderr, "%s: a promise is broken: %s\n  %s shows it again\n", r->judge->name, what, where);
    crash_print(r->rec, at.prefix, stderr);
    if (again) {
        fprintf(stderr, "and then, in the recovery, ");
        crash_print(inner, again->prefix, stderr);
    }
}

static struct crash_marks both(struct run *r, struct crash_marks a, struct crash_marks b)
{
    if (r->mark_cap < a.count + b.count) {
        r->mark_cap = (a.count + b.count) * 2;
        r->marks = realloc(r->marks, sizeof *r->marks * r->mark_cap);
        if (!r->marks)
            abort();
    }
    if (a.count > 0)
        memcpy(r->marks, a.mark, sizeof *a.mark * a.count);
    if (b.count > 0)
        memcpy(r->marks + a.count, b.mark, sizeof *b.mark * b.count);
    return (struct crash_marks){r->marks, a.count + b.count};
}

/* The machine comes up again a little later. A disk without a single operation keeps the clock it has. */
static void boot(struct memfs *disk, const struct crash *rec, uint64_t prefix, uint64_t seed)
{
    int64_t wall_us = crash_wall_us(rec, prefix);
    memfs_seed(disk, random_mix(seed, prefix));
    if (wall_us > 0)
        memfs_set_wall(disk, wall_us + 2000000);
}

static void recover_again(struct run *r, struct place at, struct crash *inner, struct place again)
{
    crash_state_build(inner, again.prefix, again.variant, r->disk_again);
    boot(r->disk_again, inner, again.prefix, r->seed);
    struct crash_marks marks = both(r, crash_marks_before(r->rec, at.prefix),
                                    crash_marks_before(inner, again.prefix));
    const char *what = r->judge->verify(r->judge->ctx, r->disk_again, marks, NULL);
    r->verdict->states++;
    r->verdict->again++;
    if (what)
        violation(r, at, &again, what, inner);
}

static uint64_t some_variant(struct random *dice)
{
    return random_chance(dice, 40) ? random_below(dice, CRASH_RANDOM)
                                   : CRASH_RANDOM + random_below(dice, 1u << 30);
}

/* A program that was repaired meanwhile may do less. */
static uint64_t within(const struct crash *rec, uint64_t prefix)
{
    return prefix < crash_length(rec) ? prefix : crash_length(rec);
}

/* One state; with `times` > 0 its recovery is crashed so often, or with `only` at that one place. */
static void recover(struct run *r, struct place at, unsigned times, const struct place *only)
{
    bool record = times > 0 || only;
    struct crash *inner = NULL;
    if (record && at.variant == CRASH_KILL) {
        inner = crash_kill(r->rec, at.prefix, r->disk);
    } else {
        crash_state_build(r->rec, at.prefix, at.variant, r->disk);
        inner = record ? crash_begin(r->disk) : NULL;
    }
    boot(r->disk, r->rec, at.prefix, r->seed);
    const char *what = r->judge->verify(r->judge->ctx, r->disk, crash_marks_before(r->rec, at.prefix), inner);
    r->verdict->states++;
    if (what)
        violation(r, at, NULL, what, NULL);
    if (inner)
        crash_end(inner);
    if (only)
        recover_again(r, at, inner, (struct place){within(inner, only->prefix), only->variant});
    struct random dice = {random_mix(at.prefix, at.variant)};
    for (unsigned i = 0; !only && !what && i < times; i++) {
        struct place again = {random_below(&dice, crash_length(inner) + 1), some_variant(&dice)};
        recover_again(r, at, inner, again);
    }
    crash_free(inner);
}

static bool enough(const struct run *r)
{
    const struct judge *j = r->judge;
    return r->verdict->states >= j->states ||
           r->verdict->violations >= (j->violations_max ? j->violations_max : 1);
}

/* Spread over all prefixes, in order; a prefix with nothing unsynced has one state. */
static void crash_everywhere(struct run *r)
{
    const struct judge *j = r->judge;
    uint64_t n = j->states_per_log ? j->states_per_log : 1000, length = crash_length(r->rec),
             last = UINT64_MAX;
    struct random dice = {random_mix(r->seed, 99)};
    for (uint64_t i = 0; i < n && !enough(r); i++) {
        /* In the middle of its share, so that fewer states than prefixes do not always meet the same ones. */
        uint64_t prefix = (i * (length + 1) + random_below(&dice, length + 1)) / n;
        if (prefix > length)
            prefix = length;
        if (prefix == last && crash_pending(r->rec, prefix) == 0)
            continue;
        last = prefix;
        struct place at = {prefix, some_variant(&dice)};
        bool again = random_chance(&dice, at.variant == CRASH_KILL ? 100 : j->again_percent);
        recover(r, at, again && j->again_percent > 0 ? j->again_states ? j->again_states : 4 : 0, NULL);
    }
}

static void record(struct run *r, uint64_t seed)
{
    struct memfs *fs = memfs_new(seed);
    r->seed = seed;
    r->rec = crash_begin(fs);
    r->judge->workload(r->judge->ctx, seed, fs, r->rec);
    crash_end(r->rec);
    memfs_free(fs);
    r->verdict->logs++;
    r->verdict->operations += crash_length(r->rec);
    r->verdict->marks += crash_marks_before(r->rec, UINT64_MAX).count;
}

static void one_place(struct run *r, const char *at)
{
    uint64_t n[5] = {0};
    int count = 0;
    for (char *end; count < 5 && *at; at = *end ? end + 1 : end)
        n[count++] = strtoull(at, &end, 10);
    record(r, n[0]);
    struct place again = {n[3], n[4]};
    recover(r, (struct place){within(r->rec, n[1]), n[2]}, 0, count == 5 ? &again : NULL);
    crash_free(r->rec);
}

bool judge_run(const struct judge *j, struct verdict *v)
{
    *v = (struct verdict){0};
    struct run r = {.judge = j, .verdict = v, .disk = memfs_new(0), .disk_again = memfs_new(0)};
    double start = now_s();
    if (j->at && *j->at)
        one_place(&r, j->at);
    else
        for (uint64_t seed = j->seed; !enough(&r); seed++) {
            record(&r, seed);
            crash_everywhere(&r);
            crash_free(r.rec);
        }
    memfs_free(r.disk);
    memfs_free(r.disk_again);
    free(r.marks);
    v->seconds = now_s() - start;
    printf("%s: seed %" PRIu64 ", %" PRIu64 " runs, %" PRIu64 " operations, %" PRIu64 " marks; %" PRIu64
           " crash states (%" PRIu64 " of recoveries) in %.1f s, %.0f a second; %" PRIu64 " violations\n",
           j->name, j->seed, v->logs, v->operations, v->marks, v->states, v->again, v->seconds,
           (double)v->states / (v->seconds > 0 ? v->seconds : 1), v->violations);
    return v->violations == 0;
}
