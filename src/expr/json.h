/* json.h - from a message's bytes to the fields that a query uses.
 *
 * A plan holds the paths that are wanted; the reader parses a body once, checks it to its end (a message is valid JSON or
 * dropped whole) and fills one slot per path. The last of duplicate keys wins, on every level. A body holds one object, an
 * array of objects, or objects one after the other (separated by nothing, blanks or line ends): each object is an event.
 *
 * Integers without point or exponent become bigint; one outside of int64 makes the body refused. Names are looked up
 * exactly first, then without regard to ASCII case.
 *
 * A reader belongs to one thread and is reused; the plan is immutable and shared.
 */
#pragma once

#include "expr/value.h"

struct json_plan;
struct json_reader;

/* Paths: parts from the outermost field inward, e.g. { "Location", "Lat" }; a path of no parts is the whole event. The
 * plan copies them. Slot i of an event belongs to path i. */
struct json_path {
    const struct bytes *parts;
    uint32_t            count;
};
struct json_plan *json_plan_new(const struct json_path *paths, uint32_t count); /* NULL: no memory */
void              json_plan_free(struct json_plan *);

struct json_limits {
    uint32_t depth; /* 0 = VALUE_DEPTH, which is also the most */
    uint32_t keys;  /* fields of one event in all, 0 = 10,000  */
};
struct json_reader *json_reader_new(const struct json_limits *); /* NULL: no memory */
void                json_reader_free(struct json_reader *);

/* Parses `body` (behind it 64 readable bytes, as behind every message, if `padded`; else it is copied first) and remembers
 * its events. A byte order mark before it is skipped. CODE_MALFORMED: not JSON, or not objects; `why` names the byte.
 * CODE_LIMIT, CODE_NOMEM. After a failure there is no event. */
FG_CHECK enum code json_read(struct json_reader *, const struct json_plan *, struct bytes body, bool padded,
                             struct fault *why);
/* The next event's slots (as many as the plan has paths), or CODE_END. The slots themselves live until the next json_next;
 * what they point to until the next json_read or json_reader_free, as long as a padded body lives. CODE_NOMEM. */
FG_CHECK enum code json_next(struct json_reader *, const struct value **slots);

/* One value of any kind, all of it into the arena (reference data, constants, tools). */
FG_CHECK enum code json_value(struct bytes text, struct arena *arena, struct value *out, struct fault *why);
