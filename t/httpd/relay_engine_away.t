#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# While RabbitMQ is away jobs of a shared queue are accepted and wait where they were
# submitted; jobs that had been taken end meanwhile, and the origin hears of it when
# RabbitMQ is back. None is lost, none runs twice.

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
my $gate = $runner->work . '/gate';
my $during = $origin->far('/bin/sh', '-c', "until [ -e $gate ]; do sleep 0.05; done; echo 0 >>$file");
ok wait_until(sub { $origin->connection->job($during)->status->{state} eq 'running' }, 120),
    'a job runs on the other host, and its origin knows that'
    or diag $origin->tail, $runner->tail;

$rabbit->stop;
ok $_->wait_for_log(qr/MS0706/, 60), 'the connection is lost, says the log' for $origin, $runner;
my @ids = map { $origin->far('/bin/sh', '-c', "echo $_ >>$file") } 1 .. 20;
is $origin->connection->job($ids[0])->status->{state}, 'queued', 'jobs are accepted, and wait';
open my $out, '>', $gate or die "$gate: $!\n";
close $out or die "$gate: $!\n";
ok wait_until(sub { $runner->connection->job($during)->status->{state} eq 'done' }, 60),
    'the job on the other host ends meanwhile';

$rabbit->start;
ok $_->connected(2), 'connected again' for $origin, $runner;
ok $origin->ended_well($_), "job $_ has ended well" for $during, @ids;
is_deeply [ $runner->ran($file) ], [ 0 .. 20 ], 'each has run once';
done_testing;
