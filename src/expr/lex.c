#include "expr/lex_parts.h"

#include "base/number.h"

void lex_begin(struct lexer *l, struct bytes source, struct arena *arena)
{
    *l = (struct lexer){.source = source, .place = {1, 1}, .arena = arena};
    if (source.len >= 3 &&
        memcmp(source.at, "\xef\xbb\xbf", 3) == 0) /* a byte order mark, as editors write it */
        l->offset = 3;
}

static enum code skip_comment(struct lexer *l, struct fault *why)
{
    struct place at = l->place;
    step(l, 2);
    while (peek(l, 0) >= 0) {
        if (peek(l, 0) == '*' && peek(l, 1) == '/') {
            step(l, 2);
            return CODE_OK;
        }
        step(l, 1);
    }
    return FAIL(why, CODE_USAGE, place_at(at), "a comment begins here with /* and is not closed: there is no */");
}

static enum code skip_blanks(struct lexer *l, struct fault *why)
{
    for (;;) {
        int c = peek(l, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v') {
            step(l, 1);
        } else if (c == '-' && peek(l, 1) == '-') {
            while (peek(l, 0) >= 0 && peek(l, 0) != '\n')
                step(l, 1);
        } else if (c == '/' && peek(l, 1) == '*') {
            enum code code = skip_comment(l, why);
            if (code)
                return code;
        } else {
            return CODE_OK;
        }
    }
}

/* Up to the closing mark; doubled it stands for itself. The opening one is at hand. */
static enum code quoted(struct lexer *l, struct token *t, uint8_t close, const char *what, struct fault *why)
{
    step(l, 1);
    size_t from = l->offset, doubled = 0;
    for (;; step(l, 1)) {
        int c = peek(l, 0);
        if (c < 0)
            return FAIL(why, CODE_USAGE, place_at(t->at), "%s begins here and is not closed: there is no %c", what, close);
        if (c != close)
            continue;
        if (peek(l, 1) != close)
            break;
        step(l, 1);
        doubled++;
    }
    t->text = since(l, from);
    step(l, 1);
    if (!utf8_valid(t->text, true))
        return FAIL(why, CODE_USAGE, place_at(t->at), "%s is not UTF-8", what);
    if (!doubled)
        return CODE_OK;
    uint8_t *plain = arena_take(l->arena, t->text.len - doubled);
    if (!plain)
        return FAIL(why, CODE_NOMEM, place_at(t->at), "no memory");
    size_t n = 0;
    for (size_t i = 0; i < t->text.len; i++) {
        plain[n++] = t->text.at[i];
        i += t->text.at[i] == close; /* the second of two */
    }
    t->text = bytes_of(plain, n);
    return CODE_OK;
}

static enum code name_quoted(struct lexer *l, struct token *t, uint8_t close, struct fault *why)
{
    t->kind = TOKEN_QUOTED;
    t->double_quoted = close == '"';
    enum code code = quoted(l, t, close, "a name", why);
    if (!code && t->text.len == 0 && close == ']')
        return FAIL(why, CODE_USAGE, place_at(t->at), "a name is empty");
    return code;
}

static enum code number(struct lexer *l, struct token *t, struct fault *why)
{
    size_t from = l->offset;
    bool fraction = false;
    while (is_digit(peek(l, 0)))
        step(l, 1);
    if (peek(l, 0) == '.') {
        fraction = true;
        step(l, 1);
        while (is_digit(peek(l, 0)))
            step(l, 1);
    }
    int sign = peek(l, 1) == '+' || peek(l, 1) == '-';
    if ((peek(l, 0) | 0x20) == 'e' && peek(l, 0) > 0 && is_digit(peek(l, 1 + (size_t)sign))) {
        fraction = true;
        step(l, 1 + (size_t)sign);
        while (is_digit(peek(l, 0)))
            step(l, 1);
    }
    t->text = since(l, from);
    if (is_letter(peek(l, 0)))
        return FAIL(why, CODE_USAGE, place_at(l->place),
                    "a number ends where a letter begins; a name that begins "
                    "with a digit is written in [brackets]");
    t->kind = fraction ? TOKEN_FLOAT : TOKEN_BIGINT;
    if (fraction) {
        double f;
        if (!float_parse(t->text, &f))
            return FAIL(why, CODE_USAGE, place_at(t->at), "this number is outside of float");
        t->number = value_float(f);
        return CODE_OK;
    }
    uint64_t n = 0;
    for (size_t i = 0; i < t->text.len; i++)
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(t->text.at[i] - '0'), &n) || n > (uint64_t)INT64_MAX + 1)
            return FAIL(why, CODE_USAGE, place_at(t->at),
                        "this number is outside of the range of bigint (-9223372036854775808 to 9223372036854775807)");
    t->number = value_bigint((int64_t)n);
    return CODE_OK;
}

static void mark(struct lexer *l, struct token *t)
{
    static const char pairs[][3] = {"<>", "!=", "<=", ">=", "||"};
    t->kind = TOKEN_MARK;
    size_t n = 1;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (peek(l, 0) == pairs[i][0] && peek(l, 1) == pairs[i][1])
            n = 2;
    t->text = bytes_of(l->source.at + l->offset, n);
    step(l, n);
}

enum code lex_next(struct lexer *l, struct token *t, struct fault *why)
{
    enum code code = skip_blanks(l, why);
    if (code)
        return code;
    *t = (struct token){.kind = TOKEN_END, .at = l->place, .end = l->place};
    int c = peek(l, 0);
    if (c < 0)
        return CODE_OK;
    if ((c == 'N' || c == 'n') && peek(l, 1) == '\'') {
        step(l, 1);
        c = '\'';
    }
    if (c == '\'') {
        t->kind = TOKEN_TEXT;
        code = quoted(l, t, '\'', "a text", why);
    } else if (c == '[' || c == '"') {
        code = name_quoted(l, t, c == '[' ? ']' : '"', why);
    } else if (is_letter(c)) {
        t->kind = TOKEN_NAME;
        t->text = letters(l);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        code = number(l, t, why);
    } else if (c && strchr("(),.*+-/%=<>;$:!|", c)) {
        mark(l, t);
    } else {
        char text[24];
        return FAIL(why, CODE_USAGE, place_at(l->place),
                    "the character %s begins no word; names with it are written "
                    "in [brackets]",
                    shown(l, text));
    }
    t->end = l->place;
    return code;
}

bool token_is(const struct token *t, const char *keyword)
{
    return t->kind == TOKEN_NAME && is_word(t->text, keyword);
}

bool token_mark(const struct token *t, const char *mark)
{
    return t->kind == TOKEN_MARK && bytes_is(t->text, mark);
}

bool token_is_reserved(const struct token *t)
{
    static const char *const words[] = {
        "SELECT", "FROM", "WHERE", "GROUP", "HAVING",  "UNION", "INTO",     "JOIN",  "ON",    "AS",   "AND",
        "OR",     "NOT",  "IN",    "LIKE",  "BETWEEN", "IS",    "NULL",     "CASE",  "WHEN",  "THEN", "ELSE",
        "END",    "BY",   "WITH",  "CROSS", "INNER",   "OUTER", "DISTINCT", "ORDER", "APPLY", "LEFT", "OVER",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (token_is(t, words[i]))
            return true;
    return false;
}
