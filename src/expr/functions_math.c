#include "expr/function.h"
#include "base/number.h"
#include "expr/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double number(struct value v)
{
    return v.type == VALUE_FLOAT ? v.f : (double)v.i;
}

/* What is infinite or no number becomes NULL. */
static bool give(struct call *c, double f, struct value *out)
{
    *out = isfinite(f) ? value_float(f) : value_null();
    c->eval->not_finite += !isfinite(f);
    return true;
}

#define OF_ONE(function, expression)                                               \
    static bool function(struct call *c, const struct value *a, struct value *out) \
    {                                                                              \
        double x = number(a[0]);                                                   \
        return give(c, expression, out);                                           \
    }
OF_ONE(acosine, acos(x))
OF_ONE(asine, asin(x))
OF_ONE(atangent, atan(x))
OF_ONE(cosine, cos(x))
OF_ONE(cotangent, 1 / tan(x))
OF_ONE(degrees, x *(180 / M_PI))
OF_ONE(exponential, exp(x))
OF_ONE(log_ten, log10(x))
OF_ONE(radians, x *(M_PI / 180))
OF_ONE(sine, sin(x))
OF_ONE(square_root, sqrt(x))
OF_ONE(tangent, tan(x))

static bool pi(struct call *c, const struct value *a, struct value *out)
{
    (void)a;
    return give(c, M_PI, out);
}

static bool atangent_of_two(struct call *c, const struct value *a, struct value *out)
{
    return give(c, atan2(number(a[0]), number(a[1])), out);
}

static bool beyond_bigint(struct call *c)
{
    return call_fail(c, "The result of function %s is outside of the range of bigint.", c->node->function->name);
}

static bool to_whole(struct call *c, double f, struct value *out)
{
    if (isnan(f))
        return give(c, f, out);
    if (!(f >= -0x1p63 && f < 0x1p63))
        return beyond_bigint(c);
    *out = value_bigint((int64_t)f);
    return true;
}

static bool square(struct call *c, const struct value *a, struct value *out)
{
    *out = a[0];
    if (a[0].type == VALUE_FLOAT)
        return give(c, a[0].f * a[0].f, out);
    return !__builtin_mul_overflow(a[0].i, a[0].i, &out->i) || beyond_bigint(c);
}

/* A bigint to a whole power, exactly. */
static bool whole_power(struct call *c, int64_t base, int64_t exponent, struct value *out)
{
    int64_t result = 1;
    *out = value_bigint(0);
    if (base == 1 || base == -1 || base == 0) {
        out->i = base == 0 ? exponent == 0 : base == 1 || exponent % 2 == 0 ? 1 : -1;
        return base != 0 || exponent >= 0 || give(c, INFINITY, out);
    }
    if (exponent < 0)
        return true; /* cut toward zero */
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(result, base, &result))
            return beyond_bigint(c);
    out->i = result;
    return true;
}

static bool power(struct call *c, const struct value *a, struct value *out)
{
    if (a[0].type == VALUE_BIGINT && a[1].type == VALUE_BIGINT)
        return whole_power(c, a[0].i, a[1].i, out);
    double f = pow(number(a[0]), number(a[1]));
    return a[0].type == VALUE_BIGINT ? to_whole(c, f, out) : give(c, f, out);
}

static bool logarithm(struct call *c, const struct value *a, struct value *out)
{
    double f = log(number(a[0]));
    if (c->count == 2) {
        double base = number(a[1]);
        if (!(base > 0) || base == 1)
            return call_fail(c, "The base of a logarithm is above 0 and not 1.");
        f /= log(base);
    }
    return give(c, f, out);
}

static bool absolute(struct call *c, const struct value *a, struct value *out)
{
    *out = a[0];
    if (out->type == VALUE_FLOAT)
        out->f = fabs(out->f);
    else if (out->i < 0 && __builtin_sub_overflow(0, out->i, &out->i))
        return call_fail(c, "The result of function ABS is outside of the range of bigint.");
    return true;
}

static bool sign(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    double f = number(a[0]);
    int s = (f > 0) - (f < 0);
    *out = a[0].type == VALUE_FLOAT ? value_float(s) : value_bigint(s);
    return true;
}

static bool ceiling(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = a[0].type == VALUE_FLOAT ? value_float(ceil(a[0].f)) : a[0];
    return true;
}

static bool floor_of(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = a[0].type == VALUE_FLOAT ? value_float(floor(a[0].f)) : a[0];
    return true;
}

/* Half away from zero, on the digits of the shortest spelling: 1.005 to two places is 1.01. */
static bool round_float(struct call *c, double f, int64_t places, struct value *out)
{
    char text[FLOAT_TEXT + 1], digits[FLOAT_TEXT], rounded[FLOAT_TEXT + 16];
    size_t n = float_write(fabs(f), text), count = 0, i = 0;
    int64_t point = -1, exponent = 0; /* the value is 0.DIGITS times 10 to the power of point */
    text[n] = 0;
    for (; i < n && text[i] != 'e'; i++) {
        if (text[i] == '.')
            point = (int64_t)count;
        else
            digits[count++] = text[i];
    }
    if (i < n)
        exponent = strtol(text + i + 1, NULL, 10);
    point = (point < 0 ? (int64_t)count : point) + exponent;
    if (places > 400 || point + places >= (int64_t)count)
        return give(c, f, out);
    int64_t keep = places < -400 ? -1 : point + places; /* digits that stay */
    if (keep < 0)
        return give(c, 0, out);
    bool up = digits[keep] >= '5';
    for (i = (size_t)keep; up && i > 0; i--) {
        up = digits[i - 1] == '9';
        digits[i - 1] = (char)(up ? '0' : digits[i - 1] + 1);
    }
    int length = snprintf(rounded, sizeof rounded, "0.%.*s%se%lld", (int)keep, digits, keep ? "" : "0", (long long)point);
    if (up) /* carried beyond the first digit */
        length = snprintf(rounded, sizeof rounded, "1e%lld", (long long)point);
    double r;
    if (length < 0 || !float_parse(bytes_of(rounded, (size_t)length), &r))
        r = INFINITY;
    return give(c, r == 0 ? 0 : copysign(r, f), out);
}

static bool round_whole(struct call *c, int64_t i, int64_t places, struct value *out)
{
    if (places < -19)
        i = 0;
    if (places < 0 && i) {
        /* In 128 bits, because 10^19 and what is rounded up to it are beyond int64. */
        unsigned __int128 scale = 1,
                          size = i < 0 ? (unsigned __int128)0 - (unsigned __int128)i : (unsigned __int128)i;
        for (int64_t n = places; n < 0; n++)
            scale *= 10;
        size = (size + scale / 2) / scale * scale;
        if (size > (unsigned __int128)INT64_MAX + (i < 0))
            return call_fail(c, "The result of function ROUND is outside of the range of bigint.");
        i = i < 0 ? (int64_t)(0 - (uint64_t)size) : (int64_t)size;
    }
    *out = value_bigint(i);
    return true;
}

static bool round_to(struct call *c, const struct value *a, struct value *out)
{
    int64_t places = c->count == 2 ? a[1].i : 0;
    return a[0].type == VALUE_BIGINT ? round_whole(c, a[0].i, places, out)
                                     : round_float(c, a[0].f, places, out);
}

static const struct function list[] = {
    {"ABS", 1, 1, 0, {TYPE_NUMBER}, absolute},
    {"ACOS", 1, 1, 0, {TYPE_NUMBER}, acosine},
    {"ASIN", 1, 1, 0, {TYPE_NUMBER}, asine},
    {"ATAN", 1, 1, 0, {TYPE_NUMBER}, atangent},
    {"ATN2", 2, 2, 0, {TYPE_NUMBER}, atangent_of_two},
    {"CEILING", 1, 1, 0, {TYPE_NUMBER}, ceiling},
    {"COS", 1, 1, 0, {TYPE_NUMBER}, cosine},
    {"COT", 1, 1, 0, {TYPE_NUMBER}, cotangent},
    {"DEGREES", 1, 1, 0, {TYPE_NUMBER}, degrees},
    {"EXP", 1, 1, 0, {TYPE_NUMBER}, exponential},
    {"FLOOR", 1, 1, 0, {TYPE_NUMBER}, floor_of},
    {"LOG", 1, 2, 0, {TYPE_NUMBER}, logarithm},
    {"LOG10", 1, 1, 0, {TYPE_NUMBER}, log_ten},
    {"PI", 0, 0, 0, {TYPE_NUMBER}, pi},
    {"POWER", 2, 2, 0, {TYPE_NUMBER}, power},
    {"RADIANS", 1, 1, 0, {TYPE_NUMBER}, radians},
    {"ROUND", 1, 2, 0, {TYPE_NUMBER, TYPE_BIGINT}, round_to},
    {"SIGN", 1, 1, 0, {TYPE_NUMBER}, sign},
    {"SIN", 1, 1, 0, {TYPE_NUMBER}, sine},
    {"SQRT", 1, 1, 0, {TYPE_NUMBER}, square_root},
    {"SQUARE", 1, 1, 0, {TYPE_NUMBER}, square},
    {"TAN", 1, 1, 0, {TYPE_NUMBER}, tangent},
};
const struct functions functions_math = {list, sizeof list / sizeof list[0]};
