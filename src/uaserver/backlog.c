/* backlog.c - what all clients together have not taken.
 *
 * One may have `unsent_bytes` waiting for it, but not all of them at once: together they have `all_unsent_bytes`. Beyond, who has
 * more than his share of that (all of it by the number of channels) is behind: he is not read from and told nothing of his
 * subscriptions until he has taken it, and closed when he takes nothing for ten seconds. If that is too slow the one who has
 * taken nothing for longest is closed at once, at twice as much. Who takes what is sent has less than a share and notices nothing.
 *
 * What a link has waiting is noted when something is added to it, and looked up anew for all of them before anyone is judged.
 */
#include "uaserver/serve.h"

#include "base/limits_use.h"
#include "base/log.h"

uint64_t uas_backlog_share(const struct ua_server *s)
{
    uint64_t share = s->limits.all_unsent_bytes / s->limits.channels;
    return share ? share : 1;
}

static void note(struct uas_link *l, size_t unsent)
{
    l->server->unsent += unsent;
    l->server->unsent -= l->unsent;
    l->unsent = unsent;
}

void uas_backlog_note(struct uas_link *l)
{
    note(l, l->closing ? 0 : conn_unsent(l->conn));
}

void uas_backlog_forget(struct uas_link *l)
{
    note(l, 0);
}

static bool more_than(struct ua_server *s, uint64_t bytes)
{
    if (s->unsent <= bytes)
        return false;
    for (struct uas_link *l = s->links; l; l = l->next)
        uas_backlog_note(l);
    return s->unsent > bytes;
}

bool uas_behind(struct uas_link *l)
{
    struct ua_server *s = l->server;
    return more_than(s, s->limits.all_unsent_bytes) && l->unsent >= uas_backlog_share(s);
}

/* Of those that are behind the one who has taken nothing for longest. */
static struct uas_link *worst(const struct ua_server *s)
{
    struct uas_link *found = NULL;
    for (struct uas_link *l = s->links; l; l = l->next)
        if (!l->closing && l->unsent >= uas_backlog_share(s) &&
            (!found || conn_progress_us(l->conn) < conn_progress_us(found->conn)))
            found = l;
    return found;
}

void uas_backlog_log(const struct uas_link *l, const char *what)
{
    log_warn("opcua", "FG5317 %s has %zu bytes waiting and all clients together %llu, more than %llu: %s; a client that is too slow "
             "for what it asks for should ask for less, or its network is broken", conn_address(l->conn), l->unsent,
             (unsigned long long)l->server->unsent, (unsigned long long)l->server->limits.all_unsent_bytes, what);
}

void uas_backlog_relieve(struct ua_server *s)
{
    struct uas_link *l;
    while (more_than(s, 2 * (uint64_t)s->limits.all_unsent_bytes) && (l = worst(s)) != NULL) {
        uas_backlog_log(l, "it has taken nothing for longest, and is closed");
        UAS_COUNT(crowded_out);
        uas_link_drop(l);
    }
}
