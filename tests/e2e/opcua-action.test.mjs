// Actions that write to a machine and call its methods over OPC UA. The machine is `fieldgate sensor`.
// timeout: 180

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, startRefused } from './lib/node.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { run } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

function folder(t) {
    const dir = mkdtempSync(join(tmpdir(), 'fieldgate-opcua-action-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
}

const audit = (node) => {
    try {
        return readFileSync(join(node.dataDir, 'audit/actions.jsonl'), 'utf8').split('\n').filter((line) => line).map((line) => JSON.parse(line));
    } catch {
        return [];
    }
};
const audited = (node, n) => until(() => audit(node).length >= n && audit(node), `${n} lines in the audit`, 30_000);

/** The value as another client sees it. */
async function value(t, sensor, node) {
    const { out } = await run(FIELDGATE, ['opcua', 'read', sensor.url, node, '-o', 'json', '--security', 'None', '--data', folder(t)]);
    return JSON.parse(out.join('')).values[0].value;
}

const write = (more = {}, action = {}) => ({ on: 'alarms/press-1', do: { 'opcua-write': { server: 'press-1', node: 'ns=2;s=Run', value: 'false', ...more } }, ...action });

async function startWith(t, server, actions) {
    const node = await startNode({ t, settings: { opcua: { servers: { 'press-1': server } }, actions } });
    return { node, client: await mqttConnect({ t, node }) };
}

test('an event writes to the machine, signed and encrypted, and the audit says so', async (t) => {
    const sensor = await startSensor({ t, args: ['--accept-any'] });
    const { node, client } = await startWith(t, { url: sensor.url, security: 'Basic256Sha256', 'accept-any': true }, { stop: write({ value: '${run}' }) });
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), true);
    await client.publishAsync('alarms/press-1', '{"run":false}', { qos: 1 });
    const [line] = await audited(node, 1);
    assert.equal(line.result, 'good');
    assert.equal(line.what, 'OPC UA write press-1 ns=2;s=Run=false');
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), false);
    await client.publishAsync('alarms/press-1', '{"run":true}', { qos: 1 });
    await audited(node, 2);
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), true);
});

test('an event calls a method; a namespace is found by its address', async (t) => {
    const sensor = await startSensor({ t, args: ['--accept-any'] });
    const call = { on: 'alarms/press-1', do: { 'opcua-call': { server: 'press-1', object: 'nsu=urn:fieldgate:machine;s=press-1', method: 'nsu=urn:fieldgate:machine;s=Stop' } } };
    const { node, client } = await startWith(t, { url: sensor.url, security: 'None' }, { stop: call });
    await client.publishAsync('alarms/press-1', '{}', { qos: 1 });
    const [line] = await audited(node, 1);
    assert.equal(line.result, 'good');
    assert.equal(line.what, 'OPC UA call press-1 nsu=urn:fieldgate:machine;s=Stop()');
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), false);
});

test('what cannot succeed is given up at once, with the status of the server', async (t) => {
    const sensor = await startSensor({ t });
    const { node, client } = await startWith(t, { url: sensor.url, security: 'None' }, {
        absent: write({ node: 'ns=2;s=Walk' }, { on: 'alarms/absent' }),
        readonly: write({ node: 'ns=2;s=Temperature', value: '12' }, { on: 'alarms/readonly' }),
        type: write({ value: '${run}' }, { on: 'alarms/type' }),
    });
    for (const name of ['absent', 'readonly', 'type']) await client.publishAsync(`alarms/${name}`, '{"run":"soon"}', { qos: 1 });
    const lines = Object.fromEntries((await audited(node, 3)).map((line) => [line.action, line]));
    for (const line of Object.values(lines)) assert.deepEqual([line.result, line.tries], ['failed', 1]);
    assert.match(lines.absent.said, /BadNodeIdUnknown/);
    assert.match(lines.readonly.said, /BadNotWritable/);
    assert.match(lines.type.said, /'soon' is no Boolean/);
});

test('a machine that is away is tried again and written to when it is back', async (t) => {
    const sensor = await startSensor({ t });
    const { node, client } = await startWith(t, { url: sensor.url, security: 'None' }, { stop: write({}, { timeout: '1s', retry: 20 }) });
    await client.publishAsync('alarms/press-1', '{}', { qos: 1 });
    await audited(node, 1);
    await sensor.stop();
    await client.publishAsync('alarms/press-1', '{}', { qos: 1 });
    await until(() => node.log().includes('FG6313'), 'the first try has failed', 20_000);
    assert.match(node.log(), /press-1 is not connected/);
    const again = await startSensor({ t, args: ['--at', `opc.tcp://127.0.0.1:${sensor.port}`] });
    const lines = await audited(node, 2);
    assert.equal(lines[1].result, 'good');
    assert.ok(lines[1].tries > 1);
    assert.equal(await value(t, { url: `opc.tcp://127.0.0.1:${sensor.port}` }, 'ns=2;s=Run'), false);
    await again.stop();
});

test('a server that is not trusted gets nothing until somebody says yes', async (t) => {
    const sensor = await startSensor({ t, args: ['--accept-any'] });
    const { node, client } = await startWith(t, { url: sensor.url, security: 'Aes256_Sha256_RsaPss' }, { stop: write({}, { timeout: '1s', retry: 20 }) });
    await client.publishAsync('alarms/press-1', '{}', { qos: 1 });
    await until(() => node.log().includes('FG5221'), 'it says why', 20_000);
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), true);
    const [, sha1] = /opcua trust accept ([0-9A-F]+)/.exec(node.log());
    assert.equal((await run(FIELDGATE, ['opcua', 'trust', 'accept', sha1, '--data', node.dataDir])).code, 0);
    const [line] = await audited(node, 1);
    assert.equal(line.result, 'good');
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), false);
});

test('a user signs in; the password is nowhere to be read', async (t) => {
    const sensor = await startSensor({ t, users: { operator: 'pass-7261-word' }, args: ['--accept-any'] });
    const file = join(folder(t), 'password');
    writeFileSync(file, 'pass-7261-word\n', { mode: 0o600 });
    const { node, client } = await startWith(t, { url: sensor.url, user: 'operator', 'password-file': file, 'accept-any': true }, { stop: write() });
    await client.publishAsync('alarms/press-1', '{}', { qos: 1 });
    assert.equal((await audited(node, 1))[0].result, 'good');
    assert.ok(!node.log().includes('pass-7261-word') && !sensor.log().includes('pass-7261-word'));
});

test('a dry run writes nothing, a guard holds back', async (t) => {
    const sensor = await startSensor({ t });
    const { node, client } = await startWith(t, { url: sensor.url, security: 'None' }, {
        dry: write({}, { on: 'alarms/dry', guard: { 'dry-run': true } }),
        twice: write({}, { on: 'alarms/twice', guard: { 'at-least': '2 in 10s' } }),
    });
    await client.publishAsync('alarms/dry', '{}', { qos: 1 });
    await client.publishAsync('alarms/twice', '{}', { qos: 1 });
    const results = (await audited(node, 2)).map((line) => line.result).sort();
    assert.deepEqual(results, ['dry run', 'held back']);
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), true);
    await client.publishAsync('alarms/twice', '{}', { qos: 1 });
    await audited(node, 3);
    assert.equal(await value(t, sensor, 'ns=2;s=Run'), false);
});

test('settings that name no server, no node, or two kinds are refused with the reason', async (t) => {
    const servers = { 'press-1': 'opc.tcp://127.0.0.1:4840' };
    const cases = [
        [{ on: 'a/b', do: { 'opcua-write': { server: 'press-2', node: 'i=1', value: '1' } } }, /'press-2' is not one of opcua\.servers/],
        [{ on: 'a/b', do: { 'opcua-write': { server: 'press-1', node: 'Run', value: '1' } } }, /'Run' is no node/],
        [{ on: 'a/b', do: { 'opcua-write': { node: 'i=1', value: '1' } } }, /do\.opcua-write has no server/],
        [{ on: 'a/b', do: { 'opcua-call': { server: 'press-1', object: 'i=1' } } }, /do\.opcua-call\.method is missing/],
        [{ on: 'a/b', do: { program: ['true'], 'opcua-call': { server: 'press-1', object: 'i=1', method: 'i=2' } } }, /does two things/],
    ];
    for (const [action, said] of cases) {
        const refused = await startRefused({ t, settings: { opcua: { servers }, actions: { stop: action } } });
        assert.match(JSON.stringify(refused), said);
    }
});
