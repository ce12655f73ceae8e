# SPDX-License-Identifier: Apache-2.0
#
# The build, installed for one httpd under any release's number, as often as a test
# wants: what another release is for httpd, spawner, broker and Perl. The code is the
# build's, so this shows how one release gives way to another, not what differs between
# two (t/unit/proto_older.c, broker_layouts.c). Runs in test scripts only.

package SpawnTest::Release;

use strict;
use warnings;

use File::Find ();

# The number of the build.
sub built {
    my $file = SpawnTest::root_dir() . '/common/spawn_release.h';
    open my $in, '<', $file or die "$file: $!\n";
    my ($number) = map { /SPAWN_RELEASE "([^"]+)"/ ? $1 : () } <$in>;
    return $number || die "$file has no release\n";
}

# Another one, of the same length.
sub newer {
    (my $number = built()) =~ s/.\z/9/;
    return $number;
}

# new($httpd): for an httpd that does not run yet; install puts something there.
sub new {
    my ($class, $httpd) = @_;
    my $to = $httpd->dir . '/modules';
    for my $dir ($to, "$to/mod_spawn") {
        mkdir $dir or die "$dir: $!\n";
        chmod 0755, $dir or die "$dir: $!\n";
    }
    $httpd->{module} = "$to/mod_spawn.so";
    return bless { modules => $to, perl => $httpd->dir . '/perl' }, $class;
}

# As make install does: each file is a new one, in the place of the old one, which
# runs on where it runs.
sub install {
    my ($self, $number) = @_;
    my ($build, $built) = (SpawnTest::build_dir(), built());
    my %to = map { ("$build/$_" => "$self->{modules}/$_") } qw(mod_spawn.so mod_spawn/spawner mod_spawn/broker);
    File::Find::find({ no_chdir => 1, wanted => sub {
                $to{$_} = $self->{perl} . substr $_, length "$build/perl" if /[.]so\z/;
            } }, "$build/perl");
    for my $from (sort keys %to) {
        my $text = _slurp($from);
        $text =~ s/\Q$built\E/$number/g;
        _put($to{$from}, $text, -x $from ? 0755 : 0644);
    }
    return;
}

# Where its programs are.
sub program { my ($self, $name) = @_; return "$self->{modules}/mod_spawn/$name" }

sub _slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or die "$path: $!\n";
    local $/ = undef;
    return scalar <$in>;
}

sub _put {
    my ($path, $text, $mode) = @_;
    open my $out, '>:raw', "$path.new" or die "$path: $!\n";
    print {$out} $text;
    close $out or die "$path: $!\n";
    chmod $mode, "$path.new" or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
    return;
}

1;
