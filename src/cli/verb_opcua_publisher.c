/* `fieldgate opcua publisher`: a node that reads published nodes, by the command line that a container of OPC Publisher has. */
#include "base/buf.h"
#include "cli/opcua_verbs.h"
#include "cli/run_with.h"
#include "publisher/options.h"

/* Environment first, so that the command line wins. */
static bool join(const struct verb_call *call, struct buf *out)
{
    const struct texts *args = &call->options->args;
    buf_printf(out, "opcua.options=");
    struct buf environment = { 0 };
    size_t from = out->len;
    publisher_options_environment(&environment, call->environment);
    buf_add_bytes(out, buf_bytes(&environment));
    buf_clear(&environment);
    for (size_t i = 0; i < args->count; i++) {
        buf_u8(out, ' ');
        if (!publisher_options_quote(out, args->at[i]))
            return false;
    }
    if (out->len == from)
        buf_printf(out, "--pf=publishednodes.json"); /* as OPC Publisher without a word */
    buf_u8(out, 0);
    return !out->bad;
}

/* A wrong option is told at once, not in the log of a node that runs without it. */
static int check(const struct verb_call *call, const char *text)
{
    struct publisher_options options;
    struct fault why;
    enum code c = publisher_options_text(&options, text, &why);
    if (c != CODE_OK)
        return c == CODE_USAGE ? verb_usage(call, "%s", why.text) : verb_fail(call, &why);
    publisher_options_clear(&options);
    return STATUS_DONE;
}

static int run(struct verb_call *call)
{
    struct buf set = { 0 };
    if (!join(call, &set)) {
        buf_clear(&set);
        return verb_usage(call, "an option with both kinds of quotes cannot be passed on");
    }
    const char *text = (const char *)set.at;
    int status = check(call, strchr(text, '=') + 1);
    const char *sets[] = { text };
    struct config_flags flags = { .set = { sets, 1 } };
    if (status == STATUS_DONE)
        status = run_with(call, &flags);
    buf_clear(&set);
    return status;
}

const struct verb opcua_publisher = {
    .name = "publisher",
    .group = "field",
    .summary = "a node that reads published nodes, by OPC Publisher's command line",
    .detail =
        "Takes the options of OPC Publisher 2.4 and 2.9 as they are, and the environment variables of 2.9. What has\n"
        "no meaning here is named in the log, with the reason. Settings of the node are those of `fieldgate run`\n"
        "(FIELDGATE_CONFIG, FIELDGATE_DATA ...); values go to topics below opcua/.\n"
        "In a settings file the same is opcua.published-nodes and opcua.options.",
    .examples = { "fieldgate opcua publisher --pf=publishednodes.json --ns=true --fd=true --aa",
                  "fieldgate opcua publisher --pf publishednodes.json --mm PubSub -c",
                  "FIELDGATE_DATA=/var/lib/press fieldgate opcua publisher --pf=/etc/press.json --si=1" },
    .args = "[OPTIONS OF OPC PUBLISHER]",
    .args_max = 256,
    .raw = true,
    .values_size = 1,
    .run = run,
};
