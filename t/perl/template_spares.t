#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A template's spares, and what is told of them over its link: one message when all goes
# well, another one before that when the set-up can hang, and one of the template when a
# spare says nothing.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();
use SpawnTest qw(wait_until);
use SpawnTest::Process qw(alive children_of cmdline session_of);

plan skip_all => "no syscall numbers for this machine" if !FakeSpawner::can_run();

my $dir = FakeSpawner::files('My.pm' => "package My; sub pid { return \$\$ } sub f { return \$_[0] } 1;\n");
sub start { return FakeSpawner->start(preload => ['My'], inc => [$dir], @_) }

sub spares {
    return grep { session_of($_) == $_ && join(q{ }, cmdline($_)) =~ /\Amod_spawn spare test\s*\z/ } children_of($$);
}

sub have_spares {
    my ($count) = @_;
    my @pids;
    return wait_until(sub { @pids = spares(); return @pids == $count }, 20) ? @pids : ();
}

my $t;

# The next message about a job; others' may be late.
sub next_of {
    my ($job) = @_;
    my $message;
    do { $message = $t->next_message } until !$message || $message->{attr}{id} eq $job->{id};
    return $message;
}

$t = start();
$t->call('My::pid') for 1, 2;
is_deeply [ spares() ], [], 'who starts it says nothing of spares: it has none';
$t->dismiss;

$t = start(spares => 3);
is_deeply [ spares() ], [], 'none before the first order';
my $job = $t->order('My::pid', []);
$t->until_told($job, 'set_up');
is_deeply $job->{told}, [ 'forked', 'set_up' ], 'the first job is forked for its order';
$job->finish;
my %spare = map { $_ => 1 } have_spares(2);
is keys %spare, 2, 'then there are two';

$job = $t->order('My::pid', []);
$t->until_told($job, 'set_up');
is_deeply $job->{told}, ['set_up'], 'a spare tells that it is set up, and no more';
ok $spare{ $job->{pid} }, '... with its process';
my $ended = $job->finish;
is $ended->{returned}[0], $job->{pid}, '... which runs the function';
is $ended->{exit}, 0, '... and ends well';

have_spares(2);
$job = $t->order('My::pid', [], cwd => '/tmp');
$t->until_told($job, 'set_up');
is_deeply $job->{told}, [ 'forked', 'set_up' ], 'with a directory it tells itself before';
$job->finish;

have_spares(2);
$job = $t->order('My::pid', [], cwd => '/nowhere');
$t->until_told($job, 'set_up');
is $job->{set_up}{errno}, 2, 'a step that fails is told' or diag explain $job->{set_up};
$job->finish;

# it says nothing
my @stopped = have_spares(2);
kill STOP => @stopped;
$job = $t->order('My::f', ['late']);
my $told = next_of($job);
is $told->{type}, 'launched', 'one that says nothing is told by its template';
is $told->{attr}{spare}, 1, '... as a spare';
ok((grep { $_ == $told->{attr}{pid} } @stopped), '... with its process');
kill CONT => @stopped;
$t->until_told($job, 'set_up');
is $job->{set_up}{pid}, $told->{attr}{pid}, '... which goes on';
is $job->finish->{returned}[0], 'late', '... and runs the function';

# its template is killed before it has read its order
@stopped = have_spares(2);
kill STOP => @stopped;
$job = $t->order('My::f', ['never']);
is next_of($job)->{type}, 'launched', 'one more';
kill KILL => $t->pid;
$t->wait_for_template;
shutdown $t->{link}, 0;
kill CONT => @stopped;
ok wait_until(sub { !grep { alive($_) } @stopped }, 20), 'its template is killed: they end, with an order, too';
waitpid $_, 0 for @stopped;
is $job->read_board->{kind}, 0, '... which has not run';

# orders that stand in the link, more than there are spares
$t = start(spares => 2);
$t->call('My::pid');
have_spares(2);
my @jobs = map { $t->order('My::f', [$_]) } 1 .. 20;
is $t->dismiss, 0, 'the template leaves';
$t->until_told($_, 'set_up') for @jobs;
is_deeply [ map { $_->finish->{returned}[0] } @jobs ], [ 1 .. 20 ], 'when all orders are done, by spares or not';
ok wait_until(sub { !spares() }, 20), '... and no spare stays';
1 while waitpid(-1, 1) > 0;
done_testing;
