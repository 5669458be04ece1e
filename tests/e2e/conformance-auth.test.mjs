// What MQTT 5.0 demands about enhanced authentication (3.15, 4.12), with SCRAM-SHA-256.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join as path } from 'node:path';
import { conform, id, stage } from './lib/conform.mjs';
import { tempFolder } from './lib/node.mjs';
import { ours, unique } from './lib/peer.mjs';
import * as m from './lib/packets.mjs';
import { ending } from './lib/raw.mjs';
import { Scram, scramLine } from './lib/scram.mjs';

const USER = 'press-1', PASSWORD = 'a password', METHOD = 'SCRAM-SHA-256';
const users = path(tempFolder(), 'users');
writeFileSync(users, `user:${USER}::none\n${scramLine(USER, PASSWORD)}\nuser:other::none\n${scramLine('other', 'another')}\n`, { mode: 0o600 });
const { open, join } = stage({
    settings: { users, listeners: [{ type: 'mqtt', at: ['127.0.0.1:0'], auth: ['users', 'anonymous'] }, { type: 'http', at: ['127.0.0.1:0'] }] },
});
const options = ours('it has no such method');
const auth = (authData, more = {}) => m.auth({ reason: 0x18, props: { authMethod: METHOD, authData }, ...more });

/** CONNECT and the exchange up to the answer to client-final, which is given back. */
async function signIn(t, { name = USER, password = PASSWORD, final = (bytes) => bytes, raw, ...more } = {}) {
    raw ??= await open(t, 5);
    raw.loose = true;
    const scram = new Scram(name, password);
    await raw.send(m.connect({ id: id(), ...more, props: { ...more.props, authMethod: METHOD, authData: scram.first() } }));
    const challenge = await raw.next();
    if (challenge.type !== m.AUTH) return { raw, scram, answer: challenge };
    await raw.send(auth(final(scram.final(challenge.props.authData))));
    return { raw, scram, challenge, answer: await raw.next() };
}

conform('AUTH of the node before CONNACK says 0x18, and both name the method', { v5: '4.12.0-2 4.12.0-5 3.15.2-1 3.2.0-1', ...options }, async (t) => {
    const { raw, scram, challenge, answer } = await signIn(t);
    assert.deepEqual([challenge.type, challenge.reason, challenge.props.authMethod], [m.AUTH, 0x18, METHOD]);
    assert.deepEqual([answer.type, answer.reason, answer.props.authMethod], [m.CONNACK, 0, METHOD]);
    assert.ok(scram.verify(answer.props.authData), 'the node proves itself, too');
    assert.deepEqual(raw.received.map((p) => p.type), [m.AUTH, m.CONNACK]);
    await raw.send(m.pingreq());
    await raw.want(m.PINGRESP);
});

conform('a client that names no method gets no AUTH and no method', { v5: '4.12.0-6', ...options }, async (t) => {
    const raw = await join(t, 5, { id: id() });
    assert.equal(raw.connack.props.authMethod, undefined);
    assert.equal(raw.connack.props.authData, undefined);
    await raw.subscribe(unique());
    await raw.send(m.pingreq());
    await raw.want(m.PINGRESP);
    assert.ok(raw.received.every((p) => p.type !== m.AUTH));
});

conform('a method that is not supported: 0x8C or 0x87, then the end', { v5: '4.12.0-1 3.1.4-2 3.2.2-7', ...options }, async (t) => {
    for (const authMethod of ['SCRAM-SHA-1', 'GS2-KRB5', 'scram-sha-256', '', `${METHOD} `]) {
        const raw = await open(t, 5);
        await raw.send(m.connect({ id: id(), props: { authMethod, authData: new Scram(USER, PASSWORD).first() } }), m.pingreq());
        const rest = await raw.wantClosed(5000);
        assert.ok(rest.length === 1 && rest[0].type === m.CONNACK && [0x8c, 0x87].includes(rest[0].reason), `${authMethod}: ${raw.said()}`);
    }
});

conform('an authentication that fails ends with a CONNACK of 0x80 or more', { v5: '4.12.0-4 4.13.2-1 3.1.4-6', ...options }, async (t) => {
    const topic = unique('not in');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const late = (bytes) => Buffer.from(bytes.toString().replace(/p=./, (at) => `p=${at[2] === 'A' ? 'B' : 'A'}`));
    const attempts = { 'wrong password': { password: 'wrong' }, 'unknown user': { name: 'nobody' }, 'a damaged proof': { final: late }, 'an empty answer': { final: () => Buffer.alloc(0) },
        'nonsense': { final: () => Buffer.from('hello') }, 'another nonce': { final: (bytes) => Buffer.from(bytes.toString().replace(/r=./, 'r=!')) } };
    for (const [name, attempt] of Object.entries(attempts)) {
        const { raw, answer } = await signIn(t, { ...attempt, will: { topic, payload: 'w' } }).catch((error) => ({ error }));
        assert.ok(answer, name);
        assert.equal(answer.type, m.CONNACK, `${name}: ${raw.said()}`);
        assert.ok(answer.reason >= 0x80, name);
        await raw.send(m.publish({ topic, payload: 'x' }));
        assert.deepEqual(await raw.wantClosed(5000), [], name);
    }
    await watcher.quiet(150);
});

conform('before CONNACK only AUTH of the same method with 0x18, or DISCONNECT, may come', { v5: '3.1.2-30 4.12.0-3 4.12.0-5 3.15.2-1', ...options }, async (t) => {
    const topic = unique('early');
    const watcher = await join(t, 5);
    await watcher.subscribe(topic);
    const wrong = (final) => ({ PUBLISH: m.publish({ topic, payload: 'x' }), SUBSCRIBE: m.subscribe({ filters: '#' }), PINGREQ: m.pingreq(), CONNECT: m.connect({ id: 'x' }),
        'another method': m.auth({ reason: 0x18, props: { authMethod: 'SCRAM-SHA-1', authData: final } }), 'reason 0x19': auth(final, { reason: 0x19 }), 'reason 0x00': auth(final, { reason: 0 }),
        'reason 0x20': auth(final, { reason: 0x20 }), 'no method': m.auth({ reason: 0x18, props: { authData: final } }), 'AUTH without a body': m.packet(0xf0) });
    for (const name of Object.keys(wrong(Buffer.alloc(0)))) {
        const raw = await open(t, 5);
        const scram = new Scram(USER, PASSWORD);
        await raw.send(m.connect({ id: id(), props: { authMethod: METHOD, authData: scram.first() } }));
        const challenge = await raw.want(m.AUTH);
        await raw.send(wrong(scram.final(challenge.props.authData))[name]);
        const rest = await raw.wantClosed(5000);
        assert.ok(rest.every((p) => p.type === m.CONNACK && p.reason >= 0x80), `${name}: ${raw.said()}`);
    }
    await watcher.quiet(100);
    const polite = await open(t, 5);
    await polite.send(m.connect({ id: id(), props: { authMethod: METHOD, authData: new Scram(USER, PASSWORD).first() } }));
    await polite.want(m.AUTH);
    await polite.send(m.disconnect());
    assert.deepEqual(await polite.wantClosed(5000), []);
});

/** The exchange on a connection that lives; gives the last answer. */
async function again(raw, { name = USER, password = PASSWORD, method = METHOD, reason = 0x19 } = {}) {
    const scram = new Scram(name, password);
    await raw.send(m.auth({ reason, props: { authMethod: method, authData: scram.first() } }));
    const challenge = await raw.next();
    if (challenge.type !== m.AUTH) return challenge;
    assert.deepEqual([challenge.reason, challenge.props.authMethod], [0x18, METHOD]);
    await raw.send(m.publish({ topic: unique(), payload: 'x', qos: 1, pid: 77 })); // other packets go on meanwhile
    await raw.pick(m.PUBACK);
    await raw.send(auth(scram.final(challenge.props.authData)));
    const last = await raw.next();
    if (last.type === m.AUTH) assert.ok(scram.verify(last.props.authData));
    return last;
}

conform('re-authentication ends with AUTH 0x00, and the connection goes on', { v5: '4.12.1-1 4.12.0-5 3.15.2-1', ...options }, async (t) => {
    const topic = unique('again');
    const { raw } = await signIn(t);
    await raw.subscribe(topic);
    for (let i = 0; i < 3; i++) {
        const last = await again(raw);
        assert.deepEqual([last.type, last.reason, last.props.authMethod], [m.AUTH, 0, METHOD]);
    }
    await raw.publish(topic, 'x', { qos: 0 });
    await raw.message();
});

conform('a re-authentication that fails, or that uses another method, ends the connection', { v5: '4.12.1-2 4.12.1-1 4.13.2-1', ...options }, async (t) => {
    const reasons = [0x80, 0x81, 0x82, 0x87, 0x8c];
    for (const [name, attempt] of Object.entries({ 'wrong password': { password: 'wrong' }, 'another method': { method: 'SCRAM-SHA-1' }, 'nobody': { name: 'nobody' },
        'another user': { name: 'other', password: 'another' }, 'continued, not begun': { reason: 0x18 } })) {
        const { raw } = await signIn(t);
        const last = await again(raw, attempt);
        assert.ok(last.type === m.DISCONNECT && reasons.includes(last.reason), `${name}: ${raw.said()}`);
        assert.deepEqual(await raw.wantClosed(5000), [], name);
    }
    const plain = await join(t, 5); // and who named no method may not begin one
    await plain.send(m.auth({ reason: 0x19, props: { authMethod: METHOD, authData: new Scram(USER, PASSWORD).first() } }));
    assert.ok([0x82, 0x8c].includes(await ending(plain)));
});

conform('AUTH is not above the client\'s maximum packet size, with whatever it carries', { v5: '3.15.2-2 3.15.2-3 3.1.2-24', ...options }, async (t) => {
    let through = 0;
    for (const maxPacket of [20, 60, 90, 100, 110, 120, 130, 150, 200, 400])
        for (const password of [PASSWORD, 'wrong']) {
            const raw = await open(t, 5);
            await signIn(t, { raw, password, props: { maxPacket } }).then(({ answer }) => { through += answer.type === m.CONNACK && answer.reason === 0; },
                (error) => { if (!/^closed/.test(error.message)) throw error; });
            for (const p of raw.received) {
                assert.ok(p.size <= maxPacket, `${maxPacket}: ${m.describe(p)} of ${p.size} bytes`);
                if (p.type === m.AUTH) assert.ok(p.props.authMethod);
            }
            await raw.cut();
        }
    assert.ok(through > 0);
});
