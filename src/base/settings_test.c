#include "base/settings.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])

static struct settings_report report;
static struct fault           why;
static const char *const      home[] = { "HOME=/home/ann", NULL };

/* As MQTT says, near enough: + and # alone in their level, # last. The real check belongs to another folder. */
static bool filter_valid(struct bytes filter, uint32_t max_bytes, uint32_t max_levels)
{
    uint32_t levels = 1;
    if (filter.len == 0 || filter.len > max_bytes)
        return false;
    for (size_t i = 0; i < filter.len; i++) {
        bool alone = (i == 0 || filter.at[i - 1] == '/') && (i + 1 == filter.len || filter.at[i + 1] == '/');
        if ((filter.at[i] == '+' || filter.at[i] == '#') && !alone)
            return false;
        if (filter.at[i] == '#' && i + 1 != filter.len)
            return false;
        levels += filter.at[i] == '/';
    }
    return levels <= max_levels;
}

static enum code parse_with(const struct settings **out, const char *text, size_t len, struct settings_source source)
{
    /* Exactly as long as it says, so that reading past the end is seen. */
    char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    source.filter_valid = filter_valid;
    enum code c = settings_parse(out, &io_system, &source, "f.yaml", bytes_of(exact, len), &report, &why);
    free(exact);
    return c;
}

static const struct settings *good(const char *text)
{
    const struct settings *s;
    enum code c = parse_with(&s, text, strlen(text), (struct settings_source){ .environment = home });
    if (c != CODE_OK)
        print_error("%s\n", why.text);
    assert_int_equal(c, CODE_OK);
    assert_int_equal(report.count, 0);
    return s;
}

/* ---- without a file ---- */

static void without_a_file_the_defaults_hold(void **state)
{
    (void)state;
    const struct settings *s;
    struct settings_source source = { .environment = home };
    assert_int_equal(settings_load(&s, &io_system, &source, &report, &why), CODE_OK);
    assert_int_equal(report.count, 0);
    assert_string_equal(s->site, "");
    assert_string_equal(s->data, "/home/ann/.local/state/fieldgate");
    assert_int_equal(s->durability, DURABILITY_DISK);
    assert_int_equal(s->loops, 0);
    assert_int_equal(s->hub.partitions, 4);
    assert_int_equal(s->hub.keep_s, 7 * 86400);
    assert_int_equal(s->hub.keep_bytes, 0);
    assert_int_equal(s->hub.topics.count, 0);
    assert_int_equal(s->journal.segment_bytes, 64 << 20);
    assert_int_equal(s->journal.reserve_bytes, 1 << 30);
    assert_int_equal(s->journal.sync_wait_us, 0);
    assert_int_equal(s->log.level, LOG_INFO);
    assert_int_equal(s->log.format, LOG_TEXT);
    settings_free(s);
}

/* reliability.md's table of limits, row by row. */
static void default_limits_are_those_promised(void **state)
{
    (void)state;
    const struct settings *s = good("");
    const struct limits *l = &s->limits;
    assert_int_equal(l->packet_bytes, 1 << 20);
    assert_int_equal(l->connect_bytes, 16384);
    assert_int_equal(l->connect_s, 10);
    assert_int_equal(l->connections, 100000);
    assert_int_equal(l->connections_per_address, 1000);
    assert_int_equal(l->connect_rate, 100);
    assert_int_equal(l->half_open, 5000);
    assert_int_equal(l->receive_maximum, 1024);
    assert_int_equal(l->queued_bytes, 64 << 20);
    assert_int_equal(l->queued_messages, 100000);
    assert_int_equal(l->on_full, ON_FULL_DROP_NEWEST);
    assert_int_equal(l->refuse_s, 30);
    assert_int_equal(l->unsent_bytes, 8 << 20);
    assert_int_equal(l->unsent_s, 60);
    assert_int_equal(l->topic_bytes, 1024);
    assert_int_equal(l->topic_levels, 32);
    assert_int_equal(l->subscriptions, 1000);
    assert_int_equal(l->filters_per_packet, 100);
    assert_int_equal(l->fan_out, 100000);
    assert_int_equal(l->retained_messages, 1000000);
    assert_int_equal(l->retained_bytes, 1 << 30);
    assert_int_equal(l->user_properties, 64);
    assert_int_equal(l->property_bytes, 16384);
    assert_int_equal(l->session_expiry_s, 30 * 86400);
    assert_int_equal(l->sessions, 1000000);
    assert_int_equal(l->keep_alive_s, 1200);
    assert_int_equal(l->http_request_line_bytes, 8192);
    assert_int_equal(l->http_headers_bytes, 32768);
    assert_int_equal(l->http_header_count, 100);
    /* 60 % of something that exists. */
    assert_true(l->memory_bytes >= 64 << 20 && l->memory_bytes < UINT64_C(1) << 50);
    assert_int_equal(l->memory_bytes % (1 << 20), 0);
    settings_free(s);
}

static void every_default_listener_is_on_loopback(void **state)
{
    (void)state;
    const struct settings *s = good("# nothing but a comment\n");
    assert_int_equal(s->listener_count, 2);
    assert_int_equal(s->listeners[0].type, LISTENER_MQTT);
    assert_int_equal(s->listeners[0].at_count, 2);
    assert_string_equal(s->listeners[0].at[0].text, "127.0.0.1:1883");
    assert_string_equal(s->listeners[0].at[1].text, "[::1]:1883");
    assert_int_equal(s->listeners[1].type, LISTENER_HTTP);
    assert_string_equal(s->listeners[1].at[0].text, "127.0.0.1:8080");
    for (size_t i = 0; i < s->listener_count; i++)
        for (size_t k = 0; k < s->listeners[i].at_count; k++)
            assert_true(s->listeners[i].at[k].loopback);
    settings_free(s);
}

static void data_lies_where_the_user_may_write(void **state)
{
    (void)state;
    static const struct {
        const char *environment[3];
        bool        system;
        const char *want;
    } table[] = {
        { { "HOME=/home/ann" }, false, "/home/ann/.local/state/fieldgate" },
        { { "HOME=/home/ann", "XDG_STATE_HOME=/s" }, false, "/s/fieldgate" },
        { { "HOME=/home/ann", "XDG_STATE_HOME=relative" }, false, "/home/ann/.local/state/fieldgate" },
        { { "HOME=/root" }, true, "/var/lib/fieldgate" },
        { { NULL }, false, "fieldgate-data" },
        { { "HOME=relative" }, false, "fieldgate-data" },
        { { "FIELDGATE_DATA=/d", "HOME=/home/ann" }, true, "/d" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct settings *s;
        struct settings_source source = { .environment = table[i].environment, .system = table[i].system };
        assert_int_equal(settings_load(&s, &io_system, &source, NULL, NULL), CODE_OK);
        assert_string_equal(s->data, table[i].want);
        settings_free(s);
    }
}

/* ---- right files ---- */

static void a_file_sets_what_it_says_and_nothing_else(void **state)
{
    (void)state;
    const struct settings *s = good("version: 1\n"
                                    "site: plant-a\n"
                                    "data: /var/lib/fieldgate\n"
                                    "listeners:\n"
                                    "  - { type: mqtt, at: [\"127.0.0.1:0\", \"[::1]:1883\"], auth: anonymous }\n"
                                    "  - { type: mqtt, at: 0.0.0.0:1884, insecure: true }\n"
                                    "  - type: http\n"
                                    "    at: [127.0.0.1:8081]\n"
                                    "hub:\n"
                                    "  partitions: 1024\n"
                                    "  keep: unlimited\n"
                                    "  keep-size: 20GB\n"
                                    "  topics: [\"factory/#\", +/x, 'it''s']\n"
                                    "durability: memory\n"
                                    "loops: 2\n"
                                    "journal: { segment-bytes: 1GiB, disk-reserve: 0, sync-wait: 500us }\n"
                                    "limits:\n"
                                    "  packet-bytes: 268435455\n"
                                    "  connect-seconds: 20\n"
                                    "  refuse-seconds: 2m\n"
                                    "  connections: 50\n"
                                    "  connect-rate: unlimited\n"
                                    "  on-full: refuse\n"
                                    "  session-expiry: unlimited\n"
                                    "  memory-bytes: 256MiB\n"
                                    "  queued-bytes: unlimited\n"
                                    "log: { level: debug, format: json }\n");
    assert_string_equal(s->site, "plant-a");
    assert_string_equal(s->data, "/var/lib/fieldgate");
    assert_int_equal(s->listener_count, 3);
    assert_int_equal(s->listeners[0].at[0].port, 0);
    assert_string_equal(s->listeners[0].at[1].host, "::1");
    assert_int_equal(s->listeners[0].at[1].port, 1883);
    assert_true(s->listeners[1].insecure);
    assert_false(s->listeners[1].at[0].loopback);
    assert_int_equal(s->listeners[2].type, LISTENER_HTTP);
    assert_int_equal(s->hub.partitions, 1024);
    assert_int_equal(s->hub.keep_s, 0);
    assert_int_equal(s->hub.keep_bytes, UINT64_C(20000000000));
    assert_int_equal(s->hub.topics.count, 3);
    assert_string_equal(s->hub.topics.at[0], "factory/#");
    assert_string_equal(s->hub.topics.at[1], "+/x");
    assert_string_equal(s->hub.topics.at[2], "it's");
    assert_int_equal(s->durability, DURABILITY_MEMORY);
    assert_int_equal(s->loops, 2);
    assert_int_equal(s->journal.segment_bytes, 1 << 30);
    assert_int_equal(s->journal.reserve_bytes, 0);
    assert_int_equal(s->journal.sync_wait_us, 500);
    assert_int_equal(s->limits.packet_bytes, 268435455);
    assert_int_equal(s->limits.connect_s, 20);
    assert_int_equal(s->limits.refuse_s, 120);
    assert_int_equal(s->limits.connections, 50);
    assert_int_equal(s->limits.half_open, 10); /* 5 %, at least 10 */
    assert_int_equal(s->limits.connect_rate, LIMIT_NONE_32);
    assert_int_equal(s->limits.on_full, ON_FULL_REFUSE);
    assert_int_equal(s->limits.session_expiry_s, LIMIT_NONE_32);
    assert_int_equal(s->limits.memory_bytes, 256 << 20);
    assert_int_equal(s->limits.queued_bytes, LIMIT_NONE_64);
    assert_int_equal(s->limits.queued_messages, 100000);
    assert_int_equal(s->log.level, LOG_DEBUG);
    assert_int_equal(s->log.format, LOG_JSON);
    settings_free(s);
}

static void every_form_of_yaml_we_take_means_the_same(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "hub: { partitions: 8, topics: [a, b] }\n",
        "hub:\n  partitions: 8\n  topics:\n    - a\n    - b\n",
        "{\"hub\": {\"partitions\": 8, \"topics\": [\"a\", \"b\"]}}",
        "---\n'hub':\n  \"partitions\": '8'\n  topics: [ \"a\", 'b' ] # two\n...\n",
        "\xef\xbb\xbfhub:\r\n  partitions: 8\r\n  topics: [a,\r\n    b]\r\n",
        "? hub\n: { topics: [\"\\x61\", \"\\u0062\"],\n    partitions: \"8\" }\n",
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        const struct settings *s = good(forms[i]);
        assert_int_equal(s->hub.partitions, 8);
        assert_int_equal(s->hub.topics.count, 2);
        assert_string_equal(s->hub.topics.at[0], "a");
        assert_string_equal(s->hub.topics.at[1], "b");
        settings_free(s);
    }
}

static void an_empty_group_changes_nothing(void **state)
{
    (void)state;
    const struct settings *s = good("hub:\nlimits: ~\njournal: {}\nlog: null\n");
    assert_int_equal(s->hub.partitions, 4);
    settings_free(s);
    s = good("null\n");
    settings_free(s);
    s = good("hub: { topics: [] }\nlisteners: []\n");
    assert_int_equal(s->hub.topics.count, 0);
    assert_int_equal(s->listener_count, 0);
    settings_free(s);
}

/* ---- wrong files ---- */

struct wrong {
    const char *text;
    int         number;
    uint32_t    line, column;
    const char *said; /* part of the sentence */
};

static void assert_wrong(const struct wrong *w)
{
    const struct settings *s;
    char where[32];
    enum code c = parse_with(&s, w->text, strlen(w->text), (struct settings_source){ .environment = home });
    (void)snprintf(where, sizeof where, "f.yaml:%u:%u", w->line, w->column);
    if (c != CODE_USAGE || report.notes[0].number != w->number || strcmp(report.notes[0].where, where) != 0 ||
        !strstr(report.notes[0].text, w->said))
        print_error("for:\n%s\nwanted FG%d %s: ..%s..\ngot    FG%d %s: %s\n", w->text, w->number, where, w->said,
                    report.notes[0].number, report.notes[0].where, report.notes[0].text);
    assert_int_equal(c, CODE_USAGE);
    assert_null(s);
    assert_int_equal(report.notes[0].number, w->number);
    assert_int_equal(report.notes[0].line, w->line);
    assert_int_equal(report.notes[0].column, w->column);
    assert_string_equal(report.notes[0].where, where);
    assert_non_null(strstr(report.notes[0].text, w->said));
    assert_false(report.notes[0].warning);
    /* The first error is also what a caller with one line to spend can say. */
    assert_int_equal(why.code, CODE_USAGE);
    assert_int_equal(why.number, w->number);
    assert_int_equal(why.at, ((uint64_t)w->line << 16) | w->column);
    assert_memory_equal(why.text, where, strlen(where));
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "versoin: 1\n", 1012, 1, 1, "unknown key 'versoin'. Did you mean 'version'?" },
        { "site: a\nHub: {}\n", 1012, 2, 1, "Did you mean 'hub'?" },
        { "hub:\n  partition: 4\n", 1012, 2, 3, "unknown key 'partition' in hub. Did you mean 'partitions'?" },
        { "hub: { keepSize: 4 }\n", 1012, 1, 8, "Did you mean 'keep-size'?" },
        { "limits: { packet_bytes: 4 }\n", 1012, 1, 11, "in limits. Did you mean 'packet-bytes'?" },
        { "packet-bytes: 4\n", 1012, 1, 1, "It belongs under limits" },
        { "hub:\n  durability: disk\n", 1012, 2, 3, "It belongs to the top level of the file" },
        { "jobs: /etc/fieldgate/jobs/*.sql\n", 1012, 1, 1, "unknown key 'jobs'. Known here: version, site" },
        { "upstream: {}\n", 1012, 1, 1, "unknown key 'upstream'" },
        { "enroll: {}\n", 1012, 1, 1, "unknown key 'enroll'" },
        { "opcua: {}\n", 1012, 1, 1, "unknown key 'opcua'" },
        { "log: { levels: {} }\n", 1012, 1, 8, "Did you mean 'level'?" },
        { "limits: { \"\": 4 }\n", 1012, 1, 11, "unknown key ''" },
        { "hub.partitions: 4\n", 1012, 1, 1, "unknown key 'hub.partitions'" },
        { "\"site\\0x\": a\n", 1012, 1, 1, "unknown key 'site\\x00x'" },
        { "? hub.keep\n: 3d\n", 1012, 1, 3, "unknown key 'hub.keep'" },
        { "\xc3\xa4\xc3\xb6: 1\n", 1012, 1, 1, "unknown key '\xc3\xa4\xc3\xb6'" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\n",
          1012, 1, 1, "aaaa..'" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_wrong(&table[i]);
}

static void values_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "hub: { partitions: four }\n", 1013, 1, 20, "hub.partitions must be a whole number from 1 to 1024, got 'four'."
                                                      " Its default is 4" },
        { "hub: { partitions: 4.0 }\n", 1013, 1, 20, "got '4.0'" },
        { "hub: { partitions: -4 }\n", 1013, 1, 20, "got '-4'" },
        { "hub: { keep: 7 }\n", 1013, 1, 14, "a duration with its unit from 1s to 36500d, or unlimited, got '7'" },
        { "hub: { keep: 1500ms }\n", 1013, 1, 14, "got '1500ms'" },
        { "hub: { keep-size: 20 GB }\n", 1013, 1, 19, "a size with its unit from 1MiB to 1024TiB, or unlimited" },
        { "hub: { partitions: unlimited }\n", 1013, 1, 20, "got 'unlimited'" },
        { "durability: ram\n", 1013, 1, 13, "must be disk or memory, got 'ram'. Its default is disk" },
        { "log: { level: verbose }\n", 1013, 1, 15, "must be error, warn, info or debug, got 'verbose'" },
        { "version: 2\n", 1013, 1, 10, "version must be 1, got '2'" },
        { "version: 0\n", 1013, 1, 10, "version must be 1, got '0'" },
        { "site: [a]\n", 1013, 1, 7, "site must be one value, got a list" },
        { "site: { a: b }\n", 1013, 1, 7, "site must be one value, got a map" },
        { "site:\n", 1013, 1, 1, "site has no value" },
        { "site: ~\n", 1013, 1, 1, "site has no value" },
        { "data: \"\"\n", 1013, 1, 7, "data must be text of 1 to 1024 bytes, got 0" },
        { "site: \"a\\tb\"\n", 1013, 1, 7, "site must be text without control characters, got 'a\\x09b'" },
        { "site: \"a\\0b\"\n", 1013, 1, 7, "without control characters" },
        { "data: \"\\x82\"\n", 1013, 1, 7, "without control characters" },
        { "hub: 4\n", 1013, 1, 6, "hub holds keys, got one value" },
        { "hub: [4]\n", 1013, 1, 6, "hub holds keys, got a list" },
        { "hub: { topics: { a: b } }\n", 1013, 1, 16, "hub.topics must be a list" },
        { "hub: { topics: }\n", 1013, 1, 8, "hub.topics must be a list" },
        { "hub: { topics: [a, [b]] }\n", 1013, 1, 20, "hub.topics[1] must be one value, got a list" },
        { "hub: { topics: [a, \"\"] }\n", 1013, 1, 20, "hub.topics[1] must be text of 1 to 65535 bytes" },
        { "hub:\n  topics:\n    - a/#\n    - a#\n", 1013, 4, 7, "hub.topics[1]: 'a#' is not an MQTT topic filter" },
        { "hub: { topics: [a/#/b] }\n", 1013, 1, 17, "'a/#/b' is not an MQTT topic filter of at most 1024 bytes" },
        { "hub: { topics: [a/b/c] }\nlimits: { topic-levels: 2 }\n", 1013, 1, 17, "and 2 levels" },
        { "limits: { connect-seconds: 0 }\n", 1013, 1, 28, "from 1s to 1h, got '0'" },
        { "just words\n", 1013, 1, 1, "settings are `key: value` lines, got plain text" },
        { "- site: a\n", 1013, 1, 1, "settings are `key: value` lines, got a list" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_wrong(&table[i]);
}

static void listeners_must_be_whole_and_safe(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "listeners: mqtt\n", 1013, 1, 12, "listeners must be a list" },
        { "listeners: { type: mqtt }\n", 1013, 1, 12, "listeners must be a list" },
        { "listeners:\n", 1013, 1, 1, "listeners must be a list" },
        { "listeners:\n  - mqtt\n", 1013, 2, 5, "listeners[0] must be a map" },
        { "listeners:\n  - { at: \"127.0.0.1:1\" }\n", 1013, 2, 5, "listeners[0] has no type" },
        { "listeners:\n  - { type: mqtt }\n", 1013, 2, 5, "listeners[0] has no at" },
        { "listeners:\n  - { type: mqtts, at: \"0.0.0.0:8883\" }\n", 1013, 2, 13,
          "listeners[0].type must be mqtt or http, got 'mqtts'" },
        { "listeners:\n  - { type: amqps, at: \"127.0.0.1:5671\" }\n", 1013, 2, 13, "got 'amqps'" },
        { "listeners:\n  - { type: https, at: \"127.0.0.1:8443\" }\n", 1013, 2, 13, "got 'https'" },
        { "listeners:\n  - { type: mqtt, at: \"127.0.0.1:1\", auth: users }\n", 1013, 2, 44,
          "listeners[0].auth must be anonymous, got 'users'" },
        { "listeners:\n  - { type: mqtt, at: \"127.0.0.1:1\", tls: no }\n", 1012, 2, 38,
          "unknown key 'tls' in listeners[0]. A listener has type, at, auth and insecure" },
        { "listeners:\n  - { type: mqtt, at: \"127.0.0.1:1\", auht: x }\n", 1012, 2, 38, "Did you mean 'auth'?" },
        { "listeners:\n  - { type: mqtt, at: [] }\n", 1013, 2, 23, "listeners[0].at must be a list" },
        { "listeners:\n  - { type: mqtt, at: [ \"localhost:1883\" ] }\n", 1013, 2, 25,
          "listeners[0].at[0] must be a numeric address with its port" },
        { "listeners:\n  - { type: mqtt, at: [ \"127.0.0.1\" ] }\n", 1013, 2, 25, "got '127.0.0.1'" },
        { "listeners:\n  - { type: mqtt, at: [ \"127.0.0.1:65536\" ] }\n", 1013, 2, 25, "the port is from 0 to 65535" },
        { "listeners:\n  - { type: mqtt, at: [ \"127.0.0.1:\" ] }\n", 1013, 2, 25, "the port is from 0 to 65535" },
        { "listeners:\n  - { type: mqtt, at: [ \"::1:1883\" ] }\n", 1013, 2, 25, "got '::1:1883'" },
        { "listeners:\n  - { type: mqtt, at: [ \"[127.0.0.1]:1883\" ] }\n", 1013, 2, 25, "got '[127.0.0.1]:1883'" },
        { "listeners:\n  - { type: mqtt, at: [ \"127.1:1883\" ] }\n", 1013, 2, 25, "got '127.1:1883'" },
        { "listeners:\n  - { type: mqtt, at: [ \":1883\" ] }\n", 1013, 2, 25, "got ':1883'" },
        { "listeners:\n  - { type: mqtt, at: [ \"1.2.3.4\\0:1883\" ] }\n", 1013, 2, 25, "numeric address" },
        { "listeners:\n  - { type: mqtt, at: \"127.0.0.1:1\", insecure: maybe }\n", 1013, 2, 48,
          "listeners[0].insecure must be true or false, got 'maybe'" },
        /* P-WHO: what other machines reach must be meant. */
        { "listeners:\n  - { type: mqtt, at: \"0.0.0.0:1883\" }\n", 1014, 2, 5,
          "listeners[0] listens on 0.0.0.0:1883, which other machines reach" },
        { "listeners:\n  - { type: mqtt, at: [\"127.0.0.1:1883\", \"10.0.4.2:1883\"] }\n", 1014, 2, 5, "10.0.4.2:1883" },
        { "listeners:\n  - { type: http, at: \"[::]:8080\" }\n", 1014, 2, 5, "[::]:8080" },
        { "listeners:\n  - { type: http, at: \"[::ffff:10.0.0.1]:8080\" }\n", 1014, 2, 5, "which other machines reach" },
        { "listeners:\n  - { type: mqtt, at: \"128.0.0.1:1\", insecure: false }\n", 1014, 2, 5, "`insecure: true`" },
        { "listeners:\n  - { type: mqtt, at: [\"127.0.0.1:1\", \"127.0.0.1:1\"] }\n", 1014, 2, 5,
          "listeners[0] listens on 127.0.0.1:1, and so does listeners[0]" },
        { "listeners:\n  - { type: mqtt, at: \"[::1]:1\" }\n  - { type: http, at: \"[0:0:0:0:0:0:0:1]:1\" }\n", 1014, 3,
          5, "and so does listeners[0]" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_wrong(&table[i]);
}

static void loopback_in_every_spelling_needs_no_word(void **state)
{
    (void)state;
    const struct settings *s = good("listeners:\n"
                                    "  - { type: mqtt, at: [\"127.0.0.1:0\", \"127.0.0.1:0\", \"127.255.0.9:1\"] }\n"
                                    "  - { type: http, at: [\"[::1]:1\", \"[::ffff:127.0.0.1]:2\"] }\n");
    for (size_t i = 0; i < s->listener_count; i++)
        for (size_t k = 0; k < s->listeners[i].at_count; k++)
            assert_true(s->listeners[i].at[k].loopback);
    settings_free(s);
}

static void what_is_no_yaml_or_too_much_of_it_is_refused(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "site: [a\n", 1011, 2, 1, "this is not YAML: flow sequence without a closing bracket" },
        { "site: \"a\n", 1011, 1, 8, "this is not YAML" },
        { "site: a\n b: c\n", 1011, 1, 7, "this is not YAML" },
        { "hub:\n\tkeep: 7d\n", 1011, 2, 1, "this is not YAML: tab" },
        { "site: @a\n", 1011, 1, 7, "cannot start with '@'" },
        { "a: &x 1\nb: *x\n", 1011, 1, 5, "anchors and aliases" },
        { "site: *x\n", 1011, 1, 8, "anchors and aliases" },
        { "hub: &x\n  keep: 7d\n", 1011, 1, 7, "anchors and aliases" },
        { "loops: !!int 1\n", 1011, 1, 8, "tags (!)" },
        { "%YAML 1.2\n---\nsite: a\n", 1011, 1, 1, "a YAML directive" },
        { "site: a\n---\nsite: b\n", 1011, 2, 1, "a second document" },
        { "[a]: b\n", 1011, 1, 1, "a key must be a word" },
        { "{ a: b }: c\n", 1011, 1, 1, "a key must be a word" },
        { "site: a\nloops: 1\nsite: b\n", 1011, 3, 1, "key 'site' stands here twice, first at line 1" },
        { "hub: { keep: 1d, keep: 2d }\n", 1011, 1, 18, "key 'keep' stands here twice, first at line 1" },
        { "site: a\x01\n", 1011, 1, 8, "byte 0x01 is part of a character that cannot be seen" },
        { "site: \xc3\xa4\xc2\x85\n", 1011, 1, 8, "cannot be seen" },
        { "site: \xe4\n", 1011, 1, 7, "byte 0xe4 is not UTF-8" },
        { "site: a\rloops: 1\n", 1011, 1, 8, "a carriage return without a line feed" },
        { "data: |\n  a\n", 1011, 1, 1, "a text of several lines" },
        { "data: a\n  b\n", 1011, 1, 1, "a text of several lines" },
        { "data: 'a\n  b'\n", 1011, 1, 1, "a text of several lines" },
        { "data: \"a\n  b\"\n", 1011, 1, 1, "a text of several lines" },
        { "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", 1011, 1, 19, "more than 16 levels deep" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_wrong(&table[i]);
    const struct settings *s;
    assert_int_equal(parse_with(&s, "site: a\0\n", 9, (struct settings_source){ 0 }), CODE_USAGE);
    assert_int_equal(report.notes[0].column, 8);
}

static void big_files_cost_no_more_than_they_may(void **state)
{
    (void)state;
    const struct settings *s;
    char *text = malloc(SETTINGS_FILE_BYTES_MAX + 1);
    memset(text, '#', SETTINGS_FILE_BYTES_MAX + 1);
    assert_int_equal(parse_with(&s, text, SETTINGS_FILE_BYTES_MAX, (struct settings_source){ 0 }), CODE_OK);
    settings_free(s);
    assert_int_equal(parse_with(&s, text, SETTINGS_FILE_BYTES_MAX + 1, (struct settings_source){ 0 }), CODE_USAGE);
    assert_int_equal(report.notes[0].number, 1010);
    assert_non_null(strstr(report.notes[0].text, "1048577 bytes, the most is 1048576"));

    struct buf b = { 0 };
    buf_printf(&b, "hub:\n  topics:\n");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "    - a/%d\n", i);
    assert_int_equal(parse_with(&s, (char *)b.at, b.len, (struct settings_source){ 0 }), CODE_OK);
    assert_int_equal(s->hub.topics.count, 1000);
    settings_free(s);
    buf_printf(&b, "    - one/more\n");
    assert_int_equal(parse_with(&s, (char *)b.at, b.len, (struct settings_source){ 0 }), CODE_USAGE);
    assert_int_equal(report.notes[0].line, 1003);
    assert_non_null(strstr(report.notes[0].text, "more than 1000 entries in one place"));
    buf_clear(&b);
    /* Nested lists that would make a million nodes of it. */
    buf_printf(&b, "a: [");
    for (int i = 0; i < 900; i++) {
        buf_printf(&b, "[");
        for (int k = 0; k < 100; k++)
            buf_printf(&b, "x,");
        buf_printf(&b, "],");
    }
    buf_printf(&b, "]\n");
    assert_int_equal(parse_with(&s, (char *)b.at, b.len, (struct settings_source){ 0 }), CODE_USAGE);
    assert_non_null(strstr(report.notes[0].text, "more than 20000 values in one file"));
    buf_clear(&b);
    free(text);
}

/* ---- ranges ---- */

static void every_number_is_checked_on_both_sides(void **state)
{
    (void)state;
    static const struct {
        const char *key, *min, *below, *max, *above;
    } table[] = {
        { "loops", "0", NULL, "256", "257" },
        { "hub.partitions", "1", "0", "1024", "1025" },
        { "hub.keep", "1s", "0s", "36500d", "36501d" },
        { "hub.keep-size", "1MiB", "1048575", "1024TiB", "1025TiB" },
        { "journal.disk-reserve", "0", NULL, "1024TiB", "1025TiB" },
        { "journal.sync-wait", "0", NULL, "1s", "1000001us" },
        { "limits.connect-bytes", "256", "255", "1MiB", "1048577" },
        { "limits.connect-seconds", "1", "0", "3600", "3601" },
        { "limits.connections", "1", "0", "10000000", "10000001" },
        { "limits.connections-per-address", "1", "0", "10000000", "10000001" },
        { "limits.connect-rate", "1", "0", "1000000", "1000001" },
        { "limits.half-open", "1", "0", "10000000", "10000001" },
        { "limits.receive-maximum", "1", "0", "65535", "65536" },
        { "limits.queued-bytes", "64KiB", "65535", "1TiB", "1099511627777" },
        { "limits.queued-messages", "1", "0", "100000000", "100000001" },
        { "limits.refuse-seconds", "1", "0", "1h", "3601s" },
        { "limits.unsent-bytes", "64KiB", "65535", "1TiB", "1099511627777" },
        { "limits.unsent-seconds", "1", "0", "3600", "3601" },
        { "limits.memory-bytes", "16MiB", "16777215", "1024TiB", "1125899906842625" },
        { "limits.topic-bytes", "16", "15", "65535", "65536" },
        { "limits.topic-levels", "1", "0", "1024", "1025" },
        { "limits.subscriptions", "1", "0", "1000000", "1000001" },
        { "limits.filters-per-packet", "1", "0", "10000", "10001" },
        { "limits.fan-out", "1", "0", "100000000", "100000001" },
        { "limits.retained-messages", "0", NULL, "100000000", "100000001" },
        { "limits.retained-bytes", "0", NULL, "1TiB", "1099511627777" },
        { "limits.user-properties", "0", NULL, "10000", "10001" },
        { "limits.property-bytes", "256", "255", "16MiB", "16777217" },
        { "limits.session-expiry", "0", NULL, "36500d", "36501d" },
        { "limits.sessions", "1", "0", "100000000", "100000001" },
        { "limits.keep-alive", "1s", "0s", "65535s", "65536s" },
        { "limits.http-request-line", "256", "255", "64KiB", "65537" },
        { "limits.http-headers", "1KiB", "1023", "1MiB", "1048577" },
        { "limits.http-header-count", "8", "7", "1000", "1001" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const char *values[] = { table[i].min, table[i].max, table[i].below, table[i].above };
        for (size_t k = 0; k < 4; k++) {
            const struct settings *s;
            struct settings_flag flag = { table[i].key, values[k], "--set" };
            struct settings_source source = { .flags = &flag, .flag_count = 1 };
            if (!values[k])
                continue;
            enum code c = settings_load(&s, &io_system, &source, &report, &why);
            if ((c == CODE_OK) != (k < 2))
                print_error("%s=%s: %s\n", table[i].key, values[k], c == CODE_OK ? "taken" : why.text);
            assert_int_equal(c, k < 2 ? CODE_OK : CODE_USAGE);
            settings_free(s);
        }
    }
}

static void sizes_that_depend_on_each_other_are_checked(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "journal: { segment-bytes: 64KiB }\n", 1014, 0, 0, "limits.packet-bytes (1048576) does not fit into"
                                                            " journal.segment-bytes (65536)" },
        { "limits:\n  packet-bytes: 64MiB\n", 1014, 2, 17, "does not fit into journal.segment-bytes (67108864)" },
        { "limits:\n  packet-bytes: 1KiB\n  connect-bytes: 2KiB\n", 1014, 3, 18,
          "limits.connect-bytes (2048) is more than limits.packet-bytes (1024)" },
    };
    assert_wrong(&table[1]);
    assert_wrong(&table[2]);
    const struct settings *s;
    assert_int_equal(parse_with(&s, table[0].text, strlen(table[0].text), (struct settings_source){ 0 }), CODE_USAGE);
    assert_non_null(strstr(report.notes[0].text, table[0].said));
    /* 32 KiB less than the segment is just right. */
    s = good("journal: { segment-bytes: 64KiB }\nlimits: { packet-bytes: 32KiB }\n");
    settings_free(s);
    const char one_more[] = "journal: { segment-bytes: 64KiB }\nlimits: { packet-bytes: 32769 }\n";
    assert_int_equal(parse_with(&s, one_more, sizeof one_more - 1, (struct settings_source){ 0 }), CODE_USAGE);
}

/* ---- several at once ---- */

static void one_run_names_every_error(void **state)
{
    (void)state;
    const struct settings *s;
    static const char text[] = "versoin: 1\nhub:\n  partitions: 0\n  keep: never\nlog: { level: loud }\nloops: x\n";
    assert_int_equal(parse_with(&s, text, sizeof text - 1, (struct settings_source){ 0 }), CODE_USAGE);
    assert_int_equal(report.count, 5);
    assert_int_equal(report.errors, 5);
    assert_int_equal(report.unlisted, 0);
    static const uint32_t lines[] = { 1, 3, 4, 5, 6 };
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(report.notes[i].line, lines[i]);
}

static void the_twenty_first_error_is_counted_only(void **state)
{
    (void)state;
    const struct settings *s;
    struct buf b = { 0 };
    for (int i = 0; i < 23; i++)
        buf_printf(&b, "unheard-of-%d: 1\n", i);
    assert_int_equal(parse_with(&s, (char *)b.at, b.len, (struct settings_source){ 0 }), CODE_USAGE);
    assert_int_equal(report.count, 20);
    assert_int_equal(report.errors, 23);
    assert_int_equal(report.unlisted, 3);
    buf_clear(&b);
}

/* ---- environment and flags ---- */

static void flag_beats_environment_beats_file(void **state)
{
    (void)state;
    static const char *const environment[] = { "FIELDGATE_LIMITS_PACKET_BYTES=2MiB", "FIELDGATE_HUB_KEEP=2d",
                                               "FIELDGATE_HUB_TOPICS=a/#,b", "PATH=/bin", NULL };
    struct settings_flag flags[] = { { "data", "/flag", "--data" }, { "hub.keep", "3d", "--set" } };
    struct settings_source source = { .environment = environment, .flags = flags, .flag_count = 2 };
    static const char text[] = "data: /file\nhub: { keep: 1d, partitions: 9 }\nlimits: { packet-bytes: 1MiB }\n";
    const struct settings *s;
    assert_int_equal(parse_with(&s, text, sizeof text - 1, source), CODE_OK);
    assert_int_equal(report.count, 0);
    assert_string_equal(s->data, "/flag");
    assert_int_equal(s->hub.keep_s, 3 * 86400);
    assert_int_equal(s->limits.packet_bytes, 2 << 20);
    assert_int_equal(s->hub.partitions, 9);
    assert_int_equal(s->hub.topics.count, 2);
    assert_string_equal(s->hub.topics.at[0], "a/#");
    assert_string_equal(s->hub.topics.at[1], "b");
    settings_free(s);
}

static void errors_outside_the_file_name_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *variable;
        struct settings_flag flag;
        const char *where, *said;
    } table[] = {
        { "FIELDGATE_LOOPS=many", { 0 }, "environment FIELDGATE_LOOPS", "loops must be a whole number" },
        { "FIELDGATE_LOOPS=", { 0 }, "environment FIELDGATE_LOOPS", "got ''" },
        { "FIELDGATE_LISTENERS=x", { 0 }, "environment FIELDGATE_LISTENERS", "listeners must be written in the file" },
        { "FIELDGATE_HUB_TOPICS=a,,b", { 0 }, "environment FIELDGATE_HUB_TOPICS", "hub.topics must be" },
        { "FIELDGATE_HUB_TOPICS=a,b#", { 0 }, "environment FIELDGATE_HUB_TOPICS", "'b#' is not an MQTT topic" },
        { "X=", { "hub.kep", "1d", "--set" }, "--set", "unknown key 'hub.kep'. Did you mean 'hub.keep'?" },
        { "X=", { "hub", "1d", "--set" }, "--set", "unknown key 'hub'." },
        { "X=", { "hub.keep", "soon", "--set" }, "--set", "hub.keep must be a duration" },
        { "X=", { "data", "", "--data" }, "--data", "data must be text of 1 to 1024 bytes" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const char *environment[] = { table[i].variable, NULL };
        struct settings_source source = { .environment = environment, .flags = &table[i].flag,
                                          .flag_count = table[i].flag.key != NULL };
        const struct settings *s;
        assert_int_equal(parse_with(&s, "", 0, source), CODE_USAGE);
        assert_string_equal(report.notes[0].where, table[i].where);
        assert_non_null(strstr(report.notes[0].text, table[i].said));
    }
}

static void a_variable_that_is_no_setting_is_a_warning(void **state)
{
    (void)state;
    static const char *const environment[] = { "FIELDGATE_LIMITS_PACKET_BYTE=1", "FIELDGATE_CONFIG=/x",
                                               "FIELDGATE=1", "FIELDGATE_NO_VALUE", NULL };
    const struct settings *s;
    assert_int_equal(parse_with(&s, "", 0, (struct settings_source){ .environment = environment }), CODE_OK);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.errors, 0);
    assert_true(report.notes[0].warning);
    assert_string_equal(report.notes[0].where, "environment FIELDGATE_LIMITS_PACKET_BYTE");
    assert_non_null(strstr(report.notes[0].text, "Did you mean FIELDGATE_LIMITS_PACKET_BYTES?"));
    assert_int_equal(s->limits.packet_bytes, 1 << 20);
    settings_free(s);
}

/* ---- files ---- */

static void files_are_read_and_missing_ones_named(void **state)
{
    (void)state;
    char folder[] = "/tmp/settings_test.XXXXXX", path[64];
    const struct settings *s;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/f.yaml", folder);
    struct settings_source source = { .path = path };
    assert_int_equal(settings_load(&s, &io_system, &source, &report, &why), CODE_USAGE);
    assert_int_equal(report.notes[0].number, 1010);
    assert_string_equal(report.notes[0].where, path);
    assert_non_null(strstr(report.notes[0].text, "No such file"));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs("loops: 3\nloop: 4\n", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(settings_load(&s, &io_system, &source, &report, &why), CODE_USAGE);
    assert_non_null(strstr(report.notes[0].where, "/f.yaml:2:1"));
    assert_int_equal(truncate(path, 9), 0);
    assert_int_equal(settings_load(&s, &io_system, &source, &report, &why), CODE_OK);
    assert_int_equal(s->loops, 3);
    settings_free(s);
    source.path = folder;
    assert_int_equal(settings_load(&s, &io_system, &source, &report, &why), CODE_USAGE);
    assert_non_null(strstr(report.notes[0].text, "it is a directory"));
    (void)unlink(path);
    (void)rmdir(folder);
}

static int no_file(void *self, const char *path, struct io_stat *out)
{
    (void)self, (void)out;
    return strcmp(path, SETTINGS_SYSTEM_FILE) == 0 ? -ENOENT : 0;
}

static int has_file(void *self, const char *path, struct io_stat *out)
{
    (void)self, (void)out;
    return strcmp(path, SETTINGS_SYSTEM_FILE) == 0 ? 0 : -ENOENT;
}

static void the_default_file_is_used_where_it_is(void **state)
{
    (void)state;
    static const char *const named[] = { "FIELDGATE_CONFIG=/my.yaml", NULL }, *const empty[] = { "FIELDGATE_CONFIG=",
                                                                                                NULL };
    struct io without = { .stat = no_file }, with = { .stat = has_file };
    assert_null(settings_default_path(&without, NULL));
    assert_null(settings_default_path(&without, empty));
    assert_string_equal(settings_default_path(&with, NULL), "/etc/fieldgate/fieldgate.yaml");
    assert_string_equal(settings_default_path(&with, named), "/my.yaml");
    assert_string_equal(settings_default_path(&without, named), "/my.yaml");
}

/* ---- show ---- */

struct found {
    const char *key;
    char        value[512], json[512], origin[64];
    bool        is_default;
    size_t      lines;
};

static void find(void *ctx, const struct settings_line *line)
{
    struct found *f = ctx;
    f->lines++;
    if (strcmp(line->key, f->key) != 0)
        return;
    (void)snprintf(f->value, sizeof f->value, "%.*s", BYTES_FMT(line->value));
    (void)snprintf(f->json, sizeof f->json, "%.*s", BYTES_FMT(line->json));
    (void)snprintf(f->origin, sizeof f->origin, "%.*s", BYTES_FMT(line->origin));
    f->is_default = line->is_default;
}

static void every_value_tells_where_it_came_from(void **state)
{
    (void)state;
    static const char *const environment[] = { "FIELDGATE_LOOPS=3", NULL };
    struct settings_flag flag = { "hub.keep", "unlimited", "--set" };
    struct settings_source source = { .environment = environment, .flags = &flag, .flag_count = 1 };
    static const char text[] = "site: \"a b\"\nhub:\n  topics: [\"factory/#\", b]\n"
                               "listeners:\n  - type: mqtt\n    at: \"127.0.0.1:1\"\n"
                               "journal: { sync-wait: 500us, segment-bytes: 128MiB }\n";
    static const struct {
        const char *key, *value, *json, *origin;
    } table[] = {
        { "site", "\"a b\"", "\"a b\"", "f.yaml:1" },
        { "data", "fieldgate-data", "\"fieldgate-data\"", "default" },
        { "loops", "3", "3", "FIELDGATE_LOOPS" },
        { "hub.keep", "unlimited", "null", "--set" },
        { "hub.topics", "[\"factory/#\", \"b\"]", "[\"factory/#\",\"b\"]", "f.yaml:3" },
        { "hub.partitions", "4", "4", "default" },
        { "listeners[0].type", "mqtt", "\"mqtt\"", "f.yaml:5" },
        { "listeners[0].at", "[\"127.0.0.1:1\"]", "[\"127.0.0.1:1\"]", "f.yaml:6" },
        { "listeners[0].insecure", "false", "false", "default" },
        { "journal.sync-wait", "500us", "0.000500", "f.yaml:7" },
        { "journal.segment-bytes", "128MiB", "134217728", "f.yaml:7" },
        { "limits.keep-alive", "20m", "1200", "default" },
        { "durability", "disk", "\"disk\"", "default" },
    };
    const struct settings *s;
    assert_int_equal(parse_with(&s, text, sizeof text - 1, source), CODE_OK);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct found f = { .key = table[i].key };
        assert_int_equal(settings_each(s, find, &f), CODE_OK);
        assert_string_equal(f.value, table[i].value);
        assert_string_equal(f.json, table[i].json);
        assert_string_equal(f.origin, table[i].origin);
        assert_int_equal(f.is_default, strcmp(table[i].origin, "default") == 0);
    }
    settings_free(s);
}

struct again {
    struct buf text;
    char       group[32];
};

static void write_line(void *ctx, const struct settings_line *line)
{
    struct again *a = ctx;
    const char *dot = strchr(line->key, '.');
    if (strncmp(line->key, "listeners", 9) == 0) {
        bool first = strcmp(dot, ".type") == 0;
        buf_printf(&a->text, "%s%s%s: %.*s\n", strcmp(line->key, "listeners[0].type") == 0 ? "listeners:\n" : "",
                   first ? "  - " : "    ", dot + 1, BYTES_FMT(line->value));
        return;
    }
    size_t n = dot ? (size_t)(dot - line->key) : 0;
    if (n && (strlen(a->group) != n || strncmp(a->group, line->key, n) != 0)) {
        (void)snprintf(a->group, sizeof a->group, "%.*s", (int)n, line->key);
        buf_printf(&a->text, "%s:\n", a->group);
    }
    buf_printf(&a->text, "%s%s: %.*s\n", dot ? "  " : "", dot ? dot + 1 : line->key, BYTES_FMT(line->value));
}

static void append_both(void *ctx, const struct settings_line *line)
{
    struct buf *b = ctx;
    buf_printf(b, "%s=%.*s\n", line->key, BYTES_FMT(line->value));
}

static void what_is_shown_can_be_written_as_a_file(void **state)
{
    (void)state;
    const struct settings *s = good("site: \"quote \\\" : # \xc3\xa4\"\ndata: 'null'\nhub: { topics: ['a b', \"c: d\"], keep:"
                                    " 90m, keep-size: unlimited }\nlisteners:\n- {type: http, at: ['[::]:5'], insecure:"
                                    " yes}\n- {type: mqtt, at: ['127.0.0.1:0']}\n");
    struct again a = { 0 };
    struct buf before = { 0 }, after = { 0 };
    assert_int_equal(settings_each(s, write_line, &a), CODE_OK);
    assert_int_equal(settings_each(s, append_both, &before), CODE_OK);
    settings_free(s);
    buf_u8(&a.text, 0);
    s = good((const char *)a.text.at);
    assert_int_equal(settings_each(s, append_both, &after), CODE_OK);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.at, after.at, before.len);
    settings_free(s);
    buf_clear(&a.text);
    buf_clear(&before);
    buf_clear(&after);
}

/* ---- the table itself, docs, memory ---- */

static void no_two_keys_share_a_variable(void **state)
{
    (void)state;
    /* FIELDGATE_A_B could be a.b or a-b: give each key a value of its own kind and see one origin per variable. */
    const struct settings *s = good("");
    struct buf keys = { 0 };
    assert_int_equal(settings_each(s, append_both, &keys), CODE_OK);
    settings_free(s);
    char *names[128];
    size_t count = 0;
    buf_u8(&keys, 0);
    for (char *line = strtok((char *)keys.at, "\n"); line; line = strtok(NULL, "\n")) {
        *strchr(line, '=') = 0;
        for (char *c = line; *c; c++)
            *c = *c == '.' ? '-' : *c;
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(names[i], line);
        names[count++] = line;
    }
    assert_true(count > 40);
    buf_clear(&keys);
}

static void the_page_in_docs_is_the_one_generated(void **state)
{
    (void)state;
    struct buf page = { 0 };
    char *text = NULL;
    size_t len = 0;
    char path[1024];
    /* From this file's own place, so that the test may run anywhere. */
    (void)snprintf(path, sizeof path, "%.*s../../docs/settings.md", (int)(strrchr(__FILE__, '/') + 1 - __FILE__),
                   __FILE__);
    settings_doc(&page);
    assert_false(page.bad);
    assert_int_equal(io_load(&io_system, path, 1 << 20, &text, &len, &why), CODE_OK);
    if (len != page.len || memcmp(text, page.at, len) != 0)
        print_error("docs/settings.md is old: fieldgate config doc > docs/settings.md\n");
    assert_int_equal(len, page.len);
    assert_memory_equal(text, page.at, len);
    mem_free(text);
    /* Four cells a row: a bar in a sentence would make five. */
    for (const uint8_t *row = page.at, *end; row < page.at + page.len; row = end + 1) {
        end = memchr(row, '\n', (size_t)(page.at + page.len - row));
        size_t bars = 0;
        for (const uint8_t *c = row; c < end; c++)
            bars += *c == '|';
        assert_true(bars == 0 || bars == 5);
    }
    buf_clear(&page);
}

static const char everything[] = "site: a\ndata: b\nlisteners:\n- {type: mqtt, at: ['127.0.0.1:1', '127.0.0.1:2']}\n"
                                 "hub: { topics: [a, b, c], keep: 1d }\nlog: { level: warn }\n";

static void any_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const environment[] = { "FIELDGATE_LOOPS=3", "HOME=/h", NULL };
    struct settings_flag flag = { "limits.connections", "7", "--set" };
    struct settings_source source = { .environment = environment, .flags = &flag, .flag_count = 1 };
    for (uint64_t n = 1;; n++) {
        const struct settings *s;
        mem_fail_at(n);
        enum code c = settings_parse(&s, &io_system, &source, "f.yaml", bytes_str(everything), NULL, &why);
        struct buf shown = { 0 };
        enum code shows = c == CODE_OK ? settings_each(s, append_both, &shown) : CODE_OK;
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_true(c == CODE_OK || c == CODE_NOMEM);
        assert_true(shows == CODE_OK || shows == CODE_NOMEM);
        assert_true(fired || (c == CODE_OK && shows == CODE_OK));
        settings_free(c == CODE_OK ? s : NULL);
        buf_clear(&shown);
        if (!fired)
            break;
        assert_true(n < 1000);
    }
}

static void a_file_cut_anywhere_is_loaded_or_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n <= sizeof everything - 1; n++) {
        const struct settings *s;
        enum code c = parse_with(&s, everything, n, (struct settings_source){ .environment = home });
        assert_true(c == CODE_OK || c == CODE_USAGE);
        assert_int_equal(c == CODE_OK, report.errors == 0);
        settings_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_the_defaults_hold),
        cmocka_unit_test(default_limits_are_those_promised),
        cmocka_unit_test(every_default_listener_is_on_loopback),
        cmocka_unit_test(data_lies_where_the_user_may_write),
        cmocka_unit_test(a_file_sets_what_it_says_and_nothing_else),
        cmocka_unit_test(every_form_of_yaml_we_take_means_the_same),
        cmocka_unit_test(an_empty_group_changes_nothing),
        cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
        cmocka_unit_test(values_of_the_wrong_kind_are_refused),
        cmocka_unit_test(listeners_must_be_whole_and_safe),
        cmocka_unit_test(loopback_in_every_spelling_needs_no_word),
        cmocka_unit_test(what_is_no_yaml_or_too_much_of_it_is_refused),
        cmocka_unit_test(big_files_cost_no_more_than_they_may),
        cmocka_unit_test(every_number_is_checked_on_both_sides),
        cmocka_unit_test(sizes_that_depend_on_each_other_are_checked),
        cmocka_unit_test(one_run_names_every_error),
        cmocka_unit_test(the_twenty_first_error_is_counted_only),
        cmocka_unit_test(flag_beats_environment_beats_file),
        cmocka_unit_test(errors_outside_the_file_name_their_place),
        cmocka_unit_test(a_variable_that_is_no_setting_is_a_warning),
        cmocka_unit_test(files_are_read_and_missing_ones_named),
        cmocka_unit_test(the_default_file_is_used_where_it_is),
        cmocka_unit_test(every_value_tells_where_it_came_from),
        cmocka_unit_test(what_is_shown_can_be_written_as_a_file),
        cmocka_unit_test(no_two_keys_share_a_variable),
        cmocka_unit_test(the_page_in_docs_is_the_one_generated),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_file_cut_anywhere_is_loaded_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
