#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The release stands in common/spawn_release.h: CHANGES, each module in Perl, the broker
# that tests play, and Debian's packages have the same one, and its day.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use File::Find ();
use Test::More;
use Time::Piece ();

use SpawnTest qw(root_dir);

sub slurp {
    my ($file) = @_;
    open my $in, '<', root_dir() . "/$file" or die "$file: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

my $header = slurp('common/spawn_release.h');
my ($release) = $header =~ /^#define SPAWN_RELEASE "(\d+[.]\d+[.]\d+)"$/m;
my ($day) = $header =~ /^#define SPAWN_RELEASED "(\d{4}-\d\d-\d\d)"$/m;
ok $release && $day, 'the release, and its day' or BAIL_OUT('common/spawn_release.h has no release');

my ($first) = slurp('CHANGES') =~ /^(\d\S*)$/m;
is $first, $release, 'CHANGES begins with it';

my @modules;
File::Find::find({ no_chdir => 1, wanted => sub { push @modules, $_ if /[.]pm\z/ } }, root_dir() . '/perl/lib');
my %version = map { my $file = substr $_, 1 + length root_dir(); ($file => slurp($file) =~ /^our \$VERSION = '(\S+)';$/m) } @modules;
cmp_ok scalar keys %version, '>', 5, 'modules in Perl';
is_deeply [ grep { !defined $version{$_} || $version{$_} ne $release } sort keys %version ], [], 'have its number';

my ($played) = slurp('t/lib/FakeBroker.pm') =~ /release => '(\S+)'/;
is $played, $release, 'the broker that tests play has it';

my ($version) = slurp('packaging/rpm/mod_spawn.spec') =~ /^Version:\s+(\S+)$/m;
is $version, $release, 'packages for rpm have it';

my %month;
@month{qw(January February March April May June July August September October November December)} = 1 .. 12;
my ($name, $of, $year) = slurp('module/mod_spawn.8') =~ /^[.]Dd (\w+) (\d+), (\d+)$/m;
is sprintf('%04d-%02d-%02d', $year, $month{$name}, $of), $day, 'mod_spawn(8) has its day';

my ($package, $date) = slurp('debian/changelog') =~ /\Amod-spawn \((\S+)\) .*?^ -- .* <.*>  (.*?)$/ms;
is $package, $release, 'debian/changelog begins with it';
my $when = Time::Piece->strptime($date, '%a, %d %b %Y %H:%M:%S %z');
is $when->ymd, $day, 'on that day';
is $when->strftime('%a, %d %b %Y'), $date =~ s/ \d\d:.*//r, 'which was that day of the week';

done_testing;
