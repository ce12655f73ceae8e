#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of httpd's children and of the httpd parent touches no job: it runs
# on below the same spawner, a waiting one starts when its turn comes, and the
# next httpd knows both.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive parent_of);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnMaxJobs 1\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $spawner = $httpd->spawner_pid;
        my $job = $httpd->spawn($gate->job('exit 21'), reply => 'started');
        my $queued = $httpd->spawn($gate->job('exit 22'));
        ok $job->{pid}, 'a job runs' or diag explain $job;

        my @children = $httpd->children;
        ok @children > 0, 'httpd has children';
        kill KILL => @children;
        ok wait_until(sub { !grep { alive($_) } @children }, 20), 'kill -9 of them all';
        ok alive($job->{pid}), 'the job runs on';
        is $httpd->status($job->{id})->{state}, 'running', 'new children know it';

        $httpd->kill9;
        ok alive($job->{pid}), 'kill -9 of the parent: the job runs on';
        is parent_of($job->{pid}), $spawner, 'below the same spawner';

        $httpd->start;
        is $httpd->spawner_pid, $spawner, 'the next httpd adopts the pair';
        $gate->let(2);
        is $httpd->wait($job->{id})->{exit_code},    21, 'its exit code is known';
        is $httpd->wait($queued->{id})->{exit_code}, 22, 'the waiting one has run';
    }
);
done_testing;
