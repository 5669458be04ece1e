/* `fieldgate reload`: the running node reads its settings, certificates, users and rules again. */
#include "cli/api_client.h"
#include "cli/verbs.h"

#include <jansson.h>

struct reload {
    struct config_flags config;
    int                 format;
};

static const char *const formats[] = { "text", "json", NULL };

static const struct flag flags[] = {
    CONFIG_FLAGS(struct reload, config),
    { 'o', "output", FLAG_CHOICE, FLAG_FIELD(struct reload, format), .value = "FORMAT", .words = formats, .def = "text",
      .help = "text or json" },
    FLAGS_END,
};

static void print_list(FILE *to, const char *what, const json_t *list, const char *nothing)
{
    size_t i;
    const json_t *one;
    (void)fprintf(to, "%s: %s", what, json_array_size(list) ? "" : nothing);
    json_array_foreach(list, i, one) {
        (void)fprintf(to, "%s%s (%s)", i ? ", " : "", json_string_value(json_object_get(one, "key")),
                      json_string_value(json_object_get(one, "text")));
    }
}

static void print_report(FILE *to, const json_t *tree)
{
    print_list(to, "changed", json_object_get(tree, "changed"), "no setting");
    print_list(to, "; needs restart", json_object_get(tree, "needs-restart"), "none");
    (void)fputs("; certificates, users and rules are as their files are now\n", to);
}

/* Everything that is wrong in the settings, a line each. Returns how many. */
static size_t print_notes(FILE *to, const json_t *tree)
{
    const json_t *notes = json_object_get(json_object_get(tree, "error"), "notes"), *n;
    size_t i;
    json_array_foreach(notes, i, n)
        (void)fprintf(to, "%s %s: %s\n", json_string_value(json_object_get(n, "code")),
                      json_string_value(json_object_get(n, "where")), json_string_value(json_object_get(n, "text")));
    return json_array_size(notes);
}

static int print(struct verb_call *call, enum code code, const struct buf *body, const struct fault *why)
{
    const struct reload *given = call->values;
    json_t *tree = json_loadb((const char *)buf_bytes(body).at, buf_size(body), 0, NULL);
    int status = code == CODE_OK ? STATUS_DONE : STATUS_FAILED;
    if (code == CODE_OK && given->format)
        (void)fwrite(buf_bytes(body).at, 1, buf_size(body), call->out);
    else if (code == CODE_OK)
        print_report(call->out, tree);
    else if (print_notes(call->err, tree))
        (void)fprintf(call->err, "nothing was changed\n");
    else
        status = verb_fail(call, why);
    json_decref(tree);
    return status == STATUS_USAGE ? STATUS_FAILED : status;
}

static int run(struct verb_call *call)
{
    const struct reload *given = call->values;
    struct api_client client;
    struct buf body = { 0 };
    struct fault why;
    int status = api_client_find(call, &given->config, &client);
    if (status != STATUS_DONE) {
        (void)fprintf(call->err, "nothing was changed\n");
        return STATUS_FAILED; /* the settings say where the node is, and they are wrong */
    }
    enum code code = api_client_post(&client, "/api/v1/reload", BYTES_NONE, &body, &why);
    status = print(call, code, &body, &why);
    buf_clear(&body);
    return status;
}

const struct verb verb_reload = {
    .name = "reload",
    .group = "run",
    .summary = "take changed settings, certificates, users and rules without a restart",
    .detail = "Everything is checked first; with one error anywhere nothing changes. Connections stay. Says which keys\n"
              "changed, and which ones need a restart and keep their value until then. SIGHUP does the same.\n"
              "Exit status: 0 done, 1 nothing was changed, 3 not running.",
    .examples = { "fieldgate reload", "fieldgate reload --data ./data", "fieldgate reload -o json" },
    .flags = flags,
    .values_size = sizeof(struct reload),
    .run = run,
};
