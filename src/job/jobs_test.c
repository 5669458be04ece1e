/* Which jobs there are: what begins, what ends, and what a failure in between must not take away. A job's thread finds
 * nothing that it could publish: it would wait for loops that this thread turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "job/job_private.h"
#include "message/message.h"
#include "support/broker_tests.h"

static void nothing(void *ctx)
{
    (void)ctx;
}

static struct job_plan *plan_of(const char *name)
{
    struct job_spec spec = {.name = name, .file = "a.sql", .sql = BYTES_LIT("SELECT v INTO o FROM [t] WHERE v > 1")};
    struct job_plan *p;
    struct fault why;
    query_options_default(&spec.options);
    if (job_plan_new(&p, &spec, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return p;
}

static struct jobs *open_jobs(struct rig *rig)
{
    struct jobs *all;
    struct fault why;
    if (jobs_open(&all, rig->broker, rig->journal, memfs_io(rig->fs), RIG_DATA, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return all;
}

/* A reader as a job of that name has left it: with a message that waits. */
static void leave_one(struct rig *rig, const char *name)
{
    struct consumer *c;
    struct fault why;
    assert_int_equal(
        consumer_open(&c, rig->broker, &(struct consumer_options){.name = name, .ready = nothing}, &why), CODE_OK);
    assert_int_equal(consumer_subscribe(c, &(struct consumer_filter){BYTES_LIT("t"), 1}, 1, &why), CODE_OK);
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){.client_id = "press-1"}, false);
    peer_published(p, "t", "{\"v\":1}", 1, false, 0);
    consumer_close(c);
}

static uint64_t waits(struct rig *rig, const char *name)
{
    struct consumer *c;
    struct fault why;
    assert_int_equal(
        consumer_open(&c, rig->broker, &(struct consumer_options){.name = name, .ready = nothing}, &why), CODE_OK);
    uint64_t n = consumer_waiting(c);
    consumer_close(c);
    return n;
}

/* Whatever it lacked memory for: it is not there, and what waits for it is. */
static void what_could_not_begin_keeps_what_waits(struct rig *rig)
{
    struct fault why;
    unsigned failed = 0;
    for (uint64_t n = 1; n < 30; n++) {
        leave_one(rig, "job/a");
        uint64_t before = waits(rig, "job/a"); /* a job that did begin has read it */
        struct jobs *all = open_jobs(rig);
        struct job_plan *plans[] = {plan_of("a")};
        mem_fail_at(n);
        failed += jobs_apply(all, plans, 1, &why) != CODE_OK;
        mem_fail_at(0);
        if (!all->first)
            assert_int_equal(waits(rig, "job/a"), before);
        jobs_close(all);
    }
    assert_true(failed > 5);
}

static void what_is_declared_no_more_ends(struct rig *rig)
{
    struct fault why;
    leave_one(rig, "job/gone");
    leave_one(rig, "route/x");
    struct jobs *all = open_jobs(rig);
    assert_int_equal(jobs_apply(all, NULL, 0, &why), CODE_OK);
    assert_int_equal(waits(rig, "job/gone"), 0);
    assert_int_equal(waits(rig, "route/x"), 1);
    jobs_close(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(what_could_not_begin_keeps_what_waits, NULL),
        RIG_TEST(what_is_declared_no_more_ends, NULL),
    };
    return cmocka_run_group_tests_name("job/jobs", tests, NULL, NULL);
}
