// 1,800 conversations that go wrong, drawn from a seed: some good packets in any segments, then something no client may
// send, then more good packets. The node must give the standard's answer, must not work on what follows, must publish the
// sender's will once, and a watching client must get its own messages undisturbed, all of them and in order.
//
// HOSTILE_SEED and HOSTILE_ONLY=NUMBER repeat one of them.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { sharedPeer } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { rawConnect, rawOpen } from './lib/raw.mjs';
import { sleep, until } from './lib/wait.mjs';

const SEED = Number(process.env.HOSTILE_SEED ?? 20_140_929);
const ONLY = process.env.HOSTILE_ONLY && Number(process.env.HOSTILE_ONLY);
const COUNT = 1800, GROUP = 100, AT_ONCE = 6;

/** A small generator of numbers: the same for the same seed, on every machine. */
function dice(seed) {
    let s = (seed ^ 0x9e3779b9) >>> 0;
    const next = () => {
        s = (s + 0x6d2b79f5) >>> 0;
        let x = Math.imul(s ^ (s >>> 15), s | 1);
        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return (x ^ (x >>> 14)) >>> 0;
    };
    const below = (n) => next() % n;
    return { below, pick: (list) => list[below(list.length)], chance: (percent) => below(100) < percent };
}

// ---- what goes wrong ----

const B = (...bytes) => Buffer.from(bytes);
const NOT_TEXT = [B(0x61, 0x80), B(0xc0, 0xaf), B(0xc0, 0x80), B(0xed, 0xa0, 0x80), B(0xed, 0xbf, 0xbf), B(0xf4, 0x90, 0x80, 0x80), B(0xf8, 0x88, 0x80, 0x80, 0x80),
    B(0xe2, 0x82), B(0xff), B(0x61, 0, 0x62), B(0)];
const none = (v) => (v === 5 ? B(0) : B());
const SYNTAX = [0x81, 0x82], TOPIC = [0x81, 0x82, 0x90], FILTER = [0x81, 0x82, 0x8f];
// A refused topic may be told in PUBACK or PUBREC, a refused filter in SUBACK: then the connection goes on.

/** A good packet with a packet identifier of its own. */
function good(d, v, pid) {
    const topic = `good/${d.below(5)}`;
    return d.pick([
        () => m.publish({ version: v, topic, payload: 'x'.repeat(d.below(300)) }),
        () => m.publish({ version: v, topic, payload: 'q1', qos: 1, pid, dup: d.chance(20), retain: d.chance(20) }),
        () => m.publish({ version: v, topic, payload: 'q2', qos: 2, pid }),
        () => m.subscribe({ version: v, pid, filters: d.pick([topic, [topic, 'good/+'], ['$share/x', 'a/#/b', topic]]), qos: d.below(3) }),
        () => m.unsubscribe({ version: v, pid, filters: [topic, 'nothing'] }),
        () => m.pingreq(),
        () => m.ack(m.PUBREL, 40_000 + d.below(100), { version: v }),
        () => m.ack(d.pick([m.PUBACK, m.PUBREC, m.PUBCOMP]), 50_000 + d.below(100), { version: v }),
    ])();
}

const HOSTILE = {
    'flags that are reserved': (d, v) => {
        const type = d.pick([4, 5, 6, 7, 8, 10, 12, 14]);
        const right = [6, 8, 10].includes(type) ? 2 : 0;
        let flags = (right + 1 + d.below(15)) % 16;
        if (v === 3 && flags === (right | 8)) flags = 15; // DUP: 3.1 allowed it
        const body = { 8: m.subscribe({ version: v, filters: 'a' }), 10: m.unsubscribe({ version: v, filters: 'a' }) }[type]?.subarray(2);
        return [m.packet((type << 4) | flags, body ?? ([12, 14].includes(type) ? B() : m.u16(7))), [0x81]];
    },
    'QoS 3': (d, v) => [m.publish({ version: v, topic: 'a', flags: 6 | d.pick([0, 1, 8, 9]), qos: 1, pid: 1 + d.below(65_535) }), [0x81]],
    'identifier 0': (d, v) => [d.pick([m.publish({ version: v, topic: 'a', qos: 1 + d.below(2), pid: 0 }), m.subscribe({ version: v, pid: 0, filters: 'a' }),
        m.unsubscribe({ version: v, pid: 0, filters: 'a' }), m.ack(4 + d.below(4), 0, { version: v })]), SYNTAX],
    'a type of the server\'s': (d, v) => [d.pick([m.packet(0x20, B(0, 0), none(v)), m.packet(0x90, m.u16(1), none(v), B(0)), m.packet(0xb0, m.u16(1), none(v), B(0)),
        m.packet(0xd0), B(0, 0), B(0x0f, 1, 2)]), SYNTAX],
    'a second CONNECT': (d, v) => [m.connect({ version: d.pick([v, 4, 5]), id: `again-${d.below(9)}` }), [0x82, 0x81]],
    'a length of too many bytes': (d) => [Buffer.concat([B(d.pick([0x30, 0x82, 0xc0, 0xe0, 0x40])),
        d.pick([B(0xff, 0xff, 0xff, 0xff, 1), B(0x80, 0x80, 0x80, 0x80, 0), B(0x82, 0x00), B(0x80, 0x80, 0x00)]), B(0, 1, 0x61)]), [0x81]],
    'a packet that ends inside': (d, v) => {
        const whole = d.pick([m.subscribe({ version: v, filters: 'abc' }), m.unsubscribe({ version: v, filters: 'abc' }),
            m.publish({ version: v, topic: 'abcdef', qos: 1, pid: 9 }), m.ack(4 + d.below(4), 9, { version: v })]);
        const body = whole.subarray(2);
        const most = whole[0] >> 4 === m.PUBLISH ? 9 : body.length - 1;
        return [m.packet(whole[0], body.subarray(0, d.below(most + 1) % body.length)), SYNTAX];
    },
    'bytes behind the end': (d, v) => [d.pick([m.packet(0xc0, B(0)), m.packet(0x40, m.u16(9), B(0, 0, 0)), m.packet(0xe0, B(0, 0, 9)),
        m.packet(0x82, m.u16(3), none(v), m.field('a'), B(0, 7))]), SYNTAX],
    'what is not text': (d, v) => {
        const bad = d.chance(50) ? Buffer.concat([Buffer.from('ok/'), d.pick(NOT_TEXT)]) : d.pick(NOT_TEXT);
        return d.pick([() => [m.publish({ version: v, topic: bad, payload: 'x' }), TOPIC], () => [m.subscribe({ version: v, filters: ['fine', bad] }), FILTER],
            () => [m.unsubscribe({ version: v, filters: bad }), FILTER]])();
    },
    'a topic with a wildcard': (d, v) => [m.publish({ version: v, topic: d.pick(['#', '+', 'a/#', 'a/+/b', 'a+', '#a']), payload: 'x', qos: 0 }), TOPIC],
    'no topic, no filter': (d, v) => [d.pick([m.publish({ version: v, topic: '' }), m.subscribe({ version: v, filters: [] }), m.unsubscribe({ version: v, filters: [] })]), TOPIC],
    'options that are reserved': (d, v) => [m.subscribe({ version: v, filters: ['fine', { filter: 'a', options: v === 5 ? d.pick([3, 0x30, 0x40, 0x80, 0xff]) : 3 + d.below(253) }] }), SYNTAX],
    'a packet above every limit': (d) => [Buffer.concat([B(d.pick([0x30, 0x32, 0x82, 0xa2, 0x62, 0x40])), B(0xff, 0xff, 0xff, 0x7f), Buffer.alloc(d.below(400), 0x61)]), [0x95, 0x81]],
    'a TLS or HTTP greeting': (d) => [d.pick([B(0x16, 3, 1, 2, 0, 1, 0), Buffer.from('GET / HTTP/1.1\r\n\r\n')]), [0x81]],
    AUTH: (d) => [d.pick([m.packet(0xf0), m.auth({ reason: d.pick([0, 0x18, 0x19, 7]), props: { authMethod: 'x' } }), m.packet(0xf0, B(0x18)), B(0xf5, 0)]), [0x81, 0x82, 0x8c]],
};
const PROPERTIES = { // version 5 only
    'a property that does not belong': (d) => {
        const carry = d.pick([(props) => m.publish({ topic: 'a', props }), (props) => m.subscribe({ filters: 'a', props }), (props) => m.unsubscribe({ filters: 'a', props }),
            (props) => m.ack(m.PUBACK, 9, { props }), (props) => m.ack(m.PUBREL, 9, { props }), (props) => m.disconnect({ reason: 4, props })]);
        const [name, value] = d.pick([['assignedClientId', 'x'], ['serverKeepAlive', 1], ['requestProblem', 1], ['willDelay', 1], ['requestResponse', 0], ['responseInfo', 'x'],
            ['receiveMax', 1], ['topicAliasMax', 1], ['maxQos', 1], ['retainAvailable', 1], ['maxPacket', 9], ['wildcardAvailable', 1], ['subIdAvailable', 1], ['sharedAvailable', 1]]);
        return [carry(m.prop(name, value)), SYNTAX];
    },
    'a property twice': (d) => [m.publish({ topic: 'a', props: d.pick([{ contentType: ['a', 'b'] }, { payloadFormat: [0, 0] }, { messageExpiry: [1, 1] }, { responseTopic: ['r', 'r'] },
        { correlation: [B(1), B(1)] }, { topicAlias: [1, 1] }]) }), [0x82, 0x81, 0x94]],
    'a value that may not be': (d) => [d.pick([m.publish({ topic: 'a', props: { payloadFormat: 2 + d.below(254) } }), m.publish({ topic: 'a', props: { responseTopic: d.pick(['#', 'a/+', '']) } }),
        m.publish({ topic: 'a', props: { subId: 1 } }), m.subscribe({ filters: 'a', props: { subId: 0 } }), m.subscribe({ filters: 'a', props: { subId: [1, 2] } }),
        m.publish({ topic: 'a', props: { topicAlias: 0 } }), m.publish({ topic: 'a', props: { contentType: d.pick(NOT_TEXT) } }),
        m.publish({ topic: 'a', props: { user: [['k', d.pick(NOT_TEXT)]] } }), m.ack(m.PUBACK, 9, { reason: d.pick([1, 0x81, 0x92, 0xff]) }),
        m.ack(m.PUBREL, 9, { reason: d.pick([0x10, 0x80, 0x97]) }), m.disconnect({ reason: d.pick([1, 0x18, 0x84, 0xff]) }),
        m.subscribe({ filters: { filter: '$share/g/a', noLocal: true } })]), [0x81, 0x82, 0x94, 0x99, 0xa1, 0x9e]],
    'a property list that is broken': (d) => [m.packet(0x30, m.field('a'), d.pick([m.varint(200), B(1), B(3, 0x01, 0x01), B(2, 0x02, 0), B(2, 0x26, 0), B(5, 0x26, 0, 1, 0x61, 0),
        B(0xff, 0xff, 0xff, 0xff, 1), B(0x81, 0x00, 0x01), B(2, 0x7f, 0), B(3, 0x81, 0x01, 0)])), SYNTAX],
    'an alias that was never set': (d) => [m.publish({ topic: '', props: { topicAlias: 1 + d.below(65_535) } }), [0x82, 0x94]],
    'more properties than anyone needs': () => [m.publish({ topic: 'a', props: { user: Array.from({ length: 3000 }, () => ['', '']) } }), [0x82, 0x95, 0x97]],
};
/** First packets. */
const GREETINGS = {
    'anything but CONNECT': (d, v) => [d.pick([good(d, v, 1), m.disconnect({ version: v }), m.auth(), B(0, 0), Buffer.alloc(50, d.below(256)), Buffer.from('GET / HTTP/1.1\r\n\r\n')])],
    'CONNECT with damage': (d, v) => {
        const whole = m.connect({ version: v, id: 'damaged', will: { topic: 'w', payload: 'x' }, user: 'u', password: 'p' });
        const n = 10 + d.below(whole.length - 11);
        return [m.packet(0x10, whole.subarray(2, n))];
    },
    'CONNECT with wrong fields': (d, v) => [m.connect({ version: v, id: 'x', ...d.pick([{ flags: 3 }, { flags: 0x1e, will: { topic: 'a' } }, { flags: 0x0a }, { flags: 0x22 }, { name: 'MQXX' }, { name: '' },
        { level: v === 5 ? 6 : 2 }, { id: d.pick(NOT_TEXT) }, { will: { topic: d.pick(NOT_TEXT) } }, { will: { topic: d.pick(['', '#', 'a/+']) } }, { user: d.pick(NOT_TEXT) }, { flags: 0x82 },
        { flags: 0x42 | 0x80 }, ...(v === 5 ? [{ props: { receiveMax: 0 } }, { props: { maxPacket: 0 } }, { props: { requestProblem: 2 } }, { props: { sessionExpiry: [1, 1] } },
            { props: m.prop('topicAlias', 1) }, { props: { authData: B(1) } }, { props: { authMethod: 'NO-SUCH-METHOD' } }, { will: { topic: 'w', props: { payloadFormat: 2 } } },
            { will: { topic: 'w', props: m.prop('sessionExpiry', 1) } }] : [])]) })],
    'an announced length and no more': (d) => [Buffer.concat([B(d.below(16) << 4), B(0xff, 0xff, 0xff, 0x7f)])],
};
const CONNACK_REASONS = [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f];
const ANY_REASON = [0x81, 0x82, 0x83, 0x87, 0x8c, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x97, 0x99, 0x9e, 0xa1];

// ---- the conversations ----

const shared = sharedPeer({
    prepare: async (it) => {
        it.watcher = await rawConnect({ port: it.port, id: 'watcher', props: { sessionExpiry: 600 } });
        await it.watcher.subscribe([{ filter: 'watched', qos: 1 }, { filter: 'canary/#', qos: 1 }, { filter: 'wills/#', qos: 1 }]);
        it.seen = { watched: [], canary: [], wills: new Map() };
        it.watcher.onPacket = (p) => {
            if (p.type !== m.PUBLISH) return;
            if (p.topic === 'watched') it.seen.watched.push(Number(p.payload));
            else if (p.topic.startsWith('canary')) it.seen.canary.push(p.payload.toString());
            else it.seen.wills.set(p.payload.toString(), (it.seen.wills.get(p.payload.toString()) ?? 0) + 1);
            it.watcher.send(m.ack(m.PUBACK, p.pid));
        };
        const clock = await rawConnect({ port: it.port, id: 'clock', onPacket: () => {} });
        it.told = 0;
        const timer = setInterval(() => clock.send(m.publish({ topic: 'watched', payload: `${it.told++}`, qos: 1, pid: (it.told % 65_000) + 1 })), 15);
        return async () => { clearInterval(timer); await clock.cut(); await it.watcher.cut(); };
    },
});

async function inPieces(raw, d, bytes) {
    if (d.chance(50)) return raw.send(bytes);
    for (let at = 0; at < bytes.length && !raw.ended;) {
        const n = 1 + d.below(d.chance(30) ? 3 : 60);
        await raw.send(bytes.subarray(at, at + n));
        at += n;
    }
    return undefined;
}

const hex = (x) => (typeof x === 'number' ? `0x${x.toString(16)}` : x);

async function wrongGreeting(t, d, v, number) {
    const name = d.pick(Object.keys(GREETINGS));
    d.name = name;
    const [bytes] = GREETINGS[name](d, v);
    const raw = await rawOpen({ t, port: shared.port, version: v });
    await inPieces(raw, d, Buffer.concat([bytes, m.publish({ version: v, topic: `canary/${number}`, payload: `${number}`, qos: 1, pid: 1 })]));
    const rest = await raw.wantClosed(8000);
    assert.ok(rest.length <= 1, `${name}: ${raw.said()}`);
    for (const p of rest) {
        assert.equal(p.type, m.CONNACK, `${name}: ${raw.said()}`);
        // A level that is not spoken is answered in the version it comes nearest to: what matters is that it is no success.
        if (v === 5) assert.ok(CONNACK_REASONS.includes(p.reason), `${name}: ${raw.said()}`);
        else assert.ok(p.reason !== 0, `${name}: ${raw.said()}`);
    }
    return name;
}

async function wrongPacket(t, d, v, number) {
    const table = v === 5 && d.chance(40) ? PROPERTIES : HOSTILE;
    const name = d.pick(Object.keys(table));
    d.name = name;
    const [bytes, reasons] = table[name](d, v);
    const kept = d.chance(40);
    const raw = await rawConnect({ t, port: shared.port, version: v, id: `h-${number}`, clean: !kept, keepAlive: 60,
        will: { topic: `wills/${number % 7}`, payload: `${number}`, qos: 1 }, ...(v === 5 && kept ? { props: { sessionExpiry: 2 } } : {}) });
    const before = Array.from({ length: d.below(7) }, (_, i) => good(d, v, 100 + i));
    const after = [m.publish({ version: v, topic: `canary/${number}`, payload: `${number}`, qos: 1, pid: 999 }), m.pingreq()];
    await inPieces(raw, d, Buffer.concat([...before, bytes, ...after]));
    const rest = await raw.wantClosed(8000);
    const last = rest.filter((p) => p.type === m.DISCONNECT);
    assert.equal(rest.filter((p) => p.type === m.PUBACK && p.pid === 999).length, 0, `${name}: it goes on after the error`);
    if (v < 5) {
        assert.equal(last.length, 0, `${name}: 3.1.1 knows no DISCONNECT from a server`);
    } else {
        assert.ok(last.length === 1 && rest.at(-1) === last[0], `${name}: ${raw.said()}`);
        assert.ok(reasons.includes(last[0].reason), `${name}: ${hex(last[0].reason)}, not ${reasons.map(hex)}`);
    }
    shared.due.push(`${number}`);
    return name;
}

/** Bytes flipped in good packets: nobody can say what they mean then, but every answer must be one that exists. */
async function flipped(t, d, v, number) {
    const raw = await rawConnect({ t, port: shared.port, version: v, id: `flipped-${number}` });
    const bytes = Buffer.concat(Array.from({ length: 1 + d.below(6) }, (_, i) => good(d, v, 100 + i)));
    for (let i = 1 + d.below(4); i; i--) bytes[d.below(bytes.length)] ^= 1 << d.below(8);
    await inPieces(raw, d, bytes);
    await raw.send(m.pingreq());
    await until(() => raw.ended || raw.received.some((p) => p.type === m.PINGRESP), '', 150, 2).catch(() => {}); // else it waits for more, as it may
    if (raw.wrong) throw raw.wrong;
    for (const p of raw.received.filter((one) => one.type === m.DISCONNECT)) {
        assert.equal(v, 5);
        assert.ok(ANY_REASON.includes(p.reason), raw.said());
    }
    await raw.cut();
    return 'flipped bits';
}

async function conversation(t, number) {
    const d = dice(SEED + number * 7919);
    const v = d.pick([3, 4, 4, 5, 5, 5]);
    const kind = d.below(100);
    try {
        if (kind < 20) return await wrongGreeting(t, d, v, number);
        if (kind < 80) return await wrongPacket(t, d, v, number);
        return await flipped(t, d, v, number);
    } catch (error) {
        error.message = `sequence ${number} of seed ${SEED}, version ${v}, ${d.name}: ${error.message}`;
        throw error;
    }
}

shared.due = [];
const kinds = new Map();
for (let from = 0; from < COUNT; from += GROUP)
    test(`hostile sequences ${from} to ${from + GROUP - 1}`, { skip: ONLY !== undefined && !(ONLY >= from && ONLY < from + GROUP) }, async (t) => {
        const numbers = Array.from({ length: GROUP }, (_, i) => from + i).filter((i) => ONLY === undefined || i === ONLY);
        const worker = async () => {
            for (let number; (number = numbers.shift()) !== undefined;) {
                const name = await conversation(t, number);
                kinds.set(name, (kinds.get(name) ?? 0) + 1);
            }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
        // Each will came, once; nothing sent behind an error was taken; the watcher hears its clock as ever.
        await until(() => shared.due.every((number) => shared.seen.wills.has(number)), 'the wills come', 3000);
        for (const number of shared.due) assert.equal(shared.seen.wills.get(number), 1, `the will of ${number}`);
        assert.deepEqual(shared.seen.canary, []);
        const { told } = shared;
        await until(() => shared.seen.watched.length >= told, `the watcher has ${shared.seen.watched.length} of ${told}`, 3000);
        assert.deepEqual(shared.seen.watched, shared.seen.watched.map((_, i) => i), 'all of them, once and in order');
    });

test('every kind of wrong was among them', { skip: ONLY !== undefined }, async () => {
    await sleep(0);
    for (const name of [...Object.keys(HOSTILE), ...Object.keys(PROPERTIES), ...Object.keys(GREETINGS), 'flipped bits'])
        assert.ok((kinds.get(name) ?? 0) >= 8, `${name}: ${kinds.get(name)}`);
});
