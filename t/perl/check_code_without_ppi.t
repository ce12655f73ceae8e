#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Check says that PPI is missing.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(tree check_code);

my $without = tree('PPI.pm' => "die qq{no such thing\\n};\n");
my ($status, $out, $err) = check_code([ tree('a.pl' => "fork;\n") ], inc => [$without]);
is $status, 2, 'not all was read';
is $out, '', 'nothing is found';
is $err, "check: PPI is needed (Debian: libppi-perl), and cannot be loaded: no such thing\n", 'one line says why';

done_testing;
