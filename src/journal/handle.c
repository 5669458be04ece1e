/* handle.c - handles on message records. A segment lists the handles on its frames, so that compaction finds
 * them. */
#include "journal/journal_private.h"

#include "message/message.h"

_Static_assert(sizeof(struct stored) <= 64, "there are many of them");

static uint64_t whole(const struct stored *h)
{
    return frame_bytes(h->body_len);
}

static void unlink_handle(struct stored *h)
{
    struct segment *s = h->segment;
    if (h->prev)
        h->prev->next = h->next;
    else
        s->live = h->next;
    if (h->next)
        h->next->prev = h->prev;
    s->live_count--;
    s->journal->live_total--;
    s->live_bytes -= whole(h);
}

void handle_move_locked(struct stored *h, struct segment *to, uint32_t offset, uint32_t body_len)
{
    if (h->segment)
        unlink_handle(h);
    h->segment = to;
    h->offset = offset;
    h->body_len = body_len;
    h->prev = NULL;
    h->next = to->live;
    if (to->live)
        to->live->prev = h;
    to->live = h;
    to->live_count++;
    to->journal->live_total++;
    to->live_bytes += whole(h);
}

struct stored *stored_hold(struct stored *h)
{
    FG_ASSERT(h->refs > 0 && h->refs < UINT32_MAX);
    h->refs++;
    return h;
}

void stored_drop(struct stored *h)
{
    FG_ASSERT(h->refs > 0);
    if (--h->refs > 0)
        return;
    struct journal *j = h->segment->journal;
    if (j->replaying) {
        struct idmap_entry *e = idmap_get(j->map, h->id);
        if (e)
            e->stored = NULL;
    }
    h->segment->dropped_seq = j->appended + 1;
    unlink_handle(h);
    message_drop(h->message);
    mem_free(h);
}

void handle_clear(struct segment *s)
{
    while (s->live) {
        struct stored *h = s->live;
        unlink_handle(h);
        message_drop(h->message);
        mem_free(h);
    }
}

uint64_t stored_id(const struct stored *h)
{
    return h->id;
}

uint32_t stored_bytes(const struct stored *h)
{
    return h->body_len;
}

struct message *stored_message(const struct stored *h)
{
    return h->message;
}

void stored_set_message(struct stored *h, struct message *m)
{
    if (m != h->message)
        message_drop(h->message);
    else
        message_drop(m); /* the reference given to us is one too many */
    h->message = m;
}

void stored_where(const struct stored *h, uint64_t *segment, uint32_t *offset, uint32_t *bytes)
{
    *segment = h->segment->number;
    *offset = h->offset;
    *bytes = (uint32_t)whole(h);
}

/* ---- replay ---- */

static struct stored *keep_entry(struct idmap_entry *e, struct segment *s)
{
    if (e->stored)
        return stored_hold(e->stored);
    struct stored *h = mem_alloc(sizeof *h);
    if (!h)
        return NULL;
    *h = (struct stored){.id = e->id, .refs = 1};
    handle_move_locked(h, s, e->offset, e->body_len);
    e->stored = h;
    return h;
}

struct stored *journal_keep(struct journal *j, const struct record *r)
{
    FG_ASSERT(j->replaying && r->type == RECORD_MESSAGE);
    struct idmap_entry *e = idmap_put(j->map, r->seq);
    if (!e)
        return NULL;
    if (e->segment == 0) {
        e->segment = r->segment;
        e->offset = r->segment_offset;
        e->body_len = (uint32_t)(r->meta.len + r->payload.len);
    }
    struct segment *s = segment_find(j, e->segment);
    return s ? keep_entry(e, s) : NULL;
}

/* Reads the header of a frame, and who it is: its own sequence, or the origin of a moved one. */
static enum code read_identity(struct journal *j, struct segment *s, uint32_t offset, struct frame *f,
                               uint64_t *id, struct fault *why)
{
    uint8_t head[JOURNAL_FRAME_HEAD + MOVED_META];
    int file;
    segment_pin_locked(s);
    journal_unlock(j);
    enum code code = segment_open_pinned(j, s, &file, why);
    size_t room = offset < s->size ? s->size - offset : 0;
    int64_t n = code == CODE_OK
                    ? io_read_all(j->io, file, head, room < sizeof head ? room : sizeof head, offset)
                    : 0;
    segment_unpin(j, s);
    journal_lock(j);
    if (code != CODE_OK)
        return code;
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read segment %" PRIx64 " at %u", s->number, offset);
    if (n < JOURNAL_FRAME_HEAD || !frame_decode(f, head, j->id, s->number, offset))
        return FAIL(why, CODE_DAMAGED, offset, "there is no frame in segment %" PRIx64 " at %u", s->number,
                    offset);
    bool moved = f->type == RECORD_MOVED && f->meta_len == MOVED_META && n == (int64_t)sizeof head;
    *id = moved ? get_le64(head + JOURNAL_FRAME_HEAD) : f->type == RECORD_MESSAGE ? f->seq : 0;
    return CODE_OK;
}

enum code journal_keep_at(struct journal *j, uint64_t id, uint64_t segment, uint32_t offset, uint32_t bytes,
                          struct stored **out, struct fault *why)
{
    FG_ASSERT(j->replaying && id != 0);
    struct idmap_entry *e = idmap_get(j->map, id);
    struct segment *s = segment_find(j, e ? e->segment : segment);
    if (!s)
        return FAIL(why, CODE_DAMAGED, offset,
                    "message %" PRIu64 " was in segment %" PRIx64 ", which is not there", id,
                    e ? e->segment : segment);
    if (!e) {
        struct frame f;
        uint64_t who = 0;
        enum code code = read_identity(j, s, offset, &f, &who, why);
        if (code != CODE_OK)
            return code;
        if (who != id || frame_bytes(f.body_len) != bytes)
            return FAIL(why, CODE_DAMAGED, offset,
                        "segment %" PRIx64 " holds message %" PRIu64 " at %u, not %" PRIu64, segment, who,
                        offset, id);
        e = idmap_put(j->map, id);
        if (!e)
            return FAIL(why, CODE_NOMEM, 0, "no memory for message %" PRIu64, id);
        e->segment = segment;
        e->offset = offset;
        e->body_len = f.body_len;
    }
    *out = keep_entry(e, s);
    return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for message %" PRIu64, id);
}

/* ---- reading back ---- */

/* *when: what clock_born asks of the segment. */
static enum code fetch(struct journal *j, struct stored *h, uint8_t **out, uint64_t *segment,
                       uint32_t *offset, struct segment *when, struct fault *why)
{
    size_t bytes = (size_t)whole(h);
    uint8_t *at = mem_alloc(bytes);
    if (!at)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read message %" PRIu64, h->id);
    journal_lock(j);
    struct segment *s = h->segment;
    *segment = s->number;
    *offset = h->offset;
    *when = (struct segment){.head = s->head, .sealed = s->sealed, .age_us = s->age_us};
    bool have = append_peek(j, *segment, *offset, at, bytes);
    if (!have)
        segment_pin_locked(s);
    journal_unlock(j);
    enum code code = CODE_OK;
    if (!have) {
        int file;
        code = segment_open_pinned(j, s, &file, why);
        int64_t n = code == CODE_OK ? io_read_all(j->io, file, at, bytes, *offset) : 0;
        segment_unpin(j, s);
        if (n < 0)
            code = FAIL_SYS(why, CODE_IO, (int)-n, "cannot read segment %" PRIx64 " at %u", *segment,
                            *offset);
        else if (code == CODE_OK && (size_t)n < bytes)
            code = FAIL(why, CODE_DAMAGED, *offset,
                        "segment %" PRIx64 " ends inside message %" PRIu64 " at %u", *segment, h->id,
                        *offset);
    }
    if (code != CODE_OK) {
        mem_free(at);
        return code;
    }
    *out = at;
    return CODE_OK;
}

enum code journal_read(struct journal *j, struct stored *h, int64_t now_us, struct message **out, struct fault *why)
{
    uint8_t *at = NULL;
    uint64_t segment = 0;
    uint32_t offset = 0;
    struct segment when;
    enum code code = fetch(j, h, &at, &segment, &offset, &when, why);
    if (code != CODE_OK)
        return code;
    struct frame f;
    const uint8_t *body = at + JOURNAL_FRAME_HEAD;
    bool fine = frame_decode(&f, at, j->id, segment, offset) && f.body_len == h->body_len &&
                frame_body_holds(&f, body);
    bool moved = fine && f.type == RECORD_MOVED && f.meta_len == MOVED_META;
    fine = fine && (moved ? get_le64(body) == h->id : f.type == RECORD_MESSAGE && f.seq == h->id);
    if (!fine) {
        (void)damage_note(j, segment, offset);
        char name[SEGMENT_NAME];
        segment_name(segment, "seg", name);
        code = FAIL(why, CODE_DAMAGED, offset, "message %" PRIu64 " in %s/%s at %u is damaged", h->id, j->dir,
                    name, offset);
    } else {
        int64_t born = moved ? (int64_t)get_le64(body + 8) : clock_born(j, &when, f.wall_us);
        code = message_decode(out, bytes_of(body + f.meta_len, f.body_len - f.meta_len), f.wall_us, now_us,
                              journal_age_us(j) - born, why);
    }
    mem_free(at);
    return code;
}
