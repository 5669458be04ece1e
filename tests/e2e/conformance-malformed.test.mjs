// Malformed packets and protocol errors, by tables: each packet type with each wrong flag, length, text, property and reason.
// After each the connection is closed, version 5 with a reason of those allowed; a watching client notices nothing.

import assert from 'node:assert/strict';
import { conform, id, stage } from './lib/conform.mjs';
import * as m from './lib/packets.mjs';
import { rawConnect } from './lib/raw.mjs';

let watcher;
const { open, join } = stage({
    prepare: async ({ port }) => {
        watcher = await rawConnect({ port, id: 'watcher', props: { sessionExpiry: 600 } });
        await watcher.subscribe('watch/#', { qos: 1 });
        return () => watcher.cut();
    },
});

let round = 0;
async function watcherIsWell() {
    const text = `${++round}`;
    await watcher.send(m.publish({ topic: 'watch/x', payload: text, qos: 1, pid: 1 }));
    const two = [await watcher.next(), await watcher.next()];
    const message = two.find((p) => p.type === m.PUBLISH);
    assert.equal(message.payload.toString(), text);
    assert.ok(two.some((p) => p.type === m.PUBACK));
    await watcher.send(m.ack(m.PUBACK, message.pid));
}

/** What the node does with these bytes of a connected client: 'open', 'closed', or the reason of its DISCONNECT. */
async function verdict(t, version, bytes, options) {
    const raw = await join(t, version, options);
    await raw.send(bytes);
    await raw.send(m.pingreq());
    const stop = { [m.PINGRESP]: 'open', [m.DISCONNECT]: 'reason' };
    for (;;) {
        const p = await raw.next(5000).catch((error) => { if (!/^closed/.test(error.message)) throw error; return undefined; });
        if (!p) return 'closed';
        if (!stop[p.type]) continue;
        if (stop[p.type] === 'open') { await raw.cut(); return 'open'; }
        assert.deepEqual(await raw.wantClosed(5000), [], 'nothing behind DISCONNECT');
        return p.reason;
    }
}
const word = (how) => (typeof how === 'number' ? `0x${how.toString(16)}` : how);

async function mustEnd(t, version, name, bytes, reasons = [0x81, 0x82]) {
    const how = await verdict(t, version, bytes);
    if (version < 5) assert.equal(how, 'closed', `${name}: ${word(how)}`);
    else assert.ok([reasons].flat().includes(how), `${name}: ${word(how)}`);
}
async function mustStay(t, version, name, bytes) {
    const how = await verdict(t, version, bytes);
    assert.equal(how, 'open', `${name}: ${word(how)}`);
}

const none = (v) => (v === 5 ? m.byte(0) : Buffer.alloc(0));
/** A good packet of each type a client sends after CONNECT. */
const good = (v) => ({
    PUBLISH: m.publish({ version: v, topic: 'a/b', payload: 'x' }),
    'PUBLISH QoS 1': m.publish({ version: v, topic: 'a/b', payload: 'x', qos: 1, pid: 11 }),
    'PUBLISH QoS 2': m.publish({ version: v, topic: 'a/b', payload: 'x', qos: 2, pid: 12 }),
    PUBACK: m.ack(m.PUBACK, 1, { version: v }), PUBREC: m.ack(m.PUBREC, 1, { version: v }),
    PUBREL: m.ack(m.PUBREL, 1, { version: v }), PUBCOMP: m.ack(m.PUBCOMP, 1, { version: v }),
    SUBSCRIBE: m.subscribe({ version: v, pid: 3, filters: 'a/b' }), UNSUBSCRIBE: m.unsubscribe({ version: v, pid: 3, filters: 'a/b' }),
    PINGREQ: m.pingreq(),
});

conform('each packet in its good form keeps the connection', { v4: '2.2.2-1', v5: '2.1.3-1 2.2.2-1' }, async (t, version) => {
    for (const [name, bytes] of Object.entries(good(version))) await mustStay(t, version, name, bytes);
    await watcherIsWell();
});

// ---- fixed headers ----

conform('reserved flags of the fixed header end the connection, for every packet type', { v4: '2.2.2-1 2.2.2-2 3.6.1-1 4.8.0-1', v5: '2.1.3-1 3.6.1-1 3.15.1-1 4.13.1-1' }, async (t, version) => {
    const bodies = { 4: m.u16(1), 5: m.u16(1), 6: m.u16(1), 7: m.u16(1), 8: m.subscribe({ version, filters: 'a' }).subarray(2),
        10: m.unsubscribe({ version, filters: 'a' }).subarray(2), 12: Buffer.alloc(0), 14: Buffer.alloc(0) };
    if (version === 5) bodies[15] = m.auth({ props: { authMethod: 'x' } }).subarray(2);
    for (const [type, body] of Object.entries(bodies))
        for (let flags = 0; flags < 16; flags++) {
            if (flags === ([6, 8, 10].includes(Number(type)) ? 2 : 0)) continue;
            await mustEnd(t, version, `${m.NAMES[type]} with flags ${flags}`, m.packet((type << 4) | flags, body), 0x81);
        }
    await watcherIsWell();
});

conform('a type that does not exist or that only a server sends ends the connection', { v4: '4.8.0-1', v5: '4.13.1-1' }, async (t, version) => {
    const wrong = { 'type 0': Buffer.from([0, 0]), CONNACK: m.packet(0x20, m.byte(0), m.byte(0), none(version)),
        SUBACK: m.packet(0x90, m.u16(1), none(version), m.byte(0)), UNSUBACK: m.packet(0xb0, m.u16(1), none(version), m.byte(0)),
        PINGRESP: m.packet(0xd0), ...(version === 4 ? { 'type 15': m.packet(0xf0) } : {}) };
    for (const [name, bytes] of Object.entries(wrong)) await mustEnd(t, version, name, bytes);
    await watcherIsWell();
});

conform('QoS 3, DUP with QoS 0, and identifier 0', { v4: '3.3.1-4 3.3.1-2 2.3.1-1', v5: '3.3.1-4 3.3.1-2 2.2.1-3 4.13.1-1' }, async (t, version) => {
    for (let flags = 6; flags < 16; flags++)
        if ((flags & 6) === 6) await mustEnd(t, version, `PUBLISH with flags ${flags}`, m.publish({ version, topic: 'a', flags, qos: 1, pid: 1 }), 0x81);
    for (const flags of [8, 9]) await mustEnd(t, version, `PUBLISH with flags ${flags}`, m.publish({ version, topic: 'a', flags }));
    for (const qos of [1, 2]) await mustEnd(t, version, `PUBLISH of QoS ${qos} with identifier 0`, m.publish({ version, topic: 'a', qos, pid: 0 }));
    await mustEnd(t, version, 'SUBSCRIBE', m.subscribe({ version, pid: 0, filters: 'a' }));
    await mustEnd(t, version, 'UNSUBSCRIBE', m.unsubscribe({ version, pid: 0, filters: 'a' }));
    for (const type of [m.PUBACK, m.PUBREC, m.PUBREL, m.PUBCOMP]) await mustEnd(t, version, m.NAMES[type], m.ack(type, 0, { version }));
    await watcherIsWell();
});

conform('variable byte integers have four bytes at most and their shortest form', { v4: '4.8.0-1', v5: '1.5.5-1 4.13.1-1' }, async (t, version) => {
    const lengths = { 'five bytes': [0xff, 0xff, 0xff, 0xff, 0x01], 'five bytes of zero': [0x80, 0x80, 0x80, 0x80, 0x00],
        '2 in two bytes': [0x82, 0x00], '0 in two bytes': [0x80, 0x00], '5 in three bytes': [0x85, 0x80, 0x00], '5 in four': [0x85, 0x80, 0x80, 0x00] };
    for (const first of [0x30, 0x40, 0x62, 0x82, 0xa2, 0xc0, 0xe0])
        for (const [name, length] of Object.entries(lengths))
            await mustEnd(t, version, `type ${first >> 4}, a length of ${name}`, Buffer.from([first, ...length, 0, 1, 0x61, 0, 0]));
    if (version < 5) return;
    for (const [name, length] of Object.entries(lengths)) {
        const list = Buffer.concat([Buffer.from(length), Buffer.from('12345')]);
        await mustEnd(t, 5, `PUBLISH, a property length of ${name}`, m.packet(0x30, m.field('a'), list));
        await mustEnd(t, 5, `SUBSCRIBE, a property length of ${name}`, m.packet(0x82, m.u16(1), list, m.field('a'), m.byte(0)));
        await mustEnd(t, 5, `SUBSCRIBE, a subscription identifier of ${name}`,
            m.packet(0x82, m.u16(1), m.varint(length.length + 1), m.byte(0x0b), Buffer.from(length), m.field('a'), m.byte(0)), [0x81, 0x82, 0xa1]);
    }
    await watcherIsWell();
});

conform('a packet cut short inside, at every byte, is malformed', { v4: '4.8.0-1', v5: '4.13.1-1' }, async (t, version) => {
    const packets = { ...good(version),
        PUBLISH: m.publish({ version, topic: 'ab', props: { messageExpiry: 9, contentType: 'c', user: [['k', 'v']] } }) };
    const fixed = { PUBLISH: version === 5 ? undefined : 4 }; // what follows the topic is payload, which may be shorter
    for (const [name, whole] of Object.entries(packets)) {
        const body = whole.subarray(2);
        const end = fixed[name] ?? (name.startsWith('PUBLISH Q') ? 7 + (version === 5 ? 1 : 0) : body.length);
        for (let n = 0; n < Math.min(end, body.length); n++) {
            if (name === 'SUBSCRIBE' && n === 2 + (version === 5 ? 1 : 0)) continue; // no filter at all: tested elsewhere
            await mustEnd(t, version, `${name} of ${n} of ${body.length} bytes`, m.packet(whole[0], body.subarray(0, n)));
        }
    }
    await watcherIsWell();
});

conform('bytes behind the end of a packet are malformed', { v4: '4.8.0-1', v5: '4.13.1-1' }, async (t, version) => {
    for (const [name, whole] of Object.entries(good(version))) {
        if (name.startsWith('PUBLISH')) continue; // payload
        if (version === 5 && /^PUB/.test(name)) {
            const type = whole[0];
            await mustEnd(t, 5, name, m.packet(type, m.u16(1), Buffer.from([0, 0, 0])));
            continue;
        }
        await mustEnd(t, version, name, m.packet(whole[0], whole.subarray(2), Buffer.from([0, 9])));
    }
    await mustEnd(t, version, 'DISCONNECT', version === 5 ? m.packet(0xe0, Buffer.from([0, 0, 0])) : m.packet(0xe0, m.byte(0)));
    await watcherIsWell();
});

conform('an empty topic needs an alias, SUBSCRIBE and UNSUBSCRIBE a filter', { v4: '4.7.3-1 3.8.3-3 3.10.3-2', v5: '4.7.3-1 3.8.3-2 3.10.3-2' }, async (t, version) => {
    await mustEnd(t, version, 'PUBLISH', m.publish({ version, topic: '' }), [0x81, 0x82, 0x90]);
    await mustEnd(t, version, 'SUBSCRIBE', m.subscribe({ version, filters: [] }));
    await mustEnd(t, version, 'UNSUBSCRIBE', m.unsubscribe({ version, filters: [] }));
    await watcherIsWell();
});

// ---- texts ----

const B = (...bytes) => Buffer.from(bytes);
const NOT_TEXT = {
    'a lone continuation byte': B(0x61, 0x80), 'an overlong slash': B(0xc0, 0xaf), 'an overlong zero': B(0xc0, 0x80), 'an overlong a of three bytes': B(0xe0, 0x81, 0xa1),
    'an overlong a of four bytes': B(0xf0, 0x80, 0x81, 0xa1), 'the first surrogate': B(0xed, 0xa0, 0x80), 'the last surrogate': B(0xed, 0xbf, 0xbf),
    'a pair of surrogates': B(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80), 'above U+10FFFF': B(0xf4, 0x90, 0x80, 0x80), 'five bytes': B(0xf8, 0x88, 0x80, 0x80, 0x80),
    'cut short': B(0x61, 0xe2, 0x82), 'FF': B(0xff), 'FE': B(0xfe), 'a lead byte before a letter': B(0xc3, 0x61), 'U+0000': B(0x61, 0x00, 0x62), 'only U+0000': B(0x00),
};
const TEXT = { 'two bytes': 'é', 'three bytes': '€', 'four bytes': '😀', 'U+D7FF': '\ud7ff', 'U+E000': '\ue000', 'U+FFFD': '\ufffd', 'U+10FFFF': '\u{10ffff}', 'EF BB BF': '\ufeff', 'U+0001': '\u0001', 'U+FFFE': '\ufffe' };
const PLACES = [
    // where a text stands, the packet, also in 3.1.1, 5.0's number for it
    ['topic', (text, v) => m.publish({ version: v, topic: text }), true, '3.3.2-1', '3.3.2-1'],
    ['filter', (text, v) => m.subscribe({ version: v, filters: text }), true, '3.8.3-1', '3.8.3-1'],
    ['filter of UNSUBSCRIBE', (text, v) => m.unsubscribe({ version: v, filters: text }), true, '3.10.3-1', '3.10.3-1'],
    ['response topic', (text) => m.publish({ topic: 'a', props: { responseTopic: text } }), false, '', '3.3.2-13'],
    ['content type', (text) => m.publish({ topic: 'a', props: { contentType: text } }), false, '', '3.3.2-19'],
    ['name of a user property', (text) => m.publish({ topic: 'a', props: { user: [[text, 'v']] } }), false, '', '1.5.7-1'],
    ['value of a user property', (text) => m.subscribe({ filters: 'a', props: { user: [['k', text]] } }), false, '', '1.5.7-1'],
    ['reason string', (text) => m.ack(m.PUBACK, 1, { reason: 0x80, props: { reasonString: text } }), false, '', '1.5.4-1'],
];
for (const [place, build, old, v4, v5] of PLACES)
    conform(`a ${place} is text`, { v4: old ? `1.5.3-1 1.5.3-2 ${v4}` : undefined, v5: `1.5.4-1 1.5.4-2 ${v5}` }, async (t, version) => {
        for (const [name, bytes] of Object.entries(NOT_TEXT)) await mustEnd(t, version, name, build(bytes, version), [0x81, 0x82, 0x8f, 0x90]);
        for (const [name, text] of Object.entries(TEXT)) await mustStay(t, version, name, build(text, version));
        await watcherIsWell();
    });

conform('a response topic has no wildcards', { v5: '3.3.2-14' }, async (t) => {
    for (const responseTopic of ['#', '+', 'a/#', 'a/+/b', 'a+', ''])
        await mustEnd(t, 5, `response topic ${responseTopic}`, m.publish({ topic: 'a', props: { responseTopic } }), [0x81, 0x82, 0x90]);
    await watcherIsWell();
});

// ---- properties ----

const VALUE = { payloadFormat: 1, messageExpiry: 60, contentType: 'c', responseTopic: 'r', correlation: B(1), subId: 1, sessionExpiry: 0, assignedClientId: 'i',
    serverKeepAlive: 9, authMethod: 'NO-SUCH-METHOD', authData: B(1), requestProblem: 1, willDelay: 0, requestResponse: 0, responseInfo: 'r', serverReference: 's', reasonString: 'r',
    receiveMax: 9, topicAliasMax: 9, topicAlias: 1, maxQos: 1, retainAvailable: 1, user: ['k', 'v'], maxPacket: 100_000, wildcardAvailable: 1, subIdAvailable: 1, sharedAvailable: 1 };
// 2.2.2.2: which of a client's packets may have it. An authentication method needs one that exists: its own tests.
const MAY = { payloadFormat: 'PUBLISH will', messageExpiry: 'PUBLISH will', contentType: 'PUBLISH will', responseTopic: 'PUBLISH will', correlation: 'PUBLISH will',
    subId: 'SUBSCRIBE', sessionExpiry: 'CONNECT DISCONNECT', authMethod: 'CONNECT AUTH', authData: 'CONNECT AUTH', requestProblem: 'CONNECT', willDelay: 'will',
    requestResponse: 'CONNECT', serverReference: 'DISCONNECT', reasonString: 'PUBACK PUBREC PUBREL PUBCOMP DISCONNECT AUTH', receiveMax: 'CONNECT', topicAliasMax: 'CONNECT',
    topicAlias: 'PUBLISH', maxPacket: 'CONNECT', user: 'CONNECT will PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE UNSUBSCRIBE DISCONNECT AUTH' };
const CARRIES = {
    CONNECT: (props) => m.connect({ id: id(), props }), will: (props) => m.connect({ id: id(), will: { topic: 'w', props } }),
    PUBLISH: (props) => m.publish({ topic: 'a', props }), PUBACK: (props) => m.ack(m.PUBACK, 1, { props }), PUBREC: (props) => m.ack(m.PUBREC, 1, { reason: 0x80, props }),
    PUBREL: (props) => m.ack(m.PUBREL, 1, { props }), PUBCOMP: (props) => m.ack(m.PUBCOMP, 1, { props }), SUBSCRIBE: (props) => m.subscribe({ filters: 'a', props }),
    UNSUBSCRIBE: (props) => m.unsubscribe({ filters: 'a', props }), DISCONNECT: (props) => m.disconnect({ reason: 0x04, props }),
};

/** As verdict(), of a first packet: 'open', 'closed' or a reason. */
async function greeting(t, bytes) {
    const raw = await open(t, 5);
    await raw.send(bytes);
    const p = await raw.next(5000).catch(() => undefined);
    if (p?.reason === 0) { await raw.cut(); return 'open'; }
    await raw.wantClosed(5000);
    return p ? p.reason : 'closed';
}

for (const where of Object.keys(CARRIES))
    conform(`${where}: properties that do not belong there, and those that stand there twice`, { v5: where === 'CONNECT' || where === 'will' ? '3.1.4-1 4.13.1-1 4.13.2-1' : '4.13.1-1 4.13.2-1' }, async (t) => {
        const first = where === 'CONNECT' || where === 'will';
        const judge = (list) => (first ? greeting(t, CARRIES[where](list)) : verdict(t, 5, CARRIES[where](list)));
        const ends = async (name, list, reasons = [0x81, 0x82]) => {
            const how = await judge(list);
            assert.ok(reasons.includes(how), `${name}: ${word(how)}`);
        };
        for (const name of Object.keys(m.PROP)) {
            const one = m.prop(name, VALUE[name]);
            const may = (MAY[name] ?? '').split(' ').includes(where);
            if (!may) {
                await ends(`${name} in ${where}`, one);
            } else if (name === 'user') {
                assert.equal(await judge(Buffer.concat([one, one, one])), where === 'DISCONNECT' ? 'closed' : 'open');
            } else if (!['authMethod', 'authData', 'topicAlias', 'serverReference', 'subId'].includes(name)) {
                const how = await judge(one);
                assert.equal(how, where === 'DISCONNECT' ? 'closed' : 'open', `${name} in ${where}: ${word(how)}`);
            }
            if (may && name !== 'user') await ends(`${name} twice in ${where}`, Buffer.concat([one, one]), [0x82, 0x94, 0xa1]);
        }
        for (const unknown of [0x00, 0x04, 0x0a, 0x10, 0x14, 0x1b, 0x1d, 0x20, 0x2b, 0x7f]) await ends(`property ${unknown}`, B(unknown, 0));
        await ends('a property identifier of two bytes', B(0x81, 0x01, 0));
        for (const [name, list] of Object.entries({ 'a user property cut short': m.prop('user', ['key', 'value']).subarray(0, 8), 'a lone identifier': B(0x26) })) await ends(name, list);
        await watcherIsWell();
    });

conform('values that a property may not have', { v5: '4.13.1-1 3.3.2-8 3.1.4-1' }, async (t) => {
    const wrong = [['CONNECT', 'receiveMax', 0], ['CONNECT', 'maxPacket', 0], ['CONNECT', 'requestProblem', 2], ['CONNECT', 'requestProblem', 255],
        ['CONNECT', 'requestResponse', 2], ['will', 'payloadFormat', 2], ['PUBLISH', 'payloadFormat', 2], ['PUBLISH', 'topicAlias', 0], ['SUBSCRIBE', 'subId', 0]];
    for (const [where, name, value] of wrong) {
        const bytes = CARRIES[where](m.prop(name, value));
        const how = where === 'CONNECT' || where === 'will' ? await greeting(t, bytes) : await verdict(t, 5, bytes);
        assert.ok([0x81, 0x82, 0x94, 0x99, 0xa1].includes(how), `${name} of ${value} in ${where}: ${word(how)}`);
    }
    await watcherIsWell();
});

conform('a subscription identifier from a client ends the connection', { v5: '3.3.4-6' }, async (t) => {
    for (const subId of [1, 127, 128, 268_435_455, [1, 2]]) await mustEnd(t, 5, `${subId}`, m.publish({ topic: 'a', props: { subId } }));
    await watcherIsWell();
});

// ---- reasons ----

const REASONS = {
    [m.PUBACK]: [[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99], '3.4.2-1'], [m.PUBREC]: [[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99], '3.5.2-1'],
    [m.PUBREL]: [[0x00, 0x92], '3.6.2-1'], [m.PUBCOMP]: [[0x00, 0x92], '3.7.2-1'],
};
for (const [type, [list, number]] of Object.entries(REASONS))
    conform(`${m.NAMES[type]} from a client has a reason of its list`, { v5: `${number} 4.13.1-1` }, async (t) => {
        for (const reason of list) await mustStay(t, 5, `0x${reason.toString(16)}`, m.ack(Number(type), 1, { reason, props: {} }));
        for (const reason of [0x01, 0x02, 0x04, 0x11, 0x18, 0x7f, 0x81, 0x82, 0x8f, 0x93, 0x95, 0xa2, 0xff, ...(list.includes(0x92) ? [0x10, 0x80, 0x97] : [0x92])])
            await mustEnd(t, 5, `0x${reason.toString(16)}`, m.ack(Number(type), 1, { reason }), 0x82);
        await watcherIsWell();
    });

conform('AUTH of a client that named no method ends the connection', { v5: '4.12.0-7 3.15.2-1' }, async (t) => {
    for (const bytes of [m.packet(0xf0), m.auth({ props: { authMethod: 'x' } }), m.auth({ reason: 0x19, props: { authMethod: 'x' } }), m.auth({ reason: 0x00 }), m.auth({ reason: 0x20 })])
        await mustEnd(t, 5, 'AUTH', bytes, [0x81, 0x82, 0x8c]);
    await watcherIsWell();
});
