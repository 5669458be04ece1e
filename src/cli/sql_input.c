#include "cli/sql_input.h"

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { PADDING = 64, CHUNK = 1 << 20, WAIT_MS = 200 };

enum code sql_input_open(struct sql_input *in, const struct io *io, const char *name, enum sql_format format, char separator,
                         struct fault *why)
{
    *in = (struct sql_input){
        .io = io, .name = name, .format = format, .file = STDIN_FILENO, .csv = { .separator = separator }
    };
    if (strcmp(name, "-") != 0) {
        in->file = io->open(io->self, name, IO_READ);
        if (in->file < 0)
            return FAIL_SYS(why, CODE_IO, -in->file, "cannot open %s", name);
    }
    in->open = true;
    in->cap = CHUNK;
    if ((in->at = mem_alloc(in->cap + PADDING)))
        return CODE_OK;
    sql_input_close(in);
    return FAIL(why, CODE_NOMEM, 0, "no memory to read %s", name);
}

void sql_input_close(struct sql_input *in)
{
    if (in->open && in->file != STDIN_FILENO)
        in->io->close(in->io->self, in->file);
    in->open = false;
    mem_free(in->at);
    in->at = NULL;
    csv_clear(&in->csv);
    buf_clear(&in->object);
}

/* ---- reading ---- */

static int64_t read_stdin(uint8_t *to, size_t n)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    int ready = poll(&p, 1, WAIT_MS);
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return -EAGAIN;
    ssize_t got = ready < 0 ? -1 : read(STDIN_FILENO, to, n);
    return got < 0 ? (errno == EINTR ? -EAGAIN : -errno) : got;
}

static enum code make_room(struct sql_input *in, struct fault *why)
{
    if (in->from && in->from >= in->len / 2) {
        memmove(in->at, in->at + in->from, in->len - in->from);
        in->len -= in->from;
        in->from = 0;
    }
    if (in->len < in->cap)
        return CODE_OK;
    if (in->from == 0 && in->cap >= SQL_MESSAGE_MAX)
        return FAIL(why, CODE_LIMIT, 0, "%s: a message of more than %d MiB", in->name, SQL_MESSAGE_MAX >> 20);
    uint8_t *more = mem_realloc(in->at, 2 * in->cap + PADDING);
    if (!more)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read %s", in->name);
    in->at = more;
    in->cap *= 2;
    return CODE_OK;
}

static enum code fill(struct sql_input *in, struct fault *why)
{
    enum code code = make_room(in, why);
    if (code != CODE_OK)
        return code;
    int64_t n = in->file == STDIN_FILENO
                    ? read_stdin(in->at + in->len, in->cap - in->len)
                    : in->io->pread(in->io->self, in->file, in->at + in->len, in->cap - in->len, in->offset);
    if (n == -EAGAIN)
        return CODE_AGAIN;
    if (n < 0)
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read %s", in->name);
    in->ended = n == 0;
    in->len += (size_t)n;
    in->offset += (uint64_t)n;
    memset(in->at + in->len, 0, PADDING);
    return CODE_OK;
}

static struct bytes unread(const struct sql_input *in)
{
    return bytes_of(in->at + in->from, in->len - in->from);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- what it is ---- */

static size_t line_length(struct bytes b, bool last)
{
    const uint8_t *end = b.len ? memchr(b.at, '\n', b.len) : NULL;
    return end ? (size_t)(end - b.at) + 1 : last ? b.len : 0;
}

static enum code start_csv(struct sql_input *in, struct fault *why)
{
    struct bytes b = unread(in);
    size_t n;
    while (!(n = csv_record(b, in->ended)) && !in->ended) {
        enum code code = fill(in, why);
        if (code != CODE_OK)
            return code;
        b = unread(in);
    }
    struct fault inner;
    enum code code = csv_header(&in->csv, bytes_of(b.at, n), &inner);
    if (code == CODE_UNSUPPORTED)
        return FAIL(why, CODE_USAGE, 0, "%s: %s Then say --separator %s; if it is one column, --separator ,", in->name, inner.text,
                    inner.at == '\t' ? "tab" : inner.at == ';' ? "';'" : "'|'");
    if (code != CODE_OK)
        return FAIL(why, code == CODE_MALFORMED ? CODE_USAGE : code, 0, "%s: %s", in->name, inner.text);
    in->from += n;
    in->line = 1;
    return CODE_OK;
}

/* The first bytes tell. CODE_MORE: not enough of them. */
static enum code find_format(struct sql_input *in, struct fault *why)
{
    struct bytes b = unread(in);
    size_t i = b.len >= 3 && memcmp(b.at, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < b.len && is_blank(b.at[i]))
        i++;
    if (i == b.len)
        return in->ended ? CODE_END : CODE_MORE;
    bool json = b.at[i] == '{' || b.at[i] == '[';
    if (in->format == SQL_CSV || (in->format == SQL_AUTO && !json)) {
        in->format = SQL_CSV;
        enum code code = start_csv(in, why);
        in->started = code == CODE_OK;
        return code;
    }
    size_t n = line_length(bytes_from(b, i), in->ended), end = i + n;
    if (!n)
        return CODE_MORE;
    while (end > i && is_blank(b.at[end - 1]))
        end--;
    in->format = SQL_JSON;
    in->whole = b.at[i] == '[' ? b.at[end - 1] != ']' : b.at[i] == '{' && b.at[end - 1] != '}';
    in->started = true;
    return CODE_OK;
}

static enum code start(struct sql_input *in, struct fault *why)
{
    for (;;) {
        enum code code = find_format(in, why);
        if (code != CODE_MORE)
            return code;
        code = fill(in, why);
        if (code != CODE_OK)
            return code;
    }
}

/* ---- messages ---- */

static enum code csv_message(struct sql_input *in, struct bytes record, struct bytes *message, struct fault *why)
{
    struct fault inner;
    buf_reset(&in->object);
    enum code code = csv_object(&in->csv, record, &in->object, &inner);
    if (code != CODE_OK)
        return FAIL(why, code, 0, "%s, record %llu: %s", in->name, (unsigned long long)in->line, inner.text);
    size_t len = buf_size(&in->object);
    if (!buf_room(&in->object, PADDING))
        return FAIL(why, CODE_NOMEM, 0, "no memory to read %s", in->name);
    memset(in->object.at + in->object.len, 0, PADDING);
    *message = bytes_of(in->object.at + in->object.from, len);
    return CODE_OK;
}

static size_t message_length(const struct sql_input *in)
{
    struct bytes b = unread(in);
    if (in->whole)
        return in->ended ? b.len : 0;
    return in->format == SQL_CSV ? csv_record(b, in->ended) : line_length(b, in->ended);
}

bool sql_input_ready(const struct sql_input *in)
{
    return in->started && message_length(in) != 0;
}

enum code sql_input_next(struct sql_input *in, struct bytes *message, struct fault *why)
{
    if (!in->started) {
        enum code code = start(in, why);
        if (code != CODE_OK)
            return code;
    }
    for (;;) {
        size_t n = message_length(in);
        if (!n) {
            if (in->ended)
                return CODE_END;
            enum code code = fill(in, why);
            if (code != CODE_OK)
                return code;
            continue;
        }
        struct bytes b = bytes_of(in->at + in->from, n);
        in->from += n;
        in->line++;
        size_t blanks = 0;
        while (blanks < b.len && is_blank(b.at[blanks]))
            blanks++;
        if (blanks == b.len)
            continue;
        if (in->format == SQL_CSV)
            return csv_message(in, b, message, why);
        *message = b;
        return CODE_OK;
    }
}
