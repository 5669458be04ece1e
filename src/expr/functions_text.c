#include "expr/function.h"
#include "expr/letter.h"
#include "expr/like.h"
#include "expr/program.h"
#include "expr/regex.h"
#include "base/utf8.h"

/* Positions and lengths count characters from 1. What a function makes has a limit of its own, so that one row cannot take all
 * memory; the scratch arena's is the other. */
enum { RESULT_MAX = 1024 * 1024, REGEX_WORK = 50 * 1000 * 1000 };

static bool give(struct value *out, const void *at, size_t len)
{
    *out = value_text(bytes_of(at, len));
    return true;
}

/* Room for a result of `len` bytes. */
static uint8_t *room(struct call *c, uint64_t len)
{
    if (len <= RESULT_MAX)
        return call_take(c, (size_t)len);
    (void)call_fail(c, "The result of function %s is longer than %d bytes.", c->node->function->name,
                    RESULT_MAX);
    return NULL;
}

static struct bytes cut(struct bytes b, size_t from, size_t to)
{
    return bytes_of(b.len ? b.at + from : b.at, to - from);
}

static uint8_t *put(uint8_t *to, struct bytes b)
{
    if (b.len)
        memcpy(to, b.at, b.len);
    return to + b.len;
}

/* Where `find` begins in `text` at or behind byte `from`; SIZE_MAX: nowhere. */
static size_t search(struct bytes text, struct bytes find, size_t from)
{
    if (from > text.len || find.len > text.len - from)
        return SIZE_MAX;
    const uint8_t *at = find.len ? memmem(text.at + from, text.len - from, find.at, find.len) : NULL;
    return at ? (size_t)(at - text.at) : SIZE_MAX;
}

static bool characters_index(struct call *c, const struct value *a, struct value *out)
{
    struct bytes find = value_bytes(a[0]), text = value_bytes(a[1]);
    size_t from = c->count == 3 && a[2].i > 1 ? utf8_offset(text, (uint64_t)a[2].i - 1) : 0;
    size_t at = search(text, find, from);
    *out = value_bigint(at == SIZE_MAX ? 0 : (int64_t)utf8_count(cut(text, 0, at)) + 1);
    return true;
}

/* NULL counts as empty. */
static bool concat(struct call *c, const struct value *a, struct value *out)
{
    uint64_t len = 0;
    for (uint32_t i = 0; i < c->count; i++)
        len += a[i].type ? a[i].len : 0;
    uint8_t *at = room(c, len), *to = at;
    for (uint32_t i = 0; at && i < c->count; i++)
        if (a[i].type)
            to = put(to, value_bytes(a[i]));
    return at && give(out, at, (size_t)len);
}

/* NULL is left out, and its separator; a NULL separator is empty. */
static bool concat_with(struct call *c, const struct value *a, struct value *out)
{
    struct bytes between = a[0].type ? value_bytes(a[0]) : BYTES_NONE;
    uint64_t len = 0;
    for (uint32_t i = 1; i < c->count; i++)
        len += a[i].type ? a[i].len + between.len : 0;
    uint8_t *at = room(c, len), *to = at;
    bool first = true;
    for (uint32_t i = 1; at && i < c->count; i++) {
        if (!a[i].type)
            continue;
        to = first ? to : put(to, between);
        to = put(to, value_bytes(a[i]));
        first = false;
    }
    return at && give(out, at, (size_t)(to - at));
}

static bool negative(struct call *c)
{
    return call_fail(c, "A length in function %s is below 0.", c->node->function->name);
}

static bool left(struct call *c, const struct value *a, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    if (a[1].i < 0)
        return negative(c);
    return give(out, b.at, utf8_offset(b, (uint64_t)a[1].i));
}

static bool right(struct call *c, const struct value *a, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    if (a[1].i < 0)
        return negative(c);
    size_t all = utf8_count(b);
    size_t from = (uint64_t)a[1].i >= all ? 0 : utf8_offset(b, all - (uint64_t)a[1].i);
    struct bytes end = cut(b, from, b.len);
    return give(out, end.at, end.len);
}

static bool length(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    struct bytes b = value_bytes(a[0]);
    while (b.len && b.at[b.len - 1] == ' ')
        b.len--;
    *out = value_bigint((int64_t)utf8_count(b));
    return true;
}

static bool map(struct call *c, struct bytes b, uint32_t (*to_case)(uint32_t), struct value *out)
{
    /* No letter grows by more than one byte in its other case. */
    uint8_t *at = room(c, 2 * (uint64_t)b.len), *to = at;
    if (!at)
        return false;
    for (const uint8_t *p = b.at, *end = b.len ? p + b.len : p; p < end;)
        to = utf8_put(to, to_case(utf8_next(&p)));
    return give(out, at, (size_t)(to - at));
}

static bool lower(struct call *c, const struct value *a, struct value *out)
{
    return map(c, value_bytes(a[0]), letter_lower, out);
}

/* Not in the language: what compares without regard to case compares this. Other types stay as they are. */
static bool fold_case(struct call *c, const struct value *a, struct value *out)
{
    *out = a[0];
    return a[0].type != VALUE_TEXT || map(c, value_bytes(a[0]), letter_lower, out);
}

static bool upper(struct call *c, const struct value *a, struct value *out)
{
    return map(c, value_bytes(a[0]), letter_upper, out);
}

/* Blanks of Unicode, line ends and tabs among them. */
static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000 || c == 0xfeff;
}

static struct bytes trimmed(struct bytes b, bool start, bool end)
{
    size_t from = 0, to = 0;
    bool inside = !start;
    for (size_t i = 0; i < b.len;) {
        const uint8_t *at = b.at + i;
        bool blank = is_blank(utf8_next(&at));
        if (!inside && !blank)
            from = i;
        inside = inside || !blank;
        i = (size_t)(at - b.at);
        if (!blank || !end)
            to = i;
    }
    return inside && to > from ? cut(b, from, to) : cut(b, 0, 0);
}

static bool trim_left(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_text(trimmed(value_bytes(a[0]), true, false));
    return true;
}

static bool trim_right(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_text(trimmed(value_bytes(a[0]), false, true));
    return true;
}

static bool trim(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_text(trimmed(value_bytes(a[0]), true, true));
    return true;
}

static bool character(struct call *c, const struct value *a, struct value *out)
{
    *out = value_null();
    if (a[0].i < 0 || a[0].i > 0x10ffff || (a[0].i >= 0xd800 && a[0].i <= 0xdfff))
        return true; /* there is no such character */
    uint8_t *at = call_take(c, 4);
    return at && give(out, at, (size_t)(utf8_put(at, (uint32_t)a[0].i) - at));
}

static bool unicode(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    const uint8_t *at = a[0].text;
    *out = a[0].len ? value_bigint(utf8_next(&at)) : value_null();
    return true;
}

static bool pattern_index(struct call *c, const struct value *a, struct value *out)
{
    struct like *like = c->node->like;
    const char *wrong;
    if (!like) {
        enum code code = like_compile(&like, value_bytes(a[0]), BYTES_NONE, c->scratch, &wrong);
        if (code == CODE_NOMEM)
            return eval_no_memory(c->eval, c->node);
        if (code)
            return call_fail(c, "The pattern of function patindex is wrong: %s.", wrong);
    }
    *out = value_bigint(like_index(like, value_bytes(a[1])));
    return true;
}

/* ---- regular expressions ---- */

/* Of a pattern that is a value of the row; NULL: it is none (out is then what the function yields). */
static bool regex_now(struct call *c, struct bytes pattern, struct regex **out, bool *wrong)
{
    const char *what;
    enum code code = regex_new(out, pattern, &what);
    *wrong = code == CODE_USAGE;
    return code != CODE_NOMEM || eval_no_memory(c->eval, c->node);
}

static bool short_enough(struct call *c, struct bytes text, uint32_t steps)
{
    return text.len <= REGEX_WORK / (steps + 1) ||
           call_fail(c, "A text of %zu bytes is too long for a regular expression of %u steps.", text.len,
                     (unsigned)steps);
}

static bool match_index(struct call *c, const struct regex *regex, struct bytes text, struct value *out)
{
    struct regex_match m;
    if (!short_enough(c, text, regex_size(regex)))
        return false;
    enum code code = regex_find(regex, text, 0, c->scratch, &m);
    if (code == CODE_NOMEM)
        return eval_no_memory(c->eval, c->node);
    *out = value_bigint(code ? 0 : (int64_t)utf8_count(cut(text, 0, m.from[0])) + 1);
    return true;
}

static bool regex_match(struct call *c, const struct value *a, struct value *out)
{
    struct regex *regex = c->node->regex;
    bool wrong = false;
    if (!regex && !regex_now(c, value_bytes(a[1]), &regex, &wrong))
        return false;
    *out = value_bigint(0);
    bool ok = wrong || match_index(c, regex, value_bytes(a[0]), out);
    if (!c->node->regex && !wrong)
        regex_free(regex);
    return ok;
}

/* $0 to $9 and $& are what a group has matched, $$ is one $. */
static void substitute(struct buf *to, struct bytes with, struct bytes text, const struct regex_match *m)
{
    for (size_t i = 0; i < with.len; i++) {
        uint8_t next = i + 1 < with.len ? with.at[i + 1] : 0;
        bool group = (uint8_t)(next - '0') < 10 || next == '&';
        if (with.at[i] != '$' || (!group && next != '$')) {
            buf_u8(to, with.at[i]);
            continue;
        }
        i++;
        unsigned g = next == '&' ? 0 : (unsigned)(next - '0');
        if (!group)
            buf_u8(to, '$');
        else if (m->from[g] != SIZE_MAX && m->to[g] != SIZE_MAX)
            buf_add_bytes(to, cut(text, m->from[g], m->to[g]));
    }
}

static enum code replace_all(const struct regex *regex, struct bytes text, struct bytes with, struct buf *to)
{
    size_t done = 0, at = 0;
    uint64_t work = 0;  /* a search may look far ahead and match little, again and again */
    struct arena arena; /* what one search needs is given back before the next */
    arena_init(&arena, NULL, 0, (size_t)REGEX_STEPS * 1024);
    enum code code = CODE_OK;
    while (at <= text.len) {
        struct regex_match m;
        code = regex_find(regex, text, at, &arena, &m);
        arena_reset(&arena);
        if (code)
            break;
        work += (m.seen - at + 1) * (uint64_t)(regex_size(regex) + 1);
        if (work > 4 * (uint64_t)REGEX_WORK) {
            code = CODE_LIMIT;
            break;
        }
        buf_add_bytes(to, cut(text, done, m.from[0]));
        substitute(to, with, text, &m);
        done = at = m.to[0];
        if (m.to[0] == m.from[0]) /* nothing was matched: one character on */
            at += at < text.len ? utf8_length(text.at[at]) : 1;
        if (to->bad)
            break;
    }
    arena_clear(&arena);
    buf_add_bytes(to, cut(text, done, text.len));
    return code == CODE_NOTFOUND ? CODE_OK : code;
}

static bool replaced(struct call *c, const struct regex *regex, const struct value *a, struct value *out)
{
    struct buf to = {.max = RESULT_MAX};
    if (!short_enough(c, value_bytes(a[0]), regex_size(regex)))
        return false;
    enum code code = replace_all(regex, value_bytes(a[0]), value_bytes(a[2]), &to);
    uint8_t *at = NULL;
    if (code == CODE_NOMEM)
        (void)eval_no_memory(c->eval, c->node);
    else if (code)
        (void)call_fail(c, "This regular expression costs too much on a text of %u bytes.",
                        (unsigned)a[0].len);
    else
        at = room(c, to.bad ? (uint64_t)RESULT_MAX + 1 : buf_size(&to));
    if (at)
        give(out, at, (size_t)(put(at, buf_bytes(&to)) - at));
    buf_clear(&to);
    return at != NULL;
}

static bool regex_replace(struct call *c, const struct value *a, struct value *out)
{
    struct regex *regex = c->node->regex;
    bool wrong = false;
    if (!regex && !regex_now(c, value_bytes(a[1]), &regex, &wrong))
        return false;
    *out = a[0];
    bool ok = wrong || replaced(c, regex, a, out);
    if (!c->node->regex && !wrong)
        regex_free(regex);
    return ok;
}

/* ---- making longer and shorter ---- */

static bool replace(struct call *c, const struct value *a, struct value *out)
{
    struct bytes text = value_bytes(a[0]), find = value_bytes(a[1]), with = value_bytes(a[2]);
    uint64_t count = 0;
    for (size_t at = 0; (at = search(text, find, at)) != SIZE_MAX; at += find.len)
        count++;
    *out = a[0];
    if (!count)
        return true;
    uint8_t *start = room(c, text.len + count * with.len - count * find.len), *to = start;
    if (!start)
        return false;
    size_t done = 0;
    for (size_t at = 0; (at = search(text, find, at)) != SIZE_MAX; done = at += find.len) {
        to = put(to, cut(text, done, at));
        to = put(to, with);
    }
    to = put(to, cut(text, done, text.len));
    return give(out, start, (size_t)(to - start));
}

static bool replicate(struct call *c, const struct value *a, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    *out = value_null();
    if (a[1].i < 0)
        return true;
    uint64_t len;
    if (__builtin_mul_overflow((uint64_t)a[1].i, (uint64_t)b.len, &len))
        len = UINT64_MAX;
    uint8_t *at = room(c, len);
    for (uint64_t i = 0; at && b.len && i < len; i += b.len)
        (void)put(at + i, b);
    return at && give(out, at, (size_t)len);
}

static bool space(struct call *c, const struct value *a, struct value *out)
{
    *out = value_null();
    if (a[0].i < 0)
        return true;
    uint8_t *at = room(c, (uint64_t)a[0].i);
    if (!at)
        return false;
    memset(at, ' ', (size_t)a[0].i);
    return give(out, at, (size_t)a[0].i);
}

static bool reverse(struct call *c, const struct value *a, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    uint8_t *at = call_take(c, b.len);
    if (!at)
        return false;
    uint8_t *to = at + b.len;
    for (size_t i = 0, n; i < b.len; i += n) {
        n = utf8_length(b.at[i]);
        to -= n;
        memcpy(to, b.at + i, n);
    }
    return give(out, at, b.len);
}

/* A start before the text takes from the length. */
static bool substring(struct call *c, const struct value *a, struct value *out)
{
    struct bytes b = value_bytes(a[0]);
    int64_t start = a[1].i, behind;
    if (a[2].i < 0)
        return negative(c);
    if (__builtin_add_overflow(start, a[2].i, &behind))
        behind = INT64_MAX;
    size_t from = start > 1 ? utf8_offset(b, (uint64_t)start - 1) : 0;
    size_t to = behind > 1 ? utf8_offset(b, (uint64_t)behind - 1) : 0;
    struct bytes part = cut(b, from, to < from ? from : to);
    return give(out, part.at, part.len);
}

/* Without a place to begin at, or beginning behind the text, it is NULL. */
static bool stuff(struct call *c, const struct value *a, struct value *out)
{
    struct bytes b = value_bytes(a[0]), with = a[3].type ? value_bytes(a[3]) : BYTES_NONE;
    *out = value_null();
    for (int i = 0; i < 3; i++)
        if (!a[i].type)
            return true;
    if (a[1].i < 1 || a[2].i < 0 || (uint64_t)a[1].i > utf8_count(b))
        return true;
    size_t from = utf8_offset(b, (uint64_t)a[1].i - 1);
    size_t to = from + utf8_offset(cut(b, from, b.len), (uint64_t)a[2].i);
    uint8_t *at = room(c, (uint64_t)b.len - (to - from) + with.len);
    if (!at)
        return false;
    uint8_t *end = put(put(put(at, cut(b, 0, from)), with), cut(b, to, b.len));
    return give(out, at, (size_t)(end - at));
}

/* Each character of the second text becomes the one at its place in the third; the first mention counts. */
static bool translate(struct call *c, const struct value *a, struct value *out)
{
    struct bytes text = value_bytes(a[0]), from = value_bytes(a[1]), to = value_bytes(a[2]);
    size_t count = utf8_count(from);
    if (count != utf8_count(to))
        return call_fail(c, "The 2nd and 3rd argument of function translate differ in length.");
    if ((uint64_t)count * text.len > REGEX_WORK)
        return call_fail(c, "A text of %zu bytes is too long for %zu characters to translate.", text.len,
                         count);
    uint8_t *at = room(c, 4 * (uint64_t)text.len), *write = at;
    if (!at)
        return false;
    for (const uint8_t *p = text.at, *end = text.len ? p + text.len : p; p < end;) {
        uint32_t ch = utf8_next(&p), as = ch;
        const uint8_t *f = from.at, *t = to.at;
        for (size_t i = 0; i < count; i++) {
            uint32_t old = utf8_next(&f), new = utf8_next(&t);
            if (old == ch) {
                as = new;
                break;
            }
        }
        write = utf8_put(write, as);
    }
    return give(out, at, (size_t)(write - at));
}

static const struct function list[] = {
    {"CHARINDEX", 2, 3, 0, {TYPE_TEXT, TYPE_TEXT, TYPE_BIGINT}, characters_index},
    {"CONCAT", 2, ARGS_MAX, FUNCTION_NULLS, {TYPE_AS_TEXT}, concat},
    {"CONCAT_WS", 3, ARGS_MAX, FUNCTION_NULLS, {TYPE_AS_TEXT}, concat_with},
    {"LEFT", 2, 2, 0, {TYPE_TEXT, TYPE_BIGINT}, left},
    {"LEN", 1, 1, 0, {TYPE_TEXT}, length},
    {"LOWER", 1, 1, 0, {TYPE_TEXT}, lower},
    {"LTRIM", 1, 1, 0, {TYPE_TEXT}, trim_left},
    {"NCHAR", 1, 1, 0, {TYPE_BIGINT}, character},
    {"PATINDEX", 2, 2, FUNCTION_LIKE, {TYPE_TEXT, TYPE_TEXT}, pattern_index},
    {"REGEXMATCH", 2, 2, FUNCTION_REGEX, {TYPE_TEXT, TYPE_TEXT}, regex_match},
    {"REGEXREPLACE", 3, 3, FUNCTION_REGEX, {TYPE_TEXT, TYPE_TEXT, TYPE_TEXT}, regex_replace},
    {"REPLACE", 3, 3, 0, {TYPE_TEXT}, replace},
    {"REPLICATE", 2, 2, 0, {TYPE_TEXT, TYPE_BIGINT}, replicate},
    {"REVERSE", 1, 1, 0, {TYPE_TEXT}, reverse},
    {"RIGHT", 2, 2, 0, {TYPE_TEXT, TYPE_BIGINT}, right},
    {"RTRIM", 1, 1, 0, {TYPE_TEXT}, trim_right},
    {"SPACE", 1, 1, 0, {TYPE_BIGINT}, space},
    {"STUFF", 4, 4, FUNCTION_NULLS, {TYPE_TEXT, TYPE_BIGINT, TYPE_BIGINT, TYPE_TEXT}, stuff},
    {"SUBSTRING", 3, 3, 0, {TYPE_TEXT, TYPE_BIGINT}, substring},
    {"TRANSLATE", 3, 3, 0, {TYPE_TEXT}, translate},
    {"TRIM", 1, 1, 0, {TYPE_TEXT}, trim},
    {"UNICODE", 1, 1, 0, {TYPE_TEXT}, unicode},
    {"UPPER", 1, 1, 0, {TYPE_TEXT}, upper},
    {FUNCTION_FOLD, 1, 1, 0, {TYPE_ANY}, fold_case},
};
const struct functions functions_text = {list, sizeof list / sizeof list[0]};
