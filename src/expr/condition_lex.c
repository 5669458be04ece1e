/* condition_lex.c - words of a condition. */
#include "expr/condition_parts.h"

#include "base/number.h"
#include "base/utf8.h"
#include "expr/lex_parts.h"

static int hex(int c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum code skip_blanks(struct lexer *l, struct fault *why)
{
    for (;;) {
        int c = peek(l, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            step(l, 1);
        } else if (c == '/' && peek(l, 1) == '*') {
            struct place at = l->place;
            step(l, 2);
            while (peek(l, 0) >= 0 && !(peek(l, 0) == '*' && peek(l, 1) == '/'))
                step(l, 1);
            if (peek(l, 0) < 0)
                return FAIL(why, CODE_USAGE, place_at(at), "a comment begins here with /* and has no */");
            step(l, 2);
        } else {
            return CODE_OK;
        }
    }
}

/* ---- texts ---- */

/* The four digits of \uXXXX at p, or -1. */
static int32_t unit_at(const struct lexer *l, size_t ahead)
{
    int32_t u = 0;
    for (size_t i = 0; i < 4; i++) {
        int h = peek(l, ahead + i) >= 0 ? hex(peek(l, ahead + i)) : -1;
        if (h < 0)
            return -1;
        u = u * 16 + h;
    }
    return u;
}

/* `\` is at hand. Bytes written, at most as many as were read; 0: it is no escape of the language. */
static size_t escaped(struct lexer *l, uint8_t *to)
{
    int c = peek(l, 1);
    if (c == '\'' || c == '"' || c == '\\') {
        to[0] = (uint8_t)c;
        step(l, 2);
        return 1;
    }
    int32_t u = c == 'u' || c == 'U' ? unit_at(l, 2) : -1;
    if (u < 0 || (u >= 0xdc00 && u <= 0xdfff))
        return 0;
    if (u < 0xd800 || u > 0xdbff) {
        step(l, 6);
        return (size_t)(utf8_put(to, (uint32_t)u) - to);
    }
    int32_t low = peek(l, 6) == '\\' && (peek(l, 7) | 0x20) == 'u' ? unit_at(l, 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    step(l, 12);
    return (size_t)(utf8_put(to, 0x10000 + ((uint32_t)(u - 0xd800) << 10) + (uint32_t)(low - 0xdc00)) - to);
}

/* `quote` is at hand. */
static enum code quoted(struct lexer *l, struct cond_word *w, uint8_t quote, struct fault *why)
{
    step(l, 1);
    size_t end = l->offset, n = 0;
    while (end < l->source.len && l->source.at[end] != quote)
        end += l->source.at[end] == '\\' ? 2 : 1;
    if (end >= l->source.len)
        return FAIL(why, CODE_USAGE, place_at(w->at), "a text begins here and has no closing %c", quote);
    uint8_t *plain = arena_take(l->arena, end - l->offset + 1);
    if (!plain)
        return FAIL(why, CODE_NOMEM, place_at(w->at), "no memory");
    while (l->offset < end) {
        size_t more = peek(l, 0) == '\\' ? escaped(l, plain + n) : 0;
        if (!more && peek(l, 0) == '\\')
            return FAIL(why, CODE_USAGE, place_at(l->place),
                        "\\ begins no escape here: \\' \\\" \\\\ and \\uXXXX do");
        if (!more) {
            plain[n] = l->source.at[l->offset];
            step(l, 1);
            more = 1;
        }
        n += more;
    }
    step(l, 1);
    w->kind = COND_TEXT;
    w->text = bytes_of(plain, n);
    if (!utf8_valid(w->text, true))
        return FAIL(why, CODE_USAGE, place_at(w->at), "a text is not UTF-8");
    return CODE_OK;
}

/* ---- the others ---- */

static enum code hexadecimal(struct lexer *l, struct cond_word *w, struct fault *why)
{
    uint64_t v = 0;
    size_t digits = 0;
    step(l, 2);
    for (; peek(l, 0) >= 0 && hex(peek(l, 0)) >= 0; step(l, 1), digits++) {
        if (v >> 59)
            return FAIL(why, CODE_USAGE, place_at(w->at), "this number is outside of 64 bits");
        v = v << 4 | (uint64_t)hex(peek(l, 0));
    }
    if (!digits)
        return FAIL(why, CODE_USAGE, place_at(w->at), "0x has no digits behind it");
    w->number = value_bigint((int64_t)v);
    return CODE_OK;
}

static enum code number(struct lexer *l, struct cond_word *w, struct fault *why)
{
    enum code c = CODE_OK;
    w->kind = COND_NUMBER;
    if (peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X')) {
        c = hexadecimal(l, w, why);
    } else {
        size_t from = l->offset;
        while (is_digit(peek(l, 0)) || peek(l, 0) == '.')
            step(l, 1);
        size_t sign = peek(l, 1) == '+' || peek(l, 1) == '-';
        if ((peek(l, 0) == 'e' || peek(l, 0) == 'E') && is_digit(peek(l, 1 + sign)))
            for (step(l, 1 + sign); is_digit(peek(l, 0));)
                step(l, 1);
        struct bytes b = since(l, from);
        int64_t i;
        double f;
        if (bigint_parse(b, &i))
            w->number = value_bigint(i);
        else if (float_parse(b, &f))
            w->number = value_float(f);
        else
            return FAIL(why, CODE_USAGE, place_at(w->at), "this is no number");
    }
    if (c == CODE_OK && (is_letter(peek(l, 0)) || is_digit(peek(l, 0))))
        return FAIL(why, CODE_USAGE, place_at(l->place), "a number ends where a letter begins");
    return c;
}

static enum code braced(struct lexer *l, struct cond_word *w, struct fault *why)
{
    step(l, 1);
    size_t from = l->offset;
    while (peek(l, 0) >= 0 && peek(l, 0) != '}')
        step(l, 1);
    if (peek(l, 0) < 0)
        return FAIL(why, CODE_USAGE, place_at(w->at), "a name begins here with { and has no }");
    w->kind = COND_BRACED;
    w->text = since(l, from);
    step(l, 1);
    if (!w->text.len || !utf8_valid(w->text, false))
        return FAIL(why, CODE_USAGE, place_at(w->at), "between { and } stands no name");
    return CODE_OK;
}

static enum code one_word(struct lexer *l, struct cond_word *w, struct fault *why)
{
    static const char *const marks[] = {"<>", "!=", "<=", ">=", "||", "??", "(", ")", "[", "]",
                                        ",",  ".",  "=",  "<",  ">",  "+",  "-", "*", "/", "%"};
    int c = peek(l, 0);
    if (c == '\'' || c == '"')
        return quoted(l, w, (uint8_t)c, why);
    if (c == '{')
        return braced(l, w, why);
    if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
        return number(l, w, why);
    if (is_letter(c) || (c == '$' && is_letter(peek(l, 1)))) {
        w->kind = c == '$' ? COND_SYSTEM : COND_NAME;
        step(l, c == '$');
        w->text = letters(l);
        return CODE_OK;
    }
    w->kind = COND_MARK;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t n = strlen(marks[i]);
        if (c != marks[i][0] || (n == 2 && peek(l, 1) != marks[i][1]))
            continue;
        w->text = bytes_of(l->source.at + l->offset, n);
        step(l, n);
        return CODE_OK;
    }
    char text[24];
    return FAIL(why, CODE_USAGE, place_at(l->place), "the character %s begins no word", shown(l, text));
}

enum code cond_next(struct lexer *l, struct cond_word *w, struct fault *why)
{
    enum code c = skip_blanks(l, why);
    if (c != CODE_OK)
        return c;
    *w = (struct cond_word){
        .kind = COND_END, .at = l->place, .end = l->place, .from = l->offset, .to = l->offset};
    if (peek(l, 0) >= 0)
        c = one_word(l, w, why);
    w->end = l->place;
    w->to = l->offset;
    return c;
}

bool cond_is(const struct cond_word *w, const char *keyword)
{
    return w->kind == COND_NAME && is_word(w->text, keyword);
}

bool cond_mark(const struct cond_word *w, const char *mark)
{
    return w->kind == COND_MARK && bytes_is(w->text, mark);
}
