#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (300), as many at once as there are cores: `scripts/fuzz.sh [TARGET...]`,
# where TARGET is the x of src/FOLDER/x_fuzz.c. New inputs go to build-fuzz/corpus/x; the kept ones are read from
# fuzz/corpus/x, words from fuzz/dict/x.dict. A finding is left in build-fuzz/findings/ and ends with status 1.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export FUZZ_SECONDS=${FUZZ_SECONDS:-300}

fuzz_one() # TARGET
{
    local name=$1 log=build-fuzz/logs/$1.log
    local words=()
    mkdir -p "build-fuzz/corpus/$name" build-fuzz/findings build-fuzz/logs "fuzz/corpus/$name"
    [[ -f fuzz/dict/$name.dict ]] && words=("-dict=fuzz/dict/$name.dict")
    if "build-fuzz/${name}_fuzz" -max_total_time="$FUZZ_SECONDS" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/findings/$name-" "${words[@]}" "build-fuzz/corpus/$name" "fuzz/corpus/$name" \
        >"$log" 2>&1; then
        printf 'ok    %-24s %s executions, %s new inputs, %s s\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(sed -n 's/^stat::new_units_added: *//p' "$log")" "$FUZZ_SECONDS"
    else
        printf 'FAIL  %s\n%s\n' "$name" "$(tail -n 60 "$log")"
        touch "build-fuzz/findings/$name.failed"
    fi
}
export -f fuzz_one

scripts/build.sh fuzz fuzzers || exit 1
export UBSAN_OPTIONS=print_stacktrace=1
if [[ $# -eq 0 ]]; then
    mapfile -t names < <(cd src && ls */*_fuzz.c 2>/dev/null | sed 's,.*/,,; s,_fuzz\.c$,,' | sort)
else
    names=("$@")
fi
rm -f build-fuzz/findings/*.failed
[[ ${#names[@]} -gt 0 ]] && printf '%s\n' "${names[@]}" | xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'fuzz_one {}'
failed=$(find build-fuzz/findings -name '*.failed' 2>/dev/null | wc -l)
echo "$((${#names[@]} - failed)) passed, $failed failed"
[[ $failed -eq 0 && ${#names[@]} -gt 0 ]]
