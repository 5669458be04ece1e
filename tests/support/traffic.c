#include "support/traffic.h"

#include "message/message.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAYLOAD_MAX = 3000, DELAY_S = 2 };

/* ---- the cast ---- */

static const char *const plain_topics[] = { "a/0", "a/1", "b/0", "b/1" };
static const char *const hub_topics[] = { "hub/x/0", "hub/x/1", "hub/y" };
static const char *const retained_topics[] = { "r/0", "r/1", "r/2" };
static const char *const filters[] = { "w/#", "a/0", "a/+", "a/#", "b/#", "+/1", "hub/#", "hub/x/+", "r/#", "r/0" };

/* Two groups whose members last, one with QoS 1 and one with QoS 2, and one that anybody enters. */
static const char *const shared_filters[] = { "$share/g/a/+", "$share/h/hub/#", "$share/any/b/#" };
static const uint8_t shared_grants[] = { 1, 2, 2 };
enum { GROUPS = 3, LASTING_GROUPS = 2 };

static void add_topic(struct ledger_cast *c, const char *text, bool retained, bool hub)
{
    c->retained_topic[c->topic_count] = retained;
    c->hub_topic[c->topic_count] = hub;
    (void)snprintf(c->topics[c->topic_count++], sizeof c->topics[0], "%s", text);
}

static struct ledger_actor *add_actor(struct ledger_cast *c, struct random *r, const char *kind, bool persistent,
                                      uint8_t version)
{
    struct ledger_actor *a = &c->actors[c->actor_count];
    (void)snprintf(a->client_id, sizeof a->client_id, "%s-%u", kind, c->actor_count);
    a->persistent = persistent;
    a->version = version;
    for (unsigned f = 0; f < c->filter_count; f++)
        a->filter_qos[f] = f >= c->first_shared ? shared_grants[f - c->first_shared]
                                                : (uint8_t)(random_chance(r, 10) ? 0 : 1 + random_below(r, 2));
    for (unsigned f = 0; f < c->filter_count && version == MQTT_5; f++) /* some messages carry identifiers, some do not */
        if (f >= c->first_shared || (c->actor_count + f) % 2)
            a->identified |= (uint16_t)(1u << f);
    c->actor_count++;
    return a;
}

static void give_will(struct ledger_cast *c, struct ledger_actor *a, uint8_t qos, uint8_t delay_s)
{
    char topic[24];
    (void)snprintf(topic, sizeof topic, "w/%s", a->client_id);
    a->has_will = true;
    a->will_qos = qos;
    a->will_delay_s = delay_s;
    a->will_topic = (uint8_t)c->topic_count;
    add_topic(c, topic, false, false);
}

void traffic_cast(struct ledger_cast *c, uint64_t seed)
{
    struct random r = { random_mix(seed, 3) };
    *c = (struct ledger_cast){ .actor_count = 0 };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        (void)snprintf(c->filters[c->filter_count++], sizeof c->filters[0], "%s", filters[i]);
    c->first_shared = c->filter_count;
    c->lasting_groups = (1 << LASTING_GROUPS) - 1;
    for (size_t i = 0; i < GROUPS; i++)
        (void)snprintf(c->filters[c->filter_count++], sizeof c->filters[0], "%s", shared_filters[i]);
    for (size_t i = 0; i < 4; i++)
        add_topic(c, plain_topics[i], false, false);
    for (size_t i = 0; i < 3; i++)
        add_topic(c, hub_topics[i], false, true);
    for (size_t i = 0; i < 3; i++)
        add_topic(c, retained_topics[i], true, false);
    add_actor(c, &r, "watcher", true, MQTT_5)->filter_qos[0] = 2;
    add_actor(c, &r, "watcher", true, MQTT_5)->filter_qos[0] = 1 + (uint8_t)random_below(&r, 2);
    c->watchers = 3;
    (void)add_actor(c, &r, "lasting", true, MQTT_5);
    give_will(c, add_actor(c, &r, "lasting", true, MQTT_5), 2, 0);
    give_will(c, add_actor(c, &r, "delayed", true, MQTT_5), 2, DELAY_S);
    give_will(c, add_actor(c, &r, "older", true, MQTT_3_1_1), 1 + (uint8_t)random_below(&r, 2), 0);
    give_will(c, add_actor(c, &r, "fleeting", false, MQTT_5), 2, (uint8_t)random_below(&r, 2));
    (void)add_actor(c, &r, "fleeting", false, MQTT_3_1_1);
    for (unsigned i = 0; i < 3; i++)
        (void)add_actor(c, &r, "sharer", true, MQTT_5);
    (void)add_actor(c, &r, "auditor", false, MQTT_5);
    (void)add_actor(c, &r, "prober", false, MQTT_5);
    ledger_cast_finish(c);
}

/* ---- life ---- */

struct traffic *traffic_new(uint64_t seed, const struct ledger_cast *cast, struct crash *rec)
{
    struct traffic *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->cast = cast;
    t->rec = rec;
    t->seed = seed;
    t->dice.state = random_mix(seed, 11);
    t->payload_max = 400;
    t->auditor = cast->actor_count - 2;
    t->prober = cast->actor_count - 1;
    ledger_init(&t->ledger, cast);
    return t;
}

void traffic_free(struct traffic *t)
{
    if (!t)
        return;
    free(t->events);
    free(t);
}

static void happens(struct traffic *t, struct event e)
{
    if (t->keep_events) {
        if (t->event_count == t->event_cap) {
            t->event_cap = t->event_cap ? t->event_cap * 2 : 1024;
            t->events = realloc(t->events, t->event_cap * sizeof *t->events);
            if (!t->events)
                abort();
        }
        t->events[t->event_count] = e;
        crash_mark(t->rec, t->mark_kind, t->event_count++);
    }
    bool was_broken = t->ledger.broken[0];
    if (e.kind == EV_LOST || e.kind == EV_CLOSED)
        t->gone_at[e.actor] = rig_wall_us(t->rig);
    if (t->trace) {
        (void)fprintf(t->trace, "%5u ", t->ledger.now);
        ledger_print_event(t->cast, &e, t->trace);
    }
    ledger_apply(&t->ledger, &e);
    if (t->trace && !was_broken && t->ledger.broken[0])
        (void)fprintf(t->trace, "  *** %s\n", t->ledger.broken);
}

static struct ledger_member *member(struct traffic *t, unsigned a)
{
    return &t->ledger.members[a];
}

/* ---- payloads: the number, and bytes that follow from it ---- */

static struct bytes payload_of(const struct traffic *t, uint16_t number, uint8_t out[PAYLOAD_MAX])
{
    uint64_t mix = random_mix(t->seed, number);
    size_t len = 8 + (mix % 16 == 0 ? mix / 16 % PAYLOAD_MAX : mix / 16 % t->payload_max);
    len = len > PAYLOAD_MAX ? PAYLOAD_MAX : len;
    out[0] = (uint8_t)number;
    out[1] = (uint8_t)(number >> 8);
    for (size_t i = 2; i < len; i++)
        out[i] = (uint8_t)(mix >> (i & 7));
    return bytes_of(out, len);
}

static bool read_number(struct traffic *t, struct bytes payload, uint16_t *number)
{
    uint8_t want[PAYLOAD_MAX];
    *number = LEDGER_NONE;
    if (payload.len == 0)
        return true;
    if (payload.len < 8)
        return false;
    *number = (uint16_t)(payload.at[0] | payload.at[1] << 8);
    return bytes_equal(payload, payload_of(t, *number, want));
}

static unsigned topic_number(const struct ledger_cast *c, struct bytes topic)
{
    unsigned i = 0;
    while (i < c->topic_count && !bytes_is(topic, c->topics[i]))
        i++;
    return i;
}

/* ---- what comes in ---- */

static void say_broken(struct traffic *t, const char *who, const char *what)
{
    if (!t->ledger.broken[0])
        (void)snprintf(t->ledger.broken, sizeof t->ledger.broken, "%s: %s", who, what);
}

static uint32_t id_of(unsigned filter)
{
    return 1 + 100 * filter;
}

/* Which subscriptions the identifiers mean. */
static uint16_t filters_of(struct traffic *t, unsigned a, const struct packet *k)
{
    uint16_t named = 0;
    uint32_t id;
    for (size_t cursor = 0; mqtt_sub_id(&k->props, &cursor, &id);) {
        unsigned f = (id - 1) / 100;
        if (f >= t->cast->filter_count || id != id_of(f) || (named >> f & 1))
            say_broken(t, t->cast->actors[a].client_id, "a subscription identifier that it never gave, or one twice");
        else
            named |= (uint16_t)(1u << f);
    }
    return named;
}

static void hear_publish(struct traffic *t, unsigned a, const struct packet *k)
{
    uint16_t number;
    unsigned topic = topic_number(t->cast, k->topic);
    if (!read_number(t, k->payload, &number)) {
        say_broken(t, t->cast->actors[a].client_id, "a payload has changed on its way");
        return;
    }
    if (a == t->auditor && k->retain && topic < t->cast->topic_count)
        t->retained[topic] = number;
    happens(t, (struct event){ .kind = EV_DELIVER, .actor = (uint8_t)a, .pid = k->pid, .message = number, .value = topic,
                               .filters = filters_of(t, a, k), .flags = (uint8_t)(k->qos | (k->retain ? EVENT_RETAIN : 0) | (k->dup ? EVENT_DUP : 0)) });
}

static void hear(struct traffic *t, unsigned a, const struct packet *k)
{
    static const uint8_t kinds[16] = { [MQTT_PUBACK] = EV_PUBACK,   [MQTT_PUBREC] = EV_PUBREC, [MQTT_PUBCOMP] = EV_PUBCOMP,
                                       [MQTT_PUBREL] = EV_RELEASE,  [MQTT_SUBACK] = EV_SUBACK, [MQTT_UNSUBACK] = EV_UNSUBACK,
                                       [MQTT_CONNACK] = EV_CONNACK };
    if (k->type == MQTT_PUBLISH) {
        hear_publish(t, a, k);
    } else if (k->type == MQTT_DISCONNECT) {
        if (!t->ledger.tolerant)
            say_broken(t, t->cast->actors[a].client_id, mqtt_reason_name(k->reason));
    } else if (k->type != MQTT_PINGRESP) {
        uint8_t flags = k->session_present ? EVENT_PRESENT : 0;
        if (k->type == MQTT_CONNACK && rig_wall_us(t->rig) - t->gone_at[a] < (DELAY_S * INT64_C(1000000)) * 9 / 10)
            flags |= EVENT_IN_TIME;
        happens(t, (struct event){ .kind = kinds[k->type], .actor = (uint8_t)a, .pid = k->pid, .value = k->reason,
                                   .flags = flags });
    }
}

static void listen_to(struct traffic *t, unsigned a)
{
    struct peer *p = t->peers[a];
    struct packet *k;
    while ((k = peer_take(p)))
        hear(t, a, k);
    if (!peer_ended(p) || t->over[a])
        return;
    t->over[a] = true;
    if (!t->quitting[a] && !t->ledger.tolerant)
        say_broken(t, t->cast->actors[a].client_id, "the broker closed the connection");
    happens(t, (struct event){ .kind = t->quitting[a] ? EV_CLOSED : EV_LOST, .actor = (uint8_t)a });
}

/* The rig is about to let the journal do something: whatever arrived so far left before that. */
static void look(void *ctx, struct rig *rig)
{
    struct traffic *t = ctx;
    (void)rig;
    for (unsigned a = 0; a < t->cast->actor_count; a++)
        if (t->peers[a])
            listen_to(t, a);
}

void traffic_attach(struct traffic *t, struct rig *rig)
{
    t->rig = rig;
    rig->config.look = look;
    rig->config.ctx = t;
    for (unsigned a = 0; a < LEDGER_ACTORS; a++)
        t->gone_at[a] = rig_wall_us(rig);
}

static void part_from(struct traffic *t, unsigned a)
{
    peer_close(t->peers[a]);
    t->peers[a] = NULL;
    t->quitting[a] = t->over[a] = false;
}

static void close_left(struct traffic *t)
{
    while (t->left_count)
        peer_close(t->left[--t->left_count]);
}

void traffic_detach(struct traffic *t)
{
    for (unsigned a = 0; a < t->cast->actor_count; a++)
        if (t->peers[a])
            part_from(t, a);
    close_left(t);
    t->rig->config.look = NULL;
    t->rig = NULL;
}

/* ---- what goes out ---- */

static uint16_t number_of_next(const struct traffic *t)
{
    return t->ledger.message_count;
}

static bool is_sharer(const struct traffic *t, unsigned a)
{
    return strncmp(t->cast->actors[a].client_id, "sharer", 6) == 0;
}

static void act_open(struct traffic *t, unsigned a, bool clean)
{
    const struct ledger_actor *who = &t->cast->actors[a];
    uint8_t payload[PAYLOAD_MAX];
    if (t->over[a])
        part_from(t, a);
    if (t->peers[a]) { /* takes over from itself; the former connection is not looked at any more */
        happens(t, (struct event){ .kind = EV_LOST, .actor = (uint8_t)a });
        if (t->left_count == 32)
            close_left(t);
        t->left[t->left_count++] = t->peers[a];
        t->quitting[a] = t->over[a] = false;
    }
    struct peer *p = t->peers[a] = peer_open(t->rig, (unsigned)random_below(&t->dice, t->rig->config.shards));
    uint16_t will = who->has_will && number_of_next(t) < LEDGER_MESSAGES - 1 ? number_of_next(t) : LEDGER_NONE;
    struct buf out = { 0 }, props = { 0 }, will_props = { 0 };
    struct mqtt_connect_out c = { .version = who->version, .clean_start = clean || !who->persistent,
                                  .client_id = bytes_str(who->client_id) };
    p->version = who->version;
    if (who->persistent && who->version == MQTT_5)
        mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, 86400);
    if (will != LEDGER_NONE) {
        c.has_will = true;
        c.will_qos = who->will_qos;
        c.will_topic = bytes_str(t->cast->topics[who->will_topic]);
        c.will_payload = payload_of(t, will, payload);
        if (who->will_delay_s)
            mqtt_put_u32(&will_props, MQTT_PROP_WILL_DELAY, who->will_delay_s);
    }
    c.props = buf_bytes(&props);
    c.will_props = buf_bytes(&will_props);
    mqtt_encode_connect(&out, &c);
    happens(t, (struct event){ .kind = EV_OPEN, .actor = (uint8_t)a, .message = will, .flags = clean ? EVENT_CLEAN : 0 });
    peer_send(p, buf_bytes(&out));
    buf_clear(&out);
    buf_clear(&props);
    buf_clear(&will_props);
}

static void act_hang_up(struct traffic *t, unsigned a)
{
    if (!t->over[a])
        happens(t, (struct event){ .kind = EV_LOST, .actor = (uint8_t)a });
    part_from(t, a);
}

static void act_quit(struct traffic *t, unsigned a)
{
    happens(t, (struct event){ .kind = EV_QUIT, .actor = (uint8_t)a });
    t->quitting[a] = true;
    peer_disconnect(t->peers[a], 0);
}

static void send_publish(struct traffic *t, unsigned a, uint16_t number, uint16_t pid, bool dup)
{
    const struct ledger_message *m = &t->ledger.messages[number];
    uint8_t payload[PAYLOAD_MAX];
    peer_publish_full(t->peers[a],
                      &(struct peer_publish){ .topic = bytes_str(t->cast->topics[m->topic]), .pid = pid, .dup = dup,
                                              .payload = m->flags & EVENT_EMPTY ? BYTES_NONE : payload_of(t, number, payload),
                                              .qos = m->flags & EVENT_QOS, .retain = m->flags & EVENT_RETAIN });
}

static bool pid_in_use(const struct ledger_member *s, uint16_t pid)
{
    for (unsigned i = 0; i < s->out_count; i++)
        if (s->out[i].pid == pid)
            return true;
    for (unsigned i = 0; i < s->sub_count; i++)
        if (s->subs[i].pid == pid)
            return true;
    return false;
}

/* The smallest one: identifiers are used again and again. */
static uint16_t free_pid(const struct ledger_member *s)
{
    uint16_t pid = 1;
    while (pid_in_use(s, pid))
        pid++;
    return pid;
}

static void publish_to(struct traffic *t, unsigned a, unsigned topic, uint8_t qos)
{
    struct ledger_member *s = member(t, a);
    if (s->out_count >= LEDGER_FLIGHT - 2 || number_of_next(t) >= LEDGER_MESSAGES - 1)
        return;
    bool retain = t->cast->retained_topic[topic];
    uint16_t pid = qos ? free_pid(s) : 0, number = number_of_next(t);
    uint8_t flags = (uint8_t)(qos | (retain ? EVENT_RETAIN : 0));
    if (retain && random_chance(&t->dice, 20))
        flags |= EVENT_EMPTY;
    happens(t, (struct event){ .kind = EV_PUBLISH, .actor = (uint8_t)a, .pid = pid, .message = number, .value = topic,
                               .flags = flags });
    send_publish(t, a, number, pid, false);
}

static void act_publish(struct traffic *t, unsigned a)
{
    unsigned topics = 10; /* without those of the wills */
    for (uint64_t n = 1 + random_below(&t->dice, 4); n; n--) {
        unsigned topic = (unsigned)random_below(&t->dice, topics);
        if (t->cast->retained_topic[topic] && a != 2 + topic % 3)
            continue; /* each of these has one publisher, so that there is an order to be kept */
        uint8_t qos = (uint8_t)(random_chance(&t->dice, 15) ? 0 : 1 + random_below(&t->dice, 2));
        if (t->cast->retained_topic[topic])
            qos = (uint8_t)(1 + topic % 2); /* sent again, QoS 1 would overtake QoS 2, which is not done twice */
        publish_to(t, a, topic, qos);
    }
}

static void subscribe_to(struct traffic *t, unsigned a, unsigned f, bool remove)
{
    struct ledger_member *s = member(t, a);
    uint16_t pid = free_pid(s);
    struct buf out = { 0 };
    struct mqtt_filter filter = { .filter = bytes_str(t->cast->filters[f]), .qos = t->cast->actors[a].filter_qos[f] };
    struct buf props = { 0 };
    if (t->cast->actors[a].identified >> f & 1)
        mqtt_put_varint(&props, MQTT_PROP_SUB_ID, id_of(f));
    if (remove)
        mqtt_encode_unsubscribe(&out, t->cast->actors[a].version, pid, &filter, BYTES_NONE);
    else
        mqtt_encode_subscribe(&out, t->cast->actors[a].version, pid, &filter, buf_bytes(&props));
    happens(t, (struct event){ .kind = remove ? EV_UNSUBSCRIBE : EV_SUBSCRIBE, .actor = (uint8_t)a, .pid = pid, .value = f });
    peer_send(t->peers[a], buf_bytes(&out));
    buf_clear(&out);
    buf_clear(&props);
}

/* 0 is the watchers' own. Sharers want to share, of others who can be known by an identifier a few in the last group. */
static unsigned choose_filter(struct traffic *t, unsigned a)
{
    const struct ledger_cast *c = t->cast;
    if (is_sharer(t, a) && !random_chance(&t->dice, 15))
        return c->first_shared + (unsigned)random_below(&t->dice, GROUPS);
    if (c->actors[a].version == MQTT_5 && random_chance(&t->dice, 10))
        return c->first_shared + LASTING_GROUPS;
    return 1 + (unsigned)random_below(&t->dice, c->first_shared - 1);
}

static void act_subscribe(struct traffic *t, unsigned a)
{
    struct ledger_member *s = member(t, a);
    unsigned f = choose_filter(t, a);
    if (s->sub_count >= 3)
        return;
    for (unsigned i = 0; i < s->sub_count; i++)
        if (s->subs[i].filter == f)
            return;
    subscribe_to(t, a, f, (s->maybe >> f & 1) && random_chance(&t->dice, 60));
}

/* ---- what a client answers ---- */

static void finish_out(struct traffic *t, unsigned a)
{
    struct ledger_member *s = member(t, a);
    for (unsigned i = 0; i < s->out_count; i++) {
        struct ledger_out o = s->out[i];
        if (o.received && !o.released) {
            happens(t, (struct event){ .kind = EV_PUBREL, .actor = (uint8_t)a, .pid = o.pid });
            peer_ack(t->peers[a], MQTT_PUBREL, o.pid, 0);
        } else if (!o.received && !o.sent) {
            const struct ledger_message *m = &t->ledger.messages[o.message];
            happens(t, (struct event){ .kind = EV_PUBLISH, .actor = (uint8_t)a, .pid = o.pid, .message = o.message,
                                       .value = m->topic, .flags = (uint8_t)(m->flags | EVENT_DUP) });
            send_publish(t, a, o.message, o.pid, true);
        }
    }
}

static bool answer(struct traffic *t, unsigned a, const struct ledger_held *h)
{
    uint16_t pid = h->pid;
    if (h->former || h->phase == HELD_RECEIVED)
        return false;
    uint8_t kind = h->phase == HELD_RELEASED ? EV_COMPLETED : h->qos == 1 ? EV_ACKED : EV_RECEIVED;
    enum mqtt_type type = h->phase == HELD_RELEASED ? MQTT_PUBCOMP : h->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
    happens(t, (struct event){ .kind = kind, .actor = (uint8_t)a, .pid = pid });
    peer_ack(t->peers[a], type, pid, 0);
    return kind != EV_RECEIVED; /* it is out of the list */
}

static void react(struct traffic *t, unsigned a, unsigned slack)
{
    struct ledger_member *s = member(t, a);
    if (t->over[a])
        part_from(t, a);
    if (!t->peers[a] || !s->live || t->quitting[a])
        return;
    finish_out(t, a);
    for (unsigned i = 0; i < s->held_count;)
        if (random_chance(&t->dice, slack))
            i++; /* later, and out of order */
        else if (!answer(t, a, &s->held[i]))
            i++;
}

void traffic_settle(struct traffic *t)
{
    uint32_t before;
    for (unsigned a = 0; a < t->cast->actor_count; a++)
        if (t->peers[a] && !t->over[a])
            sim_stall(t->peers[a]->sim, SIZE_MAX);
    do {
        before = t->ledger.now;
        for (unsigned a = 0; a < t->cast->actor_count; a++)
            react(t, a, 0);
        rig_run(t->rig);
    } while (t->ledger.now != before);
}

/* ---- partitions ---- */

struct reading {
    struct traffic     *traffic;
    struct ledger_part *part; /* NULL: an ordinary reader */
    unsigned            partition;
    uint64_t            next;
};

static bool read_record(void *ctx, const struct record *r)
{
    struct reading *reading = ctx;
    struct traffic *t = reading->traffic;
    struct message m;
    struct fault why;
    uint16_t number;
    if (r->type != RECORD_MESSAGE && t->ledger.tolerant)
        return false; /* the disk was made to fail */
    if (r->type != RECORD_MESSAGE || message_view(&m, r->payload, r->wall_us, &why) != CODE_OK ||
        !read_number(t, m.payload, &number) || number == LEDGER_NONE) {
        say_broken(t, "P-PART", "a record is damaged");
        return false;
    }
    if (r->partition_seq != reading->next++)
        say_broken(t, "P-PART", "records do not follow each other");
    if (reading->part && reading->part->count < LEDGER_RECORDS)
        reading->part->messages[reading->part->count++] = number;
    else
        happens(t, (struct event){ .kind = EV_READ, .actor = (uint8_t)reading->partition, .message = number,
                                   .value = (uint32_t)r->partition_seq });
    return true;
}

static void read_from(struct traffic *t, unsigned p, uint64_t seq, struct ledger_part *part)
{
    struct fault why;
    uint64_t first, next;
    journal_partition_range(t->rig->journal, p, &first, &next);
    if (part)
        part->first = first;
    struct reading r = { .traffic = t, .part = part, .partition = p, .next = seq > first ? seq : first };
    while (r.next < next) {
        uint64_t before = r.next;
        if (journal_partition_read(t->rig->journal, p, r.next, 1 << 20, read_record, &r, &seq, &why) != CODE_OK) {
            if (!t->ledger.tolerant)
                say_broken(t, "P-PART", why.text);
            return;
        }
        if (r.next == before)
            break;
    }
    if (r.next < next && !t->ledger.tolerant)
        say_broken(t, "P-PART", "fewer records than announced");
}

static void act_read(struct traffic *t)
{
    unsigned p = (unsigned)random_below(&t->dice, LEDGER_PARTITIONS);
    read_from(t, p, t->ledger.part_count[p], NULL);
}

static void read_all(struct traffic *t)
{
    struct ledger_part parts[LEDGER_PARTITIONS];
    for (unsigned p = 0; p < LEDGER_PARTITIONS; p++) {
        parts[p].count = 0;
        read_from(t, p, 0, &parts[p]);
    }
    ledger_check_partitions(&t->ledger, parts);
}

/* ---- a day in the life ---- */

static bool is_live(const struct traffic *t, unsigned a)
{
    return t->peers[a] && !t->over[a] && t->ledger.members[a].live;
}

void traffic_begin(struct traffic *t)
{
    for (unsigned a = 0; a < t->auditor; a++) {
        act_open(t, a, false);
        traffic_settle(t);
        if (!is_live(t, a))
            continue; /* the node may refuse */
        if (t->cast->watchers >> a & 1)
            subscribe_to(t, a, 0, false);
        for (unsigned g = 0; g < LASTING_GROUPS && is_sharer(t, a); g++)
            subscribe_to(t, a, t->cast->first_shared + g, false);
        for (uint64_t n = random_below(&t->dice, is_sharer(t, a) ? 1 : 4); n; n--)
            act_subscribe(t, a);
        if (t->cast->watchers >> a & 1)
            traffic_settle(t);
    }
}

static void act_of_the_living(struct traffic *t, unsigned a)
{
    uint64_t what = random_below(&t->dice, 100);
    if (is_sharer(t, a) && what < 25)
        act_hang_up(t, a);
    else if (what < 50)
        act_publish(t, a);
    else if (what < 62)
        act_subscribe(t, a);
    else if (what < 66)
        act_quit(t, a);
    else if (what < 72)
        act_hang_up(t, a);
    else if (what < 77)
        act_open(t, a, false);
    else if (what < 79)
        sim_stall(t->peers[a]->sim, random_below(&t->dice, 300));
    else if (what < 85)
        sim_stall(t->peers[a]->sim, SIZE_MAX);
    else
        act_read(t);
}

static void act(struct traffic *t)
{
    unsigned a = (unsigned)random_below(&t->dice, t->auditor);
    bool watcher = t->cast->watchers >> a & 1;
    if (t->over[a])
        part_from(t, a);
    if (!t->peers[a]) {
        if (random_chance(&t->dice, 70))
            /* 3.1.1 knows no clean start of a lasting session. */
            act_open(t, a, !watcher && t->cast->actors[a].version == MQTT_5 &&
                           random_chance(&t->dice, is_sharer(t, a) ? 40 : 8));
    } else if (t->quitting[a] || !member(t, a)->live) {
        if (random_chance(&t->dice, 10))
            act_hang_up(t, a);
    } else {
        act_of_the_living(t, a);
    }
}

void traffic_run(struct traffic *t, unsigned acts)
{
    for (unsigned i = 0; i < acts && !t->ledger.broken[0]; i++) {
        act(t);
        uint64_t then = random_below(&t->dice, 100);
        if (then < 40)
            rig_run(t->rig);
        else if (then < 75)
            rig_run_without_disk(t->rig);
        if (then % 20 == 0)
            rig_advance(t->rig, (int64_t)random_below(&t->dice, then ? 50000 : 3000000));
        unsigned slack = (unsigned)random_below(&t->dice, 100);
        for (unsigned a = 0; a < t->auditor; a++)
            react(t, a, is_sharer(t, a) ? 60 + slack / 3 : slack); /* these hold much when they go */
    }
}

/* ---- after a crash ---- */

void traffic_crashed(struct traffic *t)
{
    ledger_apply(&t->ledger, &(struct event){ .kind = EV_CRASH });
}

void traffic_restarting(struct traffic *t)
{
    happens(t, (struct event){ .kind = EV_CRASH });
}

/* A stranger asks for everything retained. */
static void audit(struct traffic *t)
{
    for (unsigned i = 0; i < LEDGER_TOPICS; i++)
        t->retained[i] = LEDGER_NONE;
    act_open(t, t->auditor, false);
    traffic_settle(t);
    if (!is_live(t, t->auditor))
        return;
    subscribe_to(t, t->auditor, 8, false);
    traffic_settle(t);
    ledger_check_retained(&t->ledger, t->retained);
    act_quit(t, t->auditor);
}

static void probe(struct traffic *t)
{
    act_open(t, t->prober, false);
    traffic_settle(t);
    for (unsigned topic = 0; topic < 7 && is_live(t, t->prober); topic++)
        publish_to(t, t->prober, topic, 1);
    traffic_settle(t);
}

void traffic_recover(struct traffic *t)
{
    unsigned order[LEDGER_ACTORS], n = 0;
    audit(t);
    for (unsigned a = 0; a < t->auditor; a++)
        if (t->cast->actors[a].persistent)
            order[n++] = a;
    for (unsigned i = n; i > 1; i--) {
        unsigned k = (unsigned)random_below(&t->dice, i), swap = order[k];
        order[k] = order[i - 1];
        order[i - 1] = swap;
    }
    for (unsigned i = 0; i < n; i++)
        if (!t->cast->actors[order[i]].will_delay_s || random_chance(&t->dice, 25))
            act_open(t, order[i], false);
    traffic_settle(t);
    rig_advance(t->rig, (DELAY_S + 2) * INT64_C(1000000));
    traffic_settle(t);
    ledger_delays_are_over(&t->ledger);
    for (unsigned i = 0; i < n; i++)
        if (!t->peers[order[i]] && !t->ledger.broken[0])
            act_open(t, order[i], false);
    traffic_settle(t);
    if (!t->ledger.broken[0])
        read_all(t);
    if (!t->ledger.broken[0])
        probe(t);
    if (!t->ledger.broken[0])
        ledger_check_end(&t->ledger);
}
