#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# How a process ended is known to who made it, also of one that was forked from
# another; time-outs and signals reach each on its own; nothing is left over.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive cmdline descendants_of parent_of);
use SpawnTest::Processes qw(httpd process lines at_end failure);

my $sleeper = 'sub nap { select undef, undef, undef, 60 } sub stubborn { $SIG{TERM} = "IGNORE"; syswrite $_[0], "ready\n"; nap() while 1 }';
for my $exec (0, 1) {
    my $what = $exec ? 'new_exec' : 'new';
    my $root = process(exec => $exec)->eval($sleeper);
    my ($one, $two, $three) = map { $root->fork } 1 .. 3;
    is $root->exit_status, undef, "$what: it has not ended";
    my @pids = map { $_->pid } $root, $one, $two, $three;
    is scalar(grep { alive($_) } @pids), 4, "$what: four processes";
    $_->run('nap') for $root, $one, $two, $three;
    ok !$one->wait(0), "$what: a fork has not ended";
    is $one->exit_status, undef, "$what: no exit status yet";
    ok $one->kill, "$what: TERM for a fork";
    ok $one->wait(30), "$what: ends it";
    is $one->exit_status, 15, "$what: by the signal";
    ok !$one->kill('TERM'), "$what: once only";
    ok $two->kill('SIGINT'), "$what: a signal with SIG";
    ok $two->wait(30), "$what: ends the other one";
    is $two->exit_status, 2, "$what: by that signal";
    ok alive($pids[0]), "$what: not the first one";
    ok $root->kill(9), "$what: which is killed by number";
    ok $root->wait(30), "$what: ends";
    is $root->exit_status, 9, "$what: by it";
    ok alive($pids[3]), "$what: not the third";
    failure(sub { $three->kill('FOO') }, 'invalid', qr/no signal 'FOO'/, "$what: no such signal");
    ok $three->kill('KILL'), "$what: KILL";
    ok $three->wait, "$what: without a limit";
    ok !alive($_), "$what: $_ is gone" for @pids;

    # time-outs
    my $limited = process(exec => $exec, timeout => 30, grace => 0.2)->eval($sleeper);
    my $fork = $limited->fork(timeout => 5);
    my @said = lines($fork->run('stubborn'));
    is_deeply \@said, ['ready'], "$what: a fork that ignores TERM";
    ok $fork->wait(30), "$what: is ended all the same";
    is $fork->exit_status, 9, "$what: by KILL";
    $limited = process(exec => $exec, timeout => 8, grace => 0.2)->eval($sleeper);
    my ($heir, $free) = ($limited->fork, $limited->fork(timeout => 0));
    $_->run('nap') for $heir, $free, $limited;
    ok $_->wait(30), "$what: time is over" for $limited, $heir;
    is $_->exit_status & 127, 15, "$what: by TERM" for $limited, $heir;
    ok !$free->wait(0), "$what: not of the one without a limit";
    $free->kill('KILL');

    # configure and forget; let go
    my $fh = process(exec => $exec)->eval('sub say_pid { print {$_[0]} "$$\n" }')->fork->run('say_pid');
    my ($pid) = lines($fh);
    ok wait_until(sub { !alive($pid) }, 20), "$what: a forgotten fork ends, and nobody has to reap it";
    my $idle = process(exec => $exec);
    my $idle_fork = $idle->fork;
    my @idle = map { $_->pid } $idle, $idle_fork;
    undef $idle;
    ok wait_until(sub { !alive($idle[0]) }, 20), "$what: an object that is thrown away takes its process along";
    ok alive($idle[1]), "$what: not what was forked from it";
    undef $idle_fork;
    ok wait_until(sub { !alive($idle[1]) }, 20), "$what: but its own object does";
}
# waiters, and processes in between: orphans fall to the spawner or to httpd's template
my $mine = sub {
    return grep { join(' ', cmdline($_)) =~ /spawn waiter|spawn Apache2::Spawn::Process/ }
        map { descendants_of($_) } httpd()->pid, httpd()->spawner_pid;
};
ok wait_until(sub { !$mine->() }, 20), 'nothing is left' or diag map { "$_ " . join(' ', cmdline($_)) . "\n" } $mine->();
done_testing;
