#include "expr/function.h"
#include "expr/program.h"

#include <math.h>

static double number(struct value v)
{
    return v.type == VALUE_FLOAT ? v.f : (double)v.i;
}

/* A result that is no number is none. */
static bool give(struct call *c, double f, struct value *out)
{
    *out = value_float(f);
    return isfinite(f) ||
           call_fail(c,
                     isnan(f) ? "The argument of function %s is outside of what it is defined for."
                              : "The result of function %s is outside of float.",
                     c->node->function->name);
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
OF_ONE(square, x *x)
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

static bool power(struct call *c, const struct value *a, struct value *out)
{
    return give(c, pow(number(a[0]), number(a[1])), out);
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
        return call_fail(c, "The result of function ABS is outside of bigint.");
    return true;
}

static bool sign(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    double f = number(a[0]);
    *out = value_bigint((f > 0) - (f < 0));
    return true;
}

static bool to_whole(struct call *c, double f, struct value *out)
{
    if (!(f >= -0x1p63 && f < 0x1p63))
        return call_fail(c, "The result of function %s is outside of bigint.", c->node->function->name);
    *out = value_bigint((int64_t)f);
    return true;
}

static bool ceiling(struct call *c, const struct value *a, struct value *out)
{
    *out = a[0];
    return a[0].type == VALUE_BIGINT || to_whole(c, ceil(a[0].f), out);
}

static bool floor_of(struct call *c, const struct value *a, struct value *out)
{
    *out = a[0];
    return a[0].type == VALUE_BIGINT || to_whole(c, floor(a[0].f), out);
}

static double power_of_ten(int64_t n)
{
    double f = 1;
    for (; n > 0; n--)
        f *= 10; /* exact up to 10^22 */
    return f;
}

/* Half away from zero. */
static bool round_float(struct call *c, double f, int64_t places, struct value *out)
{
    /* With 16 digits to the left of where it would be rounded there is nothing left to round. */
    if (places >= 0 && (places > 22 || fabs(f) * power_of_ten(places) >= 0x1p53))
        return give(c, f, out);
    if (places < -308)
        return give(c, 0, out);
    double scale = power_of_ten(places < 0 ? -places : places);
    return give(c, places < 0 ? round(f / scale) * scale : round(f * scale) / scale, out);
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
            return call_fail(c, "The result of function ROUND is outside of bigint.");
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
