/* jtree.h - JSON as a tree whose parts know where they stood, for files and requests that people write.
 *
 * Taken besides RFC 8259, because published-nodes files have it: comments of both kinds, commas before a closing bracket, a byte
 * order mark. Numbers keep their text. Everything lies in the arena, texts without escapes are views of `text`, which must live as
 * long. Pure, any thread; the work is linear but for names that come twice, which are refused.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum jtree_kind { JTREE_NULL, JTREE_FALSE, JTREE_TRUE, JTREE_NUMBER, JTREE_TEXT, JTREE_LIST, JTREE_MAP };

struct jtree {
    enum jtree_kind kind;
    uint32_t line, column; /* from 1, column in bytes; 0 = made by us */
    struct bytes name;     /* of a field of a map */
    struct bytes text;     /* of a number as it was written; of a text what it means */
    struct jtree *first, *next;
    uint32_t count; /* of a list or map */
};

enum { JTREE_DEPTH = 32, JTREE_PARTS_MAX = 2000000 };

/* CODE_MALFORMED, CODE_LIMIT: `why` begins with "LINE:COLUMN: ", its `at` is line * 65536 + column. CODE_NOMEM. */
FG_CHECK enum code jtree_parse(struct jtree **out, struct arena *, struct bytes text, struct fault *why);
/* The field, letters in any case; NULL: there is none, or `map` is no map. */
struct jtree *jtree_get(const struct jtree *map, const char *name);
/* Makes and changes; NULL or false: no memory. A name is borrowed. */
struct jtree *jtree_new(struct arena *, enum jtree_kind);
struct jtree *jtree_new_text(struct arena *, struct bytes text);
struct jtree *jtree_copy(struct arena *, const struct jtree *);
void jtree_add(struct jtree *list, struct jtree *part);
void jtree_set(struct jtree *map, struct bytes name, struct jtree *part); /* instead of what had the name */
void jtree_drop(struct jtree *list, struct jtree *part);
/* `indent` 0: on one line. */
void jtree_write(struct buf *, const struct jtree *, unsigned indent);
bool jtree_is(struct bytes a, const char *b); /* letters (of ASCII) in any case */
