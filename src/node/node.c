#include "node/node_private.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>

/* Our frames are small and nothing recurses; sanitizers need more. */
#ifdef FG_TEST
enum { STACK_BYTES = 2 * 1024 * 1024 };
#else
enum { STACK_BYTES = 256 * 1024 };
#endif

enum { TROUBLE_MS = 1000 };

/* ---- what the journal calls ---- */

static enum code on_apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    struct node *n = ctx;
    return broker_apply(n->broker, j, r, why);
}

static enum code on_write_state(void *ctx, struct journal *j, bool restart)
{
    struct node *n = ctx;
    return broker_write_state(n->broker, j, restart);
}

/* Looks once a second whether the journal has begun or ceased to refuse. */
static void watch_trouble(struct timer *t)
{
    struct node *n = (struct node *)(void *)((char *)t - offsetof(struct node, trouble));
    struct fault why;
    bool failed = journal_failed(n->journal), full = journal_full(n->journal);
    if (((failed && !n->was_failed) || (full && !n->was_full && !failed)) &&
        api_trouble(n->api, &why) != CODE_OK)
        log_error("node", "FG%04d %s", why.number, why.text);
    else if (!full && n->was_full && !failed)
        log_info("node", "FG7003 %s has room again: new messages are accepted", n->data_dir);
    n->was_failed = failed;
    n->was_full = full;
    timer_start(n->loops[0], t, TROUBLE_MS, watch_trouble);
}

static void on_durable(void *ctx, uint64_t durable)
{
    struct node *n = ctx;
    pthread_mutex_lock(&n->durable_lock);
    if (!n->quiet) {
        broker_on_durable(n->broker, durable);
        if (n->poked)
            api_poke(n->poked);
    }
    pthread_mutex_unlock(&n->durable_lock);
}

/* From here on the committer calls nobody, and no call is under way. */
static void fall_quiet(struct node *n)
{
    pthread_mutex_lock(&n->durable_lock);
    n->quiet = true;
    pthread_mutex_unlock(&n->durable_lock);
}

/* ---- opening ---- */

static void prepare_process(const struct io *io)
{
    uint8_t key[16];
    struct rlimit files;
    io->random(io->self, key, sizeof key);
    hash_seed(key);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    /* Memory of a burst goes back to the system; the default lets this threshold grow up to 64 MiB. */
    (void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

static unsigned processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}

static enum code open_loops(struct node *n, struct fault *why)
{
    unsigned count = n->options.settings->loops ? n->options.settings->loops : processors();
    if (count > LOOPS_MAX)
        count = LOOPS_MAX;
    /* A heap of its own for each loop, none for the others. */
    (void)mallopt(M_ARENA_MAX, (int)count);
    while (n->loop_count < count) {
        enum code code = loop_open_uv(&n->loops[n->loop_count], why);
        if (code != CODE_OK)
            return code;
        n->loop_count++;
    }
    return CODE_OK;
}

static enum code open_broker(struct node *n, struct fault *why)
{
    const struct settings *s = n->options.settings;
    struct broker_config config = {
        .limits = s->limits,
        .io = n->options.io,
        .loops = n->loops,
        .loop_count = n->loop_count,
        .hub_topics = s->hub.topics.at,
        .hub_topic_count = (unsigned)s->hub.topics.count,
        .version = n->options.version,
        .sys_interval_s = s->sys_interval_s,
        .response_topics = s->response_topics,
        .auth = n->auth,
        .close_denied = s->acl_deny == ACL_DENY_CLOSE,
    };
    return broker_new(&n->broker, &config, why);
}

static enum code open_journal(struct node *n, struct fault *why)
{
    const struct settings *s = n->options.settings;
    struct journal_options o = {
        .segment_bytes = s->journal.segment_bytes,
        .sync_wait_us = s->journal.sync_wait_us,
        .disk_reserve = s->journal.reserve_bytes,
        .partitions = s->hub.partitions,
        .keep_us = (int64_t)s->hub.keep_s * 1000000,
        .keep_bytes = s->hub.keep_bytes,
        .no_sync = s->durability == DURABILITY_MEMORY,
        .ctx = n,
        .apply = on_apply,
        .write_state = on_write_state,
        .on_durable = on_durable,
    };
    return data_open_journal(n, &o, why);
}

static enum code open_flow(struct node *n, struct fault *why)
{
    enum code code = flow_open(&n->flow, n->broker, n->journal, n->options.io, n->data_dir, why);
    if (code == CODE_OK)
        code = publisher_seat_new(&n->seat, why);
    return code == CODE_OK ? opcua_open(n, why) : code;
}

static enum code open_api(struct node *n, struct fault *why)
{
    struct api_config config = {
        .loop = n->loops[0], .io = n->options.io, .view = listen_view(n), .data_dir = n->data_dir, .broker = n->broker,
        .journal = n->journal, .version = n->options.version, .reload = reload_begin, .reload_ctx = n, .flow = n->flow,
        .publisher = n->seat, .mirror = n->mirror,
    };
    enum code code = api_open(&n->api, &config, why);
    pthread_mutex_lock(&n->durable_lock);
    n->poked = n->api;
    pthread_mutex_unlock(&n->durable_lock);
    return code;
}

static enum code start_broker(struct node *n, struct fault *why)
{
    timer_start(n->loops[0], &n->trouble, TROUBLE_MS, watch_trouble);
    auth_watch(n);
    heap_watch(n);
    return broker_start(n->broker, n->journal, why);
}

enum code node_open(struct node **out, const struct node_options *options, struct fault *why)
{
    /* The signals first: threads inherit their mask. The broker starts last: it ends what the last stop cut
     * off, which must not happen when an address is taken and nothing starts. */
    static enum code (*const steps[])(struct node *, struct fault *) = {
        signals_begin,  data_prepare, auth_open, open_loops, open_broker,  open_journal,
        listen_prepare, open_flow,    open_api,   listen_all, start_broker, flow_prepare_first,
    };
    struct node *n = mem_zalloc(1, sizeof *n);
    if (!n)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the node");
    n->options = *options;
    (void)pthread_mutex_init(&n->durable_lock, NULL);
    (void)pthread_mutex_init(&n->opcua_lock, NULL);
    prepare_process(options->io);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        enum code code = steps[i](n, why);
        if (code != CODE_OK) {
            node_close(n);
            return code;
        }
    }
    log_info("node", "fieldgate %s started: %s, durability %s, %u loop%s", options->version, n->data_dir,
             options->settings->durability == DURABILITY_MEMORY ? "memory" : "disk", n->loop_count,
             n->loop_count == 1 ? "" : "s");
    *out = n;
    return CODE_OK;
}

void node_log_levels(const struct settings *s)
{
    log_set_level(s->log.level);
    log_set_format(s->log.format);
    for (int i = 0; i < LOG_AREA_COUNT; i++)
        log_set_area_level(i, s->log.levels[i]);
}

/* ---- running ---- */

/* The jobs have stopped: what they had to say was said while the loops ran. */
static void stop_rest(struct node *n)
{
    timer_stop(n->loops[0], &n->trouble);
    auth_end(n);
    heap_end(n);
    api_stop(n->api);
    broker_stop(n->broker);
    for (unsigned i = 0; i < n->loop_count; i++)
        loop_stop(n->loops[i]);
}

static void open_stop(struct letter *letter, struct loop *here)
{
    (void)here;
    struct node *n = (struct node *)(void *)((char *)letter - offsetof(struct node, stop_letter));
    listen_end(n);
    flow_finish(n, stop_rest);
}

static void post_stop(struct node *n)
{
    if (atomic_exchange(&n->stop_posted, true))
        return;
    n->stop_letter.open = open_stop;
    loop_post(n->loops[0], &n->stop_letter);
}

void node_stop(struct node *n)
{
    /* Before node_run there may be no loop yet; then node_run sees the wish. */
    atomic_store(&n->stopping, true);
    if (atomic_load(&n->running))
        post_stop(n);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static enum code start_threads(struct node *n, struct fault *why)
{
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r == 0)
        r = pthread_attr_setstacksize(&attr, STACK_BYTES);
    while (r == 0 && n->thread_count + 1 < n->loop_count) {
        r = pthread_create(&n->threads[n->thread_count], &attr, run_loop, n->loops[n->thread_count + 1]);
        if (r == 0)
            n->thread_count++;
    }
    (void)pthread_attr_destroy(&attr);
    if (r != 0)
        return FAIL_SYS(why, CODE_IO, r, "cannot start a thread for each of %u loops", n->loop_count);
    return CODE_OK;
}

enum code node_run(struct node *n, struct fault *why)
{
    flow_begin(n);
    enum code code = start_threads(n, why);
    atomic_store(&n->running, true);
    if (code != CODE_OK || atomic_load(&n->stopping))
        post_stop(n);
    reload_pass_on(n);
    loop_run(n->loops[0]);
    for (unsigned i = 0; i < n->thread_count; i++)
        (void)pthread_join(n->threads[i], NULL);
    atomic_store(&n->running, false);
    return code;
}

/* ---- closing ---- */

void node_halt(struct node *n)
{
    if (n->closing)
        return;
    signals_end(n);
    n->closing = true;
    listen_end(n);
    if (n->broker && n->journal)
        broker_halt(n->broker);
    fall_quiet(n);
    /* What is still connected ends now, while the journal can take what that means. */
    for (unsigned i = n->loop_count; i-- > 0;)
        loop_close(n->loops[i]);
}

void node_close(struct node *n)
{
    if (!n)
        return;
    node_halt(n);
    if (n->journal) {
        journal_close(n->journal);
        data_end(n);
    }
    api_free(n->api);
    flow_plan_free(n->first_plan);
    flow_free(n->flow);
    opcua_free(n);
    broker_free(n->broker);
    auth_free(n->auth);
    listen_free(n);
    settings_free(n->own);
    (void)pthread_mutex_destroy(&n->durable_lock);
    (void)pthread_mutex_destroy(&n->opcua_lock);
    mem_free(n);
}
