// What the standards demand about WebSocket (chapter 6), with frames made by hand.

import assert from 'node:assert/strict';
import net from 'node:net';
import { randomBytes } from 'node:crypto';
import { conform, id, stage } from './lib/conform.mjs';
import { ours, unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { until } from './lib/wait.mjs';

const { shared } = stage();
const options = ours('it has no WebSocket listener here');

const BINARY = 2, TEXT = 1, MORE = 0, CLOSE = 8, PING = 9;

/** A frame as a client sends it. */
function frame(opcode, payload, { fin = true } = {}) {
    const data = Buffer.from(payload), mask = randomBytes(4);
    const size = data.length < 126 ? Buffer.from([0x80 | data.length]) : Buffer.concat([Buffer.from([0x80 | 126]), m.u16(data.length)]);
    return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode]), size, mask, data.map((byte, i) => byte ^ mask[i % 4])]);
}

/** After the handshake: { status, headers, frames: [{ opcode, fin, payload }], packets, closed, send }. */
async function shake(t, version, { protocol = 'mqtt' } = {}) {
    const socket = net.connect({ host: '127.0.0.1', port: shared.node.httpPort, noDelay: true });
    t.after(() => socket.destroy());
    const ws = { frames: [], packets: [], closed: false, send: (...all) => socket.write(Buffer.concat(all)) };
    let bytes = Buffer.alloc(0), stream = Buffer.alloc(0);
    const read = () => {
        while (ws.status === 101 && bytes.length >= 2) {
            const head = bytes[1] < 126 ? 2 : bytes[1] === 126 ? 4 : 10;
            if (bytes.length < head) return;
            const size = head === 2 ? bytes[1] : head === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
            if (bytes.length < head + size) return;
            const one = { opcode: bytes[0] & 15, fin: bytes[0] >> 7, payload: bytes.subarray(head, head + size) };
            bytes = bytes.subarray(head + size);
            ws.frames.push(one);
            if (one.opcode === BINARY || one.opcode === MORE) stream = Buffer.concat([stream, one.payload]);
            for (let p; (p = m.decode(stream, version)); stream = stream.subarray(p.size)) ws.packets.push(p);
        }
    };
    socket.on('data', (data) => {
        bytes = Buffer.concat([bytes, data]);
        const end = bytes.indexOf('\r\n\r\n');
        if (ws.status === undefined && end >= 0) {
            const [first, ...rest] = bytes.subarray(0, end).toString().split('\r\n');
            ws.headers = Object.fromEntries(rest.map((line) => [line.split(':')[0].toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
            bytes = bytes.subarray(end + 4);
            ws.status = Number(first.split(' ')[1]);
        }
        read();
    });
    socket.on('error', () => {});
    socket.on('close', () => (ws.closed = true));
    socket.write(['GET /mqtt HTTP/1.1', `Host: 127.0.0.1:${shared.node.httpPort}`, 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []), '', ''].join('\r\n'));
    await until(() => ws.status !== undefined, 'an answer to the handshake', 5000, 2);
    return ws;
}
const came = (ws, type) => until(() => ws.packets.some((p) => p.type === type), `${m.NAMES[type]} comes`, 5000, 2);

conform('the subprotocol that is chosen is mqtt', { v4: '6.0.0-4', v5: '6.0.0-4', ...options }, async (t, version) => {
    for (const protocol of ['mqtt', 'chat, mqtt', 'mqtt,mqttv3.1', 'a, mqtt, b']) {
        const ws = await shake(t, version, { protocol });
        assert.deepEqual([ws.status, ws.headers['sec-websocket-protocol']], [101, 'mqtt'], protocol);
        ws.send(frame(BINARY, m.connect({ version, id: id() })));
        await came(ws, m.CONNACK);
    }
});

conform('who does not offer mqtt is not let in', { v4: '6.0.0-3', v5: '6.0.0-3', ...options }, async (t, version) => {
    for (const protocol of ['', 'chat', 'mqttx', 'xmqtt, MQ']) {
        const ws = await shake(t, version, { protocol });
        assert.ok(ws.status >= 400, `${protocol}: ${ws.status}`);
    }
});

conform('packets may begin and end anywhere in frames', { v4: '6.0.0-2', v5: '6.0.0-2', ...options }, async (t, version) => {
    const topic = unique('ws');
    const all = Buffer.concat([m.connect({ version, id: id() }), m.subscribe({ version, pid: 7, filters: topic, qos: 1 }),
        ...Array.from({ length: 12 }, (_, i) => m.publish({ version, topic, payload: 'z'.repeat(i * 19), qos: 1, pid: i + 1 })), m.pingreq()]);
    for (const size of [1, 2, 5, 33, 400, all.length])
        for (const inOne of [false, true]) { // as frames of their own, or as parts of one message with a ping between
            if (inOne && size < 5) continue;
            const ws = await shake(t, version);
            for (let at = 0; at < all.length; at += size) {
                const last = at + size >= all.length;
                ws.send(frame(inOne && at ? MORE : BINARY, all.subarray(at, at + size), { fin: !inOne || last }));
                if (inOne && at === 0) ws.send(frame(PING, 'between'));
            }
            await until(() => ws.packets.length === 27, `27 packets, not ${ws.packets.length}`, 5000, 2);
            assert.deepEqual(ws.packets.filter((p) => p.type === m.PUBLISH).map((p) => p.payload.length), Array.from({ length: 12 }, (_, i) => i * 19));
        }
});

conform('the node sends MQTT in binary frames', { v4: '6.0.0-1', v5: '6.0.0-1', ...options }, async (t, version) => {
    const topic = unique('ws');
    const ws = await shake(t, version);
    ws.send(frame(BINARY, Buffer.concat([m.connect({ version, id: id() }), m.subscribe({ version, filters: topic }), m.publish({ version, topic, payload: Buffer.alloc(20_000, 'x') })])));
    await came(ws, m.PUBLISH);
    assert.equal(ws.packets.find((p) => p.type === m.PUBLISH).payload.length, 20_000);
    assert.ok(ws.frames.every((f) => f.opcode === BINARY || f.opcode === MORE), JSON.stringify(ws.frames.map((f) => f.opcode)));
});

conform('a text frame ends the connection, whatever is in it, and the will is published', { v4: '6.0.0-1', v5: '6.0.0-1', ...options }, async (t, version) => {
    const topic = unique('ws');
    const watcher = await shake(t, 5);
    watcher.send(frame(BINARY, Buffer.concat([m.connect({ id: id() }), m.subscribe({ filters: topic })])));
    await came(watcher, m.SUBACK);
    const texts = [frame(TEXT, m.pingreq()), frame(TEXT, m.publish({ version, topic, payload: 'text' })), frame(TEXT, ''), frame(TEXT, 'hello', { fin: false })];
    for (const [i, text] of texts.entries()) {
        const ws = await shake(t, version);
        ws.send(frame(BINARY, m.connect({ version, id: id(), will: { topic, payload: `will ${i}` } })));
        await came(ws, m.CONNACK);
        ws.send(text, frame(BINARY, m.publish({ version, topic, payload: 'behind it' })));
        await until(() => ws.closed, 'the end', 5000, 2);
        assert.equal(ws.frames.at(-1)?.opcode, CLOSE);
        assert.ok(ws.packets.every((p) => p.type !== m.PINGRESP));
        await until(() => watcher.packets.filter((p) => p.type === m.PUBLISH).length === i + 1, 'the will', 5000, 2);
    }
    assert.deepEqual(watcher.packets.filter((p) => p.type === m.PUBLISH).map((p) => p.payload.toString()), texts.map((_, i) => `will ${i}`));
    const early = await shake(t, version); // also as the first one
    early.send(frame(TEXT, m.connect({ version, id: id() })));
    await until(() => early.closed, 'the end', 5000, 2);
    assert.deepEqual(early.packets, []);
});
