#include "expr/json_reader.h"

#include "base/number.h"

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
static const uint8_t ends[256] = { [','] = 1,  ['}'] = 1,  [']'] = 1, [' '] = 1, ['\n'] = 1,
                                   ['\r'] = 1, ['\t'] = 1, [':'] = 1, ['{'] = 1, ['['] = 1 };

static inline bool ends_word(uint8_t c)
{
    return ends[c];
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

bool walk_text_odd(struct walk *w, struct bytes raw)
{
    if (walk_at(w) != '"')
        return refuse_here(w, "not a text");
    w->word += 2;
    return check_escapes(w, raw);
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

static bool odd_number(struct walk *w, const uint8_t *from, struct value *out)
{
    const uint8_t *p = from + (*from == '-'), *first = p;
    while (is_digit(*p))
        p++;
    if (p == first || (*first == '0' && p > first + 1))
        return refuse_here(w, "not a number as JSON has them");
    bool whole = true;
    p = fraction_end(p, &whole);
    if (!p || !ends_word(*p))
        return refuse_here(w, "not a number as JSON has them");
    w->word++;
    return long_number(w, from, p, whole, out);
}

/* How many of the eight bytes at `at` are digits before the first that is none, and their values, one a byte. A carry of the
 * addition only reaches bytes behind the first that is no digit. */
static inline unsigned digits_of(const uint8_t *at, uint64_t *values)
{
    uint64_t w;
    memcpy(&w, at, 8);
    w ^= 0x3030303030303030u;
    uint64_t others = ((w + 0x7676767676767676u) | w) & 0x8080808080808080u;
    *values = w;
    return others ? (unsigned)__builtin_ctzll(others) >> 3 : 8;
}

/* The number that `count` digits, 1 to 8, are: as eight with zeros before them, pairs, then fours, then all at once. */
static inline uint64_t join_digits(uint64_t values, unsigned count)
{
    values <<= 64 - 8 * count;
    values = values * 10 + (values >> 8);
    return ((values & 0x000000ff000000ffu) * 0x000f424000000064u + ((values >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u) >>
           32;
}

/* Ends before the next word, which is there: whoever asks is inside of an object or array. Up to seven digits on each side of
 * the point, without an exponent, is what nearly all are. */
bool walk_number(struct walk *w, struct value *out)
{
    static const double tens[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7 };
    static const uint32_t whole_tens[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000 };
    const uint8_t *from = w->text + *w->word, *p = from;
    bool minus = *p == '-';
    p += minus;
    uint64_t left, right;
    unsigned n = digits_of(p, &left);
    if (n == 0 || n == 8 || (*p == '0' && n > 1))
        return odd_number(w, from, out);
    uint64_t whole = join_digits(left, n);
    p += n;
    if (ends_word(*p)) {
        w->word++;
        *out = value_bigint(minus ? -(int64_t)whole : (int64_t)whole);
        return true;
    }
    n = *p == '.' ? digits_of(p + 1, &right) : 0;
    if (n == 0 || n == 8 || !ends_word(p[n + 1]))
        return odd_number(w, from, out);
    /* Both are exact in a double, so the quotient is rounded once. */
    double f = (double)(whole * whole_tens[n] + join_digits(right, n)) / tens[n];
    w->word++;
    *out = value_float(minus ? -f : f);
    return true;
}

/* The same without its value. */
static inline bool check_number(struct walk *w)
{
    struct value ignored;
    const uint8_t *from = w->text + *w->word, *p = from + (*from == '-');
    uint64_t values;
    unsigned n = digits_of(p, &values);
    if (n == 0 || n == 8 || (*p == '0' && n > 1))
        return odd_number(w, from, &ignored);
    p += n;
    if (*p == '.') {
        n = digits_of(p + 1, &values);
        p += n + 1;
        if (n == 0 || n == 8)
            return odd_number(w, from, &ignored);
    }
    if (!ends_word(*p))
        return odd_number(w, from, &ignored);
    w->word++;
    return true;
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

bool walk_too_deep(struct walk *w)
{
    return walk_refuse(w, CODE_LIMIT, *w->word, "nested too deeply");
}

bool walk_name_odd(struct walk *w)
{
    if (w->keys > w->keys_max)
        return walk_refuse(w, CODE_LIMIT, w->word < w->last ? *w->word : w->len, "too many fields in one event");
    if (walk_at(w) != '"')
        return refuse_here(w, "not the name of a field");
    w->word += 2;
    return refuse_here(w, "not the colon behind a field's name");
}

bool walk_more_odd(struct walk *w, uint8_t close)
{
    return refuse_here(w, close == '}' ? "neither , nor } behind a field" : "neither , nor ] behind an item");
}

static bool skip_odd(struct walk *w, uint8_t c)
{
    struct value ignored;
    if (w->last - w->word < 2) /* a number or literal ends at the next word */
        return walk_refuse(w, CODE_MALFORMED, w->len, "it ends too early");
    return is_digit(c) || c == '-' ? check_number(w) : walk_literal(w, &ignored);
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
    uint8_t c = walk_at(w);
    if (c == '"')
        return walk_text(w, &raw);
    if (c == '{')
        return skip_record(w);
    if (c == '[')
        return skip_array(w);
    return skip_odd(w, c);
}
