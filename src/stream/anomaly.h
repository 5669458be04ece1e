/* anomaly.h - AnomalyDetection_SpikeAndDip and _ChangePoint: one model (detect/detect.h) for each partition key. Models are not
 * forgotten when LIMIT DURATION passes; what they learned in the long run is worth keeping. */
#pragma once

#include "detect/detect.h"
#include "stream/run.h"

struct anomaly { /* of the plan */
    struct detect_config config;
};

struct anomalies; /* the models of one call */
struct anomalies *anomalies_make(struct stream *, const struct analytic *); /* NULL: no memory */
void              anomalies_free(struct stream *, struct anomalies *);
/* The verdict about a row as a record { IsAnomaly, Score, Expected { low, high }, State }. A row that WHEN leaves out is not learned. */
FG_CHECK enum code anomalies_row(struct stream *, const struct analytic *, struct anomalies *, const struct row *,
                                 const struct value *keys, bool when, struct value *out);
void               anomalies_save(const struct anomalies *, struct buf *out);
FG_CHECK enum code anomalies_load(struct loader *, const struct analytic *, struct anomalies *);
/* False from `each` ends it. */
bool               anomalies_each(const struct anomalies *, bool (*each)(void *ctx, const struct stream_model_info *), void *ctx);
/* The model of this key, as JSON text; all if it is empty. */
bool               anomalies_forget(struct stream *, struct anomalies *, struct bytes key);

/* The models of an OP_EXTEND (extend.c). */
void               extend_models(const struct op *, const void *state, void (*each)(struct anomalies *, void *ctx), void *ctx);
