# SPDX-License-Identifier: Apache-2.0
#
# Debian's packages for tests: those that make deb has built, and the same under the number
# of another release. Runs in test scripts only.
#
# SPAWN_DEBS  the directory where they are, when it is not build/deb

package SpawnTest::Deb;

use strict;
use warnings;

use File::Copy qw(copy);
use File::Find ();
use File::Path qw(remove_tree);

use Test::More ();

use SpawnTest ();

# Where they are; skips the test when they are not there.
sub directory {
    my $dir = $ENV{SPAWN_DEBS} || SpawnTest::build_dir() . '/deb';
    Test::More::plan(skip_all => "there are no packages in $dir: make deb") if !glob "$dir/*.deb";
    return $dir;
}

# The files of these packages, copied to a directory.
sub built {
    my ($to, @names) = @_;
    return map { _copied($_, $to) } map { _file($_) } @names;
}

# The same of another release, whose number is as long: in control files, programs and modules.
sub renumbered {
    my ($to, $old, $new, @names) = @_;
    my @made;
    for my $name (@names) {
        my ($from, $dir) = (_file($name), "$to/$name");
        system('dpkg-deb', '-R', $from, $dir) == 0 or die "dpkg-deb -R $from: $?\n";
        File::Find::find({ no_chdir => 1, wanted => sub { _renumber($_, $old, $new) if -f && !-l } }, $dir);
        unlink "$dir/DEBIAN/md5sums";
        my $made = "$to/" . ($from =~ s{.*/}{}r =~ s/\Q$old\E/$new/r);
        system("dpkg-deb --root-owner-group -Znone -b $dir $made >/dev/null") == 0 or die "dpkg-deb -b $made: $?\n";
        remove_tree($dir);
        push @made, $made;
    }
    return @made;
}

sub _renumber {
    my ($file, $old, $new) = @_;
    open my $in, '<:raw', $file or die "$file: $!\n";
    my $text = do { local $/ = undef; <$in> };
    close $in;
    return if !defined $text || $text !~ s/\Q$old\E/$new/g;
    open my $out, '>:raw', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return;
}

sub _file {
    my ($name) = @_;
    my ($file, @more) = glob directory() . "/${name}_*.deb";
    die "$name: not one package\n" if !$file || @more;
    return $file;
}

sub _copied {
    my ($file, $to) = @_;
    my $copy = "$to/" . $file =~ s{.*/}{}r;
    copy($file, $copy) or die "$copy: $!\n";
    chmod 0644, $copy or die "$copy: $!\n";
    return $copy;
}

1;
