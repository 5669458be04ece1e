/* client_connack.c - what holds for a connection from its CONNACK on, and the CONNACK that says so. */
#include "broker/client_connect.h"

#include "base/limits_use.h"
#include "mqtt/topic.h"

/* Where this client's answers may be published to (3.2.2.3.15), if the settings say where and it asks. */
static void put_response_information(const struct client *c, struct buf *props)
{
    const struct broker_config *config = &c->shard->broker->config;
    const struct mqtt_connect *ask = &c->ask->connect;
    struct buf text = { 0 };
    if (!config->response_topics || !*config->response_topics || !ask->props.request_response)
        return;
    buf_printf(&text, "%s/%.*s", config->response_topics, BYTES_FMT(ask->client_id));
    /* An identifier with a wildcard in it makes no topic. */
    if (!text.bad && topic_name_valid(buf_bytes(&text), limits_of(c->shard->broker)->topic_bytes,
                                      limits_of(c->shard->broker)->topic_levels))
        mqtt_put_bytes(props, MQTT_PROP_RESPONSE_INFO, buf_bytes(&text));
    buf_clear(&text);
}

void connack_send(struct client *c, bool present, uint64_t seq)
{
    struct connect_ask *ask = c->ask;
    struct buf props = { 0 }, blob = { 0 };
    if (c->version == MQTT_5) {
        if (ask->expiry_capped)
            mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, ask->expiry_s);
        if (c->receive_max < 65535)
            mqtt_put_u16(&props, MQTT_PROP_RECEIVE_MAX, (uint16_t)c->receive_max);
        mqtt_put_u32(&props, MQTT_PROP_MAX_PACKET, c->packet_bytes);
        if (ask->assigned_id)
            mqtt_put_bytes(&props, MQTT_PROP_ASSIGNED_CLIENT_ID, ask->connect.client_id);
        put_response_information(c, &props);
        if (c->alias_in_max)
            mqtt_put_u16(&props, MQTT_PROP_TOPIC_ALIAS_MAX, c->alias_in_max);
        if (c->keep_alive_s != ask->connect.keep_alive_s)
            mqtt_put_u16(&props, MQTT_PROP_SERVER_KEEP_ALIVE, c->keep_alive_s);
    }
    if (c->enhanced) { /* [MQTT-4.12.0-5] */
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, ask->connect.props.auth_method);
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, buf_bytes(&ask->auth_data));
    }
    mqtt_encode_connack(&blob, c->version, present, 0, buf_bytes(&props));
    buf_clear(&props);
    connect_ask_free(c->ask);
    c->ask = NULL;
    if (c->max_packet && buf_size(&blob) > c->max_packet) { /* [MQTT-3.1.2-24]: what we must say does not fit */
        struct fault why;
        (void)FAIL(&why, CODE_LIMIT, 0, "it takes packets of %u bytes, CONNACK has %zu", c->max_packet, buf_size(&blob));
        buf_clear(&blob);
        client_end(c, 0, &why, true);
        return;
    }
    client_pause(c, PAUSE_CONNACK);
    shard_ack(c->shard, c, seq, MQTT_CONNACK, 0, 0, buf_bytes(&blob));
    buf_clear(&blob);
}

void connack_settle(struct client *c)
{
    const struct mqtt_connect *ask = &c->ask->connect;
    const struct limits *limits = limits_of(c->shard->broker);
    bool five = ask->version == MQTT_5;
    c->window = five && mqtt_props_has(&ask->props, MQTT_PROP_RECEIVE_MAX) ? ask->props.receive_max : 65535;
    c->max_packet = five ? ask->props.max_packet : 0;
    c->alias_max = five ? ask->props.topic_alias_max : 0;
    c->request_problem = !five || ask->props.request_problem;
    c->keep_alive_s = ask->keep_alive_s;
    uint32_t longest = limits->keep_alive_s > 65535 ? 65535 : limits->keep_alive_s;
    /* L-KEEP: told in CONNACK. 3.x cannot be told: only a client that announced no life sign at all is looked after. */
    if (c->keep_alive_s == 0 || (five && c->keep_alive_s > longest))
        c->keep_alive_s = (uint16_t)longest;
    limits_saw(LIMIT_KEEP_ALIVE, c->keep_alive_s);
    if (five && ask->keep_alive_s > longest)
        limits_refused(LIMIT_KEEP_ALIVE);
    client_known(c, CLIENT_ACCEPTED);
    client_arm(c);
}
