#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A module in C submits in every mode, waits, looks, kills; a failure has code,
# step and errno. Other requests, in other children, reach a job by its id.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Errno qw(ENOENT);
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::CApi;

# apr_status_t
use constant { APR_EINVAL => 22, APR_TIMEUP => 70007, APR_NOTFOUND => 70015 };
# spawn_until, spawn_job_state, spawn_job_end
use constant { POSTED => 0, ACCEPTED => 1, STARTED => 2, FINISHED => 3 };
use constant { UNKNOWN => 0, RUNNING => 3, DONE => 4 };
use constant { EXITED => 1, SIGNALLED => 2, CANCELLED => 4, START_FAILED => 5 };

sub is_part {
    my ($got, $want, $name) = @_;
    my %part = map { $_ => $got->{$_} } keys %$want;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply(\%part, $want, $name) || diag explain $got;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::CApi->new(mpm => $mpm, conf => "SpawnSubmitTimeout 30s\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'capi');
        my @blocked = ('/bin/sh', '-c', 'read x <"$1"; echo through', 'sh', $gate->path);

        is_part $httpd->capi('submit/' . FINISHED . '/-1', '/bin/sh', '-c', 'echo said; exit 3'),
            { status => 0, code => 'ok', state => DONE, end => EXITED, exit_code => 3, out => 'said' },
            'finished: how it ended, and what it said';
        is_part $httpd->capi('submit/' . FINISHED . '/-1', '/nonexistent'),
            { status => ENOENT, code => 'start_failed', step => 'exec', error => ENOENT, end => START_FAILED },
            'finished: a start that failed';
        is_part $httpd->capi('submit/' . STARTED . '/-1', '/nonexistent'),
            { status => ENOENT, code => 'start_failed', step => 'exec', error => ENOENT, end => START_FAILED },
            'started: a start that failed';

        my $job = $httpd->capi('submit/' . STARTED . '/-1', @blocked);
        is_part $job, { status => 0, state => RUNNING, end => 0, exit_code => -1 }, 'started: it runs';
        ok kill(0, $job->{job_pid}), 'as a process';
        is_part $httpd->capi('status', $job->{id}), { status => 0, state => RUNNING, job_pid => $job->{job_pid} },
            'status: another request sees it';
        is_part $httpd->capi('wait/' . STARTED . '/60000', $job->{id}), { status => 0, state => RUNNING },
            'wait: it has started';
        is_part $httpd->capi('wait/' . FINISHED . '/50', $job->{id}),
            { status => APR_TIMEUP, code => 'timed_out', state => RUNNING }, 'wait: it has not ended in this time';
        is_part $httpd->capi('wait/' . FINISHED . '/0', $job->{id}), { status => APR_TIMEUP, state => RUNNING },
            'nor in none';
        $gate->let;
        is_part $httpd->capi_wait($job->{id}), { status => 0, state => DONE, exit_code => 0, out => 'through' },
            'wait: it ends';

        my $mark = $httpd->work . '/marks';
        my @note = ('/bin/sh', '-c', 'echo "$1" >>"$2"', 'sh');
        $job = $httpd->capi('submit/' . ACCEPTED . '/0', @note, 'accepted', $mark);
        is_part $job, { status => 0, code => 'ok' }, 'accepted: it is safe';
        is_part $httpd->capi_wait($job->{id}), { state => DONE, exit_code => 0 }, 'and runs';
        $job = $httpd->capi('submit/' . POSTED . '/0', @note, 'posted', $mark);
        is_part $job, { status => 0, code => 'ok', state => UNKNOWN }, 'posted: nobody has answered';
        ok wait_until(
            sub {
                open my $in, '<', $mark or return 0;
                local $/ = undef;
                return <$in> eq "accepted\nposted\n";
            },
            30
            ),
            'and it runs';

        $job = $httpd->capi('submit/' . STARTED . '/-1', '/bin/sleep', '1000');
        is_part $httpd->capi('kill/9', $job->{id}), { status => 0, code => 'ok' }, 'kill: it is sent';
        is_part $httpd->capi_wait($job->{id}), { state => DONE, end => CANCELLED, signal => 9, exit_code => -1 },
            'and the job ends';
        is_part $httpd->capi('kill/9', $job->{id}), { code => 'not_running' }, 'an ended one is not killed';

        is_part $httpd->capi('status', '0190a5b4-4c6e-7cde-8f01-23456789abcd'), { status => APR_NOTFOUND },
            'a job that never was';
        is_part $httpd->capi('submit/' . FINISHED . '/-1'), { status => APR_EINVAL, code => 'invalid', step => 'options' },
            'no program';
    }
);
done_testing;
