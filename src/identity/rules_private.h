/* rules_private.h - the rules as they lie in memory. For rules.c and rules_file.c. */
#pragma once

#include "base/arena.h"
#include "identity/rules.h"

enum { NAMES_USER, NAMES_ROLE, NAMES_CLIENT, NAMES };
enum { PATTERN_USER = 1, PATTERN_CLIENT = 2, PATTERN_PERCENT = 4 }; /* what has to be put in */

struct names {
    const struct bytes *at;
    size_t              count;
    bool                given;
};
struct pattern {
    struct bytes text;
    uint8_t      parts;
};
struct patterns {
    const struct pattern *at;
    size_t                count;
    bool                  given;
};
struct rule {
    bool            deny, asks_anonymous, anonymous;
    struct names    names[NAMES];
    struct patterns patterns[RIGHTS];
};
struct rules {
    struct arena arena;
    struct rule *at;
    size_t       count;
};

/* Puts the names in. False: they cannot be, or the result is too long for `out`. */
enum { EXPANDED_MAX = 4096 };
bool rules_expand(const struct pattern *, const struct subject *, uint8_t out[EXPANDED_MAX], struct bytes *text);
