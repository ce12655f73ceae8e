#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The parent of a pair without httpd whose spawner cannot be started anew ends, too, when nobody
# uses the pair; and not before.

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

my %options = (program => $alone->program, idle => '1s', timeout => 30);

my $spawn = Apache2::Spawn->standalone($alone->dir, %options);
is $spawn->run(['/bin/true'])->ok, 1, 'a pair works' or diag $alone->log_text;
my ($parent, $old) = ($alone->parent_pid, $alone->spawner_pid);
my $programs = "$alone->{dir}/mod_spawn";
rename $programs, "$programs-aside" or die "$programs: $!\n";
kill KILL => $old or die "kill $old: $!\n";
ok wait_until(sub { (() = $alone->log_text =~ /cannot be started/g) >= 2 }, 30), 'its spawner is killed, and there is no program for the next one'
    or diag $alone->log_text;
ok alive($parent), '... the parent stays for its user, who has been there for longer than its idle';
Apache2::Spawn::Standalone->release($alone->dir);
ok wait_until(sub { !alive($parent) }, 60), '... and ends when that has gone' or diag $alone->log_text;

rename "$programs-aside", $programs or die "$programs: $!\n";
$spawn = Apache2::Spawn->standalone($alone->dir, %options);
is $spawn->run(['/bin/true'])->ok, 1, 'the next one works';
done_testing;
