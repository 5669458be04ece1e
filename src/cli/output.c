#include "cli/output.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

const char *const output_words[] = { "table", "json", "jsonl", "csv", NULL };

/* A table on a terminal is aligned over so many rows at a time, so that an endless one is still seen. */
enum { HELD_ROWS_MAX = 500, HELD_BYTES_MAX = 4 << 20, FIELD_BYTES_MAX = 1 << 20 };
#define CELL_END '\x1f'

bool output_colour(FILE *to)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    return isatty(fileno(to)) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

void output_mark(FILE *to, enum output_mark mark)
{
    static const char *const words[] = { "ok", "!!", "xx", "--" };
    static const char *const colours[] = { "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m" };
    if (output_colour(to))
        (void)fprintf(to, "%s%s\x1b[0m", colours[mark], words[mark]);
    else
        (void)fputs(words[mark], to);
}

static void emit(struct output *o, struct bytes b)
{
    if (b.len && fwrite(b.at, 1, b.len, o->to) != b.len)
        o->failed = true;
}

static void emit_str(struct output *o, const char *s)
{
    emit(o, bytes_str(s));
}

void output_open(struct output *o, FILE *to, enum output_format format, const char *name,
                 const struct column *columns, size_t count)
{
    FG_ASSERT(count > 0 && count <= OUTPUT_COLUMNS_MAX);
    *o = (struct output){
        .to = to, .err = stderr, .format = format, .name = name, .columns = columns, .column_count = count
    };
    o->aligned = format == OUTPUT_TABLE && isatty(fileno(to));
    o->held.max = HELD_BYTES_MAX + FIELD_BYTES_MAX;
    if (format == OUTPUT_JSON) {
        emit_str(o, "{\"version\":1,\"");
        emit_str(o, name);
        emit_str(o, "\":[");
    }
    for (size_t i = 0; i < count; i++) {
        o->widths[i] = strlen(columns[i].title);
        if (format == OUTPUT_CSV || (format == OUTPUT_TABLE && !o->aligned)) {
            emit_str(o, i ? (format == OUTPUT_CSV ? "," : "\t") : "");
            emit_str(o, format == OUTPUT_CSV ? columns[i].key : columns[i].title);
        }
    }
    if (format == OUTPUT_CSV)
        emit_str(o, "\r\n");
    else if (format == OUTPUT_TABLE && !o->aligned)
        emit_str(o, "\n");
}

/* ---- aligned tables: rows are held until their widths are known ---- */

/* Columns on a terminal: code points, which is right for what we print. */
static size_t width_of(struct bytes text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += (text.at[i] & 0xc0) != 0x80;
    return n;
}

static void pad(struct output *o, size_t n)
{
    while (n-- > 0)
        emit_str(o, " ");
}

static void put_aligned(struct output *o, size_t column, struct bytes text)
{
    size_t width = width_of(text), room = o->widths[column] > width ? o->widths[column] - width : 0;
    bool last = column + 1 == o->column_count, right = o->columns[column].kind == COLUMN_NUMBER;
    pad(o, right ? room : 0);
    emit(o, text);
    if (!last)
        pad(o, (right ? 0 : room) + 2);
    else
        emit_str(o, "\n");
}

static void release(struct output *o)
{
    /* After a failed addition the last cell may lack its end. */
    struct bytes rest = o->held.bad ? BYTES_NONE : buf_bytes(&o->held);
    if (o->rows == o->held_rows)
        for (size_t i = 0; i < o->column_count; i++)
            put_aligned(o, i, bytes_str(o->columns[i].title));
    for (size_t column = 0; rest.len; column = (column + 1) % o->column_count) {
        const uint8_t *end = memchr(rest.at, CELL_END, rest.len);
        FG_ASSERT(end);
        struct bytes cell = bytes_of(rest.at, (size_t)(end - rest.at));
        put_aligned(o, column, cell);
        rest = bytes_from(rest, cell.len + 1);
    }
    buf_reset(&o->held);
    o->held_rows = 0;
}

static void hold(struct output *o, struct bytes text)
{
    size_t width = width_of(text);
    if (width > o->widths[o->cell])
        o->widths[o->cell] = width;
    buf_add_bytes(&o->held, text);
    buf_u8(&o->held, CELL_END);
    o->failed |= o->held.bad;
}

/* ---- cells ---- */

static void begin_cell(struct output *o)
{
    FG_ASSERT(o->cell < o->column_count);
    bool first = o->cell == 0;
    switch (o->format) {
    case OUTPUT_JSON:
    case OUTPUT_JSONL:
        emit_str(o, !first ? "," : o->format == OUTPUT_JSONL ? "{" : o->rows ? ",\n{" : "\n{");
        emit_str(o, "\"");
        emit_str(o, o->columns[o->cell].key);
        emit_str(o, "\":");
        return;
    case OUTPUT_CSV:
        emit_str(o, first ? "" : ",");
        return;
    default:
        if (!o->aligned)
            emit_str(o, first ? "" : "\t");
        return;
    }
}

static void end_cell(struct output *o)
{
    if (++o->cell < o->column_count)
        return;
    o->cell = 0;
    o->rows++;
    if (o->format == OUTPUT_JSONL) {
        emit_str(o, "}\n");
        o->failed |= fflush(o->to) != 0;
    } else if (o->format == OUTPUT_JSON) {
        emit_str(o, "}");
    } else if (o->format == OUTPUT_CSV) {
        emit_str(o, "\r\n");
    } else if (!o->aligned) {
        emit_str(o, "\n");
    } else if (++o->held_rows == HELD_ROWS_MAX || buf_size(&o->held) > HELD_BYTES_MAX) {
        release(o);
    }
}

void output_escape(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.len;) {
        uint8_t c = text.at[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        bool plain = n <= text.len - i && (n == 1 || utf8_valid(bytes_of(text.at + i, n), true)) &&
                     !utf8_steers(text.at + i, n);
        if (plain)
            buf_add(out, text.at + i, n);
        else
            buf_printf(out, "\\x%02x", c);
        i += plain ? n : 1;
    }
}

static void put_plain(struct output *o, struct bytes text)
{
    struct buf b = { .max = FIELD_BYTES_MAX };
    output_escape(&b, text);
    o->failed |= b.bad;
    if (o->aligned)
        hold(o, buf_bytes(&b));
    else
        emit(o, buf_bytes(&b));
    buf_clear(&b);
}

/* RFC 4180: quotes only where needed, doubled inside. */
static void put_csv(struct output *o, struct bytes text)
{
    bool quote = false;
    for (size_t i = 0; i < text.len; i++)
        quote |= text.at[i] == '"' || text.at[i] == ',' || text.at[i] == '\n' || text.at[i] == '\r';
    emit_str(o, quote ? "\"" : "");
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"')
            emit_str(o, "\"");
        emit(o, bytes_of(text.at + i, 1));
    }
    emit_str(o, quote ? "\"" : "");
}

static void put_json(struct output *o, struct bytes text)
{
    struct buf b = { 0 };
    buf_json(&b, text);
    o->failed |= b.bad;
    emit(o, buf_bytes(&b));
    buf_clear(&b);
}

static void cell(struct output *o, struct bytes text, const struct bytes *json)
{
    begin_cell(o);
    if (o->format == OUTPUT_TABLE)
        put_plain(o, text);
    else if (o->format == OUTPUT_CSV)
        put_csv(o, text);
    else if (json)
        emit(o, *json);
    else
        put_json(o, text);
    end_cell(o);
}

void output_text(struct output *o, struct bytes text)
{
    cell(o, text, NULL);
}

void output_printf(struct output *o, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cell(o, bytes_str(text), NULL);
}

void output_count(struct output *o, uint64_t v)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, v);
    struct bytes b = bytes_str(text);
    cell(o, b, &b);
}

void output_decimal(struct output *o, double v, int digits)
{
    char text[64];
    if (!isfinite(v)) {
        output_none(o);
        return;
    }
    (void)snprintf(text, sizeof text, fabs(v) < 1e15 ? "%.*f" : "%.*e", digits, v);
    struct bytes b = bytes_str(text);
    cell(o, b, &b);
}

void output_either(struct output *o, struct bytes text, struct bytes json)
{
    cell(o, text, &json);
}

void output_none(struct output *o)
{
    struct bytes none = BYTES_LIT("null");
    cell(o, o->format == OUTPUT_CSV ? BYTES_NONE : BYTES_LIT("-"), &none);
}

int output_close(struct output *o)
{
    FG_ASSERT(o->cell == 0);
    if (o->aligned && (o->held_rows || !o->rows))
        release(o);
    if (o->format == OUTPUT_JSON)
        emit_str(o, o->rows ? "\n]}\n" : "]}\n");
    buf_clear(&o->held);
    bool lost = fflush(o->to) != 0 || ferror(o->to);
    /* What the kernel did not take is said by verb_main, for every verb. */
    if (o->failed && !lost)
        (void)fprintf(o->err, "fieldgate: no memory to print everything\n");
    return lost || o->failed;
}
