/* Sessions come and go; subscriptions stay for their lifetime, and another session may take them (Part 4, 5.13.7). */
#include "uaserver/subscription.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

static uint64_t application_of(const struct uas_session *s)
{
    return s->certificate && s->certificate->uri ? hash_keyed(bytes_str(s->certificate->uri)) : 0;
}

/* ---- sessions go ---- */

/* Those that nobody came back for are kept up to a number; the ones that have waited longest go first. */
static void make_room(struct ua_server *server)
{
    struct uas_subscriptions *all = server->subs;
    while (all->orphans > server->limits.kept_subscriptions) {
        struct uas_subscription *oldest = NULL;
        for (struct uas_subscription *s = all->all; s; s = s->next)
            if (!s->session && (!oldest || s->orphan_us < oldest->orphan_us ||
                                (s->orphan_us == oldest->orphan_us && s->id < oldest->id)))
                oldest = s;
        log_info("opcua", "FG3325 subscription %u ends: %u are kept for clients that may come back, that is all the server keeps",
                 oldest->id, server->limits.kept_subscriptions);
        uas_subscription_free(oldest);
    }
}

static void session_closing(struct uas_session *session, bool delete_subscriptions)
{
    struct uas_subscriber *p = session->subs;
    if (!p)
        return;
    while (p->subscriptions) {
        struct uas_subscription *s = p->subscriptions;
        if (delete_subscriptions) {
            uas_subscription_free(s);
            continue;
        }
        s->user = session->user;
        s->application = application_of(session);
        uas_leave(s);
        s->orphan_us = loop_now_us(session->server->loop);
        ((struct uas_subscriptions *)session->server->subs)->orphans++;
    }
    uas_answer_parked(session, session->link ? UA_BAD_SESSION_CLOSED : UA_GOOD);
    mem_free(p->parked);
    mem_free(p);
    session->subs = NULL;
    if (session->server->subs)
        make_room(session->server);
}

static void link_gone(struct uas_session *session)
{
    if (session->subs)
        uas_answer_parked(session, UA_GOOD);
}

static uint32_t cancel(struct uas_session *session, uint32_t request_handle)
{
    return session->subs ? uas_cancel_parked(session, request_handle) : 0;
}

static void server_closing(struct ua_server *server)
{
    struct uas_subscriptions *all = server->subs;
    while (all && all->all)
        uas_subscription_free(all->all);
    mem_free(all);
    server->subs = NULL;
}

const struct uas_hooks uas_subscription_hooks = {
    .server_closing = server_closing,
    .session_closing = session_closing,
    .link_gone = link_gone,
    .cancel = cancel,
};

/* ---- and come ---- */

/* Of somebody who says no name, the application has to be the same [Part 4, 5.13.7.1]; where there is no security, nothing can
 * be asked of him. */
static bool may_take(const struct uas_subscription *s, const struct uas_session *by)
{
    uint64_t application = s->session ? application_of(s->session) : s->application;
    if (!uas_same_user(uas_user_of(s), &by->user))
        return false;
    return by->user.kind != UA_USER_ANONYMOUS || application == application_of(by);
}

static struct uas_subscription *find(struct ua_server *server, uint32_t id)
{
    struct uas_subscriptions *all = server->subs;
    struct uas_subscription *s = all ? all->all : NULL;
    while (s && s->id != id)
        s = s->next;
    return s;
}

static void list_retained(const struct uas_subscription *s, struct arena *arena, struct ua_transfer_result *out)
{
    uint32_t *numbers = arena_take(arena, (s->retained_count + 1) * sizeof *numbers);
    for (uint32_t i = 0; numbers && i < s->retained_count; i++)
        numbers[i] = s->retained[i]->sequence;
    out->available_sequence_numbers = numbers;
    out->available_sequence_numbers_count = numbers ? s->retained_count : 0;
}

static void move(struct uas_subscription *s, struct uas_session *to)
{
    struct uas_session *from = s->session;
    if (from)
        uas_leave(s);
    else
        ((struct uas_subscriptions *)s->server->subs)->orphans--;
    uas_join(s, to);
    s->sent = false; /* the new session hears something within one interval */
    uas_touch(s);
    if (!from)
        return;
    const struct uas_subscriber *p = from->subs;
    uas_farewell(from, s->id, s->sequence, UA_GOOD_SUBSCRIPTION_TRANSFERRED);
    if (!p->count && !p->farewell_count)
        uas_answer_parked(from, UA_BAD_NO_SUBSCRIPTION);
}

static ua_status transfer(struct uas_request *r, uint32_t id, bool again, struct ua_transfer_result *out)
{
    struct uas_subscription *s = find(r->server, id);
    const struct uas_subscriber *p = r->session->subs;
    if (!s)
        return UA_BAD_SUBSCRIPTION_ID_INVALID;
    if (!may_take(s, r->session))
        return UA_BAD_USER_ACCESS_DENIED;
    if (s->session != r->session) {
        if (p->count >= r->server->limits.subscriptions)
            return UA_BAD_TOO_MANY_SUBSCRIPTIONS;
        move(s, r->session);
    }
    uas_touch(s);
    list_retained(s, r->arena, out);
    if (again)
        uas_send_again(s);
    return UA_GOOD;
}

void uas_transfer_subscriptions(struct uas_request *r)
{
    struct ua_transfer_subscriptions_request ask;
    if (!uas_read(r, &ua_transfer_subscriptions_request_type, &ask) || !uas_count(r, ask.subscription_ids_count))
        return;
    struct ua_transfer_result *results = arena_zero(r->arena, ask.subscription_ids_count * sizeof *results);
    if (!results || !uas_subscriber_of(r->session)) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < ask.subscription_ids_count; i++)
        results[i].status_code = transfer(r, ask.subscription_ids[i], ask.send_initial_values, &results[i]);
    struct ua_transfer_subscriptions_response answer = { .results = results, .results_count = ask.subscription_ids_count };
    uas_answer(r, &ua_transfer_subscriptions_response_type, &answer);
}
