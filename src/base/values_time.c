/* Moments: what people and RFC 3339 write, and back. The calendar is the C library's; no clock is read. */
#include "base/values.h"

#include <stdio.h>
#include <time.h>

#define SAID(text) bytes_escape((text), (char[48]){ 0 }, 48)

static enum code not_a_time(struct bytes text, struct fault *why)
{
    return FAIL(why, CODE_USAGE, 0,
                "a time, such as 2026-11-22T06:00:00Z, 2026-11-22, today 06:00, yesterday 22:15,"
                " 06:00, or how long ago, such as 10m, got '%s'",
                SAID(text));
}

/* Exactly `n` digits at the front of *rest. */
static bool number(struct bytes *rest, size_t n, int *out)
{
    if (rest->len < n)
        return false;
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (rest->at[i] < '0' || rest->at[i] > '9')
            return false;
        v = v * 10 + (rest->at[i] - '0');
    }
    *rest = bytes_from(*rest, n);
    *out = v;
    return true;
}

static bool sign(struct bytes *rest, const char *one_of)
{
    if (!rest->len || !rest->at[0] || !strchr(one_of, rest->at[0]))
        return false;
    *rest = bytes_from(*rest, 1);
    return true;
}

static bool word(struct bytes *rest, const char *what)
{
    if (!bytes_starts(*rest, what))
        return false;
    *rest = bytes_from(*rest, strlen(what));
    return true;
}

static int days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool read_date(struct bytes *rest, struct tm *tm)
{
    int y, m, d;
    if (!number(rest, 4, &y) || !sign(rest, "-") || !number(rest, 2, &m) || !sign(rest, "-") ||
        !number(rest, 2, &d))
        return false;
    if (y < 1970 || m < 1 || m > 12 || d < 1 || d > days_of(y, m))
        return false;
    tm->tm_year = y - 1900;
    tm->tm_mon = m - 1;
    tm->tm_mday = d;
    return true;
}

/* 06:00, 06:00:30, 06:00:30.25; digits behind the sixth are dropped. */
static bool read_clock(struct bytes *rest, struct tm *tm, int *us)
{
    int h, m, s = 0;
    *us = 0;
    if (!number(rest, 2, &h) || !sign(rest, ":") || !number(rest, 2, &m))
        return false;
    if (sign(rest, ":")) {
        if (!number(rest, 2, &s))
            return false;
        if (sign(rest, ".")) {
            int digit, scale = 100000;
            if (!number(rest, 1, &digit))
                return false;
            do {
                *us += digit * scale;
                scale /= 10;
            } while (number(rest, 1, &digit));
        }
    }
    /* RFC 3339 5.7: second 60 is a leap second; mktime makes it the next minute's first. */
    if (h > 23 || m > 59 || s > 60)
        return false;
    tm->tm_hour = h;
    tm->tm_min = m;
    tm->tm_sec = s;
    return true;
}

/* Z or +01:00; *local stays true when there is none. */
static bool read_offset(struct bytes *rest, bool *local, int *offset_s)
{
    int h, m, sense = 1;
    if (!rest->len)
        return true;
    *local = false;
    if (sign(rest, "Zz"))
        return true;
    if (sign(rest, "-"))
        sense = -1;
    else if (!sign(rest, "+"))
        return false;
    if (!number(rest, 2, &h) || !sign(rest, ":") || !number(rest, 2, &m) || h > 23 || m > 59)
        return false;
    *offset_s = sense * (h * 3600 + m * 60);
    return true;
}

static bool read_rfc3339(struct bytes rest, int64_t *out)
{
    struct tm tm = { .tm_isdst = -1 };
    bool local = true;
    int us = 0, offset_s = 0;
    if (!read_date(&rest, &tm))
        return false;
    if (rest.len &&
        (!sign(&rest, "Tt ") || !read_clock(&rest, &tm, &us) || !read_offset(&rest, &local, &offset_s)))
        return false;
    time_t t = local ? mktime(&tm) : timegm(&tm);
    *out = ((int64_t)t - offset_s) * VALUE_US_PER_S + us;
    return rest.len == 0 && *out >= 0;
}

/* "today", "yesterday 22:15", "06:00". */
static bool read_day(struct bytes rest, int64_t now_us, int64_t *out)
{
    time_t now = (time_t)(now_us / VALUE_US_PER_S);
    struct tm tm;
    int us = 0;
    if (!localtime_r(&now, &tm))
        return false;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    bool yesterday = word(&rest, "yesterday"), named = yesterday || word(&rest, "today");
    tm.tm_mday -= yesterday;
    bool clock = !named || sign(&rest, " ");
    if (clock && !read_clock(&rest, &tm, &us))
        return false;
    *out = (int64_t)mktime(&tm) * VALUE_US_PER_S + us;
    return rest.len == 0 && *out >= 0;
}

static bool read_ago(struct bytes rest, int64_t now_us, int64_t *out)
{
    if (rest.len > 4 && bytes_is(bytes_from(rest, rest.len - 4), " ago"))
        rest.len -= 4;
    uint64_t ago;
    if (value_parse_duration(rest, &ago, NULL) != CODE_OK || now_us < 0 || ago > (uint64_t)now_us)
        return false;
    *out = now_us - (int64_t)ago;
    return true;
}

enum code value_parse_time(struct bytes text, int64_t now_us, int64_t *us, struct fault *why)
{
    int64_t v = now_us;
    if (!bytes_is(text, "now") && !read_rfc3339(text, &v) && !read_day(text, now_us, &v) &&
        !read_ago(text, now_us, &v))
        return not_a_time(text, why);
    *us = v;
    return CODE_OK;
}

/* Splits towards minus infinity, so that moments before 1970 keep their milliseconds positive. */
static bool broken_down(int64_t us, bool utc, struct tm *tm, int *ms)
{
    int64_t s = us / VALUE_US_PER_S, rest = us % VALUE_US_PER_S;
    if (rest < 0) {
        rest += VALUE_US_PER_S;
        s--;
    }
    time_t t = (time_t)s;
    *ms = (int)(rest / 1000);
    return utc ? gmtime_r(&t, tm) : localtime_r(&t, tm);
}

char *value_print_time_utc(int64_t us, char out[VALUE_TEXT_MAX])
{
    struct tm tm;
    int ms;
    out[0] = 0;
    if (broken_down(us, true, &tm, &ms)) {
        size_t n = strftime(out, VALUE_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(out + n, VALUE_TEXT_MAX - n, ".%03dZ", ms);
    }
    return out;
}

char *value_print_time(int64_t us, char out[VALUE_TEXT_MAX])
{
    struct tm tm;
    int ms;
    out[0] = 0;
    if (broken_down(us, false, &tm, &ms)) {
        size_t n = strftime(out, VALUE_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        long east = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
        (void)snprintf(out + n, VALUE_TEXT_MAX - n, ".%03d%c%02ld:%02ld", ms, tm.tm_gmtoff < 0 ? '-' : '+',
                       east / 3600, east / 60 % 60);
    }
    return out;
}

char *value_print_time_about(int64_t us, char out[VALUE_TEXT_MAX])
{
    struct tm tm;
    int ms;
    out[0] = 0;
    if (broken_down(us, false, &tm, &ms))
        (void)strftime(out, VALUE_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

char *value_print_clock(int64_t us, char out[VALUE_TEXT_MAX])
{
    struct tm tm;
    int ms;
    out[0] = 0;
    if (broken_down(us, false, &tm, &ms)) {
        size_t n = strftime(out, VALUE_TEXT_MAX, "%H:%M:%S", &tm);
        (void)snprintf(out + n, VALUE_TEXT_MAX - n, ".%03d", ms);
    }
    return out;
}
