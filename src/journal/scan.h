/* scan.h - walks over one segment file, frame by frame, also across damage.
 *
 * After a place where no frame stands the next one is found by looking for the journal id with a header whose
 * checksum holds. Work is linear in the size of the file whatever lies in it. One owner, no lock.
 */
#pragma once

#include "base/io.h"

#include "journal/frame.h"

enum scan_kind {
    SCAN_FRAME,    /* a whole frame; meta and payload are valid until the next call              */
    SCAN_BAD_BODY, /* a frame whose header holds, and whose body does not                        */
    SCAN_GARBAGE,  /* bytes that are not a frame, up to the next one or to the end of the file;
                      only if there is a frame behind them or not all of them are zero           */
    SCAN_END       /* from here on, if there is anything, all is zero                            */
};

struct scan_item {
    enum scan_kind kind;
    uint64_t       from, to;   /* in the file; SCAN_END: from == end of the last thing  */
    uint64_t       dirty_to;   /* SCAN_GARBAGE: behind the last byte that is not zero   */
    struct frame   frame;
    struct bytes   meta, payload;
    bool           bad_padding; /* SCAN_FRAME: the padding behind the body is not zero  */
};

struct scan {
    const struct io *io;
    const char      *path; /* borrowed, for messages */
    int              file; /* borrowed */
    uint64_t         journal, segment, size, at;
    uint64_t         clean_from; /* known to be zero from here on, 0 = not known: saves reading the unused rest */
    uint8_t         *buf;
    size_t           cap, have, window;
    uint64_t         from; /* buf holds [from, from + have) of the file */
};

/* Starts behind the segment header. `size`: of the file. */
void scan_init(struct scan *, const struct io *, int file, const char *path, uint64_t journal,
               uint64_t segment, uint64_t size);
/* Keeps the buffer, for the next file. */
void scan_again(struct scan *, int file, const char *path, uint64_t segment, uint64_t size);
void scan_clear(struct scan *);
/* CODE_OK and an item (SCAN_END for ever at the end), CODE_IO, CODE_NOMEM. */
FG_CHECK enum code scan_next(struct scan *, struct scan_item *, struct fault *why);
/* [at, at + n) of the file in memory until the next call; at + n must not exceed size. NULL: *why tells. */
const uint8_t *scan_view(struct scan *, uint64_t at, size_t n, struct fault *why);

/* All n bytes are zero. */
bool bytes_zero(const void *at, size_t n);
