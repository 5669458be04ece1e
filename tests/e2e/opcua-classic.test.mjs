// The classic set-up by pasting: a published-nodes file, the container's options --ns=true --fd=true --aa, the spike query, a
// handler that stops the machine. The machine is node-opcua's server, with security, as a PLC has it.
// timeout: 150

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { startNode, tempFolder } from './lib/node.mjs';
import { startUaServer } from './lib/opcua-server.mjs';
import { sleep, until } from './lib/wait.mjs';

const nodes = (url) => `[
  // the press
  {
    "EndpointUrl": "${url}",
    "UseSecurity": true,
    "OpcNodes": [
      { "Id": "ns=1;s=Temperature", "OpcSamplingInterval": 0, "OpcPublishingInterval": 100 },
      { "Id": "ns=1;s=Humidity", "OpcSamplingInterval": 0, "OpcPublishingInterval": 100 },
    ]
  }
]`;

const query = `WITH readings AS (
    SELECT ApplicationUri AS deviceId, Value.SourceTimestamp AS time, CAST(Value.Value AS float) AS Humidity
    FROM opcua WHERE DisplayName = 'Humidity'
), scored AS (
    SELECT deviceId, time, Humidity,
        AnomalyDetection_SpikeAndDip(Humidity, 95, 120, 'spikes') OVER (PARTITION BY deviceId LIMIT DURATION(second, 120)) AS s
    FROM readings
)
SELECT deviceId, time, Humidity, GetRecordPropertyValue(s, 'Score') AS score
INTO humidityAnomaly FROM scored WHERE CAST(GetRecordPropertyValue(s, 'IsAnomaly') AS bigint) = 1
`;

test('published nodes, the classic options, the query and a handler stop the machine', async (t) => {
    const server = await startUaServer({ t, counters: 1 });
    const folder = tempFolder('classic'), file = join(folder, 'publishednodes.json'), sql = join(folder, 'humidity.sql'), handler = join(folder, 'handler.sh');
    writeFileSync(file, nodes(server.url));
    writeFileSync(sql, query);
    writeFileSync(handler, `#!/bin/sh\ncat >> '${folder}/handled'\necho >> '${folder}/handled'\n`);
    chmodSync(handler, 0o755);
    const node = await startNode({ t, settings: {
        opcua: { 'published-nodes': file, options: '--ns=true --fd=true --aa', servers: { press: { url: server.url, 'accept-any': true } } },
        jobs: { humidity: sql },
        actions: {
            handle: { on: 'humidity.humidityAnomaly', do: { program: [handler] } },
            stop: { on: 'humidity.humidityAnomaly', do: { 'opcua-write': { server: 'press', node: 'ns=1;s=Run', value: false } } },
        },
    } });
    const client = await mqttConnect({ t, node });
    await client.subscribeAsync('$actions/#', { qos: 1 });
    const status = async () => JSON.parse((await node.verb('status', '-o', 'json')).out.join('')).opcua;
    await until(async () => (await status())?.good === 2, 'both nodes are read', 30_000);
    assert.equal((await server.do('get', { node: 'ns=1;s=Run' })).value, true);

    const humidity = (value) => server.do('set', { node: 'ns=1;s=Humidity', type: 'Double', value });
    for (let i = 0; i < 150; i++) {
        await humidity(18 + (i % 2) / 10 + (i % 7) / 100);
        await sleep(20);
    }
    await humidity(25);
    await sleep(20);
    await humidity(18);

    // The options say 10 s between two messages: that is what is waited for.
    const reports = await until(() => {
        const found = client.messages.filter((m) => m.topic.startsWith('$actions/')).map((m) => JSON.parse(m.text));
        return ['stop', 'handle'].every((name) => found.some((r) => r.action === name)) && found;
    }, 'both actions have happened', 40_000);
    assert.deepEqual([...new Set(reports.map((r) => r.result))], ['good'], JSON.stringify(reports));
    assert.equal((await server.do('get', { node: 'ns=1;s=Run' })).value, false);
    assert.ok(existsSync(join(folder, 'handled')));
    const handled = readFileSync(join(folder, 'handled'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(handled.map((h) => h.Humidity), [25]);
    assert.equal(handled[0].deviceId, server.uri);
    const s = await status();
    assert.equal(s.received + s.repeated, s.sent + s.waiting + s.suppressed + s.skipped + s.replaced + s['too-large']);
});
