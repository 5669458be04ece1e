#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

bool bigint_parse(struct bytes text, int64_t *out)
{
    size_t i = text.len && (text.at[0] == '-' || text.at[0] == '+');
    bool minus = i && text.at[0] == '-';
    if (i == text.len)
        return false;
    uint64_t n = 0;
    for (; i < text.len; i++)
        if (!is_digit(text.at[i]) || __builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text.at[i] - '0'), &n))
            return false;
    if (n > (uint64_t)INT64_MAX + minus)
        return false;
    *out = (int64_t)(minus ? 0 - n : n);
    return true;
}

/* ---- reading ---- */

/* No more than 768 digits of a decimal decide its double; of what follows only whether it is all zeros. */
enum { DIGITS_MAX = 770, WORD_DIGITS = 19 };

struct decimal {
    uint64_t word;    /* the first 19 digits that count       */
    uint32_t count;   /* digits that count, all of them       */
    int64_t exponent; /* of ten, of the last digit            */
    bool minus;
    struct bytes digits; /* with the point, without leading zeros */
};

static bool scan_exponent(struct bytes text, size_t i, int64_t *out)
{
    bool minus = i < text.len && text.at[i] == '-';
    if (i < text.len && (text.at[i] == '-' || text.at[i] == '+'))
        i++;
    if (i == text.len)
        return false;
    int64_t e = 0;
    for (; i < text.len; i++) {
        if (!is_digit(text.at[i]))
            return false;
        if (e < 100000000)
            e = e * 10 + (text.at[i] - '0');
    }
    *out += minus ? -e : e;
    return true;
}

static bool scan(struct bytes text, struct decimal *d)
{
    size_t i = text.len && (text.at[0] == '-' || text.at[0] == '+'), from = 0, digits = 0;
    bool point = false;
    *d = (struct decimal){.minus = i && text.at[0] == '-'};
    for (; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(c))
            break;
        digits++;
        d->exponent -= point;
        if (d->count == 0 && c == '0')
            continue;
        if (d->count++ == 0)
            from = i;
        if (d->count <= WORD_DIGITS)
            d->word = d->word * 10 + (uint64_t)(c - '0');
    }
    d->digits = bytes_of(text.at + from, d->count ? i - from : 0);
    if (!digits)
        return false;
    if (i < text.len && (text.at[i] | 0x20) != 'e')
        return false;
    return i == text.len || scan_exponent(text, i + 1, &d->exponent);
}

/* Exact operands and one rounding (Clinger). */
static bool by_double(const struct decimal *d, double *out)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->word > (UINT64_C(1) << 53) || d->exponent < -22 || d->exponent > 22)
        return false;
    *out = d->exponent < 0 ? (double)d->word / tens[-d->exponent] : (double)d->word * tens[d->exponent];
    return true;
}

#if LDBL_MANT_DIG == 64
/* The same with 64 bits. Rounding twice is wrong only where the first result lies in the middle between two doubles. */
static bool by_long_double(const struct decimal *d, double *out)
{
    static const long double tens[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
                                       1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
                                       1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
    if (d->exponent < -27 || d->exponent > 27)
        return false;
    long double x = d->exponent < 0 ? (long double)d->word / tens[-d->exponent]
                                    : (long double)d->word * tens[d->exponent];
    uint64_t mantissa;
    memcpy(&mantissa, &x, sizeof mantissa);
    if ((mantissa & 0x7ff) == 0x400)
        return false;
    *out = (double)x;
    return true;
}
#else
static bool by_long_double(const struct decimal *d, double *out)
{
    (void)d;
    (void)out;
    return false;
}
#endif

/* The C library's reading of the digits as a whole number with an exponent: no point, so no locale. */
static double by_library(const struct decimal *d)
{
    char text[DIGITS_MAX + 40];
    size_t n = 0;
    bool more = false;
    for (size_t i = 0; i < d->digits.len; i++) {
        if (d->digits.at[i] == '.')
            continue;
        if (n < DIGITS_MAX)
            text[n++] = (char)d->digits.at[i];
        else
            more |= d->digits.at[i] != '0';
    }
    int64_t exponent = d->exponent + (int64_t)d->count - (int64_t)n;
    if (more) {
        text[n++] = '1';
        exponent--;
    }
    if (exponent > 1000000)
        exponent = 1000000;
    if (exponent < -1000000)
        exponent = -1000000;
    (void)snprintf(text + n, sizeof text - n, "e%d", (int)exponent);
    return strtod(text, NULL);
}

bool float_parse(struct bytes text, double *out)
{
    struct decimal d;
    if (!scan(text, &d))
        return false;
    double f = 0;
    if (d.count && (d.count > WORD_DIGITS || (!by_double(&d, &f) && !by_long_double(&d, &f))))
        f = by_library(&d);
    *out = d.minus ? -f : f;
    return isfinite(f);
}

/* ---- writing ---- */

size_t bigint_write(int64_t i, char out[FLOAT_TEXT])
{
    char digits[20];
    size_t n = 0, len = 0;
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do
        digits[n++] = (char)('0' + u % 10);
    while (u /= 10);
    if (i < 0)
        out[len++] = '-';
    while (n)
        out[len++] = digits[--n];
    return len;
}

struct digits { /* 0.d1d2d3... * 10^point */
    char at[20];
    unsigned count;
    int point;
};

static void digits_of(uint64_t m, int exponent, struct digits *d) /* m * 10^exponent */
{
    char back[20];
    unsigned n = 0;
    do
        back[n++] = (char)('0' + m % 10);
    while (m /= 10);
    d->count = n;
    d->point = (int)n + exponent;
    for (unsigned i = 0; i < n; i++)
        d->at[i] = back[n - 1 - i];
}

/* What machines send has few decimals: f = m / 10^k with m below 2^50 is then exact to find (the product's two roundings
 * stay below a quarter), and division of exact operands by a power up to 10^22 rounds right, so m / 10^k == f says
 * that these digits read back as f; the first k that does has the fewest. */
static bool short_digits(double f, struct digits *d)
{
    double ten = 1;
    for (int k = 0; k <= 15; k++, ten *= 10) {
        double m = nearbyint(f * ten);
        if (m >= 0x1p50)
            return false;
        if (m / ten == f && m > 0) {
            digits_of((uint64_t)m, -k, d);
            return true;
        }
    }
    return false;
}

static void add_digit(struct digits *d, unsigned digit)
{
    if (digit == 0 && d->count == 0)
        d->point--; /* a zero behind the point that does not count */
    else
        d->at[d->count++] = (char)('0' + digit);
}

/* Exact, after Steele and White (1990), for doubles from 2^-60 to 2^53: the part behind the point is a whole number of 2^-bits
 * units, and so is half the distance to the neighbours (in quarters, since below a power of two it is a half of that). Digits are
 * taken until what is left is nearer to f than to a neighbour. All fits in 128 bits. */
static bool exact_digits(double f, struct digits *d)
{
    int exponent;
    uint64_t m = (uint64_t)ldexp(frexp(f, &exponent), 53);
    int bits = 53 - exponent;
    if (bits < 1 || bits > 113)
        return false;
    bool even = m % 2 == 0;
    unsigned __int128 unit = (unsigned __int128)1 << (bits + 2), rest = ((unsigned __int128)m << 2) & (unit - 1);
    unsigned __int128 above = 2, below = m == UINT64_C(1) << 52 ? 1 : 2;
    uint64_t whole = bits < 64 ? m >> bits : 0;
    *d = (struct digits){ .count = 0, .point = 0 };
    if (whole)
        digits_of(whole, 0, d);
    for (;;) {
        rest *= 10;
        above *= 10;
        below *= 10;
        unsigned digit = (unsigned)(rest >> (bits + 2));
        rest &= unit - 1;
        bool low = even ? rest <= below : rest < below;
        bool high = even ? rest + above >= unit : rest + above > unit;
        if (low || high) {
            /* Both would do: the nearer, and of two as near the even one. */
            add_digit(d, digit + (high && (!low || rest * 2 > unit || (rest * 2 == unit && digit % 2))));
            return true;
        }
        add_digit(d, digit);
    }
}

static void long_digits(double f, struct digits *d)
{
    char text[40];
    /* Of the digits of a normal number 15 always come back; subnormal ones have fewer. */
    for (int precision = f < DBL_MIN ? 1 : 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, f);
        if (precision == 17 || strtod(text, NULL) == f)
            break;
    }
    char *e = strchr(text, 'e');
    d->count = 0;
    for (char *p = text; p < e; p++)
        if (is_digit((uint8_t)*p))
            d->at[d->count++] = *p;
    while (d->count > 1 && d->at[d->count - 1] == '0')
        d->count--;
    d->point = (int)strtol(e + 1, NULL, 10) + 1;
}

static size_t put_exponent(const struct digits *d, char *out)
{
    size_t n = 0;
    out[n++] = d->at[0];
    out[n++] = '.';
    if (d->count == 1)
        out[n++] = '0';
    for (unsigned i = 1; i < d->count; i++)
        out[n++] = d->at[i];
    return n + (size_t)snprintf(out + n, 8, "e%+d", d->point - 1);
}

static size_t put_plain(const struct digits *d, char *out)
{
    size_t n = 0;
    if (d->point <= 0) {
        out[n++] = '0';
        out[n++] = '.';
        for (int i = d->point; i < 0; i++)
            out[n++] = '0';
    }
    for (int i = 0; i < (int)d->count || i < d->point; i++) {
        if (i && i == d->point)
            out[n++] = '.';
        out[n++] = i < (int)d->count ? d->at[i] : '0';
    }
    if (d->point >= (int)d->count) {
        out[n++] = '.';
        out[n++] = '0';
    }
    return n;
}

size_t float_write(double f, char out[FLOAT_TEXT])
{
    size_t n = 0;
    if (signbit(f))
        out[n++] = '-';
    f = fabs(f);
    if (f == 0) {
        memcpy(out + n, "0.0", 3);
        return n + 3;
    }
    struct digits d;
    if (!short_digits(f, &d) && !exact_digits(f, &d))
        long_digits(f, &d);
    bool plain = d.point > -6 && d.point <= 21;
    return n + (plain ? put_plain(&d, out + n) : put_exponent(&d, out + n));
}

size_t single_write(float f, char out[FLOAT_TEXT])
{
    /* The shortest decimal is one of at most nine digits; as a double it has the same digits, and no shorter ones. */
    char text[40];
    int precision = fabsf(f) < FLT_MIN ? 1 : 6;
    do
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, (double)f);
    while (strtof(text, NULL) != f && ++precision <= 9);
    return float_write(strtod(text, NULL), out);
}
