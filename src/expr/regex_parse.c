#include "expr/regex_tree.h"

#include "base/utf8.h"

enum { DEPTH = 50, RANGES = 256 };

struct parse {
    const uint8_t *at, *end;
    struct arena *arena;
    uint32_t groups, depth;
    enum code code;
    const char *wrong;
};

static struct regex_tree *refuse(struct parse *p, const char *wrong)
{
    if (!p->code) {
        p->code = CODE_USAGE;
        p->wrong = wrong;
    }
    return NULL;
}

static struct regex_tree *make(struct parse *p, enum regex_kind kind)
{
    struct regex_tree *t = arena_zero(p->arena, sizeof *t);
    if (t)
        t->kind = (uint8_t)kind;
    else if (!p->code)
        p->code = CODE_NOMEM;
    return t;
}

static int peek(const struct parse *p)
{
    return p->at < p->end ? *p->at : -1;
}

static bool take(struct parse *p, uint8_t c)
{
    bool there = peek(p) == c;
    p->at += there;
    return there;
}

/* ---- sets ---- */

struct gather {
    uint32_t count;
    struct regex_range range[RANGES];
};

static bool add(struct parse *p, struct gather *g, uint32_t low, uint32_t high)
{
    if (g->count == RANGES)
        return refuse(p, "a set has more than 256 parts") != NULL;
    g->range[g->count++] = (struct regex_range){low, high};
    return true;
}

static const struct regex_range digits[] = {{'0', '9'}};
static const struct regex_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct regex_range spaces[] = {
    {'\t', '\r'}, {' ', ' '}, {0xa0, 0xa0}, {0x2028, 0x2029}, {0xfeff, 0xfeff}};

/* \d and its like; the ranges are in order, so what is not among them lies between. */
static bool add_class(struct parse *p, struct gather *g, uint8_t letter)
{
    uint8_t lower = letter | 0x20;
    const struct regex_range *r = lower == 'd' ? digits : lower == 'w' ? words : spaces;
    size_t count = lower == 'd' ? 1 : lower == 'w' ? 4 : sizeof spaces / sizeof spaces[0];
    uint32_t from = 0;
    for (size_t i = 0; i < count; i++) {
        if (letter == lower ? !add(p, g, r[i].low, r[i].high) : !add(p, g, from, r[i].low - 1))
            return false;
        from = r[i].high + 1;
    }
    return letter == lower || add(p, g, from, 0x10ffff);
}

static struct regex_tree *set_of(struct parse *p, const struct gather *g, bool negated)
{
    struct regex_tree *t = make(p, REGEX_SET);
    if (!t)
        return NULL;
    t->set = (struct regex_set){negated, g->count, arena_take(p->arena, g->count * sizeof *g->range)};
    if (!t->set.range) {
        p->code = CODE_NOMEM;
        return NULL;
    }
    memcpy(t->set.range, g->range, g->count * sizeof *g->range);
    return t;
}

/* ---- escapes ---- */

static bool hex(struct parse *p, unsigned digits_count, uint32_t *out)
{
    *out = 0;
    for (; digits_count; digits_count--) {
        int c = peek(p), letter = (c | 0x20) - 'a';
        if (c >= '0' && c <= '9')
            *out = *out * 16 + (uint32_t)(c - '0');
        else if (c > 0 && letter >= 0 && letter < 6)
            *out = *out * 16 + (uint32_t)letter + 10;
        else
            return false;
        p->at++;
    }
    return *out < 0xd800 || *out > 0xdfff;
}

/* Behind the backslash: what stands for one character. */
static bool escaped(struct parse *p, uint32_t *out)
{
    static const char letters[] = "tnrfv0", meant[] = "\t\n\r\f\v";
    if (p->at == p->end)
        return refuse(p, "a backslash stands at its end") != NULL;
    uint32_t c = utf8_next(&p->at);
    const char *known = c && c < 0x80 ? strchr(letters, (int)c) : NULL;
    if (known) {
        *out = (uint32_t)(uint8_t)meant[known - letters];
        return true;
    }
    if (c == 'x' || c == 'u')
        return hex(p, c == 'x' ? 2 : 4, out) ||
               refuse(p, "\\x has two and \\u four hexadecimal digits") != NULL;
    if (c >= '1' && c <= '9')
        return refuse(p, "back references such as \\1 are not offered") != NULL;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return refuse(p, "a backslash stands before a letter that it gives no meaning") != NULL;
    *out = c;
    return true;
}

static bool is_class(int c)
{
    return c > 0 && strchr("dDwWsS", c) != NULL;
}

/* One end of a range, or a class by itself (then *class_taken). */
static bool set_part(struct parse *p, struct gather *g, uint32_t *out, bool *class_taken)
{
    *class_taken = false;
    if (!take(p, '\\')) {
        *out = utf8_next(&p->at);
        return true;
    }
    if (is_class(peek(p))) {
        *class_taken = true;
        return add_class(p, g, *p->at++);
    }
    if (take(p, 'b')) {
        *out = '\b';
        return true;
    }
    return escaped(p, out);
}

static struct regex_tree *parse_set(struct parse *p)
{
    struct gather g;
    g.count = 0;
    bool negated = take(p, '^');
    while (!take(p, ']')) {
        uint32_t low, high;
        bool class;
        if (p->at == p->end)
            return refuse(p, "a [ has no ]");
        if (!set_part(p, &g, &low, &class))
            return NULL;
        if (class)
            continue;
        high = low;
        if (peek(p) == '-' && p->end - p->at >= 2 && p->at[1] != ']') {
            p->at++;
            if (!set_part(p, &g, &high, &class))
                return NULL;
            if (class)
                return refuse(p, "a range in a set ends in a class");
            if (high < low)
                return refuse(p, "a range in a set runs backwards");
        }
        if (!add(p, &g, low, high))
            return NULL;
    }
    return set_of(p, &g, negated);
}

static struct regex_tree *parse_escape(struct parse *p)
{
    struct gather g;
    g.count = 0;
    if (is_class(peek(p)))
        return add_class(p, &g, *p->at++) ? set_of(p, &g, false) : NULL;
    if (take(p, 'b'))
        return make(p, REGEX_WORD_EDGE);
    if (take(p, 'B'))
        return make(p, REGEX_NO_WORD_EDGE);
    struct regex_tree *t = make(p, REGEX_CHARACTER);
    return t && escaped(p, &t->character) ? t : NULL;
}

/* ---- structure ---- */

static struct regex_tree *parse_choice(struct parse *p);

static struct regex_tree *parse_group(struct parse *p)
{
    struct regex_tree *t = make(p, REGEX_GROUP);
    if (!t)
        return NULL;
    if (take(p, '?')) {
        if (!take(p, ':'))
            return refuse(p, "of the groups that begin with (? only (?: is offered");
    } else {
        t->group = ++p->groups;
    }
    t->left = parse_choice(p);
    if (t->left && !take(p, ')'))
        return refuse(p, "a ( has no )");
    return t->left ? t : NULL;
}

static struct regex_tree *parse_atom(struct parse *p)
{
    uint32_t c = utf8_next(&p->at);
    switch (c) {
    case '(': return parse_group(p);
    case '[': return parse_set(p);
    case '\\': return parse_escape(p);
    case '.': return make(p, REGEX_ANY);
    case '^': return make(p, REGEX_BEGIN);
    case '$': return make(p, REGEX_END);
    case '*':
    case '+':
    case '?': return refuse(p, "there is nothing before a repetition");
    default: break;
    }
    struct regex_tree *t = make(p, REGEX_CHARACTER);
    if (t)
        t->character = c;
    return t;
}

static bool number(struct parse *p, uint16_t *out)
{
    uint32_t n = 0;
    const uint8_t *from = p->at;
    while (peek(p) >= '0' && peek(p) <= '9' && n <= REGEX_STEPS)
        n = n * 10 + (uint32_t)(*p->at++ - '0');
    *out = (uint16_t)n;
    return p->at > from && n <= REGEX_STEPS;
}

/* {n}, {n,}, {n,m}; another brace is a character. */
static bool counts(struct parse *p, uint16_t *least, uint16_t *most)
{
    const uint8_t *from = p->at;
    if (take(p, '{') && number(p, least)) {
        *most = *least;
        if (take(p, ',') && !number(p, most))
            *most = REGEX_ENDLESS;
        if (take(p, '}'))
            return true;
    }
    p->at = from;
    return false;
}

static struct regex_tree *parse_repeat(struct parse *p)
{
    struct regex_tree *atom = parse_atom(p);
    while (atom) {
        uint16_t least = 0, most = REGEX_ENDLESS;
        if (take(p, '+'))
            least = 1;
        else if (take(p, '?'))
            most = 1;
        else if (!take(p, '*') && !counts(p, &least, &most))
            return atom;
        if (most < least)
            return refuse(p, "a repetition's numbers run backwards");
        struct regex_tree *t = make(p, REGEX_REPEAT);
        if (!t)
            return NULL;
        t->least = least;
        t->most = most;
        t->lazy = take(p, '?');
        t->left = atom;
        atom = t;
        if (peek(p) == '*' || peek(p) == '+' || peek(p) == '?')
            return refuse(p, "a repetition follows a repetition");
    }
    return NULL;
}

static struct regex_tree *pair(struct parse *p, enum regex_kind kind, struct regex_tree *left,
                               struct regex_tree *right)
{
    struct regex_tree *t = left && right ? make(p, kind) : NULL;
    if (t) {
        t->left = left;
        t->right = right;
    }
    return t;
}

static struct regex_tree *parse_sequence(struct parse *p)
{
    struct regex_tree *all = NULL;
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        struct regex_tree *next = parse_repeat(p);
        if (!next)
            return NULL;
        all = all ? pair(p, REGEX_SEQUENCE, all, next) : next;
        if (!all)
            return NULL;
    }
    return all ? all : make(p, REGEX_EMPTY);
}

static struct regex_tree *parse_choice(struct parse *p)
{
    if (++p->depth > DEPTH)
        return refuse(p, "groups are nested more than 50 deep");
    struct regex_tree *all = parse_sequence(p);
    while (all && take(p, '|'))
        all = pair(p, REGEX_CHOICE, all, parse_sequence(p));
    p->depth--;
    return all;
}

enum code regex_parse(struct regex_tree **out, struct bytes pattern, struct arena *arena, const char **wrong)
{
    struct parse p = {
        .at = pattern.at, .end = pattern.len ? pattern.at + pattern.len : pattern.at, .arena = arena};
    *out = pattern.len > REGEX_BYTES ? refuse(&p, "it is longer than 1000 bytes") : parse_choice(&p);
    if (*out && p.at != p.end)
        *out = refuse(&p, "a ) has no (");
    *wrong = p.wrong;
    return p.code;
}
