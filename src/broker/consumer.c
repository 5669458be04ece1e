/* consumer.c - readers inside the node: sessions that are read by a thread of the node instead of being sent to. */
#include "broker/consumer.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "broker/private.h"

#include <time.h>

enum { NAME_MAX_BYTES = 200, DEFAULT_MESSAGES = 1000000 };
#define DEFAULT_BYTES (UINT64_C(10) << 30)

struct consumer {
    struct broker *broker;
    struct session *session;         /* one reference */
    struct consumer_options options; /* the name is the session's */
    struct consumer *next;           /* consumers_lock */
    _Atomic bool due;                /* something came since the last take */
    bool behind;                     /* J: counted in broker->behind */
};

/* One call of consumer_post: its letter, then its operations refer to it until the last has its result. */
struct consumer_batch {
    struct letter letter;
    struct consumer *from;
    struct consumer_word *words;
    size_t count, left;
    uint8_t refused; /* the first one's reason: all behind it share it */
    struct shard *shard;
    void (*done)(void *ctx);
    void *ctx;
};

struct broker *consumer_broker(const struct consumer *c)
{
    return c->broker;
}

/* ---- told by the fold ---- */

void consumer_came(struct session *s)
{
    struct consumer *c = s->reader;
    if (!c)
        return;
    atomic_store(&c->due, true);
    atomic_store(&c->broker->readers_due, true);
    if (c->options.high && !c->behind && s->queue.open > c->options.high) {
        c->behind = true;
        atomic_fetch_add(&c->broker->behind, 1);
    }
}

void consumer_went(struct session *s)
{
    struct consumer *c = s->reader;
    if (!c || !c->behind || s->queue.open > c->options.high / 2)
        return;
    c->behind = false;
    if (atomic_fetch_sub(&c->broker->behind, 1) == 1)
        for (unsigned i = 0; i < c->broker->shard_count; i++)
            shard_mark_wake(c->broker, i);
}

static bool full_for(const struct session *s, size_t n, size_t bytes)
{
    const struct consumer *c = s->reader;
    uint64_t messages = c ? c->options.max_messages : DEFAULT_MESSAGES,
             most = c ? c->options.max_bytes : DEFAULT_BYTES;
    return s->queue.open + n > messages || s->queue.bytes + bytes > most;
}

bool consumer_full(const struct session *s, size_t bytes)
{
    return full_for(s, 1, bytes);
}

void consumers_tell(struct broker *b)
{
    if (!atomic_load_explicit(&b->readers_due, memory_order_relaxed) ||
        !atomic_exchange(&b->readers_due, false))
        return;
    pthread_mutex_lock(&b->readers_lock);
    for (struct consumer *c = b->readers; c; c = c->next)
        if (atomic_load(&c->due))
            c->options.ready(c->options.ctx);
    pthread_mutex_unlock(&b->readers_lock);
}

/* ---- life ---- */

/* A client identifier cannot begin with U+0000 (1.5.4): no client can mean it. */
static struct bytes session_name(const char *name, uint8_t out[NAME_MAX_BYTES + 1])
{
    size_t n = strlen(name);
    out[0] = 0;
    memcpy(out + 1, name, n);
    return bytes_of(out, n + 1);
}

/* Registry held. */
static enum code make_session(struct broker *b, struct bytes id, struct session **out, struct fault *why)
{
    enum code c = CODE_NOMEM;
    journal_lock(b->journal);
    struct session *s = table_reserve(&b->by_id) == CODE_OK
                            ? session_new(b->next_session_id, id, bytes_str("node"), true)
                            : NULL;
    if (s && session_list(b, s) == CODE_OK) {
        s->expiry_s = UINT32_MAX;
        c = fold_open(b, s, NULL, why);
        if (c == CODE_OK)
            b->next_session_id++;
        else
            session_unlist(b, s);
    }
    journal_unlock(b->journal);
    if (c != CODE_OK) {
        session_drop(s);
        return c == CODE_NOMEM ? FAIL(why, CODE_NOMEM, 0, "no memory for a reader inside the node") : c;
    }
    *out = s;
    return CODE_OK;
}

/* The registry keeps the session; readers come and go under J. */
static bool is_read(struct broker *b, const struct session *s)
{
    journal_lock(b->journal);
    bool read = s->reader;
    journal_unlock(b->journal);
    return read;
}

static enum code find_session(struct broker *b, const char *name, struct session **out, struct fault *why)
{
    uint8_t text[NAME_MAX_BYTES + 1];
    struct bytes id = session_name(name, text);
    struct session *s = table_get(&b->sessions, id);
    if (s && is_read(b, s))
        return FAIL(why, CODE_EXISTS, 0, "%s is being read already", name);
    if (!s && make_session(b, id, &s, why) != CODE_OK)
        return why ? why->code : CODE_NOMEM;
    *out = session_hold(s);
    return CODE_OK;
}

enum code consumer_open(struct consumer **out, struct broker *b, const struct consumer_options *o,
                        struct fault *why)
{
    struct fault own;
    why = why ? why : &own;
    if (!o->name[0] || strlen(o->name) > NAME_MAX_BYTES)
        return FAIL(why, CODE_LIMIT, 0, "a name of %zu bytes; 1 to %d are possible", strlen(o->name),
                    NAME_MAX_BYTES);
    struct consumer *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a reader inside the node");
    *c = (struct consumer){.broker = b, .options = *o};
    c->options.name = NULL;
    c->options.max_messages = o->max_messages ? o->max_messages : DEFAULT_MESSAGES;
    c->options.max_bytes = o->max_bytes ? o->max_bytes : DEFAULT_BYTES;
    pthread_mutex_lock(&b->registry);
    enum code code = find_session(b, o->name, &c->session, why);
    if (code == CODE_OK) {
        pthread_mutex_lock(&b->readers_lock);
        journal_lock(b->journal);
        c->session->reader = c;
        c->next = b->readers;
        b->readers = c;
        journal_unlock(b->journal);
        pthread_mutex_unlock(&b->readers_lock);
    }
    pthread_mutex_unlock(&b->registry);
    if (code == CODE_OK)
        *out = c;
    else
        mem_free(c);
    return code;
}

/* J: as if it had. */
static void catch_up(struct consumer *c)
{
    if (!c->behind)
        return;
    c->options.high = UINT64_MAX;
    consumer_went(c->session);
}

void consumer_set_high(struct consumer *c, uint64_t high)
{
    journal_lock(c->broker->journal);
    if (!high)
        catch_up(c);
    c->options.high = high;
    journal_unlock(c->broker->journal);
    share_settle(c->broker);
}

static void let_go(struct consumer *c)
{
    struct broker *b = c->broker;
    pthread_mutex_lock(&b->readers_lock);
    journal_lock(b->journal);
    for (struct consumer **at = &b->readers; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    catch_up(c);
    c->session->reader = NULL;
    journal_unlock(b->journal);
    pthread_mutex_unlock(&b->readers_lock);
    share_settle(b);
}

static void release(struct consumer *c)
{
    session_drop(c->session);
    mem_free(c);
}

void consumer_close(struct consumer *c)
{
    if (!c)
        return;
    let_go(c);
    release(c);
}

enum code consumer_end(struct consumer *c, struct fault *why)
{
    struct broker *b = c->broker;
    let_go(c);
    pthread_mutex_lock(&b->registry);
    enum code code = session_end(b, c->session, why);
    pthread_mutex_unlock(&b->registry);
    release(c);
    return code;
}

void consumer_names(struct broker *b, void (*each)(void *ctx, struct bytes name, bool open), void *ctx)
{
    pthread_mutex_lock(&b->registry);
    size_t cursor = 0;
    for (struct session *s; (s = table_next(&b->sessions, &cursor));)
        if (session_is_consumer(s))
            each(ctx, bytes_from(s->client_id, 1), is_read(b, s));
    pthread_mutex_unlock(&b->registry);
}

/* ---- filters ---- */

static const struct consumer_filter *wanted(const struct consumer_filter *list, size_t n,
                                            const struct held_filter *held)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_equal(list[i].filter, bytes_of(held->text, held->len)))
            return &list[i];
    return NULL;
}

/* Tree locked for writing, J. */
static enum code drop_filters(struct consumer *c, const struct consumer_filter *list, size_t n,
                              struct fault *why)
{
    struct session *s = c->session;
    for (struct held_filter *f = s->filters, *next; f; f = next) {
        next = f->next;
        if (wanted(list, n, f))
            continue;
        struct held_filter *copy = mem_alloc(sizeof *f + f->len); /* the fold frees f */
        if (!copy)
            return FAIL(why, CODE_NOMEM, 0, "no memory for a subscription");
        memcpy(copy, f, sizeof *f + f->len);
        struct bytes filter = bytes_of(copy->text, copy->len);
        enum code code = fold_unsubscribe(c->broker, s, &(struct mqtt_filter){.filter = filter}, NULL, why);
        if (code == CODE_OK)
            (void)tree_remove(&c->broker->tree, filter, s);
        mem_free(copy);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code add_filter(struct consumer *c, const struct consumer_filter *one, struct fault *why)
{
    struct session *s = c->session;
    struct held_filter *held = session_filter(s, one->filter);
    if (held && held->id == one->number)
        return CODE_OK;
    struct subscription sub = {.session = s, .qos = 1, .id = one->number, .retain_handling = 2};
    struct mqtt_filter f = {.filter = one->filter, .qos = 1, .retain_handling = 2};
    bool replaced;
    enum code code = tree_add(&c->broker->tree, one->filter, &sub, &replaced);
    if (code == CODE_OK && (code = session_set_filter(s, one->filter, &sub)) == CODE_OK)
        code = fold_subscribe(c->broker, s, &f, one->number, NULL, why);
    else
        (void)FAIL(why, code, 0, "no memory for a subscription");
    if (code == CODE_OK)
        return CODE_OK;
    (void)tree_remove(&c->broker->tree, one->filter, s); /* it is added again when it is tried again */
    (void)session_remove_filter(s, one->filter);
    return code;
}

/* Tree locked for writing, J. What is new comes first: should it break off, a message is rather owed twice than not at all. */
static enum code change(const struct consumer_change *list, size_t n, struct fault *why)
{
    enum code code = CODE_OK;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; code == CODE_OK && k < list[i].count; k++)
            code = add_filter(list[i].consumer, &list[i].filters[k], why);
    for (size_t i = 0; code == CODE_OK && i < n; i++)
        code = drop_filters(list[i].consumer, list[i].filters, list[i].count, why);
    return code;
}

enum code consumer_subscribe_all(const struct consumer_change *list, size_t n, struct fault *why)
{
    if (!n)
        return CODE_OK;
    struct broker *b = list->consumer->broker;
    pthread_rwlock_wrlock(&b->tree_lock);
    journal_lock(b->journal);
    enum code code = change(list, n, why);
    journal_unlock(b->journal);
    atomic_fetch_add(&b->generation, 1);
    pthread_rwlock_unlock(&b->tree_lock);
    journal_kick(b->journal);
    return code;
}

enum code consumer_subscribe(struct consumer *c, const struct consumer_filter *list, size_t n,
                             struct fault *why)
{
    return consumer_subscribe_all(&(struct consumer_change){c, list, n}, 1, why);
}

/* ---- reading ---- */

/* J. What is not in memory is read afterwards: `cold` gets its handle, which the queue keeps until we say that it is done with. */
static size_t gather(struct session *s, uint64_t from, struct consumer_item *items, struct stored **cold,
                     size_t max)
{
    size_t n = 0;
    for (uint64_t i = from < s->queue.head ? s->queue.head : from; i < s->queue.tail && n < max; i++) {
        struct entry *e = queue_at(&s->queue, i);
        if (e->state == ENTRY_DONE)
            continue;
        struct message *m = stored_message(e->what);
        struct origin *origin = queue_origin(&s->queue, i);
        items[n] = (struct consumer_item){.index = i,
                                          .message = m ? message_hold(m) : NULL,
                                          .numbers = origin_ids(origin),
                                          .number_count = origin_count(origin)};
        cold[n++] = m ? NULL : e->what;
    }
    return n;
}

size_t consumer_peek(struct consumer *c, uint64_t from, struct consumer_item *items, size_t max)
{
    struct queue *q = &c->session->queue;
    size_t n = 0;
    journal_lock(c->broker->journal);
    for (uint64_t i = from < q->head ? q->head : from; i < q->tail && n < max; i++) {
        if (queue_at(q, i)->state == ENTRY_DONE)
            continue;
        struct origin *origin = queue_origin(q, i);
        items[n++] = (struct consumer_item){
            .index = i, .numbers = origin_ids(origin), .number_count = origin_count(origin)};
    }
    journal_unlock(c->broker->journal);
    return n;
}

static enum code fetch(struct broker *b, struct stored *st, struct message **out, struct fault *why)
{
    const struct io *io = b->config.io;
    struct fault own;
    enum code code = journal_read(b->journal, st, io->monotonic_us(io->self), out, &own);
    if (code == CODE_DAMAGED) {
        log_error("broker", "FG7011 a message could not be read back: %s", own.text);
        *out = NULL;
        return CODE_OK;
    }
    if (code != CODE_OK && why)
        *why = own;
    return code;
}

enum { TAKE_MAX = 512 };

enum code consumer_take(struct consumer *c, uint64_t from, struct consumer_item *items, size_t max, size_t *n,
                        struct fault *why)
{
    struct stored *cold[TAKE_MAX];
    atomic_store(&c->due, false);
    journal_lock(c->broker->journal);
    *n = c->session->ended ? 0 : gather(c->session, from, items, cold, max < TAKE_MAX ? max : TAKE_MAX);
    journal_unlock(c->broker->journal);
    enum code code = CODE_OK;
    size_t ready = 0;
    for (; ready < *n && code == CODE_OK; ready++)
        if (cold[ready])
            code = fetch(c->broker, cold[ready], &items[ready].message, why);
    if (code == CODE_OK)
        return CODE_OK;
    ready--; /* the one that failed, and those behind it, another time */
    for (size_t i = ready; i < *n; i++)
        if (!cold[i])
            message_drop(items[i].message);
    *n = ready;
    return ready ? CODE_OK : code;
}

enum code consumer_finish(struct consumer *c, uint64_t index, struct bytes note, uint64_t *seq,
                          struct fault *why)
{
    if (note.len > CONSUMER_NOTE)
        return FAIL(why, CODE_LIMIT, 0, "a note of %zu bytes; at most %d", note.len, CONSUMER_NOTE);
    journal_lock(c->broker->journal);
    enum code code = c->session->ended ? FAIL(why, CODE_CLOSED, 0, "the reader was ended")
                                       : fold_finish(c->broker, c->session, index, note, seq, why);
    journal_unlock(c->broker->journal);
    share_settle(c->broker);
    journal_kick(c->broker->journal);
    return code;
}

enum code consumer_finish_some(struct consumer *c, const uint64_t *indexes, size_t n, struct fault *why)
{
    struct buf list = {0};
    for (size_t i = 0; i < n; i++) {
        buf_u8(&list, ACK_DONE);
        buf_varint(&list, indexes[i]);
    }
    enum code code = CODE_NOMEM;
    journal_lock(c->broker->journal);
    if (!list.bad)
        code = fold_acks(c->broker, c->session, buf_bytes(&list), true, NULL, why);
    consumer_went(c->session);
    journal_unlock(c->broker->journal);
    share_settle(c->broker);
    buf_clear(&list);
    return code;
}

enum code consumer_finish_one(struct consumer *c, uint64_t index, struct fault *why)
{
    return consumer_finish_some(c, &index, 1, why);
}

enum code consumer_move(struct consumer *from, const uint64_t *indexes, size_t n, struct consumer *to,
                        uint32_t number, struct fault *why)
{
    struct broker *b = from->broker;
    struct origin *origin = number ? origin_new(&number, 1, BYTES_NONE) : NULL;
    struct subscription sub = {.session = to->session, .qos = 2, .id = number};
    struct fanout *f = !number || origin ? fanout_single(to->session, &sub, origin) : NULL;
    struct fold_move *moves = mem_alloc(n * sizeof *moves);
    enum code code = f && moves ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory to route messages");
    journal_lock(b->journal);
    size_t bytes = 0;
    for (size_t i = 0; code == CODE_OK && i < n; i++) {
        bytes += queue_at(&from->session->queue, indexes[i])->bytes;
        moves[i] = (struct fold_move){indexes[i], f};
    }
    if (code == CODE_OK && (full_for(to->session, n, bytes) || to->session->ended))
        code = FAIL(why, CODE_FULL, 0, "the queue behind a route is full");
    if (code == CODE_OK)
        code = fold_move(b, from->session, moves, n, why);
    if (code == CODE_OK)
        consumer_went(from->session);
    journal_unlock(b->journal);
    share_settle(b);
    journal_kick(b->journal);
    consumers_tell(b);
    fanout_drop(f);
    origin_drop(origin);
    mem_free(moves);
    return code;
}

/* ---- how far it is ---- */

size_t consumer_note(struct consumer *c, uint8_t *out)
{
    journal_lock(c->broker->journal);
    const struct note *note = c->session->note;
    size_t n = note ? note->len : 0;
    if (n)
        memcpy(out, note->text, n);
    journal_unlock(c->broker->journal);
    return n;
}

static uint64_t look(struct consumer *c, const uint64_t *at)
{
    journal_lock(c->broker->journal);
    uint64_t v = *at;
    journal_unlock(c->broker->journal);
    return v;
}

uint64_t consumer_head(struct consumer *c)
{
    return look(c, &c->session->queue.head);
}

uint64_t consumer_tail(struct consumer *c)
{
    return look(c, &c->session->queue.tail);
}

uint64_t consumer_waiting(struct consumer *c)
{
    journal_lock(c->broker->journal);
    uint64_t v = c->session->queue.open;
    journal_unlock(c->broker->journal);
    return v;
}

uint64_t consumer_waiting_bytes(struct consumer *c)
{
    return look(c, &c->session->queue.bytes);
}

uint64_t consumer_published(struct consumer *c)
{
    return look(c, &c->session->published);
}

/* ---- publishing ---- */

static void one_less(struct consumer_batch *batch)
{
    if (--batch->left)
        return;
    void (*done)(void *) = batch->done;
    void *ctx = batch->ctx;
    mem_free(batch);
    done(ctx);
}

void consumer_word_done(const struct op *op)
{
    struct consumer_batch *batch = op->batch;
    op->word->result = op->result;
    one_less(batch);
}

/* Nothing may overtake one that was refused. */
uint8_t consumer_word_refused(const struct op *op)
{
    return op->batch->refused;
}

void consumer_word_refuse(const struct op *op, uint8_t reason)
{
    op->batch->refused = reason;
}

struct session *consumer_word_from(const struct op *op, uint64_t *ordinal)
{
    *ordinal = op->word->ordinal;
    return *ordinal ? op->batch->from->session : NULL;
}

static struct fanout *word_fanout(struct shard *shard, const struct consumer_word *w)
{
    if (w->events)
        return fanout_partition();
    if (!w->to)
        return route_find(shard, w->message->topic);
    struct origin *origin = w->number ? origin_new(&w->number, 1, BYTES_NONE) : NULL;
    struct subscription sub = {.session = w->to->session, .qos = 1, .id = w->number};
    struct fanout *f = w->number && !origin ? NULL : fanout_single(w->to->session, &sub, origin);
    origin_drop(origin);
    if (f)
        f->single = false; /* it is the whole fan-out, and not one member's of a share */
    return f;
}

static void open_batch(struct letter *letter, struct loop *here)
{
    struct consumer_batch *batch = (struct consumer_batch *)letter;
    struct shard *shard = batch->shard;
    (void)here;
    for (size_t i = 0, n = batch->count; i < n; i++) {
        struct consumer_word *w = &batch->words[i];
        struct op op = {.kind = OP_PUBLISH,
                        .message = message_hold(w->message),
                        .fanout = word_fanout(shard, w),
                        .batch = batch,
                        .word = w};
        if (op.fanout)
            op.crc = crc32c(0, w->message->encoded.at, w->message->encoded.len);
        if (op.fanout && shard_push_op(shard, &op))
            continue;
        fanout_drop(op.fanout);
        message_drop(op.message);
        shard_commit(shard); /* those before it have their results first */
        batch->refused = batch->refused ? batch->refused : MQTT_SERVER_BUSY;
        w->result = batch->refused;
        one_less(batch);
    }
    one_less(batch);
}

enum code consumer_post(struct consumer *c, struct consumer_word *words, size_t n, void (*done)(void *ctx),
                        void *ctx, struct fault *why)
{
    struct broker *b = c->broker;
    struct consumer_batch *batch = mem_alloc(sizeof *batch);
    if (!batch)
        return FAIL(why, CODE_NOMEM, 0, "no memory to publish");
    *batch = (struct consumer_batch){.letter = {.open = open_batch},
                                     .from = c,
                                     .words = words,
                                     .count = n,
                                     .left = n + 1,
                                     .shard = &b->shards[c->session->id % b->shard_count],
                                     .done = done,
                                     .ctx = ctx};
    loop_post(batch->shard->loop, &batch->letter);
    return CODE_OK;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void wake_waiter(void *ctx)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    (void)pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

enum code consumer_publish(struct consumer *c, struct consumer_word *words, size_t n, struct fault *why)
{
    if (!n)
        return CODE_OK;
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    enum code code = consumer_post(c, words, n, wake_waiter, &w, why);
    if (code != CODE_OK)
        return code;
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        (void)pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    (void)pthread_cond_destroy(&w.cond);
    (void)pthread_mutex_destroy(&w.lock);
    if (words[n - 1].result == 0)
        return CODE_OK;
    return FAIL(why, CODE_FULL, 0, "the node took no more: %s", mqtt_reason_name(words[n - 1].result));
}

enum { SETTLE_LOOK_US = 200 };

enum code consumer_settle(struct consumer *c, uint32_t wait_ms, struct fault *why)
{
    uint64_t seq;
    enum code code = consumer_finish(c, 0, BYTES_NONE, &seq, why);
    if (code != CODE_OK)
        return code;
    /* A sync takes a millisecond or so: looking is cheaper than being told. */
    for (uint64_t looked = 0; journal_durable(c->broker->journal) < seq; looked++) {
        if (journal_failed(c->broker->journal))
            return FAIL(why, CODE_IO, 0, "the journal has failed");
        if (looked * SETTLE_LOOK_US > wait_ms * UINT64_C(1000))
            return FAIL(why, CODE_AGAIN, 0, "the disk takes longer than %u ms", wait_ms);
        (void)nanosleep(&(struct timespec){ .tv_nsec = SETTLE_LOOK_US * 1000 }, NULL);
    }
    return CODE_OK;
}
