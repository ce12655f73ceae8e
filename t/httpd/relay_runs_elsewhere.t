#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job of a shared queue that is submitted to one host runs on the other one, once, and
# its caller gets status, output and result where it asked for them.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest;
use SpawnTest::Rabbit;

plan skip_all => 'RabbitMQ (package rabbitmq-server) is not installed' if !SpawnTest::Rabbit::is_there();
plan skip_all => 'the relay is not built: librabbitmq (package librabbitmq-dev) is not installed'
    if !SpawnTest::Rabbit::relay_is_there();
require SpawnTest::Shared;

my $rabbit = SpawnTest::Rabbit->new->start;
my ($origin, $runner) = SpawnTest::Shared->hosts($rabbit, origin => 0, runner => 4);
ok $_->connected, 'connected' for $origin, $runner;

my $result = $origin->connection->run([ '/bin/sh', '-c', 'echo out; echo err >&2; exit 3' ],
    queue => 'far', stdout => 'capture', stderr => 'capture');
is $result->exit_code, 3, 'its exit code came back' or diag $origin->tail, $runner->tail;
is $result->stdout, "out\n", 'so did what it wrote';
is $result->stderr, "err\n", 'to both streams';

is $runner->connection->job($result->id)->wait(60)->exit_code, 3, 'the other host has run it under the same id';

my $file = $runner->work . '/ran';
my @ids = map { $origin->far('/bin/sh', '-c', "echo $_ >>$file") } 1 .. 50;
ok $origin->ended_well($_), "job $_ has ended well" for @ids;
is_deeply [ $runner->ran($file) ], [ 1 .. 50 ], 'each has run once';
unlike $_->error_log, qr/\[spawn:(?:error|crit)\]/, 'nobody complains' for $origin, $runner;
done_testing;
