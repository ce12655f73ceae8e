#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Over twenty graceful restarts frozen memory does not pile up: what was a template's
# goes with it and the last of its jobs.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(not_sanitized wait_until);
use SpawnTest::Frozen qw(frozen memory_of);
use SpawnTest::Process qw(descendants_of);
use SpawnTest::Templates ();

not_sanitized('a sanitizer\'s memory is not moved');
my $t = SpawnTest::Templates->new->start;
my $spawn = $t->spawn;
my $httpd = $t->httpd;

# The frozen memories that any process of this httpd has.
sub memories {
    my %inodes = map { $_->{inode} => 1 } map { frozen(memory_of($_)) } $httpd->{pid}, descendants_of($httpd->{pid});
    my @all = sort keys %inodes;
    return @all;
}

my $gate = $httpd->work . '/gate';
system('mkfifo', '-m', '666', $gate) == 0 or die "mkfifo: $?\n";
my $job = $spawn->spawn_call('My::Work::at_gate', [ $gate, 'held' ]);
ok wait_until(sub { $job->progress }, 20), 'a job runs';
my @first = memories();
is scalar @first, 1, 'one memory';
my ($pid) = $t->pids('app');
for my $round (1 .. 20) {
    $httpd->graceful;
    $pid = $t->new_pid('app', $pid) or last;
}
ok $pid, 'twenty graceful restarts';
ok wait_until(sub { memories() == 2 }, 30), 'the job\'s memory is there, and that of the template which serves'
    or diag join q{ }, memories();
is scalar(grep { $_ eq $first[0] } memories()), 1, '... of which one is the first';
open my $out, '>', $gate or die "$gate: $!\n";
syswrite $out, 'g';
is $job->result(20), 'held', 'the job ends';
ok wait_until(sub { memories() == 1 }, 30), '... and its memory goes';
done_testing;
