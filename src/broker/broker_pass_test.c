/* QoS 0 within one loop goes a way of its own (pass.c). Nobody may notice: the same random traffic over nodes that differ in
 * nothing but the way it takes gives everybody the same messages in the same order, and the counters the same sums. */
#include "broker/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/broker_tests.h"

enum { CLIENTS = 9, PUBLISHERS = 3 /* the first ones; they get messages, too */, BATCHES = 12, BURST = 30, ALIASES = 4 };

struct play {
    struct rig   *rig;
    struct random dice;
    struct peer  *peers[CLIENTS];
    struct peer_connect kinds[CLIENTS];
    const char   *aliases[PUBLISHERS][ALIASES];       /* what each publisher has set */
    struct bytes  known[CLIENTS][UINT8_MAX];          /* what the node has set, from 1; copies */
    struct buf    heard[CLIENTS][PUBLISHERS][3];      /* by QoS: a line for each message, in their order */
    unsigned      serial;
};

static const char *const topics[] = { "a", "a/b", "a/c", "b/c", "a/b/c/d/e/f/g", "factory/hall/press/7/temperature", "none/wants/this" };
static const char *const filters[] = { "a/#", "+/c", "a/b", "a/+", "factory/#", "b/c", "factory/hall/press/+/temperature", "a", "kept/+" };
/* Which of two publishers is the last to retain a message is a matter of turns. */
static const char *const kept[PUBLISHERS] = { "kept/0", "kept/1", "kept/2" };

static const char *any(struct random *r, const char *const *list, size_t n)
{
    return list[random_below(r, n)];
}
#define ANY(dice, list) any(dice, list, sizeof(list) / sizeof *(list))

/* ---- clients ---- */

static void choose_kinds(struct play *p)
{
    static const char *const names[CLIENTS] = { "p0", "p1", "p2", "r3", "r4", "r5", "r6", "r7", "r8" };
    static const enum mqtt_version versions[] = { MQTT_5, MQTT_5, MQTT_5, MQTT_3_1_1, MQTT_3_1 };
    static const uint32_t sizes[] = { 0, 0, 0, 40, 100, 1000 };
    static const uint16_t maxima[] = { 0, 0, 1, 3, 200 };
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct peer_connect *k = &p->kinds[i];
        *k = (struct peer_connect){ .client_id = names[i], .version = versions[random_below(&p->dice, 5)] };
        k->clean_start = k->version != MQTT_5; /* else 3.x would keep its session */
        k->expiry_s = k->version == MQTT_5 && random_chance(&p->dice, 40) ? 3600 : 0;
        k->max_packet = sizes[random_below(&p->dice, 6)];
        k->alias_max = maxima[random_below(&p->dice, 5)];
    }
}

static void come(struct play *p, unsigned i)
{
    p->peers[i] = peer_open(p->rig, shard_of(p->rig, (unsigned)random_below(&p->dice, 2)));
    peer_connect(p->peers[i], &p->kinds[i]);
    assert_int_equal(peer_expect(p->peers[i], MQTT_CONNACK)->reason, 0);
    if (i < PUBLISHERS)
        memset(p->aliases[i], 0, sizeof p->aliases[i]);
    for (unsigned n = 0; n < UINT8_MAX; n++) {
        free((void *)(uintptr_t)p->known[i][n].at);
        p->known[i][n] = BYTES_NONE;
    }
}

static void subscribe_some(struct play *p, unsigned i)
{
    for (unsigned n = (unsigned)random_below(&p->dice, 4); n; n--) {
        bool five = p->kinds[i].version == MQTT_5;
        struct mqtt_filter f = { .filter = bytes_str(ANY(&p->dice, filters)), .qos = (uint8_t)random_below(&p->dice, 3) };
        f.no_local = random_chance(&p->dice, 30) && five;
        f.retain_as_published = random_chance(&p->dice, 30) && five;
        f.retain_handling = five ? 2 : 0;
        (void)peer_subscribe_as(p->peers[i], &f, random_chance(&p->dice, 10) && five ? 1 + i : 0);
    }
}

/* ---- what comes ---- */

static struct bytes topic_of(struct play *p, unsigned i, const struct packet *k)
{
    if (!mqtt_props_has(&k->props, MQTT_PROP_TOPIC_ALIAS))
        return k->topic;
    uint16_t alias = k->props.topic_alias;
    assert_true(alias >= 1 && alias <= p->kinds[i].alias_max && alias <= UINT8_MAX);
    struct bytes *known = &p->known[i][alias - 1];
    if (k->topic.len) {
        free((void *)(uintptr_t)known->at);
        uint8_t *copy = malloc(k->topic.len);
        memcpy(copy, k->topic.at, k->topic.len);
        *known = bytes_of(copy, k->topic.len);
    }
    assert_true(known->len > 0); /* [MQTT-3.3.2-12] */
    return *known;
}

/* The payload begins with the publisher's digit and ends nowhere. Identifiers are no matter of order. */
static void note(struct play *p, unsigned i, const struct packet *k)
{
    unsigned from = (unsigned)(k->payload.at[0] - '0'), ids = 0;
    assert_true(from < PUBLISHERS);
    struct buf *out = &p->heard[i][from][k->qos], props = { 0 };
    uint32_t id;
    for (size_t cursor = 0; k->props.raw.len && mqtt_sub_id(&k->props, &cursor, &id);)
        ids += id;
    mqtt_props_forwardable(k->props.raw, &props);
    struct bytes topic = topic_of(p, i, k), list = buf_bytes(&props);
    uint32_t hash = 0;
    for (size_t n = 0; n < k->payload.len; n++)
        hash = hash * 31 + k->payload.at[n];
    for (size_t n = 0; n < list.len; n++)
        hash = hash * 31 + list.at[n];
    buf_printf(out, "%.*s %.*s.. (%zu bytes) QoS %u retain %d ids %u expiry %u hash %x\n", BYTES_FMT(topic),
               (int)(k->payload.len < 6 ? k->payload.len : 6), (const char *)k->payload.at, k->payload.len, k->qos, k->retain, ids,
               k->props.message_expiry_s, hash);
    buf_clear(&props);
}

static void finish_all(struct play *p)
{
    for (bool more = true; more;) {
        more = false;
        rig_run(p->rig);
        for (unsigned i = 0; i < CLIENTS; i++)
            for (struct packet *k; p->peers[i] && (k = peer_take(p->peers[i]));) {
                more = true;
                if (k->type == MQTT_PUBLISH)
                    note(p, i, k);
                if (k->type == MQTT_PUBLISH && k->qos)
                    peer_ack(p->peers[i], k->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, k->pid, 0);
                if (k->type == MQTT_PUBREC)
                    peer_ack(p->peers[i], MQTT_PUBREL, k->pid, 0);
                if (k->type == MQTT_PUBREL)
                    peer_ack(p->peers[i], MQTT_PUBCOMP, k->pid, 0);
                assert_true(k->type != MQTT_DISCONNECT);
            }
    }
}

/* ---- what is sent ---- */

static void add_props(struct random *dice, struct buf *props)
{
    if (random_chance(dice, 10))
        mqtt_put_u32(props, MQTT_PROP_MESSAGE_EXPIRY, 100 + (uint32_t)random_below(dice, 1000));
    if (random_chance(dice, 20))
        mqtt_put_user(props, BYTES_LIT("name"), BYTES_LIT("value"));
    if (random_chance(dice, 10))
        mqtt_put_u8(props, MQTT_PROP_PAYLOAD_FORMAT, 1);
    if (random_chance(dice, 10))
        mqtt_put_bytes(props, MQTT_PROP_CONTENT_TYPE, BYTES_LIT("text/plain"));
}

static void use_alias(struct play *p, unsigned i, const char **topic, struct buf *props)
{
    unsigned alias = (unsigned)random_below(&p->dice, ALIASES);
    mqtt_put_u16(props, MQTT_PROP_TOPIC_ALIAS, (uint16_t)(alias + 1));
    if (p->aliases[i][alias] && random_chance(&p->dice, 60))
        *topic = "";
    else
        p->aliases[i][alias] = *topic;
}

static void publish_one(struct play *p, unsigned i)
{
    static char payload[6000];
    struct random *dice = &p->dice;
    bool retain = random_chance(dice, 4);
    const char *topic = retain ? kept[i] : ANY(dice, topics);
    struct buf props = { 0 };
    if (p->kinds[i].version == MQTT_5)
        add_props(dice, &props);
    if (p->kinds[i].version == MQTT_5 && !retain && random_chance(dice, 20))
        use_alias(p, i, &topic, &props);
    memset(payload, 'x', sizeof payload);
    int n = snprintf(payload, sizeof payload, "%u%05u", i, p->serial++);
    payload[n] = 'x';
    size_t len = random_chance(dice, 10) ? sizeof payload : 6 + random_below(dice, 60);
    struct peer_publish out = { .topic = bytes_str(topic), .payload = bytes_of(payload, len), .props = buf_bytes(&props) };
    out.qos = random_chance(dice, 85) ? 0 : (uint8_t)(1 + random_below(dice, 2));
    out.retain = retain;
    (void)peer_publish_full(p->peers[i], &out);
    buf_clear(&props);
}

static void play(struct play *p, const struct rig_config *config)
{
    p->rig = rig_new(config);
    p->dice = (struct random){ config->seed * 991 };
    rig_must_open(p->rig);
    choose_kinds(p);
    for (unsigned i = 0; i < CLIENTS; i++)
        come(p, i);
    for (unsigned batch = 0; batch < BATCHES; batch++) {
        for (unsigned i = 0; i < CLIENTS; i++)
            if (p->peers[i])
                subscribe_some(p, i);
        finish_all(p); /* or what is retained would come, or not */
        for (unsigned i = 0; i < CLIENTS; i++)
            if (p->peers[i] && random_chance(&p->dice, 30))
                (void)peer_unsubscribe(p->peers[i], ANY(&p->dice, filters));
        finish_all(p);
        for (unsigned n = 0; n < BURST; n++) {
            unsigned i = (unsigned)random_below(&p->dice, PUBLISHERS);
            if (p->peers[i])
                publish_one(p, i);
        }
        finish_all(p);
        unsigned who = (unsigned)random_below(&p->dice, CLIENTS);
        if (!p->peers[who]) {
            come(p, who);
            continue;
        }
        peer_close(p->peers[who]);
        p->peers[who] = NULL;
        rig_run(p->rig);
    }
    finish_all(p);
}

static void play_clear(struct play *p)
{
    rig_free(p->rig);
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (unsigned n = 0; n < UINT8_MAX; n++)
            free((void *)(uintptr_t)p->known[i][n].at);
        for (unsigned k = 0; k < PUBLISHERS * 3; k++)
            buf_clear(&p->heard[i][k / 3][k % 3]);
    }
    free(p);
}

static struct broker_stats must_be_same(struct play *a, struct play *b, uint64_t seed)
{
    unsigned heard = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        for (unsigned k = 0; k < PUBLISHERS * 3; k++) {
            struct bytes x = buf_bytes(&a->heard[i][k / 3][k % 3]), y = buf_bytes(&b->heard[i][k / 3][k % 3]);
            heard += x.len > 0;
            if (!bytes_equal(x, y)) {
                print_error("%.*s\nand\n%.*s\n", BYTES_FMT(x), BYTES_FMT(y));
                fail_msg("seed %u: what %s heard of publisher %u", (unsigned)seed, a->kinds[i].client_id, k / 3);
            }
        }
    assert_true(heard > CLIENTS);
    struct broker_stats s = stats_of(a->rig), t = stats_of(b->rig);
    assert_true(s.to_partitions == 0 && t.to_partitions > 0);
#define SAME(what) assert_int_equal(s.what, t.what)
    for (int q = 0; q < 3; q++) {
        SAME(received[q]);
        SAME(sent[q]);
    }
    SAME(received_bytes);
    SAME(sent_bytes);
    SAME(packets_in);
    SAME(packets_out);
    SAME(dropped_slow);
    SAME(dropped_too_large);
    SAME(dropped_away);
    return s;
}

/* A message for the hub goes the long way; else the hub changes nothing for subscribers. */
static void both_ways_are_one(void **state)
{
    static const char *const all[] = { "#" };
    (void)state;
    uint64_t away = 0, too_large = 0;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct rig_config config;
        rig_defaults(&config);
        config.seed = seed;
        config.shards = 1 + (unsigned)(seed / 2 % 2);
        config.split = seed % 2;
        struct play *fast = calloc(1, sizeof *fast), *slow = calloc(1, sizeof *slow);
        play(fast, &config);
        config.hub_topics = all;
        config.hub_topic_count = 1;
        play(slow, &config);
        struct broker_stats s = must_be_same(fast, slow, seed);
        away += s.dropped_away;
        too_large += s.dropped_too_large;
        play_clear(fast);
        play_clear(slow);
    }
    assert_true(away && too_large);
}

/* ---- everything at once ---- */

enum { CROWD = 6, ROUNDS = 150 };

struct crowd {
    struct rig   *rig;
    struct random dice;
    struct peer  *peers[CROWD];
    unsigned      life[CROWD], serial; /* life: how often it has connected */
    unsigned      last[CROWD][CROWD];  /* the highest number that the one got from the other with QoS 0 */
    unsigned      got;
};

/* Its publisher's number, which connection of it, and a number that counts up. */
static void say(struct crowd *w, unsigned i)
{
    char text[32], topic[8];
    (void)snprintf(text, sizeof text, "%u %u %u", i, w->life[i], ++w->serial);
    (void)snprintf(topic, sizeof topic, "t/%u", (unsigned)random_below(&w->dice, 3));
    peer_publish(w->peers[i], topic, text, random_chance(&w->dice, 20), random_chance(&w->dice, 3));
}

static void connect_one(struct crowd *w, unsigned i)
{
    static const char *const names[CROWD] = { "c0", "c1", "c2", "c3", "c4", "c5" };
    struct peer_connect c = { .client_id = names[i], .expiry_s = i % 2 ? 3600 : 0, .alias_max = (uint16_t)(i % 3 * 5),
                              .version = i == 4 ? MQTT_3_1_1 : MQTT_5, .clean_start = i == 4, .max_packet = i == 5 ? 30 : 0 };
    w->peers[i] = peer_open(w->rig, shard_of(w->rig, (unsigned)random_below(&w->dice, 3)));
    peer_connect(w->peers[i], &c);
    w->life[i]++;
}

static void act(struct crowd *w, unsigned i)
{
    struct mqtt_filter f = { .filter = random_chance(&w->dice, 50) ? BYTES_LIT("t/+") : BYTES_LIT("t/1"),
                             .qos = (uint8_t)random_below(&w->dice, 2), .retain_handling = i == 4 ? 0 : 2 };
    switch (random_below(&w->dice, 12)) {
    case 0:
        (void)peer_subscribe_full(w->peers[i], &f);
        break;
    case 1:
        (void)peer_unsubscribe(w->peers[i], "t/1");
        break;
    case 2:
        if (random_chance(&w->dice, 50))
            peer_hang_up(w->peers[i]);
        else
            peer_disconnect(w->peers[i], 0);
        peer_close(w->peers[i]);
        w->peers[i] = NULL;
        break;
    case 3: { /* takeover */
        struct peer *old = w->peers[i];
        connect_one(w, i);
        peer_close(old);
        break;
    }
    default:
        say(w, i);
        break;
    }
}

static void hear(struct crowd *w, unsigned i)
{
    for (struct packet *k; w->peers[i] && (k = peer_take(w->peers[i]));) {
        char text[32] = "";
        unsigned from, life, number;
        if (k->type != MQTT_PUBLISH)
            continue;
        if (k->qos)
            peer_ack(w->peers[i], MQTT_PUBACK, k->pid, 0);
        assert_true(k->payload.len < sizeof text);
        memcpy(text, k->payload.at, k->payload.len);
        assert_int_equal(sscanf(text, "%u %u %u", &from, &life, &number), 3);
        w->got++;
        if (k->qos || k->retain || life != w->life[from])
            continue;
        if (number <= w->last[i][from])
            fail_msg("%u got %u from %u after %u", i, number, from, w->last[i][from]);
        w->last[i][from] = number;
    }
}

/* Connections come, go, subscribe and are taken over in the turn in which others publish: nobody is sent to who is gone, and
 * what one connection says with QoS 0 keeps its order. */
static void a_turn_full_of_changes(struct rig *rig)
{
    struct crowd w = { .rig = rig, .dice = { rig->config.seed * 4711 } };
    for (unsigned i = 0; i < CROWD; i++)
        connect_one(&w, i);
    rig_run(rig);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned n = (unsigned)random_below(&w.dice, 20); n; n--) {
            unsigned i = (unsigned)random_below(&w.dice, CROWD);
            if (w.peers[i])
                act(&w, i);
            else
                connect_one(&w, i);
        }
        rig_run(rig);
        for (unsigned i = 0; i < CROWD; i++)
            hear(&w, i);
    }
    assert_true(w.got > ROUNDS);
    for (unsigned i = 0; i < CROWD; i++)
        peer_close(w.peers[i]);
    rig_run(rig);
}

/* ---- a session that comes up on another loop meanwhile ---- */

struct flicker {
    struct session *session;
    _Atomic bool    over;
};

static void *come_and_go(void *arg)
{
    struct flicker *f = arg;
    while (!atomic_load(&f->over)) {
        atomic_store(&f->session->shard, -1);
        atomic_store(&f->session->shard, 1);
    }
    return NULL;
}

/* Its connection belongs to that loop, at whatever moment it is there: this one sends it nothing. */
static void another_loops_connection_is_not_touched(void **state)
{
    enum { MESSAGES = 2000, OTHERS = 200 /* away: so that looking at all takes its time */ };
    (void)state;
    log_set_level(LOG_ERROR);
    struct rig_config config;
    rig_defaults(&config);
    struct rig *rig = rig_new(&config);
    rig_must_open(rig);
    struct peer *from = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "sender" }, false);
    struct peer *to = peer_connected(rig, 1, &(struct peer_connect){ .client_id = "comer" }, false);
    peer_subscribed(to, "a", 0);
    for (int i = 0; i < OTHERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "away %d", i);
        struct peer *p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = name, .expiry_s = 3600 }, false);
        peer_subscribed(p, "a", 0);
        peer_close(p);
    }
    rig_run(rig);
    struct flicker f = { .session = rig->broker->shards[1].clients->session };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, come_and_go, &f), 0);
    for (int i = 0; i < MESSAGES; i++) {
        (void)peer_publish(from, "a", "x", 0, false);
        rig_run(rig);
        while (peer_take(to))
            ;
    }
    atomic_store(&f.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&rig->broker->shards[0].counters.dropped_away) > 0);
    assert_true(atomic_load(&rig->broker->shards[1].counters.sent[0]) > 0);
    assert_int_equal(atomic_load(&rig->broker->shards[0].counters.sent[0]), 0);
    rig_free(rig);
}

/* Between CONNECT and a CONNACK that waits for the disk nothing may be sent [MQTT-3.2.0-1]: QoS 0 is dropped, and counted. */
static void who_is_just_coming_counts_as_away(struct rig *rig)
{
    const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
    struct peer *from = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "sender" }, false);
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "#", 0);
    peer_close(to);
    rig_run(rig);
    to = peer_open(rig, 0);
    peer_connect(to, &keeps);
    rig_run_without_disk(rig);
    peer_publish(from, "a", "direct", 0, false);
    rig_run_without_disk(rig);
    assert_int_equal(stats_of(rig).dropped_away, 1);
    struct peer_publish slow = { .topic = BYTES_LIT("a"), .payload = BYTES_LIT("long way"), .props = BYTES_LIT("\x02\0\0\0\x09") };
    peer_publish_full(from, &slow); /* it expires */
    rig_run_without_disk(rig);
    assert_int_equal(stats_of(rig).dropped_away, 2);
    assert_null(peer_take(to));
    (void)peer_expect(to, MQTT_CONNACK);
    peer_publish(from, "a", "there", 0, false);
    (void)peer_expect_publish(to, "a", "there", 0);
    assert_int_equal(stats_of(rig).dropped_away, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_are_one),
        RIG_TEST(a_turn_full_of_changes, NULL),
        cmocka_unit_test(another_loops_connection_is_not_touched),
        RIG_TEST(who_is_just_coming_counts_as_away, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
