/* client_alias.c - topic aliases (3.3.2.3.4): a number in place of a topic, each direction with numbers of its own, each
 * connection from the beginning. */
#include "mqtt/client_parts.h"

#include "base/mem.h"

void aliases_forget(struct aliases *a)
{
    for (size_t i = 0; i < a->count; i++)
        mem_free(a->at[i].text);
    mem_free(a->at);
    *a = (struct aliases){0};
}

/* The place of alias n (from 1), or NULL: no memory. The table grows with the numbers that are used. */
static struct alias *place(struct aliases *a, uint16_t n)
{
    if (n > a->count) {
        size_t more = n + (size_t)n / 2;
        struct alias *at = mem_realloc(a->at, more * sizeof *at);
        if (!at)
            return NULL;
        memset(at + a->count, 0, (more - a->count) * sizeof *at);
        a->at = at;
        a->count = more;
    }
    return &a->at[n - 1];
}

struct bytes alias_topic(const struct aliases *a, uint16_t n)
{
    return n && n <= a->count ? bytes_of(a->at[n - 1].text, a->at[n - 1].len) : BYTES_NONE;
}

enum code alias_set(struct aliases *a, uint16_t n, struct bytes topic, struct fault *why)
{
    struct alias *p = place(a, n);
    char *text = p ? mem_strndup(topic.at, topic.len) : NULL;
    if (!text)
        return FAIL(why, CODE_NOMEM, 0, "no memory for topic alias %u", n);
    mem_free(p->text);
    *p = (struct alias){text, topic.len};
    return CODE_OK;
}

enum code alias_resolve(struct mqtt_client *c, struct mqtt_publish *m, struct fault *why)
{
    if (!mqtt_props_has(&m->props, MQTT_PROP_TOPIC_ALIAS))
        return CODE_OK;
    uint16_t n = m->props.topic_alias;
    enum code code = CODE_PROTOCOL;
    if (n > c->set.topic_alias_max) { /* [MQTT-3.1.2-26], [MQTT-3.1.2-27] */
        (void)FAIL(why, code, 0, "the server used topic alias %u, %u is the highest it was allowed", n,
                   c->set.topic_alias_max);
        why->mqtt_reason = MQTT_TOPIC_ALIAS_INVALID;
        return code;
    }
    if (m->topic.len)
        return alias_set(&c->incoming_aliases, n, m->topic, why);
    m->topic = alias_topic(&c->incoming_aliases, n);
    if (m->topic.len)
        return CODE_OK;
    (void)FAIL(why, code, 0, "the server used topic alias %u without saying its topic before", n);
    why->mqtt_reason = MQTT_PROTOCOL_ERROR;
    return code;
}
