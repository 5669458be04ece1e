/* client_disconnect.c - DISCONNECT from a client. */
#include "broker/private.h"

#include "base/log.h"

void handle_disconnect(struct client *c, struct bytes body)
{
    struct mqtt_disconnect d;
    struct fault why;
    if (mqtt_decode_disconnect(c->version, body, &rules_of(c->shard->broker)->mqtt, &d, &why) != CODE_OK) {
        client_end(c, why.mqtt_reason ? why.mqtt_reason : MQTT_MALFORMED, &why, true);
        return;
    }
    struct session *s = c->session;
    bool changes = c->version == MQTT_5 && mqtt_props_has(&d.props, MQTT_PROP_SESSION_EXPIRY);
    if (changes && d.props.session_expiry_s && s->expiry_s == 0) {
        /* 3.14.2.2.2: zero at CONNECT stays zero. */
        (void)FAIL(&why, CODE_PROTOCOL, 0, "DISCONNECT sets a session expiry, CONNECT had none");
        client_end(c, MQTT_PROTOCOL_ERROR, &why, true);
        return;
    }
    if (changes && s->durable) {
        uint32_t limit = limits_of(c->shard->broker)->session_expiry_s;
        uint32_t expiry = d.props.session_expiry_s > limit ? limit : d.props.session_expiry_s;
        shard_commit(c->shard);
        journal_lock(c->shard->broker->journal);
        if (fold_connect(c->shard->broker, s, expiry, NULL, &why) != CODE_OK)
            log_warn("broker", "FG2034 a new session expiry could not be recorded: %s", why.text);
        journal_unlock(c->shard->broker->journal);
    }
    client_end(c, 0, NULL, d.reason != 0);
}
