/* topic_watch.h - the last value of each topic, its change, age and rate: `sub --watch`. And messages and bytes a second, for
 * `sub --rate`. Pure: what to print goes into a buffer. Thread: one.
 * Bounds: WATCH_TOPICS_MAX topics; what comes for others is counted in `beyond`. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

enum { WATCH_TOPICS_MAX = 10000, WATCH_VALUE_MAX = 120 };

struct watched {
    char    *topic; /* owned, escaped for a terminal */
    uint8_t *key;   /* owned, the topic as it came   */
    size_t   key_len;
    char     value[WATCH_VALUE_MAX];
    bool     is_number, has_change;
    double   number, change;
    int64_t  seen_us;
    uint64_t count, bytes;             /* in all                       */
    uint64_t count_then, bytes_then;   /* when the second began        */
    double   rate, byte_rate;          /* of the second before         */
};

struct topic_watch {
    struct watched **sorted; /* by topic */
    size_t           count, cap;
    uint64_t         beyond;
    int64_t          second_us; /* when the running second began, 0 = not yet */
};

/* The topic that it belongs to, NULL: beyond the bound, or no memory. */
struct watched *topic_watch_note(struct topic_watch *, struct bytes topic, struct bytes payload, int64_t now_us);
/* Closes the running second if it is over, and tells whether: rates are new. */
bool topic_watch_second(struct topic_watch *, int64_t now_us);
void topic_watch_clear(struct topic_watch *);

/* One topic, in `width` columns (0 = no bound): "TOPIC  VALUE  (+0.3)  0.2 s  1.0/s". `topic_width`: of the first column. */
void topic_watch_line(struct buf *out, const struct watched *, int64_t now_us, size_t topic_width, size_t width);
/* All topics, as many as fit into `height` lines, with a heading; each line ends in "\033[K\n" for rewriting in place. Returns
 * the lines printed. */
size_t topic_watch_screen(struct buf *out, const struct topic_watch *, int64_t now_us, size_t width, size_t height);
