# SPDX-License-Identifier: Apache-2.0
#
# Takes from a running process what it can have no more of (descriptors, memory), and
# gives it back. Only soft limits are changed, by prlimit(1), as the account that the
# process has: no right of root is needed. Runs in test scripts, on processes of the
# test's own.

package SpawnTest::Limits;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(limit no_descriptors no_memory);

# The soft limit that it had.
sub limit {
    my ($pid, $what, $value) = @_;
    my @prlimit = (_as($pid), 'prlimit', '--pid', $pid);
    open my $in, '-|', @prlimit, "--$what", '--raw', '--noheadings', '--output', 'SOFT'
        or die "prlimit: $!\n";
    chomp(my $had = readline $in);
    close $in or die "prlimit $pid: $?\n";
    system(@prlimit, "--$what=$value:") == 0 or die "prlimit $pid $value: $?\n";
    return $had;
}

# As if its table were full: a new number would have to be below 3, and these are taken.
sub no_descriptors { my ($pid) = @_; return limit($pid, nofile => 3) }

# No more than it has now: what is free in its heap, and nothing else.
sub no_memory {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/status" or die "no process $pid: $!\n";
    my ($kb) = map { /^VmSize:\s+([0-9]+)/ ? $1 : () } <$in>;
    return limit($pid, as => $kb << 10);
}

sub _as {
    my ($pid) = @_;
    return if $< != 0;
    open my $in, '<', "/proc/$pid/status" or die "no process $pid: $!\n";
    my %ids = map { /^([UG]id):\s+([0-9]+)/ ? ($1, $2) : () } <$in>;
    return $ids{Uid} ? ('setpriv', '--clear-groups', '--reuid', $ids{Uid}, '--regid', $ids{Gid}) : ();
}

1;
