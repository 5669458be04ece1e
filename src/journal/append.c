/* append.c - a record gets its sequence and its place, and its bytes go into the write buffer. Memory only.
 *
 * The buffer is a list of chunks, each a run of bytes for one segment. When a segment is full the log goes on
 * in the next one, which the committer has made ahead of time. If it has not come to that yet the next one is
 * only planned: the committer makes it before it writes. Only when it is known that it cannot be made are
 * records refused.
 *
 * Everything that can fail comes first, so that after a failure nothing has changed.
 */
#include "journal/journal_private.h"

#include "base/crc32c.h"

enum { CHUNK_MIN = 4096, CHUNK_MAX = 256 * 1024, SPARE_MAX = 512 * 1024 };

uint64_t append_room(const struct journal *j)
{
    uint64_t room = j->active && j->active->made ? j->active->bytes - j->active->end : 0;
    for (size_t i = j->segment_count; i-- > 0 && j->segments[i] != j->active;)
        room += j->segments[i]->made ? j->segments[i]->bytes - SEGMENT_HEAD : 0;
    return room;
}

uint64_t append_reserve(const struct journal *j, enum claim who)
{
    if (who == CLAIM_JOURNAL)
        return 0;
    uint64_t keep = state_estimate(j) * (j->round.running ? 2 : 1); /* the one under way, and the next */
    return who == CLAIM_PROGRAM ? keep : keep + j->opt.segment_bytes / 8;
}

static enum code refuse_full(struct journal *j, struct fault *why)
{
    atomic_fetch_add_explicit(&j->refused_full, 1, memory_order_relaxed);
    return FAIL(why, CODE_FULL, 0, "no room on disk: %" PRIu64 " bytes are free in %s", j->free_bytes,
                j->data_dir);
}

/* Planned segments hold what came while the committer was busy; a program that heeds journal_busy needs few.
 * */
static bool may_plan(const struct journal *j)
{
    uint64_t planned = 0, most = 2 + 4 * j->opt.pending_bytes / j->opt.segment_bytes;
    for (size_t i = j->segment_count; i-- > 0 && !j->segments[i]->made;)
        planned++;
    return planned < most;
}

static bool has_room(const struct journal *j, enum claim who, uint64_t need)
{
    if (who == CLAIM_MESSAGE && (j->low || atomic_load_explicit(&j->full, memory_order_relaxed)))
        return false;
    if (!j->stuck)
        return true;
    uint64_t room = append_room(j);
    return room >= need && room - need >= append_reserve(j, who);
}

/* The segment this frame goes to: the active one, or the next, planned if need be. */
static enum code choose_segment(struct journal *j, uint64_t need, struct segment **out, struct fault *why)
{
    *out = j->active;
    if (j->active->bytes - j->active->end >= need && !j->active->sealed)
        return CODE_OK;
    struct segment *next = segment_after(j, j->active);
    if (next && !next->made && j->stuck)
        return refuse_full(j, why);
    if (!next) {
        if (j->stuck || !may_plan(j))
            return refuse_full(j, why);
        next = segment_add(j, j->active->number + 1, (uint32_t)j->opt.segment_bytes);
        if (!next)
            return FAIL(why, CODE_NOMEM, 0, "no memory for a segment");
        next->synced_floor = j->synced;
    }
    *out = next;
    return next->bytes - SEGMENT_HEAD >= need
               ? CODE_OK
               : FAIL(why, CODE_LIMIT, 0, "a record of %" PRIu64 " bytes does not fit into a segment of %u",
                      need, next->bytes);
}

static struct chunk *chunk_new(struct journal *j, uint32_t need)
{
    for (struct chunk **at = &j->spare; *at; at = &(*at)->next) {
        struct chunk *c = *at;
        if (c->cap >= need) {
            *at = c->next;
            j->spare_bytes -= c->cap;
            return c;
        }
    }
    uint32_t hint = j->chunk_hint ? j->chunk_hint : CHUNK_MIN, cap = need > hint ? need : hint;
    struct chunk *c = mem_alloc(sizeof *c + cap);
    if (c) {
        c->cap = cap;
        j->chunk_hint = hint < CHUNK_MAX ? hint * 2 : CHUNK_MAX;
    }
    return c;
}

void append_recycle(struct journal *j, struct chunk *c)
{
    /* A small one from the beginning of a load would be filled first, and be a write of its own, for ever. */
    if (j->spare_bytes + c->cap > SPARE_MAX || c->cap < j->chunk_hint / 2) {
        mem_free(c);
        return;
    }
    c->next = j->spare;
    j->spare = c;
    j->spare_bytes += c->cap;
}

/* A chunk with `need` free bytes at `offset` of the segment, perhaps new and then not yet in the list. */
static struct chunk *choose_chunk(struct journal *j, struct segment *s, uint32_t offset, uint32_t need)
{
    struct chunk *c = j->pending_last;
    if (c && c->segment == s && c->offset + c->len == offset && c->cap - c->len >= need)
        return c;
    c = chunk_new(j, need);
    if (c) {
        c->next = NULL;
        c->segment = s;
        c->offset = offset;
        c->len = 0;
    }
    return c;
}

static void link_chunk(struct journal *j, struct chunk *c)
{
    if (c == j->pending_last)
        return;
    if (j->pending_last)
        j->pending_last->next = c;
    else
        j->pending = c;
    j->pending_last = c;
}

/* From here on the log goes on in `next`. Its header is written again with what is known now, in front of its
 * first frame and in the same sector. */
static void switch_segment(struct journal *j, struct segment *next, struct chunk *c)
{
    struct segment *old = j->active;
    if (old != next) {
        old->sealed = true;
        j->index_due = true;
        old->age_us = retention_age(j);
    }
    j->active = next;
    next->first_seq = j->appended + 1;
    struct segment_head head;
    segment_head_now(j, next, &head);
    next->head.wall_us = head.wall_us;
    next->head.age_us = head.age_us;
    segment_head_encode(c->data, &head, j->id);
    c->len = SEGMENT_HEAD;
}

static void put_frame(const struct journal *j, struct chunk *c, const struct frame *f, uint32_t offset,
                      const struct record_in *in)
{
    uint8_t *at = c->data + c->len;
    uint32_t whole = (uint32_t)frame_bytes(f->body_len), body = JOURNAL_FRAME_HEAD + f->body_len;
    frame_encode(at, f, j->id, c->segment->number, offset);
    if (in->meta.len)
        memcpy(at + JOURNAL_FRAME_HEAD, in->meta.at, in->meta.len);
    if (in->payload.len)
        memcpy(at + JOURNAL_FRAME_HEAD + in->meta.len, in->payload.at, in->payload.len);
    memset(at + body, 0, whole - body);
    c->len += whole;
}

static void attach(struct stored *h, struct segment *s, uint64_t seq, uint32_t offset, uint32_t body_len)
{
    *h = (struct stored){.id = seq, .refs = 1};
    handle_move_locked(h, s, offset, body_len);
}

enum code append_record(struct journal *j, const struct record_in *in, bool internal, struct record_out *out,
                        struct fault *why)
{
    if (atomic_load_explicit(&j->failed, memory_order_relaxed) || (j->shut && !internal))
        return FAIL(why, CODE_CLOSED, 0,
                    atomic_load(&j->failed) ? "the journal has failed" : "the journal is closing");
    uint64_t body = (uint64_t)in->meta.len + in->payload.len, most = j->opt.segment_bytes - SEGMENT_HEAD;
    if (body > most || frame_bytes((uint32_t)body) > most)
        return FAIL(why, CODE_LIMIT, 0,
                    "a record of %" PRIu64 " bytes does not fit into a segment of %" PRIu64, body,
                    j->opt.segment_bytes);
    uint64_t need = frame_bytes((uint32_t)body);
    clock_watch(j, in->wall_us);
    bool in_partition = in->partition != JOURNAL_NO_PARTITION;
    FG_ASSERT(!in_partition || (in->partition < j->partition_count && in->type == RECORD_MESSAGE));
    enum claim who = internal || j->in_slice      ? CLAIM_JOURNAL
                     : in->type == RECORD_MESSAGE ? CLAIM_MESSAGE
                                                  : CLAIM_PROGRAM;
    if (!has_room(j, who, need)) {
        if (who == CLAIM_MESSAGE)
            atomic_store(&j->full, true);
        return refuse_full(j, why);
    }

    struct segment *s;
    enum code code = choose_segment(j, need, &s, why);
    if (code != CODE_OK)
        return code;
    bool fresh = s != j->active || s->first_seq == 0;
    uint32_t offset = s->end, head = fresh ? SEGMENT_HEAD : 0;
    struct partition *p = in_partition ? &j->partitions[in->partition] : NULL;
    if (p && (code = index_reserve(s, in->partition, p->next, why)) != CODE_OK)
        return code;
    struct stored *h = in->keep ? mem_alloc(sizeof *h) : NULL;
    struct chunk *c = in->keep && !h ? NULL : choose_chunk(j, s, offset - head, (uint32_t)need + head);
    if (!c) {
        mem_free(h);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a record of %" PRIu64 " bytes", body);
    }

    if (fresh)
        switch_segment(j, s, c);
    struct frame f = {
        .type = in->type,
        .flags = (uint16_t)((in->flags & RECORD_MORE) | (j->batch_open ? RECORD_CONTINUES : 0)),
        .seq = ++j->appended,
        .synced = j->synced,
        .wall_us = in->wall_us,
        .stream = p ? in->partition + 1 : 0,
        .stream_seq = p ? p->next : 0,
        .body_len = (uint32_t)body,
        .meta_len = (uint32_t)in->meta.len,
    };
    f.body_crc = frame_body_crc(in->have_crc ? in->payload_crc : crc32c(0, in->payload.at, in->payload.len),
                                in->meta);
    put_frame(j, c, &f, offset, in);
    link_chunk(j, c);
    c->last_seq = f.seq;
    s->end += (uint32_t)need;
    s->last_seq = f.seq;
    j->batch_open = in->flags & RECORD_MORE;
    j->bytes_appended += need;
    atomic_fetch_add_explicit(&j->pending_bytes, need + head, memory_order_relaxed);
    if (in->type == RECORD_SEAL)
        j->seal_seq = f.seq;
    else
        j->wanted = f.seq;
    if (in->type != RECORD_SEAL && (!in->later || j->opt.no_sync)) {
        j->urgent = f.seq;
        atomic_store_explicit(&j->asked, true, memory_order_relaxed);
    }
    if (p) {
        if (s->partition_bytes == 0)
            s->opened_age_us = retention_age(j);
        index_add(s, in->partition, p->next++, offset, in->wall_us);
        s->partition_bytes += need;
    }
    if (h)
        attach(h, s, f.seq, offset, f.body_len);
    if (j->opt.no_sync) { /* nobody waits */
        atomic_store_explicit(&j->durable, f.seq, memory_order_release);
        if (p)
            p->durable_next = p->next;
    }
    if (out)
        *out = (struct record_out){.seq = f.seq, .partition_seq = f.stream_seq, .stored = h};
    return CODE_OK;
}

enum code journal_append(struct journal *j, const struct record_in *in, struct record_out *out,
                         struct fault *why)
{
    FG_ASSERT(in->type == RECORD_MESSAGE || in->type >= RECORD_PROGRAM);
    enum code code = append_record(j, in, false, out, why);
    if (code != CODE_OK)
        j->batch_open = false;
    return code;
}

void journal_give_up_batch(struct journal *j)
{
    j->batch_open = false;
}

static bool peek_list(const struct chunk *c, uint64_t segment, uint32_t offset, void *to, size_t n)
{
    for (; c; c = c->next) {
        if (c->segment->number == segment && offset >= c->offset &&
            offset + n <= (uint64_t)c->offset + c->len) {
            memcpy(to, c->data + (offset - c->offset), n);
            return true;
        }
    }
    return false;
}

bool append_peek(const struct journal *j, uint64_t segment, uint32_t offset, void *to, size_t n)
{
    return peek_list(j->pending, segment, offset, to, n) || peek_list(j->writing, segment, offset, to, n);
}

bool append_pending(const struct journal *j, const struct segment *s)
{
    for (const struct chunk *c = j->pending; c; c = c->next)
        if (c->segment == s)
            return true;
    for (const struct chunk *c = j->writing; c; c = c->next)
        if (c->segment == s)
            return true;
    return false;
}
