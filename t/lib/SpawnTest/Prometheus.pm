# SPDX-License-Identifier: Apache-2.0
#
# Reads a page in Prometheus's text format, strictly: what Prometheus would take and
# another reader would not is wrong, too. Runs in test scripts.

package SpawnTest::Prometheus;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(parse);

my $NAME = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $VALUE = qr/[+-]?(?:[0-9]+(?:[.][0-9]+)?(?:e[+-]?[0-9]+)?|Inf|NaN)/;
my $LABEL = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^\\"\n]|\\[\\"n])*"/;

# To which family a sample belongs.
sub _family {
    my ($name, $types) = @_;
    (my $base = $name) =~ s/_(?:bucket|sum|count)\z//;
    return defined $types->{$base} && $types->{$base} eq 'histogram' ? $base : $name;
}

# Buckets of one histogram: they grow, the last is +Inf and the count.
sub _check_histogram {
    my ($name, $buckets, $count) = @_;
    my ($last_le, $last) = ('-inf', 0);
    for my $bucket (@{$buckets}) {
        my ($le, $value) = @{$bucket};
        return "$name: no bounds that grow" if $le ne '+Inf' && $last_le ne '-inf' && $le <= $last_le;
        return "$name: buckets that shrink" if $value < $last;
        ($last_le, $last) = ($le, $value);
    }
    return "$name: no bucket +Inf" if $last_le ne '+Inf';
    return defined $count && $count == $last ? () : "$name: +Inf is not the count";
}

# parse($text): samples by name and labels as they stand, and what is wrong.
sub parse {
    my ($text) = @_;
    my (%help, %types, %samples, %histograms, @wrong);
    my $family = '';
    push @wrong, 'the last line has no end' if $text !~ /\n\z/;
    for my $line (split /\n/, $text) {
        if ($line =~ /^[#] HELP ($NAME) (\S.*)\z/) {
            push @wrong, "$1: a second HELP" if $help{$1}++;
            $family = $1;
        }
        elsif ($line =~ /^[#] TYPE ($NAME) (counter|gauge|histogram)\z/) {
            my ($name, $type) = ($1, $2);
            push @wrong, "$name: TYPE comes not after its HELP" if $name ne $family || $types{$name};
            push @wrong, "$name: a counter, and not by its name, or by that alone"
                if ($type eq 'counter') != ($name =~ /_total\z/ ? 1 : 0);
            $types{$name} = $type;
        }
        elsif ($line =~ /^($NAME)(?:[{]($LABEL(?:,$LABEL)*)[}])? ($VALUE)\z/) {
            my ($name, $labels, $value) = ($1, $2, $3);
            my $of = _family($name, \%types);
            my $key = $name . (defined $labels ? "{$labels}" : '');
            push @wrong, "$line: of another family" if $of ne $family || !$types{$of};
            push @wrong, "$line: twice" if exists $samples{$key};
            $samples{$key} = $value;
            next if $types{$of} ne 'histogram';
            my $rest = defined $labels ? $labels : '';
            my $le = $rest =~ s/,?le="([^"]*)"\z// ? $1 : undef;
            my $histogram = $histograms{"$of $rest"} ||= {};
            push @{ $histogram->{buckets} }, [ $le, $value ] if defined $le;
            $histogram->{count} = $value if $name =~ /_count\z/;
        }
        else {
            push @wrong, "'$line' is no line of the format";
        }
    }
    push @wrong, _check_histogram($_, $histograms{$_}{buckets} || [], $histograms{$_}{count}) for sort keys %histograms;
    return (\%samples, @wrong);
}

1;
