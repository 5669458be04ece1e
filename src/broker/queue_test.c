#include "broker/queue.h"

#include "base/mem.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* What entries point to; the queue does not look. */
static char things[1 << 16];

static void packet_identifiers_follow_from_the_index(void **state)
{
    (void)state;
    assert_int_equal(queue_packet_id(0), 1);
    assert_int_equal(queue_packet_id(65534), 65535);
    assert_int_equal(queue_packet_id(65535), 1);
    assert_int_equal(queue_packet_id((uint64_t)65535 * 1000000 + 7), 8);
    for (uint64_t i = 0; i < 200000; i++)
        assert_int_not_equal(queue_packet_id(i), 0);
}

static struct queue queue_at_index(uint64_t index)
{
    return (struct queue){ .head = index, .tail = index };
}

static void an_identifier_finds_the_only_entry_of_the_window(void **state)
{
    (void)state;
    static const uint64_t starts[] = { 0, 1, 65530, 65534, 65535, 65536, (uint64_t)1 << 40 };
    for (size_t k = 0; k < sizeof starts / sizeof starts[0]; k++) {
        struct queue q = queue_at_index(starts[k]);
        uint64_t index;
        assert_false(queue_find(&q, 0, &index));
        assert_false(queue_find(&q, queue_packet_id(q.head), &index)); /* empty */
        for (int i = 0; i < 100; i++)
            assert_non_null(queue_push(&q, NULL));
        for (uint64_t i = q.head; i < q.tail; i++) {
            assert_true(queue_find(&q, queue_packet_id(i), &index));
            assert_true(index == i);
        }
        assert_false(queue_find(&q, queue_packet_id(q.tail), &index));
        assert_false(queue_find(&q, queue_packet_id(q.head + 65534), &index));
        for (uint64_t i = q.head, tail = q.tail; i < tail; i++)
            (void)queue_done(&q, i);
        queue_clear(&q);
    }
}

static void the_head_waits_for_the_oldest(void **state)
{
    (void)state;
    struct queue q = { 0 };
    for (int i = 0; i < 4; i++) {
        struct entry *e = queue_push(&q, NULL);
        e->what = &things[i];
        e->bytes = 10;
        q.bytes += 10;
    }
    assert_ptr_equal(queue_done(&q, 2), &things[2]);
    assert_ptr_equal(queue_done(&q, 1), &things[1]);
    assert_int_equal(q.head, 0);
    assert_int_equal(q.open, 2);
    assert_int_equal(q.bytes, 20);
    assert_ptr_equal(queue_received(&q, 0), &things[0]);
    assert_int_equal(q.bytes, 10);
    assert_int_equal(q.open, 2);
    assert_null(queue_done(&q, 0));
    assert_int_equal(q.head, 3);
    assert_ptr_equal(queue_done(&q, 3), &things[3]);
    assert_int_equal(q.head, q.tail);
    assert_int_equal(q.bytes, 0);
    queue_clear(&q);
    assert_int_equal(q.tail, 4); /* an index is never given twice */
}

static void a_long_backlog_gives_its_memory_back(void **state)
{
    (void)state;
    struct queue q = { 0 };
    for (int i = 0; i < 10000; i++)
        assert_non_null(queue_push(&q, NULL));
    for (uint64_t i = 0; i < 10000; i++)
        (void)queue_done(&q, i);
    assert_int_equal(q.cap, 0);
    assert_non_null(queue_push(&q, NULL));
    assert_int_equal(queue_packet_id(q.tail - 1), 10001);
    (void)queue_done(&q, 10000);
    queue_clear(&q);
}

/* ---- against a plain array of all indexes there ever were ---- */

enum { ALL = 4000 };
struct model {
    uint8_t state[ALL];
    void   *what[ALL];
    uint64_t head, tail;
};

static void compare(struct queue *q, const struct model *m, uint64_t base)
{
    uint32_t open = 0;
    uint64_t bytes = 0;
    assert_true(q->tail == base + m->tail && q->head == base + m->head);
    for (uint64_t i = m->head; i < m->tail; i++) {
        const struct entry *e = queue_at(q, base + i);
        assert_int_equal(e->state, m->state[i]);
        assert_ptr_equal(e->what, m->what[i]);
        open += m->state[i] != ENTRY_DONE;
        bytes += m->what[i] ? e->bytes : 0;
    }
    assert_int_equal(q->open, open);
    assert_true(q->bytes == bytes);
}

static void model_push(struct queue *q, struct model *m, uint32_t bytes)
{
    struct entry *e = queue_push(q, NULL);
    if (!e) {
        assert_true(mem_fail_fired());
        return;
    }
    assert_true(m->tail < ALL);
    e->what = m->what[m->tail] = &things[m->tail];
    e->bytes = bytes;
    q->bytes += bytes;
    m->state[m->tail++] = ENTRY_QUEUED;
}

static void model_finish(struct queue *q, struct model *m, uint64_t base, uint64_t i, bool received)
{
    if (m->state[i] == ENTRY_DONE || (received && m->state[i] == ENTRY_RECEIVED))
        return;
    void *what = received ? queue_received(q, base + i) : queue_done(q, base + i);
    assert_ptr_equal(what, m->what[i]);
    m->what[i] = NULL;
    m->state[i] = received ? ENTRY_RECEIVED : ENTRY_DONE;
    while (m->head < m->tail && m->state[m->head] == ENTRY_DONE)
        m->head++;
}

static void run_model(uint64_t seed, bool refuse)
{
    struct random r = { seed };
    struct model m = { .head = 0 };
    uint64_t base = random_below(&r, 3) * 65533;
    struct queue q = queue_at_index(base);
    for (int step = 0; step < 5000; step++) {
        if (refuse)
            mem_fail_at(random_below(&r, 3));
        unsigned pushes = random_chance(&r, 50) ? 45 : 60; /* it grows and shrinks */
        if (random_chance(&r, pushes) && m.tail < ALL)
            model_push(&q, &m, (uint32_t)random_below(&r, 1000));
        else if (m.head < m.tail)
            model_finish(&q, &m, base, m.head + random_below(&r, m.tail - m.head), random_chance(&r, 30));
        mem_fail_at(0);
        compare(&q, &m, base);
    }
    while (m.head < m.tail)
        model_finish(&q, &m, base, m.head, false);
    compare(&q, &m, base);
    queue_clear(&q);
}

static void a_queue_holds_what_a_plain_array_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        run_model(seed, false);
}

static void a_refused_allocation_leaves_the_queue_as_it_was(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed <= 30; seed++)
        run_model(seed, true);
}

static void room_that_was_reserved_is_there(void **state)
{
    (void)state;
    struct queue q = { 0 };
    for (int i = 0; i < 300; i++) {
        mem_fail_at(1);
        bool reserved = queue_reserve(&q, 1, false);
        mem_fail_at(0);
        if (!reserved) {
            uint64_t tail = q.tail;
            assert_true(queue_reserve(&q, 1, false));
            assert_true(q.tail == tail);
        }
        mem_fail_at(1);
        assert_non_null(queue_push(&q, NULL));
        mem_fail_at(0);
    }
    for (uint64_t i = 0; i < 300; i++)
        (void)queue_done(&q, i);
    queue_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_identifiers_follow_from_the_index),
        cmocka_unit_test(an_identifier_finds_the_only_entry_of_the_window),
        cmocka_unit_test(the_head_waits_for_the_oldest),
        cmocka_unit_test(a_long_backlog_gives_its_memory_back),
        cmocka_unit_test(a_queue_holds_what_a_plain_array_holds),
        cmocka_unit_test(a_refused_allocation_leaves_the_queue_as_it_was),
        cmocka_unit_test(room_that_was_reserved_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
