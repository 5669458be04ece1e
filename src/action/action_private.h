/* action_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "action/action.h"
#include "action/guard.h"
#include "broker/consumer.h"
#include "expr/value.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/process.h"
#include "net/tls.h"

#include <pthread.h>
#include <stdatomic.h>

enum { EVENT_ID_MAX = 96, SAID_MAX = 200 };

struct action;
struct action_kind;

/* What the settings say, checked. */
struct action_plan {
    struct arena arena;
    const char *name;
    struct bytes topic; /* of the events */
    const struct action_kind *kind;
    struct guard_rule at_least, at_most;
    bool dry_run;
    uint32_t retry;
    int64_t timeout_ms;
    struct {
        const char *topic, *message; /* message "": the event */
        uint8_t qos;
        bool retain;
    } publish;
    struct {
        const char *host, *target, *body, *headers; /* headers: lines with CRLF */
        uint16_t port;
        struct tls_client *tls; /* NULL: http */
    } webhook;
    const char *const *program; /* NULL at the end */
    uint64_t mark;              /* of all of this: has it changed? */
};

/* One event, while it is worked on. */
struct attempt {
    uint64_t index;
    struct message *message; /* one reference */
    struct arena arena;
    struct value event; /* its JSON; NULL value: it is none */
    char id[EVENT_ID_MAX];
    uint32_t tries;
    int64_t begun_us;
    bool open; /* there is one */
};

/* How a try ended; called exactly once for each begin. */
enum action_result { ACTION_GOOD, ACTION_FAILED /* worth another try */, ACTION_HOPELESS };
void action_tried(struct action *, enum action_result, const char *said);

/* A way of doing something. */
struct action_kind {
    const char *name; /* "publish" */
    /* Takes what it needs from the settings. CODE_NOTFOUND: this action is of another kind. */
    enum code (*plan)(struct action_plan *, const struct settings_action *, const struct io *,
                      struct fault *why);
    /* What it is about to do, for the audit: "publish factory/1/command". */
    void (*describe)(const struct action_plan *, const struct attempt *, struct buf *out);
    void (*begin)(struct action *);
    void (*cancel)(struct action *); /* the end of the node: no action_tried any more */
};
extern const struct action_kind action_publish, action_webhook, action_program;
extern const struct action_kind *const action_kinds[]; /* NULL at the end */

struct action {
    struct action *next;
    struct actions *all;
    struct action_plan *plan;
    struct consumer *consumer;
    uint64_t position;
    struct guard_times seen, done;
    struct attempt now;
    struct timer timer; /* the next try */
    union {
        struct http_call *call;
        struct process *process;
    };
    bool under_way;  /* begin was called, action_tried was not */
    unsigned status; /* of a webhook's answer */
    _Atomic bool due;
    _Atomic uint64_t waiting, good, failed, held_back, dry, retries;
    _Atomic int64_t last_us;
};

struct actions {
    struct broker *broker;
    const struct io *io;
    struct loop *loop; /* its own */
    pthread_t thread;
    struct letter bell; /* something is due for some action */
    _Atomic bool rung, closing;
    pthread_mutex_t lock; /* of the list; held by whoever changes it and by glances */
    struct action *first;
    struct audit *audit;
};

/* ---- audit.c ---- */
FG_CHECK enum code audit_open(struct audit **out, const struct io *, const char *data_dir, struct fault *why);
void audit_close(struct audit *);
struct audit_line {
    const char *action, *event, *what, *result, *said;
    int64_t took_us;
    uint32_t tries;
    struct bytes message; /* the event, cut */
};
/* The log, the file; and as JSON into `json` for who wants to pass it on. */
void audit_write(struct audit *, const struct audit_line *, struct buf *json);
