#!/usr/bin/env bash
# timeout: 600
# Kills and crash states, few of each, and that both judges see a broker that breaks its promises. Many: make torture.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
FG_BUILD_TEST=${FG_BUILD_TEST:-$PWD/build-test}

KILLS=${KILLS:-10} STATES=${STATES:-20000} JOBS=2 tests/torture.sh || exit 1

for what in sync all-syncs ack pid; do
    if last=$("$FG_BUILD_TEST/crashsim" --break "$what" --states 20000 2>/dev/null | tail -n 1); then
        echo "crashsim --break $what: nobody noticed ($last)"
        exit 1
    fi
    [[ $last == *" violations" ]] || { echo "crashsim --break $what did not come to its end: $last"; exit 1; }
    echo "crashsim --break $what: seen after $last"
done

if out=$(FIELDGATE=$FG_BUILD_TEST/fieldgate node tests/torture/jobloop.mjs --kills 8 --break forget-ordinal 2>&1); then
    printf '%s\njobloop --break forget-ordinal: nobody noticed\n' "$out"
    exit 1
fi
said=$(grep -E '^WRONG: 8 kills, .* compared' <<<"$out") || { printf '%s\n' "$out" | tail -n 20; exit 1; }
echo "jobloop --break forget-ordinal: seen: $said"

if out=$(FIELDGATE=$FG_BUILD_TEST/fieldgate node tests/torture/killloop.mjs --kills 10 --break early-ack 2>&1); then
    printf '%s\nkillloop --break early-ack: nobody noticed\n' "$out"
    exit 1
fi
# It must have come to its end, not have failed on its way.
said=$(grep -E '^10 kills, .* acknowledged' <<<"$out") || { printf '%s\n' "$out" | tail -n 20; exit 1; }
echo "killloop --break early-ack: seen: $said"
