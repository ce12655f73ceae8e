#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A job that waits for its time, or for its next attempt, is started now: by spawnctl and by Perl.
# It runs once, and one that does not wait for its time is told as such. One MPM:
# no child of httpd has a part in it.

use strict;
use warnings;

use FindBin ();
use lib (($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib");

use Test::More;

use SpawnTest qw(one_mpm wait_until);

use Apache2::Spawn ();

my $httpd = SpawnTest::Httpd->new(mpm => one_mpm(), handlers => 0)->start;
my $ctl = SpawnTest::Ctl->new($httpd);
my $spawn = $httpd->connection;

my @delayed = map { $spawn->spawn([ '/bin/echo', $_ ], delay => 3600, stdout => 'capture') } 1 .. 4;
is $_->status->state, 'delayed', 'one waits' for @delayed;

my @ids = map { $_->id } @delayed;
is_deeply $ctl->run('start', substr($ids[0], -12), $ids[1]), { code => 0, out => q{}, err => q{} }, 'two are started by spawnctl';
is $delayed[$_]->wait(60)->stdout, $_ + 1 . "\n", '... and run' for 0, 1;
my $ran = $ctl->run('start', $ids[0]);
is $ran->{code}, 1, 'one that has ended';
like $ran->{err}, qr/^spawnctl: the job has ended: \Q$ids[0]\E$/, '... is told as such';
is $ctl->run('start', '00000000-0000-7000-8000-000000000000')->{code}, 1, 'so is one that nobody knows';
my ($row) = $ctl->json('start', $ids[2]);
is_deeply $row, { id => $ids[2] }, 'as JSON';
is $delayed[2]->wait(60)->stdout, "3\n", '... it runs';
is $ctl->run('start')->{code}, 125, 'no id';

ok $delayed[3]->start_now, 'one is started by Perl';
is $delayed[3]->wait(60)->stdout, "4\n", '... and runs';
ok !$delayed[3]->start_now, '... and does not wait any more';

my $tried = $spawn->spawn([ '/bin/false' ], retry => 1, backoff => 3600);
ok wait_until(sub { $tried->status->state eq 'delayed' }, 60), 'one waits for its next attempt';
ok $tried->start_now, '... and gets it';
is $tried->wait(60)->attempt, 2, '... now';
done_testing;
