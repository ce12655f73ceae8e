# SPDX-License-Identifier: Apache-2.0
#
# What the jobs of the three applications call. httpd.conf loads it, so that templates have it.

package Example::Work;

use strict;
use warnings;

use Apache2::Spawn ();

sub total {
    my (@numbers) = @_;
    my $sum = 0;
    $sum += $_ for @numbers;
    return $sum;
}

# Takes its time, and says how far it is.
sub report {
    my ($month) = @_;
    for my $step (1 .. 5) {
        Apache2::Spawn->job->progress($step, 5, "week $step");
        select undef, undef, undef, 0.2;
    }
    return "the report of $month";
}

# Goes to the error log, with the job's id.
sub note { my ($text) = @_; warn "noted: $text\n"; return }

1;
