// What the standards demand about CONNECT, CONNACK, client identifiers, keep alive, DISCONNECT and the end of a connection.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { FIELDGATE } from './lib/node.mjs';
import { ours, startMosquitto, startPeer, unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { run, start } from './lib/process.mjs';
import { ending, rawConnect } from './lib/raw.mjs';
import { sleep, within } from './lib/wait.mjs';

const { open, join } = stage();

/** Refused or closed: 3.1.1 with `code` in CONNACK or without a word, 5.0 with one of `reasons` or without a word. */
async function isRefused(raw, { code, reasons }) {
    const rest = await raw.wantClosed(5000);
    assert.ok(rest.length <= 1, raw.said());
    if (raw.version < 5 && code === undefined) assert.deepEqual(rest, [], raw.said());
    for (const p of rest) {
        assert.equal(p.type, m.CONNACK, raw.said());
        assert.equal(p.sessionPresent, false);
        if (raw.version === 5) assert.ok([reasons].flat().includes(p.reason), raw.said());
        else assert.equal(p.reason, code);
    }
    return rest[0];
}

// ---- the first packet ----

conform('a connection whose first packet is not CONNECT is closed', { v4: '3.1.0-1 4.8.0-1', v5: '3.1.0-1 3.14.0-1 4.13.1-1' }, async (t, version) => {
    for (const first of [m.publish({ version, topic: 'a' }), m.subscribe({ version, filters: 'a' }), m.pingreq(), m.disconnect({ version }),
        m.ack(m.PUBACK, 1), m.unsubscribe({ version, filters: 'a' })]) {
        const raw = await open(t, version);
        await raw.send(first);
        assert.deepEqual(await raw.wantClosed(5000), [], 'nothing is said before CONNACK, above all no DISCONNECT');
    }
});

conform('a second CONNECT ends the connection', { v4: '3.1.0-2 4.8.0-1', v5: '3.1.0-2 3.2.0-2 4.13.1-1' }, async (t, version) => {
    for (const same of [true, false]) {
        const name = id();
        const raw = await join(t, version, { id: name });
        await raw.send(m.connect({ version, id: same ? name : id() }), m.pingreq());
        const rest = await raw.wantClosed(5000);
        assert.equal(rest.filter((p) => p.type === m.CONNACK || p.type === m.PINGRESP).length, 0, 'one CONNACK, and nothing after the error is heard');
        if (version === 5) assert.deepEqual(rest.map((p) => [p.type, p.reason]), [[m.DISCONNECT, 0x82]]);
    }
});

conform('another protocol name is not worked on', { v4: '3.1.2-1', v5: '3.1.2-1' }, async (t, version) => {
    for (const name of ['mqtt', 'MQTt', 'MQTT ', 'HTTP', '', 'MQIsdp']) {
        const raw = await open(t, version);
        await raw.send(m.connect({ version, name, level: version, id: id() }), m.pingreq());
        const rest = await raw.wantClosed(5000);
        assert.ok(rest.length === 0 || (rest.length === 1 && rest[0].type === m.CONNACK && rest[0].reason === (version === 5 ? 0x84 : 1)), raw.said());
    }
});

conform('an unknown level gets CONNACK and the end', { v4: '3.1.2-2', v5: '3.1.2-2 3.2.2-7' }, async (t, version) => {
    for (const level of version === 5 ? [6, 7, 127, 255] : [0, 1, 2, 3]) {
        const raw = await open(t, version);
        await raw.send(m.connect({ version, level, name: 'MQTT', id: id() }));
        const answer = await raw.want(m.CONNACK);
        assert.deepEqual([answer.reason, answer.sessionPresent], [version === 5 ? 0x84 : 1, false]);
        await raw.wantClosed(5000);
    }
});

conform('the reserved connect flag is refused', { v4: '3.1.2-3 3.1.4-1 3.2.2-6', v5: '3.1.2-3 3.1.4-1 3.2.2-8' }, async (t, version) => {
    const raw = await open(t, version);
    await raw.send(m.connect({ version, flags: 3, id: id() }), m.pingreq());
    await isRefused(raw, { reasons: [0x81, 0x82] });
});

/** Fields of CONNECT's payload written one by one, flags said independently. */
function odd(version, flags, ...fields) {
    const head = [m.field('MQTT'), m.byte(version), m.byte(flags), m.u16(60)];
    if (version === 5) head.push(m.byte(0));
    return m.packet(0x10, ...head, ...fields);
}
const willProps = (version) => (version === 5 ? [m.byte(0)] : []);
const f = m.field;
const MALFORMED_CONNECTS = [
    // what, flags, payload, numbers in 3.1.1, in 5.0
    ['a will QoS of 3', 0x1e, (v) => [f('i'), ...willProps(v), f('w'), f('x')], '3.1.2-14', '3.1.2-12'],
    ['a will QoS without a will', 0x0a, () => [f('i')], '3.1.2-13 3.1.2-11', '3.1.2-11'],
    ['will retain without a will', 0x22, () => [f('i')], '3.1.2-15 3.1.2-11', '3.1.2-13'],
    ['a will flag without a will', 0x06, () => [f('i')], '3.1.2-9', '3.1.2-9'],
    ['a will flag and only a topic', 0x06, (v) => [f('i'), ...willProps(v), f('w')], '3.1.2-9', '3.1.2-9'],
    ['a will, but no flag for it', 0x02, (v) => [f('i'), ...willProps(v), f('w'), f('x')], '3.1.2-11', '3.1.4-1'],
    ['a user name, but no flag for it', 0x02, () => [f('i'), f('user')], '3.1.2-18', '3.1.2-16'],
    ['a flag for a user name, but none', 0x82, () => [f('i')], '3.1.2-19', '3.1.2-17'],
    ['a password, but no flag for it', 0x82, () => [f('i'), f('user'), f('pw')], '3.1.2-20', '3.1.2-18'],
    ['a flag for a password, but none', 0xc2, () => [f('i'), f('user')], '3.1.2-21', '3.1.2-19'],
    ['no client identifier', 0x02, () => [], '3.1.3-3', '3.1.3-3'],
    ['user name and client identifier changed over, which shows as a wrong length', 0x82, () => [f('user'), m.u16(9), Buffer.from('i')], '3.1.3-1', '3.1.3-1'],
    ['a client identifier that is not UTF-8', 0x02, () => [f(Buffer.from([0x69, 0xff]))], '3.1.3-4 1.5.3-1', '3.1.3-4 1.5.4-1'],
    ['a client identifier with a surrogate', 0x02, () => [f(Buffer.from([0xed, 0xa0, 0x80]))], '3.1.3-4 1.5.3-1', '3.1.3-4 1.5.4-1'],
    ['a client identifier with U+0000', 0x02, () => [f(Buffer.from('a\0b'))], '1.5.3-2', '1.5.4-2'],
    ['a will topic that is not UTF-8', 0x06, (v) => [f('i'), ...willProps(v), f(Buffer.from([0xc0, 0x80])), f('x')], '3.1.3-10', '3.1.3-11'],
    ['a user name that is not UTF-8', 0x82, () => [f('i'), f(Buffer.from([0xe2, 0x82]))], '3.1.3-11', '3.1.3-12'],
];
for (const [what, flags, fields, v4, v5] of MALFORMED_CONNECTS)
    conform(`CONNECT with ${what} is refused`, { v4: `${v4} 3.1.4-1 3.2.2-6`, v5: `${v5} 3.1.4-1 3.14.0-1` }, async (t, version) => {
        const raw = await open(t, version);
        await raw.send(odd(version, flags, ...fields(version)), m.pingreq());
        await isRefused(raw, { reasons: [0x81, 0x82, 0x85, 0x90] });
    });

conform('3.1.1: a password without a user name is refused; 5.0 allows it', { v4: '3.1.2-22', v5: '3.1.2-19' }, async (t, version) => {
    const raw = await open(t, version);
    await raw.send(odd(version, 0x42, f(id()), f('secret')));
    if (version === 5) assert.equal((await raw.want(m.CONNACK)).reason, 0);
    else await isRefused(raw, {});
});

conform('all fields of CONNECT together, in their order', { v4: '3.1.3-1 3.1.4-4 3.2.0-1', v5: '3.1.3-1 3.1.4-5 3.2.0-1' }, async (t, version) => {
    const raw = await join(t, version, { id: id(), user: 'user', password: 'pw', will: { topic: 'w', payload: 'x', qos: 1 } });
    assert.equal(raw.received[0].type, m.CONNACK);
});

conform('what comes behind a refused CONNECT is not worked on', { v4: '3.1.4-5', v5: '3.1.4-6 3.1.4-2' }, async (t, version) => {
    const topic = unique('refused');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const refusals = version === 5
        ? [m.connect({ props: { receiveMax: 0 } }), m.connect({ level: 6 }), m.connect({ props: { authMethod: 'NO-SUCH-METHOD' } }), m.connect({ id: Buffer.from('a\0') })]
        : [m.connect({ version, id: '', clean: false }), m.connect({ version, level: 2, id: 'x' }), m.connect({ version, flags: 3 })];
    for (const refused of refusals) {
        const raw = await open(t, version);
        await raw.send(refused, m.publish({ version, topic, payload: 'x' }), m.publish({ version, topic, payload: 'x', qos: 1, pid: 1 }));
        const rest = await raw.wantClosed(5000);
        assert.ok(rest.every((p) => p.type === m.CONNACK && p.reason !== 0), raw.said());
    }
    await watcher.quiet(200);
});

// ---- CONNACK ----

conform('a good CONNECT gets CONNACK first, and once', { v4: '3.1.4-4 3.2.0-1', v5: '3.1.4-5 3.2.0-1 3.2.0-2 3.2.2-1' }, async (t, version) => {
    const raw = await open(t, version);
    // Packets sent at once must not be answered before CONNACK; reserved flags: see decode() and `session present`.
    await raw.send(m.connect({ version, id: id() }), m.pingreq(), m.subscribe({ version, filters: unique() }), m.pingreq());
    const types = [];
    for (let i = 0; i < 4; i++) types.push((await raw.next()).type);
    assert.equal(types[0], m.CONNACK);
    assert.equal(types.filter((type) => type === m.CONNACK).length, 1);
    assert.equal(types.filter((type) => type === m.PINGRESP).length, 2);
    await raw.quiet(50);
});

conform('the acknowledge flags of CONNACK are 0 or 1', { v5: '3.2.2-1' }, async (t) => {
    const name = id();
    for (const want of [0, 1]) {
        const raw = await open(t, 5);
        const bytes = [];
        raw.socket.on('data', (data) => bytes.push(...data));
        await raw.connect({ id: name, clean: false, props: { sessionExpiry: 60 } });
        assert.equal(bytes[2], want, 'the byte behind the remaining length');
        await raw.cut();
    }
});

conform('session present says whether there is a session', {
    v4: '3.1.2-4 3.1.2-6 3.1.4-3 3.2.2-1 3.2.2-2 3.2.2-3', v5: '3.1.2-4 3.1.2-5 3.1.2-6 3.1.4-4 3.2.2-2 3.2.2-3',
}, async (t, version) => {
    const name = id();
    const again = async (options) => {
        const raw = await join(t, version, { id: name, ...options });
        assert.equal(raw.connack.reason, 0);
        const { sessionPresent } = raw.connack;
        await raw.send(m.disconnect({ version }));
        await raw.wantClosed();
        return sessionPresent;
    };
    assert.equal(await again(kept(version)), false);
    assert.equal(await again(kept(version)), true);
    assert.equal(await again({ ...kept(version), clean: true }), false);
    // In 5.0 that session, too, was kept; in 3.1.1 it ended with its connection.
    assert.equal(await again(kept(version)), version === 5);
    assert.equal(await again({ clean: true }), false);
    assert.equal(await again(kept(version)), false);
});

conform('a refusal of an identifier that has a session says that no session is present', { v4: '3.2.2-4 3.2.2-5', v5: '3.2.2-6 3.2.2-7 4.13.2-1' }, async (t, version) => {
    const name = id();
    await (await join(t, version, { id: name, ...kept(version) })).cut();
    const raw = await open(t, version);
    await raw.send(version === 5 ? m.connect({ id: name, clean: false, props: { authMethod: 'NO-SUCH-METHOD', sessionExpiry: 60 } })
        : m.connect({ version, id: name, clean: false, level: 2 }));
    const answer = await raw.want(m.CONNACK);
    assert.ok(answer.reason !== 0);
    assert.equal(answer.sessionPresent, false);
    await raw.wantClosed(5000);
});

conform('reasons of CONNACK are those of the list', { v5: '3.2.2-8 3.2.2-7' }, async (t) => {
    const list = [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f];
    const bad = [{ props: { maxPacket: 0 } }, { props: { receiveMax: 0 } }, { level: 9 }, { id: Buffer.from([0xff]) }, { will: { topic: 'a/+' } },
        { will: { topic: '#' } }, { props: { user: Array.from({ length: 500 }, () => ['', '']) } }, { props: { authMethod: 'x' } },
        { props: { sessionExpiry: [1, 2] } }, { id: 'x'.repeat(60_000) }, { will: { topic: 'x/'.repeat(1000) } }];
    for (const options of bad) {
        const raw = await open(t, 5);
        await raw.send(m.connect({ id: 'x', ...options }));
        for (const p of await raw.wantClosed(5000)) assert.ok(p.type === m.CONNACK && list.includes(p.reason), raw.said());
    }
});

conform('everything optional is supported, and CONNACK does not say otherwise', { v5: '3.2.2-9 3.2.2-10 3.2.2-12 3.2.2-13', v4: '3.8.3-2' }, async (t, version) => {
    const topic = unique('all');
    const raw = await join(t, version, { id: id(), will: { topic: `${topic}/will`, payload: 'w', qos: 2, retain: true } });
    for (const name of ['maxQos', 'retainAvailable', 'wildcardAvailable']) assert.equal(raw.connack.props?.[name], undefined, name);
    assert.deepEqual((await raw.subscribe([`${topic}/+/0`, `${topic}/+/1`, `${topic}/+/2`].map((filter, qos) => ({ filter, qos })))).reasons, [0, 1, 2]);
    const other = await join(t, version);
    for (const qos of [0, 1, 2]) await other.publish(`${topic}/x/${qos}`, 'x', { qos, retain: true });
    const seen = [];
    while (seen.length < 3) seen.push(await raw.message());
    assert.deepEqual(seen.map((p) => p.qos).sort(), [0, 1, 2]);
    await raw.cut();
    const late = await join(t, version);
    await late.subscribe(`${topic}/will`, { qos: 2 });
    assert.deepEqual([(await late.message())].map((p) => [p.qos, p.retain]), [[2, true]]);
});

// ---- client identifiers ----

conform('identifiers of 1 to 23 letters and digits are accepted', { v4: '3.1.3-5', v5: '3.1.3-5' }, async (t, version) => {
    const all = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
    for (let i = 0; i < all.length; i++) {
        const name = (all + all).slice(i, i + 1 + (i % 23));
        const raw = await join(t, version, { id: name });
        assert.equal(raw.connack.props?.assignedClientId, undefined, 'it has its own');
        await raw.cut();
    }
});

conform('an empty identifier gets one that nobody else has', { v4: '3.1.3-6 3.1.3-2', v5: '3.1.3-6 3.1.3-7 3.2.2-16' }, async (t, version) => {
    const all = await Promise.all(Array.from({ length: 20 }, () => join(t, version, { id: '' })));
    if (version === 5) {
        const names = all.map((raw) => raw.connack.props.assignedClientId);
        assert.equal(new Set(names).size, 20);
        assert.ok(names.every((name) => name.length > 0));
    }
    for (const raw of all) { await raw.send(m.pingreq()); await raw.want(m.PINGRESP); } // none took another's place
});

conform('the assigned identifier is the session\'s', { v5: '3.1.3-7 3.1.3-2' }, async (t) => {
    const topic = unique('assigned');
    const first = await join(t, 5, { id: '', clean: true, props: { sessionExpiry: 60 } });
    const { assignedClientId } = first.connack.props;
    await first.subscribe(topic, { qos: 1 });
    await first.cut();
    const second = await join(t, 5, { id: assignedClientId, clean: false, props: { sessionExpiry: 60 } });
    assert.equal(second.connack.sessionPresent, true);
    assert.equal(second.connack.props.assignedClientId, undefined);
    await (await join(t, 5)).publish(topic, 'x');
    await second.message();
});

conform('3.1.1: an empty identifier with CleanSession 0 is refused with 2', { v4: '3.1.3-7 3.1.3-8 3.1.3-9 3.2.2-4 3.2.2-5' }, async (t, version) => {
    const raw = await open(t, version);
    await raw.send(m.connect({ version, id: '', clean: false }));
    assert.deepEqual([await raw.want(m.CONNACK)].map((p) => [p.reason, p.sessionPresent]), [[2, false]]);
    await raw.wantClosed(5000);
});

conform('an identifier that is refused is refused with 0x85 at most', { v5: '3.1.3-8' }, async (t) => {
    for (const bad of [Buffer.from('a\0b'), Buffer.from([0x80]), 'x'.repeat(65_535)]) {
        const raw = await open(t, 5);
        await raw.send(m.connect({ id: bad }));
        await isRefused(raw, { reasons: [0x81, 0x85, 0x95] });
    }
});

conform('sessions go by the client identifier, to the byte', { v4: '3.1.3-2', v5: '3.1.3-2' }, async (t, version) => {
    const name = id();
    const topic = unique('by-id');
    const first = await join(t, version, { id: name, ...kept(version) });
    await first.subscribe(topic, { qos: 1 });
    await first.cut();
    for (const other of [name.slice(0, -1), name.toUpperCase(), `${name}\u00e9`, `${name}e\u0301`]) {
        const raw = await join(t, version, { id: other, ...kept(version) });
        assert.equal(raw.connack.sessionPresent, false, other);
        await raw.cut();
    }
    assert.equal((await join(t, version, { id: name, ...kept(version) })).connack.sessionPresent, true);
});

conform('a connection with the identifier of another ends that one', { v4: '3.1.4-2', v5: '3.1.4-3 3.14.4-2' }, async (t, version) => {
    const name = id();
    for (const options of [kept(version), { clean: true }]) {
        const first = await join(t, version, { id: name, ...options });
        const second = await join(t, version, { id: name, ...options });
        const rest = await first.wantClosed(5000);
        assert.deepEqual(rest.map((p) => [p.type, p.reason]), version === 5 ? [[m.DISCONNECT, 0x8e]] : []);
        await second.send(m.pingreq());
        await second.want(m.PINGRESP);
        await second.cut();
    }
});

// ---- keep alive and pings ----

conform('PINGREQ gets PINGRESP', { v4: '3.12.4-1', v5: '3.12.4-1' }, async (t, version) => {
    const raw = await join(t, version);
    for (let i = 0; i < 3; i++) {
        await raw.send(m.pingreq());
        await raw.want(m.PINGRESP);
    }
});

conform('whoever is silent for one and a half keep alive times is closed, and its will published', { v4: '3.1.2-24 3.1.2-8', v5: '3.1.2-22 3.2.2-22 3.1.2-8' }, async (t, version) => {
    const topic = unique('silent');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const silent = await join(t, version, { id: id(), keepAlive: 1, will: { topic, payload: 'silent' } });
    assert.equal(silent.connack.props?.serverKeepAlive, undefined, 'its own value counts');
    const talks = await join(t, version, { id: id(), keepAlive: 1 });
    const timer = setInterval(() => talks.send(m.publish({ version, topic: unique(), payload: 'x' })), 400); // any packet is a life sign
    t.after(() => clearInterval(timer));
    const start = performance.now();
    const rest = await silent.wantClosed(5000);
    const took = performance.now() - start;
    assert.ok(took > 1400 && took < 4000, `${took} ms`);
    if (version === 5) assert.deepEqual(rest.map((p) => [p.type, p.reason]), [[m.DISCONNECT, 0x8d]]);
    assert.equal((await watcher.message()).payload.toString(), 'silent');
    assert.equal(talks.ended, false);
});

conform('a server keep alive is told, and is what counts', { v5: '3.2.2-21 3.1.2-21', ...ours('it has no such setting here') }, async (t) => {
    const node = await startPeer({ t, settings: { limits: { 'keep-alive': '1s' } } });
    for (const keepAlive of [0, 120]) {
        const raw = await rawConnect({ t, port: node.mqttPort, keepAlive });
        assert.equal(raw.connack.props.serverKeepAlive, 1);
        const start = performance.now();
        assert.equal(await ending(raw, 5000), 0x8d);
        assert.ok(performance.now() - start > 1400);
    }
});

// ---- DISCONNECT ----

conform('DISCONNECT with reserved bits ends the connection, and the will comes', { v4: '3.14.1-1 2.2.2-2', v5: '3.14.1-1' }, async (t, version) => {
    const topic = unique('flags');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    for (let flags = 1; flags < 16; flags += 2) {
        const raw = await join(t, version, { id: id(), will: { topic, payload: `${flags}` } });
        await raw.send(Buffer.from([0xe0 | flags, 0]));
        const rest = await raw.wantClosed(5000);
        assert.deepEqual(rest.map((p) => [p.type, p.reason]), version === 5 ? [[m.DISCONNECT, 0x81]] : []);
        assert.equal((await watcher.message()).payload.toString(), `${flags}`);
    }
});

conform('after DISCONNECT nothing is worked on, and the node closes', { v4: '3.14.4-1 3.14.4-2', v5: '3.14.4-1 3.14.4-2' }, async (t, version) => {
    const topic = unique('after');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const raw = await join(t, version, { id: id() });
    await raw.send(m.disconnect({ version }), m.publish({ version, topic, payload: 'late' }), m.pingreq());
    assert.deepEqual(await raw.wantClosed(5000), []);
    await watcher.quiet(150);
});

conform('a DISCONNECT of the node is its last packet, has a reason of the list and no session expiry', { v5: '3.14.2-1 3.14.2-2 3.14.4-1 3.14.4-2 4.13.2-1' }, async (t) => {
    const list = [0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2];
    const topic = unique('last');
    const bad = [m.publish({ topic: 'a/#' }), m.publish({ topic: 'a', flags: 6, qos: 1, pid: 1 }), m.subscribe({ filters: [] }), Buffer.from([0xf1, 0]),
        m.publish({ topic, props: { topicAlias: 0 } }), m.publish({ topic: 'a', props: { user: Array.from({ length: 2000 }, () => ['', '']) } }),
        m.packet(0x30, Buffer.alloc(3_000_000)).subarray(0, 100), m.auth({ props: { authMethod: 'x' } }), m.publish({ topic: '', props: {} }),
        m.publish({ topic: Buffer.from([0xff]) })];
    for (const sent of bad) {
        const raw = await join(t, 5, { id: id(), props: { sessionExpiry: 60 } });
        await raw.subscribe(topic);
        await raw.send(m.publish({ topic, payload: 'before' }), sent, m.publish({ topic, payload: 'after' }), m.pingreq());
        const rest = await raw.wantClosed(5000);
        const last = rest.at(-1);
        assert.equal(last?.type, m.DISCONNECT, raw.said());
        assert.ok(list.includes(last.reason), raw.said());
        assert.equal(last.props.sessionExpiry, undefined);
        assert.equal(rest.filter((p) => p.type === m.DISCONNECT).length, 1);
        assert.ok(rest.every((p) => p.type !== m.PINGRESP && p.payload?.toString() !== 'after'), raw.said());
    }
});

conform('a client may say each reason a client has, and no other', { v5: '3.14.2-1' }, async (t) => {
    const may = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
    for (const reason of may) {
        const raw = await join(t, 5);
        await raw.send(m.disconnect({ reason, props: { reasonString: 'because' } }));
        assert.deepEqual(await raw.wantClosed(5000), [], `0x${reason.toString(16)} is a reason`);
    }
    for (const reason of [0x01, 0x02, 0x03, 0x10, 0x18, 0x7f, 0x84, 0x85, 0x91, 0x92, 0xa3, 0xff]) {
        const raw = await join(t, 5);
        await raw.send(m.disconnect({ reason }));
        assert.equal(await ending(raw), 0x82, `0x${reason.toString(16)} is none`);
    }
});

// ---- transports ----

conform('a byte stream is enough: no extension, packets split and joined anywhere', { v4: '7.0.0-2 7.1.1-1 7.1.2-1', v5: '4.2.0-1' }, async (t, version) => {
    const topic = unique('stream');
    const all = Buffer.concat([m.connect({ version, id: id() }), m.subscribe({ version, pid: 5, filters: topic, qos: 1 }),
        ...Array.from({ length: 20 }, (_, i) => m.publish({ version, topic, payload: 'y'.repeat(i * 17), qos: 1, pid: i + 10 })), m.pingreq()]);
    for (const size of [1, 2, 3, 7, 64, all.length]) {
        const raw = await open(t, version);
        for (let at = 0; at < all.length; at += size) await raw.send(all.subarray(at, at + size));
        const got = [];
        while (got.length < 43) got.push(await raw.next());
        assert.deepEqual(got.filter((p) => p.type === m.PUBACK).map((p) => p.pid), Array.from({ length: 20 }, (_, i) => i + 10));
        assert.deepEqual(got.filter((p) => p.type === m.PUBLISH).map((p) => p.payload.length), Array.from({ length: 20 }, (_, i) => i * 17));
        await raw.send(m.disconnect({ version }));
        await raw.wantClosed();
    }
});

conform('IPv6 is a transport, too', { v5: '4.2.0-1', ...ours('it listens on 127.0.0.1 only') }, async (t) => {
    const { default: net } = await import('node:net');
    const node = await startPeer({ t, settings: { listeners: [{ type: 'mqtt', at: ['[::1]:0'] }, { type: 'http', at: ['127.0.0.1:0'] }] } });
    const socket = net.connect({ host: '::1', port: node.mqttPort });
    t.after(() => socket.destroy());
    socket.write(m.connect({ id: id() }));
    const answer = await new Promise((resolve, reject) => { socket.once('data', resolve); socket.once('error', reject); });
    assert.deepEqual([answer[0], answer[3]], [0x20, 0]);
});

conform('our own client, which is what connects to other servers, is content with another server and it with us', { v4: '7.0.0-1', ...ours('it needs our program') }, async (t) => {
    const { mqttPort: port } = await startMosquitto({ t });
    const both = async (version, qos) => {
        const topic = unique('out');
        const common = ['-p', `${port}`, '-V', version, '-q', qos, '-t', topic];
        const sub = start(FIELDGATE, ['sub', ...common, '-C', '20', '-W', '15', '-k', '1']);
        t.after(() => sub.ended || sub.kill('SIGKILL'));
        await sleep(2500); // silent for longer than its keep alive: it pings, or is closed
        const pub = await run(FIELDGATE, ['pub', ...common, '-m', 'hello', '--repeat', '20'], { timeoutMs: 15_000 });
        assert.equal(pub.code, 0, pub.err.join('\n'));
        const { code } = await within(sub.exited, 'sub ends');
        assert.equal(code, 0, sub.err.join('\n'));
        assert.deepEqual(sub.out, Array.from({ length: 20 }, () => 'hello'), `version ${version}, QoS ${qos}`);
    };
    await Promise.all(['311', '5'].flatMap((version) => ['0', '1', '2'].map((qos) => both(version, qos))));
});
