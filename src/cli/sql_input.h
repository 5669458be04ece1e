/* sql_input.h - events of a file or of standard input, one message after the other: lines of JSON, a JSON document, or CSV records.
 *
 * What it is shows in its first bytes: `{` begins lines of JSON (or a document, if the first line does not end with `}`), `[` a document,
 * anything else the header line of CSV. Thread: main.
 */
#pragma once

#include "base/io.h"
#include "stream/csv.h"

enum sql_format { SQL_AUTO, SQL_JSON, SQL_CSV };
enum { SQL_MESSAGE_MAX = 256 << 20 };

struct sql_input {
    const struct io *io;
    const char      *name;   /* "-": standard input */
    int              file;
    uint64_t         offset;
    enum sql_format  format;
    bool             open, whole, ended, started;
    struct csv       csv;
    uint8_t         *at;     /* from..len is unread; 64 bytes behind len can be read */
    size_t           from, len, cap;
    struct buf       object; /* of a CSV record */
    uint64_t         line;
    int64_t          waited_us; /* of standard input: how long the last wait may last, for the caller's clock */
};

/* `separator`: between fields of CSV; 0: it was not said. */
FG_CHECK enum code sql_input_open(struct sql_input *, const struct io *, const char *name, enum sql_format, char separator,
                                  struct fault *why);
/* CODE_OK and a message with 64 readable bytes behind it, valid until the next call. CODE_END. CODE_AGAIN: standard input has nothing
 * for now (200 ms have passed, or more is at hand only later). CODE_MALFORMED: a CSV record that is none; go on. CODE_LIMIT, CODE_IO,
 * CODE_NOMEM. */
FG_CHECK enum code sql_input_next(struct sql_input *, struct bytes *message, struct fault *why);
/* True if the next message is at hand without reading. */
bool               sql_input_ready(const struct sql_input *);
void               sql_input_close(struct sql_input *);
