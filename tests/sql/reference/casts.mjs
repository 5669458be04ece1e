// Conversions between types.

import { Failed } from './errors.mjs';
import { formatTime, parseTime, dateTime } from './time.mjs';
import { INT_MAX, INT_MIN, floatText, typeOf } from './values.mjs';

/** The value in the type, or an error. */
export function cast(v, type) {
    if (v === null) return null;
    const from = typeOf(v);
    if (from === type) return v;
    const out = CONVERT[type]?.(v, from);
    if (out === undefined || out === null) {
        const shown = ['record', 'array'].includes(from) ? '' : ` '${toText(v) ?? v}'`;
        throw new Failed(`Cannot cast value${shown} of type '${from}' to type '${type}'. TRY_CAST function can be used to handle values with unexpected type.`);
    }
    return out;
}

const CONVERT = {
    bigint(v, from) {
        if (from === 'bit') return v ? 1n : 0n;
        if (from === 'float') {
            const n = Number.isFinite(v) ? BigInt(Math.trunc(v)) : null;
            return n !== null && n >= INT_MIN && n <= INT_MAX ? n : null;
        }
        if (from !== 'nvarchar(max)' || !/^ *[-+]?\d+ *$/.test(v)) return null;
        const n = BigInt(v.trim().replace(/^\+/, ''));
        return n >= INT_MIN && n <= INT_MAX ? n : null;
    },
    float(v, from) {
        if (from === 'bit') return v ? 1 : 0;
        if (from === 'bigint') return Number(v);
        if (from !== 'nvarchar(max)' || !/^ *[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)? *$/.test(v)) return null;
        return Number.isFinite(Number(v)) ? Number(v) : null;
    },
    'nvarchar(max)': (v) => toText(v),
    datetime(v, from) {
        const ticks = from === 'nvarchar(max)' ? parseTime(v) : null;
        return ticks === null ? null : dateTime(ticks);
    },
    bit(v, from) {
        if (from === 'bigint') return v !== 0n;
        if (from === 'float') return Number.isNaN(v) ? null : v !== 0;
        return { true: true, false: false, 1: true, 0: false }[from === 'nvarchar(max)' ? v.toLowerCase() : ''];
    },
};

/** The text of a value; records and arrays have none. */
export function toText(v) {
    switch (typeOf(v)) {
    case 'bigint': case 'bit': return String(v);
    case 'float': return floatText(v);
    case 'nvarchar(max)': return v;
    case 'datetime': return formatTime(v.ticks);
    default: return null;
    }
}
