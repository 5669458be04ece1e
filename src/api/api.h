/* api.h - what a running node tells: status, events, metrics, health. docs/api.md is the reference.
 *
 * Two doors with different peers behind them:
 *   control   DATA/api.sock, for the verbs: everything; only our own user and root may come in
 *   public    the `http` listeners: GET /metrics and /health
 *
 * Thread: that of the loop, except api_poke (any). Lifetime: api_open (journal and broker are open) -
 * api_stop (the loop still runs) - the loops run out - journal_close - loop_close - api_free.
 */
#pragma once

#include "base/io.h"
#include "base/settings.h"
#include "net/loop.h"

struct api;
struct broker;
struct flow;
struct journal;
struct publisher_seat;
struct mirror;

struct api_listener {
    const char *type;    /* "mqtt", "http", "mqtts", "https" */
    const char *address; /* with the real port */
    int64_t     certificate_ends_s; /* since 1970; may change on the loop; 0: it shows none */
};

/* How a reload ended: `why` NULL and a JSON object of what changed, or the sentence and, from the settings, a note for
 * each thing that is wrong (may be NULL). */
struct settings_report;
struct api_reloaded {
    const struct fault           *why;
    const struct settings_report *report;
    struct bytes                  json;
};
typedef void (*api_reload_done)(void *arg, const struct api_reloaded *);

/* What a reload changes; borrowed until the next api_change or api_free. */
struct api_view {
    const struct settings                *settings;
    const struct settings_listener *const *doors; /* by conn_door; NULL: that listener is gone */
    size_t                                door_count;
    const struct api_listener            *listeners;
    size_t                                listener_count;
};

struct api_config { /* all borrowed until api_free */
    struct loop               *loop;
    const struct io           *io;
    struct api_view            view;
    const char                *data_dir; /* absolute */
    struct broker             *broker;
    struct journal            *journal;
    struct flow               *flow;
    struct publisher_seat     *publisher;
    struct mirror             *mirror;
    const char                *version;
    /* Begins a reload; done is called once, later, on the loop. */
    void (*reload)(void *reload_ctx, api_reload_done done, void *arg);
    void                      *reload_ctx;
};

FG_CHECK enum code api_open(struct api **out, const struct api_config *, struct fault *why);
/* An accepted peer; takes it over. accept_fn with the api as its ctx. */
void api_accept_control(void *api, const struct net_peer *);
void api_accept_public(void *api, const struct net_peer *);
void api_change(struct api *, const struct api_view *);
/* The journal's durable end moved. Costs nothing while nobody waits for it. */
void api_poke(struct api *);
/* CODE_OK, or why the node does not do all it should: FG7001 full, FG7002 failed, FG8005 stopping, FG2050 short of memory. */
FG_CHECK enum code api_trouble(const struct api *, struct fault *why);
/* Ends streams; what comes from now on is answered 503. */
void api_stop(struct api *);
void api_free(struct api *); /* NULL is fine */
