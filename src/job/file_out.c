/* file_out.c - outputs that are files: a row is a line, appended.
 *
 * A file is written when the words of the batch are in the log, and synced before a checkpoint, whose note says how long it is then.
 * After a crash it is cut there, and what comes is appended: each row stands in it once. Another file of that name, or one that
 * somebody has made shorter (a log that was rotated), is appended to as it is. When it cannot be synced, the job goes back as after
 * a crash.
 */
#include "job/job_private.h"

#include "base/hash.h"
#include "base/log.h"

#include <inttypes.h>

static uint32_t outputs(const struct job *j)
{
    uint32_t n = j->files ? query_outputs(j->plan->query) : 0;
    return n < JOB_FILES_MAX ? n : JOB_FILES_MAX;
}

bool files_add(struct job *j, uint32_t output, struct bytes json)
{
    struct buf *rows = &j->files[output].rows;
    buf_add_bytes(rows, json);
    buf_u8(rows, '\n');
    return !rows->bad;
}

void files_keep(struct job *j)
{
    for (uint32_t i = 0; i < outputs(j); i++)
        j->files[i].mark = buf_size(&j->files[i].rows);
}

void files_forget(struct job *j)
{
    for (uint32_t i = 0; i < outputs(j); i++) {
        struct file_out *f = &j->files[i];
        if (!f->mark)
            buf_reset(&f->rows);
        else
            f->rows.len = f->rows.from + f->mark;
        f->rows.bad = false;
    }
}

enum code files_write(struct job *j, struct fault *why)
{
    const struct io *io = j->jobs->io;
    for (uint32_t i = 0; i < outputs(j); i++) {
        struct file_out *f = &j->files[i];
        struct bytes rows = buf_bytes(&f->rows);
        if (!f->path || !rows.len)
            continue;
        int e = f->file < 0 ? f->file : io_write_all(io, f->file, rows.at, rows.len, f->size);
        if (e < 0)
            return FAIL_SYS(why, CODE_IO, -e, "%s cannot be written", f->path);
        f->size += rows.len;
        f->unsynced = true;
        f->mark = 0;
        buf_reset(&f->rows);
    }
    return CODE_OK;
}

/* Which file that is: what somebody has put in its place is not ours to cut. */
static uint64_t identity_of(const struct file_out *f)
{
    return hash_partition(bytes_str(f->path)) ^ f->inode * 0x9e3779b97f4a7c15;
}

enum code files_sync(struct job *j, struct place_note *note, struct fault *why)
{
    const struct io *io = j->jobs->io;
    note->count = 0;
    for (uint32_t i = 0; i < outputs(j); i++) {
        struct file_out *f = &j->files[i];
        if (!f->path)
            continue;
        int e = f->unsynced ? io->fdatasync(io->self, f->file) : 0;
        if (e < 0) {
            /* A second sync would be content: the system may have dropped what it could not write. Only the checkpoint is sure. */
            j->astray = true;
            return FAIL_SYS(why, CODE_IO, -e, "%s cannot be synced, what was written since the last checkpoint is written again",
                            f->path);
        }
        f->unsynced = false;
        note->files[note->count].file = identity_of(f);
        note->files[note->count++].size = f->size;
    }
    return CODE_OK;
}

/* How long it was at the checkpoint, or NULL: not known. */
static const uint64_t *size_in(const struct place_note *note, const struct file_out *f)
{
    for (uint32_t i = 0; note && i < note->count; i++)
        if (note->files[i].file == identity_of(f))
            return &note->files[i].size;
    return NULL;
}

static enum code open_one(struct job *j, struct file_out *f, const struct place_note *note, struct fault *why)
{
    const struct io *io = j->jobs->io;
    struct io_stat st = {0};
    if (f->file >= 0) /* the name may be another file's by now */
        io->close(io->self, f->file);
    f->file = io->open(io->self, f->path, IO_READ | IO_WRITE | IO_CREATE);
    if (f->file < 0)
        return FAIL_SYS(why, CODE_IO, -f->file, "%s cannot be opened", f->path);
    int e = io->stat(io->self, f->path, &st);
    f->inode = st.inode;
    const uint64_t *size = size_in(note, f);
    if (e == 0 && size && st.size > *size) {
        e = io->truncate(io->self, f->file, *size);
        st.size = *size;
    } else if (e == 0 && size && st.size < *size) {
        log_warn("job", "FG6141 job %s: %s has %" PRIu64 " bytes where %" PRIu64 " were written; it is appended to as it is",
                 j->plan->name, f->path, st.size, *size);
    }
    if (e < 0)
        return FAIL_SYS(why, CODE_IO, -e, "%s cannot be brought to where the job was", f->path);
    f->size = st.size;
    return CODE_OK;
}

enum code files_open(struct job *j, const struct place_note *note, struct fault *why)
{
    enum code c = CODE_OK;
    for (uint32_t i = 0; c == CODE_OK && i < outputs(j); i++) {
        struct file_out *f = &j->files[i];
        f->path = j->plan->files[i];
        f->mark = 0;
        buf_reset(&f->rows);
        f->rows.bad = false;
        if (f->path)
            c = open_one(j, f, note, why);
    }
    return c;
}

void files_close(struct job *j)
{
    const struct io *io = j->jobs->io;
    for (uint32_t i = 0; j->plan && i < outputs(j); i++) {
        buf_clear(&j->files[i].rows);
        if (j->files[i].path && j->files[i].file >= 0)
            io->close(io->self, j->files[i].file);
    }
}
