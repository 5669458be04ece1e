/* events.c - GET /api/v1/events: a reader behind an HTTP stream.
 *
 * A stream is in one of three states: at work (its letter is on the way, one slice per turn, so that others
 * get theirs), blocked (the peer has not taken what it got), waiting (there is nothing more until the
 * journal's durable end moves).
 */
#include "api/api_private.h"
#include "api/ask.h"

#include "base/log.h"
#include "base/mem.h"

#define JSONL "application/jsonl"

struct event_stream {
    struct event_stream        *prev, *next; /* api->streams */
    struct api           *api;
    struct http_exchange *exchange;    /* NULL: over; freed when the letter is back */
    struct reader        *reader;
    struct buf            out;
    int64_t               until_us;    /* of a follower, 0 = none */
    struct timer          until;
    struct letter         letter;
    bool                  posted, blocked, waiting;
    bool                  complete;    /* what is in `out` is the last of it */
};

static void stream_free(struct event_stream *s)
{
    mem_free(s);
}

/* The exchange is over or gone. */
static void stream_end(struct event_stream *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        s->api->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    timer_stop(s->api->config.loop, &s->until);
    reader_close(s->reader);
    buf_clear(&s->out);
    s->exchange = NULL;
    if (!s->posted)
        stream_free(s);
}

static void stream_finish(struct event_stream *s)
{
    http_end(s->exchange);
    stream_end(s);
}

/* Gives what was read to the connection; false: it takes nothing for now. */
static bool stream_push(struct event_stream *s)
{
    if (buf_size(&s->out) && http_chunk(s->exchange, buf_bytes(&s->out)) == CODE_AGAIN) {
        s->blocked = true;
        return false;
    }
    buf_reset(&s->out);
    return true;
}

/* The status line has left already: the failure becomes the last line. */
static void stream_fail(struct event_stream *s, const struct fault *why)
{
    buf_reset(&s->out);
    buf_printf(&s->out, "{\"error\":{\"code\":\"FG%04d\",\"message\":", why->number ? why->number : 7005);
    buf_json(&s->out, bytes_str(why->text));
    buf_printf(&s->out, "}}\n");
    if (s->out.bad) { /* it must not look like a good end */
        buf_clear(&s->out);
        (void)http_chunk(s->exchange,
                         BYTES_LIT("{\"error\":{\"code\":\"FG8006\",\"message\":\"no memory\"}}\n"));
        stream_finish(s);
        return;
    }
    if (stream_push(s))
        stream_finish(s);
    else
        s->complete = true;
}

static void open_letter(struct letter *letter, struct loop *here);

static void stream_post(struct event_stream *s)
{
    if (s->posted)
        return;
    s->posted = true;
    s->letter.open = open_letter;
    loop_post(s->api->config.loop, &s->letter);
}

static void stream_step(struct event_stream *s)
{
    struct fault why;
    struct api *a = s->api;
    if (s->blocked || !stream_push(s))
        return;
    if (s->complete) {
        stream_finish(s);
        return;
    }
    s->waiting = false;
    /* First this, then the look: whatever becomes durable in between wakes us. */
    atomic_store(&a->wanted, true);
    enum code code = reader_next(s->reader, loop_wall_us(a->config.loop), &s->out, &why);
    if (code != CODE_OK && code != CODE_AGAIN && code != CODE_END) {
        log_warn("api", "events: %s", why.text);
        stream_fail(s, &why);
        return;
    }
    s->complete = code == CODE_END;
    if (!stream_push(s))
        return;
    if (s->complete)
        stream_finish(s);
    else if (code == CODE_AGAIN)
        s->waiting = true;
    else
        stream_post(s);
}

static void open_letter(struct letter *letter, struct loop *here)
{
    (void)here;
    struct event_stream *s = (struct event_stream *)(void *)((char *)letter - offsetof(struct event_stream, letter));
    s->posted = false;
    if (s->exchange)
        stream_step(s);
    else
        stream_free(s);
}

static void on_drained(void *ctx)
{
    struct event_stream *s = ctx;
    s->blocked = false;
    stream_post(s);
}

static void on_gone(void *ctx)
{
    stream_end(ctx);
}

static void on_until(struct timer *t);

static void until_start(struct event_stream *s)
{
    int64_t left_us = s->until_us - loop_wall_us(s->api->config.loop), most_us = INT64_C(86400) * 1000000;
    left_us = left_us < 0 ? 0 : left_us > most_us ? most_us : left_us;
    timer_start(s->api->config.loop, &s->until, left_us / 1000 + 1, on_until);
}

static void on_until(struct timer *t)
{
    struct event_stream *s = (struct event_stream *)(void *)((char *)t - offsetof(struct event_stream, until));
    if (s->until_us > loop_wall_us(s->api->config.loop)) /* more than a day, or the clock was set back */
        until_start(s);
    else
        stream_post(s);
}

static enum code stream_open(struct api *a, struct http_exchange *x, const struct reader_ask *ask,
                             struct fault *why)
{
    struct event_stream *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for one more reader");
    enum code code = reader_open(&s->reader, a->config.journal, ask, why);
    if (code != CODE_OK) {
        stream_free(s);
        return code;
    }
    s->api = a;
    s->exchange = x;
    s->next = a->streams;
    if (s->next)
        s->next->prev = s;
    a->streams = s;
    http_watch(x, on_drained, on_gone, s);
    http_begin(x, 200, JSONL);
    if (ask->follow && ask->until_us) {
        s->until_us = ask->until_us;
        until_start(s);
    }
    /* Not from inside the handler: a reader may end at once, and the exchange with it. */
    stream_post(s);
    return CODE_OK;
}

static unsigned status_of(enum code code)
{
    return code == CODE_USAGE ? 400 : code == CODE_NOTFOUND ? 404 : code == CODE_NOMEM ? 503 : 500;
}

void events_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    struct reader_ask ask;
    struct fault why;
    enum code code = a->stopping ? api_trouble(a, &why) : CODE_OK;
    if (code != CODE_OK) {
        api_refuse(x, 503, &why);
        return;
    }
    if (bytes_is(r->method, "HEAD")) {
        http_reply(x, 200, JSONL, BYTES_NONE);
        return;
    }
    code = ask_parse(r->query, loop_wall_us(a->config.loop), &ask, &why);
    if (code == CODE_OK)
        code = stream_open(a, x, &ask, &why);
    if (code != CODE_OK)
        api_refuse(x, status_of(code), &why);
}

void events_wake(struct api *a)
{
    for (struct event_stream *s = a->streams, *next; s; s = next) {
        next = s->next;
        if (s->waiting)
            stream_step(s);
    }
}

void events_end_all(struct api *a)
{
    struct fault why;
    (void)FAIL_FG(&why, CODE_CLOSED, 8005, "the node is stopping");
    for (struct event_stream *s = a->streams, *next; s; s = next) {
        next = s->next;
        if (!s->blocked) /* a peer that does not read is cut off, which does not look like a good end */
            stream_fail(s, &why);
    }
}
