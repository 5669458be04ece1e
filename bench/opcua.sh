#!/usr/bin/env bash
# bench/opcua.sh - our OPC UA client and server against each other, and node-opcua in the place of either, in one run. Called by
# bench/run.sh (`bench/run.sh opcua`), or by itself.
#
# 1,000 Int64 items that change each 10 ms, published each 10 ms: 100,000 notifications a second; reads of 1,000 values and of one. Server
# on one core, client on the other. Microseconds of processor time per value, the server's with the setting of the values. The goals are
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
