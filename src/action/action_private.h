/* action_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "action/action.h"
#include "action/guard.h"
#include "action/machine.h"
#include "broker/consumer.h"
#include "expr/value.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/process.h"
#include "net/tls.h"

#include <pthread.h>
#include <stdatomic.h>

enum { EVENT_ID_MAX = 112, SAID_MAX = 256, FILL_BYTES_MAX = 16 << 20, TOPIC_BYTES = 1024, TOPIC_LEVELS = 32 };

struct action;
struct action_kind;

/* A template, and how it is filled in. */
struct body {
    const char *text; /* "": the event itself */
    bool json;
};

/* What the settings say, checked. */
struct action_plan {
    struct arena arena;
    const char *name;
    struct bytes topic; /* of the events */
    const struct action_kind *kind;
    struct guard_rule at_least, at_most;
    bool dry_run;
    bool needs_event; /* a template has fields */
    uint32_t retry;
    int64_t timeout_ms;
    struct {
        const char *topic;
        struct body message;
        uint8_t qos;
        bool retain;
    } publish;
    struct {
        const char *host, *target, *headers; /* headers: lines with CRLF */
        struct body body;
        uint16_t port;
        struct tls_client *tls; /* NULL: http */
    } webhook;
    const char *const *program; /* NULL at the end */
    struct {
        struct machine_wish machine;
        struct ua_expanded_node_id node, object; /* the variable; or the method, and the object */
        const char *said;                        /* the node as the settings write it */
        const char *const *values;               /* templates: the value, or the arguments */
        uint32_t count;
    } opcua;
    const struct action_servers *servers; /* while the plan is made */
    uint64_t mark;              /* of all of this: has it changed? */
};

/* One event, while it is worked on. */
struct attempt {
    uint64_t index;
    struct message *message; /* one reference */
    struct arena arena;
    struct value event; /* its JSON; NULL value: it is none, and no template asks for it */
    char id[EVENT_ID_MAX];
    uint32_t tries, pauses; /* of pauses: how many ACTION_LATER since the last real try */
    int64_t begun_us;       /* monotonic */
    bool open;              /* there is one */
};

/* How a try ended; called exactly once for each begin, on the loop, also from within begin. */
enum action_result {
    ACTION_GOOD,
    ACTION_FAILED /* worth another try */,
    ACTION_HOPELESS,
    ACTION_LATER /* nothing is wrong with it: it waits, and the try does not count */
};
void action_tried(struct action *, enum action_result, const char *said);

/* A way of doing something. */
struct action_kind {
    const char *name; /* "publish" */
    /* Takes what it needs from the settings. CODE_NOTFOUND: this action is of another kind. */
    enum code (*plan)(struct action_plan *, const struct settings_action *, const struct io *,
                      struct fault *why);
    /* What it is about to do, for the audit: "publish factory/1/command". No secrets. */
    void (*describe)(const struct action_plan *, const struct attempt *, struct buf *out);
    void (*begin)(struct action *);
    void (*cancel)(struct action *); /* of what is under way: no action_tried any more */
    void (*enter)(struct action *);  /* before its first event; NULL: nothing is to be done */
    void (*leave)(struct action *);  /* after its last one, cancelled */
};
extern const struct action_kind action_publish, action_webhook, action_program, action_opcua_write, action_opcua_call;
extern const struct action_kind *const action_kinds[]; /* NULL at the end */

/* On the actions' loop, but where it says otherwise. */
struct action {
    struct action *next; /* changed on the loop, under the lock of `all` */
    struct actions *all;
    struct action_plan *plan;
    struct consumer *consumer;
    uint64_t position;   /* the next event     */
    uint64_t unrecorded; /* done with, which could not be recorded: everything below this; 0 = nothing */
    struct guard_times seen, done;
    struct attempt now;
    struct timer timer; /* the next try, or the end of this one's time */
    struct http_call *call;
    struct process *process;
    struct machine *machine;      /* opcua: NULL: it cannot be connected to */
    struct opcua_known *known;    /* of the variable or method      */
    struct opcua_errand *errand, *lesson; /* what is asked of it: the command; types */
    unsigned status; /* of a webhook's answer */
    size_t answered; /* bytes of it           */
    bool under_way;  /* begin was called, action_tried was not */
    bool held_run;       /* the last event was held back */
    uint64_t held_since; /* how many were, without a word, since the last one that was said */
    bool leaving;    /* nothing is begun any more */
    _Atomic bool due; /* any thread: there may be something to take */
    _Atomic uint64_t good, failed, held_back, dry, retries;
    _Atomic int64_t last_us;
};

struct errand;
struct actions {
    struct broker *broker;
    const struct io *io;
    char *data_dir;
    struct ua_pki *pki; /* opened with the first action that needs it */
    struct machine *machines;
    struct loop *loop; /* its own */
    pthread_t thread;
    struct letter bell; /* something is due for some action */
    _Atomic bool rung;
    pthread_mutex_t lock; /* of the list, against glances. Nothing that waits is done under it */
    struct action *first;
    struct errand *calm;  /* waits until none of those that leave is under way */
    struct timer grace;
    struct audit *audit;
};

/* ---- plan.c, for kinds ---- */
FG_CHECK enum code plan_keep(struct action_plan *, const char *text, const char **out, struct fault *why);
/* A template: checked. `key` names it in the message. */
FG_CHECK enum code plan_template(struct action_plan *, const char *key, const char *text, const char **out,
                                 struct fault *why);
FG_CHECK enum code plan_body(struct action_plan *, const char *key, const char *text, struct body *out,
                             struct fault *why);
/* "" is the event itself. */
void body_fill(struct buf *out, const struct body *, const struct attempt *);

/* ---- work.c: events of one action ---- */
void action_go_on(struct action *);      /* the next events, until one is under way or there are no more */
void action_ring(struct action *);       /* any thread: there may be something */
void action_try_now(struct action *);    /* the next try of an event that waits for it, without waiting longer */
void action_break_off(struct action *);  /* the one under way has not happened */
bool action_load_guard(struct action *); /* from the consumer's note. False: no memory */
/* Once more, should the last one have failed. Where no loop works on it. */
void action_record(struct action *);

/* ---- kind_opcua.c ---- */
void action_machine_up(struct action *a); /* its machine is connected, again */

/* ---- actions.c ---- */
void actions_tried(struct action *); /* its try has ended: may whoever waits for that go on? */

/* ---- audit.c ---- */
FG_CHECK enum code audit_open(struct audit **out, const struct io *, const char *data_dir, struct fault *why);
void audit_close(struct audit *); /* NULL is fine */
struct audit_line {
    const char *action, *event, *what, *result, *said;
    int64_t took_us, after_us; /* from its begin to its end; from the event to its end */
    uint32_t tries;
    uint64_t held_back;   /* before this one, which have no line */
    struct bytes message; /* the event, cut */
};
/* The log, the file; and as JSON into `json` for who wants to pass it on. */
void audit_write(struct audit *, const struct audit_line *, struct buf *json);
