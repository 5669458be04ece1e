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

// ---- shared subscriptions: what was sent to factory/p1 and factory/p2 is also divided among a and b ----

/** The even numbers went to a, the odd ones to b, in ticks from 200 on. */
function shared(qos, change) {
    return (h) => {
        const member = (rest) => ({
            subId: 7, subscriptions: [{ filter: '$share/g/factory/+', askedAt: 1, grantedAt: 2 }], unsettled: [], endedAt: [],
            got: Array.from({ length: 10 }, (_, n) => n).filter((n) => n % 2 === rest)
                .flatMap((n) => [['one', n, 200 + 2 * n, '7'], ['two', n, 201 + 2 * n, '7']]),
        });
        const a = member(0), b = member(1);
        h.groups = { g: { filter: 'factory/+', qos, members: { a, b } } };
        for (const stream of Object.values(h.streams)) stream.again = [];
        change?.(a, b, h);
    };
}
const take = (member, stream, n) => member.got.splice(member.got.findIndex((g) => g[0] === stream && g[1] === n), 1)[0];
const move = (from, to, stream, n) => to.got.push([stream, n, 500, take(from, stream, n)[3]]);

test('it allows a group that shares', () => {
    const history = good();
    shared(2)(history);
    const verdict = judge(history);
    assert.deepEqual(verdict.violations, []);
    assert.equal(verdict.due, 60);
});
const SHARED_RED = [
    ['a message that no member got', 'lost', shared(1, (a) => take(a, 'one', 4))],
    ['the same with QoS 2', 'lost', shared(2, (a) => take(a, 'two', 4))],
    ['a group that got nothing', 'lost', shared(1, (a, b) => (a.got = b.got = []))],
    ['a loss while another ended its session, QoS 1', 'lost', shared(1, (a, b) => {
        b.endedAt.push(300);
        b.subscriptions[0].endAskedAt = 300;
        take(b, 'two', 5);
    })],
    ['a loss after a session ended, QoS 2', 'lost', shared(2, (a, b) => { b.endedAt.push(105); take(b, 'two', 5); })],
    ['QoS 2 for two members', ['doubled', 'reordered'], shared(2, (a, b) => b.got.push(['two', 4, 500, '7']))],
    ['QoS 2 twice for one', 'doubled', shared(2, (a) => a.got.push(['two', 4, 500, '7']))],
    ['QoS 2 again for another when the session it went to has ended', ['doubled', 'reordered'], shared(2, (a, b) => {
        a.endedAt.push(300);
        b.got.push(['two', 4, 500, '7']);
    })],
    ['two messages of one member swapped', 'reordered', shared(1, (a) => { [a.got[0], a.got[2]] = [a.got[2], a.got[0]]; })],
    ['a message that went to another without need', 'reordered', shared(2, (a, b) => move(a, b, 'two', 4))],
    ['QoS 2 sent again, and behind newer ones', 'reordered', shared(2, (a, b, h) => {
        h.streams.two.again[4] = true;
        move(a, b, 'two', 4);
    })],
    ['a message before the membership', 'unasked', shared(1, (a) => (a.subscriptions[0].askedAt = 203))],
    ['a message of another topic', 'unasked', shared(1, (a, b, h) => (h.groups.g.filter = 'factory/p1'))],
    ['a message that nobody sent', 'unasked', shared(1, (a) => a.got.push(['one', 10, 500, '7']))],
    ['no identifier', 'sub-id', shared(1, (a) => (a.got[3][3] = ''))],
    ['the identifier of another', 'sub-id', shared(1, (a) => (a.got[3][3] = '8'))],
    ['an identifier besides', 'sub-id', shared(1, (a) => (a.got[3][3] = '7,8'))],
];
for (const [name, kind, change] of SHARED_RED) test(`in a group it sees ${name}`, () => sees(kind, change));
const SHARED_GREEN = [
    ['QoS 1 for two members', shared(1, (a, b) => b.got.push(['two', 9, 500, '7']))],
    ['QoS 2 that went with its session', shared(2, (a, b) => { b.endedAt.push(300); take(b, 'two', 5); })],
    ['a message that went to another because its member went', shared(2, (a, b) => {
        a.unsettled.push([210, 220]);
        move(a, b, 'two', 4);
    })],
    ['a message that its publisher sent again, to another', shared(1, (a, b, h) => {
        h.streams.one.again[4] = true;
        move(a, b, 'one', 4);
    })],
    ['what came with QoS 2 and goes out with 1, sent again and to another, who has had newer ones', shared(1, (a, b, h) => {
        h.streams.two.again[4] = true; // a node died with it recorded nowhere; a had got it
        b.got.push(['two', 4, 500, '7']);
    })],
    ['a loss when nobody was surely there', shared(1, (a, b) => {
        for (const m of [a, b]) m.subscriptions[0].endAskedAt = 20;
        take(b, 'one', 5);
    })],
];
for (const [name, change] of SHARED_GREEN) test(`in a group it allows ${name}`, () => sees([], change));
test('members that relieve each other leave no gap', () => {
    const relief = (from) => shared(1, (a, b) => {
        a.subscriptions = [{ filter: 'factory/+', askedAt: 1, grantedAt: 2, endAskedAt: 50 }];
        b.subscriptions = [{ filter: 'factory/+', askedAt: 1, grantedAt: from }];
        take(a, 'one', 4);
    });
    sees('lost', relief(40));
    sees([], relief(60));
});

// ---- subscription identifiers of ordinary sessions ----

const identified = (ids, change) => (h) => {
    const { s1 } = h.sessions;
    s1.subscriptions = [{ filter: 'factory/#', id: 1, askedAt: 1, grantedAt: 2 }, { filter: 'factory/p1', id: 2, askedAt: 1, grantedAt: 2 },
        { filter: 'factory/p2', askedAt: 1, grantedAt: 2 }, { filter: 'x', id: 9, askedAt: 1, grantedAt: 2 }];
    s1.ids = { one: s1.got.one.map(() => '1,2'), two: s1.got.two.map(() => '1') };
    s1.ids.one[4] = ids;
    change?.(s1);
};
test('it knows the identifiers of the subscriptions', () => {
    sees([], identified('1,2'));
    sees([], identified('2,1'));
    for (const wrong of ['', '1', '2', '1,2,9', '1,2,2', '1,2,3']) sees('sub-id', identified(wrong));
    sees([], identified('1', (s) => { Object.assign(s.subscriptions[1], { grantedAt: 19 }); s.ids.one.fill('1', 0, 4); }));
    sees('sub-id', identified('1,2', (s) => { Object.assign(s.subscriptions[1], { askedAt: 20, grantedAt: 21 }); s.ids.one.fill('1', 0, 4); }));
});

// ---- expiry: stream one is sent at 1000 + n ms, acknowledged at 1010 + n, and lives 5 s ----

const expiring = (change) => (h) => {
    const { one } = h.streams;
    Object.assign(one, { expiry: 5, sentMs: one.sentAt.map((_, n) => 1000 + n), ackedMs: one.sentAt.map((_, n) => 1010 + n) });
    h.endMs = 60_000;
    for (const s of Object.values(h.sessions)) s.live = [];
    h.expiring = [{ id: 's1', stream: 'one', n: 0, remaining: 5, dup: false, atMs: 1100 }];
    change?.(h);
};
const arrives = (more) => expiring((h) => Object.assign(h.expiring[0], more));
const gone = (live, endMs = 60_000) => expiring((h) => {
    h.sessions.s1.got.one.splice(5, 1);
    h.sessions.s1.live = live;
    h.endMs = endMs;
});
test('it knows the time of messages', () => {
    sees([], arrives({}));
    sees([], arrives({ remaining: 2, atMs: 4500 }));
    sees('expiry', arrives({ remaining: undefined }));
    sees('expiry', arrives({ remaining: 6 }));
    sees('expiry', arrives({ remaining: 2 })); // counted down too fast
    sees('expiry', arrives({ remaining: 5, atMs: 5500 })); // not counted down
    sees('expired', arrives({ remaining: 1, atMs: 9000 }));
    sees([], arrives({ remaining: 0, atMs: 9000, dup: true })); // begun in time
    sees([], gone([]));
    sees([], gone([[0, 5000], [5001, 9000]]));
    sees('lost', gone([[0, 9000]])); // who was there all the time
    sees('lost', gone([], 5000)); // its time was not over
});

// ---- partitions whose topics change ----

const hub = (change, ...subscriptions) => (h) => {
    h.partitioned = [{ filter: 'factory/p2', askedAt: 0, grantedAt: 0 }, ...subscriptions.map((s) => ({ filter: 'factory/p1', ...s }))];
    change(h.partitions[0]);
};
test('it asks of the partitions what they were asked for', () => {
    const all = () => {};
    const firstHalf = (p) => p.splice(5);
    sees([], hub(all, { askedAt: 0, grantedAt: 0 }));
    sees('partition-unasked', hub(all));
    sees([], hub(firstHalf, { askedAt: 0, grantedAt: 0, endAskedAt: 20.5, endedAt: 21.5 }));
    sees('partition-unasked', hub(all, { askedAt: 0, grantedAt: 0, endAskedAt: 20.5, endedAt: 21.5 }));
    sees('partition-lost', hub(firstHalf, { askedAt: 0, grantedAt: 0, endAskedAt: 22.5 }));
    sees([], hub(firstHalf, { askedAt: 0 })); // whether it was read is not known
});

test('its filters match as those of MQTT', () => {
    for (const [filter, topic, want] of [['#', 'a', 1], ['a/#', 'a', 1], ['a/#', 'a/b/c', 1], ['a/+', 'a/b', 1], ['a/+', 'a', 0],
        ['a/+', 'a/b/c', 0], ['+/b', 'a/b', 1], ['a', 'b', 0], ['a/b', 'a', 0]])
        assert.equal(matches(filter, topic), Boolean(want), `${filter} ${topic}`);
});
