/* node.h - one running Fieldgate: reads the settings, wires the stations, starts and stops them in order.
 *
 *   node_open   data directory, journal (replayed), broker, listeners, control socket: all that can fail
 *   node_run    the loops run until node_stop, a signal, or never
 *   node_close  what is left is written, everything is given back
 *
 * A reload (SIGHUP, POST /api/v1/reload) is node_reload.c: checked and prepared as a whole, then applied as one step.
 *
 * Order of the stop: no new connections; streams of the API end; clients are told 0x8B and closed; the loops
 * flush what they owe (at most 5 s) and end; the journal writes what is left, its state and its seal.
 *
 * Thread: all on one (loop 0 runs on it), node_stop on any. One node per process: hash key, signal masks and
 * limits of the process are set by it.
 */
#pragma once

#include "base/io.h"
#include "base/settings.h"

struct node;

struct node_options { /* borrowed until node_close */
    const struct settings *settings;
    const struct io       *io;
    const char            *version;
    bool                   signals; /* SIGTERM and SIGINT stop it, a second one ends it at once; SIGHUP reloads */
    /* Reads the settings anew, for a reload; as settings_load. On a thread of the pool. NULL: there is no reload. */
    enum code (*reread)(void *reread_ctx, const struct settings **out, struct settings_report *, struct fault *why);
    void *reread_ctx;
};

/* The sentence names what, why and the fix: FG1002 an address is taken, FG1003 path too long, FG1004 data
 * directory not writable, FG1005 data directory in use, FG1006 its format is newer, FG1007 it has more
 * partitions than the settings. */
FG_CHECK enum code node_open(struct node **out, const struct node_options *, struct fault *why);
/* Each listener that a client may dial, in the order of the settings, with its real port: ("mqtt",
 * "127.0.0.1:1883"). */
void node_each_listener(const struct node *, void (*each)(void *ctx, const char *type, const char *address),
                        void *ctx);
FG_CHECK enum code node_run(struct node *, struct fault *why);
void node_stop(struct node *); /* returns at once */
/* Any thread, returns at once: settings, certificates, users and rules are read anew and hold as one step, or nothing
 * changes; the log says which. */
void node_reload(struct node *);
void node_close(struct node *); /* NULL is fine */
/* What the settings say of the log, now. */
void node_log_levels(const struct settings *);

/* The absolute path of a data directory's control socket; CODE_LIMIT with FG1003 when it is longer than a
 * socket's may be. */
enum { NODE_SOCKET_MAX = 108 };
FG_CHECK enum code node_socket(const char *data_dir, char out[NODE_SOCKET_MAX], struct fault *why);
