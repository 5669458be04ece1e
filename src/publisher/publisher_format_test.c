/* Golden bodies: what OPC Publisher writes for the same values. */
#include "publisher/format.h"

#include "opcua/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct format base(bool old, enum nodes_mode mode)
{
    return (struct format){.old = old,
                           .mode = mode,
                           .telemetry = &telemetry_default,
                           .endpoint = "opc.tcp://opcplc:50000/",
                           .application_uri = "urn:myopcserver",
                           .publisher_id = "gw1",
                           .group = "line1",
                           .writer = "1000",
                           .dataset = "",
                           .class_id = "",
                           .writer_number = 1};
}

static const struct format_node step = {
    .id = {(const uint8_t *)"nsu=http://microsoft.com/Opc/OpcPlc/;s=StepUp", 45},
    .name = {(const uint8_t *)"StepUp", 6},
    .field = {(const uint8_t *)"StepUp", 6}};
/* 2017-11-10T14:03:17Z */
static const ua_time then = (ua_time)1510322597 * 10000000 + UA_UNIX_EPOCH;

static struct format_value value(const char *json)
{
    return (struct format_value){.json = bytes_str(json),
                                 .has_source = true,
                                 .source = then,
                                 .has_server = true,
                                 .server = then + 1500000};
}

static void is(struct buf *b, const char *want)
{
    buf_u8(b, 0);
    assert_false(b->bad);
    assert_string_equal((const char *)b->at, want);
    buf_clear(b);
}

static struct buf sample(const struct format *f, const struct format_node *n, const struct format_value *v)
{
    struct buf head = {0}, out = {0};
    format_head(&head, f, n);
    format_open(&out, f, 27);
    format_sample(&out, f, buf_bytes(&head), v, 120, then + 5000000);
    format_close(&out, f);
    buf_clear(&head);
    return out;
}

static void old_samples(void **state)
{
    (void)state;
    struct format f = base(true, NODES_SAMPLES);
    struct format_node n = {.id = BYTES_LIT("i=2258"), .name = BYTES_LIT("Current\"Time")};
    struct format_value v = value("21.5");
    struct buf b = sample(&f, &n, &v);
    is(&b, "[{\"NodeId\":\"i=2258\",\"ApplicationUri\":\"urn:myopcserver\",\"DisplayName\":"
           "\"Current\\\"Time\",\"Value\":{\"Value\":21.5,"
           "\"SourceTimestamp\":\"2017-11-10T14:03:17.0000000Z\"}}]");
    f.alone = true;
    v.has_source = false;
    v.json = BYTES_NONE;
    b = sample(&f, &n, &v);
    is(&b, "{\"NodeId\":\"i=2258\",\"ApplicationUri\":\"urn:myopcserver\",\"DisplayName\":"
           "\"Current\\\"Time\",\"Value\":{\"Value\":null}}");
    f.iot_central = true;
    v.json = BYTES_LIT("21.5");
    b = sample(&f, &n, &v);
    is(&b, "{\"Current\\\"Time\":\"21.5\"}");
    v.json = BYTES_LIT("\"on\"");
    b = sample(&f, &n, &v);
    is(&b, "{\"Current\\\"Time\":\"on\"}");
}

static void telemetry_configuration(void **state)
{
    (void)state;
    struct telemetry *t = NULL;
    struct fault why = {0};
    static const char text[] =
        "{ // as shipped\n \"Defaults\": { \"EndpointUrl\": { \"Publish\": true, \"Pattern\": "
        "\"opc.tcp://([^:]+)(:[0-9]+)\" },\n"
        " \"NodeId\": { \"Publish\": true, \"Name\": \"Node\", \"Pattern\": \"s=(.*)\" },\n"
        " \"MonitoredItem\": { \"Flat\": false, \"ApplicationUri\": { \"Publish\": false } },\n"
        " \"Value\": { \"Flat\": true, \"StatusCode\": { \"Publish\": true }, \"Status\": { \"Publish\": "
        "true } } },\n"
        " \"EndpointSpecific\": [ { \"ForEndpointUrl\": \"opc.tcp://other:1\", \"NodeId\": { \"Publish\": "
        "false } } ] }";
    assert_int_equal(telemetry_parse(&t, BYTES_LIT(text), &why), CODE_OK);
    struct format f = base(true, NODES_SAMPLES);
    f.telemetry = t;
    f.alone = true;
    struct format_value v = value("1");
    v.status = UA_UNCERTAIN_INITIAL_VALUE;
    struct buf b = sample(&f, &step, &v);
    is(&b, "{\"EndpointUrl\":\"opcplc:50000\",\"Node\":\"StepUp\",\"MonitoredItem\":{\"DisplayName\":"
           "\"StepUp\"},\"Value\":1,"
           "\"SourceTimestamp\":\"2017-11-10T14:03:17.0000000Z\",\"StatusCode\":1083310080,\"Status\":"
           "\"UncertainInitialValue\"}");
    f.endpoint = "opc.tcp://other:1";
    b = sample(&f, &step, &v);
    is(&b,
       "{\"EndpointUrl\":\"opc.tcp://other:1\",\"MonitoredItem\":{\"DisplayName\":\"StepUp\"},\"Value\":1,"
       "\"SourceTimestamp\":\"2017-11-10T14:03:17.0000000Z\",\"StatusCode\":1083310080,\"Status\":"
       "\"UncertainInitialValue\"}");
    telemetry_free(t);
    assert_int_equal(
        telemetry_parse(&t, BYTES_LIT("{\n \"Defaults\": { \"NodeID\": { \"Publsh\": true } } }"), &why),
        CODE_USAGE);
    assert_non_null(strstr(why.text, "2:38: this must be Publish"));
    assert_int_equal(telemetry_parse(&t, BYTES_LIT("{\"Defaults\":{\"NodeId\":{\"Pattern\":\"(\"}}}"), &why),
                     CODE_USAGE);
    assert_non_null(strstr(why.text, "1:34: Pattern"));
}

static void new_samples(void **state)
{
    (void)state;
    struct format f = base(false, NODES_SAMPLES);
    struct format_value v = value("21713");
    struct buf b = sample(&f, &step, &v);
    is(&b, "[{\"NodeId\":\"nsu=http://microsoft.com/Opc/OpcPlc/;s=StepUp\",\"EndpointUrl\":\"opc.tcp://"
           "opcplc:50000/\",\"DisplayName\":\"StepUp\","
           "\"Value\":{\"Value\":21713,\"SourceTimestamp\":\"2017-11-10T14:03:17Z\"}}]");
    f.mode = NODES_FULL_SAMPLES;
    f.extension = BYTES_LIT("{\"Line\":7}");
    b = sample(&f, &step, &v);
    is(&b, "[{\"NodeId\":\"nsu=http://microsoft.com/Opc/OpcPlc/;s=StepUp\",\"EndpointUrl\":\"opc.tcp://"
           "opcplc:50000/\","
           "\"ApplicationUri\":\"urn:myopcserver\",\"DisplayName\":\"StepUp\",\"Timestamp\":\"2017-11-10T14:"
           "03:17.5Z\","
           "\"Value\":{\"Value\":21713,\"SourceTimestamp\":\"2017-11-10T14:03:17Z\",\"ServerTimestamp\":"
           "\"2017-11-10T14:03:17.15Z\"},"
           "\"SequenceNumber\":120,\"ExtensionFields\":{\"PublisherId\":\"gw1\",\"DataSetWriterId\":\"1000\","
           "\"Line\":7}}]");
    f.mode = NODES_SAMPLES;
    v.json = BYTES_NONE;
    v.status = UA_BAD_NO_COMMUNICATION;
    b = sample(&f, &step, &v);
    is(&b, "[{\"NodeId\":\"nsu=http://microsoft.com/Opc/OpcPlc/;s=StepUp\",\"EndpointUrl\":\"opc.tcp://"
           "opcplc:50000/\",\"DisplayName\":\"StepUp\","
           "\"Value\":{\"StatusCode\":{\"Symbol\":\"BadNoCommunication\",\"Code\":2150694912},"
           "\"SourceTimestamp\":\"2017-11-10T14:03:17Z\"}}]");
}

static void put_set(struct buf *b, const struct format *f, enum format_frame frame,
                    const struct format_value *v)
{
    struct buf name = {0};
    format_name(&name, &step);
    format_set_open(b, f, frame, 27, then);
    for (int i = 0; frame != FORMAT_KEEP_ALIVE && i < 2; i++)
        format_set_field(b, f, buf_bytes(&name), v, i == 0);
    format_set_close(b, f, frame);
    buf_clear(&name);
}

#define STEP                                                                                               \
    "\"StepUp\":{\"Value\":23305,\"SourceTimestamp\":\"2017-11-10T14:03:17Z\",\"ServerTimestamp\":\"2017-" \
    "11-10T14:03:17.15Z\"}"

static void pubsub(void **state)
{
    (void)state;
    struct format f = base(false, NODES_PUBSUB);
    struct format_value v = value("23305");
    struct buf b = {0};
    f.strict = true;
    format_open(&b, &f, 27);
    put_set(&b, &f, FORMAT_DELTA, &v);
    format_between(&b, &f, 28);
    put_set(&b, &f, FORMAT_KEEP_ALIVE, &v);
    format_close(&b, &f);
    is(&b, "{\"MessageId\":\"27\",\"MessageType\":\"ua-data\",\"PublisherId\":\"gw1\",\"DataSetWriterGroup\":"
           "\"line1\",\"Messages\":["
           "{\"DataSetWriterId\":1,\"DataSetWriterName\":\"1000\",\"SequenceNumber\":27,\"MetaDataVersion\":{"
           "\"MajorVersion\":1,\"MinorVersion\":0},"
           "\"MessageType\":\"ua-deltaframe\",\"Timestamp\":\"2017-11-10T14:03:17Z\",\"Payload\":{" STEP
           "," STEP "}},"
           "{\"DataSetWriterId\":1,\"DataSetWriterName\":\"1000\",\"SequenceNumber\":27,\"MetaDataVersion\":{"
           "\"MajorVersion\":1,\"MinorVersion\":0},"
           "\"MessageType\":\"ua-keepalive\",\"Timestamp\":\"2017-11-10T14:03:17Z\"}]}");
    f.strict = false;
    f.minor = 3;
    v.status = UA_BAD_NO_COMMUNICATION;
    v.json = BYTES_NONE;
    v.has_server = v.has_source = false;
    format_open(&b, &f, 27);
    put_set(&b, &f, FORMAT_KEY, &v);
    format_between(&b, &f, 28);
    put_set(&b, &f, FORMAT_KEEP_ALIVE, &v);
    format_close(&b, &f);
#define BAD "\"StepUp\":{\"StatusCode\":{\"Symbol\":\"BadNoCommunication\",\"Code\":2150694912}}"
    is(&b, "[{\"MessageId\":\"27\",\"MessageType\":\"ua-data\",\"PublisherId\":\"gw1\","
           "\"DataSetWriterGroup\":\"line1\",\"Messages\":["
           "{\"DataSetWriterId\":\"1000\",\"SequenceNumber\":27,\"MetaDataVersion\":{\"MajorVersion\":1,"
           "\"MinorVersion\":3},"
           "\"MessageType\":\"ua-keyframe\",\"Timestamp\":\"2017-11-10T14:03:17Z\",\"Payload\":{" BAD "," BAD
           "}}]},"
           "{\"MessageId\":\"28\",\"MessageType\":\"ua-data\",\"PublisherId\":\"gw1\",\"DataSetWriterGroup\":"
           "\"line1\",\"Messages\":["
           "{\"DataSetWriterId\":\"1000\",\"SequenceNumber\":27,\"MetaDataVersion\":{\"MajorVersion\":1,"
           "\"MinorVersion\":3},"
           "\"MessageType\":\"ua-keepalive\",\"Timestamp\":\"2017-11-10T14:03:17Z\"}]}]");
}

static void bare_sets(void **state)
{
    (void)state;
    struct format f = base(false, NODES_RAW_DATASETS);
    struct format_value v = value("23305");
    struct buf b = {0};
    format_open(&b, &f, 1);
    put_set(&b, &f, FORMAT_DELTA, &v);
    format_close(&b, &f);
    is(&b, "[{\"StepUp\":23305,\"StepUp\":23305}]");
    f.mode = NODES_SINGLE_RAW_DATASET;
    format_open(&b, &f, 1);
    put_set(&b, &f, FORMAT_DELTA, &v);
    format_close(&b, &f);
    is(&b, "{\"StepUp\":23305,\"StepUp\":23305}");
    f.mode = NODES_SINGLE_DATASET;
    format_open(&b, &f, 1);
    put_set(&b, &f, FORMAT_DELTA, &v);
    format_close(&b, &f);
    is(&b, "{" STEP "," STEP "}");
}

static void metadata(void **state)
{
    (void)state;
    struct format f = base(false, NODES_PUBSUB);
    struct buf b = {0};
    f.strict = true;
    format_metadata_open(&b, &f, 5);
    format_metadata_field(&b, &(struct format_field){.name = BYTES_LIT("a"), .type = UA_DOUBLE}, true);
    format_metadata_field(&b, &(struct format_field){.name = BYTES_LIT("b"), .field_id = BYTES_LIT("x")},
                          false);
    format_metadata_close(&b, &f);
    is(&b, "{\"MessageId\":\"5\",\"MessageType\":\"ua-metadata\",\"PublisherId\":\"gw1\",\"DataSetWriterId\":"
           "1,\"DataSetWriterName\":\"1000\","
           "\"MetaData\":{\"Name\":\"1000\",\"Fields\":[{\"Name\":\"a\",\"BuiltInType\":11,\"DataType\":\"i="
           "11\",\"ValueRank\":-1},"
           "{\"Name\":\"b\",\"DataSetFieldId\":\"x\"}],\"ConfigurationVersion\":{\"MajorVersion\":1,"
           "\"MinorVersion\":0}}}");
}

static void times(void **state)
{
    static const struct {
        ua_time t;
        const char *want;
    } rows[] = {{UA_UNIX_EPOCH, "\"1970-01-01T00:00:00Z\""},
                {UA_UNIX_EPOCH - 1, "\"1969-12-31T23:59:59.9999999Z\""},
                {UA_UNIX_EPOCH + 1, "\"1970-01-01T00:00:00.0000001Z\""},
                {(ua_time)951782400 * 10000000 + UA_UNIX_EPOCH, "\"2000-02-29T00:00:00Z\""},
                {0, "\"1601-01-01T00:00:00Z\""},
                {INT64_MAX, "\"9999-12-31T23:59:59"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        format_time(&b, rows[i].t, false);
        buf_u8(&b, 0);
        assert_memory_equal(b.at, rows[i].want, strlen(rows[i].want));
        buf_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_samples), cmocka_unit_test(telemetry_configuration),
        cmocka_unit_test(new_samples), cmocka_unit_test(pubsub),
        cmocka_unit_test(bare_sets),   cmocka_unit_test(metadata),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
