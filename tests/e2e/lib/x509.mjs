// X.509 certificates as a test wants them, the wrong ones too: any dates, any names, any signer. The DER is written
// here, field by field [RFC 5280-4.1], because no command line makes a certificate that says something false.

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const tlv = (tag, body) => {
    const size = body.length;
    const head = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
    return Buffer.concat([Buffer.from([tag, ...head]), body]);
};
const seq = (...parts) => tlv(0x30, Buffer.concat(parts));
const context = (n, body, constructed = true) => tlv(0x80 | (constructed ? 0x20 : 0) | n, body);
const octets = (body) => tlv(0x04, body);
const bits = (body, unused = 0) => tlv(0x03, Buffer.concat([Buffer.from([unused]), body]));
const integer = (body) => tlv(0x02, body[0] & 0x80 ? Buffer.concat([Buffer.from([0]), body]) : body);
const yes = tlv(0x01, Buffer.from([0xff]));

function oid(text) {
    const [first, second, ...rest] = text.split('.').map(Number);
    const out = [first * 40 + second];
    for (const n of rest) {
        const digits = [n & 127];
        for (let m = n >>> 7; m; m >>>= 7) digits.unshift((m & 127) | 128);
        out.push(...digits);
    }
    return tlv(0x06, Buffer.from(out));
}

/** UTCTime up to 2049, GeneralizedTime from then on [RFC 5280-4.1.2.5]. */
function time(date) {
    const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
    return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits));
}

const name = (cn) => seq(tlv(0x31, seq(oid('2.5.4.3'), tlv(0x0c, Buffer.from(cn)))));

const KEY_USAGE = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement', 'keyCertSign', 'cRLSign'];
const APPLICATION = KEY_USAGE.slice(0, 4);

function keyUsage(uses) {
    let mask = 0;
    for (const use of uses) mask |= 0x80 >> KEY_USAGE.indexOf(use);
    return bits(Buffer.from([mask]));
}

const PURPOSE = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' };

function alternative(text) {
    const [kind, value] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
    if (kind === 'IP') return context(7, Buffer.from(value.split('.').map(Number)), false);
    return context(kind === 'URI' ? 6 : 2, Buffer.from(value), false);
}

const extension = (id, body, critical) => seq(oid(id), ...(critical ? [yes] : []), octets(body));

const pem = (kind, der) => `-----BEGIN ${kind}-----\n${der.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END ${kind}-----\n`;

/** An RSA key pair: { privateKey, publicKey, pem }. It takes a while: make it once. */
export function newKey(modulusLength = 2048) {
    const pair = generateKeyPairSync('rsa', { modulusLength });
    return { ...pair, pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

/** A key pair from PEM text, such as a program under test has written. */
export function keyOf(text) {
    const privateKey = createPrivateKey(text);
    return { privateKey, publicKey: createPublicKey(privateKey), pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

const DAY = 86_400_000;

/**
 * A certificate: { der, pem, key, cn, thumbprint } (thumbprint: SHA-1, as OPC UA names certificates).
 *
 *   key       whose certificate it is, from newKey()
 *   issuer    the signer's certificate as this function gave it; without it the certificate signs itself
 *   names     ['URI:urn:x', 'DNS:localhost', 'IP:127.0.0.1']
 *   from, to  days from now; ca, usage, purposes, hash: what the fields of these names hold
 */
export function certificate({ key, cn, issuer, names = [], from = -1, to = 30, ca = false, usage, purposes = ['serverAuth', 'clientAuth'], hash = 'sha256' }) {
    const algorithm = seq(oid(hash === 'sha1' ? '1.2.840.113549.1.1.5' : '1.2.840.113549.1.1.11'), tlv(0x05, Buffer.alloc(0)));
    const spki = key.publicKey.export({ type: 'spki', format: 'der' });
    const id = (of) => createHash('sha1').update(of.publicKey.export({ type: 'pkcs1', format: 'der' })).digest();
    const signer = issuer?.key ?? key;
    const uses = usage ?? (ca ? ['keyCertSign', 'cRLSign', 'digitalSignature'] : [...APPLICATION, ...(issuer ? [] : ['keyCertSign'])]);
    const extensions = [
        extension('2.5.29.19', seq(...(ca ? [yes] : [])), true),
        extension('2.5.29.15', keyUsage(uses), true),
        ...(purposes.length ? [extension('2.5.29.37', seq(...purposes.map((p) => oid(PURPOSE[p]))))] : []),
        ...(names.length ? [extension('2.5.29.17', seq(...names.map(alternative)))] : []),
        extension('2.5.29.14', octets(id(key))),
        extension('2.5.29.35', seq(context(0, id(signer), false))),
    ];
    const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)]);
    const body = seq(
        context(0, integer(Buffer.from([2]))),
        integer(serial),
        algorithm,
        name(issuer?.cn ?? cn),
        seq(time(new Date(Date.now() + from * DAY)), time(new Date(Date.now() + to * DAY))),
        name(cn),
        spki,
        context(3, seq(...extensions)),
    );
    const der = seq(body, algorithm, bits(sign(hash, body, signer.privateKey)));
    return { der, pem: pem('CERTIFICATE', der), key, cn, serial, thumbprint: createHash('sha1').update(der).digest('hex').toUpperCase() };
}

/** What an issuer has revoked, as DER: a list [RFC 5280-5.1] of some certificates that certificate() gave. */
export function revocationList({ issuer, revoked = [], from = -1, to = 30 }) {
    const algorithm = seq(oid('1.2.840.113549.1.1.11'), tlv(0x05, Buffer.alloc(0)));
    const when = (days) => time(new Date(Date.now() + days * DAY));
    const entries = revoked.map(({ serial }) => seq(integer(serial), when(from)));
    const body = seq(
        integer(Buffer.from([1])), algorithm, name(issuer.cn), when(from), when(to), ...(entries.length ? [seq(...entries)] : []),
        context(0, seq(
            extension('2.5.29.35', seq(context(0, createHash('sha1').update(issuer.key.publicKey.export({ type: 'pkcs1', format: 'der' })).digest(), false))),
            extension('2.5.29.20', integer(Buffer.from([1]))),
        )),
    );
    return seq(body, algorithm, bits(sign('sha256', body, issuer.key.privateKey)));
}

/** A certificate with one bit of its signature wrong. */
export function spoiled(good) {
    const der = Buffer.from(good.der);
    der[der.length - 1] ^= 1;
    return { ...good, der, pem: pem('CERTIFICATE', der), thumbprint: createHash('sha1').update(der).digest('hex').toUpperCase() };
}
