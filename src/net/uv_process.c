/* uv_process.c - child processes on libuv. */
#include "base/mem.h"
#include "net/process.h"
#include "net/uv_loop.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct process {
    struct process *next, *prev; /* of the loop */
    struct loop *loop;
    uv_process_t child;
    uv_pipe_t    in, said_pipe;
    uv_write_t   write;
    uint8_t     *input; /* owned */
    struct timer timer;
    void       (*on_end)(void *ctx, const struct process_end *);
    void        *ctx;
    uint8_t      said[PROCESS_SAID_MAX];
    size_t       said_len;
    uint8_t      rest[4096]; /* read and forgotten, so that it does not stand still */
    int          code, signal;
    bool         late, exited, said_all, spawned;
    unsigned     open; /* handles that are not closed yet */
};

static void on_closed(uv_handle_t *h)
{
    struct process *p = h->data;
    if (--p->open)
        return;
    struct process_end end = { .code = p->signal ? -1 : p->code, .signal = p->signal, .late = p->late,
                               .said = bytes_of(p->said, p->said_len) };
    loop_begin(p->loop);
    timer_stop(p->loop, &p->timer);
    *(p->prev ? &p->prev->next : &uv_loop_of(p->loop)->processes) = p->next;
    if (p->next)
        p->next->prev = p->prev;
    p->on_end(p->ctx, &end);
    mem_free(p->input);
    mem_free(p);
}

static void close_handle(uv_handle_t *h)
{
    if (!uv_is_closing(h))
        uv_close(h, on_closed);
}

/* Has it ended, and is everything it said read? */
static void over(struct process *p)
{
    if (!p->exited || !p->said_all)
        return;
    timer_stop(p->loop, &p->timer);
    close_handle((uv_handle_t *)&p->in);
    close_handle((uv_handle_t *)&p->said_pipe);
    if (p->spawned)
        close_handle((uv_handle_t *)&p->child);
}

static void give_room(uv_handle_t *h, size_t wanted, uv_buf_t *out)
{
    struct process *p = h->data;
    (void)wanted;
    size_t left = sizeof p->said - p->said_len;
    *out = left ? uv_buf_init((char *)p->said + p->said_len, (unsigned)left) : uv_buf_init((char *)p->rest, sizeof p->rest);
}

static void on_said(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct process *p = s->data;
    if (n > 0 && (uint8_t *)buf->base != p->rest)
        p->said_len += (size_t)n;
    if (n >= 0)
        return;
    (void)uv_read_stop(s);
    p->said_all = true;
    over(p);
}

static void on_grace(struct timer *t)
{
    struct process *p = (struct process *)(void *)((char *)t - offsetof(struct process, timer));
    p->said_all = true; /* somebody in a group of his own has it open */
    over(p);
}

/* What it said may still lie in the pipe, and what it left behind may hold that open. */
static void on_ended(uv_process_t *child, int64_t status, int signal)
{
    struct process *p = child->data;
    p->exited = true;
    p->code = (int)status;
    p->signal = signal;
    if (!p->said_all) {
        (void)kill(-child->pid, SIGKILL);
        timer_start(p->loop, &p->timer, PROCESS_GRACE_MS, on_grace);
    }
    over(p);
}

static void on_written(uv_write_t *w, int status)
{
    struct process *p = w->handle->data;
    (void)status; /* it need not read what it is given */
    close_handle((uv_handle_t *)&p->in);
}

static void kill_it(struct process *p)
{
    if (!p->exited)
        (void)kill(-p->child.pid, SIGKILL);
}

static void told_nobody(void *ctx, const struct process_end *end)
{
    (void)ctx;
    (void)end;
}

void process_cancel(struct process *p)
{
    p->on_end = told_nobody;
    kill_it(p);
}

/* Not left to SIGCHLD, as it is while the loop runs: whoever closes the loop may have it blocked, and under ThreadSanitizer it is
 * lost when it comes to the loop's thread while that is ending. */
static void reap(struct process *p)
{
    int status = SIGKILL; /* in waitpid's words "by this signal": what is said when somebody else has reaped it */
    while (waitpid(p->child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    p->exited = true;
    p->code = WEXITSTATUS(status);
    p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* There are no timers any more: what it says now is not waited for. */
void uv_process_kill_all(struct uv_loop *l)
{
    for (struct process *p = l->processes, *next; p; p = next) {
        next = p->next;
        kill_it(p);
        if (!p->exited)
            reap(p);
        p->said_all = true;
        over(p);
    }
}

static void on_late(struct timer *t)
{
    struct process *p = (struct process *)(void *)((char *)t - offsetof(struct process, timer));
    p->late = true;
    kill_it(p);
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* What is wanted, and of ours what has another name: which of two counts is every program's own idea. NULL: no memory. */
static char **make_environment(const char *const *more)
{
    size_t own = 0, extra = 0, n = 0;
    while (environ[own])
        own++;
    while (more && more[extra])
        extra++;
    char **all = mem_zalloc(own + extra + 1, sizeof *all);
    for (; all && n < extra; n++)
        all[n] = (char *)(uintptr_t)more[n];
    for (size_t i = 0; all && i < own; i++) {
        bool wanted = false;
        for (size_t k = 0; k < extra && !wanted; k++)
            wanted = same_name(more[k], environ[i]);
        if (!wanted)
            all[n++] = environ[i];
    }
    return all;
}

static enum code spawn(struct process *p, const struct process_options *o, struct fault *why)
{
    uv_loop_t *uv = &uv_loop_of(p->loop)->uv;
    int ends[2];
    FG_ASSERT(uv_pipe_init(uv, &p->in, 0) == 0 && uv_pipe_init(uv, &p->said_pipe, 0) == 0);
    p->in.data = p->said_pipe.data = p;
    p->open = 2; /* the child's handle is one when uv_spawn has been called */
    char **environment = make_environment(o->environment);
    if (!environment)
        return FAIL(why, CODE_NOMEM, 0, "no memory to start a program");
    int r = uv_pipe(ends, UV_NONBLOCK_PIPE, 0); /* both close on exec */
    if (r != 0) {
        mem_free(environment);
        return FAIL_SYS(why, CODE_IO, -r, "a program cannot be started");
    }
    uv_stdio_container_t files[3] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&p->in },
        { .flags = UV_INHERIT_FD, .data.fd = ends[1] },
        { .flags = UV_INHERIT_FD, .data.fd = ends[1] },
    };
    uv_process_options_t options = { .exit_cb = on_ended, .file = o->args[0], .args = (char **)(uintptr_t)o->args,
                                     .env = environment, .flags = UV_PROCESS_DETACHED, .stdio = files, .stdio_count = 3 };
    (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* what we were given open at our start is not for it, either */
    r = uv_spawn(uv, &p->child, &options);
    p->child.data = p;
    p->exited = r != 0;
    p->spawned = true;
    p->open = 3;
    (void)close(ends[1]);
    mem_free(environment);
    if (r == 0)
        r = uv_pipe_open(&p->said_pipe, ends[0]);
    if (r != 0) {
        (void)close(ends[0]);
        return FAIL_SYS(why, r == UV_ENOENT ? CODE_NOTFOUND : CODE_IO, -r, "%s cannot be started", o->args[0]);
    }
    return CODE_OK;
}

enum code process_start(struct process **out, struct loop *l, const struct process_options *o,
                        void (*on_end)(void *ctx, const struct process_end *), void *ctx, struct fault *why)
{
    if (l->back->submit != uv_pool_submit)
        return FAIL(why, CODE_UNSUPPORTED, 0, "this loop starts no programs");
    if (o->input.len > PROCESS_INPUT_MAX)
        return FAIL(why, CODE_LIMIT, 0, "more than %d bytes for the standard input of a program", PROCESS_INPUT_MAX);
    struct process *p = mem_zalloc(1, sizeof *p);
    uint8_t *input = p && o->input.len ? mem_alloc(o->input.len) : NULL;
    if (!p || (o->input.len && !input)) {
        mem_free(p);
        return FAIL(why, CODE_NOMEM, 0, "no memory to start a program");
    }
    p->loop = l;
    p->input = input;
    p->on_end = told_nobody;
    p->exited = true; /* until there is one */
    p->next = uv_loop_of(l)->processes;
    uv_loop_of(l)->processes = p;
    if (p->next)
        p->next->prev = p;
    enum code c = spawn(p, o, why);
    if (c != CODE_OK) { /* the handles are closed by the loop */
        p->said_all = true;
        kill_it(p);
        over(p);
        return c;
    }
    p->on_end = on_end;
    p->ctx = ctx;
    (void)uv_read_start((uv_stream_t *)&p->said_pipe, give_room, on_said);
    if (o->input.len)
        memcpy(input, o->input.at, o->input.len);
    uv_buf_t buf = uv_buf_init((char *)input, (unsigned)o->input.len);
    if (!o->input.len || uv_write(&p->write, (uv_stream_t *)&p->in, &buf, 1, on_written) != 0)
        close_handle((uv_handle_t *)&p->in);
    timer_start(l, &p->timer, o->timeout_ms, on_late);
    *out = p;
    return CODE_OK;
}
