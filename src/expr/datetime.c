#include "expr/datetime.h"

/* Days in the proleptic Gregorian calendar, from March on, so that the leap day ends a year. */
int64_t civil_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned in_era = (unsigned)(y - era * 400);
    unsigned in_year = (153 * (month + (month > 2 ? (unsigned)-3 : 9)) + 2) / 5 + day - 1;
    unsigned in_era_days = in_era * 365 + in_era / 4 - in_era / 100 + in_year;
    return era * 146097 + (int64_t)in_era_days - 306;
}

static void split_days(int64_t days, struct civil *out)
{
    days += 306;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned left = (unsigned)(days - era * 146097);
    unsigned in_era = (left - left / 1460 + left / 36524 - left / 146096) / 365;
    unsigned in_year = left - (365 * in_era + in_era / 4 - in_era / 100);
    unsigned shifted = (5 * in_year + 2) / 153;
    out->day = in_year - (153 * shifted + 2) / 5 + 1;
    out->month = shifted < 10 ? shifted + 3 : shifted - 9;
    out->year = (int)(era * 400 + in_era + (out->month <= 2));
}

void civil_split(int64_t ticks, struct civil *out)
{
    int64_t days = ticks / DATETIME_DAY, rest = ticks % DATETIME_DAY;
    split_days(days, out);
    out->fraction = (unsigned)(rest % 10000000);
    rest /= 10000000;
    out->hour = (unsigned)(rest / 3600);
    out->minute = (unsigned)(rest / 60 % 60);
    out->second = (unsigned)(rest % 60);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

unsigned civil_month_days(int year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

bool civil_join(const struct civil *c, int64_t *ticks)
{
    if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > civil_month_days(c->year, c->month) || c->hour > 23 || c->minute > 59 || c->second > 59 ||
        c->fraction > 9999999)
        return false;
    int64_t seconds = (int64_t)(c->hour * 3600 + c->minute * 60 + c->second);
    *ticks = civil_days(c->year, c->month, c->day) * DATETIME_DAY + seconds * 10000000 + c->fraction;
    return true;
}

struct scan {
    const uint8_t *at, *end;
};

static bool digits(struct scan *s, unsigned count, unsigned *out)
{
    unsigned n = 0;
    if ((size_t)(s->end - s->at) < count)
        return false;
    for (; count; count--, s->at++) {
        if (*s->at < '0' || *s->at > '9')
            return false;
        n = n * 10 + (unsigned)(*s->at - '0');
    }
    *out = n;
    return true;
}

static bool mark(struct scan *s, uint8_t c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* Digits beyond the seventh are cut off. */
static bool fraction(struct scan *s, unsigned *out)
{
    unsigned n = 0, count = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, count++)
        if (count < 7)
            n = n * 10 + (unsigned)(*s->at - '0');
    if (!count)
        return false;
    for (unsigned i = count; i < 7; i++)
        n *= 10;
    *out = n;
    return true;
}

static bool zone(struct scan *s, int64_t *offset)
{
    *offset = 0;
    if (s->at == s->end || mark(s, 'Z') || mark(s, 'z'))
        return s->at == s->end;
    bool minus = *s->at == '-';
    unsigned hours, minutes = 0;
    if ((!mark(s, '+') && !mark(s, '-')) || !digits(s, 2, &hours))
        return false;
    if (s->at < s->end) {
        (void)mark(s, ':');
        if (!digits(s, 2, &minutes))
            return false;
    }
    if (s->at != s->end || hours > 14 || minutes > 59)
        return false;
    *offset = (int64_t)(hours * 60 + minutes) * 60 * 10000000 * (minus ? -1 : 1);
    return true;
}

static bool time_of_day(struct scan *s, struct civil *c)
{
    if (!digits(s, 2, &c->hour) || !mark(s, ':') || !digits(s, 2, &c->minute))
        return false;
    if (!mark(s, ':'))
        return true;
    return digits(s, 2, &c->second) && (!mark(s, '.') || fraction(s, &c->fraction));
}

bool datetime_parse(struct bytes text, int64_t *ticks)
{
    struct scan s = {text.at, text.at + text.len};
    struct civil c = {0};
    unsigned year;
    int64_t offset = 0, local;
    if (text.len < 10 || !digits(&s, 4, &year) || !mark(&s, '-') || !digits(&s, 2, &c.month) ||
        !mark(&s, '-') || !digits(&s, 2, &c.day))
        return false;
    c.year = (int)year;
    if (s.at < s.end &&
        ((!mark(&s, 'T') && !mark(&s, ' ') && !mark(&s, 't')) || !time_of_day(&s, &c) || !zone(&s, &offset)))
        return false;
    if (!civil_join(&c, &local) || local - offset < 0 || local - offset > DATETIME_MAX)
        return false;
    *ticks = local - offset;
    return true;
}

static char *put(char *at, unsigned n, unsigned count)
{
    for (unsigned i = count; i; i--, n /= 10)
        at[i - 1] = (char)('0' + n % 10);
    return at + count;
}

void datetime_text(int64_t ticks, char out[DATETIME_TEXT + 1])
{
    struct civil c;
    civil_split(ticks, &c);
    char *at = put(out, (unsigned)c.year, 4);
    *at++ = '-';
    at = put(at, c.month, 2);
    *at++ = '-';
    at = put(at, c.day, 2);
    *at++ = 'T';
    at = put(at, c.hour, 2);
    *at++ = ':';
    at = put(at, c.minute, 2);
    *at++ = ':';
    at = put(at, c.second, 2);
    *at++ = '.';
    at = put(at, c.fraction, 7);
    *at++ = 'Z';
    *at = 0;
}
