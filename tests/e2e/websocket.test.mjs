// MQTT over WebSocket: MQTT.js and Paho as they are, raw frames for what they would never send, and what the node counts.

import assert from 'node:assert/strict';
import net from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { test } from './lib/bounded.mjs';
import { mqttConnect } from './lib/mqttjs.mjs';
import { makeAuthority } from './lib/certs.mjs';
import { FIELDGATE, startNode } from './lib/node.mjs';
import { run } from './lib/process.mjs';
import { sleep, until } from './lib/wait.mjs';

const listeners = [
    { type: 'mqtt', at: ['127.0.0.1:0'] },
    { type: 'http', at: ['127.0.0.1:0', '[::1]:0'], origins: ['https://plant.example'] },
];
const start = (t, settings = {}) => startNode({ t, settings: { loops: 3, listeners, ...settings } });
const join = (t, node, rest = {}) => mqttConnect({ t, port: node.httpPort, protocol: 'ws', path: '/mqtt', ...rest });

async function counted(node, name) {
    const { text } = await node.get('/metrics');
    return Number(text.split('\n').find((line) => line.startsWith(`fieldgate_${name} `)).split(' ').at(-1));
}

// ---- clients as they are ----

for (const protocolVersion of [4, 5])
    test(`MQTT.js over WebSocket and TCP meet, version ${protocolVersion}`, async (t) => {
        const node = await start(t);
        const ws = await Promise.all(Array.from({ length: 7 }, () => join(t, node, { protocolVersion })));
        const tcp = await mqttConnect({ t, node, protocolVersion });
        const big = randomBytes(300_000);
        for (const client of [...ws, tcp]) await client.subscribeAsync('a/#', { qos: 2 });
        for (const qos of [0, 1, 2]) await ws[0].publishAsync('a/ws', big, { qos });
        for (const qos of [0, 1, 2]) await tcp.publishAsync('a/tcp', big, { qos });
        for (const client of [...ws, tcp]) {
            const messages = await client.take(6);
            assert.ok(messages.every((m) => m.payload.equals(big)));
            assert.deepEqual(messages.map((m) => m.qos).sort(), [0, 0, 1, 1, 2, 2]);
        }
        await Promise.all([...ws, tcp].map((client) => client.endAsync()));
        assert.equal(await counted(node, 'websocket_accepted_total'), 7);
    });

for (const version of [4, 5])
    test(`Paho for python over WebSocket, version ${version}`, async (t) => {
        const node = await start(t);
        const script = fileURLToPath(new URL('lib/paho_ws.py', import.meta.url));
        const end = await run('/usr/bin/python3', [script, String(node.httpPort), String(version), 'p/1', '70000', '30'],
            { timeoutMs: 30_000 });
        assert.equal(end.code, 0, end.err.join('\n'));
        assert.deepEqual(end.out, ['connected 0', 'received 30 True']);
    });

test('a session is resumed over WebSocket, and taken over from TCP', async (t) => {
    const node = await start(t);
    const options = { clientId: 'one', clean: false, properties: { sessionExpiryInterval: 600 } };
    const tcp = await mqttConnect({ t, node, ...options });
    await tcp.subscribeAsync('s', { qos: 1 });
    const ws = await join(t, node, options);
    await tcp.gone();
    assert.deepEqual(tcp.disconnects, [0x8e]);
    assert.equal(ws.connack.sessionPresent, true);
    ws.end(true);
    const other = await join(t, node);
    await other.publishAsync('s', 'kept', { qos: 1 });
    const again = await join(t, node, options);
    assert.equal((await again.take(1))[0].text, 'kept');
});

test('the will of a WebSocket that breaks is published, of one that says DISCONNECT is not', async (t) => {
    const node = await start(t);
    const watcher = await join(t, node);
    await watcher.subscribeAsync('will/#', { qos: 1 });
    const will = (topic) => ({ will: { topic, payload: 'gone', qos: 1 } });
    const broken = await join(t, node, will('will/broken')), polite = await join(t, node, will('will/polite'));
    await polite.endAsync();
    broken.stream.socket?.terminate?.();
    broken.stream.destroy();
    assert.equal((await watcher.take(1))[0].topic, 'will/broken');
    assert.equal(watcher.messages.length, 1);
});

// ---- our own client ----

const verb = (...args) => run(FIELDGATE, args, { timeoutMs: 30_000 });

test('fieldgate pub, sub and bench dial ws:// and wss://', async (t) => {
    const authority = await makeAuthority();
    const { chain, key } = await authority.issue({ name: 'localhost', names: 'DNS:localhost,IP:127.0.0.1' });
    const node = await start(t, {
        gateway: { certificates: { chain, key, root: authority.pem } },
        listeners: [...listeners, { type: 'https', at: ['127.0.0.1:0'], auth: 'anonymous' }],
    });
    const plain = ['-h', `ws://127.0.0.1:${node.httpPort}/mqtt`];
    const secure = ['-h', `wss://localhost:${node.port('https')}`, '--cafile', authority.pem];
    for (const [version, door] of [['311', plain], ['5', plain], ['5', secure]]) {
        const watcher = await mqttConnect({ t, node });
        await watcher.subscribeAsync('own/#', { qos: 2 });
        const end = await verb('pub', ...door, '-V', version, '-t', 'own/1', '-q', '2', '-m', 'x'.repeat(100_000));
        assert.equal(end.code, 0, end.err.join('\n'));
        assert.equal((await watcher.take(1))[0].payload.length, 100_000);
        const sub = verb('sub', ...door, '-V', version, '-t', 'own/2', '-q', '1', '-C', '1');
        await until(async () => (await watcher.publishAsync('own/2', 'hello', { qos: 1 }), await Promise.race([sub, sleep(50)])), 'sub ends');
        assert.deepEqual((await sub).out, ['hello']);
        await watcher.endAsync();
    }
    for (const door of [plain, secure]) {
        const bench = await verb('bench', ...door, '--publishers', '3', '--subscribers', '2', '-q', '1', '--duration', '1', '--warm-up', '0', '--quiet', '-o', 'json');
        assert.equal(bench.code, 0, bench.err.join('\n'));
    }
    const wrong = await verb('pub', '-h', `ws://127.0.0.1:${node.httpPort}/elsewhere`, '-t', 'a', '-m', 'b');
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.err.join('\n'), /does not open a WebSocket: it answers HTTP\/1\.1 404/);
});

// ---- by hand ----

const KEY = randomBytes(16).toString('base64');
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** Sends a handshake and gives { status, headers, socket, rest(n) }. */
async function shake(port, { host = '127.0.0.1', headers = {}, path = '/mqtt' } = {}) {
    const all = {
        Host: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
        Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': KEY,
        'Sec-WebSocket-Protocol': 'mqtt', ...headers,
    };
    const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`);
    const socket = net.connect({ host, port, noDelay: true });
    const self = { socket, bytes: Buffer.alloc(0), closed: false };
    socket.on('data', (data) => (self.bytes = Buffer.concat([self.bytes, data])));
    socket.on('error', () => {});
    socket.on('close', () => (self.closed = true));
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    await until(() => self.bytes.includes('\r\n\r\n'), 'an answer');
    const end = self.bytes.indexOf('\r\n\r\n') + 4;
    const [first, ...rest] = self.bytes.subarray(0, end).toString().trim().split('\r\n');
    self.status = Number(first.split(' ')[1]);
    self.headers = Object.fromEntries(rest.map((line) => [line.split(':')[0].toLowerCase(), line.slice(line.indexOf(':') + 2)]));
    self.bytes = self.bytes.subarray(end);
    return self;
}

function frame(opcode, payload, { fin = true, masked = true } = {}) {
    const data = Buffer.from(payload);
    const mask = randomBytes(4);
    const bit = masked ? 0x80 : 0;
    let head;
    if (data.length < 126) head = Buffer.from([0, bit | data.length]);
    else if (data.length < 65536) (head = Buffer.from([0, bit | 126, 0, 0])).writeUInt16BE(data.length, 2);
    else (head = Buffer.alloc(10)).writeBigUInt64BE(BigInt(data.length), 2), (head[1] = bit | 127);
    head[0] = (fin ? 0x80 : 0) | opcode;
    return masked ? Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i % 4])]) : Buffer.concat([head, data]);
}

const CONNECT = Buffer.from([0x10, 13, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 1, 120]);
const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const PINGREQ = Buffer.from([0xc0, 0]);

test('packets may be split over frames, and frames may hold several packets, on IPv4 and IPv6', async (t) => {
    const node = await start(t);
    for (const { host, port } of node.ports.filter((p) => p.type === 'http')) {
        const ws = await shake(port, { host: host.replace(/[[\]]/g, '') });
        assert.equal(ws.status, 101);
        assert.equal(ws.headers['sec-websocket-accept'], ACCEPT);
        assert.equal(ws.headers['sec-websocket-protocol'], 'mqtt');
        for (const byte of CONNECT) ws.socket.write(frame(2, [byte]));
        ws.socket.write(Buffer.concat([frame(2, PINGREQ.subarray(0, 1), { fin: false }), frame(9, 'ping'),
            frame(0, Buffer.concat([PINGREQ.subarray(1), PINGREQ, PINGREQ]))]));
        const expected = Buffer.concat([CONNACK, Buffer.from([0xd0, 0, 0xd0, 0, 0xd0, 0])]);
        await until(() => {
            let data = Buffer.alloc(0), pong = false, at = 0;
            while (at + 2 <= ws.bytes.length && at + 2 + ws.bytes[at + 1] <= ws.bytes.length) {
                const payload = ws.bytes.subarray(at + 2, at + 2 + ws.bytes[at + 1]);
                if (ws.bytes[at] === 0x8a) pong = payload.toString() === 'ping';
                else data = Buffer.concat([data, payload]);
                at += 2 + payload.length;
            }
            return pong && data.equals(expected);
        }, 'CONNACK, three PINGRESP, a pong');
        ws.socket.end(frame(8, [0x03, 0xe8]));
        await until(() => ws.closed, 'the end');
        assert.deepEqual([...ws.bytes.subarray(-4)], [0x88, 2, 0x03, 0xe8]);
    }
});

test('handshakes that must be refused', async (t) => {
    const node = await start(t);
    const cases = [
        [403, 'origin', { Origin: 'https://evil.example' }],
        [101, null, { Origin: 'https://plant.example' }],
        [101, null, { Origin: `http://127.0.0.1:${node.httpPort}` }],
        [426, 'version', { 'Sec-WebSocket-Version': '8' }],
        [426, 'not-upgrade', { Upgrade: null }],
        [400, 'protocol', { 'Sec-WebSocket-Protocol': null }],
        [400, 'protocol', { 'Sec-WebSocket-Protocol': 'chat' }],
        [400, 'malformed', { 'Sec-WebSocket-Key': null }],
    ];
    for (const [status, reason, headers] of cases) {
        const before = reason && (await counted(node, `websocket_refused_total{reason="${reason}"}`));
        const ws = await shake(node.httpPort, { headers });
        assert.equal(ws.status, status, JSON.stringify(headers));
        ws.socket.destroy();
        if (!reason) continue;
        assert.equal(await counted(node, `websocket_refused_total{reason="${reason}"}`), before + 1);
    }
    assert.match(node.log(), /FG1101 .* 403: a page of https:\/\/evil\.example asks/);
    const elsewhere = await shake(node.httpPort, { path: '/elsewhere' });
    assert.equal(elsewhere.status, 404);
    elsewhere.socket.destroy();
});

test('frames that must end the connection', async (t) => {
    const node = await start(t, { limits: { 'packet-bytes': '64KiB' } });
    const cases = [
        [1002, frame(2, CONNECT, { masked: false })],
        [1003, frame(1, CONNECT)],
        [1009, frame(2, Buffer.alloc(65537))],
        [1002, frame(9, Buffer.alloc(126))],
        [1002, frame(9, 'x', { fin: false })],
        [1002, frame(3, '')],
        [1007, frame(8, [0x03, 0xe8, 0xff])],
        [1009, Buffer.concat([frame(2, '', { fin: false }), ...Array.from({ length: 1000 }, () => frame(0, '', { fin: false }))])],
    ];
    for (const [code, bytes] of cases) {
        const before = await counted(node, `websocket_closed_total{code="${code}"}`);
        const ws = await shake(node.httpPort);
        ws.socket.write(bytes);
        await until(() => ws.closed, `close ${code}`);
        assert.deepEqual([...ws.bytes], [0x88, 2, code >> 8, code & 0xff]);
        assert.equal(await counted(node, `websocket_closed_total{code="${code}"}`), before + 1);
    }
    assert.match(node.log(), /FG1102 .* 1009: a frame of 65537 bytes, limits\.packet-bytes allows 65536/);
});

test('a WebSocket that says nothing is a stranger like any other', async (t) => {
    const node = await start(t, { limits: { 'connect-seconds': 1 } });
    const ws = await shake(node.httpPort);
    await until(() => ws.closed, 'the end', 10_000);
    assert.deepEqual([...ws.bytes.subarray(0, 2)], [0x88, 2]);
});
