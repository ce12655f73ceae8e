#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# httpd stops: a call that runs is waited for, then templates and pair go, one
# that still loads too. An httpd that comes meanwhile takes over, with a
# template of its own.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive descendants_of);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    templates => "SpawnTemplate app exec inc=\@INC\@ preload=My::Work\nSpawnTemplate never exec inc=\@INC\@ require=\@INC\@/never.pl",
    files => { 'never.pl' => "\$SIG{TERM} = 'IGNORE'; select undef, undef, undef, 1000 while 1;\n" })->start;
my $httpd = $t->httpd;
my $spawn = $t->spawn;
my $gate = SpawnTest::Gate->new($httpd, 'a');

# idle
is $spawn->call('My::Work::echo', [1]), 1, 'templates are there';
my @all = descendants_of($httpd->spawner_pid);
cmp_ok scalar @all, '>=', 3, 'broker and two templates';
$httpd->stop;
ok $httpd->pair_gone(20), 'idle: the pair goes at the stop';
ok wait_until(sub { !grep { alive($_) } @all }, 30), 'and with it all templates';

# a call runs; nobody comes
$httpd->start;
my $job = $t->at_gate($gate, 'slept through it');
ok $t->all_at_gate($job), 'a call runs';
@all = descendants_of($httpd->spawner_pid);
$httpd->stop;
ok !$httpd->pair_gone(1), 'the pair stays for it';
my $queued = eval { $spawn->spawn_call('My::Work::echo', ['later']) };
ok $queued, 'what is called meanwhile is taken';
$gate->let;
is $job->result(20), 'slept through it', 'it returns to who waits';
ok $httpd->pair_gone(20), 'then the pair goes';
ok wait_until(sub { !grep { alive($_) } @all }, 30), 'and with it all templates';
$httpd->start;
is $queued->result(20), 'later', 'the next start runs what waited';

# a call runs; httpd comes back
my $old = $spawn->call('My::Work::parent');
$job = $t->at_gate($gate, 'taken over');
ok $t->all_at_gate($job), 'a call runs';
my $spawner = $httpd->spawner_pid;
$httpd->stop;
$httpd->start;
is $httpd->spawner_pid, $spawner, 'httpd takes the pair over';
ok $t->new_pid('app', $old), 'a new template follows the old one';
is $spawn->call('My::Work::echo', ['new']), 'new', 'and serves';
$gate->let;
is $job->result(20), 'taken over', 'the call returns';

# killed without a word
$job = $t->at_gate($gate, 'all the same');
ok $t->all_at_gate($job), 'a call runs';
$httpd->kill9;
$gate->let;
is $job->result(20), 'all the same', 'httpd is killed: the call returns';
ok $httpd->pair_gone(20), 'then the pair goes';

done_testing();
