#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A worker that is lent is taken back when another caller waits for one, and at a
# graceful restart, and so serves everybody.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Leases ();
use SpawnTest::Wait qw(now);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, conf => 'SpawnWorkerMaxJobs none');
        my $httpd = $t->httpd;
        my $asked = $t->begin('My::Stream::calls(@_)', $t->ran, 0, 1e9, $t->go);
        ok $t->wait_for_calls(200), 'calls run';
        my ($worker) = $t->workers;
        my $others = $t->begin(<<'CODE');
my %pids;
$pids{ Apache2::Spawn->call('My::Count::pid', [], queue => 'rpc', timeout => 10) }++ for 1 .. 100;
return \%pids;
CODE
        my $began = now();
        is_deeply $t->answer($others), [ { $worker => 100 } ], 'another caller has the same worker';
        cmp_ok now() - $began, '<', 60, 'and does not wait long';

        $httpd->graceful;
        ok wait_until(sub { !grep { $_ == $worker } $t->workers }, 30), 'at a graceful restart the worker leaves';
        ok $t->wait_for_calls(200), 'and calls go on';
        $t->touch($t->go);
        my ($n, @wrong) = @{ $t->answer($asked) || [ 0, 'no answer' ] };
        is_deeply \@wrong, [], 'each has its result';
        is_deeply [ $t->lines ], [ 1 .. $n ], 'each ran once';
        $httpd->clean;
    }
);
done_testing;
