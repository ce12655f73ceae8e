#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job of a template that httpd forked lives through kill -9 of httpd's parent
# and of the spawner: it runs on, is known, and its result is there.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection job_at_gate);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => "SpawnSubmitTimeout 20\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');

        # the spawner
        my ($job, $pid) = job_at_gate($httpd, $gate, 'a', 'b');
        my $old = $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $old), 'the spawner is killed, and another is there';
        ok alive($pid), 'the job runs on';
        is connection($httpd)->call('My::Loaded::add', [ 1, 2 ]), 3, 'others are served';
        is $job->status->state, 'running', 'it is known to run';
        $gate->let(1);
        my $end = $job->wait(20);
        like $end->outcome, qr/\A(?:exited|code_unknown)\z/, 'its end is told honestly';
        is $end->exit_code, 0, 'with its exit code' if $end->outcome eq 'exited';

        # httpd's parent
        ($job, $pid) = job_at_gate($httpd, $gate, 'c');
        $httpd->kill9;
        ok alive($pid), 'httpd is killed, the job runs on';
        $httpd->start;
        is connection($httpd)->job($job->id)->status->state, 'running', 'and is known to the next httpd';
        $gate->let(1);
        is_deeply [ connection($httpd)->job($job->id)->result(20) ], ['c'], 'its result is there';
    }
);
done_testing;
