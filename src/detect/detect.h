/* detect.h - anomaly models: one value after the other in, a verdict about each out. No SQL, no clock, no files.
 *
 * A `detect_config` is one call of AnomalyDetection_SpikeAndDip or _ChangePoint in a query; a `detect_model` is what that
 * call has learned about one partition key. The caller keeps the map from keys to models.
 *
 *     struct detect_config c = { .kind = DETECT_SPIKE_AND_DIP, .mode = DETECT_SPIKES, .confidence = 95,
 *                                .history_size = 120, .duration = 120 * DETECT_SECOND };
 *     detect_prepare(&c, &why);                       once, when the query is compiled
 *     detect_create(&c, &model);                      once per key
 *     detect_observe(model, ticks, 21.5, &result);    per event
 *
 * Deterministic: the same config and the same sequence of calls give bit-equal results, also when the model was saved
 * and loaded in between. Nothing is random, nothing is global.
 *
 * Thread: a config may be shared by threads once prepared; a model is used by one thread at a time.
 * Memory: all through base/mem.h. A model grows with what it has seen, up to detect_bytes_max.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/fault.h"

struct buf;

/* Ticks are 100 ns, of event time, from any midnight UTC that all values share (1970-01-01 and 0001-01-01 will do). */
#define DETECT_SECOND       INT64_C(10000000)
#define DETECT_DURATION_MAX (7 * 86400 * DETECT_SECOND) /* the language's limit */
#define DETECT_HISTORY_MAX  UINT32_C(100000)

enum detect_algorithm {
    DETECT_FIELDGATE, /* the default: several views against a long memory (fieldgate.h)                    */
    DETECT_KDE        /* kernel density and exchangeability martingale as documented for the cloud (kde.h) */
};

enum detect_kind { DETECT_SPIKE_AND_DIP, DETECT_CHANGE_POINT };

/* Which side may be anomalous; a change point looks at both whatever it says. */
enum detect_mode { DETECT_SPIKES = 1, DETECT_DIPS = 2, DETECT_SPIKES_AND_DIPS = 3 };

struct detect_config {
    /* The caller's. */
    enum detect_algorithm algorithm;
    enum detect_kind      kind;
    enum detect_mode      mode;           /* SpikeAndDip only                                               */
    double                confidence;     /* per cent, 1..100: higher = fewer alarms; 100 = never           */
    uint32_t              history_size;   /* events, 1..DETECT_HISTORY_MAX                                  */
    int64_t               duration;       /* ticks, 1..DETECT_DURATION_MAX: older events leave the history  */
    bool                  warm_up_report; /* `warm-up: report`: verdicts from the first event, as the cloud */

    /* Filled by detect_prepare. */
    double threshold; /* -ln(1 - confidence/100); infinite at 100 */
    double fade;      /* exp(-4 / history_size)                   */
};

/* LEARNING: scores are given, nothing is flagged (unless warm_up_report). Where events are further apart than `duration` there
 * is never a history, and a model learns for ever. */
enum detect_state { DETECT_LEARNING, DETECT_READY };

struct detect_result {
    bool   is_anomaly;
    bool   has_score;    /* false: the value was NULL, NaN or infinite, and was not learned                   */
    double score;        /* SpikeAndDip: p-value, 1e-300..1, smaller = more anomalous.                        */
                         /* ChangePoint: martingale, grows with evidence, 1e-300..1e308                       */
    double surprise;     /* what is compared with the threshold, for ranking alarms: -ln p, or ln of the      */
                         /* martingale, not capped where score is; 0 where alarm hygiene holds the alarm back */
    bool   has_expected; /* fieldgate: once something was learned. kde: with an anomaly (it costs 80 scores)  */
    double expected_low, expected_high; /* of this event, from what was known before it                       */
    enum detect_state state;            /* before this event: what the verdict was based on                   */
};

/* What `job models` shows. */
struct detect_info {
    enum detect_state state;
    uint64_t seen;          /* values learned, ever              */
    uint64_t anomalies;     /* flagged, ever                     */
    uint32_t learned, need; /* `learning 37/120`                 */
    bool     has_last;      /* the three below                   */
    double   last_value, last_score;
    int64_t  last_time;
    bool     has_expected;  /* of the next value, were it to come at last_time */
    double   expected_low, expected_high;
};

struct detect_model;

/* Checks the caller's part and fills in the rest. CODE_USAGE: the fault names the argument and its range. */
FG_CHECK enum code detect_prepare(struct detect_config *, struct fault *why);

/* `config` is borrowed and outlives the model. CODE_NOMEM. */
FG_CHECK enum code detect_create(const struct detect_config *, struct detect_model **out);
void detect_destroy(struct detect_model *); /* NULL is fine */

/* Scores `value` against what was learned before, then learns it. NULL is `is_null`; it, NaN and infinities get
 * {IsAnomaly 0, no score} and leave the model as it was. Values are expected in order of time: one that is older than the
 * last counts as of the same time. CODE_NOMEM: nothing was scored or learned, `out` is not set, the model goes on. */
FG_CHECK enum code detect_observe(struct detect_model *, int64_t ticks, double value, bool is_null,
                                  struct detect_result *out);

void detect_inspect(const struct detect_model *,
                    struct detect_info *out); /* microseconds, not for every event */

/* What the model has asked of the heap now, and the most a model of this config ever will. The heap itself adds at most
 * 16 bytes for each of the model's blocks (at most three). */
size_t detect_bytes(const struct detect_model *);
size_t detect_bytes_max(const struct detect_config *);

/* Appends the whole state; little-endian, versioned, the same bytes for the same state. Without memory out->bad is set. */
void detect_save(const struct detect_model *, struct buf *out);
/* `saved` is exactly what detect_save appended, and is not trusted. CODE_MALFORMED: it is not a state that detect_save
 * writes; CODE_UNSUPPORTED: written by a newer version; CODE_REFUSED: another algorithm, kind, history size or duration than
 * the config's (confidence, mode and warm-up may differ: the state does not depend on them); CODE_NOMEM. */
FG_CHECK enum code detect_load(const struct detect_config *, struct bytes saved, struct detect_model **out,
                               struct fault *why);
