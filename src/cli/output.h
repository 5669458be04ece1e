/* output.h - what a verb prints: tables for people, json, jsonl and csv for programs, from the same calls.
 *
 *   struct output o;
 *   static const struct column columns[] = { { "PARTITION", "partition", COLUMN_NUMBER },
 *                                            { "OWNER", "owner", COLUMN_TEXT } };
 *   output_open(&o, stdout, call->format, "partitions", columns, 2);
 *   for each row: output_count(&o, 3); output_text(&o, owner);       one call per column, in order
 *   return output_close(&o);                                          0, or 1 when the reader has gone
 *
 * table: aligned on a terminal, else separated by tabs with the same header line. json: one object
 * {"version":1,"partitions":[{..},..]}. jsonl: an object a line, written at once. csv: RFC 4180 with a
 * header. Text from peers is escaped for people and quoted for programs. stdout carries results only;
 * everything else goes to stderr (verb.h). Thread: one.
 */
#pragma once

#include "base/buf.h"

#include <stdio.h>

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL, OUTPUT_CSV };
extern const char *const output_words[]; /* for a FLAG_CHOICE row: table json jsonl csv */

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER /* right-aligned; unquoted in JSON */
};
struct column {
    const char      *title; /* "LAST EVENT", for tables         */
    const char      *key;   /* "last-event", for json and csv   */
    enum column_kind kind;
};

enum { OUTPUT_COLUMNS_MAX = 24 };

struct output {
    FILE                *to, *err; /* err: stderr, unless set after output_open */
    enum output_format   format;
    bool                 aligned; /* table on a terminal */
    const char          *name;
    const struct column *columns;
    size_t               column_count;
    size_t               cell;    /* next column of the current row  */
    uint64_t             rows;
    struct buf           held;    /* aligned: cells not printed yet  */
    size_t               widths[OUTPUT_COLUMNS_MAX];
    uint64_t             held_rows;
    bool                 failed;
};

void output_open(struct output *, FILE *to, enum output_format, const char *name, const struct column *,
                 size_t count);
/* The next cell. JSON: a string. */
void output_text(struct output *, struct bytes);
void output_printf(struct output *, const char *fmt, ...) FG_PRINTF(2, 3);
/* The next cell. JSON: a number. */
void output_count(struct output *, uint64_t);
void output_decimal(struct output *, double, int digits);
/* The next cell. For people `text`; for programs (json, jsonl) `json`, a complete JSON value of the
 * caller's. */
void output_either(struct output *, struct bytes text, struct bytes json);
/* The next cell. "-" for people, null for programs. */
void output_none(struct output *);
/* Prints what is held and closes brackets. 0, or 1 when not everything could be printed; it has been said, or
 * verb_main says it. */
int  output_close(struct output *);

/* For people: `text` with control characters (tabs and line breaks too) and what is not UTF-8 as \xHH. */
void output_escape(struct buf *out, struct bytes text);
/* True if `to` is a terminal and NO_COLOR is not set and TERM is not dumb. */
bool output_colour(FILE *to);
/* "ok", "!!", "xx", "--", coloured where output_colour says so. */
enum output_mark { MARK_OK, MARK_WARN, MARK_BAD, MARK_NOT_TRIED };
void output_mark(FILE *to, enum output_mark);
