// A proxy that does to the messages of a broker what a broker must not do: swallows, doubles or swaps each `every`th PUBLISH
// on its way to a subscriber. Everything else passes as it is.

import net from 'node:net';

/** Splits off whole packets; returns the rest. */
function packets(bytes, each) {
    for (;;) {
        let size = 0;
        let at = 1;
        for (; at < 5; at++) {
            if (at >= bytes.length) return bytes;
            size += (bytes[at] & 0x7f) << (7 * (at - 1));
            if (!(bytes[at] & 0x80)) break;
        }
        const end = at + 1 + size;
        if (bytes.length < end) return bytes;
        each(bytes.subarray(0, end));
        bytes = bytes.subarray(end);
    }
}

/** what: 'swallow', 'double' or 'swap'. Gives { port, hit() }: how many messages it happened to. */
export async function startMangler({ t, port, what, every = 100 }) {
    const sockets = new Set();
    let hits = 0;
    const server = net.createServer((client) => {
        const broker = net.connect(port, '127.0.0.1');
        let rest = Buffer.alloc(0);
        let seen = 0;
        let held;
        for (const s of [client, broker]) {
            sockets.add(s);
            s.on('error', () => {});
            s.on('close', () => { client.destroy(); broker.destroy(); });
        }
        client.on('data', (data) => broker.write(data));
        broker.on('data', (data) => {
            const out = [];
            rest = packets(Buffer.concat([rest, data]), (packet) => {
                const chosen = packet[0] >> 4 === 3 && ++seen % every === 0;
                if (chosen) hits++;
                if (chosen && what === 'swallow') return;
                if (chosen && what === 'swap') { held = Buffer.from(packet); return; }
                out.push(packet);
                if (chosen && what === 'double') out.push(packet);
                if (held) { out.push(held); held = undefined; }
            });
            rest = Buffer.from(rest);
            client.write(Buffer.concat(out));
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        for (const s of sockets) s.destroy();
        server.close();
    });
    return { port: server.address().port, hit: () => hits };
}
