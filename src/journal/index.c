/* index.c - where the records of a partition lie in a segment: in memory while the segment grows, in its .idx
 * file afterwards. No promise depends on that file: it has checksums, and is made again from the segment when
 * it is missing or wrong.
 *
 * .idx, little-endian:
 *    0 u8[8] "FGINDX1\n" · 8 u64 journal id · 16 u64 segment number · 24 u64 first, 32 u64 last sequence
 *   40 u64 bytes of partition records · 48 u32 end of the frames · 52 u32 spans · 56 u32 zero
 *   60 u32 CRC-32C of bytes 0..59 and the table of spans
 *   64 table: per span, ordered by partition, 48 bytes:
 *       u32 partition · u32 count · u64 first · i64 min · i64 max time · u32 sorted · u32 offset of the offsets
 *       u32 CRC-32C of the offsets · u32 zero
 *      then u32 offsets
 */
#include "journal/journal_private.h"

#include "base/crc32c.h"
#include "base/wire.h"

#include <errno.h>
#include <stdio.h>

enum { INDEX_HEAD = 64, INDEX_SPAN = 48, LOADED_BYTES_MAX = 512 * 1024 };
static const uint8_t magic[8] = {'F', 'G', 'I', 'N', 'D', 'X', '1', '\n'};

/* ---- in memory ---- */

static uint32_t span_at(const struct segment *s, uint32_t partition)
{
    uint32_t from = 0, to = s->span_count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (s->spans[mid].partition < partition)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

struct span *index_span(const struct segment *s, uint32_t partition)
{
    uint32_t i = span_at(s, partition);
    return i < s->span_count && s->spans[i].partition == partition ? &s->spans[i] : NULL;
}

static struct span *span_add(struct segment *s, uint32_t partition)
{
    if (s->span_count == s->span_cap) {
        uint32_t cap = s->span_cap ? s->span_cap * 2 : 4;
        struct span *more = mem_realloc(s->spans, cap * sizeof *more);
        if (!more)
            return NULL;
        s->spans = more;
        s->span_cap = cap;
    }
    uint32_t i = span_at(s, partition);
    memmove(s->spans + i + 1, s->spans + i, (s->span_count - i) * sizeof *s->spans);
    s->spans[i] = (struct span){.partition = partition, .sorted = true};
    s->span_count++;
    return &s->spans[i];
}

enum code index_reserve(struct segment *s, uint32_t partition, uint64_t seq, struct fault *why)
{
    struct span *p = index_span(s, partition);
    if (!p)
        p = span_add(s, partition);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the index of a segment");
    /* A gap stands for damaged records; a segment cannot hold more of them than headers. */
    uint64_t count = p->count ? seq - p->first + 1 : 1;
    if (p->count && (seq < p->first + p->count || count > s->bytes / JOURNAL_FRAME_HEAD))
        return FAIL(why, CODE_DAMAGED, 0,
                    "partition %u goes from sequence %" PRIu64 " to %" PRIu64 " in segment %" PRIx64,
                    partition, p->first + p->count - 1, seq, s->number);
    if (count <= p->cap)
        return CODE_OK;
    uint64_t cap = p->cap ? p->cap + p->cap / 2 : 16;
    if (cap < count)
        cap = count;
    uint32_t *more = mem_realloc(p->offsets, cap * sizeof *more);
    if (!more)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the index of a segment");
    p->offsets = more;
    p->cap = (uint32_t)cap;
    return CODE_OK;
}

void index_add(struct segment *s, uint32_t partition, uint64_t seq, uint32_t offset, int64_t wall_us)
{
    struct span *p = index_span(s, partition);
    FG_ASSERT(p);
    if (p->count == 0) {
        p->first = seq;
        p->min_us = p->max_us = wall_us;
    }
    while (p->first + p->count < seq)
        p->offsets[p->count++] = 0;
    FG_ASSERT(p->count < p->cap && p->first + p->count == seq);
    p->offsets[p->count++] = offset;
    p->sorted = p->sorted && wall_us >= p->max_us;
    p->min_us = wall_us < p->min_us ? wall_us : p->min_us;
    p->max_us = wall_us > p->max_us ? wall_us : p->max_us;
}

void index_drop(struct segment *s)
{
    for (uint32_t i = 0; i < s->span_count; i++)
        mem_free(s->spans[i].offsets);
    mem_free(s->spans);
    s->spans = NULL;
    s->span_count = s->span_cap = 0;
}

/* ---- the file ---- */

static bool encode(const struct journal *j, const struct segment *s, struct buf *out)
{
    buf_add(out, magic, sizeof magic);
    buf_le64(out, j->id);
    buf_le64(out, s->number);
    buf_le64(out, s->first_seq);
    buf_le64(out, s->last_seq);
    buf_le64(out, s->partition_bytes);
    buf_le32(out, s->end);
    buf_le32(out, s->span_count);
    buf_le32(out, 0);
    buf_le32(out, 0);
    size_t at = INDEX_HEAD + (size_t)s->span_count * INDEX_SPAN;
    for (uint32_t i = 0; i < s->span_count; i++) {
        const struct span *p = &s->spans[i];
        buf_le32(out, p->partition);
        buf_le32(out, p->count);
        buf_le64(out, p->first);
        buf_le64(out, (uint64_t)p->min_us);
        buf_le64(out, (uint64_t)p->max_us);
        buf_le32(out, p->sorted);
        buf_le32(out, (uint32_t)at);
        buf_le64(out, 0);
        at += (size_t)p->count * 4;
    }
    for (uint32_t i = 0; i < s->span_count; i++) {
        const struct span *p = &s->spans[i];
        size_t from = out->len;
        for (uint32_t k = 0; k < p->count; k++)
            buf_le32(out, p->offsets[k]);
        if (!out->bad)
            put_le32(out->at + INDEX_HEAD + i * INDEX_SPAN + 40, crc32c(0, out->at + from, out->len - from));
    }
    if (out->bad)
        return false;
    uint32_t crc = crc32c(0, out->at, INDEX_HEAD - 4);
    put_le32(out->at + INDEX_HEAD - 4, crc32c(crc, out->at + INDEX_HEAD, (size_t)s->span_count * INDEX_SPAN));
    return true;
}

enum code index_store(struct journal *j, struct segment *s, struct fault *why)
{
    struct buf out = {0};
    if (!encode(j, s, &out)) {
        buf_clear(&out);
        return FAIL(why, CODE_NOMEM, 0, "no memory to write the index of segment %" PRIx64, s->number);
    }
    char name[SEGMENT_NAME], path[PATH_MAX_OWN], temp[PATH_MAX_OWN + 4];
    segment_name(s->number, "idx", name);
    journal_path(j, path, name);
    (void)snprintf(temp, sizeof temp, "%s.tmp", path);
    const struct io *io = j->io;
    int file = io->open(io->self, temp, IO_READ | IO_WRITE | IO_CREATE);
    int r = file < 0 ? file : io->truncate(io->self, file, 0);
    if (r == 0)
        r = io_write_all(io, file, out.at, out.len, 0);
    if (file >= 0)
        io->close(io->self, file);
    /* Not synced: after a power cut an old, new, short or empty file is told by its checksums and made again.
     * */
    if (r == 0)
        r = io->rename(io->self, temp, path);
    else if (file >= 0)
        (void)io->unlink(io->self, temp);
    buf_clear(&out);
    return r < 0 ? FAIL_SYS(why, r == -ENOSPC || r == -EDQUOT ? CODE_FULL : CODE_IO, -r, "cannot write %s",
                            path)
                 : CODE_OK;
}

/* Head and table of an open .idx, checked. */
static enum code read_table(const struct io *io, int file, const char *path, uint64_t journal,
                            uint64_t number, uint8_t head[INDEX_HEAD], uint8_t **table, struct fault *why)
{
    int64_t n = io_read_all(io, file, head, INDEX_HEAD, 0);
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read %s", path);
    if (n < INDEX_HEAD || memcmp(head, magic, sizeof magic) != 0 || get_le64(head + 8) != journal ||
        get_le64(head + 16) != number)
        return FAIL(why, CODE_DAMAGED, 0, "%s does not begin as the index of its segment", path);
    uint32_t spans = get_le32(head + 52);
    if (spans > PARTITIONS_MAX)
        return FAIL(why, CODE_DAMAGED, 52, "%s names %u partitions", path, spans);
    size_t bytes = (size_t)spans * INDEX_SPAN;
    *table = mem_alloc(bytes);
    if (!*table)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read %s", path);
    n = io_read_all(io, file, *table, bytes, INDEX_HEAD);
    if (n == (int64_t)bytes &&
        get_le32(head + INDEX_HEAD - 4) == crc32c(crc32c(0, head, INDEX_HEAD - 4), *table, bytes))
        return CODE_OK;
    mem_free(*table);
    *table = NULL;
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read %s", path);
    return FAIL(why, CODE_DAMAGED, INDEX_HEAD, "the checksum of %s does not hold", path);
}

static void take_row(const uint8_t *row, struct span *p)
{
    *p = (struct span){
        .partition = get_le32(row),
        .count = get_le32(row + 4),
        .first = get_le64(row + 8),
        .min_us = (int64_t)get_le64(row + 16),
        .max_us = (int64_t)get_le64(row + 24),
        .sorted = get_le32(row + 32) != 0,
    };
}

static int index_open(const struct journal *j, uint64_t number, char path[PATH_MAX_OWN])
{
    char name[SEGMENT_NAME];
    segment_name(number, "idx", name);
    return j->io->open(j->io->self, journal_path(j, path, name), IO_READ);
}

enum code index_load(struct journal *j, struct segment *s, struct fault *why)
{
    char path[PATH_MAX_OWN];
    int file = index_open(j, s->number, path);
    if (file < 0)
        return FAIL_SYS(why, file == -ENOENT ? CODE_NOTFOUND : CODE_IO, -file, "cannot open %s", path);
    uint8_t head[INDEX_HEAD], *table = NULL;
    enum code code = read_table(j->io, file, path, j->id, s->number, head, &table, why);
    j->io->close(j->io->self, file);
    if (code != CODE_OK)
        return code;
    uint32_t count = get_le32(head + 52);
    struct span *spans = mem_alloc(count * sizeof *spans);
    if (!spans) {
        mem_free(table);
        return FAIL(why, CODE_NOMEM, 0, "no memory to read %s", path);
    }
    bool fits = true;
    for (uint32_t i = 0; i < count; i++) {
        take_row(table + i * INDEX_SPAN, &spans[i]);
        fits = fits && spans[i].count <= s->bytes / JOURNAL_FRAME_HEAD;
    }
    mem_free(table);
    if (!fits) {
        mem_free(spans);
        return FAIL(why, CODE_DAMAGED, INDEX_HEAD, "%s counts more records than a segment holds", path);
    }
    index_drop(s);
    s->spans = spans;
    s->span_count = s->span_cap = count;
    s->first_seq = get_le64(head + 24);
    s->last_seq = get_le64(head + 32);
    s->partition_bytes = get_le64(head + 40);
    s->end = get_le32(head + 48);
    s->has_index = true;
    return CODE_OK;
}

bool index_same(const struct segment *a, const struct segment *b)
{
    if (a->first_seq != b->first_seq || a->last_seq != b->last_seq || a->span_count != b->span_count ||
        a->partition_bytes != b->partition_bytes || a->end != b->end)
        return false;
    for (uint32_t i = 0; i < a->span_count; i++) {
        const struct span *x = &a->spans[i], *y = &b->spans[i];
        if (x->partition != y->partition || x->first != y->first || x->count != y->count ||
            x->max_us != y->max_us || x->min_us != y->min_us || x->sorted != y->sorted)
            return false;
        if (x->offsets && y->offsets && memcmp(x->offsets, y->offsets, x->count * sizeof *x->offsets) != 0)
            return false;
    }
    return true;
}

/* ---- offsets on demand ---- */

void index_give_back(struct journal *j, struct loaded *l)
{
    journal_lock(j);
    FG_ASSERT(l->refs > 0);
    bool last = --l->refs == 0;
    journal_unlock(j);
    if (last)
        mem_free(l);
}

static size_t loaded_size(const struct loaded *l)
{
    return sizeof *l + (size_t)l->count * 4;
}

/* Takes *at out of the cache. */
static void unload(struct journal *j, struct loaded **at)
{
    struct loaded *l = *at;
    *at = l->next;
    j->loaded_bytes -= loaded_size(l);
    if (--l->refs == 0)
        mem_free(l);
}

void index_forget(struct journal *j, uint64_t segment)
{
    for (struct loaded **at = &j->loaded; *at;) {
        if ((*at)->segment == segment)
            unload(j, at);
        else
            at = &(*at)->next;
    }
}

void index_clear(struct journal *j)
{
    while (j->loaded)
        unload(j, &j->loaded);
}

static struct loaded *cached(struct journal *j, uint64_t segment, uint32_t partition)
{
    for (struct loaded **at = &j->loaded; *at; at = &(*at)->next) {
        struct loaded *l = *at;
        if (l->segment == segment && l->partition == partition) {
            *at = l->next;
            l->next = j->loaded;
            j->loaded = l;
            l->refs++;
            return l;
        }
    }
    return NULL;
}

/* Into the cache, with one reference for it; the least recently used ones make room. */
static void remember(struct journal *j, struct loaded *l)
{
    l->refs++;
    l->next = j->loaded;
    j->loaded = l;
    j->loaded_bytes += loaded_size(l);
    while (j->loaded_bytes > LOADED_BYTES_MAX && j->loaded->next) {
        struct loaded **last = &j->loaded;
        while ((*last)->next)
            last = &(*last)->next;
        unload(j, last);
    }
}

static struct loaded *loaded_new(uint64_t segment, uint32_t partition, uint32_t count)
{
    struct loaded *l = mem_alloc(sizeof *l + (size_t)count * 4);
    if (l)
        *l = (struct loaded){.segment = segment, .partition = partition, .count = count, .refs = 1};
    return l;
}

/* One partition's, from an open file; checked. NULL: not usable, or *no_memory. */
static struct loaded *read_offsets(struct journal *j, int file, const uint8_t *row, uint64_t segment,
                                   bool *no_memory)
{
    struct span have;
    take_row(row, &have);
    struct loaded *l = loaded_new(segment, have.partition, have.count);
    *no_memory = l == NULL;
    if (!l)
        return NULL;
    size_t bytes = (size_t)have.count * 4;
    int64_t n = io_read_all(j->io, file, l->offsets, bytes, get_le32(row + 36));
    if (n != (int64_t)bytes || crc32c(0, l->offsets, bytes) != get_le32(row + 40)) {
        mem_free(l);
        return NULL;
    }
    for (uint32_t k = 0; k < have.count; k++)
        l->offsets[k] = get_le32((uint8_t *)&l->offsets[k]);
    return l;
}

/* From the .idx file. NULL with CODE_OK: it is not usable. */
static enum code load_offsets(struct journal *j, const struct segment *s, const struct span *want,
                              struct loaded **out, struct fault *why)
{
    *out = NULL;
    char path[PATH_MAX_OWN];
    int file = index_open(j, s->number, path);
    if (file < 0)
        return CODE_OK;
    uint8_t head[INDEX_HEAD], *table = NULL;
    enum code code = read_table(j->io, file, path, j->id, s->number, head, &table, why);
    struct loaded *l = NULL;
    for (uint32_t i = 0; code == CODE_OK && i < get_le32(head + 52); i++) {
        const uint8_t *row = table + i * INDEX_SPAN;
        struct span have;
        take_row(row, &have);
        if (have.partition != want->partition || have.first != want->first || have.count != want->count)
            continue;
        bool no_memory;
        l = read_offsets(j, file, row, s->number, &no_memory);
        if (no_memory)
            code = FAIL(why, CODE_NOMEM, 0, "no memory for the index of segment %" PRIx64, s->number);
        break;
    }
    mem_free(table);
    j->io->close(j->io->self, file);
    *out = l;
    return code == CODE_NOMEM ? code : CODE_OK;
}

static enum code scan_into(struct journal *j, struct segment *s, int file, uint64_t size,
                           struct segment *into, struct fault *why)
{
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "seg", name);
    struct scan scan;
    scan_init(&scan, j->io, file, journal_path(j, path, name), j->id, s->number, size);
    enum code code = CODE_OK;
    for (;;) {
        struct scan_item item;
        code = scan_next(&scan, &item, why);
        if (code != CODE_OK || item.kind == SCAN_END)
            break;
        if (item.kind == SCAN_GARBAGE)
            continue;
        if (into->first_seq == 0)
            into->first_seq = item.frame.seq;
        into->last_seq = item.frame.seq;
        into->end = (uint32_t)item.to;
        if (item.kind == SCAN_BAD_BODY || item.frame.stream == 0 || item.frame.type != RECORD_MESSAGE)
            continue;
        uint32_t partition = item.frame.stream - 1;
        code = index_reserve(into, partition, item.frame.stream_seq, why);
        if (code == CODE_DAMAGED) /* a sequence out of order: not findable, the rest is */
            continue;
        if (code != CODE_OK)
            break;
        index_add(into, partition, item.frame.stream_seq, (uint32_t)item.from, item.frame.wall_us);
        into->partition_bytes += item.to - item.from;
    }
    scan_clear(&scan);
    return code;
}

enum code index_rebuild(struct journal *j, struct segment *s, struct fault *why)
{
    int file;
    journal_lock(j);
    segment_pin_locked(s);
    journal_unlock(j);
    enum code code = segment_open_pinned(j, s, &file, why);
    struct segment fresh = {.number = s->number, .bytes = s->bytes, .end = SEGMENT_HEAD};
    if (code == CODE_OK)
        code = scan_into(j, s, file, s->size, &fresh, why);
    segment_unpin(j, s);
    if (code != CODE_OK) {
        index_drop(&fresh);
        return code;
    }
    index_drop(s);
    s->spans = fresh.spans;
    s->span_count = fresh.span_count;
    s->span_cap = fresh.span_cap;
    s->first_seq = fresh.first_seq;
    s->last_seq = fresh.last_seq;
    s->end = fresh.end;
    s->partition_bytes = fresh.partition_bytes;
    return CODE_OK;
}

/* The .idx file is gone or wrong: the segment itself is the truth. */
static enum code scan_offsets(struct journal *j, struct segment *s, const struct span *want,
                              struct loaded **out, struct fault *why)
{
    int file;
    enum code code = segment_open_pinned(j, s, &file, why);
    struct segment fresh = {.number = s->number, .bytes = s->bytes, .end = SEGMENT_HEAD};
    if (code == CODE_OK)
        code = scan_into(j, s, file, s->size, &fresh, why);
    struct loaded *l = code == CODE_OK ? loaded_new(s->number, want->partition, want->count) : NULL;
    if (code == CODE_OK && !l)
        code = FAIL(why, CODE_NOMEM, 0, "no memory for the index of segment %" PRIx64, s->number);
    if (l) {
        const struct span *have = index_span(&fresh, want->partition);
        for (uint32_t i = 0; i < want->count; i++) {
            uint64_t seq = want->first + i;
            bool known = have && seq >= have->first && seq < have->first + have->count;
            l->offsets[i] = known ? have->offsets[seq - have->first] : 0;
        }
    }
    /* So that the next reader need not do the same. */
    if (code == CODE_OK && !atomic_exchange(&j->index_busy, true)) {
        if (index_store(j, &fresh, why) != CODE_OK)
            log_debug(JOURNAL_AREA, "the index of segment %" PRIx64 " cannot be written", s->number);
        atomic_store(&j->index_busy, false);
    }
    index_drop(&fresh);
    *out = l;
    return code;
}

enum code index_offsets(struct journal *j, struct segment *s, uint32_t partition, struct loaded **out,
                        struct fault *why)
{
    journal_lock(j);
    struct loaded *l = cached(j, s->number, partition);
    struct span *p = index_span(s, partition);
    struct span want = p ? *p : (struct span){0};
    journal_unlock(j);
    if (l) {
        *out = l;
        return CODE_OK;
    }
    if (!p)
        return FAIL(why, CODE_NOTFOUND, 0, "segment %" PRIx64 " holds no record of partition %u", s->number,
                    partition);
    enum code code = load_offsets(j, s, &want, &l, why);
    if (code == CODE_OK && !l) {
        log_warn(JOURNAL_AREA,
                 "the index of segment %" PRIx64 " is missing or damaged, reading the segment instead",
                 s->number);
        code = scan_offsets(j, s, &want, &l, why);
    }
    if (code != CODE_OK)
        return code;
    journal_lock(j);
    remember(j, l);
    journal_unlock(j);
    *out = l;
    return CODE_OK;
}

enum code index_load_whole(struct journal *j, struct segment *s, struct fault *why)
{
    enum code code = index_load(j, s, why);
    for (uint32_t i = 0; i < s->span_count && code == CODE_OK; i++) {
        struct span *p = &s->spans[i];
        struct loaded *l;
        code = load_offsets(j, s, p, &l, why);
        if (code == CODE_OK && !l)
            code = FAIL(why, CODE_DAMAGED, 0, "the offsets of partition %u do not hold their checksum",
                        p->partition);
        if (code != CODE_OK)
            break;
        p->offsets = mem_alloc(p->count * sizeof *p->offsets);
        if (p->offsets)
            memcpy(p->offsets, l->offsets, p->count * sizeof *p->offsets);
        else
            code = FAIL(why, CODE_NOMEM, 0, "no memory for an index");
        mem_free(l);
    }
    return code;
}
