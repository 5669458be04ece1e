#include "expr/datetime.h"
#include "expr/expr.h"
#include "expr/function.h"

enum unit unit_find(struct bytes name)
{
    static const struct {
        const char *name;
        uint8_t unit;
    } names[] = {
        {"microsecond", UNIT_MICROSECOND},
        {"mcs", UNIT_MICROSECOND},
        {"millisecond", UNIT_MILLISECOND},
        {"ms", UNIT_MILLISECOND},
        {"second", UNIT_SECOND},
        {"ss", UNIT_SECOND},
        {"s", UNIT_SECOND},
        {"minute", UNIT_MINUTE},
        {"mi", UNIT_MINUTE},
        {"n", UNIT_MINUTE},
        {"hour", UNIT_HOUR},
        {"hh", UNIT_HOUR},
        {"day", UNIT_DAY},
        {"dd", UNIT_DAY},
        {"d", UNIT_DAY},
        {"week", UNIT_WEEK},
        {"wk", UNIT_WEEK},
        {"ww", UNIT_WEEK},
        {"month", UNIT_MONTH},
        {"mm", UNIT_MONTH},
        {"m", UNIT_MONTH},
        {"quarter", UNIT_QUARTER},
        {"qq", UNIT_QUARTER},
        {"q", UNIT_QUARTER},
        {"year", UNIT_YEAR},
        {"yyyy", UNIT_YEAR},
        {"yy", UNIT_YEAR},
        {"dayofyear", UNIT_DAYOFYEAR},
        {"dy", UNIT_DAYOFYEAR},
        {"y", UNIT_DAYOFYEAR},
        {"weekday", UNIT_WEEKDAY},
        {"dw", UNIT_WEEKDAY},
        {"w", UNIT_WEEKDAY},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (function_name_is(name, names[i].name))
            return (enum unit)names[i].unit;
    return UNIT_NONE;
}

int64_t unit_ticks(enum unit unit)
{
    switch (unit) {
    case UNIT_MICROSECOND: return 10;
    case UNIT_MILLISECOND: return 10000;
    case UNIT_SECOND: return 10000000;
    case UNIT_MINUTE: return 60 * INT64_C(10000000);
    case UNIT_HOUR: return 3600 * INT64_C(10000000);
    case UNIT_DAY: return DATETIME_DAY;
    default: return 0;
    }
}

static int64_t months(int64_t ticks)
{
    struct civil c;
    civil_split(ticks, &c);
    return (int64_t)c.year * 12 + c.month - 1;
}

/* 0001-01-01 was a Monday; weeks begin on Sunday, as T-SQL's DATEDIFF has it whatever DATEFIRST says. */
static int64_t weeks(int64_t ticks)
{
    return (ticks / DATETIME_DAY + 1) / 7;
}

int64_t unit_boundaries(enum unit unit, int64_t a, int64_t b)
{
    switch (unit) {
    case UNIT_WEEK: return weeks(b) - weeks(a);
    case UNIT_MONTH: return months(b) - months(a);
    case UNIT_QUARTER: return months(b) / 3 - months(a) / 3;
    case UNIT_YEAR: return months(b) / 12 - months(a) / 12;
    case UNIT_DAYOFYEAR:
    case UNIT_WEEKDAY: return b / DATETIME_DAY - a / DATETIME_DAY;
    case UNIT_NONE: return 0;
    default: return b / unit_ticks(unit) - a / unit_ticks(unit);
    }
}
