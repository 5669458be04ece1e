/* opcua.server and opcua.variables: what is refused, where, and with which fix; what is taken. */
#include "base/settings_test_parse.h"

#define SERVED "opcua:\n  server: { at: \"127.0.0.1:0\" }\n  variables:\n    A: { "

static void refused(const char *text, int number, uint32_t line, uint32_t column, const char *said)
{
    const struct settings *s;
    enum code c = parse_with(&s, text, strlen(text), (struct settings_source){ .environment = home });
    if (c != CODE_USAGE || report.notes[0].number != number || !strstr(report.notes[0].text, said))
        print_error("for:\n%s\nwanted FG%d ..%s..\ngot    FG%d %s\n", text, number, said, report.notes[0].number, report.notes[0].text);
    assert_int_equal(c, CODE_USAGE);
    assert_int_equal(report.notes[0].number, number);
    assert_non_null(strstr(report.notes[0].text, said));
    assert_int_equal(report.notes[0].line, line);
    assert_int_equal(report.notes[0].column, column);
}

/* A variable with these keys. */
static void bad(const char *keys, int number, const char *said)
{
    char text[512];
    (void)snprintf(text, sizeof text, SERVED "%s }\n", keys);
    refused(text, number, 4, 5, said);
}

static void what_others_can_reach_is_protected_or_said_to_be_insecure(void **state)
{
    (void)state;
    refused("opcua:\n  server:\n    at: [\"127.0.0.1:4840\", \"0.0.0.0:4840\"]\n    security: None\n", 1014, 4, 15, "other machines reach 0.0.0.0:4840");
    refused("opcua:\n  server: { at: \"[::]:4840\", anonymous: write }\n", 1014, 2, 41, "could give orders");
    refused("opcua:\n  server: { at: \"127.0.0.1\" }\n", 1013, 2, 17, "must be a numeric address");
    refused("opcua:\n  server: { at: \"127.0.0.1:0\", security: [None, Basic128] }\n", 1013, 2, 49, "got 'Basic128'");
    refused("opcua:\n  server: { at: \"127.0.0.1:0\", anonymous: none, users: none }\n", 1014, 2, 43, "lets nobody in");
    const struct settings *s = good("opcua:\n  server: { at: \"0.0.0.0:4840\", security: None, anonymous: write, insecure: true }\n");
    assert_false(s->opcua.server.local);
    settings_free(s);
    s = good("opcua:\n  server: { at: \"127.0.0.1:4840\", anonymous: write }\n");
    assert_true(s->opcua.server.local);
    assert_int_equal(s->opcua.server.users, OPCUA_WRITE);
    assert_int_equal(s->opcua.server.certificates, OPCUA_NOTHING);
    settings_free(s);
}

static void variables_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    bad("field: a", 1013, "has no topic");
    bad("topic: a/b+", 1013, "must be a topic, or a topic filter");
    bad("topic: $share/g/a", 1013, "must be a topic");
    bad("topic: a/+/+, folder: \"{2}\"", 1014, "does not say {3}");
    bad("topic: a/+, node: s=x", 1014, "does not say {2}");
    bad("topic: a/#, folder: x", 1014, "does not say {#}");
    bad("topic: a/+, writable: a/set", 1014, "does not say {2}");
    bad("topic: a/b, folder: \"{3}\"", 1014, "has {3}, which the topic a/b does not have");
    bad("topic: a/b, folder: \"{#}\"", 1014, "has {#}");
    bad("topic: a/b, folder: \"{x}\"", 1013, "has braces with something else");
    bad("topic: a/b, folder: \"{2\"", 1013, "has braces with something else");
    bad("topic: a/b, folder: \"2}\"", 1013, "has braces with something else");
    bad("topic: a/b, node: x=1", 1013, "must be s=TEXT or i=NUMBER");
    bad("topic: a/b, node: ns=3;s=a", 1013, "must be s=TEXT or i=NUMBER");
    bad("topic: a/b, node: i=4294967296", 1013, "must be s=TEXT or i=NUMBER");
    bad("topic: \"{topic}/+\", node: i=7", 1014, "node");
    bad("topic: a/b, writable: a/+", 1013, "without wildcards");
    bad("topic: a/b, writable: $SYS/x", 1013, "not beginning with $");
    bad("topic: a/b, field: a..b", 1013, "names with dots");
    bad("topic: a/b, timestamp: t", 1014, "without `field`");
    bad("topic: a/b, type: String, unit: CEL", 1014, "is for numbers, and the type is String");
    bad("topic: a/b, range: [5]", 1013, "two numbers");
    bad("topic: a/b, range: [5, 5]", 1013, "two numbers");
    bad("topic: a/b, range: [a, 5]", 1013, "two numbers");
    refused(SERVED "topic: a, node: s=x }\n    B: { topic: b, node: \"ns=2;s=x\" }\n", 1014, 5, 5, "so is that of opcua.variables.A");
}

static void a_server_that_nobody_asked_for_is_a_warning(void **state)
{
    (void)state;
    const struct settings *s;
    const char text[] = "opcua:\n  variables:\n    A: { topic: a }\n";
    assert_int_equal(parse_with(&s, text, strlen(text), (struct settings_source){ .environment = home }), CODE_OK);
    assert_int_equal(report.count, 1);
    assert_true(report.notes[0].warning);
    assert_non_null(strstr(report.notes[0].text, "no server serves them"));
    settings_free(s);
}

static void what_is_right_is_taken(void **state)
{
    (void)state;
    const struct settings *s = good(SERVED "topic: a/+/c/#, folder: \"{2}/{#}\", node: \"s={topic}\", field: a.b, type: Int32, unit: CEL, range: [-5, 1e3],"
                                           " timestamp: t, stale: 30s, writable: \"w/{topic}\" }\n    B: { topic: b, type: DateTime }\n");
    const struct settings_opcua_variable *v = s->opcua.variables.at;
    assert_int_equal(s->opcua.variables.count, 2);
    assert_string_equal(v->entry.name, "A");
    assert_int_equal(v->type, 5);
    assert_int_equal(v->stale_s, 30);
    assert_int_equal(v[1].type, 12);
    settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_can_reach_is_protected_or_said_to_be_insecure), cmocka_unit_test(variables_that_make_no_sense_are_refused),
        cmocka_unit_test(a_server_that_nobody_asked_for_is_a_warning), cmocka_unit_test(what_is_right_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
