#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A child of httpd is killed that was lent a worker: the worker serves others soon,
# what the child had called is in the history, and nothing ran twice.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Calls ();
use SpawnTest::Leases ();

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Leases->new(mpm => $mpm, conf => 'SpawnWorkerMaxJobs none');
        my $httpd = $t->httpd;
        my $asked = $t->begin('open my $out, ">", "$_[0].pid"; print {$out} $$; close $out; My::Stream::calls(@_)',
            $t->ran, 0, 1e9, $t->go);
        ok $t->wait_for_calls(200), 'calls run';
        my ($worker) = $t->workers;
        open my $in, '<', $t->ran . '.pid' or die "pid: $!\n";
        my $child = <$in>;
        kill KILL => $child or die "kill $child: $!\n";
        # a connection that the killed child had taken is reset
        my $answer;
        my $call = q{Apache2::Spawn->call('My::Count::pid', [], queue => 'rpc', timeout => 10)};
        wait_until(sub { $answer = eval { SpawnTest::Calls->ask($httpd, $call) } }, 20);
        is_deeply $answer->{values}, [$worker], 'the same worker serves another caller';
        is_deeply [ $t->twice ], [], 'none ran twice';
        my $seen = sub {
            return SpawnTest::Calls->ask($httpd, q{scalar(map { $_->id } Apache2::Spawn->list(queue => 'rpc', rows => 500))})
                ->{values}[0] || 0;
        };
        cmp_ok $seen->(), '>=', 200, 'its calls are in the history';
        $t->touch($t->go);
        $httpd->clean;
    }
);
done_testing;
