/* mqtt_target_test.c - command lines of MQTT verbs, and the settings of the client that they become. */
#include "cli/mqtt_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct values {
    struct mqtt_target target;
    struct texts user;
};
static const struct flag flags[] = {
    {0, "user-property", FLAG_TEXTS, FLAG_FIELD(struct values, user), .value = "NAME=VALUE", .help = "x"},
    MQTT_TARGET_FLAGS(struct values, target),
    MQTT_AUTH_FLAG(struct values, target),
    FLAGS_END,
};

static struct values values;
static struct options options;
static struct mqtt_client_settings settings;
static struct mqtt_target_memory memory;
static char *said;
static size_t said_len;

/* What mqtt_target_settings makes of a line; words are separated by blanks. */
static int settings_of(const char *line)
{
    static char copy[400];
    const char *argv[40];
    int argc = 0;
    struct fault why;
    free(said);
    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    values = (struct values){0};
    if (options_parse(&options, flags, &values, argc, argv, 0, &why))
        fail_msg("%s: %s", line, why.text);
    FILE *err = open_memstream(&said, &said_len);
    struct verb_call call = {
        .path = "x", .options = &options, .values = &values, .io = &io_system, .err = err};
    int status = mqtt_target_settings(&call, &values.target, &settings, &memory);
    assert_int_equal(fclose(err), 0);
    return status;
}

static void done(void)
{
    mqtt_target_clear(&memory);
    options_clear(&options);
}

static void good(const char *line)
{
    if (settings_of(line) != STATUS_DONE)
        fail_msg("%s: %s", line, said);
}

static void refused(const char *line, const char *words)
{
    if (settings_of(line) != STATUS_USAGE || !strstr(said, words))
        fail_msg("%s: %s", line, said);
    done();
}

static void defaults_are_those_of_people_at_home(void **state)
{
    (void)state;
    good("");
    assert_string_equal(settings.host, "127.0.0.1");
    assert_int_equal(settings.port, 1883);
    assert_int_equal(settings.version, MQTT_5);
    assert_true(settings.clean_start);
    assert_int_equal(settings.session_expiry_s, 0);
    assert_int_equal(settings.keep_alive_s, 60);
    assert_true(bytes_starts(settings.client_id, "fieldgate-"));
    done();
    good("-V 31");
    assert_int_equal(settings.client_id.len, 19); /* 3.1 allows 23 */
    done();
    good("-I press-");
    assert_true(bytes_starts(settings.client_id, "press-") && settings.client_id.len > 6);
    done();
}

static void a_url_says_it_all(void **state)
{
    (void)state;
    good("-L mqtt://u:p%40@h:1884/a/b");
    assert_string_equal(settings.host, "h");
    assert_int_equal(settings.port, 1884);
    assert_true(bytes_is(settings.user, "u") && bytes_is(settings.password, "p@"));
    assert_string_equal(memory.topic, "a/b");
    done();
    good("-h ws://h/path");
    assert_int_equal(settings.scheme, MQTT_WS);
    assert_string_equal(settings.path, "/path");
    assert_null(memory.topic);
    done();
    good("-h ws://h");
    assert_string_equal(settings.path, "/mqtt");
    done();
    refused("-h mqtt://h/topic", "-t");
    refused("-h http://h", "mqtts://");
}

static void sessions_are_kept_as_with_mosquitto(void **state)
{
    (void)state;
    good("-c -i a");
    assert_false(settings.clean_start);
    assert_true(settings.session_expiry_s == UINT32_MAX);
    done();
    good("-c -i a -x 60");
    assert_int_equal(settings.session_expiry_s, 60);
    done();
    static const struct {
        const char *line;
        uint32_t seconds;
    } cases[] = {{"-x -1", UINT32_MAX},
                 {"-x \xe2\x88\x9e", UINT32_MAX},
                 {"-x 4294967295", UINT32_MAX},
                 {"-x 2h", 7200},
                 {"-x 0", 0},
                 {"-D connect session-expiry-interval 7", 7},
                 {"-x 5 -D CONNECT session-expiry-interval 7", 7}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        good(cases[i].line);
        assert_true(settings.session_expiry_s == cases[i].seconds);
        assert_int_equal(settings.props.len, 0); /* never twice in the packet */
        done();
    }
    refused("-c", "-i ID");
    refused("-x soon", "-1 for good");
    refused("-x 5 -V 311", "version 5");
}

static void properties_go_where_they_belong(void **state)
{
    (void)state;
    struct buf out = {0};
    struct fault why;
    good("-D connect receive-maximum 9 -D CONNECT maximum-packet-size 2000 -D connect topic-alias-maximum 3 "
         "-D connect user-property k v "
         "-D publish topic-alias 4 -D publish content-type x -D disconnect session-expiry-interval 5 -D will "
         "will-delay-interval 2 "
         "-D connect request-response-information 1");
    assert_int_equal(settings.receive_max, 9);
    assert_int_equal(settings.packet_bytes, 2000);
    assert_int_equal(settings.topic_alias_max, 3);
    assert_true(bytes_equal(settings.props, BYTES_LIT("\x26\0\1k\0\1v\x19\1")));
    assert_true(bytes_equal(settings.will_props, BYTES_LIT("\x18\0\0\0\2")));
    assert_true(bytes_equal(buf_bytes(&memory.goodbye), BYTES_LIT("\x11\0\0\0\5")));
    assert_int_equal(mqtt_target_alias(&values.target), 4);
    assert_int_equal(mqtt_target_props(&values.target, "PUBLISH", &out, &why), CODE_OK);
    assert_true(bytes_equal(buf_bytes(&out), BYTES_LIT("\3\0\1x")));
    buf_clear(&out);
    done();
    refused("-D connect receive-maximum 0", "receive-maximum");
    refused("-D connect maximum-packet-size 0", "maximum-packet-size");
    refused("-D publish topic-alias 0", "topic-alias");
    refused("-D publish payload-format-indicator 2", "payload-format-indicator");
    refused("-D subscribe subscription-identifier 0", "subscription-identifier");
    refused("-D publish receive-maximum 1", "does not belong to");
    refused("-D connect nonsense 1", "no such property");
    refused("-D connack user-property a b", "one of CONNECT");
    refused("-V 311 -D publish content-type x", "version 5");
}

static void user_properties_have_a_name_and_a_value(void **state)
{
    (void)state;
    struct buf out = {0};
    struct fault why;
    good("--user-property a=b=c --user-property =");
    assert_int_equal(mqtt_target_user_props(&values.user, &out, &why), CODE_OK);
    assert_true(bytes_equal(buf_bytes(&out), BYTES_LIT("\x26\0\1a\0\3b=c\x26\0\0\0\0")));
    done();
    good("--user-property a");
    assert_int_equal(mqtt_target_user_props(&values.user, &out, &why), CODE_USAGE);
    buf_clear(&out);
    done();
}

static void places_are_written_as_people_read_them(void **state)
{
    (void)state;
    char place[MQTT_HOST_MAX + 8];
    good("-h ::1");
    assert_string_equal(mqtt_target_place(&settings, place), "[::1]:1883");
    done();
    good("-h unix:/run/x");
    assert_string_equal(mqtt_target_place(&settings, place), "unix:/run/x");
    done();
    good("-h a -p 5");
    assert_string_equal(mqtt_target_place(&settings, place), "a:5");
    done();
    free(said);
    said = NULL;
}

static void a_password_that_is_only_proven_stays_here(void **state)
{
    (void)state;
    good("-L mqtt://u:p@h/a --auth-method SCRAM-SHA-256");
    assert_true(bytes_is(settings.auth_method, "SCRAM-SHA-256"));
    assert_true(bytes_starts(settings.auth_data, "n,,n=u,r=") && settings.auth_data.len == 9 + 24);
    assert_true(!settings.user.len && !settings.password.len);
    done();
    refused("-L mqtt://u@h --auth-method SCRAM-SHA-256", "needs -u NAME and -P PASSWORD");
    refused("-L mqtt://u:p@h --auth-method PLAIN", "'PLAIN' is not offered");
    refused("-L mqtt://u:p@h -V 311 --auth-method SCRAM-SHA-256", "version 5");
    refused("-L mqtt://u:p@h --auth-method SCRAM-SHA-256 -D connect authentication-data x", "give one of them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_people_at_home),
        cmocka_unit_test(a_url_says_it_all),
        cmocka_unit_test(sessions_are_kept_as_with_mosquitto),
        cmocka_unit_test(properties_go_where_they_belong),
        cmocka_unit_test(user_properties_have_a_name_and_a_value),
        cmocka_unit_test(a_password_that_is_only_proven_stays_here),
        cmocka_unit_test(places_are_written_as_people_read_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
