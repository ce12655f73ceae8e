#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# packaging/deb, out of a small checkout and with a dpkg-buildpackage that only plays it: it
# removes what it has built there before, and nothing that somebody else has put there. When
# the build fails, so does it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp ();
use Test::More;

use SpawnTest qw(root_dir);

my $dir = File::Temp::tempdir('spawn-deb-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
my $sources = "$dir/sources";    # as out of a release's tarball: no git

sub file {
    my ($path, $text, $mode) = @_;
    make_path("$dir/$path" =~ s{/[^/]*\z}{}r);
    open my $out, '>', "$dir/$path" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod $mode, "$dir/$path" or die "$path: $!\n";
    return;
}

make_path("$sources/packaging");
for my $name (qw(dist cpan deb)) {
    copy(root_dir() . "/packaging/$name", "$sources/packaging/$name") or die "$name: $!\n";
    chmod 0755, "$sources/packaging/$name" or die "$name: $!\n";
}
file('sources/common/spawn_release.h', qq{#define SPAWN_RELEASE "4.5.6"\n#define SPAWN_RELEASED "2031-02-03"\n}, 0644);

my @built = map { "libapache2-${_}_4.5.6_all.deb" } qw(mod-spawn mod-spawn-doc spawn-perl);
file('bin/dpkg-buildpackage', "#!/bin/sh\necho said by the build\n[ ! -e $dir/broken ] || exit 3\n"
        . join('', map {"echo built >../$_\n"} @built), 0755);

sub deb {
    local $ENV{PATH} = "$dir/bin:$ENV{PATH}";
    my $said = `$sources/packaging/deb $dir/to 2>&1`;
    return ($? >> 8, $said);
}

my %others = map { ("to/$_" => "somebody else's\n") } qw(apache2_2.4_all.deb spawn.txt my.tar.gz);
file($_, $others{$_}, 0644) for keys %others;
file('to/libapache2-mod-spawn_4.5.5_all.deb', "of a release before\n", 0644);

my ($code, $said) = deb();
is $code, 0, 'packages are built' or diag $said;
like $said, qr{^  DEB \Q$dir\E/to/\Q$_\E$}m, "$_ is named" for @built;
unlike $said, qr/apache2_2/, 'and no other one';
ok -e "$dir/$_", "$_ is left alone" for sort keys %others;
ok !-e "$dir/to/libapache2-mod-spawn_4.5.5_all.deb", 'what was built before is gone';

file('broken', '', 0644);
($code, $said) = deb();
is $code, 1, 'a build that fails';
like $said, qr/^said by the build$/m, '... what it said';
like $said, qr{\Q$dir\E/to/log has all of it}, '... and where all of it is';
ok !-e "$dir/to/$built[0]", '... with no package of before';

done_testing;
