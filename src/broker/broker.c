/* broker.c - the broker's own life: made, started after replay, stopped, summed up. */
#include "broker/private.h"

#include "base/log.h"
#include "mqtt/topic.h"

#include <sched.h>
#include <stdlib.h>

enum code broker_rules_new(struct broker_rules **out, const struct limits *l, const char *const *hub_topics, unsigned count,
                           struct fault *why)
{
    size_t texts = 0;
    for (unsigned i = 0; i < count; i++)
        texts += strlen(hub_topics[i]) + 1;
    struct broker_rules *r = mem_zalloc(1, sizeof *r + count * sizeof r->hub_topics[0] + texts);
    if (!r)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the broker's limits");
    r->limits = *l;
    r->mqtt = (struct mqtt_limits){ .packet_bytes = l->packet_bytes, .user_props = l->user_properties,
                                    .prop_bytes = l->property_bytes, .topic_bytes = l->topic_bytes,
                                    .topic_levels = l->topic_levels, .filters = l->filters_per_packet };
    r->connect = r->mqtt;
    r->connect.packet_bytes = l->connect_bytes;
    r->hub_topic_count = count;
    char *text = (char *)&r->hub_topics[count];
    for (unsigned i = 0; i < count; i++) {
        r->hub_topics[i] = text;
        size_t n = strlen(hub_topics[i]) + 1;
        memcpy(text, hub_topics[i], n);
        text += n;
    }
    *out = r;
    return CODE_OK;
}

void broker_rules_free(struct broker_rules *r)
{
    mem_free(r);
}

struct broker_rules *broker_change(struct broker *b, struct broker_rules *rules)
{
    /* Under the tree's lock, as whoever resolves a topic: the new generation means the new hub topics. */
    (void)pthread_rwlock_wrlock(&b->tree_lock);
    struct broker_rules *old = atomic_exchange(&b->rules, rules);
    atomic_fetch_add(&b->generation, 1);
    (void)pthread_rwlock_unlock(&b->tree_lock);
    return old;
}

enum code broker_new(struct broker **out, const struct broker_config *config, struct fault *why)
{
    struct bytes replies = bytes_str(config->response_topics ? config->response_topics : "");
    if (replies.len && !topic_name_valid(replies, config->limits.topic_bytes, config->limits.topic_levels))
        return FAIL(why, CODE_USAGE, 0, "response-topics is not a topic to publish to: %s", config->response_topics);
    struct broker *b = mem_zalloc(1, sizeof *b);
    if (!b)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the broker");
    b->config = *config;
    struct broker_rules *rules;
    if (broker_rules_new(&rules, &config->limits, config->hub_topics, config->hub_topic_count, why) != CODE_OK) {
        mem_free(b);
        return CODE_NOMEM;
    }
    atomic_init(&b->rules, rules);
    b->next_session_id = b->next_will_id = 1;
    broker_break_by_name(getenv("FIELDGATE_TEST_BREAK"));
    admit_init(&b->admit);
    (void)pthread_mutex_init(&b->registry, NULL);
    (void)pthread_mutex_init(&b->readers_lock, NULL);
    (void)pthread_rwlock_init(&b->tree_lock, NULL);
    *out = b;
    return CODE_OK;
}

static enum code enter_tree(struct broker *b, struct session *s)
{
    for (struct held_filter *f = s->filters; f; f = f->next) {
        struct subscription sub = held_subscription(s, f);
        bool replaced;
        if (tree_add(&b->tree, bytes_of(f->text, f->len), &sub, &replaced) != CODE_OK)
            return CODE_NOMEM;
    }
    return CODE_OK;
}

/* How much of its expiry a session had used up when we started: by the journal's age, since wall clocks jump. */
static int64_t expires_in_us(const struct session *s, int64_t age)
{
    int64_t away = age - s->away_since_us, whole = (int64_t)s->expiry_s * 1000000;
    if (away < 0)
        away = 0;
    return away > whole ? 0 : whole - away;
}

/* A session whose connection the stop or crash cut. */
static void cut_off(struct broker *b, struct session *s)
{
    uint64_t sent_upto = s->queue.tail - s->queue.head < 65535 ? s->queue.tail : s->queue.head + 65535;
    struct fault why;
    if (fold_disconnect(b, s, sent_upto, &why) != CODE_OK)
        log_warn("broker", "FG2031 the end of a connection could not be recorded: %s", why.text);
}

static enum code revive_sessions(struct broker *b, int64_t now, struct fault *why)
{
    int64_t age = journal_age_us(b->journal);
    for (struct session *s = b->durable_first, *next; s; s = next) {
        next = s->next;
        if (session_list(b, s) != CODE_OK || enter_tree(b, s) != CODE_OK)
            return FAIL(why, CODE_NOMEM, 0, "no memory for sessions");
        if (s->away_since_us == 0)
            cut_off(b, s);
        if (fold_is_crowded(b, s, 3))
            queue_crowded(b, s);
        if (s->expiry_s != UINT32_MAX) {
            s->expires_us = now + expires_in_us(s, age);
            session_expires_at(b, s->expires_us ? s->expires_us : 1);
        }
    }
    return CODE_OK;
}

static void revive_wills(struct broker *b, int64_t now)
{
    for (struct will *w = b->wills; w; w = w->next) {
        struct session *s = session_by_id(b, w->session_id);
        bool waits = w->delay_s && s && s->expiry_s;
        w->due_us = waits ? now + (int64_t)w->delay_s * 1000000 : now ? now : 1;
        session_expires_at(b, w->due_us);
    }
}

/* Wills of connections that the stop cut are published before anybody can connect: a later will or word of the same client
 * must not be overtaken by them. */
static void publish_due_wills(struct broker *b, int64_t now)
{
    VECTOR(uint64_t) due = { 0 };
    journal_lock(b->journal);
    for (struct will *w = b->wills; w; w = w->next)
        if (w->due_us && w->due_us <= (now ? now : 1) && VECTOR_ROOM(due))
            due.at[due.count++] = w->id;
    journal_unlock(b->journal);
    shard_publish_wills(&b->shards[0], due.at, due.count);
    shard_commit(&b->shards[0]);
    mem_free(due.at);
}

enum code broker_start(struct broker *b, struct journal *j, struct fault *why)
{
    FG_ASSERT(b->config.loop_count > 0 && b->config.loop_count <= SHARDS_MAX);
    b->journal = j;
    for (unsigned i = 0; i < b->config.loop_count; i++)
        shard_init(b, (int)i, b->config.loops[i]);
    sys_start(&b->shards[0]);
    atomic_store(&b->shard_count, b->config.loop_count); /* from here on the committer may wake them */
    int64_t now = loop_now_us(b->config.loops[0]);
    pthread_mutex_lock(&b->registry);
    journal_lock(j);
    enum code c = revive_sessions(b, now, why);
    revive_wills(b, now);
    journal_unlock(j);
    pthread_mutex_unlock(&b->registry);
    if (c == CODE_OK)
        publish_due_wills(b, now);
    journal_kick(j);
    return c;
}

/* ---- connections ---- */

struct arrival {
    struct letter   letter;
    struct net_peer peer;
};

static void open_arrival(struct letter *letter, struct loop *here)
{
    struct arrival *a = (struct arrival *)letter;
    struct shard *shard = loop_user(here);
    if (shard && !atomic_load(&shard->broker->stopping))
        (void)client_new(shard, &a->peer);
    else
        net_peer_refuse(&a->peer);
    mem_free(a);
}

static struct loop *next_loop(struct broker *b)
{
    return b->shards[atomic_fetch_add(&b->next_shard, 1) % b->shard_count].loop;
}

void broker_accept(struct broker *b, const struct net_peer *peer)
{
    struct arrival *a = mem_alloc(sizeof *a);
    if (!a) {
        net_peer_refuse(peer);
        return;
    }
    *a = (struct arrival){ .letter = { .open = open_arrival }, .peer = *peer };
    loop_post(next_loop(b), &a->letter);
}

static size_t on_bytes_unwanted(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    (void)c;
    return in.len;
}

static void on_close_unwanted(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static void open_adopted(void *ctx, struct loop *here, struct conn *c)
{
    struct broker *b = ctx;
    struct shard *shard = loop_user(here);
    if (c && shard && !atomic_load(&b->stopping))
        client_adopt(shard, c);
    else if (c)
        conn_close(c, true);
}

void broker_adopt(struct broker *b, struct conn *c)
{
    static const struct conn_events unwanted = { .on_bytes = on_bytes_unwanted, .on_close = on_close_unwanted };
    struct fault why;
    if (conn_move(c, next_loop(b), open_adopted, b, &why) == CODE_OK)
        return;
    log_warn("mqtt", "FG2001 %s could not be accepted: %s", conn_address(c), why.text);
    conn_set_events(c, &unwanted, NULL);
    conn_close(c, false);
}

struct farewell {
    struct letter letter;
    struct shard *shard;
};

static void open_farewell(struct letter *letter, struct loop *here)
{
    struct farewell *f = (struct farewell *)letter;
    (void)here;
    struct fault why;
    (void)FAIL(&why, CODE_CLOSED, 0, "the node is stopping");
    while (f->shard->strangers)
        client_end(f->shard->strangers, 0, NULL, false);
    for (struct client *c = f->shard->clients, *next; c; c = next) {
        next = c->next;
        client_end(c, MQTT_SHUTTING_DOWN, &why, true);
    }
    mem_free(f);
}

void broker_stop(struct broker *b)
{
    atomic_store(&b->stopping, true);
    for (unsigned i = 0; i < b->shard_count; i++) {
        struct farewell *f = mem_alloc(sizeof *f);
        if (!f)
            continue; /* loop_close ends the connections */
        *f = (struct farewell){ .letter = { .open = open_farewell }, .shard = &b->shards[i] };
        loop_post(b->shards[i].loop, &f->letter);
    }
}

void broker_halt(struct broker *b)
{
    /* The loops are about to go, the committer stays until the journal is closed: it must not wake them any more. */
    atomic_store(&b->halted, true);
    while (atomic_load(&b->waking))
        (void)sched_yield();
    for (unsigned i = 0; i < b->shard_count; i++)
        shard_turn(&b->shards[i]);
    if (atomic_load(&b->has_rescued))
        shard_turn(&b->shards[0]);
}

void broker_free(struct broker *b)
{
    if (!b)
        return;
    b->journal_gone = true;
    for (unsigned i = 0; i < b->shard_count; i++)
        shard_clear(&b->shards[i]);
    for (struct session *s = b->durable_first; s;) {
        struct session *next = s->next;
        bool linked = s->linked;
        if (linked)
            (void)table_remove(&b->sessions, s->client_id);
        session_forget(b, s);
        session_drop(s);
        s = next;
    }
    size_t cursor = 0;
    for (struct session *s; (s = table_next(&b->sessions, &cursor));) {
        session_forget(b, s);
        session_drop(s);
    }
    share_clear(b);
    while (b->wills)
        will_unlink(b, b->wills);
    mem_free(b->crowded.at);
    retained_clear(&b->retained);
    tree_clear(&b->tree);
    table_clear(&b->sessions);
    owners_clear(&b->owners);
    table_clear(&b->by_id);
    table_clear(&b->wills_by_id);
    admit_clear(&b->admit);
    broker_rules_free(atomic_load(&b->rules));
    (void)pthread_rwlock_destroy(&b->tree_lock);
    (void)pthread_mutex_destroy(&b->registry);
    (void)pthread_mutex_destroy(&b->readers_lock);
    mem_free(b);
}

/* ---- sums ---- */

static uint64_t load(const _Atomic uint64_t *v)
{
    return atomic_load_explicit((_Atomic uint64_t *)v, memory_order_relaxed);
}

static void add_shard(struct broker_stats *out, const struct shard *shard)
{
    const struct counters *c = &shard->counters;
    for (int q = 0; q < 3; q++) {
        out->received[q] += load(&c->received[q]);
        out->sent[q] += load(&c->sent[q]);
        out->packets_out += load(&c->sent[q]);
    }
    out->received_bytes += load(&c->received_bytes);
    out->sent_bytes += load(&c->sent_bytes);
    out->packets_in += load(&c->packets_in);
    out->packets_out += load(&c->answers);
    out->wire_in += load(&c->wire_in);
    out->wire_out += loop_sent_bytes(shard->loop);
    out->expired += load(&c->expired);
    out->stored += load(&c->stored);
    out->to_partitions += load(&c->to_partitions);
    out->acknowledged += load(&c->acknowledged);
    out->waiting_acks += load(&shard->waiting_acks);
    out->dropped_slow += load(&c->dropped_slow);
    out->dropped_queue += load(&c->dropped_queue);
    out->dropped_expired += load(&c->dropped_expired);
    out->dropped_too_large += load(&c->dropped_too_large);
    out->dropped_no_subscriber += load(&c->dropped_no_subscriber);
    out->dropped_away += load(&c->dropped_away);
    out->dropped_refused += load(&c->dropped_refused);
    out->refused_full += load(&c->refused_full);
    out->not_retained += load(&c->not_retained);
    out->retained_expired += load(&c->retained_expired);
    out->protocol_errors += load(&c->protocol_errors);
    out->takeovers += load(&c->takeovers);
    out->strangers_late += load(&c->strangers_late);
    out->strangers_room += load(&c->strangers_room);
    out->wills_published += load(&c->wills_published);
    out->connects += load(&c->connects);
    out->refused_connects += load(&c->refused_connects);
    out->withdrawn += load(&c->withdrawn);
    out->abandoned_sessions += load(&c->abandoned_sessions);
    out->denied_publishes += load(&c->denied_publishes);
    out->denied_subscriptions += load(&c->denied_subscriptions);
    out->denied_deliveries += load(&c->denied_deliveries);
    out->denied_wills += load(&c->denied_wills);
}

bool broker_over_memory(const struct broker *b)
{
    return atomic_load_explicit(&b->admit.over_memory, memory_order_relaxed);
}

void broker_stats(struct broker *b, struct broker_stats *out)
{
    *out = (struct broker_stats){ 0 };
    out->clients = atomic_load(&b->clients);
    out->clients_max = atomic_load(&b->clients_max);
    out->half_open = atomic_load(&b->admit.half_open);
    for (unsigned i = 0; i < b->shard_count; i++)
        add_shard(out, &b->shards[i]);
    if (b->config.auth) {
        struct auth_stats a;
        auth_stats(b->config.auth, &a);
        out->auth_checked = a.checked;
        out->auth_remembered = a.remembered;
        out->auth_failed = a.failed;
        out->auth_banned = a.banned;
        out->auth_busy = a.busy;
    }
    pthread_mutex_lock(&b->registry);
    out->sessions = b->sessions.count - b->reader_sessions;
    pthread_mutex_unlock(&b->registry);
    pthread_rwlock_rdlock(&b->tree_lock);
    out->subscriptions = b->tree.count;
    out->shared_subscriptions = b->tree.shared;
    pthread_rwlock_unlock(&b->tree_lock);
    journal_lock(b->journal);
    out->retained = b->retained.count;
    out->retained_bytes = b->retained.bytes;
    journal_unlock(b->journal);
    out->queued_messages = load(&b->queued_messages);
    out->queued_bytes = load(&b->queued_bytes);
}
