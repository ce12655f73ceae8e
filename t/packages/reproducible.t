#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# Debian's packages, built once more in another directory, are the same, byte for byte.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use Test::More;

use SpawnTest qw(root_dir);
use SpawnTest::Deb;

plan skip_all => 'there is no dpkg-buildpackage' if system('command -v dpkg-buildpackage >/dev/null') != 0;

my $dir = SpawnTest::Deb::directory();
my $again = File::Temp::tempdir('spawn-again-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);

my $command = root_dir() . "/packaging/deb $again 2>&1";
my $said = `$command`;
is $?, 0, 'packages are built' or diag $said;

my @names = grep { !/-dbgsym_/ } map { s{.*/}{}r } glob "$again/*.deb";
is scalar @names, 4, 'four of them';
for my $name (@names) {
    is system('cmp', '-s', "$dir/$name", "$again/$name"), 0, "$name is the same";
}

done_testing;
