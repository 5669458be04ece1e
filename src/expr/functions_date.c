#include "expr/datetime.h"
#include "expr/function.h"
#include "base/number.h"
#include "expr/program.h"

#include <stdio.h>

static bool in_range(struct call *c, int64_t ticks, struct value *out)
{
    *out = value_datetime(ticks);
    return (ticks >= 0 && ticks <= DATETIME_MAX) ||
           call_fail(c, "The date is outside of the years 1 to 9999.");
}

/* A number as bigint; what follows the point is cut off. */
static bool whole(struct call *c, struct value v, int64_t *out)
{
    struct value as;
    bool no_memory;
    if (!value_cast(v, VALUE_BIGINT, &as, c->scratch, &no_memory))
        return call_fail(c, "A number is outside of the range of bigint.");
    *out = as.i;
    return true;
}

static bool add_months(struct call *c, int64_t ticks, int64_t months, struct value *out)
{
    struct civil civil;
    civil_split(ticks, &civil);
    if (months < -120000 || months > 120000)
        return in_range(c, -1, out);
    int64_t all = (int64_t)civil.year * 12 + civil.month - 1 + months;
    if (all < 12 || all >= 12 * 10000)
        return in_range(c, -1, out);
    civil.year = (int)(all / 12);
    civil.month = (unsigned)(all % 12) + 1;
    unsigned last = civil_month_days(civil.year, civil.month);
    if (civil.day > last)
        civil.day = last;
    *out = value_datetime(0);
    return civil_join(&civil, &out->i) || in_range(c, -1, out);
}

static bool date_add(struct call *c, const struct value *a, struct value *out)
{
    enum unit unit = c->node->unit;
    int64_t n = 0, ticks;
    if (!whole(c, a[1], &n))
        return false;
    int64_t months = unit == UNIT_MONTH ? 1 : unit == UNIT_QUARTER ? 3 : unit == UNIT_YEAR ? 12 : 0;
    if (months)
        return add_months(c, a[2].i, n > 200000 ? 200000 : n < -200000 ? -200000 : n * months, out);
    int64_t each = unit == UNIT_WEEK ? 7 * DATETIME_DAY : unit_ticks(unit) ? unit_ticks(unit) : DATETIME_DAY;
    if (__builtin_mul_overflow(n, each, &ticks) || __builtin_add_overflow(a[2].i, ticks, &ticks))
        ticks = -1;
    return in_range(c, ticks, out);
}

static bool date_diff(struct call *c, const struct value *a, struct value *out)
{
    *out = value_bigint(unit_boundaries(c->node->unit, a[1].i, a[2].i));
    return true;
}

/* 0 for Sunday; 0001-01-01 was a Monday. */
static int64_t weekday(int64_t days)
{
    return (days + 1) % 7;
}

static int64_t part(enum unit unit, int64_t ticks)
{
    struct civil c;
    civil_split(ticks, &c);
    int64_t days = ticks / DATETIME_DAY, new_year = civil_days(c.year, 1, 1);
    switch (unit) {
    case UNIT_YEAR: return c.year;
    case UNIT_QUARTER: return (c.month - 1) / 3 + 1;
    case UNIT_MONTH: return c.month;
    case UNIT_DAYOFYEAR: return days - new_year + 1;
    case UNIT_DAY: return c.day;
    /* The week of January 1st is the first, the next one begins with the first Sunday. */
    case UNIT_WEEK: return (days - new_year + weekday(new_year)) / 7 + 1;
    case UNIT_WEEKDAY: return weekday(days) + 1;
    case UNIT_HOUR: return c.hour;
    case UNIT_MINUTE: return c.minute;
    case UNIT_SECOND: return c.second;
    case UNIT_MILLISECOND: return c.fraction / 10000;
    default: return c.fraction / 10; /* microseconds of the second */
    }
}

static bool date_part(struct call *c, const struct value *a, struct value *out)
{
    *out = value_bigint(part(c->node->unit, a[1].i));
    return true;
}

static bool date_name(struct call *c, const struct value *a, struct value *out)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    int64_t n = part(c->node->unit, a[1].i);
    if (c->node->unit == UNIT_MONTH) {
        *out = value_text(bytes_str(months[n - 1]));
    } else if (c->node->unit == UNIT_WEEKDAY) {
        *out = value_text(bytes_str(days[n - 1]));
    } else {
        char *at = call_take(c, FLOAT_TEXT);
        if (!at)
            return false;
        *out = value_text(bytes_of(at, bigint_write(n, at)));
    }
    return true;
}

static bool year(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_bigint(part(UNIT_YEAR, a[0].i));
    return true;
}

static bool month(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_bigint(part(UNIT_MONTH, a[0].i));
    return true;
}

static bool day(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_bigint(part(UNIT_DAY, a[0].i));
    return true;
}

static bool from_parts(struct call *c, const struct value *a, struct value *out)
{
    int64_t n[7];
    bool fits = true;
    for (int i = 0; i < 7; i++) {
        if (!whole(c, a[i], &n[i]))
            return false;
        fits &= n[i] >= 0 && n[i] <= 9999;
    }
    *out = value_datetime(0);
    if (fits) {
        struct civil civil = {(int)n[0],      (unsigned)n[1], (unsigned)n[2],        (unsigned)n[3],
                              (unsigned)n[4], (unsigned)n[5], (unsigned)n[6] * 10000};
        fits = civil_join(&civil, &out->i);
    }
    return fits ||
           call_fail(
               c, "There is no such date: the arguments of function datetimefromparts are year (1 to 9999), "
                  "month, day, hour, minute, second and millisecond.");
}

static const struct function list[] = {
    {"DATEADD", 3, 3, FUNCTION_UNIT, {TYPE_TEXT, TYPE_NUMBER, TYPE_DATETIME}, date_add},
    {"DATEDIFF", 3, 3, FUNCTION_UNIT, {TYPE_TEXT, TYPE_DATETIME}, date_diff},
    {"DATENAME", 2, 2, FUNCTION_UNIT, {TYPE_TEXT, TYPE_DATETIME}, date_name},
    {"DATEPART", 2, 2, FUNCTION_UNIT, {TYPE_TEXT, TYPE_DATETIME}, date_part},
    {"DATETIMEFROMPARTS", 7, 7, 0, {TYPE_NUMBER}, from_parts},
    {"DAY", 1, 1, 0, {TYPE_DATETIME}, day},
    {"MONTH", 1, 1, 0, {TYPE_DATETIME}, month},
    {"YEAR", 1, 1, 0, {TYPE_DATETIME}, year},
};
const struct functions functions_date = {list, sizeof list / sizeof list[0]};
