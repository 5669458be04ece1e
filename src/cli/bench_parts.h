/* bench_parts.h - what bench_run.c (phases and counting), bench_peer.c (a connection), bench_send.c (when to send what) and
 * bench_pacer.c (time) share. Private to the load generator. */
#pragma once

#include "cli/bench.h"
#include "cli/sequence.h"

#include <pthread.h>
#include <stdatomic.h>

enum bench_phase { PHASE_CONNECT, PHASE_WARM_UP, PHASE_MEASURE, PHASE_DRAIN, PHASE_CLEAN, PHASE_DONE };
enum peer_state { PEER_NEW, PEER_DIALLING, PEER_GREETING, PEER_SUBSCRIBING, PEER_READY, PEER_LEFT };

/* What one receiver of everything has got: a subscriber, or all of a shared subscription together. */
struct audience {
    struct sequence *streams; /* of publishers first .. first + count - 1 */
    uint32_t         first, count;
    uint64_t         progress; /* sum of the streams' `next` */
};

/* A message without its acknowledgement; its packet identifier is the place + 1. */
struct flight {
    uint64_t number;
    int64_t  stamp_us;
};

struct peer {
    struct bench    *bench;
    struct conn     *conn;
    enum peer_state  state;
    uint32_t         number;
    bool             subscriber;
    struct audience *audience; /* subscribers */

    /* publishers */
    uint64_t       sent;     /* the number of the next message                       */
    uint64_t       due;      /* open loop: messages that should be sent by now       */
    uint64_t       forgiven; /* closed loop: not waited for any more                 */
    struct flight *flights;
    uint16_t      *free_ids;
    uint32_t       free_count, flight_count;
};

/* A PUBLISH ready but for identifier and payload head. */
struct template {
    uint8_t *at;
    size_t   len, id_at, payload_at;
};

struct pacer {
    pthread_t        thread;
    bool             started;
    const struct io *io;
    struct loop     *loop;
    struct letter    letter;
    atomic_bool      posted, stop;
    _Atomic int64_t  due_us; /* when the next message is due */
};

struct bench {
    struct bench_plan    plan;
    struct bench_result *out;
    struct loop         *loop;
    enum bench_phase     phase;
    struct peer         *subscribers, *publishers;
    struct audience     *audiences;
    uint32_t             audience_count;
    struct template     *templates;
    char                 topic[128];
    struct timer         tick, ping;
    struct pacer         pacer;
    struct fault         why; /* why it ended early */

    uint32_t dialled, ready, left; /* of all peers, subscribers first */
    enum bench_phase failed_in;
    int64_t  from_us, to_us; /* messages meant for this span are in the histograms */
    int64_t  start_us, phase_us, heard_us, progress_us; /* clock times */
    uint64_t published, delivered, acked, flying;
    uint64_t published0, delivered0, acked0; /* when measuring began */
    uint64_t forgiven;
    uint64_t next_due;          /* open loop: messages scheduled so far        */
    uint32_t turn_first;        /* whose turn it is                            */
    struct bench_usage broker0;
    uint64_t generator0;
    int      acked_file;
    uint64_t acked_at;
    struct buf acked_text;
};

static inline void put_le64(uint8_t *to, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t get_le64(const uint8_t *from)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)from[i] << (8 * i);
    return v;
}

int64_t bench_now(const struct bench *);
void    bench_fail(struct bench *, const struct fault *why);

/* ---- bench_peer.c ---- */
uint32_t     bench_peer_count(const struct bench *);
struct peer *bench_peer(struct bench *, uint32_t i); /* subscribers first */
void         bench_dial(struct peer *);
void         bench_leave(struct peer *);
/* What lies before the payload of a PUBLISH; by hand, because nothing else is wanted of a message. */
FG_CHECK enum code bench_split(enum mqtt_version, const struct mqtt_frame *, uint16_t *id, struct bytes *payload,
                               struct fault *why);
/* ---- bench_send.c ---- */
FG_CHECK enum code bench_templates(struct bench *, struct fault *why);
/* The topic or filter of a peer. */
void bench_topic(const struct bench *, const struct peer *, char *out, size_t cap);
/* The end of a turn: sends what may be sent. */
void bench_send(void *bench);
bool bench_nothing_came(struct bench *); /* a second of silence in a closed loop */
/* ---- bench_pacer.c ---- */
FG_CHECK enum code pacer_start(struct pacer *, struct loop *, const struct io *, struct fault *why);
void pacer_stop(struct pacer *);
