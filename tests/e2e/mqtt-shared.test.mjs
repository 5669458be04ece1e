// Shared subscriptions (4.8.2) with clients none of us wrote: each message to one member, and none lost when members or the
// node go.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { mosquittoPub, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { ours, startPeer, unique } from './lib/peer.mjs';
import { sleep, until } from './lib/wait.mjs';

const numbers = (n) => Array.from({ length: n }, (_, i) => String(i));
const sorted = (members) => members.flatMap((m) => m.messages.map((x) => x.text)).sort((a, b) => a - b);

test('mosquitto_sub and MQTT.js share a subscription: each message to one of them, all of them busy', async (t) => {
    const node = await startPeer({ t });
    const topic = unique('job');
    const filter = `$share/workers/${topic}/+`;
    const js = await mqttConnect({ t, node });
    await js.subscribeAsync(filter, { qos: 1 });
    const others = [];
    for (const version of [4, 5]) others.push(await mosquittoSub({ t, port: node.mqttPort, topics: filter, qos: 2, version }));
    t.after(() => Promise.all(others.map((o) => o.stop())));
    await mosquittoPub({ port: node.mqttPort, topic: `${topic}/a`, lines: numbers(300), qos: 1 });
    await until(() => sorted([js, ...others]).length >= 300, '300 messages');
    await sleep(200);
    assert.deepEqual(sorted([js, ...others]), numbers(300));
    for (const member of [js, ...others]) assert.ok(member.messages.length >= 5, `${member.messages.length} of 300`);
});

test('members with sessions: nothing is lost when one goes and the node is killed', ours('it may lose them'), async (t) => {
    const node = await startPeer({ t });
    const topic = unique('job');
    const filter = `$share/workers/${topic}`;
    const session = (id) => ({ clientId: id, clean: false, properties: { sessionExpiryInterval: 600 } });
    const ids = [unique('w'), unique('w'), unique('w')];
    for (const id of ids) {
        const c = await mqttConnect({ t, node, ...session(id) });
        await c.subscribeAsync(filter, { qos: 1 });
        await c.endAsync();
    }
    await mosquittoPub({ port: node.mqttPort, topic, lines: numbers(90), qos: 1 });
    await node.restart({ kill9: true });
    const members = [];
    for (const id of ids) members.push(await mqttConnect({ t, node, ...session(id) }));
    await until(() => new Set(sorted(members)).size === 90, 'all 90');
    await sleep(100);
    assert.deepEqual(sorted(members), numbers(90));
    for (const m of members) assert.equal(m.messages.length, 30);
});

test('what a member that stopped reading was given goes to the others when its connection ends', ours('it may keep them'), async (t) => {
    const node = await startPeer({ t });
    const topic = unique('job');
    const filter = `$share/workers/${topic}`;
    const stuck = await mqttConnect({ t, node, clientId: unique('stuck'), clean: false,
        properties: { sessionExpiryInterval: 600, receiveMaximum: 5 }, customHandleAcks: () => {} });
    let came = 0; // MQTT.js takes no second message before the first is handled
    stuck.on('packetreceive', (packet) => (came += packet.cmd === 'publish'));
    await stuck.subscribeAsync(filter, { qos: 1 });
    await mosquittoPub({ port: node.mqttPort, topic, lines: numbers(50), qos: 1 });
    await until(() => came > 0, 'it has something');
    const worker = await mqttConnect({ t, node, clientId: unique('w'), clean: false, properties: { sessionExpiryInterval: 600 } });
    await worker.subscribeAsync(filter, { qos: 1 });
    stuck.stream.destroy();
    await worker.take(45);
    assert.deepEqual(worker.messages.map((m) => m.text), numbers(50).slice(5));
});
