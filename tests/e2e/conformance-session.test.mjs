// What the standards demand about sessions and wills.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { sleep } from './lib/wait.mjs';

const { open, join } = stage();
const texts = (list) => list.map((p) => p.payload.toString());

/** A session that subscribed and went away: { name, topic, back() }. */
async function away(t, version, { qos = 2, props } = {}) {
    const name = id(), topic = unique('away');
    const raw = await join(t, version, { id: name, ...kept(version, props) });
    await raw.subscribe(topic, { qos });
    await raw.cut();
    return { name, topic, back: (options) => join(t, version, { id: name, ...kept(version, props), ...options }) };
}

// ---- sessions ----

conform('a session keeps its subscriptions and what came above QoS 0 while it was away', {
    v4: '3.1.2-4 3.1.2-5 4.1.0-1 3.2.2-2', v5: '3.1.2-5 3.1.2-23 3.2.2-3 4.5.0-1',
}, async (t, version) => {
    const { topic, back } = await away(t, version);
    const pub = await join(t, version);
    for (let i = 0; i < 20; i++) await pub.publish(topic, `${i}`, { qos: 1 + (i % 2) });
    const again = await back();
    assert.equal(again.connack.sessionPresent, true);
    const got = await again.messages(20);
    assert.deepEqual(texts(got), Array.from({ length: 20 }, (_, i) => `${i}`));
    assert.ok(got.every((p) => !p.dup), 'it is sent for the first time');
    await pub.publish(topic, 'live', { qos: 2 });
    assert.deepEqual(texts(await again.messages(1)), ['live']);
    await again.send(m.disconnect({ version })); // an orderly end keeps it as well
    await again.wantClosed();
    await pub.publish(topic, 'later', { qos: 1 });
    assert.deepEqual(texts(await (await back()).messages(1)), ['later']);
});

conform('a clean start discards subscriptions, queue and unfinished flows, ours and theirs', {
    v4: '3.1.2-6 3.1.4-3 3.2.2-1', v5: '3.1.2-4 3.1.4-4 3.2.2-2',
}, async (t, version) => {
    const { name, topic, back } = await away(t, version);
    const pub = await join(t, version);
    await pub.publish(topic, 'queued', { qos: 2 });
    const half = await back();
    const p = await half.want(m.PUBLISH);
    await half.send(m.publish({ version, topic: unique(), payload: 'x', qos: 2, pid: 9 }));
    await half.pick(m.PUBREC);
    await half.cut();
    const fresh = await join(t, version, { id: name, ...kept(version), clean: true });
    assert.equal(fresh.connack.sessionPresent, false);
    await pub.publish(topic, 'not subscribed', { qos: 1 });
    await fresh.quiet(100);
    await fresh.send(m.ack(m.PUBREL, 9, { version })); // nobody knows this flow any more
    const comp = await fresh.want(m.PUBCOMP);
    if (version === 5) assert.equal(comp.reason, 0x92);
    await fresh.send(m.ack(m.PUBREC, p.pid, { version }));
    const rel = await fresh.want(m.PUBREL);
    if (version === 5) assert.equal(rel.reason, 0x92);
    await fresh.quiet(60);
});

conform('a session without expiry ends with its connection', { v4: '3.1.2-6 3.2.2-3', v5: '4.1.0-2 3.1.2-6 3.2.2-3' }, async (t, version) => {
    const name = id(), topic = unique('ends');
    const raw = await join(t, version, { id: name, clean: version === 4 });
    await raw.subscribe(topic, { qos: 1 });
    await raw.cut();
    await (await join(t, version)).publish(topic, 'x');
    const again = await join(t, version, { id: name, ...kept(version) });
    assert.equal(again.connack.sessionPresent, false);
    await again.quiet(80);
});

conform('a session ends when its expiry has passed, not before and not while it is connected', { v5: '4.1.0-2 4.1.0-1 3.1.2-23' }, async (t) => {
    const { topic, back } = await away(t, 5, { props: { sessionExpiry: 2 } });
    await sleep(700);
    const again = await back();
    assert.equal(again.connack.sessionPresent, true);
    await sleep(2600); // the time does not run while it is connected
    await (await join(t, 5)).publish(topic, 'still subscribed', { qos: 1 });
    await again.message();
    await again.cut();
    await sleep(2300);
    const late = await back();
    assert.equal(late.connack.sessionPresent, false);
    await (await join(t, 5)).publish(topic, 'x');
    await late.quiet(80);
});

conform('a living connection keeps its session: long silence, many packets, errors of others', { v4: '4.1.0-2 4.1.0-1', v5: '4.1.0-1' }, async (t, version) => {
    const topic = unique('living');
    const raw = await join(t, version, { id: id() });
    await raw.subscribe(topic, { qos: 1 });
    const bad = await join(t, version);
    await bad.send(Buffer.from([0, 0]));
    await bad.wantClosed();
    await sleep(1200);
    await (await join(t, version)).publish(topic, 'x');
    await raw.message();
});

// ---- wills ----

/** Someone who watches a topic, and someone with a will on it: { topic, watcher, raw, name }. */
async function testator(t, version, { qos = 0, will = {}, ...options } = {}) {
    const topic = unique('will'), name = id();
    const watcher = await join(t, 5);
    await watcher.subscribe(topic, { qos: 2 });
    const raw = await join(t, version, { id: name, will: { topic, payload: 'gone', qos, ...will }, ...options });
    return { topic, name, watcher, raw };
}

conform('the will comes when the connection ends without DISCONNECT, with its QoS, once', {
    v4: '3.1.2-8 3.1.2-9 3.1.2-10 3.1.2-16', v5: '3.1.2-7 3.1.2-8 3.1.2-10 3.1.2-14',
}, async (t, version) => {
    for (const qos of [0, 1, 2]) {
        const { topic, watcher, raw } = await testator(t, version, { qos });
        await watcher.quiet(50);
        await raw.cut();
        assert.deepEqual([await watcher.message()].map((p) => [p.payload.toString(), p.qos, p.retain]), [['gone', qos, false]]);
        await watcher.quiet(100);
        const late = await join(t, 5);
        await late.subscribe(topic);
        await late.quiet(50); // it was not retained
    }
});

conform('a will with retain is retained', { v4: '3.1.2-17', v5: '3.1.2-15' }, async (t, version) => {
    for (const qos of [0, 1, 2]) {
        const { topic, watcher, raw } = await testator(t, version, { qos, will: { retain: true } });
        await raw.cut();
        assert.equal((await watcher.message()).retain, false);
        const late = await join(t, 5);
        await late.subscribe(topic, { qos: 2 });
        assert.deepEqual([await late.message()].map((p) => [p.payload.toString(), p.qos, p.retain]), [['gone', qos, true]]);
    }
});

conform('a will without retain leaves the retained message of its topic', { v4: '3.1.2-16', v5: '3.1.2-14' }, async (t, version) => {
    const { topic, watcher, raw } = await testator(t, version);
    const pub = await join(t, version);
    await pub.publish(topic, 'kept', { retain: true });
    await watcher.message();
    await raw.cut();
    await watcher.message();
    const late = await join(t, 5);
    await late.subscribe(topic);
    assert.deepEqual(texts(await late.messages(1)), ['kept']);
});

conform('DISCONNECT discards the will', { v4: '3.14.4-3 3.1.2-10', v5: '3.14.4-3 3.1.2-10 3.1.2-8' }, async (t, version) => {
    for (const more of [{}, kept(version)]) {
        const { name, watcher, raw } = await testator(t, version, { qos: 1, ...more });
        await raw.send(m.disconnect({ version }));
        await raw.wantClosed();
        await watcher.quiet(150);
        // The next connection of the client has no will unless it brings one.
        await (await join(t, version, { id: name, ...more })).cut();
        await watcher.quiet(150);
    }
});

conform('the will comes after every other end: a protocol error, a takeover, a DISCONNECT that asks for it', { v4: '3.1.2-8', v5: '3.1.2-8' }, async (t, version) => {
    const ends = {
        error: ({ raw }) => raw.send(Buffer.from([0x00, 0])),
        malformed: ({ raw }) => raw.send(Buffer.from([0x36, 2, 0, 0])),
        takeover: ({ name }) => join(t, version, { id: name }),
        ...(version === 5 ? { 'with will': ({ raw }) => raw.send(m.disconnect({ reason: 0x04 })),
            error_: ({ raw }) => raw.send(m.disconnect({ reason: 0x80 })) } : {}),
    };
    for (const [how, end] of Object.entries(ends)) {
        const will = await testator(t, version);
        await end(will);
        assert.equal((await will.watcher.message()).payload.toString(), 'gone', how);
        await will.watcher.quiet(50);
    }
});

conform('without the will flag there is no will, also not that of the connection before', { v4: '3.1.2-12 3.1.2-10', v5: '3.1.2-10' }, async (t, version) => {
    const { name, watcher, raw } = await testator(t, version);
    await raw.cut();
    await watcher.message();
    const again = await join(t, version, { id: name });
    await again.cut();
    await watcher.quiet(150);
});

conform('a refused CONNECT leaves no will', { v4: '3.1.2-8', v5: '3.1.2-7' }, async (t, version) => {
    const topic = unique('refused');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const raw = await open(t, version);
    await raw.send(version === 5 ? m.connect({ id: 'x', props: { receiveMax: 0 }, will: { topic, payload: 'x' } })
        : m.connect({ version, id: '', clean: false, will: { topic, payload: 'x' } }));
    await raw.wantClosed();
    await watcher.quiet(100);
});

conform('a will waits for its delay, or for the end of its session if that is earlier', { v5: '3.1.2-8 3.1.2-7' }, async (t) => {
    const cases = [ // delay, session expiry, earliest and latest
        [1, 60, 900, 3500], [60, 1, 900, 3500], [60, 0, 0, 1000], [0, 60, 0, 1000]];
    await Promise.all(cases.map(async ([willDelay, sessionExpiry, least, most]) => {
        const { watcher, raw } = await testator(t, 5, { qos: 1, will: { props: { willDelay } }, clean: false, props: { sessionExpiry } });
        const start = performance.now();
        await raw.cut();
        await watcher.message();
        const took = performance.now() - start;
        assert.ok(took >= least && took <= most, `delay ${willDelay}, expiry ${sessionExpiry}: ${took} ms`);
        await watcher.quiet(100);
    }));
});

conform('who comes back before the will delay is over takes the will back', { v5: '3.1.3-9 3.1.2-8' }, async (t) => {
    const { name, watcher, raw } = await testator(t, 5, { qos: 1, will: { props: { willDelay: 1 } }, ...kept(5) });
    await raw.cut();
    await sleep(300);
    await join(t, 5, { id: name, ...kept(5) });
    await watcher.quiet(2000);
});

conform('a clean start ends the session, and with it the wait for the will', { v5: '3.1.2-8' }, async (t) => {
    const { name, watcher, raw } = await testator(t, 5, { qos: 1, will: { props: { willDelay: 60 } }, ...kept(5) });
    await raw.cut();
    await watcher.quiet(100);
    await join(t, 5, { id: name, clean: true });
    await watcher.message();
});

conform('properties of the will are forwarded, user properties in their order, the delay is not', { v5: '3.1.3-10 3.3.2-4 3.3.2-17' }, async (t) => {
    const props = { payloadFormat: 1, messageExpiry: 500, contentType: 'c', responseTopic: 'r', correlation: Buffer.from('d'),
        user: [['z', '1'], ['a', '2'], ['z', '1'], ['a', '0']] };
    const { watcher, raw } = await testator(t, 5, { will: { props: { willDelay: 0, ...props } } });
    await raw.cut();
    const got = (await watcher.message()).props;
    assert.ok(got.messageExpiry <= 500 && got.messageExpiry > 490);
    assert.deepEqual({ ...got, messageExpiry: 500 }, props);
});
