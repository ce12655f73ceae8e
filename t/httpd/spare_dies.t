#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Spares that are killed, of both kinds of template: idle ones are replaced without a
# word; an order that one had and did not begin runs once, in another process; what
# has begun is told as any job that was killed.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Spares qw(ends);

sub lines {
    my ($file) = @_;
    open my $in, '<', $file or return;
    my @lines = <$in>;
    return @lines;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $t = SpawnTest::Spares->new(mpm => $mpm)->start;
        my $spawn = $t->spawn;
        for my $kind (qw(parent exec)) {
            # idle
            my @old = $t->have_spares($kind, 2);
            kill KILL => @old;
            ok ends(@old), "$kind: spares are killed";
            is $spawn->call('My::Spare::echo', ['served'], template => $kind), 'served', '... calls are served';
            my %old = map { $_ => 1 } @old;
            my @now = $t->have_spares($kind, 2);
            is_deeply [ grep { $old{$_} } @now ], [], '... others take their places';

            # each has an order that it has not read
            my $file = $t->httpd->work . "/ran-$kind";
            my $submit = sub { return $spawn->spawn_call('My::Spare::note', [$file], template => $kind, timeout => 60) };
            my ($jobs, $stopped) = $t->in_stopped_spares($kind, 2, $submit);
            my @jobs = @{$jobs};
            @now = @{$stopped};
            unlink $file; # of others
            is_deeply [ sort map { $_->pid } @jobs ], [ sort @now ], '... orders go to stopped ones, whose processes are told as the jobs\'';
            kill KILL => @now;
            my @ran = map { my $job = $_; eval { $job->result(30) } || "none: $@" } @jobs;
            is_deeply [ grep { my $pid = $_; grep { $_ eq $pid } @now } @ran ], [], '... killed: others run them';
            is_deeply [ sort map {"$_\n"} @ran ], [ sort(lines($file)) ], '... each once';
            is_deeply [ map { $_->status->outcome } @jobs ], [ ('exited') x 2 ], '... and end well';

            # the same, ended by us
            ($jobs, $stopped) = $t->in_stopped_spares($kind, 1, $submit);
            my ($job) = @{$jobs};
            unlink $file;
            $job->kill('KILL');
            my $end = $job->wait(20);
            is $end && $end->outcome, 'cancelled', '... and cancelled: so it ends';
            is_deeply [ lines($file) ], [], '... without having run';
            kill CONT => @{$stopped};

            # One that runs. Those that are seen may be in their last moment, or the first of
            # more: then the job is in none of them, and another one is called.
            my $gate = SpawnTest::Gate->new($t->httpd, $kind);
            my $in_spare = sub {
                my %spare = map { $_ => 1 } $t->have_spares($kind, 2);
                $job = $spawn->spawn_call('My::Spare::at_gate', [ $gate->path ], template => $kind);
                wait_until(sub { $job->progress }, 20) or die "it does not run\n";
                return 1 if $spare{ $job->pid };
                $job->kill('KILL');
                $job->wait(20);
                return 0;
            };
            ok wait_until($in_spare, 20), '... a job runs in a spare';
            kill KILL => $job->pid;
            $end = $job->wait(20);
            is_deeply [ $end && $end->outcome, $end && $end->signal ], [ 'signalled', 9 ], '... killed: it is told';
        }
        unlike $t->httpd->error_log, qr/MS(?:0316|0331|0602|0230)/, 'the log says nothing of spares';
    }
);
done_testing;
