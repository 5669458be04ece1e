// Certificates for tests, made by the openssl command in a folder that goes with the test.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder } from './node.mjs';
import { run } from './process.mjs';

async function openssl(...args) {
    const end = await run('openssl', args, { timeoutMs: 20_000 });
    if (end.code !== 0) throw new Error(`openssl ${args.join(' ')}: ${end.err.join(' / ')}`);
    return end;
}

/** A certification authority: { pem, issue }. */
export async function makeAuthority(name = 'Test root') {
    const folder = tempFolder('fgca');
    const file = (what) => join(folder, what);
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await openssl('req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', `/CN=${name}`, '-days', '30');
    return {
        folder,
        pem: file('ca.pem'),
        /** { chain, key }: names as in 'DNS:localhost,IP:127.0.0.1', usage serverAuth or clientAuth. */
        async issue({ file: base, name: cn, names, usage = 'serverAuth', days = 20 }) {
            const at = (ending) => file(`${base ?? cn}.${ending}`);
            await openssl('req', ...newKey, '-keyout', at('key'), '-out', at('csr'), '-subj', `/CN=${cn}`);
            writeFileSync(at('ext'), `extendedKeyUsage=${usage}\n${names ? `subjectAltName=${names}\n` : ''}`);
            await openssl('x509', '-req', '-in', at('csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial',
                '-out', at('pem'), '-days', String(days), '-extfile', at('ext'));
            return { chain: at('pem'), key: at('key') };
        },
    };
}
