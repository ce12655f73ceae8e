#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The account has no more processes (RLIMIT_NPROC of the spawner, then of a template):
# jobs and calls are told not to have started and why, a killed broker is tried again,
# jobs that run go on; with processes all is as before, by itself.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();
use SpawnTest::Limits qw(limit);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => "SpawnSubmitTimeout 30\n",
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work spares=0')->start;
my $httpd = $t->httpd;
my $gate = SpawnTest::Gate->new($httpd, 'a');
my $running = $httpd->spawn($gate->job('exit 7'), reply => 'started');
my $called = $t->at_gate($gate, 'value');
ok $t->all_at_gate($called), 'a program and a call run';

# The error of this code, or 'none'.
sub error_of {
    my ($sub) = @_;
    return eval { $sub->(); 1 } ? 'none' : ref $@ ? join ' ', $@->code, $@->step, 0 + ($@->errno || 0) : $@;
}

# root may fork as it likes: there the kernel refuses when the job, which has become
# another account, executes its program.
my $step = $< == 0 ? 'exec' : 'fork';
my $spawner = $httpd->spawner_pid;
my $had = limit($spawner, nproc => 1);
is error_of(sub { $t->spawn->run([ '/bin/sh', '-c', 'exit 3' ]) }), "start_failed $step 11", 'a job says why it does not start';
my ($broker, $from) = ($httpd->broker_pid, length $httpd->error_log);
$httpd->kill_pair('broker');
my $said = $< == 0 ? qr/MS0305: .*Resource temporarily unavailable/ : qr/MS0306: the broker could not be forked/;
ok $httpd->wait_for_log($said, 20, $from), 'no broker can be started, and the log says so';
limit($spawner, nproc => $had);
is $t->spawn->run([ '/bin/sh', '-c', 'exit 3' ])->exit_code, 3, 'with processes one is, and jobs start';
isnt $httpd->broker_pid, $broker, 'it is another one';
is $httpd->spawner_pid, $spawner, 'the spawner is the same';

my ($template) = $t->pids('app');
$had = limit($template, nproc => 1);
is error_of(sub { $t->spawn->call('My::Work::echo', ['x']) }), 'start_failed fork 11', 'a call says why its template does not fork';
limit($template, nproc => $had);
is $t->spawn->call('My::Work::echo', ['x']), 'x', 'with processes it does';
is_deeply [ $t->pids('app') ], [$template], 'the template is the same';

$gate->let(2);
is $httpd->wait($running->{id})->{exit_code}, 7, 'the job that ran all along tells its code';
is $called->result(30), 'value', 'and the call its value';
done_testing;
