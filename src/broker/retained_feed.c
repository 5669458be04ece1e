/* retained_feed.c - the retained messages a client is owed for new subscriptions, a little in every turn.
 *
 * SUBSCRIBE leaves its filters here and nothing else: a filter may match everything a large plant retains.
 * Each turn works off a slice, then everybody else on the loop has his turn. A filter goes through two lists:
 *   owing    durable sessions only: what has QoS 1 or 2 goes into the session's queue, by a record for each
 *            slice. Behind the filters of a SUBSCRIBE stands its SUBACK: a client whose session came back
 *            after a crash would not ask for them again. Nothing here waits for the client.
 *   sending  all the rest goes to the connection, as it has room and the peer acknowledges. A message is read
 *            from the disk right before it is sent. Nothing is dropped for being too slow.
 * What a slice found it sends in the same turn: so what replaces a message, which comes by a letter or by a
 * later commit, cannot arrive before what it replaces.
 */
#include "broker/private.h"

#include "base/log.h"

enum {
    SLICE_MESSAGES = 128,
    SLICE_BYTES = 256 * 1024,
    SLICE_STEPS = 4096, /* of searches, which go on under the journal's lock */
    BATCH = 8,          /* messages between two looks at the clock: each may be read from a slow disk */
    TURN_US = 2000      /* after that no slice is begun or gone on with in this turn */
};

struct feed_item {
    struct feed_item      *next;
    struct retained_search search; /* unused: SUBACK */
    uint64_t               seq;    /* SUBACK: of the record of its subscriptions */
    uint16_t               pid;
    uint8_t                type;   /* MQTT_SUBSCRIBE: a filter, MQTT_SUBACK */
    uint8_t                qos;
    struct origin         *origin; /* one reference, or NULL: the subscription had no identifier */
    uint32_t               len;
    uint8_t                text[]; /* the filter, or SUBACK's bytes */
};
struct feed_list {
    struct feed_item *first, *last;
    uint32_t          count;
};
struct retained_feed {
    struct retained_feed *prev, *next; /* of the shard, while listed */
    struct client        *client;
    struct feed_list      owing, sending;
    uint64_t              seq;    /* the last record that put something into the queue */
    bool                  listed; /* otherwise it waits for feed_go */
};
struct slice { /* what is left of it */
    unsigned messages, steps;
    size_t   bytes;
    int64_t  until_us;
};

static int64_t clock_us(const struct shard *shard)
{
    const struct io *io = shard->broker->config.io;
    return io->monotonic_us(io->self); /* not the loop's, which stands still during a turn */
}

/* ---- lists ---- */

static void append(struct feed_list *list, struct feed_item *item)
{
    item->next = NULL;
    *(list->last ? &list->last->next : &list->first) = item;
    list->last = item;
    list->count++;
}

static struct feed_item *take_first(struct feed_list *list)
{
    struct feed_item *item = list->first;
    list->first = item->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    return item;
}

static struct feed_item *item_new(uint8_t type, struct bytes text)
{
    struct feed_item *item = mem_zalloc(1, sizeof *item + text.len);
    if (!item)
        return NULL;
    item->type = type;
    item->len = (uint32_t)text.len;
    if (text.len)
        memcpy(item->text, text.at, text.len);
    return item;
}

static void item_free(struct feed_item *item)
{
    origin_drop(item->origin);
    mem_free(item);
}

static struct bytes text_of(const struct feed_item *item)
{
    return bytes_of(item->text, item->len);
}

static void enlist(struct retained_feed *f)
{
    struct shard *shard = f->client->shard;
    if (f->listed)
        return;
    f->listed = true;
    f->next = NULL;
    f->prev = shard->last_feed;
    *(f->prev ? &f->prev->next : &shard->feeds) = f;
    shard->last_feed = f;
    shard->feed_count++;
}

static void unlist(struct retained_feed *f)
{
    struct shard *shard = f->client->shard;
    if (!f->listed)
        return;
    f->listed = false;
    *(f->prev ? &f->prev->next : &shard->feeds) = f->next;
    *(f->next ? &f->next->prev : &shard->last_feed) = f->prev;
    shard->feed_count--;
}

/* Whoever asks faster than we can put into queues is not read from: to go on, that never needs the client. */
static void look_at_length(struct client *c)
{
    uint32_t most = limits_of(c->shard->broker)->subscriptions;
    uint32_t waiting = c->feed ? c->feed->owing.count : 0;
    if (waiting > most)
        client_pause(c, PAUSE_FEED);
    else if (waiting <= most / 2)
        client_resume(c, PAUSE_FEED);
}

/* ---- what SUBSCRIBE and UNSUBSCRIBE do ---- */

static struct retained_feed *feed_of(struct client *c)
{
    if (!c->feed && (c->feed = mem_zalloc(1, sizeof *c->feed)))
        c->feed->client = c;
    return c->feed;
}

/* Sending waits for the client, so its length must not depend on him: when it is long, a filter that waits for
 * its turn already is not added. So it holds at most twice as many as he may have subscriptions. */
static bool waits_already(const struct client *c, struct feed_list *sending, const struct feed_item *again)
{
    if (sending->count <= limits_of(c->shard->broker)->subscriptions)
        return false;
    for (struct feed_item *item = sending->first; item; item = item->next)
        if (!item->search.at && bytes_equal(text_of(item), text_of(again))) {
            item->qos = again->qos;
            origin_drop(item->origin);
            item->origin = origin_hold(again->origin);
            return true;
        }
    return false;
}

static void start_sending(struct client *c, struct feed_item *item)
{
    if (waits_already(c, &c->feed->sending, item)) {
        item_free(item);
        return;
    }
    retained_search(&item->search, text_of(item));
    append(&c->feed->sending, item);
}

bool feed_add(struct client *c, struct bytes filter, uint8_t qos, uint32_t id)
{
    struct retained_feed *f = feed_of(c);
    struct feed_item *item = f ? item_new(MQTT_SUBSCRIBE, filter) : NULL;
    if (!item)
        return false;
    if (id && !(item->origin = origin_new(&id, 1, BYTES_NONE))) {
        item_free(item);
        return false;
    }
    item->qos = qos;
    if (c->session->durable && qos) {
        retained_search(&item->search, text_of(item));
        append(&f->owing, item);
    } else {
        start_sending(c, item);
    }
    enlist(f);
    look_at_length(c);
    return true;
}

bool feed_suback(struct client *c, uint64_t seq, uint16_t pid, struct bytes blob)
{
    if (!c->feed || !c->feed->owing.first) {
        shard_ack(c->shard, c, seq, MQTT_SUBACK, pid, 0, blob);
        return true;
    }
    struct feed_item *item = item_new(MQTT_SUBACK, blob);
    if (!item)
        return false;
    item->seq = seq;
    item->pid = pid;
    append(&c->feed->owing, item);
    look_at_length(c);
    return true;
}

/* Journal's lock is held. */
static void remove_from(struct broker *b, struct feed_list *list, const struct bytes *filter)
{
    struct feed_list old = *list;
    *list = (struct feed_list){ 0 };
    while (old.first) {
        struct feed_item *item = take_first(&old);
        if (filter && (item->type != MQTT_SUBSCRIBE || !bytes_equal(text_of(item), *filter))) {
            append(list, item);
            continue;
        }
        retained_search_end(&b->retained, &item->search);
        item_free(item);
    }
}

static void remove_all(struct client *c, const struct bytes *filter)
{
    struct broker *b = c->shard->broker;
    journal_lock(b->journal);
    remove_from(b, &c->feed->owing, filter);
    remove_from(b, &c->feed->sending, filter);
    journal_unlock(b->journal);
}

void feed_remove(struct client *c, struct bytes filter)
{
    if (!c->feed)
        return;
    remove_all(c, &filter);
    feed_go(c); /* a SUBACK may be first now */
    look_at_length(c);
}

void feed_end(struct client *c)
{
    if (!c->feed)
        return;
    remove_all(c, NULL);
    unlist(c->feed);
    mem_free(c->feed);
    c->feed = NULL;
}

void feed_go(struct client *c)
{
    if (!c->feed || c->feed->listed)
        return;
    enlist(c->feed);
    shard_wake(c->shard);
}

/* ---- owing ---- */

static bool has_room(const struct broker *b, const struct session *s, size_t messages, size_t bytes)
{
    const struct limits *limits = limits_of(b);
    return s->queue.open + messages < limits->queued_messages &&
           s->queue.bytes + bytes <= limits->queued_bytes;
}

/* Journal's lock is held. Returns how many of them the session is not owed. */
static size_t owe_found(struct client *c, struct feed_item *item, struct slice *left, enum code *code,
                        struct fault *why)
{
    struct broker *b = c->shard->broker;
    struct owed list[SLICE_MESSAGES];
    size_t n = 0, bytes = 0, dropped = 0;
    uint8_t qos;
    for (struct stored *st;
         left->messages && (st = retained_found(&b->retained, &item->search, &left->steps, &qos));) {
        uint8_t got = qos < item->qos ? qos : item->qos;
        if (!got)
            continue;
        left->messages--;
        if (!has_room(b, c->session, n, bytes + stored_bytes(st))) {
            dropped++;
            continue;
        }
        bytes += stored_bytes(st);
        list[n++] = (struct owed){ st, got };
    }
    *code = n ? fold_enqueue(b, c->session, list, n, item->origin, &c->feed->seq, why) : CODE_OK;
    if (*code != CODE_OK)
        return dropped + n;
    if (n)
        shard_mark_dirty(c->shard, c->session);
    return dropped;
}

static void owe(struct client *c, struct slice *left)
{
    struct shard *shard = c->shard;
    struct broker *b = shard->broker;
    struct retained_feed *f = c->feed;
    struct feed_item *item = f->owing.first;
    struct fault why;
    enum code code;
    if (item->type == MQTT_SUBACK) {
        (void)take_first(&f->owing);
        uint64_t seq = f->seq > item->seq ? f->seq : item->seq;
        shard_ack(shard, c, seq, MQTT_SUBACK, item->pid, 0, text_of(item));
        item_free(item);
        return;
    }
    journal_lock(b->journal);
    size_t dropped = owe_found(c, item, left, &code, &why);
    if (code != CODE_OK)
        retained_search_end(&b->retained, &item->search); /* the rest would fare no better */
    journal_unlock(b->journal);
    journal_kick(b->journal);
    if (dropped)
        COUNT(shard, dropped_queue, dropped);
    if (code != CODE_OK)
        log_warn("broker", "FG7001 retained messages are not delivered: %s", why.text);
    if (item->search.over)
        start_sending(c, take_first(&f->owing));
}

/* ---- sending ---- */

struct taken {
    struct stored  *stored;  /* one reference */
    struct message *message; /* one reference, or NULL: only the disk has it */
    uint8_t         qos;
};

/* Journal's lock is held. */
static size_t take(struct client *c, struct feed_item *item, size_t most, struct slice *left,
                   struct taken *list)
{
    struct broker *b = c->shard->broker;
    bool durable = c->session->durable;
    size_t n = 0;
    uint8_t qos;
    for (struct stored *st; n < most && left->messages && left->bytes &&
                            (st = retained_found(&b->retained, &item->search, &left->steps, &qos));) {
        uint8_t got = qos < item->qos ? qos : item->qos;
        if (got && durable)
            continue; /* it went through the queue */
        struct message *m = stored_message(st);
        list[n++] = (struct taken){ stored_hold(st), m ? message_hold(m) : NULL, got };
        left->messages--;
        left->bytes -= stored_bytes(st) < left->bytes ? stored_bytes(st) : left->bytes;
    }
    return n;
}

static void send_one(struct client *c, struct taken *t, struct origin *origin)
{
    struct shard *shard = c->shard;
    struct fault why;
    if (!client_alive(c))
        return;
    if (!t->message) {
        enum code code = journal_read(shard->broker->journal, t->stored, loop_now_us(shard->loop), &t->message, &why);
        if (code != CODE_OK) {
            t->message = NULL;
            log_error("broker", "FG7011 a retained message could not be read back: %s", why.text);
            if (code == CODE_NOMEM)
                client_end(c, MQTT_SERVER_BUSY, NULL, true); /* he may ask again when there is memory */
            return;
        }
    }
    deliver_retained(shard, c, t->message, origin, t->qos);
}

static void send_some(struct client *c, size_t most, struct slice *left)
{
    struct broker *b = c->shard->broker;
    struct feed_item *item = c->feed->sending.first;
    struct taken list[BATCH];
    journal_lock(b->journal);
    size_t n = take(c, item, most < BATCH ? most : BATCH, left, list);
    journal_unlock(b->journal);
    struct origin *origin = origin_hold(item->origin);
    if (item->search.over)
        item_free(take_first(&c->feed->sending));
    for (size_t i = 0; i < n; i++)
        send_one(c, &list[i], origin); /* may end the client, and the feed with it */
    origin_drop(origin);
    journal_lock(b->journal);
    for (size_t i = 0; i < n; i++)
        stored_drop(list[i].stored);
    journal_unlock(b->journal);
    for (size_t i = 0; i < n; i++)
        message_drop(list[i].message);
}

/* ---- turns ---- */

static bool goes_on(const struct client *c, const struct slice *left)
{
    return c->feed && left->messages && left->bytes && left->steps && clock_us(c->shard) < left->until_us;
}

/* False: it waits for feed_go. */
static bool work_off(struct client *c, int64_t until_us)
{
    struct slice left = { SLICE_MESSAGES, SLICE_STEPS, SLICE_BYTES, until_us };
    do { /* once at least, whatever the clock says */
        if (c->feed->owing.first) {
            owe(c, &left);
        } else if (c->feed->sending.first) {
            size_t most = deliver_room(c, c->feed->sending.first->qos);
            if (!most)
                return false;
            send_some(c, most, &left);
        } else {
            feed_end(c);
        }
        look_at_length(c);
    } while (goes_on(c, &left));
    return c->feed != NULL;
}

void feed_turn(struct shard *shard)
{
    if (!shard->feeds)
        return;
    int64_t until = clock_us(shard) + TURN_US;
    for (uint32_t n = shard->feed_count; n && shard->feeds; n--) {
        struct client *c = client_hold(shard->feeds->client);
        unlist(c->feed);
        if (work_off(c, until) && c->feed)
            enlist(c->feed);
        client_drop(c);
        if (clock_us(shard) >= until || budget_turn_full(shard))
            break;
    }
    if (shard->feeds)
        shard_wake(shard);
}
