/* client_test.c - the client over one connection. */
#include "mqtt/client_test_stage.h"

static void it_greets_and_leaves(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    heard(&st, HELLO);
    assert_false(mqtt_client_connected(st.client));
    say(&st, "20(00 00 ())");
    told(&st, "connect ");
    assert_true(mqtt_client_connected(st.client));
    mqtt_client_disconnect(st.client, 0);
    sim_step(st.sim);
    heard(&st, "e0()");
    publish(&st, "t", "x", 0, 0, CODE_CLOSED);
    /* What comes until the server has read it is of no interest any more. */
    say(&st, "30('t' () \"x\") 00");
    told(&st, "");
    hang_up(&st);
    told(&st, "close(left -1) ");
    publish(&st, "t", "x", 0, 0, CODE_CLOSED);
    stage_close(&st);
}

static void it_says_all_that_was_set(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct buf props = {0};
    mqtt_put_user(&props, BYTES_LIT("a"), BYTES_LIT("b"));
    s.props = s.will_props = buf_bytes(&props);
    s.user = BYTES_LIT("me");
    s.password = BYTES_LIT("secret");
    s.session_expiry_s = 60;
    s.keep_alive_s = 30;
    s.has_will = s.will_retain = true;
    s.will_qos = 1;
    s.will_topic = BYTES_LIT("gone");
    s.will_payload = BYTES_LIT("bye");
    s.receive_max = 10;
    s.packet_bytes = 65536;
    struct stage st;
    stage_open(&st, &s);
    heard(&st,
          "10('MQTT' 05 ee 001e (11 0000003c 21 000a 27 00010000 26 'a' 'b') 'c' (26 'a' 'b') 'gone' 'bye'"
          " 'me' 'secret')");
    stage_close(&st);

    s.version = MQTT_3_1_1;
    stage_open(&st, &s);
    heard(&st, "10('MQTT' 04 ee 001e 'c' 'gone' 'bye' 'me' 'secret')");
    say(&st, "20(00 00)");
    told(&st, "connect ");
    stage_close(&st);
    buf_clear(&props);
}

static void settings_that_cannot_work_are_refused(void **state)
{
    (void)state;
    static uint8_t much[65536];
    for (unsigned i = 0; i < 8; i++) {
        struct mqtt_client_settings s = plain_settings();
        struct mqtt_client *c;
        switch (i) {
        case 0: s.host = NULL; break;
        case 1: s.version = MQTT_3_1, s.client_id = BYTES_NONE; break;
        case 2: s.version = MQTT_3_1_1, s.client_id = BYTES_NONE, s.clean_start = false; break;
        case 3: s.version = MQTT_3_1_1, s.password = BYTES_LIT("p"); break;
        case 4: s.has_will = true, s.will_topic = BYTES_LIT("a/#"); break;
        case 5: s.client_id = bytes_of(much, sizeof much); break;
        case 6: s.window = 65001; break;
        case 7: s.user = BYTES_LIT("\xff"); break;
        }
        assert_int_equal(mqtt_client_open(&c, NULL, &s, &all_events, NULL, NULL), CODE_USAGE);
    }
}

static void a_refusal_is_told_in_words(void **state)
{
    (void)state;
    static const struct {
        enum mqtt_version version;
        const char *connack;
        uint8_t reason;
        const char *says;
        const char *told;
    } cases[] = {
        {MQTT_5, "20(00 87 (1f 'not you'))", 0x87, "Not authorized (0x87): not you", "close(-1) "},
        {MQTT_5, "20(00 89 ())", 0x89, "Server busy", "close(375) "},
        {MQTT_3_1_1, "20(00 04)", 0x86, "Bad User Name", "close(-1) "},
        {MQTT_3_1_1, "20(00 03)", 0x88, "Server unavailable", "close(375) "},
        {MQTT_5, "20(01 00 ())", 0x82, "clean start", "close(375) "},
        {MQTT_5, "20(00 00)", 0x81, "property length", "close(375) "},
        {MQTT_5, "d0()", 0x82, "PINGRESP", "close(375) "},
        {MQTT_5, "00", 0x81, "reserved", "close(375) "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct mqtt_client_settings s = plain_settings();
        s.version = cases[i].version;
        s.reconnect = true;
        struct stage st;
        stage_open(&st, &s);
        say(&st, cases[i].connack);
        told(&st, cases[i].told);
        if (st.why.mqtt_reason != cases[i].reason || !strstr(st.why.text, cases[i].says))
            fail_msg("%s: 0x%02x %s", cases[i].connack, st.why.mqtt_reason, st.why.text);
        stage_close(&st);
    }
}

static void qos_0_has_no_answer(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    publish(&st, "a/b", "x", 0, 7, CODE_OK);
    heard(&st, "30('a/b' () \"x\")");
    assert_int_equal(mqtt_client_unfinished(st.client), 0);
    told(&st, "connect ");
    stage_close(&st);
}

static void qos_1_and_2_are_finished_by_their_last_answer(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    publish(&st, "t", "x", 1, 71, CODE_OK);
    publish(&st, "t", "y", 2, 72, CODE_OK);
    heard(&st, "32('t' 0001 () \"x\") 34('t' 0002 () \"y\")");
    assert_int_equal(mqtt_client_unfinished(st.client), 2);
    told(&st, "connect ");
    say(&st, "50(0002 10)");
    heard(&st, "62(0002)");
    told(&st, "");
    say(&st, "40(0001)");
    told(&st, "ack(71 00) ");
    say(&st, "70(0002)");
    told(&st, "ack(72 10) "); /* what the PUBREC said: nobody was there */
    assert_int_equal(mqtt_client_unfinished(st.client), 0);
    /* Refused: a PUBREC with an error has no PUBREL. */
    publish(&st, "t", "z", 2, 73, CODE_OK);
    publish(&st, "t", "z", 1, 74, CODE_OK);
    heard(&st, "34('t' 0003 () \"z\") 32('t' 0004 () \"z\")");
    say(&st, "50(0003 97) 40(0004 87)");
    told(&st, "ack(73 97) ack(74 87) ");
    heard(&st, "");
    stage_close(&st);
}

static void answers_to_nothing_are_harmless_and_wrong_ones_are_not(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    say(&st, "40(0001) 70(ffff) 50(0005) 62(0009)");
    heard(&st, "62(0005 92) 70(0009 92)");
    told(&st, "connect ");
    publish(&st, "t", "x", 1, 1, CODE_OK);
    buf_reset(&st.heard);
    say(&st, "50(0001)");
    heard(&st, "e0(82)");
    told(&st, "close(-1) ");
    assert_non_null(strstr(st.why.text, "PUBREC"));
    stage_close(&st);

    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    publish(&st, "t", "x", 2, 1, CODE_OK);
    say(&st, "70(0001)");
    told(&st, "connect close(-1) ");
    stage_close(&st);
}

static void messages_are_acknowledged(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    say(&st, "31('t' () \"a\") 32('t' 0005 () \"b\") 34('t' 0005 () \"c\")");
    told(&st, "connect message(t a 0 retain) message(t b 1) message(t c 2) ");
    heard(&st, "40(0005) 50(0005)");
    say(&st, "62(0005)");
    heard(&st, "70(0005)");
    stage_close(&st);
}

static void a_server_that_takes_few_at_a_time_is_obeyed(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 (21 0002))");
    publish(&st, "t", "a", 1, 1, CODE_OK);
    publish(&st, "t", "b", 2, 2, CODE_OK);
    publish(&st, "t", "c", 1, 3, CODE_AGAIN);
    publish(&st, "t", "0", 0, 0, CODE_OK);
    told(&st, "connect ");
    /* A PUBREC does not make room (4.9), a PUBCOMP does. */
    say(&st, "50(0002)");
    told(&st, "");
    say(&st, "70(0002)");
    told(&st, "ack(2 00) ready ");
    publish(&st, "t", "c", 1, 3, CODE_OK);
    publish(&st, "t", "d", 1, 4, CODE_AGAIN);
    say(&st, "40(0001) 40(0003)");
    told(&st, "ack(1 00) ack(3 00) ready ");
    stage_close(&st);
}

static void on_ready_keeps_a_thousand_messages_flowing(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.window = 4;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    for (unsigned i = 0; i < 4; i++)
        publish(&st, "t", "x", 1, i, CODE_OK);
    publish(&st, "t", "x", 1, 4, CODE_AGAIN);
    st.publish_in_ready = true;
    for (unsigned answered = 0; answered < 1000;) {
        struct mqtt_frame f;
        size_t n = 0;
        char acks[64 * 16] = "";
        assert_true(buf_size(&st.heard) > 0);
        while (buf_size(&st.heard) && mqtt_frame(buf_bytes(&st.heard), UINT32_MAX, &f, NULL) == CODE_OK) {
            struct mqtt_publish m;
            assert_int_equal(mqtt_decode_publish(MQTT_5, f.first, f.body, &mqtt_limits_default, &m, NULL),
                             CODE_OK);
            n += (size_t)snprintf(acks + n, sizeof acks - n, "40(%04x)", m.packet_id);
            buf_take(&st.heard, f.size);
            answered++;
        }
        assert_true(mqtt_client_unfinished(st.client) <= 4);
        say(&st, acks);
        buf_reset(&st.log);
    }
    stage_close(&st);
}

static void kept_bytes_are_bounded(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.reconnect = true;
    s.window_bytes = 40;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    publish(&st, "t", "0123456789", 1, 1, CODE_OK); /* 18 bytes */
    publish(&st, "t", "0123456789", 1, 2, CODE_OK);
    publish(&st, "t", "0123456789", 1, 3, CODE_AGAIN);
    publish(&st, "t", "0123456789012345678901234567890123456789", 1, 3, CODE_LIMIT);
    publish(&st, "t", "0123456789012345678901234567890123456789", 0, 0, CODE_OK);
    say(&st, "40(0001)");
    told(&st, "connect ack(1 00) ready ");
    publish(&st, "t", "0123456789", 1, 3, CODE_OK);
    stage_close(&st);
}

static void unsent_bytes_are_bounded(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.unsent_bytes = 1000;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    static char text[501];
    memset(text, 'x', 500);
    conn_read_pause(st.peer);
    unsigned sent = 0;
    struct mqtt_client_message m = message("t", text, 0);
    while (mqtt_client_publish(st.client, &m, 0, NULL) == CODE_OK) {
        assert_true(++sent < 10000);
        sim_step(st.sim);
    }
    told(&st, "connect ");
    conn_read_resume(st.peer);
    sim_step(st.sim);
    told(&st, "ready ");
    assert_int_equal(buf_size(&st.heard), sent * (500 + 7));
    stage_close(&st);
}

static void what_the_server_cannot_do_is_not_sent(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 (24 01 25 00 27 00000014))");
    publish(&st, "t", "x", 2, 1, CODE_UNSUPPORTED);
    publish(&st, "t", "0123456789abcdef", 0, 1, CODE_LIMIT);
    publish(&st, "t", "0123456789abcd", 0, 1, CODE_OK);
    publish(&st, "t/#", "x", 0, 1, CODE_USAGE);
    publish(&st, "", "x", 0, 1, CODE_USAGE);
    struct mqtt_client_message m = message("t", "x", 0);
    m.retain = true;
    assert_int_equal(mqtt_client_publish(st.client, &m, 1, NULL), CODE_UNSUPPORTED);
    struct mqtt_filter f = {.filter = BYTES_LIT("a/filter/too/long")};
    assert_int_equal(mqtt_client_subscribe(st.client, &f, BYTES_NONE, 1, NULL), CODE_LIMIT);
    heard(&st, "30('t' () \"0123456789abcd\")");
    stage_close(&st);
}

static void subscriptions_are_answered(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    struct mqtt_filter b = {.filter = BYTES_LIT("b"), .qos = 2, .no_local = true};
    struct mqtt_filter a = {.next = &b, .filter = BYTES_LIT("a/#"), .qos = 1};
    assert_int_equal(mqtt_client_subscribe(st.client, &a, BYTES_NONE, 8, NULL), CODE_AGAIN);
    greet_with(&st, "20(00 00 ())");
    told(&st, "connect ready ");
    assert_int_equal(mqtt_client_subscribe(st.client, &a, BYTES_LIT("\x0b\x05"), 8, NULL), CODE_OK);
    assert_int_equal(mqtt_client_unsubscribe(st.client, &b, BYTES_NONE, 9, NULL), CODE_OK);
    sim_step(st.sim);
    heard(&st, "82(0001 (0b 05) 'a/#' 01 'b' 06) a2(0002 () 'b')");
    say(&st, "b0(0002 () 11) 90(0001 () 01 87)");
    told(&st, "suback(9 11) suback(8 01 87) ");
    struct mqtt_filter bad = {.filter = BYTES_LIT("a#")};
    assert_int_equal(mqtt_client_subscribe(st.client, &bad, BYTES_NONE, 8, NULL), CODE_USAGE);
    assert_int_equal(mqtt_client_subscribe(st.client, NULL, BYTES_NONE, 8, NULL), CODE_USAGE);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(mqtt_client_subscribe(st.client, &b, BYTES_NONE, i, NULL), CODE_OK);
    assert_int_equal(mqtt_client_subscribe(st.client, &b, BYTES_NONE, 16, NULL), CODE_AGAIN);
    say(&st, "90(0007 () 00)"); /* the fifth of them */
    told(&st, "suback(4 00) ready ");
    say(&st, "90(0007 () 00)");
    told(&st, "close(-1) ");
    stage_close(&st);
}

static void silence_is_broken_by_pings(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.keep_alive_s = 60;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 (13 000a))"); /* the server wants 10 s */
    told(&st, "connect ");
    sim_advance(st.sim, 6 * SECOND);
    publish(&st, "t", "x", 0, 0, CODE_OK);
    buf_reset(&st.heard);
    sim_advance(st.sim, 9 * SECOND);
    heard(&st, "");
    sim_advance(st.sim, 2 * SECOND);
    heard(&st, "c0()");
    say(&st, "d0()");
    sim_advance(st.sim, 11 * SECOND);
    heard(&st, "c0()");
    /* No answer: the server is gone, whatever TCP thinks. */
    sim_advance(st.sim, 7 * SECOND);
    told(&st, "");
    sim_advance(st.sim, 2 * SECOND);
    told(&st, "close(-1) ");
    assert_non_null(strstr(st.why.text, "PINGREQ"));
    heard(&st, "e0(8d)");
    stage_close(&st);
}

static void who_asks_is_told_when_the_server_has_read_what_was_sent(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.keep_alive_s = 10;
    struct stage st;
    stage_open(&st, &s);
    assert_false(mqtt_client_ping(st.client));
    greet_with(&st, "20(00 00 ())");
    told(&st, "connect ");
    sim_advance(st.sim, 11 * SECOND); /* one of the keep alive's own is on its way */
    heard(&st, "c0()");
    publish(&st, "t", "x", 0, 0, CODE_OK);
    assert_true(mqtt_client_ping(st.client));
    assert_false(mqtt_client_ping(st.client));
    sim_advance(st.sim, 1000);
    say(&st, "d0()");
    told(&st, "");
    say(&st, "d0()");
    told(&st, "pong ");
    say(&st, "d0()"); /* nobody asked */
    told(&st, "");
    assert_true(mqtt_client_ping(st.client));
    st.close_in_callback = true;
    say(&st, "d0()");
    told(&st, "pong ");
    stage_close(&st);
}

static void a_server_that_does_not_answer_is_given_up(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    sim_advance(st.sim, 9 * SECOND);
    told(&st, "");
    sim_advance(st.sim, 2 * SECOND);
    told(&st, "close(-1) ");
    assert_non_null(strstr(st.why.text, "did not answer"));
    stage_close(&st);
}

static void what_only_clients_send_ends_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *packet, *answer;
    } cases[] = {
        {"c0()", "e0(82)"},
        {"82(0001 () 'a' 00)", "e0(82)"},
        {"20(00 00 ())", "e0(82)"},
        {"30('t' (23 0001) \"x\")", "e0(94)"},
        {"30('a/#' ())", "e0(90)"},
        {"30 ffffff7f", "e0(95)"},
        {"34('t' 0001 ()) 34('t' 0002 ()) 34('t' 0003 ())", "50(0001) 50(0002) e0(93)"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct mqtt_client_settings s = plain_settings();
        s.receive_max = 2;
        struct stage st;
        stage_open(&st, &s);
        greet_with(&st, "20(00 00 ())");
        say(&st, cases[i].packet);
        heard(&st, cases[i].answer);
        assert_null(st.peer);
        stage_close(&st);
    }
}

static void a_released_qos_2_message_makes_room(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    s.receive_max = 2;
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    for (unsigned i = 0; i < 5; i++) {
        buf_reset(&st.heard);
        say(&st, "34('t' 0001 ()) 34('t' 0002 ()) 62(0001) 62(0002)");
        heard(&st, "50(0001) 50(0002) 70(0001) 70(0002)");
    }
    assert_true(mqtt_client_connected(st.client));
    stage_close(&st);
}

static void a_server_that_does_not_close_is_left_all_the_same(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    mqtt_client_disconnect(st.client, MQTT_DISCONNECT_WITH_WILL);
    sim_advance(st.sim, SECOND);
    heard(&st, "e0(04)");
    told(&st, "connect ");
    assert_non_null(st.peer);
    sim_advance(st.sim, 2 * SECOND);
    told(&st, "close(left -1) ");
    assert_null(st.peer);
    stage_close(&st);
}

static void the_last_message_is_acknowledged_before_leaving(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    st.leave_in_message = true;
    say(&st, "32('t' 0007 () \"x\") 32('t' 0008 () \"y\")");
    told(&st, "connect message(t x 1) ");
    heard(&st, "40(0007) e0()");
    stage_close(&st);
}

static void leaving_before_the_greeting_is_told_too(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    mqtt_client_disconnect(st.client, 0);
    sim_advance(st.sim, SECOND);
    told(&st, "close(left -1) ");
    heard(&st, HELLO);
    assert_null(st.peer);
    stage_close(&st);
}

static void bytes_cut_anywhere_make_no_difference(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    sim_split_bytes(st.sim, true);
    greet_with(&st, "20(00 00 ()) 32('t' 0001 () 500*[61]) 31('t' () \"a\") 34('t' 0005 () 300*[62])");
    sim_step(st.sim);
    heard(&st, "40(0001) 50(0005)");
    stage_close(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_greets_and_leaves),
        cmocka_unit_test(it_says_all_that_was_set),
        cmocka_unit_test(settings_that_cannot_work_are_refused),
        cmocka_unit_test(a_refusal_is_told_in_words),
        cmocka_unit_test(qos_0_has_no_answer),
        cmocka_unit_test(qos_1_and_2_are_finished_by_their_last_answer),
        cmocka_unit_test(answers_to_nothing_are_harmless_and_wrong_ones_are_not),
        cmocka_unit_test(messages_are_acknowledged),
        cmocka_unit_test(a_server_that_takes_few_at_a_time_is_obeyed),
        cmocka_unit_test(on_ready_keeps_a_thousand_messages_flowing),
        cmocka_unit_test(kept_bytes_are_bounded),
        cmocka_unit_test(unsent_bytes_are_bounded),
        cmocka_unit_test(what_the_server_cannot_do_is_not_sent),
        cmocka_unit_test(subscriptions_are_answered),
        cmocka_unit_test(silence_is_broken_by_pings),
        cmocka_unit_test(who_asks_is_told_when_the_server_has_read_what_was_sent),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
        cmocka_unit_test(what_only_clients_send_ends_the_connection),
        cmocka_unit_test(a_released_qos_2_message_makes_room),
        cmocka_unit_test(a_server_that_does_not_close_is_left_all_the_same),
        cmocka_unit_test(the_last_message_is_acknowledged_before_leaving),
        cmocka_unit_test(leaving_before_the_greeting_is_told_too),
        cmocka_unit_test(bytes_cut_anywhere_make_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
