# SPDX-License-Identifier: Apache-2.0
#
# Faults of the usual kinds in one C file. All of them stand in one text, each
# behind a number, and the number that is switched on at run time is the one that
# acts: so a file is compiled once, not once for each fault.
#
# The C is ours and formatted by clang-format: that is what makes it possible to
# find conditions and statements without a parser. A fault that does not compile
# with its switch (a constant in a case label) is left out by the caller:
# without().

package Mutants::Source;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);

# Takes the file's path and text and the first number that is free.
sub new {
    my ($class, $path, $text, $next) = @_;
    my $self = bless { path => $path, text => $text, first => $next, next => $next, found => [] }, $class;
    $self->{mask} = _mask($text);
    $self->_find;
    return $self;
}

# The faults: { number, kind, path, function, line, was, is, from, length, put }.
sub found { return @{ $_[0]{found} } }

# Leaves out those that stand on one of these lines, or are a constant that one
# names. How many were left out.
sub without {
    my ($self, @lines) = @_;
    my %bad   = map { $_ => 1 } @lines;
    my @text  = split /\n/, $self->{mask};
    my $words = join ' ', map { $text[ $_ - 1 ] } grep { $_ <= @text } keys %bad;
    my $count = @{ $self->{found} };
    @{ $self->{found} } = grep {
        my $fault = $_;
        !(grep { $bad{$_} } $fault->{line} .. $fault->{last})
            && !($fault->{kind} eq 'constant' && $words =~ /\b\Q$fault->{function}\E\b/);
    } @{ $self->{found} };
    return $count - @{ $self->{found} };
}

# Which were left out, as places in its list of faults, with what they are of; and
# the same again for the same text.
sub left_out {
    my ($self) = @_;
    my %there = map { $_->{number} => 1 } @{ $self->{found} };
    return join ' ', md5_hex($self->{text}), map { $_ - $self->{first} } grep { !$there{$_} } $self->{first} .. $self->{next} - 1;
}

sub leave_out {
    my ($self, $left_out) = @_;
    my ($of, @places) = split / /, $left_out;
    return if $of ne md5_hex($self->{text});
    my %out = map { $_ + $self->{first} => 1 } @places;
    @{ $self->{found} } = grep { !$out{ $_->{number} } } @{ $self->{found} };
    return;
}

# The C text with all faults behind their numbers.
sub text {
    my ($self) = @_;
    my %of;
    push @{ $of{"$_->{from} $_->{length}"} }, $_ for @{ $self->{found} };
    # the inner ones first: an outer one takes its text with them in it
    my @places = sort { $a->[1] <=> $b->[1] || $b->[0] <=> $a->[0] }
        map { [ split / / ] } keys %of;
    my $out   = $self->{text};
    my @moved;    # [at, by]: what earlier replacements added
    for my $place (@places) {
        my ($from, $length) = @$place;
        my $now = $from;
        my $now_length = $length;
        for my $move (@moved) {
            my ($at, $until, $by) = @$move;
            if ($until <= $from) { $now += $by }
            elsif ($at >= $from && $until <= $from + $length) { $now_length += $by }
        }
        my $inner = substr $out, $now, $now_length;
        my $new   = $inner;
        for my $fault (@{ $of{"$from $length"} }) {
            $new = $fault->{statement}
                ? "{ if (!MUTANT($fault->{number})) $new }"
                : $fault->{truth} ? "(MUTANT($fault->{number}) ? !!($fault->{put}) : !!($new))"
                : "(MUTANT($fault->{number}) ? ($fault->{put}) : ($new))";
        }
        substr $out, $now, $now_length, $new;
        push @moved, [ $from, $from + $length, length($new) - $now_length ];
    }
    return qq{#include "mutant.h"\n#line 1\n$out};
}

# ---- finding ----

# Comments, strings and preprocessor lines as blanks, of the same length.
sub _mask {
    my ($text) = @_;
    my $blank = sub { my $s = shift; $s =~ s/[^\n]/ /g; return $s };
    my $quote = sub { my $s = shift; return substr($s, 0, 1) . '_' x (length($s) - 2) . substr $s, -1 };
    $text =~ s{(/\*.*?\*/|//[^\n]*)|("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')}
              {defined $1 ? $blank->($1) : $quote->($2)}gse;
    $text =~ s{^(\#(?:[^\n]*\\\n)*[^\n]*)}{$blank->($1)}gme;
    return $text;
}

sub _line { my ($self, $at) = @_; return 1 + (substr($self->{text}, 0, $at) =~ tr/\n//) }

sub _add {
    my ($self, $kind, $from, $length, %rest) = @_;
    my $was = substr $self->{text}, $from, $length;
    $rest{put} =~ s/\s*\n\s*/ /g if defined $rest{put};    # lines keep their numbers
    s/\s+/ /g for $was, my $is = defined $rest{put} ? $rest{put} : '(left out)';
    push @{ $self->{found} }, {
        number => $self->{next}++, kind => $kind, path => $self->{path}, function => $self->{function},
        line => $self->_line($from), last => $self->_line($from + $length - 1),
        was => $was, is => $is, from => $from, length => $length, %rest,
    };
    return;
}

sub _find {
    my ($self) = @_;
    while ($self->{text} =~ /^#define[ ]+(\w+)[ ]+([1-9]\d*)(?=\s*(?:$|\/\*))/gm) {
        local $self->{function} = $1;
        $self->_add(constant => $-[2], $+[2] - $-[2], put => $2 + 1);
    }
    while ($self->{mask} =~ /^(?!static const|typedef|struct|enum)\w[^\n;{}]*?\b(\w+)\([^;{}]*?\)\n\{\n(.*?)^\}/gms) {
        $self->{function} = $1;
        my ($from, $body) = ($-[2], $2);
        $self->_conditions($from, $body);
        $self->_returns($from, $body);
        $self->_statements($from, $body);
        $self->_constants($from, $body);
    }
    return;
}

# The place after the parenthesis that closes the one at $at.
sub _closing {
    my ($text, $at) = @_;
    my $depth = 0;
    pos($text) = $at;
    while ($text =~ /([()])/g) {
        $depth += $1 eq '(' ? 1 : -1;
        return pos $text if $depth == 0;
    }
    return;
}

sub _conditions {
    my ($self, $base, $body) = @_;
    while ($body =~ /\b(if|while) \(/g) {
        my ($word, $open) = ($1, pos($body) - 1);
        my $close = _closing($body, $open) or next;
        my ($from, $length) = ($base + $open + 1, $close - $open - 2);
        my $real = substr $self->{text}, $from, $length;
        next if $real =~ /^\s*(?:true|1)\s*$/;
        $self->_add('condition false',   $from, $length, put => '0', truth => 1);
        $self->_add('condition true',    $from, $length, put => '1', truth => 1) if $word eq 'if';
        $self->_operators($from, $real, substr($self->{mask}, $from, $length), truth => 1);
    }
    while ($body =~ /\bfor \(/g) {
        my $open  = pos($body) - 1;
        my $close = _closing($body, $open) or next;
        my $head  = substr $body, $open + 1, $close - $open - 2;
        next if $head !~ /^([^;]*;)(\s*)([^;]+);/;
        my ($from, $length) = ($base + $open + 1 + length("$1$2"), length $3);
        $self->_add('condition false', $from, $length, put => '0', truth => 1);
        $self->_operators($from, substr($self->{text}, $from, $length), $3, truth => 1);
    }
    return;
}

my %moved = ('<' => '<=', '<=' => '<', '>' => '>=', '>=' => '>');
my %other = ('&&' => '||', '||' => '&&');
my %turned = ('==' => '!=', '!=' => '==');

# Comparisons and what joins them, in an expression that is put in whole.
sub _operators {
    my ($self, $from, $real, $mask, %rest) = @_;
    while ($mask =~ /(?<=[ \n])(<=?|>=?|&&|\|\||[=!]=)(?=[ \n])/g) {
        my ($op, $at) = ($1, $-[1]);
        next if $turned{$op} && $mask !~ /&&|\|\|/;    # the negated one is the same
        my $put = $real;
        substr $put, $at, length $op, $moved{$op} || $other{$op} || $turned{$op};
        my $kind = $moved{$op} ? 'comparison moved' : $other{$op} ? 'and, or' : 'comparison turned';
        $self->_add($kind, $from, length $real, put => $put, %rest);
    }
    return;
}

sub _returns {
    my ($self, $base, $body) = @_;
    while ($body =~ /\breturn\s+([^;]+);/g) {
        my ($from, $mask) = ($base + $-[1], $1);
        my $real = substr $self->{text}, $from, length $mask;
        my $put = $real =~ /^-E[A-Z0-9]+$/ ? '0' : $real eq 'true' ? 'false' : $real eq 'false' ? 'true'
            : $real =~ /^-?1$/ ? '0' : $real =~ /[<>=!]=|&&|\|\|| [<>] /  && $real !~ /\?/ ? "!($real)" : undef;
        $self->_add('result turned', $from, length $real, put => $put) if defined $put;
        $self->_operators($from, $real, $mask);
    }
    return;
}

my $keyword = qr/(?:if|else|for|while|do|switch|case|default|return|goto|break|continue|static|const|typedef|struct|union|enum|extern|unsigned|int|char|void|bool|size_t|va_list|va_start|va_end|va_copy)\b/;

sub _statements {
    my ($self, $base, $body) = @_;
    my $before = '{';
    while ($body =~ /^([ ]+)(\S[^\n]*)\n/gm) {
        my ($at, $first) = ($-[2], $2);
        my $starts = $before =~ /(?:[;{}:]|\belse|\bdo|\))\s*$/ && $before !~ /^\s*[^;]*\([^)]*$/;
        $before = $first;
        next if !$starts || $first =~ /^$keyword/ || $first =~ /^\w+:$/;
        # an expression: a call, an assignment, ++ and --; a declaration has two words
        next if $first !~ /^(?:\(void\))?[!*]*\(?[*]*\w+(?:(?:->|\.)\w+|\[[^\]]*\])*\)?\s*(?:\(|[-+|&^*\/]?=(?!=)|\+\+|--)|^(?:\+\+|--)/;
        next if substr($body, $at) !~ /^([^;{}]+;)/;
        my $mask = $1;
        next if ($mask =~ tr/(//) != ($mask =~ tr/)//);
        next if $mask =~ /^\(void\)\w+;$/;    # an argument that is not used
        $self->_add('statement left out', $base + $at, length $mask, statement => 1);
        $before = ';';
        pos($body) = $at + length $mask;
        $body =~ /\G[^\n]*\n/gc;
    }
    return;
}

sub _constants {
    my ($self, $base, $body) = @_;
    # not -1: any other number below 0 means the same to who looks at it
    while ($body =~ /(?<![\w.\]"-])([1-9]\d*)(?![\w.])/g) {
        my ($at, $n) = ($-[1], $1);
        my $line_start = rindex($body, "\n", $at) + 1;
        my $line = substr $body, $line_start, 200;
        next if $line =~ /^\s*(?:case|static|return -?1;)/ || $line =~ /^[^\n]*\{[^\n]*\};/;
        next if substr($body, 0, $at) =~ /^[ ]+\w[\w *]*\w+\[[^\]\n]*$/m && $line =~ /^\s*\w[\w ]+ \**\w+\[/;
        $self->_add(constant => $base + $at, length $n, put => $n + 1);
    }
    return;
}

1;
