/* api_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "api/api.h"
#include "base/buf.h"
#include "broker/admit.h"
#include "broker/broker.h"
#include "journal/journal.h"
#include "net/http.h"

#include <stdatomic.h>

struct event_stream; /* events.c */

/* Counters at one moment; rates are the difference of two of them. */
struct sample {
    int64_t  at_us; /* 0 = none */
    uint64_t in, out, cpu_us;
};
/* When a partition's oldest event came. */
struct oldest {
    bool     known;
    uint64_t first;   /* its sequence then */
    int64_t  wall_us; /* 0: it cannot be read */
};
enum { SAMPLES = 6, SAMPLE_MS = 1000 };

struct api {
    struct api_config   config;  /* constant */
    int64_t             since_wall_us, since_us;
    struct http_server *control, *public;
    struct admit        admit; /* connections of `public` by address */
    bool                stopping;

    struct timer  tick;
    struct sample samples[SAMPLES]; /* a ring */
    unsigned      sample_next;

    struct oldest *oldest; /* of each partition, as last read; NULL: never */

    struct event_stream *streams;
    struct letter  wake;
    _Atomic bool   wanted; /* a stream waits for more          */
    _Atomic bool   posted; /* the wake letter is on its way    */
};

/* ---- api.c ---- */
enum code api_over_memory(const struct api *, struct fault *why); /* FG2050, always */
/* http_reply_fault, with Retry-After for 503: a refusal says when to come back. */
void api_refuse(struct http_exchange *, unsigned status, const struct fault *);
/* `out` as the whole answer, or 503 when it went bad; frees it. */
void api_answer(struct http_exchange *, const char *content_type, struct buf *out);

/* ---- status.c ---- */
void status_begin(struct api *); /* starts the samples */
void status_reply(struct api *, struct http_exchange *);
void status_end(struct api *);

/* ---- manage.c ---- */
void log_serve(struct api *, struct http_exchange *, const struct http_request *);    /* GET, POST */
void reload_serve(struct api *, struct http_exchange *, const struct http_request *); /* POST */

/* ---- jobs.c ---- */
void jobs_serve(struct api *, struct http_exchange *, const struct http_request *);         /* GET, POST */
void jobs_explain_serve(struct api *, struct http_exchange *, const struct http_request *); /* GET */
void jobs_models_serve(struct api *, struct http_exchange *, const struct http_request *);  /* GET, POST: forgets */
void jobs_remove_serve(struct api *, struct http_exchange *, const struct http_request *);  /* POST */

/* ---- routes.c ---- */
void routes_serve(struct api *, struct http_exchange *, const struct http_request *); /* GET */
/* "routes":[...],"upstream":[...] */
void routes_put(struct api *, struct buf *out);
void routes_put_metrics(struct api *, struct buf *out);

/* ---- opcua.c ---- */
void opcua_serve(struct api *, struct http_exchange *, const struct http_request *);         /* GET, POST */
void configuration_serve(struct api *, struct http_exchange *, const struct http_request *); /* GET, PUT, PATCH, POST */
void opcua_put_status(struct api *, struct buf *out); /* "opcua":{...}, */
void opcua_put_metrics(struct api *, struct buf *out);

/* ---- websocket.c ---- */
void websocket_serve(struct api *, struct http_exchange *, const struct http_request *);

/* ---- metrics.c ---- */
void metrics_reply(struct api *, struct http_exchange *);

/* ---- events.c ---- */
void events_serve(struct api *, struct http_exchange *, const struct http_request *);
void events_wake(struct api *);    /* the journal has more */
void events_end_all(struct api *); /* the node is stopping */

/* ---- process.c: this process, as the kernel sees it; 0 for what it does not tell ---- */
struct process_usage {
    uint64_t rss_bytes, cpu_us, files, files_max, threads;
};
void process_look(const struct io *, struct process_usage *out);
/* Only what a sample needs. */
uint64_t process_cpu_us(void);
