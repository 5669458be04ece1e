#include "cli/opcua_session.h"

#include "cli/api_client.h"
#include "cli/interrupt.h"
#include "cli/secret.h"
#include "opcua/ids.h"
#include "opcua/json.h"
#include "opcua/text.h"
#include "uaclient/thing_json.h"

#include <inttypes.h>
#include <stdio.h>

enum { ARENA_MAX = 256 << 20, WATCH_MS = 50, LEAVE_MS = 3000 };

/* ---- waiting ---- */

static void on_watch(struct timer *t)
{
    struct opcua_session *s = (struct opcua_session *)(void *)((char *)t - offsetof(struct opcua_session, watch));
    if (interrupts || loop_now_us(s->loop) >= s->until_us)
        loop_stop(s->loop);
    else
        timer_start(s->loop, &s->watch, WATCH_MS, on_watch);
}

bool opcua_wait(struct opcua_session *s, const bool *flag, int64_t timeout_ms)
{
    if (timeout_ms == 0)
        timeout_ms = (int64_t)(s->target->timeout_us / 1000);
    s->until_us = timeout_ms < 0 ? INT64_MAX : loop_now_us(s->loop) + timeout_ms * 1000;
    while (!*flag && !s->ended && !interrupts && loop_now_us(s->loop) < s->until_us) {
        timer_start(s->loop, &s->watch, WATCH_MS, on_watch);
        loop_run(s->loop);
        timer_stop(s->loop, &s->watch);
    }
    return *flag;
}

static void wake(struct opcua_session *s, bool *flag)
{
    *flag = true;
    loop_stop(s->loop); /* whoever waits for something else goes on waiting */
}

/* ---- connecting ---- */

static void on_up(void *ctx, struct ua_client *c, bool same)
{
    struct opcua_session *s = ctx;
    (void)c;
    if (s->lost)
        verb_warn(s->call, "connected again%s", same ? "" : ", with a new session");
    s->lost = 0;
    wake(s, &s->up);
}

static void on_down(void *ctx, struct ua_client *c, const struct fault *why, int64_t retry_ms)
{
    struct opcua_session *s = ctx;
    (void)c;
    if (why)
        s->why = *why;
    if (retry_ms >= 0 && s->up) {
        if (s->lost++ == 0 && why)
            verb_warn(s->call, "%s; it is tried again", why->text);
        return;
    }
    wake(s, &s->ended);
}

static void on_notice(void *ctx, struct ua_client *c, const struct fault *what)
{
    struct opcua_session *s = ctx;
    (void)c;
    verb_warn(s->call, "%s", what->text);
}

static const struct ua_client_events events = { on_up, on_down, on_notice };

static enum code load_person(struct opcua_session *s, struct ua_client_user *user, struct fault *why)
{
    const struct opcua_target *t = s->target;
    enum code c = ua_application_load(&s->person, s->call->io, t->user_cert, t->user_key, why);
    user->kind = UA_USER_CERTIFICATE;
    user->certificate = s->person;
    return c;
}

static enum code who_speaks(struct opcua_session *s, struct ua_client_user *user, struct fault *why)
{
    const struct opcua_target *t = s->target;
    if (t->user && t->user_cert)
        return FAIL(why, CODE_USAGE, 0, "sign in with --user or with --user-cert, not with both");
    if (!t->user_cert != !t->user_key)
        return FAIL(why, CODE_USAGE, 0, "--user-cert and --user-key belong together");
    if (t->user_cert)
        return load_person(s, user, why);
    if (!t->user)
        return CODE_OK;
    enum code c = secret_read(s->call, t->password, t->user, &s->password, why);
    user->kind = UA_USER_NAME;
    user->name = bytes_str(t->user);
    user->password = s->password;
    return c;
}

/* That of the node whose data directory this is: the same certificate, the same trust. */
static enum code open_pki(struct opcua_session *s, struct fault *why)
{
    struct api_client place;
    if (api_client_find(s->call, &s->target->config, &place) != STATUS_DONE)
        return FAIL(why, CODE_USAGE, 0, "no data directory");
    return ua_pki_open(&s->pki, s->call->io, place.data_dir, NULL, why);
}

static enum code open_client(struct opcua_session *s, const char *url, bool channel_only, struct fault *why)
{
    const struct opcua_target *t = s->target;
    struct ua_client_options o = {
        .url = url,
        .policy = t->policy != OPCUA_BEST ? settings_opcua_policies[t->policy] : NULL,
        .mode = (enum ua_message_security_mode)t->mode,
        .accept_any = t->accept_any,
        .any_host = t->any_host,
        .plain_password = t->plain_password,
        .channel_only = channel_only,
        .reconnect = t->reconnect,
        .connect_ms = (int64_t)(t->timeout_us / 1000),
        .request_ms = (int64_t)(t->timeout_us / 1000),
        .name = "fieldgate opcua",
        .io = s->call->io,
    };
    enum code c = who_speaks(s, &o.user, why);
    bool none = t->policy == OPCUA_NONE || t->mode == UA_MODE_NONE || channel_only;
    if (c == CODE_OK && !(none && o.user.kind == UA_USER_ANONYMOUS))
        c = open_pki(s, why);
    if (c == CODE_OK && s->pki) {
        o.own = ua_pki_own(s->pki);
        o.trust = ua_pki_trust(s->pki);
    }
    return c == CODE_OK ? ua_client_open(&s->client, s->loop, &o, &events, s, why) : c;
}

static void clear(struct opcua_session *s)
{
    ua_shapes_close(s->shapes);
    if (s->client)
        ua_client_close(s->client);
    timer_stop(s->loop, &s->watch);
    loop_close(s->loop);
    ua_application_drop(s->person);
    ua_pki_close(s->pki);
    secret_free(s->password);
    arena_clear(&s->arena);
}

static int begin(struct opcua_session *s, struct verb_call *call, const struct opcua_target *target, const char *url,
                 bool channel_only)
{
    struct fault why;
    *s = (struct opcua_session){ .call = call, .target = target };
    arena_init(&s->arena, NULL, 0, ARENA_MAX);
    if (loop_open_uv(&s->loop, &why) != CODE_OK)
        return verb_fail(call, &why);
    interrupt_watch();
    enum code c = open_client(s, url, channel_only, &why);
    if (c == CODE_OK && !opcua_wait(s, &s->up, (int64_t)(target->timeout_us / 1000) + 1000)) {
        why = s->why;
        c = s->ended ? why.code : FAIL(&why, CODE_CLOSED, 0, interrupts ? "interrupted" : "%s did not answer in time", url);
    }
    if (c == CODE_OK)
        return STATUS_DONE;
    int status = verb_fail(call, &why);
    clear(s);
    return status == STATUS_NOT_RUNNING ? STATUS_FAILED : status;
}

int opcua_begin(struct opcua_session *s, struct verb_call *call, const struct opcua_target *target, const char *url)
{
    return begin(s, call, target, url, false);
}

int opcua_begin_channel(struct opcua_session *s, struct verb_call *call, const struct opcua_target *target, const char *url)
{
    return begin(s, call, target, url, true);
}

void opcua_end(struct opcua_session *s)
{
    bool never = false;
    if (!s->ended) {
        ua_client_leave(s->client);
        (void)opcua_wait(s, &never, LEAVE_MS);
    }
    clear(s);
}

int opcua_failed(struct opcua_session *s, const char *what, ua_status status)
{
    struct fault why;
    char scratch[16];
    if (s->ended && s->why.text[0])
        return verb_fail(s->call, &s->why);
    if (interrupts)
        (void)FAIL(&why, CODE_REFUSED, 0, "%s: interrupted", what);
    else
        (void)FAIL(&why, CODE_REFUSED, 0, "%s: the server says %s", what, ua_status_text(status, scratch));
    return verb_fail(s->call, &why);
}

/* ---- asking ---- */

struct asked {
    struct opcua_session *s;
    const struct ua_struct *type;
    void *out;
    bool done;
    ua_status status;
};

/* A copy that lives as long as the session. */
static ua_status keep_struct(struct opcua_session *s, const struct ua_struct *type, const void *in, void *out)
{
    static const struct ua_limits none = { UINT32_MAX, INT32_MAX, UINT16_MAX };
    struct buf b = { 0 };
    ua_write_struct(&b, type, in);
    uint8_t *copy = b.bad ? NULL : arena_take(&s->arena, buf_size(&b) + 1);
    if (copy) {
        memcpy(copy, buf_bytes(&b).at, buf_size(&b));
        struct ua_reader r = ua_reader_of(bytes_of(copy, buf_size(&b)), &s->arena, &none);
        ua_read_struct(&r, type, out);
        if (!ua_read_good(&r))
            copy = NULL;
    }
    buf_clear(&b);
    return copy ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

static void on_answer(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct asked *a = ctx;
    (void)arena;
    a->status = response ? keep_struct(a->s, a->type, response, a->out) : status;
    wake(a->s, &a->done);
}

static ua_status outcome(struct opcua_session *s, bool done, ua_status status)
{
    return done ? status : s->ended ? UA_BAD_CONNECTION_CLOSED : UA_BAD_TIMEOUT;
}

ua_status opcua_ask(struct opcua_session *s, const struct ua_struct *request_type, void *request,
                    const struct ua_struct *response_type, void *response)
{
    struct asked a = { .s = s, .type = response_type, .out = response };
    struct fault why;
    if (ua_client_ask(s->client, request_type, request, response_type, 0, on_answer, &a, &why) != CODE_OK)
        return why.code == CODE_LIMIT ? UA_BAD_REQUEST_TOO_LARGE : UA_BAD_CONNECTION_CLOSED;
    /* The client answers by itself when the time is over; a little later than --timeout, so that `a` outlives it. */
    bool done = opcua_wait(s, &a.done, (int64_t)(s->target->timeout_us / 1000) + 2000);
    return outcome(s, done, a.status);
}

struct reading {
    struct opcua_session *s;
    struct ua_data_value *out;
    bool done;
    ua_status status;
};

static void on_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct reading *r = ctx;
    const struct ua_data_value *values = results;
    for (size_t i = 0; i < count; i++) {
        struct ua_data_value *v = &r->out[first + i];
        if (!values) {
            *v = (struct ua_data_value){ .has = UA_HAS_STATUS, .status = status };
            continue;
        }
        *v = values[i];
        if (!ua_variant_copy(&r->s->arena, &values[i].value, &v->value))
            *v = (struct ua_data_value){ .has = UA_HAS_STATUS, .status = UA_BAD_OUT_OF_MEMORY };
    }
}

static void on_done(void *ctx, ua_status status)
{
    struct reading *r = ctx;
    r->status = status;
    wake(r->s, &r->done);
}

ua_status opcua_read(struct opcua_session *s, const struct ua_read_value_id *nodes, size_t count, struct ua_data_value *out)
{
    struct reading r = { .s = s, .out = out };
    struct ua_read_request ask = { .timestamps_to_return = UA_TIMES_BOTH, .nodes_to_read = nodes, .nodes_to_read_count = (uint32_t)count };
    struct fault why;
    if (count == 0)
        return UA_GOOD;
    if (ua_ask_list(s->client, UA_LIST_READ, &ask, on_part, on_done, &r, &why) != CODE_OK)
        return UA_BAD_CONNECTION_CLOSED;
    bool done = opcua_wait(s, &r.done, -1);
    return outcome(s, done, r.status);
}

ua_status opcua_attribute(struct opcua_session *s, const struct ua_node_id *node, uint32_t attribute, struct ua_data_value *out)
{
    struct ua_read_value_id one = { .node_id = *node, .attribute_id = attribute };
    ua_status status = opcua_read(s, &one, 1, out);
    return ua_is_bad(status) ? status : out->status;
}

/* ---- nodes ---- */

enum { PATH_MAX_NAMES = 32 };

/* One step: "2:Temperature", or "Temperature" in any namespace, which takes a look at all there are. */
static bool step_down(struct opcua_session *s, const struct ua_node_id *from, struct bytes name, struct ua_node_id *out)
{
    struct ua_browse_description d = { .node_id = *from, .reference_type_id = UA_NS0(UA_ID_HIERARCHICAL_REFERENCES),
                                       .include_subtypes = true, .result_mask = UA_BROWSE_BROWSE_NAME };
    struct ua_browse_request ask = { .nodes_to_browse = &d, .nodes_to_browse_count = 1 };
    struct ua_browse_response said;
    struct bytes plain = name;
    uint32_t ns = UINT32_MAX;
    size_t digits = 0;
    while (digits < name.len && digits < 5 && name.at[digits] >= '0' && name.at[digits] <= '9')
        digits++;
    if (digits && digits < name.len && name.at[digits] == ':') {
        ns = 0;
        for (size_t i = 0; i < digits; i++)
            ns = ns * 10 + (uint32_t)(name.at[i] - '0');
        plain = bytes_from(name, digits + 1);
    }
    if (opcua_ask(s, &ua_browse_request_type, &ask, &ua_browse_response_type, &said) != UA_GOOD || said.results_count != 1)
        return false;
    for (uint32_t i = 0; i < said.results[0].references_count; i++) {
        const struct ua_reference_description *r = &said.results[0].references[i];
        if ((ns == UINT32_MAX || r->browse_name.ns == ns) && bytes_equal(r->browse_name.name, plain) && !r->node_id.server)
            return ua_client_resolve(s->client, &r->node_id, out);
    }
    return false;
}

static bool by_path(struct opcua_session *s, const char *text, struct ua_node_id *out)
{
    *out = UA_NS0(UA_ID_OBJECTS_FOLDER);
    if (!strncmp(text, "Objects/", 8) || !strcmp(text, "Objects"))
        text += text[7] ? 8 : 7;
    else if (*text == '/')
        text++;
    for (unsigned i = 0; *text && i < PATH_MAX_NAMES; i++) {
        size_t n = strcspn(text, "/");
        if (!step_down(s, out, bytes_of(text, n), out))
            return false;
        text += n + (text[n] == '/');
    }
    return !*text;
}

bool opcua_node(struct opcua_session *s, const char *text, struct ua_node_id *out)
{
    struct ua_expanded_node_id id;
    struct fault why;
    char said[128];
    if (ua_expanded_parse(&id, bytes_str(text), &s->arena, &why) == CODE_OK) {
        if (ua_client_resolve(s->client, &id, out))
            return true;
        (void)verb_usage(s->call, "the server has no namespace %s", bytes_escape(id.uri, said, sizeof said));
        return false;
    }
    if (by_path(s, text, out))
        return true;
    (void)verb_usage(s->call, "there is no node '%s': write ns=2;s=Temp, or a path below Objects as `fieldgate opcua browse` shows it",
                     bytes_escape(bytes_str(text), said, sizeof said));
    return false;
}

/* ---- printing ---- */

static bool print_object(void *ctx, const struct ua_json *j, const struct ua_extension_object *o)
{
    struct opcua_session *s = ctx;
    struct ua_thing thing;
    if (!s->shapes || ua_shapes_read(s->shapes, o, &s->arena, &thing, NULL) != CODE_OK)
        return false;
    thing_json(j, &thing);
    return true;
}

static void on_shape(void *ctx, ua_status status)
{
    struct reading *r = ctx;
    on_done(r, status);
}

/* Asks for what is needed to print the structures in it. */
static void learn(struct opcua_session *s, const struct ua_variant *v, unsigned depth)
{
    uint32_t n = v->array ? v->count : v->type != UA_NULL;
    if ((v->type != UA_EXTENSION_OBJECT && v->type != UA_VARIANT) || depth > 8)
        return;
    if (!s->shapes && ua_shapes_open(&s->shapes, s->client, NULL) != CODE_OK)
        return;
    for (uint32_t i = 0; i < n; i++) {
        struct reading r = { .s = s };
        const struct ua_extension_object *o = ua_item(v, i);
        if (v->type == UA_VARIANT)
            learn(s, ua_item(v, i), depth + 1);
        else if (o->kind == UA_BODY_BINARY && !ua_shapes_know(s->shapes, &o->type) &&
                 ua_shapes_ask(s->shapes, &o->type, on_shape, &r, NULL) == CODE_OK)
            (void)opcua_wait(s, &r.done, -1);
    }
}

void opcua_print_value(struct opcua_session *s, const struct ua_variant *v, bool json, struct buf *out)
{
    struct ua_json j = { .out = out, .plain = true, .object = print_object, .ctx = s };
    learn(s, v, 0);
    bool text = !v->array && (v->type == UA_STRING || v->type == UA_LOCALIZED_TEXT);
    if (!json && text) {
        const struct ua_localized_text *l = v->at;
        output_escape(out, v->type == UA_STRING ? v->text : l->text);
        return;
    }
    size_t from = buf_size(out);
    ua_json_variant(&j, v);
    /* People read 2026-11-22T06:00:04Z and ns=2;s=Temp without quotes. */
    if (!json && !v->array && !out->bad && buf_size(out) - from > 1 && out->at[out->from + from] == '"') {
        memmove(out->at + out->from + from, out->at + out->from + from + 1, buf_size(out) - from - 2);
        out->len -= 2;
    }
}

void opcua_print_type(const struct ua_variant *v, struct buf *out)
{
    const char *name = ua_builtin_name(v->type);
    buf_printf(out, "%s", name ? name : "-");
    if (!v->array)
        return;
    buf_u8(out, '[');
    for (unsigned i = 0; i < v->dims_count; i++)
        buf_printf(out, "%s%" PRIu32, i ? "," : "", v->dims[i]);
    if (!v->dims_count)
        buf_printf(out, "%" PRIu32, v->count);
    buf_u8(out, ']');
}
