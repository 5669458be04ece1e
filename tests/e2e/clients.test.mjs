// The clients that people have, unchanged, with users and passwords: each tells the same story over every transport, on
// IPv4 and IPv6, in MQTT 3.1.1 and 5.0, and must see the same.
//
// The story: sign in; publish 0, 1 and 100,000 binary bytes with QoS 0, 1 and 2 and get them back; a retained message of
// another client; properties; a shared subscription; a session that waits while its client is away; an end without a will;
// a death with one. Another client looks on and must have seen it all, too.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import { test } from './lib/bounded.mjs';
import { makeAuthority } from './lib/certs.mjs';
import { mosquittoPub, mosquittoReceive, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { run, start } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

const USER = 'press-1', PASSWORD = 'a pass: wörd #1';
const BODY = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 31) % 251));
const SIZES = [0, 1, BODY.length];
const home = tempFolder('fgclients');
const file = (name) => join(home, name);
const PAHO_C = file('paho_c');
const script = (name) => fileURLToPath(new URL(`lib/${name}`, import.meta.url));

let ca, stranger, node;
before(async () => {
    const libraries = ['-lpaho-mqtt3cs', '-lcrypto'];
    const compile = run('cc', ['-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-O1', '-o', PAHO_C, script('paho_c.c'), ...libraries],
        { timeoutMs: 30_000 });
    [ca, stranger] = await Promise.all([makeAuthority(), makeAuthority('Another root')]);
    const compiled = await compile;
    assert.equal(compiled.code, 0, compiled.err.join('\n'));
    const server = await ca.issue({ name: 'gw1', names: 'DNS:localhost,IP:127.0.0.1,IP:::1' });
    writeFileSync(file('password'), PASSWORD);
    for (const size of SIZES) writeFileSync(file(`${size}`), BODY.subarray(0, size));
    const settings = {
        users: file('users'),
        loops: 2,
        gateway: { certificates: { chain: server.chain, key: server.key } },
        listeners: ['mqtt', 'mqtts', 'http', 'https'].map((type) => ({ type, at: ['127.0.0.1:0', '[::1]:0'], auth: 'users' })),
    };
    const added = await run(FIELDGATE, ['user', 'add', USER, '--password', `@${file('password')}`, '--set', `users=${file('users')}`]);
    assert.equal(added.code, 0, added.err.join('\n'));
    node = await startNode({ settings });
});
after(() => node?.stop());

// ---- where ----

const LISTENER = { tcp: 'mqtt', tls: 'mqtts', ws: 'http', wss: 'https' };
const isTls = (transport) => ['tls', 'wss'].includes(transport);
const isWeb = (transport) => transport.startsWith('ws');
const HOSTS = { IPv4: '127.0.0.1', IPv6: '::1' };

function portOf({ transport, ip }) {
    return node.ports.find((at) => at.type === LISTENER[transport] && at.host.replace(/[[\]]/g, '') === HOSTS[ip]).port;
}

const numeric = ({ ip }) => (ip === 'IPv6' ? '[::1]' : '127.0.0.1');

// ---- what each must see ----

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const seen = (part, topic, bytes, { qos = 1, retain = false, properties = [] } = {}) => {
    const body = Buffer.from(bytes);
    return { part, topic, qos, retain, bytes: body.length, sha256: sha256(body), properties };
};
const PROPERTIES = [
    ['contentType', 'text/plain'], ['responseTopic', 'answers/here'], ['correlation', 'c-17'],
    ['user', 'zeta', '1'], ['user', 'zeta', '2'], ['user', 'alpha', '3'], // MQTT.js cannot mix the names
];

function data(top, part) {
    return [0, 1, 2].flatMap((qos) => SIZES.map((size) => seen(part, `${top}/data/${qos}`, BODY.subarray(0, size), { qos })));
}

/** The story as its own client must see it. */
function expected(top, version) {
    const ids = version === 5 ? [...PROPERTIES, ['subscription', '7']] : [];
    return [
        { part: 'session', present: false },
        ...data(top, 'data'),
        seen('kept', `${top}/kept`, BODY, { retain: true, properties: version === 5 ? [['user', 'from', 'MQTT.js']] : [] }),
        ...(version === 5 ? [seen('props', `${top}/props`, 'p', { properties: ids })] : []),
        seen('shared', `${top}/shared`, 's'),
        { part: 'session', present: false },
        { part: 'session', present: true },
        ...[1, 2].map((qos) => seen('away', `${top}/away`, `${qos}`, { qos })),
        { part: 'waiting' },
    ];
}

/** And as the one who looks on sees it. */
function witnessed(top, version) {
    return [
        ...data(top, 'seen'),
        seen('seen', `${top}/own`, 'own'),
        ...(version === 5 ? [seen('seen', `${top}/props`, 'p', { properties: PROPERTIES })] : []),
        seen('seen', `${top}/shared`, 's'),
        ...[1, 2].map((qos) => seen('seen', `${top}/away`, `${qos}`, { qos })),
        seen('seen', `${top}/will`, 'killed'),
    ];
}

/** By part and topic, in order within each; the standard promises no more. Properties by kind, user properties in order. */
function grouped(story) {
    const byKind = (list) => [...list].sort((a, b) => (a[0] < b[0] ? -1 : Number(a[0] > b[0])));
    const groups = {};
    for (const { properties, ...e } of story)
        (groups[`${e.part} ${e.topic ?? ''}`] ??= []).push(properties ? { ...e, properties: byKind(properties) } : e);
    return groups;
}

function fromMqttJs(part, message) {
    const { contentType, responseTopic, correlationData, userProperties, subscriptionIdentifier } = message.properties;
    const properties = [];
    if (contentType !== undefined) properties.push(['contentType', contentType]);
    if (responseTopic !== undefined) properties.push(['responseTopic', responseTopic]);
    if (correlationData !== undefined) properties.push(['correlation', correlationData.toString()]);
    for (const [name, values] of Object.entries(userProperties ?? {}))
        for (const value of [values].flat()) properties.push(['user', name, value]);
    for (const number of [subscriptionIdentifier ?? []].flat()) properties.push(['subscription', String(number)]);
    return seen(part, message.topic, message.payload, { qos: message.qos, retain: message.retain, properties });
}

function fromMosquitto(part, { topic, payload, qos, retain, properties: { user, ...rest } }) {
    const properties = Object.entries(rest);
    for (const pair of user?.trim().split(' ') ?? []) properties.push(['user', ...pair.split(':')]);
    return seen(part, topic, payload, { qos, retain, properties });
}

// ---- the clients: each gives { say, die }, what it saw and how it is killed, or throws ----

const withCa = (transport, root) => (isTls(transport) ? root : '-');

/** Paho's programs tell the story by themselves, and wait at its end. */
async function program(t, path, args) {
    const story = [];
    const it = start(path, args, { onLine: (line) => story.push(JSON.parse(line)) });
    const die = () => (it.ended ? undefined : it.kill('SIGKILL'));
    t.after(die);
    await until(() => it.ended || story.some((e) => e.part === 'waiting'), `${path} tells its story`, 30_000).catch((error) => {
        throw new Error(`${error.message}\n${JSON.stringify(story.at(-1))}\n${it.err.join('\n')}`);
    });
    if (it.ended && !story.some((e) => e.part === 'refused')) throw new Error(`it ended early: ${it.err.join('\n')}`);
    return { story, die };
}

function pahoC(t, { transport, version, top, password = PASSWORD, root = ca.pem, ...cell }) {
    const scheme = { tcp: 'tcp', tls: 'ssl', ws: 'ws', wss: 'wss' }[transport];
    const uri = `${scheme}://${numeric(cell)}:${portOf({ transport, ...cell })}${isWeb(transport) ? '/mqtt' : ''}`;
    return program(t, PAHO_C, [uri, String(version), top, USER, password, withCa(transport, root)]);
}

function pahoPython(t, { transport, version, top, password = PASSWORD, root = ca.pem, ...cell }) {
    const where = [transport, HOSTS[cell.ip], String(portOf({ transport, ...cell }))];
    return program(t, '/usr/bin/python3', [script('paho_py.py'), ...where, String(version), top, USER, password, withCa(transport, root)]);
}

function mqttJsOptions({ transport, version, password = PASSWORD, root, ...cell }) {
    const scheme = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }[transport];
    const url = `${scheme}://${numeric(cell)}:${portOf({ transport, ...cell })}${isWeb(transport) ? '/mqtt' : ''}`;
    // Of an address in the URL it loses the brackets, and then finds its WebSocket's URL wrong.
    const host = isWeb(transport) ? { hostname: numeric(cell) } : {};
    const trust = isTls(transport) ? { ca: readFileSync(root ?? ca.pem) } : {};
    return { url, ...host, ...trust, protocolVersion: version, username: USER, password };
}

async function mqttJs(t, { top, ...cell }) {
    const story = [];
    const v5 = cell.version === 5;
    const join = async (name, options = {}) => {
        const client = await mqttConnect({ t, ...mqttJsOptions(cell), clientId: `${top}-${name}`, ...options });
        client.part = async (part, count) => {
            story.push(...(await client.take(count)).map((m) => fromMqttJs(part, m)));
            client.messages.length = 0;
        };
        return client;
    };
    const will = (payload) => ({ will: { topic: `${top}/will`, payload, qos: 1 } });
    const session = (client) => story.push({ part: 'session', present: client.connack.sessionPresent });

    const client = await join('main', will('polite'));
    session(client);
    await client.subscribeAsync(`${top}/data/#`, { qos: 2 });
    for (const qos of [0, 1, 2]) for (const size of SIZES) await client.publishAsync(`${top}/data/${qos}`, BODY.subarray(0, size), { qos });
    await client.part('data', 9);
    await client.subscribeAsync(`${top}/kept`, { qos: 1 });
    await client.part('kept', 1);
    await client.publishAsync(`${top}/own`, 'own', { qos: 1, retain: true });
    if (v5) {
        await client.subscribeAsync(`${top}/props`, { qos: 1, properties: { subscriptionIdentifier: 7 } });
        await client.publishAsync(`${top}/props`, 'p', { qos: 1, properties: { contentType: 'text/plain', responseTopic: 'answers/here',
            correlationData: Buffer.from('c-17'), userProperties: { zeta: ['1', '2'], alpha: '3' } } });
        await client.part('props', 1);
    }
    await client.subscribeAsync(`$share/group/${top}/shared`, { qos: 1 });
    await client.publishAsync(`${top}/shared`, 's', { qos: 1 });
    await client.part('shared', 1);
    const away = { clean: false, ...(v5 ? { properties: { sessionExpiryInterval: 600 } } : {}) };
    const first = await join('away', away);
    session(first);
    await first.subscribeAsync(`${top}/away`, { qos: 2 });
    await first.endAsync();
    for (const qos of [1, 2]) await client.publishAsync(`${top}/away`, `${qos}`, { qos });
    const again = await join('away', away);
    session(again);
    await again.part('away', 2);
    await again.endAsync();
    await client.endAsync();
    const dying = await join('dying', will('killed'));
    story.push({ part: 'waiting' });
    return { story, die: () => dying.stream.destroy() };
}

function mosquittoWhere({ transport, version, password = PASSWORD, root = ca.pem, ...cell }) {
    const args = ['-u', USER, '-P', password, ...(isTls(transport) ? ['--cafile', root] : [])];
    return (more = []) => ({ host: HOSTS[cell.ip], port: portOf({ transport, ...cell }), version, args: [...args, ...more] });
}

async function mosquitto(t, { top, ...cell }) {
    const story = [];
    const v5 = cell.version === 5;
    const at = mosquittoWhere(cell);
    const pub = (name, message, qos, { more, ...rest } = {}) => mosquittoPub({ ...at(more), topic: `${top}/${name}`, message, qos, ...rest });
    const sub = async (topics, qos, more, rest) => {
        const it = await mosquittoSub({ ...at(more), topics, qos, ...rest });
        t.after(() => it.kill9());
        it.part = async (part, count) => story.push(...(await it.take(count)).map((m) => fromMosquitto(part, m)));
        return it;
    };
    const will = (payload) => ['--will-topic', `${top}/will`, '--will-payload', payload, '--will-qos', '1'];
    const D = (...words) => ['-D', ...words];

    const all = await sub(`${top}/data/#`, 2);
    for (const qos of [0, 1, 2])
        for (const size of SIZES) await pub(`data/${qos}`, null, qos, size > 0 ? { file: file(`${size}`) } : {});
    await all.part('data', 9);
    await all.stop();
    const [kept] = await mosquittoReceive({ ...at(), topics: `${top}/kept`, count: 1 });
    story.push(fromMosquitto('kept', kept));
    await pub('own', 'own', 1, { retain: true });
    if (v5) {
        const props = await sub(`${top}/props`, 1, D('subscribe', 'subscription-identifier', '7'));
        const more = [D('publish', 'content-type', 'text/plain'), D('publish', 'response-topic', 'answers/here'),
            D('publish', 'correlation-data', 'c-17'), D('publish', 'user-property', 'zeta', '1'),
            D('publish', 'user-property', 'zeta', '2'), D('publish', 'user-property', 'alpha', '3')].flat();
        await pub('props', 'p', 1, { more });
        await props.part('props', 1);
        await props.stop();
    }
    const shared = await sub(`$share/group/${top}/shared`, 1, [...will('polite'), '-C', '1']); // ends by itself, politely
    await pub('shared', 's', 1);
    await shared.part('shared', 1);
    await shared.process.exited;
    const keep = [['-c', ...(v5 ? ['-x', '600'] : [])], { id: `${top}-away` }];
    await (await sub(`${top}/away`, 2, ...keep)).stop();
    for (const qos of [1, 2]) await pub('away', `${qos}`, qos);
    const away = await sub(`${top}/away`, 2, ...keep);
    await away.part('away', 2);
    await away.stop();
    const dying = await sub(`${top}/none`, 1, will('killed'));
    story.push({ part: 'waiting' });
    return { story, die: () => dying.kill9() };
}

const CLIENTS = [
    { name: 'mosquitto_pub and mosquitto_sub', tell: mosquitto, transports: ['tcp', 'tls'], silent: () => true },
    // In version 5, Paho C 1.3.12 does not say whether there was a session.
    { name: 'Paho C', tell: pahoC, transports: ['tcp', 'tls', 'ws', 'wss'], silent: (version) => version === 5 },
    { name: 'Paho Python', tell: pahoPython, transports: ['tcp', 'tls', 'ws', 'wss'] },
    { name: 'MQTT.js', tell: mqttJs, transports: ['tcp', 'tls', 'ws', 'wss'] },
];

// ---- the matrix ----

let cells = 0;
const newTop = () => `cell-${++cells}`;

async function cell(t, client, where) {
    const top = newTop();
    const plain = mqttJsOptions({ transport: 'tcp', ip: 'IPv4', version: 5 });
    const witness = await mqttConnect({ t, ...plain });
    const kept = where.version === 5 ? { properties: { userProperties: { from: 'MQTT.js' } } } : {};
    await witness.publishAsync(`${top}/kept`, BODY, { qos: 1, retain: true, ...kept });
    await witness.subscribeAsync(['data/#', 'own', 'props', 'shared', 'away', 'will'].map((name) => `${top}/${name}`), { qos: 2 });
    const { story, die } = await client.tell(t, { top, ...where });
    const silent = client.silent?.(where.version); // about sessions
    const told = (list) => grouped(silent ? list.filter((e) => e.part !== 'session') : list);
    assert.deepEqual(told(story), told(expected(top, where.version)));
    await die();
    const should = witnessed(top, where.version);
    const saw = await witness.take(should.length);
    assert.deepEqual(grouped(saw.map((m) => fromMqttJs('seen', m))), grouped(should));
    const late = await mqttConnect({ t, ...plain });
    await late.subscribeAsync(`${top}/own`, { qos: 1 });
    assert.deepEqual((await late.take(1)).map((m) => [m.text, m.retain]), [['own', true]]);
    await Promise.all([witness.endAsync(), late.endAsync()]);
}

for (const client of CLIENTS)
    describe(client.name, { concurrency: 4 }, () => {
        for (const transport of client.transports)
            for (const ip of ['IPv4', 'IPv6'])
                for (const version of [4, 5])
                    test(`${transport}, ${ip}, version ${version}`, (t) => cell(t, client, { transport, ip, version }));
    });

// ---- who is not let in ----

const BAD_PASSWORD = { 4: 4, 5: 0x86 };

for (const version of [4, 5])
    test(`a wrong password has its own code in each client, version ${version}`, async (t) => {
        const wrong = { ip: 'IPv4', version, password: 'not this one' };
        for (const transport of ['tcp', 'wss']) {
            for (const tell of [pahoC, pahoPython]) {
                const { story } = await tell(t, { transport, top: newTop(), ...wrong });
                assert.deepEqual(story, [{ part: 'refused', code: BAD_PASSWORD[version] }]);
            }
            assert.equal((await mqttRefused(mqttJsOptions({ transport, ...wrong }))).code, BAD_PASSWORD[version]);
        }
        for (const transport of ['tcp', 'tls']) {
            const end = await mosquittoPub({ ...mosquittoWhere({ transport, ...wrong })(), topic: 'x', message: 'x', mayFail: true });
            assert.equal(end.code, BAD_PASSWORD[version]);
            assert.match(end.err.join('\n'), /bad user name or password/i);
        }
    });

test('a root that did not issue our certificate: each client refuses us, and the log says who and why', async (t) => {
    // Some say why with an alert (FG2105), MQTT.js just leaves (FG2109).
    const told = () => node.log().match(/FG210[59] 127\.0\.0\.1:\d+ .* not trust (our|the) certificate.* root/g) ?? [];
    const refuses = async (what) => {
        const before = told().length;
        await what();
        await until(() => told().length > before, 'the log has a line');
    };
    const alien = { ip: 'IPv4', version: 5, root: stranger.pem };
    for (const transport of ['tls', 'wss']) {
        for (const tell of [pahoC, pahoPython])
            await refuses(async () => {
                const { story } = await tell(t, { transport, top: newTop(), ...alien });
                assert.deepEqual([story.length, story[0].part, story[0].code], [1, 'refused', -1]);
            });
        await refuses(async () => {
            const error = await mqttRefused(mqttJsOptions({ transport, ...alien }));
            assert.match(error.message, /certificate|signature/i);
        });
    }
    await refuses(async () => {
        const end = await mosquittoPub({ ...mosquittoWhere({ transport: 'tls', ...alien })(), topic: 'x', message: 'x', mayFail: true });
        assert.notEqual(end.code, 0, end.err.join('\n'));
    });
});
