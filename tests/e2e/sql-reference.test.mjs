// The second implementation of streaming SQL gives what was derived by hand for every example, and the comparer can tell.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { difference, expectation, readAnswer } from '../sql/compare.mjs';
import { answer } from '../sql/reference.mjs';
import { SCALARS } from '../sql/reference/functions.mjs';
import { AGGREGATES } from '../sql/reference/resolve.mjs';
import { test } from './lib/bounded.mjs';

const examples = (name) => readFileSync(new URL(`../sql/${name}`, import.meta.url), 'utf8').split('\n').filter(Boolean);

for (const name of ['examples.jsonl', 'more.jsonl'])
    test(`the reference gives what ${name} expects`, () => {
        const wrong = examples(name).flatMap((line) => {
            const d = difference(expectation(line), answer(line));
            return d ? [`${JSON.parse(line).n} ${JSON.parse(line).name}: ${d}`] : [];
        });
        assert.deepEqual(wrong, []);
    });

test('there are enough of them, each with its basis', () => {
    const own = examples('more.jsonl').map((line) => JSON.parse(line));
    assert.equal(examples('examples.jsonl').length, 64);
    assert.ok(own.length >= 200, `${own.length}`);
    assert.deepEqual(own.filter((c) => !c.basis || !c.name).map((c) => c.n), []);
    assert.equal(new Set(own.map((c) => c.n)).size, own.length);
});

test('every function occurs in an example that gives rows', () => {
    const queries = ['examples.jsonl', 'more.jsonl'].flatMap(examples).map((line) => JSON.parse(line)).filter((c) => c.expect).map((c) => c.query.toUpperCase()).join('\n');
    const all = [...Object.keys(SCALARS), ...Object.keys(AGGREGATES), 'LAG', 'LAST', 'ISFIRST', 'GETARRAYELEMENTS', 'GETRECORDPROPERTIES', 'CAST', 'TRY_CAST'];
    assert.deepEqual(all.filter((name) => !new RegExp(`\\b${name}\\s*\\(`).test(queries)), []);
});

const CASE = '{"expect":[{"a":1,"b":"x"},{"a":2,"b":"y"},{"a":1.5,"b":"z"}],"counts":{"OutOfOrderEvent":1}';
const said = (rows, counts = '{"OutOfOrderEvent":1}') => readAnswer(`{"outputs":{"output":[${rows}]},"counts":${counts}}`);
const differs = (text, given) => difference(expectation(text), given) !== null;

test('the comparer sees what differs', () => {
    const right = '{"a":1,"b":"x"},{"a":2,"b":"y"},{"a":1.5,"b":"z"}';
    assert.equal(differs(`${CASE}}`, said(right)), false);
    assert.equal(differs(`${CASE}}`, said(right.replace('2', '2.0'))), false);
    assert.equal(differs(`${CASE},"types":true}`, said(right.replace('2', '2.0'))), true);
    for (const [from, to] of [['"x"', '"X"'], ['2', '3'], ['1.5', '1.50000001'], ['"a":1,', ''], [',{"a":2,"b":"y"}', ''], ['"a":1,"b":"x"', '"b":"x","a":1']])
        assert.equal(differs(`${CASE}}`, said(right.replace(from, to))), true, to);
    assert.equal(differs(`${CASE}}`, said(right, '{}')), true);
    assert.equal(differs(`${CASE}}`, said('{"a":2,"b":"y"},{"a":1,"b":"x"},{"a":1.5,"b":"z"}')), true);
    assert.equal(differs(`${CASE},"order":["b"]}`, said('{"a":2,"b":"y"},{"a":1,"b":"x"},{"a":1.5,"b":"z"}')), false);
    assert.equal(differs(`${CASE}}`, readAnswer('{"error":{"line":1,"column":1,"message":"no"}}')), true);
    const refused = '{"error":{"line":1,"column":8,"about":"foo"}}';
    assert.equal(differs(refused, readAnswer('{"error":{"line":1,"column":8,"message":"no Foo here"}}')), false);
    for (const other of ['"line":2,"column":8,"message":"foo"', '"line":1,"column":9,"message":"foo"', '"line":1,"column":8,"message":"bar"'])
        assert.equal(differs(refused, readAnswer(`{"error":{${other}}}`)), true, other);
});
