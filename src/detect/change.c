/* change.c - ChangePoint of our own detector; fieldgate.h has the story. */
#include "detect/fieldgate.h"

#include <math.h>

#include "base/buf.h"
#include "detect/digest.h"
#include "detect/extreme.h"
#include "detect/profile.h"

/* Mid-ranks of tied values crowd in the middle; these bets only lose by that, so no bet is made on gathering values. */
enum bet { RISE, FALL, SPREAD, BETS };

#define PERSISTENCE_MAX 0.95

struct change {
    struct detect_model head;
    struct digest rest; /* what the difference before did not let expect        */
    struct profile profile;
    double log_bet[BETS];   /* each martingale's logarithm                           */
    double mean;            /* of value - base, over history_size, outliers curbed   */
    double before;          /* difference from the mean, one event ago               */
    double square, product; /* means of before*before, before*now: the persistence   */
    uint32_t count;         /* events in the mean; stays at history_size             */
    uint32_t pairs;         /* events in square and product; stays at history_size   */
    uint32_t learned;       /* since the start, a pause or a change; stays at fieldgate_need */
    bool has_day;           /* the profile holds a whole day: it is the base         */
};

static struct change *change_of(struct detect_model *m)
{
    return (struct change *)m;
}

static const struct change *change_in(const struct detect_model *m)
{
    return (const struct change *)m;
}

static enum detect_state change_state(const struct detect_model *m)
{
    return change_in(m)->learned >= fieldgate_need(m->config) ? DETECT_READY : DETECT_LEARNING;
}

/* The mean and, when `level_only` is not set, the distribution about it are learned afresh. How persistent values are is
 * not what a change or a pause changes. */
static void start_anew(struct change *c, bool level_only)
{
    for (int b = 0; b < BETS; b++)
        c->log_bet[b] = 0;
    c->mean = c->before = 0;
    c->count = c->learned = 0;
    if (!level_only)
        c->rest = (struct digest){0};
}

/* What is subtracted from a value before anything else. */
static double base_of(const struct change *c)
{
    double usual = 0;
    return c->has_day && profile_of_day(&c->profile, &usual) ? usual : 0;
}

static double persistence(const struct change *c)
{
    return c->square > 0 ? smaller(larger(c->product / c->square, 0), PERSISTENCE_MAX) : 0;
}

static double log_martingale(const struct change *c)
{
    double most = c->log_bet[0], sum = 0;
    for (int b = 1; b < BETS; b++)
        most = larger(most, c->log_bet[b]);
    for (int b = 0; b < BETS; b++)
        sum += exp(c->log_bet[b] - most);
    return most + log(sum / BETS);
}

/* The density 1/(2 sqrt q) on (0,1) pays for what is rare and loses half a unit at most. */
static double win(double q)
{
    return -M_LN2 - 0.5 * log(q);
}

static void bet(struct change *c, double rank)
{
    const double q[BETS] = {1 - rank, rank, 2 * smaller(rank, 1 - rank)};
    for (int b = 0; b < BETS; b++)
        c->log_bet[b] = smaller(larger(0, c->log_bet[b]) + win(q[b]), STATE_LOG_MAX);
}

/* `off` is value - base - mean, curbed. The mean follows no further than the values usually spread. */
static void learn(struct change *c, double off)
{
    uint32_t history = c->head.config->history_size;
    double range = digest_range(&c->rest), curbed = smaller(larger(off, -range), range);
    c->count += c->count < history;
    if (change_state(&c->head) == DETECT_READY) {
        c->pairs += c->pairs < history;
        c->square += (c->before * c->before - c->square) / c->pairs;
        c->product += (c->before * off - c->product) / c->pairs;
    } else {
        c->learned++;
    }
    c->mean += curbed / c->count;
    c->before = off;
}

/* A day known whole changes what a difference is: nothing learned before compares with it. */
static void settle_base(struct change *c)
{
    if (c->has_day || !profile_has_day(&c->profile))
        return;
    c->has_day = true;
    start_anew(c, false);
}

static void judge(struct change *c, struct detect_result *out)
{
    const struct detect_config *k = c->head.config;
    out->surprise = log_martingale(c);
    out->score = score_of_martingale(out->surprise);
    out->is_anomaly = out->surprise >= k->threshold + log(k->history_size);
}

static bool expected(const struct change *c, double *low, double *high)
{
    if (!c->rest.count)
        return false;
    struct digest_rule rule = {0, fieldgate_memory(c->head.config)};
    double middle = base_of(c) + c->mean + persistence(c) * c->before;
    double share = (1 - c->head.config->confidence / 100) / 2;
    *low = middle + digest_quantile(&c->rest, share, &rule);
    *high = middle + digest_quantile(&c->rest, 1 - share, &rule);
    return true;
}

/* Before the first verdict nothing is bet: the mean is still moving. */
static void look_at(struct change *c, double value, struct detect_result *out)
{
    struct digest_rule rule = {0, fieldgate_memory(c->head.config)};
    double carried = persistence(c) * c->before, rest = value - c->mean - carried;
    out->has_expected = expected(c, &out->expected_low, &out->expected_high);
    if (out->state == DETECT_READY || c->head.config->warm_up_report)
        bet(c, digest_rank(&c->rest, rest));
    judge(c, out);
    learn(c, carried + digest_add(&c->rest, rest, &rule));
}

static enum code change_observe(struct detect_model *m, int64_t ticks, double x, struct detect_result *out)
{
    struct change *c = change_of(m);
    if (!profile_turn(&c->profile, ticks))
        return CODE_NOMEM;
    if (m->seen && state_since(ticks, m->last_time) > (uint64_t)m->config->duration)
        start_anew(c, true);
    settle_base(c);
    out->state = change_state(m);
    double base = base_of(c);
    if (!c->count)
        c->mean = x - base;
    look_at(c, x - base, out);
    profile_add(&c->profile, base + c->mean + c->before);
    if (out->is_anomaly)
        start_anew(c, false);
    return CODE_OK;
}

static void change_init(struct detect_model *m)
{
    (void)m;
}

static void change_clear(struct detect_model *m)
{
    profile_clear(&change_of(m)->profile);
}

static size_t change_bytes(const struct detect_model *m)
{
    return profile_bytes(&change_in(m)->profile);
}

static size_t change_bytes_max(const struct detect_config *c)
{
    (void)c;
    return profile_bytes_max();
}

static void change_inspect(const struct detect_model *m, struct detect_info *out)
{
    const struct change *c = change_in(m);
    out->state = change_state(m);
    out->learned = c->learned;
    out->need = fieldgate_need(m->config);
    out->has_expected = expected(c, &out->expected_low, &out->expected_high);
}

static void change_save(const struct detect_model *m, struct buf *out)
{
    const struct change *c = change_in(m);
    digest_save(&c->rest, out);
    profile_save(&c->profile, out);
    for (int b = 0; b < BETS; b++)
        state_put_double(out, c->log_bet[b]);
    const double numbers[] = {c->mean, c->before, c->square, c->product};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        state_put_double(out, numbers[i]);
    buf_le32(out, c->count);
    buf_le32(out, c->pairs);
    buf_le32(out, c->learned);
    buf_u8(out, c->has_day);
}

static enum code change_load(struct detect_model *m, struct wire *w, struct fault *why)
{
    struct change *c = change_of(m);
    enum code code = digest_load(&c->rest, w, fieldgate_memory(m->config), why);
    if (!code)
        code = profile_load(&c->profile, w, why);
    if (code)
        return code;
    bool bad = false;
    for (int b = 0; b < BETS; b++) {
        c->log_bet[b] = state_take_double(w);
        bad |= !(fabs(c->log_bet[b]) <= STATE_LOG_MAX);
    }
    double *const numbers[] = {&c->mean, &c->before, &c->square, &c->product};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        *numbers[i] = state_take_double(w);
        bad |= !(fabs(*numbers[i]) <=
                 (i < 2 ? STATE_DIFFERENCE_MAX : STATE_DIFFERENCE_MAX * STATE_DIFFERENCE_MAX));
    }
    c->count = wire_le32(w);
    c->pairs = wire_le32(w);
    c->learned = wire_le32(w);
    uint8_t has_day = wire_u8(w);
    c->has_day = has_day;
    if (w->bad || bad || c->count > m->config->history_size || c->pairs > m->config->history_size ||
        c->learned > fieldgate_need(m->config) || has_day > 1)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the short memory of a model is not one it can have");
    return CODE_OK;
}

const struct algorithm change_algorithm = {
    .size = sizeof(struct change),
    .init = change_init,
    .clear = change_clear,
    .observe = change_observe,
    .state = change_state,
    .inspect = change_inspect,
    .bytes = change_bytes,
    .bytes_max = change_bytes_max,
    .save = change_save,
    .load = change_load,
};
