#!/usr/bin/env bash
# Configures and builds one kind of build: `scripts/build.sh KIND [TARGET...]`. Prints what it compiles, and nothing when
# there is nothing to do.
#
#   release   build/        gcc    the product alone, hardened
#   test      build-test/   gcc    -O2 with the hooks that tests need: crash states, storms, benchmarks. Compiles only the
#                                  folders that have hooks; builds the release first and takes the others from there
#   asan      build-asan/   clang  address and undefined behaviour sanitizers: the unit tests
#   tsan      build-tsan/   gcc    thread sanitizer
#   fuzz      build-fuzz/   clang  libFuzzer targets
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:?usage: scripts/build.sh KIND [TARGET...]}
shift
case $kind in
release) dir=build;      options=(-DCMAKE_C_COMPILER=gcc -DFG_TESTS=OFF) ;;
test)    dir=build-test; options=(-DCMAKE_C_COMPILER=gcc -DFG_TEST=ON -DFG_RELEASE="$PWD/build")
         scripts/build.sh release fieldgate ;;
asan)    dir=build-asan; options=(-DCMAKE_C_COMPILER=clang-14 -DFG_SANITIZE=address) ;;
tsan)    dir=build-tsan; options=(-DCMAKE_C_COMPILER=gcc -DFG_SANITIZE=thread) ;;
fuzz)    dir=build-fuzz; options=(-DCMAKE_C_COMPILER=clang-14 -DFG_FUZZ=ON) ;;
*)       echo "scripts/build.sh: '$kind' is not release, test, asan, tsan or fuzz" >&2; exit 2 ;;
esac

mkdir -p "$dir"
if ! cmake -S . -B "$dir" -G Ninja "${options[@]}" >"$dir/configure.log" 2>&1; then
    cat "$dir/configure.log" >&2
    exit 1
fi
cd "$dir"
# A build with nothing to do says nothing: `make demo` is about the demo.
ninja -j "${JOBS:-$(nproc)}" "$@" | sed -u -E \
    -e '/Re-checking globbed directories|^ninja: no work to do|^$/d' \
    -e 's,Building C object CMakeFiles/[^/]*/(.*)\.o$,\1,' -e 's,Linking C [a-z ]+ ([^ ]+)$,\1,'
