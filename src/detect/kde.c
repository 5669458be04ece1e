#include "detect/kde.h"

#include <math.h>

#include "base/buf.h"
#include "detect/density.h"

#define BET_POWER   0.1
#define CUT_SPREADS 4.0

struct kde {
    struct detect_model head;
    struct history history; /* extra: the bets, for change points  */
    struct density density;
    double log_martingale;
    uint32_t silent;     /* events, after a change point        */
    uint32_t recount_in; /* events until log_martingale is summed anew */
    struct {
        uint32_t learned; /* since the history was last empty; stays at history_size     */
        uint32_t fullest; /* most that the history held, since `block` began             */
        uint32_t block;   /* events until fullest starts again: a slower cadence is learned */
    } fill;
    bool flagged_last;
};

static struct kde *kde_of(struct detect_model *m)
{
    return (struct kde *)m;
}

static const struct kde *kde_in(const struct detect_model *m)
{
    return (const struct kde *)m;
}

static bool is_change_point(const struct kde *k)
{
    return k->head.config->kind == DETECT_CHANGE_POINT;
}

static void kde_init(struct detect_model *m)
{
    struct kde *k = kde_of(m);
    history_init(&k->history, m->config->history_size, is_change_point(k));
}

static void kde_clear(struct detect_model *m)
{
    struct kde *k = kde_of(m);
    history_clear(&k->history);
    density_clear(&k->density);
}

static size_t kde_bytes(const struct detect_model *m)
{
    return history_bytes(&kde_in(m)->history) + density_bytes(&kde_in(m)->density);
}

static size_t kde_bytes_max(const struct detect_config *c)
{
    return history_bytes_max(c->history_size, c->kind == DETECT_CHANGE_POINT) +
           density_bytes_max(c->history_size);
}

/* ---- history ---- */

static void drop_oldest(struct kde *k)
{
    density_dropping(&k->density, history_row(&k->history, 0)->value);
    if (k->history.extra)
        k->log_martingale -= k->history.extra[k->history.first];
    history_drop_oldest(&k->history);
    if (k->history.count)
        return;
    k->log_martingale = 0;
    k->fill.learned = k->fill.fullest = k->fill.block = 0;
}

static void expire(struct kde *k, int64_t now)
{
    uint64_t duration = (uint64_t)k->head.config->duration;
    while (k->history.count && state_since(now, history_row(&k->history, 0)->at) > duration)
        drop_oldest(k);
}

static void sum_bets(struct kde *k)
{
    k->log_martingale = 0;
    for (uint32_t i = 0; i < k->history.count; i++)
        k->log_martingale += k->history.extra[history_slot(&k->history, i)];
    k->recount_in = k->history.max;
}

static void learn(struct kde *k, int64_t at, double value, double bet)
{
    history_push(&k->history, at, value, bet);
    density_added(&k->density, value);
    if (k->history.extra) {
        k->log_martingale += bet;
        if (k->recount_in)
            k->recount_in--;
        else
            sum_bets(k);
    }
    if (k->fill.learned < k->history.max)
        k->fill.learned++;
    if (!k->fill.block) {
        k->fill.block = k->history.max;
        k->fill.fullest = 0;
    }
    k->fill.block--;
    if (k->history.count > k->fill.fullest)
        k->fill.fullest = k->history.count;
}

/* As many values as asked for have been learned without a pause, and of the history that they made at least half is
 * there. It need not hold history_size values: `duration` may be too short for that at this cadence. */
static enum detect_state state_now(const struct kde *k)
{
    bool full = k->fill.learned >= k->history.max && k->history.count >= (k->fill.fullest + 1) / 2;
    return full ? DETECT_READY : DETECT_LEARNING;
}

/* ---- scoring ---- */

static struct density_tails constant_tails(uint32_t n, double side)
{
    double rare = -log(n + 1.0), usual = log(n / (n + 1.0));
    return (struct density_tails){side > 0 ? rare : usual, side > 0 ? usual : rare};
}

static struct density_tails tails_of(const struct kde *k, struct density_stats st, double value)
{
    uint32_t n = k->history.count;
    struct density_tails even = {-M_LN2, -M_LN2};
    if (!n)
        return even;
    if (st.spread > 0)
        return density_at(&k->density, &k->history, st.spread, value);
    if (n == 1 && k->head.config->warm_up_report)
        return density_exact(&k->history, 1, value);
    double off = value - st.mean;
    return fabs(off) <= fabs(st.mean) * 0x1p-46 ? even : constant_tails(n, off);
}

static double two_sided(struct density_tails t)
{
    return fmax(0, -(fmin(t.log_above, t.log_below) + M_LN2));
}

static double surprise_of(struct density_tails t, enum detect_mode mode)
{
    switch (mode) {
    case DETECT_SPIKES: return -t.log_above;
    case DETECT_DIPS: return -t.log_below;
    default: return two_sided(t);
    }
}

static double bet_of(double surprise)
{
    return log(BET_POWER) + (1 - BET_POWER) * surprise;
}

static double change_threshold(const struct detect_config *c)
{
    return fmax(c->history_size * bet_of(c->threshold), c->threshold);
}

/* Where surprise reaches the threshold, between `from` (where it does not) and `to`: by halving. */
static double edge(const struct kde *k, struct density_stats st, enum detect_mode side, double threshold,
                   double from, double to)
{
    for (int i = 0; i < 40; i++) {
        double mid = from + (to - from) / 2;
        *(surprise_of(tails_of(k, st, mid), side) < threshold ? &from : &to) = mid;
    }
    return from;
}

/* What would not be flagged; both sides are shown whichever the mode looks at. */
static bool expected(const struct kde *k, struct density_stats st, double *low, double *high)
{
    const struct detect_config *c = k->head.config;
    if (!k->history.count || is_change_point(k))
        return false;
    *low = *high = st.mean; /* a constant: the same value again, and nothing else */
    if (st.spread == 0)
        return true;
    double threshold = c->threshold + (c->mode == DETECT_SPIKES_AND_DIPS ? M_LN2 : 0);
    /* No value is further from the mean than sqrt(n) spreads, and none further from all values unsurprising. */
    double reach = st.spread * (sqrt(k->history.count) + 1 + sqrt(2 * fmin(threshold, STATE_LOG_MAX)));
    *high = edge(k, st, DETECT_SPIKES, threshold, st.mean - reach, st.mean + reach);
    *low = edge(k, st, DETECT_DIPS, threshold, st.mean + reach, st.mean - reach);
    return true;
}

static void judge_spike(struct kde *k, struct density_tails t, struct density_stats st,
                        struct detect_result *out)
{
    const struct detect_config *c = k->head.config;
    out->surprise = surprise_of(t, c->mode);
    out->score = score_of_p(out->surprise);
    out->is_anomaly = out->surprise >= c->threshold && (out->state == DETECT_READY || c->warm_up_report);
    if (out->is_anomaly)
        out->has_expected = expected(k, st, &out->expected_low, &out->expected_high);
}

static void judge_change(struct kde *k, struct detect_result *out)
{
    const struct detect_config *c = k->head.config;
    out->surprise = k->log_martingale;
    out->score = score_of_martingale(out->surprise);
    bool found = out->surprise >= change_threshold(c) && (out->state == DETECT_READY || c->warm_up_report);
    out->is_anomaly = found && !k->silent;
    if (k->silent)
        k->silent--;
    if (out->is_anomaly)
        k->silent = c->history_size;
}

/* What a value is learned as (masking, see kde.h). */
static double learned_as(const struct kde *k, double value, struct density_stats st, bool flagged)
{
    if (!flagged || k->flagged_last || st.spread == 0 || is_change_point(k))
        return value;
    double reach = CUT_SPREADS * st.spread;
    return fmin(fmax(value, st.mean - reach), st.mean + reach);
}

static enum code kde_observe(struct detect_model *m, int64_t ticks, double value, struct detect_result *out)
{
    struct kde *k = kde_of(m);
    expire(k, ticks);
    if (!history_reserve(&k->history) || !density_settle(&k->density, &k->history))
        return CODE_NOMEM;
    struct density_stats st = density_stats(&k->density, &k->history);
    struct density_tails t = tails_of(k, st, value);
    out->state = state_now(k);
    double as = value;
    if (!is_change_point(k)) {
        judge_spike(k, t, st, out);
        as = learned_as(k, value, st, out->is_anomaly);
    }
    if (k->history.count == k->history.max)
        drop_oldest(k);
    learn(k, ticks, as, bet_of(fmin(two_sided(t), STATE_LOG_MAX / DETECT_HISTORY_MAX)));
    if (is_change_point(k))
        judge_change(k, out);
    k->flagged_last = out->is_anomaly;
    return CODE_OK;
}

static enum detect_state kde_state(const struct detect_model *m)
{
    return state_now(kde_in(m));
}

static void kde_inspect(const struct detect_model *m, struct detect_info *out)
{
    const struct kde *k = kde_in(m);
    struct density_stats st = density_stats(&k->density, &k->history);
    out->state = state_now(k);
    out->learned = k->fill.learned;
    out->need = k->history.max;
    out->has_expected = expected(k, st, &out->expected_low, &out->expected_high);
}

/* ---- state ---- */

static void kde_save(const struct detect_model *m, struct buf *out)
{
    const struct kde *k = kde_in(m);
    history_save(&k->history, out);
    density_save(&k->density, out);
    state_put_double(out, k->log_martingale);
    buf_le32(out, k->silent);
    buf_le32(out, k->recount_in);
    buf_le32(out, k->fill.learned);
    buf_le32(out, k->fill.fullest);
    buf_le32(out, k->fill.block);
    buf_u8(out, k->flagged_last);
}

static enum code kde_load(struct detect_model *m, struct wire *w, struct fault *why)
{
    struct kde *k = kde_of(m);
    uint32_t max = k->history.max;
    enum code code = history_load(&k->history, w, m->config->duration, STATE_VALUE_MAX, why);
    if (!code)
        code = density_load(&k->density, &k->history, w, why);
    if (code)
        return code;
    uint32_t n = k->history.count;
    if (n && (m->last_time != history_row(&k->history, n - 1)->at || m->seen < n))
        return FAIL(why, CODE_MALFORMED, wire_pos(w),
                    "a history of %u events that is not the one of the head", n);
    k->log_martingale = state_take_double(w);
    k->silent = wire_le32(w);
    k->recount_in = wire_le32(w);
    k->fill.learned = wire_le32(w);
    k->fill.fullest = wire_le32(w);
    k->fill.block = wire_le32(w);
    uint8_t flagged = wire_u8(w);
    k->flagged_last = flagged == 1;
    if (w->bad || !(fabs(k->log_martingale) <= STATE_LOG_MAX) || k->silent > max || k->recount_in > max ||
        k->fill.learned > max || k->fill.learned < k->history.count || k->fill.fullest > max ||
        k->fill.block > max || flagged > 1)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the counters of a model are not ones it can have");
    return CODE_OK;
}

const struct algorithm kde_algorithm = {
    .size = sizeof(struct kde),
    .init = kde_init,
    .clear = kde_clear,
    .observe = kde_observe,
    .state = kde_state,
    .inspect = kde_inspect,
    .bytes = kde_bytes,
    .bytes_max = kde_bytes_max,
    .save = kde_save,
    .load = kde_load,
};
