// The verbs of `fieldgate opcua` as tests run them, and what they print.

import assert from 'node:assert/strict';
import { FIELDGATE } from './node.mjs';
import { run, start } from './process.mjs';

export const NONE = ['--security', 'None'];

/** `fieldgate opcua VERB URL ARGS`: { code, out, err }. `data`: the folder that has our certificate. */
export const opcua = (verb, url, args, { data, timeoutMs = 30_000 }) =>
    run(FIELDGATE, ['opcua', verb, '--data', data, url, ...args], { timeoutMs });

/** The rows of `-o json`. Numbers of more than 15 digits become strings. */
export function rows(end, name) {
    assert.equal(end.code, 0, end.err.join('\n'));
    const text = end.out.join('\n').replace(/(?<=[[:,\s])-?[0-9]{16,}(?=[\],}\s])/g, '"$&"');
    return JSON.parse(text)[name];
}

/** `fieldgate opcua watch` as a process: { lines, notices(), process }; lines: { node, value, time, status }. Without
 *  --security in `args` it goes without. */
export function watch(t, nodes, { url, data, args = [] }) {
    const lines = [];
    const security = args.includes('--security') ? [] : NONE;
    const it = start(FIELDGATE, ['opcua', 'watch', url, ...nodes, '-o', 'jsonl', '--data', data, ...security, ...args], {
        onLine: (line) => lines.push(JSON.parse(line)),
    });
    t.after(() => (it.ended ? undefined : it.kill('SIGINT').catch(() => {})));
    return { lines, notices: () => it.err.join('\n'), process: it };
}

export const counterNodes = (count) => Array.from({ length: count }, (_, i) => `ns=1;s=Counter${i}`);
