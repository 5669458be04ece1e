#include "sensor/replay.h"

#include "base/mem.h"
#include "base/values.h"

#include <stdio.h>

struct replay {
    const struct io *io;
    char            *path;
    int              file;
    uint64_t         offset, line;
    unsigned         time_column, value_column, columns;
    size_t           have, at;     /* bytes in block, and how many are used up */
    bool             ended;
    char             block[REPLAY_LINE_MAX * 2];
    char             text[REPLAY_LINE_MAX]; /* the row's fields, unquoted */
    struct bytes     fields[REPLAY_COLUMNS_MAX];
};

static enum code refill(struct replay *r, struct fault *why)
{
    memmove(r->block, r->block + r->at, r->have - r->at);
    r->have -= r->at;
    r->at = 0;
    int64_t n = io_read_all(r->io, r->file, r->block + r->have, sizeof r->block - r->have, r->offset);
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read %s", r->path);
    r->offset += (uint64_t)n;
    r->have += (size_t)n;
    r->ended = r->have < sizeof r->block;
    return CODE_OK;
}

/* The next line without its end. */
static enum code next_line(struct replay *r, struct bytes *line, struct fault *why)
{
    for (;;) {
        char *from = r->block + r->at;
        char *end = memchr(from, '\n', r->have - r->at);
        if (!end && !r->ended && r->have - r->at < REPLAY_LINE_MAX) {
            enum code c = refill(r, why);
            if (c != CODE_OK)
                return c;
            continue;
        }
        size_t len = end ? (size_t)(end - from) : r->have - r->at;
        if (!end && len == 0)
            return CODE_END;
        r->line++;
        if (len >= REPLAY_LINE_MAX)
            return FAIL(why, CODE_LIMIT, 0, "%s:%llu: the line is longer than %d bytes", r->path,
                        (unsigned long long)r->line, REPLAY_LINE_MAX);
        r->at += len + (end ? 1 : 0);
        if (len && from[len - 1] == '\r')
            len--;
        *line = bytes_of(from, len);
        return CODE_OK;
    }
}

/* One field from `in` to `out`; returns how many bytes of `in` it took, without the comma. */
static size_t unquote(struct bytes in, char *out, size_t *len)
{
    size_t i = 0, n = 0;
    bool quoted = in.len && in.at[0] == '"';
    for (i = quoted; i < in.len; i++) {
        uint8_t c = in.at[i];
        if (quoted && c == '"') {
            if (i + 1 < in.len && in.at[i + 1] == '"')
                i++;
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && c == ',') {
            break;
        }
        out[n++] = (char)c;
    }
    *len = n;
    return i;
}

static enum code split(struct replay *r, struct bytes line, struct fault *why)
{
    char *out = r->text;
    r->columns = 0;
    for (;;) {
        if (r->columns == REPLAY_COLUMNS_MAX)
            return FAIL(why, CODE_LIMIT, 0, "%s:%llu: more than %d columns", r->path, (unsigned long long)r->line,
                        REPLAY_COLUMNS_MAX);
        size_t len;
        size_t took = unquote(line, out, &len);
        r->fields[r->columns++] = bytes_of(out, len);
        out += len;
        if (took >= line.len)
            return CODE_OK;
        line = bytes_from(line, took + 1);
    }
}

static enum code find_column(struct replay *r, const char *name, unsigned *out, struct fault *why)
{
    char there[160] = "";
    for (unsigned i = 0; i < r->columns; i++) {
        if (bytes_is(r->fields[i], name)) {
            *out = i;
            return CODE_OK;
        }
        char one[64];
        size_t n = strlen(there);
        (void)snprintf(there + n, sizeof there - n, "%s%s", i ? ", " : "", bytes_escape(r->fields[i], one, sizeof one));
    }
    return FAIL(why, CODE_USAGE, 0, "%s has no column '%s'; it has: %s", r->path, name, there);
}

enum code replay_open(struct replay **out, const struct io *io, const char *path, const char *time_column,
                      const char *value_column, struct fault *why)
{
    int file = io->open(io->self, path, IO_READ);
    if (file < 0)
        return FAIL_SYS(why, CODE_NOTFOUND, -file, "cannot open %s", path);
    struct replay *r = mem_zalloc(1, sizeof *r);
    char *copy = mem_strdup(path);
    if (!r || !copy) {
        io->close(io->self, file);
        mem_free(r);
        mem_free(copy);
        return FAIL(why, CODE_NOMEM, 0, "no memory to replay %s", path);
    }
    r->io = io;
    r->path = copy;
    r->file = file;
    struct bytes line;
    enum code c = next_line(r, &line, why);
    if (c == CODE_END)
        c = FAIL(why, CODE_USAGE, 0, "%s is empty: a header line with column names is needed", path);
    if (c == CODE_OK)
        c = split(r, line, why);
    if (c == CODE_OK)
        c = find_column(r, time_column, &r->time_column, why);
    if (c == CODE_OK)
        c = find_column(r, value_column, &r->value_column, why);
    if (c != CODE_OK) {
        replay_close(r);
        return c;
    }
    *out = r;
    return CODE_OK;
}

static enum code read_time(struct bytes text, int64_t *us, struct fault *why)
{
    double seconds;
    if (value_parse_decimal(text, &seconds, NULL) == CODE_OK && seconds > -1e11 && seconds < 1e11) {
        *us = (int64_t)(seconds * 1e6);
        return CODE_OK;
    }
    char zoned[64];
    if (text.len + 2 > sizeof zoned || text.len < 10)
        return FAIL(why, CODE_USAGE, 0, "not a time");
    /* No offset stands there: UTC, so that a replay does not depend on where it runs. */
    struct bytes tail = bytes_from(text, 10);
    bool has_zone = memchr(tail.at, 'Z', tail.len) || memchr(tail.at, '+', tail.len) || memchr(tail.at, '-', tail.len);
    int n = snprintf(zoned, sizeof zoned, "%.*s%s", BYTES_FMT(text), has_zone ? "" : "Z");
    return value_parse_time(bytes_of(zoned, (size_t)n), 0, us, why);
}

enum code replay_next(struct replay *r, struct replay_row *row, struct fault *why)
{
    struct bytes line;
    do {
        enum code c = next_line(r, &line, why);
        if (c != CODE_OK)
            return c;
    } while (line.len == 0);
    enum code c = split(r, line, why);
    if (c != CODE_OK)
        return c;
    unsigned most = r->time_column > r->value_column ? r->time_column : r->value_column;
    if (r->columns <= most)
        return FAIL(why, CODE_MALFORMED, r->line, "%s:%llu: %u columns, the header has more", r->path,
                    (unsigned long long)r->line, r->columns);
    char shown[64];
    double number;
    *row = (struct replay_row){ .time_text = r->fields[r->time_column], .value = r->fields[r->value_column], .line = r->line };
    if (read_time(row->time_text, &row->time_us, NULL) != CODE_OK)
        return FAIL(why, CODE_MALFORMED, r->line, "%s:%llu: '%s' is not a time", r->path, (unsigned long long)r->line,
                    bytes_escape(row->time_text, shown, sizeof shown));
    if (value_parse_decimal(row->value, &number, NULL) != CODE_OK)
        return FAIL(why, CODE_MALFORMED, r->line, "%s:%llu: '%s' is not a number", r->path, (unsigned long long)r->line,
                    bytes_escape(row->value, shown, sizeof shown));
    return CODE_OK;
}

void replay_close(struct replay *r)
{
    if (!r)
        return;
    r->io->close(r->io->self, r->file);
    mem_free(r->path);
    mem_free(r);
}
