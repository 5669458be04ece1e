// `fieldgate opcua watch` and node-opcua's server: 1,000 values at a time, connections that break in every way, servers that
// forget, servers that lack things. Each value that was emitted arrives once.
// timeout: 300

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { tempFolder } from './lib/node.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { MINIMAL, startUaServer } from './lib/opcua-server.mjs';
import { counterNodes, NONE, opcua, rows, watch as watchVerb } from './lib/opcua-verbs.mjs';
import { startProxy } from './lib/tcp-proxy.mjs';
import { sleep, until } from './lib/wait.mjs';

const COUNTERS = 1000;
const data = join(tempFolder('uaw'), 'data');
const watch = (t, nodes, options) => watchVerb(t, nodes, { data, ...options });

let server;
before(async () => { server = await startUaServer({ counters: COUNTERS, minTokenLifetime: 400, tokenLifetime: 3000 }); });
after(() => server?.stop());

/** Each counter of the list got each tick, in order, once; first values aside. node-opcua sends each item's last value once
 *  more when a session comes over a new connection: that one is not to be seen. */
function exactly(lines, nodes, ticks) {
    const of = new Map(nodes.map((n) => [n, []]));
    const wanted = new Set(ticks.map((tick) => tick.value));
    for (const line of lines.filter((l) => wanted.has(String(l.value)))) of.get(line.node).push(line);
    for (const [node, got] of of) {
        assert.deepEqual(got.map((l) => ({ value: String(l.value), at: new Date(l.time).toISOString() })), ticks, node);
    }
}

test('watch: 1,000 counters, each value once and in order, with spikes where they were', async (t) => {
    const nodes = counterNodes(COUNTERS);
    const w = watch(t, nodes, { url: server.url, args: ['--interval', '100ms', '--sampling', '0s', '--queue', '200'] });
    await until(() => w.lines.length >= COUNTERS, () => `the first values (${w.lines.length})\n${w.notices()}`, 20_000);
    const from = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 20, every: 50, spikes: [5, 13] }, 30_000);
    const ticks = (await server.do('emitted')).ticks.slice(from);
    await until(() => w.lines.length >= COUNTERS * 21, () => `all values (${w.lines.length})\n${w.notices()}`, 20_000);
    exactly(w.lines, nodes, ticks);
});

test('watch through what networks do: cuts, a cut in a message, a delay, and channel renewals: each value once', async (t) => {
    const proxy = await startProxy({ t, port: server.port });
    const nodes = counterNodes(20);
    const w = watch(t, nodes, { url: proxy.url, args: ['--interval', '50ms', '--sampling', '0s', '--queue', '1000', '--any-host'] });
    await until(() => w.lines.length >= 20, () => `the first values\n${w.notices()}`, 20_000);
    const from = (await server.do('emitted')).ticks.length;
    const emitting = server.do('emit', { ticks: 300, every: 20, spikes: [50, 150, 250] }, 30_000);
    // However slow the machine is: the next cut meets a connection that stands.
    const back = (times) => until(() => w.notices().match(/connected again/g)?.length >= times,
        () => `connected again ${times} times (${proxy.connections} connections)\n${w.notices()}`, 20_000);
    await sleep(1000);
    proxy.cut();
    await back(1);
    await sleep(500);
    await proxy.cutAfterBytes(777, 'down');
    await back(2);
    await sleep(500);
    proxy.delay(300);
    await sleep(600);
    proxy.pass();
    await sleep(500);
    await proxy.cutAfterBytes(50, 'up');
    await back(3);
    await emitting;
    const ticks = (await server.do('emitted')).ticks.slice(from);
    await until(() => w.lines.filter((l) => String(l.value) === ticks.at(-1).value).length === 20, () => `the last value everywhere\n${w.notices()}`, 20_000);
    // And when nothing is in the queues, the server sends each last value once more. It does so at once.
    proxy.cut();
    await back(4);
    await sleep(1000);
    exactly(w.lines, nodes, ticks);
});

// A day has 32 renewals of a channel that lives an hour. The long run has more than that.
const RENEWALS = process.env.FG_FULL ? 40 : 12;
test('channels are renewed again and again, encrypted, while values flow: each value once', { timeout: 90_000 }, async (t) => {
    let opens = 0;
    const other = await startUaServer({ t, counters: 5, policies: ['None', 'Basic256Sha256'], minTokenLifetime: 400, tokenLifetime: 1000 });
    const proxy = await startProxy({ t, port: other.port, onData: (direction, data) => { if (direction === 'up' && data.includes('OPNF')) opens++; } });
    const nodes = counterNodes(5);
    const w = watch(t, nodes, { url: proxy.url, args: ['--interval', '50ms', '--sampling', '0s', '--queue', '1000', '--security', 'Basic256Sha256', '--accept-any', '--any-host'] });
    await until(() => w.lines.length >= 5, () => `the first values\n${w.notices()}`, 20_000);
    await other.do('emit', { ticks: RENEWALS * 40, every: 20, spikes: [300] }, 80_000);
    const { ticks } = await other.do('emitted');
    await until(() => w.lines.filter((l) => String(l.value) === ticks.at(-1).value).length === 5, () => `the last value everywhere\n${w.notices()}`, 20_000);
    exactly(w.lines, nodes, ticks);
    assert.ok(opens >= RENEWALS, `${opens} times a key was agreed on`);
});

test('after a restart of the server, and after it has forgotten everything, data flows again', async (t) => {
    const other = await startUaServer({ t, counters: 3, policies: ['None'], modes: ['None'] });
    const nodes = counterNodes(3);
    const w = watch(t, nodes, { url: other.url, args: ['--interval', '50ms'] });
    const flows = async (what) => {
        const { last } = await other.do('emit', { ticks: 1, every: 1 });
        const tick = (await other.do('emitted')).ticks[last - 1];
        await until(() => nodes.every((n) => w.lines.some((l) => l.node === n && String(l.value) === tick.value)), () => `${what}: data flows\n${w.notices()}`, 5000);
    };
    await until(() => w.lines.length >= 3, () => `the first values\n${w.notices()}`, 20_000);
    await flows('at first');
    await other.do('endSubscriptions');
    await flows('after its subscriptions were ended');
    await other.do('endSessions');
    await flows('after its sessions were ended');
    await other.do('restart', { downMs: 300 });
    await flows('after its restart');
});

test('after our own server was away, data flows again within 5 s of its return', async (t) => {
    const first = await startSensor({ t, args: ['--accept-any'] });
    const w = watch(t, ['ns=2;s=Temperature'], { url: first.url, args: ['--interval', '100ms', '--security', 'Basic256Sha256', '--accept-any'] });
    await until(() => w.lines.length >= 3, () => `the first values\n${w.notices()}`, 20_000);
    await first.stop();
    await sleep(7000); // by now it is not asked so often any more
    const { port, dataDir } = first;
    await startSensor({ t, port, dataDir, args: ['--accept-any'] });
    const before = w.lines.length;
    await until(() => w.lines.length > before, () => `data flows\n${w.notices()}`, 5000);
});

test('a minimal server: what it lacks is said, and it works', async (t) => {
    const small = await startUaServer({ t, ...MINIMAL, counters: 30, policies: ['None'], modes: ['None'] });
    const got = rows(await opcua('read', small.url, [...counterNodes(30), '-o', 'json', ...NONE], { data }), 'values');
    assert.ok(got.every((v) => v.status === 'Good'));
    const told = await opcua('test', small.url, NONE, { data });
    assert.match(told.out.join('\n'), /TransferSubscriptions/);
    const w = watch(t, counterNodes(30), { url: small.url, args: ['--interval', '50ms'] });
    await until(() => w.lines.length >= 30, () => `the first values\n${w.notices()}`, 20_000);
    await small.do('emit', { ticks: 3, every: 100 });
    await until(() => w.lines.length >= 120, () => `all values (${w.lines.length})\n${w.notices()}`);
});
