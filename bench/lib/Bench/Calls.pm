# SPDX-License-Identifier: Apache-2.0
#
# What the programs of bench/calls/ share: their arguments, and how they tell what
# they measured. Runs in those programs, beside httpd.

package Bench::Calls;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

use Bench::Work ();

our @EXPORT_OK = qw(now told);

my $began;

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# begin: the process grows itself; begin('template'): a template of its will.
# How many at once, when to stop starting, megabytes.
sub begin {
    my ($who) = @_;
    die "usage: $0 MEGABYTES IN_FLIGHT SECONDS\n" if @ARGV != 3;
    my ($megabytes, $in_flight, $seconds) = @ARGV;
    Bench::Work::grow($megabytes) if !$who;
    $began = now();
    return ($in_flight, $began + $seconds, $megabytes);
}

# Prints begin, end, and the ns of each call.
sub told {
    my (@took) = @_;
    print JSON::PP->new->encode([ $began, now(), [ map { int 1e9 * $_ } @took ] ]);
    return;
}

# The clock starts anew: what came before was warm-up.
sub again { $began = now(); return $began }

1;
