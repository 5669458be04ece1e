/* client.c - options, life, connecting again. */
#include "uaclient/client_private.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    CONNECT_MS = 15000,
    REQUEST_MS = 10000,
    SESSION_MS = 120000,
    CHANNEL_MS = 3600000,
    RETRY_MIN_MS = 250,
    RETRY_MAX_MS = 10000,
    AWAY_MS = 2000, /* nobody is there: it may be starting again, and its values are missed */
    FLAPPING_MS = 500,
    LEAVE_MS = 2000,
    LASTED_US = 1000000, /* a connection that was up so long is tried again at once */
    MESSAGE_BYTES = 16 << 20,
    CHUNKS = 256,
    UNSENT_BYTES = 4 << 20,
    PORT = 4840,
    TEXT_MAX = 4096
};

static struct ua_client *of_timer(struct timer *t)
{
    return (struct ua_client *)(void *)((char *)t - offsetof(struct ua_client, timer));
}

/* ---- options ---- */

static void fill_defaults(struct ua_client_options *s)
{
#define DEFAULT(field, value) (s->field = s->field ? s->field : (value))
    DEFAULT(name, "fieldgate");
    DEFAULT(application_name, "Fieldgate");
    DEFAULT(connect_ms, CONNECT_MS);
    DEFAULT(request_ms, REQUEST_MS);
    DEFAULT(session_ms, SESSION_MS);
    DEFAULT(channel_ms, CHANNEL_MS);
    DEFAULT(retry_min_ms, RETRY_MIN_MS);
    DEFAULT(retry_max_ms, RETRY_MAX_MS);
    DEFAULT(limits, &ua_limits_default);
    DEFAULT(message_bytes, MESSAGE_BYTES);
    DEFAULT(chunks, CHUNKS);
    DEFAULT(unsent_bytes, UNSENT_BYTES);
    DEFAULT(io, &io_system);
#undef DEFAULT
}

/* "opc.tcp://host:port/path" to views of it. */
static enum code take_url(struct bytes url, struct bytes *host, uint16_t *port, struct fault *why)
{
    char text[UA_TELL_BYTES];
    struct bytes rest = bytes_starts(url, "opc.tcp://") ? bytes_from(url, 10) : BYTES_NONE;
    size_t end = 0;
    while (end < rest.len && rest.at[end] != '/')
        end++;
    rest.len = end;
    const uint8_t *close = rest.len && rest.at[0] == '[' ? memchr(rest.at, ']', rest.len) : NULL;
    *host = close ? bytes_of(rest.at + 1, (size_t)(close - rest.at) - 1) : rest;
    const uint8_t *colon = close ? close + 1 : rest.len ? memchr(rest.at, ':', rest.len) : NULL;
    if (!close && colon)
        host->len = (size_t)(colon - rest.at);
    unsigned long n = PORT;
    if (colon && colon < rest.at + rest.len) {
        n = 0;
        const uint8_t *p = colon + 1, *stop = rest.at + rest.len;
        for (; *colon == ':' && p < stop && *p >= '0' && *p <= '9' && n <= UINT16_MAX; p++)
            n = n * 10 + (*p - '0');
        if (p != stop || p == colon + 1)
            n = 0;
    }
    if (!host->len || host->len > 255 || n == 0 || n > UINT16_MAX || url.len > TEXT_MAX ||
        memchr(url.at, 0, url.len))
        return FAIL(why, CODE_USAGE, 0,
                    "'%s' is no address of an OPC UA server: write opc.tcp://host, opc.tcp://host:4840/path",
                    bytes_escape(url, text, sizeof text));
    *port = (uint16_t)n;
    return CODE_OK;
}

static enum code check(const struct ua_client_options *s, struct fault *why)
{
    if (!s->url)
        return FAIL(why, CODE_USAGE, 0, "no server is named");
    const struct ua_policy *p = s->policy ? ua_policy_by_name(bytes_str(s->policy)) : NULL;
    if (s->policy && !p)
        return FAIL(why, CODE_USAGE, 0,
                    "there is no security policy '%.40s': use None, Basic256Sha256, Aes128_Sha256_RsaOaep or "
                    "Aes256_Sha256_RsaPss",
                    s->policy);
    if (s->mode > UA_MODE_SIGN_AND_ENCRYPT ||
        (p && s->mode && (p->id == UA_POLICY_NONE) != (s->mode == UA_MODE_NONE)))
        return FAIL(why, CODE_USAGE, 0,
                    "policy and mode do not go together: None has no signing, and the others have");
    bool secure = (p && p->id != UA_POLICY_NONE) || s->mode > UA_MODE_NONE;
    if (secure && !s->own)
        return FAIL(why, CODE_USAGE, 0, "security needs an application certificate of our own");
    if (s->channel_only && secure)
        return FAIL(why, CODE_USAGE, 0,
                    "a channel without a session is for discovery, which has no security");
    if (s->user.kind > UA_USER_CERTIFICATE || (s->user.kind == UA_USER_NAME && !s->user.name.len) ||
        (s->user.kind == UA_USER_CERTIFICATE && !s->user.certificate))
        return FAIL(why, CODE_USAGE, 0, "the user has no name, or no certificate");
    if (s->user.name.len > TEXT_MAX || s->user.password.len > TEXT_MAX)
        return FAIL(why, CODE_USAGE, 0, "a user's name or password is longer than %d bytes", TEXT_MAX);
    return CODE_OK;
}

static struct bytes put(char **room, struct bytes b)
{
    struct bytes copy = bytes_of(*room, b.len);
    if (!b.at)
        return b;
    if (b.len)
        memcpy(*room, b.at, b.len);
    (*room)[b.len] = 0;
    *room += b.len + 1;
    return copy;
}

static bool own_texts(struct ua_client *c, struct bytes host)
{
    struct ua_client_options *s = &c->set;
    const char **const texts[] = {&s->url, &s->policy, &s->name, &s->application_uri, &s->application_name};
    struct bytes *const more[] = {&s->user.name, &s->user.password};
    size_t n = host.len + 1;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        n += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        n += more[i]->len + 1;
    char *room = c->texts = mem_alloc(n);
    if (!room)
        return false;
    c->host = put(&room, host);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = (const char *)put(&room, bytes_str(*texts[i])).at;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        *more[i] = put(&room, *more[i]);
    return true;
}

static void attempt(struct timer *);

enum code ua_client_open(struct ua_client **out, struct loop *loop, const struct ua_client_options *options,
                         const struct ua_client_events *events, void *ctx, struct fault *why)
{
    struct ua_client_options s = *options;
    struct bytes host;
    uint16_t port = 0;
    fill_defaults(&s);
    enum code code = check(&s, why);
    if (!code)
        code = take_url(bytes_str(s.url), &host, &port, why);
    if (code)
        return code;
    struct ua_client *c = mem_zalloc(1, sizeof *c);
    if (c)
        c->set = s;
    if (!c || !own_texts(c, host)) {
        mem_free(c);
        return FAIL(why, CODE_NOMEM, 0, "no memory for an OPC UA client");
    }
    c->loop = loop;
    c->events = *events;
    c->ctx = ctx;
    c->port = port;
    c->since_us = loop_now_us(loop);
    c->clock_us = INT64_MAX;
    c->publishing.most = UINT32_MAX;
    arena_init(&c->found, NULL, 0, 4 << 20);
    arena_init(&c->session, NULL, 0, 64 << 10);
    arena_init(&c->seen, NULL, 0, 4 << 20);
    if (s.own)
        (void)ua_application_hold(s.own);
    if (s.user.kind == UA_USER_CERTIFICATE)
        (void)ua_application_hold(s.user.certificate);
    timer_start(loop, &c->timer, 0, attempt);
    *out = c;
    return CODE_OK;
}

/* ---- life ---- */

void client_enter(struct ua_client *c)
{
    c->busy++;
}

bool client_leave_call(struct ua_client *c)
{
    c->busy--;
    if (!c->dead)
        return true;
    client_bury(c);
    return false;
}

static void free_client(struct ua_client *c)
{
    ua_channel_free(c->channel);
    ua_certificate_drop(c->certificate);
    ua_application_drop(c->set.own);
    if (c->set.user.kind == UA_USER_CERTIFICATE)
        ua_application_drop(c->set.user.certificate);
    arena_clear(&c->found);
    arena_clear(&c->session);
    arena_clear(&c->seen);
    buf_clear(&c->nonce);
    buf_clear(&c->publishing.acks);
    if (c->set.user.password.len) /* ours, in texts */
        OPENSSL_cleanse((void *)(uintptr_t)c->set.user.password.at, c->set.user.password.len);
    mem_free(c->texts);
    mem_free(c);
}

void client_bury(struct ua_client *c)
{
    if (c->dead && !c->busy && !c->conn)
        free_client(c);
}

static void stop_timers(struct ua_client *c)
{
    timer_stop(c->loop, &c->timer);
    timer_stop(c->loop, &c->tick);
    timer_stop(c->loop, &c->alive);
    timer_stop(c->loop, &c->publishing.pause);
}

void ua_client_close(struct ua_client *c)
{
    c->dead = true;
    c->events = (struct ua_client_events){0};
    c->state = UA_CLIENT_ENDED;
    stop_timers(c);
    client_answer_all(c, UA_BAD_CONNECTION_CLOSED);
    while (c->works)
        c->works->drop(c->works);
    subscriptions_drop(c);
    if (c->conn)
        conn_close(c->conn, false); /* the rest when that is done */
    client_bury(c);
}

void client_state(struct ua_client *c, enum ua_client_state state)
{
    c->state = state;
    c->since_us = loop_now_us(c->loop);
}

static void session_closed(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    (void)status;
    (void)response;
    (void)arena;
    if (c->conn)
        client_hang_up(c);
}

void ua_client_leave(struct ua_client *c)
{
    if (c->state == UA_CLIENT_ENDED || c->state == UA_CLIENT_LEAVING)
        return;
    c->leaving = true;
    bool open = c->have_session && c->channel && ua_channel_is_open(c->channel);
    client_state(c, UA_CLIENT_LEAVING);
    timer_stop(c->loop, &c->alive);
    timer_start(c->loop, &c->timer, open ? LEAVE_MS : 0, attempt);
    struct ua_close_session_request r = {.delete_subscriptions = !c->parting};
    if (open && client_ask(c, &ua_close_session_request_type, &r, &ua_close_session_response_type, -1,
                           session_closed, c, NULL))
        timer_start(c->loop, &c->timer, 0, attempt);
}

void ua_client_part(struct ua_client *c)
{
    c->parting = true;
    ua_client_leave(c);
}

/* ---- ends ---- */

void client_fail(struct ua_client *c, const struct fault *why)
{
    if (!c->why.code)
        c->why = *why;
    if (c->conn)
        client_hang_up(c);
}

/* Doubled each time, and spread so that a hundred clients do not come back together. The first one after a connection that has
 * lasted comes at once; on a line that does not hold, but lets us in each time, we do not wait long. */
static int64_t next_retry(struct ua_client *c, bool was_up, bool lasted, bool away)
{
    int64_t most = was_up ? FLAPPING_MS : away ? AWAY_MS : c->set.retry_max_ms;
    most = most < c->set.retry_max_ms ? most : c->set.retry_max_ms;
    uint32_t draw;
    c->set.io->random(c->set.io->self, &draw, sizeof draw);
    if (lasted) {
        c->retry_ms = 0;
        return draw % 50;
    }
    int64_t base = c->retry_ms ? c->retry_ms * 2 : c->set.retry_min_ms;
    c->retry_ms = base < most ? base : most;
    return c->retry_ms * 3 / 4 + (int64_t)(draw % (uint32_t)(c->retry_ms / 4 + 1));
}

void client_down(struct ua_client *c, const struct fault *why)
{
    bool was_left = c->leaving, was_up = c->up_us != 0;
    struct fault said = c->why.code ? c->why : *why;
    bool lasted = was_up && loop_now_us(c->loop) - c->up_us >= LASTED_US;
    c->why = (struct fault){0};
    c->up_us = 0;
    stop_timers(c);
    ua_channel_free(c->channel);
    c->channel = NULL;
    client_enter(c);
    int64_t retry = -1;
    if (!was_left && c->set.reconnect) {
        retry = next_retry(c, was_up, lasted, said.number == UA_FG_UNREACHABLE);
        client_state(c, UA_CLIENT_WAITING);
        timer_start(c->loop, &c->timer, retry, attempt);
    } else {
        client_state(c, UA_CLIENT_ENDED);
    }
    if (!was_left)
        c->last = said;
    client_answer_all(c, UA_BAD_CONNECTION_CLOSED);
    if (!c->dead)
        subscriptions_down(c);
    if (!c->dead && c->events.on_down)
        c->events.on_down(c->ctx, c, was_left ? NULL : &said, retry);
    (void)client_leave_call(c);
}

/* Waiting is over: for the next attempt, for a connection that does not come about, for a goodbye. */
static void attempt(struct timer *t)
{
    struct ua_client *c = of_timer(t);
    struct fault why = {0};
    if (c->state == UA_CLIENT_WAITING) {
        timer_start(c->loop, &c->timer, c->set.connect_ms, attempt);
        client_dial(c);
        return;
    }
    if (c->state == UA_CLIENT_LEAVING) {
        if (c->conn)
            client_hang_up(c);
        else
            client_down(c, &why);
        return;
    }
    (void)FAIL_FG(&why, CODE_CLOSED, UA_FG_UNREACHABLE, "%s did not answer within %lld ms while %s",
                  c->set.url, (long long)c->set.connect_ms, ua_client_state_name(c->state));
    client_fail(c, &why);
}

/* ---- words ---- */

bool client_told(struct ua_client *c, int number)
{
    uint32_t bit = 1u << (number - 5200);
    bool told = (c->told & bit) != 0;
    c->told |= bit;
    return told;
}

void client_notice(struct ua_client *c, int number, const char *fmt, ...)
{
    struct fault f = {.code = CODE_OK, .number = number, .where = FG_HERE};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(f.text, sizeof f.text, fmt, args);
    va_end(args);
    if (c->events.on_notice)
        c->events.on_notice(c->ctx, c, &f);
}

void client_lacks(struct ua_client *c, enum ua_lack lack)
{
    c->lacks |= 1u << lack;
}
