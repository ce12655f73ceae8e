#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Calls that go to a lent worker do not pass the broker; a queue that is paused or
# drained has no such calls either: the worker is taken back at once. None is lost, and
# none runs twice.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, conf => 'SpawnWorkerMaxJobs none');
        my $httpd = $t->httpd;
        my $ctl = SpawnTest::Ctl->new($httpd);
        my $queue = sub { my ($rows) = $ctl->json('queues', 'rpc'); return $rows->[0] };
        my $asked = $t->begin('My::Stream::calls(@_)', $t->ran, 0, 1e9, $t->go);
        ok $t->wait_for_calls(200), 'calls run';
        my ($worker) = $t->workers;
        ok wait_until(sub { $t->is_lent($worker) }, 30), 'directly';

        is $ctl->run('pause', 'rpc')->{code}, 0, 'paused';
        ok wait_until(sub { my $q = $queue->(); $q->{running} == 0 && $q->{waiting} == 1 }, 30), 'the next call waits';
        my @ran = $t->lines;
        is $httpd->run(['/bin/true'])->{exit_code}, 0, 'meanwhile others run';
        is_deeply [ $t->lines ], \@ran, 'and no call does';
        is $ctl->run('resume', 'rpc')->{code}, 0, 'resumed';
        ok $t->wait_for_calls(200), 'calls go on';
        ok wait_until(sub { $t->is_lent($worker) }, 30), 'directly';

        # a caller that calls on is told: 100 calls that are refused, then the end
        is $ctl->run('drain', 'rpc')->{code}, 0, 'drained';
        ok wait_until(sub { !$t->is_lent($worker) && $queue->()->{running} == 0 }, 30), 'the worker is taken back';
        $t->touch($t->go);
        my ($n, @wrong) = @{ $t->answer($asked) || [ 0, 'no answer' ] };
        is_deeply [ grep { !/queue 'rpc' is drained/ } @wrong ], [], 'calls are refused, and no other is lost';
        ok @wrong, 'some of them';
        is_deeply [ $t->twice ], [], 'none ran twice';
        is scalar(my @all = $t->lines), $n - @wrong, 'all others ran';
        $httpd->clean;
    }
);
done_testing;
