/* Wrong files: each is refused at its line and column, with what, why and the fix. */
#include "base/settings_test_parse.h"

struct wrong {
    const char *text;
    int         number;
    uint32_t    line, column;
    const char *said; /* part of the sentence */
};

/* A file with one of them. */
#define LISTENER(what) "listeners:\n  - { " what " }\n"

static void assert_wrong(const struct wrong *w)
{
    const struct settings *s;
    char where[32];
    enum code c = parse_with(&s, w->text, strlen(w->text), (struct settings_source){ .environment = home });
    (void)snprintf(where, sizeof where, "f.yaml:%u:%u", w->line, w->column);
    if (c != CODE_USAGE || report.notes[0].number != w->number || strcmp(report.notes[0].where, where) != 0 ||
        !strstr(report.notes[0].text, w->said))
        print_error("for:\n%s\nwanted FG%d %s: ..%s..\ngot    FG%d %s: %s\n", w->text, w->number, where,
                    w->said, report.notes[0].number, report.notes[0].where, report.notes[0].text);
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

static void assert_all_wrong(const struct wrong *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_wrong(&table[i]);
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "versoin: 1\n", 1012, 1, 1, "unknown key 'versoin'. Did you mean 'version'?" },
        { "site: a\nHub: {}\n", 1012, 2, 1, "Did you mean 'hub'?" },
        { "hub:\n  partition: 4\n", 1012, 2, 3,
          "unknown key 'partition' in hub. Did you mean 'partitions'?" },
        { "hub: { keepSize: 4 }\n", 1012, 1, 8, "Did you mean 'keep-size'?" },
        { "limits: { packet_bytes: 4 }\n", 1012, 1, 11, "in limits. Did you mean 'packet-bytes'?" },
        { "packet-bytes: 4\n", 1012, 1, 1, "It belongs under limits" },
        { "hub:\n  durability: disk\n", 1012, 2, 3, "It belongs to the top level of the file" },
        { "upstream: {}\n", 1012, 1, 1, "unknown key 'upstream'. Known here: version, site" },
        { "enroll: {}\n", 1012, 1, 1, "unknown key 'enroll'" },
        { "connectors: {}\n", 1012, 1, 1, "unknown key 'connectors'" },
        { "log: { levls: {} }\n", 1012, 1, 8, "Did you mean 'levels'?" },
        { "limits: { \"\": 4 }\n", 1012, 1, 11, "unknown key ''" },
        { "hub.partitions: 4\n", 1012, 1, 1, "unknown key 'hub.partitions'" },
        { "\"site\\0x\": a\n", 1012, 1, 1, "unknown key 'site\\x00x'" },
        { "? hub.keep\n: 3d\n", 1012, 1, 3, "unknown key 'hub.keep'" },
        { "\xc3\xa4\xc3\xb6: 1\n", 1012, 1, 1, "unknown key '\xc3\xa4\xc3\xb6'" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\n",
          1012, 1, 1, "aaaa..'" },
    };
    assert_all_wrong(table, COUNT_OF(table));
}

static void values_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "hub: { partitions: four }\n", 1013, 1, 20,
          "hub.partitions must be a whole number from 1 to 1024, got 'four'."
          " Its default is 4" },
        { "hub: { partitions: 4.0 }\n", 1013, 1, 20, "got '4.0'" },
        { "hub: { partitions: -4 }\n", 1013, 1, 20, "got '-4'" },
        { "hub: { keep: 7 }\n", 1013, 1, 14,
          "a duration with its unit from 1s to 36500d, or unlimited, got '7'" },
        { "hub: { keep: 1500ms }\n", 1013, 1, 14, "got '1500ms'" },
        { "hub: { keep-size: 20 GB }\n", 1013, 1, 19,
          "a size with its unit from 1MiB to 1024TiB, or unlimited" },
        { "hub: { partitions: unlimited }\n", 1013, 1, 20, "got 'unlimited'" },
        { "durability: ram\n", 1013, 1, 13, "must be disk or memory, got 'ram'. Its default is disk" },
        { "log: { levels: { mqqt: debug } }\n", 1012, 1, 18, "Did you mean 'mqtt'?" },
        { "log: { levels: { mqtt: loud } }\n", 1013, 1, 24,
          "log.levels.mqtt must be error, warn, info, debug or default, got 'loud'" },
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
        { "hub:\n  topics:\n    - a/#\n    - a#\n", 1013, 4, 7,
          "hub.topics[1]: 'a#' is not an MQTT topic filter" },
        { "hub: { topics: [a/#/b] }\n", 1013, 1, 17,
          "'a/#/b' is not an MQTT topic filter of at most 1024 bytes" },
        { "hub: { topics: [a/b/c] }\nlimits: { topic-levels: 2 }\n", 1013, 1, 17, "and 2 levels" },
        { "limits: { connect-seconds: 0 }\n", 1013, 1, 28, "from 1s to 1h, got '0'" },
        { "just words\n", 1013, 1, 1, "settings are `key: value` lines, got plain text" },
        { "- site: a\n", 1013, 1, 1, "settings are `key: value` lines, got a list" },
    };
    assert_all_wrong(table, COUNT_OF(table));
}

static void listeners_must_be_whole_and_safe(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { "listeners: mqtt\n", 1013, 1, 12, "listeners must be a list" },
        { "listeners: { type: mqtt }\n", 1013, 1, 12, "listeners must be a list" },
        { "listeners:\n", 1013, 1, 1, "listeners must be a list" },
        { "listeners:\n  - mqtt\n", 1013, 2, 5, "listeners[0] must be a map" },
        { LISTENER("at: \"127.0.0.1:1\""), 1013, 2, 5, "listeners[0] has no type" },
        { LISTENER("type: mqtt"), 1013, 2, 5, "listeners[0] has no at" },
        { LISTENER("type: mqqt, at: \"0.0.0.0:8883\""), 1013, 2, 13,
          "listeners[0].type must be mqtt, http, mqtts or https, got 'mqqt'" },
        { LISTENER("type: amqps, at: \"127.0.0.1:5671\""), 1013, 2, 13, "got 'amqps'" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auth: user"), 1013, 2, 44,
          "listeners[0].auth must be anonymous, users or certificate, got 'user'" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auth: []"), 1013, 2, 44, "listeners[0].auth must be a list" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auth: [users, users]"), 1013, 2, 44,
          "listeners[0].auth must be a list without repetition, 'users' is there twice" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auth: [users, x]"), 1013, 2, 44, "got 'x'" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auth: { users: 1 }"), 1013, 2, 44,
          "listeners[0].auth must be a list" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auth: [users, certificate]"), 1014, 2, 5,
          "listeners[0] has auth: certificate, but without encryption no client can show one" },
        { LISTENER("type: mqtt, at: \"10.0.0.1:1\", auth: users"), 1014, 2, 5,
          "listeners[0] listens on 10.0.0.1:1, which other machines reach, without encryption. Listen" },
        { LISTENER("type: mqtt, at: \"10.0.0.1:1\", auth: anonymous"), 1014, 2, 5,
          "which other machines reach, without encryption and for anyone (auth: anonymous). Listen" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", certificate-user: cn"), 1013, 2, 56,
          "listeners[0].certificate-user must be common-name, dns, uri or email, got 'cn'" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", tls: no"), 1012, 2, 38,
          "unknown key 'tls' in listeners[0]. A listener has type, at, auth, certificate-user, insecure, origins, chain" },
        { LISTENER("type: http, at: \"127.0.0.1:1\", origins: [\"https://a\", b.example]"), 1013, 2, 61,
          "listeners[0].origins[1] must be a scheme, a host" },
        { LISTENER("type: http, at: \"127.0.0.1:1\", origins: [\"https://a/path\"]"), 1013, 2, 48,
          "listeners[0].origins[0] must be a scheme, a host" },
        { LISTENER("type: http, at: \"127.0.0.1:1\", origins: { a: b }"), 1013, 2, 47,
          "listeners[0].origins must be a list" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", auht: x"), 1012, 2, 38,
          "Did you mean 'auth'?" },
        { LISTENER("type: mqtt, at: []"), 1013, 2, 23, "listeners[0].at must be a list" },
        { LISTENER("type: mqtt, at: [ \"localhost:1883\" ]"), 1013, 2, 25,
          "listeners[0].at[0] must be a numeric address with its port" },
        { LISTENER("type: mqtt, at: [ \"127.0.0.1\" ]"), 1013, 2, 25, "got '127.0.0.1'" },
        { LISTENER("type: mqtt, at: [ \"127.0.0.1:65536\" ]"), 1013, 2, 25,
          "the port is from 0 to 65535" },
        { LISTENER("type: mqtt, at: [ \"127.0.0.1:\" ]"), 1013, 2, 25,
          "the port is from 0 to 65535" },
        { LISTENER("type: mqtt, at: [ \"::1:1883\" ]"), 1013, 2, 25, "got '::1:1883'" },
        { LISTENER("type: mqtt, at: [ \"[127.0.0.1]:1883\" ]"), 1013, 2, 25,
          "got '[127.0.0.1]:1883'" },
        { LISTENER("type: mqtt, at: [ \"127.1:1883\" ]"), 1013, 2, 25, "got '127.1:1883'" },
        { LISTENER("type: mqtt, at: [ \":1883\" ]"), 1013, 2, 25, "got ':1883'" },
        { LISTENER("type: mqtt, at: [ \"1.2.3.4\\0:1883\" ]"), 1013, 2, 25, "numeric address" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1\", insecure: maybe"), 1013, 2, 48,
          "listeners[0].insecure must be true or false, got 'maybe'" },
        /* P-WHO: what other machines reach must be meant. */
        { LISTENER("type: mqtt, at: \"0.0.0.0:1883\""), 1014, 2, 5,
          "listeners[0] listens on 0.0.0.0:1883, which other machines reach" },
        { LISTENER("type: mqtt, at: [\"127.0.0.1:1883\", \"10.0.4.2:1883\"]"), 1014, 2, 5,
          "10.0.4.2:1883" },
        { LISTENER("type: http, at: \"[::]:8080\""), 1014, 2, 5, "[::]:8080" },
        { LISTENER("type: http, at: \"[::ffff:10.0.0.1]:8080\""), 1014, 2, 5,
          "which other machines reach" },
        { LISTENER("type: mqtt, at: \"128.0.0.1:1\", insecure: false"), 1014, 2, 5,
          "`insecure: true`" },
        { LISTENER("type: mqtt, at: [\"127.0.0.1:1\", \"127.0.0.1:1\"]"), 1014, 2, 5,
          "listeners[0] listens on 127.0.0.1:1, and so does listeners[0]" },
        { "listeners:\n  - { type: mqtt, at: \"[::1]:1\" }\n  - { type: http, at: \"[0:0:0:0:0:0:0:1]:1\""
          " }\n",
          1014, 3, 5, "and so does listeners[0]" },
    };
    assert_all_wrong(table, COUNT_OF(table));
}

#define TLS_AT(rest) LISTENER("type: mqtts, at: \"127.0.0.1:8883\"" rest)

static void tls_needs_its_files_and_says_which(void **state)
{
    (void)state;
    static const struct wrong table[] = {
        { TLS_AT(""), 1014, 2, 7, "listeners[0] is of type mqtts and has no certificate to show" },
        { LISTENER("type: https, at: \"127.0.0.1:8443\""), 1014, 2, 7,
          "listeners[0] is of type https and has no certificate to show" },
        { TLS_AT(", chain: c.pem"), 1014, 2, 7, "listeners[0] has chain without key" },
        { TLS_AT(", key: k.pem") "gateway: { certificates: { chain: c, key: k } }\n", 1014, 2, 7,
          "listeners[0] has key without chain" },
        { TLS_AT(", chain: c, key: k, client-certificate: required"), 1014, 2, 60,
          "asks for certificates of clients, but not whose" },
        { TLS_AT(", chain: c, key: k, client-certificate: optional"), 1014, 2, 60, "`client-ca`" },
        { TLS_AT(", chain: c, key: k, client-ca: r"), 1014, 2, 60, "asks no client for a certificate" },
        { TLS_AT(", chain: c, key: k, client-certificate: always"), 1013, 2, 80,
          "listeners[0].client-certificate must be none, optional or required, got 'always'" },
        { LISTENER("type: mqtt, at: \"127.0.0.1:1883\", chain: c"), 1014, 2, 41,
          "listeners[0] has chain, but type mqtt is not encrypted. Write `type: mqtts`" },
        { LISTENER("type: http, at: \"127.0.0.1:80\", client-certificate: required"), 1014, 2, 39,
          "Write `type: https`" },
        { TLS_AT(", chain: c, key: k, auth: certificate"), 1014, 2, 7,
          "listeners[0] has auth: certificate, but asks no client for one" },
        { LISTENER("type: mqtts, at: \"0.0.0.0:8883\", chain: c, key: k, auth: anonymous"), 1014, 2, 5,
          "listeners[0] listens on 0.0.0.0:8883, which other machines reach, for anyone" },
        { "gateway: { certificates: { chian: c } }\n", 1012, 1, 28, "Did you mean 'chain'?" },
    };
    assert_all_wrong(table, COUNT_OF(table));
}

static void loopback_in_every_spelling_needs_no_word(void **state)
{
    (void)state;
    const struct settings *s = good(
        "listeners:\n"
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
    assert_all_wrong(table, COUNT_OF(table));
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
    assert_int_equal(parse_with(&s, text, SETTINGS_FILE_BYTES_MAX + 1, (struct settings_source){ 0 }),
                     CODE_USAGE);
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
        { "limits.connections-per-identity", "1", "0", "10000000", "10000001" },
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
        { "limits.retained-messages", "0", NULL, "100000000", "100000001" },
        { "limits.retained-bytes", "0", NULL, "1TiB", "1099511627777" },
        { "limits.retained-per-identity", "0", NULL, "100000000", "100000001" },
        { "limits.user-properties", "0", NULL, "10000", "10001" },
        { "limits.property-bytes", "256", "255", "16MiB", "16777217" },
        { "limits.session-expiry", "0", NULL, "36500d", "36501d" },
        { "limits.sessions", "1", "0", "100000000", "100000001" },
        { "limits.sessions-per-identity", "1", "0", "100000000", "100000001" },
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
        { "journal: { segment-bytes: 64KiB }\n", 1014, 0, 0,
          "limits.packet-bytes (1048576) does not fit into"
          " journal.segment-bytes (65536)" },
        { "limits:\n  packet-bytes: 64MiB\n", 1014, 2, 17,
          "does not fit into journal.segment-bytes (67108864)" },
        { "limits:\n  packet-bytes: 1KiB\n  connect-bytes: 2KiB\n", 1014, 3, 18,
          "limits.connect-bytes (2048) is more than limits.packet-bytes (1024)" },
    };
    assert_wrong(&table[1]);
    assert_wrong(&table[2]);
    const struct settings *s;
    assert_int_equal(parse_with(&s, table[0].text, strlen(table[0].text), (struct settings_source){ 0 }),
                     CODE_USAGE);
    assert_non_null(strstr(report.notes[0].text, table[0].said));
    /* 32 KiB less than the segment is just right. */
    s = good("journal: { segment-bytes: 64KiB }\nlimits: { packet-bytes: 32KiB }\n");
    settings_free(s);
    const char one_more[] = "journal: { segment-bytes: 64KiB }\nlimits: { packet-bytes: 32769 }\n";
    assert_int_equal(parse_with(&s, one_more, sizeof one_more - 1, (struct settings_source){ 0 }),
                     CODE_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
        cmocka_unit_test(values_of_the_wrong_kind_are_refused),
        cmocka_unit_test(listeners_must_be_whole_and_safe),
        cmocka_unit_test(tls_needs_its_files_and_says_which),
        cmocka_unit_test(loopback_in_every_spelling_needs_no_word),
        cmocka_unit_test(what_is_no_yaml_or_too_much_of_it_is_refused),
        cmocka_unit_test(big_files_cost_no_more_than_they_may),
        cmocka_unit_test(every_number_is_checked_on_both_sides),
        cmocka_unit_test(sizes_that_depend_on_each_other_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
