# SPDX-License-Identifier: Apache-2.0
#
# Which CPUs a process may use. Runs in the suite; touches only pids that it is
# given.

package Bench::Cpu;

use strict;
use warnings;

use POSIX ();

# The CPUs that the suite may use, as numbers.
sub all {
    open my $in, '<', '/proc/self/status' or die "status: $!\n";
    my ($list) = do { local $/ = undef; <$in> } =~ /^Cpus_allowed_list:\s*(\S+)/m;
    close $in;
    return map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list;
}

# Two of them, or twice the same.
sub one { return (all())[0] }
sub two { return (all())[-1] }

# place('0,1', @pids)
sub place {
    my ($cpus, @pids) = @_;
    for my $pid (@pids) {
        my $child = fork;
        defined $child or die "fork: $!\n";
        if ($child == 0) {
            open STDOUT, '>', '/dev/null';
            exec 'taskset', '-a', '-p', '-c', $cpus, $pid or POSIX::_exit(127);
        }
        waitpid $child, 0;
        die "taskset -p -c $cpus $pid failed\n" if $? != 0;
    }
    return;
}

1;
