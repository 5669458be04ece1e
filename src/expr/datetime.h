/* datetime.h - the calendar behind datetime: proleptic Gregorian, years 1 to 9999, UTC, ticks of 100 ns. Pure, any thread. */
#pragma once

#include "expr/value.h"

struct civil {
    int      year;
    unsigned month, day, hour, minute, second; /* month and day from 1 */
    unsigned fraction;                         /* ticks, below 10,000,000 */
};
void     civil_split(int64_t ticks, struct civil *out); /* ticks from 0 to DATETIME_MAX */
/* False: there is no such moment. */
bool     civil_join(const struct civil *, int64_t *ticks);
unsigned civil_month_days(int year, unsigned month);
/* Days since 0001-01-01; any year. */
int64_t  civil_days(int64_t year, unsigned month, unsigned day);
