/* admit.h - who may come in at all, before anybody has said who he is: L-CONNS, L-RATE, L-HALF, L-MEM.
 *
 * Connections are counted per address (without the port); loopback is exempt from the per-address limits, because
 * everything on the machine itself comes from there. The answer is given when CONNECT has been read, so that the peer is
 * told in its own words; only the half-open ones are closed without.
 *
 * Thread: any; a lock of its own, taken alone and never across a system call.
 */
#pragma once

#include "base/limits.h"
#include "base/table.h"

#include <pthread.h>
#include <stdatomic.h>

struct admit_address;

struct admit {
    pthread_mutex_t  lock;
    struct table     addresses;      /* text without port -> struct admit_address */
    size_t           since_sweep;
    _Atomic uint64_t half_open;      /* connections that have not sent CONNECT     */
    _Atomic bool     over_memory;    /* the node uses what it may of limits.memory-bytes */
};

void admit_init(struct admit *);
void admit_clear(struct admit *);
/* A connection came (loopback: nothing is counted), went. No memory: it is let in uncounted, and *counted says so. */
void admit_came(struct admit *, const char *address, int64_t now_us, bool *counted);
void admit_went(struct admit *, const char *address);
/* 0, or the reason for the CONNACK (v5's): too many connections from there, or too fast. */
uint8_t admit_judge(struct admit *, const struct limits *, const char *address, int64_t now_us);
/* Is the node's memory at its budget? `bytes`: what it uses; `spare`: what has to stay free of it. */
void admit_weigh(struct admit *, const struct limits *, uint64_t bytes, uint64_t spare);
