#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Where a tree loads Apache2::Spawn::SubProcess, its spawn_proc_prog is a job already, in each file:
# Apache2::Spawn::Check does not list it, and lists all else.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(check_code tree);

plan skip_all => 'PPI (package libppi-perl) is not installed' if !eval { require PPI; 1 };

my $old = "use Apache2::SubProcess ();\nmy \@x = \$r->spawn_proc_prog('x');\nsystem('y');\n";

# What is found in a tree of a.pm, which is old code, and another file.
sub finds {
    my ($name, $text, $wanted, $what) = @_;
    my ($code, $out) = check_code([ tree('a.pm' => $old, $name => $text) ]);
    is join(' ', $out =~ /:\d+: (.+?): /g), $wanted, $what;
    return $code;
}

my @without = ('z.pm' => "1;\n");
finds(@without, 'Apache2::SubProcess spawn_proc_prog system', 'without it');
is finds('z.pm' => "use Apache2::Spawn::SubProcess;\n", 'system', 'use in a file that is read later'), 1, '... something was found';
finds('0.pl' => "require Apache2::Spawn::SubProcess;\n", 'system', 'require in one before');
for my $line ('PerlModule Apache2::Spawn::SubProcess', "  perlmodule My::App \\\n Apache2::Spawn::SubProcess", 'PerlLoadModule Apache2::Spawn::SubProcess') {
    finds('httpd.conf' => "$line\n", 'system', "httpd.conf: $line");
}
for my $line ('# PerlModule Apache2::Spawn::SubProcess', 'PerlModule Apache2::Spawn', 'PerlModule My::Apache2::Spawn::SubProcess', 'PerlModule Apache2::Spawn::SubProcess::X') {
    finds('httpd.conf' => "$line\n", 'Apache2::SubProcess spawn_proc_prog system', "httpd.conf: $line");
}
finds('z.pm' => "# use Apache2::Spawn::SubProcess;\nmy \$x = 'use Apache2::Spawn::SubProcess';\n",
    'Apache2::SubProcess spawn_proc_prog system', 'a comment and a text load nothing');
my ($code, $out, $err) = check_code([ tree('a.pm' => "use Apache2::Spawn::SubProcess;\n\$r->spawn_proc_prog('x');\n") ]);
is_deeply [ $code, $out ], [ 0, '' ], 'nothing is left';
like $err, qr/places found: 0,/, '... as the last line says';

done_testing;
