// The server that OPC UA tests use, and the proxy in front of it, do what the tests believe they do: looked at with
// node-opcua's own client, before a client of ours is judged by them.
// timeout: 300

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { builtIn, STRUCTURES, valueList } from './fixtures/opcua-values.mjs';
import { applicationCertificate, MINIMAL, sharedKey, startUaServer } from './lib/opcua-server.mjs';
import { ask, failing, MODES, POLICIES, readAll, ua, uaConnect, uaRefused, uaSubscribe } from './lib/opcua-client.mjs';
import { startProxy } from './lib/tcp-proxy.mjs';
import { until } from './lib/wait.mjs';

const users = { ada: 'secret ä' };
const person = applicationCertificate({ key: sharedKey('person'), uri: 'urn:person', cn: 'ada' });
let server;
before(async () => { server = await startUaServer({ users, counters: 1000, minTokenLifetime: 500, tokenLifetime: 2000 }); });
after(() => server?.stop());

test('each policy and mode, with each kind of user', async (t) => {
    const none = await uaConnect({ t, url: server.url });
    const endpoints = await none.client.getEndpoints();
    assert.equal(endpoints.length, 7);
    for (const policy of POLICIES) {
        for (const mode of MODES) {
            for (const as of [undefined, { user: 'ada', password: users.ada }, { certificate: person }]) {
                const { session, close } = await uaConnect({ url: server.url, policy, mode, as });
                assert.equal((await session.read({ nodeId: 'i=2259' })).value.value, 0, `${policy} ${mode}`);
                await close();
            }
        }
    }
    assert.equal(await uaRefused({ url: server.url, policy: POLICIES[0], as: { user: 'ada', password: 'wrong' } }), 'BadUserAccessDenied');
});

test('each variable of the folder Values holds what the list says', async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    const list = valueList(ua);
    assert.ok(list.length > 130, `${list.length} values`);
    const data = await readAll(session, list.map(({ id }) => `ns=1;s=${id}`));
    list.forEach(({ id, type, rank, value }, i) => {
        const { value: variant, statusCode } = data[i];
        assert.equal(statusCode.name, 'Good', id);
        assert.equal(ua.DataType[variant.dataType], type, id);
        assert.equal(variant.arrayType, [undefined, 1, 2][rank] ?? 0, id);
        if (rank === 2) assert.deepEqual([...variant.dimensions], [2, 3], id);
        const plain = (v) => JSON.parse(JSON.stringify(ArrayBuffer.isView(v) && !Buffer.isBuffer(v) ? [...v] : v, (_k, x) => (typeof x === 'number' && !Number.isFinite(x) ? String(x) : x)));
        assert.deepEqual(plain(variant.value), plain(value), id);
    });
    assert.deepEqual(Object.keys(builtIn(ua)).length, 22, 'built-in types other than ExtensionObject, DataValue and DiagnosticInfo');
});

test('structures come with their type', async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    for (const [id, { value }] of Object.entries(STRUCTURES)) {
        const { value: variant } = await session.read({ nodeId: `ns=1;s=${id}` });
        await session.extractNamespaceDataType?.();
        const { value: again } = await session.read({ nodeId: `ns=1;s=${id}` });
        for (const [field, expected] of Object.entries(value))
            assert.deepEqual(JSON.parse(JSON.stringify(again.value[field] ?? variant.value[field])), JSON.parse(JSON.stringify(expected)), `${id}.${field}`);
    }
    const [definition] = await readAll(session, ['ns=2;i=3002'], 'DataTypeDefinition');
    assert.deepEqual(definition.value.value.fields.map((f) => f.name), ['Name', 'Mode', 'Cycles', 'Loads', 'Origin', 'Corners']);
});

test('the machine: status codes, access, methods, ranges', async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    const status = async (id) => (await session.read({ nodeId: `ns=1;s=${id}` })).statusCode.name;
    assert.deepEqual(await Promise.all(['Temperature', 'Broken', 'Shaky', 'WriteOnly'].map(status)), ['Good', 'BadSensorFailure', 'UncertainSensorNotAccurate', 'BadNotReadable']);
    const write = (id, value) => session.write({ nodeId: `ns=1;s=${id}`, attributeId: 13, value: { value } }).then((s) => s.name);
    assert.equal(await write('Setpoint', { dataType: 'Double', value: 2.5 }), 'Good');
    assert.equal((await server.do('get', { node: 'ns=1;s=Setpoint' })).value, 2.5);
    assert.equal(await write('ReadOnly', { dataType: 'Int32', value: 2 }), 'BadNotWritable');
    assert.equal(await write('Setpoint', { dataType: 'String', value: 'x' }), 'BadTypeMismatch');
    const call = (id, inputArguments = []) => session.call({ objectId: 'ns=1;s=Machine', methodId: `ns=1;s=${id}`, inputArguments });
    await call('Stop');
    assert.equal((await server.do('get', { node: 'ns=1;s=Run' })).value, false);
    await call('Start');
    const sum = await call('Add', [{ dataType: 'Int32', value: 2 }, { dataType: 'Int32', value: 40 }]);
    assert.deepEqual(sum.outputArguments.map((a) => a.value), [42, '2+40']);
    assert.deepEqual((await server.do('calls')).map((c) => c.method), ['Stop', 'Start', 'Add']);
    const path = await session.translateBrowsePath(ua.makeBrowsePath('ns=1;s=Temperature', '.EURange'));
    assert.equal(path.statusCode.name, 'Good');
    assert.deepEqual((await session.read({ nodeId: path.targets[0].targetId })).value.value.high, 100);
});

test('every emitted value reaches a subscriber, and its time', async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    const { monitor } = await uaSubscribe(session);
    const watched = await Promise.all([0, 500, 999].map((i) => monitor(`ns=1;s=Counter${i}`)));
    await until(() => watched.every((w) => w.values.length === 1), 'the first values');
    const from = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 20, every: 20, spikes: [3, 17] });
    const ticks = (await server.do('emitted')).ticks.slice(from);
    for (const { values } of watched) {
        await until(() => values.length === 21, 'all values');
        const big = ([high, low]) => BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)).toString();
        assert.deepEqual(values.slice(1).map((v) => ({ value: big(v.value.value), at: v.sourceTimestamp.toISOString() })), ticks);
    }
    assert.equal(ticks.filter((tick) => tick.value.startsWith('-')).length, 2);
});

test('history has what was set', async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    const begin = new Date();
    for (let i = 1; i <= 5; i++) await server.do('set', { node: 'ns=1;s=Humidity', type: 'Double', value: i, at: new Date(begin.getTime() + i).toISOString() });
    const history = await session.readHistoryValue('ns=1;s=Humidity', begin, new Date(begin.getTime() + 100));
    assert.deepEqual(history.historyData.dataValues.map((v) => v.value.value), [1, 2, 3, 4, 5]);
});

test('a fault is answered as often as said, sessions and subscriptions can be ended', async (t) => {
    const { client, session } = await uaConnect({ t, url: server.url });
    await server.do('fault', { service: 'Read', status: 'BadOutOfMemory', times: 2 });
    const read = () => failing(session.read({ nodeId: 'i=2259' }));
    assert.deepEqual([await read(), await read(), await read()], ['BadOutOfMemory', 'BadOutOfMemory', 'Good']);
    await ask(client, session, new ua.CreateSubscriptionRequest({ requestedPublishingInterval: 1000, requestedLifetimeCount: 100, requestedMaxKeepAliveCount: 10, publishingEnabled: true }));
    assert.equal((await server.do('endSubscriptions')).ended, 1);
    assert.equal((await server.do('endSessions')).ended, 1);
    const raw = ask(client, session, new ua.ReadRequest({ nodesToRead: [{ nodeId: 'i=2259', attributeId: 13 }] }));
    assert.match(await failing(raw), /BadSession(IdInvalid|Closed)/);
    assert.ok((await server.do('stats')).requests.Read >= 3);
});

test('a minimal server refuses, and counts per call are limited', async (t) => {
    const small = await startUaServer({ t, ...MINIMAL, policies: ['None'], modes: ['None'], trust: [] });
    const { session } = await uaConnect({ t, url: small.url });
    const { subscription } = await uaSubscribe(session);
    assert.equal(await failing(subscription.setPublishingMode(true)), 'BadServiceUnsupported');
    assert.equal(await failing(readAll(session, Array(21).fill('i=2259'))), 'BadTooManyOperations');
    await small.do('restart', { downMs: 50 });
    const again = await uaConnect({ t, url: small.url });
    assert.equal((await again.session.read({ nodeId: 'i=2259' })).value.value, 0);
});

// ---- the proxy ----

/** A server that sends back what it gets. */
async function echo(t) {
    const listening = net.createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
    await new Promise((resolve) => listening.once('listening', resolve));
    t.after(() => listening.close());
    return startProxy({ t, port: listening.address().port });
}

function dial(t, port) {
    const self = { text: '', closed: false };
    self.socket = net.connect(port, '127.0.0.1').on('error', () => {}).on('close', () => { self.closed = true; });
    self.socket.on('data', (data) => { self.text += data; });
    t.after(() => self.socket.destroy());
    return self;
}

test('the proxy passes, delays, cuts in the middle, swallows and refuses', async (t) => {
    const proxy = await echo(t);
    const first = dial(t, proxy.port);
    first.socket.write('hello');
    await until(() => first.text === 'hello', 'the echo');
    assert.deepEqual(proxy.bytes, { up: 5, down: 5 });

    proxy.delay(150);
    const asked = performance.now();
    first.socket.write('!');
    await until(() => first.text === 'hello!', 'the delayed echo');
    assert.ok(performance.now() - asked >= 290, 'both ways were delayed');
    proxy.pass();

    const cut = proxy.cutAfterBytes(3);
    first.socket.write('0123456789');
    await cut;
    await until(() => first.closed, 'the cut');
    assert.equal(first.text, 'hello!012');

    proxy.swallow();
    const second = dial(t, proxy.port);
    second.socket.write('lost');
    await until(() => proxy.open === 1, 'the second connection');
    proxy.pass();
    const third = dial(t, proxy.port);
    third.socket.write('here');
    await until(() => third.text === 'here', 'the third connection');
    assert.equal(second.text, '');
    proxy.cut();
    await until(() => second.closed && third.closed, 'both are cut');

    proxy.refuse();
    const fourth = dial(t, proxy.port);
    await until(() => fourth.closed, 'the refusal');
    assert.equal(proxy.connections, 4);
});
