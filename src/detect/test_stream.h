/* test_stream.h - for the tests of this folder: streams to observe, models to observe them with. */
#pragma once

#include <math.h>

#include "base/buf.h"
#include "detect/detect.h"

/* What every algorithm and kind must do: `each_config(c, 60, 600) { ... }` runs for each of them at each history size. */
#define each_config(c, ...)                                                                                  \
    for (int i_##c = 0; i_##c < 2 * ALGORITHMS * (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)); i_##c++) \
        for (struct detect_config c = config_of(i_##c, (int[]){__VA_ARGS__}), *once_##c = &c; once_##c;      \
             once_##c = NULL)

enum { ALGORITHMS = 2 };
static const enum detect_algorithm test_algorithms[ALGORITHMS] = {DETECT_KDE};

static inline struct detect_config config_of(int i, const int *sizes)
{
    struct detect_config c = {
        .algorithm = test_algorithms[i % ALGORITHMS],
        .kind = i / ALGORITHMS % 2 ? DETECT_CHANGE_POINT : DETECT_SPIKE_AND_DIP,
        .mode = DETECT_SPIKES_AND_DIPS,
        .confidence = 99,
        .history_size = (uint32_t)sizes[i / ALGORITHMS / 2],
        .duration = DETECT_DURATION_MAX,
    };
    assert_int_equal(detect_prepare(&c, NULL), CODE_OK);
    return c;
}

static inline struct detect_model *model_of(const struct detect_config *c)
{
    struct detect_model *m = NULL;
    assert_int_equal(detect_create(c, &m), CODE_OK);
    return m;
}

static inline void observe(struct detect_model *m, int64_t at, double v, struct detect_result *r)
{
    assert_int_equal(detect_observe(m, at, v, false, r), CODE_OK);
    assert_true(r->has_score && r->score > 0 && r->score <= 1e308 && !isnan(r->surprise));
}

static inline struct detect_model *restart(struct detect_model *m, const struct detect_config *c)
{
    struct buf saved = {0}, twice = {0};
    struct detect_model *again = NULL;
    struct fault why = {0};
    detect_save(m, &saved);
    if (detect_load(c, buf_bytes(&saved), &again, &why))
        fail_msg("%s", why.text);
    detect_save(again, &twice);
    assert_true(bytes_equal(buf_bytes(&saved), buf_bytes(&twice)));
    buf_clear(&saved);
    buf_clear(&twice);
    detect_destroy(m);
    return again;
}

#define assert_results_equal(a, b)                                                          \
    assert_true((a)->is_anomaly == (b)->is_anomaly && (a)->score == (b)->score &&           \
                (a)->surprise == (b)->surprise && (a)->has_expected == (b)->has_expected && \
                (a)->state == (b)->state &&                                                 \
                (!(a)->has_expected ||                                                      \
                 ((a)->expected_low == (b)->expected_low && (a)->expected_high == (b)->expected_high)))

/* A noisy wave with a spike now and then; `rough` adds lumps, constants, jumps of offset and scale, and times with
 * pauses and repeats in `now`. */
struct stream {
    uint64_t seed;
    bool rough;
    int64_t now;
    uint64_t x;
    double offset, scale;
};

static inline double stream_uniform(struct stream *s)
{
    s->x += 0x9e3779b97f4a7c15u;
    uint64_t z = s->x ^ (s->seed * 0xd6e8feb86659fd93u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static inline double stream_normal(struct stream *s)
{
    double r = sqrt(-2 * log(1 - stream_uniform(s)));
    return r * cos(2 * M_PI * stream_uniform(s));
}

static inline double stream_next(struct stream *s, int i)
{
    double v = 20 + 3 * sin(i / 40.0) + stream_normal(s);
    if (stream_uniform(s) < 0.01)
        v += 30 * (stream_uniform(s) - 0.3);
    if (!s->rough)
        return v;
    if (stream_uniform(s) < 0.005) {
        s->offset = 1e6 * stream_normal(s);
        s->scale = exp(10 * stream_normal(s));
    }
    double u = stream_uniform(s);
    s->now += u < 0.002  ? 3 * DETECT_DURATION_MAX
              : u < 0.01 ? DETECT_DURATION_MAX / 3
              : u < 0.1  ? 0
              : u < 0.15 ? -DETECT_SECOND
                         : (int64_t)(u * 1e9);
    return (i / 300) % 4 == 3 ? floor(v / 10) + s->offset : v * (1 + s->scale) + s->offset;
}
