// What the standards demand about PUBLISH: the flows of QoS 0, 1 and 2 both ways, DUP, order, retained messages, the
// properties that are forwarded.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { sleep } from './lib/wait.mjs';

const { join } = stage();
const texts = (list) => list.map((p) => p.payload.toString());

/** A watcher of a new topic, and another client that publishes. */
async function pair(t, version, { qos = 2, filter, watcher = {}, publisher = {} } = {}) {
    const topic = unique('pub');
    const sub = await join(t, version, watcher);
    await sub.subscribe(filter ?? topic, { qos });
    return { topic, sub, pub: await join(t, version, publisher) };
}

// ---- towards the node ----

conform('QoS 1: PUBACK with the identifier, and then the identifier is a new message, DUP or not', { v4: '4.3.2-2 2.3.1-6 3.3.4-1 2.3.1-1', v5: '4.3.2-4 4.3.2-5 2.2.1-5 3.3.4-1 3.4.2-1' }, async (t, version) => {
    const { topic, sub, pub } = await pair(t, version);
    for (const pid of [1, 77, 65_535])
        for (const dup of [false, false, true]) {
            await pub.send(m.publish({ version, topic, payload: `${pid}`, qos: 1, pid, dup }));
            const ack = await pub.want(m.PUBACK);
            assert.deepEqual([ack.pid, ack.reason], [pid, 0]);
        }
    assert.deepEqual(texts(await sub.messages(9)), [1, 1, 1, 77, 77, 77, 65_535, 65_535, 65_535].map(String));
});

conform('QoS 2: PUBREC and PUBCOMP with the identifier, a repeated PUBLISH is delivered once, afterwards it is a new message', {
    v4: '4.3.3-2 2.3.1-6 3.3.4-1', v5: '4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12 2.2.1-5 3.3.4-1 3.5.2-1 3.7.2-1',
}, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const { topic, sub, pub } = await pair(t, version, { publisher: options });
        for (const round of ['a', 'b']) {
            for (const dup of [false, true, false, true]) {
                await pub.send(m.publish({ version, topic, payload: round, qos: 2, pid: 9, dup }));
                const rec = await pub.want(m.PUBREC);
                assert.deepEqual([rec.pid, rec.reason], [9, 0]);
            }
            await pub.send(m.ack(m.PUBREL, 9, { version }));
            const comp = await pub.want(m.PUBCOMP);
            assert.deepEqual([comp.pid, comp.reason], [9, 0]);
        }
        assert.deepEqual(texts(await sub.messages(2)), ['a', 'b']);
        await sub.quiet(100);
        // PUBREL again: the answer is owed, whether the identifier is known or not.
        await pub.send(m.ack(m.PUBREL, 9, { version }));
        const again = await pub.want(m.PUBCOMP);
        assert.equal(again.pid, 9);
        if (version === 5) assert.ok([0, 0x92].includes(again.reason));
    }
});

conform('QoS 2 goes on after a reconnect, and is delivered once', { v4: '4.3.3-2 4.1.0-1', v5: '4.3.3-10 3.1.2-23' }, async (t, version) => {
    const name = id();
    const { topic, sub, pub } = await pair(t, version, { publisher: { id: name, ...kept(version) } });
    await pub.send(m.publish({ version, topic, payload: 'x', qos: 2, pid: 5 }));
    await pub.want(m.PUBREC);
    await pub.cut();
    const again = await join(t, version, { id: name, ...kept(version) });
    await again.send(m.publish({ version, topic, payload: 'x', qos: 2, pid: 5, dup: true }));
    await again.want(m.PUBREC);
    await again.send(m.ack(m.PUBREL, 5, { version }));
    await again.want(m.PUBCOMP);
    await sub.message();
    await sub.quiet(100);
});

conform('QoS 2 goes on although the message has expired', { v5: '4.3.3-13 4.3.3-8' }, async (t) => {
    const { topic, sub, pub } = await pair(t, 5);
    await sub.cut();
    await pub.send(m.publish({ topic, payload: 'x', qos: 2, pid: 5, props: { messageExpiry: 0 } }));
    assert.deepEqual([await pub.want(m.PUBREC)].map((p) => [p.pid, p.reason & 0x80]), [[5, 0]]);
    await pub.send(m.publish({ topic, payload: 'x', qos: 2, pid: 5, dup: true, props: { messageExpiry: 0 } }));
    assert.equal((await pub.want(m.PUBREC)).reason & 0x80, 0);
    await pub.send(m.ack(m.PUBREL, 5));
    assert.deepEqual([await pub.want(m.PUBCOMP)].map((p) => [p.pid, p.reason]), [[5, 0]]);
});

conform('after a PUBREC with an error the identifier is a new message', { v5: '4.3.3-9 3.5.2-1' }, async (t) => {
    const { topic, sub, pub } = await pair(t, 5);
    const long = 'x/'.repeat(600); // beyond limits.topic-levels: refused in PUBREC or with the end of the connection
    await pub.send(m.publish({ topic: long, payload: 'refused', qos: 2, pid: 8 }));
    const answer = await pub.next();
    assert.equal(answer.reason, 0x90);
    if (answer.type === m.DISCONNECT) { // then there is no PUBREC at all, and the next connection begins anew
        const other = await join(t, 5);
        assert.equal((await other.publish(topic, 'new', { qos: 2, pid: 8 })).reason, 0);
    } else {
        assert.equal((await pub.publish(topic, 'new', { qos: 2, pid: 8 })).reason, 0);
    }
    assert.deepEqual(texts(await sub.messages(1)), ['new']);
});

conform('answers come in the order of what they answer', { v4: '4.6.0-2 4.6.0-3 4.6.0-4', v5: '4.6.0-2 4.6.0-3' }, async (t, version) => {
    const { topic, sub, pub } = await pair(t, version, { watcher: { id: id(), ...kept(version) } });
    const n = 60;
    await pub.send(...Array.from({ length: n }, (_, i) =>
        m.publish({ version, topic: i % 3 ? topic : unique('nobody'), payload: `${i}`, qos: i % 2 ? 2 : 1, pid: n - i })));
    const got = [];
    while (got.length < n) got.push(await pub.next());
    const pids = (type) => got.filter((p) => p.type === type).map((p) => p.pid);
    const sent = Array.from({ length: n }, (_, i) => [i % 2 ? m.PUBREC : m.PUBACK, n - i]);
    for (const type of [m.PUBACK, m.PUBREC]) assert.deepEqual(pids(type), sent.filter(([which]) => which === type).map(([, pid]) => pid));
    await pub.send(...pids(m.PUBREC).map((pid) => m.ack(m.PUBREL, pid, { version })));
    for (const pid of pids(m.PUBREC)) assert.equal((await pub.want(m.PUBCOMP)).pid, pid);
    // And PUBREL of the node in the order of our PUBRECs, whatever that is.
    const taken = new Map();
    const due = Array.from({ length: n }, (_, i) => i).filter((i) => i % 3);
    while (taken.size < due.length) { const p = await sub.want(m.PUBLISH); taken.set(p.pid, p); }
    const shuffled = [...taken.values()].filter((p) => p.qos === 2).map((p) => p.pid).reverse();
    await sub.send(...shuffled.map((pid) => m.ack(m.PUBREC, pid, { version })));
    for (const pid of shuffled) assert.equal((await sub.want(m.PUBREL)).pid, pid);
});

// ---- from the node ----

conform('QoS 0 goes out with QoS 0, without DUP and without an identifier', { v4: '4.3.1-1 3.3.1-2 2.3.1-5 3.3.1-3', v5: '4.3.1-1 3.3.1-2 2.2.1-2 3.3.1-3 2.2.2-1' }, async (t, version) => {
    const { topic, sub, pub } = await pair(t, version, { qos: 0 });
    const bytes = [];
    sub.socket.on('data', (data) => bytes.push(data));
    await pub.send(m.publish({ version, topic, payload: 'x', qos: 0 }), m.publish({ version, topic, payload: 'x', qos: 1, pid: 3, dup: true }),
        m.publish({ version, topic, payload: 'x', qos: 2, pid: 4, dup: true }));
    await sub.messages(3);
    const want = m.publish({ version, topic, payload: 'x' }); // no DUP, no identifier, property length 0
    assert.deepEqual(Buffer.concat(bytes), Buffer.concat([want, want, want]));
});

conform('DUP of a PUBLISH that comes is not that of the one that goes', { v4: '3.3.1-3 4.3.2-1 4.3.3-1', v5: '3.3.1-3 4.3.2-2 4.3.3-2' }, async (t, version) => {
    const { topic, sub, pub } = await pair(t, version);
    for (const [qos, pid] of [[1, 1], [2, 2]]) await pub.send(m.publish({ version, topic, payload: `${qos}`, qos, pid, dup: true }));
    for (const p of await sub.messages(2)) assert.equal(p.dup, false);
});

conform('what the node sends above QoS 0 has identifiers other than 0 that are not in use', {
    v4: '2.3.1-4 4.3.2-1 4.3.3-1 2.3.1-1', v5: '2.2.1-4 4.3.2-1 4.3.3-1',
}, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const { topic, sub, pub } = await pair(t, version, { watcher: options });
        const used = new Set();
        for (let i = 0; i < 60; i++) {
            await pub.publish(topic, `${i}`, { qos: 1 + (i % 2) });
            const p = await sub.want(m.PUBLISH);
            assert.ok(p.pid > 0);
            assert.ok(!used.has(p.pid), `${p.pid} is in use`);
            assert.equal(p.dup, false);
            if (i % 10 === 0) {
                used.add(p.pid); // never acknowledged
            } else if (p.qos === 1) {
                await sub.send(m.ack(m.PUBACK, p.pid, { version }));
            } else {
                await sub.send(m.ack(m.PUBREC, p.pid, { version }));
                await sub.want(m.PUBREL);
                await sub.send(m.ack(m.PUBCOMP, p.pid, { version }));
            }
        }
    }
});

conform('unacknowledged is unacknowledged: sent again after a reconnect, with DUP, its identifiers and in order, not before', {
    v4: '3.3.1-1 4.4.0-1 4.6.0-1 4.3.2-1 4.3.3-1 2.3.1-4', v5: '3.3.1-1 4.4.0-1 4.3.2-3 4.3.3-3 4.6.0-5',
}, async (t, version) => {
    const name = id();
    const { topic, sub, pub } = await pair(t, version, { watcher: { id: name, ...kept(version) } });
    for (let i = 0; i < 12; i++) await pub.publish(topic, `${i}`, { qos: 1 + (i % 2) });
    const first = [];
    for (let i = 0; i < 12; i++) first.push(await sub.want(m.PUBLISH));
    assert.ok(first.every((p) => !p.dup));
    await sub.send(m.ack(m.PUBACK, first[4].pid, { version })); // this one is over
    await sub.send(m.pingreq());
    await sub.want(m.PINGRESP);
    await sub.quiet(1200); // on a living connection nothing is sent again
    await sub.cut();
    for (let round = 0; round < 2; round++) {
        const again = await join(t, version, { id: name, ...kept(version) });
        assert.equal(again.connack.sessionPresent, true);
        const rest = first.filter((_, i) => i !== 4);
        for (const want of rest) {
            const p = await again.want(m.PUBLISH);
            assert.deepEqual([p.pid, p.qos, p.dup, p.payload.toString()], [want.pid, want.qos, true, want.payload.toString()]);
        }
        await again.quiet(100);
        await again.cut();
    }
});

conform('after PUBREC it is PUBREL that comes again, until PUBCOMP, and the PUBLISH never', {
    v4: '4.3.3-1 4.4.0-1 2.3.1-6', v5: '4.3.3-4 4.3.3-5 4.3.3-6 4.4.0-1 3.6.2-1 2.2.1-5',
}, async (t, version) => {
    const name = id();
    const { topic, sub, pub } = await pair(t, version, { watcher: { id: name, ...kept(version) } });
    for (const i of [0, 1, 2]) await pub.publish(topic, `${i}`, { qos: 2 });
    const all = [await sub.want(m.PUBLISH), await sub.want(m.PUBLISH), await sub.want(m.PUBLISH)];
    for (const p of all) {
        await sub.send(m.ack(m.PUBREC, p.pid, { version }));
        const rel = await sub.want(m.PUBREL);
        assert.deepEqual([rel.pid, rel.reason], [p.pid, 0]);
    }
    await sub.send(m.ack(m.PUBREC, all[1].pid, { version })); // again: PUBREL again
    assert.deepEqual([await sub.want(m.PUBREL)].map((p) => [p.pid, p.reason]), [[all[1].pid, 0]]);
    await sub.send(m.ack(m.PUBCOMP, all[0].pid, { version }));
    await sub.send(m.pingreq());
    await sub.want(m.PINGRESP);
    await sub.cut();
    const again = await join(t, version, { id: name, ...kept(version) });
    for (const p of all.slice(1)) assert.deepEqual([await again.want(m.PUBREL)].map((r) => [r.pid, r.reason]), [[p.pid, 0]]);
    await again.quiet(100);
    for (const p of all.slice(1)) await again.send(m.ack(m.PUBCOMP, p.pid, { version }));
    await again.send(m.pingreq());
    await again.want(m.PINGRESP);
    await again.cut();
    const third = await join(t, version, { id: name, ...kept(version) });
    await third.quiet(150);
});

conform('a PUBLISH that was sent does not expire', { v5: '4.3.3-7 4.4.0-1' }, async (t) => {
    const name = id();
    const { topic, sub, pub } = await pair(t, 5, { watcher: { id: name, ...kept(5) } });
    for (const qos of [1, 2]) await pub.publish(topic, `${qos}`, { qos, props: { messageExpiry: 1 } });
    const first = [await sub.want(m.PUBLISH), await sub.want(m.PUBLISH)];
    await sub.cut();
    await sleep(1500);
    const again = await join(t, 5, { id: name, ...kept(5) });
    for (const want of first) assert.deepEqual([await again.want(m.PUBLISH)].map((p) => [p.pid, p.dup, p.qos]), [[want.pid, true, want.qos]]);
});

conform('what a client refuses with 0x80 or more is over, and not sent again', { v5: '4.4.0-2 4.3.3-4' }, async (t) => {
    for (const options of [{}, { id: id(), ...kept(5) }]) {
        const { topic, sub, pub } = await pair(t, 5, { watcher: { ...options, ...(options.id ? {} : {}) } });
        for (const [qos, type] of [[1, m.PUBACK], [2, m.PUBREC]]) {
            await pub.publish(topic, `${qos}`, { qos });
            const p = await sub.want(m.PUBLISH);
            await sub.send(m.ack(type, p.pid, { reason: 0x83 }));
            await sub.quiet(100); // above all no PUBREL
        }
        if (!options.id) continue;
        await sub.cut();
        await (await join(t, 5, options)).quiet(150);
    }
});

conform('every topic is ordered: messages of one client, topic and QoS arrive in their order', { v4: '4.6.0-5 4.6.0-6', v5: '4.6.0-5 4.6.0-6' }, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const { topic, sub, pub } = await pair(t, version, { watcher: options, filter: undefined });
        const n = 150;
        for (const qos of [0, 1, 2]) {
            const sends = [];
            for (let i = 0; i < n; i++) sends.push(m.publish({ version, topic, payload: `${qos}/${i}`, qos, pid: qos ? qos * 1000 + i : undefined }));
            await pub.send(...sends);
            if (qos === 2) {
                for (let i = 0; i < n; i++) await pub.want(m.PUBREC);
                await pub.send(...Array.from({ length: n }, (_, i) => m.ack(m.PUBREL, 2000 + i, { version })));
                for (let i = 0; i < n; i++) await pub.want(m.PUBCOMP);
            } else if (qos === 1) {
                for (let i = 0; i < n; i++) await pub.want(m.PUBACK);
            }
            const got = [];
            const rels = [];
            while (got.length < n || (qos === 2 && rels.length < n)) {
                const p = await sub.next();
                if (p.type === m.PUBREL) { rels.push(p.pid); await sub.send(m.ack(m.PUBCOMP, p.pid, { version })); continue; }
                got.push(p.payload.toString());
                if (qos) await sub.send(m.ack(qos === 1 ? m.PUBACK : m.PUBREC, p.pid, { version }));
            }
            assert.deepEqual(got, Array.from({ length: n }, (_, i) => `${qos}/${i}`));
        }
    }
});

// ---- retained messages ----

conform('a retained message is stored with its QoS, replaced, and sent to new subscriptions with RETAIN', {
    v4: '3.3.1-5 3.3.1-6 3.3.1-8 3.3.1-7', v5: '3.3.1-5 3.3.1-9',
}, async (t, version) => {
    const pub = await join(t, version);
    for (const qos of [0, 1, 2]) {
        const topic = unique('ret');
        await pub.publish(topic, 'old', { qos: 2, retain: true });
        await pub.publish(topic, `new ${qos}`, { qos, retain: true });
        await pub.send(m.pingreq());
        await pub.want(m.PINGRESP);
        const sub = await join(t, version);
        await sub.subscribe(topic, { qos: 2 });
        const p = await sub.message();
        assert.deepEqual([p.payload.toString(), p.qos, p.retain, p.dup], [`new ${qos}`, qos, true, false]);
        await sub.quiet(50);
    }
});

conform('each matching topic gives its last retained message to a new subscription', { v4: '3.3.1-6', v5: '3.3.1-9' }, async (t, version) => {
    const pub = await join(t, version);
    const base = unique('many');
    for (let i = 0; i < 30; i++) await pub.publish(`${base}/${i % 10}/x`, `${i}`, { qos: 1, retain: true });
    const sub = await join(t, version);
    await sub.subscribe(`${base}/+/x`, { qos: 1 });
    const got = await sub.messages(10);
    assert.deepEqual(new Map(got.map((p) => [p.topic, p.payload.toString()])), new Map(Array.from({ length: 10 }, (_, i) => [`${base}/${i}/x`, `${20 + i}`])));
    await sub.quiet(50);
});

conform('an existing subscription gets it without RETAIN', { v4: '3.3.1-9', v5: '3.3.1-12' }, async (t, version) => {
    const { topic, sub, pub } = await pair(t, version);
    for (const qos of [0, 1, 2]) await pub.publish(topic, `${qos}`, { qos, retain: true });
    for (const p of await sub.messages(3)) assert.equal(p.retain, false);
});

conform('an empty retained message is delivered, removes the stored one and is not stored', { v4: '3.3.1-10 3.3.1-11', v5: '3.3.1-6 3.3.1-7' }, async (t, version) => {
    const { topic, sub, pub } = await pair(t, version);
    for (const qos of [0, 1, 2]) {
        await pub.publish(topic, 'stored', { qos: 1, retain: true });
        await sub.message();
        await pub.publish(topic, '', { qos, retain: true });
        const p = await sub.message();
        assert.deepEqual([p.payload.length, p.retain], [0, false]);
        const late = await join(t, version);
        await late.subscribe(topic, { qos: 2 });
        await late.quiet(80);
        await late.cut();
    }
});

conform('a message without RETAIN is not stored and does not touch what is', { v4: '3.3.1-12', v5: '3.3.1-8' }, async (t, version) => {
    const pub = await join(t, version);
    for (const options of [undefined, { id: id(), ...kept(version) }]) { // nobody there, or a session that the message is stored for
        const [topic, empty] = [unique('plain'), unique('plain')];
        const there = options && await join(t, version, options);
        await there?.subscribe([topic, empty], { qos: 2 });
        for (const qos of [0, 1, 2]) {
            await pub.publish(topic, 'stored', { retain: true });
            for (const payload of ['other', '']) await pub.publish(topic, payload, { qos });
            await pub.publish(empty, 'not stored', { qos });
            await pub.send(m.pingreq());
            await pub.want(m.PINGRESP);
            const sub = await join(t, version);
            await sub.subscribe([topic, empty], { qos: 1 });
            assert.deepEqual(texts(await sub.messages(1)), ['stored']);
            await sub.quiet(50);
        }
    }
});

conform('retained messages outlive the session of who sent them, and are sent after a reconnect to new subscriptions only', { v4: '3.1.2-7', v5: '3.3.1-5' }, async (t, version) => {
    const topic = unique('outlive');
    const pub = await join(t, version, { id: id() });
    await pub.publish(topic, 'x', { retain: true });
    await pub.cut();
    const name = id();
    const sub = await join(t, version, { id: name, ...kept(version) });
    await sub.subscribe(topic, { qos: 1 });
    await sub.message();
    await sub.send(m.pingreq());
    await sub.want(m.PINGRESP);
    await sub.cut();
    await (await join(t, version, { id: name, ...kept(version) })).quiet(100);
});

// ---- properties that are forwarded ----

const PROPS = {
    payloadFormat: 1, contentType: 'text/plain; charset=utf-8', responseTopic: 'answers/\ufeffhere', correlation: Buffer.from([0, 1, 0xff, 0]),
    user: [['b', '2'], ['a', '1'], ['b', '2'], ['', ''], ['a', '\ufeff\u{1f600}']],
};
conform('properties of a message are forwarded as they came, user properties in their order', {
    v5: '3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20 1.5.4-3',
}, async (t) => {
    const topic = unique('props');
    const here = await join(t, 5);
    await here.subscribe(topic, { qos: 2 });
    const away = { id: id(), ...kept(5) };
    const first = await join(t, 5, away);
    await first.subscribe(topic, { qos: 2 });
    await first.cut();
    const pub = await join(t, 5);
    const lists = [PROPS, { payloadFormat: 0 }, { contentType: '' }, { correlation: Buffer.alloc(0) }, { correlation: Buffer.alloc(3000, 7) },
        { user: [['x'.repeat(1000), 'y'.repeat(2000)]] }, {}];
    for (const [i, props] of lists.entries()) await pub.publish(topic, `${i}`, { qos: i % 3, retain: i === 0, props });
    const late = await join(t, 5);
    await late.subscribe(topic, { qos: 2 });
    const same = (p) => assert.deepEqual({ ...p.props }, lists[Number(p.payload)], `message ${p.payload}`);
    (await here.messages(lists.length)).forEach(same);
    (await (await join(t, 5, away)).messages(lists.filter((_, i) => i % 3).length)).forEach(same); // QoS 0 need not wait
    same(await late.message());
});

conform('a text that begins with or contains EF BB BF keeps it', { v4: '1.5.3-3', v5: '1.5.4-3' }, async (t, version) => {
    const bom = '\ufeff';
    const base = unique('bom');
    const sub = await join(t, version);
    await sub.subscribe([`${bom}${base}/#`, `${base}/${bom}`], { qos: 1 });
    const pub = await join(t, version);
    for (const topic of [`${base}/x`, `${base}/`, `${bom}${base}/x`, `${base}/${bom}`, `${bom}${base}/a${bom}`]) await pub.publish(topic, 'x');
    const got = [];
    for (let i = 0; i < 3; i++) got.push((await sub.message()).topic);
    assert.deepEqual(got, [`${bom}${base}/x`, `${base}/${bom}`, `${bom}${base}/a${bom}`]);
    await sub.quiet(50);
});

conform('the message expiry that is sent is less by the time it waited, and what has expired is not sent', { v5: '3.3.2-5 3.3.2-6' }, async (t) => {
    const topic = unique('expiry');
    const options = { id: id(), ...kept(5) };
    const first = await join(t, 5, options);
    await first.subscribe(topic, { qos: 2 });
    await first.cut();
    const pub = await join(t, 5);
    await pub.publish(topic, 'long', { qos: 1, props: { messageExpiry: 100 } });
    await pub.publish(topic, 'short', { qos: 1, props: { messageExpiry: 1 } });
    await pub.publish(topic, 'short 2', { qos: 2, props: { messageExpiry: 1 } });
    await pub.publish(`${topic}/r`, 'retained', { qos: 1, retain: true, props: { messageExpiry: 1 } });
    await pub.publish(`${topic}/s`, 'retained', { qos: 1, retain: true, props: { messageExpiry: 100 } });
    await pub.publish(topic, 'for ever', { qos: 1 });
    await sleep(2100);
    const again = await join(t, 5, options);
    const got = await again.messages(2);
    assert.deepEqual(texts(got), ['long', 'for ever']);
    assert.ok(got[0].props.messageExpiry <= 98 && got[0].props.messageExpiry >= 90, `${got[0].props.messageExpiry}`);
    assert.equal(got[1].props.messageExpiry, undefined);
    await again.quiet(80);
    await again.subscribe(`${topic}/+`, { qos: 1 });
    const kept_ = await again.message();
    assert.deepEqual([kept_.topic, kept_.props.messageExpiry <= 98], [`${topic}/s`, true]);
    await again.quiet(80);
});

// ---- topics ----

conform('the topic that is sent is the one that was published, and matches the filter', { v4: '3.3.2-3 3.3.2-1', v5: '3.3.2-3 3.3.2-1' }, async (t, version) => {
    const base = unique('match');
    const sub = await join(t, version);
    await sub.subscribe(`${base}/+/c/#`, { qos: 1 });
    const pub = await join(t, version);
    for (const tail of ['b/c', 'b/c/d', 'b/d', '/c/', 'x/c/y/z', 'b']) await pub.publish(`${base}/${tail}`, tail);
    const got = await sub.messages(4);
    assert.deepEqual(got.map((p) => p.topic), ['b/c', 'b/c/d', '/c/', 'x/c/y/z'].map((tail) => `${base}/${tail}`));
    await sub.quiet(50);
});

conform('a message that nobody may have is answered all the same', { v4: '3.3.5-2 3.3.4-1', v5: '3.3.4-1' }, async (t, version) => {
    // $SYS belongs to the node: whoever publishes there is acknowledged or closed, and nobody gets it.
    const watcher = await join(t, 5);
    await watcher.subscribe('$SYS/x/y', { qos: 1 });
    const pub = await join(t, version);
    await pub.send(m.publish({ version, topic: '$SYS/x/y', payload: 'x', qos: 1, pid: 1 }));
    const answer = await pub.next().catch(() => 'closed');
    if (answer !== 'closed') assert.ok(answer.type === m.PUBACK || answer.type === m.DISCONNECT, m.describe(answer));
    if (answer.type === m.PUBACK) { await pub.send(m.pingreq()); await pub.want(m.PINGRESP); }
});

conform('a message is given to each session with a matching subscription, here or away', { v4: '4.5.0-1 3.1.2-5 4.1.0-1', v5: '4.5.0-1 3.1.2-23' }, async (t, version) => {
    const topic = unique('each');
    const names = Array.from({ length: 6 }, id);
    const subs = [];
    for (const name of names) {
        const sub = await join(t, version, { id: name, ...kept(version) });
        await sub.subscribe(topic, { qos: 2 });
        subs.push(sub);
    }
    for (const sub of subs.slice(0, 3)) await sub.cut();
    const pub = await join(t, version);
    for (const qos of [1, 2]) await pub.publish(topic, `${qos}`, { qos });
    for (const sub of subs.slice(3)) assert.deepEqual(texts(await sub.messages(2)), ['1', '2']);
    for (const name of names.slice(0, 3)) {
        const sub = await join(t, version, { id: name, ...kept(version) });
        assert.deepEqual(texts(await sub.messages(2)), ['1', '2']);
    }
});

