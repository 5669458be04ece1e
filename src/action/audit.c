/* audit.c - what was done, when, for which event, with which result: DATA/audit/actions.jsonl and the log.
 *
 * Lines are numbered without a gap, over restarts too. At 16 MiB the file becomes actions.1.jsonl, which is kept until the next one.
 * A line that a crash cut off is removed when the file is opened: its event was not recorded as done either, and comes again. */
#include "action/action_private.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The longest line: 512 bytes of ours, 1,024 of the event, each of which may become six in JSON, and names. */
enum { FILE_BYTES_MAX = 16 << 20, LINE_MAX = 12 * 1024, EVENT_BYTES = 1024, WHAT_BYTES = 256, PATH_BYTES = 4096 };

struct audit {
    const struct io *io;
    char dir[PATH_BYTES], path[PATH_BYTES + 32], old[PATH_BYTES + 32];
    int file;
    uint64_t size, number;
    bool told;
};

#define LINE_BEGIN "{\"number\":"

/* ---- where it goes on ---- */

/* The last line of [from, to) that is whole and ours: its number and where it ends. Lines do not hold U+0000. */
static bool last_line(const char *text, size_t n, uint64_t *number, size_t *end)
{
    for (size_t to = n; to > 0; to--) {
        if (text[to - 1] != '\n')
            continue;
        size_t from = to - 1;
        while (from > 0 && text[from - 1] != '\n')
            from--;
        size_t begin = strlen(LINE_BEGIN);
        if (to - from <= begin || memcmp(text + from, LINE_BEGIN, begin) != 0 || text[to - 2] != '}')
            continue;
        *number = strtoull(text + from + begin, NULL, 10); /* ends at the comma */
        *end = to;
        return true;
    }
    return false;
}

/* Looks from the end on, in steps that overlap by a line. False: there is none. */
static bool find_last(const struct io *io, int file, uint64_t size, uint64_t *number, uint64_t *end)
{
    enum { STEP = 4 * LINE_MAX };
    char *text = mem_alloc(STEP + LINE_MAX);
    bool found = false;
    for (uint64_t to = size; text && to > 0 && !found;) {
        uint64_t from = to > STEP ? to - STEP : 0, upto = to + LINE_MAX < size ? to + LINE_MAX : size;
        int64_t n = io_read_all(io, file, text, (size_t)(upto - from), from);
        size_t at;
        found = n > 0 && last_line(text, (size_t)n, number, &at);
        if (found)
            *end = from + at;
        to = from;
    }
    mem_free(text);
    return found;
}

static enum code open_file(struct audit *a, struct fault *why)
{
    struct io_stat st = {0};
    int e = a->io->mkdir(a->io->self, a->dir);
    if (e < 0 && e != -EEXIST)
        return FAIL_SYS(why, CODE_IO, -e, "%s cannot be made", a->dir);
    a->file = a->io->open(a->io->self, a->path, IO_READ | IO_WRITE | IO_CREATE);
    if (a->file < 0)
        return FAIL_SYS(why, CODE_IO, -a->file, "%s cannot be written", a->path);
    (void)a->io->stat(a->io->self, a->path, &st);
    a->size = st.size;
    return CODE_OK;
}

/* Once, until it works again. */
static void tell(struct audit *a, const struct fault *why)
{
    if (!a->told)
        log_error("action", "FG6311 the audit cannot be written: %s; the log has what is missing", why->text);
    a->told = true;
}

static void find_place(struct audit *a)
{
    uint64_t end = 0;
    bool found = find_last(a->io, a->file, a->size, &a->number, &end);
    if (end < a->size) {
        log_warn("action", "FG6318 the end of the audit %s is no line of ours: %" PRIu64 " bytes were removed", a->path,
                 a->size - end);
        (void)a->io->truncate(a->io->self, a->file, end);
        a->size = end;
    }
    struct io_stat st;
    if (found || a->io->stat(a->io->self, a->old, &st) < 0)
        return;
    int old = a->io->open(a->io->self, a->old, IO_READ);
    if (old < 0)
        return;
    (void)find_last(a->io, old, st.size, &a->number, &end);
    a->io->close(a->io->self, old);
}

enum code audit_open(struct audit **out, const struct io *io, const char *data_dir, struct fault *why)
{
    struct audit *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the audit");
    a->io = io;
    a->file = -1;
    if ((size_t)snprintf(a->dir, sizeof a->dir, "%s/audit", data_dir) >= sizeof a->dir) {
        mem_free(a);
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    }
    (void)snprintf(a->path, sizeof a->path, "%s/actions.jsonl", a->dir);
    (void)snprintf(a->old, sizeof a->old, "%s/actions.1.jsonl", a->dir);
    if (open_file(a, why) == CODE_OK)
        find_place(a);
    else
        tell(a, why); /* what the machine needs is done all the same */
    *out = a;
    return CODE_OK;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    if (a->file >= 0) {
        (void)a->io->fdatasync(a->io->self, a->file);
        a->io->close(a->io->self, a->file);
    }
    mem_free(a);
}

/* ---- a line ---- */

static void turn_over(struct audit *a)
{
    struct fault why;
    (void)a->io->fdatasync(a->io->self, a->file);
    a->io->close(a->io->self, a->file);
    (void)a->io->rename(a->io->self, a->path, a->old);
    if (open_file(a, &why) != CODE_OK)
        tell(a, &why); /* the next line tries again */
}

static struct bytes cut(struct bytes b, size_t max)
{
    return bytes_of(b.at, b.len > max ? max : b.len);
}

static void put_line(struct audit *a, const struct audit_line *l, struct buf *out)
{
    char time[VALUE_TEXT_MAX];
    buf_printf(out, LINE_BEGIN "%" PRIu64 ",\"time\":\"%s\"", a->number + 1,
               value_print_time_utc(a->io->wall_us(a->io->self), time));
    buf_printf(out, ",\"action\":\"%s\",\"event\":\"%s\",\"what\":", l->action, l->event);
    buf_json(out, cut(bytes_str(l->what), WHAT_BYTES));
    buf_printf(out, ",\"result\":\"%s\",\"tries\":%" PRIu32 ",\"took-ms\":%.3f,\"after-ms\":%.3f", l->result, l->tries,
               (double)l->took_us / 1000, (double)l->after_us / 1000);
    if (l->held_back)
        buf_printf(out, ",\"held-back\":%" PRIu64, l->held_back);
    buf_printf(out, ",\"said\":");
    buf_json(out, cut(bytes_str(l->said), SAID_MAX));
    buf_printf(out, ",\"message\":");
    buf_json(out, cut(l->message, EVENT_BYTES));
    buf_printf(out, "}");
}

static void log_it(const struct audit_line *l)
{
    char said[SAID_MAX + 56], what[WHAT_BYTES], held[64] = "";
    (void)bytes_escape(bytes_str(l->said), said, sizeof said);
    (void)bytes_escape(bytes_str(l->what), what, sizeof what);
    if (l->held_back)
        (void)snprintf(held, sizeof held, "; %" PRIu64 " more were held back before it", l->held_back);
    if (strcmp(l->result, "failed") == 0)
        log_warn("action", "FG6310 action %s: %s: %s%s%s, %.1f ms after the event%s", l->action, what, l->result,
                 said[0] ? ": " : "", said, (double)l->after_us / 1000, held);
    else
        log_info("action", "FG6310 action %s: %s: %s%s%s, %.1f ms after the event%s", l->action, what, l->result,
                 said[0] ? ": " : "", said, (double)l->after_us / 1000, held);
}

static void write_line(struct audit *a, struct bytes json)
{
    struct fault why;
    struct buf line = {0};
    if (a->file < 0 && open_file(a, &why) != CODE_OK) {
        tell(a, &why);
        return;
    }
    buf_add_bytes(&line, json);
    buf_u8(&line, '\n');
    int e = line.bad ? -ENOMEM : io_write_all(a->io, a->file, line.at, line.len, a->size);
    if (e >= 0) {
        a->size += line.len;
        a->told = false;
    } else {
        (void)FAIL_SYS(&why, CODE_IO, -e, "%s", a->path);
        tell(a, &why);
        (void)a->io->truncate(a->io->self, a->file, a->size); /* what is there of it */
    }
    buf_clear(&line);
    if (a->size >= FILE_BYTES_MAX)
        turn_over(a);
}

/* A line that could not be written has its number all the same: that it is missing shows. */
void audit_write(struct audit *a, const struct audit_line *l, struct buf *json)
{
    buf_reset(json);
    put_line(a, l, json);
    a->number++;
    log_it(l);
    if (!json->bad)
        write_line(a, buf_bytes(json));
}
