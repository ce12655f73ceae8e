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

sub new {
    my ($class, $name) = @_;
    my $path = _place() . "/spawn-test-$$-$name";
    mkdir $path or die "$path: $!\n";
    return bless { path => $path, owner => $$ }, $class;
}

sub path { return $_[0]{path} }

# Of the jobs that have one: names without what they have in common.
sub jobs {
    my ($self) = @_;
    opendir my $dir, $self->path or die $self->path . ": $!\n";
    return map { /\Aspawn-[0-9a-f]{8}-([0-9a-f-]{36})/ ? $1 : () } readdir $dir;
}

# What the name of this job's directory begins with: a number of its httpd.
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
    wait_until(sub { rmdir for glob $self->path . '/*/'; rmdir $self->path }, 20)
        or warn $self->path . ": is left\n";
    return;
}

1;
