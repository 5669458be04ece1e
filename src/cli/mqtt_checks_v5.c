/* mqtt_checks_v5.c - what came with version 5. */
#include "cli/mqtt_checks.h"

#include <stdio.h>

static enum code pub_and_sub(struct check_run *r, const struct greeting *g, struct probe **pub,
                             struct probe **sub, struct fault *why)
{
    TRY(probe_open(r->world, g, sub, why));
    return probe_open(r->world, &(struct greeting){0}, pub, why);
}

/* ---- subscription options ---- */

static enum code check_no_local(struct check_run *r, struct fault *why)
{
    struct probe *p, *other;
    char topic[96];
    probe_topic(r->world, "local", topic);
    TRY(pub_and_sub(r, &(struct greeting){0}, &other, &p, why));
    TRY(probe_subscribe(p, &(struct mqtt_filter){.filter = bytes_str(topic), .qos = 1, .no_local = true},
                        BYTES_NONE, why));
    TRY(probe_publish(p, &(struct letter_of){.topic = topic, .payload = "own", .qos = 1}, why));
    TRY(probe_publish(other, &(struct letter_of){.topic = topic, .payload = "other", .qos = 1}, why));
    TRY(probe_expect(p, topic, "other", NULL, why));
    (void)snprintf(r->said, sizeof r->said, "its own message does not come back");
    return probe_silence(p, 200, "no local was set", why);
}

static enum code as_published(struct check_run *r, struct probe *pub, struct probe *sub, const char *topic,
                              struct fault *why)
{
    struct message m;
    TRY(probe_subscribe(
        sub, &(struct mqtt_filter){.filter = bytes_str(topic), .qos = 1, .retain_as_published = true},
        BYTES_NONE, why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "kept", .qos = 1, .retain = true},
                      why));
    TRY(probe_expect(sub, topic, "kept", &m, why));
    if (!m.p.retain)
        return FAIL(why, CODE_PROTOCOL, 0, "the retain flag was taken away although it was asked for");
    (void)snprintf(r->said, sizeof r->said, "the retain flag stays as it was published");
    return CODE_OK;
}

static enum code handling(struct check_run *r, struct probe *pub, struct probe *sub, const char *topic,
                          struct fault *why)
{
    struct mqtt_filter f = {.filter = bytes_str(topic), .qos = 1, .retain_handling = 2};
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "kept", .qos = 1, .retain = true},
                      why));
    TRY(probe_subscribe(sub, &f, BYTES_NONE, why));
    TRY(probe_silence(sub, 300, "retain handling 2 (never), and a retained message came", why));
    TRY(probe_unlisten(sub, topic, why));
    f.retain_handling = 1;
    TRY(probe_subscribe(sub, &f, BYTES_NONE, why));
    TRY(probe_expect(sub, topic, "kept", NULL, why));
    TRY(probe_subscribe(sub, &f, BYTES_NONE, why));
    TRY(probe_silence(sub, 300, "retain handling 1 (new subscriptions), and it came to an old one", why));
    f.retain_handling = 0;
    TRY(probe_subscribe(sub, &f, BYTES_NONE, why));
    TRY(probe_expect(sub, topic, "kept", NULL, why));
    (void)snprintf(r->said, sizeof r->said, "0 always, 1 for new subscriptions, 2 never");
    return CODE_OK;
}

typedef enum code (*retained_fn)(struct check_run *, struct probe *pub, struct probe *sub, const char *topic,
                                 struct fault *);

/* Runs a check that keeps a message, and clears it whatever happened. */
static enum code with_retained(struct check_run *r, retained_fn body, struct fault *why)
{
    struct probe *pub, *sub;
    struct fault ignored;
    char topic[96];
    probe_topic(r->world, "retain", topic);
    TRY(pub_and_sub(r, &(struct greeting){0}, &pub, &sub, why));
    if (!pub->ack.props.retain_available)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the CONNACK says: no retained messages");
    enum code c = body(r, pub, sub, topic, why);
    enum code cleared = probe_publish(
        pub, &(struct letter_of){.topic = topic, .payload = "", .qos = 1, .retain = true},
        c == CODE_OK ? why : &ignored);
    return c != CODE_OK ? c : cleared;
}

static enum code check_as_published(struct check_run *r, struct fault *why)
{
    return with_retained(r, as_published, why);
}

static enum code check_handling(struct check_run *r, struct fault *why)
{
    return with_retained(r, handling, why);
}

static enum code check_sub_ids(struct check_run *r, struct fault *why)
{
    static const uint8_t seven[] = {MQTT_PROP_SUB_ID, 7};
    struct probe *pub, *sub;
    struct message m;
    char topic[96];
    probe_topic(r->world, "subid", topic);
    TRY(pub_and_sub(r, &(struct greeting){0}, &pub, &sub, why));
    if (!sub->ack.props.sub_id_available)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the CONNACK says: no subscription identifiers");
    TRY(probe_subscribe(sub, &(struct mqtt_filter){.filter = bytes_str(topic), .qos = 1},
                        bytes_of(seven, sizeof seven), why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "x", .qos = 1}, why));
    TRY(probe_expect(sub, topic, "x", &m, why));
    if (m.p.props.sub_id_count != 1 || m.p.props.sub_id != 7)
        return FAIL(why, CODE_PROTOCOL, 0,
                    "subscribed with identifier 7, the message has %u identifiers, the last %u",
                    m.p.props.sub_id_count, m.p.props.sub_id);
    (void)snprintf(r->said, sizeof r->said, "the message carries its subscription's identifier");
    return CODE_OK;
}

static enum code check_shared(struct check_run *r, struct fault *why)
{
    enum { N = 40, MEMBERS = 2 };
    struct probe *pub, *members[MEMBERS];
    char topic[96], filter[140], text[16];
    unsigned got[MEMBERS] = {0};
    probe_topic(r->world, "shared", topic);
    (void)snprintf(filter, sizeof filter, "$share/fgt%s/%s", r->world->run, topic);
    TRY(probe_open(r->world, &(struct greeting){0}, &pub, why));
    if (!pub->ack.props.shared_available)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the CONNACK says: no shared subscriptions");
    for (int i = 0; i < MEMBERS; i++) {
        TRY(probe_open(r->world, &(struct greeting){0}, &members[i], why));
        TRY(probe_listen(members[i], filter, 1, why));
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = text, .qos = 1}, why));
    }
    for (int i = 0; i < MEMBERS; i++) {
        struct message m;
        while (probe_message(members[i], 300, &m, why) == CODE_OK) {
            probe_ack(members[i], &m);
            got[i]++;
        }
    }
    if (got[0] + got[1] != N)
        return FAIL(why, CODE_PROTOCOL, 0, "%d messages to a group of two: %u and %u came", N, got[0],
                    got[1]);
    if (!got[0] || !got[1])
        return FAIL(why, CODE_PROTOCOL, 0, "%d messages to a group of two, and one member got them all", N);
    (void)snprintf(r->said, sizeof r->said, "%d messages to a group of two: %u and %u", N, got[0], got[1]);
    return CODE_OK;
}

/* ---- properties ---- */

static enum code check_user_props(struct check_run *r, struct fault *why)
{
    static const char *const order[] = {"z", "1", "a", "2", "z", "3", "z", "1"};
    struct probe *pub, *sub;
    struct message m;
    struct buf props = {0};
    struct bytes name, value;
    size_t cursor = 0, i = 0;
    char topic[96];
    probe_topic(r->world, "user", topic);
    TRY(pub_and_sub(r, &(struct greeting){0}, &pub, &sub, why));
    TRY(probe_listen(sub, topic, 1, why));
    for (size_t k = 0; k < 8; k += 2)
        mqtt_put_user(&props, bytes_str(order[k]), bytes_str(order[k + 1]));
    enum code c = probe_publish(
        pub, &(struct letter_of){.topic = topic, .payload = "x", .qos = 1, .props = buf_bytes(&props)}, why);
    buf_clear(&props);
    TRY(c);
    TRY(probe_expect(sub, topic, "x", &m, why));
    for (; mqtt_user_prop(&m.p.props, &cursor, &name, &value); i += 2)
        if (i >= 8 || !bytes_is(name, order[i]) || !bytes_is(value, order[i + 1]))
            return FAIL(why, CODE_PROTOCOL, 0, "user properties came in another order, or others");
    if (i != 8)
        return FAIL(why, CODE_PROTOCOL, 0, "4 user properties were sent, %zu came", i / 2);
    (void)snprintf(r->said, sizeof r->said, "all, in their order, with repeats");
    return CODE_OK;
}

static enum code check_request_response(struct check_run *r, struct fault *why)
{
    struct probe *pub, *sub;
    struct message m;
    struct buf props = {0};
    char topic[96];
    probe_topic(r->world, "ask", topic);
    TRY(pub_and_sub(r, &(struct greeting){0}, &pub, &sub, why));
    TRY(probe_listen(sub, topic, 1, why));
    mqtt_put_bytes(&props, MQTT_PROP_RESPONSE_TOPIC, BYTES_LIT("answers"));
    mqtt_put_bytes(&props, MQTT_PROP_CORRELATION, BYTES_LIT("\x00\xff"));
    mqtt_put_bytes(&props, MQTT_PROP_CONTENT_TYPE, BYTES_LIT("text/plain"));
    mqtt_put_u8(&props, MQTT_PROP_PAYLOAD_FORMAT, 1);
    enum code c = probe_publish(
        pub, &(struct letter_of){.topic = topic, .payload = "x", .qos = 1, .props = buf_bytes(&props)}, why);
    buf_clear(&props);
    TRY(c);
    TRY(probe_expect(sub, topic, "x", &m, why));
    const struct mqtt_props *got = &m.p.props;
    if (!bytes_is(got->response_topic, "answers") || !bytes_equal(got->correlation, BYTES_LIT("\x00\xff")))
        return FAIL(why, CODE_PROTOCOL, 0,
                    "response topic or correlation data did not come as they were sent");
    if (!bytes_is(got->content_type, "text/plain") || got->payload_format != 1)
        return FAIL(why, CODE_PROTOCOL, 0, "content type or payload format did not come as they were sent");
    (void)snprintf(r->said, sizeof r->said, "response topic, correlation data, content type pass unchanged");
    return CODE_OK;
}

static enum code check_response_info(struct check_run *r, struct fault *why)
{
    static const uint8_t ask[] = {MQTT_PROP_REQUEST_RESPONSE, 1};
    struct probe *p;
    char said[80];
    TRY(probe_open(r->world, &(struct greeting){.props = bytes_of(ask, sizeof ask)}, &p, why));
    if (!p->ack.props.response_info.len)
        return FAIL(why, CODE_UNSUPPORTED, 0, "asked for, and not given; a broker need not");
    (void)snprintf(r->said, sizeof r->said, "the CONNACK gives %s",
                   bytes_escape(p->ack.props.response_info, said, sizeof said));
    return CODE_OK;
}

static enum code check_message_expiry(struct check_run *r, struct fault *why)
{
    struct probe *p, *pub;
    struct message m;
    struct buf one = {0}, hundred = {0};
    char topic[96];
    probe_topic(r->world, "late", topic);
    const struct greeting g = {.keep = true};
    TRY(probe_open(r->world, &g, &p, why));
    char id[48];
    memcpy(id, p->id, sizeof id);
    TRY(probe_listen(p, topic, 1, why));
    probe_leave(p, 0);
    mqtt_put_u32(&one, MQTT_PROP_MESSAGE_EXPIRY, 1);
    mqtt_put_u32(&hundred, MQTT_PROP_MESSAGE_EXPIRY, 100);
    enum code c = probe_open(r->world, &(struct greeting){0}, &pub, why);
    if (c == CODE_OK)
        c = probe_publish(
            pub, &(struct letter_of){.topic = topic, .payload = "short", .qos = 1, .props = buf_bytes(&one)},
            why);
    if (c == CODE_OK)
        c = probe_publish(
            pub,
            &(struct letter_of){.topic = topic, .payload = "long", .qos = 1, .props = buf_bytes(&hundred)},
            why);
    buf_clear(&one);
    buf_clear(&hundred);
    TRY(c);
    probe_pause(r->world, 2500);
    TRY(probe_open(r->world, &(struct greeting){.id = id, .keep = true}, &p, why));
    TRY(probe_expect(p, topic, "long", &m, why));
    uint32_t left = m.p.props.message_expiry_s;
    if (!mqtt_props_has(&m.p.props, MQTT_PROP_MESSAGE_EXPIRY) || left > 99 || left < 90)
        return FAIL(why, CODE_PROTOCOL, 0, "of 100 s, waited 2.5 s, the message says %u s are left", left);
    (void)snprintf(r->said, sizeof r->said, "the late one is dropped, the other says %u of 100 s are left",
                   left);
    return probe_silence(p, 200, "expired, and delivered", why);
}

/* ---- limits ---- */

static enum code check_max_packet(struct check_run *r, struct fault *why)
{
    static const uint8_t small[] = {MQTT_PROP_MAX_PACKET, 0, 0, 1, 0};
    static uint8_t body[1000];
    struct probe *pub, *sub;
    char topic[96];
    probe_topic(r->world, "max", topic);
    TRY(pub_and_sub(r, &(struct greeting){.props = bytes_of(small, sizeof small)}, &pub, &sub, why));
    TRY(probe_listen(sub, topic, 1, why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .body = bytes_of(body, sizeof body), .qos = 1},
                      why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "small", .qos = 1}, why));
    enum code c = probe_expect(sub, topic, "small", NULL, why);
    if (c == CODE_PROTOCOL)
        return FAIL(why, CODE_PROTOCOL, 0,
                    "a packet larger than the client's maximum of 256 bytes was sent to it");
    (void)snprintf(r->said, sizeof r->said,
                   "what is larger than the client takes is left out, the rest comes");
    return c;
}

static enum code check_receive_max(struct check_run *r, struct fault *why)
{
    static const uint8_t two[] = {MQTT_PROP_RECEIVE_MAX, 0, 2};
    struct probe *pub, *sub;
    struct message m;
    char topic[96];
    uint16_t ids[5];
    probe_topic(r->world, "window", topic);
    TRY(pub_and_sub(r, &(struct greeting){.props = bytes_of(two, sizeof two)}, &pub, &sub, why));
    TRY(probe_listen(sub, topic, 1, why));
    for (int i = 0; i < 5; i++)
        TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "x", .qos = 1}, why));
    for (int i = 0; i < 2; i++) {
        TRY(probe_message(sub, PROBE_MS, &m, why));
        ids[i] = m.p.packet_id;
    }
    TRY(probe_silence(sub, 400, "a third message although the client takes two at once", why));
    for (int i = 0; i < 5; i++) {
        if (i >= 2) {
            TRY(probe_message(sub, PROBE_MS, &m, why));
            ids[i] = m.p.packet_id;
        }
        mqtt_encode_ack(conn_out(sub->conn), MQTT_5, MQTT_PUBACK, ids[i], 0, BYTES_NONE);
    }
    (void)snprintf(r->said, sizeof r->said, "two at once, the next after a PUBACK");
    return CODE_OK;
}

/* ---- aliases ---- */

static enum code check_alias_in(struct check_run *r, struct fault *why)
{
    static const uint8_t alias[] = {MQTT_PROP_TOPIC_ALIAS, 0, 1};
    struct probe *pub, *sub;
    char topic[96];
    probe_topic(r->world, "alias", topic);
    TRY(pub_and_sub(r, &(struct greeting){0}, &pub, &sub, why));
    if (!pub->ack.props.topic_alias_max)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the CONNACK allows none");
    TRY(probe_listen(sub, topic, 1, why));
    for (int i = 0; i < 2; i++)
        TRY(probe_publish(
            pub,
            &(struct letter_of){
                .topic = i ? "" : topic, .payload = "x", .qos = 1, .props = bytes_of(alias, sizeof alias)},
            why));
    for (int i = 0; i < 2; i++)
        TRY(probe_expect(sub, topic, "x", NULL, why));
    (void)snprintf(r->said, sizeof r->said, "up to %u, resolved for subscribers",
                   pub->ack.props.topic_alias_max);
    return CODE_OK;
}

static enum code check_alias_out(struct check_run *r, struct fault *why)
{
    static const uint8_t allow[] = {MQTT_PROP_TOPIC_ALIAS_MAX, 0, 5};
    struct probe *pub, *sub;
    char topic[96];
    unsigned aliased = 0, empty = 0;
    probe_topic(r->world, "alias", topic);
    TRY(pub_and_sub(r, &(struct greeting){.props = bytes_of(allow, sizeof allow)}, &pub, &sub, why));
    TRY(probe_listen(sub, topic, 1, why));
    for (int i = 0; i < 4; i++) {
        struct message m;
        TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "x", .qos = 1}, why));
        TRY(probe_message(sub, PROBE_MS, &m, why));
        probe_ack(sub, &m);
        bool has = mqtt_props_has(&m.p.props, MQTT_PROP_TOPIC_ALIAS);
        if (has && m.p.props.topic_alias > 5)
            return FAIL(why, CODE_PROTOCOL, 0, "alias %u was used, the client allows 5",
                        m.p.props.topic_alias);
        if (!m.p.topic.len && !aliased)
            return FAIL(why, CODE_PROTOCOL, 0, "an alias was used before its topic was told");
        aliased += has;
        empty += m.p.topic.len == 0;
    }
    if (!empty)
        return FAIL(why, CODE_UNSUPPORTED, 0, "allowed by the client, and not used; a broker need not");
    (void)snprintf(r->said, sizeof r->said, "%u of 4 messages came without their topic", empty);
    return CODE_OK;
}

/* ---- CONNACK ---- */

static enum code check_assigned_id(struct check_run *r, struct fault *why)
{
    struct probe *p;
    char said[60];
    TRY(probe_open(r->world, &(struct greeting){.no_id = true}, &p, why));
    if (!p->ack.props.assigned_client_id.len)
        return FAIL(why, CODE_PROTOCOL, 0,
                    "a client without a name was taken in and not told which it has now");
    (void)snprintf(r->said, sizeof r->said, "%s",
                   bytes_escape(p->ack.props.assigned_client_id, said, sizeof said));
    return CODE_OK;
}

static enum code check_server_keep_alive(struct check_run *r, struct fault *why)
{
    struct probe *p;
    TRY(probe_open(r->world, &(struct greeting){.keep_alive_s = 65535}, &p, why));
    if (!mqtt_props_has(&p->ack.props, MQTT_PROP_SERVER_KEEP_ALIVE))
        return FAIL(why, CODE_UNSUPPORTED, 0,
                    "65,535 s were asked for and taken; a broker need not lower it");
    (void)snprintf(r->said, sizeof r->said, "65,535 s were asked for, the broker says %u s",
                   p->ack.props.server_keep_alive);
    return CODE_OK;
}

static enum code check_auth(struct check_run *r, struct fault *why)
{
    struct probe *p;
    struct buf props = {0};
    mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, BYTES_LIT("fieldgate-no-such-method"));
    enum code c = probe_open(r->world, &(struct greeting){.props = buf_bytes(&props)}, &p, why);
    buf_clear(&props);
    if (c == CODE_OK)
        return FAIL(why, CODE_PROTOCOL, 0, "a method that does not exist was accepted");
    if (c != CODE_REFUSED)
        return FAIL(why, CODE_PROTOCOL, 0, "an unknown method was not answered with a CONNACK");
    if (why->mqtt_reason != MQTT_BAD_AUTH_METHOD && why->mqtt_reason != MQTT_NOT_AUTHORIZED)
        return FAIL(why, CODE_PROTOCOL, 0, "an unknown method was refused with 0x%02X, not 0x8C",
                    why->mqtt_reason);
    (void)snprintf(r->said, sizeof r->said, "an unknown method is refused with 0x%02X", why->mqtt_reason);
    return CODE_OK;
}

const struct mqtt_check mqtt_checks_v5[] = {
    {"Version 5", "retain handling", check_handling},
    {"Version 5", "retain as published", check_as_published},
    {"Version 5", "no local", check_no_local},
    {"Version 5", "subscription identifiers", check_sub_ids},
    {"Version 5", "shared subscriptions", check_shared},
    {"Version 5", "user properties", check_user_props},
    {"Version 5", "request and response", check_request_response},
    {"Version 5", "response information", check_response_info},
    {"Version 5", "message expiry", check_message_expiry},
    {"Version 5", "maximum packet size", check_max_packet},
    {"Version 5", "receive maximum", check_receive_max},
    {"Version 5", "topic alias to the broker", check_alias_in},
    {"Version 5", "topic alias from the broker", check_alias_out},
    {"Version 5", "assigned client identifier", check_assigned_id},
    {"Version 5", "server keep alive", check_server_keep_alive},
    {"Version 5", "authentication method", check_auth},
    {0},
};
