/* will.c - publishes wills outside of a client's flow. */
#include "broker/private.h"

#include "base/crc32c.h"
#include "base/log.h"

#include <stdlib.h>

/* The will as it is at the moment of publishing: its expiry and its date begin now (3.1.3.2.4). */
static struct message *present_will(struct shard *shard, const struct message *m)
{
    struct message_parts parts = { .qos = m->qos, .retain = m->retain, .expires = m->expires_us != 0, .expiry_s = m->expiry_s,
                                   .text = m->encoded.at[1] & MESSAGE_TEXT, .wall_us = loop_wall_us(shard->loop),
                                   .now_us = loop_now_us(shard->loop), .topic = m->topic, .principal = m->principal,
                                   .source = m->source, .props = m->props, .payload = m->payload };
    return message_new(&parts);
}

static void deny_will(struct shard *shard, uint64_t will_id)
{
    struct broker *b = shard->broker;
    COUNT(shard, denied_wills, 1);
    log_info("broker", "FG2207 a will is not published: its user was removed, or no rule allows him to publish to its topic any more");
    pthread_mutex_lock(&b->registry);
    journal_lock(b->journal);
    struct will *w = will_by_id(b, will_id);
    if (w && !w->withdrawn)
        will_withdraw(b, w, loop_now_us(shard->loop), NULL);
    journal_unlock(b->journal);
    pthread_mutex_unlock(&b->registry);
    journal_kick(b->journal);
}

/* Should it fail, session_upkeep tries again. */
void shard_publish_will(struct shard *shard, uint64_t will_id)
{
    struct broker *b = shard->broker;
    journal_lock(b->journal);
    struct will *w = will_by_id(b, will_id);
    struct message *old = w && !w->withdrawn ? message_hold(w->message) : NULL;
    journal_unlock(b->journal);
    if (!old)
        return;
    if (!access_may_will(shard, old->principal, old->source, old->topic)) { /* P-WILL: authorised again now */
        message_drop(old);
        deny_will(shard, will_id);
        return;
    }
    struct message *m = present_will(shard, old);
    message_drop(old);
    struct op op = { .kind = OP_PUBLISH, .message = m, .fanout = m ? route_find(shard, m->topic) : NULL, .will_id = will_id };
    if (op.fanout)
        op.crc = crc32c(0, m->encoded.at, m->encoded.len);
    if (op.fanout && shard_push_op(shard, &op))
        return;
    log_warn("broker", "FG2033 a will waits: no memory");
    fanout_drop(op.fanout);
    message_drop(m);
}

static int by_id(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

void shard_publish_wills(struct shard *shard, uint64_t *ids, size_t n)
{
    if (n > 1)
        qsort(ids, n, sizeof *ids, by_id);
    for (size_t i = 0; i < n; i++)
        shard_publish_will(shard, ids[i]);
}
