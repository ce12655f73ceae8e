#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Two httpds side by side have two pairs that know nothing of each other; two
# with the same store are refused, with the reason.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $one = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $two = SpawnTest::Httpd->new(mpm => $mpm)->start;
        isnt $one->spawner_pid, $two->spawner_pid, 'two pairs';

        my $gate = SpawnTest::Gate->new($one, 'a');
        my $job = $one->spawn($gate->job('exit 5'), reply => 'started');
        ok $job->{pid}, 'a job of the first' or diag explain $job;
        is_error($two->status($job->{id}), 'no_such_job', undef, undef,
            'the second does not know it');
        is $two->run([qw(/bin/echo two)])->{stdout}, "two\n", 'the second runs its own';

        my $third = SpawnTest::Httpd->new(mpm => $mpm, runtime => $one->dir . '/run');
        my $pair = $one->spawner_pid;
        my ($status, $log) = $third->start_refused;
        ok $status, 'a third one with the store of the first does not start';
        like $log, qr/MS\d{4}: .*(?:another|other|in use|already)/i, 'the log says why';
        is $one->spawner_pid, $pair, 'the first keeps its pair';

        $two->stop;
        ok $two->pair_gone, 'the second stops with its pair';
        ok alive($job->{pid}), 'the job of the first runs on';
        $gate->let(1);
        is $one->wait($job->{id})->{exit_code}, 5, 'to its end';
    }
);
done_testing;
