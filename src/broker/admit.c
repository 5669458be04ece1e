#include "broker/admit.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "base/mem.h"
#include "mqtt/packet.h"
#include "net/loop.h"

#include <inttypes.h>

struct admit_address {
    uint32_t connections;
    uint32_t arrivals;       /* in the second that began at window_us */
    int64_t  window_us;
    uint32_t len;
    uint8_t  text[];
};

enum { SWEEP_EVERY = 4096 };

void admit_init(struct admit *a)
{
    *a = (struct admit){ 0 };
    (void)pthread_mutex_init(&a->lock, NULL);
}

void admit_clear(struct admit *a)
{
    size_t cursor = 0;
    for (struct admit_address *at; (at = table_next(&a->addresses, &cursor));)
        mem_free(at);
    table_clear(&a->addresses);
    (void)pthread_mutex_destroy(&a->lock);
}

/* "10.0.0.5:50112" and "[fe80::1]:50112" without their ports. */
static struct bytes key_of(const struct admit_address *at)
{
    return bytes_of(at->text, at->len);
}

/* Addresses that have gone are forgotten now and then, so that a scan of the whole internet does not stay in memory. */
static void sweep(struct admit *a, int64_t now_us)
{
    if (++a->since_sweep < SWEEP_EVERY)
        return;
    a->since_sweep = 0;
    size_t cursor = 0;
    for (struct admit_address *at; (at = table_next(&a->addresses, &cursor));)
        if (at->connections == 0 && now_us - at->window_us > 2000000) {
            (void)table_remove(&a->addresses, key_of(at));
            mem_free(at);
        }
}

static struct admit_address *find_or_make(struct admit *a, struct bytes host)
{
    struct admit_address *at = table_get(&a->addresses, host);
    if (at)
        return at;
    at = mem_zalloc(1, sizeof *at + host.len);
    if (!at)
        return NULL;
    at->len = (uint32_t)host.len;
    memcpy(at->text, host.at, host.len);
    if (table_put(&a->addresses, key_of(at), at) == CODE_OK)
        return at;
    mem_free(at);
    return NULL;
}

void admit_came(struct admit *a, const char *address, int64_t now_us, bool *counted)
{
    (void)pthread_mutex_lock(&a->lock);
    sweep(a, now_us);
    struct admit_address *at = find_or_make(a, address_host(address));
    *counted = at != NULL;
    if (at) {
        at->connections++;
        if (now_us - at->window_us >= 1000000 || at->window_us == 0) {
            at->window_us = now_us ? now_us : 1;
            at->arrivals = 0;
        }
        at->arrivals++;
        limits_saw(LIMIT_CONNECTIONS_PER_ADDRESS, at->connections);
        limits_saw(LIMIT_CONNECT_RATE, at->arrivals);
    }
    (void)pthread_mutex_unlock(&a->lock);
}

void admit_went(struct admit *a, const char *address)
{
    (void)pthread_mutex_lock(&a->lock);
    struct admit_address *at = table_get(&a->addresses, address_host(address));
    if (at && at->connections)
        at->connections--;
    (void)pthread_mutex_unlock(&a->lock);
}

uint8_t admit_judge(struct admit *a, const struct limits *limits, const char *address, int64_t now_us)
{
    uint8_t reason = 0;
    (void)pthread_mutex_lock(&a->lock);
    const struct admit_address *at = table_get(&a->addresses, address_host(address));
    if (at && at->connections > limits->connections_per_address)
        reason = MQTT_QUOTA_EXCEEDED;
    else if (at && now_us - at->window_us < 1000000 && at->arrivals > limits->connect_rate)
        reason = MQTT_CONNECTION_RATE;
    if (reason)
        limits_refused(reason == MQTT_QUOTA_EXCEEDED ? LIMIT_CONNECTIONS_PER_ADDRESS : LIMIT_CONNECT_RATE);
    (void)pthread_mutex_unlock(&a->lock);
    return reason;
}

void admit_weigh(struct admit *a, const struct limits *limits, uint64_t bytes, uint64_t spare)
{
    bool over = bytes + spare > limits->memory_bytes;
    if (atomic_exchange(&a->over_memory, over) == over)
        return;
    if (over)
        log_warn("broker", "FG2050 the node uses %" PRIu64 " bytes of memory and keeps %" PRIu64 " free, limits.memory-bytes is %" PRIu64
                 ": new clients are refused and publishers wait", bytes, spare, limits->memory_bytes);
    else
        log_info("broker", "memory is below what limits.memory-bytes allows again");
}
