#include "net/tls_watch.h"

#include "base/mem.h"

enum { LOOK_MS = 2000 };

struct tls_watch {
    struct loop     *loop;
    const struct io *io;
    void (*changed)(void *ctx);
    void           *ctx;
    struct timer    timer;
    bool            unsettled;
    size_t          count;
    struct io_stat *seen;  /* a file that is not there: all 0 */
    char          **paths;
};

/* True: at least one file is not as it was. */
static bool look(struct tls_watch *w)
{
    bool other = false;
    for (size_t i = 0; i < w->count; i++) {
        struct io_stat now = { 0 };
        if (w->io->stat(w->io->self, w->paths[i], &now) < 0)
            now = (struct io_stat){ 0 };
        other |= now.inode != w->seen[i].inode || now.size != w->seen[i].size || now.mtime_ns != w->seen[i].mtime_ns;
        w->seen[i] = now;
    }
    return other;
}

static void on_timer(struct timer *t)
{
    struct tls_watch *w = (struct tls_watch *)(void *)((char *)t - offsetof(struct tls_watch, timer));
    timer_start(w->loop, t, LOOK_MS, on_timer);
    if (look(w)) {
        w->unsettled = true;
    } else if (w->unsettled) {
        w->unsettled = false;
        w->changed(w->ctx); /* the last: it may close us */
    }
}

enum code tls_watch_open(struct tls_watch **out, struct loop *l, const struct io *io, const char *const *paths,
                         size_t count, void (*changed)(void *), void *ctx, struct fault *why)
{
    struct tls_watch *w = mem_zalloc(1, sizeof *w);
    bool ok = w && (w->seen = mem_zalloc(count, sizeof *w->seen)) && (w->paths = mem_zalloc(count, sizeof *w->paths));
    for (size_t i = 0; ok && i < count; i++) {
        w->paths[i] = mem_strdup(paths[i]);
        w->count += w->paths[i] != NULL;
        ok = w->paths[i] != NULL;
    }
    if (!ok) {
        tls_watch_close(w);
        return FAIL(why, CODE_NOMEM, 0, "no memory to watch the certificates' files");
    }
    w->loop = l;
    w->io = io;
    w->changed = changed;
    w->ctx = ctx;
    (void)look(w);
    timer_start(l, &w->timer, LOOK_MS, on_timer);
    *out = w;
    return CODE_OK;
}

void tls_watch_close(struct tls_watch *w)
{
    if (!w)
        return;
    timer_stop(w->loop, &w->timer);
    for (size_t i = 0; i < w->count; i++)
        mem_free(w->paths[i]);
    mem_free(w->paths);
    mem_free(w->seen);
    mem_free(w);
}
