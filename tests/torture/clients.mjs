// The clients of a kill loop: they keep their side of the session as the standard asks, over any number of connections,
// and write down what they were told. They come back as long as they are not told to end.

import { DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, CONNACK, SUBACK, UNSUBACK, ack, connect, describe, disconnect,
    publish, subscribe, unsubscribe } from '../e2e/lib/packets.mjs';
import { Raw } from '../e2e/lib/raw.mjs';
import { sleep } from '../e2e/lib/wait.mjs';
import { bodyOf, deletes, readBody } from './ledger.mjs';

const FOREVER = 0xffffffff;
const CONNECT_MS = 10_000;
const EXPIRY_S = 2; // of a session that may expire

/** What a client may expect of "session present"; undefined while nobody can know it. */
class Known {
    there = false;
    /** What the CONNACK of this CONNECT must say. */
    expects({ clean }) { return clean ? false : this.there; }
    /** The connection is over. `surely`: the node knows it, too. */
    over({ kept, answered, surely }) {
        if (!answered) this.there = this.there === kept ? kept : undefined; // read by the node, or not
        else if (kept) this.there = true;
        else this.there = surely ? false : undefined;
    }
}

class Client {
    constructor({ ledger, port, random, id, version = 5 }) {
        Object.assign(this, { ledger, port, random, id, version });
        this.known = new Known();
        this.ending = false;
        this.live = false;
        this.history = []; // its last connections, for whoever has to understand a lie
        this.former = new Set(); // connections that a takeover left behind
    }

    /** How the next connection asks for its session. */
    choose() { return { clean: false, kept: true }; }

    /** Begins to connect, and goes on until end(). */
    start() { this.running = this.#run(); }

    async #run() {
        while (!this.ending) {
            await this.rest?.();
            if (this.ending) break;
            const raw = await this.#open();
            if (raw) await this.#converse(raw);
            else await sleep(5 + this.random.below(20));
        }
        for (const raw of this.former) raw.socket.destroy();
    }

    async #open() {
        const port = this.port();
        if (!port) return undefined;
        const raw = new Raw(port, { version: this.version });
        try {
            await raw.opened;
        } catch {
            return undefined;
        }
        return raw;
    }

    /** One connection, until it ends or is left behind. */
    async #converse(raw) {
        this.raw = raw;
        const wish = this.choose();
        const props = {
            sessionExpiry: wish.kept ? (wish.expiry ?? FOREVER) : undefined, receiveMax: this.receiveMax,
            topicAliasMax: this.aliasesIn,
        };
        raw.aliases = new Map(); // alias -> topic, as the node gives them
        const expected = this.known.expects(wish);
        let accepted = false;
        raw.onPacket = (p) => {
            if (this.raw !== raw) { // left behind: only the farewell counts
                if (p.type === DISCONNECT && p.reason === 0x8e) this.ledger.counts.told++;
            } else if (!accepted) {
                accepted = p.type === CONNACK && p.reason === 0 && p;
                if (accepted) this.#accepted(raw, wish, expected, p);
                else if (!this.ledger.stopping) this.ledger.observe('refused', `${this.id}: ${describe(p)} for CONNECT`);
            } else if (p.type === DISCONNECT) {
                if (p.reason !== 0x8b || !this.ledger.stopping) this.ledger.observe('disconnected', `${this.id}: ${describe(p)}`);
            } else {
                if (p.type === PUBLISH) this.#unalias(raw, p);
                this.onPacket(raw, p);
            }
        };
        raw.send(connect({ version: this.version, id: this.id, clean: wish.clean, keepAlive: 600, props, will: this.makeWill?.() }));
        const late = setTimeout(() => {
            if (accepted || raw.ended) return;
            this.ledger.observe('late', `${this.id}: no CONNACK within ${CONNECT_MS} ms`);
            raw.socket.destroy();
        }, CONNECT_MS);
        const behind = new Promise((resolve) => (this.leaveBehind = resolve));
        const closed = raw.closed.then(() => {
            clearTimeout(late);
            this.former.delete(raw);
            if (raw.wrong) this.ledger.observe('protocol', `${this.id}: ${raw.wrong.message}`);
        });
        await Promise.race([closed, behind]);
        this.known.over({ kept: wish.kept, answered: Boolean(accepted), surely: !this.mayLinger });
        this.overAt = performance.now();
        this.over?.({ answered: Boolean(accepted), ended: this.ended });
        if (this.raw === raw) {
            this.live = false;
            const answer = accepted ? `told ${accepted.sessionPresent}` : 'not answered';
            this.history.push(`${JSON.stringify(wish)} ${answer}, ${this.ended ?? 'the node went'}`);
            if (this.history.length > 4) this.history.shift();
            this.mayLinger = false;
            this.ended = undefined;
        }
    }

    #accepted(raw, wish, expected, connack) {
        const past = [...this.history, `now ${JSON.stringify(wish)}`].join('; ');
        this.ledger.connected(this.id, expected, connack.sessionPresent, past);
        this.live = true;
        this.liveIn = this.ledger.life;
        raw.aliasMax = connack.props.topicAliasMax ?? 0; // ours to the node
        raw.aliased = new Map();
        this.onLive(raw, connack.sessionPresent, wish);
    }

    /** The topic that an alias of the node stands for (3.3.2.3.4). */
    #unalias(raw, p) {
        const { topicAlias: alias } = p.props;
        if (alias === undefined) return;
        this.ledger.counts.aliased++;
        if (alias < 1 || alias > (this.aliasesIn ?? 0)) this.ledger.observe('protocol', `${this.id}: ${describe(p)} with alias ${alias}`);
        if (p.topic) raw.aliases.set(alias, p.topic);
        else p.topic = raw.aliases.get(alias) ?? `alias ${alias} of no topic`;
    }

    /** The connection is lost; when the node sees it is not known. */
    cut() {
        if (!this.live) return;
        this.ledger.counts.cuts++;
        this.ended = 'cut';
        this.live = false;
        this.mayLinger = true;
        this.raw.socket.destroy();
    }
    /** Says goodbye and, once the node has closed, comes back. */
    leave() {
        if (!this.live) return;
        this.ledger.counts.leaves++;
        this.ended = 'left';
        this.live = false;
        this.leftAt = this.ledger.life;
        this.raw.send(disconnect({ version: this.version }));
    }
    /** Connects again while the old connection lives; what that one still brings is not read any more. */
    takeOver() {
        if (!this.live) return;
        this.ledger.counts.takeovers++;
        this.live = false;
        this.former.add(this.raw);
        this.raw = undefined;
        this.leaveBehind();
    }

    /** For whoever waits for it. */
    state() {
        const { raw } = this;
        return JSON.stringify({ live: this.live, ended: this.ended, closed: raw?.ended, destroyed: raw?.socket.destroyed, history: this.history });
    }

    async end() {
        this.ending = true;
        await this.raw?.cut();
        await this.running;
    }
}

/** Comes and goes, with a session or without: what it is told of it must be true. */
export class Fickle extends Client {
    choose() {
        const kept = this.random.chance(0.5);
        return this.version === 5 ? { kept, clean: this.random.chance(0.4) } : { kept, clean: !kept };
    }
    onLive() { setTimeout(() => (this.random.chance(0.5) ? this.leave() : this.cut()), this.random.below(60)); }
    onPacket(raw, p) { this.ledger.observe('protocol', `${this.id}: ${describe(p)} fits nothing`); }
}

/** Has a will, numbered by connection, and dies or says goodbye. Wills are a stream like any other: one is due, which the
 *  judge takes as acknowledged, when its client was accepted and died; withdrawn when it said goodbye in time. */
export class Mortal extends Client {
    constructor({ topic, ...rest }) {
        super(rest);
        this.name = `w-${this.id}`;
        this.topic = topic;
        this.stream = this.ledger.stream(this.name, { topic, qos: 2, source: this.id });
        this.stream.withdrawn = [];
    }
    choose() { return { clean: true, kept: false }; }
    makeWill() {
        this.n = this.stream.sentAt.length;
        this.ledger.sent(this.stream, this.n);
        return { topic: this.topic, payload: bodyOf(this.name, this.n, 50), qos: 2 };
    }
    onLive() {
        // A goodbye that was read is on the disk with the will of this connection at the latest.
        if (this.goodbye && this.goodbye.life === this.ledger.life) this.stream.withdrawn[this.goodbye.n] = true;
        this.goodbye = undefined;
        setTimeout(() => (this.random.chance(0.5) ? this.leave() : this.cut()), this.random.below(200));
    }
    over({ answered, ended }) {
        if (!answered) return; // accepted or not, nobody knows
        if (ended === 'left') {
            // A node that died with the goodbye unread may publish the will.
            const { life } = this.ledger;
            if (life && this.leftAt === life) this.goodbye = { n: this.n, life };
        } else this.ledger.acked(this.stream, this.n);
    }
    onPacket(raw, p) { this.ledger.observe('protocol', `${this.id}: ${describe(p)} fits nothing`); }
}

const DELAY_S = 1;
const UPKEEP_MS = 3000; // the node looks once a second, and may have much to do

/** Has a lasting session and a will with a delay. Comes back at once or late: the will is withdrawn when it is resumed in
 *  time, due when it is not or when the session ends by a clean start; in between nobody can know it. */
export class Delayed extends Client {
    constructor({ topic, ...rest }) {
        super(rest);
        this.name = `w-${this.id}`;
        this.topic = topic;
        this.stream = this.ledger.stream(this.name, { topic, qos: 2, source: this.id });
        this.stream.withdrawn = [];
    }
    choose() { return { clean: this.random.chance(0.15), kept: true }; }
    makeWill() {
        this.n = this.stream.sentAt.length;
        this.ledger.sent(this.stream, this.n);
        return { topic: this.topic, payload: bodyOf(this.name, this.n, 50), qos: 2, props: { willDelay: DELAY_S } };
    }
    async rest() {
        const until = performance.now() + (this.random.chance(0.6) ? 0 : this.random.between(0, DELAY_S * 1000 + 1.5 * UPKEEP_MS));
        while (!this.ending && performance.now() < until) await sleep(20);
    }
    onLive(raw, present, wish) {
        const { past } = this;
        this.past = undefined;
        if (past) this.#judgeOld(past, wish);
        setTimeout(() => (this.random.chance(0.3) ? this.leave() : this.cut()), 20 + this.random.below(300));
    }
    #judgeOld(past, { clean }) {
        const away = performance.now() - past.atMs;
        const sameLife = past.life && past.life === this.ledger.life;
        if (past.left) {
            if (sameLife) this.stream.withdrawn[past.n] = true;
        } else if (clean) {
            if (!past.unsure) this.#due(past.n);
        } else if (away < DELAY_S * 1000 - 100) {
            this.stream.withdrawn[past.n] = true;
            this.ledger.counts.resumed++;
        } else if (sameLife && !past.unsure && away > DELAY_S * 1000 + UPKEEP_MS) this.#due(past.n);
    }
    #due(n) {
        this.ledger.acked(this.stream, n);
        this.ledger.counts.delayed++;
    }
    over({ answered, ended }) {
        if (!answered) { // whether it was resumed by that is not known
            if (this.past) this.past.unsure = true;
            return;
        }
        this.past = { n: this.n, atMs: performance.now(), left: ended === 'left', life: ended === 'left' ? this.leftAt : this.liveIn };
    }
    /** It ended and stays away: when is all over? */
    lastWord() {
        if (this.past && !this.past.left && !this.past.unsure) this.#due(this.past.n);
    }
    static get patienceMs() { return DELAY_S * 1000 + UPKEEP_MS; }
    onPacket(raw, p) { this.ledger.observe('protocol', `${this.id}: ${describe(p)} fits nothing`); }
}

/**
 * Sends numbered messages of several streams, `window` of them unfinished at most, and finishes every flow over as many
 * connections as it takes. A stream: { name, topic, qos, retain, alone, expiry } - alone: one of its messages at a time;
 * expiry: of each message, in seconds. `aliases`: a topic is often named by its alias only, and aliases change their topics.
 */
export class Publisher extends Client {
    constructor({ streams, window = 20, sizes = [16, 256], pace = 0, aliases = 0, ...rest }) {
        super(rest);
        this.window = window;
        this.sizes = sizes;
        this.pace = pace;
        this.aliases = aliases;
        this.flows = new Map(); // packet identifier -> flow, in the order in which they began
        this.nextPid = 1;
        this.paused = false;
        const booked = (s) => this.ledger.stream(s.name, { ...s, source: this.id });
        this.streams = streams.map((s) => ({ ...s, ledger: booked(s), next: 0, busy: false }));
    }

    onLive(raw, present) {
        // What is unfinished goes again, in its order (4.4); had the session been lost, from the beginning.
        const again = [];
        for (const flow of this.flows.values()) {
            if (!present) flow.released = false;
            if (flow.released) again.push(ack(PUBREL, flow.pid, { version: this.version }));
            else {
                this.ledger.sent(flow.stream.ledger, flow.n);
                again.push(this.#packet(flow, present));
            }
        }
        if (again.length) raw.send(...again);
        this.#pump();
    }

    #packet({ stream, n, pid, size, deleted }, dup) {
        const payload = deleted ? '' : bodyOf(stream.name, n, size);
        const { topic, alias } = this.#name(stream.topic);
        const props = this.version === 5 ? { messageExpiry: stream.expiry, topicAlias: alias } : undefined;
        return publish({ version: this.version, topic, payload, qos: stream.qos, pid, dup, retain: stream.retain, props });
    }

    /** What this connection calls a topic: by its name, by a new alias and its name, or by its alias alone. */
    #name(topic) {
        const { raw } = this;
        const max = Math.min(this.aliases, raw.aliasMax);
        if (!max || this.random.chance(0.1)) return { topic };
        const known = raw.aliased.get(topic);
        if (known && this.random.chance(0.9)) {
            this.ledger.counts.aliased++;
            return { topic: '', alias: known };
        }
        const alias = known ?? 1 + this.random.below(max);
        for (const [other, its] of raw.aliased) if (its === alias) raw.aliased.delete(other);
        raw.aliased.set(topic, alias);
        return { topic, alias };
    }

    #pump() {
        if (!this.live || this.paused) return;
        const batch = [];
        while (this.flows.size < this.window) {
            const free = this.streams.filter((s) => !(s.alone && s.busy));
            if (!free.length) break;
            const stream = this.random.pick(free);
            while (this.flows.has(this.nextPid)) this.nextPid = (this.nextPid % 65535) + 1;
            const n = stream.next++;
            const size = Math.floor(this.random.between(...this.sizes));
            const flow = { stream, n, pid: this.nextPid, size, deleted: stream.retain && deletes(n) };
            this.nextPid = (this.nextPid % 65535) + 1;
            stream.busy = true;
            this.flows.set(flow.pid, flow);
            this.ledger.sent(stream.ledger, n);
            batch.push(this.#packet(flow, false));
        }
        if (batch.length) this.raw.send(...batch);
    }

    onPacket(raw, p) {
        const flow = this.flows.get(p.pid);
        if (!flow || ![PUBACK, PUBREC, PUBCOMP].includes(p.type)) {
            // A PUBREC or PUBCOMP may come a second time after a re-send that crossed it.
            if (p.type !== PUBREC && p.type !== PUBCOMP) this.ledger.observe('protocol', `${this.id}: ${describe(p)} fits nothing`);
            return;
        }
        const { stream, n } = flow;
        if (p.reason >= 0x80 && p.reason !== 0x92) {
            this.ledger.counts.refused++;
            this.ledger.observe('refused', `${this.id}: ${describe(p)} for ${stream.name} ${n}`);
        } else if (p.type === PUBREC) {
            this.ledger.acked(stream.ledger, n); // from here on the node has it
            flow.released = true;
            raw.send(ack(PUBREL, p.pid, { version: this.version }));
            return;
        } else {
            if (p.reason === 0x92 && !flow.released) this.ledger.observe('protocol', `${this.id}: ${describe(p)}`);
            this.ledger.acked(stream.ledger, n);
        }
        this.flows.delete(p.pid);
        stream.busy = false;
        if (this.pace) setTimeout(() => this.#pump(), this.random.between(0, this.pace));
        else this.#pump();
    }

    /** No new messages; resolves when all flows are finished, false when they are not in time. */
    async finish(ms) {
        this.paused = true;
        const end = performance.now() + ms;
        while (this.flows.size && performance.now() < end) await sleep(10);
        return this.flows.size === 0;
    }
    resume() {
        this.paused = false;
        this.#pump();
    }
}

/** Asked to end, and not answered yet. */
const ends = (subscription) => subscription.endAskedAt !== undefined && subscription.endedAt === undefined;

/** Keeps a session with subscriptions and writes down what comes. Acknowledges in order, at once or a little later. */
export class Subscriber extends Client {
    constructor({ qos, filters, receiveMax, dawdle = 0, aliasesIn, ids = {}, share, ...rest }) {
        super(rest);
        this.receiveMax = receiveMax;
        this.aliasesIn = aliasesIn;
        this.ids = ids; // subscription identifiers: filter -> number
        this.dawdle = dawdle;
        this.qos = qos;
        this.share = share; // see Member
        this.session = this.book();
        this.wanted = filters.map((filter) => this.wish(filter));
        this.unreleased = new Map(); // QoS 2 identifiers between PUBLISH and PUBREL -> body
        this.answers = [];
        this.nextPid = 1;
        this.asking = new Map(); // packet identifier -> subscriptions asked for or ended
    }

    book() { return this.ledger.session(this.id, this.qos); }
    wish(filter) { return { filter, id: this.version === 5 ? this.ids[filter] : undefined }; }

    get settled() { return this.wanted.every((s) => s.grantedAt !== undefined); }

    onLive(raw, present) {
        this.answers = [];
        this.liveMs = performance.now();
        if (!present) this.unreleased.clear();
        this.asking.clear();
        // What was not answered is asked again.
        for (const s of this.wanted) if (s.grantedAt === undefined) this.#ask(raw, s);
        for (const s of this.session.subscriptions) if (ends(s)) this.#askEnd(raw, s);
    }

    #pid() {
        const pid = this.nextPid;
        this.nextPid = (pid % 65535) + 1;
        return pid;
    }
    #ask(raw, s) {
        if (s.askedAt === undefined) {
            s.askedAt = ++this.ledger.tick;
            this.session.subscriptions.push(s);
        }
        const pid = this.#pid();
        this.asking.set(pid, s);
        raw.send(subscribe({ version: this.version, pid, filters: s.filter, qos: this.qos, props: { subId: s.id } }));
    }
    #askEnd(raw, s) {
        s.endAskedAt ??= ++this.ledger.tick;
        const pid = this.#pid();
        this.asking.set(pid, s);
        raw.send(unsubscribe({ version: this.version, pid, filters: s.filter }));
    }

    /** Ends the subscription, or begins it anew when it has ended. One step at a time. */
    toggle(filter) {
        if (!this.live) return;
        const at = this.wanted.findIndex((s) => s.filter === filter);
        if (at < 0) {
            if (this.session.subscriptions.some((s) => s.filter === filter && ends(s))) return;
            const s = this.wish(filter);
            this.wanted.push(s);
            this.#ask(this.raw, s);
        } else if (this.wanted[at].grantedAt !== undefined) {
            const [s] = this.wanted.splice(at, 1);
            this.#askEnd(this.raw, s);
        }
    }

    onPacket(raw, p) {
        if (p.type === PUBLISH) return this.#publish(raw, p);
        if (p.type === PUBREL) {
            this.unreleased.delete(p.pid);
            return this.#answer(raw, ack(PUBCOMP, p.pid, { version: this.version }));
        }
        const s = this.asking.get(p.pid);
        this.asking.delete(p.pid);
        if (p.type === SUBACK && s && p.reasons.every((r) => r === this.qos)) s.grantedAt = ++this.ledger.tick;
        else if (p.type === UNSUBACK && s) s.endedAt = ++this.ledger.tick;
        else this.ledger.observe('protocol', `${this.id}: ${describe(p)} fits nothing`);
    }

    #publish(raw, p) {
        const text = p.payload.toString('latin1');
        const fresh = p.qos !== 2 || !this.unreleased.has(p.pid);
        if (!fresh && this.unreleased.get(p.pid) !== text)
            this.ledger.observe('pid', `${this.id}: ${describe(p)} while ${p.pid} is ${this.unreleased.get(p.pid).slice(0, 40)}`);
        if (fresh) this.#deliver(p, text);
        if (p.qos === 2) this.unreleased.set(p.pid, text);
        if (p.qos > 0) this.#answer(raw, ack(p.qos === 1 ? PUBACK : PUBREC, p.pid, { version: this.version }));
    }

    #deliver(p, text) {
        const body = readBody(text);
        const stream = body && this.ledger.streams[body.stream];
        if (!stream || stream.topic !== p.topic || p.qos !== Math.min(stream.qos, this.qos)) {
            this.ledger.observe('corrupt', `${this.id}: ${describe(p)}`);
            return;
        }
        if (stream.expiry && this.version === 5)
            this.ledger.gotExpiring(this.id, body.stream, body.n, p.props.messageExpiry, p.dup);
        this.note(body.stream, body.n, p);
    }
    note(stream, n, p) { this.ledger.got(this.session, stream, n, p.props.subId); }

    /** A connection is over. What came until now came in time. */
    over({ answered }) {
        if (answered && !this.dawdle && !this.receiveMax) this.session.live.push([this.liveMs, this.overAt]);
    }
    async end() {
        await super.end();
        this.answers = [];
    }

    #answer(raw, packet) {
        this.answers.push(packet);
        const flush = () => {
            if (raw !== this.raw || !this.answers.length) return;
            raw.send(...this.answers);
            this.answers = [];
        };
        if (!this.dawdle) flush();
        else if (this.answers.length === 1) setTimeout(flush, this.random.below(this.dawdle));
    }
}

/**
 * One of a group of shared subscribers, with a lasting session: it may leave the group and come back, begin anew with a clean
 * start, stay away until its session has expired. `anew`, `lazy`: how likely the latter two are.
 */
export class Member extends Subscriber {
    constructor({ group, filter, subId, anew = 0, lazy = 0, ...rest }) {
        const full = `$share/${group}/${filter}`;
        super({ ...rest, filters: [full], ids: { [full]: subId }, share: { group, filter, subId, full } });
        Object.assign(this, { anew, lazy });
        if (lazy) this.expiry = EXPIRY_S;
    }
    book() {
        const { group, filter, subId } = this.share;
        return this.ledger.member(group, this.id, { filter, qos: this.qos, subId: this.version === 5 ? subId : undefined });
    }
    note(stream, n, p) { this.ledger.gotShared(this.session, stream, n, p.props.subId); }

    choose() {
        this.triedIn = this.ledger.life;
        // A clean start that was not answered may have been read, or not: once more.
        this.beginsAnew ||= this.overAt !== undefined && this.random.chance(this.anew);
        if (this.beginsAnew) {
            this.#loosen();
            this.#sessionEnds();
        }
        if (this.expiry && performance.now() - this.overAt > this.expiry * 1000 - 300) this.known.there = undefined;
        return { clean: Boolean(this.beginsAnew), kept: true, expiry: this.expiry };
    }
    async rest() {
        if (!this.random.chance(this.lazy)) return;
        const until = performance.now() + this.random.between(0, 2 * EXPIRY_S * 1000);
        while (!this.ending && performance.now() < until) await sleep(20);
    }

    /** From `at` on nothing is sure of the subscriptions of the old session; they are asked for again. */
    #sessionEnds(at = ++this.ledger.tick) {
        this.session.endedAt.push(++this.ledger.tick);
        for (const s of this.session.subscriptions) s.endAskedAt ??= at;
        this.wanted = this.wanted.map((s) => this.wish(s.filter));
        this.ledger.counts.anew++;
    }
    onLive(raw, present) {
        if (!present && this.wanted.some((s) => s.grantedAt !== undefined)) this.#sessionEnds(this.awaySince); // it had expired
        if (!present) for (const s of this.session.subscriptions) s.endedAt ??= ++this.ledger.tick;
        this.beginsAnew = false;
        this.#settles();
        if (this.session.subscriptions.some(ends)) this.#loosen();
        super.onLive(raw, present);
    }
    onPacket(raw, p) {
        super.onPacket(raw, p);
        if (p.type === UNSUBACK && this.live) this.#settles(); // who has said goodbye is not settled by what still comes
    }

    /** Others may get what waits for it: from here on until it is back. A node that dies gives nothing away. */
    #loosen() { this.unsettledSince ??= ++this.ledger.tick; }
    #settles() {
        if (this.unsettledSince !== undefined) this.session.unsettled.push([this.unsettledSince, ++this.ledger.tick]);
        this.unsettledSince = undefined;
    }
    over({ answered }) {
        // Read by a node that then ended in order: it may have given away what waited, unanswered or not.
        const stopped = this.ledger.stopped.get(answered ? this.liveIn : this.triedIn);
        if (stopped !== undefined) this.unsettledSince ??= stopped;
        if (!answered) return;
        if (stopped === undefined && (this.liveIn === this.ledger.life || this.expiry)) this.#loosen();
        this.awaySince = this.unsettledSince ?? ++this.ledger.tick;
    }
    #if(does, what) {
        if (does) this.#loosen();
        what();
    }
    cut() { this.#if(this.live, () => super.cut()); }
    leave() { this.#if(this.live, () => super.leave()); }
    takeOver() { this.#if(this.live, () => super.takeOver()); }
    toggle() { this.#if(this.live, () => super.toggle(this.share.full)); }
}
