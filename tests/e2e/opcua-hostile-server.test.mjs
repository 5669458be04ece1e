// `fieldgate opcua test|read|browse` and a server that lies: each verb ends in bounded time with a sentence, dials nobody but the
// address that was typed, and prints nothing that a terminal would obey.
// timeout: 120

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { tempFolder } from './lib/node.mjs';
import { array, cat, endpoint, i32, localized, nodeId, startHostile, STATUS, stringNodeId, text, u16, u32, u8 } from './lib/opcua-raw.mjs';
import { applicationCertificate, sharedKey } from './lib/opcua-server.mjs';
import { NONE, opcua } from './lib/opcua-verbs.mjs';

const data = join(tempFolder('uhs'), 'data');
const READ = 631, READ_ANSWER = 634, BROWSE = 527, BROWSE_ANSWER = 530;
const certificate = (cn) => applicationCertificate({ key: sharedKey(cn), uri: 'urn:fieldgate:test:hostile', cn }).der;

/** The verb's end: never a crash, and within the time of run(). */
async function ends(verb, server, args = []) {
    const end = await opcua(verb, server.url, [...args, ...NONE], { data, timeoutMs: 40_000 });
    assert.equal(typeof end.code, 'number', `${verb} ended by ${end.signal}`);
    assert.ok(end.code >= 0 && end.code < 64, `${verb} ended with ${end.code}`);
    return { code: end.code, out: end.out.join('\n'), err: end.err.join('\n') };
}
const refused = async (verb, server, args, why) => {
    const { code, err } = await ends(verb, server, args);
    assert.notEqual(code, 0, `${verb} believed it`);
    assert.match(err, why);
};

/** Answers what a person asks for, not what the client looks at when it comes up: those ask for many nodes. */
const onRead = (answer) => (connection, asked) => {
    if (asked.encoding !== READ || asked.reader.bytes.readInt32LE(asked.reader.at + 12) !== 1) return false;
    answer(connection, asked);
    return true;
};
const int32 = (n) => cat(u8(1), u8(6), i32(n));
const values = (...all) => cat(array(...all), i32(-1));

test('a good answer is read: what follows differs from this in one thing each', async (t) => {
    const server = await startHostile({ t, serve: onRead((c, asked) => c.answer(asked, READ_ANSWER, values(int32(42)))) });
    const { code, out } = await ends('read', server, ['ns=1;i=1']);
    assert.equal(code, 0);
    assert.match(out, /42/);
});

test('endpoints elsewhere, other ones each time: only the typed address is dialled', async (t) => {
    const decoys = [await startHostile({ t }), await startHostile({ t })];
    let host = 0;
    const server = await startHostile({ t, endpoints: () => Array.from({ length: 200 }, () =>
        endpoint({ url: host++ % 2 ? decoys[host % decoys.length].url : `opc.tcp://host-${host}.invalid:4840` })) });
    for (const verb of ['test', 'read']) {
        const before = server.connections;
        await ends(verb, server, verb === 'read' ? ['i=2258'] : []);
        assert.ok(server.connections - before <= 3, `${verb}: ${server.connections - before} connections`);
    }
    assert.deepEqual(decoys.map((d) => d.connections), [0, 0]);
    assert.ok(server.asked[428] <= 4, `asked ${server.asked[428]} times for endpoints`);
});

test('one endpoint, on another port', async (t) => {
    const decoy = await startHostile({ t });
    const server = await startHostile({ t, endpoints: () => [endpoint({ url: decoy.url })], serve: onRead((c, asked) => c.answer(asked, READ_ANSWER, values(int32(42)))) });
    const { code, out } = await ends('read', server, ['ns=1;i=1']);
    assert.equal(code, 0);
    assert.match(out, /42/);
    assert.equal(decoy.connections, 0);
});

test('another certificate in the session than in discovery', async (t) => {
    const server = await startHostile({ t, certificate: certificate('first'), sessionCertificate: certificate('second') });
    for (const verb of ['read', 'test']) await refused(verb, server, verb === 'read' ? ['i=2258'] : [], /another certificate than discovery gave/);
    assert.equal(server.asked[467], undefined, 'no user is sent there');
});

test('lying types and counts', async (t) => {
    for (const [name, encoding, body] of [
        ['the answer to something else', BROWSE_ANSWER, cat(array(), i32(-1))],
        ['no values', READ_ANSWER, values()],
        ['two values', READ_ANSWER, values(int32(1), int32(2))],
        ['2,000 million values', READ_ANSWER, cat(i32(2_000_000_000), int32(1), i32(-1))],
        ['an array of 2,000 million', READ_ANSWER, values(cat(u8(1), u8(0x80 | 11), i32(0x7fffffff)))],
        ['a text of 2 GiB', READ_ANSWER, values(cat(u8(1), u8(12), i32(0x7fffffff)))],
        ['a type that does not exist', READ_ANSWER, values(cat(u8(1), u8(0x3f), i32(1)))],
        ['dimensions that do not multiply to it', READ_ANSWER, values(cat(u8(1), u8(0xc0 | 6), i32(1), i32(1), i32(2), i32(65536), i32(65536)))],
        ['variants in variants', READ_ANSWER, values(cat(u8(1), Array.from({ length: 5000 }, () => cat(u8(0x80 | 24), i32(1))), u8(0)))],
        ['an end in the middle', READ_ANSWER, cat(i32(1), u8(1), u8(11), u32(0))],
    ]) {
        const server = await startHostile({ t, serve: onRead((c, asked) => c.answer(asked, encoding, body)) });
        const { code, out, err } = await ends('read', server, ['ns=1;i=1']);
        assert.notEqual(code, 0, `${name} was believed: ${out}`);
        assert.match(out + err, /Bad[A-Z]/, `${name}: it is said`);
    }
});

test('1 GiB is announced', async (t) => {
    const server = await startHostile({ t, serve: onRead((c, asked) => c.answer(asked, READ_ANSWER, values(int32(1)), { size: 1 << 30 })) });
    await refused('read', server, ['ns=1;i=1'], /1073741824 bytes is announced/);
});

test('no answer', async (t) => {
    const server = await startHostile({ t, serve: onRead(() => {}) });
    await refused('read', server, ['ns=1;i=1'], /BadTimeout|did not answer|not answered/);
});

test('every answer twice', async (t) => {
    const twice = onRead((c, asked) => { for (const n of [42, 43]) c.answer(asked, READ_ANSWER, values(int32(n))); });
    const { code, out } = await ends('read', await startHostile({ t, serve: twice }), ['ns=1;i=1']);
    assert.equal(code, 0);
    assert.match(out, /42/);
    assert.doesNotMatch(out, /43/);
});

test('names that a terminal would obey', async (t) => {
    const evil = 'a\u001b[2J\u001b]0;owned\u0007b\u009b31m\rc\n\u202ed';
    let answers = 0;
    const one = (id) => cat(nodeId(35), u8(1), stringNodeId(1, id), u16(1), text(evil), localized(evil), u32(1), nodeId(61));
    const attributes = { 2: int32(1), 3: cat(u8(1), u8(20), u16(1), text(evil)), 4: cat(u8(1), u8(21), localized(evil)) };
    const server = await startHostile({ t, serve: (c, asked) => {
        if (asked.encoding === READ) {
            const r = asked.reader.skip(12);
            const wanted = Array.from({ length: r.i32() }, () => { r.nodeId(); const a = r.u32(); r.string(); r.u16(); r.string(); return a; });
            c.answer(asked, READ_ANSWER, values(...wanted.map((a) => attributes[a] ?? cat(u8(2), u32(STATUS.BadNodeIdUnknown)))));
            return true;
        }
        if (asked.encoding !== BROWSE) return false;
        asked.reader.nodeId();
        const results = Array.from({ length: asked.reader.skip(8 + 4 + 4).i32() }, () =>
            cat(u32(0), i32(-1), answers++ === 0 ? array(one('x\u001b[31m'), one('y')) : array()));
        c.answer(asked, BROWSE_ANSWER, cat(array(...results), i32(-1)));
        return true;
    } });
    for (const more of [[], ['-o', 'json']]) { // csv is RFC 4180: quoted for programs, as it came
        answers = 0;
        const { out, err } = await ends('browse', server, more);
        assert.ok(out.includes('owned'), `the name is shown\n${out}\n${err}`);
        assert.doesNotMatch(out + err, more.length ? /[\u0000-\u0008\u000b-\u001f]/ : /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/, more.join(' '));
    }
});
