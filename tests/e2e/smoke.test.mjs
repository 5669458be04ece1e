// The thin path: a node starts, real clients talk through it, and it stops well.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mosquittoPub, mosquittoReceive, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { startNode } from './lib/node.mjs';

for (const version of [4, 5]) {
    for (const qos of [0, 1, 2]) {
        test(`mosquitto_pub reaches mosquitto_sub, version ${version}, QoS ${qos}`, async (t) => {
            const node = await startNode({ t });
            const sub = await mosquittoSub({ port: node.mqttPort, version, qos, topics: 'factory/#' });
            t.after(() => sub.stop());
            const lines = Array.from({ length: 50 }, (_, i) => `reading ${i}`);
            await mosquittoPub({ port: node.mqttPort, version, qos, topic: 'factory/line1/press-1', lines });
            const got = await sub.take(lines.length);
            assert.deepEqual(got.map((m) => m.text), lines);
            assert.ok(got.every((m) => m.topic === 'factory/line1/press-1' && m.qos === qos && !m.retain));
        });
    }
}

test('a body of any bytes arrives unchanged', async (t) => {
    const node = await startNode({ t });
    const subscriber = await mqttConnect({ t, node });
    const publisher = await mqttConnect({ t, node });
    const body = Buffer.from(Array.from({ length: 1024 }, (_, i) => i & 0xff));
    await subscriber.subscribeAsync('raw/+', { qos: 1 });
    await publisher.publishAsync('raw/bytes', body, { qos: 1 });
    const [message] = await subscriber.take(1);
    assert.deepEqual(message.payload, body);
});

test('a round trip of MQTT.js keeps order, properties and QoS', async (t) => {
    const node = await startNode({ t });
    const client = await mqttConnect({ t, node, clientId: 'press-1' });
    assert.equal(client.connack.sessionPresent, false);
    await client.subscribeAsync('factory/+/press-1', { qos: 2 });
    const properties = {
        contentType: 'application/json',
        responseTopic: 'factory/answers',
        correlationData: Buffer.from([0, 1, 254, 255]),
        userProperties: { unit: 'celsius', line: ['1', '2'] },
        payloadFormatIndicator: true,
    };
    for (let i = 0; i < 30; i++)
        await client.publishAsync('factory/line1/press-1', `{"n":${i}}`, { qos: i % 3, properties });
    const got = await client.take(30);
    // Order is promised per QoS.
    for (const qos of [0, 1, 2])
        assert.deepEqual(
            got.filter((m) => m.qos === qos).map((m) => m.text),
            Array.from({ length: 10 }, (_, i) => `{"n":${i * 3 + qos}}`),
        );
    for (const { properties: seen } of got) {
        assert.equal(seen.contentType, properties.contentType);
        assert.equal(seen.responseTopic, properties.responseTopic);
        assert.deepEqual(Buffer.from(seen.correlationData), properties.correlationData);
        assert.deepEqual({ ...seen.userProperties }, properties.userProperties);
        assert.equal(seen.payloadFormatIndicator, true);
    }
});

test('a retained message greets whoever comes later', async (t) => {
    const node = await startNode({ t });
    await mosquittoPub({ port: node.mqttPort, topic: 'state/press-1', message: 'running', retain: true });
    const [message] = await mosquittoReceive({ port: node.mqttPort, topics: 'state/#', count: 1 });
    assert.equal(message.text, 'running');
    assert.equal(message.retain, true);
});

test('a node that was stopped starts again on its data', async (t) => {
    const node = await startNode({ t });
    await mosquittoPub({ port: node.mqttPort, topic: 'state/press-1', message: 'kept', retain: true });
    await node.restart();
    assert.equal((await mosquittoReceive({ port: node.mqttPort, topics: 'state/#', count: 1 }))[0].text, 'kept');
    await node.restart({ kill9: true });
    assert.equal((await mosquittoReceive({ port: node.mqttPort, topics: 'state/#', count: 1 }))[0].text, 'kept');
});

test('health and metrics answer over HTTP', async (t) => {
    const node = await startNode({ t });
    assert.equal((await node.get('/health')).status, 200);
    const metrics = await node.get('/metrics');
    assert.equal(metrics.status, 200);
    assert.match(metrics.text, /^fieldgate_[a-z_]+/m);
});
