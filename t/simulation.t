#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The broker keeps its promises in a simulated world (t/simulation): for
# SIMULATION_SECONDS (20), from the seed SIMULATION_SEED (1) on. The suite looks at
# the same runs each time, at fewer of them on a machine that is busy; whoever looks
# for new faults gives other seeds. What a run finds is told with all that led to it.

use strict;
use warnings;

use FindBin ();
use Test::More tests => 3;

my $run     = "$FindBin::Bin/simulation/run";
my $seconds = $ENV{SIMULATION_SECONDS} || 20;
my $first   = $ENV{SIMULATION_SEED} || 1;
my @most = $ENV{SIMULATION_SECONDS} || $ENV{SIMULATION_SEED} ? () : ('--runs', 4000);

sub output_of {
    my @arguments = @_;
    open my $out, '-|', $run, @arguments or die "$run: $!\n";
    my @lines = <$out>;
    close $out;
    return $? >> 8, @lines;
}

my ($code, @said) = output_of('--seed', $first, '--seconds', $seconds, @most);
is $code, 0, "no promise is broken: $said[-1]" or do {
    diag @said;
    my ($seed) = map { /^seed (\d+)/ ? $1 : () } @said;
    my (undef, @story) = output_of('--seed', $seed // $first, '--trace');
    diag @story > 200 ? @story[-200 .. -1] : @story;
};
note $said[-1];
my ($runs) = $said[-1] =~ /^(\d+) runs/;
cmp_ok $runs, '>=', 20, 'there were runs: a busy machine does some hundred';

my @stories = map { [output_of('--seed', $first, '--runs', 20, '--trace')] } 1 .. 2;
for my $story (@stories) {
    pop @$story; # how long it took
    s/spawn-simulation-\w+/world/g, s/by uid \d+, pid \d+/by a caller/ for @$story;
}
is_deeply $stories[0], $stories[1], 'the same seed is the same story';
