#include "net/out.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

enum { STREAM = 200000, REFS = 4000 };

static uint8_t stream[STREAM]; /* what was put in   */
static uint8_t got[STREAM];    /* what came out     */
static uint8_t room[STREAM];   /* what is lent lies here, at its place in the stream, until the turn ends */
static unsigned released[REFS], refs;
static uint64_t ref_end[REFS]; /* where it ends in the stream */
static uint64_t sent;

static void release(void *arg)
{
    released[(unsigned *)arg - released]++;
}

static void add_some(struct out *o, size_t *put)
{
    size_t n = 1 + (size_t)(draw() % (draw() % 8 ? 40 : 9000));
    if (*put + n > STREAM)
        return;
    for (size_t i = 0; i < n; i++)
        stream[*put + i] = (uint8_t)draw();
    if (draw() % 2 && refs < REFS) {
        ref_end[refs] = *put + n;
        out_ref(o, bytes_of(stream + *put, n), release, &released[refs]);
        refs++;
    } else if (draw() % 2) {
        memcpy(room + *put, stream + *put, n);
        out_lend(o, bytes_of(room + *put, n));
    } else {
        out_settle(o);
        buf_add(&o->copy, stream + *put, n);
    }
    *put += n;
}

static void end_turn(struct out *o)
{
    assert_true(out_keep(o));
    memset(room, 0xee, sizeof room);
}

static void send_some(struct out *o, int vectors)
{
    struct iovec v[64];
    size_t offered, total = 0;
    int n = out_vectors(o, v, vectors, &offered);
    assert_true(n <= vectors);
    size_t take = offered ? 1 + (size_t)(draw() % offered) : 0;
    if (draw() % 3 == 0)
        take = offered;
    for (int i = 0; i < n; i++) {
        assert_true(v[i].iov_len > 0);
        if (total < take)
            memcpy(got + sent + total, v[i].iov_base,
                   v[i].iov_len < take - total ? v[i].iov_len : take - total);
        total += v[i].iov_len;
    }
    assert_int_equal(total, offered);
    out_sent(o, take);
    sent += take;
    for (unsigned i = 0; i < refs; i++)
        if (released[i] != (ref_end[i] <= sent))
            fail_msg("reference %u, sent: %d, released %u times", i, ref_end[i] <= sent, released[i]);
}

/* All of it moves on to another one, in pieces that begin as they are announced. */
static void move_on(struct out_pool *pool, struct out **o)
{
    struct out *to = out_take(pool, 3);
    for (size_t left, at = sent; (left = out_unsent(*o)) != 0;) {
        uint8_t front[8];
        size_t n = 1 + (size_t)(draw() % left), seen = out_peek(*o, front, sizeof front);
        assert_int_equal(seen, left < sizeof front ? left : sizeof front);
        assert_memory_equal(front, stream + at, seen);
        out_move(to, *o, n);
        assert_int_equal(out_unsent(*o), left - n);
        at += n;
    }
    assert_int_equal(out_owned(*o), 0);
    out_give(pool, *o);
    *o = to;
}

static void copies_and_references_leave_in_their_order(void **state)
{
    (void)state;
    struct out_pool pool = { 0 };
    for (uint64_t round = 1; round <= 60; round++) {
        seed = round * 0x9e3779b97f4a7c15;
        refs = 0;
        sent = 0;
        memset(released, 0, sizeof released);
        size_t put = 0;
        struct out *o = out_take(&pool, round % OUT_CLASSES);
        for (int step = 0; step < 400; step++) {
            if (draw() % 8 == 0)
                end_turn(o);
            else if (round % 4 == 0 && draw() % 8 == 0)
                move_on(&pool, &o);
            else if (draw() % 3)
                add_some(o, &put);
            else
                send_some(o, round % 2 ? 64 : 1 + (int)(draw() % 5));
            assert_int_equal(out_unsent(o), put - sent);
            assert_true(out_owned(o) <= out_unsent(o));
        }
        if (round % 3)
            while (out_unsent(o))
                send_some(o, 64);
        assert_memory_equal(stream, got, sent);
        assert_false(o->bad || o->copy.bad);
        out_give(&pool, o);
        for (unsigned i = 0; i < refs; i++)
            assert_int_equal(released[i], 1);
    }
    out_pool_clear(&pool);
}

static void a_reference_that_cannot_be_noted_is_released_and_remembered(void **state)
{
    (void)state;
    struct out_pool pool = { 0 };
    memset(released, 0, sizeof released);
    struct out *o = out_take(&pool, 0);
    mem_fail_at(1);
    out_ref(o, bytes_of("x", 1), release, &released[0]);
    assert_true(mem_fail_fired());
    mem_fail_at(0);
    assert_true(o->bad);
    assert_int_equal(released[0], 1);
    out_give(&pool, o);
    o = out_take(&pool, 0);
    assert_false(o->bad); /* the pool hands out clean ones */
    out_give(&pool, o);
    mem_fail_at(1);
    struct out_pool empty = { 0 };
    assert_null(out_take(&empty, 3));
    mem_fail_at(2);
    assert_null(out_take(&empty, 3));
    mem_fail_at(0);
    out_pool_clear(&empty);
    out_pool_clear(&pool);
}

static void lent_pieces_side_by_side_are_one_vector(void **state)
{
    (void)state;
    struct out_pool pool = { 0 };
    struct out *o = out_take(&pool, 0);
    struct iovec v[8];
    size_t bytes;
    for (size_t i = 0; i < 3000; i += 30)
        out_lend(o, bytes_of(room + i, 30));
    assert_int_equal(out_vectors(o, v, 8, &bytes), 1);
    assert_int_equal(bytes, 3000);
    assert_ptr_equal(v[0].iov_base, room);
    /* A short one is copied when something else follows, and then it all is one again. */
    for (size_t i = 0; i < 10; i++)
        out_lend(o, bytes_of(room + 5000 + i * 100, 50));
    out_settle(o);
    assert_int_equal(out_vectors(o, v, 8, &bytes), 2);
    assert_int_equal(bytes, 3500);
    mem_fail_at(1);
    assert_false(out_keep(o));
    mem_fail_at(0);
    assert_true(o->bad);
    out_give(&pool, o);
    out_pool_clear(&pool);
}

static void a_pool_keeps_only_so_much(void **state)
{
    (void)state;
    struct out_pool pool = { 0 };
    struct out *o[600];
    for (int i = 0; i < 600; i++) {
        o[i] = out_take(&pool, (unsigned)i % OUT_CLASSES);
        assert_int_equal(o[i]->copy.cap, (size_t)OUT_SMALLEST << (i % OUT_CLASSES));
    }
    for (int i = 0; i < 600; i++)
        out_give(&pool, o[i]);
    size_t kept = 0;
    for (unsigned c = 0; c < OUT_CLASSES; c++)
        kept += pool.count[c] * ((size_t)OUT_SMALLEST << c);
    assert_true(kept <= OUT_CLASSES * (size_t)256 * 1024);
    assert_int_equal(pool.count[OUT_CLASSES - 1], 1);
    assert_true(pool.outs_count <= 64);
    out_pool_clear(&pool);
}

/* What a budget is kept by. */
static void a_pool_knows_what_is_in_use(void **state)
{
    (void)state;
    static const uint8_t bytes[5000];
    struct out_pool pool = { 0 }, other = { 0 };
    struct out *o = out_take(&pool, 0), *second = out_take(&pool, 1);
    assert_int_equal(pool.bytes, 3 * OUT_SMALLEST);
    out_give(&pool, second);
    assert_int_equal(pool.bytes, OUT_SMALLEST);
    buf_add(&o->copy, bytes, sizeof bytes);
    out_count(&pool, o);
    assert_int_equal(pool.bytes, o->copy.cap);
    assert_true(pool.bytes >= sizeof bytes);
    out_lend(o, bytes_of(bytes, sizeof bytes));
    assert_true(out_keep(o));
    out_count(&pool, o);
    assert_int_equal(pool.bytes, o->copy.cap + sizeof bytes + o->cap * sizeof *o->refs);
    out_uncount(&pool, o); /* to another loop */
    assert_int_equal(pool.bytes, 0);
    out_count(&other, o);
    out_sent(o, 2 * sizeof bytes);
    out_count(&other, o);
    assert_int_equal(other.bytes, o->copy.cap + o->cap * sizeof *o->refs);
    out_give(&other, o);
    assert_int_equal(other.bytes, 0);
    out_pool_clear(&pool);
    out_pool_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_references_leave_in_their_order),
        cmocka_unit_test(a_reference_that_cannot_be_noted_is_released_and_remembered),
        cmocka_unit_test(lent_pieces_side_by_side_are_one_vector),
        cmocka_unit_test(a_pool_keeps_only_so_much),
        cmocka_unit_test(a_pool_knows_what_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
