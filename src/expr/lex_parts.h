/* lex_parts.h - how a lexer walks over its text. Queries (lex.c) and conditions (condition_lex.c) have words of their own; lines and
 * columns, letters and digits are the same. Not for others. */
#pragma once

#include "expr/lex.h"

/* The byte so far ahead, or -1 behind the end. */
static inline int peek(const struct lexer *l, size_t ahead)
{
    return l->offset + ahead < l->source.len ? l->source.at[l->offset + ahead] : -1;
}

/* Goes `n` bytes on; they must be there. */
static inline void step(struct lexer *l, size_t n)
{
    while (n--) {
        uint8_t c = l->source.at[l->offset++];
        if (c == '\n') {
            l->place.line++;
            l->place.column = 1;
        } else if ((c & 0xc0) != 0x80) { /* a character counts when its first byte has gone by */
            l->place.column++;
        }
    }
}

/* The text from this offset up to here. */
static inline struct bytes since(const struct lexer *l, size_t from)
{
    return bytes_of(l->source.at + from, l->offset - from);
}

static inline bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* The letters, digits and _ at hand. */
static inline struct bytes letters(struct lexer *l)
{
    size_t from = l->offset;
    while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)))
        step(l, 1);
    return since(l, from);
}

/* The character at hand for a message, all bytes of it. Yields `out`. */
static inline const char *shown(const struct lexer *l, char out[24])
{
    size_t n = 1;
    while (n < 4 && peek(l, n) >= 0 && (peek(l, n) & 0xc0) == 0x80)
        n++;
    return bytes_escape(bytes_of(l->source.at + l->offset, n), out, 24);
}

/* True if the word is this one, any case. */
static inline bool is_word(struct bytes text, const char *keyword)
{
    if (text.len != strlen(keyword))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((text.at[i] | 0x20) != ((uint8_t)keyword[i] | 0x20))
            return false;
    return true;
}
