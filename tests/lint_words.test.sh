#!/usr/bin/env bash
# What may not stand in a tracked file: words for unfinished work, paths of one machine, hosts of package registries,
# and source files of more than 900 lines.
# With a folder as its argument it checks that tree; without one, this repository, after it has checked itself.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
LINES_MAX=900

# Tracked files whose path matches, NUL between.
paths() # PATTERN
{
    tracked | grep -zE -- "$1" || true
}

tracked() # what git tracks; everything where there is no git
{
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z
    else
        find . -type f -not -path './build*' -not -path '*/node_modules/*' -not -path './.git/*' -printf '%P\0'
    fi
}

# Complains about lines that match. The words themselves are written in two parts, so that this file may be checked.
refuse() # WHAT PATTERN FILE... on stdin, NUL between
{
    local found
    found=$(xargs -0 -r grep -nIEH -- "$2" /dev/null 2>/dev/null | cut -c1-160)
    [[ -z $found ]] && return 0
    printf '%s:\n%s\n' "$1" "$found"
    return 1
}

check() # TREE
{
    local bad=0 long
    cd "$1" || return 1
    [[ -n $(tracked | tr -d '\0' | head -c 1) ]] || { echo "no tracked files in $1"; return 1; }
    paths '\.(c|h|js|mjs|sh|cmake|html|css)$|(^|/)(Makefile|CMakeLists\.txt)$' |
        refuse 'words for unfinished work' '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b|not imple''mented|unimple''mented|\bst''ub(s|bed)?\b|place''holder' || bad=1
    tracked | refuse 'paths of one machine' '(^|[^A-Za-z0-9._-])/(wo''rk|fa''rm|ro''ot|home/[a-z]+)/' || bad=1
    tracked | refuse 'hosts of package registries' '\b(deb|registry|proxy|index)\.[a-z]+\.(org|com|io)\b' || bad=1
    paths '(^|/)package-lock\.json$' | refuse 'addresses in a lock file' '"reso''lved"' || bad=1
    long=$(paths '\.(c|h|js|mjs|sh|py)$' |
        xargs -0 -r awk -v max="$LINES_MAX" 'FNR == max + 1 { print FILENAME }')
    if [[ -n $long ]]; then
        printf 'more than %d lines; does it still have one noun?\n%s\n' "$LINES_MAX" "$long"
        bad=1
    fi
    return "$bad"
}

expect() # FILE TEXT FOUND   (FOUND empty: it is allowed)
{
    local tree found status
    tree=$(mktemp -d)
    mkdir -p "$tree/$(dirname "$1")"
    printf '%b\n' "$2" >"$tree/$1"
    found=$(GIT_CEILING_DIRECTORIES=/ GIT_DIR=/nowhere check "$tree")
    status=$?
    rm -rf "$tree"
    if [[ -z $3 && $status != 0 ]] || [[ -n $3 && ($status == 0 || $found != *"$3"*) ]]; then
        printf 'self-test: %s with "%s": expected "%s", got "%s"\n' "$1" "${2:0:60}" "$3" "$found"
        self=1
    fi
}

[[ $# -eq 0 ]] || { (check "$1"); exit; }
self=0
expect src/a.c '/* TO''DO later */' 'src/a.c:1:'
expect src/a.c '/* not imple''mented */' 'unfinished'
expect tests/a.sh '# FIX''ME' 'unfinished'
expect src/a.h 'see /wo''rk/main/x' 'paths of one machine'
expect docs/a.md 'in /ro''ot/x' 'paths of one machine'
expect docs/a.md 'https://reg''istry.example.org/x' 'hosts of package registries'
expect package-lock.json '"reso''lved": "x"' 'addresses in a lock file'
expect src/a.c "$(printf 'int x;\\n%.0s' $(seq 901))" 'more than 900 lines'
expect src/a.c "$(printf 'int x;\\n%.0s' $(seq 899))" ''
expect src/a.c '/* the network/farmland, a stubborn peer, work/lines */' ''
[[ $self == 0 ]] || exit 1
(check .)
