// The judge of the kill loop can fail: each kind of broken promise, put into a history by hand, is seen.

import assert from 'node:assert/strict';
import { judge, matches } from '../torture/judge.mjs';
import { test } from './lib/bounded.mjs';

/** Two streams of ten messages each, all acknowledged; s1 and s2 got all of them, once; all in partition 0 or 1. */
function good() {
    const ten = Array.from({ length: 10 }, (_, n) => n);
    const stream = (qos, base) => ({
        topic: `factory/p${qos}`, qos, source: `pub${qos}`, sentAt: ten.map((n) => base + 2 * n), ackedAt: ten.map((n) => base + 2 * n + 1),
    });
    const session = (qos) => ({
        qos, subscriptions: [{ filter: 'factory/#', askedAt: 1, grantedAt: 2 }], got: { one: [...ten], two: [...ten] },
    });
    const partition = (name, source) => ten.map((n) => ({ sequence: n, offset: 100 * n, stream: name, n, source }));
    return {
        streams: { one: stream(1, 10), two: stream(2, 100) },
        sessions: { s1: session(1), s2: session(2) },
        connects: [{ id: 's1', expected: false, present: false }, { id: 's1', expected: true, present: true }, { id: 's2', present: true }],
        retained: [
            { topic: 'state/a', writes: [{ n: 4 }, { n: 5 }], seen: 5 }, { topic: 'state/b', writes: [{ n: 7, deleted: true }], seen: null },
            { topic: 'state/c', writes: [], seen: null },
        ],
        partitions: { 0: partition('one', 'pub1'), 1: partition('two', 'pub2') },
        partitioned: 'factory/#',
        observed: [],
    };
}

function sees(kinds, change) {
    const history = good();
    change(history);
    const verdict = judge(history);
    assert.deepEqual(Object.keys(verdict.kinds).sort(), [kinds].flat().sort(), JSON.stringify(verdict.violations));
}

test('nothing is wrong with a good history', () => {
    const verdict = judge(good());
    assert.deepEqual(verdict.violations, []);
    assert.deepEqual([verdict.acknowledged, verdict.due, verdict.delivered, verdict.records], [20, 40, 40, 20]);
});

const RED = [
    ['one lost message', 'lost', (h) => h.sessions.s1.got.one.splice(5, 1)],
    ['the last message lost', 'lost', (h) => h.sessions.s2.got.two.pop()],
    ['a session that got nothing', 'lost', (h) => (h.sessions.s1.got = {})],
    ['a QoS 2 double at once', 'doubled', (h) => h.sessions.s2.got.two.splice(3, 0, 3)],
    ['a QoS 2 double much later', 'doubled', (h) => h.sessions.s2.got.two.push(0)],
    ['two messages swapped', 'reordered', (h) => h.sessions.s1.got.one.splice(4, 2, 5, 4)],
    ['the first message last', 'reordered', (h) => h.sessions.s2.got.two.push(h.sessions.s2.got.two.shift())],
    ['a message that was never sent', 'unasked', (h) => h.sessions.s1.got.one.push(10)],
    ['a stream that nobody sent', 'unasked', (h) => (h.sessions.s1.got.three = [0])],
    ['a session that is said to be there', 'session-present', (h) => (h.connects[0].present = true)],
    ['a session that is said to be gone', 'session-present', (h) => (h.connects[1].present = false)],
    ['an old retained message', 'retained', (h) => (h.retained[0].seen = 3)],
    ['a retained message lost', 'retained', (h) => (h.retained[0].seen = null)],
    ['a deleted retained message back', 'retained', (h) => (h.retained[1].seen = 6)],
    ['a retained message out of nothing', 'retained', (h) => (h.retained[2].seen = 0)],
    ['a record lost', ['partition-lost', 'partition-gap'], (h) => h.partitions[0].splice(5, 1)],
    ['the last record lost', 'partition-lost', (h) => h.partitions[1].pop()],
    ['a QoS 2 record twice', 'partition-doubled', (h) => h.partitions[1].push({ sequence: 10, offset: 1000, stream: 'two', n: 9, source: 'pub2' })],
    ['two records swapped', 'partition-order', (h) => { const p = h.partitions[0]; [p[2].n, p[3].n] = [3, 2]; }],
    ['a sequence number twice', 'partition-gap', (h) => (h.partitions[0][4].sequence = 3)],
    ['an offset that goes back', 'partition-gap', (h) => (h.partitions[0][4].offset = 1)],
    ['a device in two partitions', 'partition-order', (h) => (h.partitions[1][9].source = 'pub1')],
    ['a record that was never sent', 'partition-unasked', (h) => h.partitions[0].push({ sequence: 10, offset: 1000, stream: 'one', n: 11, source: 'pub1' })],
    ['a will that was withdrawn', 'will', (h) => (h.streams.two.withdrawn = [, , true])],
    ['what a client saw itself', 'corrupt', (h) => h.observed.push({ kind: 'corrupt', text: 'x' })],
];
for (const [name, kinds, change] of RED) test(`it sees ${name}`, () => sees(kinds, change));

const GREEN = [
    ['a QoS 1 repeat', (h) => h.sessions.s1.got.one.splice(6, 0, 4, 5)],
    ['a QoS 1 message to a QoS 2 session twice', (h) => h.sessions.s2.got.one.push(9)],
    ['a QoS 2 message to a QoS 1 session twice', (h) => h.sessions.s1.got.two.push(9)],
    ['an unacknowledged message that did not come', (h) => { h.streams.one.ackedAt[9] = undefined; h.sessions.s1.got.one.pop(); }],
    ['an unacknowledged message that came', (h) => (h.streams.one.ackedAt[9] = undefined)],
    ['an unacknowledged retained write that is seen, or not', (h) => (h.retained[0].seen = 4)],
    ['a QoS 1 record twice', (h) => h.partitions[0].push({ sequence: 10, offset: 1000, stream: 'one', n: 9, source: 'pub1' })],
    ['partitions that begin later than 0', (h) => h.partitions[0].forEach((r) => (r.sequence += 1000))],
];
for (const [name, change] of GREEN) test(`it allows ${name}`, () => sees([], change));

// Stream one: message n is sent at 10 + 2n and acknowledged at 11 + 2n.
const subscribed = (subscription, got) => (h) => {
    h.sessions = { s1: { qos: 1, subscriptions: [{ filter: 'factory/p1', ...subscription }], got: { one: got } } };
};
test('it asks only for what was sent after SUBACK', () => {
    sees([], subscribed({ askedAt: 15, grantedAt: 20.5 }, [6, 7, 8, 9]));
    sees('lost', subscribed({ askedAt: 15, grantedAt: 19 }, [6, 7, 8, 9]));
});
test('between SUBSCRIBE and SUBACK a message may come or not', () => {
    sees([], subscribed({ askedAt: 15, grantedAt: 20.5 }, [4, 5, 6, 7, 8, 9]));
    sees('unasked', subscribed({ askedAt: 15, grantedAt: 20.5 }, [1, 2, 3, 4, 5, 6, 7, 8, 9]));
});
test('after UNSUBACK nothing new may come, before UNSUBSCRIBE everything must', () => {
    const until = { askedAt: 1, grantedAt: 2, endAskedAt: 20.5, endedAt: 24.5 };
    sees([], subscribed(until, [0, 1, 2, 3, 4]));
    sees([], subscribed(until, [0, 1, 2, 3, 4, 5, 6, 7]));
    sees('lost', subscribed(until, [0, 1, 2, 3]));
    sees('unasked', subscribed(until, [0, 1, 2, 3, 4, 5, 6, 7, 8]));
});
test('a message sent before SUBACK may come late, one sent after it may not', () => {
    sees([], subscribed({ askedAt: 15, grantedAt: 22.5 }, [7, 4, 5, 8, 9]));
    sees('reordered', subscribed({ askedAt: 15, grantedAt: 19.5 }, [7, 5, 6, 8, 9]));
});
test('a subscription whose SUBACK never came asks for nothing and forbids nothing', () => {
    sees([], subscribed({ askedAt: 5 }, []));
    sees([], subscribed({ askedAt: 5 }, [0, 1]));
});

test('its filters match as those of MQTT', () => {
    for (const [filter, topic, want] of [['#', 'a', 1], ['a/#', 'a', 1], ['a/#', 'a/b/c', 1], ['a/+', 'a/b', 1], ['a/+', 'a', 0],
        ['a/+', 'a/b/c', 0], ['+/b', 'a/b', 1], ['a', 'b', 0], ['a/b', 'a', 0]])
        assert.equal(matches(filter, topic), Boolean(want), `${filter} ${topic}`);
});
