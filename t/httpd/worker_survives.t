#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A call in a worker lives through what happens around it: httpd's stop and
# start, the death of its template, and (as a process, its result lost) the
# death of the spawner. Nothing is left when all has ended.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(conf => "<SpawnQueue rpc>\nSpawnWorkers 1 2\n</SpawnQueue>\n")->start;
my $httpd = $t->httpd;
my $gate = SpawnTest::Gate->new($httpd, 'a');

sub held {
    my ($value) = @_;
    my $job = $t->spawn->spawn_call('My::Work::at_gate', [ $gate->path, $value ], queue => 'rpc');
    $t->all_at_gate($job) or die "it is not at the gate\n";
    return ($job, $job->pid);
}

# stop, and start
my ($job, $pid) = held('over a stop');
my $spawner = $httpd->spawner_pid;
$httpd->stop;
ok alive($pid), 'a call runs on when httpd has stopped';
ok wait_until(sub { !grep { $_ != $pid } $t->workers('rpc') }, 20), 'idle workers go';
$httpd->start;
is $httpd->spawner_pid, $spawner, 'the next httpd adopts the pair';
is $job->status->state, 'running', 'the call runs on';
is $t->spawn->call('My::Work::echo', ['new'], queue => 'rpc'), 'new', 'others are served';
$gate->let(1);
is $job->result(20), 'over a stop', 'it returns what it has to';

# the template
($job, $pid) = held('over the death of the template');
$t->kill_template('app');
ok alive($pid), 'it runs on when its template was killed';
is $t->spawn->call('My::Work::echo', ['next'], queue => 'rpc'), 'next', 'others are served';
$gate->let(1);
is $job->result(20), 'over the death of the template', 'it returns';
ok wait_until(sub { !alive($pid) }, 20), 'then its worker goes: it is of a template that has gone';

# the spawner
($job, $pid) = held('over the death of the spawner');
$httpd->kill_pair('spawner');
ok $httpd->new_pid('spawner', $spawner), 'the spawner is killed, and another one is there';
ok wait_until(sub { eval { $job->status->state eq 'running' } }, 30), 'the call runs on';
ok alive($pid), 'in its process';
is $t->spawn->call('My::Work::echo', ['again'], queue => 'rpc'), 'again', 'others are served';
$gate->let(1);
my $end = $job->wait(30);
is $end->state, 'done', 'its end is seen';
like $end->outcome, qr/\A(?:exited|code_unknown)\z/, 'and told honestly';
ok wait_until(sub { !alive($pid) }, 20), 'its process ends: nobody has calls for it';

# a waiting caller, and a stop that kills
$t->configure('SpawnTemplate app exec inc=@INC@ preload=My::Work',
    "SpawnOnStop kill\n<SpawnQueue rpc>\nSpawnWorkers 1 2\n</SpawnQueue>\n");
$httpd->graceful;
($job, $pid) = held('not to be');
$httpd->stop;
ok $httpd->pair_gone, 'with SpawnOnStop kill the pair ends';
ok wait_until(sub { !alive($pid) }, 20), 'and with it the call';
$httpd->start;
is $job->status->outcome, 'cancelled', 'which is told so';
done_testing;
