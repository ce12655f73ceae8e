#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Only its template reaps a Perl job of httpd's own template. When somebody has stopped
# the template (kill -STOP), also one of before a graceful restart, a job that is killed
# or timed out is ended all the same, by the broker; and a template that leaves it
# unreaped for 30 s is killed, which the log tells, and its other jobs go on. One that is
# to go and has no job any more is killed, too.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions connection templates_of held);
use SpawnTest::Process qw(alive state_of);

my $queue = "<SpawnQueue rpc>\nSpawnWorkers 0 4\n</SpawnQueue>\n";

# After a graceful restart: the template that was there is stopped. Another one is there.
sub stopped_old_one {
    my ($httpd) = @_;
    my ($old) = templates_of($httpd, 'app');
    $httpd->graceful or die "no graceful restart\n";
    wait_until(sub { grep { $_ != $old } templates_of($httpd, 'app') }, 30) or die "there is no other template\n";
    kill STOP => $old or die "$old: $!\n";
    wait_until(sub { state_of($old) eq 'T' }, 20) or die "$old is not stopped\n";
    return $old;
}

sub is_killed_and_told {
    my ($httpd, $pid, $name) = @_;
    ok $httpd->wait_for_log(qr/\[spawn:warn\] \[pid \d+\] MS0603: template app \(pid $pid\) does not answer and is sent SIGKILL/, 120),
        "$name: the template is killed, which is told";
    ok wait_until(sub { !alive($pid) }, 20), '... and has gone';
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = httpd_with_functions(mpm => $mpm, conf => $queue)->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $held = sub { return [ held($httpd, 'at_gate', $gate, [], grace => 0.3, @_) ] };
        my $late = $held->(timeout => 15);
        my $killed = $held->();
        my $call = $held->(queue => 'rpc');
        my $other = $held->();
        my $old = stopped_old_one($httpd);

        $_->[0]->kill('KILL') for $killed, $call;
        my @ended = ([ 'a job that is killed', $killed ], [ "a worker's call that is killed", $call ], [ 'a job that is timed out', $late ]);
        for (@ended) {
            my ($name, $what) = @{$_};
            ok wait_until(sub { !alive($what->[1]) }, 60), "$name: its process ends";
        }
        ok alive($old), '... while its template is stopped';
        is_killed_and_told($httpd, $old, 'of jobs that are not reaped');
        for (@ended) {
            my ($name, $what) = @{$_};
            my $end = $what->[0]->wait(60);
            like $end && $end->outcome, qr/\A(?:cancelled|timed_out|code_unknown)\z/, "$name: it is told to have ended";
        }
        ok alive($other->[1]), 'the other job runs on';
        is connection($httpd)->call('My::Loaded::add', [ 1, 2 ]), 3, 'calls are served';
        $gate->let(1);
        ok wait_until(sub { !alive($other->[1]) }, 30), '... until it ends';

        my ($without) = templates_of($httpd, 'app');
        my ($job) = held($httpd, 'at_gate', $gate, []);    # so that it stays
        is stopped_old_one($httpd), $without, 'the next one has a job, and is stopped';
        $gate->let(1);
        is_killed_and_told($httpd, $without, 'of a job that has ended by itself');
        like $job->wait(60)->outcome, qr/\A(?:exited|code_unknown)\z/, 'that is told, too';
    }
);
done_testing;
