#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Two tables of docs/security.md, what each process can do when it is taken over and
# what comes of bad input, name for each line a test, and the tests are there.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $root = "$FindBin::Bin/../..";
open my $in, '<', "$root/docs/security.md" or die "docs/security.md: $!\n";
my $page = do { local $/ = undef; <$in> };
for my $section ('What each can do', 'Bad input') {
    my ($table) = $page =~ /^## \Q$section\E.*?^\| --- \| --- \| --- \|\n(.*?)^$/ms;
    my @rows = map { [ split /\s*\|\s*/, $_ ] } split /\n/, defined $table ? $table : '';
    cmp_ok scalar @rows, '>=', 15, "$section: rows";
    for my $row (@rows) {
        my (undef, $of, $answer, $tests) = @{$row};
        ok length $answer, "$of: an answer";
        my @tests = $tests =~ /`([^`]+)`/g;
        ok scalar @tests, "$of: $answer: a test";
        ok -f "$root/$_", "... $_" for @tests;
    }
}
done_testing;
