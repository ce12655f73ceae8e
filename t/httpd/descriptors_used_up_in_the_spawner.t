#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner has no free descriptor: what needs one is told not to have started and why,
# a new configuration is refused and the old one kept, jobs that run go on, and with free
# descriptors all is as before. (That a killed broker has a successor all the same is
# shown by t/unit/spawner_trouble.c.)

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Limits qw(limit no_descriptors);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => "SpawnSubmitTimeout 20\n")->start;
my $httpd = $t->httpd;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $running = $httpd->spawn($gate->job('exit 7'), reply => 'started');
my $called = $t->at_gate($gate, 'value');
ok $t->all_at_gate($called), 'a program and a call run';
my $spawner = $httpd->spawner_pid;

sub not_started {
    my ($step, $name, @options) = @_;
    my $end = eval { $t->spawn->run([ '/bin/sh', '-c', 'exit 3' ], @options); 1 } ? undef : $@;
    is ref $end && join(' ', $end->code, $end->step, 0 + $end->errno), "start_failed $step 24", $name;
    return;
}

my $had = no_descriptors($spawner);
not_started('fds', 'a job whose output is read does not start');
is eval { $t->spawn->call('My::Work::echo', ['x']) }, undef, 'nor does a call';
is $@->code, 'start_failed', 'which is told';

my ($broker, $from) = ($httpd->broker_pid, length $httpd->error_log);
$httpd->graceful;
my $log = substr $httpd->error_log, $from;
like $log, qr/MS0321: a message of httpd cannot be taken: .* descriptors/, 'a new configuration is refused';
like $log, qr/MS0178/, 'and httpd told so';
is $httpd->spawner_pid, $spawner, 'the spawner is the same';
is $httpd->broker_pid, $broker, 'so is the broker';

limit($spawner, nofile => $had);
my $end = $t->spawn->run([ '/bin/sh', '-c', 'exit 3' ]);
is $end->exit_code, 3, 'with descriptors jobs start';
is $t->spawn->call('My::Work::echo', ['x']), 'x', 'and calls';
$from = length $httpd->error_log;
$httpd->graceful;
like substr($httpd->error_log, $from), qr/MS0179/, 'a new configuration is taken';
$gate->let(2);
is $httpd->wait($running->{id})->{exit_code}, 7, 'the job that ran all along tells its code';
is $called->result(30), 'value', 'and the call its value';
unlike $httpd->error_log, qr/MS0310|MS0191/, 'nobody was taken for gone';
done_testing;
