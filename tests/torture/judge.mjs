// What was acknowledged against what came back. A pure function of a history, so that it can be shown to fail:
// tests/e2e/judge.test.mjs hands it histories with a lost message, a double, a swap, a lie.
//
// A stream is what one publisher sent to one topic with one QoS, numbered from 0. Ticks are a counter over everything
// the ledger saw; `undefined` means it did not happen.
//
//   streams     { name: { topic, qos, source, sentAt: [tick], ackedAt: [tick], withdrawn: [true at n], again: [true at n],
//                         expiry, sentMs: [ms], ackedMs: [ms] } }
//               (a will is sent with its CONNECT, acknowledged when it is due, withdrawn by a DISCONNECT or a return in
//               time; again: sent more than once; expiry in seconds, sentMs the first time)
//   sessions    { id: { qos, subscriptions: [{ filter, id, askedAt, grantedAt, endAskedAt, endedAt }],
//                       got: { stream: [n, ...] in order of arrival }, ids: { stream: ['1,3', ...] likewise, if known },
//                       live: [[from, to], ...] ms of undisturbed connections } }
//   groups      { name: { filter, qos, members: { id: { subId, subscriptions, got: [[stream, n, tick, ids], ...],
//                       unsettled: [[from, to], ...] ticks between which the node may give what waits for it to others,
//                       endedAt: [tick of asking for the end of the session, ...] } } } }
//   expiring    [{ id, stream, n, remaining, dup, atMs }] each arrival of a message with an expiry
//   endMs       when the history ends
//   connects    [{ id, expected: true | false | undefined, present, text }]
//   retained    [{ topic, writes: [{ n, deleted }] that may be seen, from the last acknowledged one on, seen: n | null }]
//   partitions  { number: [{ sequence, offset, stream, n, source }] in the order read, from its beginning }
//   partitioned filter of the topics that also go to a partition, or several subscriptions as above
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

/** Messages may vanish when their time is over, but not before, and not for who was there to take them all the time. */
function mayHaveExpired(session, stream, n, endMs) {
    if (!stream.expiry) return false;
    const from = stream.ackedMs[n], to = from + stream.expiry * 1000;
    return to < endMs && !(session.live ?? []).some(([a, b]) => a <= from && b >= to);
}

/** Exactly the identifiers of the subscriptions that it matches (3.3.4); unsure ones may be there or not. */
function judgeIds(say, id, name, n, text, subscriptions, stream) {
    const ids = text === '' ? [] : text.split(',').map(Number);
    const known = subscriptions.filter((s) => s.id);
    for (const s of known)
        if (held(s, stream.sentAt[n], stream.ackedAt[n]) && !ids.includes(s.id))
            say('sub-id', `${id} got ${name} ${n} without identifier ${s.id} of ${s.filter} (${text})`);
    for (const one of ids)
        if (!known.some((s) => s.id === one && mayHold(s, stream.sentAt[n], stream.ackedAt[n])))
            say('sub-id', `${id} got ${name} ${n} with identifier ${one}, which matches no subscription of it`);
    if (new Set(ids).size !== ids.length) say('sub-id', `${id} got ${name} ${n} with an identifier twice (${text})`);
}

function judgeStream(say, id, session, name, stream, got, endMs) {
    const subscriptions = session.subscriptions.filter((s) => matches(s.filter, stream.topic));
    const qos = Math.min(session.qos, stream.qos);
    const times = new Uint8Array(stream.sentAt.length);
    const ids = session.ids?.[name];
    let highest = -1, due = 0;
    for (const [i, n] of got.entries()) {
        if (n >= times.length) {
            say('unasked', `${id} got ${name} ${n}, which was never sent`);
            continue;
        }
        if (ids) judgeIds(say, id, name, n, ids[i], subscriptions, stream);
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
        if (times[n] === 0 && !mayHaveExpired(session, stream, n, endMs)) say('lost', `${id} did not get ${name} ${n}, acknowledged at ${stream.ackedAt[n]}`);
    }
    return due;
}

/** Is there, from `from` to the end, always one of the group that has certainly subscribed? */
function alwaysManned(subscriptions, from) {
    for (let reach = from; ;) {
        let next = reach;
        for (const s of subscriptions)
            if (before(s.grantedAt, reach)) next = Math.max(next, s.endAskedAt ?? Infinity);
        if (next === Infinity) return true;
        if (next === reach) return false;
        reach = next;
    }
}

/** For whoever has to understand it: when each member, last before and first after that time, was not sure of its messages. */
function whenUnsettled(members, sentAt, tick) {
    return members.map((m) => {
        const before = m.unsettled.findLast(([, to]) => to <= sentAt), after = m.unsettled.find(([from]) => from >= tick);
        return `${m.name} unsettled ${before?.join('-') ?? 'never'} before, ${after?.join('-') ?? 'never'} after`;
    }).join('; ');
}

/** What a member got, message by message. Gives [stream, n] -> how often the whole group got it. */
function judgeMember(say, id, member, group, streams, others, times) {
    const first = new Map(); // stream -> [highest, numbers that came]
    for (const [name, n, tick, ids] of member.got) {
        const stream = streams[name];
        if (!stream || !matches(group.filter, stream.topic) || n >= stream.sentAt.length) {
            say('unasked', `${id} got ${name} ${n}, which nobody sent to its group`);
            continue;
        }
        if (!member.subscriptions.some((s) => before(s.askedAt, tick))) say('unasked', `${id} got ${name} ${n} before it was a member`);
        if (ids !== `${member.subId ?? ''}`) say('sub-id', `${id} got ${name} ${n} with identifiers (${ids}), not ${member.subId ?? 'none'}`);
        if (!times.has(name)) times.set(name, new Uint8Array(stream.sentAt.length));
        const count = times.get(name);
        const exact = Math.min(group.qos, stream.qos) === 2;
        if (exact && count[n] === 1) say('doubled', `the group of ${id} got ${name} ${n} twice`);
        if (count[n] < 255) count[n]++;
        if (!first.has(name)) first.set(name, { highest: -1, came: new Set() });
        const line = first.get(name);
        // What one member did not take is given to another, behind newer messages; what is sent again goes to any of them:
        // with QoS 1 either way it may have come to one of them already, from a node that then died without a trace of it.
        const moved = others.some((m) => m.unsettled.some(([from, to]) => from < tick && to > stream.sentAt[n]));
        if (!line.came.has(n) && n < line.highest && !moved && !(stream.again?.[n] && !exact))
            say('reordered', `${id} got ${name} ${n} of its group after ${line.highest}: sent at ${stream.sentAt[n]}, acknowledged at ` +
                `${stream.ackedAt[n]}, come at ${tick}; ${whenUnsettled(others, stream.sentAt[n], tick)}`);
        line.came.add(n);
        line.highest = Math.max(line.highest, n);
    }
}

/** Every acknowledged message of a group reaches a member; with QoS 2 exactly one, unless a session ended with it. */
function judgeGroup(say, name, group, streams) {
    const members = Object.entries(group.members);
    const all = members.flatMap(([, m]) => m.subscriptions);
    const ends = Math.max(-1, ...members.flatMap(([, m]) => m.endedAt));
    const times = new Map();
    let due = 0;
    for (const [id, member] of members) judgeMember(say, id, member, group, streams, members.map(([of, m]) => ({ name: of, ...m })), times);
    for (const [streamName, stream] of Object.entries(streams)) {
        if (!matches(group.filter, stream.topic)) continue;
        const count = times.get(streamName);
        const exact = Math.min(group.qos, stream.qos) === 2;
        for (let n = 0; n < stream.sentAt.length; n++) {
            if (stream.ackedAt[n] === undefined || (exact && ends > stream.sentAt[n]) || !alwaysManned(all, stream.sentAt[n])) continue;
            due++;
            if (!count?.[n]) say('lost', `nobody of ${name} got ${streamName} ${n}, acknowledged at ${stream.ackedAt[n]}`);
        }
    }
    return due;
}

const LAG_MS = 2000; // between the node and the client's clock, on a machine that has much to do

/** Counted down, and not begun to be sent when it is over; what had begun may be finished (dup). */
function judgeExpiry(say, { id, stream: name, n, remaining, dup, atMs }, streams) {
    const { expiry, sentMs, ackedMs } = streams[name];
    const says = `${id} got ${name} ${n} with ${remaining} s left of ${expiry}`;
    const sinceSent = (atMs - sentMs[n]) / 1000;
    if (remaining === undefined || remaining > expiry || remaining + 1 < expiry - sinceSent)
        say('expiry', `${says}, ${sinceSent.toFixed(1)} s after it was sent`);
    if (dup || ackedMs[n] === undefined) return;
    const age = (atMs - ackedMs[n] - LAG_MS) / 1000;
    if (age > expiry) say('expired', `${says}, ${age.toFixed(1)} s after it was acknowledged`);
    else if (remaining > expiry - age + 1) say('expiry', `${says}, ${age.toFixed(1)} s after it was acknowledged`);
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
    const always = typeof partitioned === 'string' ? [{ filter: partitioned, askedAt: -1, grantedAt: -1 }] : (partitioned ?? []);
    for (const [name, stream] of Object.entries(streams)) {
        const asked = always.filter((s) => matches(s.filter, stream.topic));
        const times = seen.get(name);
        for (let n = 0; n < stream.sentAt.length; n++) {
            const { [n]: sentAt } = stream.sentAt, { [n]: ackedAt } = stream.ackedAt;
            if (ackedAt !== undefined && !times?.[n] && asked.some((s) => held(s, sentAt, ackedAt)))
                say('partition-lost', `${name} ${n} is in no partition`);
            if (times?.[n] && !asked.some((s) => mayHold(s, sentAt, ackedAt)))
                say('partition-unasked', `${name} ${n} is in a partition, nobody asked for it`);
        }
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
            due += judgeStream(say, id, session, name, stream, got, history.endMs);
        }
        for (const name of Object.keys(session.got))
            if (!history.streams[name]) say('unasked', `${id} got ${name}, which nobody sent`);
    }
    for (const [name, group] of Object.entries(history.groups ?? {})) {
        due += judgeGroup(say, name, group, history.streams);
        for (const member of Object.values(group.members)) delivered += member.got.length;
    }
    for (const arrival of history.expiring ?? []) judgeExpiry(say, arrival, history.streams);
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
