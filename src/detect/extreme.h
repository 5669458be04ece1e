/* extreme.h - fmax and fmin of numbers that are not NaN: an instruction each, where libm's is a call that every event would make a
 * dozen times. */
#pragma once

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}
