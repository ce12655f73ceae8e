#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A ratio of the benchmarks leaves out the rounds in which what it is compared with
# did nothing, and is none when most of them did nothing.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../../bench/lib";

use Test::More;

use Bench::Results ();

sub figure {
    my ($median, @rounds) = @_;
    return { median => $median, rounds => \@rounds };
}

my $ratio = Bench::Results->ratio(figure(140, 70, 140, 160), figure(70, 0, 70, 80));
is_deeply $ratio, { median => 2, min => 2, max => 2 }, 'the round of 0 does not count';
is +Bench::Results->ratio(figure(140, 70, 140, 160), figure(0, 0, 70, 0)), undef, 'no ratio to a median of 0';

done_testing;
