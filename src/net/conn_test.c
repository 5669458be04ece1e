/* conn_test.c - what a connection promises, on sockets and in the simulation. */
#include "net/net_test_rig.h"

#include "base/mem.h"
#include "net/backend.h"

/* The byte at a position of every stream in here. */
static uint8_t pattern(uint64_t at)
{
    return (uint8_t)((at * 2654435761u) >> 11 ^ at >> 16);
}

/* ---- a side that sends so much, and checks and counts what it receives ---- */

struct side {
    struct rig  *rig;
    struct conn *conn;
    uint64_t sent, to_send, got, to_get;
    uint8_t *block;      /* what references point to: pattern of the first bytes of a stream */
    unsigned refs, released, drains, pauses, closes;
    bool     by_ref, naps, paused, stop_at_end, stop_at_close;
    struct timer nap;
    struct fault why;
    bool     why_given;
};

enum { BLOCK = 1 << 20 };

static void released(void *arg)
{
    ((struct side *)arg)->released++;
}

static void pump(struct side *s)
{
    while (s->sent < s->to_send && conn_unsent(s->conn) <= 256 * 1024) {
        size_t n = 1 + (size_t)(s->sent * 7 % 30011);
        if (n > s->to_send - s->sent)
            n = (size_t)(s->to_send - s->sent);
        if (s->by_ref && s->sent % 3 && s->sent + n <= BLOCK) {
            conn_send_ref(s->conn, bytes_of(s->block + s->sent, n), released, s);
            s->refs++;
        } else {
            uint8_t *to = buf_grow(conn_out(s->conn), n);
            if (!to && s->rig->torture)
                return;
            assert_non_null(to);
            for (size_t i = 0; i < n; i++)
                to[i] = pattern(s->sent + i);
        }
        s->sent += n;
    }
}

static void end_nap(struct timer *t)
{
    struct side *s = (struct side *)(void *)((char *)t - offsetof(struct side, nap));
    s->paused = false;
    conn_read_resume(s->conn);
}

static void maybe_done(struct side *s)
{
    if (s->stop_at_end && s->got == s->to_get && s->sent == s->to_send)
        loop_stop(s->rig->loop);
}

static size_t side_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct side *s = ctx;
    assert_false(s->paused);
    assert_true(s->got + in.len <= s->to_get);
    for (size_t i = 0; i < in.len; i++)
        if (in.at[i] != pattern(s->got + i))
            fail_msg("byte %llu is wrong", (unsigned long long)(s->got + i));
    s->got += in.len;
    if (s->naps && s->got % 5 == 0) {
        s->paused = true;
        s->pauses++;
        conn_read_pause(c);
        timer_start(s->rig->loop, &s->nap, (int64_t)(s->got % 3) * 10, end_nap);
    }
    maybe_done(s);
    return in.len;
}

static void side_drained(void *ctx, struct conn *c)
{
    struct side *s = ctx;
    (void)c;
    s->drains++;
    pump(s);
    maybe_done(s);
}

static void side_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct side *s = ctx;
    assert_ptr_equal(s->conn, c);
    s->closes++;
    s->conn = NULL;
    s->why_given = why;
    if (why)
        s->why = *why;
    timer_stop(s->rig->loop, &s->nap);
    if (s->stop_at_close)
        loop_stop(s->rig->loop);
}

static void side_open(void *ctx, struct conn *c)
{
    struct side *s = ctx;
    (void)c;
    conn_set_marks(s->conn, 200 * 1024, 64 * 1024);
    pump(s);
}

static const struct conn_events side_events = {
    .on_bytes = side_bytes, .on_drained = side_drained, .on_close = side_close, .on_open = side_open
};

/* The accepting side learns its connection by its first event. */
static size_t first_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct side *s = ctx;
    s->conn = c;
    conn_set_events(c, &side_events, s);
    conn_set_marks(c, 200 * 1024, 64 * 1024);
    pump(s);
    (void)in;
    return 0;
}

static void first_close(void *ctx, struct conn *c, const struct fault *why)
{
    ((struct side *)ctx)->conn = c;
    side_close(ctx, c, why);
}

static const struct conn_events first_events = { .on_bytes = first_bytes, .on_close = first_close };

static void two_sides(struct rig *r, struct side *near, struct side *far)
{
    near->rig = far->rig = r;
    near->block = far->block = malloc(BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        near->block[i] = pattern(i);
    r->events = &first_events;
    r->ctx = far;
    near->conn = rig_dial(r, &side_events, near);
}

static uint64_t many(const struct rig *r)
{
    return r->sim ? 600 * 1024 : 12 * 1024 * 1024;
}

/* ---- tests ---- */

static void much_goes_both_ways_under_back_pressure(void **state)
{
    struct rig r;
    struct side near = { 0 }, far = { 0 };
    rig_open_kind(&r, state);
    near.to_send = far.to_get = many(&r);
    far.to_send = near.to_get = many(&r) + 12345;
    near.by_ref = far.by_ref = true;
    near.naps = far.naps = true;
    two_sides(&r, &near, &far);
    /* Both must have everything; whoever is last stops the loop. */
    near.stop_at_end = far.stop_at_end = true;
    rig_run(&r);
    while (near.got < near.to_get || far.got < far.to_get)
        rig_run(&r);
    assert_true(near.drains > 0 && far.drains > 0);
    assert_true(near.pauses > 0 && far.pauses > 0);
    assert_int_equal(conn_unsent(near.conn), 0);
    assert_true(near.refs > 5);
    assert_int_equal(near.refs, near.released);
    assert_int_equal(far.refs, far.released);
    rig_close(&r);
    assert_int_equal(near.closes, 1);
    assert_int_equal(far.closes, 1);
    free(near.block);
}

static void references_are_released_once_when_the_connection_goes(void **state)
{
    struct rig r;
    struct side near = { 0 }, far = { 0 };
    rig_open_kind(&r, state);
    near.to_send = far.to_get = 64 * 1024;
    two_sides(&r, &near, &far);
    far.stop_at_end = true;
    rig_run(&r);
    conn_read_pause(far.conn);
    for (int i = 0; i < 40; i++) {
        conn_send_ref(near.conn, bytes_of(near.block, BLOCK), released, &near);
        buf_u8(conn_out(near.conn), 1);
    }
    assert_int_equal(conn_unsent(near.conn), 40 * (size_t)BLOCK + 40);
    conn_send_ref(near.conn, BYTES_NONE, released, &near);
    assert_int_equal(near.released, 1);
    conn_close(near.conn, false);
    assert_int_equal(near.released, 1);
    conn_send_ref(near.conn, bytes_of(near.block, 1), released, &near);
    assert_int_equal(near.released, 2); /* closed: at once */
    assert_null(buf_grow(conn_out(near.conn), 1));
    assert_int_equal(near.closes, 0); /* never from inside conn_close */
    rig_close(&r);
    assert_int_equal(near.released, 42);
    assert_int_equal(near.closes, 1);
    assert_true(near.why_given);
    assert_int_equal(near.why.code, CODE_CLOSED);
    free(near.block);
}

static void a_close_with_flush_sends_everything_first(void **state)
{
    struct rig r;
    struct side near = { 0 }, far = { 0 };
    rig_open_kind(&r, state);
    near.to_send = 3;
    far.to_get = 3 + 2 * (uint64_t)BLOCK;
    two_sides(&r, &near, &far);
    far.stop_at_end = true;
    far.got = 0;
    /* The first three bytes open the far side; then all the rest and the close in one turn. */
    far.to_get = 3;
    rig_run(&r);
    far.to_get = 3 + BLOCK;
    near.to_send = 3 + BLOCK;
    near.by_ref = true;
    conn_set_marks(near.conn, 1 << 30, 0);
    while (near.sent < near.to_send) {
        size_t n = (size_t)(near.to_send - near.sent);
        n = n > 5000 ? 5000 : n;
        for (size_t i = 0; i < n; i++)
            buf_u8(conn_out(near.conn), pattern(near.sent + i));
        near.sent += n;
    }
    conn_close(near.conn, true);
    conn_close(near.conn, true);
    assert_int_equal(near.closes, 0);
    rig_run(&r);
    assert_int_equal(far.got, far.to_get);
    rig_close(&r);
    assert_int_equal(near.closes, 1);
    assert_false(near.why_given);
    assert_int_equal(far.closes, 1);
    assert_int_equal(far.why.code, CODE_CLOSED);
    free(near.block);
}

static void a_close_with_flush_ends_after_five_seconds(void **state)
{
    struct rig r;
    struct side near = { 0 }, far = { 0 };
    rig_open_kind(&r, state);
    near.to_send = far.to_get = 10;
    two_sides(&r, &near, &far);
    far.stop_at_end = true;
    rig_run(&r);
    conn_read_pause(far.conn);
    for (int i = 0; i < 32; i++)
        conn_send_ref(near.conn, bytes_of(near.block, BLOCK), released, &near);
    int64_t start = loop_now_us(r.loop);
    near.stop_at_close = true;
    conn_close(near.conn, true);
    rig_run(&r);
    int64_t took = loop_now_us(r.loop) - start;
    assert_true(took >= 4900000 && took < 6000000);
    rig_close(&r);
    assert_int_equal(near.closes, 1);
    assert_int_equal(near.released, 32);
    free(near.block);
}

static void the_end_of_the_peer_is_told_once(void **state)
{
    struct rig r;
    struct side near = { 0 }, far = { 0 };
    rig_open_kind(&r, state);
    near.to_send = far.to_get = 100;
    two_sides(&r, &near, &far);
    far.stop_at_end = true;
    rig_run(&r);
    far.stop_at_close = true;
    conn_close(near.conn, false);
    rig_run(&r);
    assert_int_equal(near.closes, 1);
    assert_false(near.why_given); /* nothing was unsent */
    assert_int_equal(far.closes, 1);
    assert_int_equal(far.why.code, CODE_CLOSED);
    assert_non_null(strstr(far.why.text, " closed the connection"));
    rig_close(&r);
    assert_int_equal(far.closes, 1);
    free(near.block);
}

/* The kernel resets a connection that is closed over unread bytes. */
static void a_reset_is_told_with_the_kernels_word(void **state)
{
    struct rig r;
    struct side near = { 0 }, far = { 0 };
    (void)state;
    rig_open(&r, false, 0);
    near.to_send = far.to_get = 100;
    two_sides(&r, &near, &far);
    far.stop_at_end = true;
    rig_run(&r);
    conn_read_pause(near.conn);
    conn_send_ref(far.conn, bytes_of(far.block, 100000), released, &far);
    loop_stop(r.loop); /* the bytes leave, and are not read */
    rig_run(&r);
    far.stop_at_close = true;
    conn_close(near.conn, false);
    rig_run(&r);
    assert_int_equal(far.released, 1);
    assert_int_equal(far.why.code, CODE_IO);
    assert_int_equal(far.why.sys_errno, 104); /* ECONNRESET */
    rig_close(&r);
    free(near.block);
}

/* ---- what was read is sent on ---- */

enum { SIDES = 6 };
struct echo {
    unsigned lent, pieces;
    size_t   most; /* of the lent buffer in use at once */
    uint64_t expect;
    struct { const struct conn *conn; uint64_t got; } of[SIDES];
};

/* In pieces of all sizes; some are copied, some are left for the next time. */
static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct echo *e = ctx;
    struct loop *l = conn_loop(c);
    size_t used = 0;
    int who = 0;
    while (e->of[who].conn && e->of[who].conn != c)
        who++;
    e->of[who].conn = c;
    bool more = e->of[who].got + in.len < e->expect;
    while (used < in.len) {
        size_t n = 1 + (size_t)in.at[used] * in.at[used] % 3001;
        if (n > in.len - used && more)
            break;
        if (n > in.len - used)
            n = in.len - used;
        struct bytes piece = bytes_of(in.at + used, n);
        if (e->pieces++ % 5)
            conn_send_lent(c, piece);
        else
            buf_add_bytes(conn_out(c), piece);
        e->lent += l->lent_out;
        e->most = l->lent_at > e->most ? l->lent_at : e->most;
        used += n;
    }
    e->of[who].got += used;
    return used;
}

static void echo_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx, (void)c, (void)why;
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = echo_close };

static void what_was_read_is_sent_on_in_order_and_whole(void **state)
{
    struct rig r;
    struct side sides[SIDES] = { 0 };
    struct echo echo = { 0 };
    rig_open_kind(&r, state);
    r.events = &echo_events;
    r.ctx = &echo;
    echo.expect = many(&r) / 3;
    for (int i = 0; i < SIDES; i++) {
        sides[i].rig = &r;
        sides[i].to_send = sides[i].to_get = many(&r) / 3 + (uint64_t)i;
        sides[i].naps = i % 2; /* and so blocks the echo: what was lent has to be kept */
        sides[i].stop_at_end = true;
        sides[i].conn = rig_dial(&r, &side_events, &sides[i]);
    }
    for (int i = 0; i < SIDES; i++)
        while (sides[i].got < sides[i].to_get)
            rig_run(&r);
    assert_true(echo.lent > 100);
    assert_true(echo.most > NET_LENT_BYTES && echo.most <= NET_LENT_TURN);
    rig_close(&r);
}

/* ---- parsing in place ---- */

/* Packets: u32 length, then as many bytes, each the low byte of the length. */
struct packets {
    struct rig *rig;
    unsigned    got, expect;
    bool        ask;     /* use conn_want */
    unsigned    calls, in_vain;
    size_t      asked;
    bool        one_by_one; /* pause after each packet, resume by a letter of its own */
    bool        woken;
    struct letter letter;
    struct conn *conn;
};

static void packets_go_on(struct letter *l, struct loop *here)
{
    struct packets *p = (struct packets *)(void *)((char *)l - offsetof(struct packets, letter));
    (void)here;
    p->woken = false;
    conn_read_resume(p->conn);
}

static size_t packets_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct packets *p = ctx;
    size_t used = 0;
    p->calls++;
    assert_false(p->woken);
    assert_true(in.len >= p->asked);
    p->asked = 0;
    for (;;) {
        uint32_t n;
        if (in.len - used < 4) {
            p->asked = p->ask ? 4 : 0;
            break;
        }
        memcpy(&n, in.at + used, 4);
        if (in.len - used - 4 < n) {
            p->asked = p->ask ? n + 4 : 0;
            break;
        }
        for (uint32_t i = 0; i < n; i++)
            if (in.at[used + 4 + i] != (uint8_t)n)
                fail_msg("packet %u of %u bytes is damaged at %u", p->got, n, i);
        used += 4 + n;
        p->got++;
        if (p->one_by_one) {
            conn_read_pause(c);
            p->conn = c;
            p->woken = true;
            p->letter.open = packets_go_on;
            loop_post(p->rig->loop, &p->letter);
            break;
        }
    }
    p->in_vain += used == 0;
    if (p->asked)
        conn_want(c, p->asked);
    if (p->got == p->expect)
        loop_stop(p->rig->loop);
    return used;
}

static void no_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static size_t no_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    (void)c;
    return in.len;
}

static const struct conn_events packets_events = { .on_bytes = packets_bytes, .on_close = no_close };

static const uint32_t sizes[] = { 0,     1,     2,     3,     255, 256,    16379, 16380, 16381, 65531,
                                  65532, 65533, 70000, 3, 300000, 0, 81916, 81917, 5, 1000000 };

static void send_packets(void *ctx, struct conn *c)
{
    struct buf *out = conn_out(c);
    if (ctx) { /* small ones: they all come at once, and nothing after them */
        for (int i = 0; i < 20; i++)
            buf_add(out, "\1\0\0\0\1", 5);
        return;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        buf_le32(out, sizes[i]);
        uint8_t *to = buf_grow(out, sizes[i]);
        assert_non_null(to);
        memset(to, (uint8_t)sizes[i], sizes[i]);
    }
}

static const struct conn_events sender_events = {
    .on_bytes = no_bytes, .on_close = no_close, .on_open = send_packets
};

static void parse_packets(void **state, bool ask, bool one_by_one)
{
    struct rig r;
    struct packets p = { .rig = &r, .ask = ask, .one_by_one = one_by_one };
    p.expect = sizeof sizes / sizeof sizes[0];
    rig_open_kind(&r, state);
    r.events = &packets_events;
    r.ctx = &p;
    rig_dial(&r, &sender_events, NULL);
    rig_run(&r);
    assert_int_equal(p.got, p.expect);
    if (ask) /* a head that came alone, and a body that did not come whole */
        assert_true(p.in_vain <= p.expect * 2 + 2);
    rig_close(&r);
}

static void left_over_bytes_are_shown_again_with_more(void **state)
{
    parse_packets(state, false, false);
}

static void a_call_comes_with_what_was_wanted(void **state)
{
    parse_packets(state, true, false);
}

static void a_pause_in_the_midst_of_bytes_keeps_the_rest(void **state)
{
    parse_packets(state, false, true);
    parse_packets(state, true, true);
}

static void the_rest_is_shown_after_a_pause_although_nothing_more_comes(void **state)
{
    struct rig r;
    struct packets p = { .rig = &r, .expect = 20, .one_by_one = true };
    rig_open_kind(&r, state);
    r.events = &packets_events;
    r.ctx = &p;
    rig_dial(&r, &sender_events, &p);
    rig_run(&r);
    rig_close(&r);
}

/* ---- changing who is called ---- */

struct swap {
    struct rig *rig;
    char text[16];
    unsigned first_calls, second_calls, closes;
};

static size_t second_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct swap *s = ctx;
    (void)c;
    s->second_calls++;
    size_t have = strlen(s->text);
    memcpy(s->text + have, in.at, in.len);
    if (strcmp(s->text, "hello") == 0)
        loop_stop(s->rig->loop);
    return in.len;
}

static void swap_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)c;
    (void)why;
    ((struct swap *)ctx)->closes++;
}

static const struct conn_events second_events = { .on_bytes = second_bytes, .on_close = swap_close };

static size_t sniff(void *ctx, struct conn *c, struct bytes in)
{
    struct swap *s = ctx;
    s->first_calls++;
    if (in.len < 2) {
        conn_want(c, 2);
        return 0;
    }
    assert_memory_equal(in.at, "2:", 2);
    conn_set_events(c, &second_events, s);
    return 2;
}

static const struct conn_events sniff_events = { .on_bytes = sniff, .on_close = no_close };

static void say_hello(void *ctx, struct conn *c)
{
    (void)ctx;
    buf_add(conn_out(c), "2:hello", 7);
}

static const struct conn_events hello_events = {
    .on_bytes = no_bytes, .on_close = no_close, .on_open = say_hello
};

static void the_rest_goes_to_the_new_events(void **state)
{
    struct rig r;
    struct swap s = { .rig = &r };
    rig_open_kind(&r, state);
    r.events = &sniff_events;
    r.ctx = &s;
    rig_dial(&r, &hello_events, NULL);
    rig_run(&r);
    assert_string_equal(s.text, "hello");
    assert_true(s.second_calls >= 1);
    rig_close(&r);
    assert_int_equal(s.closes, 1);
}

/* ---- the turn ---- */

struct order {
    struct rig  *rig;
    char         seen[64];
    struct conn *conn;
    struct letter a, b;
    unsigned     turns, calls;
    size_t       largest;
};

static void note(struct order *o, char c)
{
    size_t n = strlen(o->seen);
    if (n + 1 < sizeof o->seen)
        o->seen[n] = c;
}

static void open_a(struct letter *l, struct loop *here)
{
    struct order *o = (struct order *)(void *)((char *)l - offsetof(struct order, a));
    assert_ptr_equal(here, o->rig->loop);
    note(o, 'a');
    buf_add(conn_out(o->conn), "letter a ", 9);
}

static void open_b(struct letter *l, struct loop *here)
{
    struct order *o = (struct order *)(void *)((char *)l - offsetof(struct order, b));
    (void)here;
    note(o, 'b');
    buf_add(conn_out(o->conn), "letter b ", 9);
}

static void at_turn(void *ctx)
{
    struct order *o = ctx;
    o->turns++;
    if (strcmp(o->seen, "xab") == 0) {
        note(o, 't');
        buf_add(conn_out(o->conn), "turn", 4);
    }
}

static size_t order_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct order *o = ctx;
    o->conn = c;
    note(o, 'x');
    o->a.open = open_a;
    o->b.open = open_b;
    loop_post(o->rig->loop, &o->a);
    loop_post(o->rig->loop, &o->b);
    buf_add(conn_out(c), "event ", 6);
    return in.len;
}

static const struct conn_events order_events = { .on_bytes = order_bytes, .on_close = no_close };

static size_t answer_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct order *o = ctx;
    (void)c;
    o->calls++;
    if (in.len > o->largest)
        o->largest = in.len;
    if (in.len < 28)
        return 0;
    assert_memory_equal(in.at, "event letter a letter b turn", 28);
    loop_stop(o->rig->loop);
    return in.len;
}

static void poke(void *ctx, struct conn *c)
{
    (void)ctx;
    buf_u8(conn_out(c), 1);
}

static const struct conn_events answer_events = {
    .on_bytes = answer_bytes, .on_close = no_close, .on_open = poke
};

static void what_a_turn_produces_leaves_in_one_piece(void **state)
{
    struct rig r;
    struct order o = { .rig = &r };
    rig_open_kind(&r, state);
    r.events = &order_events;
    r.ctx = &o;
    loop_set_turn(r.loop, at_turn, &o);
    rig_dial(&r, &answer_events, &o);
    rig_run(&r);
    assert_string_equal(o.seen, "xabt");
    if (*(int *)*state != 2)
        assert_int_equal(o.calls, 1);
    rig_close(&r);
}

/* ---- dialling ---- */

struct refusal {
    struct rig *rig;
    unsigned    opens, closes;
    struct fault why;
};

static void refusal_open(void *ctx, struct conn *c)
{
    (void)c;
    ((struct refusal *)ctx)->opens++;
}

static void refusal_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct refusal *f = ctx;
    (void)c;
    f->closes++;
    if (why)
        f->why = *why;
    loop_stop(f->rig->loop);
}

static const struct conn_events refusal_events = {
    .on_bytes = no_bytes, .on_close = refusal_close, .on_open = refusal_open
};

static void stop_when_accepted(void *ctx)
{
    struct rig *r = ctx;
    if (r->accepted)
        loop_stop(r->loop);
}

static void a_connection_knows_the_door_it_came_through(void **state)
{
    struct rig r;
    struct refusal f = { .rig = &r };
    rig_open_kind(&r, state);
    listener_set_door(r.listener, 7);
    static const struct conn_events quiet = { .on_bytes = no_bytes, .on_close = no_close };
    r.events = &quiet;
    struct conn *c = rig_dial(&r, &refusal_events, &f);
    loop_set_turn(r.loop, stop_when_accepted, &r);
    rig_run(&r);
    assert_int_equal(conn_door(r.accepted), 7);
    assert_int_equal(conn_door(c), 0);
    rig_close(&r);
}

static void a_refused_dial_ends_in_on_close(void **state)
{
    struct rig r;
    struct fault why;
    struct refusal f = { .rig = &r };
    struct conn *c;
    rig_open_kind(&r, state);
    uint16_t port = listener_port(r.listener);
    listener_close(r.listener);
    rig_ok(conn_dial(&c, r.loop, "127.0.0.1", port, &refusal_events, &f, &why), &why);
    rig_run(&r);
    assert_int_equal(f.opens, 0);
    assert_int_equal(f.closes, 1);
    assert_int_equal(f.why.code, CODE_IO);
    assert_int_equal(f.why.sys_errno, 111); /* ECONNREFUSED */
    rig_close(&r);
}

static void a_dial_can_be_closed_at_once(void **state)
{
    struct rig r;
    struct refusal f = { .rig = &r };
    rig_open_kind(&r, state);
    static const struct conn_events quiet = { .on_bytes = no_bytes, .on_close = no_close };
    r.events = &quiet;
    struct conn *c = rig_dial(&r, &refusal_events, &f);
    buf_add(conn_out(c), "never sent", 10);
    conn_close(c, true);
    rig_run(&r);
    assert_int_equal(f.opens, 0);
    assert_int_equal(f.closes, 1);
    /* And one that is still under way when the loop closes. */
    rig_dial(&r, &refusal_events, &f);
    rig_close(&r);
    assert_int_equal(f.closes, 2);
}

static void bytes_written_before_the_connection_is_open_are_sent(void **state)
{
    struct rig r;
    struct swap s = { .rig = &r };
    rig_open_kind(&r, state);
    r.events = &second_events;
    r.ctx = &s;
    static const struct conn_events quiet = { .on_bytes = no_bytes, .on_close = no_close };
    struct conn *c = rig_dial(&r, &quiet, NULL);
    buf_add(conn_out(c), "hel", 3);
    conn_send_ref(c, BYTES_LIT("lo"), NULL, NULL);
    rig_run(&r);
    rig_close(&r);
}

/* ---- memory ---- */

static void scenario(struct rig *r, struct side *near, struct side *far)
{
    near->to_send = far->to_get = 200 * 1024;
    near->by_ref = true;
    far->stop_at_end = true;
    near->rig = far->rig = r;
    r->events = &first_events;
    r->ctx = far;
}

/* In the simulation only: everything happens in the same order each time. */
static void each_failed_allocation_costs_one_connection_at_most(void **state)
{
    (void)state;
    uint8_t *block = malloc(BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = pattern(i);
    for (uint64_t n = 1;; n++) {
        struct rig r;
        struct fault why;
        struct side near = { .block = block }, far = { .block = block };
        rig_open(&r, true, n);
        r.torture = true;
        scenario(&r, &near, &far);
        mem_fail_at(n);
        struct conn *c = NULL;
        enum code code =
            conn_dial(&c, r.loop, "127.0.0.1", listener_port(r.listener), &side_events, &near, &why);
        near.conn = c;
        if (code == CODE_OK) {
            sim_step(r.sim);
            sim_advance(r.sim, 1000000);
        } else {
            assert_int_equal(code, CODE_NOMEM);
        }
        int fired = mem_fail_fired();
        mem_fail_at(0);
        rig_close(&r);
        assert_int_equal(near.closes, code == CODE_OK);
        assert_int_equal(near.refs, near.released);
        if (!fired) {
            assert_int_equal(far.got, far.to_get);
            break;
        }
    }
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_EACH(much_goes_both_ways_under_back_pressure),
        RIG_EACH(references_are_released_once_when_the_connection_goes),
        RIG_EACH(a_close_with_flush_sends_everything_first),
        RIG_EACH(a_close_with_flush_ends_after_five_seconds),
        RIG_EACH(the_end_of_the_peer_is_told_once),
        RIG_EACH(what_was_read_is_sent_on_in_order_and_whole),
        RIG_EACH(left_over_bytes_are_shown_again_with_more),
        RIG_EACH(a_call_comes_with_what_was_wanted),
        RIG_EACH(a_pause_in_the_midst_of_bytes_keeps_the_rest),
        RIG_EACH(the_rest_is_shown_after_a_pause_although_nothing_more_comes),
        RIG_EACH(the_rest_goes_to_the_new_events),
        RIG_EACH(what_a_turn_produces_leaves_in_one_piece),
        RIG_EACH(a_connection_knows_the_door_it_came_through),
        RIG_EACH(a_refused_dial_ends_in_on_close),
        RIG_EACH(a_dial_can_be_closed_at_once),
        RIG_EACH(bytes_written_before_the_connection_is_open_are_sent),
        cmocka_unit_test(a_reset_is_told_with_the_kernels_word),
        cmocka_unit_test(each_failed_allocation_costs_one_connection_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
