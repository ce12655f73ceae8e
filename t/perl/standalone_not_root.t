#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A pair without httpd is none of root's: it is refused before anything is made.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;

use SpawnTest qw(build_dir);

plan skip_all => 'this is not root' if $> != 0;

my $dir = File::Temp::tempdir(CLEANUP => 1) . '/pair';
open my $out, '-|', '/bin/sh', '-c', '"$@" 2>&1', 'sh', build_dir() . '/spawn-standalone', $dir or die "sh: $!\n";
my $text = do { local $/ = undef; <$out> };
close $out;
is $? >> 8, 1, 'spawn-standalone as root';
like $text, qr/\Aspawn-standalone: \Q$dir\E: not as root: /, '... says why it does not';
ok !-e $dir, '... and has made nothing';
done_testing;
