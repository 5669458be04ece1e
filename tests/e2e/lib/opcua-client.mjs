// node-opcua's client, unmodified, for tests of OPC UA servers. Importing node-opcua takes one to two seconds of a
// processor: a test file does it once.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './node.mjs';
import { applicationCertificate, sharedKey } from './opcua-server.mjs';

// node-opcua keeps a certificate store in the home folder for whoever names none, and prints warnings on stdout.
process.env.HOME = process.env.XDG_CONFIG_HOME = tempFolder('uahome');
console.log = console.warn = console.info = (...words) => process.env.UA_VERBOSE && console.error(...words);
export const { default: ua } = await import('node-opcua');

export const POLICIES = ['Basic256Sha256', 'Aes128_Sha256_RsaOaep', 'Aes256_Sha256_RsaPss'];
export const MODES = ['Sign', 'SignAndEncrypt'];

export const CLIENT_URI = 'urn:fieldgate:test:client';

let folders = 0;
const home = tempFolder('uacli');
let store;
const stored = new Map();

/** A PKI folder that trusts every server, made once; the files of a certificate, made once each. */
async function filesOf(certificate) {
    if (!store) {
        const root = join(home, 'pki');
        mkdirSync(join(root, 'own', 'private'), { recursive: true });
        writeFileSync(join(root, 'own', 'private', 'private_key.pem'), sharedKey('client').pem, { mode: 0o600 });
        store = new ua.OPCUACertificateManager({ rootFolder: root, automaticallyAcceptUnknownCertificate: true, disableFileWatchers: true });
        await store.initialize();
    }
    if (!stored.has(certificate)) {
        const base = join(home, String(++folders));
        writeFileSync(`${base}.key`, certificate.key.pem, { mode: 0o600 });
        writeFileSync(`${base}.pem`, certificate.pem);
        stored.set(certificate, { certificateFile: `${base}.pem`, privateKeyFile: `${base}.key` });
    }
    return stored.get(certificate);
}

let good;
/** The certificate that uaConnect uses if none is named. */
export const clientCertificate = () => (good ??= applicationCertificate({ key: sharedKey('client'), uri: CLIENT_URI, cn: 'Test client' }));

/** The application's settings for a connection: options as for uaConnect. */
export async function uaClient({ t, policy = 'None', mode, certificate = clientCertificate(), uri, ...more } = {}) {
    const secured = policy !== 'None';
    const client = ua.OPCUAClient.create({
        applicationName: 'Test client',
        applicationUri: uri ?? CLIENT_URI,
        clientCertificateManager: (await filesOf(certificate), store),
        ...stored.get(certificate),
        securityPolicy: ua.SecurityPolicy[policy],
        securityMode: ua.MessageSecurityMode[secured ? mode ?? 'SignAndEncrypt' : 'None'],
        endpointMustExist: false,
        keepSessionAlive: false,
        connectionStrategy: { maxRetry: 0, initialDelay: 50, maxDelay: 100 },
        requestedSessionTimeout: 30_000,
        transportTimeout: 20_000,
        ...more,
    });
    client.on('backoff', () => {});
    if (uri) client._getApplicationUri = () => uri; // by itself it says what the certificate says
    t?.after(() => client.disconnect().catch(() => {}));
    return client;
}

/** An identity for createSession: undefined is anonymous, { user, password }, or { certificate } from lib/x509.mjs. */
function identity(user) {
    if (!user) return { type: ua.UserTokenType.Anonymous };
    if (user.certificate)
        return { type: ua.UserTokenType.Certificate, certificateData: user.certificate.der, privateKey: user.certificate.key.pem };
    return { type: ua.UserTokenType.UserName, userName: user.user, password: user.password };
}

/**
 * Connects and opens a session: { client, session, close() }.
 *
 *   url           opc.tcp://...
 *   policy, mode  'None', 'Basic256Sha256', ...; 'Sign' or 'SignAndEncrypt'
 *   certificate   from lib/x509.mjs; uri: the ApplicationUri that it says it has
 *   as            undefined, { user, password } or { certificate }
 *   more          any option of OPCUAClient.create
 */
export async function uaConnect({ t, url, as, ...options }) {
    const client = await uaClient({ t, ...options });
    let session;
    try {
        await client.connect(url);
        session = await client.createSession(identity(as));
    } catch (error) {
        await client.disconnect().catch(() => {}); // its timers would keep this process
        throw error;
    }
    const close = async () => {
        await session.close(true).catch(() => {});
        await client.disconnect().catch(() => {});
    };
    return { client, session, close };
}

/** The name of the status with which connecting failed, or its text when there was none: for tests that must be refused. */
export async function uaRefused(options) {
    let connected;
    try {
        connected = await uaConnect(options);
    } catch (error) {
        return statusOf(error);
    }
    await connected.close();
    return 'Good';
}

/** A service as it is: no repair of the session when the server has forgotten it. `session` lends its token. */
export function ask(client, session, request) {
    request.requestHeader.authenticationToken = session.authenticationToken;
    return new Promise((resolve, reject) => {
        client.performMessageTransaction(request, (error, response) => {
            const result = response?.responseHeader.serviceResult;
            if (error) reject(error);
            else if (result.isGood()) resolve(response);
            else reject(Object.assign(new Error(result.name), { response }));
        });
    });
}

/** The status code that an error of node-opcua speaks of. */
export function statusOf(error) {
    const named = error.response?.responseHeader?.serviceResult?.name ?? error.statusCode?.name;
    return named ?? /\b((?:Bad|Uncertain)[A-Z]\w+)/.exec(error.message)?.[1] ?? error.message;
}

/** The name of the status with which `promise` is rejected. */
export async function failing(promise) {
    try {
        await promise;
    } catch (error) {
        return statusOf(error);
    }
    return 'Good';
}

/** Reads Value (or another attribute) of nodes: the data values. */
export const readAll = (session, nodes, attribute = 'Value') =>
    session.read(nodes.map((nodeId) => ({ nodeId, attributeId: ua.AttributeIds[attribute] })));

/** Every reference of a node, through as many continuation points as it takes. */
export async function browseAll(session, nodeId, more = {}) {
    const wanted = { nodeId, browseDirection: ua.BrowseDirection.Forward, includeSubtypes: true, nodeClassMask: 0, resultMask: 63, ...more };
    let result = await session.browse(wanted);
    if (!result.statusCode.isGood()) throw new Error(`browse ${nodeId}: ${result.statusCode.name}`);
    const references = [...(result.references ?? [])];
    while (result.continuationPoint?.length) {
        result = await session.browseNext(result.continuationPoint, false);
        references.push(...(result.references ?? []));
    }
    return references;
}

/** A subscription that keeps what it gets: { subscription, monitor(node, options) -> { values, item } }. */
export async function uaSubscribe(session, options = {}) {
    const subscription = await session.createSubscription2({
        requestedPublishingInterval: 50, requestedLifetimeCount: 600, requestedMaxKeepAliveCount: 20,
        maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 1, ...options,
    });
    const monitor = async (nodeId, parameters = {}, attribute = 'Value') => {
        const values = [];
        const item = await subscription.monitor(
            { nodeId, attributeId: ua.AttributeIds[attribute] },
            { samplingInterval: 0, queueSize: 100, discardOldest: true, ...parameters },
            ua.TimestampsToReturn.Both,
        );
        item.on('changed', (dataValue) => values.push(dataValue));
        return { item, values };
    };
    return { subscription, monitor };
}
