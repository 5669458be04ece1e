// `fieldgate bench` and `fieldgate mqtt-test`, on our node and on Debian's mosquitto: what was lost, doubled or swapped on the
// way is reported, and what was not is not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { makeAuthority } from './lib/certs.mjs';
import { startMangler } from './lib/mangler.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { startMosquitto } from './lib/peer.mjs';
import { run, start } from './lib/process.mjs';
import { sleep } from './lib/wait.mjs';

const brokers = {};
before(async () => {
    brokers.node = await startNode();
    brokers.mosquitto = await startMosquitto();
});
after(async () => {
    await brokers.node?.stop();
    await brokers.mosquitto?.stop();
});

const SHORT = ['--warm-up', '0.2', '--duration', '0.8', '--quiet'];

/** Runs the load and gives { code, r }: the JSON it printed. */
async function bench(port, ...args) {
    const end = await run(FIELDGATE, ['bench', '-p', String(port), ...SHORT, '-o', 'json', ...args], { timeoutMs: 30_000 });
    assert.equal(end.out.length, 1, [...end.out, ...end.err].join('\n'));
    return { code: end.code, err: end.err, r: JSON.parse(end.out[0]) };
}

/** Status 4 only says that this machine is too busy for the generator. */
const fine = (code) => assert.ok(code === 0 || code === 4, `status ${code}`);

const layouts = [
    [], ['-q', '1'], ['-q', '2'], ['--pairs', '5', '-q', '1', '--window', '20'], ['--publishers', '7', '-q', '1', '--window', '5', '--topics', '20'],
    ['--subscribers', '6', '-s', '16', '-V', '311', '--window', '50'], ['-V', '31', '-q', '1'], ['-q', '1', '--persistent', '-V', '311', '--window', '50'],
    ['-q', '2', '--persistent', '--window', '50'], ['--rate', '500', '--publishers', '3', '--topics', '2', '-q', '1'],
];
for (const name of ['node', 'mosquitto'])
    for (const args of layouts)
        test(`bench ${args.join(' ')} on ${name} loses nothing`, async () => {
            const { code, r } = await bench(brokers[name].mqttPort, ...args);
            fine(code);
            assert.deepEqual([r.lost, r.duplicates, r.outOfOrder, r.refused, r.unanswered, r.foreign, r.failed], [0, 0, 0, 0, 0, 0, null]);
            assert.equal(r.expected, r.sent * (r.settings.pairs ? 1 : r.settings.subscribers));
            assert.ok(r.delivered > 0 && r.published > 0 && r.latencyUs.count > 0);
            assert.ok(r.latencyUs.p50 <= r.latencyUs.p99 && r.latencyUs.p99 <= r.latencyUs.max);
            if (r.settings.qos) assert.equal(r.acknowledgedInAll, r.sent);
            if (r.settings.rate) assert.ok(Math.abs(r.publishedPerSecond - 500) < 100, `${r.publishedPerSecond}`);
        });

test('a shared subscription gets each message once', async () => {
    const { code, r } = await bench(brokers.mosquitto.mqttPort, '--subscribers', '3', '--share', 'g', '-q', '1', '--window', '50');
    fine(code);
    assert.deepEqual([r.lost, r.duplicates, r.outOfOrder, r.expected], [0, 0, null, r.sent]);
});

// ---- a path that does wrong ----

for (const [what, key] of [['swallow', 'lost'], ['double', 'duplicates'], ['swap', 'outOfOrder']])
    for (const args of [['-q', '0', '--window', '50'], ['-q', '0', '--rate', '2000'], ['-q', '0', '--publishers', '3', '--window', '20', '-V', '311']])
        test(`messages that a broker would ${what} are reported as ${key}: ${args.join(' ')}`, async (t) => {
            const mangler = await startMangler({ t, port: brokers.node.mqttPort, what });
            const { code, r } = await bench(mangler.port, ...args);
            assert.equal(code, 1);
            const hits = mangler.hit();
            assert.ok(hits > 2, `${hits} of ${r.expected} were hit`);
            const want = { lost: 0, duplicates: 0, outOfOrder: 0, [key]: hits };
            const got = { lost: r.lost, duplicates: r.duplicates, outOfOrder: r.outOfOrder };
            // The last message may have been held back for one that never came.
            if (what === 'swap' && got.lost === 1) [got.lost, got.outOfOrder] = [0, got.outOfOrder + 1];
            // Swapped across publishers, two streams are each in order.
            if (what === 'swap' && args.includes('--publishers')) {
                assert.ok(got.outOfOrder > 0 && got.outOfOrder <= hits);
                got.outOfOrder = hits;
            }
            assert.deepEqual(got, want);
        });

test('a message lost with QoS 1 on its way to the subscriber is missing, though its publisher has the PUBACK', async (t) => {
    // Few: each takes a place of the subscriber's window for good, because its PUBACK never comes.
    const mangler = await startMangler({ t, port: brokers.node.mqttPort, what: 'swallow', every: 500 });
    const { code, r } = await bench(mangler.port, '-q', '1', '--rate', '3000');
    assert.ok(mangler.hit() >= 3);
    assert.deepEqual([code, r.lost, r.unanswered, r.acknowledgedInAll], [1, mangler.hit(), 0, r.sent]);
});

test('acknowledged messages are written down, also when the broker dies', async (t) => {
    const node = await startNode();
    t.after(() => node.process.ended || node.kill9());
    const file = join(tempFolder(), 'acked');
    const it = start(FIELDGATE, ['bench', '-p', String(node.mqttPort), '-q', '1', '--warm-up', '0', '--duration', '20', '--quiet', '-o', 'json',
        '--publishers', '2', '--rate', '1000', '--acked-file', file]);
    await sleep(1200);
    await node.kill9();
    const { code } = await it.exited;
    assert.equal(code, 1, it.err.join('\n'));
    const r = JSON.parse(it.out[0]);
    assert.match(r.failed, /the connection of (publisher|subscriber) \d was lost/);
    assert.match(it.err.join('\n'), /the connection of/);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    assert.equal(lines.length, r.acknowledgedInAll);
    assert.ok(lines.length > 200);
    for (const publisher of ['0', '1']) {
        const numbers = lines.map((l) => l.split(' ')).filter((l) => l[0] === publisher).map((l) => Number(l[1]));
        assert.deepEqual(numbers, [...numbers.keys()], 'each once, in order');
    }
});

test('what a stalled broker costs is counted from the schedule', async () => {
    // Mosquitto takes 20 messages at a time: when it stands still, the generator has to stand still too.
    const { process: broker, mqttPort } = brokers.mosquitto;
    try {
        const it = start(FIELDGATE, ['bench', '-p', String(mqttPort), '-q', '1', '--warm-up', '0.2', '--duration', '2', '--quiet', '-o', 'json', '--rate', '500']);
        await sleep(900);
        broker.child.kill('SIGSTOP');
        await sleep(700);
        broker.child.kill('SIGCONT');
        const { code } = await it.exited;
        const r = JSON.parse(it.out[0]);
        fine(code);
        // 0.7 s of 2 s: a third of the messages waited, on average half of it. From the time they left, 20 of 1,000 did.
        assert.ok(r.latencyUs.max > 600_000, `max ${r.latencyUs.max}`);
        assert.ok(r.latencyUs.p90 > 200_000, `p90 ${r.latencyUs.p90}`);
        assert.equal(r.lost, 0);
    } finally {
        broker.child.kill('SIGCONT');
    }
});

test('people get a table and one line to paste; --pid adds the cost of the broker', async () => {
    const { node } = brokers;
    const end = await run(FIELDGATE, ['bench', '-p', String(node.mqttPort), ...SHORT, '-q', '1', '--rate', '500', '--pid', String(node.process.pid)]);
    fine(end.code);
    const text = end.out.join('\n');
    for (const shape of [/^fieldgate bench 127\.0\.0\.1:\d+$/m, /^ {2}load +1 publisher, 1 topic, 1 subscriber, QoS 1, 256 B, MQTT 5\.0, open loop 500\/s$/m,
        /^ {2}machine +.*, \d+ cores, Linux /m, /^ {2}time +0\.8 s measured after 0\.2 s of warm-up$/m, /^RATE +MESSAGES +TOTAL +PAYLOAD$/m,
        /^LATENCY +P50 +P90 +P99 +P99\.9 +MAX$/m, /^broker +\d+ % of a core, [\d.]+ us a message, .* MiB/m, /lost 0, duplicates 0, out of order 0$/m,
        /^paste: .*published\/s, .*delivered\/s, p50 .*, p99 .*, lost 0, broker [\d.]+ us\/message$/m])
        assert.match(text, shape);
});

test('Ctrl-C ends a run with what was measured', async () => {
    const it = start(FIELDGATE, ['bench', '-p', String(brokers.node.mqttPort), '--warm-up', '0', '--duration', '60', '--quiet', '--rate', '100']);
    await sleep(1000);
    await it.kill('SIGINT');
    assert.match(it.out.join('\n'), /interrupted/);
    assert.match(it.out.join('\n'), /lost 0/);
});

test('what cannot be is refused before anything is sent', async () => {
    const port = String(brokers.node.mqttPort);
    for (const [args, says] of [[['--pairs', '2', '--publishers', '3'], /--pairs says/], [['--size', '15'], /from 16/], [['--acked-file', '/tmp/x'], /add -q 1/],
        [['--publishers', '60000', '--subscribers', '60000'], /more streams than can be checked/], [['--rate', '0'], /--rate/]]) {
        const end = await run(FIELDGATE, ['bench', '-p', port, ...args]);
        assert.deepEqual([args, end.code], [args, 2]);
        assert.match(end.err.join('\n'), says);
    }
});

// ---- mqtt-test, whose whole table is looked at in verbs-mqtt-test.test.mjs ----

test('mqtt-test prints a table, and --only chooses rows', async () => {
    const { code, out } = await run(FIELDGATE, ['mqtt-test', '-p', String(brokers.mosquitto.mqttPort), '--only', 'takeover']);
    assert.equal(code, 1);
    assert.deepEqual(out.map((line) => line.replace(/127\.0\.0\.1:\d+/, 'BROKER')), ['Sessions',
        '  xx  takeover                    the old connection was cut without DISCONNECT 0x8E [MQTT-3.1.4-3]', 'BROKER: 0 ok, 1 failed, 0 not offered']);
    assert.equal((await run(FIELDGATE, ['mqtt-test', '-p', String(brokers.node.mqttPort), '--only', 'nonsense'])).code, 2);
    const nobody = await run(FIELDGATE, ['mqtt-test', '127.0.0.1:1']);
    assert.equal(nobody.code, 3);
    assert.match(nobody.err.join(''), /Connection refused.*fieldgate run/);
});

// ---- over TLS and WebSocket ----

for (const scheme of ['mqtts', 'ws', 'wss'])
    test(`all of them speak ${scheme}`, { timeout: 90_000 }, async (t) => {
        const ca = await makeAuthority();
        const server = await ca.issue({ name: 'gw1', names: 'DNS:localhost,IP:127.0.0.1' });
        const node = await startNode({ t, settings: {
            gateway: { certificates: { chain: server.chain, key: server.key, root: ca.pem } },
            listeners: [{ type: 'mqtts', at: ['127.0.0.1:0'] }, { type: 'http', at: ['127.0.0.1:0'] }, { type: 'https', at: ['127.0.0.1:0'] }],
        } });
        const url = `${scheme}://127.0.0.1:${node.port({ mqtts: 'mqtts', ws: 'http', wss: 'https' }[scheme])}`;
        const trust = scheme === 'ws' ? [] : ['--cafile', ca.pem];
        const load = await run(FIELDGATE, ['bench', '-h', url, ...trust, ...SHORT, '-q', '1', '--window', '50', '-o', 'json'], { timeoutMs: 30_000 });
        assert.ok(load.code === 0 || load.code === 4, load.err.join('\n'));
        const r = JSON.parse(load.out[0]);
        assert.deepEqual([r.lost, r.duplicates, r.outOfOrder, r.settings.transport], [0, 0, 0, scheme]);
        const rows = await run(FIELDGATE, ['mqtt-test', url, ...trust, '--only', 'QoS']);
        assert.equal(rows.code, 0, rows.out.join('\n'));
        const sub = start(FIELDGATE, ['sub', '-h', url, ...trust, '-t', 'a', '-C', '2', '-W', '10']);
        await sleep(500);
        for (const to of [url, `${url}${scheme === 'mqtts' ? '' : '/mqtt'}`])
            assert.equal((await run(FIELDGATE, ['pub', '-h', to, ...trust, '-t', 'a', '-m', 'x', '-q', '1'])).code, 0);
        await sub.exited;
        assert.deepEqual(sub.out, ['x', 'x']);
        if (scheme === 'ws') {
            const wrong = await run(FIELDGATE, ['pub', '-h', `${url}/nothing`, '-t', 'a', '-n']);
            assert.deepEqual([wrong.code, /404/.test(wrong.err.join())], [1, true], wrong.err.join());
            return;
        }
        // A stranger's certificate is believed by none of them.
        for (const args of [['bench', '-h', url, '--quiet'], ['mqtt-test', url], ['pub', '-h', url, '-t', 'a', '-n']]) {
            const end = await run(FIELDGATE, args);
            assert.deepEqual([args[0], end.code], [args[0], 1]);
            assert.match(end.err.join('\n'), /certificate/);
        }
    });
