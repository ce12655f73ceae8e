#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# No parser breaks on hostile bytes: each fuzzer of t/fuzz runs for its share
# of some seconds (FUZZ_SECONDS, 20), from its committed corpus.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/..";
my $build = $ENV{SPAWN_BUILD} || 'build';
my $seconds = $ENV{FUZZ_SECONDS} || 20;

my @names = map { m{([^/]+)\.c\z} ? $1 : () } glob "$root/t/fuzz/*.c";
plan tests => scalar @names;

# fuzzers have their own sanitizers, which are not those of a build with SANITIZE=1
delete local @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS)};
open my $make, '-|', 'make', '--no-print-directory', '-C', $root, "B=$build",
    "FUZZ_SECONDS=$seconds", 'fuzz'
    or die "make: $!\n";
my %passed;
while (my $line = <$make>) {
    $passed{$1} = 1 if $line =~ /^fuzz: (\S+) passed/;
    diag $line if $line =~ /^fuzz: / && $line !~ / passed: /;
}
close $make;
ok $passed{$_}, "$_ withstands $seconds s of fuzzing" for @names;
