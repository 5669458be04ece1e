/* demo_node.h - a throw-away node for a demo: this very program as a child process, on a folder of its own, loopback only.
 * Thread: main, before a loop runs. */
#pragma once

#include "cli/verb.h"

#include <sys/types.h>

struct demo_node {
    pid_t    pid;
    char     dir[256];   /* settings, log and data */
    char     data[300];
    uint16_t mqtt_port, http_port;
    bool     other_ports;/* 1883 or 8080 was taken: free ones were chosen */
};

/* Its folder, so that files can be put there before it starts. keep_dir NULL: one of its own. */
FG_CHECK enum code demo_node_make(struct demo_node *, const char *keep_dir, struct fault *why);
/* `topics`: the filter of hub.topics; `more`: further settings, as lines of the file. Waits until the node is ready (at most
 * 20 s). After demo_node_halt it starts again on the same data. */
FG_CHECK enum code demo_node_start(struct demo_node *, const struct io *, const char *topics, const char *more, struct fault *why);
/* Stops it in order; the folder stays. Says in `why` if it did not stop as it should. */
FG_CHECK enum code demo_node_halt(struct demo_node *, struct fault *why);
/* demo_node_halt; then, unless keep, the folder is removed. */
FG_CHECK enum code demo_node_stop(struct demo_node *, bool keep, struct fault *why);
