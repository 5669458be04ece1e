/* regex_tree.h - inside of regex: a pattern as a tree, between regex_parse.c and regex.c. */
#pragma once

#include "expr/regex.h"

enum regex_kind {
    REGEX_EMPTY,
    REGEX_CHARACTER,
    REGEX_SET,
    REGEX_ANY,
    REGEX_SEQUENCE,
    REGEX_CHOICE,
    REGEX_REPEAT,
    REGEX_GROUP,
    REGEX_BEGIN,
    REGEX_END,
    REGEX_WORD_EDGE,
    REGEX_NO_WORD_EDGE
};
enum { REGEX_ENDLESS = 65535 };

struct regex_range {
    uint32_t low, high;
};
struct regex_set {
    bool negated;
    uint32_t count;
    struct regex_range *range;
};
struct regex_tree {
    uint8_t kind;
    bool lazy;
    uint16_t least, most; /* of a repetition */
    uint32_t character;
    uint32_t group; /* number, 0: none  */
    struct regex_set set;
    struct regex_tree *left, *right; /* of a sequence or choice; left alone of a repetition or group */
};
FG_CHECK enum code regex_parse(struct regex_tree **out, struct bytes pattern, struct arena *,
                               const char **wrong);
