// `fieldgate opcua` by hand, against `fieldgate sensor`: what a person types in the first ten minutes.
// timeout: 120

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { run } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

let sensor;
const data = join(tempFolder('verbs'), 'data');
const opcua = async (...args) => {
    const { code, out, err } = await run(FIELDGATE, ['opcua', ...args, '--data', data]);
    return { code, out: out.join('\n'), err: err.join('\n') };
};
before(async () => { sensor = await startSensor({ args: ['--accept-any'] }); });
after(() => sensor?.stop());

test('nothing is trusted before somebody says yes', async () => {
    const refused = await opcua('read', sensor.url, 'i=2258');
    assert.equal(refused.code, 1);
    const [, sha1] = /FG5221 .* To trust it: fieldgate opcua trust accept ([0-9A-F]{10})/.exec(refused.err);
    const list = JSON.parse((await opcua('trust', 'list', '-o', 'json')).out).certificates;
    assert.deepEqual(list.map((c) => c.where), ['own', 'rejected']);
    assert.match((await opcua('trust', 'accept', sha1)).out, /is trusted$/);
    assert.equal((await opcua('read', sensor.url, 'i=2258')).code, 0);
    assert.match((await opcua('trust', 'own')).out, /^-----BEGIN CERTIFICATE-----/);
});

test('browse shows the tree with types and values', async () => {
    const { code, out } = await opcua('browse', sensor.url);
    assert.equal(code, 0);
    assert.match(out, /^Objects\tobject\t\ti=85$/m);
    assert.match(out, /^ {2}press-1\tobject\t\tns=2;s=press-1$/m);
    assert.match(out, /^ {4}Temperature\tDouble\t[\d.]+\tns=2;s=Temperature$/m);
    assert.match(out, /^ {4}Stop\(\)\tmethod\t\tns=2;s=Stop$/m);
    const nodes = JSON.parse((await opcua('browse', sensor.url, 'press-1', '-o', 'json')).out).nodes;
    assert.equal(nodes[0].name, 'press-1');
    assert.equal(typeof nodes.find((n) => n.name === 'Humidity').value, 'number');
    const all = JSON.parse((await opcua('browse', sensor.url, 'i=84', '--all', '--depth', '20', '-o', 'json')).out).nodes;
    assert.ok(all.length > 300 && all.some((n) => n.name === 'BaseEventType'));
});

test('read, write and call', async () => {
    const values = JSON.parse((await opcua('read', sensor.url, 'ns=2;s=Run', 'press-1/Temperature', 'nsu=urn:fieldgate:machine;s=Humidity', '-o', 'json')).out).values;
    assert.deepEqual(values.map((v) => [v.type, v.status]), [['Boolean', 'Good'], ['Double', 'Good'], ['Double', 'Good']]);
    assert.match((await opcua('write', sensor.url, 'press-1/Run', 'false')).out, /^press-1\/Run = false {2}Good$/);
    assert.equal(JSON.parse((await opcua('read', sensor.url, 'ns=2;s=Run', '-o', 'json')).out).values[0].value, false);
    assert.equal((await opcua('call', sensor.url, 'press-1', 'press-1/Start')).code, 0);
    assert.equal(JSON.parse((await opcua('read', sensor.url, 'ns=2;s=Run', '-o', 'json')).out).values[0].value, true);
    assert.match((await opcua('read', sensor.url, 'ns=2;s=Temperature', '-a', 'AccessLevel', '-o', 'csv')).out, /,Byte,Good/);
});

test('what is wrong is said, with a status of its own', async () => {
    assert.match((await opcua('read', sensor.url, 'ns=2;s=Nothing')).out, /BadNodeIdUnknown/);
    assert.equal((await opcua('read', sensor.url, 'ns=2;s=Nothing')).code, 1);
    const path = await opcua('read', sensor.url, 'press-1/Nothing');
    assert.equal(path.code, 2);
    assert.match(path.err, /there is no node 'press-1\/Nothing': write ns=2;s=Temp, or a path/);
    const type = await opcua('write', sensor.url, 'press-1/Run', 'perhaps');
    assert.equal(type.code, 2);
    assert.match(type.err, /'perhaps' is no Boolean: write true or false/);
    assert.match((await opcua('write', sensor.url, 'press-1/Temperature', '3')).err, /BadNotWritable/);
    assert.match((await opcua('call', sensor.url, 'press-1', 'press-1/Stop', '1')).err, /BadTooManyArguments/);
    const gone = await opcua('read', 'opc.tcp://127.0.0.1:1', 'i=84', '--timeout', '3s');
    assert.equal(gone.code, 1);
    assert.match(gone.err, /opc\.tcp:\/\/127\.0\.0\.1:1/);
    assert.equal((await opcua('read', 'http://127.0.0.1', 'i=84')).code, 2);
});

test('watch prints changes, and ends after so many', async () => {
    const { code, out } = await opcua('watch', sensor.url, 'i=2258', '-C', '3', '--interval', '50ms', '-o', 'jsonl');
    assert.equal(code, 0);
    const lines = out.split('\n').map((line) => JSON.parse(line));
    assert.equal(lines.length, 3);
    assert.ok(lines.every((l) => l.type === 'DateTime' && l.status === 'Good'));
    assert.ok(lines[0].value < lines[2].value);
    const few = await opcua('watch', sensor.url, 'ns=2;s=Run', '-C', '5', '-W', '1');
    assert.equal(few.code, 1);
    const none = await opcua('watch', sensor.url, 'ns=2;s=Run', '-W', '1', '--interval', '60s');
    assert.equal(none.code, 1);
    assert.match(none.err, /no value came/);
});

test('names stand in csv and json as they are, in tables escaped once', async (t) => {
    const odd = await startSensor({ args: ['--accept-any', '--name', 'a"\\b\u0085, c'] });
    t.after(() => odd.stop());
    const browse = (...args) => opcua('browse', odd.url, '--accept-any', '--depth', '1', ...args);
    assert.match((await browse('-o', 'csv')).out, /^"a""\\b\u0085, c",object,,/m);
    assert.ok(JSON.parse((await browse('-o', 'json')).out).nodes.some((n) => n.name === 'a"\\b\u0085, c'));
    assert.match((await browse()).out, /^ {2}a"\\b\\xc2, c\t|^ {2}a"\\b\\xc2\\x85, c\t/m);
});

test('test says what the server offers', async () => {
    const { code, out } = await opcua('test', sensor.url);
    assert.equal(code, 0, out);
    for (const line of ['Aes256_Sha256_RsaPss SignAndEncrypt', 'TransferSubscriptions', 'HistoryRead', 'values come']) assert.match(out, new RegExp(`ok {2}${line}`));
    assert.match(out, /^\d+ ok, 0 warnings, 0 errors$/m);
});

test('publish lets the node read what matches; list shows how it goes', async (t) => {
    const file = join(tempFolder('publish'), 'nodes.json');
    const node = await startNode({ t, settings: { opcua: { 'published-nodes': file, options: '--aa --si=0 --ms=0' } } });
    const by = (...args) => run(FIELDGATE, ['opcua', ...args, '--data', node.dataDir]);
    await until(async () => (await by('list')).code === 0, 'its publisher is there', 20_000);
    const { code, out, err } = await by('publish', sensor.url, '**/Temp*', 'ns=2;s=Humidity', '--accept-any', '--interval', '100ms');
    assert.equal(code, 0, err.join('\n'));
    assert.deepEqual(out, ['press-1/Temperature  nsu=urn:fieldgate:machine;s=Temperature', 'press-1/Humidity  nsu=urn:fieldgate:machine;s=Humidity',
        '2 nodes are read by the node: fieldgate opcua list']);
    const servers = async () => JSON.parse((await by('list', '-o', 'json')).out.join('')).servers;
    await until(async () => (await servers())[0]?.good === 2, 'both are read', 20_000);
    assert.equal((await servers())[0].state, 'up');
    assert.equal((await by('publish', sensor.url, '**/Humidity', '--remove', '--accept-any')).code, 0);
    await until(async () => (await servers())[0]?.nodes === 1, 'one is read', 20_000);
    const none = await by('publish', sensor.url, 'press-1', '--accept-any');
    assert.equal(none.code, 2);
    assert.match(none.err.join('\n'), /no variable matches/);
});

test('the sensors of a Linux machine: a DHT11, a processor; one that fails says so; Run reaches a pin', async (t) => {
    const sys = tempFolder('sys'), pin = join(sys, 'gpio17');
    const put = (path, text) => { mkdirSync(dirname(join(sys, path)), { recursive: true }); writeFileSync(join(sys, path), text); };
    put('bus/iio/devices/iio:device0/name', 'dht11@4\n');
    put('bus/iio/devices/iio:device0/in_temp_input', '21500\n');
    put('bus/iio/devices/iio:device0/in_humidityrelative_input', '43000\n');
    put('class/hwmon/hwmon0/name', 'coretemp\n');
    put('class/hwmon/hwmon0/temp1_input', '51000\n');
    put('class/hwmon/hwmon0/temp1_label', 'Core 0\n');
    writeFileSync(pin, '1');
    const list = await run(FIELDGATE, ['sensor', '--list', '--sys', sys, '-o', 'json']);
    assert.deepEqual(JSON.parse(list.out.join('')).sensors.map((s) => [s.device, s.name, s.value, s.unit]),
        [['dht11@4', 'Humidity', 43, '%'], ['dht11@4', 'Temperature', 21.5, '°C'], ['coretemp', 'Core 0', 51, '°C']]);

    const real = await startSensor({ t, args: ['--sys', sys, '--run-file', pin, '--name', 'pi'], simulate: false });
    const values = async () => Object.fromEntries(JSON.parse((await opcua('read', real.url, 'pi/Temperature', 'pi/Humidity', 'pi/Core 0', '--security', 'None', '-o', 'json')).out)
        .values.map((v) => [v.node, v]));
    await until(async () => (await values())['pi/Temperature'].value === 21.5, 'a reading is there');
    assert.equal((await values())['pi/Core 0'].value, 51);
    put('bus/iio/devices/iio:device0/in_temp_input', '22000\n');
    await until(async () => (await values())['pi/Temperature'].value === 22, 'the next reading is there');
    rmSync(join(sys, 'bus/iio/devices/iio:device0/in_temp_input'));
    mkdirSync(join(sys, 'bus/iio/devices/iio:device0/in_temp_input')); // reads fail as those of a loose wire do
    await until(async () => (await values())['pi/Temperature'].status === 'BadSensorFailure', 'it says that it fails');
    assert.equal((await values())['pi/Humidity'].status, 'Good');
    assert.match(real.log(), /Temperature of dht11@4 does not answer/);

    assert.equal((await opcua('write', real.url, 'pi/Run', 'false', '--security', 'None')).code, 0);
    assert.equal(readFileSync(pin, 'utf8'), '0');
    assert.equal((await opcua('call', real.url, 'pi', 'pi/Start', '--security', 'None')).code, 0);
    assert.equal(readFileSync(pin, 'utf8'), '1');
    rmSync(pin);
    mkdirSync(pin);
    const broken = await opcua('write', real.url, 'pi/Run', 'false', '--security', 'None');
    assert.equal(broken.code, 1);
    assert.match(broken.err, /BadDeviceFailure/);
});

test('a machine without sensors says what to do', async () => {
    const none = await run(FIELDGATE, ['sensor', '--sys', tempFolder('none'), '--data', data]);
    assert.equal(none.code, 1);
    assert.match(none.err.join(''), /has no sensors .*--simulate/);
    const other = await run(FIELDGATE, ['sensor', '--simulate', '--limit', 'sesions=3', '--data', data]);
    assert.equal(other.code, 2);
    assert.match(other.err.join(''), /--limit 'sesions=3' is none: write sessions=100/);
});
