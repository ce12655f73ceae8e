#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job lives through httpd's graceful and restart: same process, same parent,
# its exit code known afterwards; a queued job stays queued and runs; the pair stays.

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
        my @pair = ($httpd->spawner_pid, $httpd->broker_pid);

        my $job = $httpd->spawn($gate->job('exit 7'), reply => 'started');
        ok $job->{pid}, 'a job runs' or diag explain $job;
        my $queued = $httpd->spawn($gate->job('exit 8'));
        is $httpd->status($queued->{id})->{state}, 'queued', 'another waits';

        for my $how (qw(graceful graceful restart restart)) {
            $httpd->$how;
            is_deeply [ $httpd->spawner_pid, $httpd->broker_pid ], \@pair, "the pair stays ($how)";
            ok alive($job->{pid}), 'the job runs on';
            is parent_of($job->{pid}), $pair[0], 'with the same parent';
            is $httpd->status($job->{id})->{state}, 'running', 'status of the running one';
            is $httpd->status($queued->{id})->{state}, 'queued', 'status of the waiting one';
        }

        $gate->let(2);
        is $httpd->wait($job->{id})->{exit_code}, 7, 'exit code of the first';
        is $httpd->wait($queued->{id})->{exit_code}, 8, 'exit code of the second';
        my $after = $httpd->run([qw(/bin/echo hello)]);
        is $after->{stdout}, "hello\n", 'new jobs run' or diag explain $after;
    }
);
done_testing;
