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
use Time::HiRes qw(time);

use SpawnTest qw(wait_until);
use SpawnTest::Deaf qw(deaf_script pids_in);
use SpawnTest::Process qw(alive);

my $httpd = SpawnTest::Httpd->new->start;
my $script = deaf_script($httpd);
my $n = 0;
my $start = sub {
    my (%how) = @_;
    my @paths = map { $httpd->work . "/$_" . $n } qw(child leader);
    $n++;
    my $id = $httpd->spawn([ $script, @paths ], %how)->{id};
    return ($id, map { (pids_in($_))[0] } @paths);
};
my $is_ended = sub {
    my ($deaf, $name) = @_;
    ok wait_until(sub { !alive($deaf) }, 25), $name or kill KILL => $deaf;
    return;
};

my ($id, $deaf, $leader) = $start->(timeout => 0.5, grace => 2.5);
ok wait_until(sub { !alive($leader) }, 20), 'the leader obeys';
my $since = time;
my ($spawner, $broker) = ($httpd->spawner_pid, $httpd->broker_pid);
kill STOP => $broker;    # it would end the group when its spawner is gone
kill KILL => $spawner, $broker;
ok $httpd->new_pid('spawner', $spawner), 'both are killed, and others come';
ok alive($deaf), 'the deaf one has its grace' if time - $since < 1.5;
$is_ended->($deaf, 'and is ended then');
is $httpd->wait($id)->{outcome}, 'timed_out', 'the job, too';

# A job of a killed spawner, and the broker that follows it.
($id, $deaf, $leader) = $start->(timeout => 1.5, grace => 2.5);
$spawner = $httpd->kill_pair('spawner');
ok $httpd->new_pid('spawner', $spawner), 'a new spawner comes';
ok wait_until(sub { !alive($leader) }, 20), 'the leader that it follows obeys, too';
$since = time;
is $httpd->wait($id)->{outcome}, 'timed_out', 'and the job has ended';
ok alive($deaf), 'the deaf one lives' if time - $since < 1.5;
$broker = $httpd->broker_pid;
kill KILL => $broker;
ok $httpd->new_pid('broker', $broker), 'a new broker comes';
$is_ended->($deaf, 'and ends it');
done_testing;
