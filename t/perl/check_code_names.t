#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# What Apache2::Spawn::Check prints of files has no character that a terminal or a reader of
# lines obeys, and each place is one line.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(tree check_code);

plan skip_all => 'PPI (package libppi-perl) is not installed' if !eval { require PPI; 1 };

# as t/unit/escape.c has them
my %shown = (
    "plain \"name\" ~.pl"                      => 'plain "name" ~.pl',
    "Gr\xc3\xbc\xc3\x9fe \xf0\x9f\x90\xab.pl"  => "Gr\xc3\xbc\xc3\x9fe \xf0\x9f\x90\xab.pl",
    "a\nb\tc\rd\be\x0bf\\.pl"                  => 'a\nb\tc\rd\be\vf\\\\.pl',
    "\x01\x1b[31m\x7f.pl"                      => '\x01\x1b[31m\x7f.pl',
    "\x80\x9b31m.pl"                           => '\x80\x9b31m.pl',
    "\xc2\x9b31m\xe2\x80\xae\xe2\x81\xa6.pl"   => '\xc2\x9b31m\xe2\x80\xae\xe2\x81\xa6.pl',
    "\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80.pl"  => '\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80.pl',
);

my $dir = tree(map { $_ => "fork;\n" } keys %shown);
my ($status, $out) = check_code([$dir]);
is $status, 1, 'places were found';
is_deeply [ sort map { m{\A\Q$dir\E/(.*):1: fork: } ? $1 : $_ } split /\n/, $out ], [ sort values %shown ], 'the names of files';

($status, undef, my $err) = check_code(["$dir/\e]0;no\n\\"]);
is $err, "$dir/" . '\x1b]0;no\n\\\\: not read: No such file or directory' . "\ncheck: files read: 0, places found: 0, not read: 1\n",
    'of one that is not there';

($status, undef, $err) = check_code(
    [ tree('odd.pl' => "odd;\n") ],
    first => 'require PPI; no warnings "redefine"; *PPI::Document::new = sub { die "\e[2Jodd\n" }');
like $err, qr{/odd\.pl: not read: \\x1b\[2Jodd$}m, 'the reason, too';

SKIP: {
    skip 'there is no /dev/full', 2 if !-c '/dev/full';
    ($status, $out, $err) = check_code([$dir], first => 'open STDOUT, ">", "/dev/full" or die');
    is $status, 2, 'places that cannot be written are told';
    is $err, "check: standard output: No space left on device\n", '... with the reason';
}

done_testing;
