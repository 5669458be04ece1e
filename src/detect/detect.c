#include "detect/detect.h"

#include <math.h>

#include "base/buf.h"
#include "base/mem.h"
#include "detect/model.h"

enum { STATE_VERSION = 1 };

static const struct algorithm *const algorithms[][2] = {
    [DETECT_FIELDGATE] = {&fieldgate_algorithm, &change_algorithm},
    [DETECT_KDE] = {&kde_algorithm, &kde_algorithm},
};

static const struct algorithm *algorithm_of(const struct detect_config *c)
{
    return algorithms[c->algorithm][c->kind];
}

double score_of_p(double surprise)
{
    return surprise <= 0 ? 1 : fmax(exp(-surprise), SCORE_P_MIN);
}

double score_of_martingale(double log_martingale)
{
    return fmin(fmax(exp(log_martingale), SCORE_P_MIN), SCORE_MARTINGALE_MAX);
}

enum code detect_prepare(struct detect_config *c, struct fault *why)
{
    if ((unsigned)c->algorithm >= sizeof algorithms / sizeof *algorithms)
        return FAIL(why, CODE_USAGE, 0, "there is no detection model %d", (int)c->algorithm);
    if (c->kind != DETECT_SPIKE_AND_DIP && c->kind != DETECT_CHANGE_POINT)
        return FAIL(why, CODE_USAGE, 0, "there is no kind of detection %d", (int)c->kind);
    if (c->kind == DETECT_CHANGE_POINT)
        c->mode = DETECT_SPIKES_AND_DIPS;
    if (c->mode < DETECT_SPIKES || c->mode > DETECT_SPIKES_AND_DIPS)
        return FAIL(why, CODE_USAGE, 0, "the mode is 'spikes', 'dips' or 'spikesanddips'");
    if (!(c->confidence >= 1 && c->confidence <= 100))
        return FAIL(why, CODE_USAGE, 0, "the confidence is %g; it may be 1 to 100", c->confidence);
    if (c->history_size < 1 || c->history_size > DETECT_HISTORY_MAX)
        return FAIL(why, CODE_USAGE, 0, "the history size is %u events; it may be 1 to %u", c->history_size,
                    DETECT_HISTORY_MAX);
    if (c->duration < 1 || c->duration > DETECT_DURATION_MAX)
        return FAIL(why, CODE_USAGE, 0, "the duration is %g s; it may be above 0 and up to 7 days",
                    (double)c->duration / (double)DETECT_SECOND);
    c->threshold = -log(1 - c->confidence / 100);
    c->fade = exp(-4.0 / c->history_size);
    return CODE_OK;
}

enum code detect_create(const struct detect_config *c, struct detect_model **out)
{
    const struct algorithm *a = algorithm_of(c);
    struct detect_model *m = mem_zalloc(1, a->size);
    if (!m)
        return CODE_NOMEM;
    m->config = c;
    a->init(m);
    *out = m;
    return CODE_OK;
}

void detect_destroy(struct detect_model *m)
{
    if (!m)
        return;
    algorithm_of(m->config)->clear(m);
    mem_free(m);
}

enum code detect_observe(struct detect_model *m, int64_t ticks, double value, bool is_null,
                         struct detect_result *out)
{
    struct detect_result r = {0};
    if (is_null || !(fabs(value) <= STATE_VALUE_MAX)) {
        r.state = algorithm_of(m->config)->state(m);
        *out = r;
        return CODE_OK;
    }
    if (m->seen && ticks < m->last_time)
        ticks = m->last_time;
    enum code code = algorithm_of(m->config)->observe(m, ticks, value, &r);
    if (code)
        return code;
    r.has_score = true;
    m->seen++;
    m->anomalies += r.is_anomaly;
    m->last_time = ticks;
    m->last_value = value;
    m->last_score = r.score;
    *out = r;
    return CODE_OK;
}

void detect_inspect(const struct detect_model *m, struct detect_info *out)
{
    *out = (struct detect_info){
        .seen = m->seen,
        .anomalies = m->anomalies,
        .has_last = m->seen > 0,
        .last_value = m->last_value,
        .last_score = m->last_score,
        .last_time = m->last_time,
    };
    algorithm_of(m->config)->inspect(m, out);
}

size_t detect_bytes(const struct detect_model *m)
{
    const struct algorithm *a = algorithm_of(m->config);
    return a->size + a->bytes(m);
}

size_t detect_bytes_max(const struct detect_config *c)
{
    const struct algorithm *a = algorithm_of(c);
    return a->size + a->bytes_max(c);
}

/* ---- state: version, what the state depends on, the head, the algorithm's own ---- */

void detect_save(const struct detect_model *m, struct buf *out)
{
    const struct detect_config *c = m->config;
    buf_u8(out, STATE_VERSION);
    buf_u8(out, (uint8_t)c->algorithm);
    buf_u8(out, (uint8_t)c->kind);
    buf_le32(out, c->history_size);
    state_put_i64(out, c->duration);
    buf_le64(out, m->seen);
    buf_le64(out, m->anomalies);
    state_put_i64(out, m->last_time);
    state_put_double(out, m->last_value);
    state_put_double(out, m->last_score);
    algorithm_of(c)->save(m, out);
}

static enum code load_head(struct detect_model *m, struct wire *w, struct fault *why)
{
    m->seen = wire_le64(w);
    m->anomalies = wire_le64(w);
    m->last_time = state_take_i64(w);
    m->last_value = state_take_double(w);
    m->last_score = state_take_double(w);
    if (w->bad || m->anomalies > m->seen || !(fabs(m->last_value) <= STATE_VALUE_MAX) ||
        !(m->last_score >= 0 && m->last_score <= SCORE_MARTINGALE_MAX))
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the head of a saved model has numbers it cannot have");
    return CODE_OK;
}

static enum code load_whole(struct detect_model *m, struct wire *w, struct fault *why)
{
    enum code code = load_head(m, w, why);
    if (!code)
        code = algorithm_of(m->config)->load(m, w, why);
    if (!code && (w->bad || wire_left(w)))
        code = FAIL(why, CODE_MALFORMED, wire_pos(w), "a saved model of another length than its contents");
    return code;
}

static enum code check_fits(const struct detect_config *c, struct wire *w, struct fault *why)
{
    uint8_t version = wire_u8(w), algorithm = wire_u8(w), kind = wire_u8(w);
    uint32_t history_size = wire_le32(w);
    int64_t duration = state_take_i64(w);
    if (w->bad || version == 0)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "not a saved model");
    if (version > STATE_VERSION)
        return FAIL(why, CODE_UNSUPPORTED, 0, "a model saved in form %u; this version knows form %u", version,
                    STATE_VERSION);
    if (algorithm != c->algorithm || kind != c->kind || history_size != c->history_size ||
        duration != c->duration)
        return FAIL(why, CODE_REFUSED, 0,
                    "a model saved by another function, model, history size or duration");
    return CODE_OK;
}

enum code detect_load(const struct detect_config *c, struct bytes saved, struct detect_model **out,
                      struct fault *why)
{
    struct wire w = wire_of(saved);
    enum code code = check_fits(c, &w, why);
    if (code)
        return code;
    struct detect_model *m;
    if (detect_create(c, &m))
        return FAIL(why, CODE_NOMEM, 0, "no memory for a model");
    code = load_whole(m, &w, why);
    if (code) {
        detect_destroy(m);
        return code;
    }
    *out = m;
    return CODE_OK;
}
