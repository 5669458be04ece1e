// What the standards demand about SUBSCRIBE and UNSUBSCRIBE, topics and filters.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { ending } from './lib/raw.mjs';
import { matches } from './lib/topics.mjs';

const { join } = stage();
const texts = (list) => list.map((p) => p.payload.toString());
const FAILED = { 4: 0x80, 5: 0x8f };

// ---- SUBSCRIBE ----

conform('SUBSCRIBE gets SUBACK with its identifier and a reason for each filter in their order', {
    v4: '3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2 2.3.1-7', v5: '3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2 2.2.1-6',
}, async (t, version) => {
    const base = unique('sub');
    const raw = await join(t, version);
    for (const pid of [1, 300, 65_535]) {
        const filters = [0, 'a/#/b', 1, 2, 'a+', 2, 1, '#/', 0].map((one, i) =>
            typeof one === 'number' ? { filter: `${base}/${pid}/${i}`, qos: one } : { filter: one, qos: 2 });
        await raw.send(m.subscribe({ version, pid, filters }));
        const suback = await raw.want(m.SUBACK);
        assert.equal(suback.pid, pid);
        const bad = FAILED[version];
        assert.deepEqual(suback.reasons, [0, bad, 1, 2, bad, 2, 1, bad, 0]);
    }
    const pub = await join(t, version);
    await pub.publish(`${base}/1/3`, 'granted', { qos: 2 });
    await raw.message();
});

conform('several filters in one SUBSCRIBE are as several SUBSCRIBEs', { v4: '3.8.4-4', v5: '3.8.4-5' }, async (t, version) => {
    const base = unique('several');
    const pub = await join(t, version);
    for (const name of ['a', 'b']) await pub.publish(`${base}/${name}`, `retained ${name}`, { qos: 1, retain: true });
    const raw = await join(t, version);
    // The same filter twice: the later one counts, and each brings the retained message.
    const suback = await raw.subscribe([{ filter: `${base}/a`, qos: 2 }, { filter: `${base}/b`, qos: 1 }, { filter: `${base}/a`, qos: 0 }]);
    assert.deepEqual(suback.reasons, [2, 1, 0]);
    const got = texts(await raw.messages(3)).sort();
    assert.deepEqual(got, ['retained a', 'retained a', 'retained b']);
    await pub.publish(`${base}/a`, 'live', { qos: 2 });
    assert.deepEqual([await raw.message()].map((p) => [p.payload.toString(), p.qos]), [['live', 0]]);
    await raw.quiet(60);
});

conform('the same filter again replaces the subscription, and the retained messages come again', { v4: '3.8.4-3', v5: '3.8.4-3 3.8.4-4' }, async (t, version) => {
    const topic = unique('again');
    const pub = await join(t, version);
    await pub.publish(topic, 'retained', { qos: 2, retain: true });
    const raw = await join(t, version);
    for (const qos of [2, 0, 1]) {
        assert.deepEqual((await raw.subscribe(topic, { qos })).reasons, [qos]);
        const p = await raw.message();
        assert.deepEqual([p.payload.toString(), p.qos, p.retain], ['retained', qos, true]);
        await pub.publish(topic, 'live', { qos: 2 });
        const live = await raw.message();
        assert.deepEqual([live.payload.toString(), live.qos, live.retain], ['live', qos, false]);
        await raw.quiet(40);
    }
});

conform('no message is lost while a subscription is replaced', { v4: '3.8.4-3', v5: '3.8.4-4' }, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const topic = unique('flow');
        const raw = await join(t, version, options);
        await raw.subscribe(topic, { qos: 1 });
        const pub = await join(t, version);
        const n = 300;
        for (let i = 0; i < n; i++) {
            await pub.send(m.publish({ version, topic, payload: `${i}`, qos: 1, pid: i + 1 }));
            if (i % 20 === 0) await raw.send(m.subscribe({ version, pid: i + 1, filters: topic, qos: 1 }));
        }
        const got = [];
        while (got.length < n) {
            const p = await raw.pick(m.PUBLISH);
            got.push(p.payload.toString());
            await raw.send(m.ack(m.PUBACK, p.pid, { version }));
        }
        assert.deepEqual(got, Array.from({ length: n }, (_, i) => `${i}`));
    }
});

conform('a message is delivered with the lower of its QoS and the granted one', { v4: '3.8.4-6', v5: '3.8.4-8' }, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const base = unique('lower');
        const raw = await join(t, version, options);
        await raw.subscribe([0, 1, 2].map((qos) => ({ filter: `${base}/${qos}/+`, qos })));
        const pub = await join(t, version);
        for (const granted of [0, 1, 2])
            for (const qos of [0, 1, 2]) {
                await pub.publish(`${base}/${granted}/x`, 'x', { qos });
                assert.equal((await raw.message()).qos, Math.min(granted, qos), `granted ${granted}, published ${qos}`);
            }
    }
});

conform('overlapping subscriptions deliver with the highest QoS among them', { v4: '3.3.5-1', v5: '3.3.4-2' }, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const base = unique('over');
        const raw = await join(t, version, options);
        await raw.subscribe([{ filter: `${base}/#`, qos: 2 }, { filter: `${base}/+`, qos: 0 }, { filter: `${base}/a`, qos: 1 }]);
        const pub = await join(t, version);
        await pub.publish(`${base}/a`, 'x', { qos: 2 });
        await pub.publish(`${base}/end`, 'end', { qos: 2 });
        const got = [];
        do got.push(await raw.message()); while (got.at(-1).topic !== `${base}/end`);
        assert.equal(Math.max(...got.filter((p) => p.topic === `${base}/a`).map((p) => p.qos)), 2);
        assert.equal(got.filter((p) => p.qos === 2 && p.topic === `${base}/a`).length, 1);
        assert.equal(got[0].qos, 2);
    }
});

conform('SUBSCRIBE with flags other than 0010 ends the connection', { v4: '3.8.1-1 2.2.2-1 2.2.2-2', v5: '3.8.1-1 2.1.3-1' }, async (t, version) => {
    for (let flags = 0; flags < 16; flags++) {
        if (flags === 2) continue;
        const raw = await join(t, version);
        const bytes = m.subscribe({ version, filters: 'a' });
        bytes[0] = 0x80 | flags;
        await raw.send(bytes);
        const rest = await raw.wantClosed(5000);
        assert.deepEqual(rest.map((p) => [p.type, p.reason]), version === 5 ? [[m.DISCONNECT, 0x81]] : []);
    }
});

conform('reserved option bits, or a QoS of 3, end the connection', { v4: '3.8.3-4 2.2.2-2', v5: '3.8.3-5' }, async (t, version) => {
    const bits = version === 5 ? [0x03, 0x30, 0x40, 0x80, 0xc0, 0xc1] : [0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xfc];
    for (const options of bits) {
        const raw = await join(t, version);
        await raw.send(m.subscribe({ version, filters: [{ filter: 'fine', qos: 1 }, { filter: 'a', options }] }));
        const rest = await raw.wantClosed(5000);
        assert.deepEqual(rest.map((p) => p.type), version === 5 ? [m.DISCONNECT] : []);
        if (version === 5) assert.ok([0x81, 0x82].includes(rest[0].reason));
    }
});

conform('SUBSCRIBE needs a filter, and filters are UTF-8', { v4: '3.8.3-1 3.8.3-3 1.5.3-1 1.5.3-2', v5: '3.8.3-1 3.8.3-2 1.5.4-1 1.5.4-2' }, async (t, version) => {
    for (const filters of [[], [Buffer.from([0xff])], ['fine', Buffer.from([0xed, 0xbf, 0xbf])], [Buffer.from([0xc1, 0x81])], [Buffer.from('a/\0')]]) {
        const raw = await join(t, version);
        await raw.send(m.subscribe({ version, filters }));
        const rest = await raw.wantClosed(5000);
        if (version === 5) assert.ok([0x81, 0x82, 0x8f].includes(rest.at(-1)?.reason), raw.said());
        else assert.deepEqual(rest, []);
    }
});

conform('no local keeps back what the client itself published, and nothing else', { v5: '3.8.3-3' }, async (t) => {
    for (const options of [{}, { id: id(), ...kept(5) }]) {
        const topic = unique('local');
        const raw = await join(t, 5, options);
        const other = await join(t, 5);
        await raw.subscribe({ filter: topic, qos: 2, noLocal: true });
        await other.subscribe(topic, { qos: 2 });
        for (const qos of [0, 1, 2]) await raw.publish(topic, `own ${qos}`, { qos });
        assert.deepEqual(texts(await other.messages(3)).sort(), ['own 0', 'own 1', 'own 2']);
        for (const qos of [0, 1, 2]) await other.publish(topic, `other ${qos}`, { qos });
        assert.deepEqual(texts(await raw.messages(3)).sort(), ['other 0', 'other 1', 'other 2']);
        await raw.quiet(60);
        if (!options.id) continue;
        // Another connection of the same client is the same client.
        await raw.cut();
        const again = await join(t, 5, options);
        await again.publish(topic, 'own again');
        await again.quiet(80);
    }
});

conform('retain handling 0 sends retained messages, 1 only to a subscription that is new, 2 none', { v5: '3.3.1-9 3.3.1-10 3.3.1-11' }, async (t) => {
    const pub = await join(t, 5);
    for (const options of [{}, { id: id(), ...kept(5) }]) {
        const topic = unique('handling');
        await pub.publish(topic, 'x', { retain: true });
        const raw = await join(t, 5, options);
        const comes = async (retainHandling, qos = 1) => {
            await raw.subscribe({ filter: topic, qos, retainHandling });
            await raw.send(m.pingreq());
            await raw.pick(m.PINGRESP);
            const got = [];
            while (raw.received.length > raw.taken) got.push(await raw.message());
            if (got.length === 0) await raw.quiet(50);
            return got.length;
        };
        assert.equal(await comes(2), 0, '2, new');
        assert.equal(await comes(1), 0, '1, exists');
        assert.equal(await comes(1, 0), 0, '1, exists with another QoS');
        assert.equal(await comes(0), 1, '0, exists');
        await raw.unsubscribe(topic);
        assert.equal(await comes(1), 1, '1, new');
        await raw.unsubscribe(topic);
        assert.equal(await comes(0), 1, '0, new');
        assert.equal(await comes(2), 0, '2, exists');
    }
});

conform('retain as published: RETAIN as it came, or always 0', { v5: '3.3.1-12 3.3.1-13' }, async (t) => {
    for (const options of [() => ({}), () => ({ id: id(), ...kept(5) })]) {
        const topic = unique('rap');
        const [as, not] = [await join(t, 5, options()), await join(t, 5, options())];
        await as.subscribe({ filter: topic, qos: 2, retainAsPublished: true });
        await not.subscribe({ filter: topic, qos: 2, retainAsPublished: false });
        const pub = await join(t, 5);
        for (const qos of [0, 1, 2])
            for (const retain of [false, true]) {
                await pub.publish(topic, 'x', { qos, retain });
                assert.equal((await as.message()).retain, retain);
                assert.equal((await not.message()).retain, false);
            }
    }
});

// ---- UNSUBSCRIBE ----

conform('UNSUBSCRIBE gets UNSUBACK with its identifier, also when there is nothing to remove, one for several filters', {
    v4: '3.10.4-4 3.10.4-5 3.10.4-6 2.3.1-7', v5: '3.10.4-4 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2 2.2.1-6',
}, async (t, version) => {
    const base = unique('unsub');
    const raw = await join(t, version);
    await raw.subscribe([`${base}/a`, `${base}/b`, `${base}/c`, `${base}/+`], { qos: 1 });
    for (const [pid, filters, reasons] of [
        [7, ['a', 'none', 'c', 'a'], [0, 0x11, 0, 0x11]], [65_535, ['none'], [0x11]], [1, ['+', 'a'], [0, 0x11]]]) {
        await raw.send(m.unsubscribe({ version, pid, filters: filters.map((name) => `${base}/${name}`) }));
        const p = await raw.want(m.UNSUBACK);
        assert.equal(p.pid, pid);
        if (version === 5) {
            // A filter named twice in one packet: as two packets, or judged at once.
            if (pid === 7 && p.reasons[3] === 0) p.reasons[3] = 0x11;
            assert.deepEqual(p.reasons, reasons);
        } else assert.deepEqual(p.reasons, []);
    }
    const pub = await join(t, version);
    for (const name of ['a', 'b', 'c']) await pub.publish(`${base}/${name}`, name);
    assert.deepEqual(texts(await raw.messages(1)), ['b']);
    await raw.quiet(60);
});

conform('a filter is removed when it is equal to the byte, whatever it would match', { v4: '3.10.4-1', v5: '3.10.4-1' }, async (t, version) => {
    const base = unique('equal');
    const raw = await join(t, version);
    await raw.subscribe([`${base}/+`, `${base}/a/#`, `${base}/É`], { qos: 1 });
    await raw.unsubscribe([`${base}/a`, `${base}/#`, `${base}/a/b`, `${base}/a/+`, `${base}/E\u0301`, `${base}/+/`, `/${base}/+`, `${base.toUpperCase()}/+`]);
    const pub = await join(t, version);
    await pub.publish(`${base}/x`, '1');
    await pub.publish(`${base}/a/b`, '2');
    await pub.publish(`${base}/É`, '3');
    assert.deepEqual(texts(await raw.messages(3)), ['1', '2', '3']);
    await raw.unsubscribe(`${base}/+`);
    await pub.publish(`${base}/x`, 'no');
    await pub.publish(`${base}/a/b`, '4');
    assert.deepEqual(texts(await raw.messages(1)), ['4']);
    await raw.quiet(50);
});

conform('after UNSUBACK nothing new is added, and deliveries that have begun are finished', { v4: '3.10.4-2 3.10.4-3', v5: '3.10.4-2 3.10.4-3' }, async (t, version) => {
    for (const options of [{}, { id: id(), ...kept(version) }]) {
        const topic = unique('begun');
        const raw = await join(t, version, options);
        await raw.subscribe(topic, { qos: 2 });
        const pub = await join(t, version);
        for (const qos of [1, 2]) await pub.publish(topic, `${qos}`, { qos });
        const begun = [await raw.want(m.PUBLISH), await raw.want(m.PUBLISH)];
        await raw.unsubscribe(topic);
        for (const qos of [0, 1, 2]) await pub.publish(topic, 'new', { qos });
        await raw.quiet(60);
        await raw.send(m.ack(m.PUBACK, begun[0].pid, { version }), m.ack(m.PUBREC, begun[1].pid, { version }));
        assert.equal((await raw.want(m.PUBREL)).pid, begun[1].pid);
        await raw.send(m.ack(m.PUBCOMP, begun[1].pid, { version }));
        if (!options.id) continue;
        // What was not finished when the connection ended is finished on the next.
        await raw.subscribe(topic, { qos: 2 });
        await pub.publish(topic, 'unfinished', { qos: 2 });
        await raw.want(m.PUBLISH);
        await raw.unsubscribe(topic);
        await raw.cut();
        const again = await join(t, version, options);
        assert.deepEqual([await again.message()].map((p) => [p.payload.toString(), p.dup]), [['unfinished', true]]);
    }
});

conform('UNSUBSCRIBE with flags other than 0010 ends the connection', { v4: '3.10.1-1 2.2.2-1 2.2.2-2', v5: '3.10.1-1 2.1.3-1' }, async (t, version) => {
    for (let flags = 0; flags < 16; flags++) {
        if (flags === 2) continue;
        const raw = await join(t, version);
        const bytes = m.unsubscribe({ version, filters: 'a' });
        bytes[0] = 0xa0 | flags;
        await raw.send(bytes);
        const rest = await raw.wantClosed(5000);
        assert.deepEqual(rest.map((p) => [p.type, p.reason]), version === 5 ? [[m.DISCONNECT, 0x81]] : []);
    }
});

conform('UNSUBSCRIBE needs a filter, and filters are UTF-8', { v4: '3.10.3-1 3.10.3-2', v5: '3.10.3-1 3.10.3-2' }, async (t, version) => {
    for (const filters of [[], [Buffer.from([0xff])], ['fine', Buffer.from([0xed, 0xa0, 0x80])], [Buffer.from('a\0')]]) {
        const raw = await join(t, version);
        await raw.send(m.unsubscribe({ version, filters }));
        const rest = await raw.wantClosed(5000);
        if (version === 5) assert.ok([0x81, 0x82, 0x8f].includes(rest.at(-1)?.reason), raw.said());
        else assert.deepEqual(rest, []);
    }
});

// ---- topics and filters ----

conform('wildcards match whole levels, and stand where they may', { v4: '4.7.1-2 4.7.1-3', v5: '4.7.1-1 4.7.1-2' }, async (t, version) => {
    const raw = await join(t, version);
    const base = unique('wild');
    const good = ['#', '+', '+/#', '+/+', '/+', '/#', '+/', 'a/+/b', 'a/#', '/', '//', '+//#'];
    const bad = ['a#', 'a/#/', 'a/#/b', '##', '#/#', '/##', 'a+', '+a', 'a/+b', 'a/b+/c', '++', '+#', '#+', 'a/+#', ''];
    assert.deepEqual((await raw.subscribe(good.map((tail) => (tail === '#' || tail === '+' ? tail : `${base}/${tail}`)))).reasons, good.map(() => 0));
    for (const filter of bad) assert.deepEqual((await raw.subscribe([`${base}/ok`, filter], { qos: 1 })).reasons, [1, FAILED[version]], filter);
    const levels = ['', 'a', 'b', 'ab', '+'];
    const filters = [], topics = [];
    for (const x of levels) for (const y of [...levels, '#']) { filters.push(`${base}/${x}/${y}`); }
    filters.push(`${base}/#`, `${base}/+`, `${base}/+/+/+`, `${base}/a/b/#`, `${base}/+/b/+`, `+/+/a`, `${base}/a`);
    for (const x of levels.slice(0, 4)) { topics.push(`${base}/${x}`); for (const y of levels.slice(0, 4)) { topics.push(`${base}/${x}/${y}`); topics.push(`${base}/${x}/${y}/a`); } }
    topics.push(base, `${base}a`, `/${base}`);
    const pub = await join(t, version);
    for (const filter of filters) {
        const sub = await join(t, version);
        await sub.subscribe(filter, { qos: 0 });
        await pub.send(...topics.map((topic) => m.publish({ version, topic, payload: 'x' })));
        const due = topics.filter((topic) => matches(filter, topic));
        const got = [];
        while (got.length < due.length) got.push((await sub.message()).topic);
        assert.deepEqual(got, due, filter);
        await sub.send(m.pingreq());
        await sub.want(m.PINGRESP);
        await sub.cut();
    }
});

conform('a filter that begins with a wildcard does not match a topic that begins with $', { v4: '4.7.2-1', v5: '4.7.2-1' }, async (t, version) => {
    const base = unique('dollar');
    const raw = await join(t, version);
    const pub = await join(t, version);
    await pub.publish(`$own/${base}/r`, 'retained', { retain: true });
    await raw.subscribe([`#`, `+/${base}/#`, `+/+/+`, '+/#'], { qos: 1 });
    await pub.publish(`$own/${base}/x`, 'hidden');
    await pub.publish(`$/${base}/x`, 'hidden');
    await pub.publish(`own$/${base}/x`, 'seen');
    let p;
    do p = await raw.message(); while (!p.topic.includes(base)); // other tests' retained messages match, too
    assert.equal(p.topic, `own$/${base}/x`);
    await raw.subscribe([`$own/${base}/#`, `$own/+/r`, `$/#`], { qos: 1 });
    await pub.publish(`$own/${base}/x`, 'seen');
    const got = [];
    while (got.length < 3) { const one = await raw.message(); if (one.topic.includes(base)) got.push(one.payload.toString()); }
    assert.deepEqual(got.sort(), ['retained', 'retained', 'seen']);
});

conform('topic names have no wildcards', { v4: '3.3.2-2 4.7.1-1', v5: '3.3.2-2 4.7.0-1' }, async (t, version) => {
    for (const topic of ['#', '+', 'a/#', 'a/+/b', 'a+', 'a#', '/+'])
        for (const qos of [0, 1, 2]) {
            const raw = await join(t, version);
            const watcher = qos ? undefined : await join(t, version);
            await watcher?.subscribe('a/#');
            await raw.send(m.publish({ version, topic, payload: 'x', qos, pid: qos ? 1 : undefined }));
            const answer = await raw.next().catch(() => 'closed');
            if (version === 5) assert.ok([0x81, 0x82, 0x90].includes(answer.reason), raw.said());
            else assert.equal(answer, 'closed');
            await watcher?.cut();
        }
});

conform('topics and filters have a character at least, and no U+0000', { v4: '4.7.3-1 4.7.3-2 1.5.3-2', v5: '4.7.3-1 4.7.3-2 1.5.4-2' }, async (t, version) => {
    for (const [topic, filter] of [['', ''], [Buffer.from([0]), Buffer.from([0])], [Buffer.from('a\0b'), Buffer.from('+/\0')]]) {
        const raw = await join(t, version);
        await raw.send(m.publish({ version, topic, payload: 'x' }));
        const how = await ending(raw);
        assert.ok(version === 5 ? [0x81, 0x82, 0x90].includes(how) : how === 'closed', `${how}`);
        const sub = await join(t, version);
        await sub.send(m.subscribe({ version, filters: filter }));
        const answer = await sub.next().catch(() => 'closed');
        assert.ok(answer === 'closed' || (answer.reasons?.[0] ?? answer.reason) >= 0x80, sub.said());
    }
});

conform('topics and filters of 65,535 bytes are taken or refused, and cannot be longer', { v4: '4.7.3-3', v5: '4.7.3-3' }, async (t, version) => {
    const long = 'x'.repeat(65_535);
    const sub = await join(t, version);
    const { reasons: [reason] } = await sub.subscribe(long);
    assert.ok(reason === 0 || reason >= 0x80);
    const pub = await join(t, version);
    await pub.send(m.publish({ version, topic: long, payload: 'x', qos: 1, pid: 1 }));
    const answer = await pub.next().catch(() => 'closed');
    if (reason === 0) assert.equal((await sub.message()).topic, long);
    else assert.ok(answer === 'closed' || answer.reason >= 0x80, 'what is not taken is not acknowledged as if it were');
    // Just what the limit allows goes through in one piece.
    const most = 'y'.repeat(1024);
    const ok = await join(t, version);
    assert.deepEqual((await ok.subscribe(most, { qos: 1 })).reasons, [1]);
    await (await join(t, version)).publish(most, 'x');
    assert.equal((await ok.message()).topic, most);
});

conform('topics are compared as they are', { v4: '4.7.3-4', v5: '4.7.3-4' }, async (t, version) => {
    const base = unique('as is');
    // Composed and decomposed, cases, slashes, blanks, unassigned and private characters, escapes.
    const names = ['\u00c5', 'A\u030a', '\u212b', 'a', 'A', 'a/', '/a', 'a//b', 'a/b', ' a', 'a ', 'a\t', '\ufdd0', '\uffff', '\u{10ffff}', '\ue000', '%41', '\\', '\u00ad',
        '\ufffd', '\u0001', '\u007f', '\u0085', '.', '..', 'a/../a'];
    const pub = await join(t, version);
    for (const name of names) {
        const sub = await join(t, version);
        const { reasons: [reason] } = await sub.subscribe(`${base}/${name}`, { qos: 0 });
        assert.equal(reason, 0, JSON.stringify(name));
        await pub.send(...names.map((other) => m.publish({ version, topic: `${base}/${other}`, payload: other })), m.publish({ version, topic: `${base}/${name}`, payload: 'end' }));
        assert.deepEqual(texts(await sub.messages(2)), [name, 'end']);
        await sub.cut();
    }
});

// ---- subscription identifiers ----

conform('a message carries the identifiers of the subscriptions it came by', { v5: '3.3.4-3 3.3.4-4 3.3.4-5' }, async (t) => {
    for (const options of [{}, { id: id(), ...kept(5) }]) {
        const base = unique('ids');
        const raw = await join(t, 5, options);
        await raw.subscribe(`${base}/#`, { qos: 1, props: { subId: 1 } });
        await raw.subscribe(`${base}/+`, { qos: 2, props: { subId: 268_435_455 } });
        await raw.subscribe(`${base}/a`, { qos: 0 });
        await raw.subscribe([`${base}/b`, `${base}/b/c`], { qos: 1, props: { subId: 128 } });
        const pub = await join(t, 5);
        const due = { a: [1, 268_435_455], b: [1, 128, 268_435_455], 'b/c': [1, 128], 'x/y': [1], c: [1, 268_435_455] };
        for (const qos of [0, 1, 2])
            for (const [tail, ids] of Object.entries(due)) {
                await pub.publish(`${base}/${tail}`, 'x', { qos });
                await pub.publish(`${base}/end/of/it`, 'end', { qos }); // order is kept within a QoS only [MQTT-4.6.0-6]
                const got = [];
                do got.push(await raw.message()); while (got.at(-1).payload.toString() !== 'end');
                got.pop();
                // One copy with all of them, or several, each with its own.
                assert.deepEqual(got.flatMap((p) => p.props.subId ?? []).sort((x, y) => x - y), ids, `${tail}, QoS ${qos}`);
            }
        if (!options.id) continue;
        await raw.cut();
        await pub.publish(`${base}/b`, 'away', { qos: 1 });
        const again = await join(t, 5, options);
        // An acknowledgement that was under way when the connection was cut may be lost: those come again, and first.
        let p;
        do p = await again.message(); while (p.payload.toString() === 'end');
        assert.deepEqual([p.payload.toString(), p.props.subId.sort((x, y) => x - y)], ['away', due.b]);
    }
});

conform('retained messages carry the identifier of the new subscription, and a replaced subscription its new one or none', { v5: '3.3.4-3 3.8.4-3' }, async (t) => {
    const topic = unique('ids');
    const pub = await join(t, 5);
    await pub.publish(topic, 'retained', { retain: true });
    for (const options of [{}, { id: id(), ...kept(5) }]) {
        const raw = await join(t, 5, options);
        for (const subId of [7, 8, undefined, 9]) {
            await raw.subscribe(topic, { qos: 1, props: { subId } });
            assert.deepEqual((await raw.message()).props.subId, subId && [subId]);
            await pub.publish(topic, 'live');
            assert.deepEqual((await raw.message()).props.subId, subId && [subId]);
        }
    }
});

conform('subscription identifiers are offered, from 1 to 268,435,455', { v5: '3.3.4-3' }, async (t) => {
    const raw = await join(t, 5);
    assert.notEqual(raw.connack.props.subIdAvailable, 0);
    for (const subId of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
        const topic = unique('ids');
        assert.deepEqual((await raw.subscribe(topic, { qos: 1, props: { subId } })).reasons, [1]);
        await (await join(t, 5)).publish(topic, 'x');
        assert.deepEqual((await raw.message()).props.subId, [subId]);
    }
});
