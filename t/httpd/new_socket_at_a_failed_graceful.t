#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The socket was removed, and the restart that makes it anew cannot bring its configuration to
# the spawner, since the programs are being replaced just then. The new socket gets there all
# the same, without another restart.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Ctl ();
use SpawnTest::Httpd ();
use SpawnTest::Release ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $release = SpawnTest::Release->new($httpd);
$release->install(SpawnTest::Release::built());
$httpd->start;
my @pair = ($httpd->spawner_pid, $httpd->broker_pid);

my $broker = $release->program('broker');
rename $broker, "$broker.away" or die "$broker: $!\n";
unlink $httpd->socket or die "socket: $!\n";
my $from = length $httpd->error_log;
$httpd->graceful;
my $log = substr $httpd->error_log, $from;
like $log, qr/MS0140: .*\Q$broker\E/, 'a program is missing';
like $log, qr/MS0178/, '... and the pair goes on as before';
ok -S $httpd->socket, 'there is a socket again';

my $ctl = SpawnTest::Ctl->new($httpd);
ok wait_until(sub { $ctl->run(qw(run /bin/echo here))->{out} eq "here\n" }, 120), 'callers come through it'
    or diag $httpd->tail;
is_deeply [ $httpd->spawner_pid, $httpd->broker_pid ], \@pair, 'the pair is the same';
rename "$broker.away", $broker or die "$broker: $!\n";
$httpd->graceful;
is $ctl->run(qw(run /bin/echo here))->{out}, "here\n", '... and after the next restart';
done_testing;
