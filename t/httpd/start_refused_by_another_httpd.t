#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A store that another httpd has, which lives: told at the terminal and by the
# exit code. One whose pair lingers is adopted. The httpd that has the store is
# asked for nothing but that, and its restarts are not refused.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $one = SpawnTest::Httpd->new(mpm => $mpm)->start;
        my $two = SpawnTest::Httpd->new(mpm => $mpm, runtime => $one->dir . '/run');
        my $pair = $one->spawner_pid;
        ok $one->wait_for_log(qr/MS0604: /), 'an httpd, whose template is ready (it says nothing more by itself)';
        my $log = length $one->error_log;

        my ($code, $said) = $two->typed(qw(-k start));
        isnt $code, 0, 'the store belongs to an httpd that lives: the exit code tells';
        like $said, qr/MS0162: another httpd uses the store \S+: it belongs to the httpd with process id $one->{pid};/,
            '... and the terminal';
        is $one->spawner_pid, $pair, '... the pair is the same';
        is substr($one->error_log, $log), '', '... it has no line in the log';
        is $one->run([qw(/bin/echo one)])->{stdout}, "one\n", '... and its httpd runs jobs';
        is(($two->check_conf)[0], 0, 'httpd -t has nothing against it');

        ($code, $said) = $one->typed(qw(-k graceful));
        is_deeply [ $code, $said =~ /MS\d+/g ], [0], 'the httpd that has the store is restarted gracefully' or diag $said;
        ok $one->wait_for_log(qr/MS0179.*resuming normal operations/s, 30, $log), '... keeps its pair';
        ok eval { $one->restart; 1 }, '... is restarted' or diag $@;
        is $one->spawner_pid, $pair, '... and has the same pair';

        my $gate = SpawnTest::Gate->new($one, 'a');
        my $job = $one->spawn($gate->job('exit 5'), reply => 'started');
        ok $job->{pid}, 'a job' or diag explain $job;
        $one->stop;
        my $up = eval { $two->start };
        ok $up, 'when the other has stopped, its pair lingers: httpd starts' or diag $@;
        is $one->spawner_pid, $pair, '... with the pair of the other';
        ok alive($job->{pid}), '... whose job runs on';
        $gate->let(1);
        is $two->wait($job->{id})->{exit_code}, 5, '... to its end';
        $two->stop;
        ok $one->pair_gone, 'the pair ends with the second';
    }
);
done_testing;
