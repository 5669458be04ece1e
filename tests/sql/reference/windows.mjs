// Which windows there are and which rows lie in each, by definition. Rows come sorted by time.
// A window: { end, rows, id }, the interval is (start, end].

import { floorDiv } from './time.mjs';
import { identity } from './values.mjs';

/** All windows of one definition over the rows of one step; `groups` splits rows by the group keys, `partition` by those of a session. */
export function windowsOf(def, rows, { groups, partition }) {
    switch (def.kind) {
    case 'snapshot': return atTimes(rows);
    case 'sliding': return groups(rows).flatMap((g) => sliding(def.size, g));
    case 'session': return partition(rows).flatMap((p) => sessions(def, p));
    default: return hopping(def, rows);
    }
}

function atTimes(rows) {
    return distinct(rows.map((r) => r.time)).map((end) => ({ end, rows: rows.filter((r) => r.time === end) }));
}

const distinct = (times) => [...new Set(times)];

function hopping({ size, hop, offset }, rows) {
    const ends = [];
    for (const { time } of rows) // the ends in [time, time + size)
        for (let end = -floorDiv(-(time - offset), hop) * hop + offset; end < time + size; end += hop) ends.push(end);
    return distinct(ends).map((end) => ({ end, rows: rows.filter((r) => r.time > end - size && r.time <= end) }));
}

/** A window where a row enters or leaves, if one is left inside. */
function sliding(size, rows) {
    const ends = distinct(rows.flatMap((r) => [r.time, r.time + size]));
    return ends.map((end) => ({ end, rows: rows.filter((r) => r.time > end - size && r.time <= end) })).filter((w) => w.rows.length);
}

/** A session ends when nothing came for the timeout, or at a multiple of the longest duration if it is as long by then. */
function sessions({ size, max }, rows) {
    const out = [];
    let open = null;
    const close = (end) => { if (open.rows.length) out.push({ end, rows: open.rows }); };
    const upTo = (time) => { // ends what ends before `time`; null: everything
        while (open) {
            const mark = -floorDiv(-(open.start + max), max) * max, silence = open.last + size;
            const end = mark <= silence ? mark : silence;
            if (time !== null && time <= end) return;
            close(end);
            open = mark <= silence ? { start: mark, last: open.last, rows: [] } : null;
            if (open && time === null && open.rows.length === 0) open = null;
        }
    };
    for (const r of rows) {
        upTo(r.time);
        open ??= { start: r.time, last: r.time, rows: [] };
        open.rows.push(r);
        open.last = r.time;
    }
    upTo(null);
    return out;
}

/** Lists of rows with the same values, in the order of their first rows. */
export function splitBy(rows, valuesOf, ci) {
    const lists = new Map();
    for (const r of rows) {
        const key = valuesOf(r).map((v) => identity(v, ci)).join('|');
        if (!lists.has(key)) lists.set(key, []);
        lists.get(key).push(r);
    }
    return [...lists.values()];
}
