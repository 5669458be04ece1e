// The OPC publisher: published-nodes files and options of OPC Publisher against node-opcua's server, and what of it arrives in
// the node, through changes of the file, restarts on both sides and a node that has no room.
// timeout: 300

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { run, start } from './lib/process.mjs';
import ua from 'node-opcua';
import { STRUCTURES, valueList } from './fixtures/opcua-values.mjs';
import { applicationCertificate, sharedKey, startUaServer } from './lib/opcua-server.mjs';
import { sleep, until } from './lib/wait.mjs';

let server;
before(async () => { server = await startUaServer({ counters: 3 }); });
after(() => server?.stop());

/** A file of published nodes that is replaced as editors do it. */
function publishedNodes(entries) {
    const path = join(tempFolder('pn'), 'publishednodes.json');
    const put = (what) => {
        writeFileSync(`${path}.new`, typeof what === 'string' ? what : JSON.stringify(what));
        renameSync(`${path}.new`, path);
    };
    put(entries);
    return { path, put, read: () => JSON.parse(readFileSync(path, 'utf8')) };
}

const entry = (nodes, more = {}) => ({
    EndpointUrl: server.url, UseSecurity: false, OpcNodes: nodes.map((n) => (typeof n === 'string' ? { Id: n } : n)), ...more,
});
const begin = (t, file, options, settings = {}) =>
    startNode({ t, settings: { opcua: { 'published-nodes': file.path, options, ...settings.opcua }, ...settings.more } });

/** All that comes below opcua/, parsed, from a client that is there before the values are. */
async function listen(t, node, topic = 'opcua/#', options = {}) {
    const client = await mqttConnect({ t, node, ...options });
    await client.subscribeAsync(topic, { qos: 1 });
    client.samples = () => client.messages.flatMap((m) => JSON.parse(m.text));
    return client;
}

function call(node, path, { method = 'POST', body } = {}) {
    return new Promise((resolve, reject) => {
        const ask = request({ socketPath: node.api, path, method }, (answer) => {
            let text = '';
            answer.on('data', (part) => (text += part));
            answer.on('end', () => resolve({ status: answer.statusCode, json: JSON.parse(text) }));
        });
        ask.on('error', reject);
        ask.end(body === undefined ? undefined : JSON.stringify(body));
    });
}
const status = async (node) => (await call(node, '/api/v1/status', { method: 'GET' })).json.opcua;
const good = (node, n) => until(async () => (await status(node))?.good === n, `${n} nodes are good`, 20_000);

/** received + repeated = sent + waiting + all that a rule took. */
async function addsUp(node) {
    const s = await status(node);
    assert.equal(s.received + s.repeated, s.sent + s.waiting + s.suppressed + s.skipped + s.replaced + s['too-large'], JSON.stringify(s));
    return s;
}

test('the classic file with the classic options', async (t) => {
    const file = publishedNodes(`[ // as people write it
        { "EndpointUrl": "${server.url}", "UseSecurity": false, /* no certificates */
          "OpcNodes": [ { "Id": "ns=1;s=Temperature", "OpcSamplingInterval": 100, "OpcPublishingInterval": 100 },
                        { "ExpandedNodeId": "nsu=${server.uri};s=Humidity", "OpcSamplingInterval": 100, "OpcPublishingInterval": 100, "DisplayName": "Wet" },
                        { "Id": "ns=1;s=Nothing" }, ] } ]`);
    const node = await begin(t, file, '--ns=true --fd=true --aa --si=1');
    const client = await listen(t, node);
    await good(node, 2);
    await server.do('set', { node: 'ns=1;s=Temperature', type: 'Double', value: 21.25 });
    await until(() => client.samples().some((s) => s.DisplayName === 'Temperature' && s.Value.Value === 21.25), 'the value comes');
    const [first] = client.messages, sample = client.samples().find((s) => s.DisplayName === 'Temperature');
    assert.match(first.topic, /^opcua\/127\.0\.0\.1:\d+$/);
    assert.equal(first.qos, 1);
    assert.equal(first.properties.contentType, 'application/opcua+uajson');
    assert.deepEqual(Object.keys(sample), ['NodeId', 'ApplicationUri', 'DisplayName', 'Value']);
    assert.equal(sample.NodeId, 'ns=1;s=Temperature');
    assert.equal(sample.ApplicationUri, server.uri);
    assert.deepEqual(Object.keys(sample.Value), ['Value', 'SourceTimestamp']);
    assert.match(sample.Value.SourceTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
    assert.ok(client.samples().some((s) => s.DisplayName === 'Wet' && s.NodeId === `nsu=${server.uri};s=Humidity`));
    await until(() => /FG5245 .*ns=1;s=Nothing: BadNodeIdUnknown/.test(node.log()), 'the node that is none is said');
    await addsUp(node);
    const row = (await node.verb('status')).out.find((line) => line.trimStart().startsWith('opcua '));
    assert.match(row, /1 server +1 connected   3 nodes, 1 without values/);
    const info = (await call(node, '/api/v1/opcua/GetDiagnosticInfo')).json;
    assert.equal(info.NumberOfOpcSessionsConnected, 1);
    assert.equal(info.NumberOfOpcMonitoredItemsMonitored, 2);
});

test('every value of a burst comes once and in order, and is acknowledged to the server', async (t) => {
    const file = publishedNodes([entry([0, 1, 2].map((i) => ({ Id: `ns=1;s=Counter${i}`, OpcSamplingInterval: 0, OpcPublishingInterval: 100 })))]);
    const node = await begin(t, file, '--bs=20 --bi=200');
    const client = await listen(t, node);
    await good(node, 3);
    const from = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 100, every: 20, spikes: [50] });
    const wanted = (await server.do('emitted')).ticks.slice(from).map((tick) => tick.value);
    const of = (i) => client.samples().filter((s) => s.NodeId === `ns=1;s=Counter${i}`).map((s) => s.Value.Value);
    await until(() => [0, 1, 2].every((i) => of(i).includes(wanted.at(-1))), 'the last value is there');
    for (const i of [0, 1, 2]) assert.deepEqual(of(i).slice(-wanted.length), wanted);
    assert.ok(client.messages.length < 60, `${client.messages.length} messages of ${client.samples().length} values: they are batched`);
    const s = await until(async () => { const now = await addsUp(node); return now.waiting === 0 && now; }, 'nothing waits');
    assert.equal(s.lost, 0);
    const acknowledged = async () => (await call(node, '/api/v1/opcua/GetDiagnosticInfo')).json.acknowledgedNotifications;
    await until(async () => (await acknowledged()) > 0, 'the server is told that they are safe');
});

test('the file changes: what is new is read, what is gone is not, what stays is not touched', async (t) => {
    const file = publishedNodes([entry(['ns=1;s=Temperature'])]);
    const node = await begin(t, file, '--bs=1 --bi=0 --op=100');
    const client = await listen(t, node);
    await good(node, 1);
    const before = (await server.do('stats')).requests.CreateSubscription;
    file.put([entry(['ns=1;s=Temperature', 'ns=1;s=Label'])]);
    await good(node, 2);
    await until(() => client.samples().some((s) => s.NodeId === 'ns=1;s=Label'), 'the new node gives values');
    assert.equal((await server.do('stats')).requests.CreateSubscription, before);
    assert.equal(client.samples().filter((s) => s.NodeId === 'ns=1;s=Temperature').length, 1);
    file.put('[ { "EndpointUrl": "opc.tcp://x:1", } oops ]');
    await until(() => /FG5262 .*publishednodes\.json:1:39: a comma or ] is missing/.test(node.log()), 'the error has its place');
    assert.equal((await status(node)).good, 2);
    file.put([entry(['ns=1;s=Label'])]);
    await good(node, 1);
    await server.do('set', { node: 'ns=1;s=Temperature', type: 'Double', value: 33 });
    await server.do('set', { node: 'ns=1;s=Label', type: 'String', value: 'after' });
    await until(() => client.samples().some((s) => s.Value.Value === 'after'), 'the one that stays goes on');
    assert.ok(!client.samples().some((s) => s.Value.Value === 33));
});

test('config check finds what is wrong with options, topic and file', async (t) => {
    const file = publishedNodes('[{"EndpointUrl":"opc.tcp://a:1","UseReverseConnect":true,\n "OpcNodes":[{"Id":5}]}]');
    const dir = tempFolder('cc'), config = join(dir, 'f.yaml');
    const check = async (options) => {
        writeFileSync(config, `version: 1\ndata: ${dir}/d\nopcua: { published-nodes: ${file.path}, options: "${options}" }\n`);
        return run(FIELDGATE, ['config', 'check', config]);
    };
    const bad = await check('--bs=many');
    assert.equal(bad.code, 1);
    assert.match(bad.out.join('\n'), /FG5264 .*opcua\.options: --bs must be a number, got 'many'/);
    assert.match(bad.out.join('\n'), /FG5262 .*publishednodes\.json:2:20: Id must be a node/);
    file.put('[{"EndpointUrl":"opc.tcp://a:1","UseReverseConnect":true,"OpcNodes":[{"Id":"i=1"}]}]');
    const warned = await check('--bs=1');
    assert.equal(warned.code, 4);
    assert.match(warned.out.join('\n'), /FG5259 .*publishednodes\.json:1:53: UseReverseConnect is not done here/);
});

test('heartbeats, skip first, suppressed statuses', async (t) => {
    const file = publishedNodes([entry([
        { Id: 'ns=1;s=ReadOnly', HeartbeatIntervalTimespan: '00:00:00.5' },
        { Id: 'ns=1;s=Setpoint', SkipFirst: true },
        { Id: 'ns=1;s=Broken' },
    ])]);
    const node = await begin(t, file, '--si=0 --ms=0 --op=100 --ss=BadSensorFailure');
    const client = await listen(t, node);
    await good(node, 3);
    const of = (id) => client.messages.map((m) => JSON.parse(m.text)).filter((s) => s.NodeId === id);
    await until(() => of('ns=1;s=ReadOnly').length >= 4, 'heartbeats come');
    const times = of('ns=1;s=ReadOnly').map((s) => Date.parse(s.Value.SourceTimestamp));
    for (let i = 1; i < 4; i++) assert.equal(times[i] - times[i - 1], 500); /* as 2.4: the time goes on */
    assert.equal(of('ns=1;s=Setpoint').length, 0);
    await server.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 7 });
    await until(() => of('ns=1;s=Setpoint').length === 1, 'the second value comes');
    assert.equal(of('ns=1;s=Broken').length, 0);
    const s = await addsUp(node);
    assert.ok(s.suppressed >= 1 && s.skipped === 1 && s.repeated >= 3);
});

test('PubSub messages, topics of a unified namespace, bad values', async (t) => {
    const more = { DataSetWriterGroup: 'line1', DataSetWriterId: 'press' };
    const file = publishedNodes([
        entry(['ns=1;s=Temperature', 'ns=1;s=Broken'], { ...more, MessagingMode: 'PubSub', DataSetPublishingInterval: 100 }),
        entry(['ns=1;s=Setpoint'], { ...more, DataSetWriterId: 'raw', MessagingMode: 'SingleRawDataSet', QueueName: 'uns/{WriterGroup}/{DisplayName}' }),
        entry(['ns=1;s=Label'], { ...more, DataSetWriterId: 'path', MessagingMode: 'SingleRawDataSet', DataSetRouting: 'UseBrowseNames' }),
    ]);
    const node = await begin(t, file, '-c --fd --bs=1 --bi=0 --id=gw1');
    const client = await listen(t, node, '#');
    await good(node, 4);
    await until(() => client.messages.some((m) => m.topic === 'opcua/line1/press') && client.messages.some((m) => m.topic.startsWith('uns/')) &&
        client.messages.some((m) => m.topic.includes('/Label')), 'all of them came');
    const network = JSON.parse(client.messages.find((m) => m.topic === 'opcua/line1/press').text);
    assert.equal(network.MessageType, 'ua-data');
    assert.equal(network.PublisherId, 'gw1');
    assert.equal(network.DataSetWriterGroup, 'line1');
    const [set] = network.Messages;
    assert.equal(set.DataSetWriterName, 'press');
    assert.equal(typeof set.DataSetWriterId, 'number');
    assert.equal(set.Payload.Broken.Status, 0x808c0000);
    assert.equal(typeof set.Payload.Temperature.Value, 'number');
    const meta = client.messages.find((m) => m.topic === 'opcua/line1/press/metadata');
    assert.equal(JSON.parse(meta.text).MessageType, 'ua-metadata');
    assert.deepEqual(JSON.parse(meta.text).MetaData.Fields.map((f) => f.Name), ['Temperature', 'Broken']);
    assert.ok(client.messages.some((m) => m.topic === 'uns/line1/Setpoint'));
    const path = client.messages.find((m) => m.topic.endsWith('/Label'));
    assert.equal(path.topic, 'opcua/line1/path/Objects/Machine/Label');
});

test('key frames have every field, silence has keep-alives, metadata comes in its interval', async (t) => {
    const file = publishedNodes([entry(['ns=1;s=Setpoint', 'ns=1;s=ReadOnly'], {
        DataSetWriterId: 'w', MessagingMode: 'PubSub', DataSetPublishingInterval: 100, DataSetSamplingInterval: 0, DataSetKeyFrameCount: 3,
        SendKeepAliveDataSetMessages: true, MaxKeepAliveCount: 10, MetaDataUpdateTimeTimespan: '00:00:00.3',
    })]);
    const node = await begin(t, file, '-c --bs=1 --bi=0');
    const client = await listen(t, node, '#');
    await good(node, 2);
    const sets = () => client.messages.filter((m) => /^opcua\/[^/]*\/w$/.test(m.topic)).flatMap((m) => JSON.parse(m.text).Messages);
    await until(() => sets().some((s) => s.MessageType === 'ua-keepalive' && !s.Payload), 'a keep-alive comes');
    for (let i = 0; i < 8; i++) {
        await server.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 100 + i });
        const n = sets().length;
        await until(() => sets().length > n, 'the value comes');
    }
    const numbers = sets().map((s) => s.SequenceNumber);
    assert.deepEqual(numbers, numbers.map((_, i) => i + numbers[0]));
    const keys = sets().filter((s) => s.MessageType === 'ua-keyframe');
    assert.ok(keys.length >= 2);
    for (const key of keys) assert.deepEqual(Object.keys(key.Payload).sort(), ['ns=1;s=ReadOnly', 'ns=1;s=Setpoint']);
    assert.ok(sets().some((s) => s.MessageType === 'ua-deltaframe' && Object.keys(s.Payload).length === 1));
    assert.ok(client.messages.filter((m) => m.topic.endsWith('/metadata')).length >= 2);
    await addsUp(node);
});

test('methods change the file, answer, and refuse with a reason', async (t) => {
    const file = publishedNodes([entry(['ns=1;s=Temperature'])]);
    const node = await begin(t, file, '');
    await good(node, 1);
    const published = await call(node, '/api/v1/opcua/PublishNodes_V1', { body: entry(['ns=1;s=Label']) });
    assert.deepEqual(published, { status: 200, json: {} });
    await good(node, 2);
    assert.deepEqual(file.read()[0].OpcNodes, [{ Id: 'ns=1;s=Temperature' }, { Id: 'ns=1;s=Label' }]);
    const all = (await call(node, '/v2/configuration', { method: 'GET' })).json;
    assert.deepEqual(all, { endpoints: [{ endpointUrl: server.url, useSecurity: false }] });
    const nodes = await call(node, '/api/v1/opcua/GetConfiguredNodesOnEndpoint', { body: { endpointUrl: server.url } });
    assert.deepEqual(nodes.json.opcNodes, [{ id: 'ns=1;s=Temperature' }, { id: 'ns=1;s=Label' }]);
    assert.equal((await call(node, '/api/v1/opcua/UnpublishNodes', { body: entry(['ns=1;s=Nothing']) })).status, 404);
    assert.equal((await call(node, '/api/v1/opcua/PublishNodes', { body: { EndpointUrl: 'http://x', OpcNodes: [{ Id: 'i=1' }] } })).status, 400);
    assert.equal((await call(node, '/api/v1/opcua/MakeCoffee')).status, 405);
    const bad = await call(node, '/api/v1/opcua/AddOrUpdateEndpoints', { body: [entry(['ns=1;s=Nothing'], { DataSetWriterId: 'w' })] });
    assert.equal(bad.status, 200);
    await until(async () => (await call(node, '/api/v1/opcua/GetDiagnosticInfo')).json.badNodes?.[0]?.status === 'BadNodeIdUnknown', 'the bad node is named');
    assert.equal((await call(node, '/api/v1/opcua/UnpublishAllNodes')).status, 200);
    assert.deepEqual(file.read(), []);
    await good(node, 0);
    file.put('[ oops');
    assert.equal((await call(node, '/api/v1/opcua/PublishNodes', { body: entry(['ns=1;s=Label']) })).status, 409);
    assert.equal(readFileSync(file.path, 'utf8'), '[ oops');
    file.put([entry(['ns=1;s=Temperature'])]); // and changed by a method before it was looked at
    assert.equal((await call(node, '/api/v1/opcua/PublishNodes', { body: entry(['ns=1;s=Label']) })).status, 200);
    assert.deepEqual(file.read()[0].OpcNodes.length, 2);
    await good(node, 2);
});

test('a queue of the server that is too short is counted and said', async (t) => {
    const file = publishedNodes([entry([{ Id: 'ns=1;s=Counter0', OpcSamplingInterval: 0, OpcPublishingInterval: 500, QueueSize: 3 }])]);
    const node = await begin(t, file, '--bs=1 --bi=0');
    const client = await listen(t, node);
    await good(node, 1);
    await server.do('emit', { ticks: 30, every: 10 });
    await until(async () => (await status(node)).overflows > 0, 'it is counted');
    await until(() => /FG5269 .*ns=1;s=Counter0 changes faster than its queue of 3/.test(node.log()), 'it is said');
    assert.ok(client.samples().every((s) => !('StatusCode' in s.Value)));
});

test('a file that cannot be written: a method holds all the same', async (t) => {
    const file = publishedNodes([entry(['ns=1;s=Temperature'])]);
    const node = await startNode({ t, settings: { opcua: { 'published-nodes': '/proc/self/none.json', options: '' } } });
    await until(() => /FG526[12] /.test(node.log()), 'there is no file');
    await until(async () => (await status(node)) !== null, 'the publisher is there');
    assert.equal((await call(node, '/api/v1/opcua/PublishNodes', { body: file.read()[0] })).status, 200);
    await good(node, 1);
    assert.equal((await call(node, '/api/v1/opcua/PublishNodes', { body: entry(['ns=1;s=Label']) })).status, 200);
    await good(node, 2);
    assert.match(node.log(), /FG5266 /);
});

test('a server that restarts, and one that is not there, are come back to', async (t) => {
    const own = await startUaServer({ t, counters: 1 });
    const file = publishedNodes([{ EndpointUrl: own.url, UseSecurity: false, OpcNodes: [{ Id: 'ns=1;s=Counter0' }] }, { EndpointUrl: 'opc.tcp://127.0.0.1:1', UseSecurity: false, OpcNodes: [{ Id: 'i=2258' }] }]);
    const node = await begin(t, file, '--bs=1 --bi=0 --op=100 --oi=0');
    const client = await listen(t, node);
    await good(node, 1);
    await own.do('restart', { downMs: 500 });
    await own.do('emit', { ticks: 3, every: 200 });
    await until(() => client.samples().some((s) => s.Value.Value === '3'), 'values after the restart', 20_000);
    const down = (await status(node)).servers.find((s) => s.endpoint === 'opc.tcp://127.0.0.1:1');
    assert.notEqual(down.state, 'up');
    assert.ok(down.trouble);
});

test('a node that has no room: values wait, the server queues, and all of them come when there is', async (t) => {
    const file = publishedNodes([entry([{ Id: 'ns=1;s=Counter0', OpcSamplingInterval: 0, OpcPublishingInterval: 100, QueueSize: 1000 }])]);
    const node = await begin(t, file, '--bs=1 --bi=0', { more: { limits: { 'queued-messages': 5, 'on-full': 'refuse' } } });
    // A session that is away and may hold five messages: the sixth is refused.
    const away = await mqttConnect({ t, node, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } });
    await away.subscribeAsync('opcua/#', { qos: 1 });
    await good(node, 1);
    await away.endAsync(true);
    const from = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 50, every: 20 });
    await until(() => /FG5244 /.test(node.log()), 'the node refuses, and it is said');
    const s = await addsUp(node);
    assert.ok(s.waiting > 0);
    const wanted = (await server.do('emitted')).ticks.slice(from).map((tick) => tick.value);
    const back = await mqttConnect({ t, node, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } });
    const values = () => back.messages.flatMap((m) => JSON.parse(m.text)).map((one) => one.Value.Value);
    await until(() => values().includes(wanted.at(-1)), 'the last value comes', 20_000);
    assert.deepEqual(values().slice(-wanted.length), wanted);
    assert.equal(new Set(values()).size, values().length);
    await until(async () => (await addsUp(node)).waiting === 0, 'nothing waits any more');
});

test('more waits than may: the server is not asked until there is room, and nothing is lost', async (t) => {
    const file = publishedNodes([entry([{ Id: 'ns=1;s=Label', OpcSamplingInterval: 0, OpcPublishingInterval: 100, QueueSize: 1000 }])]);
    const node = await begin(t, file, '--bs=1 --bi=0', { more: { limits: { 'queued-messages': 2, 'on-full': 'refuse' } } });
    const away = await mqttConnect({ t, node, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } });
    await away.subscribeAsync('opcua/#', { qos: 1 });
    await good(node, 1);
    await away.endAsync(true);
    const wanted = [];
    for (let i = 0; i < 200; i++) {
        wanted.push(`${i}:${'x'.repeat(60_000)}`);
        await server.do('set', { node: 'ns=1;s=Label', type: 'String', value: wanted.at(-1) });
    }
    await until(() => /FG5240 /.test(node.log()), 'servers are held', 20_000);
    const held = await until(async () => { const now = await addsUp(node); return now.held && now; }, 'the status says it');
    assert.ok(held.waiting < wanted.length, `${held.waiting} wait here, the others at the server`);
    const back = await mqttConnect({ t, node, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } });
    const values = () => back.messages.flatMap((m) => JSON.parse(m.text)).map((one) => one.Value.Value);
    await until(() => back.messages.length >= wanted.length && values().includes(wanted.at(-1)), 'the last value comes', 30_000);
    assert.ok(values().slice(-wanted.length).every((v, i) => v === wanted[i]));
    assert.match(node.log(), /FG5241 /);
    const s = await addsUp(node);
    assert.equal(s.lost, 0);
    assert.equal(s.held, false);
});

test('kill -9: what was stored is there once, and values go on', async (t) => {
    const file = publishedNodes([entry([{ Id: 'ns=1;s=Counter0', OpcSamplingInterval: 0, OpcPublishingInterval: 100 }])]);
    const node = await begin(t, file, '--bs=1 --bi=0');
    const away = await mqttConnect({ t, node, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } });
    await away.subscribeAsync('opcua/#', { qos: 1 });
    await good(node, 1);
    await away.endAsync(true);
    const from = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 40, every: 20 });
    await until(async () => (await status(node)).sent >= 40, 'they are in the node');
    await node.restart({ kill9: true });
    await good(node, 1);
    await server.do('emit', { ticks: 10, every: 20 });
    const wanted = (await server.do('emitted')).ticks.slice(from).map((tick) => tick.value);
    const back = await mqttConnect({ t, node, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } });
    const values = () => back.messages.flatMap((m) => JSON.parse(m.text)).map((one) => one.Value.Value);
    await until(() => values().includes(wanted.at(-1)), 'the last value comes', 20_000);
    // The value that stood when it came back is told again by the server: the one that may come twice.
    const got = values().slice(values().indexOf(wanted[0]));
    assert.deepEqual(got.filter((v, i) => got.indexOf(v) === i), wanted);
    assert.ok(got.length <= wanted.length + 1, `${got.length} of ${wanted.length}`);
});

test('values are input of jobs (FROM opcua) and of routes (opcpublisher)', async (t) => {
    const dir = tempFolder('job');
    writeFileSync(join(dir, 'hot.sql'), 'SELECT DisplayName AS name, GetRecordPropertyValue(Value, \'Value\') AS v INTO [machines/hot] FROM opcua WHERE NodeId = \'ns=1;s=Setpoint\'');
    const file = publishedNodes([entry(['ns=1;s=Setpoint'])]);
    const node = await begin(t, file, '--ns=true --fd=true --aa --si=1', {
        more: { jobs: join(dir, '*.sql'), routes: { up: 'FROM /messages/modules/opcpublisher/outputs/* INTO topic("copy")', all: 'FROM /messages/* INTO topic("all")' } },
    });
    const client = await listen(t, node, '#');
    await good(node, 1);
    await server.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 88.5 });
    await until(() => client.messages.some((m) => m.topic === 'machines/hot' && JSON.parse(m.text).v === 88.5), 'the job says it');
    assert.deepEqual(JSON.parse(client.messages.find((m) => m.topic === 'machines/hot').text).name, 'Setpoint');
    for (const topic of ['copy', 'all'])
        await until(() => client.messages.some((m) => m.topic === topic && m.text.includes('88.5')), 'the route copies it');
});

test('the classic set-up by pasting: file, options, the SpikeAndDip query, a handler', async (t) => {
    const dir = tempFolder('classic');
    writeFileSync(join(dir, 'humidity.sql'), `
        WITH AnomalyDetectionStep AS (
            SELECT DisplayName, EventEnqueuedUtcTime AS time, CAST(Value.Value AS float) AS humidity,
                AnomalyDetection_SpikeAndDip(CAST(Value.Value AS float), 95, 60, 'spikesanddips')
                    OVER (PARTITION BY DisplayName LIMIT DURATION(second, 120)) AS SpikeAndDipScores
            FROM opcua )
        SELECT DisplayName, time, humidity,
            CAST(GetRecordPropertyValue(SpikeAndDipScores, 'Score') AS float) AS score,
            CAST(GetRecordPropertyValue(SpikeAndDipScores, 'IsAnomaly') AS bigint) AS isAnomaly
        INTO humidityAnomaly FROM AnomalyDetectionStep
        WHERE CAST(GetRecordPropertyValue(SpikeAndDipScores, 'IsAnomaly') AS bigint) = 1`);
    const file = publishedNodes(`[ { "EndpointUrl": "${server.url}", "UseSecurity": false,
        "OpcNodes": [ { "Id": "ns=1;s=Humidity", "OpcSamplingInterval": 0, "OpcPublishingInterval": 100 } ] } ]`);
    const node = await begin(t, file, '--ns=true --fd=true --aa --si=1', {
        more: {
            jobs: join(dir, '*.sql'),
            actions: { handler: { on: 'humidity.humidityAnomaly', do: { publish: { topic: 'machines/stop', message: '{"stop":"${DisplayName}","at":${humidity}}' } } } },
        },
    });
    const client = await listen(t, node, 'machines/#');
    await good(node, 1);
    const set = async (value) => {
        await server.do('set', { node: 'ns=1;s=Humidity', type: 'Double', value });
        await sleep(12); // the server's queue holds what comes between two publishings
    };
    for (let i = 0; i < 90; i++) await set(40 + Math.sin(i) + i / 1000);
    await set(95);
    for (let i = 0; i < 5; i++) await set(40 + Math.cos(i));
    await until(() => client.messages.some((m) => JSON.parse(m.text).at === 95), 'the machine is stopped');
    assert.deepEqual(JSON.parse(client.messages.find((m) => JSON.parse(m.text).at === 95).text), { stop: 'Humidity', at: 95 });
    assert.equal(client.messages.filter((m) => JSON.parse(m.text).at === 95).length, 1);
});

test('values of all types, and structures by their description from the first value on', async (t) => {
    const types = ['Boolean', 'SByte', 'Int32', 'Float', 'Double', 'String', 'DateTime', 'Guid', 'ByteString', 'LocalizedText'];
    const wanted = valueList(ua).filter((v) => types.includes(v.type) && v.json !== null);
    const ids = [...wanted.map((v) => v.id), 'Int64.0', 'UInt64.0', ...Object.keys(STRUCTURES), 'Points'];
    const file = publishedNodes([entry(ids.map((id) => `ns=1;s=${id}`), { MessagingMode: 'RawDataSets', DataSetWriterId: 'all' })]);
    const node = await begin(t, file, '--bs=1 --bi=0 --op=100');
    const client = await listen(t, node);
    await good(node, ids.length);
    const got = () => Object.assign({}, ...client.samples());
    await until(() => ids.every((id) => `ns=1;s=${id}` in got()), 'all of them come');
    for (const { id, json } of wanted) assert.deepEqual(got()[`ns=1;s=${id}`], json, id);
    assert.equal(got()['ns=1;s=Int64.0'], '-9223372036854775808');
    assert.equal(got()['ns=1;s=UInt64.0'], '18446744073709551615');
    assert.deepEqual(got()['ns=1;s=Limit'], STRUCTURES.Limit.json);
    assert.deepEqual(got()['ns=1;s=ReportWithNote'], STRUCTURES.ReportWithNote.json);
    assert.deepEqual(got()['ns=1;s=Points'], [{ X: 1, Y: 2 }, { X: 3, Y: 4 }]);
    const state = got()['ns=1;s=State'];
    assert.deepEqual([state.Name, state.Cycles, state.Origin], ['Presse 1 ä', '5', { X: 1, Y: -1 }]);
    assert.match(String(state.Mode), /_7$/);
    await addsUp(node);
});

test('security and users: an unknown server is refused until somebody says so, passwords stay secret', async (t) => {
    const own = await startUaServer({ t, users: { operator: 'se-cr3t' }, anonymous: false });
    const file = publishedNodes([{
        EndpointUrl: own.url, EndpointSecurityMode: 'SignAndEncrypt', OpcAuthenticationMode: 'UsernamePassword',
        OpcAuthenticationUsername: 'operator', OpcAuthenticationPassword: 'se-cr3t', OpcNodes: [{ Id: 'ns=1;s=Setpoint' }],
    }]);
    const node = await begin(t, file, '--bs=1 --bi=0');
    const client = await listen(t, node);
    const refused = await until(async () => (await status(node))?.servers.find((s) => s.trouble), 'it is refused', 20_000);
    assert.match(refused.trouble, /trust/);
    assert.equal((await node.reload({ opcua: { 'published-nodes': file.path, options: '--bs=1 --bi=0 --aa' } })).code, 0);
    await good(node, 1);
    await until(() => client.samples().some((s) => s.NodeId === 'ns=1;s=Setpoint'), 'values come');
    const told = JSON.stringify((await call(node, '/v2/configuration', { method: 'GET' })).json);
    assert.ok(!told.includes('se-cr3t') && !node.log().includes('se-cr3t'));
    // A wrong password: said, and nothing comes.
    file.put([{ ...JSON.parse(readFileSync(file.path, 'utf8'))[0], OpcAuthenticationPassword: 'wrong' }]);
    await until(async () => (await status(node))?.servers.some((s) => s.state !== 'up' && s.trouble), 'it is refused', 20_000);
});

test('a user certificate of the users store: looked for until it is there, its key encrypted or not', async (t) => {
    const key = sharedKey('operator'), person = applicationCertificate({ key, uri: 'urn:operator', cn: 'operator' });
    const own = await startUaServer({ t, anonymous: false, trustUsers: [person.pem] });
    const entryOf = (more) => [{
        EndpointUrl: own.url, EndpointSecurityMode: 'SignAndEncrypt', OpcAuthenticationMode: 'Certificate', OpcNodes: [{ Id: 'ns=1;s=Setpoint' }], ...more,
    }];
    const file = publishedNodes(entryOf({ OpcAuthenticationUsername: 'CN=operator' }));
    const node = await begin(t, file, '--bs=1 --bi=0 --aa');
    const client = await listen(t, node);
    await until(() => /FG5254 .* is not read: there is no user certificate 'CN=operator' in .*users/.test(node.log()), 'it is said');
    assert.equal((await status(node)).servers[0].state, 'refused');
    const users = join(node.dataDir, 'opcua', 'pki', 'users');
    for (const folder of ['certs', 'private']) mkdirSync(join(users, folder), { recursive: true });
    writeFileSync(join(users, 'certs', 'op.pem'), person.pem);
    writeFileSync(join(users, 'private', 'op.key'), createPrivateKey(key.pem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'se-cr3t' }));
    file.put(entryOf({ OpcAuthenticationUsername: 'CN=operator', OpcAuthenticationPassword: 'wrong' }));
    await until(() => /FG5254 .*OpcAuthenticationPassword does not open it/.test(node.log()), 'the password is wrong');
    file.put(entryOf({ OpcAuthenticationUsername: 'operator', OpcAuthenticationPassword: 'se-cr3t' }));
    await good(node, 1);
    await until(() => client.samples().some((s) => s.NodeId === 'ns=1;s=Setpoint'), 'values come');
    assert.ok(!node.log().includes('se-cr3t'));
    // Somebody whom the server does not know.
    const other = applicationCertificate({ key, uri: 'urn:other', cn: 'other' });
    writeFileSync(join(users, 'certs', 'other.pem'), other.pem);
    file.put(entryOf({ OpcAuthenticationUsername: 'other', OpcAuthenticationPassword: 'se-cr3t' }));
    await until(async () => (await status(node)).servers.some((s) => s.state !== 'up' && s.trouble), 'the server refuses', 20_000);
});

for (const [what, refuse] of [['translated', []], ['browsed, as the server cannot translate', ['TranslateBrowsePathsToNodeIds', 'RegisterNodes']]])
    test(`BrowsePath: ${what}, again in each session; RegisterNode`, async (t) => {
        const own = await startUaServer({ t, refuse });
        const file = publishedNodes([{
            EndpointUrl: own.url, UseSecurity: false, OpcNodes: [
                { BrowsePath: ['Objects', '/1:Machine', `/nsu=${own.uri};Setpoint`], RegisterNode: true, DisplayName: 'Set' },
                { Id: `nsu=${own.uri};s=Machine`, BrowsePath: ['1:Label'], RegisterNode: true },
                { Id: 'i=85', BrowsePath: ['1:Machine', '1:Nowhere'] },
            ],
        }]);
        const node = await begin(t, file, '--bs=1 --bi=0 --op=100');
        const client = await listen(t, node);
        await good(node, 2);
        const last = (id) => client.samples().filter((s) => s.NodeId === id).at(-1)?.Value.Value;
        await own.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 17.5 });
        await until(() => last('ns=1;s=Setpoint') === 17.5, 'a value of the node at the end of the path');
        assert.equal(client.samples().find((s) => s.NodeId === 'ns=1;s=Setpoint').DisplayName, 'Set');
        await until(() => last(`nsu=${own.uri};s=Label`) !== undefined, 'the other');
        await until(() => /FG5245 .* has no values of i=85: BadNoMatch/.test(node.log()), 'the one that leads nowhere is said');
        const { requests } = await own.do('stats');
        assert.equal(Boolean(requests.Browse), refuse.length > 0);
        assert.equal(requests.RegisterNodes, 1);
        assert.equal(/FG5271 .*BadServiceUnsupported/.test(node.log()), refuse.length > 0);
        const before = requests.TranslateBrowsePathsToNodeIds;
        await own.do('restart', { downMs: 200 });
        await until(async () => (await own.do('stats')).requests.TranslateBrowsePathsToNodeIds > before, 'a new session asks anew', 20_000);
        await good(node, 2);
        await own.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 18.5 });
        await until(() => last('ns=1;s=Setpoint') === 18.5, 'values go on', 20_000);
        await addsUp(node);
    });

test('cyclic reads: by a timer, all in one request, unchanged values too', async (t) => {
    const own = await startUaServer({ t });
    const file = publishedNodes([{
        EndpointUrl: own.url, UseSecurity: false, DataSetWriterId: 'w', OpcNodes: [
            { Id: 'ns=1;s=Setpoint', OpcSamplingInterval: 100, RegisterNode: true, CyclicReadMaxAge: 0 },
            { BrowsePath: ['Objects', '1:Machine', '1:Label'], OpcSamplingInterval: 100 },
            { Id: 'ns=1;s=Broken', OpcSamplingInterval: 100 },
            { Id: 'ns=1;s=Nowhere', OpcSamplingInterval: 100 },
            { Id: 'ns=1;s=Total', UseCyclicRead: false },
        ],
    }]);
    const node = await begin(t, file, '--bs=1 --bi=0 --ucr');
    const client = await listen(t, node);
    await good(node, 4);
    const of = (id) => client.samples().filter((s) => s.NodeId === id).map((s) => s.Value);
    await own.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 17.5 });
    await until(() => of('ns=1;s=Setpoint').filter((v) => v.Value === 17.5).length >= 4 && of('ns=1;s=Label').length >= 4, 'values come again and again');
    assert.equal(of('ns=1;s=Broken')[0].StatusCode.Symbol, 'BadSensorFailure');
    assert.match(node.log(), /FG5245 .* has no values of ns=1;s=Nowhere: BadNodeIdUnknown/);
    const { requests } = await own.do('stats');
    assert.equal(requests.CreateMonitoredItems, 1); // Total
    const rounds = of('ns=1;s=Setpoint').length;
    assert.ok(requests.Read <= rounds + 6, `${requests.Read} requests for ${rounds} rounds`);
    await own.do('endSessions');
    await good(node, 4);
    await own.do('set', { node: 'ns=1;s=Setpoint', type: 'Double', value: 18.5 });
    await until(() => of('ns=1;s=Setpoint').some((v) => v.Value === 18.5), 'they go on', 20_000);
    const now = JSON.parse(readFileSync(file.path, 'utf8'));
    now[0].OpcNodes = now[0].OpcNodes.filter((n) => n.Id !== 'ns=1;s=Setpoint');
    file.put(now);
    await good(node, 3);
    file.put([]); // while rounds are under way
    await good(node, 0);
    await addsUp(node);
});

test('the command line of a container', async (t) => {
    const file = publishedNodes([entry(['ns=1;s=Label'])]);
    const home = tempFolder(), lines = [];
    writeFileSync(join(home, 'f.yaml'), 'version: 1\nlisteners: [{ type: mqtt, at: ["127.0.0.1:0"] }]\n');
    const node = start(FIELDGATE, ['opcua', 'publisher', 'gw1', 'HostName=x;DeviceId=y;SharedAccessKey=z', `--pf=${file.path}`, '--ns=true', '--fd', 'true', '--aa', '--si', '1', '--zork=1'], {
        env: { FIELDGATE_DATA: join(home, 'd'), FIELDGATE_CONFIG: join(home, 'f.yaml'), DefaultPublishingInterval: '200' }, onLine: (line) => lines.push(line),
    });
    t.after(() => node.kill('SIGTERM'));
    await until(() => lines.includes('ready'), 'it is ready');
    const port = Number(/^listening mqtt .*:(\d+)$/m.exec(lines.join('\n'))[1]);
    const client = await mqttConnect({ t, port });
    await client.subscribeAsync('opcua/#');
    await until(() => client.messages.some((m) => JSON.parse(m.text)[0].DisplayName === 'Label'), 'the value comes');
    assert.ok(node.err.some((line) => /FG5265 .*connection string/.test(line)) && node.err.some((line) => /FG5265 --zork/.test(line)));
});
