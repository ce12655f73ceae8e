# SPDX-License-Identifier: Apache-2.0
#
# What the three applications and their jobs call. httpd.conf loads it, so that templates have it.

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

# The status of a job, for an application; nothing when there is none of this id. Other errors are no
# news of the job: they go on to the caller, whose answer is 500.
sub status_of {
    my ($jobs, $id) = @_;
    my $status = eval { $jobs->job($id)->status };
    return $status if $status;
    my $error  = $@;
    my $caught = Apache2::Spawn::Error->caught($error);
    die $error if !$caught || $caught->code !~ /\A(?:no_such_job|invalid)\z/;    # invalid: no id at all
    return;
}

# Goes to the error log, with the job's id.
sub note { my ($text) = @_; warn "noted: $text\n"; return }

1;
