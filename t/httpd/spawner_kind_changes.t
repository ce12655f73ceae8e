#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# From SpawnSpawner internal to external and back, at a graceful restart and at a stop and a
# start, with jobs and without: httpd says each time whether it has taken effect and when it
# will, no job is lost, and a pair that httpd had started is looked after as such.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive parent_of);
use SpawnTest::Supervisor ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $supervisor = SpawnTest::Supervisor->new($httpd);
my $store = $httpd->dir . '/run/spawn/store';
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $from = 0;

sub configure { $httpd->{conf} = SpawnTest::Httpd->rounds_are_short . $_[0]; return }
my $external = "SpawnSpawner external @{[ $supervisor->path ]}\n";
my $since = sub { my $text = substr $httpd->error_log, $from; $from = length $httpd->error_log; return $text };
my $works = sub { is $httpd->run([qw(/bin/echo yes)])->{stdout}, "yes\n", '... a job runs'; return };

# ---- internal to external ----
configure('');
$httpd->start;
my $spawner = $httpd->spawner_pid;
$since->();
configure($external);
$httpd->graceful;
like $since->(), qr/MS0298: 'SpawnSpawner external' is new: that takes effect when httpd is stopped, .* \(pid $spawner\) that httpd has started stays/,
    'to external at a graceful: when it takes effect';
is $httpd->spawner_pid, $spawner, '... the spawner stays';
$works->();
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
$httpd->stop;
$httpd->start;
like $since->(), qr/MS0297: httpd itself had started the spawner \(pid $spawner\), and it has jobs:/, 'a start under a job: it says why not yet';
is $httpd->spawner_pid, $spawner, '... the spawner is adopted';
is $httpd->status($job->{id})->{state}, 'running', '... with the job';
unlink "$store/control" or die "$store/control: $!\n";
ok wait_until(sub { -S "$store/control" }, 40), '... and its socket in the store is made anew when it is removed' or diag $httpd->tail;
$gate->let;
is $httpd->wait($job->{id})->{exit_code}, 3, '... the job runs to its end';
$httpd->stop;
ok $httpd->pair_gone, 'all is done';
$since->();
$httpd->start;
$spawner = $httpd->spawner_pid;
is parent_of($spawner), $supervisor->{pid}, 'then a start takes the external one';
unlike $since->(), qr/MS029[78]/, '... without a word';
$works->();

# ---- and back ----
configure('');
$httpd->graceful;
like $since->(), qr/MS0298: 'SpawnSpawner internal' is new: .* \(pid $spawner\) that is a service stays/, 'to internal at a graceful: the same';
is $httpd->spawner_pid, $spawner, '... the spawner stays';
$works->();
$job = $httpd->spawn($gate->job('exit 4'), reply => 'started');
$httpd->stop;
$since->();
my ($code, $said) = $httpd->start_refused;
isnt $code, 0, 'a start under a job is refused';
like $said, qr/MS0175: the store .*; the spawner of mod_spawn\.service is taken over only with 'SpawnSpawner external'/, '... and it says what can be done';
configure($external);
$httpd->start;
is $httpd->spawner_pid, $spawner, '... which helps';
ok alive($spawner), '... the spawner is the same';
$gate->let;
is $httpd->wait($job->{id})->{exit_code}, 4, '... the job runs to its end';
configure('');
$httpd->stop;
ok $httpd->pair_gone, 'all is done';
$httpd->start;
isnt parent_of($httpd->spawner_pid), $supervisor->{pid}, 'then a start takes one of its own';
$works->();
$httpd->stop;
ok $httpd->pair_gone, 'the end';
done_testing;
