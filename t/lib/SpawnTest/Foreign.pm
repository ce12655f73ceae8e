# SPDX-License-Identifier: Apache-2.0
#
# An httpd with t/probe/mod_foreign.c: daemons that it forked in post_config,
# each as an account of its own, attack mod_spawn when they are told to, and say
# what they had to attack with. Runs in test scripts.

package SpawnTest::Foreign;

use strict;
use warnings;

use Fcntl qw(O_NONBLOCK O_WRONLY);
use File::Copy qw(copy);
use POSIX ();
use Test::More ();

use SpawnTest qw(wait_until);
use SpawnTest::Calls ();

# new(%options of SpawnTest::Calls->httpd, daemons => [ accounts ]); not started.
sub new {
    my ($class, %options) = @_;
    my @daemons = @{ delete $options{daemons} || [] };
    my $httpd = SpawnTest::Calls->httpd(templates => 'PerlModule SpawnTest::Functions', %options);
    my $module = SpawnTest::build_dir() . '/t/mod_foreign.so';
    my $dir = $httpd->work;
    copy(SpawnTest::build_dir() . '/t/marker', "$dir/marker") or die "marker (make probe): $!\n";
    chmod 0755, "$dir/marker" or die "$dir/marker: $!\n";
    $httpd->{conf} .= "LoadModule foreign_module $module\nForeignDir $dir\n"
        . join('', map { "ForeignDaemon $_\n" } @daemons)
        . "<Location /foreign>\nSetHandler foreign\n</Location>\n";
    for my $name (@daemons) {
        POSIX::mkfifo("$dir/$name.go", 0666) or die "$dir/$name.go: $!\n";
        chmod 0666, "$dir/$name.go" or die "$dir/$name.go: $!\n";
    }
    return bless { httpd => $httpd }, $class;
}

sub httpd { return $_[0]{httpd} }

# Has the daemon of this account attack; what it says of it.
sub attack { my ($self, $name) = @_; return $self->_have($name, 'a') }

# Has it shut the link between httpd and the spawner down.
sub shut_down { my ($self, $name) = @_; return $self->_have($name, 's') }

sub _have {
    my ($self, $name, $what) = @_;
    my $dir = $self->httpd->work;
    unlink "$dir/$name.said";
    my $go;
    wait_until(sub { sysopen $go, "$dir/$name.go", O_WRONLY | O_NONBLOCK }, 20)
        or die "the daemon of $name does not listen: $!\n";
    syswrite $go, $what;
    close $go or die "$dir/$name.go: $!\n";
    wait_until(sub { -e "$dir/$name.said" }, 30) or die "the daemon of $name says nothing\n";
    return _slurp("$dir/$name.said");
}

# The same from an httpd child.
sub attack_from_a_child { return $_[0]->httpd->get('/foreign')->{content} }

# Marks of the programs that the attacks had executed: lines "how as uid".
sub marks {
    my ($self) = @_;
    my @lines = sort split /\n/, _slurp($self->httpd->work . '/marks');
    return @lines;
}

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/ = undef;
    return scalar <$in>;
}

1;
