#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A Perl job of httpd's own template that somebody has stopped (kill -STOP) obeys no
# TERM. By KILL, and when its time is over, it ends all the same, also when its template
# is of before a graceful restart; then that template goes by itself. Jobs and workers.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of held);
use SpawnTest::Process qw(alive);

my $queue = "<SpawnQueue rpc>\nSpawnWorkers 0 4\n</SpawnQueue>\n";

sub state_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/stat" or return q{};
    return (split ' ', (split /\) /, scalar readline $in)[-1])[0];
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => $queue)->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $stopped = sub {
            my ($name, @options) = @_;
            my ($job, $pid) = held($httpd, 'at_gate', $gate, [], grace => 0.3, @options);
            kill STOP => $pid or die "$pid: $!\n";
            wait_until(sub { state_of($pid) eq 'T' }, 20) or die "$pid is not stopped\n";
            return [ $name, $job, $pid ];
        };
        my @killed = map { $stopped->(@{$_}) } [ 'a job' ], [ "a worker's call", queue => 'rpc' ];
        my @late = map { $stopped->(@{$_}, timeout => 15) } [ 'a job' ], [ "a worker's call", queue => 'rpc' ];
        my ($old) = templates_of($httpd, 'app');
        ok $httpd->graceful, 'a graceful restart';
        ok wait_until(sub { grep { $_ != $old } templates_of($httpd, 'app') }, 30), 'there is another template';
        ok alive($old), '... and the old one stays for its jobs';

        $_->[1]->kill('KILL') for @killed;
        for ([ 'cancelled', @killed ], [ 'timed_out', @late ]) {
            my ($outcome, @jobs) = @{$_};
            for (@jobs) {
                my ($name, $job, $pid) = @{$_};
                my $end = $job->wait(60);
                is_deeply [ $end->outcome, $end->signal ], [ $outcome, POSIX::SIGKILL() ], "$name that is stopped: $outcome";
                ok wait_until(sub { !-e "/proc/$pid" }, 20), '... and has gone';
            }
        }
        ok wait_until(sub { !alive($old) }, 20), 'the old template has gone';
        unlike $httpd->error_log, qr/MS0603|MS0650|MS0330/, '... by itself';
        is connection($httpd)->call('My::Loaded::add', [ 1, 2 ]), 3, 'calls are served';
    }
);
done_testing;
