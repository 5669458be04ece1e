/* jtree.c - see jtree.h. */
#include "publisher/jtree.h"

#include "base/utf8.h"

struct reading {
    struct arena *arena;
    const uint8_t *at, *end, *line_at; /* line_at: where the line at hand begins */
    uint32_t line, parts;
    unsigned depth;
    struct fault *why;
    enum code code;
};

/* ---- what is wrong ---- */

static bool wrong_at(struct reading *r, enum code code, uint32_t line, uint32_t column, const char *what)
{
    if (r->code == CODE_OK)
        r->code = FAIL(r->why, code, (uint64_t)line * 65536 + (column & 65535), "%u:%u: %s", line, column,
                       what);
    return false;
}

static uint32_t column(const struct reading *r)
{
    return (uint32_t)(r->at - r->line_at) + 1;
}

static bool wrong(struct reading *r, const char *what)
{
    return wrong_at(r, CODE_MALFORMED, r->line, column(r), what);
}

/* ---- blanks and comments ---- */

static void new_line(struct reading *r)
{
    r->line++;
    r->line_at = r->at;
}

static bool skip_block(struct reading *r)
{
    uint32_t line = r->line, col = column(r);
    for (r->at += 2; r->at < r->end;) {
        if (*r->at == '*' && r->end - r->at > 1 && r->at[1] == '/') {
            r->at += 2;
            return true;
        }
        if (*r->at++ == '\n')
            new_line(r);
    }
    return wrong_at(r, CODE_MALFORMED, line, col, "a comment begins here that has no end");
}

static bool skip(struct reading *r)
{
    while (r->at < r->end) {
        uint8_t c = *r->at;
        if (c == ' ' || c == '\t' || c == '\r') {
            r->at++;
        } else if (c == '\n') {
            r->at++;
            new_line(r);
        } else if (c == '/' && r->end - r->at > 1 && r->at[1] == '/') {
            while (r->at < r->end && *r->at != '\n')
                r->at++;
        } else if (c == '/' && r->end - r->at > 1 && r->at[1] == '*') {
            if (!skip_block(r))
                return false;
        } else {
            break;
        }
    }
    return true;
}

/* ---- texts ---- */

static int hex4(struct reading *r)
{
    int v = 0;
    if (r->end - r->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = r->at[i];
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    r->at += 4;
    return v;
}

/* Behind "\u". A text with U+0000 is refused: no name, node or path has one. */
static bool read_code_point(struct reading *r, uint8_t **to)
{
    int high = hex4(r), low = 0;
    if (high <= 0)
        return wrong(r, high ? "\\u needs four hexadecimal digits" : "U+0000 cannot stand in a text here");
    if (high >= 0xdc00 && high <= 0xdfff)
        return wrong(r, "half of a surrogate pair");
    if (high >= 0xd800 && high <= 0xdbff) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
            return wrong(r, "half of a surrogate pair");
        r->at += 2;
        low = hex4(r);
        if (low < 0xdc00 || low > 0xdfff)
            return wrong(r, "half of a surrogate pair");
        *to = utf8_put(*to, 0x10000u + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00));
        return true;
    }
    *to = utf8_put(*to, (uint32_t)high);
    return true;
}

static bool read_escape(struct reading *r, uint8_t **to)
{
    static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end)
        return wrong(r, "the text ends in an escape");
    uint8_t c = *r->at++;
    if (c == 'u')
        return read_code_point(r, to);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return wrong(r, "an escape that JSON does not have (a backslash is written twice)");
    *(*to)++ = (uint8_t)is[at - from];
    return true;
}

/* Never longer than as it was written. */
static bool unescape(struct reading *r, const uint8_t *from, const uint8_t *end, struct bytes *out)
{
    struct reading in = *r;
    uint8_t *copy = arena_take(r->arena, (size_t)(end - from)), *to = copy;
    if (!copy)
        return wrong_at(r, CODE_NOMEM, r->line, column(r), "no memory");
    in.at = from;
    in.end = end;
    while (in.at < in.end) {
        if (*in.at != '\\') {
            *to++ = *in.at++;
            continue;
        }
        in.at++;
        if (!read_escape(&in, &to)) {
            r->code = in.code;
            return false;
        }
    }
    *out = bytes_of(copy, (size_t)(to - copy));
    return true;
}

static bool read_text(struct reading *r, struct bytes *out)
{
    const uint8_t *from = ++r->at;
    bool escapes = false;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at < 0x20)
            return wrong(r, "a control character in a text (a line break is written \\n)");
        escapes = escapes || *r->at == '\\';
        r->at += *r->at == '\\' && r->end - r->at > 1 ? 2 : 1;
    }
    if (r->at >= r->end)
        return wrong_at(r, CODE_MALFORMED, r->line, (uint32_t)(from - r->line_at),
                        "a text begins here that has no end");
    *out = bytes_of(from, (size_t)(r->at - from));
    if (!utf8_valid(*out, false))
        return wrong_at(r, CODE_MALFORMED, r->line, (uint32_t)(from - r->line_at),
                        "a text that is not UTF-8");
    if (escapes && !unescape(r, from, r->at, out))
        return false;
    r->at++;
    return true;
}

/* ---- values ---- */

static bool digits(struct reading *r)
{
    const uint8_t *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > from;
}

static bool read_number(struct reading *r, struct jtree *n)
{
    const uint8_t *from = r->at;
    r->at += *r->at == '-';
    bool zero = r->at < r->end && *r->at == '0', good = digits(r);
    good = good && !(zero && r->at - from > 1 + (*from == '-'));
    if (good && r->at < r->end && *r->at == '.') {
        r->at++;
        good = digits(r);
    }
    if (good && r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        r->at += r->at < r->end && (*r->at == '+' || *r->at == '-');
        good = digits(r);
    }
    n->kind = JTREE_NUMBER;
    n->text = bytes_of(from, (size_t)(r->at - from));
    return good || wrong_at(r, CODE_MALFORMED, n->line, n->column, "not a number as JSON writes it");
}

static bool read_word(struct reading *r, struct jtree *n)
{
    static const struct {
        const char *word;
        enum jtree_kind kind;
    } words[] = {{"null", JTREE_NULL}, {"true", JTREE_TRUE}, {"false", JTREE_FALSE}};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(r->end - r->at) >= len && memcmp(r->at, words[i].word, len) == 0) {
            r->at += len;
            n->kind = words[i].kind;
            return true;
        }
    }
    return wrong(r, "a value is missing here: a text needs quotes");
}

static bool read_value(struct reading *r, struct jtree **out);

static bool read_name(struct reading *r, struct jtree *map, struct bytes *name)
{
    uint32_t line = r->line, col = column(r);
    if (r->at == r->end || *r->at != '"')
        return wrong(r, "a name in quotes, or }, is missing here");
    if (!read_text(r, name) || !skip(r))
        return false;
    for (const struct jtree *f = map->first; f; f = f->next)
        if (bytes_equal(f->name, *name))
            return wrong_at(r, CODE_MALFORMED, line, col, "this name comes twice in its object");
    if (map->count >= 1000)
        return wrong_at(r, CODE_LIMIT, line, col, "more than 1,000 names in one object");
    if (r->at == r->end || *r->at != ':')
        return wrong(r, "a colon is missing here");
    r->at++;
    return skip(r);
}

static bool read_parts(struct reading *r, struct jtree *n, uint8_t close)
{
    struct jtree **end = &n->first;
    r->at++;
    for (;;) {
        struct bytes name = BYTES_NONE;
        if (!skip(r))
            return false;
        if (r->at < r->end && *r->at == close) {
            r->at++;
            return true;
        }
        if (close == '}' && !read_name(r, n, &name))
            return false;
        if (!read_value(r, end))
            return false;
        (*end)->name = name;
        end = &(*end)->next;
        n->count++;
        if (!skip(r))
            return false;
        if (r->at < r->end && *r->at == ',')
            r->at++;
        else if (r->at == r->end || *r->at != close)
            return wrong(r, close == '}' ? "a comma or } is missing here" : "a comma or ] is missing here");
    }
}

static bool read_value(struct reading *r, struct jtree **out)
{
    if (r->at == r->end)
        return wrong(r, "the text ends where a value is missing");
    if (++r->parts > JTREE_PARTS_MAX)
        return wrong_at(r, CODE_LIMIT, r->line, column(r), "more than 2,000,000 values");
    struct jtree *n = arena_zero(r->arena, sizeof *n);
    if (!n)
        return wrong_at(r, CODE_NOMEM, r->line, column(r), "no memory, or more of it than a file may take");
    n->line = r->line;
    n->column = column(r);
    *out = n;
    uint8_t c = *r->at;
    if (c == '{' || c == '[') {
        if (r->depth == JTREE_DEPTH)
            return wrong_at(r, CODE_LIMIT, r->line, column(r), "nested more than 32 deep");
        n->kind = c == '{' ? JTREE_MAP : JTREE_LIST;
        r->depth++;
        bool good = read_parts(r, n, c == '{' ? '}' : ']');
        r->depth--;
        return good;
    }
    if (c == '"') {
        n->kind = JTREE_TEXT;
        return read_text(r, &n->text);
    }
    return c == '-' || (c >= '0' && c <= '9') ? read_number(r, n) : read_word(r, n);
}

enum code jtree_parse(struct jtree **out, struct arena *arena, struct bytes text, struct fault *why)
{
    struct fault own;
    struct reading r = {.arena = arena, .line = 1, .why = why ? why : &own};
    if (bytes_starts(text, "\xef\xbb\xbf"))
        text = bytes_from(text, 3);
    r.at = r.line_at = text.at ? text.at : (const uint8_t *)"";
    r.end = r.at + text.len;
    if (skip(&r) && read_value(&r, out) && skip(&r) && r.at != r.end)
        (void)wrong(&r, "there is more behind the end of the value");
    return r.code;
}

/* ---- looking and changing ---- */

bool jtree_is(struct bytes a, const char *b)
{
    for (size_t i = 0; i < a.len; i++) {
        uint8_t x = a.at[i], y = (uint8_t)b[i];
        x = x >= 'A' && x <= 'Z' ? x | 32 : x;
        y = y >= 'A' && y <= 'Z' ? y | 32 : y;
        if (x != y || !y)
            return false;
    }
    return b[a.len] == 0;
}

struct jtree *jtree_get(const struct jtree *map, const char *name)
{
    if (!map || map->kind != JTREE_MAP)
        return NULL;
    for (struct jtree *f = map->first; f; f = f->next)
        if (jtree_is(f->name, name))
            return f;
    return NULL;
}

struct jtree *jtree_new(struct arena *arena, enum jtree_kind kind)
{
    struct jtree *n = arena_zero(arena, sizeof *n);
    if (n)
        n->kind = kind;
    return n;
}

static bool keep(struct arena *arena, struct bytes from, struct bytes *out)
{
    char *copy = arena_text(arena, from);
    *out = bytes_of(copy, from.len);
    return copy;
}

struct jtree *jtree_new_text(struct arena *arena, struct bytes text)
{
    struct jtree *n = jtree_new(arena, JTREE_TEXT);
    return n && keep(arena, text, &n->text) ? n : NULL;
}

struct jtree *jtree_copy(struct arena *arena, const struct jtree *from)
{
    struct jtree *n = jtree_new(arena, from->kind);
    if (!n || !keep(arena, from->name, &n->name) || !keep(arena, from->text, &n->text))
        return NULL;
    struct jtree **end = &n->first;
    for (const struct jtree *f = from->first; f; f = f->next) {
        *end = jtree_copy(arena, f); /* as deep as what was read: 32 */
        if (!*end)
            return NULL;
        end = &(*end)->next;
    }
    n->count = from->count;
    n->line = from->line;
    n->column = from->column;
    return n;
}

void jtree_add(struct jtree *list, struct jtree *part)
{
    struct jtree **end = &list->first;
    while (*end)
        end = &(*end)->next;
    *end = part;
    part->next = NULL;
    list->count++;
}

void jtree_drop(struct jtree *list, struct jtree *part)
{
    for (struct jtree **at = &list->first; *at; at = &(*at)->next)
        if (*at == part) {
            *at = part->next;
            list->count--;
            return;
        }
}

void jtree_set(struct jtree *map, struct bytes name, struct jtree *part)
{
    part->name = name;
    for (struct jtree **at = &map->first; *at; at = &(*at)->next)
        if (bytes_equal((*at)->name, name)) {
            part->next = (*at)->next;
            *at = part;
            return;
        }
    jtree_add(map, part);
}

/* ---- writing ---- */

static void new_row(struct buf *out, unsigned indent, unsigned depth)
{
    if (!indent)
        return;
    buf_u8(out, '\n');
    for (unsigned i = 0; i < indent * depth; i++)
        buf_u8(out, ' ');
}

static void write_at(struct buf *out, const struct jtree *n, unsigned indent, unsigned depth)
{
    static const char *const words[] = {"null", "false", "true"};
    bool map = n->kind == JTREE_MAP;
    if (n->kind < JTREE_NUMBER) {
        buf_add_bytes(out, bytes_str(words[n->kind]));
        return;
    }
    if (n->kind == JTREE_NUMBER) {
        buf_add_bytes(out, n->text);
        return;
    }
    if (n->kind == JTREE_TEXT) {
        buf_json(out, n->text);
        return;
    }
    buf_u8(out, map ? '{' : '[');
    for (const struct jtree *f = n->first; f; f = f->next) {
        new_row(out, indent, depth + 1);
        if (map) {
            buf_json(out, f->name);
            buf_add_bytes(out, indent ? BYTES_LIT(": ") : BYTES_LIT(":"));
        }
        write_at(out, f, indent, depth + 1);
        if (f->next)
            buf_u8(out, ',');
    }
    if (n->first)
        new_row(out, indent, depth);
    buf_u8(out, map ? '}' : ']');
}

void jtree_write(struct buf *out, const struct jtree *n, unsigned indent)
{
    write_at(out, n, indent, 0);
}
