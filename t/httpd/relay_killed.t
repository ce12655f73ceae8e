#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Relays and brokers are killed again and again, on both hosts, while jobs of a shared queue
# go from one to the other: all end well at their origin, and each has run once.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Rabbit;

plan skip_all => 'RabbitMQ (package rabbitmq-server) is not installed' if !SpawnTest::Rabbit::is_there();
plan skip_all => 'the relay is not built: librabbitmq (package librabbitmq-dev) is not installed'
    if !SpawnTest::Rabbit::relay_is_there();
require SpawnTest::Shared;

my $rabbit = SpawnTest::Rabbit->new->start;
my ($origin, $runner) = SpawnTest::Shared->hosts($rabbit, origin => 0, runner => 4);
ok $_->connected, 'connected' for $origin, $runner;

my $file = $runner->work . '/ran';
my $n = 0;
my @ids;
for my $victim (
    [ relay => $runner ], [ relay => $origin ], [ broker => $runner ], [ relay => $runner ],
    [ broker => $origin ], [ relay => $origin ]
    )
{
    my ($what, $host) = @$victim;
    push @ids, map { $n++; $origin->far('/bin/sh', '-c', "echo $n >>$file") } 1 .. 15;
    my $pid = $what eq 'relay' ? $host->relay_pid : $host->broker_pid;
    ok $pid, "there is a $what";
    kill KILL => $pid if $pid;
    ok wait_until(sub { my $now = $host->relay_pid; $now && $now != ($what eq 'relay' ? $pid : 0) }, 60),
        'and another relay after it was killed';
}
ok $origin->ended_well($_), "job $_ has ended well" for @ids;
is_deeply [ $runner->ran($file) ], [ 1 .. $n ], 'each has run once';
done_testing;
