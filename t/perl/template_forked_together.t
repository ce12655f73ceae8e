#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Spares that are forked at once: one that hangs in a library's handler of the fork has
# copies of the others' sockets, and hides the end of none of them. When who forks them
# is killed, the template ends, since locks may be held: its next job would hang.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();
use SpawnTest qw(wait_until);
use SpawnTest::ForkLibrary ();
use SpawnTest::Process qw(children_of cmdline);

plan skip_all => 'no syscall numbers for this machine' if !FakeSpawner::can_run();
my $library = SpawnTest::ForkLibrary->build or plan skip_all => 'no C library can be compiled here';

sub start {
    my ($code) = @_;
    my $dir = FakeSpawner::files('My/Lib.pm' => $library->code . "\n$code; 1;\n");
    return FakeSpawner->start(preload => ['My::Lib'], inc => [$dir], spares => 4);
}

sub spares { return grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn spare test\s*\z/ } children_of($$) }

my $t = start('');
my (@spares, %ended);

sub have_spares {
    my ($least, $seconds) = @_;
    return wait_until(sub { @spares = spares(); return @spares >= $least }, $seconds);
}

# More orders at once than there are spares: then one more is kept.
$t->call('My::Lib::look');
for (1 .. 20) {
    last if have_spares(3, 2);
    kill STOP => $t->pid;
    my @jobs = map { $t->order('My::Lib::look') } 0 .. @spares;
    kill CONT => $t->pid;
    $t->until_told($_, 'set_up') for @jobs;
    $_->finish for @jobs;
}
cmp_ok scalar(@spares), '>=', 3, 'there are spares';

sub end_spares {
    $ended{$_}++ for @spares;
    kill KILL => @spares;
    waitpid $_, 0 for @spares;
    return;
}

# They end, and as many are forked at once.
kill STOP => $t->pid;
end_spares();
open my $file, '>', $library->hang_one or die "hang: $!\n";
close $file;
kill CONT => $t->pid;
ok have_spares(@spares - 1, 30), 'new ones, and one that hangs';
end_spares();

sub first_told {
    my $job = $t->order('My::Lib::look');
    my $told;
    do { $told = $t->next_message } until !$told || $told->{attr}{id} eq $job->{id};
    return $told->{attr}{pid};
}

my @told = map { first_told() } 1, 2;
is scalar(grep { $ended{$_} } @told), 0, 'when these have ended, no order goes to them';
is $t->dismiss, 0, 'the template leaves';
kill KILL => children_of($$);
1 while waitpid(-1, 0) > 0;

# children: a job, a spare
$t = start('My::Lib::lose(2)');
$t->call('My::Lib::look');
my $last;
do { $last = $t->next_message } while $last;    # of the job, it may be late
is $last, undef, 'who forks spares is killed: the link ends';
isnt $t->wait_for_template, 0, '... and the template with an error';
like $t->said, qr/cannot be used: Owner died/, '... which it tells';
kill KILL => children_of($$);
1 while waitpid(-1, 0) > 0;
done_testing;
