// OPC UA without a library: chunks byte by byte over a socket, for what no client library would send. Policy None.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { within } from './wait.mjs';

// ---- encoding ----

export const u8 = (n) => Buffer.from([n]);
export const u16 = (n) => { const b = Buffer.alloc(2); b.writeUInt16LE(n); return b; };
export const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n >>> 0); return b; };
export const i32 = (n) => { const b = Buffer.alloc(4); b.writeInt32LE(n); return b; };
export const f64 = (n) => { const b = Buffer.alloc(8); b.writeDoubleLE(n); return b; };
export const ticks = (ms = Date.now()) => { const b = Buffer.alloc(8); b.writeBigInt64LE(BigInt(ms) * 10_000n + 116_444_736_000_000_000n); return b; };
export const text = (s) => (s === null ? i32(-1) : cat(i32(Buffer.byteLength(s)), Buffer.from(s)));
export const cat = (...parts) => Buffer.concat(parts.flat(Infinity));
/** A numeric NodeId in the four-byte form, namespace 0. */
export const nodeId = (n) => cat(u8(1), u8(0), u16(n));
export const stringNodeId = (ns, s) => cat(u8(3), u16(ns), text(s));
/** An array: its count and its elements. */
export const array = (...elements) => cat(i32(elements.length), elements);
export const NO_OBJECT = Buffer.from([0, 0, 0]); // ExtensionObject without a body
export const localized = (s) => cat(u8(2), text(s));

export const NONE = 'http://opcfoundation.org/UA/SecurityPolicy#None';

/** A whole chunk. `size` other than the true one is a lie. */
export const chunk = (type, kind, body, size) => cat(Buffer.from(type + kind), u32(size ?? 8 + body.length), body);

export const hello = ({ version = 0, receive = 65535, send = 65535, message = 0, chunks = 0, url = 'opc.tcp://127.0.0.1/' } = {}) =>
    chunk('HEL', 'F', cat(u32(version), u32(receive), u32(send), u32(message), u32(chunks), text(url)));

export const requestHeader = ({ token = Buffer.from([0, 0]), handle = 1, timeout = 10_000 } = {}) =>
    cat(token, ticks(), u32(handle), u32(0), text(null), u32(timeout), NO_OBJECT);

// ---- decoding, as far as these tests look ----

class Reader {
    constructor(bytes, at = 0) { Object.assign(this, { bytes, at }); }
    u8() { return this.bytes.readUInt8(this.at++); }
    u16() { return this.bytes.readUInt16LE((this.at += 2) - 2); }
    u32() { return this.bytes.readUInt32LE((this.at += 4) - 4); }
    i32() { return this.bytes.readInt32LE((this.at += 4) - 4); }
    f64() { return this.bytes.readDoubleLE((this.at += 8) - 8); }
    skip(n) { this.at += n; return this; }
    string() { const n = this.i32(); return n < 0 ? null : this.bytes.toString('utf8', this.at, (this.at += n)); }
    /** The bytes of a NodeId as they stand. */
    nodeId() {
        const from = this.at;
        const form = this.u8() & 0x3f;
        if (form === 0) this.skip(1);
        else if (form === 1) this.skip(3);
        else if (form === 2) this.skip(6);
        else if (form === 4) this.skip(18);
        else { this.skip(2); this.skip(Math.max(0, this.i32())); }
        return this.bytes.subarray(from, this.at);
    }
    /** ResponseHeader: { handle, result }. */
    header() {
        this.skip(8);
        const it = { handle: this.u32(), result: this.u32() };
        if (this.u8() !== 0) throw new Error('the response has diagnostics that nobody asked for');
        for (let n = this.i32(); n > 0; n--) this.string();
        this.nodeId();
        if (this.u8() !== 0) throw new Error('the response header has an object that nobody asked for');
        return it;
    }
}

const encodingOf = (id) => (id[0] === 0 ? id[1] : id[0] === 1 ? id.readUInt16LE(2) : id.readUInt32LE(3));

/** Status codes that tests name. */
export const STATUS = {
    Good: 0, BadDecodingError: 0x80070000, BadEncodingLimitsExceeded: 0x80080000, BadServiceUnsupported: 0x800b0000, BadNothingToDo: 0x800f0000,
    BadTooManyOperations: 0x80100000, BadSecurityChecksFailed: 0x80130000, BadSessionIdInvalid: 0x80250000, BadSessionNotActivated: 0x80270000,
    BadTimeout: 0x800a0000, BadTcpServerTooBusy: 0x807d0000, BadTcpMessageTypeInvalid: 0x807e0000, BadTcpSecureChannelUnknown: 0x807f0000,
    BadTcpMessageTooLarge: 0x80800000, BadTcpNotEnoughResources: 0x80810000, BadTcpEndpointUrlInvalid: 0x80830000,
    BadSecureChannelTokenUnknown: 0x80870000, BadSequenceNumberInvalid: 0x80880000, BadRequestTooLarge: 0x80b80000,
    BadProtocolVersionUnsupported: 0x80be0000, BadSecurityModeRejected: 0x80540000, BadSecurityPolicyRejected: 0x80550000,
    BadRequestTypeInvalid: 0x80530000, BadSecureChannelIdInvalid: 0x80220000, BadIdentityTokenInvalid: 0x80200000,
    BadIdentityTokenRejected: 0x80210000, BadUserAccessDenied: 0x801f0000, BadCertificateInvalid: 0x80120000, BadShutdown: 0x800c0000,
    BadSecureChannelClosed: 0x80860000, BadResponseTooLarge: 0x80b90000, BadTooManySessions: 0x80560000, BadNonceInvalid: 0x80240000, BadConnectionRejected: 0x80ac0000, BadTypeMismatch: 0x80740000, BadNodeIdUnknown: 0x80340000,
};
export const statusName = (code) => Object.keys(STATUS).find((name) => STATUS[name] === code) ?? `0x${code.toString(16)}`;

// ---- a connection ----

class Raw {
    #buffer = Buffer.alloc(0);
    #chunks = [];
    #waiting = [];

    constructor(socket) {
        Object.assign(this, { socket, closed: false, channel: 0, token: 0, sequence: 0, request: 0 });
        socket.on('data', (data) => this.#take(data));
        socket.on('error', () => {});
        socket.on('close', () => { this.closed = true; this.closedAt = performance.now(); this.#wake(); });
    }

    #take(data) {
        this.#buffer = Buffer.concat([this.#buffer, data]);
        while (this.#buffer.length >= 8) {
            const size = this.#buffer.readUInt32LE(4);
            if (this.#buffer.length < size) break;
            this.#chunks.push({ type: this.#buffer.toString('latin1', 0, 3), kind: this.#buffer.toString('latin1', 3, 4), body: this.#buffer.subarray(8, size) });
            this.#buffer = this.#buffer.subarray(size);
        }
        this.#wake();
    }

    #wake() {
        while (this.#waiting.length && (this.#chunks.length || this.closed)) this.#waiting.shift()(this.#chunks.shift() ?? { type: 'closed' });
    }

    send(...parts) { this.socket.write(cat(parts)); return this; }

    /** The next chunk { type, kind, body }, or { type: 'closed' }. */
    next(ms = 10_000) {
        const got = new Promise((resolve) => { this.#waiting.push(resolve); this.#wake(); });
        return within(got, 'an answer of the server', ms);
    }

    /** What the server says before it closes: the name of the ERR's status; 'closed' when it closes without a word. */
    async ending(ms = 10_000) {
        for (;;) {
            const it = await this.next(ms);
            if (it.type === 'closed') return 'closed';
            if (it.type !== 'ERR') continue;
            const end = await this.next(ms);
            if (end.type !== 'closed') throw new Error(`after its ERR the server went on: ${end.type}`);
            return statusName(it.body.readUInt32LE(0));
        }
    }

    async hello(options) {
        this.send(hello(options));
        const ack = await this.next();
        if (ack.type !== 'ACK') throw new Error(`answer to HELLO: ${ack.type} ${ack.type === 'ERR' ? statusName(ack.body.readUInt32LE(0)) : ''}`);
        const r = new Reader(ack.body);
        this.limits = { version: r.u32(), receive: r.u32(), send: r.u32(), message: r.u32(), chunks: r.u32() };
        return this;
    }

    /** The chunk of an OpenSecureChannel request. */
    openChunk({ type = 0, mode = 1, policy = NONE, lifetime = 3_600_000, channel = this.channel } = {}) {
        const security = cat(text(policy), i32(-1), i32(-1));
        const body = cat(nodeId(446), requestHeader(), u32(0), u32(type), u32(mode), i32(-1), u32(lifetime));
        return chunk('OPN', 'F', cat(u32(channel), security, u32(++this.sequence), u32(++this.request), body));
    }

    async open(options) {
        this.send(this.openChunk(options));
        const answer = await this.next();
        if (answer.type !== 'OPN') throw new Error(`answer to OPN: ${answer.type} ${answer.type === 'ERR' ? statusName(answer.body.readUInt32LE(0)) : ''}`);
        const r = new Reader(answer.body).skip(4);
        r.string(); r.string(); r.string();
        r.skip(8);
        r.nodeId();
        r.header();
        r.skip(4);
        this.channel = r.u32();
        this.token = r.u32();
        r.skip(8);
        this.lifetime = r.u32();
        return this;
    }

    /** One chunk of a message; fields other than the right ones are lies. */
    messageChunk(body, { type = 'MSG', kind = 'F', channel = this.channel, token = this.token, sequence = ++this.sequence, request = ++this.request } = {}) {
        return chunk(type, kind, cat(u32(channel), u32(token), u32(sequence), u32(request), body));
    }

    /** Sends a request and waits for its response: { encoding, result, reader }. */
    async ask(encoding, body, options = {}) {
        const message = cat(nodeId(encoding), requestHeader({ token: this.authentication, ...options.header }), body);
        const room = (this.limits?.receive ?? 8192) - 24;
        const request = options.request ?? ++this.request;
        for (let at = 0; at < message.length; at += room)
            this.send(this.messageChunk(message.subarray(at, at + room), { ...options, request, kind: at + room < message.length ? 'C' : 'F' }));
        return this.answer();
    }

    async answer(ms) {
        const parts = [];
        for (;;) {
            const it = await this.next(ms);
            if (it.type !== 'MSG') throw new Error(`answer: ${it.type} ${it.type === 'ERR' ? statusName(it.body.readUInt32LE(0)) : ''}`);
            parts.push(it.body.subarray(16));
            if (it.kind === 'F') break;
        }
        const reader = new Reader(Buffer.concat(parts));
        const encoding = encodingOf(reader.nodeId());
        return { encoding, ...reader.header(), reader };
    }

    /** GetEndpoints; the status of the answer. Any server that lives gives 'Good'. */
    async lives() {
        const { encoding, result } = await this.ask(428, cat(text('opc.tcp://127.0.0.1/'), i32(-1), i32(-1)));
        return encoding === 431 ? statusName(result) : `answer ${encoding}`;
    }

    /** An anonymous session; its timeout is what the server granted. */
    async session({ timeout = 60_000, policyId = 'anonymous', activate = true } = {}) {
        const description = cat(text('urn:fieldgate:test:raw'), text(null), localized('raw'), u32(1), text(null), text(null), i32(-1));
        const created = await this.ask(461, cat(description, text(null), text('opc.tcp://127.0.0.1/'), text('raw'), cat(i32(32), randomBytes(32)), i32(-1), f64(timeout), u32(0)));
        if (created.result !== 0) throw new Error(`CreateSession: ${statusName(created.result)}`);
        created.reader.nodeId();
        this.authentication = Buffer.from(created.reader.nodeId());
        this.sessionTimeout = created.reader.f64();
        if (activate) {
            const token = cat(nodeId(321), u8(1), cat(i32(4 + Buffer.byteLength(policyId)), text(policyId)));
            const activated = await this.ask(467, cat(text(null), i32(-1), i32(-1), i32(-1), token, text(null), i32(-1)));
            if (activated.result !== 0) throw new Error(`ActivateSession: ${statusName(activated.result)}`);
        }
        return this;
    }

    close() { this.socket.destroy(); }
}

/** A socket to a server on loopback. */
export async function dialRaw({ t, port }) {
    const socket = net.connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    t?.after(() => socket.destroy());
    await within(new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)), `a connection to port ${port}`);
    return new Raw(socket);
}

/** The same with a channel that is open. */
export async function openRaw({ t, port, hello: limits, open } = {}) {
    const raw = await dialRaw({ t, port });
    await raw.hello(limits);
    return raw.open(open);
}

// ---- the other end: a server that answers what a test wants, for clients under test ----

const BINARY = 'http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary';
const bytesOf = (b) => (b ? cat(i32(b.length), b) : i32(-1));

/** An EndpointDescription of policy None for anonymous users. */
export const endpoint = ({ url, certificate, uri = 'urn:fieldgate:test:hostile' }) => cat(
    text(url), cat(text(uri), text(null), localized('hostile'), u32(0), text(null), text(null), i32(-1)), bytesOf(certificate), u32(1), text(NONE),
    array(cat(text('anonymous'), u32(0), text(null), text(null), text(null))), text(BINARY), u8(0));

/** One connection of such a server. */
class Asked {
    #buffer = Buffer.alloc(0);

    constructor(socket, server) {
        Object.assign(this, { socket, server, sequence: 0 });
        socket.on('error', () => {});
        socket.on('data', (data) => {
            this.#buffer = Buffer.concat([this.#buffer, data]);
            for (let size; this.#buffer.length >= 8 && this.#buffer.length >= (size = this.#buffer.readUInt32LE(4)); this.#buffer = this.#buffer.subarray(size))
                this.#take(this.#buffer.toString('latin1', 0, 3), new Reader(this.#buffer.subarray(8, size)));
        });
    }

    #take(type, r) {
        if (type === 'HEL') this.socket.write(chunk('ACK', 'F', cat(u32(0), u32(65535), u32(65535), u32(0), u32(0))));
        else if (type === 'OPN') this.#open(r);
        else if (type === 'MSG') this.#ask(r);
        else this.socket.end();
    }

    #request(r) {
        r.skip(4);
        const request = r.u32();
        const encoding = encodingOf(r.nodeId());
        r.nodeId();
        const handle = r.skip(8).u32();
        r.skip(4).string();
        r.skip(4).nodeId();
        r.skip(1);
        return { encoding, request, handle, reader: r };
    }

    #open(r) {
        r.skip(4);
        r.string(); r.string(); r.string();
        const asked = this.#request(r);
        const body = cat(nodeId(449), this.header(asked), u32(0), u32(7), u32(1), ticks(), u32(3_600_000), i32(-1));
        this.socket.write(chunk('OPN', 'F', cat(u32(7), text(NONE), i32(-1), i32(-1), u32(++this.sequence), u32(asked.request), body)));
    }

    header({ handle }, result = 0) { return cat(ticks(), u32(handle), u32(result), u8(0), i32(-1), NO_OBJECT); }

    /** Sends a response; `size`: a lie about its chunk's size. */
    answer(asked, encoding, body, { result = 0, size } = {}) {
        this.socket.write(chunk('MSG', 'F', cat(u32(7), u32(1), u32(++this.sequence), u32(asked.request), nodeId(encoding), this.header(asked, result), body), size));
    }

    #ask(r) {
        const asked = this.#request(r.skip(8));
        const { server } = this;
        server.asked[asked.encoding] = (server.asked[asked.encoding] ?? 0) + 1;
        if (server.serve(this, asked)) return;
        const plain = {
            428: () => [431, array(...server.endpoints())],
            461: () => [464, cat(nodeId(1), nodeId(2), f64(60_000), bytesOf(randomBytes(32)), bytesOf(server.sessionCertificate), array(...server.endpoints()), i32(-1), text(null), i32(-1), u32(0))],
            467: () => [470, cat(bytesOf(randomBytes(32)), i32(-1), i32(-1))],
            473: () => [476, Buffer.alloc(0)],
            631: () => [634, cat(array(...Array.from({ length: asked.reader.skip(12).i32() }, () => cat(u8(2), u32(STATUS.BadNodeIdUnknown)))), i32(-1))],
        }[asked.encoding]?.();
        if (plain) this.answer(asked, ...plain);
        else this.answer(asked, 397, Buffer.alloc(0), { result: STATUS.BadServiceUnsupported });
    }
}

/**
 * Listens on loopback: { port, url, connections, asked: { encoding: times } }. What it does besides a session of policy None:
 *
 *   serve(connection, asked)   may answer a request itself, or not at all, and returns true then
 *   endpoints(server)          the list of each GetEndpoints and CreateSession
 *   certificate, sessionCertificate   DER, in discovery and in CreateSession
 */
export async function startHostile({ t, serve = () => false, endpoints, certificate, sessionCertificate = certificate }) {
    const server = { connections: 0, asked: {}, serve, sessionCertificate };
    const sockets = new Set();
    const listener = net.createServer((socket) => {
        server.connections++;
        sockets.add(socket);
        socket.setNoDelay(true);
        new Asked(socket, server);
    });
    await within(new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve)), 'a port to listen on');
    t.after(() => { listener.close(); sockets.forEach((s) => s.destroy()); });
    server.port = listener.address().port;
    server.url = `opc.tcp://127.0.0.1:${server.port}`;
    server.endpoints = () => endpoints?.(server) ?? [endpoint({ url: server.url, certificate })];
    return server;
}
