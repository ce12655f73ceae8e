#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The words for how a job ended: each is one word, and those that the manuals
# list are those that there are.

use strict;
use warnings;

use FindBin ();
use Test::More;

my $top = "$FindBin::Bin/../..";

sub slurp {
    my ($path) = @_;
    open my $in, '<', "$top/$path" or die "$path: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my ($list) = slurp('common/spawn_error.h') =~ /^#define SPAWN_OUTCOME_LIST\(X\)(.*?[^\\])\n/ms or die "no list of outcomes\n";
my @words = sort grep { $_ ne 'none' } $list =~ /"([^"]*)"/g;
is_deeply [ grep { !/\A[a-z_]+\z/ } @words ], [], 'each is one word';

my ($pod) = slurp('perl/lib/Apache2/Spawn/Result.pm') =~ /^=item outcome\n(.*?)^=back/ms;
is_deeply [ sort $pod =~ /^=item C<(.*?)>/mg ], \@words, 'Apache2::Spawn::Result has all, and no other';

my ($manual) = slurp('ctl/spawnctl.1') =~ /^or how it ended:\n(.*?)^of a Perl function also/ms;
my %told = map { $_ => 1 } $manual =~ /(\w+)/g;
is_deeply [ grep { !$told{$_} } @words ], [], 'spawnctl(1) has all';

done_testing;
