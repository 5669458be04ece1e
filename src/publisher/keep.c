/* keep.c - subscriptions over the end of the program: which there are and behind which value what is in the node's log stands, in the
 * file DATA/opcua/publisher.state (kept.h).
 *
 *   value -> batch -> word -> WORD in the file -> word in the log -> durable -> SAFE in the file -> acknowledged to the server
 *
 * A note of the consumer would be in the log itself, but has 1,024 bytes and one life for all streams; so it is a file of our own, and
 * the ordinals tie it to the log. The file is written before the log and not synced: after kill -9 every value is there once; after a
 * loss of power the last ones may come twice, and none is missing. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#define FILE_NAME "publisher.state"
enum { FILE_MAX = 256 << 20, SLACK = 1 << 20, AGAIN_US = 5000000 };

/* ---- keys ---- */

static void digest(const struct buf *b, uint8_t key[KEPT_KEY])
{
    uint8_t full[EVP_MAX_MD_SIZE] = {0};
    struct bytes all = buf_bytes(b);
    if (b->bad || EVP_Digest(all.at, all.len, full, NULL, EVP_sha256(), NULL) != 1)
        memset(full, 0, sizeof full);
    memcpy(key, full, KEPT_KEY);
}

static void session_key(const struct pub_session *s, uint8_t key[KEPT_KEY])
{
    struct buf b = {0};
    buf_add_bytes(&b, bytes_str(s->key));
    digest(&b, key);
    buf_clear(&b);
}

static void stream_key(const struct pub_stream *s, uint8_t key[KEPT_KEY])
{
    struct buf b = {0};
    const struct ua_subscription_options *o = &s->wanted;
    buf_printf(&b, "%s\n%g,%" PRId64 ",%" PRId64 ",%u,%u,%d", s->key, o->publishing_ms, o->keep_alive_ms,
               o->lifetime_ms, o->message_values, o->priority, (int)o->times);
    digest(&b, key);
    buf_clear(&b);
}

void pub_keep_item(struct pub_item *i)
{
    struct buf b = {0};
    const struct ua_watch *w = &i->watch;
    buf_printf(&b, "%s\n%u,%g,%u,%d,%d,%u,%u,%g", i->key, w->attribute, w->sampling_ms, w->queue,
               w->discard_newest, (int)w->mode, w->trigger, w->deadband, w->deadband_value);
    digest(&b, i->print);
    buf_clear(&b);
}

/* ---- the file ---- */

static void failed(struct publisher *p, const char *what)
{
    struct pub_keep *k = &p->keep;
    k->broken = true;
    k->again_us = loop_now_us(p->loop) + AGAIN_US;
    if (!k->said)
        log_error("opcua",
                  "FG5281 %s/" FILE_NAME " cannot be written: %s. Values go on; but when this node is killed, the last "
                  "ones may come twice. It is tried again",
                  k->dir, what);
    k->said = true;
}

/* Everything anew: beside, then renamed. */
static enum code rewrite(struct pub_keep *k, const struct io *io, struct fault *why)
{
    struct buf all = {0};
    char path[IO_PATH_MAX];
    kept_write(&k->store, &all);
    buf_add_bytes(&all, buf_bytes(&k->words));
    if (k->file >= 0)
        io->close(io->self, k->file);
    k->file = -1;
    enum code code = all.bad ? FAIL(why, CODE_NOMEM, 0, "no memory")
                             : io_replace(io, k->dir, FILE_NAME, buf_bytes(&all), why);
    k->size = k->first_size = buf_size(&all);
    buf_clear(&all);
    if (code != CODE_OK)
        return code;
    (void)snprintf(path, sizeof path, "%s/" FILE_NAME, k->dir);
    k->file = io->open(io->self, path, IO_READ | IO_WRITE);
    if (k->file < 0)
        return FAIL_SYS(why, CODE_IO, -k->file, "cannot open it");
    buf_reset(&k->out);
    k->broken = false;
    return CODE_OK;
}

void pub_keep_flush(struct publisher *p)
{
    struct pub_keep *k = &p->keep;
    struct fault why;
    if (!k->dir || (!buf_size(&k->out) && !k->broken))
        return;
    if (k->store.bad || k->words.bad || k->out.bad) {
        k->store.bad = k->words.bad = k->out.bad = false;
        k->broken = true;
    }
    if (k->broken || k->size > k->first_size * 4 + SLACK) {
        if (k->broken && loop_now_us(p->loop) < k->again_us)
            buf_reset(&k->out); /* the whole file is written later: the store has it */
        else if (rewrite(k, p->config.io, &why) != CODE_OK)
            failed(p, why.text);
        else
            k->said = false;
        return;
    }
    struct bytes out = buf_bytes(&k->out);
    int r = io_write_all(p->config.io, k->file, out.at, out.len, k->size);
    if (r < 0) {
        (void)FAIL_SYS(&why, CODE_IO, -r, "the end of it");
        failed(p, why.text);
    }
    k->size += out.len;
    buf_reset(&k->out);
}

static void load(struct publisher *p)
{
    struct pub_keep *k = &p->keep;
    char path[IO_PATH_MAX], *text = NULL;
    size_t n = 0;
    struct fault why;
    (void)snprintf(path, sizeof path, "%s/" FILE_NAME, k->dir);
    enum code code = io_load(p->config.io, path, FILE_MAX, &text, &n, &why);
    if (code == CODE_NOTFOUND)
        return;
    size_t good = code == CODE_OK ? kept_read(&k->store, bytes_of(text, n), p->out.ordinal) : 0;
    if (code != CODE_OK)
        log_error("opcua", "FG5282 %s: subscriptions of before are made anew", why.text);
    else if (good < n)
        log_warn("opcua",
                 "FG5282 %s is damaged from byte %zu on (of %zu), as after a loss of power: what stands in front counts. "
                 "Values may come twice",
                 path, good, n);
    mem_free(text);
}

enum code pub_keep_open(struct publisher *p, struct fault *why)
{
    struct pub_keep *k = &p->keep;
    if (!k->dir)
        return CODE_OK;
    int r = io_make_path(p->config.io, k->dir);
    if (r < 0)
        return FAIL_SYS(why, CODE_IO, -r, "%s", k->dir);
    load(p);
    /* Words of before that are not in the log must not be taken for new ones with their ordinals. */
    return rewrite(k, p->config.io, why);
}

void pub_keep_close(struct publisher *p)
{
    struct pub_keep *k = &p->keep;
    const struct io *io = p->config.io;
    if (k->file >= 0)
        io->close(io->self, k->file);
    k->file = -1;
    kept_clear(&k->store);
    buf_clear(&k->words);
    buf_clear(&k->out);
    mem_free(k->dir);
    k->dir = NULL;
}

/* ---- records ---- */

/* What was added to `out` from `at` on is taken in as if it had been read. */
static void take(struct publisher *p, size_t at)
{
    struct pub_keep *k = &p->keep;
    size_t whole;
    struct bytes record = k->out.bad ? BYTES_NONE : kept_frame(bytes_from(buf_bytes(&k->out), at), &whole);
    if (!record.len || !kept_apply(&k->store, record))
        k->broken = true;
}

void pub_keep_items(struct pub_stream *s, bool settled)
{
    struct publisher *p = s->session->all;
    struct ua_subscription_look look;
    if (!s->kept)
        return;
    ua_subscription_look(s->sub, &look);
    struct kept head = {.stream = s->kept->stream,
                        .sub = look.id,
                        .settled = settled,
                        .publishing_ms = look.publishing_ms,
                        .keep_alive_count = look.keep_alive_count,
                        .lifetime_count = look.lifetime_count};
    size_t at = kept_items(&p->keep.out, &head);
    for (const struct pub_item *i = s->items; i; i = i->next) {
        struct ua_item_look l;
        if (!i->watched || !i->number || !ua_subscription_item(s->sub, i->number, &l))
            continue;
        struct kept_item one = {
            .number = i->number, .id = l.id, .queue = l.queue, .sampling_ms = l.sampling_ms};
        memcpy(one.key, i->print, KEPT_KEY);
        kept_item(&p->keep.out, &one);
    }
    kept_end(&p->keep.out, at);
    take(p, at);
    pub_keep_flush(p);
}

void pub_keep_value(struct pub_item *i)
{
    struct pub_stream *s = i->stream;
    if (s->hand && s->kept && i->number != UINT32_MAX && s->hand->value.has & UA_HAS_SOURCE_TIME)
        kept_last(&s->piece_lasts, i->number, s->hand->value.source_time, ua_value_print(&s->hand->value));
}

void pub_keep_word(struct pub_stream *s)
{
    struct publisher *p = s->session->all;
    const struct kept_place *at = &s->batch.at, *old = &s->written;
    bool same = at->sub == old->sub && at->sequence == old->sequence && at->index == old->index;
    if (!s->kept || (same && !buf_size(&s->batch.lasts)))
        return;
    size_t from = buf_size(&p->keep.out);
    kept_word(&p->keep.out, s->kept->stream, p->out.ordinal, at, buf_bytes(&s->batch.lasts));
    if (!p->keep.out.bad)
        buf_add_bytes(&p->keep.words, bytes_from(buf_bytes(&p->keep.out), from));
    s->written = *at;
}

void pub_keep_durable(struct publisher *p, uint64_t ordinal)
{
    struct pub_keep *k = &p->keep;
    size_t whole;
    for (;;) {
        struct bytes record = kept_frame(buf_bytes(&k->words), &whole);
        if (!record.len || kept_ordinal(record) > ordinal)
            return;
        if (!kept_apply(&k->store, record))
            k->broken = true;
        buf_take(&k->words, whole);
    }
}

void pub_keep_safe(struct pub_stream *s, uint32_t sub, uint32_t sequence)
{
    struct publisher *p = s->session->all;
    size_t at = buf_size(&p->keep.out);
    if (!s->kept || !sub)
        return;
    kept_safe(&p->keep.out, s->kept->stream, sub, sequence);
    take(p, at);
}

static void drop(struct publisher *p, struct kept *k)
{
    size_t at = buf_size(&p->keep.out);
    kept_drop(&p->keep.out, k->stream);
    take(p, at);
}

void pub_keep_forget(struct pub_stream *s)
{
    struct kept *k = s->kept;
    s->kept = NULL;
    if (k)
        drop(s->session->all, k);
}

/* ---- taking over ---- */

static void begin(struct pub_stream *s, const uint8_t key[KEPT_KEY])
{
    struct publisher *p = s->session->all;
    struct pub_keep *k = &p->keep;
    uint8_t session[KEPT_KEY];
    size_t at = buf_size(&k->out);
    session_key(s->session, session);
    kept_stream(&k->out, k->store.streams + 1, key, session);
    take(p, at);
    s->kept = kept_by_key(&k->store, key);
}

struct taking {
    struct table items; /* of the stream, by print */
    struct ua_kept_item *kept;
    struct ua_watch *watches;
    struct pub_item **which; /* NULL: not in the file any more */
    uint32_t *unwanted;
    size_t count, unwanted_count;
};

static void gather(struct taking *t, const struct pub_stream *s)
{
    const struct kept *k = s->kept;
    for (uint32_t n = 0; n < k->room; n++) {
        const struct kept_item *i = &k->items[n];
        if (!i->there)
            continue;
        struct pub_item *item = table_remove(&t->items, bytes_of(i->key, KEPT_KEY));
        if (!item && !i->id)
            continue;
        t->kept[t->count] = (struct ua_kept_item){.number = i->number,
                                                  .id = i->id,
                                                  .queue = i->queue,
                                                  .sampling_ms = i->sampling_ms,
                                                  .last = i->last,
                                                  .print = i->print};
        t->watches[t->count] = item ? item->watch : (struct ua_watch){.handle = UINT32_MAX};
        t->which[t->count++] = item;
        if (!item)
            t->unwanted[t->unwanted_count++] = i->number;
    }
}

static struct ua_kept kept_of(const struct kept *k)
{
    const struct kept_place *at = &k->place;
    bool same = at->sub == k->sub, whole = at->index == UINT32_MAX;
    return (struct ua_kept){
        .id = k->settled ? k->sub : 0,
        .expected = !same ? 1 : whole ? (at->sequence == UINT32_MAX ? 1 : at->sequence + 1) : at->sequence,
        .given = same && !whole ? at->index : 0,
        .heard = at->published,
        .publishing_ms = k->publishing_ms,
        .keep_alive_count = k->keep_alive_count,
        .lifetime_count = k->lifetime_count};
}

static void go_on(struct pub_stream *s, struct taking *t)
{
    struct ua_kept kept = kept_of(s->kept);
    struct fault why;
    gather(t, s);
    if (ua_subscription_adopt(s->sub, &kept, t->kept, t->watches, t->count, &why) != CODE_OK) {
        log_warn("opcua", "FG5248 %s: subscription %u of before cannot be taken over: %s",
                 s->session->endpoint, kept.id, why.text);
        return;
    }
    for (size_t n = 0; n < t->count; n++)
        if (t->which[n]) {
            t->which[n]->watched = true;
            t->which[n]->number = t->kept[n].number;
            t->which[n]->skip_first = false; /* it was */
        }
    ua_subscription_remove(s->sub, t->unwanted, t->unwanted_count);
    if (!kept.id && s->kept->sub)
        ua_client_discard(s->session->client, s->kept->sub);
    else
        log_info("opcua", "FG5283 %s: subscription %u of before the restart is asked for, from message %u on",
                 s->session->endpoint, kept.id, kept.expected);
}

void pub_keep_adopt(struct pub_stream *s)
{
    struct publisher *p = s->session->all;
    uint8_t key[KEPT_KEY];
    if (!p->keep.dir)
        return;
    stream_key(s, key);
    s->kept = kept_by_key(&p->keep.store, key);
    if (!s->kept) {
        begin(s, key);
        return;
    }
    struct taking t = {0};
    size_t n = s->kept->room + 1;
    t.kept = mem_zalloc(n, sizeof *t.kept);
    t.watches = mem_zalloc(n, sizeof *t.watches);
    t.which = mem_zalloc(n, sizeof(struct pub_item *));
    t.unwanted = mem_zalloc(n, sizeof *t.unwanted);
    bool ok = t.kept && t.watches && t.which && t.unwanted;
    for (struct pub_item *i = s->items; i && ok; i = i->next)
        if (!i->watched)
            (void)!table_put(&t.items, bytes_of(i->print, KEPT_KEY), i);
    if (ok && s->kept->sub)
        go_on(s, &t);
    table_clear(&t.items);
    mem_free(t.kept);
    mem_free(t.watches);
    mem_free(t.which);
    mem_free(t.unwanted);
}

/* They are of servers that are not in the file: they run out there. */
void pub_keep_prune(struct publisher *p)
{
    uint8_t session[KEPT_KEY];
    for (struct kept *k = p->keep.store.first, *next; k; k = next) {
        bool there = false;
        next = k->next;
        for (const struct pub_session *s = p->sessions; s && !there; s = s->next) {
            session_key(s, session);
            there = memcmp(k->session, session, KEPT_KEY) == 0;
        }
        if (!there)
            drop(p, k);
    }
    pub_keep_flush(p);
}

void pub_keep_tidy(struct pub_session *s)
{
    struct publisher *p = s->all;
    uint8_t session[KEPT_KEY];
    session_key(s, session);
    for (struct kept *k = p->keep.store.first, *next; k; k = next) {
        bool wanted = false;
        next = k->next;
        if (memcmp(k->session, session, KEPT_KEY) != 0)
            continue;
        for (const struct pub_stream *t = s->streams; t && !wanted; t = t->next)
            wanted = t->kept == k;
        if (wanted)
            continue;
        log_info("opcua",
                 "FG5284 %s: subscription %u of before the restart is not wanted any more: it is deleted there",
                 s->endpoint, k->sub);
        if (k->sub)
            ua_client_discard(s->client, k->sub);
        drop(p, k);
    }
    pub_keep_flush(p);
}
