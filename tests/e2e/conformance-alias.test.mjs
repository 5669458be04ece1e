// What MQTT 5.0 demands about topic aliases (3.3.2.3.4), both ways.

import assert from 'node:assert/strict';
import { conform, id, kept, stage } from './lib/conform.mjs';
import { unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { ending } from './lib/raw.mjs';

const { join } = stage();
const alias = (topicAlias, more = {}) => ({ props: { topicAlias, ...more } });

conform('every alias up to the announced maximum is taken, and may be set anew', { v5: '3.3.2-12 3.2.2-17' }, async (t) => {
    const base = unique('alias');
    const sub = await join(t, 5);
    await sub.subscribe(`${base}/#`, { qos: 2 });
    const pub = await join(t, 5);
    const most = pub.connack.props.topicAliasMax;
    assert.ok(most >= 1, `Topic Alias Maximum is ${most}`);
    const all = Array.from({ length: most }, (_, i) => i + 1);
    await pub.send(...all.map((n) => m.publish({ topic: `${base}/${n}`, payload: 'set', ...alias(n) })),
        ...all.map((n) => m.publish({ topic: '', payload: 'used', ...alias(n) })),
        ...all.map((n) => m.publish({ topic: `${base}/again/${n}`, payload: 'set anew', ...alias(n) })),
        ...all.map((n) => m.publish({ topic: '', payload: 'used', ...alias(n) })));
    const topics = (await sub.messages(4 * most)).map((p) => p.topic.slice(base.length + 1));
    assert.deepEqual(topics, [...all, ...all, ...all.map((n) => `again/${n}`), ...all.map((n) => `again/${n}`)].map(String));
    for (const qos of [1, 2]) { // with each QoS, and the alias is not what subscribers get
        await pub.publish('', `QoS ${qos}`, { qos, ...alias(most) });
        const p = await sub.message();
        assert.deepEqual([p.topic, p.props.topicAlias], [`${base}/again/${most}`, undefined]);
    }
});

conform('an alias above the announced maximum, 0, or one that was not set ends the connection', { v5: '3.2.2-17 3.3.2-9 3.3.2-8 4.13.1-1' }, async (t) => {
    const probe = await join(t, 5);
    const most = probe.connack.props.topicAliasMax ?? 0;
    for (const [topic, n] of [['a', 0], ['', 0], ['a', most + 1], ['', most + 1], ['a', 65_535], ...(most ? [['', 1], ['', most]] : [])]) {
        if (n > 65_535 || (n === 65_535 && most === 65_535)) continue;
        const raw = await join(t, 5);
        await raw.send(m.publish({ topic, payload: 'x', ...alias(n) }));
        const how = await ending(raw);
        assert.ok([0x94, 0x82, 0x81].includes(how), `alias ${n} with topic '${topic}': ${how}`);
    }
});

conform('an alias ends with its connection', { v5: '3.3.2-7' }, async (t) => {
    const name = id(), topic = unique('alias');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const first = await join(t, 5, { id: name, ...kept(5) });
    await first.send(m.publish({ topic, payload: '1', ...alias(1) }), m.publish({ topic: '', payload: '2', ...alias(1) }));
    await watcher.messages(2);
    await first.cut();
    for (const other of [name, id()]) { // the same session, and somebody else
        const again = await join(t, 5, { id: other, ...kept(5) });
        await again.send(m.publish({ topic: '', payload: '3', ...alias(1) }));
        assert.ok([0x94, 0x82].includes(await ending(again)));
    }
    await watcher.quiet(60);
});

/** The topic of each PUBLISH, aliases resolved as a client does. */
function resolver(most) {
    const known = new Map();
    return (p) => {
        const n = p.props.topicAlias;
        if (n === undefined) { assert.notEqual(p.topic, '', 'neither topic nor alias'); return p.topic; }
        assert.ok(n >= 1 && n <= most, `alias ${n}, the maximum is ${most}`);
        if (p.topic) known.set(n, p.topic);
        assert.ok(known.has(n), `alias ${n} was not set`);
        return known.get(n);
    };
}

conform('the node sends no alias to who announced none', { v5: '3.1.2-27' }, async (t) => {
    for (const topicAliasMax of [undefined, 0])
        for (const options of [{}, { id: id(), ...kept(5, { topicAliasMax }) }]) {
            const topic = unique('long/'.repeat(20));
            const pub = await join(t, 5);
            await pub.publish(topic, 'r', { retain: true });
            const raw = await join(t, 5, { props: { topicAliasMax }, ...options });
            await raw.subscribe(topic, { qos: 2 });
            for (let i = 0; i < 9; i++) await pub.publish(topic, 'x', { qos: i % 3 });
            for (const p of await raw.messages(10)) assert.deepEqual([p.topic, p.props.topicAlias], [topic, undefined]);
        }
});

conform('the node sends no alias above the client\'s maximum, sets each before it uses it, and again in each connection', { v5: '3.1.2-26 3.3.2-11 3.3.2-7 3.3.2-3' }, async (t) => {
    for (const topicAliasMax of [1, 3, 65_535]) {
        const base = unique('long/'.repeat(10));
        const options = { id: id(), ...kept(5, { topicAliasMax, receiveMax: 500 }) };
        const pub = await join(t, 5);
        for (const round of [0, 1]) {
            const raw = await join(t, 5, options);
            if (round === 0) await raw.subscribe(`${base}/#`, { qos: 2 });
            const topicOf = resolver(topicAliasMax);
            const due = [];
            for (let i = 0; i < 60; i++) {
                due.push(`${base}/${(i * i) % 7}`);
                await pub.publish(due.at(-1), `${i}`, { qos: i % 3 });
            }
            const got = (await raw.messages(60)).sort((a, b) => Number(a.payload) - Number(b.payload));
            // Aliases are resolved in the order of arrival; QoS 0 and the others may come in different orders.
            const arrived = raw.received.filter((p) => p.type === m.PUBLISH);
            const topics = new Map(arrived.map((p) => [p.payload.toString(), topicOf(p)]));
            assert.deepEqual(got.map((p) => topics.get(p.payload.toString())), due);
            await raw.cut();
        }
    }
});

conform('with a maximum of one alias, the first topic gets it with its first message', { v5: '3.1.2-26' }, async (t) => {
    const topic = unique('interop/topic');
    const raw = await join(t, 5, { props: { topicAliasMax: 1 } });
    await raw.subscribe(topic, { qos: 2 });
    const pub = await join(t, 5);
    for (const qos of [0, 1, 2]) await pub.publish(topic, 'x', { qos });
    const got = await raw.messages(3);
    assert.deepEqual(got.map((p) => [p.topic, p.props.topicAlias]), [[topic, 1], ['', 1], ['', 1]]);
});

conform('a message that is sent again names its topic or an alias that was set on that connection', { v5: '3.3.2-7 4.4.0-1' }, async (t) => {
    const topic = unique('again/'.repeat(10));
    const options = { id: id(), ...kept(5, { topicAliasMax: 5 }) };
    const raw = await join(t, 5, options);
    await raw.subscribe(topic, { qos: 1 });
    const pub = await join(t, 5);
    for (const text of ['a', 'b', 'c']) await pub.publish(topic, text);
    for (let i = 0; i < 3; i++) await raw.want(m.PUBLISH);
    await raw.cut();
    const again = await join(t, 5, options);
    const topicOf = resolver(5);
    for (const p of await again.messages(3)) assert.deepEqual([topicOf(p), p.dup], [topic, true]);
});
