#include "expr/function.h"

#include "base/suggest.h"
#include "expr/expr.h"

static const char *const names[] = {
    "ABS",
    "ACOS",
    "ASIN",
    "ATAN",
    "ATN2",
    "CEILING",
    "CHARINDEX",
    "COALESCE",
    "CONCAT",
    "CONCAT_WS",
    "COS",
    "COT",
    "CreateLineString",
    "CreatePoint",
    "CreatePolygon",
    "DATEADD",
    "DATEDIFF",
    "DATENAME",
    "DATEPART",
    "DATETIMEFROMPARTS",
    "DAY",
    "DEGREES",
    "EXP",
    "FLOOR",
    "GetArrayElement",
    "GetArrayElements",
    "GetArrayLength",
    "GetRecordProperties",
    "GetRecordPropertyValue",
    "GetType",
    "IIF",
    "LEN",
    "LOG",
    "LOG10",
    "LOWER",
    "LTRIM",
    "MONTH",
    "NCHAR",
    "NULLIF",
    "PATINDEX",
    "PI",
    "POWER",
    "RADIANS",
    "REGEXMATCH",
    "REGEXREPLACE",
    "REPLACE",
    "REPLICATE",
    "REVERSE",
    "ROUND",
    "RTRIM",
    "SIGN",
    "SIN",
    "SQRT",
    "SQUARE",
    "ST_DISTANCE",
    "ST_INTERSECTS",
    "ST_OVERLAPS",
    "ST_WITHIN",
    "SUBSTRING",
    "TAN",
    "TRANSLATE",
    "TRIM",
    "UNICODE",
    "UPPER",
    "YEAR",
};

bool function_name_is(struct bytes written, const char *name)
{
    size_t len = strlen(name);
    if (written.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t a = written.at[i], b = (uint8_t)name[i];
        if (a != b && ((a ^ b) != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z'))
            return false;
    }
    return true;
}

bool function_takes_unit(struct bytes name)
{
    return function_name_is(name, "DATEADD") || function_name_is(name, "DATEDIFF") ||
           function_name_is(name, "DATENAME") || function_name_is(name, "DATEPART");
}

bool function_is_scalar(struct bytes name)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (function_name_is(name, names[i]))
            return true;
    return false;
}

const char *function_nearest(struct bytes name)
{
    return suggest_word(name, names, sizeof names / sizeof names[0]);
}
