/* stream.h - a streaming SQL query: compiled once, run as often as wanted.
 *
 * A `struct query` is the checked and planned text: immutable, shared. A `struct stream` is one run of it with its state: rows
 * that wait for the watermark, windows, joins, LAG rings, models. It is a pure function of what it is fed: messages, arrival times and
 * clock readings in their order give the same rows in the same order, byte for byte. It has no clock, no thread, no file. That is
 * what lets a job be resumed after a crash: state saved at a place, and the same input fed again from there, gives the same.
 *
 * Times are ticks of 100 ns since 0001-01-01 (expr/value.h). One thread at a time.
 */
#pragma once

#include "expr/value.h"

struct query;
struct stream;

enum stream_policy { STREAM_ADJUST, STREAM_DROP };
enum stream_model { STREAM_FIELDGATE, STREAM_KDE };

/* Events of any age keep their own time, as recordings that are replayed need it. The clock then says nothing about times that come from
 * the events: what waits for later events waits for them. */
#define STREAM_LATE_UNLIMITED INT64_MAX

struct query_options {
    const char        *file;             /* for messages: "humidity.sql"                                     */
    int64_t            late;             /* ticks; default 5 s, at most 20 days, or STREAM_LATE_UNLIMITED     */
    int64_t            out_of_order;     /* ticks; default 0                                                 */
    enum stream_policy policy;           /* for both; default adjust                                         */
    enum stream_model  model;            /* behind the anomaly functions                                     */
    bool               warm_up_report;   /* report anomalies before a model is ready, as the cloud service does */
    bool               stop_on_error;    /* a wrong type stops the job (as the cloud service) instead of dropping the event */
    bool               lowercase_names;  /* field names of outputs in lower case, as on IoT Edge             */
    bool               ignore_case;      /* text comparison                                                  */
    uint64_t           state_bytes;      /* 0 = 256 MiB                                                      */
    uint32_t           groups;           /* 0 = 1,000,000                                                    */
    double             confidence;       /* of every anomaly function, instead of the query's; 0: as it says */
    uint32_t           history;          /* likewise                                                         */
    /* The only names that FROM and JOIN may read besides WITH steps and reference data, NULL behind the last; NULL: any name is an
     * input. Borrowed until query_free. */
    const char *const *inputs;
    /* Names that are reference data. NULL: none. */
    bool (*is_reference)(void *ctx, struct bytes name);
    void *ctx;
};
void query_options_default(struct query_options *);

/* CODE_USAGE: `why` says file:line:column, what, and the nearest right thing; why->at = line * 65536 + column.
 * CODE_LIMIT (text over 64 KiB, more than 8 joins, depth), CODE_UNSUPPORTED (the language has it, we do not), CODE_NOMEM. */
FG_CHECK enum code query_compile(struct query **out, struct bytes text, const struct query_options *, struct fault *why);
void               query_free(struct query *); /* after its streams */

uint32_t     query_inputs(const struct query *);  /* as named after FROM and JOIN, in order of mention, without reference data */
struct bytes query_input(const struct query *, uint32_t i);
uint32_t     query_references(const struct query *);
struct bytes query_reference(const struct query *, uint32_t i);
uint32_t     query_outputs(const struct query *); /* INTO names; one without INTO is "output" */
struct bytes query_output(const struct query *, uint32_t i);
/* True if a TIMESTAMP BY takes the time from the events. */
bool         stream_times_events(const struct query *);
/* Warnings ("double-quoted text taken as a string"), one line each. */
uint32_t     query_warnings(const struct query *);
const char  *query_warning(const struct query *, uint32_t i);
/* The plan as a person reads it, several lines: `job explain`, `job check`. */
void         query_explain(const struct query *, struct buf *out);

/* ---- a run ---- */
struct stream_row {
    uint32_t     output;
    int64_t      time;   /* System.Timestamp() of the row */
    struct bytes json;   /* one object; valid during the call */
};
struct stream_sink {
    void *ctx;
    /* Rows in their order. May not call back into the stream. */
    void (*row)(void *ctx, const struct stream_row *);
    /* An event was dropped or a policy was applied: name as in the language's documentation, sentence for a person. May be NULL. */
    void (*trouble)(void *ctx, const char *name, const char *sentence);
};
FG_CHECK enum code stream_new(struct stream **out, const struct query *, const struct stream_sink *, struct fault *why);
void               stream_free(struct stream *);

enum { STREAM_PARTITIONS = 1024 };
struct stream_message {
    uint32_t     input;      /* index as of query_input */
    struct bytes body;
    bool         padded;     /* 64 readable bytes lie behind the body */
    int64_t      arrival;    /* ticks; EventEnqueuedUtcTime. Not below what stream_clock was told (it is raised, STREAM_SET_BACK) */
    bool         punctual;   /* TIMESTAMP BY: an event's own time is its arrival, so that none is early or late (files) */
    uint32_t     partition;  /* of the input: 0..stream_partitions' count - 1; below STREAM_PARTITIONS */
    struct bytes source;     /* client or device id: IoTHub.ConnectionDeviceId */
    struct bytes topic;
    /* User and system properties for GetMetadataPropertyValue, by the name as the query has it (stream_user_property); NULL: none.
     * Fills *value, false if there is none. */
    bool (*property)(void *ctx, struct bytes name, struct bytes *value);
    void *ctx;
};
/* "line" of "[User].[line]" and of "User.line"; empty: no user property is meant. */
struct bytes stream_user_property(struct bytes name);
/* An input that comes in several partitions, each in order by itself: rows wait until every partition has passed their time, or
 * stream_clock has. Before the first message; 1 unless said. */
FG_CHECK enum code stream_partitions(struct stream *, uint32_t input, uint32_t count);
/* CODE_OK also if the message was dropped (counted, told to `trouble`). CODE_MALFORMED: stop_on_error and an event that stops the job;
 * `why` has the sentence. CODE_LIMIT: the state is full (L-SQL): the job must pause; nothing of the message was taken in. CODE_NOMEM. */
FG_CHECK enum code stream_feed(struct stream *, const struct stream_message *, struct fault *why);
/* Nothing arrived up to `now`: the watermark follows the clock (section 5 step 4 of the time rules). Must be recorded by who wants to
 * run the same again. */
FG_CHECK enum code stream_clock(struct stream *, int64_t now, struct fault *why);
/* The clock was set back: an event of a live input arrives by more than this before the one in front of it in its partition, or before
 * what stream_clock was told (not if `punctual`, nor if no watermark follows the clock). What is open ends as with stream_end, and the
 * stream is then as if it were new; `trouble` is told ClockSetBack. Ticks. Less than that: time stands still for so long. */
#define STREAM_SET_BACK (INT64_C(300) * 10000000)
/* stream_clock(now) would do that, and something is open: it should be told. */
bool               stream_set_back(const struct stream *, int64_t now);
/* The first `now` that may bring something out if nothing else comes: a window's end, a row that waits. INT64_MAX: none does. May be
 * too early, not too late. Looks at every lane. */
int64_t            stream_due(const struct stream *);
/* No more input: everything that waits comes out. */
FG_CHECK enum code stream_end(struct stream *, struct fault *why);
/* Reference data, whole: swaps atomically. JSON (array of objects or lines) or CSV with a header line. CODE_MALFORMED: the old stays. */
enum stream_format { STREAM_JSON, STREAM_CSV };
FG_CHECK enum code stream_reference(struct stream *, uint32_t reference, enum stream_format, struct bytes text, struct fault *why);

/* Everything that the rows to come depend on. load into a fresh stream of the same query (a changed text: CODE_UNSUPPORTED);
 * checks all it reads: CODE_DAMAGED. */
FG_CHECK enum code stream_save(const struct stream *, struct buf *out);
FG_CHECK enum code stream_load(struct stream *, struct bytes saved, struct fault *why);

struct stream_stats {
    uint64_t messages, events, rows;
    uint64_t malformed, no_timestamp, no_over_value, late, early, out_of_order, wrong_type; /* InputDeserializationError and kin */
    uint64_t not_finite;  /* numbers written as null, because they were infinite or not a number */
    uint64_t state_bytes, waiting, groups, models;
    int64_t  watermark;   /* ticks; INT64_MIN: none yet */
};
void stream_stats(const struct stream *, struct stream_stats *);
/* How far an input has come, ticks; INT64_MIN: nothing yet. For who feeds several files: the one that is behind comes next. */
int64_t stream_reached(const struct stream *, uint32_t input);

/* Models behind anomaly functions, for `job models`. */
struct stream_model_info {
    struct bytes key;      /* partition key as JSON text */
    bool         ready;
    uint64_t     seen, anomalies;
    uint32_t     learned, of;
    double       last, low, high, score; /* NaN: none */
};
void stream_models(const struct stream *, bool (*each)(void *ctx, const struct stream_model_info *), void *ctx);
/* Forgets the model of this key (JSON text), or all if key is empty; false if there is none. */
bool stream_forget(struct stream *, struct bytes key);
