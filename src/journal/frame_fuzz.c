/* frame_fuzz.c - segment files as they should never be. The input is a row of orders that build up to three
 * segments of frames (also wrong ones: foreign places, sequences that jump, broken batches, rounds that never
 * were) and then damage them, or it is the bytes of a segment themselves. The journal must open or say why,
 * must hand out only payloads that were written, in order, must find the same once more, also when the power
 * failed on its way, and must go on from there. */
#include "base/crc32c.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/journal_private.h"

#include <errno.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a disk for it ---- */

enum { FILES = 24, NAME = 64, SEGMENT = 65536, ID = 0x5a5a5a5a };

struct file {
    char name[NAME];
    uint8_t *data;
    size_t size;
    bool used, is_dir;
};
static struct file files[FILES];
static int handles[64];
static int changes_left = -1; /* then the power fails: nothing changes any more; -1 = never */

static bool powerless(void)
{
    if (changes_left > 0)
        changes_left--;
    return changes_left == 0;
}

static struct file *find(const char *name)
{
    for (int i = 0; i < FILES; i++)
        if (files[i].used && strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}

static struct file *make(const char *name, bool is_dir)
{
    for (int i = 0; i < FILES; i++) {
        if (files[i].used)
            continue;
        files[i] = (struct file){.used = true, .is_dir = is_dir};
        snprintf(files[i].name, NAME, "%s", name);
        return &files[i];
    }
    return NULL;
}

static int resize(struct file *f, size_t size)
{
    uint8_t *more = mem_realloc(f->data, size ? size : 1);
    if (!more)
        return -ENOSPC;
    if (size > f->size)
        memset(more + f->size, 0, size - f->size);
    f->data = more;
    f->size = size;
    return 0;
}

static int f_open(void *self, const char *path, int flags)
{
    (void)self;
    struct file *f = find(path);
    if (f && (flags & IO_EXCL))
        return -EEXIST;
    if (!f && (flags & IO_CREATE) && powerless())
        return -EIO;
    if (!f && !(flags & IO_CREATE))
        return -ENOENT;
    f = f ? f : make(path, false);
    for (int h = 0; f && h < 64; h++) {
        if (handles[h] < 0) {
            handles[h] = (int)(f - files);
            return h;
        }
    }
    return -EMFILE;
}

static void f_close(void *self, int file)
{
    (void)self;
    handles[file] = -1;
}

static int64_t f_pread(void *self, int file, void *to, size_t n, uint64_t at)
{
    (void)self;
    const struct file *f = &files[handles[file]];
    if (at >= f->size)
        return 0;
    n = n < f->size - at ? n : (size_t)(f->size - at);
    memcpy(to, f->data + at, n);
    return (int64_t)n;
}

/* To the byte. */
static int64_t f_data_end(void *self, int file)
{
    (void)self;
    const struct file *f = &files[handles[file]];
    size_t end = f->size;
    while (end >= 4096 && bytes_zero(f->data + end - 4096, 4096))
        end -= 4096;
    while (end > 0 && f->data[end - 1] == 0)
        end--;
    return (int64_t)end;
}

static int64_t f_pwrite(void *self, int file, const void *from, size_t n, uint64_t at)
{
    (void)self;
    struct file *f = &files[handles[file]];
    if (powerless())
        return -EIO;
    if (at + n > f->size && resize(f, at + n) < 0)
        return -ENOSPC;
    memcpy(f->data + at, from, n);
    return (int64_t)n;
}

static int f_sync(void *self, int file)
{
    (void)self;
    (void)file;
    return 0;
}

static int f_truncate(void *self, int file, uint64_t size)
{
    (void)self;
    return resize(&files[handles[file]], size);
}

static int f_allocate(void *self, int file, uint64_t size)
{
    (void)self;
    struct file *f = &files[handles[file]];
    if (powerless())
        return -EIO;
    return size > f->size ? resize(f, size) : 0;
}

static int f_stat(void *self, const char *path, struct io_stat *out)
{
    (void)self;
    const struct file *f = find(path);
    if (!f)
        return -ENOENT;
    *out = (struct io_stat){.size = f->size, .is_dir = f->is_dir};
    return 0;
}

static int f_unlink(void *self, const char *path)
{
    (void)self;
    struct file *f = find(path);
    if (!f)
        return -ENOENT;
    if (powerless())
        return -EIO;
    mem_free(f->data);
    *f = (struct file){0};
    return 0;
}

static int f_rename(void *self, const char *from, const char *to)
{
    struct file *f = find(from);
    if (!f)
        return -ENOENT;
    (void)f_unlink(self, to);
    snprintf(f->name, NAME, "%s", to);
    return 0;
}

static int f_mkdir(void *self, const char *path)
{
    (void)self;
    return find(path) ? -EEXIST : make(path, true) ? 0 : -ENOSPC;
}

static int f_sync_dir(void *self, const char *path)
{
    (void)self;
    (void)path;
    return 0;
}

static int f_list(void *self, const char *path, void (*each)(void *, const char *), void *ctx)
{
    (void)self;
    size_t n = strlen(path);
    for (int i = 0; i < FILES; i++)
        if (files[i].used && strncmp(files[i].name, path, n) == 0 && files[i].name[n] == '/')
            each(ctx, files[i].name + n + 1);
    return 0;
}

static int64_t f_free(void *self, const char *path)
{
    (void)self;
    (void)path;
    return (int64_t)1 << 40;
}

static int64_t f_clock(void *self)
{
    (void)self;
    return INT64_C(1790000000000000);
}

static void f_random(void *self, void *to, size_t n)
{
    (void)self;
    memset(to, ID & 0xff, n); /* so the journal's id is known */
}

static const struct io disk = {
    .open = f_open,
    .close = f_close,
    .pread = f_pread,
    .data_end = f_data_end,
    .pwrite = f_pwrite,
    .fdatasync = f_sync,
    .truncate = f_truncate,
    .allocate = f_allocate,
    .stat = f_stat,
    .rename = f_rename,
    .unlink = f_unlink,
    .mkdir = f_mkdir,
    .sync_dir = f_sync_dir,
    .list = f_list,
    .lock = f_sync,
    .free_bytes = f_free,
    .wall_us = f_clock,
    .monotonic_us = f_clock,
    .random = f_random,
};
static const uint64_t journal_id = 0x5a5a5a5a5a5a5a5a;

static void wipe(void)
{
    changes_left = -1;
    for (int i = 0; i < FILES; i++) {
        mem_free(files[i].data);
        files[i] = (struct file){0};
    }
    for (int h = 0; h < 64; h++)
        handles[h] = -1;
}

/* ---- building ---- */

struct input {
    const uint8_t *at, *end;
};

static uint8_t byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static struct file *segment_file(uint64_t number)
{
    char name[SEGMENT_NAME], path[NAME];
    segment_name(number, "seg", name);
    snprintf(path, sizeof path, "/d/journal/%s", name);
    struct file *f = find(path);
    if (!f)
        f = make(path, false);
    if (f && f->size == 0)
        (void)resize(f, SEGMENT);
    return f && f->size == SEGMENT ? f : NULL;
}

struct build {
    struct file *file;
    struct segment_head head;
    uint64_t number, seq, partition_seq;
    uint32_t at;
};

static void put_head(struct build *b, struct input *in)
{
    uint8_t how = byte(in);
    b->head = (struct segment_head){
        .number = b->number, .bytes = SEGMENT, .first_seq = how & 1 ? b->seq + 1 : 0};
    if (how & 2)
        b->head.synced = byte(in);
    if (how & 4)
        b->head.state = (struct place){.seq = byte(in), .segment = byte(in) % 4, .offset = byte(in) * 8u};
    if (how & 8)
        b->head.bytes = byte(in) * 65536u;
    segment_head_encode(b->file->data, &b->head, journal_id);
}

/* Every payload can be told from its sequence. */
static void put_frame(struct build *b, struct input *in)
{
    static const uint8_t types[] = {RECORD_MESSAGE,     RECORD_MOVED,     RECORD_PARTITIONS, RECORD_SEAL,
                                    RECORD_STATE_BEGIN, RECORD_STATE_END, RECORD_PROGRAM,    RECORD_PROGRAM};
    uint8_t how = byte(in), len = byte(in), more = byte(in), meta[32];
    struct frame f = {.type = types[how & 7], .body_len = len};
    f.seq = b->seq += how & 8 ? 1 + byte(in) % 8 : 1;
    f.synced = f.seq - 1 < (uint64_t)more ? 0 : f.seq - 1 - more % 16;
    f.flags = (uint16_t)((how & 16 ? RECORD_MORE : 0) | (how & 32 ? RECORD_CONTINUES : 0));
    if (f.type == RECORD_MESSAGE && how & 64) {
        f.stream = 1 + byte(in) % 4; /* the last one does not exist */
        f.stream_seq = b->partition_seq += how & 128 ? byte(in) % 4 : 1;
    }
    if (f.type == RECORD_STATE_END || f.type == RECORD_MOVED) {
        f.meta_len = f.type == RECORD_MOVED ? MOVED_META : STATE_END_META;
        for (size_t i = 0; i < f.meta_len; i++)
            meta[i] = i % 8 ? 0 : byte(in);
        f.body_len += f.meta_len;
    }
    if (b->at + frame_bytes(f.body_len) > SEGMENT)
        return;
    uint8_t *at = b->file->data + b->at, *body = at + JOURNAL_FRAME_HEAD;
    memcpy(body, meta, f.meta_len);
    for (size_t i = 0; i < len; i++)
        body[f.meta_len + i] = (uint8_t)(f.seq * 31 + i);
    f.body_crc = frame_body_crc(crc32c(0, body + f.meta_len, len), bytes_of(body, f.meta_len));
    frame_encode(at, &f, journal_id, b->number + (how == 0xff), b->at);
    b->at += (uint32_t)frame_bytes(f.body_len);
}

static void build(struct input *in)
{
    struct build b = {.number = 1, .at = SEGMENT_HEAD};
    b.file = segment_file(1);
    if (b.file)
        put_head(&b, in);
    while (b.file && in->at < in->end) {
        switch (byte(in) % 16) {
        case 0: /* the next segment */
            if (b.number < 3) {
                b.file = segment_file(++b.number);
                b.at = SEGMENT_HEAD;
                if (b.file)
                    put_head(&b, in);
            }
            break;
        case 1: /* one byte changes */ b.file->data[(byte(in) * 256u + byte(in)) % b.at] ^= byte(in); break;
        case 2: /* a hole of zeroes */ b.at += b.at + 1024 < SEGMENT ? byte(in) * 8u % 512 : 0; break;
        case 3: /* nothing known is behind */
            if (resize(b.file, b.at + byte(in) < SEGMENT ? b.at + byte(in) : b.at) < 0)
                return;
            b.file = b.number < 3 ? segment_file(++b.number) : NULL;
            b.at = SEGMENT_HEAD;
            break;
        case 4: /* a sector lands elsewhere */
            memmove(b.file->data + byte(in) % 64 * 512, b.file->data + byte(in) % 64 * 512, 512);
            break;
        default: put_frame(&b, in);
        }
    }
}

static void build_raw(struct input *in)
{
    struct file *f = segment_file(1);
    size_t n = (size_t)(in->end - in->at);
    if (f)
        memcpy(f->data, in->at, n < SEGMENT ? n : SEGMENT);
}

/* ---- judging ---- */

struct heard {
    uint64_t last, sum, count;
    bool raw;
};

static enum code apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    struct heard *h = ctx;
    (void)why;
    FG_ASSERT(r->seq > h->last);
    FG_ASSERT(r->type == RECORD_MESSAGE || r->type >= RECORD_PROGRAM);
    for (size_t i = 0; !h->raw && r->type != RECORD_PROGRAM + 1 && i < r->payload.len; i++)
        FG_ASSERT(r->payload.at[i] == (uint8_t)(r->seq * 31 + i));
    h->last = r->seq;
    h->sum = h->sum * 31 + crc32c(0, r->payload.at, r->payload.len) + r->type;
    h->count++;
    if (r->type == RECORD_MESSAGE) {
        struct stored *s = journal_keep(j, r);
        if (s)
            stored_drop(s);
    }
    return CODE_OK;
}

static bool each(void *ctx, const struct record *r)
{
    uint64_t *next = ctx;
    FG_ASSERT(r->partition_seq >= *next);
    *next = r->partition_seq + 1;
    return true;
}

static void look_around(struct journal *j)
{
    for (uint32_t p = 0; p < journal_partitions(j); p++) {
        uint64_t first, next, at = 0, seq, end;
        journal_partition_range(j, p, &first, &next);
        FG_ASSERT(first <= next);
        (void)!journal_partition_read(j, p, 0, 100000, each, &at, &end, NULL);
        FG_ASSERT(end <= next || end == first);
        (void)!journal_partition_find_time(j, p, 5, &seq, NULL);
        FG_ASSERT(seq <= next);
    }
}

/* Opens, appends one record if told so, and leaves without a word. */
static bool once(struct journal_options *o, struct heard *h, bool raw, bool append, uint64_t *durable)
{
    struct journal *j;
    struct fault why;
    *h = (struct heard){.raw = raw};
    o->ctx = h;
    enum code code = journal_open(&j, o, &why);
    if (code != CODE_OK) {
        FG_ASSERT(why.text[0]);
        return false;
    }
    FG_ASSERT(journal_durable(j) >= h->last && journal_durable(j) >= *durable);
    *durable = journal_durable(j);
    if (!append) {
        journal_abandon(j);
        return true;
    }
    struct record_in in = {
        .type = RECORD_PROGRAM + 1, .partition = JOURNAL_NO_PARTITION, .payload = BYTES_LIT("new")};
    struct record_out out;
    journal_lock(j);
    code = journal_append(j, &in, &out, &why);
    journal_unlock(j);
    FG_ASSERT(code == CODE_OK && out.seq > h->last);
    for (int i = 0; i < 20 && journal_step(j); i++)
        continue;
    FG_ASSERT(journal_durable(j) >= out.seq);
    *durable = out.seq;
    look_around(j);
    journal_abandon(j);
    return true;
}

static void silent(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

/* True: it is raw. */
static bool fill_disk(struct input in)
{
    wipe();
    bool raw = byte(&in) == 0xff;
    struct format format;
    FG_ASSERT(f_mkdir(NULL, "/d") == 0 && f_mkdir(NULL, "/d/journal") == 0);
    FG_ASSERT(format_create(&disk, "/d", 3, &format, NULL) == CODE_OK);
    FG_ASSERT(format.journal == journal_id);
    if (raw)
        build_raw(&in);
    else
        build(&in);
    return raw;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_sink(silent, NULL);
    struct input in = {data, data + size};
    bool raw = fill_disk(in);
    struct journal_options o = {.io = &disk,
                                .data_dir = "/d",
                                .segment_bytes = SEGMENT,
                                .partitions = 3,
                                .manual = true,
                                .apply = apply};
    struct heard first, second;
    uint64_t durable = 0, unused = 0;
    struct journal_check_result result;
    (void)!journal_check(&disk, "/d", NULL, NULL, &result, NULL);
    if (once(&o, &first, raw, false, &durable)) {
        /* The power fails somewhere in that start: the next one finds the same. */
        uint64_t same = durable;
        (void)fill_disk(in);
        changes_left = 1 + (int)(crc32c(0, data, size) % 8);
        (void)once(&o, &second, raw, false, &unused);
        changes_left = -1;
        FG_ASSERT(once(&o, &second, raw, false, &durable));
        FG_ASSERT(second.count == first.count && second.sum == first.sum);
        /* Killed before it wrote anything: what that start removed or cleared must not be missed. */
        FG_ASSERT(once(&o, &second, raw, true, &durable));
        FG_ASSERT(durable > same && second.count == first.count && second.sum == first.sum);
        FG_ASSERT(once(&o, &second, raw, false, &durable));
        /* Everything it found the first time, and the new one. */
        FG_ASSERT(second.count == first.count + 1);
        uint64_t with_new = first.sum * 31 + crc32c(0, "new", 3) + RECORD_PROGRAM + 1;
        FG_ASSERT(second.sum == with_new);
        FG_ASSERT(journal_check(&disk, "/d", NULL, NULL, &result, NULL) == CODE_OK);
    }
    wipe();
    return 0;
}
