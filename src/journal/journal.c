/* journal.c - opening, closing, figures. */
#include "journal/journal_private.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static enum code check_options(const struct journal_options *o, struct fault *why)
{
    if (o->segment_bytes && (o->segment_bytes < SEGMENT_BYTES_MIN || o->segment_bytes > SEGMENT_BYTES_MAX))
        return FAIL(why, CODE_USAGE, 0, "a segment has from 64KiB to 1GiB, not %" PRIu64 " bytes",
                    o->segment_bytes);
    if (o->partitions > PARTITIONS_MAX)
        return FAIL(why, CODE_USAGE, 0, "there can be up to %u partitions, not %u", PARTITIONS_MAX,
                    o->partitions);
    return CODE_OK;
}

/* A journal without anything behind it; NULL: no memory. */
static struct journal *blank(const struct journal_options *o)
{
    struct journal *j = mem_zalloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->opt = *o;
    j->io = o->io;
    j->lock_file = -1;
    if (!j->opt.segment_bytes)
        j->opt.segment_bytes = SEGMENT_BYTES_DEFAULT;
    j->opt.segment_bytes &= ~(uint64_t)511;
    if (!j->opt.pending_bytes)
        j->opt.pending_bytes = PENDING_BYTES_DEFAULT;
    pthread_condattr_t monotonic;
    pthread_mutexattr_t adaptive;
    FG_ASSERT(pthread_mutexattr_init(&adaptive) == 0);
    FG_ASSERT(pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP) == 0);
    FG_ASSERT(pthread_mutex_init(&j->lock, &adaptive) == 0);
    FG_ASSERT(pthread_mutexattr_destroy(&adaptive) == 0);
    FG_ASSERT(pthread_mutex_init(&j->kick_lock, NULL) == 0);
    FG_ASSERT(pthread_condattr_init(&monotonic) == 0);
    FG_ASSERT(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    FG_ASSERT(pthread_cond_init(&j->kick_cond, &monotonic) == 0);
    FG_ASSERT(pthread_condattr_destroy(&monotonic) == 0);
    size_t n = strlen(o->data_dir);
    j->data_dir = mem_strndup(o->data_dir, n);
    j->dir = mem_alloc(n + sizeof "/journal");
    if (j->dir)
        (void)snprintf(j->dir, n + sizeof "/journal", "%s/journal", o->data_dir);
    return j;
}

static void free_chunks(struct chunk *c)
{
    while (c) {
        struct chunk *next = c->next;
        mem_free(c);
        c = next;
    }
}

/* Files are closed and everything is freed; nothing is written. */
static void discard(struct journal *j)
{
    free_chunks(j->pending);
    free_chunks(j->writing);
    free_chunks(j->spare);
    index_clear(j);
    idmap_clear(&j->damaged);
    while (j->segment_count) {
        struct segment *s = j->segments[j->segment_count - 1];
        handle_clear(s);
        s->pins = 0;
        segment_forget(j, s);
    }
    mem_free(j->segments);
    if (j->lock_file >= 0)
        j->io->close(j->io->self, j->lock_file);
    mem_free(j->partitions);
    mem_free(j->data_dir);
    mem_free(j->dir);
    (void)pthread_cond_destroy(&j->kick_cond);
    (void)pthread_mutex_destroy(&j->kick_lock);
    (void)pthread_mutex_destroy(&j->lock);
    mem_free(j);
}

static void is_segment(void *ctx, const char *name)
{
    bool *found = ctx;
    *found = *found || segment_number(name, "seg") != 0;
}

static enum code open_format(struct journal *j, struct fault *why)
{
    struct format f;
    enum code code = format_load(j->io, j->data_dir, &f, why);
    if (code == CODE_NOTFOUND) {
        bool has_segments = false;
        int r = j->io->list(j->io->self, j->dir, is_segment, &has_segments);
        if (r < 0)
            return FAIL_SYS(why, CODE_IO, -r, "cannot list %s", j->dir);
        if (has_segments)
            return FAIL(why, CODE_DAMAGED, 0, "%s/format.json is missing, but there are segments in %s",
                        j->data_dir, j->dir);
        code = format_create(j->io, j->data_dir, j->opt.partitions, &f, why);
    }
    if (code == CODE_OK && j->opt.partitions < f.partitions)
        return FAIL(why, CODE_USAGE, 0, "%s has %u partitions; their number may grow, not shrink to %u",
                    j->data_dir, f.partitions, j->opt.partitions);
    if (code == CODE_OK && j->opt.partitions > f.partitions)
        code = format_grow(j->io, j->data_dir, j->opt.partitions, &f, why);
    if (code != CODE_OK)
        return code;
    j->id = f.journal;
    j->partition_count = f.partitions;
    j->partitions = mem_zalloc(f.partitions, sizeof *j->partitions);
    return j->partitions ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for %u partitions", f.partitions);
}

static enum code open_steps(struct journal *j, struct fault *why)
{
    if (!j->data_dir || !j->dir)
        return FAIL(why, CODE_NOMEM, 0, "no memory to open the journal");
    enum code code = format_make_dirs(j->io, j->data_dir, why);
    if (code == CODE_OK)
        code = format_lock(j->io, j->data_dir, &j->lock_file, why);
    if (code == CODE_OK)
        code = open_format(j, why);
    if (code != CODE_OK)
        return code;
    journal_lock(j);
    code = recover_open(j, why);
    journal_unlock(j);
    if (code == CODE_OK && !verify_start(j, why))
        code = CODE_NOMEM;
    if (code == CODE_OK && !commit_start(j, why))
        code = CODE_NOMEM;
    return code;
}

enum code journal_open(struct journal **out, const struct journal_options *o, struct fault *why)
{
    enum code code = check_options(o, why);
    if (code != CODE_OK)
        return code;
    struct journal *j = blank(o);
    if (!j)
        return FAIL(why, CODE_NOMEM, 0, "no memory to open the journal");
    code = open_steps(j, why);
    if (code != CODE_OK) {
        verify_stop(j);
        discard(j);
        return code;
    }
    *out = j;
    return CODE_OK;
}

static void stop_threads(struct journal *j)
{
    commit_stop(j);
    verify_stop(j);
}

/* Sealed, synced, and the mark of an orderly stop. */
static void finish(struct journal *j)
{
    struct record_in seal = {.type = RECORD_SEAL, .partition = JOURNAL_NO_PARTITION};
    seal.wall_us = j->io->wall_us(j->io->self);
    journal_lock(j);
    bool sealed = j->seal_seq == j->appended && j->synced + 1 >= j->appended;
    /* A seal behind an unfinished batch would end it; so the batch is left to the next start, which drops it.
     * */
    if (!sealed && !j->batch_open && append_record(j, &seal, true, NULL, NULL) != CODE_OK)
        log_info(JOURNAL_AREA, "no room for the seal of an orderly stop");
    journal_unlock(j);
    while (commit_group(j, true))
        ;
    journal_lock(j);
    struct clean clean = {
        .last = {.seq = j->appended, .segment = j->active->number, .offset = j->active->end},
        .state = j->state};
    bool fine = !atomic_load(&j->failed) && j->synced == j->appended && !j->batch_open;
    journal_unlock(j);
    struct fault why;
    if (fine && clean_store(j->io, j->dir, j->id, &clean, &why) != CODE_OK)
        log_warn(JOURNAL_AREA, "%s; the next start reads more of the journal", why.text);
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    stop_threads(j);
    journal_lock(j);
    j->shut = true;
    journal_unlock(j);
    while (commit_group(j, true))
        ;
    if (!atomic_load(&j->failed)) {
        state_run(j);
        finish(j);
    }
    discard(j);
}

void journal_abandon(struct journal *j)
{
    stop_threads(j);
    discard(j);
}

/* ---- figures ---- */

uint64_t journal_appended(const struct journal *j)
{
    return j->urgent;
}

uint64_t journal_durable(const struct journal *j)
{
    return atomic_load_explicit(&j->durable, memory_order_acquire);
}

bool journal_failed(const struct journal *j)
{
    return atomic_load_explicit(&j->failed, memory_order_acquire);
}

bool journal_full(const struct journal *j)
{
    return atomic_load_explicit(&j->full, memory_order_acquire);
}

bool journal_busy(const struct journal *j)
{
    /* A journal that takes nothing more is not busy: whoever asks it is to be told, not to wait. */
    return atomic_load_explicit(&j->pending_bytes, memory_order_relaxed) > j->opt.pending_bytes &&
           !atomic_load(&j->failed) && !atomic_load(&j->full);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void journal_stats(struct journal *j, struct journal_stats *out)
{
    uint32_t samples[SYNC_SAMPLES];
    *out = (struct journal_stats){0};
    journal_lock(j);
    out->appended_seq = j->wanted;
    out->sync_us_max = j->sync_us_max;
    out->free_bytes = j->free_bytes;
    for (size_t i = 0; i < j->segment_count; i++) {
        out->segments += j->segments[i]->made;
        out->disk_bytes += j->segments[i]->made ? j->segments[i]->bytes : 0;
    }
    uint32_t count = j->sync_count < SYNC_SAMPLES ? j->sync_count : SYNC_SAMPLES;
    memcpy(samples, j->sync_us, count * sizeof *samples);
    journal_unlock(j);
    qsort(samples, count, sizeof *samples, by_size);
    out->sync_us_p50 = count ? samples[count / 2] : 0;
    out->durable_seq = journal_durable(j);
    out->syncs = atomic_load(&j->syncs);
    out->bytes_written = atomic_load(&j->bytes_written);
    out->damaged_frames = atomic_load(&j->damaged_frames);
    out->torn_frames = atomic_load(&j->torn_frames);
    out->moved_frames = atomic_load(&j->moved_frames);
    out->refused_full = atomic_load(&j->refused_full);
    out->failed = journal_failed(j);
    out->full = journal_full(j);
    out->verifying = atomic_load(&j->verifying);
}
