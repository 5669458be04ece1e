// Node's test(), with an end: a test that hangs fails by itself and leaves the others of its file to run.

import { test as unbounded } from 'node:test';

const MS = 40_000;

export function test(name, options, body) {
    if (typeof options === 'function') [options, body] = [{}, options];
    return unbounded(name, { timeout: MS, ...options }, body);
}
