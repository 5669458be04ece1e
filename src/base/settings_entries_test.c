/* `jobs`, `routes`, `actions`: entries with their rows, what is shown of them, and how they are refused. */
#include "base/settings_test_parse.h"

static void one_text_and_whole_entries(void **state)
{
    (void)state;
    const struct settings *s = good("jobs:\n"
                                    "  humidity: a.sql\n"
                                    "  cooling:\n"
                                    "    sql: b.sql\n"
                                    "    inputs: { x: factory/+/t, y: \"z/#\" }\n"
                                    "    late: 1m\n"
                                    "    policy: drop\n"
                                    "routes:\n"
                                    "  all: FROM /messages/* INTO $upstream\n"
                                    "  hot: { route: \"FROM events INTO $upstream\", priority: 3, ttl: 1h }\n"
                                    "actions:\n"
                                    "  stop:\n"
                                    "    on: humidity.out\n"
                                    "    do: { publish: { topic: t, message: '{\"run\":false}', qos: 2, retain: true } }\n"
                                    "    guard: { at-least: 2 in 10s, dry-run: true }\n");
    assert_int_equal(s->jobs.count, 2);
    assert_int_equal(s->job_files.count, 0);
    assert_string_equal(s->jobs.at[0].entry.name, "humidity");
    assert_string_equal(s->jobs.at[0].sql, "a.sql");
    assert_int_equal(s->jobs.at[0].late_s, 5);
    assert_int_equal(s->jobs.at[0].policy, JOB_ADJUST);
    assert_int_equal(s->jobs.at[1].entry.line, 3);
    assert_int_equal(s->jobs.at[1].entry.column, 3);
    assert_int_equal(s->jobs.at[1].inputs.count, 2);
    assert_string_equal(s->jobs.at[1].inputs.at[1].name, "y");
    assert_string_equal(s->jobs.at[1].inputs.at[1].to, "z/#");
    assert_int_equal(s->jobs.at[1].late_s, 60);
    assert_int_equal(s->jobs.at[1].policy, JOB_DROP);
    assert_int_equal(s->jobs.at[1].state_bytes, 256 << 20);
    assert_int_equal(s->routes.count, 2);
    assert_string_equal(s->routes.at[0].route, "FROM /messages/* INTO $upstream");
    assert_int_equal(s->routes.at[0].entry.text_line, 9);
    assert_int_equal(s->routes.at[0].entry.text_column, 8);
    assert_true(s->routes.at[0].entry.text_in_place);
    assert_int_equal(s->routes.at[1].entry.text_line, 10);
    assert_int_equal(s->routes.at[1].entry.text_column, 18); /* behind the quote */
    assert_true(s->routes.at[1].entry.text_in_place);
    assert_int_equal(s->routes.at[0].priority, SETTINGS_PRIORITY_NONE);
    assert_int_equal(s->routes.at[0].ttl_s, 0);
    assert_int_equal(s->routes.at[1].priority, 3);
    assert_int_equal(s->routes.at[1].ttl_s, 3600);
    assert_int_equal(s->actions.count, 1);
    const struct settings_action *a = s->actions.at;
    assert_string_equal(a->on, "humidity.out");
    assert_string_equal(a->publish.topic, "t");
    assert_string_equal(a->publish.message, "{\"run\":false}");
    assert_int_equal(a->publish.qos, 2);
    assert_true(a->publish.retain);
    assert_string_equal(a->webhook.url, "");
    assert_int_equal(a->program.count, 0);
    assert_string_equal(a->at_least, "2 in 10s");
    assert_true(a->dry_run);
    assert_int_equal(a->retry, 3);
    assert_int_equal(a->timeout_s, 10);
    settings_free(s);
    s = good("routes:\n  r: \"FROM topic(\\\"x\\\") INTO events\"\n");
    assert_string_equal(s->routes.at[0].route, "FROM topic(\"x\") INTO events");
    assert_false(s->routes.at[0].entry.text_in_place); /* its columns are not those of the file */
    settings_free(s);
}

static void patterns_instead_of_entries(void **state)
{
    (void)state;
    const struct settings *s = good("jobs: /etc/jobs/*.sql\n");
    assert_int_equal(s->jobs.count, 0);
    assert_int_equal(s->job_files.count, 1);
    assert_string_equal(s->job_files.at[0], "/etc/jobs/*.sql");
    settings_free(s);
    s = good("jobs: [a.sql, b.sql]\n");
    assert_int_equal(s->job_files.count, 2);
    settings_free(s);
}

static void seen(void *ctx, const struct settings_line *line)
{
    struct buf *all = ctx;
    if (strncmp(line->key, "jobs", 4) != 0 && strncmp(line->key, "routes", 6) != 0)
        return;
    buf_printf(all, "%s=%.*s|%.*s|%.*s\n", line->key, BYTES_FMT(line->value), BYTES_FMT(line->json), BYTES_FMT(line->origin));
}

static void entries_are_shown(void **state)
{
    (void)state;
    struct buf all = { 0 };
    const struct settings *s = good("jobs:\n  a: { sql: x.sql, inputs: { i: t } }\nroutes:\n  r: FROM events INTO $upstream\n");
    assert_int_equal(settings_each(s, seen, &all), CODE_OK);
    buf_u8(&all, 0);
    const char *text = (const char *)buf_bytes(&all).at;
    assert_non_null(strstr(text, "jobs.a.sql=x.sql|\"x.sql\"|f.yaml:2\n"));
    assert_non_null(strstr(text, "jobs.a.inputs={\"i\": \"t\"}|{\"i\":\"t\"}|f.yaml:2\n"));
    assert_non_null(strstr(text, "jobs.a.late=5s|5|f.yaml:2\n"));
    assert_non_null(strstr(text, "routes.r.route=\"FROM events INTO $upstream\"|"));
    settings_free(s);
    buf_reset(&all);
    s = good("jobs: x.sql\n");
    assert_int_equal(settings_each(s, seen, &all), CODE_OK);
    buf_u8(&all, 0);
    assert_string_equal((const char *)buf_bytes(&all).at, "jobs=[\"x.sql\"]|[\"x.sql\"]|f.yaml:1\n");
    settings_free(s);
    buf_clear(&all);
}

struct hooks {
    struct buf all;
    uint64_t   url, headers;
};

static void seen_hook(void *ctx, const struct settings_line *line)
{
    struct hooks *h = ctx;
    buf_printf(&h->all, "%s=%.*s|%.*s\n", line->key, BYTES_FMT(line->value), BYTES_FMT(line->json));
    if (strcmp(line->key, "actions.a.do.webhook.url") == 0)
        h->url = line->mark;
    if (strcmp(line->key, "actions.a.do.webhook.headers") == 0)
        h->headers = line->mark;
}

static struct hooks hooks_of(const char *url, const char *value)
{
    char text[256];
    struct hooks h = { 0 };
    (void)snprintf(text, sizeof text, "actions:\n  a: { on: j.o, do: { webhook: { url: \"%s\", headers: { Authorization: %s } } } }\n",
                   url, value);
    const struct settings *s = good(text);
    assert_int_equal(settings_each(s, seen_hook, &h), CODE_OK);
    buf_u8(&h.all, 0);
    settings_free(s);
    return h;
}

/* A chat's hook is its address, and anybody may write there who knows it. */
static void secrets_are_not_shown_but_told_apart(void **state)
{
    (void)state;
    struct hooks one = hooks_of("https://h/geheim1", "geheim2"), same = hooks_of("https://h/geheim1", "geheim2"),
                 other = hooks_of("https://h/geheim3", "geheim4");
    const char *text = (const char *)buf_bytes(&one.all).at;
    assert_null(strstr(text, "geheim"));
    assert_non_null(strstr(text, "actions.a.do.webhook.url=(hidden)|\"(hidden)\"\n"));
    assert_non_null(strstr(text, "actions.a.do.webhook.headers=(hidden)|\"(hidden)\"\n"));
    assert_non_null(strstr(text, "actions.a.do.webhook.ca=\"\"|\"\"\n"));
    assert_true(one.url == same.url && one.headers == same.headers && one.url && one.headers);
    assert_true(one.url != other.url && one.headers != other.headers);
    buf_clear(&one.all);
    buf_clear(&same.all);
    buf_clear(&other.all);
}

static void wrong_entries_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t    line, column;
        const char *said;
    } table[] = {
        { "routes: x\n", 1, 9, "routes must be a map of names to routes" },
        { "routes: [x]\n", 1, 9, "routes must be a map" },
        { "routes:\n  \"a b\": x\n", 2, 3, "'a b' cannot be the name of a route" },
        { "routes:\n  a: [x]\n", 2, 3, "routes.a must be a text or a map" },
        { "routes:\n  a:\n", 2, 3, "routes.a must be a text or a map" },
        { "routes:\n  a: { rout: x }\n", 2, 8, "unknown key 'rout' in routes.a. Did you mean 'route'?" },
        { "routes:\n  a: { priority: 1 }\n", 2, 3, "routes.a has no route, which a route must have" },
        { "routes:\n  a: { route: x, priority: -1 }\n", 2, 28, "routes.a.priority must be" },
        { "jobs:\n  a: { late: 5s }\n", 2, 3, "jobs.a has no sql" },
        { "jobs:\n  a: { sql: x, inputs: y }\n", 2, 24, "jobs.a.inputs must be a map of names to texts" },
        { "jobs:\n  a: { sql: x, inputs: { y: [z] } }\n", 2, 29, "jobs.a.inputs.y must be one value" },
        { "jobs:\n  a: { sql: x, late: 21d }\n", 2, 22, "jobs.a.late must be" },
        { "actions:\n  a: x\n", 2, 3, "actions.a must be a map" },
        { "actions:\n  a: { do: { publish: { topic: t } } }\n", 2, 3, "actions.a has no on" },
        { "actions:\n  a: { on: j.o, do: { publsh: { topic: t } } }\n", 2, 23,
          "unknown key 'publsh' in actions.a.do. Did you mean 'publish'?" },
        { "actions:\n  a: { on: j.o, do: { publish: { topc: t } } }\n", 2, 34,
          "unknown key 'topc' in actions.a.do.publish. Did you mean 'topic'?" },
        { "actions:\n  a: { on: j.o, do: t }\n", 2, 21, "actions.a.do holds keys" },
        { "actions:\n  a: { on: j.o, do.publish.topic: t }\n", 2, 17, "unknown key 'do.publish.topic' in actions.a" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct settings *s;
        enum code c = parse_with(&s, table[i].text, strlen(table[i].text), (struct settings_source){ .environment = home });
        if (c != CODE_USAGE || !strstr(report.notes[0].text, table[i].said) || report.notes[0].line != table[i].line ||
            report.notes[0].column != table[i].column)
            fail_msg("for:\n%swanted %u:%u %s\ngot    %u:%u %s", table[i].text, table[i].line, table[i].column, table[i].said,
                     report.notes[0].line, report.notes[0].column, report.notes[0].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_text_and_whole_entries),
        cmocka_unit_test(patterns_instead_of_entries),
        cmocka_unit_test(entries_are_shown),
        cmocka_unit_test(secrets_are_not_shown_but_told_apart),
        cmocka_unit_test(wrong_entries_are_refused_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
