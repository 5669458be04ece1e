// Rules of the standard, broken one at a time by changing one piece of the code: mutate.mjs applies each to a copy of the
// sources, builds it and wants the tests that claim the statement to fail.
//
//   [version and statement, test file (conformance-...; without a statement its whole name), source file, the text as it is (once in the file), the text that breaks the rule]

export const MUTATIONS = [
    // ---- bytes and texts ----
    ['5.0 1.5.4-1', 'malformed', 'src/base/bytes.c', 'c == 0xed ? 0x9f :', 'c == 0xed ? 0xbf :'],
    ['3.1.1 1.5.3-2', 'subscribe', 'src/mqtt/topic.c', 'if (s.nul || (s.high && !utf8_valid(name, false)))', 'if (s.high && !utf8_valid(name, false))'],
    ['5.0 1.5.5-1', 'malformed', 'src/mqtt/packet.c', 'if (c == 0 && n > 1)', 'if (false)'],
    ['5.0 2.1.3-1', 'malformed', 'src/mqtt/packet.c', 'return type != 0 && (first & 0x0f) == flags_of[type];', 'return type != 0 && ((first & 0x0f) == flags_of[type] || type == MQTT_PINGREQ);'],
    ['3.1.1 2.3.1-1', 'malformed', 'src/mqtt/packet_parts.c', 'if (id == 0)', 'if (false)'],
    ['5.0 3.3.1-2', 'malformed', 'src/mqtt/packet_publish.c', 'if (out->dup && out->qos == 0)', 'if (false)'],
    ['5.0 4.13.1-1', 'malformed', 'src/mqtt/packet_props.c', 'if (!r || !(r->packets >> packet & 1)) {', 'if (!r) {'],

    // ---- CONNECT ----
    ['3.1.1 3.1.0-2', 'connect', 'src/broker/client.c', 'if (c->state == CLIENT_LIVE)\n        handle_live', 'if (c->state == CLIENT_LIVE && type == MQTT_CONNECT)\n        return;\n    else if (c->state == CLIENT_LIVE)\n        handle_live'],
    ['3.1.1 3.1.2-3', 'connect', 'src/mqtt/packet_connect.c', 'if (flags & RESERVED)', 'if (false)'],
    ['5.0 3.1.2-4', 'connect', 'src/broker/client_claim.c', 'if (s && (ask->connect.clean_start || expired || foreign)) {', 'if (s && (expired || foreign)) {'],
    ['5.0 3.1.2-13', 'connect', 'src/mqtt/packet_connect.c', 'if (!out->has_will && (out->will_qos || out->will_retain))', 'if (!out->has_will && out->will_qos)'],
    ['3.1.1 3.1.2-22', 'connect', 'src/mqtt/packet_connect.c', 'if (out->version < MQTT_5 && out->has_password && !out->has_user)', 'if (false)'],
    ['3.1.1 3.1.3-8', 'connect', 'src/mqtt/packet_connect.c', '(out->version == MQTT_3_1_1 && out->clean_start)', 'out->version == MQTT_3_1_1'],
    ['5.0 3.1.3-7', 'connect', 'src/broker/client_connect.c', 'ask->assigned_id = ask->connect.version == MQTT_5;', 'ask->assigned_id = false;'],
    ['5.0 3.1.4-3', 'connect', 'src/broker/client_claim.c', 'client_end(old, MQTT_TAKEN_OVER, &why, true);', 'client_end(old, 0, &why, true);'],
    ['5.0 3.2.2-3', 'connect', 'src/broker/client_claim.c', '*present = !fresh;', '*present = false;'],
    ['5.0 3.2.2-19', 'limits', 'src/broker/client_connect.c', '(!most || strlen(because) + 10 <= most)', 'true'],
    ['5.0 3.1.2-22', 'connect', 'src/broker/client.c', '(int64_t)c->keep_alive_s * 1500000)', '(int64_t)c->keep_alive_s * 15000000)'],
    ['3.1.1 3.12.4-1', 'connect', 'src/broker/client.c', 'mqtt_encode_empty(conn_out(c->conn), MQTT_PINGRESP);', ''],

    // ---- sessions and wills ----
    ['5.0 4.1.0-2', 'session', 'src/broker/session.c', 's->expires_us = now + (int64_t)s->expiry_s * 1000000;', 's->expires_us = now + (int64_t)s->expiry_s * 100000000;'],
    ['5.0 3.1.2-8', 'session', 'src/broker/session.c', '} else if (w && w->delay_s && !session_ends) {', '} else if (w && w->delay_s && (!session_ends || w->delay_s > 1)) {'],
    ['5.0 3.1.3-9', 'session', 'src/broker/client_claim.c', 'if (resumed) {', 'if (resumed && !w->delay_s) {'],
    ['3.1.1 3.1.2-17', 'session', 'src/broker/client_claim.c', '.retain = ask->will_retain,', '.retain = false,'],
    ['3.1.1 3.14.4-3', 'session', 'src/broker/client_disconnect.c', 'client_end(c, 0, NULL, d.reason != 0);', 'client_end(c, 0, NULL, true);'],

    // ---- PUBLISH ----
    ['3.1.1 3.3.1-1', 'publish', 'src/broker/deliver.c', 'p->pid, p->dup, retain);', 'p->pid, false, retain);'],
    ['5.0 3.3.1-7', 'publish', 'src/broker/fold.c', 'if (m->payload.len == 0) {', 'if (false) {'],
    ['3.1.1 3.3.1-12', 'publish', 'src/broker/fold.c', 'if (!m->retain || p->again)', 'if (p->again)'],
    ['5.0 3.3.2-6', 'publish', 'src/broker/deliver.c', 'int64_t left = m->expires_us - now,', 'int64_t left = m->expires_us - now + 3000000,'],
    ['5.0 3.3.2-14', 'malformed', 'src/mqtt/packet_props.c', " && !memchr(t.at, '#', t.len);", ';'],
    ['5.0 3.3.2-15', 'publish', 'src/mqtt/packet_props.c', 'BIT(MQTT_PROP_RESPONSE_TOPIC) | ', ''],
    ['5.0 3.3.2-17', 'publish', 'src/mqtt/packet_props.c', ' |\n                                    BIT(MQTT_PROP_USER);', ';'],
    ['5.0 3.3.4-6', 'malformed', 'src/broker/client_publish.c', 'if (mqtt_props_has(&p->props, MQTT_PROP_SUB_ID)) {', 'if (false) {'],
    ['5.0 3.4.2-1', 'malformed', 'src/mqtt/packet_names.c', '{ 0x92, RELEASED,', '{ 0x92, RELEASED | TAKEN,'],
    ['5.0 4.3.3-6', 'publish', 'src/broker/deliver.c', 'if (p->state == ENTRY_RECEIVED) {', 'if (false) {'],
    ['5.0 4.3.3-10', 'publish', 'src/broker/client_publish.c', 'op.duplicate = p.qos == 2 && pidset_has(&c->in_pids, p.packet_id);', 'op.duplicate = false;'],
    ['5.0 4.4.0-2', 'publish', 'src/broker/client_publish.c', 'op.kind = OP_PUBREC_REFUSED;', 'op.kind = OP_PUBREC;'],
    ['3.1.1 4.6.0-2', 'publish', 'src/broker/acks.c', 'if (c->pending == 0 && (seq == 0', 'if ((seq == 0'],

    // ---- SUBSCRIBE, UNSUBSCRIBE, topics ----
    ['5.0 3.3.1-10', 'subscribe', 'src/broker/client_subscribe.c', '(f->retain_handling == 1 && !asked->existed)', 'f->retain_handling == 1'],
    ['5.0 3.3.1-11', 'subscribe', 'src/broker/client_subscribe.c', '(f->retain_handling == 0 ||', '(f->retain_handling != 1 ||'],
    ['5.0 3.3.1-12', 'subscribe', 'src/broker/route.c', 'continue;\n        bool retain = t->retain_as_published && m->retain;', 'continue;\n        bool retain = m->retain;'],
    ['5.0 3.3.4-2', 'subscribe', 'src/broker/route.c', 't.qos = one->qos > t.qos ? one->qos : t.qos;', 't.qos = one->qos && (!t.qos || one->qos < t.qos) ? one->qos : t.qos;'],
    ['5.0 3.3.4-4', 'subscribe', 'src/broker/route.c', 'if (m[i].id)', 'if (m[i].id && i == 0)'],
    ['3.1.1 3.8.3-4', 'subscribe', 'src/mqtt/packet_subscribe.c', 'if (options > 2)', 'if ((options & 3) > 2)'],
    ['5.0 3.8.3-3', 'subscribe', 'src/broker/route.c', '.no_local = sub->no_local,', '.no_local = false,'],
    ['5.0 3.8.4-8', 'subscribe', 'src/broker/route.c', 'uint8_t qos = t->qos < m->qos ? t->qos : m->qos;', 'uint8_t qos = t->qos < m->qos ? t->qos : t->qos;'],
    ['3.1.1 3.9.3-2', 'subscribe', 'src/mqtt/packet_encode.c', 'version < MQTT_5 && reasons[i] >= 0x80 ? 0x80 : reasons[i]', 'reasons[i]'],
    ['3.1.1 2.3.1-7', 'subscribe', 'src/broker/client_subscribe.c', 'mqtt_encode_suback(&blob, c->version, MQTT_SUBACK, p->packet_id,', 'mqtt_encode_suback(&blob, c->version, MQTT_SUBACK, 1,'],
    ['3.1.1 3.10.4-2', 'subscribe', 'src/broker/client_subscribe.c', 'if (tree_remove(&b->tree, f->filter, s) && topic_filter_shared(f->filter)) {', 'if (topic_filter_shared(f->filter)) {'],
    ['5.0 3.11.3-2', 'subscribe', 'src/broker/client_subscribe.c', 'session_filter(s, f->filter) ? 0 : MQTT_NO_SUBSCRIPTION_EXISTED;', '0;'],
    ['3.1.1 4.7.1-3', 'subscribe', 'src/mqtt/topic.c', "if (i > 0 && filter.at[i - 1] != '/')", 'if (false)'],
    ['5.0 4.7.2-1', 'subscribe', 'src/broker/tree.c', "bool hidden = first && w->topic.len && w->topic.at[0] == '$';", 'bool hidden = false && first;'],

    // ---- limits ----
    ['5.0 3.1.2-24', 'limits', 'src/broker/deliver.c', 'if (size == 0 || size > c->max_packet)', 'if (size == 0)'],
    ['5.0 3.1.2-25', 'limits', 'src/broker/deliver.c', 'count_unsent(shard, what);\n        drop_entry(shard, c, p->pid);', 'count_unsent(shard, what);'],
    ['5.0 3.14.2-3', 'limits', 'src/broker/client.c', 'bool fits = !c->max_packet || buf_size(&props) + 8 <= c->max_packet;', 'bool fits = true;'],
    ['5.0 3.3.4-9', 'limits', 'src/broker/deliver.c', 'if (c->inflight_out >= c->window || !takes_more(c))', 'if (c->inflight_out > c->window || !takes_more(c))'],
    ['5.0 3.3.4-7', 'limits', 'src/broker/client_publish.c', 'c->inflight_in >= most)', 'c->inflight_in > most)'],
    ['3.1.1 4.8.0-2', 'limits', 'src/broker/client.c', 'if ((c->paused & PAUSE_WITHHELD) && now', 'if (false && now'],

    // ---- aliases, shared subscriptions, AUTH, WebSocket ----
    ['5.0 3.1.2-27', 'alias', 'src/broker/client_connack.c', 'c->alias_max = five ? ask->props.topic_alias_max : 0;', 'c->alias_max = five ? 5 : 0;'],
    ['5.0 4.8.2-2', 'shared', 'src/mqtt/topic.c', 'if (share.len == 0 || inner.len == 0 || scan(share).wild)', 'if (share.len == 0 || inner.len == 0)'],
    ['5.0 4.12.0-5', 'auth', 'src/broker/client_connack.c', 'mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, ask->connect.props.auth_method);', ''],
    ['5.0 4.12.1-1', 'auth', 'src/broker/client_auth.c', 'if (!bytes_is(p.props.auth_method, SCRAM_SHA_256)) {', 'if (false) {'],
    ['5.0 6.0.0-1', 'websocket', 'src/net/websocket.c', 'if (h.opcode == WS_TEXT)', 'if (false)'],

    // ---- what the hostile conversations look at ----
    // (no statement: any test of the file)
    ['will', 'hostile-sequences', 'src/broker/client.c', 'client_end(c, reason, why, true);', 'client_end(c, reason, why, false);'],
    ['reason', 'hostile-sequences', 'src/broker/client.c', 'uint8_t reason = why->mqtt_reason ? why->mqtt_reason : MQTT_MALFORMED;', 'uint8_t reason = why->mqtt_reason == MQTT_PROTOCOL_ERROR ? MQTT_UNSPECIFIED : MQTT_MALFORMED;'],
];
