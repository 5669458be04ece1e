#include "broker/tree.h"

#include "base/mem.h"
#include "mqtt/topic.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* The tree only compares the addresses of sessions. */
static char sessions[8];

static struct session *session_number(unsigned i)
{
    return (struct session *)(void *)&sessions[i];
}

struct found {
    struct subscription at[512];
    size_t              count;
};

static void collect(void *ctx, const struct subscription *s)
{
    struct found *f = ctx;
    assert_true(f->count < 512);
    f->at[f->count++] = *s;
}

static struct found match(const struct tree *t, const char *topic)
{
    struct found f = { .count = 0 };
    tree_match(t, bytes_str(topic), collect, &f);
    return f;
}

static void add(struct tree *t, const char *filter, unsigned session, uint8_t qos, bool replaces)
{
    struct subscription s = { .session = session_number(session), .qos = qos };
    bool replaced = !replaces;
    assert_int_equal(tree_add(t, bytes_str(filter), &s, &replaced), CODE_OK);
    assert_int_equal(replaced, replaces);
}

static void filters_match_as_in_the_standards_examples(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *topic;
        bool        matches;
    } cases[] = {
        { "sport/tennis/player1/#", "sport/tennis/player1", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
        { "sport/#", "sport", true },
        { "#", "a/b/c", true },
        { "sport/tennis/+", "sport/tennis/player1", true },
        { "sport/tennis/+", "sport/tennis/player1/ranking", false },
        { "sport/+", "sport", false },
        { "sport/+", "sport/", true },
        { "+/+", "/finance", true },
        { "/+", "/finance", true },
        { "+", "/finance", false },
        { "#", "$SYS/monitor", false },
        { "+/monitor/Clients", "$SYS/monitor/Clients", false },
        { "$SYS/#", "$SYS/", true },
        { "$SYS/#", "$SYS", true },
        { "$SYS/monitor/+", "$SYS/monitor/Clients", true },
        { "a/#", "a/$b", true },
        { "a/+", "a/$b", true },
        { "A", "a", false },
        { "a/", "a", false },
        { "a//b", "a//b", true },
        { "a/+/b", "a//b", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tree t = { 0 };
        add(&t, cases[i].filter, 0, 1, false);
        if (match(&t, cases[i].topic).count != cases[i].matches)
            fail_msg("%s and %s", cases[i].filter, cases[i].topic);
        tree_clear(&t);
    }
}

static void the_same_filter_again_replaces_its_options(void **state)
{
    (void)state;
    struct tree t = { 0 };
    add(&t, "a/b", 1, 0, false);
    add(&t, "a/b", 2, 1, false);
    add(&t, "a/b", 1, 2, true);
    assert_int_equal(t.count, 2);
    struct found f = match(&t, "a/b");
    assert_int_equal(f.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(f.at[i].qos, f.at[i].session == session_number(1) ? 2 : 1);
    assert_true(tree_remove(&t, BYTES_LIT("a/b"), session_number(1)));
    assert_false(tree_remove(&t, BYTES_LIT("a/b"), session_number(1)));
    assert_false(tree_remove(&t, BYTES_LIT("a"), session_number(2)));
    assert_false(tree_remove(&t, BYTES_LIT("a/b/c"), session_number(2)));
    assert_true(tree_remove(&t, BYTES_LIT("a/b"), session_number(2)));
    assert_null(t.root); /* nothing is kept for filters that are gone */
    tree_clear(&t);
}

static void a_session_with_overlapping_filters_comes_once_for_each(void **state)
{
    (void)state;
    struct tree t = { 0 };
    add(&t, "a/#", 3, 0, false);
    add(&t, "a/+", 3, 1, false);
    add(&t, "a/b", 3, 2, false);
    assert_int_equal(match(&t, "a/b").count, 3);
    assert_int_equal(match(&t, "a").count, 1);
    tree_clear(&t);
}

/* ---- against a plain array ---- */

enum { HELD_MAX = 200 };
struct held {
    char                text[40];
    struct subscription sub;
};
struct model {
    struct held at[HELD_MAX];
    size_t      count;
};

static void some_levels(struct random *r, char *out, bool filter)
{
    static const char *const words[] = { "a", "b", "", "$x", "long-level" };
    size_t n = 1 + random_below(r, 4);
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (i)
            strcat(out, "/");
        if (filter && i + 1 == n && random_chance(r, 30)) {
            strcat(out, "#");
            return;
        }
        strcat(out, filter && random_chance(r, 30) ? "+" : words[random_below(r, 5)]);
    }
    if (!*out)
        strcpy(out, "a");
}

static struct held *find(struct model *m, const char *text, const struct session *s)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].sub.session == s && strcmp(m->at[i].text, text) == 0)
            return &m->at[i];
    return NULL;
}

static void model_add(struct model *m, struct tree *t, const char *text, const struct subscription *s)
{
    struct held *h = find(m, text, s->session);
    bool replaced;
    if (!h && m->count == HELD_MAX)
        return;
    enum code c = tree_add(t, bytes_str(text), s, &replaced);
    if (c != CODE_OK) { /* an allocation was refused: nothing may have changed */
        assert_int_equal(c, CODE_NOMEM);
        assert_true(mem_fail_fired());
        return;
    }
    assert_int_equal(replaced, h != NULL);
    if (!h) {
        h = &m->at[m->count++];
        strcpy(h->text, text);
    }
    h->sub = *s;
}

static void model_remove(struct model *m, struct tree *t, const char *text, const struct session *s)
{
    struct held *h = find(m, text, s);
    assert_int_equal(tree_remove(t, bytes_str(text), s), h != NULL);
    if (h)
        *h = m->at[--m->count];
}

static void compare(const struct model *m, const struct tree *t, const char *topic)
{
    struct found f = match(t, topic);
    size_t want = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!topic_matches(bytes_str(m->at[i].text), bytes_str(topic)))
            continue;
        want++;
        bool there = false;
        for (size_t k = 0; k < f.count; k++)
            there = there || memcmp(&f.at[k], &m->at[i].sub, sizeof f.at[k]) == 0;
        if (!there)
            fail_msg("%s is not found for %s", m->at[i].text, topic);
    }
    if (want != f.count)
        fail_msg("%s: %zu instead of %zu", topic, f.count, want);
    assert_int_equal(t->count, m->count);
}

static void run_model(uint64_t seed, unsigned steps, bool refuse)
{
    struct random r = { seed };
    struct model m = { .count = 0 };
    struct tree t = { 0 };
    char text[64];
    for (unsigned i = 0; i < steps; i++) {
        struct session *s = session_number((unsigned)random_below(&r, 8));
        struct subscription sub;
        memset(&sub, 0, sizeof sub);
        sub.session = s;
        sub.qos = (uint8_t)random_below(&r, 3);
        sub.retain_handling = (uint8_t)random_below(&r, 3);
        sub.no_local = random_chance(&r, 50);
        sub.retain_as_published = random_chance(&r, 50);
        some_levels(&r, text, true);
        if (refuse)
            mem_fail_at(1 + random_below(&r, 6));
        if (random_chance(&r, 55))
            model_add(&m, &t, text, &sub);
        else
            model_remove(&m, &t, text, s);
        mem_fail_at(0);
        some_levels(&r, text, false);
        compare(&m, &t, text);
    }
    while (m.count) {
        struct held last = m.at[m.count - 1];
        model_remove(&m, &t, last.text, last.sub.session);
    }
    assert_null(t.root);
    tree_clear(&t);
}

static void a_tree_finds_what_a_plain_list_finds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_model(seed, 1000, false);
    }
}

static void a_refused_allocation_leaves_the_tree_as_it_was(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed <= 120; seed++)
        run_model(seed, 1000, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match_as_in_the_standards_examples),
        cmocka_unit_test(the_same_filter_again_replaces_its_options),
        cmocka_unit_test(a_session_with_overlapping_filters_comes_once_for_each),
        cmocka_unit_test(a_tree_finds_what_a_plain_list_finds),
        cmocka_unit_test(a_refused_allocation_leaves_the_tree_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
