// The OPC publisher over the end of its node: kill -9 at random moments and orderly stops, while a server goes on. Its subscription stays
// there; what changed meanwhile is asked for, and what is in the node already does not come again.

import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { startNode, tempFolder } from './lib/node.mjs';
import { startUaServer } from './lib/opcua-server.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { sleep, until } from './lib/wait.mjs';

const COUNTERS = 3, TICKS = 600, EVERY_MS = 25;
let server;
before(async () => { server = await startUaServer({ counters: COUNTERS }); });
after(() => server?.stop());

const counter = (i) => ({ Id: `ns=1;s=Counter${i}`, OpcSamplingInterval: 0, OpcPublishingInterval: 100, QueueSize: 1000 });
const entry = (nodes, url = server.url) => ({ EndpointUrl: url, UseSecurity: false, OpcNodes: nodes });

function publishedNodes(entries) {
    const path = join(tempFolder('pn'), 'publishednodes.json');
    const put = (what) => {
        writeFileSync(`${path}.new`, JSON.stringify(what));
        renameSync(`${path}.new`, path);
    };
    put(entries);
    return { path, put };
}

/** A node with a session in which everything waits that was published, until it is read at the end. */
async function begin(t, file, options) {
    const node = await startNode({ t, settings: { opcua: { 'published-nodes': file.path, options } } });
    const reader = { node, clientId: 'reader', clean: false, properties: { sessionExpiryInterval: 3600 } };
    const client = await mqttConnect(reader);
    await client.subscribeAsync('opcua/#', { qos: 1 });
    await client.endAsync();
    node.read = async (has) => {
        const again = await mqttConnect({ ...reader, t });
        const samples = () => again.messages.flatMap((m) => JSON.parse(m.text));
        await until(() => has(samples()), () => `what was emitted is there: ${samples().length} values\n${node.log()}`, 20_000);
        await sleep(500); // what would come twice
        return samples();
    };
    return node;
}
const connected = (node) => until(() => /FG5250/.test(node.log()), () => `the server is read\n${node.log()}`, 20_000);
const of = (samples, i) => samples.filter((s) => s.NodeId === `ns=1;s=Counter${i}`).map((s) => s.Value.Value);
const emitted = async (from) => (await server.do('emitted')).ticks.slice(from).map((tick) => tick.value);

/** Emits while `act` does something to the node again and again; gives back what was emitted. */
async function through(node, times, act) {
    const from = (await server.do('emitted')).ticks.length;
    const emitting = server.do('emit', { ticks: TICKS, every: EVERY_MS }, TICKS * EVERY_MS + 30_000);
    for (let i = 0; i < times; i++) {
        await sleep(200 + Math.random() * 1500);
        await act(i);
    }
    await emitting;
    return emitted(from);
}

const numbers = (list) => list.map(Number);

/** Once, in order, none missing. The first ones may be standing values of before. */
function exactly(samples, wanted) {
    for (let i = 0; i < COUNTERS; i++) assert.deepEqual(numbers(of(samples, i)).slice(-wanted.length - 1).filter((v) => v >= Number(wanted[0])), numbers(wanted), `counter ${i}`);
    for (let i = 0; i < COUNTERS; i++) assert.equal(new Set(of(samples, i)).size, of(samples, i).length, `counter ${i}: nothing twice`);
}

for (const [name, options] of [['samples in batches', '--bs=20 --bi=100'], ['a message for each value', '--bs=1 --bi=0'], ['data sets', '--mm=PubSub --bs=10 --bi=100']])
    test(`killed five times while values come, ${name}: each is there once, in order`, { timeout: 120_000 }, async (t) => {
        const file = publishedNodes([entry([0, 1, 2].map(counter))]);
        const node = await begin(t, file, options);
        await connected(node);
        await sleep(1000);
        const wanted = await through(node, 5, async () => {
            assert.doesNotMatch(node.log(), /FG521[12]/, 'nothing is said to be lost');
            await node.restart({ kill9: true });
            await connected(node);
            await until(() => /FG5283/.test(node.log()), 'it goes on with the subscription of before');
        });
        const samples = await node.read((s) => flat(s, options).some((v) => v.Value.Value === wanted.at(-1) || String(v.Value.Value) === wanted.at(-1)));
        exactly(flat(samples, options), wanted);
        assert.doesNotMatch(node.log(), /FG521[12]/);
    });

test('orderly stops: the server keeps the subscription', { timeout: 120_000 }, async (t) => {
    const file = publishedNodes([entry([0, 1, 2].map(counter))]);
    const node = await begin(t, file, '--bs=20 --bi=100');
    await connected(node);
    await sleep(1000);
    const before = (await server.do('stats')).requests.CreateSubscription;
    const wanted = await through(node, 3, async () => {
        assert.doesNotMatch(node.log(), /FG521[12]/);
        await node.restart();
        await connected(node);
    });
    exactly(await node.read((s) => of(s, 2).map(String).includes(wanted.at(-1))), wanted);
    assert.equal((await server.do('stats')).requests.CreateSubscription, before);
});

test('a server that does not give the subscription back: the gap is said, and nothing comes twice', { timeout: 120_000 }, async (t) => {
    const file = publishedNodes([entry([0, 1, 2].map(counter))]);
    const node = await begin(t, file, '--bs=20 --bi=100');
    await connected(node);
    await sleep(1000);
    await server.do('emit', { ticks: 5, every: 50 });
    await sleep(1000);
    await server.do('fault', { service: 'TransferSubscriptions', status: 'BadServiceUnsupported', times: 1 });
    await node.kill9();
    await node.restart();
    await until(() => /FG5212/.test(node.log()), () => `the gap is said\n${node.log()}`);
    await sleep(500);
    const from = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 5, every: 50 });
    const last = (await emitted(from)).at(-1);
    const samples = await node.read((s) => of(s, 2).map(String).includes(last));
    for (let i = 0; i < COUNTERS; i++) {
        assert.equal(new Set(of(samples, i)).size, of(samples, i).length, `counter ${i}: ${of(samples, i)}`);
        assert.deepEqual(numbers(of(samples, i)).slice(-10), numbers(await emitted(from - 5)), `counter ${i}`);
    }
});

test('what is not in the file any more is deleted on the server', { timeout: 60_000 }, async (t) => {
    const file = publishedNodes([entry([counter(0), { ...counter(1), OpcPublishingInterval: 200 }])]);
    const node = await begin(t, file, '--bs=1 --bi=0');
    await connected(node);
    await sleep(1000);
    const { subscriptions } = await server.do('stats');
    await node.kill9();
    file.put([entry([counter(0)])]);
    await node.restart();
    await until(() => /FG5284/.test(node.log()), () => `it is said\n${node.log()}`);
    await until(async () => (await server.do('stats')).subscriptions === subscriptions - 1, 'one is gone');
});

test('killed five times against our own server', { timeout: 120_000 }, async (t) => {
    const sensor = await startSensor({ t, args: ['--step', '0.001'] });
    const file = publishedNodes([entry([{ Id: 'ns=2;s=Temperature', OpcSamplingInterval: 0, OpcPublishingInterval: 100, QueueSize: 1000 }], sensor.url)]);
    const node = await begin(t, file, '--bs=20 --bi=100');
    await connected(node);
    for (let i = 0; i < 5; i++) {
        await sleep(300 + Math.random() * 1000);
        assert.doesNotMatch(node.log(), /FG521[12]|FG5269/);
        await node.restart({ kill9: true });
        await connected(node);
        await until(() => /FG5283/.test(node.log()), 'it goes on with the subscription of before');
    }
    await sleep(1500);
    const samples = await node.read((s) => s.length > 20), times = samples.map((s) => Date.parse(s.Value.SourceTimestamp));
    const gaps = times.slice(1).map((at, i) => at - times[i]);
    assert.ok(gaps.every((gap) => gap > 0), `in order, none twice: ${gaps}`);
    assert.ok(Math.max(...gaps) < 700, `none missing: ${gaps}`);
});

/** Data sets as samples. */
function flat(samples, options) {
    if (!/PubSub/.test(options)) return samples;
    return samples.flatMap((m) => m.Messages ?? [m]).flatMap((set) => Object.entries(set.Payload ?? {}).map(([name, value]) => ({ NodeId: name, Value: { Value: value.Value ?? value } })));
}
