/* compact.c - compaction forward. A segment that is kept only for a few messages somebody still waits for is
 * emptied: the messages are appended again as RECORD_MOVED (meta: u64 id, i64 age of the journal when the origin came), and
 * when the copies are durable the handles point to them and the segment can go.
 *
 * Only segments before the state are touched, and never while a round of state is running or a round while
 * copies are under way: so a state record names the place before all its moves or after them, and the moves a
 * replay needs to know lie behind where it begins.
 */
#include "journal/journal_private.h"

enum { BATCH = 64, BATCH_BYTES = 1024 * 1024 };

struct copy {
    struct stored *handle; /* one reference */
    struct segment *from, *to;
    uint32_t from_offset, to_offset, body_len;
    uint64_t seq;
};

static bool worth_it(const struct journal *j, const struct segment *s)
{
    return s->sealed && s != j->active && s->number < j->witness.segment && s->live_count > 0 &&
           s->pins == 0 && (s->partition_bytes == 0 || s->released) && s->live_bytes < (uint64_t)s->bytes / 4;
}

static struct segment *choose(const struct journal *j)
{
    if (j->round.running || j->batch_open || j->stuck || j->low || j->shut || j->state.seq != j->witness.seq)
        return NULL;
    for (size_t i = 0; i < j->segment_count && j->segments[i]->number < j->witness.segment; i++)
        if (worth_it(j, j->segments[i]) && !j->segments[i]->unreadable)
            return j->segments[i];
    return NULL;
}

/* Reads one frame, checked. The caller frees *at. */
static enum code load(struct journal *j, int file, const struct copy *c, uint8_t **at, struct frame *f,
                      struct fault *why)
{
    size_t bytes = (size_t)frame_bytes(c->body_len);
    *at = mem_alloc(bytes);
    if (!*at)
        return FAIL(why, CODE_NOMEM, 0, "no memory to move a message");
    int64_t n = io_read_all(j->io, file, *at, bytes, c->from_offset);
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read segment %" PRIx64 " at %u", c->from->number,
                        c->from_offset);
    if (n == (int64_t)bytes && frame_decode(f, *at, j->id, c->from->number, c->from_offset) &&
        f->body_len == c->body_len && frame_body_holds(f, *at + JOURNAL_FRAME_HEAD))
        return CODE_OK;
    return FAIL(why, CODE_DAMAGED, c->from_offset,
                "message %" PRIu64 " in segment %" PRIx64 " at %u is damaged", c->handle->id, c->from->number,
                c->from_offset);
}

static enum code append_copy(struct journal *j, struct copy *c, const struct frame *f, const uint8_t *body,
                             struct fault *why)
{
    uint8_t meta[MOVED_META];
    bool again = f->type == RECORD_MOVED && f->meta_len == MOVED_META;
    put_le64(meta, c->handle->id);
    struct record_in in = {.type = RECORD_MOVED,
                           .partition = JOURNAL_NO_PARTITION,
                           .wall_us = f->wall_us,
                           .meta = bytes_of(meta, sizeof meta),
                           .payload = bytes_of(body + f->meta_len, f->body_len - f->meta_len)};
    struct record_out out;
    journal_lock(j);
    put_le64(meta + 8, again ? get_le64(body + 8) : (uint64_t)clock_born(j, c->from, f->wall_us));
    enum code code = append_record(j, &in, true, &out, why);
    if (code == CODE_OK) {
        c->seq = out.seq;
        c->to = j->active;
        c->body_len = (uint32_t)(MOVED_META + in.payload.len);
        c->to_offset = j->active->end - (uint32_t)frame_bytes(c->body_len);
    }
    journal_unlock(j);
    return code;
}

/* Up to BATCH handles of the segment, each with a reference so that it stays. */
static size_t gather(struct journal *j, struct segment **from, struct copy copies[BATCH])
{
    size_t count = 0, bytes = 0;
    journal_lock(j);
    struct segment *s = *from = choose(j);
    for (struct stored *h = s ? s->live : NULL; h && count < BATCH && bytes < BATCH_BYTES; h = h->next) {
        copies[count++] = (struct copy){
            .handle = stored_hold(h), .from = s, .from_offset = h->offset, .body_len = h->body_len};
        bytes += frame_bytes(h->body_len);
    }
    if (s) {
        segment_pin_locked(s);
        j->moving = true;
    }
    journal_unlock(j);
    return count;
}

/* The copies are durable: point to them. */
static void settle(struct journal *j, struct copy copies[BATCH], size_t count)
{
    journal_lock(j);
    for (size_t i = 0; i < count; i++) {
        struct copy *c = &copies[i];
        if (c->to && c->seq <= j->synced && c->handle->refs > 1) {
            handle_move_locked(c->handle, c->to, c->to_offset, c->body_len);
            atomic_fetch_add_explicit(&j->moved_frames, 1, memory_order_relaxed);
        }
        stored_drop(c->handle);
    }
    j->moving = false;
    journal_unlock(j);
}

bool compact_step(struct journal *j)
{
    struct copy copies[BATCH];
    struct segment *s;
    size_t count = gather(j, &s, copies);
    if (!s)
        return false;
    struct fault why;
    int file;
    enum code code = segment_open_pinned(j, s, &file, &why);
    size_t moved = 0;
    bool unreadable = false;
    for (size_t i = 0; i < count && code == CODE_OK; i++) {
        uint8_t *at = NULL;
        struct frame f;
        code = load(j, file, &copies[i], &at, &f, &why);
        unreadable = code == CODE_DAMAGED || code == CODE_IO;
        if (code == CODE_DAMAGED)
            (void)damage_note(j, s->number, copies[i].from_offset);
        if (code == CODE_OK)
            code = append_copy(j, &copies[i], &f, at + JOURNAL_FRAME_HEAD, &why);
        mem_free(at);
        moved += code == CODE_OK;
    }
    if (unreadable) { /* it stays where it is, so that whoever reads it is told */
        log_error(JOURNAL_AREA, "%s", why.text);
        journal_lock(j);
        s->unreadable = true;
        journal_unlock(j);
    }
    if (moved)
        (void)commit_group(j, true);
    settle(j, copies, count);
    segment_unpin(j, s);
    return moved > 0;
}
