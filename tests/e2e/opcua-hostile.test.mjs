// What no client library sends: a server of ours answers with the protocol's own error, closes where it must, and goes on
// serving the neighbour, who is connected all the time.
// timeout: 300

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { startSensor } from './lib/opcua-sensor.mjs';
import {
    array, cat, chunk, dialRaw, f64, hello, i32, nodeId, openRaw, requestHeader, statusName, text, u16, u32, u8,
} from './lib/opcua-raw.mjs';
import { sleep } from './lib/wait.mjs';

const CONNECT_SECONDS = 3; // ten, unless a person says otherwise

let server;
let neighbour;
const slow = []; // connections that say nothing, or half of a HELLO: begun first, looked at last
before(async () => {
    server = await startSensor({ args: ['--limit', `connect-seconds=${CONNECT_SECONDS}`] });
    neighbour = await openRaw({ port: server.port });
    await neighbour.session();
    for (const said of [Buffer.alloc(0), hello().subarray(0, 7), hello().subarray(0, 20), hello()]) {
        const raw = await dialRaw({ port: server.port });
        raw.send(said);
        slow.push({ raw, since: performance.now(), said: said.length });
    }
});
after(async () => {
    neighbour?.close();
    slow.forEach(({ raw }) => raw.close());
    await server?.stop();
});

const dial = (t) => dialRaw({ t, port: server.port });
const opened = (t) => openRaw({ t, port: server.port });

/** After every test: the server is there, and the neighbour's session too. */
async function goesOn() {
    assert.ok(server.alive, 'the server lives');
    assert.equal((await read(neighbour)).result, 0, "the neighbour's Read");
}
const hostile = (name, body) => test(name, async (t) => {
    await body(t);
    await goesOn();
});

const readBody = (count = 1, id = nodeId(2259)) => cat(f64(0), u32(3), i32(count), cat(id, u32(13), text(null), u16(0), text(null)));
const read = (raw, options) => raw.ask(631, readBody(), options);

// ---- the first bytes ----

hostile('2 GiB announced behind HELLO in the same segment', async (t) => {
    const raw = await dial(t);
    raw.send(hello(), chunk('OPN', 'F', Buffer.alloc(8), 0x80000000));
    assert.equal((await raw.next()).type, 'ACK');
    assert.equal(await raw.ending(), 'BadTcpMessageTooLarge');
});

hostile('a size larger than the buffer, before and after HELLO', async (t) => {
    for (const size of [65_536, 0x7fffffff, 0xffffffff]) {
        const first = await dial(t);
        first.send(chunk('HEL', 'F', Buffer.alloc(24), size));
        assert.equal(await first.ending(), 'BadTcpMessageTooLarge', `HEL of ${size}`);
        const raw = await opened(t);
        raw.send(chunk('MSG', 'F', Buffer.alloc(16), Math.max(size, raw.limits.receive + 1)));
        assert.equal(await raw.ending(), 'BadTcpMessageTooLarge', `MSG of ${size}`);
    }
});

hostile('a size smaller than the header', async (t) => {
    for (const size of [0, 1, 7]) {
        const raw = await opened(t);
        raw.send(chunk('MSG', 'F', Buffer.alloc(16), size));
        assert.match(await raw.ending(), /^Bad/, `size ${size}`);
    }
});

hostile('other protocols and noise', async (t) => {
    const noise = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + 13) & 255));
    for (const [name, bytes] of [
        ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
        ['TLS', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...Array(64).fill(9)])],
        ['MQTT', Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0])],
        ['zeros', Buffer.alloc(64)],
        ['noise', noise],
    ]) {
        const raw = await dial(t);
        raw.send(bytes);
        assert.equal(await raw.ending(), 'BadTcpMessageTypeInvalid', name);
    }
});

hostile('a message before HELLO, HELLO twice, what only servers send', async (t) => {
    for (const type of ['MSG', 'OPN', 'CLO', 'ACK', 'ERR', 'RHE']) {
        const raw = await dial(t);
        raw.send(chunk(type, 'F', Buffer.alloc(24)));
        assert.equal(await raw.ending(), ['MSG', 'CLO'].includes(type) ? 'BadTcpSecureChannelUnknown' : 'BadTcpMessageTypeInvalid', `${type} first`);
    }
    for (const type of ['HEL', 'ACK', 'RHE', 'XYZ']) {
        const raw = await opened(t);
        raw.send(type === 'HEL' ? hello() : chunk(type, 'F', Buffer.alloc(24)));
        assert.equal(await raw.ending(), 'BadTcpMessageTypeInvalid', `${type} on an open channel`);
    }
    const raw = await opened(t);
    raw.send(chunk('MSG', 'X', Buffer.alloc(24)));
    assert.equal(await raw.ending(), 'BadTcpMessageTypeInvalid', 'a chunk neither final nor intermediate nor abort');
});

hostile('HELLOs that ask for nonsense', async (t) => {
    const ending = async (bytes) => { const raw = await dial(t); raw.send(bytes); return raw.ending(); };
    assert.equal(await ending(hello({ url: 'x'.repeat(4097) })), 'BadTcpEndpointUrlInvalid');
    assert.match(await ending(hello({ receive: 100 })), /^Bad/);
    assert.match(await ending(hello({ send: 0 })), /^Bad/);
    assert.match(await ending(chunk('HEL', 'F', cat(u32(0), u32(65535), u32(65535), u32(0), u32(0), i32(-2)))), /^Bad/);
    assert.match(await ending(chunk('HEL', 'F', cat(u32(0), u32(65535), u32(65535), u32(0), u32(0), i32(0x7fffffff)))), /^Bad/);
    // Newer versions and larger buffers are no nonsense: the answer has ours.
    const raw = await dial(t);
    await raw.hello({ version: 99, receive: 0x7fffffff, send: 0x7fffffff });
    assert.equal(raw.limits.version, 0);
    assert.ok(raw.limits.receive <= 65_536 && raw.limits.receive >= 8192, `buffers of ${raw.limits.receive}`);
    await raw.open();
    assert.equal(await raw.lives(), 'Good');
});

hostile('bytes one by one are a message too', async (t) => {
    const raw = await dial(t);
    for (const byte of hello()) { raw.send(Buffer.from([byte])); await sleep(1); }
    assert.equal((await raw.next()).type, 'ACK');
    await raw.open();
    assert.equal(await raw.lives(), 'Good');
});

// ---- the channel ----

hostile('an unknown policy, a mode without one, a renewal before the first', async (t) => {
    const ending = async (options) => { const raw = await dial(t); await raw.hello(); raw.send(raw.openChunk(options)); return raw.ending(); };
    assert.equal(await ending({ policy: 'http://opcfoundation.org/UA/SecurityPolicy#Nothing' }), 'BadSecurityPolicyRejected');
    assert.equal(await ending({ mode: 3 }), 'BadSecurityModeRejected');
    assert.equal(await ending({ mode: 0 }), 'BadSecurityModeRejected');
    assert.equal(await ending({ type: 1 }), 'BadTcpSecureChannelUnknown');
    assert.equal(await ending({ type: 7 }), 'BadRequestTypeInvalid');
});

hostile('the wrong channel', async (t) => {
    const raw = await opened(t);
    raw.send(raw.messageChunk(cat(nodeId(428), requestHeader()), { channel: raw.channel + 1 }));
    assert.equal(await raw.ending(), 'BadTcpSecureChannelUnknown');
});

hostile("the neighbour's channel", async (t) => {
    const raw = await opened(t);
    raw.send(raw.messageChunk(cat(nodeId(428), requestHeader()), { channel: neighbour.channel, token: neighbour.token }));
    assert.equal(await raw.ending(), 'BadTcpSecureChannelUnknown');
});

hostile('a token that was never given out', async (t) => {
    const raw = await opened(t);
    raw.send(raw.messageChunk(cat(nodeId(428), requestHeader()), { token: raw.token + 1 }));
    assert.equal(await raw.ending(), 'BadSecurityChecksFailed');
});

hostile('a sequence number again, and one too far', async (t) => {
    const again = await opened(t);
    assert.equal(await again.lives(), 'Good');
    again.send(again.messageChunk(cat(nodeId(428), requestHeader()), { sequence: again.sequence }));
    assert.equal(await again.ending(), 'BadSecurityChecksFailed');
    const far = await opened(t);
    far.send(far.messageChunk(cat(nodeId(428), requestHeader()), { sequence: far.sequence + 2 }));
    assert.equal(await far.ending(), 'BadSecurityChecksFailed');
});

hostile('chunks without end', async (t) => {
    const raw = await opened(t);
    const request = ++raw.request;
    for (let i = 0; i < 200 && !raw.closed; i++) {
        raw.send(raw.messageChunk(Buffer.alloc(1000), { kind: 'C', request }));
        if (i % 20 === 19) await sleep(1);
    }
    assert.match(await raw.ending(), /^Bad(TcpMessageTooLarge|RequestTooLarge)$/);
});

hostile('a message of more than 2 MiB', async (t) => {
    const raw = await opened(t);
    const request = ++raw.request;
    for (let i = 0; i < 50 && !raw.closed; i++) {
        raw.send(raw.messageChunk(Buffer.alloc(60_000), { kind: 'C', request }));
        if (i % 10 === 9) await sleep(1);
    }
    assert.match(await raw.ending(), /^Bad(TcpMessageTooLarge|RequestTooLarge)$/);
});

hostile('chunks of two messages mixed', async (t) => {
    const raw = await opened(t);
    raw.send(raw.messageChunk(Buffer.alloc(10), { kind: 'C', request: 50 }), raw.messageChunk(Buffer.alloc(10), { kind: 'C', request: 51 }));
    assert.match(await raw.ending(), /^Bad/);
});

hostile('an aborted message is forgotten, the channel goes on', async (t) => {
    const raw = await opened(t);
    const request = ++raw.request;
    raw.send(raw.messageChunk(Buffer.alloc(1000), { kind: 'C', request }), raw.messageChunk(cat(u32(0x80b80000), text('too much')), { kind: 'A', request }));
    assert.equal(await raw.lives(), 'Good');
});

hostile('a message in many small chunks is one message', async (t) => {
    const raw = await opened(t);
    await raw.session();
    const body = cat(nodeId(631), requestHeader({ token: raw.authentication }), readBody());
    const request = ++raw.request;
    for (let i = 0; i < body.length; i += 3)
        raw.send(raw.messageChunk(body.subarray(i, i + 3), { kind: i + 3 < body.length ? 'C' : 'F', request }));
    const { encoding, result } = await raw.answer();
    assert.deepEqual([encoding, result], [634, 0]);
});

// ---- bodies ----

/** What a service says to a body: the fault's name, or how the server ended it. */
async function said(raw, encoding, body, options) {
    const { result } = await raw.ask(encoding, body, options);
    return statusName(result);
}

hostile('services that are not there', async (t) => {
    const raw = await opened(t);
    await raw.session();
    for (const encoding of [615, 488, 437, 1, 65_535])
        assert.equal(await said(raw, encoding, Buffer.alloc(4)), 'BadServiceUnsupported', `encoding ${encoding}`);
    assert.equal((await read(raw)).result, 0);
});

hostile('without a session, with a token that was never given out', async (t) => {
    const raw = await opened(t);
    assert.equal(await said(raw, 631, readBody()), 'BadSessionIdInvalid');
    assert.equal(await said(raw, 631, readBody(), { header: { token: cat(u8(5), u16(0), i32(32), Buffer.alloc(32, 1)) } }), 'BadSessionIdInvalid');
});

hostile('a session that was not activated', async (t) => {
    const raw = await opened(t);
    await raw.session({ activate: false });
    assert.equal(await said(raw, 631, readBody()), 'BadSessionNotActivated');
});

const MALFORMED = /^Bad(DecodingError|EncodingLimitsExceeded|TooManyOperations)$/;

hostile('lengths that are negative or larger than the message', async (t) => {
    const raw = await opened(t);
    await raw.session();
    for (const count of [2147483647, 100_000, 2])
        assert.match(await said(raw, 631, readBody(count)), MALFORMED, `count ${count}`);
    for (const count of [-2, -2147483648]) // negative is null, as -1 is; what follows it is too much, or nobody's
        assert.match(await said(raw, 631, readBody(count)), /^Bad(NothingToDo|DecodingError)$/, `count ${count}`);
    for (const length of [2147483647, 5000]) {
        const one = cat(nodeId(2259), u32(13), i32(length), u16(0), text(null));
        assert.match(await said(raw, 631, cat(f64(0), u32(3), array(one))), MALFORMED, `text of ${length}`);
    }
    for (const body of [Buffer.alloc(0), f64(0), readBody().subarray(0, -1)])
        assert.match(await said(raw, 631, body), MALFORMED, `a body of ${body.length}`);
    assert.match(await said(raw, 631, readBody(1, Buffer.from([0x3f, 1]))), MALFORMED, 'a NodeId of no known form');
});

const EMPTY = 'BadNothingToDo';
hostile('lists without elements', async (t) => {
    const raw = await opened(t);
    await raw.session();
    for (const count of [0, -1]) {
        assert.equal(await said(raw, 631, cat(f64(0), u32(3), i32(count))), EMPTY, 'Read');
        assert.equal(await said(raw, 673, i32(count)), EMPTY, 'Write');
        assert.equal(await said(raw, 712, i32(count)), EMPTY, 'Call');
        assert.equal(await said(raw, 527, cat(nodeId(0), Buffer.alloc(8), u32(0), u32(0), i32(count))), EMPTY, 'Browse');
    }
});

/** Write of a value to a node that is not there: what matters is whether the value can be read at all. */
const writing = (variant) => array(cat(nodeId(60_000), u32(13), text(null), u8(1), variant));

hostile('values in values, and their kin', async (t) => {
    const raw = await opened(t);
    await raw.session();
    const nested = (depth, core) => { let v = core; for (let i = 0; i < depth; i++) v = cat(u8(0x80 | 24), i32(1), v); return v; };
    const inDataValue = (depth, core) => { let v = core; for (let i = 0; i < depth; i++) v = cat(u8(23), u8(1), v); return v; };
    const diagnostic = (depth) => { let v = u8(0); for (let i = 0; i < depth; i++) v = cat(u8(0x40), v); return cat(u8(25), v); };
    const seven = cat(u8(6), i32(7));
    for (const depth of [40, 1000, 20_000]) {
        assert.match(await said(raw, 673, writing(nested(depth, seven))), MALFORMED, `Variant ${depth} deep`);
        assert.match(await said(raw, 673, writing(inDataValue(depth, seven))), MALFORMED, `DataValue ${depth} deep`);
        assert.match(await said(raw, 673, writing(diagnostic(depth))), MALFORMED, `DiagnosticInfo ${depth} deep`);
    }
    // Three deep is fine: it is the node that is not there.
    const fine = await raw.ask(673, writing(nested(3, seven)));
    assert.equal(fine.result, 0);
});

hostile('arrays and matrices that lie about their size', async (t) => {
    const raw = await opened(t);
    await raw.session();
    const cases = {
        'an array of 2^31-1 without elements': cat(u8(0x80 | 6), i32(2147483647)),
        '65,537 Booleans': cat(u8(0x80 | 1), i32(65_537), Buffer.alloc(65_537)),
        'dimensions whose product is not the count': cat(u8(0xc0 | 6), i32(2), i32(1), i32(2), i32(2), i32(3), i32(3)),
        'dimensions whose product overflows': cat(u8(0xc0 | 6), i32(0), i32(2), i32(65_536), i32(65_536)),
        'negative dimensions': cat(u8(0xc0 | 6), i32(1), i32(1), i32(2), i32(-1), i32(-1)),
        'dimensions without an array': cat(u8(0x40 | 6), i32(1), i32(1), i32(1)),
        'an unknown type': cat(u8(63), i32(1)),
        'a Variant as a scalar': cat(u8(24), u8(6), i32(1)),
        'an ExtensionObject longer than the message': cat(u8(22), nodeId(888), u8(1), i32(2_000_000)),
        'a text of more than 64 KiB': cat(u8(12), text('x'.repeat(65_537))),
    };
    for (const [name, variant] of Object.entries(cases))
        assert.match(await said(raw, 673, writing(variant)), MALFORMED, name);
    assert.equal((await read(raw)).result, 0);
});

hostile('an identity that is no identity', async (t) => {
    const activation = (token) => cat(text(null), i32(-1), i32(-1), i32(-1), token, text(null), i32(-1));
    for (const token of [
        cat(nodeId(324), u8(1), i32(4), i32(-1)), // a user name without a name
        cat(nodeId(999), u8(1), i32(4), i32(-1)), // of no known kind
        cat(nodeId(321), u8(1), i32(8), text('none')), // a policy that is not offered
        cat(nodeId(327), u8(1), cat(i32(40), text('x'), i32(31), Buffer.alloc(31, 3))), // a certificate of noise
    ]) {
        const raw = await opened(t);
        await raw.session({ activate: false });
        const { result } = await raw.ask(467, activation(token));
        assert.match(statusName(result), /^Bad/, token.toString('hex'));
        assert.match(await said(raw, 631, readBody()), /^Bad/, 'and Read is refused');
    }
});

// ---- many of them ----

hostile('half of a message and gone, a hundred times', async (t) => {
    for (let i = 0; i < 100; i++) {
        const raw = await dial(t);
        await raw.hello();
        const open = raw.openChunk();
        raw.send(open.subarray(0, 1 + ((i * 13) % (open.length - 1))));
        raw.close();
    }
});

hostile('who says nothing, or half of a HELLO, is closed in time', async () => {
    for (const { raw, since, said: bytes } of slow) {
        const how = await raw.ending(15_000);
        assert.match(how, /^(Bad\w+|closed)$/);
        const after = (raw.closedAt - since) / 1000;
        assert.ok(after > CONNECT_SECONDS - 1 && after < CONNECT_SECONDS + 7, `${bytes} bytes, then nothing: ${how} after ${after.toFixed(1)} s`);
    }
});

// Behind the one before, whose connections would be the first to make room.
hostile('100 half-open channels: the neighbour is served, whoever comes later is told or let in', async (t) => {
    const half = [];
    for (let i = 0; i < 100; i++) {
        const raw = await dial(t);
        raw.send(hello());
        half.push(raw);
    }
    await goesOn();
    const late = await dial(t);
    late.send(hello());
    const answer = await late.next();
    assert.ok(['ACK', 'ERR'].includes(answer.type), answer.type);
    if (answer.type === 'ERR') assert.match(statusName(answer.body.readUInt32LE(0)), /^BadTcp(ServerTooBusy|NotEnoughResources)$/);
    half.forEach((raw) => raw.close());
    late.close();
    await sleep(100);
    assert.equal(await (await opened(t)).lives(), 'Good');
});
