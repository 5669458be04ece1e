/* retry.c - what the journal or a queue has no room for just now, of those who cannot be told: kept, and tried once a second. */
#include "broker/private.h"

/* The peer's acknowledgement cannot be recorded for want of room. It is not read from until it can: so these stay few. */
void retry_keep(struct shard *shard, const struct op *op)
{
    if (journal_failed(shard->broker->journal) || !VECTOR_ROOM(shard->kept)) {
        client_drop(op->client); /* it will be sent again, and acknowledged again */
        return;
    }
    shard->kept.at[shard->kept.count++] = *op;
    client_pause(op->client, PAUSE_KEPT);
}

static void retry_kept(struct shard *shard)
{
    size_t n = shard->kept.count;
    struct op *list = shard->kept.at;
    shard->kept.at = NULL;
    shard->kept.count = shard->kept.cap = 0;
    for (size_t i = 0; i < n; i++) {
        client_resume(list[i].client, PAUSE_KEPT);
        if (!client_alive(list[i].client) || !shard_push_op(shard, &list[i]))
            client_drop(list[i].client);
    }
    mem_free(list);
}

/* 3.x cannot be told: nothing more is read, it is tried again once a second, and when nothing has changed for a while the
 * connection ends (L-QUEUE, refuse). Without memory it ends now: unacknowledged, the message comes again. */
void retry_withhold(struct shard *shard, const struct op *op)
{
    struct client *c = op->client;
    if (!client_alive(c))
        return;
    if (!c->withheld_us)
        c->withheld_us = loop_now_us(shard->loop);
    client_pause(c, PAUSE_WITHHELD);
    if (!VECTOR_ROOM(shard->withheld)) {
        client_end(c, MQTT_SERVER_BUSY, NULL, true);
        return;
    }
    shard->withheld.at[shard->withheld.count++] =
        (struct op){ .kind = OP_PUBLISH, .pid = op->pid, .crc = op->crc, .client = client_hold(c),
                     .message = message_hold(op->message) };
    c->withheld++;
}

static bool try_again(struct shard *shard, const struct op *old)
{
    struct client *c = old->client;
    struct op op = *old;
    c->refusing = 0;
    if (!client_alive(c) || (op.message->qos == 2 && !pidset_add(&c->in_pids, op.pid)))
        return false;
    op.fanout = route_find(shard, op.message->topic);
    op.client = client_hold(c);
    op.message = message_hold(op.message);
    if (op.fanout && shard_push_op(shard, &op))
        return true;
    fanout_drop(op.fanout);
    message_drop(op.message);
    client_drop(c);
    return false;
}

static void retry_withheld(struct shard *shard)
{
    size_t n = shard->withheld.count;
    struct op *list = shard->withheld.at;
    if (!n)
        return;
    shard->withheld.at = NULL;
    shard->withheld.count = shard->withheld.cap = 0;
    for (size_t i = 0; i < n; i++) {
        list[i].client->withheld--;
        if (!try_again(shard, &list[i]))
            client_end(list[i].client, MQTT_SERVER_BUSY, NULL, true); /* nothing for one that has gone */
    }
    shard_commit(shard); /* those that are refused again are withheld again, in their order */
    for (size_t i = 0; i < n; i++) {
        struct client *c = list[i].client;
        if (client_alive(c) && c->withheld == 0) {
            c->withheld_us = 0;
            client_resume(c, PAUSE_WITHHELD);
        }
        message_drop(list[i].message);
        client_drop(c);
    }
    mem_free(list);
}

void retry_second(struct shard *shard)
{
    retry_kept(shard);
    retry_withheld(shard);
}

void retry_clear(struct shard *shard)
{
    for (size_t i = 0; i < shard->kept.count; i++)
        client_drop(shard->kept.at[i].client);
    mem_free(shard->kept.at);
    for (size_t i = 0; i < shard->withheld.count; i++) {
        message_drop(shard->withheld.at[i].message);
        client_drop(shard->withheld.at[i].client);
    }
    mem_free(shard->withheld.at);
}
