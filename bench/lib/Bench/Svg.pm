# SPDX-License-Identifier: Apache-2.0
#
# Draws two kinds of charts as SVG text, both with logarithmic scales: bars with
# the range of the rounds, and lines over a size. Runs in bench/report.

package Bench::Svg;

use strict;
use warnings;

use Bench::Results ();

my @colours = map { "#$_" } qw(1f6fb2 d1495b 2a9d5c 8a5fbf c77d0a 4a4e57 12919e b24a9b 7a8b1f a0522d 3f51b5);
my $grey = '#9aa0a8';

sub _text {
    my ($x, $y, $text, $anchor, $more) = @_;
    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;
    $text =~ s/>/&gt;/g;
    return sprintf qq{<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>\n}, $x, $y, $anchor || 'start',
        $more ? " $more" : '', $text;
}

sub _page {
    my ($width, $height, $title, @parts) = @_;
    return sprintf(<<'END', $width, $height, $width, $height) . _text(12, 22, $title, 'start', 'font-weight="bold"')
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d"
 font-family="sans-serif" font-size="12" fill="#222">
<rect width="100%%" height="100%%" fill="#fff"/>
END
        . join('', @parts) . "</svg>\n";
}

# 1, 10, 100 ... from below the least to above the biggest.
sub _decades {
    my (@values) = @_;
    my ($least, $biggest) = (sort { $a <=> $b } grep { $_ > 0 } @values)[ 0, -1 ];
    my ($from, $to) = (_floor(log($least) / log 10), -_floor(-log($biggest) / log 10));
    $to++ if $to == $from;
    return ($from, $to);
}

sub _floor { my ($n) = @_; my $i = int $n; return $i > $n ? $i - 1 : $i }

# bars($title, [ label, { median, min, max } ], ...)
sub bars {
    my ($title, @bars) = @_;
    @bars = grep { $_->[1] } @bars;
    return if !@bars;
    my ($width, $left, $top, $step) = (760, 270, 40, 24);
    my $height = $top + $step * @bars + 34;
    my $bottom = $top + $step * @bars;
    my ($from, $to) = _decades(map { ($_->[1]{min}, $_->[1]{max}) } @bars);
    my $scale = ($width - $left - 90) / ($to - $from);
    my $x = sub { my ($n) = @_; return $left + $scale * (log($n > 0 ? $n : 10**$from) / log(10) - $from) };
    my @parts;
    for my $decade ($from .. $to) {
        my $at = $x->(10**$decade);
        push @parts, sprintf(qq{<path d="M%.1f %dV%d" stroke="#ddd"/>\n}, $at, $top, $bottom),
            _text($at, $bottom + 18, Bench::Results::shown(10**$decade), 'middle');
    }
    my $y = $top;
    for my $bar (@bars) {
        my ($label, $figure) = @{$bar};
        my ($min, $median, $max) = map { $x->($figure->{$_}) } qw(min median max);
        my $colour = $label =~ /^limit|^no work|^without/ ? $grey : $label =~ /^(?:spawn|call|with)\b/ ? $colours[0] : $colours[1];
        push @parts, _text($left - 8, $y + 16, $label, 'end'),
            sprintf(qq{<rect x="%.1f" y="%.1f" width="%.1f" height="14" fill="%s"/>\n}, $left, $y + 5, $median - $left, $colour),
            sprintf(qq{<path d="M%.1f %.1fH%.1f" stroke="#222"/>\n}, $min, $y + 12, $max),
            _text($max + 6, $y + 16, Bench::Results::shown($figure->{median}));
        $y += $step;
    }
    return _page($width, $height, $title, @parts);
}

# lines($title, 'x axis', [ label, [ x, y ], ... ], ...); an x of 0 stands at the
# left edge.
sub lines {
    my ($title, $axis, @lines) = @_;
    @lines = grep { @{$_} > 1 } @lines;
    return if !@lines;
    my ($width, $height, $left, $top, $right) = (760, 420, 70, 40, 500);
    my $bottom = $height - 50;
    my %x = map { $_->[0] => 1 } map { @{$_}[ 1 .. $#{$_} ] } @lines;
    my @x = sort { $a <=> $b } keys %x;
    my %at = map { $x[$_] => $left + 20 + ($right - $left - 40) * $_ / (@x > 1 ? $#x : 1) } 0 .. $#x;
    my ($from, $to) = _decades(map { $_->[1] } map { @{$_}[ 1 .. $#{$_} ] } @lines);
    my $y = sub { my ($n) = @_; return $bottom - ($bottom - $top) * (log($n) / log(10) - $from) / ($to - $from) };
    my @parts = (_text(($left + $right) / 2, $height - 14, $axis, 'middle'));
    for my $decade ($from .. $to) {
        push @parts, sprintf(qq{<path d="M%d %.1fH%d" stroke="#ddd"/>\n}, $left, $y->(10**$decade), $right),
            _text($left - 8, $y->(10**$decade) + 4, Bench::Results::shown(10**$decade), 'end');
    }
    push @parts, map { _text($at{$_}, $bottom + 18, Bench::Results::shown($_), 'middle') } @x;
    my $n = 0;
    my $space = -100;
    for my $line (sort { $b->[-1][1] <=> $a->[-1][1] } @lines) {
        my ($label, @points) = @{$line};
        # ours stand out, limits stand back
        my $ours = $label =~ /^(?:spawn|call)\b/;
        my $colour = $ours ? $colours[0] : $label =~ /^(?:limit|no )/ ? $grey : $colours[ 1 + $n++ % $#colours ];
        push @parts, sprintf qq{<path d="M%s" fill="none" stroke="%s" stroke-width="%d"/>\n},
            join('L', map { sprintf '%.1f %.1f', $at{ $_->[0] }, $y->($_->[1]) } @points), $colour, $ours ? 4 : 2;
        push @parts, map { sprintf qq{<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>\n}, $at{ $_->[0] }, $y->($_->[1]), $colour } @points;
        # labels stand below each other where lines end close together
        my $label_y = $y->($points[-1][1]) + 4;
        $label_y = $space + 15 if $label_y < $space + 15;
        $space = $label_y;
        push @parts, _text($right + 8, $label_y, $label, 'start', qq{fill="$colour"});
    }
    return _page($width, $height, $title, @parts);
}

1;
