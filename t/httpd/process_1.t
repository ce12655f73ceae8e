#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd as process 1 of a container: no job, and nothing that a job leaves
# behind, becomes httpd's child while the spawner lives, and no zombie stays. An exit
# code of 15 of a direct child would stop httpd, one of 7 would slow it down. A warning at
# the start recommends an init. When the spawner is killed, its jobs do become httpd's
# children: they are reaped, and httpd goes on. At its stop httpd ends with code 0.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(each_mpm wait_until);
use SpawnTest::Gate ();
use SpawnTest::Process qw(children_of descendants_of state_of);

my @own = qw(unshare --pid --fork --mount-proc --kill-child=KILL);

plan skip_all => 'a process namespace of its own needs root' if $> != 0;
plan skip_all => 'no process namespace can be made here'
    if system("@own true >/dev/null 2>&1") != 0;

# Each is reaped some time after its end: httpd looks once in a second or two.
sub no_zombies {
    my ($httpd, $name) = @_;
    my @zombies;
    ok wait_until(sub { !(@zombies = grep { state_of($_) eq 'Z' } descendants_of($httpd->pid)) }, 30), $name
        or diag "zombies: @zombies";
    return;
}

each_mpm(
    sub {
        my ($mpm) = @_;
        my $httpd = SpawnTest::Httpd->new(mpm => $mpm, wrapper => \@own)->start;
        like $httpd->error_log, qr/MS0200/, 'the warning';

        for my $code (15, 7) {
            is $httpd->run(['/bin/sh', '-c', "exit $code"])->{exit_code}, $code,
                "a job exits with $code";
            my $left = $httpd->run(
                [ '/bin/sh', '-c', "(setsid sh -c 'exit $code' &) ; exit 0" ], leftovers => 'keep');
            is $left->{exit_code}, 0, "another leaves behind what exits with $code";
        }
        # an orphan has been reaped when a later job is done
        is $httpd->run(['/bin/true'])->{exit_code}, 0, 'httpd serves on';
        unlike $httpd->error_log, qr/AH00050|Apache is exiting/, 'and did not want to exit';
        no_zombies($httpd, 'and no zombie stays');

        # ---- the spawner is killed ----
        my ($itself) = children_of($httpd->pid);
        my $gate = SpawnTest::Gate->new($httpd, 'a');
        my @ids = map { $httpd->spawn($gate->job("exit $_"), reply => 'started')->{id} } 0, 7;
        my $spawner = $httpd->spawner_pid;
        my %jobs = map { $_ => 1 } grep { state_of($_) ne 'Z' } children_of($spawner);
        delete $jobs{ $httpd->broker_pid };
        $httpd->kill_pair('spawner');
        ok $httpd->new_pid('spawner', $spawner), 'a new spawner comes';
        is scalar(grep { $jobs{$_} } children_of($itself)), 2, 'the jobs are httpd\'s children';
        $gate->let(2);
        like $httpd->wait($_)->{outcome}, qr/\A(?:exited|code_unknown)\z/, 'a job ends' for @ids;
        no_zombies($httpd, 'httpd reaps them');
        is $httpd->run(['/bin/true'])->{exit_code}, 0, 'and serves on';

        # ---- stop: docker stop sends process 1 a TERM ----
        kill TERM => $itself or die "kill $itself: $!\n";
        ok wait_until(sub { $httpd->ended }, 60), 'httpd stops';
        is $httpd->{status}, 0, 'with code 0';
        ok $httpd->pair_gone, 'and nothing of it is left';
    }
);
done_testing;
