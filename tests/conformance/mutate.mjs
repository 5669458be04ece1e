// Breaks the code on purpose and looks whether the conformance tests see it (mutations.mjs has the list).
//
//   node tests/conformance/mutate.mjs [TEXT...]     only those whose statement or file contains one of them
//
// Works in a copy of the sources, so the working tree stays as it is. Fails when a break is not seen, or when the text it
// changes is not there any more. About 10 seconds for each.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MUTATIONS } from './mutations.mjs';
import { readTap } from './table.mjs';

const ROOT = new URL('../../', import.meta.url).pathname;
const BUILD_MS = 900_000, TEST_MS = 180_000;

function copySources() {
    const to = mkdtempSync(join(tmpdir(), 'mutate-'));
    process.on('exit', () => rmSync(to, { recursive: true, force: true }));
    for (const name of readdirSync(ROOT))
        if (!/^(build|node_modules|\.git)/.test(name))
            cpSync(join(ROOT, name), join(to, name), { recursive: true, filter: (from) => !from.includes('node_modules') });
    symlinkSync(join(ROOT, 'tests/e2e/node_modules'), join(to, 'tests/e2e/node_modules'));
    return to;
}

const build = (root) => execFileSync('scripts/build.sh', ['release', 'fieldgate'], { cwd: root, stdio: 'pipe', timeout: BUILD_MS });

/** The results of the tests that claim a statement. */
function claiming(root, statement, file) {
    const [version, number] = statement.split(' ');
    const pattern = !number ? '.' : `\\[${version.replaceAll('.', '\\.')}: ([0-9., -]*, )?${number.replaceAll('.', '\\.')}[,\\]]`;
    const out = spawnSync(process.execPath, ['--test', '--test-reporter=tap', `--test-name-pattern=${pattern}`, `tests/e2e/${number ? 'conformance-' : ''}${file}.test.mjs`],
        { cwd: root, env: { ...process.env, FIELDGATE: join(root, 'build/fieldgate') }, encoding: 'utf8', timeout: TEST_MS, maxBuffer: 1 << 26 });
    return readTap(out.stdout ?? '').filter((test) => new RegExp(pattern).test(test.name) && test.result !== 'skipped');
}

const only = process.argv.slice(2);
const root = copySources();
build(root);
let wrong = 0, seen = 0;
for (const [statement, file, source, from, to] of MUTATIONS) {
    if (only.length && !only.some((text) => [statement, source, file].some((one) => one.includes(text)))) continue;
    const path = join(root, source);
    const text = readFileSync(path, 'utf8');
    const say = (word, why) => console.log(`${word.padEnd(9)} ${statement.padEnd(15)} ${source}: ${from.split('\n')[0].trim().slice(0, 90)}${why ? `\n          ${why}` : ''}`);
    if (text.split(from).length !== 2) {
        say('rotted', `that text is there ${text.split(from).length - 1} times`);
        wrong++;
        continue;
    }
    writeFileSync(path, text.replace(from, () => to));
    try {
        build(root);
        const results = claiming(root, statement, file);
        const red = results.filter((test) => test.result === 'failed');
        if (red.length) {
            seen++;
            say('seen', `red: ${red[0].name}${red.length > 1 ? ` and ${red.length - 1} more` : ''}`);
        } else {
            wrong++;
            say('SURVIVED', `${results.length} test(s) stayed green`);
        }
    } catch (error) {
        wrong++;
        say('no build', String(error.stdout ?? error).split('\n').find((line) => line.includes('error:')));
    } finally {
        writeFileSync(path, text);
    }
}
console.log(`${seen} seen, ${wrong} wrong`);
process.exitCode = wrong || !seen ? 1 : 0;
