#!/usr/bin/env bash
# bench/opcua.sh - our OPC UA client and server against each other, and node-opcua in the place of either, in one run. Called by
# bench/run.sh (`bench/run.sh opcua`), or by itself.
#
# 1,000 Int64 items that change each 10 ms, published each 10 ms: 100,000 notifications a second; reads of 1,000 values and of one. Server
# on one core, client on the other. The publisher's row is a whole node: our server's values through the publisher, the broker and the
# journal, synced; its client column is all threads of the node, per value. Microseconds of processor time per value, the server's with the setting of the values. The goals are
# for a quiet machine; ratios to node-opcua travel. node-opcua publishes each 50 ms at best, so it is asked for 100 ms there.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-3} secs=${SECONDS_PER_RUN:-3}
build=${BUILD:-build}
dir=$(mktemp -d)
pids=()
trap 'for p in "${pids[@]:-}"; do [ -n "$p" ] && kill "$p" 2>/dev/null; done; rm -rf "$dir"' EXIT
pin_server="taskset -c 0" pin_client="taskset -c 1"
[ "$(nproc)" -ge 2 ] || pin_server="" pin_client=""
libs="$build/libfg_uaclient.a $build/libfg_uaserver.a $build/libfg_opcua.a $build/libfg_net.a $build/libfg_base.a"
for part in serve client; do
    cc -O2 -std=c17 -D_GNU_SOURCE -Isrc -Ibench -o "$dir/opcua_$part" bench/opcua_$part.c $libs -luv -lssl -lcrypto -lhttp_parser -lfyaml -lm -pthread
done
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)]; else print 0 }'; }
field() { sed -n "s|.*$1 \([0-9.]*\).*|\1|p"; }

serve() { # NAME COMMAND...: sets url, pid
    local name=$1
    shift
    $pin_server "$@" > "$dir/$name.url" 2> "$dir/$name.err" &
    pid=$!
    pids+=("$pid")
    for _ in $(seq 300); do [ -s "$dir/$name.url" ] && break; sleep 0.1; done
    url=$(grep -m1 '^opc.tcp' "$dir/$name.url") || { cat "$dir/$name.err" >&2; exit 1; }
}
done_with() { kill "$pid"; wait "$pid" 2> /dev/null || true; }

client() { $pin_client "$dir/opcua_client" "$@" --pid "$pid" --seconds "$secs" --data "$dir/c"; }
node_client() { $pin_client node bench/opcua_peer.mjs "$@" 2> "$dir/node.err" | grep '^rate'; }

printf '%-46s %10s %8s %8s %7s %9s %9s\n' "OPC UA row (CPU us per value)" rate/s client server lost "RSS KiB" "own KiB"
show() { # LABEL FILE
    printf '%-46s %10.0f %8.3f %8.3f %7.0f %9.0f %9.0f\n' "$1" "$(field rate < "$2" | median)" "$(field cpu < "$2" | median)" \
        "$(field peer < "$2" | median)" "$(field lost < "$2" | median)" "$(field rss < "$2" | median)" "$(field private < "$2" | median)"
}
repeat() { # LABEL COMMAND...
    local label=$1 i
    shift
    : > "$dir/lines"
    for i in $(seq "$runs"); do "$@" >> "$dir/lines"; done
    show "$label" "$dir/lines"
}

# Processor time of a process in microseconds.
spent() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.0f\n", ($12 + $13) * 1e6 / hz }' "/proc/$1/stat"; }
# Values that the publisher of the node has put into the broker, and those that its servers have lost.
sent() {
    "$build/fieldgate" status --config "$dir/n.yaml" --data "$dir/n" -o json | tr -d ' \n' | grep -o '"opcua":{.*' |
        sed -n 's/.*"sent":\([0-9]*\).*"overflows":\([0-9]*\),"lost":\([0-9]*\),"held".*/\1 \2 \3/p'
}
publisher_run() {
    local from to node cpu then
    rm -rf "$dir/n"
    $pin_client "$build/fieldgate" run --config "$dir/n.yaml" --data "$dir/n" > "$dir/node.out" 2>&1 &
    node=$!
    pids+=("$node")
    for _ in $(seq 100); do from=$(sent 2> /dev/null || true) && [ -n "$from" ] && [ "${from%% *}" -gt 0 ] && break; sleep 0.1; done
    sleep 1
    from=$(sent) then=$(date +%s%N) cpu="$(spent "$node") $(spent "$pid")"
    sleep "$secs"
    to=$(sent)
    awk -v a="$from" -v b="$to" -v ns="$(($(date +%s%N) - then))" -v then="$cpu" -v now="$(spent "$node") $(spent "$pid")" \
        -v rss="$(awk '/^VmRSS/ { print $2 }' "/proc/$node/status")" -v own="$(awk '/^Private_Dirty/ { print $2 }' "/proc/$node/smaps_rollup")" 'BEGIN {
            split(a, f); split(b, t); split(then, c); split(now, d); n = t[1] - f[1]
            printf "rate %.0f cpu %.3f peer %.3f lost %d rss %d private %d\n", n / ns * 1e9, n ? (d[1] - c[1]) / n : 0, n ? (d[2] - c[2]) / n : 0, t[2] + t[3] - f[2] - f[3], rss, own }'
    kill "$node"
    wait "$node" 2> /dev/null || true
}
publisher_row() {
    seq 0 999 | awk -v url="$url" 'BEGIN { printf "[{\"EndpointUrl\":\"%s\",\"UseSecurity\":false,\"DataSetWriterGroup\":\"bench\",\"OpcNodes\":[", url }
        { printf "%s{\"Id\":\"nsu=urn:bench:items;s=c%d\",\"OpcSamplingInterval\":0,\"OpcPublishingInterval\":100,\"QueueSize\":100}", (NR > 1) ? "," : "", $1 } END { print "]}]" }' > "$dir/nodes.json"
    printf '%s\n' 'listeners: [{ type: http, at: "127.0.0.1:0" }]' "opcua: { published-nodes: \"$dir/nodes.json\" }" > "$dir/n.yaml"
    repeat "ours -> publisher -> broker, on disk" publisher_run
}

mkdir -p "$dir/s" "$dir/c"
serve ours "$dir/opcua_serve" --every-ms 10 --data "$dir/s"
repeat "ours <- ours, 1,000 items each 10 ms" client watch "$url" --publish-ms 10
cp "$dir/lines" "$dir/ours.watch"
repeat "  the same, signed and encrypted" client watch "$url" --publish-ms 10 --policy Basic256Sha256 --mode 3
repeat "  the same, signed" client watch "$url" --publish-ms 10 --policy Basic256Sha256 --mode 2
if command -v node > /dev/null && [ -d tests/e2e/node_modules ]; then
    repeat "ours <- node-opcua" node_client watch "$url" "$pid" 1000 50 "$secs"
    cp "$dir/lines" "$dir/node.watch"
fi
publisher_row
done_with
serve still "$dir/opcua_serve" --every-ms 0 --data "$dir/s"
repeat "ours <- ours, reads of 1,000" client read "$url" --batch 1000
cp "$dir/lines" "$dir/ours.read"
repeat "ours <- ours, reads of 1" client read "$url" --batch 1
[ ! -s "$dir/node.watch" ] || repeat "ours <- node-opcua, reads of 1,000" node_client read "$url" "$pid" 1000 "$secs"
done_with
if [ -s "$dir/node.watch" ]; then
    serve node node bench/opcua_peer.mjs serve 1000 100
    repeat "node-opcua <- ours, 1,000 items each 100 ms" client watch "$url" --publish-ms 100
    cp "$dir/lines" "$dir/node.serve"
    repeat "node-opcua <- ours, reads of 1,000" client read "$url" --batch 1000
    cp "$dir/lines" "$dir/node.read"
    done_with
    ratio() { awk -v a="$(field "$2" < "$dir/$1" | median)" -v b="$(field "$4" < "$dir/$3" | median)" 'BEGIN { printf "%.1f", (b > 0) ? a / b : 0 }'; }
    echo "node-opcua / ours, CPU per notification: client $(ratio node.watch cpu ours.watch cpu), server $(ratio node.serve peer ours.watch peer); per value read: server $(ratio node.read peer ours.read peer)"
fi
echo "goals: client 0.3, server 1.5 at 100,000/s without loss; 1,400,000 values/s in reads of 1,000; client under 5,000 KiB"
