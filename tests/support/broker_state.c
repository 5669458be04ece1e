#include "support/broker_state.h"

#include "base/crc32c.h"
#include "broker/private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct lines {
    char  **at;
    size_t  count, cap;
};

static void add_line(struct lines *l, struct buf *b)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->at = realloc(l->at, l->cap * sizeof *l->at);
        if (!l->at)
            abort();
    }
    buf_u8(b, 0);
    if (b->bad)
        abort();
    l->at[l->count++] = strdup((char *)b->at + b->from);
    buf_reset(b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_name(struct buf *b, struct bytes name)
{
    char text[200];
    buf_printf(b, "%s", bytes_escape(name, text, sizeof text));
}

/* ---- the parts ---- */

static void add_filters(struct lines *l, const struct session *s)
{
    struct buf b = { 0 };
    for (const struct held_filter *f = s->filters; f; f = f->next) {
        buf_printf(&b, "session %" PRIu64 " filter ", s->id);
        put_name(&b, bytes_of(f->text, f->len));
        buf_printf(&b, " qos %u local %u rap %u handling %u id %u", f->qos, !f->no_local, f->retain_as_published,
                   f->retain_handling, f->id);
        add_line(l, &b);
    }
    buf_clear(&b);
}

static void put_origin(struct buf *b, const struct origin *o)
{
    for (uint32_t i = 0; i < origin_count(o); i++)
        buf_printf(b, " id %u", origin_ids(o)[i]);
    if (origin_shared(o).len) {
        buf_printf(b, " of ");
        put_name(b, origin_shared(o));
    }
}

static void add_queue(struct lines *l, struct session *s)
{
    static const char *const states[] = { "owed", "owed", "received", "done" };
    struct buf b = { 0 };
    for (uint64_t i = s->queue.head; i < s->queue.tail; i++) {
        const struct entry *e = queue_at(&s->queue, i);
        if (e->state == ENTRY_DONE)
            continue;
        /* While connected, anything may have been sent: that only shows at the next start. */
        bool maybe = s->away_since_us && e->state != ENTRY_RECEIVED && (e->flags & ENTRY_MAYBE_SENT);
        bool retain = e->state != ENTRY_RECEIVED && (e->flags & ENTRY_RETAIN);
        buf_printf(&b, "session %" PRIu64 " entry %010" PRIu64 " qos %u %s%s%s message %" PRIu64, s->id, i, e->qos,
                   states[e->state], retain ? " retain" : "", maybe ? " maybe-sent" : "", e->what ? stored_id(e->what) : 0);
        put_origin(&b, queue_origin(&s->queue, i));
        add_line(l, &b);
    }
    buf_clear(&b);
}

static void add_session(struct lines *l, struct session *s)
{
    struct buf b = { 0 };
    buf_printf(&b, "session %" PRIu64 " client ", s->id);
    put_name(&b, s->client_id);
    buf_printf(&b, " of ");
    put_name(&b, s->principal);
    buf_printf(&b, " expiry %u away %" PRId64 " queue %" PRIu64 " to %" PRIu64 " open %u pids", s->expiry_s,
               s->away_since_us, s->queue.head, s->queue.tail, s->queue.open);
    for (uint32_t i = 0; i < s->in_pids.count; i++)
        buf_printf(&b, " %u", s->in_pids.at[i]);
    if (session_is_consumer(s)) {
        buf_printf(&b, " published %" PRIu64 " note ", s->published);
        put_name(&b, s->note ? bytes_of(s->note->text, s->note->len) : BYTES_NONE);
    }
    add_line(l, &b);
    buf_clear(&b);
    add_filters(l, s);
    add_queue(l, s);
}


static void add_retained(struct lines *l, struct retained *r)
{
    struct buf b = { 0 }, topic = { 0 };
    struct retained_node *place = r->cursor; /* a round of state may be on its way */
    struct bytes owner;
    uint64_t bytes;
    uint8_t qos;
    retained_walk_start(r);
    for (struct stored *st; (st = retained_walk_next(r, &topic, &bytes, &qos, &owner));) {
        buf_printf(&b, "retained ");
        put_name(&b, buf_bytes(&topic));
        buf_printf(&b, " message %" PRIu64 " of %" PRIu64 " bytes, qos %u, owned by ", stored_id(st), bytes, qos);
        put_name(&b, owner);
        add_line(l, &b);
    }
    r->cursor = place;
    buf_printf(&b, "retained %" PRIu64 " of %" PRIu64 " bytes", r->count, r->bytes);
    add_line(l, &b);
    buf_clear(&b);
    buf_clear(&topic);
}

static void add_wills(struct lines *l, const struct broker *broker)
{
    struct buf b = { 0 };
    for (const struct will *w = broker->wills; w; w = w->next) {
        buf_printf(&b, "will %" PRIu64 " of session %" PRIu64 " delay %u says %08x", w->id, w->session_id, w->delay_s,
                   crc32c(0, w->message->encoded.at, w->message->encoded.len));
        add_line(l, &b);
    }
    buf_clear(&b);
}

static struct lines collect(struct broker *b)
{
    struct lines l = { 0 };
    journal_lock(b->journal);
    for (struct session *s = b->durable_first; s; s = s->next)
        add_session(&l, s);
    add_retained(&l, &b->retained);
    add_wills(&l, b);
    journal_unlock(b->journal);
    qsort(l.at, l.count, sizeof *l.at, by_text);
    return l;
}

static void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->at[i]);
    free(l->at);
}

char *state_text(struct broker *b)
{
    struct lines l = collect(b);
    size_t n = 1;
    for (size_t i = 0; i < l.count; i++)
        n += strlen(l.at[i]) + 1;
    char *text = malloc(n), *to = text;
    if (!text)
        abort();
    for (size_t i = 0; i < l.count; i++)
        to += sprintf(to, "%s\n", l.at[i]);
    *to = 0;
    lines_free(&l);
    return text;
}

/* ---- against a replay ---- */

static char difference[600];

static const char *first_difference(const struct lines *live, const struct lines *replayed)
{
    size_t i = 0;
    while (i < live->count && i < replayed->count && strcmp(live->at[i], replayed->at[i]) == 0)
        i++;
    if (i == live->count && i == replayed->count)
        return NULL;
    (void)snprintf(difference, sizeof difference, "live \"%s\", replayed \"%s\"", i < live->count ? live->at[i] : "(nothing)",
                   i < replayed->count ? replayed->at[i] : "(nothing)");
    return difference;
}

/* Numbers that must never be given twice. */
static const char *numbers(const struct broker *b)
{
    uint64_t session = 0, will = 0;
    for (const struct session *s = b->durable_first; s; s = s->next)
        session = s->id > session ? s->id : session;
    for (const struct will *w = b->wills; w; w = w->next) {
        will = w->id > will ? w->id : will;
        session = w->session_id > session ? w->session_id : session;
    }
    if (session >= b->next_session_id)
        return "the number of a session would be given again";
    return will >= b->next_will_id ? "the number of a will would be given again" : NULL;
}

static const char *compare_with(struct rig *rig, struct memfs *copy)
{
    const struct rig_config *c = &rig->config;
    struct broker_config config = { .limits = c->limits, .io = memfs_io(copy) };
    struct broker *b;
    struct journal *j;
    struct fault why;
    if (broker_new(&b, &config, &why) != CODE_OK)
        return "no memory for a second broker";
    struct journal_options o = { .io = memfs_io(copy), .data_dir = RIG_DATA, .segment_bytes = c->segment_bytes,
                                 .partitions = c->partitions, .manual = true, .ctx = b, .apply = broker_apply,
                                 .write_state = broker_write_state, .on_durable = broker_on_durable };
    if (journal_open(&j, &o, &why) != CODE_OK) {
        (void)snprintf(difference, sizeof difference, "the copy does not open: %s", why.text);
        broker_free(b);
        return difference;
    }
    b->journal = j;
    struct lines live = collect(rig->broker), replayed = collect(b);
    const char *what = first_difference(&live, &replayed);
    if (!what)
        what = numbers(b);
    lines_free(&live);
    lines_free(&replayed);
    journal_abandon(j);
    broker_free(b);
    return what;
}

const char *state_compare(struct rig *rig)
{
    rig_run(rig);
    struct memfs *copy = memfs_copy(rig->fs);
    const char *what = compare_with(rig, copy);
    memfs_free(copy);
    return what;
}
