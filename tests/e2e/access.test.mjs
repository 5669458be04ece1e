// Who may, with the clients that people have: users and passwords, certificates, SCRAM-SHA-256, access rules, and changes of all
// that while the node runs. And: no secret that is used here ever stands in a log.

import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority } from './lib/certs.mjs';
import { mosquittoPub, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, startRefused, tempFolder } from './lib/node.mjs';
import { AUTH, CONNACK, DISCONNECT, auth, connect } from './lib/packets.mjs';
import { run } from './lib/process.mjs';
import { rawOpen } from './lib/raw.mjs';
import { sleep, until } from './lib/wait.mjs';

// ---- secrets: each one is made up here, and looked for in every log at the end ----

const secrets = new Set(), logs = [];
function secret(name) {
    const text = `${name}-${randomBytes(6).toString('hex')}`;
    secrets.add(text);
    return text;
}
after(() => {
    const all = logs.map((log) => log()).join('\n');
    assert.ok(all.includes('fieldgate'), 'there are logs to look at');
    for (const one of secrets) {
        assert.ok(!all.includes(one), `the secret ${one} stands in a log`);
        assert.ok(!all.includes(Buffer.from(one).toString('base64').slice(0, -4)), 'nor in base64');
    }
});

async function user(dataDir, action, ...args) {
    const end = await run(FIELDGATE, ['user', action, ...args, '--data', dataDir], { timeoutMs: 20_000 });
    logs.push(() => [...end.out, ...end.err].join('\n'));
    return end;
}

async function addUser(dataDir, name, password, ...args) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const file = join(tempFolder(), 'password');
    writeFileSync(file, `${password}\n`);
    const end = await user(dataDir, 'add', name, '--password', `@${file}`, ...args);
    assert.equal(end.code, 0, end.err.join('\n'));
}

async function node(t, { users = {}, rules, listener = {}, settings = {}, keep } = {}) {
    const dataDir = join(tempFolder(), 'data');
    for (const [name, [password, ...args]] of Object.entries(users)) await addUser(dataDir, name, password, ...args);
    const file = rules && join(tempFolder(), 'rules.yaml');
    if (file) writeFileSync(file, rules);
    const it = await startNode({
        t: keep ? undefined : t, dataDir,
        settings: { listeners: [{ type: 'mqtt', at: ['127.0.0.1:0'], auth: ['users'], ...listener }, { type: 'http', at: ['127.0.0.1:0'] }],
            ...(file ? { rules: file } : {}), ...settings },
    });
    logs.push(() => it.log());
    it.rulesFile = file;
    return it;
}

const reloaded = async (it, change) => {
    const before = it.log().split('users and rules were read again').length;
    await change();
    await until(() => it.log().split('users and rules were read again').length > before, 'the node has taken the change', 8000);
};

// ---- passwords ----

test('mosquitto_pub -u -P, both versions', async (t) => {
    const [right, wrong] = [secret('right'), secret('wrong')];
    const it = await node(t, { users: { alice: [right] } });
    for (const version of [4, 5]) {
        const sub = await mosquittoSub({ port: it.mqttPort, version, topics: 'a/#', args: ['-u', 'alice', '-P', right] });
        t.after(() => sub.stop());
        await mosquittoPub({ port: it.mqttPort, version, topic: 'a/1', message: 'x', args: ['-u', 'alice', '-P', right] });
        assert.equal((await sub.take(1))[0].text, 'x');
        for (const args of [['-u', 'alice', '-P', wrong], ['-u', 'mallory', '-P', right], ['-u', 'alice'], []]) {
            const end = await mosquittoPub({ port: it.mqttPort, version, topic: 'a/1', message: 'bad', mayFail: true, args });
            assert.notEqual(end.code, 0);
        }
    }
    const metrics = (await it.get('/metrics')).text;
    assert.match(metrics, /fieldgate_auth_refused_total\{reason="wrong"\} 6/);
});

test('MQTT.js with a name and password, and refused without', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right] } });
    for (const protocolVersion of [4, 5]) {
        const client = await mqttConnect({ t, node: it, protocolVersion, username: 'alice', password: right });
        await client.subscribeAsync('t');
        await client.publishAsync('t', 'hello', { qos: 1 });
        assert.equal((await client.take(1))[0].text, 'hello');
        const wrong = await mqttRefused({ node: it, protocolVersion, username: 'alice', password: secret('wrong') });
        assert.equal(wrong.code, protocolVersion === 5 ? 0x86 : 4);
    }
});

test('Paho for Python with a name and password', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right] } });
    const script = `
import sys, paho.mqtt.client as mqtt
c = mqtt.Client(client_id="paho") if not hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, client_id="paho")
c.username_pw_set("alice", sys.argv[2])
def on_connect(c, u, f, rc):
    print(rc, flush=True)
    c.disconnect()
c.on_connect = on_connect
c.connect("127.0.0.1", int(sys.argv[1]))
c.loop_forever()
`;
    for (const [password, code] of [[right, '0'], [secret('wrong'), '4']]) {
        const end = await run('/usr/bin/python3', ['-c', script, String(it.mqttPort), password], { timeoutMs: 20_000 });
        assert.equal(end.out[0], code, end.err.join('\n'));
    }
});

test('our own pub and sub sign in by SCRAM, and believe no broker that does not know the user', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right, '--scram'], plain: [right] } });
    const file = join(tempFolder(), 'pw'), wrong = join(tempFolder(), 'pw');
    writeFileSync(file, `${right}\n`);
    writeFileSync(wrong, `${secret('wrong')}\n`);
    const verb = async (name, port, user, password, ...args) => {
        const end = await run(FIELDGATE, [name, '-p', String(port), '-u', user, '-P', `@${password}`, '--auth-method', METHOD, '-t', 'a', ...args],
            { timeoutMs: 20_000 });
        logs.push(() => [...end.out, ...end.err].join('\n'));
        return end;
    };
    const sent = await verb('pub', it.mqttPort, 'alice', file, '-m', 'proven', '-r', '-q', '1');
    assert.equal(sent.code, 0, sent.err.join('\n'));
    const got = await verb('sub', it.mqttPort, 'alice', file, '-C', '1');
    assert.deepEqual([got.code, got.out], [0, ['proven']]);
    for (const [user, password] of [['alice', wrong], ['plain', file], ['mallory', file]]) {
        const end = await verb('pub', it.mqttPort, user, password, '-m', 'x');
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), /0x87/);
    }
    assert.equal((await verb('pub', it.mqttPort, 'alice', file, '-m', 'x', '-V', '311')).code, 2);
    // Says yes to everybody, without an exchange or with one that ends in nothing.
    const heard = [];
    const challenge = auth({ reason: 0x18, props: { authMethod: METHOD, authData: Buffer.from('r=x,s=AAAA,i=4096') } });
    for (const [says, said] of [[Buffer.from('2003000000', 'hex'), /did not prove that it knows the user/], [challenge, /no answer to SCRAM-SHA-256/]]) {
        const server = createServer((socket) => {
            socket.on('error', () => {});
            socket.on('data', (data) => (heard.push(data), socket.write(says)));
        }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        t.after(() => server.close());
        const end = await verb('pub', server.address().port, 'alice', file, '-m', 'given away');
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), said);
    }
    const all = Buffer.concat(heard).toString('latin1');
    assert.ok(all.includes('SCRAM-SHA-256') && !all.includes('given away') && !all.includes(right));
});

test('our own pub and sub sign in, the password from a file', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right] } });
    const file = join(tempFolder(), 'pw');
    writeFileSync(file, right);
    const at = ['-p', String(it.mqttPort), '-u', 'alice'];
    const good = await run(FIELDGATE, ['pub', ...at, '-P', `@${file}`, '-t', 'a', '-m', 'x', '-q', '1']);
    assert.equal(good.code, 0, good.err.join('\n'));
    const bad = await run(FIELDGATE, ['pub', ...at, '-P', '-', '-t', 'a', '-m', 'x', '-q', '1'], { input: 'wrong\n' });
    assert.notEqual(bad.code, 0);
    logs.push(() => [...good.err, ...bad.err].join('\n'));
});

test('our own pub says what a broker does about a message that no rule allows', async (t) => {
    const a = secret('a'), file = join(tempFolder(), 'pw');
    writeFileSync(file, a);
    const it = await node(t, { users: { alice: [a] }, rules: RULES, settings: { 'acl-deny': 'close' } });
    const pub = (topic, ...args) => run(FIELDGATE, ['pub', '-p', String(it.mqttPort), '-u', 'alice', '-P', `@${file}`, '-t', topic, '-m', 'x', ...args]);
    for (const args of [['-V', '311'], ['-V', '311', '--repeat', '3']]) {
        const closed = await pub('other', ...args);
        assert.equal(closed.code, 1);
        assert.match(closed.err.join('\n'), /^fieldgate pub: .*closed/);
    }
    const told = await pub('other', '-q', '1');
    assert.deepEqual([told.code, told.err], [1, ['fieldgate pub: message 1 was not accepted: reason 0x87 Not authorized']]);
    assert.equal((await pub('other')).code, 0); // 5.0 has no answer to QoS 0, and the connection stays
    for (const args of [['-V', '311'], ['-V', '5'], ['-V', '5', '--repeat', '5']]) {
        const good = await pub('plant/x', ...args);
        assert.deepEqual([good.code, good.err], [0, []]);
    }
    assert.match((await run(FIELDGATE, ['pub', '--help'])).out.join('\n'), /dropped in silence/);
});

// ---- the verb and the file ----

test('user add, list, rm: the file is ours alone, and a running node sees it by itself', async (t) => {
    const [first, second] = [secret('first'), secret('second')];
    const it = await node(t, { users: { alice: [first, '--role', 'admin'] } });
    const file = join(it.dataDir, 'users');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.ok(!readFileSync(file, 'utf8').includes(first));
    const client = await mqttConnect({ t, node: it, username: 'alice', password: first });
    await reloaded(it, () => addUser(it.dataDir, 'bob', second, '--scram'));
    await mqttConnect({ t, node: it, username: 'bob', password: second });
    assert.ok(client.connected);
    const list = await user(it.dataDir, 'list', '-o', 'json');
    assert.deepEqual(JSON.parse(list.out.join('')).users.map((u) => [u.name, u.roles, u.scram]),
        [['alice', 'admin', 'no'], ['bob', '', 'sha-256']]);
    await reloaded(it, () => user(it.dataDir, 'rm', 'alice'));
    await client.gone();
    assert.deepEqual(client.disconnects, [0x87]);
    await mqttRefused({ node: it, username: 'alice', password: first });
    // Who is still in the file has not noticed.
    await mqttConnect({ t, node: it, username: 'bob', password: second });
    assert.equal((await user(it.dataDir, 'rm', 'alice')).code, 1);
    for (const name of ['a/b', '+', '#', 'a:b', ''])
        assert.equal((await user(it.dataDir, 'add', name, '--no-password')).code, 2, name);
});

test('a damaged file stops the start and changes nothing later; an empty one lets nobody in', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right] } });
    const file = join(it.dataDir, 'users'), good = readFileSync(file, 'utf8');
    const client = await mqttConnect({ t, node: it, username: 'alice', password: right });
    writeFileSync(file, `${good}user:eve::scrypt:15,8,1:AAAA\n`);
    await until(() => /FG1020 .*users:3: .*What held before goes on to hold/.test(it.log()), 'the damage is told', 8000);
    await mqttConnect({ t, node: it, username: 'alice', password: right });
    const refused = await startRefused({ dataDir: tempFolder(), settings: { users: file } });
    assert.notEqual(refused.code, 0);
    assert.match(refused.err.join('\n'), /FG1020 .*users:3:/);
    await reloaded(it, () => writeFileSync(file, ''));
    await client.gone();
    await mqttRefused({ node: it, username: 'alice', password: right });
    await mqttRefused({ node: it });
    const missing = await startRefused({ dataDir: tempFolder(), settings: { users: join(tempFolder(), 'none') } });
    assert.match(missing.err.join('\n'), /FG1020/);
});

test('who may connect is said by the listener, and outside of this machine nobody is anonymous by default', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right] }, listener: { auth: ['users', 'anonymous'] } });
    await mqttConnect({ t, node: it });
    await mqttConnect({ t, node: it, username: 'alice', password: right });
    await mqttRefused({ node: it, username: 'alice', password: secret('wrong') });
    const text = 'listeners:\n  - { type: mqtt, at: ["0.0.0.0:0"] }\n';
    const refused = await startRefused({ text });
    assert.match(refused.err.join('\n'), /FG1014 .*other machines reach, without encryption/);
});

// ---- rules ----

const RULES = `version: 1
rules:
  - { user: alice, publish: ["plant/#"], subscribe: ["plant/%u/#"] }
  - { user: bob, subscribe: ["plant/#"] }
`;

test('rules: what is not allowed is refused, by MQTT.js and mosquitto', async (t) => {
    const [a, b] = [secret('a'), secret('b')];
    const it = await node(t, { users: { alice: [a], bob: [b] }, rules: RULES });
    const bob = await mqttConnect({ t, node: it, clientId: 'bob', username: 'bob', password: b });
    const alice = await mqttConnect({ t, node: it, clientId: 'alice', username: 'alice', password: a });
    await bob.subscribeAsync('plant/#', { qos: 1 });
    await assert.rejects(bob.subscribeAsync('#', { qos: 1 }));
    await assert.rejects(alice.subscribeAsync('plant/bob/#', { qos: 1 }));
    await alice.subscribeAsync('plant/alice/#', { qos: 1 });
    await alice.publishAsync('plant/x', '1', { qos: 1 });
    await assert.rejects(alice.publishAsync('other', '2', { qos: 1 }));
    await assert.rejects(bob.publishAsync('plant/x', '3', { qos: 2 }));
    await mosquittoPub({ port: it.mqttPort, version: 4, topic: 'other', message: '4', args: ['-u', 'alice', '-P', a] }); // 3.1.1 cannot be told
    await mosquittoPub({ port: it.mqttPort, version: 4, topic: 'plant/y', message: '5', args: ['-u', 'alice', '-P', a] });
    assert.deepEqual((await bob.take(2)).map((m) => m.text), ['1', '5']);
    const refused = await mqttRefused({ node: it, username: 'alice', password: a, will: { topic: 'other', payload: 'x' } });
    assert.equal(refused.code, 0x87);
    assert.match((await it.get('/metrics')).text, /fieldgate_mqtt_denied_total\{what="publish"\} 3/);
});

test('what jobs and actions say is read by whom a rule names it, and no wildcard at the beginning does', async (t) => {
    const rules = (more) => `version: 1
rules:
  - user: wide
    publish: ["#", "$jobs/#", "$actions/#"]
    subscribe: ["#", "+/#"]
  - user: ops
    subscribe: [${more}"$actions/tell"]
`;
    const [w, o] = [secret('wide'), secret('ops')];
    const sql = join(tempFolder(), 'hot.sql');
    writeFileSync(sql, 'SELECT v INTO found FROM x; SELECT v AS other INTO hidden FROM x');
    const it = await node(t, { users: { wide: [w], ops: [o] }, rules: rules('"$jobs/hot/found", '), settings: {
        jobs: { hot: { sql, inputs: { x: 'in/#' } } },
        actions: { tell: { on: '$jobs/hot/found', do: { publish: { topic: 'out', message: '${v}' } } },
            quiet: { on: '$jobs/hot/hidden', do: { publish: { topic: 'out', message: '${other}' } } } },
    } });
    const wide = await mqttConnect({ t, node: it, username: 'wide', password: w });
    const ops = await mqttConnect({ t, node: it, clientId: 'ops', username: 'ops', password: o, clean: false, properties: { sessionExpiryInterval: 600 } });
    await wide.subscribeAsync(['#', '+/#'], { qos: 1 });
    for (const filter of ['$jobs/#', '$jobs/hot/found', '$jobs/+/found', '$share/g/$jobs/#', '$share/g/$jobs/hot/found', '$actions/#', '$actions/tell'])
        await assert.rejects(wide.subscribeAsync(filter, { qos: 1 }), undefined, filter);
    for (const filter of ['$jobs/#', '$jobs/hot/#', '$jobs/hot/hidden', '$actions/#', '$actions/quiet', '$actions/+', 'out'])
        await assert.rejects(ops.subscribeAsync(filter, { qos: 1 }), undefined, filter);
    await ops.subscribeAsync(['$jobs/hot/found', '$actions/tell'], { qos: 1 });
    // A rule that says otherwise changes nothing: only the node speaks there.
    for (const topic of ['$jobs/hot/found', '$actions/tell'])
        await assert.rejects(wide.publishAsync(topic, '{"v":2}', { qos: 1 }), /[Nn]ot authorized/);
    await wide.publishAsync('in/1', '{"v":1}', { qos: 1 });
    await ops.take(2);
    assert.deepEqual(ops.messages.map((m) => m.topic).sort(), ['$actions/tell', '$jobs/hot/found']);
    await wide.take(3);
    assert.ok(wide.messages.every((m) => /^(in|out)/.test(m.topic)), JSON.stringify(wide.messages.map((m) => m.topic)));

    // The right is taken away: who holds the subscription is closed, and what comes meanwhile is not kept for him.
    await reloaded(it, () => writeFileSync(it.rulesFile, rules('')));
    await ops.gone();
    assert.deepEqual(ops.disconnects, [0x87]);
    await wide.publishAsync('in/1', '{"v":3}', { qos: 1 });
    await wide.take(6);
    const again = await mqttConnect({ t, node: it, clientId: 'ops', username: 'ops', password: o, clean: false, properties: { sessionExpiryInterval: 600 } });
    assert.equal(again.connack.sessionPresent, true);
    await again.take(1);
    await sleep(300);
    assert.deepEqual(again.messages.map((m) => m.topic), ['$actions/tell']);
});

test('rules that change: at once, as a whole, or not at all', async (t) => {
    const [a, b] = [secret('a'), secret('b')];
    const it = await node(t, { users: { alice: [a], bob: [b] }, rules: RULES });
    const bob = await mqttConnect({ t, node: it, clientId: 'bob', username: 'bob', password: b });
    const alice = await mqttConnect({ t, node: it, clientId: 'alice', username: 'alice', password: a });
    await bob.subscribeAsync('plant/#', { qos: 1 });
    writeFileSync(it.rulesFile, RULES.replace('subscribe: ["plant/#"]', 'subscrib: ["plant/#"]'));
    await until(() => /FG1022 .*rules\.yaml:4:\d+: unknown key 'subscrib'/.test(it.log()), 'the error is told', 8000);
    await alice.publishAsync('plant/x', '1', { qos: 1 });
    assert.equal((await bob.take(1))[0].text, '1');
    await reloaded(it, () => writeFileSync(it.rulesFile, RULES.replace('subscribe: ["plant/#"]', 'subscribe: ["plant/state"]')));
    await bob.gone();
    assert.deepEqual(bob.disconnects, [0x87]);
    assert.ok(alice.connected);
    const refused = await startRefused({ dataDir: tempFolder(), settings: { rules: join(tempFolder(), 'none') } });
    assert.match(refused.err.join('\n'), /FG1022/);
});

// ---- certificates ----

let ca;
before(async () => { ca = await makeAuthority(); });

test('a client certificate is the user, by the name that the listener says', async (t) => {
    const server = await ca.issue({ name: 'gw1', names: 'DNS:localhost,IP:127.0.0.1' });
    const device = await ca.issue({ name: 'press-1', usage: 'clientAuth',
        names: 'DNS:press-1.plant,URI:urn:dev:press-1,email:press-1@plant.example' });
    for (const [kind, name] of [['common-name', 'press-1'], ['dns', 'press-1.plant'], ['uri', 'urn:dev:press-1'], ['email', 'press-1@plant.example']]) {
        const rules = join(tempFolder(), 'rules.yaml');
        writeFileSync(rules, `rules:\n  - { user: "${name}", publish: "mine/#" }\n`);
        const it = await startNode({
            t, settings: { rules, gateway: { certificates: { chain: server.chain, key: server.key, root: ca.pem } },
                listeners: [{ type: 'mqtts', at: ['127.0.0.1:0'], auth: ['certificate'], 'certificate-user': kind, 'client-certificate': 'optional' }] },
        });
        logs.push(() => it.log());
        const tls = { t, port: it.port('mqtts'), protocol: 'mqtts', ca: readFileSync(ca.pem), host: 'localhost' };
        const client = await mqttConnect({ ...tls, cert: readFileSync(device.chain), key: readFileSync(device.key) });
        await client.publishAsync('mine/x', '1', { qos: 1 });
        await assert.rejects(client.publishAsync('other', '2', { qos: 1 }), kind);
        await mqttRefused({ ...tls }); // none was shown
    }
});

// ---- SCRAM-SHA-256, written here from RFC 5802 with node's crypto alone ----

const METHOD = 'SCRAM-SHA-256';
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const xor = (a, b) => Buffer.from(a.map((x, i) => x ^ b[i]));

function scram(name, password) {
    const nonce = randomBytes(15).toString('base64').replaceAll(',', '');
    const bare = `n=${name},r=${nonce}`;
    let signature;
    return {
        first: `n,,${bare}`,
        final(serverFirst) {
            const [, r, s, i] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst);
            assert.ok(r.startsWith(nonce) && r.length > nonce.length + 16);
            const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
            const without = `c=biws,r=${r}`, message = `${bare},${serverFirst},${without}`;
            const clientKey = hmac(salted, 'Client Key');
            const stored = createHash('sha256').update(clientKey).digest();
            signature = hmac(hmac(salted, 'Server Key'), message);
            return `${without},p=${xor(clientKey, hmac(stored, message)).toString('base64')}`;
        },
        proves: (serverFinal) => timingSafeEqual(Buffer.from(String(serverFinal).slice(2), 'base64'), signature),
    };
}

const propsOf = (p) => p.props ?? p.properties;

async function scramConnect(t, it, name, password, clientId = 'scram') {
    const mine = scram(name, password), raw = await rawOpen({ t, port: it.mqttPort });
    raw.send(connect({ clientId, props: { authMethod: METHOD, authData: Buffer.from(mine.first) } }));
    const challenge = await raw.want(AUTH);
    assert.equal(challenge.reason, 0x18);
    raw.send(auth({ reason: 0x18, props: { authMethod: METHOD, authData: Buffer.from(mine.final(String(propsOf(challenge).authData))) } }));
    return { raw, mine, connack: await raw.want(CONNACK) };
}

test('SCRAM-SHA-256: a proof instead of a password, and again while connected', async (t) => {
    const right = secret('right');
    const it = await node(t, { users: { alice: [right, '--scram'] } });
    const { raw, mine, connack } = await scramConnect(t, it, 'alice', right);
    assert.equal(connack.reason, 0);
    assert.equal(propsOf(connack).authMethod, METHOD);
    assert.ok(mine.proves(propsOf(connack).authData), 'the node has proven that it knows the password too');
    const again = scram('alice', right);
    raw.send(auth({ reason: 0x19, props: { authMethod: METHOD, authData: Buffer.from(again.first) } }));
    const challenge = await raw.want(AUTH);
    raw.send(auth({ reason: 0x18, props: { authMethod: METHOD, authData: Buffer.from(again.final(String(propsOf(challenge).authData))) } }));
    const done = await raw.want(AUTH);
    assert.equal(done.reason, 0);
    assert.ok(again.proves(propsOf(done).authData));
    const bad = await scramConnect(t, it, 'alice', secret('wrong'), 'bad');
    assert.equal(bad.connack.reason, 0x87);
    const nobody = await scramConnect(t, it, 'mallory', right, 'nobody');
    assert.equal(nobody.connack.reason, 0x87);
    // Half-way, then nothing: the connection ends like one that was silent.
    const other = scram('alice', right);
    raw.send(auth({ reason: 0x19, props: { authMethod: METHOD, authData: Buffer.from(other.first) } }));
    await raw.want(AUTH);
    raw.send(auth({ reason: 0x18, props: { authMethod: METHOD, authData: Buffer.from('c=biws,r=x,p=AAAA') } }));
    assert.equal((await raw.want(DISCONNECT)).reason, 0x87);
});
