/* mirror.c - the mirror's loop and thread, its server, and what is seen of it from outside. */
#include "base/log.h"
#include "base/mem.h"
#include "mirror/mirror_private.h"
#include "opcua/policy.h"

#include <inttypes.h>
#include <stdio.h>

#ifdef FG_TEST
enum { STACK_BYTES = 4 << 20 };
#else
enum { STACK_BYTES = 1 << 20 };
#endif
enum { SWEEP_MS = 500, SCRATCH_BYTES = 4 << 20, HIGH = 20000 };
#define CONSUMER "opcua/mirror"
#define NAMESPACE_URI "urn:fieldgate:variables"

/* ---- errands: something to be done on the loop, for a thread that waits ---- */

struct errand {
    struct letter letter;
    struct mirror *m;
    enum code (*run)(struct mirror *, const struct settings *, struct fault *);
    const struct settings *settings;
    struct fault why;
    enum code code;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void open_errand(struct letter *letter, struct loop *here)
{
    struct errand *e = (struct errand *)letter;
    (void)here;
    e->code = e->run(e->m, e->settings, &e->why);
    pthread_mutex_lock(&e->lock);
    e->done = true;
    (void)pthread_cond_signal(&e->cond);
    pthread_mutex_unlock(&e->lock);
}

static enum code run_there(struct mirror *m, enum code (*run)(struct mirror *, const struct settings *, struct fault *), const struct settings *s,
                           struct fault *why)
{
    struct errand e = { .letter = { .open = open_errand }, .m = m, .run = run, .settings = s,
                        .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
    loop_post(m->loop, &e.letter);
    pthread_mutex_lock(&e.lock);
    while (!e.done)
        (void)pthread_cond_wait(&e.cond, &e.lock);
    pthread_mutex_unlock(&e.lock);
    (void)pthread_cond_destroy(&e.cond);
    (void)pthread_mutex_destroy(&e.lock);
    if (e.code != CODE_OK)
        *why = e.why;
    return e.code;
}

/* ---- a look ---- */

void mirror_show(struct mirror *m)
{
    uint64_t waiting = m->consumer ? consumer_waiting(m->consumer) : 0;
    pthread_mutex_lock(&m->lock);
    m->shown.count = m->count;
    m->shown.waiting = waiting;
    pthread_mutex_unlock(&m->lock);
}

bool mirror_glance(struct mirror *m, struct mirror_glance *out)
{
    pthread_mutex_lock(&m->lock);
    bool serves = m->serves;
    *out = m->shown;
    pthread_mutex_unlock(&m->lock);
    ua_server_glance(&out->server);
    return serves;
}

static void on_sweep(struct timer *t)
{
    struct mirror *m = (struct mirror *)(void *)((char *)t - offsetof(struct mirror, sweep));
    mirror_sweep(m);
    mirror_show(m);
    timer_start(m->loop, t, SWEEP_MS, on_sweep);
}

/* ---- the server ---- */

static void offer(const struct settings_opcua_served *s, bool keys, uint8_t out[UA_POLICY_COUNT])
{
    for (unsigned p = 0; p < UA_POLICY_COUNT; p++) {
        bool wanted = !s->security.count && (p != UA_POLICY_NONE || s->local);
        for (size_t i = 0; i < s->security.count; i++)
            wanted = wanted || !strcmp(s->security.at[i], ua_policies[p].name);
        if (wanted && (keys || p == UA_POLICY_NONE))
            out[p] = p == UA_POLICY_NONE ? 1 << UA_MODE_NONE : 1 << UA_MODE_SIGN | 1 << UA_MODE_SIGN_AND_ENCRYPT;
    }
}

static enum code open_server(struct mirror *m, const struct settings *s, struct fault *why)
{
    const struct settings_opcua_served *o = &s->opcua.server;
    char name[128];
    (void)snprintf(name, sizeof name, "Fieldgate%s%s", s->site[0] ? " " : "", s->site);
    struct ua_server_options options = {
        .loop = m->loop, .io = m->config.io,
        .application_uri = m->pki ? ua_pki_uri(m->pki) : "urn:fieldgate", .application_name = name,
        .product_uri = "urn:fieldgate", .product_name = "Fieldgate", .manufacturer = "Fieldgate",
        .version = m->config.version, .build = m->config.version,
        .own = m->pki ? ua_pki_own(m->pki) : NULL,
        .anonymous = o->anonymous != OPCUA_NOTHING,
        .user_names = o->users != OPCUA_NOTHING && m->pki, /* passwords are encrypted for our certificate */
        .certificates = o->certificates != OPCUA_NOTHING && m->pki,
        .users = { mirror_ask, m },
        .verify = m->pki ? mirror_verify : NULL, .verify_ctx = m,
        .limits = { .space = { .nodes = 200000 } },
    };
    offer(o, m->pki != NULL, options.offers);
    enum code c = ua_server_open(&m->server, &options, why);
    if (c != CODE_OK)
        return c;
    m->space = ua_server_space(m->server);
    return ua_namespace(m->space, BYTES_LIT(NAMESPACE_URI), &m->ns, why);
}

static enum code listen_all(struct mirror *m, struct fault *why)
{
    const struct settings_texts *at = &m->settings->opcua.server.at;
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < at->count; i++)
        c = ua_server_listen(m->server, at->at[i], why);
    if (c != CODE_OK)
        return c;
    const char *first = at->at[0];
    pthread_mutex_lock(&m->lock);
    (void)snprintf(m->shown.at, sizeof m->shown.at, "opc.tcp://%.*s:%u", (int)(strrchr(first, ':') - first), first, ua_server_port(m->server));
    m->serves = true;
    pthread_mutex_unlock(&m->lock);
    log_info("opcua", "FG5401 OPC UA clients are served at %s: %" PRIu64 " variables", m->shown.at, m->count.variables);
    return CODE_OK;
}

/* What waited while the node was off is older than what clients are to see first; a retained message is for who had none. */
static enum code begin(struct mirror *m, const struct settings *s, struct fault *why)
{
    enum code c = open_server(m, s, why);
    if (c != CODE_OK)
        return c;
    mirror_variables(m, settings_hold(s));
    m->next = consumer_head(m->consumer);
    c = mirror_subscribe(m, why);
    if (c != CODE_OK)
        return c;
    mirror_feed(m, consumer_tail(m->consumer));
    mirror_retained(m);
    timer_start(m->loop, &m->sweep, SWEEP_MS, on_sweep);
    mirror_show(m);
    mirror_ready(m);
    return listen_all(m, why);
}

static enum code change(struct mirror *m, const struct settings *s, struct fault *why)
{
    mirror_variables(m, settings_hold(s));
    enum code c = mirror_subscribe(m, why);
    if (c != CODE_OK)
        return c;
    mirror_retained(m);
    mirror_show(m);
    log_info("opcua", "FG5402 opcua.variables: %" PRIu64 " variables", m->count.variables);
    return CODE_OK;
}

static enum code finish(struct mirror *m, const struct settings *s, struct fault *why)
{
    (void)s;
    (void)why;
    timer_stop(m->loop, &m->sweep);
    timer_stop(m->loop, &m->again);
    if (m->server)
        ua_server_close(m->server);
    m->server = NULL;
    return CODE_OK;
}

/* ---- life ---- */

enum code mirror_new(struct mirror **out, const struct mirror_config *config, struct fault *why)
{
    struct mirror *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the OPC UA server");
    m->config = *config;
    (void)pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return CODE_OK;
}

void mirror_free(struct mirror *m)
{
    if (!m)
        return;
    (void)pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static enum code start_thread(struct mirror *m, struct fault *why)
{
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r == 0)
        r = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (r == 0)
        r = pthread_create(&m->thread, &attr, run_loop, m->loop);
    (void)pthread_attr_destroy(&attr);
    m->running = r == 0;
    return r ? FAIL_SYS(why, CODE_IO, r, "no thread for the OPC UA server") : CODE_OK;
}

static void end_thread(struct mirror *m)
{
    struct fault why;
    pthread_mutex_lock(&m->lock);
    m->serves = false;
    pthread_mutex_unlock(&m->lock);
    if (!m->running)
        return;
    (void)run_there(m, finish, NULL, &why);
    loop_stop(m->loop);
    (void)pthread_join(m->thread, NULL);
    m->running = false;
}

/* The consumer calls mirror_ready until it is closed, so the loop goes behind it. */
static void stop(struct mirror *m)
{
    end_thread(m);
    consumer_close(m->consumer);
    m->consumer = NULL;
    if (m->loop)
        loop_close(m->loop);
    m->loop = NULL;
    mirror_variables_free(m);
    json_reader_free(m->reader);
    m->reader = NULL;
    arena_clear(&m->scratch);
    ua_trust_close(m->user_trust);
    m->user_trust = NULL;
    settings_free(m->settings);
    m->settings = NULL;
    m->space = NULL;
    m->pki = NULL;
    atomic_store(&m->coming, false);
}

void mirror_stop(struct mirror *m)
{
    if (m)
        stop(m);
}

static enum code open_parts(struct mirror *m, const struct settings *s, struct fault *why)
{
    char users[1100];
    struct consumer_options o = { .name = CONSUMER, .high = HIGH, .ready = mirror_ready, .ctx = m };
    arena_init(&m->scratch, NULL, 0, SCRATCH_BYTES);
    m->reader = json_reader_new(NULL);
    if (!m->reader)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the OPC UA server");
    (void)snprintf(users, sizeof users, "%s/opcua/users", m->config.data_dir);
    enum code c = s->opcua.server.certificates ? ua_trust_open(&m->user_trust, m->config.io, users, why) : CODE_OK;
    if (c == CODE_OK)
        c = loop_open_uv(&m->loop, why);
    if (c == CODE_OK)
        c = consumer_open(&m->consumer, m->config.broker, &o, why);
    return c == CODE_OK ? start_thread(m, why) : c;
}

static void found(void *ctx, struct bytes name, bool open)
{
    bool *there = ctx;
    *there = *there || (bytes_is(name, CONSUMER) && !open);
}

static void ready_for_nothing(void *ctx)
{
    (void)ctx;
}

/* What waits for a server that is not, of now or before the node was started this time, would wait for ever. */
static void let_go(struct mirror *m)
{
    bool there = false;
    struct consumer *c;
    struct fault why;
    consumer_names(m->config.broker, found, &there);
    if (there && consumer_open(&c, m->config.broker, &(struct consumer_options){ .name = CONSUMER, .ready = ready_for_nothing }, &why) == CODE_OK &&
        consumer_end(c, &why) != CODE_OK)
        log_warn("opcua", "FG5410 what waits for OPC UA variables could not be let go: %s", why.text);
}

static bool same_texts(const struct settings_texts *a, const struct settings_texts *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = !strcmp(a->at[i], b->at[i]);
    return same;
}

static bool same_server(const struct settings *a, const struct settings *b)
{
    const struct settings_opcua_served *x = &a->opcua.server, *y = &b->opcua.server;
    return same_texts(&x->at, &y->at) && same_texts(&x->security, &y->security) && x->anonymous == y->anonymous && x->users == y->users &&
           x->certificates == y->certificates && !strcmp(a->site, b->site);
}

static enum code start(struct mirror *m, const struct settings *s, struct ua_pki *pki, struct fault *why)
{
    m->pki = pki;
    enum code c = open_parts(m, s, why);
    return c == CODE_OK ? run_there(m, begin, s, why) : c;
}

enum code mirror_change(struct mirror *m, const struct settings *s, struct ua_pki *pki, struct fault *why)
{
    enum code c = CODE_OK;
    if (m->running && s->opcua.server.at.count && same_server(m->settings, s)) {
        c = run_there(m, change, s, why);
    } else {
        stop(m);
        if (s->opcua.server.at.count)
            c = start(m, s, pki, why);
    }
    if (c != CODE_OK)
        stop(m);
    if (!m->consumer)
        let_go(m);
    return c;
}
