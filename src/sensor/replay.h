/* replay.h - recorded data, row by row: a CSV file with a header line, one column of times, one of values.
 *
 * Fields may be quoted ("" inside quotes is one quote). Lines end with LF or CRLF. A row whose time or value does not
 * parse stops the replay with file and line: half a recording is not what was asked for. Times: RFC 3339, "YYYY-MM-DD
 * HH:MM:SS" (UTC when no offset stands there: recordings carry none), or seconds since 1970. Values: JSON numbers, kept as
 * written. One owner, no thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/io.h"

enum { REPLAY_LINE_MAX = 4096, REPLAY_COLUMNS_MAX = 256 };

struct replay;

struct replay_row {
    struct bytes time_text, value; /* valid until the next call */
    int64_t      time_us;          /* since 1970                */
    uint64_t     line;
};

/* CODE_NOTFOUND, CODE_IO: the file; CODE_USAGE: no such column, the sentence lists those there are. */
FG_CHECK enum code replay_open(struct replay **out, const struct io *, const char *path, const char *time_column,
                               const char *value_column, struct fault *why);
/* CODE_END after the last row. */
FG_CHECK enum code replay_next(struct replay *, struct replay_row *, struct fault *why);
void replay_close(struct replay *);
