/* filter_test.c - two filters of our own prove that they stack: one changes bytes (and begins with a
 * handshake and ends with a goodbye, as TLS does), one frames them (as WebSocket does). */
#include "net/filter.h"

#include "net/net_test_rig.h"

#include "base/mem.h"

/* ---- the scrambler: both sides send "HI" first; every later byte is XORed with a running key; 0xff 0xff
 * ends ---- */

struct scrambler {
    struct filter filter;
    uint8_t in_key, out_key;
    unsigned greeted;
    uint8_t  last;
    bool     escaped;
};

static unsigned freed, byes_sent, byes_seen;

static enum code scrambler_start(struct filter *f, struct fault *why)
{
    (void)why;
    filter_send(f, BYTES_LIT("HI"));
    return CODE_OK;
}

/* 0xfe escapes 0xfe and 0xff, so that 0xff can be the goodbye. */
static enum code scrambler_in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    struct scrambler *s = (struct scrambler *)(void *)f;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.at[i];
        if (s->greeted < 2) {
            if (c != "HI"[s->greeted++])
                return FAIL(why, CODE_MALFORMED, i, "no greeting");
            if (s->greeted == 2)
                filter_opened(f);
            continue;
        }
        if (c == 0xff) {
            byes_seen++;
            return CODE_END;
        }
        if (c == 0xfe && !s->escaped) {
            s->escaped = true;
            continue;
        }
        if (s->escaped)
            c = (uint8_t)(0xfe + c);
        s->escaped = false;
        buf_u8(up, c ^ s->in_key);
        s->in_key = (uint8_t)(s->in_key * 5 + 1);
    }
    return CODE_OK;
}

static enum code scrambler_out(struct filter *f, struct bytes in, struct buf *down, struct fault *why)
{
    struct scrambler *s = (struct scrambler *)(void *)f;
    (void)why;
    assert_true(f->open);
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.at[i] ^ s->out_key;
        s->out_key = (uint8_t)(s->out_key * 5 + 1);
        if (c >= 0xfe) {
            buf_u8(down, 0xfe);
            c = (uint8_t)(c - 0xfe);
        }
        buf_u8(down, c);
    }
    return CODE_OK;
}

static void scrambler_end(struct filter *f, struct buf *down)
{
    (void)f;
    byes_sent++;
    buf_u8(down, 0xff);
}

static void scrambler_free(struct filter *f)
{
    freed++;
    free(f);
}

static const struct filter_ops scrambler_ops = {
    .name = "scrambler", .start = scrambler_start, .in = scrambler_in, .out = scrambler_out, .end = scrambler_end,
    .free = scrambler_free
};

static struct filter *scrambler(void)
{
    struct scrambler *s = calloc(1, sizeof *s);
    s->filter.ops = &scrambler_ops;
    return &s->filter;
}

/* ---- the framer: one length byte before up to 255 bytes; keeps a part of a frame to itself ---- */

struct framer {
    struct filter filter;
    uint8_t part[256];
    size_t  have;
};

static enum code framer_in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    struct framer *m = (struct framer *)(void *)f;
    (void)why;
    for (size_t i = 0; i < in.len; i++) {
        m->part[m->have++] = in.at[i];
        if (m->have == (size_t)m->part[0] + 1) {
            buf_add(up, m->part + 1, m->part[0]);
            m->have = 0;
        }
    }
    return CODE_OK;
}

static enum code framer_out(struct filter *f, struct bytes in, struct buf *down, struct fault *why)
{
    (void)f;
    (void)why;
    while (in.len) {
        size_t n = in.len < 255 ? in.len : 255;
        buf_u8(down, (uint8_t)n);
        buf_add(down, in.at, n);
        in = bytes_from(in, n);
    }
    return CODE_OK;
}

static const struct filter_ops framer_ops = {
    .name = "framer", .in = framer_in, .out = framer_out, .free = scrambler_free
};

static struct filter *framer(void)
{
    struct framer *m = calloc(1, sizeof *m);
    m->filter.ops = &framer_ops;
    return &m->filter;
}

/* ---- the header: four length bytes before all that leaves together, and the bytes pass as they are ---- */

struct header {
    struct filter filter;
    size_t   left;
    uint32_t have, size;
};

static unsigned heads;

static size_t header_head(struct filter *f, size_t bytes, uint8_t to[])
{
    (void)f;
    heads++;
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(bytes >> (24 - 8 * i));
    return 4;
}

static enum code header_in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    struct header *h = (struct header *)(void *)f;
    (void)why;
    for (size_t i = 0; i < in.len; i++) {
        if (h->left) {
            buf_u8(up, in.at[i]);
            h->left--;
            continue;
        }
        h->size = h->size << 8 | in.at[i];
        if (++h->have == 4) {
            h->left = h->size;
            h->have = h->size = 0;
        }
    }
    return CODE_OK;
}

static const struct filter_ops header_ops = {
    .name = "header", .in = header_in, .head = header_head, .free = scrambler_free
};

static struct filter *header(void)
{
    struct header *h = calloc(1, sizeof *h);
    h->filter.ops = &header_ops;
    return &h->filter;
}

/* ---- a protocol: echo on one side, a long check on the other ---- */

struct talk {
    struct rig  *rig;
    struct conn *conn;
    size_t       sent, got, total;
    unsigned     opens, closes, released;
    bool         why_given;
    struct fault why;
    bool         raw;       /* dial without filters */
    bool         upgrades;  /* "UP" goes in clear, then the filters */
};

static uint8_t stream_at(size_t i)
{
    return (uint8_t)(i * 31 >> 3);
}

static void released(void *arg)
{
    ((struct talk *)arg)->released++;
}

static bool with_heads; /* the upper filter is a header instead of a framer */

static void push_both(struct conn *c)
{
    conn_push_filter(c, scrambler());
    conn_push_filter(c, with_heads ? header() : framer());
}

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static void talk_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct talk *t = ctx;
    (void)c;
    t->closes++;
    t->why_given = why;
    if (why)
        t->why = *why;
    loop_stop(t->rig->loop);
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = talk_close };

/* The first two bytes are in clear and say that all others are not. */
static size_t upgrade_bytes(void *ctx, struct conn *c, struct bytes in)
{
    if (in.len < 2) {
        conn_want(c, 2);
        return 0;
    }
    assert_memory_equal(in.at, "UP", 2);
    buf_add(conn_out(c), "OK", 2);
    push_both(c);
    conn_set_events(c, &echo_events, ctx);
    return 2;
}

static const struct conn_events upgrade_events = { .on_bytes = upgrade_bytes, .on_close = talk_close };

static uint8_t block[3000];

static void talk_send(struct talk *t)
{
    for (; t->sent < t->total; t->sent++)
        buf_u8(conn_out(t->conn), stream_at(t->sent));
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = stream_at(t->sent + i);
    conn_send_ref(t->conn, bytes_of(block, sizeof block), released, t);
    t->sent += sizeof block;
    buf_u8(conn_out(t->conn), stream_at(t->sent++));
}

static void talk_open(void *ctx, struct conn *c)
{
    struct talk *t = ctx;
    t->opens++;
    t->conn = c;
    talk_send(t);
}

static size_t talk_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct talk *t = ctx;
    for (size_t i = 0; i < in.len; i++)
        if (in.at[i] != stream_at(t->got + i))
            fail_msg("byte %zu is wrong", t->got + i);
    t->got += in.len;
    if (t->got == t->sent)
        conn_close(c, true);
    return in.len;
}

static const struct conn_events talk_events = {
    .on_bytes = talk_bytes, .on_close = talk_close, .on_open = talk_open
};

static void clear_open(void *ctx, struct conn *c)
{
    (void)ctx;
    buf_add(conn_out(c), "UP", 2);
}

static size_t clear_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct talk *t = ctx;
    if (in.len < 2)
        return 0;
    assert_memory_equal(in.at, "OK", 2);
    push_both(c);
    conn_set_events(c, &talk_events, t);
    t->conn = c;
    talk_send(t); /* waits for the handshake */
    return 2;
}

static const struct conn_events clear_events = {
    .on_bytes = clear_bytes, .on_close = talk_close, .on_open = clear_open
};

static void accept_filtered(void *ctx, const struct net_peer *peer)
{
    struct rig *r = ctx;
    r->accepted = NULL;
    rig_accept(r, peer);
    if (r->accepted)
        push_both(r->accepted);
}

static void setup(struct rig *r, void **state, struct talk *near, struct talk *far, accept_fn accept)
{
    struct fault why;
    rig_open_kind(r, state);
    listener_close(r->listener);
    rig_ok(net_listen(&r->listener, r->loop, "127.0.0.1:0", accept, r, &why), &why);
    near->rig = far->rig = r;
    r->events = &echo_events;
    r->ctx = far;
    freed = byes_sent = byes_seen = 0;
}

static void two_filters_carry_a_conversation(void **state)
{
    struct rig r;
    struct talk near = { .total = 150000 }, far = { 0 };
    setup(&r, state, &near, &far, accept_filtered);
    struct conn *c = rig_dial(&r, &talk_events, &near);
    push_both(c); /* before it is connected: on_open waits for the handshake */
    rig_run(&r);
    while (!far.closes)
        rig_run(&r);
    assert_int_equal(near.opens, 1);
    assert_int_equal(near.got, near.sent);
    assert_int_equal(near.closes, 1);
    assert_false(near.why_given);
    assert_int_equal(far.closes, 1);
    assert_int_equal(far.why.code, CODE_CLOSED);
    assert_int_equal(near.released, 1);
    assert_int_equal(byes_sent, 2); /* the far one answers it */
    assert_int_equal(byes_seen, 1);
    rig_close(&r);
    assert_int_equal(freed, 4);
}

static void filters_may_come_in_the_midst_of_a_stream(void **state)
{
    struct rig r;
    struct talk near = { .total = 5000 }, far = { 0 };
    setup(&r, state, &near, &far, rig_accept);
    r.events = &upgrade_events;
    rig_dial(&r, &clear_events, &near);
    rig_run(&r);
    assert_int_equal(near.got, near.sent);
    assert_int_equal(near.released, 1);
    rig_close(&r);
    assert_int_equal(freed, 4);
    assert_int_equal(far.closes, 1);
}

static void raw_open(void *ctx, struct conn *c)
{
    (void)ctx;
    buf_add(conn_out(c), "GET / HTTP/1.1\r\n\r\n", 18);
}

static void a_filter_that_does_not_understand_ends_the_connection(void **state)
{
    struct rig r;
    struct talk near = { 0 }, far = { 0 };
    setup(&r, state, &near, &far, accept_filtered);
    static const struct conn_events raw_events = {
        .on_bytes = echo_bytes, .on_close = talk_close, .on_open = raw_open
    };
    rig_dial(&r, &raw_events, &near);
    rig_run(&r);
    while (!far.closes)
        rig_run(&r);
    assert_int_equal(far.why.code, CODE_MALFORMED);
    assert_string_equal(far.why.text, "no greeting");
    rig_close(&r);
    assert_int_equal(freed, 2);
}

static void each_failed_allocation_is_survived(void **state)
{
    int simulated = 1;
    void *kind = &simulated;
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct rig r;
        struct fault why;
        struct conn *c;
        struct talk near = { .total = 20000 }, far = { 0 };
        setup(&r, &kind, &near, &far, accept_filtered);
        r.torture = true;
        mem_fail_at(n);
        enum code code =
            conn_dial(&c, r.loop, "127.0.0.1", listener_port(r.listener), &talk_events, &near, &why);
        if (code == CODE_OK) {
            push_both(c);
            sim_step(r.sim);
        }
        int fired = mem_fail_fired();
        mem_fail_at(0);
        rig_close(&r);
        assert_int_equal(near.closes, code == CODE_OK);
        assert_int_equal(near.opens, near.released);
        assert_true(freed == 0 || freed == 2 || freed == 4);
        if (!fired) {
            assert_true(n > 20);
            assert_int_equal(near.got, near.sent);
            break;
        }
    }
}

static void heads_go_in_front_of_what_leaves_together(void **state)
{
    with_heads = true;
    heads = 0;
    two_filters_carry_a_conversation(state);
    assert_true(heads > 1);
    filters_may_come_in_the_midst_of_a_stream(state);
    with_heads = false;
}

static void each_failed_allocation_is_survived_with_heads(void **state)
{
    with_heads = true;
    each_failed_allocation_is_survived(state);
    with_heads = false;
}

/* Filters that come one after the other: what was written between them goes below the later one. */
static size_t late_bytes(void *ctx, struct conn *c, struct bytes in)
{
    if (in.len < 2)
        return 0;
    assert_memory_equal(in.at, "GO", 2);
    buf_add(conn_out(c), "below", 5);
    conn_push_filter(c, header());
    conn_set_events(c, &echo_events, ctx);
    buf_add(conn_out(c), "above", 5);
    return 2;
}

static size_t hear_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct talk *t = ctx;
    if (in.len < 14)
        return 0;
    assert_memory_equal(in.at, "below\0\0\0\5above", 14);
    t->got = in.len;
    conn_close(c, true);
    return in.len;
}

static void go_open(void *ctx, struct conn *c)
{
    (void)ctx;
    buf_add(conn_out(c), "GO", 2);
}

static void accept_scrambled(void *ctx, const struct net_peer *peer)
{
    struct rig *r = ctx;
    rig_accept(r, peer);
    conn_push_filter(r->accepted, scrambler());
}

static void what_was_written_before_a_filter_goes_below_it(void **state)
{
    static const struct conn_events late = { .on_bytes = late_bytes, .on_close = talk_close };
    static const struct conn_events hear = { .on_bytes = hear_bytes, .on_close = talk_close, .on_open = go_open };
    struct rig r;
    struct talk near = { 0 }, far = { 0 };
    setup(&r, state, &near, &far, accept_scrambled);
    r.events = &late;
    conn_push_filter(rig_dial(&r, &hear, &near), scrambler());
    rig_run(&r);
    assert_int_equal(near.got, 14);
    while (!far.closes)
        rig_run(&r);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_EACH(two_filters_carry_a_conversation),
        RIG_EACH(filters_may_come_in_the_midst_of_a_stream),
        RIG_EACH(a_filter_that_does_not_understand_ends_the_connection),
        RIG_EACH(heads_go_in_front_of_what_leaves_together),
        RIG_EACH(what_was_written_before_a_filter_goes_below_it),
        cmocka_unit_test(each_failed_allocation_is_survived),
        cmocka_unit_test(each_failed_allocation_is_survived_with_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
