#!/usr/bin/env bash
# bench/nab.sh [MODEL...] - both detection models on the Numenta Anomaly Benchmark's files: score, threshold left-one-group-out
# score, nanoseconds per event. Data and scorer are not in this repository:
#   NAB_DATA=../shared/data/nab-dev     data/GROUP/FILE.csv and windows.json
#   NAB_SCORE=../shared/tools/nab_score.py
#   NAB_HISTORY=600                     the one setting, for all files
# Without them it says so and ends with status 77.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${NAB_DATA:-../shared/data/nab-dev}
score=${NAB_SCORE:-../shared/tools/nab_score.py}
history=${NAB_HISTORY:-600}
if [[ ! -d $data/data || ! -f $score ]]; then
    echo "bench/nab.sh: no benchmark at $data, or no scorer at $score; NAB_DATA and NAB_SCORE say where they are"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O2 -std=c17 -D_GNU_SOURCE -Isrc -o "$dir/nab" bench/nab.c build/libfg_detect.a build/libfg_base.a -lfyaml -lm -pthread
[[ $# -gt 0 ]] || set -- kde fieldgate
for model in "$@"; do
    (cd "$data/data" && find . -name '*.csv' | sort) | while read -r file; do
        mkdir -p "$dir/$model/$(dirname "$file")"
        "$dir/nab" "$model" "$history" "$data/data/$file" "$dir/$model/$file"
    done > "$dir/cost"
    awk -v m="$model" -v h="$history" '{ n += $1; ns += $1 * $2 }
        END { printf "\n%s, history %d: %d events, %.0f ns per event\n", m, h, n, ns / n }' "$dir/cost"
    python3 bench/nab_groups.py "$score" "$dir/$model" "$data/windows.json"
done
