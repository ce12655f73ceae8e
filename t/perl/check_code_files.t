#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Check reads Perl and httpd's configuration, by their names and first lines.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(tree check_code);

plan skip_all => 'PPI (package libppi-perl) is not installed' if !eval { require PPI; 1 };

my $code = "system('x');\n";
my $dir = tree(
    (map { ("in/$_" => $code) } qw(a.pm a.pl a.plx a.t a.cgi a.fcgi a.psgi Makefile.PL)),
    'bin/tool'         => "#!/usr/bin/perl -w\n$code",
    'bin/env'          => "#! /usr/bin/env perl\n$code",
    'bin/shell'        => "#!/bin/sh\n$code",
    'bin/perly'        => $code,
    'bin/tool.txt'     => "#!/usr/bin/perl\n$code",
    'bin/shell.cgi'    => "#!/bin/sh\n$code",
    'bin/compiled.cgi' => "\x7fELF\0\0$code",
    '.git/a.pl'        => $code,
    'empty.pm'         => '',
    'httpd.conf'       => <<'CONF',
# PerlCleanupHandler My::a
<Location /x>
    perlcleanuphandler My::b
    PerlCleanupHandler \
        My::c
    PerlCleanupHandlers My::d
    SpawnCleanupHandler My::PerlCleanupHandler
</Location>
CustomLog "|program" \
PerlCleanupHandler
PerlCleanupHandler My::e
system('x');
CONF
    'x/.htaccess'     => "PerlCleanupHandler My::f\r\n",
    'x/extra.conf.in' => "PerlCleanupHandler My::g",
);
symlink "$dir/in", "$dir/link" or die $!;
symlink "$dir", "$dir/in/loop" or die $!;
symlink "$dir/nothing.pl", "$dir/dangling.pl" or die $!;

my ($status, $out, $err) = check_code([$dir]);
is $status, 1, 'found';
my @places = map { m{\A\Q$dir\E/(.+?: \w+): } ? $1 : $_ } split /\n/, $out;
is_deeply [@places],
    [
    'bin/env:2: system', 'bin/tool:2: system',
    (map {"httpd.conf:$_: PerlCleanupHandler"} 3, 4, 11),
    (map {"in/$_:1: system"} qw(Makefile.PL a.cgi a.fcgi a.pl a.plx a.pm a.psgi a.t)),
    'x/.htaccess:1: PerlCleanupHandler', 'x/extra.conf.in:1: PerlCleanupHandler',
    ],
    'each place once, sorted'
    or diag $out;
is $err, "check: files read: 14, places found: 15, not read: 0\n", 'the numbers';

($status, $out, $err) = check_code([ "$dir/bin/perly", "$dir/link/", "$dir/in/a.pl", "$dir/in/a.pl" ]);
like $out, qr{/bin/perly:1: system}, 'a file that is named is read';
like $out, qr{/link/a.pl:1: system}, '... and a link to a directory';
is scalar(() = $out =~ m{/in/a.pl:}g), 1, '... once';

($status, $out, $err) = check_code([ tree('a.pl' => "print 1;\n") ]);
is "$status $out", '0 ', 'nothing is found';
is $err, "check: files read: 1, places found: 0, not read: 0\n", '... of what was read';

done_testing;
