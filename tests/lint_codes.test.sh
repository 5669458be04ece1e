#!/usr/bin/env bash
# FG numbers mean one thing each: people search for them. So each number is said by one folder of src only, or stands in
# tests/lint_codes.txt, because several folders say the same thing. What is listed and said by one folder alone is an error, too.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# "NUMBER FOLDER" of every number that the sources of a tree say.
said() # TREE
{
    (cd "$1" && find src -name '*.[ch]' ! -name '*_test.c' ! -name '*_fuzz.c' ! -name '*_test_*.h' -print0 | xargs -0 awk '
        { split(FILENAME, at, "/"); line = $0; sub(/^[ \t]*(\/?\*|\/\/).*/, "", line) }
        { rest = line; while (match(rest, /"FG[0-9][0-9][0-9][0-9] /)) { print substr(rest, RSTART + 3, 4), at[2]; rest = substr(rest, RSTART + 7) } }
        line ~ /FAIL_FG\(/ && match(line, /, [0-9][0-9][0-9][0-9],/) { print substr(line, RSTART + 2, 4), at[2] }
    ') | sort -u
}

check() # TREE
{
    local several listed bad
    several=$(said "$1" | cut -d' ' -f1 | uniq -d)
    listed=$(sed -nE 's/^([0-9]{4}) .*/\1/p' "$1/tests/lint_codes.txt" | sort)
    bad=$(comm -3 <(printf '%s\n' "$several" | sed '/^$/d') <(printf '%s\n' "$listed" | sed '/^$/d'))
    [[ -z $bad ]] && return 0
    echo "numbers that several folders say and tests/lint_codes.txt does not (right: that it lists for nothing):"
    printf '%s\n' "$bad"
    return 1
}

# It sees what it is for: two folders with one number, one of them over FAIL_FG; and a list that is too long.
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/src/a" "$tree/src/b" "$tree/tests"
: >"$tree/tests/lint_codes.txt"
echo 'log_warn("a", "FG1234 one thing");' >"$tree/src/a/x.c"
check "$tree" >/dev/null || { echo "one folder alone was refused"; exit 1; }
echo 'return FAIL_FG(why, CODE_USAGE, 1234, "another");' >"$tree/src/b/y.c"
check "$tree" >/dev/null && { echo "two folders were not seen"; exit 1; }
printf '1234 the same\n' >"$tree/tests/lint_codes.txt"
check "$tree" >/dev/null || { echo "what is listed was refused"; exit 1; }
rm "$tree/src/b/y.c"
check "$tree" >/dev/null && { echo "a listed number that is not needed was not seen"; exit 1; }

[[ $(said . | wc -l) -gt 100 ]] || { echo "the sources say too few numbers: is this lint blind?"; exit 1; }
check .
