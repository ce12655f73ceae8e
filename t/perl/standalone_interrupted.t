#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Handlers of %SIG run while Apache2::Spawn->standalone waits for a pair that just ends, and it goes
# on to wait; $! and $? are left alone.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Fcntl qw(:flock O_CREAT O_RDWR);
use Test::More;
use Time::HiRes ();

use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

# as the parent of a pair that ends
mkdir $alone->dir, 0700 or die "mkdir: $!\n";
sysopen my $users, $alone->dir . '/users', O_CREAT | O_RDWR, 0600 or die "users: $!\n";
flock $users, LOCK_EX or die "flock: $!\n";

my $heard = 0;
local $SIG{ALRM} = sub {
    close $users if ++$heard == 20;
    return;
};
Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0.05, 0.05);
local ($?, $!) = (3 << 8, 5);
my $spawn = eval { Apache2::Spawn->standalone($alone->dir, program => $alone->program, idle => '1s', timeout => 30) };
my ($error, $code, $errno) = ($@, $?, $! + 0);
Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0);
ok $spawn, 'it has a pair' or diag $error, $alone->log_text;
cmp_ok $heard, '>=', 20, '... after all signals';
is $code, 3 << 8, '$? is as before';
is $errno, 5, '$! is as before';
ok $spawn && $spawn->run(['/bin/true'])->ok, '... and a job runs';
done_testing;
