#!/usr/bin/env bash
# bench/sql.sh - streaming SQL on one core beside a Node loop of JSON.parse and beside sqlite3's json_extract: the same EVENTS of
# bench/sql.c, in one run, interleaved, medians of RUNS. Called by bench/run.sh (`bench/run.sh sql`), or by itself.
#
# Events a second of processor time. "job": messages one by one from memory, as a job's thread gets them. "verb": the whole process
# `fieldgate sql QUERY FILE`, its start, reading and writing included. Node has the lines as strings before the clock starts; sqlite
# has them in a table. What the three find is compared.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-3} events=${EVENTS:-500000}
binary=${FIELDGATE:-build/fieldgate}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
pin="taskset -c 0"
[ "$(nproc)" -ge 2 ] || pin=""
build=${BUILD:-build}
cc -O2 -std=c17 -D_GNU_SOURCE -Isrc -o "$dir/sql" bench/sql.c "$build"/libfg_{stream,detect,expr,journal,message,base}.a -lfyaml -lm -pthread
"$dir/sql" make "$dir/events.jsonl" "$events"

have() { command -v "$1" > /dev/null; }
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)]; else print 0 }'; }

ours() { $pin "$dir/sql" run "$dir/events.jsonl" "$@"; }
verb() { # QUERY [FLAGS]: events/s of the process
    local cpu
    cpu=$({ TIMEFORMAT='%U %S'; time $pin "$binary" sql "$@" "$dir/events.jsonl" > "$dir/rows" 2> "$dir/said"; } 2>&1)
    awk -v n="$events" -v r="$(wc -l < "$dir/rows")" -v t="$cpu" 'BEGIN { split(t, s, " "); printf "events/s %d rows %d\n", n / (s[1] + s[2]), r }'
}
node_loop() { ! have node || $pin node bench/sql_loop.mjs "$dir/events.jsonl" "$1"; }
sqlite() { # SELECT: one process, the table filled before the clock starts
    have sqlite3 || return 0
    printf '.mode tabs\nCREATE TABLE t(j TEXT);\n.import "%s" t\n.output %s\n.timer on\n%s;\n.timer off\n' "$dir/events.jsonl" "$dir/rows" "$1" > "$dir/script"
    $pin sqlite3 :memory: < "$dir/script" > "$dir/time"
    awk -v n="$events" -v r="$(wc -l < "$dir/rows")" '/^Run Time/ { printf "events/s %d rows %d\n", n / ($6 + $8), r }' "$dir/time"
}

# Every way once a round, so that what else the machine does hits all alike.
measure() { # NAME SELECT-of-sqlite
    local name=$1 select=$2 i
    rm -f "$dir"/at.*
    for i in $(seq "$runs"); do
        ours "$name" >> "$dir/at.job"
        verb "$(query "$name")" >> "$dir/at.verb"
        node_loop "$name" >> "$dir/at.node"
        sqlite "$select" >> "$dir/at.sqlite"
    done
}
rate() { awk '{ print $2 }' "$dir/at.$1" | median; }
rows() { awk '{ r = $4 } END { print r + 0 }' "$dir/at.$1"; }
query() { sed -n '/^static const struct {/,/^};/p' bench/sql.c | tr -d '\n' | sed "s/.*{ \"$1\", *\(\"[^}]*\"\) }.*/\1/; s/\" *\"//g; s/^\"//; s/\"\$//"; }

# Every run of the same query must find the same.
agree() {
    local way
    for way in verb node sqlite; do
        [ -s "$dir/at.$way" ] && [ "$(rows "$way")" != "$(rows job)" ] && echo "   $way FOUND $(rows "$way") ROWS, the job $(rows job)"
    done
    true
}
show() { # LABEL AIM STRETCH
    awk -v l="$1" -v a="$2" -v s="$3" -v j="$(rate job)" -v v="$(rate verb)" -v n="$(rate node)" -v q="$(rate sqlite)" -v r="$(rows job)" -v e="$events" '
        function m(x) { return x ? sprintf("%.2f M", x / 1e6) : "-" }
        function ratio(x) { return x ? sprintf("%.1f", j / x) : "-" }
        BEGIN { printf "%-34s %8s %8s %8s %8s %7s %7s %6s %7s %7.2f %%%s\n", l, m(j), m(v), m(n), m(q), ratio(n), ratio(q), a " M", s, 100 * r / e,
                       j < a * 1e6 ? "   BELOW AIM" : "" }'
    agree
}

printf '%-34s %8s %8s %8s %8s %7s %7s %6s %7s %9s\n' "streaming SQL (events/s, one core)" job verb node sqlite3 x-node x-sqlite aim stretch rows
measure filter "SELECT json_object('deviceId', json_extract(j, '\$.deviceId'), 'temperature', json_extract(j, '\$.temperature')) FROM t WHERE json_extract(j, '\$.temperature') > 28 AND json_extract(j, '\$.humidity') < 43.5"
show "filter, 2 conditions, 2 fields" 3 "5 M"
measure tumbling "SELECT json_extract(j, '\$.deviceId') AS d, ceil(((julianday(json_extract(j, '\$.ts')) - 2460310.5) * 86400) / 10 - 0.000001) AS w, avg(json_extract(j, '\$.temperature')) FROM t GROUP BY d, w"
show "10 s average of 100 keys" 2.5 "4 M"
for model in fieldgate kde; do
    rm -f "$dir"/at.*
    for i in $(seq "$runs"); do
        ours spikes "$model" >> "$dir/at.job"
        verb --model "$model" "$(query spikes)" >> "$dir/at.verb"
    done
    : > "$dir/at.node"; : > "$dir/at.sqlite"
    show "SpikeAndDip, history 600, $model" 1 -
done
if have node; then
    rm -f "$dir"/at.*
    for i in $(seq "$runs"); do node_loop parse >> "$dir/at.node"; done
    awk -v n="$(rate node)" 'BEGIN { printf "%-34s %8s %8s %6.2f M\n", "JSON.parse alone", "", "", n / 1e6 }'
fi
for model in fieldgate kde; do
    "$dir/sql" memory 10000 60 "$model" | awk -v m="$model" '{ printf "10,000 models, history 60, %-9s %6.1f MB (aim 20)%s\n", m, $2 * 1024 / 1e6, ($2 * 1024 > 20e6 ? "   ABOVE AIM" : "") }'
done
