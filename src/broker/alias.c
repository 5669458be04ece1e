#include "broker/alias.h"

#include "base/hash.h"
#include "base/mem.h"
#include "mqtt/packet.h"

enum { OUT_MAX = 64, WORTH_IT = 6 /* bytes of a topic; an alias costs three */ };

struct text {
    uint32_t len;
    uint8_t  at[];
};
struct place { /* of an outgoing alias */
    struct text *topic;
    uint32_t     candidate; /* hash of the topic that last came here and is not the owner */
};
struct aliases {
    struct text **in;
    uint16_t      in_count; /* places */
    uint16_t      out_count;
    struct place *out;
};

static struct aliases *made(struct aliases **all)
{
    if (!*all)
        *all = mem_zalloc(1, sizeof **all);
    return *all;
}

void aliases_free(struct aliases *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < a->in_count; i++)
        mem_free(a->in[i]);
    for (unsigned i = 0; i < a->out_count; i++)
        mem_free(a->out[i].topic);
    mem_free(a->in);
    mem_free(a->out);
    mem_free(a);
}

static struct bytes text_of(const struct text *t)
{
    return bytes_of(t->at, t->len);
}

static bool set(struct text **at, struct bytes topic)
{
    struct text *t = mem_alloc(sizeof *t + topic.len);
    if (!t)
        return false;
    t->len = (uint32_t)topic.len;
    memcpy(t->at, topic.at, topic.len);
    mem_free(*at);
    *at = t;
    return true;
}

static bool room_for(struct aliases *a, uint16_t alias, uint16_t max)
{
    if (alias <= a->in_count)
        return true;
    unsigned more = alias < 8 ? 8 : alias * 2u;
    uint16_t count = (uint16_t)(more < max ? more : max);
    struct text **in = mem_realloc(a->in, count * sizeof *in);
    if (!in)
        return false;
    memset(in + a->in_count, 0, (size_t)(count - a->in_count) * sizeof *in);
    a->in = in;
    a->in_count = count;
    return true;
}

uint8_t alias_in(struct aliases **all, uint16_t max, uint16_t alias, struct bytes *topic)
{
    if (alias == 0 || alias > max)
        return MQTT_TOPIC_ALIAS_INVALID;
    struct aliases *a = *all;
    if (topic->len == 0) {
        if (!a || alias > a->in_count || !a->in[alias - 1])
            return MQTT_PROTOCOL_ERROR;
        *topic = text_of(a->in[alias - 1]);
        return 0;
    }
    a = made(all);
    if (!a || !room_for(a, alias, max))
        return MQTT_SERVER_BUSY;
    struct text **at = &a->in[alias - 1];
    if (*at && bytes_equal(text_of(*at), *topic))
        return 0;
    return set(at, *topic) ? 0 : MQTT_SERVER_BUSY;
}

uint16_t alias_out(struct aliases **all, uint16_t max, struct bytes topic, bool *known)
{
    *known = false;
    if (topic.len < WORTH_IT || max == 0)
        return 0;
    struct aliases *a = made(all);
    if (a && !a->out) {
        a->out = mem_zalloc(max < OUT_MAX ? max : OUT_MAX, sizeof *a->out);
        a->out_count = a->out ? (max < OUT_MAX ? max : OUT_MAX) : 0;
    }
    if (!a || !a->out)
        return 0; /* without memory the topic is sent as it is */
    uint64_t hash = hash_keyed(topic);
    struct place *p = &a->out[hash % a->out_count];
    uint16_t alias = (uint16_t)(p - a->out + 1);
    if (p->topic && bytes_equal(text_of(p->topic), topic)) {
        p->candidate = 0;
        *known = true;
        return alias;
    }
    uint32_t mark = (uint32_t)(hash >> 32) | 1;
    if (p->topic && p->candidate != mark) { /* a free place is taken at once */
        p->candidate = mark;
        return 0;
    }
    p->candidate = 0;
    return set(&p->topic, topic) ? alias : 0;
}
