// The second implementation of streaming SQL: plain, slow, by definition. `answer(line)` takes one case of the batch protocol
// (README.md) as text and gives the answer as an object; the rows of its outputs are texts of JSON, so that 1 and 1.0 stay apart.
//
//     node tests/sql/reference.mjs FILE      prints an answer for each line

import { readFileSync } from 'node:fs';
import { Failed, Refused } from './reference/errors.mjs';
import { lost } from './reference/evaluate.mjs';
import { events, read } from './reference/input.mjs';
import { parseValue, split, writeValue } from './reference/json.mjs';
import { parse } from './reference/parser.mjs';
import { forEachBranch, resolve, sourcesOf } from './reference/resolve.mjs';
import { cmp } from './reference/joins.mjs';
import { run } from './reference/run.mjs';

class Stopped extends Error {}

export function answer(line) {
    const member = new Map(split(line));
    const json = (name, otherwise) => member.has(name) ? JSON.parse(member.get(name)) : otherwise;
    const text = member.get('input') ?? '[]';
    const inputs = new Map(text[0] === '[' ? [['input', split(text).map((x) => x[1])]] : split(text).map(([k, v]) => [k, split(v).map((x) => x[1])]));
    const reference = new Map(split(member.get('reference') ?? '{}').map(([k, v]) => [k, parseValue(v)]));
    const config = json('config', {});
    try {
        const query = resolve(parse(json('query')), [...inputs.keys()], [...reference.keys()]);
        return execute(query, inputs, reference, config);
    } catch (error) {
        if (error instanceof Refused) return { error: { line: error.line, column: error.column, message: error.message } };
        if (error instanceof Stopped) return { stopped: error.message };
        throw error;
    }
}

function execute(query, inputs, reference, config) {
    const counts = {};
    lost.count = 0;
    const count = (name) => { counts[name] = (counts[name] ?? 0) + 1; };
    const failed = (error) => {
        if (config.on_error === 'stop') throw new Stopped(error.message);
        count('EvaluationError');
    };
    const rows = readers(query, inputs, config, count);
    const keys = [...new Set([...rows.values()].flatMap((list) => list.map((r) => r.key)))];
    const names = [...new Set(query.selects.map((s) => s.into ?? 'output'))];
    const outputs = new Map(names.map((n) => [n, []]));
    // Each key of TIMESTAMP BY ... OVER is a world of its own; without OVER there is one.
    for (const key of keys.length ? keys : ['']) {
        const job = {
            ci: config.collation === 'ci', failed, reference: (name) => reference.get(name),
            read: (source) => rows.get(readerOf(source)).filter((r) => r.key === key),
        };
        for (const [name, list] of run(query, job)) outputs.get(name).push(...list);
    }
    const write = (r) => writeValue(r.fields, { lowercase: config.edge_lowercase, nonFinite: () => count('NonFiniteFloat') });
    const texts = Object.fromEntries([...outputs].map(([n, list]) => [n, list.sort((a, b) => cmp(a.time, b.time)).map(write)]));
    if (lost.count) counts.NonFiniteFloat = (counts.NonFiniteFloat ?? 0) + lost.count;
    return { outputs: texts, counts };
}

const readerOf = (source) => `${source.found}\n${source.timing ?? ''}`;

/** Each input is read once for each TIMESTAMP BY that is different. */
function readers(query, inputs, config, count) {
    const parsed = new Map(), rows = new Map();
    const all = [];
    for (const s of [...query.steps.map((x) => x.select), ...query.selects]) forEachBranch(s, (b) => all.push(...sourcesOf(b)));
    for (const source of all.filter((s) => s.kind === 'input')) {
        if (!parsed.has(source.found)) {
            const columns = query.tables.filter((t) => t.input === source.found).flatMap((t) => t.columns);
            parsed.set(source.found, events(inputs.get(source.found), columns, count));
        }
        if (!rows.has(readerOf(source))) rows.set(readerOf(source), read(source, parsed.get(source.found), config, count));
    }
    return rows;
}

if (process.argv[1] === new URL(import.meta.url).pathname)
    for (const line of readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean)) {
        const a = answer(line);
        const { outputs } = a;
        console.log(outputs ? `{"outputs":{${Object.entries(outputs).map(([n, rows]) => `${JSON.stringify(n)}:[${rows.join(',')}]`).join(',')}},"counts":${JSON.stringify(a.counts)}}` : JSON.stringify(a));
    }

export { Failed };
