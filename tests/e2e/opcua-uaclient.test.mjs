// Our OPC UA client (tests/uaclient_probe.c: the client with nothing around it) against node-opcua's server, on good lines and bad
// ones: policies, modes, users, reconnecting without losing a value or giving one twice.
// timeout: 300

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { STRUCTURES } from './fixtures/opcua-values.mjs';
import { tempFolder } from './lib/node.mjs';
import { applicationCertificate, MINIMAL, sharedKey, startUaServer } from './lib/opcua-server.mjs';
import { MODES, POLICIES } from './lib/opcua-client.mjs';
import { start } from './lib/process.mjs';
import { startProxy } from './lib/tcp-proxy.mjs';
import { until } from './lib/wait.mjs';

const PROBE = process.env.UACLIENT_PROBE ?? new URL('../../build-test/uaclient_probe', import.meta.url).pathname;
const skip = existsSync(PROBE) ? false : `there is no ${PROBE}: scripts/build.sh test uaclient_probe`;

const folder = tempFolder('uaclient');
function files(name, { pem, key }) {
    writeFileSync(join(folder, `${name}.pem`), pem);
    writeFileSync(join(folder, `${name}.key`), key.pem);
    return `${join(folder, `${name}.pem`)},${join(folder, `${name}.key`)}`;
}

const users = { ada: 'secret ä' };
let server, own, person;
before(async () => {
    if (skip) return;
    own = files('own', applicationCertificate({ uri: 'urn:fieldgate:probe', cn: 'probe' }));
    person = files('person', applicationCertificate({ key: sharedKey('person'), uri: 'urn:person', cn: 'ada' }));
    server = await startUaServer({ users, counters: 1000, minTokenLifetime: 500, tokenLifetime: 60_000 });
});
after(() => server?.stop());

class Probe {
    constructor(t, url, args) {
        this.said = [];
        this.process = start(PROBE, [url, ...args], { input: null, onLine: (line) => this.said.push(JSON.parse(line)) });
        t.after(() => this.process.kill('SIGKILL'));
    }

    tell(line) { this.process.child.stdin.write(`${line}\n`); }

    all(key) { return this.said.filter((one) => key in one); }

    /** The first word about `key` from now on, or of those there are. */
    async hear(key, { from = 0, ms = 15_000 } = {}) {
        const found = () => this.said.slice(from).find((one) => key in one);
        await until(found, `"${key}" is said; so far: ${JSON.stringify(this.said.slice(-8))} ${this.process.err.join('\n')}`, ms);
        return found();
    }

    async look() {
        const from = this.said.length;
        this.tell('look');
        return this.hear('look', { from });
    }

    async ask(line, key = 'read') {
        const from = this.said.length;
        this.tell(line);
        return this.hear(key, { from });
    }

    /** Ends by its own will, without a complaint of a sanitizer. */
    async leave() {
        this.tell('leave');
        const { code } = await this.process.exited;
        assert.equal(code, 0, this.process.err.join('\n'));
        return this.said.at(-1);
    }
}

test('each policy and mode, with each kind of user', { skip }, async (t) => {
    const ways = [['policy=None'], ...POLICIES.flatMap((policy) => MODES.map((mode) => [`policy=${policy}`, `mode=${mode === 'Sign' ? 2 : 3}`]))];
    for (const way of ways) {
        for (const as of [[], ['user=ada', `password=${users.ada}`], [`person=${person}`]]) {
            const probe = new Probe(t, server.url, [...way, ...as, `own=${own}`, 'any']);
            const up = await probe.hear('up');
            assert.equal(`policy=${up.policy}`, way[0]);
            assert.equal((await probe.ask('read i=2259')).read, '0');
            await probe.leave();
        }
    }
});

test('the best endpoint; who is not trusted, not known, not there', { skip }, async (t) => {
    const best = new Probe(t, server.url, [`own=${own}`, 'any']);
    assert.deepEqual(await best.hear('up').then(({ policy, mode }) => ({ policy, mode })), { policy: 'Aes256_Sha256_RsaPss', mode: 3 });
    const wrong = new Probe(t, server.url, [`own=${own}`, 'any', 'user=ada', 'password=wrong']);
    assert.equal((await wrong.hear('down')).down, 5206);
    const unknown = new Probe(t, server.url, [`own=${own}`]);
    assert.equal((await unknown.hear('down')).down, 5204);
    const nobody = new Probe(t, 'opc.tcp://127.0.0.1:1/', []);
    assert.equal((await nobody.hear('down')).down, 5201);
    const shy = await startUaServer({ t, trust: [] });
    const stranger = new Probe(t, shy.url, [`own=${own}`, 'any']);
    const down = await stranger.hear('down');
    assert.equal(down.down, 5203);
    assert.match(down.text, /does not trust us yet.*SHA1/);
});

test('everything below Root, once each', { skip }, async (t) => {
    const probe = new Probe(t, server.url, []);
    await probe.hear('up');
    const { done, seen } = await probe.ask('browse i=84 20', 'done');
    assert.equal(done, 'Good');
    assert.ok(seen > 1500, `${seen} references`);
});

test('structures by their description', { skip }, async (t) => {
    const probe = new Probe(t, server.url, []);
    await probe.hear('up');
    for (const [id, { json }] of Object.entries(STRUCTURES)) {
        for (let again = 0; again < 2; again++) {
            const { shape } = await probe.ask(`shape ns=1;s=${id}`, 'shape');
            assert.deepEqual(shape, json, id);
        }
    }
    await probe.leave();
});

const values = (probe, item) => probe.all('value').filter((one) => one.item === item);
const plain = (ticks) => ticks.map(({ value }) => value);

async function emitted(from) { return (await server.do('emitted')).ticks.slice(from); }

test('every value once and in order: cuts, mid-chunk, delay, renewals', { skip }, async (t) => {
    const proxy = await startProxy({ t, port: Number(new URL(server.url.replace('opc.tcp', 'http')).port) });
    const probe = new Probe(t, `opc.tcp://127.0.0.1:${proxy.port}`, [
        'policy=Basic256Sha256', 'mode=3', `own=${own}`, 'any', 'channel_ms=1200', 'publishing=50', 'keep_alive=500', 'queue=1000', 'watch=ns=1;s=Counter,5',
    ]);
    await until(() => probe.all('value').length === 5, () => `first values: ${JSON.stringify(probe.said.slice(-5))}`);
    const begin = (await server.do('emitted')).ticks.length;
    const emitting = server.do('emit', { ticks: 400, every: 20 }, 30_000);
    const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
    await pause(700);
    proxy.cut();
    await pause(1200);
    proxy.cutAfterBytes(777, 'down');
    await pause(1200);
    proxy.delay(150);
    await pause(800);
    proxy.delay(0);
    for (let i = 0; i < 6; i++) { // before it has settled, in requests and in answers, and right behind each other
        if (i % 3 === 2) proxy.cut();
        else proxy.cutAfterBytes(97 + i * 411, i % 3 === 1 ? 'up' : 'down');
        await pause(300 + i * 100);
    }
    proxy.pass();
    await emitting;
    const ticks = plain(await emitted(begin));
    assert.equal(ticks.length, 400);
    for (let item = 0; item < 5; item++) {
        await until(() => values(probe, item).length >= 401, () => `item ${item} has ${values(probe, item).length} of 401; ${JSON.stringify([probe.all('down'), probe.all('gap')])}`);
        assert.deepEqual(values(probe, item).slice(1).map((one) => one.value), ticks, `item ${item}`);
    }
    const look = await probe.look();
    assert.ok(look.connects >= 3, JSON.stringify(look));
    assert.ok(look.renewals >= 1, JSON.stringify(look));
    assert.equal(look.lost, 0);
    assert.deepEqual(probe.all('gap'), []);
    await probe.leave();
});

test('acknowledged late: the server keeps it, and nothing comes twice over a new connection', { skip }, async (t) => {
    const proxy = await startProxy({ t, port: Number(new URL(server.url.replace('opc.tcp', 'http')).port) });
    const probe = new Probe(t, proxy.url, ['publishing=50', 'keep_alive=500', 'late-ack', 'queue=100', 'watch=ns=1;s=Counter,1']);
    await until(() => probe.all('value').length === 1, 'the first value');
    const begin = (await server.do('emitted')).ticks.length;
    await server.do('emit', { ticks: 20, every: 20 });
    await until(() => values(probe, 0).length === 21, () => `values ${values(probe, 0).length}`);
    proxy.cut();
    const from = probe.said.length;
    await probe.hear('up', { from });
    probe.tell('ack');
    await server.do('emit', { ticks: 5, every: 20 });
    await until(() => values(probe, 0).length >= 26, () => `values ${values(probe, 0).length}`);
    assert.deepEqual(values(probe, 0).slice(1).map((one) => one.value), plain(await emitted(begin)));
    await probe.leave();
});

test('a server that forgets the session, its subscriptions, or both', { skip }, async (t) => {
    const probe = new Probe(t, server.url, ['publishing=100', 'keep_alive=500', 'silent=800', 'queue=100', 'history', 'watch=ns=1;s=Counter,3', 'watch=ns=1;s=Humidity']);
    await until(() => probe.all('value').length === 4, () => `first values ${JSON.stringify(probe.said)}`);
    for (const act of ['endSubscriptions', 'endSessions']) {
        const from = probe.said.length;
        await server.do(act);
        const gap = await probe.hear('gap', { from, ms: 20_000 });
        assert.equal(gap.gap, 5212);
        const begin = (await server.do('emitted')).ticks.length;
        await server.do('emit', { ticks: 5, every: 30 });
        const want = plain(await emitted(begin));
        await until(() => values(probe, 2).at(-1).value === want.at(-1), () => `after ${act}: ${JSON.stringify(probe.said.slice(-5))}`);
        assert.deepEqual(values(probe, 2).slice(-5).map((one) => one.value), want);
    }
    assert.ok((await probe.look()).madeAnew >= 2);
    await probe.leave();
});

test('a restart: data again within 5 s, the gap is filled from history or told', { skip }, async (t) => {
    const own2 = await startUaServer({ t, counters: 3 });
    const probe = new Probe(t, own2.url, ['publishing=50', 'keep_alive=500', 'queue=100', 'watch=ns=1;s=Counter,3']);
    await until(() => probe.all('value').length === 3, 'the first values');
    await own2.do('emit', { ticks: 3, every: 30 });
    const from = probe.said.length;
    const begin = Date.now();
    await own2.do('restart', { downMs: 300 });
    await own2.do('emit', { ticks: 2, every: 30 });
    await probe.hear('gap', { from });
    await until(() => values(probe, 1).some((one) => one.value === '5'), () => JSON.stringify(probe.said.slice(from)));
    assert.ok(Date.now() - begin < 8000);
    const seen = values(probe, 1).map((one) => one.value);
    assert.equal(new Set(seen).size, seen.length, `nothing twice: ${seen}`);
    await probe.leave();
});

test('a server with few services and low limits', { skip }, async (t) => {
    const small = await startUaServer({ t, counters: 200, ...MINIMAL });
    const probe = new Probe(t, small.url, ['publishing=50', 'keep_alive=500', 'queue=10', 'quiet', 'watch=ns=1;s=Counter,200', 'watch=nsu=urn:nowhere;s=X', 'watch=ns=1;s=Missing']);
    await until(async () => (await probe.look()).values >= 200, 'a value of each');
    const look = await probe.look();
    assert.equal(look.good, 200);
    assert.deepEqual(probe.all('made').map(({ made, status }) => [made, status]), [[200, 'BadNodeIdUnknown'], [201, 'BadNodeIdUnknown']]);
    await small.do('endSessions');
    await until(async () => (await probe.look()).madeAnew >= 1, 'made anew');
    await until(async () => (await probe.look()).good === 200, 'all items again');
    await probe.leave();
});

test('a dead line is noticed', { skip }, async (t) => {
    const proxy = await startProxy({ t, port: Number(new URL(server.url.replace('opc.tcp', 'http')).port) });
    const probe = new Probe(t, `opc.tcp://127.0.0.1:${proxy.port}`, ['request_ms=700', 'session_ms=2000', 'publishing=50', 'keep_alive=300', 'silent=600', 'watch=ns=1;s=Counter,1']);
    await until(() => probe.all('value').length === 1, 'the first value');
    const from = probe.said.length;
    proxy.swallow();
    await probe.hear('down', { from });
    proxy.pass();
    await probe.hear('up', { from });
    await probe.leave();
});
