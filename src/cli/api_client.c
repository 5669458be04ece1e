#include "cli/api_client.h"

#include "net/http.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

enum { GET_SECONDS = 10, POST_SECONDS = 60 };

enum code api_client_at(const char *data, struct api_client *out, struct fault *why)
{
    char path[NODE_SOCKET_MAX];
    enum code code = node_socket(data, path, why);
    if (code != CODE_OK)
        return code;
    *out = (struct api_client){ 0 };
    (void)snprintf(out->host, sizeof out->host, "unix:%s", path);
    (void)snprintf(out->data_dir, sizeof out->data_dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    return CODE_OK;
}

int api_client_find(const struct verb_call *call, const struct config_flags *given, struct api_client *out)
{
    const struct settings *settings = NULL;
    struct fault why;
    /* With --data the settings do not matter: they may be wrong, or another user's. */
    if (!given->data) {
        int status = config_load(call, given, &settings);
        if (status != STATUS_DONE)
            return status;
    }
    enum code code = api_client_at(given->data ? given->data : settings->data, out, &why);
    settings_free(settings);
    if (code != CODE_OK)
        return verb_fail(call, &why);
    out->given = given;
    out->by_default = !given->data && !given->file && !given->set.count && !settings_variable(call->environment, "FIELDGATE_DATA") &&
                      !settings_variable(call->environment, "FIELDGATE_CONFIG");
    return STATUS_DONE;
}

/* ---- one call ---- */

struct call {
    const struct api_client *client;
    struct loop             *loop;
    struct http_call        *http;
    struct timer             timer;
    unsigned                 status; /* 0: no answer yet */
    struct buf               held;   /* a refusal's body; of a stream the line that is not whole yet */
    struct buf              *body;   /* of a plain GET */
    const char              *method; /* NULL: GET */
    struct bytes             sent;   /* with a POST */
    const struct api_lines  *lines;  /* of a stream */
    void                    *ctx;
    bool                     over, too_long, timed_out;
    enum code                code;
    struct fault            *why;
};

static void stop(struct call *c, bool cancel)
{
    if (c->over)
        return;
    c->over = true;
    if (cancel)
        http_call_cancel(c->http);
    loop_stop(c->loop);
}

static void on_timer(struct timer *t)
{
    struct call *c = (struct call *)(void *)((char *)t - offsetof(struct call, timer));
    c->timed_out = true;
    stop(c, true);
}

static void on_head(void *ctx, unsigned status)
{
    struct call *c = ctx;
    c->status = status;
}

static void take_lines(struct call *c)
{
    bool more = true;
    for (;;) {
        struct bytes rest = buf_bytes(&c->held);
        const uint8_t *end = rest.len ? memchr(rest.at, '\n', rest.len) : NULL;
        if (!end || !more)
            break;
        size_t len = (size_t)(end - rest.at);
        more = c->lines->line(c->ctx, bytes_of(rest.at, len));
        buf_take(&c->held, len + 1);
    }
    if (!c->lines->rest(c->ctx) || !more)
        stop(c, true);
}

static void on_body(void *ctx, struct bytes part)
{
    struct call *c = ctx;
    bool plain = !c->lines && c->status == 200;
    struct buf *to = plain ? c->body : &c->held;
    buf_add_bytes(to, part);
    if (to->bad) {
        c->too_long = true;
        stop(c, true);
    } else if (c->lines && c->status == 200) {
        take_lines(c);
    }
}

static bool is_absent(int err)
{
    return err == ENOENT || err == ECONNREFUSED || err == ENOTDIR;
}

/* DATA/pid goes with an orderly stop only. */
static bool was_cut_off(const struct api_client *client)
{
    char path[NODE_SOCKET_MAX + 8];
    struct io_stat st;
    (void)snprintf(path, sizeof path, "%s/pid", client->data_dir);
    return io_system.stat(io_system.self, path, &st) == 0;
}

/* How to start it: as it was looked for. */
static enum code not_running(const struct api_client *client, struct fault *why)
{
    const struct config_flags *given = client->given;
    const char *file = given && given->file ? given->file : NULL, *data = given && given->data ? client->data_dir : NULL;
    return FAIL(why, CODE_CLOSED, 0, "no node runs in %s%s. Start it: fieldgate run%s%s%s%s%s", client->data_dir,
                was_cut_off(client) ? "; the last one was cut off" : "", file ? " --config " : "", file ? file : "",
                data ? " --data " : "", data ? data : "",
                client->by_default ? ". If it runs with a settings file or a data directory of its own, name that here, too:"
                                     " --config FILE or --data DIR" : "");
}

static void on_done(void *ctx, const struct fault *why)
{
    struct call *c = ctx;
    if (why && c->status == 0 && is_absent(why->sys_errno))
        c->code = not_running(c->client, c->why);
    else if (why && why->sys_errno == EACCES)
        c->code = FAIL_FG(
            c->why, CODE_REFUSED, 8004,
            "%s/api.sock may only be opened by the user that runs the node, and by root. Try it with sudo.",
            c->client->data_dir);
    else if (why && c->status == 0)
        c->code = FAIL(c->why, CODE_IO, 0, "the node in %s did not answer: %s", c->client->data_dir,
                       why->text);
    else if (why)
        c->code = FAIL(c->why, CODE_IO, 0, "the node in %s went away in the middle of its answer",
                       c->client->data_dir);
    stop(c, false);
}

/* {"error":{"code":"FG3101","message":"..."}} */
static enum code refused(struct call *c)
{
    struct bytes body = buf_bytes(&c->held);
    json_t *tree = body.len ? json_loadb((const char *)body.at, body.len, 0, NULL) : NULL;
    const char *number = NULL, *text = NULL;
    unsigned n = 0;
    (void)json_unpack(tree, "{s:{s:s,s:s}}", "error", "code", &number, "message", &text);
    enum code code = c->status == 400 ? CODE_USAGE : c->status == 404 ? CODE_NOTFOUND : CODE_REFUSED;
    if (text && number && sscanf(number, "FG%u", &n) == 1)
        (void)FAIL_FG(c->why, code, (int)n, "%s", text);
    else
        (void)FAIL(c->why, code, 0, "the node answered %u%s%s", c->status, text ? ": " : "",
                   text ? text : "");
    json_decref(tree);
    return code;
}

static enum code outcome(struct call *c, uint64_t wait_us)
{
    if (c->too_long)
        return FAIL(c->why, CODE_LIMIT, 0, "the node's answer is longer than %d bytes", API_BODY_MAX);
    if (c->timed_out)
        return c->lines ? CODE_OK
                        : FAIL(c->why, CODE_IO, 0, "the node in %s did not answer within %u s",
                               c->client->data_dir, (unsigned)(wait_us / 1000000));
    if (c->code == CODE_OK && c->status != 200)
        return refused(c);
    return c->code;
}

static enum code perform(struct call *c, const char *target, uint64_t wait_us)
{
    static const struct http_call_events events = { .on_head = on_head,
                                                    .on_body = on_body,
                                                    .on_done = on_done };
    enum code code = loop_open_uv(&c->loop, c->why);
    if (code != CODE_OK)
        return code;
    c->held.max = c->lines ? 0 : API_BODY_MAX; /* one event may be as large as a message */
    code = http_call_open(&c->http, c->loop, c->client->host, 0, c->method ? c->method : "GET", target, c->sent, &events, c,
                          c->why);
    if (code == CODE_OK) {
        if (wait_us)
            timer_start(c->loop, &c->timer, (int64_t)(wait_us / 1000), on_timer);
        loop_run(c->loop);
        code = outcome(c, wait_us);
    }
    if (c->method && c->status != 200)
        buf_add_bytes(c->body, buf_bytes(&c->held)); /* what is said of a refusal beyond its sentence */
    timer_stop(c->loop, &c->timer);
    c->over = true;
    loop_close(c->loop);
    buf_clear(&c->held);
    return code;
}

enum code api_client_get(const struct api_client *client, const char *target, struct buf *body,
                         struct fault *why)
{
    struct call c = { .client = client, .body = body, .why = why };
    body->max = API_BODY_MAX;
    return perform(&c, target, GET_SECONDS * UINT64_C(1000000));
}

enum code api_client_post(const struct api_client *client, const char *target, struct bytes sent, struct buf *body,
                          struct fault *why)
{
    struct call c = { .client = client, .body = body, .why = why, .method = "POST", .sent = sent };
    body->max = API_BODY_MAX;
    return perform(&c, target, POST_SECONDS * UINT64_C(1000000));
}

enum code api_client_lines(const struct api_client *client, const char *target, uint64_t deadline_us,
                           const struct api_lines *lines, void *ctx, struct fault *why)
{
    struct call c = { .client = client, .lines = lines, .ctx = ctx, .why = why };
    return perform(&c, target, deadline_us);
}
