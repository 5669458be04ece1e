/* audit.c - what was done, when, for which event, with which result: DATA/audit/actions.jsonl and the log.
 *
 * Lines are numbered without a gap, over restarts too. At 16 MiB the file becomes actions.1.jsonl, which is kept until the next one. */
#include "action/action_private.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FILE_BYTES_MAX = 16 << 20, TAIL_BYTES = 8192, EVENT_BYTES = 1024, PATH_BYTES = 4096 };

struct audit {
    const struct io *io;
    char dir[PATH_BYTES], path[PATH_BYTES + 32], old[PATH_BYTES + 32];
    int file;
    uint64_t size, number;
    bool told;
};

/* The number of the last whole line. */
static uint64_t last_number(struct audit *a)
{
    char tail[TAIL_BYTES + 1];
    uint64_t from = a->size > TAIL_BYTES ? a->size - TAIL_BYTES : 0, number = 0;
    int64_t n = io_read_all(a->io, a->file, tail, (size_t)(a->size - from), from);
    if (n <= 0)
        return 0;
    tail[n] = 0;
    for (char *at = tail; (at = strstr(at, "{\"number\":")); at += 10)
        number = strtoull(at + 10, NULL, 10);
    return number;
}

static enum code open_file(struct audit *a, struct fault *why)
{
    struct io_stat st = {0};
    a->file = a->io->open(a->io->self, a->path, IO_READ | IO_WRITE | IO_CREATE);
    if (a->file < 0)
        return FAIL_SYS(why, CODE_IO, -a->file, "%s cannot be written", a->path);
    (void)a->io->stat(a->io->self, a->path, &st);
    a->size = st.size;
    return CODE_OK;
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
    int e = io->mkdir(io->self, a->dir);
    enum code c = e < 0 && e != -EEXIST ? FAIL_SYS(why, CODE_IO, -e, "%s cannot be made", a->dir)
                                        : open_file(a, why);
    if (c != CODE_OK) {
        mem_free(a);
        return c;
    }
    a->number = last_number(a);
    *out = a;
    return CODE_OK;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    if (a->file >= 0)
        a->io->close(a->io->self, a->file);
    mem_free(a);
}

static void turn_over(struct audit *a)
{
    struct fault why;
    a->io->close(a->io->self, a->file);
    (void)a->io->rename(a->io->self, a->path, a->old);
    (void)open_file(a, &why);
}

static void put_time(struct buf *out, int64_t wall_us)
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    buf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
               tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_us % 1000000));
}

static void put_line(struct audit *a, const struct audit_line *l, struct buf *out)
{
    buf_printf(out, "{\"number\":%" PRIu64 ",\"time\":", ++a->number);
    put_time(out, a->io->wall_us(a->io->self));
    buf_printf(out, ",\"action\":\"%s\",\"event\":\"%s\",\"what\":", l->action, l->event);
    buf_json(out, bytes_str(l->what));
    buf_printf(out, ",\"result\":\"%s\",\"tries\":%" PRIu32 ",\"took-ms\":%.3f,\"said\":", l->result,
               l->tries, (double)l->took_us / 1000);
    buf_json(out, bytes_str(l->said));
    buf_printf(out, ",\"message\":");
    buf_json(out, bytes_of(l->message.at, l->message.len > EVENT_BYTES ? EVENT_BYTES : l->message.len));
    buf_printf(out, "}");
}

void audit_write(struct audit *a, const struct audit_line *l, struct buf *json)
{
    bool bad = strcmp(l->result, "failed") == 0;
    char said[256], what[256], rest[400];
    buf_reset(json);
    put_line(a, l, json);
    (void)snprintf(rest, sizeof rest, "%s%s%s, %.1f ms after the event", l->result, l->said[0] ? ": " : "",
                   bytes_escape(bytes_str(l->said), said, sizeof said), (double)l->took_us / 1000);
    (void)bytes_escape(bytes_str(l->what), what, sizeof what);
    if (bad)
        log_warn("action", "FG6310 action %s: %s: %s", l->action, what, rest);
    else
        log_info("action", "FG6310 action %s: %s: %s", l->action, what, rest);
    if (json->bad || a->file < 0)
        return;
    struct bytes line = buf_bytes(json);
    struct buf whole = {0};
    buf_add_bytes(&whole, line);
    buf_u8(&whole, '\n');
    int e = whole.bad ? -ENOMEM : io_write_all(a->io, a->file, whole.at, whole.len, a->size);
    if (e < 0 && !a->told)
        log_error("action", "FG6311 the audit %s cannot be written (error %d); the log has what is missing",
                  a->path, -e);
    a->told = e < 0;
    if (e >= 0)
        a->size += whole.len;
    buf_clear(&whole);
    if (a->size >= FILE_BYTES_MAX)
        turn_over(a);
}
