#include "broker/private.h"

#include "base/crc32c.h"
#include "base/log.h"

enum {
    PROBES = 16, /* members that could have it, of whom one is chosen */
    LOOKS = 256, /* members looked at to find them: a large group of full queues must not cost much */
    MOVES = 32   /* in one record */
};

struct member {
    struct share   *share;   /* borrowed: it outlives its members */
    struct session *session; /* borrowed */
    struct fanout  *one;     /* who it is, as a fan-out with one target; one reference */
    struct member  *next;    /* of the session */
    uint32_t        place;
};

struct share {
    _Atomic uint32_t refs;
    pthread_mutex_t  lock;
    struct member  **members; /* those before `here` are connected, of these those before `lasting` keep on disk what they are owed */
    uint32_t         count, here, lasting;
    size_t           cap;
    uint32_t         next, next_lasting, next_away; /* whose turn it is */
    uint32_t         filter_len;
    uint8_t          filter[];
};

struct share *share_new(struct bytes filter)
{
    struct share *g = mem_zalloc(1, sizeof *g + filter.len);
    if (!g)
        return NULL;
    atomic_init(&g->refs, 1);
    (void)pthread_mutex_init(&g->lock, NULL);
    g->filter_len = (uint32_t)filter.len;
    memcpy(g->filter, filter.at, filter.len);
    return g;
}

struct share *share_hold(struct share *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void share_drop(struct share *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < g->count; i++) { /* only when the whole tree goes */
        fanout_drop(g->members[i]->one);
        mem_free(g->members[i]);
    }
    (void)pthread_mutex_destroy(&g->lock);
    mem_free(g->members);
    mem_free(g);
}

struct bytes share_filter(const struct share *g)
{
    return bytes_of(g->filter, g->filter_len);
}

/* ---- members ---- */

static void put_at(struct share *g, struct member *m, uint32_t place)
{
    g->members[place] = m;
    m->place = place;
}

static void swap(struct share *g, uint32_t a, uint32_t b)
{
    struct member *m = g->members[a];
    put_at(g, g->members[b], a);
    put_at(g, m, b);
}

/* With QoS 0 granted it is owed nothing, however long its session lasts. */
static bool lasts(const struct member *m)
{
    return m->session->durable && m->one->targets[0].qos;
}

static void set_lasting(struct share *g, struct member *m, bool lasting)
{
    if (lasting && m->place >= g->lasting)
        swap(g, m->place, g->lasting++);
    else if (!lasting && m->place < g->lasting)
        swap(g, m->place, --g->lasting);
}

static void set_here(struct share *g, struct member *m, bool here)
{
    if (here && m->place >= g->here)
        swap(g, m->place, g->here++);
    set_lasting(g, m, here && lasts(m));
    if (!here && m->place < g->here)
        swap(g, m->place, --g->here);
}

static struct member *member_of(const struct share *g, const struct session *s)
{
    struct member *m = s->members;
    while (m && m->share != g)
        m = m->next;
    return m;
}

enum code share_join(struct share *g, const struct subscription *sub, bool *replaced)
{
    struct session *s = sub->session;
    struct member *m = member_of(g, s);
    *replaced = m != NULL;
    struct origin *origin = origin_new(&sub->id, sub->id ? 1 : 0, share_filter(g));
    struct fanout *one = origin ? fanout_single(s, sub, origin) : NULL;
    struct member *fresh = one && !m ? mem_zalloc(1, sizeof *fresh) : NULL;
    origin_drop(origin);
    if (!one || (!m && !fresh)) {
        fanout_drop(one);
        return CODE_NOMEM;
    }
    (void)pthread_mutex_lock(&g->lock);
    struct fanout *old = one;
    if (m) {
        old = m->one;
        m->one = one;
        set_lasting(g, m, m->place < g->here && lasts(m));
    } else if (g->count < g->cap || vector_grow((void **)&g->members, &g->cap, sizeof(struct member *))) {
        *fresh = (struct member){ .share = g, .session = s, .one = one, .next = s->members };
        s->members = fresh;
        put_at(g, fresh, g->count++);
        set_here(g, fresh, atomic_load(&s->shard) >= 0);
        old = NULL;
    }
    (void)pthread_mutex_unlock(&g->lock);
    bool failed = old == one;
    fanout_drop(old);
    if (failed)
        mem_free(fresh);
    return failed ? CODE_NOMEM : CODE_OK;
}

bool share_leave(struct share *g, const struct session *s, bool *empty)
{
    struct member *m = member_of(g, s);
    *empty = false;
    if (!m)
        return false;
    struct member **at = &m->session->members;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    (void)pthread_mutex_lock(&g->lock);
    set_here(g, m, false);
    swap(g, m->place, g->count - 1);
    g->count--;
    *empty = g->count == 0;
    (void)pthread_mutex_unlock(&g->lock);
    fanout_drop(m->one);
    mem_free(m);
    return true;
}

void share_present(struct session *s, bool here)
{
    for (struct member *m = s->members; m; m = m->next) {
        (void)pthread_mutex_lock(&m->share->lock);
        set_here(m->share, m, here);
        (void)pthread_mutex_unlock(&m->share->lock);
    }
}

/* ---- choosing ---- */

enum { HAS_ROOM, DURABLE_BUSY, DURABLE_AWAY, VOLATILE_BUSY, DURABLE_FULL, UNFIT };

struct rating {
    int      rank;
    uint32_t load;
};

static struct rating rate(const struct member *m, const struct share_wish *w)
{
    const struct target *t = &m->one->targets[0];
    struct session *s = m->session;
    struct rating unfit = { UNFIT, 0 };
    bool here = atomic_load_explicit(&s->shard, memory_order_relaxed) >= 0;
    bool queued = w->qos && t->qos, durable = queued && s->durable;
    if (s == w->except || (w->durable && !durable) || (!here && (!durable || w->connected)) || (durable && s->ended))
        return unfit;
    uint32_t load = durable  ? s->queue.open
                    : queued ? atomic_load_explicit(&s->load, memory_order_relaxed) +
                                   atomic_load_explicit(&s->coming, memory_order_relaxed)
                             : 0;
    if (durable && (load >= w->limits->queued_messages || s->queue.bytes + w->bytes > w->limits->queued_bytes))
        return w->durable ? unfit : (struct rating){ DURABLE_FULL, load };
    bool room = here && !atomic_load_explicit(&s->choked, memory_order_relaxed) &&
                load < atomic_load_explicit(&s->window, memory_order_relaxed);
    return (struct rating){ room ? HAS_ROOM : !durable ? VOLATILE_BUSY : here ? DURABLE_BUSY : DURABLE_AWAY, load };
}

static bool better(struct rating a, struct rating b)
{
    return a.rank < b.rank || (a.rank == b.rank && a.load < b.load);
}

/* The right was withdrawn after he had subscribed. Dearer to ask than all else. */
static bool denied(const struct member *m, const struct share_wish *w)
{
    return w->access && !access_may_get(w->access, m->session, w->topic);
}

struct choice {
    struct member *best;
    struct rating  rating;
};

/* Looks at a few of the members first .. first + n, beginning with the one whose turn it is. Those who cannot have it do not
 * count, and when there were only such the turn passes to those behind them. */
static void look(const struct share *g, const struct share_wish *w, uint32_t first, uint32_t n, uint32_t *turn, struct choice *c)
{
    uint32_t i = 0, fit = 0;
    for (; i < n && i < LOOKS && fit < PROBES; i++) {
        struct member *m = g->members[first + (*turn + i) % n];
        struct rating r = rate(m, w);
        if (better(r, c->rating)) {
            if (denied(m, w))
                continue;
            *c = (struct choice){ m, r };
        }
        if (c->rating.rank == HAS_ROOM && c->rating.load == 0)
            return;
        fit += r.rank < DURABLE_FULL;
    }
    if (!fit)
        *turn = (*turn + (i < n ? i : 1)) % n;
}

/* What is acknowledged is on disk: as long as there is a member who keeps it there, no other is given QoS 1 or 2. */
static void look_at_lasting(struct share *g, const struct share_wish *w, struct choice *c)
{
    if (g->lasting)
        look(g, w, 0, g->lasting, &g->next_lasting, c);
    if (c->rating.rank > DURABLE_AWAY && g->count > g->here)
        look(g, w, g->here, g->count - g->here, &g->next_away, c);
}

static void next_after(struct share *g, const struct share_wish *w, uint32_t place)
{
    if (place >= g->here)
        g->next_away = place - g->here + 1;
    else if (w->qos && place < g->lasting)
        g->next_lasting = place + 1;
    else
        g->next = place - (w->qos ? g->lasting : 0) + 1;
}

struct fanout *share_choose(struct share *g, const struct share_wish *w)
{
    struct choice c = { NULL, { UNFIT, 0 } };
    (void)pthread_mutex_lock(&g->lock);
    if (w->qos)
        look_at_lasting(g, w, &c);
    uint32_t first = w->qos ? g->lasting : 0;
    bool kept = w->durable || (c.best && (w->refuse || c.rating.rank < DURABLE_FULL));
    if (!kept && g->here > first)
        look(g, w, first, g->here - first, &g->next, &c);
    if (c.rating.rank < DURABLE_FULL)
        next_after(g, w, c.best->place);
    struct fanout *one = c.best ? fanout_hold(c.best->one) : NULL;
    (void)pthread_mutex_unlock(&g->lock);
    return one;
}

/* ---- giving away ---- */

struct giving {
    struct broker  *broker;
    struct session *from;
    enum share_why  why;
    struct origin  *origin;      /* one reference: the one `share` was looked up for */
    struct share   *share;       /* borrowed from the tree, or NULL */
    struct fold_move moves[MOVES];
    size_t          count;
};

static bool may_go(const struct entry *e, enum share_why why)
{
    bool sent = e->state == ENTRY_SENT || (e->state == ENTRY_QUEUED && (e->flags & ENTRY_MAYBE_SENT));
    if (!e->what || e->state > ENTRY_SENT)
        return false;
    return !sent || (why == SHARE_ENDS && e->qos == 1); /* [MQTT-4.8.2-5] */
}

static void record_moves(struct giving *g)
{
    struct fault why;
    if (g->count && fold_move(g->broker, g->from, g->moves, g->count, &why) != CODE_OK)
        log_warn("broker", "FG2042 messages of a shared subscription stay with a member that cannot take them: %s", why.text);
    for (size_t i = 0; i < g->count; i++) {
        shard_mark_dirty_later(g->broker, g->moves[i].to->targets[0].session);
        fanout_drop(g->moves[i].to);
    }
    g->count = 0;
}

static void keep_rescued(struct broker *b, struct message *m, struct stored *st, struct origin *origin)
{
    struct rescued *r = mem_alloc(sizeof *r);
    if (!r) {
        log_warn("broker", "FG2042 a message of a shared subscription is lost with its member: no memory");
        return;
    }
    *r = (struct rescued){ .message = m ? message_hold(m) : NULL, .stored = st ? stored_hold(st) : NULL,
                           .origin = origin_hold(origin) };
    *(b->last_rescued ? &b->last_rescued->next : &b->rescued) = r;
    b->last_rescued = r;
    atomic_store(&b->has_rescued, true);
    atomic_fetch_or(&b->wake_mask, 1);
}

/* Locked (J), or the journal is gone. */
static void rescued_free(const struct broker *b, struct rescued *r)
{
    if (r->stored && !b->journal_gone)
        stored_drop(r->stored);
    message_drop(r->message);
    origin_drop(r->origin);
    mem_free(r);
}

void share_take_back(struct broker *b, struct rescued *last)
{
    struct rescued **end = last ? &last->next : &b->rescued, *r = *end;
    *end = NULL;
    b->last_rescued = last;
    for (struct rescued *next; r; r = next) {
        next = r->next;
        rescued_free(b, r);
    }
}

static void give(struct giving *g, uint64_t index)
{
    struct broker *b = g->broker;
    struct entry *e = queue_at(&g->from->queue, index);
    struct share_wish wish = { .limits = limits_of(b), .except = g->from, .bytes = e->bytes, .qos = e->qos,
                               .durable = true, .connected = g->why == SHARE_AWAY };
    struct fanout *to = g->from->durable && g->share ? share_choose(g->share, &wish) : NULL;
    if (to) {
        g->moves[g->count++] = (struct fold_move){ .index = index, .to = to };
        if (g->count == MOVES)
            record_moves(g);
    } else if (g->why == SHARE_ENDS && g->share) {
        struct stored *st = g->from->durable ? e->what : NULL;
        keep_rescued(b, st ? stored_message(st) : e->what, st, queue_origin(&g->from->queue, index));
    }
}

void share_give_away(struct broker *b, struct session *s, enum share_why why, struct bytes filter)
{
    struct giving g = { .broker = b, .from = s, .why = why };
    if (!s->queue.origins)
        return;
    for (uint64_t i = s->queue.head; i < s->queue.tail; i++) {
        struct bytes shared = origin_shared(queue_origin(&s->queue, i));
        if (!shared.len || !may_go(queue_at(&s->queue, i), why) || (filter.len && !bytes_equal(filter, shared)))
            continue;
        struct origin *origin = origin_hold(queue_origin(&s->queue, i));
        if (!bytes_equal(shared, origin_shared(g.origin))) {
            record_moves(&g);
            g.share = tree_share(&b->tree, shared);
        }
        origin_drop(g.origin);
        g.origin = origin;
        give(&g, i);
    }
    record_moves(&g);
    origin_drop(g.origin);
}

void share_settle(struct broker *b)
{
    uint64_t mask = atomic_exchange(&b->wake_mask, 0);
    for (unsigned k = 0; mask; k++, mask >>= 1)
        if (mask & 1)
            shard_wake(&b->shards[k]);
}

/* ---- published again ---- */

void share_rescue(struct broker *b, struct message *m, struct origin *origin)
{
    if (b->journal_gone)
        return; /* the end of the node */
    journal_lock(b->journal);
    keep_rescued(b, m, NULL, origin);
    journal_unlock(b->journal);
    share_settle(b);
}

static struct fanout *group_of(struct broker *b, struct bytes filter)
{
    pthread_rwlock_rdlock(&b->tree_lock);
    struct share *g = tree_share(&b->tree, filter);
    struct fanout *f = g ? fanout_group(g) : NULL;
    pthread_rwlock_unlock(&b->tree_lock);
    return f;
}

static void publish_again(struct shard *shard, struct rescued *r)
{
    struct broker *b = shard->broker;
    struct fault why;
    struct message *m = r->message ? message_hold(r->message) : NULL;
    if (!m && journal_read(b->journal, r->stored, loop_now_us(shard->loop), &m, &why) != CODE_OK) {
        log_error("broker", "FG7011 a message could not be read back: %s", why.text);
        return;
    }
    struct op op = { .kind = OP_PUBLISH, .message = m, .fanout = group_of(b, origin_shared(r->origin)), .again = true };
    op.crc = crc32c(0, m->encoded.at, m->encoded.len);
    if (op.fanout && shard_push_op(shard, &op))
        return;
    fanout_drop(op.fanout); /* NULL: the group has ended, too */
    message_drop(m);
}

void share_turn(struct shard *shard)
{
    struct broker *b = shard->broker;
    if (shard->number != 0 || !atomic_load(&b->has_rescued))
        return;
    journal_lock(b->journal);
    atomic_store(&b->has_rescued, false);
    struct rescued *list = b->rescued;
    b->rescued = b->last_rescued = NULL;
    journal_unlock(b->journal);
    for (struct rescued *r = list; r; r = list) {
        list = r->next;
        publish_again(shard, r);
        journal_lock(b->journal);
        rescued_free(b, r);
        journal_unlock(b->journal);
    }
}

void share_clear(struct broker *b)
{
    share_take_back(b, NULL);
}
