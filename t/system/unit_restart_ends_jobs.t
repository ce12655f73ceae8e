#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd as a service of systemd, with a spawner of its own: it says at its start that a
# restart of the unit ends jobs, and so it is; a reload leaves them alone, and so does a
# restart where the unit has KillMode=process. The jobs that ended are told to have. Perl
# jobs of a template that httpd has forked fare alike. A job that waits starts afterwards.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::ParentTemplate qw(httpd_with_functions job_at_gate);
use SpawnTest::Process qw(alive);
use SpawnTest::Systemd ();

SpawnTest::Systemd->begin;

my $httpd = httpd_with_functions(mpm => one_mpm(), conf => "<SpawnQueue one>\nSpawnMaxJobs 1\n</SpawnQueue>\n");
my $systemd = SpawnTest::Systemd->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');

# ---- the usual unit ----
$systemd->httpd_unit($httpd);
my $from = 0;
is $systemd->ctl('start', 'httpd')->{code}, 0, 'the unit starts';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60), 'httpd runs';
like $httpd->error_log, qr/MS0290: httpd is in systemd's unit httpd\.service:/, 'it says what a restart does';
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started', queue => 'one');
my ($pid) = $systemd->job_pids($httpd);
my ($call, $called) = job_at_gate($httpd, $gate, 'a');
$called = $systemd->outer('httpd.service', $called);
ok $called, 'a Perl job runs in the unit';
my $ran = $httpd->work . '/ran';
my $waits = $httpd->spawn([ '/bin/sh', '-c', "echo x >>$ran" ], queue => 'one');

$from = length $httpd->error_log;
is $systemd->ctl('reload', 'httpd')->{code}, 0, 'a reload';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... is done';
ok alive($pid) && alive($called), '... leaves the jobs alone';
unlike substr($httpd->error_log, $from), qr/MS0290/, '... and says nothing';

$from = length $httpd->error_log;
is $systemd->ctl('restart', 'httpd')->{code}, 0, 'a restart';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... is done';
ok !alive($pid) && !alive($called), '... ends the jobs';
for my $id ($job->{id}, $call->id) {
    my $end = $httpd->wait($id);
    like $end->{outcome}, qr/\A(?:code_unknown|lost|signalled)\z/, '... which is told' or diag explain $end;
}
is $httpd->wait($waits->{id})->{exit_code}, 0, '... and one that waited has run';
is -s $ran, 2, '... once';

# ---- KillMode=process ----
$systemd->httpd_unit($httpd, "KillMode=process\n");
$job = $httpd->spawn($gate->job('exit 3'), reply => 'started', queue => 'one');
($pid) = $systemd->job_pids($httpd);
($call, $called) = job_at_gate($httpd, $gate, 'a');
$called = $systemd->outer('httpd.service', $called);
$waits = $httpd->spawn([ '/bin/sh', '-c', "echo x >>$ran" ], queue => 'one');
$from = length $httpd->error_log;
is $systemd->ctl('restart', 'httpd')->{code}, 0, 'with KillMode=process';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... it restarts';
ok alive($pid) && alive($called), '... and the jobs run on';
ok wait_until(sub { -s $ran == 2 && $httpd->status($waits->{id})->{state} eq 'queued' }, 20), '... and the one that waits waits on';
$gate->let(2);
is $httpd->wait($job->{id})->{exit_code}, 3, '... to its end';
is_deeply [ $call->result(30) ], ['a'], '... and the Perl job returns';
is $httpd->wait($waits->{id})->{exit_code}, 0, '... then the next one runs';
is $systemd->ctl('stop', 'httpd')->{code}, 0, 'the unit stops';
ok $httpd->pair_gone, 'and all of it has gone';
done_testing;
