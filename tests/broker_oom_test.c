/* Memory is refused to a whole broker, at each allocation in turn: no crash, no leak, no broken promise. Clients may be
 * refused and connections may end; what was acknowledged is there when memory is.
 * timeout: 600 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/broker_tests.h"
#include "support/oom.h"
#include "support/traffic.h"

struct scenario {
    uint64_t     seed;
    unsigned     acts, payload_max;
    unsigned     stretch; /* the stretch of work in which an allocation is refused */
    unsigned     at;      /* stretches so far in this run */
    bool         armed, reached;
    char         what[320];
};

static void enter(void *guard)
{
    struct scenario *s = guard;
    if (++s->at != s->stretch)
        return;
    s->armed = s->reached = true;
    oom_arm();
}

static void leave(void *guard)
{
    struct scenario *s = guard;
    if (s->armed)
        oom_disarm();
    s->armed = false;
}

static struct rig_config config_of(struct scenario *s)
{
    struct rig_config c;
    rig_defaults(&c);
    c.seed = s->seed;
    c.shards = 1 + (unsigned)(s->seed % 3);
    c.enter = enter;
    c.leave = leave;
    c.guard = s;
    return c;
}

static const char *broken(struct scenario *s, const char *what)
{
    (void)snprintf(s->what, sizeof s->what, "stretch %u: %s", s->stretch, what);
    return s->what;
}

/* Everybody comes back to a node that has memory again, and takes what it is owed. */
static const char *recover(struct scenario *s, struct rig *rig, struct traffic *t)
{
    struct fault why;
    t->ledger.tolerant = false;
    traffic_crashed(t);
    if (rig_open(rig, &why) != CODE_OK)
        return broken(s, why.text);
    traffic_attach(t, rig);
    const char *what = state_compare(rig);
    if (what)
        return broken(s, what);
    traffic_recover(t);
    traffic_detach(t);
    return t->ledger.broken[0] ? broken(s, t->ledger.broken) : NULL;
}

/* A short life of which one stretch has no memory for one allocation; then a crash, or an orderly stop. */
static const char *live(void *ctx)
{
    struct scenario *s = ctx;
    struct ledger_cast cast;
    traffic_cast(&cast, s->seed);
    struct rig_config config = config_of(s);
    struct rig *rig = rig_new(&config);
    struct traffic *t = traffic_new(s->seed, &cast, NULL);
    struct fault why;
    s->at = 0;
    s->reached = false;
    t->payload_max = s->payload_max;
    t->trace = getenv("TRAFFIC_TRACE") ? stderr : NULL;
    t->ledger.tolerant = true;
    const char *what = NULL;
    if (rig_open(rig, &why) != CODE_OK) {
        what = broken(s, why.text);
    } else {
        traffic_attach(t, rig);
        traffic_begin(t);
        traffic_run(t, s->acts);
        traffic_settle(t);
        if (t->ledger.broken[0])
            what = broken(s, t->ledger.broken);
        traffic_detach(t);
        if (s->seed % 2)
            rig_close(rig);
        else
            rig_abandon(rig);
    }
    rig->config.enter = rig->config.leave = NULL;
    if (!what)
        what = recover(s, rig, t);
    if (what && rig->broker && t->rig)
        traffic_detach(t);
    rig_free(rig);
    traffic_free(t);
    return what;
}

static void lives_without_memory(struct scenario s, unsigned step)
{
    log_set_level(LOG_ERROR);
    unsigned stretches = 0;
    uint64_t refused = 0;
    for (s.stretch = 1; s.stretch == 1 || s.reached; s.stretch += step) {
        struct oom_result r;
        char name[40];
        (void)snprintf(name, sizeof name, "seed %llu, stretch %u", (unsigned long long)s.seed, s.stretch);
        if (!oom_each(name, live, &s, &r))
            fail_msg("%s", r.first);
        refused += r.refused;
        stretches++;
    }
    print_message("seed %llu: %u stretches, %llu allocations refused\n", (unsigned long long)s.seed, stretches,
                  (unsigned long long)refused);
    assert_true(refused > 100 || getenv("OOM_AT"));
}

static void no_allocation_of_a_broker_must_succeed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        lives_without_memory((struct scenario){ .seed = seed, .acts = 35, .payload_max = 100 }, 1);
}

/* Segments come and go, and rounds of state are written. */
static void nor_while_segments_come_and_go(void **state)
{
    (void)state;
    lives_without_memory((struct scenario){ .seed = 7, .acts = 110, .payload_max = 2500 }, 3);
}

/* ---- starting ---- */

struct start {
    struct rig  *rig;
    char        *text;  /* the state as it must be */
    char         what[320];
};

static const char *start(void *ctx)
{
    struct start *s = ctx;
    struct memfs *copy = memfs_copy(s->rig->fs);
    struct rig_config config = s->rig->config;
    config.fs = copy;
    struct rig *rig = rig_new(&config);
    struct fault why;
    const char *what = NULL;
    oom_arm();
    enum code c = rig_open(rig, &why);
    oom_disarm();
    if (c != CODE_OK && c != CODE_NOMEM) {
        (void)snprintf(s->what, sizeof s->what, "the start ends with %s: %s", code_name(c), why.text);
        what = s->what;
    }
    if (c != CODE_OK && (c = rig_open(rig, &why)) != CODE_OK) {
        (void)snprintf(s->what, sizeof s->what, "no start after one without memory: %s", why.text);
        what = s->what;
    }
    if (c == CODE_OK && !what) {
        char *text = state_text(rig->broker);
        if (strcmp(text, s->text) != 0)
            what = "the state is another one after a start without memory";
        free(text);
    }
    rig_free(rig);
    memfs_free(copy);
    return what;
}

static void a_start_without_memory_fails_whole(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 3; seed <= 7; seed += 4) {
        struct ledger_cast cast;
        struct rig_config config;
        struct start s = { .rig = NULL };
        traffic_cast(&cast, seed);
        rig_defaults(&config);
        s.rig = rig_new(&config);
        rig_must_open(s.rig);
        struct traffic *t = traffic_new(seed, &cast, NULL);
        t->payload_max = seed == 7 ? 2500 : 100;
        traffic_attach(t, s.rig);
        traffic_begin(t);
        traffic_run(t, 60);
        rig_run(s.rig);
        traffic_detach(t);
        traffic_free(t);
        rig_restart(s.rig, CRASH); /* nobody is connected: a further start changes nothing */
        rig_run(s.rig);
        s.text = state_text(s.rig->broker);
        struct oom_result r;
        if (!oom_each("start", start, &s, &r))
            fail_msg("%s", r.first);
        assert_true(r.refused > 50);
        free(s.text);
        rig_free(s.rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_without_memory_fails_whole),
        cmocka_unit_test(no_allocation_of_a_broker_must_succeed),
        cmocka_unit_test(nor_while_segments_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
