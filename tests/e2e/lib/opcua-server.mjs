// A server for OPC UA clients under test: node-opcua's, in a process of its own (fixtures/opcua-server.mjs), with a
// certificate and a PKI folder of its own, on a port that the system chooses. It starts in about 3 s: share it.
//
//   const server = await startUaServer({ t });
//   server.url                        opc.tcp://127.0.0.1:PORT
//   await server.do('set', { node: 'ns=1;s=Temperature', type: 'Double', value: 21.5 });
//
// What it can be asked to do: see `commands` in fixtures/opcua-server.mjs (set, get, emit, emitted, calls, stats, fault,
// endSessions, endSubscriptions, restart, freeze). What it serves, in namespace 1 unless said otherwise:
//
//   Values     a variable for each entry of fixtures/opcua-values.mjs; structures; their types are in namespace 2
//   Machine    Temperature, Humidity (with range, unit; Humidity has history), Run with Stop() and Start(), Setpoint,
//              Label, Total, Limits (writable), ReadOnly, WriteOnly, Broken, Shaky, Add(a, b), Scale(values, by), Fail()
//   Counters   Counter0 ... of Int64, for emit
//   Wide, Deep 250 leaves; 12 levels that end in a circle

import { join } from 'node:path';
import { tempFolder } from './node.mjs';
import { start } from './process.mjs';
import { until, within } from './wait.mjs';
import { certificate, newKey } from './x509.mjs';

const START_MS = 90_000;
const PROGRAM = new URL('../fixtures/opcua-server.mjs', import.meta.url).pathname;

/** The services that small servers leave out, and the limits they have. Options for startUaServer. */
export const MINIMAL = {
    refuse: ['SetPublishingMode', 'TransferSubscriptions', 'Republish', 'RegisterNodes', 'HistoryRead', 'SetTriggering', 'ModifySubscription'],
    limits: {
        maxNodesPerRead: 20, maxNodesPerWrite: 5, maxNodesPerBrowse: 5, maxNodesPerMethodCall: 1, maxNodesPerRegisterNodes: 5,
        maxMonitoredItemsPerCall: 10, maxNodesPerTranslateBrowsePathsToNodeIds: 5,
    },
};

const keys = new Map();
/** An RSA key that is made once per process: keys are slow to make, and tests rarely need them to differ. */
export function sharedKey(name, bits = 2048) {
    if (!keys.has(name)) keys.set(name, newKey(bits));
    return keys.get(name);
}

/** A good application certificate. */
export function applicationCertificate({ key = sharedKey('application'), uri, cn = 'Test application', ...more }) {
    return certificate({ key, cn, names: [`URI:${uri}`, 'DNS:localhost', 'IP:127.0.0.1'], ...more });
}

class UaServer {
    #waiting = new Map();
    #last = 0;

    constructor(options) {
        this.folder = tempFolder('ua');
        this.uri = options.uri ?? 'urn:fieldgate:test:server';
        this.certificate = options.certificate ?? applicationCertificate({ key: sharedKey('server'), uri: this.uri, cn: 'Test server' });
        this.options = { ...options, folder: join(this.folder, 'server'), uri: this.uri, certificate: this.certificate.pem, key: this.certificate.key.pem };
    }

    async start() {
        this.process = start(process.execPath, [PROGRAM], {
            cwd: this.folder, input: null, onLine: (line) => this.#answer(line),
            // node-opcua keeps a store in the home folder for whoever names none.
            env: { HOME: this.folder, XDG_CONFIG_HOME: this.folder },
        });
        const died = this.process.exited.then(({ code, signal }) => {
            for (const { reject } of this.#waiting.values()) reject(new Error(`the OPC UA server of the test ended (${signal ?? code}):\n${this.log()}`));
        });
        died.catch(() => {});
        Object.assign(this, await this.#send(0, this.options, START_MS));
        return this;
    }

    #answer(line) {
        if (!line.startsWith('{')) return;
        const { id, ok, error } = JSON.parse(line);
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (error) waiting?.reject(new Error(error));
        else waiting?.resolve(ok);
    }

    #send(id, request, ms) {
        const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
        answer.catch(() => {});
        this.process.child.stdin.write(`${JSON.stringify(request)}\n`);
        return within(answer, () => `the OPC UA server of the test answers ${request.do ?? 'its start'}\n${this.log()}`, ms);
    }

    /** Asks for one of the commands and gives back the answer. */
    do(what, parameters = {}, ms = 20_000) {
        const id = ++this.#last;
        return this.#send(id, { ...parameters, do: what, id }, ms);
    }

    /** The system stops the process: connections stay, nothing is answered. resume() lets it go on. */
    pause() { this.process.child.kill('SIGSTOP'); }
    resume() { this.process.child.kill('SIGCONT'); }

    log() { return this.process.err.join('\n'); }

    async stop() {
        if (this.process.ended) return;
        this.process.child.kill('SIGCONT');
        this.process.child.stdin.end();
        await within(this.process.exited, 'the OPC UA server of the test ends', 10_000);
    }
}

/**
 * Starts it. Options besides `t`:
 *
 *   policies, modes      names; all of them unless said otherwise
 *   anonymous, users     may anonymous clients come in (true); { name: password }
 *   trust, trustUsers    PEM texts of the client and user certificates that may come in; without the list, all may
 *   certificate, uri     its own, from lib/x509.mjs; ApplicationUri
 *   counters             how many counters (0)
 *   tokenLifetime, minTokenLifetime, timeout   of its channels, in ms
 *   maxSessions, maxConnections, limits, capabilities, refuse   see MINIMAL
 *   advertise            endpoint URLs to announce besides its own, such as that of a proxy
 */
export async function startUaServer({ t, ...options } = {}) {
    const server = new UaServer(options);
    try {
        await server.start();
    } catch (error) {
        server.process.child.kill('SIGKILL');
        throw error;
    }
    t?.after(() => server.stop());
    return server;
}
