/* model.h - private to the folder: what all models have in common, and what an algorithm is. */
#pragma once

#include "base/wire.h"
#include "detect/detect.h"
#include "detect/state.h"

/* The head of every model; an algorithm's own struct begins with it. */
struct detect_model {
    const struct detect_config *config; /* borrowed */
    uint64_t seen, anomalies;
    int64_t last_time;
    double last_value, last_score; /* valid once seen > 0 */
};

struct algorithm {
    size_t size; /* of the model's struct; it starts zeroed, then `init` */
    void (*init)(struct detect_model *);
    void (*clear)(struct detect_model *); /* gives back what it holds, not the struct */
    /* The value is finite, the time is not before the last one's. Fills `out` but for anomaly counting. */
    enum code (*observe)(struct detect_model *, int64_t ticks, double value, struct detect_result *out);
    enum detect_state (*state)(const struct detect_model *);
    /* state, learned, need, expected */
    void (*inspect)(const struct detect_model *, struct detect_info *out);
    size_t (*bytes)(const struct detect_model *);               /* beside the struct */
    size_t (*bytes_max)(const struct detect_config *);          /* beside the struct */
    void (*save)(const struct detect_model *, struct buf *out); /* what follows the head */
    enum code (*load)(struct detect_model *, struct wire *, struct fault *why);
};

extern const struct algorithm kde_algorithm, fieldgate_algorithm, change_algorithm;

#define SCORE_P_MIN          1e-300
#define SCORE_MARTINGALE_MAX 1e308

/* What result.score says of a surprise: exp of it or of its negative, within the numbers JSON readers take. */
double score_of_p(double surprise);
double score_of_martingale(double log_martingale);
