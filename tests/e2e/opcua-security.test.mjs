// Who may come in to our OPC UA server, and who may not: certificates and users, each refusal by itself. The peer learns
// little (BadSecurityChecksFailed), the log has the reason.
// timeout: 300

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { CLIENT_URI, clientCertificate, failing, MODES, POLICIES, ua, uaClient, uaConnect, uaRefused } from './lib/opcua-client.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { sharedKey } from './lib/opcua-server.mjs';
import { until } from './lib/wait.mjs';
import { statusName } from './lib/opcua-raw.mjs';
import { startProxy } from './lib/tcp-proxy.mjs';
import { certificate, revocationList, spoiled } from './lib/x509.mjs';

const NAMES = [`URI:${CLIENT_URI}`, 'DNS:localhost', 'IP:127.0.0.1'];
const POLICY = 'Basic256Sha256';
const PASSWORD = 'secret';
const WRONG = 'a-password-that-is-not-the-one';
const own = (more = {}) => certificate({ key: sharedKey('client'), cn: 'Test client', names: NAMES, ...more });

const rootKey = sharedKey('root');
const root = certificate({ key: rootKey, cn: 'Plant root', ca: true, purposes: [] });
const strangeRoot = certificate({ key: rootKey, cn: 'Strange root', ca: true, purposes: [] });
const person = certificate({ key: sharedKey('person'), cn: 'ada', names: ['URI:urn:person'] });

// Everything in here is known to the server, so that only the named thing is wrong with it.
const bad = {
    expired: own({ from: -60, to: -1 }),
    early: own({ from: 1, to: 60 }),
    foreign: own({ names: ['URI:urn:somebody:else', 'DNS:localhost'] }),
    nameless: own({ names: ['DNS:localhost'] }),
    short: certificate({ key: sharedKey('short', 1024), cn: 'Short', names: NAMES }),
    sha1: own({ hash: 'sha1' }),
    useless: own({ usage: ['keyCertSign'] }),
    serverOnly: own({ purposes: ['serverAuth'] }),
};
bad.spoiled = spoiled(own());
const revoked = own({ issuer: root, cn: 'Revoked client' });

let server;
let proxy;
before(async () => {
    server = await startSensor({
        trust: [clientCertificate(), root, ...Object.values(bad)], trustUsers: [person], users: { ada: PASSWORD },
        lists: { root: revocationList({ issuer: root, revoked: [revoked] }) },
    });
    proxy = await startProxy({ port: server.port });
});
after(async () => {
    await proxy?.stop();
    await server?.stop();
});

const refused = (options) => uaRefused({ url: server.url, policy: POLICY, ...options });

/** The status with which the channel was refused, read off the wire: node-opcua says only that the connection is gone. */
async function channelRefused(options) {
    assert.notEqual(await refused({ url: proxy.url, ...options }), 'Good');
    const said = proxy.last.down;
    assert.equal(said.toString('latin1', 0, 4), 'ERRF', 'the last thing the server says');
    assert.ok(said.length === 16 && said.readInt32LE(12) <= 0, 'and it gives no reason');
    return statusName(said.readUInt32LE(8));
}

/** The server's log gets a line like this. */
async function logged(pattern, from) {
    await until(() => pattern.test(server.log().slice(from)), () => `${pattern} in the log:\n${server.log().slice(from)}`, 3000, 50);
}

test('each policy and mode with each kind of user', async () => {
    for (const policy of POLICIES) {
        for (const mode of MODES) {
            for (const as of [undefined, { user: 'ada', password: PASSWORD }, { certificate: person }]) {
                const { session, close } = await uaConnect({ url: server.url, policy, mode, as });
                assert.equal((await session.read({ nodeId: 'i=2259' })).value.value, 0, `${policy} ${mode} ${JSON.stringify(Object.keys(as ?? {}))}`);
                await close();
            }
        }
    }
});

test('a password on a channel without security is encrypted all the same', async (t) => {
    const { session } = await uaConnect({ t, url: server.url, as: { user: 'ada', password: PASSWORD } });
    assert.equal((await session.read({ nodeId: 'i=2259' })).value.value, 0);
});

test('keys of 3,072 and 4,096 bits', async () => {
    for (const [bits, policies] of [[3072, [POLICY]], [4096, POLICIES]]) {
        const large = certificate({ key: sharedKey(`rsa${bits}`, bits), cn: `RSA ${bits}`, names: NAMES });
        server.trust(large);
        for (const policy of policies) {
            const { session, close } = await uaConnect({ url: server.url, policy, certificate: large, as: { user: 'ada', password: PASSWORD } });
            assert.equal((await session.read({ nodeId: 'i=2259' })).value.value, 0, `${bits} ${policy}`);
            await close();
        }
    }
});

test('a certificate that the trusted root has signed is believed', async () => {
    const issued = own({ issuer: root, cn: 'Issued client' });
    const { close } = await uaConnect({ url: server.url, policy: POLICY, certificate: issued });
    await close();
});

for (const [name, what, log] of [
    ['expired', 'an expired certificate', /BadCertificateTimeInvalid/],
    ['early', 'a certificate that is not valid yet', /BadCertificateTimeInvalid/],
    ['short', 'a key of 1,024 bits', /1024 bits/],
    ['sha1', 'a certificate signed with SHA-1', /SHA1/],
    ['useless', 'a certificate that is not for signing', /BadCertificateUseNotAllowed/],
    ['serverOnly', 'a certificate that is for servers only', /BadCertificateUseNotAllowed/],
    ['spoiled', 'a certificate whose signature is wrong', /BadCertificateInvalid/],
]) {
    test(`refused: ${what}`, async () => {
        const from = server.log().length;
        assert.equal(await channelRefused({ certificate: bad[name] }), 'BadSecurityChecksFailed');
        await logged(log, from);
    });
}

for (const [name, what, log] of [
    ['foreign', 'a certificate whose URI is not the ApplicationUri', /urn:somebody:else/],
    ['nameless', 'a certificate without an application URI', /no application \(no URI\)/],
]) {
    test(`refused: ${what}`, async () => {
        const from = server.log().length;
        assert.equal(await refused({ certificate: bad[name], uri: CLIENT_URI }), 'BadCertificateUriInvalid');
        await logged(log, from);
    });
}

test('refused: a certificate that its issuer has revoked', async () => {
    const from = server.log().length;
    assert.equal(await channelRefused({ certificate: revoked }), 'BadSecurityChecksFailed');
    await logged(/BadCertificateRevoked/, from);
});

test('refused: a certificate that nobody here knows; it waits in the inbox, and is believed once it is moved', async () => {
    const from = server.log().length;
    const unknown = own({ cn: 'Unknown client' });
    assert.equal(await channelRefused({ certificate: unknown }), 'BadSecurityChecksFailed');
    await logged(/BadCertificateUntrusted/, from);
    const pki = join(server.dataDir, 'opcua', 'pki');
    const rejected = join(pki, 'rejected', 'certs');
    const file = readdirSync(rejected).find((name) => name.toUpperCase().includes(unknown.thumbprint));
    assert.ok(file, `${unknown.thumbprint} in ${readdirSync(rejected)}`);
    renameSync(join(rejected, file), join(pki, 'trusted', 'certs', file));
    assert.equal(await refused({ certificate: unknown }), 'Good');
});

test('refused: one that a root has signed that nobody here knows', async () => {
    const from = server.log().length;
    assert.equal(await channelRefused({ certificate: own({ issuer: strangeRoot, cn: 'Strange client' }) }), 'BadSecurityChecksFailed');
    await logged(/BadCertificateChainIncomplete/, from);
});

test('refused: one that says it was signed by the root and was not', async () => {
    const forged = certificate({ key: sharedKey('client'), cn: 'Forged', names: NAMES, issuer: { ...root, key: sharedKey('forger') } });
    assert.equal(await channelRefused({ certificate: forged }), 'BadSecurityChecksFailed');
});

// ---- users ----

test('refused: a wrong password, an empty one, a user that is not there', async () => {
    for (const as of [{ user: 'ada', password: WRONG }, { user: 'ada', password: '' }, { user: 'bob', password: PASSWORD }, { user: '', password: PASSWORD }]) {
        const status = await refused({ as });
        assert.match(status, /^Bad(UserAccessDenied|IdentityTokenRejected|IdentityTokenInvalid)$/, JSON.stringify(as));
    }
    assert.ok(!server.log().includes(PASSWORD) && !server.log().includes(WRONG), 'no password in the log');
    assert.equal(await refused({ as: { user: 'ada', password: PASSWORD } }), 'Good');
});

test('refused: a user certificate whose key the user does not have', async () => {
    const stolen = { ...person, key: sharedKey('thief') };
    assert.match(await refused({ as: { certificate: stolen } }), /^Bad(UserSignatureInvalid|IdentityTokenRejected|IdentityTokenInvalid|UserAccessDenied)$/);
});

test('a session goes on over a new channel with the same certificate, and not with another', async (t) => {
    const first = await uaConnect({ t, url: server.url, policy: POLICY });
    const second = await uaClient({ t, policy: POLICY });
    await second.connect(server.url);
    await second.reactivateSession(first.session);
    assert.equal((await first.session.read({ nodeId: 'i=2259' })).value.value, 0);
    const issued = own({ issuer: root, cn: 'Another client' });
    const thief = await uaClient({ t, policy: POLICY, certificate: issued });
    await thief.connect(server.url);
    assert.match(await failing(thief.reactivateSession(first.session)), /^Bad/);
});

test('the server shows one certificate, signed for its URI and its host', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const endpoints = await client.getEndpoints();
    const prints = new Set(endpoints.map((e) => createHash('sha1').update(e.serverCertificate).digest('hex')));
    assert.equal(prints.size, 1);
    const info = ua.exploreCertificate ? ua.exploreCertificate(endpoints[0].serverCertificate) : undefined;
    const names = info?.tbsCertificate.extensions?.subjectAltName;
    if (names) assert.ok(names.uniformResourceIdentifier.includes(endpoints[0].server.applicationUri));
});
