/* node_signals.c - signals come to one thread that waits for them, so that no code of ours runs inside a
 * handler. */
#include "node/node_private.h"

#include "base/log.h"

#include <unistd.h>

/* Wakes the watcher when it is no longer needed. */
#define SIGNAL_END SIGUSR2

static void wanted(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGNAL_END);
}

static void *watch(void *arg)
{
    struct node *n = arg;
    sigset_t set;
    int signal, seen = 0;
    wanted(&set);
    while (sigwait(&set, &signal) == 0) {
        if (atomic_load(&n->unwatch))
            break;
        if (signal == SIGNAL_END)
            continue; /* somebody else's */
        if (signal == SIGHUP) {
            node_reload(n);
            continue;
        }
        if (seen++) {
            log_warn("node", "stopped at once; what was acknowledged is on disk");
            _exit(1);
        }
        log_info("node", "stopping (SIG%s); a second one stops at once", sigabbrev_np(signal));
        node_stop(n);
    }
    return NULL;
}

enum code signals_begin(struct node *n, struct fault *why)
{
    sigset_t set;
    (void)sigemptyset(&set);
    if (n->options.signals)
        wanted(&set);
    /* A peer that has gone is an error of the write, never the end of the process. */
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, &n->old_mask);
    n->masked = true;
    if (!n->options.signals)
        return CODE_OK;
    int r = pthread_create(&n->watcher, NULL, watch, n);
    if (r != 0)
        return FAIL_SYS(why, CODE_IO, r, "cannot start the thread that waits for signals");
    n->watching = true;
    return CODE_OK;
}

void signals_end(struct node *n)
{
    if (n->watching) {
        atomic_store(&n->unwatch, true);
        (void)pthread_kill(n->watcher, SIGNAL_END);
        (void)pthread_join(n->watcher, NULL);
    }
    if (n->masked)
        (void)pthread_sigmask(SIG_SETMASK, &n->old_mask, NULL);
    n->watching = n->masked = false;
}
