#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# How many workers there are: the least number from the start, more when calls
# wait, up to the most; those over the least leave when they are idle; one that
# has served its number of calls, or has grown, is replaced, and no call fails.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive);
use SpawnTest::Templates ();

my $t = SpawnTest::Templates->new(
    files => { 'My/Grow.pm' => <<'END' },
package My::Grow;
our @kept;
sub grow { push @kept, 'x' x ($_[0] << 20); return $$ }
1;
END
    templates => 'SpawnTemplate app exec inc=@INC@ preload=My::Work,My::Grow', conf => <<'END')->start;
<SpawnQueue some>
    SpawnWorkers 2 4
    SpawnWorkerIdle 300ms
</SpawnQueue>
<SpawnQueue few_calls>
    SpawnWorkers 1
    SpawnWorkerMaxJobs 10
</SpawnQueue>
<SpawnQueue small>
    SpawnWorkers 1
    SpawnWorkerMaxMemory 60M
</SpawnQueue>
<SpawnQueue none_at_first>
    SpawnWorkers 0 2
    SpawnWorkerIdle 300ms
</SpawnQueue>
END
my $spawn = $t->spawn;

ok $t->has_workers('some', 2), 'the least number is there before the first call';
ok $t->has_workers('none_at_first', 0), 'which may be none';
my $gate = SpawnTest::Gate->new($t->httpd, 'a');
my @jobs = map { $spawn->spawn_call('My::Work::at_gate', [ $gate->path, $_ ], queue => 'some') } 1 .. 6;
ok wait_until(sub { 4 == grep { $_->status->state eq 'running' } @jobs }, 20), 'more are forked when calls wait';
is scalar(grep { $_->status->state eq 'queued' } @jobs), 2, 'but no more than the most';
my %pids = map { $_->pid => 1 } grep { $_->status->state eq 'running' } @jobs;
is keys %pids, 4, 'four processes';
$gate->let(6);
is_deeply [ sort map { $_->result(20) } @jobs ], [ 1 .. 6 ], 'all return';
ok $t->has_workers('some', 2), 'those over the least number leave when they are idle';

is $spawn->call('My::Work::echo', [3], queue => 'none_at_first'), 3, 'the first call has one forked';
ok $t->has_workers('none_at_first', 0), 'which leaves, too';

my (%served, $failed);
for (1 .. 95) {
    my $pid = eval { $spawn->call('My::Work::pid', [], queue => 'few_calls') } or $failed++;
    $served{ $pid || 0 }++;
}
ok !$failed, 'no call fails while workers are replaced';
is_deeply [ (sort { $a <=> $b } values %served)[ 1 .. 9 ] ], [ (10) x 9 ], 'after ten calls each';
ok wait_until(sub { !grep { alive($_) && $served{$_} == 10 } keys %served }, 20), 'those that have served enough are gone';

my $pid = $spawn->call('My::Grow::grow', [1], queue => 'small');
is $spawn->call('My::Grow::grow', [1], queue => 'small'), $pid, 'one that is small stays';
is $spawn->call('My::Grow::grow', [80], queue => 'small'), $pid, 'one that grows returns what it has to';
isnt $spawn->call('My::Grow::grow', [1], queue => 'small'), $pid, 'and is replaced';
ok wait_until(sub { !alive($pid) }, 20), 'it has gone';
unlike $t->httpd->error_log, qr/MS061/, 'none of it is a fault';

my @all = map { $t->workers($_) } qw(some few_calls small none_at_first);
$t->httpd->stop;
ok $t->httpd->pair_gone, 'the pair ends when httpd stops';
ok wait_until(sub { !grep { alive($_) } @all }, 20), 'and with it the workers';
done_testing;
