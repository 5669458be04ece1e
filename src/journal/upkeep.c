/* upkeep.c - what the committer does between commits, a small slice at a time: the next segment, free space,
 * index files, retention, rounds of state, compaction, deletion, and the seal when all is quiet. */
#include "journal/journal_private.h"

enum { SPARE_IDLE = 64 * 1024 };

static int64_t now_us(const struct journal *j)
{
    return j->io->monotonic_us(j->io->self);
}

/* ---- room ---- */

static uint64_t free_now(const struct journal *j)
{
    int64_t n = j->io->free_bytes(j->io->self, j->data_dir);
    return n < 0 ? UINT64_MAX : (uint64_t)n; /* not known: the attempt itself will tell */
}

/* Refused at the first record that found no room, or when others fill the disk; taken back when the next
 * segment could be made and the free space is above the reserve again. */
static void judge_room(struct journal *j)
{
    journal_lock(j);
    bool was = atomic_load(&j->full);
    bool full = j->low || (was && j->stuck);
    atomic_store(&j->full, full);
    uint64_t left = j->free_bytes;
    journal_unlock(j);
    if (full == was)
        return;
    j->notify = true;
    if (full)
        log_warn(JOURNAL_AREA,
                 "the disk is full (%" PRIu64
                 " bytes free in %s): new messages that must be stored are refused",
                 left, j->data_dir);
    else
        log_info(JOURNAL_AREA, "there is room on disk again (%" PRIu64 " bytes free in %s)", left,
                 j->data_dir);
}

static void measure(struct journal *j)
{
    int64_t now = now_us(j);
    if (j->measured_us && now - j->measured_us < SECOND_US)
        return;
    j->measured_us = now ? now : 1;
    uint64_t left = free_now(j);
    journal_lock(j);
    j->free_bytes = left;
    j->low = left < j->opt.disk_reserve;
    journal_unlock(j);
    judge_room(j);
}

static void set_stuck(struct journal *j, bool stuck)
{
    j->stuck_us = now_us(j);
    journal_lock(j);
    j->stuck = stuck;
    journal_unlock(j);
    judge_room(j);
}

void upkeep_room_came(struct journal *j)
{
    j->stuck_us = 0;
    j->measured_us = 0;
}

bool upkeep_make(struct journal *j, struct segment *s)
{
    journal_lock(j);
    bool stuck = j->stuck;
    journal_unlock(j);
    if (stuck && j->stuck_us && now_us(j) - j->stuck_us < SECOND_US)
        return false;
    struct fault why;
    enum code code = segment_make(j, s, &why);
    if (code != CODE_OK && !stuck)
        log_warn(JOURNAL_AREA, "the next segment cannot be made: %s", why.text);
    set_stuck(j, code != CODE_OK);
    return code == CODE_OK;
}

/* A segment ahead of the need, as long as that leaves the reserve; into the reserve only for the program's
 * own records, by which room is won back. */
static bool make_next(struct journal *j)
{
    journal_lock(j);
    uint64_t ready = 0, keep = append_reserve(j, CLAIM_MESSAGE), want = 1 + 2 * keep / j->opt.segment_bytes;
    struct segment *planned = NULL;
    for (size_t i = j->segment_count; i-- > 0 && j->segments[i] != j->active;) {
        if (j->segments[i]->made)
            ready++;
        else
            planned = j->segments[i];
    }
    bool scarce = append_room(j) < keep;
    bool stuck = j->stuck;
    journal_unlock(j);
    if (ready >= want) {
        if (stuck)
            set_stuck(j, false);
        return false;
    }
    if (stuck && j->stuck_us && now_us(j) - j->stuck_us < SECOND_US)
        return false;
    uint64_t left = free_now(j);
    bool fits = left >= j->opt.segment_bytes && left - j->opt.segment_bytes >= j->opt.disk_reserve;
    if (!fits && (!scarce || left < j->opt.segment_bytes)) {
        set_stuck(j, true);
        return false;
    }
    journal_lock(j);
    if (!planned) {
        uint64_t last = j->segments[j->segment_count - 1]->number;
        planned = segment_add(j, last + 1, (uint32_t)j->opt.segment_bytes);
        if (planned)
            planned->synced_floor = j->synced;
    }
    journal_unlock(j);
    if (!planned)
        return false;
    struct fault why;
    enum code code = segment_make(j, planned, &why);
    if (code != CODE_OK && !stuck)
        log_warn(JOURNAL_AREA, "the next segment cannot be made: %s", why.text);
    set_stuck(j, code != CODE_OK || !fits);
    return code == CODE_OK;
}

/* ---- index files ---- */

/* The first sealed and durable segment whose index is only in memory. Its spans no longer change. Memory
 * durability promises before it writes; an index never says more than its segment. */
static struct segment *without_index(struct journal *j)
{
    struct segment *found = NULL;
    journal_lock(j);
    bool later = false;
    for (size_t i = 0; i < j->segment_count && j->index_due && !found; i++) {
        struct segment *s = j->segments[i];
        if (!s->sealed || s->has_index || s->index_refused || s->released || !s->last_seq || !s->made)
            continue;
        if (s->last_seq <= atomic_load(&j->durable) && !append_pending(j, s))
            found = s;
        else
            later = true;
    }
    j->index_due = found || later;
    if (found)
        segment_pin_locked(found);
    journal_unlock(j);
    return found;
}

static bool store_index(struct journal *j)
{
    struct segment *s = without_index(j);
    if (!s)
        return false;
    struct fault why;
    bool stored = index_store(j, s, &why) == CODE_OK;
    journal_lock(j);
    s->has_index = stored;
    s->index_refused = !stored; /* the offsets stay in memory; after a restart the segment is read */
    if (stored) {
        for (uint32_t i = 0; i < s->span_count; i++) {
            mem_free(s->spans[i].offsets);
            s->spans[i].offsets = NULL;
            s->spans[i].cap = 0;
        }
    }
    journal_unlock(j);
    segment_unpin(j, s);
    return stored;
}

/* ---- the seal ---- */

/* So that after a crash a broken last group is told from one that was never synced. */
static bool seal(struct journal *j)
{
    journal_lock(j);
    bool due = !j->opt.no_sync && j->wanted > j->seal_seq && j->synced == j->appended && !j->pending &&
               !j->batch_open && !j->stuck && !j->low;
    if (due) {
        struct record_in in = {
            .type = RECORD_SEAL, .partition = JOURNAL_NO_PARTITION, .wall_us = j->io->wall_us(j->io->self)};
        due = append_record(j, &in, true, NULL, NULL) == CODE_OK;
    }
    journal_unlock(j);
    return due;
}

/* Write buffers are for a load that goes on. */
static void give_memory_back(struct journal *j)
{
    struct chunk *spare = NULL;
    journal_lock(j);
    if (j->spare_bytes > SPARE_IDLE) {
        spare = j->spare;
        j->spare = NULL;
        j->spare_bytes = 0;
        j->chunk_hint = 0;
    }
    journal_unlock(j);
    while (spare) {
        struct chunk *next = spare->next;
        mem_free(spare);
        spare = next;
    }
}

bool upkeep_step(struct journal *j, bool idle)
{
    if (atomic_load(&j->failed))
        return false;
    measure(j);
    bool did = make_next(j);
    did |= store_index(j);
    did |= clock_step(j);
    did |= retention_step(j);
    did |= state_step(j);
    did |= state_witness(j);
    did |= compact_step(j);
    if (idle && !did)
        did = seal(j);
    if (idle && !did && j->opt.manual)
        did = verify_step(j);
    if (idle && !did)
        give_memory_back(j);
    return did;
}
