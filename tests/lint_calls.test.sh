#!/usr/bin/env bash
# Files, clocks, random numbers, memory and sockets are reached through base and net only (tests/lint_calls.txt).
# With a folder as its argument it checks that tree; without one, this repository, after it has checked itself.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
TABLE=$PWD/tests/lint_calls.txt

# Prints `file:line: what` for each call that is not allowed; status 1 if there was one.
check() # TREE
{
    (cd "$1" && find src -name '*.[ch]' ! -name '*_test*' ! -name '*_fuzz.c' | sort) | perl -e '
        use strict; use warnings;
        my ($table, $tree) = @ARGV; my (%group, @allow, %banned);
        open(my $t, "<", $table) or die "$table: $!";
        while (<$t>) {
            next if /^\s*(#|$)/;
            s/\s*#.*//s;
            if (/^group (\w+): (.+)/) { push @{$group{$1}}, split " ", $2 }
            elsif (/^allow (\S+): (.+)/) {
                my ($glob, $what) = ($1, $2);
                (my $re = quotemeta $glob) =~ s/\\\*/[^\/]*/g;
                push @allow, [qr/^$re$/, map { $group{$_} ? @{$group{$_}} : $_ } split " ", $what];
            }
            else { chomp; die "$table: neither group nor allow: $_\n" }
        }
        for my $g (keys %group) { $banned{$_} = $g for @{$group{$g}} }
        my $names = join "|", map { quotemeta } sort keys %banned;
        my ($bad, $files) = (0, 0);
        while (my $file = <STDIN>) {
            chomp $file;
            $files++;
            my %ok;
            for my $a (@allow) { my ($re, @w) = @$a; if ($file =~ $re) { $ok{$_} = 1 for @w } }
            open(my $f, "<", "$tree/$file") or die "$file: $!";
            local $/; my $text = <$f>;
            # Comments and literals become blanks; line numbers stay.
            $text =~ s{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\x27(?:\\.|[^\x27\\\n])*\x27)}
                      {my $m = $1; $m =~ s/[^\n]/ /g; $m}gse;
            my $n = 0;
            for my $line (split /\n/, $text) {
                $n++;
                while ($line =~ /(?<![\w.])(?<!->)($names)\s*\(/g) {
                    next if $ok{$1};
                    print "$file:$n: $1() goes around the tables ($banned{$1})\n"; $bad++;
                }
                if ($file !~ m{^src/net/} && $line =~ /\b(uv_\w+)/) {
                    print "$file:$n: $1 outside src/net\n"; $bad++;
                }
                if ($file !~ m{^src/net/} && !$ok{poll} && $line =~ /^\s*#\s*include\s*<(uv\.h|sys\/socket\.h|netinet\/|poll\.h|sys\/epoll\.h)/) {
                    print "$file:$n: <$1> outside src/net\n"; $bad++;
                }
            }
        }
        die "no source files in $tree/src\n" if !$files;
        exit($bad ? 1 : 0);
    ' "$TABLE" "$1"
}

# One planted violation must be found, with its place.
expect() # FILE CODE FOUND   (FOUND empty: the code is fine)
{
    local tree found status
    tree=$(mktemp -d)
    mkdir -p "$tree/$(dirname "$1")" "$tree/src/base"
    echo 'int fine;' >"$tree/src/base/fine.c"
    printf '%s\n' "$2" >"$tree/$1"
    found=$(check "$tree")
    status=$?
    rm -rf "$tree"
    if [[ -z $3 && $status != 0 ]] || [[ -n $3 && ($status == 0 || $found != *"$3"*) ]]; then
        printf 'self-test: %s with\n%s\nexpected "%s", got "%s"\n' "$1" "$2" "$3" "$found"
        self=1
    fi
}

[[ $# -eq 0 ]] || { check "$1"; exit; }
self=0
expect src/journal/a.c 'int f(void) { return open("x", 0); }' 'src/journal/a.c:1: open()'
expect src/journal/a.c $'\n\nint f(void) { return (int)time (NULL); }' 'src/journal/a.c:3: time()'
expect src/broker/a.c 'void *p = malloc(3);' 'malloc()'
expect src/net/a.c 'void *p = malloc(3);' 'malloc()'
expect src/base/arena.h 'static inline void f(void *p) { free(p); }' 'free()'
expect src/broker/a.c 'uv_loop_t *l;' 'uv_loop_t outside'
expect src/cli/a.c '#include <uv.h>' '<uv.h> outside'
expect src/cli/a.c 'int n = atoi(s);' 'atoi()'
expect src/base/io.c 'int n = atoi(s);' 'atoi()'
expect src/base/log.c 'int n = open(s, 0);' 'open()'
expect src/base/io.c 'int f = open("x", 0); clock_gettime(0, 0);' ''
expect src/base/mem.c 'void *p = malloc(3);' ''
expect src/net/loop_uv.c 'uv_run(l, 0); close(3); accept4(1, 0, 0, 0);' ''
expect src/journal/a.c 'io->open(io->self, "x"); t.time(1); journal_open(j); /* open(x) */ f("free(x)");' ''
expect src/journal/a_test.c 'void *p = malloc(3); time(NULL);' ''
[[ $self == 0 ]] || exit 1
check .
