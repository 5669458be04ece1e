// Patterns and rounding: what needs more than a line.

import { foldCase } from './values.mjs';

/** A LIKE pattern as a list of tests for one character, '%' between them. */
export function likeParts(pattern, escape) {
    const chars = [...pattern], out = [];
    for (let i = 0; i < chars.length; i++) {
        const c = chars[i];
        const end = chars.indexOf(']', i + 2 + (chars[i + 1] === '^' ? 1 : 0));
        if (escape !== null && c === escape && i + 1 < chars.length) {
            const same = chars[++i];
            out.push((x) => x === same);
        } else if (c === '%') out.push('%');
        else if (c === '_') out.push(() => true);
        else if (c === '[' && end > 0) {
            out.push(oneOf(chars.slice(i + 1, end)));
            i = end;
        } else out.push((x) => x === c);
    }
    return out;
}

function oneOf(set) {
    const not = set[0] === '^', list = not ? set.slice(1) : set;
    const has = (x) => list.some((c, i) => {
        if (c === '-' && i > 0 && i < list.length - 1) return list[i - 1] <= x && x <= list[i + 1];
        return c === x;
    });
    return (x) => has(x) !== not;
}

/** Whether the parts match all of the characters. */
export function matches(parts, chars) {
    if (parts.length === 0) return chars.length === 0;
    const [first, ...rest] = parts;
    if (first !== '%') return chars.length > 0 && first(chars[0]) && matches(rest, chars.slice(1));
    for (let i = 0; i <= chars.length; i++)
        if (matches(rest, chars.slice(i))) return true;
    return false;
}

export function like(text, pattern, escape, ci) {
    const f = ci ? foldCase : (s) => s;
    return matches(likeParts(f(pattern), escape === null ? null : f(escape)), [...f(text)]);
}

/** Position from 1 at which the pattern matches first, or 0. A leading % lets it begin anywhere. */
export function patternIndex(pattern, text, ci) {
    const f = ci ? foldCase : (s) => s;
    const parts = likeParts(f(pattern), null), chars = [...f(text)];
    if (parts[0] !== '%') return matches(parts, chars) ? 1 : 0;
    for (let i = 0; i < Math.max(chars.length, 1); i++)
        if (matches(parts.slice(1), chars.slice(i))) return i + 1;
    return 0;
}

/** Rounds the decimal digits of the shortest form, half away from zero. */
export function roundFloat(x, places) {
    if (!Number.isFinite(x) || x === 0) return x;
    const [, sign, digits, exponent] = /^(-?)(\d(?:\.\d+)?)e([-+]\d+)$/.exec(x.toExponential());
    const all = digits.replace('.', ''), scale = all.length - 1 - Number(exponent); // x = all * 10^-scale
    if (scale <= places) return x;
    const cut = BigInt(scale) - BigInt(places);
    if (cut > 400n) return 0;
    const n = (BigInt(all) + 5n * 10n ** (cut - 1n)) / 10n ** cut;
    return Number(`${sign}${n}e${-places}`);
}

export function roundInt(n, places) {
    if (places >= 0n) return n;
    if (places < -30n) return 0n;
    const unit = 10n ** -places, half = unit / 2n;
    return ((n < 0n ? n - half : n + half) / unit) * unit;
}
