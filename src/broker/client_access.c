/* client_access.c - who may: each shard's view of users and rules, and what a change of them means to its clients. */
#include "broker/private.h"

#include "base/hash.h"
#include "base/log.h"

/* ---- asking ---- */

/* What the rules said of a client's latest topics. A topic is known by its keyed hash: nobody outside can make two alike. */
enum { VERDICTS = 16 };
struct verdicts {
    uint64_t serial; /* of the access that said so */
    struct verdict {
        uint64_t topic;
        uint8_t  known, yes; /* bits by right */
    } at[VERDICTS];
};

void verdicts_free(struct verdicts *v)
{
    mem_free(v);
}

static bool decide(const struct access *a, const struct subject *s, enum right right, struct bytes topic)
{
    switch (right) {
    case RIGHT_PUBLISH: return access_publish(a, s, topic);
    case RIGHT_SUBSCRIBE: return access_receive(a, s, topic);
    default: return access_read(a, s, topic);
    }
}

static bool ask(struct client *c, enum right right, struct bytes topic)
{
    struct subject s = access_subject(c->shard->access, c->who->text, c->session->client_id);
    return decide(c->shard->access, &s, right, topic);
}

static bool ask_once(struct client *c, enum right right, struct bytes topic)
{
    const struct access *a = c->shard->access;
    uint64_t hash = hash_keyed(topic);
    uint8_t bit = (uint8_t)(1 << right);
    if (!c->verdicts && !(c->verdicts = mem_zalloc(1, sizeof *c->verdicts)))
        return ask(c, right, topic);
    if (c->verdicts->serial != a->serial)
        *c->verdicts = (struct verdicts){ .serial = a->serial };
    struct verdict *v = &c->verdicts->at[hash % VERDICTS];
    if (v->topic != hash)
        *v = (struct verdict){ .topic = hash };
    if (!(v->known & bit)) {
        v->known |= bit;
        v->yes |= ask(c, right, topic) ? bit : 0;
    }
    return v->yes & bit;
}

bool client_may(struct client *c, enum right right, struct bytes topic)
{
    const struct access *a = c->shard->access;
    if (a && a->rules)
        return ask_once(c, right, topic);
    return !access_asks(a, topic) || ask(c, right, topic);
}

bool client_may_subscribe(const struct client *c, struct bytes filter)
{
    struct subject s = access_subject(c->shard->access, c->who->text, c->session->client_id);
    return access_subscribe(c->shard->access, &s, c->who->loopback, filter);
}

bool client_may_read(struct client *c, const struct message *m)
{
    const struct access *a = c->shard->access;
    if (!a || !a->rules)
        return true;
    struct subject writer = access_subject(a, m->principal, m->source);
    bool of_the_node = !m->principal.len;
    return ask_once(c, RIGHT_READ, m->topic) && (of_the_node || access_publish(a, &writer, m->topic));
}

bool access_may_get(const struct access *a, const struct session *session, struct bytes topic)
{
    if (session_is_consumer(session) || !access_asks(a, topic))
        return true; /* what jobs, routes and actions read is the owner's word, not a user's */
    struct subject s = access_subject(a, session->principal, session->client_id);
    return access_receive(a, &s, topic);
}

/* A removed user is nobody. Who is not in the file may have signed in with a certificate, where a listener takes them. */
static bool known(const struct shard *shard, struct bytes principal)
{
    const struct auth *auth = shard->broker->config.auth;
    return access_knows(shard->access, principal) || (auth && auth_has_door(auth, AUTH_CERTIFICATE));
}

bool access_may_will(const struct shard *shard, struct bytes principal, struct bytes client_id, struct bytes topic)
{
    struct subject s = access_subject(shard->access, principal, client_id);
    return known(shard, principal) && access_publish(shard->access, &s, topic);
}

/* ---- changes ---- */

static void withdraw(struct client *c, const char *because, bool publish_will)
{
    struct fault why;
    char name[128], who[128];
    (void)FAIL(&why, CODE_REFUSED, 0, "%s", because);
    log_info("broker", "FG2205 the connection of %s (%s) ends: %s", client_name(c, name, sizeof name),
             bytes_escape(c->who->text, who, sizeof who), because);
    COUNT(c->shard, withdrawn, 1);
    client_end(c, MQTT_NOT_AUTHORIZED, &why, publish_will);
}

/* A subscription that would not be granted today. */
static bool holds_too_much(struct client *c)
{
    struct journal *j = c->shard->broker->journal;
    bool too_much = false;
    if (!c->session)
        return false;
    journal_lock(j); /* a durable session's filters; this is once for a change of rules */
    for (struct held_filter *f = c->session->filters; f && !too_much; f = f->next)
        too_much = !client_may_subscribe(c, bytes_of(f->text, f->len));
    journal_unlock(j);
    return too_much;
}

/* Those that wait for their CONNACK too. */
static void judge_again(struct shard *shard)
{
    for (struct client *c = shard->clients, *next; c; c = next) {
        next = c->next;
        if (!c->who || !client_alive(c))
            continue;
        if (!access_still(shard->access, c->who))
            withdraw(c, "the user was removed, or has another password now", users_find(shard->access->users, c->who->id) != NULL);
        else if (!auth_door_takes(shard->broker->config.auth, conn_door(c->conn), c->who))
            withdraw(c, "its listener does not let in by that any more (auth)", true);
        else if (holds_too_much(c))
            withdraw(c, "a rule for one of its subscriptions was withdrawn", true);
    }
}

void access_take(struct shard *shard)
{
    struct auth *auth = shard->broker->config.auth;
    if (!auth)
        return;
    access_drop(shard->access);
    shard->access = auth_access(auth);
    shard->valid_until_us = 0;
    route_clear(shard); /* who gets what is resolved anew */
}

static void open_access(struct letter *letter, struct loop *here)
{
    struct shard *shard = (struct shard *)((char *)letter - offsetof(struct shard, access_letter));
    (void)here;
    atomic_store(&shard->access_told, false);
    shard_commit(shard); /* what was accepted before goes by what held before */
    access_take(shard);
    judge_again(shard);
}

void broker_access_changed(struct broker *b)
{
    for (unsigned i = 0; i < b->shard_count && !atomic_load(&b->halted); i++) {
        struct shard *shard = &b->shards[i];
        if (atomic_exchange(&shard->access_told, true))
            continue;
        shard->access_letter.open = open_access;
        loop_post(shard->loop, &shard->access_letter);
    }
}

void access_second(struct shard *shard)
{
    int64_t now = loop_wall_us(shard->loop), first = INT64_MAX;
    if (now < shard->valid_until_us)
        return;
    for (struct client *c = shard->clients, *next; c; c = next) {
        next = c->next;
        if (!c->who || !client_alive(c))
            continue;
        if (c->who->valid_until_us <= now)
            withdraw(c, "the certificate has expired", true);
        else if (c->who->valid_until_us < first)
            first = c->who->valid_until_us;
    }
    shard->valid_until_us = first;
}

void access_clear(struct shard *shard)
{
    access_drop(shard->access);
    shard->access = NULL;
}
