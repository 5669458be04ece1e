// When an answer is what a case expects. Values are compared as they were spelled, with the reader of the reference.

import { parseValue, split } from './reference/json.mjs';
import { identity } from './reference/values.mjs';

const TOLERANCE = 1e-12;

/** The answer of an engine (one line of JSON), with rows as texts: what reference.mjs's answer() gives. */
export function readAnswer(line) {
    const member = new Map(split(line));
    const json = (name) => member.has(name) ? JSON.parse(member.get(name)) : undefined;
    if (!member.has('outputs')) return { error: json('error'), stopped: json('stopped') };
    return { outputs: Object.fromEntries(split(member.get('outputs')).map(([n, rows]) => [n, split(rows).map((x) => x[1])])), counts: json('counts') ?? {} };
}

/** What a case (a line of a file of examples) expects, in the same form; counts undefined when it does not say. */
export function expectation(line) {
    const member = new Map(split(line));
    const json = (name) => member.has(name) ? JSON.parse(member.get(name)) : undefined;
    const rules = { order: json('order'), types: json('types'), tolerance: json('tolerance') ?? TOLERANCE };
    if (member.has('error')) return { error: json('error'), rules };
    if (member.has('stopped')) return { stopped: json('stopped'), rules };
    const expect = member.get('expect');
    const lists = expect[0] === '[' ? null : split(expect);
    const rows = (text) => split(text).map((x) => x[1]);
    return { outputs: lists && Object.fromEntries(lists.map(([n, text]) => [n, rows(text)])), only: lists ? null : rows(expect), counts: json('counts'), rules };
}

/** null when they agree, else a sentence. */
export function difference(expected, actual) {
    const { rules } = expected;
    if (expected.error) return refusal(expected.error, actual);
    if (expected.stopped !== undefined) {
        const said = actual.stopped?.toLowerCase();
        return said?.includes(expected.stopped.toLowerCase()) ? null : `expected to stop with "${expected.stopped}", got ${show(actual)}`;
    }
    if (!actual.outputs) return `expected rows, got ${show(actual)}`;
    const wanted = expected.outputs ?? { [Object.keys(actual.outputs)[0]]: expected.only };
    if (Object.keys(wanted).sort().join() !== Object.keys(actual.outputs).sort().join())
        return `expected outputs ${Object.keys(wanted)}, got ${Object.keys(actual.outputs)}`;
    for (const [name, rows] of Object.entries(wanted)) {
        const d = listDifference(rows, actual.outputs[name], rules);
        if (d) return `${name}: ${d}`;
    }
    return expected.counts ? countsDifference(expected.counts, actual.counts) : null;
}

const show = (x) => JSON.stringify(x).slice(0, 400);

function refusal(expected, actual) {
    if (!actual.error) return `expected to be refused for ${expected.about}, got ${show(actual)}`;
    const { line, column, message } = actual.error;
    const columns = [expected.column].flat();
    if (line !== expected.line || !columns.includes(column)) return `expected line ${expected.line} column ${columns.join(' or ')}, got ${line}:${column} (${message})`;
    const missing = [expected.about].flat().find((word) => !message.toLowerCase().includes(word.toLowerCase()));
    return missing === undefined ? null : `the message does not speak of "${missing}": ${message}`;
}

const ONLY_WHETHER = ['EvaluationError', 'NonFiniteFloat'];

function countsDifference(expected, actual) {
    for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
        const [e, a] = [expected[name] ?? 0, actual[name] ?? 0];
        if (ONLY_WHETHER.includes(name) ? (e > 0) !== (a > 0) : e !== a) return `count ${name}: expected ${e}, got ${a}`;
    }
    return null;
}

function listDifference(expected, actual, rules) {
    if (expected.length !== actual.length) return `expected ${expected.length} rows, got ${actual.length}: ${actual.slice(0, 5).join(' ')}`;
    const e = lists(expected, rules.order), a = lists(actual, rules.order);
    for (const [key, rows] of e) {
        const other = a.get(key) ?? [];
        for (const [i, row] of rows.entries()) {
            if (other[i] === undefined) return `expected ${row.text}, there is none`;
            const at = same(row.value, other[i].value, rules);
            if (at !== null) return `row ${i}${key ? ` of ${key}` : ''}: expected ${row.text}, got ${other[i].text} (${at || 'the row'})`;
        }
    }
    return null;
}

/** The rows, apart by the columns in which there is an order. */
function lists(texts, order) {
    const out = new Map();
    for (const text of texts) {
        const value = parseValue(text);
        const key = (order ?? []).map((c) => identity(value.get(c) ?? null)).join('|');
        if (!out.has(key)) out.set(key, []);
        out.get(key).push({ text, value });
    }
    return out;
}

/** null when the values are the same, else the path to the first that is not. */
function same(e, a, rules, path = '') {
    if (e instanceof Map && a instanceof Map) {
        if ([...e.keys()].join('\n') !== [...a.keys()].join('\n')) return `${path} has members ${[...a.keys()]}`;
        for (const [k, v] of e) {
            const d = same(v, a.get(k), rules, `${path}.${k}`);
            if (d !== null) return d;
        }
        return null;
    }
    if (Array.isArray(e) && Array.isArray(a)) {
        if (e.length !== a.length) return path;
        for (const [i, v] of e.entries()) {
            const d = same(v, a[i], rules, `${path}[${i}]`);
            if (d !== null) return d;
        }
        return null;
    }
    const isNumber = (x) => typeof x === 'bigint' || typeof x === 'number';
    if (!isNumber(e) || !isNumber(a)) return e === a ? null : path;
    if (rules.types && typeof e !== typeof a) return `${path} is ${typeof a === 'bigint' ? 'a bigint' : 'a float'}`;
    if (typeof e === 'bigint' && typeof a === 'bigint') return e === a ? null : path;
    const [x, y] = [Number(e), Number(a)];
    return x === y || Math.abs(x - y) <= rules.tolerance * Math.max(Math.abs(x), Math.abs(y)) ? null : path;
}
