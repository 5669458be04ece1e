#include "base/values.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What was typed, fit for a sentence. */
#define SAID(text) bytes_escape((text), (char[48]){ 0 }, 48)

struct unit {
    const char *name;
    uint64_t    of;
};

static const struct unit sizes[] = {
    { "TiB", UINT64_C(1) << 40 }, { "GiB", UINT64_C(1) << 30 }, { "MiB", UINT64_C(1) << 20 },
    { "KiB", UINT64_C(1) << 10 }, { "TB", UINT64_C(1000000000000) }, { "GB", 1000000000 },
    { "MB", 1000000 },            { "kB", 1000 },               { "B", 1 },
    { NULL, 0 },
};

static const struct unit durations[] = {
    { "w", UINT64_C(604800000000) }, { "d", UINT64_C(86400000000) }, { "h", UINT64_C(3600000000) },
    { "m", 60000000 },               { "s", 1000000 },               { "ms", 1000 },
    { "us", 1 },                     { NULL, 0 },
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Digits from *at on; false if there is none or the number does not fit. */
static bool digits(struct bytes text, size_t *at, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = *at;
    for (; i < text.len && is_digit(text.at[i]); i++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, text.at[i] - '0', &v))
            return false;
    if (i == *at)
        return false;
    *at = i;
    *out = v;
    return true;
}

static const struct unit *unit_at(const struct unit *units, struct bytes text, size_t *at)
{
    size_t end = *at;
    while (end < text.len && !is_digit(text.at[end]))
        end++;
    for (const struct unit *u = units; u->name; u++)
        if (bytes_is(bytes_of(text.at + *at, end - *at), u->name)) {
            *at = end;
            return u;
        }
    return NULL;
}

enum code value_parse_count(struct bytes text, uint64_t min, uint64_t max, uint64_t *out, struct fault *why)
{
    size_t at = 0;
    uint64_t v;
    if (!digits(text, &at, &v) || at != text.len || v < min || v > max)
        return FAIL(why, CODE_USAGE, 0, "a whole number from %" PRIu64 " to %" PRIu64 ", got '%s'", min, max,
                    SAID(text));
    *out = v;
    return CODE_OK;
}

static enum code not_a_size(struct bytes text, struct fault *why)
{
    return FAIL(why, CODE_USAGE, 0,
                "a size is a whole number with a unit, such as 512B, 64KiB, 64MiB, 1GiB or 20GB,"
                " got '%s'",
                SAID(text));
}

enum code value_parse_size(struct bytes text, uint64_t *bytes, struct fault *why)
{
    size_t at = 0;
    uint64_t v;
    if (!digits(text, &at, &v))
        return not_a_size(text, why);
    if (at < text.len) {
        const struct unit *u = unit_at(sizes, text, &at);
        if (!u || at != text.len || __builtin_mul_overflow(v, u->of, &v))
            return not_a_size(text, why);
    }
    *bytes = v;
    return CODE_OK;
}

static enum code not_a_duration(struct bytes text, struct fault *why)
{
    return FAIL(why, CODE_USAGE, 0,
                "a duration is a whole number with a unit, such as 500us, 20ms, 30s, 10m, 2h30m"
                " or 7d, got '%s'",
                SAID(text));
}

enum code value_parse_duration(struct bytes text, uint64_t *us, struct fault *why)
{
    uint64_t sum = 0;
    const struct unit *last = NULL;
    if (bytes_is(text, "0")) {
        *us = 0;
        return CODE_OK;
    }
    for (size_t at = 0; at < text.len || !last;) {
        uint64_t v;
        if (!digits(text, &at, &v))
            return not_a_duration(text, why);
        const struct unit *u = unit_at(durations, text, &at);
        if (!u || (last && u <= last) || __builtin_mul_overflow(v, u->of, &v) ||
            __builtin_add_overflow(sum, v, &sum))
            return not_a_duration(text, why);
        last = u;
    }
    *us = sum;
    return CODE_OK;
}

enum code value_parse_decimal(struct bytes text, double *out, struct fault *why)
{
    char copy[64];
    bool fits = text.len > 0 && text.len < sizeof copy;
    for (size_t i = 0; fits && i < text.len; i++)
        fits = is_digit(text.at[i]) || strchr("+-.eE", text.at[i]); /* neither hexadecimal nor "inf" */
    if (fits) {
        memcpy(copy, text.at, text.len);
        copy[text.len] = 0;
        char *end;
        errno = 0;
        double v = strtod(copy, &end);
        if (*end == 0 && isfinite(v) && errno != ERANGE) {
            *out = v;
            return CODE_OK;
        }
    }
    return FAIL(why, CODE_USAGE, 0, "a decimal number, such as 21.4 or -3, got '%s'", SAID(text));
}

enum code value_parse_switch(struct bytes text, bool *out, struct fault *why)
{
    static const char *const words[] = { "off", "on", "false", "true", "no", "yes" };
    for (size_t i = 0; i < 6; i++)
        if (bytes_is(text, words[i])) {
            *out = i % 2;
            return CODE_OK;
        }
    return FAIL(why, CODE_USAGE, 0, "true or false, got '%s'", SAID(text));
}

char *value_print_size(uint64_t bytes, char out[VALUE_TEXT_MAX])
{
    /* The unit that leaves the shortest number; 1000 is easier to read than 1kB. */
    const struct unit *best = NULL;
    for (const struct unit *u = sizes; u->name; u++)
        if (bytes && bytes % u->of == 0 && (bytes >= 10000 || u->of % 1024 == 0))
            if (!best || u->of > best->of)
                best = u;
    (void)snprintf(out, VALUE_TEXT_MAX, "%" PRIu64 "%s", best ? bytes / best->of : bytes,
                   best && best->of > 1 ? best->name : "");
    return out;
}

char *value_print_duration(uint64_t us, char out[VALUE_TEXT_MAX])
{
    size_t n = 0;
    for (const struct unit *u = durations + 1; u->name; u++) {
        uint64_t v = us / u->of;
        us %= u->of;
        if (v)
            n += (size_t)snprintf(out + n, VALUE_TEXT_MAX - n, "%" PRIu64 "%s", v, u->name);
    }
    if (n == 0)
        (void)snprintf(out, VALUE_TEXT_MAX, "0s");
    return out;
}

/* Three digits at most before it is rounded: 1.2, 31, 999. */
static char *about(double v, const char *unit, char out[VALUE_TEXT_MAX])
{
    (void)snprintf(out, VALUE_TEXT_MAX, v < 9.95 ? "%.1f %s" : "%.0f %s", v, unit);
    return out;
}

char *value_print_size_about(uint64_t bytes, char out[VALUE_TEXT_MAX])
{
    if (bytes < 1000) {
        (void)snprintf(out, VALUE_TEXT_MAX, "%" PRIu64 " B", bytes);
        return out;
    }
    static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double v = (double)bytes / 1024;
    size_t i = 0;
    for (; v >= 999.5 && i < 5; i++)
        v /= 1024;
    return about(v, names[i], out);
}

char *value_print_duration_about(uint64_t us, char out[VALUE_TEXT_MAX])
{
    if (us < 60000000) {
        if (us < 1000)
            (void)snprintf(out, VALUE_TEXT_MAX, "%" PRIu64 " us", us);
        else if (us < 999500)
            about((double)us / 1e3, "ms", out);
        else
            about((double)us / 1e6, "s", out);
        return out;
    }
    const struct unit *u = durations + 1;
    while (us < u->of)
        u++;
    uint64_t rest = us % u->of / u[1].of;
    int n = snprintf(out, VALUE_TEXT_MAX, "%" PRIu64 " %s", us / u->of, u->name);
    if (rest)
        (void)snprintf(out + n, VALUE_TEXT_MAX - (size_t)n, " %" PRIu64 " %s", rest, u[1].name);
    return out;
}

char *value_print_count(uint64_t n, char out[VALUE_TEXT_MAX])
{
    char plain[24];
    int len = snprintf(plain, sizeof plain, "%" PRIu64, n);
    size_t to = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[to++] = ' ';
        out[to++] = plain[i];
    }
    out[to] = 0;
    return out;
}
