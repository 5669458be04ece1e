#include "identity/rules_private.h"

#include "base/mem.h"
#include "mqtt/topic.h"

void rules_free(struct rules *r)
{
    if (!r)
        return;
    arena_clear(&r->arena);
    mem_free(r);
}

size_t rules_count(const struct rules *r)
{
    return r->count;
}

/* ---- filters against filters ---- */

static bool is(struct bytes level, char c)
{
    return level.len == 1 && level.at[0] == c;
}

/* [MQTT-4.7.2-1]: a wildcard in the first level does not see names that begin with $. */
static bool hidden(struct bytes wild, struct bytes other)
{
    return wild.len && (wild.at[0] == '#' || wild.at[0] == '+') && other.len && other.at[0] == '$';
}

/* The rest behind *cursor is exactly "#". */
static bool only_hash_left(struct bytes filter, size_t cursor)
{
    return cursor + 1 == filter.len && filter.at[cursor] == '#';
}

bool rules_covers(struct bytes by, struct bytes filter)
{
    size_t b = 0, f = 0;
    struct bytes mine, its;
    if (!by.len || !filter.len || hidden(by, filter))
        return false;
    for (;;) {
        if (only_hash_left(by, b))
            return true;
        bool more_mine = topic_level(by, &b, &mine), more_its = topic_level(filter, &f, &its);
        if (!more_mine || !more_its)
            return more_mine == more_its;
        if (is(its, '#') || !(is(mine, '+') || bytes_equal(mine, its)))
            return false;
        /* "a/#" matches "a" too (4.7.1.2). */
        if (f > filter.len)
            return b > by.len || only_hash_left(by, b);
    }
}

bool rules_overlap(struct bytes x, struct bytes y)
{
    size_t a = 0, b = 0;
    struct bytes mine, its;
    if (!x.len || !y.len || hidden(x, y) || hidden(y, x))
        return false;
    for (;;) {
        if (only_hash_left(x, a) || only_hash_left(y, b))
            return true;
        bool more_mine = topic_level(x, &a, &mine), more_its = topic_level(y, &b, &its);
        if (!more_mine || !more_its)
            return more_mine == more_its;
        if (!is(mine, '+') && !is(its, '+') && !bytes_equal(mine, its))
            return false;
        if (b > y.len)
            return a > x.len || only_hash_left(x, a);
        if (a > x.len)
            return only_hash_left(y, b);
    }
}

/* ---- names ---- */

static bool fit_for_a_topic(struct bytes name)
{
    if (!name.len || name.at[0] == '$')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '+' || name.at[i] == '#' || name.at[i] == '/')
            return false;
    return true;
}

bool rules_expand(const struct pattern *p, const struct subject *s, uint8_t out[EXPANDED_MAX], struct bytes *text)
{
    size_t n = 0;
    *text = p->text;
    if (!p->parts)
        return true;
    if (((p->parts & PATTERN_USER) && !fit_for_a_topic(s->user)) || ((p->parts & PATTERN_CLIENT) && !fit_for_a_topic(s->client)))
        return false;
    for (size_t i = 0; i < p->text.len; i++) {
        struct bytes piece = bytes_of(p->text.at + i, 1);
        if (p->text.at[i] == '%') { /* what follows was looked at when the file was read */
            uint8_t c = p->text.at[++i];
            piece = c == 'u' ? s->user : c == 'c' ? s->client : BYTES_LIT("%");
        }
        if (piece.len > EXPANDED_MAX - n)
            return false;
        memcpy(out + n, piece.at, piece.len);
        n += piece.len;
    }
    *text = bytes_of(out, n);
    return true;
}

/* `*` in the rule's text stands for any characters; the name is plain. */
static bool fits(struct bytes glob, struct bytes name)
{
    size_t g = 0, n = 0, star = SIZE_MAX, from = 0;
    while (n < name.len) {
        if (g < glob.len && glob.at[g] == '*') {
            star = g++;
            from = n;
        } else if (g < glob.len && glob.at[g] == name.at[n]) {
            g++;
            n++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.at[g] == '*')
        g++;
    return g == glob.len;
}

static bool one_fits(const struct names *list, const struct bytes *names, size_t count)
{
    if (!list->given)
        return true;
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < count; k++)
            if (fits(list->at[i], names[k]))
                return true;
    return false;
}

static bool is_for(const struct rule *r, const struct subject *s)
{
    if (r->asks_anonymous && r->anonymous != s->anonymous)
        return false;
    return one_fits(&r->names[NAMES_USER], &s->user, !s->anonymous) && one_fits(&r->names[NAMES_ROLE], s->roles, s->role_count) &&
           one_fits(&r->names[NAMES_CLIENT], &s->client, 1);
}

/* ---- deciding ---- */

static const struct patterns *patterns_of(const struct rule *r, enum right right)
{
    return right == RIGHT_READ && !r->patterns[RIGHT_READ].given ? &r->patterns[RIGHT_SUBSCRIBE] : &r->patterns[right];
}

static bool decides(const struct rule *r, const struct pattern *p, const struct subject *s, struct bytes text, bool is_filter)
{
    uint8_t room[EXPANDED_MAX];
    struct bytes expanded;
    if (!rules_expand(p, s, room, &expanded))
        return r->deny; /* nobody escapes a denial by his name, nobody gains a right by it */
    if (!is_filter)
        return topic_matches(expanded, text);
    return r->deny ? rules_overlap(expanded, text) : rules_covers(expanded, text);
}

static enum ruling decide(const struct rules *rules, const struct subject *s, enum right right, struct bytes text, bool is_filter)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *r = &rules->at[i];
        const struct patterns *list = patterns_of(r, right);
        if (!list->count || !is_for(r, s))
            continue;
        for (size_t k = 0; k < list->count; k++)
            if (decides(r, &list->at[k], s, text, is_filter))
                return r->deny ? RULING_DENIED : RULING_ALLOWED;
    }
    return RULING_NONE;
}

enum ruling rules_topic(const struct rules *rules, const struct subject *s, enum right right, struct bytes topic)
{
    return decide(rules, s, right, topic, false);
}

enum ruling rules_filter(const struct rules *rules, const struct subject *s, enum right right, struct bytes filter)
{
    return decide(rules, s, right, filter, true);
}
