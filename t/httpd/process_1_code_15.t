#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner is killed in a container, and a job of it exits with 15. Where httpd is
# process 1, as MS0200 warns, it takes that for its own end and stops; the next httpd
# starts, and has the job as ended. Where an init is process 1, as MS0200 advises, nobody
# warns, and httpd serves on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Process qw(children_of cmdline state_of);

my @own = qw(unshare --pid --fork --mount-proc --kill-child=KILL);

plan skip_all => 'a process namespace of its own needs root' if $> != 0;
plan skip_all => 'no process namespace can be made here'
    if system("@own true >/dev/null 2>&1") != 0;

# As tini does: passes TERM on, reaps whatever there is, ends as its child does.
my $init = <<'END';
my $pid = fork;
defined $pid or die "fork: $!\n";
if (!$pid) { exec @ARGV or die "$ARGV[0]: $!\n" }
$SIG{TERM} = sub { kill TERM => $pid };
while (1) {
    my $ended = waitpid -1, 0;
    exit($? & 127 ? 128 + ($? & 127) : $? >> 8) if $ended == $pid;
}
END

# Kills the spawner under a job, which ends with this code when it has become a child of
# this process: its id.
sub orphan_ends {
    my ($httpd, $process_1, $code) = @_;
    my $gate = SpawnTest::Gate->new($httpd, "exit-$code");
    my ($job, $spawner) = ($httpd->spawn($gate->job("exit $code"), reply => 'started'), $httpd->spawner_pid);
    my ($pid) = grep { $_ != $httpd->broker_pid && state_of($_) ne 'Z' && join(q{ }, cmdline($_)) =~ /\Q$gate->{path}\E/ }
        children_of($spawner);
    $httpd->kill_pair('spawner');
    ok $httpd->new_pid('spawner', $spawner), 'the spawner is killed, and a new one comes';
    ok wait_until(sub { grep { $_ == $pid } children_of($process_1) }, 30), "a job is process 1's child";
    $gate->let;
    return $job->{id};
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, wrapper => \@own)->start;
        my ($itself) = children_of($httpd->pid);
        like $httpd->error_log, qr/MS0200: httpd is process 1/, 'httpd is process 1, and warns';
        my $id = orphan_ends($httpd, $itself, 15);
        ok wait_until(sub { $httpd->ended }, 60), 'one that exits with 15 stops httpd';
        like $httpd->error_log, qr/AH00050: Child \d+ returned a Fatal error/, '... as one of its own children would';
        ok $httpd->pair_gone, '... and with it all that is in the container';
        ok $httpd->start, 'the next one starts';
        is $httpd->wait($id)->{state}, 'done', '... and has the job as ended';
        ($itself) = children_of($httpd->pid);
        kill TERM => $itself or die "kill $itself: $!\n";
        ok wait_until(sub { $httpd->ended }, 60), '... and stops when it is told to';

        # ---- the advice ----
        $httpd = SpawnTest::Httpd->new(mpm => $mpm);
        $httpd->{wrapper} = [ @own, $^X, $httpd->file('init', $init) ];
        $httpd->start;
        ($itself) = children_of($httpd->pid);
        unlike $httpd->error_log, qr/MS0200/, 'an init is process 1: nobody warns';
        $id = orphan_ends($httpd, $itself, 15);
        is $httpd->wait($id)->{state}, 'done', 'a job that exits with 15 has ended';
        ok wait_until(sub { !grep { state_of($_) eq 'Z' } children_of($itself) }, 30), '... is reaped';
        is $httpd->run(['/bin/true'])->{exit_code}, 0, '... and httpd serves on';
        unlike $httpd->error_log, qr/AH00050/, '... and did not want to stop';
        kill TERM => $itself or die "kill $itself: $!\n";
        ok wait_until(sub { $httpd->ended }, 60), 'it stops when it is told to';
        is $httpd->{status}, 0, '... with code 0';
    }
);
done_testing;
