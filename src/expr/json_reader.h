/* json_reader.h - inside of the JSON reader: json_walk.c checks and skips, json_build.c makes values, json_pick.c fills the
 * slots of an event, json_reader.c is the door. */
#pragma once

#include "base/arena.h"
#include "expr/json.h"
#include "expr/json_index.h"
#include "expr/json_plan.h"

struct walk { /* through the words of one text */
    const uint8_t       *text;
    const uint32_t      *word; /* the one at hand */
    const uint32_t      *last; /* behind them all; stands for the end of the text */
    size_t               len;
    uint32_t             depth, depth_max;
    uint32_t             keys, keys_max; /* of this event */
    bool                 escapes, copy_texts;
    enum code            code;           /* first thing that was wrong */
    const char          *wrong;
    size_t               wrong_at;
    struct arena        *arena;          /* records, arrays, texts with escapes */
    struct record_field *stack;          /* of records and arrays being made    */
    uint32_t             used, room;
};

/* All return false when something is wrong, having said what in the walk. */
bool walk_refuse(struct walk *, enum code, size_t at, const char *what);

/* ---- json_walk.c; what is done for every word is inline, what goes wrong there is not ---- */
bool walk_text_odd(struct walk *, struct bytes raw);
bool walk_too_deep(struct walk *);
bool walk_name_odd(struct walk *);
bool walk_more_odd(struct walk *, uint8_t close);

static inline uint8_t walk_at(const struct walk *w) /* first byte of the word at hand; 0 at the end */
{
    return w->word < w->last ? w->text[*w->word] : 0;
}
/* The text at hand, without its quotes; checks its escapes. */
static inline bool walk_text(struct walk *w, struct bytes *raw)
{
    if (walk_at(w) != '"')
        return walk_text_odd(w, BYTES_NONE);
    /* The next word is the closing quote: texts end, and nothing inside of them is a word. */
    size_t from = w->word[0] + (size_t)1;
    *raw = bytes_of(w->text + from, w->word[1] - from);
    if (w->escapes)
        return walk_text_odd(w, *raw);
    w->word += 2;
    return true;
}
/* `{` or `[` has been seen: goes behind it. */
static inline bool walk_enter(struct walk *w)
{
    if (w->depth == w->depth_max)
        return walk_too_deep(w);
    w->depth++;
    w->word++;
    return true;
}
/* A field's name with its colon. */
static inline bool walk_name(struct walk *w, struct bytes *raw)
{
    if (w->keys++ >= w->keys_max || w->last - w->word < 3 || w->text[w->word[0]] != '"' || w->text[w->word[2]] != ':')
        return walk_name_odd(w);
    if (!walk_text(w, raw))
        return false;
    w->word++;
    return true;
}
/* Behind a value: *more tells `,` from the closing bracket. */
static inline bool walk_more(struct walk *w, uint8_t close, bool *more)
{
    uint8_t c = walk_at(w);
    *more = c == ',';
    if (!*more && c != close)
        return walk_more_odd(w, close);
    w->depth -= !*more;
    w->word++;
    return true;
}
/* Checks one value of any kind and goes behind it. */
bool walk_skip(struct walk *);
bool walk_number(struct walk *, struct value *out);
bool walk_literal(struct walk *, struct value *out);

/* ---- json_build.c ---- */
bool build_value(struct walk *, struct value *out);
/* A name or text as it is meant: `raw` itself unless it has escapes. */
bool build_text(struct walk *, struct bytes raw, struct bytes *out);

/* ---- json_pick.c ---- */
struct pick { /* what is known of one event while it is read */
    const struct json_plan *plan;
    struct value           *slots;
    uint8_t                *seen; /* per node: enum pick_seen              */
};
/* The event at hand into its slots, which need not be empty before. */
bool pick_event(struct walk *, struct pick *);
