// A wall clock that is set while jobs and actions are at work, forwards and backwards, by minutes and by years: what was to happen
// once happens once, and nothing stands still until the clock has caught up.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe } from 'node:test';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { startNode, tempFolder } from './lib/node.mjs';
import { run } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

const HOUR = 3600, YEAR = 365 * 86400;
const LIBRARY = join(tempFolder('clock'), 'clock.so');
before(async () => {
    const script = new URL('./lib/clock.c', import.meta.url).pathname;
    const end = await run('cc', ['-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-O1', '-fPIC', '-shared', '-o', LIBRARY, script], { timeoutMs: 30_000 });
    assert.equal(end.code, 0, end.err.join('\n'));
});

/** A node whose clock `set(seconds)` puts that far from the right time. */
async function startClocked(t, settings) {
    const dir = mkdtempSync(join(tmpdir(), 'fieldgate-clock-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const clock = join(dir, 'clock');
    const set = (seconds) => writeFileSync(clock, `${seconds}`.padEnd(30), { flag: 'r+' });
    writeFileSync(clock, '0'.padEnd(30));
    const jobs = settings(dir);
    const node = await startNode({ t, settings: jobs, env: { LD_PRELOAD: LIBRARY, FG_CLOCK: clock } });
    return { node, set };
}

describe('jobs', { concurrency: 2 }, () => {
    for (const [name, jump] of [['an hour', HOUR], ['a year', YEAR]])
        test(`the clock was ahead by ${name} and is set right`, async (t) => {
            const { node, set } = await startClocked(t, (dir) => {
                writeFileSync(join(dir, 'plain.sql'), 'SELECT n INTO [out/plain] FROM [in/a]');
                writeFileSync(join(dir, 'window.sql'), 'SELECT COUNT(*) AS c, MAX(n) AS n INTO [out/window] FROM [in/a] GROUP BY TumblingWindow(second, 1)');
                writeFileSync(join(dir, 'own.sql'), '--@ late: 1s\nSELECT COUNT(*) AS c, MAX(n) AS n INTO [out/own] FROM [in/a] TIMESTAMP BY t GROUP BY TumblingWindow(second, 1)');
                writeFileSync(join(dir, 'left.sql'), 'SELECT a.n, b.n AS u INTO [out/left] FROM [in/a] a LEFT JOIN [in/b] b ON DATEDIFF(second, a, b) BETWEEN 0 AND 1');
                return { jobs: join(dir, '*.sql') };
            });
            let client, off = 0, n = 0;
            const topics = ['out/plain', 'out/window', 'out/own', 'out/left'];
            const connect = async () => {
                // A kept session: a row that nobody waits for leaves no record, and may come again after a crash.
                client = await mqttConnect({ t, node, clientId: 'watch', clean: false, properties: { sessionExpiryInterval: 600 } });
                await client.subscribeAsync('out/#', { qos: 1 });
            };
            const say = () => client.publishAsync('in/a', JSON.stringify({ n: ++n, t: new Date(Date.now() + off * 1000).toISOString() }), { qos: 1 });
            const got = (topic) => client.messages.filter((m) => m.topic === topic && !m.dup).map((m) => JSON.parse(m.text));
            const threeEach = async () => {
                for (let k = 0; k < 3; k++) await say();
                await until(() => topics.every((topic) => got(topic).some((row) => row.n === n)), `everybody has said ${n}`, 8000);
            };
            const eachOnce = (from) => {
                const numbers = Array.from({ length: n - from }, (_, i) => from + i + 1);
                for (const topic of ['out/plain', 'out/left']) assert.deepEqual(got(topic).map((row) => row.n), numbers, topic);
                for (const topic of ['out/window', 'out/own']) assert.equal(got(topic).reduce((sum, row) => sum + row.c, 0), n - from, topic);
            };
            await connect();
            for (const to of [0, jump, 0, 0]) {
                set((off = to));
                await threeEach();
            }
            eachOnce(0);
            assert.match(node.log(), /FG6122 job window: ClockSetBack: the clock was set back by \d+ s/);
            await node.restart({ kill9: true });
            await connect();
            await threeEach();
            eachOnce(12);

            // While nothing comes: the clock goes back in front of a window that is open.
            set(jump);
            off = jump;
            await say();
            set(0);
            await until(() => topics.every((topic) => got(topic).some((row) => row.n === n)), 'what was open ends', 8000);
        });
});
