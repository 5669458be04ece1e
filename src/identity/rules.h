/* rules.h - the access rules: who may publish, subscribe and read retained messages.
 *
 *   version: 1
 *   rules:
 *     - role: guest
 *       deny: true
 *       subscribe: ["factory/secret/#"]
 *     - user: [anna, "line1-*"]
 *       publish: ["factory/%u/#"]
 *       subscribe: ["factory/#"]
 *       read: ["factory/+/state"]
 *
 * Whom a rule is for: `user`, `role`, `client` (client identifiers), each a text or a list of which one must fit, with `*` for
 * any characters; `anonymous: true` for those without a name, `false` for those with one. All that are written must hold; a
 * rule with none is for everybody. What it is about: lists of topic filters, in which %u is the user's name and %c the client
 * identifier (%% is a percent sign). `read` (retained messages) is as `subscribe` where it is not written.
 *
 * The first rule in the file that decides counts, and what no rule decides is refused. A rule decides
 *   a topic (to publish to, to get, to read), when one of its filters matches it;
 *   a filter to subscribe with: a rule that allows, when one filter of its own covers all that could match; one that denies,
 *   when a single topic could match both. So a filter that is wider than the right is refused, never narrowed.
 *
 * Names are never patterns: a rule with %u or %c does not allow anything to one whose name has + # or / in it or begins with
 * $, and denies him everything it speaks of (CVE-2017-7650).
 *
 * Pure; constant once read; any thread. Work is bounded by the file's size.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#define RULES_FILE_BYTES_MAX ((size_t)1 << 20)

enum right { RIGHT_PUBLISH, RIGHT_SUBSCRIBE, RIGHT_READ, RIGHTS };

struct subject {
    bool                anonymous;
    struct bytes        user, client; /* user: none for anonymous */
    const struct bytes *roles;
    size_t              role_count;
};

struct rules;

/* CODE_DAMAGED: why->text is "FILE:LINE:COLUMN: what is wrong". CODE_NOMEM. A file without a rule allows nothing. */
FG_CHECK enum code rules_parse(struct rules **out, const char *file, struct bytes text, struct fault *why);
void               rules_free(struct rules *); /* NULL is fine */
size_t             rules_count(const struct rules *);

enum ruling { RULING_NONE, RULING_ALLOWED, RULING_DENIED };
enum ruling rules_topic(const struct rules *, const struct subject *, enum right, struct bytes topic);
/* `filter` is valid and not a shared one: of those, what stands behind the share's name. */
enum ruling rules_filter(const struct rules *, const struct subject *, enum right, struct bytes filter);

/* True if every topic that `filter` matches is matched by `by`; may be false for filters that only come to the same. */
bool rules_covers(struct bytes by, struct bytes filter);
/* True if some topic is matched by both. */
bool rules_overlap(struct bytes a, struct bytes b);
