#include "publisher/nodes_file.h"

#include "base/mem.h"
#include "publisher/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct nodes_file *good(const char *text, bool old)
{
    struct nodes_file *f = NULL;
    struct fault why = {0};
    enum code c = nodes_file_parse(&f, bytes_str(text), old, &why);
    if (c != CODE_OK)
        fail_msg("%s", why.text);
    return f;
}

static void bad(const char *text, const char *want)
{
    struct nodes_file *f = NULL;
    struct fault why = {0};
    assert_int_not_equal(nodes_file_parse(&f, bytes_str(text), false, &why), CODE_OK);
    assert_null(f);
    if (!strstr(why.text, want))
        fail_msg("'%s' is not in '%s'", want, why.text);
}

static bool noted(const struct nodes_file *f, const char *text)
{
    for (uint32_t i = 0; i < f->note_count; i++)
        if (strstr(f->notes[i].text, text))
            return true;
    return false;
}

/* As the old generation ships it, with its comments and its comma too many. */
static void the_classic_file(void **state)
{
    (void)state;
    struct nodes_file *f = good(
        "\xef\xbb\xbf[\n"
        "  {\n"
        "    // the server\n"
        "    \"EndpointUrl\": \"opc.tcp://press:4840/UA\",\n"
        "    \"UseSecurity\": false,\n"
        "    /* nodes\n       of it */\n"
        "    \"OpcNodes\": [\n"
        "      { \"Id\": \"i=2258\", \"OpcSamplingInterval\": 2000, \"OpcPublishingInterval\": 5000,\n"
        "        \"DisplayName\": \"Current time\" },\n"
        "      { \"ExpandedNodeId\": \"nsu=http://x/;s=Humidity\", \"HeartbeatInterval\": 5, \"SkipFirst\": "
        "true, },\n"
        "    ]\n"
        "  },\n"
        "  { \"EndpointUrl\": \"opc.tcp://old:4840\", \"NodeId\": { \"Identifier\": \"ns=2;s=a//b\" } }\n"
        "]\n",
        true);
    assert_int_equal(f->entry_count, 2);
    assert_int_equal(f->node_count, 3);
    const struct nodes_entry *e = f->entries;
    assert_int_equal(e[0].security, NODES_NONE);
    assert_int_equal(e[1].security, NODES_BEST); /* the old generation's default */
    assert_string_equal(e[0].nodes[0].id, "i=2258");
    assert_null(e[0].nodes[0].expanded_id);
    assert_int_equal(e[0].nodes[0].sampling_ms, 2000);
    assert_int_equal(e[0].nodes[0].publishing_ms, 5000);
    assert_string_equal(e[0].nodes[0].name, "Current time");
    assert_string_equal(e[0].nodes[1].expanded_id, "nsu=http://x/;s=Humidity");
    assert_int_equal(e[0].nodes[1].heartbeat_ms, 5000);
    assert_int_equal(e[0].nodes[1].skip_first, 1);
    assert_int_equal(e[0].nodes[0].skip_first, -1);
    assert_string_equal(e[1].nodes[0].id, "ns=2;s=a//b");
    assert_int_equal(f->note_count, 0);
    nodes_file_free(f);
    f = good("[{\"EndpointUrl\":\"opc.tcp://a:1\"}]", false);
    assert_int_equal(f->entries[0].security, NODES_NONE);
    nodes_file_free(f);
}

static void the_new_file(void **state)
{
    (void)state;
    struct nodes_file *f = good(
        "[{\"endpointurl\":\"opc.tcp://a:4840\",\"DataSetWriterGroup\":\"line1\",\"DataSetWriterId\":1000,"
        "\"DataSetName\":\"press\",\"DataSetPublishingInterval\":250,\"DataSetPublishingIntervalTimespan\":"
        "\"00:00:02.5\","
        "\"BatchSize\":20,\"BatchTriggerIntervalTimespan\":\"00:00:01\",\"DataSetKeyFrameCount\":10,"
        "\"MessagingMode\":\"rawdatasets\",\"MessageEncoding\":\"Uadp\",\"WriterGroupTransport\":\"IoTHub\","
        "\"EndpointSecurityMode\":\"SignAndEncrypt\",\"EndpointSecurityPolicy\":\"http://opcfoundation.org/"
        "UA/SecurityPolicy#Basic256Sha256\","
        "\"OpcAuthenticationMode\":\"UsernamePassword\",\"OpcAuthenticationUsername\":\"u\","
        "\"OpcAuthenticationPassword\":\"p\","
        "\"DefaultHeartbeatIntervalTimespan\":\"1.00:00:00\",\"DefaultHeartbeatBehavior\":\"PeriodicLKV\","
        "\"QualityOfService\":\"AtLeastOnce\",\"MessageRetention\":true,\"DataSetExtensionFields\":{\"Line\":"
        "1},"
        "\"Flavour\":1,\"OpcNodes\":["
        "{\"Id\":\"ns=2;s=a\",\"DataSetFieldId\":\"f\",\"QueueSize\":7,\"DiscardNew\":true,"
        "\"DataChangeTrigger\":\"StatusValueTimestamp\","
        "\"DeadbandType\":\"Absolute\",\"DeadbandValue\":0.5,\"AttributeId\":\"Value\",\"IndexRange\":\"0:"
        "3\",\"Flavour\":2},"
        "{\"Id\":\"ns=2;s=b\",\"EventFilter\":{}},{\"Id\":\"ns=2;s=c\",\"OpcSamplingInterval\":-1,"
        "\"AttributeId\":12}]}]",
        false);
    const struct nodes_entry *e = f->entries;
    assert_string_equal(e->writer, "1000");
    assert_int_equal(e->publishing_ms, 2500); /* the time span wins, whichever comes first */
    assert_int_equal(e->batch_ms, 1000);
    assert_int_equal(e->batch_size, 20);
    assert_int_equal(e->mode, NODES_RAW_DATASETS);
    assert_int_equal(e->encoding, NODES_JSON);
    assert_int_equal(e->security, NODES_SIGN_AND_ENCRYPT);
    assert_int_equal(e->auth, NODES_USER);
    assert_string_equal(e->password, "p");
    assert_int_equal(e->heartbeat_ms, 86400000);
    assert_int_equal(e->heartbeat, NODES_PERIODIC_LKV);
    assert_int_equal(e->qos, 1);
    assert_int_equal(e->retain, 1);
    assert_int_equal(e->node_count, 2); /* the one with events is left out, and said */
    assert_int_equal(e->nodes[0].trigger, 3);
    assert_int_equal(e->nodes[0].deadband, 1);
    assert_true(e->nodes[0].deadband_value == 0.5);
    assert_int_equal(e->nodes[0].attribute, 13);
    assert_int_equal(e->nodes[1].attribute, 12);
    assert_int_equal(e->nodes[1].sampling_ms, -1);
    assert_true(noted(f, "MessageEncoding Uadp"));
    assert_true(noted(f, "WriterGroupTransport is not done here"));
    assert_true(noted(f, "EventFilter"));
    assert_true(noted(f, "'Flavour'"));
    assert_int_equal(f->note_count, 4);
    nodes_file_free(f);
}

static void what_is_wrong_has_its_place(void **state)
{
    (void)state;
    bad("[\n  {\n    \"EndpointUrl\": \"http://x\"\n  }\n]", "3:20: EndpointUrl must be");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\n \"OpcNodes\":[{\"Id\":5}]}]", "2:20: Id must be a node");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\n \"OpcNodes\":[{}]}]", "2:14: Id must be");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\n \"BatchSize\":\"many\"}]",
        "2:14: BatchSize must be a number, got 'many'");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\n \"BatchSize\":100001}]",
        "2:14: BatchSize must be from 0 to 100000");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\"MessagingMode\":\"x\"}]",
        "1:49: MessagingMode must be one of PubSub, Samples");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\"EndpointUrl\":\"opc.tcp://x:1\"}]",
        "1:33: this name comes twice");
    bad("[\n /* x", "2:2: a comment begins here");
    bad("[ \"a\n\" ]", "1:5: a control character");
    bad("[ \"\\q\" ]", "an escape that JSON does not have");
    bad("[ \"\\ud800x\" ]", "half of a surrogate");
    bad("[ 01 ]", "1:3: not a number");
    bad("[ 1 2 ]", "1:5: a comma or ]");
    bad("{}", "1:1: the file must be a list");
    bad("[,]", "1:2: a value is missing");
    bad("[] x", "1:4: there is more");
    bad("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]", "1:33: nested more than 32");
    bad("[{\"EndpointUrl\":\"opc.tcp://x:1\",\"OpcNodes\":[{\"Id\":\"i=1\",\"HeartbeatIntervalTimespan\":\"5 "
        "s\"}]}]",
        "must be a time");
}

static void time_spans(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } rows[] = {{"00:00:10", 10000},
                {"00:00:00.5", 500},
                {"00:00:00.0010000", 1},
                {"1.02:03:04", 93784000},
                {"2", 172800000},
                {"00:10", 600000},
                {"24:00:00", -1},
                {"00:60:00", -1},
                {"", -1},
                {"x", -1},
                {"-00:00:01", -1},
                {"00:00:01x", -1},
                {"99999:00:00:00", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -1;
        bool is = nodes_timespan(bytes_str(rows[i].text), &ms);
        if (is != (rows[i].ms >= 0) || (is && ms != rows[i].ms))
            fail_msg("%s: %d %lld", rows[i].text, is, (long long)ms);
    }
}

/* What is written back is read as the same, with fields that nobody knows. */
static void back_and_again(void **state)
{
    (void)state;
    char dir[] = "/tmp/nodes_file_test.XXXXXX", path[64];
    struct fault why = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/pn.json", dir);
    struct nodes_file *f = good("[{\"EndpointUrl\":\"opc.tcp://"
                                "a:1\",\"Mine\":[1.50,null,\"\\u00e9\"],\"OpcNodes\":[{\"Id\":\"i=1\"}]}]",
                                false),
                      *g = NULL;
    assert_int_equal(nodes_file_load(&g, &io_system, path, false, &why), CODE_NOTFOUND);
    assert_int_equal(nodes_file_save(f, &io_system, path, &why), CODE_OK);
    assert_int_equal(nodes_file_load(&g, &io_system, path, false, &why), CODE_OK);
    struct buf a = {0}, b = {0};
    jtree_write(&a, f->tree, 0);
    jtree_write(&b, g->tree, 0);
    assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    buf_u8(&a, 0);
    assert_non_null(strstr((char *)a.at, "1.50"));
    buf_clear(&a);
    buf_clear(&b);
    nodes_file_free(g);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs("[\n{\"EndpointUrl\":1}]", out);
    fclose(out);
    assert_int_equal(nodes_file_load(&g, &io_system, path, false, &why), CODE_MALFORMED);
    assert_non_null(strstr(why.text, "pn.json:2:16: EndpointUrl"));
    unlink(path);
    rmdir(dir);
    nodes_file_free(f);
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct nodes_file *f = NULL;
        struct fault why;
        mem_fail_at(n);
        enum code c = nodes_file_parse(
            &f, BYTES_LIT("[{\"EndpointUrl\":\"opc.tcp://a:1\",\"OpcNodes\":[{\"Id\":\"i=1\\n\"}]}]"), false,
            &why);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_true(c == (fired ? CODE_NOMEM : CODE_OK));
        nodes_file_free(f);
        if (!fired)
            break;
    }
}

static void ways_to_a_node(void **state)
{
    (void)state;
    struct nodes_file *f = good("[{\"EndpointUrl\":\"opc.tcp://a:1\",\"OpcNodes\":["
                                "{\"Id\":\"i=85\",\"RegisterNode\":true,\"BrowsePath\":[\"Press\",\"/2:Tem:p\","
                                "\".1:Unit\",\"/http://x/#A#B\",\"nsu=http://y/;a&/b\",\"a:b\"]},"
                                "{\"BrowsePath\":[\"/Objects\"],\"UseCyclicRead\":true,\"CyclicReadMaxAge\":50}]}]",
                                false);
    const struct nodes_node *n = f->entries[0].nodes;
    struct target_step *s;
    struct arena arena;
    struct fault why;
    uint32_t count;
    assert_int_equal(f->note_count, 0);
    assert_int_equal(n[0].register_node, 1);
    assert_string_equal(n[1].id, "i=84");
    assert_int_equal(n[0].cyclic, -1);
    assert_int_equal(n[1].cyclic, 1);
    assert_int_equal(n[1].max_age_ms, 50);
    arena_init(&arena, NULL, 0, 1 << 16);
    assert_int_equal(target_parse(&s, &count, n[0].browse_path, &arena, &why), CODE_OK);
    nodes_file_free(f); /* what was read stays */
    assert_int_equal(count, 6);
    const struct { bool part; uint16_t ns; const char *uri, *name; } want[] = {
        {false, 0, "", "Press"}, {false, 2, "", "Tem:p"}, {true, 1, "", "Unit"},
        {false, 0, "http://x/#A", "B"}, {false, 0, "http://y/", "a/b"}, {false, 0, "", "a:b"}};
    for (size_t k = 0; k < count; k++) {
        assert_int_equal(s[k].part, want[k].part);
        assert_int_equal(s[k].ns, want[k].ns);
        assert_true(bytes_is(s[k].uri, want[k].uri));
        assert_true(bytes_is(s[k].name, want[k].name));
    }
    arena_clear(&arena);
    bad("[{\"EndpointUrl\":\"opc.tcp://a:1\",\"OpcNodes\":[{\"Id\":\"i=1\",\"BrowsePath\":[]}]}]",
        "1:70: BrowsePath must be a list of 1 to 32 names");
    bad("[{\"EndpointUrl\":\"opc.tcp://a:1\",\"OpcNodes\":[{\"Id\":\"i=1\",\"BrowsePath\":[\"2:\"]}]}]",
        "a part of BrowsePath must be a browse name such as \"2:Temperature\", got '2:'");
    bad("[{\"EndpointUrl\":\"opc.tcp://a:1\",\"OpcNodes\":[{\"Id\":\"i=1\",\"BrowsePath\":[\"<Has>x\"]}]}]", "got '<Has>x'");
    bad("[{\"EndpointUrl\":\"opc.tcp://a:1\",\"OpcNodes\":[{\"Id\":\"i=1\",\"BrowsePath\":\"x\"}]}]", "must be a list");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_classic_file),
        cmocka_unit_test(the_new_file),
        cmocka_unit_test(what_is_wrong_has_its_place),
        cmocka_unit_test(time_spans),
        cmocka_unit_test(ways_to_a_node),
        cmocka_unit_test(back_and_again),
        cmocka_unit_test(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
