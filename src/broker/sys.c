#include "broker/private.h"

#include "base/crc32c.h"
#include "mqtt/topic.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the values ---- */

struct value {
    char topic[56], text[72];
};
struct values {
    struct value at[SYS_VALUES];
    unsigned     count;
};

static void put(struct values *v, const char *name, const char *text)
{
    FG_ASSERT(v->count < SYS_VALUES);
    struct value *x = &v->at[v->count++];
    (void)snprintf(x->topic, sizeof x->topic, "$SYS/broker/%s", name);
    (void)snprintf(x->text, sizeof x->text, "%s", text);
}

static void put_number(struct values *v, const char *name, uint64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, n);
    put(v, name, text);
}

static uint64_t sum(const uint64_t by_qos[3])
{
    return by_qos[0] + by_qos[1] + by_qos[2];
}

static uint64_t dropped(const struct broker_stats *s)
{
    return s->dropped_slow + s->dropped_queue + s->dropped_expired + s->dropped_too_large + s->dropped_away +
           s->dropped_refused;
}

static void gather_counters(const struct broker_stats *s, uint64_t out[SYS_LOADS])
{
    const uint64_t now[SYS_LOADS] = { s->packets_in, s->packets_out, sum(s->received), sum(s->sent), dropped(s),
                                      s->wire_in,    s->wire_out,    s->connects };
    memcpy(out, now, sizeof now);
}

static void put_loads(struct values *v, struct sys *sys)
{
    static const char *const names[SYS_LOADS] = { "messages/received", "messages/sent", "publish/received", "publish/sent",
                                                  "publish/dropped", "bytes/received", "bytes/sent", "connections" };
    static const char *const over[3] = { "1min", "5min", "15min" };
    for (int i = 0; i < SYS_LOADS; i++)
        for (int k = 0; k < 3; k++) {
            char name[48], text[32];
            uint64_t load = atomic_load_explicit(&sys->loads[i][k], memory_order_relaxed);
            (void)snprintf(name, sizeof name, "load/%s/%s", names[i], over[k]);
            (void)snprintf(text, sizeof text, "%" PRIu64 ".%02u", load / 1000, (unsigned)(load % 1000 / 10));
            put(v, name, text);
        }
}

static uint64_t connected(struct broker *b)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < b->shard_count; i++)
        n += atomic_load_explicit(&b->shards[i].signed_in, memory_order_relaxed);
    return n;
}

static void compute(struct broker *b, int64_t now, struct values *v)
{
    struct broker_stats s;
    char text[64];
    broker_stats(b, &s);
    uint64_t here = connected(b), away = s.sessions > here ? s.sessions - here : 0;
    v->count = 0;
    (void)snprintf(text, sizeof text, "fieldgate version %s", b->config.version ? b->config.version : "?");
    put(v, "version", text);
    (void)snprintf(text, sizeof text, "%" PRId64 " seconds", (now - b->sys.started_us) / 1000000);
    put(v, "uptime", text);
    put_number(v, "clients/total", here + away);
    put_number(v, "clients/connected", here);
    put_number(v, "clients/active", here); /* Mosquitto's older name */
    put_number(v, "clients/disconnected", away);
    put_number(v, "clients/inactive", away); /* as above */
    put_number(v, "clients/maximum", s.clients_max);
    put_number(v, "clients/expired", s.expired);
    put_number(v, "messages/received", s.packets_in);
    put_number(v, "messages/sent", s.packets_out);
    put_number(v, "messages/stored", s.retained + s.queued_messages);
    put_number(v, "store/messages/count", s.retained + s.queued_messages);
    put_number(v, "store/messages/bytes", s.retained_bytes + s.queued_bytes);
    put_number(v, "publish/messages/received", sum(s.received));
    put_number(v, "publish/messages/sent", sum(s.sent));
    put_number(v, "publish/messages/dropped", dropped(&s));
    put_number(v, "publish/bytes/received", s.received_bytes);
    put_number(v, "publish/bytes/sent", s.sent_bytes);
    put_number(v, "bytes/received", s.wire_in);
    put_number(v, "bytes/sent", s.wire_out);
    put_number(v, "subscriptions/count", s.subscriptions);
    put_number(v, "shared_subscriptions/count", s.shared_subscriptions);
    put_number(v, "retained messages/count", s.retained);
    put_number(v, "heap/current", mem_in_use());
    put_number(v, "heap/maximum", atomic_load_explicit(&b->sys.heap_max, memory_order_relaxed));
    put_loads(v, &b->sys);
}

static struct message *message_of(struct shard *shard, const struct value *v)
{
    struct message_parts parts = { .wall_us = loop_wall_us(shard->loop), .now_us = loop_now_us(shard->loop),
                                   .topic = bytes_str(v->topic), .payload = bytes_str(v->text), .text = true };
    return message_new(&parts);
}

/* ---- new subscriptions ---- */

static bool below(struct bytes topic, const char *first)
{
    size_t n = strlen(first);
    return bytes_starts(topic, first) && (topic.len == n || topic.at[n] == '/');
}

bool sys_topic(struct bytes topic)
{
    return below(topic, "$SYS");
}

bool own_topic(struct bytes topic)
{
    return topic.len && topic.at[0] == '$' && (below(topic, "$SYS") || below(topic, "$jobs") || below(topic, "$actions"));
}

bool sys_greet(struct client *c, struct bytes filter, uint32_t id)
{
    struct shard *shard = c->shard;
    struct broker *b = shard->broker;
    struct values v;
    if (!b->config.sys_interval_s || !sys_topic(filter))
        return true;
    struct origin *origin = id ? origin_new(&id, 1, BYTES_NONE) : NULL;
    if (id && !origin)
        return false;
    compute(b, loop_now_us(shard->loop), &v);
    bool ok = true;
    for (unsigned i = 0; ok && i < v.count; i++) {
        if (!topic_matches(filter, bytes_str(v.at[i].topic)))
            continue;
        struct message *m = message_of(shard, &v.at[i]);
        ok = m != NULL;
        if (ok)
            deliver_now(shard, c, m, origin, true);
        message_drop(m);
    }
    origin_drop(origin);
    return ok;
}

/* ---- with time ---- */

void sys_start(struct shard *shard)
{
    struct sys *sys = &shard->broker->sys;
    sys->started_us = sys->counted_us = loop_now_us(shard->loop);
}

/* Moving averages, weighted by exp(-1 s / 1, 5, 15 min): the factor for each second since the last look. */
static void count_loads(struct broker *b, int64_t now)
{
    static const double keep[3] = { 0.98347145382161748, 0.99667221605452332, 0.99888950593 };
    struct sys *sys = &b->sys;
    int64_t seconds = (now - sys->counted_us) / 1000000;
    struct broker_stats s;
    uint64_t counted[SYS_LOADS];
    if (seconds <= 0)
        return;
    broker_stats(b, &s);
    gather_counters(&s, counted);
    for (int i = 0; i < SYS_LOADS; i++)
        for (int k = 0; k < 3; k++) {
            double per_minute = (double)(counted[i] - sys->counted[i]) * 60.0 / (double)seconds, factor = 1;
            for (int64_t n = 0; n < seconds && n < 3600; n++)
                factor *= keep[k];
            double old = (double)atomic_load_explicit(&sys->loads[i][k], memory_order_relaxed) / 1000.0;
            double load = old * factor + per_minute * (1 - factor);
            atomic_store_explicit(&sys->loads[i][k], (uint64_t)(load * 1000.0 + 0.5), memory_order_relaxed);
        }
    memcpy(sys->counted, counted, sizeof counted);
    sys->counted_us += seconds * 1000000;
}

static void publish(struct shard *shard, const struct value *v)
{
    struct fanout *f = route_find(shard, bytes_str(v->topic));
    struct message *m = f && (f->count || f->share_count || f->to_partition) ? message_of(shard, v) : NULL;
    struct op op = { .kind = OP_PUBLISH, .message = m, .fanout = f };
    if (m)
        op.crc = crc32c(0, m->encoded.at, m->encoded.len);
    if (m && shard_push_op(shard, &op))
        return;
    message_drop(m);
    fanout_drop(f);
}

void sys_second(struct shard *shard)
{
    struct broker *b = shard->broker;
    struct sys *sys = &b->sys;
    struct values v;
    int64_t now = loop_now_us(shard->loop);
    uint64_t heap = mem_in_use();
    if (!b->config.sys_interval_s)
        return;
    if (heap > atomic_load_explicit(&sys->heap_max, memory_order_relaxed))
        atomic_store_explicit(&sys->heap_max, heap, memory_order_relaxed);
    count_loads(b, now);
    if (now < sys->next_us)
        return;
    sys->next_us = now + (int64_t)b->config.sys_interval_s * 1000000;
    compute(b, now, &v);
    for (unsigned i = 0; i < v.count; i++) {
        struct bytes text = bytes_str(v.at[i].text);
        uint32_t sum_of = crc32c(1, text.at, text.len);
        if (sum_of != sys->said[i])
            publish(shard, &v.at[i]);
        sys->said[i] = sum_of;
    }
}
