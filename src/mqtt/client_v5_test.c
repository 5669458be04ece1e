/* client_v5_test.c - what only version 5 has: topic aliases both ways, enhanced authentication, goodbyes with properties. */
#include "mqtt/client_test_stage.h"

static void aliases_of_the_server_are_resolved(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    s.topic_alias_max = 2;
    stage_open(&st, &s);
    heard(&st, "10('MQTT' 05 02 0000 (21 0400 27 00100000 22 0002) 'c')");
    greet_with(&st, "20(00 00 ())");
    say(&st, "30('a/b' (23 0002) \"1\") 30('' (23 0002) \"2\") 30('c' (23 0002) \"3\") 32('' 0007 (23 0002) "
             "\"4\")");
    told(&st, "connect message(a/b 1 0) message(a/b 2 0) message(c 3 0) message(c 4 1) ");
    heard(&st, "40(0007)");
    say(&st, "30('' (23 0001) \"5\")"); /* never set */
    told(&st, "close(-1) ");
    heard(&st, "e0(82)");
    stage_close(&st);

    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    say(&st, "30('a' (23 0003) \"1\")"); /* above what we allowed */
    told(&st, "connect close(-1) ");
    heard(&st, "e0(94)");
    stage_close(&st);
}

static void an_alias_means_nothing_on_the_next_connection(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    s.topic_alias_max = 2;
    s.reconnect = true;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    say(&st, "30('a' (23 0001) \"1\")");
    hang_up(&st);
    sim_advance(st.sim, 2 * SECOND);
    greet_with(&st, "20(00 00 ())");
    say(&st, "30('' (23 0001) \"2\")");
    heard(&st, "e0(82)");
    stage_close(&st);
}

static void publish_aliased(struct stage *st, const char *topic, uint8_t qos, uint16_t alias, enum code want)
{
    struct mqtt_client_message m = message(topic, "x", qos);
    struct fault why = {0};
    m.topic_alias = alias;
    if (mqtt_client_publish(st->client, &m, alias, &why) != want)
        fail_msg("publish: %s", why.text);
    sim_step(st->sim);
}

static void our_alias_takes_the_topics_place(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    s.reconnect = true;
    s.session_expiry_s = 60;
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 (22 0005))");
    publish_aliased(&st, "a/b", 0, 6, CODE_UNSUPPORTED);
    publish_aliased(&st, "a/b", 0, 5, CODE_OK);
    publish_aliased(&st, "a/b", 0, 5, CODE_OK);
    publish_aliased(&st, "c", 0, 5, CODE_OK);
    publish_aliased(&st, "c", 1, 5, CODE_OK);
    heard(&st, "30('a/b' (23 0005) \"x\") 30('' (23 0005) \"x\") 30('c' (23 0005) \"x\") 32('' 0001 (23 "
               "0005) \"x\")");
    /* Sent again, it carries the topic: the number is unknown there. */
    hang_up(&st);
    sim_advance(st.sim, 2 * SECOND);
    greet_with(&st, "20(01 00 ())");
    heard(&st, "3a('c' 0001 () \"x\")");
    stage_close(&st);
}

/* ---- enhanced authentication ---- */

static enum code scripted_auth(void *ctx, struct mqtt_client *c, const struct mqtt_disconnect *in,
                               struct buf *data, struct fault *why)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "auth(%02x %.*s) ", in->reason, BYTES_FMT(in->props.auth_data));
    if (bytes_is(in->props.auth_data, "forged"))
        return FAIL(why, CODE_REFUSED, 0, "the server's proof is wrong");
    buf_printf(data, "proof");
    return CODE_OK;
}

static struct mqtt_client_events auth_events(void)
{
    struct mqtt_client_events e = all_events;
    e.on_auth = scripted_auth;
    return e;
}

/* As stage_open, with other events. */
static void stage_open_auth(struct stage *st)
{
    struct mqtt_client_settings s = plain_settings();
    struct mqtt_client_events events = auth_events();
    struct fault why = {0};
    *st = (struct stage){0};
    test_io = io_system;
    test_io.random = no_draw;
    s.auth_method = BYTES_LIT("M");
    s.auth_data = BYTES_LIT("hello");
    assert_int_equal(sim_open(&st->sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&st->loop, st->sim, &why), CODE_OK);
    assert_int_equal(net_listen(&st->listener, st->loop, "127.0.0.1:1883", accepted, st, &why), CODE_OK);
    assert_int_equal(mqtt_client_open(&st->client, st->loop, &s, &events, st, &why), CODE_OK);
    sim_advance(st->sim, 20000);
}

static void a_challenge_is_answered_and_later_again(void **state)
{
    (void)state;
    struct stage st;
    stage_open_auth(&st);
    heard(&st, "10('MQTT' 05 02 0000 (21 0400 27 00100000 15 'M' 16 'hello') 'c')");
    assert_int_equal(mqtt_client_reauthenticate(st.client, BYTES_NONE, NULL), CODE_CLOSED);
    say(&st, "f0(18 (15 'M' 16 'nonce'))");
    told(&st, "auth(18 nonce) ");
    heard(&st, "f0(18 (15 'M' 16 'proof'))");
    say(&st, "20(00 00 (15 'M' 16 'final'))");
    told(&st, "connect ");
    assert_int_equal(mqtt_client_reauthenticate(st.client, BYTES_LIT("again"), NULL), CODE_OK);
    sim_step(st.sim);
    heard(&st, "f0(19 (15 'M' 16 'again'))");
    say(&st, "f0(18 (15 'M' 16 'n2'))");
    heard(&st, "f0(18 (15 'M' 16 'proof'))");
    say(&st, "f0(00 (15 'M'))");
    told(&st, "auth(18 n2) auth(00 ) ");
    heard(&st, "");
    stage_close(&st);
}

static void what_is_wrong_about_an_auth_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *packet, *says;
    } cases[] = {
        {"f0(18 (15 'M' 16 'forged'))", "proof is wrong"},
        {"f0(18 (15 'N' 16 'x'))", "changed the authentication method"},
        {"f0(19 (15 'M'))", "out of place"},
        {"f0(00 (15 'M'))", "out of place"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct stage st;
        stage_open_auth(&st);
        say(&st, cases[i].packet);
        if (!strstr(st.why.text, cases[i].says))
            fail_msg("%s: %s", cases[i].packet, st.why.text);
        stage_close(&st);
    }
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    stage_open(&st, &s);
    say(&st, "f0(18 (15 'M'))");
    assert_non_null(strstr(st.why.text, "AUTH"));
    stage_close(&st);
}

static void a_goodbye_may_have_properties(void **state)
{
    (void)state;
    static const uint8_t long_one[257];
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    struct buf props = {0};
    stage_open(&st, &s);
    greet_with(&st, "20(00 00 ())");
    mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, 7);
    assert_int_equal(mqtt_client_disconnect_with(st.client, 0, bytes_of(long_one, sizeof long_one), NULL),
                     CODE_LIMIT);
    assert_int_equal(mqtt_client_disconnect_with(st.client, 4, buf_bytes(&props), NULL), CODE_OK);
    sim_step(st.sim);
    heard(&st, "e0(04 (11 00000007))");
    buf_clear(&props);
    stage_close(&st);
}

static void version_3_1_is_spoken(void **state)
{
    (void)state;
    struct mqtt_client_settings s = plain_settings();
    struct stage st;
    s.version = MQTT_3_1;
    stage_open(&st, &s);
    heard(&st, "10('MQIsdp' 03 02 0000 'c')");
    greet_with(&st, "20(00 00)");
    publish(&st, "t", "x", 1, 5, CODE_OK);
    heard(&st, "32('t' 0001 \"x\")");
    say(&st, "40(0001) 30('u' \"y\")");
    told(&st, "connect ack(5 00) message(u y 0) ");
    stage_close(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_of_the_server_are_resolved),
        cmocka_unit_test(an_alias_means_nothing_on_the_next_connection),
        cmocka_unit_test(our_alias_takes_the_topics_place),
        cmocka_unit_test(a_challenge_is_answered_and_later_again),
        cmocka_unit_test(what_is_wrong_about_an_auth_ends_it),
        cmocka_unit_test(a_goodbye_may_have_properties),
        cmocka_unit_test(version_3_1_is_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
