// Our OPC UA server and a client that is not ours: node-opcua browses, reads, writes, calls and subscribes, with every
// policy, mode and kind of user; what must be refused is refused with its own status.
// timeout: 300

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { ask, browseAll, clientCertificate, failing, MODES, POLICIES, readAll, statusOf, ua, uaClient, uaConnect, uaSubscribe } from './lib/opcua-client.mjs';
import { openRaw } from './lib/opcua-raw.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import { sleep, until, within } from './lib/wait.mjs';

const { AttributeIds, DataType, NodeClass } = ua;

let server;
let shared; // { client, session } without security, for most of the tests
const at = {}; // browse name -> node id of what the sensor serves
const quiet = {}; // a session and a channel that say nothing, from the beginning
before(async () => {
    server = await startSensor({ trust: [clientCertificate()], args: ['--limit', 'session-ms-min=500'] });
    quiet.session = await openRaw({ port: server.port });
    await quiet.session.session({ timeout: 1 });
    quiet.channel = await openRaw({ port: server.port, open: { lifetime: 1 } });
    await quiet.channel.session({ timeout: 60_000 });
    quiet.since = performance.now();
    shared = await uaConnect({ url: server.url });
    for (const id of await everythingBelow(shared.session, 'i=85')) {
        const name = id.browseName.name;
        if (id.nodeId.namespace > 0) at[name] ??= id.nodeId.toString();
    }
});
after(async () => {
    quiet.session?.close();
    quiet.channel?.close();
    await shared?.close();
    await server?.stop();
});

/** All references of the hierarchy below a node, each node once. */
async function everythingBelow(session, root) {
    const seen = new Set([root]);
    const found = [];
    let level = [root];
    while (level.length) {
        const next = [];
        for (let from = 0; from < level.length; from += 200) {
            const results = await session.browse(level.slice(from, from + 200).map((nodeId) => ({
                nodeId, browseDirection: 0, referenceTypeId: 'i=33', includeSubtypes: true, nodeClassMask: 0, resultMask: 63,
            })));
            for (const result of results) {
                if (result.statusCode.isNotGood()) continue; // the test about references finds it
                let references = result.references ?? [];
                let point = result.continuationPoint;
                while (point?.length) {
                    const more = await session.browseNext(point, false);
                    references = references.concat(more.references ?? []);
                    point = more.continuationPoint;
                }
                for (const reference of references) {
                    const key = reference.nodeId.toString();
                    if (seen.has(key)) continue;
                    seen.add(key);
                    found.push(reference);
                    next.push(key);
                }
            }
        }
        level = next;
    }
    return found;
}

const read = async (nodeId, attribute = 'Value', more = {}) =>
    (await shared.session.read([{ nodeId, attributeId: AttributeIds[attribute], ...more }]))[0];
const value = async (nodeId) => (await read(nodeId)).value.value;
const write = async (nodeId, variant, more = {}) => {
    const { attributeId = AttributeIds.Value, indexRange, ...times } = more;
    return (await shared.session.write([{ nodeId, attributeId, indexRange, value: { value: variant, ...times } }]))[0].name;
};
const run = (on) => write(at.Run, { dataType: DataType.Boolean, value: on });
const request = (Type, fields) => ask(shared.client, shared.session, new ua[`${Type}Request`](fields));

// ---- coming in ----

test('GetEndpoints offers each policy and mode, with distinct token policies, the stronger the higher', async (t) => {
    const client = await uaClient({ t });
    await client.connect(server.url);
    const endpoints = await client.getEndpoints();
    const names = endpoints.map((e) => `${e.securityPolicyUri.split('#')[1]} ${ua.MessageSecurityMode[e.securityMode]}`);
    for (const wanted of ['None None', ...POLICIES.flatMap((p) => MODES.map((m) => `${p} ${m}`))])
        assert.ok(names.includes(wanted), `${wanted} in ${names}`);
    for (const e of endpoints) {
        assert.equal(e.transportProfileUri, 'http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary');
        assert.match(e.endpointUrl, new RegExp(`^opc\\.tcp://127\\.0\\.0\\.1:${server.port}\\b`));
        assert.ok(e.serverCertificate?.length > 100, 'the certificate, also for None: passwords are encrypted with it');
        assert.ok(e.server.applicationUri?.length, 'ApplicationUri');
        const ids = e.userIdentityTokens.map((p) => p.policyId);
        assert.ok(ids.length > 0 && new Set(ids).size === ids.length, `policy ids ${ids}`);
    }
    const level = (policy, mode) => endpoints[names.indexOf(`${policy} ${mode}`)].securityLevel;
    assert.equal(level('None', 'None'), 0);
    for (const policy of POLICIES) assert.ok(level(policy, 'SignAndEncrypt') > level(policy, 'Sign'), policy);
    const servers = await client.findServers();
    assert.equal(servers[0].applicationUri, endpoints[0].server.applicationUri);
});

test('each policy and mode: a session, a read, a renewed channel, a read', async (t) => {
    for (const policy of POLICIES) {
        for (const mode of MODES) {
            const { client, session } = await uaConnect({ t, url: server.url, policy, mode, tokenRenewalInterval: 100 });
            const state = async () => (await session.read({ nodeId: 'i=2259' })).value.value;
            assert.equal(await state(), 0, `${policy} ${mode}`);
            let renewals = 0;
            client.on('security_token_renewed', () => renewals++);
            await until(async () => await state() === 0 && renewals >= 3, `${policy} ${mode}: three renewals, reads all the time`);
        }
    }
});

// ---- the address space ----

test('everything below Root can be reached, and no reference leads nowhere', async () => {
    const nodes = await everythingBelow(shared.session, 'i=84');
    const ids = nodes.map((n) => n.nodeId.toString());
    for (const wanted of ['i=85', 'i=86', 'i=87', 'i=2253', 'i=2256', 'i=58', 'i=61', 'i=62', 'i=63', 'i=68', 'i=24', 'i=11', 'i=31', 'i=33', 'i=45', 'i=47', 'i=2004', 'i=2041', 'i=2368'])
        assert.ok(ids.includes(ua.resolveNodeId(wanted).toString()), `${wanted} is there`);
    for (let from = 0; from < ids.length; from += 100) {
        const part = ids.slice(from, from + 100);
        const results = await shared.session.browse(part.map((nodeId) => ({ nodeId, browseDirection: 2, referenceTypeId: null, includeSubtypes: true, nodeClassMask: 0, resultMask: 63 })));
        const targets = new Set();
        results.forEach((result, i) => {
            assert.equal(result.statusCode.name, 'Good', part[i]);
            const up = result.references.filter((r) => !r.isForward);
            const isType = nodes[from + i].nodeClass >= NodeClass.ObjectType && nodes[from + i].nodeClass !== NodeClass.View;
            assert.ok(up.length > 0, `${part[i]} ${nodes[from + i].browseName} can be left upwards`);
            if ([NodeClass.Object, NodeClass.Variable].includes(nodes[from + i].nodeClass)) {
                const types = result.references.filter((r) => r.isForward && r.referenceTypeId.toString() === 'ns=0;i=40');
                assert.equal(types.length, 1, `${part[i]} ${nodes[from + i].browseName} has one type definition`);
                assert.equal(nodes[from + i].typeDefinition.toString(), types[0].nodeId.toString(), part[i]);
            } else if (isType) {
                assert.equal(result.references.filter((r) => !r.isForward && r.referenceTypeId.toString() === 'ns=0;i=45').length <= 1, true, part[i]);
            }
            result.references.forEach((r) => targets.add(r.nodeId.toString()).add(r.referenceTypeId.toString()));
        });
        const list = [...targets];
        const classes = await readAll(shared.session, list, 'NodeClass');
        classes.forEach((c, i) => assert.equal(c.statusCode.name, 'Good', `${list[i]}, that a reference leads to, is there`));
    }
});

test('every node answers the attributes of its class', async () => {
    const nodes = await everythingBelow(shared.session, 'i=84');
    const ofClass = {
        Object: ['EventNotifier'],
        Variable: ['DataType', 'ValueRank', 'AccessLevel', 'UserAccessLevel', 'MinimumSamplingInterval', 'Historizing'],
        Method: ['Executable', 'UserExecutable'],
        ObjectType: ['IsAbstract'],
        VariableType: ['DataType', 'ValueRank', 'IsAbstract'],
        ReferenceType: ['IsAbstract', 'Symmetric'],
        DataType: ['IsAbstract'],
        View: ['ContainsNoLoops', 'EventNotifier'],
    };
    const optional = new Set(['MinimumSamplingInterval']);
    const wanted = nodes.flatMap((n) => ['NodeId', 'NodeClass', 'BrowseName', 'DisplayName', ...(ofClass[NodeClass[n.nodeClass]] ?? [])]
        .map((attribute) => ({ n, attribute })));
    for (let from = 0; from < wanted.length; from += 500) {
        const part = wanted.slice(from, from + 500);
        const values = await shared.session.read(part.map(({ n, attribute }) => ({ nodeId: n.nodeId, attributeId: AttributeIds[attribute] })));
        values.forEach((v, i) => {
            const { n, attribute } = part[i];
            const name = `${n.nodeId} ${n.browseName} ${attribute}`;
            if (optional.has(attribute)) return void assert.match(v.statusCode.name, /^(Good|BadAttributeIdInvalid)$/, name);
            assert.equal(v.statusCode.name, 'Good', name);
            if (attribute === 'NodeId') assert.equal(v.value.value.toString(), n.nodeId.toString(), name);
            if (attribute === 'NodeClass') assert.equal(v.value.value, n.nodeClass, name);
            if (attribute === 'BrowseName') assert.equal(v.value.value.toString(), n.browseName.toString(), name);
            if (attribute === 'DisplayName') assert.ok(v.value.value.text?.length, name);
        });
    }
    const variables = nodes.filter((n) => n.nodeClass === NodeClass.Variable);
    const [values, types, ranks] = await Promise.all(['Value', 'DataType', 'ValueRank'].map((a) => readAll(shared.session, variables.map((n) => n.nodeId), a)));
    const bad = [];
    values.forEach((v, i) => {
        if (!/^(Good|BadWaitingForInitialData|BadNotReadable|BadUserAccessDenied)/.test(v.statusCode.name)) bad.push(`${variables[i].nodeId} ${variables[i].browseName}: ${v.statusCode.name}`);
        // A scalar is declared as one, an array as an array.
        const rank = ranks[i].value.value;
        if (v.statusCode.isGood() && v.value?.dataType && rank === -1 && v.value.arrayType !== ua.VariantArrayType.Scalar) bad.push(`${variables[i].browseName}: an array, ValueRank -1`);
        if (v.statusCode.isGood() && v.value?.dataType && rank === 1 && v.value.arrayType !== ua.VariantArrayType.Array) bad.push(`${variables[i].browseName}: no array, ValueRank 1`);
        if (types[i].value.value.isEmpty()) bad.push(`${variables[i].browseName}: no data type`);
    });
    assert.deepEqual(bad, []);
});

test('what the Server object says', async () => {
    const { value: namespaces } = (await read('i=2255')).value;
    assert.equal(namespaces[0], 'http://opcfoundation.org/UA/');
    const endpoints = await shared.client.getEndpoints();
    assert.equal(namespaces[1], endpoints[0].server.applicationUri, 'namespace 1 is the application');
    assert.deepEqual([...(await value('i=2254'))], [endpoints[0].server.applicationUri], 'ServerArray');
    const status = await value('i=2256');
    assert.equal(status.state, ua.ServerState.Running);
    assert.ok(Math.abs(status.currentTime - Date.now()) < 60_000 && status.startTime <= status.currentTime, 'times');
    assert.ok(status.buildInfo.productName?.length && status.buildInfo.softwareVersion?.length, 'BuildInfo');
    const before = await value('i=2258');
    await sleep(20);
    assert.ok((await value('i=2258')) > before, 'CurrentTime goes on');
    assert.ok((await value('i=2267')) >= 200, 'ServiceLevel');
    for (const limit of ['i=11705', 'i=11707', 'i=11709', 'i=11710', 'i=11712', 'i=11714'])
        assert.ok((await value(limit)) >= 100, `${limit}, a limit of operations`);
});

test('the sensor: two measurements with range and unit, Run, Stop and Start', async () => {
    for (const name of ['Temperature', 'Humidity', 'Run', 'Stop', 'Start']) assert.ok(at[name], `${name} is there`);
    for (const [name, unit] of [['Temperature', '°C'], ['Humidity', '%']]) {
        assert.equal(typeof await value(at[name]), 'number', name);
        assert.equal((await read(at[name], 'DataType')).value.value.toString(), 'ns=0;i=11', name);
        const children = await browseAll(shared.session, at[name], { referenceTypeId: 'i=46' });
        const child = (wanted) => children.find((c) => c.browseName.name === wanted)?.nodeId;
        const range = await value(child('EURange'));
        assert.ok(range.low < range.high, name);
        assert.equal((await value(child('EngineeringUnits'))).displayName.text, unit);
        const measured = await read(at[name]);
        assert.ok(Math.abs(measured.sourceTimestamp - Date.now()) < 60_000, 'a source timestamp');
    }
    assert.equal((await read(at.Run, 'DataType')).value.value.toString(), 'ns=0;i=1');
});

// ---- Browse ----

test('Browse: continuation points, filters, and what is wrong', async () => {
    const all = await browseAll(shared.session, 'i=2253');
    const wanted = (more) => ({ nodeId: 'i=2253', browseDirection: 0, referenceTypeId: null, includeSubtypes: true, nodeClassMask: 0, resultMask: 63, ...more });
    const browse = async (more, max = 0) => (await request('Browse', { nodesToBrowse: [wanted(more)], requestedMaxReferencesPerNode: max })).results[0];
    const next = async (point, release = false) => (await request('BrowseNext', { releaseContinuationPoints: release, continuationPoints: [point] })).results[0];

    let page = await browse({}, 3);
    assert.equal(page.references.length, 3);
    const first = page.continuationPoint;
    const found = [...page.references];
    while (page.continuationPoint?.length) {
        page = await next(page.continuationPoint);
        assert.equal(page.statusCode.name, 'Good');
        assert.ok(page.references.length <= 3);
        found.push(...page.references);
    }
    assert.deepEqual(found.map((r) => r.nodeId.toString()), all.map((r) => r.nodeId.toString()));
    assert.equal((await next(first)).statusCode.name, 'BadContinuationPointInvalid', 'one that was used');
    const released = (await browse({}, 1)).continuationPoint;
    assert.equal((await next(released, true)).statusCode.name, 'Good');
    assert.equal((await next(released)).statusCode.name, 'BadContinuationPointInvalid', 'one that was released');
    assert.equal((await next(Buffer.from('nonsense'))).statusCode.name, 'BadContinuationPointInvalid');

    const names = async (more) => (await browse(more)).references.map((r) => r.browseName.name);
    assert.deepEqual((await names({ referenceTypeId: 'i=46' })).sort().slice(0, 2), all.filter((r) => r.referenceTypeId.toString() === 'ns=0;i=46').map((r) => r.browseName.name).sort().slice(0, 2));
    assert.ok(!(await names({ nodeClassMask: NodeClass.Object })).includes('NamespaceArray'));
    assert.deepEqual((await names({ browseDirection: 1, referenceTypeId: 'i=35' })), ['Objects']);
    assert.equal((await browse({ referenceTypeId: 'i=44', includeSubtypes: false })).references.length, 0, 'Aggregates itself is abstract');
    const bare = (await browse({ resultMask: 0 })).references[0];
    assert.equal(bare.browseName.name, null, 'ResultMask 0 asks for no names');

    assert.equal((await browse({ nodeId: 'ns=1;s=nobody' })).statusCode.name, 'BadNodeIdUnknown');
    assert.equal((await browse({ referenceTypeId: 'i=58' })).statusCode.name, 'BadReferenceTypeIdInvalid');
    assert.equal((await browse({ referenceTypeId: 'i=60000' })).statusCode.name, 'BadReferenceTypeIdInvalid');
    assert.equal((await browse({ browseDirection: 3 })).statusCode.name, 'BadBrowseDirectionInvalid');
    const inView = request('Browse', { view: { viewId: 'ns=1;s=nobody' }, nodesToBrowse: [wanted({})] });
    assert.equal(await failing(inView), 'BadViewIdUnknown');
});

test('continuation points are limited', async (t) => {
    const { client, session } = await uaConnect({ t, url: server.url });
    const nodesToBrowse = Array.from({ length: 200 }, () => ({ nodeId: 'i=2253', browseDirection: 0, includeSubtypes: true, resultMask: 63 }));
    const { results } = await ask(client, session, new ua.BrowseRequest({ nodesToBrowse, requestedMaxReferencesPerNode: 1 }));
    const kinds = results.map((r) => r.statusCode.name);
    const good = kinds.filter((k) => k === 'Good').length;
    assert.ok(good >= 1 && good <= 100, `${good} continuation points`);
    assert.ok(kinds.every((k) => ['Good', 'BadNoContinuationPoints'].includes(k)), kinds.join());
});

test('TranslateBrowsePathsToNodeIds', async () => {
    const translate = async (from, path) => shared.session.translateBrowsePath(ua.makeBrowsePath(from, path));
    const state = await translate('i=84', '/Objects/Server/ServerStatus/State');
    assert.deepEqual([state.statusCode.name, state.targets[0].targetId.toString()], ['Good', 'ns=0;i=2259']);
    const range = await translate(at.Temperature, '.EURange');
    assert.equal(range.statusCode.name, 'Good');
    assert.equal((await translate('i=84', '/Objects/Nothing')).statusCode.name, 'BadNoMatch');
    assert.equal((await translate('ns=1;s=nobody', '/Objects')).statusCode.name, 'BadNodeIdUnknown');
    const raw = async (elements) => (await request('TranslateBrowsePathsToNodeIds', { browsePaths: [{ startingNode: 'i=84', relativePath: { elements } }] })).results[0].statusCode.name;
    assert.equal(await raw([]), 'BadNothingToDo');
    assert.equal(await raw([{ referenceTypeId: 'i=33', includeSubtypes: true, targetName: { name: null } }]), 'BadBrowseNameInvalid');
});

test('RegisterNodes and UnregisterNodes', async () => {
    const { registeredNodeIds } = await request('RegisterNodes', { nodesToRegister: [at.Temperature, 'i=2259'] });
    assert.equal(registeredNodeIds.length, 2);
    assert.equal((await read(registeredNodeIds[1])).value.value, 0);
    await request('UnregisterNodes', { nodesToUnregister: registeredNodeIds });
});

// ---- Read ----

test('Read: what is wrong has its own status, the others are read', async () => {
    const results = await shared.session.read([
        { nodeId: 'ns=1;s=nobody', attributeId: 13 },
        { nodeId: 'ns=77;i=1', attributeId: 13 },
        { nodeId: 'i=2259', attributeId: AttributeIds.InverseName },
        { nodeId: 'i=2259', attributeId: AttributeIds.Executable },
        { nodeId: 'i=2253', attributeId: 13 },
        { nodeId: 'i=2255', attributeId: 13, indexRange: 'x' },
        { nodeId: 'i=2255', attributeId: 13, indexRange: '2:1' },
        { nodeId: 'i=2255', attributeId: 13, indexRange: '500:600' },
        { nodeId: 'i=2255', attributeId: 13, indexRange: '0' },
        { nodeId: 'i=2259', attributeId: AttributeIds.DisplayName, indexRange: '0' },
        { nodeId: 'i=2259', attributeId: 13, dataEncoding: { name: 'Nonsense' } },
        { nodeId: 'i=2259', attributeId: 13 },
    ]);
    assert.deepEqual(results.map((r) => r.statusCode.name), [
        'BadNodeIdUnknown', 'BadNodeIdUnknown', 'BadAttributeIdInvalid', 'BadAttributeIdInvalid', 'BadAttributeIdInvalid',
        'BadIndexRangeInvalid', 'BadIndexRangeInvalid', 'BadIndexRangeNoData', 'Good',
        results[9].statusCode.name, results[10].statusCode.name, 'Good',
    ]);
    assert.match(results[9].statusCode.name, /^BadIndexRange/);
    assert.match(results[10].statusCode.name, /^BadDataEncoding(Invalid|Unsupported)$/);
    assert.deepEqual([...results[8].value.value], ['http://opcfoundation.org/UA/']);
});

test('Read: the timestamps that were asked for, and no others', async () => {
    const nodesToRead = [{ nodeId: at.Temperature, attributeId: 13 }];
    const has = async (timestampsToReturn) => {
        const [v] = (await request('Read', { nodesToRead, timestampsToReturn, maxAge: 0 })).results;
        return [!!v.sourceTimestamp, !!v.serverTimestamp];
    };
    assert.deepEqual(await has(0), [true, false]);
    assert.deepEqual(await has(1), [false, true]);
    assert.deepEqual(await has(2), [true, true]);
    assert.deepEqual(await has(3), [false, false]);
    assert.equal(await failing(request('Read', { nodesToRead, timestampsToReturn: 0, maxAge: -1 })), 'BadMaxAgeInvalid');
});

test('Read: 1,000 nodes in one request; too many are too many', async () => {
    const results = await readAll(shared.session, Array(1000).fill('i=2259'));
    assert.ok(results.length === 1000 && results.every((r) => r.value.value === 0));
    const limit = await value('i=11705');
    assert.equal(await failing(readAll(shared.session, Array(limit + 1).fill('i=2259'))), 'BadTooManyOperations');
});

// ---- Write, Call ----

test('Write: Run can be written, and is', async () => {
    assert.equal(await run(false), 'Good');
    assert.equal(await value(at.Run), false);
    assert.equal(await run(true), 'Good');
    assert.equal(await value(at.Run), true);
});

test('Write: a value with its time is taken with its time, as some clients send it', async () => {
    const then = new Date('2026-01-02T03:04:05.678Z');
    assert.equal((await shared.session.write({ nodeId: at.Run, attributeId: 13, value: { value: { dataType: DataType.Boolean, value: true }, sourceTimestamp: then } })).name, 'Good');
    assert.equal((await shared.session.read({ nodeId: at.Run, attributeId: 13 })).sourceTimestamp.getTime(), then.getTime());
});

test('Write: what is wrong has its own status, the others are written', async () => {
    const on = { dataType: DataType.Boolean, value: true };
    const wrong = [
        [{ nodeId: 'ns=1;s=nobody', value: on }, 'BadNodeIdUnknown'],
        [{ nodeId: at.Run, attributeId: AttributeIds.Executable, value: on }, 'BadAttributeIdInvalid'],
        [{ nodeId: at.Run, attributeId: AttributeIds.DisplayName, value: { dataType: DataType.LocalizedText, value: { text: 'x' } } }, 'BadNotWritable'],
        [{ nodeId: at.Run, value: { dataType: DataType.Int32, value: 1 } }, 'BadTypeMismatch'],
        [{ nodeId: at.Run, value: { dataType: DataType.Boolean, arrayType: ua.VariantArrayType.Array, value: [true] } }, 'BadTypeMismatch'],
        [{ nodeId: at.Run, value: on, indexRange: '0' }, /^BadIndexRange/],
        [{ nodeId: at.Temperature, value: { dataType: DataType.Double, value: 1 } }, 'BadNotWritable'],
        [{ nodeId: 'i=2259', value: { dataType: DataType.Int32, value: 1 } }, 'BadNotWritable'],
        [{ nodeId: at.Run, value: on }, 'Good'],
    ];
    const results = await shared.session.write(wrong.map(([{ nodeId, attributeId = 13, indexRange, value: v }]) => ({ nodeId, attributeId, indexRange, value: { value: v } })));
    wrong.forEach(([one, status], i) => {
        const what = JSON.stringify(one);
        if (status instanceof RegExp) assert.match(results[i].name, status, what);
        else assert.equal(results[i].name, status, what);
    });
});

test('Call: Stop() and Start() set Run; what is wrong has its own status', async () => {
    const machine = (await browseAll(shared.session, at.Stop, { browseDirection: 1, referenceTypeId: 'i=33' }))[0].nodeId;
    const call = async (methodId, more = {}) => (await request('Call', { methodsToCall: [{ objectId: machine, methodId, ...more }] })).results[0];
    assert.equal((await call(at.Stop)).statusCode.name, 'Good');
    assert.equal(await value(at.Run), false);
    assert.equal((await call(at.Start)).statusCode.name, 'Good');
    assert.equal(await value(at.Run), true);
    assert.match((await call('ns=1;s=nobody')).statusCode.name, /^Bad(MethodInvalid|NodeIdUnknown)$/);
    assert.equal((await call(at.Run)).statusCode.name, 'BadMethodInvalid');
    assert.equal((await call(at.Stop, { objectId: 'ns=1;s=nobody' })).statusCode.name, 'BadNodeIdUnknown');
    assert.equal((await call(at.Stop, { objectId: 'i=85' })).statusCode.name, 'BadMethodInvalid');
    assert.equal((await call(at.Stop, { inputArguments: [{ dataType: DataType.Int32, value: 1 }] })).statusCode.name, 'BadTooManyArguments');
    assert.equal(await value(at.Run), true, 'nothing of this stopped it');
});

// ---- subscriptions ----

/** A session of its own with raw subscription services: what node-opcua's subscription does by itself is done by hand. */
async function manual(t, more = {}) {
    const { client, session, close } = await uaConnect({ t, url: server.url, ...more });
    const service = (Type, fields) => ask(client, session, new ua[`${Type}Request`](fields));
    const self = { client, session, close, service };
    self.create = async (fields = {}) => {
        const made = await service('CreateSubscription', {
            requestedPublishingInterval: 50, requestedLifetimeCount: 300, requestedMaxKeepAliveCount: 5, maxNotificationsPerPublish: 0, publishingEnabled: true, priority: 0, ...fields,
        });
        self.id ??= made.subscriptionId;
        return made;
    };
    self.monitor = async (nodeId, parameters = {}, { attributeId = 13, mode = ua.MonitoringMode.Reporting, subscriptionId = self.id, timestampsToReturn = 2, ...item } = {}) => {
        const { results } = await service('CreateMonitoredItems', {
            subscriptionId, timestampsToReturn,
            itemsToCreate: [{ itemToMonitor: { nodeId, attributeId, ...item }, monitoringMode: mode, requestedParameters: { clientHandle: 1, samplingInterval: 0, queueSize: 10, discardOldest: true, ...parameters } }],
        });
        return results[0];
    };
    self.publish = (acknowledge = []) => service('Publish', { subscriptionAcknowledgements: acknowledge.map((sequenceNumber) => ({ subscriptionId: self.id, sequenceNumber })) });
    /** The values of a message, [] for a keep-alive. */
    self.values = (response) => (response.notificationMessage.notificationData ?? []).flatMap((n) => (n.monitoredItems ?? []).map((m) => m.value));
    return self;
}

test('a subscription: the present value first, then each change, with its source time', async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    const { monitor } = await uaSubscribe(session);
    await run(true);
    const { values } = await monitor(at.Run);
    await until(() => values.length === 1, 'the present value');
    for (const on of [false, true, false, true]) {
        await run(on);
        await sleep(5);
    }
    await until(() => values.length === 5, 'each change');
    assert.deepEqual(values.map((v) => v.value.value), [true, false, true, false, true]);
    values.slice(1).forEach((v, i) => assert.ok(v.sourceTimestamp >= values[i].sourceTimestamp, 'times go on'));
    const measured = await monitor(at.Temperature);
    await until(() => measured.values.length >= 1, 'a measurement', 15_000);
});

test('what the server revises', async (t) => {
    const m = await manual(t);
    const fast = await m.create({ requestedPublishingInterval: 0, requestedLifetimeCount: 1, requestedMaxKeepAliveCount: 0 });
    assert.ok(fast.revisedPublishingInterval > 0);
    assert.ok(fast.revisedMaxKeepAliveCount >= 1);
    assert.ok(fast.revisedLifetimeCount >= 3 * fast.revisedMaxKeepAliveCount);
    const item = await m.monitor('i=2258', { samplingInterval: 0, queueSize: 0 });
    assert.ok(item.revisedSamplingInterval >= 0 && item.revisedQueueSize === 1);
    const huge = await m.monitor(at.Run, { queueSize: 4_000_000_000 });
    assert.ok(huge.revisedQueueSize >= 10 && huge.revisedQueueSize <= 1_000_000, `a queue of ${huge.revisedQueueSize}`);
    const own = await m.monitor(at.Run, { samplingInterval: -1 });
    assert.equal(own.revisedSamplingInterval, fast.revisedPublishingInterval);
    const modified = await m.service('ModifySubscription', { subscriptionId: m.id, requestedPublishingInterval: 500, requestedLifetimeCount: 100, requestedMaxKeepAliveCount: 10 });
    assert.equal(modified.revisedPublishingInterval, 500);
});

test('sequence numbers, acknowledgements, keep-alives', async (t) => {
    const m = await manual(t);
    await m.create({ requestedPublishingInterval: 50, requestedMaxKeepAliveCount: 3 });
    const empty = await m.publish();
    assert.equal(m.values(empty).length, 0, 'the first answer comes after one interval, empty');
    assert.equal(empty.notificationMessage.sequenceNumber, 1, 'a keep-alive has the next number');
    await m.monitor(at.Run);
    const first = await m.publish();
    assert.equal(m.values(first).length, 1);
    assert.equal(first.notificationMessage.sequenceNumber, 1);
    assert.deepEqual([...first.availableSequenceNumbers], [1]);
    const began = performance.now();
    const alive = await m.publish([1]);
    assert.equal(m.values(alive).length, 0);
    assert.equal(alive.notificationMessage.sequenceNumber, 2);
    assert.ok(performance.now() - began >= 100, 'after three intervals without news');
    assert.deepEqual(alive.results.map((r) => r.name), ['Good']);
    assert.deepEqual([...(alive.availableSequenceNumbers ?? [])], []);
    const again = m.publish([1, 77]);
    await run(!(await value(at.Run)));
    assert.deepEqual((await again).results.map((r) => r.name), ['BadSequenceNumberUnknown', 'BadSequenceNumberUnknown']);
    await run(true);
});

test('Republish', async (t) => {
    const m = await manual(t);
    await m.create();
    await m.monitor(at.Run);
    let first = await m.publish();
    while (m.values(first).length === 0) first = await m.publish();
    const { sequenceNumber } = first.notificationMessage;
    const again = await m.service('Republish', { subscriptionId: m.id, retransmitSequenceNumber: sequenceNumber });
    assert.deepEqual(m.values(again).map((v) => v.value.value), m.values(first).map((v) => v.value.value));
    assert.equal(again.notificationMessage.sequenceNumber, sequenceNumber);
    await m.publish([sequenceNumber]);
    assert.equal(await failing(m.service('Republish', { subscriptionId: m.id, retransmitSequenceNumber: sequenceNumber })), 'BadMessageNotAvailable');
    assert.equal(await failing(m.service('Republish', { subscriptionId: 4_000_000, retransmitSequenceNumber: 1 })), 'BadSubscriptionIdInvalid');
});

test('the overflow bit, from the front and from the back', async (t) => {
    for (const discardOldest of [true, false]) {
        const m = await manual(t);
        await run(true);
        await m.create({ requestedPublishingInterval: 400 });
        const item = await m.monitor(at.Run, { queueSize: 3, discardOldest });
        assert.equal(item.revisedQueueSize, 3);
        for (let i = 0; i < 8; i++) await run(i % 2 === 1);
        const answer = await m.publish();
        const values = m.values(answer);
        assert.equal(values.length, 3);
        const overflow = values.map((v) => (v.statusCode.value & 0x480) === 0x480);
        assert.deepEqual(overflow, discardOldest ? [true, false, false] : [false, false, true], `discardOldest ${discardOldest}: ${overflow}`);
        assert.equal(values[2].value.value, true, 'the newest one is there in any case');
        await m.close();
    }
});

test('publishing can be turned off and on, items too; what is sampled meanwhile is kept', async (t) => {
    const m = await manual(t);
    await run(true);
    await m.create({ publishingEnabled: false, requestedMaxKeepAliveCount: 2 });
    const item = await m.monitor(at.Run);
    assert.equal(m.values(await m.publish()).length, 0, 'only keep-alives');
    await run(false);
    await m.service('SetPublishingMode', { publishingEnabled: true, subscriptionIds: [m.id] });
    let seen = [];
    while (seen.length < 2) seen.push(...m.values(await m.publish()));
    assert.deepEqual(seen.map((v) => v.value.value), [true, false]);

    const mode = async (monitoringMode) => (await m.service('SetMonitoringMode', { subscriptionId: m.id, monitoringMode, monitoredItemIds: [item.monitoredItemId, 999_999] })).results.map((r) => r.name);
    assert.deepEqual(await mode(ua.MonitoringMode.Disabled), ['Good', 'BadMonitoredItemIdInvalid']);
    await run(true);
    assert.equal(m.values(await m.publish()).length, 0, 'a disabled item says nothing');
    await mode(ua.MonitoringMode.Reporting);
    seen = [];
    while (seen.length < 1) seen.push(...m.values(await m.publish()));
    assert.equal(seen[0].value.value, true, 'enabled again, it begins with the present value');
    assert.deepEqual((await m.service('SetPublishingMode', { publishingEnabled: true, subscriptionIds: [m.id, 4_000_000] })).results.map((r) => r.name), ['Good', 'BadSubscriptionIdInvalid']);
});

test('dead bands: absolute and percent, and where they are wrong', async (t) => {
    const m = await manual(t);
    await m.create();
    const filter = (deadbandType, deadbandValue, trigger = 1) => ({ filter: new ua.DataChangeFilter({ trigger, deadbandType, deadbandValue }) });
    const monitor = async (...args) => (await m.monitor(...args)).statusCode.name;
    assert.equal(await monitor(at.Temperature, filter(1, 1000)), 'Good');
    assert.equal(await monitor(at.Temperature, filter(2, 100)), 'Good');
    assert.equal(await monitor(at.Temperature, filter(2, 101)), 'BadDeadbandFilterInvalid');
    assert.equal(await monitor(at.Temperature, filter(2, -1)), 'BadDeadbandFilterInvalid');
    assert.match(await monitor(at.Temperature, filter(9, 1)), /^Bad(DeadbandFilterInvalid|MonitoredItemFilterUnsupported|MonitoredItemFilterInvalid)$/);
    assert.match(await monitor(at.Run, filter(1, 1)), /^Bad(FilterNotAllowed|MonitoredItemFilterUnsupported)$/);
    assert.match(await monitor('i=2267', filter(2, 1)), /^Bad(MonitoredItemFilterUnsupported|FilterNotAllowed|DeadbandFilterInvalid)$/, 'percent of what has no range');
    assert.equal(await monitor('i=2259', { filter: new ua.DataChangeFilter({ trigger: 1 }) }, { attributeId: AttributeIds.DisplayName }), 'BadFilterNotAllowed');
    // A dead band of 1,000 degrees: nothing after the first value.
    const { session } = await uaConnect({ t, url: server.url });
    const subscription = await uaSubscribe(session);
    const wide = await subscription.monitor(at.Temperature, filter(1, 1000));
    const every = await subscription.monitor(at.Temperature, filter(0, 0, 2));
    await until(() => every.values.length >= 3, 'three measurements', 20_000);
    assert.equal(wide.values.length, 1);
});

test('items that cannot be, each with its status beside good ones', async (t) => {
    const m = await manual(t);
    await m.create();
    const status = async (...args) => (await m.monitor(...args)).statusCode.name;
    assert.equal(await status('ns=1;s=nobody'), 'BadNodeIdUnknown');
    assert.equal(await status(at.Run, {}, { attributeId: AttributeIds.Executable }), 'BadAttributeIdInvalid');
    assert.equal(await status('i=2253', {}, { attributeId: 13 }), 'BadAttributeIdInvalid');
    assert.equal(await status('i=2255', {}, { indexRange: '2:1' }), 'BadIndexRangeInvalid');
    assert.equal(await status(at.Run), 'Good');
    assert.equal(await failing(m.monitor(at.Run, {}, { subscriptionId: 4_000_000 })), 'BadSubscriptionIdInvalid');
    assert.equal(await failing(m.monitor(at.Run, {}, { timestampsToReturn: 4 })), 'BadTimestampsToReturnInvalid');
    const remove = async (ids) => (await m.service('DeleteMonitoredItems', { subscriptionId: m.id, monitoredItemIds: ids })).results.map((r) => r.name);
    const item = await m.monitor(at.Run);
    assert.deepEqual(await remove([item.monitoredItemId, 999_999]), ['Good', 'BadMonitoredItemIdInvalid']);
    assert.deepEqual(await remove([item.monitoredItemId]), ['BadMonitoredItemIdInvalid']);
    assert.deepEqual((await m.service('DeleteSubscriptions', { subscriptionIds: [m.id, 4_000_000] })).results.map((r) => r.name), ['Good', 'BadSubscriptionIdInvalid']);
    assert.equal(await failing(m.publish()), 'BadNoSubscription');
});

test('ModifyMonitoredItems, and what is reported by another item (SetTriggering)', async (t) => {
    const m = await manual(t);
    await run(true);
    await m.create();
    const item = await m.monitor(at.Run, { clientHandle: 5 });
    while (m.values(await m.publish()).length === 0); // the first value, under the first handle
    const { results } = await m.service('ModifyMonitoredItems', {
        subscriptionId: m.id, timestampsToReturn: 2,
        itemsToModify: [{ monitoredItemId: item.monitoredItemId, requestedParameters: { clientHandle: 6, samplingInterval: 0, queueSize: 4, discardOldest: true } }, { monitoredItemId: 999_999, requestedParameters: { clientHandle: 1 } }],
    });
    assert.deepEqual(results.map((r) => r.statusCode.name), ['Good', 'BadMonitoredItemIdInvalid']);
    assert.equal(results[0].revisedQueueSize, 4);
    const linked = await m.monitor('i=2258', { clientHandle: 7, samplingInterval: 20, queueSize: 1 }, { mode: ua.MonitoringMode.Sampling });
    const links = await m.service('SetTriggering', { subscriptionId: m.id, triggeringItemId: item.monitoredItemId, linksToAdd: [linked.monitoredItemId, 999_999] });
    assert.deepEqual(links.addResults.map((r) => r.name), ['Good', 'BadMonitoredItemIdInvalid']);
    await sleep(100);
    await run(false);
    const handles = new Set();
    for (let i = 0; i < 10 && handles.size < 2; i++) {
        const answer = await m.publish();
        (answer.notificationMessage.notificationData ?? []).forEach((n) => n.monitoredItems.forEach((it) => handles.add(it.clientHandle)));
    }
    assert.deepEqual([...handles].sort(), [6, 7]);
    await run(true);
});

test('a subscription without a Publish dies after its lifetime, and says so', async (t) => {
    const m = await manual(t);
    const made = await m.create({ requestedPublishingInterval: 50, requestedLifetimeCount: 6, requestedMaxKeepAliveCount: 2 });
    await m.monitor(at.Run);
    await sleep(50 * made.revisedLifetimeCount + 400);
    const last = await m.publish();
    const notice = last.notificationMessage.notificationData[0];
    assert.equal(notice.status.name, 'BadTimeout');
    assert.equal(await failing(m.service('SetPublishingMode', { publishingEnabled: true, subscriptionIds: [m.id] }).then((r) => { if (r.results[0].isNotGood()) throw new Error(r.results[0].name); })), 'BadSubscriptionIdInvalid');
});

test('a subscription is taken over by another session, with what was not acknowledged', async (t) => {
    const old = await manual(t);
    await run(true);
    await old.create();
    await old.monitor(at.Run);
    const first = await old.publish();
    const got = old.values(first).length ? first : await old.publish();
    const { sequenceNumber } = got.notificationMessage;
    const heir = await manual(t);
    const transfer = async (ids) => (await heir.service('TransferSubscriptions', { subscriptionIds: ids, sendInitialValues: true })).results;
    const waiting = old.publish();
    waiting.catch(() => {});
    const [moved, wrong] = await transfer([old.id, 4_000_000]);
    assert.equal(moved.statusCode.name, 'Good');
    assert.ok([...moved.availableSequenceNumbers].includes(sequenceNumber), `${moved.availableSequenceNumbers}`);
    assert.equal(wrong.statusCode.name, 'BadSubscriptionIdInvalid');
    const farewell = await waiting;
    assert.equal(farewell.notificationMessage.notificationData[0].status.name, 'GoodSubscriptionTransferred');
    heir.id = old.id;
    const again = await heir.service('Republish', { subscriptionId: old.id, retransmitSequenceNumber: sequenceNumber });
    assert.equal(old.values(again).length, 1);
    let values = [];
    while (values.length === 0) values = heir.values(await heir.publish([sequenceNumber]));
    assert.equal(values[0].value.value, true, 'the initial value');
});

test('too many Publish requests: the oldest is told', async (t) => {
    const m = await manual(t);
    await m.create({ requestedPublishingInterval: 1000, requestedMaxKeepAliveCount: 100 });
    await m.publish();
    const parked = Array.from({ length: 150 }, () => m.publish().then(() => 'Good', statusOf));
    assert.equal(await within(parked[0], 'the answer to the oldest'), 'BadTooManyPublishRequests');
    const cancelled = await m.service('DeleteSubscriptions', { subscriptionIds: [m.id] });
    assert.equal(cancelled.results[0].name, 'Good');
    const ends = await Promise.all(parked);
    assert.ok(ends.every((e) => ['BadTooManyPublishRequests', 'BadNoSubscription', 'Good'].includes(e)), ends.join());
});

test('too many subscriptions of a session', async (t) => {
    const m = await manual(t);
    let made = 0;
    let status = 'Good';
    while (status === 'Good' && made < 200) {
        status = await failing(m.create({ requestedPublishingInterval: 5000 }));
        if (status === 'Good') made++;
    }
    assert.equal(status, 'BadTooManySubscriptions');
    assert.ok(made >= 5, `${made} subscriptions`);
});

// ---- the ends of sessions and channels ----

test('CloseSession ends it', async (t) => {
    const { client, session } = await uaConnect({ t, url: server.url });
    await session.close(true);
    assert.match(await failing(ask(client, session, new ua.ReadRequest({ nodesToRead: [{ nodeId: 'i=2259', attributeId: 13 }] }))), /^BadSession(IdInvalid|Closed)$/);
});

test("another channel cannot use somebody's session", async (t) => {
    const { session } = await uaConnect({ t, url: server.url });
    const other = await uaConnect({ t, url: server.url });
    const foreign = ask(other.client, session, new ua.ReadRequest({ nodesToRead: [{ nodeId: 'i=2259', attributeId: 13 }] }));
    assert.match(await failing(foreign), /^Bad(SecureChannelIdInvalid|SessionIdInvalid)$/);
});

test('too many sessions', async (t) => {
    const own = await startSensor({ t });
    const raw = await openRaw({ t, port: own.port });
    let status;
    for (let made = 0; made <= 100 && !status; made++) status = await raw.session({ timeout: 60_000 }).then(() => undefined, (error) => error.message);
    assert.match(status ?? '', /BadTooManySessions/);
});

test('a session that says nothing for its time is closed', async () => {
    const { session } = quiet;
    assert.equal(session.sessionTimeout, 500, 'the smallest that --limit allows');
    await sleep(Math.max(0, quiet.since + session.sessionTimeout + 1500 - performance.now()));
    const answer = await session.lives().catch((error) => error.message);
    if (answer === 'Good') {
        const { result } = await session.ask(631, Buffer.concat([Buffer.alloc(8), Buffer.from([3, 0, 0, 0, 255, 255, 255, 255])]));
        assert.equal(result, 0x80250000, 'BadSessionIdInvalid');
    } else {
        assert.match(answer, /closed|ERR/);
    }
});

test('a channel that is not renewed in its time is closed', async () => {
    const { channel } = quiet;
    assert.ok(channel.lifetime >= 100 && channel.lifetime <= 15_000, `granted ${channel.lifetime} ms`);
    await within(until(() => channel.closed, 'the channel is closed', 20_000), 'the channel is closed', 25_000);
    const after = channel.closedAt - quiet.since;
    assert.ok(after >= channel.lifetime && after < channel.lifetime * 1.25 + 4000, `closed after ${Math.round(after)} ms of ${channel.lifetime}`);
});
