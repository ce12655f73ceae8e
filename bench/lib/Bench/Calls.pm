# SPDX-License-Identifier: Apache-2.0
#
# The common part of the programs of bench/calls/: their arguments, and how they
# tell their figures. Runs in those programs, beside httpd.

package Bench::Calls;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

use Bench::Usage ();
use Bench::Work ();

our @EXPORT_OK = qw(now told rest);

use constant SETTLE => 0.1;

my ($began, $gap, $used);

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# begin: the process grows itself; begin('template'): a template of its will.
# How many at once, when to stop starting, megabytes.
sub begin {
    my ($who) = @_;
    die "usage: $0 MEGABYTES IN_FLIGHT SECONDS [GAP]\n" if @ARGV != 3 && @ARGV != 4;
    my ($megabytes, $in_flight, $seconds) = @ARGV;
    $gap = $ARGV[3];
    Bench::Work::grow($megabytes) if !$who;
    again();
    return ($in_flight, $began + $seconds, $megabytes);
}

# Between two calls, when they are to be spaced.
sub rest { select undef, undef, undef, $gap if $gap; return }    ## no critic (ProhibitSleepViaSelect)

# Prints begin, end, the ns of each call and, when BENCH_USAGE names the file of a
# group, the us of CPU that all took until their processes have gone.
sub told {
    my (@took) = @_;
    my $end = now();
    if (defined $used) {
        select undef, undef, undef, SETTLE;    ## no critic (ProhibitSleepViaSelect)
        $used = Bench::Usage::us($ENV{BENCH_USAGE}) - $used;
    }
    print JSON::PP->new->encode([ $began, $end, [ map { int 1e9 * $_ } @took ], $used ]);
    return;
}

# The clock starts anew: what came before was warm-up.
sub again {
    $used = Bench::Usage::us($ENV{BENCH_USAGE}) if $ENV{BENCH_USAGE};
    $began = now();
    return $began;
}

1;
