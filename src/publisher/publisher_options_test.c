#include "publisher/options.h"

#include "opcua/status.h"
#include "publisher/nodes_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct publisher_options of(const char *text)
{
    struct publisher_options o;
    struct fault why = {0};
    if (publisher_options_text(&o, text, &why) != CODE_OK)
        fail_msg("%s: %s", text, why.text);
    return o;
}

static bool noted(const struct publisher_options *o, const char *text)
{
    for (uint32_t i = 0; i < o->note_count; i++)
        if (strstr(o->notes[i], text))
            return true;
    return false;
}

static void the_classic_line(void **state)
{
    (void)state;
    struct publisher_options o = of("gw1 --ns=true --fd=true --aa --pf=/appdata/pn.json");
    assert_true(o.old);
    assert_true(o.fetch_names);
    assert_true(o.accept_any);
    assert_string_equal(o.nodes_path, "/appdata/pn.json");
    assert_string_equal(o.publisher_id, "gw1");
    assert_int_equal(o.note_count, 0);
    assert_int_equal(o.message_bytes, 262144);
    assert_int_equal(o.batch_ms, 10000);
    assert_int_equal(o.batch_size, 0);
    assert_int_equal(o.publishing_ms, 0);
    assert_int_equal(o.mode, NODES_SAMPLES);
    assert_int_equal(o.suppressed_count, 2);
    publisher_options_clear(&o);
}

static void the_new_line(void **state)
{
    (void)state;
    struct publisher_options o = of("-f pn.json -c -t Mqtt --mqc \"HostName=b;Port=1883\" --bs 1 --bi=0 "
                                    "--mm=PubSub --nf=Uri --aa true --qs=10 --kfc 5 --uns UseBrowseNames");
    assert_false(o.old);
    assert_true(o.strict);
    assert_true(o.accept_any);
    assert_true(noted(&o, "--b has no meaning here: values go into this node"));
    assert_int_equal(o.batch_size, 1);
    assert_int_equal(o.batch_ms, 0);
    assert_int_equal(o.mode, NODES_PUBSUB);
    assert_int_equal(o.node_ids, NODE_IDS_URI);
    assert_int_equal(o.queue_size, 10);
    assert_int_equal(o.key_frames, 5);
    assert_int_equal(o.routing, NODES_BROWSE_NAMES);
    assert_true(noted(&o, "--t has no meaning here"));
    assert_int_equal(o.note_count, 2);
    publisher_options_clear(&o);
    o = of("");
    assert_false(o.old);
    assert_int_equal(o.batch_size, 50);
    assert_int_equal(o.batch_ms, 10000);
    assert_int_equal(o.publishing_ms, 1000);
    assert_int_equal(o.suppressed_count, 0);
    publisher_options_clear(&o);
}

static void values(void **state)
{
    (void)state;
    struct publisher_options o = of(
        "--si=1 --ms 0 --hb=5 --oi=-1 --ss=BadNoCommunication,BadNodeIdUnknown --FD:false --lf=x --lf=y");
    assert_true(o.old);
    assert_int_equal(o.batch_ms, 1000);
    assert_int_equal(o.message_bytes, 0);
    assert_false(o.single_item);
    assert_int_equal(o.heartbeat_ms, 5000);
    assert_int_equal(o.sampling_ms, -1);
    assert_int_equal(o.suppressed_count, 2);
    assert_int_equal(o.suppressed[1], UA_BAD_NODE_ID_UNKNOWN);
    assert_false(o.fetch_names);
    assert_int_equal(o.note_count, 1); /* once */
    publisher_options_clear(&o);
    o = of("--si=0 --ms=0 --tc=t.json");
    assert_true(o.single_item);
    publisher_options_clear(&o);
    o = of("--bi=00:00:02 --generation=2.4 -c \"HostName=x;DeviceId=y\"");
    assert_int_equal(o.batch_ms, 2000);
    assert_true(o.old);
    assert_false(o.strict);
    assert_true(noted(&o, "--ec has no meaning"));
    publisher_options_clear(&o);
}

static void unknown_ones_are_named_and_left_out(void **state)
{
    (void)state;
    struct publisher_options o = of("--fetchdisplaynam=true --zzz qqq --fd");
    assert_true(noted(&o, "--fetchdisplaynam is no option"));
    assert_true(noted(&o, "Did you mean --fetchdisplayname?"));
    assert_true(noted(&o, "--zzz"));
    assert_true(o.fetch_names);
    assert_string_equal(o.publisher_id, "");
    publisher_options_clear(&o);
}

static void wrong(const char *text, const char *want)
{
    struct publisher_options o;
    struct fault why = {0};
    assert_int_not_equal(publisher_options_text(&o, text, &why), CODE_OK);
    if (!strstr(why.text, want))
        fail_msg("'%s' is not in '%s'", want, why.text);
}

static void wrong_values(void **state)
{
    (void)state;
    wrong("--bs=many", "--bs must be a number, got 'many'");
    wrong("--mm=x", "--mm must be one of PubSub, Samples");
    wrong("--fd=maybe", "--fd must be true or false");
    wrong("--pf", "--pf needs a value");
    wrong("--ss=BadX", "--ss must be a list of status codes");
    wrong("--qos=3", "--qos must be 0, 1, 2");
}

static void environment_comes_before_the_line(void **state)
{
    (void)state;
    const char *const env[] = {"BatchSize=7", "PublishedNodesFile=/e.json",
                               "AutoAcceptUntrustedCertificates=true", "HOME=/x", NULL};
    const char *const argv[] = {"--bs=9"};
    struct publisher_options o;
    struct fault why;
    assert_int_equal(publisher_options_parse(&o, 1, argv, env, &why), CODE_OK);
    assert_int_equal(o.batch_size, 9);
    assert_string_equal(o.nodes_path, "/e.json");
    assert_true(o.accept_any);
    publisher_options_clear(&o);
    struct buf text = {0};
    publisher_options_environment(&text, env);
    assert_true(publisher_options_quote(&text, "a b\"c"));
    assert_false(publisher_options_quote(&text, "\"'"));
    buf_u8(&text, 0);
    assert_string_equal((const char *)text.at, "--pf=\"/e.json\" --bs=\"7\" --aa=\"true\"'a b\"c'");
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_classic_line), cmocka_unit_test(the_new_line),
        cmocka_unit_test(values),           cmocka_unit_test(unknown_ones_are_named_and_left_out),
        cmocka_unit_test(wrong_values),     cmocka_unit_test(environment_comes_before_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
