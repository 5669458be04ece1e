#!/usr/bin/env bash
# Who may include whom (tests/layers.txt), checked on every #include of ours.
# With a folder as its argument it checks that tree's src; without one, this repository, after it has checked itself.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
TABLE=$PWD/tests/layers.txt

# Prints `file:line: what` for each include that is not allowed; status 1 if there was one.
check() # TREE [TABLE]
{
    (cd "$1" && find src -name '*.[ch]' | sort | xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null) |
        awk -v table="${2:-$TABLE}" -F: '
        BEGIN {
            while ((getline line < table) > 0) {
                if (line !~ /^[a-z]/) continue
                n = split(line, word, /[: ]+/)
                known[word[1]] = 1
                for (i = 2; i <= n; i++) if (word[i] != "") may[word[1], word[i]] = 1
            }
            close(table)
        }
        function complain(what) { print file ":" line_number ": " what; bad = 1 }
        {
            seen = 1; file = $1; line_number = $2
            split(file, part, "/"); from = part[2]
            match($0, /"[^"]*"/); header = substr($0, RSTART + 1, RLENGTH - 2)
            if (!(from in known)) { complain("the folder " from " is not in the table of layers"); next }
            if (header ~ /^support\// && (file ~ /_(test|fuzz)\.c$/ || file ~ /_test_[a-z]+\.h$/)) next
            if (split(header, part, "/") != 2) { complain("\"" header "\" is not written as \"folder/file.h\""); next }
            to = part[1]
            if (to == from || to == "base") next
            if ((from, to) in may || (from, header) in may || (from, "*") in may) next
            complain(from " may not include \"" header "\"")
        }
        END { if (!seen) { print "no #include was found"; bad = 1 } exit bad }'
}

# A folder that reaches itself through others is a layer no more.
check_order() # TABLE
{
    awk -F'[: ]+' '/^[a-z]/ { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z]+$/) print $1, $i }' "$1" | tsort >/dev/null
}

expect() # FILE INCLUDE FOUND   (FOUND empty: it is allowed)
{
    local tree found status
    tree=$(mktemp -d)
    mkdir -p "$tree/$(dirname "$1")"
    printf '#include <stdio.h>\n#include "%s"\n' "$2" >"$tree/$1"
    found=$(check "$tree")
    status=$?
    rm -rf "$tree"
    if [[ -z $3 && $status != 0 ]] || [[ -n $3 && ($status == 0 || $found != *"$3"*) ]]; then
        printf 'self-test: %s including %s: expected "%s", got "%s"\n' "$1" "$2" "$3" "$found"
        self=1
    fi
}

[[ $# -eq 0 ]] || { check "$1"; exit; }
self=0
expect src/base/a.c net/loop.h 'src/base/a.c:2: base may not include "net/loop.h"'
expect src/message/message.h mqtt/packet.h 'message may not'
expect src/journal/a_test.c broker/broker.h 'journal may not'
expect src/cli/a.c api/api.h 'cli may not'
expect src/cli/a.c api/client.h ''
expect src/mqtt/a.c packet.h 'is not written as'
expect src/mqtt/a.c ../base/bytes.h 'is not written as'
expect src/novel/a.c base/bytes.h 'not in the table'
expect src/broker/a.c support/memfs.h 'broker may not'
expect src/broker/a_test.c support/memfs.h ''
expect src/broker/a.c journal/journal.h ''
expect src/mqtt/a.c base/bytes.h ''
expect src/node/a.c web/web.h ''
circle=$(mktemp)
printf 'one: two\ntwo: three\nthree: one\n' >"$circle"
check_order "$circle" 2>/dev/null && { echo "self-test: a circle of layers was not seen"; self=1; }
rm -f "$circle"
[[ $self == 0 ]] || exit 1
check_order "$TABLE" && check .
