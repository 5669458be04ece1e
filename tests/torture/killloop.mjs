// Kills a loaded node and compares what it had acknowledged with what it gives back.
//
//   node tests/torture/killloop.mjs [--kills 10] [--seed N] [--break NAME] [--keep] [--verbose]
//
// Publishers send numbered messages at QoS 1 and 2; subscribers with kept sessions come, go, take themselves over and
// acknowledge late; others subscribe and unsubscribe, or die and leave a will, some with a delay; groups of shared subscribers
// divide work among them, leave, begin anew and expire; messages expire; topics have aliases both ways; retained messages are
// written, replaced and deleted; part of the load also goes to the hub's partitions, and which part is changed by reloading
// the settings, as are limits. The node is killed with SIGKILL at random times, also while
// it starts, and its data is checked (fieldgate check) each time. In the end everything owed must have come, and judge.mjs
// compares.
//
// The same seed gives the same plan; what the kills hit depends on the machine. Status 0 when nothing was wrong, else 1,
// and the data and the history stay where the last lines say.
//
// --break passes FIELDGATE_TEST_BREAK=NAME to a node built with test hooks, to see the judge turn red.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FIELDGATE, startNode } from '../e2e/lib/node.mjs';
import { PUBLISH, SUBACK, publish, subscribe } from '../e2e/lib/packets.mjs';
import { run, start } from '../e2e/lib/process.mjs';
import { rawConnect } from '../e2e/lib/raw.mjs';
import { inject, startsWith } from '../e2e/lib/strace.mjs';
import { sleep, until, within } from '../e2e/lib/wait.mjs';
import { toYaml } from '../e2e/lib/yaml.mjs';
import { Delayed, Fickle, Member, Mortal, Publisher, Subscriber } from './clients.mjs';
import { judge, sameRecord } from './judge.mjs';
import { Ledger, deletes, readBody } from './ledger.mjs';
import { random as seeded } from './random.mjs';

const { values: flags } = parseArgs({
    options: {
        kills: { type: 'string', default: '10' }, seed: { type: 'string' }, break: { type: 'string' },
        keep: { type: 'boolean', default: false }, verbose: { type: 'boolean', default: false },
    },
});
const kills = Number(flags.kills);
const seed = flags.seed === undefined ? Date.now() % 1_000_000_000 : Number(flags.seed);
const random = seeded(seed);
const say = (...words) => flags.verbose && console.log((performance.now() / 1000).toFixed(1).padStart(7), ...words);

const BREAK = flags.break ? { FIELDGATE_TEST_BREAK: flags.break } : {};
const PARTITIONED = 'factory/#';
const SETTINGS = {
    hub: { partitions: 4, keep: '7d', topics: [PARTITIONED] },
    journal: { 'segment-bytes': '1MiB', 'disk-reserve': '1MiB' }, // small, so that segments come and go under the kills
    // A session whose queue is full is not owed what comes then; here every session is owed everything.
    limits: { 'packet-bytes': '256KiB', 'queued-bytes': 'unlimited', 'queued-messages': 'unlimited' },
    log: { level: 'warn' },
};
const EXTRA = 'load/large'; // in the partitions at times

const ledger = new Ledger();
let node; // its port is 0 while there is none
const port = () => (node?.process && !node.process.ended && node.ports?.length ? node.mqttPort : 0);
const partitions = {};
const partitioned = [{ filter: PARTITIONED, askedAt: 0, grantedAt: 0 }]; // as subscriptions of a session

// ---- the load ----

function makeClients() {
    const common = () => ({ ledger, port, random: random.fork() });
    const streams = (p, topics) => topics.flatMap((topic, i) => [1, 2].map((qos) => ({ name: `p${p}.${i}.${qos}`, topic, qos })));
    const publishers = [
        new Publisher({ ...common(), id: 'pub-0', streams: streams(0, ['load/a', 'load/b/c']), window: 20, pace: 4 }),
        new Publisher({ ...common(), id: 'pub-1', version: 4, streams: streams(1, ['load/a', 'load/b/d']), window: 10, pace: 4 }),
        new Publisher({ ...common(), id: 'pub-2', streams: streams(2, ['factory/press-1', 'factory/line/2']), window: 60, pace: 8 }),
        new Publisher({ ...common(), id: 'pub-3', version: 4, streams: streams(3, ['factory/press-2']), window: 20, pace: 8 }),
        new Publisher({ ...common(), id: 'pub-4', streams: streams(4, ['load/large']), window: 4, sizes: [1000, 40_000], pace: 40 }),
        new Publisher({
            ...common(), id: 'pub-brief', window: 6, pace: 30,
            streams: [1, 2].flatMap((qos) => [[1, 'brief'], [3600, 'long']].map(([expiry, of]) => (
                { name: `${of}.${qos}`, topic: `load/${of}`, qos, expiry }))),
        }),
        new Publisher({ ...common(), id: 'pub-alias', streams: streams(6, ['job/a', 'job/b', 'job/c/d', 'load/b/e']), window: 30, pace: 6, aliases: 3 }),
        new Publisher({ ...common(), id: 'pub-work', version: 4, streams: streams(7, ['job/a', 'job/e']), window: 10, pace: 8 }),
    ];
    const writer = new Publisher({
        ...common(), id: 'writer', window: 6, pace: 20,
        streams: [0, 1, 2, 3, 4, 5].map((i) => ({ name: `r${i}`, topic: `state/${i}`, qos: 1 + (i % 2), retain: true, alone: true })),
    });
    const subscribers = [
        new Subscriber({ ...common(), id: 'sub-q1', qos: 1, filters: ['load/#'], dawdle: 20, receiveMax: 200, aliasesIn: 4, ids: { 'load/#': 7 } }),
        new Subscriber({
            ...common(), id: 'sub-q2', qos: 2, filters: ['load/#', 'factory/#', 'wills/#', 'job/#'], dawdle: 5, aliasesIn: 20,
            ids: { 'load/#': 1, 'factory/#': 268435455, 'job/#': 3 },
        }),
        new Subscriber({ ...common(), id: 'sub-ids', qos: 1, filters: ['job/#', 'job/+', '+/a', '+/b/#'], ids: { 'job/#': 11, 'job/+': 200, '+/a': 30000 } }),
        new Subscriber({ ...common(), id: 'sub-steady', qos: 1, filters: ['load/brief', 'load/long'] }),
        new Subscriber({ ...common(), id: 'sub-q2-old', version: 4, qos: 2, filters: ['load/+', 'factory/+/2'] }),
        new Subscriber({ ...common(), id: 'sub-q1-old', version: 4, qos: 1, filters: ['load/b/#', 'factory/press-1'], dawdle: 10 }),
        new Subscriber({ ...common(), id: 'sub-slow', qos: 2, filters: ['load/b/c'], dawdle: 3, receiveMax: 7 }),
        new Subscriber({ ...common(), id: 'sub-toggle', qos: 2, filters: ['factory/press-2'], ids: { 'factory/press-1': 5, 'load/a': 6 } }),
    ];
    // steady: nobody goes but with the node, so that order holds; ending: sessions end, and what waits for them goes to
    // others; exact: sessions last, so that QoS 2 is for one of them exactly; strict: both.
    const member = (group, qos, filter, i, more) => new Member({ ...common(), id: `${group}-${i}`, group, qos, filter, subId: 100 + i, ...more });
    const members = [
        ...[0, 1, 2].map((i) => member('steady', 2, 'job/#', i, i === 2 ? { version: 4 } : { aliasesIn: 3 })),
        ...[0, 1, 2, 3].map((i) => member('ending', 1, 'job/#', i, i === 3 ? { lazy: 0.4 } : { anew: 0.15, dawdle: 10 * i, receiveMax: [undefined, 5, 60][i] })),
        ...[0, 1, 2].map((i) => member('exact', 2, 'job/+', i, { dawdle: 5 * i, receiveMax: [undefined, 4, 30][i] })),
        ...[0, 1, 2].map((i) => member('strict', 2, 'load/b/#', i, { anew: 0.1, lazy: i === 2 ? 0.3 : 0 })),
    ];
    const fickle = [5, 4, 5].map((version, i) => new Fickle({ ...common(), id: `fickle-${i}`, version }));
    const mortals = [5, 4].map((version, i) => new Mortal({ ...common(), id: `mortal-${i}`, version, topic: `wills/${i}` }));
    const delayed = [0, 1].map((i) => new Delayed({ ...common(), id: `delayed-${i}`, topic: `wills/late/${i}` }));
    return { publishers: [...publishers, writer], subscribers, members, fickle, mortals, delayed, writer };
}

/** Until `ms` are over, clients are cut, leave, take themselves over and change subscriptions. */
async function unrest(ms, { subscribers, publishers, members }) {
    const restless = subscribers.filter((s) => s.id !== 'sub-steady');
    const workers = members.filter((m) => m.share.group !== 'steady');
    const end = performance.now() + ms;
    for (;;) {
        const left = end - performance.now();
        if (left <= 0) return;
        await sleep(Math.min(left, random.between(10, 60)));
        if (performance.now() >= end) return;
        const client = random.pick(random.pick([restless, workers, workers, publishers]));
        if (random.chance(0.2)) random.pick(workers).toggle();
        else if (random.chance(0.25)) subscribers.find((s) => s.id === 'sub-toggle').toggle(random.pick(['factory/press-1', 'load/a']));
        else random.pick([() => client.cut(), () => client.leave(), () => client.takeOver(), () => client.takeOver()])();
    }
}

// ---- looking at the node from outside ----

/** What a newcomer finds retained, between what was surely there when it asked and what was sent when it saw it. */
async function readRetained(writer, when) {
    const lowest = writer.streams.map(({ ledger: s }) => s.ackedAt.findLastIndex((at) => at !== undefined));
    const raw = await rawConnect({ port: port(), id: `reader-${when}` });
    const seen = new Map();
    let ends;
    const complete = new Promise((resolve) => (ends = resolve));
    raw.onPacket = (p) => {
        if (p.type === SUBACK) raw.send(publish({ topic: `end/${when}`, payload: 'x' }));
        else if (p.type === PUBLISH && p.topic === `end/${when}`) ends();
        else if (p.type === PUBLISH && p.retain) seen.set(p.topic, readBody(p.payload.toString('latin1')));
    };
    raw.send(subscribe({ pid: 1, filters: ['state/#', `end/${when}`], qos: 0 }));
    await within(complete, 'retained messages are read');
    raw.socket.destroy();
    writer.streams.forEach(({ topic, name, ledger: s }, i) => {
        const writes = [];
        for (let n = Math.max(0, lowest[i]); n < s.sentAt.length; n++) writes.push({ n, deleted: deletes(n) });
        if (lowest[i] < 0 && writes.length) writes.push({ n: -1, deleted: true }); // nothing was surely there
        const found = seen.get(topic);
        if (found && found.stream !== name) ledger.observe('retained', `${topic} has a message of ${found.stream}`);
        ledger.retained.push({ topic, writes, seen: found ? found.n : null });
    });
}

/** Reads on from where the last look ended, and the last record once more: it must be the same. */
async function readPartitions() {
    for (let number = 0; number < SETTINGS.hub.partitions; number++) {
        const list = (partitions[number] ??= []);
        const last = list.at(-1);
        const args = ['events', '--data', node.dataDir, '--partition', String(number), '-e', '-o', 'jsonl',
            ...(last ? ['--sequence', String(last.sequence)] : ['--earliest'])];
        const changed = (how) => ledger.observe('partition-changed', `partition ${number}: ${how}`);
        let first = last !== undefined;
        const reading = start(FIELDGATE, args, {
            onLine: (line) => {
                const event = JSON.parse(line);
                const body = typeof event.body === 'string' ? readBody(event.body) : undefined;
                const { sequence, offset, source } = event;
                const record = { sequence, offset, source, stream: body?.stream ?? `?${line.slice(0, 100)}`, n: body?.n ?? 0 };
                if (first) {
                    first = false;
                    if (!sameRecord(record, last)) changed(`${JSON.stringify(last)} became ${JSON.stringify(record)}`);
                } else list.push(record);
            },
        });
        const { code } = await within(reading.exited, `events of partition ${number}`, 60_000);
        if (code !== 0) ledger.observe('events', `events --partition ${number} ended with ${code}: ${reading.err.join(' / ')}`);
        if (first) changed(`it ends before ${JSON.stringify(last)}`);
        reading.out.length = 0;
    }
}

async function checkData(when) {
    // 4: warnings only, such as a torn end that was never acknowledged.
    const { code, out, err } = await run(FIELDGATE, ['check', node.dataDir], { timeoutMs: 120_000 });
    if (code !== 0 && code !== 4) ledger.observe('check', `after ${when}: check ended with ${code}\n${[...out, ...err].join('\n')}`);
}

// ---- the kills ----

const count = { kills: 0, starting: 0, stops: 0, instant: 0, slow: 0, reloads: 0 };

// What was acknowledged too early is seen only when the node dies between its answer and its write. Two things help: some
// kills come the moment an acknowledgement arrives, and some of the time the disk is slow.
const slowDisk = () => inject('pwrite64', `delay_enter=${Math.floor(random.between(2000, 15_000))}`);
const haveStrace = spawnSync('strace', ['-V']).status === 0;

async function startAgain() {
    const slow = haveStrace && random.chance(0.3);
    const options = slow ? slowDisk() : { wrap: [] };
    startsWith(node, { ...options, env: { ...options.env, ...BREAK } });
    if (slow) count.slow++;
    await node.start();
    ledger.begins();
}

function kill() {
    ledger.ends();
    return node.kill9();
}

/** Waits for the next acknowledgement that any client gets and kills the node there and then. */
async function killAtOnce() {
    await within(new Promise((resolve) => {
        ledger.onAcknowledged = () => {
            kill();
            resolve();
        };
    }), 'an acknowledgement to kill at', 1000).catch(() => {});
    ledger.onAcknowledged = undefined;
    await kill();
}

// ---- the settings change ----

const canReload = spawnSync(FIELDGATE, ['reload', '--help']).status === 0;

/** Other topics in the partitions, other limits: by `fieldgate reload`, which says when it is done, or by SIGHUP. */
async function reload() {
    const old = partitioned.find((s) => s.filter === EXTRA && s.endAskedAt === undefined);
    node.settings.hub.topics = old ? [PARTITIONED] : [PARTITIONED, EXTRA];
    node.settings.limits['receive-maximum'] = Math.floor(random.between(100, 2000));
    node.settings.limits['keep-alive'] = `${10 + random.below(10)}m`;
    writeFileSync(`${node.config}.new`, toYaml(node.settings));
    const change = old ?? { filter: EXTRA };
    change[old ? 'endAskedAt' : 'askedAt'] = ++ledger.tick;
    if (!old) partitioned.push(change);
    renameSync(`${node.config}.new`, node.config);
    count.reloads++;
    if (random.chance(0.3)) {
        process.kill(node.pid, 'SIGHUP');
        return;
    }
    const life = ledger.life;
    const { code, err } = await node.verb('reload');
    if (code === 0 && life) change[old ? 'endedAt' : 'grantedAt'] = ++ledger.tick;
    else if (life && life === ledger.life) ledger.observe('reload', `it ended with ${code}: ${err.join(' / ')}`);
}

async function killOnce(clients) {
    // Now and then enough time for delays and expiries.
    const ms = random.chance(0.06) ? 5000 : random.between(30, 500);
    const reloading = canReload && random.chance(0.4) ? sleep(random.between(0, ms)).then(reload) : undefined;
    await unrest(ms, clients);
    if (random.chance(0.5)) await reloading; // else it is killed meanwhile
    if (random.chance(0.1)) {
        count.stops++;
        ledger.stopping = true;
        ledger.stopped.set(ledger.life, ++ledger.tick);
        ledger.ends();
        await node.stop();
        ledger.stopping = false;
    } else {
        count.kills++;
        if (random.chance(0.5)) {
            count.instant++;
            await killAtOnce();
        } else await kill();
    }
    // A kill during recovery, now and then several in a row.
    while (count.kills < kills && random.chance(0.25)) {
        count.kills++;
        count.starting++;
        startsWith(node, { wrap: [], env: BREAK }); // strace does not take it well while it attaches
        const starting = node.start();
        starting.catch(() => {});
        await sleep(random.between(0, 60));
        await kill();
        await starting.catch(() => {});
    }
    await reloading;
    await checkData(`kill ${count.kills}`);
    await startAgain();
    for (const s of partitioned) // it has read its settings anew
        if (s.endAskedAt !== undefined) s.endedAt ??= ++ledger.tick;
        else s.grantedAt ??= ++ledger.tick;
    say(`${count.kills} kills, ${ledger.counts.acknowledged} acknowledged, ${ledger.counts.received} received`);
}

/** Publishers finish what they began; then everybody gets what they are owed, or nothing comes any more. */
async function drain({ publishers, subscribers, members, mortals, delayed }) {
    for (const mortal of [...mortals, ...delayed]) await within(mortal.end(), () => `${mortal.id} ends (${mortal.state()})`, 20_000);
    const wills = sleep(Delayed.patienceMs);
    for (const member of members) member.lazy = 0;
    const done = await Promise.all(publishers.map((p) => p.finish(30_000)));
    publishers.forEach((p, i) => done[i] || ledger.observe('stuck', `${p.id} could not finish ${p.flows.size} flows`));
    await until(() => [...subscribers, ...members].every((s) => s.live && s.settled), 'all subscribers are back', 30_000);
    await wills;
    for (const one of delayed) one.lastWord();
    let last = -1, still = 0;
    while (still < 30) { // 3 s without a message
        await sleep(100);
        still = ledger.counts.received === last ? still + 1 : 0;
        last = ledger.counts.received;
    }
}

async function main() {
    console.log(`seed ${seed}`);
    node = await startNode({ settings: SETTINGS, env: BREAK });
    ledger.begins();
    const clients = makeClients();
    const everyone = [...clients.publishers, ...clients.subscribers, ...clients.members, ...clients.fickle,
        ...clients.mortals, ...clients.delayed];
    for (const client of everyone) client.start();
    while (count.kills < kills) {
        await killOnce(clients);
        if (random.chance(0.5)) await readRetained(clients.writer, `${count.kills}`);
        if (random.chance(0.3)) await readPartitions();
    }
    await sleep(3500); // long enough for what expires to be due to whoever is there
    say('draining');
    await drain(clients);
    say('drained');
    await readRetained(clients.writer, 'end');
    await readPartitions();
    say('read');
    for (const client of everyone) await client.end();
    await node.stop();
    await checkData('the end');
    return ledger.history({ partitions, partitioned });
}

function report(history) {
    const verdict = judge(history);
    const { counts } = ledger;
    const of = (kind) => verdict.kinds[kind] ?? 0;
    console.log(`kills: ${count.starting} while it started, ${count.instant} at an acknowledgement; ` +
        `${count.slow} starts with a slow disk, ${count.stops} orderly stops`);
    console.log(`connections: ${counts.connects}, ${counts.takeovers} takeovers (${counts.told} told 0x8E), ${counts.cuts} cut, ${counts.leaves} left`);
    console.log(`features: ${counts.shared} by shared subscriptions, ${counts.anew} of whose sessions ended; ${counts.delayed} delayed wills due, ` +
        `${counts.resumed} withdrawn; ${history.expiring.length} with an expiry; ${counts.aliased} topic aliases; ${count.reloads} reloads`);
    console.log(`messages: ${counts.sent} sent, ${counts.resent} sent again, ${counts.received} received, ${verdict.records} in partitions; ` +
        `${history.retained.length} retained ones looked at`);
    for (const { kind, text } of verdict.violations.slice(0, 30)) console.log(`!! ${kind}: ${text}`);
    if (verdict.violations.length > 30) console.log(`!! and ${verdict.violations.length - 30} more`);
    console.log(`${count.kills} kills, ${verdict.acknowledged} acknowledged, ${of('lost') + of('partition-lost')} lost, ` +
        `${of('doubled') + of('partition-doubled')} doubled${verdict.violations.length ? `, ${JSON.stringify(verdict.kinds)}` : ''}`);
    return verdict.violations.length === 0 && verdict.acknowledged > 0 && verdict.due > 0;
}

function keep(history) {
    const folder = mkdtempSync(join(tmpdir(), 'killloop-'));
    const filter = (from) => !from.endsWith('.sock');
    if (node && existsSync(node.dataDir)) cpSync(node.dataDir, join(folder, 'data'), { recursive: true, filter });
    if (history) writeFileSync(join(folder, 'history.json'), JSON.stringify(history));
    if (node) writeFileSync(join(folder, 'node.log'), node.log());
    console.log(`kept in ${folder}; again with --seed ${seed}`);
}

try {
    const limit = 120_000 + kills * 5_000;
    const history = await within(main(), `${kills} kills`, limit);
    const good = report(history);
    if (!good || flags.keep) keep(history);
    process.exit(good ? 0 : 1);
} catch (error) {
    console.log(`!! ${error.stack}`);
    keep(ledger.history({ partitions, partitioned }));
    process.exit(1);
}
