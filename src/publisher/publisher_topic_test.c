#include "publisher/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void fills(const char *text, const char *want)
{
    struct bytes v[TOPIC_VARIABLES] = {
        [TOPIC_WRITER_GROUP] = BYTES_LIT("line1"),
        [TOPIC_ENDPOINT] = BYTES_LIT("plc:1"),
        [TOPIC_NODE_ID] = BYTES_LIT("ns=2;s=a/b+c"),
        [TOPIC_DISPLAY_NAME] = BYTES_LIT("$T\xc3\xa4#1"),
        [TOPIC_BROWSE_PATH] = BYTES_LIT("Objects/Press/T"),
        [TOPIC_FIELD_ID] = BYTES_LIT("\xff"
                                     "x"),
    };
    char out[TOPIC_MOST + 1];
    bool good = topic_fill(text, v, out);
    if (want)
        assert_string_equal(out, want);
    assert_int_equal(good, want != NULL);
}

static void templates(void **state)
{
    (void)state;
    fills("opcua/{WriterGroup}/{Writer}", "opcua/line1");
    fills("opcua/{writer}/{dataSetWriterGroup}", "opcua/line1");
    fills("{Endpoint}/{NodeId}", "plc:1/ns=2;s=a_b_c");
    fills("{DisplayName}", "_T\xc3\xa4_1");
    fills("{DisplayName}/{DisplayName}", "_T\xc3\xa4_1/$T\xc3\xa4_1");
    fills("uns/{BrowsePath}/x", "uns/Objects/Press/T/x");
    fills("/a//{Site}/b/", "a/b");
    fills("f/{FieldId}", "f/_x");
    fills("{Writer}", NULL);
    fills("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/5/6/7", NULL);
}

static void checks(void **state)
{
    struct fault why;
    bool node = false, path = true;
    (void)state;
    assert_int_equal(topic_template_check(BYTES_LIT("a/{NodeId}"), &node, &path, &why), CODE_OK);
    assert_true(node);
    assert_false(path);
    assert_int_equal(topic_template_check(BYTES_LIT("a/{Nodeid"), NULL, NULL, &why), CODE_USAGE);
    assert_int_equal(topic_template_check(BYTES_LIT("a/{Nix}"), NULL, NULL, &why), CODE_USAGE);
    assert_non_null(strstr(why.text, "{Nix} is nothing"));
    assert_int_equal(topic_template_check(BYTES_LIT("a/#"), NULL, NULL, &why), CODE_USAGE);
}

static void hosts(void **state)
{
    static const char *const rows[][2] = {{"opc.tcp://10.0.4.20:4840/x/y", "10.0.4.20"},
                                          {"opc.tcp://plc:62541", "plc:62541"},
                                          {"opc.tcp://[::1]:4840", "[::1]"},
                                          {"opc.tcp://plc/", "plc"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(bytes_is(topic_host(rows[i][0]), rows[i][1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(templates), cmocka_unit_test(checks),
                                       cmocka_unit_test(hosts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
