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

/* `topics`: the filter of hub.topics. Waits until the node is ready (at most 20 s). */
FG_CHECK enum code demo_node_start(struct demo_node *, const struct io *, const char *keep_dir, const char *topics,
                                   struct fault *why);
/* Stops it in order and, unless keep, removes the folder. Says in `why` if it did not stop as it should. */
FG_CHECK enum code demo_node_stop(struct demo_node *, bool keep, struct fault *why);
