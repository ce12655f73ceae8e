#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Jobs of a template that httpd forked live through what happens to it: a
# graceful restart (the old template goes when they are done), its own death,
# httpd's stop. New calls are served by a new one.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of job_at_gate);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => SpawnTest::Httpd->rounds_are_short)->start;
        my $spawn = connection($httpd);
        my $gate = SpawnTest::Gate->new($httpd, 'a');

        # graceful
        my ($job, $pid) = job_at_gate($httpd, $gate, 'a', 'b');
        my ($old) = templates_of($httpd);
        ok $pid && alive($pid), 'a job runs';
        $httpd->graceful;
        is $spawn->call('My::Loaded::add', [ 1, 2 ]), 3, 'calls are served after a graceful restart';
        ok alive($old), 'the old template is there for its job';
        ok alive($pid), 'which runs on';
        $gate->let(1);
        is_deeply [ $job->result(20) ], [ 'a', 'b' ], 'and returns';
        ok wait_until(sub { !alive($old) }, 20), 'then the old template goes';

        # kill -9 of the template
        ($job, $pid) = job_at_gate($httpd, $gate, 'c');
        my ($template) = templates_of($httpd);
        kill KILL => $template;
        is $spawn->call('My::Loaded::add', [ 2, 2 ], timeout => 40), 4, 'another follows one that was killed';
        ok alive($pid), 'its job runs on';
        is $job->status->state, 'running', 'and is known to';
        $gate->let(1);
        my $end = $job->wait(20);
        is $end->state, 'done', 'its end is seen';
        # the exit code only where the kernel and process 1 let it be seen
        like $end->outcome, qr/\A(?:exited|code_unknown)\z/, 'and told honestly';
        is_deeply [ $job->result(0) ], ['c'], 'its result is there in any case';

        # stop
        ($job, $pid) = job_at_gate($httpd, $gate, 'd');
        my $spawner = $httpd->spawner_pid;
        $httpd->stop;
        ok alive($pid), 'a job runs on when httpd has stopped';
        $httpd->start;
        is $httpd->spawner_pid, $spawner, 'the next httpd adopts the pair';
        $gate->let(1);
        is_deeply [ $job->result(20) ], ['d'], 'and hears the result';
        is $job->status->exit_code, 0, 'with its exit code';
    }
);
done_testing;
