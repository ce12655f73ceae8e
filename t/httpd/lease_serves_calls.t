#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A handler that calls a worker again and again is lent it: its calls do not
# pass the broker, also while that one stands still, and stand in the history
# like others.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Ctl ();
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, conf => 'SpawnWorkerMaxJobs none');
        my $httpd = $t->httpd;
        my $asked = $t->begin(<<'CODE', $t->ran, $t->go);
my ($file, $go) = @_;
# the slate has room for 256 that the broker has not seen
local $My::Stream::apart = 0.002;
my ($n, @wrong) = My::Stream::calls($file, 0, 1e9, $go);
my ($m, @later) = My::Stream::calls($file, $n, 50);
my $died = eval { Apache2::Spawn->call('My::Count::ran', [ '/no/such/file', 1 ], queue => 'rpc'); 1 } ? '' : "$@";
return ($n, $m, [ @wrong, @later ], $died);
CODE
        ok $t->wait_for_calls(100), 'calls run';
        my $broker = $httpd->broker_pid;
        kill STOP => $broker or die "stop $broker: $!\n";
        my $before = $t->lines;
        $t->touch($t->go);
        ok wait_until(sub { $t->lines >= $before + 50 }, 10), 'and go on without the broker';
        kill CONT => $broker or die "cont $broker: $!\n";
        my ($n, $m, $wrong, $died) = @{ $t->answer($asked) };
        is_deeply $wrong, [], 'each has its result';
        like $died, qr{/no/such/file: No such file}, 'and one that dies its exception';
        is_deeply [ $t->lines ], [ 1 .. $n + $m ], 'each ran once, in order';

        my $ctl = SpawnTest::Ctl->new($httpd);
        my $listed = sub {
            my $run = $ctl->run('ps', '--all', '--queue', 'rpc', '--rows', 100_000);
            return scalar(() = $run->{out} =~ /My::Count::ran/g);
        };
        ok wait_until(sub { $listed->() == $n + $m + 1 }, 10), 'they stand in the history, and none twice'
            or diag $listed->(), ' of ', $n + $m + 1;
        $httpd->clean;
    }
);
done_testing;
