// Sessions that outlive their connections: across reconnect, an orderly stop and kill -9, with the clients people have.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { mosquittoPub, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { MOSQUITTO, ours, sharedPeer, startPeer, unique } from './lib/peer.mjs';
import { sleep } from './lib/wait.mjs';

const shared = sharedPeer();
const texts = (messages) => messages.map((m) => m.text);
const numbers = (from, to) => Array.from({ length: to - from }, (_, i) => `${from + i}`);
const BEYOND = 'it sends more than the receive maximum of its own client';
const FOREVER = 0xffffffff;

/** A session that mosquitto_sub keeps with -c. */
const session = (port, id, qos, version, topics, more = []) =>
    mosquittoSub({ port, id, qos, version, topics, args: ['-c', ...more] });

// ---- the queue of a session that is away ----

for (const version of [3, 4, 5])
    for (const qos of [1, 2])
        test(`what came while a session was away is delivered in order, version ${version}, QoS ${qos}`, version === 5 && qos === 2 ? ours(BEYOND) : {}, async () => {
            const topic = unique('away');
            const id = unique('s').slice(0, 23);
            await (await session(shared.port, id, qos, version, topic)).stop();
            await mosquittoPub({ port: shared.port, topic, lines: numbers(0, 500), qos: 2 });
            await mosquittoPub({ port: shared.port, topic, message: 'not kept', qos: 0 });
            const sub = await session(shared.port, id, qos, version, topic);
            await mosquittoPub({ port: shared.port, topic, message: 'live', qos: 2 });
            await sub.take(501);
            await sleep(100);
            const got = sub.messages.filter((m) => m.text !== 'not kept'); // QoS 0 may be queued: 3.1.2.5
            assert.deepEqual(texts(got), [...numbers(0, 500), 'live']);
            assert.ok(got.every((m) => m.qos === qos));
            await sub.stop();
        });

for (const how of ['stop', 'kill -9'])
    for (const version of [4, 5])
        test(`sessions, their queues and retained messages are there after ${how} and start, version ${version}`,
            how === 'kill -9' ? ours('it keeps nothing across kill -9') : version === 5 ? ours(BEYOND) : {},
            async (t) => {
                const node = await startPeer({ t });
                const topics = ['factory/+/telemetry', 'factory/state/#'];
                for (const qos of [1, 2]) await (await session(node.mqttPort, `s${qos}`, qos, version, topics)).stop();
                await mosquittoPub({ port: node.mqttPort, topic: 'factory/press-1/telemetry', lines: numbers(0, 1000), qos: 1 });
                await mosquittoPub({ port: node.mqttPort, topic: 'factory/press-1/telemetry', lines: numbers(1000, 2000), qos: 2 });
                await mosquittoPub({ port: node.mqttPort, topic: 'factory/state/press-1', message: 'running', retain: true, version });
                await node.restart({ kill9: how === 'kill -9' });
                for (const qos of [1, 2]) {
                    const sub = await session(node.mqttPort, `s${qos}`, qos, version, 'other/topic');
                    // Messages published at QoS 1 are in order, and those published at QoS 2 are.
                    const got = texts(await sub.take(2001, 20_000)).filter((text) => text !== 'running').map(Number);
                    for (const half of [0, 1])
                        assert.deepEqual(got.filter((n) => Math.floor(n / 1000) === half), numbers(half * 1000, half * 1000 + 1000).map(Number));
                    await sub.stop();
                }
                // The subscriptions are there, too: new messages come without asking anew.
                for (const qos of [1, 2]) {
                    const sub = await session(node.mqttPort, `s${qos}`, qos, version, 'other/topic');
                    await mosquittoPub({ port: node.mqttPort, topic: `factory/press-${qos}/telemetry`, message: 'live' });
                    assert.ok((await sub.take(qos)).every((m) => m.text === 'live'));
                    await sub.stop();
                }
                const late = await mosquittoSub({ port: node.mqttPort, topics: 'factory/state/+', version });
                assert.deepEqual(texts(await late.take(1)), ['running']);
                await late.stop();
                // And nothing comes twice.
                const again = await session(node.mqttPort, 's2', 2, version, 'other/topic');
                await sleep(200);
                assert.deepEqual(again.messages, []);
                await again.stop();
            });

test('three restarts, orderly and not, do not multiply a session nor what it is owed', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    await (await session(node.mqttPort, 's', 2, 5, 'a/#')).stop();
    for (const [round, kill9] of [false, true, true].entries()) {
        await mosquittoPub({ port: node.mqttPort, topic: 'a/b', lines: numbers(round * 10, round * 10 + 10), qos: 2 });
        await node.restart({ kill9 });
    }
    const sub = await session(node.mqttPort, 's', 2, 5, 'a/#');
    await sub.take(30);
    await sleep(200);
    assert.deepEqual(texts(sub.messages), numbers(0, 30));
    await sub.stop();
});

test('what a session has acknowledged before kill -9 does not come again at QoS 2', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    const first = await session(node.mqttPort, 's', 2, 5, 'a/#');
    await mosquittoPub({ port: node.mqttPort, topic: 'a/b', lines: numbers(0, 200), qos: 2 });
    await first.take(200);
    await first.stop(); // its last PUBCOMP was sent before its DISCONNECT
    await mosquittoPub({ port: node.mqttPort, topic: 'a/b', lines: numbers(200, 210), qos: 2 });
    await node.restart({ kill9: true });
    const second = await session(node.mqttPort, 's', 2, 5, 'a/#');
    await second.take(10);
    await sleep(200);
    assert.deepEqual(texts(second.messages), numbers(200, 210));
    await second.stop();
});

test('a removed subscription stays removed across kill -9', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    const client = await mqttConnect({ port: node.mqttPort, clientId: 's', clean: false, properties: { sessionExpiryInterval: 600 } });
    await client.subscribeAsync(['keep/#', 'drop/#'], { qos: 1 });
    await client.unsubscribeAsync('drop/#');
    await node.kill9();
    client.end(true);
    await node.start();
    await mosquittoPub({ port: node.mqttPort, topic: 'drop/a', message: 'no' });
    await mosquittoPub({ port: node.mqttPort, topic: 'keep/a', message: 'yes' });
    const again = await mqttConnect({ t, port: node.mqttPort, clientId: 's', clean: false, properties: { sessionExpiryInterval: 600 } });
    assert.equal(again.connack.sessionPresent, true);
    assert.deepEqual(texts(await again.take(1)), ['yes']);
});

// ---- session present, in both directions ----

const join = (t, clientId, { clean = false, expiry, version = 5, port = shared.port, ...rest } = {}) =>
    mqttConnect({
        t, port, clientId, clean, protocolVersion: version,
        ...(version === 5 ? { properties: { ...(expiry === undefined ? {} : { sessionExpiryInterval: expiry }) } } : {}),
        ...rest,
    });

test('session present says whether there is one', async (t) => {
    const id = unique('p');
    const present = async (options) => {
        const client = await join(t, id, options);
        const { sessionPresent } = client.connack;
        await client.endAsync();
        return sessionPresent;
    };
    assert.equal(await present({ expiry: 600 }), false, 'the first time');
    assert.equal(await present({ expiry: 600 }), true, 'it was kept');
    assert.equal(await present({ expiry: 600, clean: true }), false, 'clean start');
    assert.equal(await present({ expiry: 600 }), true, 'kept since the clean start');
    assert.equal(await present({ version: 4 }), true, '3.1.1 with clean session 0 takes it up');
    assert.equal(await present({ expiry: 0 }), true, 'version 5 takes up that of 3.1.1');
    assert.equal(await present({ expiry: 600 }), false, 'it ended with the connection: expiry 0');
    assert.equal(await present({ version: 4, clean: true }), false, '3.1.1 with clean session 1');
    assert.equal(await present({ version: 4 }), false, 'that left nothing');
    assert.equal(await present({ version: 4, clean: true }), false);
});

test('without an expiry interval a version 5 session ends with its connection', async (t) => {
    const id = unique('p');
    await (await join(t, id, {})).endAsync();
    assert.equal((await join(t, id, {})).connack.sessionPresent, false);
});

test('a clean start throws away subscriptions and queue', async (t) => {
    const id = unique('p');
    const topic = unique('clean');
    const first = await join(t, id, { expiry: 600 });
    await first.subscribeAsync(topic, { qos: 1 });
    await first.endAsync();
    await mosquittoPub({ port: shared.port, topic, message: 'queued' });
    const second = await join(t, id, { expiry: 600, clean: true });
    await mosquittoPub({ port: shared.port, topic, message: 'later' });
    await sleep(200);
    assert.deepEqual(second.messages, []);
});

test('a session expires after its interval, not before', async (t) => {
    const id = unique('x');
    const topic = unique('expire');
    const first = await join(t, id, { expiry: 2 });
    await first.subscribeAsync(topic, { qos: 1 });
    await first.endAsync();
    await sleep(700);
    const second = await join(t, id, { expiry: 1 });
    assert.equal(second.connack.sessionPresent, true);
    await sleep(1500); // connected: the interval does not run
    await mosquittoPub({ port: shared.port, topic, message: 'alive' });
    assert.deepEqual(texts(await second.take(1)), ['alive']);
    await second.endAsync();
    await sleep(MOSQUITTO ? 4000 : 2500);
    const third = await join(t, id, { expiry: 0 });
    assert.equal(third.connack.sessionPresent, false);
    await mosquittoPub({ port: shared.port, topic, message: 'nobody' });
    await sleep(100);
    assert.deepEqual(third.messages, []);
});

test('DISCONNECT may shorten the expiry interval', async (t) => {
    const id = unique('x');
    const client = await join(t, id, { expiry: 600 });
    await client.endAsync(false, { reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
    assert.equal((await join(t, id, { expiry: 600 })).connack.sessionPresent, false);
});

test('an expiry interval runs on while the node is down', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    for (const [id, expiry] of [['short', 2], ['long', 600], ['never', FOREVER]]) {
        const client = await join(t, id, { port: node.mqttPort, expiry });
        await client.subscribeAsync('a', { qos: 1 });
        if (id !== 'long') await client.endAsync(); // the other one is connected when the node dies
    }
    await sleep(200); // a DISCONNECT is not acknowledged: give it time to reach the disk
    await node.kill9();
    await sleep(2500);
    await node.start();
    assert.equal((await join(t, 'short', { port: node.mqttPort })).connack.sessionPresent, false);
    assert.equal((await join(t, 'long', { port: node.mqttPort })).connack.sessionPresent, true);
    assert.equal((await join(t, 'never', { port: node.mqttPort })).connack.sessionPresent, true);
});

test('a session that ends with its connection is gone after kill -9', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    const client = await join(t, 'brief', { port: node.mqttPort, expiry: 0 });
    await client.subscribeAsync('a', { qos: 1 });
    const old = await join(t, 'old', { port: node.mqttPort, version: 4, clean: true });
    await old.subscribeAsync('a', { qos: 1 });
    await node.restart({ kill9: true });
    assert.equal((await join(t, 'brief', { port: node.mqttPort, expiry: 600 })).connack.sessionPresent, false);
    assert.equal((await join(t, 'old', { port: node.mqttPort, version: 4 })).connack.sessionPresent, false);
});

test('the CONNACK says when the node allows less than was asked for', ours('it has no such limit set'), async (t) => {
    const node = await startPeer({ t, settings: { limits: { 'session-expiry': '60s', 'keep-alive': '30s' } } });
    const more = await join(t, 'more', { port: node.mqttPort, expiry: 3600, keepalive: 600 });
    assert.equal(more.connack.properties.sessionExpiryInterval, 60);
    assert.equal(more.connack.properties.serverKeepAlive, 30);
    const less = await join(t, 'less', { port: node.mqttPort, expiry: 30, keepalive: 20 });
    assert.ok([undefined, 30].includes(less.connack.properties.sessionExpiryInterval));
    assert.equal(less.connack.properties.serverKeepAlive, undefined);
    const none = await join(t, 'none', { port: node.mqttPort, expiry: 30, keepalive: 0 });
    assert.equal(none.connack.properties.serverKeepAlive, 30, 'no keep-alive means the longest');
});
