// Times as 100 ns ticks since 0001-01-01T00:00:00Z, and what the units of dates mean.

import { DateTime } from './values.mjs';

export const SECOND = 10_000_000n, MINUTE = 60n * SECOND, HOUR = 60n * MINUTE, DAY = 24n * HOUR, WEEK = 7n * DAY;
const LAST = daysBefore(10000, 1, 1) * DAY - 1n;

const NAMES = {
    year: ['yy', 'yyyy'], quarter: ['qq', 'q'], month: ['mm', 'm'], dayofyear: ['dy', 'y'], day: ['dd', 'd'], week: ['wk', 'ww'],
    weekday: ['dw', 'w'], hour: ['hh'], minute: ['mi', 'n'], second: ['ss', 's'], millisecond: ['ms'], microsecond: ['mcs'],
};
const UNIT = new Map(Object.entries(NAMES).flatMap(([full, short]) => [full, ...short].map((name) => [name, full])));
const SIZE = { day: DAY, hour: HOUR, minute: MINUTE, second: SECOND, millisecond: 10_000n, microsecond: 10n };
/** Sizes of the units that windows and durations may have. */
export const sizeOf = (unit) => SIZE[unit];
/** The full name of a unit, or undefined. */
export const unitOf = (name) => UNIT.get(name.toLowerCase());

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

const isLeap = (y) => (y % 4 === 0 && y % 100 !== 0) || y % 400 === 0;
export const daysIn = (y, m) => [31, isLeap(y) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][m - 1];

/** Days from 0001-01-01 to this date, counted month by month. */
function daysBefore(y, m, d) {
    const p = y - 1;
    let days = 365 * p + Math.floor(p / 4) - Math.floor(p / 100) + Math.floor(p / 400);
    for (let i = 1; i < m; i++) days += daysIn(y, i);
    return BigInt(days + d - 1);
}

export const floorDiv = (a, b) => (a - (((a % b) + b) % b)) / b;
export const inRange = (ticks) => ticks >= 0n && ticks <= LAST;

/** Ticks of a date and time of day that exist, or null. */
export function fromParts(y, mo, d, h = 0, mi = 0, s = 0, fraction = 0n) {
    if (y < 1 || y > 9999 || mo < 1 || mo > 12 || d < 1 || d > daysIn(y, mo) || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59) return null;
    return daysBefore(y, mo, d) * DAY + BigInt(h) * HOUR + BigInt(mi) * MINUTE + BigInt(s) * SECOND + fraction;
}

export function parts(ticks) {
    const days = ticks / DAY;
    let y = Number(days / 366n) + 1;
    while (daysBefore(y + 1, 1, 1) <= days) y++;
    let m = 1;
    while (m < 12 && daysBefore(y, m + 1, 1) <= days) m++;
    const rest = ticks % DAY;
    return {
        y, m, d: Number(days - daysBefore(y, m, 1)) + 1, dayOfYear: Number(days - daysBefore(y, 1, 1)) + 1,
        weekday: Number((days + 1n) % 7n), // 0001-01-01 was a Monday; Sunday is 0
        h: Number(rest / HOUR), mi: Number((rest % HOUR) / MINUTE), s: Number((rest % MINUTE) / SECOND), fraction: rest % SECOND,
    };
}

/** The ticks that a text means, or null. */
export function parseTime(text) {
    const m = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):(\d\d))?)?$/.exec(text);
    if (!m) return null;
    const n = (i) => Number(m[i] ?? 0);
    let t = fromParts(n(1), n(2), n(3), n(4), n(5), n(6), BigInt(`${m[7] ?? ''}0000000`.slice(0, 7)));
    if (t === null || n(10) > 23 || n(11) > 59) return null;
    const offset = BigInt(n(10)) * HOUR + BigInt(n(11)) * MINUTE;
    t += m[9] === '+' ? -offset : offset;
    return inRange(t) ? t : null;
}

const pad = (n, width) => String(n).padStart(width, '0');

export function formatTime(ticks) {
    const p = parts(ticks);
    return `${pad(p.y, 4)}-${pad(p.m, 2)}-${pad(p.d, 2)}T${pad(p.h, 2)}:${pad(p.mi, 2)}:${pad(p.s, 2)}.${pad(p.fraction, 7)}Z`;
}

/** The number of the unit in which a time lies; DATEDIFF is the difference of two of them. */
export function indexOf(unit, ticks) {
    const p = parts(ticks);
    switch (unit) {
    case 'year': return BigInt(p.y);
    case 'quarter': return BigInt(p.y * 4 + Math.floor((p.m - 1) / 3));
    case 'month': return BigInt(p.y * 12 + p.m - 1);
    case 'week': return floorDiv(ticks + DAY, WEEK); // weeks begin on Sunday
    case 'dayofyear': case 'weekday': return ticks / DAY;
    default: return ticks / SIZE[unit];
    }
}

/** First tick of the unit with this number, for units of fixed length. */
export function startOf(unit, index) {
    if (unit === 'week') return index * WEEK - DAY;
    return index * (SIZE[unit] ?? DAY);
}

export function datePart(unit, ticks) {
    const p = parts(ticks);
    switch (unit) {
    case 'year': return p.y;
    case 'quarter': return Math.floor((p.m - 1) / 3) + 1;
    case 'month': return p.m;
    case 'dayofyear': return p.dayOfYear;
    case 'day': return p.d;
    case 'week': return Number(indexOf('week', ticks) - indexOf('week', fromParts(p.y, 1, 1))) + 1;
    case 'weekday': return p.weekday + 1;
    case 'hour': return p.h;
    case 'minute': return p.mi;
    case 'second': return p.s;
    case 'millisecond': return Number(p.fraction / 10_000n);
    default: return Number(p.fraction / 10n);
    }
}

export function dateName(unit, ticks) {
    const p = parts(ticks);
    return unit === 'month' ? MONTHS[p.m - 1] : unit === 'weekday' ? WEEKDAYS[p.weekday] : String(datePart(unit, ticks));
}

/** The new ticks, or null when there is no such date. */
export function dateAdd(unit, n, ticks) {
    const months = { year: 12n, quarter: 3n, month: 1n }[unit];
    let t;
    if (months) {
        const p = parts(ticks), index = BigInt(p.y) * 12n + BigInt(p.m - 1) + n * months;
        const y = floorDiv(index, 12n), m = Number(index - y * 12n) + 1;
        if (y < 1n || y > 9999n) return null;
        t = fromParts(Number(y), m, Math.min(p.d, daysIn(Number(y), m)), p.h, p.mi, p.s, p.fraction);
    } else
        t = ticks + n * (unit === 'week' ? WEEK : SIZE[unit] ?? DAY);
    return inRange(t) ? t : null;
}

export const dateTime = (ticks) => new DateTime(ticks);
