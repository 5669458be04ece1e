// Numbers that follow from a seed.

export function dice(seed) {
    let state = seed >>> 0;
    const next = () => { // mulberry32
        state = (state + 0x6d2b79f5) >>> 0;
        let x = Math.imul(state ^ (state >>> 15), state | 1);
        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
    };
    for (let i = 0; i < 3; i++) next();
    const d = {
        /** from 0 to n - 1 */
        below: (n) => Math.floor(next() * n),
        between: (a, b) => a + Math.floor(next() * (b - a + 1)),
        chance: (p) => next() < p,
        of: (list) => list[Math.floor(next() * list.length)],
        /** some of the list, at least `least`, in its order */
        some(list, least = 1, most = list.length) {
            const n = d.between(least, Math.min(most, list.length)), left = [...list.keys()];
            while (left.length > n) left.splice(d.below(left.length), 1);
            return left.map((i) => list[i]);
        },
    };
    return d;
}
