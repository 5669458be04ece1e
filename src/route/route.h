// route.h - routes: which messages of this node go where else, in the language of IoT Edge.
//
//     [SELECT *] FROM <source> [WHERE <condition>] INTO <sink>           keywords in any case
//
//     source   /messages/*  /*                     what modules send: today the jobs of this node
//              /messages/modules/M/*               all outputs of module (job) M
//              /messages/modules/M/outputs/O       one of them, or with * all
//              job("M")  job("M/O")                the same
//              topic("filter")                     what is published to topics that the filter matches
//              events                              what goes into the partitions (hub.topics)
//     sink     $upstream                           waits on this node, durably, for the hub above
//              BrokeredEndpoint("/modules/M/inputs/I")  job("M/I")  an input of a job; M alone if it has one
//              topic("name")                       published to that topic
//              events                              stored in a partition
//
// Conditions are expr/condition.h's; `$topic` is a system property of ours. A message goes to every sink that one of its routes
// names, and once to each: of several routes into one sink the one with the best priority counts.
//
// A table is all routes, checked together against what there is on this node. It is immutable and may be read by any thread.
#pragma once

#include "base/buf.h"
#include "base/fault.h"

struct message;
struct condition;

/* What routes can name. Texts are UTF-8, NUL-terminated, and need only live during route_table_new. */
struct route_output {
    const char *name, *topic;
};
struct route_input {
    const char *name;
    uint32_t number; /* what a route says with a message for it; 0: it reads topics by itself */
};
struct route_job {
    const char *name;
    const struct route_output *outputs;
    const struct route_input *inputs;
    const char *const *reads; /* topic filters */
    size_t output_count, input_count, read_count;
    bool unread; /* its query is wrong: which inputs and outputs it would have nobody knows, and every name is taken for one */
};
struct route_known {
    const struct route_job *jobs;
    const char *const *events; /* filters of hub.topics */
    size_t job_count, event_count;
};

#define ROUTE_NO_PRIORITY 2000000000u
enum { ROUTES_MAX_COUNT = 200 /* L-MANIFEST */, ROUTE_TEXT_MAX = 65535, ROUTE_PRIORITY_MAX = 9 };
#define ROUTE_TTL_MAX UINT32_MAX
struct route_text {
    const char *name, *text;
    uint32_t priority; /* 0, the best, to 9; or ROUTE_NO_PRIORITY */
    uint64_t ttl_s;    /* how long a message may wait in $upstream; 0: for ever */
    /* For messages: where the text stands. in_place: it stands there as it is, so that columns of the text count from `column`. */
    const char *file;
    uint32_t line, column;
    bool in_place;
};

struct route_table;
/* Copies what it keeps. CODE_USAGE, CODE_LIMIT: `why` has number FG4100 .. FG4108 and says
 * "FILE:LINE:COLUMN route NAME: what. Did you mean ...?". CODE_NOMEM. */
FG_CHECK enum code route_table_new(struct route_table **out, const struct route_text *, size_t n,
                                   const struct route_known *, struct fault *why);
/* Tells all that keeps route_table_new from succeeding, one thing for each route and each circle; `i` is the route's number, or
 * SIZE_MAX. CODE_OK whatever was told; CODE_NOMEM. */
FG_CHECK enum code route_table_check(const struct route_text *, size_t n, const struct route_known *,
                                     void (*found)(void *ctx, size_t i, const struct fault *), void *ctx,
                                     struct fault *why);
void route_table_free(struct route_table *); /* NULL is fine */
size_t route_table_count(const struct route_table *);

/* In the order of the settings. Texts live as long as the table. */
struct route_info {
    const char *name;
    struct bytes text, source, condition, sink; /* as written; condition empty: none */
    uint32_t priority;
    uint64_t ttl_s;
};
void route_table_info(const struct route_table *, size_t i, struct route_info *out);

/* What would become of a message, route by route. `from` is a path as behind FROM (/messages/modules/M/outputs/O), or a topic. */
struct route_verdict {
    const char *name;
    bool goes; /* this route brings it to its sink */
    struct bytes sink, why;
};
/* CODE_USAGE: `from` names what there is not. `message` gives payload and properties; its topic is not looked at. */
FG_CHECK enum code route_table_test(const struct route_table *, struct bytes from,
                                    const struct message *message,
                                    void (*each)(void *ctx, const struct route_verdict *), void *ctx,
                                    struct fault *why);
