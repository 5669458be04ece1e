/* http_door_test.c - who may connect to an HTTP server, and who makes room. */
#include "net/http_test_stage.h"

static void handle(void *ctx, struct http_exchange *e, const struct http_request *r)
{
    struct stage *t = ctx;
    t->calls++;
    if (bytes_is(r->path, "/hold"))
        t->held = e;
    else
        http_reply(e, 200, NULL, BYTES_NONE);
}

static void stage_open(struct stage *t, uint32_t connections)
{
    struct http_limits limits = http_limits_default;
    limits.connections = connections;
    stage_open_with(t, &limits);
}

/* It was told this. */
static bool told(const struct sim_client *c, const char *part)
{
    return strstr(heard(c), part) != NULL;
}

static void the_oldest_who_waits_makes_room(void **state)
{
    struct stage t;
    struct http_stats before, after;
    struct sim_client *c[8];
    (void)state;
    stage_open(&t, 3);
    http_stats(&before);
    c[0] = say(&t, "GET /hold HTTP/1.1\r\n" H "\r\n");
    for (int i = 1; i < 6; i++)
        c[i] = say(&t, i == 2 ? GET "\r\n" : "GET / HT"); /* idle, or in its head */
    for (int i = 1; i < 4; i++)
        assert_true(sim_closed(c[i]));
    assert_false(sim_closed(c[0]) || sim_closed(c[4]) || sim_closed(c[5]));
    http_reply(t.held, 200, NULL, BYTES_NONE);
    sim_send(c[5], BYTES_LIT("TP/1.1\r\n" H "\r\n"));
    sim_step(t.sim);
    assert_true(told(c[0], "HTTP/1.1 200 "));
    assert_true(told(c[5], "HTTP/1.1 200 "));
    http_stats(&after);
    assert_int_equal(after.made_room - before.made_room, 3);
    assert_int_equal(after.connections - before.connections, 3);
    /* Many at once, also in one turn. */
    for (int i = 0; i < 8; i++)
        c[i] = sim_connect(t.sim, "127.0.0.1:8080");
    sim_step(t.sim);
    for (int i = 0; i < 8; i++)
        assert_int_equal(sim_closed(c[i]), i < 5);
    stage_close(&t);
    http_stats(&after);
    assert_int_equal(after.connections, before.connections);
}

static void nobody_makes_room_who_is_being_answered(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t, 1);
    struct sim_client *c = say(&t, "GET /hold HTTP/1.1\r\n" H "\r\n"), *late = say(&t, GET "\r\n");
    assert_true(sim_closed(late) && sim_received(late).len == 0 && !sim_closed(c));
    http_reply(t.held, 200, NULL, BYTES_NONE);
    sim_step(t.sim);
    assert_true(told(c, "HTTP/1.1 200 "));
    stage_close(&t);
}

static struct guard {
    unsigned status, came, went;
} guard;

static unsigned guard_came(void *ctx, const struct net_peer *peer, bool *counted)
{
    struct guard *g = ctx;
    assert_true(peer->loopback);
    *counted = ++g->came != 2;
    return g->status;
}

static void guard_went(void *ctx, const char *address)
{
    assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
    ((struct guard *)ctx)->went++;
}

static void a_guard_says_who_may_connect(void **state)
{
    struct stage t;
    (void)state;
    stage_open(&t, 100);
    guard = (struct guard){ 0 };
    http_server_guard(t.server, &(struct http_guard){ guard_came, guard_went, &guard });
    struct sim_client *c = say(&t, GET "\r\n");
    assert_true(told(c, "HTTP/1.1 200 "));
    sim_hang_up(c, false);
    sim_step(t.sim);
    assert_int_equal(guard.went, 1);
    sim_hang_up(say(&t, GET "\r\n"), false); /* not counted */
    sim_step(t.sim);
    assert_int_equal(guard.went, 1);
    guard.status = 429;
    c = say(&t, GET "\r\n");
    assert_true(told(c, "HTTP/1.1 429 "));
    assert_true(told(c, "Retry-After: 1\r\n"));
    assert_true(sim_closed(c));
    assert_int_equal(guard.went, 2);
    guard.status = 0;
    (void)say(&t, GET "\r\n");
    stage_close(&t);
    assert_int_equal(guard.came, 4);
    assert_int_equal(guard.went, 3);
    assert_int_equal(t.calls, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_who_waits_makes_room),
        cmocka_unit_test(nobody_makes_room_who_is_being_answered),
        cmocka_unit_test(a_guard_says_who_may_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
