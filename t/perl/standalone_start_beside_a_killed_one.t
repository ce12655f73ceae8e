#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The parent of a pair without httpd was killed, and its spawner and broker go on with a job: that
# another pair cannot be started meanwhile does not take away the socket by which they are reached.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Alone ();
use SpawnTest::Process qw(alive);

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

my %options = (program => $alone->program, idle => '10min', timeout => 30);

my $spawn = Apache2::Spawn->standalone($alone->dir, %options);
my $go = $alone->dir . '-go';
my $job = $spawn->spawn([ '/bin/sh', '-c', qq(until [ -e "$go" ]; do sleep 0.1; done; exit 5) ]);
ok wait_until(sub { $job->status->state eq 'running' }, 30), 'a job runs' or diag $alone->log_text;
my ($parent, @others) = ($alone->parent_pid, $alone->spawner_pid, $alone->broker_pid);
kill KILL => $parent or die "kill $parent: $!\n";
ok wait_until(sub { !alive($parent) }, 30), 'the parent of its pair is killed';
my $inode = (lstat $alone->dir . '/socket')[1];
ok !eval { Apache2::Spawn->standalone($alone->dir, %options); 1 }, 'another pair cannot be started';
like $@, qr/jobs of a pair that was killed still run/, '... and it is said why';
is scalar(grep { alive($_) } @others), 2, 'spawner and broker are still there';
is +(lstat $alone->dir . '/socket')[1], $inode, '... and their socket';
is eval { $job->status->state }, 'running', '... by which they answer' or diag $@;

mkdir $go or die "$go: $!\n";
ok wait_until(sub { !grep { alive($_) } @others }, 60), 'they end with the job';
$spawn = Apache2::Spawn->standalone($alone->dir, %options);
is $spawn->job($job->id)->status->exit_code, 5, 'the next pair knows how that has ended';
done_testing;
