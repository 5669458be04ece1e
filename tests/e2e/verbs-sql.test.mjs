// `fieldgate sql`: a query over files and standard input; and the engine's judges (tests/sql): a run that is saved and loaded after every
// message answers as one that is not.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const binary = process.env.FIELDGATE ?? 'build/fieldgate';
const cases = fileURLToPath(new URL('../sql/', import.meta.url));

function sql(args, input) {
    const r = spawnSync(binary, ['sql', ...args], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
    return { out: r.stdout, err: r.stderr, status: r.status };
}

function folder(t) {
    const dir = mkdtempSync(join(tmpdir(), 'fieldgate-sql-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    return (name, text) => {
        writeFileSync(join(dir, name), text);
        return join(dir, name);
    };
}

test('lines of JSON, a document and CSV from standard input give the same rows', () => {
    const query = 'SELECT id, v + 1 AS w FROM input WHERE v > 1';
    const rows = '{"id":"a","w":3}\n{"id":"c","w":3.5}\n';
    assert.deepEqual(sql([query], '{"id":"a","v":2}\n\n{"id":"b","v":1}\r\n{"id":"c","v":2.5}'), { out: rows, err: '', status: 0 });
    assert.deepEqual(sql([query], '[\n {"id":"a","v":2},\n {"id":"b","v":1},\n {"id":"c","v":2.5}\n]\n'), { out: rows, err: '', status: 0 });
    assert.deepEqual(sql([query], '{\n "id":"a","v":2}\n{"id":"b",\n"v":1}{"id":"c","v":2.5}\n'), { out: rows, err: '', status: 0 });
    assert.deepEqual(sql([query], 'id,v\na,2\n"b",1\r\nc,2.5\n'), { out: rows, err: '', status: 0 });
    assert.deepEqual(sql([query], ''), { out: '', err: '', status: 0 });
});

test('CSV: quotes, empty fields, numbers that are none', () => {
    const r = sql(['SELECT * FROM input'], 'a,b,c\n"x, ""y""",,007\n1e3,-0.5,12345678901234567890\n"2",true,\n');
    assert.equal(r.out, '{"a":"x, \\"y\\"","b":null,"c":"007"}\n{"a":1000.0,"b":-0.5,"c":"12345678901234567890"}\n{"a":"2","b":"true","c":null}\n');
    assert.equal(sql(['SELECT * FROM input'], 'a,b\n1,2,3\n4,5\n').status, 4);
});

test('CSV: fields that something else separates are not taken for one column', (t) => {
    const file = folder(t), q = 'SELECT a, b FROM input', row = '{"a":1,"b":"x, y"}\n';
    for (const [mark, said, words] of [[';', ';', "';'"], ['\t', 'tab', 'a tab'], ['|', '|', "'|'"]]) {
        const text = `a${mark}b\n1${mark}x, y\n`;
        const wrong = sql([q], text);
        assert.deepEqual([wrong.out, wrong.status], ['', 2]);
        assert.ok(wrong.err.includes(`-: the header line has no comma but ${words}: is that what separates its fields? Then say --separator ${said === 'tab' ? said : `'${said}'`}`), wrong.err);
        assert.deepEqual(sql([q, '--separator', said], text), { out: row, err: '', status: 0 });
        assert.deepEqual(sql([q, '--separator', said, file('a.csv', text), file('b.csv', text)]), { out: row + row, err: '', status: 0 });
    }
    assert.equal(sql(['SELECT * FROM input', '--separator', ','], 'a;b\n1;2\n').out, '{"a;b":"1;2"}\n');
    assert.equal(sql(['SELECT * FROM input'], '"a;b"\n1\n').out, '{"a;b":1}\n');
    assert.equal(sql(['SELECT * FROM input'], 'a;b,c\n1,2\n').out, '{"a;b":1,"c":2}\n');
    for (const no of ['', 'ab', '"', '.', '1', '\n', 'ä']) assert.equal(sql([q, '--separator', no], 'a,b\n').status, 2, no);
    const ref = sql(['SELECT r.b FROM input i JOIN names r ON i.id = r.a', '-r', `names=${file('n.csv', 'a;b\n1;x\n')}`], '{"id":1}');
    assert.match(ref.err, /n\.csv: the header line has no comma but ';'/);
    assert.equal(ref.status, 1);
});

test('CSV: a record that is not UTF-8 is dropped and told, and of two columns with one name none is lost in silence', (t) => {
    const file = folder(t);
    const latin1 = Buffer.from('name,v\nM\xfcller,1\nok,2\n', 'latin1');
    const r = sql(['SELECT * FROM input'], latin1);
    assert.equal(r.out, '{"name":"ok","v":2}\n');
    assert.match(r.err, /InputDeserializationError: -, record 2: bytes that are not UTF-8/);
    assert.equal(r.status, 4);
    assert.match(sql(['SELECT * FROM input'], Buffer.from('gr\xf6sse,v\n1,2\n', 'latin1')).err, /bytes that are not UTF-8/);
    assert.match(sql(['SELECT * FROM input'], 'a,b,a\n1,2,3\n').err, /columns 1 and 3 have one name in the header line/);
    const q = 'SELECT r.name FROM input i JOIN names r ON i.id = r.v';
    assert.match(sql([q, '-r', `names=${file('names.csv', latin1)}`], '{"id":1}').err, /bytes that are not UTF-8/);
});

test('files follow each other as one input, and several inputs are read by their times', (t) => {
    const file = folder(t);
    const a = file('a.jsonl', '{"t":"2024-01-01T00:00:01Z","v":1}\n'), b = file('b.jsonl', '{"t":"2024-01-01T00:00:03Z","v":2}\n');
    const q = 'SELECT COUNT(*) AS c FROM input TIMESTAMP BY t GROUP BY Tumbling(second, 5)';
    assert.equal(sql([q, a, b]).out, '{"c":2}\n');
    const union = 'SELECT v FROM x TIMESTAMP BY t UNION SELECT v FROM y TIMESTAMP BY t';
    assert.equal(sql([union, '--input', `y=${a}`, '-i', `X=${b}`]).out, '{"v":1}\n{"v":2}\n');
    const r = sql([union, a]);
    assert.equal(r.status, 2);
    assert.match(r.err, /2 inputs: say where they come from, --input x=FILE/);
    assert.match(sql([union, '-i', `z=${a}`]).err, /no input of this name/);
});

test('reference data, several outputs, and a query from a file', (t) => {
    const file = folder(t);
    const ref = file('names.csv', 'id,name\n1,press\n'), query = file('two.sql', '-- two outputs\nSELECT i.id, r.name INTO a FROM input i JOIN names r ON i.id = r.id SELECT id INTO b FROM input\n');
    assert.equal(sql([query, '--reference', `names=${ref}`], '{"id":1}\n{"id":2}\n').out, 'a\t{"id":1,"name":"press"}\nb\t{"id":1}\nb\t{"id":2}\n');
    assert.equal(sql([query, '--reference', `names=${ref}`, '--output', 'b'], '{"id":1}\n').out, '{"id":1}\n');
    assert.match(sql([query, '--reference', `names=${ref}`, '--output', 'c'], '').err, /no such output/);
});

test('a wrong query says where and what, with status 2', (t) => {
    const file = folder(t);
    const query = file('humidity.sql', "SELECT deviceId,\n  AnomalyDetection_SpikeAndDip(Humidity, 0.8, 120, 'spikes') OVER (LIMIT DURATION(second, 120)) AS s\nFROM opcua\n");
    const r = sql([query], '');
    assert.equal(r.status, 2);
    assert.equal(r.err, 'FG6104 humidity.sql:2:42 confidence is a percentage from 1 to 100, got 0.8. Did you mean 80?\n');
    assert.equal(sql(['SELECT FROM x'], '').status, 2);
    assert.equal(sql(['no-such-file.sql'], '').status, 1);
    assert.equal(sql([]).status, 2);
});

test('what is dropped is told once, counted, and gives status 4', () => {
    const r = sql(['SELECT v + 1 AS w FROM input'], '{"v":1}\n{"v":"x"}\n{"v":\n{"v":"y"}\n{"v":2}\n');
    assert.equal(r.status, 4);
    assert.equal(r.out, '{"w":2}\n{"w":3}\n');
    assert.equal(r.err.match(/EvaluationError/g).length, 2);
    assert.match(r.err, /EvaluationError: 2 in all/);
    assert.match(r.err, /InputDeserializationError/);
    const quiet = sql(['-q', 'SELECT v + 1 AS w FROM input'], '{"v":"x"}\n');
    assert.deepEqual([quiet.err, quiet.status], ['', 4]);
    assert.equal(sql(['--stop-on-error', 'SELECT v + 1 AS w FROM input'], '{"v":"x"}\n{"v":1}\n').status, 1);
});

test('rows leave while the input stays open, and windows close by the clock', async (t) => {
    const child = spawn(binary, ['sql', 'SELECT v FROM input']);
    t.after(() => child.kill());
    child.stdin.write('{"v":1}\n');
    const [first] = await Promise.race([new Promise((done) => child.stdout.once('data', (d) => done([d]))), new Promise((done) => setTimeout(done, 10_000, ['late']))]);
    assert.equal(String(first), '{"v":1}\n');
    child.stdin.end();
    const window = spawn(binary, ['sql', 'SELECT COUNT(*) AS c FROM input GROUP BY Tumbling(second, 1)']);
    t.after(() => window.kill());
    window.stdin.write('{"v":1}\n');
    const [row] = await Promise.race([new Promise((done) => window.stdout.once('data', (d) => done([d]))), new Promise((done) => setTimeout(done, 10_000, ['late']))]);
    assert.equal(String(row), '{"c":1}\n');
    window.stdin.end();
});

test('a reader that goes away ends it', async () => {
    const child = spawn('bash', ['-c', `yes '{"v":1}' | ${binary} sql 'SELECT v FROM input' | head -1`]);
    let out = '';
    child.stdout.on('data', (d) => { out += d; });
    const code = await new Promise((done) => child.on('close', done));
    assert.deepEqual([out, code], ['{"v":1}\n', 0]);
});

test('--explain prints the plan', () => {
    const r = sql(['--explain', 'SELECT k, AVG(v) AS a INTO o FROM input TIMESTAMP BY t WHERE v > 1 GROUP BY k, Hopping(minute, 5, 1)']);
    assert.equal(r.status, 0);
    assert.match(r.out, /read input: t, v, k; time from the event, late by up to 5 s/);
    assert.match(r.out, /hopping 5 min every 1 min; 1 key, 1 aggregate/);
    assert.match(r.out, /write to o/);
});

for (const name of ['examples', 'more'])
    test(`${name}: saved and loaded after every message, the answers are the same`, () => {
        const file = `${cases}${name}.jsonl`;
        const plain = sql(['--cases', file]), resumed = sql(['--cases', file, '--resume']);
        assert.equal(plain.status, 0, plain.err);
        assert.equal(plain.out.split('\n').length - 1, readFileSync(file, 'utf8').trim().split('\n').length);
        assert.equal(resumed.out, plain.out);
    });
