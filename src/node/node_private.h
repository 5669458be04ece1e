/* node_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "api/api.h"
#include "broker/broker.h"
#include "flow/flow.h"
#include "identity/auth.h"
#include "journal/journal.h"
#include "mirror/mirror.h"
#include "net/loop.h"
#include "net/pool.h"
#include "net/tls.h"
#include "net/tls_watch.h"
#include "node/node.h"
#include "publisher/seat.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { LOOPS_MAX = 64, DATA_PATH_MAX = 1024 };

/* Which number each listener of the settings gives its connections. A number means the same listener for ever: policies
 * hang on it, and connections keep it over reloads. */
struct doors {
    uint16_t                        *of;   /* by place in the settings */
    size_t                           listeners;
    const struct settings_listener **at;   /* by number; NULL: gone */
    struct auth_door                *auth; /* by number; of one that is gone the last that held */
    size_t                           count;
};

/* Listening sockets: one for each address of the settings, in their order, and the control socket as the last one. */
struct sockets {
    struct listener    **listeners;
    struct api_listener *addresses; /* without the control socket */
    size_t               count;
};

struct reload; /* node_reload.c */
struct waiter; /* likewise */

struct node {
    struct node_options options;                /* settings: those that hold now; the rest constant */
    const struct settings *own;                 /* the same when a reload has read them, or NULL */
    char                data_dir[DATA_PATH_MAX]; /* absolute */

    struct loop    *loops[LOOPS_MAX];
    unsigned        loop_count;
    pthread_t       threads[LOOPS_MAX]; /* of loops 1.. */
    unsigned        thread_count;
    struct broker  *broker;
    struct journal *journal;
    struct api     *api;
    struct auth    *auth;
    struct flow    *flow;
    struct flow_plan *first_plan; /* until the loops run */
    struct publisher_seat *seat;
    uint64_t        changes;      /* of jobs, actions and the publisher, so far; loop 0 */
    struct mirror *mirror;
    pthread_mutex_t opcua_lock;
    uint64_t        opcua_number; /* the change that holds; UINT64_MAX: none comes any more */
    struct node_opcua *opcua;     /* of the pool's works, one after the other; NULL: nothing of it was ever wanted */

    struct doors         doors;
    struct sockets       sockets; /* of loop 0 */
    struct tls_server  **tls;       /* by the number of the listener in the settings; NULL: plain */
    size_t               tls_count;
    struct tls_watch    *tls_watch; /* of loop 0; NULL: no listener has TLS */

    /* What the committer's thread calls; NULL or false once nobody may be called any more. */
    pthread_mutex_t durable_lock;
    struct api     *poked;
    bool            quiet;

    struct timer        users_timer;  /* of loop 0, looks at the files of users and rules */
    bool                users_over;   /* no more looks */
    char                users_trouble[240]; /* as told in the log */

    struct timer    heap_timer; /* of loop 0 */
    struct pool_job heap_job;
    bool            heap_busy;  /* the job is under way */

    struct timer trouble; /* of loop 0 */
    bool         was_failed, was_full; /* as told in the log */

    struct reload *reload;            /* the one that is under way; of loop 0 */
    struct waiter *waiters;           /* for the next one */
    bool           again;             /* somebody asked while one was under way */
    struct letter  reload_letter;
    _Atomic bool   reload_wished, reload_posted;

    struct pool_job flow_job;   /* the end of the jobs */
    struct timer    flow_timer, first_timer; /* of loop 0 */
    struct early   *early, **early_end; /* peers that came before the first jobs were there, in their order */
    unsigned        early_count;
    bool            serving;            /* from then on nobody waits */
    void          (*flow_then)(struct node *);
    struct letter stop_letter;
    _Atomic bool  stopping, running, stop_posted;
    bool          closing; /* node_halt: no other loop runs any more */

    sigset_t  old_mask;
    bool      masked, watching;
    _Atomic bool unwatch;
    pthread_t watcher;
};

/* ---- node.c ---- */
/* What node_close does first: no loop is left, and what is in memory is what a replay of the journal will give. Harmless if done. */
void node_halt(struct node *);

/* ---- node_signals.c ---- */
FG_CHECK enum code signals_begin(struct node *, struct fault *why); /* before any other thread is made */
void               signals_end(struct node *);

/* ---- node_data.c: the data directory ---- */
/* `data` from the current directory on, without slashes at its end. */
FG_CHECK enum code data_absolute(const char *data, char out[DATA_PATH_MAX], struct fault *why);
/* n->data_dir: absolute, made if missing (0700, parents too), writable. */
FG_CHECK enum code data_prepare(struct node *, struct fault *why);
/* Opens the journal, with the person's sentence when it cannot. */
FG_CHECK enum code data_open_journal(struct node *, struct journal_options *, struct fault *why);
void               data_end(struct node *); /* the journal is closed */

/* ---- node_tls.c: certificates, on loop 0 or while it does not run ---- */
struct tls_stage {
    struct tls_server **set;   /* by place in the settings; NULL: plain */
    size_t              count;
    struct tls_watch   *watch;
};
FG_CHECK enum code tls_open(struct node *, struct fault *why);
void               tls_show(struct node *, size_t which, size_t slot); /* the socket in the slot speaks as its listener says */
/* All that `s` says of certificates, read; then it holds for new connections (the sockets are those of `s`), or does not. */
FG_CHECK enum code tls_prepare(struct node *, const struct settings *s, struct tls_stage *out, struct fault *why);
void               tls_commit(struct node *, struct tls_stage *);
void               tls_discard(struct tls_stage *);
void               tls_close(struct node *); /* harmless if done */

/* ---- node_auth.c: users and rules ---- */
FG_CHECK enum code auth_open(struct node *, struct fault *why); /* the data directory is prepared */
void               auth_watch(struct node *);                   /* looks at their files from now on */
void               auth_end(struct node *);                     /* on loop 0 */

/* ---- node_opcua.c: on the pool, one call at a time ---- */
struct node_opcua;
FG_CHECK enum code opcua_open(struct node *, struct fault *why); /* the broker is there; on no pool yet */
void opcua_change(struct node *, const struct settings *);
void opcua_stop(struct node *);
void opcua_free(struct node *);

/* ---- node_flow.c: jobs, on loop 0 ---- */
FG_CHECK enum code flow_prepare_first(struct node *, struct fault *why); /* the broker has started */
void               flow_begin(struct node *);                            /* the loops are about to run */
/* On the pool; takes the plan. */
void               flow_change(struct node *, struct flow_plan *);
/* When all jobs have stopped: then(). */
void               flow_finish(struct node *, void (*then)(struct node *));

/* ---- node_heap.c: on loop 0 ---- */
void heap_watch(struct node *);
void heap_end(struct node *);

/* ---- node_doors.c ---- */
/* The doors of `s` when `old` (of `before`; NULL: the start) held until now: who listens on an address of before keeps his
 * number. CODE_LIMIT: no number is left. */
FG_CHECK enum code doors_make(const struct settings *s, const struct settings *before, const struct doors *old,
                              struct doors *out, struct fault *why);
void               doors_clear(struct doors *);

/* ---- node_reload.c: on loop 0 ---- */
void reload_begin(void *node, api_reload_done done, void *arg); /* `done` may be NULL */
void reload_pass_on(struct node *); /* what node_reload was asked for, once the loops run; any thread */

/* ---- node_listen.c ---- */
FG_CHECK enum code listen_prepare(struct node *, struct fault *why); /* before listen_all */
FG_CHECK enum code listen_all(struct node *, struct fault *why);
/* The sockets of `s`: those of now whose address stays, and new ones, which are open already. */
struct listen_stage {
    struct sockets sockets;
    bool          *kept; /* by slot of now */
    bool          *fresh;/* by slot of `sockets` */
};
FG_CHECK enum code listen_stage(struct node *, const struct settings *s, struct listen_stage *out, struct fault *why);
/* n->options.settings and n->doors are those of `s` already. */
void               listen_commit(struct node *, struct listen_stage *);
void               listen_discard(struct node *, struct listen_stage *);
struct api_view    listen_view(const struct node *);
/* What the settings' listeners have accepted since the start is served from now on. Harmless if done. */
void               listen_serve(struct node *);
void               listen_end(struct node *);  /* on loop 0 or while it does not run; harmless if done */
void               listen_free(struct node *);
