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

our @EXPORT_OK = qw(wait_until now);

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

1;
