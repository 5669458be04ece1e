// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), and the record a server keeps of a password.

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const xor = (a, b) => a.map((byte, i) => byte ^ b[i]);

/** The line of the users file that stands behind the user's own. */
export function scramLine(name, password, { iterations = 4096, salt = randomBytes(16) } = {}) {
    const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
    const stored = sha256(hmac(salted, 'Client Key')), server = hmac(salted, 'Server Key');
    return `scram-sha-256:${name}:${iterations}:${[salt, stored, server].map((b) => b.toString('base64')).join(':')}`;
}

/** One exchange: first() is sent, final(server-first) is sent, verify(server-final) says whether it is the server. */
export class Scram {
    constructor(name, password) {
        this.password = password;
        this.bare = `n=${name.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${randomBytes(18).toString('base64')}`;
    }
    first() { return Buffer.from(`n,,${this.bare}`); }
    final(serverFirst) {
        const text = serverFirst.toString();
        const at = Object.fromEntries(text.split(',').map((part) => [part[0], part.slice(2)]));
        if (!at.r.startsWith(this.bare.split('r=')[1])) throw new Error('the server has another nonce');
        const salted = pbkdf2Sync(this.password, Buffer.from(at.s, 'base64'), Number(at.i), 32, 'sha256');
        const key = hmac(salted, 'Client Key');
        const without = `c=biws,r=${at.r}`;
        const all = `${this.bare},${text},${without}`;
        this.signature = hmac(hmac(salted, 'Server Key'), all).toString('base64');
        return Buffer.from(`${without},p=${Buffer.from(xor(key, hmac(sha256(key), all))).toString('base64')}`);
    }
    verify(serverFinal) { return serverFinal.toString() === `v=${this.signature}`; }
}
