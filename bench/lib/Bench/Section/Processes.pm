# SPDX-License-Identifier: Apache-2.0
#
# Section "processes": each method of Apache2::Spawn::Process beside AnyEvent::Fork's
# same method, by bench/processes, which has both in one event loop; and the least that
# the way to a process can take, in C. Runs in bench/run.

package Bench::Section::Processes;

use strict;
use warnings;

use JSON::PP ();

use Bench::Beside qw(program output);
use Bench::Cpu ();
use SpawnTest ();

use constant GROUPS => 4;       # what a figure's rounds are here
use constant BETWEEN => 3;      # broker, spawner, template
use constant PAUSE_MS => 5;

sub run {
    my ($class, $bench) = @_;
    if (!eval { require AnyEvent::Fork; 1 }) {
        $bench->skip('Apache2::Spawn::Process', 'AnyEvent::Fork is not installed');
        return;
    }
    $bench->tell('processes');
    my $all = join ',', Bench::Cpu::all();
    my $groups = $bench->either(GROUPS, 1);
    my $each = $bench->either(5, 3);
    my $told = JSON::PP::decode_json(output($all, $^X, SpawnTest::root_dir() . '/bench/processes', '--json',
        '--rounds=' . $groups * $each));
    for my $group (0 .. $groups - 1) {
        for my $case (@{$told}) {
            my ($name, $who, %ns) = (@{$case}[ 0, 1 ], held => $case->[2], there => $case->[3]);
            $bench->times("$name/$who/$_", @{ $ns{$_} }[ $group * $each .. ($group + 1) * $each - 1 ]) for qw(held there);
        }
        my %us = output($all, program('handed'), BETWEEN, 20, PAUSE_MS) =~ m{^(held|there) (\d+)}mg;
        $bench->times("limit/ours/$_", 1000 * $us{$_}) for qw(held there);
    }
    return;
}

1;
