#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# The spawner is one static program of the C library and of spawner/ and common/: it
# loads no library when it starts, and has nothing of httpd's, Perl's or the store's in
# it. Each start has it at another address.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use Test::More;

use SpawnTest qw(build_dir not_sanitized root_dir);

not_sanitized('a sanitizer is a shared library');

sub said_by {
    my @command = @_;
    open my $out, '-|', @command or die "$command[0]: $!\n";
    my @lines = <$out>;
    close $out or die "@command: status $?\n";
    return @lines;
}

my %path = map { $_ => build_dir() . "/mod_spawn/$_" } qw(spawner broker);
my (%segments, %needed, %symbols);
for my $program (sort keys %path) {
    $segments{$program} = join '', said_by('readelf', '-lW', $path{$program});
    $needed{$program} = [ grep {/\(NEEDED\)/} said_by('readelf', '-dW', $path{$program}) ];
    $symbols{$program} = { map { /\s[A-Za-z] (\w+)/ ? ($1 => 1) : () } map { said_by('nm', $_, $path{$program}) }
        $program eq 'spawner' ? '-a' : qw(-a -D) };
}
like $segments{spawner}, qr/^\s*LOAD\s/m, 'its segments are read';
unlike $segments{spawner}, qr/^\s*INTERP\s/m, 'no loader';
like $segments{spawner}, qr/^Elf file type is DYN\b/m, 'at no address of its own';
like $segments{spawner}, qr/^\s*GNU_RELRO\s/m, 'its addresses are read-only once they are set';
is_deeply $needed{spawner}, [], 'no library';

my $foreign = qr/\A(?:sqlite3|apr|ap|Perl|PL|perl|crypt|SSL|EVP|Sereal)_/;
ok $symbols{spawner}{$_}, "$_ is in it" for qw(main spawn_id_format malloc);
is_deeply [ sort grep { $_ =~ $foreign } keys %{ $symbols{spawner} } ], [], 'nothing of other libraries';

# the same questions have other answers for a program that is not static
like $segments{broker}, qr/^\s*INTERP\s/m, 'the broker has a loader';
cmp_ok scalar @{ $needed{broker} }, '>', 1, '... and libraries';
ok((grep { $_ =~ $foreign } keys %{ $symbols{broker} }), '... and functions of theirs');
done_testing;
