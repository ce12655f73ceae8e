#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Apache2::Spawn::Check tells and counts what it cannot read.

use strict;
use warnings;

use FindBin ();
use lib ($ENV{SPAWN_BUILD} || "$FindBin::Bin/../../build") . '/perl', "$FindBin::Bin/../lib";

use Test::More;
use SpawnTest::CheckCode qw(tree check_code);

plan skip_all => 'PPI (package libppi-perl) is not installed' if !eval { require PPI; 1 };

my $good = tree('a.pl' => "fork;\n");

sub not_read {
    my ($places, $why, $name, %how) = @_;
    my ($status, $out, $err) = check_code([ @$places, $good ], %how);
    is $status, 2, "$name: 2";
    is $out =~ s/:1: fork: .*//rs, "$good/a.pl", '... the rest is read';
    like $err, $why, '... it is told';
    is scalar(split /\n/, $err), 2, '... once' or diag $err;
    like $err, qr/^check: files read: 1, places found: 1, not read: 1\n\z/m, '... and counted';
    return;
}

not_read(["$good/nonexistent"], qr{^\Q$good\E/nonexistent: not read: No such file or directory$}m, 'nothing there');

my $loop = tree();
symlink 'loop.pl', "$loop/loop.pl" or die $!;
not_read([$loop], qr{^\Q$loop\E/loop\.pl: not read: Too many levels of symbolic links$}m, 'a link to itself');

not_read(['/dev/null'], qr{^/dev/null: not read: neither a file nor a directory$}m, 'a device');

# root may read everything
my $closed = tree('closed/a.pl' => "fork;\n");
my %as_other = $> == 0 ? (first => 'require PPI; $( = 65534; $) = "65534 65534"; $< = $> = 65534') : ();
chmod 0755, $closed, $good or die $!;
chmod 0, "$closed/closed" or die $!;
not_read([$closed], qr{^\Q$closed\E/closed: not read: Permission denied$}m, 'a directory', %as_other);
chmod 0755, "$closed/closed" or die $!;
chmod 0, "$closed/closed/a.pl" or die $!;
not_read([$closed], qr{^\Q$closed\E/closed/a\.pl: not read: Permission denied$}m, 'a file', %as_other);

my $large = tree('b.pl' => 'fork;' . ' ' x 1000);
not_read(
    [$large],
    qr{^\Q$large\E/b\.pl: not read: it has 1005 bytes, more than 1004$}m,
    'a large file',
    first => '$Apache2::Spawn::Check::LIMIT = 1004');
my ($status) = check_code([$large], first => '$Apache2::Spawn::Check::LIMIT = 1005');
is $status, 1, '... one of the limit is read';
my $huge = tree('b.pl' => "fork;\n" x 200_000);
not_read([$huge], qr{: not read: it has 1200000 bytes, more than 1000000$}m, 'there is a limit');

not_read(
    [ tree('odd.pl' => "odd;\n") ],
    qr{/odd\.pl: not read: cannot be parsed$}m,
    'what PPI cannot parse',
    first => 'require PPI; no warnings "redefine"; my $new = \&PPI::Document::new;'
        . '*PPI::Document::new = sub { die "cannot be parsed\n" if ${ $_[1] } =~ /odd/; goto &$new }');

my $err;
($status, my $out, $err) = check_code([]);
is "$status $out$err", "2 check: which directories?\n", 'no directory';

done_testing;
