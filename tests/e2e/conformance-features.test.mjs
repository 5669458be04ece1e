// What the standard demands about topic aliases, subscription identifiers, shared subscriptions and problem information.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { ending } from './lib/raw.mjs';
import { sleep } from './lib/wait.mjs';

const { join } = stage();
const text = (p) => p.payload.toString();
const ids = (p) => [p.props?.subId ?? []].flat().sort((a, b) => a - b);

// ---- topic aliases ----

conform('every alias up to the announced maximum is taken, none is 0 or above it', { v5: '3.3.2-8 3.3.2-12 3.2.2-17' }, async (t) => {
    const topic = unique('alias');
    const to = await join(t);
    await to.subscribe(`${topic}/#`);
    const from = await join(t);
    for (let alias = 1; alias <= 64; alias++)
        await from.publish(`${topic}/${alias}`, 'set', { qos: 0, props: { topicAlias: alias } });
    for (let alias = 64; alias >= 1; alias--) await from.publish('', 'used', { qos: 0, props: { topicAlias: alias } });
    const got = await to.messages(128);
    const numbers = Array.from({ length: 64 }, (_, i) => i + 1);
    assert.deepEqual(got.map((p) => p.topic), [...numbers, ...numbers.toReversed()].map((n) => `${topic}/${n}`));
    for (const alias of [0, 65, 65_535]) {
        const wrong = await join(t);
        await wrong.send(m.publish({ topic, props: { topicAlias: alias } }));
        assert.equal(await ending(wrong), 0x94, `alias ${alias}`);
    }
});

conform('topic aliases end with the connection', { v5: '3.3.2-7' }, async (t) => {
    const clientId = id();
    const first = await join(t, 5, { ...kept(5), id: clientId });
    await first.publish(unique('alias'), 'set', { qos: 1, props: { topicAlias: 3 } });
    await first.cut();
    const second = await join(t, 5, { ...kept(5), id: clientId });
    await second.send(m.publish({ topic: '', props: { topicAlias: 3 } }));
    assert.equal(await ending(second), 0x82);
});

conform('the server keeps to the aliases the client takes', { v5: '3.3.2-11 3.1.2-26 3.1.2-27' }, async (t) => {
    const topic = unique('alias/long/enough');
    for (const most of [0, 2]) {
        const to = await join(t, 5, { props: most ? { topicAliasMax: most } : {} });
        await to.subscribe(`${topic}/#`);
        const from = await join(t);
        for (let i = 0; i < 40; i++) await from.publish(`${topic}/${i % 5}`, 'x', { qos: 0 });
        const known = new Map();
        for (const [i, p] of (await to.messages(40)).entries()) {
            const alias = p.props?.topicAlias;
            assert.ok(alias === undefined || (alias >= 1 && alias <= most), `alias ${alias}`);
            if (p.topic && alias) known.set(alias, p.topic);
            assert.equal(p.topic || known.get(alias), `${topic}/${i % 5}`);
        }
        await to.cut();
    }
});

// ---- subscription identifiers ----

conform('a message carries the identifiers of all subscriptions that it matches', { v5: '3.3.4-3 3.3.4-4 3.3.4-5' }, async (t) => {
    const topic = unique('subid');
    const to = await join(t);
    await to.subscribe(`${topic}/#`, { props: { subId: 1 } });
    await to.subscribe(`${topic}/+`, { props: { subId: 268_435_455 } });
    await to.subscribe(`${topic}/a`);
    const from = await join(t);
    await from.publish(`${topic}/a`, 'two', { qos: 1 });
    await from.publish(`${topic}/a/b`, 'one', { qos: 1 });
    const got = new Map();
    while (!got.has('one')) {
        const p = await to.message();
        got.set(text(p), [...(got.get(text(p)) ?? []), ...ids(p)]);
    }
    assert.deepEqual(got.get('two').sort((a, b) => a - b), [1, 268_435_455]);
    assert.deepEqual(got.get('one'), [1]);
});

// ---- shared subscriptions ----

const members = async (t, filter, n, qos = 2) => {
    const list = [];
    for (let i = 0; i < n; i++) {
        const clientId = id();
        list.push(Object.assign(await join(t, 5, { ...kept(5, { receiveMax: 1 }), id: clientId }), { clientId }));
        assert.deepEqual((await list[i].subscribe(filter, { qos: Array.isArray(qos) ? qos[i] : qos })).reasons, [Array.isArray(qos) ? qos[i] : qos]);
    }
    return list;
};

conform('a shared filter is $share/NAME/FILTER, the name has one character and no /, + or #', { v5: '4.8.2-1 4.8.2-2' }, async (t) => {
    const raw = await join(t);
    for (const bad of ['$share/', '$share/a', '$share/a/', '$share//b', '$share/+/b', '$share/#/b', '$share/a+/b', '$share/a#/b'])
        assert.deepEqual((await raw.subscribe(bad)).reasons, [0x8f], bad);
    const topic = unique('share');
    for (const good of [`$share/a/${topic}`, `$share/${'n'.repeat(200)}/${topic}`, `$share/ü/${topic}/#`])
        assert.deepEqual((await raw.subscribe(good, { qos: 1 })).reasons, [1], good);
    await (await join(t)).publish(topic, 'x', { qos: 0 });
    assert.equal((await raw.messages(3)).length, 3);
});

conform('no local on a shared subscription is a protocol error', { v5: '3.8.3-4' }, async (t) => {
    const raw = await join(t);
    await raw.send(m.subscribe({ filters: { filter: '$share/g/a', noLocal: true } }));
    assert.equal(await ending(raw), 0x82);
});

conform('each member gets what it is chosen for with its own granted QoS', { v5: '4.8.2-3' }, async (t) => {
    const topic = unique('share');
    const list = await members(t, `$share/g/${topic}`, 3, [0, 1, 2]);
    const from = await join(t);
    for (let i = 0; i < 12; i++) await from.publish(topic, String(i), { qos: 2 });
    await sleep(200);
    // The one with QoS 0 cannot be trusted with what was acknowledged while there are others (share.h).
    for (const i of [1, 2]) assert.equal((await list[i].pick(m.PUBLISH)).qos, i);
    for (let i = 0; i < 12; i++) await from.publish(topic, 'fleeting', { qos: 0 });
    const p = await list[0].pick(m.PUBLISH);
    assert.deepEqual([text(p), p.qos], ['fleeting', 0]);
    // Alone, it gets them all, with QoS 0.
    for (const member of list.slice(1)) await member.unsubscribe(`$share/g/${topic}`);
    await from.publish(topic, 'alone', { qos: 2 });
    let last;
    do last = await list[0].pick(m.PUBLISH); while (text(last) !== 'alone');
    assert.equal(last.qos, 0);
});

conform('a begun QoS 2 delivery stays with its member, and ends with its session', { v5: '4.8.2-4 4.8.2-5' }, async (t) => {
    const topic = unique('share');
    const [first] = await members(t, `$share/g/${topic}`, 1);
    await (await join(t)).publish(topic, 'begun', { qos: 2 });
    const sent = await first.pick(m.PUBLISH);
    const [second] = await members(t, `$share/g/${topic}`, 1);
    await first.cut();
    await sleep(100);
    const again = await join(t, 5, { ...kept(5, { receiveMax: 1 }), id: first.clientId });
    const resent = await again.pick(m.PUBLISH);
    assert.deepEqual([text(resent), resent.pid, resent.dup], ['begun', sent.pid, true]);
    await again.cut();
    await (await join(t, 5, { id: first.clientId })).cut(); // its session is over
    await second.quiet(300);
});

conform('what a member refuses goes to nobody else', { v5: '4.8.2-6' }, async (t) => {
    const topic = unique('share');
    const list = await members(t, `$share/g/${topic}`, 2);
    const from = await join(t);
    for (const qos of [1, 2]) {
        for (const name of ['a', 'b']) await from.publish(topic, name, { qos });
        for (const member of list) {
            const p = await member.pick(m.PUBLISH);
            await member.send(m.ack(qos === 1 ? m.PUBACK : m.PUBREC, p.pid, { reason: 0x80 }));
        }
        for (const member of list) await member.quiet(200);
    }
});
