/* checkpoint.c - a job's state in a file beside the journal.
 *
 *   DATA/jobs/NAME.GENERATION     "FGJOB1\n\0", u64 mark, u32 CRC-32C of the rest, the stream's state
 *
 * Written and synced first; then the record that lets go of what was read names it (struct place_note). The file before stays until
 * that record is on disk: a crash finds the record with its file, whichever it is.
 */
#include "job/job_private.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire.h"
#include "journal/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD = 20, NAME_BYTES = JOB_NAME_MAX + 24, PATH_BYTES = 4096 };
#define STATE_FILE_MAX ((size_t)4 << 30)
static const char magic[8] = "FGJOB1\n";

static uint8_t *put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(v >> (8 * i));
    return at;
}

/* Takes no memory: a note that could not be made would be one of another version. */
size_t place_note_put(const struct place_note *n, uint8_t out[PLACE_NOTE_BYTES])
{
    uint8_t *at = out;
    *at++ = n->count ? 2 : 1;
    at = put_u64(at, n->generation);
    at = put_u64(at, n->mark);
    at = put_u64(at, n->ordinal);
    if (n->count)
        *at++ = (uint8_t)n->count;
    for (uint32_t i = 0; i < n->count; i++) {
        at = put_u64(at, n->files[i].file);
        at = put_u64(at, n->files[i].size);
    }
    return (size_t)(at - out);
}

bool place_note_get(struct place_note *n, struct bytes b)
{
    struct wire w = wire_of(b);
    uint8_t version = wire_u8(&w);
    n->generation = wire_le64(&w);
    n->mark = wire_le64(&w);
    n->ordinal = wire_le64(&w);
    n->count = version == 2 ? wire_u8(&w) : 0;
    for (uint32_t i = 0; i < n->count && i < JOB_FILES_MAX; i++) {
        n->files[i].file = wire_le64(&w);
        n->files[i].size = wire_le64(&w);
    }
    return !w.bad && (version == 1 || version == 2) && n->count <= JOB_FILES_MAX && wire_left(&w) == 0;
}

static void file_name(const struct job *j, uint64_t generation, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s.%" PRIu64, j->plan->name, generation);
}

static void remove_file(const struct job *j, uint64_t generation)
{
    char name[NAME_BYTES], path[PATH_BYTES];
    file_name(j, generation, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", j->jobs->dir, name) < sizeof path)
        (void)j->jobs->io->unlink(j->jobs->io->self, path);
}

static enum code write_file(struct job *j, uint64_t generation, size_t *size, struct fault *why)
{
    struct buf file = {.max = STATE_FILE_MAX};
    char name[NAME_BYTES];
    buf_add(&file, magic, sizeof magic);
    buf_le64(&file, j->plan->mark);
    buf_le32(&file, 0);
    enum code c = stream_save(j->stream, &file);
    if (c == CODE_OK && file.bad)
        c = CODE_NOMEM;
    if (c != CODE_OK) {
        buf_clear(&file);
        return FAIL(why, c, 0, "its state cannot be written down: no memory, or more than %zu MiB",
                    STATE_FILE_MAX >> 20);
    }
    uint32_t crc = crc32c(0, file.at + HEAD, file.len - HEAD);
    for (int i = 0; i < 4; i++)
        file.at[16 + i] = (uint8_t)(crc >> (8 * i));
    file_name(j, generation, name);
    c = io_replace(j->jobs->io, j->jobs->dir, name, buf_bytes(&file), why);
    *size = file.len;
    buf_clear(&file);
    return c;
}

enum code checkpoint_write(struct job *j, struct fault *why)
{
    const struct io *io = j->jobs->io;
    int64_t begun = io->monotonic_us(io->self);
    size_t size = 0;
    if (j->old_generation && journal_durable(j->jobs->journal) < j->old_until)
        return FAIL(why, CODE_AGAIN, 0, "the one before is not on disk yet"); /* a third file would be needed */
    if (journal_failed(j->jobs->journal)) /* a file that a record may name is not replaced */
        return FAIL(why, CODE_IO, 0, "the journal cannot be written");
    checkpoint_tidy(j);
    uint64_t generation = j->generation + 1;
    struct place_note place = {.generation = generation, .mark = j->plan->mark, .ordinal = j->ordinal};
    enum code c = files_sync(j, &place, why);
    if (c == CODE_OK)
        c = write_file(j, generation, &size, why);
    if (c != CODE_OK)
        return c;
    uint8_t note[PLACE_NOTE_BYTES];
    size_t len = place_note_put(&place, note);
    uint64_t seq = 0;
    c = consumer_finish(j->consumer, j->position, bytes_of(note, len), &seq, why);
    if (c != CODE_OK) {
        if (!journal_failed(j->jobs->journal)) /* there is no such record */
            remove_file(j, generation);
        return c;
    }
    j->settle = false;
    j->old_generation = j->generation;
    j->old_until = seq;
    j->generation = generation;
    j->since = 0;
    j->checkpoints++;
    j->checkpoint_bytes = size;
    j->checkpoint_us = io->monotonic_us(io->self);
    j->checkpoint_cost_us = j->checkpoint_us - begun;
    return CODE_OK;
}

void checkpoint_tidy(struct job *j)
{
    if (!j->old_generation || journal_durable(j->jobs->journal) < j->old_until)
        return;
    remove_file(j, j->old_generation);
    j->old_generation = 0;
}

static enum code check(const struct job *j, struct bytes file, struct fault *why)
{
    struct wire w = wire_of(file);
    struct bytes head = wire_bytes(&w, sizeof magic);
    uint64_t mark = wire_le64(&w);
    uint32_t crc = wire_le32(&w);
    if (w.bad || !bytes_equal(head, bytes_of(magic, sizeof magic)) || mark != j->plan->mark)
        return FAIL(why, CODE_DAMAGED, 0, "it is not the state of this job");
    if (crc != crc32c(0, file.at + HEAD, file.len - HEAD))
        return FAIL(why, CODE_DAMAGED, 0, "its checksum does not hold");
    return CODE_OK;
}

static enum code read_file(struct job *j, uint64_t generation, struct fault *why)
{
    char name[NAME_BYTES], path[PATH_BYTES];
    char *text;
    size_t len;
    file_name(j, generation, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", j->jobs->dir, name) >= sizeof path)
        return FAIL(why, CODE_LIMIT, 0, "its path is too long");
    enum code c = io_load(j->jobs->io, path, STATE_FILE_MAX, &text, &len, why);
    if (c != CODE_OK)
        return c;
    c = check(j, bytes_of(text, len), why);
    if (c == CODE_OK)
        c = stream_load(j->stream, bytes_from(bytes_of(text, len), HEAD), why);
    mem_free(text);
    return c;
}

/* The files that no note names: of a crash between the two steps, or of a job of that name that was. The one before `keep` stays,
 * too: the record that names `keep` may not be on disk yet. */
struct sweep {
    const struct job *job;
    uint64_t keep;
};

static void sweep_one(void *ctx, const char *name)
{
    const struct sweep *s = ctx;
    size_t n = strlen(s->job->plan->name);
    char *end;
    if (strncmp(name, s->job->plan->name, n) != 0 || name[n] != '.')
        return;
    uint64_t generation = strtoull(name + n + 1, &end, 10);
    char path[PATH_BYTES];
    if (end == name + n + 1 || (*end && strcmp(end, ".tmp") != 0))
        return;
    bool kept = !*end && s->keep && (generation == s->keep || generation + 1 == s->keep);
    if (!kept && (size_t)snprintf(path, sizeof path, "%s/%s", s->job->jobs->dir, name) < sizeof path)
        (void)s->job->jobs->io->unlink(s->job->jobs->io->self, path);
}

static void sweep(const struct job *j, uint64_t keep)
{
    const struct io *io = j->jobs->io;
    (void)io->list(io->self, j->jobs->dir, sweep_one, &(struct sweep){j, keep});
}

/* From here on with nothing learned. That is a place, too: what is made from it has the numbers behind those that are taken, after
 * each crash the same. */
static enum code begin_anew(struct job *j, struct fault *why)
{
    uint8_t note[PLACE_NOTE_BYTES];
    j->ordinal = consumer_published(j->consumer);
    struct place_note place = {.mark = j->plan->mark, .ordinal = j->ordinal};
    enum code c = files_sync(j, &place, why);
    size_t len = place_note_put(&place, note);
    return c == CODE_OK ? consumer_finish(j->consumer, j->position, bytes_of(note, len), NULL, why) : c;
}

static enum code begin_without(struct job *j, uint64_t generation, const struct fault *lost,
                               struct fault *why)
{
    log_error("job", "FG6121 job %s: its state %s.%" PRIu64 " cannot be used, it begins anew: %s",
              j->plan->name, j->plan->name, generation, lost->text);
    stream_free(j->stream); /* it may have taken a part */
    j->stream = NULL;
    enum code c = stream_new(&j->stream, j->plan->query,
                             &(struct stream_sink){j, job_sink.row, job_sink.trouble}, why);
    return c == CODE_OK ? begin_anew(j, why) : c;
}

static uint64_t appended(const struct job *j)
{
    journal_lock(j->jobs->journal);
    uint64_t seq = journal_appended(j->jobs->journal);
    journal_unlock(j->jobs->journal);
    return seq;
}

enum code checkpoint_read(struct job *j, struct fault *why)
{
    uint8_t text[CONSUMER_NOTE];
    struct place_note note;
    struct fault lost;
    size_t len = consumer_note(j->consumer, text);
    bool known = place_note_get(&note, bytes_of(text, len));
    enum code c = files_open(j, known ? &note : NULL, why);
    if (c != CODE_OK)
        return c;
    j->position = consumer_head(j->consumer);
    sweep(j, known ? note.generation : 0);
    if (!known && len)
        log_error("job", "FG6121 job %s: another version of this program has written how far it is, it begins anew",
                  j->plan->name);
    if (!known)
        return begin_anew(j, why);
    j->generation = note.generation;
    j->old_generation = note.generation > 1 ? note.generation - 1 : 0;
    j->old_until = appended(j);
    if (note.mark != j->plan->mark) {
        log_info("job", "FG6120 job %s: its text or settings have changed, it begins anew", j->plan->name);
        return begin_anew(j, why);
    }
    j->ordinal = note.ordinal;
    c = note.generation ? read_file(j, note.generation, &lost) : CODE_OK;
    if (c != CODE_OK && c != CODE_NOMEM)
        return begin_without(j, note.generation, &lost, why);
    if (c == CODE_NOMEM && why)
        *why = lost;
    return c;
}

void checkpoint_remove(struct job *j)
{
    sweep(j, 0);
}
