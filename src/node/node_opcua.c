/* node_opcua.c - what the node does with OPC UA: its certificate and whom it trusts, the publisher, and the server. Both wait for loops: all of
 * this is done on the pool, in the works of node_flow.c. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "identity/access.h"
#include "identity/auth.h"
#include "opcua/status.h"
#include "opcua/pki.h"
#include "publisher/publisher.h"

#include <stdio.h>

struct node_opcua {
    struct ua_pki *pki;
    char *nodes, *options, *topic; /* of the publisher that runs */
};

/* Without it, servers without security can be read all the same. */
static void open_store(struct node *n, struct node_opcua *o)
{
    struct fault why;
    if (!o->pki && ua_pki_open(&o->pki, n->options.io, n->data_dir, NULL, &why) != CODE_OK)
        log_error("opcua", "FG5267 the OPC UA certificates cannot be used: %s. Servers that want security cannot be read", why.text);
}

/* ---- the publisher ---- */

static bool same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static bool keep(char **at, const char *text)
{
    mem_free(*at);
    *at = mem_strdup(text);
    return *at;
}

static void forget(struct node_opcua *o)
{
    mem_free(o->nodes);
    mem_free(o->options);
    mem_free(o->topic);
    o->nodes = o->options = o->topic = NULL;
}

static enum code open_publisher(struct node *n, struct node_opcua *o, const struct settings *s, struct fault *why)
{
    struct publisher *p = NULL;
    open_store(n, o);
    char keep_dir[IO_PATH_MAX];
    (void)snprintf(keep_dir, sizeof keep_dir, "%s/opcua", n->data_dir);
    struct publisher_config config = { .broker = n->broker, .journal = n->journal, .io = n->options.io, .version = n->options.version,
                                       .site = s->site, .nodes_path = s->opcua.published_nodes, .options = s->opcua.options,
                                       .topic = s->opcua.topic, .keep_dir = keep_dir, .own = o->pki ? ua_pki_own(o->pki) : NULL,
                                       .trust = o->pki ? ua_pki_trust(o->pki) : NULL };
    enum code code = publisher_open(&p, &config, why);
    if (code == CODE_OK)
        (void)publisher_put(n->seat, p);
    return code;
}

/* ---- the server: its users are the node's ---- */

struct login {
    struct ua_user_ask   *ask;
    struct ua_server_user as;
};

static void answer(struct login *l, const struct auth_answer *a)
{
    ua_status status = a->verdict == AUTH_GRANTED ? UA_GOOD : a->verdict == AUTH_BUSY ? UA_BAD_TCP_SERVER_TOO_BUSY : UA_BAD_USER_ACCESS_DENIED;
    if (a->verdict == AUTH_GRANTED)
        principal_drop(a->principal);
    ua_user_answer(l->ask, status, &l->as);
    mem_free(l);
}

static void logged_in(void *ctx, const struct auth_answer *a)
{
    answer(ctx, a);
}

static bool is_here(const char *address)
{
    return !strncmp(address, "127.", 4) || !strncmp(address, "[::1]", 5);
}

static void login(void *ctx, struct loop *loop, struct ua_user_ask *ask, const struct ua_server_user *as)
{
    struct node *n = ctx;
    struct auth_answer now;
    struct login *l = mem_alloc(sizeof *l);
    if (!l) {
        ua_user_answer(ask, UA_BAD_OUT_OF_MEMORY, as);
        return;
    }
    *l = (struct login){ ask, *as };
    struct auth_ask asked = { .door = AUTH_DOOR_USERS, .loopback = is_here(ask->address), .has_user = true, .has_password = true,
                              .address = ask->address, .user = ask->name, .password = ask->password };
    if (auth_check(n->auth, loop, &asked, &now, logged_in, l))
        answer(l, &now);
}

/* A user who is not there any more may no more either; who came with a certificate never had to be. */
static bool may_publish(void *ctx, const struct ua_server_user *user, struct bytes principal, struct bytes topic)
{
    struct node *n = ctx;
    struct access *a = auth_access(n->auth);
    struct subject who = access_subject(a, principal, BYTES_NONE);
    bool may = access_publish(a, &who, topic) && (user->kind != UA_USER_NAME || access_knows(a, principal));
    access_drop(a);
    return may;
}

enum code opcua_open(struct node *n, struct fault *why)
{
    struct mirror_config config = { .broker = n->broker, .io = n->options.io, .version = n->options.version, .data_dir = n->data_dir,
                                    .login = login, .may_publish = may_publish, .ctx = n };
    return mirror_new(&n->mirror, &config, why);
}

static void change_server(struct node *n, struct node_opcua *o, const struct settings *s)
{
    struct fault why;
    if (s->opcua.server.at.count)
        open_store(n, o);
    if (mirror_change(n->mirror, s, o->pki, &why) != CODE_OK)
        log_error("opcua", "FG%04d this node is no OPC UA server: %s. A reload tries again", why.number ? why.number : 5403, why.text);
}

static void change_publisher(struct node *n, struct node_opcua *o, const struct settings *s)
{
    struct fault why;
    bool wanted = s->opcua.published_nodes[0] || s->opcua.options[0];
    if (same(o->nodes, s->opcua.published_nodes) && same(o->options, s->opcua.options) && same(o->topic, s->opcua.topic))
        return;
    publisher_close(publisher_put(n->seat, NULL));
    forget(o);
    if (!wanted)
        return;
    if (open_publisher(n, o, s, &why) != CODE_OK) {
        log_error("opcua", "FG%04d the OPC publisher does not run: %s", why.number ? why.number : 5268, why.text);
        return;
    }
    if (!keep(&o->nodes, s->opcua.published_nodes) || !keep(&o->options, s->opcua.options) || !keep(&o->topic, s->opcua.topic))
        forget(o); /* the next change begins it anew */
}

void opcua_change(struct node *n, const struct settings *s)
{
    if (!n->opcua)
        n->opcua = mem_zalloc(1, sizeof *n->opcua);
    if (!n->opcua)
        return;
    change_server(n, n->opcua, s);
    change_publisher(n, n->opcua, s);
}

void opcua_stop(struct node *n)
{
    mirror_stop(n->mirror);
    publisher_close(publisher_put(n->seat, NULL));
    if (n->opcua)
        forget(n->opcua);
}

void opcua_free(struct node *n)
{
    mirror_free(n->mirror);
    publisher_seat_free(n->seat);
    if (!n->opcua)
        return;
    forget(n->opcua);
    ua_pki_close(n->opcua->pki);
    mem_free(n->opcua);
}
