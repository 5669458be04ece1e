// sql_loop.mjs FILE parse|filter|tumbling - the loop one would write in Node for the queries of bench/sql.c: JSON.parse of each line, the
// condition or the averages, JSON.stringify of what comes out. The lines are strings already when the clock starts, and the code is
// warm. Prints "events/s N rows N"; processor time of the process, garbage collection included.
import { readFileSync } from 'node:fs';

const [file, what] = process.argv.slice(2);
const lines = readFileSync(file, 'utf8').trimEnd().split('\n');

const loops = {
    parse() {
        let rows = 0;
        for (const line of lines) if (JSON.parse(line).seq >= 0) rows++;
        return rows;
    },
    filter() {
        let rows = 0;
        for (const line of lines) {
            const { deviceId, temperature, humidity } = JSON.parse(line);
            if (temperature > 28 && humidity < 43.5 && JSON.stringify({ deviceId, temperature })) rows++;
        }
        return rows;
    },
    tumbling() {
        let rows = 0, end = 0, groups = new Map();
        const close = () => {
            for (const [deviceId, g] of groups) if (JSON.stringify({ deviceId, time: new Date(end).toISOString(), average: g.sum / g.count })) rows++;
            groups = new Map();
        };
        for (const line of lines) {
            const { deviceId, ts, temperature } = JSON.parse(line);
            const window = Math.ceil(Date.parse(ts) / 10_000) * 10_000; // (end - 10 s, end]
            if (window > end) {
                close();
                end = window;
            }
            const g = groups.get(deviceId);
            if (g) {
                g.sum += temperature;
                g.count++;
            } else groups.set(deviceId, { sum: temperature, count: 1 });
        }
        close();
        return rows;
    },
};
loops[what]();
const before = process.cpuUsage();
const rows = loops[what]();
const { user, system } = process.cpuUsage(before);
console.log(`events/s ${Math.round(lines.length / (user + system) * 1e6)} rows ${rows}`);
