/* node_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "api/api.h"
#include "broker/broker.h"
#include "identity/auth.h"
#include "journal/journal.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tls_watch.h"
#include "node/node.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { LOOPS_MAX = 64, DATA_PATH_MAX = 1024 };

struct node {
    struct node_options options;                /* constant */
    char                data_dir[DATA_PATH_MAX]; /* absolute */

    struct loop    *loops[LOOPS_MAX];
    unsigned        loop_count;
    pthread_t       threads[LOOPS_MAX]; /* of loops 1.. */
    unsigned        thread_count;
    struct broker  *broker;
    struct journal *journal;
    struct api     *api;
    struct auth    *auth;

    struct listener    **listeners; /* of loop 0; the control socket is the last one */
    struct api_listener *addresses; /* of the others                                 */
    size_t               address_count;
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

    struct timer trouble; /* of loop 0 */
    bool         was_failed, was_full; /* as told in the log */

    struct letter stop_letter;
    _Atomic bool  stopping, running, stop_posted;

    sigset_t  old_mask;
    bool      masked, watching;
    _Atomic bool unwatch;
    pthread_t watcher;
};

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
FG_CHECK enum code tls_open(struct node *, struct fault *why);
void               tls_show(struct node *, size_t door, size_t slot); /* the listener in the slot speaks as its door says */
/* All that `s` says of certificates holds for new connections; or nothing of it, with the sentence why. */
FG_CHECK enum code listen_reload_tls(struct node *, const struct settings *s, struct fault *why);
void               tls_close(struct node *); /* harmless if done */

/* ---- node_auth.c: users and rules ---- */
FG_CHECK enum code auth_open(struct node *, struct fault *why); /* the data directory is prepared */
void               auth_watch(struct node *);                   /* looks at their files from now on */
void               auth_end(struct node *);                     /* on loop 0 */

/* ---- node_listen.c ---- */
FG_CHECK enum code listen_prepare(struct node *, struct fault *why); /* room for what listen_all fills */
FG_CHECK enum code listen_all(struct node *, struct fault *why);
void               listen_end(struct node *);  /* on loop 0 or while it does not run; harmless if done */
void               listen_free(struct node *);
