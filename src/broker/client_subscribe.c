/* client_subscribe.c - SUBSCRIBE and UNSUBSCRIBE. The retained messages a new subscription is owed: retained_feed.c. */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "mqtt/topic.h"

#include <stdio.h>

struct asked {            /* one filter of the packet */
    uint8_t             reason;
    bool                existed, in_tree;
    struct subscription former; /* what it replaced, if it existed */
};

static uint32_t shared_count(const struct session *s)
{
    uint32_t n = 0;
    for (const struct held_filter *h = s->filters; h; h = h->next)
        n += topic_filter_shared(bytes_of(h->text, h->len));
    return n;
}

static uint8_t judge(const struct client *c, const struct mqtt_filter *f, uint32_t *held, uint32_t *shared)
{
    const struct limits *limits = limits_of(c->shard->broker);
    if (f->refused)
        return f->refused;
    if (!client_may_subscribe(c, f->filter)) {
        COUNT(c->shard, denied_subscriptions, 1);
        return MQTT_NOT_AUTHORIZED;
    }
    if (session_filter(c->session, f->filter))
        return f->qos;
    bool grouped = topic_filter_shared(f->filter), over = ++*held > limits->subscriptions;
    bool over_shared = grouped && ++*shared > limits->shared_groups;
    if (over || over_shared) {
        limits_refused(over ? LIMIT_SUBSCRIPTIONS : LIMIT_SHARED_GROUPS);
        return MQTT_QUOTA_EXCEEDED;
    }
    route_saw_topic(f->filter);
    limits_saw(LIMIT_SUBSCRIPTIONS, *held);
    limits_saw(LIMIT_SHARED_GROUPS, *shared);
    return f->qos;
}

static struct subscription subscription_of(struct session *s, const struct mqtt_filter *f, uint32_t id)
{
    return (struct subscription){ .session = s, .qos = f->qos, .no_local = f->no_local, .id = id,
                                  .retain_as_published = f->retain_as_published, .retain_handling = f->retain_handling };
}

/* Before anything changes: what a failure must bring back. */
static void remember_former(struct client *c, struct mqtt_filter *list, struct asked *asked)
{
    for (struct mqtt_filter *f = list; f; f = f->next, asked++) {
        const struct held_filter *h = session_filter(c->session, f->filter);
        if (h)
            asked->former = held_subscription(c->session, h);
    }
}

static void enter_tree(struct client *c, struct mqtt_filter *list, uint32_t id, struct asked *asked)
{
    struct broker *b = c->shard->broker;
    pthread_rwlock_wrlock(&b->tree_lock);
    for (struct mqtt_filter *f = list; f; f = f->next, asked++) {
        if (asked->reason >= 0x80)
            continue;
        struct subscription sub = subscription_of(c->session, f, id);
        if (tree_add(&b->tree, f->filter, &sub, &asked->existed) != CODE_OK)
            asked->reason = MQTT_IMPLEMENTATION_SPECIFIC;
        else
            asked->in_tree = true;
    }
    atomic_fetch_add(&b->generation, 1);
    pthread_rwlock_unlock(&b->tree_lock);
}

static void leave_tree(struct client *c, struct mqtt_filter *list, const struct asked *asked)
{
    struct broker *b = c->shard->broker;
    pthread_rwlock_wrlock(&b->tree_lock);
    for (struct mqtt_filter *f = list; f; f = f->next, asked++) {
        bool replaced;
        if (asked->in_tree && !asked->former.session)
            (void)tree_remove(&b->tree, f->filter, c->session);
        else if (asked->in_tree) /* it is there: nothing is allocated */
            FG_ASSERT(tree_add(&b->tree, f->filter, &asked->former, &replaced) == CODE_OK);
    }
    atomic_fetch_add(&b->generation, 1);
    pthread_rwlock_unlock(&b->tree_lock);
}

/* The session's own list, and for a durable one the record. On failure nothing has changed. */
static enum code hold_filters(struct client *c, struct mqtt_filter *list, uint32_t id, const struct asked *asked,
                              uint64_t *seq, struct fault *why)
{
    struct broker *b = c->shard->broker;
    struct session *s = c->session;
    enum code code = CODE_OK;
    const struct asked *a = asked;
    bool any = false;
    journal_lock(b->journal);
    for (struct mqtt_filter *f = list; f && code == CODE_OK; f = f->next, a++) {
        f->refused = a->reason >= 0x80 ? a->reason : 0;
        if (f->refused)
            continue;
        any = true;
        struct subscription sub = subscription_of(s, f, id);
        code = session_set_filter(s, f->filter, &sub);
    }
    if (code == CODE_NOMEM)
        (void)FAIL(why, CODE_NOMEM, 0, "no memory for a subscription");
    if (code == CODE_OK && any && s->durable)
        code = fold_subscribe(b, s, list, id, seq, why);
    if (code != CODE_OK) {
        a = asked;
        for (struct mqtt_filter *f = list; f; f = f->next, a++) {
            if (a->in_tree && !a->former.session)
                (void)session_remove_filter(s, f->filter);
            else if (a->in_tree)
                FG_ASSERT(session_set_filter(s, f->filter, &a->former) == CODE_OK);
        }
    }
    journal_unlock(b->journal);
    journal_kick(b->journal);
    return code;
}

static bool wants_retained(const struct mqtt_filter *f, const struct asked *asked)
{
    if (topic_filter_shared(f->filter))
        return false; /* 4.8.2 */
    return asked->reason < 0x80 && (f->retain_handling == 0 || (f->retain_handling == 1 && !asked->existed)); /* 3.8.3.1 */
}

static void refuse(struct client *c, const struct fault *why)
{
    client_end(c, why->mqtt_reason ? why->mqtt_reason : MQTT_MALFORMED, why, true);
}

/* Why the first of the refused ones was, for people: if the client wants it and takes packets that long. */
static void put_reason_string(const struct client *c, const struct mqtt_subscribe *p, const uint8_t *reasons, struct buf *props)
{
    uint32_t i = 0;
    while (i < p->count && reasons[i] < 0x80)
        i++;
    if (i == p->count || c->version != MQTT_5 || !c->request_problem)
        return;
    const char *text = reasons[i] == MQTT_FILTER_INVALID    ? "it is not valid, too long or too deep (limits.topic-bytes)"
                       : reasons[i] == MQTT_QUOTA_EXCEEDED  ? "more than limits.subscriptions or its like, or no room on disk"
                       : reasons[i] == MQTT_NOT_AUTHORIZED  ? "this client may not subscribe to it"
                                                            : "it could not be stored: see the node's log";
    char line[128];
    int n = snprintf(line, sizeof line, "filter %u: %s", i + 1, text);
    if (n > 0 && (!c->max_packet || p->count + (uint32_t)n + 16 <= c->max_packet))
        mqtt_put_bytes(props, MQTT_PROP_REASON_STRING, bytes_str(line));
}

static void subscribe(struct client *c, const struct mqtt_subscribe *p, struct asked *asked, uint8_t *reasons)
{
    struct fault why;
    uint64_t seq = 0;
    uint32_t held = c->session->filter_count, shared = shared_count(c->session);
    uint32_t id = p->props.sub_id; /* 0: none */
    uint32_t i = 0;
    for (struct mqtt_filter *f = p->filters; f; f = f->next)
        asked[i++].reason = judge(c, f, &held, &shared);
    remember_former(c, p->filters, asked);
    enter_tree(c, p->filters, id, asked);
    enum code code = hold_filters(c, p->filters, id, asked, &seq, &why);
    if (code != CODE_OK) {
        log_warn("broker", "FG7001 subscription refused: %s", why.text);
        leave_tree(c, p->filters, asked);
        for (i = 0; i < p->count; i++)
            if (asked[i].reason < 0x80)
                asked[i].reason = code == CODE_FULL ? MQTT_QUOTA_EXCEEDED : MQTT_IMPLEMENTATION_SPECIFIC;
    }
    for (i = 0; i < p->count; i++)
        reasons[i] = asked[i].reason;
    const struct asked *a = asked;
    bool ok = true;
    for (struct mqtt_filter *f = p->filters; f && ok; f = f->next, a++)
        if (wants_retained(f, a))
            ok = feed_add(c, f->filter, f->qos, id) && sys_greet(c, f->filter, id);
    struct buf blob = { 0 }, props = { 0 };
    put_reason_string(c, p, reasons, &props);
    mqtt_encode_suback(&blob, c->version, MQTT_SUBACK, p->packet_id, reasons, p->count, buf_bytes(&props));
    buf_clear(&props);
    if (!ok || blob.bad || !feed_suback(c, seq, p->packet_id, buf_bytes(&blob)))
        client_end(c, MQTT_SERVER_BUSY, NULL, true); /* without SUBACK he asks again */
    buf_clear(&blob);
}

/* [MQTT-3.1.2-24]: SUBACK and UNSUBACK cannot be shortened, so what cannot be answered is not begun. */
static enum code check_answer(const struct client *c, uint32_t filters, struct fault *why)
{
    if (!c->max_packet)
        return CODE_OK;
    uint32_t body = 3 + filters; /* identifier, no properties, reasons */
    uint32_t size = body + (body < 128 ? 2 : body < 16384 ? 3 : 4);
    if (size <= c->max_packet)
        return CODE_OK;
    (void)FAIL(why, CODE_LIMIT, 0, "the answer to %u filters has %u bytes, it takes packets of %u", filters, size, c->max_packet);
    why->mqtt_reason = MQTT_PACKET_TOO_LARGE;
    return CODE_LIMIT;
}

void handle_subscribe(struct client *c, struct bytes body)
{
    struct shard *shard = c->shard;
    struct mqtt_subscribe p;
    struct fault why;
    uint8_t lent[SCRATCH_BYTES];
    struct arena arena;
    arena_init(&arena, lent, sizeof lent, 256 * 1024);
    enum code code = mqtt_decode_subscribe(c->version, body, &rules_of(shard->broker)->mqtt, &arena, &p, &why);
    if (code == CODE_OK)
        code = check_answer(c, p.count, &why);
    if (code != CODE_OK) {
        arena_clear(&arena);
        refuse(c, &why);
        return;
    }
    shard_commit(shard); /* what was published before is not owed to what is subscribed now */
    struct asked *asked = arena_zero(&arena, p.count * sizeof *asked);
    uint8_t *reasons = arena_take(&arena, p.count);
    if (asked && reasons && client_alive(c))
        subscribe(c, &p, asked, reasons);
    else
        client_end(c, MQTT_SERVER_BUSY, NULL, true);
    arena_clear(&arena);
}

static void unsubscribe(struct client *c, const struct mqtt_subscribe *p, uint8_t *reasons)
{
    struct broker *b = c->shard->broker;
    struct session *s = c->session;
    struct fault why;
    uint64_t seq = 0;
    enum code code = CODE_OK;
    uint32_t i = 0;
    for (struct mqtt_filter *f = p->filters; f; f = f->next)
        reasons[i++] = f->refused ? f->refused : session_filter(s, f->filter) ? 0 : MQTT_NO_SUBSCRIPTION_EXISTED;
    journal_lock(b->journal);
    if (s->durable)
        code = fold_unsubscribe(b, s, p->filters, &seq, &why);
    else
        for (struct mqtt_filter *f = p->filters; f; f = f->next)
            (void)session_remove_filter(s, f->filter);
    journal_unlock(b->journal);
    journal_kick(b->journal);
    if (code != CODE_OK) {
        log_warn("broker", "FG7001 unsubscription refused: %s", why.text);
        if (c->version != MQTT_5) { /* its UNSUBACK could only say that it worked */
            client_end(c, 0, &why, true);
            return;
        }
        memset(reasons, MQTT_IMPLEMENTATION_SPECIFIC, p->count);
    } else {
        pthread_rwlock_wrlock(&b->tree_lock);
        for (struct mqtt_filter *f = p->filters; f; f = f->next)
            if (tree_remove(&b->tree, f->filter, s) && topic_filter_shared(f->filter)) {
                journal_lock(b->journal);
                share_give_away(b, s, SHARE_UNSUBSCRIBED, f->filter);
                journal_unlock(b->journal);
            }
        atomic_fetch_add(&b->generation, 1);
        pthread_rwlock_unlock(&b->tree_lock);
        share_settle(b);
        for (struct mqtt_filter *f = p->filters; f; f = f->next)
            feed_remove(c, f->filter);
    }
    struct buf blob = { 0 }, props = { 0 };
    put_reason_string(c, p, reasons, &props);
    mqtt_encode_suback(&blob, c->version, MQTT_UNSUBACK, p->packet_id, reasons, p->count, buf_bytes(&props));
    buf_clear(&props);
    shard_ack(c->shard, c, seq, MQTT_UNSUBACK, p->packet_id, 0, buf_bytes(&blob));
    buf_clear(&blob);
}

void handle_unsubscribe(struct client *c, struct bytes body)
{
    struct mqtt_subscribe p;
    struct fault why;
    uint8_t lent[SCRATCH_BYTES];
    struct arena arena;
    arena_init(&arena, lent, sizeof lent, 256 * 1024);
    enum code code = mqtt_decode_unsubscribe(c->version, body, &rules_of(c->shard->broker)->mqtt, &arena, &p, &why);
    if (code == CODE_OK)
        code = check_answer(c, p.count, &why);
    if (code != CODE_OK) {
        arena_clear(&arena);
        refuse(c, &why);
        return;
    }
    shard_commit(c->shard);
    uint8_t *reasons = arena_take(&arena, p.count);
    if (reasons && client_alive(c))
        unsubscribe(c, &p, reasons);
    else
        client_end(c, MQTT_SERVER_BUSY, NULL, true);
    arena_clear(&arena);
}
