#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A worker that calls a function of its own queue would wait for itself: it is
# refused at once. So is the only worker of a queue that waits for a job there, and a
# job that waits for itself. Jobs that it only submits there, and calls of other queues,
# are taken.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Calls qw(each_template);

each_template(
    sub {
        my ($mpm, $kind) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, kind => $kind, conf => <<'END')->start;
<SpawnQueue rpc>
  SpawnWorkers 1 1
</SpawnQueue>
<SpawnQueue two>
  SpawnWorkers 2 2
</SpawnQueue>
<SpawnQueue other>
  SpawnWorkers 1 1
</SpawnQueue>
END
        my $call = sub {
            my ($queue, $function, @more) = @_;
            my $answer = SpawnTest::Calls->ask($httpd,
                "Apache2::Spawn->call('SpawnTest::Functions::$function', \\\@_, queue => '$queue', timeout => 20)",
                @more);
            return $answer->{values} || [ explain $answer ];
        };
        my @sum = ('SpawnTest::Functions::sum', 1, 2);
        my $began = time;
        my ($code, $text) = @{ $call->('rpc', 'calls', { queue => 'rpc' }, @sum) };
        is $code, 'invalid', 'its own queue is refused' or diag $text;
        like $text, qr/a worker of queue 'rpc': a call there would wait for itself/, 'for that reason';
        ($code, $text) = @{ $call->('rpc', 'waits_for', { queue => 'rpc' }, @sum) };
        is $code, 'invalid', 'so is to wait for a job that only it can run' or diag $text;
        like $text, qr/the only worker of queue 'rpc'.* would wait for itself/, 'for that reason';
        for my $queue ('rpc', 'default') {
            ($code, $text) = @{ $call->($queue, 'waits_for_itself') };
            is $code, 'invalid', "and for the job itself (queue $queue)" or diag $text;
            like $text, qr/this is the job that it would wait for/, 'for that reason';
        }
        cmp_ok time - $began, '<', 15, 'at once';
        is_deeply $call->('two', 'waits_for', { queue => 'two' }, @sum), [3], 'another worker of the queue serves it';
        is_deeply $call->('rpc', 'waits_for', { queue => 'other' }, @sum), [3], 'another queue serves it';
        is_deeply $call->('rpc', 'calls', { queue => 'other' }, @sum), [3], 'which can be called';
        is_deeply $call->('rpc', 'calls', {}, @sum), [3], 'and so does a process of its own';
        $httpd->clean;
    }
);
done_testing;
