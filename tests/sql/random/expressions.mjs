// Random expressions over the fields of random/events.mjs. `p` is what stands before a field: an alias with its dot, or nothing.

export function number(d, p = '', depth = 2) {
    if (depth === 0 || d.chance(0.35)) return d.of([`${p}v`, `${p}v`, `${p}n`, '1', '2', '0.5', '-3', '10']);
    const x = () => number(d, p, depth - 1);
    return d.of([
        ...Array(4).fill(() => `(${x()} ${d.of(['+', '-', '*', '/', '%'])} ${x()})`), () => `-(${x()})`, () => `ABS(${x()})`, () => `ROUND(${x()}, ${d.of([0, 1, -1])})`,
        () => `FLOOR(${x()})`, () => `CEILING(${x()})`, () => `SIGN(${x()})`, () => `SQUARE(${x()})`, () => `COALESCE(${x()}, ${x()})`, () => `NULLIF(${x()}, ${x()})`,
        () => `CASE WHEN ${condition(d, p, depth - 1)} THEN ${x()} ELSE ${x()} END`, () => `LEN(${text(d, p, depth - 1)})`,
        () => `TRY_CAST(${text(d, p, depth - 1)} AS bigint)`, () => `CAST(${x()} AS float)`, () => `TRY_CAST(${x()} AS bigint)`,
        () => `CHARINDEX(${text(d, p, 0)}, ${text(d, p, depth - 1)})`, () => `GetArrayLength(${p}l)`, () => `IIF(${condition(d, p, depth - 1)}, ${x()}, ${x()})`,
        () => `DATEDIFF(${d.of(['second', 'ms', 'minute', 'day'])}, ${date(d, depth - 1)}, ${date(d, depth - 1)})`,
        () => `DATEPART(${d.of(['second', 'minute', 'hour', 'ms', 'weekday', 'dy'])}, ${date(d, depth - 1)})`,
    ])();
}

export function date(d, depth = 1) {
    if (depth <= 0) return d.of(['System.Timestamp()', "'2024-01-01T00:00:07Z'"]);
    return `DATEADD(${d.of(['second', 'month', 'ms', 'day', 'year'])}, ${d.of([1, -1, 5, 40])}, ${date(d, depth - 1)})`;
}

export function text(d, p = '', depth = 1) {
    if (depth <= 0 || d.chance(0.4)) return d.of([`${p}s`, `${p}s`, "'a'", "'x y'", "''", "'é'"]);
    const x = () => text(d, p, depth - 1);
    return d.of([
        () => `(${x()} + ${x()})`, () => `UPPER(${x()})`, () => `LOWER(${x()})`, () => `CONCAT(${x()}, ${number(d, p, 0)}, ${x()})`, () => `REVERSE(${x()})`,
        () => `SUBSTRING(${x()}, ${d.of([0, 1, 2])}, ${d.of([1, 2, 5])})`, () => `REPLACE(${x()}, 'a', 'bc')`, () => `TRIM(${x()})`, () => `REPLICATE(${x()}, 2)`,
        () => `CONCAT_WS('-', ${x()}, ${x()})`, () => `CAST(${number(d, p, depth - 1)} AS nvarchar(max))`, () => `COALESCE(${x()}, 'none')`,
        () => `TRANSLATE(${x()}, 'ab', 'xy')`, () => `DATENAME(${d.of(['month', 'weekday', 'second'])}, ${date(d, 0)})`,
    ])();
}

export function condition(d, p = '', depth = 2) {
    if (depth > 0 && d.chance(0.35))
        return d.of([
            () => `(${condition(d, p, depth - 1)} ${d.of(['AND', 'OR'])} ${condition(d, p, depth - 1)})`,
            () => `NOT (${condition(d, p, depth - 1)})`,
        ])();
    return d.of([
        () => `${number(d, p, depth > 0 ? 1 : 0)} ${d.of(['=', '<>', '<', '<=', '>', '>='])} ${number(d, p, 0)}`,
        () => `${p}v ${d.of(['IS NULL', 'IS NOT NULL', 'BETWEEN 1 AND 3', 'NOT BETWEEN 0 AND 1', 'IN (1, 2, 2.5)', 'NOT IN (1, 10)'])}`,
        () => `${p}n % ${d.between(2, 3)} = ${d.below(2)}`,
        () => `${text(d, p, 1)} ${d.of(['=', '<>', '<', '>='])} ${text(d, p, 0)}`,
        () => `${text(d, p, 0)} ${d.of(["LIKE '%a%'", "LIKE '_'", "NOT LIKE 'a%'", "LIKE '[a-c]%'", "IN ('a', 'é')"])}`,
        () => `${date(d, 0)} ${d.of(['<', '>='])} ${date(d, 1)}`,
    ])();
}

export function any(d, p = '') {
    return d.of([
        () => number(d, p), () => number(d, p), () => text(d, p, 2), () => `(${condition(d, p)})`, () => `GetType(${p}v)`, () => `${p}r.a`, () => `${p}r.b.c`, () => `${p}l`, () => `${p}r`,
        () => `GetArrayElement(${p}l, ${d.below(3)})`, () => `GetRecordPropertyValue(${p}r, ${d.of(["'a'", "'b'", "'B'", "'zz'"])})`, () => date(d, 2), () => `${p}k`, () => `${p}K`,
        () => `TRY_CAST(${p}${d.of(['v', 's', 'k', 'r'])} AS ${d.of(['bigint', 'float', 'nvarchar(max)', 'bit', 'datetime', 'record', 'array'])})`,
    ])();
}
