# SPDX-License-Identifier: Apache-2.0
#
# A cgroup that has no memory: a process that is put there is killed by the kernel's OOM
# killer with the next page that it needs. For root, where the memory controller is there
# and can be used. Runs in test scripts, on processes of the test's own.

package SpawnTest::MemoryGroup;

use strict;
use warnings;

use SpawnTest::Process qw(alive);
use SpawnTest::Wait qw(wait_until);

my $why_not = '';

sub why_not { return $why_not }

# undef, and why_not says why.
sub new {
    my ($class) = @_;
    my $self;
    return $self if $self = _make($class, '/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.oom_control');
    return $self if $self = _make($class, '/sys/fs/cgroup', 'memory.max', 'memory.events');
    $why_not = $< == 0 ? 'there is no memory controller that can be used' : 'only root may use the memory controller';
    return;
}

sub _make {
    my ($class, $above, $limit, $events) = @_;
    my $path = "$above/spawn-test-$$";
    return if !mkdir $path;
    my $self = bless { path => $path, limit => "$path/$limit", events => "$path/$events", owner => $$ }, $class;
    return $self if -e $self->{limit} && -e $self->{events} && defined $self->count && $self->limited(1 << 14);
    rmdir $path;
    return;
}

# Bytes that it may have.
sub limited {
    my ($self, $bytes) = @_;
    return _write($self->{limit}, $bytes);
}

# How often the kernel has killed here; undef: it does not tell.
sub count {
    my ($self) = @_;
    open my $in, '<', $self->{events} or return;
    my ($count) = map { /^oom_kill ([0-9]+)/ ? $1 : () } <$in>;
    return $count;
}

# Puts the process there and has it do something, again and again, until it has gone.
# Was it the kernel?
sub kills {
    my ($self, $pid, $wake) = @_;
    my $before = $self->count;
    _write("$self->{path}/cgroup.procs", $pid) or return 0;
    wait_until(sub { $wake->(); return !alive($pid) }, 30) or return 0;
    return wait_until(sub { $self->count > $before }, 5);
}

sub _write {
    my ($path, $text) = @_;
    open my $out, '>', $path or return 0;
    return syswrite($out, $text) && close $out;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    my $path = $self->{path};
    wait_until(sub { rmdir $path }, 10);
    return;
}

1;
