#include "base/number.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next(uint64_t *s)
{
    *s += 0x9e3779b97f4a7c15u;
    uint64_t z = (*s ^ (*s >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static const char *written(double f)
{
    static char out[FLOAT_TEXT + 1];
    out[float_write(f, out)] = 0;
    return out;
}

static void floats_are_written_short(void **state)
{
    (void)state;
    static const struct {
        double f;
        const char *want;
    } table[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-5, "-5.0"},
        {21.4, "21.4"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {100, "100.0"},
        {1e20, "100000000000000000000.0"},
        {1e21, "1.0e+21"},
        {1.5e300, "1.5e+300"},
        {1e-6, "0.000001"},
        {1.25e-7, "1.25e-7"},
        {5e-324, "5.0e-324"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {9007199254740993.0, "9007199254740992.0"},
        {123456.789, "123456.789"},
        {4.571428571428571, "4.571428571428571"},
        {1e15, "1000000000000000.0"},
        {0.001, "0.001"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_string_equal(written(table[i].f), table[i].want);
}

/* The digits that count. */
static const char *digits_in(const char *s)
{
    static char two[2][40];
    static unsigned turn;
    char *all = two[turn++ % 2];
    unsigned n = 0, from = 0;
    for (; *s && *s != 'e'; s++)
        if (*s >= '0' && *s <= '9')
            all[n++] = *s;
    while (n && all[n - 1] == '0')
        n--;
    while (from < n && all[from] == '0')
        from++;
    all[n] = 0;
    return all + from;
}

/* Against the C library: the same number comes back, and the digits are those of the shortest %.*e that does it; just above a
 * power of two fewer may, which are not the nearest of their length. */
static void check_shortest(double f)
{
    char text[40];
    const char *ours = written(f);
    assert_true(strtod(ours, NULL) == f);
    int precision = 1;
    for (; precision < 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision - 1, f);
        if (strtod(text, NULL) == f)
            break;
    }
    (void)snprintf(text, sizeof text, "%.*e", precision - 1, f);
    if (strlen(digits_in(ours)) >= strlen(digits_in(text)))
        assert_string_equal(digits_in(ours), digits_in(text));
}

static void random_floats_come_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next(&seed);
        double f;
        memcpy(&f, &bits, 8);
        if (isfinite(f))
            check_shortest(f);
        check_shortest((double)(int64_t)(bits % 2000000) / 1000);
        check_shortest((double)(bits >> 11) * 0x1p-53 * 100);
        check_shortest((double)(int64_t)(bits >> (bits & 63)) / 1e9);
        check_shortest(ldexp(1, (int)(bits % 140) - 70));
        check_shortest(nextafter(ldexp(1, (int)(bits % 140) - 70), bits & 1 ? 0 : 1e9));
        check_shortest(ldexp((double)(bits >> 11), (int)(bits % 140) - 125));
    }
}

static bool reads(const char *text, double *out)
{
    return float_parse(bytes_str(text), out);
}

static void check_reading(const char *text)
{
    double f = 7;
    bool ok = reads(text, &f);
    double want = strtod(text, NULL);
    assert_int_equal(ok, isfinite(want));
    if (ok)
        assert_memory_equal(&f, &want, 8);
}

static void floats_are_read_to_the_nearest(void **state)
{
    (void)state;
    uint64_t seed = 2;
    char text[1200];
    for (int i = 0; i < 50000; i++) {
        uint64_t a = next(&seed), b = next(&seed);
        (void)snprintf(text, sizeof text, "%s%llu.%llue%d", a & 1 ? "-" : "",
                       (unsigned long long)(a >> (b & 63)), (unsigned long long)(b >> (a & 63)),
                       (int)(b % 700) - 350);
        check_reading(text);
        (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)a >> (b & 31), (int)(b % 60) - 30);
        check_reading(text);
        (void)snprintf(text, sizeof text, "%.*g", (int)(b % 20) + 1, (double)a * 0x1p-60);
        check_reading(text);
    }
    /* The middle between two doubles, and one digit beyond it far behind. */
    check_reading("9007199254740993");
    check_reading("9007199254740993.0000000000000000000000000000000000000000000000000000000000000000001");
    check_reading("2.2250738585072011e-308");
    check_reading("179769313486231580793728971405301e276");
    check_reading("1e308");
    check_reading("1e309");
    check_reading("1e-400");
    check_reading("0e999999999999");
    memset(text, '1', 1000);
    strcpy(text + 1000, "e-1000");
    check_reading(text);
    strcpy(text + 1000, ".5");
    check_reading(text);
    memset(text, '0', 1000);
    text[1] = '.';
    strcpy(text + 1000, "123");
    check_reading(text);
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "-",     "+",   ".",    "e5",    "1e",
                                      "1e+",      "1 ",    " 1",  "0x10", "nan",   "inf",
                                      "infinity", "1.2.3", "1,5", "--1",  "1e5.0", "\xc3\xa4"};
    double f;
    int64_t n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(reads(bad[i], &f));
        assert_false(bigint_parse(bytes_str(bad[i]), &n));
    }
}

static void bigints(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } table[] = {{"0", 0},
                 {"-0", 0},
                 {"+12", 12},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"000000000000000000000001", 1}};
    int64_t n;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_true(bigint_parse(bytes_str(table[i].text), &n));
        assert_int_equal(n, table[i].want);
        char out[FLOAT_TEXT], want[32];
        size_t len = bigint_write(n, out);
        assert_int_equal(len, snprintf(want, sizeof want, "%lld", (long long)n));
        assert_memory_equal(out, want, len);
    }
    assert_false(bigint_parse(bytes_str("9223372036854775808"), &n));
    assert_false(bigint_parse(bytes_str("-9223372036854775809"), &n));
    assert_false(bigint_parse(bytes_str("18446744073709551617"), &n));
}

static void singles_are_short(void **state)
{
    (void)state;
    static const struct {
        float f;
        const char *text;
    } cases[] = { { 21.4f, "21.4" }, { 0.1f, "0.1" }, { -0.0f, "-0.0" }, { 16777216.0f, "16777216.0" }, { 3.4028235e38f, "3.4028235e+38" },
                  { 1e-45f, "1.0e-45" }, { 1.0f / 3, "0.33333334" }, { 100.0f, "100.0" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[FLOAT_TEXT];
        size_t n = single_write(cases[i].f, out);
        out[n] = 0;
        assert_string_equal(out, cases[i].text);
        assert_true(strtof(out, NULL) == cases[i].f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_written_short),
        cmocka_unit_test(random_floats_come_back),
        cmocka_unit_test(floats_are_read_to_the_nearest),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(bigints),
        cmocka_unit_test(singles_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
