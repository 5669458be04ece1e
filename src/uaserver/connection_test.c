/* Discovery, and connections: how many, how long, and what becomes of a client that does not read; shares of sessions. */
#include "uaserver/service_test_stage.h"

/* ---- discovery ---- */

static void discovery_works_where_sessions_do_not(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    world.server->options.offers[UA_POLICY_NONE] = 0;
    struct client c;
    assert_true(client_open(&c, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_get_endpoints_request q = { .endpoint_url = BYTES_LIT("opc.tcp://plant.example:14840/x") };
    struct ua_get_endpoints_response e;
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_int_equal(e.endpoints_count, 0);
    world.server->options.offers[UA_POLICY_NONE] = 1 << UA_MODE_NONE;
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_int_equal(e.endpoints_count, 1);
    assert_true(bytes_is(e.endpoints[0].endpoint_url, "opc.tcp://plant.example:14840"));
    assert_int_equal(e.endpoints[0].user_identity_tokens_count, 1);
    assert_true(bytes_is(e.endpoints[0].user_identity_tokens[0].policy_id, "anonymous"));
    q.endpoint_url = BYTES_LIT("opc.tcp://a b<script>/");
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_true(bytes_is(e.endpoints[0].endpoint_url, "opc.tcp://gw1:4840")); /* as it was dialled */
    static const struct bytes https[] = { { (const uint8_t *)"http://opcfoundation.org/UA-Profile/Transport/https-uabinary", 60 } };
    q.profile_uris = https;
    q.profile_uris_count = 1;
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_int_equal(e.endpoints_count, 0);
    struct ua_find_servers_request f = { .endpoint_url = BYTES_LIT(TEST_URL) };
    struct ua_find_servers_response s;
    assert_int_equal(CLIENT_ASK(&c, find_servers, &f, &s), UA_GOOD);
    assert_int_equal(s.servers_count, 1);
    assert_true(bytes_is(s.servers[0].application_uri, "urn:gw1:server"));
    assert_true(bytes_is(s.servers[0].discovery_urls[0], "opc.tcp://gw1:4840"));
    f.server_uris = https;
    f.server_uris_count = 1;
    assert_int_equal(CLIENT_ASK(&c, find_servers, &f, &s), UA_GOOD);
    assert_int_equal(s.servers_count, 0);
    world.server->options.offers[UA_POLICY_NONE] = 0;
    struct ua_create_session_response a;
    assert_int_equal(client_create(&c, NULL, &a), UA_BAD_SECURITY_POLICY_REJECTED);
    client_close(&c);
    close_with(NULL);
}

/* ---- connections ---- */

static void who_says_nothing_is_closed(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    struct sim_client *mute = sim_connect(world.sim, "127.0.0.1:4840");
    assert_non_null(mute);
    (void)sim_step(world.sim);
    sim_advance(world.sim, 9 * 1000000);
    assert_false(sim_closed(mute));
    sim_advance(world.sim, 2 * 1000000);
    assert_true(sim_closed(mute));
    sim_free(mute);
    (void)sim_step(world.sim);
    assert_int_equal(world.server->link_count, 0);
    close_with(NULL);
}

static void there_is_an_end_to_channels(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ .channels = 3 }, NULL);
    struct client c[3], more;
    for (int i = 0; i < 3; i++)
        assert_true(client_open(&c[i], &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_create_session_response a;
    assert_int_equal(client_create(&c[0], NULL, &a), UA_GOOD); /* the oldest has a session */
    assert_false(client_open(&more, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_int_equal(more.status, UA_BAD_TCP_SERVER_TOO_BUSY);
    client_close(&more);
    sim_advance(world.sim, 11 * 1000000);
    assert_true(client_open(&more, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    (void)client_take(&c[1]);
    assert_true(c[1].closed && c[1].status == UA_BAD_TCP_SERVER_TOO_BUSY); /* the oldest of those that have none */
    assert_false(sim_closed(c[0].sim));
    assert_false(sim_closed(c[2].sim));
    client_close(&more);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    close_with(NULL);
}

static void those_who_only_connect_keep_nobody_out(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ .channels = 3 }, NULL);
    struct client c[2], more;
    for (int i = 0; i < 2; i++)
        client_begin(&c[i], &world);
    struct sim_client *mute = sim_connect(world.sim, "127.0.0.1:4840");
    (void)sim_step(world.sim);
    assert_true(client_open(&more, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_true(sim_closed(mute));
    assert_false(sim_closed(c[0].sim) || sim_closed(c[1].sim));
    sim_free(mute);
    client_close(&more);
    client_close(&c[0]);
    close_with(&c[1]);
}

static void stall_and_go_on(uint32_t unsent)
{
    struct client c, d;
    open_with((struct ua_server_limits){ .unsent_bytes = unsent }, &c);
    client_begin(&d, &world);
    static uint8_t big[60000];
    const struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_BYTE_STRING, .text = bytes_of(big, sizeof big) } };
    assert_true(ua_set_value(world.server->space, any, &v));
    struct ua_read_value_id id = { .node_id = any->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_request q = { .nodes_to_read = &id, .nodes_to_read_count = 1 };
    sim_stall(c.sim, 0);
    for (int i = 0; i < 200; i++) /* 12 MB of answers */
        (void)client_send(&c, &ua_read_request_type, &q);
    struct uas_link *l = world.server->sessions->next->link;
    assert_true(l->paused);
    assert_true(conn_unsent(l->conn) < unsent + 70000);
    struct ua_read_response a;
    assert_int_equal(CLIENT_ASK(&d, read, &q, &a), UA_GOOD); /* nobody else notices */
    /* It reads again: everything comes. */
    sim_stall(c.sim, SIZE_MAX);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(client_answer(&c, &ua_read_response_type, &a), UA_GOOD);
        arena_reset(&world.arena);
    }
    /* It does not for too long. */
    sim_stall(c.sim, 0);
    for (int i = 0; i < 200; i++)
        (void)client_send(&c, &ua_read_request_type, &q);
    sim_advance(world.sim, 50 * 1000000);
    assert_int_equal(world.server->link_count, 2);
    sim_advance(world.sim, 20 * 1000000);
    assert_int_equal(world.server->link_count, 1);
    client_close(&d);
    close_with(&c);
}

static void who_does_not_read_is_not_listened_to(void **state)
{
    (void)state;
    stall_and_go_on(1 << 20);
    stall_and_go_on(100000);
}

/* Ten who take nothing fill what all may have; who reads goes on, with large answers too. */
static void those_who_do_not_read_have_one_bound_together(void **state)
{
    (void)state;
    enum { SLOW = 10, ALL = 1000000 };
    struct client good, slow[SLOW];
    struct ua_server_counters before, after;
    open_with((struct ua_server_limits){ .channels = 20, .all_unsent_bytes = ALL }, &good);
    ua_server_glance(&before);
    static uint8_t big[60000];
    const struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_BYTE_STRING, .text = bytes_of(big, sizeof big) } };
    assert_true(ua_set_value(world.server->space, any, &v));
    struct ua_read_value_id id = { .node_id = any->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_request q = { .nodes_to_read = &id, .nodes_to_read_count = 1 };
    struct ua_read_response a;
    for (int i = 0; i < SLOW; i++) {
        client_begin(&slow[i], &world);
        sim_stall(slow[i].sim, 0);
    }
    for (int k = 0; k < 100; k++) {
        for (int i = 0; i < SLOW; i++)
            (void)client_send(&slow[i], &ua_read_request_type, &q);
        assert_int_equal(CLIENT_ASK(&good, read, &q, &a), UA_GOOD);
        arena_reset(&world.arena);
        assert_true(world.server->unsent <= ALL + SLOW * 70000);
    }
    uint64_t waits = 0;
    for (struct uas_link *l = world.server->links; l; l = l->next)
        waits += conn_unsent(l->conn);
    assert_true(waits > ALL && waits == world.server->unsent);
    ua_server_glance(&after);
    assert_true(after.crowded > before.crowded);
    assert_int_equal(after.crowded_out, before.crowded_out);
    /* One of them reads, and gets what he has asked for. */
    sim_stall(slow[0].sim, SIZE_MAX);
    for (int k = 0; k < 100; k++) {
        assert_int_equal(client_answer(&slow[0], &ua_read_response_type, &a), UA_GOOD);
        arena_reset(&world.arena);
    }
    /* The others go after their time, not all of them: as soon as there is room again the rest may be slow. */
    (void)client_send(&slow[1], &ua_read_request_type, &q);
    uint64_t left = world.server->link_count;
    for (int s = 0; s < 20; s++) {
        sim_advance(world.sim, 1000000);
        assert_int_equal(CLIENT_ASK(&good, read, &q, &a), UA_GOOD);
        arena_reset(&world.arena);
    }
    assert_true(world.server->link_count < left);
    assert_true(world.server->unsent <= ALL);
    for (int i = 0; i < SLOW; i++)
        client_close(&slow[i]);
    assert_int_equal(world.server->unsent, 0);
    close_with(&good);
}

/* Each within his share, and all with one answer that is larger: who has taken nothing for longest goes at once. */
static void twice_too_much_ends_the_worst_at_once(void **state)
{
    (void)state;
    enum { SLOW = 10, ALL = 100000 };
    struct client good, slow[SLOW];
    struct ua_server_counters before, after;
    open_with((struct ua_server_limits){ .channels = 20, .all_unsent_bytes = ALL }, &good);
    ua_server_glance(&before);
    static uint8_t big[60000];
    const struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_BYTE_STRING, .text = bytes_of(big, sizeof big) } };
    assert_true(ua_set_value(world.server->space, any, &v));
    struct ua_read_value_id id = { .node_id = any->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_request q = { .nodes_to_read = &id, .nodes_to_read_count = 1 };
    struct ua_read_response a;
    for (int i = 0; i < SLOW; i++) {
        client_begin(&slow[i], &world);
        sim_stall(slow[i].sim, 0);
        (void)client_send(&slow[i], &ua_read_request_type, &q);
        assert_true(world.server->unsent <= 2 * ALL);
        sim_advance(world.sim, 10000);
        assert_int_equal(CLIENT_ASK(&good, read, &q, &a), UA_GOOD);
    }
    ua_server_glance(&after);
    assert_int_equal(after.crowded_out, before.crowded_out + SLOW - 2); /* two, and the answer that is being read, are as much as there may be */
    assert_true(sim_closed(slow[0].sim) && !sim_closed(slow[SLOW - 1].sim));
    for (int i = 0; i < SLOW; i++)
        client_close(&slow[i]);
    close_with(&good);
}

static void who_takes_not_one_answer_is_closed(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_read_value_id id = { .node_id = speed->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_request q = { .nodes_to_read = &id, .nodes_to_read_count = 1 };
    sim_advance(world.sim, 50 * 1000000); /* nothing waits: nothing happens */
    assert_int_equal(world.server->link_count, 1);
    sim_stall(c.sim, 0);
    (void)client_send(&c, &ua_read_request_type, &q);
    sim_advance(world.sim, 55 * 1000000);
    assert_int_equal(world.server->link_count, 1);
    sim_advance(world.sim, 15 * 1000000);
    assert_int_equal(world.server->link_count, 0);
    close_with(&c);
}

static void a_server_that_goes_says_so(void **state)
{
    (void)state;
    struct client c, mute;
    open_with((struct ua_server_limits){ 0 }, &c);
    client_begin(&mute, &world);
    sim_stall(mute.sim, 0);
    ua_server_close(world.server);
    world.server = NULL;
    (void)client_take(&c);
    assert_true(c.closed && c.status == UA_BAD_SHUTDOWN);
    client_close(&c);
    loop_close(world.loop); /* ... with what one of them has not taken */
    sim_free(mute.sim);
    ua_channel_free(mute.channel);
    sim_close(world.sim);
    arena_clear(&world.arena);
    assert_int_equal(mem_in_use(), before_all);
}

static void without_memory_no_server_opens(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    for (uint64_t n = 1;; n += 1 + n / 7) {
        struct ua_server *s;
        struct fault why;
        uint64_t before = mem_in_use();
        mem_fail_at(n);
        enum code c = ua_server_open(&s, &world.options, &why);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        if (c == CODE_OK)
            ua_server_close(s);
        else
            assert_true(c == CODE_NOMEM && why.text[0]);
        assert_int_equal(mem_in_use(), before);
        if (!fired)
            break;
    }
    close_with(NULL);
}

static void what_cannot_be_offered_is_not(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    struct ua_server *s;
    struct fault why;
    struct ua_server_options o = world.options;
    o.offers[UA_POLICY_BASIC256SHA256] = 1 << UA_MODE_SIGN; /* without a certificate */
    assert_int_equal(ua_server_open(&s, &o, &why), CODE_USAGE);
    o = world.options;
    o.user_names = true;
    assert_int_equal(ua_server_open(&s, &o, &why), CODE_USAGE);
    o = world.options;
    o.application_uri = "";
    assert_int_equal(ua_server_open(&s, &o, &why), CODE_USAGE);
    close_with(NULL);
}

static void the_counters_add_up(void **state)
{
    (void)state;
    struct ua_server_counters before, after;
    ua_server_glance(&before);
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    assert_int_equal(put(&c, fixed, NULL, f64(1)), UA_BAD_NOT_WRITABLE);
    struct ua_data_value v;
    assert_int_equal(client_read(&c, speed->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    ua_server_glance(&after);
    assert_int_equal(after.channels, before.channels + 1);
    assert_int_equal(after.sessions, before.sessions + 1);
    assert_int_equal(after.reads, before.reads + 1);
    assert_int_equal(after.writes, before.writes + 1);
    assert_int_equal(after.requests, before.requests + 4);
    assert_int_equal(after.requests_refused, before.requests_refused);
    close_with(&c);
    ua_server_glance(&after);
    assert_int_equal(after.channels, before.channels);
    assert_int_equal(after.sessions, before.sessions);
}

/* ---- places ---- */

static void one_address_has_at_most_half_of_the_sessions(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ .sessions = 5 }, NULL);
    struct client c, d;
    struct ua_create_session_response a;
    world.from = "10.0.0.5";
    client_begin(&c, &world);
    assert_int_equal(client_create(&c, NULL, &a), UA_GOOD);
    assert_int_equal(client_activate(&c, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
    struct ua_server_counters before, after;
    ua_server_glance(&before);
    assert_int_equal(client_create(&c, NULL, &a), UA_BAD_TOO_MANY_SESSIONS);
    ua_server_glance(&after);
    assert_int_equal(after.sessions_refused, before.sessions_refused + 1);
    world.server->sessions->active = false; /* who has not activated his in time makes room for his own kind, too */
    sim_advance(world.sim, 11 * 1000000);
    assert_int_equal(client_create(&c, NULL, &a), UA_GOOD);
    assert_int_equal(client_activate(&c, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
    client_close(&c); /* they wait for their client, and count */
    assert_true(client_open(&c, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_int_equal(client_create(&c, NULL, &a), UA_BAD_TOO_MANY_SESSIONS);
    world.from = "10.0.0.6";
    client_begin(&d, &world);
    client_close(&d);
    world.from = NULL; /* our own machine may have what is left */
    client_begin(&d, &world);
    assert_int_equal(client_create(&d, NULL, &a), UA_GOOD);
    assert_int_equal(world.server->session_count, 5);
    client_close(&d);
    close_with(&c);
}

/* MaxResponseMessageSize is what a session has said, not the last one of its connection. */
static void each_session_has_its_own_longest_answer(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    struct client c;
    struct ua_create_session_response a;
    client_begin(&c, &world);
    struct client first = c;
    struct ua_create_session_request q = client_create_request(&c, NULL);
    q.max_response_message_size = 4000;
    assert_int_equal(CLIENT_ASK(&c, create_session, &q, &a), UA_GOOD);
    memcpy(c.token_bytes, a.authentication_token.text.at, a.authentication_token.text.len);
    c.token.text.at = c.token_bytes;
    assert_int_equal(client_activate(&c, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
    struct ua_read_value_id ids[4000];
    for (int i = 0; i < 4000; i++)
        ids[i] = (struct ua_read_value_id){ .node_id = UA_NS0(UA_ID_SERVER_SERVER_ARRAY), .attribute_id = UA_ATTR_BROWSE_NAME };
    struct ua_read_request read = { .nodes_to_read = ids, .nodes_to_read_count = 4000 };
    struct ua_read_response r;
    first.token.text.at = first.token_bytes;
    assert_int_equal(CLIENT_ASK(&first, read, &read, &r), UA_GOOD);
    assert_int_equal(CLIENT_ASK(&c, read, &read, &r), UA_BAD_RESPONSE_TOO_LARGE);
    close_with(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discovery_works_where_sessions_do_not),
        cmocka_unit_test(who_says_nothing_is_closed),
        cmocka_unit_test(there_is_an_end_to_channels),
        cmocka_unit_test(those_who_only_connect_keep_nobody_out),
        cmocka_unit_test(who_does_not_read_is_not_listened_to),
        cmocka_unit_test(those_who_do_not_read_have_one_bound_together),
        cmocka_unit_test(twice_too_much_ends_the_worst_at_once),
        cmocka_unit_test(who_takes_not_one_answer_is_closed),
        cmocka_unit_test(a_server_that_goes_says_so),
        cmocka_unit_test(without_memory_no_server_opens),
        cmocka_unit_test(what_cannot_be_offered_is_not),
        cmocka_unit_test(the_counters_add_up),
        cmocka_unit_test(one_address_has_at_most_half_of_the_sessions),
        cmocka_unit_test(each_session_has_its_own_longest_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
