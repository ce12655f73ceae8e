#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A spawner that hangs (it is stopped): callers get the error of their deadline,
# httpd replaces it by itself, running jobs go on. A job that its broker had
# accepted runs once, or is told to be lost.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm);
use SpawnTest::Process qw(alive);

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, conf => "SpawnSubmitTimeout 2\n")->start;
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my $ran = $httpd->work . '/ran';
        my $held = $httpd->spawn($gate->job('exit 7'), reply => 'started');
        my $pid = $held->{pid};
        ok alive($pid), 'a job runs';
        my $spawner = $httpd->spawner_pid;
        kill STOP => $spawner or die "stop: $!\n";

        my $accepted = $httpd->spawn([ '/bin/sh', '-c', "echo \$SPAWN_JOB_ID >>$ran" ]);
        ok $accepted->{id}, 'the broker accepts';
        my $late = $httpd->run([qw(/bin/echo a)], timeout => 1);
        isnt $late->{outcome} || $late->{error}{code}, 'exited', 'who waits for an end is told in time';

        ok $httpd->new_pid('spawner', $spawner, 60), 'another spawner takes its place';
        ok !alive($spawner), 'the old one is gone';
        like $httpd->error_log, qr/MS0195: the spawner \(pid $spawner\) hangs: .*it is killed, and another takes its place/,
            'the log says why';
        is $httpd->run([qw(/bin/echo b)])->{stdout}, "b\n", 'jobs run';
        my $end = $httpd->wait($accepted->{id});
        my @ran = do { local @ARGV = grep { -e } $ran; @ARGV ? <> : () };
        is scalar(@ran), $end->{outcome} eq 'exited' ? 1 : 0, "what was accepted: $end->{outcome}, and ran as often";
        ok alive($pid), 'the job of before runs on';
        $gate->let(1);
        like $httpd->wait($held->{id})->{outcome}, qr/\A(?:exited|code_unknown)\z/, 'and its end is told';
    }
);
done_testing;
