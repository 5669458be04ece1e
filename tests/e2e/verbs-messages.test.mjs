// `fieldgate pub` and `fieldgate sub` beside mosquitto_pub and mosquitto_sub, on our node and on Debian's mosquitto: the same
// flags mean the same, byte for byte.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { startMosquitto, unique } from './lib/peer.mjs';
import { run, start } from './lib/process.mjs';
import { sleep, until } from './lib/wait.mjs';

const brokers = {};
before(async () => {
    brokers.node = await startNode();
    brokers.mosquitto = await startMosquitto();
});
after(async () => {
    await brokers.node?.stop();
    await brokers.mosquitto?.stop();
});

const fieldgate = (verb, port, ...args) => run(FIELDGATE, [verb, '-p', String(port), ...args]);

/** Starts a subscriber of either kind, waits until its subscription stands, and gives a function that waits for its end. */
async function subscribe(program, port, topic, args) {
    const base = program === 'mosquitto' ? ['mosquitto_sub', '-V', '5'] : [FIELDGATE, 'sub'];
    const it = start(base[0], [...base.slice(1), '-p', String(port), '-t', topic, '-W', '10', ...args]);
    await sleep(250);
    return async () => {
        const { code } = await it.exited;
        return { code, out: it.out, err: it.err };
    };
}

// ---- sub prints what mosquitto_sub prints ----

const PATTERN = '%t|%q|%r|%l|%x|%X|%C|%R|%D|%E|%F|%P|%S|%A|%20t|%05l|%-6l|%%|@@|\\t\\\\';
const cases = [[], ['-v'], ['-N'], ['-N', '-v'], ['-F', '%p'], ['-N', '-F', '%p'], ['-F', PATTERN], ['-q', '1', '-v'], ['-q', '2', '-F', '%q %t']];

for (const name of ['node', 'mosquitto'])
    for (const args of cases)
        test(`sub ${args.join(' ')} prints what mosquitto_sub does, on ${name}`, async () => {
            const { mqttPort: port } = brokers[name];
            const topic = unique('same');
            const waits = await Promise.all(['mosquitto', 'fieldgate'].map((p) => subscribe(p, port, `${topic}/#`, ['-C', '4', ...args])));
            await run('mosquitto_pub', ['-p', String(port), '-V', '5', '-q', '2', '-t', `${topic}/é`, '-m', '{"a":1}',
                ...['content-type ct', 'response-topic rt', 'correlation-data cd', 'payload-format-indicator 1', 'message-expiry-interval 99',
                    'user-property k v', 'user-property k w'].flatMap((p) => ['-D', 'publish', ...p.split(' ')])]);
            await run('mosquitto_pub', ['-p', String(port), '-V', '5', '-q', '2', '-t', `${topic}/lines`, '-l'], { input: 'x\n\ny y\n' });
            const [theirs, ours] = await Promise.all(waits.map((wait) => wait()));
            assert.equal(theirs.code, 0, theirs.err.join('\n'));
            assert.equal(ours.code, 0, ours.err.join('\n'));
            assert.deepEqual(ours.out, theirs.out);
            assert.ok(theirs.out.length >= 1);
        });

// The time and the identifier are each client's own.
const masked = (line) => ({ ...JSON.parse(line), tst: 'T', mid: 0 });

for (const code of ['%j', '%J'])
    test(`sub -F ${code} is the same JSON`, async () => {
        const { mqttPort: port } = brokers.node;
        const topic = unique('json');
        const waits = await Promise.all(['mosquitto', 'fieldgate'].map((p) => subscribe(p, port, topic, ['-q', '1', '-C', '2', '-F', code])));
        await fieldgate('pub', port, '-t', topic, '-m', '{"a":[1,"é"]}', '-q', '1', '--content-type', 'x', '--user-property', 'k=v');
        await fieldgate('pub', port, '-t', topic, '-n');
        const [theirs, ours] = await Promise.all(waits.map((wait) => wait()));
        assert.deepEqual(ours.out.map(masked), theirs.out.map(masked));
        for (const line of ours.out) assert.match(line, /"tst":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z[+-]\d{4}"/);
    });

test('retained: -R, --retained-only, --remove-retained and -T mean the same', async () => {
    for (const name of ['node', 'mosquitto']) {
        const { mqttPort: port } = brokers[name];
        const topic = unique('kept');
        const both = async (args, live) => {
            const waits = await Promise.all(['mosquitto', 'fieldgate'].map((p) => subscribe(p, port, `${topic}/#`, ['-v', ...args])));
            if (live) await fieldgate('pub', port, '-t', `${topic}/live`, '-m', 'live');
            const [theirs, ours] = await Promise.all(waits.map((wait) => wait()));
            assert.deepEqual([...ours.out].sort(), [...theirs.out].sort(), `${name}: ${args.join(' ')}`);
            return ours.out;
        };
        for (const n of [1, 2, 3]) await fieldgate('pub', port, '-t', `${topic}/${n}`, '-m', `value ${n}`, '-r', '-q', '1');
        assert.deepEqual(await both(['-R', '-C', '1'], true), [`${topic}/live live`]);
        assert.equal((await both(['--retained-only'], true)).length, 3);
        assert.equal((await both(['-T', `${topic}/2`, '-C', '2'])).length, 2);
        const cleared = await fieldgate('sub', port, '-t', `${topic}/#`, '-v', '--remove-retained', '--retained-only', '-T', `${topic}/3`, '-C', '2');
        assert.equal(cleared.code, 0, cleared.err.join('\n'));
        const left = await run('mosquitto_sub', ['-p', String(port), '-t', `${topic}/#`, '-v', '-W', '1']);
        assert.deepEqual(left.out, [`${topic}/3 value 3`]);
    }
});

test('-E ends after the SUBACK, -U takes a subscription back, -c with -i finds the session again', async () => {
    for (const name of ['node', 'mosquitto']) {
        const { mqttPort: port } = brokers[name];
        const topic = unique('session');
        const id = unique('who');
        assert.equal((await fieldgate('sub', port, '-t', `${topic}/#`, '-t', `${topic}-b`, '-q', '1', '-c', '-i', id, '-E')).code, 0);
        for (const n of [1, 2]) await fieldgate('pub', port, '-t', `${topic}/${n}`, '-m', `${n}`, '-q', '1');
        const got = await fieldgate('sub', port, '-t', `${topic}/#`, '-q', '1', '-c', '-i', id, '-C', '2', '-W', '5');
        assert.deepEqual([got.code, got.out], [0, ['1', '2']]);
        assert.equal((await fieldgate('sub', port, '-U', `${topic}/#`, '-c', '-i', id, '-E')).code, 0);
        await fieldgate('pub', port, '-t', `${topic}/3`, '-m', 'unwanted', '-q', '1');
        await fieldgate('pub', port, '-t', `${topic}-b`, '-m', 'wanted', '-q', '1');
        const rest = await fieldgate('sub', port, '-t', `${topic}-b`, '-q', '1', '-c', '-i', id, '-C', '1', '-W', '5', '-x', '0');
        assert.deepEqual([rest.code, rest.out], [0, ['wanted']]);
    }
});

test('-W before -C was reached is status 1, a filter that is none is 2, nobody there is 3', async () => {
    const { mqttPort: port } = brokers.node;
    assert.equal((await fieldgate('sub', port, '-t', unique('none'), '-C', '1', '-W', '1')).code, 1);
    assert.equal((await fieldgate('sub', port, '-t', unique('none'), '-W', '0.2')).code, 0);
    assert.equal((await fieldgate('sub', port, '-t', 'a#')).code, 2);
    for (const args of [['sub', '-t', 'a'], ['pub', '-t', 'a', '-n'], ['bench', '--quiet']]) {
        const end = await run(FIELDGATE, [...args, '-p', '1']);
        assert.deepEqual([args[0], end.code], [args[0], 3]);
        assert.match(end.err.join('\n'), /127\.0\.0\.1:1: Connection refused.*fieldgate run/);
    }
});

// ---- pub sends what mosquitto_pub sends ----

const SHOWN = '%t|%q|%x|%C|%R|%D|%E|%F|%P';

for (const version of ['5', '311', '31'])
    test(`pub sends what mosquitto_pub does, version ${version}`, async () => {
        const { mqttPort: port } = brokers.node;
        const topic = unique('pub');
        const home = tempFolder();
        writeFileSync(join(home, 'body'), Buffer.from([0, 255, 10, 13, 10]));
        const properties = ['-D', 'publish', 'content-type', 'ct', '-D', 'PUBLISH', 'user-property', 'k', 'v', '-D', 'publish', 'message-expiry-interval', '50'];
        const lines = [
            [['-m', 'text'], undefined], [['-n'], undefined], [['-f', join(home, 'body')], undefined], [['-s'], 'all\nof it\n'],
            [['-l'], 'one\n\nthree\nwithout an end'], [['-l'], ''], [['-m', 'x', '--repeat', '3', '--repeat-delay', '0.01'], undefined],
            ...(version === '5' ? [[['-m', 'x', ...properties], undefined]] : []),
        ];
        for (const [args, input] of lines)
            for (const qos of ['0', '1', '2']) {
                const got = {};
                for (const program of ['mosquitto', 'fieldgate']) {
                    const sub = start('stdbuf', ['-oL', 'mosquitto_sub', '-p', String(port), '-V', '5', '-q', '2', '-t', `${topic}/+`, '-F', SHOWN, '-d']);
                    await until(() => sub.out.some((line) => line.startsWith('Subscribed')), 'mosquitto_sub gets its SUBACK');
                    const flags = ['-p', String(port), '-V', version, '-q', qos, '-t', `${topic}/t`, ...args];
                    const end = program === 'mosquitto' ? await run('mosquitto_pub', flags, { input }) : await run(FIELDGATE, ['pub', ...flags], { input });
                    assert.equal(end.code, 0, `${program} ${flags.join(' ')}: ${end.err.join('\n')}`);
                    await run('mosquitto_pub', ['-p', String(port), '-q', '2', '-t', `${topic}/end`, '-m', 'end']);
                    await until(() => sub.out.some((line) => line.startsWith(`${topic}/end`)), 'the end comes');
                    got[program] = sub.out.filter((line) => line.startsWith(`${topic}/t|`));
                    await sub.kill();
                }
                assert.deepEqual(got.fieldgate, got.mosquitto, `${args.join(' ')} -q ${qos}`);
            }
    });

test('each line of -l leaves when it is typed, and the connection lives while nobody types', async () => {
    const { mqttPort: port } = brokers.node;
    const topic = unique('typed');
    const sub = start(FIELDGATE, ['sub', '-p', String(port), '-t', topic]);
    await sleep(300);
    const pub = start('sh', ['-c', `(echo one; sleep 4; echo two) | ${FIELDGATE} pub -p ${port} -t ${topic} -l -k 1 --repeat-delay 0 -W 1`]);
    await until(() => sub.out.length === 1, 'the first line comes at once', 3000);
    assert.equal((await pub.exited).code, 0, pub.err.join('\n'));
    await until(() => sub.out.length === 2, 'and the second');
    assert.deepEqual(sub.out, ['one', 'two']);
    await sub.kill();
});

test('properties by name arrive', async () => {
    for (const name of ['node', 'mosquitto']) {
        const { mqttPort: port } = brokers[name];
        const topic = unique('named');
        const wait = await subscribe('fieldgate', port, topic, ['-o', 'json', '-C', '1']);
        const end = await fieldgate('pub', port, '-t', topic, '-m', 'x', '--content-type', 'text/plain', '--response-topic', 'r', '--correlation-data', 'c',
            '--user-property', 'a=1', '--user-property', 'b=2=3', '--expiry', '1m');
        assert.equal(end.code, 0, end.err.join('\n'));
        const { time, ...got } = JSON.parse((await wait()).out[0]);
        assert.match(time, /^20\d\d-.*Z$/);
        assert.deepEqual(got, { topic, qos: 0, retain: false, contentType: 'text/plain', responseTopic: 'r', correlation: 'c', expirySeconds: 60,
            properties: [['a', '1'], ['b', '2=3']], payload: 'x' });
    }
});

test('a topic alias stands for the topic from the second message on', async () => {
    const { mqttPort: port } = brokers.mosquitto;
    const topic = unique('alias');
    const wait = await subscribe('fieldgate', port, topic, ['-v', '-C', '4']);
    for (const args of [['--topic-alias', '4'], ['-D', 'publish', 'topic-alias', '4']])
        assert.equal((await fieldgate('pub', port, '-t', topic, '-m', 'x', '-q', '1', '--repeat', '2', ...args)).code, 0);
    assert.deepEqual((await wait()).out, Array(4).fill(`${topic} x`));
    const high = await fieldgate('pub', port, '-t', topic, '-m', 'x', '--topic-alias', '65535');
    assert.deepEqual([high.code, /takes topic aliases up to 10, not 65535/.test(high.err.join())], [1, true]);
});

test('a will is published when the client dies', async () => {
    const { mqttPort: port } = brokers.node;
    const topic = unique('will');
    const wait = await subscribe('fieldgate', port, topic, ['-v', '-C', '1']);
    const dying = start(FIELDGATE, ['sub', '-p', String(port), '-t', unique('any'), '--will-topic', topic, '--will-payload', 'gone', '--will-qos', '1']);
    await sleep(300);
    await dying.kill('SIGKILL');
    assert.deepEqual((await wait()).out, [`${topic} gone`]);
});

// ---- watching ----

test('--watch prints a plain line per change where there is no terminal', async () => {
    const { mqttPort: port } = brokers.node;
    const topic = unique('watched');
    const wait = await subscribe('fieldgate', port, `${topic}/+`, ['--watch', '-C', '3']);
    for (const [name, value] of [['a', '21.1'], ['b', 'on'], ['a', '21.4']]) await fieldgate('pub', port, '-t', `${topic}/${name}`, '-m', value);
    const { out } = await wait();
    assert.deepEqual(out.map((line) => line.split('\t').slice(0, 3)), [[`${topic}/a`, '21.1', ''], [`${topic}/b`, 'on', ''], [`${topic}/a`, '21.4', '(+0.3)']]);
});

test('--watch rewrites its lines in place on a terminal', async () => {
    const { mqttPort: port } = brokers.node;
    const topic = unique('drawn');
    const typescript = join(tempFolder(), 'out');
    const wait = start('script', ['-qec', `${FIELDGATE} sub -p ${port} -t '${topic}/+' --watch -W 3`, typescript], { env: { TERM: 'xterm' } });
    await sleep(600);
    for (const value of ['1', '2']) await fieldgate('pub', port, '-t', `${topic}/n`, '-m', value);
    await wait.exited;
    const text = wait.out.join('\n');
    assert.match(text, /TOPIC +VALUE +CHANGE +AGE +RATE/);
    assert.ok(text.includes('\x1b[2A'), 'it goes up to the heading');
    assert.match(text, new RegExp(`${topic}/n +2 +\\(\\+1\\)`));
    // Ten drawings a second at most: the heading is in each.
    const drawn = text.split('TOPIC ').length - 1;
    assert.ok(drawn <= 35, `${drawn} drawings in 3 s`);
});

test('--rate counts per filter and per topic', async () => {
    const { mqttPort: port } = brokers.node;
    const topic = unique('rate');
    const filters = start(FIELDGATE, ['sub', '-p', String(port), '-t', `${topic}/#`, '-t', `${topic}/none`, '--rate', '-o', 'json', '-W', '3.5']);
    const topics = start(FIELDGATE, ['sub', '-p', String(port), '-t', `${topic}/#`, '--rate', '-v', '-o', 'json', '-W', '3.5']);
    await sleep(300);
    await run(FIELDGATE, ['pub', '-p', String(port), '-t', `${topic}/a`, '-m', '12345', '--repeat', '20']);
    const sum = (lines, key, value) => lines.map((l) => JSON.parse(l)).filter((l) => l[key] === value);
    await Promise.all([filters.exited, topics.exited]);
    const [all, none, one] = [sum(filters.out, 'filter', `${topic}/#`), sum(filters.out, 'filter', `${topic}/none`), sum(topics.out, 'topic', `${topic}/a`)];
    assert.ok(all.length >= 2 && none.length === all.length && one.length >= 1);
    assert.ok(Math.max(...all.map((l) => l.messagesPerSecond)) > 5);
    assert.ok(Math.max(...one.map((l) => l.bytesPerSecond)) > 25);
    assert.ok(none.every((l) => l.messagesPerSecond === 0));
});

test('simulate ends in order at the first Ctrl-C, and at the second though nothing is acknowledged any more', async () => {
    let published = false;
    const silent = createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (bytes) => {
            if (bytes[0] === 0x10) socket.write(Buffer.from([0x20, 3, 0, 0, 0]));
            published ||= bytes[0] >> 4 === 3;
        });
    }).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    try {
        const it = start(FIELDGATE, ['simulate', '-p', String(silent.address().port), '-q', '1', '--quiet']);
        await until(() => published, 'a reading is published');
        it.child.kill('SIGINT');
        await sleep(1000);
        assert.equal(it.ended, false, 'it waits for what is not acknowledged');
        const { code } = await it.kill('SIGINT');
        assert.equal(code, 1);
        assert.match(it.out.at(-1), /^\d+ sent, 0 acknowledged, 0 refused$/);
    } finally {
        silent.close();
    }
});
