#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd as a service of systemd, with a spawner of its own: it says at its start that a
# restart of the unit ends jobs, and so it is; a reload leaves them alone, and so does a
# restart where the unit has KillMode=process. The jobs that ended are told to have.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Systemd ();

SpawnTest::Systemd->begin;

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $systemd = SpawnTest::Systemd->new($httpd);
my $gate = SpawnTest::Gate->new($httpd, 'a');

# ---- the usual unit ----
$systemd->httpd_unit($httpd);
my $from = 0;
is $systemd->ctl('start', 'httpd')->{code}, 0, 'the unit starts';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60), 'httpd runs';
like $httpd->error_log, qr/MS0290: httpd is in systemd's unit httpd\.service:/, 'it says what a restart does';
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
my ($pid) = $systemd->job_pids($httpd);

$from = length $httpd->error_log;
is $systemd->ctl('reload', 'httpd')->{code}, 0, 'a reload';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... is done';
ok alive($pid), '... leaves the job alone';
unlike substr($httpd->error_log, $from), qr/MS0290/, '... and says nothing';

$from = length $httpd->error_log;
is $systemd->ctl('restart', 'httpd')->{code}, 0, 'a restart';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... is done';
ok !alive($pid), '... ends the job';
my $end = $httpd->wait($job->{id});
like $end->{outcome}, qr/\A(?:code_unknown|lost|signalled)\z/, '... which is told' or diag explain $end;

# ---- KillMode=process ----
$systemd->httpd_unit($httpd, "KillMode=process\n");
$job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
($pid) = $systemd->job_pids($httpd);
$from = length $httpd->error_log;
is $systemd->ctl('restart', 'httpd')->{code}, 0, 'with KillMode=process';
ok $httpd->wait_for_log(qr/resuming normal operations/, 60, $from), '... it restarts';
ok alive($pid), '... and the job runs on';
$gate->let;
is $httpd->wait($job->{id})->{exit_code}, 3, '... to its end';
is $systemd->ctl('stop', 'httpd')->{code}, 0, 'the unit stops';
ok $httpd->pair_gone, 'and all of it has gone';
done_testing;
