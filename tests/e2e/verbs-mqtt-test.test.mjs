// `fieldgate mqtt-test` from its first row to its last, on our node and on Debian's mosquitto: each has a broker for itself, and
// waits for it most of the time, so both run at once.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode } from './lib/node.mjs';
import { startMosquitto } from './lib/peer.mjs';
import { run } from './lib/process.mjs';

/** Topics that a broker keeps, and sessions without a client, must be what they were before. */
async function retainedTopics(port) {
    const end = await run('mosquitto_sub', ['-p', String(port), '-t', 'fieldgate-test/#', '-v', '-W', '1']);
    return end.out;
}

const expected = { node: [], mosquitto: ['takeover', 'protocol errors'] };

const startBroker = { node: startNode, mosquitto: startMosquitto };

describe('mqtt-test', { concurrency: 2 }, () => {
    for (const name of ['node', 'mosquitto'])
        test(`mqtt-test on ${name} finds what is known of it, and leaves nothing behind`, { timeout: 90_000 }, async (t) => {
            const broker = await startBroker[name]({ t });
            const port = broker.mqttPort;
            const end = await run(FIELDGATE, ['mqtt-test', `127.0.0.1:${port}`, '-o', 'json'], { timeoutMs: 80_000 });
            const r = JSON.parse(end.out.join('\n'));
            const failed = r.rows.filter((row) => row.result === 'failed');
            assert.deepEqual(failed.map((row) => row.name), expected[name], JSON.stringify(failed, null, 1));
            assert.equal(end.code, failed.length ? 1 : 0);
            assert.ok(r.rows.length >= 40 && r.rows.every((row) => row.said.length > 3));
            assert.equal(r.ok + r.failed + r.notOffered, r.rows.length);
            assert.deepEqual(await retainedTopics(port), []);
            if (name === 'node') {
                const { text } = await broker.get('/metrics');
                assert.match(text, /fieldgate_mqtt_sessions\S* 0$/m);
            }
        });
});
