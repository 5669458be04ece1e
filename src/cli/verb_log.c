/* `fieldgate log level`: how much the running node says, until a reload or the next start. */
#include "base/log.h"
#include "cli/ask.h"
#include "cli/verbs.h"

struct level {
    struct config_flags config;
    int                 format;
};

static const char *const formats[] = { "text", "json", NULL };

static const struct flag flags[] = {
    CONFIG_FLAGS(struct level, config),
    { 'o', "output", FLAG_CHOICE, FLAG_FIELD(struct level, format), .value = "FORMAT", .words = formats, .def = "text",
      .help = "text or json" },
    FLAGS_END,
};

static bool is_word(const char *text, size_t n)
{
    return n > 0 && n < 16 && strspn(text, "abcdefghijklmnopqrstuvwxyz") >= n;
}

/* "mqtt=debug" or "debug" as the query of the request. What the words may be the node says. */
static bool query_of(const char *arg, char *out, size_t cap)
{
    const char *equals = strchr(arg, '='), *level = equals ? equals + 1 : arg;
    if (!is_word(level, strlen(level)) || (equals && !is_word(arg, (size_t)(equals - arg))))
        return false;
    if (equals)
        (void)snprintf(out, cap, "/api/v1/log?component=%.*s&level=%s", (int)(equals - arg), arg, level);
    else
        (void)snprintf(out, cap, "/api/v1/log?level=%s", level);
    return true;
}

static void print_levels(FILE *to, const json_t *tree)
{
    const char *all = json_string_value(json_object_get(tree, "level"));
    (void)fprintf(to, "%-10s%s\n", "all", all ? all : "?");
    for (size_t i = 0; log_area_names[i]; i++) {
        const char *own = json_string_value(json_object_get(json_object_get(tree, "levels"), log_area_names[i]));
        if (own && strcmp(own, "default") != 0)
            (void)fprintf(to, "%-10s%s\n", log_area_names[i], own);
    }
}

static int run(struct verb_call *call)
{
    const struct level *given = call->values;
    const char *arg = call->options->args.count ? call->options->args.at[0] : NULL;
    struct answer answer;
    struct bytes nothing = BYTES_NONE;
    char target[80] = "/api/v1/log";
    if (arg && !query_of(arg, target, sizeof target))
        return verb_usage(call, "expected LEVEL or COMPONENT=LEVEL, such as debug or mqtt=debug");
    int status = ask_node(call, &given->config, target, arg ? &nothing : NULL, &answer);
    if (status != STATUS_DONE)
        return status;
    if (given->format)
        (void)fwrite(buf_bytes(&answer.body).at, 1, buf_size(&answer.body), call->out);
    else
        print_levels(call->out, answer.tree);
    answer_clear(&answer);
    return STATUS_DONE;
}

static const struct verb verb_log_level = {
    .name = "level",
    .group = "care",
    .summary = "show or set how much the running node logs",
    .detail = "Levels: error, warn, info, debug; default takes a component's own level away. Components: api, broker,\n"
              "identity, journal, mqtt, net, node, tls. Lasts until a reload or the next start; for good: log.level and\n"
              "log.levels in the settings.",
    .examples = { "fieldgate log level", "fieldgate log level mqtt=debug", "fieldgate log level warn" },
    .args = "[[COMPONENT=]LEVEL]",
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct level),
    .run = run,
};

static const struct verb *const children[] = { &verb_log_level, NULL };

const struct verb verb_log = {
    .name = "log",
    .group = "care",
    .summary = "how much the running node says",
    .examples = { "fieldgate log level", "fieldgate log level mqtt=debug", "fieldgate log level default" },
    .children = children,
};
