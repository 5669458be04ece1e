/* outbox.c - messages on their way into the node, and what the servers are told when they are there.
 *
 *   words  | at the broker | waiting |          acks: a server's message is acknowledged when all words before it are durable
 *          first           + posting
 *
 * Acks land in groups: those whose words are in the log wait together until the journal has synced a record behind them, and
 * the next group gathers meanwhile. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>

enum { RETRY_MS = 250, SOON_MS = 20, LOOK_MS = 10, REASON_TOO_LARGE = 0x95 };
/* Above, servers are not asked for more; below, they are again. */
static const uint64_t hold_bytes = 8 << 20, release_bytes = 2 << 20;

static struct publisher *of_timer(struct timer *t, size_t at)
{
    return (struct publisher *)(void *)((char *)t - at);
}

/* ---- holding the servers ---- */

static void hold(struct publisher *p, bool on)
{
    if (p->held == on)
        return;
    p->held = p->count.held = on;
    if (on)
        log_warn(
            "opcua",
            "FG5240 %" PRIu64
            " bytes of values wait for room in the node: servers are not asked for more until there is, and"
            " queue them. Nothing is thrown away here",
            p->out.bytes);
    else
        log_info("opcua", "FG5241 the node has room again: servers are asked for values again");
    for (struct pub_session *s = p->sessions; s; s = s->next)
        if (s->client)
            ua_client_hold(s->client, on);
}

/* ---- the queue of words ---- */

static bool room_for_word(struct pub_outbox *o)
{
    if (o->first + o->count < o->room)
        return true;
    if (o->first > o->room / 2) {
        memmove(o->words, o->words + o->first, o->count * sizeof *o->words);
        memmove(o->values, o->values + o->first, o->count * sizeof *o->values);
        o->first = 0;
        return true;
    }
    size_t room = o->room ? o->room * 2 : 256;
    struct consumer_word *words = mem_realloc(o->words, room * sizeof *words);
    if (words)
        o->words = words;
    uint32_t *values = words ? mem_realloc(o->values, room * sizeof *values) : NULL;
    if (!values)
        return false;
    o->values = values;
    o->room = room;
    return true;
}

static void pop(struct publisher *p, bool sent)
{
    struct pub_outbox *o = &p->out;
    struct message *m = o->words[o->first].message;
    uint32_t values = o->values[o->first];
    p->count.waiting -= values;
    if (sent) {
        p->count.sent += values;
        p->count.messages++;
        p->count.bytes += m->payload.len;
    } else {
        p->count.too_large += values;
        log_warn("opcua",
                 "FG5242 a message of %zu bytes on %.*s with %u values is larger than the node takes: it is "
                 "left out and counted."
                 " A smaller --ms makes smaller ones",
                 m->payload.len, BYTES_FMT(m->topic), values);
    }
    o->bytes -= m->encoded.len;
    message_drop(m);
    o->first++;
    o->count--;
    o->sent++;
}

/* No memory even for the message: the values are lost here, counted and said to be. */
static void no_room(struct publisher *p, uint32_t values)
{
    p->count.waiting -= values;
    p->count.too_large += values;
    log_error("opcua", "FG5243 no memory for a message with %u values: they are left out and counted",
              values);
}

void pub_post(struct pub_stream *s, const char *topic, struct bytes props, struct bytes body, uint32_t values,
              bool retain)
{
    struct publisher *p = s->session->all;
    struct pub_outbox *o = &p->out;
    const struct io *io = p->config.io;
    struct message *m = room_for_word(o)
                            ? message_new(&(struct message_parts){.qos = s->qos,
                                                                  .retain = retain,
                                                                  .text = true,
                                                                  .expires = s->ttl_s > 0,
                                                                  .expiry_s = s->ttl_s,
                                                                  .wall_us = io->wall_us(io->self),
                                                                  .now_us = io->monotonic_us(io->self),
                                                                  .topic = bytes_str(topic),
                                                                  .principal = BYTES_LIT("node"),
                                                                  .source = BYTES_LIT("opcpublisher"),
                                                                  .props = props,
                                                                  .payload = body})
                            : NULL;
    if (!m) {
        no_room(p, values);
        return;
    }
    size_t at = o->first + o->count++;
    o->words[at] = (struct consumer_word){.message = m, .ordinal = ++o->ordinal};
    o->values[at] = values;
    o->bytes += m->encoded.len;
    if (o->bytes > hold_bytes)
        hold(p, true);
}

/* ---- acknowledging ---- */

static bool room_for_acks(struct pub_ack **list, size_t *room, size_t n)
{
    if (n <= *room)
        return true;
    size_t more = n < 64 ? 64 : n * 2;
    struct pub_ack *bigger = mem_realloc(*list, more * sizeof *bigger);
    if (!bigger)
        return false;
    *list = bigger;
    *room = more;
    return true;
}

/* One for each stream and place is enough: those before it are meant, too. */
void pub_promise(struct pub_stream *s, uint64_t message)
{
    struct pub_outbox *o = &s->session->all->out;
    uint64_t after = o->sent + o->count;
    if (!message || message == s->promised)
        return;
    s->promised = message;
    for (size_t i = o->ack_count; i-- > 0 && o->acks[i].after == after;)
        if (o->acks[i].stream == s) {
            o->acks[i].message = message;
            o->acks[i].sub = s->complete_sub;
            return;
        }
    if (room_for_acks(&o->acks, &o->ack_room, o->ack_count + 1))
        o->acks[o->ack_count++] = (struct pub_ack){s, s->complete_sub, message, after};
    /* else the next one says it, too */
}

static void tell_landed(struct publisher *p)
{
    struct pub_outbox *o = &p->out;
    pub_keep_durable(p, o->landing_ordinal);
    for (size_t i = 0; i < o->landing_count; i++)
        if (o->landing[i].stream)
            pub_keep_safe(o->landing[i].stream, o->landing[i].sub, (uint32_t)o->landing[i].message);
    pub_keep_flush(p);
    for (size_t i = 0; i < o->landing_count; i++)
        if (o->landing[i].stream && o->landing[i].stream->sub) {
            ua_subscription_ack(o->landing[i].stream->sub, o->landing[i].message);
            p->count.acknowledged++;
        }
    o->landing_count = 0;
}

static void gather_landing(struct publisher *p);

static void on_look(struct timer *t)
{
    struct publisher *p = of_timer(t, offsetof(struct publisher, out.look));
    if (p->out.landing_count && journal_durable(p->config.journal) >= p->out.landing_seq)
        tell_landed(p);
    gather_landing(p);
    if (p->out.landing_count || p->out.ack_count)
        timer_start(p->loop, t, LOOK_MS, on_look);
    pub_show(p);
}

/* Those whose words are in the log. */
static void gather_landing(struct publisher *p)
{
    struct pub_outbox *o = &p->out;
    size_t n = 0;
    struct fault why;
    while (n < o->ack_count && o->acks[n].after <= o->sent)
        n++;
    if (!n || o->landing_count || !room_for_acks(&o->landing, &o->landing_room, n) ||
        consumer_finish(p->consumer, 0, BYTES_NONE, &o->landing_seq, &why) != CODE_OK)
        return; /* the timer tries again */
    o->landing_ordinal = o->ordinal - o->count;
    memcpy(o->landing, o->acks, n * sizeof *o->acks);
    o->landing_count = n;
    o->ack_count -= n;
    memmove(o->acks, o->acks + n, o->ack_count * sizeof *o->acks);
}

static void watch_landing(struct publisher *p)
{
    gather_landing(p);
    if ((p->out.landing_count || p->out.ack_count) && !timer_running(&p->out.look))
        timer_start(p->loop, &p->out.look, LOOK_MS, on_look);
}

/* ---- posting ---- */

static void on_retry(struct timer *t)
{
    pub_ship(of_timer(t, offsetof(struct publisher, out.retry)));
}

static void later(struct publisher *p, const char *what, int64_t ms)
{
    struct pub_outbox *o = &p->out;
    p->count.refused++;
    if (!o->refused)
        log_warn("opcua",
                 "FG5244 the node does not take values at the moment (%s): %zu messages wait. They are tried "
                 "again",
                 what, o->count);
    o->refused = true;
    timer_start(p->loop, &o->retry, ms, on_retry);
}

static void open_posted(struct letter *letter, struct loop *here)
{
    struct publisher *p = (struct publisher *)(void *)((char *)letter -
                                                       offsetof(struct publisher, out.posted));
    struct pub_outbox *o = &p->out;
    size_t n = o->posting, i = 0;
    (void)here;
    o->posting = 0;
    for (; i < n && (o->post[i].result == 0 || o->post[i].result == REASON_TOO_LARGE); i++)
        pop(p, o->post[i].result == 0);
    if (i < n)
        later(p, "0x97, no room", i ? SOON_MS : RETRY_MS); /* room is being made */
    else
        o->refused = false;
    if (o->bytes < release_bytes)
        hold(p, false);
    watch_landing(p);
    if (!p->hurry)
        pub_ship(p);
    pub_show(p);
    pub_calm(p);
}

/* On a loop of the broker. */
static void done(void *ctx)
{
    struct publisher *p = ctx;
    p->out.posted.open = open_posted;
    loop_post(p->loop, &p->out.posted);
}

void pub_ship(struct publisher *p)
{
    struct pub_outbox *o = &p->out;
    struct fault why;
    if (o->posting || timer_running(&o->retry))
        return;
    if (!o->count) {
        watch_landing(p);
        return;
    }
    pub_keep_flush(p);
    size_t n = o->count < PUB_POST_MAX ? o->count : PUB_POST_MAX;
    memcpy(o->post, o->words + o->first, n * sizeof *o->post);
    o->posting = n;
    if (consumer_post(p->consumer, o->post, n, done, p, &why) == CODE_OK)
        return;
    o->posting = 0;
    later(p, why.text, RETRY_MS);
}

/* ---- ends ---- */

void pub_forget(struct publisher *p, struct pub_stream *s)
{
    for (size_t i = 0; i < p->out.ack_count; i++)
        if (p->out.acks[i].stream == s)
            p->out.acks[i].stream = NULL;
    for (size_t i = 0; i < p->out.landing_count; i++)
        if (p->out.landing[i].stream == s)
            p->out.landing[i].stream = NULL;
}

/* Nothing is at the broker any more. */
void pub_outbox_close(struct publisher *p)
{
    struct pub_outbox *o = &p->out;
    for (size_t i = 0; i < o->count; i++)
        message_drop(o->words[o->first + i].message);
    mem_free(o->words);
    mem_free(o->values);
    mem_free(o->acks);
    mem_free(o->landing);
    *o = (struct pub_outbox){0};
}
