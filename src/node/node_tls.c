/* node_tls.c - which certificate each listener shows, and the one moment in which all of them change. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"

enum { CHANGED = 2125, NOT_TAKEN = 2126 };

/* ---- one set: a server for each listener of the settings ---- */

static void drop_set(struct tls_server **set, size_t count)
{
    for (size_t i = 0; set && i < count; i++)
        tls_server_drop(set[i]);
    mem_free(set);
}

static enum code load_one(struct node *n, const struct settings_listener *l, size_t which, struct tls_server **out,
                          struct fault *why)
{
    static const enum tls_ask asks[] = { [CLIENT_CERTIFICATE_NONE] = TLS_ASK_NONE,
                                         [CLIENT_CERTIFICATE_OPTIONAL] = TLS_ASK_OPTIONAL,
                                         [CLIENT_CERTIFICATE_REQUIRED] = TLS_ASK_REQUIRED };
    struct tls_server_options o = {
        .chain = l->chain,
        .key = l->key,
        .client_ca = l->client_ca,
        .ask = asks[l->client_certificate],
        .alpn = l->type == LISTENER_MQTTS ? "mqtt" : "http/1.1",
    };
    struct fault inner;
    enum code code = tls_server_load(out, n->options.io, &o, &inner);
    if (code != CODE_OK)
        return FAIL_FG(why, code, inner.number, "%s (listeners[%zu])", inner.text, which);
    return CODE_OK;
}

static enum code load_set(struct node *n, const struct settings *s, struct tls_server ***out, struct fault *why)
{
    struct tls_server **set = mem_zalloc(s->listener_count + 1, sizeof *set);
    enum code code = set ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for certificates");
    for (size_t i = 0; i < s->listener_count && code == CODE_OK; i++)
        if (settings_is_tls(&s->listeners[i]))
            code = load_one(n, &s->listeners[i], i, &set[i], why);
    if (code == CODE_OK)
        *out = set;
    else
        drop_set(set, s->listener_count);
    return code;
}

void tls_show(struct node *n, size_t which, size_t slot)
{
    struct tls_server *s = which < n->tls_count ? n->tls[which] : NULL;
    listener_set_tls(n->sockets.listeners[slot], s);
    n->sockets.addresses[slot].certificate_ends_s = s ? tls_server_not_after_s(s) : 0;
}

/* ---- files that change ---- */

static void files_changed(void *ctx)
{
    struct node *n = ctx;
    struct tls_stage stage;
    struct fault why;
    enum code code = tls_prepare(n, n->options.settings, &stage, &why);
    if (code == CODE_OK)
        tls_commit(n, &stage);
    if (code == CODE_OK)
        log_info("tls", "FG%04d changed certificates are shown to new connections", CHANGED);
    else
        log_error("tls", "FG%04d changed certificates are not taken, those from before stay: FG%04d %s", NOT_TAKEN,
                  why.number, why.text);
}

static enum code watch(struct node *n, const struct settings *s, struct tls_watch **out, struct fault *why)
{
    size_t count = 0;
    const char **paths = mem_zalloc(3 * s->listener_count + 1, sizeof *paths);
    if (!paths)
        return FAIL(why, CODE_NOMEM, 0, "no memory for certificates");
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct settings_listener *l = &s->listeners[i];
        if (!settings_is_tls(l))
            continue;
        paths[count++] = l->chain;
        paths[count++] = l->key;
        if (l->client_ca[0])
            paths[count++] = l->client_ca;
    }
    *out = NULL;
    enum code code = CODE_OK;
    if (count)
        code = tls_watch_open(out, n->loops[0], n->options.io, paths, count, files_changed, n, why);
    mem_free(paths);
    return code;
}

enum code tls_prepare(struct node *n, const struct settings *s, struct tls_stage *out, struct fault *why)
{
    *out = (struct tls_stage){ .count = s->listener_count };
    /* The files are noted before they are read: what changes in between is seen. */
    enum code code = watch(n, s, &out->watch, why);
    if (code != CODE_OK)
        return code;
    code = load_set(n, s, &out->set, why);
    if (code != CODE_OK)
        tls_discard(out);
    return code;
}

void tls_discard(struct tls_stage *g)
{
    tls_watch_close(g->watch);
    drop_set(g->set, g->count);
    *g = (struct tls_stage){ 0 };
}

void tls_commit(struct node *n, struct tls_stage *g)
{
    const struct settings *s = n->options.settings;
    struct tls_stage old = { n->tls, n->tls_count, n->tls_watch };
    n->tls = g->set;
    n->tls_count = g->count;
    n->tls_watch = g->watch;
    *g = (struct tls_stage){ 0 };
    tls_discard(&old);
    size_t slot = 0;
    for (size_t i = 0; i < s->listener_count; i++)
        for (size_t k = 0; k < s->listeners[i].at_count; k++, slot++)
            if (slot < n->sockets.count && n->sockets.listeners[slot])
                tls_show(n, i, slot);
}

/* ---- life ---- */

enum code tls_open(struct node *n, struct fault *why)
{
    struct tls_stage stage;
    enum code code = tls_prepare(n, n->options.settings, &stage, why);
    if (code == CODE_OK)
        tls_commit(n, &stage);
    return code;
}

void tls_close(struct node *n)
{
    struct tls_stage last = { n->tls, n->tls_count, n->tls_watch };
    tls_discard(&last);
    n->tls_watch = NULL;
    n->tls = NULL;
    n->tls_count = 0;
}
