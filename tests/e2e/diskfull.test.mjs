// A disk that is full, that fails, that hangs: what cannot be kept is refused, everyone else is served, and nothing that
// was acknowledged is lost.
// timeout: 240

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import * as m from './lib/packets.mjs';
import { rawConnect } from './lib/raw.mjs';
import { run } from './lib/process.mjs';
import { SmallDisk } from './lib/smalldisk.mjs';
import { inject, startsWith } from './lib/strace.mjs';
import { sleep, until } from './lib/wait.mjs';

const KEPT = { clean: false, props: { sessionExpiry: 600 } };
const SETTINGS = {
    journal: { 'segment-bytes': '512KiB', 'disk-reserve': '2MiB' },
    limits: { 'packet-bytes': '64KiB' },
    hub: { partitions: 2, topics: ['factory/#'] },
};
const body = (n) => `${n}|`.padEnd(16_000, 'x');
const numberOf = (p) => Number(p.payload.toString().split('|')[0]);

/** Publishes numbered messages one after the other until one is refused; gives the numbers of the accepted ones. */
async function fill(pub, topic, { from = 0, most = 20_000, qos = 1 } = {}) {
    const accepted = [];
    for (let n = from; n < from + most; n++) {
        const { reason } = await pub.publish(topic, body(n), { qos });
        if (reason >= 0x80) return { accepted, reason, next: n };
        accepted.push(n);
    }
    return { accepted, reason: 0, next: from + most };
}

/** Everything that waits for a kept session, flows completed, until nothing has come for a second. */
async function waiting(t, node, id) {
    const raw = await rawConnect({ t, port: node.mqttPort, id, ...KEPT });
    assert.equal(raw.connack.sessionPresent, true);
    const got = [];
    for (;;) {
        const p = await raw.next(1000).catch(() => undefined);
        if (!p) break;
        if (p.type === m.PUBLISH) got.push(numberOf(p));
        if (p.qos === 1) await raw.send(m.ack(m.PUBACK, p.pid));
        if (p.qos === 2) await raw.send(m.ack(m.PUBREC, p.pid));
        if (p.type === m.PUBREL) await raw.send(m.ack(m.PUBCOMP, p.pid));
    }
    await raw.cut();
    return got;
}

/** QoS 0 passes, clients come and go, requests are answered. */
async function othersAreServed(t, node) {
    const live = await rawConnect({ t, port: node.mqttPort });
    await live.subscribe('live/#', { qos: 1 });
    const pub = await rawConnect({ t, port: node.mqttPort });
    for (let i = 0; i < 20; i++) {
        await pub.publish('live/a', `${i}`, { qos: 0 });
        assert.equal((await live.message(3000)).payload.toString(), `${i}`);
    }
    await pub.send(m.pingreq());
    await pub.want(m.PINGRESP);
    assert.equal((await node.get('/metrics')).status, 200);
    await live.cut();
    await pub.cut();
}

async function smallNode(t, { size = '24m', ballast } = {}) {
    const disk = await SmallDisk.make({ t, size });
    if (ballast) await disk.ballast(ballast);
    const node = await startNode({ t, dataDir: `${disk.folder}/data`, settings: SETTINGS, wrap: disk.enter });
    return { disk, node };
}

for (const qos of [1, 2])
    test(`a full disk refuses QoS ${qos} with 0x97, and takes it again when there is room`, async (t) => {
        const { disk, node } = await smallNode(t, { ballast: 10 });
        const away = await rawConnect({ t, port: node.mqttPort, id: 'away', ...KEPT });
        await away.subscribe('work/#', { qos: 2 });
        await away.cut();
        const pub = await rawConnect({ t, port: node.mqttPort, id: 'pub', ...KEPT });
        const first = await fill(pub, 'work/a', { qos });
        assert.equal(first.reason, 0x97);
        assert.ok(first.accepted.length > 200, `${first.accepted.length}`);

        // It stays refused, also for retained messages; and it is said.
        for (let i = 0; i < 20; i++) assert.equal((await pub.publish('work/a', body(first.next), { qos })).reason, 0x97);
        assert.equal((await pub.publish('state/a', body(0), { retain: true })).reason, 0x97);
        const health = await node.get('/health');
        assert.equal(health.status, 503);
        assert.match(health.text, /FG7001/);
        const said = node.log().split('\n').filter((line) => /FG7001 .*refuse/.test(line));
        assert.ok(said.length >= 1 && said.length <= 12, `it is said, and not with every message: ${said.length} lines`);
        await othersAreServed(t, node);
        // What nobody keeps needs no disk.
        assert.ok((await pub.publish('nobody/wants', 'x', { qos })).reason < 0x80);

        await disk.dropBallast();
        await until(async () => (await node.get('/health')).status === 200, 'there is room again', 15_000);
        const second = await fill(pub, 'work/a', { qos, from: first.next, most: 200 });
        assert.equal(second.reason, 0);
        await node.restart({ kill9: true });
        assert.deepEqual(await waiting(t, node, 'away'), [...first.accepted, ...second.accepted]);
    });

test('a subscriber that comes back makes room', async (t) => {
    const { node } = await smallNode(t);
    const away = await rawConnect({ t, port: node.mqttPort, id: 'away', ...KEPT });
    await away.subscribe('work/#', { qos: 1 });
    await away.cut();
    const pub = await rawConnect({ t, port: node.mqttPort });
    const first = await fill(pub, 'work/a');
    assert.equal(first.reason, 0x97);
    assert.deepEqual(await waiting(t, node, 'away'), first.accepted);
    let second;
    await until(async () => (second = await fill(pub, 'work/a', { from: first.next, most: 100 })).reason === 0, 'there is room again', 15_000);
    assert.deepEqual((await waiting(t, node, 'away')).slice(-100), second.accepted);
});

test('a version 3.1.1 publisher gets no acknowledgement for what is not kept', async (t) => {
    const { node } = await smallNode(t);
    const pub = await rawConnect({ t, port: node.mqttPort });
    const first = await fill(pub, 'factory/a');
    assert.equal(first.reason, 0x97);
    const old = await rawConnect({ t, port: node.mqttPort, version: 4 });
    await old.send(m.publish({ version: 4, topic: 'factory/a', payload: body(first.next), qos: 1, pid: 1 }));
    const answer = await old.next(1500).catch(() => undefined);
    assert.equal(answer, undefined, answer && m.describe(answer));
    const recorded = await partitionNumbers(node);
    assert.deepEqual(recorded, first.accepted);
});

async function partitionNumbers(node, enter = node.options.wrap) {
    const [program, ...args] = [...enter, FIELDGATE, 'events', '--data', node.dataDir, '--earliest', '-e', '-o', 'jsonl'];
    const { code, out, err } = await run(program, args, { timeoutMs: 30_000 });
    assert.equal(code, 0, err.join('\n'));
    return out.map((line) => Number(JSON.parse(line).body.split('|')[0]));
}

test('partitions keep what they acknowledged on a full disk, across kill -9 and with no room at all', async (t) => {
    const { disk, node } = await smallNode(t);
    const pub = await rawConnect({ t, port: node.mqttPort, id: 'press-1' });
    const first = await fill(pub, 'factory/press-1');
    assert.equal(first.reason, 0x97);
    assert.deepEqual(await partitionNumbers(node), first.accepted);
    // Somebody else takes the reserve, too.
    const { out } = await disk.run('df', ['--output=avail', '-k', disk.folder]);
    await disk.run('fallocate', ['-l', `${Number(out.at(-1)) - 8}K`, `${disk.folder}/ballast`]);
    assert.equal((await pub.publish('factory/press-1', body(first.next))).reason, 0x97);
    await othersAreServed(t, node);
    await node.restart({ kill9: true });
    assert.deepEqual(await partitionNumbers(node), first.accepted);
    const again = await rawConnect({ t, port: node.mqttPort, id: 'press-1' });
    assert.equal((await again.publish('factory/press-1', body(first.next))).reason, 0x97);
    await disk.dropBallast();
    assert.deepEqual(await partitionNumbers(node), first.accepted);
});

// ---- a disk that fails ----

for (const [error, when] of [['EIO', 40], ['EIO', 41], ['ENOSPC', 60]])
    test(`after fdatasync number ${when} failed with ${error} nothing more is acknowledged`, async (t) => {
        const node = await startNode({ settings: SETTINGS, ...inject('fdatasync', `error=${error}:when=${when}+`) });
        t.after(() => node.kill9().catch(() => {}));
        const away = await rawConnect({ t, port: node.mqttPort, id: 'away', ...KEPT });
        await away.subscribe('work/#', { qos: 1 });
        await away.cut();
        const pub = await rawConnect({ t, port: node.mqttPort, id: 'pub' });
        const acknowledged = [];
        let sent = 0, failed = false;
        pub.onPacket = (p) => {
            if (p.type !== m.PUBACK) return;
            if (p.reason >= 0x80) failed = true;
            else {
                assert.ok(!failed, 'an acknowledgement after the failure');
                acknowledged.push(p.pid - 1);
            }
        };
        // One at a time, until no acknowledgement comes or a refusal does.
        while (!failed && sent < 1000) {
            const before = acknowledged.length;
            pub.send(m.publish({ topic: 'work/a', payload: body(sent), qos: 1, pid: sent + 1 }));
            sent++;
            await until(() => acknowledged.length > before || failed, '', 4000).catch(() => (failed = true));
        }
        assert.ok(failed && acknowledged.length > 0, `${acknowledged.length} of ${sent}`);
        const until_ = acknowledged.length;
        for (let i = 0; i < 50; i++, sent++) await pub.send(m.publish({ topic: 'work/a', payload: body(sent), qos: 1, pid: sent + 1 }));
        await sleep(500);
        assert.equal(acknowledged.length, until_);
        assert.match(node.log(), /FG7002/);
        const health = await node.get('/health');
        assert.equal(health.status, 503);
        assert.match(health.text, /FG7002/);
        await othersAreServed(t, node);

        await node.kill9();
        startsWith(node);
        await node.start();
        const got = await waiting(t, node, 'away');
        assert.deepEqual(got.slice(0, until_), acknowledged);
        for (let i = until_; i < got.length; i++) assert.ok(got[i] > got[i - 1] && got[i] < sent, 'what was not acknowledged may be there, once and in order');
        const after = await rawConnect({ t, port: node.mqttPort });
        assert.ok((await after.publish('work/a', body(sent))).reason < 0x80);
        await node.stop();
        const { code, out } = await run(FIELDGATE, ['check', node.dataDir], { timeoutMs: 30_000 });
        assert.equal(code, 0, out.join('\n'));
    });

test('a disk that hangs holds up acknowledgements and nothing else', async (t) => {
    const node = await startNode({ t, settings: SETTINGS, ...inject('fdatasync', 'delay_enter=700000') });
    const away = await rawConnect({ t, port: node.mqttPort, id: 'away', ...KEPT });
    await away.subscribe('work/#', { qos: 1 });
    await away.cut();
    const pub = await rawConnect({ t, port: node.mqttPort });
    const live = await rawConnect({ t, port: node.mqttPort });
    await live.subscribe('live/#', { qos: 1 });
    const start = performance.now();
    await pub.send(m.publish({ topic: 'work/a', payload: body(0), qos: 1, pid: 1 }));
    for (let i = 0; i < 10; i++) {
        await live.send(m.publish({ topic: 'live/a', payload: `${i}` }));
        assert.equal((await live.want(m.PUBLISH)).payload.toString(), `${i}`);
    }
    assert.ok(performance.now() - start < 500, 'QoS 0 did not wait for the disk');
    assert.equal(pub.received.length, 1, 'only CONNACK so far');
    await pub.want(m.PUBACK);
    assert.ok(performance.now() - start >= 690, 'PUBACK did');
});

test('a job on a full disk stops in time, starts on it, and in the end has said everything once', async (t) => {
    const disk = await SmallDisk.make({ t, size: '24m' });
    await disk.ballast(10);
    const dir = tempFolder('jobs');
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    writeFileSync(join(dir, 'copy.sql'), 'SELECT n, pad, LAG(n) OVER (LIMIT DURATION(hour, 1)) AS before INTO [out/copy] FROM [in/+]');
    const node = await startNode({ t, dataDir: `${disk.folder}/data`, wrap: disk.enter,
        settings: { ...SETTINGS, jobs: join(dir, 'copy.sql') } });
    const away = await rawConnect({ t, port: node.mqttPort, id: 'away', ...KEPT });
    await away.subscribe('out/copy', { qos: 1 });
    await away.cut();
    const pub = await rawConnect({ t, port: node.mqttPort });
    const accepted = [];
    const pad = 'x'.repeat(16_000);
    for (let n = 0; n < 5000; n++) {
        const { reason } = await pub.publish('in/1', JSON.stringify({ n, pad }));
        if (reason >= 0x80) break;
        accepted.push(n);
    }
    assert.ok(accepted.length > 50 && accepted.length < 5000, `${accepted.length}`);
    const job = async () => {
        const [program, ...args] = [...disk.enter, FIELDGATE, 'job', 'list', '--data', node.dataDir, '-o', 'json'];
        return JSON.parse((await run(program, args, { timeoutMs: 30_000 })).out.join('')).jobs[0];
    };
    for (const kill9 of [false, true]) {
        const from = Date.now();
        await node.restart({ kill9 });
        assert.ok(Date.now() - from < 8000, `stopped and started within ${Date.now() - from} ms`);
        await until(async () => (await job())?.state, 'the job is there');
    }
    await disk.dropBallast();
    await until(async () => (await node.get('/health')).status === 200, 'there is room again', 15_000);
    await until(async () => { const now = await job(); return now.state === 'running' && now.lag === 0; }, 'the job has caught up', 15_000);
    const raw = await rawConnect({ t, port: node.mqttPort, id: 'away', ...KEPT });
    const got = [];
    for (;;) {
        const p = await raw.next(1000).catch(() => undefined);
        if (!p) break;
        if (p.type !== m.PUBLISH) continue;
        const { n, before } = JSON.parse(p.payload.toString());
        got.push([n, before]);
        await raw.send(m.ack(m.PUBACK, p.pid));
    }
    assert.deepEqual(got, accepted.map((n) => [n, n ? n - 1 : null]));
});

/** A job `copy` that writes n of each event of in/1 to a file there; its node keeps its own data elsewhere. */
async function fileNode(t, folder, wrap) {
    const dir = tempFolder('jobs'), file = `${folder}/rows.jsonl`;
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    writeFileSync(join(dir, 'copy.sql'), `--@ outputs: { found: "file:${file}" }\nSELECT n, pad INTO found FROM [in/1]`);
    writeFileSync(join(dir, 'other.sql'), 'SELECT n INTO [out/other] FROM [in/1]');
    const node = await startNode({ t, wrap, settings: { ...SETTINGS, jobs: join(dir, '*.sql') } });
    const job = async (name) => {
        const { out, err } = await run(FIELDGATE, ['job', 'list', '--data', node.dataDir, '-o', 'json'], { timeoutMs: 30_000 });
        return JSON.parse(out.join('') || assert.fail(err.join('\n'))).jobs.find((one) => one.name === name);
    };
    return { node, file, job, dir };
}

test('a job whose file is on a full disk waits, says so, and in the end has written every row once', async (t) => {
    const disk = await SmallDisk.make({ t, size: '4m' });
    await disk.ballast(3);
    const { node, file, job, dir } = await fileNode(t, disk.folder, disk.enter);
    const pad = 'x'.repeat(16_000);
    let sent = 0;
    const send = async (count) => {
        const to = sent + count;
        const client = await rawConnect({ t, port: node.mqttPort });
        for (; sent < to; sent++) assert.equal((await client.publish('in/1', JSON.stringify({ n: sent, pad }))).reason, 0, 'the broker has room');
        await client.cut();
    };
    const rows = async () => {
        const { out } = await disk.run('cat', [file]);
        return out.map((line) => JSON.parse(line).n);
    };
    const waits = () => until(async () => (await job('copy')).state === 'blocked', 'the job waits', 15_000);
    await send(150);
    await waits();
    assert.match(node.log(), new RegExp(`FG6124 job copy waits: .*${file} cannot be written: No space left on device`));
    assert.match(JSON.stringify(await job('copy')), /rows\.jsonl cannot be written: No space left/);
    await until(async () => (await job('other')).lag === 0 && (await job('other')).events === 150, 'the other job goes on');
    await othersAreServed(t, node);

    // It stops in time, starts on the full disk, also after a crash, and goes on waiting.
    for (const kill9 of [false, true]) {
        const from = Date.now();
        await node.restart({ kill9 });
        assert.ok(Date.now() - from < 8000, `stopped and started within ${Date.now() - from} ms`);
        await waits();
        await send(5);
    }
    const query = join(dir, 'copy.sql');
    writeFileSync(query, `${readFileSync(query, 'utf8')} WHERE n >= 0`); // a reload does not wait for it
    assert.equal((await node.verb('reload')).code, 0);
    await waits();
    await disk.dropBallast();
    await until(async () => { const now = await job('copy'); return now.state === 'running' && now.lag === 0; }, 'the job has caught up', 20_000);
    assert.match(node.log(), /FG6123 job copy goes on/);
    await send(3);
    await until(async () => (await rows()).length >= sent, 'all rows are there');
    assert.deepEqual(await rows(), [...Array(sent).keys()]);
});
