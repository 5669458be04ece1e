// The streaming SQL engine before its judges: the worked examples, ours, and random queries against the second implementation.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { difference, expectation, readAnswer } from '../sql/compare.mjs';

const binary = process.env.FIELDGATE ?? 'build/fieldgate';
const folder = fileURLToPath(new URL('../sql/', import.meta.url));

function answers(file) {
    const r = spawnSync(binary, ['sql', '--cases', file], { encoding: 'utf8', maxBuffer: 1 << 28 });
    assert.equal(r.status, 0, r.stderr);
    return r.stdout.trim().split('\n');
}

for (const name of ['examples', 'more'])
    test(`${name}.jsonl: every case`, () => {
        const lines = readFileSync(`${folder}${name}.jsonl`, 'utf8').trim().split('\n'), got = answers(`${folder}${name}.jsonl`);
        const wrong = lines.map((line, i) => [i, difference(expectation(line), readAnswer(got[i] ?? '{}'))]).filter(([, d]) => d);
        assert.deepEqual(wrong.map(([i, d]) => `${JSON.parse(lines[i]).n}: ${d}`), []);
        assert.ok(lines.length >= 64);
    });

for (const seed of [1, 2])
    test(`5,000 random cases from seed ${seed} give what the second implementation gives`, () => {
        const r = spawnSync(process.execPath, [`${folder}random.mjs`, binary, String(seed), '5000'], { encoding: 'utf8', maxBuffer: 1 << 28 });
        assert.equal(r.status, 0, r.stdout.slice(0, 4000) + r.stderr);
        assert.match(r.stdout, /5000 agree/);
    });
