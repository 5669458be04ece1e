// Debian's mosquitto_pub and mosquitto_sub, unchanged: bodies, order, wildcards, retained messages, wills, properties.

import assert from 'node:assert/strict';
import { test } from './lib/bounded.mjs';
import { mosquittoPub, mosquittoReceive, mosquittoSub } from './lib/mosquitto.mjs';
import { ours, sharedPeer, unique } from './lib/peer.mjs';
import { run } from './lib/process.mjs';
import { sleep } from './lib/wait.mjs';

const node = sharedPeer();
const texts = (messages) => messages.map((m) => m.text);
const subscriber = async (t, options) => {
    const sub = await mosquittoSub({ port: node.port, ...options });
    t.after(() => sub.stop());
    return sub;
};
const pub = (options) => mosquittoPub({ port: node.port, ...options });

/** mosquitto_pub -s: stdin as one body, any bytes. */
async function pubBytes(topic, body, { qos = 1, version = 'mqttv5' } = {}) {
    const end = await run('mosquitto_pub',
        ['-h', '127.0.0.1', '-p', String(node.port), '-V', version, '-q', String(qos), '-t', topic, '-s'], { input: body });
    assert.equal(end.code, 0, end.err.join('\n'));
}

// ---- bodies ----

test('bodies of every byte, of none and of 200 KB arrive as they were', async (t) => {
    const topic = unique('raw');
    const large = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 2654435761) >>> 24));
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const sub = await subscriber(t, { topics: topic, qos: 2 });
    for (const qos of [0, 1, 2]) {
        await pubBytes(topic, all, { qos });
        await pub({ topic, message: '', qos });
        await pubBytes(topic, large, { qos, version: 'mqttv311' });
    }
    const got = await sub.take(9);
    for (const qos of [0, 1, 2]) {
        const mine = got.filter((m) => m.qos === qos);
        assert.equal(mine.length, 3);
        assert.deepEqual(mine[0].payload, all);
        assert.equal(mine[1].payload.length, 0);
        assert.ok(mine[2].payload.equals(large));
    }
});

for (const version of [4, 5])
    for (const qos of [0, 1, 2])
        test(`5,000 lines arrive complete and in order, version ${version}, QoS ${qos}`,
            version === 5 && qos === 2 ? ours('it sends more than the receive maximum of its own client') : {},
            async (t) => {
                const topic = unique('order');
                const sub = await subscriber(t, { topics: `${topic}/#`, qos: 2, version });
                const lines = Array.from({ length: 5000 }, (_, i) => `{"n":${i}}`);
                await pub({ topic: `${topic}/press-1`, lines, qos, version, timeoutMs: 30_000 });
                const got = await sub.take(lines.length, 30_000);
                assert.deepEqual(texts(got), lines);
                assert.ok(got.every((m) => m.qos === qos && m.topic === `${topic}/press-1`));
                await sleep(100);
                assert.equal(sub.messages.length, lines.length);
            });

test('the QoS of a delivery is the lower one of publisher and subscription', async (t) => {
    const topic = unique('qos');
    const subs = await Promise.all([0, 1, 2].map((qos) => subscriber(t, { topics: topic, qos })));
    for (const qos of [0, 1, 2]) await pub({ topic, message: `${qos}`, qos });
    for (const granted of [0, 1, 2]) {
        const got = await subs[granted].take(3);
        assert.deepEqual(got.map((m) => [m.text, m.qos]).sort(), [0, 1, 2].map((q) => [`${q}`, Math.min(q, granted)]));
    }
});

test('versions 3.1, 3.1.1 and 5 talk to each other', async (t) => {
    const topic = unique('mixed');
    const subs = await Promise.all([3, 4, 5].map((version) => subscriber(t, { topics: topic, version, qos: 1 })));
    for (const version of [3, 4, 5]) await pub({ topic, message: `from ${version}`, version });
    for (const sub of subs) assert.deepEqual(texts(await sub.take(3)), ['from 3', 'from 4', 'from 5']);
});

// ---- topics ----

test('wildcards match what the standard says, and nothing else', async (t) => {
    const top = unique('w');
    const names = ['', '/a', '/a/b', '/a/b/c', '/b', '/b/c', '//', '/a/', '/ä/ö €'];
    const filters = {
        '/#': names,
        '/+': ['/a', '/b'],
        '/+/+': ['/a/b', '/b/c', '//', '/a/', '/ä/ö €'],
        '/a/#': ['/a', '/a/b', '/a/b/c', '/a/'],
        '/+/b/#': ['/a/b', '/a/b/c'],
        '/a/+': ['/a/b', '/a/'],
        '/+/c': ['/b/c'],
        '//+': ['//'],
        '/ä/+': ['/ä/ö €'],
        '/A': [],
    };
    const subs = new Map();
    for (const filter of Object.keys(filters)) subs.set(filter, await subscriber(t, { topics: [top + filter, `${top}-end`] }));
    for (const name of names) await pub({ topic: top + name, message: name });
    await pub({ topic: `${top}-end`, message: 'end' });
    for (const [filter, sub] of subs) {
        await sub.take(filters[filter].length + 1);
        assert.deepEqual(sub.messages.map((m) => m.topic.slice(top.length)), [...filters[filter], '-end'], `filter ${filter}`);
    }
});

test('a wildcard in the first level does not match topics that begin with $', async (t) => {
    const name = unique('$own');
    const all = await subscriber(t, { topics: ['#', '+/status'] });
    const own = await subscriber(t, { topics: `${name}/#` });
    await pub({ topic: `${name}/status`, message: 'hidden' });
    await pub({ topic: `x-${name.slice(1)}/status`, message: 'seen' });
    assert.deepEqual(texts(await own.take(1)), ['hidden']);
    await all.take(1);
    await sleep(100);
    assert.ok(all.messages.every((m) => m.text !== 'hidden'), all.messages.map((m) => m.topic).join());
});

test('after an unsubscribe nothing comes', async () => {
    const topic = unique('un');
    // -U takes the subscription away again before the first message can come.
    const args = ['-h', '127.0.0.1', '-p', String(node.port), '-V', 'mqttv5', '-d', '-W', '1', '-t', topic, '-t', `${topic}/end`, '-U', topic];
    const receiving = run('mosquitto_sub', args);
    await sleep(400);
    await pub({ topic, message: 'unwanted' });
    await pub({ topic: `${topic}/end`, message: 'end of it' });
    const { out } = await receiving;
    assert.ok(out.some((line) => /received UNSUBACK/.test(line)), out.join('\n'));
    assert.ok(out.includes('end of it'), out.join('\n'));
    assert.ok(!out.includes('unwanted'));
});

// ---- retained ----

test('a retained message is set, replaced and cleared', async (t) => {
    const topic = unique('kept');
    const early = await subscriber(t, { topics: `${topic}/#` });
    await pub({ topic: `${topic}/a`, message: 'one', retain: true });
    const one = await mosquittoReceive({ port: node.port, topics: `${topic}/#`, count: 1 });
    assert.deepEqual([one[0].text, one[0].retain], ['one', true]);
    await pub({ topic: `${topic}/a`, message: 'two', retain: true, qos: 2 });
    await pub({ topic: `${topic}/b`, message: 'other', retain: true, qos: 0 });
    const two = await mosquittoReceive({ port: node.port, topics: `${topic}/#`, count: 2 });
    assert.deepEqual(texts(two).sort(), ['other', 'two']);
    await pub({ topic: `${topic}/a`, message: '', retain: true });
    const three = await mosquittoReceive({ port: node.port, topics: `${topic}/#`, count: 1 });
    assert.deepEqual(texts(three), ['other']);
    // Whoever was there before saw all of it as it happened, not as retained messages.
    const live = await early.take(4);
    assert.deepEqual(texts(live), ['one', 'two', 'other', '']);
    assert.ok(live.every((m) => !m.retain));
});

test('a retained message is also delivered to those already subscribed, and to wildcards once per subscription', async (t) => {
    const topic = unique('kept');
    for (const n of [1, 2, 3]) await pub({ topic: `${topic}/${n}`, message: `value ${n}`, retain: true });
    const plus = await subscriber(t, { topics: `${topic}/+` });
    const got = await plus.take(3);
    assert.deepEqual(texts(got).sort(), ['value 1', 'value 2', 'value 3']);
    assert.ok(got.every((m) => m.retain));
    await sleep(100);
    assert.equal(plus.messages.length, 3);
});

test('mosquitto_sub -R hides what was retained and shows what is new', async () => {
    const topic = unique('kept');
    await pub({ topic, message: 'old', retain: true });
    const receiving = mosquittoReceive({ port: node.port, topics: topic, count: 1, args: ['-R'] });
    await sleep(300);
    await pub({ topic, message: 'new', retain: true });
    const got = await receiving;
    assert.deepEqual(got.map((m) => [m.text, m.retain]), [['new', false]]);
});

test('a plain message leaves a retained one as it is', async () => {
    const topic = unique('kept');
    await pub({ topic, message: 'kept', retain: true });
    await pub({ topic, message: 'passing' });
    assert.equal((await mosquittoReceive({ port: node.port, topics: topic, count: 1 }))[0].text, 'kept');
});

// ---- wills ----

for (const version of [4, 5]) {
    test(`the will of a client that dies is published, version ${version}`, async (t) => {
        const topic = unique('will');
        const watcher = await subscriber(t, { topics: `${topic}/#`, qos: 2, version: Number(process.env.SV ?? 5) });
        const args = ['--will-topic', `${topic}/state`, '--will-payload', 'gone', '--will-qos', '2', '--will-retain'];
        const dying = await mosquittoSub({ port: node.port, version, topics: unique('any'), args });
        await dying.kill9();
        const [will] = await watcher.take(1);
        assert.deepEqual([will.topic, will.text, will.qos, will.retain], [`${topic}/state`, 'gone', 2, false]);
        const [kept] = await mosquittoReceive({ port: node.port, topics: `${topic}/state`, count: 1 });
        assert.deepEqual([kept.text, kept.retain], ['gone', true]);
        await sleep(200);
        assert.equal(watcher.messages.length, 1);
    });

    test(`after a normal end there is no will, version ${version}`, async (t) => {
        const topic = unique('will');
        const watcher = await subscriber(t, { topics: topic });
        const args = ['--will-topic', topic, '--will-payload', 'gone', '-C', '1'];
        const leaving = await mosquittoSub({ port: node.port, version, topics: `${topic}/last`, args });
        await pub({ topic: `${topic}/last`, message: 'that was it' });
        await leaving.process.exited;
        await sleep(300);
        await pub({ topic, message: 'end' });
        assert.deepEqual(texts(await watcher.take(1)), ['end']);
    });
}

test('DISCONNECT with reason 0x04, which mosquitto_sub sends when it is stopped, publishes the will', async (t) => {
    const topic = unique('will');
    const watcher = await subscriber(t, { topics: topic });
    const stopped = await mosquittoSub({ port: node.port, topics: unique('any'), args: ['--will-topic', topic, '--will-payload', 'stopped'] });
    await stopped.stop();
    assert.deepEqual(texts(await watcher.take(1)), ['stopped']);
});

// ---- version 5 properties ----

const D = (command, ...rest) => ['-D', command, ...rest];

test('properties of a message pass unchanged, user properties in order and with repeats', async (t) => {
    const topic = unique('props');
    const sub = await subscriber(t, { topics: topic });
    const args = [
        ...D('publish', 'content-type', 'application/json'), ...D('publish', 'response-topic', 'factory/answers'),
        ...D('publish', 'correlation-data', 'c-17'), ...D('publish', 'payload-format-indicator', '1'),
        ...D('publish', 'user-property', 'zeta', '1'), ...D('publish', 'user-property', 'alpha', '2'),
        ...D('publish', 'user-property', 'zeta', '3'), ...D('publish', 'user-property', 'zeta', '1'),
        ...D('publish', 'user-property', '', ''), ...D('publish', 'user-property', 'ünit', '°C'),
    ];
    for (const retain of [false, true]) await pub({ topic, message: '{"t":21.4}', args, retain });
    await pub({ topic, message: 'bare', retain: false });
    const [live, again, bare] = await sub.take(3);
    const [kept] = await mosquittoReceive({ port: node.port, topics: topic, count: 1 });
    for (const message of [live, again, kept]) {
        const { properties } = message;
        assert.equal(properties.contentType, 'application/json');
        assert.equal(properties.responseTopic, 'factory/answers');
        assert.equal(properties.correlation, 'c-17');
        assert.equal(properties.format, '1');
        assert.equal(properties.user.trim(), 'zeta:1 alpha:2 zeta:3 zeta:1 : ünit:°C');
    }
    assert.deepEqual(bare.properties, {});
});

test('properties come with the message that has them also to a QoS 2 session that was away', async () => {
    const topic = unique('props');
    const id = unique('away');
    const session = { port: node.port, id, qos: 2, topics: topic, args: ['-c', '-x', '600'] };
    await (await mosquittoSub(session)).stop();
    await pub({ topic, message: 'kept', qos: 2, args: [...D('publish', 'user-property', 'a', '1'), ...D('publish', 'content-type', 'text/plain')] });
    const sub = await mosquittoSub(session);
    const [message] = await sub.take(1);
    assert.deepEqual([message.properties.user.trim(), message.properties.contentType], ['a:1', 'text/plain']);
    await sub.stop();
});

test('the expiry interval counts down while a message waits, and then the message is gone', async (t) => {
    const topic = unique('expiry');
    const id = unique('late');
    const session = { port: node.port, id, qos: 1, topics: `${topic}/#`, args: ['-c', '-x', '600'] };
    await (await mosquittoSub(session)).stop();
    const watcher = await subscriber(t, { topics: `${topic}/#` });
    await pub({ topic: `${topic}/long`, message: 'long', args: D('publish', 'message-expiry-interval', '100') });
    await pub({ topic: `${topic}/short`, message: 'short', args: D('publish', 'message-expiry-interval', '1') });
    await pub({ topic: `${topic}/kept`, message: 'kept', retain: true, args: D('publish', 'message-expiry-interval', '100') });
    await pub({ topic: `${topic}/kept-short`, message: 'x', retain: true, args: D('publish', 'message-expiry-interval', '1') });
    assert.deepEqual((await watcher.take(4)).map((m) => Number(m.properties.expiry)), [100, 1, 100, 1]);
    await sleep(2300);
    const sub = await mosquittoSub({ ...session, topics: `${topic}/none` });
    const got = await sub.take(2);
    await sleep(200);
    assert.deepEqual(texts(sub.messages), ['long', 'kept']);
    for (const message of got) assert.ok(Number(message.properties.expiry) <= 98 && Number(message.properties.expiry) >= 90, message.properties.expiry);
    await sub.stop();
    const late = await subscriber(t, { topics: `${topic}/+` });
    await late.take(1);
    await sleep(200);
    assert.deepEqual(texts(late.messages), ['kept']);
    assert.ok(Number(late.messages[0].properties.expiry) <= 98);
});

test('$SYS: the present values at once, under the names that dashboards know', async (t) => {
    const sub = await subscriber(t, { topics: '$SYS/#', qos: 0, version: 4 });
    await sub.take(30);
    const values = Object.fromEntries(sub.messages.map((m) => [m.topic.replace('$SYS/broker/', ''), m.text]));
    assert.match(values.version, /^\S+ version [0-9.]+/);
    assert.match(values.uptime, /^[0-9]+ seconds$/);
    for (const name of ['clients/total', 'clients/connected', 'clients/maximum', 'messages/received', 'messages/sent', 'messages/stored',
        'publish/messages/received', 'publish/messages/sent', 'bytes/received', 'bytes/sent', 'subscriptions/count',
        'retained messages/count', 'heap/current', 'load/messages/received/1min', 'load/publish/sent/15min', 'load/bytes/sent/5min'])
        assert.match(values[name] ?? 'nothing', /^[0-9]+(\.[0-9]+)?$/, name);
    assert.ok(sub.messages.every((m) => m.retain));
    assert.ok(Number(values['clients/connected']) >= 1);
    const all = await subscriber(t, { topics: '#', qos: 0 });
    await sleep(300);
    assert.deepEqual(all.messages.filter((m) => m.topic.startsWith('$')), []);
});
