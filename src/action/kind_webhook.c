/* kind_webhook.c - a POST to a web address. */
#include "action/action_private.h"
#include "action/fill.h"

#include "message/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ANSWER_BYTES_MAX = 64 * 1024 };

/* ---- the address: "https://host:port/path?query" ---- */

struct url {
    bool tls;
    struct bytes host;
    uint16_t port;
    const char *path;
};

static bool host_ok(struct bytes host, bool bracketed)
{
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.at[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool letter = hex || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '-' || c == '_' || c == '.';
        if (bracketed ? !hex && c != ':' && c != '.' : !letter)
            return false;
    }
    return host.len > 0 && host.len <= 253;
}

static bool path_ok(const char *path)
{
    for (; *path; path++)
        if ((unsigned char)*path <= ' ' || *path == '#' || *path == 127)
            return false;
    return true;
}

/* NULL, or what is wrong with it. It may hold secrets: nothing of it is repeated. */
static const char *split_url(const char *url, struct url *out)
{
    out->tls = strncmp(url, "https://", 8) == 0;
    if (!out->tls && strncmp(url, "http://", 7) != 0)
        return "must begin with http:// or https://";
    const char *host = url + (out->tls ? 8 : 7), *end = host + strcspn(host, "/?#");
    bool bracketed = *host == '[';
    if (memchr(host, '@', (size_t)(end - host)))
        return "must not hold a user and password: a header is the place for them (do.webhook.headers)";
    const char *stop = memchr(host, bracketed ? ']' : ':', (size_t)(end - host));
    if (bracketed && !stop)
        return "has no host: behind [ there is no ]";
    const char *colon = bracketed ? stop + 1 : stop ? stop : end;
    out->host = bracketed ? bytes_of(host + 1, (size_t)(stop - host) - 1) : bytes_of(host, (size_t)(colon - host));
    out->path = end;
    unsigned long port = out->tls ? 443 : 80;
    char *over = (char *)(uintptr_t)end;
    if (colon < end && *colon == ':' && colon[1] >= '0' && colon[1] <= '9')
        port = strtoul(colon + 1, &over, 10);
    else if (colon < end)
        return "has something behind its host that is not a port";
    if (over != end || port < 1 || port > 65535)
        return "has a port that is none (1 to 65535)";
    if (!host_ok(out->host, bracketed))
        return "has no host, or one that is not a name or an address (fields of the event cannot be the host)";
    out->port = (uint16_t)port;
    return path_ok(end) ? NULL : "has a blank or a #, which must be written as %20 or %23";
}

static enum code keep_url(struct action_plan *p, const struct url *u, struct fault *why)
{
    char *target = arena_take(&p->arena, strlen(u->path) + 2);
    p->webhook.host = arena_text(&p->arena, u->host);
    p->webhook.port = u->port;
    if (!target || !p->webhook.host)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    (void)snprintf(target, strlen(u->path) + 2, "%s%s", *u->path == '/' ? "" : "/", u->path);
    return plan_template(p, "do.webhook.url", target, &p->webhook.target, why);
}

/* ---- headers ---- */

/* A token (RFC 9110 5.6.2). */
static bool name_ok(const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at >= 127 || strchr("\"(),/:;<=>?@[\\]{}", *at))
            return false;
    return *text;
}

static bool value_ok(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 127)
            return false;
    return true;
}

static bool ours(const char *name)
{
    static const char *const names[] = {"host",    "connection", "content-length", "transfer-encoding", "te", "trailer",
                                        "upgrade", "expect",     "idempotency-key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static enum code keep_headers(struct action_plan *p, const struct settings_pairs *headers, struct fault *why)
{
    struct buf lines = {.max = FILL_BYTES_MAX};
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < headers->count; i++) {
        const char *name = headers->at[i].name;
        if (!name_ok(name) || !value_ok(headers->at[i].to))
            c = FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook.headers: '%.60s' is not a header",
                        p->name, name);
        else if (ours(name))
            c = FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook.headers: '%.60s' is set by the node itself",
                        p->name, name);
        buf_printf(&lines, "%s: %s\r\n", name, headers->at[i].to);
    }
    if (c == CODE_OK) {
        p->webhook.headers = lines.bad ? NULL : arena_text(&p->arena, buf_bytes(&lines));
        c = p->webhook.headers ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    }
    buf_clear(&lines);
    return c;
}

/* ---- */

static enum code load_tls(struct action_plan *p, const struct settings_action *s, bool tls, const struct io *io,
                          struct fault *why)
{
    struct fault inner;
    const char *ca = s->webhook.ca;
    if (!tls)
        return ca[0] ? FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook.ca is for https:// only", p->name)
                     : CODE_OK;
    enum code c = tls_client_load(&p->webhook.tls, io, &(struct tls_client_options){.ca_file = ca[0] ? ca : NULL},
                                  &inner);
    return c == CODE_OK ? c : FAIL_FG(why, c, 6301, "action %s: do.webhook: %.180s", p->name, inner.text);
}

static enum code webhook_plan(struct action_plan *p, const struct settings_action *s, const struct io *io,
                              struct fault *why)
{
    struct url u;
    if (!s->webhook.url[0])
        return s->webhook.body[0] || s->webhook.ca[0] || s->webhook.headers.count
                   ? FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook has no url", p->name)
                   : CODE_NOTFOUND;
    const char *wrong = split_url(s->webhook.url, &u);
    if (wrong)
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook.url %s", p->name, wrong);
    enum code c = keep_url(p, &u, why);
    if (c == CODE_OK)
        c = plan_body(p, "do.webhook.body", s->webhook.body, &p->webhook.body, why);
    if (c == CODE_OK)
        c = keep_headers(p, &s->webhook.headers, why);
    return c == CODE_OK ? load_tls(p, s, u.tls, io, why) : c;
}

/* Without the path: with many services that is the secret. */
static void webhook_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    (void)a;
    buf_printf(out, strchr(p->webhook.host, ':') ? "POST %s://[%s]:%u" : "POST %s://%s:%u",
               p->webhook.tls ? "https" : "http", p->webhook.host, p->webhook.port);
}

/* ---- a call ---- */

/* What the status means (RFC 9110 15). 408, 425 and 429 ask for another try; another 4xx will not be answered differently the next
 * time, and where a 3xx leads is not followed. */
static enum action_result judge(unsigned status)
{
    if (status >= 200 && status < 300)
        return ACTION_GOOD;
    bool again = status >= 500 || status == 408 || status == 425 || status == 429;
    return again ? ACTION_FAILED : ACTION_HOPELESS;
}

static void on_head(void *ctx, unsigned status)
{
    ((struct action *)ctx)->status = status;
}

static void answered(struct action *a)
{
    char said[SAID_MAX];
    bool moved = a->status >= 300 && a->status < 400;
    (void)snprintf(said, sizeof said, "status %u%s", a->status, moved ? " (redirects are not followed)" : "");
    a->call = NULL;
    timer_stop(a->all->loop, &a->timer);
    action_tried(a, judge(a->status), said);
}

/* The status is all we want to know. */
static void on_body(void *ctx, struct bytes part)
{
    struct action *a = ctx;
    a->answered += part.len;
    if (a->answered <= ANSWER_BYTES_MAX)
        return;
    http_call_cancel(a->call);
    answered(a);
}

static void on_done(void *ctx, const struct fault *why)
{
    struct action *a = ctx;
    if (!why) {
        answered(a);
        return;
    }
    char said[SAID_MAX + 48], number[8] = "";
    a->call = NULL;
    timer_stop(a->all->loop, &a->timer);
    if (why->number)
        (void)snprintf(number, sizeof number, "FG%04d ", why->number);
    (void)snprintf(said, sizeof said, "%s%s", number, why->text);
    action_tried(a, ACTION_FAILED, said);
}

static void on_late(struct timer *t)
{
    struct action *a = (struct action *)(void *)((char *)t - offsetof(struct action, timer));
    http_call_cancel(a->call);
    a->call = NULL;
    action_tried(a, ACTION_FAILED, "no answer in time");
}

static enum code call(struct action *a, struct bytes body, const char *target, const char *headers, struct fault *why)
{
    static const struct http_call_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_done};
    const struct action_plan *p = a->plan;
    struct http_call_options o = {.host = p->webhook.host,
                                  .port = p->webhook.port,
                                  .method = "POST",
                                  .body = body,
                                  .target = target,
                                  .headers = headers,
                                  .tls = p->webhook.tls};
    a->status = 0;
    a->answered = 0;
    enum code c = http_call_start(&a->call, a->all->loop, &o, &events, a, why);
    if (c == CODE_OK)
        timer_start(a->all->loop, &a->timer, p->timeout_ms, on_late);
    return c;
}

static void webhook_begin(struct action *a)
{
    const struct action_plan *p = a->plan;
    struct buf body = {.max = FILL_BYTES_MAX}, headers = {0}, target = {.max = 64 * 1024};
    struct fault why;
    body_fill(&body, &p->webhook.body, &a->now);
    fill_url(&target, p->webhook.target, a->now.event);
    buf_u8(&target, 0);
    buf_printf(&headers, "%sIdempotency-Key: %s\r\n", p->webhook.headers, a->now.id);
    buf_u8(&headers, 0);
    bool bad = body.bad || headers.bad || target.bad;
    enum code c = bad ? CODE_OK
                      : call(a, buf_bytes(&body), (const char *)target.at, (const char *)headers.at, &why);
    buf_clear(&body);
    buf_clear(&headers);
    buf_clear(&target);
    if (bad)
        action_tried(a, ACTION_HOPELESS, "address and body are too long, or there is no memory for them");
    else if (c != CODE_OK)
        action_tried(a, ACTION_FAILED, why.text);
}

static void webhook_cancel(struct action *a)
{
    timer_stop(a->all->loop, &a->timer);
    http_call_cancel(a->call);
    a->call = NULL;
}

const struct action_kind action_webhook = {"webhook", webhook_plan, webhook_describe, webhook_begin,
                                           webhook_cancel, NULL, NULL};
