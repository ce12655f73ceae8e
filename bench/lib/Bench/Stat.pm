# SPDX-License-Identifier: Apache-2.0
#
# Medians and quantiles, of lists of numbers. Used by the suite, its report and
# the handlers in httpd.

package Bench::Stat;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(median quantile);

# The value below which this part of the list lies (nearest rank).
sub quantile {
    my ($part, @values) = @_;
    return if !@values;
    my @sorted = sort { $a <=> $b } @values;
    my $at = int($part * @sorted);
    return $sorted[$at < @sorted ? $at : -1];
}

sub median {
    my (@values) = @_;
    return if !@values;
    my @sorted = sort { $a <=> $b } @values;
    my $half = int(@sorted / 2);
    return @sorted % 2 ? $sorted[$half] : ($sorted[ $half - 1 ] + $sorted[$half]) / 2;
}

1;
