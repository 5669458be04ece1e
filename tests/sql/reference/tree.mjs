// Walking expressions.

import { asciiLower } from './values.mjs';

/** The expressions directly inside one. */
export function kids(e) {
    switch (e.t) {
    case 'or': case 'and': case 'compare': case 'arith': return [e.a, e.b];
    case 'not': case 'isnull': case 'sign': case 'paren': case 'cast': return [e.a];
    case 'between': return [e.a, e.low, e.high];
    case 'in': return [e.a, ...e.list];
    case 'like': return [e.a, e.pattern, ...(e.escape ? [e.escape] : [])];
    case 'case':
        return [...(e.subject ? [e.subject] : []), ...e.whens.flat(), ...(e.otherwise ? [e.otherwise] : [])];
    case 'call':
        return [...e.args, ...(e.over ? [...e.over.partition, ...e.over.order.map((o) => o.e), ...(e.over.when ? [e.over.when] : [])] : [])];
    default: return [];
    }
}

/** Calls visit(e) for the expression and all inside it; where visit gives false, not for those inside. */
export function walk(e, visit) {
    if (visit(e) === false) return;
    for (const k of kids(e)) walk(k, visit);
}

export const bare = (e) => e.t === 'paren' ? bare(e.a) : e;

/** A text that is the same for expressions that are written the same, after names were resolved. */
export function canon(e) {
    const b = bare(e);
    const own = [b.t, b.op, b.name, b.type, b.tries, b.not, b.star, b.distinct, b.unit?.name, String(b.size ?? ''), b.over?.order.map((o) => o.down),
        String(b.over?.duration ?? ''), b.t === 'literal' ? `${typeof b.value}:${b.value}` : '', b.alias, b.path?.map(asciiLower)];
    return JSON.stringify([own, kids(b).map(canon)]);
}

/** The conditions that AND joins. */
export function conditions(e) {
    const b = bare(e);
    return b.t === 'and' ? [...conditions(b.a), ...conditions(b.b)] : [b];
}
