#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# When nobody answers, the handler has an error within its deadline, and what
# it sent runs once or not at all.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm is_error wait_until);
use SpawnTest::Wait qw(now);

each_mpm(
    sub {
        my ($mpm) = @_;
        # One process, so that a connection is there when it is wanted.
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, children => 1,
            conf => "SpawnSubmitTimeout 1\n")->start;
        my $ran = $httpd->work . '/ran';
        my @argv = ('/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran");

        # The broker stands still before anybody has talked to it.
        my $broker = $httpd->broker_pid;
        kill STOP => $broker;
        my $began = now();
        my $answer = $httpd->spawn(\@argv);
        is_error($answer, 'unreachable', 'hello', undef, 'nobody answers: nothing was sent');
        cmp_ok now() - $began, '<', 15, 'told soon after the deadline';
        kill CONT => $broker;

        ok wait_until(sub { ($httpd->run([qw(/bin/echo a)])->{stdout} || '') eq "a\n" }, 30), 'jobs run when it goes on';

        # And again, now that there is a connection.
        kill STOP => $broker;
        $began = now();
        $answer = $httpd->spawn(\@argv);
        my $took = now() - $began;
        is_error($answer, 'unconfirmed', undef, undef, 'no answer to what was sent is told as such');
        cmp_ok $took, '>', 0.9, 'not before the deadline';
        cmp_ok $took, '<', 15, 'soon after it';
        my $id = $answer->{error}{id};
        ok $id, 'the error carries the job';

        kill CONT => $broker;
        my $end = wait_until(
            sub { my $now = $httpd->status($id); return !$now->{error} && $now->{state} eq 'done' && $now },
            20);
        is $end->{exit_code}, 0, 'it was in the socket and ran' or diag explain $end;
        open my $in, '<', $ran or die "$ran: $!\n";
        is_deeply [<$in>], ["$id\n"], 'once, and the first one never';
    }
);

subtest 'outside httpd, with no socket' => sub {
    my $httpd = SpawnTest::Httpd->new;
    my $ask = 'my $began = time; eval { Apache2::Spawn->connect($ARGV[0])->spawn(["/bin/true"]) };'
        . ' print ref $@ ? $@->code . " " . $@->step : "no error: $@"';
    my $said = sub {
        my ($path) = @_;
        open my $out, '-|', $^X, '-I' . SpawnTest::build_dir() . '/perl', '-MApache2::Spawn',
            '-e', $ask, $path or die "perl: $!\n";
        return scalar <$out>;
    };
    is $said->($httpd->dir . '/nothing'), 'unreachable connect', 'no such socket';
    is $said->($httpd->conf_file), 'unreachable connect', 'no socket at all';
};
done_testing;
