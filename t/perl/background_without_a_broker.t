#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Processes of Apache2::Spawn::Background and Apache2::Spawn::Simple whose broker has gone: what
# asks how they are just now returns soon, and does not wait for the next broker. A wait with a limit
# keeps it.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes ();
use Apache2::Spawn ();
use Apache2::Spawn::Background ();
use Apache2::Spawn::Simple ();
use FakeBroker ();

sub clock { return Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }

my $broker = FakeBroker->start(
    forget => 1,
    submit => sub { return [ accepted => id => $_[0]{id}, state => 1 ] },
    wait   => sub { return [ job => id => $_[0]{id}, state => 3, queue => 'default', argv => ['true'], pid => 77 ] });
local $ENV{SPAWN_SOCKET} = $broker->path;

my $process = Apache2::Spawn::Background->new('/bin/sleep', 600) or die "Background: $!\n";
my $simple = Apache2::Spawn::Simple->new;
$simple->start('/bin/sleep', 600) or die "Simple: $!\n";
$broker->stop;

# Each would be 30 s.
my $began = clock();
is $process->alive, 1, 'alive: nobody says that it has ended';
is $process->wait(0), undef, 'wait(0): unknown';
is $process->exit_code, undef, 'exit_code: unknown';
is $process->end_time, undef, 'end_time: unknown';
is $simple->poll, 1, 'poll of Simple';
is $simple->exit_status, undef, '... and its exit_status';
cmp_ok clock() - $began, '<', 28, 'all of them soon';
$began = clock();
is $process->wait(0.5), undef, 'wait with a limit';
my $took = clock() - $began;
cmp_ok $took, '>=', 0.4, '... waits for another broker';
cmp_ok $took, '<', 20, '... so long, and not longer';

done_testing;
