#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill of a forked Apache2::Spawn::Process that got no answer in time: the answer comes
# later, and is not taken for that of the next kill.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use IO::Select ();
use Test::More;

use SpawnTest ();
use SpawnTest::Process qw(parent_of);
use SpawnTest::Processes qw(process failure);

my $root = process()->eval('sub nap { select undef, undef, undef, 120 }');
my $fork = $root->fork(deadline => 60);
my $pid = $fork->pid;
my $waiter = parent_of($pid);
ok $waiter > 1 && $waiter != $root->pid, 'it has a waiter';
$fork->run('nap');
ok $fork->kill('CONT'), 'which answers';

my $stopped;
END { kill 'CONT', $stopped if $stopped }

# While the waiter is stopped.
sub not_answered {
    my ($what) = @_;
    local $fork->{deadline} = 1;
    kill 'STOP', $stopped = $waiter or die "STOP: $!\n";
    failure(sub { $fork->kill('CONT') }, 'deadline', qr/no answer in 1 s/, $what);
    kill 'CONT', $waiter or die "CONT: $!\n";
    undef $stopped;
    return;
}
not_answered('one that is stopped does not');
ok(IO::Select->new($fork->{status})->can_read(30), 'it comes later');
not_answered('the next one is not answered by it');
ok $fork->kill('KILL'), 'nor is the last one';
ok $fork->wait(30), 'which ends the process';
is $fork->exit_status, 9, 'by its signal';

done_testing;
