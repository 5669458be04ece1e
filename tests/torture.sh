#!/usr/bin/env bash
# Loses power and kills processes, and compares what was acknowledged with what came back.
#
#   KILLS=200       kill -9 of a loaded node, so many times
#   STATES=1000000  crash states of recorded writes and syncs: a broker is started on each, its clients come back
#   JOBS=2          processors for the second
#   ONLY="kills jobs crash damage"
#
# `damage` flips every bit of a small journal and cuts it at every byte.
#
# Status 0 when no promise was broken. `make torture` builds what this needs: build/fieldgate and build-test/crashsim.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

KILLS=${KILLS:-200}
STATES=${STATES:-1000000}
SEED=${SEED:-$RANDOM}
ONLY=${ONLY:-kills jobs crash damage}
JOBS=${JOBS:-$(nproc)}
export FIELDGATE=${FIELDGATE:-$PWD/build/fieldgate}
FG_BUILD_TEST=${FG_BUILD_TEST:-$PWD/build-test}
bad=0

has() { [[ " $ONLY " == *" $1 "* ]]; }

if has kills; then
    echo "== $KILLS kills of a loaded node"
    node tests/torture/killloop.mjs --kills "$KILLS" --seed "$SEED" || bad=1
fi
if has jobs; then
    echo "== $((KILLS / 2)) kills of a node whose jobs are at work"
    node tests/torture/jobloop.mjs --kills "$((KILLS / 2))" --seed "$SEED" || bad=1
fi
if has crash; then
    echo "== $STATES crash states, seed $SEED"
    "$FG_BUILD_TEST/crashsim" --seed "$SEED" --states "$STATES" --jobs "$JOBS" || bad=1
fi
if has damage; then
    echo "== every bit of a small journal"
    "$FG_BUILD_TEST/check_test" || bad=1
fi
exit "$bad"
