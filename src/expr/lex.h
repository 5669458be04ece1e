/* lex.h - words of a query. Keywords are not told from names here: they are names without brackets or quotes. */
#pragma once

#include "expr/ast.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,   /* letter or _ first, then letters, digits, _            */
    TOKEN_QUOTED, /* [name] or "name": never a keyword. text is unescaped  */
    TOKEN_TEXT,   /* '...' or N'...', unescaped                            */
    TOKEN_BIGINT,
    TOKEN_FLOAT,
    TOKEN_MARK    /* one of ( ) , . * + - / % = <> != < <= > >= ; and, for routes, || $ : ! */
};
struct token {
    uint8_t      kind;
    bool         double_quoted; /* TOKEN_QUOTED by "": may be meant as a text */
    struct place at, end;
    struct bytes text;          /* the name or text; of a mark its characters */
    struct value number;
};
struct lexer {
    struct bytes  source;
    size_t        offset;
    struct place  place;
    struct arena *arena;        /* unescaped texts */
};
void lex_begin(struct lexer *, struct bytes source, struct arena *);
/* CODE_USAGE with why->at = line * 65536 + column: a character that begins no word, an unfinished text or comment, a
 * number outside of bigint. CODE_NOMEM. */
FG_CHECK enum code lex_next(struct lexer *, struct token *out, struct fault *why);
/* True if it is this keyword (any case), unquoted. */
bool token_is(const struct token *, const char *keyword);
bool token_mark(const struct token *, const char *mark);
/* Words that end an expression or begin a clause; as a name they stand in brackets. */
bool token_is_reserved(const struct token *);
