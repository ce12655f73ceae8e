#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A worker that calls a function of its own queue would wait for itself: it is
# refused at once. Jobs that it only submits there, and calls of other queues, are
# taken.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Calls ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Calls->httpd(mpm => $mpm, conf => <<'END')->start;
<SpawnQueue rpc>
  SpawnWorkers 1 1
</SpawnQueue>
<SpawnQueue other>
  SpawnWorkers 1 1
</SpawnQueue>
END
        my $calls = sub {
            my ($options, @more) = @_;
            my $answer = SpawnTest::Calls->ask($httpd,
                q{Apache2::Spawn->call('SpawnTest::Functions::calls', \@_, queue => 'rpc', timeout => 20)},
                $options, 'SpawnTest::Functions::sum', 1, 2);
            return $answer->{values} || [ explain $answer ];
        };
        my $began = time;
        my ($code, $text) = @{ $calls->({ queue => 'rpc' }) };
        is $code, 'invalid', 'its own queue is refused' or diag $text;
        like $text, qr/a worker of queue 'rpc': a call there would wait for itself/, 'for that reason';
        cmp_ok time - $began, '<', 15, 'at once';
        is_deeply $calls->({ queue => 'other' }), [3], 'another queue serves it';
        is_deeply $calls->({}), [3], 'and so does a process of its own';
        $httpd->clean;
    }
);
done_testing;
