#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# SpawnSpawner external without its socket: whether a spawner that runs has the lock of the
# store or nobody has it, httpd says what is missing, once and not with each of its tries, and
# takes nobody for one that has another store. When the socket is there again, all goes on.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(one_mpm);
use SpawnTest::Process qw(alive);
use SpawnTest::Supervisor ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm());
my $supervisor = SpawnTest::Supervisor->new($httpd);
my $path = $supervisor->path;
$httpd->{conf} = "SpawnSpawner external $path\nSpawnSubmitTimeout 40\n" . SpawnTest::Httpd->rounds_are_short;
my $gate = SpawnTest::Gate->new($httpd, 'a');

sub lines { my ($text, $number) = @_; return scalar(() = $text =~ /$number:/g) }

$httpd->start;
my $spawner = $httpd->spawner_pid;
my $job = $httpd->spawn($gate->job('exit 3'), reply => 'started');
$httpd->stop;
ok alive($spawner), 'a spawner lingers';

rename $path, "$path.away" or die "rename: $!\n";
my ($code, $said) = $httpd->start_refused;
isnt $code, 0, 'without its socket httpd does not start';
like $said, qr/MS0293: no external spawner can be reached at \Q$path\E: there is no socket;/, '... and says why';
is lines($said, 'MS0293'), 1, '... once' or diag $said;
like $said, qr/MS0175: the store \S+ is locked/, '... and that the lock is held';
unlike $said, qr/MS0292/, '... not that somebody has another store';

rename "$path.away", $path or die "rename: $!\n";
$httpd->start;
is $httpd->spawner_pid, $spawner, 'with it the spawner is adopted';
is $httpd->status($job->{id})->{state}, 'running', '... with its job';

# while httpd runs
my $from = length $httpd->error_log;
rename $path, "$path.away" or die "rename: $!\n";
$httpd->kill_pair('spawner');
ok $httpd->wait_for_log(qr/MS0293: .*there is no socket/, 60, $from), 'killed, and no socket: httpd says so' or diag $httpd->tail;
rename "$path.away", $path or die "rename: $!\n";
ok $httpd->wait_for_log(qr/MS0192: the new spawner/, 90, $from), '... and has another one when it is there' or diag $httpd->tail;
cmp_ok lines(substr($httpd->error_log, $from), 'MS0293'), '<=', 2, '... with few lines';
$gate->let;
like $httpd->wait($job->{id})->{outcome}, qr/\A(?:exited|code_unknown)\z/, 'the job has run on';
$httpd->stop;
ok $httpd->pair_gone, 'the end';

# nobody listens
$supervisor->end;
($code, $said) = $httpd->start_refused;
isnt $code, 0, 'nobody listens: httpd does not start';
like $said, qr/MS0293: no external spawner can be reached at \Q$path\E: nobody listens there;/, '... and says why';
done_testing;
