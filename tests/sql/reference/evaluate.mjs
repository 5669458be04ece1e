// The value of an expression for a row.
//
// env: { row, group, ci }. A row has { time, parts } with parts: alias -> { fields, time, meta, analytic } or null (no match of a LEFT JOIN).
// In a GROUP BY query env.group is { rows, end, id } and group keys are those of its first row.

import { Failed } from './errors.mjs';
import { SCALARS, checkTypes } from './functions.mjs';
import { aggregate } from './aggregates.mjs';
import { cast } from './casts.mjs';
import { like } from './text.mjs';
import { dateTime, indexOf, parseTime } from './time.mjs';
import { isAggregate, isAnalytic } from './resolve.mjs';
import { DateTime, compareStrings, field, fit, hasField, isNumber, typeOf } from './values.mjs';

/** Floats that were infinite or no number: they became NULL. */
export const lost = { count: 0 };

export function evaluate(e, env) {
    const v = valueOf(e, env);
    if (typeof v !== 'number' || Number.isFinite(v)) return v;
    lost.count++;
    return null;
}

function valueOf(e, env) {
    if (env.group && e.key) return evaluate(e, { ...env, row: env.group.rows[0], group: null });
    switch (e.t) {
    case 'literal': return e.value;
    case 'paren': return evaluate(e.a, env);
    case 'path': return path(e, env);
    case 'timestamp': return dateTime(env.group ? env.group.end : env.row.time);
    case 'windowid': return env.group?.id ?? null;
    case 'window': return new Map([['Id', env.group?.id ?? null]]);
    case 'sign': return sign(e.op, evaluate(e.a, env));
    case 'arith': return arithmetic(e.op, evaluate(e.a, env), evaluate(e.b, env));
    case 'compare': return compare(e.op, evaluate(e.a, env), evaluate(e.b, env), env.ci);
    case 'and': return connect(e, env, false);
    case 'or': return connect(e, env, true);
    case 'not': return negate(condition(e.a, env));
    case 'isnull': return (evaluate(e.a, env) === null) !== e.not;
    case 'between': return between(e, env);
    case 'in': return isIn(e, env);
    case 'like': return isLike(e, env);
    case 'case': return choose(e, env);
    case 'cast': return convert(e, env);
    default: return call(e, env);
    }
}

const negate = (x) => x === null ? null : !x;

/** The value where TRUE, FALSE or NULL is needed. */
export function condition(e, env) {
    const v = evaluate(e, env);
    if (v !== null && typeof v !== 'boolean') throw new Failed(`a condition is needed, this is of type '${typeOf(v)}'`);
    return v;
}

function path(e, env) {
    const part = env.row.parts.get(e.alias);
    if (part === undefined) throw new Error(`no part ${e.alias}`);
    if (part === null) return null;
    if (e.path.length === 0) return part.fields;
    const [first, ...rest] = e.path;
    const top = part.meta && !hasField(part.fields, first) ? part.meta : part.fields;
    let v = field(top, first);
    for (const name of rest) {
        if (v === null) return null;
        if (!(v instanceof Map)) return null;
        v = field(v, name);
    }
    return v;
}

function sign(op, v) {
    if (v === null) return null;
    if (!isNumber(v)) throw new Failed(`unary ${op} cannot be used with type '${typeOf(v)}'`);
    return op === '+' ? v : typeof v === 'bigint' ? fit(-v, '-') : -v;
}

function arithmetic(op, a, b) {
    if (a === null || b === null) return null;
    if (op === '+' && typeof a === 'string' && typeof b === 'string') return a + b;
    if (!isNumber(a) || !isNumber(b)) throw new Failed(`${op} cannot be used with types '${typeOf(a)}' and '${typeOf(b)}'`);
    if (typeof a === 'bigint' && typeof b === 'bigint') {
        if ('/%'.includes(op) && b === 0n) throw new Failed(`${op}: division by zero`);
        return fit({ '+': () => a + b, '-': () => a - b, '*': () => a * b, '/': () => a / b, '%': () => a % b }[op](), op);
    }
    const x = Number(a), y = Number(b);
    return { '+': x + y, '-': x - y, '*': x * y, '/': x / y, '%': x % y }[op];
}

/** -1, 0, 1, or NaN where a NaN is compared. An error where the types have no order. */
export function order(a, b, ci) {
    const number = (v) => typeof v === 'boolean' ? (v ? 1 : 0) : v;
    const [x, y] = [number(a), number(b)];
    if (isNumber(x) && isNumber(y)) {
        const [p, q] = typeof x === typeof y ? [x, y] : [Number(x), Number(y)];
        return p < q ? -1 : p > q ? 1 : p === q ? 0 : NaN;
    }
    if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b, ci);
    const time = (v, other) => {
        if (v instanceof DateTime) return v.ticks;
        if (typeof v !== 'string' || !(other instanceof DateTime)) return null;
        const t = parseTime(v);
        if (t === null) throw new Failed(`'${v}' is no date`);
        return t;
    };
    const [s, t] = [time(a, b), time(b, a)];
    if (s !== null && t !== null) return s < t ? -1 : s > t ? 1 : 0;
    throw new Failed(`values of types '${typeOf(a)}' and '${typeOf(b)}' cannot be compared`);
}

export function compare(op, a, b, ci) {
    if (a === null || b === null) return null;
    const o = order(a, b, ci);
    return { '=': o === 0, '<>': o !== 0, '<': o < 0, '<=': o <= 0, '>': o > 0, '>=': o >= 0 }[op];
}

/** AND (decided by FALSE) and OR (decided by TRUE). */
function connect(e, env, decided) {
    const a = condition(e.a, env);
    if (a === decided) return a;
    const b = condition(e.b, env);
    return b === decided ? b : a === null || b === null ? null : !decided;
}

function between(e, env) {
    const v = evaluate(e.a, env);
    const low = compare('>=', v, evaluate(e.low, env), env.ci);
    if (low === false) return false;
    const high = compare('<=', v, evaluate(e.high, env), env.ci);
    return high === false ? false : low === null || high === null ? null : true;
}

function isIn(e, env) {
    const v = evaluate(e.a, env);
    let unknown = false;
    for (const x of e.list) {
        const same = compare('=', v, evaluate(x, env), env.ci);
        if (same) return true;
        unknown ||= same === null;
    }
    return unknown ? null : false;
}

function isLike(e, env) {
    const values = [e.a, e.pattern, ...(e.escape ? [e.escape] : [])].map((x) => evaluate(x, env));
    for (const v of values)
        if (v !== null && typeof v !== 'string') throw new Failed(`LIKE cannot be used with type '${typeOf(v)}'`);
    if (values.includes(null)) return null;
    return like(values[0], values[1], values[2] ?? null, env.ci);
}

function choose(e, env) {
    const subject = e.subject ? evaluate(e.subject, env) : null;
    for (const [when, then] of e.whens) {
        const yes = e.subject ? compare('=', subject, evaluate(when, env), env.ci) : condition(when, env);
        if (yes) return evaluate(then, env);
    }
    return e.otherwise ? evaluate(e.otherwise, env) : null;
}

function convert(e, env) {
    const v = evaluate(e.a, env); // an error inside is not the cast's
    if (!e.tries) return cast(v, e.type);
    try {
        return cast(v, e.type);
    } catch (error) {
        if (error instanceof Failed) return null;
        throw error;
    }
}

function call(e, env) {
    if (isAggregate(e)) return aggregate(e, env);
    if (isAnalytic(e)) return analyticValue(e, env);
    if (e.ends) {
        const [a, b] = e.ends.map((alias) => env.row.parts.get(alias)?.time ?? null);
        return a === null || b === null ? null : indexOf(e.unit.name, b) - indexOf(e.unit.name, a);
    }
    switch (e.name) {
    case 'COALESCE':
        for (const a of e.args) {
            const v = evaluate(a, env);
            if (v !== null) return v;
        }
        return null;
    case 'IIF': return evaluate(condition(e.args[0], env) ? e.args[1] : e.args[2], env);
    case 'NULLIF': {
        const [a, b] = e.args.map((x) => evaluate(x, env));
        return compare('=', a, b, env.ci) ? null : a;
    }
    case 'GETMETADATAPROPERTYVALUE': return metadata(e, env);
    }
    const f = SCALARS[e.name];
    const values = e.args.map((a) => evaluate(a, env));
    checkTypes(e, f.types, values, e.unit ? 1 : 0);
    return !f.nulls && values.includes(null) && e.name !== 'GETTYPE' ? null : f.f(values, e, env.ci);
}

/** 'EventHub.EventEnqueuedUtcTime', '[User].[name]', 'User', ... */
function metadata(e, env) {
    const name = evaluate(e.args[1], env), part = env.row.parts.get(e.of);
    if (name === null || !part) return null;
    checkTypes(e, SCALARS[e.name].types, [null, name]);
    let v = part.meta;
    for (const step of name.split('.').map((s) => s.replace(/^\[(.*)\]$/, '$1'))) {
        if (!(v instanceof Map)) return null;
        v = field(v, step);
    }
    return v;
}

function analyticValue(e, env) {
    const part = env.row.parts.get(e.alias);
    if (part === null) return null;
    const v = part.analytic.get(e);
    if (v instanceof Failed) throw v;
    return v;
}
