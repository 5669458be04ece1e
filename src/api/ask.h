/* ask.h - the query of GET /api/v1/events, as a plain value. Pure.
 *
 *   partition=N                       default: all of them
 *   from=earliest|latest|sequence:N|offset:N|time:T     default latest
 *   until=T                           default: never
 *   count=N                           default: no limit
 *   follow=true|false                 default false
 *
 * T is microseconds since 1970 or a time as the command line takes it (RFC 3339, "today 06:00", "10m").
 */
#pragma once

#include "api/reader.h"

/* CODE_USAGE says which key and what a right value looks like; a key that is not known is refused, too. */
FG_CHECK enum code ask_parse(struct bytes query, int64_t wall_us, struct reader_ask *out, struct fault *why);
