/* failures.h - L-RATE `auth-failures`: who guesses is made to wait, and nobody else is.
 *
 * Counted per address together with the name it tried, and per address alone (ten times as many, so that one machine cannot
 * try a long list of names). Never per name alone: then anybody could lock a user out. After `per_minute` failures in a minute
 * what comes is refused unlooked for 1 s, after each further failure for twice as long, up to 60 s; a minute's calm, or a
 * success, forgets it. Addresses come without their port; this machine's own are exempt, the caller sees to that.
 *
 * Thread: any; a lock of its own, never across a system call. Memory: at most FAILURES_MAX entries; when all are taken by
 * addresses that still count, further ones are not counted.
 */
#pragma once

#include "base/table.h"

#include <pthread.h>

enum { FAILURES_MAX = 16384, FAILURES_WAIT_MAX_S = 60 };

struct failures {
    pthread_mutex_t lock;
    struct table    entries;
    uint32_t        per_minute;
    int64_t         swept_us;
};

void failures_init(struct failures *, uint32_t per_minute);
void failures_clear(struct failures *);
/* 0, or for how many microseconds more it is refused. */
int64_t failures_wait_us(struct failures *, struct bytes address, struct bytes name, int64_t now_us);
void    failures_add(struct failures *, struct bytes address, struct bytes name, int64_t now_us);
void    failures_forget(struct failures *, struct bytes address, struct bytes name); /* a success */
