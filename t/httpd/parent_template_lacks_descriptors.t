#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A template of httpd's that has no descriptor left for an order tells so, and takes
# the next ones: orders and signals, while a job of it runs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Limits qw(limit);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of job_at_gate);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm)->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my ($held, $pid) = job_at_gate($httpd, $gate);
        my ($template) = templates_of($httpd, 'app');
        my $spawn = connection($httpd);
        open my $handle, '<', '/dev/null' or die $!;
        my $call = sub { return eval { $spawn->call('My::Loaded::add', [ 1, 2 ], @_) } };

        my $free = 0;
        $free++ while readlink "/proc/$template/fd/$free";
        my $had = limit($template, nofile => $free);
        is $call->(fds => { 9 => $handle }), undef, 'a call with a handle';
        my $error = $@;
        is ref $error ? $error->code : $error, 'start_failed', '... cannot start';
        is ref $error ? $error->step : $error, 'fds', '... for want of a descriptor';
        limit($template, nofile => $had);
        is $call->(fds => { 9 => $handle }), 3, 'with room for it the next one is served';
        ok alive($pid), 'the job of before runs';
        ok $held->kill, '... and is killed';
        ok wait_until(sub { !alive($pid) }, 30), '... and ends';
        is $held->wait(30)->outcome, 'cancelled', '... as cancelled';
        is_deeply [ templates_of($httpd, 'app') ], [$template], 'it is the same template';
    }
);
done_testing;
