/* users.c - who may in, and what he may there, by `opcua.server`. */
#include "base/log.h"
#include "mirror/mirror_private.h"
#include "opcua/status.h"

#include <stdio.h>

enum { NAME_BYTES = 100 };

static void grant(struct ua_user_ask *ask, enum settings_opcua_right right, const char *name)
{
    struct ua_server_user user = { .kind = (uint8_t)ask->kind, .may_write = right == OPCUA_WRITE };
    (void)snprintf(user.name, sizeof user.name, "%s", name);
    ua_user_answer(ask, right == OPCUA_NOTHING ? UA_BAD_IDENTITY_TOKEN_REJECTED : UA_GOOD, &user);
}

/* The name goes into the principal of what he writes: it is that of the user, or he is not let in. */
static void ask_name(struct mirror *m, struct ua_user_ask *ask)
{
    struct ua_server_user user = { .kind = UA_USER_NAME, .may_write = m->settings->opcua.server.users == OPCUA_WRITE };
    (void)bytes_escape(ask->name, user.name, sizeof user.name);
    bool plain = ask->name.len <= NAME_BYTES && bytes_is(ask->name, user.name);
    if (!m->settings->opcua.server.users || !m->config.login)
        ua_user_answer(ask, UA_BAD_IDENTITY_TOKEN_REJECTED, &user);
    else if (!plain)
        ua_user_answer(ask, UA_BAD_USER_ACCESS_DENIED, &user);
    else
        m->config.login(m->config.ctx, m->loop, ask, &user);
}

static void ask_certificate(struct mirror *m, struct ua_user_ask *ask)
{
    struct fault why;
    const struct io *io = m->config.io;
    enum settings_opcua_right right = m->settings->opcua.server.certificates;
    struct ua_trust_question q = { .kind = UA_PEER_USER, .who = ask->address, .wall_us = io->wall_us(io->self) };
    bool fits = strlen(ask->certificate->name) <= NAME_BYTES;
    if (right && m->user_trust && fits && !ua_is_bad(ua_trust_verify(m->user_trust, ask->certificate, &q, &why))) {
        grant(ask, right, ask->certificate->name);
        return;
    }
    if (right && m->user_trust && fits)
        log_warn("opcua", "FG%04d %s", why.number ? why.number : 5408, why.text);
    grant(ask, OPCUA_NOTHING, "");
}

void mirror_ask(void *mirror, struct ua_user_ask *ask)
{
    struct mirror *m = mirror;
    if (ask->kind == UA_USER_ANONYMOUS)
        grant(ask, m->settings->opcua.server.anonymous, "anonymous");
    else if (ask->kind == UA_USER_NAME)
        ask_name(m, ask);
    else
        ask_certificate(m, ask);
}

ua_status mirror_verify(void *mirror, struct ua_certificate *peer, struct fault *why)
{
    struct mirror *m = mirror;
    const struct io *io = m->config.io;
    struct ua_trust_question q = { .kind = UA_PEER_CLIENT, .who = "an OPC UA client", .wall_us = io->wall_us(io->self) };
    return ua_trust_verify(ua_pki_trust(m->pki), peer, &q, why);
}
