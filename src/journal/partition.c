/* partition.c - what readers see of the partitions. Nothing here holds the lock while it reads. */
#include "journal/journal_private.h"

enum { SLICE = 256, READ_WINDOW = 64 * 1024 };

uint32_t journal_partitions(const struct journal *j)
{
    return j->partition_count;
}

void journal_partition_range(struct journal *j, uint32_t partition, uint64_t *first, uint64_t *next)
{
    FG_ASSERT(partition < j->partition_count);
    journal_lock(j);
    const struct partition *p = &j->partitions[partition];
    *next = p->durable_next;
    *first = p->first < p->durable_next ? p->first : p->durable_next;
    journal_unlock(j);
}

/* A run of records that lie in one segment. Pinned until run_end. */
struct run {
    struct segment *segment;
    uint64_t first; /* sequence of offsets[0]      */
    uint32_t count;
    uint32_t offsets[SLICE];
    uint64_t kept, end; /* of the partition, when that was looked up: what lies before `kept` was given up */
};

/* Offsets of up to SLICE records from `seq` on, from memory, or with the segment only (offsets later, from
 * disk). Locked. NULL segment: there is none before *end. */
static void find_run(struct journal *j, uint32_t partition, uint64_t seq, struct run *run, bool *from_disk)
{
    uint64_t end = j->partitions[partition].durable_next;
    *run = (struct run){.kept = j->partitions[partition].first, .end = end};
    *from_disk = false;
    for (size_t i = 0; i < j->segment_count && seq < end; i++) {
        struct segment *s = j->segments[i];
        const struct span *p = s->released ? NULL : index_span(s, partition);
        if (!p || p->count == 0 || p->first + p->count <= seq)
            continue;
        if (p->first >= end)
            return;
        run->segment = s;
        run->first = p->first > seq ? p->first : seq;
        uint64_t last = p->first + p->count < end ? p->first + p->count : end;
        run->count = (uint32_t)(last - run->first < SLICE ? last - run->first : SLICE);
        if (p->offsets)
            memcpy(run->offsets, p->offsets + (run->first - p->first), run->count * sizeof *run->offsets);
        else
            *from_disk = true;
        segment_pin_locked(s);
        return;
    }
}

static enum code next_run(struct journal *j, uint32_t partition, uint64_t seq, struct run *run,
                          struct fault *why)
{
    bool from_disk;
    journal_lock(j);
    find_run(j, partition, seq, run, &from_disk);
    uint64_t span_first = 0;
    if (run->segment)
        span_first = index_span(run->segment, partition)->first;
    journal_unlock(j);
    if (!run->segment || !from_disk)
        return CODE_OK;
    struct loaded *l;
    enum code code = index_offsets(j, run->segment, partition, &l, why);
    if (code != CODE_OK) {
        segment_unpin(j, run->segment);
        return code;
    }
    for (uint32_t i = 0; i < run->count; i++) {
        uint64_t at = run->first - span_first + i;
        run->offsets[i] = at < l->count ? l->offsets[at] : 0;
    }
    index_give_back(j, l);
    return CODE_OK;
}

/* ---- reading frames ---- */

struct window {
    struct journal *j;
    struct segment *segment;
    int file;
    uint8_t *buf;
    size_t cap, have;
    uint64_t from;
};

/* [at, at + n) of the segment: from the file, or what is not written yet from memory. NULL: *why tells. */
static const uint8_t *window_view(struct window *w, uint64_t at, size_t n, struct fault *why)
{
    if (at >= w->from && at + n <= w->from + w->have)
        return w->buf + (at - w->from);
    if (at + n > w->segment->size) {
        FAIL(why, CODE_DAMAGED, at, "the segment ends at %u", w->segment->size);
        return NULL;
    }
    size_t want = n > READ_WINDOW ? n : READ_WINDOW;
    if (want > w->segment->size - at)
        want = (size_t)(w->segment->size - at);
    if (want > w->cap) {
        uint8_t *fresh = mem_alloc(want);
        if (!fresh) {
            FAIL(why, CODE_NOMEM, at, "no memory to read %zu bytes", want);
            return NULL;
        }
        mem_free(w->buf);
        w->buf = fresh;
        w->cap = want;
    }
    w->from = at;
    w->have = 0;
    if (w->j->opt.no_sync) { /* durable, and perhaps still in the write buffer */
        journal_lock(w->j);
        bool peeked = append_peek(w->j, w->segment->number, (uint32_t)at, w->buf, n);
        if (append_pending(w->j, w->segment))
            want = n; /* what lies behind may be about to change */
        journal_unlock(w->j);
        if (peeked) {
            w->have = n;
            return w->buf;
        }
    }
    /* What is not in memory is written, so the file is there. */
    if (w->file < 0 && segment_open_pinned(w->j, w->segment, &w->file, why) != CODE_OK) {
        w->file = -1;
        return NULL;
    }
    int64_t got = io_read_all(w->j->io, w->file, w->buf, want, at);
    if (got < 0 && want > n) /* of what was read ahead nothing is needed yet */
        got = io_read_all(w->j->io, w->file, w->buf, n, at);
    if (got < 0) {
        fault_sys(why, CODE_IO, 7005, (int)-got, FG_HERE, "cannot read segment %" PRIx64 " at %" PRIu64,
                  w->segment->number, at);
        return NULL;
    }
    if ((size_t)got < n) {
        FAIL(why, CODE_DAMAGED, at, "the file ends before");
        return NULL;
    }
    w->have = (size_t)got;
    return w->buf;
}

/* The record at `offset`; CODE_DAMAGED when it is not what the index says, CODE_IO when nobody knows, because
 * the disk could not be read. `body` false: header only. */
static enum code read_record(struct window *w, uint32_t partition, uint64_t seq, uint32_t offset, bool body,
                             struct record *out, struct fault *why)
{
    struct fault own;
    why = why ? why : &own;
    struct frame f;
    const uint8_t *at = offset ? window_view(w, offset, JOURNAL_FRAME_HEAD, why) : NULL;
    if (offset && !at)
        return why->code;
    if (!offset || !frame_decode(&f, at, w->j->id, w->segment->number, offset) || f.stream != partition + 1 ||
        f.stream_seq != seq || f.type != RECORD_MESSAGE)
        return FAIL(why, CODE_DAMAGED, offset, "no such frame");
    *out = (struct record){.type = f.type,
                           .flags = f.flags,
                           .seq = f.seq,
                           .wall_us = f.wall_us,
                           .partition = partition,
                           .partition_seq = seq,
                           .segment = w->segment->number,
                           .segment_offset = offset};
    if (!body)
        return CODE_OK;
    at = window_view(w, offset, (size_t)frame_bytes(f.body_len), why);
    if (!at)
        return why->code;
    at += JOURNAL_FRAME_HEAD;
    if (!frame_body_holds(&f, at))
        return FAIL(why, CODE_DAMAGED, offset, "the body's checksum does not hold");
    out->meta = bytes_of(at, f.meta_len);
    out->payload = bytes_of(at + f.meta_len, f.body_len - f.meta_len);
    return CODE_OK;
}

/* Offset 0: it was missing when the index was made. Who reads the whole segment, at the start or soon after,
 * counts it. */
static void tell_damage(struct journal *j, const struct segment *s, uint32_t partition, uint64_t seq,
                        uint32_t offset, const char *what)
{
    if (offset == 0 || !damage_note(j, s->number, offset))
        return;
    char name[SEGMENT_NAME];
    segment_name(s->number, "seg", name);
    log_error(JOURNAL_AREA, "record %" PRIu64 " of partition %u is damaged: %s/%s at %u: %s", seq, partition,
              j->dir, name, offset, what);
}

/* ---- the two readers ---- */

struct reading {
    struct journal *j;
    uint32_t partition;
    uint64_t seq; /* the next one to hand out */
    size_t left;  /* bytes                    */
    bool stop;
    bool told; /* each() was called */
    bool (*each)(void *, const struct record *);
    void *ctx;
};

/* The records from r->seq up to `to` are not there. */
static void skip_missing(struct reading *r, uint64_t to)
{
    struct record gone = {.partition = r->partition, .partition_seq = r->seq};
    r->stop = !r->each(r->ctx, &gone);
    r->told = true;
    r->seq = to;
    r->left -= r->left < JOURNAL_FRAME_HEAD ? r->left : JOURNAL_FRAME_HEAD;
}

/* Up to `to`, where the next record is: what retention gave up was not lost. */
static void skip_to(struct reading *r, const struct run *run, uint64_t to)
{
    if (r->seq < run->kept)
        r->seq = run->kept < to ? run->kept : to;
    if (r->seq < to)
        skip_missing(r, to);
}

static enum code read_run(struct reading *r, const struct run *run, struct window *w, struct fault *why)
{
    skip_to(r, run, run->first);
    for (uint32_t i = 0; i < run->count && r->left && !r->stop; i++) {
        struct record record;
        struct fault what;
        enum code code = read_record(w, r->partition, run->first + i, run->offsets[i], true, &record, &what);
        if (code == CODE_NOMEM || code == CODE_IO) {
            if (why)
                *why = what;
            return code;
        }
        if (code != CODE_OK) {
            tell_damage(r->j, run->segment, r->partition, run->first + i, run->offsets[i], what.text);
            skip_missing(r, run->first + i + 1);
            continue;
        }
        r->stop = !r->each(r->ctx, &record);
        r->told = true;
        r->seq = run->first + i + 1;
        uint64_t took = frame_bytes((uint32_t)(record.meta.len + record.payload.len));
        r->left -= r->left < took ? r->left : (size_t)took;
    }
    return CODE_OK;
}

static void point_window(struct window *w, struct journal *j, struct segment *s)
{
    w->j = j;
    w->have = 0;
    w->segment = s;
    w->file = -1;
}

enum code journal_partition_read(struct journal *j, uint32_t partition, uint64_t seq, size_t max_bytes,
                                 bool (*each)(void *ctx, const struct record *), void *ctx,
                                 uint64_t *next_seq, struct fault *why)
{
    uint64_t first, end;
    journal_partition_range(j, partition, &first, &end);
    struct reading r = {.j = j,
                        .partition = partition,
                        .seq = seq > first ? seq : first,
                        .left = max_bytes ? max_bytes : 1,
                        .each = each,
                        .ctx = ctx};
    struct window w = {0};
    enum code code = CODE_OK;
    while (code == CODE_OK && r.left && !r.stop && r.seq < end) {
        struct run run;
        code = next_run(j, partition, r.seq, &run, why);
        if (code != CODE_OK)
            break;
        if (!run.segment) { /* the last ones are missing, or retention was quicker */
            end = run.end;
            skip_to(&r, &run, end);
            continue;
        }
        point_window(&w, j, run.segment);
        code = read_run(&r, &run, &w, why);
        segment_unpin(j, run.segment);
    }
    mem_free(w.buf);
    *next_seq = r.seq;
    /* What was handed out counts; the next call says why there is no more, or reads it after all. */
    return r.told && (code == CODE_IO || code == CODE_NOMEM) ? CODE_OK : code;
}

/* The first segment behind number `behind`, in order of sequence, that has a time not before wall_us. Pinned.
 * */
static struct segment *find_segment(struct journal *j, uint32_t partition, int64_t wall_us, uint64_t behind,
                                    struct span *span)
{
    struct segment *found = NULL;
    journal_lock(j);
    for (size_t i = 0; i < j->segment_count && !found; i++) {
        struct segment *s = j->segments[i];
        const struct span *p = s->released || s->number <= behind ? NULL : index_span(s, partition);
        if (!p || p->count == 0 || p->max_us < wall_us)
            continue;
        found = s;
        *span = *p;
        segment_pin_locked(s);
    }
    journal_unlock(j);
    return found;
}

/* In a span whose times never go back: the first sequence whose record is not before wall_us, by halving.
 * Damaged records say nothing; the search steps over them. */
static enum code find_in_span(struct journal *j, uint32_t partition, struct segment *s,
                              const struct span *span, int64_t wall_us, uint64_t *seq, struct fault *why)
{
    struct run run;
    struct window w = {.j = j, .segment = s, .file = -1};
    enum code code = CODE_OK;
    uint64_t from = span->first, to = span->first + span->count;
    while (code == CODE_OK && span->sorted && to - from > SLICE) {
        uint64_t mid = from + (to - from) / 2;
        code = next_run(j, partition, mid, &run, why);
        if (code != CODE_OK)
            break;
        bool known = false, before = false;
        for (uint32_t i = 0; run.segment == s && i < run.count && run.first + i < to && !known; i++) {
            struct record record;
            w.have = 0; /* a header is all that is wanted */
            code = read_record(&w, partition, run.first + i, run.offsets[i], false, &record, why);
            if (code == CODE_NOMEM || code == CODE_IO)
                break;
            if (code != CODE_OK) {
                code = CODE_OK; /* damaged: it says nothing */
                continue;
            }
            known = true;
            before = record.wall_us < wall_us;
        }
        if (run.segment)
            segment_unpin(j, run.segment);
        if (code != CODE_OK)
            break;
        if (known && before)
            from = mid;
        else
            to = mid;
    }
    *seq = UINT64_MAX;
    for (uint64_t at = from; code == CODE_OK && at < span->first + span->count;) {
        code = next_run(j, partition, at, &run, why);
        if (code != CODE_OK)
            break;
        bool here = run.segment == s, found = false;
        for (uint32_t i = 0; here && i < run.count && !found; i++) {
            struct record record;
            code = read_record(&w, partition, run.first + i, run.offsets[i], false, &record, why);
            if (code == CODE_NOMEM || code == CODE_IO)
                break;
            if (code == CODE_OK && record.wall_us >= wall_us) {
                *seq = run.first + i;
                found = true;
            }
            code = CODE_OK;
        }
        at = run.first + run.count;
        if (run.segment)
            segment_unpin(j, run.segment);
        if (found || !here)
            break;
    }
    mem_free(w.buf);
    return code;
}

enum code journal_partition_find_time(struct journal *j, uint32_t partition, int64_t wall_us, uint64_t *seq,
                                      struct fault *why)
{
    uint64_t first, next;
    journal_partition_range(j, partition, &first, &next);
    *seq = next;
    enum code code = CODE_OK;
    for (uint64_t behind = 0, found = UINT64_MAX; code == CODE_OK && found == UINT64_MAX;) {
        struct span span;
        struct segment *s = find_segment(j, partition, wall_us, behind, &span);
        if (!s)
            break;
        behind = s->number;
        code = find_in_span(j, partition, s, &span, wall_us, &found, why);
        if (code == CODE_OK && found < next) /* UINT64_MAX: the record with that time is damaged */
            *seq = found;
        segment_unpin(j, s);
    }
    return code;
}

uint64_t journal_partition_find_before(struct journal *j, uint32_t partition, uint64_t seq, int64_t wall_us)
{
    journal_lock(j);
    uint64_t next = j->partitions[partition].durable_next, found = next;
    for (size_t i = 0; i < j->segment_count && found == next; i++) {
        const struct segment *s = j->segments[i];
        const struct span *p = s->released ? NULL : index_span(s, partition);
        if (!p || p->first + p->count <= seq + 1 || p->min_us >= wall_us)
            continue;
        if (p->first > seq)
            found = p->first;
        else if (!p->sorted) /* else what is behind it there is not before it */
            found = seq + 1;
    }
    journal_unlock(j);
    return found < next ? found : next;
}
