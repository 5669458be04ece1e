/* plan.h - what a query is made of once it is checked: operators that pass rows on. Immutable while streams run it.
 *
 *   reader -> extend -> join/lookup/apply -> filter -> group -> write          a SELECT INTO
 *   reader -> extend -> join/lookup/apply -> filter -> project -> union        a WITH step, read by others
 *
 * A row is an array of values (slots) and a time. Each operator's rows have a fixed number of slots; slot numbers in its compiled
 * expressions count from the first slot of the rows it takes. What nobody asks for has no slot: columns of steps and fields of events
 * are given slots when a name is first resolved to them (names.h).
 */
#pragma once

#include "expr/json.h"
#include "stream/statement.h"
#include "stream/stream.h"

enum op_kind {
    OP_READER,  /* events of an input with their times, in order                    */
    OP_EXTEND,  /* appends results of analytic functions, and the row's time        */
    OP_JOIN,    /* two streams, port 0 left and port 1 right                        */
    OP_LOOKUP,  /* joins reference data                                             */
    OP_APPLY,   /* a row for each element                                           */
    OP_FILTER,  /* WHERE                                                            */
    OP_GROUP,   /* GROUP BY with its windows, and HAVING                            */
    OP_PROJECT, /* the columns of a step                                            */
    OP_UNION,   /* several streams in the order of their times                      */
    OP_WRITE    /* to an output                                                     */
};

/* Columns as text or as a record: a name with a value, or the fields of a record. */
struct column {
    struct bytes name;    /* empty: spreads a record                                 */
    struct bytes label;   /* `"name":` as JSON                                        */
    struct expr *e;
    int32_t      slot;    /* e is this slot as it is; -1: evaluate                   */
    struct place at;
};
struct columns {
    struct column *at;
    uint32_t       count;
    bool           spreads;  /* any                                                  */
};

enum analytic_kind { ANALYTIC_LAG, ANALYTIC_LAST, ANALYTIC_ISFIRST, ANALYTIC_ANOMALY };
struct analytic {
    enum analytic_kind kind;
    struct expr       *x;         /* value; of ISFIRST NULL                           */
    struct expr       *otherwise; /* default, or NULL                                 */
    struct expr       *when;      /* or NULL                                          */
    struct expr      **keys;
    uint32_t           key_count;
    uint32_t           offset;
    int64_t            duration;  /* ticks                                            */
    struct place       at;
    struct anomaly    *anomaly;   /* ANALYTIC_ANOMALY                                 */
};

enum { ORDERS_MAX = 16 }; /* of an ORDER BY */
enum aggregate_kind {
    AGGREGATE_COUNT_ALL, AGGREGATE_COUNT, AGGREGATE_COUNT_DISTINCT, AGGREGATE_SUM, AGGREGATE_AVG, AGGREGATE_MIN, AGGREGATE_MAX,
    AGGREGATE_VAR, AGGREGATE_VARP, AGGREGATE_STDEV, AGGREGATE_STDEVP, AGGREGATE_COLLECT, AGGREGATE_TOP, AGGREGATE_TOP_ONE,
    AGGREGATE_PERCENTILE_CONT, AGGREGATE_PERCENTILE_DISC
};
struct aggregate {
    enum aggregate_kind kind;
    const char         *name;    /* as in the language, for messages                 */
    struct expr        *x;       /* value, or NULL                                   */
    int32_t             slot;    /* x is this slot as it is; -1: evaluate            */
    struct expr       **order;   /* TOP, TOP_ONE                                     */
    bool               *descending;
    uint32_t            orders;
    double              share;   /* of a percentile                                  */
    uint32_t            top;     /* n of CollectTop                                  */
    struct place        at;
};

enum window_kind { WINDOW_TUMBLING, WINDOW_HOPPING, WINDOW_SLIDING, WINDOW_SESSION, WINDOW_SNAPSHOT };
struct window {
    enum window_kind kind;
    int64_t          size, hop, offset; /* ticks; of a session: size is the time-out, hop the longest duration */
    struct bytes     id;
    bool             named;
    struct expr    **keys;              /* a session's PARTITION BY                  */
    uint32_t         key_count;
};

enum meta_kind { META_NONE, META_ENQUEUED, META_PROCESSED, META_DEVICE, META_PARTITION, META_PROPERTY, META_TOPIC };
struct demand { /* a slot of an input, of reference data or of a step; a path of no parts is the whole row as a record */
    struct bytes  *parts;
    uint32_t       count;
    enum meta_kind meta;
    struct bytes   property;
};
struct demands {
    struct demand *at;
    uint32_t       count;
};

struct input {
    struct bytes            name;
    struct demands          fields;
    struct json_plan       *json;
    const struct table_statement *table;
    uint32_t               *typed;      /* slots of the table's columns                */
    bool                    has_meta;
    struct op             **readers;
    const struct source   **reader_sources; /* whose clauses they have */
    uint32_t                reader_count;
    struct input           *next;
    uint32_t                index;
};
struct reference {
    struct bytes      name;
    struct demands    fields;
    struct reference *next;
    uint32_t          index;
};

struct op;
struct edge {
    struct op *op;
    uint32_t   port;
};
struct op {
    uint8_t      kind; /* enum op_kind */
    uint32_t     id;   /* in the query */
    uint32_t     ports;
    uint32_t     width; /* slots of the rows it gives */
    struct edge *outs;
    uint32_t     out_count;
    struct place at;
    union {
        struct {
            struct input *input;
            struct expr  *timestamp; /* NULL: arrival */
            int32_t       slot;      /* timestamp is this slot; -1: evaluate */
            struct expr **over;
            uint32_t      overs, index;
        } reader;
        struct {
            struct analytic *at;
            uint32_t         count, from; /* width of the row it takes */
            bool             stamp;
        } extend;
        struct {
            struct expr  *on;
            struct expr **left_keys, **right_keys;
            uint32_t      keys, left_width, right_width, left_time; /* slot of the time DATEDIFF counts from */
            enum unit     unit;
            int64_t       low, high; /* boundaries from left to right */
            int64_t       lag;       /* ticks by which left_time may lie before its row's own time */
            bool          outer;
        } join;
        struct {
            struct reference *reference;
            struct expr      *on;
            struct expr     **left_keys, **right_keys;
            uint32_t          keys, left_width, right_width, index;
            bool              outer;
        } lookup;
        struct {
            struct expr *e;
            uint32_t     from;
            bool         record, outer;
        } apply;
        struct {
            struct expr *test;
        } filter;
        struct {
            struct expr     **keys;
            int32_t          *key_slots;
            uint32_t          key_count;
            struct aggregate *aggregates;
            uint32_t          aggregate_count;
            struct window    *windows;
            uint32_t          window_count;
            struct expr      *having;
        } group;
        struct {
            struct columns *whole; /* for the demand of the whole row, or NULL */
            struct column  *at;    /* as many as width; e NULL and slot -1: the whole row */
        } project;
        struct {
            uint32_t *widths; /* of the rows of each port */
            bool      split;  /* rows of port k leave by way k; else all by all */
        } both;
        struct {
            uint32_t       output;
            struct columns columns;
        } write;
    };
};

struct output {
    struct bytes name;
    struct place at;
};

struct query {
    struct arena         memory; /* all below lies in it but compiled expressions and JSON plans */
    struct bytes         text;
    const char          *file;
    struct query_options options;
    uint64_t             mark;   /* of text and options: saved state belongs to it */
    struct input        *inputs;
    uint32_t             input_count;
    struct reference    *references;
    uint32_t             reference_count;
    struct output       *outputs;
    uint32_t             output_count;
    struct op          **ops;    /* a row goes only to ops behind its own */
    uint32_t             op_count, reader_count, lookup_count;
    struct expr        **exprs;
    uint32_t             expr_count;
    char               **warnings;
    uint32_t             warning_count;
    bool                 lanes;  /* TIMESTAMP BY ... OVER: each key is a world of its own */
    struct statements    statements;
};
