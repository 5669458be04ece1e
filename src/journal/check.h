/* check.h - verifies the journal of a node that is not running, byte by byte.
 *
 * Any thread. Takes DATA/LOCK for as long as it runs; reads only. What a crash may leave is a remark (an
 * unfinished write, a segment that was being made, an index file that was never synced); all else that is not
 * as it was written is an error.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "base/io.h"

struct journal_finding {
    bool        error;  /* false: a remark                */
    const char *file;   /* path; valid during the call    */
    uint64_t    offset;
    char        text[200];
};
struct journal_check_result {
    uint64_t segments, frames, messages, partition_records;
    uint64_t damaged; /* errors  */
    uint64_t torn;    /* remarks */
};
/* Headers, bodies, padding, unused space, sequences without gap, partition sequences, index files,
 * format.json and the mark of an orderly stop. each() is called per finding. CODE_OK: the check was made,
 * look at the result. CODE_EXISTS: a node uses the folder. CODE_NOTFOUND: there is no journal.
 * CODE_UNSUPPORTED: a newer format. CODE_IO, CODE_NOMEM. */
FG_CHECK enum code journal_check(const struct io *, const char *data_dir,
                                 void (*each)(void *ctx, const struct journal_finding *), void *ctx,
                                 struct journal_check_result *, struct fault *why);
