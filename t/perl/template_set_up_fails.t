#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A Perl job that cannot be set up tells the step and why.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => 'package My; sub f { return "ran" } 1;');
my $t = FakeSpawner->start(preload => ['My'], inc => [$dir]);

sub fails {
    my ($what, $step, $errno, @order) = @_;
    my $job = $t->call(@order);
    is_deeply $job->{told}, ['forked', 'set_up'], "$what: told its process, then";
    is $job->{set_up}{step}, $step, 'the step';
    is $job->{set_up}{errno}, $errno, 'and errno';
    is $job->{exit}, 127, 'and ended with 127';
    is $job->{kind}, 0, 'without a result';
    return;
}
my $gone = pack 'CCvZ*', 1, 0, 0, '/nowhere/file';
fails('no directory', 29, 2, 'My::f', [], cwd => '/nowhere');
fails('no stdin', 30, 2, 'My::f', [], stdin => $gone);
fails('no stdout', 31, 2, 'My::f', [], stdout => $gone);
fails('no stderr', 32, 2, 'My::f', [], stderr => $gone);
fails('a bad limit', 23, 22, 'My::f', [], raw => [limits => [99, 1]]);
fails('no board', 33, 22, 'My::f', [], no_board => 1);
fails('no function', 10, 22, undef, []);
is $t->call('My::f')->{returned}[0], 'ran', 'the template goes on';

my $job = $t->call('My::f', [], raw => [limits => [6, 10]]);
is $job->{returned}[0], 'ran', 'a limit on file sizes does not keep a result from coming';

SKIP: {
    skip 'needs root and prlimit', 4 if $> != 0 || system('prlimit --version >/dev/null 2>&1');
    my $become = 'use POSIX (); POSIX::setgid(65533); POSIX::setuid(65533); ';
    my $crowded = FakeSpawner->start(preload => ['My'], inc => [$dir], code => $become);
    my $pid = $crowded->pid;
    is system($^X, '-e', $become . "exec qw(prlimit --nproc=1:1 --pid $pid)"), 0, 'a template that may not fork';
    $job = $crowded->order('My::f');
    $crowded->until_told($job, 'set_up');
    is_deeply $job->{told}, ['set_up'], 'no process, but';
    is $job->{set_up}{step}, 20, 'the step';
    is $job->{set_up}{errno}, 11, 'and why';
}

done_testing;
