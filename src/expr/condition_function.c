/* condition_function.c - the functions of conditions. */
#include "expr/condition_parts.h"

#include "base/suggest.h"
#include "expr/function.h"
#include "base/number.h"

#include <math.h>

typedef enum code run(const struct value *args, uint32_t n, struct arena *, struct value *out);

uint8_t cond_type_of(struct value v)
{
    switch (v.type) {
    case VALUE_BIT: return COND_BOOL;
    case VALUE_BIGINT:
    case VALUE_FLOAT: return COND_NUM;
    case VALUE_DATETIME:
    case VALUE_TEXT: return COND_STR;
    case VALUE_NULL: return v.len ? COND_NIL : 0;
    default: return 0;
    }
}

static double number_of(struct value v)
{
    return v.type == VALUE_FLOAT ? v.f : (double)v.i;
}

/* What is not finite is undefined. */
static enum code give(struct value *out, double f)
{
    *out = isfinite(f) ? value_float(f) : value_null();
    return CODE_OK;
}

/* ---- types ---- */

static enum code is_of(struct value v, uint8_t type, struct value *out)
{
    *out = value_bit(cond_type_of(v) == type);
    return CODE_OK;
}

static enum code is_defined(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_bit(!value_is_undefined(a[0]));
    return CODE_OK;
}

static enum code is_null(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return is_of(a[0], COND_NIL, out);
}

static enum code is_number(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return is_of(a[0], COND_NUM, out);
}

static enum code is_string(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return is_of(a[0], COND_STR, out);
}

static enum code is_bool(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return is_of(a[0], COND_BOOL, out);
}

static enum code is_array(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_bit(a[0].type == VALUE_ARRAY);
    return CODE_OK;
}

static enum code is_object(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_bit(a[0].type == VALUE_RECORD);
    return CODE_OK;
}

static enum code as_number(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = a[0];
    if (a[0].type != VALUE_TEXT)
        return CODE_OK;
    struct bytes b = value_bytes(a[0]);
    while (b.len && strchr(" \t\r\n", b.at[b.len - 1]))
        b.len--;
    while (b.len && strchr(" \t\r\n", b.at[0]))
        b = bytes_from(b, 1);
    int64_t i;
    double f;
    *out = bigint_parse(b, &i) ? value_bigint(i) : float_parse(b, &f) ? value_float(f) : value_null();
    return CODE_OK;
}

static enum code coalesce(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_is_undefined(a[0]) ? a[1] : a[0];
    return CODE_OK;
}

/* ---- texts; places and lengths in characters ---- */

static size_t bytes_of_chars(struct bytes b, double chars) /* how many bytes so many characters take */
{
    size_t at = 0;
    for (double i = 0; i < chars && at < b.len; i++)
        for (at++; at < b.len && (b.at[at] & 0xc0) == 0x80;)
            at++;
    return at;
}

static int64_t chars_of(struct bytes b)
{
    int64_t n = 0;
    for (size_t i = 0; i < b.len; i++)
        n += (b.at[i] & 0xc0) != 0x80;
    return n;
}

static enum code concat(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++)
        len += a[i].len;
    uint8_t *at = len <= UINT32_MAX ? arena_take(arena, len) : NULL;
    if (!at)
        return CODE_NOMEM;
    *out = value_text(bytes_of(at, len));
    for (uint32_t i = 0; i < n; at += a[i++].len)
        if (a[i].len)
            memcpy(at, a[i].text, a[i].len);
    return CODE_OK;
}

static enum code length(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_bigint(chars_of(value_bytes(a[0])));
    return CODE_OK;
}

static enum code change_case(struct value v, uint8_t first, struct arena *arena, struct value *out)
{
    uint8_t *at = arena_take(arena, v.len);
    if (!at)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < v.len; i++)
        at[i] = v.text[i] >= first && v.text[i] <= first + 25 ? v.text[i] ^ 0x20 : v.text[i];
    *out = value_text(bytes_of(at, v.len));
    return CODE_OK;
}

static enum code lower(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n;
    return change_case(a[0], 'A', arena, out);
}

static enum code upper(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n;
    return change_case(a[0], 'a', arena, out);
}

/* A start behind the end, or a negative one, is undefined; what is asked for behind the end is cut. */
static enum code substring(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    double start = trunc(number_of(a[1])), count = n > 2 ? trunc(number_of(a[2])) : (double)b.len;
    (void)arena;
    *out = value_null();
    if (start < 0 || count < 0 || start > (double)chars_of(b))
        return CODE_OK;
    b = bytes_from(b, bytes_of_chars(b, start));
    b.len = bytes_of_chars(b, count);
    *out = value_text(b);
    return CODE_OK;
}

/* Where `part` begins in `b`, in bytes, or SIZE_MAX. */
static size_t find(struct bytes b, struct bytes part)
{
    if (!part.len)
        return 0;
    const uint8_t *at = b.len ? memmem(b.at, b.len, part.at, part.len) : NULL;
    return at ? (size_t)(at - b.at) : SIZE_MAX;
}

static enum code index_of(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    size_t at = find(b, value_bytes(a[1]));
    (void)n, (void)arena;
    *out = value_bigint(at == SIZE_MAX ? -1 : chars_of(bytes_of(b.at, at)));
    return CODE_OK;
}

static enum code contains(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_bit(find(value_bytes(a[0]), value_bytes(a[1])) != SIZE_MAX);
    return CODE_OK;
}

static enum code starts_with(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    *out = value_bit(a[0].len >= a[1].len && bytes_equal(bytes_of(a[0].text, a[1].len), value_bytes(a[1])));
    return CODE_OK;
}

static enum code ends_with(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    bool fits = a[0].len >= a[1].len;
    *out = value_bit(fits &&
                     bytes_equal(bytes_from(value_bytes(a[0]), a[0].len - (fits ? a[1].len : a[0].len)),
                                 value_bytes(a[1])));
    return CODE_OK;
}

/* ---- numbers ---- */

static enum code fn_abs(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, fabs(number_of(a[0])));
}

static enum code fn_exp(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, exp(number_of(a[0])));
}

static enum code fn_power(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, pow(number_of(a[0]), number_of(a[1])));
}

static enum code fn_square(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, number_of(a[0]) * number_of(a[0]));
}

static enum code fn_ceiling(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, ceil(number_of(a[0])));
}

static enum code fn_floor(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, floor(number_of(a[0])));
}

static enum code fn_sign(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    double f = number_of(a[0]);
    *out = value_bigint((f > 0) - (f < 0));
    return CODE_OK;
}

static enum code fn_sqrt(const struct value *a, uint32_t n, struct arena *arena, struct value *out)
{
    (void)n, (void)arena;
    return give(out, sqrt(number_of(a[0])));
}

/* clang-format off */
const struct cond_function cond_functions[] = {
    [COND_CONCAT]   = { "concat", 2, 0, { COND_STR, COND_STR, COND_STR }, COND_STR, concat },
    [COND_COALESCE] = { "??", 2, 2, { COND_ANY, COND_ANY }, COND_ANY, coalesce },
    { "abs",         1, 1, { COND_NUM }, COND_NUM, fn_abs },
    { "as_number",   1, 1, { COND_NUM | COND_STR }, COND_NUM, as_number },
    { "ceiling",     1, 1, { COND_NUM }, COND_NUM, fn_ceiling },
    { "contains",    2, 2, { COND_STR, COND_STR }, COND_BOOL, contains },
    { "ends_with",   2, 2, { COND_STR, COND_STR }, COND_BOOL, ends_with },
    { "exp",         1, 1, { COND_NUM }, COND_NUM, fn_exp },
    { "floor",       1, 1, { COND_NUM }, COND_NUM, fn_floor },
    { "index_of",    2, 2, { COND_STR, COND_STR }, COND_NUM, index_of },
    { "is_array",    1, 1, { COND_ANY }, COND_BOOL, is_array },
    { "is_bool",     1, 1, { COND_ANY }, COND_BOOL, is_bool },
    { "is_defined",  1, 1, { COND_ANY }, COND_BOOL, is_defined },
    { "is_null",     1, 1, { COND_ANY }, COND_BOOL, is_null },
    { "is_number",   1, 1, { COND_ANY }, COND_BOOL, is_number },
    { "is_object",   1, 1, { COND_ANY }, COND_BOOL, is_object },
    { "is_string",   1, 1, { COND_ANY }, COND_BOOL, is_string },
    { "length",      1, 1, { COND_STR }, COND_NUM, length },
    { "lower",       1, 1, { COND_STR }, COND_STR, lower },
    { "power",       2, 2, { COND_NUM, COND_NUM }, COND_NUM, fn_power },
    { "sign",        1, 1, { COND_NUM }, COND_NUM, fn_sign },
    { "sqrt",        1, 1, { COND_NUM }, COND_NUM, fn_sqrt },
    { "square",      1, 1, { COND_NUM }, COND_NUM, fn_square },
    { "starts_with", 2, 2, { COND_STR, COND_STR }, COND_BOOL, starts_with },
    { "substring",   2, 3, { COND_STR, COND_NUM, COND_NUM }, COND_STR, substring },
    { "upper",       1, 1, { COND_STR }, COND_STR, upper },
};
/* clang-format on */
enum { FUNCTIONS = sizeof cond_functions / sizeof cond_functions[0] };

int cond_function_find(struct bytes name)
{
    for (int i = 0; i < FUNCTIONS; i++)
        if (i != COND_COALESCE && function_name_is(name, cond_functions[i].name))
            return i;
    return -1;
}

const char *cond_function_nearest(struct bytes name)
{
    struct suggest s = {0};
    for (int i = 0; i < FUNCTIONS; i++)
        suggest_offer(&s, name, cond_functions[i].name);
    return s.best;
}
