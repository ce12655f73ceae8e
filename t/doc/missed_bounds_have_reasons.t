#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Each bound of docs/performance.md has a reason to tell when it is missed, and
# those that are missed now tell it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../../bench/lib";

use JSON::PP ();
use Test::More;

use Bench::Reasons ();

open my $in, '<', "$FindBin::Bin/../../bench/results/reach.json" or die "reach.json: $!\n";
my $reach = JSON::PP::decode_json(do { local $/ = undef; <$in> });
close $in;

is_deeply [ grep { !Bench::Reasons::of($_, 'no') } map { $_->{figure} } @{$reach} ], [], 'each figure has one';
is_deeply [ map { $_->{figure} } grep { $_->{held} ne 'yes' && !$_->{reason} } @{$reach} ], [], 'and each that is missed tells it';

done_testing;
