#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The limits of a pair without httpd: how long its directory's path may be, how many entries
# inc and preload may have, and values that are refused by their option's name.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest::Alone ();

my $alone = SpawnTest::Alone->new;
unshift @INC, $alone->perl;
require Apache2::Spawn;

sub start {
    my ($dir, %more) = @_;
    return eval { Apache2::Spawn->standalone($dir, program => $alone->program, idle => '1s', inc => $alone->perl, timeout => 30, %more) };
}

sub refused {
    my ($code, $text, @start) = @_;
    my $spawn = start(@start);
    my $error = Apache2::Spawn::Error->caught;
    is $error ? $error->code : $spawn ? 'none' : $@, $code, "@start[1 .. $#start]: refused";
    like "$@", $text, '... and told why';
    return;
}

# the path
my $room = 'x' x (99 - length $alone->dir);
is length $alone->dir($room), 99, 'a path of 99 bytes';
ok start($alone->dir($room)), '... has a pair' or diag $@;
refused('unreachable', qr/too long/, $alone->dir("${room}x"));
my $short = $alone->dir('-link');
symlink $alone->dir("${room}x"), $short or die "symlink: $!\n";
refused('unreachable', qr/./, $short);

# lists
my $dir = $alone->dir(1);
for my $case ([ inc => ($alone->perl) x 65 ], [ preload => ('POSIX') x 65 ]) {
    my ($option, @list) = @{$case};
    my $spawn = start($dir, $option => \@list);
    ok !$spawn, "$option of 65 is refused";
    my $error = Apache2::Spawn::Error->caught;
    is $error ? $error->code : $@, 'invalid', '... as invalid';
    like "$@", qr/standalone: $option: at most 64 of them \(/, '... with the limit';
}
my $spawn = start($dir, inc => [ ($alone->perl) x 64 ], preload => [ ('POSIX') x 64 ]);
ok $spawn, '64 of each are taken' or diag $@;
is $spawn && $spawn->call('POSIX::abs', [-4]), 4, '... and count';

# values
refused('invalid', qr/standalone: \Q$_->[0]: '$_->[1]' is not allowed (\E/, $alone->dir(2), @{$_})
    for [ idle => 'soon' ], [ idle => 0 ], [ max_jobs => 0 ], [ max_jobs => 10_001 ], [ max_jobs => 'many' ];
ok !-e $alone->dir(2) . '/store', 'nothing was made for these';
done_testing;
