// Streaming SQL jobs in a running node: what they read and say, verbs, reload, errors, stops and crashes.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { mosquittoPub } from './lib/mosquitto.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode } from './lib/node.mjs';
import { run } from './lib/process.mjs';
import { sleep, until } from './lib/wait.mjs';

function folder(t, files) {
    const dir = mkdtempSync(join(tmpdir(), 'fieldgate-jobs-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    return dir;
}

const json = (messages) => messages.map((m) => JSON.parse(m.text));
const cli = (node, verb, ...args) => run(FIELDGATE, [...verb.split(' '), '--data', node.dataDir, ...args], { timeoutMs: 20_000 });
const jobs = async (node) => JSON.parse((await cli(node, 'job list', '-o', 'json')).out.join('')).jobs;

/** Until the job has read everything that was published so far. */
async function caughtUp(node, name, events) {
    await until(async () => {
        const job = (await jobs(node)).find((one) => one.name === name);
        return job?.lag === 0 && job.events >= events;
    }, `job ${name} has read ${events} events`);
}

const HOT = 'SELECT deviceId, temperature INTO [alarms/hot] FROM [factory/+/t] WHERE temperature > 80';

test('a job reads a topic at every QoS and publishes to another', async (t) => {
    const dir = folder(t, { 'hot.sql': HOT });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const watch = await mqttConnect({ t, node });
    await watch.subscribeAsync('alarms/#', { qos: 1 });
    const line = (deviceId, temperature) => JSON.stringify({ deviceId, temperature, more: [1, { deep: null }] });
    for (const [qos, value] of [[0, 81], [1, 82.5], [2, 83]])
        await mosquittoPub({ port: node.mqttPort, topic: 'factory/1/t', message: line(`press-${qos}`, value), qos });
    await mosquittoPub({ port: node.mqttPort, topic: 'factory/1/t', message: line('cold', 20) });
    await mosquittoPub({ port: node.mqttPort, topic: 'elsewhere', message: line('other', 99) });
    const got = await watch.take(3);
    assert.deepEqual(json(got), [{ deviceId: 'press-0', temperature: 81 }, { deviceId: 'press-1', temperature: 82.5 },
        { deviceId: 'press-2', temperature: 83 }]);
    assert.deepEqual([got[0].topic, got[0].qos, got[0].properties.contentType], ['alarms/hot', 1, 'application/json']);
    await caughtUp(node, 'hot', 4);
    assert.equal(watch.messages.length, 3);
});

test('an output without a topic is below $jobs, where no client may publish', async (t) => {
    const dir = folder(t, { 'a.sql': 'SELECT v INTO found FROM x' });
    const node = await startNode({ t, settings: { jobs: { watcher: { sql: join(dir, 'a.sql'), inputs: { x: 'in/#' } } } } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync(['$jobs/#', '#'], { qos: 1 });
    await client.publishAsync('in/1', '{"v":1}', { qos: 1 });
    await client.take(2);
    assert.deepEqual(client.messages.map((m) => m.topic).sort(), ['$jobs/watcher/found', 'in/1']);
    const forger = await mqttConnect({ t, node });
    await assert.rejects(forger.publishAsync('$jobs/watcher/found', '{"v":2}', { qos: 1 }), /[Nn]ot authorized/);
    await mqttRefused({ t, node, will: { topic: '$jobs/watcher/found', payload: 'x' } });
});

test('verbs: apply, list, explain, rm', async (t) => {
    const dir = folder(t, { 'hot.sql': HOT, 'bad.sql': 'SELECT temperature FROM [t] WHERE temprature >', 'other.sql': 'SELECT v INTO o FROM i' });
    const node = await startNode({ t });
    assert.deepEqual(await jobs(node), []);
    assert.equal((await cli(node, 'job apply', join(dir, 'hot.sql'))).code, 0);
    const bad = await cli(node, 'job apply', join(dir, 'bad.sql'));
    assert.equal(bad.code, 1);
    assert.match(bad.err.join('\n'), /bad\.sql:1:4[0-9]/);
    const [job] = await jobs(node);
    assert.deepEqual([job.name, job.state, job.lag], ['hot', 'running', 0]);
    const plan = await cli(node, 'job explain', 'hot');
    assert.match(plan.out.join('\n'), /reads .*factory\/\+\/t\n.*writes .*alarms\/hot/);
    const check = await run(FIELDGATE, ['job', 'check', join(dir, 'other.sql'), join(dir, 'bad.sql')], {});
    assert.equal(check.code, 1);
    assert.match(check.out.join('\n'), /other\.sql: ok\n +reads +i from routes\n +writes +o to \$jobs\/other\/o/);
    assert.match((await cli(node, 'status')).out.join('\n'), /jobs +1 running +0 behind/);
    await node.restart();
    assert.deepEqual((await jobs(node)).map((one) => one.name), ['hot']);
    assert.equal((await cli(node, 'job rm', 'hot')).code, 0);
    assert.deepEqual(await jobs(node), []);
    const gone = await cli(node, 'job rm', 'hot');
    assert.equal(gone.code, 1);
    assert.match(gone.err.join('\n'), /FG6133/);
    assert.equal((await cli(node, 'job rm', '../users')).code, 1);
});

test('a name that is too long is refused, never cut', async (t) => {
    const long = 'n'.repeat(65);
    const dir = folder(t, { 'hot.sql': HOT, [`${long}.sql`]: HOT });
    const node = await startNode({ t });
    for (const args of [['--name', long, join(dir, 'hot.sql')], ['--name', 'n'.repeat(200), join(dir, 'hot.sql')], [join(dir, `${long}.sql`)]]) {
        const cut = await cli(node, 'job apply', ...args);
        assert.equal(cut.code, 1);
        assert.match(cut.err.join('\n'), /FG8003 name must be that of a job: letters, digits, - and _, at most 64/);
    }
    assert.deepEqual(await jobs(node), []);
    const check = await run(FIELDGATE, ['job', 'check', join(dir, `${long}.sql`)], {});
    assert.match(check.err.join('\n') + check.out.join('\n'), /FG6114 .*cannot be the name of a job/);
});

test('what the settings declare, verbs do not change', async (t) => {
    const dir = folder(t, { 'hot.sql': HOT });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    for (const args of [['job apply', join(dir, 'hot.sql')], ['job rm', 'hot']]) {
        const end = await cli(node, ...args);
        assert.equal(end.code, 1);
        assert.match(end.err.join('\n'), /FG6119 job hot is declared by the settings file/);
    }
});

test('a wrong query stops the start, and a reload changes nothing', async (t) => {
    const dir = folder(t, { 'hot.sql': HOT });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    writeFileSync(join(dir, 'wrong.sql'), 'SELECT AVG(v) INTO o FROM [x/y]');
    const end = await node.verb('reload');
    assert.equal(end.code, 1);
    assert.match(end.err.join('\n'), /wrong\.sql:1:8/);
    assert.deepEqual((await jobs(node)).map((one) => one.name), ['hot']);
    await assert.rejects(node.restart(), /wrong\.sql:1:8/);
});

test('a reload begins, changes and ends jobs, and does not touch the others', async (t) => {
    // LAG remembers: were the job touched, it would not know the value before.
    const lag = (to) => `SELECT v, LAG(v) OVER (LIMIT DURATION(hour, 1)) AS before INTO [x/${to}] FROM [x/in]`;
    const dir = folder(t, { 'kept.sql': lag('kept'), 'changed.sql': lag('changed'), 'ended.sql': lag('ended') });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('x/+', { qos: 1 });
    await client.publishAsync('x/in', '{"v":1}', { qos: 1 });
    await client.take(4);
    writeFileSync(join(dir, 'changed.sql'), `${lag('changed')} WHERE v > 0`);
    writeFileSync(join(dir, 'new.sql'), lag('new'));
    rmSync(join(dir, 'ended.sql'));
    assert.equal((await node.verb('reload')).code, 0);
    await until(async () => (await jobs(node)).map((one) => one.name).join() === 'changed,kept,new' ||
        (await jobs(node)).map((one) => one.name).sort().join() === 'changed,kept,new', 'the jobs are those of the folder');
    await client.publishAsync('x/in', '{"v":2}', { qos: 1 });
    await client.take(8);
    const second = Object.fromEntries(client.messages.slice(4).filter((m) => m.topic !== 'x/in').map((m) => [m.topic.slice(2), JSON.parse(m.text)]));
    assert.deepEqual(second, { kept: { v: 2, before: 1 }, changed: { v: 2, before: null }, new: { v: 2, before: null } });
});

test('what is not JSON is dropped and counted, and stops nothing', async (t) => {
    const dir = folder(t, { 'a.sql': 'SELECT v + 1 AS w INTO [x/out] FROM [x/in]' });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('x/out', { qos: 1 });
    for (const body of ['{"v":1}', '{"v":', 'no json', Buffer.from([0xff, 0xfe]), '{"v":"text"}', '[{"v":2},{"v":3}]', '{"v":9223372036854775808}'])
        await client.publishAsync('x/in', body, { qos: 1 });
    await client.publishAsync('x/in', '{"v":4}', { qos: 1 });
    await client.take(4);
    assert.deepEqual(json(client.messages), [{ w: 2 }, { w: 3 }, { w: 4 }, { w: 5 }]);
    const [job] = await jobs(node);
    assert.equal(job.state, 'running');
    assert.equal(job.dropped, 5);
    const { text } = await node.get('/metrics');
    assert.match(text, /^fieldgate_job_dropped_total\{job="a"\} 5$/m);
    await until(() => /FG6122 job a: InputDeserializationError/.test(node.log()), 'the log says what was dropped');
});

test('with on-error: stop the job stops, says why, and what comes waits', async (t) => {
    const dir = folder(t, { 'a.sql': '--@ on-error: stop\nSELECT v + 1 AS w INTO [x/out] FROM [x/in]' });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('x/out', { qos: 1 });
    for (const v of ['1', '"text"', '3']) await client.publishAsync('x/in', `{"v":${v}}`, { qos: 1 });
    await until(async () => (await jobs(node))[0].state === 'stopped', 'the job has stopped');
    const [job] = await jobs(node);
    assert.match(job.why, /\+|nvarchar/);
    assert.match((await cli(node, 'status')).out.join('\n'), /jobs +0 of 1 running[^]*a is stopped/);
    assert.deepEqual(json(client.messages), [{ w: 2 }]);
    await client.publishAsync('x/in', '{"v":4}', { qos: 1 }); // still accepted
});

test('settings in front of a query', async (t) => {
    const dir = folder(t, {
        'a.sql': '--@ inputs: { machine: in/# }\n--@ outputs: { seen: x/out }\n--@ names: lower\nSELECT Value INTO seen FROM machine',
        'b.sql': '--@ inputs: { machine: in/# }\n--@ lat: 20s\nSELECT v INTO o FROM machine',
    });
    const bad = await run(FIELDGATE, ['job', 'check', join(dir, 'b.sql')], {});
    assert.equal(bad.code, 1);
    assert.match(bad.err.join('\n'), /b\.sql:2:.*unknown key 'lat'.*Did you mean 'late'/);
    rmSync(join(dir, 'b.sql'));
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('x/out', { qos: 1 });
    await client.publishAsync('in/1', '{"Value":1}', { qos: 1 });
    await client.take(1);
    assert.deepEqual(json(client.messages), [{ value: 1 }]);
});

test('reference data is joined, and read again when its file changes', async (t) => {
    const dir = folder(t, {
        'a.sql': 'SELECT i.id AS id, r.name AS name INTO [x/out] FROM [x/in] AS i JOIN machines AS r ON i.id = r.id',
        'machines.csv': 'id,name\n1,press\n2,oven\n',
    });
    const node = await startNode({ t, settings: { jobs: { a: { sql: join(dir, 'a.sql'), references: { machines: join(dir, 'machines.csv') } } } } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('x/out', { qos: 1 });
    await client.publishAsync('x/in', '{"id":1}', { qos: 1 });
    await client.take(1);
    writeFileSync(join(dir, 'machines.csv'), 'id,name\n1,big press\n2,oven\n3,saw\n');
    await until(() => node.log().split('FG6127').length > 2, 'the file was read again');
    for (const id of [1, 3]) await client.publishAsync('x/in', `{"id":${id}}`, { qos: 1 });
    await client.take(3);
    assert.deepEqual(json(client.messages), [{ id: 1, name: 'press' }, { id: 1, name: 'big press' }, { id: 3, name: 'saw' }]);
});

test('jobs feed each other, and partitions', async (t) => {
    const dir = folder(t, {
        'first.sql': 'SELECT v INTO [x/mid] FROM [x/in] WHERE v > 1',
        'second.sql': 'SELECT v * 10 AS v INTO [x/out] FROM events',
    });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql'), hub: { topics: ['x/mid'] } } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('x/out', { qos: 1 });
    for (const v of [1, 2, 3]) await client.publishAsync('x/in', `{"v":${v}}`, { qos: 1 });
    await client.take(2);
    assert.deepEqual(json(client.messages), [{ v: 20 }, { v: 30 }]);
    const stored = await until(async () => {
        const { out } = await node.verb('events', '--earliest', '-e', '-o', 'jsonl'); // what is on disk
        return out.length === 2 && out;
    }, 'both are stored');
    assert.deepEqual(stored.map((line) => JSON.parse(line).source), ['first', 'first']);
});

// The window ends when a later event, or the clock, says so.
const WINDOW = 'SELECT System.Timestamp() AS w, COUNT(*) AS c, SUM(v) AS s INTO [x/out] FROM [x/in] TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)';
const BASE = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000; // an event of the far past would be moved, as too late
const at = (s) => new Date(BASE + s * 1000).toISOString();

test('an output can be a file: each row once, also after a crash and when the job has changed', async (t) => {
    const dir = folder(t, {});
    const file = join(dir, 'rows.jsonl');
    writeFileSync(join(dir, 'a.sql'), `--@ outputs: { found: "file:${file}" }\nSELECT v INTO found FROM [x/in]`);
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line).v);
    const upTo = (n) => Array.from({ length: n }, (_, i) => i);
    let sent = 0;
    for (let life = 0; life < 4; life++) {
        const client = await mqttConnect({ t, port: node.mqttPort });
        for (let k = 0; k < 50; k++) await client.publishAsync('x/in', JSON.stringify({ v: sent++ }), { qos: 1 });
        await until(() => lines().length === sent, 'all rows are in the file');
        await node.restart({ kill9: life !== 2 });
    }
    await until(() => lines().length === sent, 'all rows are in the file again');
    assert.deepEqual(lines(), upTo(sent));
    writeFileSync(join(dir, 'a.sql'), `--@ outputs: { found: "file:${file}" }\nSELECT v INTO found FROM [x/in] WHERE v >= 0`);
    assert.equal((await node.verb('reload')).code, 0);
    const client = await mqttConnect({ t, port: node.mqttPort });
    await client.publishAsync('x/in', JSON.stringify({ v: sent++ }), { qos: 1 });
    await until(() => lines().length >= sent, 'what comes is appended');
    assert.deepEqual(lines(), upTo(sent));
    const bad = folder(t, { 'a.sql': 'SELECT v INTO [file:rows.jsonl] FROM [x/in]' });
    const end = await run(FIELDGATE, ['job', 'check', join(bad, 'a.sql')], {});
    assert.match(end.err.join(), /file:rows\.jsonl' is not a file to write to/);
});

test('a file that was put in the place of an output is not cut', async (t) => {
    const dir = folder(t, {});
    const file = join(dir, 'rows.jsonl');
    writeFileSync(join(dir, 'a.sql'), `--@ outputs: { found: "file:${file}" }\nSELECT v INTO found FROM [x/in]`);
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const publish = async (v) => (await mqttConnect({ t, port: node.mqttPort })).publishAsync('x/in', `{"v":${v}}`, { qos: 1 });
    const holds = (text) => until(() => readFileSync(file, 'utf8') === text, `the file holds ${JSON.stringify(text)}`);
    await publish(1);
    await holds('{"v":1}\n');
    await node.restart({ kill9: false }); // a checkpoint knows how long it is
    renameSync(file, `${file}.1`);
    const other = 'longer than what was written\n';
    writeFileSync(file, other);
    await node.restart({ kill9: true });
    await publish(2);
    await holds(`${other}{"v":2}\n`);
    assert.equal(readFileSync(`${file}.1`, 'utf8'), '{"v":1}\n');
});

test('what is due leaves by the clock while nothing comes: windows and rows of a LEFT JOIN, over kill -9', async (t) => {
    const dir = folder(t, {
        'arrival.sql': 'SELECT COUNT(*) AS c INTO [out/arrival] FROM [in/a] GROUP BY TumblingWindow(second, 1)',
        'own.sql': '--@ late: 1s\nSELECT COUNT(*) AS c INTO [out/own] FROM [in/a] TIMESTAMP BY t GROUP BY TumblingWindow(second, 1)',
        'session.sql': 'SELECT COUNT(*) AS c INTO [out/session] FROM [in/a] GROUP BY SessionWindow(second, 1, 5)',
        'left.sql': 'SELECT a.t, b.t AS u INTO [out/left] FROM [in/a] a LEFT JOIN [in/b] b ON DATEDIFF(second, a, b) BETWEEN 0 AND 1',
        'crash.sql': 'SELECT COUNT(*) AS c INTO [out/crash] FROM [in/a] GROUP BY TumblingWindow(second, 4)',
    });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const watch = await mqttConnect({ t, node });
    await watch.subscribeAsync('out/#', { qos: 1 });
    const client = await mqttConnect({ t, node });
    await client.publishAsync('in/a', JSON.stringify({ t: new Date().toISOString() }), { qos: 1 });
    await until(() => watch.messages.length >= 4, 'four rows without another event', 10_000);
    await node.restart({ kill9: true });
    const again = await mqttConnect({ t, port: node.mqttPort });
    await again.subscribeAsync('out/#', { qos: 1 });
    const seen = () => new Set([...watch.messages, ...again.messages].map((m) => m.topic));
    await until(() => seen().size === 5, 'the window that was open when the node was killed', 10_000);
});

test('a job that waits for the end of a long window writes nothing meanwhile', async (t) => {
    const dir = folder(t, { 'a.sql': 'SELECT COUNT(*) AS c INTO [out/a] FROM [in/a] GROUP BY HoppingWindow(day, 2, 1)' });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql') } });
    const client = await mqttConnect({ t, node });
    await client.publishAsync('in/a', '{}', { qos: 1 });
    const appended = async () => Number(/^fieldgate_journal_appended_sequence (\d+)$/m.exec((await node.get('/metrics')).text)[1]);
    await sleep(1500);
    const before = await appended();
    await sleep(4000);
    assert.ok((await appended()) - before <= 1, `${(await appended()) - before} records`);
});

test('a stop and a crash in the middle of a window change nothing', async (t) => {
    const dir = folder(t, { 'a.sql': `--@ late: 20d\n${WINDOW}` });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql'), hub: { topics: ['x/out'], partitions: 1 } } });
    const send = async (times) => {
        const client = await mqttConnect({ t, port: node.mqttPort });
        for (const [time, v] of times) await client.publishAsync('x/in', JSON.stringify({ t: at(time), v }), { qos: 1 });
        await client.endAsync();
    };
    // Every four seconds one, over six lives of the node: each life ends in the middle of a window.
    for (let life = 0; life < 6; life++) {
        await send(Array.from({ length: 7 }, (_, k) => [life * 28 + k * 4, life * 7 + k]));
        await sleep(life % 3 ? 20 : 300); // with what is published still to be read, and without
        await node.restart({ kill9: life % 2 === 0 });
    }
    await send([[1000, 0]]);
    await caughtUp(node, 'a', 1);
    await until(async () => (await node.verb('events', '--earliest', '-e', '-o', 'jsonl')).out.length >= 17, 'the windows have ended');
    const rows = (await node.verb('events', '--earliest', '-e', '-o', 'jsonl')).out.map((line) => JSON.parse(line).body);
    const want = [];
    for (let end = 0; end <= 170; end += 10) { // (end - 10, end]
        const inside = Array.from({ length: 42 }, (_, i) => i).filter((i) => i * 4 > end - 10 && i * 4 <= end);
        if (inside.length) want.push({ w: at(end), c: inside.length, s: inside.reduce((a, b) => a + b, 0) });
    }
    assert.deepEqual(rows.map((r) => [Date.parse(r.w), r.c, r.s]), want.map((r) => [Date.parse(r.w), r.c, r.s]));
});

test('jobs that would feed themselves or each other for ever are refused, and nothing has changed', async (t) => {
    const dir = folder(t, {
        'self.sql': 'SELECT v INTO [a/b] FROM [a/#]', 'one.sql': 'SELECT v INTO [b/1] FROM [a/1]', 'two.sql': 'SELECT v INTO [c/1] FROM [b/+]',
        'three.sql': 'SELECT v INTO [a/1] FROM [c/1]',
    });
    const node = await startNode({ t });
    const apply = (name) => cli(node, 'job apply', join(dir, `${name}.sql`));
    const self = await apply('self');
    assert.equal(self.code, 1);
    assert.match(self.err.join('\n'), /FG6138 self\.sql: the job would read what it writes: 'a\/b', which 'a\/#' matches/);
    assert.equal((await apply('one')).code, 0);
    assert.equal((await apply('two')).code, 0);
    const three = await apply('three');
    assert.equal(three.code, 1);
    assert.match(three.err.join('\n'), /FG6139 jobs would feed each other for ever: one writes 'b\/1', which two reads; two writes 'c\/1', which three reads; three writes 'a\/1', which one reads/);
    assert.deepEqual((await jobs(node)).map((job) => job.name), ['one', 'two']);
    await node.restart(); // a file that was refused is not there
    await until(async () => (await jobs(node)).length === 2, 'both jobs run');
});

test('verbs at the same time as reloads: none undoes the other', async (t) => {
    const dir = folder(t, { 'hot.sql': HOT });
    const node = await startNode({ t, settings: { jobs: join(dir, 'hot.sql') } });
    const names = [...Array(12).keys()].map((i) => `job${i}`);
    const done = await Promise.all(names.flatMap((name) => [cli(node, 'job apply', '--name', name, join(dir, 'hot.sql')), node.verb('reload')]));
    assert.deepEqual(done.map((end) => end.code), done.map(() => 0));
    await until(async () => (await jobs(node)).length === 13, 'all are there'); // a reload applies after its answer
    await sleep(100);
    assert.deepEqual((await jobs(node)).map((job) => job.name).sort(), ['hot', ...names].sort());
});

test('a job whose state is full pauses; with more room it goes on where it was', async (t) => {
    const dir = folder(t, { 'big.sql': 'SELECT COLLECT() AS all, COUNT(*) AS n INTO [o/all] FROM [i/+] i TIMESTAMP BY i.t GROUP BY TumblingWindow(hour, 1)' });
    const settings = (size) => ({ jobs: { big: { sql: join(dir, 'big.sql'), 'state-bytes': size, late: '20d' } } });
    const node = await startNode({ t, settings: settings('1MiB') });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('o/all', { qos: 1 });
    const begin = Date.now() - 7 * 3_600_000 - Date.now() % 3_600_000;
    const send = (ms, more) => client.publishAsync('i/1', JSON.stringify({ t: new Date(begin + ms).toISOString(), more }), { qos: 1 });
    for (let i = 1; i <= 40; i++) await send(i, 'x'.repeat(50_000));
    await until(async () => (await jobs(node))[0].state === 'paused', 'the job pauses');
    assert.match((await jobs(node))[0].why, /state/);
    const [paused] = await jobs(node);
    assert.equal(paused.lag > 0, true);
    assert.equal(paused['behind-seconds'] >= 0 && paused['behind-seconds'] < 60, true, JSON.stringify(paused));
    assert.equal((await node.reload(settings('64MiB'))).code, 0);
    await until(async () => { const [job] = await jobs(node); return job?.state === 'running' && job.lag === 0; }, 'it goes on');
    assert.equal((await jobs(node))[0]['behind-seconds'], 0);
    await send(3_700_000, '');
    await send(3_700_000 + 10, '');
    const [all] = json(await client.take(1));
    assert.equal(all.n, 40);
    assert.equal(all.all.length, 40);
});

test('replay: what a job would have found, and would with other arguments', async (t) => {
    const dir = folder(t, {
        'spikes.sql': `--@ inputs: { machines: line/+/t }
WITH a AS (SELECT machine, v, AnomalyDetection_SpikeAndDip(v, 99, 60, 'spikesanddips') OVER (PARTITION BY machine LIMIT DURATION(hour, 1)) AS r FROM machines)
SELECT machine, v INTO [found/spikes] FROM a WHERE CAST(GetRecordPropertyValue(r, 'IsAnomaly') AS bigint) = 1`,
        'plain.sql': "SELECT x.v, names.name, GetMetadataPropertyValue(x, '[User].[unit]') AS unit INTO plain FROM [line/1/t] x JOIN names ON x.machine = names.machine",
        'names.csv': 'machine,name\npress-1,große Presse\n',
        'routed.sql': 'SELECT v INTO o FROM routed',
    });
    const node = await startNode({ t, settings: {
        hub: { topics: ['line/#'], partitions: 2 },
        jobs: { spikes: join(dir, 'spikes.sql'), plain: { sql: join(dir, 'plain.sql'), references: { names: join(dir, 'names.csv') } }, routed: join(dir, 'routed.sql') },
    } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('found/spikes', { qos: 1 });
    const replay = (...args) => cli(node, 'job replay', ...args);
    const empty = await replay('spikes', '--since', '1h');
    assert.equal(empty.code, 0);
    assert.match(empty.err.join('\n'), /keep no events of that time/);
    for (let i = 0; i < 200; i++) {
        const v = i % 70 === 69 ? 90 : 20 + (i * 7 % 10) / 10;
        await client.publishAsync(`line/${i % 4 ? 1 : 2}/t`, JSON.stringify({ machine: 'press-1', v, big: 12345678901234567890n.toString() }), { qos: 1, properties: { userProperties: { unit: '°C' } } });
    }
    await client.publishAsync('line/1/t', 'no JSON', { qos: 1 });
    await client.publishAsync('line/1/other', '{"machine":"press-1","v":1000}', { qos: 1 });
    await caughtUp(node, 'spikes', 200);
    const live = json(client.messages);
    assert.equal(live.length > 0, true);
    const same = await replay('spikes', '--since', '1h');
    assert.equal(same.code, 0, same.err.join('\n'));
    const rows = same.out.map((line) => JSON.parse(line));
    assert.deepEqual(rows.map((row) => row.row), live);
    assert.deepEqual([...new Set(rows.map((row) => row.output))], ['found/spikes']);
    assert.match(same.err.join('\n'), new RegExp(`^202 events from .* to .*, 201 of them for job spikes: ${live.length} rows?, 1 dropped or adjusted, 1 models$`, 'm'));
    const none = await cli(node, 'job forget', 'spikes', '"press\\9"\x1b[31m');
    assert.deepEqual([none.code, none.err], [1, ['FG6135 job spikes has no model "press\\9"\\x1b[31m. Those there are: fieldgate job models spikes']]);
    const wide = await replay('spikes', '--since', '1h', '--set', 'confidence=1', '--set', 'history=10');
    assert.equal(wide.code, 0);
    assert.equal(wide.out.length > live.length, true, 'a lower confidence finds more');
    assert.equal((await replay('spikes', '--since', '1h', '--set', 'model=kde')).code, 0);
    const part = await replay('spikes', '--since', '1h', '--until', '30m');
    assert.deepEqual([part.code, part.out.length], [0, 0]);
    const plain = (await replay('plain', '--since', '1h')).out.map((line) => JSON.parse(line).row);
    assert.equal(plain.length, 150);
    assert.deepEqual(plain[0], { v: 20.7, name: 'große Presse', unit: '°C' });
    const routed = await replay('routed', '--since', '1h', '--set', 'history=5');
    assert.match(routed.err.join('\n'), /input routed gets its messages from routes[^]*--set changes nothing/);
    for (const [args, words] of [[['spikes'], /--since/], [['none', '--since', '1h'], /FG6133/], [['spikes', '--since', '1h', '--set', 'confidnce=5'], /Did you mean confidence/],
        [['spikes', '--since', '1h', '--set', 'confidence=0.5'], /percentage from 1 to 100/], [['spikes', '--since', '1h', '--set', 'history=-1'], /whole number/],
        [['spikes', '--since', '1h', '--set', 'model=x'], /fieldgate or kde/]]) {
        const end = await replay(...args);
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), words);
    }
    assert.deepEqual(json(client.messages), live); // the live job has said nothing more
});

test('a job whose rows are refused waits, forgets nothing, stops in time, and says nothing twice', async (t) => {
    const dir = folder(t, { 'a.sql': "SELECT v, AnomalyDetection_SpikeAndDip(v, 95, 10, 'spikes') OVER (LIMIT DURATION(hour, 1)) AS r INTO [x/out] FROM [x/in]" });
    const node = await startNode({ t, settings: { jobs: join(dir, '*.sql'), limits: { 'queued-messages': 10, 'on-full': 'refuse' } } });
    const away = { clientId: 'away', clean: false, properties: { sessionExpiryInterval: 3600 } };
    const watch = await mqttConnect({ t, node, ...away });
    await watch.subscribeAsync('x/out', { qos: 1 });
    await watch.endAsync();
    const client = await mqttConnect({ t, node });
    for (let v = 0; v < 40; v++) await client.publishAsync('x/in', `{"v":${v}}`, { qos: 1 });
    await until(async () => (await jobs(node))[0].state === 'blocked', 'the job is blocked');
    assert.match((await jobs(node))[0].why, /quota/i);
    const forget = await cli(node, 'job forget', 'a', '--all');
    assert.equal(forget.code, 1);
    assert.match(forget.err.join('\n'), /FG6140/);
    assert.equal((await cli(node, 'job models', 'a')).code, 0);
    const from = Date.now();
    await node.stop();
    assert.equal(Date.now() - from < 5000, true, 'stopped within five seconds');
    await node.start();
    await until(async () => (await jobs(node))[0]?.state === 'blocked', 'it is blocked again');
    await node.restart({ kill9: true });
    const back = await mqttConnect({ t, node, ...away });
    assert.deepEqual(json(await back.take(40)).map((row) => row.v), [...Array(40).keys()]);
    await until(async () => { const [job] = await jobs(node); return job.state === 'running' && job.lag === 0; }, 'it runs');
    assert.equal((await cli(node, 'job forget', 'a', '--all')).code, 0);
    await node.restart({ kill9: true });
    const [job] = await until(async () => { const list = await jobs(node); return list.length && list; }, 'it is back');
    assert.equal(job.models, 0, 'what was forgotten stays so');
    await sleep(200);
    assert.equal(back.messages.length, 40);
});
