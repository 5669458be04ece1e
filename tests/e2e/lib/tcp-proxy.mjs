// A TCP proxy that does what networks do: cut in the middle of a message, delay, swallow, refuse. It counts what passes.

import net from 'node:net';

class Proxy {
    #pairs = new Set();
    #server;

    constructor(port, host, onData) {
        Object.assign(this, { target: { port, host }, onData });
        /** Bytes that passed: up = from the client to the server. */
        this.bytes = { up: 0, down: 0 };
        /** What arrived last in each direction. */
        this.last = { up: undefined, down: undefined };
        this.connections = 0;
        this.delayMs = 0;
        this.mode = 'pass'; // 'pass', 'swallow', 'refuse'
        this.cutAfter = undefined; // { direction, left }
    }

    async start() {
        this.#server = net.createServer({ pauseOnConnect: true }, (client) => this.#connection(client));
        await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
        this.port = this.#server.address().port;
        return this;
    }

    #connection(client) {
        this.connections++;
        client.setNoDelay(true);
        client.on('error', () => {});
        if (this.mode === 'refuse') return client.resetAndDestroy();
        const server = this.mode === 'swallow' ? undefined : net.connect(this.target.port, this.target.host);
        const pair = { client, server, waiting: { up: [], down: [] }, close: () => { client.destroy(); server?.destroy(); this.#pairs.delete(pair); } };
        this.#pairs.add(pair);
        client.on('close', pair.close);
        server?.setNoDelay(true);
        server?.on('error', () => {}).on('close', pair.close);
        client.on('data', (data) => this.#pass(pair, data, 'up', server));
        server?.on('data', (data) => this.#pass(pair, data, 'down', client));
        client.resume();
        return undefined;
    }

    #pass(pair, data, direction, to) {
        this.last[direction] = data;
        this.onData?.(direction, data);
        if (this.mode === 'swallow' || !to) return;
        const cut = this.cutAfter;
        if (cut && cut.direction === direction) {
            if (data.length >= cut.left) {
                this.cutAfter = undefined;
                const part = data.subarray(0, cut.left);
                this.bytes[direction] += part.length;
                to.write(part, () => pair.close());
                cut.done();
                return;
            }
            cut.left -= data.length;
        }
        this.bytes[direction] += data.length;
        const waiting = pair.waiting[direction];
        if (this.delayMs === 0 && waiting.length === 0) {
            to.write(data);
            return;
        }
        // In order, whatever the delay is when the next part comes.
        waiting.push(data);
        setTimeout(() => { const next = waiting.shift(); if (!to.destroyed) to.write(next); }, this.delayMs || waiting.length);
    }

    get url() { return `opc.tcp://127.0.0.1:${this.port}`; }
    get open() { return this.#pairs.size; }

    /** Ends all connections now, as a broken cable with a router that says so. */
    cut() { for (const pair of [...this.#pairs]) pair.close(); }

    /** Lets `n` more bytes through in this direction, on whatever connection, and then ends that connection: in the
     *  middle of a chunk if n is chosen so. Resolves when it has. */
    cutAfterBytes(n, direction = 'down') {
        return new Promise((done) => { this.cutAfter = { direction, left: n, done }; });
    }

    /** What arrives is passed on `ms` later, in order. */
    delay(ms) { this.delayMs = ms; }

    /** Accepts and passes nothing on; connections stay open on both sides. */
    swallow() { this.mode = 'swallow'; }

    /** Accepts nobody: each new connection is reset. Those that are open stay. */
    refuse() { this.mode = 'refuse'; }

    /** As it began. What was swallowed stays swallowed. */
    pass() { Object.assign(this, { mode: 'pass', delayMs: 0, cutAfter: undefined }); }

    async stop() {
        const closed = new Promise((resolve) => this.#server.close(resolve));
        this.cut();
        await closed;
    }
}

/** A proxy in front of a port: { port, url, bytes, connections } and the commands above. onData(direction, data) sees what
 *  arrives. */
export async function startProxy({ t, port, host = '127.0.0.1', onData }) {
    const proxy = await new Proxy(port, host, onData).start();
    t?.after(() => proxy.stop());
    return proxy;
}
