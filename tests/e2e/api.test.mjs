// What a running node tells, and the verbs that ask it: /metrics, /health, status, events, check.

import assert from 'node:assert/strict';
import { openSync, closeSync, readFileSync, readSync, writeSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mosquittoPub } from './lib/mosquitto.mjs';
import { FIELDGATE, startNode, startRefused, tempFolder } from './lib/node.mjs';
import { run, start } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

const SANITIZED = /__(asan|tsan)_init/.test(readFileSync(FIELDGATE, 'latin1'));
const hub = { partitions: 4, topics: ['factory/#'] };

const publish = (node, source, lines, rest = {}) =>
    mosquittoPub({ port: node.mqttPort, id: source, topic: `factory/line1/${source}`, lines, ...rest });

/** The events of a call that must succeed, parsed. */
async function events(node, ...args) {
    const end = await node.verb('events', '-o', 'jsonl', ...args);
    assert.equal(end.code, 0, end.err.join('\n'));
    return end.out.map((line) => JSON.parse(line));
}

/** Three machines, 20 readings each; gives the wall time between the 10th and the 11th. */
async function publishFleet(node) {
    const sources = ['press-1', 'press-2', 'press-3'];
    const reading = (i) => JSON.stringify({ n: i, temperature: 21.5 });
    for (const source of sources) await publish(node, source, Array.from({ length: 10 }, (_, i) => reading(i)));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const middle = new Date();
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const source of sources) await publish(node, source, Array.from({ length: 10 }, (_, i) => reading(i + 10)));
    return middle;
}

/** { name: value } of a Prometheus text; labels are part of the name. */
async function metrics(node) {
    const { status, text } = await node.get('/metrics');
    assert.equal(status, 200);
    const found = {};
    for (const line of text.split('\n')) {
        const sample = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line);
        if (sample) found[sample[1]] = Number(sample[2]);
    }
    return found;
}

test('metrics count what happened, and health says that it is well', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    const before = await metrics(node);
    await publish(node, 'press-1', ['1', '2', '3']);
    await publish(node, 'press-1', ['4'], { qos: 2 });
    await mosquittoPub({ port: node.mqttPort, topic: 'elsewhere', message: 'x', qos: 0 });
    const after = await metrics(node);
    const grown = (name) => after[name] - before[name];
    assert.equal(grown('fieldgate_mqtt_received_messages_total{qos="0"}'), 1);
    assert.equal(grown('fieldgate_mqtt_received_messages_total{qos="1"}'), 3);
    assert.equal(grown('fieldgate_mqtt_received_messages_total{qos="2"}'), 1);
    assert.equal(grown('fieldgate_hub_messages_total'), 4);
    assert.equal(grown('fieldgate_mqtt_acknowledged_messages_total'), 4);
    assert.equal(grown('fieldgate_mqtt_dropped_messages_total{reason="no-subscriber"}'), 1);
    assert.ok(grown('fieldgate_journal_syncs_total') > 0);
    assert.equal(after['fieldgate_limit{key="packet-bytes"}'], 1024 * 1024);
    assert.ok(after.fieldgate_process_resident_memory_bytes > 1e6);
    assert.deepEqual(await node.get('/health'), { status: 200, text: '{"status":"ok"}\n' });
});

test('docs/api.md names every metric and no other', async (t) => {
    const node = await startNode({ t, settings: { // routes, actions, the OPC publisher and the OPC UA server have metrics of their own
        opcua: { options: '--pf=/nowhere/publishednodes.json', server: { at: ['127.0.0.1:0'] } },
        routes: { all: 'FROM topic("x") INTO $upstream' }, actions: { one: { on: 'a/+', do: { publish: { topic: 'b' } } } } } });
    const sql = join(node.dataDir, 'a.sql');
    writeFileSync(sql, 'SELECT v INTO o FROM [a/b]');
    assert.equal((await run(FIELDGATE, ['job', 'apply', '--data', node.dataDir, sql], {})).code, 0); // and so have jobs
    await until(async () => 'fieldgate_upstream_messages{priority="none"}' in await metrics(node), 'the route is in place');
    await until(async () => 'fieldgate_action_waiting{action="one"}' in await metrics(node), 'the action is in place');
    await until(async () => 'fieldgate_opcua_servers' in await metrics(node), 'the publisher is in place');
    await until(async () => 'fieldgate_opcua_server_items' in await metrics(node), 'the OPC UA server is in place');
    const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const documented = new Set(page.match(/(?<=`)fieldgate_[a-z_]+/g));
    const shown = new Set(Object.keys(await metrics(node)).map((name) => name.replace(/\{.*/, '')));
    assert.deepEqual([...documented].sort(), [...shown].sort());
});

test('the HTTP listener gives nothing else away', async (t) => {
    const node = await startNode({ t });
    for (const path of ['/', '/api/v1/status', '/api/v1/events?from=earliest', '/metrics/', '/health/../metrics']) {
        const answer = await fetch(`http://127.0.0.1:${node.httpPort}${path}`, { redirect: 'manual' });
        const body = await answer.json().catch(() => undefined);
        if (path === '/health/../metrics') assert.equal(answer.status, 200); // the client makes it /metrics
        else assert.deepEqual([answer.status, body?.error?.code], [404, 'FG8001'], path);
    }
    const post = await fetch(`http://127.0.0.1:${node.httpPort}/metrics`, { method: 'POST', body: 'x' });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get('allow'), 'GET, HEAD');
    assert.equal((await post.json()).error.code, 'FG8002');
});

test('an idle node takes less than 10 MB', async (t) => {
    const node = await startNode({ t });
    if (SANITIZED) return t.skip('a sanitizer takes memory of its own');
    assert.ok((await metrics(node)).fieldgate_process_resident_memory_bytes < 10e6);
});

test('status says in the same words how it is', async (t) => {
    const node = await startNode({ t, settings: { hub, site: 'plant-a' } });
    await publishFleet(node);
    const end = await node.verb('status');
    assert.equal(end.code, 0, end.err.join('\n'));
    const masked = end.out.map((line) =>
        line
            .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, 'TIME')
            .replace(/\([0-9.a-z ]+\)/, '(AGE)')
            .replace(/oldest .*/, 'oldest AGE')
            .replace(/127\.0\.0\.1:\d+/, 'ADDRESS')
            .replace(/\d+(\.\d+)?(?= (MiB|% CPU|in\/s|out\/s))/g, 'N')
            .replace(/ {2,}/g, '  '),
    );
    assert.deepEqual(masked, [
        'Active since TIME (AGE)  fieldgate 0.1.0  site plant-a  N MiB  N % CPU',
        '  mqtt  ADDRESS  0 clients  N in/s  N out/s',
        '  hub  4 partitions, 7 d kept  60 stored  oldest AGE',
        '  accounts  in 60 = stored 60 = acknowledged 60  lost 0',
    ]);
    const json = JSON.parse((await node.verb('status', '-o', 'json')).out.join('\n'));
    assert.equal(json.version, 1);
    assert.equal(json.state, 'active');
    assert.equal(json.pid, node.pid);
    assert.deepEqual(json.listeners, [
        { type: 'mqtt', address: `127.0.0.1:${node.mqttPort}` },
        { type: 'http', address: `127.0.0.1:${node.httpPort}` },
    ]);
    assert.equal(json.hub.stored, 60);
    assert.equal(json.hub.partitions.length, 4);
    assert.deepEqual(
        { in: json.accounts.in, acknowledged: json.accounts.acknowledged, lost: json.accounts.lost },
        { in: 60, acknowledged: 60, lost: 0 },
    );
});

test('status of a node that does not run is one line and the status 3', async () => {
    const end = await run(FIELDGATE, ['status', '--data', join(tempFolder(), 'data')]);
    assert.equal(end.code, 3);
    assert.deepEqual(end.out, []);
    assert.equal(end.err.length, 1);
    assert.match(end.err[0], /no node runs in .*\. Start it: fieldgate run --data /);
});

test('verbs find the node by the settings that it was started with, and say how to start one that is not there', async (t) => {
    const node = await startNode({ t });
    const bare = { HOME: node.home, PATH: process.env.PATH };
    const status = (args, env = bare) => run(FIELDGATE, args, { env, cwd: node.home });
    for (const [args, env] of [[['status', '-c', 'fieldgate.yaml']], [['status', '--config', node.config]],
        [['status'], { ...bare, FIELDGATE_CONFIG: node.config }], [['job', 'list', '-c', node.config]], [['route', 'list', '-c', node.config]],
        [['events', '-e', '-c', node.config]], [['log', 'level', '-c', node.config]], [['reload', '-c', node.config]]]) {
        const end = await status(args, env);
        assert.deepEqual([end.code, end.err], [0, []], args.join(' '));
    }
    await node.stop();
    const said = async (args, env) => {
        const end = await status(args, env);
        assert.equal(end.code, 3);
        return end.err.join('\n');
    };
    assert.match(await said(['status', '-c', 'fieldgate.yaml']), /no node runs in \S*\/data\. Start it: fieldgate run --config fieldgate\.yaml$/);
    assert.match(await said(['status', '-c', 'fieldgate.yaml', '--data', 'd']), /no node runs in \S*\/d\. Start it: fieldgate run --config fieldgate\.yaml --data \S*\/d$/);
    assert.match(await said(['status'], { ...bare, FIELDGATE_CONFIG: node.config }), /no node runs in \S*\/data\. Start it: fieldgate run$/);
    assert.match(await said(['status'], { ...bare, FIELDGATE_DATA: join(node.home, 'e') }), /no node runs in \S*\/e\. Start it: fieldgate run$/);
});

test('status tells a node that was cut off from one that was stopped', async (t) => {
    const node = await startNode({ t });
    await node.kill9();
    const cut = await node.verb('status');
    assert.deepEqual([cut.code, cut.err.length], [3, 1]);
    assert.match(cut.err[0], /no node runs in .*; the last one was cut off\. Start it: /);
    await node.start();
    await node.stop();
    assert.match((await node.verb('status')).err[0], /no node runs in [^;]*\. Start it: /);
});

test('status says when durability is memory', async (t) => {
    const node = await startNode({ t, settings: { durability: 'memory' } });
    const { out } = await node.verb('status');
    assert.ok(out.some((line) => /^ {2}durability memory +an acknowledged message may be lost in a crash$/.test(line)));
});

test('events: everything from the earliest on, once, in order', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publishFleet(node);
    await mosquittoPub({ port: node.mqttPort, topic: 'not/kept', message: 'x' });
    const all = await events(node, '--earliest', '-e');
    assert.equal(all.length, 60);
    for (const source of ['press-1', 'press-2', 'press-3']) {
        const mine = all.filter((e) => e.source === source);
        assert.deepEqual(mine.map((e) => e.body.n), Array.from({ length: 20 }, (_, i) => i));
        assert.equal(new Set(mine.map((e) => e.partition)).size, 1);
    }
    for (let p = 0; p < 4; p++) {
        const mine = all.filter((e) => e.partition === p);
        assert.deepEqual(mine.map((e) => e.sequence), mine.map((_, i) => i));
        assert.ok(mine.every((e) => e.offset === e.sequence));
    }
    const times = all.map((e) => e.enqueued);
    assert.deepEqual(times, [...times].sort());
    assert.ok(all.every((e) => e.qos === 1 && e.retain === false && e.topic === `factory/line1/${e.source}`));
});

test('events: from an offset, a sequence number, a date; until a date; a count', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    const middle = await publishFleet(node);
    const all = await events(node, '--earliest', '-e');
    const { partition } = all[0];
    const one = all.filter((e) => e.partition === partition);
    assert.deepEqual(await events(node, '--partition', partition, '--offset', '7', '-e'), one.slice(7));
    assert.deepEqual(await events(node, '--partition', partition, '--sequence', '7', '-C', '3'), one.slice(7, 10));
    assert.deepEqual(await events(node, '--partition', partition, '--sequence', '100000', '-e'), []);
    const from = middle.toISOString();
    assert.deepEqual(await events(node, '--since', from, '-e'), all.filter((e) => e.enqueued >= from));
    assert.equal((await events(node, '--since', from, '-e')).length, 30);
    assert.deepEqual(await events(node, '--earliest', '--until', from), all.filter((e) => e.enqueued < from));
    assert.deepEqual(await events(node, '--since', '10m', '-C', '5'), all.slice(0, 5));
    assert.deepEqual(await events(node, '--latest', '-e'), []);
    const document = JSON.parse((await node.verb('events', '--earliest', '-C', '2', '-o', 'json')).out.join('\n'));
    assert.deepEqual(document, { version: 1, events: all.slice(0, 2) });
    assert.deepEqual(JSON.parse((await node.verb('events', '-e', '-o', 'json')).out.join('\n')), { version: 1, events: [] });
});

test('events: a line for people', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publish(node, 'press-7', ['{"temperature": 21.90, "humidity": 44}', 'plain \u001b[31mtext', '"quoted"']);
    const { out, code } = await node.verb('events', '--earliest', '-C', '3');
    assert.equal(code, 0);
    assert.match(out[0], /^\d\d:\d\d:\d\d\.\d{3} {2}p[0-3] @0 {2}press-7 {3}\{"temperature":21\.90,"humidity":44\}$/);
    assert.match(out[1], /^\S+ {2}p[0-3] @1 {2}press-7 {3}plain \\x1b\[31mtext$/);
    assert.match(out[2], /^\S+ {2}p[0-3] @2 {2}press-7 {3}"quoted"$/);
    const verbose = await node.verb('events', '--earliest', '-C', '1', '-v');
    assert.match(verbose.out[0], /press-7 {3}factory\/line1\/press-7 {2}\{"temperature"/);
});

test('events: properties and bodies of every kind', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publish(node, 'press-1', undefined, {
        message: '{"big": 123456789012345678901234567890, "a": 1, "a": 2}',
        args: ['-D', 'PUBLISH', 'content-type', 'application/json', '-D', 'PUBLISH', 'user-property', 'unit', 'celsius',
            '-D', 'PUBLISH', 'user-property', 'unit', 'kelvin', '-D', 'PUBLISH', 'response-topic', 'answers',
            '-D', 'PUBLISH', 'correlation-data', 'c1', '-D', 'PUBLISH', 'message-expiry-interval', '3600',
            '-D', 'PUBLISH', 'payload-format-indicator', '1'],
    });
    const { out } = await node.verb('events', '--earliest', '-e', '-o', 'jsonl');
    assert.ok(out[0].endsWith('"body":{"big":123456789012345678901234567890,"a":1,"a":2}}'), out[0]);
    const { properties, expiry } = JSON.parse(out[0]);
    assert.equal(expiry, 3600);
    assert.deepEqual(properties, {
        'content-type': 'application/json', 'response-topic': 'answers', 'correlation-base64': 'YzE=',
        'payload-format': 1, user: [['unit', 'celsius'], ['unit', 'kelvin']],
    });
    await publish(node, 'press-2', ['text', '"string"', '21.40', '[1, 2]', 'true', '']);
    const raw = (await node.verb('events', '--earliest', '-e', '-o', 'jsonl')).out.filter((l) => l.includes('press-2'));
    assert.deepEqual(raw.map((line) => line.slice(line.indexOf(',"body":') + 8, -1)),
        ['"text"', '"\\"string\\""', '21.40', '[1,2]', 'true', '""']);
});

test('events: a follower sees what comes, until the node stops', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publish(node, 'press-1', ['before']);
    const follower = start(FIELDGATE, ['events', '--data', node.dataDir, '-o', 'jsonl']);
    t.after(() => follower.ended || follower.kill('SIGKILL'));
    const warm = async () => {
        await publish(node, 'press-1', ['warm']);
        return follower.out.length > 0;
    };
    await until(warm, 'the follower sees an event', 10_000, 50);
    const seen = follower.out.length;
    await publish(node, 'press-2', ['a', 'b', 'c']);
    await until(() => follower.out.slice(seen).filter((l) => l.includes('press-2')).length === 3, 'the follower sees three');
    const bodies = follower.out.map((line) => JSON.parse(line).body);
    assert.ok(!bodies.includes('before'));
    assert.deepEqual(bodies.slice(-3), ['a', 'b', 'c']);
    await node.stop();
    const { code } = await follower.exited;
    assert.equal(code, 1);
    assert.deepEqual(follower.err, ['FG8005 the node is stopping']);
});

test('events: with -W it ends by itself', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    const began = performance.now();
    assert.deepEqual(await events(node, '-W', '1'), []);
    const took = performance.now() - began;
    assert.ok(took > 900 && took < 8000, `${took} ms`);
});

test('events are there after kill -9, with the same numbers, and the counting goes on', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publishFleet(node);
    const before = await events(node, '--earliest', '-e');
    await node.restart({ kill9: true });
    assert.deepEqual(await events(node, '--earliest', '-e'), before);
    await publish(node, 'press-1', ['{"n":20}']);
    const [last] = (await events(node, '--earliest', '-e')).slice(-1);
    const [former] = before.filter((e) => e.source === 'press-1').slice(-1);
    assert.equal(last.partition, former.partition);
    assert.equal(last.sequence, before.filter((e) => e.partition === former.partition).length);
});

test('a long history streams through a slow reader', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    const body = 'x'.repeat(10_000);
    await publish(node, 'press-1', Array.from({ length: 1500 }, (_, i) => `${i} ${body}`));
    const reader = start('sh', ['-c', `"${FIELDGATE}" events --data "${node.dataDir}" --earliest -e -o jsonl | (sleep 1; cut -c1-400)`]);
    const { code } = await reader.exited;
    assert.equal(code, 0);
    assert.equal(reader.out.length, 1500);
    assert.deepEqual(reader.out.map((line) => Number(/"body":"(\d+) x/.exec(line)[1])), Array.from({ length: 1500 }, (_, i) => i));
    assert.ok((await metrics(node)).fieldgate_heap_bytes < 30e6);
});

test('wrong questions get the right sentence', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    for (const [args, code, words] of [
        [['--partition', '9'], 1, /^FG3101 there is no partition 9: this hub has 4, 0 to 3$/],
        [['--earliest', '--since', '10m'], 2, /--earliest and --since are both a position to begin at/],
        [['-e', '-f'], 2, /--end and --follow contradict each other/],
        [['--since', 'soon'], 2, /--since must be a time, such as /],
        [['-C', '0'], 2, /--count/],
        [['extra'], 2, /takes no arguments/],
        [['--form', 'x'], 2, /--form/],
    ]) {
        const end = await node.verb('events', ...args);
        assert.equal(end.code, code, `${args}: ${end.err}`);
        assert.match(end.err[0], words);
        assert.deepEqual(end.out, []);
    }
    const absent = await run(FIELDGATE, ['events', '--data', join(node.home, 'other')]);
    assert.equal(absent.code, 3);
});

test('a second node on the same folder or address does not start', async (t) => {
    const node = await startNode({ t });
    const sameData = await startRefused({ dataDir: node.dataDir });
    assert.equal(sameData.code, 1);
    assert.match(sameData.err.join('\n'), new RegExp(`^FG1005 ${node.dataDir} is in use by another node \\(pid ${node.pid}\\)`));
    const sameAddress = await startRefused({
        settings: { listeners: [{ type: 'mqtt', at: [`127.0.0.1:${node.mqttPort}`] }] },
    });
    assert.equal(sameAddress.code, 1);
    assert.match(sameAddress.err.join('\n'),
        new RegExp(`^FG1002 127\\.0\\.0\\.1:${node.mqttPort} is taken by .* \\(pid ${node.pid}\\)\\. Stop it, or set listeners\\[0\\]\\.at\\.$`));
    assert.deepEqual([sameData.out, sameAddress.out], [[], []]);
    assert.equal((await node.get('/health')).status, 200);
});

test('check DIR reads every byte of a node that does not run', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publishFleet(node);
    const busy = await run(FIELDGATE, ['check', node.dataDir]);
    assert.equal(busy.code, 1);
    assert.match(busy.err[0], /^FG1005 .* is in use by a running node/);
    await node.stop();
    const good = await run(FIELDGATE, ['check', node.dataDir]);
    assert.equal(good.code, 0, good.out.join('\n'));
    assert.match(good.out[0], /^ {2}ok {2}.*: \d+ segments, [\d ]+ frames, 60 messages, 60 events in partitions$/);

    // One flipped bit in the body of the first event.
    const folder = join(node.dataDir, 'journal');
    const file = join(folder, readdirSync(folder).filter((name) => name.endsWith('.seg')).sort()[0]);
    const fd = openSync(file, 'r+');
    const head = Buffer.alloc(65536);
    readSync(fd, head, 0, head.length, 0);
    const at = head.indexOf('temperature');
    assert.ok(at > 0);
    writeSync(fd, Buffer.from([head[at] ^ 1]), 0, 1, at);
    closeSync(fd);
    const bad = await run(FIELDGATE, ['check', node.dataDir]);
    assert.equal(bad.code, 1);
    assert.match(bad.out[0], new RegExp(`^ {2}xx {2}${file} byte \\d+: `));
    const json = JSON.parse((await run(FIELDGATE, ['check', node.dataDir, '-o', 'json'])).out.join('\n'));
    assert.equal(json.findings.length, 1);
    assert.deepEqual([json.findings[0].level, json.findings[0].file], ['error', file]);

    // The node starts all the same, tells the damaged one in its place and gives the 59 others.
    await node.start();
    const end = await node.verb('events', '--earliest', '-e', '-o', 'jsonl');
    assert.equal(end.code, 4);
    const lines = end.out.map((line) => JSON.parse(line));
    assert.equal(lines.filter((e) => e.error?.code === 'FG7004').length, 1);
    assert.equal(lines.filter((e) => e.body).length, 59);
    assert.match(end.err[0], /^FG7004 p\d @\d+: from here to the next one shown, what was stored is damaged on disk/);
});

test('check looks at this machine', async (t) => {
    const node = await startNode({ t });
    const args = ['check', '--config', node.config];
    const running = await run(FIELDGATE, args);
    assert.equal(running.code, 4, [...running.out, ...running.err].join('\n'));
    const text = running.out.join('\n');
    assert.match(text, /^Configuration\n {2}ok {2}the settings file is valid +\S+fieldgate\.yaml$/m);
    assert.match(text, /^ {2}!! {2}\d+ accepts anyone on this machine +listeners\[0\]$/m);
    assert.match(text, /^ {2}ok {2}the node runs and is well/m);
    assert.match(text, /fsync \d+\.\d ms median, \S+$/m);
    assert.match(text, /^\d+ ok, \d+ warnings?, 0 errors\. Only these again: fieldgate check --failed$/m);
    await node.stop();
    const stopped = await run(FIELDGATE, [...args, '-o', 'json']);
    const { checks } = JSON.parse(stopped.out.join('\n'));
    assert.ok(checks.some((c) => c.level === 'not tried' && c.what === 'no node runs here'));
    assert.ok(checks.some((c) => c.level === 'ok' && / is free$/.test(c.what)));
    const wrong = await run(FIELDGATE, [...args, '--set', 'log.level=loud']);
    assert.equal(wrong.code, 1);
    assert.match(wrong.out.join('\n'), /xx {2}FG1013/);
});

test('a second signal ends a node at once, and nothing acknowledged is missing', async (t) => {
    const node = await startNode({ t, settings: { hub } });
    await publishFleet(node);
    node.process.child.kill('SIGTERM');
    node.process.child.kill('SIGINT');
    await node.process.exited;
    await node.start();
    assert.equal((await events(node, '--earliest', '-e')).length, 60);
});
