/* feed.c - messages in, values out: batches from the consumer, a message's topic, its fields, their types, times and quality. */
#include "base/log.h"
#include "base/mem.h"
#include "mirror/convert.h"
#include "mirror/mirror_private.h"
#include "opcua/status.h"

enum { BATCH = 256, RETRY_MS = 250, PARTS = OPCUA_FIELD_PARTS };

/* ---- which fields ---- */

static uint32_t split(const char *path, struct bytes parts[PARTS])
{
    uint32_t n = 0;
    for (const char *at = path; at && n < PARTS; at = at ? at + 1 : NULL) {
        const char *dot = strchr(at, '.');
        parts[n++] = bytes_of(at, dot ? (size_t)(dot - at) : strlen(at));
        at = dot;
    }
    return n;
}

/* Two paths for each variable, where it has them: its value and its time. */
static bool make_plan(struct mirror_topic *t)
{
    uint32_t n = 0, paths = 0;
    for (const struct mirror_variable *v = t->first; v; v = v->next)
        n++;
    struct json_path *list = mem_zalloc(2 * n, sizeof *list);
    struct bytes(*parts)[PARTS] = mem_zalloc(2 * n, sizeof *parts);
    for (struct mirror_variable *v = t->first; v && list && parts; v = v->next) {
        const char *const of[] = { v->entry->field, v->entry->timestamp };
        uint32_t *const slots[] = { &v->slot, &v->time_slot };
        for (int i = 0; i < 2; i++) {
            *slots[i] = of[i][0] ? paths : UINT32_MAX;
            if (of[i][0]) {
                list[paths].count = split(of[i], parts[paths]);
                list[paths].parts = parts[paths];
                paths++;
            }
        }
    }
    json_plan_free(t->plan);
    t->plan = list && parts && paths ? json_plan_new(list, paths) : NULL;
    t->planned = list && parts && (t->plan || !paths);
    mem_free(parts);
    mem_free(list);
    return t->planned;
}

/* ---- one value ---- */

/* In the log once, until it is good again for the first time after a change of the settings: a machine that alternates would fill it. */
static void set_bad(struct mirror_variable *v, ua_status status, ua_time when, const struct fault *why)
{
    struct mirror *m = v->mirror;
    char said[160];
    m->count.bad++;
    ua_set_status(m->space, v->node, status, when);
    if (v->said)
        return;
    v->said = true;
    log_warn("opcua", "FG5406 opcua.variables.%s: a message on %s has no %s in %s: %s%s%s. Clients see that instead of a value; it is said once and"
                      " counted (opcua_server_bad_values_total)",
             v->entry->entry.name, bytes_escape(bytes_of(v->topic->name, v->topic->len), said, sizeof said), ua_builtin_name(v->entry->type + 1),
             v->entry->field[0] ? v->entry->field : "its payload", ua_status_name(status), why ? ": " : "", why ? why->text : "");
}

static void set(struct mirror_variable *v, ua_status status, const struct ua_variant *value, ua_time when, const struct fault *why)
{
    struct mirror *m = v->mirror;
    struct ua_data_value d = { .has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME, .source_time = when };
    m->count.values++;
    if (status == UA_GOOD) {
        d.value = *value;
        status = ua_set_value(m->space, v->node, &d) ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
    }
    if (status == UA_GOOD)
        m->count.good++;
    else
        set_bad(v, status, when, why);
}

static ua_time time_of(struct mirror_variable *v, const struct value *slots, const struct message *msg)
{
    ua_time t;
    if (v->time_slot == UINT32_MAX)
        return ua_time_from_us(msg->wall_us);
    if (slots && mirror_time(slots[v->time_slot], &t))
        return t;
    v->mirror->count.bad_times++;
    return ua_time_from_us(msg->wall_us);
}

/* ---- one message ---- */

struct shot {
    struct mirror_topic  *topic;
    const struct message *msg;
    int64_t heard_us;
    bool    first_only; /* only variables that have had none */
};

static bool meant(const struct shot *s, const struct mirror_variable *v)
{
    return !s->first_only || !v->seen;
}

static void set_plain(struct mirror *m, const struct shot *s)
{
    for (struct mirror_variable *v = s->topic->first; v; v = v->next) {
        struct ua_variant value;
        if (v->slot != UINT32_MAX || !meant(s, v))
            continue;
        ua_status status = mirror_convert_text(&value, v->entry->type + 1, s->msg->payload, &m->scratch);
        set(v, status, &value, ua_time_from_us(s->msg->wall_us), NULL);
    }
}

static void set_fields(struct mirror *m, const struct shot *s, const struct value *slots)
{
    for (struct mirror_variable *v = s->topic->first; v; v = v->next) {
        struct ua_variant value;
        if (v->slot == UINT32_MAX || !meant(s, v))
            continue;
        ua_status status = mirror_convert(&value, v->entry->type + 1, slots[v->slot], &m->scratch);
        set(v, status, &value, time_of(v, slots, s->msg), NULL);
    }
}

static void set_none(const struct shot *s, ua_status status, const struct fault *why)
{
    for (struct mirror_variable *v = s->topic->first; v; v = v->next)
        if (v->slot != UINT32_MAX && meant(s, v))
            set(v, status, NULL, ua_time_from_us(s->msg->wall_us), why);
}

/* A payload may hold several events; each is a value, in their order. */
static void set_json(struct mirror *m, const struct shot *s)
{
    struct fault why;
    const struct value *slots;
    bool any = false;
    enum code c = json_read(m->reader, s->topic->plan, s->msg->payload, true, &why);
    while (c == CODE_OK && (c = json_next(m->reader, &slots)) == CODE_OK) {
        set_fields(m, s, slots);
        any = true;
    }
    if (c == CODE_NOMEM)
        set_none(s, UA_BAD_OUT_OF_MEMORY, NULL);
    else if (c != CODE_END)
        set_none(s, UA_BAD_DECODING_ERROR, &why);
    else if (!any)
        set_none(s, UA_BAD_NO_DATA, NULL);
}

static void use(struct mirror *m, const struct shot *s)
{
    if (!s->topic->planned && !make_plan(s->topic))
        return; /* no memory: the next message tries again */
    set_plain(m, s);
    if (s->topic->plan && s->msg->payload.len)
        set_json(m, s);
    else if (s->topic->plan)
        set_none(s, UA_BAD_NO_DATA, NULL);
    for (struct mirror_variable *v = s->topic->first; v; v = v->next)
        if (meant(s, v)) {
            v->seen = true;
            v->stale = false;
            v->heard_us = s->heard_us;
        }
    arena_reset(&m->scratch);
}

/* When it was heard, by the loop's clock: messages may have waited while the node was off. */
static int64_t heard_us(const struct mirror *m, const struct message *msg)
{
    int64_t age = loop_wall_us(m->loop) - msg->wall_us;
    return loop_now_us(m->loop) - (age > 0 ? age : 0);
}

static void take_one(struct mirror *m, struct message *msg)
{
    struct shot s = { .msg = msg, .topic = mirror_topic_of(m, msg->topic), .heard_us = heard_us(m, msg) };
    m->count.messages++;
    if (s.topic)
        m->count.used++;
    else
        m->count.left_out++;
    if (s.topic)
        use(m, &s);
}

/* ---- batches ---- */

static void on_again(struct timer *t)
{
    struct mirror *m = (struct mirror *)(void *)((char *)t - offsetof(struct mirror, again));
    mirror_ready(m);
}

/* False: nothing more for now. */
static bool take_some(struct mirror *m)
{
    struct consumer_item items[BATCH];
    struct fault why;
    size_t n = 0;
    enum code c = consumer_take(m->consumer, m->next, items, BATCH, &n, &why);
    for (size_t i = 0; i < n; i++) {
        if (items[i].message)
            take_one(m, items[i].message);
        message_drop(items[i].message);
        m->next = items[i].index + 1;
    }
    if (n && consumer_finish(m->consumer, m->next, BYTES_NONE, NULL, &why) != CODE_OK)
        c = why.code; /* they are finished with those behind them */
    if (c == CODE_OK || c == CODE_CLOSED)
        return c == CODE_OK && n == BATCH;
    log_warn("opcua", "FG5407 the messages for OPC UA variables cannot be read just now: %s. They are tried again", why.text);
    timer_start(m->loop, &m->again, RETRY_MS, on_again);
    return false;
}

void mirror_feed(struct mirror *m, uint64_t until)
{
    while (m->next < until && take_some(m))
        ;
}

/* One batch a turn, so that clients are answered in between. */
static void on_came(struct letter *letter, struct loop *here)
{
    struct mirror *m = (struct mirror *)(void *)((char *)letter - offsetof(struct mirror, came));
    (void)here;
    atomic_store(&m->coming, false);
    if (!m->server)
        return;
    if (take_some(m))
        mirror_ready(m);
    mirror_show(m);
}

void mirror_ready(void *mirror)
{
    struct mirror *m = mirror;
    if (atomic_exchange(&m->coming, true))
        return;
    m->came.open = on_came;
    loop_post(m->loop, &m->came);
}

/* ---- retained messages ---- */

static void first_value(void *ctx, struct message *msg)
{
    struct mirror *m = ctx;
    struct shot s = { .msg = msg, .topic = mirror_topic_of(m, msg->topic), .heard_us = heard_us(m, msg), .first_only = true };
    bool wanted = false;
    for (const struct mirror_variable *v = s.topic ? s.topic->first : NULL; v && !wanted; v = v->next)
        wanted = !v->seen;
    if (wanted)
        use(m, &s);
}

void mirror_retained(struct mirror *m)
{
    for (size_t i = 0; i < m->settings->opcua.variables.count; i++)
        consumer_retained(m->consumer, bytes_str(m->settings->opcua.variables.at[i].topic), first_value, m);
}

/* ---- filters ---- */

enum code mirror_subscribe(struct mirror *m, struct fault *why)
{
    size_t n = 0, most = m->settings->opcua.variables.count;
    struct consumer_filter *list = mem_zalloc(most + 1, sizeof *list);
    struct table twice = { 0 };
    enum code c = list ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for %zu topics", most);
    for (size_t i = 0; c == CODE_OK && i < most; i++) {
        struct bytes filter = bytes_str(m->settings->opcua.variables.at[i].topic);
        enum code put = table_put(&twice, filter, m);
        if (put == CODE_OK)
            list[n++] = (struct consumer_filter){ filter, 1 };
        else if (put != CODE_EXISTS)
            c = FAIL(why, put, 0, "no memory for %zu topics", most);
    }
    if (c == CODE_OK)
        c = consumer_subscribe(m->consumer, list, n, why);
    table_clear(&twice);
    mem_free(list);
    return c;
}

/* ---- what is heard no more ---- */

static void look(struct mirror *m, struct mirror_variable *v)
{
    if (!v->entry->stale_s || v->stale || loop_now_us(m->loop) - v->heard_us < (int64_t)v->entry->stale_s * 1000000)
        return;
    const struct ua_value *was = &v->node->value;
    bool usable = v->seen && !ua_is_bad(was->status);
    v->stale = true;
    m->count.stale++;
    ua_set_status(m->space, v->node, usable ? UA_UNCERTAIN_LAST_USABLE_VALUE : UA_BAD_NO_COMMUNICATION, usable ? was->source_time : ua_space_now(m->space));
}

void mirror_sweep(struct mirror *m)
{
    uint64_t bad = 0;
    for (struct mirror_variable *v = m->all; v; v = v->all_next) {
        look(m, v);
        bad += v->node->value.status != UA_GOOD;
    }
    m->count.variables_bad = bad;
}
