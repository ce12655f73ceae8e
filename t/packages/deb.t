#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# make deb: four packages, each of whose files has its mode, and lintian has no word against
# them. What make install gives is in one of them, and in no two.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/../lib";

use Test::More;

use SpawnTest::Deb;
use SpawnTest::Release;

plan skip_all => 'there is no dpkg-buildpackage, or no lintian' if grep { system("command -v $_ >/dev/null") != 0 } qw(dpkg-buildpackage lintian);

my $dir = SpawnTest::Deb::directory();
my $release = SpawnTest::Release::built();

my @packages = qw(libapache2-mod-spawn libapache2-mod-spawn-dev libapache2-mod-spawn-doc libapache2-spawn-perl);
my @debs = glob "$dir/*_${release}_*.deb";
is_deeply [ sort map { m{/([^/_]+)_} ? $1 : () } grep { !/-dbgsym_/ } @debs ], \@packages, 'the packages';

my (%mode, %of);
for my $package (@packages) {
    my ($file) = glob "$dir/${package}_*.deb";
    for (`dpkg-deb -c $file`) {
        my ($mode, $owner, $name) = /\A(\S+) (\S+) .* [.](\/.*)$/ or next;
        is $owner, 'root/root', "$name: $owner" if $owner ne 'root/root';
        next if $name =~ m{/\z};
        push @{ $of{$name} }, $package;
        $mode{$name} = $mode;
    }
}
is_deeply [ grep { @{ $of{$_} } > 1 } sort keys %of ], [], 'a file is in one of them';
my @programs = map { m{/(\w+)\z} } grep { $mode{$_} =~ /\A-rwxr-xr-x\z/ } sort keys %mode;
is_deeply [ sort @programs ], [qw(broker spawnctl spawner waiter)], 'programs can be executed';
is_deeply [ grep { $mode{$_} !~ /\A(?:-rw-r--r--|-rwxr-xr-x|l.*)\z/ } sort keys %mode ], [], 'all else can be read';

my ($scripts) = glob "$dir/libapache2-mod-spawn_*.deb";
my $config = `dpkg-deb -I $scripts conffiles`;
is_deeply [ sort split /\n/, $config ], [ map { "/etc/apache2/mods-available/spawn.$_" } qw(conf load) ], 'files of administrators';
my $said = join '', map { `dpkg-deb -I $scripts $_` } qw(postinst prerm postrm);
like $said, qr/apache2_invoke enmod spawn reload/, 'httpd is reloaded';
is_deeply [ grep { /restart/ && !/\A#/ } split /\n/, $said ], [], 'and never restarted';

my $lintian = `lintian --allow-root --fail-on error,warning @debs 2>&1`;
is $?, 0, 'lintian has no error and no warning' or diag $lintian;

done_testing;
