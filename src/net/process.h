/* process.h - a program that is started, fed and waited for: no shell, a limit to its time and to what it may say.
 *
 * It gets this process' environment with `environment` in front of it, its working directory, standard input with what `input` says
 * and then its end, and nothing else that is open here; no signal is blocked or ignored; it has a session and process group of its own,
 * without a terminal. It is over when it has ended and its output has: what it left behind in its group with that output open is
 * killed then, and what has left the group, too, is not waited for longer than PROCESS_GRACE_MS. When it is late the whole group is killed.
 *
 * Thread: the loop's. Lifetime: from process_start until on_end, which is called exactly once, also when the loop is being closed, or
 * until process_cancel.
 * Only on loops of libuv; others refuse with CODE_UNSUPPORTED.
 */
#pragma once

#include "net/loop.h"

struct process;

enum { PROCESS_SAID_MAX = 4096, PROCESS_INPUT_MAX = 16 << 20, PROCESS_GRACE_MS = 500 };

struct process_options { /* borrowed for the call */
    const char *const *args;        /* NULL at the end; the first is the file, looked for in PATH if it has no slash */
    const char *const *environment; /* "NAME=value", NULL at the end; may be NULL */
    struct bytes       input;
    int64_t            timeout_ms;
};
struct process_end {
    int          code;   /* exit status, or -1: by a signal       */
    int          signal; /* or 0                                  */
    bool         late;   /* killed, because its time was over      */
    struct bytes said;   /* the first PROCESS_SAID_MAX bytes of its standard output and error, together; during the call */
};
FG_CHECK enum code process_start(struct process **out, struct loop *, const struct process_options *,
                                 void (*on_end)(void *ctx, const struct process_end *), void *ctx, struct fault *why);
/* Kills it and its group; on_end does not come any more. */
void process_cancel(struct process *);
