/* mirror_private.h - what the files of this folder share. Not for others. All on the mirror's loop, but for mirror.c's start and end. */
#pragma once

#include "base/arena.h"
#include "base/table.h"
#include "broker/consumer.h"
#include "expr/json.h"
#include "message/message.h"
#include "mirror/mirror.h"
#include "net/loop.h"
#include "opcua/pki.h"

#include <pthread.h>
#include <stdatomic.h>

struct mirror_folder {
    struct mirror_folder *above;  /* NULL: Objects */
    struct ua_node *node;
    uint32_t used;                /* variables and folders in it */
    size_t   len;
    char     path[];              /* "Line1/Press1" */
};

struct mirror_topic;
struct mirror_variable {
    struct mirror_variable *next;              /* of its topic */
    struct mirror_variable *all_next, **all_link;
    struct mirror *mirror;
    struct mirror_topic *topic;
    const struct settings_opcua_variable *entry; /* of mirror->settings */
    struct ua_variable *node;
    struct mirror_folder *folder;
    char    *writable;                         /* NULL: nobody writes */
    uint32_t slot, time_slot;                  /* in the plan; UINT32_MAX: none */
    int64_t  heard_us;                         /* loop time */
    bool     seen, stale, said;                /* had a message; told so; its trouble stands in the log */
};

struct mirror_topic {
    struct mirror_variable *first;
    struct json_plan *plan; /* NULL: to be made, or nobody wants fields */
    bool   planned;
    size_t len;
    char   name[];
};

struct mirror {
    struct mirror_config config;
    /* of who calls */
    struct loop *loop;
    pthread_t thread;
    bool running;
    /* of the loop */
    const struct settings *settings; /* held */
    struct ua_pki *pki;
    struct ua_server *server;
    struct ua_space *space;
    struct ua_trust *user_trust;
    uint16_t ns;
    struct consumer *consumer;
    uint64_t next;
    struct table topics, folders;
    struct mirror_variable *all;
    struct json_reader *reader;
    struct arena scratch;
    struct letter came;
    _Atomic bool coming;
    struct timer again, sweep;
    bool said_full;
    struct mirror_counters count;
    pthread_mutex_t lock;      /* of what is shown */
    struct mirror_glance shown;
    bool serves;
};

/* ---- variables.c ---- */
/* From what is served to what `s` says; m->settings is `s` afterwards (the reference is taken over). */
void mirror_variables(struct mirror *, const struct settings *s);
void mirror_variables_free(struct mirror *); /* the memory; the nodes go with the space */
/* Makes it for a topic that an entry wants. NULL: none does, or there is no room. */
struct mirror_topic *mirror_topic_of(struct mirror *, struct bytes name);

/* ---- feed.c ---- */
FG_CHECK enum code mirror_subscribe(struct mirror *, struct fault *why);
void mirror_feed(struct mirror *, uint64_t until); /* what waits, up to that index */
void mirror_retained(struct mirror *);             /* for variables that have had no message */
void mirror_ready(void *mirror);                   /* any thread */
void mirror_sweep(struct mirror *);

/* ---- users.c, write.c ---- */
void mirror_ask(void *mirror, struct ua_user_ask *);
ua_status mirror_verify(void *mirror, struct ua_certificate *peer, struct fault *why);
extern const struct ua_variable_ops mirror_writable_ops; /* ctx: the variable */

/* ---- mirror.c ---- */
void mirror_show(struct mirror *);
