#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The census of a soak (t/soak) sees what grows from one calm to a later one.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest qw(not_sanitized);
use SpawnTest::Soak::Census ();

not_sanitized('the memory of sanitized processes is not looked at');

my %calm = map { ("$_ fds" => 40, "$_ kb" => 2000) } qw(spawner broker httpd);
my $grown = sub { return join "\n", SpawnTest::Soak::Census::grown(\%calm, { %calm, @_ }) };

is $grown->(), '', 'what is level';
is $grown->('broker fds' => 44, 'broker kb' => 9000), '', 'a few more templates';
is $grown->('broker fds' => 1, 'broker kb' => 1), '', 'what has shrunk';
for my $what (qw(spawner broker httpd)) {
    is $grown->("$what fds" => 70), "$what has 30 descriptors more than at the first calm", "descriptors of $what, below the most that it may have";
    like $grown->("$what kb" => 30_000), qr/\A$what has 28000 kB more than at the first calm\z/, "memory of $what";
}
is join('', SpawnTest::Soak::Census::grown({ 'broker kb' => 1 }, { 'broker fds' => 90, 'broker kb' => 1 })), '', 'descriptors that could not be looked at';
done_testing;
