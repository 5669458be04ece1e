// Part 4 point by point against our OPC UA server, with an unmodified node-opcua client as a foreign checker would: what
// opcua-server.test.mjs looks at less closely. Each point is a test of its own.
// timeout: 300

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { ask, browseAll, clientCertificate, failing, readAll, statusOf, ua, uaClient, uaConnect, uaSubscribe } from './lib/opcua-client.mjs';
import { array, cat, f64, i32, localized, openRaw, text, u32 } from './lib/opcua-raw.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { startProxy } from './lib/tcp-proxy.mjs';
import { sleep, until, within } from './lib/wait.mjs';

const { AttributeIds, DataType, VariantArrayType } = ua;
const TRANSPORT = 'http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary';
const PASSWORDS = { ada: 'engine', bob: 'builder' };

let server;
let shared; // a session without security
const at = {}; // browse name -> node id of what the sensor serves
before(async () => {
    server = await startSensor({ trust: [clientCertificate()], users: PASSWORDS, args: ['--limit', 'session-ms-min=500'] });
    shared = await uaConnect({ url: server.url });
    const [machine] = (await browseAll(shared.session, 'i=85')).filter((r) => r.nodeId.namespace > 0);
    at.machine = machine.nodeId.toString();
    for (const r of await browseAll(shared.session, at.machine, { referenceTypeId: 'i=33' })) at[r.browseName.name] = r.nodeId.toString();
});
after(async () => {
    await shared?.close();
    await server?.stop();
});

const as = (user) => ({ user, password: PASSWORDS[user] });
const request = (Type, fields, header = {}, by = shared) => {
    const q = new ua[`${Type}Request`](fields);
    Object.assign(q.requestHeader, header);
    return ask(by.client, by.session, q);
};
const read = async (nodesToRead, more = {}, by = shared) =>
    (await request('Read', { maxAge: 0, timestampsToReturn: 2, nodesToRead: nodesToRead.map((n) => ({ attributeId: 13, ...n })), ...more }, {}, by)).results;
const value = async (nodeId) => (await read([{ nodeId }]))[0].value.value;
const write = async (nodeId, variant, more = {}) =>
    (await request('Write', { nodesToWrite: [{ nodeId, attributeId: 13, ...more, value: { value: variant, ...more.value } }] })).results[0].name;
const run = (on) => write(at.Run, { dataType: DataType.Boolean, value: on });
const names = (list) => list.map((s) => (s.statusCode ?? s).name);

/** A session whose subscription services are called by hand. */
async function manual(t, more = {}) {
    const connected = await uaConnect({ t, url: server.url, ...more });
    const self = { ...connected, service: (Type, fields, header) => request(Type, fields, header, connected) };
    self.create = async (fields = {}) => {
        const made = await self.service('CreateSubscription', {
            requestedPublishingInterval: 50, requestedLifetimeCount: 600, requestedMaxKeepAliveCount: 5, maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 0, ...fields,
        });
        self.id ??= made.subscriptionId;
        return made;
    };
    self.items = async (list, subscriptionId = self.id) => (await self.service('CreateMonitoredItems', {
        subscriptionId, timestampsToReturn: 2,
        itemsToCreate: list.map(({ nodeId, attributeId = 13, indexRange, dataEncoding, mode = ua.MonitoringMode.Reporting, ...parameters }, i) => ({
            itemToMonitor: { nodeId, attributeId, indexRange, dataEncoding }, monitoringMode: mode,
            requestedParameters: { clientHandle: i + 1, samplingInterval: 0, queueSize: 10, discardOldest: true, ...parameters },
        })),
    })).results;
    self.publish = (acknowledgements = []) => self.service('Publish', { subscriptionAcknowledgements: acknowledgements.map((sequenceNumber) => ({ subscriptionId: self.id, sequenceNumber })) });
    /** [handle, data value] of a message. */
    self.told = (response) => (response.notificationMessage.notificationData ?? []).flatMap((n) => (n.monitoredItems ?? []).map((m) => [m.clientHandle, m.value]));
    /** The next message that is no keep-alive. */
    self.news = async (acknowledgements = []) => {
        for (;;) {
            const answer = await self.publish(acknowledgements);
            if (answer.notificationMessage.notificationData?.length) return answer;
        }
    };
    return self;
}

// ---- discovery ----

test('GetEndpoints: profileUris and localeIds', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const endpoints = (more) => client.getEndpoints({ endpointUrl: server.url, ...more });
    const all = await endpoints({});
    assert.equal((await endpoints({ profileUris: [TRANSPORT] })).length, all.length);
    assert.equal((await endpoints({ profileUris: ['http://opcfoundation.org/UA-Profile/Transport/https-uabinary'] })).length, 0, 'nothing over HTTPS');
    assert.equal((await endpoints({ profileUris: ['urn:other', TRANSPORT] })).length, all.length, 'one of them is enough');
    const german = await endpoints({ localeIds: ['de-DE', 'en'] });
    assert.equal(german.length, all.length, 'a language that is not there is no reason for nothing');
    assert.ok(german[0].server.applicationName.text.length > 0);
});

test('GetEndpoints and FindServers: under the name that was dialled', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const dialled = `opc.tcp://localhost:${server.port}`;
    for (const e of await client.getEndpoints({ endpointUrl: dialled })) {
        assert.ok(e.endpointUrl.startsWith(dialled), e.endpointUrl);
        assert.ok(e.server.discoveryUrls[0].startsWith(dialled), 'discoveryUrls');
        assert.equal(e.server.applicationType, ua.ApplicationType.Server);
        assert.equal(e.server.gatewayServerUri ?? '', '');
    }
    const [found] = await client.findServers({ endpointUrl: dialled });
    assert.ok(found.discoveryUrls.every((u) => u.startsWith(dialled)), `${found.discoveryUrls}`);
    for (const strange of ['', 'nonsense', 'http://localhost/', 'opc.tcp://a\r\nb:1/', `opc.tcp://${'h'.repeat(3000)}:1/`]) {
        const [e] = await client.getEndpoints({ endpointUrl: strange });
        assert.match(e.endpointUrl, new RegExp(`^opc\\.tcp://127\\.0\\.0\\.1:${server.port}`), JSON.stringify(strange.slice(0, 30)));
    }
});

test('FindServers: serverUris', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const [own] = await client.findServers();
    assert.equal((await client.findServers({ serverUris: [own.applicationUri] })).length, 1);
    assert.equal((await client.findServers({ serverUris: ['urn:somebody:else'] })).length, 0);
    assert.equal((await client.findServers({ serverUris: ['urn:somebody:else', own.applicationUri] })).length, 1);
    assert.ok(own.productUri?.length && own.applicationName.text?.length);
});

// ---- sessions ----

/** CreateSession by hand over a channel of node-opcua: { response } or { status }. */
async function createSession(client, fields = {}) {
    const q = new ua.CreateSessionRequest({
        clientDescription: { applicationUri: 'urn:fieldgate:test:client', applicationType: ua.ApplicationType.Client },
        endpointUrl: server.url, sessionName: 'by hand', clientNonce: Buffer.alloc(32, 7), clientCertificate: client.getCertificate(), requestedSessionTimeout: 30_000, maxResponseMessageSize: 0, ...fields,
    });
    return new Promise((resolve) => client.performMessageTransaction(q, (error, response) => {
        const status = response?.responseHeader.serviceResult ?? error?.response?.responseHeader?.serviceResult;
        resolve({ status: status?.name ?? error.message, response });
    }));
}

test('CreateSession: nonces, signature, certificate, endpoints', async (t) => {
    const client = await uaClient({ t, policy: 'Basic256Sha256' });
    await client.connect(server.url);
    const good = await createSession(client);
    assert.equal(good.status, 'Good');
    assert.equal(good.response.serverNonce.length, 32);
    assert.equal(good.response.serverSignature.algorithm, 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256');
    assert.equal(good.response.serverSignature.signature.length, 256);
    assert.deepEqual(good.response.serverEndpoints.map((e) => `${e.securityPolicyUri} ${e.securityMode}`), (await client.getEndpoints()).map((e) => `${e.securityPolicyUri} ${e.securityMode}`));
    assert.ok(good.response.serverCertificate.equals(good.response.serverEndpoints[0].serverCertificate));
    const again = await createSession(client);
    assert.ok(!again.response.serverNonce.equals(good.response.serverNonce), 'a nonce comes once');
    assert.notEqual(again.response.authenticationToken.toString(), good.response.authenticationToken.toString());
    for (const clientNonce of [null, Buffer.alloc(0), Buffer.alloc(31, 1), Buffer.alloc(129, 1)])
        assert.equal((await createSession(client, { clientNonce })).status, 'BadNonceInvalid', `a nonce of ${clientNonce?.length} bytes`);
    assert.equal((await createSession(client, { clientCertificate: Buffer.from('nonsense') })).status, 'BadCertificateInvalid');
    assert.equal((await createSession(client, { serverUri: 'urn:somebody:else' })).status, 'BadServerUriInvalid');
    assert.equal((await createSession(client, { clientDescription: { applicationUri: 'urn:somebody:else' } })).status, 'BadCertificateUriInvalid');
});

test('CreateSession: the time-out is revised; not activated, a session can do nothing', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const { response: long } = await createSession(client, { requestedSessionTimeout: 1e12 });
    assert.equal(long.revisedSessionTimeout, 3_600_000);
    const { response: none } = await createSession(client, { requestedSessionTimeout: 0 });
    assert.ok(none.revisedSessionTimeout >= 500);
    const { response: odd } = await createSession(client, { requestedSessionTimeout: NaN });
    assert.ok(odd.revisedSessionTimeout >= 500);
    assert.ok(long.maxRequestMessageSize >= 8192);
    const early = () => ask(client, { authenticationToken: odd.authenticationToken }, new ua.ReadRequest({ nodesToRead: [{ nodeId: 'i=2259', attributeId: 13 }] }));
    assert.equal(await failing(early()), 'BadSessionNotActivated');
    assert.equal(await failing(early()), 'BadSessionIdInvalid', 'and it is closed by that');
});

test('several sessions on one channel: each its own token, closing one leaves the others', async (t) => {
    const { client, session } = await uaConnect({ t, url: server.url });
    const second = await client.createSession();
    const third = await client.createSession(); // by the same channel
    assert.equal((await second.read({ nodeId: 'i=2259' })).value.value, 0);
    const made = await ask(client, second, new ua.CreateSubscriptionRequest({ requestedPublishingInterval: 100, requestedLifetimeCount: 100, requestedMaxKeepAliveCount: 5 }));
    assert.deepEqual(names((await ask(client, third, new ua.DeleteSubscriptionsRequest({ subscriptionIds: [made.subscriptionId] }))).results), ['BadSubscriptionIdInvalid'], "another session's subscription");
    await second.close(true);
    assert.equal((await third.read({ nodeId: 'i=2259' })).value.value, 0);
    assert.equal((await session.read({ nodeId: 'i=2259' })).value.value, 0);
});

test('a session moves to a new channel, and its subscription with it; not to another user', async (t) => {
    const m = await manual(t, { as: as('ada') });
    await m.create();
    await m.items([{ nodeId: at.Run }]);
    assert.equal(m.told(await m.news()).length, 1);
    const second = await uaClient({ t });
    await second.connect(server.url);
    await second.reactivateSession(m.session);
    const moved = { client: second, session: m.session };
    assert.equal((await read([{ nodeId: 'i=2259' }], {}, moved))[0].value.value, 0);
    const news = request('Publish', { subscriptionAcknowledgements: [] }, {}, moved);
    await run(!(await value(at.Run)));
    let told = m.told(await news);
    while (!told.length) told = m.told(await request('Publish', { subscriptionAcknowledgements: [] }, {}, moved));
    assert.equal(told.length, 1, 'the change arrives over the new channel');
    assert.match(await failing(ask(m.client, m.session, new ua.ReadRequest({ nodesToRead: [{ nodeId: 'i=2259', attributeId: 13 }] }))), /^BadSecureChannelIdInvalid$|^BadSession/, 'the old channel has it no more');
    await run(true);
});

test('ActivateSession: unknown policy ids, foreign token types, a wrong encryption algorithm', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const activate = async (userIdentityToken) => {
        const { response } = await createSession(client);
        const q = new ua.ActivateSessionRequest({ userIdentityToken });
        return failing(ask(client, { authenticationToken: response.authenticationToken }, q));
    };
    const anonymous = (policyId) => new ua.AnonymousIdentityToken({ policyId });
    assert.equal(await activate(anonymous('anonymous')), 'Good');
    assert.equal(await activate(null), 'Good', 'no token is an anonymous one');
    assert.match(await activate(anonymous('nobody has this')), /^BadIdentityToken(Invalid|Rejected)$/);
    assert.match(await activate(new ua.IssuedIdentityToken({ policyId: 'issued', tokenData: Buffer.from('x') })), /^BadIdentityToken(Invalid|Rejected)$/);
    const plain = new ua.UserNameIdentityToken({ policyId: 'username_basic256sha256', userName: 'ada', password: Buffer.from(PASSWORDS.ada), encryptionAlgorithm: null });
    assert.match(await activate(plain), /^BadIdentityToken(Invalid|Rejected)$/, 'a readable password is not taken');
    assert.match(await activate(new ua.ReadRequest({})), /^BadIdentityTokenInvalid$|^BadDecodingError$/, 'something that is no token at all');
});

test('CloseSession with and without deleting subscriptions; TransferSubscriptions for the same user only', async (t) => {
    const leaver = async (deleteSubscriptions) => {
        const m = await manual(t, { as: as('ada') });
        await m.create();
        await m.items([{ nodeId: at.Run }]);
        await m.service('CloseSession', { deleteSubscriptions });
        return m.id;
    };
    const kept = await leaver(false);
    const gone = await leaver(true);
    const transfer = async (user) => {
        const heir = await manual(t, { as: user && as(user) });
        const { results } = await heir.service('TransferSubscriptions', { subscriptionIds: [kept, gone], sendInitialValues: true });
        heir.id = kept;
        return { heir, status: names(results) };
    };
    assert.deepEqual((await transfer('bob')).status, ['BadUserAccessDenied', 'BadSubscriptionIdInvalid']);
    assert.deepEqual((await transfer()).status, ['BadUserAccessDenied', 'BadSubscriptionIdInvalid']);
    const { heir, status } = await transfer('ada');
    assert.deepEqual(status, ['Good', 'BadSubscriptionIdInvalid']);
    assert.equal(heir.told(await heir.news()).length, 1, 'the initial value');
});

test('a session times out by silence, and its subscription lives on', async (t) => {
    const m = await manual(t, { as: as('ada'), requestedSessionTimeout: 500 });
    await m.create({ requestedLifetimeCount: 6000 });
    await sleep(1400);
    assert.match(await failing(m.service('Read', { nodesToRead: [{ nodeId: 'i=2259', attributeId: 13 }] })), /^BadSession(IdInvalid|Closed)$/);
    const heir = await manual(t, { as: as('ada') });
    assert.deepEqual(names((await heir.service('TransferSubscriptions', { subscriptionIds: [m.id], sendInitialValues: false })).results), ['Good']);
});

// ---- all services ----

test('requestHandle comes back; returnDiagnostics of every kind changes nothing', async () => {
    for (const returnDiagnostics of [0, 1, 0x1f, 0x3ff, 0xffffffff]) {
        const answer = await request('Read', { nodesToRead: [{ nodeId: 'ns=9;s=x', attributeId: 13 }], timestampsToReturn: 3 }, { returnDiagnostics });
        assert.equal(answer.results[0].statusCode.name, 'BadNodeIdUnknown');
        assert.ok([0, 1].includes((answer.diagnosticInfos ?? []).length), 'as many as results, or none');
        assert.ok(Math.abs(answer.responseHeader.timestamp - Date.now()) < 60_000);
    }
});

test('services that are not there: BadServiceUnsupported, and the session lives', async () => {
    const absent = {
        AddNodes: { nodesToAdd: [] }, DeleteNodes: { nodesToDelete: [] }, AddReferences: { referencesToAdd: [] },
        QueryFirst: { nodeTypes: [] }, RegisterServer: {}, HistoryUpdate: { historyUpdateDetails: [] },
    };
    for (const [name, fields] of Object.entries(absent)) assert.equal(await failing(request(name, fields)), 'BadServiceUnsupported', name);
    assert.equal(await value('i=2259'), 0);
});

test('empty lists are BadNothingToDo, in every service that has one', async (t) => {
    const m = await manual(t);
    await m.create();
    const empty = {
        Read: { nodesToRead: [], timestampsToReturn: 0 }, Write: { nodesToWrite: [] }, Call: { methodsToCall: [] }, Browse: { nodesToBrowse: [] },
        BrowseNext: { continuationPoints: [] }, TranslateBrowsePathsToNodeIds: { browsePaths: [] }, RegisterNodes: { nodesToRegister: [] }, UnregisterNodes: { nodesToUnregister: [] },
        DeleteSubscriptions: { subscriptionIds: [] }, SetPublishingMode: { subscriptionIds: [], publishingEnabled: true }, TransferSubscriptions: { subscriptionIds: [] },
        CreateMonitoredItems: { subscriptionId: m.id, itemsToCreate: [], timestampsToReturn: 0 }, ModifyMonitoredItems: { subscriptionId: m.id, itemsToModify: [], timestampsToReturn: 0 },
        DeleteMonitoredItems: { subscriptionId: m.id, monitoredItemIds: [] }, SetMonitoringMode: { subscriptionId: m.id, monitoredItemIds: [], monitoringMode: 2 },
    };
    for (const [name, fields] of Object.entries(empty)) assert.equal(await failing(m.service(name, fields)), 'BadNothingToDo', name);
});

test('Cancel: parked Publish requests of a handle are answered BadRequestCancelledByClient', async (t) => {
    const m = await manual(t);
    await m.create({ requestedPublishingInterval: 5000 });
    const raw = await openRaw({ t, port: server.port });
    await raw.session();
    const made = await raw.ask(787, cat(f64(5000), u32(1000), u32(100), u32(0), Buffer.from([1, 0])));
    assert.equal(made.result, 0);
    const header = { handle: 4711 };
    const publish = raw.ask(826, i32(-1), { header });
    await sleep(50);
    const cancel = raw.ask(479, u32(4711));
    const answers = [await publish, await cancel];
    const fault = answers.find((a) => a.encoding === 397);
    const cancelled = answers.find((a) => a.encoding === 482);
    assert.equal(fault.result, 0x802c0000, 'BadRequestCancelledByClient');
    assert.equal(fault.handle, 4711);
    assert.equal(cancelled.reader.u32(), 1, 'one was cancelled');
});

test('a timeoutHint ends a parked Publish with BadTimeout', async (t) => {
    const raw = await openRaw({ t, port: server.port });
    await raw.session();
    await raw.ask(787, cat(f64(5000), u32(1000), u32(100), u32(0), Buffer.from([1, 0])));
    const answer = await within(raw.ask(826, i32(-1), { header: { timeout: 300 } }), 'the answer', 8000);
    assert.equal(answer.result, 0x800a0000);
});

test('answers of many chunks; maxResponseMessageSize of the client', async (t) => {
    const big = await uaConnect({ t, url: server.url });
    const nodesToBrowse = Array(500).fill({ nodeId: 'i=2253', browseDirection: 2, includeSubtypes: true, nodeClassMask: 0, resultMask: 63 });
    const answer = await request('Browse', { nodesToBrowse, requestedMaxReferencesPerNode: 0 }, {}, big);
    assert.equal(answer.results.length, 500);
    assert.ok(answer.results.every((r) => r.references.length === answer.results[0].references.length));
    const small = await openRaw({ t, port: server.port, hello: { message: 20_000 } });
    await small.session();
    const node = cat(Buffer.from([1, 0, 0xcf, 0x08]), u32(13), text(null), Buffer.from([0, 0]), text(null)); // the Value of i=2255
    const many = (n) => small.ask(631, cat(f64(0), u32(3), array(...Array(n).fill(node))));
    assert.equal((await many(10)).encoding, 634);
    const tooLarge = await many(1000);
    assert.equal(tooLarge.encoding, 397);
    assert.equal(tooLarge.result, 0x80b90000, 'BadResponseTooLarge');
    assert.equal(await small.lives(), 'Good');
});

// ---- the address space ----

test('Server object: ServerStatus field by field, and as single variables', async () => {
    const status = await value('i=2256');
    const [start, current, state, build, seconds, reason] = (await read(['i=2257', 'i=2258', 'i=2259', 'i=2260', 'i=2992', 'i=2993'].map((nodeId) => ({ nodeId })))).map((v) => v.value.value);
    assert.equal(+status.startTime, +start);
    assert.ok(current >= status.currentTime);
    assert.equal(status.state, state);
    assert.equal(status.secondsTillShutdown, seconds);
    assert.equal(status.buildInfo.productName, build.productName);
    const parts = (await read(['i=2262', 'i=2263', 'i=2261', 'i=2264', 'i=2265', 'i=2266'].map((nodeId) => ({ nodeId })))).map((v) => v.value.value);
    assert.deepEqual(parts.slice(0, 5), [build.productUri, build.manufacturerName, build.productName, build.softwareVersion, build.buildNumber]);
    assert.ok(reason === null || 'text' in reason);
    const [area] = await read([{ nodeId: 'i=2267' }]);
    assert.equal(area.value.dataType, DataType.Byte);
});

test('the type hierarchies: IsAbstract, inverse names, symmetric ones, definitions of structures and enumerations', async () => {
    const attribute = async (nodeId, name) => (await readAll(shared.session, [nodeId], name))[0];
    assert.equal((await attribute('i=33', 'IsAbstract')).value.value, true, 'HierarchicalReferences');
    assert.equal((await attribute('i=35', 'InverseName')).value.value.text, 'OrganizedBy');
    assert.equal((await attribute('i=35', 'Symmetric')).value.value, false);
    assert.equal((await attribute('i=26', 'IsAbstract')).value.value, true, 'Number');
    assert.equal((await attribute('i=11', 'IsAbstract')).value.value, false, 'Double');
    assert.equal((await attribute('i=58', 'IsAbstract')).value.value, false, 'BaseObjectType');
    assert.equal((await attribute('i=62', 'IsAbstract')).value.value, true, 'BaseVariableType');
    for (const dataType of ['i=884', 'i=887', 'i=862', 'i=852']) { // Range, EUInformation, ServerStatusDataType, ServerState
        const { statusCode, value: definition } = await attribute(dataType, 'DataTypeDefinition');
        assert.equal(statusCode.name, 'Good', dataType);
        assert.ok(definition.value.fields.length > 0, dataType);
    }
    assert.equal((await attribute('i=11', 'DataTypeDefinition')).statusCode.name, 'BadAttributeIdInvalid', 'Double has none');
});

test('each attribute id from 1 to 27 on each class: a value or BadAttributeIdInvalid', async () => {
    const of = { Object: [12], Variable: [13, 14, 15, 16, 17, 18, 19, 20, 27], Method: [21, 22], ObjectType: [8], VariableType: [8, 13, 14, 15, 16], ReferenceType: [8, 9, 10], DataType: [8, 23] };
    const nodes = { Object: 'i=2253', Variable: at.Temperature, Method: at.Stop, ObjectType: 'i=58', VariableType: 'i=63', ReferenceType: 'i=35', DataType: 'i=884' };
    const always = [1, 2, 3, 4, 5, 6, 7, 24, 25, 26];
    for (const [kind, nodeId] of Object.entries(nodes)) {
        const results = await read(Array.from({ length: 27 }, (_, i) => ({ nodeId, attributeId: i + 1 })));
        results.forEach((r, i) => {
            const id = i + 1;
            const may = always.includes(id) || of[kind].includes(id);
            if (may) assert.match(r.statusCode.name, /^(Good|BadAttributeIdInvalid|BadWaitingForInitialData)$/, `${kind} ${id}`);
            else assert.equal(r.statusCode.name, 'BadAttributeIdInvalid', `${kind} ${id}`);
            if (id <= 4) assert.equal(r.statusCode.name, 'Good', `${kind} ${id}`);
        });
    }
});

test('TranslateBrowsePaths: inverse, subtypes on and off, no reference type, several matches in one request', async () => {
    const path = (startingNode, ...elements) => ({ startingNode, relativePath: { elements: elements.map(([name, more]) => ({ referenceTypeId: 'i=33', isInverse: false, includeSubtypes: true, targetName: { namespaceIndex: 0, name }, ...more })) } });
    const paths = [
        path('i=84', ['Objects'], ['Server']),
        path('i=2253', ['Objects', { isInverse: true }], ['Root', { isInverse: true }]),
        path('i=84', ['Objects', { includeSubtypes: false }]),
        path('i=84', ['Objects', { referenceTypeId: 'i=35', includeSubtypes: false }]),
        path('i=84', ['Objects', { referenceTypeId: null }]),
        path('i=84', ['Objects', { referenceTypeId: 'i=58' }]),
        path('i=84', ['Objects', { targetName: { namespaceIndex: 7, name: 'Objects' } }]),
        path('i=84', ['Objects', { isInverse: true }]),
    ];
    const { results } = await request('TranslateBrowsePathsToNodeIds', { browsePaths: paths });
    assert.deepEqual(names(results).slice(0, 5), ['Good', 'Good', 'BadNoMatch', 'Good', 'Good']);
    assert.equal(results[0].targets[0].targetId.toString(), 'ns=0;i=2253');
    assert.equal(results[0].targets[0].remainingPathIndex, 0xffffffff);
    assert.equal(results[1].targets[0].targetId.toString(), 'ns=0;i=84');
    assert.match(results[5].statusCode.name, /^Bad(ReferenceTypeIdInvalid|NoMatch)$/);
    assert.deepEqual(names(results).slice(6), ['BadNoMatch', 'BadNoMatch']);
});

test('Browse: a page of one, many nodes at a time, release of several continuation points', async (t) => {
    const mine = await uaConnect({ t, url: server.url });
    const wanted = (nodeId) => ({ nodeId, browseDirection: 0, referenceTypeId: 'i=33', includeSubtypes: true, nodeClassMask: 0, resultMask: 63 });
    const { results } = await request('Browse', { nodesToBrowse: ['i=84', 'i=2253', 'ns=5;i=1', 'i=2268'].map(wanted), requestedMaxReferencesPerNode: 1 }, {}, mine);
    assert.deepEqual(names(results), ['Good', 'Good', 'BadNodeIdUnknown', 'Good']);
    const points = results.map((r) => r.continuationPoint).filter((p) => p?.length);
    assert.equal(points.length, 3);
    const next = await request('BrowseNext', { releaseContinuationPoints: false, continuationPoints: [...points, Buffer.from('x')] }, {}, mine);
    assert.deepEqual(names(next.results), ['Good', 'Good', 'Good', 'BadContinuationPointInvalid']);
    const after = next.results.map((r) => r.continuationPoint).filter((p) => p?.length);
    const stolen = await request('BrowseNext', { releaseContinuationPoints: false, continuationPoints: after });
    assert.ok(stolen.results.every((r) => r.statusCode.name === 'BadContinuationPointInvalid'), "another session's");
    const released = await request('BrowseNext', { releaseContinuationPoints: true, continuationPoints: after }, {}, mine);
    assert.ok(released.results.every((r) => r.statusCode.name === 'Good' && !(r.references?.length) && !(r.continuationPoint?.length)));
});

// ---- Read, Write, Call ----

test('Read: MaxAge, a timestampsToReturn that is none, data encodings', async () => {
    for (const maxAge of [0, 1, 1000, 1e300, Infinity]) assert.equal((await read([{ nodeId: at.Temperature }], { maxAge }))[0].statusCode.name, 'Good', `${maxAge}`);
    for (const maxAge of [-1, -Infinity]) assert.equal(await failing(read([{ nodeId: 'i=2259' }], { maxAge })), 'BadMaxAgeInvalid');
    assert.equal(await failing(read([{ nodeId: 'i=2259' }], { timestampsToReturn: 4 })), 'BadTimestampsToReturnInvalid');
    const encoded = await read([
        { nodeId: 'i=2256', dataEncoding: { namespaceIndex: 0, name: 'Default Binary' } },
        { nodeId: 'i=2256', dataEncoding: { namespaceIndex: 0, name: 'Default XML' } },
        { nodeId: 'i=2256', dataEncoding: { namespaceIndex: 3, name: 'Default Binary' } },
        { nodeId: 'i=2259', attributeId: AttributeIds.DisplayName, dataEncoding: { namespaceIndex: 0, name: 'Default Binary' } },
    ]);
    assert.equal(encoded[0].statusCode.name, 'Good');
    assert.match(encoded[1].statusCode.name, /^BadDataEncoding(Unsupported|Invalid)$/);
    assert.match(encoded[2].statusCode.name, /^BadDataEncoding(Unsupported|Invalid)$/);
    assert.equal(encoded[3].statusCode.name, 'BadDataEncodingInvalid', 'only a Value has encodings');
});

test('Read: index ranges of an array and of a string, and where there is nothing', async () => {
    const all = await value('i=2255');
    const ranges = await read(['0', '0:1', '1:500', '0:0', '1:1', '1,1', '-1', '0:', '500'].map((indexRange) => ({ nodeId: 'i=2255', indexRange })));
    assert.deepEqual([...ranges[0].value.value], all.slice(0, 1));
    assert.deepEqual([...ranges[1].value.value], all.slice(0, 2));
    assert.deepEqual([...ranges[2].value.value], all.slice(1), 'as much of it as there is');
    assert.deepEqual(names(ranges), ['Good', 'Good', 'Good', 'BadIndexRangeInvalid', 'BadIndexRangeInvalid', ranges[5].statusCode.name, 'BadIndexRangeInvalid', 'BadIndexRangeInvalid', 'BadIndexRangeNoData']);
    assert.match(ranges[5].statusCode.name, /^BadIndexRange(NoData|Invalid)$/);
    const [part, beyond] = await read([{ nodeId: 'i=2261', indexRange: '0:3' }, { nodeId: 'i=2261', indexRange: '500:600' }]);
    assert.equal(part.value.value, (await value('i=2261')).slice(0, 4), 'of a string: its characters');
    assert.equal(beyond.statusCode.name, 'BadIndexRangeNoData');
    assert.match((await read([{ nodeId: 'i=2259', indexRange: '0' }]))[0].statusCode.name, /^BadIndexRange/, 'a scalar has none');
});

test('Write: with a status or a time it is told BadWriteNotSupported or taken; never half', async () => {
    const on = { dataType: DataType.Boolean, value: true };
    assert.equal(await run(false), 'Good');
    const timed = await write(at.Run, on, { value: { sourceTimestamp: new Date(2020, 1, 1) } });
    assert.match(timed, /^(Good|BadWriteNotSupported)$/);
    assert.equal(await value(at.Run), timed === 'Good', 'refused means not written');
    await run(false);
    const marked = await write(at.Run, on, { value: { statusCode: ua.StatusCodes.BadSensorFailure } });
    assert.match(marked, /^(Good|BadWriteNotSupported)$/);
    assert.equal((await read([{ nodeId: at.Run }]))[0].statusCode.name, marked === 'Good' ? 'BadSensorFailure' : 'Good');
    await run(true);
});

test('Write: types next to Boolean are refused each, an empty value and a null too', async () => {
    for (const [type, v] of [['Byte', 1], ['Int16', 1], ['UInt32', 1], ['Double', 1], ['String', 'true'], ['StatusCode', ua.StatusCodes.Good], ['ByteString', Buffer.from([1])], ['LocalizedText', { text: 'true' }]])
        assert.equal(await write(at.Run, { dataType: DataType[type], value: v }), 'BadTypeMismatch', type);
    assert.equal(await write(at.Run, { dataType: DataType.Null }), 'BadTypeMismatch');
    assert.equal(await write(at.Run, { dataType: DataType.Boolean, arrayType: VariantArrayType.Matrix, dimensions: [1, 1], value: [true] }), 'BadTypeMismatch');
    assert.equal(await value(at.Run), true);
});

test('Call: of several, each has its own answer; too many arguments and foreign methods', async () => {
    const { results } = await request('Call', { methodsToCall: [
        { objectId: at.machine, methodId: at.Start }, { objectId: at.machine, methodId: 'i=11492', inputArguments: [{ dataType: DataType.UInt32, value: 1 }] },
        { objectId: at.machine, methodId: 'i=2253' }, { objectId: 'i=2253', methodId: 'i=11492' },
        { objectId: 'i=2253', methodId: 'i=11492', inputArguments: [{ dataType: DataType.String, value: 'x' }] },
        { objectId: at.machine, methodId: at.Start, inputArguments: [{ dataType: DataType.Boolean, value: true }] },
    ] });
    assert.deepEqual(names(results), ['Good', 'BadMethodInvalid', 'BadMethodInvalid', 'BadArgumentsMissing', 'BadInvalidArgument', 'BadTooManyArguments']);
    assert.deepEqual(names(results[4].inputArgumentResults), ['BadTypeMismatch']);
});

test('RegisterNodes: of what is not there too; what came back can be read and unregistered', async () => {
    const { registeredNodeIds } = await request('RegisterNodes', { nodesToRegister: ['i=2259', 'ns=9;s=nobody'] });
    assert.equal(registeredNodeIds.length, 2);
    assert.deepEqual(names(await read(registeredNodeIds.map((nodeId) => ({ nodeId })))), ['Good', 'BadNodeIdUnknown']);
    await request('UnregisterNodes', { nodesToUnregister: registeredNodeIds });
    await request('UnregisterNodes', { nodesToUnregister: registeredNodeIds });
});

// ---- subscriptions ----

test('subscription parameters are revised, whatever was asked for', async (t) => {
    const m = await manual(t);
    for (const [interval, lifetime, keepAlive] of [[0, 0, 0], [-5, 1, 100], [NaN, 3, 1], [1e300, 0xffffffff, 0xffffffff], [Infinity, 10, 4], [1, 1000, 300]]) {
        const made = await m.create({ requestedPublishingInterval: interval, requestedLifetimeCount: lifetime, requestedMaxKeepAliveCount: keepAlive });
        const what = `${interval} ${lifetime} ${keepAlive} -> ${made.revisedPublishingInterval} ${made.revisedLifetimeCount} ${made.revisedMaxKeepAliveCount}`;
        assert.ok(made.revisedPublishingInterval >= 1 && made.revisedPublishingInterval <= 86_400_000, what);
        assert.ok(made.revisedMaxKeepAliveCount >= 1, what);
        assert.ok(made.revisedLifetimeCount >= 3 * made.revisedMaxKeepAliveCount, what);
    }
});

test('maxNotificationsPerPublish cuts, moreNotifications says so, nothing is lost or out of order', async (t) => {
    const m = await manual(t);
    await m.create({ maxNotificationsPerPublish: 3, requestedPublishingInterval: 100 });
    await m.items([{ nodeId: at.Run }, ...['i=2259', 'i=2267', 'i=2255', 'i=2254', 'i=2261', 'i=2262'].map((nodeId) => ({ nodeId }))]);
    const handles = [];
    let answer;
    const sequence = [];
    do {
        answer = await m.news(sequence.slice(-1));
        assert.ok(m.told(answer).length <= 3);
        handles.push(...m.told(answer).map(([h]) => h));
        sequence.push(answer.notificationMessage.sequenceNumber);
        assert.equal(answer.moreNotifications, handles.length < 7);
    } while (answer.moreNotifications);
    assert.deepEqual([...handles].sort(), [1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(sequence, [1, 2, 3]);
});

test('items on a part of an array, on attributes, with unknown encodings; mode Sampling and Disabled report nothing', async (t) => {
    const m = await manual(t);
    await m.create();
    const made = await m.items([
        { nodeId: 'i=2255', indexRange: '0' }, { nodeId: at.Run, attributeId: AttributeIds.BrowseName }, { nodeId: at.Run, attributeId: AttributeIds.AccessLevel },
        { nodeId: 'i=2255', indexRange: '700:800' }, { nodeId: at.Run, mode: ua.MonitoringMode.Sampling }, { nodeId: at.Run, mode: ua.MonitoringMode.Disabled },
        { nodeId: 'i=2256', dataEncoding: { name: 'Default XML' } },
    ]);
    const status = names(made);
    assert.deepEqual(status.slice(0, 3), ['Good', 'Good', 'Good']);
    assert.match(status[3], /^(Good|BadIndexRangeNoData)$/);
    assert.deepEqual(status.slice(4, 6), ['Good', 'Good']);
    assert.match(status[6], /^BadDataEncoding/);
    const told = new Map(m.told(await m.news()));
    assert.deepEqual([...told.get(1).value.value], ['http://opcfoundation.org/UA/']);
    assert.equal(told.get(2).value.value.name, 'Run');
    assert.equal(typeof told.get(3).value.value, 'number');
    if (status[3] === 'Good') assert.equal(told.get(4).statusCode.name, 'BadIndexRangeNoData');
    assert.ok(!told.has(5) && !told.has(6), 'Sampling and Disabled');
});

test('a queue of one keeps the newest, and has no overflow bit', async (t) => {
    const m = await manual(t);
    await run(true);
    await m.create({ requestedPublishingInterval: 300 });
    await m.items([{ nodeId: at.Run, queueSize: 1 }, { nodeId: at.Run, queueSize: 1, discardOldest: false }]);
    for (const on of [false, true, false]) await run(on);
    const told = m.told(await m.news());
    assert.deepEqual(told.map(([h, v]) => [h, v.value.value, v.statusCode.value & 0x80]).sort(), [[1, false, 0], [2, false, 0]]);
    await run(true);
});

test('GetMonitoredItems and ResendData: own subscriptions, and nobody else\'s', async (t) => {
    const m = await manual(t);
    await m.create();
    const [item] = await m.items([{ nodeId: at.Run, clientHandle: 77 }]);
    await m.news();
    const call = async (by, methodId) => (await request('Call', { methodsToCall: [{ objectId: 'i=2253', methodId, inputArguments: [{ dataType: DataType.UInt32, value: m.id }] }] }, {}, by)).results[0];
    const mine = await call(m, 'i=11492');
    assert.equal(mine.statusCode.name, 'Good');
    assert.deepEqual(mine.outputArguments.map((a) => [...a.value]), [[item.monitoredItemId], [77]]);
    assert.equal((await call(m, 'i=12873')).statusCode.name, 'Good');
    assert.deepEqual(m.told(await m.news()).map(([h]) => h), [77], 'sent again');
    assert.match((await call(shared, 'i=11492')).statusCode.name, /^Bad(UserAccessDenied|SubscriptionIdInvalid)$/);
    assert.match((await call(shared, 'i=12873')).statusCode.name, /^Bad(UserAccessDenied|SubscriptionIdInvalid)$/);
});

test('events: a filter is needed, select clauses are judged each, and one can be subscribed to', async (t) => {
    const m = await manual(t);
    await m.create();
    const clause = (name, typeDefinitionId = 'i=2041') => ({ typeDefinitionId, browsePath: [{ namespaceIndex: 0, name }], attributeId: 13 });
    const filter = (...selectClauses) => new ua.EventFilter({ selectClauses, whereClause: { elements: [] } });
    const [good, bare, wrong, variable] = await m.items([
        { nodeId: 'i=2253', attributeId: 12, filter: filter(clause('Message'), clause('Severity'), clause('EventId'), clause('EventType')) },
        { nodeId: 'i=2253', attributeId: 12 },
        { nodeId: 'i=2253', attributeId: 12, filter: filter(clause('Message'), clause('Nonsense')) },
        { nodeId: at.Run, attributeId: 12, filter: filter(clause('Message')) },
    ]);
    assert.equal(good.statusCode.name, 'Good');
    assert.match(bare.statusCode.name, /^Bad(EventFilterInvalid|MonitoredItemFilterInvalid|FilterNotAllowed)$/);
    if (wrong.statusCode.isGood()) assert.match(names(wrong.filterResult.selectClauseResults)[1], /^Bad/);
    else assert.match(wrong.statusCode.name, /^Bad(EventFilterInvalid|MonitoredItemFilterInvalid|NodeIdUnknown)$/);
    assert.equal(variable.statusCode.name, 'BadAttributeIdInvalid');
    const [data] = await m.items([{ nodeId: at.Run, filter: filter(clause('Message')) }]);
    assert.equal(data.statusCode.name, 'BadFilterNotAllowed', 'a filter for events on a value');
});

test('SetTriggering: add and remove links, unknown items, one of another subscription', async (t) => {
    const m = await manual(t);
    await m.create();
    const other = (await m.create()).subscriptionId;
    const [trigger, linked] = await m.items([{ nodeId: at.Run }, { nodeId: 'i=2258', mode: ua.MonitoringMode.Sampling, samplingInterval: 20, queueSize: 1 }]);
    const [foreign] = await m.items([{ nodeId: at.Run }], other);
    const set = (triggeringItemId, linksToAdd, linksToRemove) => m.service('SetTriggering', { subscriptionId: m.id, triggeringItemId, linksToAdd, linksToRemove });
    const ids = [linked.monitoredItemId];
    assert.deepEqual(names((await set(trigger.monitoredItemId, ids, [])).addResults), ['Good']);
    const removed = await set(trigger.monitoredItemId, [], [...ids, 999_999]);
    assert.deepEqual(names(removed.removeResults), ['Good', 'BadMonitoredItemIdInvalid']);
    assert.deepEqual(names((await set(trigger.monitoredItemId, [], ids)).removeResults), ['BadMonitoredItemIdInvalid'], 'there is no link any more');
    assert.equal(await failing(set(999_999, ids, [])), 'BadMonitoredItemIdInvalid');
    assert.equal(await failing(set(trigger.monitoredItemId, [], [])), 'BadNothingToDo');
    if (foreign.monitoredItemId !== trigger.monitoredItemId && foreign.monitoredItemId !== linked.monitoredItemId)
        assert.deepEqual(names((await set(trigger.monitoredItemId, [foreign.monitoredItemId], [])).addResults), ['BadMonitoredItemIdInvalid']);
});

test('acknowledging the messages of several subscriptions, and of one that is not there', async (t) => {
    const m = await manual(t);
    await m.create();
    const second = (await m.create()).subscriptionId;
    await m.items([{ nodeId: at.Run }]);
    await m.items([{ nodeId: at.Run }], second);
    const seen = new Map();
    while (seen.size < 2) {
        const a = await m.news();
        seen.set(a.subscriptionId, a.notificationMessage.sequenceNumber);
    }
    const acknowledgements = [...seen].map(([subscriptionId, sequenceNumber]) => ({ subscriptionId, sequenceNumber }));
    const { results } = await m.service('Publish', { subscriptionAcknowledgements: [...acknowledgements, { subscriptionId: 4_000_000, sequenceNumber: 1 }, acknowledgements[0]] });
    assert.deepEqual(names(results), ['Good', 'Good', 'BadSubscriptionIdInvalid', 'BadSequenceNumberUnknown']);
});

test('DeleteSubscriptions ends parked Publish requests; another session cannot delete', async (t) => {
    const m = await manual(t);
    await m.create({ requestedPublishingInterval: 5000, requestedMaxKeepAliveCount: 100 });
    assert.deepEqual(names((await request('DeleteSubscriptions', { subscriptionIds: [m.id] })).results), ['BadSubscriptionIdInvalid']);
    const parked = m.publish().then(() => 'Good', statusOf);
    const second = m.publish().then(() => 'Good', statusOf);
    await m.service('DeleteSubscriptions', { subscriptionIds: [m.id] });
    const ends = await within(Promise.all([parked, second]), 'answers');
    assert.ok(ends.includes('BadNoSubscription'), `${ends}`);
});

test('keep-alives come at their time, and a renewed channel changes nothing', async (t) => {
    const { client, session } = await uaConnect({ t, url: server.url, policy: 'Basic256Sha256', tokenRenewalInterval: 150 });
    const { subscription, monitor } = await uaSubscribe(session, { requestedPublishingInterval: 100, requestedMaxKeepAliveCount: 3 });
    const { values } = await monitor(at.Run);
    let alive = 0, renewed = 0;
    subscription.on('keepalive', () => alive++);
    client.on('security_token_renewed', () => renewed++);
    await until(() => alive >= 3 && renewed >= 3, 'three keep-alives and three renewals');
    await run(false);
    await until(() => values.at(-1)?.value.value === false, 'a change after them');
    await run(true);
    await until(() => values.at(-1)?.value.value === true, 'and another');
    assert.equal(values.length, 3);
});

// ---- history ----

test('HistoryRead: forwards in pages, backwards, a number of values, what is wrong', async (t) => {
    await until(async () => (await value(at.Temperature)) !== null, 'a measurement');
    await sleep(1500); // some measurements, one each 200 ms
    const now = new Date();
    const history = (fields, node = {}, more = {}) => request('HistoryRead', {
        historyReadDetails: new ua.ReadRawModifiedDetails({ isReadModified: false, returnBounds: false, numValuesPerNode: 0, ...fields }),
        timestampsToReturn: 2, releaseContinuationPoints: false, nodesToRead: [{ nodeId: at.Temperature, ...node }], ...more,
    });
    const times = (r) => r.historyData.dataValues.map((v) => +v.sourceTimestamp);
    const span = { startTime: new Date(now - 3_600_000), endTime: now };
    const all = times((await history(span)).results[0]);
    assert.ok(all.length >= 3, `${all.length} values`);
    assert.deepEqual(all, [...all].sort((a, b) => a - b));
    const paged = [];
    let [page] = (await history({ ...span, numValuesPerNode: 2 })).results;
    for (;;) {
        assert.ok(times(page).length <= 2);
        paged.push(...times(page));
        if (!page.continuationPoint?.length) break;
        [page] = (await history({ ...span, numValuesPerNode: 2 }, { continuationPoint: page.continuationPoint })).results;
    }
    assert.deepEqual(paged, all, 'in pages it is the same');
    const back = times((await history({ startTime: now, endTime: span.startTime })).results[0]);
    assert.deepEqual(back, [...all].reverse(), 'backwards');
    const [wrong] = (await history({ ...span }, { nodeId: 'ns=9;s=nobody' })).results;
    assert.equal(wrong.statusCode.name, 'BadNodeIdUnknown');
    const [none] = (await history({ ...span }, { nodeId: 'i=2259' })).results;
    assert.match(none.statusCode.name, /^BadHistoryOperationUnsupported$/);
    const [point] = (await history({ ...span }, { continuationPoint: Buffer.from('nonsense that is long') })).results;
    assert.equal(point.statusCode.name, 'BadContinuationPointInvalid');
    assert.equal(await failing(history({ startTime: null, endTime: null, numValuesPerNode: 0 }).then((r) => { if (r.results?.[0].statusCode.isNotGood()) throw new Error(r.results[0].statusCode.name); })), 'BadHistoryOperationInvalid');
    assert.equal(await failing(history(span, {}, { timestampsToReturn: 4 })), 'BadTimestampsToReturnInvalid');
    assert.equal(await failing(history(span, {}, { nodesToRead: [] })), 'BadNothingToDo');
});
