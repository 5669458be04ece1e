/* kinds.c - the ways of doing something. */
#include "action/action_private.h"
#include "action/fill.h"

#include "base/mem.h"
#include "message/message.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { TOPIC_BYTES = 1024, TOPIC_LEVELS = 32 };

static enum code keep(struct action_plan *p, const char *text, const char **out, struct fault *why)
{
    *out = arena_text(&p->arena, bytes_str(text));
    return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an action");
}

static enum code keep_template(struct action_plan *p, const char *key, const char *text, const char **out,
                               struct fault *why)
{
    size_t at = 0;
    if (!fill_valid(text, &at))
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: %s has `${` at byte %zu without a name and its `}`",
                       p->name, key, at + 1);
    return keep(p, text, out, why);
}

static void put_body(struct buf *out, const char *template, const struct attempt *a)
{
    if (template[0])
        fill(out, template, a->event);
    else
        buf_add_bytes(out, a->message->payload);
}

/* ---- publish ---- */

static enum code publish_plan(struct action_plan *p, const struct settings_action *s, const struct io *io,
                              struct fault *why)
{
    (void)io;
    if (!s->publish.topic[0])
        return s->publish.message[0] ? FAIL_FG(why, CODE_USAGE, 6301,
                                               "action %s: do.publish has a message and no topic", p->name)
                                     : CODE_NOTFOUND;
    enum code c = keep_template(p, "do.publish.topic", s->publish.topic, &p->publish.topic, why);
    if (c == CODE_OK)
        c = keep_template(p, "do.publish.message", s->publish.message, &p->publish.message, why);
    p->publish.qos = (uint8_t)s->publish.qos;
    p->publish.retain = s->publish.retain;
    struct buf topic = {0};
    fill_topic(&topic, s->publish.topic,
               value_null()); /* with nothing filled in it must be one but for empty levels */
    bool reserved = bytes_starts(bytes_str(s->publish.topic), "$");
    if (c == CODE_OK &&
        (reserved || (buf_size(&topic) && !topic_name_valid(buf_bytes(&topic), TOPIC_BYTES, TOPIC_LEVELS))))
        c = FAIL_FG(
            why, CODE_USAGE, 6301,
            "action %s: do.publish.topic '%.100s' is not a topic to publish to: no wildcards, not below $",
            p->name, s->publish.topic);
    buf_clear(&topic);
    return c;
}

static void publish_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    buf_printf(out, "publish ");
    fill_topic(out, p->publish.topic, a->event);
}

static void publish_begin(struct action *a)
{
    const struct action_plan *p = a->plan;
    const struct io *io = a->all->io;
    struct buf topic = {0}, body = {0};
    struct fault why;
    fill_topic(&topic, p->publish.topic, a->now.event);
    put_body(&body, p->publish.message, &a->now);
    if (!topic_name_valid(buf_bytes(&topic), TOPIC_BYTES, TOPIC_LEVELS)) {
        buf_clear(&topic);
        buf_clear(&body);
        action_tried(a, ACTION_HOPELESS, "the event's fields do not make a topic");
        return;
    }
    struct message *m = topic.bad || body.bad
                            ? NULL
                            : message_new(&(struct message_parts){.qos = p->publish.qos,
                                                                  .retain = p->publish.retain,
                                                                  .wall_us = io->wall_us(io->self),
                                                                  .now_us = io->monotonic_us(io->self),
                                                                  .topic = buf_bytes(&topic),
                                                                  .principal = bytes_str("node"),
                                                                  .source = bytes_str(p->name),
                                                                  .payload = buf_bytes(&body)});
    buf_clear(&topic);
    buf_clear(&body);
    struct consumer_word w = {.message = m, .ordinal = a->now.index + 1};
    enum code c = m ? consumer_publish(a->consumer, &w, 1, &why) : FAIL(&why, CODE_NOMEM, 0, "no memory");
    message_drop(m);
    action_tried(a, c == CODE_OK ? ACTION_GOOD : ACTION_FAILED, c == CODE_OK ? "" : why.text);
}

static void publish_cancel(struct action *a)
{
    (void)a; /* it is never under way between two turns */
}

const struct action_kind action_publish = {"publish", publish_plan, publish_describe, publish_begin,
                                           publish_cancel};

/* ---- webhook ---- */

/* "https://host:port/path?query" */
static bool split_url(struct action_plan *p, const char *url, bool *tls)
{
    *tls = strncmp(url, "https://", 8) == 0;
    if (!*tls && strncmp(url, "http://", 7) != 0)
        return false;
    const char *host = url + (*tls ? 8 : 7), *path = host + strcspn(host, "/?#"), *end = path, *colon = NULL;
    for (const char *at = path; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == '#')
            return false;
    if (*host == '[') {
        const char *close = memchr(host, ']', (size_t)(path - host));
        if (!close)
            return false;
        host++;
        end = close;
        colon = close + 1 < path ? close + 1 : NULL;
        if (colon && *colon != ':')
            return false;
    } else if ((colon = memchr(host, ':', (size_t)(path - host)))) {
        end = colon;
    }
    char *over;
    unsigned long port = colon ? strtoul(colon + 1, &over, 10) : *tls ? 443 : 80;
    if (end == host || memchr(host, '@', (size_t)(end - host)) || port < 1 || port > 65535 ||
        (colon && over != path))
        return false;
    p->webhook.port = (uint16_t)port;
    p->webhook.host = arena_text(&p->arena, bytes_of(host, (size_t)(end - host)));
    char *target = arena_take(&p->arena, strlen(path) + 2);
    p->webhook.target = target;
    if (target)
        (void)snprintf(target, strlen(path) + 2, "%s%s", *path == '/' ? "" : "/", path);
    return true;
}

static bool header_ok(const char *text, bool name)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127 || (name && (*text == ' ' || *text == ':')))
            return false;
    return true;
}

static enum code keep_headers(struct action_plan *p, const struct settings_pairs *headers, struct fault *why)
{
    struct buf lines = {0};
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < headers->count; i++) {
        if (!header_ok(headers->at[i].name, true) || !header_ok(headers->at[i].to, false))
            c = FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook.headers: '%.60s' is not a header",
                        p->name, headers->at[i].name);
        buf_printf(&lines, "%s: %s\r\n", headers->at[i].name, headers->at[i].to);
    }
    if (c == CODE_OK) {
        p->webhook.headers = lines.bad ? NULL : arena_text(&p->arena, buf_bytes(&lines));
        c = p->webhook.headers ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    }
    buf_clear(&lines);
    return c;
}

static enum code webhook_plan(struct action_plan *p, const struct settings_action *s, const struct io *io,
                              struct fault *why)
{
    bool tls;
    if (!s->webhook.url[0])
        return s->webhook.body[0] || s->webhook.headers.count
                   ? FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.webhook has no url", p->name)
                   : CODE_NOTFOUND;
    if (!split_url(p, s->webhook.url, &tls))
        return FAIL_FG(
            why, CODE_USAGE, 6301,
            "action %s: do.webhook.url must be http://HOST[:PORT]/PATH or https://..., got '%.120s'", p->name,
            s->webhook.url);
    if (!p->webhook.host || !p->webhook.target)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    enum code c = keep_template(p, "do.webhook.body", s->webhook.body, &p->webhook.body, why);
    if (c == CODE_OK)
        c = keep_template(p, "do.webhook.url", p->webhook.target, &p->webhook.target, why);
    if (c == CODE_OK)
        c = keep_headers(p, &s->webhook.headers, why);
    if (c == CODE_OK && tls)
        c = tls_client_load(&p->webhook.tls, io, &(struct tls_client_options){0}, why);
    return c;
}

static void webhook_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    (void)a;
    buf_printf(out, "POST %s://%s:%u%.*s", p->webhook.tls ? "https" : "http", p->webhook.host,
               p->webhook.port, (int)strcspn(p->webhook.target, "?"),
               p->webhook.target); /* a query may hold a secret */
}

static void on_head(void *ctx, unsigned status)
{
    ((struct action *)ctx)->status = status;
}

static void on_done(void *ctx, const struct fault *why)
{
    struct action *a = ctx;
    char said[SAID_MAX];
    unsigned status = a->status;
    a->call = NULL;
    timer_stop(a->all->loop, &a->timer);
    if (why) {
        action_tried(a, ACTION_FAILED, why->text);
        return;
    }
    (void)snprintf(said, sizeof said, "status %u", status);
    /* 408 and 429 ask for another try; another 4xx will not be answered differently the next time. */
    bool hopeless = status >= 400 && status < 500 && status != 408 && status != 429;
    action_tried(a,
                 status >= 200 && status < 300 ? ACTION_GOOD
                 : hopeless                    ? ACTION_HOPELESS
                                               : ACTION_FAILED,
                 said);
}

static void on_late(struct timer *t)
{
    struct action *a = (struct action *)(void *)((char *)t - offsetof(struct action, timer));
    http_call_cancel(a->call);
    a->call = NULL;
    action_tried(a, ACTION_FAILED, "no answer in time");
}

static void put_target(struct buf *out, const char *template, struct value event)
{
    struct buf raw = {0};
    fill(&raw, template, event);
    struct bytes b = buf_bytes(&raw);
    for (size_t i = 0; i < b.len; i++)
        if (b.at[i] <= ' ' || b.at[i] >= 127)
            buf_printf(out, "%%%02X", b.at[i]);
        else
            buf_u8(out, b.at[i]);
    buf_u8(out, 0);
    out->bad = out->bad || raw.bad;
    buf_clear(&raw);
}

static void webhook_begin(struct action *a)
{
    static const struct http_call_events events = {.on_head = on_head, .on_done = on_done};
    const struct action_plan *p = a->plan;
    struct buf body = {0}, headers = {0}, target = {0};
    struct fault why;
    put_body(&body, p->webhook.body, &a->now);
    put_target(&target, p->webhook.target, a->now.event);
    buf_printf(&headers, "%sIdempotency-Key: %s\r\n", p->webhook.headers, a->now.id);
    buf_u8(&headers, 0);
    a->status = 0;
    struct http_call_options o = {.host = p->webhook.host,
                                  .port = p->webhook.port,
                                  .method = "POST",
                                  .body = buf_bytes(&body),
                                  .target = (const char *)buf_bytes(&target).at,
                                  .headers = (const char *)buf_bytes(&headers).at,
                                  .tls = p->webhook.tls};
    enum code c = body.bad || headers.bad || target.bad
                      ? FAIL(&why, CODE_NOMEM, 0, "no memory")
                      : http_call_start(&a->call, a->all->loop, &o, &events, a, &why);
    buf_clear(&body);
    buf_clear(&headers);
    buf_clear(&target);
    if (c == CODE_OK)
        timer_start(a->all->loop, &a->timer, p->timeout_ms, on_late);
    else
        action_tried(a, ACTION_FAILED, why.text);
}

static void webhook_cancel(struct action *a)
{
    timer_stop(a->all->loop, &a->timer);
    if (a->call)
        http_call_cancel(a->call);
    a->call = NULL;
}

const struct action_kind action_webhook = {"webhook", webhook_plan, webhook_describe, webhook_begin,
                                           webhook_cancel};

/* ---- program ---- */

static enum code program_plan(struct action_plan *p, const struct settings_action *s, const struct io *io,
                              struct fault *why)
{
    (void)io;
    if (!s->program.count)
        return CODE_NOTFOUND;
    const char **args = arena_zero(&p->arena, (s->program.count + 1) * sizeof *args);
    enum code c = args ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    for (size_t i = 0; c == CODE_OK && i < s->program.count; i++)
        c = keep_template(p, "do.program", s->program.at[i], &args[i], why);
    if (c == CODE_OK && fill_needs_event(args[0]))
        c = FAIL_FG(why, CODE_USAGE, 6301,
                    "action %s: do.program: the program itself cannot come from the event", p->name);
    p->program = args;
    return c;
}

static void program_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    (void)a;
    buf_printf(out, "run %s", p->program[0]);
}

static void on_program_end(void *ctx, const struct process_end *end)
{
    struct action *a = ctx;
    char said[SAID_MAX], text[SAID_MAX];
    struct bytes first = end->said;
    const uint8_t *line = first.len ? memchr(first.at, '\n', first.len) : NULL;
    if (line)
        first.len = (size_t)(line - first.at);
    a->process = NULL;
    if (!a->under_way)
        return; /* the end of the node */
    if (end->late)
        (void)snprintf(said, sizeof said, "killed: not done in time");
    else if (end->signal)
        (void)snprintf(said, sizeof said, "ended by signal %d", end->signal);
    else
        (void)snprintf(said, sizeof said, "status %d%s%.*s", end->code, first.len ? ": " : "", 120,
                       first.len ? bytes_escape(first, text, sizeof text) : "");
    action_tried(a, end->code == 0 ? ACTION_GOOD : ACTION_FAILED, said);
}

static void program_begin(struct action *a)
{
    const struct action_plan *p = a->plan;
    char event[EVENT_ID_MAX + 32], name[128];
    const char *const environment[] = {event, name, NULL};
    struct buf texts = {0};
    const char *args[101];
    size_t offsets[101], n = 0;
    struct fault why;
    (void)snprintf(event, sizeof event, "FIELDGATE_EVENT=%s", a->now.id);
    (void)snprintf(name, sizeof name, "FIELDGATE_ACTION=%s", p->name);
    for (; p->program[n] && n < 100; n++) {
        offsets[n] = buf_size(&texts);
        fill(&texts, p->program[n], a->now.event);
        buf_u8(&texts, 0);
    }
    for (size_t i = 0; i < n && !texts.bad; i++)
        args[i] = (const char *)texts.at + offsets[i];
    args[n] = NULL;
    struct process_options o = {.args = args,
                                .environment = environment,
                                .input = a->now.message->payload,
                                .timeout_ms = p->timeout_ms};
    enum code c = texts.bad ? FAIL(&why, CODE_NOMEM, 0, "no memory")
                            : process_start(&a->process, a->all->loop, &o, on_program_end, a, &why);
    buf_clear(&texts);
    if (c != CODE_OK)
        action_tried(a, ACTION_FAILED, why.text);
}

static void program_cancel(struct action *a)
{
    if (a->process)
        process_kill(a->process);
}

const struct action_kind action_program = {"program", program_plan, program_describe, program_begin,
                                           program_cancel};

const struct action_kind *const action_kinds[] = {&action_publish, &action_webhook, &action_program, NULL};
