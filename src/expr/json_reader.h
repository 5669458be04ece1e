/* json_reader.h - inside of the JSON reader: json_walk.c checks and skips, json_build.c makes values, json_pick.c fills the
 * slots of an event, json_reader.c is the door. */
#pragma once

#include "base/arena.h"
#include "expr/json.h"
#include "expr/json_index.h"
#include "expr/json_plan.h"

struct walk { /* through the words of one text */
    const uint8_t *text;
    const uint32_t *word,
        *last; /* the word at hand; the one behind the end is `last`, and stands for the end of the text */
    size_t len;
    uint32_t depth, depth_max;
    uint32_t keys, keys_max; /* of this event */
    bool escapes;
    enum code code; /* first thing that was wrong */
    const char *wrong;
    size_t wrong_at;

    struct arena *arena;        /* records, arrays, texts with escapes */
    struct record_field *stack; /* of records and arrays being made    */
    uint32_t used, room;
    bool copy_texts;
};

/* All return false when something is wrong, having said what in the walk. */
bool walk_refuse(struct walk *, enum code, size_t at, const char *what);

/* ---- json_walk.c ---- */
static inline uint8_t walk_at(const struct walk *w) /* first byte of the word at hand; 0 at the end */
{
    return w->word < w->last ? w->text[*w->word] : 0;
}
/* Checks one value of any kind and goes behind it. */
bool walk_skip(struct walk *);
/* The text at hand, without its quotes; checks its escapes. */
bool walk_text(struct walk *, struct bytes *raw);
bool walk_number(struct walk *, struct value *out);
bool walk_literal(struct walk *, struct value *out);
/* `{` has been seen: goes behind it. Then a field's name with its colon; then behind its value: `more` tells `,` from `}`. */
bool walk_enter(struct walk *);
bool walk_name(struct walk *, struct bytes *raw);
bool walk_more(struct walk *, uint8_t close, bool *more);

/* ---- json_build.c ---- */
bool build_value(struct walk *, struct value *out);
/* A name or text as it is meant: `raw` itself unless it has escapes. */
bool build_text(struct walk *, struct bytes raw, struct bytes *out);

/* ---- json_pick.c ---- */
struct pick { /* what is known of one event while it is read */
    const struct json_plan *plan;
    struct value *slots;
    uint8_t *seen;      /* per node: enum pick_seen               */
    struct bytes *near; /* per node: the spelling that was taken  */
};
/* The event at hand into its slots, which need not be empty before. */
bool pick_event(struct walk *, struct pick *);
