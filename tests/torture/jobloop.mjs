// Kills a node whose jobs are at work, and compares what they put out with an undisturbed run over the same input.
//
//   node tests/torture/jobloop.mjs [--kills 10] [--seed N] [--break NAME] [--keep] [--verbose]
//
// Publishers send numbered readings of several machines at QoS 1, again when the node died before it acknowledged; four jobs read
// them: an average by machine over tumbling windows, the value before, a self join, anomalies. What comes in and what the jobs put
// out both go into one partition, so that the log itself says in which order the jobs saw their input. In the end `fieldgate sql` runs
// each query over that input, without a node, and must give the same rows in the same order.
//
// --break passes FIELDGATE_TEST_BREAK=NAME to a node built with test hooks, to see this turn red.
// Status 0 when nothing was wrong, else 1, and the data stays where the last lines say.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mqttConnect } from '../e2e/lib/mqttjs.mjs';
import { FIELDGATE, startNode } from '../e2e/lib/node.mjs';
import { run } from '../e2e/lib/process.mjs';
import { sleep, until } from '../e2e/lib/wait.mjs';
import { random as seeded } from './random.mjs';

const { values: flags } = parseArgs({
    options: {
        kills: { type: 'string', default: '10' }, seed: { type: 'string' }, break: { type: 'string' },
        keep: { type: 'boolean', default: false }, verbose: { type: 'boolean', default: false },
    },
});
const kills = Number(flags.kills);
const seed = flags.seed === undefined ? Date.now() % 1_000_000_000 : Number(flags.seed);
const random = seeded(seed);
const say = (...words) => flags.verbose && console.log((performance.now() / 1000).toFixed(1).padStart(7), ...words);

const FROM = 'FROM [in/+] AS i TIMESTAMP BY i.t';
const QUERIES = {
    average: `SELECT i.machine, System.Timestamp() AS w, COUNT(*) AS c, AVG(i.v) AS a, MAX(i.n) AS n INTO [out/average] ${FROM} GROUP BY i.machine, TumblingWindow(second, 10)`,
    before: `SELECT i.n, LAG(i.v) OVER (PARTITION BY i.machine LIMIT DURATION(hour, 1)) AS b INTO [out/before] ${FROM} WHERE i.n % 5 = 0`,
    pairs: `SELECT x.n AS a, y.n AS b INTO [out/pairs] FROM [in/+] x TIMESTAMP BY t JOIN [in/+] y TIMESTAMP BY t ON x.machine = y.machine AND DATEDIFF(second, x, y) BETWEEN 1 AND 2`,
    anomalies: `WITH s AS (SELECT i.n, AnomalyDetection_SpikeAndDip(i.v, 95, 60, 'spikesanddips') OVER (PARTITION BY i.machine LIMIT DURATION(minute, 30)) AS r ${FROM})
SELECT n, GetRecordPropertyValue(r, 'Score') AS score INTO [out/anomalies] FROM s WHERE CAST(GetRecordPropertyValue(r, 'IsAnomaly') AS bigint) = 1`,
};

const dir = mkdtempSync(join(tmpdir(), 'fieldgate-jobloop-'));
for (const [name, sql] of Object.entries(QUERIES)) writeFileSync(join(dir, `${name}.sql`), `--@ late: 20d\n${sql}\n`);
const node = await startNode({
    keepData: true,
    env: flags.break ? { FIELDGATE_TEST_BREAK: flags.break } : {},
    settings: {
        jobs: join(dir, '*.sql'),
        hub: { partitions: 1, keep: '7d', topics: ['in/+', 'out/+'] },
        journal: { 'segment-bytes': '1MiB', 'disk-reserve': '1MiB' },
        limits: { 'packet-bytes': '256KiB' },
        log: { level: 'warn' },
    },
});

// ---- input: each reading is sent until it is acknowledged; then the next ones ----
const MACHINES = 5;
const BASE = Date.now() - 10 * 86_400_000; // their times run faster than the clock, and may not come to be ahead of it
let sent = 0;
let acknowledged = 0;
let over = false;
function reading(n) {
    const machine = `press-${n % MACHINES}`;
    const v = n % 97 === 0 ? 60 + (0 + random.below(21)) : 20 + Math.sin(n / 40) + (0 + random.below(101)) / 100;
    return JSON.stringify({ n, machine, v, t: new Date(BASE + n * 200).toISOString() });
}
async function publisher() {
    let next = 1;
    const open = new Map();
    while (!over || open.size) {
        if (!node.process || node.process.ended) {
            await sleep(5);
            continue;
        }
        let client;
        let gone;
        try {
            client = await mqttConnect({ port: node.mqttPort, timeoutMs: 3000, onClient: (c) => (gone = new Promise((resolve) => c.once('close', resolve))) });
        } catch {
            await sleep(5); // it died again
            continue;
        }
        while (client.connected && (!over || open.size)) {
            const batch = [...open.values()];
            while (!over && batch.length < 20) {
                const body = reading(next);
                open.set(next, { n: next++, body });
                batch.push(open.get(next - 1));
            }
            sent += batch.length;
            // One after the other is acknowledged, or all of them come again: then the log has some twice, and the jobs see them twice.
            await Promise.race([gone, Promise.allSettled(batch.map(({ n, body }) => client.publishAsync(`in/${n % MACHINES}`, body, { qos: 1 })
                .then(() => { open.delete(n); acknowledged++; })))]);
        }
        client.end(true);
        await gone;
    }
}
const publishing = publisher();

// ---- kills ----
for (let k = 0; k < kills; k++) {
    await sleep((20 + random.below(581)));
    await node.restart({ kill9: true });
    say(`kill ${k + 1}: ${acknowledged} acknowledged`);
    if ((0 + random.below(10)) === 0) { // now and then while it starts
        await sleep((0 + random.below(6)));
    }
}
await sleep(300);
over = true;
await publishing;

// ---- what the log says ----
const wrong = [];
await until(async () => {
    const { out } = await run(FIELDGATE, ['job', 'list', '--data', node.dataDir, '-o', 'json'], {});
    const { jobs } = JSON.parse(out.join(''));
    return jobs.length === Object.keys(QUERIES).length && jobs.every((job) => job.lag === 0 && job.state === 'running');
}, 'all jobs have read everything', 60_000);
await sleep(500);
await node.stop();
await node.start();
const events = (await run(FIELDGATE, ['events', '--data', node.dataDir, '--earliest', '-e', '-o', 'jsonl'], { timeoutMs: 120_000 })).out.map((line) => JSON.parse(line));
await node.stop();
const text = (event) => JSON.stringify(event.body);
const input = events.filter((event) => event.topic.startsWith('in/')).map(text);
writeFileSync(join(dir, 'input.jsonl'), input.map((line) => `${line}\n`).join(''));
const distinct = new Set(input.map((line) => JSON.parse(line).n));
if (distinct.size < acknowledged) wrong.push(`${acknowledged} acknowledged, ${distinct.size} in the log`);

let rows = 0;
for (const [name, sql] of Object.entries(QUERIES)) {
    writeFileSync(join(dir, `${name}.q`), sql);
    const alone = await run(FIELDGATE, ['sql', '--late', '20d', join(dir, `${name}.q`), join(dir, 'input.jsonl')], { timeoutMs: 120_000 });
    if (alone.code !== 0 && alone.code !== 4) { // 4: events were out of order, which is the same for both
        wrong.push(`${name}: fieldgate sql ended with ${alone.code}: ${alone.err.slice(0, 3).join(' / ')}`);
        continue;
    }
    const want = alone.out.map((line) => JSON.stringify(JSON.parse(line)));
    const got = events.filter((event) => event.topic === `out/${name}`).map((event) => JSON.stringify(JSON.parse(text(event))));
    rows += got.length;
    // At the end of the input `sql` closes what is open; the node, whose input goes on, does not.
    const short = want.length - got.length;
    const differs = got.findIndex((row, i) => row !== want[i]);
    if (differs >= 0) wrong.push(`${name}: row ${differs} is ${got[differs]}, undisturbed ${want[differs]}`);
    else if (short < 0 || short > 3 * MACHINES) wrong.push(`${name}: ${got.length} rows, undisturbed ${want.length}`);
    if (got.length === 0) wrong.push(`${name}: no rows at all`);
    say(`${name}: ${got.length} of ${want.length} rows`);
}
console.log(`${wrong.length ? 'WRONG' : 'ok'}: ${kills} kills, ${acknowledged} acknowledged, ${input.length} in the log, ${rows} rows of ${Object.keys(QUERIES).length} jobs compared, seed ${seed}`);
for (const line of wrong) console.log(`  ${line}`);
if (wrong.length || flags.keep) console.log(`  ${dir}, ${node.dataDir}`);
else for (const folder of [dir, node.dataDir]) rmSync(folder, { recursive: true, force: true });
process.exit(wrong.length ? 1 : 0);
