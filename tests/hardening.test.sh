#!/usr/bin/env bash
# The release binary is built as a hostile network deserves: position independent, full RELRO, no executable stack or
# writable code, stack protector, fortified calls, control-flow enforcement where the processor knows it.
set -uo pipefail
binary=${1:-${FIELDGATE:?the path of the release binary}}
bad=0

refuse()
{
    echo "$binary: $*"
    bad=1
}

has() # WHAT PATTERN READELF-OPTIONS...
{
    local what=$1 pattern=$2
    shift 2
    # Without -q: a reader that stops early would make readelf fail, and with pipefail the match.
    readelf -W "$@" "$binary" 2>/dev/null | grep -E -- "$pattern" >/dev/null || refuse "no $what"
}

[[ -x $binary ]] || { echo "$binary: not there"; exit 1; }
has 'position independence (PIE)' 'FLAGS_1.*\bPIE\b' -d
has 'RELRO segment' 'GNU_RELRO' -l
has 'immediate binding, so RELRO is not full' 'BIND_NOW|FLAGS_1.*\bNOW\b' -d
has 'declaration that the stack is not executable' 'GNU_STACK.* RW ' -l
has 'stack protector' '__stack_chk_fail' --dyn-syms
has 'fortified call' '__[a-z]+_chk\b' --dyn-syms
# Debian's start files carry no property note, so the linker writes none; the code itself must still be marked.
if [[ $(uname -m) == x86_64 ]]; then
    marks=$(objdump -d "$binary" | grep -c 'endbr64')
    [[ $marks -gt 10 ]] || refuse "no control-flow enforcement: $marks marked entry points"
fi
readelf -lW "$binary" | grep -E '^ +LOAD.* RWE ' && refuse 'a segment is writable and executable'
readelf -dW "$binary" | grep -E 'R(UN)?PATH' && refuse 'a library search path is built in'
readelf -dW "$binary" | grep -E 'TEXTREL' && refuse 'code is relocated in place'
readelf -SW "$binary" | grep -E '\.debug_info' >/dev/null || refuse 'no debugging information: a stack trace would say nothing'
nm "$binary" 2>/dev/null | grep -iE ' (__asan_init|__tsan_init|__ubsan_handle)' && refuse 'a sanitizer is linked in'
exit "$bad"
