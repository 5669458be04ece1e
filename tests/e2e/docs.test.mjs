// Settings and rules that the documents show are taken by the program as they stand there.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
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

for (const block of blocks)
    test(`${block.name} is valid`, async (t) => {
        const file = join(tempFolder(), 'file.yaml');
        writeFileSync(file, block.text);
        if (isRules(block)) {
            await startNode({ t, settings: { rules: file } });
            return;
        }
        const end = await run(FIELDGATE, ['config', 'check', file]);
        assert.deepEqual([end.code, end.err], [0, []]);
    });
