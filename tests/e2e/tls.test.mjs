// MQTT and HTTP over TLS with the clients that people have: mosquitto, MQTT.js, Paho, curl, openssl s_client, our own.

import assert from 'node:assert/strict';
import https from 'node:https';
import tls from 'node:tls';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { makeAuthority } from './lib/certs.mjs';
import { mosquittoPub, mosquittoSub } from './lib/mosquitto.mjs';
import { mqttConnect, mqttRefused } from './lib/mqttjs.mjs';
import { FIELDGATE, startNode, startRefused } from './lib/node.mjs';
import { run } from './lib/process.mjs';
import { sleep, until } from './lib/wait.mjs';

let ca, other, server, device, stranger;
before(async () => {
    [ca, other] = await Promise.all([makeAuthority(), makeAuthority('Another root')]);
    server = await ca.issue({ name: 'gw1', names: 'DNS:localhost,DNS:gw1,IP:127.0.0.1' });
    device = await ca.issue({ name: 'press-1', names: 'DNS:press-1.plant', usage: 'clientAuth' });
    stranger = await other.issue({ name: 'press-1', usage: 'clientAuth' });
});

const certificates = (extra) => ({ certificates: { chain: server.chain, key: server.key, ...extra } });
const tlsNode = (t, listener = {}, extra = {}) =>
    startNode({
        t,
        settings: {
            gateway: certificates({ root: ca.pem }),
            listeners: [{ type: 'mqtts', at: ['127.0.0.1:0'], ...listener }, { type: 'https', at: ['127.0.0.1:0'] },
                { type: 'mqtt', at: ['127.0.0.1:0'] }],
            ...extra,
        },
    });
const verb = (name, ...args) => run(FIELDGATE, [name, ...args], { timeoutMs: 20_000 });

for (const version of [4, 5])
    test(`mosquitto_pub and mosquitto_sub talk over TLS, version ${version}`, async (t) => {
        const node = await tlsNode(t);
        const args = ['--cafile', ca.pem];
        const sub = await mosquittoSub({ port: node.port('mqtts'), version, qos: 2, topics: 'a/#', args });
        t.after(() => sub.stop());
        const lines = Array.from({ length: 200 }, (_, i) => `reading ${i} ${'x'.repeat(i * 20)}`);
        for (const qos of [0, 1, 2]) await mosquittoPub({ port: node.port('mqtts'), version, qos, topic: `a/${qos}`, lines, args });
        const got = await sub.take(600);
        for (const qos of [0, 1, 2])
            assert.deepEqual(got.filter((m) => m.topic === `a/${qos}`).map((m) => m.text), lines);
        // TLS ends where the connection does: a plain subscriber gets the same.
        const plain = await mosquittoSub({ port: node.mqttPort, topics: 'b' });
        t.after(() => plain.stop());
        await mosquittoPub({ port: node.port('mqtts'), topic: 'b', message: 'from inside', args });
        assert.equal((await plain.take(1))[0].text, 'from inside');
    });

test('a body of 900 KB goes through TLS both ways', async (t) => {
    const node = await tlsNode(t);
    const options = { t, port: node.port('mqtts'), protocol: 'mqtts', ca: readFileSync(ca.pem) };
    const client = await mqttConnect(options);
    await client.subscribeAsync('big', { qos: 1 });
    const body = Buffer.from(Array.from({ length: 900_000 }, (_, i) => (i * 2654435761) >>> 24));
    await client.publishAsync('big', body, { qos: 1 });
    assert.deepEqual((await client.take(1))[0].payload, body);
    assert.equal(client.stream.getProtocol(), 'TLSv1.3');
});

test('MQTT.js does not trust another root, and the log says so', async (t) => {
    const node = await tlsNode(t);
    const error = await mqttRefused({ port: node.port('mqtts'), protocol: 'mqtts', ca: readFileSync(other.pem) });
    assert.match(error.message, /certificate|signature/i);
    await until(() => /FG210[59] 127\.0\.0\.1:\d+ /.test(node.log()), 'the log names the peer');
});

test('ALPN: mqtt is chosen, others do no harm', async (t) => {
    const node = await tlsNode(t);
    for (const [offered, chosen] of [[['mqtt'], 'mqtt'], [['x-amzn-mqtt-ca'], false], [['h2', 'mqtt'], 'mqtt']]) {
        const client = await mqttConnect({ t, port: node.port('mqtts'), protocol: 'mqtts', ca: readFileSync(ca.pem), ALPNProtocols: offered });
        assert.equal(client.stream.alpnProtocol, chosen);
    }
});

test('a required certificate: with it, without it, from another issuer', async (t) => {
    const node = await tlsNode(t, { 'client-certificate': 'required' });
    const port = node.port('mqtts');
    const own = ['--cert', device.chain, '--key', device.key];
    await mosquittoPub({ port, topic: 'a', message: 'x', args: ['--cafile', ca.pem, ...own] });
    const without = await mosquittoPub({ port, topic: 'a', message: 'x', args: ['--cafile', ca.pem], mayFail: true });
    assert.notEqual(without.code, 0);
    await until(() => node.log().includes('FG2107'), 'the log says that none was shown');
    const alien = await mosquittoPub({ port, topic: 'a', message: 'x', mayFail: true,
        args: ['--cafile', ca.pem, '--cert', stranger.chain, '--key', stranger.key] });
    assert.notEqual(alien.code, 0);
    await until(() => node.log().includes('FG2106'), 'the log says that it is of another issuer');
});

test('Paho for Python connects with a certificate of its own', async (t) => {
    const node = await tlsNode(t, { 'client-certificate': 'required' });
    const script = `
import sys, paho.mqtt.client as mqtt
got = []
c = mqtt.Client(client_id="paho") if not hasattr(mqtt, "CallbackAPIVersion") else mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, client_id="paho")
c.tls_set(ca_certs=sys.argv[2], certfile=sys.argv[3], keyfile=sys.argv[4])
c.on_connect = lambda c, u, f, rc: c.subscribe("p/#", 1)
c.on_subscribe = lambda *a: c.publish("p/1", "from paho", 1)
def on_message(c, u, m):
    print(m.payload.decode(), flush=True)
    c.disconnect()
c.on_message = on_message
c.connect("localhost", int(sys.argv[1]))
c.loop_forever()
`;
    const end = await run('/usr/bin/python3', ['-c', script, String(node.port('mqtts')), ca.pem, device.chain, device.key], { timeoutMs: 20_000 });
    assert.equal(end.code, 0, end.err.join('\n'));
    assert.deepEqual(end.out, ['from paho']);
});

test('openssl s_client: versions, renegotiation, the chain', async (t) => {
    const node = await tlsNode(t);
    const s_client = (args, input = '') => run('openssl', ['s_client', '-connect', `127.0.0.1:${node.port('mqtts')}`, '-CAfile', ca.pem,
        '-verify_return_error', ...args], { input, timeoutMs: 20_000 });
    for (const [flag, name] of [['-tls1_2', 'TLSv1.2'], ['-tls1_3', 'TLSv1.3']]) {
        const end = await s_client([flag]);
        assert.ok(end.out.join('\n').includes(`New, ${name}`), end.out.join('\n'));
        assert.ok(end.out.join('\n').includes('Verify return code: 0 (ok)'));
        assert.ok(end.out.join('\n').includes('Compression: NONE'));
        assert.ok(end.out.some((line) => /Secure Renegotiation IS|Early data was not sent/.test(line)));
    }
    for (const flag of ['-tls1', '-tls1_1']) {
        const end = await s_client([flag, '-cipher', 'ALL:@SECLEVEL=0']);
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), /alert protocol version/);
    }
    await until(() => /FG2104 .*offers TLS 1\.1/.test(node.log()), 'the log says which version');
    // R alone on a line asks for a renegotiation; the server ends the connection.
    const again = await s_client(['-tls1_2'], 'R\n');
    assert.match([...again.out, ...again.err].join('\n'), /RENEGOTIATING/);
    await until(() => /FG2108 .*renegotiation/.test(node.log()), 'the log says that a renegotiation was asked for');
});

test('plain MQTT and plain HTTP at a TLS port are closed and said', async (t) => {
    const node = await tlsNode(t);
    const plain = await mosquittoPub({ port: node.port('mqtts'), topic: 'a', message: 'x', mayFail: true });
    assert.notEqual(plain.code, 0);
    await until(() => /FG2102 127\.0\.0\.1:\d+ refused at a TLS port: it speaks plain MQTT/.test(node.log()), 'plain MQTT is said');
    await assert.rejects(fetch(`http://127.0.0.1:${node.port('https')}/health`));
    await until(() => node.log().includes('it speaks plain HTTP'), 'plain HTTP is said');
});

test('https serves /health and /metrics, and counts', async (t) => {
    const node = await tlsNode(t);
    await mosquittoPub({ port: node.port('mqtts'), topic: 'a', message: 'x', mayFail: true });
    const curl = (path) => run('curl', ['-s', '--cacert', ca.pem, `https://localhost:${node.port('https')}${path}`], { timeoutMs: 20_000 });
    assert.deepEqual(JSON.parse((await curl('/health')).out.join('')), { status: 'ok' });
    const metrics = (await curl('/metrics')).out;
    assert.ok(metrics.some((line) => /^fieldgate_tls_handshakes_total [1-9]/.test(line)));
    assert.ok(metrics.some((line) => /^fieldgate_tls_refused_total [1-9]/.test(line)));
});

test('a client that says nothing is closed when its time is up, TLS included', async (t) => {
    const node = await tlsNode(t, {}, { limits: { 'connect-seconds': 1 } });
    const began = performance.now();
    // A handshake that is done counts as little as one that never began.
    const silent = run('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${node.port('mqtts')}; cat <&3`], { timeoutMs: 20_000 });
    const shaken = run('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${node.port('mqtts')}`, '-CAfile', ca.pem], { timeoutMs: 20_000 });
    await Promise.all([silent, shaken]);
    assert.ok(performance.now() - began >= 900);
});

test('fieldgate pub and sub: good, wrong name, wrong root, --insecure, own certificate', async (t) => {
    const node = await tlsNode(t, { 'client-certificate': 'optional' });
    const port = String(node.port('mqtts'));
    const pub = (...args) => verb('pub', '-t', 'a', '-m', 'x', '-q', '1', ...args);
    const good = await pub('-h', `mqtts://localhost:${port}`, '--cafile', ca.pem);
    assert.equal(good.code, 0, good.err.join('\n'));
    const own = await pub('-h', '127.0.0.1', '-p', port, '--cafile', ca.pem, '--cert', device.chain, '--key', device.key);
    assert.equal(own.code, 0, own.err.join('\n'));
    const retained = await verb('pub', '-t', 'r', '-m', 'kept', '-r', '-q', '1', '-h', '127.0.0.1', '-p', port, '--cafile', ca.pem);
    assert.equal(retained.code, 0);
    const sub = await verb('sub', '-t', 'r', '-C', '1', '-h', `mqtts://127.0.0.1:${port}`, '--cafile', ca.pem);
    assert.deepEqual(sub.out, ['kept']);
    const refusals = [
        [['-h', `mqtts://127.0.0.1:${port}`], /FG2106 .*issuer that we do not trust/],
        [['-h', '127.0.0.1', '-p', port, '--cafile', other.pem], /FG2106 .*issuer that we do not trust/],
        [['-h', '127.0.0.1', '-p', port, '--cafile', '/nonexistent/ca.pem'], /FG2120 .*\/nonexistent\/ca\.pem/],
        [['-h', '127.0.0.1', '-p', port, '--cafile', ca.pem, '--cert', device.chain], /needs its key/],
        [['-h', '127.0.0.1', '-p', port, '--cafile', ca.pem, '--cert', stranger.chain, '--key', stranger.key], /FG2105/],
        [['-h', `mqtts://127.0.0.1:${node.mqttPort}`, '--cafile', ca.pem], /before the TLS handshake was done/],
        [['-h', '127.0.0.1', '-p', String(node.mqttPort), '--insecure'], /--insecure is about TLS/],
        [['-h', `mqtt://127.0.0.1:${node.mqttPort}`, '--cafile', ca.pem], /is without TLS/],
    ];
    for (const [args, said] of refusals) {
        const end = await pub(...args);
        assert.notEqual(end.code, 0, args.join(' '));
        assert.match(end.err.join('\n'), said);
    }
});

test('a certificate for another name is refused; --insecure says what it does', async (t) => {
    const gw2 = await ca.issue({ file: 'gw2', name: 'gw2', names: 'DNS:gw2.plant' });
    const node = await tlsNode(t, { chain: gw2.chain, key: gw2.key });
    const target = ['-t', 'a', '-m', 'x', '-q', '1', '-h', 'localhost', '-p', String(node.port('mqtts'))];
    const refused = await verb('pub', ...target, '--cafile', ca.pem);
    assert.match(refused.err.join('\n'), /FG2103 localhost:\d+ refused: its certificate is for another name/);
    const insecure = await verb('pub', ...target, '--cafile', ca.pem, '--insecure');
    assert.equal(insecure.code, 0, insecure.err.join('\n'));
    assert.match(insecure.err.join('\n'), /--insecure: whoever has a certificate of the same CA/);
    const other_root = await verb('pub', ...target, '--cafile', other.pem, '--insecure');
    assert.match(other_root.err.join('\n'), /FG2106/);
});

test('what is wrong with its files stops the start, with name and reason', async () => {
    const empty = join(ca.folder, 'empty.pem');
    writeFileSync(empty, '');
    const listener = (extra) => ({ listeners: [{ type: 'mqtts', at: ['127.0.0.1:0'], chain: server.chain, key: server.key, ...extra }] });
    for (const [extra, said] of [
        [{ chain: '/nonexistent/chain.pem' }, /FG2120 .*\/nonexistent\/chain\.pem.*No such file/],
        [{ 'client-certificate': 'required', 'client-ca': '/nonexistent/ca.pem' }, /FG2120 .*\/nonexistent\/ca\.pem/],
        [{ 'client-certificate': 'required', 'client-ca': empty }, /FG2121 .*empty\.pem is empty/],
        [{ 'client-certificate': 'optional', 'client-ca': server.key }, /FG2121 .*holds no certificate/],
        [{ key: device.key }, /FG2122 .*does not belong/],
    ]) {
        const end = await startRefused({ settings: listener(extra) });
        assert.notEqual(end.code, 0);
        assert.match(end.err.join('\n'), said);
        assert.ok(!end.out.includes('ready'));
    }
});

test('a renewed certificate is shown within 10 s; connections go on; a broken one changes nothing', async (t) => {
    const chain = join(ca.folder, 'live.pem');
    const key = join(ca.folder, 'live.key');
    const put = (from) => {
        copyFileSync(from.key, `${key}.new`);
        renameSync(`${key}.new`, key);
        copyFileSync(from.chain, `${chain}.new`);
        renameSync(`${chain}.new`, chain);
    };
    put(server);
    const node = await tlsNode(t, { chain, key });
    const options = { t, port: node.port('mqtts'), protocol: 'mqtts', ca: readFileSync(ca.pem), servername: 'localhost' };
    const shown = async () => {
        const client = await mqttConnect(options);
        const name = client.stream.getPeerCertificate().subject.CN;
        await client.endAsync();
        return name;
    };
    const early = await mqttConnect(options);
    await early.subscribeAsync('a', { qos: 1 });
    assert.equal(await shown(), 'gw1');
    put(await ca.issue({ file: 'renewed', name: 'gw1-renewed', names: 'DNS:localhost' }));
    await until(async () => (await shown()) === 'gw1-renewed', 'the renewed certificate is shown', 12_000, 300);
    writeFileSync(chain, 'half a certificate\n');
    await until(() => /FG2126 .*FG2121 .*live\.pem/.test(node.log()), 'the log says what is wrong', 12_000);
    await sleep(4500);
    assert.equal(node.log().match(/FG2126/g).length, 1); // once
    assert.equal(await shown(), 'gw1-renewed');
    await early.publishAsync('a', 'still here', { qos: 1 });
    assert.equal((await early.take(1))[0].text, 'still here');
});

test('status and check know certificates', async (t) => {
    const node = await tlsNode(t);
    const status = JSON.parse((await node.verb('status', '-o', 'json')).out.join('\n'));
    const mqtts = status.listeners.find((l) => l.type === 'mqtts');
    const days = (Date.parse(mqtts['certificate-ends']) - Date.now()) / 86_400_000;
    assert.ok(days > 18 && days < 21, mqtts['certificate-ends']);
    assert.equal(status.listeners.find((l) => l.type === 'mqtt')['certificate-ends'], undefined);
    assert.ok((await node.verb('status')).out.some((line) => line.includes(`${node.port('mqtts')} tls`)));
    const check = await verb('check', '--config', node.config);
    assert.ok(check.out.some((line) => /certificate in .*gw1\.pem ends in (19|20) days/.test(line)), check.out.join('\n'));
});

test('MQTT over WebSocket over TLS, and the connection moves to its loop', async (t) => {
    const node = await startNode({ t, settings: { loops: 3, gateway: certificates(), listeners: [{ type: 'https', at: ['127.0.0.1:0'] }] } });
    const options = { t, port: node.port('https'), protocol: 'wss', path: '/mqtt', ca: readFileSync(ca.pem) };
    const all = await Promise.all(Array.from({ length: 8 }, () => mqttConnect(options)));
    for (const client of all) await client.subscribeAsync('a', { qos: 1 });
    await all[0].publishAsync('a', Buffer.alloc(300_000, 7), { qos: 1 });
    for (const client of all) assert.equal((await client.take(1))[0].payload.length, 300_000);
});

test('a page that came without TLS may not open a WebSocket over TLS, also one of the same name', async (t) => {
    const node = await startNode({ t, settings: { gateway: certificates(), listeners: [{ type: 'https', at: ['127.0.0.1:0'] }] } });
    const port = node.port('https');
    const ask = (origin) => new Promise((resolve, reject) => {
        const request = https.get({
            port, host: 'localhost', path: '/mqtt', ca: readFileSync(ca.pem), agent: false,
            headers: { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
                'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Protocol': 'mqtt', Origin: origin },
        });
        request.on('upgrade', (answer, socket) => { socket.destroy(); resolve(answer.statusCode); });
        request.on('response', (answer) => { answer.resume(); resolve(answer.statusCode); });
        request.on('error', reject);
    });
    assert.equal(await ask(`https://localhost:${port}`), 101);
    assert.equal(await ask(`http://localhost:${port}`), 403);
});

test('what a storm of handshakes took goes back to the system', {
    timeout: 90_000,
    skip: FIELDGATE.includes('asan') && 'a sanitizer has a heap of its own',
}, async (t) => {
    const node = await tlsNode(t);
    const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.process.pid}/status`, 'utf8'))[1]) / 1024;
    const before = rss();
    const sockets = [];
    for (let round = 0; round < 15; round++)
        await Promise.all(Array.from({ length: 100 }, () => new Promise((resolve, reject) => {
            const socket = tls.connect({ port: node.port('mqtts'), host: '127.0.0.1', ca: readFileSync(ca.pem) }, resolve);
            socket.on('error', reject);
            sockets.push(socket);
        })));
    const peak = rss();
    for (const socket of sockets) socket.destroy();
    assert.ok(peak > before + 20, `1,500 connections take memory: ${before} MiB before, ${peak} MiB with them`);
    await until(() => rss() < before + (peak - before) / 3, 'the memory to go back', 40_000, 500);
});
