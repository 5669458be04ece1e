/* client_retry_test.c - connections that end: what is sent again, and when; what is freed. */
#include "mqtt/client_parts.h"
#include "mqtt/client_test_stage.h"

static void a_qos_2_message_comes_once(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    s.session_expiry_s = 60;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    say(&st, "34('t' 0005 () \"c\") 3c('t' 0005 () \"c\")");
    told(&st, "connect message(t c 2) ");
    heard(&st, "50(0005) 50(0005)");
    /* Also over a lost connection, as long as the session lives. */
    hang_up(&st);
    told(&st, "close(375) ");
    sim_advance(st.sim, SECOND);
    heard(&st, "10('MQTT' 05 00 0000 (11 0000003c 21 0400 27 00100000) 'c')");
    say(&st, "20(01 00 ()) 3c('t' 0005 () \"c\") 62(0005) 34('t' 0005 () \"d\")");
    told(&st, "connect+ message(t d 2) ");
    heard(&st, "50(0005) 70(0005) 50(0005)");
    /* Without it the identifier means a new message. */
    hang_up(&st);
    sim_advance(st.sim, SECOND);
    greet_with(&st, "20(00 00 ()) 34('t' 0005 () \"e\")");
    told(&st, "close(750) connect message(t e 2) ");
    stage_close(&st);
}

static void what_is_unfinished_is_sent_again_in_order(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    s.session_expiry_s = 60;
    struct stage st;
    stage_open(&st, &s);
    st.publish_in_connect = false;
    greet_with(&st, "20(00 00 ())");
    publish(&st, "t", "a", 1, 1, CODE_OK);
    publish(&st, "t", "b", 2, 2, CODE_OK);
    publish(&st, "t", "c", 2, 3, CODE_OK);
    publish(&st, "t", "d", 1, 4, CODE_OK);
    say(&st, "50(0002) 40(0004)");
    told(&st, "connect ack(4 00) ");
    hang_up(&st);
    told(&st, "close(375) ");
    publish(&st, "t", "e", 1, 5, CODE_AGAIN);
    sim_advance(st.sim, SECOND);
    buf_reset(&st.heard);
    st.publish_in_connect = true;
    say(&st, "20(01 00 ())");
    /* What is published in on_connect has to wait behind the old ones. */
    told(&st, "connect+ publish=AGAIN ready ");
    heard(&st, "62(0002) 3a('t' 0001 () \"a\") 3c('t' 0003 () \"c\")");
    say(&st, "70(0002 92) 40(0001) 50(0003) 70(0003)");
    told(&st, "ack(2 00) ack(1 00) ack(3 00) ");
    assert_int_equal(mqtt_client_unfinished(st.client), 0);
    stage_close(&st);
}

static void a_forgotten_session_gets_the_messages_anew(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    publish(&st, "t", "a", 1, 1, CODE_OK);
    publish(&st, "t", "b", 2, 2, CODE_OK);
    publish(&st, "t", "c", 2, 3, CODE_OK);
    say(&st, "50(0002)");
    hang_up(&st);
    sim_advance(st.sim, SECOND);
    heard(&st, HELLO);
    say(&st, "20(00 00 (21 0001))");
    /* b was taken over by the server before. a and c are new to it, one at a time as it says. */
    told(&st, "connect close(375) connect ack(2 00) ");
    heard(&st, "32('t' 0001 () \"a\")");
    say(&st, "40(0001)");
    heard(&st, "34('t' 0003 () \"c\")");
    /* Lost again before the answer, and this time remembered: now it is a duplicate. */
    hang_up(&st);
    sim_advance(st.sim, 2 * SECOND);
    buf_reset(&st.log);
    stage_close(&st);
}

static void releases_are_sent_again_in_the_order_of_their_pubrecs(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    s.session_expiry_s = 60;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    for (unsigned i = 1; i <= 3; i++)
        publish(&st, "t", "a", 2, i, CODE_OK);
    say(&st, "50(0003) 50(0001)");
    hang_up(&st);
    sim_advance(st.sim, SECOND);
    greet_with(&st, "20(01 00 ())");
    heard(&st, "62(0003) 62(0001) 3c('t' 0002 () \"a\")"); /* [MQTT-4.6.0-4] */
    stage_close(&st);
}

static void subscriptions_without_an_answer_are_forgotten(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    struct stage st;
    struct mqtt_filter f = {.filter = BYTES_LIT("a")};
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < 16; i++)
            assert_int_equal(mqtt_client_subscribe(st.client, &f, BYTES_NONE, i, NULL), CODE_OK);
        assert_int_equal(mqtt_client_subscribe(st.client, &f, BYTES_NONE, 16, NULL), CODE_AGAIN);
        hang_up(&st);
        sim_advance(st.sim, 2 * SECOND);
        greet_with(&st, "20(00 00 ())");
    }
    told(&st, "connect close(375) connect ready close(750) connect ready ");
    stage_close(&st);
}

static void attempts_come_at_growing_distances(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.port = 1; /* nobody is there */
    s.reconnect = true;
    s.retry_min_ms = 100;
    s.retry_max_ms = 1000;
    struct stage st;
    stage_open(&st, &s);
    sim_advance(st.sim, 3 * SECOND);
    told(&st, "close(75) close(150) close(300) close(600) close(750) close(750) close(750) ");
    mqtt_client_disconnect(st.client, 0);
    told(&st, "");
    sim_advance(st.sim, SECOND);
    told(&st, "close(left -1) ");
    stage_close(&st);
}

static void a_server_that_says_why_is_believed(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ()) e0(8e (1f 'another'))");
    /* Whoever took over would be thrown out in turn. */
    told(&st, "connect close(-1) ");
    assert_string_equal(st.why.text, "the server ended the connection: Session taken over (0x8e): another");
    assert_int_equal(st.why.mqtt_reason, 0x8e);
    heard(&st, "");
    stage_close(&st);

    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ()) e0(8b)");
    told(&st, "connect close(375) ");
    stage_close(&st);
}

static void a_given_name_is_used_again(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.client_id = BYTES_NONE;
    s.reconnect = true;
    struct stage st;
    stage_open(&st, &s);
    heard(&st, "10('MQTT' 05 02 0000 (21 0400 27 00100000) '')");
    say(&st, "20(00 00 (12 'given-1'))");
    hang_up(&st);
    sim_advance(st.sim, SECOND);
    heard(&st, "10('MQTT' 05 02 0000 (21 0400 27 00100000) 'given-1')");
    stage_close(&st);
}

static void it_may_be_closed_in_every_callback(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct mqtt_client_settings s = plain_settings();
        s.window = 1;
        s.reconnect = i == 5;
        struct stage st;
        stage_open(&st, &s);
        if (i > 0)
            greet_with(&st, "20(00 00 ())");
        if (i == 2 || i == 3)
            publish(&st, "t", "x", 1, 1, CODE_OK);
        if (i == 3)
            publish(&st, "t", "x", 1, 2, CODE_AGAIN);
        struct mqtt_filter f = {.filter = BYTES_LIT("a")};
        if (i == 4)
            assert_int_equal(mqtt_client_subscribe(st.client, &f, BYTES_NONE, 1, NULL), CODE_OK);
        st.close_in_callback = true;
        switch (i) {
        case 0: greet_with(&st, "20(00 00 ()) 32('t' 0001 () \"x\")"); break;
        case 1: say(&st, "32('t' 0001 () \"x\") 32('t' 0002 () \"y\")"); break;
        case 2:
        case 3: say(&st, "40(0001)"); break;
        case 4: say(&st, "90(0001 () 00)"); break;
        case 5: hang_up(&st); break;
        }
        assert_null(st.client);
        sim_advance(st.sim, 60 * SECOND);
        assert_null(st.peer);
        assert_int_equal(st.accepted, 1);
        stage_close(&st);
    }
}

/* Sending has failed, on_close is still to come: what is published between the two waits for the next connection, it does not fail. */
static void what_is_published_while_a_connection_ends_waits(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    conn_close(st.client->conn, false);
    publish(&st, "t", "x", 1, 1, CODE_AGAIN);
    told(&st, "connect close(375) ");
    sim_advance(st.sim, SECOND);
    greet_with(&st, "20(00 00 ())");
    told(&st, "connect ready ");
    publish(&st, "t", "x", 1, 1, CODE_OK);
    stage_close(&st);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct mqtt_client_settings s = plain_settings();
        struct stage st = {0};
        struct fault why;
        s.reconnect = true;
        test_io = io_system;
        test_io.random = no_draw;
        assert_int_equal(sim_open(&st.sim, 1), CODE_OK);
        assert_int_equal(loop_open_sim(&st.loop, st.sim, &why), CODE_OK);
        assert_int_equal(net_listen(&st.listener, st.loop, "127.0.0.1:1883", accepted, &st, &why), CODE_OK);
        mem_fail_at(n);
        enum code code = mqtt_client_open(&st.client, st.loop, &s, &all_events, &st, &why);
        if (code) {
            assert_int_equal(code, CODE_NOMEM);
            st.client = NULL;
        }
        for (unsigned second = 0; st.client && second < 5; second++) {
            sim_advance(st.sim, SECOND);
            if (!st.peer)
                continue;
            if (!mqtt_client_connected(st.client))
                say(&st, "20(00 00 ())");
            struct mqtt_client_message m = message("t", "x", 2);
            enum code sent = mqtt_client_publish(st.client, &m, 1, NULL);
            assert_true(sent == CODE_OK || sent == CODE_AGAIN || sent == CODE_NOMEM);
            if (st.peer)
                say(&st, "34('t' 0005 () \"x\")");
        }
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        stage_close(&st);
        if (!fired)
            break;
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_qos_2_message_comes_once),
        cmocka_unit_test(what_is_unfinished_is_sent_again_in_order),
        cmocka_unit_test(a_forgotten_session_gets_the_messages_anew),
        cmocka_unit_test(releases_are_sent_again_in_the_order_of_their_pubrecs),
        cmocka_unit_test(subscriptions_without_an_answer_are_forgotten),
        cmocka_unit_test(attempts_come_at_growing_distances),
        cmocka_unit_test(a_server_that_says_why_is_believed),
        cmocka_unit_test(a_given_name_is_used_again),
        cmocka_unit_test(it_may_be_closed_in_every_callback),
        cmocka_unit_test(what_is_published_while_a_connection_ends_waits),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
