// Actions in a running node: each kind, templates, guards, tries, what is said of them, reloads, crashes, a full disk.
// timeout: 240

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createRaw } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsRaw } from 'node:tls';
import { test } from './lib/bounded.mjs';
import { makeAuthority } from './lib/certs.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, startRefused } from './lib/node.mjs';
import { run } from './lib/process.mjs';
import { SmallDisk } from './lib/smalldisk.mjs';
import { sleep, until } from './lib/wait.mjs';

function folder(t) {
    const dir = mkdtempSync(join(tmpdir(), 'fieldgate-actions-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
}

/** A web server that answers what `answer(request, number)` says: a status, or nothing. */
async function webServer(t, answer = () => 200, tls) {
    const requests = [];
    const handle = (request, response) => {
        let body = '';
        request.setEncoding('utf8');
        request.on('data', (part) => (body += part));
        request.on('end', () => {
            requests.push({ method: request.method, url: request.url, headers: request.headers, body });
            const status = answer(requests.at(-1), requests.length);
            if (status) response.writeHead(status).end('said');
        });
    };
    const server = tls ? createTlsServer(tls, handle) : createServer(handle);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    return { requests, url: `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}` };
}

const status = async (node) => JSON.parse((await node.verb('status', '-o', 'json')).out.join('')).actions;
const figures = async (node, name) => (await status(node))?.find((one) => one.name === name);

/** Until the node has these actions, and no others. */
const declared = (node, ...names) =>
    until(async () => (await status(node)).map((one) => one.name).sort().join() === names.sort().join(), `the actions are ${names}`);

async function startWith(t, actions, more = {}) {
    const node = await startNode({ t, settings: { actions, ...more } });
    await declared(node, ...Object.keys(actions));
    return node;
}

const audit = (node) => readFileSync(join(node.dataDir, 'audit/actions.jsonl'), 'utf8').split('\n').filter((line) => line).map((line) => JSON.parse(line));

/** One that hears what is said of actions. */
async function listener(t, node, ...more) {
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync(['$actions/#', ...more], { qos: 1 });
    client.reports = async (n) => (await until(() => {
        const found = client.messages.filter((m) => m.topic.startsWith('$actions/'));
        return found.length >= n && found;
    }, `${n} reports of actions`)).map((m) => ({ topic: m.topic, ...JSON.parse(m.text) }));
    return client;
}

test('publish: fields of the event in topic and message', async (t) => {
    const node = await startWith(t, {
        stop: { on: 'alarms/+', do: { publish: { topic: 'factory/${deviceId}/command', message: '{"run": false, "why": "${why}", "at": ${t}}', qos: 2, retain: true } } },
    });
    const client = await listener(t, node, 'factory/#');
    await client.publishAsync('alarms/hot', JSON.stringify({ deviceId: 'press/1', why: 'it said "hot"', t: 81.5 }), { qos: 1 });
    await until(() => client.messages.length >= 2, 'the command and the report');
    const command = client.messages.find((m) => m.topic.startsWith('factory/'));
    assert.deepEqual([command.topic, JSON.parse(command.text)], ['factory/press_1/command', { run: false, why: 'it said "hot"', at: 81.5 }]);
    const [report] = await client.reports(1);
    assert.deepEqual([report.topic, report.number, report.action, report.result, report.tries, report.what],
        ['$actions/stop', 1, 'stop', 'good', 1, 'publish factory/press_1/command']);
    assert.deepEqual(JSON.parse(report.message), { deviceId: 'press/1', why: 'it said "hot"', t: 81.5 });
    assert.match(report.event, /^stop-[0-9]+-[0-9a-f]+$/);
    assert.ok(report['after-ms'] >= report['took-ms'] && report['after-ms'] < 10_000);
    const [line] = audit(node);
    const { topic, ...same } = report;
    assert.deepEqual(line, same);
    assert.equal(statSync(join(node.dataDir, 'audit/actions.jsonl')).mode & 0o777, 0o600);
    await until(() => /FG6310 action stop: publish factory\/press_1\/command: good, [0-9.]+ ms after the event/.test(node.log()), 'the log says so');
    const late = await mqttConnect({ t, node });
    await late.subscribeAsync('factory/#');
    assert.equal((await late.take(1))[0].retain, true);
    const { text } = await node.get('/metrics');
    assert.match(text, /^fieldgate_action_events_total\{action="stop",result="good"\} 1$/m);
    assert.match((await node.verb('status')).out.join('\n'), /actions +1 +1 good +0 failed +0 waiting/);
});

test('an action on what a job puts out', async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'watch.sql'), "SELECT deviceId, t INTO hot FROM [factory/+/t] WHERE t > 80; SELECT deviceId INTO [all/seen] FROM [factory/+/t]");
    const node = await startWith(t, {
        stop: { on: 'watch.hot', do: { publish: { topic: 'out/stop/${deviceId}' } } },
        seen: { on: 'all/+', do: { publish: { topic: 'out/seen/${deviceId}' } } },
    }, { jobs: join(dir, '*.sql') });
    const client = await listener(t, node, 'out/#');
    for (const t of [20, 90]) await client.publishAsync('factory/1/t', JSON.stringify({ deviceId: `p${t}`, t }), { qos: 1 });
    await until(() => client.messages.filter((m) => m.topic.startsWith('out/')).length >= 2, 'two messages');
    await client.reports(2);
    const out = client.messages.filter((m) => m.topic.startsWith('out/'));
    assert.ok(out.some((m) => m.topic === 'out/stop/p90' && JSON.parse(m.text).t === 90));
    assert.ok(!out.some((m) => m.topic === 'out/stop/p20'));
});

test('what an action is made for must exist', async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'watch.sql'), 'SELECT v INTO hot FROM [in]');
    const jobs = join(dir, '*.sql'), publish = { publish: { topic: 't' } };
    for (const [action, said] of [
        [{ on: 'watch.hto', do: publish }, /FG6301 action a: job watch has no output 'hto'\. Did you mean 'hot'\?/],
        [{ on: 'wath.hot', do: publish }, /FG6301 action a: on names job 'wath', there is none\. Did you mean 'watch'\?/],
        [{ on: 'in/#/x', do: publish }, /FG6301 action a: on 'in\/#\/x' is not a topic filter/],
        [{ on: 'in/#', do: {} }, /action a/],
        [{ on: 'in/#', do: publish, guard: { 'at-most': '1 in 5m' } }, /FG6301 action a: guard\.at-most must be a number/],
        [{ on: 'in/#', do: { webhook: { url: 'https://u:geheim@h/' } } }, /FG6301 action a: do\.webhook\.url must not hold a user and password/],
    ]) {
        const end = await startRefused({ settings: { jobs, actions: { a: action } } });
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), said);
        assert.doesNotMatch(end.err.join('\n'), /geheim/);
    }
});

test('only the node speaks of actions', async (t) => {
    const node = await startNode({ t });
    const forger = await mqttConnect({ t, node });
    await assert.rejects(forger.publishAsync('$actions/stop', '{}', { qos: 1 }), /[Nn]ot authorized/);
    await mqttRefused({ t, node, will: { topic: '$actions/stop', payload: 'x' } });
});

test('webhook: body, headers, key; secrets stay out of the log', async (t) => {
    const web = await webServer(t);
    const node = await startWith(t, {
        tell: {
            on: 'alarms/+',
            do: { webhook: { url: `${web.url}/geheim1/\${deviceId}?token=geheim2&m=\${deviceId}`, body: '{"text": "machine ${deviceId} is ${what}"}', headers: { Authorization: 'Bearer geheim3' } } },
        },
        plain: { on: 'alarms/+', do: { webhook: { url: web.url, body: 'it is ${what}', headers: { 'Content-Type': 'text/plain' } } } },
        whole: { on: 'alarms/+', do: { webhook: { url: web.url } } },
    });
    const client = await listener(t, node);
    await client.publishAsync('alarms/1', JSON.stringify({ deviceId: 'a b&token=x', what: '"hot"' }), { qos: 1 });
    const reports = await client.reports(3);
    assert.deepEqual(reports.map((r) => r.result), ['good', 'good', 'good']);
    const tell = web.requests.find((r) => r.headers.authorization);
    assert.deepEqual([tell.method, tell.url], ['POST', '/geheim1/a%20b%26token%3Dx?token=geheim2&m=a%20b%26token%3Dx']);
    assert.deepEqual(JSON.parse(tell.body), { text: 'machine a b&token=x is "hot"' });
    assert.equal(tell.headers['content-type'], 'application/json');
    assert.equal(tell.headers['idempotency-key'], reports.find((r) => r.action === 'tell').event);
    assert.ok(web.requests.some((r) => r.headers['content-type'] === 'text/plain' && r.body === 'it is "hot"'));
    assert.ok(web.requests.some((r) => r.body === JSON.stringify({ deviceId: 'a b&token=x', what: '"hot"' })));
    const shown = await node.verb('config show', '-o', 'json').catch(() => undefined);
    const show = await run(FIELDGATE, ['config', 'show', '--config', node.config], { timeoutMs: 20_000 });
    const reload = await node.reload({ actions: { ...node.settings.actions, tell: { ...node.settings.actions.tell, do: { webhook: { url: `${web.url}/geheim4` } } } } });
    await until(() => node.log().split('FG6302 action tell').length > 2, 'it has changed');
    const everything = [node.log(), JSON.stringify(audit(node)), JSON.stringify(reports), show.out.join('\n'), reload.out.join('\n'), JSON.stringify(shown?.out)].join('\n');
    assert.doesNotMatch(everything, /geheim/);
    assert.match(show.out.join('\n'), /actions\.tell\.do\.webhook\.url\s+\(hidden\)/);
    assert.match(reload.out.join('\n'), /actions\.tell\.do\.webhook\.url/);
});

test('webhook: another try after 503, none after 404, an end to waiting', async (t) => {
    let answer = (_, n) => (n === 1 ? 503 : 200);
    const web = await webServer(t, (...args) => answer(...args));
    const node = await startWith(t, { tell: { on: 'in/1', do: { webhook: { url: web.url } }, retry: 1, timeout: '1s' } });
    const client = await listener(t, node);
    const say = (text) => client.publishAsync('in/1', text, { qos: 1 });
    await say('{"n":1}');
    let reports = await client.reports(1);
    assert.deepEqual([reports[0].result, reports[0].tries, reports[0].said], ['good', 2, 'status 200']);
    assert.equal(web.requests[0].headers['idempotency-key'], web.requests[1].headers['idempotency-key']);
    assert.match(node.log(), /FG6313 action tell: try 1 of 2 failed: status 503/);
    answer = () => 404;
    await say('{"n":2}');
    reports = await client.reports(2);
    assert.deepEqual([reports[1].result, reports[1].tries, reports[1].said], ['failed', 1, 'status 404']);
    answer = () => 0;
    await say('{"n":3}');
    reports = await client.reports(3);
    assert.deepEqual([reports[2].result, reports[2].tries, reports[2].said], ['failed', 2, 'no answer in time']);
    answer = () => 200;
    await say('{"n":4}'); // one after the other, in their order
    reports = await client.reports(4);
    assert.deepEqual(web.requests.map((r) => JSON.parse(r.body).n), [1, 1, 2, 3, 3, 4]);
    assert.deepEqual(reports.map((r) => r.number), [1, 2, 3, 4]);
});

test('webhook: certificates are verified', async (t) => {
    const root = await makeAuthority();
    const own = await root.issue({ name: 'web', names: 'IP:127.0.0.1' });
    const other = await root.issue({ name: 'elsewhere', names: 'DNS:elsewhere.example' });
    const files = (c) => ({ cert: readFileSync(c.chain), key: readFileSync(c.key) });
    const good = await webServer(t, () => 200, files(own));
    const bad = await webServer(t, () => 200, files(other));
    const node = await startWith(t, {
        unknown: { on: 'in/1', do: { webhook: { url: good.url } }, retry: 0 },
        known: { on: 'in/1', do: { webhook: { url: good.url, ca: root.pem } }, retry: 0 },
        misnamed: { on: 'in/1', do: { webhook: { url: bad.url, ca: root.pem } }, retry: 0 },
    });
    const client = await listener(t, node);
    await client.publishAsync('in/1', '{}', { qos: 1 });
    const reports = Object.fromEntries((await client.reports(3)).map((r) => [r.action, r]));
    assert.equal(reports.known.result, 'good');
    assert.match(`${reports.unknown.result} ${reports.unknown.said}`, /^failed FG2106 .*issuer that we do not trust.*do\.webhook\.ca/);
    assert.match(`${reports.misnamed.result} ${reports.misnamed.said}`, /^failed FG2103 .*another name/);
    assert.equal(good.requests.length, 1);
    assert.equal(bad.requests.length, 0);
});

/** A server that speaks as `say(socket)` does; over TLS when there are certificates. Gives its port. */
async function rawServer(t, say, tls) {
    const sockets = new Set();
    const handle = (socket) => {
        sockets.add(socket);
        socket.on('error', () => {}).on('close', () => sockets.delete(socket));
        socket.resume();
        say(socket);
    };
    const server = tls ? createTlsRaw(tls, handle) : createRaw(handle);
    server.on('tlsClientError', () => {});
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
    });
    return server.address().port;
}

/** Writes something again and again until the other side has gone. */
const dripping = (text, ms) => (socket) => {
    const timer = setInterval(() => socket.write(text), ms);
    socket.on('close', () => clearInterval(timer));
};

test('webhook: a server that is slow, endless, silent or something else holds nobody up, and is told apart', async (t) => {
    const root = await makeAuthority();
    const own = await root.issue({ name: 'web', names: 'IP:127.0.0.1' });
    const old = await root.issue({ file: 'old', name: 'web', names: 'IP:127.0.0.1', days: -1 });
    const files = (c) => ({ cert: readFileSync(c.chain), key: readFileSync(c.key) });
    const endless = (socket) => {
        const more = () => { while (!socket.destroyed && socket.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`)); };
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        socket.on('drain', more);
        more();
    };
    const servers = {
        silent: [() => {}, undefined, 'http', /^failed no answer in time$/],
        mute: [() => {}, undefined, 'https', /^failed no answer in time$/], // never answers the ClientHello
        drip: [dripping('H', 50), undefined, 'http', /^failed /],
        heads: [(socket) => { socket.write('HTTP/1.1 200 OK\r\n'); dripping('A: b\r\n', 20)(socket); }, undefined, 'http', /^failed no answer in time$/],
        wide: [(socket) => socket.write(`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(200_000)}`), undefined, 'http', /^failed .*does not answer in HTTP/],
        interim: [dripping('HTTP/1.1 100 Continue\r\n\r\n', 20), undefined, 'http', /^failed no answer in time$/],
        body: [endless, undefined, 'http', /^good status 200$/],
        ssh: [(socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'), undefined, 'http', /^failed .*does not answer in HTTP/],
        plain: [(socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), undefined, 'https', /^failed FG2102 .*does not speak TLS/],
        cut: [(socket) => socket.destroy(), undefined, 'https', /^failed /],
        moved: [(socket) => socket.end('HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n'), files(own), 'https', /^failed status 302 \(redirects are not followed\)$/],
        old: [(socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), files(old), 'https', /^failed FG2106 .*its certificate has ended/],
        good: [(socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), files(own), 'https', /^good status 200$/],
    };
    const actions = {};
    for (const [name, [say, tls, scheme]] of Object.entries(servers)) {
        const url = `${scheme}://127.0.0.1:${await rawServer(t, say, tls)}/`;
        actions[name] = { on: 'in/1', do: { webhook: { url, ...(scheme === 'https' ? { ca: root.pem } : {}) } }, retry: 0, timeout: '2s' };
    }
    const node = await startWith(t, actions);
    const client = await listener(t, node);
    const from = Date.now();
    await client.publishAsync('in/1', '{}', { qos: 1 });
    const reports = Object.fromEntries((await client.reports(Object.keys(servers).length)).map((r) => [r.action, r]));
    assert.ok(Date.now() - from < 9000, `all have an end within ${Date.now() - from} ms`);
    for (const [name, [, , , said]] of Object.entries(servers)) assert.match(`${reports[name].result} ${reports[name].said}`, said, name);
});

test('program: arguments, standard input, environment, its words, its time', async (t) => {
    const dir = folder(t), file = join(dir, 'got');
    const script = 'printf "%s\\n" "$FIELDGATE_ACTION" "$FIELDGATE_EVENT" "$2" > "$1"; cat >> "$1"; echo done with $2';
    const node = await startWith(t, {
        run: { on: 'in/1', do: { program: ['/bin/sh', '-c', script, 'sh', file, '${what}; touch evil'] } },
        fails: { on: 'in/1', do: { program: ['sh', '-c', 'echo no such machine >&2; exit 7'] }, retry: 0 },
        slow: { on: 'in/1', do: { program: ['sh', '-c', 'sleep 100 & sleep 100'] }, retry: 0, timeout: '1s' },
    });
    const client = await listener(t, node);
    await client.publishAsync('in/1', '{"what":"$(id)\\nx"}', { qos: 1 });
    const reports = Object.fromEntries((await client.reports(3)).map((r) => [r.action, r]));
    assert.deepEqual([reports.run.result, reports.run.said], ['good', 'status 0: done with $(id) x; touch evil']);
    assert.deepEqual(readFileSync(file, 'utf8').split('\n'), ['run', reports.run.event, '$(id)', 'x; touch evil', '{"what":"$(id)\\nx"}']);
    assert.deepEqual([reports.fails.result, reports.fails.said], ['failed', 'status 7: no such machine']);
    assert.deepEqual([reports.slow.result, reports.slow.said], ['failed', 'killed: not done in time']);
    const left = await run('pgrep', ['-P', String(node.pid)], {});
    assert.deepEqual(left.out, []); // nor a dead one
});

test('guard: at-least, at-most, dry-run', async (t) => {
    const node = await startWith(t, {
        second: { on: 'in/1', do: { publish: { topic: 'out/second' } }, guard: { 'at-least': '2 in 10m' } },
        once: { on: 'in/1', do: { publish: { topic: 'out/once' } }, guard: { 'at-most': '1 per 10m' } },
        dry: { on: 'in/1', do: { publish: { topic: 'out/dry' } }, guard: { 'dry-run': true } },
    });
    const client = await listener(t, node, 'out/#');
    for (let i = 0; i < 3; i++) await client.publishAsync('in/1', `{"n":${i}}`, { qos: 1 });
    await until(async () => (await status(node)).every((one) => one.waiting === 0 && one.good + one['held-back'] + one['dry-run'] === 3), 'all are done');
    const now = async () => Object.fromEntries((await status(node)).map((one) => [one.name, [one.good, one['held-back'], one['dry-run'], one.failed]]));
    assert.deepEqual(await now(), { dry: [0, 0, 3, 0], once: [1, 2, 0, 0], second: [2, 1, 0, 0] });
    assert.deepEqual(client.messages.filter((m) => m.topic.startsWith('out/')).map((m) => m.topic).sort(), ['out/once', 'out/second', 'out/second']);
    await sleep(300); // what it remembers is on disk
    await node.restart({ kill9: true });
    await declared(node, 'second', 'once', 'dry');
    const again = await mqttConnect({ t, node });
    await again.publishAsync('in/1', '{"n":3}', { qos: 1 });
    await until(async () => (await status(node)).every((one) => one.waiting === 0 && one.good + one['held-back'] + one['dry-run'] >= 1), 'all are done');
    assert.deepEqual(await now(), { dry: [0, 0, 1, 0], once: [0, 1, 0, 0], second: [1, 0, 0, 0] });
});

test('kill -9 at any moment: a publish once, a webhook again with the same key, nothing lost', async (t) => {
    const seen = new Map(); // key -> bodies
    const web = await webServer(t, ({ headers, body }) => {
        const key = headers['idempotency-key'];
        seen.set(key, [...(seen.get(key) ?? []), body]);
        return 200;
    });
    const actions = {
        copy: { on: 'in/1', do: { publish: { topic: 'out', message: '${n}' } } },
        post: { on: 'in/1', do: { webhook: { url: web.url, body: '${n}' } }, retry: 20 },
    };
    const node = await startWith(t, actions);
    const keeper = { clientId: 'keeper', clean: false, properties: { sessionExpiryInterval: 600 } };
    const early = await mqttConnect({ t, node, ...keeper });
    await early.subscribeAsync('out', { qos: 1 });
    await early.endAsync(); // away until the end: so nothing is sent to it twice
    const acknowledged = [];
    let n = 0;
    for (let round = 0; round < 6; round++) {
        const client = await mqttConnect({ t, node });
        const sending = (async () => {
            for (let i = 0; i < 60; i++) {
                const mine = n++;
                await client.publishAsync('in/1', `{"n":${mine}}`, { qos: 1 });
                acknowledged.push(mine);
            }
        })().catch(() => {});
        await sleep(40 + 35 * round);
        await node.kill9();
        await Promise.race([sending, client.gone()]);
        await node.start();
        await declared(node, 'copy', 'post');
    }
    await until(async () => (await status(node)).every((one) => one.waiting === 0), 'all are done', 60_000);
    const watch = await mqttConnect({ t, node, ...keeper });
    const published = () => watch.messages.map((m) => Number(m.text));
    await until(() => acknowledged.every((one) => published().includes(one)), 'every acknowledged event was published');
    await sleep(300);
    assert.ok(acknowledged.length > 20);
    const counts = new Map();
    for (const one of published()) counts.set(one, (counts.get(one) ?? 0) + 1);
    assert.deepEqual([...counts].filter(([, times]) => times > 1), [], 'each once');
    const posted = [...seen.values()].map((bodies) => new Set(bodies));
    assert.ok(posted.every((bodies) => bodies.size === 1), 'a key means one event');
    const events = [...seen.values()].map((bodies) => Number(bodies[0]));
    assert.equal(new Set(events).size, events.length, 'an event has one key');
    assert.ok(acknowledged.every((one) => events.includes(one)), 'every acknowledged event was posted');
    const numbers = audit(node).map((line) => line.number);
    assert.deepEqual(numbers, numbers.map((_, i) => i + 1), 'the audit is numbered without a gap');
});

test('a reload begins, changes and ends actions; what waits for a changed one stays', async (t) => {
    const web = await webServer(t, () => 0); // never answers
    const post = (url) => ({ on: 'in/1', do: { webhook: { url } }, retry: 0, timeout: '1h' });
    const copy = { on: 'in/1', do: { publish: { topic: 'out/kept' } }, guard: { 'at-most': '1 per 10m' } };
    const node = await startWith(t, { kept: copy, changed: post(web.url), ended: post(web.url) });
    const client = await listener(t, node, 'out/#');
    await client.publishAsync('in/1', '{"n":1}', { qos: 1 });
    await until(() => web.requests.length === 2, 'both are under way');
    const changed = { on: 'in/1', do: { publish: { topic: 'out/changed' } } };
    assert.equal((await node.reload({ actions: { kept: copy, changed, fresh: { on: 'in/1', do: { publish: { topic: 'out/fresh' } } } } })).code, 0);
    await declared(node, 'kept', 'changed', 'fresh');
    await until(async () => (await figures(node, 'changed')).good === 1, 'what waited is done the new way');
    assert.match(node.log(), /FG6304 action ended has ended; what waited for it is gone/);
    await client.publishAsync('in/1', '{"n":2}', { qos: 1 });
    await until(async () => (await figures(node, 'fresh')).good === 1 && (await figures(node, 'changed')).good === 2, 'all are done');
    assert.equal((await figures(node, 'kept')).good, 1); // it was not touched: its guard holds
    assert.equal((await figures(node, 'kept'))['held-back'], 1);
    const wrong = await node.reload({ actions: { kept: { ...copy, on: 'nojob.out' } } });
    assert.equal(wrong.code, 1);
    assert.match(wrong.err.join('\n'), /FG6301 action kept: on names job 'nojob'/);
    await declared(node, 'kept', 'changed', 'fresh');
    // Declared again it is another one: what had waited does not come back.
    assert.equal((await node.reload({ actions: { ended: { on: 'in/1', do: { publish: { topic: 'out/ended' } } } } })).code, 0);
    await declared(node, 'ended');
    assert.equal((await figures(node, 'ended')).good, 0);
    await client.publishAsync('in/1', '{"n":3}', { qos: 1 });
    await until(async () => (await figures(node, 'ended')).good === 1, 'it works');
});

test('what is no longer declared at a start is gone', async (t) => {
    const action = { on: 'in/1', do: { publish: { topic: 'out' } } };
    const node = await startWith(t, { one: action });
    await node.restart({ settings: { actions: {} } });
    await until(() => /FG6304 action one has ended/.test(node.log()), 'it has ended');
    const client = await mqttConnect({ t, node });
    await client.publishAsync('in/1', 'x', { qos: 1 });
    await node.restart({ settings: { actions: { one: action } } });
    await declared(node, 'one');
    assert.deepEqual([(await figures(node, 'one')).waiting, (await figures(node, 'one')).good], [0, 0]);
});

test('a full disk: what was accepted is done, when there is room again at the latest', async (t) => {
    const disk = await SmallDisk.make({ t, size: '24m' });
    const node = await startNode({
        t, dataDir: `${disk.folder}/data`, wrap: disk.enter,
        settings: { journal: { 'segment-bytes': '512KiB', 'disk-reserve': '2MiB' }, limits: { 'packet-bytes': '64KiB' }, actions: { copy: { on: 'in/1', do: { publish: { topic: 'out', message: '${n}', retain: false } }, retry: 0 } } },
    });
    const cli = async (...args) => (await disk.run(FIELDGATE, [...args, '--data', node.dataDir])).out.join('');
    const now = async () => JSON.parse(await cli('status', '-o', 'json')).actions[0];
    await until(async () => (await now())?.name === 'copy', 'the action is there');
    const watch = await mqttConnect({ t, node, clientId: 'w', clean: false, properties: { sessionExpiryInterval: 600 } });
    await watch.subscribeAsync('out', { qos: 1 });
    const hoard = await mqttConnect({ t, node, clientId: 'hoard', clean: false, properties: { sessionExpiryInterval: 600 } });
    await hoard.subscribeAsync('in/#', { qos: 1 });
    await hoard.endAsync(); // what waits for it takes the room
    const client = await mqttConnect({ t, node });
    await disk.ballast(15);
    let n = 0, refused = 0;
    for (; n < 3000 && !refused; n++)
        await client.publishAsync('in/1', JSON.stringify({ n, fill: 'x'.repeat(8000) }), { qos: 1 }).catch(() => refused++);
    assert.ok(refused, 'the disk is full');
    const accepted = n - 1;
    await disk.dropBallast();
    await until(async () => (await now()).waiting === 0, 'all are done', 30_000);
    const done = await now();
    assert.equal(done.failed, 0);
    await watch.take(accepted, 30_000);
    assert.deepEqual([...new Set(watch.messages.map((m) => Number(m.text)))].slice(0, accepted), [...Array(accepted).keys()]);
});

test('what waits for an action when the node starts keeps nobody from coming in', async (t) => {
    const slow = { on: 'x/#', do: { program: ['/bin/sleep', '5'] } };
    const node = await startNode({ t, settings: { actions: { first: slow, second: slow } } });
    const client = await mqttConnect({ t, node });
    for (let i = 0; i < 5; i++) await client.publishAsync('x/1', `{"v":${i}}`, { qos: 1 });
    // Both actions publish now, and both have something to publish as soon as they begin.
    const publishes = (name) => ({ on: 'x/#', do: { publish: { topic: `y/${name}` } } });
    await node.restart({ kill9: true, settings: { actions: { first: publishes('first'), second: publishes('second') } } });
    const watch = await mqttConnect({ t, port: node.mqttPort });
    await watch.subscribeAsync('y/#', { qos: 1 });
    await watch.publishAsync('x/1', '{"v":5}', { qos: 1 });
    await until(() => ['first', 'second'].every((name) => watch.messages.some((m) => m.topic === `y/${name}` && JSON.parse(m.text).v === 5)), 'both have published the last one');
    assert.equal((await node.verb('status')).code, 0);
});
