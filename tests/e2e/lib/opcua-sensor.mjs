// Our own OPC UA server, as `fieldgate sensor` runs it: a data folder of its own, a port that the system chooses.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIELDGATE, tempFolder } from './node.mjs';
import { start } from './process.mjs';
import { within } from './wait.mjs';

const START_MS = 60_000;
const STOP_MS = 20_000;

class Sensor {
    constructor({ args = [], port = 0, dataDir, trust = [], trustUsers = [], lists = {}, users = {}, env, simulate = true }) {
        const home = tempFolder('sensor');
        this.dataDir = dataDir ?? join(home, 'data');
        this.env = env;
        this.port = port;
        this.args = [...(simulate ? ['--simulate'] : []), ...args];
        trust.forEach((certificate) => this.trust(certificate));
        trustUsers.forEach((certificate) => this.#put('users/trusted/certs', `${certificate.thumbprint}.der`, certificate.der));
        for (const [name, der] of Object.entries(lists)) this.#put('pki/trusted/crl', `${name}.crl`, der);
        for (const [name, password] of Object.entries(users)) {
            const file = join(home, `password-${name}`);
            writeFileSync(file, password, { mode: 0o600 });
            this.args.push('--user', `${name}=@${file}`);
        }
    }

    #put(place, name, der) {
        const folder = join(this.dataDir, 'opcua', place);
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(join(folder, name), der, { mode: 0o600 });
    }

    /** Puts a client's certificate where those lie that are believed. */
    trust(certificate) { this.#put('pki/trusted/certs', `${certificate.thumbprint}.der`, certificate.der); }

    async start() {
        let bound;
        const listening = new Promise((resolve) => { bound = resolve; });
        this.process = start(FIELDGATE, ['sensor', '--at', `opc.tcp://127.0.0.1:${this.port}`, '--interval', '200ms', '--data', this.dataDir, ...this.args], {
            env: this.env,
            onLine: (line) => {
                const at = /opc\.tcp:\/\/127\.0\.0\.1:([0-9]+)\S*/.exec(line);
                if (at) bound(at);
            },
        });
        const died = this.process.exited.then(({ code, signal }) => {
            throw new Error(`the sensor ended before it was ready (${signal ?? code}):\n${this.log()}`);
        });
        died.catch(() => {});
        try {
            const [url, port] = await within(Promise.race([listening, died]), () => `the sensor listens\n${this.log()}`, START_MS);
            Object.assign(this, { url, port: Number(port) });
        } catch (error) {
            this.process.child.kill('SIGKILL');
            throw error;
        }
        return this;
    }

    get pid() { return this.process.pid; }
    get alive() { return !this.process.ended; }
    /** Everything it has said on stderr. */
    log() { return this.process.err.join('\n'); }

    /** SIGTERM, and the end awaited; a crash or a sanitizer's finding is an error. */
    async stop() {
        if (this.process.ended) return;
        const { code, signal } = await this.process.kill('SIGTERM', STOP_MS);
        if (code !== 0) throw new Error(`the sensor ended with ${signal ?? code} after SIGTERM:\n${this.log()}`);
    }
}

/**
 * Starts it and waits until it listens: { url, port, log(), trust(certificate), stop() }.
 *
 *   args        more arguments of the verb; simulate: false for real sensors
 *   port        that of one that has ended; otherwise the system chooses
 *   trust       client certificates (lib/x509.mjs) that are believed; trustUsers: those of users
 *   lists       name -> what the issuers among them have revoked (revocationList)
 *   users       name -> password
 *   dataDir     an existing data folder instead of a new one
 */
export async function startSensor({ t, ...options } = {}) {
    const sensor = await new Sensor(options).start();
    t?.after(() => sensor.stop());
    return sensor;
}
