#include "stream/csv.h"

#include "base/mem.h"

size_t csv_record(struct bytes text, bool last)
{
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"')
            quoted = !quoted;
        else if (text.at[i] == '\n' && !quoted)
            return i + 1;
    }
    return last ? text.len : 0;
}

static struct bytes without_end(struct bytes b)
{
    if (b.len && b.at[b.len - 1] == '\n')
        b.len--;
    if (b.len && b.at[b.len - 1] == '\r')
        b.len--;
    return b;
}

/* The next field: *raw is its text between the quotes (doubled ones still in), or as it stands. */
static enum code next_field(char separator, struct bytes *rest, struct bytes *raw, bool *quoted, bool *more, struct fault *why)
{
    const uint8_t *at = rest->at;
    size_t n = rest->len, i = 0, begin = 0, end;
    *quoted = n && at[0] == '"';
    if (*quoted) {
        for (i = begin = 1; i < n && !(at[i] == '"' && (i + 1 == n || at[i + 1] != '"')); i++)
            i += at[i] == '"';
        if (i >= n)
            return FAIL(why, CODE_MALFORMED, 0, "a quote is not closed");
        end = i++;
        if (i < n && at[i] != (uint8_t)separator)
            return FAIL(why, CODE_MALFORMED, 0, "text behind a closing quote");
    } else {
        while (i < n && at[i] != (uint8_t)separator)
            i++;
        end = i;
    }
    *raw = n ? bytes_of(at + begin, end - begin) : BYTES_NONE;
    *more = i < n;
    *rest = i < n ? bytes_from(*rest, i + 1) : BYTES_NONE;
    return CODE_OK;
}

static enum code put_text(struct buf *out, struct bytes raw, bool quoted, struct fault *why)
{
    if (!quoted || !memchr(raw.at, '"', raw.len)) {
        buf_json(out, raw);
        return CODE_OK;
    }
    uint8_t *plain = mem_alloc(raw.len);
    size_t n = 0;
    if (!plain)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a field");
    for (size_t i = 0; i < raw.len; i++) {
        plain[n++] = raw.at[i];
        i += raw.at[i] == '"';
    }
    buf_json(out, bytes_of(plain, n));
    mem_free(plain);
    return CODE_OK;
}

static size_t digits(struct bytes b, size_t i)
{
    while (i < b.len && b.at[i] >= '0' && b.at[i] <= '9')
        i++;
    return i;
}

/* As JSON spells numbers; a whole number that bigint does not hold is text. */
static bool is_number(struct bytes b)
{
    size_t sign = b.len && b.at[0] == '-', i = digits(b, sign);
    if (i == sign || (b.at[sign] == '0' && i > sign + 1) || b.len > 300)
        return false;
    if (i == b.len)
        return i - sign <= 18;
    if (b.at[i] == '.') {
        size_t from = ++i;
        if ((i = digits(b, i)) == from)
            return false;
    }
    if (i < b.len && (b.at[i] | 32) == 'e') {
        i++;
        i += i < b.len && (b.at[i] == '+' || b.at[i] == '-');
        size_t from = i;
        if ((i = digits(b, i)) == from || i - from > 2)
            return false;
    }
    return i == b.len;
}

static enum code check_text(struct bytes record, struct fault *why)
{
    return utf8_valid(record, true) ? CODE_OK : FAIL(why, CODE_MALFORMED, 0, "bytes that are not UTF-8");
}

/* The last label against those before it. */
static enum code check_name(const struct csv *c, struct fault *why)
{
    const uint8_t *last = c->labels.at + c->ends[c->count - 2];
    size_t len = c->ends[c->count - 1] - c->ends[c->count - 2];
    for (uint32_t i = 0, from = 0; i + 1 < c->count; from = c->ends[i++])
        if (c->ends[i] - from == len && memcmp(c->labels.at + from, last, len) == 0)
            return FAIL(why, CODE_MALFORMED, 0, "columns %u and %u have one name in the header line", i + 1, c->count);
    return CODE_OK;
}

/* One column whose name has what spreadsheets put between columns where the comma is the decimal point. */
static enum code refuse_other_separator(struct bytes name, struct fault *why)
{
    static const char others[] = ";\t|";
    for (const char *o = others; *o; o++)
        if (memchr(name.at, *o, name.len))
            return FAIL(why, CODE_UNSUPPORTED, (uint64_t)*o, "the header line has no comma but %s: is that what separates its fields?",
                        *o == '\t' ? "a tab" : *o == ';' ? "';'" : "'|'");
    return CODE_OK;
}

enum code csv_header(struct csv *c, struct bytes record, struct fault *why)
{
    struct bytes rest = without_end(record), raw;
    const char said = c->separator, separator = said ? said : ',';
    bool quoted, more = true;
    if (rest.len >= 3 && memcmp(rest.at, "\xef\xbb\xbf", 3) == 0)
        rest = bytes_from(rest, 3);
    *c = (struct csv){ .separator = separator };
    enum code code = check_text(record, why);
    if (code != CODE_OK)
        return code;
    if (!(c->ends = mem_alloc(CSV_FIELDS_MAX * sizeof *c->ends)))
        return FAIL(why, CODE_NOMEM, 0, "no memory for the names of the columns");
    while (more) {
        code = next_field(separator, &rest, &raw, &quoted, &more, why);
        if (code == CODE_OK && !said && !quoted && !more && !c->count)
            code = refuse_other_separator(raw, why);
        if (code == CODE_OK && !raw.len)
            code = FAIL(why, CODE_MALFORMED, 0, "column %u has no name in the header line", c->count + 1);
        if (code == CODE_OK && c->count == CSV_FIELDS_MAX)
            code = FAIL(why, CODE_LIMIT, 0, "more than %d columns", CSV_FIELDS_MAX);
        if (code == CODE_OK)
            code = put_text(&c->labels, raw, quoted, why);
        if (code != CODE_OK)
            return code;
        buf_u8(&c->labels, ':');
        c->ends[c->count++] = (uint32_t)buf_size(&c->labels);
        if (c->count > 1 && !c->labels.bad && (code = check_name(c, why)) != CODE_OK)
            return code;
    }
    return c->labels.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for the names of the columns") : CODE_OK;
}

enum code csv_object(const struct csv *c, struct bytes record, struct buf *out, struct fault *why)
{
    struct bytes rest = without_end(record), raw;
    bool quoted, more = true;
    enum code code = check_text(record, why);
    if (code != CODE_OK)
        return code;
    buf_u8(out, '{');
    for (uint32_t i = 0; more; i++) {
        if (i == c->count)
            return FAIL(why, CODE_MALFORMED, 0, "a record has more than the %u fields of the header line", c->count);
        code = next_field(c->separator, &rest, &raw, &quoted, &more, why);
        if (code != CODE_OK)
            return code;
        uint32_t from = i ? c->ends[i - 1] : 0;
        if (i)
            buf_u8(out, ',');
        buf_add(out, c->labels.at + from, c->ends[i] - from);
        if (!quoted && !raw.len)
            buf_add(out, "null", 4);
        else if (!quoted && is_number(raw))
            buf_add_bytes(out, raw);
        else if ((code = put_text(out, raw, quoted, why)) != CODE_OK)
            return code;
    }
    buf_u8(out, '}');
    return out->bad ? FAIL(why, CODE_NOMEM, 0, "no memory for a record") : CODE_OK;
}

void csv_clear(struct csv *c)
{
    buf_clear(&c->labels);
    mem_free(c->ends);
    *c = (struct csv){ 0 };
}
