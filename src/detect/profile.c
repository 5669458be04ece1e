#include "detect/profile.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "detect/state.h"

enum { DAYS = 16, WEEKS = 8, HOURS = 168 };
#define HOUR (3600 * DETECT_SECOND)

/* A slot is the upper half of a float, and a count of three bits would do: it lies in the lowest four. */
struct week {
    uint16_t usual[HOURS];    /* relative to the hour of the day */
    uint8_t weeks[HOURS / 2]; /* that have entered the slot, two slots a byte */
};

static float short_float(uint16_t v)
{
    return (union state_float){.bits = (uint32_t)v << 16}.v;
}

/* Rounded to nearest. */
static uint16_t to_short(double v)
{
    union state_float f = {.v = (float)fmin(fmax(v, -1e37), 1e37)};
    return (uint16_t)((f.bits + 0x8000) >> 16);
}

static unsigned slot_of(const struct profile *p, unsigned slots)
{
    int64_t slot = p->hour % (int64_t)slots;
    return (unsigned)(slot < 0 ? slot + slots : slot);
}

static unsigned weeks_in(const struct week *w, unsigned slot)
{
    return w->weeks[slot / 2] >> (slot % 2 * 4) & 15;
}

void profile_clear(struct profile *p)
{
    mem_free(p->week);
    *p = (struct profile){0};
}

size_t profile_bytes(const struct profile *p)
{
    return p->week ? sizeof *p->week : 0;
}

size_t profile_bytes_max(void)
{
    return sizeof(struct week);
}

static void enter_week(struct week *w, unsigned slot, double off)
{
    unsigned weeks = weeks_in(w, slot);
    if (weeks < WEEKS) {
        weeks++;
        w->weeks[slot / 2] = (uint8_t)(w->weeks[slot / 2] + (1 << (slot % 2 * 4)));
    }
    double usual = short_float(w->usual[slot]);
    w->usual[slot] = to_short(usual + (off - usual) / weeks);
}

/* The hour that is running enters its slots. */
static bool close_hour(struct profile *p)
{
    unsigned h = slot_of(p, 24);
    double mean = p->sum / p->n;
    if (p->days[h] && !p->week) {
        p->week = mem_zalloc(1, sizeof *p->week);
        if (!p->week)
            return false;
    }
    if (p->days[h])
        enter_week(p->week, slot_of(p, HOURS), mean - p->day[h]);
    if (p->days[h] < DAYS)
        p->days[h]++;
    p->day[h] += (mean - p->day[h]) / p->days[h];
    p->sum = 0;
    p->n = 0;
    return true;
}

static int64_t hour_of(int64_t ticks)
{
    return ticks / HOUR - (ticks % HOUR < 0);
}

bool profile_turn(struct profile *p, int64_t ticks)
{
    int64_t hour = hour_of(ticks);
    if (hour == p->hour)
        return true;
    if (p->n && !close_hour(p))
        return false;
    p->hour = hour;
    return true;
}

void profile_add(struct profile *p, double value)
{
    if (!p->started)
        p->ref = value;
    p->started = true;
    if (p->n == UINT32_MAX)
        return;
    p->sum += value - p->ref;
    p->n++;
}

bool profile_of_day(const struct profile *p, double *usual)
{
    unsigned h = slot_of(p, 24);
    *usual = p->ref + p->day[h];
    return p->days[h] > 0;
}

bool profile_of_week(const struct profile *p, double *usual)
{
    unsigned slot = slot_of(p, HOURS);
    if (!p->week || !weeks_in(p->week, slot) || !profile_of_day(p, usual))
        return false;
    *usual += short_float(p->week->usual[slot]);
    return true;
}

bool profile_has_day(const struct profile *p)
{
    for (int i = 0; i < 24; i++) {
        if (!p->days[i])
            return false;
    }
    return true;
}

/* ---- state ---- */

void profile_save(const struct profile *p, struct buf *out)
{
    buf_u8(out, (uint8_t)(p->started | (p->week ? 2 : 0)));
    state_put_double(out, p->ref);
    state_put_double(out, p->sum);
    state_put_i64(out, p->hour);
    buf_le32(out, p->n);
    for (int i = 0; i < 24; i++) {
        buf_u8(out, p->days[i]);
        state_put_double(out, p->day[i]);
    }
    if (!p->week)
        return;
    for (int i = 0; i < HOURS; i++)
        buf_le16(out, p->week->usual[i]);
    buf_add(out, p->week->weeks, sizeof p->week->weeks);
}

static bool is_usual(double v)
{
    return fabs(v) <= STATE_DIFFERENCE_MAX;
}

static enum code load_week(struct profile *p, struct wire *w, struct fault *why)
{
    p->week = mem_zalloc(1, sizeof *p->week);
    if (!p->week)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the profile of a week");
    bool bad = false;
    for (int i = 0; i < HOURS; i++) {
        p->week->usual[i] = wire_le16(w);
        bad |= !isfinite(short_float(p->week->usual[i]));
    }
    struct bytes weeks = wire_bytes(w, sizeof p->week->weeks);
    if (weeks.at)
        memcpy(p->week->weeks, weeks.at, weeks.len);
    for (unsigned i = 0; i < HOURS; i++)
        bad |= weeks_in(p->week, i) > WEEKS;
    if (w->bad || bad)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the profile of a week is not one that is saved");
    return CODE_OK;
}

enum code profile_load(struct profile *p, struct wire *w, struct fault *why)
{
    uint8_t flags = wire_u8(w);
    p->started = flags & 1;
    p->ref = state_take_double(w);
    p->sum = state_take_double(w);
    p->hour = state_take_i64(w);
    p->n = wire_le32(w);
    bool bad = flags > 3 || !is_usual(p->ref) || !(fabs(p->sum) <= STATE_DIFFERENCE_MAX * 0x1p32);
    for (int i = 0; i < 24; i++) {
        p->days[i] = wire_u8(w);
        p->day[i] = state_take_double(w);
        bad |= p->days[i] > DAYS || !is_usual(p->day[i]);
    }
    if (w->bad || bad)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the profile of a day is not one that is saved");
    return flags & 2 ? load_week(p, w, why) : CODE_OK;
}
