#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A broker that hangs (it is stopped): callers get the error of their deadline,
# the spawner replaces it by itself, running jobs go on, and what was sent
# meanwhile runs once. One that stands still for a moment is not replaced.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(now);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, children => 1,
            conf => "SpawnSubmitTimeout 3\n")->start;
        my $ran = $httpd->work . '/ran';
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $held = $httpd->spawn($gate->job('exit 7'), reply => 'started');
        ok alive($held->{pid}), 'a job runs';
        is $httpd->run([qw(/bin/echo a)])->{stdout}, "a\n", 'another has run';
        my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);

        my $began = now();
        kill STOP => $broker or die "stop $broker: $!\n";
        my $answer = $httpd->spawn([ '/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran" ]);
        is_error($answer, 'unconfirmed', undef, undef, 'a caller gets the error of its deadline');
        cmp_ok now() - $began, '<', 10, 'in time';
        my $id = $answer->{error}{id};

        ok $httpd->new_pid('broker', $broker, 40), 'another broker takes its place';
        my $took = now() - $began;
        cmp_ok $took, '>=', 9, "not at once ($took s)";
        ok !alive($broker), 'the old one is gone';
        is $httpd->spawner_pid, $spawner, 'the spawner stayed';
        like $httpd->error_log, qr/MS0357: the broker \(pid $broker\) has not answered for \d+ s \(it was stopped\)/,
            'the log says why';

        is $httpd->run([qw(/bin/echo b)])->{stdout}, "b\n", 'jobs run again';
        # A job on its way may have gone with the broker's connection.
        my $status = $httpd->status($id);
        if ($status->{error}) {
            is $status->{error}{code}, 'no_such_job', 'what nobody accepted is not there';
        }
        else {
            is $httpd->wait($id)->{exit_code}, 0, 'what was accepted ran';
            open my $in, '<', $ran or die "$ran: $!\n";
            is_deeply [<$in>], ["$id\n"], 'once';
        }
        ok alive($held->{pid}), 'the job of before runs on';
        $gate->let(1);
        is $httpd->wait($held->{id})->{exit_code}, 7, 'and its exit code is told';

        # a moment is no reason
        $broker = $httpd->broker_pid;
        kill STOP => $broker;
        $answer = $httpd->spawn([qw(/bin/true)]);    # 3 s
        kill CONT => $broker;
        ok wait_until(sub { ($httpd->run([qw(/bin/echo c)])->{stdout} || '') eq "c\n" }, 20),
            'a broker that stood still for a moment goes on';
        is $httpd->broker_pid, $broker, 'it is the same';
    }
);
done_testing;
