/* kept.c - records of the publisher's subscriptions: written, read, folded. */
#include "publisher/kept.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/wire.h"

#include <string.h>

enum { HEAD = 8, PLACE_MASK = KEPT_PLACES - 1, MAGIC_BYTES = sizeof KEPT_MAGIC - 1 };

/* ---- writing ---- */

static void put_double(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_le64(b, bits);
}

size_t kept_begin(struct buf *b, enum kept_kind kind, uint32_t stream)
{
    size_t at = buf_size(b);
    buf_le64(b, 0);
    buf_u8(b, (uint8_t)kind);
    buf_le32(b, stream);
    return at;
}

void kept_end(struct buf *b, size_t at)
{
    if (b->bad)
        return;
    uint8_t *frame = b->at + b->from + at;
    uint32_t n = (uint32_t)(buf_size(b) - at - HEAD), crc = crc32c(0, frame + HEAD, n);
    for (unsigned i = 0; i < 4; i++) {
        frame[i] = (uint8_t)(n >> 8 * i);
        frame[4 + i] = (uint8_t)(crc >> 8 * i);
    }
}

void kept_stream(struct buf *b, uint32_t stream, const uint8_t key[KEPT_KEY], const uint8_t session[KEPT_KEY])
{
    size_t at = kept_begin(b, KEPT_STREAM, stream);
    buf_add(b, key, KEPT_KEY);
    buf_add(b, session, KEPT_KEY);
    kept_end(b, at);
}

size_t kept_items(struct buf *b, const struct kept *k)
{
    size_t at = kept_begin(b, KEPT_ITEMS, k->stream);
    buf_le32(b, k->sub);
    buf_u8(b, k->settled);
    put_double(b, k->publishing_ms);
    buf_le32(b, k->keep_alive_count);
    buf_le32(b, k->lifetime_count);
    return at;
}

void kept_item(struct buf *b, const struct kept_item *i)
{
    buf_le32(b, i->number);
    buf_le32(b, i->id);
    buf_le32(b, i->queue);
    put_double(b, i->sampling_ms);
    buf_add(b, i->key, KEPT_KEY);
}

void kept_word(struct buf *b, uint32_t stream, uint64_t ordinal, const struct kept_place *p, struct bytes lasts)
{
    size_t at = kept_begin(b, KEPT_WORD, stream);
    buf_le64(b, ordinal);
    buf_le32(b, p->sub);
    buf_le32(b, p->sequence);
    buf_le32(b, p->index);
    buf_le64(b, (uint64_t)p->published);
    buf_add_bytes(b, lasts);
    kept_end(b, at);
}

void kept_last(struct buf *b, uint32_t number, int64_t last, uint64_t print)
{
    buf_le32(b, number);
    buf_le64(b, (uint64_t)last);
    buf_le64(b, print);
}

void kept_safe(struct buf *b, uint32_t stream, uint32_t sub, uint32_t sequence)
{
    size_t at = kept_begin(b, KEPT_SAFE, stream);
    buf_le32(b, sub);
    buf_le32(b, sequence);
    kept_end(b, at);
}

void kept_drop(struct buf *b, uint32_t stream)
{
    kept_end(b, kept_begin(b, KEPT_DROP, stream));
}

/* ---- the store ---- */

struct kept *kept_find(const struct kept_store *s, uint32_t stream)
{
    struct kept *k = s->first;
    while (k && k->stream != stream)
        k = k->next;
    return k;
}

struct kept *kept_by_key(const struct kept_store *s, const uint8_t key[KEPT_KEY])
{
    struct kept *k = s->first;
    while (k && memcmp(k->key, key, KEPT_KEY) != 0)
        k = k->next;
    return k;
}

static void free_one(struct kept *k)
{
    mem_free(k->items);
    mem_free(k);
}

void kept_remove(struct kept_store *s, struct kept *k)
{
    for (struct kept **at = &s->first; *at; at = &(*at)->next)
        if (*at == k) {
            *at = k->next;
            free_one(k);
            return;
        }
}

void kept_clear(struct kept_store *s)
{
    while (s->first)
        kept_remove(s, s->first);
    *s = (struct kept_store){0};
}

/* The place of a number; NULL: no memory. */
static struct kept_item *place_of(struct kept_store *s, struct kept *k, uint32_t number)
{
    uint32_t at = number & PLACE_MASK, room = k->room ? k->room : 16;
    while (room <= at)
        room *= 2;
    if (room != k->room) {
        struct kept_item *bigger = mem_realloc(k->items, room * sizeof *bigger);
        if (!bigger) {
            s->bad = true;
            return NULL;
        }
        memset(bigger + k->room, 0, (room - k->room) * sizeof *bigger);
        k->items = bigger;
        k->room = room;
    }
    struct kept_item *i = &k->items[at];
    if (i->number != number)
        *i = (struct kept_item){.number = number}; /* another life of the place */
    return i;
}

/* ---- folding ---- */

static double take_double(struct wire *w)
{
    uint64_t bits = wire_le64(w);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool take_key(struct wire *w, uint8_t key[KEPT_KEY])
{
    const uint8_t *at = wire_skip(w, KEPT_KEY);
    if (at)
        memcpy(key, at, KEPT_KEY);
    return at != NULL;
}

static bool apply_stream(struct kept_store *s, uint32_t stream, struct wire *w)
{
    struct kept *k = mem_zalloc(1, sizeof *k);
    if (!k) {
        s->bad = true;
        return true;
    }
    k->stream = stream;
    if (!take_key(w, k->key) || !take_key(w, k->session) || kept_find(s, stream)) {
        free_one(k);
        return false;
    }
    k->next = s->first;
    s->first = k;
    s->streams = stream > s->streams ? stream : s->streams;
    return true;
}

static bool apply_items(struct kept_store *s, struct kept *k, struct wire *w)
{
    k->sub = wire_le32(w);
    k->settled = wire_u8(w) != 0;
    k->publishing_ms = take_double(w);
    k->keep_alive_count = wire_le32(w);
    k->lifetime_count = wire_le32(w);
    for (uint32_t i = 0; i < k->room; i++)
        k->items[i].there = false;
    while (!w->bad && wire_left(w)) {
        struct kept_item one = {.number = wire_le32(w)};
        one.id = wire_le32(w);
        one.queue = wire_le32(w);
        one.sampling_ms = take_double(w);
        struct kept_item *i = take_key(w, one.key) && one.number ? place_of(s, k, one.number) : NULL;
        if (!i)
            continue;
        one.there = true;
        one.last = i->last;
        one.print = i->print;
        *i = one;
    }
    for (uint32_t i = 0; i < k->room; i++)
        if (!k->items[i].there)
            k->items[i] = (struct kept_item){0};
    return !w->bad;
}

static bool apply_word(struct kept_store *s, struct kept *k, struct wire *w)
{
    (void)wire_le64(w);
    struct kept_place p = {.sub = wire_le32(w)};
    p.sequence = wire_le32(w);
    p.index = wire_le32(w);
    p.published = (int64_t)wire_le64(w);
    if (w->bad)
        return false;
    k->place = p;
    while (!w->bad && wire_left(w)) {
        uint32_t number = wire_le32(w);
        int64_t last = (int64_t)wire_le64(w);
        uint64_t print = wire_le64(w);
        struct kept_item *i = w->bad || !number ? NULL : place_of(s, k, number);
        if (!i)
            continue;
        i->last = last;
        i->print = print;
    }
    return !w->bad;
}

/* It never goes back: what is safe may have been overtaken by messages that are in the log. */
static bool apply_safe(struct kept *k, struct wire *w)
{
    uint32_t sub = wire_le32(w);
    uint32_t sequence = wire_le32(w);
    struct kept_place *p = &k->place;
    if (w->bad)
        return false;
    if (p->sub != sub ? k->sub == sub : sequence - p->sequence < INT32_MAX) {
        p->sub = sub;
        p->sequence = sequence;
        p->index = UINT32_MAX;
    }
    return true;
}

bool kept_apply(struct kept_store *s, struct bytes record)
{
    struct wire w = wire_of(record);
    enum kept_kind kind = (enum kept_kind)wire_u8(&w);
    uint32_t stream = wire_le32(&w);
    struct kept *k = kind == KEPT_STREAM ? NULL : kept_find(s, stream);
    if (w.bad)
        return false;
    if (kind == KEPT_STREAM)
        return apply_stream(s, stream, &w);
    if (!k)
        return kind <= KEPT_DROP; /* of one that was dropped */
    switch (kind) {
    case KEPT_ITEMS: return apply_items(s, k, &w);
    case KEPT_WORD: return apply_word(s, k, &w);
    case KEPT_SAFE: return apply_safe(k, &w);
    case KEPT_DROP: kept_remove(s, k); return true;
    default: return false;
    }
}

/* ---- the file ---- */

struct bytes kept_frame(struct bytes from, size_t *whole)
{
    struct wire w = wire_of(from);
    uint32_t n = wire_le32(&w), crc = wire_le32(&w);
    struct bytes record = w.bad || n > KEPT_RECORD_MAX || n > wire_left(&w) ? BYTES_NONE : wire_bytes(&w, n);
    if (!record.len || crc32c(0, record.at, record.len) != crc)
        return BYTES_NONE;
    *whole = HEAD + record.len;
    return record;
}

uint64_t kept_ordinal(struct bytes record)
{
    struct wire w = wire_of(record);
    if (wire_u8(&w) != KEPT_WORD)
        return 0;
    (void)wire_le32(&w);
    return wire_le64(&w);
}

size_t kept_read(struct kept_store *s, struct bytes file, uint64_t published)
{
    size_t at = MAGIC_BYTES, n = 0;
    if (file.len < at || memcmp(file.at, KEPT_MAGIC, at) != 0)
        return 0;
    while (at < file.len) {
        struct bytes record = kept_frame(bytes_from(file, at), &n);
        if (!record.len || (kept_ordinal(record) <= published && !kept_apply(s, record)))
            break;
        at += n;
    }
    return at;
}

static void write_one(const struct kept *k, struct buf *out)
{
    kept_stream(out, k->stream, k->key, k->session);
    size_t at = kept_items(out, k);
    for (uint32_t i = 0; i < k->room; i++)
        if (k->items[i].there)
            kept_item(out, &k->items[i]);
    kept_end(out, at);
    at = kept_begin(out, KEPT_WORD, k->stream);
    buf_le64(out, 0);
    buf_le32(out, k->place.sub);
    buf_le32(out, k->place.sequence);
    buf_le32(out, k->place.index);
    buf_le64(out, (uint64_t)k->place.published);
    for (uint32_t i = 0; i < k->room; i++)
        if (k->items[i].number && k->items[i].last)
            kept_last(out, k->items[i].number, k->items[i].last, k->items[i].print);
    kept_end(out, at);
}

void kept_write(const struct kept_store *s, struct buf *out)
{
    buf_add(out, KEPT_MAGIC, MAGIC_BYTES);
    for (const struct kept *k = s->first; k; k = k->next)
        write_one(k, out);
}
