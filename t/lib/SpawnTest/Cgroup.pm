# SPDX-License-Identifier: Apache-2.0
#
# A directory of cgroup v2 for a test, below the place where it is mounted; and where
# processes are in it. Nothing but the test's own is touched.

package SpawnTest::Cgroup;

use strict;
use warnings;

use SpawnTest qw(wait_until);

# Why there can be none here; empty when there can be one.
sub missing {
    my $place = _place() or return 'cgroup v2 is not mounted';
    my $self = eval { __PACKAGE__->new('try') } or return 'no directory can be made in cgroup v2';
    return -e $self->path . '/cgroup.kill' ? '' : 'cgroup.kill is not there (before Linux 5.14)';
}

# Why one cannot give its jobs the controllers that limits need; empty when it can.
sub controllers_missing {
    my $self = eval { __PACKAGE__->new('try') } or return 'no directory can be made in cgroup v2';
    open my $in, '<', $self->path . '/cgroup.controllers' or return 'cgroup v2 has no controllers here';
    my %has = map { $_ => 1 } split ' ', readline($in) // '';
    my @not = grep { !$has{$_} } qw(memory cpu pids);
    return @not ? "cgroup v2 does not give the controllers @not here" : '';
}

sub new {
    my ($class, $name) = @_;
    my $path = _place() . "/spawn-test-$$-$name";
    mkdir $path or die "$path: $!\n";
    return bless { path => $path, owner => $$ }, $class;
}

sub path { return $_[0]{path} }

# To an account: a directory below, as somebody gives one away.
sub give {
    my ($self, $dir, $account) = @_;
    my ($uid, $gid) = (getpwnam $account)[2, 3];
    chown($uid, $gid, $dir, map {"$dir/cgroup.$_"} qw(procs subtree_control threads)) == 4 or die "$dir: $!\n";
    return;
}

# Of the jobs that have one: names without what they have in common.
sub jobs {
    my ($self) = @_;
    opendir my $dir, $self->path or die $self->path . ": $!\n";
    return map { /\Aspawn-[0-9a-f]{8}-([0-9a-f-]{36})/ ? $1 : () } readdir $dir;
}

# The beginning of the name of this job's directory: a number of its httpd.
sub prefix {
    my ($self, $id) = @_;
    opendir my $dir, $self->path or die $self->path . ": $!\n";
    my ($prefix) = map { /\A(spawn-[0-9a-f]{8}-)\Q$id\E/ ? $1 : () } readdir $dir;
    return $prefix;
}

# The job whose directory a process is in: its id.
sub job_of {
    my ($self, $pid) = @_;
    open my $in, '<', "/proc/$pid/cgroup" or return '';
    my ($id) = map { m{\A0::.*/spawn-[0-9a-f]{8}-([0-9a-f-]{36})(?:-\d+)?\n} ? $1 : () } readline $in;
    return defined $id ? $id : '';
}

sub _place {
    open my $in, '<', '/proc/mounts' or die "/proc/mounts: $!\n";
    my ($place) = map { /\A\S+ (\S+) cgroup2 / ? $1 : () } readline $in;
    return $place;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!, $@);
    if (open my $kill, '>', $self->path . '/cgroup.kill') {
        print {$kill} '1';
        close $kill or warn "cgroup.kill: $!\n";
    }
    wait_until(sub { _remove($self->path) }, 20) or warn $self->path . ": is left\n";
    return;
}

sub _remove {
    my ($dir) = @_;
    _remove($_) for glob "$dir/*/";
    return rmdir $dir;
}

1;
