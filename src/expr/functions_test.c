/* Every scalar function: what it yields, NULL, borders, wrong types. Geospatial ones are in geo_test.c, regular expressions in
 * regex_test.c. */
#include "expr/expr_test_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROW                                                                                              \
    "{\"i\":7,\"f\":-4.85436,\"s\":\"abcdef\",\"t\":true,\"n\":null,\"big\":9223372036854775807,"        \
    "\"small\":-9223372036854775808,\"d\":\"2024-02-29T13:14:15.1234567Z\",\"r\":{\"a\":5,\"B\":\"x\"}," \
    "\"l\":[12,-5,0],"                                                                                   \
    "\"e\":[],\"er\":{},\"u\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z\",\"blank\":\"  a b  "             \
    "\",\"half\":2.5,\"zero\":0,"                                                                        \
    "\"empty\":\"\",\"p\":\"%c%\",\"bad\":\"[\"}"
#define AT " At line '1' and column '1'."

struct row {
    const char *expression, *want;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *got = rig_says(rows[i].expression, ROW);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s\n  is       %s\n  and not  %s", rows[i].expression, got, rows[i].want);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows)[0])

static void text_functions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"CHARINDEX('c', s)", "3"},
        {"CHARINDEX('x', s)", "0"},
        {"CHARINDEX('a', s, 2)", "0"},
        {"CHARINDEX('a', s, -5)", "1"},
        {"CHARINDEX('f', s, 100)", "0"},
        {"CHARINDEX('', s)", "0"},
        {"CHARINDEX('z', u)", "4"},
        {"CHARINDEX(n, s)", "null"},
        {"CHARINDEX('a', r)",
         "The 2nd argument of function charindex has invalid type 'record'. Only 'nvarchar(max)' is "
         "allowed." AT},
        {"CHARINDEX('a', s, half)",
         "The 3rd argument of function charindex has invalid type 'float'. Only 'bigint' is allowed." AT},
        {"CONCAT(s, NULL, '!')", "\"abcdef!\""},
        {"CONCAT(n, n)", "\"\""},
        {"CONCAT(i, ' ', half, t)", "\"7 2.5true\""},
        {"CONCAT(s, l)",
         "The 2nd argument of function concat has invalid type 'array'. Only 'nvarchar(max)' is allowed." AT},
        {"CONCAT_WS(', ', 'a', n, 'b', i)", "\"a, b, 7\""},
        {"CONCAT_WS(n, 'a', 'b')", "\"ab\""},
        {"CONCAT_WS('-', n, n)", "\"\""},
        {"CONCAT_WS('-', '', 'a')", "\"-a\""},
        {"LEFT(s, 2)", "\"ab\""},
        {"LEFT(s, 0)", "\"\""},
        {"LEFT(s, 99)", "\"abcdef\""},
        {"LEFT(u, 2)", "\"\xc3\xa4\xe2\x82\xac\""},
        {"LEFT(i, 1)", "The 1st argument of function left has invalid type 'bigint'. Only 'nvarchar(max)' is allowed." AT},
        {"LEFT(n, 1)", "null"},
        {"LEFT(s, -i)", "A length in function LEFT is below 0." AT},
        {"RIGHT(s, 2)", "\"ef\""},
        {"RIGHT(s, 0)", "\"\""},
        {"RIGHT(s, 99)", "\"abcdef\""},
        {"RIGHT(u, 2)", "\"\xf0\x9f\x98\x80z\""},
        {"RIGHT(s, -i)", "A length in function RIGHT is below 0." AT},
        {"LEN(s)", "6"},
        {"LEN(blank)", "5"},
        {"LEN(u)", "4"},
        {"LEN('')", "0"},
        {"LEN('   ')", "0"},
        {"LEN(n)", "null"},
        {"LEN(i + 100)", "The 1st argument of function len has invalid type 'bigint'. Only 'nvarchar(max)' is allowed." AT},
        {"LEN(er)",
         "The 1st argument of function len has invalid type 'record'. Only 'nvarchar(max)' is allowed." AT},
        {"UPPER(s)", "\"ABCDEF\""},
        {"UPPER(u)", "\"\xc3\x84\xe2\x82\xac\xf0\x9f\x98\x80Z\""},
        {"UPPER('\xc3\xbf \xcf\x82 \xd0\xb6 \xd1\x91 \xc5\xbe \xc3\x9f')",
         "\"\xc5\xb8 \xce\xa3 \xd0\x96 \xd0\x81 \xc5\xbd \xc3\x9f\""},
        {"LOWER('ABC\xc3\x84\xc5\xb8\xce\xa3\xd0\x96\xd0\x81\xc5\xbd')",
         "\"abc\xc3\xa4\xc3\xbf\xcf\x83\xd0\xb6\xd1\x91\xc5\xbe\""},
        {"LOWER(n)", "null"},
        {"UPPER(n)", "null"},
        {"LTRIM(blank)", "\"a b  \""},
        {"RTRIM(blank)", "\"  a b\""},
        {"TRIM(blank)", "\"a b\""},
        {"TRIM('   ')", "\"\""},
        {"TRIM(n)", "null"},
        {"NCHAR(65)", "\"A\""},
        {"NCHAR(8364)", "\"\xe2\x82\xac\""},
        {"NCHAR(128512)", "\"\xf0\x9f\x98\x80\""},
        {"NCHAR(-1)", "null"},
        {"NCHAR(55296)", "null"},
        {"NCHAR(1114112)", "null"},
        {"NCHAR(s)",
         "The 1st argument of function nchar has invalid type 'nvarchar(max)'. Only 'bigint' is allowed." AT},
        {"UNICODE('A')", "65"},
        {"UNICODE(u)", "228"},
        {"UNICODE('')", "null"},
        {"UNICODE(n)", "null"},
        {"PATINDEX('%c%', s)", "3"},
        {"PATINDEX('c%', s)", "0"},
        {"PATINDEX('a%', s)", "1"},
        {"PATINDEX('%f', s)", "6"},
        {"PATINDEX('%[d-e]_%', s)", "4"},
        {"PATINDEX('%z%', u)", "4"},
        {"PATINDEX('%x%', s)", "0"},
        {"PATINDEX(p, s)", "3"},
        {"PATINDEX(n, s)", "null"},
        {"PATINDEX(bad, s)", "The pattern of function patindex is wrong: a [ has no ]." AT},
        {"PATINDEX('%[%', s)", "1:10: the pattern of PATINDEX is wrong: a [ has no ]"},
        {"REPLACE(s, 'b', 'x')", "\"axcdef\""},
        {"REPLACE('aXbXc', 'X', '')", "\"abc\""},
        {"REPLACE('aaa', 'aa', 'b')", "\"ba\""},
        {"REPLACE(s, '', 'x')", "\"abcdef\""},
        {"REPLACE(s, 'B', 'x')", "\"abcdef\""},
        {"REPLACE(s, n, 'x')", "null"},
        {"REPLICATE('ab', 3)", "\"ababab\""},
        {"REPLICATE('ab', 0)", "\"\""},
        {"REPLICATE('ab', -1)", "null"},
        {"REPLICATE(s, big)", "The result of function REPLICATE is longer than 1048576 bytes." AT},
        {"REPLICATE('', 9223372036854775807)", "\"\""},
        {"REPLICATE(n, 2)", "null"},
        {"SPACE(3)", "\"   \""},
        {"SPACE(-1)", "null"},
        {"SPACE(big)", "The result of function SPACE is longer than 1048576 bytes." AT},
        {"REVERSE(s)", "\"fedcba\""},
        {"REVERSE(u)", "\"z\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa4\""},
        {"REVERSE('')", "\"\""},
        {"SUBSTRING(s, 2, 3)", "\"bcd\""},
        {"SUBSTRING(s, 0, 3)", "\"ab\""},
        {"SUBSTRING(s, -5, 3)", "\"\""},
        {"SUBSTRING(s, 5, 99)", "\"ef\""},
        {"SUBSTRING(s, 99, 1)", "\"\""},
        {"SUBSTRING(s, 1, 0)", "\"\""},
        {"SUBSTRING(s, 2, big)", "\"bcdef\""},
        {"SUBSTRING(s, small, big)", "\"\""},
        {"SUBSTRING(u, 2, 2)", "\"\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"SUBSTRING(s, 1, -1 * i)", "A length in function SUBSTRING is below 0." AT},
        {"SUBSTRING(s, n, 1)", "null"},
        {"STUFF(s, 2, 3, 'XY')", "\"aXYef\""},
        {"STUFF(s, 1, 0, 'X')", "\"Xabcdef\""},
        {"STUFF(s, 6, 99, '')", "\"abcde\""},
        {"STUFF(s, 7, 1, 'X')", "null"},
        {"STUFF(s, 0, 1, 'X')", "null"},
        {"STUFF(s, 1, -1, 'X')", "null"},
        {"STUFF(s, 2, 2, n)", "\"adef\""},
        {"STUFF(n, 2, 2, 'x')", "null"},
        {"TRANSLATE('2*[3+4]/{7-2}', '[]{}', '()()')", "\"2*(3+4)/(7-2)\""},
        {"TRANSLATE('aba', 'ab', 'ba')", "\"bab\""},
        {"TRANSLATE('a', 'aa', 'xy')", "\"x\""},
        {"TRANSLATE(s, 'abc', 'xy')", "The 2nd and 3rd argument of function translate differ in length." AT},
        {"TRANSLATE(s, n, 'xy')", "null"},
        {"CHARINDEX('a', NULL)", "null"},
    };
    CHECK(rows);
}

static void date_functions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"DATEADD(minute, -1, '2024-01-01T00:01:59Z')", "\"2024-01-01T00:00:59.0000000Z\""},
        {"DATEADD(month, 1, '2024-01-31')", "\"2024-02-29T00:00:00.0000000Z\""},
        {"DATEADD(month, -13, '2024-01-31')", "\"2022-12-31T00:00:00.0000000Z\""},
        {"DATEADD(year, 1, d)", "\"2025-02-28T13:14:15.1234567Z\""},
        {"DATEADD(quarter, 1, '2024-11-30')", "\"2025-02-28T00:00:00.0000000Z\""},
        {"DATEADD(week, 1, '2024-12-31')", "\"2025-01-07T00:00:00.0000000Z\""},
        {"DATEADD(day, 1, '2024-02-28')", "\"2024-02-29T00:00:00.0000000Z\""},
        {"DATEADD(dy, 1, '2024-02-28')", "\"2024-02-29T00:00:00.0000000Z\""},
        {"DATEADD(dw, 1, '2024-02-28')", "\"2024-02-29T00:00:00.0000000Z\""},
        {"DATEADD(hh, 25, '2024-02-28')", "\"2024-02-29T01:00:00.0000000Z\""},
        {"DATEADD(ms, 1, '2024-02-28')", "\"2024-02-28T00:00:00.0010000Z\""},
        {"DATEADD(mcs, 1, '2024-02-28')", "\"2024-02-28T00:00:00.0000010Z\""},
        {"DATEADD(second, 1.9, '2024-02-28')", "\"2024-02-28T00:00:01.0000000Z\""},
        {"DATEADD(second, n, d)", "null"},
        {"DATEADD(second, 1, n)", "null"},
        {"DATEADD(year, 9999, d)", "The date is outside of the years 1 to 9999." AT},
        {"DATEADD(year, big, d)", "The date is outside of the years 1 to 9999." AT},
        {"DATEADD(month, small, d)", "The date is outside of the years 1 to 9999." AT},
        {"DATEADD(day, big, d)", "The date is outside of the years 1 to 9999." AT},
        {"DATEADD(day, -1, CAST(d AS datetime))", "\"2024-02-28T13:14:15.1234567Z\""},
        {"DATEADD(day, 1, s)", "The 3rd argument of function dateadd, 'abcdef', is no datetime." AT},
        {"DATEADD(day, 1, i)",
         "The 3rd argument of function dateadd has invalid type 'bigint'. Only 'datetime' is allowed." AT},
        {"DATEADD(day, 1, 'x')", "1:1: The 3rd argument of function dateadd, 'x', is no datetime."},
        {"DATEDIFF(minute, '2024-01-01T00:00:59Z', '2024-01-01T00:01:01Z')", "1"},
        {"DATEDIFF(second, d, d)", "0"},
        {"DATEDIFF(year, '2024-01-01', '2023-12-31')", "-1"},
        {"DATEDIFF(week, '2024-01-06', '2024-01-07')", "1"},
        {"DATEDIFF(mcs, '0001-01-01', '9999-12-31T23:59:59.9999999')", "315537897599999999"},
        {"DATEDIFF(day, n, d)", "null"},
        {"DATEDIFF(day, l, d)",
         "The 2nd argument of function datediff has invalid type 'array'. Only 'datetime' is allowed." AT},
        {"DATEPART(year, d)", "2024"},
        {"DATEPART(qq, d)", "1"},
        {"DATEPART(mm, d)", "2"},
        {"DATEPART(dayofyear, d)", "60"},
        {"DATEPART(dd, d)", "29"},
        {"DATEPART(week, d)", "9"},
        {"DATEPART(week, '2023-01-01')", "1"}, /* a Sunday */
        {"DATEPART(week, '2023-01-08')", "2"},
        {"DATEPART(week, '2024-12-31')", "53"},
        {"DATEPART(week, '2022-01-01')", "1"}, /* a Saturday */
        {"DATEPART(week, '2022-01-02')", "2"},
        {"DATEPART(weekday, d)", "5"},
        {"DATEPART(w, '2024-03-03')", "1"},
        {"DATEPART(dw, '2024-03-02')", "7"},
        {"DATEPART(hour, d)", "13"},
        {"DATEPART(n, d)", "14"},
        {"DATEPART(s, d)", "15"},
        {"DATEPART(ms, d)", "123"},
        {"DATEPART(microsecond, d)", "123456"},
        {"DATEPART(hour, '2024-01-01T00:30:00+01:00')", "23"},
        {"DATEPART(hour, n)", "null"},
        {"DATENAME(month, d)", "\"February\""},
        {"DATENAME(weekday, d)", "\"Thursday\""},
        {"DATENAME(year, d)", "\"2024\""},
        {"DATENAME(day, n)", "null"},
        {"DATETIMEFROMPARTS(2024, 2, 29, 1, 2, 3, 45)", "\"2024-02-29T01:02:03.0450000Z\""},
        {"DATETIMEFROMPARTS(2023, 2, i + 22, 1, 2, 3, 45)",
         "There is no such date: the arguments of function datetimefromparts are year (1 to 9999), month, "
         "day, hour, minute, "
         "second and millisecond." AT},
        {"DATETIMEFROMPARTS(-i, 1, 1, 0, 0, 0, 0)",
         "There is no such date: the arguments of function datetimefromparts are year (1 to 9999), month, "
         "day, hour, minute, "
         "second and millisecond." AT},
        {"DATETIMEFROMPARTS(2024, 1, 1, 0, 0, 0, 993 + i)",
         "There is no such date: the arguments of function datetimefromparts are year (1 to 9999), month, "
         "day, hour, minute, "
         "second and millisecond." AT},
        {"DATETIMEFROMPARTS(2024, 1, 1, 0, 0, n, 0)", "null"},
        {"YEAR(d)", "2024"},
        {"MONTH(d)", "2"},
        {"DAY(d)", "29"},
        {"DAY(n)", "null"},
        {"YEAR(System.Timestamp())", "1970"},
        {"YEAR(half)",
         "The 1st argument of function year has invalid type 'float'. Only 'datetime' is allowed." AT},
        {"MONTH(l)",
         "The 1st argument of function month has invalid type 'array'. Only 'datetime' is allowed." AT},
        {"DAY(r)",
         "The 1st argument of function day has invalid type 'record'. Only 'datetime' is allowed." AT},
    };
    CHECK(rows);
}

static void math_functions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"ABS(f)", "4.85436"},
        {"ABS(-i)", "7"},
        {"ABS(small)", "The result of function ABS is outside of the range of bigint." AT},
        {"ABS(n)", "null"},
        {"ABS(s)", "The 1st argument of function abs has invalid type 'nvarchar(max)'. Only 'bigint', "
                   "'float' is allowed." AT},
        {"CEILING(f)", "-4.0"},
        {"CEILING(i)", "7"},
        {"CEILING(half)", "3.0"},
        {"CEILING(1e300)", "1.0e+300"},
        {"FLOOR(f)", "-5.0"},
        {"FLOOR(half)", "2.0"},
        {"FLOOR(small)", "-9223372036854775808"},
        {"FLOOR(n)", "null"},
        {"ROUND(f, 2)", "-4.85"},
        {"ROUND(f, 0)", "-5.0"},
        {"ROUND(f)", "-5.0"},
        {"ROUND(half, 0)", "3.0"},
        {"ROUND(-2.5, 0)", "-3.0"},
        {"ROUND(2.675, 2)", "2.68"},
        {"ROUND(1.005, 2)", "1.01"},
        {"ROUND(9.996, 2)", "10.0"},
        {"ROUND(-0.4, 0)", "0.0"},
        {"ROUND(1e300, 2)", "1.0e+300"},
        {"ROUND(1234.5, -2)", "1200.0"},
        {"ROUND(1250, -2)", "1300"},
        {"ROUND(-1250, -2)", "-1300"},
        {"ROUND(i, 5)", "7"},
        {"ROUND(i, -1)", "10"},
        {"ROUND(4, -1)", "0"},
        {"ROUND(i, -100)", "0"},
        {"ROUND(big, -1)", "The result of function ROUND is outside of the range of bigint." AT},
        {"ROUND(big, -19)", "The result of function ROUND is outside of the range of bigint." AT},
        {"ROUND(4000000000000000000, -19)", "0"},
        {"ROUND(f, 100)", "-4.85436"},
        {"ROUND(f, -400)", "0.0"},
        {"ROUND(f, n)", "null"},
        {"SIGN(f)", "-1.0"},
        {"SIGN(i)", "1"},
        {"SIGN(zero)", "0"},
        {"SQRT(9)", "3.0"},
        {"SQRT(f)", "null"},
        {"SQUARE(i)", "49"},
        {"SQUARE(big)", "The result of function SQUARE is outside of the range of bigint." AT},
        {"SQUARE(half)", "6.25"},
        {"POWER(2, 10)", "1024"},
        {"POWER(2, -1)", "0"},
        {"POWER(-1, 7)", "-1"},
        {"POWER(2, 63)", "The result of function POWER is outside of the range of bigint." AT},
        {"POWER(9, 0.5)", "3"},
        {"POWER(2.0, 3)", "8.0"},
        {"POWER(10.0, 309 + zero)", "null"},
        {"POWER(f, half)", "null"},
        {"POWER(n, 2)", "null"},
        {"EXP(zero)", "1.0"},
        {"EXP(i * 1000)", "null"},
        {"LOG(EXP(1))", "1.0"},
        {"LOG(8, 2)", "3.0"},
        {"LOG(zero)", "null"},
        {"LOG(i, 1)", "The base of a logarithm is above 0 and not 1." AT},
        {"LOG(i, zero)", "The base of a logarithm is above 0 and not 1." AT},
        {"LOG10(1000)", "3.0"},
        {"LOG10(-i)", "null"},
        {"PI()", "3.141592653589793"},
        {"RADIANS(180)", "3.141592653589793"},
        {"DEGREES(PI())", "180.0"},
        {"SIN(zero)", "0.0"},
        {"COS(zero)", "1.0"},
        {"TAN(zero)", "0.0"},
        {"ROUND(COT(1), 12)", "0.642092615934"},
        {"COT(zero)", "null"},
        {"ASIN(1)", "1.5707963267948966"},
        {"ASIN(i)", "null"},
        {"ACOS(1)", "0.0"},
        {"ATAN(1)", "0.7853981633974483"},
        {"ATN2(1, -1)", "2.356194490192345"},
        {"SIN(n)", "null"},
        {"COS(t)",
         "The 1st argument of function cos has invalid type 'bit'. Only 'bigint', 'float' is allowed." AT},
        {"ATN2(1, s)", "The 2nd argument of function atn2 has invalid type 'nvarchar(max)'. Only 'bigint', "
                       "'float' is allowed." AT},
    };
    CHECK(rows);
}

static void nested_functions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"GetArrayElement(l, 0)", "12"},
        {"GetArrayElement(l, 2)", "0"},
        {"GetArrayElement(l, 3)", "null"},
        {"GetArrayElement(l, -1)", "null"},
        {"GetArrayElement(n, 0)", "null"},
        {"GetArrayElement(r, 0)",
         "The 1st argument of function getarrayelement has invalid type 'record'. Only 'array' is "
         "allowed." AT},
        {"GetArrayElement(l, 'a')",
         "1:1: The 2nd argument of function getarrayelement has invalid type 'nvarchar(max)'. Only "
         "'bigint' is allowed."},
        {"GetArrayLength(l)", "3"},
        {"GetArrayLength(e)", "0"},
        {"GetArrayLength(n)", "null"},
        {"GetArrayLength(s)",
         "The 1st argument of function getarraylength has invalid type 'nvarchar(max)'. Only 'array' is "
         "allowed." AT},
        {"GetArrayElements(l)", "[{\"ArrayIndex\":0,\"ArrayValue\":12},{\"ArrayIndex\":1,\"ArrayValue\":-5},"
                                "{\"ArrayIndex\":2,\"ArrayValue\":0}]"},
        {"GetArrayElements(e)", "[]"},
        {"GetRecordProperties(r)",
         "[{\"PropertyName\":\"a\",\"PropertyValue\":5},{\"PropertyName\":\"B\",\"PropertyValue\":\"x\"}]"},
        {"GetRecordProperties(er)", "[]"},
        {"GetRecordProperties(l)",
         "The 1st argument of function getrecordproperties has invalid type 'array'. Only 'record' is "
         "allowed." AT},
        {"GetRecordPropertyValue(r, 'a')", "5"},
        {"GetRecordPropertyValue(r, 'b')", "\"x\""},
        {"GetRecordPropertyValue(r, 'c')", "null"},
        {"GetRecordPropertyValue(n, 'a')", "null"},
        {"GetRecordPropertyValue(r, i)",
         "The 2nd argument of function getrecordpropertyvalue has invalid type 'bigint'. Only "
         "'nvarchar(max)' is allowed." AT},
        {"GetType(i)", "\"bigint\""},
        {"GetType(f)", "\"float\""},
        {"GetType(s)", "\"nvarchar(max)\""},
        {"GetType(t)", "\"bit\""},
        {"GetType(r)", "\"record\""},
        {"GetType(l)", "\"array\""},
        {"GetType(System.Timestamp())", "\"datetime\""},
        {"GetType(n)", "null"},
        {"IIF(i > 5, 'y', 'n')", "\"y\""},
        {"IIF(n = 5, 'y', 'n')", "\"n\""},
        {"IIF(zero = 0, 1, i / zero)", "1"},
        {"IIF(s, 1, 2)",
         "A value of type 'nvarchar(max)' is used as a condition. Only 'bit' is allowed; compare it with "
         "something. At line '1' and column '5'."},
        {"COALESCE(n, missing, i, s)", "7"},
        {"COALESCE(n, n)", "null"},
        {"COALESCE(i, i / zero)", "7"},
        {"NULLIF(i, 7)", "null"},
        {"NULLIF(i, 7.0)", "null"},
        {"NULLIF(i, 8)", "7"},
        {"NULLIF(n, 8)", "null"},
        {"NULLIF(i, n)", "7"},
        {"NULLIF(i, s)", "Function nullif cannot compare values of type 'bigint' and 'nvarchar(max)'." AT},
    };
    CHECK(rows);
}

/* Every function with one argument too few and one too many, and with NULL everywhere. */
static void counts_and_nulls(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned least, most;
        const char *null; /* with NULL for every argument */
    } all[] = {
        {"ABS", 1, 1, "null"},
        {"ACOS", 1, 1, "null"},
        {"ASIN", 1, 1, "null"},
        {"ATAN", 1, 1, "null"},
        {"ATN2", 2, 2, "null"},
        {"CEILING", 1, 1, "null"},
        {"CHARINDEX", 2, 3, "null"},
        {"COALESCE", 1, 64, "null"},
        {"CONCAT", 2, 64, "\"\""},
        {"CONCAT_WS", 3, 64, "\"\""},
        {"COS", 1, 1, "null"},
        {"COT", 1, 1, "null"},
        {"CreateLineString", 2, 64, "null"},
        {"CreatePoint", 2, 2, "null"},
        {"CreatePolygon", 4, 64, "null"},
        {"DATETIMEFROMPARTS", 7, 7, "null"},
        {"DAY", 1, 1, "null"},
        {"DEGREES", 1, 1, "null"},
        {"EXP", 1, 1, "null"},
        {"FLOOR", 1, 1, "null"},
        {"GetArrayElement", 2, 2, "null"},
        {"GetArrayElements", 1, 1, "null"},
        {"GetArrayLength", 1, 1, "null"},
        {"GetRecordProperties", 1, 1, "null"},
        {"GetRecordPropertyValue", 2, 2, "null"},
        {"GetType", 1, 1, "null"},
        {"IIF", 3, 3, "null"},
        {"LEFT", 2, 2, "null"},
        {"LEN", 1, 1, "null"},
        {"LOG", 1, 2, "null"},
        {"LOG10", 1, 1, "null"},
        {"LOWER", 1, 1, "null"},
        {"LTRIM", 1, 1, "null"},
        {"MONTH", 1, 1, "null"},
        {"NCHAR", 1, 1, "null"},
        {"NULLIF", 2, 2, "null"},
        {"PATINDEX", 2, 2, "null"},
        {"POWER", 2, 2, "null"},
        {"RADIANS", 1, 1, "null"},
        {"REGEXMATCH", 2, 2, "null"},
        {"REGEXREPLACE", 3, 3, "null"},
        {"REPLACE", 3, 3, "null"},
        {"REPLICATE", 2, 2, "null"},
        {"REVERSE", 1, 1, "null"},
        {"RIGHT", 2, 2, "null"},
        {"ROUND", 1, 2, "null"},
        {"RTRIM", 1, 1, "null"},
        {"SIGN", 1, 1, "null"},
        {"SIN", 1, 1, "null"},
        {"SPACE", 1, 1, "null"},
        {"SQRT", 1, 1, "null"},
        {"SQUARE", 1, 1, "null"},
        {"STUFF", 4, 4, "null"},
        {"ST_DISTANCE", 2, 2, "null"},
        {"ST_INTERSECTS", 2, 2, "null"},
        {"ST_OVERLAPS", 2, 2, "null"},
        {"ST_WITHIN", 2, 2, "null"},
        {"SUBSTRING", 3, 3, "null"},
        {"TAN", 1, 1, "null"},
        {"TRANSLATE", 3, 3, "null"},
        {"TRIM", 1, 1, "null"},
        {"UNICODE", 1, 1, "null"},
        {"UPPER", 1, 1, "null"},
        {"YEAR", 1, 1, "null"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_true(function_is_scalar(bytes_str(all[i].name)));
        for (unsigned args = all[i].least - 1; args <= all[i].most + 1; args++) {
            char text[400];
            int n = snprintf(text, sizeof text, "%s(", all[i].name);
            for (unsigned k = 0; k < args; k++)
                n += snprintf(text + n, sizeof text - (size_t)n, "%sn", k ? "," : "");
            (void)snprintf(text + n, sizeof text - (size_t)n, ")");
            const char *got = rig_says(text, ROW);
            bool right = args >= all[i].least && args <= all[i].most;
            if (right ? strcmp(got, all[i].null) != 0 : !strstr(got, "found"))
                fail_msg("%s: %s", text, got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_functions),   cmocka_unit_test(date_functions),
        cmocka_unit_test(math_functions),   cmocka_unit_test(nested_functions),
        cmocka_unit_test(counts_and_nulls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
