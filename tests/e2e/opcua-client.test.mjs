// Our OPC UA client against a server that is not ours: `fieldgate opcua test, browse, read, write, call` and node-opcua,
// with every policy, mode and kind of user, and all types.
// timeout: 300

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { builtIn, STRUCTURES } from './fixtures/opcua-values.mjs';
import { test } from './lib/bounded.mjs';
import { applicationCertificate, sharedKey, startUaServer } from './lib/opcua-server.mjs';
import { FIELDGATE, tempFolder } from './lib/node.mjs';
import { NONE, opcua as runVerb, rows } from './lib/opcua-verbs.mjs';
import { run } from './lib/process.mjs';
import { startProxy } from './lib/tcp-proxy.mjs';
import { certificate } from './lib/x509.mjs';

const POLICIES = ['Basic256Sha256', 'Aes128_Sha256_RsaOaep', 'Aes256_Sha256_RsaPss'];
const users = { ada: 'geheim ä€' };

let server;
let home; // whose data folder has our certificate
before(async () => {
    home = tempFolder('uah');
    server = await startUaServer({ users });
});
after(() => server?.stop());

const opcua = (verb, args, { url = server.url, data = join(home, 'data') } = {}) => runVerb(verb, url, args, { data });
const read = async (nodes, args = [], options) => rows(await opcua('read', [...nodes, '-o', 'json', ...args], options), 'values');
const value = async (node, args = [], options) => (await read([node], args, options))[0].value;

// ---- values ----

/** What is in the folder Values, without node-opcua: only `json` is looked at. */
const expected = () => {
    const anything = new Proxy(function () {}, { get: (_t, name) => (name === Symbol.toPrimitive ? () => 0 : anything), apply: () => anything, construct: () => anything });
    const list = [];
    for (const [type, values] of Object.entries(builtIn(anything))) {
        const three = values.slice(0, 3).map((v) => v.json);
        if (type !== 'Variant') values.forEach((v, i) => list.push({ node: `${type}.${i}`, type, json: v.json }));
        list.push({ node: `${type}.Array`, type: `${type}[3]`, json: three });
        list.push({ node: `${type}.Empty`, type: `${type}[0]`, json: [] });
        list.push({ node: `${type}.Matrix`, type: `${type}[2,3]`, json: [three, [...three].reverse()] });
    }
    return list;
};
const comparable = (type, json) => {
    if (Array.isArray(json)) return json.map((one) => comparable(type, one));
    return /^U?Int64/.test(type) ? String(json) : json;
};

test('all built-in types: scalars, arrays, empty ones, matrices, the ends of their ranges', async () => {
    const list = expected();
    const got = await read(list.map(({ node }) => `ns=1;s=${node}`), NONE);
    assert.equal(got.length, list.length);
    list.forEach(({ node, type, json }, i) => {
        assert.equal(got[i].status, 'Good', node);
        assert.equal(got[i].type, type, node);
        assert.deepEqual(comparable(type, got[i].value), comparable(type, json), node);
        assert.match(got[i]['source-time'], /^20\d\d-\d\d-\d\dT.*Z$/, node);
    });
});

test('structures by their type description, also in arrays, with optional fields and unions', async () => {
    const got = await read([...Object.keys(STRUCTURES), 'Points', 'Mode'].map((id) => `ns=1;s=${id}`), NONE);
    Object.entries(STRUCTURES).forEach(([id, { json }], i) => assert.deepEqual(got[i].value, json, id));
    assert.deepEqual(got.at(-2).value, [{ X: 1, Y: 2 }, { X: 3, Y: 4 }]);
    assert.equal(got.at(-1).value, 7, 'an enumeration is an Int32 unless it is in a structure');
});

test('nodes by namespace URI and by path; attributes; ranges', async () => {
    assert.equal(await value('nsu=urn:fieldgate:test:server;s=Int32.0', NONE), -2147483648);
    assert.equal(await value('Machine/Label', NONE), 'press');
    assert.deepEqual(await value('ns=1;s=Limits', [...NONE, '--range', '1:2']), [2, 3]);
    assert.deepEqual(await value('ns=1;s=Int32.Matrix', [...NONE, '--range', '1,0:1']), [[-1, 2147483647]]);
    const [type] = await read(['ns=1;s=Temperature'], [...NONE, '--attribute', 'DataType']);
    assert.equal(type.value, 'i=11');
});

test('what is bad is printed beside what is good, and the exit status says so', async () => {
    const end = await opcua('read', ['ns=1;s=Label', 'ns=1;s=nobody', 'ns=1;s=Broken', 'ns=1;s=Shaky', 'ns=1;s=WriteOnly', '-o', 'json', ...NONE]);
    assert.equal(end.code, 1);
    const { values } = JSON.parse(end.out.join('\n'));
    assert.deepEqual(values.map((v) => v.status), ['Good', 'BadNodeIdUnknown', 'BadSensorFailure', 'UncertainSensorNotAccurate', 'BadNotReadable']);
    assert.equal(values[3].value, 4.5, 'an uncertain value is a value');
});

// ---- writing, calling ----

test('write: each type as the node has it', async () => {
    const write = async (node, text, ...more) => opcua('write', [...NONE, ...more, node, text]); // also what begins with a minus sign
    const cases = [
        ['Setpoint', '21.5', 'Double', 21.5], ['Setpoint', '-1e-3', 'Double', -0.001], ['Setpoint', 'NaN', 'Double', 'NaN'],
        ['Label', 'Grüße 温度', 'String', 'Grüße 温度'], ['Total', '-9223372036854775808', 'Int64', '-9223372036854775808'],
        ['Total', '9007199254740993', 'Int64', '9007199254740993'], ['Run', 'false', 'Boolean', false], ['Run', 'true', 'Boolean', true],
        ['Limits', '[5, 6, 7]', 'Double', [5, 6, 7]],
        ['Byte.0', '200', 'Byte', 200], ['SByte.0', '-7', 'SByte', -7], ['Int16.0', '-300', 'Int16', -300], ['UInt16.0', '65535', 'UInt16', 65535],
        ['Int32.0', '-70000', 'Int32', -70000], ['UInt32.0', '4000000000', 'UInt32', 4000000000], ['UInt64.0', '18446744073709551615', 'UInt64', '18446744073709551615'],
        ['Float.0', '0.5', 'Float', 0.5], ['DateTime.0', '2026-11-22T06:00:04.123Z', 'DateTime', '2026-11-22T06:00:04.123Z'],
        ['String.0', 'x', 'String', 'x'],
    ];
    for (const [node, text, type, stored] of cases) {
        const end = await write(`ns=1;s=${node}`, text);
        assert.equal(end.code, 0, `${node} ${text}: ${end.err.join('\n')}`);
        const { type: as, value: now } = await server.do('get', { node: `ns=1;s=${node}` });
        assert.deepEqual([as, now], [type, stored], `${node} = ${text}`);
    }
    const part = await write('ns=1;s=Limits', '[9]', '--range', '1');
    assert.equal(part.code, 0, part.err.join('\n'));
    assert.deepEqual((await server.do('get', { node: 'ns=1;s=Limits' })).value, [5, 9, 7]);
});

test('write: what the node does not take is refused, here or by the server', async () => {
    const refused = async (node, text, status) => {
        const end = await opcua('write', [`ns=1;s=${node}`, text, ...NONE]);
        assert.notEqual(end.code, 0, `${node} ${text}`);
        assert.match(end.err.join('\n'), status);
    };
    await refused('ReadOnly', '7', /BadNotWritable/);
    await refused('nobody', '7', /BadNodeIdUnknown/);
    await refused('Setpoint', 'warm', /warm|number/);
    await refused('Run', '2', /true|false|Boolean/);
});

test('call: arguments and results of their types; what a method says when it fails', async () => {
    await server.do('calls');
    const add = rows(await opcua('call', ['ns=1;s=Machine', 'ns=1;s=Add', '2', '40', '-o', 'json', ...NONE]), 'outputs');
    assert.deepEqual(add.map((o) => [o.value, o.type]), [[42, 'Int32'], ['2+40', 'String']]);
    const less = rows(await opcua('call', ['ns=1;s=Machine', 'ns=1;s=Add', '-2', '-40', '-o', 'json', ...NONE]), 'outputs');
    assert.equal(less[0].value, -42);
    const scaled = rows(await opcua('call', ['ns=1;s=Machine', 'ns=1;s=Scale', '[1, 2.5]', '2', '-o', 'json', ...NONE]), 'outputs');
    assert.deepEqual(scaled[0].value, [2, 5]);
    assert.equal((await opcua('call', ['Machine', 'Machine/Stop', ...NONE])).code, 0);
    assert.equal((await server.do('get', { node: 'ns=1;s=Run' })).value, false);
    assert.equal((await opcua('call', ['Machine', 'Machine/Start', ...NONE])).code, 0);
    assert.deepEqual((await server.do('calls')).map((c) => c.method), ['Add', 'Add', 'Scale', 'Stop', 'Start']);
    const failed = await opcua('call', ['ns=1;s=Machine', 'ns=1;s=Fail', ...NONE]);
    assert.equal(failed.code, 1);
    assert.match(failed.err.join('\n'), /BadInvalidState/);
    const few = await opcua('call', ['ns=1;s=Machine', 'ns=1;s=Add', '2', ...NONE]);
    assert.notEqual(few.code, 0);
    assert.match(few.err.join('\n'), /BadArgumentsMissing|argument/);
});

// ---- browsing ----

test('browse: everything once, although the tree has a circle and a folder has 250 nodes', async () => {
    const nodes = rows(await opcua('browse', ['--depth', '30', '-o', 'json', ...NONE]), 'nodes');
    const ids = nodes.map((n) => n.node);
    const again = ids.filter((id, i) => ids.indexOf(id) !== i);
    assert.deepEqual(again, ['ns=1;s=Deep'], 'where the circle closes, and nowhere else, a node comes again');
    for (let i = 0; i < 250; i++) assert.ok(ids.includes(`ns=1;s=Leaf${i}`), `Leaf${i}`);
    assert.ok(ids.includes('ns=1;s=Level12'));
    const temperature = nodes.find((n) => n.name === 'Temperature');
    assert.equal(temperature.type, 'Double');
});

test('test: says what the server offers', async () => {
    const end = await opcua('test', NONE);
    assert.ok([0, 4].includes(end.code), end.out.concat(end.err).join('\n')); // 4: there are warnings
    const text = end.out.join('\n');
    for (const policy of POLICIES) assert.ok(text.includes(policy), policy);
    // It leaves out the certificates in the list of CreateSession, as the standard wants it.
    assert.doesNotMatch(text, /endpoints of CreateSession/);
});

// ---- security ----

const secret = () => {
    const file = join(home, 'password');
    writeFileSync(file, users.ada, { mode: 0o600 });
    return `@${file}`;
};

test('a server that is not known is refused, named with what to do, and believed after that', async () => {
    const args = ['i=2259', '--security', 'Basic256Sha256', '-o', 'json'];
    const refused = await opcua('read', args);
    assert.notEqual(refused.code, 0);
    assert.match(refused.err.join('\n'), /FG52\d\d/);
    assert.match(refused.err.join('\n'), /opcua trust/);
    const accepted = await run(FIELDGATE, ['opcua', 'trust', 'accept', server.certificate.thumbprint, '--data', join(home, 'data')]);
    assert.equal(accepted.code, 0, accepted.err.join('\n'));
    assert.equal(await value('i=2259', ['--security', 'Basic256Sha256']), 0);
    const tested = await opcua('test', ['--security', 'Basic256Sha256']);
    assert.equal(tested.code, 0, `not one warning:\n${tested.out.join('\n')}`);
});

test('each policy and mode with each kind of user', async () => {
    const person = applicationCertificate({ key: sharedKey('person'), uri: 'urn:person', cn: 'ada' });
    const [cert, key] = ['ada.pem', 'ada.key'].map((name) => join(home, name));
    writeFileSync(cert, person.pem);
    writeFileSync(key, person.key.pem, { mode: 0o600 });
    for (const policy of POLICIES) {
        for (const mode of ['sign', 'encrypt']) {
            for (const who of [[], ['--user', 'ada', '--password', secret()], ['--user-cert', cert, '--user-key', key]]) {
                const args = ['--security', policy, '--mode', mode, '--accept-any', ...who];
                assert.equal(await value('i=2259', args), 0, args.join(' '));
            }
        }
    }
    assert.equal(await value('i=2259', [...NONE, '--user', 'ada', '--password', secret(), '--accept-any']), 0, 'a password on a channel without security, encrypted');
});

test('a wrong password is said to be wrong', async () => {
    const file = join(home, 'wrong');
    writeFileSync(file, 'nonsense', { mode: 0o600 });
    const end = await opcua('read', ['i=2259', '--security', 'Basic256Sha256', '--accept-any', '--user', 'ada', '--password', `@${file}`]);
    assert.notEqual(end.code, 0);
    assert.match(end.err.join('\n'), /ada|password|BadUserAccessDenied|BadIdentityTokenRejected/);
    assert.ok(!end.err.join('\n').includes('nonsense'), 'the password is not printed');
});

test('a server that does not know us says no, and we say where our certificate is', async (t) => {
    const strict = await startUaServer({ t, trust: [], policies: ['None', 'Basic256Sha256'] });
    const end = await opcua('read', ['i=2259', '--security', 'Basic256Sha256', '--accept-any'], { url: strict.url });
    assert.notEqual(end.code, 0);
    assert.match(end.err.join('\n'), /FG5203/);
});

test('certificates of servers that must not be believed', async (t) => {
    const uri = 'urn:fieldgate:test:bad';
    const key = sharedKey('bad');
    const cases = [
        ['expired', { from: -60, to: -30 }, /FG5222/],
        ['not yet valid', { from: 30, to: 60 }, /FG5222/],
        ['for another host', { names: [`URI:${uri}`, 'DNS:elsewhere'] }, /FG5223/],
        ['of another application', { names: ['URI:urn:somebody:else', 'DNS:localhost', 'IP:127.0.0.1'] }, /FG5224/],
        ['good', {}, undefined],
    ].map(([name, more, code]) => [name, certificate({ key, cn: `Server, ${name}`, names: [`URI:${uri}`, 'DNS:localhost', 'IP:127.0.0.1'], ...more }), code]);
    const other = await startUaServer({ t, certificate: cases[0][1], uri, policies: ['None', 'Basic256Sha256'], modes: ['None', 'SignAndEncrypt'] });
    const data = join(tempFolder('uab'), 'data');
    for (const [name, shown, code] of cases) {
        if (shown !== cases[0][1]) await other.do('restart', { options: { certificate: shown.pem } });
        // Known they are; only the named thing is wrong.
        const file = join(home, 'shown.pem');
        writeFileSync(file, shown.pem);
        const added = await run(FIELDGATE, ['opcua', 'trust', 'add', file, '--data', data]);
        assert.equal(added.code, 0, added.err.join('\n'));
        const end = await opcua('read', ['i=2259', '--security', 'Basic256Sha256'], { url: other.url, data });
        if (!code) {
            assert.equal(end.code, 0, `${name}: ${end.err.join('\n')}`);
        } else {
            assert.notEqual(end.code, 0, name);
            assert.match(end.err.join('\n'), code, name);
        }
    }
});

// ---- nobody ----

test('nobody there, somebody else there, and nobody who answers', async (t) => {
    const none = await opcua('read', ['i=2259', '--timeout', '2s'], { url: 'opc.tcp://127.0.0.1:1' });
    assert.notEqual(none.code, 0);
    assert.match(none.err.join('\n'), /127\.0\.0\.1:1/);
    const proxy = await startProxy({ t, port: server.port });
    proxy.swallow();
    const mute = await opcua('read', ['i=2259', '--timeout', '1s'], { url: proxy.url });
    assert.notEqual(mute.code, 0);
    assert.match(mute.err.join('\n'), /answer|within|time/);
});
