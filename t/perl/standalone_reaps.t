#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The parent of a pair without httpd reaps also a spawner that leaves its link and goes on for so
# long that another one has been started: none of them stays as a zombie.

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

sub children {
    my ($parent) = @_;
    open my $in, '<', "/proc/$parent/task/$parent/children" or die "children: $!\n";
    return split ' ', scalar(<$in>) || '';
}

Apache2::Spawn->standalone($alone->dir, %options);
my ($parent, $first) = ($alone->parent_pid, $alone->spawner_pid);

# in the place of the program: one that says who it is, leaves its link, and stays until it may go
my ($programs, $began, $go) = ("$alone->{dir}/mod_spawn", "$alone->{dir}/work/began", "$alone->{dir}/work/go");
rename $programs, "$programs-aside" or die "$programs: $!\n";
mkdir $programs or die "$programs: $!\n";
open my $out, '>', "$programs/spawner" or die "spawner: $!\n";
print {$out} qq(#!/bin/sh\nexec 3<&-\necho \$\$ >"$began.new"\nmv "$began.new" "$began"\nuntil [ -e "$go" ]; do sleep 0.1; done\n);
close $out or die "spawner: $!\n";
chmod 0755, "$programs/spawner" or die "chmod: $!\n";
kill KILL => $first or die "kill $first: $!\n";
ok wait_until(sub { -e $began }, 30), 'the next spawner leaves its link';
my ($slow) = children($parent);
rename $programs, "$programs-slow" or die "$programs: $!\n";
rename "$programs-aside", $programs or die "$programs: $!\n";
ok wait_until(sub { my $pid = $alone->spawner_pid; $pid && $pid != $first }, 60), 'another one is started after a while' or diag $alone->log_text;
ok alive($slow), '... while that one lives';
mkdir $go or die "go: $!\n";
ok wait_until(sub { !grep { $_ == $slow } children($parent) }, 30), 'it ends, and is reaped';
is scalar(children($parent)), 1, 'the parent has one child';
done_testing;
