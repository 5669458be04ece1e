// Help, completion and manual pages: one table feeds them all, so they must say the same.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode } from './lib/node.mjs';
import { run, start } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

const lines = async (...args) => {
    const { code, out, err } = await run(FIELDGATE, args);
    assert.equal(code, 0, err.join('\n'));
    return out;
};
const has = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const needs = (program) => (has(program) ? {} : { skip: `${program} is not installed` });

/** Every verb that does something: ["pub"], ["config", "show"], ... */
async function leaves() {
    const found = [];
    for (const line of await lines('help')) {
        const verb = /^ {2}([a-z][a-z0-9-]*) {2,}\S/.exec(line) ?? /^ {2}([a-z]+ [a-z]+) +\S/.exec(line);
        if (verb && !line.startsWith('  fieldgate')) found.push(verb[1].split(' '));
    }
    assert.ok(found.length >= 12, found.join(' | '));
    return found;
}

const flagsOf = (help) => help.map((line) => /^ {2}(?:-(.), | {4})--([a-z-]+)/.exec(line)).filter(Boolean).map(([, letter, name]) => ({ letter, name }));

/** What bash would offer for these words; the last one is being typed. */
function complete(...words) {
    const script = `source <("$1" completion bash); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fieldgate; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const end = spawnSync('bash', ['-c', script, 'bash', FIELDGATE, 'fieldgate', ...words], { encoding: 'utf8' });
    assert.equal(end.status, 0, end.stderr);
    return end.stdout.split('\n').filter(Boolean);
}

test('every verb shows examples before its flags', async () => {
    for (const path of await leaves()) {
        const help = await lines(...path, '--help');
        const usage = help.findIndex((line) => line.startsWith('Usage: '));
        const flags = help.indexOf('Flags:');
        const examples = help.slice(0, usage).filter((line) => line.startsWith('  '));
        assert.ok(usage > 0 && flags > usage, path.join(' '));
        assert.ok(examples.length >= 1 && examples.every((line) => line.includes('fieldgate ')), path.join(' '));
        if (['pub', 'sub', 'bench', 'mqtt-test', 'completion'].includes(path[0])) assert.equal(examples.length, 3);
    }
});

/** Runs it with some of its standard files closed. */
const closed = (which, ...args) =>
    spawnSync('sh', ['-c', `exec "$0" "$@" ${which}`, FIELDGATE, ...args], { encoding: 'utf8', timeout: 20_000, killSignal: 'SIGKILL' });

test('with its standard files closed a verb says that nothing could be written', async (t) => {
    const node = await startNode({ t });
    for (const args of [['version'], ['status', '--data', node.dataDir], ['reload', '--data', node.dataDir]]) {
        const end = closed('>&-', ...args);
        assert.equal(end.status, 1, `${args}: ${end.signal} ${end.stderr}`);
        assert.match(end.stderr, /not everything could be written: Bad file descriptor/);
        assert.equal(closed('<&- >&- 2>&-', ...args).status, 1);
    }
});

test('a node runs with its standard files closed, and what it says goes into no file of its own', async (t) => {
    const node = await startNode({ t });
    await node.stop();
    const it = start('sh', ['-c', 'exec "$0" "$@" <&- >&- 2>&-', FIELDGATE, 'run', '--config', node.config]);
    t.after(() => it.kill('SIGKILL'));
    await until(async () => (await node.verb('status')).code === 0, 'the node runs');
    assert.deepEqual(await it.kill('SIGTERM'), { code: 0, signal: null });
    const check = await run(FIELDGATE, ['check', node.dataDir]);
    assert.equal(check.code, 0, check.out.join('\n'));
});

test('check says what it may not read', { skip: process.getuid() !== 0 && 'only root can be somebody else' }, async (t) => {
    const node = await startNode({ t });
    await node.stop();
    const end = await run('setpriv', ['--reuid', '65534', '--clear-groups', FIELDGATE, 'check', node.dataDir]);
    assert.equal(end.code, 1);
    assert.match(end.err[0], /cannot look into .*: Permission denied/);
});

test('bash completes verbs, flags and words', async () => {
    assert.deepEqual(complete('mqtt'), ['mqtt-test']);
    assert.deepEqual(complete('sub', '--wat'), ['--watch']);
    assert.deepEqual(complete('sub', '-o', ''), ['text', 'json', 'jsonl']);
    assert.deepEqual(complete('config', 'sho'), ['show']);
    assert.deepEqual(complete('pub', '-m', ''), []);
    for (const path of await leaves()) {
        const names = flagsOf(await lines(...path, '--help')).map((f) => `--${f.name}`);
        assert.deepEqual(complete(...path, '--').sort(), [...new Set(names)].sort(), path.join(' '));
    }
});

for (const shell of ['zsh', 'fish'])
    test(`${shell} takes its script`, needs(shell), async () => {
        const script = (await lines('completion', shell)).join('\n');
        const end = spawnSync(shell, shell === 'fish' ? ['--no-config', '-c', `${script}\ncomplete -C 'fieldgate sub --wat'`]
            : ['-f', '-c', `autoload -Uz compinit && compinit -u -D; ${script}\n(( $+functions[_fieldgate] )) && print loaded`], { encoding: 'utf8' });
        assert.deepEqual([end.status, end.stderr], [0, '']);
        assert.match(end.stdout, shell === 'fish' ? /^--watch\t/m : /loaded/);
    });

test('a manual page has every flag', needs('groff'), async () => {
    for (const path of await leaves()) {
        const page = (await lines('help', '--man', ...path)).join('\n');
        const end = spawnSync('groff', ['-man', '-Tascii', '-ww'], { input: page, encoding: 'utf8', env: { ...process.env, GROFF_NO_SGR: '1' } });
        assert.equal(end.stderr, '', path.join(' '));
        const text = end.stdout.replace(/.\x08/g, '');
        for (const { name } of flagsOf(await lines(...path, '--help')).filter((f) => f.name !== 'help'))
            assert.ok(text.includes(`--${name}`), `${path.join(' ')} --${name}`);
    }
});

test('an unknown shell is refused', async () => {
    const end = await run(FIELDGATE, ['completion', 'tcsh']);
    assert.equal(end.code, 2);
    assert.match(end.err.join('\n'), /bash, zsh or fish, got 'tcsh'/);
});
