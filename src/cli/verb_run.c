/* `fieldgate run`: the node. stdout says where it listens and then `ready`; everything else is on stderr. */
#include "base/log.h"
#include "cli/config.h"
#include "cli/run_with.h"
#include "cli/verbs.h"
#include "node/node.h"

struct run {
    struct config_flags config;
};

static const struct flag flags[] = {
    CONFIG_FLAGS(struct run, config),
    FLAGS_END,
};

static void print_listener(void *ctx, const char *type, const char *address)
{
    (void)fprintf(ctx, "listening %s %s\n", type, address);
}

struct again {
    const struct verb_call *call;
    const struct config_flags *given;
};

/* A reload: the same file, environment and flags. On a thread of the node. */
static enum code reread(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    const struct again *again = ctx;
    const char *file;
    return config_read(again->call, again->given, out, &file, report, why);
}

static int run_node(struct verb_call *call, const struct config_flags *given, const struct settings *settings)
{
    struct again again = { call, given };
    struct node_options options = {
        .settings = settings, .io = call->io, .version = FG_VERSION, .signals = true, .reread = reread, .reread_ctx = &again
    };
    struct fault why;
    struct node *node;
    node_log_levels(settings);
    enum code code = node_open(&node, &options, &why);
    if (code != CODE_OK)
        return verb_fail(call, &why);
    node_each_listener(node, print_listener, call->out);
    (void)fprintf(call->out, "ready\n");
    (void)fflush(call->out);
    clearerr(call->out); /* a reader that has gone is no reason to stop or to fail */
    code = node_run(node, &why);
    node_close(node);
    return code == CODE_OK ? STATUS_DONE : verb_fail(call, &why);
}

int run_with(struct verb_call *call, const struct config_flags *given)
{
    const struct settings *settings;
    int status = config_load(call, given, &settings);
    if (status != STATUS_DONE)
        return status;
    status = run_node(call, given, settings);
    settings_free(settings);
    return status;
}

static int run(struct verb_call *call)
{
    const struct run *given = call->values;
    return run_with(call, &given->config);
}

const struct verb verb_run = {
    .name = "run",
    .group = "run",
    .summary = "start a node on this machine",
    .detail =
        "Without a settings file it listens on loopback only: MQTT on 1883, metrics and health on 8080.\n"
        "It runs until SIGTERM or Ctrl-C; a second one ends it at once, which loses nothing that was\n"
        "acknowledged. Port 0 lets the system choose; stdout says which.",
    .examples = { "fieldgate run", "fieldgate run --config /etc/fieldgate/fieldgate.yaml",
                  "fieldgate run --data ./data --set log.level=debug" },
    .flags = flags,
    .values_size = sizeof(struct run),
    .run = run,
};
