/* committer.c - group commit: what was appended since the last time is written, synced once, and then
 * promised.
 *
 * After a write or a sync that failed nothing is promised any more, ever: the kernel may have dropped the
 * pages, and a later success would say nothing about them. Only "no room" in answer to a write is tried
 * again: nothing was lost.
 *
 * Half of what a broker appends nobody waits for: that a subscriber has acknowledged a message. Such records
 * (`later`) do not wake the committer and are not worth a sync of their own; they go along with the next one.
 */
#include "journal/journal_private.h"

#include <errno.h>
#include <time.h>

enum { LATER_BYTES = 256 * 1024 };

void journal_lock(struct journal *j)
{
    FG_ASSERT(pthread_mutex_lock(&j->lock) == 0);
}

void journal_unlock(struct journal *j)
{
    FG_ASSERT(pthread_mutex_unlock(&j->lock) == 0);
}

void commit_fail(struct journal *j, const char *what, const struct segment *s, uint64_t offset, int err)
{
    char name[SEGMENT_NAME];
    segment_name(s->number, "seg", name);
    struct fault why;
    (void)FAIL_SYS(&why, CODE_IO, -err, "%s of %s/%s at %" PRIu64 " failed", what, j->dir, name, offset);
    if (!atomic_exchange(&j->failed, true))
        log_error(JOURNAL_AREA,
                  "FG7002 %s. Nothing is acknowledged any more; stop the node, look at the disk, start it again",
                  why.text);
    j->notify = true;
}

/* Takes over what was appended. The chunks are then the committer's to read; nobody appends to them. */
static struct chunk *take_group(struct journal *j)
{
    journal_lock(j);
    if (!j->writing) {
        j->writing = j->pending;
        j->pending = j->pending_last = NULL;
        atomic_store_explicit(&j->asked, false, memory_order_relaxed);
        j->group_seq = j->appended;
        for (uint32_t i = 0; i < j->partition_count; i++)
            j->partitions[i].group_next = j->partitions[i].next;
    }
    struct chunk *c = j->writing;
    journal_unlock(j);
    return c;
}

static void mark_unsynced(struct journal *j, struct segment *s)
{
    if (s->unsynced)
        return;
    s->unsynced = true;
    s->next_unsynced = j->unsynced;
    j->unsynced = s;
    journal_lock(j);
    segment_pin_locked(s);
    journal_unlock(j);
}

/* 1 written, 0 no room for now, -1 failed. */
static int write_chunk(struct journal *j, const struct chunk *c)
{
    struct segment *s = c->segment;
    struct fault why;
    if (!s->made && !upkeep_make(j, s))
        return 0;
    mark_unsynced(j, s);
    int file;
    enum code code = segment_open_pinned(j, s, &file, &why);
    if (code == CODE_IO) { /* too many open files, or the like: nothing was written, nothing is lost */
        log_error(JOURNAL_AREA, "%s", why.text);
        return 0;
    }
    int r = code == CODE_OK ? io_write_all(j->io, file, c->data, c->len, c->offset) : -EIO;
    if (r == 0) {
        atomic_fetch_add_explicit(&j->bytes_written, c->len, memory_order_relaxed);
        return 1;
    }
    if (r == -ENOSPC || r == -EDQUOT)
        return 0;
    commit_fail(j, "writing", s, c->offset, r);
    return -1;
}

static bool sync_segments(struct journal *j)
{
    int64_t began = j->io->monotonic_us(j->io->self);
    while (j->unsynced) {
        struct segment *s = j->unsynced;
        struct fault why;
        int file;
        int r = segment_open_pinned(j, s, &file, &why) == CODE_OK ? j->io->fdatasync(j->io->self, file)
                                                                  : -EIO;
        if (r < 0) {
            commit_fail(j, "syncing", s, s->end, r);
            return false;
        }
        j->unsynced = s->next_unsynced;
        s->unsynced = false;
        segment_unpin(j, s);
    }
    int64_t took = j->io->monotonic_us(j->io->self) - began;
    journal_lock(j);
    uint32_t us = took < 0 ? 0 : took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    j->sync_us[j->sync_count++ % SYNC_SAMPLES] = us;
    j->sync_us_max = us > j->sync_us_max ? us : j->sync_us_max;
    journal_unlock(j);
    atomic_fetch_add_explicit(&j->syncs, 1, memory_order_relaxed);
    return true;
}

/* Only a part of the group was written: what readers may see ends with that part. */
static void show_written(struct journal *j, const struct chunk *c)
{
    uint32_t at = c->offset == 0 ? SEGMENT_HEAD : 0;
    while (at < c->len) {
        const uint8_t *f = c->data + at;
        uint32_t stream = get_le32(f + 40);
        uint64_t next = get_le64(f + 48) + 1;
        if (stream && f[1] == RECORD_MESSAGE && next > j->partitions[stream - 1].durable_next)
            j->partitions[stream - 1].durable_next = next;
        at += (uint32_t)frame_bytes(get_le32(f + 44));
    }
}

/* Gives the written chunks back and moves the promise. `stop`: the first one that could not be written. */
static void settle(struct journal *j, struct chunk *stop, uint64_t written_seq, bool synced)
{
    journal_lock(j);
    while (j->writing != stop) {
        struct chunk *c = j->writing;
        j->writing = c->next;
        if (synced && stop)
            show_written(j, c);
        atomic_fetch_sub_explicit(&j->pending_bytes, c->len, memory_order_relaxed);
        append_recycle(j, c);
    }
    if (synced && written_seq > j->synced)
        j->synced = written_seq;
    if (synced && j->synced > atomic_load_explicit(&j->durable, memory_order_relaxed))
        atomic_store_explicit(&j->durable, j->synced, memory_order_release);
    if (synced && !j->writing)
        for (uint32_t i = 0; i < j->partition_count; i++)
            if (j->partitions[i].group_next > j->partitions[i].durable_next)
                j->partitions[i].durable_next = j->partitions[i].group_next;
    j->stuck = j->stuck || stop;
    journal_unlock(j);
}

bool commit_group(struct journal *j, bool force)
{
    if (atomic_load(&j->failed))
        return false;
    struct chunk *first = take_group(j), *c = first;
    if (!first && !(force && j->unsynced))
        return false;
    /* A seal alone is not worth a sync; it goes along with the next one. */
    journal_lock(j);
    bool sync = force || (!j->opt.no_sync && j->wanted > j->synced);
    uint64_t written = first ? 0 : j->group_seq;
    journal_unlock(j);
    for (int r; c; c = c->next) {
        if ((r = write_chunk(j, c)) < 0)
            return true;
        if (r == 0)
            break;
        written = c->last_seq;
    }
    if (c == first && first)
        return false; /* no room for any of it */
    if (sync && !sync_segments(j))
        return true;
    settle(j, c, written, sync);
    return true;
}

/* ---- the thread ---- */

/* Something in the buffer should be on disk now. */
static bool pressing(const struct journal *j)
{
    return atomic_load_explicit(&j->asked, memory_order_relaxed) ||
           atomic_load_explicit(&j->pending_bytes, memory_order_relaxed) > LATER_BYTES;
}

void journal_kick(struct journal *j)
{
    /* Many a client comes and goes without a record. A committer that sleeps for long must know of one that is to
     * be synced later. */
    if (!atomic_load_explicit(&j->pending_bytes, memory_order_relaxed) ||
        (!pressing(j) && !atomic_load_explicit(&j->long_sleep, memory_order_relaxed)))
        return;
    if (atomic_exchange(&j->kicked, true) || !j->has_committer)
        return;
    /* Whoever saw `kicked` unset under the lock sleeps by now. Signalled without it: he would wake only to wait for us. */
    FG_ASSERT(pthread_mutex_lock(&j->kick_lock) == 0);
    FG_ASSERT(pthread_mutex_unlock(&j->kick_lock) == 0);
    FG_ASSERT(pthread_cond_signal(&j->kick_cond) == 0);
}

/* True when woken, false when the time passed. Sleeping goes by the system's clock whatever the I/O table
 * says. */
static bool sleep_for(struct journal *j, int64_t us)
{
    int64_t until = io_system.monotonic_us(NULL) + us;
    struct timespec at = {.tv_sec = (time_t)(until / SECOND_US), .tv_nsec = (long)(until % SECOND_US) * 1000};
    bool in_time = true;
    FG_ASSERT(pthread_mutex_lock(&j->kick_lock) == 0);
    while (in_time && !atomic_load(&j->kicked) && !j->closing)
        in_time = pthread_cond_timedwait(&j->kick_cond, &j->kick_lock, &at) == 0;
    FG_ASSERT(pthread_mutex_unlock(&j->kick_lock) == 0);
    return atomic_exchange(&j->kicked, false);
}

static bool is_closing(struct journal *j)
{
    FG_ASSERT(pthread_mutex_lock(&j->kick_lock) == 0);
    bool closing = j->closing;
    FG_ASSERT(pthread_mutex_unlock(&j->kick_lock) == 0);
    return closing;
}

static void tell(struct journal *j)
{
    j->notify = false;
    if (j->opt.on_durable)
        j->opt.on_durable(j->opt.ctx, journal_durable(j));
}

static bool work(struct journal *j, bool idle)
{
    bool committed = (idle || j->writing || pressing(j)) && commit_group(j, false);
    if (committed || j->notify)
        tell(j);
    bool kept = upkeep_step(j, idle && !committed);
    if (j->notify)
        tell(j);
    return committed || kept;
}

/* Where a sync is dear and clients keep few messages open, a moment's wait makes one sync do for more of
 * them. */
static void wait_for_company(struct journal *j)
{
    int64_t until = io_system.monotonic_us(NULL) + j->opt.sync_wait_us;
    struct timespec at = {.tv_sec = (time_t)(until / SECOND_US), .tv_nsec = (long)(until % SECOND_US) * 1000};
    bool in_time = true;
    FG_ASSERT(pthread_mutex_lock(&j->kick_lock) == 0);
    while (in_time && !j->closing)
        in_time = pthread_cond_timedwait(&j->kick_cond, &j->kick_lock, &at) == 0;
    FG_ASSERT(pthread_mutex_unlock(&j->kick_lock) == 0);
}

static void *run(void *arg)
{
    struct journal *j = arg;
    while (!is_closing(j)) {
        journal_lock(j);
        bool unsealed = j->wanted > j->seal_seq;
        atomic_store_explicit(&j->long_sleep, !unsealed, memory_order_relaxed);
        journal_unlock(j);
        bool woken = sleep_for(j, unsealed ? JOURNAL_LATER_US : SECOND_US);
        do {
            if (woken && j->opt.sync_wait_us)
                wait_for_company(j);
        } while (!is_closing(j) && work(j, !woken));
    }
    return NULL;
}

bool commit_start(struct journal *j, struct fault *why)
{
    if (j->opt.manual)
        return true;
    j->has_committer = true;
    int r = pthread_create(&j->committer, NULL, run, j);
    if (r == 0)
        return true;
    j->has_committer = false;
    FAIL_SYS(why, CODE_NOMEM, r, "cannot start the committer's thread");
    return false;
}

void commit_stop(struct journal *j)
{
    if (!j->has_committer)
        return;
    FG_ASSERT(pthread_mutex_lock(&j->kick_lock) == 0);
    j->closing = true;
    FG_ASSERT(pthread_cond_signal(&j->kick_cond) == 0);
    FG_ASSERT(pthread_mutex_unlock(&j->kick_lock) == 0);
    FG_ASSERT(pthread_join(j->committer, NULL) == 0);
    j->has_committer = false;
}

bool journal_step(struct journal *j)
{
    FG_ASSERT(j->opt.manual);
    atomic_store(&j->kicked, false);
    return work(j, true);
}
