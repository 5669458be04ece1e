#include "expr/regex_tree.h"

#include "base/mem.h"
#include "expr/letter.h"
#include "base/utf8.h"

/* A program for a machine that follows all ways at once, in the order of preference, each state at most once per character
 * (Thompson 1968, Pike). */

enum op {
    OP_CHARACTER,
    OP_SET,
    OP_ANY,
    OP_SPLIT,
    OP_JUMP,
    OP_SAVE,
    OP_BEGIN,
    OP_END,
    OP_WORD_EDGE,
    OP_NO_WORD_EDGE,
    OP_MATCH
};
struct step {
    uint8_t op;
    uint32_t a, b; /* character, lower case; places to go to, the preferred first; what is saved */
    struct regex_set set;
};
struct regex {
    struct step *step;
    uint32_t count;
    struct arena arena;
};

/* ---- writing the program ---- */

static uint32_t emit(struct regex *r, enum op op, uint32_t a, uint32_t b)
{
    if (r->count < REGEX_STEPS)
        r->step[r->count] = (struct step){.op = (uint8_t)op, .a = a, .b = b};
    else
        r->count = REGEX_STEPS; /* full: found by the caller */
    return r->count < REGEX_STEPS ? r->count++ : REGEX_STEPS - 1;
}

static void write_tree(struct regex *r, const struct regex_tree *t);

/* x? as a split around x; `behind` is known when x has been written. */
static void write_optional(struct regex *r, const struct regex_tree *t, bool loop)
{
    uint32_t split = emit(r, OP_SPLIT, 0, 0);
    write_tree(r, t->left);
    if (loop)
        (void)emit(r, OP_JUMP, split, 0);
    r->step[split].a = t->lazy ? r->count : split + 1;
    r->step[split].b = t->lazy ? split + 1 : r->count;
}

static void write_repeat(struct regex *r, const struct regex_tree *t)
{
    for (uint32_t i = 0; i < t->least && r->count < REGEX_STEPS; i++) {
        uint32_t before = r->count;
        write_tree(r, t->left);
        if (r->count == before) /* nothing, however often */
            return;
    }
    if (t->most == REGEX_ENDLESS) {
        write_optional(r, t, true);
        return;
    }
    for (uint32_t i = t->least; i < t->most && r->count < REGEX_STEPS; i++)
        write_optional(r, t, false);
}

static void write_choice(struct regex *r, const struct regex_tree *t)
{
    uint32_t split = emit(r, OP_SPLIT, 0, 0);
    r->step[split].a = r->count;
    write_tree(r, t->left);
    uint32_t jump = emit(r, OP_JUMP, 0, 0);
    r->step[split].b = r->count;
    write_tree(r, t->right);
    r->step[jump].a = r->count;
}

static void write_group(struct regex *r, const struct regex_tree *t)
{
    bool saves = t->group && t->group < REGEX_GROUPS;
    if (saves)
        (void)emit(r, OP_SAVE, 2 * t->group, 0);
    write_tree(r, t->left);
    if (saves)
        (void)emit(r, OP_SAVE, 2 * t->group + 1, 0);
}

static void write_tree(struct regex *r, const struct regex_tree *t)
{
    switch ((enum regex_kind)t->kind) {
    case REGEX_EMPTY: break;
    case REGEX_CHARACTER: (void)emit(r, OP_CHARACTER, letter_lower(t->character), 0); break;
    case REGEX_SET: r->step[emit(r, OP_SET, 0, 0)].set = t->set; break;
    case REGEX_ANY: (void)emit(r, OP_ANY, 0, 0); break;
    case REGEX_SEQUENCE:
        write_tree(r, t->left);
        write_tree(r, t->right);
        break;
    case REGEX_CHOICE: write_choice(r, t); break;
    case REGEX_REPEAT: write_repeat(r, t); break;
    case REGEX_GROUP: write_group(r, t); break;
    case REGEX_BEGIN: (void)emit(r, OP_BEGIN, 0, 0); break;
    case REGEX_END: (void)emit(r, OP_END, 0, 0); break;
    case REGEX_WORD_EDGE: (void)emit(r, OP_WORD_EDGE, 0, 0); break;
    case REGEX_NO_WORD_EDGE: (void)emit(r, OP_NO_WORD_EDGE, 0, 0); break;
    }
}

enum code regex_new(struct regex **out, struct bytes pattern, const char **wrong)
{
    struct regex *r = mem_zalloc(1, sizeof *r + REGEX_STEPS * sizeof *r->step);
    if (!r)
        return CODE_NOMEM;
    struct regex_tree *tree;
    r->step = (struct step *)(void *)(r + 1);
    arena_init(&r->arena, NULL, 0, 16 * 1024 * 1024);
    enum code code = regex_parse(&tree, pattern, &r->arena, wrong);
    if (!code) {
        write_tree(r, tree);
        (void)emit(r, OP_MATCH, 0, 0);
        if (r->count >= REGEX_STEPS) {
            *wrong = "with its repetitions written out it has more than 2000 steps";
            code = CODE_USAGE;
        }
    }
    if (code) {
        regex_free(r);
        return code;
    }
    struct regex *small = mem_realloc(r, sizeof *r + r->count * sizeof *r->step);
    *out = small ? small : r;
    (*out)->step = (struct step *)(void *)(*out + 1);
    return CODE_OK;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    arena_clear(&r->arena);
    mem_free(r);
}

uint32_t regex_size(const struct regex *r)
{
    return r->count;
}

/* ---- running it ---- */

struct thread {
    uint32_t at;
    size_t saved[2 * REGEX_GROUPS];
};
struct list {
    struct thread *thread;
    uint32_t count;
};
struct todo { /* what is left to follow, the next last; a restore puts back what a save has overwritten */
    uint32_t at, slot;
    size_t old;
};
struct machine {
    const struct regex *regex;
    struct bytes text;
    size_t place;
    uint32_t *mark; /* per step: in which round it was reached */
    uint32_t round;
    struct todo *todo;
    size_t saved[2 * REGEX_GROUPS];
};
enum { RESTORE = UINT32_MAX };

static bool is_word(struct bytes text, size_t i)
{
    if (i >= text.len)
        return false;
    uint8_t c = text.at[i];
    return c == '_' || (uint8_t)(c - '0') < 10 || (uint8_t)((c | 0x20) - 'a') < 26;
}

static bool holds(const struct machine *m, uint8_t op)
{
    size_t i = m->place;
    bool edge = (i > 0 && is_word(m->text, i - 1)) != is_word(m->text, i);
    switch (op) {
    case OP_BEGIN: return i == 0;
    case OP_END: return i == m->text.len;
    case OP_WORD_EDGE: return edge;
    default: return !edge;
    }
}

/* Follows everything that takes no character, in the order of preference. */
static void follow(struct machine *m, struct list *to, uint32_t at)
{
    uint32_t n = 0;
    m->todo[n++] = (struct todo){.at = at};
    while (n) {
        struct todo t = m->todo[--n];
        if (t.at == RESTORE) {
            m->saved[t.slot] = t.old;
            continue;
        }
        if (m->mark[t.at] == m->round)
            continue;
        m->mark[t.at] = m->round;
        const struct step *s = &m->regex->step[t.at];
        if (s->op == OP_JUMP) {
            m->todo[n++].at = s->a;
        } else if (s->op == OP_SPLIT) {
            m->todo[n++].at = s->b;
            m->todo[n++].at = s->a;
        } else if (s->op == OP_SAVE) {
            m->todo[n++] = (struct todo){RESTORE, s->a, m->saved[s->a]};
            m->saved[s->a] = m->place;
            m->todo[n++].at = t.at + 1;
        } else if (s->op >= OP_BEGIN && s->op <= OP_NO_WORD_EDGE) {
            if (holds(m, s->op))
                m->todo[n++].at = t.at + 1;
        } else {
            struct thread *thread = &to->thread[to->count++];
            thread->at = t.at;
            memcpy(thread->saved, m->saved, sizeof m->saved);
        }
    }
}

static bool in_ranges(const struct regex_set *set, uint32_t c)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (c >= set->range[i].low && c <= set->range[i].high)
            return true;
    return false;
}

static bool takes(const struct step *s, uint32_t c)
{
    if (s->op == OP_ANY)
        return true;
    if (s->op == OP_CHARACTER)
        return letter_lower(c) == s->a;
    bool in = in_ranges(&s->set, c) || in_ranges(&s->set, letter_lower(c)) ||
              in_ranges(&s->set, letter_upper(c));
    return in != s->set.negated;
}

/* Threads over the character at hand; a match ends those that are less preferred. */
static bool advance(struct machine *m, const struct list *now, struct list *next, uint32_t c, bool end,
                    struct regex_match *out)
{
    bool matched = false;
    size_t behind = m->place;
    next->count = 0;
    if (!end)
        m->place += utf8_length(m->text.at[m->place]);
    m->round++;
    for (uint32_t i = 0; i < now->count; i++) {
        const struct thread *t = &now->thread[i];
        const struct step *s = &m->regex->step[t->at];
        if (s->op == OP_MATCH) {
            for (unsigned g = 0; g < REGEX_GROUPS; g++) {
                out->from[g] = t->saved[2 * g];
                out->to[g] = t->saved[2 * g + 1];
            }
            out->to[0] = behind;
            matched = true;
            break;
        }
        if (end || !takes(s, c))
            continue;
        memcpy(m->saved, t->saved, sizeof m->saved);
        follow(m, next, t->at + 1);
    }
    return matched;
}

static enum code prepare(struct machine *m, struct list *a, struct list *b, struct arena *scratch)
{
    uint32_t n = m->regex->count;
    a->thread = arena_take(scratch, n * sizeof *a->thread);
    b->thread = arena_take(scratch, n * sizeof *b->thread);
    m->mark = arena_zero(scratch, n * sizeof *m->mark);
    m->todo = arena_take(scratch, (2 * (size_t)n + 2) * sizeof *m->todo);
    return a->thread && b->thread && m->mark && m->todo ? CODE_OK : CODE_NOMEM;
}

enum code regex_find(const struct regex *r, struct bytes text, size_t start, struct arena *scratch,
                     struct regex_match *out)
{
    struct machine m = {.regex = r, .text = text, .place = start};
    struct list now = {0}, next = {0};
    bool found = false;
    enum code code = prepare(&m, &now, &next, scratch);
    if (code)
        return code;
    m.round = 1;
    for (;;) {
        bool end = m.place == text.len;
        if (!found) { /* a match may begin here, if none has begun before */
            for (unsigned i = 0; i < 2 * REGEX_GROUPS; i++)
                m.saved[i] = SIZE_MAX;
            m.saved[0] = m.place;
            follow(&m, &now, 0);
        }
        if (now.count == 0 && (found || end))
            break;
        const uint8_t *at = text.at + (end ? 0 : m.place);
        uint32_t c = end ? 0 : utf8_next(&at);
        found |= advance(&m, &now, &next, c, end, out);
        struct list swap = now;
        now = next;
        next = swap;
        if (end)
            break;
    }
    out->seen = m.place;
    return found ? CODE_OK : CODE_NOTFOUND;
}
