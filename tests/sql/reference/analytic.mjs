// LAG, LAST, ISFIRST: for each row, look at all rows of its input up to it.

import { Failed } from './errors.mjs';
import { condition, evaluate } from './evaluate.mjs';
import { floorDiv } from './time.mjs';
import { identity } from './values.mjs';

/** Puts the value (or the error) of each analytic function into part.analytic of each row of the input that it looks at. */
export function analyse(calls, alias, rows, ci) {
    const mine = calls.filter((e) => e.alias === alias);
    for (const e of mine) {
        const view = rows.map((row) => look(e, row, ci));
        rows.forEach((row, i) => row.parts.get(alias).analytic.set(e, attempt(() => value(e, view, i, ci))));
    }
}

function attempt(f) {
    try {
        return f();
    } catch (error) {
        if (error instanceof Failed) return error;
        throw error;
    }
}

/** What PARTITION BY and WHEN say of a row; an error there is kept for the row itself, and for others the row does not match. */
function look(e, row, ci) {
    const env = { row, ci };
    const key = attempt(() => (e.over?.partition ?? []).map((p) => identity(evaluate(p, env), ci)).join('|'));
    const when = attempt(() => e.over?.when ? condition(e.over.when, env) === true : true);
    return { row, key, when, error: [key, when].find((x) => x instanceof Failed) };
}

function value(e, view, i, ci) {
    const me = view[i];
    if (me.error) throw me.error;
    const fits = (v) => v.key === me.key && v.when === true;
    if (e.name === 'ISFIRST') return me.when && !view.slice(0, i).some((v) => fits(v) && interval(e, v.row) === interval(e, me.row)) ? 1n : 0n;
    const before = view.slice(0, e.name === 'LAST' ? i + 1 : i).filter(fits).reverse();
    const found = before[e.name === 'LAST' ? 0 : Number(e.offset) - 1];
    const fallback = e.args[(e.name === 'LAST' ? 1 : 2) - (e.star ? 1 : 0)];
    if (!found || found.row.time < me.row.time - e.over.duration) return fallback ? evaluate(fallback, { row: me.row, ci }) : null;
    return e.star ? found.row.parts.get(e.alias).fields : evaluate(e.args[0], { row: found.row, ci });
}

/** The number of the interval (start, end] in which a row lies. */
const interval = (e, row) => -floorDiv(-row.time, e.size);
