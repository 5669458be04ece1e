/* publisher.c - the publisher's loop and thread, its file, and what is seen of it from outside. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>

#ifdef FG_TEST
enum { STACK_BYTES = 4 << 20 };
#else
enum { STACK_BYTES = 1 << 20 };
#endif
enum { GRACE_MS = 3000 };

/* ---- errands: something to be done on the loop, for a thread that waits ---- */

struct errand {
    struct letter letter;
    struct publisher *p;
    enum code (*run)(struct publisher *, void *arg, struct fault *why);
    void *arg;
    struct fault why;
    enum code code;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void errand_done(struct errand *e)
{
    pthread_mutex_lock(&e->lock);
    e->done = true;
    (void)pthread_cond_signal(&e->cond);
    pthread_mutex_unlock(&e->lock);
}

static void open_errand(struct letter *letter, struct loop *here)
{
    struct errand *e = (struct errand *)letter;
    struct publisher *p = e->p;
    (void)here;
    e->code = e->run(p, e->arg, &e->why);
    if (e->code == CODE_AGAIN)
        p->calm = e; /* pub_calm ends it */
    else
        errand_done(e);
}

enum code pub_run_there(struct publisher *p, enum code (*run)(struct publisher *, void *, struct fault *),
                        void *arg, struct fault *why)
{
    struct errand e = {.letter = {.open = open_errand},
                       .p = p,
                       .run = run,
                       .arg = arg,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .cond = PTHREAD_COND_INITIALIZER};
    loop_post(p->loop, &e.letter);
    pthread_mutex_lock(&e.lock);
    while (!e.done)
        (void)pthread_cond_wait(&e.cond, &e.lock);
    pthread_mutex_unlock(&e.lock);
    (void)pthread_cond_destroy(&e.cond);
    (void)pthread_mutex_destroy(&e.lock);
    if (e.code != CODE_OK && why)
        *why = e.why;
    return e.code;
}

/* ---- the file ---- */

static void tell_notes(const struct publisher *p, const struct nodes_file *f)
{
    for (uint32_t i = 0; i < f->note_count; i++)
        log_warn("opcua", "FG5259 %s:%u:%u: %s", p->nodes_path, f->notes[i].line, f->notes[i].column,
                 f->notes[i].text);
}

enum code pub_take_file(struct publisher *p, struct nodes_file *f, struct fault *why)
{
    enum code c = pub_apply(p, f, why);
    if (c != CODE_OK) {
        nodes_file_free(f);
        return c;
    }
    nodes_file_free(p->file);
    p->file = f;
    return CODE_OK;
}

enum code pub_reload(struct publisher *p, struct fault *why)
{
    struct nodes_file *f = NULL;
    enum code c = nodes_file_load(&f, p->config.io, p->nodes_path, p->options.old, why);
    if (c != CODE_OK)
        return c;
    tell_notes(p, f);
    uint32_t entries = f->entry_count, nodes = f->node_count;
    c = pub_take_file(p, f, why);
    if (c == CODE_OK)
        log_info("opcua", "FG5260 %s: %u entries with %u nodes", p->nodes_path, entries, nodes);
    return c;
}

static void read_file(struct publisher *p)
{
    struct fault why;
    enum code c = pub_reload(p, &why);
    if (c == CODE_NOTFOUND && !p->file)
        log_warn("opcua", "FG5261 there is no %s yet: nothing is read. It is looked for every 2 s",
                 p->nodes_path);
    else if (c != CODE_OK)
        log_error("opcua", "FG5262 %s. %s", why.text,
                  p->file ? "What was read before goes on" : "Nothing is read until it is right");
}

static void on_changed(void *ctx)
{
    read_file(ctx);
}

/* ---- a look ---- */

void pub_show(struct publisher *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->shown.sent != p->count.sent)
        p->count.sent_us = p->config.io->wall_us(p->config.io->self);
    p->shown = p->count;
    pthread_mutex_unlock(&p->lock);
}

void publisher_glance(struct publisher *p, struct publisher_glance *out)
{
    pthread_mutex_lock(&p->lock);
    *out = p->shown;
    pthread_mutex_unlock(&p->lock);
}

void publisher_servers(struct publisher *p, void (*each)(void *ctx, const struct publisher_server_glance *),
                       void *ctx)
{
    pthread_mutex_lock(&p->lock);
    for (const struct pub_session *s = p->sessions; s; s = s->next)
        each(ctx, &(struct publisher_server_glance){.endpoint = s->endpoint,
                                                    .group = s->group,
                                                    .state = s->state,
                                                    .trouble = s->trouble,
                                                    .nodes = s->nodes,
                                                    .good = s->good,
                                                    .values = s->values});
    pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

static enum code begin(struct publisher *p, void *arg, struct fault *why)
{
    const char *paths[] = {p->nodes_path};
    (void)arg;
    enum code c = tls_watch_open(&p->watch, p->loop, p->config.io, paths, 1, on_changed, p, why);
    if (c == CODE_OK)
        read_file(p);
    return c;
}

/* What is in batches goes out; sessions end. */
static enum code leave(struct publisher *p, void *arg, struct fault *why)
{
    (void)arg;
    tls_watch_close(p->watch);
    p->watch = NULL;
    p->stopping = p->keep.dir != NULL;
    return pub_apply(p, NULL, why);
}

static bool is_calm(const struct publisher *p)
{
    return !p->out.posting && (!p->out.count || p->out.refused || p->hurry) && !p->leaving;
}

void pub_calm(struct publisher *p)
{
    struct errand *e = p->calm;
    if (!e || !is_calm(p))
        return;
    p->calm = NULL;
    timer_stop(p->loop, &p->grace);
    timer_stop(p->loop, &p->out.retry);
    timer_stop(p->loop, &p->out.look);
    p->out.ack_count = p->out.landing_count = 0;
    e->code = CODE_OK;
    errand_done(e);
}

/* Servers that do not answer, and a node that takes nothing, are not waited for any longer; only the broker's answer is. */
static void on_grace(struct timer *t)
{
    struct publisher *p = (struct publisher *)(void *)((char *)t - offsetof(struct publisher, grace));
    p->hurry = true;
    while (p->leaving) {
        struct pub_session *s = p->leaving;
        p->leaving = s->next;
        pub_session_free(s);
    }
    pub_calm(p);
}

/* The broker calls back for what it has: that must be over before the consumer is closed. */
static enum code settle(struct publisher *p, void *arg, struct fault *why)
{
    (void)arg;
    (void)why;
    if (is_calm(p)) {
        timer_stop(p->loop, &p->out.retry);
        timer_stop(p->loop, &p->out.look);
        return CODE_OK;
    }
    timer_start(p->loop, &p->grace, GRACE_MS, on_grace);
    return CODE_AGAIN;
}

static void on_nothing(void *ctx)
{
    (void)ctx;
}

static void free_all(struct publisher *p)
{
    if (p->loop)
        loop_close(p->loop);
    consumer_close(p->consumer);
    nodes_file_free(p->file);
    telemetry_free(p->telemetry);
    pub_outbox_close(p);
    pub_keep_close(p);
    table_clear(&p->items);
    table_clear(&p->streams_by_key);
    table_clear(&p->sessions_by_key);
    publisher_options_clear(&p->options);
    mem_free(p->nodes_path);
    mem_free(p->topic);
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_mutex_destroy(&p->calls);
    mem_free(p);
}

void publisher_close(struct publisher *p)
{
    if (!p)
        return;
    if (p->running) {
        struct fault why;
        if (pub_run_there(p, leave, NULL, &why) != CODE_OK)
            log_warn("opcua", "FG5263 the publisher's end: %s", why.text);
        (void)pub_run_there(p, settle, NULL, NULL);
        loop_stop(p->loop);
        (void)pthread_join(p->thread, NULL);
    }
    free_all(p);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static enum code start_thread(struct publisher *p, struct fault *why)
{
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r == 0)
        r = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (r == 0)
        r = pthread_create(&p->thread, &attr, run_loop, p->loop);
    (void)pthread_attr_destroy(&attr);
    p->running = r == 0;
    return r ? FAIL_SYS(why, CODE_IO, r, "no thread for the OPC publisher") : CODE_OK;
}

static enum code read_options(struct publisher *p, const struct publisher_config *c, struct fault *why)
{
    struct fault inner;
    enum code code = publisher_options_text(&p->options, c->options ? c->options : "", &inner);
    if (code != CODE_OK)
        return fault_set(why, code, 5264, 0, FG_HERE, "opcua.options: %s", inner.text);
    if (p->options.telemetry_path)
        code = telemetry_load(&p->telemetry, c->io, p->options.telemetry_path, &inner);
    if (code != CODE_OK)
        return fault_set(why, CODE_USAGE, 5264, 0, FG_HERE, "opcua.options: --tc: %s", inner.text);
    if (!p->options.site[0] && c->site)
        p->options.site = arena_text(&p->options.arena, bytes_str(p->options.old ? "" : c->site));
    p->template = c->topic && c->topic[0] ? c->topic : p->options.topic ? p->options.topic : PUBLISHER_TOPIC;
    code = topic_template_check(bytes_str(p->template), NULL, NULL, &inner);
    if (code != CODE_OK)
        return fault_set(why, code, 5264, 0, FG_HERE, "opcua.topic: %s", inner.text);
    return p->options.site ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the OPC publisher");
}

static enum code prepare(struct publisher *p, const struct publisher_config *c, struct fault *why)
{
    const char *path = c->nodes_path && c->nodes_path[0] ? c->nodes_path : NULL;
    enum code code = read_options(p, c, why);
    if (code != CODE_OK)
        return code;
    path = path                    ? path
           : p->options.nodes_path ? p->options.nodes_path
           : p->options.old        ? "/appdata/publishednodes.json"
                                   : "publishednodes.json";
    p->limits = ua_limits_default;
    if (p->options.max_string > 0)
        p->limits.string = p->options.max_string < 16 << 20 ? (uint32_t)p->options.max_string : 16u << 20;
    p->config = *c;
    p->config.site = p->options.site;
    p->keep.dir = c->keep_dir ? mem_strdup(c->keep_dir) : NULL;
    p->nodes_path = mem_strdup(path);
    p->topic = mem_strdup(p->template);
    p->template = p->topic;
    p->config.nodes_path = p->nodes_path;
    p->config.topic = p->config.options = p->config.keep_dir = NULL;
    return p->nodes_path && p->topic ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the OPC publisher");
}

static enum code open_parts(struct publisher *p, struct fault *why)
{
    struct consumer_options o = {.name = "opcua/publisher", .ready = on_nothing, .ctx = p};
    enum code c = consumer_open(&p->consumer, p->config.broker, &o, why);
    if (c != CODE_OK)
        return c;
    p->out.ordinal = consumer_published(p->consumer);
    c = pub_keep_open(p, why);
    if (c != CODE_OK)
        return c;
    c = loop_open_uv(&p->loop, why);
    return c == CODE_OK ? start_thread(p, why) : c;
}

static struct publisher *new_publisher(const struct publisher_config *c, struct fault *why)
{
    struct publisher *p = mem_zalloc(1, sizeof *p);
    if (!p) {
        (void)FAIL(why, CODE_NOMEM, 0, "no memory for the OPC publisher");
        return NULL;
    }
    p->keep.file = -1;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_mutex_init(&p->calls, NULL);
    if (prepare(p, c, why) == CODE_OK)
        return p;
    free_all(p);
    return NULL;
}

enum code publisher_check(const struct publisher_config *c, struct fault *why)
{
    struct publisher *p = new_publisher(c, why);
    if (!p)
        return why->code;
    free_all(p);
    return CODE_OK;
}

enum code publisher_open(struct publisher **out, const struct publisher_config *c, struct fault *why)
{
    struct publisher *p = new_publisher(c, why);
    if (!p)
        return why->code;
    for (uint32_t i = 0; i < p->options.note_count; i++)
        log_warn("opcua", "FG5265 %s", p->options.notes[i]);
    p->count.started_us = c->io->wall_us(c->io->self);
    enum code code = open_parts(p, why);
    if (code == CODE_OK)
        code = pub_run_there(p, begin, NULL, why);
    if (code != CODE_OK) {
        publisher_close(p);
        return code;
    }
    *out = p;
    return CODE_OK;
}
