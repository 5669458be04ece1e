/* stdin_feed.h - standard input for a verb that runs a loop: read on a thread of its own, so that the connection lives on
 * while nobody types, and each line leaves as it comes.
 *
 * Thread: the loop's, but for the reading. One per process. Bounds: two pieces of 64 KiB are read ahead.
 */
#pragma once

#include "net/loop.h"

struct stdin_feed_events {
    /* A piece of the input, as it came; valid during the call. Return false to get no further piece before
     * stdin_feed_resume. */
    bool (*on_piece)(void *ctx, struct bytes piece);
    /* The end; why NULL when it was the end of the file. */
    void (*on_end)(void *ctx, const struct fault *why);
};

FG_CHECK enum code stdin_feed_start(struct loop *, const struct stdin_feed_events *, void *ctx, struct fault *why);
/* After on_piece said false: more pieces may come, from now on and perhaps before this returns. */
void stdin_feed_resume(void);
/* No callback comes after this. Before loop_close. */
void stdin_feed_stop(void);
