#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The module that every process of new_exec loads at its start loads nothing else. This
# one and those of the first handle have no fault that warnings would tell; and the
# waiter refuses to be started by hand.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest ();

my $perl = SpawnTest::build_dir() . '/perl';
my @command = ($^X, '-T', "-I$perl");

sub said {
    my (@words) = @_;
    my $pid = open my $out, '-|';
    die "fork: $!\n" if !defined $pid;
    if (!$pid) {
        open STDERR, '>&', \*STDOUT or die $!;
        exec {$words[0]} @words or die "$words[0]: $!\n";
    }
    my $text = do { local $/; <$out> };
    close $out;
    return $text;
}

is said(@command, '-MApache2::Spawn::Process::Serve', '-e', 'print join " ", sort keys %INC'),
    'Apache2/Spawn/Process/Serve.pm Apache2/Spawn/Process/Wire.pm strict.pm', 'it loads strict and nothing else';
for my $part (qw(Serve Wire Handle Fork)) {
    my $file = "$perl/Apache2/Spawn/Process/$part.pm";
    is said(@command, '-w', '-c', $file), "$file syntax OK\n", "$part: no warning";
}

my $waiter = "$perl/auto/Apache2/Spawn/Process/Serve/waiter";
for my $words ([], [1], [qw(x 0 0)], [qw(0 0 0)]) {
    is system($waiter, @{$words}) >> 8, 2, "the waiter does nothing with: @{$words}";
}
done_testing;
