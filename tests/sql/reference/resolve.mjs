// What a query means before any event is there: which names belong to which input, and everything for which it is refused.

import { Refused } from './errors.mjs';
import { SCALARS } from './functions.mjs';
import { WEEK, DAY, sizeOf } from './time.mjs';
import { bare, canon, conditions, kids, walk } from './tree.mjs';
import { asciiLower } from './values.mjs';

/** Aggregates: least and most arguments. */
export const AGGREGATES = {
    COUNT: [1, 1], SUM: [1, 1], AVG: [1, 1], MIN: [1, 1], MAX: [1, 1], STDEV: [1, 1], STDEVP: [1, 1], VAR: [1, 1], VARP: [1, 1],
    COLLECT: [0, 1], COLLECTTOP: [1, 1], TOPONE: [0, 0], PERCENTILE_CONT: [1, 1], PERCENTILE_DISC: [1, 1],
};
const ORDERED = ['COLLECTTOP', 'TOPONE', 'PERCENTILE_CONT', 'PERCENTILE_DISC'];
const ANALYTICS = { LAG: [1, 3], LAST: [1, 2], ISFIRST: [0, 0] };
const IN_APPLY = ['GETARRAYELEMENTS', 'GETRECORDPROPERTIES'];

const isAggregate = (e) => e.t === 'call' && Object.hasOwn(AGGREGATES, e.name);
const isAnalytic = (e) => e.t === 'call' && Object.hasOwn(ANALYTICS, e.name);
export { isAggregate, isAnalytic };

/** The name among `names` that is meant: exact spelling first, then the last without regard to case. */
export function pick(names, name) {
    return names.includes(name) ? name : names.filter((n) => asciiLower(n) === asciiLower(name)).at(-1);
}

export function resolve(query, inputs, references) {
    const steps = [], columns = new Map();
    const find = (at, name) => {
        for (const [kind, names] of [['step', steps], ['reference', references], ['input', inputs]]) {
            const found = pick(names, name);
            if (found !== undefined) return { kind, found, columns: kind === 'step' ? columns.get(found) : null };
        }
        throw new Refused(at, `there is no input "${name}"`);
    };
    for (const table of query.tables) {
        const { kind, found } = find(table.at, table.name);
        if (kind !== 'input') throw new Refused(table.at, `"${table.name}" is no input`);
        table.input = found;
    }
    for (const step of query.steps) {
        if (pick(steps, step.name) !== undefined) throw new Refused(step.at, `there is a step "${step.name}" already`);
        forEachBranch(step.select, (s) => {
            if (s.into !== null) throw new Refused(s.intoAt, 'a step has no INTO');
            new Select(s, find).run();
        });
        steps.push(step.name);
        columns.set(step.name, columnsOf(step.select));
    }
    for (const select of query.selects)
        forEachBranch(select, (s) => {
            if (s !== select && s.into !== null) throw new Refused(s.intoAt, 'INTO stands in the first SELECT of a UNION');
            new Select(s, find).run();
        });
    checkSubstreams(query);
    return query;
}

export function forEachBranch(select, visit) {
    for (let s = select; s; s = s.union) visit(s);
}

export function sourcesOf(s) {
    return [s.source, ...s.links.filter((l) => l.join).map((l) => l.source)];
}

/** The names of a step's columns, or null when * makes them unknown. */
function columnsOf(select) {
    const names = [];
    let known = true;
    forEachBranch(select, (s) => s.items.forEach((i) => i.star ? (known = false) : names.push(i.column)));
    return known ? names : null;
}

/** TIMESTAMP BY ... OVER: for all inputs or for none, and the key in GROUP BY and in ON. */
function checkSubstreams(query) {
    const selects = [];
    for (const s of [...query.steps.map((x) => x.select), ...query.selects]) forEachBranch(s, (b) => selects.push(b));
    const all = selects.flatMap(sourcesOf).filter((s) => s.kind === 'input');
    if (!all.some((s) => s.over)) return;
    const without = all.find((s) => !s.over);
    if (without) throw new Refused(without.at, 'TIMESTAMP BY ... OVER stands at all inputs of a query or at none');
    for (const s of selects) {
        if (s.group && s.source.over) {
            const keys = s.group.filter((g) => g.e).map((g) => canon(g.e));
            for (const e of s.source.over)
                if (!keys.includes(canon(e))) throw new Refused(s.groupAt, 'the key of TIMESTAMP BY ... OVER must be in GROUP BY');
        }
        for (const link of s.links.filter((l) => l.join && l.source.over && s.source.over)) {
            const pairs = conditions(link.on).filter((c) => c.t === 'compare' && c.op === '=').map((c) => [canon(c.a), canon(c.b)].sort().join());
            link.source.over.forEach((e, i) => {
                const pair = [canon(e), canon(s.source.over[i] ?? e)].sort().join();
                if (!pairs.includes(pair)) throw new Refused(link.onAt, 'ON must equate the keys of TIMESTAMP BY ... OVER');
            });
        }
    }
}

class Select {
    constructor(s, find) {
        this.s = s;
        this.find = find;
        this.scope = [];
        this.joins = s.links.some((l) => l.join);
        s.analytics = [];
        s.aggregates = [];
    }

    run() {
        const { s } = this;
        this.source(s.source);
        if (s.source.kind === 'reference') throw new Refused(s.source.at, 'reference data stands on the right of a JOIN');
        for (const link of s.links) {
            if (link.join) this.join(link);
            else {
                this.expression(link.e, { analytics: true });
                this.enter(link.alias, link.at, { apply: true });
            }
        }
        if (s.where) this.expression(s.where, { analytics: true });
        this.group();
        this.names();
        for (const item of s.items) this.item(item);
        if (s.having) {
            if (!s.group) throw new Refused(s.havingAt, 'HAVING needs GROUP BY');
            s.having = this.withNames(s.having);
            this.expression(s.having, { analytics: true, aggregates: true });
            this.grouped(s.having);
        }
    }

    enter(alias, at, entry) {
        if (pick(this.scope.map((x) => x.alias), alias) !== undefined) throw new Refused(at, `the name "${alias}" is taken; give this one an alias`);
        this.scope.push({ alias, ...entry });
    }

    source(source) {
        Object.assign(source, this.find(source.at, source.input));
        if (source.timestamp && source.kind !== 'input')
            throw new Refused(source.timestampAt, `TIMESTAMP BY is for inputs; "${source.input}" has its time already`);
        this.enter(source.alias, source.at, { source });
        if (!source.timestamp) return;
        const inner = new Select({ links: [] }, this.find);
        inner.scope = [{ alias: source.alias, source }];
        for (const e of [source.timestamp, ...(source.over ?? [])]) inner.expression(e, {});
    }

    join(link) {
        const earlier = this.scope.map((x) => x.alias);
        this.source(link.source);
        const { alias } = link.source;
        walk(link.on, (e) => {
            if (e.t !== 'call' || e.name !== 'DATEDIFF' || e.args.length !== 2) return true;
            const ends = e.args.map((a) => a.t === 'path' && a.parts.length === 1 ? pick(this.scope.filter((x) => x.source).map((x) => x.alias), a.parts[0]) : undefined);
            if (ends.includes(undefined)) return true;
            e.ends = ends;
            return false;
        });
        this.expression(link.on, { analytics: true });
        const all = conditions(link.on);
        if (link.source.kind === 'reference') {
            const uses = (e) => {
                const out = new Set();
                walk(e, (x) => { if (x.t === 'path') out.add(x.alias); });
                return [...out];
            };
            const equal = all.some((c) => c.t === 'compare' && c.op === '=' && [[c.a, c.b], [c.b, c.a]].some(([x, y]) =>
                uses(x).join() === alias && uses(y).length > 0 && !uses(y).includes(alias)));
            if (!equal) throw new Refused(link.onAt, 'a join with reference data needs an equality of both sides');
            return;
        }
        link.bounds = all.flatMap((c) => boundsOf(c, alias, earlier));
        if (!link.bounds.some((b) => b.low !== null) || !link.bounds.some((b) => b.high !== null))
            throw new Refused(link.onAt, 'a join of streams needs a bound in time: AND DATEDIFF(unit, a, b) BETWEEN x AND y');
    }

    group() {
        const { s } = this;
        if (!s.group) return;
        const timed = s.group.filter((g) => !g.e);
        if (timed.length > 1) throw new Refused(timed[1].at, 'GROUP BY takes one window; several are written Windows(...)');
        for (const g of s.group) {
            if (g.e) this.expression(g.e, { analytics: true });
            for (const w of g.window ?? []) for (const e of w.partition ?? []) this.expression(e, { analytics: true });
        }
        if (timed.length === 0) throw new Refused(s.groupAt, 'GROUP BY needs a window or System.Timestamp()');
        s.keys = s.group.filter((g) => g.e).map((g) => g.e);
        s.window = timed[0].window ?? [{ kind: 'snapshot' }];
    }

    /** What the columns are called. */
    names() {
        const seen = new Set();
        this.s.items.forEach((item, i) => {
            if (item.star) return;
            item.column = item.name ?? nameOf(bare(item.e)) ?? `Col${i + 1}`;
            if (seen.has(item.column)) throw new Refused(item.nameAt ?? item.at, `there are two columns "${item.column}"`);
            seen.add(item.column);
        });
    }

    item(item) {
        const { s } = this;
        if (!item.star) {
            this.expression(item.e, { analytics: true, aggregates: true });
            if (s.group) this.grouped(item.e);
            else if (s.aggregates.length) throw new Refused(s.aggregates[0].at, `${s.aggregates[0].name} needs GROUP BY with a window or System.Timestamp()`);
            return;
        }
        if (s.group) throw new Refused(item.at, '* cannot be used with GROUP BY');
        if (!item.parts) {
            if (this.joins) throw new Refused(item.at, 'SELECT * cannot be used in a JOIN; write alias.*');
            return;
        }
        item.whole = item.parts.length === 1 ? pick(this.scope.map((x) => x.alias), item.parts[0]) : undefined;
        if (item.whole === undefined) this.path(item.e = { t: 'path', at: item.at, parts: item.parts });
    }

    path(e) {
        const aliases = this.scope.map((x) => x.alias);
        const alias = pick(aliases, e.parts[0]);
        const entry = this.scope[aliases.indexOf(alias)];
        if (entry && (e.parts.length > 1 || entry.apply)) {
            e.alias = alias;
            e.path = e.parts.slice(1);
            return;
        }
        const sources = this.scope.filter((x) => x.source);
        if (sources.length > 1)
            throw new Refused(e.at, e.parts.length > 1 ? `"${e.parts[0]}" is no alias here` : `in a JOIN "${e.parts[0]}" needs its alias in front`);
        const { columns } = sources[0].source;
        if (e.at.doubleQuoted && e.parts.length === 1 && columns && pick(columns, e.parts[0]) === undefined) {
            e.t = 'literal'; // no such column: a string in the wrong quotes
            [e.value] = e.parts;
            return;
        }
        e.alias = sources[0].alias;
        e.path = e.parts;
    }

    /** Resolves names and checks calls. `may`: aggregates, analytics. */
    expression(e, may) {
        if (e.t === 'path') this.path(e);
        if (e.t === 'call') return this.call(e, may);
        for (const k of kids(e)) this.expression(k, may);
    }

    call(e, may) {
        const counts = AGGREGATES[e.name] ?? ANALYTICS[e.name] ?? SCALARS[e.name]?.args;
        if (e.name === 'FIRST') throw new Refused(e.at, 'there is no FIRST; use TopOne() in a window, or LAST, LAG or ISFIRST');
        if (IN_APPLY.includes(e.name)) throw new Refused(e.at, `${e.at.text} stands in CROSS APPLY or OUTER APPLY`);
        if (!Object.hasOwn(AGGREGATES, e.name) && !Object.hasOwn(ANALYTICS, e.name) && !Object.hasOwn(SCALARS, e.name))
            throw new Refused(e.at, `there is no function ${e.at.text}`);
        const n = e.args.length + (e.star ? 1 : 0);
        const takes = counts[0] === counts[1] ? `${counts[0]}` : counts[1] === Infinity ? `${counts[0]} or more` : `${counts[0]} to ${counts[1]}`;
        const units = e.unit ? ' after the unit' : '';
        if (n < counts[0] || n > counts[1]) throw new Refused(e.at, `${e.at.text} takes ${takes} arguments${units}, not ${n}`);
        if (e.star && !['COUNT', 'LAG', 'LAST'].includes(e.name)) throw new Refused(e.at, `${e.at.text} does not take *`);
        if (e.distinct && e.name !== 'COUNT') throw new Refused(e.at, 'DISTINCT is for COUNT');
        if (e.ends) return;
        if (isAggregate(e)) this.aggregate(e, may);
        else if (isAnalytic(e)) this.analytic(e, may);
        else {
            if (e.over) throw new Refused(e.overAt, `${e.at.text} has no OVER`);
            if (e.name === 'GETMETADATAPROPERTYVALUE') return this.metadata(e);
            for (const a of e.args) this.expression(a, may);
        }
    }

    metadata(e) {
        const alias = e.args[0].t === 'path' && e.args[0].parts.length === 1 ? pick(this.scope.map((x) => x.alias), e.args[0].parts[0]) : undefined;
        if (this.scope.find((x) => x.alias === alias)?.source?.kind !== 'input') throw new Refused(e.args[0].at, `${e.at.text} takes the name of an input`);
        e.of = alias;
        this.expression(e.args[1], {});
    }

    aggregate(e, may) {
        if (!may.aggregates) throw new Refused(e.at, may.inside ? `${e.at.text} cannot stand inside ${may.inside}` : `the aggregate ${e.at.text} cannot stand here`);
        const ordered = ORDERED.includes(e.name);
        if (e.over && (e.over.duration !== null || e.over.partition.length || e.over.when))
            throw new Refused(e.overAt, `${e.at.text} takes no LIMIT DURATION, PARTITION BY or WHEN; use a window`);
        if (ordered !== Boolean(e.over?.order.length))
            throw new Refused(ordered ? e.at : e.overAt ?? e.at, ordered ? `${e.at.text} needs OVER (ORDER BY ...)` : `${e.at.text} has no OVER`);
        if (!ordered && e.over) throw new Refused(e.overAt, `${e.at.text} has no OVER`);
        if (ordered && e.args.length) this.constant(e);
        const whole = ['COLLECTTOP', 'TOPONE'].includes(e.name) || (e.name === 'COLLECT' && !e.args.length);
        if (whole && this.joins) throw new Refused(e.at, `${e.at.text} takes whole events, which a JOIN does not have`);
        for (const k of kids(e)) this.expression(k, { analytics: may.analytics, inside: e.at.text });
        this.s.aggregates.push(e);
    }

    constant(e) {
        const v = bare(e.args[0]).t === 'literal' ? bare(e.args[0]).value : null;
        if (e.name === 'COLLECTTOP' ? typeof v !== 'bigint' || v < 1n : v === null || typeof v === 'string' || !(Number(v) >= 0 && Number(v) <= 1))
            throw new Refused(e.args[0].at, e.name === 'COLLECTTOP' ? 'CollectTop takes a whole number from 1' : `${e.at.text} takes a number from 0 to 1`);
        if (e.name.startsWith('PERCENTILE') && e.over.order.length > 1) throw new Refused(e.over.order[1].e.at, `${e.at.text} orders by one expression`);
    }

    analytic(e, may) {
        if (!may.analytics) throw new Refused(e.at, may.inside ? `${e.at.text} cannot stand inside ${may.inside}` : `${e.at.text} cannot stand here`);
        if (e.name !== 'ISFIRST' && (e.over?.duration ?? null) === null) throw new Refused(e.at, `${e.at.text} needs OVER (... LIMIT DURATION(unit, n))`);
        if (e.name === 'ISFIRST' && (e.over?.duration ?? null) !== null) throw new Refused(e.overAt, 'ISFIRST takes no LIMIT DURATION');
        if (e.over?.order.length) throw new Refused(e.overAt, `${e.at.text} takes no ORDER BY`);
        if (e.star && this.joins) throw new Refused(e.at, `${e.at.text}(*) takes whole events, which a JOIN does not have`);
        if (e.name === 'LAG') {
            const offset = bare(e.args[e.star ? 0 : 1] ?? { t: 'literal', value: 1n });
            if (offset.t !== 'literal' || typeof offset.value !== 'bigint' || offset.value < 1n) throw new Refused(offset.at, 'the offset of LAG is a whole number from 1');
            e.offset = offset.value;
        }
        const used = new Set();
        for (const k of kids(e)) {
            this.expression(k, { inside: e.at.text });
            walk(k, (x) => { if (x.t === 'path') used.add(x.alias); });
        }
        if (used.size > 1) throw new Refused(e.at, `${e.at.text} can look at one input only`);
        e.alias = [...used][0] ?? this.scope[0].alias;
        const entry = this.scope.find((x) => x.alias === e.alias);
        if (!entry.source || entry.source.kind === 'reference') throw new Refused(e.at, `${e.at.text} looks at inputs and steps only`);
        this.s.analytics.push(e);
    }

    /** Marks what is a group key and refuses fields that are none. */
    grouped(e) {
        const { keys } = this.s;
        const own = canon(e);
        if (keys.some((k) => canon(k) === own) || (e.t === 'path' && keys.some((k) => bare(k).t === 'path' && isBelow(e, bare(k))))) {
            e.key = true;
            return;
        }
        if (isAggregate(e)) return;
        if (isAnalytic(e)) throw new Refused(e.at, `${e.at.text} must be in GROUP BY or inside an aggregate`);
        if (e.t === 'path') throw new Refused(e.at, `"${e.parts.join('.')}" must be in GROUP BY or inside an aggregate`);
        for (const k of kids(e)) this.grouped(k);
    }

    /** HAVING sees the names of columns. */
    withNames(e) {
        if (e.t === 'path' && e.parts.length === 1) {
            const items = this.s.items.filter((i) => !i.star);
            const name = pick(items.map((i) => i.column), e.parts[0]);
            const item = items.find((i) => i.column === name);
            return item ? copy(item.e) : e;
        }
        const out = { ...e };
        for (const k of ['a', 'b', 'low', 'high', 'pattern', 'escape', 'subject', 'otherwise']) if (e[k]?.t) out[k] = this.withNames(e[k]);
        if (e.list) out.list = e.list.map((x) => this.withNames(x));
        if (e.whens) out.whens = e.whens.map((w) => w.map((x) => this.withNames(x)));
        if (e.t === 'call' && !isAggregate(e)) out.args = e.args.map((x) => this.withNames(x));
        return out;
    }
}

const copy = (e) => JSON.parse(JSON.stringify(e, (k, v) => typeof v === 'bigint' ? { $: String(v) } : v), (k, v) => v && v.$ !== undefined ? BigInt(v.$) : v);

function isBelow(e, key) {
    return e.alias === key.alias && e.path.length > key.path.length && key.path.every((p, i) => asciiLower(p) === asciiLower(e.path[i]));
}

function nameOf(e) {
    return e.t === 'path' ? e.parts.at(-1) : e.t === 'timestamp' ? 'Timestamp' : e.t === 'windowid' ? 'Id' : undefined;
}

function constantOf(e) {
    const b = bare(e);
    if (b.t === 'literal' && typeof b.value === 'bigint') return b.value;
    const minus = b.t === 'sign' ? constantOf(b.a) : null;
    return minus === null ? null : b.op === '-' ? -minus : minus;
}

/** How a condition bounds the time of `alias`: [{ of: the other alias, unit, low, high }] with low <= DATEDIFF(unit, of, alias) <= high. */
function boundsOf(c, alias, earlier) {
    let diff, low = null, high = null;
    if (c.t === 'between') {
        diff = bare(c.a);
        low = constantOf(c.low);
        high = constantOf(c.high);
        if (low === null || high === null) return [];
    } else if (c.t === 'compare' && c.op !== '<>') {
        const turned = bare(c.b).t === 'call';
        diff = bare(turned ? c.b : c.a);
        const n = constantOf(turned ? c.a : c.b);
        const op = turned ? { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=' }[c.op] : c.op;
        if (n === null) return [];
        if (op === '=') low = high = n;
        if (op === '<') high = n - 1n;
        if (op === '<=') high = n;
        if (op === '>') low = n + 1n;
        if (op === '>=') low = n;
    }
    if (!diff?.ends) return [];
    const [a, b] = diff.ends;
    const turned = a === alias;
    const of = turned ? b : a;
    if ((turned ? a : b) !== alias || !earlier.includes(of)) return [];
    if (turned) [low, high] = [high === null ? null : -high, low === null ? null : -low];
    const size = diff.unit.name === 'week' ? WEEK : ['weekday', 'dayofyear'].includes(diff.unit.name) ? DAY : sizeOf(diff.unit.name);
    if (!size) throw new Refused(diff.at, `a bound in time cannot be in ${diff.unit.name}s`);
    for (const n of [low, high])
        if (n !== null && (n * size > WEEK || n * size < -WEEK)) throw new Refused(diff.at, 'a bound in time is at most 7 days');
    return [{ of, unit: diff.unit.name, low, high }];
}
