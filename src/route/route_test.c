/* The language of routes: each source, sink and refusal; which messages match; circles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "message/message.h"
#include "mqtt/packet.h"
#include "route/route_test_known.h"
#include "route/table.h"

#include <stdio.h>

static struct route_text text_of(const char *name, const char *text)
{
    return (struct route_text){.name = name,
                               .text = text,
                               .priority = ROUTE_NO_PRIORITY,
                               .file = "f.yaml",
                               .line = 41,
                               .column = 12,
                               .in_place = true};
}

static struct route_table *table_of(const struct route_text *said, size_t n)
{
    struct route_table *t = NULL;
    struct fault why;
    if (route_table_new(&t, said, n, &test_known, &why) != CODE_OK)
        fail_msg("%s", why.text);
    return t;
}

static struct route_table *table_one(const char *text)
{
    struct route_text said = text_of("r", text);
    return table_of(&said, 1);
}

/* "FILE:LINE:COLUMN route NAME: ..." without the file and line: "COLUMN ..." */
static void refused_text(const struct route_text *said, size_t n, int number, const char *expected)
{
    struct route_table *t;
    struct fault why;
    if (route_table_new(&t, said, n, &test_known, &why) == CODE_OK)
        fail_msg("%s was taken", said[n - 1].text);
    const char *from = strncmp(why.text, "f.yaml:41:", 10) == 0 ? why.text + 10 : why.text;
    if (why.number != number || strcmp(from, expected) != 0)
        fail_msg("%s\n  said:     %d %s\n  expected: %d %s", said[n - 1].text, why.number, from, number,
                 expected);
}

static void refused(const char *text, int number, const char *expected)
{
    struct route_text said = text_of("r", text);
    refused_text(&said, 1, number, expected);
}

/* ---- sources and sinks ---- */

static bool takes(const char *source, const char *topic)
{
    char text[256];
    (void)snprintf(text, sizeof text, "FROM %s INTO $upstream", source);
    struct route_table *t = table_one(text);
    bool yes = route_source_matches(&t->routes[0], bytes_str(topic));
    route_table_free(t);
    return yes;
}

static void each_source(void **state)
{
    (void)state;
    static const char anomaly[] = "$jobs/humidity/humidityAnomaly", alarms[] = "$jobs/Press/alarms",
                      plain[] = "factory/1/t";
    static const char *const everything[] = {
        "/messages/*",       "/*",         "/messages", "/messages/", "/messages/modules/*",
        "/messages/modules", "/MESSAGES/*"};
    static const char *const humidity[] = {"/messages/modules/humidity/*",
                                           "/messages/modules/humidity",
                                           "/messages/modules/HUMIDITY/*",
                                           "/messages/modules/humidity/outputs/*",
                                           "/messages/modules/humidity/outputs",
                                           "/messages/modules/humidity/outputs/humidityAnomaly",
                                           "/messages/modules/humidity/outputs/humidityanomaly/*",
                                           "job(\"humidity\")",
                                           "job('humidity/humidityAnomaly')",
                                           "topic(\"$jobs/humidity/#\")"};
    for (size_t i = 0; i < sizeof everything / sizeof everything[0]; i++) {
        assert_true(takes(everything[i], anomaly) && takes(everything[i], alarms) && takes(everything[i], "opcua/line1/press"));
        assert_false(takes(everything[i], plain));
    }
    for (size_t i = 0; i < sizeof humidity / sizeof humidity[0]; i++)
        assert_true(takes(humidity[i], anomaly) && !takes(humidity[i], alarms) && !takes(humidity[i], plain));
    assert_true(takes("topic(\"factory/+/t\")", plain) && takes("topic ( 'factory/1/t' )", plain));
    assert_true(takes("/messages/modules/opcpublisher/outputs/*", "opcua/line1/press") &&
                takes("/messages/modules/OpcPublisher/*", "opcua/x") && !takes("/messages/modules/opcpublisher/*", plain));
    assert_true(!takes("topic(\"#\")", alarms) && takes("topic(\"#\")", plain));
    assert_true(takes("events", "hub/x/y") && takes("EVENTS", "machines/1/t") && !takes("events", plain));
}

static void into(const char *sink, enum route_sink kind, const char *name, uint32_t number)
{
    char text[256];
    (void)snprintf(text, sizeof text, "FROM topic(\"x\") INTO %s", sink);
    struct route_table *t = table_one(text);
    assert_int_equal(t->target_count, 1);
    assert_int_equal(t->targets[0].kind, kind);
    assert_true(bytes_is(t->targets[0].name, name));
    assert_int_equal(t->targets[0].number, number);
    route_table_free(t);
}

static void each_sink(void **state)
{
    (void)state;
    into("$upstream", SINK_UPSTREAM, "$upstream", 0);
    into("$UPSTREAM", SINK_UPSTREAM, "$upstream", 0);
    into("events", SINK_EVENTS, "events", 0);
    into("topic(\"plant/alarms\")", SINK_TOPIC, "topic plant/alarms", 0);
    into("topic ('a b')", SINK_TOPIC, "topic a b", 0);
    into("job(\"humidity/rows\")", SINK_INPUT, "job humidity/rows", 7);
    into("job(\"Press\")", SINK_INPUT, "job Press/in", 9);
    into("BrokeredEndpoint(\"/modules/press/inputs/IN\")", SINK_INPUT, "job Press/in", 9);
    into("brokeredendpoint('/modules/humidity/inputs/more')", SINK_INPUT, "job humidity/more", 8);
}

static void the_forms_of_a_route(void **state)
{
    (void)state;
    struct route_table *t = table_one(
        "select * from /messages/* where  temp = 'x' AND $body.a > 1\n into $upstream ");
    struct route_info info;
    route_table_info(t, 0, &info);
    assert_int_equal(route_table_count(t), 1);
    assert_true(bytes_is(info.source, "/messages/*") && bytes_is(info.sink, "$upstream"));
    assert_true(bytes_is(info.condition, "temp = 'x' AND $body.a > 1"));
    assert_string_equal(info.name, "r");
    route_table_free(t);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int number;
        const char *said;
    } cases[] = {
        {"", 4100, "12 route r: expected FROM, found the end"},
        {"FORM /messages/* INTO $upstream", 4100, "12 route r: expected FROM, found FORM"},
        {"SELECT a FROM /messages/* INTO $upstream", 4100,
         "19 route r: expected * (a route passes messages on as they are), found a"},
        {"FROM /messages/*", 4100, "28 route r: expected WHERE or INTO, found the end"},
        {"FROM /messages/* WERE a = 'b' INTO $upstream", 4100,
         "29 route r: expected WHERE or INTO, found WERE"},
        {"FROM /messages/* WHERE a = 'b'", 4100,
         "42 route r: expected INTO, or more of the condition, found the end"},
        {"FROM /messages/* WHERE a = 'b' c INTO $upstream", 4100,
         "43 route r: expected INTO, or more of the condition, found c"},
        {"FROM /messages/* INTO $upstream, events", 4100,
         "43 route r: expected the end: a route has one sink, found ,"},
        {"FROM INTO $upstream", 4101,
         "17 route r: FROM INTO: there is no such thing. Known are /messages/..., topic(\"filter\"), "
         "job(\"name\"), events"},
        {"FROM topc(\"x\") INTO $upstream", 4101,
         "17 route r: FROM topc: there is no such thing. Did you mean topic?"},
        {"FROM topic INTO $upstream", 4100, "23 route r: expected (\"...\"), found INTO"},
        {"FROM topic(x) INTO $upstream", 4100, "23 route r: expected a name in quotes, found x)"},
        {"FROM topic(\"x) INTO $upstream", 4100, "23 route r: a name begins here with \" and does not end"},
        {"FROM topic(\"x\" INTO $upstream", 4100, "27 route r: expected ')', found INTO"},
        {"FROM /message/* INTO $upstream", 4101,
         "17 route r: FROM /message/*: there is no such source. Did you mean /messages/*?"},
        {"FROM /zzz INTO $upstream", 4101,
         "17 route r: FROM /zzz: there is no such source. Known are /messages/*, "
         "/messages/modules/M/outputs/O, topic(\"filter\"), job(\"name\"), events"},
        {"FROM /messages/modules/subcriber/outputs/x INTO $upstream", 4101,
         "35 route r: FROM names module 'subcriber', there is none. Modules of this node are its jobs"},
        {"FROM /messages/modules/humidty/outputs/x INTO $upstream", 4101,
         "35 route r: FROM names module 'humidty', there is none. Did you mean 'humidity'?"},
        {"FROM /messages/modules/humidity/outputs/humidityAnomly INTO $upstream", 4101,
         "52 route r: FROM names output 'humidityAnomly' of humidity, there is none. Did you mean "
         "'humidityAnomaly'?"},
        {"FROM /messages/modules/humidity/inputs/x INTO $upstream", 4101,
         "17 route r: FROM /messages/modules/humidity/inputs/x: there is no such source. Known are "
         "/messages/*, /messages/modules/M/outputs/O, topic(\"filter\"), job(\"name\"), events"},
        {"FROM /messages/modules/humidity/outputs/averages INTO $upstream", 4101,
         "52 route r: output averages of humidity goes to a topic of its own: write FROM "
         "topic(\"factory/average\")"},
        {"FROM job(\"humidity/x\") INTO $upstream", 4101,
         "31 route r: FROM names output 'x' of humidity, there is none."},
        {"FROM /twinChangeNotifications INTO $upstream", 4103,
         "17 route r: /twinChangeNotifications: changes of twins belong to a hub with devices, which this "
         "version does not have"},
        {"FROM /deviceLifecycleEvents/* INTO $upstream", 4103,
         "17 route r: /deviceLifecycleEvents: the making and removing of devices belong to a hub with "
         "devices, which this version does not have"},
        {"FROM topic(\"a/#/b\") INTO $upstream", 4105, NULL},
        {"FROM topic(\"\") INTO $upstream", 4105, NULL},
        {"FROM topic(\"$SYS/#\") INTO $upstream", 4105,
         "24 route r: topic(\"$SYS/#\"): what this node says of itself below $ is not routed, but for "
         "$jobs/"},
        {"FROM topic(\"$share/g/a\") INTO $upstream", 4105,
         "24 route r: topic(\"$share/g/a\"): a route shares its messages with nobody; write the filter "
         "behind $share/NAME/"},
        {"FROM topic(\"x\") INTO topic(\"a/+\")", 4105, NULL},
        {"FROM topic(\"x\") INTO topic(\"$jobs/x\")", 4105,
         "40 route r: topic(\"$jobs/x\"): topics below $ are the node's own"},
        {"FROM topic(\"x\") INTO $upsteam", 4102,
         "33 route r: INTO $upsteam: there is no such thing. Did you mean $upstream?"},
        {"FROM topic(\"x\") INTO zzz", 4102, NULL},
        {"FROM topic(\"x\") INTO BrokeredEndpoint(\"/modules/x\")", 4102,
         "51 route r: INTO BrokeredEndpoint takes \"/modules/M/inputs/I\""},
        {"FROM topic(\"x\") INTO BrokeredEndpoint(\"/modules/humidty/inputs/rows\")", 4102,
         "60 route r: INTO names module 'humidty', there is none. Did you mean 'humidity'?"},
        {"FROM topic(\"x\") INTO job(\"humidity/row\")", 4102,
         "47 route r: INTO names input 'row' of humidity, there is none. Did you mean 'rows'?"},
        {"FROM topic(\"x\") INTO job(\"humidity\")", 4102,
         "38 route r: INTO job(\"humidity\"): it has none or several inputs for routes: write "
         "job(\"humidity/INPUT\")"},
        {"FROM topic(\"x\") INTO job(\"quiet\")", 4102,
         "38 route r: INTO job(\"quiet\"): it has none or several inputs for routes: write "
         "job(\"quiet/INPUT\")"},
        {"FROM topic(\"x\") INTO job(\"humidity/machines\")", 4102,
         "47 route r: input machines of humidity reads topics by itself: a route can only feed one whose "
         "name is no topic"},
        {"FROM topic(\"x\") WHERE temp > 5 INTO $upstream", 4104,
         "34 route r: WHERE: > compares a text with a number, which is never true: properties are texts. Did "
         "you mean as_number(temp)?"},
        {"FROM topic(\"x\") WHERE starts_wiht(a, 'b') INTO $upstream", 4104,
         "34 route r: WHERE: there is no function 'starts_wiht'. Did you mean 'starts_with'?"},
        {"FROM topic(\"x\") WHERE $conectionDeviceId = 'b' INTO $upstream", 4104,
         "34 route r: WHERE: there is no system property $conectionDeviceId. Did you mean "
         "$connectionDeviceId?"},
        {"FROM topic(\"x\") WHERE {$zz} = 'b' INTO $upstream", 4104,
         "34 route r: WHERE: there is no system property $zz. The body is $body.NAME, a property NAME"},
        {"FROM events INTO events", 4107, "29 route r: what comes FROM events is in the partitions already"},
        {"FROM topic(\"a\") INTO topic(\"a\")", 4107,
         "40 route r: its messages would run in a circle: r -> r. Route them to another topic"},
        {"FROM topic(\"factory/#\") WHERE hop = '1' INTO topic(\"factory/all\")", 4107,
         "64 route r: its messages would run in a circle: r -> r. Route them to another topic"},
        {"FROM /messages/modules/Press/* INTO topic(\"factory/average\")", 4107,
         "55 route r: its messages would run in a circle: r -> job Press -> r. Route them to another topic"},
        {"FROM job(\"Press\") INTO job(\"Press/in\")", 4107,
         "40 route r: its messages would run in a circle: r -> job Press -> r. Route them to another topic"},
        {"FROM job(\"Press\") INTO topic(\"factory/9/t\")", 4107,
         "42 route r: its messages would run in a circle: r -> job humidity -> job Press -> r. Route them to "
         "another topic"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (cases[i].said) {
            refused(cases[i].text, cases[i].number, cases[i].said);
        } else {
            struct route_text said = text_of("r", cases[i].text);
            struct route_table *t;
            struct fault why;
            assert_int_not_equal(route_table_new(&t, &said, 1, &test_known, &why), CODE_OK);
            assert_int_equal(why.number, cases[i].number);
        }
}

static void places_in_texts_that_do_not_stand_as_they_are(void **state)
{
    (void)state;
    struct route_text said = text_of("r", "FROM /messages/*\n  INTO nowhere");
    refused_text(
        &said, 1, 4102,
        "12 route r, line 2 column 8 of its text: INTO nowhere: there is no such thing. Known are $upstream, "
        "BrokeredEndpoint(\"/modules/M/inputs/I\"), topic(\"name\"), job(\"name/input\"), events");
    said = text_of("r", "FROM topc INTO events");
    said.in_place = false;
    refused_text(&said, 1, 4101,
                 "12 route r, column 6 of its text: FROM topc: there is no such thing. Did you mean topic?");
}

static void what_is_said_besides_the_text(void **state)
{
    (void)state;
    struct route_text said[201];
    said[0] = text_of("r", "FROM topic(\"x\") INTO $upstream");
    said[1] = said[0];
    refused_text(said, 2, 4106, "12 route r: there is a route of that name already");
    said[0].priority = 10;
    refused_text(said, 1, 4108,
                 "12 route r: priority 10; 0 (the best) to 9 are possible, or 2000000000 for none");
    said[0].priority = 9;
    said[0].ttl_s = (uint64_t)UINT32_MAX + 1;
    refused_text(said, 1, 4108,
                 "12 route r: the time to live is longer than 136 years: leave it out for messages that stay "
                 "for ever");
    said[0] = text_of("r", "FROM topic(\"x\") INTO events");
    said[0].ttl_s = 5;
    refused_text(said, 1, 4108,
                 "33 route r: a time to live is for what waits in $upstream; nothing waits in events");
    said[0] = text_of("a.b", "FROM topic(\"x\") INTO events");
    refused_text(said, 1, 4106,
                 "12 route a.b: a route's name has 1 to 128 bytes, and no blanks, '.', '$' or '#'");
    for (size_t i = 0; i < 201; i++)
        said[i] = text_of("r", "FROM topic(\"x\") INTO events");
    struct route_table *t;
    struct fault why;
    assert_int_equal(route_table_new(&t, said, 201, &test_known, &why), CODE_LIMIT);
    assert_string_equal(why.text, "f.yaml: 201 routes; the most is 200 (L-MANIFEST)");
}

static void longer_circles(void **state)
{
    (void)state;
    struct route_text said[] = {text_of("one", "FROM topic(\"a\") INTO topic(\"b\")"),
                                text_of("two", "FROM topic(\"b\") INTO topic(\"c\")"),
                                text_of("side", "FROM topic(\"b\") INTO $upstream"),
                                text_of("three", "FROM topic(\"+\") INTO topic(\"x/y\")")};
    route_table_free(table_of(said, 4));
    said[3] = text_of("three", "FROM topic(\"c\") INTO topic(\"a\")");
    refused_text(said, 4, 4107,
                 "40 route one: its messages would run in a circle: one -> two -> three -> one. Route them "
                 "to another topic");
}

static void the_best_route_of_a_sink_comes_first(void **state)
{
    (void)state;
    struct route_text said[5];
    static const uint32_t priorities[] = {ROUTE_NO_PRIORITY, 3, 3, 3, 3};
    static const uint64_t ttls[] = {0, 60, 0, 61, 60};
    static const char *const order[] = {"c", "d", "b", "e", "a"};
    for (int i = 0; i < 5; i++) {
        said[i] = text_of((const char *[]){"a", "b", "c", "d", "e"}[i], "FROM topic(\"x\") INTO $upstream");
        said[i].priority = priorities[i];
        said[i].ttl_s = ttls[i];
    }
    struct route_table *t = table_of(said, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(t->targets[0].routes[i]->name, order[i]);
    route_table_free(t);
}

/* ---- messages ---- */

static void property(struct buf *props, const char *name, const char *value)
{
    buf_u8(props, MQTT_PROP_USER);
    buf_be16(props, (uint16_t)strlen(name));
    buf_add(props, name, strlen(name));
    buf_be16(props, (uint16_t)strlen(value));
    buf_add(props, value, strlen(value));
}

static void text_property(struct buf *props, enum mqtt_prop which, const char *value)
{
    buf_u8(props, (uint8_t)which);
    buf_be16(props, (uint16_t)strlen(value));
    buf_add(props, value, strlen(value));
}

static struct message *message_of(const char *topic, const char *payload, const struct buf *props)
{
    return message_new(&(struct message_parts){.qos = 1,
                                               .wall_us = 1790000000000000,
                                               .topic = bytes_str(topic),
                                               .source = BYTES_LIT("press-1"),
                                               .props = props ? buf_bytes(props) : BYTES_NONE,
                                               .payload = bytes_str(payload)});
}

static enum route_outcome outcome_of(const char *condition, const struct message *m)
{
    char text[512];
    struct route_matcher matcher;
    struct fault why;
    enum route_outcome o;
    (void)snprintf(text, sizeof text, "FROM topic(\"#\") WHERE %s INTO $upstream", condition);
    struct route_text said = text_of("r", text);
    if (bytes_starts(m->topic, "$jobs/")) {
        (void)snprintf(text, sizeof text, "FROM /messages/* WHERE %s INTO $upstream", condition);
        said = text_of("r", text);
    }
    struct route_table *t = table_of(&said, 1);
    assert_int_equal(route_matcher_init(&matcher, &why), CODE_OK);
    for (int i = 0; i < 2; i++) { /* a matcher is used again */
        route_matcher_begin(&matcher);
        assert_int_equal(route_match(&matcher, &t->routes[0], m, m->topic, &o, NULL), CODE_OK);
    }
    route_matcher_clear(&matcher);
    route_table_free(t);
    return o;
}

static void what_conditions_see(void **state)
{
    (void)state;
    struct buf props = {0};
    property(&props, "alert", "true");
    property(&props, "Level", "7");
    property(&props, "$.mid", "m-1");
    property(&props, "$topic", "mine");
    text_property(&props, MQTT_PROP_CONTENT_TYPE, "application/json; charset=utf-8");
    text_property(&props, MQTT_PROP_CORRELATION, "corr");
    struct message *m = message_of("factory/1", "{\"t\":21.5,\"o\":{\"x\":[1,2]}}", &props);
    static const char *const yes[] = {"alert = 'true'",
                                      "level = '7'",
                                      "as_number(LEVEL) > 6",
                                      "$messageId = 'm-1'",
                                      "$MESSAGEID = 'm-1'",
                                      "$correlationId = 'corr'",
                                      "$contentType = 'application/json; charset=utf-8'",
                                      "$connectionDeviceId = 'press-1'",
                                      "NOT is_defined($connectionModuleId)",
                                      "{$topic} = 'factory/1'",
                                      "$topic = 'mine'",
                                      "$body.t > 21",
                                      "$body.o.x[1] = 2",
                                      "$enqueuedTime > '2026-01-01' AND $enqueuedTime < '2027'",
                                      "NOT is_defined($userId)",
                                      "NOT is_defined($contentEncoding)"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (outcome_of(yes[i], m) != OUTCOME_YES)
            fail_msg("%s", yes[i]);
    message_drop(m);
    buf_clear(&props);
    m = message_of("$jobs/humidity/humidityAnomaly", "{}", NULL);
    assert_int_equal(outcome_of("$connectionModuleId = 'humidity' AND $outputName = 'humidityAnomaly' AND "
                                "NOT is_defined($connectionDeviceId)",
                                m),
                     OUTCOME_YES);
    message_drop(m);
}

static void bodies(void **state)
{
    (void)state;
    static const struct {
        const char *type, *encoding, *payload;
        enum route_outcome o; /* of $body.t > 20 */
    } cases[] = {
        {NULL, NULL, "{\"t\":21}", OUTCOME_YES},
        {NULL, NULL, " \r\n{\"t\":21} ", OUTCOME_YES},
        {NULL, NULL, "{\"T\":21}", OUTCOME_YES},
        {NULL, NULL, "{\"t\":19}", OUTCOME_NO},
        {NULL, NULL, "{\"t\":19,\"t\":21}", OUTCOME_YES},
        {"application/json", "utf-8", "{\"t\":21}", OUTCOME_YES},
        {"Application/JSON;charset=x", "UTF-8", "{\"t\":21}", OUTCOME_YES},
        {"application/vnd.x+json", NULL, "{\"t\":21}", OUTCOME_YES},
        {"text/plain", NULL, "{\"t\":21}", OUTCOME_UNDEFINED},
        {"application/json", "utf-16", "{\"t\":21}", OUTCOME_UNDEFINED},
        {NULL, NULL, "{\"t\":null}", OUTCOME_UNDEFINED},
        {NULL, NULL, "{\"t\":\"21\"}", OUTCOME_UNDEFINED},
        {NULL, NULL, "{}", OUTCOME_UNDEFINED},
        {NULL, NULL, "{\"t\":21", OUTCOME_UNDEFINED},
        {NULL, NULL, "{\"t\":21}{\"t\":21}", OUTCOME_UNDEFINED},
        {NULL, NULL, "[{\"t\":21}]", OUTCOME_UNDEFINED},
        {NULL, NULL, "21", OUTCOME_UNDEFINED},
        {NULL, NULL, "", OUTCOME_UNDEFINED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf props = {0};
        if (cases[i].type)
            property(&props, "$.ct", cases[i].type);
        if (cases[i].encoding)
            property(&props, "$.ce", cases[i].encoding);
        struct message *m = message_of("t", cases[i].payload, &props);
        if (outcome_of("$body.t > 20", m) != cases[i].o)
            fail_msg("%s as %s", cases[i].payload, cases[i].type ? cases[i].type : "nothing");
        message_drop(m);
        buf_clear(&props);
    }
}

/* ---- route test ---- */

static void collect(void *ctx, const struct route_verdict *v)
{
    buf_printf(ctx, "%s %s %.*s: %.*s\n", v->name, v->goes ? "yes" : "no", BYTES_FMT(v->sink),
               BYTES_FMT(v->why));
}

static void explains(const struct route_table *t, const char *from, const char *payload, const char *expected)
{
    struct buf out = {0};
    struct fault why = {0};
    struct message *m = message_of("", payload, NULL);
    if (route_table_test(t, bytes_str(from), m, collect, &out, &why) != CODE_OK)
        buf_printf(&out, "FG%d %s", why.number, why.text);
    if (!bytes_is(buf_bytes(&out), expected))
        fail_msg("said:\n%.*s\nexpected:\n%s", BYTES_FMT(buf_bytes(&out)), expected);
    buf_clear(&out);
    message_drop(m);
}

static void it_says_why(void **state)
{
    (void)state;
    struct route_text said[] = {
        text_of("all", "FROM /messages/* INTO $upstream"),
        text_of("hot", "FROM /messages/modules/humidity/* WHERE $body.t > 20 INTO $upstream"),
        text_of("plain", "FROM topic(\"factory/#\") WHERE $body.t > 20 INTO topic(\"x\")")};
    said[1].priority = 0;
    struct route_table *t = table_of(said, 3);
    explains(t, "/messages/modules/humidity/outputs/humidityAnomaly", "{\"t\":21}",
             "all no $upstream: route hot brings it there already\nhot yes $upstream: its condition is true\n"
             "plain no topic(\"x\"): it does not come FROM topic(\"factory/#\")\n");
    explains(
        t, "/messages/modules/humidity/outputs/humidityAnomaly", "{\"t\":3}",
        "all yes $upstream: it takes all of them\nhot no $upstream: its condition is false: $body.t = 3\n"
        "plain no topic(\"x\"): it does not come FROM topic(\"factory/#\")\n");
    explains(t, "factory/1", "nonsense",
             "all no $upstream: it does not come FROM /messages/*\nhot no $upstream: it does not come FROM "
             "/messages/modules/humidity/*\n"
             "plain no topic(\"x\"): its condition is undefined: $body.t = undefined (the body: not a JSON "
             "object)\n");
    explains(t, "/messages/modules/humidty/outputs/x", "{}",
             "FG4101 --from /messages/modules/humidty/outputs/x: there is no such output");
    explains(t, "/messages/*", "{}", "FG4101 --from takes one output: /messages/modules/M/outputs/O");
    explains(t, "/twinChangeNotifications", "{}",
             "FG4103 --from: /twinChangeNotifications: changes of twins belong to a hub with devices, which "
             "this version does not have");
    explains(
        t, "a/#", "{}",
        "FG4101 --from takes a path such as /messages/modules/M/outputs/O, or a topic without wildcards");
    route_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source),
        cmocka_unit_test(each_sink),
        cmocka_unit_test(the_forms_of_a_route),
        cmocka_unit_test(refusals),
        cmocka_unit_test(places_in_texts_that_do_not_stand_as_they_are),
        cmocka_unit_test(what_is_said_besides_the_text),
        cmocka_unit_test(longer_circles),
        cmocka_unit_test(the_best_route_of_a_sink_comes_first),
        cmocka_unit_test(what_conditions_see),
        cmocka_unit_test(bodies),
        cmocka_unit_test(it_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
