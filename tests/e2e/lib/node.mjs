// A node of our own for one test: a data folder of its own, ports that the system chooses, gone when the test is.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, start } from './process.mjs';
import { toYaml } from './yaml.mjs';
import { within } from './wait.mjs';

export const FIELDGATE = process.env.FIELDGATE ?? new URL('../../../build/fieldgate', import.meta.url).pathname;

// Sanitizer builds take their time to start and to stop.
const START_MS = 20_000;
const STOP_MS = 20_000;

const folders = new Set();
process.on('exit', () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when this process ends. Short, because the path of a unix socket has at most 107 bytes. */
export function tempFolder(prefix = 'fg') {
    const folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
    folders.add(folder);
    return folder;
}

const LISTENERS = [
    { type: 'mqtt', at: ['127.0.0.1:0'] },
    { type: 'http', at: ['127.0.0.1:0'] },
];

class Node {
    constructor({ settings = {}, dataDir, keepData = false, env, args = [], wrap = [] }) {
        this.home = tempFolder();
        this.dataDir = dataDir ?? join(this.home, 'data');
        this.config = join(this.home, 'fieldgate.yaml');
        this.settings = { data: this.dataDir, listeners: LISTENERS, ...settings };
        this.options = { env, args, wrap };
        if (keepData) folders.delete(this.home);
    }

    async start() {
        const [program, ...rest] = [...this.options.wrap, FIELDGATE, 'run', '--config', this.config, ...this.options.args];
        writeFileSync(this.config, toYaml(this.settings));
        this.ports = [];
        this.process = start(program, rest, {
            env: this.options.env,
            onLine: (line) => {
                const at = /^listening (\S+) (.*):([0-9]+)$/.exec(line);
                if (at) this.ports.push({ type: at[1], host: at[2], port: Number(at[3]) });
                if (line === 'ready') this.isReady();
            },
        });
        const ready = new Promise((resolve) => (this.isReady = resolve));
        const died = this.process.exited.then(({ code, signal }) => {
            throw new Error(`the node ended before it was ready (${signal ?? code}):\n${this.log()}`);
        });
        died.catch(() => {});
        try {
            await within(Promise.race([ready, died]), () => `the node is ready\n${this.log()}`, START_MS);
        } catch (error) {
            this.process.child.kill('SIGKILL');
            throw error;
        }
        return this;
    }

    /** The port of the first listener of this type. */
    port(type) {
        const found = this.ports.find((at) => at.type === type);
        if (!found) throw new Error(`the node has no ${type} listener`);
        return found.port;
    }
    get mqttPort() { return this.port('mqtt'); }
    get httpPort() { return this.port('http'); }
    get pid() { return this.process.pid; }
    get api() { return join(this.dataDir, 'api.sock'); }

    /** Everything it has said on stderr. */
    log() { return this.process.err.join('\n'); }

    /** SIGTERM, and the end awaited. A node that does not end well (a sanitizer's finding, a crash) is an error. */
    async stop() {
        if (this.process.ended) return;
        const { code, signal } = await this.process.kill('SIGTERM', STOP_MS);
        if (code !== 0) throw new Error(`the node ended with ${signal ?? code} after SIGTERM:\n${this.log()}`);
    }

    /** As a power cut would, as far as the process is concerned. */
    async kill9() {
        await this.process.kill('SIGKILL');
    }

    /** Stops it if it runs (pass { kill9: true } for the hard way) and starts it again on the same data. The system
     *  chooses new ports, unless samePorts asks for the old ones. `settings` replaces single settings. */
    async restart({ kill9 = false, samePorts = false, settings } = {}) {
        await (kill9 ? this.kill9() : this.stop());
        if (samePorts) {
            const taken = [...this.ports];
            const fixed = (type, at) => at.replace(/:0$/, () => `:${taken.splice(taken.findIndex((p) => p.type === type), 1)[0].port}`);
            this.settings.listeners = this.settings.listeners.map((l) => ({ ...l, at: l.at.map((at) => fixed(l.type, at)) }));
        }
        Object.assign(this.settings, settings);
        return this.start();
    }

    /** Writes single settings into its file, as a person would with an editor. */
    configure(settings) {
        Object.assign(this.settings, settings);
        writeFileSync(this.config, toYaml(this.settings));
    }

    /** configure and `fieldgate reload`: { code, out, err }. */
    async reload(settings = {}) {
        this.configure(settings);
        return this.verb('reload');
    }

    /** GET from the HTTP listener: { status, text }. */
    async get(path) {
        const answer = await fetch(`http://127.0.0.1:${this.httpPort}${path}`, { signal: AbortSignal.timeout(10_000) });
        return { status: answer.status, text: await answer.text() };
    }

    /** Runs a verb of the command line against this node: verb('events', '--earliest', '-C', '5'). */
    verb(name, ...args) {
        return run(FIELDGATE, [name, '--data', this.dataDir, ...args], { timeoutMs: 20_000 });
    }
}

/**
 * Starts a node and waits until it is ready.
 *
 *   t           the test's context: the node is stopped after the test, and must then end well
 *   settings    added to { data, listeners }; kebab-case, as in the settings file
 *   dataDir     an existing data folder instead of a new one
 *   keepData    leave the folder behind, to look at it
 *   env, args   more environment and arguments; wrap: a program in front, such as ['strace', '-f', ...]
 */
export async function startNode({ t, ...options } = {}) {
    const node = new Node(options);
    await node.start();
    t?.after(() => node.stop());
    return node;
}

/** Starts a node that must refuse to start: { code, out, err }. */
export async function startRefused({ settings = {}, text, dataDir } = {}) {
    const home = tempFolder();
    const config = join(home, 'fieldgate.yaml');
    writeFileSync(config, text ?? toYaml({ data: dataDir ?? join(home, 'data'), listeners: LISTENERS, ...settings }));
    return run(FIELDGATE, ['run', '--config', config], { timeoutMs: START_MS });
}
