#include "detect/fieldgate.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "detect/digest.h"
#include "detect/extreme.h"
#include "detect/profile.h"

enum view { LEVEL, STEP, DEVIATION, DAY, WEEK, SHORT_MEAN, SPREAD, DRIFT, VIEWS };

#define RATE_FAST   (1 / 8.0)
#define RATE_SPREAD (1 / 16.0)
#define VIEW_MAX    20.0
#define OTHERS      0.3
/* No view looks closer than at this share of the level's range. */
#define CLOSEST 0.01
/* From the views' sum to -ln p: measured on streams without anomalies, see fieldgate_test.c. */
#define CALIBRATED(sum) ((sum) / 2.2 - 0.6)
/* How much more surprising than what was lately. */
#define MARGIN   0.5
#define NEED_MIN 30
/* Events between two looks at which view says best what to expect. */
#define BEST_EVERY 64

struct fieldgate {
    struct detect_model head;
    struct digest view[VIEWS];
    struct profile profile;
    double last[2];             /* the values before, newest first                          */
    double fast, spread, drift; /* the running means                                        */
    double peak;                /* the largest surprise lately, fading                      */
    uint32_t learned;           /* since the start or a pause; stays at `need`              */
    uint8_t best, best_in;      /* the view that expects; events until it is chosen again   */
    bool has_drift;
};

/* The views of one value, as far as they can be had. */
struct look {
    double value[VIEWS];
    double base[VIEWS]; /* value = x - base, for those that are of that form */
    bool has[VIEWS];
};

static struct fieldgate *fieldgate_of(struct detect_model *m)
{
    return (struct fieldgate *)m;
}

static const struct fieldgate *fieldgate_in(const struct detect_model *m)
{
    return (const struct fieldgate *)m;
}

uint32_t fieldgate_need(const struct detect_config *c)
{
    return c->history_size / 10 > NEED_MIN ? c->history_size / 10 : NEED_MIN;
}

uint32_t fieldgate_memory(const struct detect_config *c)
{
    uint64_t far = 64ull * c->history_size;
    return far < 2048 ? 2048 : far > DIGEST_WEIGHT_MAX ? DIGEST_WEIGHT_MAX : (uint32_t)far;
}

static struct digest_rule rule_of(const struct fieldgate *f)
{
    return (struct digest_rule){CLOSEST * digest_range(&f->view[LEVEL]), fieldgate_memory(f->head.config)};
}

static enum detect_state fieldgate_state(const struct detect_model *m)
{
    return fieldgate_in(m)->learned >= fieldgate_need(m->config) ? DETECT_READY : DETECT_LEARNING;
}

/* ---- looking ---- */

static void see(struct look *l, enum view v, double value)
{
    l->value[v] = value;
    l->has[v] = true;
}

static void see_from(struct look *l, enum view v, double x, double base)
{
    l->base[v] = base;
    see(l, v, x - base);
}

static double nearer(double x, double a, double b)
{
    return fabs(x - b) < fabs(x - a) ? b : a;
}

static void look_at(const struct fieldgate *f, double x, struct look *l)
{
    double usual;
    see_from(l, LEVEL, x, 0);
    if (profile_of_day(&f->profile, &usual))
        see_from(l, DAY, x, usual);
    if (profile_of_week(&f->profile, &usual)) {
        see_from(l, WEEK, x, usual);
        if (f->has_drift)
            see(l, DRIFT, f->drift + (l->value[WEEK] - f->drift) * RATE_FAST);
    }
    if (!f->learned)
        return;
    see_from(l, STEP, x, nearer(x, f->last[0], f->last[1]));
    see_from(l, DEVIATION, x, f->fast);
    see(l, SHORT_MEAN, f->fast + (x - f->fast) * RATE_FAST);
    see(l, SPREAD, f->spread + (fabs(x - f->fast) - f->spread) * RATE_SPREAD);
}

static double surprise_of(const struct fieldgate *f, const struct look *l, const struct digest_rule *rule)
{
    enum detect_mode mode = f->head.config->mode;
    double most = 0, sum = 0;
    for (int v = 0; v < VIEWS; v++) {
        if (!l->has[v] || (v == SPREAD && mode != DETECT_SPIKES_AND_DIPS))
            continue;
        double s = smaller(digest_surprise(&f->view[v], l->value[v], mode, rule), VIEW_MAX);
        sum += s;
        most = larger(most, s);
    }
    return larger(0, CALIBRATED(most + OTHERS * (sum - most)));
}

/* ---- expecting ---- */

static bool can_expect(const struct look *l, int v)
{
    return l->has[v] && v <= WEEK;
}

/* The view whose values lie closest together. */
static enum view best_view(const struct fieldgate *f, const struct look *l)
{
    enum view best = LEVEL;
    for (int v = LEVEL; v <= WEEK; v++) {
        if (can_expect(l, v) && f->view[v].total >= NEED_MIN &&
            digest_range(&f->view[v]) < digest_range(&f->view[best]))
            best = (enum view)v;
    }
    return best;
}

/* Where `confidence` per cent of the values would lie, by the best view. */
static bool expected(const struct fieldgate *f, const struct look *l, enum view v, const struct digest_rule *rule, double *low,
                     double *high)
{
    if (!f->view[LEVEL].count)
        return false;
    if (!can_expect(l, v) || !f->view[v].count)
        v = LEVEL;
    double share = (1 - f->head.config->confidence / 100) / 2;
    *low = l->base[v] + digest_quantile(&f->view[v], share, rule);
    *high = l->base[v] + digest_quantile(&f->view[v], 1 - share, rule);
    return true;
}

/* ---- learning ---- */

static void learn_short(struct fieldgate *f, double x, double curbed, const struct look *l)
{
    if (!f->learned) {
        f->last[0] = f->last[1] = x;
        f->fast = curbed;
        f->spread = 0;
        f->drift = 0;
        f->has_drift = false;
        return;
    }
    f->spread += (fabs(curbed - f->fast) - f->spread) * RATE_SPREAD;
    f->fast += (curbed - f->fast) * RATE_FAST;
    f->last[1] = f->last[0];
    f->last[0] = x;
    if (!l->has[WEEK])
        return;
    double off = curbed - l->base[WEEK];
    f->drift = f->has_drift ? f->drift + (off - f->drift) * RATE_FAST : off;
    f->has_drift = true;
}

static void learn(struct fieldgate *f, double x, const struct look *l, const struct digest_rule *rule)
{
    double curbed = x;
    for (int v = 0; v < VIEWS; v++) {
        if (!l->has[v])
            continue;
        double as = digest_add(&f->view[v], l->value[v], rule);
        if (v == LEVEL)
            curbed = as;
    }
    learn_short(f, x, curbed, l);
    profile_add(&f->profile, curbed);
    if (f->learned < fieldgate_need(f->head.config))
        f->learned++;
}

/* What was fades by one event, or by the time that has passed. */
static void fade(struct fieldgate *f, uint64_t since)
{
    const struct detect_config *c = f->head.config;
    double part = (double)since / (double)c->duration;
    f->peak *= part * c->history_size <= 1 ? c->fade : exp(-4 * part);
}

static enum code fieldgate_observe(struct detect_model *m, int64_t ticks, double x, struct detect_result *out)
{
    struct fieldgate *f = fieldgate_of(m);
    const struct detect_config *c = m->config;
    if (!profile_turn(&f->profile, ticks))
        return CODE_NOMEM;
    uint64_t since = m->seen ? state_since(ticks, m->last_time) : 0;
    if (since > (uint64_t)c->duration)
        f->learned = 0;
    fade(f, since);
    struct look l = {0};
    look_at(f, x, &l);
    if (!f->best_in--) {
        f->best_in = BEST_EVERY - 1;
        f->best = best_view(f, &l);
    }
    struct digest_rule rule = rule_of(f);
    out->state = fieldgate_state(m);
    out->has_expected = expected(f, &l, f->best, &rule, &out->expected_low, &out->expected_high);
    double s = surprise_of(f, &l, &rule);
    out->score = score_of_p(s);
    bool peak = s > f->peak + MARGIN;
    out->surprise = peak ? s : 0;
    out->is_anomaly = peak && s >= c->threshold && (out->state == DETECT_READY || c->warm_up_report);
    f->peak = larger(f->peak, s);
    learn(f, x, &l, &rule);
    return CODE_OK;
}

/* ---- the rest of what a model is ---- */

static void fieldgate_init(struct detect_model *m)
{
    (void)m;
}

static void fieldgate_clear(struct detect_model *m)
{
    profile_clear(&fieldgate_of(m)->profile);
}

static size_t fieldgate_bytes(const struct detect_model *m)
{
    return profile_bytes(&fieldgate_in(m)->profile);
}

static size_t fieldgate_bytes_max(const struct detect_config *c)
{
    (void)c;
    return profile_bytes_max();
}

static void fieldgate_inspect(const struct detect_model *m, struct detect_info *out)
{
    const struct fieldgate *f = fieldgate_in(m);
    struct look l = {0};
    struct digest_rule rule = rule_of(f);
    look_at(f, m->last_value, &l);
    out->state = fieldgate_state(m);
    out->learned = f->learned;
    out->need = fieldgate_need(m->config);
    out->has_expected = expected(f, &l, f->best, &rule, &out->expected_low, &out->expected_high);
}

static void fieldgate_save(const struct detect_model *m, struct buf *out)
{
    const struct fieldgate *f = fieldgate_in(m);
    for (int v = 0; v < VIEWS; v++)
        digest_save(&f->view[v], out);
    profile_save(&f->profile, out);
    const double numbers[] = {f->last[0], f->last[1], f->fast, f->spread, f->drift, f->peak};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        state_put_double(out, numbers[i]);
    buf_le32(out, f->learned);
    buf_u8(out, f->best);
    buf_u8(out, f->best_in);
    buf_u8(out, f->has_drift);
}

static enum code load_short(struct fieldgate *f, struct wire *w, struct fault *why)
{
    double *const numbers[] = {&f->last[0], &f->last[1], &f->fast, &f->spread, &f->drift, &f->peak};
    bool bad = false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        *numbers[i] = state_take_double(w);
        bad |= !(fabs(*numbers[i]) <= STATE_DIFFERENCE_MAX);
    }
    f->learned = wire_le32(w);
    f->best = wire_u8(w);
    f->best_in = wire_u8(w);
    uint8_t has_drift = wire_u8(w);
    f->has_drift = has_drift;
    if (w->bad || bad || f->learned > fieldgate_need(f->head.config) || f->best > WEEK ||
        f->best_in >= BEST_EVERY || has_drift > 1)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the short memory of a model is not one it can have");
    return CODE_OK;
}

static enum code fieldgate_load(struct detect_model *m, struct wire *w, struct fault *why)
{
    struct fieldgate *f = fieldgate_of(m);
    struct digest_rule rule = rule_of(f);
    enum code code = CODE_OK;
    for (int v = 0; v < VIEWS && !code; v++)
        code = digest_load(&f->view[v], w, rule.weight_max, why);
    if (!code)
        code = profile_load(&f->profile, w, why);
    return code ? code : load_short(f, w, why);
}

const struct algorithm fieldgate_algorithm = {
    .size = sizeof(struct fieldgate),
    .init = fieldgate_init,
    .clear = fieldgate_clear,
    .observe = fieldgate_observe,
    .state = fieldgate_state,
    .inspect = fieldgate_inspect,
    .bytes = fieldgate_bytes,
    .bytes_max = fieldgate_bytes_max,
    .save = fieldgate_save,
    .load = fieldgate_load,
};
