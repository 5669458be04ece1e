#include "broker/retained.h"

#include "base/mem.h"
#include "journal/journal.h"
#include "mqtt/topic.h"
#include "support/memfs.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* A journal that makes handles; what they stand for does not matter here. */
struct bench {
    struct memfs    *fs;
    struct journal  *journal;
    struct retained  table;
};

static enum code nothing_to_apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    (void)ctx, (void)j, (void)r, (void)why;
    return CODE_OK;
}

static enum code no_state(void *ctx, struct journal *j, bool restart)
{
    (void)ctx, (void)j, (void)restart;
    return CODE_OK;
}

static void not_told(void *ctx, uint64_t durable)
{
    (void)ctx, (void)durable;
}

static void bench_open(struct bench *b)
{
    struct fault why;
    *b = (struct bench){ .fs = memfs_new(1) };
    struct journal_options o = { .io = memfs_io(b->fs), .data_dir = "/data", .segment_bytes = 1 << 20, .manual = true,
                                 .apply = nothing_to_apply, .write_state = no_state, .on_durable = not_told };
    if (journal_open(&b->journal, &o, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

static struct stored *handle(struct bench *b)
{
    struct record_in in = { .type = RECORD_MESSAGE, .partition = JOURNAL_NO_PARTITION, .payload = BYTES_LIT("x"), .keep = true };
    struct record_out out;
    journal_lock(b->journal);
    enum code c = journal_append(b->journal, &in, &out, NULL);
    journal_unlock(b->journal);
    assert_int_equal(c, CODE_OK);
    return out.stored;
}

static void bench_close(struct bench *b)
{
    journal_abandon(b->journal);
    retained_clear(&b->table); /* after the journal: it must not touch handles */
    memfs_free(b->fs);
}

struct found {
    struct stored *at[256];
    uint8_t        qos[256];
    size_t         count;
};

static struct found match(struct retained *r, const char *filter)
{
    struct found f = { .count = 0 };
    struct retained_search search;
    unsigned steps = 100000;
    retained_search(&search, bytes_str(filter));
    for (struct stored *st; (st = retained_found(r, &search, &steps, &f.qos[f.count]));)
        f.at[f.count++] = st;
    assert_true(search.over);
    return f;
}

static void set(struct bench *b, const char *topic)
{
    assert_int_equal(retained_set(&b->table, bytes_str(topic), handle(b), 10, 1, BYTES_NONE), CODE_OK);
}

static void filters_find_what_the_standard_says(void **state)
{
    (void)state;
    static const char *const filters[] = { "#",        "+",  "a/#", "a/+", "a/b", "a/b/#", "+/b/+", "$SYS/#",  "$SYS/+",
                                           "+/uptime", "/+", "//",  "a",   "a/",  "b/#",   "+/+",   "a/b/c/#", "a/b/c/d" };
    static const char *const topics[] = { "a", "a/b", "a/c", "a/b/c", "/x", "b//c", "$SYS", "$SYS/uptime" };
    struct bench b;
    bench_open(&b);
    for (size_t i = 0; i < 8; i++)
        set(&b, topics[i]);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        size_t got = match(&b.table, filters[i]).count, want = 0;
        for (size_t k = 0; k < 8; k++)
            want += topic_matches(bytes_str(filters[i]), bytes_str(topics[k]));
        if (got != want)
            fail_msg("%s finds %zu of %zu", filters[i], got, want);
    }
    bench_close(&b);
}

static void a_topic_holds_one_message(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct stored *first = handle(&b), *second = handle(&b);
    assert_int_equal(retained_set(&b.table, BYTES_LIT("t"), first, 10, 1, BYTES_LIT("user:a")), CODE_OK);
    assert_int_equal(retained_set(&b.table, BYTES_LIT("t"), second, 25, 2, BYTES_LIT("user:b")), CODE_OK);
    assert_ptr_equal(retained_get(&b.table, BYTES_LIT("t"), NULL), second);
    assert_int_equal(b.table.count, 1);
    assert_int_equal(b.table.bytes, 25);
    assert_true(retained_remove(&b.table, BYTES_LIT("t")));
    assert_false(retained_remove(&b.table, BYTES_LIT("t")));
    assert_null(retained_get(&b.table, BYTES_LIT("t"), NULL));
    assert_int_equal(b.table.count, 0);
    assert_int_equal(b.table.bytes, 0);
    assert_null(b.table.root); /* nothing is kept for topics that are gone */
    bench_close(&b);
}

static void a_reservation_cannot_fail_later(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    for (uint64_t n = 1;; n++) {
        char topic[40];
        (void)snprintf(topic, sizeof topic, "deep/er/and/deeper/%llu", (unsigned long long)n);
        struct stored *st = handle(&b);
        mem_fail_at(n);
        enum code c = retained_reserve(&b.table, bytes_str(topic), BYTES_NONE);
        bool refused = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(c, refused ? CODE_NOMEM : CODE_OK);
        assert_null(retained_get(&b.table, bytes_str(topic), NULL));
        assert_int_equal(match(&b.table, "#").count, n - 1);
        if (c != CODE_OK)
            assert_int_equal(retained_reserve(&b.table, bytes_str(topic), BYTES_NONE), CODE_OK);
        mem_fail_at(1);
        assert_int_equal(retained_set(&b.table, bytes_str(topic), st, 1, 0, BYTES_NONE), CODE_OK);
        mem_fail_at(0);
        if (!refused)
            break;
    }
    /* A reservation that is not used is taken back by a removal. */
    assert_int_equal(retained_reserve(&b.table, BYTES_LIT("other/one"), BYTES_NONE), CODE_OK);
    assert_false(retained_remove(&b.table, BYTES_LIT("other/one")));
    assert_int_equal(match(&b.table, "other/#").count, 0);
    bench_close(&b);
}

/* ---- against a plain array ---- */

enum { TOPICS = 60 };
struct model {
    char           topic[TOPICS][32];
    struct stored *at[TOPICS];
    uint8_t        qos[TOPICS];
    uint64_t       bytes[TOPICS];
    bool           walked[TOPICS]; /* given, or changed, in the walk that is going on */
    size_t         count;
};

static void some_topics(struct model *m, struct random *r)
{
    static const char *const words[] = { "a", "b", "", "$c", "level" };
    while (m->count < TOPICS) {
        char *t = m->topic[m->count];
        *t = 0;
        for (uint64_t i = 0, n = 1 + random_below(r, 4); i < n; i++) {
            strcat(t, i ? "/" : "");
            strcat(t, words[random_below(r, 5)]);
        }
        bool there = !*t;
        for (size_t i = 0; i < m->count; i++)
            there = there || strcmp(m->topic[i], t) == 0;
        m->count += !there;
    }
}

static void compare(struct bench *b, const struct model *m, const char *filter)
{
    struct found f = match(&b->table, filter);
    size_t want = 0;
    uint64_t count = 0, bytes = 0;
    for (size_t i = 0; i < TOPICS; i++) {
        assert_ptr_equal(retained_get(&b->table, bytes_str(m->topic[i]), NULL), m->at[i]);
        if (!m->at[i])
            continue;
        count++;
        bytes += m->bytes[i];
        if (!topic_matches(bytes_str(filter), bytes_str(m->topic[i])))
            continue;
        want++;
        bool there = false;
        for (size_t k = 0; k < f.count; k++)
            there = there || (f.at[k] == m->at[i] && f.qos[k] == m->qos[i]);
        if (!there)
            fail_msg("%s is not found by %s", m->topic[i], filter);
    }
    assert_int_equal(f.count, want);
    assert_int_equal(b->table.count, count);
    assert_int_equal(b->table.bytes, bytes);
}

static void change(struct bench *b, struct model *m, struct random *r)
{
    size_t i = random_below(r, TOPICS);
    struct bytes topic = bytes_str(m->topic[i]);
    if (random_chance(r, 60)) {
        m->at[i] = handle(b);
        m->qos[i] = (uint8_t)random_below(r, 3);
        m->bytes[i] = random_below(r, 1000);
        assert_int_equal(retained_set(&b->table, topic, m->at[i], m->bytes[i], m->qos[i], BYTES_NONE), CODE_OK);
    } else {
        assert_int_equal(retained_remove(&b->table, topic), m->at[i] != NULL);
        m->at[i] = NULL;
    }
    m->walked[i] = true; /* the change is in the log behind the beginning of the walk */
}

/* One step of a walk; false at its end. What it gives must be what the topic holds now. */
static bool walk(struct bench *b, struct model *m)
{
    struct buf topic = { 0 };
    struct bytes owner;
    uint64_t bytes;
    uint8_t qos;
    struct stored *st = retained_walk_next(&b->table, &topic, &bytes, &qos, &owner);
    size_t i = 0;
    while (st && i < TOPICS && !bytes_is(buf_bytes(&topic), m->topic[i]))
        i++;
    buf_clear(&topic);
    if (!st)
        return false;
    assert_true(i < TOPICS);
    assert_ptr_equal(st, m->at[i]);
    assert_true(bytes == m->bytes[i] && qos == m->qos[i]);
    m->walked[i] = true;
    return true;
}

static void a_table_holds_what_a_plain_list_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct random r = { seed };
        struct model m = { .count = 0 };
        struct bench b;
        bench_open(&b);
        some_topics(&m, &r);
        static const char *const filters[] = { "#", "+", "a/#", "+/b", "+/+/#", "$c/#", "a/+/b", "/+" };
        for (int i = 0; i < 500; i++) {
            change(&b, &m, &r);
            compare(&b, &m, filters[random_below(&r, 8)]);
        }
        bench_close(&b);
    }
}

/* What a round of state needs: what nobody changed meanwhile is given, and everything as it is at that moment. */
static void a_walk_survives_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct random r = { seed };
        struct model m = { .count = 0 };
        struct bench b;
        bench_open(&b);
        some_topics(&m, &r);
        for (int i = 0; i < 40; i++)
            change(&b, &m, &r);
        for (int round = 0; round < 5; round++) {
            memset(m.walked, 0, sizeof m.walked);
            retained_walk_start(&b.table);
            while (walk(&b, &m))
                if (random_chance(&r, 40))
                    change(&b, &m, &r);
            for (size_t i = 0; i < TOPICS; i++)
                assert_true(!m.at[i] || m.walked[i]);
        }
        bench_close(&b);
    }
}

/* What nobody changed meanwhile is looked at once in a round, whatever becomes of the others; who lasts is passed over. */
static void a_sweep_survives_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct random r = { seed };
        struct model m = { .count = 0 };
        struct bench b;
        const struct stored *lasting[TOPICS] = { NULL };
        struct buf topic = { 0 };
        bench_open(&b);
        some_topics(&m, &r);
        for (int i = 0; i < 200; i++)
            change(&b, &m, &r);
        for (int round = 0; round < 5; round++) {
            size_t seen[TOPICS] = { 0 };
            bool passed[TOPICS];
            for (size_t i = 0; i < TOPICS; i++)
                passed[i] = m.at[i] && m.at[i] == lasting[i];
            memset(m.walked, 0, sizeof m.walked);
            for (int pieces = 0; pieces < 1000 && (pieces == 0 || b.table.swept); pieces++) {
                unsigned looks = 1 + (unsigned)random_below(&r, 5);
                for (struct stored *st; (st = retained_sweep(&b.table, &topic, &looks));) {
                    size_t i = 0;
                    while (i < TOPICS && m.at[i] != st)
                        i++;
                    assert_true(i < TOPICS && bytes_is(buf_bytes(&topic), m.topic[i]));
                    seen[i]++;
                    if (random_chance(&r, 30))
                        change(&b, &m, &r);
                    bool there = m.at[i] == st;
                    if (random_chance(&r, 20)) {
                        assert_int_equal(retained_remove(&b.table, bytes_str(m.topic[i])), m.at[i] != NULL);
                        m.at[i] = NULL;
                        m.walked[i] = true;
                    } else if (random_chance(&r, 20)) {
                        retained_lasts(&b.table, st);
                        lasting[i] = there ? st : lasting[i];
                    }
                    if (!b.table.swept)
                        break;
                }
            }
            for (size_t i = 0; i < TOPICS; i++)
                assert_true(m.walked[i] || seen[i] == (m.at[i] && !passed[i]));
            compare(&b, &m, "#");
        }
        for (unsigned looks = 1000, left = 0; left < TOPICS; left++) { /* everything lasts: nothing is given */
            struct stored *st = retained_sweep(&b.table, &topic, &looks);
            if (st)
                retained_lasts(&b.table, st);
        }
        unsigned looks = 1000;
        assert_null(retained_sweep(&b.table, &topic, &looks));
        buf_clear(&topic);
        bench_close(&b);
    }
}

/* What a new subscription needs: what is there all the time is found once, in whatever pieces. */
static void a_search_survives_changes(void **state)
{
    (void)state;
    static const char *const filters[] = { "#", "+", "a/#", "+/b", "+/+/#", "$c/#", "a/+/b", "/+", "+/+/+", "a/b/level" };
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct random r = { seed };
        struct model m = { .count = 0 };
        struct bench b;
        bench_open(&b);
        some_topics(&m, &r);
        for (int i = 0; i < 100; i++)
            change(&b, &m, &r);
        for (int round = 0; round < 20; round++) {
            const char *filter = filters[random_below(&r, 10)];
            struct model before = m;
            unsigned times[TOPICS] = { 0 };
            bool cut = round % 5 == 4;
            struct retained_search search;
            retained_search(&search, bytes_str(filter));
            memset(m.walked, 0, sizeof m.walked);
            for (int pieces = 0; !search.over && !(cut && pieces == 5); pieces++) {
                unsigned steps = 1 + (unsigned)random_below(&r, 3);
                uint8_t qos = 9;
                struct stored *st = retained_found(&b.table, &search, &steps, &qos);
                for (size_t i = 0; st && i < TOPICS; i++)
                    if (st == m.at[i]) {
                        assert_int_equal(qos, m.qos[i]);
                        assert_true(topic_matches(bytes_str(filter), bytes_str(m.topic[i])));
                        times[i]++;
                        st = NULL;
                    }
                assert_null(st);
                for (uint64_t n = random_below(&r, 4); n; n--)
                    change(&b, &m, &r);
            }
            bool over = search.over;
            retained_search_end(&b.table, &search);
            for (size_t i = 0; i < TOPICS && over; i++)
                if (before.at[i] && !m.walked[i] && topic_matches(bytes_str(filter), bytes_str(m.topic[i])))
                    assert_int_equal(times[i], 1);
        }
        for (size_t i = 0; i < TOPICS; i++)
            (void)retained_remove(&b.table, bytes_str(m.topic[i]));
        assert_null(b.table.root); /* no search holds anything any more */
        bench_close(&b);
    }
}

static void a_search_takes_the_filters_ways_only(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    char topic[40];
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(topic, sizeof topic, "hall/line-%d/press-%d/state", i / 100, i % 100);
        set(&b, topic);
    }
    static const struct { const char *filter; unsigned found, most; } cases[] = {
        { "hall/line-3/press-5/state", 1, 5 }, { "hall/line-3/#", 100, 210 }, { "hall/line-3/+/state", 100, 210 },
        { "hall/line-99/#", 0, 5 },            { "+/+/press-7/state", 20, 70 }, { "#", 2000, 4100 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct retained_search search;
        unsigned steps = 10000, found = 0;
        uint8_t qos;
        retained_search(&search, bytes_str(cases[i].filter));
        while (retained_found(&b.table, &search, &steps, &qos))
            found++;
        assert_true(search.over);
        assert_int_equal(found, cases[i].found);
        if (10000 - steps > cases[i].most)
            fail_msg("%s took %u steps", cases[i].filter, 10000 - steps);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_find_what_the_standard_says),
        cmocka_unit_test(a_topic_holds_one_message),
        cmocka_unit_test(a_reservation_cannot_fail_later),
        cmocka_unit_test(a_table_holds_what_a_plain_list_holds),
        cmocka_unit_test(a_walk_survives_changes),
        cmocka_unit_test(a_sweep_survives_changes),
        cmocka_unit_test(a_search_survives_changes),
        cmocka_unit_test(a_search_takes_the_filters_ways_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
