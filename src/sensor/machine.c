#include "sensor/machine.h"

#include <stdio.h>

enum { SPELL_READINGS = 3 }; /* how long a hot spell lasts; spikes and dips are one reading */

static const double HOT = 61, HUMID = 25, DRY = -18;

/* splitmix64: small, and every seed is a good one. */
static uint64_t next_random(struct machine *m)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(struct machine *m)
{
    return (double)(next_random(m) >> 11) / 9007199254740992.0;
}

/* The sum of twelve uniforms has variance 1 and is bounded by 6: a sensor's noise, without a tail nobody has seen. */
static double noise(struct machine *m)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform(m);
    return sum;
}

static double or_default(double v, double d)
{
    return v > 0 ? v : d;
}

void machine_init(struct machine *m, const struct machine_config *config)
{
    *m = (struct machine){ .config = *config, .random = config->seed, .next = MACHINE_HOT };
    struct machine_config *c = &m->config;
    c->temperature = or_default(c->temperature, 21);
    c->humidity = or_default(c->humidity, 43);
    c->temperature_step = or_default(c->temperature_step, 1);
    c->humidity_step = or_default(c->humidity_step, 1);
    c->noise = or_default(c->noise, 0.3);
    c->drift = or_default(c->drift, 0.05);
    if (c->disturb_first == 0)
        c->disturb_first = c->disturb_every;
}

/* A walk that is pulled back, so that a machine left alone for a year is still at its working point. */
static double wander(struct machine *m, double at)
{
    return at * 0.999 + noise(m) * m->config.drift;
}

static void choose_disturbance(struct machine *m)
{
    const struct machine_config *c = &m->config;
    if (m->spell && --m->spell)
        return;
    m->now = MACHINE_CALM;
    if (!c->disturb_every || m->count < c->disturb_first || (m->count - c->disturb_first) % c->disturb_every)
        return;
    m->now = m->next;
    m->spell = m->now == MACHINE_HOT ? SPELL_READINGS : 1;
    m->next = m->next == MACHINE_DRY ? MACHINE_HOT : m->next + 1;
}

static double rounded(double v, double step)
{
    double n = (double)(int64_t)(v / step + (v < 0 ? -0.5 : 0.5)), parts = (double)(int64_t)(1 / step + 0.5);
    /* 42.3 and not 42.300000000000004: tenths and the like are divided. */
    return step < 1 && parts * step == 1 ? n / parts : n * step;
}

static double between(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

void machine_read(struct machine *m, struct reading *r)
{
    const struct machine_config *c = &m->config;
    m->count++;
    choose_disturbance(m);
    m->drift_t = wander(m, m->drift_t);
    m->drift_h = wander(m, m->drift_h);
    double t = c->temperature + m->drift_t + noise(m) * c->noise;
    double h = c->humidity + m->drift_h + noise(m) * c->noise;
    t += m->now == MACHINE_HOT ? HOT : 0;
    h += m->now == MACHINE_HUMID ? HUMID : m->now == MACHINE_DRY ? DRY : 0;
    r->temperature = rounded(between(t, -40, 125), c->temperature_step);
    r->humidity = rounded(between(h, 0, 100), c->humidity_step);
    r->disturbed = m->now;
}

static int decimals(double step)
{
    int n = 0;
    while (n < 6 && (step - (double)(int64_t)step > 1e-9)) {
        step *= 10;
        n++;
    }
    return n;
}

size_t reading_json(const struct machine *m, const struct reading *r, char *out, size_t cap)
{
    int n = snprintf(out, cap, "{\"temperature\":%.*f,\"humidity\":%.*f}", decimals(m->config.temperature_step),
                     r->temperature, decimals(m->config.humidity_step), r->humidity);
    return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}
