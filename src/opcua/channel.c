#include "opcua/channel_private.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>

const struct ua_channel_limits ua_channel_limits_default = {
    .receive_bytes = 65535,
    .send_bytes = 65535,
    .message_bytes = 2 << 20,
    .chunks = 64,
    .lifetime_ms_min = 10000,
    .lifetime_ms_max = 3600000,
    .open_s = 10,
    .message_s = 60,
};

/* ---- life ---- */

struct ua_channel *ua_channel_new(const struct ua_channel_config *config, struct ua_now now)
{
    struct ua_channel *c = mem_zalloc(1, sizeof *c);
    uint16_t first;
    if (!c)
        return NULL;
    FG_ASSERT(config->limits.receive_bytes >= UA_CHUNK_BYTES_MIN &&
              config->limits.send_bytes >= UA_CHUNK_BYTES_MIN);
    FG_ASSERT(config->role == UA_SERVER ? config->id != 0 : config->policy != NULL);
    c->config = *config;
    c->began_us = now.us;
    c->id = config->role == UA_SERVER ? config->id : 0;
    c->receive_bytes = config->limits.receive_bytes;
    c->send_bytes = config->limits.send_bytes;
    c->allowed_bytes = config->limits.message_bytes;
    /* Anywhere below 1024 [Part 6, 6.7.2.4]. */
    config->io->random(config->io->self, &first, sizeof first);
    c->sent = first % 1023;
    if (config->own)
        (void)ua_application_hold(config->own);
    if (config->server)
        (void)ua_certificate_hold(config->server);
    return c;
}

void token_clear(struct token *t)
{
    ua_keys_free(t->send);
    ua_keys_free(t->receive);
    *t = (struct token){0};
}

void token_clear_all(struct ua_channel *c)
{
    token_clear(&c->token);
    token_clear(&c->other);
    for (unsigned i = 0; i < PAST_TOKENS; i++)
        token_clear(&c->past[i]);
}

void token_promote(struct ua_channel *c)
{
    token_clear(&c->token);
    c->token = c->other;
    c->other = (struct token){0};
}

void ua_channel_free(struct ua_channel *c)
{
    if (!c)
        return;
    token_clear_all(c);
    ua_certificate_drop(c->peer);
    ua_certificate_drop(c->config.server);
    ua_application_drop(c->config.own);
    buf_clear(&c->assembly);
    mem_free(c->url);
    OPENSSL_cleanse(c, sizeof *c);
    mem_free(c);
}

/* ---- ends ---- */

static void end(struct ua_channel *c)
{
    c->state = CHANNEL_OVER;
    token_clear_all(c);
    buf_clear(&c->assembly);
    c->assembling = c->busy = false;
}

bool channel_fail(struct turn *t, ua_status told, ua_status status, const char *fmt, ...)
{
    char text[sizeof t->event->why.text];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)FAIL(&t->event->why, status == UA_BAD_OUT_OF_MEMORY ? CODE_NOMEM : CODE_PROTOCOL, 0, "%s", text);
    t->event->kind = UA_EVENT_ERROR;
    t->event->status = status;
    if (t->c->config.role == UA_SERVER)
        channel_write_error(t->out, told,
                            told == UA_BAD_SECURITY_CHECKS_FAILED ? BYTES_NONE : bytes_str(text));
    end(t->c);
    return false;
}

bool channel_no_memory(struct turn *t)
{
    return channel_fail(t, UA_BAD_TCP_NOT_ENOUGH_RESOURCES, UA_BAD_OUT_OF_MEMORY,
                        "no memory for a secure channel");
}

void ua_channel_close(struct ua_channel *c, struct ua_now now, struct buf *out, ua_status status,
                      const char *reason)
{
    struct ua_close_secure_channel_request r = {.header.timestamp = ua_time_from_us(now.wall_us)};
    struct ua_sending s;
    if (c->state == CHANNEL_OVER)
        return;
    if (c->config.role == UA_SERVER) {
        channel_write_error(out, status, bytes_str(reason));
    } else if (c->state == CHANNEL_OPEN) {
        ua_channel_begin(c, out, &s);
        ua_write_message(out, &ua_close_secure_channel_request_type, &r);
        /* Not sent for lack of memory: the connection ends all the same. */
        (void)channel_finish(c, out, &s, ua_channel_request_id(c), "CLO", 'F');
    }
    end(c);
}

/* ---- time ---- */

int64_t token_ends_us(const struct token *t)
{
    return t->made_us + t->life_us + t->life_us / 4;
}

static int64_t token_due_us(const struct ua_channel *c)
{
    const struct token *t = &c->token;
    if (c->config.role == UA_SERVER)
        return token_ends_us(t);
    return c->renewing ? token_ends_us(t) : t->made_us + t->life_us / 4 * 3;
}

static int64_t busy_due_us(const struct ua_channel *c)
{
    return c->busy ? c->busy_us + (int64_t)c->config.limits.message_s * 1000000 : INT64_MAX;
}

int64_t ua_channel_due_us(const struct ua_channel *c)
{
    if (c->state == CHANNEL_OVER)
        return INT64_MAX;
    if (c->state != CHANNEL_OPEN)
        return c->began_us + (int64_t)c->config.limits.open_s * 1000000;
    int64_t token = token_due_us(c), busy = busy_due_us(c);
    return token < busy ? token : busy;
}

void ua_channel_renew(struct ua_channel *c, struct ua_now now, struct buf *out)
{
    struct ua_event none = {0};
    struct turn t = {c, now, out, &none};
    if (c->config.role == UA_CLIENT && c->state == CHANNEL_OPEN && !c->renewing)
        channel_ask_open(&t, true);
}

static void late(struct turn *t)
{
    struct ua_channel *c = t->c;
    if (c->state != CHANNEL_OPEN)
        (void)channel_fail(t, UA_BAD_TIMEOUT, UA_BAD_TIMEOUT, "no secure channel was opened within %u s",
                           c->config.limits.open_s);
    else if (t->now.us >= busy_due_us(c))
        (void)channel_fail(t, UA_BAD_TIMEOUT, UA_BAD_TIMEOUT,
                           "a message that began to come was not complete after %u s",
                           c->config.limits.message_s);
    else if (c->config.role == UA_CLIENT && !c->renewing)
        channel_ask_open(t, true);
    else if (c->config.role == UA_SERVER && c->other.id)
        token_promote(c); /* the client renewed and has said nothing since */
    else
        (void)channel_fail(t, UA_BAD_SECURE_CHANNEL_CLOSED, UA_BAD_SECURE_CHANNEL_CLOSED,
                           "the secure channel was not renewed within the %g s of its life",
                           (double)c->token.life_us / 1e6);
}

void ua_channel_tick(struct ua_channel *c, struct ua_now now, struct buf *out, struct ua_event *event)
{
    struct turn t = {c, now, out, event};
    *event = (struct ua_event){0};
    if (now.us >= ua_channel_due_us(c))
        late(&t);
}

/* ---- bytes ---- */

static struct bytes type_of(struct bytes in)
{
    return bytes_of(in.at, 3);
}

static uint32_t size_of_chunk(struct bytes in)
{
    struct wire w = wire_of(bytes_of(in.at + 4, 4));
    return wire_le32(&w);
}

/* What may come at all, by who we are. */
static const struct chunk_kind {
    const char *type;
    const char *kinds; /* F, C, A */
    enum ua_role to;   /* with `both` false: only to this end */
    bool both;
    bool (*on)(struct turn *, struct bytes chunk);
} kinds[] = {
    {"MSG", "FCA", UA_SERVER, true, channel_on_message},    {"OPN", "F", UA_SERVER, true, channel_on_open},
    {"CLO", "F", UA_SERVER, true, channel_on_close},        {"HEL", "F", UA_SERVER, false, channel_on_hello},
    {"ACK", "F", UA_CLIENT, false, channel_on_acknowledge}, {"ERR", "F", UA_CLIENT, false, channel_on_error},
};

static const struct chunk_kind *kind_of(const struct ua_channel *c, struct bytes in)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (bytes_is(type_of(in), kinds[i].type) && strchr(kinds[i].kinds, in.at[3]) && in.at[3] &&
            (kinds[i].both || kinds[i].to == c->config.role))
            return &kinds[i];
    return NULL;
}

static bool head_is_right(struct turn *t, const struct chunk_kind *kind, struct bytes in)
{
    char text[32];
    uint32_t size = size_of_chunk(in);
    uint32_t most = kind && kind->on == channel_on_hello ? UA_HELLO_BYTES_MAX : t->c->receive_bytes;
    if (!kind)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "the peer does not speak OPC UA over TCP: a message begins with \"%s\"",
                            bytes_escape(bytes_of(in.at, 4), text, sizeof text));
    if (size > most)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE,
                            "a chunk (%s) of %u bytes is announced, at most %u are taken", kind->type, size,
                            most);
    if (size < CHUNK_HEAD)
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "a chunk (%s) of %u bytes is shorter than its head", kind->type, size);
    return true;
}

/* The last body was seen by now. */
static void forget_body(struct ua_channel *c)
{
    if (c->assembling)
        return;
    if (c->assembly.cap > ASSEMBLY_KEEP)
        buf_clear(&c->assembly);
    else
        buf_reset(&c->assembly);
    c->chunks = 0;
}

static void note_progress(struct ua_channel *c, struct ua_now now, bool partial)
{
    bool busy = c->state != CHANNEL_OVER && (partial || c->assembling);
    if (busy && !c->busy)
        c->busy_us = now.us;
    c->busy = busy;
}

size_t ua_channel_take(struct ua_channel *c, struct bytes in, struct ua_now now, struct buf *out,
                       struct ua_event *event)
{
    struct turn t = {c, now, out, event};
    size_t taken = 0;
    *event = (struct ua_event){0};
    forget_body(c);
    while (c->state != CHANNEL_OVER && event->kind == UA_EVENT_NONE && in.len - taken >= CHUNK_HEAD) {
        struct bytes rest = bytes_from(in, taken);
        const struct chunk_kind *kind = kind_of(c, rest);
        if (!head_is_right(&t, kind, rest) || rest.len < size_of_chunk(rest))
            break;
        c->busy = c->busy && c->assembling; /* the next one has its own time */
        taken += size_of_chunk(rest);
        (void)kind->on(&t, bytes_of(rest.at, size_of_chunk(rest)));
    }
    note_progress(c, now, event->kind == UA_EVENT_NONE && in.len > taken);
    return c->state == CHANNEL_OVER ? in.len : taken;
}

/* ---- what it is ---- */

bool ua_channel_is_open(const struct ua_channel *c)
{
    return c->state == CHANNEL_OPEN;
}

bool ua_channel_is_over(const struct ua_channel *c)
{
    return c->state == CHANNEL_OVER;
}

const struct ua_policy *ua_channel_policy(const struct ua_channel *c)
{
    return c->policy;
}

int ua_channel_mode(const struct ua_channel *c)
{
    return c->mode;
}

struct ua_certificate *ua_channel_peer(const struct ua_channel *c)
{
    return c->peer;
}

struct bytes ua_channel_url(const struct ua_channel *c)
{
    return bytes_of(c->url, c->url_len);
}

uint32_t ua_channel_renewals(const struct ua_channel *c)
{
    return c->renewals;
}
