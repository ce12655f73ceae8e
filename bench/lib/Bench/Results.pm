# SPDX-License-Identifier: Apache-2.0
#
# The results that the suite wrote: figures by section and name, ratios of two
# of them, and how numbers are shown. Read-only. Runs in bench/report.

package Bench::Results;

use strict;
use warnings;

use JSON::PP ();

# new($directory): all sections that are there.
sub new {
    my ($class, $directory) = @_;
    my $self = bless { section => {} }, $class;
    for my $file (glob "$directory/*.json") {
        open my $in, '<', $file or die "$file: $!\n";
        my $data = JSON::PP::decode_json(do { local $/ = undef; <$in> });
        close $in;
        next if ref $data ne 'HASH';      # reach.json
        $data->{by_name} = { map { $_->{name} => $_ } @{ $data->{figures} } };
        $self->{section}{ $data->{section} } = $data;
    }
    return $self;
}

sub section { return $_[0]{section}{ $_[1] } }

# get('held', 'alone/free/spaced/20/posted/p50'): the figure, or undef.
sub get {
    my ($self, $section, $name) = @_;
    my $data = $self->{section}{$section};
    return $data ? $data->{by_name}{$name} : undef;
}

# The rates at which a site that makes Perl calls was asked.
sub rates {
    my ($self) = @_;
    my $data = $self->{section}{site} or return;
    my %rate = map { m{^calls/(\d+)/} ? ($1 => 1) : () } map { $_->{name} } @{ $data->{figures} };
    my @rates = sort { $a <=> $b } keys %rate;
    return @rates;
}

# Of these names the one with the highest median.
sub best {
    my ($self, $section, @names) = @_;
    my ($best) = sort { $b->{median} <=> $a->{median} } grep { defined } map { $self->get($section, $_) } @names;
    return $best;
}

# The first figure in parts of the second: the ratio of their medians, and the
# least and the biggest of the rounds' own. A round in which the second did nothing
# has none.
sub ratio {
    my ($self, $one, $other) = @_;
    return my $none if !$one || !$other || !$other->{median};
    my $last = (sort { $a <=> $b } $#{ $one->{rounds} }, $#{ $other->{rounds} })[0];
    my @each = sort { $a <=> $b } map { $one->{rounds}[$_] / $other->{rounds}[$_] }
        grep { $other->{rounds}[$_] } 0 .. $last;
    return my $nothing if !@each;
    return { median => $one->{median} / $other->{median}, min => $each[0], max => $each[-1] };
}

# ---- how numbers are shown ----

# Three digits, thousands set apart.
sub shown {
    my ($n) = @_;
    return '-' if !defined $n;
    my $text = $n == int $n || abs $n >= 100 ? sprintf('%.0f', $n) : abs $n >= 10 ? sprintf('%.1f', $n)
        : abs $n >= 1 ? sprintf('%.2f', $n) : sprintf '%.3g', $n;
    1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;
    return $text;
}

# median (min-max)
sub range {
    my ($figure) = @_;
    return '-' if !$figure;
    return sprintf '%s (%s-%s)', map { shown($figure->{$_}) } qw(median min max);
}

1;
