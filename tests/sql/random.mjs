// Random queries over random inputs: the engine must give what the reference gives.
//
//     node tests/sql/random.mjs ENGINE [SEED [COUNT]]     compares; prints the first cases that differ, made as small as they go
//     node tests/sql/random.mjs --print [SEED [COUNT]]    prints the cases
//
// A case is a function of its seed alone, and a run of a case's number and the run's seed.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { difference, readAnswer } from './compare.mjs';
import { answer } from './reference.mjs';
import { split } from './reference/json.mjs';
import { makeCase } from './random/cases.mjs';

export function* cases(seed, count) {
    for (let i = 0; i < count; i++) yield makeCase(seed * 1_000_003 + i);
}

/** What the reference gives for a case, as something to compare with. */
function wanted(line) {
    const a = answer(line);
    const order = /"order":(\[[^\]]*\])/.exec(line)?.[1];
    const rules = { order: order && JSON.parse(order), types: true, tolerance: 1e-9 };
    if (a.error) return { error: { line: a.error.line, column: a.error.column, about: [] }, rules };
    for (const name of ['EvaluationError', 'NonFiniteFloat']) delete a.counts[name];
    return { outputs: a.outputs, counts: a.counts, rules };
}

/** null, or how the engine's line differs from the reference. */
export function judge(line, said) {
    const actual = readAnswer(said);
    for (const name of ['EvaluationError', 'NonFiniteFloat']) delete actual.counts?.[name];
    return difference(wanted(line), actual);
}

export function runEngine(engine, lines) {
    const folder = mkdtempSync(join(tmpdir(), 'sql-'));
    try {
        const file = join(folder, 'cases.jsonl');
        writeFileSync(file, lines.map((l) => `${l}\n`).join(''));
        return execFileSync(engine, ['sql', '--cases', file], { encoding: 'utf8', maxBuffer: 1 << 30 }).split('\n').filter(Boolean);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** The cases that differ: [{ number, line, how }], at most `most`. */
export function compareAll(engine, lines, most = 5) {
    const said = runEngine(engine, lines), wrong = [];
    if (said.length !== lines.length) return [{ number: said.length, line: lines[said.length], how: `there are ${said.length} answers to ${lines.length} cases` }];
    for (let i = 0; i < lines.length && wrong.length < most; i++) {
        const how = judge(lines[i], said[i]);
        if (how) wrong.push({ number: i, line: lines[i], how });
    }
    return wrong;
}

/** Leaves out items of the inputs while the answers still differ. */
export function shrink(engine, line) {
    const differs = (l) => {
        try {
            return judge(l, runEngine(engine, [l])[0] ?? '{}') !== null;
        } catch {
            return true;
        }
    };
    for (let again = true; again;) {
        again = false;
        for (const smaller of withOneItemLess(line))
            if (differs(smaller)) {
                line = smaller;
                again = true;
                break;
            }
    }
    return line;
}

function* withOneItemLess(line) {
    const members = split(line), text = members.find(([k]) => k === 'input')[1];
    const inputs = text[0] === '[' ? [[null, text]] : split(text);
    for (const [n, [, list]] of inputs.entries()) {
        const items = split(list).map((x) => x[1]);
        for (let i = 0; i < items.length; i++) {
            const less = inputs.map(([k, l], m) => [k, m === n ? `[${items.filter((_, j) => j !== i)}]` : l]);
            const whole = less[0][0] === null ? less[0][1] : `{${less.map(([k, l]) => `${JSON.stringify(k)}:${l}`)}}`;
            yield `{${members.map(([k, v]) => `${JSON.stringify(k)}:${k === 'input' ? whole : v}`)}}`;
        }
    }
}

function main([engine, seed = '1', count = '1000']) {
    const lines = [...cases(Number(seed), Number(count))];
    if (engine === '--print') return console.log(lines.join('\n'));
    const wrong = compareAll(engine, lines);
    for (const { number, line, how } of wrong) {
        const small = shrink(engine, line);
        console.log(`case ${number}: ${how}\n${small}`);
        const a = answer(small);
        console.log(`reference: ${a.outputs ? `{"outputs":{${Object.entries(a.outputs).map(([k, rows]) => `"${k}":[${rows}]`)}},"counts":${JSON.stringify(a.counts)}}` : JSON.stringify(a)}`);
        console.log(`engine:    ${runEngine(engine, [small])[0]}\n`);
    }
    console.log(wrong.length ? `${wrong.length} or more of ${lines.length} differ` : `${lines.length} agree`);
    process.exitCode = wrong.length ? 1 : 0;
}

if (process.argv[1] === new URL(import.meta.url).pathname) main(process.argv.slice(2));
