/* segment.c - segment files and their list: names, making, opening for readers. */
#include "journal/journal_private.h"

#include <errno.h>
#include <stdio.h>

void segment_name(uint64_t number, const char *ending, char out[SEGMENT_NAME])
{
    (void)snprintf(out, SEGMENT_NAME, "%016" PRIx64 ".%s", number, ending);
}

uint64_t segment_number(const char *name, const char *ending)
{
    uint64_t number = 0;
    if (strlen(name) != 17 + strlen(ending) || name[16] != '.' || strcmp(name + 17, ending) != 0)
        return 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;
        if (digit == 16)
            return 0;
        number = number * 16 + digit;
    }
    return number;
}

/* The first place in the list whose number is not smaller. */
static size_t lower(const struct journal *j, uint64_t number)
{
    size_t from = 0, to = j->segment_count;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (j->segments[mid]->number < number)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

struct segment *segment_find(const struct journal *j, uint64_t number)
{
    size_t i = lower(j, number);
    return i < j->segment_count && j->segments[i]->number == number ? j->segments[i] : NULL;
}

struct segment *segment_after(const struct journal *j, const struct segment *s)
{
    size_t i = lower(j, s->number + 1);
    return i < j->segment_count ? j->segments[i] : NULL;
}

struct segment *segment_add(struct journal *j, uint64_t number, uint32_t bytes)
{
    if (j->segment_count == j->segment_cap) {
        size_t cap = j->segment_cap ? j->segment_cap * 2 : 8;
        struct segment **more = mem_realloc(j->segments, cap * sizeof *more);
        if (!more)
            return NULL;
        j->segments = more;
        j->segment_cap = cap;
    }
    struct segment *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->journal = j;
    s->number = number;
    s->bytes = bytes;
    s->size = bytes;
    s->end = SEGMENT_HEAD;
    s->file = -1;
    size_t at = lower(j, number);
    FG_ASSERT(at == j->segment_count || j->segments[at]->number != number);
    memmove(j->segments + at + 1, j->segments + at, (j->segment_count - at) * sizeof *j->segments);
    j->segments[at] = s;
    j->segment_count++;
    return s;
}

void segment_forget(struct journal *j, struct segment *s)
{
    size_t at = lower(j, s->number);
    FG_ASSERT(at < j->segment_count && j->segments[at] == s && s->pins == 0);
    memmove(j->segments + at, j->segments + at + 1, (j->segment_count - at - 1) * sizeof *j->segments);
    j->segment_count--;
    if (s->file >= 0) {
        j->io->close(j->io->self, s->file);
        j->files_open--;
    }
    index_drop(s);
    mem_free(s);
}

void segment_head_now(const struct journal *j, const struct segment *s, struct segment_head *out)
{
    /* Its first frames may be damaged; they still were there, and the state may begin with them. */
    uint64_t first = s->first_seq;
    if (s->head_fine && s->head.first_seq && s->head.first_seq < first)
        first = s->head.first_seq;
    if (j->state.segment == s->number && j->state.seq < first)
        first = j->state.seq;
    *out = (struct segment_head){
        .number = s->number,
        .first_seq = first,
        .synced = j->synced > s->synced_floor ? j->synced : s->synced_floor,
        .state = j->state,
        .bytes = s->bytes,
        .wall_us = j->io->wall_us(j->io->self),
        .age_us = retention_age(j),
    };
}

static int make_steps(struct journal *j, struct segment *s, int file, const uint8_t head[SEGMENT_HEAD])
{
    const struct io *io = j->io;
    int r = io->allocate(io->self, file, s->bytes);
    if (r == 0)
        r = io_write_all(io, file, head, SEGMENT_HEAD, 0);
    if (r == 0)
        r = io->fdatasync(io->self, file);
    if (r == 0)
        r = io->sync_dir(io->self, j->dir);
    return r;
}

enum code segment_make(struct journal *j, struct segment *s, struct fault *why)
{
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "seg", name);
    journal_path(j, path, name);
    const struct io *io = j->io;
    int file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE | IO_EXCL);
    if (file == -EEXIST) { /* left over from an attempt that met a full disk */
        (void)io->unlink(io->self, path);
        file = io->open(io->self, path, IO_READ | IO_WRITE | IO_CREATE | IO_EXCL);
    }
    if (file < 0)
        return FAIL_SYS(why, file == -ENOSPC || file == -EDQUOT ? CODE_FULL : CODE_IO, -file,
                        "cannot make %s", path);
    struct segment_head head;
    uint8_t bytes[SEGMENT_HEAD];
    journal_lock(j);
    segment_head_now(j, s, &head);
    journal_unlock(j);
    head.first_seq = 0;
    segment_head_encode(bytes, &head, j->id);
    int r = make_steps(j, s, file, bytes);
    if (r < 0) {
        io->close(io->self, file);
        (void)io->unlink(io->self, path);
        return FAIL_SYS(why, r == -ENOSPC || r == -EDQUOT ? CODE_FULL : CODE_IO, -r,
                        "cannot make %s of %u bytes", path, s->bytes);
    }
    journal_lock(j);
    s->file = file;
    s->made = true;
    j->files_open++;
    /* A header that names the newest state is its witness (state.c). */
    if (head.state.seq > j->witness.seq)
        j->witness = head.state;
    journal_unlock(j);
    return CODE_OK;
}

void segment_pin_locked(struct segment *s)
{
    s->pins++;
}

enum code segment_open_pinned(struct journal *j, struct segment *s, int *file, struct fault *why)
{
    journal_lock(j);
    *file = s->file;
    journal_unlock(j);
    if (*file >= 0)
        return CODE_OK;
    char name[SEGMENT_NAME], path[PATH_MAX_OWN];
    segment_name(s->number, "seg", name);
    int mine = j->io->open(j->io->self, journal_path(j, path, name), IO_READ | IO_WRITE);
    if (mine < 0)
        return FAIL_SYS(why, mine == -ENOENT ? CODE_NOTFOUND : CODE_IO, -mine, "cannot open %s", path);
    journal_lock(j);
    int spare = -1;
    if (s->file < 0) {
        s->file = mine;
        j->files_open++;
    } else { /* somebody was quicker */
        spare = mine;
    }
    *file = s->file;
    journal_unlock(j);
    if (spare >= 0)
        j->io->close(j->io->self, spare);
    return CODE_OK;
}

void segment_unpin(struct journal *j, struct segment *s)
{
    int file = -1;
    journal_lock(j);
    FG_ASSERT(s->pins > 0);
    if (--s->pins == 0 && s->sealed && s->file >= 0 && j->files_open > OPEN_FILES_MAX) {
        file = s->file;
        s->file = -1;
        j->files_open--;
    }
    journal_unlock(j);
    if (file >= 0)
        j->io->close(j->io->self, file);
}
