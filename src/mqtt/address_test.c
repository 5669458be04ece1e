#include "mqtt/address.h"

#include "net/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void addresses_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t given;
        enum mqtt_scheme scheme;
        const char *host;
        uint16_t port;
        const char *path, *user, *password;
    } cases[] = {
        {"localhost", 0, MQTT_TCP, "localhost", 1883, "", "", ""},
        {"localhost", 1884, MQTT_TCP, "localhost", 1884, "", "", ""},
        {"10.0.4.2:1885", 1884, MQTT_TCP, "10.0.4.2", 1885, "", "", ""},
        {"::1", 0, MQTT_TCP, "::1", 1883, "", "", ""},
        {"[::1]", 0, MQTT_TCP, "::1", 1883, "", "", ""},
        {"[fe80::1%eth0]:1", 0, MQTT_TCP, "fe80::1%eth0", 1, "", "", ""},
        {"unix:/run/f.sock", 0, MQTT_TCP, "unix:/run/f.sock", 1883, "", "", ""},
        {"mqtt://h", 0, MQTT_TCP, "h", 1883, "", "", ""},
        {"mqtts://h", 0, MQTT_TLS, "h", 8883, "", "", ""},
        {"mqtts://h:1/a/b", 0, MQTT_TLS, "h", 1, "/a/b", "", ""},
        {"ws://h", 0, MQTT_WS, "h", 80, "", "", ""},
        {"ws://[::1]:8080/mqtt?x=1", 0, MQTT_WS, "::1", 8080, "/mqtt?x=1", "", ""},
        {"wss://h/", 0, MQTT_WSS, "h", 443, "/", "", ""},
        {"mqtt://u:p@h/t", 0, MQTT_TCP, "h", 1883, "/t", "u", "p"},
        {"mqtt://u@h", 0, MQTT_TCP, "h", 1883, "", "u", ""},
        {"mqtt://a%40b:x%3a%2F@h", 0, MQTT_TCP, "h", 1883, "", "a@b", "x:/"},
        {"mqtt://u:p@q@h", 0, MQTT_TCP, "h", 1883, "", "u", "p@q"},
        {"mqtt://h/a@b", 0, MQTT_TCP, "h", 1883, "/a@b", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct mqtt_address a;
        struct fault why;
        if (mqtt_address_parse(&a, bytes_str(cases[i].text), cases[i].given, &why))
            fail_msg("%s: %s", cases[i].text, why.text);
        assert_int_equal(a.scheme, cases[i].scheme);
        assert_string_equal(a.host, cases[i].host);
        assert_int_equal(a.port, cases[i].port);
        assert_string_equal(a.path, cases[i].path);
        assert_string_equal(a.user, cases[i].user);
        assert_string_equal(a.password, cases[i].password);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static char long_host[400];
    memset(long_host, 'h', sizeof long_host - 1);
    const char *const cases[] = {"",           "h:0",    "h:65536",      "h:",           "h:x",
                                 "[::1",       "[::1]x", "[]",           "http://h",     "mqtt://",
                                 "mqtt:///t",  "h/t",    "mqtt://%zz@h", "mqtt://%00@h", "mqtt://%4@h",
                                 "mqtt://@:1", long_host};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct mqtt_address a;
        struct fault why = {0};
        if (mqtt_address_parse(&a, bytes_str(cases[i]), 0, &why) != CODE_USAGE)
            fail_msg("'%s' was taken", cases[i]);
        assert_non_null(strstr(why.text, "mqtts://"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
