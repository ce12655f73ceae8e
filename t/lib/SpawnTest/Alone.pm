# SPDX-License-Identifier: Apache-2.0
#
# For tests without httpd: what was built, in a directory that any account can read, and a
# place to work in. As root the test goes on as another account, since a standalone pair is
# none of root's. Runs in test scripts.

package SpawnTest::Alone;

use strict;
use warnings;

use Cwd ();
use File::Path ();
use File::Temp ();
use POSIX ();

use SpawnTest qw(build_dir wait_until);
use SpawnTest::Process qw(all_pids alive cmdline);

my $uid = 65534;

# As root: the test goes on in a child, and its files are removed here when that has ended. Who ends
# us means the test.
sub _watch {
    my ($dir) = @_;
    my $pid;
    local @SIG{qw(INT TERM)} = (sub { kill $_[0] => $pid if $pid }) x 2;
    $pid = fork;
    defined $pid or die "fork: $!\n";
    return if $pid == 0;
    while (waitpid($pid, 0) < 0) {
        last if !$!{EINTR};
    }
    my $code = $? >> 8 || ($? ? 1 : 0);
    File::Path::remove_tree($dir);
    POSIX::_exit($code);
}

# new: root is given up for good.
sub new {
    my ($class) = @_;
    my $dir = Cwd::realpath(File::Temp::tempdir('spawn-alone-XXXXXXXX', DIR => '/tmp', CLEANUP => 0));
    my $build = build_dir();
    system('cp', '-r', (map {"$build/$_"} qw(mod_spawn spawn-standalone spawnctl perl)), $dir) == 0 or die "cp: $?\n";
    system('chmod', '-R', 'a+rX', $dir) == 0 or die "chmod: $?\n";
    mkdir "$dir/work" or die "$dir/work: $!\n";
    my $self = bless { dir => $dir }, $class;
    if ($> == 0) {
        _watch($dir);
        $self->{watched} = 1;
        chown $uid, $uid, $dir, "$dir/work" or die "chown: $!\n";
        $) = "$uid $uid";    ## no critic (RequireLocalizedPunctuationVars)
        POSIX::setgid($uid);
        POSIX::setuid($uid);
        $> == $uid or die "setuid: $!\n";
    }
    $self->{owner} = $$;
    $SIG{$_} = sub { exit 1 } for qw(INT TERM);    ## no critic (RequireLocalizedPunctuationVars)
    delete @ENV{qw(SPAWN_SOCKET SPAWN_STANDALONE)};
    return $self;
}

sub dir     { return "$_[0]{dir}/work/pair" . (defined $_[1] ? $_[1] : '') }
sub perl    { return "$_[0]{dir}/perl" }
sub program { return "$_[0]{dir}/spawn-standalone" }
sub ctl     { return "$_[0]{dir}/spawnctl" }

# The processes of this pair's spawner, broker and parent.
sub pids {
    my ($self, $name) = @_;
    my $dir = $self->dir($name);
    return grep { my $line = join ' ', cmdline($_); $line =~ m{\A(?:mod_spawn|\S*spawn-standalone) .*\Q$dir\E(?:/socket)?\z} } all_pids();
}

sub parent_pid {
    my ($self, $name) = @_;
    return (grep { ((cmdline($_))[0] || '') =~ /spawn-standalone\z/ } $self->pids($name))[0];
}

sub broker_pid {
    my ($self, $name) = @_;
    return (grep { ((cmdline($_))[0] || '') eq 'mod_spawn broker' } $self->pids($name))[0];
}

sub spawner_pid {
    my ($self, $name) = @_;
    return (grep { ((cmdline($_))[0] || '') eq 'mod_spawn spawner' } $self->pids($name))[0];
}

sub ended {
    my ($self, $name) = @_;
    return wait_until(sub { !$self->pids($name) }, 60);
}

sub log_text {
    my ($self, $name) = @_;
    open my $in, '<', $self->dir($name) . '/log' or return '';
    local $/ = undef;
    return scalar <$in>;
}

# The parents are told; their spawners and brokers follow.
sub DESTROY {
    my ($self) = @_;
    return if $$ != $self->{owner};
    local ($?, $@, $!);
    my $of = sub {
        my ($name) = @_;
        return grep { my $line = join ' ', cmdline($_); $line =~ m{\A\S*$name .*\Q$self->{dir}\E/} } all_pids();
    };
    kill TERM => $_ for $of->('spawn-standalone');
    wait_until(sub { !$of->('(?:spawn-standalone|mod_spawn)') }, 20);
    File::Path::remove_tree($self->{dir}) if !$self->{watched};
    return;
}

1;
