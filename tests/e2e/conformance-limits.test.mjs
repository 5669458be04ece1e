// What the standards demand about what a peer can take: maximum packet size, receive maximum, problem information,
// response information; and about errors that pass.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { ours, startPeer, unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { ending, rawConnect } from './lib/raw.mjs';
import { sleep } from './lib/wait.mjs';

const { open, join } = stage();
const texts = (list) => list.map((p) => p.payload.toString());

// ---- maximum packet size ----

conform('a message above the client\'s maximum packet size is dropped for it alone, as if delivered; one that just fits comes', { v5: '3.1.2-24 3.1.2-25' }, async (t) => {
    for (const options of [{}, { id: id(), clean: false }]) {
        const topic = unique('size');
        const most = 200;
        const small = await join(t, 5, { ...options, props: { maxPacket: most, receiveMax: 2, ...(options.id ? { sessionExpiry: 60 } : {}) } });
        const other = await join(t, 5);
        for (const sub of [small, other]) await sub.subscribe(topic, { qos: 2 });
        const pub = await join(t, 5);
        for (const qos of [0, 1, 2]) {
            const overhead = m.publish({ topic, qos, pid: 1 }).length + 1; // a remaining length of two bytes
            const fits = 'x'.repeat(most - overhead);
            for (const payload of [`${fits}y`, `${fits}yyy`, fits, 'z'.repeat(5000), 'small']) await pub.publish(topic, payload, { qos });
            assert.equal((await other.messages(5)).length, 5);
            // The dropped ones hold no place in its window of two.
            const got = await small.messages(2);
            assert.deepEqual([got[0].size, ...texts(got)], [most, fits, 'small']);
        }
        await small.quiet(60);
        if (!options.id) continue;
        await small.cut();
        await (await join(t, 5, { ...options, props: { sessionExpiry: 60 } })).quiet(100);
    }
});

conform('a retained message and a will above the maximum packet size are not sent', { v5: '3.1.2-24 3.1.2-25' }, async (t) => {
    const topic = unique('size');
    const pub = await join(t, 5, { id: id(), will: { topic: `${topic}/will`, payload: 'w'.repeat(300) } });
    await pub.publish(`${topic}/big`, 'b'.repeat(300), { retain: true });
    await pub.publish(`${topic}/small`, 's', { retain: true });
    const small = await join(t, 5, { props: { maxPacket: 150 } });
    await small.subscribe(`${topic}/#`, { qos: 1 });
    assert.deepEqual(texts(await small.messages(1)), ['s']);
    await pub.cut();
    await small.quiet(100);
});

const NOTHING = unique('nothing');
/** What makes the node speak: name, packets, and whether it may end the connection. */
const PROVOKE = {
    PINGREQ: () => m.pingreq(),
    'SUBSCRIBE, refused': () => m.subscribe({ filters: ['a/#/b', 'a+', '$share/x', 'x'.repeat(2000)] }),
    'SUBSCRIBE of 60': () => m.subscribe({ filters: Array.from({ length: 60 }, (_, i) => `${NOTHING}/${i}`) }),
    'UNSUBSCRIBE of 60': () => m.unsubscribe({ filters: Array.from({ length: 60 }, (_, i) => `${NOTHING}/${i}`) }),
    'PUBLISH QoS 1': () => m.publish({ topic: NOTHING, qos: 1, pid: 1 }),
    'PUBLISH QoS 1, refused': () => m.publish({ topic: 'x/'.repeat(500), qos: 1, pid: 2 }),
    'PUBLISH QoS 2': () => m.publish({ topic: NOTHING, qos: 2, pid: 3 }),
    'PUBLISH QoS 2, refused': () => m.publish({ topic: 'x/'.repeat(500), qos: 2, pid: 4 }),
    'PUBREL, unknown': () => m.ack(m.PUBREL, 999),
    'PUBREC, unknown': () => m.ack(m.PUBREC, 998),
    malformed: () => Buffer.from([0, 0]),
    'protocol error': () => m.publish({ topic: 'a', props: { subId: 1 } }),
    'not UTF-8': () => m.publish({ topic: Buffer.from([0xff]) }),
    'a second CONNECT': () => m.connect(),
    'too large': () => m.packet(0x30, Buffer.alloc(2_000_000)).subarray(0, 10),
    AUTH: () => m.auth({ props: { authMethod: 'x' } }),
};

conform('nothing the node says is above the client\'s maximum packet size', {
    v5: '3.1.2-24 3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.14.2-3 3.14.2-4',
}, async (t) => {
    const said = new Set();
    for (const maxPacket of [16, 20, 24, 28, 32, 40, 50, 64, 100, 200])
        for (const [name, build] of Object.entries(PROVOKE)) {
            const raw = await open(t, 5);
            await raw.send(m.connect({ id: 'x', props: { maxPacket } }), build(), m.pingreq());
            await raw.pick(m.PINGRESP, 5000).catch((error) => { if (!/^closed/.test(error.message)) throw error; });
            for (const p of raw.received) {
                assert.ok(p.size <= maxPacket, `${name}, ${maxPacket}: ${m.describe(p)} of ${p.size} bytes`);
                if (p.props?.reasonString) said.add(m.NAMES[p.type]);
            }
            await raw.cut();
        }
    assert.ok(said.has('DISCONNECT'), 'with room there is a reason string');
});

conform('a refusal in CONNACK is not above the client\'s maximum packet size', { v5: '3.2.2-19 3.2.2-20 3.1.2-24' }, async (t) => {
    const refusals = { method: { props: { authMethod: 'NO-SUCH-METHOD' } }, will: { will: { topic: 'a/#' } }, receive: { props: { receiveMax: 0 } } };
    let strings = 0;
    for (const maxPacket of [5, 8, 12, 20, 40, 60, 80, 300])
        for (const [name, options] of Object.entries(refusals)) {
            const raw = await open(t, 5);
            await raw.send(m.connect({ id: 'x', ...options, props: { maxPacket, ...options.props } }));
            for (const p of await raw.wantClosed(5000)) {
                assert.ok(p.size <= maxPacket, `${name}, ${maxPacket}: ${m.describe(p)} of ${p.size} bytes`);
                if (p.props.reasonString) strings++;
            }
        }
    assert.ok(strings > 0);
});

conform('a packet above the node\'s maximum ends the connection with 0x95, one of just that size does not', { v5: '3.2.2-15 4.13.1-1', ...ours('another maximum') }, async (t) => {
    const raw = await join(t, 5);
    const { maxPacket } = raw.connack.props;
    const fits = m.publish({ topic: 'a', payload: Buffer.alloc(maxPacket - 8) });
    assert.equal(fits.length, maxPacket);
    await raw.send(fits, m.pingreq());
    await raw.want(m.PINGRESP);
    await raw.send(m.publish({ topic: 'a', payload: Buffer.alloc(maxPacket - 7) }));
    assert.equal(await ending(raw), 0x95);
});

// ---- receive maximum ----

conform('no more unacknowledged messages than the client\'s receive maximum; everything else goes on', { v5: '3.3.4-9 3.3.4-10 4.9.0-1 4.9.0-2 4.9.0-3' }, async (t) => {
    for (const options of [{}, { id: id(), clean: false }])
        for (const receiveMax of [1, 3]) {
            const topic = unique('window');
            const raw = await join(t, 5, { ...options, ...(options.id ? { id: id() } : {}), props: { receiveMax, ...(options.id ? { sessionExpiry: 60 } : {}) } });
            await raw.subscribe(topic, { qos: 2 });
            const pub = await join(t, 5);
            for (let i = 0; i < 12; i++) await pub.publish(topic, `${i}`, { qos: 1 + (i % 2) });
            await pub.publish(topic, 'QoS 0', { qos: 0 });
            const flying = [], got = [];
            for (let i = 0; i < receiveMax; i++) flying.push(await raw.pick(m.PUBLISH));
            assert.ok(flying.every((p) => p.qos > 0));
            await sleep(60);
            const more = raw.received.slice(raw.taken).filter((p) => p.type === m.PUBLISH && p.qos > 0);
            assert.equal(more.length, 0, raw.said());
            // The window is full: pings, subscriptions, our own messages both ways are worked on.
            await raw.send(m.pingreq());
            await raw.pick(m.PINGRESP);
            await raw.subscribe(`${topic}/other`, { qos: 0 });
            await raw.unsubscribe(`${topic}/other`);
            for (const qos of [1, 2]) await raw.publish(unique(), 'x', { qos });
            // Each that is finished makes room for one; a PUBREC alone does not.
            while (got.length < 12) {
                const p = flying.shift() ?? await raw.pick(m.PUBLISH);
                if (p.qos === 0) continue;
                got.push(p.payload.toString());
                if (p.qos === 1) {
                    await raw.send(m.ack(m.PUBACK, p.pid));
                } else {
                    await raw.send(m.ack(m.PUBREC, p.pid));
                    await raw.pick(m.PUBREL);
                    await raw.send(m.ack(m.PUBCOMP, p.pid));
                }
            }
            assert.deepEqual(got, Array.from({ length: 12 }, (_, i) => `${i}`));
        }
});

conform('a PUBACK or PUBREC with an error, and PUBCOMP, make room in the window; PUBREC does not', { v5: '3.3.4-9 4.9.0-2' }, async (t) => {
    const topic = unique('room');
    const raw = await join(t, 5, { props: { receiveMax: 1 } });
    await raw.subscribe(topic, { qos: 2 });
    const pub = await join(t, 5);
    for (const qos of [1, 2, 2, 1]) await pub.publish(topic, `${qos}`, { qos });
    await raw.send(m.ack(m.PUBACK, (await raw.want(m.PUBLISH)).pid, { reason: 0x80 }));
    await raw.send(m.ack(m.PUBREC, (await raw.want(m.PUBLISH)).pid, { reason: 0x80 }));
    const third = await raw.want(m.PUBLISH);
    await raw.send(m.ack(m.PUBREC, third.pid));
    await raw.want(m.PUBREL);
    await raw.quiet(80);
    await raw.send(m.ack(m.PUBCOMP, third.pid));
    await raw.want(m.PUBLISH);
});

conform('a client above the node\'s receive maximum is told 0x93', { v5: '3.3.4-7 4.13.1-1', ...ours('another maximum') }, async (t) => {
    const node = await startPeer({ t, settings: { limits: { 'receive-maximum': 5 } } });
    const raw = await rawConnect({ t, port: node.mqttPort, loose: true });
    assert.equal(raw.connack.props.receiveMax, 5);
    const pub = (pid) => m.publish({ topic: 'a', qos: 2, pid });
    for (let pid = 1; pid <= 5; pid++) await raw.send(pub(pid));
    for (let pid = 1; pid <= 5; pid++) await raw.want(m.PUBREC);
    // 3.3.4-8: other packets are not held back and are answered.
    await raw.send(m.pingreq(), m.subscribe({ pid: 100, filters: 'b' }));
    await raw.want(m.PINGRESP);
    await raw.want(m.SUBACK);
    await raw.send(pub(6));
    assert.equal(await ending(raw), 0x93);
});

// ---- problem and response information ----

conform('without request for problem information reasons come without strings, but in CONNACK and DISCONNECT', { v5: '3.1.2-29' }, async (t) => {
    for (const requestProblem of [0, 1, undefined])
        for (const [name, build] of Object.entries(PROVOKE)) {
            const raw = await join(t, 5, { props: { requestProblem } });
            await raw.send(build(), m.pingreq());
            await raw.pick(m.PINGRESP, 5000).catch((error) => { if (!/^closed/.test(error.message)) throw error; });
            for (const p of raw.received)
                if (requestProblem === 0 && ![m.PUBLISH, m.CONNACK, m.DISCONNECT].includes(p.type))
                    assert.deepEqual([p.props?.reasonString, p.props?.user], [undefined, undefined], name);
            await raw.cut();
        }
});

conform('no response information for who did not ask', { v5: '3.1.2-28' }, async (t) => {
    for (const requestResponse of [0, undefined]) {
        const raw = await join(t, 5, { id: id(), props: { requestResponse } });
        assert.equal(raw.connack.props.responseInfo, undefined);
    }
});

// ---- errors that pass ----

conform('3.1.1: who cannot be told why a message is not taken is closed, and the message is not acknowledged', { v4: '4.8.0-2', ...ours('another setting') }, async (t) => {
    const node = await startPeer({ t, settings: { limits: { 'on-full': 'refuse', 'queued-messages': 2, 'refuse-seconds': '1s' } } });
    const join_ = (options) => rawConnect({ t, port: node.mqttPort, version: 4, keepAlive: 2, loose: true, ...options });
    const away = await join_({ id: 'away', ...kept(4) });
    await away.subscribe('full', { qos: 1 });
    await away.cut();
    const pub = await join_({ id: 'pub' });
    const answers = [];
    for (let i = 1; i <= 4; i++) await pub.send(m.publish({ version: 4, topic: 'full', payload: `${i}`, qos: 1, pid: i }));
    for (const p of await pub.wantClosed(5000)) answers.push(p.pid);
    assert.deepEqual(answers, [1, 2]);
    const back = await join_({ id: 'away', ...kept(4) });
    assert.deepEqual(texts(await back.messages(2)), ['1', '2']);
    await back.quiet(60);
});

conform('reasons of refusals are told in words where they fit and are wanted: PUBACK, PUBREC, SUBACK', { v5: '3.4.2-2 3.5.2-2 3.9.2-1 3.1.2-29 3.4.2-1 3.5.2-1', ...ours('another setting') }, async (t) => {
    const node = await startPeer({ t, settings: { limits: { 'retained-messages': 0, subscriptions: 1 } } });
    const told = { [m.PUBACK]: 0, [m.PUBREC]: 0, [m.SUBACK]: 0 };
    for (const maxPacket of [20, 30, 40, 60, 80, 120, 300, undefined])
        for (const requestProblem of [0, 1]) {
            const raw = await rawConnect({ t, port: node.mqttPort, loose: true, props: { maxPacket, requestProblem } }).catch(() => undefined);
            if (!raw) continue; // CONNACK did not fit
            await raw.send(m.publish({ topic: 'r', payload: 'x', qos: 1, pid: 1, retain: true }), m.publish({ topic: 'r', payload: 'x', qos: 2, pid: 2, retain: true }),
                m.subscribe({ pid: 3, filters: ['a', 'b'] }), m.pingreq());
            await raw.pick(m.PINGRESP);
            for (const type of [m.PUBACK, m.PUBREC, m.SUBACK]) {
                const p = await raw.pick(type);
                assert.ok((p.reason ?? p.reasons[1]) === 0x97, raw.said());
                assert.ok(!maxPacket || p.size <= maxPacket, `${maxPacket}: ${m.describe(p)}`);
                if (requestProblem === 0) assert.equal(p.props.reasonString, undefined);
                else if (p.props.reasonString) told[type]++;
            }
            await raw.cut();
        }
    for (const [type, times] of Object.entries(told)) assert.ok(times > 0, `${m.NAMES[type]} never says why`);
});
