#!/usr/bin/env bash
# bench/sql.sh - streaming SQL beside Node's JSON.parse loop and sqlite3, in one run over the same file: events a second of CPU time on one
# core, medians of RUNS. Ratios travel between machines, events a second do not.
#
#   EVENTS=1000000 RUNS=3 bench/sql.sh
set -euo pipefail
cd "$(dirname "$0")/.."
events=${EVENTS:-500000} runs=${RUNS:-3} binary=${FIELDGATE:-build/fieldgate}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O2 -std=c17 -D_GNU_SOURCE -o "$dir/make" bench/sql.c
"$dir/make" "$events" > "$dir/events.jsonl"
printf '%d events of %d bytes\n' "$events" "$(($(stat -c %s "$dir/events.jsonl") / events))"
pin="taskset -c 0"
[ "$(nproc)" -ge 2 ] || pin=""

cat > "$dir/loop.mjs" <<'JS'
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
const what = process.argv[3], sums = new Map();
let out = '', end = '';
const flush = () => { for (const [k, [s, n]] of sums) out += JSON.stringify({ deviceId: k, a: s / n }) + '\n'; sums.clear(); };
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
    const e = JSON.parse(line);
    if (what === 'filter') {
        if (e.temperature > 28 && e.humidity > 50) out += JSON.stringify({ deviceId: e.deviceId, temperature: e.temperature }) + '\n';
    } else if (what === 'tumbling') {
        const w = e.time.slice(0, 18);
        if (w !== end) { flush(); end = w; }
        const s = sums.get(e.deviceId);
        if (s) { s[0] += e.temperature; s[1]++; } else sums.set(e.deviceId, [e.temperature, 1]);
    }
    if (out.length > 65536) { process.stdout.write(out); out = ''; }
}
flush();
process.stdout.write(out);
JS

cpu() { # CPU seconds of a command whose output does not matter; median
    local i
    for i in $(seq "$runs"); do
        { TIMEFORMAT='%U %S'; time $pin "$@" > "$dir/out" 2> "$dir/err"; } 2>&1 | awk '{ print $1 + $2 }'
    done | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

row() { # name seconds baseline goal
    awk -v n="$1" -v s="$2" -v b="$3" -v g="$4" -v e="$events" \
        'BEGIN { r = s ? e / s : 0; x = s ? b / s : 0; low = (g + 0 && r < g * 1e6) ? "   BELOW" : ""
                 printf "%-44s %12d %8.1f %10s%s\n", n, r, x, g, low }'
}

filter="SELECT deviceId, temperature FROM input WHERE temperature > 28 AND humidity > 50"
tumbling="SELECT deviceId, AVG(temperature) AS a FROM input TIMESTAMP BY time GROUP BY deviceId, TumblingWindow(second, 10)"
spikes="SELECT deviceId FROM input TIMESTAMP BY time WHERE GetRecordPropertyValue(AnomalyDetection_SpikeAndDip(temperature, 95, 600, 'spikesanddips') OVER (PARTITION BY deviceId LIMIT DURATION(minute, 20)), 'IsAnomaly') = 1"

printf '%-44s %12s %8s %10s\n' "row" "events/s" "x Node" "goal (M/s)"
for what in filter tumbling; do
    base=$(cpu node "$dir/loop.mjs" "$dir/events.jsonl" "$what")
    row "$what: Node, JSON.parse and a loop" "$base" "$base" -
    if command -v sqlite3 > /dev/null; then
        sqlite3 "$dir/db" "DROP TABLE IF EXISTS e; CREATE TABLE e(j TEXT);" ".mode ascii" ".separator \"\\001\" \"\\n\"" ".import $dir/events.jsonl e"
        if [ "$what" = filter ]; then
            lite="SELECT json_object('deviceId', j->>'deviceId', 'temperature', j->>'temperature') FROM e WHERE j->>'temperature' > 28 AND j->>'humidity' > 50"
        else
            lite="SELECT j->>'deviceId', substr(j->>'time', 1, 18) AS w, AVG(j->>'temperature') FROM e GROUP BY 1, 2"
        fi
        row "$what: sqlite3" "$(cpu sqlite3 "$dir/db" "$lite")" "$base" -
    fi
    [ "$what" = filter ] && goal=3 || goal=2.5
    row "$what: fieldgate sql" "$(cpu "$binary" sql "${!what}" "$dir/events.jsonl")" "$base" "$goal"
done
row "SpikeAndDip, history 600, 100 models" "$(cpu "$binary" sql "$spikes" "$dir/events.jsonl")" "$base" 1
