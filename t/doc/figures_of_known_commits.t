#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each commit that docs/performance.md names can be looked up. Figures of one that
# nobody has tell the day.

use strict;
use warnings;

use FindBin ();

use Test::More;

my $root = "$FindBin::Bin/../..";
-e "$root/.git" or plan skip_all => 'not a checkout of git';
system("git -C '$root' rev-parse --verify -q HEAD >/dev/null 2>&1") == 0
    or plan skip_all => 'the checkout has no repository that git reads';
my $shallow = `git -C '$root' rev-parse --is-shallow-repository`;
plan skip_all => 'the repository has only its last commits' if $shallow =~ /true/;

open my $in, '<', "$root/docs/performance.md" or die "docs/performance.md: $!\n";
my $page = do { local $/ = undef; <$in> };
my %named = map { $_ => 1 } $page =~ /\bcommits?\s+`?([0-9a-f]{7,40})\b/g;
my @unknown = grep { system("git -C '$root' cat-file -e '$_^{commit}' 2>/dev/null") != 0 } sort keys %named;
is_deeply \@unknown, [], 'docs/performance.md names commits that are there';
ok $page =~ /^Measured on \d{4}-\d\d-\d\d/m, 'and the day of its figures';

done_testing;
