/* repair.c - after the survey: the disk is made to say what was decided, and is synced, before anything new
 * is written.
 *
 * Order matters, because the power may fail again in between:
 *   1. Frames above the last sequence known durable are written again and synced: they may be in the page cache
 *      only, or the kernel may have failed to write them and forgotten it.
 *   2. A header names where the state begins and how far the log was durable, if only what goes did. If the log
 *      cannot go on where it ends, or durable frames are missing there, it is that of a new segment.
 *   3. `clean` goes, durably: from here on the log may change.
 *   4. Segments behind the end go and the folder is synced: none of them may be there when the frames before it,
 *      that ended the log, no longer are.
 *   5. What lies behind the end in its segment is cleared and synced. If nothing is left in it, it goes.
 * Each step leaves a log that the survey reads in the same way.
 */
#include "journal/journal_private.h"

#include <errno.h>

enum { BLOCK = 64 * 1024 };

static enum code io_fault(struct fault *why, const struct journal *j, const struct segment *s, uint64_t at,
                          int r)
{
    return FAIL_SYS(why, r == -ENOSPC || r == -EDQUOT ? CODE_FULL : CODE_IO, -r,
                    "cannot repair segment %" PRIx64 " in %s at %" PRIu64, s->number, j->dir, at);
}

static enum code remove_clean(struct journal *j, struct fault *why)
{
    char path[PATH_MAX_OWN];
    int r = j->io->unlink(j->io->self, journal_path(j, path, "clean"));
    if (r == -ENOENT)
        return CODE_OK;
    if (r == 0)
        r = j->io->sync_dir(j->io->self, j->dir);
    return r < 0 ? FAIL_SYS(why, CODE_IO, -r, "cannot remove %s", path) : CODE_OK;
}

/* ---- rewriting and clearing ---- */

enum work { WRITE_AGAIN, CLEAR };

/* [from, to) of the segment, by blocks. Clearing writes only to blocks with something in them. */
static enum code go_over(struct journal *j, struct segment *s, uint64_t from, uint64_t to, enum work work,
                         struct fault *why)
{
    int file;
    journal_lock(j);
    segment_pin_locked(s);
    journal_unlock(j);
    enum code code = segment_open_pinned(j, s, &file, why);
    size_t cap = to - from < BLOCK ? (size_t)(to - from) : BLOCK;
    uint8_t *buf = code == CODE_OK ? mem_alloc(cap) : NULL;
    if (code == CODE_OK && !buf)
        code = FAIL(why, CODE_NOMEM, 0, "no memory to repair a segment");
    bool wrote = false;
    int64_t r = 0;
    for (uint64_t at = from; code == CODE_OK && r >= 0 && at < to; at += cap) {
        size_t n = to - at < cap ? (size_t)(to - at) : cap;
        r = io_read_all(j->io, file, buf, n, at);
        if (r < 0 || (work == CLEAR && bytes_zero(buf, (size_t)r)))
            continue;
        n = (size_t)r;
        if (work == CLEAR)
            memset(buf, 0, n);
        r = io_write_all(j->io, file, buf, n, at);
        wrote = true;
    }
    if (code == CODE_OK && r >= 0 && (wrote || work == WRITE_AGAIN))
        r = j->io->fdatasync(j->io->self, file);
    mem_free(buf);
    if (code == CODE_OK && r < 0)
        code = io_fault(why, j, s, from, (int)r);
    segment_unpin(j, s);
    return code;
}

static enum code write_again(struct journal *j, const struct survey *v, struct place first, struct fault *why)
{
    enum code code = CODE_OK;
    for (size_t i = 0; i < j->segment_count && code == CODE_OK; i++) {
        struct segment *s = j->segments[i];
        if (s->number < first.segment || s->number > v->end.segment)
            continue;
        uint64_t from = s->number == first.segment ? first.offset : 0;
        if (from <= SEGMENT_HEAD)
            from = 0; /* with its header, which came with the first frame */
        code = go_over(j, s, from, s->end, WRITE_AGAIN, why);
    }
    return code;
}

/* Frames that the log does not count as its own, behind durable ones that are missing. The damaged bytes
 * stay. */
static enum code erase_frames(struct journal *j, struct segment *s, uint64_t above, struct fault *why)
{
    int file;
    journal_lock(j);
    segment_pin_locked(s);
    journal_unlock(j);
    enum code code = segment_open_pinned(j, s, &file, why);
    struct scan scan;
    scan_init(&scan, j->io, file, "a segment", j->id, s->number, s->size);
    while (code == CODE_OK) {
        struct scan_item item;
        code = scan_next(&scan, &item, why);
        if (code != CODE_OK || item.kind == SCAN_END)
            break;
        if (item.kind != SCAN_GARBAGE && item.frame.seq > above)
            code = go_over(j, s, item.from, item.to, CLEAR, why);
    }
    scan_clear(&scan);
    segment_unpin(j, s);
    return code;
}

/* ---- segments behind the end ---- */

static bool usable(const struct journal *j, const struct segment *s)
{
    return s->head_fine && s->size == s->bytes && s->bytes == j->opt.segment_bytes;
}

static enum code remove_segment(struct journal *j, struct segment *s, struct fault *why)
{
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "seg", name);
    int r = j->io->unlink(j->io->self, journal_path(j, path, name));
    if (r < 0)
        return FAIL_SYS(why, CODE_IO, -r, "cannot remove %s", path);
    segment_name(s->number, "idx", name);
    (void)j->io->unlink(j->io->self, journal_path(j, path, name));
    journal_lock(j);
    segment_forget(j, s);
    journal_unlock(j);
    return CODE_OK;
}

static enum code sync_removals(struct journal *j, struct fault *why)
{
    int r = j->io->sync_dir(j->io->self, j->dir);
    return r < 0 ? FAIL_SYS(why, CODE_IO, -r, "cannot sync %s", j->dir) : CODE_OK;
}

/* But for those that were made ahead of time, after an orderly stop. */
static enum code remove_behind(struct journal *j, uint64_t number, bool keep_ready, struct fault *why)
{
    bool removed = false;
    uint64_t want = number + 1;
    for (size_t i = 0; i < j->segment_count;) {
        struct segment *s = j->segments[i];
        if (s->number <= number || s == j->active) {
            i++;
            continue;
        }
        if (keep_ready && s->number == want && usable(j, s) && s->head.first_seq == 0) {
            s->sealed = false; /* made ahead of time, and still empty */
            s->surveyed = false;
            want++;
            i++;
            continue;
        }
        enum code code = remove_segment(j, s, why);
        if (code != CODE_OK)
            return code;
        removed = true;
    }
    return removed ? sync_removals(j, why) : CODE_OK;
}

/* An empty segment at the end: whoever made it may have been killed before it was durable, and nothing in it
 * proves the contrary. But durable frames that are missing right before the end may have lain in it, and the
 * state may begin there: then it stays. */
static bool unfinished(const struct survey *v, const struct replayed *met, const struct segment *end)
{
    return !v->damaged_end && end->first_seq == 0 && met->last == v->end.seq;
}

static enum code new_active(struct journal *j, struct fault *why)
{
    uint64_t last = j->segment_count ? j->segments[j->segment_count - 1]->number : 0;
    journal_lock(j);
    struct segment *s = segment_add(j, last + 1, (uint32_t)j->opt.segment_bytes);
    journal_unlock(j);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a segment");
    enum code code = segment_make(j, s, why);
    if (code == CODE_OK)
        j->active = s;
    else
        segment_forget(j, s);
    return code;
}

/* The segment grows again: an index from the time when it was full would hide what comes. */
static enum code remove_index(struct journal *j, struct segment *s, struct fault *why)
{
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "idx", name);
    int r = j->io->unlink(j->io->self, journal_path(j, path, name));
    if (r == -ENOENT)
        return CODE_OK;
    if (r == 0)
        r = j->io->sync_dir(j->io->self, j->dir);
    return r < 0 ? FAIL_SYS(why, CODE_IO, -r, "cannot remove %s", path) : CODE_OK;
}

/* A header that stays must name the state before those go that did. And where frames are missing or a batch is
 * open, it must say how far the log was durable, before what said so is cleared: else the next start takes
 * damage for an unfinished write, and ends the log there. */
static enum code keep_witness(struct journal *j, const struct survey *v, const struct replayed *met,
                              struct segment *end, struct fault *why)
{
    bool whole = v->gap_count == 1 && !met->open && !v->start_lost; /* that one is the end */
    for (size_t i = 0; whole && i < j->segment_count && j->segments[i]->number <= end->number; i++)
        if (j->segments[i]->head_fine && j->segments[i]->head.state.seq >= j->state.seq)
            return CODE_OK;
    uint8_t bytes[SEGMENT_HEAD];
    struct segment_head head;
    journal_lock(j);
    segment_head_now(j, end, &head);
    segment_pin_locked(end);
    journal_unlock(j);
    segment_head_encode(bytes, &head, j->id);
    int file, r = 0;
    enum code code = segment_open_pinned(j, end, &file, why);
    if (code == CODE_OK)
        r = io_write_all(j->io, file, bytes, sizeof bytes, 0);
    if (code == CODE_OK && r == 0)
        r = j->io->fdatasync(j->io->self, file);
    segment_unpin(j, end);
    return r < 0 ? io_fault(why, j, end, 0, r) : code;
}

enum code repair_run(struct journal *j, const struct survey *v, const struct replayed *met, struct fault *why)
{
    /* format.json may have come from a process that was killed before its name was durable. */
    int r = v->clean.valid ? 0 : j->io->sync_dir(j->io->self, j->data_dir);
    if (r < 0)
        return FAIL_SYS(why, CODE_IO, -r, "cannot sync the folder %s", j->data_dir);
    enum code code = CODE_OK;
    if (v->empty) {
        code = remove_clean(j, why);
        return code == CODE_OK ? new_active(j, why) : code;
    }
    struct segment *end = segment_find(j, v->end.segment);
    FG_ASSERT(end);
    bool go_on = !v->damaged_end && usable(j, end) && (v->clean.valid || end->first_seq);
    if (!v->damaged_end && met->unproven.seq && !v->clean.valid)
        code = write_again(j, v, met->unproven, why);
    if (code == CODE_OK)
        code = go_on ? keep_witness(j, v, met, end, why) : new_active(j, why);
    if (code == CODE_OK)
        code = remove_clean(j, why);
    if (code == CODE_OK)
        code = remove_behind(j, v->end.segment, go_on && v->clean.valid && v->tail_clean, why);
    if (code == CODE_OK && v->damaged_end)
        code = erase_frames(j, end, v->end.seq, why);
    else if (code == CODE_OK && !v->tail_clean && v->end.offset < end->size)
        code = go_over(j, end, v->end.offset, end->size, CLEAR, why);
    if (code == CODE_OK && !go_on && unfinished(v, met, end)) {
        code = remove_segment(j, end, why);
        if (code == CODE_OK)
            code = sync_removals(j, why);
    }
    if (code == CODE_OK && go_on)
        code = remove_index(j, end, why);
    if (code != CODE_OK)
        return code;
    if (go_on) {
        end->sealed = false;
        end->end = v->end.offset;
        j->active = end;
    }
    return CODE_OK;
}
