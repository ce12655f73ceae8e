#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# A reader of a soak's journal has whole lines while others write it, each once, also
# when a line is seen in two parts.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use IO::Handle ();
use Test::More;

use SpawnTest::Soak::Journal qw(new_lines);

my ($out, $path) = File::Temp::tempfile(UNLINK => 1);
$out->autoflush(1);
open my $in, '<', $path or die "$path: $!\n";
my $rest = '';

is_deeply [ new_lines($in, \$rest) ], [], 'nothing is there';
print {$out} "A\tone\nA\ttw";
is_deeply [ new_lines($in, \$rest) ], ["A\tone"], 'a line, and a part of the next';
is_deeply [ new_lines($in, \$rest) ], [], 'which is not told twice';
print {$out} 'o';
is_deeply [ new_lines($in, \$rest) ], [], 'nor half';
print {$out} "\nA\tthree\nA\tfour\n";
is_deeply [ new_lines($in, \$rest) ], [ "A\ttwo", "A\tthree", "A\tfour" ], 'but when it is whole';
is_deeply [ new_lines($in, \$rest) ], [], 'once';
done_testing;
