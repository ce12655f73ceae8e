#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that ends while no httpd runs: recorded by the lingering pair, which
# then goes, and known to the next httpd. A job that was queued starts then,
# and not before.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnMaxJobs 1\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $mark = $httpd->work . '/started';

        my $job = $httpd->spawn($gate->job('exit 9'), reply => 'started');
        ok $job->{pid}, 'a job runs' or diag explain $job;
        my $queued = $httpd->spawn([ '/bin/sh', '-c', "echo >$mark; exit 10" ]);

        $httpd->stop;
        $gate->let(1);
        ok $httpd->pair_gone, 'the pair goes when the job has ended';
        ok !-e $mark, 'the queued job was not started';

        $httpd->start;
        my $end = $httpd->status($job->{id});
        is $end->{state}, 'done', 'state' or diag explain $end;
        is $end->{outcome}, 'exited', 'outcome';
        is $end->{exit_code}, 9, 'exit code';
        is $httpd->wait($queued->{id})->{exit_code}, 10, 'the queued job runs after the start';
        ok -e $mark, 'really';
    }
);
done_testing;
