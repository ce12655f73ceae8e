#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A Perl job is forked as the C library forks: handlers of pthread_atfork run, and
# no two jobs have the same random bytes.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();
use SpawnTest::ForkLibrary ();

plan skip_all => 'no syscall numbers for this machine' if !FakeSpawner::can_run();
my $library = SpawnTest::ForkLibrary->build or plan skip_all => 'no C library can be compiled here';

my $dir = FakeSpawner::files('My/Lib.pm' => $library->code);
my $t = FakeSpawner->start(preload => ['My::Lib'], inc => [$dir]);

my @looks = map { $t->call('My::Lib::look')->{returned}[0] } 1 .. 3;
for my $n (1 .. 3) {
    is_deeply $looks[ $n - 1 ]{counts}, [ $n, $n - 1, 1, 1 ],
        "job $n: prepared in the template, told in the job; the lock is free in both";
}
for my $from (qw(gnutls openssl gcrypt)) {
SKIP: {
        skip "$from is not here", 1 if !grep { $_ eq $from } $library->sources;
        my %seen = map { $_->{$from} => 1 } @looks;
        is scalar(keys %seen), 3, "$from: each job has its own random bytes";
    }
}
is $t->dismiss, 0, 'the template leaves';

# a handler that ends the child: the template tells of a process that said nothing
$dir = FakeSpawner::files('My/Lib.pm' => $library->code . "\nMy::Lib::end_children(); 1;\n");
$t = FakeSpawner->start(preload => ['My::Lib'], inc => [$dir]);
my $job = $t->order('My::Lib::look');
my $message;
do { $message = $t->next_message } until !$message || $message->{type} eq 'launched';
is $message->{attr}{id}, $job->{id}, 'a process that a handler ended is told by the template';
is waitpid($message->{attr}{pid}, 0), $message->{attr}{pid}, 'it was given to the subreaper';
is $? & 127, 6, 'and ended by itself';
is $t->dismiss, 0, 'the template leaves';

done_testing;
