// Random inputs: events as texts of JSON, with times that fall on borders often.

export function timeText(tenths, ticks = 0) {
    const ms = Date.UTC(2024, 0, 1) + tenths * 100 - (ticks < 0 ? 1 : 0);
    const sub = ticks < 0 ? 9999 : ticks; // one tick before a time, or so many after it
    return `${new Date(ms).toISOString().slice(0, 23)}${String(sub).padStart(4, '0')}Z`;
}

export const KEYS = ['1', '2', '"a"', '"b"', '1.0', 'null', null, 'true', '"A"'];
const NUMBERS = ['0', '1', '2', '3', '-1', '0.5', '2.5', '1.0', '10', 'null', null];
const STRINGS = ['"a"', '"b"', '"ab"', '""', '"B"', '"é"', '"x y"', 'null', null, '"12"'];

/** One event's members as text; null leaves a member out. */
function event(d, n, noise, keys) {
    const members = {
        k: d.of(keys), v: d.chance(noise) ? d.of(['"x"', 'true', '{"a":1}']) : d.of(NUMBERS), s: d.chance(noise) ? '7' : d.of(STRINGS), n: String(n),
        l: d.chance(0.4) ? `[${Array.from({ length: d.below(4) }, () => d.of(['1', '2', '"q"', '2.5', 'null', '[3]']))}]` : d.chance(0.2) ? 'null' : null,
        r: d.chance(0.5) ? `{"a":${d.of(['1', '2', '"z"', 'null'])},"B":${d.of(['5', '{"c":1}'])}}` : null,
    };
    const out = Object.entries(members).filter(([, v]) => v !== null).map(([k, v]) => `"${k}":${v}`);
    // Keys that differ in case only, and keys twice.
    if (d.chance(0.06)) out.splice(d.below(out.length + 1), 0, `"${d.of(['K', 'V', 'v', 'N', 'S', 's', 'n'])}":${d.of(['7', '"dup"', 'null'])}`);
    return out;
}

/** options: policies (with times of arrival), keys, most, noise, grid (tenths of a second between times) */
export function input(d, { policies = false, keys = d.some(KEYS, 1, 4), most = 12, noise = 0.03, grid = d.of([10, 10, 5, 1, 30]) } = {}) {
    const list = [], count = d.chance(0.05) ? d.below(3) : d.between(3, most), sorted = d.chance(0.6);
    let now = d.between(0, 20) * grid;
    for (let n = 0; n < count; n++) {
        now += d.of([0, 0, 1, 1, 1, 2, 3, 5, 9]) * grid;
        const shift = sorted && !policies ? 0 : d.of([0, 0, 0, -1, -1, -2, -4, 1, -9]) * grid;
        const ticks = d.chance(0.06) ? d.of([-1, 1, 9999]) : 0;
        const t = d.chance(0.02) ? d.of(['null', '"soon"', '5']) : `"${timeText(Math.max(now + (d.chance(0.02) ? 4000 : shift), 0), ticks)}"`;
        const arrival = policies ? [`"_arrival":"${timeText(now)}"`] : [];
        list.push(`{${[`"t":${t}`, ...event(d, n, noise, keys), ...arrival].join(',')}}`);
    }
    if (d.chance(0.03)) list.splice(d.below(list.length + 1), 0, JSON.stringify(d.of(['{"v":', '[1]', '', '{"n":99999999999999999999}'])));
    return list;
}

export function config(d, policies) {
    const c = {};
    if (policies) {
        c.late_s = d.of([0, 1, 2, 5, 60]);
        c.out_of_order_s = d.of([0, 0, 1, 2, 0.5, 5]);
    } else if (d.chance(0.3)) c.out_of_order_s = d.of([1, 3]);
    if (d.chance(0.4)) c.action = 'drop';
    if (d.chance(0.05)) c.collation = 'ci';
    if (d.chance(0.03)) c.edge_lowercase = true;
    return c;
}
