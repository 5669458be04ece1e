/* csv.h - comma-separated values (RFC 4180) as JSON objects: the first record names the fields. Unquoted numbers become numbers (those
 * that fit: bigint or float), an empty unquoted field NULL, everything else text. */
#pragma once

#include "base/buf.h"

enum { CSV_FIELDS_MAX = 4096 };

struct csv {
    struct buf labels; /* `"name":` of each field, one after the other */
    uint32_t  *ends;   /* where each ends                              */
    uint32_t   count;
    char       separator; /* between fields, set before csv_header; 0: a comma, and a header line that looks like another one is refused */
};

/* Length of the first record with its line end; 0: it is not complete. `last`: nothing follows, so the end of the text ends it. */
size_t         csv_record(struct bytes text, bool last);
/* `record` as csv_record measured it. CODE_MALFORMED (a name is empty or stands twice, bytes that are not UTF-8), CODE_UNSUPPORTED (no
 * comma in it, but a semicolon, tab or bar: why->at is that character), CODE_LIMIT, CODE_NOMEM. */
FG_CHECK enum code csv_header(struct csv *, struct bytes record, struct fault *why);
/* Appends the object; CODE_MALFORMED: more fields than the header, a quote that is not closed, bytes that are not UTF-8. Missing fields are absent. */
FG_CHECK enum code csv_object(const struct csv *, struct bytes record, struct buf *out, struct fault *why);
void               csv_clear(struct csv *);
