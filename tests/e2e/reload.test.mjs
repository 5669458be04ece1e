// `fieldgate reload` and SIGHUP: one step or nothing, nobody is cut off, nothing is lost.

import assert from 'node:assert/strict';
import net from 'node:net';
import { writeFileSync } from 'node:fs';
import { test } from './lib/bounded.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { DISCONNECT, PUBREC, publish } from './lib/packets.mjs';
import { run } from './lib/process.mjs';
import { Raw } from './lib/raw.mjs';
import { sleep, until } from './lib/wait.mjs';

/** A port that was free just now. */
function freePort() {
    return new Promise((resolve, reject) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
        server.on('error', reject);
    });
}

const mqttAt = (...ports) => ({ type: 'mqtt', at: ports.map((port) => `127.0.0.1:${port}`) });
const HTTP = { type: 'http', at: ['127.0.0.1:0'] };
const start = (t, settings = {}, rest = {}) => startNode({ t, settings: { loops: 3, ...settings }, ...rest });

async function limit(node, key) {
    const { text } = await node.get('/metrics');
    return text.split('\n').find((line) => line.startsWith(`fieldgate_limit{key="${key}"} `)).split(' ')[1];
}

async function said(node, what, times = 1) {
    await until(() => node.log().split(what).length > times, `the log says ${what}`);
}

const level = (node, ...args) => run(FIELDGATE, ['log', 'level', '--data', node.dataDir, ...args], { timeoutMs: 20_000 });

test('nothing has changed: said so', async (t) => {
    const node = await start(t);
    const end = await node.reload();
    assert.deepEqual([end.code, end.out], [0, ['changed: no setting; needs restart: none; certificates, users and rules are as their files are now']]);
});

test('what changed is listed with both values, and what needs a restart keeps the old one', async (t) => {
    const node = await start(t);
    const end = await node.reload({
        limits: { connections: 200, 'packet-bytes': '2MiB' }, hub: { partitions: 8, keep: '2d' }, durability: 'memory', site: 'plant-a',
    });
    assert.equal(end.code, 0, end.err.join('\n'));
    const [now, later] = end.out[0].split('; needs restart: ');
    for (const part of ['limits.connections (100000 -> 200)', 'limits.packet-bytes (1MiB -> 2MiB)', 'hub.keep (7d -> 2d)', 'site ("" -> plant-a)'])
        assert.ok(now.includes(part), now);
    assert.equal(later, 'durability (disk -> memory), hub.partitions (4 -> 8); certificates, users and rules are as their files are now');
    assert.equal(await limit(node, 'connections'), '200');
    const status = JSON.parse((await node.verb('status', '-o', 'json')).out.join(''));
    assert.deepEqual([status.durability, status.site, status.hub.partitions.length, status.hub['keep-seconds']],
        ['disk', 'plant-a', 4, 2 * 86400]);
    const again = JSON.parse((await node.verb('reload', '-o', 'json')).out.join(''));
    assert.deepEqual(again.changed, []);
    assert.deepEqual(again['needs-restart'].map((one) => [one.key, one.old, one.new]),
        [['durability', 'disk', 'memory'], ['hub.partitions', 4, 8]]);
});

test('a file with errors changes nothing, and each is named by file, line and column', async (t) => {
    const node = await start(t);
    const client = await mqttConnect({ t, node });
    writeFileSync(node.config, 'data: /elsewhere\nlimits:\n  connections: many\n  packet-bytez: 1MiB\nsite: x\n');
    const end = await node.verb('reload');
    assert.equal(end.code, 1);
    assert.deepEqual(end.out, []);
    assert.match(end.err[0], /^FG1013 .*fieldgate\.yaml:3:16: limits\.connections must be .* got 'many'/);
    assert.match(end.err[1], /^FG1012 .*fieldgate\.yaml:4:3: .*Did you mean 'packet-bytes'/);
    assert.equal(end.err[2], 'nothing was changed');
    await said(node, 'FG1030 nothing was changed');
    assert.equal(await limit(node, 'connections'), '100000');
    await client.publishAsync('a', 'still here', { qos: 1 });
    writeFileSync(node.config, 'this: [is: no yaml\n');
    assert.equal((await node.verb('reload')).code, 1);
});

test('SIGHUP under load: new settings hold, nobody is cut off, nothing is lost', async (t) => {
    const node = await start(t);
    const subscriber = await mqttConnect({ t, node });
    const publishers = await Promise.all(Array.from({ length: 6 }, () => mqttConnect({ t, node })));
    await subscriber.subscribeAsync('load/#', { qos: 1 });
    let sent = 0, over = false;
    const load = publishers.map(async (client, i) => {
        for (let n = 0; !over; n++) {
            await client.publishAsync(`load/${i}`, String(n), { qos: n % 3 });
            if (n % 3) sent++;
            if (n % 20 === 0) await sleep(1);
        }
    });
    for (let i = 1; i <= 12; i++) {
        node.configure({ limits: { 'queued-messages': 100000 + i, 'receive-maximum': i % 2 ? 20 : 1024 }, hub: { topics: i % 2 ? ['load/#'] : [] } });
        process.kill(node.pid, 'SIGHUP');
        await until(async () => (await limit(node, 'queued-messages')) === String(100000 + i), 'the new limit');
    }
    await until(() => sent > 100, 'a load worth the name');
    over = true;
    await Promise.all(load);
    await until(() => subscriber.messages.filter((m) => m.qos > 0).length === sent, `all ${sent} messages`);
    for (let i = 0; i < publishers.length; i++) {
        const got = subscriber.messages.filter((m) => m.topic === `load/${i}` && m.qos).map((m) => Number(m.text));
        assert.deepEqual(got, [...got].sort((a, b) => a - b));
    }
    assert.ok([subscriber, ...publishers].every((client) => client.connected));
});

test('listeners open and close; connections of one that closed go on', async (t) => {
    const [first, second] = [await freePort(), await freePort()];
    const node = await start(t, { listeners: [mqttAt(first), HTTP] });
    const old = await mqttConnect({ t, port: first });
    await old.subscribeAsync('x', { qos: 1 });
    let end = await node.reload({ listeners: [mqttAt(first, second), HTTP] });
    assert.equal(end.code, 0, end.err.join('\n'));
    const both = await mqttConnect({ t, port: second });
    end = await node.reload({ listeners: [HTTP, mqttAt(second)] });
    assert.equal(end.code, 0, end.err.join('\n'));
    await assert.rejects(mqttConnect({ port: first }), /ECONNREFUSED/);
    const fresh = await mqttConnect({ t, port: second });
    for (const client of [both, fresh]) await client.publishAsync('x', 'y', { qos: 1 });
    await old.take(2);
    const status = JSON.parse((await node.verb('status', '-o', 'json')).out.join(''));
    assert.deepEqual(status.listeners.map((l) => l.type), ['http', 'mqtt']);
});

test('a listener on one address becomes one on all without a moment in which nobody listens', async (t) => {
    const port = await freePort();
    const node = await start(t, { listeners: [mqttAt(port), HTTP] });
    let over = false, refused = 0, met = 0;
    const knock = (async () => {
        while (!over) {
            await new Promise((resolve) => {
                const socket = net.connect({ host: '127.0.0.1', port }, () => { met++; socket.destroy(); });
                socket.on('error', (error) => { refused += error.code === 'ECONNREFUSED'; });
                socket.on('close', resolve);
            });
        }
    })();
    for (let i = 0; i < 6; i++) {
        const at = i % 2 ? `127.0.0.1:${port}` : `0.0.0.0:${port}`;
        const end = await node.reload({ listeners: [{ type: 'mqtt', at: [at], auth: 'anonymous', insecure: true }, HTTP] });
        assert.equal(end.code, 0, end.err.join('\n'));
    }
    over = true;
    await knock;
    assert.ok(met > 0);
    assert.equal(refused, 0);
});

test('a taken address changes nothing', async (t) => {
    const [mine, taken] = [await freePort(), await freePort()];
    const server = net.createServer().listen(taken, '127.0.0.1');
    t.after(() => server.close());
    const node = await start(t, { listeners: [mqttAt(mine), HTTP] });
    const end = await node.reload({ listeners: [HTTP, mqttAt(await freePort(), taken)], limits: { connections: 7 } });
    assert.equal(end.code, 1);
    assert.match(end.err[0], new RegExp(`FG1002 127\\.0\\.0\\.1:${taken} is taken by .*listeners\\[1\\]\\.at`));
    assert.equal(await limit(node, 'connections'), '100000');
    const client = await mqttConnect({ t, port: mine });
    await client.publishAsync('a', 'b', { qos: 1 });
});

test('a listener that asks otherwise ends who came in by what it asks no more, and nobody else', async (t) => {
    const [port, other] = [await freePort(), await freePort()];
    const dataDir = tempFolder();
    const added = await run(FIELDGATE, ['user', 'add', 'ann', '--password', '-', '--data', dataDir], { input: 'a long secret\n', timeoutMs: 20_000 });
    assert.equal(added.code, 0, added.err.join('\n'));
    const open = (auth) => ({ listeners: [{ ...mqttAt(port), auth }, mqttAt(other), HTTP] });
    const node = await start(t, open(['users', 'anonymous']), { dataDir });
    const named = await mqttConnect({ t, port, username: 'ann', password: 'a long secret' });
    const elsewhere = await mqttConnect({ t, port: other });
    const old = new Raw(port), older = new Raw(port, { version: 4 });
    t.after(() => [old, older].forEach((raw) => raw.socket.destroy()));
    assert.equal((await old.connect({ clientId: 'old' })).reason, 0);
    assert.equal((await older.connect({ clientId: 'older' })).reason, 0);
    let end = await node.reload(open(['users']));
    assert.equal(end.code, 0, end.err.join('\n'));
    assert.equal((await old.want(DISCONNECT)).reason, 0x87);
    await old.wantClosed();
    await older.wantClosed();
    assert.equal((await mqttRefused({ port })).code, 0x87);
    for (const client of [named, elsewhere]) await client.publishAsync('a', 'b', { qos: 1 });
    await said(node, 'FG2205', 2);
    end = await node.reload(open(['anonymous']));
    assert.equal(end.code, 0, end.err.join('\n'));
    await named.gone();
    assert.deepEqual(named.disconnects, [0x87]);
    await mqttConnect({ t, port });
    await elsewhere.publishAsync('a', 'b', { qos: 1 });
});

test('hub.topics hold at once, for topics that were published to before, too', async (t) => {
    const node = await start(t);
    const client = await mqttConnect({ t, node });
    await client.publishAsync('factory/a', '1', { qos: 1 });
    await node.reload({ hub: { topics: ['factory/#'] } });
    await client.publishAsync('factory/a', '2', { qos: 1 });
    await node.reload({ hub: { topics: ['other'] } });
    await client.publishAsync('factory/a', '3', { qos: 1 });
    const end = await node.verb('events', '--earliest', '--end', '-o', 'jsonl');
    assert.deepEqual(end.out.map((line) => JSON.parse(line).body), [2]);
});

test('what CONNACK promised holds for that connection', async (t) => {
    const node = await start(t);
    const old = new Raw(node.mqttPort);
    t.after(() => old.socket.destroy());
    assert.equal((await old.connect({ clientId: 'old' })).reason, 0);
    const end = await node.reload({ limits: { 'receive-maximum': 5, 'packet-bytes': '2KiB', 'connect-bytes': '1KiB' } });
    assert.equal(end.code, 0, end.err.join('\n'));
    const fresh = await mqttConnect({ t, node });
    assert.deepEqual([fresh.connack.properties.receiveMaximum, fresh.connack.properties.maximumPacketSize], [5, 2048]);
    for (let pid = 1; pid <= 50; pid++) await old.send(publish({ version: 5, topic: 'a', payload: Buffer.alloc(5000), qos: 2, pid }));
    for (let pid = 1; pid <= 50; pid++) assert.equal((await old.want(PUBREC)).pid, pid);
});

test('a reload without descriptors keeps the old settings', async (t) => {
    // CVE-2017-7652 was a broker that opened its doors when it could not open its files.
    const node = await start(t, {}, { wrap: ['prlimit', '--nofile=60:60'] });
    const client = await mqttConnect({ t, node });
    const sockets = Array.from({ length: 80 }, () => net.connect({ host: '127.0.0.1', port: node.mqttPort }).on('error', () => {}));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    await said(node, 'Too many open files');
    node.configure({ limits: { connections: 50 } });
    // A descriptor may become free for a moment between the looks that the node itself takes at its files.
    const refused = () => (process.kill(node.pid, 'SIGHUP'), node.log().includes('FG1030 nothing was changed'));
    await until(refused, 'a reload fails', 10_000, 300);
    assert.match(node.log(), /FG1030 nothing was changed: .*Too many open files/);
    await client.publishAsync('a', 'b', { qos: 1 });
    sockets.forEach((socket) => socket.destroy());
    await until(async () => (await node.verb('reload')).code === 0, 'a reload with descriptors again');
    assert.equal(await limit(node, 'connections'), '50');
});

test('log levels: one component, all of them, and back with a reload', async (t) => {
    const node = await start(t, { log: { levels: { api: 'warn' } } });
    assert.deepEqual((await level(node)).out, ['all       info', 'api       warn']);
    assert.deepEqual((await level(node, 'mqtt=debug')).out, ['all       info', 'api       warn', 'mqtt      debug']);
    const client = await mqttConnect({ t, node, clientId: 'goes-away' });
    client.stream.destroy();
    await said(node, 'goes-away went away');
    assert.deepEqual((await level(node, 'error')).out[0], 'all       error');
    assert.deepEqual((await level(node, 'mqtt=default')).out, ['all       error', 'api       warn']);
    const wrong = await level(node, 'mqtt=loud');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err[0], /FG8003 level is error, warn, info or debug, or default, not 'loud'/);
    assert.match((await level(node, 'mqqt=info')).err[0], /component is action, api, .* or tls, not 'mqqt'/);
    await node.reload({ log: { level: 'debug' } });
    assert.deepEqual((await level(node)).out, ['all       debug']);
});

test('reloads at once are all answered', async (t) => {
    const node = await start(t);
    node.configure({ limits: { connections: 300 } });
    const ends = await Promise.all(Array.from({ length: 8 }, () => node.verb('reload')));
    assert.ok(ends.every((end) => end.code === 0), JSON.stringify(ends.map((end) => end.err)));
    assert.equal(await limit(node, 'connections'), '300');
});
