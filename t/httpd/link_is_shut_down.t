#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Somebody who holds a copy of httpd's link to the spawner shuts it down: httpd
# notices, and takes its pair back, with the job that runs. One MPM: httpd looks
# every 10 s.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Foreign ();
use SpawnTest::Process qw(alive);

plan skip_all => 'only root can start httpd with daemons of other accounts' if $< != 0;

my $site = SpawnTest::Foreign->new(mpm => one_mpm(), daemons => ['nobody-raw']);
my $httpd = $site->httpd;
$httpd->start;
my $gate = SpawnTest::Gate->new($httpd, 'job');
my $job = $httpd->spawn($gate->job('exit 11'), reply => 'started');
ok $job->{pid}, 'a job runs' or diag explain $job;
my $spawner = $httpd->spawner_pid;
my $from = length $httpd->error_log;
like $site->shut_down('nobody-raw'), qr/shutdown: 0/, 'the link is shut down';
ok $httpd->wait_for_log(qr/MS0310/, 20, $from), 'the spawner takes httpd for gone';
ok $httpd->wait_for_log(qr/MS0173/, 40, $from), 'httpd takes its pair back';
ok $httpd->wait_for_log(qr/MS0192/, 20, $from), 'which is ready';
is $httpd->spawner_pid, $spawner, 'with the same spawner';
ok alive($job->{pid}), 'the job runs on';
is $httpd->run([qw(/bin/echo on)])->{stdout}, "on\n", 'jobs start again';
$gate->let(1);
is $httpd->wait($job->{id})->{exit_code}, 11, 'the job\'s end is known';
my $text = substr $httpd->error_log, $from;
unlike $text, qr/MS0191: the spawner \(pid \d+\) ended/, 'nobody says that the spawner had ended';
$httpd->graceful;
is $httpd->run([qw(/bin/echo again)])->{stdout}, "again\n", 'so do they after a restart';
done_testing;
