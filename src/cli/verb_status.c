/* `fieldgate status`: is it well, is anything lost, what is going on. */
#include "base/values.h"
#include "cli/ask.h"
#include "cli/verbs.h"

#include <math.h>
#include <stdio.h>

enum { FIRST_CELL = 37 };

struct status {
    struct config_flags config;
    int                 format;
};

static const char *const words[] = { "table", "json", NULL };

static const struct flag flags[] = {
    CONFIG_FLAGS(struct status, config),
    { 'o', "output", FLAG_CHOICE, FLAG_FIELD(struct status, format), .value = "FORMAT", .words = words,
      .def = "table", .help = "table or json" },
    FLAGS_END,
};

/* ---- reading: a member that is missing is 0 or "", so that an older node can be asked, too ---- */

static const json_t *at(const json_t *o, const char *group, const char *name)
{
    const json_t *g = group ? json_object_get(o, group) : o;
    return json_object_get(g, name);
}

static uint64_t count_at(const json_t *o, const char *group, const char *name)
{
    json_int_t v = json_integer_value(at(o, group, name));
    return v > 0 ? (uint64_t)v : 0;
}

static double number_at(const json_t *o, const char *group, const char *name)
{
    return json_number_value(at(o, group, name));
}

static const char *text_at(const json_t *o, const char *group, const char *name)
{
    const char *s = json_string_value(at(o, group, name));
    return s ? s : "";
}

/* ---- printing ---- */

/* "  mqtt       127.0.0.1:1883          " */
static void begin_line(FILE *to, const char *name, const char *first)
{
    int room = FIRST_CELL - (int)strlen(first);
    (void)fprintf(to, "  %-10s %s%*s", name, first, room > 3 ? room : 3, "");
}

static char *counted(uint64_t n)
{
    static char text[4][VALUE_TEXT_MAX]; /* several in one line */
    static unsigned next;
    return value_print_count(n, text[next++ % 4]);
}

static void print_head(const json_t *o, FILE *to)
{
    char since[VALUE_TEXT_MAX] = "?", up[VALUE_TEXT_MAX], rss[VALUE_TEXT_MAX];
    int64_t since_us;
    struct fault why;
    if (value_parse_time(bytes_str(text_at(o, NULL, "since")), 0, &since_us, &why) == CODE_OK)
        (void)value_print_time_about(since_us, since);
    double seconds = number_at(o, NULL, "uptime-seconds");
    (void)value_print_duration_about(seconds > 0 ? (uint64_t)(seconds * 1e6) : 0, up);
    (void)value_print_size_about(count_at(o, "process", "rss-bytes"), rss);
    (void)fprintf(to, "Active since %s (%s)   fieldgate %s", since, up, text_at(o, NULL, "program"));
    if (text_at(o, NULL, "site")[0])
        (void)fprintf(to, "   site %s", text_at(o, NULL, "site"));
    (void)fprintf(to, "   %s   %.0f %% CPU\n", rss, number_at(o, "process", "cpu-percent"));
}

static void print_mqtt(const json_t *o, FILE *to)
{
    char addresses[512] = "";
    size_t i, len = 0;
    const json_t *l;
    json_array_foreach(json_object_get(o, "listeners"), i, l) {
        const char *type = text_at(l, NULL, "type");
        bool tls = strcmp(type, "mqtts") == 0;
        if ((tls || strcmp(type, "mqtt") == 0) && len < sizeof addresses)
            len += (size_t)snprintf(addresses + len, sizeof addresses - len, "%s%s%s", len ? ", " : "",
                                    text_at(l, NULL, "address"), tls ? " tls" : "");
    }
    begin_line(to, "mqtt", addresses[0] ? addresses : "no listener");
    (void)fprintf(to, "%s clients   %s in/s   %s out/s\n", counted(count_at(o, "mqtt", "clients")),
                  counted((uint64_t)llround(number_at(o, "mqtt", "in-per-second"))),
                  counted((uint64_t)llround(number_at(o, "mqtt", "out-per-second"))));
}

/* "7 d kept": whole days read better than the settings' exact form. */
static void print_keep(char out[64], const json_t *seconds)
{
    char text[VALUE_TEXT_MAX];
    uint64_t s = (uint64_t)json_integer_value(seconds);
    if (!json_is_integer(seconds))
        (void)snprintf(out, 64, "kept for ever");
    else if (s % 86400 == 0)
        (void)snprintf(out, 64, "%s d kept", counted(s / 86400));
    else
        (void)snprintf(out, 64, "%s kept", value_print_duration_about(s * 1000000, text));
}

static void print_hub(const json_t *o, FILE *to)
{
    char first[128], keep[64], oldest[VALUE_TEXT_MAX];
    size_t partitions = json_array_size(at(o, "hub", "partitions"));
    print_keep(keep, at(o, "hub", "keep-seconds"));
    (void)snprintf(first, sizeof first, "%zu partition%s, %s", partitions, partitions == 1 ? "" : "s", keep);
    begin_line(to, "hub", first);
    (void)fprintf(to, "%s stored", counted(count_at(o, "hub", "stored")));
    double age = number_at(o, "hub", "oldest-seconds");
    if (json_is_number(at(o, "hub", "oldest-seconds")))
        (void)fprintf(to, "   oldest %s",
                      value_print_duration_about(age > 0 ? (uint64_t)(age * 1e6) : 0, oldest));
    (void)fputc('\n', to);
}

/* Nothing is said where there are none. */
static void print_jobs(const json_t *o, FILE *to)
{
    size_t i, running = 0, behind = 0;
    uint64_t rows = 0;
    const json_t *list = json_object_get(o, "jobs"), *job;
    char first[64];
    if (!json_array_size(list))
        return;
    json_array_foreach(list, i, job) {
        running += strcmp(text_at(job, NULL, "state"), "running") == 0;
        behind += count_at(job, NULL, "lag") > 1000;
        rows += count_at(job, NULL, "rows");
    }
    size_t all = json_array_size(list);
    (void)snprintf(first, sizeof first, running == all ? "%zu running" : "%zu of %zu running", running, all);
    begin_line(to, "jobs", first);
    (void)fprintf(to, "%zu behind   %s rows\n", behind, counted(rows));
    json_array_foreach(list, i, job)
        if (strcmp(text_at(job, NULL, "state"), "running") != 0)
            (void)fprintf(to, "    %s is %s: fieldgate job list\n", text_at(job, NULL, "name"), text_at(job, NULL, "state"));
}

static void print_upstream(const json_t *o, FILE *to)
{
    size_t i;
    const json_t *list = json_object_get(o, "upstream"), *lane;
    json_array_foreach(list, i, lane) {
        char first[64], size[VALUE_TEXT_MAX], since[VALUE_TEXT_MAX];
        int64_t since_us;
        struct fault why;
        if (json_is_null(json_object_get(lane, "priority")))
            (void)snprintf(first, sizeof first, "without priority");
        else
            (void)snprintf(first, sizeof first, "priority %s", counted(count_at(lane, NULL, "priority")));
        begin_line(to, "upstream", first);
        (void)value_print_size_about(count_at(lane, NULL, "bytes"), size);
        (void)fprintf(to, "%s messages wait   %s", counted(count_at(lane, NULL, "messages")), size);
        if (value_parse_time(bytes_str(text_at(lane, NULL, "oldest")), 0, &since_us, &why) == CODE_OK)
            (void)fprintf(to, "   since %s", value_print_time_about(since_us, since));
        if (count_at(lane, NULL, "expired"))
            (void)fprintf(to, "   %s expired", counted(count_at(lane, NULL, "expired")));
        (void)fputc('\n', to);
    }
}

/* Nothing is said where there are none. */
static void print_routes(const json_t *o, FILE *to)
{
    size_t i, running = 0;
    uint64_t matched = 0, waiting = 0;
    const json_t *list = json_object_get(o, "routes"), *route;
    char first[64];
    size_t all = json_array_size(list);
    json_array_foreach(list, i, route) {
        running += strcmp(text_at(route, NULL, "state"), "running") == 0;
        matched += count_at(route, NULL, "matched");
        waiting += count_at(route, NULL, "waiting");
    }
    if (all) {
        (void)snprintf(first, sizeof first, running == all ? "%zu running" : "%zu of %zu running", running, all);
        begin_line(to, "routes", first);
        (void)fprintf(to, "%s matched   %s wait to be routed\n", counted(matched), counted(waiting));
    }
    json_array_foreach(list, i, route)
        if (strcmp(text_at(route, NULL, "state"), "running") != 0)
            (void)fprintf(to, "    %s waits: %s\n", text_at(route, NULL, "name"), text_at(route, NULL, "why"));
    print_upstream(o, to);
}

static void print_actions(const json_t *o, FILE *to)
{
    size_t i;
    uint64_t good = 0, failed = 0, waiting = 0;
    const json_t *list = json_object_get(o, "actions"), *action;
    char first[64];
    if (!json_array_size(list))
        return;
    json_array_foreach(list, i, action) {
        good += count_at(action, NULL, "good");
        failed += count_at(action, NULL, "failed");
        waiting += count_at(action, NULL, "waiting");
    }
    (void)snprintf(first, sizeof first, "%zu", json_array_size(list));
    begin_line(to, "actions", first);
    (void)fprintf(to, "%s good   ", counted(good));
    (void)fprintf(to, "%s failed   ", counted(failed));
    (void)fprintf(to, "%s waiting\n", counted(waiting));
}

/* Nothing is said where no publisher runs. */
static void print_opcua(const json_t *o, FILE *to)
{
    size_t i, up = 0;
    const json_t *list = at(o, "opcua", "servers"), *server;
    uint64_t nodes = count_at(o, "opcua", "nodes"), bad = nodes - count_at(o, "opcua", "good");
    char first[64];
    if (!json_is_array(list))
        return;
    json_array_foreach(list, i, server)
        up += strcmp(text_at(server, NULL, "state"), "up") == 0;
    (void)snprintf(first, sizeof first, "%zu server%s", json_array_size(list), json_array_size(list) == 1 ? "" : "s");
    begin_line(to, "opcua", first);
    (void)fprintf(to, "%zu connected   ", up);
    (void)fprintf(to, "%s node%s", counted(nodes), nodes == 1 ? "" : "s");
    if (bad)
        (void)fprintf(to, ", %s without values", counted(bad));
    (void)fprintf(to, "   %s values", counted(count_at(o, "opcua", "received")));
    (void)fprintf(to, "   %s wait%s\n", counted(count_at(o, "opcua", "waiting")),
                  json_is_true(at(o, "opcua", "held")) ? ", servers are held" : "");
    json_array_foreach(list, i, server)
        if (strcmp(text_at(server, NULL, "state"), "up") != 0 && text_at(server, NULL, "trouble")[0])
            (void)fprintf(to, "    %s: %s\n", text_at(server, NULL, "endpoint"), text_at(server, NULL, "trouble"));
}

/* Nor where no server is. */
static void print_opcua_server(const json_t *o, FILE *to)
{
    static const char *const g = "opcua-server";
    uint64_t bad = count_at(o, g, "variables-bad");
    if (!json_is_object(json_object_get(o, g)))
        return;
    begin_line(to, "opcua", text_at(o, g, "at"));
    (void)fprintf(to, "%s client%s   ", counted(count_at(o, g, "sessions")), count_at(o, g, "sessions") == 1 ? "" : "s");
    (void)fprintf(to, "%s variable%s", counted(count_at(o, g, "variables")), count_at(o, g, "variables") == 1 ? "" : "s");
    if (bad)
        (void)fprintf(to, ", %s without a good value", counted(bad));
    (void)fprintf(to, "   %s values   ", counted(count_at(o, g, "values")));
    (void)fprintf(to, "%s written\n", counted(count_at(o, g, "writes")));
}

static const char *relation(uint64_t a, uint64_t b)
{
    return a == b ? "=" : a > b ? ">" : "<";
}

/* What came in at QoS 1 and 2 was stored, unless nobody durable wanted it, and then acknowledged. */
static void print_accounts(const json_t *o, FILE *to)
{
    uint64_t in = count_at(o, "accounts", "in"), stored = count_at(o, "accounts", "stored"),
             acknowledged = count_at(o, "accounts", "acknowledged");
    static const char *const extras[] = { "waiting", "refused", "dropped" };
    (void)fprintf(to, "  %-10s in %s %s stored %s %s acknowledged %s   lost %s", "accounts", counted(in),
                  relation(in, stored), counted(stored), relation(stored, acknowledged),
                  counted(acknowledged), counted(count_at(o, "accounts", "lost")));
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
        if (count_at(o, "accounts", extras[i]))
            (void)fprintf(to, "   %s %s", extras[i], counted(count_at(o, "accounts", extras[i])));
    (void)fputc('\n', to);
}

static int print_people(const json_t *o, FILE *to)
{
    int status = STATUS_DONE;
    const json_t *trouble = json_object_get(o, "trouble");
    print_head(o, to);
    if (json_is_object(trouble)) {
        (void)fputs("  ", to);
        output_mark(to, MARK_BAD);
        (void)fprintf(to, "  %s %s\n", text_at(trouble, NULL, "code"), text_at(trouble, NULL, "message"));
        status = STATUS_WARNINGS;
    }
    print_mqtt(o, to);
    print_hub(o, to);
    print_opcua(o, to);
    print_opcua_server(o, to);
    print_jobs(o, to);
    print_routes(o, to);
    print_actions(o, to);
    print_accounts(o, to);
    if (strcmp(text_at(o, NULL, "durability"), "memory") == 0) {
        begin_line(to, "durability", "memory");
        (void)fprintf(to, "an acknowledged message may be lost in a crash\n");
    }
    return status;
}

static int run(struct verb_call *call)
{
    const struct status *given = call->values;
    struct answer answer;
    int status = ask_node(call, &given->config, "/api/v1/status", NULL, &answer);
    if (status != STATUS_DONE)
        return status;
    if (given->format == 1) {
        (void)fwrite(buf_bytes(&answer.body).at, 1, buf_size(&answer.body), call->out);
        status = json_is_object(json_object_get(answer.tree, "trouble")) ? STATUS_WARNINGS : STATUS_DONE;
    } else {
        status = print_people(answer.tree, call->out);
    }
    answer_clear(&answer);
    return status;
}

const struct verb verb_status = {
    .name = "status",
    .group = "run",
    .summary = "is the node well, and what does it do",
    .detail =
        "In `accounts`, in counts what came at QoS 1 and 2; stored may be less where nobody durable wanted "
        "a\n"
        "message, and more where QoS 0 went to a partition. lost is what was on disk and cannot be read.\n"
        "Exit status: 0 well, 3 not running, 4 running, but refusing new messages.",
    .examples = { "fieldgate status", "fieldgate status -o json", "fieldgate status --data ./data" },
    .flags = flags,
    .values_size = sizeof(struct status),
    .run = run,
};
