/* crashsim - lets the power go very many times in the lives of brokers under random traffic, and counts broken promises.
 *
 *     crashsim --states 1000000 --jobs 2          the last line: N crash states, 0 violations
 *     crashsim --seed 7 --states 20000
 *     crashsim --at 7:138:883916917               one state again, as printed with a violation; --trace: every packet
 *     crashsim --break ack                        a broker that breaks a promise: status 1 is what is hoped for
 *
 * Status 0: every promise was kept; 1: one was broken; 2: it could not be done. */
#include "support/broker_judge.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64 };

struct ask {
    uint64_t         seed, states;
    unsigned         jobs;
    enum judge_break breaks;
    const char      *at;
};

static int usage(void)
{
    (void)fputs("usage: crashsim [--seed N] [--states N] [--jobs N] [--break sync|all-syncs|ack|pid] [--at PLACE [--trace]]\n",
                stderr);
    return 2;
}

static bool read_break(const char *word, enum judge_break *out)
{
    for (int i = 0; i < JUDGE_BREAKS; i++)
        if (strcmp(word, judge_break_name((enum judge_break)i)) == 0) {
            *out = (enum judge_break)i;
            return true;
        }
    return false;
}

static bool read_ask(int argc, char **argv, struct ask *ask)
{
    static const struct option options[] = { { "seed", 1, 0, 's' }, { "states", 1, 0, 'n' }, { "jobs", 1, 0, 'j' },
                                             { "break", 1, 0, 'b' }, { "at", 1, 0, 'a' },    { "state", 1, 0, 'a' },
                                             { "trace", 0, 0, 't' }, { 0, 0, 0, 0 } };
    *ask = (struct ask){ .seed = 1, .states = 100000, .jobs = 1 };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's': ask->seed = strtoull(optarg, NULL, 10); break;
        case 'n': ask->states = strtoull(optarg, NULL, 10); break;
        case 'j': ask->jobs = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'a': ask->at = optarg; break;
        case 't': (void)setenv("CRASH_TRACE", "1", 1); break;
        case 'b':
            if (!read_break(optarg, &ask->breaks))
                return false;
            break;
        default: return false;
        }
    }
    if (ask->at)
        ask->jobs = 1;
    return optind == argc && ask->jobs >= 1 && ask->jobs <= JOBS_MAX && ask->states > 0;
}

/* Each job has seeds of its own, so that no run is done twice. */
static struct verdict run(const struct ask *ask, unsigned job)
{
    struct broker_judge *b = broker_judge_new(ask->breaks);
    struct judge j = broker_judge_on(b);
    struct verdict v;
    j.seed = ask->seed + (uint64_t)job * 1000000000;
    j.states = ask->states / ask->jobs + (job < ask->states % ask->jobs);
    j.at = ask->at;
    (void)judge_run(&j, &v);
    broker_judge_free(b);
    return v;
}

static bool run_apart(const struct ask *ask, unsigned job, int *result, pid_t *pid)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    (void)fflush(stdout);
    *pid = fork();
    if (*pid < 0)
        return false;
    if (*pid == 0) {
        (void)close(ends[0]);
        struct verdict v = run(ask, job);
        (void)fflush(stdout);
        _exit(write(ends[1], &v, sizeof v) == (ssize_t)sizeof v ? 0 : 2);
    }
    (void)close(ends[1]);
    *result = ends[0];
    return true;
}

static void add(struct verdict *sum, const struct verdict *v)
{
    sum->logs += v->logs;
    sum->operations += v->operations;
    sum->marks += v->marks;
    sum->states += v->states;
    sum->again += v->again;
    sum->violations += v->violations;
}

static bool run_all(const struct ask *ask, struct verdict *sum)
{
    int results[JOBS_MAX];
    pid_t pids[JOBS_MAX];
    bool fine = true;
    for (unsigned i = 0; i < ask->jobs; i++)
        if (!run_apart(ask, i, &results[i], &pids[i]))
            return false;
    for (unsigned i = 0; i < ask->jobs; i++) {
        struct verdict v;
        int status;
        bool whole = read(results[i], &v, sizeof v) == (ssize_t)sizeof v; /* smaller than what a pipe keeps together */
        bool ended = waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (whole && ended)
            add(sum, &v);
        else
            fine = false;
        (void)close(results[i]);
    }
    return fine;
}

int main(int argc, char **argv)
{
    struct ask ask;
    struct verdict sum = { 0 };
    struct timespec from, to;
    if (!read_ask(argc, argv, &ask))
        return usage();
    clock_gettime(CLOCK_MONOTONIC, &from);
    bool fine = true;
    if (ask.jobs == 1)
        sum = run(&ask, 0);
    else
        fine = run_all(&ask, &sum);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    if (!fine) {
        (void)fputs("crashsim: a job ended before it was done\n", stderr);
        return 1;
    }
    printf("%.0f s, %.0f states/s; %" PRIu64 " runs, %" PRIu64 " writes and syncs, %" PRIu64 " packets\n", s,
           (double)sum.states / (s > 0 ? s : 1), sum.logs, sum.operations, sum.marks);
    printf("%" PRIu64 " crash states, %" PRIu64 " violations\n", sum.states, sum.violations);
    return sum.violations ? 1 : 0;
}
