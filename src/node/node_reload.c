/* node_reload.c - settings, certificates, users and rules, read anew and taken as one step.
 *
 *   reload_begin ─► pool: read     ─► loop 0: prepare all that is left, ─► a letter visits ─► retire what was
 *                   (files block)     then commit all, or discard all      every loop         before, tell who asked
 *
 * Each part of the node that can change has a row in `parts`. prepare may fail, and then nothing has changed; commit cannot.
 * What other loops may still look at is freed by retire, when each of them has had a turn since. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/pool.h"

enum { FAILED = 1030, DONE = 1031 };

struct waiter {
    struct waiter  *next;
    api_reload_done done;
    void           *arg;
};

struct reload {
    struct pool_job job;    /* first */
    struct letter   lap;    /* visits the loops */
    unsigned        lap_next;
    struct node    *node;
    struct waiter  *waiters;
    struct fault    why;
    struct buf      json, text; /* the report */

    /* What the parts have staged; after the commit what was before. */
    struct settings_report  *report;
    const struct settings   *fresh, *old;
    struct auth_change      *access;
    struct auth_doors       *auth_doors;
    struct doors             doors;
    struct broker_rules     *rules;
    struct listen_stage      listen;
    struct tls_stage         tls;
    struct flow_plan        *flow;
};

/* ---- which keys ---- */

/* Everything that is not here keeps its value until the next start, so that a new key never does half of what it says. */
static const char *const live[] = {
    "site", "listeners[", "limits.", "hub.topics", "hub.keep", "hub.keep-size", "gateway.certificates.", "log.",
    "jobs", "jobs.", "routes", "routes.", "actions", "actions.", "opcua.",
};
static const char *const not_live[] = { "limits.auth-failures" };

static bool needs_restart(const char *key)
{
    for (size_t i = 0; i < sizeof not_live / sizeof not_live[0]; i++)
        if (strcmp(key, not_live[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++) {
        size_t n = strlen(live[i]);
        bool group = live[i][n - 1] == '.' || live[i][n - 1] == '[';
        if (group ? strncmp(key, live[i], n) == 0 : strcmp(key, live[i]) == 0)
            return false;
    }
    return strcmp(key, "listeners") != 0;
}

/* ---- the report ---- */

struct line {
    struct line *next;
    bool         seen;
    uint64_t     mark;
    const char  *key, *value, *json; /* behind the struct */
};

struct lines {
    struct line *first, **end;
    bool         nomem;
};

static char *put(char *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    to[n] = 0;
    return to + n + 1;
}

static void keep_line(void *ctx, const struct settings_line *l)
{
    struct lines *all = ctx;
    size_t key = strlen(l->key);
    struct line *line = mem_alloc(sizeof *line + key + l->value.len + l->json.len + 3);
    if (!line) {
        all->nomem = true;
        return;
    }
    char *at = (char *)(line + 1);
    *line = (struct line){ .mark = l->mark, .key = at };
    line->value = at = put(at, l->key, key);
    line->json = at = put(at, l->value.at ? l->value.at : (const uint8_t *)"", l->value.len);
    (void)put(at, l->json.at ? l->json.at : (const uint8_t *)"", l->json.len);
    *all->end = line;
    all->end = &line->next;
}

static void forget_lines(struct lines *all)
{
    while (all->first) {
        struct line *l = all->first;
        all->first = l->next;
        mem_free(l);
    }
}

static struct line *line_of(const struct lines *all, const char *key)
{
    for (struct line *l = all->first; l; l = l->next)
        if (strcmp(l->key, key) == 0)
            return l;
    return NULL;
}

struct differences {
    struct buf json, text;
};

static void add_difference(struct differences *d, const char *key, const struct line *was, const struct line *is)
{
    const char *between = buf_size(&d->json) ? "," : "";
    size_t from;
    buf_printf(&d->text, "%s%s (", *between ? ", " : "", key);
    from = d->text.len;
    buf_printf(&d->text, "%s -> %s", was ? was->value : "none", is ? is->value : "none");
    buf_printf(&d->json, "%s{\"key\":\"%s\",\"old\":%s,\"new\":%s,\"text\":", between, key, was ? was->json : "null",
               is ? is->json : "null");
    if (!d->text.bad)
        buf_json(&d->json, bytes_of(d->text.at + from, d->text.len - from));
    buf_printf(&d->json, "}");
    buf_printf(&d->text, ")");
}

static enum code report(struct reload *r, const struct settings *old, struct fault *why)
{
    struct lines was = { .end = &was.first }, is = { .end = &is.first };
    struct differences changed = { 0 }, later = { 0 };
    bool ok = settings_each(old, keep_line, &was) == CODE_OK && settings_each(r->fresh, keep_line, &is) == CODE_OK;
    for (const struct line *l = is.first; l; l = l->next) {
        struct line *before = line_of(&was, l->key);
        if (before)
            before->seen = true;
        if (!before || before->mark != l->mark || strcmp(before->json, l->json) != 0)
            add_difference(needs_restart(l->key) ? &later : &changed, l->key, before, l);
    }
    for (const struct line *l = was.first; l; l = l->next)
        if (!l->seen)
            add_difference(needs_restart(l->key) ? &later : &changed, l->key, l, NULL);
    buf_printf(&r->json, "{\"changed\":[%.*s],\"needs-restart\":[%.*s]}\n", BYTES_FMT(buf_bytes(&changed.json)),
               BYTES_FMT(buf_bytes(&later.json)));
    struct bytes now = buf_size(&changed.text) ? buf_bytes(&changed.text) : BYTES_LIT("no setting");
    struct bytes then = buf_size(&later.text) ? buf_bytes(&later.text) : BYTES_LIT("none");
    buf_printf(&r->text, "changed: %.*s; needs restart: %.*s; certificates, users and rules are as their files are now",
               BYTES_FMT(now), BYTES_FMT(then));
    buf_u8(&r->text, 0);
    ok = ok && !was.nomem && !is.nomem && !changed.json.bad && !changed.text.bad && !later.json.bad && !later.text.bad &&
         !r->json.bad && !r->text.bad;
    forget_lines(&was);
    forget_lines(&is);
    buf_clear(&changed.json);
    buf_clear(&changed.text);
    buf_clear(&later.json);
    buf_clear(&later.text);
    return ok ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
}

/* ---- the parts ---- */

static enum code settings_prepare(struct reload *r, struct fault *why)
{
    const struct node_options *o = &r->node->options;
    r->report = mem_zalloc(1, sizeof *r->report);
    if (!r->report)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the settings");
    enum code code = o->reread(o->reread_ctx, &r->fresh, r->report, why);
    if (code == CODE_OK)
        code = report(r, o->settings, why);
    if (code == CODE_OK)
        code = settings_keep(r->fresh, o->settings, needs_restart, why);
    return code;
}

static void settings_commit(struct reload *r)
{
    struct node *n = r->node;
    r->old = n->own;
    n->own = n->options.settings = r->fresh;
    r->fresh = NULL;
}

static void settings_retire(struct reload *r)
{
    settings_free(r->old);
}

static void settings_discard(struct reload *r)
{
    settings_free(r->fresh);
}

static enum code access_prepare(struct reload *r, struct fault *why)
{
    return auth_prepare(r->node->auth, &r->access, why);
}

static void access_commit(struct reload *r)
{
    auth_commit(r->node->auth, r->access);
    r->access = NULL;
    broker_access_changed(r->node->broker);
}

static void access_discard(struct reload *r)
{
    auth_discard(r->access);
}

static enum code doors_prepare(struct reload *r, struct fault *why)
{
    const struct node *n = r->node;
    enum code code = doors_make(r->fresh, n->options.settings, &n->doors, &r->doors, why);
    return code == CODE_OK ? auth_doors_new(&r->auth_doors, r->doors.auth, r->doors.count, why) : code;
}

static void doors_commit(struct reload *r)
{
    struct node *n = r->node;
    struct doors old = n->doors;
    n->doors = r->doors;
    r->doors = old;
    r->auth_doors = auth_change_doors(n->auth, r->auth_doors);
    broker_access_changed(n->broker); /* who is connected is judged by them, too */
}

static void doors_drop(struct reload *r)
{
    doors_clear(&r->doors);
    auth_doors_free(r->auth_doors);
}

static enum code rules_prepare(struct reload *r, struct fault *why)
{
    const struct settings *s = r->fresh;
    return broker_rules_new(&r->rules, &s->limits, s->hub.topics.at, (unsigned)s->hub.topics.count, why);
}

static void rules_commit(struct reload *r)
{
    r->rules = broker_change(r->node->broker, r->rules);
}

static void rules_drop(struct reload *r)
{
    broker_rules_free(r->rules);
}

static enum code sockets_prepare(struct reload *r, struct fault *why)
{
    return listen_stage(r->node, r->fresh, &r->listen, why);
}

static void sockets_commit(struct reload *r)
{
    listen_commit(r->node, &r->listen);
}

static void sockets_discard(struct reload *r)
{
    listen_discard(r->node, &r->listen);
}

static enum code certificates_prepare(struct reload *r, struct fault *why)
{
    return tls_prepare(r->node, r->fresh, &r->tls, why);
}

static void certificates_commit(struct reload *r)
{
    tls_commit(r->node, &r->tls);
}

static void certificates_discard(struct reload *r)
{
    tls_discard(&r->tls);
}

static enum code jobs_prepare(struct reload *r, struct fault *why)
{
    return flow_plan_new(&r->flow, r->fresh, r->node->options.io, r->node->data_dir, why);
}

/* They are started and stopped afterwards, on the pool: they wait for loops. They are read again then: a verb may have changed
 * some meanwhile. */
static void jobs_commit(struct reload *r)
{
    flow_change(r->node, r->flow);
    r->flow = NULL;
}

static void jobs_discard(struct reload *r)
{
    flow_plan_free(r->flow);
}

/* What cannot fail: bounds of the partitions, the API's view, the log. */
static void rest_commit(struct reload *r)
{
    struct node *n = r->node;
    const struct settings *s = n->options.settings;
    struct api_view view = listen_view(n);
    journal_set_keep(n->journal, (int64_t)s->hub.keep_s * 1000000, s->hub.keep_bytes);
    api_change(n->api, &view);
    node_log_levels(s);
}

/* In this order: the settings first; the sockets before what is shown on them. */
static const struct part {
    bool blocks; /* prepare: on the pool */
    enum code (*prepare)(struct reload *, struct fault *why);
    void (*commit)(struct reload *);
    void (*discard)(struct reload *); /* of whatever prepare has left, also when it failed or was not called */
    void (*retire)(struct reload *);  /* of what was before */
} parts[] = {
    { true, settings_prepare, settings_commit, settings_discard, settings_retire },
    { true, jobs_prepare, jobs_commit, jobs_discard, NULL },
    { true, access_prepare, access_commit, access_discard, NULL },
    { false, doors_prepare, doors_commit, doors_drop, doors_drop },
    { false, rules_prepare, rules_commit, rules_drop, rules_drop },
    { false, certificates_prepare, NULL, certificates_discard, NULL },
    { false, sockets_prepare, sockets_commit, sockets_discard, NULL },
    { false, NULL, certificates_commit, NULL, NULL },
    { false, NULL, rest_commit, NULL, NULL },
};
enum { PARTS = sizeof parts / sizeof parts[0] };

static enum code prepare(struct reload *r, bool blocks)
{
    enum code code = CODE_OK;
    for (size_t i = 0; i < PARTS && code == CODE_OK; i++)
        if (parts[i].prepare && parts[i].blocks == blocks)
            code = parts[i].prepare(r, &r->why);
    return code;
}

/* ---- the end of one ---- */

static void start_next(struct node *n);

static void answer(struct waiter *w, const struct api_reloaded *result)
{
    while (w) {
        struct waiter *next = w->next;
        w->done(w->arg, result);
        mem_free(w);
        w = next;
    }
}

static void finish(struct reload *r, bool done)
{
    struct node *n = r->node;
    struct api_reloaded result = { .why = done ? NULL : &r->why, .report = r->report, .json = buf_bytes(&r->json) };
    if (done)
        log_info("node", "FG%d the settings were read again: %s", DONE, (const char *)buf_bytes(&r->text).at);
    else if (r->why.code != CODE_CLOSED)
        log_error("node", "FG%d nothing was changed: %s", FAILED, r->why.text);
    answer(r->waiters, &result);
    for (size_t i = 0; i < PARTS; i++) {
        if (done && parts[i].retire)
            parts[i].retire(r);
        else if (!done && parts[i].discard)
            parts[i].discard(r);
    }
    mem_free(r->report);
    buf_clear(&r->json);
    buf_clear(&r->text);
    n->reload = NULL;
    mem_free(r);
    if (n->again || n->waiters)
        start_next(n);
}

/* Each loop opens it between two of its own works: then it holds nothing of what was before. */
static void visit(struct letter *letter, struct loop *here)
{
    struct reload *r = (struct reload *)(void *)((char *)letter - offsetof(struct reload, lap));
    struct node *n = r->node;
    (void)here;
    if (n->closing || r->lap_next > n->loop_count) {
        finish(r, true);
        return;
    }
    unsigned to = r->lap_next++ % n->loop_count; /* the last stop is loop 0 */
    loop_post(n->loops[to], letter);
}

/* ---- one reload ---- */

static void read_files(struct pool_job *job)
{
    struct reload *r = (struct reload *)job;
    r->why.code = CODE_OK;
    r->why.code = prepare(r, true);
}

static void files_read(struct pool_job *job, struct loop *here)
{
    struct reload *r = (struct reload *)job;
    struct node *n = r->node;
    enum code code = r->why.code;
    (void)here;
    if (n->closing || atomic_load(&n->stopping))
        code = FAIL_FG(&r->why, CODE_CLOSED, 8005, "the node is stopping");
    if (code == CODE_OK)
        code = prepare(r, false);
    if (code != CODE_OK) {
        finish(r, false);
        return;
    }
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].commit)
            parts[i].commit(r);
    r->lap = (struct letter){ .open = visit };
    r->lap_next = 1;
    visit(&r->lap, n->loops[0]);
}

/* Those that wait are told why none begins. */
static void refuse_waiting(struct node *n, const struct fault *why)
{
    struct waiter *w = n->waiters;
    n->waiters = NULL;
    n->again = false;
    answer(w, &(struct api_reloaded){ .why = why });
}

static void start_next(struct node *n)
{
    struct fault why;
    struct reload *r = NULL;
    if (n->closing || atomic_load(&n->stopping))
        (void)FAIL_FG(&why, CODE_CLOSED, 8005, "the node is stopping");
    else if (!n->options.reread)
        (void)FAIL_FG(&why, CODE_UNSUPPORTED, FAILED, "this node was started without a way to read its settings again");
    else if (!(r = mem_zalloc(1, sizeof *r)))
        (void)FAIL_FG(&why, CODE_NOMEM, FAILED, "no memory to read the settings again");
    if (r) {
        r->job = (struct pool_job){ read_files, files_read };
        r->node = n;
        if (pool_submit(n->loops[0], &r->job) == CODE_OK) {
            n->reload = r;
            r->waiters = n->waiters;
            n->waiters = NULL;
            n->again = false;
            return;
        }
        mem_free(r);
        (void)FAIL_FG(&why, CODE_AGAIN, FAILED, "too much waits for the disk just now: try again");
    }
    if (why.code != CODE_CLOSED)
        log_error("node", "FG%d nothing was changed: %s", FAILED, why.text);
    refuse_waiting(n, &why);
}

void reload_begin(void *node, api_reload_done done, void *arg)
{
    struct node *n = node;
    struct waiter *w = done ? mem_alloc(sizeof *w) : NULL;
    if (done && !w) {
        struct fault why;
        (void)FAIL_FG(&why, CODE_NOMEM, FAILED, "no memory to read the settings again");
        done(arg, &(struct api_reloaded){ .why = &why });
        return;
    }
    if (w) {
        *w = (struct waiter){ n->waiters, done, arg };
        n->waiters = w;
    }
    n->again = true;
    if (!n->reload)
        start_next(n); /* else what is being read may be older than this wish */
}

static void open_reload(struct letter *letter, struct loop *here)
{
    struct node *n = (struct node *)(void *)((char *)letter - offsetof(struct node, reload_letter));
    (void)here;
    atomic_store(&n->reload_posted, false);
    reload_begin(n, NULL, NULL);
}

/* One letter for all wishes until it is opened. */
void reload_pass_on(struct node *n)
{
    if (!atomic_exchange(&n->reload_wished, false) || atomic_exchange(&n->reload_posted, true))
        return;
    n->reload_letter.open = open_reload;
    loop_post(n->loops[0], &n->reload_letter);
}

void node_reload(struct node *n)
{
    /* Before node_run there may be no loop yet; then node_run passes the wish on. */
    atomic_store(&n->reload_wished, true);
    if (atomic_load(&n->running))
        reload_pass_on(n);
}
