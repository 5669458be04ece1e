#include "journal/journal_private.h"

#include "base/wire.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

/* Frames missing between two that are there, or bytes that are no frame: judged when all was read, because a
 * later frame may say that they were durable. */
struct doubt {
    uint64_t segment, offset;
    uint64_t missing; /* first missing sequence, 0 = none is known to be */
    uint64_t count;
    const char *what;
};

/* Records of a partition that are not there between two that are. */
struct lack {
    uint32_t partition;
    uint64_t from, to, segment, offset;
};

struct check {
    struct journal j; /* only what files and indexes need of it */
    struct journal_check_result *result;
    void (*each)(void *, const struct journal_finding *);
    void *ctx;
    struct scan scan;
    uint64_t *numbers;
    size_t count, cap;
    bool no_memory;
    struct doubt *doubts;
    size_t doubt_count, doubt_cap;

    uint64_t synced, expect, last_segment, state_segment;
    uint64_t last_seq, end_segment, end_offset;
    bool in_batch;
    uint64_t *partition_next;
    uint64_t *partition_hole;    /* holes counted when the partition was seen last      */
    uint64_t *partition_deleted; /* and deleted segments                              */
    uint64_t *partition_first;   /* by the last counters in the log: what must be there */
    struct lack *lacks;
    size_t lack_count, lack_cap;
    uint64_t holes, deleted;
    size_t doubts_before; /* this segment */
};

/* ---- findings ---- */

static void find(struct check *c, bool error, const char *file, uint64_t offset, const char *fmt, ...)
    FG_PRINTF(5, 6);
static void find(struct check *c, bool error, const char *file, uint64_t offset, const char *fmt, ...)
{
    char path[PATH_MAX_OWN];
    struct journal_finding f = {.error = error, .file = journal_path(&c->j, path, file), .offset = offset};
    if (strcmp(file, "format.json") == 0)
        (void)snprintf(path, sizeof path, "%s/format.json", c->j.data_dir);
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(f.text, sizeof f.text, fmt, list);
    va_end(list);
    if (error)
        c->result->damaged++;
    else
        c->result->torn++;
    if (c->each)
        c->each(c->ctx, &f);
}

static void find_in(struct check *c, bool error, uint64_t segment, uint64_t offset, const char *what)
{
    char name[SEGMENT_NAME];
    segment_name(segment, "seg", name);
    find(c, error, name, offset, "%s", what);
}

static void doubt(struct check *c, uint64_t segment, uint64_t offset, uint64_t missing, uint64_t count,
                  const char *what)
{
    if (c->doubt_count == c->doubt_cap) {
        size_t cap = c->doubt_cap ? c->doubt_cap * 2 : 16;
        struct doubt *more = mem_realloc(c->doubts, cap * sizeof *more);
        if (!more) {
            c->no_memory = true;
            return;
        }
        c->doubts = more;
        c->doubt_cap = cap;
    }
    c->doubts[c->doubt_count++] = (struct doubt){segment, offset, missing, count, what};
    c->holes++;
}

static void add_lack(struct check *c, const struct lack *l)
{
    if (c->lack_count == c->lack_cap) {
        size_t cap = c->lack_cap ? c->lack_cap * 2 : 16;
        struct lack *more = mem_realloc(c->lacks, cap * sizeof *more);
        if (!more) {
            c->no_memory = true;
            return;
        }
        c->lacks = more;
        c->lack_cap = cap;
    }
    c->lacks[c->lack_count++] = *l;
}

/* ---- frames ---- */

static void check_counters(struct check *c, uint64_t segment, const struct scan_item *item)
{
    struct wire w = wire_of(item->payload);
    (void)wire_le64(&w);
    uint32_t count = wire_le32(&w);
    (void)wire_le32(&w);
    if (w.bad || wire_left(&w) != (uint64_t)count * 16 || count > c->j.partition_count) {
        find_in(c, true, segment, item->from, "the counters of the partitions are not as they were written");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t first = wire_le64(&w);
        (void)wire_le64(&w);
        c->partition_first[i] = first > c->partition_first[i] ? first : c->partition_first[i];
    }
}

static void check_partition(struct check *c, uint64_t segment, const struct scan_item *item)
{
    const struct frame *f = &item->frame;
    if (f->stream == 0)
        return;
    uint32_t partition = f->stream - 1;
    if (f->type != RECORD_MESSAGE || partition >= c->j.partition_count) {
        find_in(c, true, segment, item->from, "a record of a partition that does not exist");
        return;
    }
    uint64_t *next = &c->partition_next[partition];
    if (f->stream_seq < *next)
        find_in(c, true, segment, item->from, "a partition's sequence goes back");
    else if (f->stream_seq > *next && *next && c->partition_hole[partition] == c->holes)
        find_in(c, true, segment, item->from, "a partition's sequence has a gap");
    else if (f->stream_seq > *next &&
             (*next ? c->partition_deleted[partition] != c->deleted : c->doubt_count == 0))
        add_lack(c, &(struct lack){partition, *next, f->stream_seq, segment, item->from});
    *next = f->stream_seq + 1;
    c->partition_hole[partition] = c->holes;
    c->partition_deleted[partition] = c->deleted;
    c->result->partition_records++;
}

static void check_order(struct check *c, uint64_t segment, const struct scan_item *item)
{
    const struct frame *f = &item->frame;
    c->synced = f->synced > c->synced ? f->synced : c->synced;
    if (c->expect && f->seq < c->expect)
        find_in(c, true, segment, item->from, "a frame that does not belong here: its sequence goes back");
    else if (c->expect && f->seq > c->expect)
        doubt(c, segment, item->from, c->expect, f->seq - c->expect, "frames are missing before this place");
    c->expect = f->seq + 1;
    c->last_seq = f->seq;
    c->end_segment = segment;
    c->end_offset = item->to;
}

static void check_frame(struct check *c, uint64_t segment, const struct scan_item *item,
                        struct segment *index)
{
    const struct frame *f = &item->frame;
    check_order(c, segment, item);
    c->result->frames++;
    c->in_batch = f->flags & RECORD_MORE;
    if (index->first_seq == 0)
        index->first_seq = f->seq;
    index->last_seq = f->seq;
    index->end = (uint32_t)item->to;
    if (item->kind == SCAN_BAD_BODY) {
        doubt(c, segment, item->from, f->seq, 1, "the body's checksum does not hold");
        return;
    }
    if (item->bad_padding)
        find_in(c, true, segment, item->to - 1, "the padding behind a frame is not zero");
    c->result->messages += f->type == RECORD_MESSAGE || f->type == RECORD_MOVED;
    if (f->type == RECORD_STATE_END && item->meta.len == STATE_END_META) {
        uint64_t from = get_le64(item->meta.at + 8);
        c->state_segment = from > c->state_segment ? from : c->state_segment;
    }
    if (f->type == RECORD_PARTITIONS)
        check_counters(c, segment, item);
    check_partition(c, segment, item);
    if (f->stream && f->type == RECORD_MESSAGE &&
        index_reserve(index, f->stream - 1, f->stream_seq, NULL) == CODE_OK) {
        index_add(index, f->stream - 1, f->stream_seq, (uint32_t)item->from, f->wall_us);
        index->partition_bytes += item->to - item->from;
    }
}

static enum code check_frames(struct check *c, uint64_t number, struct segment *index, bool *any,
                              struct fault *why)
{
    for (;;) {
        struct scan_item item;
        enum code code = scan_next(&c->scan, &item, why);
        if (code == CODE_NOMEM)
            return code;
        if (code != CODE_OK) {
            find_in(c, true, number, c->scan.at, why->text);
            return CODE_OK;
        }
        if (item.kind == SCAN_END)
            return CODE_OK;
        *any = true;
        if (item.kind == SCAN_GARBAGE)
            doubt(c, number, item.from, c->expect, 0, "no frame where one should be");
        else
            check_frame(c, number, &item, index);
    }
}

/* ---- segments ---- */

static void check_head(struct check *c, uint64_t number, bool fine, const struct segment_head *head,
                       uint64_t size, const struct segment *index, bool any)
{
    bool used = any || number < c->numbers[c->count - 1];
    if (!fine) {
        /* The last one may have been in the making when the power failed. */
        find_in(c, used, number, 0,
                used ? "the segment's header is damaged" : "a segment that was not finished");
        return;
    }
    if (head->number != number)
        find_in(c, true, number, 16, "the header is that of another segment");
    if (size != head->bytes)
        find_in(c, used || size > head->bytes, number, size,
                size < head->bytes ? "the file was cut" : "the file is too long");
    if (index->first_seq && head->first_seq != index->first_seq && c->doubt_count == c->doubts_before)
        find_in(c, true, number, 24, "the header names another first sequence");
    c->synced = head->synced > c->synced ? head->synced : c->synced;
    c->state_segment = head->state.segment > c->state_segment ? head->state.segment : c->state_segment;
}

static void check_index(struct check *c, const struct segment *index)
{
    struct segment file = {.number = index->number, .bytes = index->bytes};
    char name[SEGMENT_NAME];
    struct fault why;
    enum code code = index_load_whole(&c->j, &file, &why);
    segment_name(index->number, "idx", name);
    if (code == CODE_NOMEM)
        c->no_memory = true;
    else if (code == CODE_DAMAGED)
        find(c, false, name, why.at,
             "the index does not hold its checksum; it is made again when the node starts");
    else if (code == CODE_OK && c->doubt_count == c->doubts_before && !index_same(&file, index))
        find(c, true, name, 0, "the index says something else than its segment");
    else if (code == CODE_IO)
        find(c, true, name, 0, "%s", why.text);
    index_drop(&file);
}

static enum code check_segment(struct check *c, uint64_t number, struct fault *why)
{
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    const struct io *io = c->j.io;
    segment_name(number, "seg", name);
    struct io_stat st = {0};
    int r = io->stat(io->self, journal_path(&c->j, path, name), &st);
    int file = r == 0 ? io->open(io->self, path, IO_READ) : r;
    if (file < 0)
        return FAIL_SYS(why, CODE_IO, -file, "cannot open %s", path);
    uint8_t bytes[SEGMENT_HEAD] = {0};
    struct segment_head head = {0};
    int64_t n = io_read_all(io, file, bytes, sizeof bytes, 0);
    bool fine = n == SEGMENT_HEAD && segment_head_decode(&head, bytes, c->j.id);
    /* Segments that nothing needed any more are gone; then their frames are not missing. */
    bool after_deleted = c->last_segment && number != c->last_segment + 1;
    if (after_deleted && number <= c->state_segment) {
        c->expect = 0;
        c->holes++;
        c->deleted++;
    } else if (c->expect == 0) {
        c->expect = fine && head.first_seq ? head.first_seq : 0;
    }
    uint64_t size = st.size < SEGMENT_BYTES_MAX ? st.size : SEGMENT_BYTES_MAX;
    struct segment index = {.number = number, .bytes = (uint32_t)size, .end = SEGMENT_HEAD};
    scan_again(&c->scan, file, path, number, size);
    c->doubts_before = c->doubt_count;
    bool any = false;
    enum code code = check_frames(c, number, &index, &any, why);
    io->close(io->self, file);
    if (code == CODE_OK) {
        check_head(c, number, fine, &head, st.size, &index, any);
        check_index(c, &index);
    }
    index_drop(&index);
    c->last_segment = number;
    c->result->segments++;
    return code;
}

/* ---- the whole ---- */

static void list_one(void *ctx, const char *name)
{
    struct check *c = ctx;
    uint64_t number = segment_number(name, "seg");
    if (!number) {
        if (!segment_number(name, "idx") && strcmp(name, "clean") != 0)
            find(c, false, name, 0, "a file that does not belong to the journal");
        return;
    }
    if (c->count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;
        uint64_t *more = mem_realloc(c->numbers, cap * sizeof *more);
        if (!more) {
            c->no_memory = true;
            return;
        }
        c->numbers = more;
        c->cap = cap;
    }
    c->numbers[c->count++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Where the state begins decides which segments may be gone; so the headers are read before the frames. */
static void read_states(struct check *c)
{
    for (size_t i = 0; i < c->count; i++) {
        char name[SEGMENT_NAME], path[PATH_MAX_OWN];
        segment_name(c->numbers[i], "seg", name);
        int file = c->j.io->open(c->j.io->self, journal_path(&c->j, path, name), IO_READ);
        if (file < 0)
            continue;
        uint8_t bytes[SEGMENT_HEAD];
        struct segment_head head;
        if (io_read_all(c->j.io, file, bytes, sizeof bytes, 0) == SEGMENT_HEAD &&
            segment_head_decode(&head, bytes, c->j.id))
            c->state_segment = head.state.segment > c->state_segment ? head.state.segment : c->state_segment;
        c->j.io->close(c->j.io->self, file);
    }
}

static void check_clean(struct check *c)
{
    struct clean clean;
    struct io_stat st;
    char path[PATH_MAX_OWN];
    if (c->j.io->stat(c->j.io->self, journal_path(&c->j, path, "clean"), &st) < 0)
        return;
    clean_load(c->j.io, c->j.dir, c->j.id, &clean);
    if (!clean.valid) {
        find(c, true, "clean", 0, "the mark of an orderly stop is damaged");
        return;
    }
    c->synced = clean.last.seq > c->synced ? clean.last.seq : c->synced;
    bool same = clean.last.seq == c->last_seq && clean.last.segment == c->end_segment &&
                clean.last.offset == c->end_offset;
    if (!same && clean.last.seq <= c->last_seq)
        find(c, true, "clean", 0, "the mark of an orderly stop names another end of the log");
    if (clean.last.seq > c->last_seq)
        doubt(c, c->end_segment, c->end_offset, c->last_seq + 1, clean.last.seq - c->last_seq,
              "frames are missing at the end");
}

/* What was doubtful was durable, then it is an error; or it was not, then a crash left it. */
static void judge(struct check *c)
{
    for (size_t i = 0; i < c->doubt_count; i++) {
        const struct doubt *d = &c->doubts[i];
        char name[SEGMENT_NAME];
        segment_name(d->segment, "seg", name);
        bool torn = d->missing > c->synced;
        if (torn)
            find(c, false, name, d->offset, "an unfinished write that was never acknowledged");
        else if (d->missing)
            find(c, true, name, d->offset, "%s (record %" PRIu64 "%s)", d->what, d->missing,
                 d->count > 1 ? " and more" : "");
        else
            find(c, true, name, d->offset, "%s", d->what);
    }
    for (size_t i = 0; i < c->lack_count; i++) {
        const struct lack *l = &c->lacks[i];
        uint64_t first = c->partition_first[l->partition], from = l->from > first ? l->from : first;
        char name[SEGMENT_NAME];
        segment_name(l->segment, "seg", name);
        if (from < l->to)
            find(c, true, name, l->offset,
                 "records %" PRIu64 " to %" PRIu64 " of partition %u are missing before this one", from,
                 l->to - 1, l->partition);
    }
    if (c->in_batch)
        find_in(c, false, c->end_segment, c->end_offset, "an unfinished batch that was never acknowledged");
}

static enum code check_all(struct check *c, struct fault *why)
{
    struct format format;
    enum code code = format_load(c->j.io, c->j.data_dir, &format, why);
    if (code == CODE_DAMAGED) {
        find(c, true, "format.json", why->at, "%.180s", why->text);
        return CODE_OK;
    }
    if (code != CODE_OK)
        return code;
    c->j.id = format.journal;
    c->j.partition_count = format.partitions;
    c->partition_next = mem_zalloc(format.partitions, sizeof *c->partition_next);
    c->partition_hole = mem_zalloc(format.partitions, sizeof *c->partition_hole);
    c->partition_deleted = mem_zalloc(format.partitions, sizeof *c->partition_deleted);
    c->partition_first = mem_zalloc(format.partitions, sizeof *c->partition_first);
    int r = c->j.io->list(c->j.io->self, c->j.dir, list_one, c);
    if (r < 0)
        return FAIL_SYS(why, CODE_IO, -r, "cannot list %s", c->j.dir);
    if (!c->partition_next || !c->partition_hole || !c->partition_first || !c->partition_deleted ||
        c->no_memory)
        return FAIL(why, CODE_NOMEM, 0, "no memory to check %s", c->j.dir);
    qsort(c->numbers, c->count, sizeof *c->numbers, by_number);
    read_states(c);
    scan_init(&c->scan, c->j.io, -1, "", c->j.id, 0, 0);
    for (size_t i = 0; i < c->count && code == CODE_OK; i++)
        code = check_segment(c, c->numbers[i], why);
    scan_clear(&c->scan);
    if (code != CODE_OK)
        return code;
    check_clean(c);
    judge(c);
    return c->no_memory ? FAIL(why, CODE_NOMEM, 0, "no memory to check %s", c->j.dir) : CODE_OK;
}

enum code journal_check(const struct io *io, const char *data_dir,
                        void (*each)(void *, const struct journal_finding *), void *ctx,
                        struct journal_check_result *result, struct fault *why)
{
    struct fault own;
    why = why ? why : &own;
    *result = (struct journal_check_result){0};
    struct check *c = mem_zalloc(1, sizeof *c);
    char *dir = c ? mem_alloc(PATH_MAX_OWN) : NULL, *data = c ? mem_strdup(data_dir) : NULL;
    if (!dir || !data) {
        mem_free(dir);
        mem_free(data);
        mem_free(c);
        return FAIL(why, CODE_NOMEM, 0, "no memory to check %s", data_dir);
    }
    c->each = each;
    c->ctx = ctx;
    c->result = result;
    c->j.io = io;
    c->j.data_dir = data;
    c->j.dir = dir;
    int n = snprintf(dir, PATH_MAX_OWN - 64, "%s/journal", data_dir), lock = -1;
    struct io_stat st;
    enum code code = CODE_OK;
    int found = n < 0 || n >= PATH_MAX_OWN - 64 ? -ENOENT : io->stat(io->self, dir, &st);
    if (found == -ENOENT || found == -ENOTDIR)
        code = FAIL(why, CODE_NOTFOUND, 0, "there is no journal in %s", data_dir);
    else if (found < 0)
        code = FAIL_SYS(why, CODE_IO, -found, "cannot look into %s", dir);
    if (code == CODE_OK)
        code = format_lock(io, data_dir, &lock, why);
    if (code == CODE_OK)
        code = check_all(c, why);
    if (lock >= 0)
        io->close(io->self, lock);
    mem_free(c->numbers);
    mem_free(c->doubts);
    mem_free(c->partition_next);
    mem_free(c->partition_hole);
    mem_free(c->partition_first);
    mem_free(c->partition_deleted);
    mem_free(c->lacks);
    mem_free(dir);
    mem_free(data);
    mem_free(c);
    return code;
}
