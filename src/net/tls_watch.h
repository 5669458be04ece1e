/* tls_watch.h - notices that files have been changed or replaced: certificates that are renewed while we run.
 *
 * Every 2 s each file's inode, size and time of change are looked at (its content is not read). A change is told when two
 * looks have found the same, so that a chain and a key that are written one after the other are read together. Within 10 s.
 *
 * Thread: the loop's. Lifetime: tls_watch_open .. tls_watch_close, before loop_close.
 */
#pragma once

#include "base/io.h"
#include "net/loop.h"

struct tls_watch;

/* Paths are copied; one may be named twice. `changed` may close the watch. */
FG_CHECK enum code tls_watch_open(struct tls_watch **out, struct loop *, const struct io *, const char *const *paths,
                                  size_t count, void (*changed)(void *ctx), void *ctx, struct fault *why);
void tls_watch_close(struct tls_watch *); /* NULL is fine */
