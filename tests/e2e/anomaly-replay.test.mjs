// A recorded temperature goes through `simulate --replay`, MQTT, jobs with both models and actions, and the anomalies are those that
// `fieldgate sql` finds in the file: the same rows in the same order, also when the node is killed on the way. The recording is shared
// data where that folder exists, else a series made here.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { run, start } from './lib/process.mjs';
import { sleep, until } from './lib/wait.mjs';

const SHARED = new URL('../../../shared/data/nab-dev/data/realKnownCause/ambient_temperature_system_failure.csv', import.meta.url).pathname;
const VALUES = 7267;
const BOUND = { timeout: 120_000 };

/** An hourly temperature with noise, planted spikes, and steps that last, in the form of the recording. */
function generated(file) {
    const lines = ['timestamp,value'];
    let noise = 0, seed = 12345;
    for (let i = 0; i < VALUES; i++) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        noise = 0.9 * noise + (seed / 0x7fffffff - 0.5);
        const planted = 20 * Math.floor(i / 1500) + (i % 700 === 699 ? 12 : 0);
        const at = new Date(Date.UTC(2013, 6, 4) + i * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
        lines.push(`${at},${(70 + noise + planted).toFixed(8)}`);
    }
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
}

const FUNCTIONS = {
    spikes: "AnomalyDetection_SpikeAndDip(CAST(value AS float), 95, 120, 'spikesanddips')",
    changes: 'AnomalyDetection_ChangePoint(CAST(value AS float), 50, 24)',
};
const JOBS = ['fieldgate', 'kde'].flatMap((model) => Object.entries(FUNCTIONS).map(([what, f]) => ({
    name: `${model}-${what}`,
    model,
    sql: `--@ late: unlimited
--@ model: ${model}
--@ outputs: { found: anomalies/${model}-${what} }
WITH scored AS (
  SELECT timestamp, value, System.Timestamp() AS time, ${f} OVER (LIMIT DURATION(day, 7)) AS a
  FROM [factory/+/+/telemetry] TIMESTAMP BY timestamp)
SELECT timestamp, value, time, a INTO found FROM scored WHERE CAST(GetRecordPropertyValue(a, 'IsAnomaly') AS bigint) = 1
`,
})));

const home = tempFolder('anomaly');
let file;
before(async () => {
    file = existsSync(SHARED) ? SHARED : generated(join(home, 'generated.csv'));
    console.log(existsSync(SHARED) ? 'the recorded series of ../shared/data' : `a generated series: there is no ${SHARED}`);
    const rows = readFileSync(file, 'utf8').trim().split(/\r?\n/);
    assert.equal(rows.length, VALUES + 1);
    for (const job of JOBS) {
        job.file = join(home, `${job.name}.sql`);
        writeFileSync(job.file, job.sql);
        const { code, out, err } = await run(FIELDGATE, ['sql', '--model', job.model, job.file, file], { timeoutMs: 60_000 });
        assert.deepEqual([code, err], [0, []]);
        job.want = out.map((line) => JSON.parse(line));
        assert.ok(job.want.length > 0 && job.want.length < VALUES / 10, `${job.name}: ${job.want.length} anomalies in the file`);
    }
    console.log(JOBS.map((job) => `${job.name}: ${job.want.length} anomalies`).join(', '));
});

function startJobs(t) {
    return startNode({
        t,
        settings: {
            hub: { partitions: 1, topics: ['anomalies/#', 'alarms/#'] },
            jobs: Object.fromEntries(JOBS.map((job) => [job.name, job.file])),
            actions: Object.fromEntries(JOBS.map((job) => [`tell-${job.name}`,
                { on: `${job.name}.found`, do: { publish: { topic: `alarms/${job.name}`, message: '{"at":"${timestamp}","value":${value}}' } } }])),
        },
    });
}

/** QoS 2 in a session that is kept: each value is in once, whatever happens to the node. */
const replay = (node, speed) => start(FIELDGATE, ['simulate', '--replay', file, '--time', 'timestamp', '--value', 'value', '--speed', String(speed),
    '-q', '2', '-c', '-i', 'chiller-1', '--name', 'chiller-1', '-p', String(node.mqttPort), '--quiet']);

const jobs = async (node) => JSON.parse((await run(FIELDGATE, ['job', 'list', '--data', node.dataDir, '-o', 'json'], { timeoutMs: 20_000 })).out.join('')).jobs;

async function stored(node) {
    const { code, out, err } = await node.verb('events', '--earliest', '-e', '-o', 'jsonl');
    assert.deepEqual([code, err], [0, []]);
    return out.map((line) => JSON.parse(line));
}

async function compare(node) {
    const total = 2 * JOBS.reduce((sum, job) => sum + job.want.length, 0);
    await until(async () => (await jobs(node)).every((job) => job.lag === 0), 'the jobs have read everything', 60_000);
    await until(async () => (await stored(node)).length >= total, '', 30_000).catch(() => {}); // the comparison below says which are missing
    await sleep(300); // one more would be wrong as well
    const all = await stored(node);
    const of = (topic) => all.filter((event) => event.topic === topic).map((event) => event.body);
    for (const job of JOBS) {
        assert.deepEqual(of(`anomalies/${job.name}`), job.want, job.name);
        assert.deepEqual(of(`alarms/${job.name}`), job.want.map((row) => ({ at: row.timestamp, value: row.value })),
            `the actions of ${job.name}`);
    }
}

test('the jobs find in what is replayed what fieldgate sql finds in the file, and the actions say it', BOUND, async (t) => {
    const node = await startJobs(t);
    const { code } = await replay(node, 0).exited;
    assert.equal(code, 0);
    await compare(node);
    for (const job of await jobs(node)) assert.deepEqual([job.name, job.events, job.dropped], [job.name, VALUES, 0]);
});

test('the same when the node is killed again and again on the way', BOUND, async (t) => {
    const node = await startJobs(t);
    const replaying = replay(node, 10_000_000); // takes 2.6 s
    let kills = 0;
    for (; kills < 6; kills++) {
        await sleep(100 + 37 * kills);
        if (replaying.ended) break;
        await node.restart({ kill9: true, samePorts: true });
    }
    assert.ok(kills >= 2, `${kills} kills`);
    const { code } = await replaying.exited;
    assert.equal(code, 0, [...replaying.out, ...replaying.err].join('\n'));
    await node.restart({ kill9: true }); // with rows still on their way to the actions
    await compare(node);
});
