#!/usr/bin/env bash
# docs/regressions.md names a test for each class of failure that systems of this kind have had. Each of them must exist, in the
# file that the table says, and be run there: a name in a comment is none. Every class of the list must be in the table.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
table=${1:-$root/docs/regressions.md}
failed=0

say() {
    echo "$table: $*" >&2
    failed=1
}

# Lines `| class | seen as | tests |`; a test is `file: name`, several are separated by `;`.
classes=0
while IFS='|' read -r _ class _ tests _; do
    class=$(sed 's/^ *//; s/ *$//' <<<"$class")
    [[ $class == class || $class == -* || -z $class ]] && continue
    classes=$((classes + 1))
    named=0
    while IFS= read -r test; do
        test=$(sed 's/^ *`//; s/` *$//' <<<"$test")
        [[ -n $test ]] || continue
        file=${test%%: *} name=${test#*: }
        named=$((named + 1))
        if [[ $test != *': '* || ! -f $root/$file ]]; then
            say "$class: there is no file '$file'"
        elif [[ $file == *.c ]]; then
            grep -qE "(unit_test|RIG_TEST|unit_test_setup_teardown)\($name[,)]" "$root/$file" || say "$class: $file runs no test '$name'"
        elif [[ $file == *.mjs ]]; then
            grep -E '^ *test\(' "$root/$file" | grep -qF -- "$name" || say "$class: $file has no test '$name'"
        else
            say "$class: '$file' is no test"
        fi
    done < <(tr ';' '\n' <<<"$tests")
    ((named)) || say "$class: no test is named"
done < <(grep '^|' "$table")

# As many as the list has had since it was begun: one that is forgotten is a defect.
((classes >= 17)) || say "only $classes classes"
exit $failed
