// What independent interoperability suites try, on our defaults: the scenarios of everyday clients, each as a story of its
// own. The rules behind them have their tests in conformance-*.test.mjs.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { id, stage } from './lib/conform.mjs';
import { ours, startPeer, unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { rawConnect } from './lib/raw.mjs';
import { sleep } from './lib/wait.mjs';

const { join, open } = stage();
const texts = (list) => list.map((p) => p.payload.toString());
const kept = (version, props) => ({ clean: false, ...(version === 5 ? { props: { sessionExpiry: 99_999, ...props } } : {}) });
async function leave(raw, props) {
    await raw.send(m.disconnect({ version: raw.version, props }));
    await raw.wantClosed();
}

for (const version of [4, 5]) {
    const v = version === 5 ? '5.0' : '3.1.1';

    test(`basic: own messages of each QoS, a second CONNECT and a wrong name fail, ${v}`, async (t) => {
        const name = id();
        await leave(await join(t, version, { id: name }));
        const raw = await join(t, version, { id: name });
        const topic = unique('TopicA');
        await raw.subscribe(topic, { qos: 2 });
        for (const qos of [0, 1, 2]) await raw.publish(topic, `qos ${qos}`, { qos });
        assert.deepEqual((await raw.messages(3)).map((p) => p.qos), [0, 1, 2]);
        await raw.send(m.connect({ version, id: name }));
        await raw.wantClosed();
        const wrong = await open(t, version);
        await wrong.send(m.connect({ version, id: name, name: 'hj' }));
        await wrong.wantClosed();
    });

    test(`retained messages of each QoS come with a wildcard, and are cleared, ${v}`, async (t) => {
        const base = unique('Topic');
        const raw = await join(t, version);
        const user = [['a', '2'], ['c', '3']];
        for (const qos of [0, 1, 2]) await raw.publish(`${base}/${qos}`, `qos ${qos}`, { qos, retain: true, ...(version === 5 ? { props: { user } } : {}) });
        await raw.subscribe(`${base}/+`, { qos: 2 });
        const got = await raw.messages(3);
        assert.deepEqual(got.map((p) => p.qos).sort(), [0, 1, 2]);
        if (version === 5) for (const p of got) assert.deepEqual(p.props.user, user);
        for (const qos of [0, 1, 2]) await raw.publish(`${base}/${qos}`, '', { qos, retain: true });
        await raw.messages(3);
        const late = await join(t, version);
        await late.subscribe(`${base}/+`, { qos: 2 });
        await late.quiet(80);
    });

    test(`messages wait for who is away, and unfinished ones come again, ${v}`, async (t) => {
        const base = unique('Topic'), name = id();
        const first = await join(t, version, { id: name, ...kept(version) });
        await first.subscribe(`${base}/#`, { qos: 2 });
        await leave(first);
        const pub = await join(t, version);
        for (const qos of [0, 1, 2]) await pub.publish(`${base}/${qos}`, `qos ${qos}`, { qos });
        const second = await join(t, version, { id: name, ...kept(version) });
        const got = [await second.want(m.PUBLISH), await second.want(m.PUBLISH)]; // never acknowledged
        assert.deepEqual(texts(got), ['qos 1', 'qos 2']);
        await leave(second);
        const third = await join(t, version, { id: name, ...kept(version) });
        const again = await third.messages(2);
        assert.deepEqual(again.map((p) => [p.payload.toString(), p.dup]), [['qos 1', true], ['qos 2', true]]);
    });

    test(`overlapping subscriptions: once with the highest QoS, or once for each, ${v}`, async (t) => {
        const base = unique('TopicA');
        const raw = await join(t, version);
        await raw.subscribe([{ filter: `${base}/#`, qos: 2 }, { filter: `${base}/+`, qos: 1 }]);
        await raw.publish(`${base}/C`, 'overlapping', { qos: 2 });
        assert.equal((await raw.message()).qos, 2);
        await raw.quiet(60);
    });

    test(`a will, and a silent client whose keep alive is over, ${v}`, async (t) => {
        const topic = unique('/TopicA');
        const watcher = await join(t, version, { ...kept(version), id: id(), keepAlive: 0 });
        await watcher.subscribe(topic, { qos: 2 });
        const ends = await join(t, version, { id: id(), keepAlive: 2, will: { topic, payload: 'not disconnected' } });
        await ends.cut();
        assert.deepEqual(texts(await watcher.messages(1)), ['not disconnected']);
        await join(t, version, { id: id(), keepAlive: 1, will: { topic, payload: 'keepalive expiry' } });
        assert.deepEqual(texts(await watcher.messages(1)), ['keepalive expiry']);
    });

    test(`a client identifier of no bytes, ${v}`, async (t) => {
        const raw = await open(t, version);
        await raw.send(m.connect({ version, id: '', clean: false }));
        const { reason } = await raw.next();
        if (version === 4) assert.equal(reason, 2);
        assert.equal((await join(t, version, { id: '' })).connack.reason, 0);
    });

    test(`$ topics and unsubscribing, ${v}`, async (t) => {
        const base = unique('Topic');
        const raw = await join(t, version);
        const pub = await join(t, version);
        await raw.subscribe([`+/${base}`, `${base}/a`, `${base}/b`], { qos: 2 });
        await pub.publish(`$TopicA/${base}`, 'hidden');
        await raw.unsubscribe(`${base}/a`);
        for (const name of ['a', 'b']) await pub.publish(`${base}/${name}`, name);
        assert.deepEqual(texts(await raw.messages(1)), ['b']);
        await raw.quiet(60);
    });
}

test('a session expires when it should, and DISCONNECT may change when', async (t) => {
    const name = id();
    const visit = async ({ expiry, clean = false, after }) => {
        const raw = await join(t, 5, { id: name, clean, props: { sessionExpiry: expiry } });
        const { sessionPresent } = raw.connack;
        await raw.subscribe('TopicA');
        await leave(raw, after === undefined ? undefined : { sessionExpiry: after });
        return sessionPresent;
    };
    assert.equal(await visit({ expiry: 0, clean: true }), false);
    assert.equal(await visit({ expiry: 0 }), false);
    assert.equal(await visit({ expiry: 2, clean: true }), false);
    await sleep(600);
    assert.equal(await visit({ expiry: 2 }), true);
    await sleep(3200);
    assert.equal(await visit({ expiry: 1, after: 60 }), false);
    await sleep(2200);
    assert.equal(await visit({ expiry: 1, after: 0 }), true);
    assert.equal(await visit({ expiry: 1 }), false);
});

test('a DISCONNECT that asks for more than the node allows keeps the session', async (t) => {
    const name = id(), topic = unique('TopicA');
    const raw = await join(t, 5, { id: name, props: { sessionExpiry: 99_999 } });
    await raw.subscribe(topic, { qos: 2 });
    await leave(raw, { sessionExpiry: 999_999_999 });
    const pub = await join(t, 5);
    for (const [messageExpiry, qos] of [[1, 1], [1, 2], [6, 1], [6, 2]]) await pub.publish(topic, `${messageExpiry}`, { qos, props: { messageExpiry } });
    await sleep(2000);
    const back = await join(t, 5, { id: name, clean: false }); // without an expiry: it ends with this connection
    const got = await back.messages(2);
    assert.deepEqual(texts(got), ['6', '6']);
    for (const p of got) assert.ok(p.props.messageExpiry < 6);
    await back.quiet(60);
});

test('request and response: the answer finds its way', async (t) => {
    const topic = unique('TopicA');
    const [asks, answers] = [await join(t, 5), await join(t, 5)];
    for (const raw of [asks, answers]) await raw.subscribe({ filter: topic, qos: 2, noLocal: true });
    await asks.publish(topic, 'request', { props: { responseTopic: topic, correlation: Buffer.from('334') } });
    const { props } = await answers.message();
    assert.deepEqual([props.responseTopic, props.correlation.toString()], [topic, '334']);
    await answers.publish(props.responseTopic, 'response', { props });
    assert.deepEqual(texts(await asks.messages(1)), ['response']);
});

test('a client that takes packets of 64 bytes: CONNACK fits, small messages come, large ones do not', async (t) => {
    const topic = unique('TopicA');
    const raw = await join(t, 5, { props: { maxPacket: 64 } });
    assert.ok(raw.connack.size <= 64, `${raw.connack.size} bytes`);
    const all = await join(t, 5, { props: { maxPacket: 64, receiveMax: 10, topicAliasMax: 5, sessionExpiry: 0xffffffff }, id: '', keepAlive: 65_535 });
    assert.ok(all.connack.size <= 64, `with everything ${all.connack.size} bytes`);
    await raw.subscribe(topic, { qos: 2 });
    await raw.publish(topic, '.'.repeat(32), { qos: 0 });
    await raw.message();
    await raw.publish(topic, '.'.repeat(64));
    await raw.quiet(80);
});

test('a window of two: the third message waits for an acknowledgement', async (t) => {
    const topic = unique('TopicA');
    const raw = await join(t, 5, { props: { receiveMax: 2 } });
    await raw.subscribe(topic, { qos: 2 });
    for (const i of [1, 2, 3]) await raw.publish(topic, `message ${i}`);
    const two = [await raw.want(m.PUBLISH), await raw.want(m.PUBLISH)];
    await raw.quiet(150);
    await raw.send(m.ack(m.PUBACK, two[0].pid));
    assert.equal((await raw.want(m.PUBLISH)).payload.toString(), 'message 3');
});

test('one message more than the node\'s receive maximum: 0x93', ours('another maximum'), async (t) => {
    const raw = await join(t, 5);
    const most = raw.connack.props.receiveMax ?? 65_535;
    for (let pid = 1; pid <= most + 1; pid++) await raw.send(m.publish({ topic: 'TopicA', payload: `message ${pid}`, qos: 2, pid }));
    const rest = await raw.wantClosed(15_000);
    assert.equal(rest.at(-1).reason, 0x93);
});

test('a will after its delay, after the session if that is earlier', async (t) => {
    await Promise.all([[2, 4, 2], [3, 0, 0], [4, 1, 1]].map(async ([willDelay, sessionExpiry, due]) => {
        const topic = unique('TopicA');
        const watcher = await join(t, 5);
        await watcher.subscribe(topic, { qos: 2 });
        const raw = await join(t, 5, { id: id(), props: { sessionExpiry }, will: { topic, payload: 'will', props: { willDelay } } });
        const start = performance.now();
        await raw.cut();
        await watcher.message();
        const took = (performance.now() - start) / 1000;
        assert.ok(took >= due - 0.05 && took <= due + 1.9, `delay ${willDelay}, expiry ${sessionExpiry}: ${took} s`);
    }));
});

test('the node may ask for a shorter keep alive', ours('another setting'), async (t) => {
    const node = await startPeer({ t, settings: { limits: { 'keep-alive': '60s' } } });
    const raw = await rawConnect({ t, port: node.mqttPort, keepAlive: 120 });
    assert.equal(raw.connack.props.serverKeepAlive, 60);
    const less = await rawConnect({ t, port: node.mqttPort, keepAlive: 30 });
    assert.equal(less.connack.props.serverKeepAlive, undefined);
});

test('subscription identifiers of two clients', async (t) => {
    const topic = unique('TopicA');
    const [a, b] = [await join(t, 5), await join(t, 5)];
    await a.subscribe(topic, { qos: 2, props: { subId: 456_789 } });
    await b.subscribe(topic, { qos: 2, props: { subId: 2 } });
    await b.subscribe(`${topic}/#`, { qos: 2, props: { subId: 3 } });
    await b.publish(topic, 'x');
    assert.deepEqual((await a.message()).props.subId, [456_789]);
    assert.deepEqual((await b.message()).props.subId.sort(), [2, 3]);
});

