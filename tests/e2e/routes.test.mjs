// Routes in a running node: topics to topics, to partitions, jobs and $upstream; conditions, reload, errors, verbs, kill -9.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { mosquittoPub, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, startRefused } from './lib/node.mjs';
import { run, start } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

function folder(t, files) {
    const dir = mkdtempSync(join(tmpdir(), 'fieldgate-routes-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    return dir;
}

const cli = (node, verb, ...args) => run(FIELDGATE, [...verb.split(' '), '--data', node.dataDir, ...args], { timeoutMs: 20_000 });
const status = async (node) => JSON.parse((await cli(node, 'status', '-o', 'json')).out.join(''));
const routes = async (node) => JSON.parse((await cli(node, 'route list', '-o', 'json')).out.join('')).routes;
const route = async (node, name) => (await routes(node)).find((one) => one.route === name);
const upstream = async (node) => (await status(node)).upstream;

/** A node whose routes are in place. */
async function routed(t, settings) {
    const node = await startNode({ t, settings });
    await placed(node, Object.keys(settings.routes).length);
    return node;
}
const placed = (node, n) => until(async () => (await routes(node)).length === n, `${n} routes are in place`);
const stored = async (node) => (await status(node)).hub.stored;

test('topic to topic, with and without a condition; each once', async (t) => {
    const node = await routed(t, { routes: {
        hot: 'FROM topic("factory/+/t") WHERE $body.temperature > 80 INTO topic("alarms")',
        urgent: 'FROM topic("factory/1/t") WHERE level = \'urgent\' INTO topic("alarms")',
        copy: 'FROM topic("factory/#") INTO topic("copy/all")',
    } });
    const watch = await mosquittoSub({ port: node.mqttPort, topics: ['alarms', 'copy/#'] });
    t.after(() => watch.stop());
    const say = (topic, temperature, ...args) => mosquittoPub({ port: node.mqttPort, topic, message: `{"temperature":${temperature}}`, args });
    await say('factory/1/t', 20);
    await say('factory/1/t', 81);
    await say('factory/1/t', 82, '-D', 'publish', 'user-property', 'level', 'urgent');
    await say('factory/2/t', 1, '-D', 'publish', 'user-property', 'level', 'urgent');
    await mosquittoPub({ port: node.mqttPort, topic: 'factory/1/t', message: 'not json' });
    await mosquittoPub({ port: node.mqttPort, topic: 'factory/1/t', message: '{"temperature":3}', qos: 0, args: ['-D', 'publish', 'user-property', 'level', 'urgent'] });
    const got = await watch.take(9);
    const of = (topic) => got.filter((m) => m.topic === topic).map((m) => m.text);
    assert.deepEqual(of('alarms'), ['{"temperature":81}', '{"temperature":82}', '{"temperature":3}']);
    assert.deepEqual(of('copy/all').length, 6);
    assert.equal(got.find((m) => m.text === '{"temperature":82}' && m.topic === 'alarms').properties.user, 'level:urgent');
    const hot = await until(async () => {
        const one = await route(node, 'hot');
        return one.matched + one['not-matched'] === 6 && one;
    }, 'the counts are shown');
    assert.deepEqual([hot.matched, hot['not-matched'], hot.errors, hot.waiting, hot.state], [2, 4, 1, 0, 'running']);
    assert.match(node.log(), /FG4114 1 messages for routes into topic alarms have no JSON body.*factory\/1\/t/);
    const metrics = (await node.get('/metrics')).text;
    assert.match(metrics, /fieldgate_route_messages_total\{route="hot",result="matched"\} 2\n/);
    assert.match(metrics, /fieldgate_route_messages_total\{route="hot",result="error"\} 1\n/);
});

test('to partitions, and not twice what is there anyway', async (t) => {
    const node = await routed(t, { hub: { topics: ['hub/#'] }, routes: { keep: 'FROM topic("#") WHERE NOT starts_with($topic, \'x\') INTO events' } });
    for (const topic of ['hub/1', 'plain', 'x/1']) await mosquittoPub({ port: node.mqttPort, topic, message: topic });
    await until(async () => await stored(node) === 2, 'two events are stored');
    await until(async () => (await route(node, 'keep')).matched === 2, 'both are counted');
    assert.equal(await stored(node), 2);
});

test('$upstream waits, by priority, over kill -9', async (t) => {
    const settings = { routes: {
        rest: 'FROM topic("machine/#") INTO $upstream',
        first: { route: 'FROM topic("machine/#") WHERE $body.alarm = true INTO $upstream', priority: 0, ttl: '1h' },
    } };
    const node = await routed(t, settings);
    await mosquittoPub({ port: node.mqttPort, topic: 'machine/1', lines: ['{"n":1}', '{"n":2,"alarm":true}', '{"n":3}', '{"n":4,"alarm":false}'] });
    const waiting = async () => (await upstream(node)).map((u) => [u.priority, u.messages]);
    const both = JSON.stringify([[0, 1], [null, 3]]);
    await until(async () => JSON.stringify(await waiting()) === both, 'all have their place');
    const [lane] = await upstream(node);
    assert.ok(lane.bytes > 10 && lane.expired === 0 && /^20\d\d-/.test(lane.oldest));
    assert.match((await cli(node, 'status')).out.join('\n'), /routes +2 running +4 matched +0 wait to be routed\n +upstream +priority 0 +1 messages wait .*since/);
    assert.match((await node.get('/metrics')).text, /fieldgate_upstream_messages\{priority="none"\} 3\n/);
    await node.restart({ kill9: true });
    await placed(node, 2);
    assert.equal(JSON.stringify(await waiting()), both);
    await node.restart({ settings: { routes: { other: 'FROM topic("other") INTO topic("o")' } } });
    await placed(node, 1);
    assert.equal(JSON.stringify(await waiting()), both, 'what waits stays, whatever the routes say');
});

test('a single plain route into $upstream', async (t) => {
    const node = await routed(t, { routes: { all: 'FROM topic("m/+") INTO $upstream' } });
    await mosquittoPub({ port: node.mqttPort, topic: 'm/1', lines: Array.from({ length: 500 }, (_, i) => String(i)), qos: 1 });
    await until(async () => (await upstream(node))[0]?.messages === 500, 'all wait');
    assert.equal((await route(node, 'all')).matched, 500);
    await node.restart({ kill9: true });
    await until(async () => (await upstream(node))[0]?.messages === 500, 'all wait still');
});

test('jobs as modules: from an output, into an input', async (t) => {
    const dir = folder(t, {
        'machine.sql': 'SELECT v, v * 2 AS twice INTO doubled FROM [in/#]',
        'sums.sql': 'SELECT twice + 1 AS w INTO [out/w] FROM rows',
    });
    const node = await routed(t, { jobs: join(dir, '*.sql'), routes: {
        pass: 'FROM /messages/modules/machine/outputs/doubled WHERE $body.twice > 4 AND $connectionModuleId = \'machine\' INTO BrokeredEndpoint("/modules/sums/inputs/rows")',
        all: 'FROM /messages/* INTO $upstream',
    } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('out/#', { qos: 1 });
    for (const v of [1, 2, 3, 4]) await client.publishAsync('in/1', `{"v":${v}}`, { qos: 1 });
    assert.deepEqual((await client.take(2)).map((m) => m.text), ['{"w":7}', '{"w":9}']);
    await until(async () => (await upstream(node))[0]?.messages === 4, 'the module\'s messages wait');
});

test('a reload changes routes, all or none', async (t) => {
    const node = await routed(t, { routes: { a: 'FROM topic("in") INTO topic("a")', b: 'FROM topic("in") INTO topic("b")' } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync(['a', 'b', 'c'], { qos: 1 });
    await client.publishAsync('in', '1', { qos: 1 });
    await client.take(2);
    const wrong = await node.reload({ routes: { a: 'FROM topic("in") INTO topic("c")', b: 'FROM job("nobody") INTO topic("b")' } });
    assert.equal(wrong.code, 1);
    assert.match(wrong.err.join('\n'), /FG4101 .*fieldgate\.yaml:\d+:\d+ route b.*: FROM names module 'nobody', there is none/);
    await client.publishAsync('in', '2', { qos: 1 });
    await client.take(4);
    const right = await node.reload({ routes: { a: 'FROM topic("in") WHERE NOT is_defined($body.x) INTO topic("c")' } });
    assert.equal(right.code, 0, right.err.join('\n'));
    await placed(node, 1);
    await client.publishAsync('in', '3', { qos: 1 });
    await client.publishAsync('in', '{"x":1}', { qos: 1 });
    await client.publishAsync('in', '4', { qos: 1 });
    const got = (await client.take(6)).map((m) => `${m.topic}:${m.text}`);
    assert.deepEqual(got.slice(0, 4).sort(), ['a:1', 'a:2', 'b:1', 'b:2']);
    assert.deepEqual(got.slice(4), ['c:3', 'c:4']);
});

test('a wrong route stops the start, with its place', async (t) => {
    const dir = folder(t, { 'subscriber.sql': 'SELECT v INTO out FROM [x/y]' });
    const head = `data: ${dir}/data\nlisteners: [{ type: mqtt, at: ["127.0.0.1:0"] }]\njobs: ${dir}/*.sql\nroutes:\n`;
    const refused = async (line, expected) => {
        const end = await startRefused({ text: `${head}  toHub: ${line}\n` });
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), expected);
    };
    await refused('FROM /messages/modules/subcriber/outputs/* INTO $upstream',
        /FG4101 \S*fieldgate\.yaml:5:33 route toHub: FROM names module 'subcriber', there is none\. Did you mean 'subscriber'\?/);
    await refused('{ route: "FROM topic(\'a\') WHERE t > 5 INTO $upstream", priority: 3 }', /FG4104 \S*:5:\d+ route toHub.* WHERE: > compares a text with a number/);
    await refused('FROM topic("a/#") INTO topic("a/b")', /FG4107 .* its messages would run in a circle: toHub -> toHub/);
    await refused('FROM /twinChangeNotifications INTO $upstream', /FG4103 /);
});

const check = (file, ...args) => run(FIELDGATE, ['config', 'check', file, ...args]);

test('config check finds what would stop the start, and says the same: routes, jobs, actions', async (t) => {
    const dir = folder(t, { 'bad.sql': 'SELECT v\nINTO o FRM [x/y]', 'own.sql': '--@ lat: 1s\nSELECT v INTO o FROM [x/y]' });
    const file = join(dir, 'the settings.yaml');
    const settings = (text) => writeFileSync(file, `data: ${dir}/data\nlisteners: [{ type: mqtt, at: ["127.0.0.1:0"] }]\n${text}\n`);
    const place = (name, line) => new RegExp(`^${join(dir, name)}:${line}:[0-9]+$`);
    for (const [text, code, where, said] of [
        ['routes: { a: FROM topic("x/+") INTO topic("x/y") }', 'FG4107', place('the settings.yaml', 3), /^route a: .*circle/],
        ['routes: { a: FROM job("none/o") INTO $upstream }', 'FG4101', place('the settings.yaml', 3), /^route a: FROM names module 'none'/],
        [`jobs: { j: ${dir}/none.sql }`, 'FG6117', place('the settings.yaml', 3), /none\.sql: No such file/],
        [`jobs: ${dir}/none/*.sql`, 'FG6117', /the settings\.yaml$/, /none\/\*\.sql cannot be read: No such file/],
        [`jobs: ${dir}/bad.sql`, 'FG6101', place('bad.sql', 2), /^expected FROM, found FRM/],
        [`jobs: ${dir}/own.sql`, 'FG1012', place('own.sql', 1), /^unknown key 'lat'/],
        ['actions: { a: { on: none.o, do: { publish: { topic: x } } } }', 'FG6301', place('the settings.yaml', 3), /^action a: on names job 'none'/],
        ['actions: { a: { on: "x:1:2 ", do: { publish: { topic: x } } } }', 'FG6301', place('the settings.yaml', 3), /^action a: on must be .*'x:1:2 '/],
    ]) {
        settings(text);
        const got = await check(file, '-o', 'json');
        assert.deepEqual([got.code, got.err], [1, []]);
        const [found, ...more] = JSON.parse(got.out.join('')).findings;
        assert.deepEqual([more.length, found.level, found.code], [0, 'error', code]);
        assert.match(found.where, where);
        assert.match(found.text, said);
        const [, line = 0, column = 0] = /:(\d+):(\d+)$/.exec(found.where) ?? [];
        assert.deepEqual([found.line, found.column], [Number(line), Number(column)]);
        const shown = await check(file);
        assert.deepEqual(shown.out, [`${code} ${found.where}: ${found.text}`, `${file}: 1 error, nothing would start or change`]);
        const start = await run(FIELDGATE, ['run', '--config', file], { timeoutMs: 20_000 });
        assert.notEqual(start.code, 0);
        assert.ok(start.err.some((one) => one.includes(`${code} `) && one.includes(found.text)), start.err.join('\n'));
        rmSync(join(dir, 'data'), { recursive: true }); // the start's
    }
    settings('routes: { a: FROM topic("x/+") INTO topic("y") }');
    assert.equal((await check(file)).code, 0);
});

test('config check finds everything that is wrong, each at its place, and not what only follows from it', async (t) => {
    const dir = folder(t, { 'bad.sql': 'SELECT v\nINTO o FRM [x/y]', 'good.sql': 'SELECT v INTO o FROM [x/y]', 'ring.sql': 'SELECT v INTO [r/2] FROM [r/1]', 'back.sql': 'SELECT v INTO [r/1] FROM [r/2]' });
    writeFileSync(join(dir, 'f.yaml'), `data: data
jobs:
  bad: bad.sql
  none: none.sql
  good: good.sql
  ring: ring.sql
  back: back.sql
routes:
  follows: FROM job("bad/x") INTO job("none/y")
  missing: FROM job("nix/x") INTO topic("z")
  output: FROM job("good/x") INTO topic("z")
  circle: FROM topic("q/+") INTO topic("q/y")
  there: FROM topic("v/+") INTO topic("w/y")
  back: FROM topic("w/+") INTO topic("v/y")
  fine: FROM job("good/o") INTO topic("z")
actions:
  follows: { on: bad.x, do: { publish: { topic: x } } }
  missing: { on: nix.x, do: { publish: { topic: x } } }
  idle: { on: good.o, do: {} }
`);
    const got = await run(FIELDGATE, ['config', 'check', 'f.yaml', '-o', 'json'], { cwd: dir });
    assert.equal(got.code, 1);
    const found = JSON.parse(got.out.join('')).findings.map((f) => [f.code, f.where, f.line, f.text.replace(/^(route |action |job )?(\w+).*/, '$1$2')]);
    assert.deepEqual(found, [
        ['FG6101', 'bad.sql:2:8', 2, 'expected'],
        ['FG6117', 'f.yaml:4:3', 4, 'job none'],
        ['FG6139', 'f.yaml', 0, 'jobs'],
        ['FG6301', 'f.yaml:18:3', 18, 'action missing'],
        ['FG6301', 'f.yaml:19:3', 19, 'action idle'],
        ['FG4101', 'f.yaml:10:22', 10, 'route missing'],
        ['FG4101', 'f.yaml:11:26', 11, 'route output'],
        ['FG4107', 'f.yaml:12:41', 12, 'route circle'],
        ['FG4107', 'f.yaml:13:40', 13, 'route there'],
    ]);
    writeFileSync(join(dir, 'f.yaml'), 'data: data\nroutes:\n' + Array.from({ length: 30 }, (_, i) => `  r${i}: FROM topc("x") INTO events\n`).join(''));
    const many = await run(FIELDGATE, ['config', 'check', 'f.yaml'], { cwd: dir });
    assert.equal(many.out.length, 22);
    assert.deepEqual(many.out.slice(20), ['10 more are not listed', 'f.yaml: 30 errors, nothing would start or change']);
});

test('config check reads a query from where the start does, and leaves the disk as it is', async (t) => {
    const dir = folder(t, { 'hot.sql': 'SELECT v INTO o FROM [x/y]' });
    mkdirSync(join(dir, 'etc'));
    writeFileSync(join(dir, 'etc', 'f.yaml'), 'data: data\nlisteners: [{ type: mqtt, at: ["127.0.0.1:0"] }]\njobs: "*.sql"\n'
        + 'routes: { a: FROM job("hot/o") INTO topic("z") }\nactions: { a: { on: hot.o, do: { publish: { topic: y } } } }\n');
    const all = () => readdirSync(dir, { recursive: true }).sort();
    const before = all();
    const here = await run(FIELDGATE, ['config', 'check', 'etc/f.yaml'], { cwd: dir });
    assert.deepEqual([here.code, here.out, here.err], [0, ['etc/f.yaml: valid'], []]);
    const there = await run(FIELDGATE, ['config', 'check', 'f.yaml'], { cwd: join(dir, 'etc') });
    assert.equal(there.code, 1);
    assert.match(there.out.join('\n'), /^FG6301 f\.yaml:5:\d+: action a: on names job 'hot', there is none\nFG4101 f\.yaml:4:\d+: route a: FROM names module 'hot'/);
    assert.deepEqual(all(), before);
    const refused = await run(FIELDGATE, ['run', '--config', 'f.yaml'], { cwd: join(dir, 'etc'), timeoutMs: 20_000 });
    assert.match(refused.err.join('\n'), /FG6301 action a: on names job 'hot'|FG4101 /);
    const node = start(FIELDGATE, ['run', '--config', 'etc/f.yaml'], { cwd: dir });
    t.after(() => node.kill());
    await until(() => node.out.includes('ready'), 'the node is ready');
    assert.equal((await node.kill()).code, 0);
});

test('config check knows the jobs that job apply made, and says when it cannot', async (t) => {
    const dir = folder(t, { 'hot.sql': 'SELECT v INTO o FROM [x/y]' });
    const node = await startNode({ t });
    const first = { ...node.settings, routes: { a: 'FROM job("hot/o") INTO topic("z")' } };
    assert.equal((await node.reload(first)).code, 1);
    assert.match((await check(node.config)).out.join('\n'), /^FG4101 .*names module 'hot', there is none/);
    assert.equal((await cli(node, 'job apply', join(dir, 'hot.sql'))).code, 0);
    assert.equal((await check(node.config)).code, 0);
    assert.equal((await node.reload(first)).code, 0);
    await node.restart();
    assert.equal((await check(node.config)).code, 0);
    await node.stop();
    assert.equal((await check(node.config)).code, 0);
    assert.match((await check(node.config, '--data', join(dir, 'none'))).out.join('\n'), /^FG4101 /);

    const made = join(node.dataDir, 'jobs');
    chmodSync(made, 0);
    t.after(() => chmodSync(made, 0o700));
    const mere = process.getuid() === 0 ? ['setpriv', '--inh-caps=-all', '--bounding-set=-all', FIELDGATE] : [FIELDGATE];
    const [program, ...rest] = [...mere, 'config', 'check', node.config];
    const blind = await run(program, rest);
    assert.match(blind.out.join('\n'), /^FG6117 \S*\/jobs: the jobs that `job apply` made cannot be read \(Permission denied\)/);
    assert.match(blind.out.join('\n'), /\nFG4101 .*\n.*: valid, 2 warnings$/);
    assert.equal(blind.code, 4);
    writeFileSync(node.config, `data: ${node.dataDir}\nroutes: { a: FROM topic("x/+") INTO topic("x/y") }\n`);
    assert.match((await run(program, rest)).out.join('\n'), /^FG6117 .*\nFG4107 .*\n.*: 1 error, nothing would start or change$/);
});

test('route test says which routes take a message, and why the others do not', async (t) => {
    const dir = folder(t, { 'a.sql': 'SELECT v INTO x FROM [in]' });
    const config = join(dir, 'f.yaml');
    writeFileSync(config, `data: ${dir}/data\njobs: ${dir}/*.sql\nroutes:\n  all: FROM /messages/* INTO $upstream\n  hot: { route: FROM job("a") WHERE $body.t > 20 INTO $upstream, priority: 1 }\n`);
    const verb = (...args) => run(FIELDGATE, ['route', 'test', '--config', config, ...args], { timeoutMs: 20_000 });
    const said = async (...args) => {
        const end = await verb('-o', 'json', ...args);
        return [end.code, JSON.parse(end.out.join('')).routes.map((r) => `${r.route} ${r.goes}: ${r.why}`)];
    };
    assert.deepEqual(await said('--from', '/messages/modules/a/outputs/x', '-m', '{"t":21}'),
        [0, ['all no: route hot brings it there already', 'hot goes: its condition is true']]);
    assert.deepEqual(await said('--from', '/messages/modules/a/outputs/x', '-m', '{}'),
        [0, ['all goes: it takes all of them', 'hot no: its condition is undefined: $body.t = undefined']]);
    assert.deepEqual(await said('--from', 'b/c', '-m', '{}', '-p', 'k=v', 'FROM topic("b/#") WHERE k = \'w\' INTO events'),
        [4, ['1 no: its condition is false: k = "v"']]);
    const wrong = await verb('--from', 'x', 'FROM topc("x") INTO events');
    assert.equal(wrong.code, 1);
    assert.match(wrong.err.join('\n'), /FG4101 argument:1:6 route 1: FROM topc: there is no such thing\. Did you mean topic\?/);
    assert.equal((await verb('-m', '{}')).code, 2);
});

test('kill -9 in the middle: every message once, in order', async (t) => {
    const dir = folder(t, { 'sink.sql': 'SELECT n INTO [sunk/n] FROM rows' });
    const node = await routed(t, { jobs: join(dir, '*.sql'), hub: { topics: ['nothing'] }, routes: {
        topic: 'FROM topic("in") WHERE $body.n % 3 != 0 INTO topic("out")',
        job: 'FROM topic("in") INTO job("sink/rows")',
        events: 'FROM topic("in") INTO events',
        up: { route: 'FROM topic("in") INTO $upstream', priority: 4 },
        third: { route: 'FROM topic("in") WHERE $body.n % 3 = 0 INTO $upstream', priority: 2 },
    } });
    const total = 1500;
    const numbers = (topic) => mosquittoSub({ port: node.mqttPort, topics: [topic], id: `w-${topic.replace('/', '-')}`, args: ['-c', '-x', '3600'] });
    // The sessions exist from the beginning, and are read at the end.
    for (const topic of ['out', 'sunk/n']) await (await numbers(topic)).stop();
    for (let n = 0; n < total;) {
        const lines = Array.from({ length: 100 }, () => `{"n":${n++}}`);
        await mosquittoPub({ port: node.mqttPort, topic: 'in', lines, qos: 1 });
        if (n % 300 === 0 && n < total) await node.restart({ kill9: true });
    }
    for (const [topic, expected] of [['out', (n) => n % 3 !== 0], ['sunk/n', () => true]]) {
        const want = Array.from({ length: total }, (_, n) => n).filter(expected);
        const sub = await numbers(topic);
        const got = (await sub.take(want.length, 30_000)).map((m) => JSON.parse(m.text).n);
        await sub.stop();
        assert.deepEqual(got, want, topic);
    }
    await until(async () => JSON.stringify((await upstream(node)).map((u) => [u.priority, u.messages])) === JSON.stringify([[2, 500], [4, 1000]]), 'upstream has all');
    await until(async () => await stored(node) === total, 'the partitions have all');
});

test('a job that a route names cannot be removed, nor replaced by one without that output', async (t) => {
    const dir = folder(t, { 'found.sql': 'SELECT v INTO found FROM [x/in]', 'other.sql': 'SELECT v INTO other FROM [x/in]', 'more.sql': 'SELECT v + 1 AS v INTO found FROM [x/in]' });
    const node = await startNode({ t });
    const apply = (file) => cli(node, 'job apply', '--name', 'watch', join(dir, file));
    assert.equal((await apply('found.sql')).code, 0);
    assert.equal((await node.reload({ routes: { up: 'FROM job("watch/found") INTO topic("out")' } })).code, 0);
    await placed(node, 1);
    for (const end of [await cli(node, 'job rm', 'watch'), await apply('other.sql')]) {
        assert.equal(end.code, 1);
        assert.match(end.err.join('\n'), /FG4101 .* route up[^:]*: FROM names (module 'watch'|output 'found' of watch), there is none/);
    }
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('out', { qos: 1 });
    await client.publishAsync('x/in', '{"v":1}', { qos: 1 });
    await client.take(1);
    assert.equal((await apply('more.sql')).code, 0);
    await client.publishAsync('x/in', '{"v":1}', { qos: 1 });
    await node.restart();
    await placed(node, 1);
    assert.equal((await node.reload({ routes: {} })).code, 0);
    assert.equal((await cli(node, 'job rm', 'watch')).code, 0);
});
