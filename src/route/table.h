/* table.h - what the files of this folder share of a table. Not for others. */
#pragma once

#include "base/arena.h"
#include "expr/condition.h"
#include "expr/json.h"
#include "route/route.h"

#include <stdatomic.h>

/* ---- parse.c: the text by itself ---- */
enum route_source {
    SOURCE_MESSAGES, /* all modules */
    SOURCE_MODULE,   /* one; output empty: all of its outputs */
    SOURCE_TOPIC,
    SOURCE_EVENTS
};
enum route_sink {
    SINK_UPSTREAM,
    SINK_INPUT, /* module, input; input may be empty */
    SINK_TOPIC,
    SINK_EVENTS
};
struct route_parts {
    struct bytes text;
    uint8_t source, sink;
    struct bytes source_text, condition_text, sink_text;
    struct bytes from_module, from_output, from_topic;
    struct bytes to_module, to_input, to_topic;
    size_t module_at, output_at, topic_at, to_at, to_input_at; /* offsets of those */
    struct condition *condition;                               /* NULL: none */
};
/* Who is being read, for messages. */
struct route_reading {
    const struct route_text *said;
    struct arena *arena;
    struct fault *why;
};
/* "FILE:LINE:COLUMN route NAME: ..." for what stands at this offset of the text. Yields `code`. */
enum code route_refuse(const struct route_reading *, enum code code, int number, size_t offset,
                       const char *fmt, ...) FG_PRINTF(5, 6);
FG_CHECK enum code route_parse(struct route_parts *out, const struct route_reading *);
/* A path behind FROM, as "/messages/modules/M/outputs/O". Offsets count from `at`. */
FG_CHECK enum code route_parse_path(struct route_parts *out, const struct route_reading *, struct bytes path,
                                    size_t at);

/* ---- table.c ---- */
struct route {
    const char *name;
    const struct route_text said;
    struct route_parts parts;
    struct bytes *filters; /* topic filters of its source */
    size_t filter_count;
    struct route_target *target;
    uint32_t *json_slots; /* by name of the condition: the slot of its target's plan, UINT32_MAX: no body */
    uint32_t order;       /* in the settings */
};

/* A sink, and the routes that lead to it: the best priority first, then the longest time to live, then as in the settings. */
struct route_target {
    uint8_t kind;      /* enum route_sink */
    struct bytes name; /* "$upstream", "job humidity/in", "topic alarms", "events" */
    const char *job;   /* SINK_INPUT */
    uint32_t number;
    struct bytes topic; /* SINK_TOPIC */
    struct route **routes;
    size_t count;
    struct json_plan *plan; /* NULL: no condition asks for the body */
    uint32_t paths;
    const struct route_table *table;
};
struct route_table {
    struct arena arena;
    struct route *routes;
    struct route_target *targets;
    size_t count, target_count;
    struct bytes *events; /* filters of the partitions */
    size_t event_count;
    /* For route_table_test: "$jobs/M/O" of each output that routes can name. */
    struct route_place {
        const char *module, *output;
        struct bytes topic;
    } * places;
    size_t place_count;
};

/* ---- names.c: against what there is ---- */
FG_CHECK enum code route_resolve_source(struct route *, const struct route_reading *,
                                        const struct route_known *);
/* The job, and the input's number. */
FG_CHECK enum code route_resolve_input(const struct route_parts *, const struct route_reading *,
                                       const struct route_known *, const struct route_job **job,
                                       const struct route_input **input);
FG_CHECK enum code route_check_condition(const struct route_parts *, const struct route_reading *);

/* ---- circle.c ---- */
/* Messages must not come back to a route that they have been through. The first circle is refused, from the route number *next on;
 * *next is then the one to look for another circle from. Routes of a circle that was found are in no second one: `told`, zeroed by
 * the caller, has room for each route. */
FG_CHECK enum code route_check_circles(const struct route_table *, const struct route_known *, struct arena *,
                                       size_t *next, bool *told, struct fault *why);

/* ---- match.c: messages ---- */
struct route_matcher { /* of one thread */
    struct json_reader *reader;
    struct arena scratch;
    struct value *json; /* values of the plan's paths; undefined if the body is none */
    uint32_t json_cap;
    bool body_read, body_bad; /* of the message at hand */
    struct fault body_why;
};
FG_CHECK enum code route_matcher_init(struct route_matcher *, struct fault *why);
void route_matcher_clear(struct route_matcher *);
enum route_outcome {
    OUTCOME_ELSEWHERE /* its source is another */,
    OUTCOME_YES,
    OUTCOME_NO,
    OUTCOME_UNDEFINED
};
/* A new message is at hand. */
void route_matcher_begin(struct route_matcher *);
/* One route of the target at hand. CODE_NOMEM. `slots` (CONDITION_NAMES_MAX) gets the condition's values; may be NULL. */
FG_CHECK enum code route_match(struct route_matcher *, const struct route *, const struct message *,
                               struct bytes topic, enum route_outcome *out, struct value *slots);
bool route_source_matches(const struct route *, struct bytes topic);
