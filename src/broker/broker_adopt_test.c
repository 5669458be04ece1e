/* Clients on connections that were opened elsewhere, as those over WebSocket are: accepted on one loop, served on any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "support/broker_tests.h"

#include <stdlib.h>

#define ELSEWHERE "127.0.0.1:99"

static void adopt(void *ctx, const struct net_peer *peer)
{
    static const struct conn_events none = { 0 };
    struct rig *rig = ctx;
    struct conn *c;
    assert_int_equal(conn_open(&c, rig->loops[0], peer, &none, NULL, NULL), CODE_OK);
    broker_adopt(rig->broker, c);
}

static void listen_elsewhere(struct rig *rig)
{
    struct listener *l;
    assert_int_equal(net_listen(&l, rig->loops[0], ELSEWHERE, adopt, rig, NULL), CODE_OK);
    listener_set_door(l, 5);
}

static struct sim_client *join(struct rig *rig, char name)
{
    /* CONNECT 3.1.1, clean session, and PINGREQ behind it */
    const uint8_t hello[] = { 0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 1, (uint8_t)name, 0xc0, 0 };
    struct sim_client *c = sim_connect(rig->sim, ELSEWHERE);
    sim_send(c, bytes_of(hello, sizeof hello));
    return c;
}

static unsigned clients_of(struct rig *rig, unsigned shard, uint16_t *door)
{
    unsigned count = 0;
    for (struct client *c = rig->broker->shards[shard].clients; c; c = c->next, count++)
        *door = conn_door(c->conn);
    return count;
}

static void adopted_clients_spread_over_the_shards(struct rig *rig)
{
    static const uint8_t answer[] = { 0x20, 2, 0, 0, 0xd0, 0 };
    struct sim_client *c[6];
    listen_elsewhere(rig);
    for (int i = 0; i < 6; i++)
        c[i] = join(rig, (char)('a' + i));
    rig_run(rig);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(sim_received(c[i]).len, sizeof answer);
        assert_memory_equal(sim_received(c[i]).at, answer, sizeof answer);
    }
    for (unsigned i = 0; i < rig->config.shards; i++) {
        uint16_t door = 0;
        assert_int_equal(clients_of(rig, i, &door), 6 / rig->config.shards);
        assert_int_equal(door, 5);
    }
    for (int i = 0; i < 6; i++)
        sim_hang_up(c[i], i % 2);
    rig_run(rig);
    assert_int_equal(atomic_load(&rig->broker->clients), 0);
    assert_int_equal(atomic_load(&rig->broker->admit.half_open), 0);
}

static void a_stopping_broker_adopts_nobody(struct rig *rig)
{
    listen_elsewhere(rig);
    broker_stop(rig->broker);
    struct sim_client *c = join(rig, 'x');
    rig_run(rig);
    assert_true(sim_closed(c));
    assert_int_equal(sim_received(c).len, 0);
}

static void a_peer_that_is_gone_at_once_leaves_nothing(struct rig *rig)
{
    listen_elsewhere(rig);
    for (int i = 0; i < 4; i++)
        sim_hang_up(sim_connect(rig->sim, ELSEWHERE), i % 2);
    rig_run(rig);
    assert_int_equal(atomic_load(&rig->broker->clients), 0);
    assert_int_equal(atomic_load(&rig->broker->admit.half_open), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(adopted_clients_spread_over_the_shards, NULL),
        RIG_TEST(a_stopping_broker_adopts_nobody, NULL),
        RIG_TEST(a_peer_that_is_gone_at_once_leaves_nothing, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
