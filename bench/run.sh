#!/usr/bin/env bash
# bench/run.sh - ours beside Debian's mosquitto, in one run, interleaved, same generator, same pinning. Prints CPU
# microseconds of the broker per message and the ratio; then what durability costs, idle memory and start time.
#
#   bench/run.sh [ROWS...]     all rows, or those whose name contains one of the words
#   bench/run.sh sql           streaming SQL beside Node and sqlite3 (bench/sql.sh), and publish to anomaly output
#   bench/run.sh opcua         our OPC UA client and server, and node-opcua in the place of either (bench/opcua.sh)
#   bench/run.sh stress        only when asked for: what bad clients cost others (bench/stress.c), 2 minutes
#   RUNS=3 SECONDS_PER_RUN=2   medians of RUNS
#   REALTIME=1                 brokers and generators before everything else the machine does (chrt, root): latency on a busy one
#   MEMORY=256MiB              limits.memory-bytes of ours: with stress, whether it holds
#
# Ratios travel between machines, microseconds do not. Beside each ratio stands the goal and what FlashMQ 1.26 reaches (where
# it was measured): a row below that is not good enough. "generator" is how much of its own core the load generator used
# with the faster broker: near 100 % it would be what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-3}
secs=${SECONDS_PER_RUN:-2}
binary=${FIELDGATE:-build/fieldgate}
dir=$(mktemp -d)
pids=()
trap 'for p in "${pids[@]:-}"; do [ -n "$p" ] && kill "$p" 2>/dev/null; done; rm -rf "$dir"' EXIT

cc -O2 -std=c17 -D_GNU_SOURCE -o "$dir/load" bench/load.c

# Broker on one core, generator on the other.
pin_broker="taskset -c 0" pin_load="taskset -c 1"
[ "$(nproc)" -ge 2 ] || pin_broker="" pin_load=""
[ -z "${REALTIME:-}" ] || pin_broker="chrt -f 1 $pin_broker" pin_load="chrt -f 1 $pin_load"

start_ours() { # $1 durability, $2 more settings; sets port, pid
    local name=ours-$1
    mkdir -p "$dir/$name"
    local limits=""
    [ -z "${MEMORY:-}" ] || limits="limits: { memory-bytes: $MEMORY }\n"
    printf 'version: 1\ndata: %s/data\ndurability: %s\nloops: 1\njournal: { disk-reserve: 1MiB }\n'"$limits"'listeners:\n  - { type: mqtt, at: ["127.0.0.1:0"] }\n%s\n' \
        "$dir/$name" "$1" "${2:-}" > "$dir/$name/f.yaml"
    $pin_broker "$binary" run --config "$dir/$name/f.yaml" > "$dir/$name/out" 2> "$dir/$name/err" &
    pid=$!
    for _ in $(seq 100); do grep -q '^ready' "$dir/$name/out" && break; sleep 0.05; done
    port=$(sed -n 's/^listening mqtt 127.0.0.1:\([0-9]*\)$/\1/p' "$dir/$name/out")
    [ -n "$port" ] || { cat "$dir/$name/err" >&2; exit 1; }
    pids+=("$pid")
}

start_mosquitto() {
    port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
    printf 'listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n' "$port" > "$dir/mosquitto.conf"
    $pin_broker mosquitto -c "$dir/mosquitto.conf" > "$dir/mosquitto.log" 2>&1 &
    pid=$!
    for _ in $(seq 100); do (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && break; sleep 0.05; done
    pids+=("$pid")
}

wants() {
    [ ${#words[@]} -eq 0 ] && return 0
    local w
    for w in "${words[@]}"; do case $1 in *"$w"*) return 0 ;; esac; done
    return 1
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
field() { sed -n "s|.*$1 \([0-9.]*\).*|\1|p"; }

words=("$@")
start_ours disk; ours_port=$port ours_pid=$pid
start_mosquitto; peer_port=$port peer_pid=$pid

printf '%-34s %12s %12s %8s %6s %8s %10s\n' "row (CPU us per message)" fieldgate mosquitto ratio goal FlashMQ generator
row() { # name goal flashmq args...; which=cpu|p50|p99 says what is compared
    local name=$1 goal=$2 flash=$3 i unit=""
    shift 3
    wants "$name" || return 0
    : > "$dir/a"; : > "$dir/b"; : > "$dir/g"
    for i in $(seq "$runs"); do
        $pin_load "$dir/load" --port "$ours_port" --pid "$ours_pid" --seconds "$secs" "$@" > "$dir/line.$i"
        field "$which" < "$dir/line.$i" >> "$dir/a"; field generator < "$dir/line.$i" >> "$dir/g"
        $pin_load "$dir/load" --port "$peer_port" --pid "$peer_pid" --seconds "$secs" "$@" > "$dir/peer.$i"
        field "$which" < "$dir/peer.$i" >> "$dir/b"
    done
    [ "$which" = cpu_us/message ] || unit=" us"
    awk -v n="$name" -v a="$(median < "$dir/a")" -v b="$(median < "$dir/b")" -v g="$goal" -v f="$flash" -v u="$unit" -v l="$(median < "$dir/g")" \
        'BEGIN { w = u ? "%d" : "%.3f"
                 printf "%-34s %12s %12s %8.1f %6s %8s %8d %%%s\n", n, sprintf(w u, a), sprintf(w u, b), a ? b / a : 0, g, f, l,
                        f != "-" && a && b / a < f ? "   BELOW FLASHMQ" : "" }'
}
which=cpu_us/message
row "QoS 0, 1:1, 16 B" 30 15 --qos 0 --size 16
row "QoS 0, 1:1, 256 B" 20 10 --qos 0 --size 256
row "QoS 0, 1:1, 4 KiB" 5 4 --qos 0 --size 4096
row "QoS 1, 1:1, 256 B" 19 12 --qos 1 --size 256
row "QoS 1, 50 publishers to 1, 256 B" 9 5.6 --qos 1 --size 256 --pubs 50 --window 10
row "QoS 0, 1 to 100, 16 B, delivery" 22 14 --qos 0 --size 16 --subs 100 --window 50
row "QoS 2, 1:1, 256 B" 22 14 --qos 2 --size 256
row "paced: 20,000/s, 1,000 connections" 1 - --qos 0 --size 256 --pairs 500 --rate 20000
which=p99_us
row "paced: end to end p99" 1 - --qos 0 --size 256 --pairs 500 --rate 20000
which=p50_us
row "one in flight, end to end p50" 1 0.1 --qos 0 --size 256 --window 1
kill "$ours_pid" "$peer_pid"; wait "$ours_pid" "$peer_pid" 2> /dev/null || true
pids=()

if wants durability; then
    printf '\n%-34s %12s %12s %8s\n' "durability (persistent subscriber)" disk memory "disk/mem"
    start_ours disk; disk_port=$port disk_pid=$pid
    start_ours memory; memory_port=$port memory_pid=$pid
    for layout in "--pubs 1 --window 500" "--pubs 4 --window 1000"; do
        : > "$dir/a"; : > "$dir/b"; : > "$dir/ar"; : > "$dir/br"
        for i in $(seq "$runs"); do
            # shellcheck disable=SC2086
            $pin_load "$dir/load" --port "$disk_port" --pid "$disk_pid" --seconds "$secs" --qos 1 --size 256 --persistent $layout > "$dir/line"
            field cpu_us/message < "$dir/line" >> "$dir/a"; field delivered/s < "$dir/line" >> "$dir/ar"
            # shellcheck disable=SC2086
            $pin_load "$dir/load" --port "$memory_port" --pid "$memory_pid" --seconds "$secs" --qos 1 --size 256 --persistent $layout > "$dir/line"
            field cpu_us/message < "$dir/line" >> "$dir/b"; field delivered/s < "$dir/line" >> "$dir/br"
        done
        awk -v n="CPU us, QoS 1, 256 B, $layout" -v a="$(median < "$dir/a")" -v b="$(median < "$dir/b")" \
            'BEGIN { printf "%-50s %8.3f %8.3f %8.2f\n", n, a, b, b ? a / b : 0 }'
        awk -v n="messages/s" -v a="$(median < "$dir/ar")" -v b="$(median < "$dir/br")" \
            'BEGIN { printf "%-50s %8d %8d\n", n, a, b }'
    done
    kill "$disk_pid" "$memory_pid"; wait "$disk_pid" "$memory_pid" 2> /dev/null || true
    pids=()
fi

if [ ${#words[@]} -gt 0 ] && wants stress; then
    cc -O2 -std=c17 -D_GNU_SOURCE -o "$dir/stress" bench/stress.c
    for load in "storm --rate 10000" "readers --readers 1000 --owed-mib 1024" "readers --readers 1 --owed-mib 1024 --size 1000" \
        "readers --readers 1000 --owed-mib 1024 --qos 1 --size 1000"; do
        for broker in ours mosquitto; do
            [ "$broker" = ours ] && start_ours disk || start_mosquitto
            printf '\n%s: %s\n' "$broker" "$load"
            # shellcheck disable=SC2086
            $pin_load "$dir/stress" --port "$port" --pid "$pid" --seconds 15 $load || true
            kill "$pid"; wait "$pid" 2> /dev/null || true
            pids=()
            rm -rf "$dir/ours-disk"
        done
    done
fi

if wants expressions; then
    printf '\n'
    cc -O2 -std=c17 -D_GNU_SOURCE -Isrc -o "$dir/expr" bench/expr.c build/libfg_expr.a build/libfg_base.a -lfyaml -lm
    $pin_broker "$dir/expr"
fi

# A job scores the telemetry of 100 devices; the clock runs from the moment an event was due until its anomaly is with a subscriber.
# Each run has a node of its own: a model that has seen the jumps before would not be surprised by them.
if wants opcua; then
    echo
    RUNS=$runs SECONDS_PER_RUN=$secs bench/opcua.sh
fi

if wants sql; then
    printf '\n'
    RUNS=$runs FIELDGATE=$binary bench/sql.sh
    cc -O2 -std=c17 -D_GNU_SOURCE -o "$dir/react" bench/react.c
    cat > "$dir/spikes.sql" << 'END'
WITH scored AS (
  SELECT deviceId, temperature, n, sent, AnomalyDetection_SpikeAndDip(CAST(temperature AS float), 99.9, 120, 'spikesanddips')
    OVER (PARTITION BY deviceId LIMIT DURATION(hour, 1)) AS s
  FROM [factory/+/+/telemetry])
SELECT deviceId, temperature, n, sent, s INTO [anomalies/spikes]
FROM scored WHERE CAST(GetRecordPropertyValue(s, 'IsAnomaly') AS bigint) = 1
END
    printf '\n%-50s %8s %8s %8s %10s\n' "publish to anomaly output, 10,000 events/s, QoS 1" "p50 us" "p99 us" "max us" found
    for durability in disk memory; do
        : > "$dir/a"
        for i in $(seq "$runs"); do
            rm -rf "$dir/ours-$durability"
            start_ours "$durability" "jobs: { spikes: $dir/spikes.sql }"
            $pin_load "$dir/react" --port "$port" --pid "$pid" >> "$dir/a"
            kill "$pid"; wait "$pid" 2> /dev/null || true
            pids=()
        done
        awk -v n="durability $durability (aim: p99 under 2,000 us)" -v p50="$(field p50_us < "$dir/a" | median)" -v p99="$(field p99_us < "$dir/a" | median)" \
            -v max="$(field max_us < "$dir/a" | median)" -v found="$(field found < "$dir/a" | median)" -v planted="$(field planted < "$dir/a" | median)" \
            'BEGIN { printf "%-50s %8d %8d %8d %10s%s\n", n, p50, p99, max, found "/" planted, (p99 >= 2000 ? "   ABOVE AIM" : "") }'
    done
fi

if wants idle; then
    printf '\n'
    FIELDGATE=$binary python3 bench/idle.py "$dir"
fi

# Detection models: no broker, one thread.
if wants detect; then
    printf '\n'
    cc -O2 -std=c17 -D_GNU_SOURCE -Isrc -o "$dir/detect" bench/detect_bench.c build/libfg_detect.a build/libfg_base.a -lfyaml -lm -pthread
    $pin_load "$dir/detect"
fi
