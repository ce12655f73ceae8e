#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Brokers are killed while handlers call workers that are lent to them: each call
# runs once and has its result, and all stand in the history but those of the last
# moments of a broker.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, workers => '2 2');
        my $httpd = $t->httpd;
        my @asked = map { $t->begin('My::Stream::calls(@_)', $t->ran, $_ * 1_000_000, 1e9, $t->go) } 1, 2;
        for (1 .. 3) {
            $t->wait_for_calls(300) or last;
            my $old = $httpd->kill_pair('broker');
            ok $httpd->new_process('broker', $old), 'a broker is killed and another one is there';
        }
        ok $t->wait_for_calls(300), 'calls go on';
        $t->touch($t->go);
        my $sum = 0;
        for my $asked (@asked) {
            my ($n, @wrong) = @{ $t->answer($asked) || [ 0, 'no answer' ] };
            is_deeply \@wrong, [], 'each has its result';
            $sum += $n;
        }
        is_deeply [ $t->twice ], [], 'none ran twice';
        is scalar(my @lines = $t->lines), $sum, 'each ran';
        $httpd->clean;
    }
);
done_testing;
