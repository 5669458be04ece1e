#!/usr/bin/env bash
# A test build takes the folders that have no hooks from the release (cmake/product.cmake), so a header must not give a struct,
# a union or an enumeration other members under FG_TEST: the two halves of the program would not agree on it.
# With a folder as its argument it checks that tree; without one, this repository, after it has checked itself.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Prints `file:line: what` for each; status 1 if there was one.
check() # TREE
{
    (cd "$1" && find src -name '*.h' | sort | xargs -r awk '
        FNR == 1 { depth = 0; files++ }
        /^[ \t]*#[ \t]*(if|elif).*FG_TEST/ && depth > 0 { print FILENAME ":" FNR ": FG_TEST between braces"; bad = 1 }
        !/^[ \t]*#/ {
            line = $0
            gsub(/"([^"\\]|\\.)*"|\047(\\.|[^\047\\])\047/, "", line)
            depth += gsub(/{/, "", line) - gsub(/}/, "", line)
        }
        END { if (!files) { print "there is no header"; bad = 1 } exit bad }') || return 1
}

expect() # STATUS TEXT
{
    local tree status found
    tree=$(mktemp -d)
    mkdir -p "$tree/src/a"
    printf '%b' "$2" >"$tree/src/a/a.h"
    found=$(check "$tree")
    status=$?
    rm -rf "$tree"
    [[ $status == "$1" ]] || { printf 'self-test: expected %s, got %s (%s) for:\n%b' "$1" "$status" "$found" "$2"; exit 1; }
}

[[ $# -eq 0 ]] || { check "$1"; exit; }
expect 1 'struct a {\n    int x;\n#ifdef FG_TEST\n    int y;\n#endif\n};\n'
expect 1 'enum a { ONE,\n#if defined(FG_TEST)\n TWO,\n#endif\n};\n'
expect 0 "struct a { char x; }; // '{' and \"{\"\n#ifdef FG_TEST\nenum b { ONE };\nvoid hook(void);\n#endif\n"
check .
