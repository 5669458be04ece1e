/* bench.h - an MQTT load generator: many connections on one loop, packets encoded beforehand, large reads and writes, so
 * that what is measured is the broker.
 *
 * Each message begins with 16 bytes: when it was meant to be sent (8), its publisher (2) and its number (6). From these the
 * receiving side knows the latency, and which are lost, came twice or out of order.
 *
 *   closed loop   `window` messages of each publisher are on their way at any time: as fast as the broker can, without
 *                 measuring its queues
 *   open loop     `rate` messages a second by a fixed schedule. Latency counts from the scheduled time, also for those
 *                 that could only be sent later: a broker that stalls cannot hide it
 *
 * Thread: the caller's, which becomes the loop's; open loop has a second one that only keeps time.
 */
#pragma once

#include "cli/histogram.h"
#include "mqtt/client.h"

#include <signal.h>
#include <stdio.h>

enum { BENCH_HEAD = 16, BENCH_PEERS_MAX = 65535 };

struct bench_plan {
    struct mqtt_client_settings target; /* host, port, scheme, path, version, user, password are used */
    const struct io            *io;
    uint32_t    publishers, subscribers, topics;
    bool        pairs;      /* publisher i to topic i to subscriber i                        */
    bool        persistent; /* subscribers keep their sessions; removed at the end           */
    const char *share;      /* the group that the subscribers form; NULL = each gets all     */
    const char *prefix;     /* topics are PREFIX/RUN/0, ...                                  */
    uint8_t     qos;
    uint32_t    size;       /* of the payload, at least BENCH_HEAD                           */
    uint32_t    window;     /* closed loop, and how many wait for acknowledgements           */
    double      rate;       /* messages/s of all publishers together; 0 = closed loop        */
    uint64_t    warm_up_us, duration_us;
    uint32_t    pid;        /* of the broker, 0 = unknown                                    */
    const char *acked_file; /* "PUBLISHER NUMBER" a line for each acknowledged message       */
    FILE       *progress;   /* NULL = none                                                   */
    const volatile sig_atomic_t *interrupted; /* as interrupts; or NULL */
};

struct bench_usage {
    bool     known;
    uint64_t cpu_us; /* while it was measured */
    uint64_t rss_bytes, peak_bytes;
};

struct bench_result {
    char               run[12];   /* hex; in topics and client identifiers                    */
    double             seconds;   /* measured                                                 */
    uint64_t           published, delivered, acked; /* while it was measured                  */
    uint64_t           sent, expected, lost, again, late, foreign; /* whole run               */
    uint64_t           acked_all, refused, unacked;
    uint64_t           behind;    /* open loop: due, but not sent when the time was over      */
    uint64_t           stalls;    /* closed loop: seconds in which nothing came back          */
    struct bench_usage broker;
    uint64_t           generator_us;
    struct histogram   latency;   /* us, end to end                                           */
    struct histogram   ack;       /* us, until PUBACK or PUBCOMP                              */
    bool               interrupted;
};

/* CODE_OK with the result. Otherwise *why; *out has what was measured up to then if out->seconds > 0. */
FG_CHECK enum code bench_run(const struct bench_plan *, struct bench_result *out, struct fault *why);
