// Child processes that never outlive the test file that started them: they are known by pid, and whatever is still
// there when this process ends is killed by that pid.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { within } from './wait.mjs';

const alive = new Map(); // pid -> ChildProcess

process.on('exit', () => {
    for (const child of alive.values()) child.kill('SIGKILL');
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(1));

/**
 * Starts a program and collects its lines.
 *
 *   out, err         lines so far; onLine(line) is called for each line of stdout
 *   input            text for stdin, which is then closed; null leaves it open as child.stdin; without it stdin is empty
 *   exited           resolves to { code, signal } once it ended and its output was read
 *   kill(signal, ms) sends the signal and waits for the end; after `ms` it kills
 */
export function start(program, args = [], { env, cwd, input, onLine } = {}) {
    const child = spawn(program, args, {
        env: { ...process.env, ...env },
        cwd,
        stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const self = { child, pid: child.pid, out: [], err: [], ended: false };
    if (child.pid) alive.set(child.pid, child);
    const closed = ['stdout', 'stderr'].map((name) => {
        const lines = createInterface({ input: child[name] });
        const into = name === 'stdout' ? self.out : self.err;
        lines.on('line', (line) => {
            into.push(line);
            if (name === 'stdout') onLine?.(line);
        });
        return new Promise((resolve) => lines.once('close', resolve));
    });
    self.exited = new Promise((resolve, reject) => {
        child.once('error', (error) => reject(new Error(`${program}: ${error.message}`)));
        child.once('exit', async (code, signal) => {
            alive.delete(child.pid);
            self.ended = true;
            await Promise.all(closed);
            resolve({ code, signal });
        });
    });
    self.exited.catch(() => {}); // whoever waits for it hears of it
    if (input !== undefined) {
        child.stdin.on('error', () => {}); // it may end before it has read everything
        if (input !== null) child.stdin.end(input);
    }
    self.kill = async (signal = 'SIGTERM', ms = 10_000) => {
        if (!self.ended) child.kill(signal);
        try {
            return await within(self.exited, `${program} (${child.pid}) ends after ${signal}`, ms);
        } catch (error) {
            child.kill('SIGKILL');
            await self.exited;
            throw error;
        }
    };
    return self;
}

/** Runs a program to its end: { code, signal, out, err } with out and err as lines. */
export async function run(program, args = [], { timeoutMs = 10_000, ...options } = {}) {
    const it = start(program, args, options);
    try {
        const end = await within(it.exited, () => `${program} ${args.join(' ')} ends (${it.err.join(' / ')})`, timeoutMs);
        return { ...end, out: it.out, err: it.err };
    } finally {
        if (!it.ended) it.child.kill('SIGKILL');
    }
}
