/* ua_machine_child.h - ua_machine.h in a process of its own, so that refused memory and measured memory are only those of who is
 * tested. Begin it before there are threads. Test code. */
#pragma once

#include "ua_machine.h"

#include <sys/wait.h>

struct machine_child {
    pid_t    pid;
    int      to;
    uint16_t port;
};

/* 'c' cuts the connections, 'r' restarts the server, 'p' lets the counters stand still, 'g' lets them go on, ' ' only asks. */
static inline void machine_obey(struct ua_machine *m, char what, int64_t step_ms)
{
    if (what == 'c')
        machine_do(m, machine_cut);
    else if (what == 'r')
        machine_do(m, machine_restart);
    else if (what == 'p')
        machine_do(m, machine_rest);
    else if (what == 'g') {
        m->step_ms = step_ms;
        machine_do(m, machine_run);
    }
}

static inline void machine_serve(int from, unsigned counters, int64_t step_ms)
{
    static struct ua_machine m;
    char what;
    int64_t n;
    m.counters = counters;
    machine_listen(&m);
    machine_begin(&m);
    n = m.port;
    while (write(from, &n, sizeof n) == sizeof n && read(from, &what, 1) == 1) {
        machine_obey(&m, what, step_ms);
        n = what == 'w' ? atomic_load(&m.written) : atomic_load(&m.emitted);
    }
    _exit(0);
}

/* What all counters have now; to 'w': what was written last. */
static inline int64_t machine_tell(struct machine_child *c, char what)
{
    int64_t n = 0;
    assert_int_equal(write(c->to, &what, 1), 1);
    assert_int_equal(read(c->to, &n, sizeof n), sizeof n);
    return n;
}

static inline void machine_fork(struct machine_child *c, unsigned counters, int64_t step_ms)
{
    int64_t n = 0;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        (void)close(ends[0]);
        machine_serve(ends[1], counters, step_ms);
    }
    (void)close(ends[1]);
    c->to = ends[0];
    assert_int_equal(read(c->to, &n, sizeof n), sizeof n);
    c->port = (uint16_t)n;
}

static inline void machine_reap(struct machine_child *c)
{
    (void)close(c->to); /* it ends by itself */
    (void)waitpid(c->pid, NULL, 0);
}
