// Random cases of the batch protocol, one kind of query after the other.

import { dice } from './dice.mjs';
import { KEYS, config, input } from './events.mjs';
import { any, condition, number } from './expressions.mjs';

const SECONDS = ['second', 'ss', 's'];

export function makeCase(seed) {
    const d = dice(seed);
    const kind = d.of([windows, windows, windows, windows, joins, joins, joins, analytic, analytic, chains, chains, applies, substreams, scalars, scalars, policies]);
    const { query, inputs, reference, order, settings } = kind(d);
    const list = (l) => `[${l.join(',')}]`;
    const all = Object.entries(inputs);
    return `{"n":${seed},"query":${JSON.stringify(query)},"input":${all.length === 1 && all[0][0] === 'input' ? list(all[0][1]) : `{${all.map(([k, l]) => `"${k}":${list(l)}`)}}`}` +
        `${reference ? `,"reference":${reference}` : ''},"config":${JSON.stringify(settings ?? config(d, false))}${order ? `,"order":${JSON.stringify(order)}` : ''}}`;
}

// ---- windows

function size(d) {
    return d.chance(0.85) ? [d.of(SECONDS), d.between(1, 8)] : d.of([['ms', 500], ['ms', 2500], ['minute', 1], ['mcs', 1_500_000], ['s', 13]]);
}

function windowText(d, keys) {
    const name = (w) => d.chance(0.5) ? w : `${w}Window`;
    const [unit, n] = size(d);
    const offset = d.chance(0.3) ? d.of([-1, 1, 2, n + 1]) : null;
    switch (d.of(['tumbling', 'tumbling', 'hopping', 'hopping', 'sliding', 'sliding', 'session', 'session'])) {
    case 'tumbling':
        if (d.chance(0.2)) return `${name('Tumbling')}(Duration(${unit}, ${n})${offset === null ? '' : `, Offset(ms, ${offset})`})`;
        return `${name('Tumbling')}(${unit}, ${n}${offset === null ? '' : `, ${offset}`})`;
    case 'hopping':
        if (d.chance(0.2)) return `${name('Hopping')}(Duration(${unit}, ${n}), Hop(s, ${d.between(1, 5)})${offset === null ? '' : `, Offset(ms, ${offset})`})`;
        return `${name('Hopping')}(${unit}, ${n}, ${d.between(Math.ceil(n / 6), n + (d.chance(0.1) ? 3 : 0))}${offset === null ? '' : `, ${offset}`})`;
    case 'sliding': return `${name('Sliding')}(${unit}, ${n})`;
    default:
        return `${name('Session')}(s, ${d.between(1, 5)}, ${d.between(2, 20)})${keys.length && d.chance(0.5) ? ` OVER (PARTITION BY ${d.some(keys).join(', ')})` : ''}`;
    }
}

function grouping(d, keys) {
    if (d.chance(0.08)) return 'System.Timestamp()';
    if (!d.chance(0.15)) return windowText(d, keys);
    const n = d.between(2, 3), named = d.chance(0.5);
    return `Windows(${Array.from({ length: n }, (_, i) => named ? `Window('w${i}', ${windowText(d, keys)})` : windowText(d, keys)).join(', ')})`;
}

const AGGREGATES = [
    'COUNT(*)', 'COUNT(v)', 'COUNT(DISTINCT v)', 'COUNT(DISTINCT k)', 'SUM(v)', 'AVG(v)', 'MIN(v)', 'MAX(v)', 'VAR(v)', 'VARP(v)', 'STDEV(v)', 'STDEVP(v)', 'COLLECT(n)', 'COLLECT()',
    'TopOne() OVER (ORDER BY v DESC)', 'TopOne() OVER (ORDER BY n DESC)', 'CollectTop(2) OVER (ORDER BY v, n DESC)', 'PERCENTILE_CONT(0.5) OVER (ORDER BY v)', 'PERCENTILE_DISC(0.25) OVER (ORDER BY v)',
    'PERCENTILE_CONT(0.9) OVER (ORDER BY v DESC)', 'MIN(s)', 'MAX(s)', 'SUM(CASE WHEN v > 1 THEN 1 ELSE 0 END)', 'SUM(v * 2 + 1)', 'MAX(v) - MIN(v)', 'COUNT(*) + SUM(n)', 'COLLECT(v)', 'COUNT(s)', 'MIN(DATEADD(s, 1, t))',
];

function groupBy(d, from, { must = [] } = {}) {
    const keys = [...must, ...d.some(['k', 's', 'n % 2', 'v', 'r.a'].filter((k) => !must.includes(k)), 0, 2)];
    const aggregates = d.some(AGGREGATES, 1, 4);
    const items = [...keys.map((k, i) => `${k} AS g${i}`), 'System.Timestamp() AS w', ...aggregates.map((a, i) => `${a} AS a${i}`)];
    const win = grouping(d, keys);
    if (win.startsWith('Windows') || d.chance(0.05)) items.push('System.Window().Id AS id');
    const where = d.chance(0.3) ? ` WHERE ${condition(d)}` : '';
    const having = d.chance(0.2) ? ` HAVING ${d.of(['COUNT(*) > 1', 'a0 IS NOT NULL', 'SUM(n) % 2 = 0', 'COUNT(v) >= 1 AND COUNT(*) < 4'])}` : '';
    const group = [...keys, win];
    if (d.chance(0.5)) group.reverse();
    return `SELECT ${items.join(', ')} FROM ${from}${where} GROUP BY ${group.join(', ')}${having}`;
}

function windows(d) {
    return { query: groupBy(d, 'input TIMESTAMP BY t'), inputs: { input: input(d) } };
}

// ---- policies

function policies(d) {
    const inputs = { input: input(d, { policies: true, most: 16 }) };
    const plain = 'SELECT n, System.Timestamp() AS w, t FROM input TIMESTAMP BY t';
    return { query: d.chance(0.5) ? plain : groupBy(d, 'input TIMESTAMP BY t'), inputs, settings: config(d, true) };
}

function substreams(d) {
    const keys = d.chance(0.3) ? ['k', 's'] : ['k'];
    const from = `input TIMESTAMP BY t OVER ${keys.join(', ')}`;
    const inputs = { input: input(d, { policies: d.chance(0.5), most: 16 }) };
    const order = keys.map((_, i) => `g${i}`);
    const query = d.chance(0.6) ? groupBy(d, from, { must: keys })
        : `SELECT ${keys.map((k, i) => `${k} AS g${i}`).join(', ')}, n, System.Timestamp() AS w, LAG(n) OVER (LIMIT DURATION(s, 5)) AS p FROM ${from}`;
    const settings = { ...config(d, true), collation: 'cs' };
    delete settings.edge_lowercase;
    return { query, inputs, order, settings };
}

// ---- joins

function bound(d, a, b) {
    const unit = d.of(['second', 'second', 's', 'ms', 'minute']);
    const scale = unit === 'ms' ? 500 : 1, lo = d.between(-3, 2) * scale, hi = lo + d.between(0, 5) * scale;
    const diff = (x, y) => `DATEDIFF(${unit}, ${x}, ${y})`;
    return d.of([
        () => `${diff(a, b)} BETWEEN ${lo} AND ${hi}`, () => `${diff(a, b)} >= ${lo} AND ${diff(a, b)} <= ${hi}`, () => `${diff(a, b)} > ${lo - 1} AND ${hi + 1} > ${diff(a, b)}`,
        () => `${diff(b, a)} BETWEEN ${-hi} AND ${-lo}`, () => `${diff(a, b)} = ${lo}`,
    ])();
}

function joinOf(d, left, right, extra = '') {
    const on = [bound(d, left, right), ...(d.chance(0.8) ? [`${left}.k = ${right}.k`] : []), ...(d.chance(0.2) ? [d.of([`${left}.v < ${right}.v`, `${right}.n % 2 = 0`, `${left}.s = ${right}.s`])] : []), ...(extra ? [extra] : [])];
    if (d.chance(0.5)) on.reverse();
    return on.join(' AND ');
}

const kind = (d) => d.of(['JOIN', 'INNER JOIN', 'LEFT JOIN', 'LEFT OUTER JOIN']);

function joins(d) {
    const keys = d.some(KEYS, 1, 3), inputs = {}, make = (name, most = 8) => (inputs[name] = input(d, { keys, most }));
    let from, names, reference;
    switch (d.of(['two', 'two', 'self', 'three', 'reference'])) {
    case 'two':
        names = ['a', 'b'];
        names.forEach((n) => make(n));
        from = `a TIMESTAMP BY t ${kind(d)} b TIMESTAMP BY t ON ${joinOf(d, 'a', 'b')}`;
        break;
    case 'self':
        names = ['x', 'y'];
        make('input');
        from = `input x TIMESTAMP BY t ${kind(d)} input y TIMESTAMP BY t ON ${joinOf(d, 'x', 'y')}`;
        break;
    case 'three':
        names = ['a', 'b', 'c'];
        names.forEach((n) => make(n, 5));
        from = `a TIMESTAMP BY t ${kind(d)} b TIMESTAMP BY t ON ${joinOf(d, 'a', 'b')} ${kind(d)} c TIMESTAMP BY t ON ${joinOf(d, d.of(['a', 'b']), 'c')}`;
        break;
    default:
        names = ['i', 'r'];
        make('input');
        reference = `{"r":[${Array.from({ length: d.below(5) }, (_, n) => `{"k":${d.of(keys) ?? 'null'},"n":${100 + n},"v":${d.of([1, 2, 'null'])}}`)}]}`;
        from = `input i TIMESTAMP BY t ${kind(d)} r ON i.k = r.k${d.chance(0.2) ? ' AND i.v >= r.v' : ''}`;
    }
    const items = names.map((n) => `${n}.n AS n${n}`);
    const where = d.chance(0.2) ? ` WHERE ${d.of([`${names[1]}.n IS NULL`, `${names[0]}.n > 1`, condition(d, `${names[0]}.`, 1)])}` : '';
    if (d.chance(0.2)) {
        const query = `SELECT ${names[0]}.k AS k, System.Timestamp() AS w, COUNT(*) AS c, SUM(${names[1]}.n) AS s, COLLECT(${names[0]}.n) AS l FROM ${from}${where} GROUP BY ${names[0]}.k, ${windowText(d, [])}`;
        return { query, inputs, reference };
    }
    if (d.chance(0.15)) items.push(`LAG(${names[0]}.n) OVER (LIMIT DURATION(s, 4)) AS p`);
    if (d.chance(0.1)) items.push(`${d.of(names)}.*`);
    if (d.chance(0.3)) items.push(`${number(d, `${d.of(names)}.`, 1)} AS e`);
    const select = `SELECT ${[...items, 'System.Timestamp() AS w'].join(', ')} FROM ${from}${where}`;
    return { query: select, inputs, reference };
}

// ---- analytic functions

function analyticCall(d) {
    const partition = d.chance(0.5) ? `PARTITION BY ${d.of(['k', 'k', 's', 'k, s'])} ` : '', when = d.chance(0.4) ? ` WHEN ${d.of([condition(d, '', 1), 'v > 1', 'v IS NOT NULL', 's = \'a\''])}` : '';
    const limit = `LIMIT DURATION(${d.of(['s, 1', 's, 3', 's, 5', 'minute, 1', 'ms, 2500'])})`;
    const what = d.of(['v', 'n', 'n', 's', 'v + n', 'System.Timestamp()', 'r.a']);
    return d.of([
        () => `LAG(${what}) OVER (${partition}${limit}${when})`, () => `LAG(${what}, ${d.between(1, 3)}) OVER (${partition}${limit}${when})`,
        () => `LAG(${what}, ${d.between(1, 2)}, ${d.of(['-1', "'none'", 'n', 'NULL'])}) OVER (${partition}${limit}${when})`, () => `LAG(*) OVER (${partition}${limit}${when})`,
        () => `LAST(${what}) OVER (${partition}${limit}${when})`, () => `LAST(${what}) OVER (${partition}${limit}${when})`,
        () => `ISFIRST(${d.of(['s, 1', 's, 5', 's, 7', 'ms, 500', 'minute, 1'])})${partition || when ? ` OVER (${partition}${when})` : ''}`,
    ])();
}

function analytic(d) {
    const calls = Array.from({ length: d.between(1, 3) }, (_, i) => `${analyticCall(d)} AS a${i}`);
    const where = d.chance(0.3) ? ` WHERE ${d.of([condition(d), 'ISFIRST(s, 3) = 1', `LAG(n) OVER (LIMIT DURATION(s, 5)) IS NOT NULL`])}` : '';
    if (d.chance(0.15)) {
        const query = `SELECT System.Timestamp() AS w, COUNT(*) AS c, SUM(n - LAG(n) OVER (PARTITION BY k LIMIT DURATION(s, 9))) AS s FROM input TIMESTAMP BY t${where} GROUP BY ${windowText(d, [])}`;
        return { query, inputs: { input: input(d) } };
    }
    return { query: `SELECT n, ${calls.join(', ')} FROM input TIMESTAMP BY t${where}`, inputs: { input: input(d, { most: 16 }) } };
}

// ---- steps, UNION, several outputs

function chains(d) {
    const keys = d.some(KEYS, 1, 3), inputs = { a: input(d, { keys }), b: input(d, { keys, most: 6 }) };
    const first = d.of([
        () => `SELECT k, n, v, s FROM a TIMESTAMP BY t WHERE ${condition(d)}`, () => 'SELECT * FROM a TIMESTAMP BY t',
        () => 'SELECT k, n, v, s FROM a TIMESTAMP BY t UNION SELECT k, n + 100 AS n, v, s FROM b TIMESTAMP BY t',
        () => `SELECT k, COUNT(*) AS n, SUM(v) AS v, MIN(s) AS s FROM a TIMESTAMP BY t GROUP BY k, ${windowText(d, ['k'])}`,
        () => `SELECT a.k AS k, a.n AS n, b.v AS v, b.s AS s FROM a TIMESTAMP BY t ${kind(d)} b TIMESTAMP BY t ON ${joinOf(d, 'a', 'b')}`,
        () => 'SELECT k, n, LAG(v) OVER (PARTITION BY k LIMIT DURATION(s, 5)) AS v, s FROM a TIMESTAMP BY t',
    ])();
    const second = d.of([
        () => `SELECT k, System.Timestamp() AS w, COUNT(*) AS c, SUM(n) AS s, COLLECT(n) AS l, MAX(v) AS m FROM one GROUP BY k, ${windowText(d, ['k'])}`,
        () => 'SELECT n, v, LAG(n) OVER (PARTITION BY k LIMIT DURATION(s, 5)) AS p, System.Timestamp() AS w FROM one',
        () => `SELECT one.n AS n, b.n AS m, System.Timestamp() AS w FROM one ${kind(d)} b TIMESTAMP BY t ON ${joinOf(d, 'one', 'b')}`,
        () => `SELECT x.n AS n, y.n AS m, System.Timestamp() AS w FROM one x ${kind(d)} one y ON ${joinOf(d, 'x', 'y')}`,
        () => `SELECT n, ISFIRST(s, 5) OVER (PARTITION BY k) AS f FROM one WHERE ${condition(d, '', 1)}`,
        () => 'SELECT n, v INTO o1 FROM one SELECT n, s INTO o2 FROM one WHERE n % 2 = 0 SELECT n INTO o1 FROM b TIMESTAMP BY t',
        () => `SELECT n FROM one UNION SELECT v AS n FROM one UNION SELECT n FROM b TIMESTAMP BY t`,
    ])();
    return { query: `WITH one AS (${first}) ${second}`, inputs };
}

function applies(d) {
    const outer = d.of(['CROSS', 'OUTER']);
    const query = d.of([
        () => `SELECT i.n AS n, e.ArrayIndex AS x, e.ArrayValue AS y FROM input i TIMESTAMP BY t ${outer} APPLY GetArrayElements(i.l) AS e${d.chance(0.3) ? ' WHERE e.ArrayIndex > 0' : ''}`,
        () => `SELECT i.n AS n, p.PropertyName AS x, p.PropertyValue AS y FROM input i TIMESTAMP BY t ${outer} APPLY GetRecordProperties(i.r) AS p`,
        () => `SELECT i.k AS k, COUNT(*) AS c, COLLECT(e.ArrayValue) AS y FROM input i TIMESTAMP BY t ${outer} APPLY GetArrayElements(i.l) AS e GROUP BY i.k, ${windowText(d, [])}`,
        () => `SELECT * FROM input TIMESTAMP BY t ${outer} APPLY GetArrayElements(l) AS e`,
        () => `SELECT n, e.ArrayValue AS y, p.* FROM input TIMESTAMP BY t ${outer} APPLY GetArrayElements(l) e ${d.of(['CROSS', 'OUTER'])} APPLY GetRecordProperties(r) p`,
    ])();
    return { query, inputs: { input: input(d, { most: 8 }) } };
}

function scalars(d) {
    const items = Array.from({ length: d.between(2, 7) }, (_, i) => `${any(d)} AS c${i}`);
    if (d.chance(0.3)) items.splice(d.below(items.length + 1), 0, '*');
    if (d.chance(0.1)) items.push('r.*');
    return { query: `SELECT ${items.join(', ')} FROM input TIMESTAMP BY t${d.chance(0.6) ? ` WHERE ${condition(d)}` : ''}`, inputs: { input: input(d, { noise: 0.1 }) } };
}
