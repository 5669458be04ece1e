// Aggregates by definition: over the list of all rows of a group. What an aggregate needs of a row was computed before (prepare.mjs).

import { Failed } from './errors.mjs';
import { fit, identity } from './values.mjs';
import { order } from './evaluate.mjs';

export function aggregate(e, env) {
    const rows = env.group.rows, of = (r) => r.prepared.get(e);
    const values = rows.map((r) => of(r).value).filter((v) => v !== null);
    switch (e.name) {
    case 'COUNT':
        if (e.star) return BigInt(rows.length);
        return BigInt(e.distinct ? new Set(values.map((v) => identity(v, env.ci))).size : values.length);
    case 'SUM': return sum(values);
    case 'AVG': return values.length ? Number(total(values)) / values.length : null;
    case 'MIN': return extreme(values, -1, env.ci);
    case 'MAX': return extreme(values, 1, env.ci);
    case 'VARP': return variance(values, 0);
    case 'VAR': return variance(values, 1);
    case 'STDEVP': return root(variance(values, 0));
    case 'STDEV': return root(variance(values, 1));
    case 'COLLECT': return rows.map((r) => of(r).value);
    case 'TOPONE': return ranked(e, env)[0].prepared.get(e).value;
    case 'COLLECTTOP':
        return ranked(e, env).slice(0, Number(e.args[0].value)).map((r, i) => new Map([['rank', BigInt(i + 1)], ['value', of(r).value]]));
    default: return percentile(e, rows.map((r) => of(r).order[0]).filter((v) => v !== null), env);
    }
}

const total = (values) => values.every((v) => typeof v === 'bigint') ? values.reduce((a, b) => a + b, 0n) : values.reduce((a, b) => a + Number(b), 0);

function sum(values) {
    if (values.length === 0) return null;
    const t = total(values);
    return typeof t === 'bigint' ? fit(t, 'SUM') : t;
}

/** Values that have an order among them, or an error: numbers of both types are one kind. */
function oneKind(values, what) {
    const kinds = new Set(values.filter((v) => v !== null).map((v) => typeof v === 'bigint' ? 'number' : typeof v));
    if (kinds.size > 1) throw new Failed(`${what}: the values are of types that cannot be compared`);
}

function extreme(values, direction, ci) {
    oneKind(values, direction < 0 ? 'MIN' : 'MAX');
    return values.reduce((best, v) => best === null || order(v, best, ci) === direction ? v : best, null);
}

function variance(values, less) {
    const x = values.map(Number), n = x.length;
    if (n <= less) return null;
    const mean = x.reduce((a, b) => a + b, 0) / n;
    return x.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - less);
}

const root = (v) => v === null ? null : Math.sqrt(v);

/** NULL is the smallest; equal ones stay in the order of time. */
function ranked(e, env) {
    e.over.order.forEach((_, i) => oneKind(env.group.rows.map((r) => r.prepared.get(e).order[i]), e.at.text));
    return [...env.group.rows].sort((r, s) => {
        for (const [i, o] of e.over.order.entries()) {
            const a = r.prepared.get(e).order[i], b = s.prepared.get(e).order[i];
            const c = a === null || b === null ? (a === null ? 0 : 1) - (b === null ? 0 : 1) : order(a, b, env.ci);
            if (c) return o.down ? -c : c;
        }
        return 0;
    });
}

function percentile(e, values, env) {
    const n = values.length, p = Number(e.args[0].value ?? e.args[0].a.value);
    if (n === 0) return null;
    const sorted = [...values].sort((a, b) => order(a, b, env.ci));
    if (e.over.order[0].down) sorted.reverse();
    if (e.name === 'PERCENTILE_DISC') return sorted.find((_, i) => (i + 1) / n >= p);
    const at = (n - 1) * p, i = Math.floor(at), low = Number(sorted[i]);
    return i + 1 < n ? low + (Number(sorted[i + 1]) - low) * (at - i) : low;
}
