// The broker under test. PEER=mosquitto puts Debian's mosquitto in the node's place: what the standard fixes must pass
// there as well, which tells a wrong test from a wrong node. Tests of our own promises are skipped then.

import net from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { startNode, tempFolder } from './node.mjs';
import { start } from './process.mjs';
import { until } from './wait.mjs';

export const MOSQUITTO = process.env.PEER === 'mosquitto';

/** Test options: `test('...', ours('why mosquitto differs'), async (t) => ...)`. */
export const ours = (why) => (MOSQUITTO ? { skip: why } : {});

async function freePort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

class Mosquitto {
    async start() {
        this.home ??= tempFolder('mq');
        this.mqttPort = await freePort();
        writeFileSync(join(this.home, 'mosquitto.conf'), `listener ${this.mqttPort} 127.0.0.1
allow_anonymous true
persistence true
persistence_location ${this.home}/
max_queued_messages 0
max_queued_bytes 0
max_packet_size 1048576
user root
`);
        this.process = start('/usr/sbin/mosquitto', ['-c', join(this.home, 'mosquitto.conf')]);
        await until(
            () => new Promise((resolve) => {
                const probe = net.connect(this.mqttPort, '127.0.0.1', () => { probe.destroy(); resolve(true); });
                probe.once('error', () => resolve(false));
            }),
            'mosquitto listens',
        );
        return this;
    }
    async stop() { if (!this.process.ended) await this.process.kill('SIGTERM'); }
    async kill9() { await this.process.kill('SIGKILL'); }
    async restart({ kill9 = false } = {}) {
        await (kill9 ? this.kill9() : this.stop());
        return this.start();
    }
    log() { return this.process.err.join('\n'); }
}

/** Debian's mosquitto, whatever PEER says. */
export async function startMosquitto({ t } = {}) {
    const peer = await new Mosquitto().start();
    t?.after(() => peer.stop());
    return peer;
}

/** A broker for one test: as startNode, whose options it takes. */
export async function startPeer({ t, ...options } = {}) {
    return MOSQUITTO ? startMosquitto({ t }) : startNode({ t, ...options });
}

/** A broker for all tests of a file: an object that has the broker's port and more once the tests run.
 *  `prepare(shared)` runs once it is there, what it gives back runs in the end. */
export function sharedPeer({ prepare, ...options } = {}) {
    const shared = { get port() { return shared.node.mqttPort; } };
    let finish;
    before(async () => {
        shared.node = await startPeer(options);
        finish = await prepare?.(shared);
    });
    after(async () => {
        await finish?.();
        await shared.node?.stop();
    });
    return shared;
}

let names = 0;
/** A name that no other test of this run uses: topics and client identifiers on a shared broker. */
export const unique = (prefix = 't') => `${prefix}-${process.pid}-${++names}`;
