// What the clients of a kill loop write down, in the form that judge.mjs reads. One counter gives everything its tick.

import { crc32 } from './random.mjs';

/** The body of message n of a stream: whoever gets it can tell whose it is, and that it is whole. */
export function bodyOf(stream, n, size) {
    const head = `${stream}|${n}|`;
    const fill = Math.max(0, size - head.length - 8);
    const text = head + 'abcdefghijklmnopqrstuvwxyz'.repeat(Math.ceil(fill / 26)).slice(n % 26, (n % 26) + fill);
    return text + crc32(text).toString(16).padStart(8, '0');
}

/** Which messages of a retained stream delete: they have no body. */
export const deletes = (n) => n % 7 === 6;

/** { stream, n }, or undefined when the body is not one that bodyOf made. */
export function readBody(text) {
    const parts = /^([^|]+)\|(\d+)\|/.exec(text);
    if (!parts || crc32(text.slice(0, -8)).toString(16).padStart(8, '0') !== text.slice(-8)) return undefined;
    return { stream: parts[1], n: Number(parts[2]) };
}

export class Ledger {
    constructor() {
        this.tick = 0;
        this.onAcknowledged = undefined; // called when a client was told something that must hold
        this.lives = 0;
        this.life = 0; // which life of the node this is; 0 from the moment it is told to end until it is ready again
        this.stopped = new Map(); // life that ended in order -> since when it was ending
        this.stopping = false; // the node was asked to stop: it may refuse and say goodbye
        this.streams = {};
        this.sessions = {};
        this.groups = {};
        this.expiring = [];
        this.connects = [];
        this.retained = [];
        this.observed = [];
        const names = ['sent', 'resent', 'acknowledged', 'received', 'refused', 'connects', 'takeovers', 'told', 'cuts', 'leaves',
            'shared', 'aliased', 'delayed', 'resumed', 'anew'];
        this.counts = Object.fromEntries(names.map((name) => [name, 0]));
    }

    begins() { this.life = ++this.lives; }
    ends() { this.life = 0; }

    /** A stream, made on first use. */
    stream(name, { topic, qos, source, expiry }) {
        const times = expiry ? { expiry, sentMs: [], ackedMs: [] } : {};
        return (this.streams[name] ??= { topic, qos, source, sentAt: [], ackedAt: [], again: [], ...times });
    }
    sent(stream, n) {
        if (stream.sentAt[n] === undefined) {
            stream.sentAt[n] = ++this.tick;
            stream.ackedAt[n] = undefined;
            if (stream.expiry) stream.sentMs[n] = performance.now();
            this.counts.sent++;
        } else {
            stream.again[n] = true;
            this.counts.resent++;
        }
    }
    acked(stream, n) {
        if (stream.ackedAt[n] !== undefined) return;
        stream.ackedAt[n] = ++this.tick;
        if (stream.expiry) stream.ackedMs[n] = performance.now();
        this.counts.acknowledged++;
        this.onAcknowledged?.();
    }

    session(id, qos) {
        return (this.sessions[id] ??= { qos, subscriptions: [], got: {}, ids: {}, live: [] });
    }
    got(session, stream, n, ids = []) {
        (session.got[stream] ??= []).push(n);
        (session.ids[stream] ??= []).push(ids.length ? ids.join() : '');
        this.counts.received++;
    }
    /** A message that may expire came. */
    gotExpiring(id, stream, n, remaining, dup) {
        this.expiring.push({ id, stream, n, remaining, dup, atMs: performance.now() });
    }

    /** A member of a group of shared subscribers: in the form of a session, but what it gets is one list with ticks. */
    member(group, id, { filter, qos, subId }) {
        const g = (this.groups[group] ??= { filter, qos, members: {} });
        return (g.members[id] ??= { subId, subscriptions: [], got: [], unsettled: [], endedAt: [] });
    }
    gotShared(member, stream, n, ids = []) {
        member.got.push([stream, n, ++this.tick, ids.join()]);
        this.counts.received++;
        this.counts.shared++;
    }
    connected(id, expected, present, text) {
        this.counts.connects++;
        this.connects.push({ id, expected, present, text });
        this.onAcknowledged?.();
    }
    observe(kind, text) {
        this.observed.push({ kind, text });
    }

    history({ partitions, partitioned }) {
        const { streams, sessions, groups, expiring, connects, retained, observed } = this;
        return { streams, sessions, groups, expiring, connects, retained, observed, partitions, partitioned, endMs: performance.now() };
    }
}
