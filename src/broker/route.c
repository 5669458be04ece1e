/* route.c - who gets a topic: resolved once per topic and generation of the tree, then shared. */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "mqtt/topic.h"

#include <stdlib.h>

enum { ROUTES_MAX = 4096, LOOK_EVERY = 64 /* deliveries, see budget_turn_full */ };

/* One subscription that matches, before those of the same session are merged. */
struct match {
    struct target target;
    uint32_t      id;
};
struct collected {
    VECTOR(struct match) found;
    VECTOR(struct target) targets;
    VECTOR(struct origin *) origins; /* one for each target, once one has one */
    VECTOR(struct share *) shares;
    bool nomem;
};

static void collect(void *ctx, const struct subscription *sub)
{
    struct collected *c = ctx;
    if (sub->share && VECTOR_ROOM(c->shares)) {
        c->shares.at[c->shares.count++] = share_hold(sub->share);
        return;
    }
    if (sub->share || !VECTOR_ROOM(c->found)) {
        c->nomem = true;
        return;
    }
    struct target t = { .session = session_hold(sub->session), .qos = sub->qos, .no_local = sub->no_local,
                        .retain_as_published = sub->retain_as_published };
    c->found.at[c->found.count++] = (struct match){ t, sub->id };
}

static int by_session(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct match *)a)->target.session, y = (uintptr_t)((const struct match *)b)->target.session;
    return x < y ? -1 : x > y;
}

static bool add_origin(struct collected *c, struct origin *origin)
{
    while (c->origins.count < c->targets.count - 1) { /* those before had none */
        if (!VECTOR_ROOM(c->origins))
            return false;
        c->origins.at[c->origins.count++] = NULL;
    }
    if (!VECTOR_ROOM(c->origins))
        return false;
    c->origins.at[c->origins.count++] = origin;
    return true;
}

/* Overlapping filters of one session are one delivery with the highest QoS and all their identifiers (3.3.4). */
static void add_target(struct collected *c, const struct match *m, size_t n, bool own)
{
    struct target t = { .session = session_hold(m->target.session), .no_local = true, .only_own = own };
    struct buf ids = { 0 };
    for (size_t i = 0; i < n; i++) {
        const struct target *one = &m[i].target;
        if (own && one->no_local)
            continue;
        t.qos = one->qos > t.qos ? one->qos : t.qos;
        t.retain_as_published = t.retain_as_published || one->retain_as_published;
        t.no_local = t.no_local && one->no_local;
        if (m[i].id)
            buf_add(&ids, &m[i].id, sizeof m[i].id);
    }
    struct bytes list = buf_bytes(&ids);
    struct origin *origin = NULL;
    c->nomem = c->nomem || ids.bad || !VECTOR_ROOM(c->targets);
    if (!c->nomem && list.len)
        c->nomem = !(origin = origin_new((const uint32_t *)(const void *)list.at, (uint32_t)(list.len / 4), BYTES_NONE));
    if (!c->nomem)
        c->targets.at[c->targets.count++] = t;
    else
        session_drop(t.session);
    if (!c->nomem && (origin || c->origins.count) && !add_origin(c, origin)) {
        origin_drop(origin);
        c->nomem = true;
    }
    buf_clear(&ids);
}

static void merge(struct collected *c)
{
    if (c->found.count > 1)
        qsort(c->found.at, c->found.count, sizeof *c->found.at, by_session);
    for (size_t i = 0, end; i < c->found.count && !c->nomem; i = end) {
        const struct match *m = &c->found.at[i];
        size_t silent = 0;
        for (end = i; end < c->found.count && c->found.at[end].target.session == m->target.session; end++)
            silent += c->found.at[end].target.no_local;
        add_target(c, m, end - i, false);
        if (c->nomem || !silent || silent == end - i)
            continue;
        /* Some of them do not want what the session itself publishes, others do: two targets, of which a message has one. */
        c->targets.at[c->targets.count - 1].no_local = true;
        add_target(c, m, end - i, true);
    }
}

static bool to_partition(const struct broker *b, struct bytes topic)
{
    const struct broker_rules *rules = rules_of(b);
    for (unsigned i = 0; i < rules->hub_topic_count; i++)
        if (topic_matches(bytes_str(rules->hub_topics[i]), topic))
            return true;
    return false;
}

static struct fanout *make_fanout(const struct collected *c, struct bytes topic)
{
    size_t targets = c->targets.count * sizeof(struct target);
    size_t origins = c->origins.count ? c->targets.count * sizeof(struct origin *) : 0;
    size_t shares = c->shares.count * sizeof(struct share *);
    struct fanout *f = c->nomem ? NULL : mem_zalloc(1, sizeof *f + targets + origins + shares + topic.len);
    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    f->count = (uint32_t)c->targets.count;
    if (targets)
        memcpy(f->targets, c->targets.at, targets);
    uint8_t *behind = (uint8_t *)f->targets + targets;
    if (origins) {
        f->origins = (struct origin **)(void *)behind;
        memcpy(f->origins, c->origins.at, c->origins.count * sizeof(struct origin *));
        behind += origins;
    }
    if (shares) {
        f->shares = (struct share **)(void *)behind;
        f->share_count = (uint32_t)c->shares.count;
        memcpy(f->shares, c->shares.at, shares);
        behind += shares;
    }
    if (topic.len)
        memcpy(behind, topic.at, topic.len);
    f->topic = bytes_of(behind, topic.len);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct session *s = f->targets[i].session;
        f->durable_count += s->durable && f->targets[i].qos;
        f->readers += session_is_consumer(s);
    }
    return f;
}

struct fanout *fanout_single(struct session *s, const struct subscription *sub, struct origin *origin)
{
    struct target t = { .session = s, .qos = sub->qos, .retain_as_published = sub->retain_as_published };
    struct collected c = { .targets = { &t, 1, 1 }, .origins = { &origin, 1, 1 } };
    struct fanout *f = make_fanout(&c, BYTES_NONE);
    if (f) {
        (void)session_hold(s);
        (void)origin_hold(origin);
        f->single = true;
    }
    return f;
}

struct fanout *fanout_partition(void)
{
    struct fanout *f = make_fanout(&(struct collected){ 0 }, BYTES_NONE);
    if (f)
        f->to_partition = true;
    return f;
}

struct fanout *fanout_group(struct share *g)
{
    struct collected c = { .shares = { &g, 1, 1 } };
    struct fanout *f = make_fanout(&c, BYTES_NONE);
    if (f)
        (void)share_hold(g);
    return f;
}

/* A right that was withdrawn does not leave with its subscription: who may not get the topic any more is passed over. */
static void pass_over_denied(const struct shard *shard, struct collected *c, struct bytes topic)
{
    size_t n = 0;
    if (!access_asks(shard->access, topic))
        return;
    for (size_t i = 0; i < c->found.count; i++) {
        if (access_may_get(shard->access, c->found.at[i].target.session, topic))
            c->found.at[n++] = c->found.at[i];
        else
            session_drop(c->found.at[i].target.session);
    }
    c->found.count = n;
}

static struct fanout *resolve(const struct shard *shard, struct bytes topic)
{
    struct broker *b = shard->broker;
    struct collected c = { 0 };
    pthread_rwlock_rdlock(&b->tree_lock);
    uint64_t generation = atomic_load(&b->generation);
    tree_match(&b->tree, topic, collect, &c);
    pthread_rwlock_unlock(&b->tree_lock);
    pass_over_denied(shard, &c, topic);
    merge(&c);
    struct fanout *f = make_fanout(&c, topic);
    if (f) {
        f->generation = generation;
        limits_saw(LIMIT_FAN_OUT, f->count);
        route_saw_topic(topic);
        f->to_partition = to_partition(b, topic);
    }
    for (size_t i = 0; i < c.found.count; i++)
        session_drop(c.found.at[i].target.session);
    for (size_t i = 0; !f && i < c.targets.count; i++)
        session_drop(c.targets.at[i].session);
    for (size_t i = 0; !f && i < c.origins.count; i++)
        origin_drop(c.origins.at[i]);
    for (size_t i = 0; !f && i < c.shares.count; i++)
        share_drop(c.shares.at[i]);
    mem_free(c.shares.at);
    mem_free(c.found.at);
    mem_free(c.targets.at);
    mem_free(c.origins.at);
    return f;
}

void route_saw_topic(struct bytes topic)
{
    uint64_t levels = 1;
    for (size_t i = 0; i < topic.len; i++)
        levels += topic.at[i] == '/';
    limits_saw(LIMIT_TOPIC_BYTES, topic.len);
    limits_saw(LIMIT_TOPIC_LEVELS, levels);
}

struct fanout *fanout_hold(struct fanout *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void fanout_drop(struct fanout *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < f->count; i++) {
        session_drop(f->targets[i].session);
        origin_drop(fanout_origin(f, i));
    }
    for (uint32_t i = 0; i < f->share_count; i++)
        share_drop(f->shares[i]);
    mem_free(f);
}

void route_clear(struct shard *shard)
{
    size_t cursor = 0;
    for (struct fanout *f; (f = table_next(&shard->routes, &cursor));)
        fanout_drop(f);
    table_clear(&shard->routes);
    memset(shard->recent, 0, sizeof shard->recent);
}

/* The fan-out in the table, or one that `*own` says the caller must let go of. */
static struct fanout *find(struct shard *shard, struct bytes topic, bool *own)
{
    struct broker *b = shard->broker;
    struct fanout *f = table_get(&shard->routes, topic);
    *own = false;
    if (f && f->generation == atomic_load_explicit(&b->generation, memory_order_acquire))
        return f;
    if (f) {
        memset(shard->recent, 0, sizeof shard->recent);
        (void)table_remove(&shard->routes, f->topic);
        fanout_drop(f);
    }
    f = resolve(shard, topic);
    if (!f)
        return NULL;
    if (shard->routes.count >= ROUTES_MAX)
        route_clear(shard);
    *own = table_put(&shard->routes, f->topic, f) != CODE_OK; /* then it is not remembered, only used */
    return f;
}

struct fanout *route_find(struct shard *shard, struct bytes topic)
{
    bool own;
    struct fanout *f = find(shard, topic, &own);
    return f && !own ? fanout_hold(f) : f;
}

/* Cheap, and told apart by what differs in machines' topics: the end, and the length. */
static unsigned recent_slot(struct bytes topic)
{
    uint64_t end = 0;
    memcpy(&end, topic.len > 8 ? topic.at + topic.len - 8 : topic.at, topic.len > 8 ? 8 : topic.len);
    return (unsigned)((end ^ topic.len) * 0x9e3779b97f4a7c15u >> 58) % ROUTES_RECENT;
}

const struct fanout *route_look(struct shard *shard, struct bytes topic)
{
    struct fanout **slot = &shard->recent[recent_slot(topic)], *f = *slot;
    if (f && bytes_equal(f->topic, topic) &&
        f->generation == atomic_load_explicit(&shard->broker->generation, memory_order_acquire))
        return f;
    bool own;
    f = find(shard, topic, &own);
    if (f && own) {
        fanout_drop(f);
        return NULL;
    }
    return *slot = f;
}

/* ---- delivery that needs no journal ---- */

/* QoS of this delivery if it goes this way, -1 if the journal's way or nobody's. */
static int direct_qos(const struct target *t, const struct message *m, uint64_t from)
{
    uint8_t qos = t->qos < m->qos ? t->qos : m->qos;
    if (!target_meant(t, from))
        return -1;
    return t->session->durable && qos ? -1 : qos;
}

/* ---- members of shares ---- */

static bool counts(const struct message *m, const struct fanout *pick)
{
    return m->qos && pick->targets[0].qos;
}

void route_count_pick(const struct message *m, struct fanout *pick)
{
    if (counts(m, pick))
        atomic_fetch_add_explicit(&pick->targets[0].session->coming, 1, memory_order_relaxed);
}

static void uncount_pick(const struct message *m, const struct fanout *pick)
{
    if (counts(m, pick))
        atomic_fetch_sub_explicit(&pick->targets[0].session->coming, 1, memory_order_relaxed);
}

/* Its session has ended on the way. */
static void pick_again(struct shard *shard, struct message *m, const struct fanout *pick)
{
    uncount_pick(m, pick);
    if (counts(m, pick))
        share_rescue(shard->broker, m, fanout_origin(pick, 0));
    else
        COUNT(shard, dropped_away, 1);
}

static void deliver_pick_here(struct shard *shard, struct message *m, const struct fanout *pick)
{
    const struct target *t = &pick->targets[0];
    bool retain = t->retain_as_published && m->retain;
    if (atomic_load_explicit(&t->session->shard, memory_order_acquire) != shard->number || !t->session->client) {
        pick_again(shard, m, pick);
        return;
    }
    if (!counts(m, pick)) {
        deliver_now(shard, t->session->client, m, fanout_origin(pick, 0), retain);
        return;
    }
    deliver_volatile(shard, t->session, m, fanout_origin(pick, 0), t->qos < m->qos ? t->qos : m->qos, retain);
    uncount_pick(m, pick);
}

/* ---- on this loop ---- */

/* Returns where it stopped: at the end, or when the turn was full (L-MEM), but after a few at least. */
static uint32_t deliver_some(struct shard *shard, struct message *m, const struct fanout *f, uint64_t from, uint32_t first,
                             uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        if ((i - first) % LOOK_EVERY == LOOK_EVERY - 1 && budget_turn_full(shard))
            return i;
        const struct target *t = &f->targets[i];
        if (atomic_load_explicit(&t->session->shard, memory_order_acquire) != shard->number)
            continue;
        int qos = direct_qos(t, m, from);
        if (qos < 0 || !t->session->client)
            continue;
        bool retain = t->retain_as_published && m->retain;
        if (qos == 0)
            deliver_now(shard, t->session->client, m, fanout_origin(f, i), retain);
        else
            deliver_volatile(shard, t->session, m, fanout_origin(f, i), (uint8_t)qos, retain);
    }
    return end;
}

static bool postpone(struct shard *shard, struct message *m, struct fanout *f, uint64_t from, uint32_t next)
{
    if (!VECTOR_ROOM(shard->slices))
        return false;
    shard->slices.at[shard->slices.count++] = (struct fan_slice){ message_hold(m), fanout_hold(f), from, next };
    atomic_fetch_add(&shard->inbox_bytes, m->encoded.len + sizeof(struct fan_slice)); /* others wait, too, when it is much */
    shard_wake(shard);
    return true;
}

void route_deliver_here(struct shard *shard, struct message *m, struct fanout *f, uint64_t from)
{
    bool great = f->count > limits_of(shard->broker)->fan_out, late = shard->slices.count || great || budget_turn_full(shard);
    if (great)
        limits_refused(LIMIT_FAN_OUT); /* cut into slices */
    if (late && postpone(shard, m, f, from, 0))
        return;
    if (f->single) {
        deliver_pick_here(shard, m, f);
        return;
    }
    uint32_t next = deliver_some(shard, m, f, from, 0, f->count);
    while (next < f->count && !postpone(shard, m, f, from, next))
        next = deliver_some(shard, m, f, from, next, f->count);
}

void route_slices(struct shard *shard)
{
    uint32_t left = limits_of(shard->broker)->fan_out;
    size_t done = 0;
    while (done < shard->slices.count && left && !(done && budget_turn_full(shard))) {
        struct fan_slice s = shard->slices.at[done]; /* delivering may end a client: the list may grow meanwhile */
        uint32_t n = s.fanout->count - s.next < left ? s.fanout->count - s.next : left;
        if (s.fanout->single)
            deliver_pick_here(shard, s.message, s.fanout);
        else
            n = deliver_some(shard, s.message, s.fanout, s.from, s.next, s.next + n) - s.next;
        left -= n ? n : 1;
        shard->slices.at[done].next += n;
        if (shard->slices.at[done].next < s.fanout->count)
            break;
        done++;
        atomic_fetch_sub(&shard->inbox_bytes, s.message->encoded.len + sizeof s);
        message_drop(s.message);
        fanout_drop(s.fanout);
    }
    if (done) {
        shard->slices.count -= done;
        memmove(shard->slices.at, shard->slices.at + done, shard->slices.count * sizeof shard->slices.at[0]);
    }
    if (shard->slices.count)
        shard_wake(shard);
}

static void post_to(struct shard *shard, int other, struct message *m, struct fanout *f, uint64_t from)
{
    struct outbox *box = shard->outbox[other];
    uint64_t ahead = atomic_load_explicit(&shard->broker->shards[other].inbox_bytes, memory_order_relaxed);
    if (ahead > INBOX_HIGH)
        shard->congested = true; /* publishers wait until it has caught up */
    if (ahead > INBOX_MAX && m->qos == 0) {
        COUNT(shard, dropped_slow, 1);
        return;
    }
    if (!box || box->count == box->cap) {
        uint32_t cap = box ? box->cap * 2 : 16;
        struct outbox *bigger = mem_realloc(box, sizeof *box + cap * sizeof box->items[0]);
        if (!bigger) {
            COUNT(shard, dropped_slow, 1);
            if (f->single)
                uncount_pick(m, f);
            return;
        }
        if (!box)
            bigger->count = 0, bigger->bytes = 0;
        bigger->cap = cap;
        shard->outbox[other] = box = bigger;
    }
    box->items[box->count++] = (struct outbox_item){ message_hold(m), fanout_hold(f), from };
    box->bytes += m->encoded.len + sizeof box->items[0];
}

static void deliver_pick(struct shard *shard, struct message *m, struct fanout *pick)
{
    int at = atomic_load_explicit(&pick->targets[0].session->shard, memory_order_acquire);
    if (at == shard->number)
        route_deliver_here(shard, m, pick, 0);
    else if (at >= 0)
        post_to(shard, at, m, pick, 0);
    else
        pick_again(shard, m, pick);
    fanout_drop(pick);
}

void route_deliver_picks(struct shard *shard, struct message *m, struct fanout **picks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        deliver_pick(shard, m, picks[i]);
    mem_free(picks);
}

void route_forget_picks(const struct message *m, struct fanout **picks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uncount_pick(m, picks[i]);
        fanout_drop(picks[i]);
    }
    mem_free(picks);
}

/* QoS 0 needs no record of who was chosen. */
static void deliver_shares(struct shard *shard, struct message *m, struct fanout *f)
{
    struct share_wish wish = { .limits = limits_of(shard->broker), .access = shard->access, .topic = m->topic };
    for (uint32_t i = 0; i < f->share_count; i++) {
        struct fanout *pick = share_choose(f->shares[i], &wish);
        if (pick)
            deliver_pick(shard, m, pick);
        else
            COUNT(shard, dropped_away, 1);
    }
}

void route_deliver(struct shard *shard, struct message *m, struct fanout *f, uint64_t from)
{
    if (f->share_count && m->qos == 0)
        deliver_shares(shard, m, f);
    uint64_t others = 0; /* one bit per shard: SHARDS_MAX is 64 */
    bool here = false;
    for (uint32_t i = 0; i < f->count; i++) {
        if (session_is_consumer(f->targets[i].session))
            continue; /* it has it already, from the fold */
        int at = atomic_load_explicit(&f->targets[i].session->shard, memory_order_acquire);
        if (at == shard->number) {
            here = true;
            continue;
        }
        if (direct_qos(&f->targets[i], m, from) < 0)
            continue;
        if (at >= 0)
            others |= (uint64_t)1 << at;
        else
            COUNT(shard, dropped_away, 1);
    }
    if (here)
        route_deliver_here(shard, m, f, from);
    for (int k = 0; others; k++, others >>= 1)
        if (others & 1)
            post_to(shard, k, m, f, from);
}
