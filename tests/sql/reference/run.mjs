// A resolved query over whole inputs: each SELECT takes lists of rows and gives a list of rows { time, fields }.

import { Failed } from './errors.mjs';
import { analyse } from './analytic.mjs';
import { condition, evaluate } from './evaluate.mjs';
import { apply, cmp, joinReference, joinStreams } from './joins.mjs';
import { isNumber, typeOf } from './values.mjs';
import { splitBy, windowsOf } from './windows.mjs';

/** job: { ci, read(source) -> rows of an input, reference(name) -> rows, failed(error) }. Gives [[output, rows], ...] in the order of the statements. */
export function run(query, job) {
    const steps = new Map();
    for (const step of query.steps) steps.set(step.name, union(step.select, steps, job));
    return query.selects.map((s) => [s.into ?? 'output', union(s, steps, job)]);
}

/** The branches of a UNION, in the order of time; equal times in the order of the text. */
function union(s, steps, job) {
    const rows = select(s, steps, job);
    return s.union ? [...rows, ...union(s.union, steps, job)].sort((a, b) => cmp(a.time, b.time)) : rows;
}

function select(s, steps, job) {
    const { ci } = job;
    let rows = rowsOf(s.source, s, steps, job);
    for (const link of s.links) {
        if (link.apply) rows = apply(link, rows, ci, job.failed);
        else if (link.source.kind === 'reference') rows = joinReference(link, rows, job.reference(link.source.found), ci);
        else rows = joinStreams(link, rows, rowsOf(link.source, s, steps, job), ci);
    }
    if (s.where) rows = rows.filter((row) => attempt(job, () => condition(s.where, { row, ci })) === true);
    return s.group ? grouped(s, rows, job) : rows.flatMap((row) => emit(s, row.time, { row, ci }, job));
}

/** Rows of one input or step under its alias. */
function rowsOf(source, s, steps, job) {
    const list = source.kind === 'step' ? steps.get(source.found) : job.read(source);
    const rows = list.map(({ time, fields, meta }) =>
        ({ time, own: source.alias, parts: new Map([[source.alias, { time, fields, meta: meta ?? null, analytic: new Map() }]]) }));
    analyse(s.analytics, source.alias, rows, job.ci);
    return rows;
}

/** The value, or undefined after an error. */
function attempt(job, f) {
    try {
        return f();
    } catch (error) {
        if (!(error instanceof Failed)) throw error;
        job.failed(error);
        return undefined;
    }
}

function emit(s, time, env, job) {
    const fields = attempt(job, () => {
        const out = new Map();
        for (const item of s.items) {
            if (!item.star) {
                if (!out.has(item.column)) out.set(item.column, evaluate(item.e, env));
                continue;
            }
            for (const [k, v] of spread(s, item, env)) if (!out.has(k)) out.set(k, v);
        }
        return out;
    });
    return fields ? [{ time, fields }] : [];
}

/** The columns that *, alias.* or path.* stands for. */
function spread(s, item, env) {
    if (item.e) {
        const v = evaluate(item.e, env);
        if (v !== null && !(v instanceof Map)) throw new Failed(`${item.parts.join('.')}.* needs a record, not type '${typeOf(v)}'`);
        return v ?? [];
    }
    return item.parts ? env.row.parts.get(item.whole)?.fields ?? [] : whole(s, env.row);
}

/** The whole event: the fields of its input, and the elements of APPLY under their names. */
function whole(s, row) {
    const out = new Map(row.parts.get(s.source.alias).fields);
    for (const link of s.links) if (link.apply && !out.has(link.alias)) out.set(link.alias, row.parts.get(link.alias)?.fields ?? null);
    return out;
}

// ---- GROUP BY

function grouped(s, rows, job) {
    const { ci } = job;
    const usable = rows.filter((row) => attempt(job, () => prepare(s, row, ci) ?? true));
    usable.forEach((row, i) => (row.place = i));
    const groups = (list) => splitBy(list, (r) => r.keys, ci);
    const results = s.window.flatMap((def, d) => windowsOf(def, usable, { groups, partition: (list) => splitBy(list, (r) => r.partitions.get(def), ci) })
        .flatMap((w) => groups(w.rows).map((list) => ({ end: w.end, id: def.id ?? null, d, rows: list }))));
    results.sort((a, b) => cmp(a.end, b.end) || a.d - b.d || a.rows[0].place - b.rows[0].place);
    return results.flatMap((group) => {
        const env = { row: group.rows[0], group, ci };
        if (s.having && attempt(job, () => condition(s.having, env)) !== true) return [];
        return emit(s, group.end, env, job);
    });
}

const TYPES = {
    SUM: isNumber, AVG: isNumber, STDEV: isNumber, STDEVP: isNumber, VAR: isNumber, VARP: isNumber,
    MIN: (v) => ['bigint', 'float', 'nvarchar(max)', 'datetime'].includes(typeOf(v)),
};
TYPES.MAX = TYPES.MIN;

/** Everything that grouping needs of a row. An error drops the row before any window sees it. */
function prepare(s, row, ci) {
    const env = { row, ci };
    row.keys = s.keys.map((e) => evaluate(e, env));
    row.partitions = new Map(s.window.map((w) => [w, (w.partition ?? []).map((e) => evaluate(e, env))]));
    row.prepared = new Map();
    for (const e of s.aggregates) {
        const order = (e.over?.order ?? []).map((o) => evaluate(o.e, env));
        const fits = e.name.startsWith('PERCENTILE') ? isNumber : TYPES.MIN;
        for (const v of order) if (v !== null && !fits(v)) throw new Failed(`${e.at.text} cannot order by type '${typeOf(v)}'`);
        const isWhole = ['TOPONE', 'COLLECTTOP'].includes(e.name) || (e.name === 'COLLECT' && !e.args.length);
        const value = isWhole ? whole(s, row) : e.args.length && !e.over ? evaluate(e.args[0], env) : null;
        if (value !== null && TYPES[e.name] && !TYPES[e.name](value))
            throw new Failed(`The 1st argument of function ${e.at.text.toLowerCase()} has invalid type '${typeOf(value)}'. Only ${TYPES[e.name] === isNumber ? "'bigint', 'float'" : "'bigint', 'float', 'nvarchar(max)', 'datetime'"} is allowed.`);
        row.prepared.set(e, { value, order });
    }
}
