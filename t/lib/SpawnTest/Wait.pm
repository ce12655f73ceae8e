# SPDX-License-Identifier: Apache-2.0
#
# The one place of all tests that waits for a condition which nobody can be
# asked to announce (a process has gone, a line stands in a log): looks again
# every 10 ms until it holds or the deadline has passed. Everything else waits
# on events: an answer, an end of file, a child's exit.

package SpawnTest::Wait;

use strict;
use warnings;

use Exporter 'import';
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime usleep);

our @EXPORT_OK = qw(wait_until now in_time);

# Seconds on the clock that never jumps.
sub now { return clock_gettime(CLOCK_MONOTONIC) }

# wait_until(sub { condition }, 10): what the condition returned as soon as it
# is true, or its last false value when the seconds are over. It is asked at
# least once, and once more after the deadline, so that a busy machine cannot
# make it miss what is there.
sub wait_until {
    my ($condition, $seconds) = @_;
    my $end = now() + $seconds;
    while (now() < $end) {
        my $value = $condition->();
        return $value if $value;
        usleep(10_000);
    }
    return $condition->();
}

# A time-out counts from the fork: on a busy machine it can be over before a job is as
# far as its test wants it to be. in_time(sub { a try with the time-out $_[0] }): what
# the try returned as soon as that is not empty; each has more time than the one before.
sub in_time {
    my ($try) = @_;
    for my $timeout (1.5, 6, 24) {
        my @begun = $try->($timeout);
        return wantarray ? @begun : $begun[0] if @begun;
    }
    die "no job has begun in time\n";
}

1;
