# SPDX-License-Identifier: Apache-2.0
#
# CPU time of all processes that belong to a case, those that have gone too, by a
# control group that is made for them: cgroup v1 (cpuacct) or v2. Children inherit
# it, so nothing that a case starts can be missed, whoever reaps it. Used by the
# suite and by its programs; moves nobody but the suite itself, and that only while
# something is started.

package Bench::Usage;

use strict;
use warnings;

use SpawnTest::Wait qw(wait_until);

my $count = 0;

# Where groups are: { home: the suite's own, file: the one with the time }, or a
# reason why there is none.
sub _where {
    my $mounts = _slurp('/proc/self/mounts');
    my $mine = _slurp('/proc/self/cgroup');
    my ($mount, $path, $file);
    if (($mount) = $mounts =~ /^\S+ (\S+) cgroup \S*\bcpuacct\b/m) {
        ($path) = $mine =~ /^\d+:[^:]*\bcpuacct\b[^:]*:(.*)$/m;
        $file = 'cpuacct.usage';
    } elsif (($mount) = $mounts =~ /^\S+ (\S+) cgroup2 /m) {
        ($path) = $mine =~ /^0::(.*)$/m;
        $file = 'cpu.stat';
    } else {
        return 'no cgroup file system is mounted';
    }
    my $home = $mount . (defined $path && $path ne '/' && -d "$mount$path" ? $path : '');
    return { home => $home, file => $file };
}

# new: a group, or (undef, why not).
sub new {
    my ($class) = @_;
    my $where = _where();
    return (undef, $where) if !ref $where;
    my $dir = "$where->{home}/spawn-bench-$$-" . ++$count;
    mkdir $dir or return (undef, "$dir: $!");
    my $self = bless { %{$where}, dir => $dir, owner => $$ }, $class;
    if (!eval { $self->within(sub { }); us($self->file); 1 }) {
        my $why = $@;
        $self->remove;
        return (undef, $why);
    }
    return $self;
}

# Runs the code as a member: what it starts belongs to the group.
sub within {
    my ($self, $code) = @_;
    _put("$self->{dir}/cgroup.procs", $$);
    my @got = eval { $code->() };
    my $error = $@;
    _put("$self->{home}/cgroup.procs", $$);
    die $error if $error;
    return wantarray ? @got : $got[0];
}

# The file that us() reads, for programs.
sub file { return "$_[0]{dir}/$_[0]{file}" }

# us($file): microseconds since the group was made.
sub us {
    my ($file) = @_;
    my $text = _slurp($file);
    return $text =~ /^usage_usec (\d+)/m ? $1 : $text / 1000;
}

sub used { return us($_[0]->file) }

# Its processes have been ended.
sub remove {
    my ($self) = @_;
    return if $self->{owner} != $$ || $self->{removed}++;
    wait_until(sub { rmdir $self->{dir} || !-d $self->{dir} }, 5)
        or warn "bench: $self->{dir} is left: $!\n";
    return;
}

sub DESTROY { $_[0]->remove; return }

sub _put {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print {$out} "$text\n";
    close $out or die "$path: $!\n";
    return;
}

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/ = undef;
    my $text = <$in>;
    close $in;
    return $text;
}

1;
