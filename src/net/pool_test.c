/* Jobs beside the loop: done on its thread, bounded, finished before the loop is gone. */
#include "net/net_test_rig.h"

#include "net/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct job {
    struct pool_job job; /* first */
    struct rig     *rig;
    pthread_t       worker, home;
    unsigned        slow_us;
    unsigned        worked, done;
};

static unsigned finished, wanted;

static void work(struct pool_job *p)
{
    struct job *j = (struct job *)p;
    if (j->slow_us)
        (void)usleep(j->slow_us);
    j->worker = pthread_self();
    j->worked++;
}

static void done(struct pool_job *p, struct loop *here)
{
    struct job *j = (struct job *)p;
    assert_ptr_equal(here, j->rig->loop);
    assert_true(pthread_equal(pthread_self(), j->home));
    assert_int_equal(j->worked, 1);
    j->done++;
    if (++finished == wanted)
        loop_stop(here);
}

static struct job job_of(struct rig *r, unsigned slow_us)
{
    return (struct job){ .job = { work, done }, .rig = r, .home = pthread_self(), .slow_us = slow_us };
}

static void a_job_is_done_on_its_loop(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct rig r;
        rig_open(&r, simulated, 1);
        struct job j = job_of(&r, 0);
        finished = 0;
        wanted = 1;
        assert_int_equal(pool_submit(r.loop, &j.job), CODE_OK);
        assert_int_equal(j.done, 0); /* never from inside */
        rig_run(&r);
        assert_int_equal(j.done, 1);
        assert_int_equal(pool_jobs(), 0);
        if (!simulated)
            assert_false(pthread_equal(j.worker, j.home));
        rig_close(&r);
    }
}

static void more_than_the_bound_are_refused(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct rig r;
        static struct job jobs[POOL_JOBS_MAX + 1];
        rig_open(&r, simulated, 1);
        finished = 0;
        wanted = POOL_JOBS_MAX;
        for (int i = 0; i <= POOL_JOBS_MAX; i++) {
            jobs[i] = job_of(&r, 100);
            assert_int_equal(pool_submit(r.loop, &jobs[i].job), i < POOL_JOBS_MAX ? CODE_OK : CODE_AGAIN);
        }
        rig_run(&r);
        assert_int_equal(jobs[POOL_JOBS_MAX - 1].done, 1);
        assert_int_equal(jobs[POOL_JOBS_MAX].worked, 0);
        assert_int_equal(pool_submit(r.loop, &jobs[POOL_JOBS_MAX].job), CODE_OK); /* there is room again */
        wanted = POOL_JOBS_MAX + 1;
        rig_run(&r);
        rig_close(&r);
    }
}

static void a_loop_is_closed_only_when_its_jobs_are_done(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct rig r;
        rig_open(&r, simulated, 1);
        struct job jobs[8];
        finished = 0;
        wanted = 1000;
        if (simulated)
            sim_pool_hold(r.sim, true);
        for (int i = 0; i < 8; i++) {
            jobs[i] = job_of(&r, 2000);
            assert_int_equal(pool_submit(r.loop, &jobs[i].job), CODE_OK);
        }
        rig_close(&r);
        for (int i = 0; i < 8; i++)
            assert_int_equal(jobs[i].done, 1);
        assert_int_equal(pool_jobs(), 0);
    }
}

static void held_jobs_wait_in_their_order(void **state)
{
    (void)state;
    struct rig r;
    rig_open(&r, true, 1);
    struct job a = job_of(&r, 0), b = job_of(&r, 0);
    finished = 0;
    wanted = 2;
    sim_pool_hold(r.sim, true);
    assert_int_equal(pool_submit(r.loop, &a.job), CODE_OK);
    assert_int_equal(pool_submit(r.loop, &b.job), CODE_OK);
    sim_advance(r.sim, 1000000);
    assert_int_equal(a.worked, 0);
    assert_int_equal(pool_jobs(), 2);
    sim_pool_hold(r.sim, false);
    (void)sim_step(r.sim);
    assert_int_equal(a.done + b.done, 2);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_done_on_its_loop),
        cmocka_unit_test(more_than_the_bound_are_refused),
        cmocka_unit_test(a_loop_is_closed_only_when_its_jobs_are_done),
        cmocka_unit_test(held_jobs_wait_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
