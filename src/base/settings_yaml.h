/* settings_yaml.h - a settings file as a tree, each value with its line and column.
 *
 * The only file that knows libfyaml. Of YAML we take what settings need: maps with plain keys, lists,
 * scalars on one line in quotes or without. Refused with a sentence: texts of several lines, anchors and
 * aliases (a small file could unfold into a large one), tags, directives, a second document, keys that are
 * not scalars, control characters, bytes that are not UTF-8, a key twice, more than 16 levels, 1,000 entries
 * in one place or 20,000 in all. libfyaml sees only bytes that passed our own check.
 */
#pragma once

#include "base/arena.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind    kind;
    bool              plain;            /* a scalar without quotes: may mean nothing, true, 5    */
    uint32_t          line, column;     /* of the value, from 1                                  */
    uint32_t          key_line, key_column;
    struct bytes      key;              /* in a map                                              */
    struct bytes      text;             /* of a scalar, unquoted                                 */
    struct yaml_node *first, *next;     /* entries; next in the same map or list                 */
    size_t            count;
};

enum { YAML_DEPTH_MAX = 16, YAML_ENTRIES_MAX = 1000, YAML_NODES_MAX = 20000 };

/* The tree lives in the arena. *root is NULL for a file that holds nothing but comments. CODE_USAGE: why->at
 * is line << 16 | column (line capped), why->text the sentence without the place. CODE_NOMEM. */
FG_CHECK enum code settings_yaml_parse(struct bytes text, struct arena *, struct yaml_node **root,
                                       struct fault *why);

static inline uint64_t yaml_place(uint32_t line, uint32_t column)
{
    return ((uint64_t)line << 16) | (column < 65535 ? column : 65535);
}

/* UTF-8 without control characters, Unicode line ends and the like: fit for one line of a file or a log. */
bool yaml_visible(struct bytes text);
