// The node is killed the moment an acknowledgement arrives: what it said must be true of the node that starts next.
// Its writes are slowed down, so that an acknowledgement which does not wait for them is caught each time.
// timeout: 240

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { ours, startPeer } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { rawConnect, rawOpen } from './lib/raw.mjs';
import { inject } from './lib/strace.mjs';

const ROUNDS = 2;
const SLOW_DISK = inject('pwrite64', 'delay_enter=40000');
const KEPT = { clean: false, props: { sessionExpiry: 600 } };
const only = ours('kill -9');

/** Sends, and kills the node in the handler of the first packet of this type. Gives the packet. */
async function killOn(node, raw, type, ...packets) {
    const seen = new Promise((resolve, reject) => {
        raw.onPacket = (p) => {
            if (p.type === type) {
                process.kill(node.pid, 'SIGKILL');
                resolve(p);
            }
        };
        raw.closed.then(() => reject(new Error(`closed before ${m.NAMES[type]}`)));
    });
    raw.send(...packets);
    const p = await seen;
    await node.process.exited;
    return p;
}

/** Every round on the same data: what one round leaves is part of the next. */
function rounds(name, body, settings) {
    test(name, only, async (t) => {
        const node = await startPeer({ t, settings, ...SLOW_DISK });
        for (let round = 0; round < ROUNDS; round++) {
            const tools = {
                round, id: `c${round}`, topic: `t/${round}`,
                join: (id, options = {}) => rawConnect({ t, port: node.mqttPort, id, ...options }),
                connecting: async (id, options) => [await rawOpen({ t, port: node.mqttPort }), m.connect({ id, ...options })],
                kill: (raw, type, ...packets) => killOn(node, raw, type, ...packets),
                start: () => node.start(),
                /** What waits for this kept session, flows completed. */
                waiting: async (id, ms = 250) => {
                    const raw = await rawConnect({ t, port: node.mqttPort, id, ...KEPT });
                    const got = [];
                    for (;;) {
                        const p = await raw.next(ms).catch(() => undefined);
                        if (!p) break;
                        if (p.type === m.PUBLISH) got.push(p.payload.toString());
                        if (p.qos === 1) await raw.send(m.ack(m.PUBACK, p.pid));
                        if (p.qos === 2) await raw.send(m.ack(m.PUBREC, p.pid));
                        if (p.type === m.PUBREL) await raw.send(m.ack(m.PUBCOMP, p.pid));
                    }
                    await raw.cut();
                    return got;
                },
                node,
            };
            await body(tools);
            await node.stop();
            await node.start();
        }
    });
}

// ---- CONNACK ----

rounds('CONNACK of a new session: it is there', async ({ id, connecting, kill, start, join }) => {
    const [raw, connect] = await connecting(id, KEPT);
    assert.equal((await kill(raw, m.CONNACK, connect)).sessionPresent, false);
    await start();
    assert.equal((await join(id, KEPT)).connack.sessionPresent, true);
});

for (const props of [undefined, { sessionExpiry: 600 }])
    rounds(`CONNACK of a clean start${props ? ' with an expiry' : ''}: the old session is gone`, async (tools) => {
        const { id, topic, connecting, kill, start, join, waiting } = tools;
        const old = await join(id, KEPT);
        await old.subscribe(topic, { qos: 1 });
        await old.cut();
        await (await join('pub')).publish(topic, 'for the old one');
        const [raw, connect] = await connecting(id, { clean: true, props });
        assert.equal((await kill(raw, m.CONNACK, connect)).sessionPresent, false);
        await start();
        const after = await join(id, KEPT);
        assert.equal(after.connack.sessionPresent, Boolean(props));
        await after.cut();
        assert.deepEqual(await waiting(id), []);
    });

rounds('CONNACK of a kept session that now ends with its connection: it has ended', async (tools) => {

    const { id, connecting, kill, start, join } = tools;
    await (await join(id, KEPT)).cut();
    const [raw, connect] = await connecting(id, { clean: false });
    assert.equal((await kill(raw, m.CONNACK, connect)).sessionPresent, true);
    await start();
    assert.equal((await join(id, KEPT)).connack.sessionPresent, false);
});

rounds('CONNACK that says there is no session, after one has just ended by itself: it does not come back', async (tools) => {

    const { id, connecting, kill, start, join } = tools;
    await (await join(id, KEPT)).cut();
    const ending = await join(id, KEPT);
    await ending.send(m.disconnect({ props: { sessionExpiry: 0 } }));
    await ending.wantClosed();
    const [raw, connect] = await connecting(id, { clean: false });
    assert.equal((await kill(raw, m.CONNACK, connect)).sessionPresent, false);
    await start();
    assert.equal((await join(id, KEPT)).connack.sessionPresent, false);
});

rounds('CONNACK of a client with a will: the will is published', async (tools) => {

    const { id, topic, connecting, kill, start, join, waiting } = tools;
    const watcher = await join('watcher', KEPT);
    await watcher.subscribe('t/+', { qos: 2 });
    await watcher.cut();
    const [raw, connect] = await connecting(id, { will: { topic, payload: id, qos: 2 } });
    await kill(raw, m.CONNACK, connect);
    await start();
    assert.deepEqual(await waiting('watcher', 2000), [id]);
});

// ---- SUBACK, UNSUBACK ----

rounds('SUBACK: the subscription is there', async ({ id, topic, kill, start, join, waiting }) => {
    const raw = await join(id, KEPT);
    await kill(raw, m.SUBACK, m.subscribe({ filters: topic, qos: 1 }));
    await start();
    await (await join('pub')).publish(topic, 'x');
    assert.deepEqual(await waiting(id), ['x']);
});

rounds('UNSUBACK: the subscription is gone', async ({ id, topic, kill, start, join, waiting }) => {
    const raw = await join(id, KEPT);
    await raw.subscribe(topic, { qos: 1 });
    await kill(raw, m.UNSUBACK, m.unsubscribe({ filters: topic }));
    await start();
    await (await join('pub')).publish(topic, 'x');
    assert.deepEqual(await waiting(id), []);
});

// ---- PUBACK, PUBREC, PUBCOMP ----

for (const kept of [false, true]) {
    const who = kept ? 'a kept session' : 'a passing client';
    const options = kept ? KEPT : {};
    rounds(`PUBACK to ${who}: the message is there`, async ({ topic, round, kill, start, join, waiting }) => {
        const sub = await join('sub', KEPT);
        await sub.subscribe('t/+', { qos: 1 });
        await sub.cut();
        const pub = await join('pub', options);
        await kill(pub, m.PUBACK, m.publish({ topic, payload: `m${round}`, qos: 1, pid: 1 }));
        await start();
        assert.deepEqual(await waiting('sub'), [`m${round}`]);
    });

    rounds(`PUBACK to ${who} whose message goes only to a subscriber that is away and one that is here`, async (tools) => {

        const { topic, round, kill, start, join, waiting } = tools;
        const sub = await join('sub', KEPT);
        await sub.subscribe('t/+', { qos: 2 });
        await sub.cut();
        const here = await join('here', KEPT);
        await here.subscribe('t/+', { qos: 2 });
        here.socket.pause();
        const pub = await join('pub', options);
        await kill(pub, m.PUBACK, m.publish({ topic, payload: `m${round}`, qos: 1, pid: 1 }));
        await start();
        assert.deepEqual(await waiting('sub'), [`m${round}`]);
        assert.deepEqual(await waiting('here'), [`m${round}`]);
    });
}

rounds('PUBREC: the message is there, and sending it again does not double it', async (tools) => {

    const { topic, round, kill, start, join, waiting } = tools;
    const sub = await join('sub', KEPT);
    await sub.subscribe('t/+', { qos: 2 });
    await sub.cut();
    const pub = await join('pub', KEPT);
    const packet = (dup) => m.publish({ topic, payload: `m${round}`, qos: 2, pid: 7, dup });
    await kill(pub, m.PUBREC, packet(false));
    await start();
    const again = await join('pub', KEPT);
    await again.send(packet(true));
    await again.want(m.PUBREC);
    await again.send(m.ack(m.PUBREL, 7));
    await again.want(m.PUBCOMP);
    await again.cut();
    assert.deepEqual(await waiting('sub'), [`m${round}`]);
});

rounds('PUBCOMP: the identifier is free, the next message with it is a new one', async (tools) => {

    const { topic, round, kill, start, join, waiting } = tools;
    const sub = await join('sub', KEPT);
    await sub.subscribe('t/+', { qos: 2 });
    await sub.cut();
    const pub = await join('pub', KEPT);
    await pub.send(m.publish({ topic, payload: `first ${round}`, qos: 2, pid: 7 }));
    await pub.want(m.PUBREC);
    await kill(pub, m.PUBCOMP, m.ack(m.PUBREL, 7));
    await start();
    const again = await join('pub', KEPT);
    await again.publish(topic, `second ${round}`, { qos: 2, pid: 7 });
    await again.cut();
    assert.deepEqual(await waiting('sub'), [`first ${round}`, `second ${round}`]);
});

rounds('PUBREL: the message whose PUBREC the node has read does not come again', async (tools) => {

    const { topic, round, kill, start, join, waiting } = tools;
    const sub = await join('sub', KEPT);
    await sub.subscribe('t/+', { qos: 2 });
    await (await join('pub')).publish(topic, `m${round}`, { qos: 2 });
    const p = await sub.want(m.PUBLISH);
    await kill(sub, m.PUBREL, m.ack(m.PUBREC, p.pid));
    await start();
    assert.deepEqual(await waiting('sub'), []);
});

// ---- retained messages, partitions ----

rounds('PUBACK of a retained message: it is there; of its deletion: it is gone', async (tools) => {

    const { topic, round, kill, start, join, node } = tools;
    const pub = await join('pub');
    await kill(pub, m.PUBACK, m.publish({ topic, payload: `r${round}`, qos: 1, pid: 1, retain: true }));
    await start();
    const reader = await join('reader');
    await reader.subscribe(topic, { qos: 1 });
    assert.equal((await reader.message()).payload.toString(), `r${round}`);
    const deleter = await join('pub');
    await kill(deleter, m.PUBACK, m.publish({ topic, payload: '', qos: 1, pid: 1, retain: true }));
    await start();
    const late = await join('reader');
    await late.subscribe(topic, { qos: 1 });
    await late.quiet(200);
    assert.ok(node.pid);
});

rounds('PUBACK of a message for a partition: it is there', async ({ round, kill, start, join, node }) => {
    const pub = await join('press-1');
    await kill(pub, m.PUBACK, m.publish({ topic: 'factory/press-1', payload: `m${round}`, qos: 1, pid: 1 }));
    await start();
    const { out } = await node.verb('events', '--earliest', '-e', '-o', 'jsonl');
    assert.deepEqual(out.map((line) => JSON.parse(line).body), Array.from({ length: round + 1 }, (_, i) => `m${i}`));
}, { hub: { topics: ['factory/#'] } });
