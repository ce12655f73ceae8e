#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job's time is over, its leader obeys TERM, another one of its group is deaf
# and has its grace. Meanwhile both spawner and broker are killed, or the broker
# that follows a job of a killed spawner: who comes after them ends it when its
# grace is over, and not before. No MPM has a part in it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Deaf qw(deaf_script has_begun pids_in);
use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(in_time now);

my $httpd = SpawnTest::Httpd->new->start;
my $script = deaf_script($httpd);
my $n = 0;
use constant GRACE => 2.5;

# The job, its deaf child, its leader, and when the grace can be over at the earliest.
my $start = sub {
    return in_time(
        sub {
            my ($timeout) = @_;
            my @paths = map { $httpd->work . "/$_" . $n } qw(child leader);
            $n++;
            my $began = now();
            my $id = $httpd->spawn([ $script, @paths ], timeout => $timeout, grace => GRACE)->{id};
            return if !has_begun($httpd, $id, $paths[1]);
            return ($id, (map { (pids_in($_))[0] } @paths), $began + $timeout + GRACE);
        }
    );
};
my $has_its_grace = sub {
    my ($deaf, $until, $name) = @_;
    my $lives = alive($deaf);
    ok $lives, $name if now() < $until;
    return;
};
my $is_ended = sub {
    my ($deaf, $name) = @_;
    ok wait_until(sub { !alive($deaf) }, 25), $name or kill KILL => $deaf;
    return;
};

my ($id, $deaf, $leader, $until) = $start->();
ok wait_until(sub { !alive($leader) }, 20), 'the leader obeys';
my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);
kill STOP => $broker;    # it would end the group when its spawner is gone
kill KILL => $spawner, $broker;
ok $httpd->new_process('spawner', $spawner), 'both are killed, and others come';
$has_its_grace->($deaf, $until, 'the deaf one has its grace');
$is_ended->($deaf, 'and is ended then');
is $httpd->wait($id)->{outcome}, 'timed_out', 'the job, too';

# A job of a killed spawner, and the broker that follows it.
($id, $deaf, $leader, $until) = $start->();
$spawner = $httpd->kill_pair('spawner');
ok $httpd->new_process('spawner', $spawner), 'a new spawner comes';
ok wait_until(sub { !alive($leader) }, 20), 'the leader that it follows obeys, too';
is $httpd->wait($id)->{outcome}, 'timed_out', 'and the job has ended';
$has_its_grace->($deaf, $until, 'the deaf one lives');
$broker = $httpd->broker_pid;
kill KILL => $broker;
ok $httpd->new_process('broker', $broker), 'a new broker comes';
$is_ended->($deaf, 'and ends it');
done_testing;
