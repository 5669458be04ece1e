/* activate.c - ActivateSession: whose session it is.
 *
 *   the client's signature ── the token ── (a delay, after failures from this address) ── the program's check ── the answer
 *
 * The check may take its time (a password's hash on the pool): the request waits as a ticket, everything it needs in a
 * uas_ask, which outlives its session, its connection and the server if it must.
 *
 * Failures cost time: the first is free, then each doubles the wait before the next check for this address, up to 10 s.
 */
#include "uaserver/serve.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/rsa.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdio.h>

enum { NAME_BYTES_MAX = 1024, CIPHER_BYTES_MAX = 16 * 1024 };
enum { PENALTIES = 64, DELAY_FIRST_MS = 100, DELAY_MAX_MS = 10000, FORGET_S = 600, HOST_CHARS = 64 };

struct uas_penalty {
    char     host[HOST_CHARS];
    unsigned failures;
    int64_t  until_us;  /* no check before */
    int64_t  failed_us; /* the last one */
};

struct uas_ask {
    struct ua_user_ask  ask; /* the first field: it is what the program gives back */
    struct uas_ask     *next, **link; /* among the server's; NULL once that is gone */
    struct ua_server   *server;  /* NULL: gone */
    struct uas_session *session; /* NULL: gone */
    struct uas_ticket   ticket;  /* .link NULL: gone */
    struct timer        timer;
    struct buf          name, cipher, password;
    struct ua_certificate *certificate;
    char                address[64];
    bool                moved; /* from another channel: the user has to be the same */
};

/* ---- penalties ---- */

static void host_of(const char *address, char out[HOST_CHARS])
{
    struct bytes host = address_host(address);
    (void)snprintf(out, HOST_CHARS, "%.*s", BYTES_FMT(host));
}

/* Its own, or the one that matters least. NULL: no memory. */
static struct uas_penalty *penalty_of(struct ua_server *s, const char *address, bool make)
{
    char host[HOST_CHARS];
    host_of(address, host);
    struct uas_penalty *least = s->penalties;
    for (struct uas_penalty *p = s->penalties; p < s->penalties + PENALTIES; p++) {
        if (strcmp(p->host, host) == 0)
            return p;
        if (p->failed_us < least->failed_us)
            least = p;
    }
    if (!make)
        return NULL;
    *least = (struct uas_penalty){ 0 };
    memcpy(least->host, host, sizeof host);
    return least;
}

static int64_t delay_us(const struct uas_penalty *p)
{
    if (p->failures < 2)
        return 0;
    unsigned doubled = p->failures - 2;
    int64_t ms = doubled < 7 ? (int64_t)DELAY_FIRST_MS << doubled : DELAY_MAX_MS;
    return (ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS) * 1000;
}

static void count_failure(struct ua_server *s, const char *address)
{
    struct uas_penalty *p = penalty_of(s, address, true);
    int64_t now = loop_now_us(s->loop);
    if (now - p->failed_us > (int64_t)FORGET_S * 1000000)
        p->failures = 0;
    p->failures++;
    p->failed_us = now;
    if (p->until_us < now + delay_us(p))
        p->until_us = now + delay_us(p);
    UAS_COUNT(logins_refused);
}

/* How long this check has to wait; the next one waits behind it. */
static int64_t wait_us(struct ua_server *s, const char *address)
{
    struct uas_penalty *p = penalty_of(s, address, false);
    int64_t now = loop_now_us(s->loop);
    if (!p || p->until_us <= now)
        return 0;
    int64_t wait = p->until_us - now;
    p->until_us += delay_us(p);
    return wait;
}

static void forgive(struct ua_server *s, const char *address)
{
    struct uas_penalty *p = penalty_of(s, address, false);
    if (p)
        *p = (struct uas_penalty){ 0 };
}

/* ---- an ask ---- */

static void free_ask(struct uas_ask *a)
{
    ua_secret_clear(&a->password);
    ua_secret_clear(&a->name);
    buf_clear(&a->cipher);
    ua_certificate_drop(a->certificate);
    mem_free(a);
}

static struct uas_ask *make_ask(struct uas_request *r, struct uas_session *x)
{
    struct uas_ask *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->server = r->server;
    a->session = x;
    a->moved = x->active && x->link != r->link;
    (void)snprintf(a->address, sizeof a->address, "%s", conn_address(r->link->conn));
    a->ask.address = a->address;
    a->ask.encrypted = ua_channel_mode(r->link->channel) == UA_MODE_SIGN_AND_ENCRYPT;
    return a;
}

/* From here on it stands in for the request. */
static void enlist(struct uas_ask *a, struct uas_request *r)
{
    struct ua_server *s = r->server;
    r->body_max = a->session->body_max;
    a->ticket = uas_ticket_of(r);
    a->session->ask = a;
    a->next = s->asks;
    a->link = &s->asks;
    if (a->next)
        a->next->link = &a->next;
    s->asks = a;
}

static void delist(struct uas_ask *a)
{
    if (!a->link)
        return;
    *a->link = a->next;
    if (a->next)
        a->next->link = a->link;
    a->link = NULL;
    a->next = NULL;
}

/* Not given to the program yet: nobody will answer it. */
static bool waits(const struct uas_ask *a)
{
    return timer_running(&a->timer);
}

static void forget(struct uas_ask *a)
{
    a->session = NULL;
    if (a->server && waits(a)) {
        timer_stop(a->server->loop, &a->timer);
        delist(a);
        free_ask(a);
    }
}

void uas_ask_forget(struct uas_ask *a)
{
    if (a->ticket.link)
        uas_ticket_fault(&a->ticket, UA_BAD_SESSION_CLOSED);
    a->ticket.link = NULL;
    forget(a);
}

void uas_asks_link_gone(struct ua_server *s, const struct uas_link *l)
{
    for (struct uas_ask *a = s->asks, *next; a; a = next) {
        next = a->next;
        if (a->ticket.link != l)
            continue;
        a->ticket.link = NULL;
        if (a->session)
            a->session->ask = NULL;
        forget(a);
    }
}

void uas_asks_close(struct ua_server *s)
{
    while (s->asks) {
        struct uas_ask *a = s->asks;
        bool ours = waits(a);
        timer_stop(s->loop, &a->timer);
        delist(a);
        a->server = NULL;
        a->session = NULL;
        a->ticket.link = NULL;
        if (ours)
            free_ask(a);
    }
    mem_free(s->penalties);
    s->penalties = NULL;
}

/* ---- the answer ---- */

bool uas_same_user(const struct ua_server_user *a, const struct ua_server_user *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && memcmp(a->thumbprint, b->thumbprint, sizeof a->thumbprint) == 0;
}

/* Two certificates may have one name: who he is is said by both. */
static struct ua_server_user identity(const struct uas_ask *a, const struct ua_server_user *said)
{
    struct ua_server_user user = *said;
    memset(user.thumbprint, 0, sizeof user.thumbprint);
    if (a->ask.kind == UA_USER_CERTIFICATE)
        memcpy(user.thumbprint, a->certificate->thumbprint, sizeof user.thumbprint);
    return user;
}

static void log_refused(const struct uas_ask *a, ua_status status)
{
    char who[100], scratch[16];
    const char *kind = a->ask.kind == UA_USER_NAME ? "user " : a->ask.kind == UA_USER_CERTIFICATE ? "the certificate of " : "";
    struct bytes name = a->ask.kind == UA_USER_NAME       ? buf_bytes(&a->name)
                        : a->ask.kind == UA_USER_CERTIFICATE ? bytes_str(a->certificate->name)
                                                             : BYTES_LIT("an anonymous user");
    log_warn("opcua", "FG5314 %s at %s: %s%s is refused: %s", a->session ? a->session->name : "a session", a->address, kind,
             bytes_escape(name, who, sizeof who), ua_status_text(status, scratch));
}

static void answer_good(struct uas_ask *a, const struct ua_server_user *user)
{
    struct uas_session *x = a->session;
    struct ua_server *s = a->server;
    struct uas_link *l = a->ticket.link;
    if (a->ask.kind != UA_USER_ANONYMOUS) /* who proves nothing makes nothing good */
        forgive(s, a->address);
    s->io->random(s->io->self, x->nonce, sizeof x->nonce);
    ua_channel_allow(l->channel, UINT32_MAX);
    x->user = *user;
    x->active = true;
    uas_session_heard(x);
    if (x->link != l) {
        uas_session_detach(x);
        uas_session_attach(x, l);
    }
    log_debug("opcua", "FG5315 session %s at %s is active for %s", x->name, a->address, user->name);
    struct ua_sending sending;
    struct buf *out = uas_ticket_begin(&a->ticket, UA_ENCODING_activate_session_response, &sending);
    ua_write_string(out, bytes_of(x->nonce, sizeof x->nonce));
    buf_le32(out, 0); /* results */
    buf_le32(out, 0); /* diagnostics */
    ua_status status = uas_ticket_end(&a->ticket, &sending);
    if (status != UA_GOOD)
        uas_ticket_fault(&a->ticket, status);
}

static void settle(struct uas_ask *a, ua_status status, const struct ua_server_user *user)
{
    struct ua_server_user who = { 0 };
    if (status == UA_GOOD)
        who = identity(a, user);
    if (status == UA_GOOD && a->moved && !uas_same_user(&a->session->user, &who))
        status = UA_BAD_IDENTITY_TOKEN_REJECTED; /* [Part 4, 5.6.3.1]: a session does not change hands with its channel */
    if (status == UA_GOOD) {
        answer_good(a, &who);
        return;
    }
    if (a->ask.kind != UA_USER_ANONYMOUS && status != UA_BAD_OUT_OF_MEMORY)
        count_failure(a->server, a->address);
    log_refused(a, status);
    uas_ticket_fault(&a->ticket, status);
}

void ua_user_answer(struct ua_user_ask *ask, ua_status status, const struct ua_server_user *user)
{
    struct uas_ask *a = (struct uas_ask *)(void *)ask;
    delist(a);
    if (a->session)
        a->session->ask = NULL;
    if (a->server && a->session && a->ticket.link)
        settle(a, status, user);
    free_ask(a);
}

static void anonymous_answer(struct uas_ask *a)
{
    const struct ua_server_user nobody = { .name = "anonymous", .kind = UA_USER_ANONYMOUS };
    bool good = a->ask.kind == UA_USER_ANONYMOUS;
    ua_user_answer(&a->ask, good ? UA_GOOD : UA_BAD_IDENTITY_TOKEN_REJECTED, &nobody);
}

/* Only now: it costs a millisecond, which a stranger gets for nothing just so often. */
static ua_status open_password(struct uas_ask *a)
{
    const struct uas_session *x = a->session;
    struct bytes nonce = bytes_of(x->nonce, sizeof x->nonce);
    enum code c = ua_secret_decrypt(uas_user_policy(x->policy), a->server->options.own->key, buf_bytes(&a->cipher), nonce,
                                    &a->password, NULL);
    if (c == CODE_NOMEM)
        return UA_BAD_OUT_OF_MEMORY;
    return c == CODE_OK ? UA_GOOD : UA_BAD_IDENTITY_TOKEN_INVALID;
}

static void ask_now(struct uas_ask *a)
{
    const struct ua_user_check *check = &a->server->options.users;
    ua_status status = a->ask.kind == UA_USER_NAME ? open_password(a) : UA_GOOD;
    if (status != UA_GOOD) {
        ua_user_answer(&a->ask, status, NULL);
        return;
    }
    a->ask.name = buf_bytes(&a->name);
    a->ask.password = buf_bytes(&a->password);
    a->ask.certificate = a->certificate;
    if (check->ask)
        check->ask(check->ctx, &a->ask);
    else
        anonymous_answer(a);
}

static void on_timer(struct timer *t)
{
    ask_now((struct uas_ask *)(void *)((char *)t - offsetof(struct uas_ask, timer)));
}

static void begin_check(struct uas_ask *a)
{
    int64_t wait = a->ask.kind == UA_USER_ANONYMOUS ? 0 : wait_us(a->server, a->address);
    if (wait)
        timer_start(a->server->loop, &a->timer, wait / 1000 + 1, on_timer);
    else
        ask_now(a);
}

/* ---- tokens ---- */

bool uas_signature_good(const struct ua_policy *policy, EVP_PKEY *key, struct bytes a, struct bytes b,
                        const struct ua_signature_data *signature)
{
    return bytes_is(signature->algorithm, policy->sign_uri) && ua_rsa_verify(policy, key, a, b, signature->signature);
}

/* Signed over our certificate and the nonce we gave out last. What is signed over is the leaf; some sign over all we sent. */
static bool signed_for_us(const struct uas_session *x, const struct ua_policy *policy, EVP_PKEY *key,
                          const struct ua_signature_data *signature)
{
    const struct ua_certificate *own = x->server->options.own->certificate;
    struct bytes nonce = bytes_of(x->nonce, sizeof x->nonce);
    return uas_signature_good(policy, key, own->leaf, nonce, signature) ||
           (own->der.len != own->leaf.len && uas_signature_good(policy, key, own->der, nonce, signature));
}

static bool policy_named(const struct uas_request *r, enum ua_user_token kind, struct bytes id)
{
    char expected[64];
    uas_policy_id(expected, kind, uas_user_policy(ua_channel_policy(r->link->channel)));
    return bytes_is(id, expected);
}

static ua_status take_anonymous(struct uas_request *r, struct uas_ask *a, const struct ua_anonymous_identity_token *t)
{
    a->ask.kind = UA_USER_ANONYMOUS;
    if (!r->server->options.anonymous)
        return UA_BAD_IDENTITY_TOKEN_REJECTED;
    return !t || !t->policy_id.len || policy_named(r, UA_USER_ANONYMOUS, t->policy_id) ? UA_GOOD : UA_BAD_IDENTITY_TOKEN_INVALID;
}

static ua_status take_name(struct uas_request *r, struct uas_ask *a, const struct ua_user_name_identity_token *t)
{
    const struct ua_policy *policy = uas_user_policy(ua_channel_policy(r->link->channel));
    a->ask.kind = UA_USER_NAME;
    if (!r->server->options.user_names)
        return UA_BAD_IDENTITY_TOKEN_REJECTED;
    if (!policy_named(r, UA_USER_NAME, t->policy_id) || !bytes_is(t->encryption_algorithm, policy->encrypt_uri) ||
        !t->user_name.len)
        return UA_BAD_IDENTITY_TOKEN_INVALID;
    if (t->user_name.len > NAME_BYTES_MAX || t->password.len > CIPHER_BYTES_MAX)
        return UA_BAD_IDENTITY_TOKEN_INVALID;
    buf_add_bytes(&a->name, t->user_name);
    buf_add_bytes(&a->cipher, t->password);
    return a->name.bad || a->cipher.bad ? UA_BAD_OUT_OF_MEMORY : UA_GOOD;
}

static ua_status take_certificate(struct uas_request *r, struct uas_ask *a, const struct ua_x509_identity_token *t,
                                  const struct ua_signature_data *signature)
{
    const struct ua_policy *policy = uas_user_policy(ua_channel_policy(r->link->channel));
    a->ask.kind = UA_USER_CERTIFICATE;
    if (!r->server->options.certificates)
        return UA_BAD_IDENTITY_TOKEN_REJECTED;
    if (!policy_named(r, UA_USER_CERTIFICATE, t->policy_id))
        return UA_BAD_IDENTITY_TOKEN_INVALID;
    enum code c = ua_certificate_read(&a->certificate, t->certificate_data, NULL);
    if (c)
        return c == CODE_NOMEM ? UA_BAD_OUT_OF_MEMORY : UA_BAD_IDENTITY_TOKEN_INVALID;
    if (!a->certificate->key || !ua_rsa_fits(a->certificate->key))
        return UA_BAD_IDENTITY_TOKEN_INVALID;
    return signed_for_us(a->session, policy, a->certificate->key, signature) ? UA_GOOD : UA_BAD_USER_SIGNATURE_INVALID;
}

/* What kind of token it is, and whether it is one. */
static ua_status take_token(struct uas_request *r, struct uas_ask *a, const struct ua_activate_session_request *q)
{
    union {
        struct ua_anonymous_identity_token anonymous;
        struct ua_user_name_identity_token name;
        struct ua_x509_identity_token x509;
        struct ua_issued_identity_token issued;
    } t = { { BYTES_NONE } };
    const struct ua_extension_object *o = &q->user_identity_token;
    if (o->kind == UA_BODY_NONE && ua_node_id_is_null(&o->type))
        return take_anonymous(r, a, NULL); /* [Part 4, 5.6.3.2] */
    if (ua_object_read(&r->in, o, &ua_anonymous_identity_token_type, &t.anonymous))
        return take_anonymous(r, a, &t.anonymous);
    if (ua_object_read(&r->in, o, &ua_user_name_identity_token_type, &t.name))
        return take_name(r, a, &t.name);
    if (ua_object_read(&r->in, o, &ua_x509_identity_token_type, &t.x509))
        return take_certificate(r, a, &t.x509, &q->user_token_signature);
    if (ua_object_read(&r->in, o, &ua_issued_identity_token_type, &t.issued))
        return UA_BAD_IDENTITY_TOKEN_REJECTED;
    return UA_BAD_IDENTITY_TOKEN_INVALID;
}

/* ---- the service ---- */

/* Whether this channel may have the session. */
static ua_status check_channel(const struct uas_request *r, const struct uas_session *x)
{
    if (x->link == r->link)
        return UA_GOOD;
    if (!x->active)
        return UA_BAD_SECURE_CHANNEL_ID_INVALID;
    const struct ua_certificate *peer = ua_channel_peer(r->link->channel);
    bool same = x->policy == ua_channel_policy(r->link->channel) && x->mode == ua_channel_mode(r->link->channel) &&
                !peer == !x->certificate && (!peer || ua_certificate_equal(peer, x->certificate));
    return same ? UA_GOOD : UA_BAD_SECURITY_CHECKS_FAILED;
}

static ua_status check_activate(struct uas_request *r, struct uas_session *x, const struct ua_activate_session_request *q)
{
    ua_status status = check_channel(r, x);
    if (status != UA_GOOD)
        return status;
    if (x->ask)
        return UA_BAD_INVALID_STATE; /* one at a time */
    const struct ua_certificate *peer = ua_channel_peer(r->link->channel);
    if (peer && !signed_for_us(x, x->policy, peer->key, &q->client_signature))
        return UA_BAD_APPLICATION_SIGNATURE_INVALID;
    return UA_GOOD;
}

void uas_activate_session(struct uas_request *r)
{
    struct ua_activate_session_request q;
    if (!uas_read(r, &ua_activate_session_request_type, &q))
        return;
    struct ua_server *s = r->server;
    struct uas_session *x = uas_session_find(r->link, &r->header.authentication_token);
    ua_status status = x ? check_activate(r, x, &q) : UA_BAD_SESSION_ID_INVALID;
    if (status == UA_GOOD && !s->penalties) {
        s->penalties = mem_zalloc(PENALTIES, sizeof *s->penalties);
        if (!s->penalties)
            status = UA_BAD_OUT_OF_MEMORY;
    }
    struct uas_ask *a = status == UA_GOOD ? make_ask(r, x) : NULL;
    if (status == UA_GOOD)
        status = a ? take_token(r, a, &q) : UA_BAD_OUT_OF_MEMORY;
    if (status == UA_GOOD) {
        enlist(a, r);
        begin_check(a);
        return;
    }
    if (a) {
        if (status == UA_BAD_USER_SIGNATURE_INVALID)
            count_failure(s, a->address);
        free_ask(a);
    }
    uas_fault(r, status);
}
