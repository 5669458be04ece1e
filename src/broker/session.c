/* session.c - sessions: made, found, taken off, ended. */
#include "broker/private.h"

#include "base/log.h"
#include "mqtt/topic.h"

/* ---- sets of packet identifiers ---- */

static uint32_t lower(const struct pidset *p, uint16_t pid)
{
    uint32_t lo = 0, hi = p->count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (p->at[mid] < pid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool pidset_has(const struct pidset *p, uint16_t pid)
{
    uint32_t i = lower(p, pid);
    return i < p->count && p->at[i] == pid;
}

bool pidset_add(struct pidset *p, uint16_t pid)
{
    uint32_t i = lower(p, pid);
    if (i < p->count && p->at[i] == pid)
        return true;
    if (p->count == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 8;
        uint16_t *at = mem_realloc(p->at, cap * sizeof *at);
        if (!at)
            return false;
        p->at = at;
        p->cap = cap;
    }
    memmove(p->at + i + 1, p->at + i, (p->count - i) * sizeof *p->at);
    p->at[i] = pid;
    p->count++;
    return true;
}

void pidset_remove(struct pidset *p, uint16_t pid)
{
    uint32_t i = lower(p, pid);
    if (i == p->count || p->at[i] != pid)
        return;
    p->count--;
    memmove(p->at + i, p->at + i + 1, (p->count - i) * sizeof *p->at);
    if (p->count == 0)
        pidset_clear(p);
}

bool pidset_copy(struct pidset *to, const struct pidset *from)
{
    pidset_clear(to);
    for (uint32_t i = 0; i < from->count; i++)
        if (!pidset_add(to, from->at[i]))
            return false;
    return true;
}

void pidset_clear(struct pidset *p)
{
    mem_free(p->at);
    *p = (struct pidset){ 0 };
}

/* ---- life ---- */

struct session *session_new(uint64_t id, struct bytes client_id, struct bytes principal, bool durable)
{
    struct session *s = mem_zalloc(1, sizeof *s + client_id.len + principal.len);
    if (!s)
        return NULL;
    uint8_t *text = (uint8_t *)(s + 1);
    if (client_id.len)
        memcpy(text, client_id.at, client_id.len);
    if (principal.len)
        memcpy(text + client_id.len, principal.at, principal.len);
    s->id = id;
    s->durable = durable;
    s->client_id = bytes_of(text, client_id.len);
    s->principal = bytes_of(text + client_id.len, principal.len);
    atomic_init(&s->refs, 1);
    atomic_init(&s->shard, -1);
    return s;
}

void session_drop(struct session *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    FG_ASSERT(s->queue.open == 0 && !s->filters);
    queue_clear(&s->queue);
    pidset_clear(&s->in_pids);
    mem_free(s->note);
    mem_free(s);
}

static struct bytes id_key(const struct session *s)
{
    return bytes_of(&s->id, sizeof s->id);
}

void session_link(struct broker *b, struct session *s)
{
    s->prev = b->durable_last;
    s->next = NULL;
    *(b->durable_last ? &b->durable_last->next : &b->durable_first) = s;
    b->durable_last = s;
    /* table_reserve was called before the record was appended. */
    FG_ASSERT(table_put(&b->by_id, id_key(s), s) == CODE_OK);
}

struct session *session_by_id(struct broker *b, uint64_t id)
{
    return table_get(&b->by_id, bytes_of(&id, sizeof id));
}

static void let_go_of_queue(struct broker *b, struct session *s)
{
    for (uint64_t i = s->queue.head; i < s->queue.tail; i++) {
        struct entry *e = queue_at(&s->queue, i);
        if (!e->what)
            continue;
        if (s->durable) {
            atomic_fetch_sub_explicit(&b->queued_messages, 1, memory_order_relaxed);
            atomic_fetch_sub_explicit(&b->queued_bytes, e->bytes, memory_order_relaxed);
            if (!b->journal_gone)
                stored_drop(e->what);
        } else {
            message_drop(e->what);
        }
    }
    queue_clear(&s->queue);
}

void session_forget(struct broker *b, struct session *s)
{
    let_go_of_queue(b, s);
    pidset_clear(&s->in_pids);
    while (s->filters) {
        struct held_filter *next = s->filters->next;
        mem_free(s->filters);
        s->filters = next;
    }
    s->filter_count = 0;
    s->ended = true;
    if (!s->durable)
        return;
    if (b->round_session == s)
        b->round_session = s->next;
    *(s->prev ? &s->prev->next : &b->durable_first) = s->next;
    *(s->next ? &s->next->prev : &b->durable_last) = s->prev;
    s->prev = s->next = NULL;
    (void)table_remove(&b->by_id, id_key(s));
}

void session_leave_tree(struct broker *b, struct session *s)
{
    for (struct held_filter *f = s->filters; f; f = f->next)
        (void)tree_remove(&b->tree, bytes_of(f->text, f->len), s);
    if (s->filters)
        atomic_fetch_add(&b->generation, 1);
}

enum code session_end(struct broker *b, struct session *s, struct fault *why)
{
    enum code c = CODE_OK;
    /* Out of the tree only when the record is in the log: a session that could not be ended is whole. */
    pthread_rwlock_wrlock(&b->tree_lock);
    journal_lock(b->journal);
    struct rescued *last = b->last_rescued;
    if (!s->ended)
        share_give_away(b, s, SHARE_ENDS, BYTES_NONE);
    if (s->durable && !s->ended) {
        c = fold_end(b, s, why);
        if (c != CODE_OK)
            share_take_back(b, last);
    } else if (!s->durable) {
        session_leave_tree(b, s);
        session_forget(b, s);
    }
    journal_unlock(b->journal);
    pthread_rwlock_unlock(&b->tree_lock);
    share_settle(b);
    journal_kick(b->journal);
    if (c != CODE_OK)
        return c; /* the disk has no room to forget: it stays, is away, and is tried again */
    s->expires_us = 0;
    if (s->linked) {
        session_unlist(b, s);
        session_drop(s);
    }
    return CODE_OK;
}

/* ---- who has how many ---- */

static void count_for_principal(struct broker *b, const struct session *s, enum owned what, bool gains)
{
    if (!owner_counted(s->principal, what))
        return;
    struct owner *o = owner_get(&b->owners, s->principal); /* there since session_list */
    FG_ASSERT(o);
    if (gains)
        owner_gains(o, what);
    else
        owner_loses(&b->owners, o, what);
}

enum code session_list(struct broker *b, struct session *s)
{
    if (table_put(&b->sessions, s->client_id, s) != CODE_OK)
        return CODE_NOMEM;
    if (owner_counted(s->principal, OWNED_SESSIONS) && !owner_get(&b->owners, s->principal)) {
        (void)table_remove(&b->sessions, s->client_id);
        return CODE_NOMEM;
    }
    count_for_principal(b, s, OWNED_SESSIONS, true);
    b->reader_sessions += session_is_consumer(s);
    s->linked = true;
    return CODE_OK;
}

void session_unlist(struct broker *b, struct session *s)
{
    s->linked = false;
    (void)table_remove(&b->sessions, s->client_id);
    count_for_principal(b, s, OWNED_SESSIONS, false);
    b->reader_sessions -= session_is_consumer(s);
}

void session_connected(struct broker *b, struct session *s, bool yes)
{
    count_for_principal(b, s, OWNED_CONNECTIONS, yes);
}

/* ---- filters ---- */

struct held_filter *session_filter(struct session *s, struct bytes filter)
{
    for (struct held_filter *f = s->filters; f; f = f->next)
        if (bytes_equal(bytes_of(f->text, f->len), filter))
            return f;
    return NULL;
}

struct subscription held_subscription(struct session *s, const struct held_filter *f)
{
    return (struct subscription){ .session = s, .qos = f->qos, .no_local = f->no_local, .id = f->id,
                                  .retain_as_published = f->retain_as_published, .retain_handling = f->retain_handling };
}

enum code session_set_filter(struct session *s, struct bytes filter, const struct subscription *sub)
{
    struct held_filter *f = session_filter(s, filter);
    if (!f) {
        f = mem_alloc(sizeof *f + filter.len);
        if (!f)
            return CODE_NOMEM;
        f->len = (uint32_t)filter.len;
        memcpy(f->text, filter.at, filter.len);
        f->next = s->filters;
        s->filters = f;
        s->filter_count++;
    }
    f->qos = sub->qos;
    f->retain_handling = sub->retain_handling;
    f->no_local = sub->no_local;
    f->retain_as_published = sub->retain_as_published;
    f->id = sub->id;
    return CODE_OK;
}

bool session_remove_filter(struct session *s, struct bytes filter)
{
    for (struct held_filter **at = &s->filters; *at; at = &(*at)->next) {
        struct held_filter *f = *at;
        if (!bytes_equal(bytes_of(f->text, f->len), filter))
            continue;
        *at = f->next;
        s->filter_count--;
        mem_free(f);
        return true;
    }
    return false;
}

/* ---- the end of a connection ---- */

static void cool_down(struct session *s)
{
    uint64_t end = s->queue.head + 1024;
    for (uint64_t i = s->queue.head; i < s->queue.tail && i < end; i++) {
        struct entry *e = queue_at(&s->queue, i);
        if (e->what && stored_message(e->what))
            stored_set_message(e->what, NULL);
    }
}

void session_expires_at(struct broker *b, int64_t us)
{
    if (b->next_expiry_us == 0 || us < b->next_expiry_us)
        b->next_expiry_us = us;
}

void will_withdraw(struct broker *b, struct will *w, int64_t now, uint64_t *seq)
{
    struct fault why;
    if (fold_will_clear(b, w->id, seq, &why) == CODE_OK)
        return;
    if (!w->withdrawn)
        log_warn("broker", "FG2030 a will could not be withdrawn, it is tried again: %s", why.text);
    w->withdrawn = true;
    w->due_us = now + 1000000;
    session_expires_at(b, w->due_us);
}

/* What becomes of the will when its connection is gone. Registry held; returns the id of a will to publish now, or 0. */
static uint64_t settle_will(struct broker *b, struct client *c, bool publish, bool session_ends, int64_t now)
{
    if (!c->will_id)
        return 0;
    uint64_t now_due = 0;
    journal_lock(b->journal);
    struct will *w = will_by_id(b, c->will_id);
    if (w && !publish) {
        will_withdraw(b, w, now, NULL);
    } else if (w && w->delay_s && !session_ends) {
        w->due_us = now + (int64_t)w->delay_s * 1000000;
        session_expires_at(b, w->due_us);
    } else if (w) {
        now_due = w->id;
        w->due_us = now + 1000000; /* should it be refused */
        session_expires_at(b, w->due_us);
    }
    journal_unlock(b->journal);
    c->will_id = 0;
    return now_due;
}

void session_detach(struct client *c, bool publish_will)
{
    struct session *s = c->session;
    struct shard *shard = c->shard;
    struct broker *b = shard->broker;
    if (!s)
        return;
    shard_commit(shard);
    int64_t now = loop_now_us(shard->loop);
    pthread_mutex_lock(&b->registry);
    bool ends = !s->durable || s->expiry_s == 0;
    atomic_store(&s->shard, -1);
    s->client = NULL;
    s->owner = NULL;
    session_connected(b, s, false);
    c->session = NULL;
    atomic_fetch_sub_explicit(&shard->signed_in, 1, memory_order_relaxed);
    uint64_t will = settle_will(b, c, publish_will, ends, now);
    if (!ends) {
        struct fault why;
        pthread_rwlock_rdlock(&b->tree_lock);
        share_present(s, false);
        journal_lock(b->journal);
        if (fold_disconnect(b, s, c->send_next, &why) != CODE_OK)
            log_warn("broker", "FG2031 the end of a connection could not be recorded: %s", why.text);
        share_give_away(b, s, SHARE_AWAY, BYTES_NONE);
        cool_down(s);
        journal_unlock(b->journal);
        pthread_rwlock_unlock(&b->tree_lock);
        share_settle(b);
        if (s->expiry_s != UINT32_MAX) {
            s->expires_us = now + (int64_t)s->expiry_s * 1000000;
            session_expires_at(b, s->expires_us);
        }
    } else {
        struct fault why;
        if (session_end(b, s, &why) != CODE_OK) {
            log_warn("broker", "FG2032 the end of a session could not be recorded: %s", why.text);
            s->expires_us = now + 1000000;
            session_expires_at(b, s->expires_us);
        }
    }
    pthread_mutex_unlock(&b->registry);
    journal_kick(b->journal);
    if (will)
        shard_publish_will(shard, will);
    session_drop(s);
}

/* ---- once a second ---- */

static int64_t sweep_sessions(struct broker *b, int64_t now)
{
    int64_t next = 0;
    size_t cursor = 0;
    for (struct session *s; (s = table_next(&b->sessions, &cursor));) {
        if (s->expires_us == 0 || s->owner)
            continue;
        if (s->expires_us <= now) {
            struct fault why;
            uint64_t id = s->id;
            /* 3.1.2.11.2, 3.1.3.2.2: the delayed will goes at the latest when the session ends. */
            journal_lock(b->journal);
            for (struct will *w = b->wills; w; w = w->next)
                if (w->session_id == id && w->due_us)
                    w->due_us = now;
            journal_unlock(b->journal);
            if (session_end(b, s, &why) == CODE_OK) {
                COUNT(&b->shards[0], expired, 1);
                continue;
            }
            s->expires_us = now + 1000000;
        }
        next = next == 0 || s->expires_us < next ? s->expires_us : next;
    }
    return next;
}

void session_upkeep(struct broker *b)
{
    struct shard *shard = &b->shards[0];
    int64_t now = loop_now_us(shard->loop);
    pthread_mutex_lock(&b->registry);
    if (b->next_expiry_us == 0 || b->next_expiry_us > now) {
        pthread_mutex_unlock(&b->registry);
        return;
    }
    b->next_expiry_us = 0;
    int64_t next = sweep_sessions(b, now);
    VECTOR(uint64_t) due = { 0 };
    journal_lock(b->journal);
    for (struct will *w = b->wills, *following; w; w = following) {
        following = w->next;
        if (w->due_us == 0)
            continue;
        if (w->due_us <= now && w->withdrawn) {
            will_withdraw(b, w, now, NULL);
            continue;
        }
        if (w->due_us <= now && VECTOR_ROOM(due)) {
            due.at[due.count++] = w->id;
            w->due_us = now + 1000000; /* should it be refused */
        }
        next = next == 0 || w->due_us < next ? w->due_us : next;
    }
    journal_unlock(b->journal);
    if (next)
        session_expires_at(b, next);
    pthread_mutex_unlock(&b->registry);
    shard_publish_wills(shard, due.at, due.count);
    mem_free(due.at);
}
