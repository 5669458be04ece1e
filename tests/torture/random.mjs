// Random numbers that a seed gives again, and a checksum.

/** mulberry32: () => [0, 1) with helpers. */
export function random(seed) {
    let a = seed >>> 0;
    const next = () => {
        a = (a + 0x6d2b79f5) >>> 0;
        let t = a;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    next.below = (n) => Math.floor(next() * n);
    next.between = (from, to) => from + next() * (to - from);
    next.chance = (p) => next() < p;
    next.pick = (list) => list[next.below(list.length)];
    next.fork = () => random(next.below(2 ** 31));
    return next;
}

const TABLE = Int32Array.from({ length: 256 }, (_, i) => {
    let c = i;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    return c;
});
/** CRC-32 of a text of single-byte characters. */
export function crc32(text) {
    let c = -1;
    for (let i = 0; i < text.length; i++) c = TABLE[(c ^ text.charCodeAt(i)) & 0xff] ^ (c >>> 8);
    return (c ^ -1) >>> 0;
}
