#include "node/node_private.h"

#include "base/mem.h"

#include <stdio.h>

static const char *const type_names[] = {
    [LISTENER_MQTT] = "mqtt", [LISTENER_HTTP] = "http", [LISTENER_MQTTS] = "mqtts", [LISTENER_HTTPS] = "https"
};

static void accept_mqtt(void *ctx, const struct net_peer *peer)
{
    struct node *n = ctx;
    broker_accept(n->broker, peer);
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

enum code listen_prepare(struct node *n, struct fault *why)
{
    const struct settings *s = n->options.settings;
    for (size_t i = 0; i < s->listener_count; i++)
        n->address_count += s->listeners[i].at_count;
    n->listeners = mem_zalloc(n->address_count + 1, sizeof(struct listener *));
    n->addresses = mem_zalloc(n->address_count + 1, sizeof n->addresses[0]);
    if (!n->listeners || !n->addresses)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu listeners", n->address_count);
    return tls_open(n, why);
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

static enum code listen_one(struct node *n, size_t which, const struct settings_listener *l, const char *at,
                            size_t slot, struct fault *why)
{
    accept_fn accept = settings_is_mqtt(l) ? accept_mqtt : api_accept_public;
    void *ctx = settings_is_mqtt(l) ? (void *)n : (void *)n->api;
    struct fault inner;
    enum code code = net_listen(&n->listeners[slot], n->loops[0], at, accept, ctx, &inner);
    if (code == CODE_EXISTS)
        return taken(&inner, which, why);
    if (code != CODE_OK)
        return FAIL_FG(why, code, 1001, "%s. It is set in listeners[%zu].at.", inner.text, which);
    listener_set_door(n->listeners[slot], (uint16_t)which);
    tls_show(n, which, slot);
    n->addresses[slot].type = type_names[l->type];
    n->addresses[slot].address = mem_strdup(listener_address(n->listeners[slot]));
    if (!n->addresses[slot].address)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a listener");
    return CODE_OK;
}

static enum code listen_control(struct node *n, size_t slot, struct fault *why)
{
    char path[NODE_SOCKET_MAX], at[NODE_SOCKET_MAX + 8];
    enum code code = node_socket(n->data_dir, path, why);
    if (code != CODE_OK)
        return code;
    (void)snprintf(at, sizeof at, "unix:%s", path);
    return net_listen(&n->listeners[slot], n->loops[0], at, api_accept_control, n->api, why);
}

enum code listen_all(struct node *n, struct fault *why)
{
    const struct settings *s = n->options.settings;
    size_t slot = 0;
    for (size_t i = 0; i < s->listener_count; i++)
        for (size_t k = 0; k < s->listeners[i].at_count; k++) {
            enum code code = listen_one(n, i, &s->listeners[i], s->listeners[i].at[k].text, slot++, why);
            if (code != CODE_OK)
                return code;
        }
    return listen_control(n, slot, why);
}

void listen_end(struct node *n)
{
    for (size_t i = 0; n->listeners && i <= n->address_count; i++) {
        if (n->listeners[i])
            listener_close(n->listeners[i]);
        n->listeners[i] = NULL;
    }
    tls_close(n);
}

void listen_free(struct node *n)
{
    for (size_t i = 0; n->addresses && i < n->address_count; i++)
        mem_free((void *)(uintptr_t)n->addresses[i].address);
    mem_free(n->addresses);
    mem_free(n->listeners);
}

void node_each_listener(const struct node *n, void (*each)(void *, const char *, const char *), void *ctx)
{
    for (size_t i = 0; i < n->address_count; i++)
        each(ctx, n->addresses[i].type, n->addresses[i].address);
}
