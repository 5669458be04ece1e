#include "expr/json_reader.h"

#include "expr/number.h"

bool walk_refuse(struct walk *w, enum code code, size_t at, const char *what)
{
    if (!w->code) {
        w->code = code;
        w->wrong = what;
        w->wrong_at = at;
    }
    return false;
}

static bool refuse_here(struct walk *w, const char *what)
{
    if (w->word >= w->last)
        return walk_refuse(w, CODE_MALFORMED, w->len, "it ends too early");
    return walk_refuse(w, CODE_MALFORMED, *w->word, what);
}

/* What may stand behind a number or a literal. */
static bool ends_word(uint8_t c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ':' ||
           c == '{' || c == '[';
}

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* ---- texts ---- */

static bool hex4(const uint8_t *at, const uint8_t *end, unsigned *out)
{
    if (end - at < 4)
        return false;
    unsigned n = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i], letter = (uint8_t)((c | 0x20) - 'a');
        if (is_digit(c))
            n = n * 16 + (unsigned)(c - '0');
        else if (letter < 6)
            n = n * 16 + letter + 10;
        else
            return false;
    }
    *out = n;
    return true;
}

/* Behind `\u`. Half of a pair alone is no character. */
static const uint8_t *unicode_escape(const uint8_t *at, const uint8_t *end)
{
    unsigned high, low;
    if (!hex4(at, end, &high) || (high >= 0xdc00 && high < 0xe000))
        return NULL;
    at += 4;
    if (high < 0xd800 || high >= 0xe000)
        return at;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u' || !hex4(at + 2, end, &low) || low < 0xdc00 ||
        low >= 0xe000)
        return NULL;
    return at + 6;
}

static bool check_escapes(struct walk *w, struct bytes raw)
{
    const uint8_t *end = raw.at + raw.len;
    for (const uint8_t *at = raw.at; (at = memchr(at, '\\', (size_t)(end - at)));) {
        const uint8_t *from = at++;
        if (at < end && *at == 'u')
            at = unicode_escape(at + 1, end);
        else
            at = at < end && *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
        if (!at)
            return walk_refuse(w, CODE_MALFORMED, (size_t)(from - w->text),
                               "an escape that stands for no character");
    }
    return true;
}

bool walk_text(struct walk *w, struct bytes *raw)
{
    if (walk_at(w) != '"')
        return refuse_here(w, "not a text");
    /* The next word is the closing quote: texts end, and nothing inside of them is a word. */
    size_t from = w->word[0] + (size_t)1;
    *raw = bytes_of(w->text + from, w->word[1] - from);
    w->word += 2;
    return !w->escapes || raw->len == 0 || check_escapes(w, *raw);
}

/* ---- numbers ---- */

/* Rarely: many digits, or an exponent that double arithmetic alone does not do. */
static bool long_number(struct walk *w, const uint8_t *from, const uint8_t *end, bool whole,
                        struct value *out)
{
    struct bytes text = bytes_of(from, (size_t)(end - from));
    if (whole) {
        out->type = VALUE_BIGINT;
        return bigint_parse(text, &out->i) ||
               walk_refuse(w, CODE_MALFORMED, (size_t)(from - w->text), "an integer outside of 64 bits");
    }
    out->type = VALUE_FLOAT;
    return float_parse(text, &out->f) ||
           walk_refuse(w, CODE_MALFORMED, (size_t)(from - w->text), "a number outside of double precision");
}

static const uint8_t *fraction_end(const uint8_t *p, bool *whole)
{
    if (*p == '.') {
        *whole = false;
        if (!is_digit(*++p))
            return NULL;
        while (is_digit(*p))
            p++;
    }
    if ((*p | 0x20) == 'e') {
        *whole = false;
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return NULL;
        while (is_digit(*p))
            p++;
    }
    return p;
}

/* Ends before the next word, which is there: whoever asks is inside of an object or array. */
bool walk_number(struct walk *w, struct value *out)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    const uint8_t *from = w->text + *w->word, *p = from;
    bool minus = *p == '-';
    p += minus;
    const uint8_t *first = p;
    uint64_t n = 0;
    while (is_digit(*p))
        n = n * 10 + (uint64_t)(*p++ - '0');
    if (p == first || (*first == '0' && p > first + 1))
        return refuse_here(w, "not a number as JSON has them");
    if (ends_word(*p) && p - first <= 18) {
        w->word++;
        *out = value_bigint(minus ? -(int64_t)n : (int64_t)n);
        return true;
    }
    const uint8_t *point = p;
    if (*p == '.') {
        while (is_digit(*++p))
            n = n * 10 + (uint64_t)(*p - '0');
        /* Both exact in a double, so the quotient is rounded once. */
        if (p > point + 1 && ends_word(*p) && p - first <= 19 && n < UINT64_C(1) << 53) {
            w->word++;
            double f = (double)n / tens[p - point - 1];
            *out = value_float(minus ? -f : f);
            return true;
        }
    }
    bool whole = true;
    p = fraction_end(point, &whole);
    if (!p || !ends_word(*p))
        return refuse_here(w, "not a number as JSON has them");
    w->word++;
    return long_number(w, from, p, whole, out);
}

bool walk_literal(struct walk *w, struct value *out)
{
    const uint8_t *at = w->text + *w->word;
    static const struct {
        char word[6];
        uint8_t len, type, i;
    } table[] = {{"true", 4, VALUE_BIT, 1}, {"false", 5, VALUE_BIT, 0}, {"null", 4, VALUE_NULL, 0}};
    for (size_t k = 0; k < sizeof table / sizeof table[0]; k++)
        if (memcmp(at, table[k].word, table[k].len) == 0 && ends_word(at[table[k].len])) {
            *out = (struct value){.type = table[k].type, .len = table[k].type == VALUE_NULL, .i = table[k].i};
            w->word++;
            return true;
        }
    return refuse_here(w, "not a value");
}

/* ---- structure ---- */

bool walk_enter(struct walk *w)
{
    if (w->depth == w->depth_max)
        return walk_refuse(w, CODE_LIMIT, *w->word, "nested too deeply");
    w->depth++;
    w->word++;
    return true;
}

bool walk_name(struct walk *w, struct bytes *raw)
{
    if (w->keys++ == w->keys_max)
        return walk_refuse(w, CODE_LIMIT, w->word < w->last ? *w->word : w->len,
                           "too many fields in one event");
    if (walk_at(w) != '"')
        return refuse_here(w, "not the name of a field");
    if (!walk_text(w, raw))
        return false;
    if (walk_at(w) != ':')
        return refuse_here(w, "not the colon behind a field's name");
    w->word++;
    return true;
}

bool walk_more(struct walk *w, uint8_t close, bool *more)
{
    uint8_t c = walk_at(w);
    *more = c == ',';
    if (!*more && c != close)
        return refuse_here(w, close == '}' ? "neither , nor } behind a field"
                                           : "neither , nor ] behind an item");
    w->depth -= !*more;
    w->word++;
    return true;
}

static bool skip_record(struct walk *w)
{
    struct bytes name;
    bool more = true;
    if (!walk_enter(w))
        return false;
    if (walk_at(w) == '}')
        return walk_more(w, '}', &more);
    while (more)
        if (!walk_name(w, &name) || !walk_skip(w) || !walk_more(w, '}', &more))
            return false;
    return true;
}

static bool skip_array(struct walk *w)
{
    bool more = true;
    if (!walk_enter(w))
        return false;
    if (walk_at(w) == ']')
        return walk_more(w, ']', &more);
    while (more)
        if (!walk_skip(w) || !walk_more(w, ']', &more))
            return false;
    return true;
}

bool walk_skip(struct walk *w)
{
    struct bytes raw;
    struct value ignored;
    uint8_t c = walk_at(w);
    if (c == '"')
        return walk_text(w, &raw);
    if (c == '{')
        return skip_record(w);
    if (c == '[')
        return skip_array(w);
    if (w->last - w->word < 2) /* a number or literal ends at the next word */
        return walk_refuse(w, CODE_MALFORMED, w->len, "it ends too early");
    if (is_digit(c) || c == '-')
        return walk_number(w, &ignored);
    return walk_literal(w, &ignored);
}
