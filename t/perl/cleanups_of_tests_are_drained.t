#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Test: what is left for after the answer is recorded, and runs with drain,
# also where other jobs run at once.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl';

use Test::More;
use File::Temp ();
use Apache2::Spawn::Test 'inline';

my $dir = File::Temp->newdir;

sub My::note { my ($what) = @_; open my $out, '>', "$dir/$what" or die $!; return close $out }

ok !eval { my $job = Apache2::Spawn->spawn([ '/bin/true' ], colour => 1); 1 }, 'a job that is wrong before it';
my $job = Apache2::Spawn->cleanup('My::note', ['f'], only_if => 'success', label => 'stats');
Apache2::Spawn->cleanup([ '/bin/touch', "$dir/p" ], only_if => 'success');
isa_ok $job, 'Apache2::Spawn::Job';
spawned_ok('My::note', { method => 'cleanup', arguments => ['f'], options => { label => 'stats' } }, 'a function');
spawned_ok('/bin/touch', { method => 'cleanup', options => { only_if => 'success' } }, 'a program');
is $job->status->state, 'queued', 'it waits';
ok !-e "$dir/f", 'and has not run';
is drain(), 2, 'both run after the answer';
ok -e "$dir/f", 'the function';
ok -e "$dir/p", 'the program';
ok !eval { Apache2::Spawn->cleanup('My::note', ['x'], colour => 1); 1 }, 'a wrong option';
is ref $@ ? $@->code : $@, 'unknown_option', 'is one';
ok !eval { Apache2::Spawn->cleanup('My::note', ['x'], reply => 'finished'); 1 }, 'nobody can wait for it';
is ref $@ ? $@->code : $@, 'invalid', 'which is said';
is scalar(jobs()), 2, 'neither is recorded';

done_testing;
