/* mirror.h - the node as an OPC UA server: what its topics say, as variables, by the settings `opcua.server` and `opcua.variables`.
 *
 *   broker ──► consumer "opcua/mirror" ──► topic ──► fields ──► ua_set_value ──► subscriptions of OPC UA clients
 *      ▲                                                                                     │
 *      └────────────── a message, QoS 1, to `writable` ◄──────────── write ◄─────────────────┘
 *
 * Messages wait in the consumer's queue, in the node's log, not here: publishers are not read from while it is long. When the server begins, and
 * for variables that a change adds, retained messages are the first values.
 *
 *   messages = used + left_out                      values = good + bad                      always
 *
 * variables_bad is how many have no good value just now, looked at twice a second.
 *
 * Threads: new, change, stop and free from any one thread at a time, but no loop's: they wait for the mirror's own loop. Glance from any thread.
 */
#pragma once

#include "base/settings.h"
#include "broker/broker.h"
#include "uaserver/server.h"

struct mirror;
struct ua_pki;

struct mirror_config { /* copied; what it points to lives longer */
    struct broker   *broker;
    const struct io *io;
    const char      *version, *data_dir;
    /* Name and password, answered with ua_user_answer(ask, ..., as) once, on `loop`, also while that is being closed. `as` is for the call. */
    void (*login)(void *ctx, struct loop *, struct ua_user_ask *, const struct ua_server_user *as);
    /* Whether access rules let him publish there: "user:alice", "anonymous". */
    bool (*may_publish)(void *ctx, const struct ua_server_user *, struct bytes principal, struct bytes topic);
    void *ctx;
};

FG_CHECK enum code mirror_new(struct mirror **out, const struct mirror_config *, struct fault *why);
void               mirror_free(struct mirror *); /* stopped; NULL is fine */
/* As these settings say from now on; they are held. When only variables are others, clients stay connected. `pki` NULL: only without security; it
 * lives until mirror_stop. On failure nothing is served, and nothing waits for it. */
FG_CHECK enum code mirror_change(struct mirror *, const struct settings *, struct ua_pki *pki, struct fault *why);
void               mirror_stop(struct mirror *); /* harmless if nothing is served */

enum { MIRROR_VARIABLES_MAX = 10000 };

#define MIRROR_COUNTERS(X)                                                                                                             \
    X(messages) X(used) X(left_out) X(values) X(good) X(bad) X(bad_times) X(writes) X(writes_refused) X(stale) X(variables) X(variables_bad) X(variables_refused)
struct mirror_counters {
#define MIRROR_X(name) uint64_t name;
    MIRROR_COUNTERS(MIRROR_X)
#undef MIRROR_X
};
struct mirror_glance {
    struct mirror_counters   count;
    struct ua_server_counters server;
    char     at[160]; /* "opc.tcp://127.0.0.1:4840"; the first one */
    uint64_t waiting; /* messages */
};
/* False: it is not a server. */
bool mirror_glance(struct mirror *, struct mirror_glance *out);
