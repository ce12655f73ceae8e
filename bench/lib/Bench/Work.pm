# SPDX-License-Identifier: Apache-2.0
#
# The Perl functions that are called as jobs, and what makes a template big.
# Runs in templates' processes and in processes that are compared with them;
# loads nothing, so that its size says nothing.

package Bench::Work;

use strict;
use warnings;

my @fat;

sub echo { return $_[0] }

# The same, for AnyEvent::Fork: the answer goes into a socket.
sub answer {
    my ($socket, $value) = @_;
    syswrite $socket, echo($value);
    return;
}

# Stays until somebody opens the named pipe to write; a file with its pid says that
# it is there.
sub hold {
    my ($gate, $there) = @_;
    open my $out, '>', "$there.$$" or die "$there.$$: $!\n";
    close $out;
    open my $in, '<', $gate or die "$gate: $!\n";
    return 1;
}

## no critic (ProhibitSleepViaSelect)
sub wait_50_ms { select undef, undef, undef, 0.05; return 1 }

# Grows to so many megabytes, by memory that is really written.
sub grow {
    my ($megabytes) = @_;
    for (;;) {
        open my $in, '<', '/proc/self/statm' or die "statm: $!\n";
        my (undef, $pages) = split / /, <$in>;
        close $in;
        return $pages / 256 if $pages / 256 >= $megabytes;
        push @fat, 'x' x (1 << 20);
    }
}

1;
