/* verb_opcuatest.c - `fieldgate opcua test`: what a server offers, what it lacks, and what Fieldgate does instead. */
#include "base/values.h"
#include "cli/opcua_session.h"
#include "cli/opcua_verbs.h"

#include "opcua/ids.h"
#include "opcua/text.h"
#include "uaclient/subscription.h"

#include <inttypes.h>
#include <math.h>

enum { FLOW_MS = 5000 };

struct given {
    struct opcua_target target;
};

struct findings {
    struct opcua_session *s;
    unsigned good, warnings, errors;
};

/* Both texts are printed as they are: what is the server's own is escaped already. */
static void say(struct findings *f, enum output_mark mark, const char *what, const char *more)
{
    FILE *to = f->s->call->out;
    (void)fputs("  ", to);
    output_mark(to, mark);
    (void)fprintf(to, more && *more ? "  %-44s %s\n" : "  %s%s\n", what, more ? more : "");
    f->good += mark == MARK_OK;
    f->warnings += mark == MARK_WARN;
    f->errors += mark == MARK_BAD;
}

static void heading(const struct findings *f, const char *what)
{
    (void)fprintf(f->s->call->out, "%s\n", what);
}

/* ---- endpoints ---- */

static const char *policy_of(struct bytes uri)
{
    static const char prefix[] = "http://opcfoundation.org/UA/SecurityPolicy#";
    return bytes_starts(uri, prefix) ? (const char *)uri.at + sizeof prefix - 1 : NULL;
}

static void tokens_of(const struct ua_endpoint_description *e, struct buf *out)
{
    static const char *const names[] = { "anonymous", "user name", "certificate", "issued token" };
    bool seen[4] = { false };
    for (uint32_t i = 0; i < e->user_identity_tokens_count; i++) {
        int32_t type = e->user_identity_tokens[i].token_type;
        if (type < 0 || type > 3 || seen[type])
            continue;
        buf_printf(out, "%s%s", buf_size(out) ? ", " : "", names[type]);
        seen[type] = true;
    }
}

static void show_endpoints(struct findings *f)
{
    static const char *const modes[] = { "?", "", "Sign", "SignAndEncrypt" };
    size_t n;
    const struct ua_endpoint_description *e = ua_client_endpoints(f->s->client, &n);
    heading(f, "Endpoints");
    for (size_t i = 0; i < n; i++) {
        struct buf what = { 0 }, tokens = { 0 };
        struct bytes uri = e[i].security_policy_uri;
        const char *policy = policy_of(uri);
        int32_t mode = e[i].security_mode;
        char name[200];
        struct bytes plain = policy ? bytes_of((const uint8_t *)policy, (size_t)(uri.at + uri.len - (const uint8_t *)policy)) : uri;
        buf_printf(&what, "%s %s", bytes_escape(plain, name, sizeof name),
                   mode >= 1 && mode <= 3 ? modes[mode] : modes[0]);
        buf_u8(&what, 0);
        tokens_of(&e[i], &tokens);
        buf_u8(&tokens, 0);
        bool old = bytes_is(uri, "http://opcfoundation.org/UA/SecurityPolicy#Basic128Rsa15") ||
                   bytes_is(uri, "http://opcfoundation.org/UA/SecurityPolicy#Basic256");
        if (!what.bad && !tokens.bad)
            say(f, old ? MARK_NOT_TRIED : MARK_OK, (const char *)what.at, old ? "broken, not spoken" : (const char *)tokens.at);
        buf_clear(&what);
        buf_clear(&tokens);
    }
    if (!n)
        say(f, MARK_WARN, "it tells no endpoints", "the one that was dialled is used");
}

/* ---- services ---- */

static bool unsupported(ua_status s)
{
    return s == UA_BAD_SERVICE_UNSUPPORTED || s == UA_BAD_NOT_IMPLEMENTED || s == UA_BAD_NOT_SUPPORTED;
}

/* Whether a service is there at all: asked for something that does not exist. */
static void probe(struct findings *f, const char *name, const struct ua_struct *type, void *request, const struct ua_struct *response_type,
                  void *response, const char *instead)
{
    ua_status status = opcua_ask(f->s, type, request, response_type, response);
    if (unsupported(status))
        say(f, MARK_WARN, name, instead);
    else
        say(f, MARK_OK, name, "");
}

static void probe_services(struct findings *f)
{
    union {
        struct ua_republish_response republish;
        struct ua_transfer_subscriptions_response transfer;
        struct ua_set_publishing_mode_response mode;
        struct ua_register_nodes_response reg;
        struct ua_translate_response translate;
        struct ua_history_read_response history;
        struct ua_call_response call;
    } said;
    const uint32_t none = UINT32_MAX;
    const struct ua_node_id clock = UA_NS0(UA_ID_SERVER_SERVER_STATUS_CURRENT_TIME);
    struct ua_republish_request republish = { .subscription_id = none, .retransmit_sequence_number = 1 };
    struct ua_transfer_subscriptions_request transfer = { .subscription_ids = &none, .subscription_ids_count = 1 };
    struct ua_set_publishing_mode_request mode = { .publishing_enabled = true, .subscription_ids = &none, .subscription_ids_count = 1 };
    struct ua_register_nodes_request reg = { .nodes_to_register = &clock, .nodes_to_register_count = 1 };
    struct ua_relative_path_element step = { .reference_type_id = UA_NS0(UA_ID_HIERARCHICAL_REFERENCES), .include_subtypes = true,
                                             .target_name = { 0, BYTES_LIT("Server") } };
    struct ua_browse_path path = { .starting_node = UA_NS0(UA_ID_OBJECTS_FOLDER), .relative_path = { .elements = &step, .elements_count = 1 } };
    struct ua_translate_request translate = { .browse_paths = &path, .browse_paths_count = 1 };
    struct ua_read_raw_modified_details details = { .num_values_per_node = 1, .start_time = 1, .end_time = 2 };
    struct ua_history_read_value_id old = { .node_id = clock };
    struct ua_history_read_request history = { .nodes_to_read = &old, .nodes_to_read_count = 1 };
    struct ua_call_method_request method = { .object_id = UA_NS0(UA_ID_SERVER), .method_id = UA_NS0(UA_ID_SERVER) };
    struct ua_call_request call = { .methods_to_call = &method, .methods_to_call_count = 1 };
    heading(f, "Services");
    probe(f, "TranslateBrowsePaths", &ua_translate_request_type, &translate, &ua_translate_response_type, &said, "paths are browsed");
    probe(f, "RegisterNodes", &ua_register_nodes_request_type, &reg, &ua_register_nodes_response_type, &said, "not needed");
    probe(f, "Call", &ua_call_request_type, &call, &ua_call_response_type, &said, "the action opcua-call cannot be used");
    probe(f, "SetPublishingMode", &ua_set_publishing_mode_request_type, &mode, &ua_set_publishing_mode_response_type, &said,
          "subscriptions are made publishing");
    probe(f, "Republish", &ua_republish_request_type, &republish, &ua_republish_response_type, &said, ua_lack_texts[UA_LACK_REPUBLISH].instead);
    probe(f, "TransferSubscriptions", &ua_transfer_subscriptions_request_type, &transfer, &ua_transfer_subscriptions_response_type, &said,
          ua_lack_texts[UA_LACK_TRANSFER].instead);
    if (ua_object_of(&f->s->arena, &ua_read_raw_modified_details_type, &details, &history.history_read_details)) {
        memset(&said, 0, sizeof said);
        ua_status status = opcua_ask(f->s, &ua_history_read_request_type, &history, &ua_history_read_response_type, &said);
        bool there = !unsupported(status);
        if (there && said.history.results_count == 1)
            there = said.history.results[0].status_code != UA_BAD_SERVICE_UNSUPPORTED;
        say(f, there ? MARK_OK : MARK_NOT_TRIED, "HistoryRead", there ? "" : ua_lack_texts[UA_LACK_HISTORY].instead);
    }
}

/* ---- values that flow ---- */

struct flow {
    struct findings *f;
    unsigned values;
    bool     enough;
    double   sampling_ms;
    uint32_t queue;
    ua_status status;
};

static void on_changes(void *ctx, struct ua_subscription *sub, const struct ua_changes *changes)
{
    struct flow *flow = ctx;
    (void)sub;
    flow->values += (unsigned)changes->count;
    if (flow->values >= 2 && !flow->enough) {
        flow->enough = true;
        loop_stop(flow->f->s->loop);
    }
}

static void on_item(void *ctx, struct ua_subscription *sub, uint32_t handle, ua_status status, double sampling_ms, uint32_t queue)
{
    struct flow *flow = ctx;
    (void)sub;
    (void)handle;
    flow->status = status;
    flow->sampling_ms = sampling_ms;
    flow->queue = queue;
}

static void test_flow(struct findings *f)
{
    static const struct ua_subscription_events events = { .on_changes = on_changes, .on_item = on_item };
    struct flow flow = { .f = f };
    struct ua_subscription *sub;
    struct ua_subscription_options options = { .publishing_ms = 100 };
    struct ua_watch item = { .node = { .id = UA_NS0(UA_ID_SERVER_SERVER_STATUS_CURRENT_TIME) }, .sampling_ms = 100,
                             .mode = UA_MONITOR_REPORTING };
    struct fault why;
    char more[160], scratch[16];
    heading(f, "Subscription to its clock, asked for each 100 ms");
    if (ua_subscription_open(&sub, f->s->client, &options, &events, &flow, &why) != CODE_OK) {
        say(f, MARK_BAD, why.text, "");
        return;
    }
    if (ua_subscription_add(sub, &item, 1, NULL, &why) == CODE_OK)
        (void)opcua_wait(f->s, &flow.enough, FLOW_MS);
    struct ua_subscription_look look;
    ua_subscription_look(sub, &look);
    (void)snprintf(more, sizeof more, "publishing %.0f ms, sampling %.0f ms, queue %" PRIu32, look.publishing_ms, flow.sampling_ms,
                   flow.queue);
    if (flow.enough)
        say(f, MARK_OK, "values come", more);
    else if (ua_is_bad(flow.status))
        say(f, MARK_BAD, "its clock cannot be watched", ua_status_text(flow.status, scratch));
    else
        say(f, flow.values ? MARK_WARN : MARK_BAD, flow.values ? "one value came, and no second one in 5 s" : "no value came in 5 s", more);
    ua_subscription_close(sub);
}

/* ---- the whole ---- */

static void show_session(struct findings *f)
{
    struct ua_client_look look;
    char text[160];
    ua_client_look(f->s->client, &look);
    heading(f, "Session");
    (void)snprintf(text, sizeof text, "signed in over %s, %s", look.policy ? look.policy : "None",
                   look.mode == UA_MODE_NONE ? "nothing signed or encrypted" : look.mode == UA_MODE_SIGN ? "signed" : "signed and encrypted");
    say(f, look.mode == UA_MODE_NONE ? MARK_WARN : MARK_OK, text, "");
    if (look.unsafe)
        say(f, MARK_WARN, "its certificate is not trusted", "--accept-any; trust it: fieldgate opcua trust");
    if (look.product[0])
        say(f, MARK_OK, look.product, look.server_uri ? look.server_uri : "");
    if (look.clock_us != INT64_MAX) {
        double ms = (double)look.clock_us / 1000;
        (void)snprintf(text, sizeof text, "its clock is %.0f ms %s ours", fabs(ms), ms < 0 ? "behind" : "ahead of");
        say(f, fabs(ms) > 5000 ? MARK_WARN : MARK_OK, text, fabs(ms) > 5000 ? "times of values will differ from those of other machines" : "");
    }
    (void)snprintf(text, sizeof text, "%u namespaces", look.namespaces);
    say(f, MARK_OK, text, "");
    (void)snprintf(text, sizeof text, "read %" PRIu32 ", write %" PRIu32 ", browse %" PRIu32 ", monitored items %" PRIu32 " at once",
                   look.limits.read, look.limits.write, look.limits.browse, look.limits.monitored);
    if (look.limits.read || look.limits.write || look.limits.browse || look.limits.monitored)
        say(f, MARK_OK, text, look.limits.read && look.limits.write && look.limits.browse && look.limits.monitored ? "" : "0: it says none");
}

static void show_lacks(struct findings *f)
{
    struct ua_client_look look;
    ua_client_look(f->s->client, &look);
    if (!look.lacks)
        return;
    heading(f, "What it lacks, and what is done instead");
    for (unsigned i = 0; i < UA_LACK_COUNT; i++)
        if (look.lacks >> i & 1)
            say(f, MARK_WARN, ua_lack_texts[i].what, ua_lack_texts[i].instead);
}

static int run(struct verb_call *call)
{
    const struct given *g = call->values;
    struct opcua_session s;
    struct findings f = { .s = &s };
    int status = opcua_begin(&s, call, &g->target, call->options->args.at[0]);
    if (status != STATUS_DONE)
        return status;
    show_endpoints(&f);
    show_session(&f);
    probe_services(&f);
    test_flow(&f);
    show_lacks(&f);
    if (s.ended) {
        status = opcua_failed(&s, "test", UA_BAD_CONNECTION_CLOSED);
    } else {
        (void)fprintf(call->out, "%u ok, %u warning%s, %u error%s\n", f.good, f.warnings, f.warnings == 1 ? "" : "s", f.errors,
                      f.errors == 1 ? "" : "s");
        status = f.errors ? STATUS_FAILED : f.warnings ? STATUS_WARNINGS : STATUS_DONE;
    }
    opcua_end(&s);
    return status;
}

static const struct flag flags[] = {
    OPCUA_TARGET_FLAGS(struct given, target),
    FLAGS_END,
};

const struct verb opcua_test = {
    .name = "test",
    .group = "field",
    .summary = "what a server offers, what it lacks, and what is done instead",
    .detail = "Exit status: 0 all is well, 4 with warnings, 1 something that is needed does not work.",
    .examples = { "fieldgate opcua test opc.tcp://10.0.4.20:4840", "fieldgate opcua test opc.tcp://10.0.4.20:4840 --security None",
                  "fieldgate opcua test opc.tcp://10.0.4.20:4840 -u operator -P @password" },
    .args = "URL",
    .args_min = 1,
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct given),
    .run = run,
};
