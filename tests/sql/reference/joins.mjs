// Joins and applies, pair by pair.

import { Failed } from './errors.mjs';
import { condition, evaluate } from './evaluate.mjs';
import { indexOf, startOf } from './time.mjs';
import { typeOf } from './values.mjs';

const withPart = (row, alias, part, time = row.time) => ({ time, parts: new Map([...row.parts, [alias, part]]) });

/** An error in ON is no match. */
function matches(on, row, ci) {
    try {
        return condition(on, { row, ci }) === true;
    } catch (error) {
        if (error instanceof Failed) return false;
        throw error;
    }
}

export function joinReference(link, left, reference, ci) {
    const { alias } = link.source;
    return left.flatMap((row) => {
        const pairs = reference.map((fields) => withPart(row, alias, { fields, time: row.time, analytic: new Map() })).filter((r) => matches(link.on, r, ci));
        return pairs.length || !link.left ? pairs : [withPart(row, alias, null)];
    });
}

/** Rows in the order of their times; of equal times: of the later of the two rows as both inputs flow, then of the earlier. */
export function joinStreams(link, left, right, ci) {
    const { alias } = link.source;
    const flow = [...left.map((row) => ({ row, side: 0 })), ...right.map((row) => ({ row, side: 1 }))].sort((a, b) => cmp(a.row.time, b.row.time) || a.side - b.side);
    const place = new Map(flow.map((x, i) => [x.row, i]));
    const out = [];
    for (const l of left) {
        let matched = false;
        for (const r of right) {
            const time = l.time > r.time ? l.time : r.time;
            const row = withPart(l, alias, r.parts.get(r.own), time);
            if (!matches(link.on, row, ci)) continue;
            matched = true;
            const [p, q] = [place.get(l), place.get(r)];
            out.push({ row, keys: [0, Math.max(p, q), Math.min(p, q)] });
        }
        if (!matched && link.left) out.push({ row: withPart(l, alias, null, lastChance(link, l)), keys: [1, place.get(l), 0] });
    }
    return out.sort((a, b) => cmp(a.row.time, b.row.time) || a.keys.map((k, i) => k - b.keys[i]).find((d) => d) || 0).map((x) => x.row);
}

export const cmp = (a, b) => a < b ? -1 : a > b ? 1 : 0;

/** The latest moment at which a match could have come. */
function lastChance({ bounds }, row) {
    let last = null;
    for (const b of bounds.filter((x) => x.high !== null)) {
        const time = row.parts.get(b.of)?.time;
        if (time === undefined) return row.time; // the other side is NULL: never
        const end = startOf(b.unit, indexOf(b.unit, time) + b.high + 1n) - 1n;
        if (last === null || end < last) last = end;
    }
    return last > row.time ? last : row.time;
}

/** One row for each element; `failed(error)` for a row whose expression has no value. */
export function apply(link, rows, ci, failed) {
    return rows.flatMap((row) => {
        try {
            const v = evaluate(link.e, { row, ci });
            if (v !== null && typeOf(v) !== (link.array ? 'array' : 'record'))
                throw new Failed(`The 1st argument of function ${link.fn.text.toLowerCase()} has invalid type '${typeOf(v)}'. Only '${link.array ? 'array' : 'record'}' is allowed.`);
            const list = v === null ? [] : link.array
                ? v.map((x, i) => new Map([['ArrayIndex', BigInt(i)], ['ArrayValue', x]]))
                : [...v].map(([k, x]) => new Map([['PropertyName', k], ['PropertyValue', x]]));
            const parts = list.map((fields) => ({ fields, time: row.time, analytic: new Map() }));
            return (parts.length || !link.outer ? parts : [null]).map((p) => withPart(row, link.alias, p));
        } catch (error) {
            if (!(error instanceof Failed)) throw error;
            failed(error);
            return [];
        }
    });
}
