/* client_access.c - who may: each shard's view of users and rules, and what a change of them means to its clients. */
#include "broker/private.h"

#include "base/log.h"

static void withdraw(struct client *c, const char *because)
{
    struct fault why;
    char name[128], who[128];
    (void)FAIL(&why, CODE_REFUSED, 0, "%s", because);
    log_info("broker", "FG2105 the connection of %s (%s) ends: %s", client_name(c, name, sizeof name),
             bytes_escape(c->who->text, who, sizeof who), because);
    COUNT(c->shard, withdrawn, 1);
    client_end(c, MQTT_NOT_AUTHORIZED, &why, true);
}

/* Those that wait for their CONNACK too. */
static void judge_again(struct shard *shard)
{
    for (struct client *c = shard->clients, *next; c; c = next) {
        next = c->next;
        if (c->who && client_alive(c) && !access_still(shard->access, c->who))
            withdraw(c, "the user was removed, or has another password now");
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
}

static void open_access(struct letter *letter, struct loop *here)
{
    struct shard *shard = (struct shard *)((char *)letter - offsetof(struct shard, access_letter));
    (void)here;
    atomic_store(&shard->access_told, false);
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
            withdraw(c, "the certificate has expired");
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
