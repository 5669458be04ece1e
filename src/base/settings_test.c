#include "base/settings_test_parse.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- without a file ---- */

static void without_a_file_the_defaults_hold(void **state)
{
    (void)state;
    const struct settings *s;
    struct settings_source source = { .environment = home };
    assert_int_equal(settings_load(&s, &io_system, &source, &report, &why), CODE_OK);
    assert_int_equal(report.count, 0);
    assert_string_equal(s->site, "");
    assert_string_equal(s->data, "/h/ann/.local/state/fieldgate");
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
        { { "HOME=/h/ann" }, false, "/h/ann/.local/state/fieldgate" },
        { { "HOME=/h/ann", "XDG_STATE_HOME=/s" }, false, "/s/fieldgate" },
        { { "HOME=/h/ann", "XDG_STATE_HOME=relative" }, false, "/h/ann/.local/state/fieldgate" },
        { { "HOME=/root" }, true, "/var/lib/fieldgate" },
        { { NULL }, false, "fieldgate-data" },
        { { "HOME=relative" }, false, "fieldgate-data" },
        { { "FIELDGATE_DATA=/d", "HOME=/h/ann" }, true, "/d" },
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
    const struct settings *s = good(
        "version: 1\n"
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
        "users: /etc/fieldgate/users\n"
        "rules: rules.yaml\n"
        "acl-deny: close\n"
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
    assert_int_equal(s->listeners[0].auth.count, 1);
    assert_int_equal(s->listeners[0].auth.at[0], AUTH_ANONYMOUS);
    assert_int_equal(s->listeners[1].auth.at[0], AUTH_USERS); /* nobody said: not anyone from outside */
    assert_int_equal(s->listeners[2].auth.at[0], AUTH_ANONYMOUS);
    assert_int_equal(s->listeners[2].type, LISTENER_HTTP);
    assert_int_equal(s->hub.partitions, 1024);
    assert_int_equal(s->hub.keep_s, 0);
    assert_int_equal(s->hub.keep_bytes, UINT64_C(20000000000));
    assert_int_equal(s->hub.topics.count, 3);
    assert_string_equal(s->hub.topics.at[0], "factory/#");
    assert_string_equal(s->hub.topics.at[1], "+/x");
    assert_string_equal(s->hub.topics.at[2], "it's");
    assert_string_equal(s->users, "/etc/fieldgate/users");
    assert_string_equal(s->rules, "rules.yaml");
    assert_int_equal(s->acl_deny, ACL_DENY_CLOSE);
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

/* ---- several at once ---- */

static void one_run_names_every_error(void **state)
{
    (void)state;
    const struct settings *s;
    static const char text[] =
        "versoin: 1\nhub:\n  partitions: 0\n  keep: never\nlog: { level: loud }\nloops: x\n";
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
    static const char text[] =
        "data: /file\nhub: { keep: 1d, partitions: 9 }\nlimits: { packet-bytes: 1MiB }\n";
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
        { "FIELDGATE_LISTENERS=x",
          { 0 },
          "environment FIELDGATE_LISTENERS",
          "listeners must be written in the file" },
        { "FIELDGATE_HUB_TOPICS=a,,b", { 0 }, "environment FIELDGATE_HUB_TOPICS", "hub.topics must be" },
        { "FIELDGATE_HUB_TOPICS=a,b#",
          { 0 },
          "environment FIELDGATE_HUB_TOPICS",
          "'b#' is not an MQTT topic" },
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
    static const char *const named[] = { "FIELDGATE_CONFIG=/my.yaml", NULL }, *const empty[] = {
        "FIELDGATE_CONFIG=", NULL
    };
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

/* "gateway.certificates": a line for each level that the line before was not in. Returns how deep its keys stand. */
static int write_group(struct again *a, const char *group)
{
    int depth = 0;
    bool fresh = false;
    for (const char *at = group; *at; depth++) {
        size_t n = strcspn(at, "."), upto = (size_t)(at - group) + n;
        fresh |= strncmp(group, a->group, upto) != 0 || (a->group[upto] && a->group[upto] != '.');
        if (fresh)
            buf_printf(&a->text, "%*s%.*s:\n", 2 * depth, "", (int)n, at);
        at += n + (at[n] == '.');
    }
    return depth;
}

static void write_line(void *ctx, const struct settings_line *line)
{
    struct again *a = ctx;
    const char *dot = strchr(line->key, '.');
    if (strncmp(line->key, "listeners", 9) == 0) {
        bool first = strcmp(dot, ".type") == 0;
        buf_printf(&a->text, "%s%s%s: %.*s\n",
                   strcmp(line->key, "listeners[0].type") == 0 ? "listeners:\n" : "", first ? "  - " : "    ",
                   dot + 1, BYTES_FMT(line->value));
        return;
    }
    char group[sizeof a->group];
    dot = strrchr(line->key, '.');
    (void)snprintf(group, sizeof group, "%.*s", dot ? (int)(dot - line->key) : 0, line->key);
    int depth = write_group(a, group);
    (void)snprintf(a->group, sizeof a->group, "%s", group);
    buf_printf(&a->text, "%*s%s: %.*s\n", 2 * depth, "", dot ? dot + 1 : line->key, BYTES_FMT(line->value));
}

static void append_both(void *ctx, const struct settings_line *line)
{
    struct buf *b = ctx;
    buf_printf(b, "%s=%.*s\n", line->key, BYTES_FMT(line->value));
}

static void what_is_shown_can_be_written_as_a_file(void **state)
{
    (void)state;
    const struct settings *s = good(
        "site: \"quote \\\" : # \xc3\xa4\"\ndata: 'null'\nhub: { topics: ['a b', \"c: d\"], keep:"
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
    /* FIELDGATE_A_B could be a.b or a-b: give each key a value of its own kind and see one origin per
     * variable. */
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
    (void)snprintf(path, sizeof path, "%.*s../../docs/settings.md",
                   (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__);
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

static const char everything[] =
    "site: a\ndata: b\nlisteners:\n- {type: mqtt, at: ['127.0.0.1:1', '127.0.0.1:2']}\n"
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
