#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# That a living process has the number of the one that listened on a directory's socket makes no
# pair of it: a pair without httpd has a parent with a lock. One is started.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);
use Test::More;

use SpawnTest ();
use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

mkdir $alone->dir, 0700 or die "mkdir: $!\n";
socket my $listen, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!\n";
bind $listen, pack_sockaddr_un($alone->dir . '/socket') or die "bind: $!\n";
listen $listen, 8 or die "listen: $!\n";

my $spawn = Apache2::Spawn->standalone($alone->dir, program => $alone->program, idle => '10min', timeout => 10);
ok $alone->parent_pid, 'a pair is started where another process, which lives, has the socket' or diag $alone->log_text;
is eval { $spawn->run(['/bin/true'])->ok }, 1, '... and works' or diag $@;

# asked for again, it is there
my $broker = $alone->broker_pid;
Apache2::Spawn->standalone($alone->dir, program => $alone->program, timeout => 10);
is $alone->broker_pid, $broker, 'it is found by the next one';
done_testing;
