// MQTT 3.1, as old machines speak it ("MQIsdp", level 3): let in, with what was different then.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { mosquittoPub, mosquittoSub } from './lib/mosquitto.mjs';
import * as m from './lib/packets.mjs';
import { ours, sharedPeer, unique } from './lib/peer.mjs';
import { ending, rawConnect, rawOpen } from './lib/raw.mjs';

const node = sharedPeer();

for (const qos of [0, 1, 2])
    test(`mosquitto_pub and mosquitto_sub of 3.1, QoS ${qos}, and the others hear them`, async (t) => {
        const topic = unique('old');
        const subs = [];
        for (const version of [3, 4, 5]) {
            const sub = await mosquittoSub({ port: node.port, topics: topic, qos: 2, version });
            t.after(() => sub.stop());
            subs.push(sub);
        }
        for (const version of [3, 4, 5]) await mosquittoPub({ port: node.port, topic, message: `from ${version}`, qos, version });
        for (const sub of subs)
            assert.deepEqual((await sub.take(3)).map((one) => [one.text, one.qos]), [3, 4, 5].map((v) => [`from ${v}`, qos]));
    });

test('client identifiers of 1 to 23 characters, and longer ones, too', async (t) => {
    const stem = unique('i');
    for (const length of [1, 22, 23, 24, 200]) {
        const id = length === 1 ? 'z' : stem.padEnd(length, 'x');
        const raw = await rawConnect({ t, port: node.port, version: 3, id });
        const topic = unique('id');
        await raw.send(m.subscribe({ version: 3, filters: topic, qos: 1 }));
        assert.deepEqual([...(await raw.want(m.SUBACK)).reasons], [1]);
        await raw.send(m.publish({ version: 3, topic, payload: id, qos: 1, pid: 9 }));
        const got = [await raw.next(), await raw.next()];
        assert.deepEqual(got.map((p) => p.type).sort(), [m.PUBLISH, m.PUBACK].sort());
        assert.equal(String(got.find((p) => p.type === m.PUBLISH).payload), id);
    }
});

test('an empty identifier is none, even with a clean session: return code 2', ours('it lets it in'), async (t) => {
    for (const clean of [true, false]) {
        const raw = await rawOpen({ t, port: node.port, version: 3 });
        await raw.send(m.connect({ version: 3, id: '', clean }));
        assert.equal(await ending(raw), 2);
    }
});

test('the name of one version with the level of another: return code 1', ours('it closes'), async (t) => {
    for (const options of [{ name: 'MQIsdp', level: 4 }, { name: 'MQTT', level: 3 }, { name: 'MQIsdp', level: 2 }]) {
        const raw = await rawOpen({ t, port: node.port, version: 3 });
        await raw.send(m.connect({ version: 3, id: unique('n'), ...options }));
        assert.equal(await ending(raw), 1, JSON.stringify(options));
    }
});

test('a session is kept, and CONNACK does not say so: the flag came with 3.1.1', async (t) => {
    const id = unique('k').slice(-23), topic = unique('kept');
    const first = await rawConnect({ t, port: node.port, version: 3, id, clean: false });
    await first.send(m.subscribe({ version: 3, filters: topic, qos: 2 }));
    await first.want(m.SUBACK);
    await first.send(m.disconnect({ version: 3 }));
    await first.wantClosed();
    await mosquittoPub({ port: node.port, topic, message: 'waited', qos: 2, version: 3 });
    const second = await rawConnect({ t, port: node.port, version: 3, id, clean: false });
    assert.ok(!second.connack.sessionPresent);
    const p = await second.want(m.PUBLISH);
    assert.equal(String(p.payload), 'waited');
    await second.send(m.ack(m.PUBREC, p.pid, { version: 3 }));
    await second.want(m.PUBREL);
    await second.send(m.ack(m.PUBCOMP, p.pid, { version: 3 }));
});

test('what is sent again carries DUP, as 3.1 had it; 3.1.1 is closed for that', ours('it closes, too'), async (t) => {
    const topic = unique('dup');
    const again = (packet) => { const copy = Buffer.from(packet); copy[0] |= 8; return copy; };
    const raw = await rawConnect({ t, port: node.port, version: 3, id: unique('d').slice(-23) });
    await raw.send(again(m.subscribe({ version: 3, filters: topic, qos: 0 })));
    await raw.want(m.SUBACK);
    await raw.send(m.publish({ version: 3, topic, payload: 'x', qos: 2, pid: 5 }));
    const types = [(await raw.next()).type, (await raw.next()).type];
    assert.deepEqual(types.sort(), [m.PUBLISH, m.PUBREC].sort());
    for (let i = 0; i < 2; i++) { // the answer was lost, it believes
        await raw.send(again(m.ack(m.PUBREL, 5, { version: 3 })));
        assert.equal((await raw.want(m.PUBCOMP)).pid, 5);
    }
    await raw.send(again(m.unsubscribe({ version: 3, filters: topic })));
    await raw.want(m.UNSUBACK);
    const newer = await rawConnect({ t, port: node.port, version: 4, id: unique('d') });
    await newer.send(again(m.subscribe({ version: 4, filters: topic })));
    await newer.wantClosed();
});

test('wills, retained messages and wildcards of 3.1', async (t) => {
    const topic = unique('w');
    const sub = await rawConnect({ t, port: node.port, version: 3, id: unique('s').slice(-23) });
    await sub.send(m.subscribe({ version: 3, filters: [`${topic}/+/#`, '#'].slice(0, 1), qos: 1 }));
    await sub.want(m.SUBACK);
    const gone = await rawConnect({ t, port: node.port, version: 3, id: unique('g').slice(-23),
        will: { topic: `${topic}/a`, payload: 'gone', qos: 1, retain: true } });
    gone.socket.destroy();
    const p = await sub.want(m.PUBLISH);
    assert.deepEqual([p.topic, String(p.payload), p.retain], [`${topic}/a`, 'gone', false]);
    const late = await rawConnect({ t, port: node.port, version: 3, id: unique('l').slice(-23) });
    await late.send(m.subscribe({ version: 3, filters: `${topic}/#`, qos: 0 }));
    const kept = await late.pick(m.PUBLISH);
    assert.deepEqual([String(kept.payload), kept.retain], ['gone', true]);
});
