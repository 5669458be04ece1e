// MQTT.js 5: the options of version 5 subscriptions, wills, limits, what the node says of itself in CONNACK.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { MOSQUITTO, ours, sharedPeer, startPeer, unique } from './lib/peer.mjs';
import { sleep, until } from './lib/wait.mjs';

const shared = sharedPeer();
const join = (t, options = {}) => mqttConnect({ t, port: shared.port, ...options });
const texts = (messages) => messages.map((m) => m.text);
const cut = (client) => client.stream.destroy();
const settle = () => sleep(150);

// ---- CONNACK ----

test('a client without an identifier gets one', async (t) => {
    const [a, b] = [await join(t, { clientId: '' }), await join(t, { clientId: '' })];
    const ids = [a, b].map((c) => c.connack.properties.assignedClientIdentifier);
    assert.ok(ids.every((id) => id?.length > 0), JSON.stringify(ids));
    assert.notEqual(ids[0], ids[1]);
    const topic = unique();
    await a.subscribeAsync(topic, { qos: 1 });
    await b.publishAsync(topic, 'x', { qos: 1 });
    await a.take(1);
    const named = await join(t, { clientId: unique('own') });
    assert.equal(named.connack.properties?.assignedClientIdentifier, undefined);
});

test('an assigned identifier can be used to take the session up again', async (t) => {
    const first = await join(t, { clientId: '', clean: true, properties: { sessionExpiryInterval: 600 } });
    const clientId = first.connack.properties.assignedClientIdentifier;
    await first.endAsync();
    assert.equal((await join(t, { clientId, clean: false })).connack.sessionPresent, true);
});

test('CONNACK says what is not offered, and its limits', ours('it offers these'), async (t) => {
    const { properties } = (await join(t)).connack;
    assert.ok([undefined, true].includes(properties.sharedSubscriptionAvailable));
    assert.ok([undefined, true].includes(properties.subscriptionIdentifiersAvailable));
    assert.equal(properties.topicAliasMaximum, 64);
    assert.ok([undefined, true].includes(properties.wildcardSubscriptionAvailable));
    assert.ok([undefined, true].includes(properties.retainAvailable));
    assert.equal(properties.maximumQoS, undefined);
    assert.equal(properties.receiveMaximum, 1024);
    assert.equal(properties.maximumPacketSize, 1048576);
});

// ---- subscription options ----

test('retain handling 0 sends retained messages always, 1 only to a new subscription, 2 never', async (t) => {
    const topic = unique('rh');
    const client = await join(t);
    await client.publishAsync(topic, 'kept', { qos: 1, retain: true });
    const after = async (rh) => {
        const before = client.messages.length;
        await client.subscribeAsync(topic, { qos: 1, rh });
        await settle();
        return client.messages.length - before;
    };
    assert.equal(await after(2), 0, '2, new');
    assert.equal(await after(0), 1, '0, not new');
    assert.equal(await after(1), 0, '1, not new');
    await client.unsubscribeAsync(topic);
    assert.equal(await after(1), 1, '1, new');
    await client.unsubscribeAsync(topic);
    assert.equal(await after(0), 1, '0, new');
    assert.ok(client.messages.every((m) => m.retain && m.text === 'kept'));
});

test('a message carries the identifiers of all subscriptions that matched it', async (t) => {
    const topic = unique('ids');
    const clientId = unique('ids');
    const session = { clientId, clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await join(t, session);
    const other = await join(t);
    await other.publishAsync(`${topic}/a`, 'kept', { qos: 1, retain: true });
    await first.subscribeAsync(`${topic}/#`, { qos: 1, properties: { subscriptionIdentifier: 300 } });
    await first.subscribeAsync(`${topic}/+`, { qos: 0, rh: 2, properties: { subscriptionIdentifier: 268435455 } });
    await first.subscribeAsync(`${topic}/a`, { qos: 1, rh: 2 });
    await first.take(1);
    await first.endAsync();
    await other.publishAsync(`${topic}/a`, 'both', { qos: 1 });
    await other.publishAsync(`${topic}/b/c`, 'one', { qos: 1 });
    const second = await join(t, session);
    await second.take(2);
    const ids = (m) => [m.properties.subscriptionIdentifier].flat().sort((a, b) => a - b);
    assert.deepEqual([...first.messages, ...second.messages].map((m) => [m.text, ids(m)]),
        [['kept', [300]], ['both', [300, 268435455]], ['one', [300]]]);
    await other.publishAsync(`${topic}/a`, '', { qos: 1, retain: true });
});

test('topic aliases: MQTT.js sets its own and takes ours', async (t) => {
    const topic = unique('aliased/topic');
    const to = await join(t, { properties: { topicAliasMaximum: 10 } });
    const from = await join(t, { autoAssignTopicAlias: true });
    let short = 0;
    const packets = [];
    to.on('packetreceive', (p) => p.cmd === 'publish' && packets.push(p));
    from.on('packetsend', (p) => (short += p.cmd === 'publish' && p.topic === ''));
    await to.subscribeAsync(`${topic}/#`, { qos: 1 });
    for (let i = 0; i < 20; i++) await from.publishAsync(`${topic}/${i % 2}`, String(i), { qos: i % 3 });
    await to.take(20);
    assert.deepEqual(to.messages.map((m) => [m.topic, m.text]), Array.from({ length: 20 }, (_, i) => [`${topic}/${i % 2}`, String(i)]));
    assert.ok(short > 10, `${short} published by alias`);
    assert.ok(packets.filter((p) => p.properties?.topicAlias).length > 5, 'some came by alias');
});

test('with no local, what a client sends does not come back to it', async (t) => {
    const topic = unique('nl');
    const [self, other] = [await join(t), await join(t)];
    await self.subscribeAsync(topic, { qos: 1, nl: true });
    await other.subscribeAsync(topic, { qos: 1, nl: true });
    await self.publishAsync(topic, 'from self', { qos: 1 });
    await other.publishAsync(topic, 'from other', { qos: 1 });
    assert.deepEqual(texts(await self.take(1)), ['from other']);
    assert.deepEqual(texts(await other.take(1)), ['from self']);
    await settle();
    assert.deepEqual([self.messages.length, other.messages.length], [1, 1]);
});

test('no local holds for a session across its connections', async (t) => {
    const topic = unique('nl');
    const clientId = unique('nl');
    const properties = { sessionExpiryInterval: 600 };
    const first = await join(t, { clientId, clean: false, properties });
    await first.subscribeAsync(topic, { qos: 1, nl: true });
    await first.endAsync();
    const second = await join(t, { clientId, clean: false, properties });
    const other = await join(t);
    await second.publishAsync(topic, 'own', { qos: 1 });
    await other.publishAsync(topic, 'foreign', { qos: 1 });
    await second.take(1);
    await settle();
    assert.deepEqual(texts(second.messages), ['foreign']);
});

test('retain as published keeps the flag on live messages', async (t) => {
    const topic = unique('rap');
    const [keeps, clears] = [await join(t), await join(t)];
    await keeps.subscribeAsync(topic, { qos: 1, rap: true });
    await clears.subscribeAsync(topic, { qos: 1, rap: false });
    await clears.publishAsync(topic, 'retained', { qos: 1, retain: true });
    await clears.publishAsync(topic, 'plain', { qos: 1 });
    assert.deepEqual((await keeps.take(2)).map((m) => [m.text, m.retain]), [['retained', true], ['plain', false]]);
    assert.deepEqual((await clears.take(2)).map((m) => [m.text, m.retain]), [['retained', false], ['plain', false]]);
});

test('overlapping subscriptions deliver a message once, with the highest QoS', ours('it may deliver once for each'), async (t) => {
    const topic = unique('over');
    const client = await join(t);
    await client.subscribeAsync({ [`${topic}/#`]: { qos: 0 }, [`${topic}/+`]: { qos: 2 }, [`${topic}/a`]: { qos: 1 } });
    await client.publishAsync(`${topic}/a`, 'once', { qos: 2 });
    await client.publishAsync(`${topic}/a/b`, 'deep', { qos: 2 });
    await client.take(2);
    await settle();
    assert.deepEqual(client.messages.map((m) => [m.text, m.qos]).sort(), [['deep', 0], ['once', 2]]);
});

test('of overlapping subscriptions, one without no local brings what the client itself sent', ours('it may deliver once for each'), async (t) => {
    const topic = unique('over');
    const client = await join(t);
    await client.subscribeAsync({ [`${topic}/#`]: { qos: 1, nl: true }, [`${topic}/+`]: { qos: 0 } });
    await client.publishAsync(`${topic}/a`, 'own', { qos: 1 });
    assert.deepEqual(texts(await client.take(1)), ['own']);
    await settle();
    assert.equal(client.messages.length, 1);
});

test('a subscription to the same filter replaces the former', async (t) => {
    const topic = unique('again');
    const client = await join(t);
    for (const qos of [2, 0, 1]) {
        const granted = await client.subscribeAsync(topic, { qos });
        assert.equal(granted[0].qos, qos);
        await client.publishAsync(topic, `at ${qos}`, { qos: 2 });
    }
    await client.take(3);
    await settle();
    assert.deepEqual(client.messages.map((m) => [m.text, m.qos]), [['at 2', 2], ['at 0', 0], ['at 1', 1]]);
});

test('an unsubscribe says whether there was something to end', async (t) => {
    const topic = unique('un');
    const client = await join(t);
    await client.subscribeAsync([`${topic}/a`, `${topic}/b`], { qos: 1 });
    const codes = await new Promise((resolve, reject) => {
        client.once('packetreceive', (packet) => resolve(packet.granted ?? packet.reasonCode));
        client.unsubscribe([`${topic}/a`, `${topic}/none`], (error) => error && reject(error));
    });
    assert.deepEqual([...codes], [0x00, 0x11]);
    await client.publishAsync(`${topic}/a`, 'no', { qos: 1 });
    await client.publishAsync(`${topic}/b`, 'yes', { qos: 1 });
    await client.take(1);
    await settle();
    assert.deepEqual(texts(client.messages), ['yes']);
});

test('a publish that nobody wants is acknowledged', async (t) => {
    const client = await join(t);
    for (const qos of [1, 2]) {
        const packet = await client.publishAsync(unique('nobody'), 'x', { qos });
        assert.ok([undefined, 0x00, 0x10].includes(packet.reasonCode));
    }
});

test('several filters in one packet are granted each on its own', async (t) => {
    const topic = unique('many');
    const client = await join(t);
    const granted = await client.subscribeAsync({ [`${topic}/0`]: { qos: 0 }, [`${topic}/1`]: { qos: 1 }, [`${topic}/2`]: { qos: 2 } });
    assert.deepEqual(granted.map((g) => g.qos), [0, 1, 2]);
});

// ---- what a client asks to be spared ----

test('a message larger than the maximum packet size of its receiver is not sent to it', async (t) => {
    const topic = unique('size');
    const clientId = unique('small');
    const small = await join(t, { clientId, clean: false, properties: { maximumPacketSize: 200, sessionExpiryInterval: 600 } });
    const large = await join(t);
    for (const client of [small, large]) await client.subscribeAsync(topic, { qos: 2 });
    const bodies = ['a', 'x'.repeat(300), 'b'];
    for (const qos of [0, 1, 2]) for (const body of bodies) await large.publishAsync(topic, body, { qos });
    await large.take(9);
    await small.take(6);
    await settle();
    assert.deepEqual(texts(small.messages), ['a', 'b', 'a', 'b', 'a', 'b']);
    assert.ok(small.connected);
    // It counts as delivered: it does not stay in the way.
    await small.endAsync();
    const again = await join(t, { clientId, clean: false, properties: { sessionExpiryInterval: 600 } });
    await settle();
    assert.deepEqual(again.messages, []);
});

for (const qos of [1, 2])
    test(`no more than receive maximum messages of QoS ${qos} are on their way`, qos === 2 ? ours('it stops after the first window') : {}, async (t) => {
        const topic = unique('rm');
        const session = { clientId: unique('rm'), clean: false, properties: { receiveMaximum: 3, sessionExpiryInterval: 600 } };
        const first = await join(t, session);
        await first.subscribeAsync(topic, { qos });
        await first.endAsync();
        const publisher = await join(t);
        for (let i = 0; i < 50; i++) await publisher.publishAsync(topic, `${i}`, { qos });
        let open = 0, most = 0;
        const onClient = (client) => {
            client.on('packetreceive', ({ cmd }) => { if (cmd === 'publish') most = Math.max(most, ++open); });
            client.on('packetsend', ({ cmd }) => { if (cmd === (qos === 1 ? 'puback' : 'pubcomp')) open--; });
        };
        const slow = await join(t, { ...session, onClient });
        assert.deepEqual(texts(await slow.take(50)), Array.from({ length: 50 }, (_, i) => `${i}`));
        assert.ok(most >= 1 && most <= 3, `${most} at once`);
    });

// ---- takeover ----

test('a second connection of a client ends the first with 0x8E', ours('it closes without a word'), async (t) => {
    const clientId = unique('take');
    const first = await join(t, { clientId });
    const second = await join(t, { clientId });
    await first.gone();
    assert.deepEqual(first.disconnects, [0x8e]);
    assert.ok(second.connected);
});

test('a takeover keeps the session, its subscriptions and its queue', async (t) => {
    const clientId = unique('take');
    const topic = unique('take');
    const options = { clientId, clean: false, properties: { sessionExpiryInterval: 600 } };
    const first = await join(t, options);
    await first.subscribeAsync(topic, { qos: 2 });
    const publisher = await join(t);
    const seen = [];
    let at = first;
    const sending = (async () => { for (let i = 0; i < 200; i++) await publisher.publishAsync(topic, `${i}`, { qos: 2 }); })();
    first.on('message', (_, body) => seen.push(body.toString()));
    for (let round = 0; round < 5; round++) {
        await sleep(20);
        // MQTT.js keeps unfinished QoS 2 messages per client object: the next one gets the former's memory.
        const next = await join(t, { ...options, incomingStore: at.incomingStore, outgoingStore: at.outgoingStore });
        assert.equal(next.connack.sessionPresent, true);
        for (const m of next.messages) seen.push(m.text);
        next.on('message', (_, body) => seen.push(body.toString()));
        at = next;
    }
    await sending;
    await until(() => new Set(seen).size === 200, () => `all 200`, 10_000);
    await settle();
    assert.deepEqual([...new Set(seen)].sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => `${i}`));
});

// ---- wills ----

const willing = (topic, more = {}, rest = {}) => ({
    will: { topic, payload: 'gone', qos: 1, retain: false, ...more },
    properties: { sessionExpiryInterval: 600 }, clean: false, ...rest,
});

test('a will carries its properties', async (t) => {
    const topic = unique('will');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 2 });
    const properties = { contentType: 'text/plain', responseTopic: 'answers', correlationData: Buffer.from([0, 255]),
        userProperties: { why: ['power', 'cable'] }, payloadFormatIndicator: true, messageExpiryInterval: 100 };
    cut(await join(t, { will: { topic, payload: Buffer.from('gone'), qos: 2, properties } }));
    const [message] = await watcher.take(1);
    assert.deepEqual([message.text, message.qos], ['gone', 2]);
    const seen = message.properties;
    assert.deepEqual([seen.contentType, seen.responseTopic, seen.payloadFormatIndicator], ['text/plain', 'answers', true]);
    assert.deepEqual(Buffer.from(seen.correlationData), properties.correlationData);
    assert.deepEqual({ ...seen.userProperties }, properties.userProperties);
    assert.ok(seen.messageExpiryInterval <= 100 && seen.messageExpiryInterval >= 98);
});

test('a will waits for its delay', async (t) => {
    const topic = unique('will');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 1 });
    cut(await join(t, willing(topic, { properties: { willDelayInterval: 2 } }, { clientId: unique('w') })));
    const start = performance.now();
    await sleep(1200);
    assert.deepEqual(watcher.messages, []);
    await watcher.take(1, 5000);
    assert.ok(performance.now() - start >= 1900);
});

test('a client that returns within the delay takes its will back', async (t) => {
    const topic = unique('will');
    const clientId = unique('w');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 1 });
    cut(await join(t, willing(topic, { properties: { willDelayInterval: 1 } }, { clientId })));
    await sleep(300);
    const back = await join(t, { clientId, clean: false, properties: { sessionExpiryInterval: 600 } });
    assert.equal(back.connack.sessionPresent, true);
    await sleep(2500);
    assert.deepEqual(watcher.messages, []);
});

const LONG_DELAY = { properties: { willDelayInterval: 300 } };
test('a will comes when its session expires, though its delay is not over', async (t) => {
    const topic = unique('will');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 1 });
    cut(await join(t, willing(topic, LONG_DELAY, { clientId: unique('w'), properties: { sessionExpiryInterval: 1 } })));
    await sleep(500);
    assert.deepEqual(watcher.messages, []);
    await watcher.take(1, MOSQUITTO ? 10_000 : 5000);
});

test('a will comes when a clean start ends its session', ours('it forgets the will'), async (t) => {
    const topic = unique('will');
    const clientId = unique('w');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 1 });
    cut(await join(t, willing(topic, LONG_DELAY, { clientId })));
    await sleep(300);
    assert.deepEqual(watcher.messages, []);
    await join(t, { clientId, clean: true });
    await watcher.take(1);
});

test('a takeover publishes the will of the former connection, once', ours('it keeps a will of delay 0 back'), async (t) => {
    const topic = unique('will');
    const clientId = unique('w');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 1 });
    await join(t, willing(topic, { payload: 'first' }, { clientId }));
    const second = await join(t, willing(topic, { payload: 'second' }, { clientId }));
    await watcher.take(1);
    cut(second);
    await watcher.take(2);
    await settle();
    assert.deepEqual(texts(watcher.messages), ['first', 'second']);
});

test('a takeover within the will delay publishes nothing', async (t) => {
    const topic = unique('will');
    const clientId = unique('w');
    const watcher = await join(t);
    await watcher.subscribeAsync(topic, { qos: 1 });
    await join(t, willing(topic, { properties: { willDelayInterval: 1 } }, { clientId }));
    const second = await join(t, { clientId, clean: false, properties: { sessionExpiryInterval: 600 } });
    await second.endAsync();
    await sleep(2300);
    assert.deepEqual(watcher.messages, []);
});

test('the will of a client that was connected when the node died is published once after its start', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    const at = { port: node.mqttPort };
    const keeper = { ...at, clientId: 'keeper', clean: false, properties: { sessionExpiryInterval: 600 } };
    const watcher = await join(t, keeper);
    await watcher.subscribeAsync('will/#', { qos: 2 });
    await watcher.endAsync();
    await join(t, { ...at, clientId: 'brief', will: { topic: 'will/brief', payload: 'gone', qos: 2 } });
    await join(t, { ...at, ...willing('will/durable', {}, { clientId: 'durable' }) });
    await join(t, { ...at, ...willing('will/delayed', { properties: { willDelayInterval: 2 } }, { clientId: 'delayed' }) });
    await join(t, { ...at, ...willing('will/returns', { properties: { willDelayInterval: 3 } }, { clientId: 'returns' }) });
    const leaving = await join(t, { ...at, will: { topic: 'will/left', payload: 'no', qos: 1 } });
    await leaving.endAsync();
    // Nothing answers a DISCONNECT: the node has read it when the client is gone from its count, and what it recorded is
    // on disk when something recorded later is acknowledged.
    const connected = async () => Number(/^\S*mqtt_clients (\d+)$/m.exec((await node.get('/metrics')).text)[1]);
    await until(async () => (await connected()) === 4, 'the leaving client is gone');
    await join(t, { ...at, clientId: 'later', clean: false, properties: { sessionExpiryInterval: 600 } });
    await node.restart({ kill9: true });
    at.port = node.mqttPort;
    const again = await join(t, { ...keeper, ...at });
    await join(t, { ...at, clientId: 'returns', clean: false, properties: { sessionExpiryInterval: 600 } });
    await again.take(3);
    await sleep(2500);
    assert.deepEqual(again.messages.map((m) => m.topic).sort(), ['will/brief', 'will/delayed', 'will/durable']);
    await again.endAsync();
    await node.restart({ kill9: true });
    const third = await join(t, { ...keeper, port: node.mqttPort });
    await sleep(500);
    assert.deepEqual(third.messages, [], 'once, not after each start');
});

test('a will of before the crash does not overtake what its client says after it', ours('kill -9'), async (t) => {
    const node = await startPeer({ t });
    for (const [round, clean] of [[1, true], [2, false]]) {
        const topic = `state/${round}`;
        const will = { topic, payload: 'offline', qos: 1, retain: true };
        const properties = { sessionExpiryInterval: clean ? 0 : 600 };
        await join(t, { port: node.mqttPort, clientId: `press-${round}`, clean, properties, will });
        await node.restart({ kill9: true });
        const back = await join(t, { port: node.mqttPort, clientId: `press-${round}`, clean, properties, will });
        await back.publishAsync(topic, 'online', { qos: 1, retain: true });
        await sleep(2500);
        const reader = await join(t, { port: node.mqttPort });
        await reader.subscribeAsync(topic, { qos: 1 });
        assert.deepEqual(texts(await reader.take(1)), ['online']);
    }
});

// ---- the node's end ----

test('an orderly stop tells version 5 clients 0x8B', ours('it tells nothing'), async (t) => {
    const node = await startPeer({ t });
    const client = await join(t, { port: node.mqttPort });
    await node.stop();
    await client.gone();
    assert.deepEqual(client.disconnects, [0x8b]);
});

test('a connection above the limit is refused with 0x97 and costs the others nothing', ours('it has no such limit set'), async (t) => {
    const node = await startPeer({ t, settings: { limits: { connections: 3 } } });
    const at = { port: node.mqttPort };
    const clients = [await join(t, at), await join(t, at), await join(t, at)];
    assert.equal((await mqttRefused(at)).code, 0x97);
    await clients[0].subscribeAsync('a', { qos: 1 });
    await clients[1].publishAsync('a', 'still here', { qos: 1 });
    assert.deepEqual(texts(await clients[0].take(1)), ['still here']);
    await clients[2].endAsync();
    await until(async () => (await join(t, at)).connected, 'room again');
});
