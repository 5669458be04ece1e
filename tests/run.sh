#!/usr/bin/env bash
# Runs the tests and counts them. `tests/run.sh [PHASE...]`, all phases when none is named:
#
#   unit    the unit tests and the replays of the fuzz corpora, under ASan and UBSan (clang)
#   tsan    the tests whose name ends in _tsan_test, under TSan (gcc)
#   shell   tests/*.test.sh: the lints, the hardening of the binary, kills, crash states, ...
#   e2e     tests/e2e/*.test.mjs: real clients against the release binary
#
# The builds that the phases need come first and count as tests: gcc and clang must both be content. Then the tests of all
# phases run as one crowd, the slowest first (tests/slowest.txt), JOBS of them at once. Most of them wait most of the time:
# for a clock, a disk, a peer. So JOBS is two for each processor unless the environment says otherwise.
# FG_FULL=1 adds: unit tests at -O2 and under TSan, e2e against the sanitizer build, fuzzing, torture; limits times 10.
#
# A shell test ends with 0 (passed), 77 (skipped, its last line says why) or anything else. It finds the binaries in
# FIELDGATE (release), FG_BUILD_TEST (gcc -O2 with test hooks) and FG_BUILD_ASAN, and a folder of its own in TMPDIR.
# `# timeout: 600` (in mjs `// timeout: 600`) in a test's first lines raises its limit in seconds.
# The last line is `N passed, N failed`; the status is 0 when nothing failed and something passed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SHELL_SECONDS=300
E2E_SECONDS=120
FAILURE_LINES=200
TEST_JOBS=${JOBS:-$((2 * $(nproc)))}

export FG_FULL=${FG_FULL:-}
export FG_RUN_ID="$$-$RANDOM"
export FG_OUT=build-test/results FG_BUILD_TEST=$PWD/build-test FG_BUILD_ASAN=$PWD/build-asan
export FIELDGATE=$PWD/build/fieldgate
export FAILURE_LINES
# TSan of gcc 12 does not know the address space layout of newer kernels; without randomisation it does.
FIXED=""
setarch "$(uname -m)" -R true 2>/dev/null && FIXED="setarch $(uname -m) -R"
export FIXED
# Short, because the path of a unix socket has to fit into 108 bytes.
TMP_ALL=$(mktemp -d /tmp/fg.XXXXXX)
export TMP_ALL
trap 'rm -rf "$TMP_ALL"' EXIT
mkdir -p "$FG_OUT"
rm -rf "${FG_OUT:?}"/*
: >"$FG_OUT/counts"
QUEUE=$TMP_ALL/queue
: >"$QUEUE"

# Prints one result and writes its counts down; several run at once, so under a lock.
report() # VERDICT NAME SECONDS PASSED FAILED [NOTE] <OUTPUT
{
    (
        flock 9
        printf '%-4s  %-44s %7.1f s%s\n' "$1" "$2" "$3" "${6:+  $6}"
        if [[ $1 == FAIL ]]; then
            awk -v max="$FAILURE_LINES" '{ line[NR] = $0 }
                END { for (i = 1; i <= NR; i++)
                          if (NR <= max || i <= max / 2 || i > NR - max / 2) print "      " line[i];
                          else if (!cut++) print "      ... " NR - max " lines left out ..." }'
        fi
        echo "$4 $5" >>"$FG_OUT/counts"
        if [[ $1 == skip ]]; then
            echo "$2: ${6:-no reason given}" >>"$FG_OUT/skipped"
        fi
    ) 9>>"$FG_OUT/lock"
}

# What node's runner counted: "PASSED FAILED SKIPPED". A file that ended with an error counts as one failure at least.
tap_counts() # FILE STATUS
{
    awk -v status="$2" '/^# pass /{p=$3} /^# (fail|cancelled) /{f+=$3} /^# (skipped|todo) /{s+=$3}
        END { if (status != 0 && f == 0) f = 1; if (status == 0 && p + f + s == 0) f = 1; print p + 0, f + 0, s + 0 }' "$1"
}

run_one() # NAME SECONDS COMMAND...
{
    local name=$1 seconds=$2 log start took status note="" counts
    shift 2
    [[ -n $FG_FULL ]] && seconds=$((seconds * 10))
    log=$FG_OUT/${name//\//-}.log
    TMPDIR=$(mktemp -d "$TMP_ALL/XXXX")
    export TMPDIR TAP=$log.tap
    start=$EPOCHREALTIME
    timeout --kill-after=10 "$seconds" "$@" >"$log" 2>&1 </dev/null
    status=$?
    took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
    rm -rf "$TMPDIR"
    [[ $status == 124 || $status == 137 ]] && echo "stopped: it ran longer than $seconds s" >>"$log"
    if [[ -e $TAP ]]; then
        read -ra counts < <(tap_counts "$TAP" "$status")
        note="${counts[0]} tests"
        if [[ ${counts[2]} != 0 ]]; then
            note+=", ${counts[2]} skipped"
            echo "$name: ${counts[2]} of its tests" >>"$FG_OUT/skipped"
        fi
        [[ ${counts[1]} == 0 ]] || { report FAIL "$name" "$took" "${counts[0]}" "${counts[1]}" "$note" <"$log"; return 1; }
        report ok "$name" "$took" "${counts[0]}" 0 "$note" </dev/null
    elif [[ $status == 0 ]]; then
        report ok "$name" "$took" 1 0 </dev/null
    elif [[ $status == 77 && $name == shell/* ]]; then
        report skip "$name" "$took" 0 0 "$(tail -n 1 "$log")" </dev/null
    else
        report FAIL "$name" "$took" 0 1 "status $status" <"$log"
        return 1
    fi
}

limit_of() # FILE DEFAULT
{
    local own
    own=$(head -n 20 "$1" | sed -nE 's,^(#|//) timeout: ([0-9]+).*,\2,p' | head -n 1)
    echo "${own:-$2}"
}

run_ctest() # LABEL FOLDER NAME
{
    # shellcheck disable=SC2086
    run_one "$1/$3" 900 $FIXED ctest --test-dir "$2" -R "^$3\$" --no-tests=error --output-on-failure
}

run_shell() # FILE
{
    local name=${1##*/}
    run_one "shell/${name%.test.sh}" "$(limit_of "$1" "$SHELL_SECONDS")" bash "$1"
}

run_e2e() # LABEL FILE
{
    local name=${2##*/}
    run_one "$1/${name%.test.mjs}" "$(limit_of "$2" "$E2E_SECONDS")" bash -c 'node --test \
        --test-reporter=spec --test-reporter-destination=stdout \
        --test-reporter=tap --test-reporter-destination="$TAP" "$0"' "$2"
}

run_e2e_asan() # FILE
{
    FIELDGATE=$FG_BUILD_ASAN/fieldgate run_e2e e2e-asan "$1"
}
export -f report tap_counts run_one limit_of run_ctest run_shell run_e2e run_e2e_asan
export SHELL_SECONDS E2E_SECONDS

# Queues FUNCTION with each line of stdin as its last argument: `LABEL/TEST FUNCTION ARGUMENT...`. Nothing to call it with
# is a failure: tests that went missing must not look like tests that passed.
each() # LABEL FUNCTION ARGUMENT...
{
    local label=$1 lines line name
    shift
    mapfile -t lines
    if [[ ${#lines[@]} -eq 0 ]]; then
        echo "there is no such test" | report FAIL "$label" 0 0 1 "nothing to run"
    fi
    for line in "${lines[@]}"; do
        name=${line##*/}
        echo "$label/${name%.test.*} $* $line" >>"$QUEUE"
    done
}

# The queue, what tests/slowest.txt names first and in its order; a name there is good for every label that begins like it
# (unit, unit-O2). What it does not name keeps the order in which it came.
in_order()
{
    awk 'FILENAME != "-" { if ($1 ~ /^[a-z]/) rank[$1] = ++n; next }
        { name = $1; sub(/-(O2|asan)\//, "/", name); print (name in rank ? rank[name] : n + NR), $0 }' tests/slowest.txt - <"$QUEUE" |
        sort -s -n -k 1,1 | cut -d ' ' -f 3-
}

run_queue()
{
    [[ -s $QUEUE ]] || return 0
    in_order | xargs -d '\n' -P "$TEST_JOBS" -I{} bash -c '{}' || true
}

ctest_names() # FOLDER REGEX
{
    ctest --test-dir "$1" -N -R "$2" 2>/dev/null | sed -nE 's/^ *Test +#[0-9]+: //p'
}

build() # KIND [TARGET...]
{
    local kind=$1
    shift
    run_one "build/$kind" 1800 scripts/build.sh "$kind" "$@"
}

# A phase builds what it needs and queues its tests.
phase_unit()
{
    build asan && ctest_names build-asan . | each unit run_ctest unit build-asan
    [[ -z $FG_FULL ]] || ctest_names build-test . | each unit-O2 run_ctest unit-O2 build-test
}

phase_tsan()
{
    local which='_tsan_test$' target=tsan_tests
    [[ -z $FG_FULL ]] || which=. target=all
    build tsan "$target" && ctest_names build-tsan "$which" | each tsan run_ctest tsan build-tsan
}

phase_shell()
{
    ls tests/*.test.sh | each shell run_shell
}

phase_e2e()
{
    ls tests/e2e/*.test.mjs | each e2e run_e2e e2e
    [[ -z $FG_FULL ]] || ls tests/e2e/*.test.mjs | each e2e-asan run_e2e_asan
}

# What looks at the results of a phase, or needs the machine for itself: after the queue.
after_e2e()
{
    # Each statement of the standards that binds a server has a test, none failed, and docs/conformance.md says so.
    run_one conformance 60 node tests/conformance/table.mjs "$FG_OUT"
}

phase_long() { :; }
after_long()
{
    FUZZ_SECONDS=${FG_FULL_FUZZ_SECONDS:-60} run_one fuzz 1800 scripts/fuzz.sh
    run_one torture 7200 tests/torture.sh
    run_one mutations 900 node tests/conformance/mutate.mjs
}

# Every process that a test started carries our run's id in its environment. One that is still there was forgotten.
nothing_is_left_running()
{
    local entry pid found=0
    for entry in /proc/[0-9]*/environ; do
        pid=${entry#/proc/}
        pid=${pid%/environ}
        grep -qzx "FG_RUN_ID=$FG_RUN_ID" "$entry" 2>/dev/null || continue
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        bash | run.sh | timeout | grep | cat | '') continue ;;
        esac
        echo "still running: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        kill -KILL "$pid"
        found=1
    done
    return "$found"
}
export -f nothing_is_left_running

phases=("$@")
[[ $# -gt 0 ]] || phases=(unit tsan shell e2e)
[[ $# -gt 0 || -z $FG_FULL ]] || phases+=(long)
for phase in "${phases[@]}"; do
    declare -F "phase_$phase" >/dev/null || { echo "tests/run.sh: no phase '$phase'" >&2; exit 2; }
done

started=$SECONDS
build release fieldgate
build test
for phase in "${phases[@]}"; do
    "phase_$phase"
done
run_queue
for phase in "${phases[@]}"; do
    if declare -F "after_$phase" >/dev/null; then
        "after_$phase"
    fi
done
run_one nothing-left-running 60 bash -c nothing_is_left_running

[[ ! -e $FG_OUT/skipped ]] || { echo; sed 's/^/skipped: /' "$FG_OUT/skipped"; }
read -r passed failed < <(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$FG_OUT/counts")
echo
echo "$((SECONDS - started)) s; what each test printed is in $FG_OUT/"
echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
