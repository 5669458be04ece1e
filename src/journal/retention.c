/* retention.c - what is given up, and when.
 *
 * Partition records go by whole sealed segments, oldest first: when the newest of them is older than `keep`,
 * or when all of them together are larger than `keep_bytes`. A segment that fills slowly is closed before its
 * time, so that a short `keep` does not wait for it.
 *
 * Age is not the difference of two wall clocks, which jump. The journal has an age of its own: the time it
 * was running by the monotonic clock, and the time between two runs by the wall clock where that is
 * plausible: not negative, and both readings from after 2024. (A clock that starts at 1970 and is set later
 * while we run adds nothing; so records are kept too long rather than lost. clock.c writes down when the wall
 * clock jumped, so that the jump is not taken for time between two runs.) The age at which a segment was
 * closed is in the header of a later one.
 *
 * A segment's file is deleted when nothing refers to it: no handle, no kept partition record, and the state
 * does not begin in it or before, by a header that is on disk. Nor may that state name a message in it: a
 * handle that was let go after the round began is in its records, and a replay asks for it before it comes to
 * where it was dropped.
 */
#include "journal/journal_private.h"

enum { DELETE_AT_ONCE = 4 };
#define SANE_WALL_US (INT64_C(1704067200) * SECOND_US) /* 2024-01-01 */
#define GAP_MAX_US   (INT64_C(5) * 365 * 86400 * SECOND_US)

int64_t retention_age(const struct journal *j)
{
    return j->age_base_us + (j->io->monotonic_us(j->io->self) - j->age_mono_us);
}

void retention_start(struct journal *j)
{
    int64_t wall = j->io->wall_us(j->io->self), gap = wall - j->age_wall_us;
    if (j->age_wall_us >= SANE_WALL_US && gap > 0 && gap <= GAP_MAX_US)
        j->age_base_us += gap;
    j->age_mono_us = j->io->monotonic_us(j->io->self);
}

/* ---- giving up partition records ---- */

static bool holds_records(const struct segment *s)
{
    return s->partition_bytes > 0 && !s->released;
}

/* The oldest sealed segment with records, if it is time for it. Locked. */
static struct segment *expired(const struct journal *j)
{
    struct segment *oldest = NULL;
    uint64_t all = 0;
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        if (!holds_records(s))
            continue;
        all += s->partition_bytes;
        if (!oldest)
            oldest = s;
        if (!j->opt.keep_bytes)
            break;
    }
    if (!oldest || !oldest->sealed ||
        (oldest->last_seq > j->synced && oldest->last_seq != j->seal_seq && !j->opt.no_sync))
        return NULL;
    bool old = j->opt.keep_us && retention_age(j) - oldest->age_us > j->opt.keep_us;
    return old || (j->opt.keep_bytes && all > j->opt.keep_bytes) ? oldest : NULL;
}

/* The counters that say so must be durable before the file goes: a record that is missing without them is
 * damage. */
static bool release(struct journal *j, struct segment *s)
{
    uint64_t before[PARTITIONS_MAX];
    for (uint32_t i = 0; i < s->span_count; i++) {
        struct partition *p = &j->partitions[s->spans[i].partition];
        uint64_t behind = s->spans[i].first + s->spans[i].count;
        before[i] = p->first;
        p->first = behind > p->first ? behind : p->first;
    }
    if (state_append_partitions(j, NULL) != CODE_OK) {
        for (uint32_t i = 0; i < s->span_count; i++)
            j->partitions[s->spans[i].partition].first = before[i];
        return false;
    }
    s->released = true;
    s->release_seq = j->appended;
    index_drop(s);
    index_forget(j, s->number);
    return true;
}

static bool release_one(struct journal *j)
{
    journal_lock(j);
    struct segment *s = j->batch_open ? NULL : expired(j);
    if (s && s->pins > (s->unsynced ? 1u : 0u))
        s = NULL; /* somebody reads it */
    if (s && !release(j, s))
        s = NULL;
    journal_unlock(j);
    return s != NULL;
}

/* Closes the active segment when its oldest record has waited for a quarter of `keep`. */
static bool roll(struct journal *j)
{
    journal_lock(j);
    struct segment *s = j->active;
    bool old = j->opt.keep_us && !s->sealed && s->partition_bytes &&
               retention_age(j) - s->opened_age_us > j->opt.keep_us / 4 && !j->stuck && !j->batch_open;
    if (old) {
        s->sealed = true; /* the next record goes to the next segment */
        s->age_us = retention_age(j);
        j->rolled++;
        j->index_due = true;
    }
    journal_unlock(j);
    return old;
}

/* ---- deleting ---- */

static struct segment *unused(const struct journal *j)
{
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *s = j->segments[i];
        if (s->number >= j->witness.segment)
            return NULL;
        if (s->sealed && s != j->active && s->live_count == 0 && !holds_records(s) && s->pins == 0 &&
            s->release_seq <= j->synced && s->dropped_seq <= j->witness.seq)
            return s;
    }
    return NULL;
}

/* A few at a time: removing large files takes the file system a while, and commits wait for us. */
static bool delete_unused(struct journal *j)
{
    bool did = false;
    for (int i = 0; i < DELETE_AT_ONCE; i++) {
        journal_lock(j);
        struct segment *s = unused(j);
        uint64_t number = s ? s->number : 0;
        if (s) {
            index_forget(j, number);
            segment_forget(j, s);
        }
        journal_unlock(j);
        if (!s)
            break;
        char name[SEGMENT_NAME], path[PATH_MAX_OWN];
        segment_name(number, "seg", name);
        (void)j->io->unlink(j->io->self, journal_path(j, path, name));
        segment_name(number, "idx", name);
        (void)j->io->unlink(j->io->self, journal_path(j, path, name));
        did = true;
    }
    if (did) {
        (void)j->io->sync_dir(j->io->self, j->dir);
        upkeep_room_came(j);
    }
    return did;
}

bool retention_step(struct journal *j)
{
    bool did = release_one(j);
    did |= roll(j);
    did |= delete_unused(j);
    return did;
}

void journal_set_keep(struct journal *j, int64_t keep_us, uint64_t keep_bytes)
{
    journal_lock(j);
    j->opt.keep_us = keep_us;
    j->opt.keep_bytes = keep_bytes;
    journal_unlock(j);
}
