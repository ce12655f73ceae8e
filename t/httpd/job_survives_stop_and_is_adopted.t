#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job lives through httpd's stop: the pair lingers for it, the next httpd
# adopts the pair, and the job's exit code is known. A queued job waits for
# the next start.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Process qw(alive parent_of);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnMaxJobs 1\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $spawner = $httpd->spawner_pid;

        my $job = $httpd->spawn($gate->job('exit 7'), reply => 'started');
        ok $job->{pid}, 'a job runs' or diag explain $job;
        my $queued = $httpd->spawn($gate->job('exit 8'));
        is $httpd->status($queued->{id})->{state}, 'queued', 'another waits';

        ok $httpd->stop, 'httpd stops without waiting for it';
        ok alive($job->{pid}), 'the job runs on';
        is parent_of($job->{pid}), $spawner, 'with the spawner as its parent';

        $httpd->start;
        is $httpd->spawner_pid, $spawner, 'the next httpd adopts the pair';
        is $httpd->status($job->{id})->{state}, 'running', 'the job is known';
        $gate->let(2);
        is $httpd->wait($job->{id})->{exit_code}, 7, 'its exit code';
        is $httpd->wait($queued->{id})->{exit_code}, 8, 'the waiting one ran too';

        ok $httpd->stop, 'httpd stops';
        ok $httpd->pair_gone, 'without jobs the pair goes too';
    }
);
done_testing;
