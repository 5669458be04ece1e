/* bench_send.c - what is sent when: the window of the closed loop, the schedule of the open one. */
#include "cli/bench_parts.h"

#include "base/mem.h"

#include <stdio.h>

/* REFILL: a window is filled up when a quarter of it is free. */
enum { UNSENT_MAX = 256 * 1024, TOPIC_MAX = 160, REFILL = 4 };

/* ---- packets ---- */

void bench_topic(const struct bench *b, const struct peer *p, char *out, size_t cap)
{
    const struct bench_plan *plan = &b->plan;
    bool all = p->subscriber && !plan->pairs && plan->topics > 1;
    uint32_t topic = p->subscriber ? (plan->pairs ? p->number : 0) : p->number % plan->topics;
    bool shared = p->subscriber && plan->share;
    if (all)
        (void)snprintf(out, cap, "%s%s%s%s/+", shared ? "$share/" : "", shared ? plan->share : "",
                       shared ? "/" : "", b->topic);
    else
        (void)snprintf(out, cap, "%s%s%s%s/%u", shared ? "$share/" : "", shared ? plan->share : "",
                       shared ? "/" : "", b->topic, topic);
}

static enum code make_template(struct bench *b, uint32_t topic, struct fault *why)
{
    const struct bench_plan *plan = &b->plan;
    struct template *t = &b->templates[topic];
    struct peer named = {.number = topic};
    char name[TOPIC_MAX];
    struct buf out = {0};
    bench_topic(b, &named, name, sizeof name);
    mqtt_encode_publish_head(&out, plan->target.version, plan->qos, false, false, bytes_str(name), 1,
                             BYTES_NONE, BYTES_NONE, plan->size);
    t->payload_at = out.len;
    t->id_at = out.len - (plan->target.version == MQTT_5) - 2;
    uint8_t *payload = buf_grow(&out, plan->size);
    if (!payload || out.bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a message of %u bytes", plan->size);
    memset(payload, 'x', plan->size);
    t->at = out.at;
    t->len = out.len;
    return CODE_OK;
}

enum code bench_templates(struct bench *b, struct fault *why)
{
    b->templates = mem_zalloc(b->plan.topics, sizeof *b->templates);
    if (!b->templates)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %u topics", b->plan.topics);
    enum code c = CODE_OK;
    for (uint32_t i = 0; i < b->plan.topics && c == CODE_OK; i++)
        c = make_template(b, i, why);
    return c;
}

static const struct template *template_of(const struct bench *b, const struct peer *p)
{
    uint32_t topics = b->plan.topics, publishers = b->plan.publishers;
    if (topics <= publishers)
        return &b->templates[p->number % topics];
    return &b->templates[(p->number + p->sent * publishers) % topics];
}

static void put_message(struct peer *p, struct buf *out, int64_t stamp_us)
{
    struct bench *b = p->bench;
    const struct template *t = template_of(b, p);
    uint8_t *at = buf_grow(out, t->len);
    if (!at)
        return; /* the buffer is bad now: the connection ends and says so */
    memcpy(at, t->at, t->len);
    if (b->plan.qos) {
        uint16_t id = p->free_ids[--p->free_count];
        p->flights[id - 1] = (struct flight){p->sent, stamp_us};
        at[t->id_at] = (uint8_t)(id >> 8);
        at[t->id_at + 1] = (uint8_t)id;
        b->flying++;
    }
    put_le64(at + t->payload_at, (uint64_t)stamp_us);
    put_le64(at + t->payload_at + 8, (uint64_t)p->number | p->sent << 16);
    p->sent++;
    b->published++;
}

static uint64_t may_send(const struct peer *p)
{
    if (p->state != PEER_READY || conn_unsent(p->conn) >= UNSENT_MAX)
        return 0;
    const struct bench *b = p->bench;
    uint64_t room = (UNSENT_MAX - conn_unsent(p->conn)) / (b->plan.size + 64) + 1;
    return b->plan.qos && p->free_count < room ? p->free_count : room;
}

/* ---- closed loop ---- */

static uint64_t send_now(struct peer *p, uint64_t want)
{
    uint64_t n = may_send(p);
    n = want < n ? want : n;
    if (n == 0)
        return 0;
    struct buf *out = conn_out(p->conn);
    int64_t now = bench_now(p->bench);
    for (uint64_t i = 0; i < n; i++)
        put_message(p, out, now);
    return n;
}

static uint64_t slowest(const struct bench *b)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < b->audience_count; i++)
        if (b->audiences[i].progress < least)
            least = b->audiences[i].progress;
    return least;
}

/* Of `sent`, `got` have come back and `forgiven` are not waited for. */
static uint64_t room_of(uint64_t window, uint64_t sent, uint64_t got, uint64_t forgiven)
{
    uint64_t out = sent > got + forgiven ? sent - got - forgiven : 0;
    return out < window ? window - out : 0;
}

static void send_pairs(struct bench *b)
{
    for (uint32_t i = 0; i < b->plan.publishers; i++) {
        struct peer *p = &b->publishers[i];
        uint64_t room = room_of(b->plan.window, p->sent, b->audiences[i].progress, p->forgiven);
        if (room && room >= b->plan.window / REFILL)
            (void)send_now(p, room);
    }
}

static void send_window(struct bench *b)
{
    uint32_t n = b->plan.publishers;
    uint64_t all = (uint64_t)b->plan.window * n;
    uint64_t room = b->audience_count ? room_of(all, b->published, slowest(b), b->forgiven) : all;
    if (room < all / REFILL)
        return; /* many small writes would measure the kernel */
    for (uint32_t i = 0; i < n && room; i++) {
        struct peer *p = &b->publishers[(b->turn_first + i) % n];
        uint64_t share = (room + (n - i) - 1) / (n - i);
        room -= send_now(p, share);
    }
    b->turn_first = (b->turn_first + 1) % n;
}

bool bench_nothing_came(struct bench *b)
{
    if (b->plan.rate > 0 || b->audience_count == 0)
        return false;
    b->forgiven = b->published - slowest(b);
    for (uint32_t i = 0; b->plan.pairs && i < b->plan.publishers; i++)
        b->publishers[i].forgiven = b->publishers[i].sent - b->audiences[i].progress;
    return true;
}

/* ---- open loop ---- */

/* When message k of all is due. */
static int64_t due_us(const struct bench *b, uint64_t k)
{
    return b->start_us + (int64_t)((double)k * 1e6 / b->plan.rate);
}

static void send_due(struct bench *b)
{
    uint32_t n = b->plan.publishers;
    int64_t now = bench_now(b);
    while (due_us(b, b->next_due) <= now) {
        b->publishers[b->next_due % n].due++;
        b->next_due++;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct peer *p = &b->publishers[i];
        uint64_t room = p->due > p->sent ? may_send(p) : 0;
        if (!room)
            continue;
        struct buf *out = conn_out(p->conn);
        for (; room && p->due > p->sent; room--)
            put_message(p, out, due_us(b, p->sent * n + p->number));
    }
    atomic_store(&b->pacer.due_us, due_us(b, b->next_due));
}

void bench_send(void *bench)
{
    struct bench *b = bench;
    if (b->phase != PHASE_WARM_UP && b->phase != PHASE_MEASURE)
        return;
    if (b->plan.rate > 0)
        send_due(b);
    else if (b->plan.pairs)
        send_pairs(b);
    else
        send_window(b);
}
