// Settings and rules that the documents show are taken by the program as they stand there.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from './lib/bounded.mjs';
import { FIELDGATE, startNode, tempFolder } from './lib/node.mjs';
import { run } from './lib/process.mjs';

const root = new URL('../../', import.meta.url).pathname;
const documents = ['README.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
const blocks = documents.flatMap((name) =>
    [...readFileSync(join(root, name), 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text], i) => ({ name: `${name}, block ${i + 1}`, text })));
const isRules = ({ text }) => /^rules:\s*$/m.test(text);

test('there are such blocks', () => {
    assert.ok(blocks.some(isRules) && blocks.some((block) => !isRules(block)), blocks.map((b) => b.name).join());
});

test('settings are shown in such blocks only', () => {
    const loose = /^ {4,}(data|listeners|users|rules|hub|limits|jobs|routes|actions):( |$)/;
    const found = documents.flatMap((name) => readFileSync(join(root, name), 'utf8').replace(/^```.*?^```$/gms, '').split('\n')
        .filter((line) => loose.test(line)).map((line) => `${name}: ${line}`));
    assert.deepEqual(found, []);
});

// What the documents presuppose below /etc/fieldgate: the queries their blocks name. Nothing else is there.
const HUMIDITY = "SELECT deviceId, humidity, 'humid' AS reason INTO humidityAnomaly FROM [factory/+/humidity] WHERE humidity > 60";
const queries = {
    'humidity.sql': HUMIDITY,
    'jobs/humidity.sql': HUMIDITY,
    'cooling.sql': 'SELECT deviceId, temperature INTO cold FROM machines WHERE temperature < 4',
};

/** A settings file for the block: /etc/fieldgate is a folder of ours. One that says no jobs is an excerpt of a file with the jobs there. */
function presupposed(text) {
    const etc = tempFolder();
    mkdirSync(join(etc, 'jobs'));
    for (const [name, sql] of Object.entries(queries)) writeFileSync(join(etc, name), sql);
    const jobs = /^jobs:/m.test(text) ? '' : `jobs: ${etc}/jobs/*.sql\n`;
    writeFileSync(join(etc, 'fieldgate.yaml'), `${text.replaceAll('/etc/fieldgate/', `${etc}/`)}${jobs}`);
    return { file: join(etc, 'fieldgate.yaml'), data: join(etc, 'data') };
}

const check = ({ file, data }) => run(FIELDGATE, ['config', 'check', file, '--data', data]);

for (const block of blocks)
    test(`${block.name} is valid`, async (t) => {
        if (isRules(block)) {
            const file = join(tempFolder(), 'file.yaml');
            writeFileSync(file, block.text);
            await startNode({ t, settings: { rules: file } });
            return;
        }
        const end = await check(presupposed(block.text));
        assert.deepEqual([end.code, end.err], [0, []], end.out.join('\n'));
    });

test('a block that names a query, a job or an output that is nowhere is not', async () => {
    for (const text of [
        'jobs: { other: /etc/fieldgate/other.sql }\n',
        'jobs: /etc/fieldgate/other/*.sql\n',
        'routes: { a: FROM job("humidty") INTO $upstream }\n',
        'actions: { a: { on: humidity.other, do: { publish: { topic: x } } } }\n',
    ])
        assert.equal((await check(presupposed(text))).code, 1, text);
});
