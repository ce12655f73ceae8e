# SPDX-License-Identifier: Apache-2.0
#
# Looks at processes through /proc. Read-only; whoever signals a pid found
# here has first to make sure, by its command line, that it is the test's own.

package SpawnTest::Process;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(all_pids cmdline parent_of session_of started_at state_of children_of
    descendants_of rss_kb alive open_files);

sub _slurp {
    my ($path) = @_;
    open my $in, '<', $path or return;
    local $/ = undef;
    return scalar <$in>;
}

sub all_pids {
    opendir my $dir, '/proc' or die "/proc: $!\n";
    return grep { /^[0-9]+\z/ } readdir $dir;
}

# The arguments, as a list; empty for a zombie and for what has gone.
sub cmdline {
    my ($pid) = @_;
    my $text = _slurp("/proc/$pid/cmdline");
    return defined $text ? split /\0/, $text : ();
}

# Fields of /proc/PID/stat after the name: state, parent, group, session.
sub _stat {
    my ($pid) = @_;
    my $text = _slurp("/proc/$pid/stat");
    return if !defined $text || $text !~ /\) (.*)/s;
    return split / /, $1;
}

# In clock ticks since the boot; 0: there is no such process. No two of the same
# pid have the same one.
sub started_at { my @s = _stat($_[0]); return @s ? $s[19] : 0 }

sub session_of { my @s = _stat($_[0]); return @s ? $s[3] : 0 }
sub state_of  { my @s = _stat($_[0]); return @s ? $s[0] : '' }
sub parent_of { my @s = _stat($_[0]); return @s ? $s[1] : 0 }

# There and not a zombie. One with threads looks like a zombie as soon as its
# first thread has ended; the others may still hold its sockets, and one that
# stands in accept() takes a connection with it.
sub alive {
    my ($pid) = @_;
    my $state = state_of($pid);
    return 0 if $state eq '' || $state eq 'X';
    return 1 if $state ne 'Z';
    my @threads = glob "/proc/$pid/task/*";
    return @threads > 1;
}

sub children_of {
    my ($pid) = @_;
    return grep { parent_of($_) == $pid } all_pids();
}

sub descendants_of {
    my ($pid) = @_;
    my %children;
    for my $p (all_pids()) {
        push @{ $children{ parent_of($p) } }, $p;
    }
    my @found;
    my @todo = @{ $children{$pid} || [] };
    while (defined(my $p = shift @todo)) {
        push @found, $p;
        push @todo, @{ $children{$p} || [] };
    }
    return @found;
}

# Resident memory in kB.
sub rss_kb {
    my ($pid) = @_;
    my $status = _slurp("/proc/$pid/status");
    return defined $status && $status =~ /^VmRSS:\s+([0-9]+) kB/m ? $1 : 0;
}

# descriptor => what it is, as far as we may look.
sub open_files {
    my ($pid) = @_;
    opendir my $dir, "/proc/$pid/fd" or return;
    return map { $_ => readlink("/proc/$pid/fd/$_") || '' }
        grep { /^[0-9]+\z/ } readdir $dir;
}

1;
