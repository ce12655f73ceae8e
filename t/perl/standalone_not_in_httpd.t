#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Inside httpd no pair is started: that would fork the child. It is refused, and nothing is
# made, neither by the method nor by SPAWN_STANDALONE.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;

use Apache2::Spawn ();
use Apache2::Spawn::Standalone ();

my $dir = File::Temp::tempdir('spawn-alone-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $is_inside = 1;
{
    no warnings 'redefine';
    *Apache2::Spawn::_inside_httpd = sub { return $is_inside };
}
my $ran = 0;
{
    no warnings 'redefine';
    *Apache2::Spawn::Standalone::_run = sub { $ran++; return };
}
ok !eval { Apache2::Spawn->standalone("$dir/pair", program => '/bin/true'); 1 }, 'inside httpd';
my $error = Apache2::Spawn::Error->caught;
is $error && $error->code, 'invalid', '... it is refused' or diag $@;
like "$error", qr/not inside httpd/, '... with the reason';
ok !-e "$dir/pair", '... and no directory is made';
is $ran, 0, '... and nothing is started';

$is_inside = 0;
ok eval { Apache2::Spawn::Standalone::start("$dir/pair", program => '/bin/true'); 1 }, 'elsewhere it is' or diag $@;
is $ran, 1, '... started';
done_testing;
