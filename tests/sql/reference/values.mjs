// Values of the language, as values of JavaScript:
//   NULL null, bigint BigInt, float Number, nvarchar(max) String, bit Boolean, datetime DateTime, record Map, array Array.

import { Failed } from './errors.mjs';

/** 100 ns ticks since 0001-01-01T00:00:00Z. */
export class DateTime {
    constructor(ticks) {
        this.ticks = ticks;
    }
}

export const INT_MIN = -(2n ** 63n), INT_MAX = 2n ** 63n - 1n;

export function typeOf(v) {
    switch (typeof v) {
    case 'bigint': return 'bigint';
    case 'number': return 'float';
    case 'string': return 'nvarchar(max)';
    case 'boolean': return 'bit';
    }
    return v instanceof DateTime ? 'datetime' : v instanceof Map ? 'record' : Array.isArray(v) ? 'array' : null;
}

export const isNumber = (v) => typeof v === 'bigint' || typeof v === 'number';

/** A bigint that fits, or an error. */
export function fit(n, what) {
    if (n < INT_MIN || n > INT_MAX) throw new Failed(`${what}: the result is outside the range of bigint`);
    return n;
}

/** Shortest digits that read back; always a point or an exponent, so that a float stays a float. */
export function floatText(x) {
    if (Object.is(x, -0)) return '-0.0';
    const s = String(x);
    return /^-?\d+$/.test(s) ? `${s}.0` : s;
}

const asciiLower = (s) => s.replace(/[A-Z]/g, (c) => c.toLowerCase());
export { asciiLower };

/** One character for one, so that lengths stay. */
export const mapCase = (s, how) => [...s].map((c) => {
    const m = c[how]();
    return [...m].length === 1 ? m : c;
}).join('');

export const foldCase = (s) => mapCase(s, 'toLowerCase');

/** Order of strings: by code point, which is not the order of UTF-16 units. */
export function compareStrings(a, b, ci) {
    const x = [...(ci ? foldCase(a) : a)], y = [...(ci ? foldCase(b) : b)];
    for (let i = 0; i < x.length && i < y.length; i++)
        if (x[i] !== y[i]) return x[i].codePointAt(0) < y[i].codePointAt(0) ? -1 : 1;
    return Math.sign(x.length - y.length);
}

/** A text that is the same for values that are one group. Numbers of both types that are equal are one. */
export function identity(v, ci) {
    switch (typeOf(v)) {
    case null: return 'N';
    case 'bigint': return `#${Number(v)}${Number.isSafeInteger(Number(v)) ? '' : `:${v}`}`;
    case 'float': return `#${v === 0 ? 0 : v}${Number.isInteger(v) && !Number.isSafeInteger(v) ? `:${BigInt(v)}` : ''}`;
    case 'nvarchar(max)': return `"${JSON.stringify(ci ? foldCase(v) : v)}`;
    case 'bit': return `?${v}`;
    case 'datetime': return `@${v.ticks}`;
    case 'array': return `[${v.map((x) => identity(x, ci)).join(',')}]`;
    default:
        return `{${[...v].map(([k, x]) => `${JSON.stringify(k)}:${identity(x, ci)}`).sort().join(',')}}`;
    }
}

/** A field by name: exact spelling first, then the last that matches without regard to case; absent is NULL. */
export function field(record, name) {
    if (record.has(name)) return record.get(name);
    let found = null;
    const folded = asciiLower(name);
    for (const [k, v] of record)
        if (asciiLower(k) === folded) found = v;
    return found;
}

export function hasField(record, name) {
    return record.has(name) || [...record.keys()].some((k) => asciiLower(k) === asciiLower(name));
}
