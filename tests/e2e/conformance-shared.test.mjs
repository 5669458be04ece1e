// What MQTT 5.0 demands about shared subscriptions (4.8.2).

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { ending } from './lib/raw.mjs';
import { sleep } from './lib/wait.mjs';

const { join } = stage();
const texts = (list) => list.map((p) => p.payload.toString());

/** Members of a new group: { topic, filter, members: [Raw], options: [how each connects], pub }. */
async function group(t, n, { qos = 2, durable = false, tail = '' } = {}) {
    const topic = unique('shared'), filter = `$share/${unique('g')}/${topic}${tail}`;
    const options = Array.from({ length: n }, () => (durable ? { id: id(), ...kept(5) } : {}));
    const members = [];
    for (const how of options) {
        const raw = await join(t, 5, how);
        assert.deepEqual((await raw.subscribe(filter, { qos })).reasons, [qos]);
        members.push(raw);
    }
    return { topic, filter, members, options, pub: await join(t, 5) };
}

/** What the members have received so far: [[payload, ...] of each]. */
const received = (members) => members.map((raw) => raw.received.filter((p) => p.type === m.PUBLISH).map((p) => p.payload.toString()));
async function settled(raw) {
    await raw.send(m.pingreq());
    await raw.pick(m.PINGRESP);
}

conform('shared subscriptions are offered', { v5: '4.8.2-1' }, async (t) => {
    const raw = await join(t, 5);
    assert.notEqual(raw.connack.props.sharedAvailable, 0);
});

conform('a shared filter is $share/NAME/FILTER, and nothing else', { v5: '4.8.2-1 4.8.2-2' }, async (t) => {
    for (const filter of ['$share/', '$share//a', '$share/g', '$share/g/', '$share/+/a', '$share/#', '$share/#/a', '$share/a+b/c', '$share/g#/a', '$share/g/a#', '$share/g/a/#/b']) {
        const raw = await join(t, 5);
        await raw.send(m.subscribe({ pid: 5, filters: filter, qos: 1 }));
        const answer = await raw.next();
        assert.ok(answer.type === m.SUBACK ? answer.reasons[0] >= 0x80 : answer.reason >= 0x80, `${filter}: ${raw.said()}`);
    }
    const raw = await join(t, 5);
    const good = ['$share/g/a', '$share/g/#', '$share/g/+/b', '$share/g//', '$share/\u00e9 $/a/b', '$share/$share/$x'];
    assert.deepEqual((await raw.subscribe(good, { qos: 1 })).reasons, good.map(() => 1));
    assert.deepEqual((await raw.unsubscribe(good)).reasons, good.map(() => 0));
});

conform('no local on a shared subscription is a protocol error', { v5: '3.8.3-4' }, async (t) => {
    const raw = await join(t, 5);
    await raw.send(m.subscribe({ filters: { filter: '$share/g/a', noLocal: true } }));
    assert.equal(await ending(raw), 0x82);
});

conform('each message goes to one member, and with the QoS granted to that one', { v5: '4.8.2-3 3.8.4-8' }, async (t) => {
    for (const durable of [false, true]) {
        const topic = unique('shared'), filter = `$share/${unique('g')}/${topic}`;
        const members = [];
        for (const qos of [0, 1, 2]) {
            const raw = await join(t, 5, durable ? { id: id(), ...kept(5) } : {});
            assert.deepEqual((await raw.subscribe(filter, { qos })).reasons, [qos]);
            members.push(raw);
        }
        const plain = await join(t, 5);
        await plain.subscribe(topic, { qos: 2 });
        const pub = await join(t, 5);
        for (let i = 0; i < 60; i++) {
            await pub.publish(topic, `${i}`, { qos: i % 3 });
            await plain.message();
        }
        await sleep(150);
        const all = members.flatMap((raw, granted) => raw.received.filter((p) => p.type === m.PUBLISH).map((p) => ({ granted, p })));
        assert.deepEqual(all.map(({ p }) => Number(p.payload)).sort((a, b) => a - b), Array.from({ length: 60 }, (_, i) => i), 'each once');
        for (const { granted, p } of all) assert.equal(p.qos, Math.min(granted, Number(p.payload) % 3));
        assert.ok(members.every((raw) => raw.received.some((p) => p.type === m.PUBLISH)), 'nobody is left out');
    }
});

conform('two groups and a plain subscription each get every message, retained ones are not sent to a new member', { v5: '4.8.2-3' }, async (t) => {
    const topic = unique('shared');
    const pub = await join(t, 5);
    await pub.publish(topic, 'retained', { retain: true });
    const subs = [];
    for (const filter of [`$share/one/${topic}`, `$share/one/${topic}`, `$share/two/${topic}`, topic]) {
        const raw = await join(t, 5);
        await raw.subscribe(filter, { qos: 1 });
        subs.push(raw);
    }
    assert.deepEqual(texts(await subs[3].messages(1)), ['retained']);
    for (let i = 0; i < 10; i++) await pub.publish(topic, `${i}`);
    const due = Array.from({ length: 10 }, (_, i) => `${i}`);
    assert.deepEqual(texts(await subs[2].messages(10)), due);
    assert.deepEqual(texts(await subs[3].messages(10)), due);
    await sleep(100);
    const [one, other] = received(subs.slice(0, 2));
    assert.deepEqual([...one, ...other].sort(), due);
});

conform('a QoS 2 delivery that has begun is finished with the same member when it comes back, and nobody else gets it', { v5: '4.8.2-4' }, async (t) => {
    for (const stage_ of ['PUBLISH', 'PUBREC']) {
        const g = await group(t, 2, { durable: true });
        await g.pub.publish(g.topic, 'x', { qos: 2 });
        await sleep(50);
        const at = received(g.members).findIndex((list) => list.length);
        const p = await g.members[at].pick(m.PUBLISH);
        if (stage_ === 'PUBREC') {
            await g.members[at].send(m.ack(m.PUBREC, p.pid));
            await g.members[at].pick(m.PUBREL);
        }
        await g.members[at].cut();
        await settled(g.members[1 - at]);
        await sleep(200);
        assert.deepEqual(received(g.members)[1 - at], [], 'not to the other');
        const back = await join(t, 5, g.options[at]);
        if (stage_ === 'PUBLISH') {
            const again = await back.message();
            assert.deepEqual([again.pid, again.dup, again.payload.toString()], [p.pid, true, 'x']);
        } else {
            assert.equal((await back.want(m.PUBREL)).pid, p.pid);
            await back.send(m.ack(m.PUBCOMP, p.pid));
        }
        await back.quiet(80);
        assert.deepEqual(received(g.members)[1 - at], []);
    }
});

conform('if the member\'s session ends before a QoS 2 delivery is finished, nobody else gets the message', { v5: '4.8.2-5' }, async (t) => {
    for (const how of ['clean start', 'expiry', 'volatile']) {
        const g = await group(t, 2, { durable: how !== 'volatile' });
        await g.pub.publish(g.topic, 'x', { qos: 2 });
        await sleep(50);
        const at = received(g.members).findIndex((list) => list.length);
        await g.members[at].pick(m.PUBLISH); // never acknowledged
        if (how === 'expiry') await g.members[at].send(m.disconnect({ props: { sessionExpiry: 0 } }));
        else await g.members[at].cut();
        if (how === 'clean start') await (await join(t, 5, { ...g.options[at], clean: true })).cut();
        await sleep(300);
        await settled(g.members[1 - at]);
        assert.deepEqual(received(g.members)[1 - at], [], how);
        await g.pub.publish(g.topic, 'later', { qos: 2 });
        assert.equal((await g.members[1 - at].message()).payload.toString(), 'later');
    }
});

conform('a message that the member refuses with 0x80 or more goes to nobody', { v5: '4.8.2-6 4.4.0-2' }, async (t) => {
    for (const durable of [false, true])
        for (const [qos, type] of [[1, m.PUBACK], [2, m.PUBREC]]) {
            const g = await group(t, 2, { durable });
            await g.pub.publish(g.topic, 'x', { qos });
            await sleep(50);
            const at = received(g.members).findIndex((list) => list.length);
            const p = await g.members[at].pick(m.PUBLISH);
            await g.members[at].send(m.ack(type, p.pid, { reason: 0x80 }));
            await sleep(150);
            for (const raw of g.members) await settled(raw);
            assert.equal(received(g.members).flat().length, 1, 'nobody else, and not again');
        }
});

conform('messages of one client arrive at each member in their order, and none is lost when a member leaves', { v5: '4.6.0-5' }, async (t) => {
    const g = await group(t, 3, { qos: 1, tail: '/#' });
    const seen = [];
    for (const raw of g.members)
        raw.onPacket = (p) => {
            if (p.type !== m.PUBLISH) return;
            seen.push(Number(p.payload));
            (raw.mine ??= []).push(Number(p.payload));
            raw.send(m.ack(m.PUBACK, p.pid));
        };
    for (let i = 0; i < 90; i++) {
        await g.pub.publish(`${g.topic}/a`, `${i}`);
        if (i === 45) await g.members[0].send(m.unsubscribe({ pid: 9, filters: g.filter }));
    }
    await sleep(150);
    assert.deepEqual([...seen].sort((a, b) => a - b), Array.from({ length: 90 }, (_, i) => i));
    for (const raw of g.members) assert.deepEqual(raw.mine, [...raw.mine].sort((a, b) => a - b));
});
