#include "support/ledger_private.h"

#include "mqtt/topic.h"

#include <stdarg.h>
#include <stdio.h>

enum { NO_KEY = 0xff };

void ledger_broken(struct ledger *l, const char *fmt, ...)
{
    if (l->broken[0])
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(l->broken, sizeof l->broken, fmt, args);
    va_end(args);
}

static uint16_t bit(unsigned actor)
{
    return (uint16_t)(1u << actor);
}

static const char *name_of(const struct ledger *l, unsigned actor)
{
    return l->cast->actors[actor].client_id;
}

/* ---- life ---- */

static bool is_shared(const struct ledger_cast *c, unsigned f)
{
    return c->first_shared && f >= c->first_shared;
}

/* Behind "$share/NAME/". */
static const char *plain_filter(const struct ledger_cast *c, unsigned f)
{
    return is_shared(c, f) ? strchr(strchr(c->filters[f], '/') + 1, '/') + 1 : c->filters[f];
}

static uint16_t shared_bits(const struct ledger_cast *c)
{
    return c->first_shared ? (uint16_t)(~0u << c->first_shared) : 0;
}

void ledger_cast_finish(struct ledger_cast *c)
{
    for (unsigned t = 0; t < c->topic_count; t++)
        for (unsigned f = 0; f < c->filter_count; f++)
            if (topic_matches(bytes_str(plain_filter(c, f)), bytes_str(c->topics[t])))
                c->matches[t] |= 1u << f;
}

void ledger_init(struct ledger *l, const struct ledger_cast *cast)
{
    memset(l, 0, sizeof *l);
    l->cast = cast;
    memset(l->keys, NO_KEY, sizeof l->keys);
    for (unsigned a = 0; a < LEDGER_ACTORS; a++)
        l->members[a].will = l->members[a].delayed = l->members[a].former_will = LEDGER_NONE;
}

void ledger_copy(struct ledger *to, const struct ledger *from)
{
    memcpy(to, from, offsetof(struct ledger, messages));
    memcpy(to->messages, from->messages, from->message_count * sizeof from->messages[0]);
    memcpy(to->routes, from->routes, from->message_count * sizeof from->routes[0]);
}

/* ---- who has asked for what ---- */

/* Filters of this actor that match and can be owed something. */
static bool covered(const struct ledger *l, unsigned a, const struct ledger_message *m)
{
    const struct ledger_actor *who = &l->cast->actors[a];
    uint32_t filters = l->cast->matches[m->topic] & l->members[a].sure & (uint16_t)~shared_bits(l->cast);
    if (!who->persistent || l->members[a].exists != PRESENT)
        return false;
    for (unsigned f = 0; filters; f++, filters >>= 1)
        if ((filters & 1) && who->filter_qos[f])
            return true;
    return false;
}

static bool possible(const struct ledger *l, unsigned a, const struct ledger_message *m)
{
    uint16_t own = l->members[a].maybe & (uint16_t)~shared_bits(l->cast);
    return l->members[a].exists != ABSENT && (l->cast->matches[m->topic] & own);
}

static struct ledger_routes *routes_of(struct ledger *l, const struct ledger_message *m)
{
    return &l->routes[m - l->messages];
}

static void allow_one(struct ledger *l, unsigned a, struct ledger_message *m)
{
    routes_of(l, m)->maybe[a] |= (uint16_t)(l->members[a].maybe & l->cast->matches[m->topic]);
    if (possible(l, a, m))
        m->allowed |= bit(a);
}

static void allow(struct ledger *l, struct ledger_message *m)
{
    for (unsigned a = 0; a < l->cast->actor_count; a++)
        allow_one(l, a, m);
}

/* ---- groups ---- */

static bool by_share(const struct ledger *l, uint16_t filters)
{
    return filters & shared_bits(l->cast);
}

static unsigned group_of(const struct ledger *l, uint16_t filters)
{
    return (unsigned)__builtin_ctz(filters & shared_bits(l->cast)) - l->cast->first_shared;
}

static unsigned group_count(const struct ledger_cast *c)
{
    return c->first_shared ? c->filter_count - c->first_shared : 0;
}

static bool manned(const struct ledger *l, unsigned g)
{
    for (unsigned a = 0; a < l->cast->actor_count; a++)
        if (l->cast->actors[a].persistent && l->members[a].exists == PRESENT &&
            (l->members[a].sure >> (l->cast->first_shared + g) & 1))
            return true;
    return false;
}

/* The groups that this message may go to, and that surely have somebody who can keep it. */
static uint8_t groups_for(const struct ledger *l, const struct ledger_message *m)
{
    uint8_t groups = 0;
    for (unsigned g = 0; g < group_count(l->cast); g++)
        if ((l->cast->lasting_groups >> g & 1) &&
            (l->cast->matches[m->topic] >> (l->cast->first_shared + g) & 1) && manned(l, g))
            groups |= (uint8_t)(1u << g);
    return groups;
}

static void owes_nothing_to_groups(struct ledger_message *m, uint8_t groups)
{
    m->groups_owed &= (uint8_t)~groups;
    m->group_candidates &= (uint8_t)~groups;
}

/* Somebody is not a member for sure any more. */
static void reconsider_groups(struct ledger *l)
{
    uint8_t empty = 0;
    for (unsigned g = 0; g < group_count(l->cast); g++)
        if (!manned(l, g))
            empty |= (uint8_t)(1u << g);
    for (unsigned i = 0; empty && i < l->message_count; i++)
        owes_nothing_to_groups(&l->messages[i], empty);
}

static uint8_t shared_qos(const struct ledger *l, unsigned a, unsigned g, const struct ledger_message *m)
{
    uint8_t qos = m->flags & EVENT_QOS, most = l->cast->actors[a].filter_qos[l->cast->first_shared + g];
    return qos < most ? qos : most;
}

/* A session is over, or may be: what was sent to it with QoS 2 goes to nobody else. Without memory or disk nothing is sure. */
static void takes_along(struct ledger *l, unsigned a)
{
    for (unsigned g = 0; g < group_count(l->cast); g++)
        for (unsigned i = 0; (l->ever[g] & bit(a)) && i < l->message_count; i++)
            if (l->tolerant || shared_qos(l, a, g, &l->messages[i]) == 2)
                owes_nothing_to_groups(&l->messages[i], (uint8_t)(1u << g));
}

/* Who goes may have left something to others; who is back, and has been told so, has not any more. */
static void see_who_is_there(struct ledger *l)
{
    for (unsigned g = 0; g < group_count(l->cast); g++) {
        bool all = true;
        for (unsigned a = 0; a < l->cast->actor_count; a++) {
            const struct ledger_member *s = &l->members[a];
            if (!(l->ever[g] & bit(a)))
                continue;
            all = all && s->live;
            for (unsigned i = 0; i < s->sub_count; i++)
                all = all && !s->subs[i].remove;
        }
        if (!all)
            l->calm_since[g] = UINT32_MAX;
        else if (l->calm_since[g] == UINT32_MAX)
            l->calm_since[g] = l->now;
    }
}

/* Something became less certain: messages in flight may not reach this actor any more. */
static void reconsider(struct ledger *l, unsigned a)
{
    for (unsigned i = 0; i < l->message_count; i++) {
        struct ledger_message *m = &l->messages[i];
        if ((m->candidates & bit(a)) && !covered(l, a, m))
            m->candidates &= (uint16_t)~bit(a);
    }
}

static void owes_nothing_to(struct ledger *l, unsigned a)
{
    for (unsigned i = 0; i < l->message_count; i++) {
        l->messages[i].owed &= (uint16_t)~bit(a);
        l->messages[i].candidates &= (uint16_t)~bit(a);
    }
}

/* ---- sessions ---- */

/* The client gives up what it had begun and what it had received so far, as it must with a clean start. */
static void forgets(struct ledger *l, unsigned a)
{
    struct ledger_member *s = &l->members[a];
    for (unsigned i = 0; i < l->message_count; i++) {
        l->messages[i].seen &= (uint16_t)~bit(a);
        l->messages[i].done &= (uint16_t)~bit(a);
        l->routes[i].count[a] = 0;
        l->routes[i].sure[a] = 0;
    }
    for (unsigned i = 0; i < s->out_count; i++)
        l->messages[s->out[i].message].candidates = l->messages[s->out[i].message]
                                                        .group_candidates = 0; /* or not */
    /* Unless that is read, its session has them still, and sends them again to it. */
    for (unsigned i = 0; i < s->held_count; i++)
        if (by_share(l, s->held[i].filters) && s->held[i].message != LEDGER_NONE)
            l->messages[s->held[i].message].given_up_by[group_of(l, s->held[i].filters)] = (uint8_t)(a + 1);
    memset(l->last[a], 0, sizeof l->last[a]);
    s->out_count = s->held_count = 0;
}

/* The session is a new one: it knows nothing of what was acknowledged before CONNECT was sent. */
static void begins_anew(struct ledger *l, unsigned a)
{
    struct ledger_member *s = &l->members[a];
    owes_nothing_to(l, a);
    forgets(l, a);
    for (unsigned i = 0; i < l->message_count; i++) {
        struct ledger_message *m = &l->messages[i];
        if (m->acked && m->acked_at < s->opened_at)
            m->allowed &= (uint16_t)~bit(a);
    }
    s->sure = s->maybe = 0;
    reconsider_groups(l);
}

static void opened(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    s->open = true;
    s->live = false;
    s->clean = e->flags & EVENT_CLEAN;
    s->will = e->message;
    s->former_will = s->long_gone ? LEDGER_NONE : s->delayed;
    s->long_gone = false;
    s->delayed = LEDGER_NONE; /* withdrawn or published, both are right from here on */
    s->opened_at = l->now;
    if (s->clean) {
        s->sure = 0;
        s->ending = true;
        owes_nothing_to(l, e->actor);
        forgets(l, e->actor);
        takes_along(l, e->actor);
        reconsider_groups(l);
        if (s->exists == PRESENT)
            s->exists = POSSIBLE;
    }
    s->none_before = s->exists == ABSENT;
    if (s->exists == ABSENT)
        s->exists = l->cast->actors[e->actor].persistent ? POSSIBLE : ABSENT;
    if (e->message == LEDGER_NONE)
        return;
    const struct ledger_actor *who = &l->cast->actors[e->actor];
    FG_ASSERT(e->message == l->message_count && l->message_count < LEDGER_MESSAGES);
    struct ledger_message *m = &l->messages[l->message_count];
    memset(&l->routes[l->message_count++], 0, sizeof l->routes[0]);
    *m = (struct ledger_message){.topic = who->will_topic,
                                 .flags = who->will_qos,
                                 .publisher = e->actor,
                                 .key = NO_KEY,
                                 .is_will = true,
                                 .flying = true,
                                 .allowed = l->cast->watchers,
                                 .sent_at = l->now};
    allow(l, m);
}

static void answered(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    bool present = e->flags & EVENT_PRESENT;
    if (e->value) {
        if (!l->tolerant)
            ledger_broken(l, "%s is refused with reason 0x%02X", name_of(l, e->actor), e->value);
        return; /* whatever it asked for stays possible */
    }
    if (present && s->clean)
        ledger_broken(l, "P-SESS: %s asked for a clean start, a session is present", name_of(l, e->actor));
    if (present && s->none_before)
        ledger_broken(l, "P-SESS: %s cannot have a session, one is present", name_of(l, e->actor));
    if (!present && s->exists == PRESENT)
        ledger_broken(l, "P-SESS: the session of %s is gone", name_of(l, e->actor));
    if (!present || s->ending)
        takes_along(l, e->actor);
    s->ending = false;
    if (!present)
        begins_anew(l, e->actor);
    else if ((e->flags & EVENT_IN_TIME) && s->former_will != LEDGER_NONE && !l->tolerant) /* else it is tried again */
        l->messages[s->former_will].allowed = 0; /* [MQTT-3.1.3-9] */
    s->former_will = LEDGER_NONE;
    s->exists = PRESENT;
    s->live = true;
    if (s->will != LEDGER_NONE)
        l->messages[s->will].registered = true;
}

/* Those who are certain to get a will that is published from now on. */
static uint16_t watching(const struct ledger *l, const struct ledger_message *will)
{
    uint16_t all = 0;
    for (unsigned a = 0; a < l->cast->actor_count; a++)
        if ((l->cast->watchers & bit(a)) && covered(l, a, will))
            all |= bit(a);
    return all;
}

static void lost_will(struct ledger *l, unsigned a)
{
    struct ledger_member *s = &l->members[a];
    const struct ledger_actor *who = &l->cast->actors[a];
    struct ledger_message *w = s->will == LEDGER_NONE ? NULL : &l->messages[s->will];
    if (w && w->registered && !w->quit) {
        if (who->will_delay_s && who->persistent)
            s->delayed = s->will;
        else if (w->flags & EVENT_QOS)
            w->owed = watching(l, w);
    }
    s->will = LEDGER_NONE;
}

static void disconnected(struct ledger *l, unsigned a)
{
    struct ledger_member *s = &l->members[a];
    lost_will(l, a);
    s->open = s->live = false;
    s->sub_count = 0; /* what was asked stays possible */
    for (unsigned i = 0; i < s->out_count; i++)
        s->out[i].sent = s->out[i].released = false;
    for (unsigned i = 0; i < s->held_count; i++)
        s->held[i].former = true;
    if (l->cast->actors[a].persistent)
        return;
    s->exists = ABSENT;
    s->sure = s->maybe = 0;
    for (unsigned i = 0; i < l->message_count; i++)
        l->routes[i].sure[a] = 0;
    s->out_count = s->held_count = 0;
}

static void quit(struct ledger *l, unsigned a)
{
    struct ledger_member *s = &l->members[a];
    if (s->will != LEDGER_NONE)
        l->messages[s->will].quit = true;
}

static void closed(struct ledger *l, unsigned a)
{
    struct ledger_member *s = &l->members[a];
    if (s->will != LEDGER_NONE && !l->tolerant) /* else it may have closed without having read so far */
        l->messages[s->will].closed_at = l->now;
    disconnected(l, a);
}

/* This acknowledgement is in the log behind every will that was withdrawn before its message was sent. */
static void wills_are_withdrawn(struct ledger *l, const struct ledger_message *proof)
{
    for (unsigned i = 0; i < l->message_count; i++) {
        struct ledger_message *w = &l->messages[i];
        if (w->is_will && w->quit && w->closed_at && w->closed_at < proof->sent_at)
            w->allowed = 0;
    }
}

static void forget_held(struct ledger_member *s, const struct ledger_held *h)
{
    size_t i = (size_t)(h - s->held);
    memmove(&s->held[i], &s->held[i + 1], (--s->held_count - i) * sizeof *h);
}

static void crashed(struct ledger *l)
{
    for (unsigned i = 0; i < l->message_count; i++)
        l->messages[i].closed_at = 0; /* what was not proven to be in the log may not be in it */
    for (unsigned a = 0; a < l->cast->actor_count; a++) {
        struct ledger_member *s = &l->members[a];
        s->long_gone = s->delayed != LEDGER_NONE;
        if (s->open)
            disconnected(l, a);
        /* A QoS 1 delivery that was on its way before its message was acknowledged may be gone, its identifier free. So
         * may one that was for another member of its group before: that it was given to this one. */
        for (unsigned i = s->held_count; i-- > 0;) {
            const struct ledger_held *h = &s->held[i];
            if (h->qos == 1 && (h->greeting || by_share(l, h->filters) || h->message == LEDGER_NONE ||
                                !l->messages[h->message].acked))
                forget_held(s, h);
        }
    }
}

/* ---- subscriptions ---- */

static void subscribes(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    FG_ASSERT(s->sub_count < 4);
    bool remove = e->kind == EV_UNSUBSCRIBE;
    s->subs[s->sub_count++] = (struct ledger_sub){
        .pid = e->pid, .filter = (uint8_t)e->value, .remove = remove};
    if (remove) {
        s->sure &= (uint16_t) ~(1u << e->value);
        reconsider(l, e->actor);
        reconsider_groups(l);
        for (unsigned i = 0; i < l->message_count; i++)
            if (!l->messages[i].acked)
                l->routes[i].sure[e->actor] &= s->sure;
        return;
    }
    s->maybe |= (uint16_t)(1u << e->value);
    if (is_shared(l->cast, e->value))
        l->ever[e->value - l->cast->first_shared] |= bit(e->actor);
    for (unsigned i = 0; i < l->message_count; i++)
        if (l->messages[i].flying)
            allow_one(l, e->actor, &l->messages[i]);
}

static void subscribed(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    unsigned i = 0;
    while (i < s->sub_count && s->subs[i].pid != e->pid)
        i++;
    if (i == s->sub_count || s->subs[i].remove != (e->kind == EV_UNSUBACK)) {
        ledger_broken(l, "%s got an acknowledgement of no subscription", name_of(l, e->actor));
        return;
    }
    struct ledger_sub sub = s->subs[i];
    memmove(&s->subs[i], &s->subs[i + 1], (--s->sub_count - i) * sizeof sub);
    if (e->value >= 0x80 && !l->tolerant)
        ledger_broken(l, "%s is refused a subscription with reason 0x%02X", name_of(l, e->actor), e->value);
    else if (e->value >= 0x80)
        return; /* as it was, or not: either is possible */
    else if (sub.remove)
        s->maybe &= (uint16_t) ~(1u << sub.filter);
    else
        s->sure |= (uint16_t)(1u << sub.filter);
}

/* ---- out of the client ---- */

static uint8_t key_of(struct ledger *l, unsigned publisher, unsigned topic, unsigned qos)
{
    uint8_t *key = &l->keys[publisher][topic][qos];
    if (*key == NO_KEY && l->key_count < LEDGER_KEYS)
        *key = (uint8_t)l->key_count++;
    return *key;
}

static void published(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    struct ledger_message *m = &l->messages[e->message];
    uint8_t qos = e->flags & EVENT_QOS;
    if (e->flags & EVENT_DUP) {
        for (unsigned i = 0; i < s->out_count; i++)
            s->out[i].sent = s->out[i].sent || s->out[i].message == e->message;
        m->again_behind = l->message_count;
        m->maybe_refused = m->maybe_refused || l->tolerant;
        allow(l, m);
        return;
    }
    FG_ASSERT(e->message == l->message_count && l->message_count < LEDGER_MESSAGES);
    memset(&l->routes[l->message_count++], 0, sizeof l->routes[0]);
    *m = (struct ledger_message){.topic = (uint8_t)e->value,
                                 .flags = e->flags,
                                 .publisher = e->actor,
                                 .flying = true,
                                 .key = key_of(l, e->actor, e->value, qos),
                                 .sent_at = l->now};
    allow(l, m);
    for (unsigned a = 0; a < l->cast->actor_count; a++)
        if (l->members[a].exists == PRESENT)
            routes_of(l, m)->sure[a] = (uint16_t)(l->members[a].sure & l->cast->matches[m->topic]);
    if (qos == 0)
        return;
    m->group_candidates = e->flags & EVENT_EMPTY ? 0 : groups_for(l, m);
    FG_ASSERT(s->out_count < LEDGER_FLIGHT);
    s->out[s->out_count++] = (struct ledger_out){.message = e->message, .pid = e->pid, .sent = true};
    for (unsigned a = 0; a < l->cast->actor_count && !(e->flags & EVENT_EMPTY); a++)
        if (covered(l, a, m))
            m->candidates |= bit(a);
}

static struct ledger_out *find_out(struct ledger_member *s, uint16_t pid)
{
    for (unsigned i = 0; i < s->out_count; i++)
        if (s->out[i].pid == pid)
            return &s->out[i];
    return NULL;
}

static void forget_out(struct ledger_member *s, const struct ledger_out *o)
{
    size_t i = (size_t)(o - s->out);
    memmove(&s->out[i], &s->out[i + 1], (--s->out_count - i) * sizeof *o);
}

static void acknowledged(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    struct ledger_out *o = find_out(s, e->pid);
    struct ledger_message *m = o ? &l->messages[o->message] : NULL;
    bool right = m && (m->flags & EVENT_QOS) == (e->kind == EV_PUBACK ? 1 : 2);
    if (!right) {
        ledger_broken(l, "%s got an acknowledgement of what it never sent, identifier %u",
                      name_of(l, e->actor), e->pid);
        return;
    }
    if (e->value >= 0x80) {
        if (!l->tolerant)
            ledger_broken(l, "message %u is refused with reason 0x%02X", o->message, e->value);
        m->candidates = 0;
        m->group_candidates = 0;
        forget_out(s, o);
        return;
    }
    if (e->value == 0x10 && (m->candidates || m->group_candidates))
        ledger_broken(l, "P-SESS: nobody has subscribed to message %u, it is said, but somebody has",
                      o->message);
    if (!m->acked) {
        m->acked = true;
        m->acked_at = l->now;
        m->owed = m->candidates;
        m->groups_owed = m->group_candidates;
        if ((m->flags & EVENT_RETAIN) && o->message + 1 > l->retained[m->topic])
            l->retained[m->topic] = (uint16_t)(o->message + 1);
        if (m->candidates)
            wills_are_withdrawn(l, m);
    }
    m->flying = false;
    if (e->kind == EV_PUBACK)
        forget_out(s, o);
    else
        o->received = true;
}

static void releases(struct ledger *l, const struct event *e)
{
    struct ledger_out *o = find_out(&l->members[e->actor], e->pid);
    if (o)
        o->released = true;
}

static void completed(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    struct ledger_out *o = find_out(s, e->pid);
    if (!o || !o->received)
        ledger_broken(l, "%s got PUBCOMP for what it never released, identifier %u", name_of(l, e->actor),
                      e->pid);
    else
        forget_out(s, o);
}

/* ---- into the client ---- */

static struct ledger_held *find_held(struct ledger_member *s, uint16_t pid)
{
    for (unsigned i = 0; i < s->held_count; i++)
        if (s->held[i].pid == pid)
            return &s->held[i];
    return NULL;
}

/* 3.3.4: the identifiers of all subscriptions of its own that it matches, and no others. */
static void judge_identifiers(struct ledger *l, const struct event *e)
{
    const struct ledger_message *m = &l->messages[e->message];
    const struct ledger_routes *r = &l->routes[e->message];
    uint16_t known = l->cast->actors[e->actor].identified & (uint16_t)~shared_bits(l->cast);
    uint16_t missing = r->sure[e->actor] & known & (uint16_t)~e->filters;
    uint16_t wrong = e->filters & (uint16_t) ~(r->maybe[e->actor] & known);
    if (missing && !m->is_will)
        ledger_broken(l, "[MQTT-3.3.4-3] %s got message %u without the identifier of %s",
                      name_of(l, e->actor), e->message, l->cast->filters[__builtin_ctz(missing)]);
    if (wrong && !m->is_will)
        ledger_broken(l, "[MQTT-3.3.4-3] %s got message %u with the identifier of %s", name_of(l, e->actor),
                      e->message, l->cast->filters[__builtin_ctz(wrong)]);
}

/* For a member of a group. */
static void judge_shared(struct ledger *l, const struct event *e)
{
    struct ledger_message *m = &l->messages[e->message];
    unsigned g = group_of(l, e->filters), f = l->cast->first_shared + g;
    uint8_t group = (uint8_t)(1u << g);
    uint8_t qos = shared_qos(l, e->actor, g, m);
    if ((e->filters & (e->filters - 1)) || !(l->cast->matches[m->topic] >> f & 1) ||
        !(l->ever[g] & bit(e->actor))) {
        ledger_broken(l, "P-SHARE: %s got message %u, which is not for its group", name_of(l, e->actor),
                      e->message);
        return;
    }
    if ((e->flags & EVENT_QOS) != qos)
        ledger_broken(l, "P-SHARE: message %u came to %s with QoS %u instead of %u", e->message,
                      name_of(l, e->actor), e->flags & EVENT_QOS, qos);
    if (qos == 2 && (m->groups_seen & group) && (l->cast->lasting_groups & group) &&
        m->given_up_by[g] != e->actor + 1)
        ledger_broken(l, "P-QOS2: %s got message %u, somebody of its group has it", name_of(l, e->actor),
                      e->message);
    m->groups_seen |= group;
    if (m->key == NO_KEY)
        return;
    uint16_t *last = &l->last_shared[g][e->actor][m->key];
    if (*last > e->message + 1 && !m->again_behind && m->sent_at > l->calm_since[g])
        ledger_broken(l, "P-ORDER: %s got message %u of its group after %u", name_of(l, e->actor), e->message,
                      *last - 1);
    else if (*last <= e->message)
        *last = (uint16_t)(e->message + 1);
}

/* P-QOS2, P-ORDER and who may get it at all; of deliveries that are new to the client. */
static void judge_delivery(struct ledger *l, const struct event *e)
{
    struct ledger_message *m = &l->messages[e->message];
    uint8_t qos = m->flags & EVENT_QOS, got = e->flags & EVENT_QOS;
    uint8_t *count = &l->routes[e->message].count[e->actor];
    if (by_share(l, e->filters)) {
        judge_shared(l, e);
        return;
    }
    judge_identifiers(l, e);
    if (!(m->allowed & bit(e->actor)))
        ledger_broken(l, "%s: %s got message %u, which is not for it", m->is_will ? "P-WILL" : "P-SESS",
                      name_of(l, e->actor), e->message);
    if (got > qos)
        ledger_broken(l, "message %u of QoS %u came with QoS %u", e->message, qos, got);
    if ((got == 2 || qos == 0) && *count < 255)
        ++*count; /* a filter of less makes it less, whatever it was published with */
    if (*count > 1)
        ledger_broken(l, "%s: %s got message %u twice",
                      m->is_will ? "P-WILL"
                      : qos == 2 ? "P-QOS2"
                                 : "P-QOS0",
                      name_of(l, e->actor), e->message);
    if (m->seen & bit(e->actor))
        return;
    m->seen |= bit(e->actor);
    if (m->key == NO_KEY)
        return;
    uint16_t *last = &l->last[e->actor][m->key];
    /* QoS 1 that is sent again is a second message to whoever had not subscribed yet when the first one came. */
    bool again = (qos == 1 || m->maybe_refused) && m->again_behind >= *last;
    if (*last > e->message + 1 && !again)
        ledger_broken(l, "P-ORDER: %s got message %u after %u", name_of(l, e->actor), e->message, *last - 1);
    else if (*last <= e->message)
        *last = (uint16_t)(e->message + 1);
}

/* Another message than the one the client has with this identifier. */
static void means_another(struct ledger *l, const struct event *e, struct ledger_held *h)
{
    if (h->message != LEDGER_NONE && (h->qos == 2 || l->messages[h->message].acked))
        ledger_broken(l, "P-QOS%u: %s has message %u with identifier %u, now it means message %u", h->qos,
                      name_of(l, e->actor), h->message, h->pid, e->message);
    h->message = e->message;
    h->filters = e->filters;
    h->qos = e->flags & EVENT_QOS;
    if (e->message != LEDGER_NONE && !(e->flags & EVENT_RETAIN))
        judge_delivery(l, e);
}

/* A message with an identifier that the client has in use. */
static void came_again(struct ledger *l, const struct event *e, struct ledger_held *h)
{
    if (!h->former)
        ledger_broken(l, "%s got identifier %u twice on one connection", name_of(l, e->actor), h->pid);
    if (h->message != e->message)
        means_another(l, e, h);
    else if (!(e->flags & EVENT_DUP))
        ledger_broken(l, "[MQTT-3.3.1-1] %s got identifier %u again, not marked as a duplicate",
                      name_of(l, e->actor), h->pid);
    else if (h->phase == HELD_RELEASED)
        ledger_broken(l, "P-QOS2: %s got message %u again after its release", name_of(l, e->actor),
                      e->message);
    else if (h->filters != e->filters)
        ledger_broken(l, "%s got message %u again with other identifiers", name_of(l, e->actor), e->message);
    h->phase = HELD_NEW; /* a PUBREC was lost */
    h->former = false;
}

static void delivered(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    bool known = e->message != LEDGER_NONE;
    uint8_t qos = e->flags & EVENT_QOS;
    if (known && (e->message >= l->message_count || l->messages[e->message].topic != e->value)) {
        ledger_broken(l, "%s got something that nobody sent", name_of(l, e->actor));
        return;
    }
    struct ledger_held *h = qos ? find_held(s, e->pid) : NULL;
    if (h) {
        came_again(l, e, h);
        return;
    }
    if (known && !(e->flags & EVENT_RETAIN))
        judge_delivery(l, e);
    if (qos == 0)
        return;
    FG_ASSERT(s->held_count < LEDGER_HELD);
    s->held[s->held_count++] = (struct ledger_held){.message = e->message,
                                                    .pid = e->pid,
                                                    .filters = e->filters,
                                                    .qos = qos,
                                                    .phase = HELD_NEW,
                                                    .greeting = e->flags & EVENT_RETAIN};
}

static void released(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    struct ledger_held *h = find_held(s, e->pid);
    if (h && (h->qos != 2 || h->phase == HELD_NEW)) {
        ledger_broken(l, "%s got PUBREL %u for what it had not received", name_of(l, e->actor), e->pid);
        return;
    }
    if (!h) { /* completed once already; the broker has not heard of it */
        FG_ASSERT(s->held_count < LEDGER_HELD);
        h = &s->held[s->held_count++];
        *h = (struct ledger_held){.message = LEDGER_NONE, .pid = e->pid, .qos = 2};
    }
    h->phase = HELD_RELEASED;
    h->former = false;
}

static void takes(struct ledger *l, const struct event *e)
{
    struct ledger_member *s = &l->members[e->actor];
    struct ledger_held *h = find_held(s, e->pid);
    FG_ASSERT(h);
    if (h->message != LEDGER_NONE && e->kind != EV_COMPLETED && by_share(l, h->filters))
        l->messages[h->message].groups_done |= (uint8_t)(h->filters >> l->cast->first_shared);
    else if (h->message != LEDGER_NONE && e->kind != EV_COMPLETED)
        l->messages[h->message].done |= bit(e->actor);
    if (e->kind == EV_RECEIVED)
        h->phase = HELD_RECEIVED;
    else
        forget_held(s, h);
}

static void was_read(struct ledger *l, const struct event *e)
{
    uint16_t *count = &l->part_count[e->actor];
    while (*count < e->value && *count < LEDGER_RECORDS)
        l->parts[e->actor][(*count)++] = LEDGER_NONE; /* gone before anybody read it */
    if (e->value == *count && *count < LEDGER_RECORDS)
        l->parts[e->actor][(*count)++] = e->message;
    else if (e->value < *count && l->parts[e->actor][e->value] != e->message)
        ledger_broken(l, "P-PART: record %u of partition %u was message %u, now it is %u", e->value, e->actor,
                      l->parts[e->actor][e->value], e->message);
}

void ledger_apply(struct ledger *l, const struct event *e)
{
    l->now++;
    switch (e->kind) {
    case EV_OPEN: opened(l, e); break;
    case EV_CONNACK: answered(l, e); break;
    case EV_LOST: disconnected(l, e->actor); break;
    case EV_QUIT: quit(l, e->actor); break;
    case EV_CLOSED: closed(l, e->actor); break;
    case EV_PUBLISH: published(l, e); break;
    case EV_PUBACK:
    case EV_PUBREC: acknowledged(l, e); break;
    case EV_PUBCOMP: completed(l, e); break;
    case EV_PUBREL: releases(l, e); break;
    case EV_SUBSCRIBE:
    case EV_UNSUBSCRIBE: subscribes(l, e); break;
    case EV_SUBACK:
    case EV_UNSUBACK: subscribed(l, e); break;
    case EV_DELIVER: delivered(l, e); break;
    case EV_RELEASE: released(l, e); break;
    case EV_ACKED:
    case EV_RECEIVED:
    case EV_COMPLETED: takes(l, e); break;
    case EV_READ: was_read(l, e); break;
    case EV_CRASH: crashed(l); break;
    }
    see_who_is_there(l);
}

/* ---- sums ---- */

void ledger_delays_are_over(struct ledger *l)
{
    for (unsigned a = 0; a < l->cast->actor_count; a++) {
        uint16_t w = l->members[a].delayed;
        if (w != LEDGER_NONE && (l->messages[w].flags & EVENT_QOS))
            l->messages[w].owed = watching(l, &l->messages[w]);
        l->members[a].delayed = LEDGER_NONE;
    }
}

void ledger_check_end(struct ledger *l)
{
    for (unsigned i = 0; i < l->message_count; i++) {
        const struct ledger_message *m = &l->messages[i];
        uint16_t missing = m->owed & (uint16_t)~m->done;
        uint8_t groups = m->groups_owed & (uint8_t)~m->groups_done;
        if (groups)
            ledger_broken(l, "P-SHARE: message %u on %s, acknowledged, is lost for %s", i,
                          l->cast->topics[m->topic],
                          l->cast->filters[l->cast->first_shared + (unsigned)__builtin_ctz(groups)]);
        if (missing && m->is_will)
            ledger_broken(l, "P-WILL: message %u, the will of %s, reached not every watcher", i,
                          name_of(l, m->publisher));
        else if (missing)
            ledger_broken(l, "P-QOS%u: message %u on %s, acknowledged, is lost for %s", m->flags & EVENT_QOS,
                          i, l->cast->topics[m->topic], name_of(l, (unsigned)__builtin_ctz(missing)));
    }
}
