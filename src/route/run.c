/* run.c - one sink: its messages are taken, the routes' conditions asked, and what one takes goes to the sink. */
#include "route/router_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "message/message.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

#include <inttypes.h>
#include <stdio.h>

enum { RETRY_US = 500 * 1000 };
#define TELL_US INT64_C(60000000)
#define HIGH    UINT64_C(100000) /* messages that wait before publishers wait, too; for sinks on this node */

/* ---- blocked and not ---- */

static void set_high(struct runner *s)
{
    bool works = !s->blocked.text[0] && s->target && s->target->kind != SINK_UPSTREAM;
    consumer_set_high(s->queue, works ? HIGH : 0);
}

static void block(struct runner *s, const struct fault *why, int64_t now)
{
    bool fresh = !s->blocked.text[0];
    s->blocked = *why;
    s->retry_us = now + RETRY_US;
    if (!fresh)
        return;
    log_warn(
        "route",
        "FG4110 routes into %.*s wait, and nothing of theirs is lost: %s. It is tried again twice a second",
        BYTES_FMT(s->target->name), why->text);
    set_high(s);
}

static void unblock(struct runner *s)
{
    if (!s->blocked.text[0])
        return;
    s->blocked.text[0] = 0;
    log_info("route", "FG4111 routes into %.*s go on", BYTES_FMT(s->target->name));
    set_high(s);
}

/* ---- which route ---- */

static void saw_bad_body(struct runner *s, const struct message *m, int64_t now)
{
    s->not_json++;
    s->not_json_untold++;
    if (s->not_json_told_us && now - s->not_json_told_us < TELL_US)
        return;
    char topic[80];
    log_warn(
        "route",
        "FG4114 %" PRIu64
        " messages for routes into %.*s have no JSON body, so that $body is undefined in their conditions;"
        " the last one on %s: %s",
        s->not_json_untold, BYTES_FMT(s->target->name), bytes_escape(m->topic, topic, sizeof topic),
        s->router->matcher.body_why.text);
    s->not_json_untold = 0;
    s->not_json_told_us = now;
}

static void count(struct runner *s, const struct route *r, enum route_outcome o)
{
    struct route_counts *n = &s->counts[r->order];
    n->matched += o == OUTCOME_YES;
    n->not_matched += o == OUTCOME_NO || o == OUTCOME_UNDEFINED;
    n->errors += o == OUTCOME_UNDEFINED;
}

/* NULL: no route takes it. What is tried again counts once. */
static enum code choose(struct runner *s, const struct consumer_item *item, int64_t now,
                        const struct route **out)
{
    const struct route_target *t = s->target;
    const struct message *m = item->message;
    struct route_matcher *matcher = &s->router->matcher;
    bool first = item->index >= s->counted;
    *out = NULL;
    if (!m || (m->expires_us && now >= m->expires_us))
        return CODE_OK; /* lost to damage, or over */
    route_matcher_begin(matcher);
    for (size_t i = 0; i < t->count && !*out; i++) {
        enum route_outcome o;
        enum code c = route_match(matcher, t->routes[i], m, m->topic, &o, NULL);
        if (c != CODE_OK)
            return c;
        if (first)
            count(s, t->routes[i], o);
        if (o == OUTCOME_YES)
            *out = t->routes[i];
    }
    if (first && matcher->body_bad)
        saw_bad_body(s, m, now);
    if (first)
        s->counted = item->index + 1;
    return CODE_OK;
}

/* ---- into a queue ---- */

struct way {             /* where an item goes */
    struct consumer *to; /* NULL: nowhere */
    uint32_t number;
};

static enum code way_of(struct runner *s, const struct route *r, struct way *out, struct fault *why)
{
    struct router *router = s->router;
    if (s->target->kind == SINK_UPSTREAM) {
        struct lane *l = &router->lanes[lane_of(r->said.priority)];
        *out = (struct way){l->queue, (uint32_t)r->said.ttl_s};
        return CODE_OK;
    }
    *out = (struct way){router->o.job_queue(router->o.ctx, s->target->job), s->target->number};
    return out->to ? CODE_OK : FAIL(why, CODE_CLOSED, 0, "job %s does not run", s->target->job);
}

/* As many as it has room for; *moved counts up. */
static enum code move(struct runner *s, const uint64_t *indexes, size_t n, const struct way *way,
                      size_t *moved, struct fault *why)
{
    enum code c = CODE_OK;
    size_t done = 0, part = n;
    while (done < n) {
        part = part < n - done ? part : n - done;
        c = consumer_move(s->queue, indexes + done, part, way->to, way->number, why);
        if (c == CODE_OK)
            done += part;
        else if (c != CODE_FULL || part == 1)
            break;
        else
            part /= 2;
    }
    *moved += done;
    return c;
}

struct batch {
    struct way ways[RUN_BATCH];
    size_t count;
    bool some_nowhere;
};

/* Moves the items, stretch by stretch of those that go the same way. How many are done with, those that go nowhere included. */
static size_t move_all(struct runner *s, const struct batch *b, enum code *c, struct fault *why)
{
    uint64_t indexes[RUN_BATCH];
    size_t i = 0;
    *c = CODE_OK;
    while (i < b->count && *c == CODE_OK) {
        if (!b->ways[i].to) {
            i++;
            continue;
        }
        size_t n = 0, k = i, moved = 0, last[RUN_BATCH];
        for (; k < b->count; k++) {
            if (b->ways[k].to && (b->ways[k].to != b->ways[i].to || b->ways[k].number != b->ways[i].number))
                break;
            if (!b->ways[k].to)
                continue;
            last[n] = k;
            indexes[n++] = s->items[k].index;
        }
        *c = move(s, indexes, n, &b->ways[i], &moved, why);
        i = moved == n ? k : last[moved];
    }
    return i;
}

static void drop_items(struct runner *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        message_drop(s->items[i].message);
}

/* The first `n` items are done with. */
static enum code finish(struct runner *s, size_t n, struct fault *why)
{
    return n ? consumer_finish(s->queue, s->items[n - 1].index + 1, BYTES_NONE, NULL, why) : CODE_OK;
}

static bool step_queue(struct runner *s, size_t n, int64_t now)
{
    struct batch b = {0};
    struct fault why;
    enum code c = CODE_OK;
    for (; c == CODE_OK && b.count < n; b.count += c == CODE_OK) {
        const struct route *r = NULL;
        c = choose(s, &s->items[b.count], now, &r);
        b.ways[b.count] = (struct way){NULL, 0};
        if (c == CODE_OK && r)
            c = way_of(s, r, &b.ways[b.count], &why);
        else if (c != CODE_OK)
            (void)FAIL(&why, c, 0, "no memory for a condition");
        b.some_nowhere = b.some_nowhere || !b.ways[b.count].to;
    }
    enum code moved;
    struct fault full;
    size_t done = move_all(s, &b, &moved, &full);
    drop_items(s, n);
    if (b.some_nowhere && done) {
        enum code f = finish(s, done, &full);
        moved = moved == CODE_OK ? f : moved;
    }
    if (moved != CODE_OK || c != CODE_OK) {
        block(s, moved != CODE_OK ? &full : &why, now);
        return false;
    }
    unblock(s);
    return n == RUN_BATCH;
}

/* ---- to a topic, into a partition ---- */

static bool in_partition(const struct route_table *t, struct bytes topic)
{
    for (size_t i = 0; i < t->event_count; i++)
        if (topic_matches(t->events[i], topic))
            return true;
    return false;
}

/* With the sink's topic; of a partition's without retain, which would put the topic's retained message back to this one. */
static struct message *message_for(const struct runner *s, struct message *m, int64_t now)
{
    bool events = s->target->kind == SINK_EVENTS;
    if (events && !m->retain)
        return message_hold(m);
    int64_t left_us = m->expires_us ? m->expires_us - now : 0;
    return message_new(&(struct message_parts){
        .qos = m->qos ? m->qos : 1,
        .retain = m->retain && !events,
        .expires = m->expires_us != 0,
        .text = m->encoded.at[1] & MESSAGE_TEXT,
        .expiry_s = (uint32_t)((left_us + 999999) / 1000000),
        .wall_us = m->wall_us,
        .now_us = now,
        .topic = events ? m->topic : s->target->topic,
        .principal = events ? m->principal : BYTES_NONE, /* the node's own: rules ask for none */
        .source = m->source,
        .props = m->props,
        .payload = m->payload});
}

static void words_done(void *ctx)
{
    struct runner *s = ctx;
    struct router *r = s->router;
    pthread_mutex_lock(&r->sleep_lock); /* who sees it lets `s` go only with this lock */
    atomic_store(&s->posted, false);
    r->due = true;
    (void)pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->sleep_lock);
}

static bool add_word(struct runner *s, const struct consumer_item *item, int64_t now)
{
    bool events = s->target->kind == SINK_EVENTS;
    if (events && in_partition(s->target->table, item->message->topic))
        return true; /* it is there */
    struct message *m = message_for(s, item->message, now);
    if (!m)
        return false;
    s->word_index[s->word_count] = item->index;
    s->words[s->word_count++] = (struct consumer_word){
        .message = m, .ordinal = item->index + 1, .events = events};
    return true;
}

static void forget_words(struct runner *s)
{
    for (size_t i = 0; i < s->word_count; i++)
        message_drop(s->words[i].message);
    s->word_count = 0;
}

static bool step_publish(struct runner *s, size_t n, int64_t now)
{
    struct fault why;
    enum code c = CODE_OK;
    size_t i = 0;
    for (; i < n; i++) {
        const struct route *r = NULL;
        c = choose(s, &s->items[i], now, &r);
        if (c == CODE_OK && r && !add_word(s, &s->items[i], now))
            c = CODE_NOMEM;
        if (c != CODE_OK)
            break;
    }
    s->upto = i ? s->items[i - 1].index + 1 : 0;
    drop_items(s, n);
    if (c != CODE_OK)
        (void)FAIL(&why, c, 0, "no memory for a message");
    if (s->word_count) {
        atomic_store(&s->posted, true);
        c = consumer_post(s->queue, s->words, s->word_count, words_done, s, &why);
        if (c == CODE_OK)
            return false; /* words_done wakes us */
        atomic_store(&s->posted, false);
        forget_words(s);
    } else if (s->upto) {
        enum code f = consumer_finish(s->queue, s->upto, BYTES_NONE, NULL, &why);
        c = f == CODE_OK ? c : f;
    }
    if (c == CODE_OK)
        unblock(s);
    else
        block(s, &why, now);
    return c == CODE_OK && n == RUN_BATCH;
}

/* The words that were posted have their results. False: one was refused. */
static bool take_results(struct runner *s, int64_t now)
{
    size_t n = 0;
    struct fault why;
    while (n < s->word_count && s->words[n].result == 0)
        n++;
    uint64_t upto = n < s->word_count ? s->word_index[n] : s->upto;
    uint8_t reason = n < s->word_count ? s->words[n].result : 0;
    forget_words(s);
    enum code c = consumer_finish(s->queue, upto, BYTES_NONE, NULL, &why);
    if (c == CODE_OK && reason)
        c = FAIL(&why, CODE_FULL, 0, "the node takes no more: %s", mqtt_reason_name(reason));
    if (c == CODE_OK)
        unblock(s);
    else
        block(s, &why, now);
    return c == CODE_OK;
}

/* ---- a step ---- */

void runner_begin(struct runner *s, const struct route_target *t, struct route_counts *counts)
{
    s->target = t;
    s->counts = counts;
    s->blocked.text[0] = 0;
    s->retry_us = 0;
    set_high(s);
}

bool runner_step(struct runner *s, int64_t now)
{
    struct fault why;
    size_t n = 0;
    if (atomic_load(&s->posted))
        return false;
    if (s->word_count && !take_results(s, now))
        return false;
    if ((s->blocked.text[0] && now < s->retry_us) || s->router->held)
        return false;
    enum code c = consumer_take(s->queue, 0, s->items, RUN_BATCH, &n, &why);
    if (c != CODE_OK) {
        block(s, &why, now);
        return false;
    }
    if (!n) {
        unblock(s);
        return false;
    }
    return s->target->kind == SINK_UPSTREAM || s->target->kind == SINK_INPUT ? step_queue(s, n, now)
                                                                             : step_publish(s, n, now);
}
