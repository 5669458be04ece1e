// The node as an OPC UA server: topics as variables, writes as messages. Seen with node-opcua's client and MQTT.js.
// timeout: 180

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, startRefused, tempFolder } from './lib/node.mjs';
import { browseAll, readAll, ua, uaConnect, uaRefused, uaSubscribe } from './lib/opcua-client.mjs';
import { run } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

const SERVER = { at: ['127.0.0.1:0'] };
const TELEMETRY = { topic: 'factory/line1/press-1/telemetry' };

const status = async (node) => JSON.parse((await node.verb('status', '-o', 'json')).out.join(''))['opcua-server'];
const urlOf = (node) => until(async () => (await status(node))?.at, 'the OPC UA server is there', 20_000, 100);
const metric = async (node, name) => Number(new RegExp(`^fieldgate_opcua_server_${name} (\\d+)$`, 'm').exec((await node.get('/metrics')).text)?.[1]);

async function stage(t, variables, { server = SERVER, as, policy, ...options } = {}) {
    const node = await startNode({ t, settings: { opcua: { server, variables } }, ...options });
    const url = await urlOf(node);
    const { session, client } = await uaConnect({ t, url, as, policy });
    const mqtt = await mqttConnect({ t, node });
    return { node, url, session, client, mqtt };
}

const read = async (session, id) => (await readAll(session, [`ns=2;s=${id}`]))[0];
/** The value when it is good. */
const good = (session, id, value) => until(async () => {
    const v = await read(session, id);
    return v.statusCode.name === 'Good' && (value === undefined || v.value.value === value) && v;
}, `${id} is ${value}`);
const bad = (session, id, name) => until(async () => (await read(session, id)).statusCode.name === name, `${id} is ${name}`);
const write = (session, id, dataType, value) => session.write({ nodeId: `ns=2;s=${id}`, attributeId: ua.AttributeIds.Value, value: { value: { dataType, value } } });

test('a message is a notification with value, type, unit, range and time', async (t) => {
    const { node, session, mqtt } = await stage(t, {
        Temperature: { ...TELEMETRY, field: 'motor.temperature', unit: 'CEL', range: [0, 120], timestamp: 'time', folder: 'Line1/Press1' },
        Count: { ...TELEMETRY, field: 'count', type: 'UInt16', folder: 'Line1/Press1' },
    });
    const { monitor } = await uaSubscribe(session);
    const { values } = await monitor('ns=2;s=Temperature');
    await until(() => values.length === 1, 'the first notification');
    assert.equal(values[0].statusCode.name, 'BadWaitingForInitialData');
    await mqtt.publishAsync(TELEMETRY.topic, '{"motor":{"temperature":21.5},"count":7,"time":"2026-11-22T06:00:04.123Z"}', { qos: 1 });
    await until(() => values.length === 2, 'a value');
    assert.equal(values[1].value.value, 21.5);
    assert.equal(ua.DataType[values[1].value.dataType], 'Double');
    assert.equal(values[1].statusCode.name, 'Good');
    assert.equal(values[1].sourceTimestamp.toISOString(), '2026-11-22T06:00:04.123Z');
    const count = await good(session, 'Count', 7);
    assert.equal(ua.DataType[count.value.dataType], 'UInt16');
    assert.ok(Math.abs(count.sourceTimestamp - Date.now()) < 20_000, 'without a field it is the time of the message');
    assert.match((await node.verb('status')).out.join('\n'), /opcua +opc\.tcp:\S+ +1 client {3}2 variables/);
    const properties = Object.fromEntries((await browseAll(session, 'ns=2;s=Temperature')).map((r) => [r.browseName.name, r.nodeId]));
    const [unit, range] = await readAll(session, [properties.EngineeringUnits, properties.EURange]);
    assert.equal(unit.value.value.displayName.text, '°C');
    assert.equal(unit.value.value.unitId, 0x43454c);
    assert.deepEqual([range.value.value.low, range.value.value.high], [0, 120]);
    const objects = await browseAll(session, 'i=85');
    const line = objects.find((r) => r.browseName.name === 'Line1');
    const press = (await browseAll(session, line.nodeId)).find((r) => r.browseName.name === 'Press1');
    const names = (await browseAll(session, press.nodeId)).filter((r) => r.nodeClass === 2).map((r) => r.browseName.name);
    assert.deepEqual(names.sort(), ['Count', 'Temperature']);
    await until(async () => await metric(node, 'values_total') === 2 && await metric(node, 'messages_total') === 1, 'they are counted');
});

test('what a message does not have, or has of another type, is a bad status that is counted', async (t) => {
    const { node, session, mqtt } = await stage(t, {
        N: { topic: 'a/b', field: 'n', type: 'Byte' }, T: { topic: 'a/b', field: 't', type: 'String' },
        Whole: { topic: 'a/whole' }, Flag: { topic: 'a/flag', type: 'Boolean' }, When: { topic: 'a/b', field: 'w', type: 'DateTime' },
    });
    const say = (topic, text) => mqtt.publishAsync(topic, text, { qos: 1 });
    await say('a/b', '{"n":12,"t":"x","w":1700000000}');
    assert.equal((await good(session, 'N')).value.value, 12);
    assert.equal((await good(session, 'T')).value.value, 'x');
    assert.equal((await good(session, 'When')).value.value.toISOString(), '2023-11-14T22:13:20.000Z');
    await say('a/b', '{"n":256}');
    await bad(session, 'N', 'BadOutOfRange');
    await bad(session, 'T', 'BadNoData');
    await say('a/b', '{"n":[1],"t":[1]}');
    await bad(session, 'N', 'BadTypeMismatch');
    assert.equal((await good(session, 'T')).value.value, '[1]');
    await say('a/b', '{"n":');
    await bad(session, 'N', 'BadDecodingError');
    await say('a/whole', ' 21.5\n');
    assert.equal((await good(session, 'Whole')).value.value, 21.5);
    await say('a/whole', 'warm');
    await bad(session, 'Whole', 'BadTypeMismatch');
    await say('a/flag', 'true');
    assert.equal((await good(session, 'Flag')).value.value, true);
    await say('a/b', '[{"n":1},{"n":2}]');
    await good(session, 'N', 2);
    await until(async () => await metric(node, 'bad_values_total') >= 6, 'they are counted');
    assert.equal(node.log().split('FG5406 opcua.variables.N').length - 1, 1, 'said once');
});

test('what a client writes is a message, if it may', async (t) => {
    const { node, session, mqtt } = await stage(t, {
        Setpoint: { topic: 'press/setpoint', writable: 'press/setpoint/set' }, Name: { topic: 'press/name', type: 'String', writable: 'press/name/set' },
        Fixed: { topic: 'press/fixed' },
    }, { server: { ...SERVER, anonymous: 'write' } });
    await mqtt.subscribeAsync('press/+/set', { qos: 1 });
    assert.equal((await write(session, 'Setpoint', ua.DataType.Double, 42.5)).name, 'Good');
    assert.equal((await write(session, 'Name', ua.DataType.String, 'a "b"')).name, 'Good');
    const [first, second] = await mqtt.take(2);
    assert.deepEqual([first.topic, first.text, first.qos], ['press/setpoint/set', '42.5', 1]);
    assert.deepEqual([second.topic, second.text], ['press/name/set', 'a "b"']);
    assert.equal((await read(session, 'Setpoint')).value.value, 42.5);
    assert.equal((await write(session, 'Setpoint', ua.DataType.String, 'x')).name, 'BadTypeMismatch');
    assert.equal((await write(session, 'Fixed', ua.DataType.Double, 1)).name, 'BadNotWritable');
    await until(async () => await metric(node, 'writes_total') === 2, 'two writes are counted');
});

test('Good for a write means on disk: it survives kill -9 at once', async (t) => {
    const dataDir = join(tempFolder(), 'data');
    const settings = { hub: { topics: ['press/#'] }, opcua: { server: { ...SERVER, anonymous: 'write' }, variables: { Setpoint: { topic: 'press/setpoint', writable: 'press/setpoint/set' } } } };
    const node = await startNode({ t, dataDir, settings });
    const { session } = await uaConnect({ t, url: await urlOf(node) });
    for (let i = 0; i < 20; i++) assert.equal((await write(session, 'Setpoint', ua.DataType.Double, i)).name, 'Good');
    await node.kill9();
    await node.restart();
    const kept = (await node.verb('events', '--earliest', '-e', '-o', 'jsonl')).out.map((line) => JSON.parse(line)).filter((e) => e.topic === 'press/setpoint/set');
    assert.deepEqual(kept.map((e) => e.body), Array.from({ length: 20 }, (_, i) => i));
});

test('who may read only is refused, and so is who no rule lets publish', async (t) => {
    const dataDir = join(tempFolder(), 'data');
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const file = (text) => {
        const path = join(tempFolder(), 'file');
        writeFileSync(path, text);
        return path;
    };
    for (const name of ['anna', 'bert']) {
        const end = await run(FIELDGATE, ['user', 'add', name, '--password', `@${file(`of-${name}\n`)}`, '--data', dataDir], { timeoutMs: 20_000 });
        assert.equal(end.code, 0, end.err.join('\n'));
    }
    const rules = file('version: 1\nrules:\n  - user: anna\n    publish: ["press/#"]\n  - anonymous: true\n    publish: ["press/setpoint"]\n    subscribe: ["press/#"]\n');
    const node = await startNode({ t, dataDir, settings: { rules, opcua: { server: SERVER, variables: { Setpoint: { topic: 'press/setpoint', writable: 'press/set' } } } } });
    const url = await urlOf(node);
    const mqtt = await mqttConnect({ t, node });
    await mqtt.subscribeAsync('press/set', { qos: 1 });
    const anonymous = await uaConnect({ t, url });
    assert.equal((await write(anonymous.session, 'Setpoint', ua.DataType.Double, 1)).name, 'BadUserAccessDenied');
    const bert = await uaConnect({ t, url, as: { user: 'bert', password: 'of-bert' } });
    assert.equal((await write(bert.session, 'Setpoint', ua.DataType.Double, 2)).name, 'BadUserAccessDenied');
    const anna = await uaConnect({ t, url, as: { user: 'anna', password: 'of-anna' } });
    assert.equal((await write(anna.session, 'Setpoint', ua.DataType.Double, 3)).name, 'Good');
    assert.equal((await mqtt.take(1))[0].text, '3');
    assert.equal(await uaRefused({ t, url, as: { user: 'anna', password: 'of-bert' } }), 'BadUserAccessDenied');
    assert.equal(await uaRefused({ t, url, as: { user: 'nobody', password: 'of-bert' } }), 'BadUserAccessDenied');
    assert.ok(!node.log().includes('of-anna') && !node.log().includes('of-bert'));
    const gone = await run(FIELDGATE, ['user', 'rm', 'anna', '--data', dataDir], { timeoutMs: 20_000 });
    assert.equal(gone.code, 0, gone.err.join('\n'));
    await until(async () => (await write(anna.session, 'Setpoint', ua.DataType.Double, 4)).name === 'BadUserAccessDenied', 'a removed user writes no more', 10_000);
});

test('wildcards make variables as topics appear, in folders by their levels', async (t) => {
    const { session, mqtt } = await stage(t, {
        Temperature: { topic: 'factory/+/+/telemetry', field: 't' },
        State: { topic: 'state/#', type: 'String', folder: 'States/{#}', node: 's=state:{#}' },
        Speed: { topic: 'drive/+/speed', folder: '{2}', writable: 'drive/{2}/set' },
    }, { server: { ...SERVER, anonymous: 'write' } });
    for (const [line, press, value] of [['line1', 'press-1', 1], ['line1', 'press-2', 2], ['line2', 'press-1', 3]])
        await mqtt.publishAsync(`factory/${line}/${press}/telemetry`, JSON.stringify({ t: value }), { qos: 1 });
    await mqtt.publishAsync('state/a/b', 'runs', { qos: 1 });
    await mqtt.publishAsync('drive/d1/speed', '5', { qos: 1 });
    await good(session, 'line1/press-1/Temperature', 1);
    await good(session, 'line1/press-2/Temperature', 2);
    await good(session, 'line2/press-1/Temperature', 3);
    await good(session, 'state:a/b', 'runs');
    await good(session, 'd1/Speed', 5);
    const line1 = (await browseAll(session, 'i=85')).find((r) => r.browseName.name === 'line1');
    assert.deepEqual((await browseAll(session, line1.nodeId)).filter((r) => r.nodeClass === 1).map((r) => r.browseName.name).sort(), ['press-1', 'press-2']);
    await mqtt.subscribeAsync('drive/+/set', { qos: 1 });
    await write(session, 'd1/Speed', ua.DataType.Double, 6);
    assert.equal((await mqtt.take(1))[0].topic, 'drive/d1/set');
});

test('a variable that is heard of no more is uncertain, and says so', async (t) => {
    const { node, session, mqtt } = await stage(t, { T: { topic: 'a/t', stale: '1s' }, Never: { topic: 'a/never', stale: '1s' } });
    const { monitor } = await uaSubscribe(session);
    const { values } = await monitor('ns=2;s=T');
    await mqtt.publishAsync('a/t', '5', { qos: 1 });
    await until(() => values.some((v) => v.statusCode.name === 'UncertainLastUsableValue'), 'the value is stale', 15_000);
    assert.equal(values.at(-1).value.value, 5);
    await bad(session, 'Never', 'BadNoCommunication');
    await mqtt.publishAsync('a/t', '6', { qos: 1 });
    await good(session, 'T', 6);
    await until(async () => await metric(node, 'stale_total') >= 2, 'they are counted');
});

test('a reload changes variables under clients that stay', async (t) => {
    const { node, session, client, mqtt } = await stage(t, { A: { topic: 'r/a' }, B: { topic: 'r/b', folder: 'Old' } });
    let lost = 0;
    client.on('connection_lost', () => lost++);
    await mqtt.publishAsync('r/a', '1', { qos: 1 });
    await mqtt.publishAsync('r/c', '3', { qos: 1, retain: true });
    await good(session, 'A', 1);
    const { monitor } = await uaSubscribe(session);
    const { values } = await monitor('ns=2;s=A');
    const end = await node.reload({ opcua: { server: SERVER, variables: { A: { topic: 'r/a' }, C: { topic: 'r/c', folder: 'New' } } } });
    assert.equal(end.code, 0, end.err.join('\n'));
    assert.equal((await good(session, 'C')).value.value, 3);
    await bad(session, 'B', 'BadNodeIdUnknown');
    assert.deepEqual((await browseAll(session, 'i=85')).map((r) => r.browseName.name).filter((n) => n === 'Old' || n === 'New'), ['New']);
    assert.equal((await read(session, 'A')).value.value, 1, 'what is the same keeps its value');
    await mqtt.publishAsync('r/a', '2', { qos: 1 });
    await until(() => values.at(-1)?.value.value === 2, 'the old subscription goes on');
    assert.equal(lost, 0);
    const off = await node.reload({ opcua: undefined });
    assert.equal(off.code, 0, off.err.join('\n'));
    await until(async () => (await status(node)) === null, 'the server is closed');
    for (let i = 0; i < 10; i++) await mqtt.publishAsync('r/a', String(i), { qos: 1 });
    assert.match((await node.verb('status', '-o', 'json')).out.join(''), /"queued":0\b/, 'nothing waits for it');
});

test('after a restart retained messages are the first values, and what waited is not lost', async (t) => {
    const { node, mqtt, session } = await stage(t, { Kept: { topic: 'k/kept' }, Gone: { topic: 'k/gone' } });
    await mqtt.publishAsync('k/kept', '7', { qos: 1, retain: true });
    await mqtt.publishAsync('k/gone', '8', { qos: 1 });
    await good(session, 'Kept', 7);
    await good(session, 'Gone', 8);
    const time = (await read(session, 'Kept')).sourceTimestamp.getTime();
    await node.restart({ kill9: true });
    const again = await uaConnect({ t, url: await urlOf(node) });
    const kept = await good(again.session, 'Kept');
    assert.equal(kept.value.value, 7);
    assert.ok(Math.abs(kept.sourceTimestamp.getTime() - time) < 1000, 'with the time that it had');
});

test('with security a client must be trusted first, by fieldgate opcua trust', async (t) => {
    const node = await startNode({ t, settings: { opcua: { server: { ...SERVER, security: ['Basic256Sha256'] }, variables: { A: { topic: 's/a' } } } } });
    const url = await urlOf(node);
    assert.notEqual(await uaRefused({ t, url, policy: 'Basic256Sha256' }), 'Good');
    await until(() => /BadCertificateUntrusted/.test(node.log()), 'the log says why');
    assert.notEqual(await uaRefused({ t, url, policy: 'None' }), 'Good');
    const end = await run(FIELDGATE, ['opcua', 'trust', 'accept', 'Test client', '--data', node.dataDir]);
    assert.equal(end.code, 0, [...end.out, ...end.err].join('\n'));
    const { session } = await uaConnect({ t, url, policy: 'Basic256Sha256' });
    assert.equal((await read(session, 'A')).statusCode.name, 'BadWaitingForInitialData');
});

test('settings that would be unsafe, or make no sense, are refused with their place', async () => {
    const refused = async (opcua, pattern) => {
        const end = await startRefused({ settings: { opcua } });
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), pattern);
    };
    await refused({ server: { at: ['0.0.0.0:0'], security: ['None'] } }, /FG1014 .*insecure: true/);
    await refused({ server: { at: ['0.0.0.0:0'], anonymous: 'write' } }, /FG1014 .*insecure: true/);
    await refused({ server: SERVER, variables: { A: { topic: 'a/+/b/+', folder: '{2}' } } }, /FG1014 .*opcua\.variables\.A\.folder does not say \{4\}/);
    await refused({ server: SERVER, variables: { A: { topic: 'a', unti: 'CEL' } } }, /FG1012 .*Did you mean 'unit'/);
});

test('without opcua.server no port is opened and nothing waits', async (t) => {
    const node = await startNode({ t });
    assert.equal(await status(node), null);
    assert.doesNotMatch((await node.get('/metrics')).text, /opcua_server/);
});
