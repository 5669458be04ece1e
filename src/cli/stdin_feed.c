#include "cli/stdin_feed.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

enum { PIECES = 2, PIECE_BYTES = 64 * 1024 };

struct piece {
    struct letter letter;
    bool busy;   /* filled, and not taken yet */
    ssize_t len; /* 0 = the end, < 0 = -errno */
    uint8_t at[PIECE_BYTES];
};

/* One input, so one of these; the thread may sit in read() until the process ends, and must find it there. */
static struct feed {
    pthread_mutex_t lock;
    pthread_cond_t room;
    struct loop *loop; /* NULL: stopped; nothing is posted any more */
    struct stdin_feed_events events;
    void *ctx;
    bool paused;
    struct piece *waiting[PIECES]; /* while paused */
    size_t waiting_count;
    struct piece pieces[PIECES];
} feed = {.lock = PTHREAD_MUTEX_INITIALIZER, .room = PTHREAD_COND_INITIALIZER};

/* ---- the reading thread ---- */

static ssize_t read_some(uint8_t *to, size_t n)
{
    ssize_t got;
    do
        got = read(STDIN_FILENO, to, n);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static void open_piece(struct letter *l, struct loop *here);

static void *reader(void *arg)
{
    (void)arg;
    for (size_t i = 0;; i = (i + 1) % PIECES) {
        struct piece *p = &feed.pieces[i];
        pthread_mutex_lock(&feed.lock);
        while (p->busy && feed.loop)
            pthread_cond_wait(&feed.room, &feed.lock);
        bool stopped = !feed.loop;
        pthread_mutex_unlock(&feed.lock);
        if (stopped)
            return NULL;
        ssize_t n = read_some(p->at, sizeof p->at);
        pthread_mutex_lock(&feed.lock);
        p->busy = true;
        p->len = n;
        p->letter.open = open_piece;
        if (feed.loop)
            loop_post(feed.loop, &p->letter);
        pthread_mutex_unlock(&feed.lock);
        if (n <= 0)
            return NULL;
    }
}

/* ---- the loop's thread ---- */

static void give_back(struct piece *p)
{
    pthread_mutex_lock(&feed.lock);
    p->busy = false;
    pthread_cond_signal(&feed.room);
    pthread_mutex_unlock(&feed.lock);
}

static void show(struct piece *p)
{
    struct fault why;
    if (p->len > 0) {
        feed.paused = !feed.events.on_piece(feed.ctx, bytes_of(p->at, (size_t)p->len));
        give_back(p);
    } else if (p->len == 0) {
        feed.events.on_end(feed.ctx, NULL);
    } else {
        (void)FAIL_SYS(&why, CODE_IO, (int)-p->len, "cannot read standard input");
        feed.events.on_end(feed.ctx, &why);
    }
}

static void open_piece(struct letter *l, struct loop *here)
{
    struct piece *p = (struct piece *)(void *)((char *)l - offsetof(struct piece, letter));
    (void)here;
    if (!feed.loop)
        return;
    if (feed.paused)
        feed.waiting[feed.waiting_count++] = p;
    else
        show(p);
}

void stdin_feed_resume(void)
{
    feed.paused = false;
    while (feed.loop && !feed.paused && feed.waiting_count) {
        struct piece *p = feed.waiting[0];
        feed.waiting[0] = feed.waiting[1];
        feed.waiting_count--;
        show(p);
    }
}

enum code stdin_feed_start(struct loop *loop, const struct stdin_feed_events *events, void *ctx,
                           struct fault *why)
{
    pthread_t thread;
    FG_ASSERT(!feed.loop);
    feed.loop = loop;
    feed.events = *events;
    feed.ctx = ctx;
    int err = pthread_create(&thread, NULL, reader, NULL);
    if (err) {
        feed.loop = NULL;
        return FAIL_SYS(why, CODE_IO, err, "cannot start a thread that reads standard input");
    }
    (void)pthread_detach(thread);
    return CODE_OK;
}

void stdin_feed_stop(void)
{
    pthread_mutex_lock(&feed.lock);
    feed.loop = NULL;
    pthread_cond_signal(&feed.room);
    pthread_mutex_unlock(&feed.lock);
}
