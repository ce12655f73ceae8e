#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A spare that hangs in a library's handler of the fork has copies of what its template
# has open, the ends of the other spares' sockets too: these end all the same when their
# template is killed.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use FakeSpawner ();
use SpawnTest qw(wait_until);
use SpawnTest::ForkLibrary ();
use SpawnTest::Process qw(alive children_of cmdline);

plan skip_all => 'no syscall numbers for this machine' if !FakeSpawner::can_run();
my $library = SpawnTest::ForkLibrary->build or plan skip_all => 'no C library can be compiled here';

my $dir = FakeSpawner::files('My/Lib.pm' => $library->code);
my $t = FakeSpawner->start(preload => ['My::Lib'], inc => [$dir], spares => 2);

sub spares { return grep { join(q{ }, cmdline($_)) =~ /\Amod_spawn spare test\s*\z/ } children_of($$) }

$t->call('My::Lib::look');
ok wait_until(sub { 2 == spares() }, 20), 'there are two spares';
open my $file, '>', $library->hang or die "hang: $!\n";
close $file;
my $job = $t->call('My::Lib::look');
my $served = $job->{returned}[0]{pid};
my ($other) = grep { $_ != $served } spares();
my @hangs;
ok wait_until(sub { @hangs = grep { $_ != $t->pid && $_ != $other && $_ != $served } children_of($$); return @hangs == 1 }, 20),
    'one of them serves; the next one hangs before it is a spare';
kill KILL => $t->pid;
$t->wait_for_template;
shutdown $t->{link}, 2;
ok wait_until(sub { !alive($other) }, 20), 'their template is killed: the other one ends';
ok alive($hangs[0]), '... while that one still hangs';
kill KILL => @hangs;
waitpid $_, 0 for $other, @hangs;
done_testing;
