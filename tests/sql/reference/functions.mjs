// The scalar functions. Each takes values and gives a value. A function that says nothing else gives NULL where an argument is NULL.
//
// args: least and most number of arguments (after the unit). types: what each may be; the last one holds for all that follow.

import { Failed } from './errors.mjs';
import { distance, geoRecord, intersects, overlaps, shape, within } from './geo.mjs';
import { dateAdd, dateName, datePart, dateTime, fromParts, indexOf, parseTime } from './time.mjs';
import { cast, toText } from './casts.mjs';
import { patternIndex, roundFloat, roundInt } from './text.mjs';
import { DateTime, field, fit, foldCase, mapCase, typeOf } from './values.mjs';

const NUM = ['bigint', 'float'], INT = ['bigint'], TEXT = ['nvarchar(max)'], DATE = ['datetime', 'nvarchar(max)'], ANY = null;
const PLAIN = ['bigint', 'float', 'nvarchar(max)', 'bit', 'datetime'], GEO = ['record', 'nvarchar(max)'];
const SPACE = '[\\t\\n\\v\\f\\r\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000 ]+';

/** Ticks of a datetime or of a text that is one. */
function ticks(v, name) {
    if (v instanceof DateTime) return v.ticks;
    const t = parseTime(v);
    if (t === null) throw new Failed(`${name}: '${v}' is no date`);
    return t;
}

const whole = (v) => typeof v === 'bigint' ? v : cast(v, 'bigint');
const chars = (s) => [...s];
const bit = (yes) => yes ? 1n : 0n;
const small = (n) => n > 1_000_000_000n ? 1_000_000_000 : n < -1_000_000_000n ? -1_000_000_000 : Number(n);

const float = (f) => ({ args: [1, 1], types: [NUM], f: ([x]) => f(Number(x)) });
const sameType = (ofInt, ofFloat) => ({ args: [1, 1], types: [NUM], f: ([x]) => typeof x === 'bigint' ? fit(ofInt(x), 'ABS') : ofFloat(x) });
const text = (f) => ({ args: [1, 1], types: [TEXT], f: ([s]) => f(s) });
const date = (f) => ({ args: [1, 1], types: [DATE], f: ([d], e) => BigInt(f(ticks(d, e.name))) });

function power([x, y]) {
    if (typeof x === 'number') return x ** Number(y);
    if (typeof y === 'bigint' && y >= 0n) {
        if (x === 0n || x === 1n) return y === 0n ? 1n : x;
        if (x === -1n) return y % 2n === 0n ? 1n : -1n;
        if (y > 64n) throw new Failed('POWER: the result is outside the range of bigint');
        return fit(x ** y, 'POWER');
    }
    const r = Number(x) ** Number(y);
    if (!Number.isFinite(r)) throw new Failed('POWER: the result is outside the range of bigint');
    return fit(BigInt(Math.trunc(r)), 'POWER');
}

function substring([s, start, length]) {
    if (length < 0n) throw new Failed('SUBSTRING: the length is negative');
    const from = start < 1n ? 1n : start, to = start + length; // behind the last one
    return to <= from ? '' : chars(s).slice(small(from - 1n), small(to - 1n)).join('');
}

function charIndex([find, s, start = 1n], e, ci) {
    const f = ci ? foldCase : (x) => x;
    const inside = chars(f(s)), wanted = chars(f(find));
    if (wanted.length === 0) return 0n;
    for (let i = Math.max(small(start) - 1, 0); i + wanted.length <= inside.length; i++)
        if (wanted.every((c, k) => inside[i + k] === c)) return BigInt(i + 1);
    return 0n;
}

function translate([s, from, to]) {
    const a = chars(from), b = chars(to);
    if (a.length !== b.length) throw new Failed('TRANSLATE: the second and the third argument must have the same length');
    return chars(s).map((c) => a.includes(c) ? b[a.indexOf(c)] : c).join('');
}

function regex(pattern, flags) {
    try {
        return new RegExp(pattern, flags);
    } catch {
        return null;
    }
}

function polygon(list, e, type, least) {
    if (list.length < least) throw new Failed(`${e.name} needs ${least} points or more`);
    const points = list.map((p) => {
        const s = shape(p, e.name);
        if (s.type !== 'Point') throw new Failed(`${e.name} takes points`);
        return s.points[0];
    });
    const [first] = points, last = points.at(-1);
    if (type === 'Polygon' && (first[0] !== last[0] || first[1] !== last[1])) throw new Failed('CreatePolygon: the last point must be the first');
    return geoRecord(type, type === 'Polygon' ? [points] : points);
}

const twoShapes = (f) => ({ args: [2, 2], types: [GEO], f: ([a, b], e) => f(shape(a, e.name), shape(b, e.name)) });

export const SCALARS = {
    // dates
    DATEADD: { args: [2, 2], types: [NUM, DATE], f([n, d], e) {
        const t = dateAdd(e.unit.name, whole(n), ticks(d, e.name));
        if (t === null) throw new Failed('DATEADD: the result is before year 1 or after year 9999');
        return dateTime(t);
    } },
    DATEDIFF: { args: [2, 2], types: [DATE], f: ([a, b], e) => indexOf(e.unit.name, ticks(b, e.name)) - indexOf(e.unit.name, ticks(a, e.name)) },
    DATENAME: { args: [1, 1], types: [DATE], f: ([d], e) => dateName(e.unit.name, ticks(d, e.name)) },
    DATEPART: date(() => 0),
    DAY: date((t) => datePart('day', t)),
    MONTH: date((t) => datePart('month', t)),
    YEAR: date((t) => datePart('year', t)),
    DATETIMEFROMPARTS: { args: [7, 7], types: [INT], f(p) {
        const [y, mo, d, h, mi, s, ms] = p.map(small);
        const t = ms < 0 || ms > 999 ? null : fromParts(y, mo, d, h, mi, s, BigInt(ms) * 10_000n);
        if (t === null) throw new Failed('DATETIMEFROMPARTS: there is no such date');
        return dateTime(t);
    } },
    // numbers
    ABS: sameType((n) => n < 0n ? -n : n, Math.abs),
    CEILING: sameType((n) => n, Math.ceil),
    FLOOR: sameType((n) => n, Math.floor),
    SIGN: sameType((n) => n > 0n ? 1n : n < 0n ? -1n : 0n, Math.sign),
    ROUND: { args: [1, 2], types: [NUM, INT], f: ([x, n = 0n]) => typeof x === 'bigint' ? fit(roundInt(x, n), 'ROUND') : roundFloat(x, small(n)) },
    POWER: { args: [2, 2], types: [NUM], f: power },
    SQUARE: sameType((n) => n * n, (x) => x * x),
    EXP: float(Math.exp), SQRT: float(Math.sqrt), SIN: float(Math.sin), COS: float(Math.cos), TAN: float(Math.tan), COT: float((x) => 1 / Math.tan(x)),
    ASIN: float(Math.asin), ACOS: float(Math.acos), ATAN: float(Math.atan), LOG10: float(Math.log10),
    DEGREES: float((x) => (x * 180) / Math.PI), RADIANS: float((x) => (x * Math.PI) / 180),
    ATN2: { args: [2, 2], types: [NUM], f: ([y, x]) => Math.atan2(Number(y), Number(x)) },
    LOG: { args: [1, 2], types: [NUM], f: ([x, b]) => b === undefined ? Math.log(Number(x)) : Math.log(Number(x)) / Math.log(Number(b)) },
    PI: { args: [0, 0], types: [], f: () => Math.PI },
    // strings
    CHARINDEX: { args: [2, 3], types: [TEXT, TEXT, INT], f: charIndex },
    CONCAT: { args: [2, Infinity], types: [PLAIN], nulls: true, f: (list) => list.map((v) => v === null ? '' : toText(v)).join('') },
    CONCAT_WS: { args: [3, Infinity], types: [TEXT, PLAIN], nulls: true,
        f: ([sep, ...list]) => list.filter((v) => v !== null).map(toText).join(sep ?? '') },
    LEN: text((s) => BigInt(chars(s.replace(/ +$/, '')).length)),
    LOWER: text((s) => mapCase(s, 'toLowerCase')),
    UPPER: text((s) => mapCase(s, 'toUpperCase')),
    LTRIM: text((s) => s.replace(new RegExp(`^${SPACE}`), '')),
    RTRIM: text((s) => s.replace(new RegExp(`${SPACE}$`), '')),
    TRIM: text((s) => s.replace(new RegExp(`^${SPACE}`), '').replace(new RegExp(`${SPACE}$`), '')),
    NCHAR: { args: [1, 1], types: [INT], f: ([n]) => n < 0n || n > 0x10ffffn || (n >= 0xd800n && n <= 0xdfffn) ? null : String.fromCodePoint(Number(n)) },
    PATINDEX: { args: [2, 2], types: [TEXT], f: ([p, s], e, ci) => BigInt(patternIndex(p, s, ci)) },
    REGEXMATCH: { args: [2, 2], types: [TEXT], f([s, p]) {
        const m = regex(p, 'iu')?.exec(s);
        return m ? BigInt(chars(s.slice(0, m.index)).length + 1) : 0n;
    } },
    REGEXREPLACE: { args: [3, 3], types: [TEXT], f([s, p, r]) {
        const re = regex(p, 'giu');
        return re ? s.replace(re, r) : s;
    } },
    REPLACE: { args: [3, 3], types: [TEXT], f: ([s, p, r], e, ci) => replace(s, p, r, ci) },
    REPLICATE: { args: [2, 2], types: [TEXT, INT], f: ([s, n]) => n < 0n ? null : s.repeat(small(n)) },
    REVERSE: text((s) => chars(s).reverse().join('')),
    SUBSTRING: { args: [3, 3], types: [TEXT, INT, INT], f: substring },
    TRANSLATE: { args: [3, 3], types: [TEXT], f: translate },
    UNICODE: text((s) => s === '' ? null : BigInt(s.codePointAt(0))),
    // records and arrays
    GETARRAYELEMENT: { args: [2, 2], types: [['array'], INT], f: ([a, i]) => i < 0n || i >= BigInt(a.length) ? null : a[Number(i)] },
    GETARRAYLENGTH: { args: [1, 1], types: [['array']], f: ([a]) => BigInt(a.length) },
    GETRECORDPROPERTYVALUE: { args: [2, 2], types: [['record'], TEXT], f: ([r, name]) => field(r, name) },
    GETMETADATAPROPERTYVALUE: { args: [2, 2], types: [ANY, TEXT] },
    GETTYPE: { args: [1, 1], types: [ANY], f: ([v]) => typeOf(v) },
    // choices; evaluated where the arguments are, because not all of them may be looked at
    COALESCE: { args: [2, Infinity], types: [ANY] },
    NULLIF: { args: [2, 2], types: [ANY] },
    IIF: { args: [3, 3], types: [ANY] },
    // places
    CREATEPOINT: { args: [2, 2], types: [NUM], f: ([lat, lon]) => geoRecord('Point', [Number(lon), Number(lat)]) },
    CREATELINESTRING: { args: [1, Infinity], types: [GEO], f: (list, e) => polygon(list, e, 'LineString', 2) },
    CREATEPOLYGON: { args: [1, Infinity], types: [GEO], f: (list, e) => polygon(list, e, 'Polygon', 4) },
    ST_DISTANCE: twoShapes((a, b) => a.type === 'Point' && b.type === 'Point' ? distance(a.points[0], b.points[0]) : 0),
    ST_WITHIN: twoShapes((a, b) => bit(within(a, b))),
    ST_INTERSECTS: twoShapes((a, b) => bit(intersects(a, b))),
    ST_OVERLAPS: twoShapes((a, b) => bit(overlaps(a, b))),
};
SCALARS.DATEPART.f = ([d], e) => BigInt(datePart(e.unit.name, ticks(d, e.name)));

function replace(s, pattern, by, ci) {
    const p = chars(pattern), at = chars(s);
    if (p.length === 0) return s;
    const f = ci ? foldCase : (x) => x;
    let out = '';
    for (let i = 0; i < at.length;) {
        if (i + p.length <= at.length && p.every((c, k) => f(at[i + k]) === f(c))) {
            out += by;
            i += p.length;
        } else out += at[i++];
    }
    return out;
}

const NTH = ['1st', '2nd', '3rd'];

/** The types of the arguments are as they must be, or an error that says which is not. */
export function checkTypes(e, types, values, shift = 0) {
    values.forEach((v, i) => {
        const allowed = types[Math.min(i, types.length - 1)];
        const type = typeOf(v);
        if (type === null || !allowed || allowed.includes(type)) return;
        const n = i + shift;
        throw new Failed(`The ${NTH[n] ?? `${n + 1}th`} argument of function ${e.at.text.toLowerCase()} has invalid type '${type}'. ` +
            `Only ${allowed.map((t) => `'${t}'`).join(', ')} is allowed.`);
    });
}
