// A recorded series, replayed by `fieldgate simulate`, lies in the hub's partitions and is read back from the beginning,
// from an offset and from a date. The recording is shared data where that folder exists, else a series made here.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { rawConnect } from './lib/raw.mjs';
import { run } from './lib/process.mjs';
import { sleep } from './lib/wait.mjs';

const SHARED = new URL('../../../shared/data/nab-dev/data/realKnownCause/ambient_temperature_system_failure.csv', import.meta.url).pathname;
const VALUES = 7267;

/** An hourly temperature with a day's swing, noise and a failure, in the form of the recording. */
function generated() {
    const lines = ['timestamp,value'];
    let noise = 0, seed = 12345;
    for (let i = 0; i < VALUES; i++) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        noise = 0.9 * noise + (seed / 0x7fffffff - 0.5);
        const failure = i > 6500 && i < 6600 ? -15 : 0;
        const at = new Date(Date.UTC(2013, 6, 4) + i * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
        lines.push(`${at},${(70 + 3 * Math.sin((i * Math.PI) / 12) + noise + failure).toFixed(8)}`);
    }
    const file = join(tempFolder('series'), 'generated.csv');
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
}

let node, file, rows, all, startedAt, endedAt, halfway;
const TOPIC = 'factory/line1/chiller-1/telemetry';

async function events(...args) {
    const end = await run(FIELDGATE, ['events', '--data', node.dataDir, '-e', '-o', 'jsonl', ...args], { timeoutMs: 30_000 });
    assert.deepEqual([end.code, end.err], [0, []]);
    return end.out.map((line) => JSON.parse(line));
}
const values = (list) => list.map((e) => [e.body.timestamp, e.body.value]);

async function replay(from, ...args) {
    const { code, out, err } = await run(FIELDGATE, ['simulate', '--replay', from, '--time', 'timestamp', '--value', 'value', '--speed', '0',
        '-q', '1', '-t', TOPIC, '--name', 'chiller-1', '-p', String(node.mqttPort), '--quiet', ...args], { timeoutMs: 60_000 });
    assert.equal(code, 0, [...out, ...err].join('\n'));
}

before(async () => {
    file = existsSync(SHARED) ? SHARED : generated();
    console.log(existsSync(SHARED) ? 'the recorded series of ../shared/data' : `a generated series: there is no ${SHARED}`);
    const [head, ...lines] = readFileSync(file, 'utf8').trim().split(/\r?\n/);
    assert.equal(head, 'timestamp,value');
    rows = lines.map((line) => line.split(',')).map(([at, value]) => [at, Number(value)]);
    assert.equal(rows.length, VALUES);
    node = await startNode({ settings: { hub: { partitions: 4, topics: ['factory/#'] } } });
    // In two parts, so that a date lies between them.
    const half = (from, to) => {
        const part = join(node.home, `part-${from}.csv`);
        writeFileSync(part, [head, ...lines.slice(from, to)].join('\n') + '\n');
        return part;
    };
    startedAt = Date.now();
    await replay(half(0, 4000));
    await sleep(50);
    halfway = new Date();
    await sleep(50);
    await replay(half(4000, VALUES));
    endedAt = Date.now();
    all = await events('--earliest');
});
after(() => node?.stop());

test('every value is there once, in order, in one partition', () => {
    assert.equal(all.length, VALUES);
    assert.deepEqual(values(all), rows);
    assert.equal(new Set(all.map((e) => e.partition)).size, 1);
    assert.ok(all.every((e) => e.topic === TOPIC && e.qos === 1));
    assert.equal(new Set(all.map((e) => e.source)).size, 1);
});

test('sequence numbers have no gap, offsets rise, times do not go back', () => {
    for (let i = 0; i < all.length; i++) {
        assert.equal(all[i].sequence, all[0].sequence + i);
        if (i === 0) continue;
        assert.ok(all[i].offset > all[i - 1].offset);
        assert.ok(all[i].enqueued >= all[i - 1].enqueued, `${all[i - 1].enqueued} ${all[i].enqueued}`);
    }
    assert.ok(Date.parse(all[0].enqueued) >= startedAt - 1 && Date.parse(all.at(-1).enqueued) <= endedAt + 1);
});

test('from an offset, and from a sequence number', async () => {
    const { partition } = all[0];
    for (const i of [0, 1, 2500, VALUES - 1]) {
        const where = ['--partition', String(partition)];
        assert.deepEqual(await events(...where, '--offset', String(all[i].offset)), all.slice(i));
        assert.deepEqual(await events(...where, '--sequence', String(all[i].sequence)), all.slice(i));
    }
    assert.deepEqual(await events('--partition', String(partition), '--offset', String(all[100].offset), '-C', '10'), all.slice(100, 110));
    assert.deepEqual(await events('--partition', String(partition), '--sequence', String(all.at(-1).sequence + 1)), []);
});

test('from a date, and until one', async () => {
    const at = halfway.toISOString();
    assert.deepEqual(values(await events('--since', at)), rows.slice(4000));
    assert.deepEqual(values(await events('--earliest', '--until', at)), rows.slice(0, 4000));
    const { enqueued } = all[5000];
    const first = all.findIndex((e) => e.enqueued >= enqueued);
    assert.deepEqual(await events('--since', enqueued), all.slice(first));
    assert.deepEqual(await events('--since', '1h'), all);
    assert.deepEqual(await events('--since', new Date(Date.now() + 60_000).toISOString()), []);
});

test('the other partitions are empty, and a partition that does not exist is refused', async () => {
    for (let p = 0; p < 4; p++) if (p !== all[0].partition) assert.deepEqual(await events('--earliest', '--partition', String(p)), []);
    const end = await run(FIELDGATE, ['events', '--data', node.dataDir, '-e', '--earliest', '--partition', '4'], {});
    assert.notEqual(end.code, 0);
    assert.match(end.err.join('\n'), /partition/);
});

test('a reader that follows sees what comes, and no more than it asked for', async (t) => {
    const reading = run(FIELDGATE, ['events', '--data', node.dataDir, '--latest', '-C', '3', '-o', 'jsonl'], { timeoutMs: 15_000 });
    await sleep(500);
    const pub = await rawConnect({ t, port: node.mqttPort, id: 'press-9' });
    const props = { contentType: 'application/json', user: [['a', '1'], ['a', '2']] };
    for (let i = 0; i < 5; i++) await pub.publish('factory/line2/press-9', `{"n":${i}}`, { props });
    const got = (await reading).out.map((line) => JSON.parse(line));
    assert.deepEqual(got.map((e) => e.body.n), [0, 1, 2]);
    for (const event of got) {
        assert.equal(event.source, 'press-9');
        assert.deepEqual(event.properties, { 'content-type': 'application/json', user: [['a', '1'], ['a', '2']] });
    }
});

test('bodies of any kind come back as they were', async (t) => {
    const pub = await rawConnect({ t, port: node.mqttPort, id: 'press-10' });
    const bodies = ['{"a": 1}', '21.5', 'true', 'null', 'plain text', '', '"quoted"', '{broken', Buffer.from([0, 255, 1]), '1e400', 'ünï\u0007'];
    const since = new Date().toISOString();
    for (const body of bodies) await pub.publish('factory/kinds', body);
    const got = await events('--since', since);
    const back = got.map((e) => ('body-base64' in e ? Buffer.from(e['body-base64'], 'base64') : typeof e.body === 'string' ? e.body : undefined));
    assert.equal(got.length, bodies.length);
    assert.deepEqual([got[0].body, got[1].body, got[2].body, got[3].body], [{ a: 1 }, 21.5, true, null]);
    for (let i = 4; i < bodies.length; i++) if (i !== 9) assert.deepEqual(back[i], bodies[i], JSON.stringify(got[i]));
});

test('all of it is still there, unchanged, after kill -9 and start', async () => {
    const before = await events('--earliest');
    await node.restart({ kill9: true });
    assert.deepEqual(await events('--earliest'), before);
    const { code, out } = await (async () => {
        await node.stop();
        return run(FIELDGATE, ['check', node.dataDir], { timeoutMs: 30_000 });
    })();
    assert.equal(code, 0, out.join('\n'));
});
