/* bench_pacer.c - a thread that wakes the loop when a message is due. The loop's own timers are exact to 10 ms, a schedule of
 * thousands of messages a second needs better. */
#include "cli/bench_parts.h"

#include <sys/prctl.h>
#include <time.h>

enum { SHORTEST_US = 100, LONGEST_US = 10000 };

static void open_letter(struct letter *l, struct loop *here)
{
    struct pacer *p = (struct pacer *)(void *)((char *)l - offsetof(struct pacer, letter));
    (void)here;
    /* The end of this turn sends. */
    atomic_store(&p->posted, false);
}

static void *keep_time(void *arg)
{
    struct pacer *p = arg;
    (void)prctl(PR_SET_TIMERSLACK, 1000UL); /* ns */
    while (!atomic_load(&p->stop)) {
        int64_t now = p->io->monotonic_us(p->io->self), due = atomic_load(&p->due_us), wait = due - now;
        if (wait <= 0 && !atomic_exchange(&p->posted, true))
            loop_post(p->loop, &p->letter);
        wait = wait < SHORTEST_US ? SHORTEST_US : wait > LONGEST_US ? LONGEST_US : wait;
        struct timespec t = {.tv_nsec = wait * 1000};
        (void)nanosleep(&t, NULL);
    }
    return NULL;
}

enum code pacer_start(struct pacer *p, struct loop *loop, const struct io *io, struct fault *why)
{
    p->loop = loop;
    p->io = io;
    p->letter.open = open_letter;
    int err = pthread_create(&p->thread, NULL, keep_time, p);
    if (err)
        return FAIL_SYS(why, CODE_IO, err, "cannot start the thread that keeps time");
    p->started = true;
    return CODE_OK;
}

void pacer_stop(struct pacer *p)
{
    if (!p->started)
        return;
    atomic_store(&p->stop, true);
    (void)pthread_join(p->thread, NULL);
    p->started = false;
}
