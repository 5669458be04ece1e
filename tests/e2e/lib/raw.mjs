// A socket that speaks packets.mjs: sends any bytes, shows every packet that comes back, and how the connection ended.

import net from 'node:net';
import { until, within } from './wait.mjs';
import { CONNACK, DISCONNECT, NAMES, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK,
    ack, connect, decode, describe, publish, subscribe, unsubscribe } from './packets.mjs';

const MS = 10_000;

export class Raw {
    /**
     * onPacket(packet) sees each packet as it comes; without it they are kept for next(). localPort: a fixed one.
     */
    constructor(port, { version = 5, onPacket, onClose, loose = false } = {}) {
        this.version = version;
        this.loose = loose; // the steps below take their answer from between packets of other types
        this.received = []; // every packet that came and was not given to onPacket
        this.taken = 0;
        this.onPacket = onPacket;
        this.onClose = onClose;
        this.ended = false;
        this.bytesIn = 0;
        this.pending = Buffer.alloc(0);
        this.nextPid = 1;
        this.socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
        this.socket.on('data', (data) => this.#take(data));
        this.socket.on('error', (error) => (this.error = error));
        this.opened = new Promise((resolve, reject) => {
            this.socket.once('connect', resolve);
            this.socket.once('close', () => reject(this.error ?? new Error('closed')));
        });
        this.opened.catch(() => {});
        this.closed = new Promise((resolve) =>
            this.socket.once('close', () => {
                this.ended = true;
                this.onClose?.();
                resolve();
            }));
    }

    #take(data) {
        this.bytesIn += data.length;
        this.pending = this.pending.length ? Buffer.concat([this.pending, data]) : data;
        let at = 0;
        try {
            for (;;) {
                const p = decode(at ? this.pending.subarray(at) : this.pending, this.version);
                if (!p) break;
                at += p.size;
                if (this.onPacket) this.onPacket(p);
                else this.received.push(p);
            }
        } catch (error) {
            this.wrong = error;
            this.socket.destroy(error);
            return;
        }
        this.pending = at ? this.pending.subarray(at) : this.pending;
    }

    /** Sends as one write; resolves when the system has taken it all. Errors are seen as the end of the connection. */
    send(...buffers) {
        return new Promise((resolve) => this.socket.write(Buffer.concat(buffers), () => resolve()));
    }

    /** One segment per byte (TCP_NODELAY is on, and each write is awaited). */
    async sendSlowly(bytes) {
        for (let i = 0; i < bytes.length; i++) await this.send(bytes.subarray(i, i + 1));
    }

    said() { return this.received.map(describe).join(' | ') || 'nothing'; }

    /** The next packet not yet taken. */
    async next(ms = MS) {
        await until(() => this.received.length > this.taken || this.ended, '', ms, 2).catch(() => {
            throw new Error(`no packet within ${ms} ms after: ${this.said()}`);
        });
        if (this.wrong) throw this.wrong;
        if (this.received.length === this.taken) throw new Error(`closed after: ${this.said()}`);
        return this.received[this.taken++];
    }

    /** The next packet, which must be of this type. */
    async want(type, ms = MS) {
        const p = await this.next(ms);
        if (p.type !== type) throw new Error(`${describe(p)} came, ${NAMES[type]} was due; all: ${this.said()}`);
        return p;
    }

    /** The first packet of this type that was not taken yet; those before it stay. */
    async pick(type, ms = MS) {
        const at = () => this.received.findIndex((p, i) => i >= this.taken && p.type === type);
        await until(() => at() >= 0 || this.ended, '', ms, 2).catch(() => {
            throw new Error(`no ${NAMES[type]} within ${ms} ms after: ${this.said()}`);
        });
        if (this.wrong) throw this.wrong;
        if (at() < 0) throw new Error(`closed before ${NAMES[type]}, after: ${this.said()}`);
        const [p] = this.received.splice(at(), 1);
        this.received.splice(this.taken++, 0, p);
        return p;
    }

    answer(type, ms) { return this.loose ? this.pick(type, ms) : this.want(type, ms); }

    /** Nothing comes for `ms`. */
    async quiet(ms) {
        const end = performance.now() + ms;
        while (performance.now() < end) {
            if (this.received.length > this.taken) throw new Error(`${describe(this.received[this.taken])} came, nothing was due`);
            if (this.ended) throw new Error('closed, it should have stayed open');
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }

    /** The node closes the connection. Gives what came before that and was not taken. */
    async wantClosed(ms = MS) {
        await within(this.closed, () => `the node closes the connection (it said: ${this.said()})`, ms);
        if (this.wrong) throw this.wrong;
        const rest = this.received.slice(this.taken);
        this.taken = this.received.length;
        return rest;
    }

    /** Ends the connection without a DISCONNECT, after what was sent has left. */
    async cut() {
        if (!this.ended) {
            // The callback of end() never comes when the socket was destroyed before.
            await Promise.race([this.closed, new Promise((resolve) => this.socket.end(resolve))]);
            this.socket.destroy();
        }
        await this.closed;
    }

    // ---- the steps of a usual conversation ----

    get pid() {
        const pid = this.nextPid;
        this.nextPid = (pid % 65535) + 1;
        return pid;
    }

    async connect(options) {
        await this.opened;
        await this.send(connect({ version: this.version, ...options }));
        return this.want(CONNACK);
    }

    async subscribe(filters, options = {}) {
        const pid = this.pid;
        await this.send(subscribe({ version: this.version, pid, filters, ...options }));
        const suback = await this.answer(SUBACK);
        if (suback.pid !== pid) throw new Error(`SUBACK of ${suback.pid}, not of ${pid}`);
        return suback;
    }

    async unsubscribe(filters) {
        await this.send(unsubscribe({ version: this.version, pid: this.pid, filters }));
        return this.answer(UNSUBACK);
    }

    /** Publishes and completes the flow; gives the PUBACK or PUBREC, or nothing for QoS 0. */
    async publish(topic, payload, { qos = 1, pid, ...rest } = {}) {
        pid ??= qos ? this.pid : undefined;
        await this.send(publish({ version: this.version, topic, payload, qos, pid, ...rest }));
        if (qos === 0) return undefined;
        const first = await this.answer(qos === 1 ? PUBACK : PUBREC);
        if (first.pid !== pid) throw new Error(`${describe(first)} answers ${pid}`);
        if (qos === 2 && first.reason < 0x80) {
            await this.send(ack(PUBREL, pid, { version: this.version }));
            await this.answer(PUBCOMP);
        }
        return first;
    }

    /** The next PUBLISH, its flow completed. */
    async message(ms = MS) {
        const p = await this.answer(PUBLISH, ms);
        if (p.qos === 1) await this.send(ack(PUBACK, p.pid, { version: this.version }));
        if (p.qos === 2) {
            await this.send(ack(PUBREC, p.pid, { version: this.version }));
            const rel = await this.answer(PUBREL, ms);
            if (rel.pid !== p.pid) throw new Error(`${describe(rel)} answers PUBREC of ${p.pid}`);
            await this.send(ack(PUBCOMP, p.pid, { version: this.version }));
        }
        return p;
    }

    /** n messages, flows completed. */
    async messages(n, ms = MS) {
        const out = [];
        while (out.length < n) out.push(await this.message(ms));
        return out;
    }
}

/** An open connection that ends with the test. */
export async function rawOpen({ t, port, ...options }) {
    const raw = new Raw(port, options);
    t?.after(() => raw.socket.destroy());
    await raw.opened;
    return raw;
}

/** The same after CONNECT; `raw.connack` is the answer, which must be success. */
export async function rawConnect({ t, port, version = 5, onPacket, loose, ...options }) {
    const raw = await rawOpen({ t, port, version, loose });
    raw.connack = await raw.connect(options);
    if (raw.connack.reason !== 0) throw new Error(`refused: ${describe(raw.connack)}`);
    raw.onPacket = onPacket;
    return raw;
}

/** How the node ended the conversation: the reason of CONNACK or DISCONNECT, or 'closed' when it only closed. */
export async function ending(raw, ms) {
    const last = (await raw.wantClosed(ms)).at(-1);
    if (last?.type === DISCONNECT || last?.type === CONNACK) return last.reason;
    return 'closed';
}
