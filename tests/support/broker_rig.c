#include "support/broker_rig.h"

#include "broker/private.h"
#include "support/broker_peer.h"

#include <stdlib.h>

static const char *const hub_default[] = { "hub/#" };

/* What settings_table.c gives when nobody says anything, but small where a test must reach the limit. */
static const struct limits limits_default = {
    .packet_bytes = 1 << 20, .connect_bytes = 64 * 1024, .connect_s = 10, .connections = 10000,
    .connections_per_address = LIMIT_NONE_32, .connect_rate = LIMIT_NONE_32, .auth_failures = 10, .half_open = 10000,
    .receive_maximum = 64, .queued_bytes = 64 << 20, .queued_messages = 10000, .on_full = ON_FULL_DROP_NEWEST,
    .refuse_s = 30, .unsent_bytes = 8 << 20, .unsent_s = 60, .memory_bytes = (uint64_t)1 << 32, .topic_bytes = 1024,
    .topic_levels = 32, .subscriptions = 1000, .filters_per_packet = 100, .shared_groups = 100, .fan_out = 100000, .topic_aliases = 64,
    .retained_messages = 100000, .retained_per_identity = 10000, .connections_per_identity = 10, .sessions_per_identity = 10,
    .retained_bytes = 64 << 20, .user_properties = 64, .property_bytes = 16384,
    .session_expiry_s = 30 * 86400, .sessions = 100000, .keep_alive_s = 1200 };

void rig_defaults(struct rig_config *c)
{
    *c = (struct rig_config){ .seed = 1, .shards = 2, .limits = limits_default, .partitions = 2,
                              .hub_topics = hub_default, .hub_topic_count = 1, .segment_bytes = 64 * 1024,
                              .lazy_percent = 30 };
}

struct rig *rig_new(const struct rig_config *config)
{
    struct rig *rig = calloc(1, sizeof *rig);
    if (!rig)
        abort();
    rig->config = *config;
    rig->fs = config->fs ? config->fs : memfs_new(config->seed);
    rig->dice.state = random_mix(config->seed, 7);
    return rig;
}

void rig_free(struct rig *rig)
{
    if (!rig)
        return;
    rig_abandon(rig);
    if (!rig->config.fs)
        memfs_free(rig->fs);
    free(rig);
}

int64_t rig_wall_us(struct rig *rig)
{
    const struct io *io = memfs_io(rig->fs);
    return io->wall_us(io->self);
}

/* ---- opening ---- */

static void accept_peer(void *ctx, const struct net_peer *peer)
{
    struct rig *rig = ctx;
    unsigned shard = rig->wanted_from < rig->wanted_to ? rig->wanted[rig->wanted_from++ % 256] : 0;
    atomic_store(&rig->broker->next_shard, shard);
    broker_accept(rig->broker, peer);
}

static enum code open_world(struct rig *rig, struct fault *why)
{
    const struct io *io = memfs_io(rig->fs);
    if (sim_open(&rig->sim, random_u64(&rig->dice)) != CODE_OK)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a simulation");
    int64_t behind = io->monotonic_us(io->self) - sim_now_us(rig->sim);
    if (behind > 0)
        sim_advance(rig->sim, behind);
    sim_set_wall(rig->sim, io->wall_us(io->self));
    sim_split_bytes(rig->sim, rig->config.split);
    enum code c = loop_open_sim(&rig->disk_loop, rig->sim, why);
    for (unsigned i = 0; c == CODE_OK && i < rig->config.shards; i++)
        c = loop_open_sim(&rig->loops[i], rig->sim, why);
    return c;
}

void rig_write(struct rig *rig, const char *name, const char *text)
{
    const struct io *io = memfs_io(rig->fs);
    struct fault why;
    (void)io->mkdir(io->self, RIG_CONF);
    if (io_replace(io, RIG_CONF, name, bytes_str(text), &why) != CODE_OK)
        abort();
}

enum code rig_reload(struct rig *rig, struct fault *why)
{
    struct auth_change *change;
    enum code c = auth_prepare(rig->auth, &change, why);
    if (c != CODE_OK)
        return c;
    auth_commit(rig->auth, change);
    broker_access_changed(rig->broker);
    return CODE_OK;
}

static enum code open_auth(struct rig *rig, struct fault *why)
{
    const struct io *io = memfs_io(rig->fs);
    struct auth_door door = { .chain = rig->config.chain };
    struct io_stat st;
    if (!rig->config.users)
        return CODE_OK;
    if (!door.chain.count)
        door.chain = (struct settings_choices){ { AUTH_USERS }, 1 };
    if (io->stat(io->self, RIG_CONF "/users", &st) < 0)
        rig_write(rig, "users", rig->config.users);
    if (rig->config.rules && io->stat(io->self, RIG_CONF "/rules", &st) < 0)
        rig_write(rig, "rules", rig->config.rules);
    struct auth_config config = { .io = io, .doors = &door, .door_count = 1, .users_path = RIG_CONF "/users",
                                  .rules_path = rig->config.rules ? RIG_CONF "/rules" : NULL,
                                  .secret_dir = RIG_CONF,
                                  .failures_per_minute = rig->config.limits.auth_failures };
    return auth_new(&rig->auth, &config, why);
}

static enum code open_broker(struct rig *rig, struct fault *why)
{
    const struct rig_config *c = &rig->config;
    struct broker_config config = { .limits = c->limits, .io = memfs_io(rig->fs), .loops = rig->loops,
                                    .loop_count = c->shards, .hub_topics = c->hub_topics,
                                    .hub_topic_count = c->partitions ? c->hub_topic_count : 0, .version = "test", .auth = rig->auth,
                                    .close_denied = c->close_denied, .sys_interval_s = c->sys_interval_s,
                                    .response_topics = c->response_topics };
    return broker_new(&rig->broker, &config, why);
}

static enum code open_journal(struct rig *rig, struct fault *why)
{
    const struct rig_config *c = &rig->config;
    struct journal_options o = { .io = memfs_io(rig->fs), .data_dir = RIG_DATA, .segment_bytes = c->segment_bytes,
                                 .disk_reserve = c->disk_reserve, .pending_bytes = c->pending_bytes,
                                 .partitions = c->partitions, .keep_us = c->keep_us, .keep_bytes = c->keep_bytes,
                                 .manual = true, .no_sync = c->no_sync, .ctx = rig->broker, .apply = broker_apply,
                                 .write_state = broker_write_state, .on_durable = broker_on_durable };
    return journal_open(&rig->journal, &o, why);
}

static void close_world(struct rig *rig)
{
    for (unsigned i = 0; i < RIG_SHARDS_MAX; i++) {
        if (rig->loops[i])
            loop_close(rig->loops[i]);
        rig->loops[i] = NULL;
    }
    rig->listener = NULL;
    if (rig->disk_loop)
        loop_close(rig->disk_loop);
    rig->disk_loop = NULL;
    rig->disk_posted = false;
    rig->wanted_from = rig->wanted_to = 0;
}

/* Clients last: their connections' other ends have been told by then. */
static void close_sim(struct rig *rig)
{
    if (rig->sim) {
        peers_forget(rig);
        sim_close(rig->sim);
    }
    rig->sim = NULL;
}

enum code rig_open(struct rig *rig, struct fault *why)
{
    FG_ASSERT(!rig->broker);
    enum code c = open_world(rig, why);
    if (c == CODE_OK)
        c = open_auth(rig, why);
    if (c == CODE_OK)
        c = open_broker(rig, why);
    if (c == CODE_OK)
        c = open_journal(rig, why);
    if (c == CODE_OK)
        c = broker_start(rig->broker, rig->journal, why);
    if (c == CODE_OK)
        c = net_listen(&rig->listener, rig->loops[0], RIG_ADDRESS, accept_peer, rig, why);
    if (c != CODE_OK)
        rig_abandon(rig);
    return c;
}

/* Connections end while every loop is still there: their ends may have letters for each other. */
static void end_connections(struct rig *rig)
{
    if (!rig->journal || !rig->broker->shard_count)
        return;
    broker_stop(rig->broker);
    (void)sim_step(rig->sim);
}

void rig_abandon(struct rig *rig)
{
    end_connections(rig);
    close_world(rig);
    if (rig->journal)
        journal_abandon(rig->journal);
    rig->journal = NULL;
    broker_free(rig->broker);
    rig->broker = NULL;
    auth_free(rig->auth);
    rig->auth = NULL;
    close_sim(rig);
}

/* ---- running ---- */

static void enter(struct rig *rig)
{
    if (rig->config.enter)
        rig->config.enter(rig->config.guard);
}

static void leave(struct rig *rig)
{
    if (rig->config.leave)
        rig->config.leave(rig->config.guard);
}

static void look(struct rig *rig)
{
    if (rig->config.look)
        rig->config.look(rig->config.ctx, rig);
}

static void open_disk(struct letter *letter, struct loop *here)
{
    struct rig *rig = (struct rig *)((char *)letter - offsetof(struct rig, disk));
    bool more = true;
    if (!random_chance(&rig->dice, rig->config.lazy_percent)) {
        look(rig);
        more = journal_step(rig->journal);
    }
    rig->disk_posted = more;
    if (more)
        loop_post(here, letter);
}

static void post_disk(struct rig *rig)
{
    if (rig->disk_posted)
        return;
    rig->disk_posted = true;
    rig->disk.open = open_disk;
    loop_post(rig->disk_loop, &rig->disk);
}

static void run(struct rig *rig)
{
    do {
        post_disk(rig);
        (void)sim_step(rig->sim);
        look(rig);
    } while (journal_step(rig->journal));
}

void rig_run(struct rig *rig)
{
    enter(rig);
    run(rig);
    leave(rig);
}

void rig_run_without_disk(struct rig *rig)
{
    enter(rig);
    (void)sim_step(rig->sim);
    look(rig);
    leave(rig);
}

void rig_close(struct rig *rig)
{
    if (!rig->broker)
        return;
    enter(rig);
    broker_stop(rig->broker);
    run(rig);
    for (unsigned i = 0; i < rig->config.shards; i++)
        loop_stop(rig->loops[i]);
    run(rig);
    broker_halt(rig->broker);
    close_world(rig);
    journal_close(rig->journal);
    leave(rig);
    rig->journal = NULL;
    broker_free(rig->broker);
    rig->broker = NULL;
    auth_free(rig->auth);
    rig->auth = NULL;
    close_sim(rig);
}

void rig_advance(struct rig *rig, int64_t us)
{
    rig_run(rig);
    while (us > 0) {
        int64_t part = us < 500000 ? us : 500000;
        memfs_advance(rig->fs, part);
        enter(rig);
        sim_advance(rig->sim, part);
        leave(rig);
        rig_run(rig);
        us -= part;
    }
}

void rig_jump(struct rig *rig, int64_t wall_us)
{
    memfs_set_wall(rig->fs, wall_us);
    sim_set_wall(rig->sim, wall_us);
}

struct sim_client *rig_dial(struct rig *rig, unsigned shard, const char *from)
{
    struct sim_client *c = sim_connect_from(rig->sim, RIG_ADDRESS, from, UINT32_MAX);
    if (c)
        rig->wanted[rig->wanted_to++ % 256] = shard;
    return c;
}
