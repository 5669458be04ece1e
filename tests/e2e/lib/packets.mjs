// MQTT packets as bytes, written and read here once more, so that the node is not checked with a client's idea of what
// may be sent: every field can be wrong on purpose. raw.mjs sends them.

export const CONNECT = 1, CONNACK = 2, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7, SUBSCRIBE = 8,
    SUBACK = 9, UNSUBSCRIBE = 10, UNSUBACK = 11, PINGREQ = 12, PINGRESP = 13, DISCONNECT = 14, AUTH = 15;
export const NAMES = ['type 0', 'CONNECT', 'CONNACK', 'PUBLISH', 'PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP', 'SUBSCRIBE',
    'SUBACK', 'UNSUBSCRIBE', 'UNSUBACK', 'PINGREQ', 'PINGRESP', 'DISCONNECT', 'AUTH'];

// MQTT 5.0, 2.2.2.2: identifier and data type of each property.
export const PROP = {
    payloadFormat: 0x01, messageExpiry: 0x02, contentType: 0x03, responseTopic: 0x08, correlation: 0x09, subId: 0x0b,
    sessionExpiry: 0x11, assignedClientId: 0x12, serverKeepAlive: 0x13, authMethod: 0x15, authData: 0x16,
    requestProblem: 0x17, willDelay: 0x18, requestResponse: 0x19, responseInfo: 0x1a, serverReference: 0x1c,
    reasonString: 0x1f, receiveMax: 0x21, topicAliasMax: 0x22, topicAlias: 0x23, maxQos: 0x24, retainAvailable: 0x25,
    user: 0x26, maxPacket: 0x27, wildcardAvailable: 0x28, subIdAvailable: 0x29, sharedAvailable: 0x2a,
};
const KIND = new Map([
    ...[0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a].map((id) => [id, 'byte']),
    ...[0x13, 0x21, 0x22, 0x23].map((id) => [id, 'u16']),
    ...[0x02, 0x11, 0x18, 0x27].map((id) => [id, 'u32']),
    ...[0x03, 0x08, 0x12, 0x15, 0x1a, 0x1c, 0x1f].map((id) => [id, 'text']),
    ...[0x09, 0x16].map((id) => [id, 'bytes']),
    [0x0b, 'varint'],
    [0x26, 'pair'],
]);
const PROP_NAME = new Map(Object.entries(PROP).map(([name, id]) => [id, name]));

// ---- to bytes ----

export const byte = (n) => Buffer.from([n]);
export function u16(n) { const b = Buffer.alloc(2); b.writeUInt16BE(n); return b; }
export function u32(n) { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; }
/** `size` writes it longer than it must be. */
export function varint(n, size = 0) {
    const out = [];
    do {
        const more = n > 127 || out.length + 1 < size;
        out.push((n & 0x7f) | (more ? 0x80 : 0));
        n = Math.floor(n / 128);
    } while (n > 0 || out.length < size);
    return Buffer.from(out);
}
const asBytes = (value) => (typeof value === 'string' ? Buffer.from(value) : Buffer.from(value ?? []));
/** A text or binary field: two bytes of length, then the bytes (a Buffer stays as it is, valid or not). */
export function field(value) { const b = asBytes(value); return Buffer.concat([u16(b.length), b]); }

const WRITE = {
    byte, u16, u32, varint, text: field, bytes: field,
    pair: ([name, value]) => Buffer.concat([field(name), field(value)]),
};
/** One property, by name or identifier. */
export function prop(key, value) {
    const id = typeof key === 'number' ? key : PROP[key];
    return Buffer.concat([byte(id), WRITE[KIND.get(id)](value)]);
}
/** A property list with its length: an object by name (an array value repeats it; user: [[name, value], ...]), ready
 *  bytes, or nothing. */
export function properties(list) {
    let body = list ?? Buffer.alloc(0);
    if (!Buffer.isBuffer(body)) {
        const parts = [];
        for (const [name, value] of Object.entries(body)) {
            if (value === undefined) continue;
            for (const one of Array.isArray(value) ? value : [value]) parts.push(prop(name, one));
        }
        body = Buffer.concat(parts);
    }
    return Buffer.concat([varint(body.length), body]);
}

/** A packet from its first byte and what stands behind the remaining length. */
export function packet(first, ...parts) {
    const body = Buffer.concat(parts);
    return Buffer.concat([byte(first), varint(body.length), body]);
}

export function connect({
    version = 5, id = '', clean = true, keepAlive = 60, props, will, user, password, flags,
    name = version === 3 ? 'MQIsdp' : 'MQTT', level = version,
} = {}) {
    const bits = flags ?? ((clean ? 2 : 0) | (will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0) |
        (password !== undefined ? 0x40 : 0) | (user !== undefined ? 0x80 : 0));
    const parts = [field(name), byte(level), byte(bits), u16(keepAlive)];
    if (version >= 5) parts.push(properties(props));
    parts.push(field(id));
    if (will) {
        if (version >= 5) parts.push(properties(will.props));
        parts.push(field(will.topic), field(will.payload ?? ''));
    }
    if (user !== undefined) parts.push(field(user));
    if (password !== undefined) parts.push(field(password));
    return packet(0x10, ...parts);
}

/** `pid` is written for QoS 1 and 2; `flags` replaces dup, qos and retain. */
export function publish({ version = 5, topic, payload = '', qos = 0, pid, dup = false, retain = false, props, flags }) {
    const bits = flags ?? ((dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0));
    const parts = [field(topic)];
    if (qos > 0) parts.push(u16(pid));
    if (version >= 5) parts.push(properties(props));
    parts.push(asBytes(payload));
    return packet(0x30 | bits, ...parts);
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP, in the shortest form that carries it. */
export function ack(type, pid, { reason = 0, props, version = 5 } = {}) {
    const first = (type << 4) | (type === PUBREL ? 2 : 0);
    if (version < 5 || (reason === 0 && !props)) return packet(first, u16(pid));
    return packet(first, u16(pid), byte(reason), props ? properties(props) : Buffer.alloc(0));
}

/** `filters`: texts, or { filter, qos, noLocal, retainAsPublished, retainHandling, options }. */
export function subscribe({ version = 5, pid = 1, filters, qos = 0, props }) {
    const parts = [u16(pid)];
    if (version >= 5) parts.push(properties(props));
    for (const one of [filters].flat()) {
        const f = typeof one === 'string' || Buffer.isBuffer(one) ? { filter: one } : one;
        const options = f.options ?? ((f.qos ?? qos) | (f.noLocal ? 4 : 0) | (f.retainAsPublished ? 8 : 0) |
            ((f.retainHandling ?? 0) << 4));
        parts.push(field(f.filter), byte(options));
    }
    return packet(0x82, ...parts);
}
export function unsubscribe({ version = 5, pid = 1, filters, props }) {
    const parts = [u16(pid)];
    if (version >= 5) parts.push(properties(props));
    for (const filter of [filters].flat()) parts.push(field(filter));
    return packet(0xa2, ...parts);
}
export const pingreq = () => packet(0xc0);
export function disconnect({ version = 5, reason = 0, props } = {}) {
    if (version < 5 || (reason === 0 && !props)) return packet(0xe0);
    return packet(0xe0, byte(reason), props ? properties(props) : Buffer.alloc(0));
}
export const auth = ({ reason = 0x18, props } = {}) => packet(0xf0, byte(reason), properties(props));

// ---- from bytes ----

class Reader {
    constructor(buffer) { this.b = buffer; this.at = 0; }
    get left() { return this.b.length - this.at; }
    need(n) { if (this.left < n) throw new Error(`the packet ends ${n - this.left} bytes early`); }
    byte() { this.need(1); return this.b[this.at++]; }
    u16() { this.need(2); this.at += 2; return this.b.readUInt16BE(this.at - 2); }
    u32() { this.need(4); this.at += 4; return this.b.readUInt32BE(this.at - 4); }
    varint() {
        let n = 0;
        for (let i = 0, by = 1; i < 4; i++, by *= 128) {
            const c = this.byte();
            n += (c & 0x7f) * by;
            if (c < 128) return n;
        }
        throw new Error('a variable byte integer of more than four bytes');
    }
    take(n) { this.need(n); this.at += n; return this.b.subarray(this.at - n, this.at); }
    bytes() { return this.take(this.u16()); }
    text() { return this.bytes().toString(); }
    pair() { return [this.text(), this.text()]; }
    rest() { return this.take(this.left); }
    /** { name: value }, user: [[name, value], ...] and subId: [n, ...] in their order. A node that sends a property
     *  twice where it may not is as wrong as one that sends an unknown one. */
    properties(version) {
        const out = {};
        if (version < 5 || this.left === 0) return out;
        const inner = new Reader(this.take(this.varint()));
        while (inner.left) {
            const id = inner.byte();
            const name = PROP_NAME.get(id);
            if (!name) throw new Error(`property 0x${id.toString(16)} does not exist`);
            const value = inner[KIND.get(id)]();
            if (id === PROP.user || id === PROP.subId) (out[name] ??= []).push(value);
            else if (name in out) throw new Error(`${name} comes twice`);
            else out[name] = value;
        }
        return out;
    }
}

const READ = {
    [CONNACK]: (r, p, v) => {
        p.sessionPresent = r.byte() === 1;
        p.reason = r.byte();
        p.props = r.properties(v);
    },
    [PUBLISH]: (r, p, v) => {
        p.dup = (p.first & 8) !== 0;
        p.qos = (p.first >> 1) & 3;
        p.retain = (p.first & 1) !== 0;
        p.topic = r.text();
        if (p.qos) p.pid = r.u16();
        p.props = r.properties(v);
        p.payload = Buffer.from(r.rest());
    },
    [SUBACK]: (r, p, v) => {
        p.pid = r.u16();
        p.props = r.properties(v);
        p.reasons = [...r.rest()];
    },
    [DISCONNECT]: (r, p, v) => {
        p.reason = r.left ? r.byte() : 0;
        p.props = r.properties(v);
    },
};
READ[UNSUBACK] = READ[SUBACK];
READ[AUTH] = READ[DISCONNECT];
for (const type of [PUBACK, PUBREC, PUBREL, PUBCOMP])
    READ[type] = (r, p, v) => {
        p.pid = r.u16();
        p.reason = r.left ? r.byte() : 0;
        p.props = r.properties(v);
    };

/** The packet at the front of `buffer` as { type, first, size, ... }, or undefined while it is not complete. Throws for
 *  what no server may send. */
export function decode(buffer, version = 5) {
    if (buffer.length < 2) return undefined;
    let length = 0, at = 1;
    for (let by = 1; ; by *= 128) {
        if (at > 4) throw new Error('a remaining length of more than four bytes');
        if (at >= buffer.length) return undefined;
        const c = buffer[at++];
        length += (c & 0x7f) * by;
        if (c < 128) break;
    }
    if (buffer.length < at + length) return undefined;
    const p = { type: buffer[0] >> 4, first: buffer[0], size: at + length };
    const flags = p.type === PUBREL ? 2 : 0;
    if (p.type !== PUBLISH && (p.first & 0x0f) !== flags) throw new Error(`${NAMES[p.type]} with flags ${p.first & 0x0f}`);
    const reader = new Reader(buffer.subarray(at, at + length));
    if (READ[p.type]) READ[p.type](reader, p, version);
    else if (p.type !== PINGRESP) throw new Error(`a server sent ${NAMES[p.type]}`);
    if (reader.left) throw new Error(`${NAMES[p.type]} has ${reader.left} bytes too many`);
    return p;
}

/** One line for messages: "PUBLISH qos 1 pid 7 a/b 21.4". */
export function describe(p) {
    const hex = (n) => `0x${n.toString(16).padStart(2, '0')}`;
    const words = [NAMES[p.type]];
    if (p.type === PUBLISH) words.push(`qos ${p.qos}`, p.dup ? 'dup' : '', p.retain ? 'retain' : '');
    if (p.pid !== undefined) words.push(`pid ${p.pid}`);
    if (p.reason !== undefined) words.push(hex(p.reason));
    if (p.reasons) words.push(p.reasons.map(hex).join(','));
    if (p.topic !== undefined) words.push(p.topic, p.payload.toString().slice(0, 60));
    if (p.props?.reasonString) words.push(`"${p.props.reasonString}"`);
    return words.filter(Boolean).join(' ');
}
