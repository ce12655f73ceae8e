#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of a template: jobs that run end as if nothing had happened, results
# included; the next calls come from another one, whether the template was idle
# or not.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(parent_of);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;

my $first = $spawn->call('My::Work::parent');
is_deeply [ $t->pids('app') ], [$first], 'a call comes from the template';
is parent_of($first), $httpd->spawner_pid, 'which is the spawner\'s child';

is $t->kill_template('app'), $first, 'killed while idle';
my $second = $spawn->call('My::Work::parent');
isnt $second, $first, 'the next call comes from another one';
ok $httpd->wait_for_log(qr/MS0602: template app \(pid $first\) has gone: it was killed by signal 9 .*its jobs go on/),
    'and the log says so';

my $gate = SpawnTest::Gate->new($httpd, 'a');
my @jobs = map { $t->at_gate($gate, $_, "value $_") } 1 .. 20;
ok $t->all_at_gate(@jobs), '20 jobs run';
my @pids = map { $_->pid } @jobs;
$t->kill_template('app');
is_deeply [ grep { parent_of($_) != $httpd->spawner_pid } @pids ], [],
    'killed while they run: they stay the spawner\'s children';
is $spawn->call('My::Work::echo', ['next']), 'next', 'the next call works meanwhile';
$gate->let(20);
is_deeply [ map { [ $_->result(30) ] } @jobs ], [ map { [ $_, "value $_" ] } 1 .. 20 ], 'every result is right';
is_deeply [ map { $_->status->{exit_code} } @jobs ], [ (0) x 20 ], 'and every exit code';

done_testing();
