// What was acknowledged against what came back. A pure function of a history, so that it can be shown to fail:
// tests/e2e/judge.test.mjs hands it histories with a lost message, a double, a swap, a lie.
//
// A stream is what one publisher sent to one topic with one QoS, numbered from 0. Ticks are a counter over everything
// the ledger saw; `undefined` means it did not happen.
//
//   streams     { name: { topic, qos, source, sentAt: [tick], ackedAt: [tick], withdrawn: [true at n] } }
//               (a will is sent with its CONNECT, acknowledged when it is due, withdrawn by a DISCONNECT)
//   sessions    { id: { qos, subscriptions: [{ filter, askedAt, grantedAt, endAskedAt, endedAt }],
//                       got: { stream: [n, ...] in order of arrival } } }
//   connects    [{ id, expected: true | false | undefined, present, text }]
//   retained    [{ topic, writes: [{ n, deleted }] that may be seen, from the last acknowledged one on, seen: n | null }]
//   partitions  { number: [{ sequence, offset, stream, n, source }] in the order read, from its beginning }
//   partitioned filter of the topics that also go to a partition
//   observed    [{ kind, text }] what the clients saw at once: a body that is not what was sent, an identifier reused

/** MQTT's own rule (4.7), without the topics that begin with $, which this load does not have. */
export function matches(filter, topic) {
    const f = filter.split('/'), t = topic.split('/');
    for (let i = 0; i < f.length; i++) {
        if (f[i] === '#') return true;
        if (i >= t.length || (f[i] !== '+' && f[i] !== t[i])) return false;
    }
    return f.length === t.length;
}

const before = (a, b) => a !== undefined && (b === undefined || a < b);

/** Was the message routed while this subscription certainly held? It was routed between sentAt and ackedAt. */
const held = (s, sentAt, ackedAt) => before(s.grantedAt, sentAt) && before(ackedAt, s.endAskedAt);
/** Could it have been? */
const mayHold = (s, sentAt, ackedAt) => before(s.askedAt, ackedAt) && (s.endedAt === undefined || sentAt < s.endedAt);

function judgeStream(say, id, session, name, stream, got) {
    const subscriptions = session.subscriptions.filter((s) => matches(s.filter, stream.topic));
    const qos = Math.min(session.qos, stream.qos);
    const times = new Uint8Array(stream.sentAt.length);
    let highest = -1, due = 0;
    for (const n of got) {
        if (n >= times.length) {
            say('unasked', `${id} got ${name} ${n}, which was never sent`);
            continue;
        }
        if (stream.withdrawn?.[n]) say('will', `${id} got ${name} ${n}, which was withdrawn`);
        // First arrivals are in order, if the subscription held all the time: what was routed before it began may come
        // after it, when its publisher sends it again.
        if (times[n] === 0) {
            if (n < highest && subscriptions.some((s) => held(s, stream.sentAt[n], stream.ackedAt[n])))
                say('reordered', `${id} got ${name} ${n} after ${highest}`);
            if (!subscriptions.some((s) => mayHold(s, stream.sentAt[n], stream.ackedAt[n])))
                say('unasked', `${id} got ${name} ${n}, to which it was not subscribed`);
        } else if (qos === 2 && times[n] === 1) say('doubled', `${id} got ${name} ${n} twice`);
        if (n > highest) highest = n;
        if (times[n] < 255) times[n]++;
    }
    for (let n = 0; n < times.length; n++) {
        if (stream.ackedAt[n] === undefined || !subscriptions.some((s) => held(s, stream.sentAt[n], stream.ackedAt[n]))) continue;
        due++;
        if (times[n] === 0) say('lost', `${id} did not get ${name} ${n}, acknowledged at ${stream.ackedAt[n]}`);
    }
    return due;
}

function judgeRetained(say, { topic, writes, seen }) {
    const fits = writes.length === 0 ? seen === null : writes.some((w) => (w.deleted ? seen === null : seen === w.n));
    const allowed = writes.map((w) => (w.deleted ? `${w.n} (deleted)` : w.n)).join(' or ');
    if (!fits) say('retained', `${topic} has ${seen === null ? 'nothing' : seen}, not ${allowed || 'nothing'}`);
}

function judgePartitions(say, { partitions = {}, streams, partitioned }) {
    const seen = new Map(); // stream -> times per number
    const highest = new Map();
    const home = new Map(); // source -> partition
    let records = 0;
    for (const [number, list] of Object.entries(partitions)) {
        let last, lastOffset;
        for (const record of list) {
            records++;
            const { sequence, offset, stream: name, n, source } = record;
            const where = `partition ${number}`;
            if (last !== undefined && sequence !== last + 1) say('partition-gap', `${where} goes from ${last} to ${sequence}`);
            if (lastOffset !== undefined && offset <= lastOffset) say('partition-gap', `${where} offset ${offset} after ${lastOffset}`);
            last = sequence;
            lastOffset = offset;
            if (!home.has(source)) home.set(source, number);
            else if (home.get(source) !== number) say('partition-order', `${source} is in partitions ${home.get(source)} and ${number}`);
            const stream = streams[name];
            if (!stream || n >= stream.sentAt.length) {
                say('partition-unasked', `${where} has ${name} ${n}, which was never sent`);
                continue;
            }
            if (!seen.has(name)) seen.set(name, new Uint8Array(stream.sentAt.length));
            const times = seen.get(name);
            if (times[n] === 0) {
                const most = highest.get(name) ?? -1;
                if (n < most) say('partition-order', `${where} has ${name} ${n} after ${most}`);
                highest.set(name, Math.max(n, most));
            } else if (stream.qos === 2 && times[n] === 1) say('partition-doubled', `${name} ${n} is there twice`);
            if (times[n] < 255) times[n]++;
        }
    }
    if (partitioned)
        for (const [name, stream] of Object.entries(streams)) {
            if (!matches(partitioned, stream.topic)) continue;
            const times = seen.get(name);
            for (let n = 0; n < stream.sentAt.length; n++)
                if (stream.ackedAt[n] !== undefined && !times?.[n]) say('partition-lost', `${name} ${n} is in no partition`);
        }
    return records;
}

/** { violations: [{ kind, text }], kinds: { kind: count }, acknowledged, due, delivered, records } */
export function judge(history) {
    const violations = [...(history.observed ?? [])];
    const say = (kind, text) => violations.push({ kind, text });
    let acknowledged = 0, due = 0, delivered = 0;
    for (const stream of Object.values(history.streams))
        for (let n = 0; n < stream.sentAt.length; n++) if (stream.ackedAt[n] !== undefined) acknowledged++;
    for (const [id, session] of Object.entries(history.sessions ?? {})) {
        for (const [name, stream] of Object.entries(history.streams)) {
            const got = session.got[name] ?? [];
            delivered += got.length;
            due += judgeStream(say, id, session, name, stream, got);
        }
        for (const name of Object.keys(session.got))
            if (!history.streams[name]) say('unasked', `${id} got ${name}, which nobody sent`);
    }
    for (const { id, expected, present, text } of history.connects ?? [])
        if (expected !== undefined && expected !== present)
            say('session-present', `${id} was told session present ${present}, it is ${expected}${text ? ` (${text})` : ''}`);
    for (const read of history.retained ?? []) judgeRetained(say, read);
    const records = judgePartitions(say, history);
    const kinds = {};
    for (const { kind } of violations) kinds[kind] = (kinds[kind] ?? 0) + 1;
    return { violations, kinds, acknowledged, due, delivered, records };
}

/** The reader's two looks at a partition must agree: what had a sequence number keeps it. */
export function sameRecord(a, b) {
    return a.sequence === b.sequence && a.offset === b.offset && a.stream === b.stream && a.n === b.n && a.source === b.source;
}
