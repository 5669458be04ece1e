/* run.h - a run of a query: the state of its operators, and how rows pass between them.
 *
 * Every edge carries rows in the order of their times (equal times in an order that the input alone decides), and watermarks: after
 * run_advance(op, port, W) no row of a time below W comes on that port. An operator that closes something at T does it when it is
 * told a watermark above T or gets a row behind T; its own rows of time T come out before its watermark passes T.
 *
 * Values of a row live in the message's reader or in the scratch arena: until the event has been dealt with. Who keeps one longer
 * copies it (keep.h).
 *
 * With TIMESTAMP BY ... OVER there is one `struct lane`, with all operators' states, for each key; otherwise there is one lane.
 */
#pragma once

#include "stream/keep.h"
#include "stream/keyed.h"
#include "stream/plan.h"

#include "base/mem.h"

#ifndef TRY
#define TRY(call)                  \
    do {                           \
        enum code try_code = call; \
        if (try_code)              \
            return try_code;       \
    } while (0)
#endif

#define TIME_NONE INT64_MIN

struct row {
    const struct value *slots;
    int64_t             time;
};

struct lane {
    struct keyed_entry entry; /* key: what OVER names */
    struct kept       *kept; /* the key's values */
    void             **states; /* of each operator, or NULL where it has none */
};

struct partition {
    int64_t arrival; /* the last */
};

struct reference_data { /* of one reference, in its own memory */
    struct arena  memory;
    uint32_t      count;
    struct value *whole; /* the rows as records                             */
    struct value *slots; /* of each row as many as the reference has fields */
};

struct lookup_index;

struct stream {
    const struct query   *query;
    struct stream_sink    sink;
    struct stream_stats   stats;
    struct arena          scratch;
    void                 *scratch_block;
    struct eval           eval;
    struct json_reader   *json;
    struct buf            line;
    struct keyed          lanes;
    struct lane          *only; /* without OVER */
    struct partition    **partitions; /* of each input */
    uint32_t             *partition_counts;
    struct reference_data *references;
    struct lookup_index **lookups;
    uint64_t              state_bytes, groups, waiting, models, sequence;
    const struct stream_message *message;
    int64_t               clock; /* of stream_clock */
    int64_t               reached; /* highest time a lane was told: for stats */
    bool                  ended;
};

/* ---- passing on (run.c) ---- */
FG_CHECK enum code run_row(struct stream *, struct lane *, const struct op *, uint32_t port, const struct row *);
FG_CHECK enum code run_emit(struct stream *, struct lane *, const struct op *, const struct row *);
FG_CHECK enum code run_advance(struct stream *, struct lane *, const struct op *, uint32_t port, int64_t mark);
FG_CHECK enum code run_advance_outs(struct stream *, struct lane *, const struct op *, int64_t mark);

/* An expression failed on a row: the row is dropped and counted, or the stream stops. */
FG_CHECK enum code run_failed(struct stream *, enum code);
enum code          run_no_memory(struct stream *);
void              *run_take(struct stream *, size_t count, size_t size); /* scratch, not zeroed */
void               run_trouble(struct stream *, const char *name, const char *fmt, ...) FG_PRINTF(3, 4);

/* The multiple of `step` at or before t. */
static inline int64_t floor_time(int64_t t, int64_t step)
{
    int64_t q = t / step;
    return (q - (t % step != 0 && t < 0)) * step;
}

static inline void run_at(struct stream *s, const struct row *r)
{
    s->eval.slots = r->slots;
    s->eval.time = r->time;
}

static inline enum code run_value(struct stream *s, const struct expr *e, int32_t slot, const struct row *r, struct value *out)
{
    if (slot >= 0) {
        *out = r->slots[slot];
        return CODE_OK;
    }
    run_at(s, r);
    return expr_eval(e, &s->eval, out);
}

/* ---- operators with state. All: NULL without memory; free takes NULL. ---- */
struct loader { /* hostile bytes */
    struct stream *stream;
    struct bytes   left;
    struct fault  *why;
    bool           bad;
    int64_t        now;    /* of the operator that is read: no row of its windows is younger */
    struct arena   memory; /* records and arrays while they are read */
};
struct operator_kind {
    void *(*make)(struct stream *, const struct op *);
    void  (*free)(struct stream *, const struct op *, void *state);
    enum code (*row)(struct stream *, struct lane *, const struct op *, void *state, uint32_t port, const struct row *);
    enum code (*advance)(struct stream *, struct lane *, const struct op *, void *state, uint32_t port, int64_t mark);
    /* A watermark above it lets something out; INT64_MAX: none does. May be too early, not too late. NULL: none ever does. */
    int64_t (*due)(const void *state);
    void  (*save)(const struct stream *, const struct op *, const void *state, struct buf *out);
    enum code (*load)(struct loader *, const struct op *, void *state);
};
extern const struct operator_kind operator_reader, operator_extend, operator_join, operator_group, operator_union;
const struct operator_kind *run_kind(const struct op *); /* NULL: no state */

/* ---- readers (reader.c) ---- */
FG_CHECK enum code reader_event(struct stream *, const struct op *, const struct value *slots);
/* What has come so far is passed on. */
FG_CHECK enum code reader_settle(struct stream *, struct lane *, const struct op *);
FG_CHECK enum code reader_clock(struct stream *, struct lane *, const struct op *, int64_t now);
int64_t            reader_mark(const struct stream *, const struct lane *, const struct op *);
FG_CHECK enum code lane_find(struct stream *, const struct value *keys, uint32_t count, struct lane **out);
struct lane       *lane_make(struct stream *);
void               lane_free(struct stream *, struct lane *);

/* ---- stateless (columns.c, apply.c, lookup.c) ---- */
FG_CHECK enum code columns_write(struct stream *, const struct columns *, const struct row *, struct buf *out);
FG_CHECK enum code columns_record(struct stream *, const struct columns *, const struct row *, struct value *out);
FG_CHECK enum code apply_row(struct stream *, struct lane *, const struct op *, const struct row *);
FG_CHECK enum code lookup_row(struct stream *, struct lane *, const struct op *, const struct row *);
/* Keys of a join as they are looked up: what compares equal becomes the same value. *found false: one is NULL or fails, which is no match.
 * CODE_NOMEM only. */
FG_CHECK enum code join_eval(struct stream *, struct expr **, uint32_t count, const struct row *, struct value *out, bool *found);
/* ON; an error is no match. */
FG_CHECK enum code join_matches(struct stream *, const struct expr *on, const struct row *, bool *match);
void               lookups_free(struct stream *);
/* Memory for `count` rows; then `whole` is filled, then slots by reference_layout, then it takes the old one's place. */
FG_CHECK enum code reference_begin(struct stream *, struct reference_data *, uint32_t count, struct fault *why);
FG_CHECK enum code reference_layout(struct stream *, uint32_t reference, struct reference_data *, struct fault *why);
void               reference_swap(struct stream *, uint32_t reference, const struct reference_data *);
void               reference_free(struct reference_data *);

/* ---- saving (save.c) ---- */
void               save_values(struct buf *out, const struct value *, uint32_t count);
void               save_kept(struct buf *out, const struct kept *);
uint64_t           load_count(struct loader *, uint64_t most); /* varint; above `most`: bad */
int64_t            load_time(struct loader *);
uint64_t           load_u64(struct loader *);
FG_CHECK enum code load_bad(struct loader *, const char *what);
FG_CHECK enum code load_values(struct loader *, struct value *out, uint32_t count);
/* A row of `width` values, owned by the caller and counted in the stream's bytes. */
FG_CHECK enum code load_kept(struct loader *, uint32_t width, struct kept **out);
