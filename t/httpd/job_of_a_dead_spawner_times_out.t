#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job whose spawner was killed is nobody's child; its time-out is for its whole
# group all the same: who ignores TERM gets KILL after the grace, also when the
# job's own process has obeyed TERM.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive);

my ($major, $minor) = (POSIX::uname())[2] =~ /^(\d+)\.(\d+)/;
plan skip_all => 'this kernel signals a group by its number only (before Linux 6.9)'
    if $major < 6 || $major == 6 && $minor < 9;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm())->start;
my $pids = $httpd->work . '/pids';
my $job = $httpd->spawn([ '/bin/sh', '-c',
        "(trap '' TERM; sh -c 'echo \$PPID' >$pids; exec sleep 600) & exec sleep 600" ],
    timeout => 8, grace => 1, reply => 'started');
my $deaf = wait_until(sub { open my $in, '<', $pids or return; my $line = <$in>; $line && 0 + $line }, 30);
ok $deaf && alive($deaf), 'a child that is deaf to TERM';
my $spawner = $httpd->kill_pair('spawner');
ok $httpd->new_pid('spawner', $spawner), 'another spawner';
my $end = $httpd->wait($job->{id});
ok !alive($job->{pid}), 'its own process has ended' or diag explain $end;
ok wait_until(sub { !alive($deaf) }, 30), 'and the child when its grace is over';
kill KILL => $deaf if $deaf && alive($deaf);
done_testing;
