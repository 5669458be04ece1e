// MQTT.js, unchanged, with the waiting that tests need.

import mqtt from 'mqtt';
import { until, within } from './wait.mjs';

/**
 * Connects and resolves after CONNACK.
 *
 *   node or port   where, or an url; protocolVersion 4 or 5 (default), clientId, clean, properties, will, ...: MQTT.js's own
 *   onClient       sees the client before anything has come
 *   t              the test's context: the connection is cut after the test
 *
 * The client has, beside its own: connack, messages (so far, in order), take(n), disconnects (v5 reason codes received).
 * It does not reconnect unless reconnectPeriod says so: a lost connection must be seen by the test that lost it.
 */
export async function mqttConnect({ t, url, node, port = node?.mqttPort, timeoutMs = 10_000, onClient, ...options }) {
    const client = mqtt.connect(url ?? '', {
        ...(url ? {} : { host: '127.0.0.1', port, protocol: 'mqtt' }),
        protocolVersion: 5,
        reconnectPeriod: 0,
        connectTimeout: timeoutMs,
        resubscribe: false,
        ...options,
    });
    onClient?.(client);
    client.messages = [];
    client.disconnects = [];
    client.on('message', (topic, payload, packet) =>
        client.messages.push({
            topic,
            payload: Buffer.from(payload),
            text: payload.toString(),
            qos: packet.qos,
            retain: packet.retain,
            dup: packet.dup,
            properties: packet.properties ?? {},
        }));
    client.on('disconnect', (packet) => client.disconnects.push(packet.reasonCode));
    client.on('error', (error) => (client.lastError = error));
    t?.after(() => client.end(true));
    client.take = async (n, ms = timeoutMs) => {
        try {
            await until(() => client.messages.length >= n, '', ms);
        } catch {
            throw new Error(`MQTT.js: ${client.messages.length} of ${n} messages within ${ms} ms`);
        }
        return client.messages.slice(0, n);
    };
    /** Resolves when the connection is gone, whoever ended it. */
    client.gone = (ms = timeoutMs) => until(() => !client.connected, 'MQTT.js: the connection is closed', ms);
    const connected = new Promise((resolve, reject) => {
        client.once('connect', (connack) => resolve((client.connack = connack)));
        client.once('error', reject);
        client.once('close', () => reject(client.lastError ?? new Error('closed before CONNACK')));
    });
    try {
        await within(connected, 'MQTT.js gets its CONNACK', timeoutMs);
    } catch (error) {
        client.end(true);
        throw error;
    }
    return client;
}

/** The error of a CONNECT that must be refused; `code` is its reason code. */
export async function mqttRefused(options) {
    let client;
    try {
        client = await mqttConnect(options);
    } catch (error) {
        return error;
    }
    client.end(true);
    throw new Error('the node accepted a connection that it should have refused');
}
