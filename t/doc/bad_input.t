#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The table of bad input in docs/security.md names tests that are there, and a test for
# each input.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/../..";
open my $in, '<', "$root/docs/security.md" or die "docs/security.md: $!\n";
my $page = do { local $/ = undef; <$in> };
my ($table) = $page =~ /^## Bad input.*?^\| --- \| --- \| --- \|\n(.*?)^$/ms;
my @rows = map { [ split /\s*\|\s*/, $_ ] } split /\n/, defined $table ? $table : '';
cmp_ok scalar @rows, '>=', 15, 'rows';
for my $row (@rows) {
    my (undef, $input, $answer, $tests) = @{$row};
    ok length $answer, "$input: what comes of it";
    my @tests = $tests =~ /`([^`]+)`/g;
    ok scalar @tests, "$input: a test";
    ok -f "$root/$_", "... $_" for @tests;
}
done_testing;
