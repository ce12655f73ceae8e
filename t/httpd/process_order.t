#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A process does what it is told in the order in which it is told; a fork is a
# copy of it as it was then, and neither sees what the other is told later.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Processes qw(process lines);

for my $exec (0, 1) {
    my $root = process(exec => $exec)
        ->eval('$main::seen = "@_"; sub look { my $fh = shift; print {$fh} "$_\n" for $main::seen, map { ref $_ ? "handle" : $_ } @_ }', 1, 2)
        ->send_arg('a', '', "b\0\xFF")
        ->send_fh(\*STDIN)
        ->send_arg('c');
    my $first = $root->fork;
    $root->eval('$main::seen .= " root $_[0]"', 3)->send_arg('d');
    my $second = $root->fork->send_arg('e');
    $first->eval('$main::seen .= " first"')->send_arg('f', undef);
    my $third = $first->fork->send_arg('g');
    my @common = ('a', '', "b\0\xFF", 'handle', 'c');
    is_deeply [ lines($second->run('look')) ], [ '1 2 root 3', @common, 'd', 'e' ], 'a fork of the changed one';
    is_deeply [ lines($first->run('main::look')) ], [ '1 2 first', @common, 'f', '' ], 'the fork of before';
    is_deeply [ lines($root->run('look')) ], [ '1 2 root 3', @common, 'd' ], 'the first one itself';
    is_deeply [ lines($third->run('look')) ], [ '1 2 first', @common, 'f', '', 'g' ], 'a fork of a fork, after both are gone';

    # data that was sent can be had while it is set up
    my $process = process(exec => $exec)->send_arg('x', 'y')->send_fh(\*STDIN)
        ->eval('@got = Apache2::Spawn::Process::Serve::run_args(); @again = AnyEvent::Fork::Serve::run_args()')
        ->eval('sub tell { my ($fh, @rest) = @_; print {$fh} scalar(@got), scalar(@again), "@got[0,1] @rest\n" }')
        ->send_arg('z');
    is_deeply [ lines($process->run('tell')) ], ['30x y z'], 'run_args gives and takes away';

    # much of it, and forks that seed anew
    my $big = 'x' x 3_000_000;
    my @long = map { process(exec => $exec)->send_arg($big, 'end')->eval('sub size { my $fh = shift; print {$fh} join(" ", map { length } @_), "\n" }') } 1 .. 2;
    is_deeply [ lines($long[0]->fork->run('size')) ], ['3000000 3'], 'three megabytes, cloned';
    my $random = process(exec => $exec)->eval('rand; sub number { print {$_[0]} rand, "\n" }');
    my %numbers = map { (lines($random->fork->run('number')))[0] => 1 } 1 .. 4;
    is scalar keys %numbers, 4, 'random numbers differ';
}
done_testing;
