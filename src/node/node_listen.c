#include "node/node_private.h"

#include "base/mem.h"

#include <stdio.h>

static const char *const type_names[] = {
    [LISTENER_MQTT] = "mqtt", [LISTENER_HTTP] = "http", [LISTENER_MQTTS] = "mqtts", [LISTENER_HTTPS] = "https"
};

/* ---- whoever comes before the jobs, routes and actions of the settings are there waits: they would not hear him ---- */

enum { EARLY_MAX = 4096 };

struct early {
    struct early   *next;
    struct net_peer peer;
    bool            mqtt;
};

static void serve(struct node *n, const struct net_peer *peer, bool mqtt)
{
    if (mqtt)
        broker_accept(n->broker, peer);
    else
        api_accept_public(n->api, peer);
}

static void keep_early(struct node *n, const struct net_peer *peer, bool mqtt)
{
    struct early *e = n->early_count < EARLY_MAX ? mem_alloc(sizeof *e) : NULL;
    if (!e) {
        net_peer_refuse(peer);
        return;
    }
    *e = (struct early){ .peer = *peer, .mqtt = mqtt };
    *(n->early ? n->early_end : &n->early) = e;
    n->early_end = &e->next;
    n->early_count++;
}

static void forget_early(struct node *n, bool serves)
{
    while (n->early) {
        struct early *e = n->early;
        n->early = e->next;
        if (serves)
            serve(n, &e->peer, e->mqtt);
        else
            net_peer_refuse(&e->peer);
        mem_free(e);
    }
    n->early_count = 0;
}

void listen_serve(struct node *n)
{
    n->serving = true;
    forget_early(n, true);
}

static void accept_mqtt(void *ctx, const struct net_peer *peer)
{
    struct node *n = ctx;
    if (n->serving)
        broker_accept(n->broker, peer);
    else
        keep_early(n, peer, true);
}

static void accept_http(void *ctx, const struct net_peer *peer)
{
    struct node *n = ctx;
    if (n->serving)
        api_accept_public(n->api, peer);
    else
        keep_early(n, peer, false);
}

enum code node_socket(const char *data_dir, char out[NODE_SOCKET_MAX], struct fault *why)
{
    char absolute[DATA_PATH_MAX];
    enum code code = data_absolute(data_dir, absolute, why);
    if (code != CODE_OK)
        return code;
    if (strlen(absolute) + sizeof "/api.sock" > NODE_SOCKET_MAX)
        return FAIL_FG(why, CODE_LIMIT, 1003,
                       "the data directory's path has %zu bytes, at most %zu are possible: the system takes "
                       "no longer name "
                       "for its control socket. Choose a shorter one, or a symbolic link.",
                       strlen(absolute), NODE_SOCKET_MAX - sizeof "/api.sock");
    memcpy(out, absolute, strlen(absolute));
    memcpy(out + strlen(absolute), "/api.sock", sizeof "/api.sock");
    return CODE_OK;
}

/* Room for the sockets of `s` and the control socket. */
static enum code sockets_make(const struct settings *s, struct sockets *out, struct fault *why)
{
    size_t count = 0;
    for (size_t i = 0; i < s->listener_count; i++)
        count += s->listeners[i].at_count;
    *out = (struct sockets){
        .listeners = mem_zalloc(count + 1, sizeof(struct listener *)),
        .addresses = mem_zalloc(count + 1, sizeof out->addresses[0]),
        .count = count,
    };
    if (out->listeners && out->addresses)
        return CODE_OK;
    mem_free(out->listeners);
    mem_free(out->addresses);
    *out = (struct sockets){ 0 };
    return FAIL(why, CODE_NOMEM, 0, "no memory for %zu listeners", count);
}

static void sockets_free(struct sockets *s)
{
    for (size_t i = 0; s->addresses && i < s->count; i++)
        mem_free((void *)(uintptr_t)s->addresses[i].address);
    mem_free(s->addresses);
    mem_free(s->listeners);
    *s = (struct sockets){ 0 };
}

/* Calls each(ctx, which listener, its address, slot) until one fails. */
static enum code each_address(const struct settings *s,
                              enum code (*each)(void *ctx, size_t which, const char *at, size_t slot), void *ctx)
{
    enum code code = CODE_OK;
    size_t slot = 0;
    for (size_t i = 0; i < s->listener_count && code == CODE_OK; i++)
        for (size_t k = 0; k < s->listeners[i].at_count && code == CODE_OK; k++)
            code = each(ctx, i, s->listeners[i].at[k].text, slot++);
    return code;
}

enum code listen_prepare(struct node *n, struct fault *why)
{
    enum code code = doors_make(n->options.settings, NULL, NULL, &n->doors, why);
    if (code == CODE_OK)
        code = sockets_make(n->options.settings, &n->sockets, why);
    return code == CODE_OK ? tls_open(n, why) : code;
}

/* "127.0.0.1:1883 is taken by mosquitto (pid 812)." and what the person can do about it here. */
static enum code taken(const struct fault *inner, size_t which, struct fault *why)
{
    const char *text = inner->text, *advice = strstr(text, " Stop it");
    if (strncmp(text, "FG1002 ", 7) == 0)
        text += 7;
    return FAIL_FG(why, CODE_EXISTS, 1002, "%.*s Stop it, or set listeners[%zu].at.",
                   advice ? (int)(advice - text) : (int)strlen(text), text, which);
}

static enum code open_one(struct node *n, struct sockets *to, size_t which, const char *at, size_t slot, struct fault *why)
{
    struct fault inner;
    enum code code = net_listen(&to->listeners[slot], n->loops[0], at, accept_mqtt, n, &inner);
    if (code == CODE_EXISTS)
        return taken(&inner, which, why);
    if (code != CODE_OK)
        return FAIL_FG(why, code, 1001, "%s. It is set in listeners[%zu].at.", inner.text, which);
    return CODE_OK;
}

static enum code note_address(struct sockets *to, const struct settings_listener *l, size_t slot, struct fault *why)
{
    to->addresses[slot].type = type_names[l->type];
    to->addresses[slot].address = mem_strdup(listener_address(to->listeners[slot]));
    return to->addresses[slot].address ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for a listener");
}

/* The socket in the slot serves as its listener in the settings says. */
static void serve_one(struct node *n, size_t which, size_t slot)
{
    bool mqtt = settings_is_mqtt(&n->options.settings->listeners[which]);
    listener_set_accept(n->sockets.listeners[slot], mqtt ? accept_mqtt : accept_http, n);
    listener_set_door(n->sockets.listeners[slot], n->doors.of[which]);
    tls_show(n, which, slot);
}

static enum code listen_control(struct node *n, size_t slot, struct fault *why)
{
    char path[NODE_SOCKET_MAX], at[NODE_SOCKET_MAX + 8];
    enum code code = node_socket(n->data_dir, path, why);
    if (code != CODE_OK)
        return code;
    (void)snprintf(at, sizeof at, "unix:%s", path);
    return net_listen(&n->sockets.listeners[slot], n->loops[0], at, api_accept_control, n->api, why);
}

struct opening {
    struct node  *node;
    struct fault *why;
};

static enum code open_and_serve(void *ctx, size_t which, const char *at, size_t slot)
{
    const struct opening *o = ctx;
    struct node *n = o->node;
    enum code code = open_one(n, &n->sockets, which, at, slot, o->why);
    if (code == CODE_OK)
        code = note_address(&n->sockets, &n->options.settings->listeners[which], slot, o->why);
    if (code == CODE_OK)
        serve_one(n, which, slot);
    return code;
}

enum code listen_all(struct node *n, struct fault *why)
{
    struct opening o = { n, why };
    struct api_view view;
    enum code code = each_address(n->options.settings, open_and_serve, &o);
    if (code == CODE_OK)
        code = listen_control(n, n->sockets.count, why);
    view = listen_view(n);
    api_change(n->api, &view);
    return code;
}

/* ---- other ones while the node runs ---- */

struct staging {
    struct node           *node;
    const struct settings *settings;
    struct listen_stage   *stage;
    const char           **now; /* the written address of each slot that there is */
    struct fault          *why;
};

static enum code note_text(void *ctx, size_t which, const char *at, size_t slot)
{
    const char **now = ctx;
    (void)which;
    now[slot] = at;
    return CODE_OK;
}

static enum code stage_one(void *ctx, size_t which, const char *at, size_t slot)
{
    const struct staging *g = ctx;
    const struct sockets *now = &g->node->sockets;
    struct sockets *to = &g->stage->sockets;
    size_t from = 0;
    while (from < now->count && (g->stage->kept[from] || strcmp(g->now[from], at) != 0))
        from++;
    if (from < now->count) {
        g->stage->kept[from] = true;
        to->listeners[slot] = now->listeners[from];
    } else {
        enum code code = open_one(g->node, to, which, at, slot, g->why);
        if (code != CODE_OK)
            return code;
        g->stage->fresh[slot] = true;
    }
    return note_address(to, &g->settings->listeners[which], slot, g->why);
}

static enum code stage_all(struct node *n, const struct settings *s, struct listen_stage *out, struct fault *why)
{
    struct staging g = { n, s, out, mem_zalloc(n->sockets.count + 1, sizeof *g.now), why };
    if (!g.now)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the listeners");
    (void)each_address(n->options.settings, note_text, g.now);
    /* 0.0.0.0:1883 instead of 127.0.0.1:1883: both are there for a moment. */
    loop_share_addresses(n->loops[0], true);
    enum code code = each_address(s, stage_one, &g);
    loop_share_addresses(n->loops[0], false);
    mem_free(g.now);
    return code;
}

enum code listen_stage(struct node *n, const struct settings *s, struct listen_stage *out, struct fault *why)
{
    *out = (struct listen_stage){ 0 };
    enum code code = sockets_make(s, &out->sockets, why);
    if (code != CODE_OK)
        return code;
    out->kept = mem_zalloc(n->sockets.count + 1, sizeof *out->kept);
    out->fresh = mem_zalloc(out->sockets.count + 1, sizeof *out->fresh);
    code = out->kept && out->fresh ? stage_all(n, s, out, why) : FAIL(why, CODE_NOMEM, 0, "no memory for the listeners");
    if (code != CODE_OK)
        listen_discard(n, out);
    return code;
}

static void stage_clear(struct listen_stage *g)
{
    sockets_free(&g->sockets);
    mem_free(g->kept);
    mem_free(g->fresh);
    *g = (struct listen_stage){ 0 };
}

void listen_discard(struct node *n, struct listen_stage *g)
{
    (void)n;
    for (size_t i = 0; g->fresh && i < g->sockets.count; i++)
        if (g->fresh[i])
            listener_close(g->sockets.listeners[i]);
    stage_clear(g);
}

static enum code serve_again(void *ctx, size_t which, const char *at, size_t slot)
{
    (void)at;
    serve_one(ctx, which, slot);
    return CODE_OK;
}

void listen_commit(struct node *n, struct listen_stage *g)
{
    struct sockets old = n->sockets;
    g->sockets.listeners[g->sockets.count] = old.listeners[old.count]; /* the control socket */
    for (size_t i = 0; i < old.count; i++)
        if (!g->kept[i]) {
            listener_accept_waiting(old.listeners[i]); /* they came while it was open */
            listener_close(old.listeners[i]);
        }
    n->sockets = g->sockets;
    g->sockets = old;
    stage_clear(g);
    (void)each_address(n->options.settings, serve_again, n);
}

struct api_view listen_view(const struct node *n)
{
    return (struct api_view){
        .settings = n->options.settings,
        .doors = n->doors.at,
        .door_count = n->doors.count,
        .listeners = n->sockets.addresses,
        .listener_count = n->sockets.count,
    };
}

void listen_end(struct node *n)
{
    for (size_t i = 0; n->sockets.listeners && i <= n->sockets.count; i++) {
        if (n->sockets.listeners[i])
            listener_close(n->sockets.listeners[i]);
        n->sockets.listeners[i] = NULL;
    }
    forget_early(n, false);
    tls_close(n);
}

void listen_free(struct node *n)
{
    sockets_free(&n->sockets);
    doors_clear(&n->doors);
}

void node_each_listener(const struct node *n, void (*each)(void *, const char *, const char *), void *ctx)
{
    for (size_t i = 0; i < n->sockets.count; i++)
        each(ctx, n->sockets.addresses[i].type, n->sockets.addresses[i].address);
}
