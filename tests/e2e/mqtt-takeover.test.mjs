// Two connections, one client identifier: the older is told 0x8E before the newer gets its CONNACK, and what was under
// way is neither lost nor doubled. And storms of it.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { MOSQUITTO, ours, sharedPeer, startPeer, unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { Raw, rawConnect, rawOpen } from './lib/raw.mjs';
import { sleep, until, within } from './lib/wait.mjs';

const shared = sharedPeer();
const KEPT = { clean: false, props: { sessionExpiry: 600 } };
const join = (t, options) => rawConnect({ t, port: shared.port, ...options });
const turn = () => new Promise((resolve) => setImmediate(resolve));

for (const kept of [false, true])
    test(`the older connection is told 0x8E before the newer gets CONNACK, ${kept ? 'kept session' : 'clean start'}`, ours('it closes without a word'), async (t) => {
        const id = unique('take');
        const options = { id, ...(kept ? KEPT : {}) };
        let old = await join(t, options);
        for (let round = 0; round < 100; round++) {
            const next = await rawOpen({ t, port: shared.port });
            let seen;
            const accepted = new Promise((resolve) => {
                // Both sockets may have become readable in the same turn of our loop: look once that turn is over.
                next.onPacket = (p) => turn().then(() => resolve([p, (seen = old.received.length)]));
            });
            next.send(m.connect(options));
            const [connack] = await within(accepted, 'CONNACK');
            assert.deepEqual([connack.type, connack.reason, connack.sessionPresent], [m.CONNACK, 0, kept]);
            const told = old.received.slice(old.taken, seen);
            assert.deepEqual(told.map((p) => [p.type, p.reason]), [[m.DISCONNECT, 0x8e]], `round ${round}`);
            await old.wantClosed();
            next.onPacket = undefined;
            old = next;
        }
    });

test('3.1.1 is only closed, and versions may change with a takeover', async (t) => {
    const id = unique('take').slice(0, 23);
    let old = await join(t, { id, version: 4, clean: false });
    await old.subscribe('take/versions', { qos: 1 });
    for (const version of [5, 4, 5]) {
        const next = await join(t, { id, version, ...(version === 5 ? KEPT : { clean: false }) });
        assert.equal(next.connack.sessionPresent, true);
        const rest = await old.wantClosed();
        if (!MOSQUITTO) assert.deepEqual(rest.map((p) => p.reason), old.version === 5 ? [0x8e] : []);
        await next.publish('take/versions', 'x', { qos: 0 });
        await next.message();
        old = next;
    }
});

test('what the older connection still had to acknowledge comes again on the newer one', async (t) => {
    const id = unique('take');
    const topic = unique('take');
    const old = await join(t, { id, ...KEPT });
    await old.subscribe(topic, { qos: 2 });
    const pub = await join(t);
    for (let i = 0; i < 3; i++) await pub.publish(topic, `${i}`, { qos: 2 });
    const first = [await old.want(m.PUBLISH), await old.want(m.PUBLISH), await old.want(m.PUBLISH)];
    await old.send(m.ack(m.PUBREC, first[0].pid));
    assert.equal((await old.want(m.PUBREL)).pid, first[0].pid);
    const next = await join(t, { id, ...KEPT });
    const again = [await next.next(), await next.next(), await next.next()];
    assert.deepEqual(again.map((p) => [p.type, p.pid, p.dup]),
        [[m.PUBREL, first[0].pid, undefined], [m.PUBLISH, first[1].pid, true], [m.PUBLISH, first[2].pid, true]]);
});

test('of a hundred connections at once with one identifier, one remains', async (t) => {
    const id = unique('crowd');
    const all = Array.from({ length: 100 }, () => new Raw(shared.port));
    t.after(() => all.forEach((raw) => raw.socket.destroy()));
    await Promise.all(all.map((raw) => raw.opened));
    for (const raw of all) raw.send(m.connect({ id, ...KEPT }));
    await until(() => all.filter((raw) => raw.ended).length >= 99, () => `99 are closed, not ${all.filter((raw) => raw.ended).length}`);
    await sleep(200);
    const left = all.filter((raw) => !raw.ended);
    assert.equal(left.length, 1);
    assert.equal((await left[0].want(m.CONNACK)).reason, 0);
    await left[0].send(m.pingreq());
    await left[0].want(m.PINGRESP);
    if (MOSQUITTO) return;
    // Each of the others was accepted and then told, or told at once.
    for (const raw of all)
        if (raw !== left[0]) {
            const last = raw.received.at(-1);
            assert.ok(last === undefined || last.reason === 0x8e, `${raw.said()}`);
        }
});

test('a storm: 300 clients fight for 10 identifiers while messages flow, and a QoS 2 session gets each once', ours('it loses some'), async (t) => {
    const node = await startPeer({ t });
    const port = node.mqttPort;
    const keeper = await rawConnect({ t, port, id: 'keeper', ...KEPT });
    await keeper.subscribe('storm/#', { qos: 2 });
    const seen = new Map();
    const unreleased = new Set();
    keeper.onPacket = (p) => {
        if (p.type === m.PUBLISH) {
            if (!unreleased.has(p.pid)) seen.set(p.payload.toString(), (seen.get(p.payload.toString()) ?? 0) + 1);
            unreleased.add(p.pid);
            keeper.send(m.ack(m.PUBREC, p.pid));
        } else if (p.type === m.PUBREL) {
            unreleased.delete(p.pid);
            keeper.send(m.ack(m.PUBCOMP, p.pid));
        }
    };
    let acknowledged = 0, wills = 0;
    const watcher = await rawConnect({ t, port, onPacket: undefined });
    await watcher.subscribe('wills/#', { qos: 0 });
    watcher.onPacket = (p) => { if (p.type === m.PUBLISH) wills++; };
    let dead = 0;
    const one = async (i) => {
        const raw = new Raw(port);
        try {
            const id = `fighter-${i % 10}`;
            await raw.opened;
            const connack = await raw.connect({ id, ...KEPT, will: { topic: `wills/${id}`, payload: `${i}` } });
            assert.equal(connack.reason, 0);
            for (let n = 0; n < 5; n++) {
                await raw.publish(`storm/${i}`, `${i}-${n}`, { qos: 2, pid: i * 10 + n + 1 });
                acknowledged++;
            }
            await raw.send(m.disconnect());
        } catch (error) {
            dead++;
            if (!/closed|DISCONNECT 0x8e/.test(error.message)) throw error;
        }
        await raw.cut();
    };
    const waves = [];
    for (let wave = 0; wave < 10; wave++) {
        for (let i = 0; i < 30; i++) waves.push(one(wave * 30 + i));
        await sleep(10);
    }
    await Promise.all(waves);
    // Somebody else is served as ever.
    await keeper.send(m.publish({ topic: 'storm/end', payload: 'end', qos: 0 }));
    await until(() => seen.has('end'), 'the end of the storm');
    await sleep(300);
    const doubles = [...seen].filter(([, times]) => times > 1);
    assert.deepEqual(doubles, []);
    assert.ok(seen.size - 1 >= acknowledged, `${seen.size - 1} of ${acknowledged}`);
    assert.ok(dead > 0 && acknowledged > 0, `${dead} displaced, ${acknowledged} acknowledged`);
    // One will for each that was displaced after its CONNACK, none for who said goodbye; never more.
    assert.ok(wills <= dead, `${wills} wills for ${dead} displaced`);
    for (let i = 0; i < 10; i++) assert.equal((await rawConnect({ t, port, id: `fighter-${i}`, ...KEPT })).connack.sessionPresent, true);
});
